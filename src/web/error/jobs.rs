//! What running, calling off, pausing and replaying jobs refuse.

use axum::http::StatusCode;

use super::Problem;
use crate::flow::{operate_jobs::OperateError, replay_dead_letters::BulkError};

const CONFLICT: StatusCode = StatusCode::CONFLICT;

/// How a job stands, as the table spells it.
fn state(code: &str) -> &str {
    match code {
        "running" => "실행 중",
        "done" => "완료",
        "dead" => "데드레터",
        "cancelled" => "취소됨",
        other => other,
    }
}

impl From<OperateError> for Problem {
    fn from(error: OperateError) -> Problem {
        let en = format!("{error}.");
        match error {
            OperateError::NotFound(id) => Problem::not_found(&format!("job {id}")),
            OperateError::NotWaiting { id, state: code } => Problem::new(
                CONFLICT,
                "job-not-waiting",
                format!(
                    "작업 #{id}은(는) 기다리고 있지 않아({}) 바로 실행하거나 취소할 수 없습니다.",
                    state(&code)
                ),
                en,
            ),
            OperateError::DueAlready(id) => Problem::new(
                CONFLICT,
                "job-not-waiting",
                format!("작업 #{id}은(는) 이미 차례가 되었습니다. 작업자가 비는 대로 실행됩니다."),
                en,
            ),
            OperateError::DueButPaused(id, kind) => Problem::new(
                CONFLICT,
                "kind-paused",
                format!(
                    "작업 #{id}은(는) 차례가 되었지만 이 종류({kind})가 일시 중지되어 있습니다. 다시 시작하면 실행됩니다."
                ),
                en,
            ),
            OperateError::Cancels => Problem::new(
                CONFLICT,
                "job-kept",
                "진행 중인 결제 취소는 없앨 수 없습니다. 돈이 돌아갔는지 아무도 알 수 없게 되기 때문입니다. 그대로 두면 실행되고, 끝내 실패하면 데드레터가 되어 포트원에 확인한 뒤 폐기할 수 있습니다.",
                en,
            ),
            OperateError::Confirms => Problem::new(
                CONFLICT,
                "job-kept",
                "결제를 알리는 메시지는 없앨 수 없습니다. 그 결제가 장부에 남지 않을 수 있기 때문입니다. 그대로 두면 실행되고, 끝내 실패하면 데드레터가 되어 폐기할 수 있습니다.",
                en,
            ),
            OperateError::Tells => Problem::new(
                CONFLICT,
                "job-kept",
                "묶어서 알리는 알림을 전하는 작업이라 없앨 수 없습니다. 상황이 끝나면 저절로 끝납니다.",
                en,
            ),
            OperateError::UnknownJob(kind) => Problem::new(
                CONFLICT,
                "job-kept",
                format!(
                    "이 버전이 모르는 종류(`{kind}`)라 없애도 되는지 알 수 없습니다. 그대로 두면 데드레터가 되어 폐기할 수 있습니다."
                ),
                en,
            ),
            OperateError::Note => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "note-needed",
                "이유를 1~500자로 적어 주세요.",
                en,
            ),
            OperateError::UnknownKind { kind, .. } => Problem::not_found(&kind),
            OperateError::Paused(kind) => Problem::new(
                CONFLICT,
                "kind-paused",
                format!("`{kind}`은(는) 이미 일시 중지되어 있습니다."),
                en,
            ),
            OperateError::NotPaused(kind) => Problem::new(
                CONFLICT,
                "kind-not-paused",
                format!("`{kind}`은(는) 일시 중지되어 있지 않습니다."),
                en,
            ),
            OperateError::Store(error) => error.into(),
        }
    }
}

impl From<BulkError> for Problem {
    fn from(error: BulkError) -> Problem {
        let en = format!("{error}.");
        match error {
            BulkError::Changed(_) => Problem::new(
                CONFLICT,
                "dead-letters-changed",
                "확인하신 뒤에 대상이 바뀌어 아무것도 하지 않았습니다. 아래의 새 미리 보기를 확인한 뒤 다시 눌러 주세요.",
                en,
            ),
            BulkError::Nothing(_) => Problem::new(
                CONFLICT,
                "dead-letters-changed",
                "조건에 맞으면서 다시 실행할 데드레터가 없습니다.",
                en,
            ),
            BulkError::OutOfRange(_) => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "sum-out-of-range",
                "대상의 금액 합계가 다룰 수 있는 범위를 벗어납니다. 조건을 좁혀 주세요.",
                en,
            ),
            BulkError::BrokeOff { done, all, why } => {
                let mut problem = Problem::from(why);
                problem.en = en;
                problem.ko = format!(
                    "{all}건 중 {done}건만 다시 실행하고 멈췄습니다. 나머지는 다시 시도해 주세요."
                );
                problem
            }
            BulkError::Store(error) => error.into(),
        }
    }
}
