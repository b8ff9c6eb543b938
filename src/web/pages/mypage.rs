//! `/payment/mypage`: the payments, as the shop looks at them.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};
use url::form_urlencoded;

use super::{
    icons::{Icon, icon},
    parts,
};
use super::{
    layout::{Fields, Look, Page, Part, field, layout, payment_path, segment},
    mine,
    saved::{self, Column, Kept, Shown, column},
    words,
};
use crate::{
    domain::{
        calendar::KstDay,
        payment::{Hold, Status},
    },
    store::{
        StoreError, glance, orders,
        payment_lists::{self, Listed},
        payments::{self, PaymentRow},
        preferences::List,
    },
    web::{Web, api::ListQuery, auth::Actor, error::Problem, extract::Q, lang::Lang},
};

/// What may stand in the address, in the order of the form.
const FILTERS: [&str; 10] = [
    "q", "status", "from", "to", "partner", "method", "amount", "held", "hold", "unknown",
];

/// What a row can show beside the order and the buyer.
pub const COLUMNS: [Column; 8] = [
    column("when", "일시", "Time", true),
    column("method", "결제수단", "Method", true),
    column("state", "상태", "State", true),
    column("amount", "결제 금액", "Amount", true),
    column("cancelled", "취소", "Cancelled", true),
    column("left", "잔액", "Left", true),
    column("imp_uid", "결제번호", "Payment id", false),
    column("card", "카드사", "Card", false),
];

/// How much waits for a person.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attention {
    pub dead: i64,
    pub held: i64,
}

pub struct View<'a> {
    pub fields: &'a Fields,
    pub rows: &'a [PaymentRow],
    pub next: Option<&'a str>,
    /// The page is short because it was looked for long enough; the last that was looked at is of then.
    pub looked_until: Option<Timestamp>,
    pub partners: &'a [(String, String)],
    pub methods: &'a [String],
    pub attention: Attention,
    pub today: KstDay,
    pub columns: &'a Shown,
    pub kept: &'a Kept,
    /// A filter that cannot be read.
    pub wrong: Option<&'a str>,
}

impl View<'_> {
    fn filtered(&self) -> bool {
        FILTERS
            .iter()
            .any(|name| field(self.fields, name).is_some())
    }
}

pub fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let body = html! {
        div.head {
            h1 { (lang.t("결제 내역", "Payments")) }
            p.live #live-state data-on=(lang.t("실시간", "Live")) data-off=(lang.t("연결이 끊겨 다시 연결하는 중", "Connection lost, trying again")) hidden {}
        }
        (attention(view.attention, lang))
        (filters(view, lang))
        (saved::filters(view.kept, List::Payments, view.fields, lang))
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        @if field(view.fields, "after").is_none() {
            p #news role="status" hidden data-text=(lang.t("목록에 없는 결제 {n}건에 새 소식이 있습니다. 새로 보기", "News of {n} payments that are not listed here: show")) {
                a.button href=(address(view.fields, None)) {}
            }
        }
        div hx-ext="sse" sse-connect="/api/payment/events" sse-swap="payment,resync" hx-swap="none" #feed {
            @if view.rows.is_empty() && view.looked_until.is_some() {
                (looking(view, lang))
            } @else if view.rows.is_empty() {
                (empty(view, lang))
            } @else {
                table.rows {
                    thead { tr {
                        @if view.columns.has("when") { th scope="col" { (lang.t("일시", "Time")) " (KST)" } }
                        th scope="col" { (lang.t("주문 · 구매자", "Order · buyer")) }
                        @if view.columns.has("imp_uid") { th scope="col" { (lang.t("결제번호", "Payment id")) } }
                        @if view.columns.has("method") { th scope="col" { (lang.t("결제수단", "Method")) } }
                        @if view.columns.has("card") { th scope="col" { (lang.t("카드사", "Card")) } }
                        @if view.columns.has("state") { th scope="col" { (lang.t("상태", "State")) } }
                        @if view.columns.has("amount") { th.num scope="col" { (lang.t("결제 금액", "Amount")) } }
                        @if view.columns.has("cancelled") { th.num scope="col" { (lang.t("취소", "Cancelled")) } }
                        @if view.columns.has("left") { th.num scope="col" { (lang.t("잔액", "Left")) } }
                        th scope="col" { span.hidden { (lang.t("할 일", "Actions")) } }
                    } }
                    tbody { @for payment in view.rows { (row(payment, view.columns, lang)) } }
                }
            }
        }
        @if !view.rows.is_empty() {
            (saved::columns(view.columns, view.kept, List::Payments, view.fields, lang))
            @let newest = field(view.fields, "after").map(|_| address(view.fields, None));
            @let next = view.next.map(|next| address(view.fields, Some(next)));
            @if let Some(at) = view.looked_until { (looked_until(at, lang)) }
            (parts::pager(lang, newest.as_deref(), next.as_deref()))
        }
    };
    let page = Page {
        title: lang.t("결제 내역", "Payments"),
        part: Part::Payments,
        live: true,
        ..Page::default()
    };
    layout(look, page, body)
}

