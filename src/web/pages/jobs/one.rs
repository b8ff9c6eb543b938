//! `/admin/jobs/{id}`: one job, with all its runs and what a person can do with it.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::super::parts;
use super::{
    super::{
        layout::{Fields, Look, Page, field, layout, payment_path, see_other},
        payment::attempt_list,
        words,
    },
    about, between, job_path, list_path, paused_badge, rough, self_page, stand_badge,
};
use crate::{
    domain::job::{Job, JobState},
    flow::operate_jobs::{self, JobStory, OperateError},
    store::{
        StoreError,
        job_lists::Stand,
        jobs::{AttemptRow, JobRow},
    },
    web::{
        Web,
        auth::Actor,
        error::Problem,
        extract::{F, Q},
        lang::Lang,
    },
};

pub struct View<'a> {
    pub story: &'a JobStory,
    pub now: Timestamp,
    /// Why it cannot be called off while it waits.
    pub kept: Option<&'a str>,
    pub did: Option<&'a str>,
    pub wrong: Option<&'a str>,
    /// Whether the process that runs it lives.
    pub alive: Option<bool>,
}

fn title(job: &JobRow, lang: Lang) -> String {
    format!("{} #{}", words::job(&job.kind, lang), job.id)
}

pub fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let job = &view.story.letter.job;
    let title = title(job, lang);
    let body = html! {
        (parts::crumb(&list_path(Some(&job.kind), None), lang.t("작업", "Jobs")))
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        (live(view, lang))
    };
    let page = Page {
        title: &title,
        live: open(view.story),
        reload: open(view.story).then_some(10),
        ..self_page(lang)
    };
    layout(look, page, body)
}

/// Whether anything about it may change by itself.
fn open(story: &JobStory) -> bool {
    let ended = matches!(story.stand, Some(Stand::Done | Stand::Cancelled));
    !ended
}

/// The part that changes by itself.
pub fn live(view: &View<'_>, lang: Lang) -> Markup {
    let story = view.story;
    let job = &story.letter.job;
    html! {
        div.stack #job hx-get=[open(story).then(|| format!("{}/live", job_path(job.id)))] hx-trigger="poll" hx-swap="outerHTML" data-poll[open(story)] {
            div.head {
                h1 { (title(job, lang)) }
                p.states {
                    (stand_badge(story.stand, &job.state, lang))
                    @if story.paused.is_some() && matches!(job.state.as_str(), "ready") { " " (paused_badge(lang)) }
                }
            }
            @if let Some(text) = did(view.did, lang) { p.message.good role="status" { (text) } }
            @if let Some(pause) = story.paused.as_ref().filter(|_| job.state == "ready") {
                p.message.wait { "‖ " (lang.t("이 종류가 일시 중지되어 있어 실행되지 않습니다: ", "Its kind is paused, so it does not run: ")) (words::masked_text(&pause.note)) }
            }
            div.two {
                div.stack {
                    section.sheet aria-labelledby="what" {
                        h2 #what { (lang.t("무엇을 하나", "What it does")) }
                        p { (purpose(story, lang)) }
                        (facts(view, lang))
                        details open { summary { (lang.t("내용 (개인정보 가림)", "Payload, personal data masked")) } pre { (pretty(story)) } }
                    }
                    @if !story.letter.cancel_attempts.is_empty() {
                        section.sheet aria-labelledby="calls" {
                            h2 #calls { (lang.t("포트원 호출", "Calls to PortOne")) }
                            (attempt_list(&story.letter.cancel_attempts, lang))
                        }
                    }
                    section.sheet aria-labelledby="runs" {
                        h2 #runs { (lang.t("실행 기록", "Runs")) }
                        (run_list(&story.letter.attempts, lang))
                        (last_run(story, view.now, lang))
                    }
                }
                div.stack #{ "acts-" (job.state) "-" (story.stand.map_or("", Stand::as_str)) } hx-preserve="true" { (acts(view, lang)) }
            }
        }
    }
}

