//! What waits for a person, a line for each sort: how much, since when, how much money, and the way to it.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    super::{layout::segment, words},
    Attention,
};
use crate::{
    domain::calendar::KstDay,
    store::attention::{MOST, Pile, Sort},
    web::lang::Lang,
};

/// How a line looks, what it says, and where it leads.
struct Line {
    tone: &'static str,
    words: String,
    path: String,
}

fn line(sort: &Sort, now: Timestamp, lang: Lang) -> Line {
    let (tone, words, path): (&str, String, String) = match sort {
        Sort::DeadLetters { kind } => (
            "bad",
            match kind.as_str() {
                "retry_cancel" => lang
                    .t(
                        "실패한 취소: 다시 처리하거나 폐기해 주세요",
                        "Failed cancels: replay them or give them up",
                    )
                    .to_owned(),
                kind => {
                    let job = words::job(kind, lang);
                    lang.t(
                        format!("멈춘 작업(데드레터): {job}"),
                        format!("Dead letters: {job}"),
                    )
                }
            },
            format!("/admin/dead-letters?kind={}", segment(kind)),
        ),
        Sort::Held { reason } => (
            "wait",
            {
                let why = words::hold_reason(reason, lang);
                lang.t(
                    format!("보류된 결제: {why}"),
                    format!("Held payments: {why}"),
                )
            },
            format!("/payment/mypage?hold={}", segment(reason)),
        ),
        Sort::OutcomeUnknown => (
            "wait",
            lang.t(
                "취소되었는지 아직 모르는 결제",
                "Cancels of which the outcome is not known yet",
            )
            .to_owned(),
            "/payment/mypage?unknown=1".to_owned(),
        ),
        Sort::PayoutsDue => (
            "wait",
            lang.t(
                "오늘까지 지급할 정산",
                "Settlements to be paid out by today",
            )
            .to_owned(),
            format!("/admin/payouts/new?until={}", KstDay::of(now)),
        ),
        Sort::Approvals => (
            "wait",
            lang.t(
                "두 번째 사람의 승인을 기다리는 일",
                "What waits for a second person's approval",
            )
            .to_owned(),
            "/admin/approvals".to_owned(),
        ),
        Sort::PayoutsFailed => (
            "bad",
            lang.t("지급에 실패한 정산", "Settlements whose payout failed")
                .to_owned(),
            "/admin/settlements?state=FAILED".to_owned(),
        ),
        Sort::SettlementsHeld => (
            "wait",
            lang.t("보류한 정산", "Settlements on hold").to_owned(),
            "/admin/settlements?held=1".to_owned(),
        ),
        Sort::AlertsOpen { kind } => (
            "bad",
            alert(kind, lang).to_owned(),
            format!("/admin/alerts?open={}", segment(kind)),
        ),
        Sort::Paused { kind } => {
            let job = words::job(kind, lang);
            (
                "wait",
                lang.t(
                    format!("일시 중지한 작업: {job}"),
                    format!("Paused jobs: {job}"),
                ),
                format!("/admin/jobs?kind={}", segment(kind)),
            )
        }
    };
    Line { tone, words, path }
}

fn alert(kind: &str, lang: Lang) -> &'static str {
    match kind {
        "no_contract" => lang.t(
            "계약이 없어 정산하지 못한 파트너사",
            "Partners not settled for want of a contract",
        ),
        "contradiction" => lang.t(
            "포트원과 장부가 어긋나는 결제",
            "Payments of which PortOne says what the books cannot take",
        ),
        "gateway_halted" => lang.t("포트원 키가 거부됨", "PortOne refuses the keys"),
        _ => lang.t("해결되지 않은 알림", "Alerts that are still open"),
    }
}

/// The part that changes by itself.
pub fn part(view: &Attention, now: Timestamp, lang: Lang) -> Markup {
    html! {
        section.attention #attention aria-label=(lang.t("오늘 할 일", "What needs you today"))
            hx-get="/admin/attention" hx-trigger="changed, poll" hx-swap="outerHTML" data-poll
        {
            @if let Some(why) = &view.halted {
                a.message.bad #to-gateway href="/admin/alerts?open=gateway_halted" {
                    span {
                        (lang.t("포트원이 키를 거부해 확인과 취소가 멈췄습니다", "PortOne refuses the keys: nothing is confirmed or cancelled"))
                        small { (why) }
                    }
                }
            }
            // By their ids what had the focus has it again, once the part was fetched anew.
            @for (at, pile) in view.piles.iter().enumerate() { (one(at, pile, now, lang)) }
            @if view.piles.is_empty() && view.halted.is_none() {
                div.sheet.centre.calm {
                    p.big-sign.good aria-hidden="true" { "✓" }
                    p.big { (lang.t("오늘 처리할 일이 없습니다", "Nothing waits for you")) }
                    p.soft { (lang.t(
                        "새로운 일이 생기면 여기에 바로 나타납니다.",
                        "Whatever comes up will stand here at once.",
                    )) }
                }
            }
        }
    }
}

fn one(at: usize, pile: &Pile, now: Timestamp, lang: Lang) -> Markup {
    let line = line(&pile.sort, now, lang);
    let capped = pile.count >= MOST;
    let count = match capped {
        true => format!("{}+", MOST - 1),
        false => pile.count.to_string(),
    };
    html! {
        a class={ "message " (line.tone) } id=(format!("to-{at}")) href=(line.path) {
            span {
                (line.words)
                @if let Some(since) = pile.since {
                    small { (lang.t("가장 오래된 것 ", "the oldest ")) (words::age(since, now, lang)) }
                }
            }
            @if let Some(amount) = pile.amount {
                span.sum { (amount) @if capped { "+" } }
            }
            @if !matches!(pile.sort, Sort::Paused { .. }) {
                strong { (count) (lang.t("건", "")) }
            }
        }
    }
}
