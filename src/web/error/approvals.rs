//! What is wrong with approvals and with the rules that are changed at run time, as an answer.

use axum::http::StatusCode;

use super::Problem;
use crate::{
    domain::{
        approval::State,
        money::Won,
        rules::{LONGEST_NOTICE, Rule, SLACK_HOST, WrongRule},
    },
    flow::{approve::ApproveError, change_rules::RuleError},
};

const WRONG: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
const CONFLICT: StatusCode = StatusCode::CONFLICT;

fn state_ko(state: State) -> &'static str {
    match state {
        State::Waiting => "승인 대기",
        State::Approved => "승인됨",
        State::Refused => "거절됨",
        State::Withdrawn => "철회됨",
    }
}

impl From<ApproveError> for Problem {
    fn from(error: ApproveError) -> Problem {
        let en = format!("{error}.");
        match error {
            ApproveError::NoApproval(id) => Problem::not_found(&format!("approval {id}")),
            ApproveError::Decided { id, state } => Problem::new(
                CONFLICT,
                "approval-decided",
                format!("승인 요청 {id}은(는) 이미 처리되었습니다({}).", state_ko(state)),
                en,
            )
            .with("approval_state", state),
            ApproveError::Own(_) => Problem::new(
                StatusCode::FORBIDDEN,
                "approval-own",
                "직접 요청한 것은 스스로 승인하거나 거절할 수 없습니다. 다른 사람이 처리하거나, 요청을 철회하세요.",
                en,
            ),
            ApproveError::NotAPerson => Problem::new(
                StatusCode::FORBIDDEN,
                "approval-person",
                "승인은 계정이 있는 사람이 화면에서만 할 수 있습니다. API 키로는 승인할 수 없습니다.",
                en,
            ),
            ApproveError::NotTheMaker { id, maker } => Problem::new(
                StatusCode::FORBIDDEN,
                "approval-maker",
                format!("승인 요청 {id}은(는) 요청한 사람({maker})만 철회할 수 있습니다. 대신 거절하세요."),
                en,
            ),
            ApproveError::OwnAccount { partner } => Problem::new(
                StatusCode::FORBIDDEN,
                "approval-account",
                format!(
                    "`{partner}`의 계좌를 직접 등록하거나 바꾸셨고, 그 계좌로 지급한 적이 없습니다. 다른 사람이 승인해야 합니다."
                ),
                en,
            )
            .with("partner", partner),
            ApproveError::Changed(id) => Problem::new(
                CONFLICT,
                "approval-changed",
                format!("승인 요청 {id}의 내용이 확인하신 뒤 바뀌었습니다. 다시 확인해 주세요."),
                en,
            ),
            ApproveError::Reason => Problem::new(
                WRONG,
                "reason-needed",
                "사유를 줄바꿈 없이 1~200자로 적어 주세요.",
                en,
            ),
            ApproveError::Payout(error) => error.into(),
            ApproveError::Adjust(error) => error.into(),
            ApproveError::Store(error) => error.into(),
        }
    }
}

/// What a setting may be, as a sentence.
pub fn expected(rule: Rule) -> (String, String) {
    use crate::domain::rules::Form;
    let why = match rule.form() {
        Form::Won => WrongRule::Won,
        Form::Words => WrongRule::Words,
        Form::SlackUrl => WrongRule::SlackUrl,
        Form::Time => WrongRule::Time,
    };
    let ko = match why {
        WrongRule::Won => format!(
            "0원부터 {}원까지의 금액을 적어 주세요. 예: 1,000,000",
            Won::LARGEST
        ),
        WrongRule::Words => format!("줄바꿈 없이 {LONGEST_NOTICE}자까지 적어 주세요."),
        WrongRule::SlackUrl => format!(
            "https://{SLACK_HOST}/services/ 로 시작하는 주소를 적어 주세요. 다른 주소는 설정 파일에서만 정할 수 있습니다."
        ),
        WrongRule::Time => "10초(10s)부터 7일(7d)까지의 시간을 적어 주세요. 예: 5m, 1h".to_owned(),
    };
    (ko, why.to_string())
}

impl From<RuleError> for Problem {
    fn from(error: RuleError) -> Problem {
        let en = format!("{error}.");
        match error {
            RuleError::Wrong { rule, .. } => Problem::new(
                WRONG,
                "setting-value",
                format!("{} 값을 쓸 수 없습니다. {}", rule.key(), expected(rule).0),
                en,
            )
            .with("setting", rule.key()),
            RuleError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::lang::Lang;

    #[test]
    fn each_refusal_says_what_to_do_in_both_languages() {
        let state = State::Refused;
        let all: Vec<Problem> = vec![
            ApproveError::Decided { id: 1, state }.into(),
            ApproveError::Own(1).into(),
            ApproveError::NotAPerson.into(),
            ApproveError::NotTheMaker {
                id: 1,
                maker: "@minji".into(),
            }
            .into(),
            ApproveError::OwnAccount {
                partner: "farm".into(),
            }
            .into(),
            ApproveError::Changed(1).into(),
            ApproveError::Reason.into(),
        ];
        let wrong = Rule::ALL.map(|rule| {
            let why = rule.read("\u{7}").unwrap_err();
            Problem::from(RuleError::Wrong { rule, why })
        });
        for problem in all.into_iter().chain(wrong) {
            assert!(problem.status.is_client_error());
            let (ko, en) = (problem.sentence(Lang::Ko), problem.sentence(Lang::En));
            assert!(
                !ko.is_ascii() && en.is_ascii() && en.ends_with('.'),
                "{ko} {en}"
            );
        }
    }
}
