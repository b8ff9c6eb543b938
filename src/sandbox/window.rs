//! The payment window: where a buyer pays.
//!
//! As with PortOne, opening it makes a payment that is `ready`, and only the buyer's choice makes it
//! more. The result goes back to the shop's page in two ways: posted to the page that holds the
//! window in a frame, or as a redirect to `m_redirect_url`. Neither proves anything; the webhook
//! that leaves at the same moment does not either.
//!
//! The script in `assets/iamport.js` has the shape of PortOne's own, and works under a policy that
//! allows `script-src` and `frame-src` for this origin only.

use std::sync::Arc;

use axum::{
    Form, Router,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use url::Url;

use super::{
    Inner, Lang, asset,
    books::{Books, BooksError, Buyer, NewPayment, Payment, Status, decimals},
    lock, money,
    v1::to_smallest,
    webhooks,
};

/// How a buyer can pay: the word on the wire, in Korean, in English.
const METHODS: [(&str, &str, &str); 7] = [
    ("card", "신용·체크카드", "Card"),
    ("kakaopay", "카카오페이", "Kakao Pay"),
    ("naverpay", "네이버페이", "Naver Pay"),
    ("tosspay", "토스페이", "Toss Pay"),
    ("trans", "계좌이체", "Bank transfer"),
    ("vbank", "가상계좌", "Virtual account"),
    ("phone", "휴대폰 소액결제", "Phone bill"),
];

pub(super) fn routes() -> Router<Arc<Inner>> {
    Router::new()
        .route(
            "/v1/iamport.js",
            get(|| async { asset(JAVASCRIPT, include_str!("assets/iamport.js")) }),
        )
        .route(
            "/sandbox/window.js",
            get(|| async { asset(JAVASCRIPT, include_str!("assets/window.js")) }),
        )
        .route(
            "/sandbox/sandbox.css",
            get(|| async {
                asset(
                    "text/css; charset=utf-8",
                    include_str!("assets/sandbox.css"),
                )
            }),
        )
        .route("/window", get(open))
        .route("/window/pay", post(choose))
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// What `IMP.request_pay` was called with, as far as the sandbox looks at it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    code: String,
    merchant_uid: String,
    amount: String,
    name: String,
    pay_method: String,
    currency: String,
    tax_free: String,
    vat_amount: String,
    buyer_name: String,
    buyer_email: String,
    buyer_tel: String,
    buyer_addr: String,
    buyer_postcode: String,
    custom_data: String,
    notice_url: String,
    m_redirect_url: String,
    language: String,
    /// The page that holds the window in a frame; empty when the window is a page of its own.
    origin: String,
    mobile: bool,
}

/// The way back to the shop, and what the window must remember between its two steps.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Way {
    m_redirect_url: String,
    origin: String,
    language: String,
}

/// What comes back to the shop.
struct Told<'a> {
    imp_uid: Option<&'a str>,
    merchant_uid: &'a str,
    error: Option<(&'a str, &'a str)>,
}

async fn open(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Query(asked): Query<Request>,
) -> Response {
    let lang = Lang::choose(Some(&asked.language), &headers);
    let way = Way {
        m_redirect_url: asked.m_redirect_url.clone(),
        origin: asked.origin.clone(),
        language: asked.language.clone(),
    };
    let opened = draft(&inner, &asked, &headers, lang).and_then(|new| {
        let now = inner.now();
        let mut books = lock(&inner.books);
        let id = books.pay(new, now).map_err(|error| error.to_string())?;
        books
            .get(&id)
            .cloned()
            .ok_or_else(|| "the payment is gone".to_owned())
    });
    match opened {
        Ok(payment) => {
            let method = match METHODS.iter().find(|one| one.0 == asked.pay_method) {
                Some(known) => known.0,
                None => "card",
            };
            page(lang, &way, choices(lang, &payment, &way, method))
        }
        // The window is not opened: its frame was never shown.
        Err(why) => finish(
            lang,
            &way,
            &Told {
                imp_uid: None,
                merchant_uid: &asked.merchant_uid,
                error: Some(("F0001", &why)),
            },
            None,
        ),
    }
}

