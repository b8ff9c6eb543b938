//! What codes of the books mean, in both languages. Pure.
//!
//! Sentences about what happened are in `told`, what hides a buyer in `domain::masks`.

use jiff::Timestamp;
use maud::{Markup, Render, html};

use crate::{
    domain::{
        calendar::kst,
        cancellation::Fate,
        money::Won,
        payment::{Hold, Status},
    },
    store::inbox::Verdict,
    web::lang::Lang,
};

pub use super::told::*;
pub use crate::domain::masks::*;

/// Money looks the same everywhere: `₩12,000`, `-₩4,450`.
pub fn won(amount: Won) -> String {
    let digits = amount.to_string();
    match digits.strip_prefix('-') {
        Some(digits) => format!("-₩{digits}"),
        None => format!("₩{digits}"),
    }
}

impl Render for Won {
    fn render(&self) -> Markup {
        html! { span.won { (won(*self)) } }
    }
}

/// An instant in Seoul, for people and for programs.
pub fn time(at: Timestamp) -> Markup {
    let full = kst(at);
    html! { time datetime=(at.to_string()) title=(full) { (full.trim_end_matches(" KST")) } }
}

/// The same to the minute, for lists.
pub fn short_time(at: Timestamp) -> Markup {
    let full = kst(at);
    html! { time datetime=(at.to_string()) title=(full) { (full.get(..16).unwrap_or(&full)) } }
}

/// How long ago: `3분 전`, `2 d ago`.
pub fn age(at: Timestamp, now: Timestamp, lang: Lang) -> String {
    let seconds = now.as_second().saturating_sub(at.as_second()).max(0);
    match seconds {
        0..60 => lang.t("방금".into(), "just now".into()),
        60..3_600 => lang.t(
            format!("{}분 전", seconds / 60),
            format!("{} min ago", seconds / 60),
        ),
        3_600..86_400 => lang.t(
            format!("{}시간 전", seconds / 3_600),
            format!("{} h ago", seconds / 3_600),
        ),
        _ => lang.t(
            format!("{}일 전", seconds / 86_400),
            format!("{} d ago", seconds / 86_400),
        ),
    }
}

pub fn status(status: Status, lang: Lang) -> &'static str {
    match status {
        Status::Ready => lang.t("결제 대기", "Waiting"),
        Status::Paid => lang.t("결제 완료", "Paid"),
        Status::CancelRequested => lang.t("취소 진행 중", "Cancelling"),
        Status::Canceled => lang.t("전액 취소", "Cancelled"),
        Status::PartialCanceled => lang.t("부분 취소", "Partly cancelled"),
        Status::CancelFailed => lang.t("취소 실패", "Cancel failed"),
        Status::Failed => lang.t("결제 실패", "Failed"),
    }
}

/// A state as a badge: colour, sign and words, so that none has to stand alone.
pub fn badge(of: Status, lang: Lang) -> Markup {
    let (tone, sign) = match of {
        Status::Ready => ("wait", "◷"),
        Status::Paid => ("good", "✓"),
        Status::CancelRequested => ("wait", "↻"),
        Status::Canceled => ("back", "↩"),
        Status::PartialCanceled => ("back", "◐"),
        Status::CancelFailed => ("bad", "!"),
        Status::Failed => ("bad", "✕"),
    };
    tag(tone, sign, status(of, lang), of.as_str())
}

pub fn tag(tone: &str, sign: &str, text: &str, code: &str) -> Markup {
    html! {
        span class={ "badge " (tone) } data-status=(code) title=(code) {
            span.sign aria-hidden="true" { (sign) } (text)
        }
    }
}

pub fn held_badge(lang: Lang) -> Markup {
    tag("bad", "‖", lang.t("보류", "Held"), "HELD")
}

