//! Payouts: what is due, batches, the files that go to a bank and come back, and the calendar.

mod batch;
mod calendar;
mod decide;
mod new;
mod templates;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::civil::Weekday;
use maud::{Markup, html};
use serde_json::Value;
use url::form_urlencoded;

use super::{icons::Icon, parts};
use super::{
    layout::{Fields, Look, Page, Part, cut, field, layout, nothing, older, segment},
    words,
};
use crate::{
    domain::{bank::BankCode, calendar::KstDay, money::Won, settlement::State as Stand},
    store::{
        history::Happened,
        payouts::{self, BatchRow, BatchState, PayoutState},
        settlements::{self, DueSum},
    },
    web::{Web, api::payouts::LARGEST_FILE, auth::Actor, error::Problem, extract::Q, lang::Lang},
};

const PAGE: usize = 20;

/// Pages for who is signed in.
pub fn routes() -> Router<Web> {
    let large = || DefaultBodyLimit::max(LARGEST_FILE);
    Router::new()
        .route("/admin/payouts", get(list).post(new::create))
        .route("/admin/payouts/new", get(new::show))
        .route("/admin/payouts/templates", get(templates::list))
        .route(
            "/admin/payouts/templates/{name}",
            get(templates::show).post(templates::save),
        )
        .route(
            "/admin/payouts/templates/{name}/reset",
            post(templates::reset),
        )
        .route(
            "/admin/payouts/templates/{name}/copy",
            post(templates::copy),
        )
        .route(
            "/admin/payouts/templates/{name}/sample",
            get(templates::sample),
        )
        .route("/admin/payouts/{id}", get(batch::show))
        .route("/admin/payouts/{id}/file", get(batch::file))
        .route("/admin/payouts/{id}/withholding", get(batch::withholding))
        .route(
            "/admin/payouts/{id}/result",
            post(batch::result).layer(large()),
        )
        .route(
            "/admin/payouts/{id}/result/confirm",
            post(batch::take).layer(large()),
        )
        .route("/admin/payouts/{id}/call-off", post(decide::call_off))
        .route(
            "/admin/payouts/{id}/payouts/{payout}",
            get(decide::show).post(decide::decide),
        )
        .route(
            "/admin/calendar",
            get(calendar::show).post(calendar::change),
        )
}

fn self_page(lang: Lang) -> Page<'static> {
    Page {
        title: lang.t("지급", "Payouts"),
        part: Part::Payouts,
        ..Page::default()
    }
}

/// The page of a batch.
fn batch_path(id: i64) -> String {
    format!("/admin/payouts/{id}")
}

fn partner_edit(id: &str) -> String {
    format!("/admin/partners/{}/edit", segment(id))
}

fn batch_badge(state: BatchState, lang: Lang) -> Markup {
    let (tone, sign, text) = match state {
        BatchState::Open => ("wait", "◷", lang.t("은행 결과 대기", "Waits for the bank")),
        BatchState::Done => ("good", "✓", lang.t("끝남", "Done")),
        BatchState::Cancelled => ("plain", "–", lang.t("취소됨", "Called off")),
    };
    words::tag(tone, sign, text, state.as_str())
}

fn payout_word(state: PayoutState, lang: Lang) -> &'static str {
    match state {
        PayoutState::Waiting => lang.t("이체 대기", "Waiting"),
        PayoutState::Paid => lang.t("지급 완료", "Paid"),
        PayoutState::Failed => lang.t("지급 실패", "Failed"),
        PayoutState::Cancelled => lang.t("취소됨", "Called off"),
    }
}

fn payout_badge(state: PayoutState, lang: Lang) -> Markup {
    let (tone, sign) = match state {
        PayoutState::Waiting => ("wait", "◷"),
        PayoutState::Paid => ("good", "✓"),
        PayoutState::Failed => ("bad", "✕"),
        PayoutState::Cancelled => ("plain", "–"),
    };
    words::tag(tone, sign, payout_word(state, lang), state.as_str())
}

/// `KB국민은행(004) ····0001`: the whole number stands in the bank's file.
pub(super) fn account(bank: &str, number: &str, lang: Lang) -> Markup {
    let name = BankCode::parse(bank).map(|bank| lang.t(bank.ko(), bank.en()));
    html! {
        @if let Ok(name) = name { (name) }
        "(" (bank) ") " code { (words::masked_account(number)) }
    }
}