/// All that stops a window from opening, in the reader's language.
fn draft(
    inner: &Inner,
    asked: &Request,
    headers: &HeaderMap,
    lang: Lang,
) -> Result<NewPayment, String> {
    let no = |korean, english| Err(lang.t(korean, english).to_owned());
    if asked.code != inner.config.merchant_code {
        return no(
            "등록되지 않은 고객사 식별코드입니다.",
            "The merchant code is not known.",
        );
    }
    let length = asked.merchant_uid.chars().count();
    if length == 0 || length > 40 {
        return no(
            "merchant_uid는 1자 이상 40자 이하여야 합니다.",
            "merchant_uid must have 1 to 40 characters.",
        );
    }
    let currency = match asked.currency.as_str() {
        "" => "KRW",
        given => given,
    };
    let amount = match asked.amount.parse::<f64>() {
        Ok(major) if major > 0.0 && major < 1e12 => to_smallest(major, currency),
        _ => return no("결제 금액이 올바르지 않습니다.", "The amount is not valid."),
    };
    let books = lock(&inner.books);
    if let Some(prepared) = books.prepared(&asked.merchant_uid)
        && (prepared.amount != amount
            || prepared
                .currency
                .as_deref()
                .is_some_and(|one| one != currency))
    {
        return no(
            "사전등록된 금액과 결제 금액이 다릅니다.",
            "The amount is not the one that was registered.",
        );
    }
    let was_paid = |payment: &Payment| matches!(payment.status, Status::Paid | Status::Cancelled);
    if books.of_order(&asked.merchant_uid).any(was_paid) {
        return no(
            "이미 결제된 주문번호입니다.",
            "This order was paid already.",
        );
    }
    let part = |text: &str| {
        text.parse::<f64>()
            .ok()
            .map(|major| to_smallest(major, currency))
    };
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    Ok(NewPayment {
        merchant_uid: asked.merchant_uid.clone(),
        amount,
        name: asked.name.chars().take(40).collect(),
        method: "card".to_owned(),
        buyer: Buyer {
            name: given(&asked.buyer_name),
            email: given(&asked.buyer_email),
            tel: given(&asked.buyer_tel),
            addr: given(&asked.buyer_addr),
            postcode: given(&asked.buyer_postcode),
        },
        status: Status::Ready,
        sandbox: inner.config.test_channel,
        currency: currency.to_owned(),
        tax_free: part(&asked.tax_free).unwrap_or(0),
        vat_amount: part(&asked.vat_amount),
        custom_data: given(&asked.custom_data),
        notice_url: http_url(&asked.notice_url).map(|url| url.to_string()),
        channel: asked.mobile.then(|| "mobile".to_owned()),
        user_agent: headers
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        ..NewPayment::default()
    })
}

#[derive(Deserialize)]
struct Choice {
    imp_uid: String,
    method: String,
    /// `pay`, `decline` or `close`.
    act: String,
    #[serde(flatten)]
    way: Way,
}

