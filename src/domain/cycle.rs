//! On which day a partner is paid for what was sold on another.
//!
//! `base = start + lag`; then the first date of the method on or after the base; then, where banks
//! are closed, the business day before or after it. Nobody is paid before the day of the sale: where
//! "before" would lead there, it is the business day after instead (PortOne's option
//! `adjustSettlementDateAfterHolidayIfEarlier`, which always holds here).
//!
//! Source: PortOne's `settlementCycle = {lagDays, datePolicy, method}` and its published examples.

use std::{collections::BTreeSet, ops::RangeInclusive};

use jiff::civil;
use serde::{Deserialize, Serialize};

use super::{calendar::KstDay, holidays::BusinessCalendar};

/// A day of the week, as PortOne writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A date of every year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MonthDay {
    /// 1 to 12.
    pub month: u8,
    /// 1 to the last day that the month can have. 29 February is the 28th in other years.
    pub day: u8,
}

/// Which dates are dates of payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Method {
    Daily,
    Weekly {
        days: Vec<Weekday>,
    },
    /// Days of the month, 1 to 31. One that a month does not have is its last day, so 31 is always
    /// the month's end.
    Monthly {
        days: Vec<u8>,
    },
    /// The same dates every year.
    Dates {
        dates: Vec<MonthDay>,
    },
}

/// What becomes of a date on which banks are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HolidayPolicy {
    /// The business day before it (전 영업일).
    Before,
    /// The business day after it (후 영업일).
    After,
    /// It stays (달력일).
    CalendarDay,
}

/// When a partner is paid. Its lists are sorted, without repetition, and not empty.
///
/// ```json
/// {"lag_days":2,"method":{"kind":"MONTHLY","days":[31]},"holiday":"BEFORE"}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Given")]
pub struct Cycle {
    lag_days: u8,
    method: Method,
    holiday: HolidayPolicy,
}

/// Why a cycle cannot be kept. Each says which field, what it was and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongCycle {
    #[error("`lag_days` is {0}; expected 0 to {most}", most = Cycle::LONGEST_LAG)]
    Lag(i64),
    #[error("`method.{0}` is empty; at least one is needed")]
    Empty(&'static str),
    #[error("`method.days` has {0}; expected 1 to 31, where 31 is the month's end")]
    DayOfMonth(i64),
    #[error("`method.dates` has the month {0}; expected 1 to 12")]
    Month(i64),
    #[error("`method.dates` has day {day} of month {month}; expected 1 to {most}")]
    DayOfYear { month: u8, day: i64, most: u8 },
}

impl WrongCycle {
    /// The same in Korean.
    pub fn ko(&self) -> String {
        match self {
            Self::Lag(days) => format!(
                "보류일(`lag_days`)이 {days}입니다. 0~{}일이어야 합니다",
                Cycle::LONGEST_LAG
            ),
            Self::Empty(field) => {
                format!("`method.{field}`가 비어 있습니다. 하나 이상 필요합니다")
            }
            Self::DayOfMonth(day) => format!(
                "정산일(`method.days`)에 {day}이(가) 있습니다. 1~31이어야 하며 31은 말일입니다"
            ),
            Self::Month(month) => {
                format!("정산일(`method.dates`)의 월이 {month}입니다. 1~12여야 합니다")
            }
            Self::DayOfYear { month, day, most } => format!(
                "정산일(`method.dates`)이 {month}월 {day}일입니다. {month}월은 1~{most}일이어야 합니다"
            ),
        }
    }
}

impl Cycle {
    /// Days; PortOne takes 1 to 10. 60 is the longest term of payment in 대규모유통업법 제8조.
    pub const LONGEST_LAG: u8 = 60;

    /// Checks every field, and sorts the lists.
    pub fn new(lag_days: u8, method: Method, holiday: HolidayPolicy) -> Result<Cycle, WrongCycle> {
        let method = match method {
            Method::Daily => Method::Daily,
            Method::Weekly { days } => Method::Weekly {
                days: sorted(days, "days", Ok)?,
            },
            Method::Monthly { days } => Method::Monthly {
                days: sorted(days, "days", |day| day_of_month(day.into()))?,
            },
            Method::Dates { dates } => Method::Dates {
                dates: sorted(dates, "dates", |MonthDay { month, day }| {
                    day_of_year(month.into(), day.into())
                })?,
            },
        };
        Ok(Cycle {
            lag_days: within(lag_days.into(), 0..=Self::LONGEST_LAG, WrongCycle::Lag)?,
            method,
            holiday,
        })
    }

