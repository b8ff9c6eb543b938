//! The days on which banks in Korea are closed, and so the days on which nobody can be paid.
//!
//! Holidays follow from rules: fixed dates, three dates of the lunar calendar, and substitutes for
//! what falls on a weekend. What cannot be computed, elections and days that the government gives
//! once, is a table here (`ONCE`), and what the table does not know yet an operator adds
//! ([`Special`]). The operator has the last word, so that no new law has to wait for a release.
//!
//! Sources: 공휴일에 관한 법률, 관공서의 공휴일에 관한 규정 (Articles 2 and 3), 공직선거법 제34조; the
//! lunar dates are those of the Korea Astronomy and Space Science Institute, as `icu_calendar` has
//! them (to 2050 as published, to 2100 computed, beyond that approximated). Rules hold from their
//! dates of effect; years before 2020 are not looked after.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use icu_calendar::{Date, Iso, types::Month};
use jiff::civil::{self, Weekday};
use serde::Serialize;

use super::calendar::KstDay;

/// Where a holiday comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HolidayKind {
    /// The same date every year.
    Fixed,
    /// The same date of the lunar calendar.
    Lunar,
    /// Stands in for a holiday that fell on a weekend or on another one (대체공휴일).
    Substitute,
    /// 공직선거법 제34조.
    Election,
    /// Given once, by the cabinet (임시공휴일).
    Temporary,
    /// By the operator of this server.
    Added,
}

/// One day off that is more than a weekend. Two may fall on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Holiday {
    pub day: KstDay,
    pub name_ko: Cow<'static, str>,
    pub name_en: Cow<'static, str>,
    pub kind: HolidayKind,
}

/// A day about which the operator knows better than the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Special {
    pub day: KstDay,
    pub name: String,
    /// `true`: a day off. `false`: a business day after all, whatever the rules and the weekday say.
    pub off: bool,
}

/// Why banks are closed, in a word or two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    pub ko: Cow<'static, str>,
    pub en: Cow<'static, str>,
}

// --- The rules

/// On which days a holiday is lost, and made good by a substitute (제3조).
#[derive(Clone, Copy)]
enum MadeGood {
    Never,
    /// On a Sunday or on another holiday, but not on a Saturday: Seollal and Chuseok.
    Sunday,
    /// On a Saturday, a Sunday or another holiday; for days from this one on, by the law's date of
    /// effect.
    Weekend(civil::Date),
}

struct Fixed {
    month: i8,
    day: i8,
    ko: &'static str,
    en: &'static str,
    /// The first year in which banks are closed.
    since: i16,
    made_good: MadeGood,
}

/// Substitutes for Children's Day came with the first decree on them, for 2014.
const FOR_CHILDREN: civil::Date = civil::date(2014, 1, 1);
/// For the four national days, from Liberation Day 2021 on.
const FOR_NATIONAL_DAYS: civil::Date = civil::date(2021, 8, 4);
/// For Buddha's Birthday and Christmas: decree of 2023-05-04.
const FOR_FAITHS: civil::Date = civil::date(2023, 5, 4);

const fn fixed(
    (month, day): (i8, i8),
    ko: &'static str,
    en: &'static str,
    made_good: MadeGood,
) -> Fixed {
    Fixed {
        month,
        day,
        ko,
        en,
        since: i16::MIN,
        made_good,
    }
}

const FIXED: &[Fixed] = &[
    fixed((1, 1), "신정", "New Year's Day", MadeGood::Never),
    fixed(
        (3, 1),
        "삼일절",
        "March First Day",
        MadeGood::Weekend(FOR_NATIONAL_DAYS),
    ),
    // Banks have always been closed by 근로자의 날 제정에 관한 법률; a public holiday since 2026.
    fixed((5, 1), "노동절", "Labour Day", MadeGood::Never),
    fixed(
        (5, 5),
        "어린이날",
        "Children's Day",
        MadeGood::Weekend(FOR_CHILDREN),
    ),
    fixed((6, 6), "현충일", "Memorial Day", MadeGood::Never),
    // A working day from 2008 to 2025.
    Fixed {
        month: 7,
        day: 17,
        ko: "제헌절",
        en: "Constitution Day",
        since: 2026,
        made_good: MadeGood::Weekend(FOR_NATIONAL_DAYS),
    },
    fixed(
        (8, 15),
        "광복절",
        "Liberation Day",
        MadeGood::Weekend(FOR_NATIONAL_DAYS),
    ),
    fixed(
        (10, 3),
        "개천절",
        "National Foundation Day",
        MadeGood::Weekend(FOR_NATIONAL_DAYS),
    ),
    fixed(
        (10, 9),
        "한글날",
        "Hangul Day",
        MadeGood::Weekend(FOR_NATIONAL_DAYS),
    ),
    fixed(
        (12, 25),
        "성탄절",
        "Christmas",
        MadeGood::Weekend(FOR_FAITHS),
    ),
];

