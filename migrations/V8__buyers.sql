-- Whose an order is: the shop's own id of its customer. A payment belongs to a buyer through its order.

alter table merchant_order add column buyer text
    constraint order_buyer_fits check (length(buyer) between 1 and 255);

-- A buyer's own list, newest order first.
create index order_by_buyer on merchant_order (buyer, created_at desc) where buyer is not null;
