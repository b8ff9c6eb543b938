//! What payouts, bank files and the calendar refuse.

use axum::http::StatusCode;

use super::Problem;
use crate::{
    flow::{
        bank_templates::TemplateError, change_calendar::CalendarError, pay_out::PayoutError,
        read_bank_result::ResultError, write_bank_file::FileError,
    },
    sheet::CellError,
};

const WRONG: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
const CONFLICT: StatusCode = StatusCode::CONFLICT;

impl From<PayoutError> for Problem {
    fn from(error: PayoutError) -> Problem {
        let en = format!("{error}.");
        match error {
            PayoutError::Nothing(until) => Problem::new(
                CONFLICT,
                "nothing-to-pay",
                format!(
                    "{until}까지 지급할 수 있는 정산이 없습니다. 보류·계좌·승인·최소 지급액을 확인하세요."
                ),
                en,
            ),
            PayoutError::Changed { shown, now } => Problem::new(
                CONFLICT,
                "payout-changed",
                format!(
                    "확인한 합계는 {shown}원인데 지금은 {now}원입니다. 바뀐 내용을 다시 확인하세요."
                ),
                en,
            )
            .with("shown", shown)
            .with("now", now),
            PayoutError::Other => Problem::new(
                StatusCode::CONFLICT,
                "payout-changed",
                "지급 내용이나 계좌가 확인한 뒤 바뀌었습니다. 다시 확인해 주세요.",
                en,
            ),
            PayoutError::HandedOut(_) => Problem::new(
                StatusCode::CONFLICT,
                "payout-handed-out",
                "이 묶음의 은행 파일을 이미 받았습니다. 은행에서 이체되지 않는지 확인하고 `not_at_the_bank`로 알려 주세요.",
                en,
            ),
            PayoutError::NoBatch(id) => Problem::not_found(&format!("payout batch {id}")),
            PayoutError::Waits { batch, approval } => Problem::new(
                CONFLICT,
                "approval-waits",
                format!(
                    "지급 묶음 {batch}은(는) 두 번째 사람의 승인을 기다립니다(승인 요청 {approval}). 승인 전에는 은행 파일을 받거나 결과를 반영할 수 없습니다."
                ),
                en,
            )
            .with("approval", approval)
            .after(60),
            PayoutError::NoPayout(id) => Problem::not_found(&format!("payout {id}")),
            PayoutError::NotOpen { id, state } => Problem::new(
                CONFLICT,
                "payout-batch-closed",
                format!(
                    "지급 묶음 {id}에는 기다리는 지급이 없습니다(상태 {}).",
                    state.as_str()
                ),
                en,
            )
            .with("batch_state", state),
            PayoutError::Decided { id, state, word } => Problem::new(
                CONFLICT,
                "payout-decided",
                format!(
                    "지급 {id}은(는) 이미 {} 상태라 {}(으)로 바꿀 수 없습니다.",
                    state.as_str(),
                    word.as_str()
                ),
                en,
            )
            .with("payout_state", state),
            PayoutError::Reason => {
                Problem::new(WRONG, "payout-reason", "사유를 1~200자로 적어 주세요.", en)
            }
            PayoutError::Note => Problem::new(
                WRONG,
                "payout-note",
                "메모는 줄바꿈 없이 200자까지 적을 수 있습니다.",
                en,
            ),
            PayoutError::OutOfRange(partner) => Problem::new(
                WRONG,
                "payout-out-of-range",
                format!("파트너사 `{partner}`의 합계가 너무 큽니다."),
                en,
            ),
            PayoutError::Store(error) => error.into(),
        }
    }
}

/// A file's errors: the first in the sentence, all of them in `errors`.
fn of_file(kind: &'static str, what: (&str, &str), wrong: Vec<CellError>) -> Problem {
    let first = |korean| {
        let first = wrong.first();
        first
            .map(|error| error.sentence(korean))
            .unwrap_or_default()
    };
    let more = wrong.len().saturating_sub(1);
    let (ko, en) = match more {
        0 => (String::new(), String::new()),
        more => (format!(" (외 {more}건)"), format!(" (and {more} more)")),
    };
    Problem::new(
        WRONG,
        kind,
        format!("{} {}{ko}", what.0, first(true)),
        format!("{} {}{en}.", what.1, first(false)),
    )
    .with("errors", wrong)
}

