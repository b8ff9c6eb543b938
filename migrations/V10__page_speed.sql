-- What pages sum and look up, out of indexes that hold nothing else.

-- What is due, counted and summed out of an index that holds nothing else. Settlements are written at night, so it
-- costs intake nothing.
create index settlement_due_of on settlement (payout_day, partner_id, net, day)
    where state = 'REQUESTED' and net >= 0 and hold is null;

-- A payment's page asks for the dead letter of its cancel: by its key, and not by going through all of them.
create index job_dead_by_key on job (unique_key, id desc) where unique_key is not null and state = 'dead';

-- How many letters of a kind are dead and since when, without looking at each.
drop index job_dead_by_kind;
create index job_dead_by_kind on job (kind, id, finished_at) where state = 'dead';

-- The chart's sums of a month of days, out of an index that holds nothing else. What it holds never changes once a
-- settlement is written.
create index settlement_sums_of_day on settlement
    (day, net, carried_in, sales, returned, fee, fee_vat, additional, additional_vat);
