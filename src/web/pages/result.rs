//! The result page: how a payment stands, told to whoever knows its id. Nothing about the buyer.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    layout::{Look, Page, layout, segment},
    words,
};
use crate::{
    domain::{ids::MerchantUid, payment::Status},
    store::{
        StoreError, glance,
        inbox::Verdict,
        orders,
        payments::{self, PaymentRow},
    },
    web::{Web, error::Problem, lang::Lang},
};

pub fn path(imp_uid: &str) -> String {
    format!("/payment/result/{}", segment(imp_uid))
}

/// What can be said about a payment's id.
pub enum Stand {
    /// PortOne has not answered yet.
    Checking,
    /// PortOne does not know it, or nobody ever asked.
    Unknown,
    /// PortOne never answered, or not about this shop's order.
    Unclear,
    Known(Box<PaymentRow>),
}

pub struct View<'a> {
    pub imp_uid: &'a str,
    pub stand: &'a Stand,
    /// The order is registered here, so that it can be paid again.
    pub ordered: bool,
}

impl View<'_> {
    /// Seconds until it is worth looking again, where something can still change by itself.
    fn look_again(&self) -> Option<u32> {
        match self.stand {
            Stand::Checking => Some(2),
            Stand::Known(row) => match row.status {
                Status::CancelRequested => Some(3),
                Status::Ready => Some(5),
                _ => None,
            },
            Stand::Unknown | Stand::Unclear => None,
        }
    }
}

pub fn page(look: &Look, view: &View<'_>) -> Markup {
    let title = look.lang.t("결제 결과", "Your payment");
    let page = Page {
        title,
        live: view.look_again().is_some(),
        reload: view.look_again().map(|seconds| seconds.max(3)),
        ..Page::default()
    };
    layout(
        look,
        page,
        html! {
            h1.hidden { (title) }
            (stand(look.lang, view))
        },
    )
}

/// The part that changes.
pub fn stand(lang: Lang, view: &View<'_>) -> Markup {
    let again = view.look_again();
    let get = format!("{}/stand", path(view.imp_uid));
    html! {
        section.sheet.centre #stand aria-live="polite"
            hx-get=[again.map(|_| get)] hx-swap=[again.map(|_| "outerHTML")]
            hx-trigger=[again.map(|seconds| format!("every {seconds}s"))]
        {
            @match view.stand {
                Stand::Checking => {
                    (sign("wait", "…"))
                    h2 { (lang.t("결제를 확인 중입니다", "Checking your payment")) }
                    p { (lang.t(
                        "결제사의 답을 기다리고 있습니다. 이 화면은 저절로 바뀝니다. 다시 결제하지 마세요.",
                        "We are waiting for the payment company. This page changes by itself. Do not pay again.",
                    )) }
                }
                Stand::Unknown => {
                    (sign("bad", "?"))
                    h2 { (lang.t("결제를 찾을 수 없습니다", "There is no such payment")) }
                    p { (lang.t(
                        "주소를 확인해 주세요. 돈이 빠져나갔다면 가게에 문의해 주세요.",
                        "Please check the address. If you were charged, ask the shop.",
                    )) }
                }
                Stand::Unclear => {
                    (sign("bad", "!"))
                    h2 { (lang.t("가게에서 확인이 필요합니다", "The shop has to look into it")) }
                    p { (lang.t(
                        "결제 내용을 확인하지 못했습니다. 다시 결제하지 말고 가게에 문의해 주세요.",
                        "Your payment could not be confirmed. Do not pay again; please ask the shop.",
                    )) }
                }
                Stand::Known(row) => (known(row, view.ordered, lang)),
            }
            p.soft.small { (lang.t("결제번호 ", "Payment ")) code { (view.imp_uid) } }
        }
    }
}

fn sign(tone: &str, sign: &str) -> Markup {
    html! { p class={ "big-sign " (tone) } aria-hidden="true" { (sign) } }
}

