//! What waits for a person: how much of each sort, since when, and how much money it is about.
//!
//! Each is counted out of an index that holds nothing else, and nobody counts further than [`MOST`], so the
//! work does not grow with what has piled up.

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
    /// What one person asked for and another has to look at.
    Approvals,
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

/// What hangs on a cancel that was settled otherwise meanwhile waits for nobody, so it is not counted.
pub(super) const DEAD: &str = "
    select count(*), min(finished_at), sum(amount) from (
        select j.finished_at,
               (select c.amount from cancellation c indexed by cancellation_open
                 where c.state in ('REQUESTED', 'DEAD') and c.state = 'DEAD' and c.job_id = j.id) as amount
          from job j indexed by job_dead_by_kind
         where j.state = 'dead' and j.kind = ?1 order by j.id limit ?2 + 0)";

const NEXT_HELD: &str = "
    select min(hold_code) from payment indexed by payment_held_for where hold is not null and hold_code > ?1";

const HELD: &str = "
    select count(*), min(at), sum(amount) from (
        select at, amount from payment indexed by payment_held_for
         where hold is not null and hold_code = ?1 order by at, id limit ?2 + 0)";

/// Out of the open cancellations, for each is its payment's wish: a rule of the books. One look into an index
/// of what ended unknown, which is almost empty, spares most of them the look at their calls.
pub(super) fn unknown_sql() -> String {
    format!(
        "select count(*), min(requested_at), sum(amount) from (
             select requested_at, amount
               from (select id as wish, job_id, requested_at, amount from cancellation indexed by cancellation_open
                      where state in ('REQUESTED', 'DEAD')) p
              where 1 = (select 1 from cancel_attempt a indexed by cancel_attempt_unknown
                          where a.cancellation_id = p.wish and a.outcome = 'UNKNOWN'
                            and a.asked <> 'read the payment' limit 1)
                and {OUTCOME_UNKNOWN}
              order by job_id limit ?1 + 0)"
    )
}

const DUE: &str = "
    select count(*), min(payout_day), sum(net) from (
        select payout_day, net from settlement indexed by settlement_due_sum
         where state = 'REQUESTED' and net >= 0 and hold is null and payout_day <= ?1
         order by payout_day limit ?2 + 0)";

const SETTLEMENTS_HELD: &str = "
    select count(*), min(updated_at), sum(net) from (
        select updated_at, net from settlement indexed by settlement_held where hold is not null
         order by day, id limit ?1 + 0)";

const APPROVALS: &str = "
    select count(*), min(made_at), sum(amount) from (
        select made_at, amount from approval indexed by approval_waiting where state = 'WAITING'
         order by id limit ?1 + 0)";

const FAILED: &str = "
    select count(*), min(updated_at), sum(net) from (
        select updated_at, net from settlement indexed by settlement_failed where state = 'FAILED'
         order by day, id limit ?1 + 0)";

const NEXT_OPEN: &str = "
    select min(kind) from alert indexed by alert_open where topic is not null and resolved_at is null and kind > ?1";

const ALERTS: &str = "
    select count(*), min(at), sum(amount) from (
        select at, body ->> '$.amount' as amount from alert indexed by alert_open
         where topic is not null and resolved_at is null and kind = ?1 order by id limit ?2 + 0)";

