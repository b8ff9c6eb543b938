//! What stands behind `?` in an address, read in one way everywhere. A field without a value is not asked
//! for; what cannot be understood is refused with what was expected, for a guess would show something
//! else than was meant.

use axum::http::StatusCode;

use crate::{domain::calendar::KstDay, web::error::Problem};

/// Rows of a page where nothing else is asked for, and how many may be asked for.
pub const PAGE: usize = 20;
pub const LARGEST_PAGE: usize = 200;

/// Letters that are searched for at most.
const LONGEST_TEXT: usize = 100;

/// A field's value, if it has one.
pub fn set(text: &Option<String>) -> Option<&str> {
    text.as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

/// A field that cannot be read, and what was expected.
pub fn unreadable(field: &str, text: &str, ko: &str, en: &str) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "invalid-filter",
        format!("{field} 값 `{text}`을(를) 읽을 수 없습니다. {ko}"),
        format!("{field} `{text}` cannot be read. {en}"),
    )
    .with("parameter", field)
}

/// A day out of an address.
pub fn a_day(field: &str, text: &str) -> Result<KstDay, Problem> {
    text.trim().parse().map_err(|_| {
        unreadable(
            field,
            text,
            "2026-08-06 형식의 날짜여야 합니다.",
            "Expected a date such as 2026-08-06.",
        )
    })
}

/// The first and the last day of what is asked for, each if it is named.
pub fn days(
    from: &Option<String>,
    to: &Option<String>,
) -> Result<(Option<KstDay>, Option<KstDay>), Problem> {
    let from = set(from).map(|text| a_day("from", text)).transpose()?;
    let to = set(to).map(|text| a_day("to", text)).transpose()?;
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(unreadable(
            "to",
            &to.to_string(),
            &format!("from({from})보다 이를 수 없습니다."),
            &format!("It cannot lie before `from` ({from})."),
        ));
    }
    Ok((from, to))
}

/// One of a few words.
pub fn one_of<T>(
    field: &str,
    text: &Option<String>,
    words: &[&str],
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    set(text)
        .map(|text| {
            read(text).ok_or_else(|| {
                let all = words.join(", ");
                unreadable(
                    field,
                    text,
                    &format!("가능한 값: {all}"),
                    &format!("Expected one of {all}."),
                )
            })
        })
        .transpose()
}

/// Whether something is asked for.
pub fn flag(field: &str, text: &Option<String>) -> Result<bool, Problem> {
    let Some(text) = set(text) else {
        return Ok(false);
    };
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" | "y" => Ok(true),
        "false" | "0" | "off" | "no" | "n" => Ok(false),
        _ => Err(unreadable(
            field,
            text,
            "true 또는 false여야 합니다.",
            "Expected true or false.",
        )),
    }
}

/// Rows of a page.
pub fn limit(text: &Option<String>) -> Result<usize, Problem> {
    limit_up_to(text, PAGE, LARGEST_PAGE)
}

/// Rows, where a page may hold `most`.
pub fn limit_up_to(text: &Option<String>, usual: usize, most: usize) -> Result<usize, Problem> {
    let Some(text) = set(text) else {
        return Ok(usual);
    };
    let limit = text.parse().ok().filter(|n| (1..=most).contains(n));
    limit.ok_or_else(|| {
        unreadable(
            "limit",
            text,
            &format!("1~{most}이어야 합니다."),
            &format!("Expected 1 to {most}."),
        )
    })
}

/// Behind what a page begins: `next` of the page before.
pub fn after<T>(
    text: &Option<String>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    set(text)
        .map(|text| read(text).ok_or_else(|| not_a_cursor(text)))
        .transpose()
}

/// The same, where pages go by the rows' numbers.
pub fn after_row(text: &Option<String>) -> Result<Option<i64>, Problem> {
    after(text, |text| text.parse().ok())
}

/// What was given as the end of the page before, and is none.
pub fn not_a_cursor(text: &str) -> Problem {
    unreadable(
        "after",
        text,
        "앞 페이지의 next 값이어야 합니다.",
        "Expected `next` of the page before.",
    )
}

/// Text that is searched for, if it is none too long.
pub fn search_text(text: &Option<String>) -> Result<Option<String>, Problem> {
    let text = set(text);
    if text.is_some_and(|text| text.chars().count() > LONGEST_TEXT) {
        return Err(unreadable(
            "q",
            "…",
            &format!("{LONGEST_TEXT}자까지 검색할 수 있습니다."),
            &format!("At most {LONGEST_TEXT} characters are searched for."),
        ));
    }
    Ok(text.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::lang::Lang;

    fn given(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn what_cannot_be_understood_is_refused_and_not_guessed() {
        for text in ["0.5", "AAA", "null", "참", "2"] {
            let problem = flag("held", &given(text)).unwrap_err();
            assert!(
                problem.sentence(Lang::En).contains("true or false"),
                "{text}"
            );
        }
        for text in ["0", "201", "-1", "1e1", "many"] {
            assert!(limit(&given(text)).is_err(), "{text}");
        }
        assert!(a_day("from", "2026-02-30").is_err());
        assert!(days(&given("2026-08-06"), &given("2026-08-05")).is_err());
        assert!(after_row(&given("x")).is_err());
        assert!(search_text(&Some("가".repeat(101))).is_err());
    }

    #[test]
    fn a_field_without_a_value_is_not_asked_for() {
        for text in [None, given(""), given(" ")] {
            assert!(!flag("held", &text).unwrap());
            assert_eq!(limit(&text).unwrap(), PAGE);
            assert_eq!(after_row(&text).unwrap(), None);
            assert_eq!(days(&text, &text).unwrap(), (None, None));
            assert_eq!(search_text(&text).unwrap(), None);
        }
        assert!(flag("held", &given("TRUE")).unwrap() && !flag("held", &given("0")).unwrap());
    }
}
