//! `/partner`: what a partner's own person sees: its settlements, how each came to its sum, when it is
//! paid, and its statements. Nothing here takes a partner from the address: it is always the account's.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{Markup, html};

use super::{
    layout::{Fields, Look, field, layout},
    settlements::{self as pages, Desk, settlement_badge},
    words,
};
use crate::{
    domain::{calendar::KstDay, money::Won, settlement::State as Stand},
    flow::make_statement::Totals,
    store::{
        StoreError, partners,
        settlements::{self, Filter, SettlementRow},
    },
    web::{
        Web,
        api::settlements::{PeriodQuery, find},
        auth::Actor,
        error::Problem,
        extract::Q,
        lang::Lang,
    },
};

/// Settlements that are yet to be paid, of each state, that the page shows at most.
const MOST: usize = 200;

/// Pages for a partner's own people.
pub fn routes() -> Router<Web> {
    Router::new()
        .route("/partner", get(show))
        .route("/partner/settlements/{id}", get(one))
        .route("/partner/settlements/{id}/lines/{seq}", get(line))
        .route("/partner/statements", get(statement))
        .route("/partner/statements/statement.xlsx", get(workbook))
        .route("/partner/statements/statement.csv", get(csv))
}

/// Whose pages these are.
fn own(actor: &Actor) -> Result<&str, Problem> {
    let partner = actor.partner();
    partner.ok_or_else(|| Problem::forbidden("own:read"))
}

/// There is no such settlement, or it is somebody else's: the answer is the same.
fn missing() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not-found",
        "이 정산을 찾을 수 없습니다. 내 정산 목록에서 골라 주세요.",
        "There is no such settlement of yours: choose one from your list.",
    )
}

/// A settlement, if it is this partner's own.
fn own_settlement(web: &Web, actor: &Actor, id: &str) -> Result<SettlementRow, Problem> {
    let partner = own(actor)?;
    match find(web, id) {
        Ok(row) if row.partner == partner => Ok(row),
        Ok(_) => Err(missing()),
        Err(problem) if problem.status.is_client_error() => Err(missing()),
        Err(problem) => Err(problem),
    }
}

struct View<'a> {
    name: &'a str,
    /// The first day of the month that is shown.
    month: KstDay,
    today: KstDay,
    rows: &'a [SettlementRow],
    totals: &'a Totals,
    /// What is yet to be paid, of any month.
    open: &'a [SettlementRow],
}

fn month_name(day: KstDay) -> String {
    format!("{}-{:02}", day.year(), day.month())
}

fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let title = lang.t("내 정산", "My settlements");
    let body = html! {
        div.head {
            h1 { (view.name) }
            p.ways {
                a href={ "/partner/statements?month=" (month_name(view.month)) } { (lang.t("이 달의 정산내역서", "Statement of this month")) }
            }
        }
        (to_come(view, lang))
        (month(view, lang))
    };
    layout(look, Desk::Own.page(title), body)
}

