-- Maker and checker: what one person asked for and another has to look at before it is done.

create table approval (
    id         integer primary key autoincrement,
    kind       text not null,
    subject    text not null,          -- payout:12, partner:farm, file:1a2b…
    amount     integer not null,       -- what it is about, without a sign
    asked      text not null,          -- what a list shows of it
    rows       text,                   -- of adjustments: each that will be booked
    source     text,                   -- the file or key that it came with: waits once
    made_by    text not null,
    made_at    integer not null,
    state      text not null default 'WAITING',
    seen       text,                   -- names exactly what was approved
    decided_by text,
    decided_at integer,
    note       text,
    constraint approval_kind_known check (kind in ('payout', 'adjustment')),
    constraint approval_state_known check (state in ('WAITING', 'APPROVED', 'REFUSED', 'WITHDRAWN')),
    constraint approval_amount_not_negative check (amount >= 0),
    constraint approval_asked_is_json check (json_valid(asked)),
    constraint approval_rows_are_json check (rows is null or json_valid(rows)),
    constraint approval_adjustments_have_rows check ((kind = 'adjustment') = (rows is not null)),
    constraint approval_decided_iff_not_waiting check
        ((state = 'WAITING') = (decided_at is null) and (decided_at is null) = (decided_by is null)),
    constraint approval_is_by_a_second_person check (state <> 'APPROVED' or decided_by <> made_by),
    constraint approval_is_by_a_person check (state <> 'APPROVED' or decided_by glob '@?*'),
    constraint approval_names_what_was_seen check ((state = 'APPROVED') = (seen is not null)),
    constraint approval_refused_has_a_note check (state <> 'REFUSED' or trim(coalesce(note, '')) <> ''),
    constraint approval_is_withdrawn_by_its_maker check (state <> 'WITHDRAWN' or decided_by = made_by)
) strict;

-- Counted on every page: out of an index that holds nothing but what waits.
create index approval_waiting on approval (id) where state = 'WAITING';
create index approval_decided on approval (id) where state <> 'WAITING';
create index approval_by_subject on approval (subject, id);
create index approval_by_source on approval (source, id) where source is not null;
create unique index approval_payout_waits_once on approval (subject) where state = 'WAITING' and kind = 'payout';
create unique index approval_source_waits_once on approval (source) where state = 'WAITING' and source is not null;

create trigger approval_that_was_decided_never_changes before update on approval
    when old.state <> 'WAITING' begin
    select raise(abort, 'approval_that_was_decided_never_changes');
end;
create trigger approval_asks_what_it_asked
    before update of id, kind, subject, amount, asked, rows, source, made_by, made_at on approval begin
    select raise(abort, 'approval_asks_what_it_asked');
end;
create trigger approval_is_never_removed before delete on approval begin
    select raise(abort, 'approval_is_never_removed');
end;

-- Whatever a program does: no word of the bank counts for a batch whose last approval is not one.
create trigger payout_waits_for_a_second_person before update of state on payout
    when new.state in ('PAID', 'FAILED')
     and 'APPROVED' <> (select state from approval where subject = 'payout:' || new.batch_id order by id desc limit 1)
begin
    select raise(abort, 'payout_waits_for_a_second_person');
end;

-- Who approved an adjustment, of those that needed it.
alter table adjustment add column approval_id integer references approval;
alter table adjustment add column approved_by text
    constraint adjustment_is_approved_by_a_second_person check
        ((approval_id is null) = (approved_by is null) and (approved_by is null or approved_by <> created_by));

-- What one person did on one day without a second one.
create index adjustment_by_maker on adjustment (created_by, partner_id, created_at) where approval_id is null;
create index payout_batch_by_maker on payout_batch (created_by, created_at);