/// `8월 6일(목)`, `Thu 6 Aug`.
fn day_words(day: KstDay, lang: Lang) -> String {
    let (month, date) = (day.month(), day.day_of_month());
    let names = lang.t(
        ["월", "화", "수", "목", "금", "토", "일"],
        ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
    );
    let name = match day.weekday() {
        Weekday::Monday => names[0],
        Weekday::Tuesday => names[1],
        Weekday::Wednesday => names[2],
        Weekday::Thursday => names[3],
        Weekday::Friday => names[4],
        Weekday::Saturday => names[5],
        Weekday::Sunday => names[6],
    };
    lang.t(
        format!("{month}월 {date}일({name})"),
        format!("{name} {date} {}", month_name(month)),
    )
}

fn month_name(month: i8) -> &'static str {
    const NAMES: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    usize::try_from(month - 1)
        .ok()
        .and_then(|at| NAMES.get(at).copied())
        .unwrap_or("")
}

/// A form's fields in order, a name as often as it was sent.
struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn read(bytes: &[u8]) -> Pairs {
        Pairs(form_urlencoded::parse(bytes).into_owned().collect())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.trim())
    }

    /// The last of a name, if there is anything in it.
    fn get(&self, name: &str) -> Option<&str> {
        let last = self.0.iter().rev().find(|(key, _)| key == name);
        last.map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }
}

fn done(text: &str) -> Markup {
    html! { p.message.good role="status" { (text) } }
}

fn wrong_part(wrong: Option<&str>) -> Markup {
    match wrong {
        Some(wrong) => html! { p.message.bad role="alert" { (wrong) } },
        None => nothing(),
    }
}

/// What happened to a batch, newest first.
fn happened(events: &[Happened], lang: Lang) -> Markup {
    let number = |event: &Happened, name: &str| event.detail.get(name).and_then(Value::as_i64);
    let words = |event: &Happened| -> (&'static str, String, &'static str) {
        match event.kind.as_str() {
            "created" => {
                let count = number(event, "payouts").unwrap_or_default();
                let total = words::won(Won::new(number(event, "total").unwrap_or_default()));
                (
                    lang.t("지급 묶음 생성", "Batch made"),
                    lang.t(
                        format!("지급 {count}건, 이체 합계 {total}"),
                        format!("{count} payouts, {total} to transfer"),
                    ),
                    "plain",
                )
            }
            "decided" => {
                let of = |name| number(event, name).unwrap_or_default();
                let (paid, failed) = (of("paid"), of("failed"));
                (
                    lang.t("이체 결과 반영", "Bank's word taken"),
                    lang.t(
                        format!("지급 완료 {paid}건, 실패 {failed}건"),
                        format!("{paid} paid, {failed} failed"),
                    ),
                    if failed > 0 { "bad" } else { "good" },
                )
            }
            "file_handed_out" => (
                lang.t("은행 파일을 받음", "The bank's file was fetched"),
                event
                    .detail
                    .get("template")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                "plain",
            ),
            "approval_asked" => (
                lang.t(
                    "두 번째 사람의 승인을 요청",
                    "A second person was asked for",
                ),
                words::won(Won::new(number(event, "amount").unwrap_or_default())),
                "wait",
            ),
            "approval_void" => (
                lang.t(
                    "승인한 뒤 바뀐 것이 있어 다시 승인을 요청",
                    "Changed after its approval: asked for again",
                ),
                event
                    .detail
                    .pointer("/again/partner")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                "bad",
            ),
            "approval_given" => (
                lang.t("승인됨", "Approved"),
                words::won(Won::new(number(event, "amount").unwrap_or_default())),
                "good",
            ),
            "approval_refused" | "approval_withdrawn" => {
                let reason = event.detail.get("reason").and_then(Value::as_str);
                (
                    match event.kind.as_str() {
                        "approval_refused" => lang.t("승인 거절", "Refused"),
                        _ => lang.t("승인 요청 철회", "Request withdrawn"),
                    },
                    reason.unwrap_or_default().to_owned(),
                    "plain",
                )
            }
            "called_off" => {
                let reason = event.detail.get("reason").and_then(Value::as_str);
                (
                    lang.t("대기 중인 지급 취소", "What waited was called off"),
                    words::masked_text(reason.unwrap_or_default()),
                    "plain",
                )
            }
            _ => (lang.t("변경", "Changed"), event.kind.clone(), "plain"),
        }
    };
    html! {
        ol.timeline {
            @for event in events {
                @let (title, fact, tone) = words(event);
                li class=(tone) {
                    div.line {
                        strong { (title) " " span.by { (words::actor(&event.actor, lang)) } }
                        (words::time(event.at))
                    }
                    @if !fact.is_empty() { p.fact { (fact) } }
                }
            }
        }
    }
}

