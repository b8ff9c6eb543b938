//! What stands above the list: how each kind stands and goes, and who does the work.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    super::{layout::segment, words},
    duration, list_path, paused_badge, rough, spark, stand_word,
};
use crate::{
    domain::job::Engine,
    flow::operate_jobs::Workers,
    store::{
        job_lists::{KindStand, Stand},
        job_minutes,
    },
    web::lang::Lang,
};

/// How things stand at one moment.
pub struct Overview {
    pub kinds: Vec<KindStand>,
    pub workers: Workers,
    pub engine: Engine,
    /// Whether work can be handed out now, and if not, why.
    pub health: Result<(), String>,
    pub now: Timestamp,
    /// Names the process that answers.
    pub boot: String,
}

/// The part that changes by itself.
pub fn part(view: &Overview, lang: Lang) -> Markup {
    html! {
        div.stack #stand hx-get="/admin/jobs/live" hx-trigger="poll" hx-swap="outerHTML" data-poll {
            (paused(view, lang))
            table.rows.kinds {
                caption.hidden { (lang.t("작업 종류별 현황", "How each kind of job stands")) }
                thead { tr {
                    th scope="col" { (lang.t("종류", "Kind")) }
                    @for stand in [Stand::Waiting, Stand::Running, Stand::Retrying, Stand::Scheduled, Stand::Dead] {
                        th.num scope="col" { (stand_word(stand, lang)) }
                    }
                    th.num scope="col" { (lang.t("오늘 완료", "Done today")) }
                    th scope="col" { (lang.t("최근 1시간 실행", "Runs, last hour")) }
                    th scope="col" { (lang.t("대기 · 실행 시간", "Wait · run time")) }
                    th scope="col" { span.hidden { (lang.t("할 일", "Actions")) } }
                } }
                tbody { @for kind in &view.kinds { (row(kind, view.now, lang)) } }
            }
            (workers(view, lang))
        }
    }
}

/// Who stopped what, since when and why: it is easily forgotten.
fn paused(view: &Overview, lang: Lang) -> Markup {
    html! {
        @for kind in &view.kinds {
            @if let Some(pause) = &kind.paused {
                p.message.bad role="status" {
                    "‖ " (words::job(&pause.kind, lang)) ": "
                    (lang.t(
                        format!("{} 일시 중지 ({}).", words::age(pause.since, view.now, lang), words::actor(&pause.by, lang)),
                        format!("paused {} by {}.", words::age(pause.since, view.now, lang), words::actor(&pause.by, lang)),
                    ))
                    " “" (words::masked_text(&pause.note)) "”"
                }
            }
        }
    }
}

/// Nothing to do, and nothing done in the last hour: a phone leaves its figures out.
fn idle(kind: &KindStand) -> bool {
    let depth = &kind.depth;
    let open = depth.waiting + depth.running + depth.retrying + depth.scheduled + depth.dead;
    open == 0 && kind.today.runs() == 0 && kind.last_hour.runs() == 0
}