/// When how much will be paid, and what waits without a day.
fn to_come(view: &View<'_>, lang: Lang) -> Markup {
    let mut days: Vec<(KstDay, i64, Won)> = Vec::new();
    let free = view
        .open
        .iter()
        .filter(|row| row.hold.is_none() && row.net.is_positive() && row.state != Stand::Failed);
    for row in free {
        let Some(day) = row.payout_day else { continue };
        let net = row.payable();
        match days.iter_mut().find(|(known, _, _)| *known == day) {
            Some((_, count, sum)) => {
                *count += 1;
                *sum = sum.plus(net).unwrap_or(*sum);
            }
            None => days.push((day, 1, net)),
        }
    }
    days.sort_by_key(|(day, _, _)| *day);
    let of = |fits: &dyn Fn(&SettlementRow) -> bool| -> Vec<&SettlementRow> {
        view.open.iter().filter(|row| fits(row)).collect()
    };
    let held = of(&|row| row.hold.is_some());
    let failed = of(&|row| row.hold.is_none() && row.state == Stand::Failed);
    let carried = of(&|row| row.hold.is_none() && row.is_carried_over());
    html! {
        div.two {
            section.sheet aria-labelledby="to-come" {
                h2 #to-come { (lang.t("지급 예정", "To be paid")) }
                @if days.is_empty() {
                    p.soft { (lang.t("지급을 기다리는 정산이 없습니다.", "Nothing waits to be paid.")) }
                } @else {
                    ul.lines {
                        @for (day, count, sum) in &days {
                            li {
                                span.grow { (day) @if *day < view.today { " " span.mini { (lang.t("처리 중", "in progress")) } } }
                                span.soft { (count) (lang.t("건", "")) }
                                strong { (sum) }
                            }
                        }
                    }
                    p.soft.small { (lang.t(
                        "원천징수 대상이면 지급할 때 세금을 뺍니다.",
                        "Where tax is withheld, it is taken when the money is sent.",
                    )) }
                }
            }
            div.stack {
                (waits(&failed, lang.t("지급하지 못함", "Could not be paid"), lang, |row| {
                    let why = words::masked_text(row.fail_reason.as_deref().unwrap_or_default());
                    lang.t(format!("{why} – 계좌를 확인하고 쇼핑몰에 알려 주세요."), format!("{why} – check your account, and tell the shop."))
                }))
                (waits(&held, lang.t("보류", "Held"), lang, |row| words::masked_text(row.hold.as_deref().unwrap_or_default())))
                (waits(&carried, lang.t("다음 정산에서 뺄 금액", "Taken from later settlements"), lang, |_| lang.t(
                    "취소가 판매보다 많은 날입니다.".to_owned(),
                    "More went back on that day than was sold.".to_owned(),
                )))
            }
        }
    }
}

fn waits(
    rows: &[&SettlementRow],
    title: &str,
    lang: Lang,
    why: impl Fn(&SettlementRow) -> String,
) -> Markup {
    html! {
        @if !rows.is_empty() {
            section.sheet {
                h2 { (title) }
                ul.lines { @for row in rows { li {
                    span.grow { a href=(Desk::Own.settlement(row.id)) { (row.day) " " (lang.t("정산", "settlement")) } br; span.soft.small { (why(row)) } }
                    strong { (row.net) }
                } } }
            }
        }
    }
}

fn month(view: &View<'_>, lang: Lang) -> Markup {
    let before = view.month.previous();
    let after = view.month.last_of_month().next();
    let fees = |row: &SettlementRow| {
        row.sums
            .cut
            .net
            .minus(row.sums.cut.order)
            .unwrap_or_default()
    };
    let totals = view.totals;
    html! {
        section.stack aria-labelledby="month" {
            h2 #month { (month_name(view.month)) }
            nav.chips aria-label=(lang.t("달", "Months")) {
                a href={ "/partner?month=" (month_name(before)) } { "← " (month_name(before)) }
                @if after <= view.today { a href={ "/partner?month=" (month_name(after)) } { (month_name(after)) " →" } }
            }
            @if view.rows.is_empty() {
                section.sheet.centre.empty { p { (lang.t(
                    "이 달에는 정산이 없습니다. 판매가 있던 날은 다음 날 새벽에 정산됩니다.",
                    "There are no settlements in this month. A day with sales is settled in the night after it.",
                )) } }
            } @else {
                dl.figures.four {
                    div { dt { (lang.t("주문 금액", "Order amount")) } dd { (totals.sums.cut.order) } }
                    div { dt { (lang.t("정산금", "Net")) } dd { (totals.earned) } }
                    div { dt { (lang.t("지급 대상액", "Payable")) } dd { (totals.payable) } }
                    div { dt { (lang.t("그중 지급 완료", "Of it paid")) } dd { (totals.completed) } }
                }
                table.rows {
                    thead { tr {
                        th scope="col" { (lang.t("정산일", "Day")) }
                        th scope="col" { (lang.t("상태", "State")) }
                        th.num scope="col" { (lang.t("주문 금액", "Order amount")) }
                        th.num scope="col" { (lang.t("공제", "Taken")) }
                        th.num scope="col" { (lang.t("정산 결과", "Settlement")) }
                        th scope="col" { (lang.t("지급일", "Payout day")) }
                        th scope="col" { span.hidden { (lang.t("할 일", "Actions")) } }
                    } }
                    tbody { @for row in view.rows { tr {
                        td.what { a.main href=(Desk::Own.settlement(row.id)) { (row.day) } }
                        td.state { (settlement_badge(row, lang)) }
                        td.num data-label=(lang.t("주문 금액", "Order amount")) { (row.sums.cut.order) }
                        td.num data-label=(lang.t("공제", "Taken")) { (fees(row)) }
                        td.num data-label=(lang.t("정산 결과", "Settlement")) { strong { (row.net) } }
                        td.method { @match row.payout_day { Some(day) => { span.phone { (lang.t("지급일 ", "paid on ")) } (day) }, None => { (lang.t("지급 없음", "not paid out")) } } }
                        td.act { a.button.small href=(Desk::Own.settlement(row.id)) { (lang.t("계산 보기", "How")) span.hidden { " " (row.day) } } }
                    } } }
                }
            }
        }
    }
}

