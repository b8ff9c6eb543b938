//! `/admin/jobs`: the overview, and below it the jobs, filtered, searched and paged.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::super::{icons::Icon, parts};
use super::{
    super::{
        layout::{Fields, Look, Page, field, layout},
        saved::{self, Kept},
        words,
    },
    about, address, duration, job_path,
    overview::{self, Overview},
    rough, self_page, stand_badge, stand_word,
};
use crate::{
    domain::job::Job,
    flow::operate_jobs::{Subject, subject, workers},
    store::{
        StoreError,
        job_lists::{self, Cursor, Filter, Listed, Stand},
        jobs::JobRow,
        preferences::List,
    },
    web::{Web, auth::Actor, error::Problem, extract::Q, lang::Lang},
};

/// Jobs of a page, and of what a search found.
const PAGE: usize = 25;

/// What may stand in the address, in the order of the form.
const FILTERS: [&str; 3] = ["q", "kind", "state"];

/// The jobs of a page, with what each is about.
pub struct Rows {
    pub rows: Vec<(JobRow, Subject)>,
    pub next: Option<Cursor>,
    /// There are more than a search shows.
    pub too_many: bool,
    pub now: Timestamp,
}

pub struct View<'a> {
    pub fields: &'a Fields,
    pub overview: &'a Overview,
    pub rows: &'a Rows,
    /// Kinds to choose from beside those that this version knows.
    pub others: &'a [String],
    pub kept: &'a Kept,
    pub wrong: Option<&'a str>,
}

pub fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let body = html! {
        div.head {
            h1 { (lang.t("작업", "Jobs")) }
            p.soft { (lang.t(
                "스스로 실행되는 일입니다. 종류마다 멈추고 다시 시작할 수 있습니다.",
                "What runs by itself. Each kind can be paused and resumed.",
            )) }
            p.live #live-state data-on=(lang.t("실시간", "Live")) data-off=(lang.t("연결이 끊겨 다시 연결하는 중", "Connection lost, trying again")) hidden {}
        }
        (overview::part(view.overview, lang))
        section.stack aria-labelledby="list" {
            h2 #list { (lang.t("작업 찾기", "Find jobs")) }
            (filters(view, lang))
            (saved::filters(view.kept, List::Jobs, view.fields, lang))
            @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } } @else { (rows(view.fields, view.rows, lang)) }
        }
    };
    let page = Page {
        live: true,
        reload: Some(10),
        ..self_page(lang)
    };
    layout(look, page, body)
}

fn filters(view: &View<'_>, lang: Lang) -> Markup {
    let value = |name: &str| field(view.fields, name).unwrap_or_default();
    let known = Job::KINDS.into_iter();
    let kinds = known.chain(view.others.iter().map(String::as_str));
    let filtered = FILTERS.iter().any(|name| !value(name).is_empty());
    let chip = |stand: Option<Stand>, text: &str| {
        let code = stand.map_or("", Stand::as_str);
        let mut fields = view.fields.clone();
        fields.insert("state".into(), code.into());
        html! {
            a href={ (address("/admin/jobs", &fields, &FILTERS)) "#list" } aria-current=[(value("state") == code).then_some("true")] { (text) }
        }
    };
    html! {
        form.filters method="get" action="/admin/jobs#list" role="search" {
            div.inline.wrap {
                label.field.grow {
                    span.hidden { (lang.t("검색", "Search")) }
                    input type="search" name="q" value=(value("q")) maxlength="200"
                        placeholder=(lang.t("작업 번호, 결제번호, 주문번호, 취소 ID, 오류 내용", "Job, payment, order or cancellation id, words of an error"));
                }
                label.field.kind {
                    span.hidden { (lang.t("종류", "Kind")) }
                    select name="kind" {
                        option value="" selected[value("kind").is_empty()] { (lang.t("모든 종류", "All kinds")) }
                        @for kind in kinds { option value=(kind) selected[value("kind") == kind] { (words::job(kind, lang)) } }
                    }
                }
                @if !value("state").is_empty() { input type="hidden" name="state" value=(value("state")); }
                button.primary { (lang.t("찾기", "Find")) }
            }
            nav.chips aria-label=(lang.t("상태", "State")) {
                (chip(None, lang.t("전체", "All")))
                @for stand in Stand::ALL { (chip(Some(stand), stand_word(stand, lang))) }
                @if filtered { a.clear href="/admin/jobs#list" { "✕ " (lang.t("조건 지우기", "Clear")) } }
            }
        }
    }
}

