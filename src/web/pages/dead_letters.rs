//! Dead letters: what nobody retries any more until a person says so.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::{icons::Icon, parts};
use super::{
    jobs::{DEAD_FILTERS, address, bulk_done, dead_filter, job_path, run_list},
    layout::{Fields, Look, Page, Part, cut, field, layout, nothing, payment_path, see_other},
    payment::attempt_list,
    saved::{self, Kept},
    words,
};
use crate::{
    domain::job::{Job, JobState},
    flow::dead_letters::{self, DeadLetter, DeadLetterError, Discarded},
    store::{
        StoreError,
        job_lists::{self, DeadFilter},
        jobs,
        preferences::List,
    },
    web::{
        Web,
        auth::Actor,
        error::Problem,
        extract::{F, Q},
        lang::Lang,
    },
};

const PAGE: usize = 30;

pub struct ListView<'a> {
    pub letters: &'a [DeadLetter],
    pub next: Option<i64>,
    pub now: Timestamp,
    pub fields: &'a Fields,
    pub kept: &'a Kept,
    /// A filter that cannot be read.
    pub wrong: Option<&'a str>,
}

fn self_page(lang: Lang) -> Page<'static> {
    Page {
        title: lang.t("데드레터", "Dead letters"),
        part: Part::DeadLetters,
        ..Page::default()
    }
}

pub fn list_page(look: &Look, view: &ListView<'_>) -> Markup {
    let lang = look.lang;
    let body = html! {
        div.head {
            h1 { (lang.t("데드레터", "Dead letters")) }
            p.soft { (lang.t(
                "자동 재시도가 끝나 사람을 기다리는 작업입니다.",
                "Jobs whose retries are used up. They wait for a person.",
            )) }
        }
        (done(view.fields, lang))
        (filters(view, lang))
        (saved::filters(view.kept, List::DeadLetters, view.fields, lang))
        @if let Some(wrong) = view.wrong {
            p.message.bad role="alert" { (wrong) }
        } @else if view.letters.is_empty() && filtered(view.fields) {
            (parts::nothing_fits(lang.t("조건에 맞는 데드레터가 없습니다.", "No dead letter fits."), "/admin/dead-letters", lang))
        } @else if view.letters.is_empty() {
            (parts::none_yet(Icon::Check, lang.t("처리할 데드레터가 없습니다.", "There is nothing to deal with.")))
        } @else {
            p.acts {
                a.button href=(address("/admin/dead-letters/replay", view.fields, &DEAD_FILTERS)) {
                    (lang.t("한꺼번에 재처리 미리 보기…", "Replay many: dry run…"))
                }
            }
            ul.cards { @for letter in view.letters { (card(letter, view.now, lang)) } }
            @if let Some(next) = view.next {
                @let mut on = view.fields.clone();
                @let _ = on.insert("before".into(), next.to_string());
                @let names = [&DEAD_FILTERS[..], &["before"]].concat();
                (parts::pager(lang, None, Some(&address("/admin/dead-letters", &on, &names))))
            }
        }
    };
    layout(look, self_page(lang), body)
}

fn filtered(fields: &Fields) -> bool {
    DEAD_FILTERS
        .iter()
        .any(|name| field(fields, name).is_some())
}

fn filters(view: &ListView<'_>, lang: Lang) -> Markup {
    let fields = view.fields;
    // Without a letter there is nothing to filter; with a filter there may be none.
    if view.letters.is_empty() && !filtered(fields) {
        return nothing();
    }
    let value = |name: &str| field(fields, name).unwrap_or_default();
    html! {
        form.filters method="get" action="/admin/dead-letters" role="search" {
            details open[filtered(fields)] {
                summary { (lang.t("조건", "Filters")) }
                div.fields.broad {
                    label.field {
                        span { (lang.t("종류", "Kind")) }
                        select name="kind" {
                            option value="" selected[value("kind").is_empty()] { (lang.t("모든 종류", "All kinds")) }
                            @for kind in Job::KINDS { option value=(kind) selected[value("kind") == kind] { (words::job(kind, lang)) } }
                        }
                    }
                    label.field { span { (lang.t("오류 내용", "Error contains")) } input name="error" maxlength="200" autocomplete="off" value=(value("error")); }
                    label.field { span { (lang.t("이때부터", "Dead since")) } input type="datetime-local" name="since" value=(value("since")); }
                    label.field { span { (lang.t("이때 전까지", "Dead before")) } input type="datetime-local" name="until" value=(value("until")); }
                    button.low { (lang.t("찾기", "Find")) }
                    @if filtered(fields) { a.button.low href="/admin/dead-letters" { (lang.t("조건 지우기", "Clear")) } }
                }
            }
        }
    }
}

