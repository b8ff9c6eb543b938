//! The control page: everything the sandbox knows, and every way to disturb it, for a person.
//!
//! Plain forms that post and come back, so it works without scripts; a small one keeps it fresh.

use std::sync::Arc;

use axum::{
    Form, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use jiff::{
    Timestamp,
    tz::{self, TimeZone},
};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Delivery, Inner, Lang, SameSite, asset,
    books::{BooksError, Payment, Status, decimals},
    faults::{Fault, SCENARIOS, Scenario},
    lock,
    log::{Outcome, SeenRequest},
    money, slack,
    webhooks::{self, Encoding},
};

/// So many rows are shown of each list.
const PAYMENTS: usize = 50;
const ROWS: usize = 30;

pub(super) fn routes() -> Router<Arc<Inner>> {
    Router::new()
        .route("/sandbox", get(show))
        .route(
            "/sandbox/page.js",
            get(|| async {
                asset(
                    "text/javascript; charset=utf-8",
                    include_str!("assets/page.js"),
                )
            }),
        )
        .route("/sandbox/payments/{imp_uid}/cancel", post(cancel))
        .route("/sandbox/payments/{imp_uid}/deposit", post(deposit))
        .route("/sandbox/payments/{imp_uid}/webhook", post(webhook))
        .route("/sandbox/scenarios/{name}", post(scenario))
        .route("/sandbox/clear", post(clear))
        .route("/sandbox/settings", post(settings))
        .route("/sandbox/clock", post(clock))
}

/// What the address says about how to show the page.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Look {
    lang: Option<String>,
    /// An `imp_uid` or a `merchant_uid`.
    q: String,
    /// Why the last form was refused.
    error: String,
}

impl Look {
    /// Where a form comes back to.
    fn back(&self, error: Option<String>) -> Redirect {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(lang) = &self.lang {
            query.append_pair("lang", lang);
        }
        if let Some(error) = error {
            query.append_pair("error", &error);
        }
        match query.finish().as_str() {
            "" => Redirect::to("/sandbox"),
            query => Redirect::to(&format!("/sandbox?{query}")),
        }
    }
}

async fn show(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Query(look): Query<Look>,
) -> Response {
    let lang = Lang::choose(look.lang.as_deref(), &headers);
    let view = {
        let books = lock(&inner.books);
        let payments: Vec<Payment> = if look.q.is_empty() {
            books.newest(PAYMENTS).cloned().collect()
        } else {
            let one = books.get(&look.q).into_iter();
            one.chain(books.of_order(&look.q)).cloned().collect()
        };
        View {
            lang,
            look: &look,
            inner: &inner,
            count: books.count(),
            payments,
        }
    };
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                  img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
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
    (headers, view.page()).into_response()
}

#[derive(Deserialize)]
struct CancelForm {
    #[serde(default)]
    amount: String,
    #[serde(default)]
    reason: String,
}

async fn cancel(
    _: SameSite,
    State(inner): State<Arc<Inner>>,
    Path(imp_uid): Path<String>,
    Query(look): Query<Look>,
    Form(form): Form<CancelForm>,
) -> Response {
    let amount = match form.amount.trim() {
        "" => None,
        text => match text.parse::<f64>() {
            Ok(major) => {
                let books = lock(&inner.books);
                let currency = books.get(&imp_uid).map(|payment| payment.currency.clone());
                drop(books);
                let currency = currency.as_deref().unwrap_or("KRW");
                Some(super::v1::to_smallest(major, currency))
            }
            Err(error) => return look.back(Some(error.to_string())).into_response(),
        },
    };
    let reason = match form.reason.trim() {
        "" => "콘솔 취소",
        given => given,
    };
    let done = inner.cancel_at_console(&imp_uid, amount, reason);
    tell_or_say(&inner, &look, &imp_uid, done.map(|_| ()))
}

async fn deposit(
    _: SameSite,
    State(inner): State<Arc<Inner>>,
    Path(imp_uid): Path<String>,
    Query(look): Query<Look>,
) -> Response {
    let now = inner.now();
    let done = lock(&inner.books).deposit(&imp_uid, now);
    tell_or_say(&inner, &look, &imp_uid, done)
}