/// The list. It changes by itself, too.
pub fn rows(fields: &Fields, view: &Rows, lang: Lang) -> Markup {
    let mut names = FILTERS.to_vec();
    names.push("after");
    let live = address("/admin/jobs/live/rows", fields, &names);
    let dead = field(fields, "state") == Some(Stand::Dead.as_str());
    html! {
        div.stack #rows hx-get=(live) hx-trigger="poll" hx-swap="outerHTML" data-poll {
            @if dead && !view.rows.is_empty() {
                p.acts {
                    a.button #bulk href=(address("/admin/dead-letters/replay", fields, &["kind"])) {
                        (lang.t("한꺼번에 재처리 미리 보기…", "Replay many: dry run…"))
                    }
                    a.button #dead-letters href=(address("/admin/dead-letters", fields, &["kind"])) { (lang.t("데드레터 목록", "Dead letters")) }
                }
            }
            @if view.rows.is_empty() {
                @if FILTERS.iter().any(|name| field(fields, name).is_some()) {
                    (parts::nothing_fits(lang.t("조건에 맞는 작업이 없습니다.", "No job fits."), "/admin/jobs#list", lang))
                } @else {
                    (parts::none_yet(Icon::Queue, lang.t("아직 작업이 없습니다.", "There are no jobs yet.")))
                }
            } @else {
                table.rows.jobs {
                    thead { tr {
                        th scope="col" { (lang.t("작업", "Job")) }
                        th scope="col" { (lang.t("상태", "State")) }
                        th.num scope="col" { (lang.t("금액", "Amount")) }
                        th.num scope="col" { (lang.t("시도", "Attempts")) }
                        th scope="col" { (lang.t("언제", "When")) }
                    } }
                    tbody { @for (job, of) in &view.rows { (row(job, of, view.now, lang)) } }
                }
            }
            @if view.too_many {
                p.soft.small { (lang.t(
                    format!("가장 새로운 {PAGE}건만 보입니다. 조건을 좁혀 주세요."),
                    format!("Only the newest {PAGE} are shown: narrow the search."),
                )) }
            }
            @let newest = field(fields, "after").map(|_| page_path(fields, None));
            @let next = view.next.map(|next| page_path(fields, Some(next)));
            (parts::pager(lang, newest.as_deref(), next.as_deref()))
        }
    }
}

/// The list from its beginning, or behind a job.
fn page_path(fields: &Fields, after: Option<Cursor>) -> String {
    let mut query = fields.clone();
    query.remove("after");
    if let Some(after) = after {
        query.insert("after".into(), after.to_string());
    }
    let mut names = FILTERS.to_vec();
    names.push("after");
    format!("{}#list", address("/admin/jobs", &query, &names))
}

fn row(job: &JobRow, of: &Subject, now: Timestamp, lang: Lang) -> Markup {
    let stand = Stand::of(job, now);
    let error = match stand {
        Some(Stand::Done) => None,
        Some(Stand::Cancelled) => job.note.as_deref().or(job.last_error.as_deref()),
        _ => job.last_error.as_deref(),
    };
    html! {
        tr data-job=(job.id) {
            td.what {
                a.main #{ "job-" (job.id) } href=(job_path(job.id)) { (words::job(&job.kind, lang)) " #" (job.id) }
                div.soft.small { (about(of, lang)) }
                @if let Some(error) = error {
                    div.small.(if stand == Some(Stand::Dead) { "bad-text" } else { "soft" }) { (cut(&words::told(error, lang))) }
                }
            }
            td.state { (stand_badge(stand, &job.state, lang)) }
            td.num data-label=(lang.t("금액", "Amount")) { @match of.amount { Some(amount) => (amount), None => span.soft { "–" } } }
            td.num data-label=(lang.t("시도", "Attempts")) { (job.attempt) " / " (job.max_attempts) }
            td.when data-label=(lang.t("언제", "When")) { (when(job, stand, now, lang)) }
        }
    }
}

