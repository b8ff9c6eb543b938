//! How long one has to wait after wrong passwords or codes. Pure; times in milliseconds.

/// Wrong tries that cost nothing: people mistype.
const FREE: i64 = 5;
/// What the first one too many costs; each further one doubles it.
const FIRST_MS: i64 = 30_000;
/// The longest wait. Longer would be a way to keep a person out.
const LONGEST_MS: i64 = 15 * 60_000;
/// After so long without a wrong try it begins anew.
const FORGOTTEN_MS: i64 = 60 * 60_000;

/// Failures after one more, and how long the name is locked for.
pub fn after_failure(failures: i64, last_ms: i64, now_ms: i64) -> (i64, i64) {
    let failures = if now_ms - last_ms > FORGOTTEN_MS {
        1
    } else {
        failures.saturating_add(1)
    };
    let wait = if failures < FREE {
        0
    } else {
        let doubled = u32::try_from(failures - FREE).unwrap_or(u32::MAX).min(10);
        (FIRST_MS << doubled).min(LONGEST_MS)
    };
    (failures, wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASVS 6.3.1 by its figure here: at most 30 checks of one account in 15 minutes.
    #[test]
    fn whoever_guesses_without_rest_gets_few_tries() {
        for window in 0..200 {
            let (mut now, mut failures, mut last, mut tries) = (0, 0, i64::MIN / 2, Vec::new());
            while now < 24 * 3_600_000 {
                tries.push(now);
                let (more, wait) = after_failure(failures, last, now);
                (failures, last) = (more, now);
                now += wait.max(1);
            }
            let from = window * 60_000;
            let inside = tries
                .iter()
                .filter(|at| (from..from + 15 * 60_000).contains(*at))
                .count();
            // From places the person knows and from others: twice as many.
            assert!(inside * 2 <= 30, "{inside} from minute {window} on");
        }
    }

    #[test]
    fn a_person_who_mistypes_is_not_made_to_wait_and_is_forgiven_in_time() {
        let (failures, wait) = after_failure(3, 1_000, 2_000);
        assert_eq!((failures, wait), (4, 0));
        assert_eq!(after_failure(4, 2_000, 3_000), (5, 30_000));
        assert_eq!(after_failure(9, 0, FORGOTTEN_MS + 1), (1, 0));
        assert_eq!(after_failure(1_000, 0, 1).1, LONGEST_MS);
    }
}
