//! By hand: one payout paid or failed, and calling off what waits.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::super::parts;
use super::{
    super::{
        layout::{Fields, Look, field, layout, see_other},
        words,
    },
    account,
    batch::{self, title},
    batch_path, payout_badge, self_page, wrong_part,
};
use crate::{
    domain::money::{OutOfRange, Won},
    flow::pay_out::{self, PayoutError, Word},
    store::payouts::{self, PayoutRow, PayoutState},
    web::{
        Web,
        api::payouts::{Part, number},
        auth::Actor,
        error::Problem,
        extract::F,
    },
};

fn page(look: &Look, found: &Found, reason: &str, wrong: Option<&str>) -> Markup {
    let (row, of) = found;
    let lang = look.lang;
    let path = batch_path(row.batch);
    let amount = words::won(row.amount);
    let body = html! {
        (parts::crumb(&path, &title(row.batch, lang)))
        section.sheet.narrow {
            h1 { (lang.t("지급 결과 표시", "Mark a payout")) }
            p { strong { (row.partner_name) } " " (payout_badge(row.state, lang)) }
            p.soft.small { code { (row.reference()) } " · " (account(&row.bank, &row.account, lang)) " · " (words::masked_name(&row.holder)) }
            (wrong_part(wrong))
            @if row.state == PayoutState::Waiting {
                p { (lang.t(
                    "은행에서 이체 결과를 확인한 뒤 표시하세요. 지급 완료는 되돌릴 수 없습니다.",
                    "Look it up at the bank first. Paid cannot be undone.",
                )) }
                form.stack method="post" action={ (path) "/payouts/" (row.id) } data-once {
                    input type="hidden" name="word" value="paid";
                    p.big { (lang.t(format!("{amount}이 이체되었습니다."), format!("{amount} has been transferred."))) }
                    button.primary.wide #paid { (lang.t("지급 완료로 표시", "Mark as paid")) }
                }
                form.stack method="post" action={ (path) "/payouts/" (row.id) } data-once {
                    input type="hidden" name="word" value="failed";
                    p.big { (lang.t(format!("{amount}이 이체되지 않았습니다."), format!("{amount} was not transferred."))) }
                    label.field {
                        span { (lang.t("실패 사유", "Why it failed")) }
                        input name="reason" required maxlength="200" autocomplete="off" value=(reason);
                    }
                    button.danger.wide #failed { (lang.t("지급 실패로 표시", "Mark as failed")) }
                }
            } @else {
                p { (lang.t("이미 결과가 정해진 지급입니다.", "This payout is decided already.")) }
                @if let Some(reason) = &row.reason { p.bad-text { (words::masked_text(reason)) } }
                p.acts { a.button href=(path) { (title(row.batch, lang)) } }
            }
            h2 { (lang.t(format!("정산 {}건", of.len()), format!("{} settlements", of.len()))) }
            ul.lines {
                @for (id, day, amount) in of { li { a href={ "/admin/settlements/" (id) } { (day) } span.grow {} (amount) } }
            }
        }
    };
    layout(look, self_page(lang), body)
}

/// A payout and the settlements that it pays.
type Found = (PayoutRow, Vec<Part>);

fn find(web: &Web, id: &str, payout: &str) -> Result<Found, Problem> {
    let (id, payout) = (number(id)?, number(payout)?);
    web.ctx.store.read(|conn| {
        let row = payouts::get(conn, payout)?.filter(|row| row.batch == id);
        let row = row.ok_or(PayoutError::NoPayout(payout))?;
        Ok((row, payouts::settlements(conn, payout)?))
    })
}

/// `GET /admin/payouts/{id}/payouts/{payout}`
pub(super) async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path((id, payout)): Path<(String, String)>,
) -> Response {
    let found = find(&web, &id, &payout);
    look.answer(found.map(|found| page(&look, &found, "", None).into_response()))
}

/// `POST /admin/payouts/{id}/payouts/{payout}`: `word` is `paid` or `failed`, the latter with a reason.
pub(super) async fn decide(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path((id, payout)): Path<(String, String)>,
    F(form): F<Fields>,
) -> Response {
    let found = match find(&web, &id, &payout) {
        Ok(found) => found,
        Err(problem) => return look.problem(&problem),
    };
    let row = &found.0;
    let reason = field(&form, "reason").unwrap_or_default();
    let word = match field(&form, "word") {
        Some("paid") => Word::Paid,
        Some("failed") => Word::Failed(reason.to_owned()),
        _ => {
            return look.problem(&Problem::bad_request(
                "지급 완료인지 실패인지 알려 주세요.",
                "Say whether it was paid or failed.",
            ));
        }
    };
    match pay_out::decide(&web.ctx, row.batch, vec![(row.id, word)], actor.by).await {
        Ok(told) => {
            let did = if told.same > 0 { "same" } else { "decided" };
            see_other(&format!("{}?did={did}", batch_path(row.batch)), None)
        }
        Err(error) => {
            let problem = Problem::from(error);
            let found = find(&web, &id, &payout).unwrap_or(found);
            let wrong = Some(problem.sentence(look.lang));
            (problem.status, page(&look, &found, reason, wrong)).into_response()
        }
    }
}

