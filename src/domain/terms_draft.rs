//! Terms as people write them down: in a form, in a row of a file, on the command line.
//!
//! All of them fill in a [`TermsDraft`], every part a text. [`TermsDraft::check`] reports everything
//! that is wrong at once; [`TermsDraft::from`] writes terms down so that they are read back the same.

use super::{
    calendar::KstDay,
    contract::{AdditionalFee, Fee, Rate, Round, Rounding, Terms, VatBearer, WrongTerms},
    cycle::{Cycle, HolidayPolicy, Method, MonthDay, Weekday, WrongCycle},
    money::Won,
    partner::{FieldError, same_word, shown},
};

/// The steps that are rounded, in the order of [`TermsDraft::rounding`].
pub const ROUNDED: [&str; 6] = [
    "fee",
    "fee_vat",
    "additional",
    "additional_vat",
    "discount_share",
    "payment_vat",
];

/// An additional fee as it was written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdditionalDraft {
    pub name: Option<String>,
    /// As [`TermsDraft::fee`].
    pub fee: Option<String>,
    pub vat: Option<String>,
}

/// Terms as they were written down. Nothing but spaces is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermsDraft {
    /// `3.3%` or `500원`; a number alone could be either and is neither.
    pub fee: Option<String>,
    /// `PARTNER` or `PLATFORM`; nothing is `PARTNER`.
    pub fee_vat: Option<String>,
    pub additional: Vec<AdditionalDraft>,
    /// Per cent; nothing is 0.
    pub discount_share: Option<String>,
    /// `true`, `on`, `1`, `Y`, `예` or their opposites; nothing is `false`.
    pub subtract_payment_vat: Option<String>,
    /// `DAILY`, `WEEKLY:MON,THU`, `MONTHLY:10,31`, `DATES:1/31,7/31`, or the same in Korean.
    pub cycle: Option<String>,
    /// Days; nothing is 0.
    pub lag_days: Option<String>,
    /// `BEFORE`, `AFTER`, `CALENDAR_DAY`, or 전영업일, 후영업일, 달력일.
    pub holiday: Option<String>,
    /// Won; nothing is 0.
    pub min_payout: Option<String>,
    /// As [`ROUNDED`]: `DOWN`, `UP`, `HALF`; nothing is `DOWN`.
    pub rounding: [Option<String>; 6],
}

impl TermsDraft {
    /// The terms that were meant, or everything that is wrong, in the order of the fields.
    pub fn check(&self) -> Result<Terms, Vec<FieldError>> {
        let mut wrong: Vec<FieldError> = Vec::new();
        let mut keep = |error| wrong.push(error);
        let fee = found(fee("fee", given(&self.fee)), &mut keep);
        let fee_vat = found(vat("fee_vat", given(&self.fee_vat)), &mut keep);
        let mut additional = Vec::new();
        for (i, draft) in self.additional.iter().enumerate() {
            match draft.check(i + 1) {
                Ok(checked) => additional.extend(checked),
                Err(errors) => errors.into_iter().for_each(&mut keep),
            }
        }
        let discount_share = match given(&self.discount_share) {
            None => Some(Rate::ZERO),
            Some(text) => found(rate("discount_share", text), &mut keep),
        };
        let subtract = given(&self.subtract_payment_vat);
        let subtract_payment_vat = found(flag("subtract_payment_vat", subtract), &mut keep);
        let method = match given(&self.cycle) {
            Some(text) => found(method(text), &mut keep),
            None => found(
                Err(error(
                    "cycle",
                    "비어 있습니다. 매일, 매주:월,목, 매월:10,말일, 매년:1/31,7/31처럼 적어 주세요",
                    "is missing; expected DAILY, WEEKLY:MON,THU, MONTHLY:10,31 or DATES:1/31,7/31",
                )),
                &mut keep,
            ),
        };
        let lag = found(lag_days(given(&self.lag_days)), &mut keep);
        let holiday = found(holiday(given(&self.holiday)), &mut keep);
        let min_payout = match given(&self.min_payout) {
            None => Some(Won::ZERO),
            Some(text) => found(amount("min_payout", text), &mut keep),
        };
        let mut rounds = [Round::Down; 6];
        for (round, text) in rounds.iter_mut().zip(&self.rounding) {
            if let Some(text) = given(text) {
                *round = found(rounded(text), &mut keep).unwrap_or_default();
            }
        }
        let cycle = match (lag, method, holiday) {
            (Some(lag), Some(method), Some(holiday)) => found(
                Cycle::new(lag, method, holiday).map_err(cycle_error),
                &mut keep,
            ),
            _ => None,
        };
        let [a, b, c, d, e, f] = rounds;
        let rounding = Rounding {
            fee: a,
            fee_vat: b,
            additional: c,
            additional_vat: d,
            discount_share: e,
            payment_vat: f,
        };
        match (fee, cycle) {
            (Some(fee), Some(cycle)) if wrong.is_empty() => Terms {
                fee,
                fee_vat: fee_vat.unwrap_or_default(),
                additional,
                discount_share: discount_share.unwrap_or_default(),
                subtract_payment_vat: subtract_payment_vat.unwrap_or_default(),
                cycle,
                min_payout: min_payout.unwrap_or_default(),
                rounding,
            }
            .check()
            .map_err(|why| vec![terms_error(&why)]),
            _ => Err(wrong),
        }
    }
}