fn did(did: Option<&str>, lang: Lang) -> Option<&'static str> {
    match did {
        Some("run-now") => Some(lang.t(
            "지금 실행하도록 했습니다. 작업자가 비는 대로 시작합니다.",
            "It is due now, and begins as soon as a worker is free.",
        )),
        Some("discarded") => Some(lang.t("작업을 취소했습니다.", "It is called off.")),
        _ => None,
    }
}

/// What the job is to do, in words.
fn purpose(story: &JobStory, lang: Lang) -> Markup {
    let of = &story.about;
    let amount = of.amount.map(words::won);
    let text = match story.letter.job.job() {
        Some(Job::ConfirmPayment { .. }) => lang.t(
            "메시지가 알려 준 결제를 포트원에 물어 장부에 반영합니다.",
            "Asks PortOne about the payment that a message told of, and books the answer.",
        ),
        Some(Job::RetryCancel { .. }) => match amount {
            Some(amount) => {
                return html! { (lang.t(
                    format!("{amount}을 구매자에게 돌려줍니다. 보내기 전에 포트원에서 결제를 먼저 조회합니다."),
                    format!("Gives {amount} back to the buyer. PortOne is read before anything is sent."),
                )) };
            }
            None => lang.t("결제를 취소합니다.", "Carries a cancel out."),
        },
        Some(Job::PrepareOrder { .. }) => lang.t(
            "주문 금액을 포트원에 사전등록합니다.",
            "Registers the order's amount at PortOne.",
        ),
        Some(Job::SendAlert { .. }) => lang.t(
            "알림을 사람에게 전합니다.",
            "Tells a person about an alert.",
        ),
        Some(Job::Sweep { .. }) => lang.t(
            "웹훅이 알려 주지 않은 결제와 취소를 포트원에서 찾습니다.",
            "Looks for payments and cancels that no webhook told of.",
        ),
        Some(Job::Prune { .. }) => lang.t(
            "오래된 작업과 메시지를 지웁니다.",
            "Removes old jobs and messages.",
        ),
        Some(Job::TellEpisode { .. }) => lang.t(
            "잇따른 알림을 묶어서 전하고, 상황이 끝나면 끝났다고 전합니다.",
            "Tells alerts of one subject together, and says when it is over.",
        ),
        Some(Job::Digest { .. }) => lang.t(
            "아직 처리되지 않은 것을 하루에 한 번 전합니다.",
            "Tells once a day what is still stuck.",
        ),
        Some(Job::Settle { .. }) => lang.t(
            "끝난 날을 모두 정산합니다.",
            "Settles every day that is over.",
        ),
        None => lang.t(
            "이 버전이 읽을 수 없는 작업입니다.",
            "This version cannot read it.",
        ),
    };
    html! { (text) }
}