/// What waits for a person, on top.
pub fn attention(of: Attention, lang: Lang) -> Markup {
    let many = |count: i64| {
        if count >= glance::MOST {
            format!("{}+", glance::MOST - 1)
        } else {
            count.to_string()
        }
    };
    html! {
        div.attention #attention hx-get="/payment/mypage/attention" hx-trigger="changed" hx-swap="outerHTML" {
            @if of.dead > 0 {
                a.message.bad href="/admin/dead-letters" {
                    span { (lang.t("사람이 처리해야 하는 데드레터", "Dead letters that need a person")) }
                    strong { (many(of.dead)) (lang.t("건", "")) }
                }
            }
            @if of.held > 0 {
                a.message.wait href="/payment/mypage?held=1" {
                    span { (lang.t("확인이 필요한 보류 결제", "Held payments to look into")) }
                    strong { (many(of.held)) (lang.t("건", "")) }
                }
            }
        }
    }
}

fn filters(view: &View<'_>, lang: Lang) -> Markup {
    let value = |name: &str| field(view.fields, name).unwrap_or_default();
    let option = |name: &str, code: &str, text: &str| {
        html! { option value=(code) selected[value(name) == code] { (text) } }
    };
    let more = [
        "status", "from", "to", "partner", "method", "amount", "held", "hold", "unknown",
    ]
    .iter()
    .any(|name| field(view.fields, name).is_some());
    html! {
        form.filters method="get" action="/payment/mypage" role="search" {
            div.inline {
                label.field.grow {
                    span.hidden { (lang.t("검색", "Search")) }
                    input type="search" name="q" value=(value("q")) maxlength="100"
                        placeholder=(lang.t("주문, 구매자, 전화번호, 결제번호로 검색", "Search order, buyer, phone, payment id"));
                }
                button.primary { (lang.t("검색", "Search")) }
            }
            details open[more] {
                summary { (lang.t("조건", "Filters")) }
                div.fields {
                    label.field {
                        span { (lang.t("상태", "State")) }
                        select name="status" {
                            (option("status", "", lang.t("전체", "All")))
                            @for status in Status::ALL { (option("status", status.as_str(), words::status(status, lang))) }
                        }
                    }
                    label.field { span { (lang.t("시작일", "From")) } input type="date" name="from" value=(value("from")); }
                    label.field { span { (lang.t("종료일", "To")) } input type="date" name="to" value=(value("to")); }
                    label.field {
                        span { (lang.t("파트너사", "Partner")) }
                        select name="partner" {
                            (option("partner", "", lang.t("전체", "All")))
                            @for (id, name) in view.partners { (option("partner", id, name)) }
                        }
                    }
                    label.field {
                        span { (lang.t("결제수단", "Method")) }
                        select name="method" {
                            (option("method", "", lang.t("전체", "All")))
                            @for code in view.methods { (option("method", code, words::method(code, lang))) }
                        }
                    }
                    label.field {
                        span { (lang.t("금액", "Amount")) }
                        input name="amount" value=(value("amount")) inputmode="numeric" autocomplete="off" maxlength="20" placeholder="12,000";
                    }
                    label.field {
                        span { (lang.t("보류 사유", "Held for")) }
                        select name="hold" {
                            (option("hold", "", lang.t("전체", "All")))
                            @for code in Hold::CODES { (option("hold", code, words::hold_reason(code, lang))) }
                        }
                    }
                    label.check {
                        input type="checkbox" name="held" value="1" checked[!value("held").is_empty()];
                        span { (lang.t("보류만", "Held only")) }
                    }
                    label.check {
                        input type="checkbox" name="unknown" value="1" checked[!value("unknown").is_empty()];
                        span { (lang.t("취소 결과 불명만", "Cancels of unknown outcome only")) }
                    }
                }
            }
            div.chips {
                a href=(format!("/payment/mypage?from={0}&to={0}", view.today)) { (lang.t("오늘", "Today")) }
                a href="/payment/mypage?status=CANCEL_FAILED" { (words::status(Status::CancelFailed, lang)) }
                a href="/payment/mypage?status=CANCEL_REQUESTED" { (words::status(Status::CancelRequested, lang)) }
                @if view.filtered() { a.clear href="/payment/mypage" { "✕ " (lang.t("조건 지우기", "Clear")) } }
            }
        }
    }
}