    /// Calendar days from the start that are waited at least (보류일).
    pub fn lag_days(&self) -> u8 {
        self.lag_days
    }

    pub fn method(&self) -> &Method {
        &self.method
    }

    pub fn holiday(&self) -> HolidayPolicy {
        self.holiday
    }

    /// The day on which what starts on `start` is paid: never before it.
    pub fn payout_day(&self, start: KstDay, calendar: &BusinessCalendar) -> KstDay {
        let due = self
            .method
            .first_from(start.plus_days(self.lag_days.into()));
        match self.holiday {
            HolidayPolicy::CalendarDay => due,
            HolidayPolicy::After => calendar.on_or_after(due),
            HolidayPolicy::Before => {
                let before = calendar.on_or_before(due);
                if before > start {
                    before
                } else {
                    calendar.on_or_after(due)
                }
            }
        }
    }

    /// One sentence, in Korean and in English.
    pub fn describe(&self) -> (String, String) {
        let (method_ko, method_en) = self.method.describe();
        let (lag_ko, lag_en) = match self.lag_days {
            0 => ("보류 없음".to_owned(), "without a lag".to_owned()),
            1 => ("보류 1일".to_owned(), "after a lag of 1 day".to_owned()),
            days => (
                format!("보류 {days}일"),
                format!("after a lag of {days} days"),
            ),
        };
        let (holiday_ko, holiday_en) = match self.holiday {
            HolidayPolicy::Before => (
                "휴일이면 직전 영업일",
                "on the business day before a holiday",
            ),
            HolidayPolicy::After => (
                "휴일이면 다음 영업일",
                "on the business day after a holiday",
            ),
            HolidayPolicy::CalendarDay => ("휴일에도 그대로", "on holidays, too"),
        };
        (
            format!("{method_ko}, {lag_ko}, {holiday_ko}"),
            format!("{method_en}, {lag_en}, {holiday_en}"),
        )
    }
}

impl Method {
    /// The first date of the method that is not before `base`.
    fn first_from(&self, base: KstDay) -> KstDay {
        // A method has a date in every 366 days: its lists are not empty, and every date of them
        // is clamped into a month or year that does not have it.
        (0..=366)
            .map(|days| base.plus_days(days))
            .find(|day| self.has(*day))
            .unwrap_or(base)
    }

    fn has(&self, day: KstDay) -> bool {
        let of_month = day.day_of_month().unsigned_abs();
        match self {
            Self::Daily => true,
            Self::Weekly { days } => days.contains(&Weekday::of(day)),
            Self::Monthly { days } => {
                let is_last = day == day.last_of_month();
                days.iter()
                    .any(|due| *due == of_month || (is_last && *due > of_month))
            }
            Self::Dates { dates } => {
                let is_last = day == day.last_of_month();
                dates.iter().any(|due| {
                    due.month == day.month().unsigned_abs()
                        && (due.day == of_month || (is_last && due.day > of_month))
                })
            }
        }
    }

    fn describe(&self) -> (String, String) {
        match self {
            Self::Daily => ("매일".to_owned(), "daily".to_owned()),
            Self::Weekly { days } => {
                let ko: Vec<&str> = days.iter().map(|day| day.words().0).collect();
                let en = days.iter().map(|day| day.words().1.to_owned());
                (
                    format!("매주 {}요일", ko.join("·")),
                    format!("weekly on {}", listed(en.collect())),
                )
            }
            Self::Monthly { days } => {
                let ko = days.iter().map(|day| match day {
                    31 => "말일".to_owned(),
                    day => format!("{day}일"),
                });
                let en = days.iter().map(|day| match day {
                    31 => "the last day".to_owned(),
                    day => format!("the {day}{}", ordinal(*day)),
                });
                (
                    format!("매월 {}", ko.collect::<Vec<_>>().join("·")),
                    format!("monthly on {}", listed(en.collect())),
                )
            }
            Self::Dates { dates } => {
                let ko = dates
                    .iter()
                    .map(|date| format!("{}월 {}일", date.month, date.day));
                let en = dates
                    .iter()
                    .map(|date| format!("{} {}", date.day, month_en(date.month)));
                (
                    format!("매년 {}", ko.collect::<Vec<_>>().join("·")),
                    format!("yearly on {}", listed(en.collect())),
                )
            }
        }
    }
}

impl Weekday {
    pub const ALL: [Weekday; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];