/// All of them, for the test that none reads a whole table.
#[cfg(test)]
pub(super) fn queries() -> Vec<String> {
    let fixed = [
        DEAD,
        NEXT_HELD,
        HELD,
        DUE,
        SETTLEMENTS_HELD,
        APPROVALS,
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

/// What waits for a second person.
pub fn approvals(conn: &Connection) -> Result<Vec<Pile>, StoreError> {
    let found = pile(conn, Sort::Approvals, APPROVALS, &[&MOST])?;
    Ok(found.into_iter().collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::migrations;

    fn books() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        migrations::runner().run(&mut conn).unwrap();
        conn.execute_batch("pragma foreign_keys = off").unwrap();
        conn
    }

    #[test]
    fn an_empty_shop_waits_for_nobody() {
        let conn = books();
        let today = "2026-08-06".parse().unwrap();
        let all = [
            dead_letters(&conn).unwrap(),
            payments(&conn).unwrap(),
            settlements(&conn, today).unwrap(),
            approvals(&conn).unwrap(),
            paused(&conn).unwrap(),
            alerts(&conn).unwrap(),
        ];
        assert_eq!(all.concat(), Vec::new());
    }

    #[test]
    fn only_what_still_waits_is_counted_with_its_oldest_and_its_won() {
        let conn = books();
        conn.execute_batch(
            "insert into approval (kind, subject, amount, asked, made_by, made_at)
                 values ('payout', 'payout:1', 5000, '{}', '@a', 30), ('payout', 'payout:2', 700, '{}', '@a', 20);
             insert into approval (kind, subject, amount, asked, made_by, made_at, state, decided_by, decided_at, note)
                 values ('payout', 'payout:3', 9, '{}', '@a', 10, 'REFUSED', '@b', 11, 'x');
             insert into alert (at, kind, severity, body, topic, resolved_at)
                 values (10, 'no_contract', 'urgent', '{\"amount\": 100}', 'no_contract:a', null),
                        (20, 'no_contract', 'urgent', '{\"amount\": 50}', 'no_contract:b', null),
                        (5, 'no_contract', 'urgent', '{\"amount\": 1}', 'no_contract:c', 6),
                        (7, 'payment_held', 'urgent', '{}', 'held:x', null);
             insert into kind_pause (kind, paused_at, by, note) values ('sweep', 40, '@a', 'x');",
        )
        .unwrap();
        let told = |piles: Vec<Pile>| {
            let tell = |pile: Pile| {
                let since = pile.since.map(|at| at.as_millisecond());
                (pile.count, since, pile.amount.map(Won::get))
            };
            piles.into_iter().map(tell).collect::<Vec<_>>()
        };
        assert_eq!(
            told(approvals(&conn).unwrap()),
            [(2, Some(20), Some(5_700))]
        );
        assert_eq!(told(alerts(&conn).unwrap()), [(2, Some(10), Some(150))]);
        assert_eq!(told(paused(&conn).unwrap()), [(1, Some(40), None)]);
    }

    /// A dead letter's money waits until its cancel is settled; an outcome is unknown by the last call that asked.
    #[test]
    fn what_hangs_on_cancels_is_counted_while_they_are_open() {
        let conn = books();
        conn.execute_batch(
            "insert into job (id, queue, kind, payload, state, max_attempts, run_at, created_at, finished_at, last_error)
                 values (1, 'cancel', 'retry_cancel', '{}', 'dead', 1, 0, 0, 10, 'x'),
                        (2, 'cancel', 'retry_cancel', '{}', 'dead', 1, 0, 0, 20, 'x'),
                        (3, 'cancel', 'retry_cancel', '{}', 'dead', 1, 0, 0, 30, 'x');
             insert into cancellation (id, payment_id, state, amount, checksum, reason, requested_by, requested_at,
                                       finished_at, job_id)
                 values ('a', 1, 'DEAD', 100, 100, '', 'page', 1, null, 1),
                        ('b', 2, 'DEAD', 50, 50, '', 'page', 2, null, 2),
                        ('c', 3, 'SUPERSEDED', 7, 7, '', 'page', 3, 4, 3),
                        ('d', 4, 'REQUESTED', 30, 30, '', 'page', 4, null, 4);
             insert into cancel_attempt (cancellation_id, number, step, started_at, finished_at, asked, outcome, answer)
                 values ('a', 1, 'send', 1, 2, 'cancel', 'UNKNOWN', ''),
                        ('a', 2, 'read', 3, 4, 'read the payment', 'TRANSIENT', ''),
                        ('b', 1, 'send', 1, 2, 'cancel', 'UNKNOWN', ''),
                        ('b', 2, 'send', 3, 4, 'cancel', 'PERMANENT', ''),
                        ('c', 1, 'send', 1, 2, 'cancel', 'UNKNOWN', ''),
                        ('d', 1, 'send', 1, 2, 'cancel', 'UNKNOWN', '');",
        )
        .unwrap();
        let dead = dead_letters(&conn).unwrap();
        let told = (dead[0].count, dead[0].since, dead[0].amount.map(Won::get));
        assert_eq!(told, (3, Timestamp::from_millisecond(10).ok(), Some(150)));
        let unknown = payments(&conn).unwrap();
        let told = (unknown[0].count, unknown[0].amount.map(Won::get));
        assert_eq!(unknown[0].sort, Sort::OutcomeUnknown);
        assert_eq!(told, (2, Some(130)));
    }

    #[test]
    fn nobody_counts_further_than_a_page_can_say() {
        let conn = books();
        conn.execute_batch(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1500)
             insert into job (queue, kind, payload, state, max_attempts, run_at, created_at, finished_at, last_error)
             select 'payment', iif(i % 3 = 0, 'sweep', 'prune'), '{}', 'dead', 1, 0, 0, i, 'x' from n",
        )
        .unwrap();
        let piles = dead_letters(&conn).unwrap();
        let counts: Vec<i64> = piles.iter().map(|pile| pile.count).collect();
        assert_eq!(counts, [MOST, 500]);
        let oldest = piles[1].since.map(|at| at.as_millisecond());
        assert_eq!(oldest, Some(3));
    }
}
