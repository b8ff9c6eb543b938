-- Settlement: what every partner is owed, every day. A `day` is a date in Seoul, money is whole won,
-- and what goes back is negative. Rules have names, as before.

-- Who is owed. A partner that an order named first has nothing but its name until a person fills it in.
alter table partner add column kind text
    constraint partner_kind_known check (kind in
        ('BUSINESS_GENERAL', 'BUSINESS_SIMPLIFIED_INVOICE', 'BUSINESS_SIMPLIFIED', 'BUSINESS_TAX_FREE',
         'WITHHOLDING_INDIVIDUAL', 'INDIVIDUAL', 'OWN'));
alter table partner add column business_number text
    constraint partner_business_number_is_ten_digits check (business_number glob '[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]');
alter table partner add column bank text
    constraint partner_bank_is_three_digits check (bank glob '[0-9][0-9][0-9]');
alter table partner add column account text
    constraint partner_account_is_digits check (account <> '' and account not glob '*[^0-9]*');
alter table partner add column holder text
    constraint partner_account_is_whole check ((bank is null) = (account is null) and (account is null) = (holder is null));
alter table partner add column contact_name text;
alter table partner add column contact_email text;
alter table partner add column contact_phone text;
alter table partner add column status text not null default 'PENDING'
    constraint partner_status_known check (status in ('PENDING', 'APPROVED', 'REJECTED'));
alter table partner add column memo text not null default '';
alter table partner add column tags text not null default '[]'
    constraint partner_tags_are_json check (json_valid(tags));
alter table partner add column archived_at integer;
alter table partner add column updated_at integer not null default 0;

create index partner_by_name on partner (name, id);

-- What was agreed, from a day on. One that settled something never changes.
create table contract_version (
    id         integer primary key,
    partner_id text not null references partner,
    from_day   text not null,
    terms      text not null,
    used_until text,                   -- last day whose payments were settled by it
    created_at integer not null,
    created_by text not null,
    constraint contract_one_version_per_day unique (partner_id, from_day),
    constraint contract_terms_are_json check (json_valid(terms)),
    constraint contract_used_only_while_it_holds check (used_until is null or used_until >= from_day)
) strict;

create trigger contract_that_settled_never_changes before update of partner_id, from_day, terms on contract_version
    when old.used_until is not null begin
    select raise(abort, 'contract_that_settled_never_changes');
end;
create trigger contract_that_settled_is_never_removed before delete on contract_version
    when old.used_until is not null begin
    select raise(abort, 'contract_that_settled_is_never_removed');
end;

-- When PortOne says that the money went back; of older rows, when we heard of it.
alter table cancellation add column cancelled_at integer;

-- Which order lines a cancellation gives back; none for one that names none.
create table cancellation_line (
    cancellation_id text not null references cancellation,
    line            integer not null,
    amount          integer not null,
    primary key (cancellation_id, line),
    constraint cancellation_line_amount_positive check (amount > 0)
) strict, without rowid;

-- What happened to one partner's share of one payment, and on which day's settlement it counts. Written
-- in the transaction that books the payment; kept by day and partner, as the night's run reads it.
create table movement (
    day             text not null,
    partner_id      text not null references partner,
    seq             integer not null,
    kind            text not null,
    payment_id      integer references payment,
    order_line      integer,
    cause           text,               -- cancellation or adjustment
    happened_at     integer not null,
    terms_day       text not null,      -- the contract of this day counts: the day of the payment
    order_before    integer not null,
    order_after     integer not null,
    discount_before integer not null,
    discount_after  integer not null,
    tax_free_before integer not null,
    tax_free_after  integer not null,
    adjustment      integer not null default 0,
    primary key (day, partner_id, seq),
    constraint movement_kind_known check (kind in ('ORDER', 'CANCEL', 'CORRECTION', 'ADJUSTMENT')),
    constraint movement_is_of_a_payment_or_an_adjustment check
        ((kind = 'ADJUSTMENT') = (payment_id is null) and (kind = 'ADJUSTMENT') = (adjustment <> 0)),
    constraint movement_positions_are_not_negative check
        (min(order_before, order_after, discount_before, discount_after, tax_free_before, tax_free_after) >= 0)
) strict, without rowid;

create index movement_by_payment on movement (payment_id) where payment_id is not null;

create trigger movement_of_a_closed_day_is_never_changed before update on movement begin
    select raise(abort, 'movement_is_never_changed');
end;

