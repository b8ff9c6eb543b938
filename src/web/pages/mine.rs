//! What a buyer sees: their own payments, in plain words. How each stands, what went back when, and what
//! is under way. Nothing of the shop's inside: no partners, no reasons, no attempts.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    layout::{Fields, Look, Page, field, layout, nothing, payment_path, see_other, segment},
    parts, pay, payment, result, words,
};
use crate::{
    domain::{cancellation::Fate, ids::MerchantUid, order::Order, payment::Status},
    flow::buyer_links::Buyer,
    store::{
        StoreError,
        buyers::{self, Whose},
        cancellations::{self, CancellationRow},
        orders,
        payment_lists::Cursor,
        payments::PaymentRow,
    },
    web::{Web, auth::Cookie, error::Problem, lang::Lang},
};

fn path(imp_uid: &str) -> String {
    format!("/payment/mine/{}", segment(imp_uid))
}

/// How a payment stands, for whoever paid.
fn stands(payment: &PaymentRow, lang: Lang) -> Markup {
    let paid = !matches!(payment.status, Status::Ready | Status::Failed);
    let (tone, sign, text) = match payment.status {
        Status::Canceled => ("back", "↩", lang.t("전액 환불됨", "All of it given back")),
        _ if paid && payment.hold.is_some() => (
            "wait",
            "‖",
            lang.t("가게에서 확인 중", "The shop is checking"),
        ),
        Status::Paid => ("good", "✓", lang.t("결제 완료", "Paid")),
        Status::Ready if !payment.about.virtual_account.is_empty() => {
            ("wait", "◷", lang.t("입금 대기", "Waiting for your deposit"))
        }
        Status::Ready => ("wait", "◷", lang.t("결제 전", "Not paid yet")),
        Status::Failed => ("bad", "✕", lang.t("결제되지 않음", "Not charged")),
        Status::CancelRequested => ("wait", "↻", lang.t("환불 진행 중", "On its way back")),
        Status::PartialCanceled => ("back", "◐", lang.t("일부 환불됨", "Part of it given back")),
        Status::CancelFailed => (
            "wait",
            "‖",
            lang.t(
                "가게에서 환불 처리 중",
                "The shop is dealing with the refund",
            ),
        ),
    };
    html! { span class={ "badge " (tone) } { span.sign aria-hidden="true" { (sign) } (text) } }
}

fn name(payment: &PaymentRow) -> &str {
    match payment.about.name.trim() {
        "" => &payment.merchant_uid,
        name => name,
    }
}

pub struct ListView<'a> {
    pub payments: &'a [PaymentRow],
    /// Where the next page begins.
    pub next: Option<String>,
    pub first: bool,
    pub until: jiff::Timestamp,
}

pub fn list_page(look: &Look, view: &ListView<'_>) -> Markup {
    let lang = look.lang;
    let title = lang.t("내 결제", "Your payments");
    let body = html! {
        div.head { h1 { (title) } }
        @if view.payments.is_empty() {
            section.sheet.centre.empty {
                p { (lang.t("아직 결제가 없습니다.", "There are no payments yet.")) }
                p.soft.small { (lang.t(
                    "방금 결제하셨다면 잠시 뒤에 새로 고쳐 주세요.",
                    "If you paid just now, reload in a moment.",
                )) }
            }
        } @else {
            table.rows {
                thead { tr {
                    th scope="col" { (lang.t("일시", "Time")) " (KST)" }
                    th scope="col" { (lang.t("주문", "Order")) }
                    th scope="col" { (lang.t("상태", "How it stands")) }
                    th.num scope="col" { (lang.t("결제 금액", "Paid")) }
                    th.num scope="col" { (lang.t("환불", "Given back")) }
                } }
                tbody { @for payment in view.payments { (row(payment, lang)) } }
            }
            @let next = view.next.as_ref().map(|next| format!("/payment/mypage?after={next}"));
            (parts::pager(lang, (!view.first).then_some("/payment/mypage"), next.as_deref()))
        }
        p.soft.small {
            (lang.t("이 화면은 ", "This page opens until ")) (words::short_time(view.until))
            (lang.t("까지 열립니다. 그 뒤에는 가게에 새 링크를 요청해 주세요.", "; after that, ask the shop for a new link."))
        }
    };
    let page = Page {
        title,
        ..Page::default()
    };
    layout(look, page, body)
}

fn row(payment: &PaymentRow, lang: Lang) -> Markup {
    html! {
        tr {
            td.when data-label=(lang.t("일시", "Time")) { (words::short_time(payment.at)) }
            td.what {
                a.main href=(path(&payment.imp_uid)) { (name(payment)) }
                div.soft.small { code { (payment.merchant_uid) } }
            }
            td.state { (stands(payment, lang)) }
            td.num data-label=(lang.t("결제 금액", "Paid")) { strong { (payment.amount) } }
            (parts::money_cell(lang.t("환불", "Given back"), payment.cancelled_amount))
        }
    }
}