    pub fn of(day: KstDay) -> Weekday {
        match day.weekday() {
            civil::Weekday::Monday => Self::Mon,
            civil::Weekday::Tuesday => Self::Tue,
            civil::Weekday::Wednesday => Self::Wed,
            civil::Weekday::Thursday => Self::Thu,
            civil::Weekday::Friday => Self::Fri,
            civil::Weekday::Saturday => Self::Sat,
            civil::Weekday::Sunday => Self::Sun,
        }
    }

    /// Korean, without 요일, and English.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Mon => ("월", "Monday"),
            Self::Tue => ("화", "Tuesday"),
            Self::Wed => ("수", "Wednesday"),
            Self::Thu => ("목", "Thursday"),
            Self::Fri => ("금", "Friday"),
            Self::Sat => ("토", "Saturday"),
            Self::Sun => ("일", "Sunday"),
        }
    }
}

// --- Checks

/// A cycle as it is written down, with figures of any size.
#[derive(Deserialize)]
struct Given {
    lag_days: i64,
    method: GivenMethod,
    holiday: HolidayPolicy,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
enum GivenMethod {
    Daily,
    Weekly { days: Vec<Weekday> },
    Monthly { days: Vec<i64> },
    Dates { dates: Vec<GivenDate> },
}

#[derive(Deserialize)]
struct GivenDate {
    month: i64,
    day: i64,
}

impl TryFrom<Given> for Cycle {
    type Error = WrongCycle;

    fn try_from(given: Given) -> Result<Cycle, WrongCycle> {
        let lag_days = within(given.lag_days, 0..=Self::LONGEST_LAG, WrongCycle::Lag)?;
        let method = match given.method {
            GivenMethod::Daily => Method::Daily,
            GivenMethod::Weekly { days } => Method::Weekly { days },
            GivenMethod::Monthly { days } => Method::Monthly {
                days: days
                    .into_iter()
                    .map(day_of_month)
                    .collect::<Result<_, _>>()?,
            },
            GivenMethod::Dates { dates } => Method::Dates {
                dates: dates
                    .into_iter()
                    .map(|date| day_of_year(date.month, date.day))
                    .collect::<Result<_, _>>()?,
            },
        };
        Cycle::new(lag_days, method, given.holiday)
    }
}

fn within(
    given: i64,
    range: RangeInclusive<u8>,
    wrong: impl FnOnce(i64) -> WrongCycle,
) -> Result<u8, WrongCycle> {
    u8::try_from(given)
        .ok()
        .filter(|given| range.contains(given))
        .ok_or_else(|| wrong(given))
}

fn day_of_month(day: i64) -> Result<u8, WrongCycle> {
    within(day, 1..=31, WrongCycle::DayOfMonth)
}

fn day_of_year(month: i64, day: i64) -> Result<MonthDay, WrongCycle> {
    let month = within(month, 1..=12, WrongCycle::Month)?;
    let most = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day = within(day, 1..=most, |day| WrongCycle::DayOfYear {
        month,
        day,
        most,
    })?;
    Ok(MonthDay { month, day })
}

/// In order, each once, each checked; at least one.
fn sorted<T: Ord>(
    items: Vec<T>,
    field: &'static str,
    check: impl Fn(T) -> Result<T, WrongCycle>,
) -> Result<Vec<T>, WrongCycle> {
    let items: BTreeSet<T> = items.into_iter().map(check).collect::<Result<_, _>>()?;
    if items.is_empty() {
        return Err(WrongCycle::Empty(field));
    }
    Ok(items.into_iter().collect())
}

// --- Words

/// `a`, `a and b`, `a, b and c`.
fn listed(mut words: Vec<String>) -> String {
    let last = words.pop().unwrap_or_default();
    if words.is_empty() {
        last
    } else {
        format!("{} and {last}", words.join(", "))
    }
}

fn ordinal(day: u8) -> &'static str {
    match day {
        11..=13 => "th",
        day if day % 10 == 1 => "st",
        day if day % 10 == 2 => "nd",
        day if day % 10 == 3 => "rd",
        _ => "th",
    }
}

