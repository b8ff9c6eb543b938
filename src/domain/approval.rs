//! Maker and checker: what waits for a second person, and who that may be. Pure.

use serde::{Deserialize, Serialize};

use super::money::Won;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A batch of payouts: its file for the bank, and the bank's word on it.
    Payout,
    /// Adjustments: one, or all rows of a file.
    Adjustment,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Payout => "payout",
            Kind::Adjustment => "adjustment",
        }
    }

    pub fn parse(text: &str) -> Option<Kind> {
        [Kind::Payout, Kind::Adjustment]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// How it stands. All but the first are for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    Waiting,
    Approved,
    Refused,
    /// By whoever asked.
    Withdrawn,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "WAITING",
            State::Approved => "APPROVED",
            State::Refused => "REFUSED",
            State::Withdrawn => "WITHDRAWN",
        }
    }

    pub fn parse(text: &str) -> Option<State> {
        [
            State::Waiting,
            State::Approved,
            State::Refused,
            State::Withdrawn,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }
}

/// Whether somebody who acts under this name is a person with an account: keys, the settings' token,
/// the command line and the program itself are not.
pub fn is_person(by: &str) -> bool {
    by.len() > 1 && by.starts_with('@')
}

/// Whether `amount`, on top of what the same maker did `before` without a second person, needs one.
/// Without a limit nothing does.
pub fn needs_second(limit: Option<Won>, before: Won, amount: Won) -> bool {
    limit.is_some_and(|limit| {
        // A sum that is out of range is above any limit.
        before.plus(amount).map_or(true, |sum| sum > limit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_parts_it_comes_to_the_same() {
        let (limit, won) = (Some(Won::new(100)), Won::new);
        assert!(!needs_second(limit, Won::ZERO, won(100)));
        assert!(needs_second(limit, Won::ZERO, won(101)));
        assert!(needs_second(limit, won(60), won(41)) && !needs_second(limit, won(60), won(40)));
        assert!(needs_second(limit, won(i64::MAX), won(1)));
        assert!(needs_second(Some(Won::ZERO), Won::ZERO, won(1)));
        assert!(!needs_second(None, won(i64::MAX), won(i64::MAX)));
    }

    #[test]
    fn only_an_account_is_a_person() {
        assert!(is_person("@minji"));
        for by in ["", "@", "api", "cli", "key:@shop", "page", "start"] {
            assert!(!is_person(by), "{by}");
        }
    }
}
