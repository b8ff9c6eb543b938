//! The pay page: an order, what is owed for it, and PortOne's window.
//!
//! Nothing that a browser reports here is believed: every way back leads through the gate that asks
//! PortOne, and then to the result page. What the buyer types goes to the window, not to us.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    back,
    layout::{Fields, Look, Page, Part, field, layout, own_form, see_other, segment},
    samples, words,
};
use crate::{
    config::PayPage,
    domain::{
        ids::{ImpUid, MerchantUid},
        order::Order,
        payment::Status,
    },
    flow::register_order::register_order,
    store::{
        StoreError, orders,
        payments::{self, PaymentRow},
    },
    web::{
        Web, assets,
        error::Problem,
        extract::{F, Q},
        headers,
        lang::Lang,
        webhook::Turn,
    },
};

/// How a buyer may pay: the words of PortOne's `pay_method`.
const METHODS: [&str; 7] = [
    "card", "kakaopay", "naverpay", "tosspay", "trans", "vbank", "phone",
];
/// PortOne shows no more of a name.
const LONGEST_NAME: usize = 40;

/// What the start of the pay page shows.
pub struct Start<'a> {
    /// None in live mode: nobody is to buy apples that are not there.
    pub samples: &'a [samples::Sample],
}

pub fn start_page(look: &Look, view: &Start<'_>) -> Markup {
    let lang = look.lang;
    let body = html! {
        div.head {
            h1 { (lang.t("결제하기", "Pay")) }
        }
        @if !view.samples.is_empty() {
            p.soft { (lang.t(
                "마음에 드는 상품을 고르세요. 실제 돈은 나가지 않습니다.",
                "Choose something you like. No real money moves.",
            )) }
            ul.goods {
                @for sample in view.samples {
                    li.good-card {
                        div.picture { img src=(assets::url(&sample.picture())) alt="" width="160" height="96"; }
                        h2 { (lang.t(sample.ko, sample.en)) }
                        p.soft.small { (lang.t(sample.about_ko, sample.about_en)) }
                        p.price { (sample.amount()) }
                        form method="post" action="/payment/orders" data-once {
                            button.primary.wide name="product" value=(sample.id) {
                                (lang.t("구매하기", "Buy"))
                                span.hidden { " " (lang.t(sample.ko, sample.en)) }
                            }
                        }
                    }
                }
            }
        }
        section.sheet {
            h2 { (lang.t("주문번호로 결제", "Pay an order")) }
            form.inline method="get" action="/payment" {
                label.field.grow {
                    span { (lang.t("주문번호", "Order number")) }
                    input name="order" required maxlength="255" autocomplete="off" spellcheck="false"
                        placeholder="ord-20260806-…";
                }
                button { (lang.t("주문 열기", "Open the order")) }
            }
            p.soft.small { (lang.t(
                "가게에서 받은 주문번호를 적으면 금액을 확인하고 결제할 수 있습니다.",
                "With the number that the shop gave you, you see the amount and can pay it.",
            )) }
        }
        @if !look.signed_in {
            p.foot { a href="/sign-in" { (lang.t("가게 관리자 로그인", "Sign in as the shop")) } }
        }
    };
    let page = Page {
        title: lang.t("결제하기", "Pay"),
        part: Part::Pay,
        ..Page::default()
    };
    layout(look, page, body)
}

/// One order as its buyer sees it.
pub struct OrderView<'a> {
    pub order: &'a Order,
    /// The payment that settled it, or waits for its deposit.
    pub settled: Option<&'a PaymentRow>,
    pub pay: &'a PayPage,
    pub return_url: String,
    /// The window came back without a payment, with this code.
    pub came_back: Option<&'a str>,
}

pub fn order_page(look: &Look, view: &OrderView<'_>) -> Markup {
    let lang = look.lang;
    let order = view.order;
    let paid = view
        .settled
        .is_some_and(|payment| payment.status != Status::Ready);
    let ready = view.pay.merchant_code.is_some();
    let sdk = view.pay.sdk_url.as_str();
    let own = assets::url("pay.js");
    let scripts: &[&str] = if paid || !ready { &[] } else { &[sdk, &own] };
    let body = html! {
        div.head { h1 { (order.name) } p.soft.small { (lang.t("주문번호 ", "Order ")) code { (order.merchant_uid) } } }
        div.two {
            section.sheet aria-labelledby="lines" {
                h2 #lines { (lang.t("주문 내용", "What you order")) }
                (lines(order, lang))
            }
            div.stack {
                @if let Some(payment) = view.settled { (settled(payment, lang)) }
                @if !paid {
                    @if view.came_back.is_some() { (came_back(view.came_back, lang)) }
                    @if ready { (form(view, lang)) } @else { (not_set_up(lang)) }
                }
            }
        }
    };
    let page = Page {
        title: &order.name,
        part: Part::Pay,
        scripts,
        ..Page::default()
    };
    layout(look, page, body)
}