pub struct OneView<'a> {
    pub payment: &'a PaymentRow,
    pub order: Option<&'a Order>,
    pub cancellations: &'a [CancellationRow],
}

pub fn one_page(look: &Look, view: &OneView<'_>) -> Markup {
    let (lang, payment) = (look.lang, view.payment);
    let moves = matches!(payment.status, Status::Ready | Status::CancelRequested);
    let body = html! {
        (parts::crumb("/payment/mypage", lang.t("내 결제", "Your payments")))
        h1 { (name(payment)) }
        div #mine
            hx-get=[moves.then(|| path(&payment.imp_uid))] hx-select=[moves.then_some("#mine")]
            hx-swap=[moves.then_some("outerHTML")] hx-trigger=[moves.then_some("every 5s")]
        {
            div.two {
                section.sheet.centre aria-live="polite" {
                    (result::known(payment, view.order.is_some(), lang))
                    @if let Some(url) = payment::web_link(&payment.about.receipt_url) {
                        p { a href=(url) rel="noopener noreferrer" target="_blank" { (lang.t("매출전표", "Receipt")) " ↗" } }
                    }
                }
                div.stack {
                    (given_back(view.cancellations, lang))
                    @if let Some(order) = view.order {
                        section.sheet aria-labelledby="lines" {
                            h2 #lines { (lang.t("주문 내용", "What you ordered")) }
                            (pay::lines(order, lang))
                        }
                    }
                }
            }
        }
    };
    let page = Page {
        title: name(payment),
        live: moves,
        reload: moves.then_some(10),
        ..Page::default()
    };
    layout(look, page, body)
}

/// What went back, and what is on its way: as the books have it, and no better.
fn given_back(all: &[CancellationRow], lang: Lang) -> Markup {
    let told: Vec<&CancellationRow> = all
        .iter()
        .filter(|row| row.state != Fate::Superseded)
        .collect();
    if told.is_empty() {
        return nothing();
    }
    html! {
        section.sheet aria-labelledby="back" {
            h2 #back { (lang.t("환불", "Given back")) }
            ul.lines {
                @for row in told.iter().rev() {
                    li {
                        span.grow {
                            (fate(row.state, lang))
                            br;
                            span.soft.small { (words::short_time(row.finished_at.unwrap_or(row.requested_at))) " (KST)" }
                            @if let Some(url) = payment::web_link(&row.receipt_url) {
                                " · " a.small href=(url) rel="noopener noreferrer" target="_blank" { (lang.t("취소 전표", "Receipt")) " ↗" }
                            }
                        }
                        strong.back { (row.amount) }
                    }
                }
            }
            @if told.iter().any(|row| row.state == Fate::Done) {
                p.soft.small { (lang.t(
                    "카드 결제의 환불은 카드사에 따라 화면에 보이기까지 며칠이 걸릴 수 있습니다.",
                    "Depending on the card company it takes some days until you see a refund.",
                )) }
            }
        }
    }
}

fn fate(fate: Fate, lang: Lang) -> &'static str {
    match fate {
        Fate::Done => lang.t("돌려드렸습니다.", "It was given back."),
        Fate::Requested => lang.t(
            "결제사에 환불을 요청했고, 아직 끝나지 않았습니다.",
            "The refund was asked for and is not through yet.",
        ),
        Fate::Dead => lang.t(
            "아직 돌려드리지 못했습니다. 가게에서 처리하고 있습니다.",
            "It has not gone back yet. The shop is dealing with it.",
        ),
        // It may have been paid back by hand: that is not in the books.
        Fate::Discarded | Fate::Superseded => lang.t(
            "이 결제수단으로는 돌려드리지 않았습니다. 자세한 것은 가게에 문의해 주세요.",
            "It was not given back in this way. Please ask the shop.",
        ),
    }
}

/// A buyer's list. A cursor only says where a page begins: whose payments they are, the token says.
pub fn list(web: &Web, look: &Look, buyer: &Buyer, fields: &Fields) -> Result<Response, Problem> {
    let after = field(fields, "after").and_then(Cursor::parse);
    let page = web
        .ctx
        .store
        .read(|conn| buyers::list(conn, &buyer.whose, after))?;
    let view = ListView {
        payments: &page.payments,
        next: page.next.map(|next| next.to_string()),
        first: after.is_none(),
        until: buyer.until,
    };
    Ok(list_page(look, &view).into_response())
}

/// A payment, its order, and what went back of it.
type Mine = (PaymentRow, Option<Order>, Vec<CancellationRow>);

