-- Programs' keys, and what was asked for under an idempotency key.

create table api_key (
    id           integer primary key,
    name         text not null,
    -- What is shown of the secret: `jsk_` and eight digits more.
    prefix       text not null,
    -- SHA-256 of all of it. It carries 256 random bits, so there is nothing to guess.
    hash         text not null,
    scopes       text not null,
    created_at   integer not null,
    created_by   text not null,
    last_used_at integer,
    expires_at   integer,
    revoked_at   integer,
    revoked_by   text,
    constraint api_key_scopes_are_a_list check (json_type(scopes) = 'array' and json_array_length(scopes) > 0),
    constraint api_key_is_revoked_by_somebody check ((revoked_at is null) = (revoked_by is null))
) strict;

create unique index api_key_by_hash on api_key (hash);
-- A name is free again once its key is revoked: the next key of a program has the same name.
create unique index api_key_name_is_taken_once on api_key (name) where revoked_at is null;
create trigger api_key_stays_revoked before update on api_key
when old.revoked_at is not null and new.revoked_at is not old.revoked_at begin
    select raise(abort, 'api_key_stays_revoked');
end;
create trigger api_key_is_never_removed before delete on api_key begin
    select raise(abort, 'api_key_is_never_removed');
end;

-- One wish of one caller. Written before it is carried out, touched by the transaction of its first
-- effect, answered at its end.
create table asked_once (
    id          integer primary key,
    who         text not null,
    key         text not null,
    -- SHA-256 of method, path and body: the same key for something else is refused.
    fingerprint text not null,
    -- Method and path, for whoever looks into it.
    asked       text not null,
    at          integer not null,
    touched     integer not null default 0,
    status      integer,
    headers     text,
    -- Null for an answer that was too long to be kept.
    body        blob,
    answered_at integer,
    constraint asked_once_touched_is_a_flag check (touched in (0, 1)),
    constraint asked_once_is_answered_whole
        check ((status is null) = (answered_at is null) and (status is null) = (headers is null)
               and (body is null or status is not null)),
    constraint asked_once_headers_are_json check (headers is null or json_valid(headers))
) strict;

create unique index asked_once_by_key on asked_once (who, key);
create trigger asked_once_is_answered_once before update on asked_once
when old.status is not null begin
    select raise(abort, 'asked_once_is_answered_once');
end;
create trigger asked_once_is_never_removed before delete on asked_once begin
    select raise(abort, 'asked_once_is_never_removed');
end;
