//! `/admin/settlements/days/{day}`: how a day's settlement stands, and what can be done about it.

use std::time::Duration;

use axum::{
    extract::{Path, State},
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::super::{icons::Icon, parts};
use super::{
    super::saved::Shown,
    super::{
        layout::{Fields, Look, Page, field, layout, nothing, see_other},
        words::{self, won},
    },
    crumb,
    list::{COLUMNS, table},
    page_of,
    said::{count, day_path, partner_path, timeline},
};
use crate::{
    domain::{calendar::KstDay, money::Won},
    flow::{
        reopen_day::{open_again, reopen_day},
        settle_day::{self, Report, settle_day},
    },
    store::{
        StoreError,
        history::{self, Happened},
        progress::{self, Progress},
        settlements::{self, SettlementRow},
    },
    web::{
        Web,
        api::settlements::{DayView, day_view, patiently},
        asked::a_day,
        auth::Actor,
        error::Problem,
        extract::{F, Q},
        lang::Lang,
    },
};

/// Settlements that the page lists; the list of all has the others.
const MOST: usize = 30;
/// A run that has not been heard of for so long has broken off.
const SILENCE: Duration = Duration::from_secs(60);

pub struct View<'a> {
    pub day: &'a DayView,
    /// One more than are shown, where there are more.
    pub rows: &'a [SettlementRow],
    pub events: &'a [Happened],
    pub now: Timestamp,
    /// What was just done: `settled`, `running`, `reopened`.
    pub did: Option<&'a str>,
    pub wrong: Option<&'a str>,
    /// The reason as it was typed.
    pub reason: &'a str,
}

/// A run goes on right now.
fn runs(progress: Option<&Progress>, now: Timestamp) -> bool {
    progress.is_some_and(|progress| {
        let silent = now
            .as_second()
            .saturating_sub(progress.updated_at.as_second());
        progress.finished_at.is_none() && silent < SILENCE.as_secs() as i64
    })
}

pub fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let day = view.day.day;
    let today = KstDay::of(view.now);
    let title = lang.t(format!("{day} 정산"), format!("Settlement of {day}"));
    let running = runs(view.day.progress.as_ref(), view.now);
    let body = html! {
        (crumb("/admin/settlements", lang.t("정산", "Settlements")))
        div.head {
            h1 { (title) }
            p.states { (stands(view.day, running, today, lang)) }
            nav.ways aria-label=(lang.t("다른 날", "Other days")) {
                a rel="prev" href=(day_path(day.previous())) { "← " (day.previous()) }
                @if day.next() < today { a rel="next" href=(day_path(day.next())) { (day.next()) " →" } }
            }
        }
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        (done(view, running, lang))
        (progress_part(day, view.day.progress.as_ref(), view.now, lang))
        (without_contract(view.day, lang))
        div.two {
            div.stack {
                (figures(view.day, lang))
                section.sheet aria-labelledby="history" {
                    h2 #history { (lang.t("진행 기록", "What happened")) }
                    (timeline(view.events, lang))
                }
            }
            div.stack { (actions(view, today, lang)) }
        }
        @if view.rows.is_empty() {
            (parts::none_yet(Icon::Coins, lang.t("이 날의 정산이 없습니다.", "There are no settlements of this day.")))
        } @else {
            (table(&view.rows[..view.rows.len().min(MOST)], &Shown::usual(&COLUMNS), lang))
            @if view.rows.len() > MOST {
                p { a.button href=(format!("/admin/settlements?from={day}&to={day}")) { (lang.t("이 날의 정산 모두 보기", "All settlements of the day")) } }
            }
        }
    };
    let page = Page {
        live: running,
        reload: running.then_some(2),
        ..page_of(&title)
    };
    layout(look, page, body)
}

