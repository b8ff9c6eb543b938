//! What is wrong with partners and contracts, as an answer.

use axum::http::StatusCode;

use super::Problem;
use crate::{
    domain::partner::FieldError,
    flow::{
        agree_contract::ContractError, import_partners::ImportError, save_partner::PartnerError,
    },
    sheet::CellError,
};

/// Errors of one answer that are spelled out in its sentence; all of them are in `errors`.
const SPELLED: usize = 3;

/// Sentences in one, the first few of them.
fn joined(sentences: impl Iterator<Item = String>, more: impl Fn(usize) -> String) -> String {
    let all: Vec<String> = sentences.collect();
    let mut shown = all
        .iter()
        .take(SPELLED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" / ");
    if all.len() > SPELLED {
        shown += &more(all.len() - SPELLED);
    }
    shown
}

fn more_ko(count: usize) -> String {
    format!(" 외 {count}건")
}

fn more_en(count: usize) -> String {
    format!(" and {count} more")
}

/// Fields of a form or of JSON that are wrong, each with what was expected.
fn fields(kind: &'static str, errors: &[FieldError]) -> Problem {
    let ko = errors.iter().map(|e| format!("{}: {}", e.field, e.ko));
    let en = errors.iter().map(ToString::to_string);
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        kind,
        format!("{}.", joined(ko, more_ko)),
        format!("{}.", joined(en, more_en)),
    )
    .with("errors", errors)
}

impl Problem {
    /// A partner with fields that are wrong.
    pub fn wrong_partner(errors: &[FieldError]) -> Problem {
        fields("invalid-partner", errors)
    }

    /// Terms with fields that are wrong.
    pub fn wrong_contract(errors: &[FieldError]) -> Problem {
        fields("invalid-contract", errors)
    }

    /// A file with rows that are wrong.
    pub fn wrong_import(errors: &[CellError], written: usize) -> Problem {
        let sentence = |korean: bool| errors.iter().map(move |error| error.sentence(korean));
        let problem = Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-import",
            joined(sentence(true), more_ko),
            joined(sentence(false), more_en),
        )
        .with("errors", errors);
        match written {
            0 => problem,
            _ => problem.with("written", written),
        }
    }
}

impl From<PartnerError> for Problem {
    fn from(error: PartnerError) -> Problem {
        let en = format!("{error}.");
        match error {
            PartnerError::NotFound(id) => Problem::not_found(id.as_str()),
            PartnerError::Exists(id) => Problem::new(
                StatusCode::CONFLICT,
                "partner-exists",
                format!(
                    "파트너 `{id}`이(가) 이미 있습니다. 그 파트너를 고치거나 다른 아이디를 쓰세요."
                ),
                en,
            ),
            PartnerError::Open { id, open, carry } => Problem::new(
                StatusCode::CONFLICT,
                "partner-open",
                format!(
                    "파트너 `{id}`은(는) 보관할 수 없습니다. 지급할 금액 {open}원, 이월 금액 {carry}원이 남아 있습니다. 먼저 정산을 끝내세요."
                ),
                en,
            )
            .with("open", open)
            .with("carry", carry),
            PartnerError::Waiting { id, day } => Problem::new(
                StatusCode::CONFLICT,
                "partner-open",
                format!(
                    "파트너 `{id}`은(는) 보관할 수 없습니다. {day}의 매출이 아직 정산되지 않았습니다."
                ),
                en,
            )
            .with("unsettled", day),
            PartnerError::Store(error) => error.into(),
        }
    }
}

impl From<ContractError> for Problem {
    fn from(error: ContractError) -> Problem {
        let (ko, en) = (error.ko(), format!("{error}."));
        let conflict = |kind| Problem::new(StatusCode::CONFLICT, kind, ko, en);
        match error {
            ContractError::NoPartner(id) => Problem::not_found(id.as_str()),
            ContractError::NoVersion(id) => Problem::not_found(&id.to_string()),
            ContractError::Archived(_) => conflict("partner-archived"),
            ContractError::Settled { next, .. } => conflict("contract-settled").with("next", next),
            ContractError::Begun(day) => conflict("contract-begun").with("from", day),
            ContractError::Scheduled(day) => conflict("contract-scheduled").with("scheduled", day),
            ContractError::Store(error) => error.into(),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Problem {
        match error {
            ImportError::Wrong { errors, written } => Problem::wrong_import(&errors, written),
            ImportError::Changed(_) => Problem::new(
                StatusCode::CONFLICT,
                "import-changed",
                "파일을 확인한 뒤에 장부가 바뀌었습니다. 다시 확인해 주세요.",
                "The books have changed since the file was looked at: look again.",
            ),
            ImportError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sheet::Said, web::lang::Lang};

    #[test]
    fn a_long_list_of_errors_is_shortened_in_its_sentence_only() {
        let error = |line| CellError::row(line, Said::new("비어 있습니다.", "it is empty"));
        let errors: Vec<CellError> = (2..12).map(error).collect();
        let problem = Problem::wrong_import(&errors, 0);
        assert_eq!(
            problem.sentence(Lang::En),
            "row 2: it is empty / row 3: it is empty / row 4: it is empty and 7 more"
        );
        assert!(problem.sentence(Lang::Ko).ends_with("외 7건"));
        assert_eq!(problem.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}