fn facts(view: &View<'_>, lang: Lang) -> Markup {
    let story = view.story;
    let job = &story.letter.job;
    let of = &story.about;
    html! {
        dl.facts {
            @if of.imp_uid.is_some() || of.merchant_uid.is_some() || of.alert.is_some() || of.until.is_some() {
                dt { (lang.t("대상", "About")) } dd { (about(of, lang)) }
            }
            @if let Some(alert) = &story.alert { dt { (lang.t("알림", "Alert")) } dd { (words::alert(alert, lang).0) } }
            @if let Some(cancel) = &story.letter.cancellation {
                dt { (lang.t("취소", "Cancellation")) }
                dd { (cancel.amount) " · " (words::masked_text(&cancel.reason)) " " (words::fate(cancel.state, lang)) br; code.small { (cancel.id) } }
            } @else if let Some(id) = &of.cancellation {
                dt { (lang.t("취소", "Cancellation")) } dd { code { (id) } }
            }
            dt { (lang.t("시도", "Attempts")) }
            dd {
                (job.attempt) " / " (job.max_attempts)
                @if job.generation > 0 { " · " (lang.t("재처리 ", "replayed ")) (job.generation) (lang.t("번", "×")) }
                @if job.crashes > 0 { " · " (lang.t("중단 ", "broke off ")) (job.crashes) (lang.t("번", "×")) }
            }
            dt { (lang.t("만든 때", "Created")) } dd { (words::time(job.created_at)) " (" (words::age(job.created_at, view.now, lang)) ")" }
            @if job.state == JobState::Ready.as_str() {
                dt { (lang.t("실행할 때", "Due")) }
                dd {
                    (words::time(job.run_at)) " ("
                    @if job.run_at > view.now { @let left = rough(view.now, job.run_at, lang); (lang.t(format!("{left} 뒤"), format!("in {left}"))) }
                    @else { (words::age(job.run_at, view.now, lang)) } ")"
                }
            }
            @if let Some(at) = job.started_at { dt { (lang.t("마지막 시작", "Last begun")) } dd { (words::time(at)) } }
            @if let Some(at) = job.finished_at { dt { (lang.t("끝난 때", "Ended")) } dd { (words::time(at)) " (" (words::age(at, view.now, lang)) ")" } }
            @if let Some(boot) = &job.lease_by {
                dt { (lang.t("실행하는 곳", "Runs in")) }
                dd {
                    @match &story.process {
                        Some(process) => { (process.role) " " code { (process.pid) } },
                        None => code { (boot) },
                    }
                    " "
                    @match view.alive {
                        Some(true) => (words::tag("good", "●", lang.t("살아 있음", "alive"), "alive")),
                        Some(false) => (words::tag("bad", "✕", lang.t("죽음: 곧 되돌립니다", "dead: it goes back soon"), "dead")),
                        None => "",
                    }
                    @if let Some(until) = job.lease_until {
                        br; span.soft.small { (lang.t("맡은 시간: ", "held until ")) (words::time(until)) (lang.t("까지", "")) }
                    }
                }
            }
            @if let Some(at) = job.published_at {
                dt { "RabbitMQ" } dd { (lang.t("메시지가 나가 있음, ", "A message stands for it, since ")) (words::time(at)) }
            }
            @if let Some(key) = &story.unique_key { dt { (lang.t("고유 키", "Unique key")) } dd { code { (key) } } }
            @if let Some(reason) = &job.reason { dt { (lang.t("멈춘 까닭", "Why it died")) } dd { (dead_reason(reason, lang)) } }
            @if let Some(note) = &job.note { dt { (lang.t("메모", "Note")) } dd { (words::told(note, lang)) } }
        }
    }
}

fn dead_reason(code: &str, lang: Lang) -> String {
    let text = match code {
        "permanent" => lang.t("다시 해도 소용없는 오류", "trying again cannot help"),
        "exhausted" => lang.t("시도를 모두 씀", "its attempts are used up"),
        "crashed" => lang.t(
            "실행 중 프로세스가 거듭 죽음",
            "the process died while it ran, again and again",
        ),
        "unreadable" => lang.t("이 버전이 읽을 수 없음", "this version cannot read it"),
        "broker" => lang.t("RabbitMQ가 메시지를 버림", "RabbitMQ gave its message up"),
        other => return other.to_owned(),
    };
    text.to_owned()
}

fn pretty(story: &JobStory) -> String {
    serde_json::to_string_pretty(&story.payload).unwrap_or_default()
}

/// Runs that did not simply succeed, with how long each took.
pub fn run_list(runs: &[AttemptRow], lang: Lang) -> Markup {
    html! {
        @if !runs.is_empty() {
            ol.attempts {
                @for run in runs {
                    li {
                        div.line {
                            strong { @if run.attempt == 0 { (words::step("DIRECT", lang)) } @else { "#" (run.attempt) } @if run.generation > 0 { (lang.t(" · 재처리 ", " · replay ")) (run.generation) } }
                            (words::outcome(&run.outcome, lang))
                            span.soft.small { (between(run.started_at, run.finished_at, lang)) }
                            span.grow {}
                            (words::time(run.started_at))
                        }
                        p.small { (words::told(&run.error, lang)) }
                    }
                }
            }
        }
    }
}