fn looked_until(at: Timestamp, lang: Lang) -> Markup {
    let day = KstDay::of(at);
    html! {
        p.soft { (lang.t(
            format!("{day} 결제까지 찾아본 결과입니다. 더 오래된 결제에도 있을 수 있습니다."),
            format!("Looked through as far back as {day}: there may be more among older payments."),
        )) }
    }
}

/// Nothing fits so far, and there is more to look through: a browser with scripts goes on by itself.
fn looking(view: &View<'_>, lang: Lang) -> Markup {
    let next = view.next.map(|next| address(view.fields, Some(next)));
    html! {
        section.sheet.centre.empty role="status" {
            p.big-sign aria-hidden="true" { (icon(Icon::Search)) }
            p.big { (lang.t("아직 맞는 결제를 찾지 못했습니다.", "Nothing that fits so far.")) }
            @if let Some(at) = view.looked_until { (looked_until(at, lang)) }
            @if let Some(next) = next {
                p { a.button.primary #look-on href=(next) hx-get=(next) hx-trigger="click, load delay:50ms" hx-target="#main" hx-select="#main" hx-swap="outerHTML" hx-replace-url="true" {
                    (lang.t("더 오래된 결제에서 찾기", "Look through older ones"))
                } }
            }
        }
    }
}

fn empty(view: &View<'_>, lang: Lang) -> Markup {
    html! {
        @if view.wrong.is_some() {
            (parts::none_yet(Icon::Search, lang.t("조건을 고쳐서 다시 검색해 주세요.", "Correct the filter and search again.")))
        } @else if view.filtered() || field(view.fields, "after").is_some() {
            (parts::nothing_fits(lang.t("조건에 맞는 결제가 없습니다.", "No payment fits."), "/payment/mypage", lang))
        } @else {
            (parts::empty(&parts::Empty {
                icon: Icon::Card,
                title: lang.t("아직 결제가 없습니다.", "There are no payments yet."),
                text: lang.t("결제가 들어오면 이 화면에 저절로 나타납니다.", "They appear here by themselves as they come in."),
                action: Some(("/payment", lang.t("첫 결제 해 보기", "Make the first one"))),
            }))
        }
    }
}

