//! What the lines of a settlement come to, read from the lines themselves: whether the books tie.

use rusqlite::Connection;
use serde::Serialize;

use super::{StoreError, movements::day, settlements::Sums};
use crate::domain::{
    calendar::KstDay,
    contract::Cut,
    money::{OutOfRange, Won},
};

/// The lines of one contract version in a settlement. `None`: adjustments, which need none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OfVersion {
    pub contract: Option<i64>,
    #[serde(flatten)]
    pub sums: Sums,
    pub net: Won,
}

/// How many lines the settlements of a day have.
pub fn lines_of_day(conn: &Connection, day: KstDay) -> Result<i64, StoreError> {
    Ok(conn
        .prepare_cached("select coalesce(sum(lines), 0) from settlement where day = ?1")?
        .query_row([day.to_string()], |row| row.get(0))?)
}

/// Sums of a partner's lines of a day, per contract version that made them.
pub fn of(conn: &Connection, partner: &str, on: KstDay) -> Result<Vec<OfVersion>, StoreError> {
    let mut query = conn.prepare_cached(
        "select contract_id, count(*), coalesce(sum(order_amount > 0), 0), coalesce(sum(order_amount < 0), 0),
                coalesce(sum(max(order_amount, 0)), 0), coalesce(sum(min(order_amount, 0)), 0),
                sum(order_amount), sum(discount), sum(fee), sum(fee_vat), sum(additional), sum(additional_vat),
                sum(discount_share), sum(payment_vat), sum(adjustment), sum(net)
           from settlement_line where day = ?1 and partner_id = ?2 group by contract_id order by contract_id",
    )?;
    query
        .query_and_then((on.to_string(), partner), |row| {
            let won = |at: usize| row.get(at).map(Won::new);
            let (adjustment, net) = (won(14)?, won(15)?);
            let own = Won::new(net.get().saturating_sub(adjustment.get()));
            Ok(OfVersion {
                contract: row.get(0)?,
                sums: Sums {
                    lines: row.get(1)?,
                    orders: row.get(2)?,
                    cancels: row.get(3)?,
                    sales: won(4)?,
                    returned: won(5)?,
                    cut: Cut {
                        order: won(6)?,
                        discount: won(7)?,
                        fee: won(8)?,
                        fee_vat: won(9)?,
                        additional: won(10)?,
                        additional_vat: won(11)?,
                        discount_share: won(12)?,
                        payment_vat: won(13)?,
                        net: own,
                    },
                    adjustment,
                },
                net,
            })
        })?
        .collect()
}

/// The same of all versions together. SQLite keeps every line aside to group it: whoever needs no groups
/// gets the sums in a fifth of the time.
pub fn of_all(conn: &Connection, partner: &str, on: KstDay) -> Result<Sums, StoreError> {
    let mut query = conn.prepare_cached(
        "select count(*), coalesce(sum(order_amount > 0), 0), coalesce(sum(order_amount < 0), 0),
                coalesce(sum(max(order_amount, 0)), 0), coalesce(sum(min(order_amount, 0)), 0),
                coalesce(sum(order_amount), 0), coalesce(sum(discount), 0), coalesce(sum(fee), 0),
                coalesce(sum(fee_vat), 0), coalesce(sum(additional), 0), coalesce(sum(additional_vat), 0),
                coalesce(sum(discount_share), 0), coalesce(sum(payment_vat), 0), coalesce(sum(adjustment), 0),
                coalesce(sum(net - adjustment), 0)
           from settlement_line where day = ?1 and partner_id = ?2",
    )?;
    Ok(query.query_row((on.to_string(), partner), |row| {
        let won = |at: usize| row.get(at).map(Won::new);
        Ok(Sums {
            lines: row.get(0)?,
            orders: row.get(1)?,
            cancels: row.get(2)?,
            sales: won(3)?,
            returned: won(4)?,
            cut: Cut {
                order: won(5)?,
                discount: won(6)?,
                fee: won(7)?,
                fee_vat: won(8)?,
                additional: won(9)?,
                additional_vat: won(10)?,
                discount_share: won(11)?,
                payment_vat: won(12)?,
                net: won(14)?,
            },
            adjustment: won(13)?,
        })
    })?)
}

/// All of them together: what the settlement's own figures must be.
pub fn total(parts: &[OfVersion]) -> Result<Sums, OutOfRange> {
    parts.iter().try_fold(Sums::default(), |sum, part| {
        let more = &part.sums;
        Ok(Sums {
            lines: sum.lines + more.lines,
            orders: sum.orders + more.orders,
            cancels: sum.cancels + more.cancels,
            sales: sum.sales.plus(more.sales)?,
            returned: sum.returned.plus(more.returned)?,
            cut: sum.cut.plus(more.cut)?,
            adjustment: sum.adjustment.plus(more.adjustment)?,
        })
    })
}

/// Settled days on which partners wait for a contract, oldest first.
pub fn blocked_days(conn: &Connection, most: usize) -> Result<Vec<(KstDay, i64)>, StoreError> {
    let mut query = conn.prepare_cached(
        "select day, blocked from settlement_day where blocked > 0 order by day limit ?1 + 0",
    )?;
    query
        .query_and_then([most as i64], |row| Ok((day(row, 0)?, row.get(1)?)))?
        .collect()
}
