//! `/admin/alerts`: what a person was told without asking, and whether it arrived.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{icons::Icon, parts};
use super::{
    layout::{Fields, Look, Page, Part, cut, field, layout, older, payment_path, segment},
    words,
};
use crate::{
    domain::{
        alert::Alert,
        digest::{Stuck, Why},
    },
    store::alerts::{self, AlertRow},
    web::{Web, auth::Actor, error::Problem, extract::Q, lang::Lang},
};

const PAGE: usize = 30;

/// `open`: of which kind only those are shown whose reason has not passed.
pub fn page(look: &Look, rows: &[AlertRow], open: Option<&str>, next: Option<i64>) -> Markup {
    let lang = look.lang;
    let title = lang.t("알림", "Alerts");
    let cards = parts::carried(rows.iter().map(|row| card(row, lang)));
    let next = parts::behind(rows, cards.len(), next, |row| row.id);
    let body = html! {
        div.head {
            h1 { (title) }
            p.soft { (lang.t(
                "Slack이나 로그로 보낸 알림입니다. 보내지 못해도 여기에는 남고, 함께 보낸 것도 하나씩 남습니다.",
                "What was sent to Slack or the log. It stays here even if it could not be sent, each by itself even if it was sent together with others.",
            )) }
        }
        @if open.is_some() {
            div.chips {
                a href="/admin/alerts" aria-current="true" { "✕ " (lang.t("아직 해결되지 않은 것만", "Only what is still open")) }
            }
        }
        @if rows.is_empty() {
            @if open.is_some() {
                (parts::nothing_fits(lang.t("모두 해결되었습니다.", "All of it has been resolved."), "/admin/alerts", lang))
            } @else {
                (parts::none_yet(Icon::Bell, lang.t("아직 알림이 없습니다.", "There are no alerts yet.")))
            }
        } @else {
            ul.cards { @for card in &cards { (card) } }
            @match open {
                Some(kind) => (older_of(lang, kind, next)),
                None => (older(lang, "/admin/alerts", next)),
            }
        }
    };
    let page = Page {
        title,
        part: Part::Alerts,
        ..Page::default()
    };
    layout(look, page, body)
}

fn older_of(lang: Lang, kind: &str, next: Option<i64>) -> Markup {
    let next = next.map(|next| format!("/admin/alerts?open={}&before={next}", segment(kind)));
    parts::pager(lang, None, next.as_deref())
}

fn card(row: &AlertRow, lang: Lang) -> Markup {
    let (title, text) = words::alert(&row.alert, lang);
    let dead_letter = row.alert.job_id();
    html! {
        li.sheet #{ "a" (row.id) } {
            div.line {
                @if row.severity == "urgent" {
                    (words::tag("bad", "!", lang.t("긴급", "Urgent"), "urgent"))
                } @else {
                    (words::tag("plain", "·", lang.t("참고", "Notice"), "notice"))
                }
                strong { (title) }
                span.grow {}
                (words::time(row.at))
            }
            @if !text.is_empty() { p { (text) } }
            (listed(&row.alert, lang))
            p.soft.small {
                @if let Some(id) = row.alert.imp_uid() { a href=(payment_path(id.as_str())) { (id) } " · " }
                @if let Some(id) = dead_letter {
                    a href=(format!("/admin/dead-letters/{id}")) { (lang.t("데드레터", "Dead letter")) " #" (id) } " · "
                }
                @if let Alert::ApprovalWaits { approval, .. } = &row.alert {
                    a href=(format!("/admin/approvals/{approval}")) { (lang.t("승인 화면", "Look at it")) } " · "
                }
                @match (&row.delivered_to, row.delivered_at) {
                    (Some(to), Some(at)) => {
                        "✓ " (words::told_to(to, lang)) " " (words::short_time(at))
                        @if let Some(by) = row.told_by {
                            " · " a href=(format!("/admin/alerts?before={}#a{by}", by.saturating_add(1))) {
                                (lang.t("다른 알림과 함께", "together with others"))
                            }
                        }
                    },
                    _ if row.together && row.told_by.is_none() => {
                        "◷ " (lang.t("다음 모음 알림에 함께 보냄", "To be told together with others"))
                    },
                    _ => { "◷ " (lang.t("전송 대기 중", "Waiting to be told")) },
                }
                @if row.resolved_at.is_some() { " · " (lang.t("해결됨", "resolved")) }
            }
        }
    }
}

