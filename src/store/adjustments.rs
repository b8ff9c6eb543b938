//! Corrections by hand: each is one movement of its own.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;

use super::{
    StoreError, Tx, instant,
    movements::{self, day},
};
use crate::domain::{calendar::KstDay, contract::Position, money::Won, settlement::Kind};

/// Writes an adjustment and its movement. `source` names the file and row that it came from; the same
/// row again is refused by the rule `adjustment_row_of_a_file_is_taken_once`.
pub fn add(
    tx: &Tx<'_>,
    partner: &str,
    amount: Won,
    reason: &str,
    source: Option<&str>,
    by: &str,
) -> Result<(i64, KstDay), StoreError> {
    let day = movements::counting_day(tx.conn(), KstDay::of(tx.now))?;
    let id: i64 = tx
        .conn()
        .prepare_cached(
            "insert into adjustment (partner_id, day, amount, reason, source, created_at, created_by)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7) returning id",
        )?
        .query_row(
            (
                partner,
                day.to_string(),
                amount.get(),
                reason,
                source,
                tx.now_ms(),
                by,
            ),
            |row| row.get(0),
        )?;
    movements::add(
        tx,
        &movements::New {
            partner,
            kind: Kind::Adjustment,
            payment: None,
            order_line: None,
            cause: Some(&format!("a{id}")),
            happened_at: tx.now,
            terms_day: day,
            before: Position::NONE,
            after: Position::NONE,
            adjustment: amount,
        },
    )?;
    Ok((id, day))
}

/// Whether a row of a file has been taken.
pub fn taken(conn: &Connection, source: &str) -> Result<Option<i64>, StoreError> {
    Ok(conn
        .prepare_cached("select id from adjustment where source = ?1")?
        .query_row([source], |row| row.get(0))
        .optional()?)
}

/// An adjustment as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AdjustmentRow {
    pub id: i64,
    pub partner: String,
    pub partner_name: String,
    /// The settlement's day on which it counts.
    pub day: KstDay,
    pub amount: Won,
    pub reason: String,
    pub source: Option<String>,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub created_at: Timestamp,
    pub created_by: String,
}

/// One of them.
pub fn get(conn: &Connection, id: i64) -> Result<Option<AdjustmentRow>, StoreError> {
    let mut query = conn.prepare_cached(
        "select a.id, a.partner_id, p.name, a.day, a.amount, a.reason, a.source, a.created_at, a.created_by
           from adjustment a join partner p on p.id = a.partner_id where a.id = ?1",
    )?;
    query.query_and_then([id], read)?.next().transpose()
}

fn read(row: &Row<'_>) -> Result<AdjustmentRow, StoreError> {
    Ok(AdjustmentRow {
        id: row.get(0)?,
        partner: row.get(1)?,
        partner_name: row.get(2)?,
        day: day(row, 3)?,
        amount: Won::new(row.get(4)?),
        reason: row.get(5)?,
        source: row.get(6)?,
        created_at: instant(row.get(7)?)?,
        created_by: row.get(8)?,
    })
}

/// Newest first, behind `before`; of one partner, or of all.
pub fn list(
    conn: &Connection,
    partner: Option<&str>,
    before: Option<i64>,
    most: usize,
) -> Result<Vec<AdjustmentRow>, StoreError> {
    let mut query = conn.prepare_cached(match partner {
        Some(_) => {
            "select a.id, a.partner_id, p.name, a.day, a.amount, a.reason, a.source, a.created_at, a.created_by
               from adjustment a join partner p on p.id = a.partner_id
              where a.id < ?1 and a.partner_id = ?2 order by a.id desc limit ?3"
        }
        None => {
            "select a.id, a.partner_id, p.name, a.day, a.amount, a.reason, a.source, a.created_at, a.created_by
               from adjustment a join partner p on p.id = a.partner_id
              where a.id < ?1 and ?2 is null order by a.id desc limit ?3"
        }
    })?;
    query
        .query_and_then((before.unwrap_or(i64::MAX), partner, most as i64), read)?
        .collect()
}
