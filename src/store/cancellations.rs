//! Cancellations and every call that was made for them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::Serialize;

use super::{StoreError, Tx, instant, instant_maybe};
use crate::domain::{
    cancellation::{Attempt, Booked, Fate, RefundAccount},
    ids::CancellationId,
    money::Won,
    seen::SeenCancel,
};

/// Whether nobody knows what became of the cancel of a payment `p`: the last call that asked for it, not only
/// read, ended so.
pub(super) const OUTCOME_UNKNOWN: &str = "p.wish is not null and 'UNKNOWN' = (
    select outcome from cancel_attempt t where t.cancellation_id = p.wish and t.asked <> 'read the payment'
     order by t.number desc limit 1)";

fn unreadable(why: impl ToString) -> StoreError {
    StoreError::Unreadable {
        table: "cancellation",
        why: why.to_string(),
    }
}

/// A wish as it is first written down.
#[derive(Clone, Debug)]
pub struct New<'a> {
    pub id: &'a CancellationId,
    pub payment: i64,
    pub amount: Won,
    pub checksum: Won,
    pub tax_free: Option<Won>,
    pub reason: &'a str,
    pub refund: Option<&'a RefundAccount>,
    pub requested_by: &'a str,
    pub idempotency_key: Option<&'a str>,
    pub request_hash: &'a str,
}

const ADD: &str = "
    insert into cancellation (id, payment_id, state, amount, checksum, tax_free, reason, refund,
                              requested_by, idempotency_key, request_hash, requested_at)
    values (:id, :payment, 'REQUESTED', :amount, :checksum, :tax_free, :reason, :refund, :by, :key,
            :hash, :now)";

pub fn add(tx: &Tx<'_>, new: &New<'_>) -> Result<(), StoreError> {
    let refund = new
        .refund
        .map(serde_json::to_string)
        .transpose()
        .map_err(unreadable)?;
    tx.conn().prepare_cached(ADD)?.execute(named_params! {
        ":id": new.id.as_str(),
        ":payment": new.payment,
        ":amount": new.amount.get(),
        ":checksum": new.checksum.get(),
        ":tax_free": new.tax_free.map(Won::get),
        ":reason": new.reason,
        ":refund": refund,
        ":by": new.requested_by,
        ":key": new.idempotency_key,
        ":hash": new.request_hash,
        ":now": tx.now_ms(),
    })?;
    Ok(())
}

/// Which order lines a cancellation gives back, and how much of each.
pub fn add_lines(tx: &Tx<'_>, id: &CancellationId, lines: &[(i64, Won)]) -> Result<(), StoreError> {
    let mut add = tx.conn().prepare_cached(
        "insert into cancellation_line (cancellation_id, line, amount) values (?1, ?2, ?3)",
    )?;
    for (line, amount) in lines {
        add.execute((id.as_str(), line, amount.get()))?;
    }
    Ok(())
}

/// Which order lines a cancellation names, and how much of each. None: it is spread over all of them.
pub fn lines(conn: &Connection, id: &str) -> Result<Vec<(i64, Won)>, StoreError> {
    let mut query = conn
        .prepare_cached("select line, amount from cancellation_line where cancellation_id = ?1")?;
    let lines = query.query_map([id], |row| Ok((row.get(0)?, Won::new(row.get(1)?))))?;
    Ok(lines.collect::<Result<_, _>>()?)
}

/// Notes which job carries a cancellation out, so that it is found by the cancellation.
pub fn carried_by(tx: &Tx<'_>, id: &CancellationId, job: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update cancellation set job_id = ?2 where id = ?1")?
        .execute((id.as_str(), job))?;
    Ok(())
}

/// A cancellation as flows, pages and programs look at it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct CancellationRow {
    pub id: String,
    pub state: Fate,
    pub amount: Won,
    pub checksum: Won,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_free: Option<Won>,
    pub reason: String,
    #[serde(skip)]
    pub refund: Option<RefundAccount>,
    pub requested_by: String,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub requested_at: Timestamp,
    #[serde(serialize_with = "super::payments::seoul_time_maybe")]
    pub finished_at: Option<Timestamp>,
    pub receipt_url: String,
    pub error: Option<String>,
    pub note: Option<String>,
    #[serde(skip)]
    pub request_hash: Option<String>,
    #[serde(skip)]
    pub imp_uid: String,
}

const COLUMNS: &str =
    "c.id, c.state, c.amount, c.checksum, c.reason, c.refund, c.requested_by, c.requested_at,
                       c.finished_at, c.receipt_url, c.error, c.note, c.request_hash, p.imp_uid, c.tax_free";

fn read(row: &Row<'_>) -> Result<CancellationRow, StoreError> {
    let state: String = row.get(1)?;
    let refund: Option<String> = row.get(5)?;
    Ok(CancellationRow {
        id: row.get(0)?,
        state: Fate::parse(&state).ok_or_else(|| unreadable(&state))?,
        amount: Won::new(row.get(2)?),
        checksum: Won::new(row.get(3)?),
        reason: row.get(4)?,
        refund: refund
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(unreadable)?,
        requested_by: row.get(6)?,
        requested_at: instant(row.get(7)?)?,
        finished_at: instant_maybe(row.get(8)?)?,
        receipt_url: row.get(9)?,
        error: row.get(10)?,
        note: row.get(11)?,
        request_hash: row.get(12)?,
        imp_uid: row.get(13)?,
        tax_free: row.get::<_, Option<i64>>(14)?.map(Won::new),
    })
}

fn one(conn: &Connection, by: &str, value: &str) -> Result<Option<CancellationRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from cancellation c join payment p on p.id = c.payment_id where {by} = ?1"
    );
    let mut query = conn.prepare_cached(&sql)?;
    let found = query.query_row([value], |row| Ok(read(row))).optional()?;
    found.transpose()
}