/// What an alert lists, each with its page.
fn listed(alert: &Alert, lang: Lang) -> Markup {
    match alert {
        Alert::Summary(summary) => html! {
            ul.small { @for named in &summary.named { li {
                @match (&named.imp_uid, named.job_id) {
                    (Some(id), Some(job)) => { a href=(format!("/admin/dead-letters/{job}")) { (id) } },
                    (Some(id), None) => { a href=(payment_path(id.as_str())) { (id) } },
                    (None, Some(job)) => { a href=(format!("/admin/dead-letters/{job}")) { "#" (job) } },
                    (None, None) => { "–" },
                }
                @if let Some(amount) = named.amount { " " (amount) }
            } } }
        },
        Alert::Digest(digest) => html! {
            ul.small { @for stuck in &digest.oldest { li {
                a href=(stuck_path(stuck)) { (stuck.key) @if !stuck.about.is_empty() { " " (stuck.about) } }
                " · " (words::stuck(stuck.why, lang))
                @if !stuck.amount.is_zero() { " · " (stuck.amount) }
                " · " (words::lasted(stuck.since, digest.at, lang))
            } } }
        },
        _ => html! {},
    }
}

fn stuck_path(stuck: &Stuck) -> String {
    let key = segment(&stuck.key);
    match stuck.why {
        Why::DeadLetter => format!("/admin/dead-letters/{key}"),
        Why::Held | Why::Cancelling => payment_path(&stuck.key),
        Why::NoContract => format!("/admin/partners/{key}"),
        Why::PayoutFailed => format!("/admin/settlements/{key}"),
        Why::Paused => "/admin/jobs".into(),
    }
}

/// `GET /admin/alerts`
pub async fn list(State(web): State<Web>, _: Actor, look: Look, Q(query): Q<Fields>) -> Response {
    let before = field(&query, "before").and_then(|id| id.parse().ok());
    let open = field(&query, "open");
    let rows = web.ctx.store.read(|conn| match open {
        Some(kind) => alerts::open(conn, kind, before, PAGE + 1),
        None => alerts::newest(conn, before, PAGE + 1),
    });
    look.answer(rows.map_err(Problem::from).map(|mut rows| {
        let next = cut(&mut rows, PAGE, |row| row.id);
        page(&look, &rows, open, next).into_response()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ids::ImpUid, money::Won};

    #[test]
    fn an_alert_is_escaped_and_says_whether_it_was_told() {
        let row = AlertRow {
            id: 3,
            at: "2026-08-06T01:00:00Z".parse().unwrap(),
            severity: "urgent".into(),
            alert: Alert::PaymentHeld {
                imp_uid: ImpUid::new("imp_1").unwrap(),
                merchant_uid: "<img>".into(),
                amount: Won::new(9_000),
                why: "<script>".into(),
            },
            resolved_at: None,
            delivered_at: None,
            delivered_to: None,
            together: false,
            told_by: None,
        };
        for (lang, words) in [(Lang::Ko, "전송 대기 중"), (Lang::En, "Waiting to be told")] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let text = page(&look, std::slice::from_ref(&row), None, None).into_string();
            assert!(text.contains(words) && text.contains("₩9,000"));
            assert!(!text.contains("<img>") && !text.contains("<script> "));
        }
        let none = page(&Look::default(), &[], None, None).into_string();
        assert!(none.contains("아직 알림이 없습니다"));
        let of_kind = Some("<no_contract>");
        let look = Look::default();
        let open = page(&look, std::slice::from_ref(&row), of_kind, Some(3)).into_string();
        assert!(
            open.contains("open=%3Cno_contract%3E&amp;before=3"),
            "{open}"
        );
        let none = page(&look, &[], of_kind, None).into_string();
        assert!(none.contains("모두 해결되었습니다"));
    }
}