/// `POST /admin/payouts/{id}/call-off`: asks first, and does it once `sure` is sent.
pub(super) async fn call_off(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let look = Look {
        here: format!("/admin/payouts/{id}"),
        ..look
    };
    look.answer(ask_or_call_off(&web, &look, &id, &form, actor.by).await)
}

async fn ask_or_call_off(
    web: &Web,
    look: &Look,
    id: &str,
    form: &Fields,
    by: &'static str,
) -> Result<Response, Problem> {
    let id = number(id)?;
    let reason = field(form, "reason").unwrap_or_default();
    let refuse = |error: PayoutError| {
        let problem = Problem::from(error);
        match problem.status {
            StatusCode::NOT_FOUND => Err(problem),
            _ => batch::answer(web, look, id, None, Some(&problem), &[], None),
        }
    };
    if reason.is_empty() || reason.chars().count() > 200 {
        return refuse(PayoutError::Reason);
    }
    if field(form, "sure").is_some() {
        return match pay_out::call_off(&web.ctx, id, reason.to_owned(), true, by).await {
            Ok(_) => Ok(see_other(
                &format!("{}?did=called-off", batch_path(id)),
                None,
            )),
            Err(error) => refuse(error),
        };
    }
    let rows = web.ctx.store.read(|conn| {
        payouts::batch(conn, id)?.ok_or(PayoutError::NoBatch(id))?;
        Ok::<_, PayoutError>(payouts::of_batch(conn, id)?)
    })?;
    let waits = || rows.iter().filter(|row| row.state == PayoutState::Waiting);
    let sum = Won::sum(waits().map(|row| row.amount))
        .map_err(|OutOfRange| PayoutError::OutOfRange(format!("batch {id}")))?;
    let (count, sum) = (waits().count(), words::won(sum));
    let (lang, path) = (look.lang, batch_path(id));
    let body = html! {
        (parts::crumb(&path, &title(id, lang)))
        section.sheet.narrow {
            h1 { (lang.t("지급을 취소할까요?", "Call it off?")) }
            p.big { (lang.t(
                format!("대기 중인 지급 {count}건, {sum}을 취소합니다."),
                format!("This calls off {count} payouts that wait, {sum} in all."),
            )) }
            p { (lang.t(
                "은행에 이미 올린 파일은 여기서 취소되지 않습니다. 은행에서 먼저 취소했는지 확인하세요.",
                "A file that the bank has got is not called off by this: make sure that the bank will not carry it out.",
            )) }
            p { (lang.t("이유: ", "Reason: ")) (reason) }
            form.acts method="post" action={ (path) "/call-off" } data-once {
                input type="hidden" name="sure" value="1";
                input type="hidden" name="reason" value=(reason);
                a.button href=(path) { (lang.t("그만두기", "Leave it")) }
                button.danger.solid #do-it { (lang.t("지급 취소하기", "Call off")) }
            }
        }
    };
    Ok(layout(look, self_page(lang), body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::lang::Lang;

    #[test]
    fn only_a_payout_that_waits_can_be_marked() {
        for lang in [Lang::Ko, Lang::En] {
            let look = super::super::tests::look(lang);
            let part = (41, "2026-08-05".parse().unwrap(), Won::new(1_234_567));
            let of = |state| (super::super::batch::tests::payout(7, state), vec![part]);
            let text = page(&look, &of(PayoutState::Waiting), "<x>", Some("<y>")).into_string();
            assert!(text.contains("/admin/settlements/41"));
            assert!(text.contains("id=\"paid\"") && text.contains("id=\"failed\""));
            assert!(!text.contains("<x>") && !text.contains("<y>") && !text.contains("<b>농장"));
            let text = page(&look, &of(PayoutState::Failed), "", None).into_string();
            assert!(!text.contains("id=\"paid\"") && text.contains("&lt;i&gt;불일치"));
        }
    }
}