struct Lunar {
    month: u8,
    day: u8,
    /// Days from there: the eve and the day after are of the feast, too.
    shift: i64,
    ko: &'static str,
    en: &'static str,
    made_good: MadeGood,
}

const fn lunar(
    (month, day, shift): (u8, u8, i64),
    ko: &'static str,
    en: &'static str,
    made_good: MadeGood,
) -> Lunar {
    Lunar {
        month,
        day,
        shift,
        ko,
        en,
        made_good,
    }
}

/// Months of the lunar calendar that are not leap months.
const LUNAR: &[Lunar] = &[
    lunar((1, 1, -1), "설날 전날", "Seollal Eve", MadeGood::Sunday),
    lunar((1, 1, 0), "설날", "Seollal", MadeGood::Sunday),
    lunar(
        (1, 1, 1),
        "설날 다음 날",
        "the day after Seollal",
        MadeGood::Sunday,
    ),
    lunar(
        (4, 8, 0),
        "부처님오신날",
        "Buddha's Birthday",
        MadeGood::Weekend(FOR_FAITHS),
    ),
    lunar((8, 15, -1), "추석 전날", "Chuseok Eve", MadeGood::Sunday),
    lunar((8, 15, 0), "추석", "Chuseok", MadeGood::Sunday),
    lunar(
        (8, 15, 1),
        "추석 다음 날",
        "the day after Chuseok",
        MadeGood::Sunday,
    ),
];

struct Once {
    day: civil::Date,
    ko: &'static str,
    en: &'static str,
    kind: HolidayKind,
}

const fn election(day: civil::Date, ko: &'static str, en: &'static str) -> Once {
    Once {
        day,
        ko,
        en,
        kind: HolidayKind::Election,
    }
}

const fn temporary(day: civil::Date) -> Once {
    Once {
        day,
        ko: "임시공휴일",
        en: "temporary holiday",
        kind: HolidayKind::Temporary,
    }
}

/// What no rule gives. By date.
const ONCE: &[Once] = &[
    // The 21st National Assembly.
    election(
        civil::date(2020, 4, 15),
        "국회의원 선거일",
        "National Assembly election",
    ),
    // Liberation Day was a Saturday, and had no substitute yet.
    temporary(civil::date(2020, 8, 17)),
    // The 20th president; a week later than the rule says, as 1 March is a holiday.
    election(
        civil::date(2022, 3, 9),
        "대통령 선거일",
        "presidential election",
    ),
    // The 8th local elections.
    election(civil::date(2022, 6, 1), "지방선거일", "local elections"),
    // Between Chuseok and National Foundation Day.
    temporary(civil::date(2023, 10, 2)),
    // The 22nd National Assembly.
    election(
        civil::date(2024, 4, 10),
        "국회의원 선거일",
        "National Assembly election",
    ),
    // Armed Forces Day (국군의 날), for this year only.
    temporary(civil::date(2024, 10, 1)),
    // The Monday before Seollal.
    temporary(civil::date(2025, 1, 27)),
    // The 21st president, elected out of turn.
    election(
        civil::date(2025, 6, 3),
        "대통령 선거일",
        "presidential election",
    ),
    // The 9th local elections: the first Wednesday from the 30th day before the term's end on.
    election(civil::date(2026, 6, 3), "지방선거일", "local elections"),
    // The 23rd National Assembly, by rule: the first Wednesday from the 50th day before the term's
    // end (2028-05-29) on. Later elections are added here once their dates are sure.
    election(
        civil::date(2028, 4, 12),
        "국회의원 선거일",
        "National Assembly election",
    ),
];