/// What was done at the console is told to the merchant; what was refused, to the person.
fn tell_or_say(
    inner: &Arc<Inner>,
    look: &Look,
    imp_uid: &str,
    done: Result<(), BooksError>,
) -> Response {
    match done {
        Ok(()) => {
            webhooks::tell(inner, imp_uid);
            look.back(None).into_response()
        }
        Err(error) => look.back(Some(error.to_string())).into_response(),
    }
}

#[derive(Deserialize)]
struct WebhookForm {
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

async fn webhook(
    _: SameSite,
    State(inner): State<Arc<Inner>>,
    Path(imp_uid): Path<String>,
    Query(look): Query<Look>,
    Form(form): Form<WebhookForm>,
) -> Response {
    for _ in 0..form.times.min(10) {
        let (inner, imp_uid) = (inner.clone(), imp_uid.clone());
        // The page shows what became of it among the deliveries.
        tokio::spawn(async move { webhooks::send_now(&inner, &imp_uid).await });
    }
    look.back(None).into_response()
}

#[derive(Deserialize)]
struct Switch {
    set: String,
}

async fn scenario(
    _: SameSite,
    State(inner): State<Arc<Inner>>,
    Path(name): Path<String>,
    Query(look): Query<Look>,
    Form(form): Form<Switch>,
) -> Response {
    let Some(scenario) = Scenario::named(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    inner.faults.clear_scenario(&name);
    if form.set == "on" {
        for fault in scenario.faults() {
            inner.faults.add(fault);
        }
    }
    look.back(None).into_response()
}

async fn clear(_: SameSite, State(inner): State<Arc<Inner>>, Query(look): Query<Look>) -> Response {
    inner.faults.clear();
    look.back(None).into_response()
}

#[derive(Deserialize)]
struct SettingsForm {
    webhook_url: String,
    encoding: String,
}

async fn settings(
    _: SameSite,
    State(inner): State<Arc<Inner>>,
    Query(look): Query<Look>,
    Form(form): Form<SettingsForm>,
) -> Response {
    let url = form.webhook_url.trim();
    if !url.is_empty() && url::Url::parse(url).is_err() {
        return look.back(Some(format!("{url}: ?"))).into_response();
    }
    let mut console = lock(&inner.console);
    console.url = (!url.is_empty()).then(|| url.to_owned());
    console.encoding = match form.encoding.as_str() {
        "form" => Encoding::Form,
        _ => Encoding::Json,
    };
    drop(console);
    look.back(None).into_response()
}

#[derive(Deserialize)]
struct ClockForm {
    /// Seconds to move ahead.
    ahead: i64,
}

async fn clock(
    _: SameSite,
    State(inner): State<Arc<Inner>>,
    Query(look): Query<Look>,
    Form(form): Form<ClockForm>,
) -> Response {
    let moved = inner.advance(form.ahead.clamp(0, 366 * 24 * 60 * 60) * 1_000);
    look.back(moved.err().map(|error| error.to_string()))
        .into_response()
}

struct View<'a> {
    lang: Lang,
    look: &'a Look,
    inner: &'a Inner,
    count: usize,
    payments: Vec<Payment>,
}

impl View<'_> {
    fn t(&self, korean: &'static str, english: &'static str) -> &'static str {
        self.lang.t(korean, english)
    }

    /// A form's target, which keeps the page's language.
    fn to(&self, path: &str) -> String {
        format!("/sandbox{path}?lang={}", self.lang.code())
    }

    fn page(&self) -> Markup {
        let title = self.t("포트원 샌드박스", "PortOne sandbox");
        html! {
            (DOCTYPE)
            html lang=(self.lang.code()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (title) }
                    link rel="stylesheet" href="/sandbox/sandbox.css";
                    script src="/sandbox/page.js" defer {}
                }
                body {
                    div.page {
                        header.bar {
                            h1 { (title) }
                            nav.lang aria-label="language" {
                                (self.language(Lang::Ko, "한국어"))
                                (self.language(Lang::En, "English"))
                            }
                            p.note {
                                (self.t("포트원 V1과 똑같이 말하고 장부를 따로 적는 연습용 결제사입니다. 여기서 결제사를 고장 내고, 서버가 어떻게 버티는지 보세요.",
                                        "A practice gateway that speaks PortOne V1 and keeps its own books. Break it here, and see how your server copes."))
                            }
                        }
                        @if !self.look.error.is_empty() {
                            p.banner role="alert" { (self.look.error) }
                        }
                        (self.stats())
                        nav.jump {
                            a href="#payments" { (self.t("결제", "Payments")) }
                            a href="#faults" { (self.t("장애", "Faults")) }
                            a href="#slack" { "Slack" }
                            a href="#deliveries" { (self.t("웹훅", "Webhooks")) }
                            a href="#requests" { (self.t("요청", "Requests")) }
                        }
                        div.columns {
                            main { (self.payment_list()) (self.slack_list()) (self.delivery_list()) (self.request_list()) }
                            aside { (self.fault_list()) (self.console()) }
                        }
                    }
                }
            }
        }
    }

    fn language(&self, lang: Lang, name: &str) -> Markup {
        let here = (lang == self.lang).then_some("true");
        html! { a href={ "/sandbox?lang=" (lang.code()) } lang=(lang.code()) aria-current=[here] { (name) } }
    }

    fn stats(&self) -> Markup {
        let wrong = lock(&self.inner.books).check_recent(PAYMENTS);
        let faults = self.inner.faults.list().len();
        let clock = clock_text(self.inner.now());
        html! {
            dl.stats #stats data-live {
                div.stat { dt { (self.t("결제", "Payments")) } dd { (self.count) } }
                div.stat { dt { (self.t("취소 요청", "Cancel calls")) } dd { (self.inner.log.counted("cancel")) } }
                div.stat.(if faults == 0 { "good" } else { "bad" }) {
                    dt { (self.t("켜진 장애", "Faults set")) } dd { (faults) }
                }
                div.stat.(if wrong.is_empty() { "good" } else { "bad" }) {
                    dt { (self.t("장부 검산", "Books")) }
                    dd {
                        @if wrong.is_empty() { (self.t("맞음", "add up")) }
                        @else { (wrong.join(", ")) }
                    }
                }
                div.stat { dt { (self.t("샌드박스 시각", "Sandbox clock")) } dd { (clock) } }
            }
        }
    }

    fn payment_list(&self) -> Markup {
        html! {
            section.card #payments data-live {
                header {
                    h2 { (self.t("결제", "Payments")) }
                    form.inline method="get" action="/sandbox" {
                        input type="hidden" name="lang" value=(self.lang.code());
                        input type="text" name="q" value=(self.look.q)
                            placeholder=(self.t("imp_uid 또는 주문번호", "imp_uid or order"))
                            aria-label=(self.t("결제 찾기", "Find a payment"));
                        button type="submit" { (self.t("찾기", "Find")) }
                    }
                }
                @if self.payments.is_empty() {
                    p.empty { (self.t("아직 결제가 없습니다.", "No payments yet.")) }
                } @else {
                    ul.rows.scroll.tall { @for payment in &self.payments { (self.payment(payment)) } }
                }
            }
        }
    }

    fn payment(&self, payment: &Payment) -> Markup {
        let currency = &payment.currency;
        let waits = payment.status == Status::Ready && payment.vbank().is_some();
        let can_cancel =
            matches!(payment.status, Status::Paid | Status::Cancelled) && payment.left() > 0;
        let path = |what: &str| self.to(&format!("/payments/{}/{what}", payment.imp_uid));
        html! {
            li id=(payment.imp_uid) {
                div.line {
                    span.grow {
                        strong { (payment.name) } " "
                        span.note { (payment.merchant_uid) }
                    }
                    (self.status(payment))
                    span.amount { (money(payment.amount, currency)) }
                }
                div.line {
                    code.note { (payment.imp_uid) }
                    span.note {
                        (payment.method) " · " (time_text(payment.instant()))
                        @if payment.sandbox { " · " (self.t("테스트 채널", "test channel")) }
                    }
                }
                @if !payment.cancels.is_empty() {
                    ol.history {
                        @for cancel in &payment.cancels {
                            li {
                                span.amount.back { (money(-cancel.amount, currency)) } " "
                                (cancel.reason) " "
                                span.note { (time_text(cancel.cancelled_at)) " · " (cancel.cancellation_id) }
                            }
                        }
                        li.note { (self.t("남은 금액", "Left")) " " (money(payment.left(), currency)) }
                    }
                }
                details.menu {
                    summary { (self.t("조작", "Actions")) }
                    div.buttons {
                        @if waits {
                            form method="post" action=(path("deposit")) {
                                button.primary type="submit" { (self.t("입금하기", "Deposit")) }
                            }
                        }
                        @if can_cancel {
                            form method="post" action=(path("cancel")) {
                                button type="submit" {
                                    (self.t("콘솔에서 전액 취소", "Cancel all at the console"))
                                }
                            }
                            form method="post" action=(path("cancel")) {
                                input type="number" name="amount" min=(step(currency)) step=(step(currency))
                                    required aria-label=(self.t("취소 금액", "Amount to cancel"))
                                    placeholder=(self.t("금액", "Amount"));
                                button type="submit" { (self.t("부분 취소", "Cancel a part")) }
                            }
                        }
                        form method="post" action=(path("webhook")) {
                            button type="submit" { (self.t("웹훅 다시 보내기", "Send webhook again")) }
                        }
                        form method="post" action=(path("webhook")) {
                            input type="hidden" name="times" value="2";
                            button type="submit" { (self.t("두 번 보내기", "Send it twice")) }
                        }
                    }
                }
            }
        }
    }

    fn status(&self, payment: &Payment) -> Markup {
        let text = match payment.status {
            Status::Ready if payment.vbank().is_some() => self.t("입금 대기", "waits for deposit"),
            Status::Ready => self.t("미결제", "ready"),
            Status::Paid => self.t("결제완료", "paid"),
            Status::Failed => self.t("결제실패", "failed"),
            Status::Cancelled if payment.left() > 0 => self.t("부분취소", "partly cancelled"),
            Status::Cancelled => self.t("전액취소", "cancelled"),
        };
        html! { span.tag.(payment.status.word()) { (text) } }
    }

    fn fault_list(&self) -> Markup {
        let faults = self.inner.faults.list();
        let own: Vec<_> = faults.iter().filter(|one| one.scenario.is_none()).collect();
        html! {
            section.card #faults data-live {
                header {
                    h2 { (self.t("장애 스위치", "Faults")) }
                    form method="post" action=(self.to("/clear")) {
                        button type="submit" { (self.t("모두 끄기", "Clear all")) }
                    }
                }
                ul.rows {
                    @for one in SCENARIOS { (self.switch(one, &faults)) }
                    @for fault in own {
                        li.switch.on {
                            code { (serde_json::to_string(fault).unwrap_or_default()) }
                            span.tag.on { (self.t("켜짐", "on")) }
                        }
                    }
                }
            }
        }
    }

    fn switch(&self, scenario: &Scenario, faults: &[Fault]) -> Markup {
        let mine: Vec<_> = faults
            .iter()
            .filter(|fault| fault.scenario.as_deref() == Some(scenario.name))
            .collect();
        let on = !mine.is_empty();
        let left = mine.iter().find_map(|fault| fault.times);
        html! {
            li.switch.(if on { "on" } else { "off" }) {
                div {
                    p { (self.t(scenario.korean, scenario.english)) }
                    @if on {
                        p.state {
                            @match left {
                                Some(left) => { (self.t("켜짐 · 남은 횟수 ", "on · times left ")) (left) }
                                None => (self.t("켜짐 · 끌 때까지", "on · until cleared")),
                            }
                        }
                    }
                }
                form method="post" action=(self.to(&format!("/scenarios/{}", scenario.name))) {
                    input type="hidden" name="set" value=(if on { "off" } else { "on" });
                    button type="submit" aria-pressed=(on) {
                        @if on { (self.t("끄기", "Turn off")) } @else { (self.t("켜기", "Turn on")) }
                    }
                }
            }
        }
    }

    fn slack_list(&self) -> Markup {
        let messages = lock(&self.inner.slack);
        html! {
            section.card #slack data-live {
                header { h2 { (self.t("Slack이 받은 메시지", "What Slack got")) } span.note { (messages.len()) } }
                @if messages.is_empty() {
                    p.empty { (self.t("아직 없습니다.", "Nothing yet.")) }
                } @else {
                    ul.rows.scroll {
                        @for message in messages.iter().rev().take(ROWS) {
                            li {
                                span.note { (time_text(message.at.div_euclid(1_000))) }
                                (slack_message(message))
                            }
                        }
                    }
                }
            }
        }
    }

    fn delivery_list(&self) -> Markup {
        let deliveries = lock(&self.inner.deliveries);
        html! {
            section.card #deliveries data-live {
                header { h2 { (self.t("보낸 웹훅", "Webhooks sent")) } span.note { (deliveries.len()) } }
                @if deliveries.is_empty() {
                    p.empty { (self.t("아직 없습니다.", "Nothing yet.")) }
                } @else {
                    ul.rows.scroll.seen { @for one in deliveries.iter().rev().take(ROWS) { (delivery(one)) } }
                }
            }
        }
    }

    fn request_list(&self) -> Markup {
        let requests = self.inner.log.last(ROWS);
        html! {
            section.card #requests data-live {
                header { h2 { (self.t("받은 요청", "Requests seen")) } }
                @if requests.is_empty() {
                    p.empty { (self.t("아직 없습니다.", "Nothing yet.")) }
                } @else {
                    ul.rows.scroll.seen { @for one in requests.iter().rev() { (self.request(one)) } }
                }
            }
        }
    }

    fn request(&self, request: &SeenRequest) -> Markup {
        let (class, text) = match request.outcome {
            Outcome::Answered { status, code } if status < 300 && code == 0 => {
                ("ok", status.to_string())
            }
            Outcome::Answered { status, code } => ("no", format!("{status} · code {code}")),
            Outcome::Cut { done: true } => (
                "no",
                self.t("처리함 · 연결 끊음", "done · line cut").to_owned(),
            ),
            Outcome::Cut { done: false } => ("no", self.t("연결 끊음", "line cut").to_owned()),
        };
        html! {
            li {
                div.line {
                    code.grow { (request.method) " " (request.path) }
                    @if request.fault { span.tag.on { (self.t("장애", "fault")) } }
                    span.tag.(class) { (text) }
                    span.note { (time_text(request.at.div_euclid(1_000))) }
                }
                @if let Some(body) = &request.body { code.note { (body) } }
            }
        }
    }

    fn console(&self) -> Markup {
        let (url, encoding) = {
            let console = lock(&self.inner.console);
            (console.url.clone().unwrap_or_default(), console.encoding)
        };
        html! {
            section.card {
                header { h2 { (self.t("콘솔 설정", "Console")) } }
                form.body method="post" action=(self.to("/settings")) {
                    label.field {
                        (self.t("웹훅 URL", "Webhook URL"))
                        input type="url" name="webhook_url" value=(url) placeholder="http://127.0.0.1:8080/…";
                    }
                    label.field {
                        (self.t("웹훅 형식", "Webhook encoding"))
                        select name="encoding" {
                            option value="json" selected[encoding == Encoding::Json] { "application/json" }
                            option value="form" selected[encoding == Encoding::Form] { "application/x-www-form-urlencoded" }
                        }
                    }
                    button type="submit" { (self.t("저장", "Save")) }
                }
                form.body method="post" action=(self.to("/clock")) {
                    p.note {
                        (self.t("장부의 시계를 앞으로 돌립니다. 되돌릴 수는 없습니다.",
                                "Moves the books' clock ahead. There is no way back."))
                    }
                    div.buttons {
                        button type="submit" name="ahead" value=(until_night(self.inner.now())) {
                            (self.t("내일 새벽 1시 (오늘 정산)", "1 a.m. tomorrow (today is settled)"))
                        }
                        button type="submit" name="ahead" value="3600" { (self.t("1시간", "1 hour")) }
                        button type="submit" name="ahead" value="86400" { (self.t("하루", "1 day")) }
                        button type="submit" name="ahead" value="2592000" { (self.t("30일", "30 days")) }
                    }
                }
            }
        }
    }
}