pub fn get(conn: &Connection, id: &CancellationId) -> Result<Option<CancellationRow>, StoreError> {
    one(conn, "c.id", id.as_str())
}

pub fn with_key(conn: &Connection, key: &str) -> Result<Option<CancellationRow>, StoreError> {
    one(conn, "c.idempotency_key", key)
}

/// All of a payment's, oldest first.
pub fn of_payment(conn: &Connection, payment: i64) -> Result<Vec<CancellationRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from cancellation c join payment p on p.id = c.payment_id
          where c.payment_id = ?1 order by c.requested_at, c.id"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query.query_and_then([payment], read)?.collect()
}

/// What matching with PortOne's books needs.
pub fn booked(conn: &Connection, payment: i64) -> Result<Vec<Booked>, StoreError> {
    let mut query = conn
        .prepare_cached("select id, gateway_key, amount from cancellation where payment_id = ?1")?;
    query
        .query_and_then([payment], |row| {
            Ok(Booked {
                id: CancellationId::new(row.get::<_, String>(0)?).map_err(unreadable)?,
                key: row.get(1)?,
                amount: Won::new(row.get(2)?),
            })
        })?
        .collect()
}

/// Ours stands in PortOne's books: it is done, with the amount that went back.
pub fn done(tx: &Tx<'_>, id: &CancellationId, entry: &SeenCancel) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update cancellation
                set state = 'DONE', gateway_key = ?2, amount = ?3, checksum = max(checksum, ?3),
                    receipt_url = ?4, finished_at = ?5, cancelled_at = ?6, refund = null, error = null
              where id = ?1",
        )?
        .execute((
            id.as_str(),
            &entry.key,
            entry.amount.get(),
            &entry.receipt_url,
            tx.now_ms(),
            entry.at.unwrap_or(tx.now).as_millisecond(),
        ))?;
    Ok(())
}

/// An entry of PortOne's books that nobody here asked for.
pub fn add_elsewhere(
    tx: &Tx<'_>,
    payment: i64,
    id: &CancellationId,
    before: Won,
    entry: &SeenCancel,
) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into cancellation (id, payment_id, state, amount, checksum, reason, requested_by,
                                       requested_at, cancelled_at, finished_at, gateway_key, receipt_url)
             values (?1, ?2, 'DONE', ?3, ?4, ?5, 'elsewhere', ?6, ?6, ?7, ?8, ?9)",
        )?
        .execute((
            id.as_str(),
            payment,
            entry.amount.get(),
            before.get(),
            &entry.reason,
            entry.at.unwrap_or(tx.now).as_millisecond(),
            tx.now_ms(),
            &entry.key,
            &entry.receipt_url,
        ))?;
    Ok(())
}

/// Moves a cancellation that is not in PortOne's books to another fate than done.
pub fn set_fate(
    tx: &Tx<'_>,
    id: &CancellationId,
    fate: Fate,
    error: Option<&str>,
    note: Option<&str>,
) -> Result<(), StoreError> {
    let finished = matches!(fate, Fate::Discarded | Fate::Superseded);
    tx.conn()
        .prepare_cached(
            "update cancellation
                set state = ?2, error = coalesce(?3, error), note = coalesce(?4, note),
                    finished_at = case when ?5 then ?6 end, refund = case when ?5 then null else refund end
              where id = ?1 and state <> 'DONE'",
        )?
        .execute((id.as_str(), fate.as_str(), error, note, finished, tx.now_ms()))?;
    Ok(())
}

/// After a reading that explained a difference: the balance that the next call is to carry.
pub fn set_checksum(tx: &Tx<'_>, id: &CancellationId, checksum: Won) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update cancellation set checksum = ?2 where id = ?1 and state = 'REQUESTED'",
        )?
        .execute((id.as_str(), checksum.get()))?;
    Ok(())
}

/// Keeps one call to PortOne. Its number counts on from the last.
pub fn add_attempt(tx: &Tx<'_>, id: &CancellationId, attempt: &Attempt) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into cancel_attempt (cancellation_id, number, step, started_at, finished_at, asked,
                                         outcome, answer)
             values (?1, (select coalesce(max(number), 0) + 1 from cancel_attempt where cancellation_id = ?1),
                     ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            id.as_str(),
            attempt.step.as_str(),
            attempt.started_at.as_millisecond(),
            attempt.finished_at.as_millisecond(),
            &attempt.asked,
            attempt.outcome.as_str(),
            &attempt.answer,
        ))?;
    Ok(())
}

/// An attempt as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct AttemptRow {
    pub number: u32,
    pub step: String,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub started_at: Timestamp,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub finished_at: Timestamp,
    pub asked: String,
    pub outcome: String,
    pub answer: String,
}

pub fn attempts(conn: &Connection, id: &str) -> Result<Vec<AttemptRow>, StoreError> {
    let mut query = conn.prepare_cached(
        "select number, step, started_at, finished_at, asked, outcome, answer
           from cancel_attempt where cancellation_id = ?1 order by number",
    )?;
    query
        .query_and_then([id], |row| {
            Ok(AttemptRow {
                number: row.get(0)?,
                step: row.get(1)?,
                started_at: instant(row.get(2)?)?,
                finished_at: instant(row.get(3)?)?,
                asked: row.get(4)?,
                outcome: row.get(5)?,
                answer: row.get(6)?,
            })
        })?
        .collect()
}

pub fn count_attempts(conn: &Connection, id: &CancellationId) -> Result<u32, StoreError> {
    Ok(conn
        .prepare_cached("select count(*) from cancel_attempt where cancellation_id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))?)
}