pub(super) fn lines(order: &Order, lang: Lang) -> Markup {
    html! {
        ul.lines {
            @for line in &order.lines {
                li {
                    span.grow { (line.name) @if line.quantity > 1 { " × " (line.quantity) } }
                    span { @match line.gross() { Ok(gross) => (gross), Err(_) => "–" } }
                }
                @if !line.discount.is_zero() {
                    li.soft.small {
                        span.grow { (lang.t("할인", "Discount")) }
                        span.won { "-" (words::won(line.discount)) }
                    }
                }
            }
            li.sum {
                span.grow { (lang.t("결제 금액", "To pay")) }
                strong { (order.amount) }
            }
            @if !order.tax_free.is_zero() {
                li.soft.small {
                    span.grow { (lang.t("그중 면세", "Of it free of VAT")) }
                    span { (order.tax_free) }
                }
            }
        }
    }
}

fn settled(payment: &PaymentRow, lang: Lang) -> Markup {
    let to = format!("/payment/result/{}", segment(&payment.imp_uid));
    html! {
        section.sheet.tone-good {
            @if payment.status == Status::Ready {
                h2 { (lang.t("입금을 기다리는 중입니다", "Waiting for your deposit")) }
                p { (lang.t("이미 발급된 입금 계좌가 있습니다.", "An account was issued for it already.")) }
            } @else if payment.status == Status::Canceled {
                h2 { (lang.t("취소된 주문입니다", "This order was cancelled")) }
                p { (lang.t("다시 사시려면 새로 주문해 주세요.", "To buy it after all, please order anew.")) }
            } @else {
                h2 { (lang.t("이미 결제된 주문입니다", "This order is paid already")) }
                p { (lang.t("다시 결제하지 않으셔도 됩니다.", "You need not pay again.")) }
            }
            p.acts { a.button href=(to) { (lang.t("결제 결과 보기", "See the payment")) } }
        }
    }
}

fn came_back(code: Option<&str>, lang: Lang) -> Markup {
    html! {
        div.message.bad role="alert" {
            strong { (lang.t("결제가 완료되지 않았습니다.", "The payment was not completed.")) } " "
            (lang.t("다시 시도하거나 다른 결제수단을 골라 주세요.", "Try again, or choose another way to pay."))
            @if let Some(code) = code.filter(|code| !code.is_empty()) { " " span.small { "(" (code) ")" } }
        }
    }
}

fn not_set_up(lang: Lang) -> Markup {
    html! {
        section.sheet.tone-bad role="alert" {
            h2 { (lang.t("아직 결제를 받을 수 없습니다", "Payments cannot be taken yet")) }
            p { (lang.t(
                "가게가 결제 설정을 마치지 않았습니다. 가게에 알려 주세요.",
                "The shop has not finished setting payments up. Please tell the shop.",
            )) }
            p.soft.small { (lang.t("운영자: ", "For the operator: ")) code { "portone.merchant_code" } ", "
                code { "portone.channel_key" } (lang.t(
                    "를 설정하고 다시 시작하세요.",
                    " must be set; then start again.",
                )) }
        }
    }
}

