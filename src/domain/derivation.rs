//! How a settlement line came to its figures, step by step, so that a person can follow each won.
//!
//! The same rules as [`Terms::between`], told instead of summed: a step is what a fee comes to after the
//! movement less what it came to before. The steps of a line add up to the line, always.

use super::{
    contract::{Fee, Position, Rate, Round, Terms, VatBearer},
    money::{OutOfRange, Won},
};

/// Which figure of a line a step makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Figure {
    Fee,
    FeeVat,
    /// By name.
    Additional(String),
    AdditionalVat(String),
    DiscountShare,
    PaymentVat,
}

/// By which rule a step's amount comes from its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A part of the base.
    Rate(Rate),
    /// So many won while anything is sold.
    Fixed(Won),
    /// A tenth of the fee: its VAT.
    Tenth,
    /// An eleventh of what was paid with VAT in it.
    Eleventh,
    /// Nothing: it is inside the fee, or the contract does not take it.
    Nothing,
}

/// A step at one moment: what it was taken from, and what it came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    pub base: Won,
    pub amount: Won,
}

/// One figure of a line, as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub figure: Figure,
    pub how: How,
    pub round: Round,
    pub before: Side,
    pub after: Side,
    /// After less before: what stands in the line.
    pub worth: Won,
}

/// The steps from one position to another, in the order of the formula.
pub fn steps(terms: &Terms, before: &Position, after: &Position) -> Result<Vec<Step>, OutOfRange> {
    let (was, now) = (sides(terms, before)?, sides(terms, after)?);
    was.into_iter()
        .zip(now)
        .map(|((figure, how, round, before), (.., after))| {
            Ok(Step {
                figure,
                how,
                round,
                before,
                after,
                worth: after.amount.minus(before.amount)?,
            })
        })
        .collect()
}

type Part = (Figure, How, Round, Side);

/// What each step comes to at a position. The same steps for every position of one contract.
fn sides(terms: &Terms, at: &Position) -> Result<Vec<Part>, OutOfRange> {
    let round = &terms.rounding;
    let mut parts = Vec::new();
    let (fee, vat) = fee(
        terms.fee,
        terms.fee_vat,
        at.order,
        (round.fee, round.fee_vat),
    )?;
    parts.push((Figure::Fee, fee.0, round.fee, fee.1));
    parts.push((Figure::FeeVat, vat.0, round.fee_vat, vat.1));
    for more in &terms.additional {
        let rounds = (round.additional, round.additional_vat);
        let (fee, vat) = self::fee(more.fee, more.vat, at.order, rounds)?;
        let name = more.name.clone();
        parts.push((
            Figure::Additional(name.clone()),
            fee.0,
            round.additional,
            fee.1,
        ));
        parts.push((
            Figure::AdditionalVat(name),
            vat.0,
            round.additional_vat,
            vat.1,
        ));
    }
    let share = terms.discount_share;
    let side = Side {
        base: at.discount,
        amount: share.of(at.discount, round.discount_share)?,
    };
    parts.push((
        Figure::DiscountShare,
        How::Rate(share),
        round.discount_share,
        side,
    ));
    let taxed = at.payment()?.minus(at.tax_free)?;
    let (how, amount) = if terms.subtract_payment_vat {
        let vat = round.payment_vat.divide(i128::from(taxed.get()), 11)?;
        (How::Eleventh, vat)
    } else {
        (How::Nothing, Won::ZERO)
    };
    let side = Side {
        base: taxed,
        amount,
    };
    parts.push((Figure::PaymentVat, how, round.payment_vat, side));
    Ok(parts)
}

type HowMuch = (How, Side);

/// A fee and its VAT.
fn fee(
    fee: Fee,
    bearer: VatBearer,
    order: Won,
    (round, round_vat): (Round, Round),
) -> Result<(HowMuch, HowMuch), OutOfRange> {
    let amount = fee.of(order, round)?;
    let how = match fee {
        Fee::Rate(rate) => How::Rate(rate),
        Fee::Fixed(won) => How::Fixed(won),
    };
    let vat = Side {
        base: amount,
        amount: bearer.vat(amount, round_vat)?,
    };
    let vat_how = match bearer {
        VatBearer::Partner => How::Tenth,
        VatBearer::Platform => How::Nothing,
    };
    let side = Side {
        base: order,
        amount,
    };
    Ok(((how, side), (vat_how, vat)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        contract::{AdditionalFee, Rounding},
        cycle::{Cycle, HolidayPolicy, Method},
    };

    fn terms() -> Terms {
        let cycle = Cycle::new(1, Method::Daily, HolidayPolicy::After).unwrap();
        let rate = |text: &str| text.parse::<Rate>().unwrap();
        Terms {
            additional: vec![
                AdditionalFee {
                    name: "PG".into(),
                    fee: Fee::Rate(rate("5")),
                    vat: VatBearer::Partner,
                },
                AdditionalFee {
                    name: "창고".into(),
                    fee: Fee::Fixed(Won::new(300)),
                    vat: VatBearer::Platform,
                },
            ],
            discount_share: rate("50"),
            subtract_payment_vat: true,
            rounding: Rounding {
                fee: Round::Half,
                payment_vat: Round::Up,
                ..Rounding::default()
            },
            ..Terms::plain(Fee::Rate(rate("10")), cycle)
        }
    }

    #[test]
    fn a_cancel_is_the_difference_of_two_cuts() {
        let whole = Position {
            order: Won::new(10_000),
            ..Position::NONE
        };
        let half = Position {
            order: Won::new(5_000),
            ..Position::NONE
        };
        let steps = steps(&terms(), &whole, &half).unwrap();
        assert_eq!(steps[0].before.amount, Won::new(1_000));
        assert_eq!(steps[0].after.amount, Won::new(500));
        assert_eq!(steps[0].worth, Won::new(-500));
        assert_eq!(steps[1].worth, Won::new(-50));
    }

    proptest! {
        #[test]
        fn the_steps_add_up_to_the_line(
            order in 0i64..1_000_000, less in 0i64..1_000_000, discount in 0i64..1_000_000, free in 0i64..1_000_000,
        ) {
            let at = |order: i64| {
                let discount = discount.min(order);
                Position {
                    order: Won::new(order),
                    discount: Won::new(discount),
                    tax_free: Won::new(free.min(order - discount)),
                }
            };
            let (before, after) = (at(order), at((order - less).max(0)));
            let terms = terms();
            let cut = terms.between(&before, &after).unwrap();
            let steps = steps(&terms, &before, &after).unwrap();
            let taken = Won::sum(steps.iter().map(|step| step.worth)).unwrap();
            prop_assert_eq!(cut.order.minus(taken).unwrap(), cut.net);
            prop_assert_eq!(steps[0].worth, cut.fee);
            prop_assert_eq!(steps[steps.len() - 1].worth, cut.payment_vat);
        }
    }
}
