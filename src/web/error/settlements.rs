//! What is wrong with settlements, days, holds, statements and adjustments, as an answer.

use axum::http::StatusCode;

use super::Problem;
use crate::{
    domain::{money::Won, settlement::State},
    flow::{
        adjust::AdjustError,
        hold_settlement::HoldError,
        import_adjustments::ImportAdjustmentsError,
        make_statement::{LONGEST_PERIOD, MOST_LINES, StatementError},
        reopen_day::ReopenError,
        settle_day::SettleDayError,
    },
    sheet::CellError,
    store::jobs::SettleError,
};

/// A state as a Korean sentence names it.
fn state_ko(state: State) -> &'static str {
    match state {
        State::Requested => "지급 대기",
        State::Processing => "지급 처리 중",
        State::Completed => "지급 완료",
        State::Failed => "지급 실패",
    }
}

fn reason_needed(en: String) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "reason-needed",
        "사유를 줄바꿈 없이 1~200자로 적어 주세요.",
        en,
    )
}

fn out_of_range(en: String) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "sum-out-of-range",
        "금액 합계가 다룰 수 있는 범위를 벗어납니다. 금액을 확인해 주세요.",
        en,
    )
}

fn day_changed(en: String) -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "day-changed",
        "정산하는 동안 계약이 바뀌었거나 그 날이 다시 열렸습니다. 다시 정산해 주세요.",
        en,
    )
    .after(1)
}

impl From<SettleDayError> for Problem {
    fn from(error: SettleDayError) -> Problem {
        let en = format!("{error}.");
        match error {
            SettleDayError::TooEarly { day, first } => Problem::new(
                StatusCode::CONFLICT,
                "day-too-early",
                format!("{day}에는 아무 일도 없었습니다. {first}부터 정산할 수 있습니다."),
                en,
            ),
            SettleDayError::NotOver { day, last } => Problem::new(
                StatusCode::CONFLICT,
                "day-not-over",
                format!(
                    "{day}은(는) 아직 끝나지 않았습니다. {last}까지의 날을 정산할 수 있습니다."
                ),
                en,
            )
            .with("last", last),
            SettleDayError::Changed(_) => day_changed(en),
            SettleDayError::OutOfRange { .. } => out_of_range(en),
            SettleDayError::Store(error) | SettleDayError::Settle(SettleError::Store(error)) => {
                error.into()
            }
            SettleDayError::Settle(SettleError::Stale(_)) => day_changed(en),
        }
    }
}

impl From<ReopenError> for Problem {
    fn from(error: ReopenError) -> Problem {
        let en = format!("{error}.");
        let conflict = StatusCode::CONFLICT;
        match error {
            ReopenError::NotSettled(day) => Problem::new(
                conflict,
                "day-not-settled",
                format!("{day}은(는) 아직 정산되지 않았습니다. 다시 열 것이 없습니다."),
                en,
            ),
            ReopenError::Begun {
                day,
                id,
                partner,
                state,
            } => Problem::new(
                conflict,
                "day-begun",
                format!(
                    "{day}은(는) 다시 열 수 없습니다. `{partner}`의 정산 {id}이(가) {} 상태입니다. 조정으로 바로잡아 주세요.",
                    state_ko(state)
                ),
                en,
            )
            .with("settlement", id),
            ReopenError::Held { day, id, partner } => Problem::new(
                conflict,
                "settlement-held",
                format!(
                    "{day}은(는) 다시 열 수 없습니다. `{partner}`의 정산 {id}이(가) 보류되어 있습니다. 먼저 보류를 풀어 주세요."
                ),
                en,
            )
            .with("settlement", id),
            ReopenError::Tried {
                day,
                id,
                partner,
                payout,
            } => Problem::new(
                conflict,
                "day-begun",
                format!(
                    "{day}은(는) 다시 열 수 없습니다. `{partner}`의 정산 {id}이(가) 실패했거나 철회된 지급 {payout}에 들어 있었습니다. 조정으로 바로잡아 주세요."
                ),
                en,
            )
            .with("settlement", id),
            ReopenError::Netted { day, partner, into } => Problem::new(
                conflict,
                "day-netted",
                format!(
                    "{day}은(는) 다시 열 수 없습니다. `{partner}`의 이월액이 정산 {into}에 반영되었습니다. 그 정산의 날을 먼저 다시 열어 주세요."
                ),
                en,
            )
            .with("settlement", into),
            ReopenError::Reason => reason_needed(en),
            ReopenError::Settle(error) => error.into(),
            ReopenError::Store(error) => error.into(),
        }
    }
}