async fn choose(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Form(choice): Form<Choice>,
) -> Response {
    let way = &choice.way;
    let lang = Lang::choose(Some(&way.language), &headers);
    let settled = settle(&mut lock(&inner.books), &choice, inner.now());
    let (payment, changed) = match settled {
        Ok(settled) => settled,
        Err(BooksError::Unknown(_)) => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!(%error, "the window could not settle a payment");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let failed = payment.status == Status::Failed;
    // It races the browser, as PortOne's does. A failure is not told at all.
    if changed && !failed {
        webhooks::tell(&inner, &payment.imp_uid);
    }
    let reason = payment
        .extra
        .as_ref()
        .and_then(|extra| extra.fail_reason.as_deref())
        .unwrap_or_default();
    let closed = payment.status == Status::Ready && payment.vbank().is_none();
    let error = if closed {
        Some((
            "F1002",
            lang.t(
                "사용자가 결제를 취소하였습니다.",
                "The buyer closed the window.",
            ),
        ))
    } else {
        failed.then_some(("F0004", reason))
    };
    let told = Told {
        imp_uid: Some(&payment.imp_uid),
        merchant_uid: &payment.merchant_uid,
        error,
    };
    finish(lang, way, &told, Some(&payment))
}

/// The payment after the buyer's choice, and whether the choice changed it.
fn settle(books: &mut Books, choice: &Choice, now: i64) -> Result<(Payment, bool), BooksError> {
    let before = books
        .get(&choice.imp_uid)
        .cloned()
        .ok_or_else(|| BooksError::Unknown(choice.imp_uid.clone()))?;
    let method = match METHODS.iter().find(|one| one.0 == choice.method) {
        Some(known) => known.0,
        None => "card",
    };
    let decline = match choice.act.as_str() {
        "pay" => None,
        "decline" => Some("카드사 승인 거절: 한도초과"),
        _ => return Ok((before, false)),
    };
    let after = books.settle_window(&choice.imp_uid, method, decline, now)?;
    let changed = after != before;
    Ok((after, changed))
}

/// Sends the buyer back to the shop with the news.
fn finish(lang: Lang, way: &Way, told: &Told<'_>, payment: Option<&Payment>) -> Response {
    if way.origin.is_empty() {
        let Some(mut url) = http_url(&way.m_redirect_url) else {
            return page(lang, way, nowhere(lang, told));
        };
        {
            let mut query = url.query_pairs_mut();
            if let Some(id) = told.imp_uid {
                query.append_pair("imp_uid", id);
            }
            query.append_pair("merchant_uid", told.merchant_uid);
            if let Some((code, message)) = told.error {
                query.append_pair("error_code", code);
                query.append_pair("error_msg", message);
            }
            let success = if told.error.is_none() {
                "true"
            } else {
                "false"
            };
            query.append_pair("imp_success", success);
        }
        return Redirect::to(url.as_str()).into_response();
    }
    page(lang, way, result(lang, way, told, payment))
}

fn page(lang: Lang, way: &Way, body: Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang=(lang.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (lang.t("결제하기", "Payment")) }
                link rel="stylesheet" href="/sandbox/sandbox.css";
                script src="/sandbox/window.js" defer {}
            }
            body.window data-framed=[(!way.origin.is_empty()).then_some("yes")] { (body) }
        }
    };
    // No `form-action`: browsers apply it to the redirect that leads back to the shop, too.
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
                  base-uri 'none'; frame-ancestors http://127.0.0.1:* http://localhost:*";
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(policy),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    (headers, page).into_response()
}

/// What is to be paid, and how.
fn choices(lang: Lang, payment: &Payment, way: &Way, chosen: &str) -> Markup {
    html! {
        main.sheet data-opened=(payment.imp_uid) {
            header.sheet-head {
                p.brand { (lang.t("샌드박스 결제", "Sandbox payment")) }
                p.note { (lang.t("연습용 결제창입니다. 실제로 결제되지 않습니다.",
                                 "A practice window. No money moves.")) }
            }
            div.bill {
                p.bill-name { (payment.name) }
                p.bill-amount { (money(payment.amount, &payment.currency)) }
                p.bill-order { (lang.t("주문번호", "Order")) " " (payment.merchant_uid) }
            }
            form method="post" action="/window/pay" {
                input type="hidden" name="imp_uid" value=(payment.imp_uid);
                input type="hidden" name="m_redirect_url" value=(way.m_redirect_url);
                input type="hidden" name="origin" value=(way.origin);
                input type="hidden" name="language" value=(lang.code());
                fieldset.methods {
                    legend { (lang.t("결제 수단", "How to pay")) }
                    @for (word, korean, english) in METHODS {
                        label.method {
                            input type="radio" name="method" value=(word) checked[word == chosen];
                            span { (lang.t(korean, english)) }
                        }
                    }
                }
                div.acts {
                    button.primary type="submit" name="act" value="pay" {
                        @let amount = money(payment.amount, &payment.currency);
                        @match lang {
                            Lang::Ko => { (amount) " 결제하기" }
                            Lang::En => { "Pay " (amount) }
                        }
                    }
                    button.danger type="submit" name="act" value="decline" {
                        (lang.t("카드사 거절로 실패시키기", "Fail: card declined"))
                    }
                    button.quiet type="submit" name="act" value="close" { (lang.t("닫기", "Close")) }
                }
            }
        }
    }
}