fn done(fields: &Fields, lang: Lang) -> Markup {
    if let Some(text) = bulk_done(fields, lang) {
        return html! { p.message.good role="status" { (text) } };
    }
    let (tone, text) = match field(fields, "did") {
        Some("replayed") => ("good", lang.t("재처리를 시작했습니다.", "It runs again.")),
        Some("discarded") => ("good", lang.t("폐기했습니다.", "It was given up.")),
        Some("was-done") => (
            "wait",
            lang.t(
                "포트원에서 이미 처리된 일이라, 폐기하지 않고 장부에 반영했습니다.",
                "PortOne had done it after all: it was booked, not given up.",
            ),
        ),
        _ => return nothing(),
    };
    html! { p class={ "message " (tone) } role="status" { (text) } }
}

fn card(letter: &DeadLetter, now: Timestamp, lang: Lang) -> Markup {
    let job = &letter.job;
    let died = job.finished_at.unwrap_or(job.created_at);
    html! {
        li.sheet {
            div.line {
                a.main href=(format!("/admin/dead-letters/{}", job.id)) { (words::job(&job.kind, lang)) " #" (job.id) }
                @if let Some(cancellation) = &letter.cancellation { strong.back { "-" (words::won(cancellation.amount)) } }
                span.grow {}
                span.soft.small { (words::age(died, now, lang)) }
            }
            p.bad-text { (words::told(job.last_error.as_deref().unwrap_or("–"), lang)) }
            p.soft.small {
                @if let Some(id) = &letter.imp_uid { a href=(payment_path(id.as_str())) { (id) } " · " }
                (words::attempts(tries(letter), lang))
            }
        }
    }
}

/// Calls for a cancellation, runs of any other job.
fn tries(letter: &DeadLetter) -> usize {
    if letter.cancellation.is_some() {
        letter.cancel_attempts.len()
    } else {
        letter.attempts.len()
    }
}

pub struct OneView<'a> {
    pub letter: &'a DeadLetter,
    pub now: Timestamp,
    pub wrong: Option<&'a str>,
}

pub fn one_page(look: &Look, view: &OneView<'_>) -> Markup {
    let lang = look.lang;
    let letter = view.letter;
    let job = &letter.job;
    let body = html! {
        (parts::crumb("/admin/dead-letters", lang.t("데드레터", "Dead letters")))
        div.head {
            h1 { (words::job(&job.kind, lang)) " #" (job.id) }
            p.ways { a href=(job_path(job.id)) { (lang.t("작업으로 보기", "See it as a job")) " →" } }
        }
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        div.two {
            div.stack {
                section.sheet {
                    h2 { (lang.t("왜 멈췄나", "Why it stopped")) }
                    p.bad-text { (words::told(job.last_error.as_deref().unwrap_or("–"), lang)) }
                    (facts(view, lang))
                }
                @if !letter.cancel_attempts.is_empty() {
                    section.sheet {
                        h2 { (lang.t("시도 기록", "Attempts")) }
                        (attempt_list(&letter.cancel_attempts, lang))
                    }
                }
                @if !letter.attempts.is_empty() {
                    section.sheet {
                        h2 { (lang.t("작업 실행 기록", "Runs of the job")) }
                        (run_list(&letter.attempts, lang))
                    }
                }
            }
            div.stack {
                @if job.state == JobState::Dead.as_str() {
                    (actions(letter, lang))
                } @else {
                    section.sheet { p { (lang.t(
                        "더 이상 데드레터가 아닙니다. 이미 처리되었거나 진행 중입니다.",
                        "It is no dead letter any more: dealt with, or under way.",
                    )) } }
                }
            }
        }
    };
    layout(look, self_page(lang), body)
}