/// As much of an error as a list needs.
fn cut(text: &str) -> String {
    let short: String = text.chars().take(100).collect();
    if short.len() < text.len() {
        short + "…"
    } else {
        short
    }
}

/// The time that matters to how it stands.
fn when(job: &JobRow, stand: Option<Stand>, now: Timestamp, lang: Lang) -> Markup {
    let ago =
        |at: Timestamp| html! { (words::short_time(at)) div.small { (words::age(at, now, lang)) } };
    match stand {
        Some(Stand::Waiting) => {
            let waits = rough(job.run_at, now, lang);
            html! { (words::short_time(job.run_at)) div.small { (lang.t(format!("{waits}째 대기"), format!("waits {waits}"))) } }
        }
        Some(Stand::Retrying | Stand::Scheduled) => {
            let left = rough(now, job.run_at, lang);
            html! { (words::short_time(job.run_at)) div.small { (lang.t(format!("{left} 뒤"), format!("in {left}"))) } }
        }
        Some(Stand::Running) => {
            let began = job.started_at.unwrap_or(job.run_at);
            let runs = rough(began, now, lang);
            html! { (words::short_time(began)) div.small { (lang.t(format!("{runs}째 실행"), format!("runs {runs}"))) } }
        }
        Some(Stand::Done) => match (job.started_at, job.finished_at) {
            (Some(began), Some(ended)) => html! {
                (words::short_time(ended))
                div.small {
                    (lang.t("실행 ", "took "))
                    (duration((ended.as_millisecond() - began.as_millisecond()).max(0) as f64, lang))
                }
            },
            _ => ago(job.finished_at.unwrap_or(job.created_at)),
        },
        _ => ago(job.finished_at.unwrap_or(job.created_at)),
    }
}

fn filter(fields: &Fields) -> Result<(Filter, Option<Cursor>), Problem> {
    let wrong = |name: &str| {
        Problem::bad_request(
            format!("조건 `{name}`을(를) 읽을 수 없습니다. 전체 보기에서 다시 골라 주세요."),
            format!("The filter `{name}` cannot be read: choose it again from the list of all."),
        )
    };
    let stand = field(fields, "state")
        .map(|code| Stand::parse(code).ok_or_else(|| wrong("state")))
        .transpose()?;
    let after = field(fields, "after")
        .map(|text| Cursor::parse(text).ok_or_else(|| wrong("after")))
        .transpose()?;
    let kind = field(fields, "kind").map(str::to_owned);
    Ok((Filter { kind, stand }, after))
}

async fn read_rows(web: &Web, fields: &Fields) -> Result<Rows, Problem> {
    let (filter, after) = filter(fields)?;
    let store = &web.ctx.store;
    let now = store.now();
    let text = field(fields, "q").map(|text| text.chars().take(200).collect::<String>());
    let read = move |conn: &rusqlite::Connection| {
        let (listed, too_many) = match &text {
            Some(text) => {
                let mut rows = job_lists::find(conn, &filter, text, now)?;
                let more = rows.len() > PAGE;
                rows.truncate(PAGE);
                (Listed { rows, next: None }, more)
            }
            None => (job_lists::list(conn, &filter, now, after, PAGE)?, false),
        };
        let rows = listed.rows.into_iter().map(|row| {
            let of = subject(conn, &row)?;
            Ok::<_, StoreError>((row, of))
        });
        Ok::<_, StoreError>(Rows {
            rows: rows.collect::<Result<_, _>>()?,
            next: listed.next,
            too_many,
            now,
        })
    };
    Ok(store.read_long(read).await?)
}

