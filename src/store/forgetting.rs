//! Buyers whose time is over are taken out of the books; what was paid, and to whom it was owed, stays.
//!
//! What says who somebody was: name, phone, mail and deposit account of a payment, the shop's id of its customer on
//! an order, words that people wrote about a cancel, and answers that were kept for an idempotency key. A payment
//! that is not settled with (a cancel under way or dead, a hold on money that is still here) keeps its buyer until it is.

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;

use super::{
    StoreError, Tx,
    events::{self, Happened},
    search,
};

const DUE: &str = "
    select id from payment
     where forgotten_at is null and at < ?1 and wish is null and (hold is null or status in ('CANCELED', 'FAILED'))
     order by at limit ?2";
const PAYMENT: &str = "
    update payment set forgotten_at = ?2,
           about = json_set(about, '$.buyer_name', '', '$.buyer_email', '', '$.buyer_tel', '', '$.virtual_account', '')
     where id = ?1";
const CANCELLATIONS: &str =
    "update cancellation set reason = '', note = null where payment_id = ?1";
/// As the trigger on the table has it, which lets nothing else be changed.
const EVENTS: &str = "
    update event set detail = json_remove(
               case when json_type(detail, '$.entries') = 'array' then json_set(detail, '$.entries', (
                       select json_group_array(json_remove(value, '$.reason')) from json_each(detail, '$.entries')))
                    else detail end,
               '$.reason', '$.note')
     where payment_id = ?1";
const ALERTS: &str = "
    update alert set body = json_set(body, '$.reason', '')
     where payment_id = ?1 and json_type(body, '$.reason') is not null";
const ORDERS_DUE: &str = "
    select o.merchant_uid from merchant_order o
     where o.buyer is not null and o.created_at < ?1
       and not exists (select 1 from payment p where p.merchant_uid = o.merchant_uid and p.forgotten_at is null)
     limit ?2";
const ORDER: &str = "
    update merchant_order as o set buyer = null
     where o.merchant_uid = ?1
       and not exists (select 1 from payment p where p.merchant_uid = o.merchant_uid and p.forgotten_at is null)";
const ANSWERS: &str = "
    update asked_once set body = null
     where id in (select id from asked_once where body is not null and status is not null and at < ?1
                   order by at limit ?2)";

/// What grows with the books, for the test of how SQLite goes about it.
#[cfg(test)]
pub(super) const ALL: [&str; 7] = [
    DUE,
    CANCELLATIONS,
    EVENTS,
    ALERTS,
    ORDERS_DUE,
    ORDER,
    ANSWERS,
];

/// Forgets the buyers of the oldest payments made before `before`, at most `most` of them. Gives how many. Each
/// notes it in its own timeline.
pub fn payments(tx: &mut Tx<'_>, before: Timestamp, most: usize) -> Result<usize, StoreError> {
    let due = due(tx.conn(), before, most)?;
    for id in &due {
        let conn = tx.conn();
        // First the mark, without which nobody may touch what happened.
        conn.prepare_cached(PAYMENT)?.execute((id, tx.now_ms()))?;
        for words in [CANCELLATIONS, EVENTS, ALERTS] {
            conn.prepare_cached(words)?.execute([id])?;
        }
        search::forget(conn, *id)?;
        let happened = Happened {
            payment: *id,
            kind: "buyer_forgotten",
            actor: "schedule",
            from: None,
            to: None,
            detail: json!({}),
        };
        events::add(tx, &happened)?;
    }
    Ok(due.len())
}

fn due(conn: &Connection, before: Timestamp, most: usize) -> Result<Vec<i64>, StoreError> {
    let mut query = conn.prepare_cached(DUE)?;
    let found = query.query_map((before.as_millisecond(), most as i64), |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Whether the buyer of a payment was forgotten: what PortOne still tells of them is not written down again.
pub fn is_forgotten(conn: &Connection, payment: i64) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached("select forgotten_at is not null from payment where id = ?1")?
        .query_row([payment], |row| row.get(0))?)
}

/// A payment that was settled with moves again, and its buyer is needed for it: whoever is known now is forgotten in
/// a later night.
pub fn comes_back(conn: &Connection, payment: i64) -> Result<(), StoreError> {
    conn.prepare_cached(
        "update payment set forgotten_at = null where id = ?1 and forgotten_at is not null",
    )?
    .execute([payment])?;
    Ok(())
}

/// Orders made before `before` that name a buyer whom no payment of theirs names any more. Goes through all that name
/// one, so it is for reading beside the writer.
pub fn orders_due(
    conn: &Connection,
    before: Timestamp,
    most: usize,
) -> Result<Vec<String>, StoreError> {
    let mut query = conn.prepare_cached(ORDERS_DUE)?;
    let found = query.query_map((before.as_millisecond(), most as i64), |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Forgets whose these orders were, unless a payment has come meanwhile. Gives of how many.
pub fn orders(tx: &mut Tx<'_>, due: &[String]) -> Result<usize, StoreError> {
    let mut forget = tx.conn().prepare_cached(ORDER)?;
    let mut forgotten = 0;
    for order in due {
        forgotten += forget.execute([order])?;
    }
    Ok(forgotten)
}

/// Forgets what answers said that were given before `before`.
pub fn answers(tx: &mut Tx<'_>, before: Timestamp, most: usize) -> Result<usize, StoreError> {
    let limits = (before.as_millisecond(), most as i64);
    Ok(tx.conn().prepare_cached(ANSWERS)?.execute(limits)?)
}
