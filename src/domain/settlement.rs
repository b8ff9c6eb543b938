//! Whose money a payment is: which order lines are still sold, after which cancellations.
//!
//! A cancellation may name the order lines that it gives back. What names none, such as one made in
//! PortOne's console, is spread over what the named ones leave, in proportion and to the won. Where a
//! payment stands depends only on which cancellations there were, not on their order, so hearing of
//! them late or in pieces ends in the same sums. Giving back more never gives a line more.

use serde::{Deserialize, Serialize};

use super::{
    contract::Position,
    ids::PartnerId,
    money::{OutOfRange, Won},
    order::Order,
};

/// The state's name, as the original design spells it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Worked out, not in a payout. May be held.
    Requested,
    /// In a payout batch.
    Processing,
    /// Paid, or covered. Never changes again.
    Completed,
    /// The bank refused it. A person puts it back to REQUESTED.
    Failed,
}

impl State {
    pub const ALL: [State; 4] = [
        State::Requested,
        State::Processing,
        State::Completed,
        State::Failed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            State::Requested => "REQUESTED",
            State::Processing => "PROCESSING",
            State::Completed => "COMPLETED",
            State::Failed => "FAILED",
        }
    }

    pub fn parse(text: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What a movement is.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// An order line was paid.
    Order,
    /// Money of it went back.
    Cancel,
    /// A payment was held, released, or its order became known after it had been counted.
    Correction,
    /// A person added or took something, with a reason.
    Adjustment,
}

impl Kind {
    pub const ALL: [Kind; 4] = [
        Kind::Order,
        Kind::Cancel,
        Kind::Correction,
        Kind::Adjustment,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Order => "ORDER",
            Kind::Cancel => "CANCEL",
            Kind::Correction => "CORRECTION",
            Kind::Adjustment => "ADJUSTMENT",
        }
    }

    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One order line, as far as money goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The line's number from 1; 0 where nobody registered the order.
    pub line: i64,
    pub partner: PartnerId,
    /// All of it, before anything went back.
    pub sold: Position,
}

/// The lines of a payment's order. Its tax-free part is spread over them in proportion to what was paid.
pub fn shares(order: &Order) -> Result<Vec<Share>, OutOfRange> {
    let paid = order
        .lines
        .iter()
        .map(|line| line.amount())
        .collect::<Result<Vec<_>, _>>()?;
    let free = apportion(&paid, order.tax_free)?;
    order
        .lines
        .iter()
        .zip(free)
        .enumerate()
        .map(|(i, (line, tax_free))| {
            Ok(Share {
                line: i as i64 + 1,
                partner: line.partner.clone(),
                sold: Position {
                    order: line.gross()?,
                    discount: line.discount,
                    tax_free,
                },
            })
        })
        .collect()
}

/// What a cancellation gave back: of named order lines, or of the payment as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub amount: Won,
    /// `(line, amount)`; empty if it names none. They add up to `amount`.
    pub of: Vec<(i64, Won)>,
}

/// Where each line stands after all of `given`, in any order.
pub fn left(shares: &[Share], given: &[Given]) -> Result<Vec<Position>, OutOfRange> {
    let paid = shares
        .iter()
        .map(|share| share.sold.payment())
        .collect::<Result<Vec<_>, _>>()?;
    let mut named = vec![Won::ZERO; shares.len()];
    let mut unnamed = Won::ZERO;
    for one in given {
        if one.of.is_empty() {
            unnamed = unnamed.plus(one.amount)?;
        }
        for (line, amount) in &one.of {
            match shares.iter().position(|share| share.line == *line) {
                Some(i) => named[i] = named[i].plus(*amount)?,
                // The order became known later and has no such line: it is spread instead.
                None => unnamed = unnamed.plus(*amount)?,
            }
        }
    }
    // More than a line's own is spread over the others: money that went back came from somewhere.
    for (named, paid) in named.iter_mut().zip(&paid) {
        let over = named.minus(*paid)?;
        if over.is_positive() {
            *named = *paid;
            unnamed = unnamed.plus(over)?;
        }
    }
    let open = paid
        .iter()
        .zip(&named)
        .map(|(paid, named)| paid.minus(*named))
        .collect::<Result<Vec<_>, _>>()?;
    let spread = apportion(&open, unnamed)?;
    let all_gone = Won::sum(open.iter().copied())? == Won::sum(spread.iter().copied())?;
    shares
        .iter()
        .zip(open.iter().zip(&spread))
        .map(|(share, (open, spread))| part(&share.sold, open.minus(*spread)?, all_gone))
        .collect()
}