/// A holiday on its own date, with what becomes of it on a weekend.
struct Own {
    holiday: Holiday,
    made_good: MadeGood,
}

impl Own {
    fn new(
        day: KstDay,
        (ko, en): (&'static str, &'static str),
        kind: HolidayKind,
        made_good: MadeGood,
    ) -> Own {
        Own {
            holiday: Holiday {
                day,
                name_ko: Cow::Borrowed(ko),
                name_en: Cow::Borrowed(en),
                kind,
            },
            made_good,
        }
    }

    /// Is the holiday lost to a weekend, or to another one on the same day?
    fn is_lost(&self, shared: bool) -> bool {
        let day = self.holiday.day;
        match self.made_good {
            MadeGood::Never => false,
            MadeGood::Sunday => shared || day.weekday() == Weekday::Sunday,
            MadeGood::Weekend(since) => day.date() >= since && (shared || is_weekend(day)),
        }
    }
}

/// The holidays of a year by rule and table, by day.
///
/// A day on which holidays were lost has one substitute, also where two of them met on it: the first
/// day after it that is no weekend, no holiday and nobody's substitute yet. (2025-05-05, Children's
/// Day and Buddha's Birthday: 6 May. Chuseok and 3 October 2028: 5 October.)
pub fn of_year(year: i16) -> Vec<Holiday> {
    let own = own_days(year);
    let mut taken: BTreeSet<KstDay> = own.iter().map(|own| own.holiday.day).collect();
    let mut all = Vec::with_capacity(own.len() + 8);
    for same_day in own.chunk_by(|a, b| a.holiday.day == b.holiday.day) {
        let lost: Vec<&Holiday> = same_day
            .iter()
            .filter(|own| own.is_lost(same_day.len() > 1))
            .map(|own| &own.holiday)
            .collect();
        all.extend(same_day.iter().map(|own| own.holiday.clone()));
        let Some(first) = lost.first() else { continue };
        let mut day = first.day.next();
        while is_weekend(day) || taken.contains(&day) {
            day = day.next();
        }
        taken.insert(day);
        let names = |name: fn(&Holiday) -> &str, between| {
            let names: Vec<&str> = lost.iter().map(|lost| name(lost)).collect();
            names.join(between)
        };
        all.push(Holiday {
            day,
            name_ko: Cow::Owned(format!("대체공휴일({})", names(|h| &h.name_ko, "·"))),
            name_en: Cow::Owned(format!("substitute for {}", names(|h| &h.name_en, " and "))),
            kind: HolidayKind::Substitute,
        });
    }
    all.sort_by_key(|holiday| holiday.day);
    all
}

/// All but the substitutes, by day.
fn own_days(year: i16) -> Vec<Own> {
    let mut own = Vec::with_capacity(FIXED.len() + LUNAR.len() + 2);
    for rule in FIXED.iter().filter(|rule| year >= rule.since) {
        if let Ok(date) = civil::Date::new(year, rule.month, rule.day) {
            own.push(Own::new(
                KstDay::from_date(date),
                (rule.ko, rule.en),
                HolidayKind::Fixed,
                rule.made_good,
            ));
        }
    }
    for rule in LUNAR {
        if let Some(day) = of_lunar(year, rule.month, rule.day) {
            own.push(Own::new(
                day.plus_days(rule.shift),
                (rule.ko, rule.en),
                HolidayKind::Lunar,
                rule.made_good,
            ));
        }
    }
    for once in ONCE.iter().filter(|once| once.day.year() == year) {
        own.push(Own::new(
            KstDay::from_date(once.day),
            (once.ko, once.en),
            once.kind,
            MadeGood::Never,
        ));
    }
    own.sort_by_key(|own| own.holiday.day);
    own
}

/// The day of a date in the lunar year that begins in `year`; never of a leap month (윤달).
fn of_lunar(year: i16, month: u8, day: u8) -> Option<KstDay> {
    let lunar = Date::try_new_korean_traditional(i32::from(year), Month::new(month), day).ok()?;
    let iso = lunar.to_calendar(Iso);
    let date = civil::Date::new(
        i16::try_from(iso.year().extended_year()).ok()?,
        i8::try_from(iso.month().number()).ok()?,
        i8::try_from(iso.day_of_month().0).ok()?,
    );
    date.ok().map(KstDay::from_date)
}