fn stands(view: &DayView, running: bool, today: KstDay, lang: Lang) -> Markup {
    let (tone, sign, text, code) = match &view.stands {
        _ if running => ("wait", "↻", lang.t("정산 중", "Being settled"), "RUNNING"),
        None if view.day >= today => (
            "plain",
            "·",
            lang.t("아직 끝나지 않은 날", "Not over yet"),
            "NOT_OVER",
        ),
        None => ("wait", "◷", lang.t("정산 전", "Not settled"), "OPEN"),
        Some(day) if day.finished_at.is_none() => (
            "bad",
            "!",
            lang.t("정산이 끝나지 않음", "Not finished"),
            "UNFINISHED",
        ),
        Some(day) if day.blocked > 0 => (
            "bad",
            "!",
            lang.t("계약 없는 파트너사 있음", "Partners without a contract"),
            "BLOCKED",
        ),
        Some(_) => ("good", "✓", lang.t("정산 완료", "Settled"), "SETTLED"),
    };
    words::tag(tone, sign, text, code)
}

fn done(view: &View<'_>, running: bool, lang: Lang) -> Markup {
    let text = match view.did {
        Some("running") if running => lang.t(
            "정산이 진행 중입니다. 이 화면을 떠나도 계속됩니다.",
            "It is being settled, and goes on if you leave this page.",
        ),
        Some("running" | "settled") => lang.t("정산했습니다.", "The day is settled."),
        Some("opened") => lang.t(
            "이 날을 열었습니다. 계약을 고친 뒤 '정산하기'를 누르세요. 그대로 두면 오늘 밤에 다시 정산합니다.",
            "The day is open. Put its terms right, then settle it; else the next night does.",
        ),
        Some("reopened") => lang.t(
            "다시 열어 정산했습니다.",
            "The day was opened again and settled.",
        ),
        _ => return nothing(),
    };
    html! { p.message.good role="status" { (text) } }
}

/// How far a run is. Asks again every second as long as it goes on.
pub fn progress_part(
    day: KstDay,
    progress: Option<&Progress>,
    now: Timestamp,
    lang: Lang,
) -> Markup {
    let Some(progress) = progress else {
        return nothing();
    };
    if runs(Some(progress), now) {
        let (done, total) = (count(progress.done), count(progress.total));
        return html! {
            section.sheet #progress hx-get={ (day_path(day)) "/progress" } hx-trigger="load delay:1s" hx-swap="outerHTML" aria-live="polite" {
                label.field {
                    span { (lang.t("진행", "Progress")) " " (progress.percent()) "% · " (done) " / " (total) }
                    progress max="100" value=(progress.percent()) { (progress.percent()) "%" }
                }
            }
        };
    }
    let broke_off = match (&progress.failed, progress.finished_at) {
        (Some(why), _) => why.clone(),
        (None, None) => lang.t(
            "정산하던 서버가 멈춘 것 같습니다".into(),
            "the server that settled it seems to have stopped".into(),
        ),
        (None, Some(_)) => return nothing(),
    };
    html! {
        p.message.bad #progress role="alert" { (lang.t(
            format!("지난 정산이 중간에 멈췄습니다({broke_off}). 다시 정산하면 남은 것만 이어서 합니다."),
            format!("The last run broke off ({broke_off}). Settle again: what is left is done."),
        )) }
    }
}

fn without_contract(view: &DayView, lang: Lang) -> Markup {
    if view.without_contract.is_empty() {
        return nothing();
    }
    html! {
        section.sheet.tone-bad aria-labelledby="blocked" {
            h2 #blocked { "! " (lang.t("계약이 없어 정산하지 못한 파트너사", "Partners not settled for want of a contract")) }
            p { (lang.t(
                "계약을 맺은 뒤 이 날을 다시 정산하면 그 파트너사만 마저 정산합니다. 밤 정산에서도 저절로 다시 해 봅니다.",
                "Agree a contract, then settle the day again: only they are settled. The nightly run tries again, too.",
            )) }
            ul.lines {
                @for one in &view.without_contract {
                    li {
                        span.grow {
                            a href=(partner_path(one.partner.as_str())) { (one.partner_name) }
                            br;
                            span.soft.small { (lang.t(
                                format!("{}의 계약이 필요합니다 · 항목 {}개", one.day, one.movements),
                                format!("needs a contract for {} · {} movements", one.day, one.movements),
                            )) }
                        }
                        strong { (one.waiting) }
                        @if one.agreed_since {
                            span.mini { (lang.t("이제 계약 있음", "agreed by now")) }
                        } @else {
                            a.button.small href=(format!("{}/contract?from={}", partner_path(one.partner.as_str()), one.day)) { (lang.t("계약 맺기", "Make a contract")) span.hidden { " " (one.partner_name) } }
                        }
                    }
                }
            }
        }
    }
}

