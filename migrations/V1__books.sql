-- The books. Times are UTC instants in milliseconds, money is whole won, a `day` is a date in Seoul.
-- Every rule that the data must never break has a name, and the name comes back in the error.

create table setting (
    key   text primary key,
    value text not null
) strict, without rowid;

create table partner (
    id         text primary key,
    name       text not null,
    created_at integer not null
) strict, without rowid;

-- What a buyer is to pay.
create table merchant_order (
    merchant_uid text primary key,
    name         text not null,
    amount       integer not null,
    tax_free     integer not null default 0,
    created_at   integer not null,
    prepared_at  integer,             -- when PortOne took the amount, if it has
    constraint order_amount_positive check (amount > 0),
    constraint order_tax_free_within_amount check (tax_free between 0 and amount)
) strict, without rowid;

create table order_line (
    merchant_uid text not null references merchant_order,
    line         integer not null,
    partner_id   text not null references partner,
    name         text not null,
    quantity     integer not null,
    unit_price   integer not null,
    discount     integer not null,
    amount       integer not null,
    primary key (merchant_uid, line),
    constraint order_line_quantity_positive check (quantity > 0),
    constraint order_line_discount_within_price check (discount between 0 and unit_price * quantity),
    constraint order_line_amount_is_price_less_discount check (amount = unit_price * quantity - discount)
) strict, without rowid;

-- What PortOne says was charged. Rows are numbered in the order in which we heard of them.
create table payment (
    id           integer primary key,
    imp_uid      text not null,
    merchant_uid text not null,
    status       text not null,
    amount       integer not null,
    cancelled    integer not null default 0,
    wish         text,                -- the cancellation in flight, or dead and waiting
    hold         text,                -- what does not fit, as JSON; null when all fits
    hold_code    text generated always as (hold ->> '$.reason') virtual,
    test         integer not null,
    method       text not null,
    about        text not null,       -- what is shown and decides nothing, as JSON
    fail_reason  text,
    at           integer not null,    -- by which lists are ordered and cut: paid, else started, else heard
    paid_at      integer,
    created_at   integer not null,
    updated_at   integer not null,
    constraint payment_imp_uid_unique unique (imp_uid),
    constraint payment_status_known check (status in
        ('READY', 'PAID', 'CANCEL_REQUESTED', 'CANCELED', 'PARTIAL_CANCELED', 'CANCEL_FAILED', 'FAILED')),
    constraint payment_amount_positive check (amount > 0),
    constraint payment_cancelled_within_amount check (cancelled between 0 and amount),
    constraint payment_unpaid_has_no_cancels check (status not in ('READY', 'FAILED', 'PAID') or cancelled = 0),
    constraint payment_canceled_iff_nothing_left check ((status = 'CANCELED') = (cancelled = amount)),
    constraint payment_partial_has_some_left check (status <> 'PARTIAL_CANCELED' or cancelled > 0),
    constraint payment_wish_iff_cancelling check
        ((wish is not null) = (status in ('CANCEL_REQUESTED', 'CANCEL_FAILED'))),
    constraint payment_hold_is_json check (hold is null or json_valid(hold))
) strict;

create index payment_by_time on payment (at desc, id desc);
create index payment_by_status on payment (status, at desc, id desc);
create index payment_by_method on payment (method, at desc, id desc);
create index payment_by_order on payment (merchant_uid);
create index payment_held on payment (at desc, id desc) where hold is not null;

-- To whom a payment is owed, for lists by partner.
create table payment_partner (
    partner_id text not null references partner,
    at         integer not null,
    payment_id integer not null references payment,
    primary key (partner_id, at desc, payment_id desc)
) strict, without rowid;

create index payment_partner_by_payment on payment_partner (payment_id);

-- One wish to give money back, or an entry that PortOne had and we had not asked for.
create table cancellation (
    id              text primary key,
    payment_id      integer not null references payment,
    state           text not null,
    amount          integer not null,   -- asked for; given back, once done
    checksum        integer not null,   -- what could be cancelled before it
    tax_free        integer,            -- part of the amount without VAT; null leaves it to PortOne
    reason          text not null,
    refund          text,               -- refund account as JSON; cleared when the fate is final
    requested_by    text not null,      -- api, page, cli, elsewhere
    idempotency_key text,
    request_hash    text,
    requested_at    integer not null,
    finished_at     integer,
    gateway_key     text,               -- its entry in PortOne's books
    receipt_url     text not null default '',
    error           text,
    note            text,               -- why a person gave it up
    constraint cancellation_state_known check (state in
        ('REQUESTED', 'DONE', 'DEAD', 'DISCARDED', 'SUPERSEDED')),
    constraint cancellation_amount_positive check (amount > 0),
    constraint cancellation_tax_free_within_amount check (tax_free is null or tax_free >= 0),
    constraint cancellation_amount_within_balance check (amount <= checksum or requested_by = 'elsewhere'),
    constraint cancellation_done_iff_in_portones_books check ((state = 'DONE') = (gateway_key is not null)),
    constraint cancellation_finished_iff_final check ((finished_at is null) = (state in ('REQUESTED', 'DEAD'))),
    constraint cancellation_refund_only_while_open check (refund is null or state in ('REQUESTED', 'DEAD'))
) strict, without rowid;

create unique index cancellation_one_open_per_payment on cancellation (payment_id) where state in ('REQUESTED', 'DEAD');
create unique index cancellation_booked_once on cancellation (payment_id, gateway_key) where gateway_key is not null;
create unique index cancellation_idempotency_key_unique on cancellation (idempotency_key) where idempotency_key is not null;
create index cancellation_by_payment on cancellation (payment_id);