/// Terms written down: they are read back as they are.
impl From<&Terms> for TermsDraft {
    fn from(terms: &Terms) -> TermsDraft {
        let some = |text: &str| Some(text.to_owned());
        let round = &terms.rounding;
        TermsDraft {
            fee: Some(fee_text(terms.fee)),
            fee_vat: some(terms.fee_vat.as_str()),
            additional: terms
                .additional
                .iter()
                .map(|more| AdditionalDraft {
                    name: some(&more.name),
                    fee: Some(fee_text(more.fee)),
                    vat: some(more.vat.as_str()),
                })
                .collect(),
            discount_share: Some(terms.discount_share.to_string()),
            subtract_payment_vat: Some(terms.subtract_payment_vat.to_string()),
            cycle: Some(method_text(terms.cycle.method())),
            lag_days: Some(terms.cycle.lag_days().to_string()),
            holiday: some(holiday_code(terms.cycle.holiday())),
            min_payout: Some(terms.min_payout.get().to_string()),
            rounding: [
                round.fee,
                round.fee_vat,
                round.additional,
                round.additional_vat,
                round.discount_share,
                round.payment_vat,
            ]
            .map(|round| some(round.as_str())),
        }
    }
}

impl AdditionalDraft {
    fn check(&self, number: usize) -> Result<Option<AdditionalFee>, Vec<FieldError>> {
        const FIELD: &str = "additional";
        let (name, text) = (given(&self.name), given(&self.fee));
        if name.is_none() && text.is_none() {
            return Ok(None);
        }
        let mut wrong = Vec::new();
        let name = match name {
            Some(name) if name.chars().count() <= 40 && !name.chars().any(char::is_control) => {
                Some(name.to_owned())
            }
            _ => {
                wrong.push(error(
                    FIELD,
                    "이름을 1~40자로 적어 주세요",
                    "expected a name of 1 to 40 characters",
                ));
                None
            }
        };
        let checked = fee(FIELD, text).map_err(|e| wrong.push(e)).ok();
        let vat = vat(FIELD, given(&self.vat)).map_err(|e| wrong.push(e)).ok();
        match (name, checked, vat) {
            (Some(name), Some(fee), Some(vat)) if wrong.is_empty() => {
                Ok(Some(AdditionalFee { name, fee, vat }))
            }
            _ => Err(wrong
                .into_iter()
                .map(|wrong| FieldError {
                    ko: format!("{number}번째 추가 수수료: {}", wrong.ko),
                    en: format!("number {number}: {}", wrong.en),
                    ..wrong
                })
                .collect()),
        }
    }
}

// --- Codes

/// `3.3%` or `500원`.
pub fn fee_text(fee: Fee) -> String {
    match fee {
        Fee::Rate(rate) => rate.to_string(),
        Fee::Fixed(amount) => format!("{}원", amount.get()),
    }
}

pub fn holiday_code(policy: HolidayPolicy) -> &'static str {
    match policy {
        HolidayPolicy::Before => "BEFORE",
        HolidayPolicy::After => "AFTER",
        HolidayPolicy::CalendarDay => "CALENDAR_DAY",
    }
}