/// What holds a payment, in a sentence with both figures, and what a person can do.
pub fn hold(hold: &Hold, lang: Lang) -> (String, &'static str) {
    let cancel = lang.t(
        "결제를 취소하거나, 맞는 내용으로 주문을 다시 등록하세요.",
        "Cancel the payment, or register the order as it should be.",
    );
    match hold {
        Hold::AmountDiffers { ordered, charged } => (
            lang.t(
                format!(
                    "주문 금액은 {}인데 {}이 결제되었습니다.",
                    won(*ordered),
                    won(*charged)
                ),
                format!(
                    "The order is for {}, but {} was charged.",
                    won(*ordered),
                    won(*charged)
                ),
            ),
            cancel,
        ),
        Hold::AlreadyPaid { by } => (
            lang.t(
                format!("같은 주문이 다른 결제({by})로 이미 결제되었습니다."),
                format!("The same order has been paid already, by {by}."),
            ),
            lang.t(
                "두 번 낸 돈이라면 이 결제를 취소하세요.",
                "If the buyer paid twice, cancel this one.",
            ),
        ),
        Hold::UnknownOrder => (
            lang.t(
                "등록되지 않은 주문의 결제입니다.".into(),
                "Nobody registered the order that was paid.".into(),
            ),
            lang.t(
                "맞는 결제라면 보류를 풀고, 아니면 취소하세요.",
                "Release it if it is right; else cancel it.",
            ),
        ),
        Hold::TestPayment => (
            lang.t(
                "실결제를 받는 가게에 테스트 결제가 들어왔습니다. 실제 돈은 움직이지 않았습니다."
                    .into(),
                "A test payment, where live ones are expected: no money moved.".into(),
            ),
            lang.t(
                "물건을 보내지 마세요. 확인한 뒤 취소하거나 보류를 푸세요.",
                "Do not ship. Cancel it, or release it once you know why.",
            ),
        ),
        Hold::LivePayment => (
            lang.t(
                "테스트 모드인데 실결제가 들어왔습니다. 실제 돈이 움직였습니다.".into(),
                "A live payment, where test ones are expected: real money moved.".into(),
            ),
            lang.t(
                "결제를 취소하거나 보류를 푸세요.",
                "Cancel it, or release it.",
            ),
        ),
    }
}

/// What holds a payment, by its code, in few words.
pub fn hold_reason(code: &str, lang: Lang) -> &'static str {
    match code {
        "AMOUNT_DIFFERS" => lang.t("주문과 금액이 다름", "Another amount than ordered"),
        "ALREADY_PAID" => lang.t("이미 결제된 주문", "Order paid twice"),
        "UNKNOWN_ORDER" => lang.t("등록되지 않은 주문", "Order not registered"),
        "TEST_PAYMENT" => lang.t("섞여 들어온 테스트 결제", "Test payment"),
        "LIVE_PAYMENT" => lang.t("테스트 모드의 실결제", "Live payment in test mode"),
        _ => lang.t("보류", "Held"),
    }
}

pub fn fate(fate: Fate, lang: Lang) -> Markup {
    let (tone, sign, text) = match fate {
        Fate::Requested => ("wait", "↻", lang.t("진행 중", "In progress")),
        Fate::Done => ("good", "✓", lang.t("취소 완료", "Done")),
        Fate::Dead => ("bad", "!", lang.t("수동 처리 필요", "Needs a person")),
        Fate::Discarded => ("plain", "–", lang.t("폐기", "Given up")),
        Fate::Superseded => ("plain", "–", lang.t("필요 없어짐", "No longer needed")),
    };
    tag(tone, sign, text, fate.as_str())
}

/// How an attempt ended, by its class.
pub fn outcome(code: &str, lang: Lang) -> Markup {
    let (tone, sign, text) = match code {
        "DONE" => ("good", "✓", lang.t("성공", "Done")),
        "PENDING" => ("wait", "◷", lang.t("포트원 처리 중", "Taken on")),
        "TRANSIENT" | "retry" => (
            "wait",
            "↻",
            lang.t("일시 오류 · 다시 시도", "May pass, tried again"),
        ),
        "UNKNOWN" => ("wait", "?", lang.t("결과 불명", "Outcome unknown")),
        "PERMANENT" => ("bad", "✕", lang.t("거절", "Refused")),
        "HALT" => ("bad", "‖", lang.t("호출 중단", "Calls stopped")),
        "dead" => ("bad", "!", lang.t("데드레터", "Dead letter")),
        "snooze" => ("wait", "◷", lang.t("미룸", "Put off")),
        "crashed" => ("bad", "✕", lang.t("중단됨", "Broke off")),
        "cancelled" => ("plain", "–", lang.t("그만둠", "Dropped")),
        other => ("plain", "·", other),
    };
    tag(tone, sign, text, code)
}

pub fn step(code: &str, lang: Lang) -> &'static str {
    match code {
        "DIRECT" => lang.t("즉시 시도", "Direct attempt"),
        "QUEUED" => lang.t("대기열 재시도", "Queued retry"),
        _ => lang.t("시도", "Attempt"),
    }
}