// --- What is due, and batches

struct ListView<'a> {
    today: KstDay,
    due: DueSum,
    soon: &'a [(KstDay, i64, Won)],
    open: &'a [BatchRow],
    past: &'a [BatchRow],
    next: Option<i64>,
    /// Settlements that the bank refused and nobody has given another try.
    failed: usize,
    did: Option<&'a str>,
}

const MOST_FAILED: usize = 100;

fn list_page(look: &Look, view: &ListView<'_>) -> Markup {
    let lang = look.lang;
    let failed = if view.failed >= MOST_FAILED {
        format!("{MOST_FAILED}+")
    } else {
        view.failed.to_string()
    };
    let body = html! {
        div.head {
            h1 { (lang.t("지급", "Payouts")) }
            p.soft { (lang.t(
                "지급일이 된 정산을 묶어 은행 대량이체 파일로 보냅니다.",
                "Settlements that are due are put together and sent to the bank.",
            )) }
        }
        @if view.did == Some("nothing") { (done(lang.t("바뀐 것이 없습니다.", "Nothing changed."))) }
        @if view.failed > 0 {
            section.attention aria-label=(lang.t("확인할 일", "To look at")) {
                a.message.bad href="/admin/settlements?state=FAILED" {
                    span { (lang.t(
                        format!("지급에 실패한 정산 {failed}건: 계좌를 고친 뒤 다시 시도하세요."),
                        format!("{failed} settlements failed: correct the account, then try again."),
                    )) }
                }
            }
        }
        div.two {
            section.sheet {
                h2 { (lang.t("지금 지급할 수 있는 정산", "Due now")) }
                @if view.due.settlements == 0 {
                    p.soft { (lang.t("지급일이 된 정산이 없습니다.", "Nothing is due.")) }
                } @else {
                    dl.sums {
                        dt { (lang.t("파트너사", "Partners")) } dd { (view.due.partners) }
                        dt { (lang.t("정산", "Settlements")) } dd { (view.due.settlements) }
                        dt { (lang.t("합계(세전)", "Sum before tax")) } dd { (view.due.sum) }
                    }
                }
                p.acts {
                    a.button.primary href=(format!("/admin/payouts/new?until={}", view.today)) {
                        (lang.t("지급 묶음 만들기", "Make a batch"))
                    }
                }
            }
            section.sheet {
                h2 { (lang.t("앞으로 7일", "The next 7 days")) }
                @if view.soon.is_empty() {
                    p.soft { (lang.t("7일 안에 지급일이 오는 정산이 없습니다.", "Nothing falls due within 7 days.")) }
                } @else {
                    ul.lines {
                        @for (day, count, sum) in view.soon {
                            li {
                                a href=(format!("/admin/payouts/new?until={day}")) { (day_words(*day, lang)) }
                                span.soft.small { (lang.t(format!("{count}건"), format!("{count} settlements"))) }
                                span.grow {}
                                strong { (*sum) }
                            }
                        }
                    }
                }
                p.acts {
                    a.button href="/admin/calendar" { (lang.t("영업일 달력", "Calendar")) }
                    a.button href="/admin/payouts/templates" { (lang.t("은행 파일 양식", "Bank templates")) }
                }
            }
        }
        @if !view.open.is_empty() {
            h2 { (lang.t("진행 중인 지급 묶음", "Open batches")) }
            (batches(view.open, lang))
        }
        h2 { (lang.t("지난 지급 묶음", "Past batches")) }
        @if view.past.is_empty() {
            (parts::none_yet(Icon::Send, lang.t("끝난 지급 묶음이 아직 없습니다.", "No batch is done yet.")))
        } @else {
            (batches(view.past, lang))
            (older(lang, "/admin/payouts", view.next))
        }
    };
    layout(look, self_page(lang), body)
}