fn figures(view: &DayView, lang: Lang) -> Markup {
    html! {
        section.sheet aria-labelledby="figures" {
            h2.hidden #figures { (lang.t("합계", "Sums")) }
            @if let Some(sums) = &view.sums {
                dl.figures {
                    div { dt { (lang.t("매출", "Sales")) } dd { (sums.sales) } }
                    div { dt { (lang.t("취소", "Returned")) } dd.back { (sums.returned) } }
                    div { dt { (lang.t("정산금", "Net")) } dd { strong { (sums.net) } } }
                }
            }
            dl.facts {
                dt { (lang.t("항목", "Movements")) } dd { (count(view.movements)) }
                @if let Some(sums) = &view.sums {
                    dt { (lang.t("정산", "Settlements")) } dd { (count(sums.settlements)) }
                    dt { (lang.t("수수료", "Fees")) } dd { (sums.fees) }
                }
                @if let Some(day) = &view.stands {
                    dt { (lang.t("마감", "Closed")) } dd { (words::time(day.closed_at)) }
                    @if let Some(at) = day.finished_at { dt { (lang.t("완료", "Finished")) } dd { (words::time(at)) } }
                    @if day.generation > 0 { dt { (lang.t("다시 연 횟수", "Opened again")) } dd { (day.generation) (lang.t("번", " times")) } }
                }
            }
        }
    }
}

fn actions(view: &View<'_>, today: KstDay, lang: Lang) -> Markup {
    let path = day_path(view.day.day);
    html! {
        @if view.day.day < today {
            section.sheet {
                h2 { (lang.t("지금 정산", "Settle now")) }
                p { (lang.t(
                    "이 날을 마감하고 파트너사마다 정산을 만듭니다. 이미 만든 정산은 그대로 둡니다.",
                    "Closes the day and works out each partner's settlement. What is settled stays as it is.",
                )) }
                form method="post" action={ (path) "/settle" } data-once { button.primary.wide { (lang.t("정산하기", "Settle")) } }
            }
        }
        section.sheet {
            h2 { (lang.t("미리 계산", "Dry run")) }
            p { (lang.t("지금까지의 결제로 계산만 해 봅니다. 아무것도 적지 않습니다.", "Works it out by what is booked so far, and writes nothing.")) }
            form method="post" action={ (path) "/dry-run" } data-once { button.wide { (lang.t("계산해 보기", "Work it out")) } }
        }
        @if view.day.stands.is_some() {
            section.sheet {
                h2 { (lang.t("다시 열기", "Open again")) }
                p { (lang.t(
                    "이 날의 정산을 모두 지우고 지금의 계약으로 다시 계산합니다. 늦게 온 결제와 취소도 이 날로 돌아옵니다. 지급이 시작된 정산이 있으면 할 수 없습니다.",
                    "Removes the day's settlements and works them out anew, by today's contracts and with what came late. Not possible once any of them is being paid.",
                )) }
                form.stack method="post" action={ (path) "/reopen" } data-once {
                    label.field { span { (lang.t("사유", "Reason")) } input name="reason" required maxlength="200" autocomplete="off" value=(view.reason); }
                    button.danger.wide { (lang.t("다시 열기…", "Open again…")) }
                }
            }
        }
    }
}

