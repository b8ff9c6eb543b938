//! People who may sign in, their authenticators, and the links by which they choose a password.
//!
//! Secrets are kept as hashes: passwords by Argon2id (made outside, it is slow on purpose), links and
//! recovery codes by SHA-256, as they are random. The authenticator's secret must be kept as it is,
//! as both sides work out the same code from it; the file is its owner's alone.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;

use super::{StoreError, Tx, admin::hash, instant, instant_maybe};
use crate::domain::{
    account::{Role, UserName},
    ids::PartnerId,
};

/// A person's account, as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct User {
    pub id: i64,
    pub name: String,
    pub role: Role,
    pub partner: Option<String>,
    pub has_password: bool,
    pub has_totp: bool,
    pub created_at: Timestamp,
    pub created_by: String,
    pub signed_in_at: Option<Timestamp>,
    pub disabled_at: Option<Timestamp>,
    /// In which language the person reads the pages, if they chose one.
    pub lang: Option<String>,
    pub theme: Option<String>,
}

const USER: &str = "select id, name, role, partner_id, password_hash is not null, totp_secret is not null,
                           created_at, created_by, signed_in_at, disabled_at, lang, theme from user";

fn user(row: &Row<'_>) -> Result<User, StoreError> {
    let role: String = row.get(2)?;
    Ok(User {
        id: row.get(0)?,
        name: row.get(1)?,
        role: Role::parse(&role).ok_or(StoreError::Unreadable {
            table: "user",
            why: format!("there is no role `{role}`"),
        })?,
        partner: row.get(3)?,
        has_password: row.get(4)?,
        has_totp: row.get(5)?,
        created_at: instant(row.get(6)?)?,
        created_by: row.get(7)?,
        signed_in_at: instant_maybe(row.get(8)?)?,
        disabled_at: instant_maybe(row.get(9)?)?,
        lang: row.get(10)?,
        theme: row.get(11)?,
    })
}

fn one(
    conn: &Connection,
    sql: &str,
    key: impl rusqlite::Params,
) -> Result<Option<User>, StoreError> {
    let mut query = conn.prepare_cached(sql)?;
    let mut rows = query.query(key)?;
    rows.next()?.map(user).transpose()
}

pub fn by_name(conn: &Connection, name: &str) -> Result<Option<User>, StoreError> {
    one(conn, &format!("{USER} where name = ?1"), [name])
}

pub fn by_id(conn: &Connection, id: i64) -> Result<Option<User>, StoreError> {
    one(conn, &format!("{USER} where id = ?1"), [id])
}

/// Everybody, by name. A shop has a handful, and its partners.
pub fn list(conn: &Connection) -> Result<Vec<User>, StoreError> {
    let mut query = conn.prepare_cached(&format!("{USER} order by name limit 5000"))?;
    let mut rows = query.query([])?;
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        users.push(user(row)?);
    }
    Ok(users)
}

/// A page of them by name, behind `after`.
pub fn page(conn: &Connection, after: Option<&str>, most: usize) -> Result<Vec<User>, StoreError> {
    let sql = format!("{USER} where name > ?1 order by name limit ?2 + 0");
    let mut query = conn.prepare_cached(&sql)?;
    let mut rows = query.query((after.unwrap_or_default(), most as i64))?;
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        users.push(user(row)?);
    }
    Ok(users)
}

/// Whether nobody has an account yet: the shop is to be set up.
pub fn none_yet(conn: &Connection) -> Result<bool, StoreError> {
    Ok(!conn.prepare_cached("select 1 from user")?.exists([])?)
}

/// Whether an owner other than this one can sign in.
pub fn other_owner(conn: &Connection, id: i64) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached(
            "select 1 from user where role = 'owner' and id <> ?1 and disabled_at is null and password_hash is not null",
        )?
        .exists([id])?)
}

/// Adds an account that has no password yet. The name is taken: rule `user.name`.
pub fn add(
    tx: &Tx<'_>,
    name: &UserName,
    role: Role,
    partner: Option<&PartnerId>,
    by: &str,
) -> Result<i64, StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into user (name, role, partner_id, created_at, created_by) values (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            name.as_str(),
            role.as_str(),
            partner.map(PartnerId::as_str),
            tx.now_ms(),
            by,
        ))?;
    Ok(tx.conn().last_insert_rowid())
}