async fn read_overview(web: &Web) -> Result<Overview, Problem> {
    let store = web.ctx.store.clone();
    let now = store.now();
    let alive = store.clone();
    let (kinds, workers) = store
        .read_long(move |conn| {
            Ok::<_, StoreError>((job_lists::kinds(conn, now)?, workers(&alive, conn)?))
        })
        .await?;
    Ok(Overview {
        kinds,
        workers,
        engine: web.site.broker.engine(),
        health: web.site.broker.health(),
        now,
        boot: web.ctx.boot.to_string(),
    })
}

/// `GET /admin/jobs`
pub async fn show(State(web): State<Web>, _: Actor, look: Look, Q(fields): Q<Fields>) -> Response {
    look.answer(list(&web, &look, &fields).await)
}

async fn list(web: &Web, look: &Look, fields: &Fields) -> Result<Response, Problem> {
    let overview = read_overview(web).await?;
    let (rows, wrong) = match read_rows(web, fields).await {
        Ok(rows) => (rows, None),
        Err(problem) if problem.status == StatusCode::BAD_REQUEST => {
            let none = Rows {
                rows: Vec::new(),
                next: None,
                too_many: false,
                now: overview.now,
            };
            (none, Some(problem))
        }
        Err(problem) => return Err(problem),
    };
    let others: Vec<String> = overview
        .kinds
        .iter()
        .filter(|kind| !kind.known)
        .map(|kind| kind.depth.kind.clone())
        .collect();
    let view = View {
        fields,
        overview: &overview,
        rows: &rows,
        others: &others,
        kept: &saved::kept(web, look.actor.as_ref(), List::Jobs)?,
        wrong: wrong.as_ref().map(|problem| problem.sentence(look.lang)),
    };
    let status = wrong
        .as_ref()
        .map_or(StatusCode::OK, |problem| problem.status);
    Ok((status, page(look, &view)).into_response())
}

/// `GET /admin/jobs/live`: the overview as it stands now.
pub async fn stand_changed(State(web): State<Web>, _: Actor, lang: Lang) -> Response {
    match read_overview(&web).await {
        Ok(view) => overview::part(&view, lang).into_response(),
        Err(problem) => problem.lang(lang).into_response(),
    }
}