fn form(view: &OrderView<'_>, lang: Lang) -> Markup {
    let order = view.order;
    let name: String = order.name.chars().take(LONGEST_NAME).collect();
    html! {
        form.sheet #pay method="post"
            data-code=[view.pay.merchant_code.as_deref()]
            data-channel-key=[view.pay.channel_key.as_deref()]
            data-pg=[view.pay.pg.as_deref()]
            data-merchant-uid=(order.merchant_uid)
            data-name=(name)
            data-amount=(order.amount.get())
            data-tax-free=(order.tax_free.get())
            data-return=(view.return_url)
            data-language=(lang.code())
            data-no-sdk=(lang.t(
                "결제 모듈(포트원 SDK)을 불러오지 못했습니다. 인터넷 연결과 광고 차단 프로그램을 확인하고 새로 고쳐 주세요.",
                "PortOne's payment module could not be loaded. Check the connection and any ad blocker, then reload.",
            ))
            data-failed=(lang.t("결제가 완료되지 않았습니다.", "The payment was not completed."))
            data-again=(lang.t("다시 시도하거나 다른 결제수단을 골라 주세요.", "Try again, or choose another way to pay."))
            data-checking=(lang.t("결제를 확인하고 있습니다…", "Checking the payment…"))
        {
            h2 { (lang.t("결제수단", "How to pay")) }
            fieldset.choices {
                legend.hidden { (lang.t("결제수단", "How to pay")) }
                @for (i, code) in METHODS.iter().enumerate() {
                    label.choice {
                        input type="radio" name="pay_method" value=(code) checked[i == 0];
                        span { (words::method(code, lang)) }
                    }
                }
            }
            details.buyer {
                summary { (lang.t("구매자 정보 (선택)", "About you (optional)")) }
                div.fields {
                    label.field { span { (lang.t("이름", "Name")) } input name="buyer_name" autocomplete="name" maxlength="40"; }
                    label.field { span { (lang.t("휴대폰", "Phone")) } input name="buyer_tel" type="tel" inputmode="tel" autocomplete="tel" maxlength="20"; }
                    label.field { span { (lang.t("이메일", "E-mail")) } input name="buyer_email" type="email" autocomplete="email" maxlength="100"; }
                }
            }
            div.message #pay-message role="alert" hidden {}
            noscript {
                div.message.bad { (lang.t(
                    "결제창을 열려면 자바스크립트가 필요합니다.",
                    "The payment window needs JavaScript.",
                )) }
            }
            button.primary.wide.large #pay-button disabled {
                (lang.t(format!("{} 결제하기", words::won(order.amount)), format!("Pay {}", words::won(order.amount))))
            }
            p.soft.small.centre-text { (lang.t(
                "결제는 포트원 결제창에서 안전하게 진행됩니다.",
                "You pay in PortOne's window.",
            )) }
        }
    }
}

/// `GET /payment`
pub async fn start(State(web): State<Web>, look: Look, Q(query): Q<Fields>) -> Response {
    if let Some(order) = field(&query, "order") {
        return see_other(&order_path(order), None);
    }
    let samples: &[samples::Sample] = if web.ctx.policy.test {
        &samples::ALL
    } else {
        &[]
    };
    start_page(&look, &Start { samples }).into_response()
}

/// The page of an order.
pub fn order_path(merchant_uid: &str) -> String {
    format!("/payment/orders/{}", segment(merchant_uid))
}

/// `POST /payment/orders`: a sample becomes an order. In test mode only.
pub async fn create(
    State(web): State<Web>,
    look: Look,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    F(form): F<Fields>,
) -> Response {
    look.answer(create_sample(&web, peer, &headers, &form, look.lang).await)
}

async fn create_sample(
    web: &Web,
    peer: SocketAddr,
    headers: &HeaderMap,
    form: &Fields,
    lang: Lang,
) -> Result<Response, Problem> {
    own_form(web, headers)?;
    let _turn = Turn::take(web, peer, headers)?;
    let wanted = field(form, "product").unwrap_or_default();
    let sample = samples::ALL
        .iter()
        .find(|sample| sample.id == wanted && web.ctx.policy.test)
        .ok_or_else(|| Problem::not_found(wanted))?;
    let limits = &web.site.limits;
    if !limits.may_order(limits.client(peer.ip(), headers)) {
        return Err(Problem::too_many(3));
    }
    let order = sample.order(web.ctx.store.now(), lang)?;
    let order = order.of_buyer(samples::buyer());
    let registered = register_order(&web.ctx, order).await?;
    Ok(see_other(
        &order_path(registered.order.merchant_uid.as_str()),
        None,
    ))
}

/// `GET /payment/orders/{merchant_uid}`
pub async fn order(
    State(web): State<Web>,
    look: Look,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(merchant_uid): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    look.answer(open_order(
        &web,
        &look,
        peer,
        &headers,
        merchant_uid,
        &query,
    ))
}