-- Days whose settlement has begun. Nothing is added to the movements of such a day any more.
create table settlement_day (
    day         text primary key,
    generation  integer not null default 0,   -- counts how often it was opened again
    closed_at   integer not null,
    finished_at integer,
    blocked     integer not null default 0    -- partners without a contract: settled once they have one
) strict, without rowid;

-- One movement under one contract version: the figures that a partner is shown.
create table settlement_line (
    day            text not null,
    partner_id     text not null,
    seq            integer not null,
    contract_id    integer,
    order_amount   integer not null,
    discount       integer not null,
    fee            integer not null,
    fee_vat        integer not null,
    additional     integer not null,
    additional_vat integer not null,
    discount_share integer not null,
    payment_vat    integer not null,
    adjustment     integer not null,
    net            integer not null,
    primary key (day, partner_id, seq),
    constraint line_net_is_its_parts check
        (net = order_amount - fee - fee_vat - additional - additional_vat - discount_share - payment_vat + adjustment)
) strict, without rowid;

-- What one partner is owed for one day.
create table settlement (
    id             integer primary key autoincrement,
    partner_id     text not null references partner,
    day            text not null,
    state          text not null,
    hold           text,               -- why it is held
    fail_reason    text,
    payout_day     text,               -- null: never paid out (the shop itself)
    contract_id    integer references contract_version,
    lines          integer not null,
    orders         integer not null,
    cancels        integer not null,
    sales          integer not null,   -- order amounts that came
    returned       integer not null,   -- order amounts that went back, negative
    order_amount   integer not null,
    discount       integer not null,
    fee            integer not null,
    fee_vat        integer not null,
    additional     integer not null,
    additional_vat integer not null,
    discount_share integer not null,
    payment_vat    integer not null,
    adjustment     integer not null,
    carried_in     integer not null default 0,    -- negative settlements before it, netted here
    net            integer not null,
    carried_into   integer references settlement, -- where its negative sum was netted
    carry_since    text,               -- day of the oldest negative sum in it
    created_at     integer not null,
    updated_at     integer not null,
    completed_at   integer,
    completed_by   text,
    constraint settlement_one_per_partner_and_day unique (partner_id, day),
    constraint settlement_state_known check (state in ('REQUESTED', 'PROCESSING', 'COMPLETED', 'FAILED')),
    constraint settlement_net_is_its_parts check
        (net = order_amount - fee - fee_vat - additional - additional_vat - discount_share - payment_vat
               + adjustment + carried_in),
    constraint settlement_order_amount_is_sales_and_returns check (order_amount = sales + returned),
    constraint settlement_carries_only_what_is_negative check (carried_in <= 0 and (carried_into is null or net < 0)),
    constraint settlement_carry_has_a_day check (carry_since is not null or (carried_in = 0 and net >= 0)),
    constraint settlement_held_only_while_open check (hold is null or state in ('REQUESTED', 'FAILED')),
    constraint settlement_failed_has_a_reason check ((state = 'FAILED') = (fail_reason is not null)),
    constraint settlement_negative_is_never_paid check (net >= 0 or state in ('REQUESTED', 'COMPLETED')),
    constraint settlement_completed_iff_by_somebody check
        ((state = 'COMPLETED') = (completed_at is not null) and (completed_at is null) = (completed_by is null))
) strict;

create index settlement_by_day on settlement (day desc, id desc);
create index settlement_by_partner on settlement (partner_id, day desc, id desc);
create index settlement_by_state on settlement (state, day desc, id desc);
create index settlement_held on settlement (day desc, id desc) where hold is not null;
create index settlement_due on settlement (payout_day, id) where state = 'REQUESTED' and net >= 0;
create index settlement_carry on settlement (partner_id, id) where state = 'REQUESTED' and net < 0;
create index settlement_carried_into on settlement (carried_into) where carried_into is not null;

create trigger settlement_that_is_completed_never_changes before update on settlement
    when old.state = 'COMPLETED' begin
    select raise(abort, 'settlement_that_is_completed_never_changes');
end;
create trigger settlement_is_removed_only_while_requested before delete on settlement
    when old.state <> 'REQUESTED' begin
    select raise(abort, 'settlement_is_removed_only_while_requested');
end;

-- What happened to settlements, partners, contracts, payouts and the calendar. Rows are only added.
create table history (
    id      integer primary key,
    subject text not null,             -- settlement:12, partner:farm, payout:3, calendar
    at      integer not null,
    kind    text not null,
    actor   text not null,
    detail  text not null default '{}',
    constraint history_detail_is_json check (json_valid(detail))
) strict;

