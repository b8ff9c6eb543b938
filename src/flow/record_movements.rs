//! Writes down what a payment's news mean for the partners that it is owed to.
//!
//! Runs in the transaction that booked the news. It compares where each order line should stand with
//! what has been recorded, and records the difference: so it may run at any time and as often as one
//! likes, and catches up with whatever was missed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    domain::{
        calendar::KstDay,
        contract::Position,
        ids::PartnerId,
        money::{OutOfRange, Won},
        settlement::{self, Kind, Share},
    },
    flow::{Ctx, Policy},
    store::{
        StoreError, Tx, admin,
        movements::{self, Recorded},
        orders,
    },
};

/// Up to which payment the books are older than movements, and how far they have caught up.
const MISSING_UNTIL: &str = "movements_missing_until";
const CAUGHT_UP: &str = "movements_caught_up";

/// Payments that one write catches up with.
const AT_ONCE: usize = 200;

fn out_of_range(payment: i64) -> impl Fn(OutOfRange) -> StoreError {
    move |why| StoreError::Unreadable {
        table: "movement",
        why: format!("payment {payment}: {why}"),
    }
}

type Positions = BTreeMap<(String, i64), Position>;

/// Records what is new of payment row `payment`. Nothing new records nothing.
pub fn record(tx: &Tx<'_>, policy: &Policy, payment: i64) -> Result<(), StoreError> {
    let Some(facts) = movements::facts(tx.conn(), payment)? else {
        return Ok(());
    };
    let recorded = movements::recorded(tx.conn(), payment)?;
    write(tx, policy, payment, &facts, recorded, true)
}

/// Records a payment that was written down just now, by the `facts` that were written: nothing of it has
/// been recorded. `ordered`: whether its order is registered.
pub fn record_first(
    tx: &Tx<'_>,
    policy: &Policy,
    payment: i64,
    facts: &movements::Facts,
    ordered: bool,
) -> Result<(), StoreError> {
    write(tx, policy, payment, facts, Recorded::default(), ordered)
}

fn write(
    tx: &Tx<'_>,
    policy: &Policy,
    payment: i64,
    facts: &movements::Facts,
    recorded: Recorded,
    ordered: bool,
) -> Result<(), StoreError> {
    let wrong = out_of_range(payment);
    if !facts.counts && recorded.positions.is_empty() {
        return Ok(());
    }
    let shares = if facts.counts {
        shares(tx, policy, facts, ordered).map_err(|error| match error {
            SharesError::Range(why) => wrong(why),
            SharesError::Store(error) => error,
        })?
    } else {
        Vec::new()
    };
    let given = if facts.cancelled.is_zero() {
        Vec::new()
    } else {
        movements::given(tx.conn(), payment)?
    };
    let mut book = Book {
        tx,
        payment,
        terms_day: recorded
            .terms_day
            .unwrap_or_else(|| KstDay::of(facts.paid_at)),
        now: recorded.positions,
    };
    let (counted, open): (Vec<_>, Vec<_>) = given
        .into_iter()
        .partition(|(id, ..)| recorded.causes.contains(id));
    let mut counted: Vec<_> = counted.into_iter().map(|(_, _, given)| given).collect();
    let (kind, at) = if book.now.is_empty() {
        (Kind::Order, facts.paid_at)
    } else {
        (Kind::Correction, tx.now)
    };
    let target = settlement::left(&shares, &counted).map_err(&wrong)?;
    book.go_to(&shares, target, kind, None, at)?;
    if facts.counts {
        for (id, at, given) in open {
            counted.push(given);
            let target = settlement::left(&shares, &counted).map_err(&wrong)?;
            book.go_to(&shares, target, Kind::Cancel, Some(&id), at)?;
        }
    }
    Ok(())
}

enum SharesError {
    Range(OutOfRange),
    Store(StoreError),
}

/// Who is owed a payment: its order's lines, or the default partner for all of it.
fn shares(
    tx: &Tx<'_>,
    policy: &Policy,
    facts: &movements::Facts,
    ordered: bool,
) -> Result<Vec<Share>, SharesError> {
    let order = if ordered {
        orders::get(tx.conn(), &facts.merchant_uid).map_err(SharesError::Store)?
    } else {
        None
    };
    match order {
        Some((order, _)) if order.amount == facts.amount => {
            settlement::shares(&order).map_err(SharesError::Range)
        }
        _ => {
            let partner = PartnerId::new(policy.default_partner.clone()).map_err(|why| {
                SharesError::Store(StoreError::Unreadable {
                    table: "partner",
                    why: why.to_string(),
                })
            })?;
            let sold = Position {
                order: facts.amount,
                ..Position::NONE
            };
            Ok(vec![Share {
                line: 0,
                partner,
                sold,
            }])
        }
    }
}

struct Book<'a, 'b> {
    tx: &'a Tx<'b>,
    payment: i64,
    terms_day: KstDay,
    now: Positions,
}

impl Book<'_, '_> {
    /// Records what leads from where the lines stand to where they should.
    fn go_to(
        &mut self,
        shares: &[Share],
        target: Vec<Position>,
        kind: Kind,
        cause: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let target: Positions = shares
            .iter()
            .zip(target)
            .map(|(share, position)| ((share.partner.to_string(), share.line), position))
            .collect();
        let mut keys: Vec<_> = self.now.keys().chain(target.keys()).cloned().collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let before = self.now.get(&key).copied().unwrap_or_default();
            let after = target.get(&key).copied().unwrap_or_default();
            if before != after {
                movements::add(
                    self.tx,
                    &movements::New {
                        partner: &key.0,
                        kind,
                        payment: Some(self.payment),
                        order_line: Some(key.1).filter(|line| *line > 0),
                        cause,
                        happened_at: at,
                        terms_day: self.terms_day,
                        before,
                        after,
                        adjustment: Won::ZERO,
                    },
                )?;
            }
        }
        self.now = target;
        Ok(())
    }
}

/// Records payments that were booked before there were movements. Cheap where there are none.
pub async fn catch_up(ctx: &Ctx) -> Result<usize, StoreError> {
    let number = |key: &'static str| {
        ctx.store.read(move |conn| {
            let text = admin::setting(conn, key)?;
            Ok::<_, StoreError>(text.and_then(|text| text.parse::<i64>().ok()))
        })
    };
    let Some(until) = number(MISSING_UNTIL)? else {
        return Ok(0);
    };
    let mut done = 0;
    loop {
        let after = number(CAUGHT_UP)?.unwrap_or(0);
        let policy = ctx.policy.clone();
        let more = ctx
            .store
            .write(move |tx| {
                let rows = movements::missing(tx.conn(), after, until, AT_ONCE)?;
                for row in &rows {
                    record(tx, &policy, *row)?;
                }
                match rows.last() {
                    Some(last) => admin::set(tx, CAUGHT_UP, &last.to_string())?,
                    None => {
                        admin::unset(tx, MISSING_UNTIL)?;
                        admin::unset(tx, CAUGHT_UP)?;
                    }
                }
                Ok::<_, StoreError>(rows.len())
            })
            .await?;
        if more == 0 {
            return Ok(done);
        }
        done += more;
    }
}
