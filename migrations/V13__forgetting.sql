-- Buyers are forgotten some time after their payment, if the shop says so (privacy.keep).

-- When the buyer was taken out of the payment; null while it may still name one.
alter table payment add column forgotten_at integer;

create trigger payment_forgotten_names_nobody before update of forgotten_at on payment
when new.forgotten_at is not null
 and coalesce(new.about ->> '$.buyer_name', '') || coalesce(new.about ->> '$.buyer_tel', '')
     || coalesce(new.about ->> '$.buyer_email', '') || coalesce(new.about ->> '$.virtual_account', '') <> ''
begin
    select raise(abort, 'payment_forgotten_names_nobody');
end;

-- When the buyer was taken out of the order: it is the same order still, if it is registered again with one.
alter table merchant_order add column forgotten_at integer;

-- Those that are left, oldest first: of ten years the night looks at one day.
create index payment_to_forget on payment (at) where forgotten_at is null;

-- Nothing of what happened is ever changed, but for words that people wrote about a buyer who is forgotten:
-- they go, and everything else stays as it was.
drop trigger event_is_never_changed;
create trigger event_is_never_changed before update on event
when new.id is not old.id or new.payment_id is not old.payment_id or new.at is not old.at or new.kind is not old.kind
  or new.actor is not old.actor or new.from_status is not old.from_status or new.to_status is not old.to_status
  or (select forgotten_at from payment where id = old.payment_id) is null
  or new.detail is not json_remove(
        case when json_type(old.detail, '$.entries') = 'array' then json_set(old.detail, '$.entries', json((
                select json_group_array(json_remove(value, '$.reason')) from json_each(old.detail, '$.entries'))))
             else old.detail end,
        '$.reason', '$.note')
begin
    select raise(abort, 'event_is_never_changed');
end;

-- An answer that was given under an idempotency key names whom it names: of an old one the words go. What it was
-- an answer to, and its status, stay, so that the same wish is not carried out anew.
drop trigger asked_once_is_answered_once;
create trigger asked_once_is_answered_once before update on asked_once
when old.status is not null
 and (new.id is not old.id or new.who is not old.who or new.key is not old.key or new.fingerprint is not old.fingerprint
      or new.asked is not old.asked or new.at is not old.at or new.touched is not old.touched
      or new.status is not old.status or new.headers is not old.headers or new.answered_at is not old.answered_at
      or new.body is not null)
begin
    select raise(abort, 'asked_once_is_answered_once');
end;

create index asked_once_with_words on asked_once (at) where body is not null;