/// The first day of a month such as `2026-08`.
fn month_of(text: &str) -> Option<KstDay> {
    (text.len() == 7).then(|| format!("{text}-01").parse().ok())?
}

fn not_a_month(text: &str) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "invalid-filter",
        format!("`{text}`은(는) 달이 아닙니다. 2026-08처럼 적으세요."),
        format!("`{text}` is not a month: write it as 2026-08."),
    )
}

/// `GET /partner?month=2026-08`
async fn show(State(web): State<Web>, actor: Actor, look: Look, Q(query): Q<Fields>) -> Response {
    look.answer(shown(&web, &actor, &look, &query).await)
}

async fn shown(web: &Web, actor: &Actor, look: &Look, query: &Fields) -> Result<Response, Problem> {
    let partner = own(actor)?.to_owned();
    let today = KstDay::of(web.ctx.store.now());
    let month = match field(query, "month") {
        Some(text) => month_of(text).ok_or_else(|| not_a_month(text))?,
        None => today.previous().first_of_month(),
    };
    let look = look.clone();
    web.ctx
        .store
        .read_long(move |conn| {
            let known = partners::get(conn, &partner)?;
            let name = known.map_or_else(|| partner.clone(), |known| known.name);
            let mut rows = settlements::of_partner(conn, &partner, month, month.last_of_month())?;
            let totals = Totals::of(&rows).unwrap_or_default();
            rows.reverse();
            let mut open = Vec::new();
            for state in [Stand::Requested, Stand::Processing, Stand::Failed] {
                let filter = Filter {
                    state: Some(state),
                    partner: Some(partner.clone()),
                    ..Filter::default()
                };
                open.extend(settlements::list(conn, &filter, None, MOST)?);
            }
            open.retain(|row| row.carried_into.is_none());
            let view = View {
                name: &name,
                month,
                today,
                rows: &rows,
                totals: &totals,
                open: &open,
            };
            Ok::<_, StoreError>(page(&look, &view).into_response())
        })
        .await
        .map_err(Problem::from)
}

/// `GET /partner/settlements/{id}`
async fn one(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    let result = async {
        let row = own_settlement(&web, &actor, &id)?;
        // What a person of the shop did just now is told on the shop's page.
        let query: Fields = query
            .into_iter()
            .filter(|(name, _)| name == "after")
            .collect();
        pages::one::shown(&web, &look, Desk::Own, row, &query).await
    };
    look.answer(result.await)
}

/// `GET /partner/settlements/{id}/lines/{seq}`
async fn line(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path((id, seq)): Path<(String, String)>,
) -> Response {
    let shown = own_settlement(&web, &actor, &id).and_then(|row| {
        let shown = pages::line::shown(&web, &look, Desk::Own, &row, &seq);
        shown.map_err(|problem| match problem.status {
            StatusCode::NOT_FOUND => missing(),
            _ => problem,
        })
    });
    look.answer(shown)
}