impl From<HoldError> for Problem {
    fn from(error: HoldError) -> Problem {
        let en = format!("{error}.");
        let conflict = StatusCode::CONFLICT;
        match error {
            HoldError::NotFound(id) => Problem::not_found(&format!("settlement {id}")),
            HoldError::NotOpen { id, state } => Problem::new(
                conflict,
                "settlement-not-open",
                format!(
                    "정산 {id}은(는) {} 상태입니다. 지급 대기나 지급 실패일 때만 보류할 수 있습니다.",
                    state_ko(state)
                ),
                en,
            )
            .with("state", state),
            HoldError::Held(id) => Problem::new(
                conflict,
                "settlement-held",
                format!("정산 {id}은(는) 이미 보류되어 있습니다. 먼저 보류를 풀어 주세요."),
                en,
            ),
            HoldError::NotHeld(id) => Problem::new(
                conflict,
                "settlement-not-held",
                format!("정산 {id}은(는) 보류되어 있지 않습니다."),
                en,
            ),
            HoldError::CarriedOver(id) => Problem::new(
                conflict,
                "settlement-netted",
                format!("정산 {id}은(는) 뒤의 정산에 이월 반영되었습니다. 그 정산을 보류해 주세요."),
                en,
            ),
            HoldError::NotFailed { id, state } => Problem::new(
                conflict,
                "settlement-not-failed",
                format!(
                    "정산 {id}은(는) {} 상태입니다. 지급에 실패한 정산만 다시 시도할 수 있습니다.",
                    state_ko(state)
                ),
                en,
            )
            .with("state", state),
            HoldError::Reason => reason_needed(en),
            HoldError::Store(error) => error.into(),
        }
    }
}

impl From<AdjustError> for Problem {
    fn from(error: AdjustError) -> Problem {
        let en = format!("{error}.");
        match error {
            AdjustError::NoPartner(partner) => Problem::not_found(partner.as_str()),
            AdjustError::Amount(amount) => {
                let most = Won::LARGEST;
                Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "adjustment-amount",
                    format!("{amount}원은 조정할 수 없습니다. 0이 아닌 ±{most}원 이내여야 합니다."),
                    en,
                )
            }
            AdjustError::Reason => reason_needed(en),
            AdjustError::OutOfRange => out_of_range(en),
            AdjustError::Taken { line, id } => Problem::new(
                StatusCode::CONFLICT,
                "already-imported",
                format!(
                    "이미 반영한 파일입니다({line}행은 조정 {id}). 두 번 반영하지 않았습니다. 고칠 것이 있으면 새 파일로 올려 주세요."
                ),
                en,
            )
            .with("adjustment", id),
            AdjustError::Row { line, why } => {
                let inner = Problem::from(*why);
                Problem::new(
                    inner.status,
                    "invalid-import",
                    format!("{line}행: {} 반영한 것은 없습니다.", inner.ko),
                    format!("Row {line}: {} Nothing was booked.", inner.en),
                )
            }
            AdjustError::Store(error) => error.into(),
        }
    }
}

/// Rows of a file that cannot be taken; all of them are in `errors`.
pub(crate) fn invalid_file(errors: &[CellError]) -> Problem {
    let told = |korean: bool| {
        let first: Vec<String> = errors.iter().take(3).map(|e| e.sentence(korean)).collect();
        first.join(" ")
    };
    let count = errors.len();
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid-import",
        format!(
            "파일에 고칠 곳이 {count}군데 있어 아무것도 반영하지 않았습니다. {}",
            told(true)
        ),
        format!(
            "Nothing was booked: {count} things are wrong with the file. {}",
            told(false)
        ),
    )
    .with("errors", errors)
}