impl From<ResultError> for Problem {
    fn from(error: ResultError) -> Problem {
        match error {
            ResultError::Payout(error) => error.into(),
            ResultError::NoBatch(id) => Problem::not_found(&format!("payout batch {id}")),
            ResultError::Rows(wrong) => of_file(
                "bank-result",
                (
                    "은행 결과 파일을 반영하지 않았습니다.",
                    "Nothing of the bank's file was taken:",
                ),
                wrong,
            ),
            ResultError::Store(error) => error.into(),
        }
    }
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Problem {
        match error {
            FileError::Payout(error) => error.into(),
            FileError::Rows(wrong) => of_file(
                "bank-file",
                (
                    "은행 파일을 만들 수 없습니다.",
                    "The bank's file cannot be written:",
                ),
                wrong,
            ),
        }
    }
}

impl From<TemplateError> for Problem {
    fn from(error: TemplateError) -> Problem {
        let en = format!("{error}.");
        match error {
            TemplateError::NotFound(name) => Problem::not_found(&name),
            TemplateError::Exists(name) => Problem::new(
                CONFLICT,
                "bank-template-exists",
                format!("`{name}` 양식이 이미 있습니다. 다른 이름을 쓰세요."),
                en,
            ),
            TemplateError::AsItCame(name) => Problem::new(
                CONFLICT,
                "bank-template-unchanged",
                format!("`{name}` 양식은 바뀐 적이 없어 되돌릴 것이 없습니다."),
                en,
            ),
            TemplateError::Wrong(wrong) => Problem::new(WRONG, "bank-template", wrong.ko(), en),
            TemplateError::Store(error) => error.into(),
        }
    }
}

impl From<CalendarError> for Problem {
    fn from(error: CalendarError) -> Problem {
        let en = format!("{error}.");
        match error {
            CalendarError::Past { day, today } => Problem::new(
                WRONG,
                "calendar-past",
                format!("{day}은(는) 지난 날입니다. {today}부터의 날짜만 바꿀 수 있습니다."),
                en,
            ),
            CalendarError::Name => Problem::new(
                WRONG,
                "calendar-name",
                "달력에 보일 이름을 1~40자로 적어 주세요.",
                en,
            ),
            CalendarError::NotThere(day) => Problem::not_found(&format!("calendar day {day}")),
            CalendarError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::money::Won,
        sheet::Said,
        store::payouts::{BatchState, PayoutState},
        web::lang::Lang,
    };

    #[test]
    fn every_refusal_says_what_to_do_in_both_languages() {
        let day = "2026-08-06".parse().unwrap();
        let problems: Vec<Problem> = vec![
            PayoutError::Nothing(day).into(),
            PayoutError::Changed {
                shown: Won::new(1),
                now: Won::new(2),
            }
            .into(),
            PayoutError::NoBatch(1).into(),
            PayoutError::NotOpen {
                id: 1,
                state: BatchState::Done,
            }
            .into(),
            PayoutError::Decided {
                id: 1,
                state: PayoutState::Paid,
                word: PayoutState::Failed,
            }
            .into(),
            PayoutError::Reason.into(),
            PayoutError::Waits {
                batch: 1,
                approval: 2,
            }
            .into(),
            PayoutError::Note.into(),
            CalendarError::Name.into(),
            CalendarError::Past { day, today: day }.into(),
            TemplateError::Exists("x".into()).into(),
        ];
        for problem in problems {
            assert!(problem.status.is_client_error());
            let (ko, en) = (problem.sentence(Lang::Ko), problem.sentence(Lang::En));
            assert!(ko.ends_with('.') && !ko.is_ascii(), "{ko}");
            assert!(en.ends_with('.') && en.is_ascii(), "{en}");
        }
    }

    #[test]
    fn a_files_errors_are_all_told() {
        let wrong = |line| CellError::row(line, Said::new("틀림", "wrong"));
        let problem = Problem::from(ResultError::Rows(vec![wrong(2), wrong(3)]));
        assert!(problem.sentence(Lang::Ko).contains("2행: 틀림 (외 1건)"));
        assert!(
            problem
                .sentence(Lang::En)
                .contains("row 2: wrong (and 1 more)")
        );
        assert_eq!(problem.extra["errors"].as_array().unwrap().len(), 2);
    }
}
