//! Corrections by hand: each is one movement of its own.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;

use super::{
    StoreError, Tx, instant,
    movements::{self, day},
};
use crate::domain::{calendar::KstDay, contract::Position, money::Won, settlement::Kind};

/// An adjustment before it is written.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    pub partner: &'a str,
    pub amount: Won,
    pub reason: &'a str,
    /// The file and row that it came from.
    pub source: Option<&'a str>,
    pub by: &'a str,
    /// The approval that it needed, and who gave it.
    pub approved: Option<(i64, &'a str)>,
}

/// Writes an adjustment and its movement. The same row of a file again is refused by the rule
/// `adjustment_row_of_a_file_is_taken_once`.
pub fn add(tx: &Tx<'_>, new: &New<'_>) -> Result<(i64, KstDay), StoreError> {
    let day = movements::counting_day(tx.conn(), KstDay::of(tx.now))?;
    let (approval, approver) = new.approved.unzip();
    let id: i64 = tx
        .conn()
        .prepare_cached(
            "insert into adjustment (partner_id, day, amount, reason, source, created_at, created_by, approval_id, approved_by)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) returning id",
        )?
        .query_row(
            (
                new.partner,
                day.to_string(),
                new.amount.get(),
                new.reason,
                new.source,
                tx.now_ms(),
                new.by,
                approval,
                approver,
            ),
            |row| row.get(0),
        )?;
    movements::add(
        tx,
        &movements::New {
            partner: new.partner,
            kind: Kind::Adjustment,
            payment: None,
            order_line: None,
            cause: Some(&format!("a{id}")),
            happened_at: tx.now,
            terms_day: day,
            before: Position::NONE,
            after: Position::NONE,
            adjustment: new.amount,
        },
    )?;
    Ok((id, day))
}

/// What somebody booked for a partner on a day without a second person, without its signs.
pub fn alone(conn: &Connection, by: &str, partner: &str, day: KstDay) -> Result<Won, StoreError> {
    let mut query = conn.prepare_cached(
        "select coalesce(sum(abs(amount)), 0) from adjustment
          where created_by = ?1 and partner_id = ?2 and created_at >= ?3 and created_at < ?4 and approval_id is null",
    )?;
    let (from, to) = (day.start().as_millisecond(), day.end().as_millisecond());
    Ok(query.query_row((by, partner, from, to), |row| row.get(0).map(Won::new))?)
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
    /// The second person, of one that needed it.
    pub approved_by: Option<String>,
}

/// One of them.
pub fn get(conn: &Connection, id: i64) -> Result<Option<AdjustmentRow>, StoreError> {
    let mut query = conn.prepare_cached(
        "select a.id, a.partner_id, p.name, a.day, a.amount, a.reason, a.source, a.created_at, a.created_by, a.approved_by
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
        approved_by: row.get(9)?,
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
            "select a.id, a.partner_id, p.name, a.day, a.amount, a.reason, a.source, a.created_at, a.created_by, a.approved_by
               from adjustment a join partner p on p.id = a.partner_id
              where a.id < ?1 and a.partner_id = ?2 order by a.id desc limit ?3 + 0"
        }
        None => {
            "select a.id, a.partner_id, p.name, a.day, a.amount, a.reason, a.source, a.created_at, a.created_by, a.approved_by
               from adjustment a join partner p on p.id = a.partner_id
              where a.id < ?1 and ?2 is null order by a.id desc limit ?3 + 0"
        }
    })?;
    query
        .query_and_then((before.unwrap_or(i64::MAX), partner, most as i64), read)?
        .collect()
}
