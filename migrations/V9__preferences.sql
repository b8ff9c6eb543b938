-- The console: its figures, what its search needs beside the text, and what each person chose for the lists.

-- What happened in each hour, kept by the transactions that made it happen. An hour of Seoul is one of UTC.
create table hour_sum (
    hour          integer primary key, -- whole hours since 1970
    paid          integer not null default 0,
    paid_won      integer not null default 0,
    failed        integer not null default 0,
    cancels       integer not null default 0,
    cancelled_won integer not null default 0,
    orders        integer not null default 0,
    ordered_won   integer not null default 0,
    payouts       integer not null default 0,
    payout_won    integer not null default 0
    -- No rule of its own: a figure that were wrong may not stop a payment. `jeongsan verify` compares.
) strict;

insert into hour_sum (hour, paid, paid_won, failed, cancels, cancelled_won, orders, ordered_won, payouts, payout_won)
    select hour, sum(paid), sum(paid_won), sum(failed), sum(cancels), sum(cancelled_won), sum(orders), sum(ordered_won),
           sum(payouts), sum(payout_won)
      from (select coalesce(paid_at, at) / 3600000 as hour, 1 as paid, amount as paid_won, 0 as failed, 0 as cancels,
                   0 as cancelled_won, 0 as orders, 0 as ordered_won, 0 as payouts, 0 as payout_won
              from payment where status not in ('READY', 'FAILED')
            union all
            select at / 3600000, 0, 0, 1, 0, 0, 0, 0, 0, 0 from payment where status = 'FAILED'
            union all
            select coalesce(cancelled_at, finished_at) / 3600000, 0, 0, 0, 1, amount, 0, 0, 0, 0
              from cancellation where state = 'DONE'
            union all
            select created_at / 3600000, 0, 0, 0, 0, 0, 1, amount, 0, 0 from merchant_order
            union all
            select decided_at / 3600000, 0, 0, 0, 0, 0, 0, 0, 1, amount from payout where state = 'PAID')
     group by hour;

create trigger hour_sum_counts_a_new_payment after insert on payment when new.status <> 'READY' begin
    insert into hour_sum (hour, paid, paid_won, failed)
        values (iif(new.status = 'FAILED', new.at, coalesce(new.paid_at, new.at)) / 3600000,
                new.status <> 'FAILED', iif(new.status = 'FAILED', 0, new.amount), new.status = 'FAILED')
        on conflict (hour) do update
           set paid = paid + excluded.paid, paid_won = paid_won + excluded.paid_won, failed = failed + excluded.failed;
end;

-- Most changes of a payment, a cancel among them, move nothing between hours: then nothing is written.
create trigger hour_sum_follows_a_payment after update of status, amount, at, paid_at on payment
    when (old.status in ('READY', 'FAILED')) <> (new.status in ('READY', 'FAILED'))
      or (old.status = 'FAILED') <> (new.status = 'FAILED')
      or (new.status <> 'READY' and (old.amount <> new.amount or old.at <> new.at or old.paid_at is not new.paid_at))
begin
    update hour_sum
       set paid = paid - (old.status <> 'FAILED'), paid_won = paid_won - iif(old.status = 'FAILED', 0, old.amount),
           failed = failed - (old.status = 'FAILED')
     where old.status <> 'READY'
       and hour = iif(old.status = 'FAILED', old.at, coalesce(old.paid_at, old.at)) / 3600000;
    insert into hour_sum (hour, paid, paid_won, failed)
        select iif(new.status = 'FAILED', new.at, coalesce(new.paid_at, new.at)) / 3600000,
               new.status <> 'FAILED', iif(new.status = 'FAILED', 0, new.amount), new.status = 'FAILED'
         where new.status <> 'READY'
        on conflict (hour) do update
           set paid = paid + excluded.paid, paid_won = paid_won + excluded.paid_won, failed = failed + excluded.failed;
end;

create trigger hour_sum_counts_a_new_cancellation after insert on cancellation when new.state = 'DONE' begin
    insert into hour_sum (hour, cancels, cancelled_won)
        values (coalesce(new.cancelled_at, new.finished_at) / 3600000, 1, new.amount)
        on conflict (hour) do update
           set cancels = cancels + 1, cancelled_won = cancelled_won + excluded.cancelled_won;
end;

create trigger hour_sum_follows_a_cancellation after update of state, amount, cancelled_at, finished_at on cancellation
    when old.state = 'DONE' or new.state = 'DONE'
begin
    update hour_sum set cancels = cancels - 1, cancelled_won = cancelled_won - old.amount
     where old.state = 'DONE' and hour = coalesce(old.cancelled_at, old.finished_at) / 3600000;
    insert into hour_sum (hour, cancels, cancelled_won)
        select coalesce(new.cancelled_at, new.finished_at) / 3600000, 1, new.amount where new.state = 'DONE'
        on conflict (hour) do update
           set cancels = cancels + 1, cancelled_won = cancelled_won + excluded.cancelled_won;
end;

create trigger hour_sum_counts_an_order after insert on merchant_order begin
    insert into hour_sum (hour, orders, ordered_won) values (new.created_at / 3600000, 1, new.amount)
        on conflict (hour) do update set orders = orders + 1, ordered_won = ordered_won + excluded.ordered_won;
end;

-- What was decided never changes, by a rule of its own.
create trigger hour_sum_counts_a_payout after update of state on payout
    when old.state <> 'PAID' and new.state = 'PAID'
begin
    insert into hour_sum (hour, payouts, payout_won) values (new.decided_at / 3600000, 1, new.amount)
        on conflict (hour) do update set payouts = payouts + 1, payout_won = payout_won + excluded.payout_won;
end;

-- What the home asks for, each out of an index that holds nothing else.
create index payment_held_for on payment (hold_code, at desc, id desc) where hold is not null;
create index payment_cancelling on payment (at desc, id desc) where wish is not null;
create index settlement_due_sum on settlement (payout_day, net)
    where state = 'REQUESTED' and net >= 0 and hold is null;
create index alert_open on alert (kind, id desc) where topic is not null and resolved_at is null;
create index settlement_owed on settlement (net)
    where state <> 'COMPLETED' and payout_day is not null and (net >= 0 or carried_into is null);

-- What a person may search for beside a part of a text: initial consonants, four digits of a number, and as
-- whole words phone numbers and amounts; filled behind the writes like the pairs of characters (see
-- store::search). Books of before are taken in little by little once the server runs.
create virtual table payment_keys using fts5 (
    initials, digits, exact, content = '', contentless_delete = 1, tokenize = 'ascii'
);

-- What a person looks for again and again: the filter of a list, under a name.
create table saved_filter (
    id         integer primary key autoincrement,
    user_id    integer not null references user (id) on delete cascade,
    list       text not null,
    name       text not null,
    query      text not null,
    created_at integer not null,
    constraint saved_filter_name_once unique (user_id, list, name),
    constraint saved_filter_list_known check
        (list in ('payments', 'settlements', 'jobs', 'dead-letters', 'partners', 'audit')),
    constraint saved_filter_has_a_name check (trim(name) <> '' and length(name) <= 60),
    constraint saved_filter_is_short check (length(query) <= 2000)
) strict;

-- Which columns of a list a person sees; no row: the usual ones.
create table column_choice (
    user_id    integer not null references user (id) on delete cascade,
    list       text not null,
    columns    text not null,
    primary key (user_id, list),
    constraint column_choice_list_known check (list in ('payments', 'settlements')),
    constraint column_choice_is_json check (json_valid(columns))
) strict, without rowid;