fn batches(rows: &[BatchRow], lang: Lang) -> Markup {
    html! {
        table.rows {
            thead { tr {
                th scope="col" { (lang.t("지급 묶음", "Batch")) }
                th scope="col" { (lang.t("상태", "State")) }
                th.num scope="col" { (lang.t("이체 합계", "To transfer")) }
                th.num scope="col" { (lang.t("지급 완료", "Paid")) }
                th.num scope="col" { (lang.t("대기 · 실패", "Waiting · failed")) }
                th scope="col" { (lang.t("만든 때", "Made")) }
            } }
            tbody { @for row in rows { tr {
                td.what {
                    a.main href=(batch_path(row.id)) { (lang.t(format!("지급 묶음 {}", row.id), format!("Batch {}", row.id))) }
                    div.soft.small {
                        (lang.t(format!("{}까지 지급분 · {}건", row.due_until, row.payouts), format!("due until {} · {} payouts", row.due_until, row.payouts)))
                        @if !row.note.is_empty() { " · " (words::masked_text(&row.note)) }
                    }
                }
                td.state {
                    (batch_badge(row.state, lang))
                    @if row.state == BatchState::Open {
                        " " span.soft.small { (lang.t(format!("{}건이 은행 결과를 기다립니다", row.waiting), format!("{} wait for the bank's word", row.waiting))) }
                    }
                }
                td.num data-label=(lang.t("이체 합계", "To transfer")) { strong { (row.amount) } }
                td.num data-label=(lang.t("지급 완료", "Paid")) { (row.paid_amount) }
                td.num data-label=(lang.t("대기 · 실패", "Waiting · failed")) {
                    (row.waiting) " · " @if row.failed > 0 { span.bad-text { (row.failed) } } @else { "0" }
                }
                td.when { (words::short_time(row.created_at)) span.by { (words::actor(&row.created_by, lang)) } }
            } } }
        }
    }
}

/// `GET /admin/payouts`
async fn list(State(web): State<Web>, _: Actor, look: Look, Q(query): Q<Fields>) -> Response {
    let before = field(&query, "before").and_then(|id| id.parse().ok());
    let today = KstDay::of(web.ctx.store.now());
    let found = web.ctx.store.read(|conn| {
        let due = settlements::due_sum(conn, today)?;
        let soon = settlements::due_by_day(conn, today.next(), today.plus_days(7))?;
        let open = payouts::open_batches(conn, 100)?;
        let past = payouts::batches(conn, before, PAGE + 1)?;
        let filter = settlements::Filter {
            state: Some(Stand::Failed),
            ..settlements::Filter::default()
        };
        let failed = settlements::list(conn, &filter, None, MOST_FAILED)?.len();
        Ok::<_, Problem>((due, soon, open, past, failed))
    });
    look.answer(found.map(|(due, soon, open, mut past, failed)| {
        let next = cut(&mut past, PAGE, |row| row.id);
        past.retain(|row| row.state != BatchState::Open);
        let view = ListView {
            today,
            due,
            soon: &soon,
            open: if before.is_none() { &open } else { &[] },
            past: &past,
            next,
            failed,
            did: field(&query, "did"),
        };
        list_page(&look, &view).into_response()
    }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn look(lang: Lang) -> Look {
        Look {
            lang,
            signed_in: true,
            ..Look::default()
        }
    }

    fn batch(state: BatchState) -> BatchRow {
        BatchRow {
            id: 3,
            state,
            due_until: "2026-08-06".parse().unwrap(),
            note: "<b>메모".into(),
            created_at: "2026-08-06T01:00:00Z".parse().unwrap(),
            created_by: "page".into(),
            finished_at: None,
            payouts: 2,
            amount: Won::new(5_000),
            waiting: 1,
            paid: 1,
            paid_amount: Won::new(2_000),
            failed: 0,
        }
    }

    #[test]
    fn the_list_says_what_is_due_and_what_waits_in_both_languages() {
        for (lang, empty, waits) in [
            (
                Lang::Ko,
                "지급일이 된 정산이 없습니다",
                "은행 결과를 기다립니다",
            ),
            (Lang::En, "Nothing is due", "wait for the bank"),
        ] {
            let mut view = ListView {
                today: "2026-08-06".parse().unwrap(),
                due: DueSum::default(),
                soon: &[],
                open: &[],
                past: &[],
                next: None,
                failed: 0,
                did: None,
            };
            let text = list_page(&look(lang), &view).into_string();
            assert!(text.contains(empty) && !text.contains("state=FAILED"));
            let (open, past) = ([batch(BatchState::Open)], [batch(BatchState::Done)]);
            (view.open, view.past, view.failed, view.next) = (&open, &past, 2, Some(1));
            let text = list_page(&look(lang), &view).into_string();
            assert!(text.contains(waits) && text.contains("state=FAILED"));
            assert!(text.contains("before=1") && !text.contains("<b>메모"));
        }
    }

    #[test]
    fn a_form_keeps_every_value_of_a_name() {
        let pairs = Pairs::read(b"out=1&out=2&until=&x=+a+");
        assert_eq!(pairs.all("out").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((pairs.get("until"), pairs.get("x")), (None, Some("a")));
    }
}