/// The run that the history does not hold: the one that goes on, or the one that succeeded.
fn last_run(story: &JobStory, now: Timestamp, lang: Lang) -> Markup {
    let job = &story.letter.job;
    let began = job.started_at;
    let run = |tone: &str, sign: &str, text: &str, from: Timestamp, to: Timestamp| {
        html! {
            ol.attempts { li {
                div.line {
                    strong { @if job.attempt == 0 { (words::step("DIRECT", lang)) } @else { "#" (job.attempt) } }
                    (words::tag(tone, sign, text, &job.state))
                    span.soft.small { (between(from, to, lang)) }
                    span.grow {}
                    (words::time(from))
                }
            } }
        }
    };
    match (JobState::parse(&job.state), began, job.finished_at) {
        (Some(JobState::Running), Some(from), _) => {
            run("back", "▶", lang.t("실행 중", "Running"), from, now)
        }
        (Some(JobState::Done), Some(from), Some(to)) => {
            run("good", "✓", lang.t("성공", "Done"), from, to)
        }
        _ if story.letter.attempts.is_empty() => {
            html! { p.soft { (lang.t("아직 실행되지 않았습니다.", "It has not run yet.")) } }
        }
        _ => html! {},
    }
}

fn acts(view: &View<'_>, lang: Lang) -> Markup {
    let story = view.story;
    let job = &story.letter.job;
    let path = job_path(job.id);
    match story.stand {
        Some(Stand::Dead) => html! {
            section.sheet.tone-bad {
                h2 { "! " (lang.t("사람을 기다립니다", "It waits for a person")) }
                p.bad-text { (words::told(job.last_error.as_deref().unwrap_or("–"), lang)) }
                p { (lang.t(
                    "재처리하면 처음부터 다시 실행하고, 폐기하면 이유를 남기고 끝냅니다.",
                    "Replayed it runs again from the start; given up it ends, with a note.",
                )) }
                p.acts { a.button.primary #letter href=(format!("/admin/dead-letters/{}", job.id)) { (lang.t("재처리 또는 폐기…", "Replay or give up…")) } }
            }
        },
        Some(Stand::Retrying | Stand::Scheduled) => html! {
            section.sheet {
                h2 { (lang.t("지금 실행", "Run now")) }
                p { (lang.t(
                    "정해진 때를 기다리지 않고 바로 차례가 됩니다. 시도 횟수는 그대로 셉니다.",
                    "It is due at once instead of at its time. The attempt counts as any other.",
                )) }
                form method="post" action={ (path) "/run-now" } data-once {
                    button.primary.wide #run-now { (lang.t("지금 실행…", "Run now…")) }
                }
            }
            (discard_part(view, lang))
        },
        Some(Stand::Waiting) => html! {
            section.sheet {
                h2 { (lang.t("차례를 기다립니다", "It is due")) }
                p { (lang.t(
                    "작업자가 비는 대로 실행됩니다. 할 일이 없습니다.",
                    "It runs as soon as a worker is free. There is nothing to do.",
                )) }
            }
            (discard_part(view, lang))
        },
        Some(Stand::Running) => html! {
            section.sheet { p { (lang.t(
                "실행 중인 작업은 끝날 때까지 손댈 수 없습니다. 프로세스가 죽으면 저절로 되돌립니다.",
                "A job that runs is left alone until it ends. If its process dies, it goes back by itself.",
            )) } }
        },
        Some(Stand::Done | Stand::Cancelled) | None => html! {
            section.sheet {
                p { (lang.t("끝난 작업입니다.", "It is over.")) }
                @if let Some(id) = &story.about.imp_uid {
                    p.acts { a.button #payment href=(payment_path(id)) { (lang.t("결제 보기", "See the payment")) } }
                }
            }
        },
    }
}

fn discard_part(view: &View<'_>, lang: Lang) -> Markup {
    let path = job_path(view.story.letter.job.id);
    html! {
        section.sheet {
            h2 { (lang.t("작업 취소", "Call it off")) }
            @if let Some(kept) = view.kept {
                p { (kept) }
            } @else {
                p { (consequence(view.story, lang)) }
                form.stack method="post" action={ (path) "/discard" } data-once {
                    label.field {
                        span { (lang.t("취소하는 이유", "Why it is called off")) }
                        input name="note" required maxlength="500" autocomplete="off";
                    }
                    button.danger.wide { (lang.t("작업 취소…", "Call off…")) }
                }
            }
        }
    }
}

/// What is not done if a waiting job is called off.
fn consequence(story: &JobStory, lang: Lang) -> &'static str {
    match story.letter.job.kind.as_str() {
        "prepare_order" => lang.t(
            "주문 금액이 포트원에 사전등록되지 않습니다. 결제된 금액은 그래도 주문과 대조합니다.",
            "PortOne does not learn the order's amount beforehand. What is paid is compared with the order all the same.",
        ),
        "send_alert" => lang.t(
            "아무에게도 알리지 않습니다. 알림 화면에는 남습니다.",
            "Nobody is told. The alert stays on its page.",
        ),
        _ => lang.t(
            "이번 차례만 건너뜁니다. 다음 일정이 밀린 일까지 합니다.",
            "This slot is left out. The next one of the schedule does what was missed.",
        ),
    }
}

/// The page between asking and doing.
fn sure_page(look: &Look, story: &JobStory, note: Option<&str>) -> Markup {
    let lang = look.lang;
    let job = &story.letter.job;
    let (path, name) = (job_path(job.id), title(job, lang));
    let body = html! {
        (parts::crumb(&path, lang.t("돌아가기", "Back")))
        section.sheet.narrow {
            @match note {
                None => {
                    h1 { (lang.t("지금 실행할까요?", "Run it now?")) }
                    p.big { (name) }
                    p { (purpose(story, lang)) }
                    @if story.paused.is_some() {
                        p.message.wait { (lang.t(
                            "이 종류가 일시 중지되어 있어, 차례는 되지만 다시 시작할 때까지 실행되지 않습니다.",
                            "Its kind is paused: it becomes due, but runs only once the kind is resumed.",
                        )) }
                    }
                }
                Some(note) => {
                    h1 { (lang.t("작업을 취소할까요?", "Call it off?")) }
                    p.big { (name) }
                    p { (consequence(story, lang)) }
                    p { (lang.t("이유: ", "Reason: ")) (note) }
                }
            }
            form.acts method="post" action={ (path) (if note.is_some() { "/discard" } else { "/run-now" }) } data-once {
                input type="hidden" name="sure" value="1";
                @if let Some(note) = note { input type="hidden" name="note" value=(note); }
                a.button href=(path) { (lang.t("그만두기", "Leave it")) }
                @if note.is_some() {
                    button.danger.solid #do-it { (lang.t("작업 취소", "Call off")) }
                } @else {
                    button.primary #do-it { (lang.t("지금 실행", "Run now")) }
                }
            }
        }
    };
    layout(look, self_page(lang), body)
}

/// A job, and why it cannot be called off if it waits and cannot.
fn find(web: &Web, id: &str) -> Result<(JobStory, Option<OperateError>), Problem> {
    let missing = || Problem::not_found(id);
    let number = id.parse::<i64>().map_err(|_| missing())?;
    let store = &web.ctx.store;
    let now = store.now();
    let found = store.read(|conn| {
        let Some(story) = operate_jobs::story(conn, number, now)? else {
            return Ok::<_, StoreError>(None);
        };
        let kept = operate_jobs::may_discard(conn, number).err();
        Ok(Some((story, kept)))
    })?;
    found.ok_or_else(missing)
}

fn with_view<T>(
    web: &Web,
    lang: Lang,
    (story, kept): &(JobStory, Option<Problem>),
    did: Option<&str>,
    wrong: Option<&Problem>,
    show: impl FnOnce(&View<'_>) -> T,
) -> T {
    let boot = story.letter.job.lease_by.as_deref();
    let view = View {
        story,
        now: web.ctx.store.now(),
        kept: kept.as_ref().map(|problem| problem.sentence(lang)),
        did,
        wrong: wrong.map(|problem| problem.sentence(lang)),
        alive: boot.map(|boot| web.ctx.store.is_alive(boot)),
    };
    show(&view)
}

fn found(web: &Web, id: &str) -> Result<(JobStory, Option<Problem>), Problem> {
    find(web, id).map(|(story, kept)| (story, kept.map(Problem::from)))
}

/// `GET /admin/jobs/{id}`
pub async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(id): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    let did = field(&query, "did");
    look.answer(found(&web, &id).map(|job| {
        with_view(&web, look.lang, &job, did, None, |view| page(&look, view)).into_response()
    }))
}

/// `GET /admin/jobs/{id}/live`: the part that changes.
pub async fn changed(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(id): Path<String>,
) -> Response {
    match found(&web, &id) {
        Ok(job) => with_view(&web, lang, &job, None, None, |view| live(view, lang)).into_response(),
        Err(problem) => problem.lang(lang).into_response(),
    }
}

/// The job's page again, with what was wrong.
fn refused(web: &Web, look: &Look, id: &str, error: OperateError) -> Response {
    let problem = Problem::from(error);
    if problem.status == StatusCode::NOT_FOUND {
        return look.problem(&problem);
    }
    look.answer(found(web, id).map(|job| {
        let page = with_view(web, look.lang, &job, None, Some(&problem), |view| {
            page(look, view)
        });
        (problem.status, page).into_response()
    }))
}

/// `POST /admin/jobs/{id}/run-now`: asks first, and does it once `sure` is sent.
pub async fn run_now(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let (story, _) = match find(&web, &id) {
        Ok(found) => found,
        Err(problem) => return look.problem(&problem),
    };
    let (number, now) = (story.letter.job.id, web.ctx.store.now());
    if field(&form, "sure").is_none() {
        let may = web
            .ctx
            .store
            .read(|conn| operate_jobs::may_run_now(conn, number, now));
        return match may {
            Ok(_) => sure_page(&look, &story, None).into_response(),
            Err(error) => refused(&web, &look, &id, error),
        };
    }
    match operate_jobs::run_now(&web.ctx, number, actor.by).await {
        Ok(()) => see_other(&format!("{}?did=run-now", job_path(number)), None),
        Err(error) => refused(&web, &look, &id, error),
    }
}

/// `POST /admin/jobs/{id}/discard`: asks first, and does it once `sure` is sent.
pub async fn discard(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let (story, kept) = match find(&web, &id) {
        Ok(found) => found,
        Err(problem) => return look.problem(&problem),
    };
    let number = story.letter.job.id;
    let note = field(&form, "note").unwrap_or_default();
    if let Some(error) = kept {
        return refused(&web, &look, &id, error);
    }
    if note.is_empty() || note.chars().count() > 500 {
        return refused(&web, &look, &id, OperateError::Note);
    }
    if field(&form, "sure").is_none() {
        return sure_page(&look, &story, Some(note)).into_response();
    }
    match operate_jobs::discard(&web.ctx, number, note, actor.by).await {
        Ok(()) => see_other(&format!("{}?did=discarded", job_path(number)), None),
        Err(error) => refused(&web, &look, &id, error),
    }
}
