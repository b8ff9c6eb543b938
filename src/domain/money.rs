//! Money is a whole number of won, and no sum of it ever wraps.
//!
//! There is no `+`: adding two amounts can fail, and whoever adds has to say what then. Overflow is
//! a fault of the data (10¹² won is already the largest order we take), never a wrong figure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A whole number of won. Money that goes back is negative where a sum is kept, positive where an
/// amount is asked for.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Won(i64);

/// A sum left the range that an amount can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sum of these amounts is out of range")]
pub struct OutOfRange;

impl Won {
    pub const ZERO: Won = Won(0);

    /// The largest amount of one order: one trillion won. Far above any card limit, and small
    /// enough that nine million of them still add up without leaving an `i64`.
    pub const LARGEST: Won = Won(1_000_000_000_000);

    pub const fn new(won: i64) -> Won {
        Won(won)
    }

    pub const fn get(self) -> i64 {
        self.0
    }

    pub fn is_positive(self) -> bool {
        self.0 > 0
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub fn plus(self, other: Won) -> Result<Won, OutOfRange> {
        self.0.checked_add(other.0).map(Won).ok_or(OutOfRange)
    }

    pub fn minus(self, other: Won) -> Result<Won, OutOfRange> {
        self.0.checked_sub(other.0).map(Won).ok_or(OutOfRange)
    }

    pub fn times(self, count: i64) -> Result<Won, OutOfRange> {
        self.0.checked_mul(count).map(Won).ok_or(OutOfRange)
    }

    pub fn sum(amounts: impl IntoIterator<Item = Won>) -> Result<Won, OutOfRange> {
        amounts.into_iter().try_fold(Won::ZERO, Won::plus)
    }
}

/// `12,000`: digits in threes, no sign of the currency. Pages put `₩` or `원` around it.
impl fmt::Display for Won {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.unsigned_abs().to_string();
        let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
        if self.0 < 0 {
            out.push('-');
        }
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                out.push(',');
            }
            out.push(digit);
        }
        f.pad(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn won_are_written_in_threes() {
        for (won, text) in [
            (0, "0"),
            (7, "7"),
            (999, "999"),
            (1_000, "1,000"),
            (12_000, "12,000"),
            (1_234_567, "1,234,567"),
            (-4_450, "-4,450"),
            (i64::MIN, "-9,223,372,036,854,775,808"),
        ] {
            assert_eq!(Won::new(won).to_string(), text);
        }
    }

    #[test]
    fn a_sum_out_of_range_is_an_error_not_a_wrong_figure() {
        let most = Won::new(i64::MAX);
        assert_eq!(most.plus(Won::new(1)), Err(OutOfRange));
        assert_eq!(Won::new(i64::MIN).minus(Won::new(1)), Err(OutOfRange));
        assert_eq!(most.times(2), Err(OutOfRange));
        assert_eq!(Won::sum([most, Won::new(1)]), Err(OutOfRange));
        assert_eq!(Won::sum([Won::new(3), Won::new(-4)]), Ok(Won::new(-1)));
    }
}
