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

pub(super) const HOURS: &str = "
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

pub(super) const OWED: &str = "
    select count(*), coalesce(sum(net), 0) from settlement indexed by settlement_owed
     where state <> 'COMPLETED' and payout_day is not null and (net >= 0 or carried_into is null)";

/// What partners are owed at this moment: worked out and not paid yet, less what is carried over.
pub fn owed(conn: &Connection) -> Result<(i64, Won), StoreError> {
    Ok(conn
        .prepare_cached(OWED)?
        .query_row([], |row| Ok((row.get(0)?, Won::new(row.get(1)?))))?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use refinery::Target;

    use super::*;
    use crate::store::{books, migrations::migrations};

    fn books_at(version: Option<i32>) -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        let runner = migrations::runner();
        match version {
            Some(version) => runner.set_target(Target::Version(version)),
            None => runner,
        }
        .run(&mut conn)
        .unwrap();
        conn
    }

    /// What the rule finds wrong with the figures.
    fn wrong(conn: &Connection) -> Vec<String> {
        let broken = books::check(conn).unwrap();
        let of = broken
            .into_iter()
            .filter(|rule| rule.rule == "the_figures_of_an_hour_are_what_happened_in_it");
        of.flat_map(|rule| rule.rows).collect()
    }

    const DAY: i64 = 86_400_000;

    /// Something that happens to the books, as far as the figures are concerned.
    #[derive(Clone, Debug)]
    enum Happens {
        Payment {
            status: usize,
            amount: i64,
            at: i64,
            paid_at: Option<i64>,
        },
        Changes {
            which: usize,
            status: usize,
            amount: i64,
            at: i64,
            paid_at: Option<i64>,
        },
        Cancels {
            which: usize,
            amount: i64,
            done: bool,
            at: Option<i64>,
        },
        Decides {
            which: usize,
            amount: i64,
            done: bool,
            at: Option<i64>,
        },
        Orders {
            amount: i64,
            at: i64,
        },
        Payout {
            amount: i64,
        },
        Paid {
            which: usize,
            at: i64,
            paid: bool,
        },
    }

    fn happens() -> impl Strategy<Value = Happens> {
        let amount = || 1_i64..1_000_000;
        let at = || 0_i64..3 * DAY;
        let maybe = || proptest::option::of(0_i64..3 * DAY);
        prop_oneof![
            (0_usize..3, amount(), at(), maybe()).prop_map(|(status, amount, at, paid_at)| {
                Happens::Payment {
                    status,
                    amount,
                    at,
                    paid_at,
                }
            }),
            (0_usize..8, 0_usize..3, amount(), at(), maybe()).prop_map(
                |(which, status, amount, at, paid_at)| Happens::Changes {
                    which,
                    status,
                    amount,
                    at,
                    paid_at
                }
            ),
            (0_usize..8, amount(), any::<bool>(), maybe()).prop_map(|(which, amount, done, at)| {
                Happens::Cancels {
                    which,
                    amount,
                    done,
                    at,
                }
            }),
            (0_usize..8, amount(), any::<bool>(), maybe()).prop_map(|(which, amount, done, at)| {
                Happens::Decides {
                    which,
                    amount,
                    done,
                    at,
                }
            }),
            (amount(), at()).prop_map(|(amount, at)| Happens::Orders { amount, at }),
            amount().prop_map(|amount| Happens::Payout { amount }),
            (0_usize..8, at(), any::<bool>()).prop_map(|(which, at, paid)| Happens::Paid {
                which,
                at,
                paid
            }),
        ]
    }

    const STATUS: [&str; 3] = ["READY", "PAID", "FAILED"];

    /// Carries it out, by SQL as the store's own. What a rule refuses does not happen.
    fn carry_out(conn: &Connection, n: usize, what: &Happens) {
        let result = match what.clone() {
            Happens::Payment { status, amount, at, paid_at } => conn.execute(
                "insert into payment (imp_uid, merchant_uid, status, amount, test, method, about, at, paid_at,
                                      created_at, updated_at)
                 values ('imp_' || ?1, 'o' || ?1, ?2, ?3, 0, 'card', '{}', ?4, ?5, 0, 0)",
                (n as i64, STATUS[status], amount, at, paid_at),
            ),
            Happens::Changes { which, status, amount, at, paid_at } => conn.execute(
                "update payment set status = ?2, amount = ?3, at = ?4, paid_at = ?5 where id = ?1",
                (which as i64, STATUS[status], amount, at, paid_at),
            ),
            Happens::Cancels { which, amount, done, at } => conn.execute(
                "insert into cancellation (id, payment_id, state, amount, checksum, reason, requested_by, requested_at,
                                           finished_at, cancelled_at, gateway_key)
                 values ('c' || ?1, ?2, iif(?4, 'DONE', 'REQUESTED'), ?3, ?3, 'x', 'api', 0, iif(?4, ?1 * 1000, null),
                         ?5, iif(?4, 'k' || ?1, null))",
                (n as i64, which as i64, amount, done, at),
            ),
            Happens::Decides { which, amount, done, at } => conn.execute(
                "update cancellation set state = iif(?3, 'DONE', 'DISCARDED'), amount = ?2, checksum = ?2, cancelled_at = ?4,
                                         finished_at = ?5 where payment_id = ?1",
                (which as i64, amount, done, at, n as i64 * 1_000),
            ),
            Happens::Orders { amount, at } => conn.execute(
                "insert into merchant_order (merchant_uid, name, amount, created_at) values ('o' || ?1, 'x', ?2, ?3)",
                (n as i64, amount, at),
            ),
            Happens::Payout { amount } => conn.execute(
                "insert into payout (batch_id, partner_id, state, gross, income_tax, local_tax, amount, bank, account, holder)
                 values (?1, 'farm', 'WAITING', ?2, 0, 0, ?2, '004', '1', 'x')",
                (n as i64, amount),
            ),
            Happens::Paid { which, at, paid } => conn.execute(
                "update payout set state = iif(?3, 'PAID', 'FAILED'), reason = 'x', decided_at = ?2, decided_by = 'x' where id = ?1",
                (which as i64, at, paid),
            ),
        };
        if let Err(error) = result {
            let refused = matches!(crate::store::StoreError::from(error), StoreError::Rule(_));
            assert!(refused, "{what:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn whatever_happens_the_figures_are_its_sums(story in proptest::collection::vec((happens(), any::<bool>()), 1..40)) {
            let conn = books_at(None);
            conn.execute_batch("pragma foreign_keys = off; insert into partner (id, name, created_at) values ('farm', 'x', 0)").unwrap();
            for (n, (what, stays)) in story.iter().enumerate() {
                conn.execute_batch("savepoint one").unwrap();
                carry_out(&conn, n + 1, what);
                conn.execute_batch(if *stays { "release one" } else { "rollback to one; release one" }).unwrap();
            }
            prop_assert_eq!(wrong(&conn), Vec::<String>::new());
        }

        /// Books of before the figures were kept get theirs with the update.
        #[test]
        fn an_update_works_out_what_happened_before_it(story in proptest::collection::vec(happens(), 1..40)) {
            let mut conn = books_at(Some(8));
            conn.execute_batch("pragma foreign_keys = off; insert into partner (id, name, created_at) values ('farm', 'x', 0)").unwrap();
            for (n, what) in story.iter().enumerate() {
                carry_out(&conn, n + 1, what);
            }
            migrations::runner().run(&mut conn).unwrap();
            prop_assert_eq!(wrong(&conn), Vec::<String>::new());
            carry_out(&conn, 1_000, &Happens::Orders { amount: 5, at: 7 });
            prop_assert_eq!(wrong(&conn), Vec::<String>::new());
        }
    }

    #[test]
    fn a_figure_that_is_off_by_a_won_is_found() {
        let conn = books_at(None);
        carry_out(&conn, 1, &Happens::Orders { amount: 5, at: 7 });
        for column in [
            "paid",
            "paid_won",
            "failed",
            "cancels",
            "cancelled_won",
            "orders",
            "ordered_won",
            "payouts",
            "payout_won",
        ] {
            assert!(wrong(&conn).is_empty());
            conn.execute_batch(&["update hour_sum set ", column, " = ", column, " + 1"].concat())
                .unwrap();
            assert_eq!(wrong(&conn).len(), 1, "{column}");
            conn.execute_batch(&["update hour_sum set ", column, " = ", column, " - 1"].concat())
                .unwrap();
        }
        conn.execute_batch("delete from hour_sum").unwrap();
        assert_eq!(wrong(&conn).len(), 1);
    }

    #[test]
    fn a_day_of_seoul_is_cut_out_of_the_hours() {
        let conn = books_at(None);
        let day: KstDay = "2026-08-06".parse().unwrap();
        for (n, at) in [
            day.start().as_millisecond() - 1,
            day.start().as_millisecond(),
            day.end().as_millisecond() - 1,
            day.end().as_millisecond(),
        ]
        .into_iter()
        .enumerate()
        {
            carry_out(&conn, n + 1, &Happens::Orders { amount: 10, at });
        }
        let hours = of_day(&conn, day).unwrap();
        assert_eq!(hours.len(), 24);
        assert_eq!((hours[0].orders, hours[23].orders), (1, 1));
        let days = by_day(&conn, day.previous(), day.next()).unwrap();
        let orders: Vec<i64> = days.iter().map(|(_, sums)| sums.orders).collect();
        assert_eq!(orders, [1, 2, 1]);
        assert_eq!(days[1].0, day);
    }
}
