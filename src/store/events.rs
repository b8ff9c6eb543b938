//! What happened to a payment, in the order in which it happened. Rows are only added.

use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Value, json};

use super::{News, StoreError, Tx, audit, forgetting::words_for_ever, instant};
use crate::domain::payment::Status;

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Happened<'a> {
    pub payment: i64,
    pub kind: &'static str,
    /// Who made it happen: `webhook`, `browser`, `api`, `page`, `cli`, `worker`, `sweep`, `schedule`.
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
    // What PortOne told while a person waited is PortOne's; what the person did is theirs.
    if tx.acting().is_none_or(|acting| acting.by != event.actor) {
        return Ok(());
    }
    let imp_uid: String = tx
        .conn()
        .prepare_cached("select imp_uid from payment where id = ?1")?
        .query_row([event.payment], |row| row.get(0))?;
    let mut after = event.detail.clone();
    let mask = |of: &mut Value| -> Result<(), StoreError> {
        for name in ["reason", "note"] {
            if let Some(Value::String(words)) = of.get_mut(name) {
                *words = words_for_ever(tx.conn(), event.payment, words)?;
            }
        }
        Ok(())
    };
    mask(&mut after)?;
    if let Some(Value::Array(entries)) = after.get_mut("entries") {
        entries.iter_mut().try_for_each(mask)?;
    }
    if let (Some(to), Some(fields)) = (event.to, after.as_object_mut()) {
        fields.insert("status".to_owned(), to.as_str().into());
    }
    audit::note(
        tx,
        &audit::Act {
            act: &format!("payment.{}", event.kind),
            subject: &format!("payment:{imp_uid}"),
            before: event
                .from
                .map(|from| json!({ "status": from.as_str() }))
                .as_ref(),
            after: Some(&after),
        },
    )
}

/// What changed after event `last`, for pages, and the newest event there is: only that where `last`
/// is not known yet. Each payment once, as it stands now; of very many the newest `most`.
pub fn news_after(
    conn: &Connection,
    last: Option<i64>,
    most: usize,
) -> Result<(Vec<News>, i64), StoreError> {
    let newest: Option<i64> = conn
        .prepare_cached("select max(id) from event")?
        .query_row([], |row| row.get(0))?;
    let newest = newest.unwrap_or_default();
    let Some(last) = last.filter(|last| *last < newest) else {
        return Ok((Vec::new(), newest));
    };
    let mut query = conn.prepare_cached(
        "select imp_uid, status from payment
          where id in (select payment_id from event where id > ?1 and id <= ?2 order by id desc limit ?3)",
    )?;
    let news = query
        .query_map((last, newest, most as i64), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?
        .filter_map(|row| match row {
            Ok((imp_uid, status)) => Status::parse(&status).map(|status| {
                Ok(News {
                    imp_uid,
                    status: status.as_str(),
                })
            }),
            Err(error) => Some(Err(error.into())),
        })
        .collect::<Result<_, StoreError>>()?;
    Ok((news, newest))
}

/// An event as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
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