create index history_by_subject on history (subject, id);
create trigger history_is_never_changed before update on history begin
    select raise(abort, 'history_is_never_changed');
end;
create trigger history_is_never_removed before delete on history begin
    select raise(abort, 'history_is_never_removed');
end;

-- Corrections by hand. Each is one movement.
create table adjustment (
    id         integer primary key autoincrement,
    partner_id text not null references partner,
    day        text not null,
    amount     integer not null,
    reason     text not null,
    source     text,                   -- the file and row that it came from: taken once
    created_at integer not null,
    created_by text not null,
    constraint adjustment_is_not_zero check (amount <> 0),
    constraint adjustment_has_a_reason check (trim(reason) <> ''),
    constraint adjustment_row_of_a_file_is_taken_once unique (source)
) strict;

create index adjustment_by_partner on adjustment (partner_id, id desc);

-- Days off that no rule gives, and business days that a rule takes for days off.
create table special_day (
    day        text primary key,
    name       text not null,
    off        integer not null,
    created_at integer not null,
    created_by text not null,
    constraint special_day_off_is_a_flag check (off in (0, 1))
) strict, without rowid;

-- Settlements that were chosen to be paid together.
create table payout_batch (
    id           integer primary key autoincrement,
    state        text not null,
    due_until    text not null,        -- settlements due up to this day were chosen from
    note         text not null default '',
    created_at   integer not null,
    created_by   text not null,
    finished_at  integer,
    constraint payout_batch_state_known check (state in ('OPEN', 'DONE', 'CANCELLED')),
    constraint payout_batch_finished_iff_not_open check ((state = 'OPEN') = (finished_at is null))
) strict;

create index payout_batch_open on payout_batch (id desc) where state = 'OPEN';

-- One transfer to one partner, with the account as it was then.
create table payout (
    id          integer primary key autoincrement,
    batch_id    integer not null references payout_batch,
    partner_id  text not null references partner,
    state       text not null,
    gross       integer not null,
    income_tax  integer not null,
    local_tax   integer not null,
    amount      integer not null,
    bank        text not null,
    account     text not null,
    holder      text not null,
    reason      text,
    decided_at  integer,
    decided_by  text,
    constraint payout_state_known check (state in ('WAITING', 'PAID', 'FAILED', 'CANCELLED')),
    constraint payout_one_per_partner_and_batch unique (batch_id, partner_id),
    constraint payout_amount_is_gross_less_taxes check (amount = gross - income_tax - local_tax),
    constraint payout_amount_positive check (amount > 0 and income_tax >= 0 and local_tax >= 0),
    constraint payout_decided_iff_not_waiting check ((state = 'WAITING') = (decided_at is null)),
    constraint payout_failed_has_a_reason check (state <> 'FAILED' or reason is not null)
) strict;

create index payout_by_partner on payout (partner_id, id desc);

create trigger payout_that_was_decided_never_changes before update on payout
    when old.state <> 'WAITING' begin
    select raise(abort, 'payout_that_was_decided_never_changes');
end;

-- Which settlements a payout pays. Live while it may still be, or has been, paid: one payout at most.
create table payout_settlement (
    payout_id     integer not null references payout,
    settlement_id integer not null references settlement,
    amount        integer not null,
    live          integer not null default 1,
    primary key (payout_id, settlement_id),
    constraint payout_settlement_live_is_a_flag check (live in (0, 1)),
    constraint payout_settlement_amount_not_negative check (amount >= 0)
) strict, without rowid;

create unique index settlement_paid_once on payout_settlement (settlement_id) where live = 1;
create index payout_settlement_by_settlement on payout_settlement (settlement_id);

create trigger settlement_that_was_paid_stays_paid before update on payout_settlement
    when old.live = 1 and (select state from payout where id = old.payout_id) = 'PAID' begin
    select raise(abort, 'settlement_that_was_paid_stays_paid');
end;

-- Columns of the files that a bank takes and gives.
create table bank_template (
    name       text primary key,
    body       text not null,
    updated_at integer not null,
    constraint bank_template_is_json check (json_valid(body))
) strict, without rowid;

-- How far long work has come.
create table progress (
    name        text primary key,      -- settle:2026-08-06, import:…
    done        integer not null,
    total       integer not null,
    started_at  integer not null,
    updated_at  integer not null,
    finished_at integer,
    failed      text
) strict, without rowid;

-- Payments that were booked before there were movements get theirs at the next start.
insert into setting (key, value)
    select 'movements_missing_until', cast(max(id) as text) from payment having max(id) is not null;