fn is_weekend(day: KstDay) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// Years whose holidays are computed once and kept.
const FIRST_KEPT: i16 = 2000;
const KEPT: usize = 200;
static YEARS: [OnceLock<Vec<Holiday>>; KEPT] = [const { OnceLock::new() }; KEPT];

fn year(year: i16) -> Cow<'static, [Holiday]> {
    let kept = usize::try_from(i32::from(year) - i32::from(FIRST_KEPT))
        .ok()
        .and_then(|at| YEARS.get(at));
    match kept {
        Some(kept) => Cow::Borrowed(kept.get_or_init(|| of_year(year))),
        None => Cow::Owned(of_year(year)),
    }
}

// --- The calendar

/// Which days are business days: the rules, and over them what the operator says.
///
/// Cheap to clone and to ask; for the years 2000 to 2199 a question is two look-ups.
#[derive(Clone, Debug, Default)]
pub struct BusinessCalendar {
    specials: Arc<BTreeMap<KstDay, Special>>,
}

impl BusinessCalendar {
    /// Where one day is named twice, the later word holds.
    pub fn new(specials: impl IntoIterator<Item = Special>) -> BusinessCalendar {
        BusinessCalendar {
            specials: Arc::new(specials.into_iter().map(|s| (s.day, s)).collect()),
        }
    }

    /// Are banks open?
    pub fn is_business_day(&self, day: KstDay) -> bool {
        match self.specials.get(&day) {
            Some(special) => !special.off,
            None => !is_weekend(day) && first_on(&year(day.year()), day).is_none(),
        }
    }

    /// Why banks are closed; `None` on a business day. The operator's reason comes first, then the
    /// holiday's name, then the weekend's.
    pub fn day_off(&self, day: KstDay) -> Option<Reason> {
        if let Some(special) = self.specials.get(&day) {
            return special.off.then(|| Reason {
                ko: Cow::Owned(special.name.clone()),
                en: Cow::Owned(special.name.clone()),
            });
        }
        if let Some(holiday) = first_on(&year(day.year()), day) {
            return Some(Reason {
                ko: holiday.name_ko.clone(),
                en: holiday.name_en.clone(),
            });
        }
        let (ko, en) = match day.weekday() {
            Weekday::Saturday => ("토요일", "Saturday"),
            Weekday::Sunday => ("일요일", "Sunday"),
            _ => return None,
        };
        Some(Reason {
            ko: Cow::Borrowed(ko),
            en: Cow::Borrowed(en),
        })
    }

    /// The day itself, or else the last business day before it.
    pub fn on_or_before(&self, day: KstDay) -> KstDay {
        self.walk(day, KstDay::previous)
    }

    /// The day itself, or else the first business day after it.
    pub fn on_or_after(&self, day: KstDay) -> KstDay {
        self.walk(day, KstDay::next)
    }

    fn walk(&self, mut day: KstDay, step: fn(KstDay) -> KstDay) -> KstDay {
        while !self.is_business_day(day) {
            let beyond = step(day);
            if beyond == day {
                break; // the end of the calendar
            }
            day = beyond;
        }
        day
    }

    /// Mondays to Fridays of the year on which banks are closed.
    pub fn weekdays_off(&self, year: i16) -> Vec<KstDay> {
        let days: BTreeSet<KstDay> = self.holidays(year).iter().map(|h| h.day).collect();
        days.into_iter().filter(|day| !is_weekend(*day)).collect()
    }

    /// The year's holidays as they hold here: with the operator's days off, without those that the
    /// operator took away.
    pub fn holidays(&self, year: i16) -> Vec<Holiday> {
        let mut all = self::year(year).into_owned();
        all.retain(|holiday| self.specials.get(&holiday.day).is_none_or(|s| s.off));
        let ours = self.specials.values();
        all.extend(
            ours.filter(|special| special.off && special.day.year() == year)
                .map(|special| Holiday {
                    day: special.day,
                    name_ko: Cow::Owned(special.name.clone()),
                    name_en: Cow::Owned(special.name.clone()),
                    kind: HolidayKind::Added,
                }),
        );
        all.sort_by_key(|holiday| holiday.day);
        all
    }
}

