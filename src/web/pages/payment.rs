//! `/payment/{imp_uid}`: one payment, with all that happened to it and what can be done about it.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::parts;
use super::{
    cancel,
    layout::{Fields, Look, Page, Part, field, layout, nothing, payment_path, see_other, segment},
    reveal::{self, Shown},
    settlements,
    timeline::timeline,
    words::{self, won},
};
use crate::{
    domain::{
        account::Right,
        cancellation::Fate,
        ids::ImpUid,
        job::JobState,
        order::Order,
        payment::{Hold, Status},
    },
    flow::release_hold::release_hold,
    store::{
        cancellations::{AttemptRow, CancellationRow},
        jobs,
        movements::{self, PaymentLine},
        payments::PaymentRow,
    },
    web::{
        Web,
        api::{Story, story},
        auth::Actor,
        error::Problem,
        extract::{F, Q},
        lang::Lang,
    },
};

pub struct View<'a> {
    pub story: &'a Story,
    /// The dead letter of its cancel, if there is one.
    pub dead_letter: Option<i64>,
    /// What was just done: a cancellation's id, or `released`.
    pub did: Option<&'a str>,
    /// The cancel form's key.
    pub key: &'a str,
    /// To whose settlement each movement belongs.
    pub settled: &'a [PaymentLine],
    /// How much of the buyer is shown.
    pub shown: Shown,
}

pub fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let payment = &view.story.payment;
    let events = format!("/api/payment/{}/events", segment(&payment.imp_uid));
    let title = match payment.about.name.trim() {
        "" => payment.imp_uid.as_str(),
        name => name,
    };
    let body = html! {
        (parts::crumb("/payment/mypage", lang.t("결제 내역", "Payments")))
        div hx-ext="sse" sse-connect=(events) sse-swap="payment,resync" hx-swap="none" #feed {
            (live(lang, view))
        }
        p.live.foot #live-state data-on=(lang.t("실시간", "Live")) data-off=(lang.t("연결이 끊겨 다시 연결하는 중", "Connection lost, trying again")) hidden {}
    };
    let page = Page {
        title,
        part: Part::Payments,
        live: true,
        ..Page::default()
    };
    layout(look, page, body)
}

/// The part that changes. What a person is typing into is kept (`hx-preserve`).
pub fn live(lang: Lang, view: &View<'_>) -> Markup {
    let payment = &view.story.payment;
    let path = payment_path(&payment.imp_uid);
    let did = view
        .did
        .map(|did| format!("?did={}", segment(did)))
        .unwrap_or_default();
    html! {
        div #live hx-get={ (path) "/live" (did) } hx-trigger="changed delay:100ms" hx-target="this" hx-swap="outerHTML" data-now=(payment.status.as_str()) {
            (outcome(view, lang))
            div.head {
                h1 { @if payment.about.name.trim().is_empty() { (payment.imp_uid) } @else { (payment.about.name) } }
                p.states {
                    (words::badge(payment.status, lang))
                    @if payment.hold.is_some() { " " (words::held_badge(lang)) }
                    @if payment.test { " " (words::tag("plain", "·", lang.t("테스트", "Test"), "TEST")) }
                }
                @if cancel::possible(payment) { a.button.to-cancel href="#cancel" { (lang.t("취소", "Cancel")) } }
            }
            (held(payment, lang))
            (dead_letter(view, lang))
            div.two {
                div.stack {
                    (amounts(view, lang))
                    (cancellations(&view.story.cancellations, lang))
                    (settlements::of_payment(view.settled, lang))
                    section.sheet aria-labelledby="history" {
                        h2 #history { (lang.t("진행 기록", "What happened")) " " span.by { (lang.t("한국 시간", "Korean time")) } }
                        (timeline(view.story, lang))
                    }
                }
                div.stack {
                    @if cancel::possible(payment) {
                        section.sheet aria-labelledby="cancel" id={ "cancel-" (payment.balance.get()) } hx-preserve="true" {
                            h2 #cancel { (lang.t("결제 취소", "Cancel")) }
                            (cancel::form_part(payment, view.story.order.as_ref(), &Fields::new(), view.key, lang))
                        }
                    }
                    (order(view.story.order.as_ref(), payment, lang))
                    (buyer(view, lang))
                }
            }
        }
    }
}

