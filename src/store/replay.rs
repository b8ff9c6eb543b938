//! Works every settlement out again from what is stored, and tells where the books say something else.
//!
//! A line must be what its movement comes to under the contract version that holds on its day, and a
//! settlement the sum of its lines. One pass over movements and lines side by side.

use std::collections::HashMap;

use rusqlite::{Connection, Row};

use super::{
    StoreError,
    contracts::{self, Version},
    movements::{self, Step},
    settlements::{self, Line, Sums},
};
use crate::domain::{
    calendar::KstDay,
    contract::Cut,
    money::{OutOfRange, Won},
};

/// Rules that the pass checks: name and meaning.
pub const RULES: [(&str, &str); 4] = [
    (
        "a_settlement_has_a_line_for_each_movement",
        "what happened to a partner's money on a day is in that day's settlement: nothing is missing, nothing is extra",
    ),
    (
        "a_line_replays_to_the_same_won",
        "each line is what its movement comes to under the contract version of its day",
    ),
    (
        "a_settlement_is_the_sum_of_its_lines",
        "each figure of a settlement is the sum of that figure over its lines",
    ),
    (
        "a_contract_knows_what_it_settled",
        "a contract version is marked as used up to the last day that was settled by it",
    ),
];

/// Rows that are told of for each rule.
const MOST: usize = 5;

/// What the pass found, in the order of [`RULES`].
type Found = [Vec<String>; 4];

/// A settlement's figures, as they are stored.
struct Stored {
    id: i64,
    partner: String,
    day: KstDay,
    contract: Option<i64>,
    sums: Sums,
    /// Without what was carried in.
    own: Won,
}

fn stored(row: &Row<'_>) -> Result<Stored, StoreError> {
    let won = |at: usize| row.get(at).map(Won::new);
    let own = won(17)?;
    let adjustment = won(16)?;
    Ok(Stored {
        id: row.get(0)?,
        partner: row.get(1)?,
        day: movements::day(row, 2)?,
        contract: row.get(3)?,
        sums: Sums {
            lines: row.get(4)?,
            orders: row.get(5)?,
            cancels: row.get(6)?,
            sales: won(7)?,
            returned: won(8)?,
            cut: Cut {
                order: won(9)?,
                discount: won(10)?,
                fee: won(11)?,
                fee_vat: won(12)?,
                additional: won(13)?,
                additional_vat: won(14)?,
                discount_share: won(15)?,
                payment_vat: won(18)?,
                net: own.minus(adjustment).map_err(movements::unreadable)?,
            },
            adjustment,
        },
        own,
    })
}

/// Goes through all settlements. Each list is empty if its rule holds.
pub fn replay(conn: &Connection) -> Result<Found, StoreError> {
    // One view of the books for all queries, also while somebody writes.
    let own = conn.is_autocommit().then(|| conn.unchecked_transaction());
    let own = own.transpose()?;
    let view = own.as_deref().unwrap_or(conn);
    let mut found = Found::default();
    let mut known: HashMap<String, Vec<Version>> = HashMap::new();
    let mut query = view.prepare(
        "select id, partner_id, day, contract_id, lines, orders, cancels, sales, returned, order_amount, discount,
                fee, fee_vat, additional, additional_vat, discount_share, adjustment, net - carried_in, payment_vat
           from settlement order by day, partner_id",
    )?;
    for settlement in query.query_and_then([], stored)? {
        let settlement = settlement?;
        if !known.contains_key(&settlement.partner) {
            let versions = contracts::of(view, &settlement.partner)?;
            known.insert(settlement.partner.clone(), versions);
        }
        let versions = known
            .get(&settlement.partner)
            .map_or(&[][..], Vec::as_slice);
        one(view, &settlement, versions, &mut found)?;
    }
    Ok(found)
}

fn tell(found: &mut Found, rule: usize, settlement: &Stored, what: impl std::fmt::Display) {
    if found[rule].len() < MOST {
        let Stored {
            id, partner, day, ..
        } = settlement;
        found[rule].push(format!("settlement {id} ({partner}, {day}): {what}"));
    }
}

fn one(
    conn: &Connection,
    settlement: &Stored,
    versions: &[Version],
    found: &mut Found,
) -> Result<(), StoreError> {
    let (day, partner) = (settlement.day, settlement.partner.as_str());
    let mut query = conn.prepare_cached(settlements::LINES_OF)?;
    let mut lines = query.query_and_then((day.to_string(), partner), settlements::read_line)?;
    let mut next = lines.next().transpose()?;
    let mut sums = Sums::default();
    let out_of_range = |OutOfRange| movements::unreadable("a settlement's sums are out of range");
    movements::each(conn, day, partner, 0, i64::MAX, |step| {
        while let Some(extra) = next.filter(|line| line.seq < step.seq) {
            tell(
                found,
                0,
                settlement,
                format_args!("line {} has no movement", extra.seq),
            );
            next = lines.next().transpose()?;
        }
        let Some(line) = next.filter(|line| line.seq == step.seq) else {
            tell(
                found,
                0,
                settlement,
                format_args!("movement {} has no line", step.seq),
            );
            return Ok(());
        };
        sums.add(&line).map_err(out_of_range)?;
        match again(step, versions) {
            Some((expected, version)) => {
                if line != expected {
                    let what = format!("line {} is {line:?}, but comes to {expected:?}", line.seq);
                    tell(found, 1, settlement, what);
                }
                let used =
                    version.is_none_or(|v| v.used_until.is_some_and(|u| u >= step.terms_day));
                if !used {
                    let what = format!(
                        "line {} was settled by terms of {}",
                        line.seq, step.terms_day
                    );
                    tell(found, 3, settlement, what);
                }
            }
            None => {
                let what = format!("line {}: no contract holds on {}", line.seq, step.terms_day);
                tell(found, 1, settlement, what);
            }
        }
        next = lines.next().transpose()?;
        Ok(())
    })?;
    while let Some(extra) = next {
        tell(
            found,
            0,
            settlement,
            format_args!("line {} has no movement", extra.seq),
        );
        next = lines.next().transpose()?;
    }
    if sums != settlement.sums || sums.net() != Ok(settlement.own) {
        let what = format!("stored {:?}, its lines come to {sums:?}", settlement.sums);
        tell(found, 2, settlement, what);
    }
    let holding = contracts::holding(versions, day);
    let known = holding.is_some_and(|version| {
        Some(version.id) == settlement.contract
            && version.used_until.is_some_and(|until| until >= day)
    });
    if !known {
        tell(
            found,
            3,
            settlement,
            "its day is not one that its contract settled",
        );
    }
    Ok(())
}

/// The line that a movement comes to, and the version that makes it; an adjustment needs none.
fn again<'a>(step: &Step, versions: &'a [Version]) -> Option<(Line, Option<&'a Version>)> {
    if !step.adjustment.is_zero() {
        return Some((Line::of_adjustment(step.seq, step.adjustment), None));
    }
    let version = contracts::holding(versions, step.terms_day)?;
    let cut = version.terms.between(&step.before, &step.after).ok()?;
    Some((Line::of_cut(step.seq, version.id, cut), Some(version)))
}
