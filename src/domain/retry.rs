//! When something is tried again: how often, how soon, and for how long.
//!
//! Policy is data (see `config`), the error's class decides whether it applies at all.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What an outcome says about trying again. Every error of this system answers with one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Class {
    /// Nothing was done, and the same call may succeed later.
    Transient,
    /// It may or may not have been done. Read before anything is sent again.
    Unknown,
    /// Trying again cannot help; a person has to look.
    Permanent,
    /// Our credentials or set-up are wrong. Stop calling; no attempt is used up.
    Halt,
}

impl Class {
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Transient => "TRANSIENT",
            Class::Unknown => "UNKNOWN",
            Class::Permanent => "PERMANENT",
            Class::Halt => "HALT",
        }
    }
}

/// Exponential back-off with full jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub base: Duration,
    pub most: Duration,
}

impl Backoff {
    /// The longest wait before try `attempt + 1`: `base · 2^(attempt-1)`, never above `most`.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(20);
        self.base.saturating_mul(1 << doublings).min(self.most)
    }

    /// Full jitter: a wait drawn evenly from nothing to the ceiling, so that many callers that
    /// failed together do not come back together. `dice` is uniform in `0.0..1.0`.
    pub fn wait(&self, attempt: u32, dice: f64) -> Duration {
        self.ceiling(attempt).mul_f64(dice.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most() {
        let backoff = Backoff {
            base: Duration::from_secs(5),
            most: Duration::from_secs(60),
        };
        let seconds: Vec<u64> = (1..=6).map(|n| backoff.ceiling(n).as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 60, 60]);
        assert_eq!(backoff.ceiling(u32::MAX).as_secs(), 60);
    }

    proptest::proptest! {
        #[test]
        fn a_wait_stays_within_its_bounds(attempt in 0u32..100, dice in 0.0f64..1.0) {
            let backoff = Backoff { base: Duration::from_millis(700), most: Duration::from_secs(9) };
            let wait = backoff.wait(attempt, dice);
            proptest::prop_assert!(wait <= backoff.ceiling(attempt));
        }
    }
}
