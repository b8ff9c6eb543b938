//! Spreadsheets and CSV: what partners, banks and accountants send and take.
//!
//! A file from outside is taken whole or not at all, and what is wrong is said where the person who
//! sent it can see it: the row and column as their spreadsheet shows them. A text never becomes a
//! formula, an account number never loses a digit without a word.
//!
//! Pure: bytes in, values out. What a row means is for the callers to decide.

pub mod bank;
mod columns;
mod guard;
mod read;
mod text;
mod workbook;
mod write;

use std::fmt;

use serde::Serialize;

use crate::domain::money::Won;

pub use columns::{Column, Columns, Others};
pub use read::{ReadError, Row, Table, read, read_at_most, read_with_header};
pub use write::{Cell, Encoding, Sheet, WriteError, csv, xlsx};

/// One sentence in the two languages that we speak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    pub ko: String,
    pub en: String,
}

impl Said {
    pub fn new(ko: impl Into<String>, en: impl Into<String>) -> Said {
        Said {
            ko: ko.into(),
            en: en.into(),
        }
    }
}

/// What is wrong, and where in the file. `ko` and `en` say what; `sentence` says where as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CellError {
    /// As the person sees it, counted from 1. 0 where the file as a whole is meant.
    pub line: usize,
    /// The header's text.
    pub column: Option<String>,
    /// What a spreadsheet calls the column: `C`.
    pub letter: Option<String>,
    pub ko: String,
    pub en: String,
}

impl CellError {
    /// About the file as a whole.
    pub fn file(said: Said) -> CellError {
        CellError::row(0, said)
    }

    /// About a row.
    pub fn row(line: usize, said: Said) -> CellError {
        CellError {
            line,
            column: None,
            letter: None,
            ko: said.ko,
            en: said.en,
        }
    }

    /// About a cell. Columns count from 0.
    pub fn cell(line: usize, column: usize, header: Option<&str>, said: Said) -> CellError {
        CellError {
            column: header
                .filter(|header| !header.is_empty())
                .map(ToOwned::to_owned),
            letter: Some(letter(column)),
            ..CellError::row(line, said)
        }
    }

    /// `7행 C열(계좌번호): …`, or `row 7, column C (account): …`.
    pub fn sentence(&self, korean: bool) -> String {
        let mut place = match (self.line, korean) {
            (0, _) => String::new(),
            (line, true) => format!("{line}행"),
            (line, false) => format!("row {line}"),
        };
        if let Some(letter) = &self.letter {
            let gap = match (place.is_empty(), korean) {
                (true, _) => "",
                (false, true) => " ",
                (false, false) => ", ",
            };
            place += gap;
            place += &match korean {
                true => format!("{letter}열"),
                false => format!("column {letter}"),
            };
        }
        if let Some(column) = &self.column {
            let gap = if korean || place.is_empty() { "" } else { " " };
            place += &format!("{gap}({column})");
        }
        let what = if korean { &self.ko } else { &self.en };
        match place.is_empty() {
            true => what.clone(),
            false => format!("{place}: {what}"),
        }
    }
}

impl fmt::Display for CellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence(false))
    }
}

impl std::error::Error for CellError {}

/// What a spreadsheet calls the column with this index: 0 is `A`, 26 is `AA`.
pub fn letter(column: usize) -> String {
    let mut letters = Vec::new();
    let mut left = column + 1;
    while left > 0 {
        left -= 1;
        letters.push(char::from(b'A' + u8::try_from(left % 26).unwrap_or(0)));
        left /= 26;
    }
    letters.iter().rev().collect()
}