/// What a dry run came to.
fn report_page(look: &Look, report: &Report) -> Markup {
    let lang = look.lang;
    let day = report.day;
    let title = lang.t(format!("{day} 미리 계산"), format!("Dry run of {day}"));
    let total = Won::sum(report.settled.iter().map(|one| one.net)).unwrap_or_default();
    let body = html! {
        (crumb(&day_path(day), &lang.t(format!("{day} 정산"), format!("Settlement of {day}"))))
        div.head { h1 { (title) } }
        p.message.wait role="status" { (lang.t(
            format!("아무것도 적지 않았습니다. 파트너사 {}곳, 항목 {}개, 합계 {}입니다.", report.settled.len(), report.lines, won(total)),
            format!("Nothing was written. {} partners, {} lines, {}.", report.settled.len(), report.lines, won(total)),
        )) @if report.already > 0 { " " (lang.t(
            format!("그중 {}곳은 이미 정산되어 있습니다.", report.already),
            format!("{} of them are settled already.", report.already),
        )) } }
        @if !report.blocked.is_empty() {
            section.sheet.tone-bad {
                h2 { "! " (lang.t("계약이 없는 파트너사", "Partners without a contract")) }
                ul.lines { @for one in &report.blocked {
                    li { a.grow href=(partner_path(&one.partner)) { (one.partner) } span.soft { (one.day) } strong { (one.waiting) } }
                } }
            }
        }
        @if report.settled.is_empty() {
            (parts::none_yet(Icon::Coins, lang.t("정산할 것이 없습니다.", "There is nothing to settle.")))
        } @else {
            table.rows.tight {
                thead { tr {
                    th scope="col" { (lang.t("파트너사", "Partner")) }
                    th.num scope="col" { (lang.t("항목", "Lines")) }
                    th.num scope="col" { (lang.t("주문 금액", "Order amount")) }
                    th.num scope="col" { (lang.t("정산금", "Net")) }
                    th scope="col" { (lang.t("지급일", "Payout day")) }
                } }
                tbody { @for one in &report.settled { tr {
                    td.what { a.main href=(partner_path(&one.partner)) { (one.partner) } }
                    td.num data-label=(lang.t("항목", "Lines")) { (one.sums.lines) }
                    td.num data-label=(lang.t("주문 금액", "Order amount")) { (one.sums.cut.order) }
                    td.num data-label=(lang.t("정산금", "Net")) { strong { (one.net) } }
                    td.method { @match one.payout_day { Some(day) => { span.phone { (lang.t("지급일 ", "paid on ")) } (day) }, None => { (lang.t("지급 없음", "not paid out")) } } }
                } } }
            }
        }
    };
    layout(look, page_of(&title), body)
}

fn sure_page(look: &Look, day: KstDay, rows: usize, reason: &str) -> Markup {
    let lang = look.lang;
    let path = day_path(day);
    let title = lang.t(
        format!("{day}을 다시 열까요?"),
        format!("Open {day} again?"),
    );
    let body = html! {
        (crumb(&path, lang.t("돌아가기", "Back")))
        section.sheet.narrow {
            h1 { (title) }
            p.big { (lang.t(
                format!("정산 {rows}건을 지우고 다시 계산합니다."),
                format!("{rows} settlements are removed and worked out anew."),
            )) }
            p { (lang.t("사유: ", "Reason: ")) (reason) }
            form.acts method="post" action={ (path) "/reopen" } data-once {
                input type="hidden" name="sure" value="1";
                input type="hidden" name="reason" value=(reason);
                a.button href=(path) { (lang.t("그만두기", "Leave it")) }
                button.danger #only-open name="only" value="1" { (lang.t("열기만 (계약부터 고치기)", "Only open, to put terms right first")) }
                button.danger.solid #do-it { (lang.t("열고 바로 정산", "Open and settle")) }
            }
        }
    };
    layout(look, page_of(&title), body)
}