pub(super) fn known(row: &PaymentRow, ordered: bool, lang: Lang) -> Markup {
    let paid = !matches!(row.status, Status::Ready | Status::Failed);
    html! {
        @if paid && row.hold.is_some() && row.status != Status::Canceled {
            (sign("wait", "‖"))
            h2 { (lang.t("가게에서 확인 중입니다", "The shop is checking your payment")) }
            p { (lang.t(
                "결제는 접수되었지만 주문과 맞지 않는 점이 있어 확인하고 있습니다. 다시 결제하지 마세요.",
                "It arrived, but something does not fit the order. Do not pay again; the shop is looking into it.",
            )) }
        } @else {
            (by_status(row, ordered, lang))
        }
        (facts(row, lang))
    }
}

fn by_status(row: &PaymentRow, ordered: bool, lang: Lang) -> Markup {
    let again = ordered.then(|| format!("/payment/orders/{}", segment(&row.merchant_uid)));
    html! {
        @match row.status {
            Status::Paid => {
                (sign("good", "✓"))
                h2 { (lang.t("결제가 완료되었습니다", "Paid. Thank you!")) }
            }
            Status::Ready if !row.about.virtual_account.is_empty() => {
                (sign("wait", "◷"))
                h2 { (lang.t("입금을 기다리고 있습니다", "Waiting for your deposit")) }
                p { (lang.t("아래 계좌로 정확한 금액을 보내 주세요.", "Please send exactly this amount to:")) }
                p.account { strong { (row.about.virtual_account) } }
            }
            Status::Ready => {
                (sign("wait", "◷"))
                h2 { (lang.t("결제가 아직 끝나지 않았습니다", "The payment is not finished")) }
                p { (lang.t(
                    "결제창에서 결제를 마치면 이 화면이 바뀝니다.",
                    "Once you finish it in the payment window, this page changes.",
                )) }
                (retry(again.as_deref(), lang))
            }
            Status::Failed => {
                (sign("bad", "✕"))
                h2 { (lang.t("결제되지 않았습니다", "The payment did not go through")) }
                @if let Some(why) = row.fail_reason.as_deref().filter(|why| !why.is_empty()) {
                    p { (lang.t("사유: ", "Reason: ")) (words::masked_text(why)) }
                }
                p.soft { (lang.t("돈은 나가지 않았습니다.", "You were not charged.")) }
                (retry(again.as_deref(), lang))
            }
            Status::CancelRequested => {
                (sign("wait", "↻"))
                h2 { (lang.t("취소를 처리하고 있습니다", "The cancel is being carried out")) }
            }
            Status::CancelFailed => {
                (sign("wait", "‖"))
                h2 { (lang.t("취소를 가게에서 처리하고 있습니다", "The shop is dealing with the cancel")) }
            }
            Status::Canceled => {
                (sign("back", "↩"))
                h2 { (lang.t("결제가 취소되었습니다", "The payment was cancelled")) }
                p { (lang.t(
                    format!("{} 전액을 돌려드렸습니다.", words::won(row.amount)),
                    format!("All of it, {}, was given back.", words::won(row.amount)),
                )) }
            }
            Status::PartialCanceled => {
                (sign("back", "◐"))
                h2 { (lang.t("일부가 취소되었습니다", "Part of it was cancelled")) }
            }
        }
    }
}

fn retry(to: Option<&str>, lang: Lang) -> Markup {
    html! {
        @if let Some(to) = to {
            p.acts { a.button.primary href=(to) { (lang.t("다시 결제하기", "Try again")) } }
        }
    }
}

fn facts(row: &PaymentRow, lang: Lang) -> Markup {
    html! {
        dl.facts {
            @if !row.about.name.is_empty() { dt { (lang.t("주문", "Order")) } dd { (row.about.name) } }
            dt { (lang.t("금액", "Amount")) } dd { (row.amount) }
            @if !row.cancelled_amount.is_zero() {
                dt { (lang.t("취소", "Given back")) } dd { (row.cancelled_amount) }
            }
            dt { (lang.t("결제수단", "Method")) } dd { (words::method(&row.about.method, lang)) }
            @if let Some(at) = row.paid_at { dt { (lang.t("결제 시각", "Paid at")) } dd { (words::time(at)) } }
            dt { (lang.t("주문번호", "Order number")) } dd { code { (row.merchant_uid) } }
        }
        @if row.test {
            p.soft.small { (lang.t("테스트 결제라 실제 돈은 움직이지 않았습니다.", "A test payment: no money moved.")) }
        }
    }
}