/// Seconds until it is a moment past one tomorrow in Seoul, nine hours ahead of UTC: when a shop has
/// settled today, also if it is soon after midnight now.
fn until_night(now: i64) -> i64 {
    const DAY: i64 = 86_400;
    DAY - (now + 9 * 3_600).rem_euclid(DAY) + 3_602
}

fn delivery(one: &Delivery) -> Markup {
    let good = (200..300).contains(&one.answer);
    html! {
        li {
            div.line {
                code.grow { (one.imp_uid) " " (one.status) }
                span.tag.(if good { "ok" } else { "no" }) {
                    @if one.answer == 0 { "✕" } @else { (one.answer) }
                }
                span.note { (time_text(one.at.div_euclid(1_000))) }
            }
            span.note { (one.url) " → " (one.detail) }
        }
    }
}

/// A message as Slack would lay it out: header, text, fields, buttons. What it does not know of is
/// left out; nothing in it is trusted.
fn slack_message(message: &slack::Message) -> Markup {
    let payload = &message.payload;
    let blocks = |of: &Value| of.get("blocks").and_then(Value::as_array).cloned();
    let attachments = payload.get("attachments").and_then(Value::as_array);
    let mut all = blocks(payload).unwrap_or_default();
    for attachment in attachments.into_iter().flatten() {
        all.extend(blocks(attachment).unwrap_or_default());
    }
    html! {
        div.slack {
            @if all.is_empty() { p { (text_of(payload)) } }
            @for block in &all { (slack_block(block)) }
        }
    }
}