/// The first holiday on a day, in a list by day.
fn first_on(holidays: &[Holiday], day: KstDay) -> Option<&Holiday> {
    let at = holidays.partition_point(|holiday| holiday.day < day);
    holidays.get(at).filter(|holiday| holiday.day == day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> KstDay {
        text.parse().unwrap()
    }

    fn special(text: &str, off: bool) -> Special {
        Special {
            day: day(text),
            name: "은행 전산 점검".into(),
            off,
        }
    }

    /// `1/1 2/9 …`, as calendars print it.
    fn weekdays_off(year: i16) -> String {
        let days = BusinessCalendar::default().weekdays_off(year);
        let days = days
            .iter()
            .map(|d| format!("{}/{}", d.month(), d.day_of_month()));
        days.collect::<Vec<_>>().join(" ")
    }

    /// As the calendars of these years were printed; from 2027 on as the rules say.
    #[test]
    fn the_weekdays_off_of_a_year_are_those_of_its_calendar() {
        for (year, off) in [
            (
                2020,
                "1/1 1/24 1/27 4/15 4/30 5/1 5/5 8/17 9/30 10/1 10/2 10/9 12/25",
            ),
            (
                2021,
                "1/1 2/11 2/12 3/1 5/5 5/19 8/16 9/20 9/21 9/22 10/4 10/11",
            ),
            (
                2022,
                "1/31 2/1 2/2 3/1 3/9 5/5 6/1 6/6 8/15 9/9 9/12 10/3 10/10",
            ),
            (
                2023,
                "1/23 1/24 3/1 5/1 5/5 5/29 6/6 8/15 9/28 9/29 10/2 10/3 10/9 12/25",
            ),
            (
                2024,
                "1/1 2/9 2/12 3/1 4/10 5/1 5/6 5/15 6/6 8/15 9/16 9/17 9/18 10/1 10/3 10/9 12/25",
            ),
            (
                2025,
                "1/1 1/27 1/28 1/29 1/30 3/3 5/1 5/5 5/6 6/3 6/6 8/15 10/3 10/6 10/7 10/8 10/9 12/25",
            ),
            (
                2026,
                "1/1 2/16 2/17 2/18 3/2 5/1 5/5 5/25 6/3 7/17 8/17 9/24 9/25 10/5 10/9 12/25",
            ),
            (
                2027,
                "1/1 2/8 2/9 3/1 5/5 5/13 7/19 8/16 9/14 9/15 9/16 10/4 10/11 12/27",
            ),
            (
                2028,
                "1/26 1/27 1/28 3/1 4/12 5/1 5/2 5/5 6/6 7/17 8/15 10/2 10/3 10/4 10/5 10/9 12/25",
            ),
        ] {
            assert_eq!(weekdays_off(year), off, "{year}");
        }
    }

    #[test]
    fn the_monday_after_a_chuseok_on_friday_is_a_business_day() {
        // 2026-09-26 is the day after Chuseok and a Saturday, which is not made good.
        assert!(BusinessCalendar::default().is_business_day(day("2026-09-28")));
    }

    #[test]
    fn seollal_is_a_day_later_than_in_china() {
        let seollal = of_year(2027).into_iter().find(|h| h.name_ko == "설날");
        assert_eq!(seollal.unwrap().day, day("2027-02-07"));
    }

    #[test]
    fn buddhas_birthday_is_not_of_the_leap_month() {
        // 2020 had a leap fourth month, from 23 May on.
        let birthday = of_year(2020)
            .into_iter()
            .find(|h| h.name_ko == "부처님오신날");
        assert_eq!(birthday.unwrap().day, day("2020-04-30"));
    }

    #[test]
    fn two_days_lost_in_a_row_have_a_substitute_each() {
        // Chuseok 2039 is Sunday 2 October, and the day after it is National Foundation Day.
        assert!(weekdays_off(2039).contains("10/3 10/4 10/5"));
        // Its eve in 2036 is National Foundation Day, and the day after it a Sunday.
        assert!(weekdays_off(2036).contains("10/3 10/6 10/7"));
    }

    #[test]
    fn a_substitute_says_for_what() {
        let calendar = BusinessCalendar::default();
        let why = |text| calendar.day_off(day(text)).map(|r| (r.ko, r.en));
        let said = |ko, en| Some((Cow::Borrowed(ko), Cow::Borrowed(en)));
        assert_eq!(
            why("2026-03-02"),
            said("대체공휴일(삼일절)", "substitute for March First Day")
        );
        assert_eq!(
            why("2025-05-06"),
            said(
                "대체공휴일(어린이날·부처님오신날)",
                "substitute for Children's Day and Buddha's Birthday"
            )
        );
        assert_eq!(why("2026-09-25"), said("추석", "Chuseok"));
        assert_eq!(why("2026-09-19"), said("토요일", "Saturday"));
        assert_eq!(why("2026-09-21"), None);
    }

    #[test]
    fn the_operator_has_the_last_word() {
        let calendar = BusinessCalendar::new([
            special("2026-09-28", true),
            special("2026-07-17", false),
            special("2026-09-19", false),
        ]);
        assert!(!calendar.is_business_day(day("2026-09-28")));
        assert_eq!(
            calendar.day_off(day("2026-09-28")).unwrap().ko,
            "은행 전산 점검"
        );
        assert!(calendar.is_business_day(day("2026-07-17")));
        assert!(calendar.is_business_day(day("2026-09-19")));
        assert_eq!(calendar.day_off(day("2026-07-17")), None);
        let off = calendar.weekdays_off(2026);
        assert!(off.contains(&day("2026-09-28")) && !off.contains(&day("2026-07-17")));
        let added = |h: &&Holiday| h.kind == HolidayKind::Added;
        assert_eq!(calendar.holidays(2026).iter().filter(added).count(), 1);
    }

    #[test]
    fn the_ends_of_the_calendar_stop_the_walk() {
        let calendar = BusinessCalendar::default();
        let last = KstDay::from_date(civil::Date::MAX);
        let first = KstDay::from_date(civil::Date::MIN);
        assert!(calendar.on_or_after(last) <= last);
        assert!(calendar.on_or_before(first) >= first);
        let closed = Special {
            day: last,
            name: "끝".into(),
            off: true,
        };
        assert_eq!(BusinessCalendar::new([closed]).on_or_after(last), last);
    }

    proptest::proptest! {
        #[test]
        fn between_a_day_and_its_business_day_all_are_closed(
            at in 0i64..40_000,
            specials in proptest::collection::vec((0i64..40, proptest::bool::ANY), 0..30),
        ) {
            let day = day("1995-01-01").plus_days(at);
            let calendar = BusinessCalendar::new(specials.iter().map(|(shift, off)| Special {
                day: day.plus_days(shift - 20),
                name: "x".into(),
                off: *off,
            }));
            let (before, after) = (calendar.on_or_before(day), calendar.on_or_after(day));
            for found in [before, after] {
                proptest::prop_assert!(calendar.is_business_day(found));
                proptest::prop_assert_eq!(calendar.day_off(found), None);
            }
            proptest::prop_assert!(before <= day && day <= after);
            let mut between = before.next();
            while between < after {
                proptest::prop_assert!(!calendar.is_business_day(between) || between == day);
                proptest::prop_assert_eq!(
                    calendar.day_off(between).is_none(),
                    calendar.is_business_day(between)
                );
                between = between.next();
            }
        }

        #[test]
        fn the_list_of_a_year_and_its_days_agree(year in 1990i16..2210) {
            let calendar = BusinessCalendar::default();
            let holidays = calendar.holidays(year);
            proptest::prop_assert!(holidays.is_sorted_by_key(|h| h.day));
            proptest::prop_assert!(holidays.iter().all(|h| h.day.year() == year));
            let off = calendar.weekdays_off(year);
            let mut day = KstDay::from_date(civil::date(year, 1, 1));
            while day.year() == year {
                let open = !is_weekend(day) && !off.contains(&day);
                proptest::prop_assert_eq!(calendar.is_business_day(day), open);
                day = day.next();
            }
        }
    }
}