/// How what was just asked for went. It changes along with the payment.
fn outcome(view: &View<'_>, lang: Lang) -> Markup {
    let Some(did) = view.did else {
        return nothing();
    };
    if did == "released" {
        return notice(
            "good",
            lang.t("보류를 풀었습니다.", "The hold is released.")
                .to_owned(),
        );
    }
    let asked = view
        .story
        .cancellations
        .iter()
        .find(|(row, _)| row.id == did);
    let Some((row, _)) = asked else {
        return nothing();
    };
    let amount = won(row.amount);
    let error = words::told(row.error.as_deref().unwrap_or_default(), lang);
    match row.state {
        Fate::Done => notice(
            "good",
            lang.t(
                format!("{amount} 취소가 완료되었습니다. 포트원 장부에서 확인했습니다."),
                format!("{amount} went back: it is in PortOne's books."),
            ),
        ),
        Fate::Requested => notice(
            "wait",
            lang.t(
                format!("{amount} 취소를 처리하고 있습니다. 결과는 이 화면에 저절로 나타납니다."),
                format!("{amount} is on its way back. This page shows how it goes."),
            ),
        ),
        Fate::Dead => notice(
            "bad",
            lang.t(
                format!("{amount} 취소가 되지 않아 데드레터로 옮겨졌습니다 ({error})."),
                format!("{amount} did not go back; it is a dead letter ({error})."),
            ),
        ),
        Fate::Discarded => notice(
            "wait",
            lang.t(
                format!("{amount} 취소는 폐기되었습니다. 돈은 돌려주지 않았습니다."),
                format!("The cancel of {amount} was given up: nothing went back for it."),
            ),
        ),
        Fate::Superseded => notice(
            "wait",
            lang.t(
                format!("{amount} 취소는 필요 없어졌습니다. 이미 다른 곳에서 전액 취소되었습니다."),
                format!(
                    "The cancel of {amount} is no longer needed: all of it went back elsewhere."
                ),
            ),
        ),
    }
}

