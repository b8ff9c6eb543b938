//! What is still stuck, as a person is told once a day. Pure facts; Slack and the pages word them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::money::Won;

/// Why something does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A dead letter: nobody tries again until a person says so.
    DeadLetter,
    /// A payment that does not fit.
    Held,
    /// A cancellation that has been under way for long: its outcome is unknown.
    Cancelling,
    /// A partner that cannot be settled without a contract.
    NoContract,
    /// A settlement whose payout the bank refused.
    PayoutFailed,
    /// A kind of jobs that somebody paused.
    Paused,
}

impl Why {
    pub const ALL: [Why; 6] = [
        Why::DeadLetter,
        Why::Held,
        Why::Cancelling,
        Why::NoContract,
        Why::PayoutFailed,
        Why::Paused,
    ];
}

/// All that is stuck for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heap {
    pub why: Why,
    pub count: i64,
    pub amount: Won,
    /// Since when the oldest waits.
    pub oldest: Timestamp,
}

/// One thing that is stuck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stuck {
    pub why: Why,
    /// By which its page is found: a job's number, a payment's id, …
    pub key: String,
    /// Whose or what it is, where the key does not say it.
    pub about: String,
    pub amount: Won,
    pub since: Timestamp,
}

/// The message of a day. There is none of a day on which nothing is stuck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// When it was looked at: ages count until then.
    pub at: Timestamp,
    pub heaps: Vec<Heap>,
    /// The oldest of all, oldest first.
    pub oldest: Vec<Stuck>,
}

/// A time that has passed, as days, hours and minutes.
pub fn passed(from: Timestamp, to: Timestamp) -> (i64, i64, i64) {
    let minutes = to.as_second().saturating_sub(from.as_second()).max(0) / 60;
    (minutes / 1_440, minutes / 60 % 24, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_passed_is_told_in_days_hours_and_minutes() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        assert_eq!(passed(at(0), at(59)), (0, 0, 0));
        assert_eq!(passed(at(0), at(3_660)), (0, 1, 1));
        assert_eq!(passed(at(0), at(90_000)), (1, 1, 0));
        assert_eq!(passed(at(90), at(0)), (0, 0, 0));
    }
}