/// Reads an amount as people write it: `5,000`, `5000원`, `₩5,000`, and negative as `-3000`,
/// `(3,000)` or `△3,000`. Neither exponents nor parts of a won: those are no amounts, or no won.
pub fn won(text: &str) -> Result<Won, Said> {
    let plain: String = text.trim().chars().map(half_width).collect();
    let not = || {
        Said::new(
            format!(
                "금액으로 읽을 수 없는 값입니다(`{text}`). 5000 또는 5,000처럼 원 단위 숫자로 적어 주세요."
            ),
            format!("`{text}` is not an amount: write whole won, as 5000 or 5,000"),
        )
    };
    let mut rest = plain.trim();
    let bracketed = rest
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'));
    if let Some(inner) = bracketed {
        rest = inner.trim();
    }
    // The sign stands before or behind the currency's, and once.
    let mut signed = false;
    let mut marked = false;
    loop {
        if let Some(after) = rest.strip_prefix(['-', '△', '▲']).filter(|_| !signed) {
            (signed, rest) = (true, after.trim_start());
        } else if let Some(after) = rest.strip_prefix(['₩', '\\']).filter(|_| !marked) {
            (marked, rest) = (true, after.trim_start());
        } else {
            break;
        }
    }
    if let Some(before) = rest.strip_suffix('원') {
        rest = before.trim_end();
    }
    if signed && bracketed.is_some() {
        return Err(not());
    }
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(not());
    }
    if fraction.bytes().any(|b| b != b'0') {
        return Err(Said::new(
            format!("원 단위보다 작은 금액입니다(`{text}`). 소수점 없이 적어 주세요."),
            format!("`{text}` has a part of a won: write whole won, without decimals"),
        ));
    }
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let threes = match whole.contains(',') {
        true => first.len() <= 3 && groups.all(|group| group.len() == 3 && digits(group)),
        false => true,
    };
    if !digits(first) || !threes {
        return Err(not());
    }
    let sign = if signed || bracketed.is_some() {
        "-"
    } else {
        ""
    };
    format!("{sign}{}", whole.replace(',', ""))
        .parse()
        .map(Won::new)
        .map_err(|_| not())
}

/// Full-width forms, as Korean and Japanese keyboards write them, as their plain ones.
fn half_width(c: char) -> char {
    match c {
        '！'..='～' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '\u{3000}' | '\u{a0}' => ' ',
        '−' | '–' => '-',
        '￦' => '₩',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_as_people_write_it() {
        for (text, expected) in [
            ("0", 0),
            ("5000", 5_000),
            ("5,000", 5_000),
            (" 5,000원 ", 5_000),
            ("5,000 원", 5_000),
            ("₩5,000", 5_000),
            ("￦ 5,000", 5_000),
            ("\\5,000", 5_000),
            ("1,234,567", 1_234_567),
            ("5000.00", 5_000),
            ("-3000", -3_000),
            ("-₩3,000", -3_000),
            ("₩-3,000", -3_000),
            ("(3,000)", -3_000),
            ("（3，000）", -3_000),
            ("△3,000", -3_000),
            ("−3,000", -3_000),
            ("５０００", 5_000),
            ("000123", 123),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(won(text), Ok(Won::new(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_says_how_to_write_one() {
        for text in [
            "",
            " ",
            "-",
            "원",
            "1e3",
            "1E3",
            "5000.5",
            "5.000.000",
            "5000.",
            ".5",
            "5,00",
            "1,2345",
            "1234,567",
            ",123",
            "5,,000",
            "--5",
            "(-5)",
            "((5))",
            "(5",
            "+5",
            "오천원",
            "#N/A",
            "TRUE",
            "5 000",
            "9223372036854775808",
            "٣",
        ] {
            let said = won(text).unwrap_err();
            assert!(said.en.contains("write whole won"), "{text}: {}", said.en);
            assert!(
                said.ko.contains("적어 주세요") && said.ko.contains(text),
                "{text}: {}",
                said.ko
            );
        }
    }

    #[test]
    fn columns_have_the_letters_of_a_spreadsheet() {
        for (column, expected) in [
            (0, "A"),
            (2, "C"),
            (25, "Z"),
            (26, "AA"),
            (701, "ZZ"),
            (702, "AAA"),
        ] {
            assert_eq!(letter(column), expected);
        }
    }

    #[test]
    fn an_error_names_its_place_in_both_languages() {
        let said = || Said::new("비어 있습니다.", "it is empty");
        let error = CellError::cell(7, 2, Some("계좌번호"), said());
        assert_eq!(error.to_string(), "row 7, column C (계좌번호): it is empty");
        assert_eq!(error.sentence(true), "7행 C열(계좌번호): 비어 있습니다.");
        assert_eq!(CellError::row(7, said()).to_string(), "row 7: it is empty");
        assert_eq!(
            CellError::row(7, said()).sentence(true),
            "7행: 비어 있습니다."
        );
        assert_eq!(CellError::file(said()).to_string(), "it is empty");
        let json = serde_json::to_value(&error).unwrap();
        assert_eq!((&json["line"], &json["letter"]), (&7.into(), &"C".into()));
    }

    proptest::proptest! {
        #[test]
        fn an_amount_shown_is_read_back(amount: i64) {
            let amount = Won::new(amount);
            proptest::prop_assert_eq!(won(&amount.to_string()), Ok(amount));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = won(&text);
        }
    }
}