fn row(kind: &KindStand, now: Timestamp, lang: Lang) -> Markup {
    let depth = &kind.depth;
    let name = depth.kind.as_str();
    let number = |stand: Stand, count: i64, tone: &str| {
        html! {
            td.num data-label=(stand_word(stand, lang)) {
                @if count == 0 { span.soft { "0" } } @else {
                    a.figure.(tone) #{ "n-" (stand.as_str()) "-" (name) } href=(list_path(Some(name), Some(stand))) {
                        (thousands(count)) span.hidden { " " (words::job(name, lang)) " " (stand_word(stand, lang)) }
                    }
                }
            }
        }
    };
    let until = job_minutes::minute_of(now) + 1;
    let act = if kind.paused.is_some() {
        "resume"
    } else {
        "pause"
    };
    html! {
        tr.idle[idle(kind)] data-kind=(name) {
            th.what scope="row" {
                a.main #{ "kind-" (name) } href=(list_path(Some(name), None)) { (words::job(name, lang)) }
                div.soft.small {
                    code { (name) }
                    @if !kind.known { " · " (lang.t("이 버전이 모르는 종류", "unknown to this version")) }
                }
                @if kind.paused.is_some() { div { (paused_badge(lang)) } }
                @else if idle(kind) { span.mini.rests { (lang.t("쉬는 중", "idle")) } }
            }
            (number(Stand::Waiting, depth.waiting, "wait"))
            (number(Stand::Running, depth.running, "back"))
            (number(Stand::Retrying, depth.retrying, "wait"))
            (number(Stand::Scheduled, depth.scheduled, "plain"))
            (number(Stand::Dead, depth.dead, "bad"))
            td.num data-label=(lang.t("오늘 완료", "Done today")) {
                @if kind.today.done == 0 { span.soft { "0" } } @else {
                    a.figure.plain #{ "n-done-" (name) } href=(list_path(Some(name), Some(Stand::Done))) {
                        (thousands(kind.today.done)) span.hidden { " " (words::job(name, lang)) " " (lang.t("오늘 완료", "done today")) }
                    }
                }
                @let failed = kind.today.dead + kind.today.retried;
                @if failed > 0 { div.small.bad-text { (lang.t("실패 ", "failed ")) (thousands(failed)) } }
            }
            td.pic data-label=(lang.t("최근 1시간 실행", "Runs, last hour")) {
                (spark::runs(kind, until, lang))
                p.small.soft {
                    (lang.t(format!("{}번", thousands(kind.last_hour.runs())), format!("{} runs", thousands(kind.last_hour.runs()))))
                    @if let Some(oldest) = depth.oldest_due {
                        @let age = rough(oldest, now, lang);
                        " · " span.wait-text { (lang.t(format!("가장 오래 {age} 대기"), format!("oldest waits {age}"))) }
                    }
                }
            }
            td.pic data-label=(lang.t("대기 · 실행 시간", "Wait · run time")) {
                (spark::latency(kind, until, lang))
                p.small.soft {
                    @match (kind.last_hour.mean_wait_ms(), kind.last_hour.mean_run_ms()) {
                        (Some(wait), Some(run)) => {
                            span.key.waited { (lang.t("대기 ", "wait ")) (duration(wait, lang)) } " "
                            span.key.took { (lang.t("실행 ", "run ")) (duration(run, lang)) }
                        },
                        _ => "–",
                    }
                }
            }
            td.act {
                form method="post" action={ "/admin/jobs/kinds/" (segment(name)) "/" (act) } {
                    button.button.small #{ "act-" (name) } {
                        @if kind.paused.is_some() { "▶ " (lang.t("다시 시작…", "Resume…")) } @else { "‖ " (lang.t("중지…", "Pause…")) }
                        span.hidden { " " (words::job(name, lang)) }
                    }
                }
            }
        }
    }
}

/// `12,345`.
pub fn thousands(count: i64) -> String {
    crate::domain::money::Won::new(count).to_string()
}

