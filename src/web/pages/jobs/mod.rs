//! Jobs: how each kind stands and goes, the jobs themselves, and what a person can do with them.

mod bulk;
mod kinds;
mod list;
mod one;
mod overview;
mod spark;

use axum::{
    Router,
    routing::{get, post},
};
use jiff::Timestamp;
use maud::{Markup, html};
use url::form_urlencoded;

use super::{
    layout::{Fields, Page, Part, field, payment_path, segment},
    words,
};
use crate::{
    flow::operate_jobs::Subject,
    store::job_lists::Stand,
    web::{Web, lang::Lang},
};

pub use bulk::{DEAD_FILTERS, dead_filter, done as bulk_done};
pub use one::run_list;

/// Pages for who is signed in.
pub fn routes() -> Router<Web> {
    Router::new()
        .route("/admin/jobs", get(list::show))
        .route("/admin/jobs/live", get(list::stand_changed))
        .route("/admin/jobs/live/rows", get(list::rows_changed))
        .route("/admin/jobs/kinds/{kind}/pause", post(kinds::pause))
        .route("/admin/jobs/kinds/{kind}/resume", post(kinds::resume))
        .route("/admin/jobs/{id}", get(one::show))
        .route("/admin/jobs/{id}/live", get(one::changed))
        .route("/admin/jobs/{id}/run-now", post(one::run_now))
        .route("/admin/jobs/{id}/discard", post(one::discard))
        .route(
            "/admin/dead-letters/replay",
            get(bulk::dry_run).post(bulk::carry_out),
        )
}

fn self_page(lang: Lang) -> Page<'static> {
    Page {
        title: lang.t("작업", "Jobs"),
        part: Part::Jobs,
        ..Page::default()
    }
}

/// The page of a job.
pub fn job_path(id: i64) -> String {
    format!("/admin/jobs/{id}")
}

/// The list of a kind in one state.
fn list_path(kind: Option<&str>, stand: Option<Stand>) -> String {
    let stand = stand.map(Stand::as_str);
    let mut fields = Fields::new();
    for (name, value) in [("kind", kind), ("state", stand)] {
        if let Some(value) = value {
            fields.insert(name.into(), value.into());
        }
    }
    address("/admin/jobs", &fields, &["kind", "state"])
}

/// An address with those of the fields that may stand in it.
pub fn address(path: &str, fields: &Fields, names: &[&str]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in names {
        if let Some(value) = field(fields, name) {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

fn stand_word(stand: Stand, lang: Lang) -> &'static str {
    match stand {
        Stand::Running => lang.t("실행 중", "Running"),
        Stand::Dead => lang.t("데드레터", "Dead"),
        Stand::Waiting => lang.t("대기", "Waiting"),
        Stand::Retrying => lang.t("재시도 대기", "Retrying"),
        Stand::Scheduled => lang.t("예약", "Scheduled"),
        Stand::Done => lang.t("완료", "Done"),
        Stand::Cancelled => lang.t("취소됨", "Called off"),
    }
}

fn stand_badge(stand: Option<Stand>, code: &str, lang: Lang) -> Markup {
    let Some(stand) = stand else {
        return words::tag("plain", "·", code, code);
    };
    let (tone, sign) = match stand {
        Stand::Running => ("back", "▶"),
        Stand::Dead => ("bad", "!"),
        Stand::Waiting => ("wait", "◷"),
        Stand::Retrying => ("wait", "↻"),
        Stand::Scheduled => ("plain", "◷"),
        Stand::Done => ("good", "✓"),
        Stand::Cancelled => ("plain", "–"),
    };
    words::tag(tone, sign, stand_word(stand, lang), stand.as_str())
}

fn paused_badge(lang: Lang) -> Markup {
    words::tag("bad", "‖", lang.t("일시 중지", "Paused"), "paused")
}

/// How long something took, to two figures that matter: `12ms`, `1.2초`, `3 min`.
fn duration(ms: f64, lang: Lang) -> String {
    let seconds = ms / 1_000.0;
    match ms {
        ms if ms < 1_000.0 => lang.t(format!("{ms:.0}ms"), format!("{ms:.0} ms")),
        ms if ms < 60_000.0 => lang.t(format!("{seconds:.1}초"), format!("{seconds:.1} s")),
        ms if ms < 3_600_000.0 => {
            let minutes = seconds / 60.0;
            lang.t(format!("{minutes:.0}분"), format!("{minutes:.0} min"))
        }
        _ => {
            let hours = seconds / 3_600.0;
            lang.t(format!("{hours:.0}시간"), format!("{hours:.0} h"))
        }
    }
}

/// From one instant to a later one; nothing is shorter than nothing.
fn between(from: Timestamp, to: Timestamp, lang: Lang) -> String {
    let ms = to.as_millisecond().saturating_sub(from.as_millisecond());
    duration(ms.max(0) as f64, lang)
}

/// The same to whole seconds, for what is counted while one looks.
fn rough(from: Timestamp, to: Timestamp, lang: Lang) -> String {
    let seconds = to.as_second().saturating_sub(from.as_second()).max(0);
    match seconds {
        0 => lang.t("1초 미만".into(), "under 1 s".into()),
        1..60 => lang.t(format!("{seconds}초"), format!("{seconds} s")),
        _ => between(from, to, lang),
    }
}

/// What a job is about, as links.
fn about(subject: &Subject, lang: Lang) -> Markup {
    let mut parts: Vec<Markup> = Vec::new();
    if let Some(id) = &subject.imp_uid {
        parts.push(html! { a href=(payment_path(id)) { code { (id) } } });
    }
    if let Some(id) = &subject.merchant_uid {
        let path = format!("/payment/mypage?q={}", segment(id));
        parts.push(html! { (lang.t("주문 ", "order ")) a href=(path) { code { (id) } } });
    }
    if let Some(id) = subject.alert {
        parts.push(html! { a href=(format!("/admin/alerts?before={}#a{id}", id.saturating_add(1))) { (lang.t("알림", "alert")) " #" (id) } });
    }
    if let Some(at) = subject.until {
        parts.push(html! { (lang.t("기준 ", "up to ")) (words::short_time(at)) });
    }
    html! { @for (i, part) in parts.iter().enumerate() { @if i > 0 { " · " } (part) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (ms, ko, en) in [
            (0.0, "0ms", "0 ms"),
            (12.4, "12ms", "12 ms"),
            (1_234.0, "1.2초", "1.2 s"),
            (200_000.0, "3분", "3 min"),
            (7_300_000.0, "2시간", "2 h"),
        ] {
            assert_eq!(duration(ms, Lang::Ko), ko);
            assert_eq!(duration(ms, Lang::En), en);
        }
    }

    #[test]
    fn a_list_is_named_by_what_it_is_cut_by() {
        assert_eq!(list_path(None, None), "/admin/jobs");
        assert_eq!(
            list_path(Some("a&b"), Some(Stand::Dead)),
            "/admin/jobs?kind=a%26b&state=dead"
        );
    }
}
