//! Alerts: kept before they are sent, so that none is lost because Slack was down.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;

use super::{StoreError, Tx, instant, instant_maybe};
use crate::domain::alert::Alert;

fn unreadable(why: impl ToString) -> StoreError {
    StoreError::Unreadable {
        table: "alert",
        why: why.to_string(),
    }
}

/// Keeps an alert. `None` if one of the same topic is open already.
pub fn add(tx: &Tx<'_>, alert: &Alert, payment: Option<i64>) -> Result<Option<i64>, StoreError> {
    let body = serde_json::to_string(alert).map_err(unreadable)?;
    let added = tx
        .conn()
        .prepare_cached(
            "insert into alert (at, kind, severity, body, payment_id, topic) values (?1, ?2, ?3, ?4, ?5, ?6)
             on conflict (topic) where topic is not null and resolved_at is null do nothing",
        )?
        .execute((
            tx.now_ms(),
            alert.kind(),
            alert.severity().as_str(),
            body,
            payment,
            alert.topic(),
        ))?;
    Ok((added == 1).then(|| tx.conn().last_insert_rowid()))
}

/// What an alert is in its episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It opened the episode, and is told by itself.
    First,
    /// It is told together with others.
    Together,
    /// It tells of them.
    Message,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Role::First => "first",
            Role::Together => "together",
            Role::Message => "message",
        }
    }
}

/// Puts an alert into an episode.
pub fn join(tx: &Tx<'_>, id: i64, episode: i64, role: Role) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update alert set episode_id = ?2, role = ?3 where id = ?1")?
        .execute((id, episode, role.as_str()))?;
    Ok(())
}

/// Closes the open alert of a topic. True if there was one.
pub fn resolve(tx: &Tx<'_>, topic: &str) -> Result<bool, StoreError> {
    let changed = tx
        .conn()
        .prepare_cached(
            "update alert set resolved_at = ?2 where topic = ?1 and resolved_at is null",
        )?
        .execute((topic, tx.now_ms()))?;
    Ok(changed > 0)
}

pub fn delivered(tx: &Tx<'_>, id: i64, to: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update alert set delivered_at = ?2, delivered_to = ?3 where id = ?1 and delivered_at is null",
        )?
        .execute((id, tx.now_ms(), to))?;
    Ok(())
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct AlertRow {
    pub id: i64,
    pub at: Timestamp,
    pub severity: String,
    #[schema(value_type = Object)]
    pub alert: Alert,
    pub resolved_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub delivered_to: Option<String>,
    /// It is told together with others of its episode, and not by itself.
    pub together: bool,
    /// The message that told it, or will when it arrives.
    pub told_by: Option<i64>,
}

/// One that is told together with others arrived when the next message of its episode did.
const COLUMNS: &str =
    "a.id, a.at, a.severity, a.body, a.resolved_at, coalesce(a.delivered_at, m.delivered_at),
                       coalesce(a.delivered_to, m.delivered_to), a.role is 'together', m.id";

pub const FROM: &str = "alert a left join alert m on a.role = 'together' and m.id = (
                        select min(id) from alert n where n.episode_id = a.episode_id and n.role = 'message' and n.id > a.id)";

fn read(row: &Row<'_>) -> Result<AlertRow, StoreError> {
    let body: String = row.get(3)?;
    Ok(AlertRow {
        id: row.get(0)?,
        at: instant(row.get(1)?)?,
        severity: row.get(2)?,
        alert: serde_json::from_str(&body).map_err(unreadable)?,
        resolved_at: instant_maybe(row.get(4)?)?,
        delivered_at: instant_maybe(row.get(5)?)?,
        delivered_to: row.get(6)?,
        together: row.get(7)?,
        told_by: row.get(8)?,
    })
}

pub fn get(conn: &Connection, id: i64) -> Result<Option<AlertRow>, StoreError> {
    let sql = format!("select {COLUMNS} from {FROM} where a.id = ?1");
    let mut query = conn.prepare_cached(&sql)?;
    let found = query.query_row([id], |row| Ok(read(row))).optional()?;
    found.transpose()
}

/// Newest first, below `before`.
pub fn newest(
    conn: &Connection,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<AlertRow>, StoreError> {
    let sql =
        format!("select {COLUMNS} from {FROM} where a.id < ?1 order by a.id desc limit ?2 + 0");
    let mut query = conn.prepare_cached(&sql)?;
    query
        .query_and_then((before.unwrap_or(i64::MAX), limit as i64), read)?
        .collect()
}

pub const OPEN: &str = "a.id in (select id from alert indexed by alert_open
     where topic is not null and resolved_at is null and kind = ?3 and id < ?1 order by id desc limit ?2 + 0)";

/// Those of a kind whose reason has not passed, newest first, below `before`.
pub fn open(
    conn: &Connection,
    kind: &str,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<AlertRow>, StoreError> {
    let sql = format!("select {COLUMNS} from {FROM} where {OPEN} order by a.id desc");
    let mut query = conn.prepare_cached(&sql)?;
    query
        .query_and_then((before.unwrap_or(i64::MAX), limit as i64, kind), read)?
        .collect()
}

/// Alerts about one payment, oldest first.
pub fn of_payment(conn: &Connection, payment: i64) -> Result<Vec<AlertRow>, StoreError> {
    let sql =
        format!("select {COLUMNS} from {FROM} where a.payment_id = ?1 order by a.id limit 200");
    let mut query = conn.prepare_cached(&sql)?;
    query.query_and_then([payment], read)?.collect()
}