async fn read(
    web: &Web,
    day: KstDay,
) -> Result<(DayView, Vec<SettlementRow>, Vec<Happened>), Problem> {
    let found = web.ctx.store.read_long(move |conn| {
        let filter = settlements::Filter {
            from: Some(day),
            to: Some(day),
            ..settlements::Filter::default()
        };
        Ok::<_, StoreError>((
            day_view(conn, day)?,
            settlements::list(conn, &filter, None, MOST + 1)?,
            history::of(conn, &history::Subject::Day(day), 50)?,
        ))
    });
    Ok(found.await?)
}

async fn answer(
    web: &Web,
    look: &Look,
    day: &str,
    did: Option<&str>,
    wrong: Option<(&Problem, &str)>,
) -> Result<Response, Problem> {
    let (day, rows, events) = read(web, a_day("day", day)?).await?;
    let view = View {
        day: &day,
        rows: &rows,
        events: &events,
        now: web.ctx.store.now(),
        did,
        wrong: wrong.map(|(problem, _)| problem.sentence(look.lang)),
        reason: wrong.map_or("", |(_, reason)| reason),
    };
    let status = wrong.map_or(StatusCode::OK, |(problem, _)| problem.status);
    Ok((status, page(look, &view)).into_response())
}

/// `GET /admin/settlements/days/{day}`
pub async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(day): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    look.answer(answer(&web, &look, &day, field(&query, "did"), None).await)
}

/// `GET /admin/settlements/days/{day}/progress`: the part that changes; the whole page once it is over.
pub async fn progress(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(day): Path<String>,
) -> Response {
    // Asked every second: nothing is read but the one row.
    let found = a_day("day", &day).and_then(|day| {
        let name = settle_day::progress_of(day);
        let found = web.ctx.store.read(|conn| progress::get(conn, &name))?;
        Ok((day, found))
    });
    match found {
        Ok((day, found)) => {
            let now = web.ctx.store.now();
            let mut response = progress_part(day, found.as_ref(), now, lang).into_response();
            if !runs(found.as_ref(), now) {
                let headers = response.headers_mut();
                headers.insert("hx-refresh", HeaderValue::from_static("true"));
            }
            response
        }
        Err(problem) => problem.lang(lang).into_response(),
    }
}

/// `POST /admin/settlements/days/{day}/settle`
pub async fn settle(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(day): Path<String>,
) -> Response {
    let result = async {
        let this = a_day("day", &day)?;
        let ctx = web.ctx.clone();
        let run = patiently(async move { settle_day(&ctx, this, actor.by).await }).await;
        match run {
            Some(Ok(_)) => Ok(see_other(&format!("{}?did=settled", day_path(this)), None)),
            None => Ok(see_other(&format!("{}?did=running", day_path(this)), None)),
            Some(Err(error)) => {
                let problem = Problem::from(error);
                answer(&web, &look, &day, None, Some((&problem, ""))).await
            }
        }
    };
    look.answer(result.await)
}

/// `POST /admin/settlements/days/{day}/dry-run`
pub async fn dry_run(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(day): Path<String>,
) -> Response {
    let result = async {
        let report = settle_day::dry_run(&web.ctx, a_day("day", &day)?).await?;
        Ok::<_, Problem>(report_page(&look, &report).into_response())
    };
    look.answer(result.await)
}