/// A file of ours that could not be written, and where.
pub fn file_not_written(errors: &[CellError]) -> Problem {
    let first = |korean: bool| errors.first().map(|error| error.sentence(korean));
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "file-not-written",
        format!(
            "파일을 만들지 못했습니다. {}",
            first(true).unwrap_or_default()
        ),
        format!(
            "The file cannot be written. {}",
            first(false).unwrap_or_default()
        ),
    )
    .with("errors", errors)
}

impl From<ImportAdjustmentsError> for Problem {
    fn from(error: ImportAdjustmentsError) -> Problem {
        match error {
            ImportAdjustmentsError::Cells(errors) => invalid_file(&errors),
            ImportAdjustmentsError::Adjust(error) => error.into(),
            ImportAdjustmentsError::Store(error) => error.into(),
        }
    }
}

impl From<StatementError> for Problem {
    fn from(error: StatementError) -> Problem {
        let en = format!("{error}.");
        let wrong = StatusCode::UNPROCESSABLE_ENTITY;
        match error {
            StatementError::NoPartner(id) => Problem::not_found(&id),
            StatementError::Backwards { from, to } => Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid-filter",
                format!("종료일 {to}이(가) 시작일 {from}보다 이릅니다."),
                en,
            ),
            StatementError::TooLong(days) => Problem::new(
                wrong,
                "statement-too-long",
                format!(
                    "기간이 {days}일입니다. 정산내역서는 {LONGEST_PERIOD}일까지 만들 수 있습니다. 기간을 줄여 주세요."
                ),
                en,
            ),
            StatementError::TooMany(count) => Problem::new(
                wrong,
                "statement-too-long",
                format!(
                    "정산 항목이 {count}개입니다. 정산내역서는 {MOST_LINES}개까지 만들 수 있습니다. 기간을 줄여 주세요."
                ),
                en,
            ),
            StatementError::DoesNotTie(id) => {
                tracing::error!(settlement = id, "a settlement is not the sum of its lines");
                Problem::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "statement-does-not-tie",
                    format!(
                        "정산 {id}의 합계가 항목의 합과 다릅니다. 내역서를 내보내지 않았습니다. `jeongsan verify`로 장부를 확인해 주세요."
                    ),
                    en,
                )
            }
            StatementError::OutOfRange(_) => out_of_range(en),
            StatementError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::ids::PartnerId, sheet::Said, web::lang::Lang};

    #[test]
    fn each_problem_has_a_kind_and_both_languages() {
        let day = "2026-08-06".parse().unwrap();
        let farm = || PartnerId::new("farm").unwrap();
        let problems: Vec<(Problem, &str)> = vec![
            (
                SettleDayError::NotOver { day, last: day }.into(),
                "day-not-over",
            ),
            (SettleDayError::Changed("x").into(), "day-changed"),
            (ReopenError::NotSettled(day).into(), "day-not-settled"),
            (HoldError::NotHeld(7).into(), "settlement-not-held"),
            (HoldError::CarriedOver(7).into(), "settlement-netted"),
            (HoldError::Reason.into(), "reason-needed"),
            (AdjustError::Amount(Won::ZERO).into(), "adjustment-amount"),
            (
                AdjustError::Taken { line: 2, id: 3 }.into(),
                "already-imported",
            ),
            (
                AdjustError::Row {
                    line: 4,
                    why: Box::new(AdjustError::NoPartner(farm())),
                }
                .into(),
                "invalid-import",
            ),
            (StatementError::TooLong(401).into(), "statement-too-long"),
            (
                StatementError::DoesNotTie(1).into(),
                "statement-does-not-tie",
            ),
        ];
        for (problem, kind) in problems {
            assert_eq!(problem.kind, kind);
            assert!(problem.sentence(Lang::Ko).ends_with('.'), "{problem:?}");
            assert!(problem.sentence(Lang::En).is_ascii(), "{problem:?}");
        }
    }

    #[test]
    fn a_files_errors_name_their_places() {
        let said = Said::new("비어 있습니다.", "it is empty");
        let problem = invalid_file(&[CellError::cell(7, 1, Some("금액"), said)]);
        assert!(problem.sentence(Lang::Ko).contains("7행 B열(금액): 비어"));
    }
}
