//! What happened to a payment, in the order in which it happened. Rows are only added.

use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::Value;

use super::{StoreError, Tx, instant};
use crate::domain::payment::Status;

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Happened<'a> {
    pub payment: i64,
    pub kind: &'static str,
    /// Who made it happen: `webhook`, `browser`, `api`, `page`, `cli`, `worker`, `sweep`.
    pub actor: &'a str,
    pub from: Option<Status>,
    pub to: Option<Status>,
    pub detail: Value,
}

pub fn add(tx: &Tx<'_>, event: &Happened<'_>) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into event (payment_id, at, kind, actor, from_status, to_status, detail)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            event.payment,
            tx.now_ms(),
            event.kind,
            event.actor,
            event.from.map(Status::as_str),
            event.to.map(Status::as_str),
            event.detail.to_string(),
        ))?;
    Ok(())
}

/// An event as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct EventRow {
    pub id: i64,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub at: Timestamp,
    pub kind: String,
    pub actor: String,
    pub from: Option<String>,
    pub to: Option<String>,
    pub detail: Value,
}

pub fn of_payment(conn: &Connection, payment: i64) -> Result<Vec<EventRow>, StoreError> {
    let mut query = conn.prepare_cached(
        "select id, at, kind, actor, from_status, to_status, detail
           from event where payment_id = ?1 order by id",
    )?;
    query
        .query_and_then([payment], |row| {
            let detail: String = row.get(6)?;
            Ok(EventRow {
                id: row.get(0)?,
                at: instant(row.get(1)?)?,
                kind: row.get(2)?,
                actor: row.get(3)?,
                from: row.get(4)?,
                to: row.get(5)?,
                detail: serde_json::from_str(&detail).unwrap_or(Value::Null),
            })
        })?
        .collect()
}
