-- Alerts of one subject that come while it is open are told together: one row per such episode.
create table alert_episode (
    id          integer primary key autoincrement,
    subject     text not null,         -- cancel_dead, job_dead:sweep, …
    opened_at   integer not null,
    last_at     integer not null,      -- when the newest alert came
    alerts      integer not null,
    amount      integer not null,      -- what they are about, in won
    told        integer not null,      -- how many of them a message has told; the first tells itself
    told_amount integer not null,
    told_at     integer not null,
    summaries   integer not null default 0,
    closed_at   integer,
    constraint alert_episode_has_an_alert check (alerts >= 1),
    constraint alert_episode_tells_what_it_has check (told between 1 and alerts),
    constraint alert_episode_summaries_not_negative check (summaries >= 0)
) strict;

create unique index alert_episode_open_once on alert_episode (subject) where closed_at is null;

-- What an alert is in its episode: the `first`, one told `together` with others, or the `message` that tells them.
alter table alert add column episode_id integer references alert_episode;
alter table alert add column role text
    constraint alert_role_known check (role in ('first', 'together', 'message'))
    constraint alert_role_iff_in_an_episode check ((role is null) = (episode_id is null));

create index alert_by_episode on alert (episode_id, role, id) where episode_id is not null;