pub fn method(code: &str, lang: Lang) -> &str {
    match code {
        "card" => lang.t("신용·체크카드", "Card"),
        "trans" => lang.t("계좌이체", "Bank transfer"),
        "vbank" => lang.t("가상계좌", "Virtual account"),
        "phone" => lang.t("휴대폰 소액결제", "Phone bill"),
        "kakaopay" => lang.t("카카오페이", "Kakao Pay"),
        "naverpay" => lang.t("네이버페이", "Naver Pay"),
        "tosspay" => lang.t("토스페이", "Toss Pay"),
        "payco" => lang.t("페이코", "Payco"),
        "point" => lang.t("포인트", "Points"),
        "samsung" => lang.t("삼성페이", "Samsung Pay"),
        "" => "–",
        other => other,
    }
}

/// Who made something happen.
pub fn actor(code: &str, lang: Lang) -> &str {
    match code {
        "webhook" => lang.t("웹훅·결제창", "webhook or window"),
        "browser" => lang.t("결제창", "pay window"),
        "api" => "API",
        "page" => lang.t("관리자", "operator"),
        "cli" => lang.t("명령줄", "command line"),
        "amqp" => "RabbitMQ",
        "worker" => lang.t("자동 재시도", "queued retry"),
        "cancel" => lang.t("취소 처리", "cancel"),
        "sweep" => lang.t("대사", "sweep"),
        "schedule" => lang.t("야간 정리", "nightly clearing"),
        "elsewhere" => lang.t("포트원 콘솔 등 외부", "elsewhere, e.g. PortOne's console"),
        other => other,
    }
}

pub fn verdict(verdict: Option<Verdict>, lang: Lang) -> Markup {
    let (tone, sign, text) = match verdict {
        None => ("wait", "◷", lang.t("확인 중", "Being checked")),
        Some(Verdict::Booked) => ("good", "✓", lang.t("장부에 반영", "Booked")),
        Some(Verdict::NoNews) => ("plain", "=", lang.t("이미 아는 내용", "No news")),
        Some(Verdict::NotPaid) => ("plain", "–", lang.t("결제 안 됨", "Not paid")),
        Some(Verdict::Held) => ("bad", "‖", lang.t("보류", "Held")),
        Some(Verdict::UnknownPayment) => (
            "bad",
            "?",
            lang.t("포트원에 없는 결제", "Unknown to PortOne"),
        ),
        Some(Verdict::AnotherOrder) => ("bad", "✕", lang.t("주문번호 다름", "Another order")),
        Some(Verdict::OtherCurrency) => ("bad", "✕", lang.t("원화 아님", "Not in won")),
        Some(Verdict::Contradiction) => {
            ("bad", "!", lang.t("장부와 모순", "Contradicts the books"))
        }
        Some(Verdict::GivenUp) => ("bad", "!", lang.t("확인 포기", "Given up")),
    };
    tag(tone, sign, text, verdict.map_or("WAITING", Verdict::as_str))
}

pub fn job(kind: &str, lang: Lang) -> &str {
    match kind {
        "confirm_payment" => lang.t("결제 확인", "Confirm a payment"),
        "retry_cancel" => lang.t("결제 취소", "Cancel a payment"),
        "prepare_order" => lang.t("주문 사전등록", "Register an order's amount"),
        "send_alert" => lang.t("알림 보내기", "Send an alert"),
        "sweep" => lang.t("포트원 대사", "Sweep PortOne's books"),
        "settle" => lang.t("일 정산", "Settle the days that are over"),
        "prune" => lang.t("오래된 기록 정리", "Remove old records"),
        "tell_episode" => lang.t("이어지는 알림 모아 보내기", "Tell alerts together"),
        "digest" => lang.t("처리되지 않은 것 알리기", "Tell what is still stuck"),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_with_its_sign_outside() {
        for (amount, text) in [(0, "₩0"), (12_000, "₩12,000"), (-4_450, "-₩4,450")] {
            assert_eq!(won(Won::new(amount)), text);
        }
    }

    #[test]
    fn every_state_has_words_in_both_languages() {
        for of in Status::ALL {
            assert_ne!(status(of, Lang::Ko), status(of, Lang::En));
            assert!(badge(of, Lang::Ko).into_string().contains(of.as_str()));
        }
    }

    #[test]
    fn ages_are_short() {
        let now: Timestamp = "2026-08-06T12:00:00Z".parse().unwrap();
        let ago = |seconds: i64| Timestamp::from_second(now.as_second() - seconds).unwrap();
        assert_eq!(age(ago(-5), now, Lang::Ko), "방금");
        assert_eq!(age(ago(120), now, Lang::Ko), "2분 전");
        assert_eq!(age(ago(7_200), now, Lang::En), "2 h ago");
        assert_eq!(age(ago(200_000), now, Lang::En), "2 d ago");
    }
}