/// A month, or from and to.
fn period(query: &Fields) -> Result<PeriodQuery, Problem> {
    let set = |name: &str| field(query, name).map(str::to_owned);
    match field(query, "month") {
        Some(text) => {
            let month = month_of(text).ok_or_else(|| not_a_month(text))?;
            Ok(PeriodQuery {
                from: Some(month.to_string()),
                to: Some(month.last_of_month().to_string()),
            })
        }
        None => Ok(PeriodQuery {
            from: set("from"),
            to: set("to"),
        }),
    }
}

/// `GET /partner/statements?month=2026-08&all=`
async fn statement(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Q(query): Q<Fields>,
) -> Response {
    let asked = own(&actor).and_then(|partner| Ok((partner, period(&query)?)));
    match asked {
        Ok((partner, period)) => {
            let all = field(&query, "all").is_some();
            pages::statement::shown(&web, &look, Desk::Own, partner, &period, all).await
        }
        Err(problem) => look.problem(&problem),
    }
}

async fn file(web: &Web, actor: &Actor, look: &Look, query: &Fields, workbook: bool) -> Response {
    let made = async {
        let partner = own(actor)?;
        pages::statement::file(web, look, partner, &period(query)?, workbook).await
    };
    look.answer(made.await)
}

/// `GET /partner/statements/statement.xlsx`
async fn workbook(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Q(query): Q<Fields>,
) -> Response {
    file(&web, &actor, &look, &query, true).await
}

/// `GET /partner/statements/statement.csv`
async fn csv(State(web): State<Web>, actor: Actor, look: Look, Q(query): Q<Fields>) -> Response {
    file(&web, &actor, &look, &query, false).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::settlements::Sums;

    fn row(id: i64, state: Stand, net: i64) -> SettlementRow {
        let mut sums = Sums::default();
        sums.cut.order = Won::new(net);
        sums.cut.net = Won::new(net);
        SettlementRow {
            id,
            partner: "farm-<b>".into(),
            partner_name: "농장 <b>".into(),
            day: "2026-08-06".parse().unwrap(),
            state,
            hold: None,
            fail_reason: None,
            payout_day: Some("2026-08-10".parse().unwrap()),
            contract: None,
            sums,
            carried_in: Won::ZERO,
            net: Won::new(net),
            carried_into: None,
            carry_since: None,
            created_at: "2026-08-07T01:00:00Z".parse().unwrap(),
            completed_at: None,
            completed_by: None,
            payout: None,
            batch: None,
        }
    }

    #[test]
    fn it_says_what_is_paid_when_and_what_is_not_and_leads_only_to_its_own() {
        let mut held = row(2, Stand::Requested, 500);
        held.hold = Some("<확인>".into());
        let mut failed = row(3, Stand::Failed, 700);
        failed.fail_reason = Some("예금주 다름".into());
        let open = [
            row(1, Stand::Requested, 8_900),
            row(5, Stand::Processing, 100),
            held,
            failed,
            row(4, Stand::Requested, -300),
        ];
        for (lang, words) in [(Lang::Ko, "지급하지 못함"), (Lang::En, "Could not be paid")] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let view = View {
                name: "농장 <b>",
                month: "2026-08-01".parse().unwrap(),
                today: "2026-08-07".parse().unwrap(),
                rows: &open,
                totals: &Totals::of(&open).unwrap(),
                open: &open,
            };
            let text = page(&look, &view).into_string();
            assert!(text.contains(words) && text.contains("₩9,000"), "{text}");
            assert!(text.contains("/partner/settlements/1") && !text.contains("/admin/"));
            assert!(!text.contains("<b>") && !text.contains("<확인>"));
            assert!(text.contains("month=2026-07") && !text.contains("month=2026-09"));
        }
    }

    #[test]
    fn a_month_is_read_and_nothing_else() {
        assert_eq!(month_of("2026-08"), "2026-08-01".parse().ok());
        for wrong in ["2026-13", "2026-8", "2026-08-01", "", "가나다라"] {
            assert_eq!(month_of(wrong), None, "{wrong}");
        }
    }
}
