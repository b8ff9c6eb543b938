//! A day is a Korean day: `[00:00, 24:00)` in Seoul.
//!
//! Seoul has been nine hours ahead of UTC without summer time since 1988-10-09 (IANA tz
//! `Asia/Seoul`), so a fixed offset gives the same days and needs no time-zone files on the machine.

use std::{fmt, str::FromStr};

use jiff::{
    Timestamp, civil,
    tz::{self, TimeZone},
};
use serde::{Deserialize, Serialize};

/// Korean standard time, UTC+9.
pub fn seoul() -> TimeZone {
    TimeZone::fixed(tz::offset(9))
}

/// One day in Seoul.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KstDay(civil::Date);

/// A date that cannot be read, or lies outside of what a calendar here can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a date: write it as 2026-08-06")]
pub struct NotADay(pub String);

impl KstDay {
    /// The Korean day in which an instant lies.
    pub fn of(at: Timestamp) -> KstDay {
        KstDay(tz::offset(9).to_datetime(at).date())
    }

    /// The first instant of the day.
    pub fn start(self) -> Timestamp {
        tz::offset(9)
            .to_timestamp(self.0.at(0, 0, 0, 0))
            .unwrap_or(Timestamp::MIN)
    }

    /// The first instant after the day.
    pub fn end(self) -> Timestamp {
        self.0
            .tomorrow()
            .map_or(Timestamp::MAX, |next| KstDay(next).start())
    }

    pub fn date(self) -> civil::Date {
        self.0
    }
}

impl fmt::Display for KstDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for KstDay {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<KstDay, NotADay> {
        text.parse::<civil::Date>()
            .ok()
            // Years that no shop has: they would leave the range of an instant.
            .filter(|date| (1970..=9000).contains(&date.year()))
            .map(KstDay)
            .ok_or_else(|| NotADay(text.to_owned()))
    }
}

/// An instant as people in Korea write it, with its zone: `2026-08-06 14:03:07 KST`.
pub fn kst(at: Timestamp) -> String {
    tz::offset(9)
        .to_datetime(at)
        .strftime("%Y-%m-%d %H:%M:%S KST")
        .to_string()
}

/// An instant as machines write it, with Seoul's offset: `2026-08-06T14:03:07.250+09:00`.
pub fn rfc3339(at: Timestamp) -> String {
    at.display_with_offset(tz::offset(9)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midnight_in_seoul_cuts_the_day() {
        let last: Timestamp = "2026-08-06T14:59:59.999Z".parse().unwrap();
        let first: Timestamp = "2026-08-06T15:00:00Z".parse().unwrap();
        assert_eq!(KstDay::of(last).to_string(), "2026-08-06");
        assert_eq!(KstDay::of(first).to_string(), "2026-08-07");
        assert_eq!(KstDay::of(first).start(), first);
        assert_eq!(KstDay::of(last).end(), first);
    }

    #[test]
    fn a_date_that_is_none_says_how_to_write_one() {
        for wrong in ["2026-13-01", "yesterday", "", "0001-01-01", "20260806x"] {
            assert!(wrong.parse::<KstDay>().is_err(), "{wrong}");
        }
        assert_eq!(
            "2024-02-29".parse::<KstDay>().unwrap().to_string(),
            "2024-02-29"
        );
    }

    proptest::proptest! {
        #[test]
        fn every_instant_lies_in_its_day(second in 0i64..4_000_000_000) {
            let at = Timestamp::from_second(second).unwrap();
            let day = KstDay::of(at);
            proptest::prop_assert!(day.start() <= at && at < day.end());
            proptest::prop_assert_eq!(day.to_string().parse::<KstDay>(), Ok(day));
        }
    }
}
