//! Everything that happened to a payment, in one line of time: what our books say, every call to
//! PortOne, every message, every alert.

use jiff::Timestamp;
use maud::{Markup, html};

use super::words;
use crate::{
    store::{
        alerts::AlertRow,
        cancellations::AttemptRow,
        events::EventRow,
        inbox::{Message, Verdict},
    },
    web::{api::Story, lang::Lang},
};

struct Moment {
    at: Timestamp,
    /// What happens at one instant still has an order: heard, tried, booked, told.
    rank: u8,
    shown: Markup,
}

pub fn timeline(story: &Story, lang: Lang) -> Markup {
    let mut moments: Vec<Moment> = Vec::new();
    moments.extend(story.messages.iter().map(|m| message(m, lang)));
    let several = story.cancellations.len() > 1;
    for (cancellation, attempts) in &story.cancellations {
        let of = several.then_some(cancellation.id.as_str());
        moments.extend(attempts.iter().map(|a| attempt(of, a, lang)));
    }
    moments.extend(story.events.iter().map(|e| event(e, lang)));
    moments.extend(story.alerts.iter().map(|a| alert(a, lang)));
    moments.sort_by_key(|moment| (moment.at, moment.rank));
    html! {
        @if moments.is_empty() {
            p.soft { (lang.t("아직 기록이 없습니다.", "Nothing has happened yet.")) }
        } @else {
            ol.timeline { @for moment in moments.iter().rev() { (moment.shown) } }
        }
    }
}

fn entry(kind: &str, at: Timestamp, title: Markup, facts: &[String]) -> Markup {
    html! {
        li class=(kind) {
            div.line { strong { (title) } (words::time(at)) }
            @for fact in facts { p.fact { (fact) } }
        }
    }
}

fn event(event: &EventRow, lang: Lang) -> Moment {
    let title = words::event(&event.kind, event.to.as_deref(), lang);
    let mut facts = words::event_detail(&event.detail, lang);
    facts = vec![facts.join(" · ")];
    facts.retain(|fact| !fact.is_empty());
    let title = html! { (title) " " span.by { (words::actor(&event.actor, lang)) } };
    let kind = match event.kind.as_str() {
        "paid" | "cancelled" | "released" => "good",
        "cancel_failed" | "failed" => "bad",
        _ => "plain",
    };
    Moment {
        at: event.at,
        rank: 2,
        shown: entry(kind, event.at, title, &facts),
    }
}

fn attempt(cancellation: Option<&str>, attempt: &AttemptRow, lang: Lang) -> Moment {
    let title = html! {
        (words::step(&attempt.step, lang)) " #" (attempt.number) " " (words::outcome(&attempt.outcome, lang))
    };
    let mut facts = vec![
        words::asked(&attempt.asked, lang),
        words::told(&attempt.answer, lang),
    ];
    facts.extend(cancellation.map(|id| lang.t(format!("취소 {id}"), format!("Cancellation {id}"))));
    let kind = match attempt.outcome.as_str() {
        "DONE" => "good",
        "PERMANENT" | "HALT" => "bad",
        _ => "plain",
    };
    Moment {
        at: attempt.finished_at,
        rank: 1,
        shown: entry(kind, attempt.finished_at, title, &facts),
    }
}

fn message(message: &Message, lang: Lang) -> Moment {
    let title = html! {
        (lang.t("메시지 수신", "Message received")) " " (words::verdict(message.verdict, lang))
    };
    let mut facts = vec![lang.t(
        format!("보낸 곳 {} · 수신함 #{}", message.source, message.id),
        format!("From {} · inbox #{}", message.source, message.id),
    )];
    let known = matches!(message.verdict, Some(Verdict::Booked | Verdict::NoNews));
    let detail = message
        .detail
        .as_deref()
        .filter(|detail| !known && !detail.is_empty());
    facts.extend(detail.map(|detail| words::told(detail, lang)));
    Moment {
        at: message.received_at,
        rank: 0,
        shown: entry("plain", message.received_at, title, &facts),
    }
}

fn alert(alert: &AlertRow, lang: Lang) -> Moment {
    let (title, text) = words::alert(&alert.alert, lang);
    let mut facts = vec![text];
    facts.push(match (&alert.delivered_to, alert.delivered_at) {
        (Some(to), Some(_)) => words::told_to(to, lang),
        _ => lang.t(
            "알림 전송 대기 중".to_owned(),
            "Waiting to be told".to_owned(),
        ),
    });
    facts.retain(|fact| !fact.is_empty());
    let kind = if alert.severity == "urgent" {
        "bad"
    } else {
        "plain"
    };
    let title = html! { (lang.t("알림: ", "Alert: ")) (title) };
    Moment {
        at: alert.at,
        rank: 3,
        shown: entry(kind, alert.at, title, &facts),
    }
}
