//! What waits for a person: how much of each sort, since when, and how much money it is about.
//!
//! Each is counted out of an index that holds nothing else, and nobody counts further than [`MOST`], so the
//! answer takes a few milliseconds however much has piled up.

use jiff::Timestamp;
use rusqlite::{Connection, ToSql};

use super::{
    StoreError, cancellations::OUTCOME_UNKNOWN, instant_maybe, job_lists::NEXT_DEAD, jobs,
};
use crate::domain::{calendar::KstDay, money::Won};

/// Rows of one sort that are counted; a page then says `999+`.
pub const MOST: i64 = 1_000;

/// A sort of what waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Dead letters of a kind of job.
    DeadLetters {
        kind: String,
    },
    /// Payments held for a reason, by its code.
    Held {
        reason: String,
    },
    /// Payments with a cancel of which nobody knows yet whether it was carried out.
    OutcomeUnknown,
    /// Settlements whose payout day is today or has passed.
    PayoutsDue,
    SettlementsHeld,
    /// Settlements whose payout failed.
    PayoutsFailed,
    /// Alerts of a kind whose reason has not passed: refused keys, contradictions, missing contracts.
    AlertsOpen {
        kind: String,
    },
    /// A kind of job of which nothing runs.
    Paused {
        kind: String,
    },
}

/// All that waits of one sort.
#[derive(Clone, Debug, PartialEq)]
pub struct Pile {
    pub sort: Sort,
    /// Up to [`MOST`].
    pub count: i64,
    /// How long the oldest of it has waited.
    pub since: Option<Timestamp>,
    /// Of those counted; `None` where no money is in it.
    pub amount: Option<Won>,
}

const DEAD: &str = "
    select count(*), min(finished_at), sum(amount) from (
        select j.finished_at, c.amount
          from job j left join cancellation c on j.kind = 'retry_cancel' and c.id = j.payload ->> '$.cancellation'
         where j.state = 'dead' and j.kind = ?1 order by j.id limit ?2)";

const NEXT_HELD: &str = "
    select min(hold_code) from payment indexed by payment_held_for where hold is not null and hold_code > ?1";

const HELD: &str = "
    select count(*), min(at), sum(amount) from (
        select at, amount from payment indexed by payment_held_for
         where hold is not null and hold_code = ?1 order by at, id limit ?2)";

fn unknown_sql() -> String {
    format!(
        "select count(*), min(requested_at), sum(amount) from (
             select c.requested_at, c.amount
               from payment p indexed by payment_cancelling cross join cancellation c on c.id = p.wish
              where {OUTCOME_UNKNOWN} order by p.at, p.id limit ?1)"
    )
}

const DUE: &str = "
    select count(*), min(payout_day), sum(net) from (
        select payout_day, net from settlement indexed by settlement_due_sum
         where state = 'REQUESTED' and net >= 0 and hold is null and payout_day <= ?1
         order by payout_day limit ?2)";

const SETTLEMENTS_HELD: &str = "
    select count(*), min(updated_at), sum(net) from (
        select updated_at, net from settlement indexed by settlement_held where hold is not null
         order by day, id limit ?1)";

const FAILED: &str = "
    select count(*), min(updated_at), sum(net) from (
        select updated_at, net from settlement indexed by settlement_by_state where state = 'FAILED'
         order by day, id limit ?1)";

const NEXT_OPEN: &str = "
    select min(kind) from alert indexed by alert_open where topic is not null and resolved_at is null and kind > ?1";

const ALERTS: &str = "
    select count(*), min(at), sum(amount) from (
        select at, body ->> '$.amount' as amount from alert indexed by alert_open
         where topic is not null and resolved_at is null and kind = ?1 order by id limit ?2)";

/// All of them, for the test that none reads a whole table.
#[cfg(test)]
pub(super) fn queries() -> Vec<String> {
    let fixed = [
        DEAD,
        NEXT_HELD,
        HELD,
        DUE,
        SETTLEMENTS_HELD,
        FAILED,
        NEXT_OPEN,
        ALERTS,
    ];
    let fixed = fixed.into_iter().map(str::to_owned);
    fixed.chain([unknown_sql()]).collect()
}