/// `POST /admin/settlements/days/{day}/reopen`
pub async fn reopen(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(day): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let reason = field(&form, "reason").unwrap_or_default();
    let result = async {
        let this = a_day("day", &day)?;
        if field(&form, "sure").is_none() && !reason.is_empty() {
            let sums = web
                .ctx
                .store
                .read(|conn| settlements::by_day(conn, this, this))?;
            let rows = sums.first().map_or(0, |sums| sums.settlements);
            let rows = usize::try_from(rows).unwrap_or_default();
            return Ok(sure_page(&look, this, rows, reason).into_response());
        }
        let (ctx, why) = (web.ctx.clone(), reason.to_owned());
        if field(&form, "only").is_some() {
            return match open_again(&ctx, this, why, actor.by).await {
                Ok(()) => Ok(see_other(&format!("{}?did=opened", day_path(this)), None)),
                Err(error) => {
                    let problem = Problem::from(error);
                    answer(&web, &look, &day, None, Some((&problem, reason))).await
                }
            };
        }
        match patiently(async move { reopen_day(&ctx, this, why, actor.by).await }).await {
            Some(Ok(_)) => Ok(see_other(&format!("{}?did=reopened", day_path(this)), None)),
            None => Ok(see_other(&format!("{}?did=running", day_path(this)), None)),
            Some(Err(error)) => {
                let problem = Problem::from(error);
                answer(&web, &look, &day, None, Some((&problem, reason))).await
            }
        }
    };
    look.answer(result.await)
}

#[cfg(test)]
mod tests {
    use super::{super::test_values::settlement, *};
    use crate::{
        domain::{ids::PartnerId, settlement::State},
        store::settlements::Day,
        web::api::settlements::WithoutContract,
    };

    const NOW: &str = "2026-08-07T01:00:00Z";

    fn day(finished: bool, blocked: i64) -> DayView {
        let at: Timestamp = NOW.parse().unwrap();
        DayView {
            day: "2026-08-06".parse().unwrap(),
            stands: Some(Day {
                day: "2026-08-06".parse().unwrap(),
                generation: 1,
                closed_at: at,
                finished_at: finished.then_some(at),
                blocked,
            }),
            progress: None,
            movements: 3,
            sums: None,
            without_contract: (0..blocked)
                .map(|_| WithoutContract {
                    partner: PartnerId::new("farm-<b>").unwrap(),
                    partner_name: "농장 <b>".into(),
                    day: "2026-08-05".parse().unwrap(),
                    movements: 2,
                    waiting: Won::new(-3_000),
                    agreed_since: false,
                })
                .collect(),
        }
    }

    fn shown(lang: Lang, day: &DayView, rows: &[SettlementRow]) -> String {
        let look = Look {
            lang,
            ..Look::default()
        };
        let view = View {
            day,
            rows,
            events: &[],
            now: NOW.parse().unwrap(),
            did: None,
            wrong: None,
            reason: "\"<b>",
        };
        page(&look, &view).into_string()
    }

    #[test]
    fn a_day_says_how_it_stands() {
        let mut open = day(false, 0);
        open.stands = None;
        assert!(shown(Lang::Ko, &open, &[]).contains("정산 전"));
        assert!(!shown(Lang::Ko, &open, &[]).contains("/reopen"));
        assert!(shown(Lang::En, &day(false, 0), &[]).contains("Not finished"));
        let rows = [settlement(State::Requested, -1)];
        let text = shown(Lang::Ko, &day(true, 0), &rows);
        assert!(text.contains("정산 완료") && text.contains("/reopen") && !text.contains("<b>"));
        let text = shown(Lang::Ko, &day(true, 1), &[]);
        assert!(text.contains("2026-08-05의 계약이 필요합니다") && text.contains("-₩3,000"));
        assert!(text.contains("/contract?from=2026-08-05"));
    }

    #[test]
    fn a_run_shows_how_far_it_is_and_one_that_broke_off_why() {
        let at: Timestamp = NOW.parse().unwrap();
        let mut day = day(false, 0);
        day.progress = Some(Progress {
            name: "settle:2026-08-06".into(),
            done: 1_000,
            total: 4_000,
            started_at: at,
            updated_at: at,
            finished_at: None,
            failed: None,
        });
        let text = shown(Lang::Ko, &day, &[]);
        assert!(
            text.contains("value=\"25\"") && text.contains("hx-get") && text.contains("refresh")
        );
        let late = "2026-08-07T01:05:00Z".parse().unwrap();
        let text = progress_part(day.day, day.progress.as_ref(), late, Lang::En).into_string();
        assert!(
            text.contains("broke off") && !text.contains("hx-get"),
            "{text}"
        );
    }
}