/// The last page in a frame: `window.js` posts what it carries to the shop's page.
fn result(lang: Lang, way: &Way, told: &Told<'_>, payment: Option<&Payment>) -> Markup {
    let good = told.error.is_none();
    let paid_amount = payment.filter(|one| one.status == Status::Paid).map(|one| {
        let scale = 10i64.pow(decimals(&one.currency));
        if scale == 1 {
            serde_json::Value::from(one.amount)
        } else {
            serde_json::Value::from(one.amount as f64 / scale as f64)
        }
    });
    let vbank = payment.and_then(Payment::vbank);
    let rsp = serde_json::json!({
        "imp_uid": told.imp_uid,
        "merchant_uid": told.merchant_uid,
        "success": good,
        "imp_success": good,
        "error_code": told.error.map(|error| error.0),
        "error_msg": told.error.map(|error| error.1),
        "status": payment.map(|one| one.status),
        "pay_method": payment.map(|one| &*one.method),
        "paid_amount": paid_amount,
        "vbank_num": vbank.map(|account| &account.number),
        "vbank_name": vbank.map(|account| &account.bank_name),
        "vbank_holder": vbank.map(|account| &account.holder),
        "vbank_date": vbank.map(|account| account.due_at),
    });
    // An account number has to be read before the window goes.
    let wait = vbank.is_some() && good;
    html! {
        main.sheet.result data-result=(rsp) data-to=(way.origin) data-wait=[wait.then_some("yes")] {
            @if let (Some(account), true) = (vbank, good) {
                h1 { (lang.t("입금을 기다립니다", "Waiting for your deposit")) }
                dl.facts {
                    dt { (lang.t("은행", "Bank")) } dd { (account.bank_name) }
                    dt { (lang.t("계좌번호", "Account")) } dd.mono { (account.number) }
                    dt { (lang.t("예금주", "Holder")) } dd { (account.holder) }
                }
                p.note { (lang.t("입금은 샌드박스 관리 화면에서 할 수 있습니다.",
                                 "Make the deposit on the sandbox's control page.")) }
                div.acts { button.primary type="button" data-done="yes" { (lang.t("확인", "Done")) } }
            } @else if good {
                h1 { (lang.t("결제되었습니다", "Paid")) }
            } @else {
                h1 { (lang.t("결제되지 않았습니다", "Not paid")) }
                p.note { (told.error.map(|error| error.1).unwrap_or_default()) }
            }
        }
    }
}

/// A window that is a page of its own and was not told where to go afterwards.
fn nowhere(lang: Lang, told: &Told<'_>) -> Markup {
    html! {
        main.sheet.result {
            @match told.error {
                None => h1 { (lang.t("결제가 접수되었습니다", "It is done")) },
                Some((_, why)) => {
                    h1 { (lang.t("결제되지 않았습니다", "Not paid")) }
                    p.note { (why) }
                }
            }
            p.note { (lang.t("돌아갈 주소(m_redirect_url)가 없습니다.",
                             "There is no m_redirect_url to go back to.")) }
        }
    }
}

/// An address that a browser may be sent to: http or https, nothing that runs.
fn http_url(text: &str) -> Option<Url> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
}
