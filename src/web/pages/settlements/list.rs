//! `/admin/settlements`: what is to be done, the last days as a picture, and all settlements.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use url::form_urlencoded;

use super::super::{icons::Icon, parts};
use super::{
    super::{
        layout::{Fields, Look, field, layout, nothing},
        saved::{self, Column, Kept, Shown, column},
    },
    chart::{self, chart},
    page_of,
    said::{self, badge, day_path, lines_en, partner_path, settlement_path},
};
use crate::{
    domain::{calendar::KstDay, money::Won, settlement},
    store::{
        StoreError, line_sums, orders,
        preferences::List,
        settlements::{self, Cursor, DaySums, Filter, SettlementRow},
    },
    web::{
        Web, api::settlements::SettlementQuery, auth::Actor, error::Problem, extract::Q, lang::Lang,
    },
};

/// What may stand in the address, in the order of the form.
const FILTERS: [&str; 6] = ["from", "to", "partner", "state", "held", "carried"];
/// What a row can show beside the partner.
pub const COLUMNS: [Column; 6] = [
    column("day", "정산일", "Day", true),
    column("state", "상태", "State", true),
    column("order", "주문 금액", "Order amount", true),
    column("fees", "수수료", "Fees", true),
    column("net", "정산 결과", "Settlement", true),
    column("payout", "지급일", "Payout day", true),
];

/// Settlements of a page.
const PAGE: usize = 20;

/// Partners that a page carries to choose from while nobody filters: more are on the page of the filters alone.
const FEW_PARTNERS: usize = 100;
/// Rows of what waits for a person that are counted; more are "and more".
const MOST: usize = 100;
/// Of them, how many are shown.
const SHOWN: usize = 5;

/// The first of what waits, and how many there are, up to [`MOST`].
#[derive(Default)]
pub struct Few {
    pub rows: Vec<SettlementRow>,
    pub count: i64,
}

/// What is to be done, read at once, with the last days' sums.
#[derive(Default)]
pub struct ToDo {
    /// Day, settlements, sum. The first is what was due before today.
    pub overdue: (i64, Won),
    pub due: Vec<(KstDay, i64, Won)>,
    pub held: Few,
    pub carried: Few,
    pub failed: i64,
    pub blocked: Vec<(KstDay, i64)>,
    /// Days that are over and not settled.
    pub open_days: Vec<KstDay>,
    pub sums: Vec<DaySums>,
}

pub struct View<'a> {
    /// Only above the newest settlements of all.
    pub todo: Option<&'a ToDo>,
    pub fields: &'a Fields,
    pub rows: &'a [SettlementRow],
    pub next: Option<&'a str>,
    pub partners: &'a [(String, String)],
    pub today: KstDay,
    pub columns: &'a Shown,
    pub kept: &'a Kept,
    /// A filter that cannot be read.
    pub wrong: Option<&'a str>,
}

/// Whether a list is cut by anything, or about to be.
fn filtered(fields: &Fields) -> bool {
    let asked = FILTERS.iter().chain(&["filters"]);
    asked.into_iter().any(|name| field(fields, name).is_some())
}

pub fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let title = lang.t("정산", "Settlements");
    let body = html! {
        div.head {
            h1 { (title) }
            p.ways {
                a href=(day_path(view.today.previous())) { (lang.t("어제 정산", "Yesterday")) }
                a href="/admin/adjustments" { (lang.t("조정", "Adjustments")) }
            }
        }
        @if let Some(waits) = view.todo {
            (todo(waits, view.today, lang))
            (chart(&waits.sums, view.today.plus_days(-chart::DAYS), view.today.previous(), lang))
        }
        section.stack aria-labelledby="all" {
            h2 #all { (lang.t("정산 목록", "All settlements")) }
            (filters(view, lang))
            (saved::filters(view.kept, List::Settlements, view.fields, lang))
            @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
            @if view.rows.is_empty() {
                (empty(view, lang))
            } @else {
                (table(view.rows, view.columns, lang))
                (saved::columns(view.columns, view.kept, List::Settlements, view.fields, lang))
                (sums_of_page(view.rows, lang))
                @let newest = field(view.fields, "after").map(|_| address(view.fields, None));
                @let next = view.next.map(|next| address(view.fields, Some(next)));
                (parts::pager(lang, newest.as_deref(), next.as_deref()))
            }
        }
    };
    layout(look, page_of(title), body)
}

