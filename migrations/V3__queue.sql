-- The queue on two engines and in several processes, figures per kind, and what a person may do about it.

-- Counts claims and is never given back: the fence of a run, and of a message that stands for a row.
alter table job add column turn integer not null default 0;

-- When RabbitMQ confirmed the message that stands for the row; null while none does.
alter table job add column published_at integer
    constraint job_published_only_while_ready check (published_at is null or state = 'ready');

-- Why it is a dead letter: of its last death.
alter table job add column reason text
    constraint job_reason_known check (reason in ('permanent', 'exhausted', 'crashed', 'unreadable', 'broker'));

-- Which job carries them out. No reference: finished jobs are removed sooner than what they were about.
alter table inbox add column job_id integer;
alter table cancellation add column job_id integer;

update inbox set job_id = j.id
  from (select id, payload ->> '$.inbox_id' as inbox_id from job where kind = 'confirm_payment') j
 where inbox.id = j.inbox_id;
update cancellation set job_id = j.id
  from (select max(id) as id, payload ->> '$.cancellation' as cancellation from job
         where kind = 'retry_cancel' group by 2) j
 where cancellation.id = j.cancellation;

-- A kind has its own stretch of each, so that what is paused or piled up in one stands in nobody's way.
drop index job_ready;
drop index job_finished;
create index job_ready on job (queue, kind, published_at, run_at, id) where state = 'ready';
create index job_dead_by_kind on job (kind, id) where state = 'dead';
create index job_done on job (kind, finished_at, id) where state = 'done';
create index job_cancelled on job (kind, finished_at, id) where state = 'cancelled';

-- Kinds of which nothing runs until a person says so.
drop table queue_pause;
create table kind_pause (
    kind      text primary key,
    paused_at integer not null,
    by        text not null,
    note      text not null
) strict, without rowid;

-- What only one process does at a time: who, since when, and until when unless it is taken again.
create table lease (
    name   text primary key,
    holder text not null,
    since  integer not null,
    until  integer not null,
    constraint lease_ends_after_it_began check (until >= since)
) strict, without rowid;

-- Who works on these books: a row per start of a process that runs jobs.
create table process (
    boot       text primary key,
    role       text not null,
    pid        integer not null,
    engine     text not null,
    started_at integer not null,
    constraint process_role_known check (role in ('serve', 'work')),
    constraint process_engine_known check (engine in ('embedded', 'amqp'))
) strict, without rowid;

-- How the runs of a kind ended, minute by minute, written with the commit that ended them.
create table job_minute (
    kind      text not null,
    minute    integer not null,       -- whole minutes since 1970
    done      integer not null,
    retried   integer not null,
    snoozed   integer not null,
    dead      integer not null,
    cancelled integer not null,
    waited    integer not null,       -- milliseconds from due to begun, of all of them
    ran       integer not null,       -- milliseconds from begun to ended, of all of them
    waited_most integer not null,
    ran_most  integer not null,
    primary key (kind, minute)
) strict, without rowid;