fn look_up(web: &Web, imp_uid: &str) -> Result<(Stand, bool), Problem> {
    Ok(web.ctx.store.read(|conn| {
        if let Some(row) = payments::show(conn, imp_uid)? {
            let ordered = match MerchantUid::new(row.merchant_uid.clone()) {
                Ok(id) => orders::amount(conn, &id)?.is_some(),
                Err(_) => false,
            };
            return Ok((Stand::Known(Box::new(row)), ordered));
        }
        let stand = match glance::last_verdict(conn, imp_uid)? {
            None | Some(Some(Verdict::UnknownPayment)) => Stand::Unknown,
            Some(None) => Stand::Checking,
            Some(Some(_)) => Stand::Unclear,
        };
        Ok::<_, StoreError>((stand, false))
    })?)
}

/// `GET /payment/result/{imp_uid}`
pub async fn show(State(web): State<Web>, look: Look, Path(imp_uid): Path<String>) -> Response {
    look.answer(look_up(&web, &imp_uid).map(|(stand, ordered)| {
        let view = View {
            imp_uid: &imp_uid,
            stand: &stand,
            ordered,
        };
        let status = match stand {
            Stand::Unknown => axum::http::StatusCode::NOT_FOUND,
            _ => axum::http::StatusCode::OK,
        };
        (status, page(&look, &view)).into_response()
    }))
}

/// `GET /payment/result/{imp_uid}/stand`: the part that changes.
pub async fn changed(State(web): State<Web>, lang: Lang, Path(imp_uid): Path<String>) -> Response {
    match look_up(&web, &imp_uid) {
        Ok((known, ordered)) => {
            let view = View {
                imp_uid: &imp_uid,
                stand: &known,
                ordered,
            };
            stand(lang, &view).into_response()
        }
        Err(problem) => problem.lang(lang).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{money::Won, payment::Hold},
        web::pages::test_values::payment,
    };

    fn shown(lang: Lang, known: Stand) -> String {
        let view = View {
            imp_uid: "imp_<1>",
            stand: &known,
            ordered: true,
        };
        stand(lang, &view).into_string()
    }

    #[test]
    fn every_state_is_told_without_the_buyer() {
        for status in Status::ALL {
            for lang in [Lang::Ko, Lang::En] {
                let mut row = payment(status);
                row.about.name = "<script>x</script>".into();
                let text = shown(lang, Stand::Known(Box::new(row)));
                assert!(!text.contains("<script>") && !text.contains("imp_<1>"));
                for secret in ["홍길동", "5678", "hong@example.com"] {
                    assert!(!text.contains(secret), "{status:?} tells {secret}");
                }
            }
        }
    }

    #[test]
    fn what_may_still_change_is_looked_at_again() {
        assert!(shown(Lang::Ko, Stand::Checking).contains("every 2s"));
        let waits = shown(Lang::Ko, Stand::Known(Box::new(payment(Status::Ready))));
        assert!(waits.contains("every 5s"));
        let paid = shown(Lang::Ko, Stand::Known(Box::new(payment(Status::Paid))));
        assert!(!paid.contains("hx-") && paid.contains("결제가 완료되었습니다"));
    }

    #[test]
    fn a_held_payment_is_not_called_paid() {
        let mut row = payment(Status::Paid);
        row.hold = Some(Hold::AmountDiffers {
            ordered: Won::new(2),
            charged: Won::new(1),
        });
        let text = shown(Lang::Ko, Stand::Known(Box::new(row)));
        assert!(text.contains("가게에서 확인 중입니다") && !text.contains("완료되었습니다"));
    }
}