pub fn weekday_code(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "MON",
        Weekday::Tue => "TUE",
        Weekday::Wed => "WED",
        Weekday::Thu => "THU",
        Weekday::Fri => "FRI",
        Weekday::Sat => "SAT",
        Weekday::Sun => "SUN",
    }
}

/// `MONTHLY:10,31`, as [`TermsDraft::cycle`] is written.
pub fn method_text(method: &Method) -> String {
    let list = |parts: Vec<String>| parts.join(",");
    match method {
        Method::Daily => "DAILY".to_owned(),
        Method::Weekly { days } => {
            let days = days.iter().map(|day| weekday_code(*day).to_owned());
            format!("WEEKLY:{}", list(days.collect()))
        }
        Method::Monthly { days } => {
            format!("MONTHLY:{}", list(days.iter().map(u8::to_string).collect()))
        }
        Method::Dates { dates } => {
            let dates = dates
                .iter()
                .map(|date| format!("{}/{}", date.month, date.day));
            format!("DATES:{}", list(dates.collect()))
        }
    }
}

// --- Checks

fn error(field: &'static str, ko: impl Into<String>, en: impl Into<String>) -> FieldError {
    FieldError {
        field,
        ko: ko.into(),
        en: en.into(),
    }
}

fn found<T>(checked: Result<T, FieldError>, keep: &mut impl FnMut(FieldError)) -> Option<T> {
    checked.map_err(keep).ok()
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn cycle_error(why: WrongCycle) -> FieldError {
    let field = match why {
        WrongCycle::Lag(_) => "lag_days",
        _ => "cycle",
    };
    error(field, why.ko(), why.to_string())
}

fn terms_error(why: &WrongTerms) -> FieldError {
    match why {
        WrongTerms::Amount { what, amount, most } => {
            let field = match *what {
                "minimum payout" => "min_payout",
                "additional fee" => "additional",
                _ => "fee",
            };
            error(
                field,
                format!("{amount}원입니다. 0~{most}원이어야 합니다"),
                why.to_string(),
            )
        }
        WrongTerms::TooMany(count) => error(
            "additional",
            format!(
                "추가 수수료가 {count}개입니다. {}개까지 적을 수 있습니다",
                Terms::MOST_ADDITIONAL
            ),
            why.to_string(),
        ),
        WrongTerms::Name(number) => error(
            "additional",
            format!("{number}번째 추가 수수료: 이름을 1~40자로 적어 주세요"),
            why.to_string(),
        ),
    }
}

/// The first day on which terms hold, `2026-08-01`.
pub fn from_day(field: &'static str, text: Option<&str>) -> Result<KstDay, FieldError> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let Some(text) = text else {
        return Err(error(
            field,
            "비어 있습니다. 2026-08-01처럼 적어 주세요",
            "is missing; expected a day such as 2026-08-01",
        ));
    };
    // Spreadsheets put a time behind a day.
    let day = text.split([' ', 'T']).next().unwrap_or(text);
    day.replace(['.', '/'], "-")
        .trim_end_matches('-')
        .parse()
        .map_err(|_| {
            error(
                field,
                format!(
                    "`{}`은(는) 날짜가 아닙니다. 2026-08-01처럼 적어 주세요",
                    shown(text)
                ),
                format!(
                    "`{}` is no day; expected one such as 2026-08-01",
                    shown(text)
                ),
            )
        })
}

fn rate(field: &'static str, text: &str) -> Result<Rate, FieldError> {
    text.parse().map_err(|why: super::contract::NotARate| {
        error(
            field,
            format!(
                "`{}`은(는) 비율이 아닙니다. 3.3처럼 0~100 사이, 소수점 아래 셋째 자리까지 적어 주세요",
                shown(text)
            ),
            why.to_string(),
        )
    })
}

/// `500`, `1,000원`, `₩1,000`: whole won, not negative.
fn amount(field: &'static str, text: &str) -> Result<Won, FieldError> {
    let wrong = || {
        error(
            field,
            format!(
                "`{}`은(는) 금액이 아닙니다. 5000 또는 5,000처럼 원 단위로 적어 주세요",
                shown(text)
            ),
            format!(
                "`{}` is no amount; expected whole won, such as 5000 or 5,000",
                shown(text)
            ),
        )
    };
    let plain = text
        .trim()
        .trim_start_matches(['₩', '￦'])
        .trim_end_matches('원')
        .trim();
    let mut groups = plain.split(',');
    let first = groups.next().unwrap_or_default();
    let threes = !plain.contains(',') || (first.len() <= 3 && groups.all(|group| group.len() == 3));
    let digits = plain.replace(',', "");
    let is_digits = !first.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse::<i64>() {
        Ok(won) if threes && is_digits => Ok(Won::new(won)),
        _ => Err(wrong()),
    }
}