fn facts(view: &OneView<'_>, lang: Lang) -> Markup {
    let letter = view.letter;
    let job = &letter.job;
    html! {
        dl.facts {
            @if let Some(id) = &letter.imp_uid {
                dt { (lang.t("결제", "Payment")) } dd { a href=(payment_path(id.as_str())) { code { (id) } } }
            }
            @if let Some(cancellation) = &letter.cancellation {
                dt { (lang.t("취소 금액", "Amount")) } dd { (cancellation.amount) }
                dt { (lang.t("취소 사유", "Reason")) } dd { (words::masked_text(&cancellation.reason)) }
                dt { (lang.t("요청", "Asked for")) } dd { (words::time(cancellation.requested_at)) " " span.by { (words::actor(&cancellation.requested_by, lang)) } }
            }
            @if let Some(at) = job.finished_at {
                dt { (lang.t("멈춘 시각", "Stopped")) } dd { (words::time(at)) " (" (words::age(at, view.now, lang)) ")" }
            }
            dt { (lang.t("재처리 횟수", "Replayed")) } dd { (job.generation) }
        }
    }
}

fn actions(letter: &DeadLetter, lang: Lang) -> Markup {
    let path = format!("/admin/dead-letters/{}", letter.job.id);
    let cancels = letter.cancellation.is_some();
    html! {
        section.sheet {
            h2 { (lang.t("재처리", "Replay")) }
            p { @if cancels { (lang.t(
                "포트원에서 결제를 먼저 조회한 뒤, 아직 취소되지 않았을 때만 다시 취소합니다. 두 번 취소되지 않습니다.",
                "PortOne is read first, and the cancel is sent only if it has not been carried out. Money never goes back twice.",
            )) } @else { (lang.t(
                "작업을 처음부터 다시 실행합니다. 여러 번 실행해도 결과는 같습니다.",
                "The job runs again. Running it twice does no harm.",
            )) } }
            form method="post" action={ (path) "/replay" } data-once {
                button.primary.wide { (lang.t("재처리…", "Replay…")) }
            }
        }
        section.sheet {
            h2 { (lang.t("폐기", "Give up")) }
            p { @if cancels { (lang.t(
                "취소를 포기합니다. 돈은 돌려주지 않습니다. 포트원에서 이미 취소되었다면 폐기 대신 장부에 반영합니다.",
                "The cancel is given up and nothing goes back. If PortOne carried it out after all, that is booked instead.",
            )) } @else { (lang.t(
                "이 작업을 더 하지 않습니다.", "The job is never run again.",
            )) } }
            form.stack method="post" action={ (path) "/discard" } data-once {
                label.field {
                    span { (lang.t("폐기하는 이유", "Why it is given up")) }
                    input name="note" required maxlength="500" autocomplete="off";
                }
                button.danger.wide { (lang.t("폐기…", "Give up…")) }
            }
        }
    }
}

