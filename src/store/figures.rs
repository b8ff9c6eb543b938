//! What a shop took in, gave back and paid out, hour by hour: what the home draws and counts.
//!
//! Triggers of the schema keep the sums in the transactions that change payments, cancellations, orders and
//! payouts, so they are exact, a crash included, and a page that shows two months reads 1,500 rows however
//! many payments there are. `books` holds them against the rows that they are sums of.

use rusqlite::Connection;
use serde::Serialize;

use super::StoreError;
use crate::domain::{
    calendar::KstDay,
    money::{OutOfRange, Won},
};

/// Hours since 1970. Seoul is whole hours ahead, so its days are cut out of them.
const HOUR: i64 = 3_600;

/// What an hour, or a longer stretch, has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Payments that were paid, whatever holds them or became of them since.
    pub paid: i64,
    pub paid_won: Won,
    pub failed: i64,
    /// Cancels that were carried out, here or elsewhere.
    pub cancels: i64,
    pub cancelled_won: Won,
    pub orders: i64,
    pub ordered_won: Won,
    pub payouts: i64,
    pub payout_won: Won,
}

impl Sums {
    pub fn plus(&self, more: &Sums) -> Result<Sums, OutOfRange> {
        Ok(Sums {
            paid: self.paid + more.paid,
            paid_won: self.paid_won.plus(more.paid_won)?,
            failed: self.failed + more.failed,
            cancels: self.cancels + more.cancels,
            cancelled_won: self.cancelled_won.plus(more.cancelled_won)?,
            orders: self.orders + more.orders,
            ordered_won: self.ordered_won.plus(more.ordered_won)?,
            payouts: self.payouts + more.payouts,
            payout_won: self.payout_won.plus(more.payout_won)?,
        })
    }

    pub fn sum<'a>(all: impl IntoIterator<Item = &'a Sums>) -> Result<Sums, OutOfRange> {
        all.into_iter()
            .try_fold(Sums::default(), |sum, more| sum.plus(more))
    }

    /// What came in less what went back.
    pub fn net(&self) -> Result<Won, OutOfRange> {
        self.paid_won.minus(self.cancelled_won)
    }
}

const HOURS: &str = "
    select hour, paid, paid_won, failed, cancels, cancelled_won, orders, ordered_won, payouts, payout_won
      from hour_sum where hour >= ?1 and hour < ?2 order by hour";

/// The first hour of a Korean day.
fn hour_of(day: KstDay) -> i64 {
    day.start().as_second().div_euclid(HOUR)
}

/// Every hour of the days `[from, to]`, those in which nothing happened as well.
fn hours(conn: &Connection, from: KstDay, to: KstDay) -> Result<Vec<Sums>, StoreError> {
    let (first, end) = (hour_of(from), hour_of(to) + 24);
    let mut all = vec![Sums::default(); usize::try_from(end - first).unwrap_or_default()];
    let mut query = conn.prepare_cached(HOURS)?;
    let mut rows = query.query((first, end))?;
    while let Some(row) = rows.next()? {
        let at: i64 = row.get(0)?;
        let won = |at: usize| row.get(at).map(Won::new);
        let place = usize::try_from(at - first).ok();
        if let Some(hour) = place.and_then(|at| all.get_mut(at)) {
            *hour = Sums {
                paid: row.get(1)?,
                paid_won: won(2)?,
                failed: row.get(3)?,
                cancels: row.get(4)?,
                cancelled_won: won(5)?,
                orders: row.get(6)?,
                ordered_won: won(7)?,
                payouts: row.get(8)?,
                payout_won: won(9)?,
            };
        }
    }
    Ok(all)
}

/// The 24 hours of a day.
pub fn of_day(conn: &Connection, day: KstDay) -> Result<Vec<Sums>, StoreError> {
    hours(conn, day, day)
}

/// Every day of `[from, to]`, in order.
pub fn by_day(
    conn: &Connection,
    from: KstDay,
    to: KstDay,
) -> Result<Vec<(KstDay, Sums)>, StoreError> {
    let hours = hours(conn, from, to)?;
    let mut day = from;
    let mut days = Vec::with_capacity(hours.len() / 24);
    for of_day in hours.chunks(24) {
        let sums = Sums::sum(of_day).map_err(|why| StoreError::Unreadable {
            table: "hour_sum",
            why: why.to_string(),
        })?;
        days.push((day, sums));
        day = day.next();
    }
    Ok(days)
}

const OWED: &str = "
    select count(*), coalesce(sum(net), 0) from settlement indexed by settlement_owed
     where state <> 'COMPLETED' and payout_day is not null and (net >= 0 or carried_into is null)";

/// What partners are owed at this moment: worked out and not paid yet, less what is carried over.
pub fn owed(conn: &Connection) -> Result<(i64, Won), StoreError> {
    Ok(conn.prepare_cached(OWED)?.query_row([], |row| {
        Ok((row.get(0)?, Won::new(row.get(1)?)))
    })?)
}