fn fee(field: &'static str, text: Option<&str>) -> Result<Fee, FieldError> {
    let ko = "3.3% 또는 500원처럼 적어 주세요";
    let en = "expected a rate such as 3.3% or an amount such as 500원";
    let Some(text) = text else {
        return Err(error(
            field,
            format!("비어 있습니다. {ko}"),
            format!("is missing; {en}"),
        ));
    };
    if text.ends_with(['%', '％']) {
        return rate(field, text).map(Fee::Rate);
    }
    if text.ends_with('원') || text.starts_with(['₩', '￦']) {
        return amount(field, text).map(Fee::Fixed);
    }
    Err(error(
        field,
        format!(
            "`{}`이(가) 비율인지 금액인지 알 수 없습니다. {ko}",
            shown(text)
        ),
        format!("`{}` could be a rate or an amount; {en}", shown(text)),
    ))
}

fn vat(field: &'static str, text: Option<&str>) -> Result<VatBearer, FieldError> {
    match text {
        None => Ok(VatBearer::Partner),
        Some(text) if same_word(text, &["PARTNER", "파트너", "파트너사"]) => {
            Ok(VatBearer::Partner)
        }
        Some(text) if same_word(text, &["PLATFORM", "플랫폼"]) => Ok(VatBearer::Platform),
        Some(text) => Err(error(
            field,
            format!(
                "부가세 부담 `{}`: 파트너(PARTNER) 또는 플랫폼(PLATFORM)이어야 합니다",
                shown(text)
            ),
            format!("VAT bearer `{}`: expected PARTNER or PLATFORM", shown(text)),
        )),
    }
}

fn flag(field: &'static str, text: Option<&str>) -> Result<bool, FieldError> {
    match text {
        None => Ok(false),
        Some(text) if same_word(text, &["true", "on", "1", "y", "yes", "예"]) => Ok(true),
        Some(text) if same_word(text, &["false", "off", "0", "n", "no", "아니오"]) => Ok(false),
        Some(text) => Err(error(
            field,
            format!("`{}`입니다. true 또는 false여야 합니다", shown(text)),
            format!("is `{}`; expected true or false", shown(text)),
        )),
    }
}

fn lag_days(text: Option<&str>) -> Result<u8, FieldError> {
    let Some(text) = text else { return Ok(0) };
    let digits = text.trim_end_matches('일').trim();
    match digits.parse::<i64>() {
        Ok(days) => u8::try_from(days).map_err(|_| cycle_error(WrongCycle::Lag(days))),
        Err(_) => Err(error(
            "lag_days",
            format!(
                "`{}`은(는) 일수가 아닙니다. 0~{}이어야 합니다",
                shown(text),
                Cycle::LONGEST_LAG
            ),
            format!(
                "`{}` is no number of days; expected 0 to {}",
                shown(text),
                Cycle::LONGEST_LAG
            ),
        )),
    }
}

fn holiday(text: Option<&str>) -> Result<HolidayPolicy, FieldError> {
    let ko = "전영업일(BEFORE), 후영업일(AFTER), 달력일(CALENDAR_DAY) 중 하나여야 합니다";
    let en = "expected BEFORE, AFTER or CALENDAR_DAY";
    match text {
        None => Err(error(
            "holiday",
            format!("비어 있습니다. {ko}"),
            format!("is missing; {en}"),
        )),
        Some(text) if same_word(text, &["BEFORE", "전영업일", "직전영업일", "이전영업일"]) => {
            Ok(HolidayPolicy::Before)
        }
        Some(text) if same_word(text, &["AFTER", "후영업일", "다음영업일", "익영업일"]) => {
            Ok(HolidayPolicy::After)
        }
        Some(text) if same_word(text, &["CALENDAR_DAY", "달력일", "그대로"]) => {
            Ok(HolidayPolicy::CalendarDay)
        }
        Some(text) => Err(error(
            "holiday",
            format!("`{}`입니다. {ko}", shown(text)),
            format!("is `{}`; {en}", shown(text)),
        )),
    }
}