pub fn set_role(
    tx: &Tx<'_>,
    id: i64,
    role: Role,
    partner: Option<&PartnerId>,
) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update user set role = ?2, partner_id = ?3 where id = ?1")?
        .execute((id, role.as_str(), partner.map(PartnerId::as_str)))?;
    Ok(())
}

/// Keeps what a person chose to see the pages in; what is `None` stays.
pub fn set_look(
    tx: &Tx<'_>,
    id: i64,
    lang: Option<&str>,
    theme: Option<&str>,
) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update user set lang = coalesce(?2, lang), theme = coalesce(?3, theme) where id = ?1",
        )?
        .execute((id, lang, theme))?;
    Ok(())
}

pub fn set_disabled(tx: &Tx<'_>, id: i64, disabled: bool) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update user set disabled_at = ?2 where id = ?1")?
        .execute((id, disabled.then_some(tx.now_ms())))?;
    Ok(())
}

pub fn set_password(tx: &Tx<'_>, id: i64, hash: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update user set password_hash = ?2 where id = ?1")?
        .execute((id, hash))?;
    Ok(())
}

pub fn clear_password(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update user set password_hash = null where id = ?1")?
        .execute([id])?;
    Ok(())
}

pub fn signed_in(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update user set signed_in_at = ?2 where id = ?1")?
        .execute((id, tx.now_ms()))?;
    Ok(())
}

/// The password's hash of an account that may sign in.
pub fn password_hash(conn: &Connection, id: i64) -> Result<Option<String>, StoreError> {
    let hash = conn
        .prepare_cached("select password_hash from user where id = ?1 and disabled_at is null")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(hash.flatten())
}

/// The authenticator's secret (base32), and the last time step that was used.
pub fn totp(conn: &Connection, id: i64) -> Result<Option<(String, i64)>, StoreError> {
    Ok(conn
        .prepare_cached(
            "select totp_secret, totp_step from user where id = ?1 and totp_secret is not null",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// Keeps a new authenticator and its recovery codes; the ones before are worth nothing.
pub fn set_totp(
    tx: &Tx<'_>,
    id: i64,
    secret: Option<&str>,
    step: i64,
    codes: &[String],
) -> Result<(), StoreError> {
    let conn = tx.conn();
    conn.prepare_cached("update user set totp_secret = ?2, totp_step = ?3 where id = ?1")?
        .execute((id, secret, step))?;
    set_recovery(tx, id, codes)
}

/// Keeps new recovery codes; the ones before are worth nothing.
pub fn set_recovery(tx: &Tx<'_>, id: i64, codes: &[String]) -> Result<(), StoreError> {
    let conn = tx.conn();
    conn.prepare_cached("delete from recovery_code where user_id = ?1")?
        .execute([id])?;
    for code in codes {
        conn.prepare_cached("insert or ignore into recovery_code (user_id, hash) values (?1, ?2)")?
            .execute((id, hash(code)))?;
    }
    Ok(())
}

/// Uses up a time step; false if it or a later one was used before.
pub fn use_step(tx: &Tx<'_>, id: i64, step: i64) -> Result<bool, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached("update user set totp_step = ?2 where id = ?1 and totp_step < ?2")?
        .execute((id, step))?
        > 0)
}

/// Uses up a recovery code; false if it is none, or was used before.
pub fn use_recovery(tx: &Tx<'_>, id: i64, code: &str) -> Result<bool, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached(
            "update recovery_code set used_at = ?3 where user_id = ?1 and hash = ?2 and used_at is null",
        )?
        .execute((id, hash(code), tx.now_ms()))?
        > 0)
}

/// Recovery codes that are left.
pub fn recovery_left(conn: &Connection, id: i64) -> Result<i64, StoreError> {
    Ok(conn
        .prepare_cached(
            "select count(*) from recovery_code where user_id = ?1 and used_at is null",
        )?
        .query_row([id], |row| row.get(0))?)
}

