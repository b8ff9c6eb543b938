//! Signed-in browsers. Only hashes of their secrets are kept.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::{StoreError, Tx, admin::hash, instant};
use crate::domain::account::Role;

/// Whether all that was asked has been shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The password was right, the authenticator's code is still to come.
    Code,
    Open,
}

/// A session and whose it is: all that a request needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    pub id: String,
    pub user: i64,
    pub name: String,
    pub role: Role,
    pub partner: Option<String>,
    pub has_totp: bool,
    pub stage: Stage,
    pub seen_at: i64,
    pub proved_at: i64,
}

/// From where a browser comes.
#[derive(Clone, Debug)]
pub struct From {
    pub address: String,
    pub agent: String,
}

/// How long a session lasts.
#[derive(Clone, Copy, Debug)]
pub struct Lasts {
    /// In all.
    pub whole: Duration,
    /// Without a request.
    pub idle: Duration,
}

/// A half-open session waits no longer than this for the code.
const CODE_WAITS: Duration = Duration::from_secs(10 * 60);

/// Opens a session for the browser that holds `secret`.
pub fn open(
    tx: &Tx<'_>,
    secret: &str,
    user: i64,
    stage: Stage,
    lasts: Lasts,
    from: &From,
) -> Result<(), StoreError> {
    let (stage, whole) = match stage {
        Stage::Code => ("code", CODE_WAITS.min(lasts.whole)),
        Stage::Open => ("open", lasts.whole),
    };
    let conn = tx.conn();
    conn.execute("delete from session where expires_at < ?1", [tx.now_ms()])?;
    let hashed = hash(secret);
    // Behind another hash, so that the name tells nothing of what is in the cookie.
    let id: String = hash(&hashed).chars().take(16).collect();
    conn.prepare_cached(
        "insert into session (token_hash, id, user_id, stage, created_at, seen_at, expires_at, proved_at, address, agent)
         values (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?5, ?7, ?8)",
    )?
    .execute((
        hashed,
        id,
        user,
        stage,
        tx.now_ms(),
        tx.now_ms() + whole.as_millis() as i64,
        &from.address,
        &from.agent,
    ))?;
    Ok(())
}

/// The session that a secret opens, if it is neither over nor asleep, and its person may sign in.
pub fn find(
    conn: &Connection,
    secret: &str,
    now_ms: i64,
    idle: Duration,
) -> Result<Option<Session>, StoreError> {
    let found = conn
        .prepare_cached(
            "select s.id, s.user_id, u.name, u.role, u.partner_id, u.totp_secret is not null, s.stage, s.seen_at, s.proved_at
               from session s join user u on u.id = s.user_id
              where s.token_hash = ?1 and s.expires_at > ?2 and s.seen_at > ?3 and u.disabled_at is null",
        )?
        .query_row(
            (hash(secret), now_ms, now_ms - idle.as_millis() as i64),
            |row| {
                let role: String = row.get(3)?;
                let stage: String = row.get(6)?;
                Ok((
                    role,
                    Session {
                        id: row.get(0)?,
                        user: row.get(1)?,
                        name: row.get(2)?,
                        role: Role::Viewer,
                        partner: row.get(4)?,
                        has_totp: row.get(5)?,
                        stage: if stage == "open" { Stage::Open } else { Stage::Code },
                        seen_at: row.get(7)?,
                        proved_at: row.get(8)?,
                    },
                ))
            },
        )
        .optional()?;
    let Some((role, session)) = found else {
        return Ok(None);
    };
    let role = Role::parse(&role).ok_or(StoreError::Unreadable {
        table: "user",
        why: format!("there is no role `{role}`"),
    })?;
    Ok(Some(Session { role, ..session }))
}

/// Notes that the session is in use.
pub fn seen(tx: &Tx<'_>, id: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update session set seen_at = ?2 where id = ?1")?
        .execute((id, tx.now_ms()))?;
    Ok(())
}

/// Notes that the person proved who they are, just now.
pub fn proved(tx: &Tx<'_>, id: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update session set proved_at = ?2, seen_at = ?2 where id = ?1")?
        .execute((id, tx.now_ms()))?;
    Ok(())
}

/// Ends a session by its secret; false if there is none.
pub fn close(tx: &Tx<'_>, secret: &str) -> Result<bool, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached("delete from session where token_hash = ?1")?
        .execute([hash(secret)])?
        > 0)
}

/// Whether a person's session is still there, by the name it is listed under.
pub fn is_there(conn: &Connection, user: i64, id: &str) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached("select 1 from session where user_id = ?1 and id = ?2")?
        .exists((user, id))?)
}

/// Ends one of a person's sessions by the name it is listed under; false if there is none.
pub fn revoke(tx: &Tx<'_>, user: i64, id: &str) -> Result<bool, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached("delete from session where user_id = ?1 and id = ?2")?
        .execute((user, id))?
        > 0)
}

/// Ends all of a person's sessions, or all but one.
pub fn close_all(tx: &Tx<'_>, user: i64, but: Option<&str>) -> Result<usize, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached("delete from session where user_id = ?1 and id is not ?2")?
        .execute((user, but))?)
}

/// A session as its person sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    pub id: String,
    pub created_at: Timestamp,
    pub seen_at: Timestamp,
    pub expires_at: Timestamp,
    pub address: String,
    pub agent: String,
}

/// A person's open sessions, the last used first.
pub fn of_user(conn: &Connection, user: i64, now_ms: i64) -> Result<Vec<Listed>, StoreError> {
    let mut query = conn.prepare_cached(
        "select id, created_at, seen_at, expires_at, address, agent from session
          where user_id = ?1 and expires_at > ?2 and stage = 'open' order by seen_at desc limit 100",
    )?;
    let mut rows = query.query((user, now_ms))?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        listed.push(Listed {
            id: row.get(0)?,
            created_at: instant(row.get(1)?)?,
            seen_at: instant(row.get(2)?)?,
            expires_at: instant(row.get(3)?)?,
            address: row.get(4)?,
            agent: row.get(5)?,
        });
    }
    Ok(listed)
}