fn pile(
    conn: &Connection,
    sort: Sort,
    sql: &str,
    values: &[&dyn ToSql],
) -> Result<Option<Pile>, StoreError> {
    let mut query = conn.prepare_cached(sql)?;
    let (count, since, amount) = query.query_row(values, |row| {
        Ok((
            row.get(0)?,
            row.get::<_, Option<i64>>(1)?,
            row.get::<_, Option<i64>>(2)?,
        ))
    })?;
    Ok((count > 0).then_some(Pile {
        sort,
        count,
        since: instant_maybe(since)?,
        amount: amount.map(Won::new).filter(|won| !won.is_zero()),
    }))
}

/// Each value of an index, from one to the next: a step per value, however many rows have it.
fn steps(conn: &Connection, next: &str) -> Result<Vec<String>, StoreError> {
    let mut found: Vec<String> = Vec::new();
    let mut query = conn.prepare_cached(next)?;
    loop {
        let last = found.last().map_or("", String::as_str);
        match query.query_row([last], |row| row.get::<_, Option<String>>(0))? {
            Some(value) => found.push(value),
            None => return Ok(found),
        }
    }
}

/// Dead letters, each kind of job by itself.
pub fn dead_letters(conn: &Connection) -> Result<Vec<Pile>, StoreError> {
    let mut piles = Vec::new();
    for kind in steps(conn, NEXT_DEAD)? {
        let sort = Sort::DeadLetters { kind: kind.clone() };
        piles.extend(pile(conn, sort, DEAD, &[&kind, &MOST])?);
    }
    Ok(piles)
}

/// What is wrong with payments: each reason to hold one by itself, then cancels of unknown outcome.
pub fn payments(conn: &Connection) -> Result<Vec<Pile>, StoreError> {
    let mut piles = Vec::new();
    for reason in steps(conn, NEXT_HELD)? {
        let sort = Sort::Held {
            reason: reason.clone(),
        };
        piles.extend(pile(conn, sort, HELD, &[&reason, &MOST])?);
    }
    piles.extend(pile(conn, Sort::OutcomeUnknown, &unknown_sql(), &[&MOST])?);
    Ok(piles)
}

/// What is to be paid out, and what keeps settlements from it.
pub fn settlements(conn: &Connection, today: KstDay) -> Result<Vec<Pile>, StoreError> {
    let mut piles = Vec::new();
    let (count, oldest, amount) =
        conn.prepare_cached(DUE)?
            .query_row((today.to_string(), MOST), |row| {
                Ok((
                    row.get(0)?,
                    row.get::<_, Option<String>>(1)?,
                    row.get::<_, Option<i64>>(2)?,
                ))
            })?;
    if let Some(oldest) = oldest {
        let oldest: KstDay = oldest.parse().map_err(|why| StoreError::Unreadable {
            table: "settlement",
            why: format!("{why}"),
        })?;
        piles.push(Pile {
            sort: Sort::PayoutsDue,
            count,
            since: Some(oldest.start()),
            amount: amount.map(Won::new),
        });
    }
    piles.extend(pile(conn, Sort::PayoutsFailed, FAILED, &[&MOST])?);
    piles.extend(pile(
        conn,
        Sort::SettlementsHeld,
        SETTLEMENTS_HELD,
        &[&MOST],
    )?);
    Ok(piles)
}

/// Kinds of jobs that a person paused.
pub fn paused(conn: &Connection) -> Result<Vec<Pile>, StoreError> {
    let paused = jobs::pauses(conn)?.into_iter().map(|pause| Pile {
        sort: Sort::Paused { kind: pause.kind },
        count: 1,
        since: Some(pause.since),
        amount: None,
    });
    Ok(paused.collect())
}

/// Alerts that are still open. A held payment's is told by the payment itself.
pub fn alerts(conn: &Connection) -> Result<Vec<Pile>, StoreError> {
    let mut piles = Vec::new();
    for kind in steps(conn, NEXT_OPEN)? {
        if kind != "payment_held" {
            let sort = Sort::AlertsOpen { kind: kind.clone() };
            piles.extend(pile(conn, sort, ALERTS, &[&kind, &MOST])?);
        }
    }
    Ok(piles)
}