fn rounded(text: &str) -> Result<Round, FieldError> {
    let words = |round| match round {
        Round::Down => ["DOWN", "버림"],
        Round::Up => ["UP", "올림"],
        Round::Half => ["HALF", "반올림"],
    };
    let mut all = Round::ALL.into_iter();
    all.find(|round| same_word(text, &words(*round)))
        .ok_or_else(|| {
            error(
                "rounding",
                format!(
                    "`{}`입니다. 버림(DOWN), 올림(UP), 반올림(HALF) 중 하나여야 합니다",
                    shown(text)
                ),
                format!("is `{}`; expected DOWN, UP or HALF", shown(text)),
            )
        })
}

fn method(text: &str) -> Result<Method, FieldError> {
    let wrong = |part: &str| {
        error(
            "cycle",
            format!(
                "`{}`을(를) 읽을 수 없습니다. 매일, 매주:월,목, 매월:10,말일, 매년:1/31,7/31처럼 적어 주세요",
                shown(part)
            ),
            format!(
                "`{}` cannot be read; expected DAILY, WEEKLY:MON,THU, MONTHLY:10,31 or DATES:1/31,7/31",
                shown(part)
            ),
        )
    };
    let (kind, rest) = text.split_once([':', '：']).unwrap_or((text, ""));
    let parts: Vec<&str> = rest
        .split([',', '·', '，'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    let small = |part: &str, of: &str| of.trim().parse::<u8>().map_err(|_| wrong(part));
    if same_word(kind, &["DAILY", "매일"]) && parts.is_empty() {
        Ok(Method::Daily)
    } else if same_word(kind, &["WEEKLY", "매주"]) {
        let days = parts
            .iter()
            .map(|part| weekday(part).ok_or_else(|| wrong(part)));
        Ok(Method::Weekly {
            days: days.collect::<Result<_, _>>()?,
        })
    } else if same_word(kind, &["MONTHLY", "매월"]) {
        let days = parts.iter().map(|part| match *part {
            "말일" | "말" | "LAST" | "last" => Ok(31),
            part => small(part, part.trim_end_matches('일')),
        });
        Ok(Method::Monthly {
            days: days.collect::<Result<_, _>>()?,
        })
    } else if same_word(kind, &["DATES", "YEARLY", "매년", "지정일"]) {
        let dates = parts.iter().map(|part| {
            let (month, day) = part
                .split_once(['/', '월', '-'])
                .ok_or_else(|| wrong(part))?;
            let day = match day.trim() {
                "말일" => 31,
                day => small(part, day.trim_end_matches('일'))?,
            };
            Ok(MonthDay {
                month: small(part, month)?,
                day,
            })
        });
        Ok(Method::Dates {
            dates: dates.collect::<Result<_, FieldError>>()?,
        })
    } else {
        Err(wrong(text))
    }
}

fn weekday(text: &str) -> Option<Weekday> {
    Weekday::ALL.into_iter().find(|day| {
        let (ko, en) = day.words();
        same_word(text, &[weekday_code(*day), ko, en, &format!("{ko}요일")])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn draft() -> TermsDraft {
        TermsDraft {
            fee: some("3.3%"),
            cycle: some("매월:10,말일"),
            lag_days: some("2"),
            holiday: some("전영업일"),
            ..TermsDraft::default()
        }
    }

    #[test]
    fn terms_are_read_as_people_write_them() {
        let terms = draft().check().unwrap();
        assert_eq!(terms.fee, Fee::Rate(Rate::new(3_300).unwrap()));
        assert_eq!(method_text(terms.cycle.method()), "MONTHLY:10,31");
        for (text, code) in [
            ("매일", "DAILY"),
            ("daily", "DAILY"),
            ("매주: 목, 월요일", "WEEKLY:MON,THU"),
            ("weekly:Sunday", "WEEKLY:SUN"),
            ("매년:7/31, 1월 31일", "DATES:1/31,7/31"),
        ] {
            let draft = TermsDraft {
                cycle: some(text),
                ..draft()
            };
            let terms = draft.check().unwrap();
            assert_eq!(method_text(terms.cycle.method()), code, "{text}");
        }
        for (text, fee) in [("500원", 500), ("₩1,500", 1_500), ("0원", 0)] {
            let draft = TermsDraft {
                fee: some(text),
                ..draft()
            };
            assert_eq!(draft.check().unwrap().fee, Fee::Fixed(Won::new(fee)));
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let wrong = TermsDraft {
            fee: some("500"),
            fee_vat: some("누구"),
            additional: vec![AdditionalDraft {
                name: None,
                fee: some("101%"),
                vat: None,
            }],
            discount_share: some("반"),
            subtract_payment_vat: some("perhaps"),
            cycle: some("가끔"),
            lag_days: some("61"),
            holiday: None,
            min_payout: some("-5"),
            rounding: [some("x"), None, None, None, None, None],
        };
        let fields: Vec<_> = wrong.check().unwrap_err().iter().map(|e| e.field).collect();
        assert_eq!(
            fields,
            [
                "fee",
                "fee_vat",
                "additional",
                "additional",
                "discount_share",
                "subtract_payment_vat",
                "cycle",
                "holiday",
                "min_payout",
                "rounding"
            ]
        );
        for (cycle, lag, field) in [
            ("MONTHLY:32", "0", "cycle"),
            ("WEEKLY:", "0", "cycle"),
            ("DAILY", "61", "lag_days"),
            ("DATES:2/30", "0", "cycle"),
            ("DAILY", "9999", "lag_days"),
        ] {
            let draft = TermsDraft {
                cycle: some(cycle),
                lag_days: some(lag),
                ..draft()
            };
            assert_eq!(draft.check().unwrap_err()[0].field, field, "{cycle} {lag}");
        }
        for text in [
            "2026-08-01",
            "2026.08.01",
            "2026/08/01",
            "2026-08-01 00:00:00",
        ] {
            assert_eq!(
                from_day("from", Some(text)).unwrap().to_string(),
                "2026-08-01"
            );
        }
        assert!(from_day("from", Some("8월")).is_err() && from_day("from", None).is_err());
    }

    fn any_fee() -> impl Strategy<Value = Fee> {
        prop_oneof![
            (0i64..=100_000).prop_map(|units| Fee::Rate(Rate::new(units).unwrap())),
            (0i64..=1_000_000).prop_map(|won| Fee::Fixed(Won::new(won))),
        ]
    }

    proptest! {
        #[test]
        fn terms_written_down_are_read_back(
            fee in any_fee(), more in any_fee(), share in 0i64..=100_000, lag in 0u8..=60, vat: bool,
            days in prop::collection::vec(1u8..=31, 1..5), month in 1u8..=12, kind in 0..4, min in 0i64..10_000_000,
        ) {
            let method = match kind {
                0 => Method::Daily,
                1 => Method::Weekly { days: days.iter().map(|d| Weekday::ALL[usize::from(d % 7)]).collect() },
                2 => Method::Monthly { days },
                _ => Method::Dates { dates: days.iter().map(|d| MonthDay { month, day: (*d).min(28) }).collect() },
            };
            let terms = Terms {
                fee_vat: if vat { VatBearer::Partner } else { VatBearer::Platform },
                additional: vec![AdditionalFee { name: "PG".into(), fee: more, vat: VatBearer::Platform }],
                discount_share: Rate::new(share).unwrap(),
                subtract_payment_vat: vat,
                min_payout: Won::new(min),
                rounding: Rounding { additional: Round::Half, ..Rounding::default() },
                ..Terms::plain(fee, Cycle::new(lag, method, HolidayPolicy::After).unwrap())
            };
            prop_assert_eq!(TermsDraft::from(&terms).check(), Ok(terms));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let some = || Some(text.clone());
            let draft = TermsDraft {
                fee: some(), fee_vat: some(), discount_share: some(), subtract_payment_vat: some(),
                cycle: Some(format!("DATES:{text}")), lag_days: some(), holiday: some(), min_payout: some(),
                rounding: [some(), some(), some(), some(), some(), some()],
                additional: vec![AdditionalDraft { name: some(), fee: some(), vat: some() }],
            };
            let _ = draft.check();
            let _ = from_day("from", Some(&text));
        }
    }
}