fn open_order(
    web: &Web,
    look: &Look,
    peer: SocketAddr,
    headers: &HeaderMap,
    merchant_uid: String,
    query: &Fields,
) -> Result<Response, Problem> {
    let limits = &web.site.limits;
    let address = limits.client(peer.ip(), headers);
    limits.admit(address).map_err(Problem::too_many)?;
    let missing = || Problem::not_found(&merchant_uid);
    let id = MerchantUid::new(merchant_uid.clone()).map_err(|_| missing())?;
    let found = web.ctx.store.read(|conn| {
        let Some((order, _)) = orders::get(conn, &id)? else {
            return Ok(None);
        };
        let settled = settled_by(payments::of_order(conn, &id)?);
        let settled = match settled {
            Some(by) => payments::show(conn, by.as_str())?,
            None => None,
        };
        Ok::<_, StoreError>(Some((order, settled)))
    })?;
    let Some((order, settled)) = found else {
        // Who guesses order numbers is kept out, as who guesses payments is.
        limits.unknown_id(address);
        return Err(missing());
    };
    let base = web.site.public_url.as_str().trim_end_matches('/');
    let code = query.get("error").map(|code| back::plain_code(code));
    let view = OrderView {
        order: &order,
        settled: settled.as_ref(),
        pay: &web.site.pay,
        return_url: format!("{base}/payment/return"),
        came_back: code.as_deref(),
    };
    let mut response = order_page(look, &view).into_response();
    headers::for_the_window(response.headers_mut(), &web.site.pay.sdk_url);
    Ok(response)
}

/// The payment that settles an order: one that is paid, else one that waits or was cancelled.
fn settled_by(payments: Vec<payments::Kept>) -> Option<ImpUid> {
    let mut waits = None;
    for kept in payments {
        match kept.payment.status() {
            Status::Paid
            | Status::CancelRequested
            | Status::PartialCanceled
            | Status::CancelFailed => return Some(kept.imp_uid),
            // PortOne takes no second payment for an order number, even after a cancel.
            Status::Canceled => waits = Some(kept.imp_uid),
            Status::Ready if !kept.about.virtual_account.is_empty() => waits = Some(kept.imp_uid),
            Status::Ready | Status::Failed => {}
        }
    }
    waits
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::web::pages::test_values::{order, payment};

    fn pay(code: Option<&str>) -> PayPage {
        PayPage {
            sdk_url: Url::parse("http://127.0.0.1:9/v1/iamport.js").unwrap(),
            merchant_code: code.map(str::to_owned),
            channel_key: Some("channel-key-1".into()),
            pg: None,
        }
    }

    fn shown(
        lang: Lang,
        settled: Option<&PaymentRow>,
        code: Option<&str>,
        error: Option<&str>,
    ) -> String {
        let order = order("사과 <script>alert(1)</script>", 12_000);
        let view = OrderView {
            order: &order,
            settled,
            pay: &pay(code),
            return_url: "http://shop/payment/return".into(),
            came_back: error,
        };
        let look = Look {
            lang,
            ..Look::default()
        };
        order_page(&look, &view).into_string()
    }

    #[test]
    fn an_order_is_shown_escaped_with_what_the_window_needs() {
        for lang in [Lang::Ko, Lang::En] {
            let page = shown(lang, None, Some("imp00000000"), None);
            assert!(!page.contains("<script>alert"));
            assert!(page.contains("data-amount=\"12000\"") && page.contains("₩12,000"));
            assert!(page.contains("iamport.js") && page.contains("data-code=\"imp00000000\""));
        }
    }

    #[test]
    fn a_paid_order_is_not_paid_twice() {
        let paid = payment(Status::Paid);
        let page = shown(Lang::Ko, Some(&paid), Some("imp00000000"), None);
        assert!(page.contains("이미 결제된 주문") && !page.contains("pay-button"));
        assert!(!page.contains("iamport.js"));
    }

    #[test]
    fn without_a_merchant_code_the_page_says_what_to_do() {
        let page = shown(Lang::En, None, None, None);
        assert!(page.contains("portone.merchant_code") && !page.contains("pay-button"));
    }

    #[test]
    fn who_comes_back_without_paying_is_told_so() {
        let page = shown(Lang::Ko, None, Some("imp0"), Some("F0001"));
        assert!(page.contains("완료되지 않았습니다") && page.contains("F0001"));
    }
}