fn slack_block(block: &Value) -> Markup {
    let list = |name: &str| {
        block
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let is = |kind: &str| block.get("type").and_then(Value::as_str) == Some(kind);
    html! {
        @if is("header") {
            strong { (text_of(block)) }
        } @else if is("section") {
            p { (text_of(block)) }
            @let fields = list("fields");
            @if !fields.is_empty() {
                div.fields { @for field in &fields { span { (plain(field)) } } }
            }
        } @else if is("context") {
            p.context { @for part in &list("elements") { (plain(part)) " " } }
        } @else if is("actions") {
            div.links { @for part in &list("elements") { (slack_button(part)) } }
        }
    }
}

fn slack_button(button: &Value) -> Markup {
    let target = button.get("url").and_then(Value::as_str);
    let safe = target.filter(|url| url.starts_with("http://") || url.starts_with("https://"));
    html! {
        @match safe {
            Some(url) => a href=(url) rel="noreferrer" { (text_of(button)) },
            None => span.tag { (text_of(button)) },
        }
    }
}

/// The `text` of a thing, which is a string or an object that holds one.
fn text_of(of: &Value) -> String {
    of.get("text").map(plain).unwrap_or_default()
}

fn plain(text: &Value) -> String {
    let raw = text
        .as_str()
        .or_else(|| text.get("text").and_then(Value::as_str))
        .unwrap_or_default();
    // `&`, `<` and `>` come escaped; the page escapes for itself.
    raw.replace('*', "")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn step(currency: &str) -> &'static str {
    match decimals(currency) {
        0 => "1",
        _ => "0.01",
    }
}

fn zoned(seconds: i64) -> Option<jiff::Zoned> {
    let at = Timestamp::from_second(seconds).ok()?;
    Some(at.to_zoned(TimeZone::fixed(tz::offset(9))))
}

fn time_text(seconds: i64) -> String {
    zoned(seconds)
        .map(|at| at.strftime("%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}

fn clock_text(seconds: i64) -> String {
    zoned(seconds)
        .map(|at| at.strftime("%m-%d %H:%M").to_string())
        .unwrap_or_default()
}
