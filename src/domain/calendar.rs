//! A day is a Korean day: `[00:00, 24:00)` in Seoul.
//!
//! Seoul has been nine hours ahead of UTC without summer time since 1988-10-09 (IANA tz
//! `Asia/Seoul`), so a fixed offset gives the same days and needs no time-zone files on the machine.

use std::{fmt, str::FromStr};

use jiff::{
    Span, Timestamp, civil,
    tz::{self, TimeZone},
};
use serde::{Deserialize, Serialize};

/// Korean standard time, UTC+9.
pub fn seoul() -> TimeZone {
    TimeZone::fixed(tz::offset(9))
}

/// One day in Seoul.
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
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, format = Date)]
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

    /// The day that a date of the civil calendar names.
    pub fn from_date(date: civil::Date) -> KstDay {
        KstDay(date)
    }

    /// So many days later, or earlier. Stops at the ends of the calendar, 9999 years off.
    pub fn plus_days(self, days: i64) -> KstDay {
        let moved = Span::new()
            .try_days(days)
            .and_then(|span| self.0.checked_add(span));
        KstDay(match moved {
            Ok(date) => date,
            Err(_) if days < 0 => civil::Date::MIN,
            Err(_) => civil::Date::MAX,
        })
    }

    pub fn next(self) -> KstDay {
        self.plus_days(1)
    }

    pub fn previous(self) -> KstDay {
        self.plus_days(-1)
    }

    pub fn weekday(self) -> civil::Weekday {
        self.0.weekday()
    }

    pub fn year(self) -> i16 {
        self.0.year()
    }

    /// 1 to 12.
    pub fn month(self) -> i8 {
        self.0.month()
    }

    /// 1 to 31.
    pub fn day_of_month(self) -> i8 {
        self.0.day()
    }

    /// How many days later `other` is; negative where it is earlier.
    pub fn days_until(self, other: KstDay) -> i64 {
        self.0.duration_until(other.0).as_hours() / 24
    }

    pub fn first_of_month(self) -> KstDay {
        KstDay(self.0.first_of_month())
    }

    pub fn last_of_month(self) -> KstDay {
        KstDay(self.0.last_of_month())
    }
}

impl fmt::Display for KstDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl TryFrom<String> for KstDay {
    type Error = NotADay;
    fn try_from(text: String) -> Result<KstDay, NotADay> {
        text.parse()
    }
}

impl From<KstDay> for String {
    fn from(day: KstDay) -> String {
        day.to_string()
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

/// An instant as people write it: a day in Korea (its start, or its end where `ends`), a time there
/// (`2026-08-06T14:03`), or an instant that names its zone.
pub fn moment(text: &str, ends: bool) -> Option<Timestamp> {
    let text = text.trim();
    if !text.contains(['T', ' ']) {
        let day: KstDay = text.parse().ok()?;
        return Some(if ends { day.end() } else { day.start() });
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let there: civil::DateTime = text.parse().ok()?;
    tz::offset(9).to_timestamp(there).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_people_in_korea_write_it() {
        for (text, ends, read) in [
            ("2026-08-06", false, Some("2026-08-05T15:00:00Z")),
            ("2026-08-06", true, Some("2026-08-06T15:00:00Z")),
            ("2026-08-06T14:03", false, Some("2026-08-06T05:03:00Z")),
            ("2026-08-06 14:03:07", true, Some("2026-08-06T05:03:07Z")),
            (
                "2026-08-06T14:03:07+09:00",
                false,
                Some("2026-08-06T05:03:07Z"),
            ),
            ("2026-08-06T05:03:07Z", false, Some("2026-08-06T05:03:07Z")),
            ("yesterday", false, None),
            ("2026-13-01", false, None),
            ("", false, None),
        ] {
            let at = read.map(|at| at.parse().unwrap());
            assert_eq!(moment(text, ends), at, "{text}");
        }
    }

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
    fn json_takes_no_day_that_a_form_would_not() {
        for wrong in ["9999-12-31", "9001-01-01", "1969-12-31"] {
            assert!(
                serde_json::from_value::<KstDay>(wrong.into()).is_err(),
                "{wrong}"
            );
        }
        let day: KstDay = "2026-08-06".parse().unwrap();
        assert_eq!(serde_json::to_value(day).unwrap(), "2026-08-06");
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

    #[test]
    fn a_day_knows_its_place() {
        let day: KstDay = "2024-02-28".parse().unwrap();
        assert_eq!(day.next().to_string(), "2024-02-29");
        assert_eq!(day.next().next().to_string(), "2024-03-01");
        assert_eq!(day.plus_days(-59).to_string(), "2023-12-31");
        assert_eq!(day.last_of_month(), day.next());
        assert_eq!(day.weekday(), civil::Weekday::Wednesday);
        assert_eq!((day.year(), day.month(), day.day_of_month()), (2024, 2, 28));
        assert_eq!(KstDay::from_date(civil::date(2024, 2, 28)), day);
    }

    #[test]
    fn the_calendar_has_two_ends_and_nothing_beyond() {
        let (first, last) = (KstDay(civil::Date::MIN), KstDay(civil::Date::MAX));
        assert_eq!((first.previous(), last.next()), (first, last));
        assert_eq!(first.plus_days(i64::MAX), last);
        assert_eq!(last.plus_days(i64::MIN), first);
        assert_eq!(first.plus_days(first.days_until(last)), last);
    }

    proptest::proptest! {
        #[test]
        fn days_are_counted_as_they_are_added(from in -100_000i64..100_000, days in -100_000i64..100_000) {
            let from = KstDay(civil::date(2026, 1, 1)).plus_days(from);
            let to = from.plus_days(days);
            proptest::prop_assert_eq!(from.days_until(to), days);
            proptest::prop_assert_eq!(to.next().previous(), to);
            proptest::prop_assert_eq!(from.cmp(&to), 0.cmp(&days));
        }

        #[test]
        fn every_instant_lies_in_its_day(second in 0i64..4_000_000_000) {
            let at = Timestamp::from_second(second).unwrap();
            let day = KstDay::of(at);
            proptest::prop_assert!(day.start() <= at && at < day.end());
            proptest::prop_assert_eq!(day.to_string().parse::<KstDay>(), Ok(day));
        }
    }
}