fn workers(view: &Overview, lang: Lang) -> Markup {
    let engine = match view.engine {
        Engine::Embedded => lang.t("내장 대기열", "embedded queue"),
        Engine::Amqp => "RabbitMQ",
    };
    let role = |role: &str| match role {
        "serve" => lang.t("서버", "server"),
        "work" => lang.t("작업자", "worker"),
        _ => "",
    };
    html! {
        section.sheet.workers aria-labelledby="workers" {
            div.head {
                h2 #workers { (lang.t("누가 일하나", "Who works")) }
                p.states {
                    @match &view.health {
                        Ok(()) => (words::tag("good", "✓", engine, view.engine.as_str())),
                        Err(_) => (words::tag("bad", "!", engine, view.engine.as_str())),
                    }
                }
            }
            @if let Err(why) = &view.health {
                p.message.bad role="alert" { (lang.t("지금은 작업을 나눠 줄 수 없습니다: ", "No work can be handed out now: ")) (why) }
            }
            ul.lines {
                @for worker in &view.workers.processes {
                    @let process = &worker.process;
                    li {
                        span.grow {
                            @if worker.alive { (words::tag("good", "●", lang.t("살아 있음", "alive"), "alive")) } @else { (words::tag("bad", "✕", lang.t("죽음", "dead"), "dead")) }
                            " " (role(&process.role)) " " code { (process.pid) }
                            @if process.boot == view.boot { " " span.mini { (lang.t("이 서버", "this one")) } }
                            @if holds(view, &process.boot) { " " span.mini { (lang.t("일정 담당", "keeper")) } }
                        }
                        span.soft.small { (lang.t("시작 ", "since ")) (words::short_time(process.started_at)) }
                    }
                }
                @if view.workers.processes.is_empty() {
                    li.soft { (lang.t("이 서버가 모든 작업을 실행합니다.", "This server runs every job.")) }
                }
            }
            @if let Some(keeper) = &view.workers.keeper {
                @let over = keeper.until < view.now;
                p.soft.small {
                    (lang.t("일정을 여는 곳: ", "Schedules are kept by ")) code { (keeper.holder) }
                    @if over {
                        " · " span.bad-text { (lang.t("시간이 지남: 곧 다른 프로세스가 이어받습니다", "over: another process takes it soon")) }
                    } @else {
                        " · " (lang.t(
                            format!("{} 뒤까지", rough(view.now, keeper.until, lang)),
                            format!("for another {}", rough(view.now, keeper.until, lang)),
                        ))
                    }
                }
            }
        }
    }
}

fn holds(view: &Overview, boot: &str) -> bool {
    let keeper = view.workers.keeper.as_ref();
    keeper.is_some_and(|lease| lease.holder == boot && lease.until >= view.now)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::{
        flow::operate_jobs::Worker,
        store::{
            job_minutes::Figures,
            jobs::Pause,
            leases::{KEEPER, Lease, Process},
        },
    };

    pub fn overview() -> Overview {
        let now: Timestamp = "2026-08-06T01:00:00Z".parse().unwrap();
        let figures = Figures {
            done: 1_200,
            dead: 2,
            waited_ms: 9_000,
            ran_ms: 90_000,
            ..Figures::default()
        };
        let mut odd = spark::tests::kind("<b>odd", Vec::new());
        odd.known = false;
        odd.paused = Some(Pause {
            kind: "<b>odd".into(),
            since: now,
            by: "page".into(),
            note: "<script>포트원 점검".into(),
        });
        let minute = job_minutes::minute_of(now);
        let process = Process {
            boot: "1-A".into(),
            role: "serve".into(),
            pid: 4_242,
            engine: "embedded".into(),
            started_at: now,
        };
        Overview {
            kinds: vec![
                spark::tests::kind("confirm_payment", vec![(minute, figures)]),
                odd,
            ],
            workers: Workers {
                processes: vec![Worker {
                    process,
                    alive: true,
                }],
                keeper: Some(Lease {
                    name: KEEPER.into(),
                    holder: "1-A".into(),
                    since: now,
                    until: "2026-08-06T01:00:12Z".parse().unwrap(),
                }),
            },
            engine: Engine::Embedded,
            health: Err("<i>no broker".into()),
            now,
            boot: "1-A".into(),
        }
    }

    #[test]
    fn every_number_leads_to_its_list_and_a_pause_says_who_and_why() {
        for (lang, words) in [
            (
                Lang::Ko,
                [
                    "방금 일시 중지 (관리자)",
                    "다시 시작…",
                    "10분 대기",
                    "12초 뒤까지",
                ],
            ),
            (
                Lang::En,
                [
                    "paused just now by operator",
                    "Resume…",
                    "oldest waits 10 min",
                    "for another 12 s",
                ],
            ),
        ] {
            let text = part(&overview(), lang).into_string();
            for word in words {
                assert!(text.contains(word), "{word}: {text}");
            }
            assert!(text.contains("/admin/jobs?kind=confirm_payment&amp;state=dead"));
            assert!(text.contains("1,200") && text.contains("/kinds/%3Cb%3Eodd/resume"));
            assert!(
                !text.contains("<b>odd") && !text.contains("<script>") && !text.contains("<i>no")
            );
        }
    }
}