fn look_up(web: &Web, whose: &Whose, imp_uid: &str) -> Result<Mine, Problem> {
    let found = web.ctx.store.read(|conn| {
        let Some(payment) = buyers::show(conn, whose, imp_uid)? else {
            return Ok(None);
        };
        let order = match MerchantUid::new(payment.merchant_uid.clone()) {
            Ok(id) => orders::get(conn, &id)?.map(|(order, _)| order),
            Err(_) => None,
        };
        let cancellations = cancellations::of_payment(conn, payment.row)?;
        Ok::<_, StoreError>(Some((payment, order, cancellations)))
    })?;
    // Another's payment and none at all get the same answer.
    found.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "내 결제 가운데 이런 결제는 없습니다.",
            "There is no such payment among yours.",
        )
    })
}

/// `GET /payment/mine/{imp_uid}`: one payment, for its buyer. The shop's people have their own page.
pub async fn show(State(web): State<Web>, look: Look, Path(imp_uid): Path<String>) -> Response {
    let shown = match (&look.actor, &look.buyer) {
        (Some(_), _) => Ok(see_other(&payment_path(&imp_uid), None)),
        (None, Some(buyer)) => {
            look_up(&web, &buyer.whose, &imp_uid).map(|(payment, order, cancellations)| {
                let view = OneView {
                    payment: &payment,
                    order: order.as_ref(),
                    cancellations: &cancellations,
                };
                one_page(&look, &view).into_response()
            })
        }
        (None, None) => Err(Problem::unauthorized()),
    };
    look.answer(shown)
}

/// `POST /payment/mine/leave`: the token leaves this browser.
pub async fn leave(State(web): State<Web>) -> Response {
    see_other("/payment", Some(Cookie::Buyer.unset(&web.site)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{money::Won, payment::Hold},
        web::pages::test_values::{order, payment},
    };

    fn cancellation(state: Fate) -> CancellationRow {
        CancellationRow {
            id: "c-internal".into(),
            state,
            amount: Won::new(3_000),
            checksum: Won::new(12_000),
            tax_free: None,
            reason: "진상 고객".into(),
            refund: None,
            requested_by: "@minji".into(),
            requested_at: "2026-08-06T01:00:00Z".parse().unwrap(),
            finished_at: None,
            receipt_url: "javascript:alert(1)".into(),
            error: Some("PG 8178".into()),
            note: Some("손으로 송금".into()),
            request_hash: None,
            imp_uid: "imp_<1>".into(),
        }
    }

    fn shown(lang: Lang, row: &PaymentRow, fates: &[Fate]) -> String {
        let cancellations: Vec<_> = fates.iter().map(|fate| cancellation(*fate)).collect();
        let look = Look {
            lang,
            ..Look::default()
        };
        let order = order("배 <i>", 12_000);
        let view = OneView {
            payment: row,
            order: Some(&order),
            cancellations: &cancellations,
        };
        one_page(&look, &view).into_string()
    }

    #[test]
    fn nothing_of_the_shops_inside_is_shown_whatever_the_state() {
        let fates = [
            Fate::Requested,
            Fate::Done,
            Fate::Dead,
            Fate::Discarded,
            Fate::Superseded,
        ];
        for status in Status::ALL {
            for lang in [Lang::Ko, Lang::En] {
                let mut row = payment(status);
                row.cancellation = Some("c-internal".into());
                row.hold = Some(Hold::UnknownOrder);
                let text = shown(lang, &row, &fates);
                for inside in [
                    "farm-",
                    "진상",
                    "@minji",
                    "8178",
                    "송금",
                    "c-internal",
                    "javascript:",
                    "<i>",
                    "/admin/",
                    "nav.parts",
                    "class=\"parts\"",
                    "데드레터",
                    "CANCEL_",
                ] {
                    assert!(!text.contains(inside), "{status:?} tells {inside}");
                }
            }
        }
    }

    #[test]
    fn money_under_way_is_not_called_given_back() {
        for fate in [Fate::Requested, Fate::Dead, Fate::Discarded] {
            let text = shown(Lang::En, &payment(Status::CancelRequested), &[fate]);
            assert!(!text.contains("was given back."), "{fate:?}");
        }
        let done = shown(Lang::En, &payment(Status::PartialCanceled), &[Fate::Done]);
        assert!(done.contains("It was given back.") && done.contains("₩3,000"));
        // What was called off because it went back otherwise is told by that other entry.
        let other = shown(Lang::En, &payment(Status::Canceled), &[Fate::Superseded]);
        assert!(!other.contains("id=\"back\""));
    }

    #[test]
    fn what_still_moves_is_looked_at_again() {
        let moving = shown(Lang::Ko, &payment(Status::CancelRequested), &[]);
        assert!(moving.contains("every 5s") && moving.contains("http-equiv=\"refresh\""));
        assert!(!shown(Lang::Ko, &payment(Status::Paid), &[]).contains("every 5s"));
    }
}