/// What is sold of a position of which `kept` won of the payment are left.
fn part(sold: &Position, kept: Won, all_gone: bool) -> Result<Position, OutOfRange> {
    let paid = sold.payment()?;
    if paid.is_zero() {
        // A line that cost nothing goes when everything else has gone.
        return Ok(if all_gone { Position::NONE } else { *sold });
    }
    let scale = |whole: Won| {
        let part = i128::from(whole.get()) * i128::from(kept.get()) / i128::from(paid.get());
        i64::try_from(part).map(Won::new).map_err(|_| OutOfRange)
    };
    let order = scale(sold.order)?;
    Ok(Position {
        order,
        discount: order.minus(kept)?,
        tax_free: scale(sold.tax_free)?,
    })
}

/// Spreads `amount` over `weights` in whole won: each line's part is as near to its proportion as
/// whole won allow, and never shrinks when `amount` grows.
///
/// That is Webster's method (Sainte-Laguë), known from seats in parliaments: won go one by one to the
/// line with the largest `weight ÷ (2 × won so far + 1)`, the first of equals. No more than the sum of
/// the weights is spread.
pub fn apportion(weights: &[Won], amount: Won) -> Result<Vec<Won>, OutOfRange> {
    let whole = Won::sum(weights.iter().copied())?;
    let amount = amount.min(whole).max(Won::ZERO);
    if amount.is_zero() {
        return Ok(vec![Won::ZERO; weights.len()]);
    }
    if let [_] = weights {
        return Ok(vec![amount]);
    }
    let (total, all) = (i128::from(whole.get()), i128::from(amount.get()));
    // Rounding each proportion to the nearest is where the method stands for almost the same amount.
    let mut parts: Vec<i128> = weights
        .iter()
        .map(|weight| (2 * i128::from(weight.get()) * all + total) / (2 * total))
        .collect();
    let weight = |i: usize| i128::from(weights[i].get());
    let mut over = parts.iter().sum::<i128>() - all;
    while over > 0 {
        // The won that the method gave last: smallest weight ÷ (2 × part − 1), the last of equals.
        let last = (0..parts.len()).filter(|i| parts[*i] > 0).reduce(|a, b| {
            let (x, y) = (
                weight(a) * (2 * parts[b] - 1),
                weight(b) * (2 * parts[a] - 1),
            );
            if x < y { a } else { b }
        });
        let Some(last) = last else { break };
        parts[last] -= 1;
        over -= 1;
    }
    while over < 0 {
        let next = (0..parts.len()).reduce(|a, b| {
            let (x, y) = (
                weight(a) * (2 * parts[b] + 1),
                weight(b) * (2 * parts[a] + 1),
            );
            if y > x { b } else { a }
        });
        let Some(next) = next else { break };
        parts[next] += 1;
        over += 1;
    }
    parts
        .into_iter()
        .map(|part| i64::try_from(part).map(Won::new).map_err(|_| OutOfRange))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn share(line: i64, order: i64, discount: i64) -> Share {
        Share {
            line,
            partner: PartnerId::new(format!("p{line}")).unwrap(),
            sold: Position {
                order: Won::new(order),
                discount: Won::new(discount),
                tax_free: Won::ZERO,
            },
        }
    }

    fn whole(amount: i64) -> Given {
        Given {
            amount: Won::new(amount),
            of: Vec::new(),
        }
    }

    fn of(line: i64, amount: i64) -> Given {
        Given {
            amount: Won::new(amount),
            of: vec![(line, Won::new(amount))],
        }
    }

    fn paid_left(shares: &[Share], given: &[Given]) -> Vec<i64> {
        left(shares, given)
            .unwrap()
            .iter()
            .map(|position| position.payment().unwrap().get())
            .collect()
    }

    #[test]
    fn what_names_a_line_goes_back_of_that_line() {
        let lines = [share(1, 10_000, 0), share(2, 4_000, 0)];
        assert_eq!(paid_left(&lines, &[of(2, 4_000)]), [10_000, 0]);
        assert_eq!(paid_left(&lines, &[whole(7_000)]), [5_000, 2_000]);
        // 5,000 of the whole and all of the first line: so the 5,000 were the second line's, as far as it goes.
        let lines = [share(1, 10_000, 0), share(2, 10_000, 0)];
        assert_eq!(
            paid_left(&lines, &[whole(5_000), of(1, 10_000)]),
            [0, 5_000]
        );
    }

    #[test]
    fn a_discount_shrinks_with_its_line() {
        let kept = left(&[share(1, 10_000, 2_000)], &[whole(5_000)]).unwrap()[0];
        assert_eq!(
            (kept.order, kept.discount),
            (Won::new(3_750), Won::new(750))
        );
        let gift = [share(1, 5_000, 5_000), share(2, 8_000, 0)];
        assert_eq!(left(&gift, &[whole(7_999)]).unwrap()[0], gift[0].sold);
        assert_eq!(left(&gift, &[whole(8_000)]).unwrap(), [Position::NONE; 2]);
    }

    #[test]
    fn the_odd_won_goes_to_the_first_of_equals() {
        let won = |parts: &[i64]| parts.iter().map(|w| Won::new(*w)).collect::<Vec<_>>();
        let three = won(&[1_000, 1_000, 1_000]);
        assert_eq!(
            apportion(&three, Won::new(100)).unwrap(),
            won(&[34, 33, 33])
        );
        assert_eq!(
            apportion(&three, Won::new(101)).unwrap(),
            won(&[34, 34, 33])
        );
        assert_eq!(apportion(&won(&[0, 5]), Won::new(5)).unwrap(), won(&[0, 5]));
    }

    /// The method as it is told: a won at a time.
    fn one_by_one(weights: &[Won], amount: i64) -> Vec<Won> {
        let mut parts = vec![0i64; weights.len()];
        for _ in 0..amount {
            let mut best = 0;
            for i in 1..parts.len() {
                if weights[i].get() * (2 * parts[best] + 1)
                    > weights[best].get() * (2 * parts[i] + 1)
                {
                    best = i;
                }
            }
            parts[best] += 1;
        }
        parts.into_iter().map(Won::new).collect()
    }

    fn weights() -> impl Strategy<Value = Vec<Won>> {
        proptest::collection::vec((0i64..400).prop_map(Won::new), 1..7)
    }

    fn givens() -> impl Strategy<Value = Vec<Given>> {
        let one = (0i64..4, 1i64..3_000).prop_map(|(line, amount)| match line {
            0 => whole(amount),
            line => of(line, amount),
        });
        proptest::collection::vec(one, 0..6)
    }

    fn three() -> [Share; 3] {
        [
            share(1, 5_000, 0),
            share(2, 7_001, 2_000),
            share(3, 3_333, 0),
        ]
    }

    proptest! {
        #[test]
        fn the_quick_way_is_the_way_won_by_won(weights in weights(), amount in 0i64..2_000) {
            let whole: i64 = weights.iter().map(|w| w.get()).sum();
            let amount = amount.min(whole);
            prop_assert_eq!(apportion(&weights, Won::new(amount)).unwrap(), one_by_one(&weights, amount));
        }

        #[test]
        fn more_to_spread_takes_from_nobody(weights in weights(), amount in 0i64..2_000) {
            let less = apportion(&weights, Won::new(amount)).unwrap();
            let more = apportion(&weights, Won::new(amount + 1)).unwrap();
            prop_assert!(less.iter().zip(&more).all(|(less, more)| less <= more));
            prop_assert!(more.iter().zip(&weights).all(|(part, weight)| part <= weight));
        }

        #[test]
        fn a_large_sum_is_spread_to_the_won(weights in proptest::collection::vec(1i64..1_000_000_000_000, 2..40), share in 0u8..=100) {
            let weights: Vec<Won> = weights.into_iter().map(Won::new).collect();
            let whole = Won::sum(weights.iter().copied()).unwrap().get();
            let amount = Won::new((i128::from(whole) * i128::from(share) / 100) as i64);
            prop_assert_eq!(Won::sum(apportion(&weights, amount).unwrap()).unwrap(), amount);
        }

        #[test]
        fn the_order_of_cancellations_does_not_matter(given in givens(), turn in 0usize..6) {
            let mut turned = given.clone();
            if !turned.is_empty() {
                let by = turn % turned.len();
                turned.rotate_left(by);
                turned.reverse();
            }
            prop_assert_eq!(left(&three(), &given).unwrap(), left(&three(), &turned).unwrap());
        }

        #[test]
        fn what_went_back_is_missing_exactly_and_no_line_grows(given in givens()) {
            let paid = 5_000 + 5_001 + 3_333;
            let mut before = paid_left(&three(), &[]);
            for n in 1..=given.len() {
                let now = paid_left(&three(), &given[..n]);
                let gone: i64 = given[..n].iter().map(|one| one.amount.get()).sum();
                prop_assert_eq!(now.iter().sum::<i64>(), (paid - gone).max(0));
                prop_assert!(now.iter().zip(&before).all(|(now, before)| now <= before), "{:?} {:?}", before, now);
                before = now;
            }
        }

        #[test]
        fn pieces_of_the_whole_are_the_whole(pieces in proptest::collection::vec(1i64..3_000, 1..6)) {
            let sum = pieces.iter().sum();
            let pieces: Vec<Given> = pieces.into_iter().map(whole).collect();
            prop_assert_eq!(left(&three(), &pieces).unwrap(), left(&three(), &[whole(sum)]).unwrap());
        }
    }
}