/// `GET /admin/jobs/live/rows`: the list as it stands now.
pub async fn rows_changed(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Q(fields): Q<Fields>,
) -> Response {
    match read_rows(&web, &fields).await {
        Ok(view) => rows(&fields, &view, lang).into_response(),
        Err(problem) => problem.lang(lang).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn job(state: &str, error: Option<&str>) -> JobRow {
        let at = "2026-08-06T00:59:00Z".parse().unwrap();
        JobRow {
            id: 7,
            queue: "payment".into(),
            kind: "confirm_payment".into(),
            payload: "{\"inbox_id\":1}".into(),
            state: state.into(),
            attempt: 2,
            max_attempts: 20,
            crashes: 0,
            generation: 0,
            run_at: at,
            created_at: at,
            started_at: Some(at),
            finished_at: matches!(state, "done" | "dead" | "cancelled").then_some(at),
            last_error: error.map(str::to_owned),
            note: None,
            reason: None,
            published_at: None,
            lease_by: None,
            lease_until: None,
        }
    }

    fn shown(lang: Lang, fields: &Fields, rows: Vec<(JobRow, Subject)>) -> String {
        let overview = overview::tests::overview();
        let rows = Rows {
            rows,
            next: Cursor::parse("dead.0.0.0.7"),
            too_many: true,
            now: "2026-08-06T01:00:00Z".parse().unwrap(),
        };
        let view = View {
            fields,
            overview: &overview,
            rows: &rows,
            others: &["<b>odd".into()],
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
    fn every_state_has_its_words_and_its_time_and_nothing_is_taken_for_markup() {
        let of = || Subject {
            imp_uid: Some("../<x>".into()),
            merchant_uid: Some("<b>".into()),
            ..Subject::default()
        };
        for (state, ko, en) in [
            ("ready", "1분째 대기", "waits 1 min"),
            ("running", "1분째 실행", "runs 1 min"),
            ("done", "실행 0ms", "took 0 ms"),
            ("dead", "1분 전", "1 min ago"),
            ("cancelled", "1분 전", "1 min ago"),
            ("unheard_of", "1분 전", "1 min ago"),
        ] {
            for (lang, words) in [(Lang::Ko, ko), (Lang::En, en)] {
                let rows = vec![(job(state, Some("<script>x</script>")), of())];
                let text = shown(lang, &Fields::new(), rows);
                assert!(text.contains(words), "{state}: {words}");
                assert!(
                    !text.contains("<script>x") && !text.contains("<x>") && !text.contains("<b>")
                );
                assert!(text.contains("/payment/..%2F%3Cx%3E"));
            }
        }
    }

    /// With its style and scripts, of 30 kB, a page is to weigh 100 kB at most.
    #[test]
    fn a_full_page_is_light_while_much_goes_on() {
        let mut rows = Vec::new();
        for id in 0..PAGE as i64 {
            let row = JobRow {
                id: 1_000_000 + id,
                ..job("dead", Some(&"취소 가능 금액을 넘었습니다. ".repeat(40)))
            };
            let of = Subject {
                imp_uid: Some("imp_123456789012".into()),
                merchant_uid: Some("order-2026-08-06-123456".into()),
                amount: Some(crate::domain::money::Won::new(1_234_000)),
                ..Subject::default()
            };
            rows.push((row, of));
        }
        let mut overview = overview::tests::overview();
        let until = crate::store::job_minutes::minute_of(overview.now) + 1;
        let busy = crate::store::job_minutes::Figures {
            done: 1_200,
            dead: 2,
            retried: 3,
            waited_ms: 9_000,
            ran_ms: 90_000,
            ..Default::default()
        };
        overview.kinds.clear();
        for kind in Job::KINDS {
            // What a schedule starts runs a few times an hour, all else every minute.
            let often = !["sweep", "prune", "settle", "digest"].contains(&kind);
            let minutes = (until - job_lists::MINUTES..until)
                .filter(|minute| often || minute % 10 == 0)
                .map(|minute| {
                    let done = busy.done + minute % 700;
                    (minute, crate::store::job_minutes::Figures { done, ..busy })
                })
                .collect();
            let mut kind = super::super::spark::tests::kind(kind, minutes);
            kind.today = busy;
            overview.kinds.push(kind);
        }
        let fields: Fields = [("state".to_owned(), "dead".to_owned())].into();
        let rows = Rows {
            rows,
            next: Cursor::parse("dead.0.0.0.7"),
            too_many: true,
            now: overview.now,
        };
        let view = View {
            fields: &fields,
            overview: &overview,
            rows: &rows,
            others: &[],
            kept: &Kept::default(),
            wrong: None,
        };
        for lang in [Lang::Ko, Lang::En] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let text = page(&look, &view).into_string();
            let (stand, list) = (
                overview::part(&overview, lang).into_string().len(),
                super::rows(&fields, &rows, lang).into_string().len(),
            );
            assert!(
                text.len() < 68_000,
                "{} bytes: {stand} above, {list} below",
                text.len()
            );
        }
    }

    #[test]
    fn paging_and_refreshing_keep_the_filter() {
        let fields: Fields = [("kind", "retry_cancel"), ("state", "dead")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let text = shown(
            Lang::En,
            &fields,
            vec![(job("dead", None), Subject::default())],
        );
        let next = "/admin/jobs?kind=retry_cancel&amp;state=dead&amp;after=dead.0.0.0.7#list";
        assert!(text.contains(next), "{text}");
        let live = "/admin/jobs/live/rows?kind=retry_cancel&amp;state=dead\"";
        assert!(text.contains(live), "{text}");
        assert!(text.contains("/admin/dead-letters/replay?kind=retry_cancel"));
        assert!(text.contains("Only the newest 25"));
        let none = shown(Lang::Ko, &fields, Vec::new());
        assert!(none.contains("조건에 맞는 작업이 없습니다"));
    }
}
