//! How far a newcomer has come, as the books tell it. Nothing here is noted down for the tour: it asks
//! what happened since an event, and so it cannot say that something was done which was not.

use rusqlite::{Connection, OptionalExtension};

use super::StoreError;
use crate::domain::calendar::KstDay;

/// What happened, in the order in which the tour asks for it. Each names the payment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// A new payment was paid.
    pub paid: Option<String>,
    /// A cancel went through.
    pub cancelled: Option<String>,
    /// A cancel failed at its first calls.
    pub failed: Option<String>,
    /// A cancel became a dead letter.
    pub dead: Option<String>,
    /// The dead letter that waits now, if one does.
    pub letter: Option<i64>,
    /// A cancel that had been a dead letter went through after all.
    pub replayed: Option<String>,
    /// The night came: this day was settled.
    pub settled: Option<KstDay>,
}

/// The newest event there is.
pub fn newest_event(conn: &Connection) -> Result<i64, StoreError> {
    let newest: Option<i64> = conn
        .prepare_cached("select max(id) from event")?
        .query_row([], |row| row.get(0))?;
    Ok(newest.unwrap_or_default())
}

/// Each reads the events behind one, by their key, and no more of them than a demo ever sees.
const PAID: &str = "
    select p.imp_uid from event e cross join payment p on p.id = e.payment_id
     where e.id > ?1 and e.id <= ?1 + 5000 and e.to_status = 'PAID'
       and coalesce(e.from_status, 'READY') = 'READY'
     order by e.id desc limit 1";
const CANCELLED: &str = "
    select p.imp_uid from event e cross join payment p on p.id = e.payment_id
     where e.id > ?1 and e.id <= ?1 + 5000 and e.to_status in ('CANCELED', 'PARTIAL_CANCELED')
     order by e.id limit 1";
const FAILED: &str = "
    select p.imp_uid from event e cross join payment p on p.id = e.payment_id
     where e.id > ?1 and e.id <= ?1 + 5000 and e.kind = 'cancel_requested'
       and exists (select 1 from cancellation c join cancel_attempt a on a.cancellation_id = c.id
                    where c.payment_id = e.payment_id and a.started_at >= e.at
                      and a.outcome not in ('DONE', 'PENDING'))
     order by e.id limit 1";
const DEAD: &str = "
    select p.imp_uid from event e cross join payment p on p.id = e.payment_id
     where e.id > ?1 and e.id <= ?1 + 5000 and e.to_status = 'CANCEL_FAILED'
     order by e.id desc limit 1";
const LETTER: &str = "select id from job where state = 'dead' order by id desc limit 1";
const REPLAYED: &str = "
    select p.imp_uid from event e cross join payment p on p.id = e.payment_id
     where e.id > ?1 and e.id <= ?1 + 5000 and e.to_status = 'CANCEL_FAILED'
       and exists (select 1 from event l where l.payment_id = e.payment_id and l.id > e.id
                      and l.to_status in ('CANCELED', 'PARTIAL_CANCELED'))
     order by e.id limit 1";
const SETTLED: &str = "
    select day from settlement_day where day >= ?1 and finished_at is not null order by day limit 1";

/// All that is asked, for the test of how SQLite goes about it.
#[cfg(test)]
pub(super) const ALL: [&str; 7] = [PAID, CANCELLED, FAILED, DEAD, LETTER, REPLAYED, SETTLED];

/// What happened after the event `start`, and whether `day` or a later one is settled.
pub fn since(conn: &Connection, start: i64, day: KstDay) -> Result<Happened, StoreError> {
    let payment = |sql: &str| -> Result<Option<String>, StoreError> {
        Ok(conn
            .prepare_cached(sql)?
            .query_row([start], |row| row.get(0))
            .optional()?)
    };
    let settled: Option<String> = conn
        .prepare_cached(SETTLED)?
        .query_row([day.to_string()], |row| row.get(0))
        .optional()?;
    Ok(Happened {
        paid: payment(PAID)?,
        cancelled: payment(CANCELLED)?,
        failed: payment(FAILED)?,
        dead: payment(DEAD)?,
        letter: conn
            .prepare_cached(LETTER)?
            .query_row([], |row| row.get(0))
            .optional()?,
        replayed: payment(REPLAYED)?,
        settled: settled.and_then(|day| day.parse().ok()),
    })
}