/// The page between asking and doing.
pub fn sure_page(look: &Look, letter: &DeadLetter, note: Option<&str>) -> Markup {
    let lang = look.lang;
    let id = letter.job.id;
    let path = format!("/admin/dead-letters/{id}");
    let what = letter.cancellation.as_ref().map_or_else(
        || format!("{} #{id}", words::job(&letter.job.kind, lang)),
        |cancellation| {
            lang.t(
                format!("{} 취소", words::won(cancellation.amount)),
                format!("the cancel of {}", words::won(cancellation.amount)),
            )
        },
    );
    let reads_first = lang.t(
        "먼저 포트원의 장부를 읽습니다. 이미 취소되어 있으면 장부에만 반영하고, 아니면 한 번 취소합니다.",
        "PortOne's books are read first: if it was carried out already, it is only booked; else it is carried out once.",
    );
    let runs_again = lang.t(
        "작업을 처음부터 다시 실행합니다. 여러 번 실행해도 결과는 같습니다.",
        "The job runs again. Running it twice does no harm.",
    );
    let reason = note.map(|note| lang.t(format!("이유: {note}"), format!("Reason: {note}")));
    let happens = match &reason {
        Some(reason) => reason.as_str(),
        None if letter.cancellation.is_some() => reads_first,
        None => runs_again,
    };
    let what = match note {
        None => lang.t(
            format!("{what}을(를) 다시 처리합니다."),
            format!("This replays {what}."),
        ),
        Some(_) => lang.t(
            format!("{what}을(를) 포기합니다."),
            format!("This gives up {what}."),
        ),
    };
    let gives_up = note.is_some();
    let action = format!("{path}/{}", if gives_up { "discard" } else { "replay" });
    let fields: Vec<(&str, &str)> = note.map(|note| ("note", note)).into_iter().collect();
    let sure = parts::Sure {
        title: if gives_up {
            lang.t("폐기할까요?", "Give it up?")
        } else {
            lang.t("재처리할까요?", "Replay it?")
        },
        what: &what,
        happens: &[happens],
        action: &action,
        back: &path,
        button: if gives_up {
            lang.t("폐기하기", "Give up")
        } else {
            lang.t("재처리하기", "Replay")
        },
        danger: gives_up,
        fields: &fields,
    };
    let body = html! {
        (parts::crumb(&path, lang.t("돌아가기", "Back")))
        (parts::sure(&sure, lang))
    };
    layout(look, self_page(lang), body)
}

fn find(web: &Web, id: &str) -> Result<DeadLetter, Problem> {
    let missing = || Problem::not_found(id);
    let number = id.parse::<i64>().map_err(|_| missing())?;
    let found = web.ctx.store.read(|conn| {
        jobs::get(conn, number)?
            .map(|job| dead_letters::describe(conn, job))
            .transpose()
    })?;
    // A job that never died is nobody's business here; one that did keeps its page.
    found
        .filter(|letter| {
            letter.job.state == JobState::Dead.as_str()
                || letter.job.generation > 0
                || letter.attempts.iter().any(|run| run.outcome == "dead")
        })
        .ok_or_else(missing)
}

/// `GET /admin/dead-letters`
pub async fn list(State(web): State<Web>, _: Actor, look: Look, Q(query): Q<Fields>) -> Response {
    let before = field(&query, "before").and_then(|id| id.parse().ok());
    let store = &web.ctx.store;
    let (filter, wrong) = match dead_filter(&query) {
        Ok(filter) => (filter, None),
        Err(problem) => (DeadFilter::default(), Some(problem)),
    };
    let letters = store
        .read_long(move |conn| {
            job_lists::dead(conn, &filter, before, PAGE + 1)?
                .into_iter()
                .map(|job| dead_letters::describe(conn, job))
                .collect::<Result<Vec<_>, StoreError>>()
        })
        .await;
    let kept = saved::kept(&web, look.actor.as_ref(), List::DeadLetters);
    let read = letters.and_then(|letters| Ok((letters, kept?)));
    look.answer(read.map_err(Problem::from).map(|(mut letters, kept)| {
        let view = ListView {
            kept: &kept,
            next: cut(&mut letters, PAGE, |letter| letter.job.id),
            letters: &letters,
            now: store.now(),
            fields: &query,
            wrong: wrong.as_ref().map(|problem| problem.sentence(look.lang)),
        };
        let status = wrong
            .as_ref()
            .map_or(StatusCode::OK, |problem| problem.status);
        (status, list_page(&look, &view)).into_response()
    }))
}

/// `GET /admin/dead-letters/{id}`
pub async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(id): Path<String>,
) -> Response {
    look.answer(find(&web, &id).map(|letter| one(&web, &look, &letter, None)))
}

fn one(web: &Web, look: &Look, letter: &DeadLetter, wrong: Option<&Problem>) -> Response {
    let view = OneView {
        letter,
        now: web.ctx.store.now(),
        wrong: wrong.map(|problem| problem.sentence(look.lang)),
    };
    let status = wrong.map_or(StatusCode::OK, |problem| problem.status);
    (status, one_page(look, &view)).into_response()
}