fn notice(tone: &str, text: String) -> Markup {
    html! { p #outcome class={ "message " (tone) } role="status" { (text) } }
}

fn held(payment: &PaymentRow, lang: Lang) -> Markup {
    let Some(hold) = &payment.hold else {
        return nothing();
    };
    let (why, advice) = words::hold(hold, lang);
    let releasable = matches!(
        hold,
        Hold::UnknownOrder | Hold::TestPayment | Hold::LivePayment
    );
    html! {
        section.sheet.tone-bad id={ "held-" (hold.code()) } aria-labelledby="held-title" hx-preserve="true" {
            h2 #held-title { "‖ " (lang.t("보류: 확인이 필요합니다", "Held: please look into it")) }
            p { strong { (why) } }
            p { (advice) " " (lang.t("보류된 결제는 정산에 들어가지 않습니다.", "No settlement counts it while it is held.")) }
            @if let Hold::AlreadyPaid { by } = hold {
                p { a href=(payment_path(by.as_str())) { (lang.t("먼저 결제된 건 보기", "See the payment that came first")) } }
            }
            @if releasable {
                form.inline method="post" action={ (payment_path(&payment.imp_uid)) "/release" } data-once {
                    label.field.grow {
                        span { (lang.t("보류를 푸는 이유", "Why it is right")) }
                        input name="note" required maxlength="500" autocomplete="off";
                    }
                    button { (lang.t("보류 풀기", "Release")) }
                }
            }
        }
    }
}

fn dead_letter(view: &View<'_>, lang: Lang) -> Markup {
    if view.story.payment.status != Status::CancelFailed {
        return nothing();
    }
    html! {
        section.sheet.tone-bad {
            h2 { "! " (lang.t("취소가 멈춰 있습니다", "A cancel is stuck")) }
            p { (lang.t(
                "자동 재시도가 끝났고, 사람이 재처리하거나 폐기할 때까지 아무 일도 일어나지 않습니다.",
                "All retries are used up. Nothing happens until somebody replays it or gives it up.",
            )) }
            @if let Some(id) = view.dead_letter {
                p.acts { a.button.primary href=(format!("/admin/dead-letters/{id}")) { (lang.t("데드레터 처리하기", "Deal with it")) } }
            }
        }
    }
}

fn amounts(view: &View<'_>, lang: Lang) -> Markup {
    let payment = &view.story.payment;
    html! {
        section.sheet aria-labelledby="amounts" {
            h2.hidden #amounts { (lang.t("금액", "Amounts")) }
            dl.figures {
                div { dt { (lang.t("결제 금액", "Charged")) } dd { (payment.amount) } }
                div { dt { (lang.t("취소 금액", "Cancelled")) } dd.back { (payment.cancelled_amount) } }
                div { dt { (lang.t("남은 금액", "Left")) } dd { strong { (payment.balance) } } }
            }
            dl.facts {
                dt { (lang.t("결제번호", "Payment")) } dd { code { (payment.imp_uid) } }
                dt { (lang.t("주문번호", "Order")) } dd { code { (payment.merchant_uid) } }
                @if let Some(at) = payment.paid_at { dt { (lang.t("결제 시각", "Paid at")) } dd { (words::time(at)) } }
                @if let Some(why) = &payment.fail_reason { dt { (lang.t("실패 사유", "Why it failed")) } dd { (words::masked_text(why)) } }
                @if !payment.about.virtual_account.is_empty() {
                    dt { (lang.t("입금 계좌", "Account")) } dd { (view.shown.text(&payment.about.virtual_account, words::masked_virtual)) }
                }
            }
        }
    }
}

fn order(order: Option<&Order>, payment: &PaymentRow, lang: Lang) -> Markup {
    html! {
        section.sheet aria-labelledby="order" {
            h2 #order { (lang.t("주문 내용", "Order")) }
            @if let Some(order) = order {
                ul.lines {
                    @for line in &order.lines {
                        li {
                            span.grow {
                                (line.name) @if line.quantity > 1 { " × " (line.quantity) }
                                br;
                                span.soft.small { (lang.t("파트너사 ", "Partner ")) (line.partner) }
                            }
                            span { @match line.amount() { Ok(amount) => (amount), Err(_) => "–" } }
                        }
                    }
                    li.sum { span.grow { (lang.t("주문 금액", "Ordered")) } strong { (order.amount) } }
                }
            } @else {
                p.soft { (lang.t(
                    "등록되지 않은 주문입니다. 기본 파트너사의 몫으로 기록됩니다.",
                    "Nobody registered this order. It is owed to the default partner.",
                )) }
                p { (payment.about.name) }
            }
        }
    }
}

fn buyer(view: &View<'_>, lang: Lang) -> Markup {
    let payment = &view.story.payment;
    let (about, shown) = (&payment.about, view.shown);
    let reveal_at = format!("{}/reveal", payment_path(&payment.imp_uid));
    let row = |name: &str, value: String| {
        html! { @if !value.is_empty() { dt { (name) } dd { (value) } } }
    };
    html! {
        section.sheet aria-labelledby="buyer" {
            h2 #buyer { (lang.t("구매자와 결제수단", "Buyer and method")) }
            dl.facts {
                (row(lang.t("이름", "Name"), shown.text(&about.buyer_name, words::masked_name)))
                (row(lang.t("휴대폰", "Phone"), shown.text(&about.buyer_tel, words::masked_phone)))
                (row(lang.t("이메일", "E-mail"), shown.text(&about.buyer_email, words::masked_mail)))
                (row(lang.t("결제수단", "Method"), words::method(&about.method, lang).to_owned()))
                (row(lang.t("카드", "Card"), about.card_name.clone()))
                (row(lang.t("승인번호", "Approval"), about.apply_num.clone()))
                (row("PG", about.pg_provider.clone()))
            }
            @if let Some(url) = web_link(&about.receipt_url) {
                p { a href=(url) rel="noopener noreferrer" target="_blank" { (lang.t("매출전표", "Receipt")) " ↗" } }
            }
            @if is_forgotten(view.story) {
                p.soft { (lang.t(
                    "보관 기간이 지나 구매자의 이름과 연락처를 지웠습니다. 금액과 처리 기록은 그대로입니다.",
                    "The buyer's name and numbers were removed, as their time was over. Amounts and what happened stay.",
                )) }
            } @else {
                (reveal::form_part(&reveal_at, shown, lang))
            }
        }
    }
}

/// Whether the buyer was forgotten, and nothing is known of them again since.
fn is_forgotten(story: &Story) -> bool {
    let about = &story.payment.about;
    let known = [
        &about.buyer_name,
        &about.buyer_tel,
        &about.buyer_email,
        &about.virtual_account,
    ]
    .iter()
    .any(|text| !text.is_empty());
    !known && story.events.iter().any(|e| e.kind == "buyer_forgotten")
}

/// A link from outside: to the web or nowhere.
pub(super) fn web_link(url: &str) -> Option<&str> {
    (url.starts_with("https://") || url.starts_with("http://")).then_some(url)
}

fn cancellations(all: &[(CancellationRow, Vec<AttemptRow>)], lang: Lang) -> Markup {
    if all.is_empty() {
        return nothing();
    }
    html! {
        section.sheet aria-labelledby="cancels" {
            h2 #cancels { (lang.t("취소", "Cancellations")) }
            @for (row, attempts) in all.iter().rev() {
                article.cancel {
                    div.line {
                        strong.back { "-" (won(row.amount)) }
                        (words::fate(row.state, lang))
                        span.grow {}
                        (words::time(row.requested_at))
                    }
                    // Of a buyer who was forgotten there is no reason any more.
                    p { (words::masked_text(&row.reason)) " " span.soft[row.reason.is_empty()].small[row.reason.is_empty()].by[!row.reason.is_empty()] { (words::actor(&row.requested_by, lang)) } }
                    @if let (Some(error), false) = (&row.error, row.state == Fate::Done) { p.bad-text { (words::told(error, lang)) } }
                    @if let Some(note) = &row.note { p { (lang.t("메모: ", "Note: ")) (words::masked_text(note)) } }
                    p.soft.small {
                        code { (row.id) }
                        @if let Some(url) = web_link(&row.receipt_url) {
                            " · " a href=(url) rel="noopener noreferrer" target="_blank" { (lang.t("취소 전표", "Receipt")) " ↗" }
                        }
                    }
                    (attempt_list(attempts, lang))
                }
            }
        }
    }
}

/// Every call for one cancellation: when, what was asked, what came back.
pub fn attempt_list(attempts: &[AttemptRow], lang: Lang) -> Markup {
    html! {
        @if !attempts.is_empty() {
            ol.attempts {
                @for attempt in attempts {
                    li {
                        div.line {
                            strong { (words::step(&attempt.step, lang)) " #" (attempt.number) }
                            (words::outcome(&attempt.outcome, lang))
                            span.grow {}
                            (words::time(attempt.started_at))
                        }
                        p.small { span.soft { (lang.t("요청 ", "Asked ")) } (words::asked(&attempt.asked, lang)) }
                        p.small { span.soft { (lang.t("응답 ", "Answer ")) } (words::told(&attempt.answer, lang)) }
                    }
                }
            }
        }
    }
}

/// A payment's story, its dead letter, and its movements.
fn look_up(web: &Web, imp_uid: &str) -> Result<(Story, Option<i64>, Vec<PaymentLine>), Problem> {
    let story = story(web, imp_uid)?.ok_or_else(|| Problem::not_found(imp_uid))?;
    let dead = match (&story.payment.cancellation, story.payment.status) {
        (Some(id), Status::CancelFailed) => web
            .ctx
            .store
            .read(|conn| jobs::with_key(conn, &format!("cancel:{id}"), JobState::Dead))?,
        _ => None,
    };
    let settled = web
        .ctx
        .store
        .read(|conn| movements::of_payment(conn, story.payment.row))?;
    Ok((story, dead, settled))
}

/// `GET /payment/{imp_uid}`
pub async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(imp_uid): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    look.answer(
        look_up(&web, &imp_uid).map(|(story, dead_letter, settled)| {
            let key = cancel::new_key();
            let view = View {
                story: &story,
                dead_letter,
                did: field(&query, "did"),
                key: &key,
                settled: &settled,
                shown: Shown::to(&look),
            };
            page(&look, &view).into_response()
        }),
    )
}