-- Every call to PortOne on behalf of a cancellation: the failure history of the original design.
create table cancel_attempt (
    cancellation_id text not null references cancellation,
    number          integer not null,
    step            text not null,
    started_at      integer not null,
    finished_at     integer not null,
    asked           text not null,
    outcome         text not null,
    answer          text not null,
    primary key (cancellation_id, number),
    constraint cancel_attempt_outcome_known check (outcome in
        ('DONE', 'PENDING', 'TRANSIENT', 'UNKNOWN', 'PERMANENT', 'HALT'))
) strict, without rowid;

-- Everything that happened to a payment. Rows are only added.
create table event (
    id         integer primary key,   -- rows are never removed, so no number comes twice
    payment_id integer not null references payment,
    at         integer not null,
    kind       text not null,
    actor      text not null,
    from_status text,
    to_status  text,
    detail     text not null default '{}',
    constraint event_detail_is_json check (json_valid(detail))
) strict;

create index event_by_payment on event (payment_id, id);
create trigger event_is_never_changed before update on event begin
    select raise(abort, 'event_is_never_changed');
end;
create trigger event_is_never_removed before delete on event begin
    select raise(abort, 'event_is_never_removed');
end;

-- Raw webhook deliveries and browser callbacks, each with its verdict.
create table inbox (
    id           integer primary key autoincrement,
    received_at  integer not null,
    source       text not null,         -- address it came from
    content_type text not null,
    body         blob not null,
    imp_uid      text not null,
    merchant_uid text,
    status       text,                  -- as the message has it: shown, never believed
    verdict      text,                  -- null while PortOne has not been asked
    detail       text,
    verdict_at   integer,
    constraint inbox_verdict_known check (verdict in
        ('BOOKED', 'NO_NEWS', 'NOT_PAID', 'HELD', 'UNKNOWN_PAYMENT', 'ANOTHER_ORDER', 'OTHER_CURRENCY', 'CONTRADICTION', 'GIVEN_UP')),
    constraint inbox_verdict_has_time check ((verdict is null) = (verdict_at is null))
) strict;

create index inbox_by_payment on inbox (imp_uid);

-- Queue, outbox and ledger at once: a row is written in the transaction of the state it follows from.
create table job (
    id           integer primary key autoincrement,
    queue        text not null,
    kind         text not null,
    payload      text not null,
    state        text not null,
    attempt      integer not null default 0,
    max_attempts integer not null,
    crashes      integer not null default 0,
    generation   integer not null default 0,
    run_at       integer not null,
    lease_by     text,
    lease_until  integer,
    unique_key   text,
    created_at   integer not null,
    started_at   integer,
    finished_at  integer,
    last_error   text,
    note         text,
    constraint job_state_known check (state in ('ready', 'running', 'done', 'dead', 'cancelled')),
    constraint job_leased_iff_running check
        ((state = 'running') = (lease_by is not null) and (lease_by is null) = (lease_until is null)),
    constraint job_finished_iff_final check ((finished_at is not null) = (state in ('done', 'dead', 'cancelled'))),
    constraint job_payload_is_json check (json_valid(payload))
) strict;

create index job_ready on job (queue, run_at, id) where state = 'ready';
create index job_running on job (lease_until) where state = 'running';
create index job_dead on job (id desc) where state = 'dead';
create index job_finished on job (finished_at) where state in ('done', 'cancelled');
create unique index job_unique_key_live on job (unique_key) where unique_key is not null and state in ('ready', 'running');

create table job_attempt (
    job_id      integer not null references job on delete cascade,
    generation  integer not null,
    attempt     integer not null,
    started_at  integer not null,
    finished_at integer not null,
    outcome     text not null,
    error       text not null,
    boot        text not null,
    id          integer primary key autoincrement
) strict;

create index job_attempt_by_job on job_attempt (job_id, id);

create table queue_pause (
    queue     text primary key,
    paused_at integer not null
) strict, without rowid;

create table schedule (
    name      text primary key,
    last_slot integer not null
) strict, without rowid;

-- One run per slot, whoever asks for it and however often.
create table schedule_run (
    name   text not null,
    slot   integer not null,
    job_id integer,
    skipped integer not null default 0,
    primary key (name, slot)
) strict, without rowid;

create table sweep (
    id          integer primary key,
    from_at     integer not null,
    until_at    integer not null,
    finished_at integer not null,
    read        integer not null,   -- payments that PortOne listed
    booked      integer not null    -- of those, news to us
) strict;

create table alert (
    id           integer primary key autoincrement,
    at           integer not null,
    kind         text not null,
    severity     text not null,
    body         text not null,
    payment_id   integer references payment,
    topic        text,
    resolved_at  integer,
    delivered_at integer,
    delivered_to text,
    constraint alert_body_is_json check (json_valid(body))
) strict;

create unique index alert_open_once on alert (topic) where topic is not null and resolved_at is null;
create index alert_by_payment on alert (payment_id) where payment_id is not null;

-- Signed-in browsers. Only hashes are kept.
create table session (
    token_hash text primary key,
    created_at integer not null,
    seen_at    integer not null,
    expires_at integer not null
) strict, without rowid;

-- Pairs of characters of what a person may search for; filled behind the writes (see store::search).
create virtual table payment_search using fts5 (
    grams, content = '', contentless_delete = 1, tokenize = 'ascii'
);