fn count(many: i64, lang: Lang) -> String {
    let more = if many >= MOST as i64 { "+" } else { "" };
    lang.t(format!("{many}{more}건"), format!("{many}{more}"))
}

fn todo(todo: &ToDo, today: KstDay, lang: Lang) -> Markup {
    let total: i64 = todo.due.iter().map(|(_, _, sum)| sum.get()).sum();
    let pay = |until: KstDay| format!("/admin/payouts/new?until={until}");
    html! {
        div.attention {
            @if let Some(first) = todo.open_days.first() {
                a.message.wait href=(day_path(*first)) {
                    span { (lang.t("끝났지만 정산되지 않은 날", "Days that are over and not settled")) " · " (first) }
                    strong { (todo.open_days.len()) (lang.t("일", "")) }
                }
            }
            @for (day, blocked) in &todo.blocked {
                a.message.bad href=(day_path(*day)) {
                    span { (day) " · " (lang.t("계약이 없어 정산하지 못한 파트너사", "partners not settled for want of a contract")) }
                    strong { (blocked) (lang.t("곳", "")) }
                }
            }
            @if todo.failed > 0 {
                a.message.bad href="/admin/settlements?state=FAILED" {
                    span { (lang.t("지급에 실패한 정산", "Settlements whose payout failed")) }
                    strong { (count(todo.failed, lang)) }
                }
            }
        }
        div.two {
            section.sheet aria-labelledby="due" {
                h2 #due { (lang.t("이번 주에 지급할 정산", "To be paid within a week")) }
                @if todo.due.is_empty() && todo.overdue.0 == 0 {
                    p.soft { (lang.t("7일 안에 지급할 정산이 없습니다.", "Nothing is due within 7 days.")) }
                } @else {
                    ul.lines {
                        @if todo.overdue.0 > 0 {
                            li {
                                a.grow.bad-text href=(pay(today.previous())) { (lang.t("지급일이 지남", "Overdue")) }
                                span.soft { (todo.overdue.0) (lang.t("건", "")) }
                                strong { (todo.overdue.1) }
                            }
                        }
                        @for (day, count, sum) in &todo.due {
                            li {
                                a.grow href=(pay(*day)) { (day) @if *day == today { " " span.mini { (lang.t("오늘", "today")) } } }
                                span.soft { (count) (lang.t("건", "")) }
                                strong { (sum) }
                            }
                        }
                        li.sum { span.grow { (lang.t("7일 합계", "Within 7 days")) } strong { (Won::new(total)) } }
                    }
                }
            }
            div.stack {
                (few(lang.t("보류", "Held"), "/admin/settlements?held=1", &todo.held, lang, |row| {
                    row.hold.as_deref().map(crate::domain::masks::masked_text).unwrap_or_default()
                }))
                (few(lang.t("이월 대기", "Carried over"), "/admin/settlements?carried=1", &todo.carried, lang, |row| {
                    let since = row.carry_since.unwrap_or(row.day);
                    let days = since.days_until(today);
                    lang.t(format!("{since}부터 {days}일째"), format!("for {days} days, since {since}"))
                }))
            }
        }
    }
}