/// One payment of the list; it is fetched anew whenever its state changes.
pub fn row(payment: &PaymentRow, columns: &Shown, lang: Lang) -> Markup {
    let path = payment_path(&payment.imp_uid);
    let buyer = words::masked_name(&payment.about.buyer_name);
    let open = matches!(payment.status, Status::Ready | Status::CancelRequested);
    let cancellable = matches!(payment.status, Status::Paid | Status::PartialCanceled);
    let name = match payment.about.name.trim() {
        "" => &payment.merchant_uid,
        name => name,
    };
    html! {
        tr data-payment=(payment.imp_uid) data-open[open]
            hx-get={ "/payment/mypage/rows/" (segment(&payment.imp_uid)) } hx-trigger="changed delay:100ms" hx-target="this" hx-swap="outerHTML"
        {
            @if columns.has("when") { (parts::date_cell(lang.t("일시", "Time"), payment.at)) }
            td.what {
                a.main href=(path) { (name) }
                div.soft.small {
                    code { (payment.merchant_uid) }
                    @if !buyer.is_empty() { " · " (buyer) }
                }
            }
            @if columns.has("imp_uid") { td.method data-label=(lang.t("결제번호", "Payment id")) { code { (payment.imp_uid) } } }
            @if columns.has("method") {
                td.method data-label=(lang.t("결제수단", "Method")) { (words::method(&payment.about.method, lang)) }
            }
            @if columns.has("card") { td.method data-label=(lang.t("카드사", "Card")) { (payment.about.card_name) } }
            @if columns.has("state") {
                td.state {
                    (words::badge(payment.status, lang))
                    @if payment.hold.is_some() { " " (words::held_badge(lang)) }
                }
            }
            @if columns.has("amount") { td.num data-label=(lang.t("결제 금액", "Amount")) { strong { (payment.amount) } } }
            @if columns.has("cancelled") { (parts::money_cell(lang.t("취소", "Cancelled"), payment.cancelled_amount)) }
            @if columns.has("left") { (parts::money_cell(lang.t("잔액", "Left"), payment.balance)) }
            td.act {
                @if cancellable {
                    a.button.small href={ (path) "/cancel" } {
                        (lang.t("취소", "Cancel")) span.hidden { " " (name) }
                    }
                } @else {
                    a.button.small href=(path) { (lang.t("보기", "Open")) span.hidden { " " (name) } }
                }
            }
        }
    }
}

/// The address of this list, on another page.
fn address(fields: &Fields, after: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in FILTERS {
        if let Some(value) = field(fields, name) {
            query.append_pair(name, value);
        }
    }
    if let Some(after) = after {
        query.append_pair("after", after);
    }
    let query = query.finish();
    if query.is_empty() {
        "/payment/mypage".to_owned()
    } else {
        format!("/payment/mypage?{query}")
    }
}

fn list_query(fields: &Fields) -> ListQuery {
    let set = |name: &str| field(fields, name).map(str::to_owned);
    ListQuery {
        status: set("status"),
        held: set("held"),
        hold: set("hold"),
        unknown: set("unknown"),
        from: set("from"),
        to: set("to"),
        partner: set("partner"),
        method: set("method"),
        amount: set("amount"),
        q: set("q"),
        after: set("after"),
        limit: set("limit"),
    }
}

fn count(conn: &rusqlite::Connection) -> Result<Attention, StoreError> {
    Ok(Attention {
        dead: glance::dead_letters(conn)?,
        held: glance::held(conn)?,
    })
}

/// `GET /payment/mypage`: the shop's people see all of it, a buyer what is theirs.
pub async fn show(State(web): State<Web>, look: Look, Q(fields): Q<Fields>) -> Response {
    let shown = match (&look.actor, &look.buyer) {
        (Some(_), _) => list(&web, &look, &fields).await,
        (None, Some(buyer)) => mine::list(&web, &look, buyer, &fields),
        (None, None) => Err(Problem::unauthorized()),
    };
    look.answer(shown)
}

