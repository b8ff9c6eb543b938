//! Showing whole what every page masks: to who may, for a reason, and never without a trace.
//!
//! A reveal is a form and its answer, not an address: it cannot be linked, listed or kept by a browser,
//! and loading the page again masks it again.

use axum::http::StatusCode;
use maud::{Markup, html};

use super::layout::{Fields, Look, field};
use crate::{
    domain::account::Right,
    flow::{Ctx, reveal::reveal},
    web::{error::Problem, lang::Lang},
};

/// Letters of a reason, at least.
const LEAST: usize = 5;
const MOST: usize = 500;

/// How much of a person a page shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    #[default]
    Masked,
    /// Masked, with the form that shows it whole.
    Offered,
    Whole,
}

impl Shown {
    /// Of a page as it is loaded.
    pub fn to(look: &Look) -> Shown {
        match look.may(Right::PersonalRead) {
            true => Self::Offered,
            false => Self::Masked,
        }
    }

    /// The text, masked unless it is shown whole.
    pub fn text(self, text: &str, mask: impl Fn(&str) -> String) -> String {
        match self {
            Self::Masked | Self::Offered => mask(text),
            Self::Whole => text.to_owned(),
        }
    }
}

/// Asks for the reason; or says that all is shown now.
pub fn form_part(action: &str, shown: Shown, lang: Lang) -> Markup {
    html! {
        @if shown == Shown::Whole {
            p.message.wait role="status" { (lang.t(
                "개인정보가 모두 보입니다. 열람 사유가 감사 로그에 남았습니다. 페이지를 새로 열면 다시 가려집니다.",
                "Personal data is shown whole, and the audit log has your reason. Open the page again to mask it.",
            )) }
        } @else if shown == Shown::Offered {
            details.reveal {
                summary { (lang.t("가려진 개인정보 보기…", "Show what is masked…")) }
                form.stack method="post" action=(action) {
                    label.field {
                        span { (lang.t("보려는 이유 (5자 이상, 감사 로그에 남습니다)", "Why you need it (5 letters or more; the audit log keeps it)")) }
                        input name="reason" required minlength=(LEAST) maxlength=(MOST) autocomplete="off";
                    }
                    button { (lang.t("보기", "Show")) }
                }
            }
        }
    }
}

/// Takes a form's reason down. Only then may the page be made: `sees` says whether whoever asks may see
/// the page itself.
pub async fn noted(
    ctx: &Ctx,
    look: &Look,
    sees: Right,
    (of, id): (&'static str, &str),
    form: &Fields,
) -> Result<(), Problem> {
    if !look.may(sees) {
        return Err(Problem::forbidden(sees.as_str()));
    }
    reveal(ctx, of, id, reason(form)?).await?;
    Ok(())
}

/// The reason that a form gives.
fn reason(form: &Fields) -> Result<String, Problem> {
    let reason = field(form, "reason").unwrap_or_default();
    let letters = reason.chars().count();
    if !(LEAST..=MOST).contains(&letters) || reason.chars().any(char::is_control) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "reveal-reason",
            format!("개인정보를 보려는 이유를 {LEAST}~{MOST}자로 적어 주세요."),
            format!("Say in {LEAST} to {MOST} letters why you need to see personal data."),
        ));
    }
    Ok(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_given_in_words() {
        let of = |text: &str| reason(&Fields::from([("reason".to_owned(), text.to_owned())]));
        assert_eq!(of(" 고객 문의 확인 ").unwrap(), "고객 문의 확인");
        for text in [
            "",
            "    ",
            "문의",
            "1234",
            "가나다라\n마바",
            &"가".repeat(501),
        ] {
            assert_eq!(of(text).unwrap_err().kind, "reveal-reason", "{text:?}");
        }
        assert!(reason(&Fields::new()).is_err());
    }

    #[test]
    fn what_is_shown_whole_is_not_asked_for_again() {
        for lang in [Lang::Ko, Lang::En] {
            let masked = form_part("/x/reveal", Shown::Offered, lang).into_string();
            assert!(masked.contains("action=\"/x/reveal\"") && masked.contains("method=\"post\""));
            let whole = form_part("/x/reveal", Shown::Whole, lang).into_string();
            assert!(
                form_part("/x", Shown::Masked, lang)
                    .into_string()
                    .is_empty()
            );
            assert!(!whole.contains("<form") && whole.contains("role=\"status\""));
        }
    }
}