/// Where to go on: to the payment, if it is about one.
fn onward(letter: &DeadLetter, did: &str) -> Response {
    let to = match (&letter.imp_uid, &letter.cancellation) {
        (Some(imp_uid), Some(cancellation)) => {
            format!("{}?did={}", payment_path(imp_uid.as_str()), cancellation.id)
        }
        _ => format!("/admin/dead-letters?did={did}"),
    };
    see_other(&to, None)
}

fn refused(web: &Web, look: &Look, letter: &DeadLetter, error: DeadLetterError) -> Response {
    let problem = Problem::from(error);
    if problem.status == StatusCode::NOT_FOUND {
        return look.problem(&problem);
    }
    one(web, look, letter, Some(&problem))
}

/// `POST /admin/dead-letters/{id}/replay`: asks first, and does it once `sure` is sent.
pub async fn replay(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let letter = match find(&web, &id) {
        Ok(letter) => letter,
        Err(problem) => return look.problem(&problem),
    };
    if field(&form, "sure").is_none() {
        return sure_page(&look, &letter, None).into_response();
    }
    match dead_letters::replay(&web.ctx, letter.job.id, actor.by).await {
        Ok(()) => onward(&letter, "replayed"),
        Err(error) => refused(&web, &look, &letter, error),
    }
}

/// `POST /admin/dead-letters/{id}/discard`: asks first, and does it once `sure` is sent.
pub async fn discard(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let letter = match find(&web, &id) {
        Ok(letter) => letter,
        Err(problem) => return look.problem(&problem),
    };
    let note = field(&form, "note").unwrap_or_default();
    if note.is_empty() || note.chars().count() > 500 {
        return refused(&web, &look, &letter, DeadLetterError::Note);
    }
    if field(&form, "sure").is_none() {
        return sure_page(&look, &letter, Some(note)).into_response();
    }
    match dead_letters::discard(&web.ctx, letter.job.id, note.to_owned(), actor.by).await {
        Ok(Discarded::GivenUp) => onward(&letter, "discarded"),
        Ok(Discarded::WasDone) => onward(&letter, "was-done"),
        Err(error) => refused(&web, &look, &letter, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::jobs::JobRow;

    fn letter(error: &str) -> DeadLetter {
        let at = "2026-08-06T01:00:00Z".parse().unwrap();
        DeadLetter {
            job: JobRow {
                id: 7,
                queue: "payment".into(),
                kind: "confirm_payment".into(),
                payload: "{}".into(),
                state: "dead".into(),
                attempt: 20,
                max_attempts: 20,
                crashes: 0,
                generation: 0,
                run_at: at,
                created_at: at,
                started_at: Some(at),
                finished_at: Some(at),
                last_error: Some(error.into()),
                note: None,
                reason: Some("exhausted".into()),
                published_at: None,
                lease_by: None,
                lease_until: None,
            },
            cancellation: None,
            imp_uid: None,
            cancel_attempts: Vec::new(),
            attempts: Vec::new(),
        }
    }

    #[test]
    fn none_is_good_news() {
        let now = "2026-08-06T02:00:00Z".parse().unwrap();
        for (lang, words) in [
            (Lang::Ko, "처리할 데드레터가 없습니다"),
            (Lang::En, "nothing to deal with"),
        ] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let view = ListView {
                letters: &[],
                next: None,
                now,
                fields: &Fields::new(),
                kept: &Kept::default(),
                wrong: None,
            };
            assert!(list_page(&look, &view).into_string().contains(words));
        }
    }

    #[test]
    fn errors_from_outside_are_escaped_and_both_acts_are_explained() {
        let now = "2026-08-06T02:00:00Z".parse().unwrap();
        let letter = letter("<script>x</script>");
        let look = Look {
            lang: Lang::En,
            ..Look::default()
        };
        let view = OneView {
            letter: &letter,
            now,
            wrong: None,
        };
        let one = one_page(&look, &view).into_string();
        assert!(
            !one.contains("<script>x") && one.contains("/7/replay") && one.contains("/7/discard")
        );
        let sure = sure_page(&look, &letter, Some("<b>")).into_string();
        assert!(sure.contains("name=\"sure\"") && !sure.contains("<b>"));
    }
}
