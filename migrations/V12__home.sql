-- What the home counts and the settlements' page lists, out of indexes that hold nothing else.

-- Cancels of which the last call may have been carried out unseen. Few calls end so, and almost none is asked twice.
create index cancel_attempt_unknown on cancel_attempt (cancellation_id)
    where outcome = 'UNKNOWN' and asked <> 'read the payment';

-- What hangs on a cancel that is not settled, found by the job that carries it out.
create index cancellation_open on cancellation (job_id, state, requested_at, amount) where state in ('REQUESTED', 'DEAD');

-- With what is held and how much of it: only payments that something holds are in it.
drop index payment_held_for;
create index payment_held_for on payment (hold_code, at desc, id desc, amount) where hold is not null;

create index settlement_failed on settlement (day desc, id desc, updated_at, net) where state = 'FAILED';
drop index settlement_held;
create index settlement_held on settlement (day desc, id desc, updated_at, net) where hold is not null;

-- Negative sums that no later settlement took in yet.
create index settlement_carried on settlement (day desc, id desc, carry_since)
    where state = 'REQUESTED' and net < 0 and carried_into is null;

-- Open alerts with the amount that each is about.
drop index alert_open;
create index alert_open on alert (kind, id desc, at, body ->> '$.amount')
    where topic is not null and resolved_at is null;