/// Keeps a link by which a person chooses a password: `None` is the first owner. One link a person.
pub fn add_link(
    tx: &Tx<'_>,
    secret: &str,
    user: Option<i64>,
    lasts: Duration,
) -> Result<(), StoreError> {
    let conn = tx.conn();
    conn.prepare_cached("delete from set_up_link where user_id is ?1 or expires_at < ?2")?
        .execute((user, tx.now_ms()))?;
    conn.prepare_cached("insert into set_up_link (hash, user_id, expires_at) values (?1, ?2, ?3)")?
        .execute((hash(secret), user, tx.now_ms() + lasts.as_millis() as i64))?;
    Ok(())
}

/// Whom a link is for, while it holds. The inner `None` is the first owner, whom nobody is yet.
pub fn link(
    conn: &Connection,
    secret: &str,
    now_ms: i64,
) -> Result<Option<Option<i64>>, StoreError> {
    Ok(conn
        .prepare_cached("select user_id from set_up_link where hash = ?1 and expires_at > ?2")?
        .query_row((hash(secret), now_ms), |row| row.get(0))
        .optional()?)
}

/// Uses a link up; false if it was used, or is over.
pub fn use_link(tx: &Tx<'_>, secret: &str) -> Result<bool, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached("delete from set_up_link where hash = ?1 and expires_at > ?2")?
        .execute((hash(secret), tx.now_ms()))?
        > 0)
}

/// How wrong tries stand against a name, from places its person knows or from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    pub failures: i64,
    /// When the last one was.
    pub since: i64,
    pub locked_until: i64,
}

pub fn guard(conn: &Connection, name: &str, known: bool) -> Result<Guard, StoreError> {
    let guard = conn
        .prepare_cached(
            "select failures, since, locked_until from sign_in_guard where name = ?1 and known = ?2",
        )?
        .query_row((name, known), |row| {
            Ok(Guard {
                failures: row.get(0)?,
                since: row.get(1)?,
                locked_until: row.get(2)?,
            })
        })
        .optional()?;
    Ok(guard.unwrap_or_default())
}

/// Keeps how it stands; what is a day old is forgotten.
pub fn set_guard(tx: &Tx<'_>, name: &str, known: bool, guard: Guard) -> Result<(), StoreError> {
    let conn = tx.conn();
    conn.prepare_cached("delete from sign_in_guard where since < ?1")?
        .execute([tx.now_ms() - 24 * 3_600_000])?;
    conn.prepare_cached(
        "insert into sign_in_guard (name, known, failures, since, locked_until) values (?1, ?2, ?3, ?4, ?5)
         on conflict (name, known) do update
            set failures = excluded.failures, since = excluded.since, locked_until = excluded.locked_until",
    )?
    .execute((name, known, guard.failures, guard.since, guard.locked_until))?;
    Ok(())
}

/// Forgets wrong tries: from the kind of place that was right just now, or from all.
pub fn forgive(tx: &Tx<'_>, name: &str, known: Option<bool>) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("delete from sign_in_guard where name = ?1 and (?2 is null or known = ?2)")?
        .execute((name, known))?;
    Ok(())
}

/// Takes the newest try back, which was right, and the wait that it began. Wrong ones before it stay.
pub fn give_back(tx: &Tx<'_>, name: &str, known: bool) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update sign_in_guard set failures = failures - 1, locked_until = 0
              where name = ?1 and known = ?2 and failures > 0",
        )?
        .execute((name, known))?;
    Ok(())
}

/// Whether the person has signed in from one of these places in the last ninety days.
pub fn knows_place(
    conn: &Connection,
    user: i64,
    places: &[&str],
    now_ms: i64,
) -> Result<bool, StoreError> {
    let since = now_ms - 90 * 24 * 3_600_000;
    let mut query = conn.prepare_cached(
        "select 1 from known_place where user_id = ?1 and place = ?2 and seen_at > ?3",
    )?;
    for place in places {
        if query.exists((user, place, since))? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub fn remember_place(tx: &Tx<'_>, user: i64, place: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into known_place (user_id, place, seen_at) values (?1, ?2, ?3)
             on conflict (user_id, place) do update set seen_at = excluded.seen_at",
        )?
        .execute((user, place, tx.now_ms()))?;
    Ok(())
}