fn month_en(month: u8) -> &'static str {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let at = usize::from(month).wrapping_sub(1);
    MONTHS.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use HolidayPolicy::{After, Before, CalendarDay};
    use proptest::prelude::*;

    fn day(text: &str) -> KstDay {
        text.parse().unwrap()
    }

    fn monthly(lag: u8, days: &[u8], holiday: HolidayPolicy) -> Cycle {
        let days = days.to_vec();
        Cycle::new(lag, Method::Monthly { days }, holiday).unwrap()
    }

    fn yearly(dates: &[(u8, u8)]) -> Result<Cycle, WrongCycle> {
        let dates = dates.iter().map(|&(month, day)| MonthDay { month, day });
        let dates = dates.collect();
        Cycle::new(0, Method::Dates { dates }, CalendarDay)
    }

    fn paid(cycle: &Cycle, start: &str) -> String {
        cycle
            .payout_day(day(start), &BusinessCalendar::default())
            .to_string()
    }

    #[test]
    fn portones_examples_come_out() {
        let month_end = monthly(2, &[31], Before);
        assert_eq!(paid(&month_end, "2023-08-11"), "2023-08-31");
        // 30 September is a Saturday, and Chuseok was from the 28th on.
        assert_eq!(paid(&month_end, "2023-09-01"), "2023-09-27");

        let tenth = monthly(10, &[10], CalendarDay);
        for start in 1..=30 {
            assert_eq!(paid(&tenth, &format!("2023-06-{start:02}")), "2023-07-10");
        }
        assert_eq!(paid(&tenth, "2023-07-01"), "2023-08-10");

        let days = vec![Weekday::Thu];
        let thursday = Cycle::new(4, Method::Weekly { days }, CalendarDay).unwrap();
        for start in 4..=10 {
            // Monday 4 to Sunday 10 March 2024.
            assert_eq!(
                paid(&thursday, &format!("2024-03-{start:02}")),
                "2024-03-14"
            );
        }
    }

    #[test]
    fn a_day_that_a_month_does_not_have_is_its_last() {
        for due in [29, 30, 31] {
            assert_eq!(
                paid(&monthly(0, &[due], CalendarDay), "2023-02-10"),
                "2023-02-28"
            );
        }
        assert_eq!(
            paid(&monthly(0, &[30], CalendarDay), "2024-02-10"),
            "2024-02-29"
        );
        assert_eq!(
            paid(&monthly(0, &[30], CalendarDay), "2024-03-30"),
            "2024-03-30"
        );
        assert_eq!(
            paid(&monthly(0, &[30], CalendarDay), "2024-03-31"),
            "2024-04-30"
        );
        let leap = yearly(&[(2, 29)]).unwrap();
        assert_eq!(paid(&leap, "2023-02-10"), "2023-02-28");
        assert_eq!(paid(&leap, "2023-03-01"), "2024-02-29");
    }

    #[test]
    fn before_a_holiday_is_not_before_the_sale() {
        let daily = |lag, holiday| Cycle::new(lag, Method::Daily, holiday).unwrap();
        // Friday 1 March 2024 is a holiday, so is the weekend after it.
        assert_eq!(paid(&daily(1, Before), "2024-02-28"), "2024-02-29");
        assert_eq!(paid(&daily(1, Before), "2024-02-29"), "2024-03-04");
        assert_eq!(paid(&daily(2, Before), "2024-02-29"), "2024-03-04");
        assert_eq!(paid(&daily(1, After), "2024-02-29"), "2024-03-04");
        assert_eq!(paid(&daily(1, CalendarDay), "2024-02-29"), "2024-03-01");
        assert_eq!(paid(&daily(0, Before), "2024-02-29"), "2024-02-29");
    }

    #[test]
    fn a_cycle_is_kept_as_json() {
        for json in [
            r#"{"lag_days":2,"method":{"kind":"MONTHLY","days":[31]},"holiday":"BEFORE"}"#,
            r#"{"lag_days":0,"method":{"kind":"DAILY"},"holiday":"CALENDAR_DAY"}"#,
            r#"{"lag_days":60,"method":{"kind":"WEEKLY","days":["MON","SUN"]},"holiday":"AFTER"}"#,
            r#"{"lag_days":1,"method":{"kind":"DATES","dates":[{"month":2,"day":29}]},"holiday":"AFTER"}"#,
        ] {
            let cycle: Cycle = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&cycle).unwrap(), json);
        }
        let given =
            r#"{"lag_days":2,"method":{"kind":"MONTHLY","days":[25,10,25]},"holiday":"BEFORE"}"#;
        let cycle: Cycle = serde_json::from_str(given).unwrap();
        assert_eq!(cycle, monthly(2, &[10, 25], Before));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_was_expected() {
        let said = |lag: i64, method: &str| {
            let json = format!(r#"{{"lag_days":{lag},"method":{method},"holiday":"AFTER"}}"#);
            serde_json::from_str::<Cycle>(&json)
                .unwrap_err()
                .to_string()
        };
        for (lag, method, sentence) in [
            (
                61,
                r#"{"kind":"DAILY"}"#,
                "`lag_days` is 61; expected 0 to 60",
            ),
            (
                -1,
                r#"{"kind":"DAILY"}"#,
                "`lag_days` is -1; expected 0 to 60",
            ),
            (
                1,
                r#"{"kind":"WEEKLY","days":[]}"#,
                "`method.days` is empty; at least one is needed",
            ),
            (
                1,
                r#"{"kind":"MONTHLY","days":[10,300]}"#,
                "`method.days` has 300; expected 1 to 31, where 31 is the month's end",
            ),
            (
                1,
                r#"{"kind":"DATES","dates":[{"month":13,"day":1}]}"#,
                "`method.dates` has the month 13; expected 1 to 12",
            ),
        ] {
            assert_eq!(said(lag, method), sentence);
        }
        let wrong = yearly(&[(1, 31), (4, 31)]).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "`method.dates` has day 31 of month 4; expected 1 to 30"
        );
        assert_eq!(
            wrong.ko(),
            "정산일(`method.dates`)이 4월 31일입니다. 4월은 1~30일이어야 합니다"
        );
        assert_eq!(yearly(&[]), Err(WrongCycle::Empty("dates")));
    }

    #[test]
    fn a_cycle_reads_as_a_sentence() {
        let weekly = Method::Weekly {
            days: vec![Weekday::Thu, Weekday::Mon],
        };
        for (cycle, ko, en) in [
            (
                monthly(2, &[31], Before),
                "매월 말일, 보류 2일, 휴일이면 직전 영업일",
                "monthly on the last day, after a lag of 2 days, on the business day before a holiday",
            ),
            (
                monthly(1, &[31, 1, 12], After),
                "매월 1일·12일·말일, 보류 1일, 휴일이면 다음 영업일",
                "monthly on the 1st, the 12th and the last day, after a lag of 1 day, \
                 on the business day after a holiday",
            ),
            (
                Cycle::new(0, weekly, CalendarDay).unwrap(),
                "매주 월·목요일, 보류 없음, 휴일에도 그대로",
                "weekly on Monday and Thursday, without a lag, on holidays, too",
            ),
            (
                yearly(&[(9, 30), (3, 31)]).unwrap(),
                "매년 3월 31일·9월 30일, 보류 없음, 휴일에도 그대로",
                "yearly on 31 March and 30 September, without a lag, on holidays, too",
            ),
        ] {
            assert_eq!(cycle.describe(), (ko.to_owned(), en.to_owned()));
        }
    }

    fn any_method() -> impl Strategy<Value = Method> {
        let weekday = (0usize..7).prop_map(|at| Weekday::ALL[at]);
        let date = (1u8..=12, 1u8..=28).prop_map(|(month, day)| MonthDay { month, day });
        prop_oneof![
            Just(Method::Daily),
            prop::collection::vec(weekday, 1..4).prop_map(|days| Method::Weekly { days }),
            prop::collection::vec(1u8..=31, 1..4).prop_map(|days| Method::Monthly { days }),
            prop::collection::vec(date, 1..4).prop_map(|dates| Method::Dates { dates }),
        ]
    }

    proptest! {
        #[test]
        fn nobody_is_paid_before_the_sale_nor_on_a_holiday_nor_out_of_turn(
            at in 0i64..4_000, lag in 0u8..=60, method in any_method(), policy in 0usize..3,
        ) {
            let calendar = BusinessCalendar::default();
            let policy = [Before, After, CalendarDay][policy];
            let cycle = Cycle::new(lag, method, policy).unwrap();
            let start = day("2020-01-01").plus_days(at);
            let paid = cycle.payout_day(start, &calendar);
            prop_assert!(paid >= start);
            prop_assert!(policy == CalendarDay || calendar.is_business_day(paid));
            if policy != Before {
                prop_assert!(paid >= start.plus_days(lag.into()));
                prop_assert!(paid <= cycle.payout_day(start.next(), &calendar));
            }
            // Kept and read again, it says the same.
            let json = serde_json::to_string(&cycle).unwrap();
            prop_assert_eq!(serde_json::from_str::<Cycle>(&json).unwrap(), cycle);
        }
    }
}
