//! Reads what a bank says became of transfers.

use serde::Serialize;

use super::{BankTemplate, ResultColumns, digits};
use crate::{
    domain::money::Won,
    sheet::{CellError, Column, Columns, Others, Row, Said, columns::plain, read_with_header, won},
};

/// What a bank says became of one transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    pub line: usize,
    pub reference: Option<String>,
    /// Without hyphens and spaces. Some banks put `*` in place of digits.
    pub account: Option<String>,
    pub amount: Option<Won>,
    pub paid: bool,
    pub reason: Option<String>,
}

/// Reads the bank's answer: a header below any title lines, a row per transfer, sums skipped. All
/// that cannot be understood, at once; nothing is taken then.
pub fn read_result(template: &BankTemplate, bytes: &[u8]) -> Result<Vec<Outcome>, Vec<CellError>> {
    let result = &template.result;
    fn texts(names: &[String]) -> Vec<&str> {
        names.iter().map(String::as_str).collect()
    }
    let wanted = [&texts(&result.amount)[..], &texts(&result.outcome)[..]];
    let table =
        read_with_header(bytes, None, &wanted).map_err(|error| vec![error.into_cell_error()])?;
    // A bank's file may have both `이체금액` and `금액`: the first name that is there is meant.
    let there = |names: &[String]| -> Vec<String> {
        let is_there = |name: &&String| {
            let name = plain(name);
            table.headers.iter().any(|header| plain(header) == name)
        };
        names.iter().find(is_there).cloned().into_iter().collect()
    };
    let [account, amount, reference, outcome, reason] = [
        &result.account,
        &result.amount,
        &result.reference,
        &result.outcome,
        &result.reason,
    ]
    .map(|names| there(names));
    let columns = Columns::find(
        &table,
        &[
            ("account", texts(&account)),
            ("amount", texts(&amount)),
            ("reference", texts(&reference)),
            ("outcome", texts(&outcome)),
            ("reason", texts(&reason)),
        ]
        .each_ref()
        .map(|(key, aliases)| Column {
            key,
            aliases,
            required: false,
        }),
        Others::Ignored,
    )?;
    if !columns.has("account") && !columns.has("reference") {
        let names = result.account.join("/");
        return Err(vec![CellError::row(
            table.line,
            Said::new(
                format!("계좌번호나 지급번호 열이 없습니다. 필요한 열: {names}"),
                format!("there is neither an account nor a reference: expected {names}"),
            ),
        )]);
    }
    let mut outcomes = Vec::new();
    let mut wrong = Vec::new();
    for row in &table.rows {
        if is_sum(row, &columns) {
            continue;
        }
        match one(result, &columns, row) {
            Ok(outcome) => outcomes.push(outcome),
            Err(errors) => wrong.extend(errors),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    if outcomes.is_empty() {
        return Err(vec![CellError::file(Said::new(
            "이체 결과가 한 건도 없습니다.",
            "the file has a header, but no transfer below it",
        ))]);
    }
    Ok(outcomes)
}

/// A row of sums: a word for it among the first cells, and neither an account nor a reference.
fn is_sum(row: &Row, columns: &Columns) -> bool {
    let word = |cell: &str| {
        let cell = plain(cell);
        let word = cell.split(['(', ':']).next().unwrap_or_default();
        ["합계", "총계", "소계", "총합계", "누계", "total"].contains(&word)
    };
    let names_nobody = |key| {
        let digit = |c: char| c.is_ascii_digit();
        columns
            .get(row, key)
            .is_none_or(|cell| word(cell) || !cell.contains(digit))
    };
    row.cells.iter().take(3).any(|cell| word(cell))
        && names_nobody("account")
        && names_nobody("reference")
}

fn one(result: &ResultColumns, columns: &Columns, row: &Row) -> Result<Outcome, Vec<CellError>> {
    let mut wrong = Vec::new();
    let account = columns
        .get(row, "account")
        .map(digits)
        .filter(|account| !account.is_empty());
    let reference = columns.get(row, "reference").map(ToOwned::to_owned);
    if account.is_none() && reference.is_none() {
        let said = Said::new(
            "계좌번호도 지급번호도 없어 어느 지급인지 알 수 없습니다.",
            "neither an account nor a reference: it could be any payout",
        );
        wrong.push(columns.error(row, "account", said));
    }
    let amount = columns.get(row, "amount").map(won).transpose();
    let amount = amount.unwrap_or_else(|said| {
        wrong.push(columns.error(row, "amount", said));
        None
    });
    let paid = match columns.get(row, "outcome") {
        None => Err(Said::new("처리 결과가 비어 있습니다.", "the outcome is empty")),
        Some(word) => is_paid(result, word).ok_or_else(|| {
            Said::new(
                format!("성공인지 실패인지 알 수 없는 결과입니다(`{word}`). 양식의 결과 문구에 추가해 주세요."),
                format!("`{word}` is neither paid nor failed: add it to the template's words"),
            )
        }),
    };
    match paid {
        Ok(paid) if wrong.is_empty() => Ok(Outcome {
            line: row.line,
            reference,
            account,
            amount,
            paid,
            reason: columns.get(row, "reason").map(ToOwned::to_owned),
        }),
        Ok(_) => Err(wrong),
        Err(said) => {
            wrong.push(columns.error(row, "outcome", said));
            Err(wrong)
        }
    }
}

/// What may follow a word and turn it around: `정상예약` is not paid yet, `오류없음` has not failed.
const NOT_YET: &[&str] = &[
    "예약",
    "대기",
    "처리중",
    "진행",
    "예정",
    "미완",
    "일부",
    "보류",
    "확인",
];
const NOT_SO: &[&str] = &["없음", "아님"];

/// Failed, where a failed word stands anywhere; paid, where a paid word stands at the beginning.
/// Words of one letter count only as the whole cell.
fn is_paid(result: &ResultColumns, outcome: &str) -> Option<bool> {
    let outcome = plain(outcome);
    let turned = |by: &[&str]| by.iter().any(|word| outcome.contains(word));
    let whole = |words: &[String]| words.iter().any(|word| plain(word) == outcome);
    let longer = |word: &&String| plain(word).chars().count() > 1;
    let failed = |word: &String| outcome.contains(&plain(word));
    let paid = |word: &String| outcome.starts_with(&plain(word));
    if whole(&result.failed_words) {
        Some(false)
    } else if whole(&result.paid_words) {
        Some(true)
    } else if result.failed_words.iter().filter(longer).any(failed) {
        // Not to be paid again on a guess.
        (!turned(NOT_SO)).then_some(false)
    } else if result.paid_words.iter().filter(longer).any(paid) {
        (!turned(NOT_YET)).then_some(true)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_an_outcome_are_plainly_one_or_the_other() {
        let words = ResultColumns::common();
        for (text, expected) in [
            ("정상", Some(true)),
            (" 정상 처리 ", Some(true)),
            ("정상처리", Some(true)),
            ("처리완료", Some(true)),
            ("y", Some(true)),
            ("오류", Some(false)),
            ("이체실패", Some(false)),
            ("정상처리 불능", Some(false)),
            ("정상취소", Some(false)),
            ("비정상", Some(false)),
            ("n", Some(false)),
            ("오류없음", None),
            ("정상예약", None),
            ("완료대기", None),
            ("미완료", None),
            ("처리중", None),
            ("DONE", None),
            ("YN", None),
            ("0000", None),
        ] {
            assert_eq!(is_paid(&words, text), expected, "{text}");
        }
    }
}
