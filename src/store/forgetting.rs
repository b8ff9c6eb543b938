//! Buyers whose time is over are taken out of the books; what was paid, and to whom it was owed, stays.
//!
//! What says who somebody was: name, phone, mail and deposit account of a payment, the shop's id of its customer on
//! an order, words that people wrote about a cancel, and answers that were kept for an idempotency key. A payment
//! that is not settled with (a cancel under way or dead, a hold on money that is still here) keeps its buyer until it is,
//! and one of which something was cancelled keeps it for the time after that.

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;

use super::{
    StoreError, Tx,
    events::{self, Happened},
    search,
};
use crate::domain::{
    masks::{masked_name, masked_text},
    seen::About,
};

const DUE: &str = "
    select id from payment
     where forgotten_at is null and at < ?1 and wish is null and (hold is null or status in ('READY', 'CANCELED', 'FAILED'))
       and not exists (select 1 from cancellation c
                        where c.payment_id = payment.id and coalesce(c.finished_at, c.requested_at) >= ?1)
     order by at limit ?2";
const PAYMENT: &str = "
    update payment set forgotten_at = ?2,
           about = json_set(about, '$.buyer_name', '', '$.buyer_email', '', '$.buyer_tel', '',
                            '$.virtual_account', '', '$.receipt_url', '')
     where id = ?1";
const CANCELLATIONS: &str = "
    update cancellation set reason = '', note = null, receipt_url = '' where payment_id = ?1";
/// As the trigger on the table has it, which lets nothing else be changed.
const EVENTS: &str = "
    update event set detail = json_remove(
               case when json_type(detail, '$.entries') = 'array' then json_set(detail, '$.entries', json((
                       select json_group_array(json_remove(value, '$.reason')) from json_each(detail, '$.entries'))))
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
    update merchant_order as o set buyer = null, forgotten_at = ?2
     where o.merchant_uid = ?1 and o.buyer is not null
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
    let now = tx.now_ms();
    for id in &due {
        let conn = tx.conn();
        // First the mark, without which nobody may touch what happened.
        conn.prepare_cached(PAYMENT)?.execute((id, now))?;
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
    if !due.is_empty() {
        search::mark_stale(tx.conn())?;
    }
    Ok(due.len())
}

fn due(conn: &Connection, before: Timestamp, most: usize) -> Result<Vec<i64>, StoreError> {
    let mut query = conn.prepare_cached(DUE)?;
    let found = query.query_map((before.as_millisecond(), most as i64), |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// What may be written down of what PortOne tells: nothing of a buyer who was forgotten.
pub fn about(conn: &Connection, payment: i64, seen: &About) -> Result<About, StoreError> {
    let forgotten: bool = conn
        .prepare_cached("select forgotten_at is not null from payment where id = ?1")?
        .query_row([payment], |row| row.get(0))?;
    Ok(if forgotten {
        seen.without_person()
    } else {
        seen.clone()
    })
}

/// What people wrote about a payment, as the audit log keeps it, which never forgets: with numbers, addresses and the
/// buyer's name masked. Not at all once its buyer was forgotten, for nobody can tell any more whose name is in it.
pub fn words_for_ever(conn: &Connection, payment: i64, words: &str) -> Result<String, StoreError> {
    let (buyer, forgotten): (String, bool) = conn
        .prepare_cached(
            "select coalesce(about ->> '$.buyer_name', ''),
                    exists (select 1 from event where payment_id = ?1 and kind = 'buyer_forgotten')
               from payment where id = ?1",
        )?
        .query_row([payment], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if forgotten && !words.is_empty() {
        return Ok("…".to_owned());
    }
    let masked = masked_text(words);
    let buyer = buyer.trim();
    // One letter is a part of other words.
    Ok(match buyer.chars().nth(1) {
        Some(_) => masked.replace(buyer, &masked_name(buyer)),
        None => masked,
    })
}

/// A payment that was settled with moves again, and a later night looks at it anew: at what people write now, too.
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
        forgotten += forget.execute((order, tx.now_ms()))?;
    }
    Ok(forgotten)
}

/// Forgets what answers said that were given before `before`.
pub fn answers(tx: &mut Tx<'_>, before: Timestamp, most: usize) -> Result<usize, StoreError> {
    let limits = (before.as_millisecond(), most as i64);
    Ok(tx.conn().prepare_cached(ANSWERS)?.execute(limits)?)
}