/// `POST /payment/{imp_uid}/reveal`: the same page, with the buyer whole.
pub async fn reveal(
    State(web): State<Web>,
    look: Look,
    Path(imp_uid): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let result = async {
        let (story, dead_letter, settled) = look_up(&web, &imp_uid)?;
        let whom = ("payment", imp_uid.as_str());
        reveal::noted(&web.ctx, &look, Right::PaymentsRead, whom, &form).await?;
        let key = cancel::new_key();
        let view = View {
            story: &story,
            dead_letter,
            did: None,
            key: &key,
            settled: &settled,
            shown: Shown::Whole,
        };
        Ok::<_, Problem>(page(&look, &view).into_response())
    };
    look.answer(result.await)
}

/// `GET /payment/{imp_uid}/live`: the part that changes.
pub async fn changed(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(imp_uid): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    let lang = look.lang;
    match look_up(&web, &imp_uid) {
        Ok((story, dead_letter, settled)) => {
            let key = cancel::new_key();
            let view = View {
                story: &story,
                dead_letter,
                did: field(&query, "did"),
                key: &key,
                settled: &settled,
                shown: Shown::to(&look),
            };
            live(lang, &view).into_response()
        }
        Err(problem) => problem.lang(lang).into_response(),
    }
}

/// `POST /payment/{imp_uid}/release`
pub async fn release(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(imp_uid): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let note = field(&form, "note").unwrap_or_default().to_owned();
    let result = async {
        let id = ImpUid::new(imp_uid.as_str())?;
        release_hold(&web.ctx, id, note, actor.by).await?;
        let to = format!("{}?did=released", payment_path(&imp_uid));
        Ok::<_, Problem>(see_other(&to, None))
    };
    look.answer(result.await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::money::Won,
        web::pages::test_values::{order, payment},
    };

    fn story(status: Status) -> Story {
        Story {
            payment: payment(status),
            cancellations: Vec::new(),
            events: Vec::new(),
            messages: Vec::new(),
            alerts: Vec::new(),
            order: Some(order("배 <i>", 12_000)),
        }
    }

    fn cancellation(state: Fate) -> CancellationRow {
        CancellationRow {
            id: "c1".into(),
            state,
            amount: Won::new(3_000),
            checksum: Won::new(12_000),
            tax_free: None,
            reason: "<script>r</script>".into(),
            refund: None,
            requested_by: "page".into(),
            requested_at: "2026-08-06T01:00:00Z".parse().unwrap(),
            finished_at: None,
            receipt_url: "javascript:alert(1)".into(),
            error: Some("PG <b>거절</b>".into()),
            note: None,
            request_hash: None,
            imp_uid: "imp_<1>".into(),
        }
    }

    fn shown(lang: Lang, story: &Story, did: Option<&str>) -> String {
        let view = View {
            story,
            dead_letter: Some(7),
            did,
            key: "k",
            settled: &[],
            shown: Shown::Masked,
        };
        live(lang, &view).into_string()
    }

    #[test]
    fn every_state_shows_what_can_be_done() {
        for status in Status::ALL {
            for lang in [Lang::Ko, Lang::En] {
                let text = shown(lang, &story(status), None);
                let cancellable = matches!(status, Status::Paid | Status::PartialCanceled);
                assert_eq!(text.contains("cancel/confirm"), cancellable, "{status:?}");
                let stuck = status == Status::CancelFailed;
                assert_eq!(text.contains("/admin/dead-letters/7"), stuck, "{status:?}");
                assert!(!text.contains("홍길동") && !text.contains("<i>"));
            }
        }
    }

    #[test]
    fn what_was_asked_for_is_told_as_it_stands() {
        for (fate, tone) in [
            (Fate::Done, "message good"),
            (Fate::Requested, "message wait"),
            (Fate::Dead, "message bad"),
            (Fate::Discarded, "message wait"),
            (Fate::Superseded, "message wait"),
        ] {
            let mut story = story(Status::Paid);
            story.cancellations.push((cancellation(fate), Vec::new()));
            let text = shown(Lang::En, &story, Some("c1"));
            assert!(text.contains(tone), "{fate:?}");
            assert!(
                !text.contains("<script>")
                    && !text.contains("<b>")
                    && !text.contains("javascript:")
            );
            assert!(!shown(Lang::En, &story, Some("c2")).contains("id=\"outcome\""));
        }
    }

    #[test]
    fn a_hold_is_told_with_both_figures_and_released_only_where_it_may() {
        let mut story = story(Status::Paid);
        story.payment.hold = Some(Hold::AmountDiffers {
            ordered: Won::new(12_000),
            charged: Won::new(9_000),
        });
        let text = shown(Lang::Ko, &story, None);
        assert!(text.contains("₩12,000인데 ₩9,000이") && !text.contains("/release"));
        story.payment.hold = Some(Hold::UnknownOrder);
        assert!(shown(Lang::En, &story, None).contains("/release"));
    }
}
