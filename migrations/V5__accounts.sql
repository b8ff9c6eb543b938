-- People, how they sign in, and what they did.

create table user (
    id            integer primary key,
    name          text not null,
    role          text not null,
    -- Whose settlements a partner's account sees.
    partner_id    text references partner (id),
    -- Argon2id in the PHC form. Null until the person has chosen one.
    password_hash text,
    -- The secret of the authenticator, and the last time step it was good for: a code counts once.
    totp_secret   text,
    totp_step     integer not null default 0,
    created_at    integer not null,
    created_by    text not null,
    signed_in_at  integer,
    disabled_at   integer,
    -- What the person chose to see the pages in: it comes along to every browser they sign in on.
    lang          text,
    theme         text,
    constraint user_name_once unique (name),
    constraint user_role_known check (role in ('owner', 'operator', 'accountant', 'viewer', 'partner')),
    constraint user_lang_known check (lang in ('ko', 'en')),
    constraint user_theme_known check (theme in ('auto', 'light', 'dark')),
    constraint user_of_a_partner check ((role = 'partner') = (partner_id is not null))
) strict;

create table recovery_code (
    user_id integer not null references user (id),
    hash    text not null,
    used_at integer,
    primary key (user_id, hash)
) strict, without rowid;

-- Links that let a person choose a password: the first owner (no user yet), a new account, a reset.
create table set_up_link (
    hash       text primary key,
    user_id    integer references user (id),
    expires_at integer not null
) strict, without rowid;

drop table session;

create table session (
    token_hash text primary key,
    -- What a person can name it by without its secret.
    id         text not null,
    user_id    integer not null references user (id),
    -- `code`: the password was right, the authenticator's code is still to come.
    stage      text not null,
    created_at integer not null,
    seen_at    integer not null,
    expires_at integer not null,
    -- When the person last proved who they are.
    proved_at  integer not null,
    address    text not null,
    agent      text not null,
    constraint session_stage_known check (stage in ('code', 'open'))
) strict, without rowid;

create unique index session_by_id on session (id);
create index session_by_user on session (user_id);

-- Wrong passwords and codes, by the name that was tried, whether there is such an account or not: an answer
-- must not tell. Places from which the person has signed in before are counted apart, so that a stranger
-- who guesses does not lock the owner out.
create table sign_in_guard (
    name         text not null,
    known        integer not null,
    failures     integer not null,
    since        integer not null,
    locked_until integer not null,
    primary key (name, known)
) strict, without rowid;

create index sign_in_guard_by_time on sign_in_guard (since);

create table known_place (
    user_id integer not null references user (id),
    -- An address, or the hash of a browser's own mark.
    place   text not null,
    seen_at integer not null,
    primary key (user_id, place)
) strict, without rowid;

-- Who did what. Each row carries the hash of the one before it: none can be changed, left out or put
-- between without all that follow telling.
create table audit (
    id      integer primary key,
    at      integer not null,
    actor   text not null,
    -- The address that it came from, or `terminal`.
    origin  text not null,
    act     text not null,
    subject text not null,
    before  text,
    after   text,
    prev    text not null,
    hash    text not null,
    constraint audit_before_is_json check (before is null or json_valid(before)),
    constraint audit_after_is_json check (after is null or json_valid(after))
) strict;

create index audit_by_actor on audit (actor, id desc);
create index audit_by_act on audit (act, id desc);
create index audit_by_subject on audit (subject, id desc);
create trigger audit_is_never_changed before update on audit begin
    select raise(abort, 'audit_is_never_changed');
end;
create trigger audit_is_never_removed before delete on audit begin
    select raise(abort, 'audit_is_never_removed');
end;
