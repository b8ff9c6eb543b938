//! What happened to settlements, partners, contracts, payouts and the calendar. Rows are only added.

use std::fmt;

use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::Value;

use super::{StoreError, Tx, audit, instant};

/// What something happened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    Settlement(i64),
    /// With its contracts and adjustments.
    Partner(&'a str),
    Batch(i64),
    Calendar,
    Day(crate::domain::calendar::KstDay),
    BankTemplates,
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Settlement(id) => write!(f, "settlement:{id}"),
            Subject::Partner(id) => write!(f, "partner:{id}"),
            Subject::Batch(id) => write!(f, "payout:{id}"),
            Subject::Calendar => f.write_str("calendar"),
            Subject::Day(day) => write!(f, "day:{day}"),
            Subject::BankTemplates => f.write_str("bank_templates"),
        }
    }
}

pub fn add(
    tx: &Tx<'_>,
    subject: &Subject<'_>,
    kind: &'static str,
    actor: &str,
    detail: &Value,
) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into history (subject, at, kind, actor, detail) values (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            subject.to_string(),
            tx.now_ms(),
            kind,
            actor,
            detail.to_string(),
        ))?;
    if CONSEQUENCES.contains(&kind) {
        return Ok(());
    }
    let subject = subject.to_string();
    let of = subject.split(':').next().unwrap_or_default();
    let act = format!("{of}.{kind}");
    audit::note(
        tx,
        &audit::Act {
            act: &act,
            subject: &subject,
            before: None,
            after: Some(detail),
        },
    )
}

/// What follows for each settlement from one act that has an audit line of its own: a day was
/// settled, a batch was made.
const CONSEQUENCES: [&str; 3] = ["requested", "processing", "covered"];

/// One thing that happened, as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Happened {
    pub id: i64,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub at: Timestamp,
    pub kind: String,
    pub actor: String,
    pub detail: Value,
}

/// The newest `most` of a subject, newest first.
pub fn of(
    conn: &Connection,
    subject: &Subject<'_>,
    most: usize,
) -> Result<Vec<Happened>, StoreError> {
    let mut query = conn.prepare_cached(
        "select id, at, kind, actor, detail from history where subject = ?1 order by id desc limit ?2",
    )?;
    query
        .query_and_then((subject.to_string(), most as i64), |row| {
            let detail: String = row.get(4)?;
            Ok(Happened {
                id: row.get(0)?,
                at: instant(row.get(1)?)?,
                kind: row.get(2)?,
                actor: row.get(3)?,
                detail: serde_json::from_str(&detail).unwrap_or(Value::Null),
            })
        })?
        .collect()
}