/// The first of what waits, and the way to all of it.
fn few(
    title: &str,
    all: &str,
    waits: &Few,
    lang: Lang,
    why: impl Fn(&SettlementRow) -> String,
) -> Markup {
    html! {
        section.sheet {
            div.line { h2 { (title) } span.grow {} @if waits.count > 0 { a.small href=(all) { (count(waits.count, lang)) (lang.t(" 모두 보기", ": show all")) } } }
            @if waits.rows.is_empty() {
                p.soft { (lang.t("없습니다.", "None.")) }
            } @else {
                ul.lines {
                    @for row in &waits.rows {
                        li {
                            span.grow {
                                a href=(settlement_path(row.id)) { (row.partner_name) }
                                br;
                                span.soft.small { (row.day) " · " (why(row)) }
                            }
                            strong { (row.net) }
                        }
                    }
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
    if view.partners.len() > FEW_PARTNERS && !filtered(view.fields) {
        return html! {
            p { a.button href="/admin/settlements?filters=1" { (lang.t("조건", "Filters")) } }
        };
    }
    html! {
        form.filters method="get" action="/admin/settlements" role="search" {
            details open[filtered(view.fields)] {
                summary { (lang.t("조건", "Filters")) }
                div.fields {
                    label.field { span { (lang.t("정산일부터", "From")) } input type="date" name="from" value=(value("from")); }
                    label.field { span { (lang.t("정산일까지", "To")) } input type="date" name="to" value=(value("to")); }
                    label.field {
                        span { (lang.t("파트너사", "Partner")) }
                        select name="partner" {
                            (option("partner", "", lang.t("전체", "All")))
                            @for (id, name) in view.partners { (option("partner", id, name)) }
                        }
                    }
                    label.field {
                        span { (lang.t("상태", "State")) }
                        select name="state" {
                            (option("state", "", lang.t("전체", "All")))
                            @for state in settlement::State::ALL { (option("state", state.as_str(), said::state(state, lang))) }
                        }
                    }
                    label.check {
                        input type="checkbox" name="held" value="1" checked[!value("held").is_empty()];
                        span { (lang.t("보류만", "Held only")) }
                    }
                    label.check {
                        input type="checkbox" name="carried" value="1" checked[!value("carried").is_empty()];
                        span { (lang.t("이월만", "Carried over only")) }
                    }
                    button.primary { (lang.t("조회", "Show")) }
                }
            }
            @if filtered(view.fields) { div.chips { a.clear href="/admin/settlements" { "✕ " (lang.t("조건 지우기", "Clear")) } } }
        }
    }
}

fn empty(view: &View<'_>, lang: Lang) -> Markup {
    html! {
        @if view.wrong.is_some() {
            (parts::none_yet(Icon::Search, lang.t("조건을 고쳐서 다시 조회해 주세요.", "Correct the filter and try again.")))
        } @else if filtered(view.fields) || field(view.fields, "after").is_some() {
            (parts::nothing_fits(lang.t("조건에 맞는 정산이 없습니다.", "No settlement fits."), "/admin/settlements", lang))
        } @else {
            (parts::empty(&parts::Empty {
                icon: Icon::Coins,
                title: lang.t("아직 정산이 없습니다.", "There are no settlements yet."),
                text: lang.t("결제가 있던 날은 다음 날 새벽 1시에 정산됩니다.", "A day with payments is settled at 01:00 of the next."),
                action: None,
            }))
        }
    }
}

/// Settlements as rows, as cards where there is no room.
pub fn table(rows: &[SettlementRow], columns: &Shown, lang: Lang) -> Markup {
    let fees = |row: &SettlementRow| {
        let cut = &row.sums.cut;
        Won::sum([cut.fee, cut.fee_vat, cut.additional, cut.additional_vat]).unwrap_or_default()
    };
    html! {
        table.rows {
            thead { tr {
                @if columns.has("day") { th scope="col" { (lang.t("정산일", "Day")) } }
                th scope="col" { (lang.t("파트너사", "Partner")) }
                @if columns.has("state") { th scope="col" { (lang.t("상태", "State")) } }
                @if columns.has("order") { th.num scope="col" { (lang.t("주문 금액", "Order amount")) } }
                @if columns.has("fees") { th.num scope="col" { (lang.t("수수료", "Fees")) } }
                @if columns.has("net") { th.num scope="col" { (lang.t("정산 결과", "Settlement")) } }
                @if columns.has("payout") { th scope="col" { (lang.t("지급일", "Payout day")) } }
                th scope="col" { span.hidden { (lang.t("할 일", "Actions")) } }
            } }
            tbody {
                @for row in rows {
                    tr {
                        @if columns.has("day") { td.when { a href=(day_path(row.day)) { (row.day) } } }
                        td.what {
                            a.main href=(settlement_path(row.id)) { (row.partner_name) }
                            div.soft.small { a href=(partner_path(&row.partner)) { code { (row.partner) } } " · " (lang.t(format!("{}개 항목", row.sums.lines), lines_en(row.sums.lines))) }
                        }
                        @if columns.has("state") { td.state { (badge(row, lang)) } }
                        @if columns.has("order") { td.num data-label=(lang.t("주문 금액", "Order amount")) { (row.sums.cut.order) } }
                        @if columns.has("fees") { td.num data-label=(lang.t("수수료", "Fees")) { (fees(row)) } }
                        @if columns.has("net") { td.num data-label=(lang.t("정산 결과", "Settlement")) { strong { (row.net) } } }
                        @if columns.has("payout") { td.method { @match row.payout_day { Some(day) => { span.phone { (lang.t("지급일 ", "paid on ")) } (day) }, None => { (lang.t("지급 없음", "not paid out")) } } } }
                        td.act { a.button.small href=(settlement_path(row.id)) { (lang.t("보기", "Open")) span.hidden { " " (row.partner_name) " " (row.day) } } }
                    }
                }
            }
        }
    }
}

/// Of the rows that are shown, and said so.
fn sums_of_page(rows: &[SettlementRow], lang: Lang) -> Markup {
    let sum = |of: &dyn Fn(&SettlementRow) -> Won| Won::sum(rows.iter().map(of));
    let (Ok(order), Ok(earned), Ok(net)) = (
        sum(&|row| row.sums.cut.order),
        sum(&|row| row.sums.net().unwrap_or_default()),
        sum(&SettlementRow::payable),
    ) else {
        return nothing();
    };
    html! {
        dl.figures {
            div { dt { (lang.t(format!("이 화면 {}건의 주문 금액", rows.len()), format!("Order amount of these {}", rows.len()))) } dd { (order) } }
            div { dt { (lang.t("이 화면의 항목 합계", "Lines on this page")) } dd { (earned) } }
            div { dt { (lang.t("이 화면의 지급 대상액", "Payable on this page")) } dd { (net) } }
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
    match query.is_empty() {
        true => "/admin/settlements".to_owned(),
        false => format!("/admin/settlements?{query}"),
    }
}

fn read_todo(conn: &rusqlite::Connection, today: KstDay) -> Result<ToDo, StoreError> {
    let count = |filter: &Filter| settlements::count(conn, filter, MOST);
    let held = Filter {
        held: true,
        ..Filter::default()
    };
    let carried = Filter {
        carried: true,
        ..Filter::default()
    };
    let failed = Filter {
        state: Some(settlement::State::Failed),
        ..Filter::default()
    };
    let open = crate::flow::settle_day::days_due(conn, today)?;
    // The nightly run has today's midnight to one o'clock before yesterday counts as forgotten.
    let late = |day: &KstDay| *day < today.previous();
    let stands = |day: KstDay| settlements::the_day(conn, day);
    let mut open_days = Vec::new();
    for day in open.into_iter().filter(late) {
        if stands(day)?.is_none_or(|stands| stands.finished_at.is_none()) {
            open_days.push(day);
        }
    }
    Ok(ToDo {
        overdue: settlements::overdue(conn, today)?,
        due: settlements::due_by_day(conn, today, today.plus_days(6))?,
        held: Few {
            rows: settlements::list(conn, &held, None, SHOWN)?,
            count: count(&held)?,
        },
        carried: Few {
            rows: settlements::carried_over(conn, SHOWN)?,
            count: count(&carried)?,
        },
        failed: count(&failed)?,
        blocked: line_sums::blocked_days(conn, SHOWN)?,
        open_days,
        sums: settlements::by_day(conn, today.plus_days(-chart::DAYS), today.previous())?,
    })
}

/// `GET /admin/settlements`
pub async fn show(State(web): State<Web>, _: Actor, look: Look, Q(fields): Q<Fields>) -> Response {
    look.answer(answer(&web, &look, &fields).await)
}

async fn answer(web: &Web, look: &Look, fields: &Fields) -> Result<Response, Problem> {
    let set = |name: &str| field(fields, name).map(str::to_owned);
    let query = SettlementQuery {
        state: set("state"),
        held: set("held"),
        carried: set("carried"),
        partner: set("partner"),
        from: set("from"),
        to: set("to"),
        after: set("after"),
        limit: None,
    };
    let today = KstDay::of(web.ctx.store.now());
    let (asked, wrong) = match query.read() {
        Ok(asked) => (Some(asked), None),
        Err(problem) => (None, Some(problem.sentence(look.lang).to_owned())),
    };
    // Read where it is shown: above the newest of all.
    let on_top = !filtered(fields) && field(fields, "after").is_none();
    let (todo, mut rows, partners) = web
        .ctx
        .store
        .read_long(move |conn| {
            let rows = match &asked {
                Some((filter, after, _)) => {
                    settlements::list(conn, filter, after.as_ref(), PAGE + 1)?
                }
                None => Vec::new(),
            };
            let todo = on_top.then(|| read_todo(conn, today)).transpose()?;
            Ok::<_, StoreError>((todo, rows, orders::partners(conn)?))
        })
        .await?;
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|row| Cursor::of(row).to_string());
    let view = View {
        todo: todo.as_ref(),
        fields,
        rows: &rows,
        next: next.as_deref(),
        partners: &partners,
        today,
        columns: &saved::shown(web, look.actor.as_ref(), List::Settlements, &COLUMNS)?,
        kept: &saved::kept(web, look.actor.as_ref(), List::Settlements)?,
        wrong: wrong.as_deref(),
    };
    Ok(page(look, &view).into_response())
}

#[cfg(test)]
mod tests {
    use super::{super::test_values::settlement, *};
    use settlement::State;

    fn shown(lang: Lang, todo: &ToDo, rows: &[SettlementRow], fields: &Fields) -> String {
        let partners = [("farm-<b>".to_owned(), "농장 <b>".to_owned())];
        shown_of(lang, Some(todo), rows, fields, &partners)
    }

    fn shown_of(
        lang: Lang,
        todo: Option<&ToDo>,
        rows: &[SettlementRow],
        fields: &Fields,
        partners: &[(String, String)],
    ) -> String {
        let look = Look {
            lang,
            ..Look::default()
        };
        let view = View {
            todo,
            fields,
            rows,
            next: Some("2026-08-01_9"),
            partners,
            today: "2026-08-20".parse().unwrap(),
            columns: &Shown::usual(&COLUMNS),
            kept: &Kept::default(),
            wrong: None,
        };
        page(&look, &view).into_string()
    }

    #[test]
    fn an_empty_shop_says_when_it_is_settled() {
        for (lang, part) in [(Lang::Ko, "새벽 1시"), (Lang::En, "at 01:00")] {
            assert!(shown(lang, &ToDo::default(), &[], &Fields::new()).contains(part));
        }
    }

    #[test]
    fn what_waits_for_a_person_stands_on_top() {
        let mut held = settlement(State::Requested, 8_900);
        held.hold = Some("<script>".into());
        let todo = ToDo {
            overdue: (2, Won::new(1_000)),
            due: vec![("2026-08-21".parse().unwrap(), 3, Won::new(26_700))],
            held: Few {
                rows: vec![held],
                count: MOST as i64,
            },
            carried: Few {
                rows: vec![settlement(State::Requested, -4_450)],
                count: 1,
            },
            failed: 1,
            blocked: vec![("2026-08-05".parse().unwrap(), 2)],
            open_days: Vec::new(),
            sums: Vec::new(),
        };
        let rows = [settlement(State::Requested, -4_450)];
        let text = shown(Lang::Ko, &todo, &rows, &Fields::new());
        for part in [
            "/admin/payouts/new?until=2026-08-21",
            "2026-08-06부터 14일째",
            "/admin/settlements/days/2026-08-05",
            "지급에 실패한 정산",
            "100+건 모두 보기",
            "-₩4,450",
            "이 화면의 지급 대상액",
            "after=2026-08-01_9",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("<script>") && !text.contains("<b>"));
    }

    #[test]
    fn very_many_partners_are_chosen_from_on_a_page_of_its_own() {
        let partners: Vec<(String, String)> = (0..=FEW_PARTNERS)
            .map(|i| (format!("farm-{i}"), format!("농장 {i}")))
            .collect();
        for (fields, there) in [
            (Fields::new(), false),
            (Fields::from([("filters".to_owned(), "1".to_owned())]), true),
            (Fields::from([("held".to_owned(), "1".to_owned())]), true),
        ] {
            let text = shown_of(Lang::Ko, None, &[], &fields, &partners);
            assert_eq!(
                text.contains("<select name=\"partner\""),
                there,
                "{fields:?}"
            );
            assert_eq!(text.contains("?filters=1"), !there);
        }
    }

    #[test]
    fn a_filter_is_kept_on_the_next_page() {
        let fields = Fields::from([("partner".to_owned(), "farm-<b>".to_owned())]);
        let rows = [settlement(State::Completed, 1)];
        let text = shown(Lang::En, &ToDo::default(), &rows, &fields);
        assert!(text.contains("partner=farm-%3Cb%3E&amp;after=2026-08-01_9"));
        assert!(text.contains("selected"));
    }
}