async fn list(web: &Web, look: &Look, fields: &Fields) -> Result<Response, Problem> {
    let store = &web.ctx.store;
    let (listed, wrong) = match list_query(fields).read() {
        Ok((filter, after, limit)) => {
            let looks = filter.is_looked_for();
            let find =
                move |conn: &rusqlite::Connection| payment_lists::list(conn, &filter, after, limit);
            let listed = match looks {
                true => store.read_long(find).await?,
                false => store.read(find)?,
            };
            (listed, None)
        }
        Err(problem) => (Listed::default(), Some(problem)),
    };
    let next = listed.next.map(|cursor| cursor.to_string());
    let (partners, methods, attention) = store.read(|conn| {
        Ok::<_, StoreError>((
            orders::partners(conn)?,
            payments::methods(conn)?,
            count(conn)?,
        ))
    })?;
    let view = View {
        fields,
        rows: &listed.rows,
        next: next.as_deref(),
        looked_until: listed.looked_until,
        partners: &partners,
        methods: &methods,
        attention,
        today: KstDay::of(store.now()),
        columns: &saved::shown(web, look.actor.as_ref(), List::Payments, &COLUMNS)?,
        kept: &saved::kept(web, look.actor.as_ref(), List::Payments)?,
        wrong: wrong.as_ref().map(|problem| problem.sentence(look.lang)),
    };
    let status = wrong
        .as_ref()
        .map_or(StatusCode::OK, |problem| problem.status);
    Ok((status, page(look, &view)).into_response())
}

/// `GET /payment/mypage/rows/{imp_uid}`: one row, after its payment changed.
pub async fn row_changed(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(imp_uid): Path<String>,
) -> Response {
    let read = |conn: &rusqlite::Connection| payments::show(conn, &imp_uid);
    let columns = saved::shown(&web, Some(&actor), List::Payments, &COLUMNS);
    match columns.and_then(|columns| Ok((columns, web.ctx.store.read(read)?))) {
        Ok((columns, Some(payment))) => row(&payment, &columns, lang).into_response(),
        Ok((_, None)) => Problem::not_found(&imp_uid).lang(lang).into_response(),
        Err(error) => Problem::from(error).lang(lang).into_response(),
    }
}

/// `GET /payment/mypage/attention`
pub async fn attention_changed(State(web): State<Web>, _: Actor, lang: Lang) -> Response {
    match web.ctx.store.read(count) {
        Ok(counts) => attention(counts, lang).into_response(),
        Err(error) => Problem::from(error).lang(lang).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::test_values::payment;

    fn shown(lang: Lang, fields: &Fields, rows: &[PaymentRow], next: Option<&str>) -> String {
        let view = View {
            fields,
            rows,
            next,
            looked_until: None,
            partners: &[("farm".into(), "<b>농장".into())],
            methods: &["card".into()],
            attention: Attention {
                dead: 2,
                held: 1_000,
            },
            today: "2026-08-06".parse().unwrap(),
            columns: &Shown::usual(&COLUMNS),
            kept: &Kept::default(),
            wrong: None,
        };
        let look = Look {
            lang,
            ..Look::default()
        };
        page(&look, &view).into_string()
    }

    #[test]
    fn an_empty_list_says_why() {
        let none = shown(Lang::Ko, &Fields::new(), &[], None);
        assert!(none.contains("아직 결제가 없습니다"));
        let filter = Fields::from([("q".into(), "\"><script>".into())]);
        let filtered = shown(Lang::En, &filter, &[], None);
        assert!(filtered.contains("No payment fits") && !filtered.contains("<script>\""));
        assert!(!filtered.contains("\"><script>"));
    }

    #[test]
    fn every_state_is_a_row_with_masked_buyer_and_escaped_names() {
        for status in Status::ALL {
            let mut payment = payment(status);
            payment.about.name = "<img src=x>".into();
            for lang in [Lang::Ko, Lang::En] {
                let text = row(&payment, &Shown::usual(&COLUMNS), lang).into_string();
                assert!(text.contains("홍*동") && !text.contains("홍길동"));
                assert!(!text.contains("<img") && text.contains("&lt;img"));
                assert!(text.contains(status.as_str()) && text.contains("₩12,000"));
                assert!(text.contains("/payment/imp_%3C1%3E"));
            }
        }
    }

    #[test]
    fn the_next_page_keeps_the_filter() {
        let filter = Fields::from([
            ("q".into(), "사과 & 배".into()),
            ("after".into(), "a-1".into()),
        ]);
        let text = shown(Lang::Ko, &filter, &[payment(Status::Paid)], Some("b-2"));
        assert!(text.contains("q=%EC%82%AC%EA%B3%BC+%26+%EB%B0%B0&amp;after=b-2"));
        assert!(text.contains("999+") && !text.contains("<b>농장"));
    }
}
