//! What codes of the books mean, in both languages. Pure.

use jiff::Timestamp;
use maud::{Markup, Render, html};
use serde_json::Value;

use crate::{
    domain::{
        alert::Alert, calendar::kst, cancellation::Fate, money::Won, payment::Hold, payment::Status,
    },
    store::inbox::Verdict,
    web::lang::Lang,
};

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

/// What was asked of PortOne. The books keep it in English.
pub fn asked(text: &str, lang: Lang) -> String {
    if lang == Lang::En {
        return text.to_owned();
    }
    let one = |part: &str| {
        if part == "read the payment" {
            return "결제 조회".to_owned();
        }
        part.strip_prefix("cancel ")
            .and_then(|rest| rest.strip_suffix(" won"))
            .and_then(|rest| rest.split_once(" won, expecting a balance of "))
            .map_or_else(
                || part.to_owned(),
                |(amount, left)| format!("₩{amount} 취소 요청 (취소 가능 잔액 ₩{left} 확인)"),
            )
    };
    text.split("; ").map(one).collect::<Vec<_>>().join(" → ")
}

/// What PortOne or a flow said. The books keep our own words in English; PortOne's stay as they are.
pub fn told(text: &str, lang: Lang) -> String {
    const KO: [(&str, &str); 23] = [
        ("in PortOne's books", "포트원 장부에서 확인됨"),
        (
            "PortOne took it on and has not carried it out yet",
            "포트원이 접수했고 아직 처리하지 않음",
        ),
        (
            "PortOne took it on a day ago and has not carried it out",
            "포트원이 하루 전에 접수했지만 처리하지 않음",
        ),
        ("PortOne carries it out later", "포트원이 나중에 처리함"),
        (
            "PortOne refuses our credentials: ",
            "포트원이 인증 정보를 거절: ",
        ),
        (
            "check imp_key and imp_secret",
            "imp_key와 imp_secret을 확인하세요",
        ),
        (
            "PortOne asks us to slow down (429)",
            "포트원이 호출을 줄이라고 함 (429)",
        ),
        ("PortOne answered HTTP ", "포트원 응답 HTTP "),
        ("PortOne refuses: ", "포트원 거절: "),
        (
            "PortOne did not answer in time",
            "포트원이 제시간에 답하지 않음",
        ),
        (
            "the connection to PortOne broke: ",
            "포트원과 연결이 끊김: ",
        ),
        ("PortOne cannot be reached: ", "포트원에 연결할 수 없음: "),
        (
            "PortOne's answer cannot be read",
            "포트원 응답을 읽을 수 없음",
        ),
        (
            "; and the payment could not be read: ",
            "; 결제 조회도 실패: ",
        ),
        (
            "PortOne says the payment is `ready`: not paid yet",
            "아직 결제되지 않음 (ready)",
        ),
        ("PortOne says the payment failed: ", "결제 실패: "),
        ("PortOne does not know the payment ", "포트원에 없는 결제: "),
        ("PortOne does not know ", "포트원에 없는 결제: "),
        ("nobody registered the order", "등록되지 않은 주문"),
        (
            "a test payment, but live ones are expected",
            "실결제만 받는데 테스트 결제가 들어옴",
        ),
        (
            "a live payment, but test ones are expected",
            "테스트 모드인데 실결제가 들어옴",
        ),
        (
            "the order has been paid already, by ",
            "이미 결제된 주문, 먼저 결제된 건 ",
        ),
        ("the cancellation is settled already", "이미 끝난 취소"),
    ];
    if lang == Lang::En {
        return text.to_owned();
    }
    let figures = text
        .strip_prefix("ordered ")
        .and_then(|rest| rest.strip_suffix(" won was charged"))
        .and_then(|rest| rest.split_once(" won, but "));
    if let Some((ordered, charged)) = figures {
        return format!("주문 금액 ₩{ordered}, 결제 금액 ₩{charged}");
    }
    KO.iter()
        .fold(text.to_owned(), |text, (en, ko)| text.replace(en, ko))
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
        "worker" => lang.t("자동 재시도", "queued retry"),
        "cancel" => lang.t("취소 처리", "cancel"),
        "sweep" => lang.t("대사", "sweep"),
        "elsewhere" => lang.t("포트원 콘솔 등 외부", "elsewhere, e.g. PortOne's console"),
        other => other,
    }
}

/// A timeline event's title.
pub fn event(kind: &str, to: Option<&str>, lang: Lang) -> String {
    let text = match kind {
        "first_heard" => {
            let word = to.and_then(Status::parse).map_or("", |to| status(to, lang));
            return lang.t(
                format!("결제를 처음 확인함: {word}"),
                format!("First heard of: {}", word.to_lowercase()),
            );
        }
        "paid" => lang.t("결제 완료 확인", "Paid"),
        "failed" => lang.t("결제 실패 확인", "Payment failed"),
        "ready" => lang.t("결제 대기", "Waiting for payment"),
        "cancel_requested" => lang.t("취소 요청", "Cancel asked for"),
        "cancelled" => lang.t("취소 완료", "Cancelled"),
        "cancelled_elsewhere" => lang.t(
            "다른 곳에서 취소됨 (포트원 콘솔 등)",
            "Cancelled elsewhere, e.g. in PortOne's console",
        ),
        "cancel_failed" => lang.t("취소 실패: 데드레터로 이동", "Cancel failed: a dead letter"),
        "cancel_replayed" => lang.t("데드레터 재처리", "Dead letter replayed"),
        "cancel_discarded" => lang.t("데드레터 폐기", "Dead letter given up"),
        "released" => lang.t("보류 해제", "Hold released"),
        "order_registered" => lang.t(
            "주문이 등록되어 다시 대조함",
            "Order registered, compared again",
        ),
        other => other,
    };
    text.to_owned()
}

/// An event's facts, as far as a person wants them.
pub fn event_detail(detail: &Value, lang: Lang) -> Vec<String> {
    let money = |name: &str| detail.get(name).and_then(Value::as_i64).map(Won::new);
    let text = |name: &str| detail.get(name).and_then(Value::as_str);
    let mut out = Vec::new();
    let entries = || {
        detail
            .get("entries")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let went = entries().filter_map(|entry| entry.get("amount").and_then(Value::as_i64));
    let went = Won::sum(went.map(Won::new)).unwrap_or_default();
    if !went.is_zero() {
        out.push(won(went));
    } else if let Some(amount) = money("amount") {
        out.push(won(amount));
    }
    if let Some(cancelled) = money("cancelled").filter(|gone| !gone.is_zero()) {
        out.push(lang.t(
            format!("누적 취소 {}", won(cancelled)),
            format!("{} cancelled so far", won(cancelled)),
        ));
    }
    for name in ["reason", "error", "note"] {
        if let Some(words) = text(name) {
            out.push(told(words, lang));
        }
    }
    for entry in entries() {
        if let Some(words) = entry
            .get("reason")
            .and_then(Value::as_str)
            .filter(|w| !w.is_empty())
        {
            out.push(words.to_owned());
        }
    }
    if let Some(why) = detail
        .get("hold")
        .and_then(|hold| serde_json::from_value::<Hold>(hold.clone()).ok())
    {
        out.push(hold(&why, lang).0);
    }
    out
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
        "prune" => lang.t("오래된 기록 정리", "Remove old records"),
        other => other,
    }
}

/// Where an alert went.
pub fn told_to(to: &str, lang: Lang) -> String {
    match to {
        "slack" => lang.t("Slack으로 보냄", "Told to Slack").to_owned(),
        "log" => lang.t("로그에 남김", "Written to the log").to_owned(),
        other => lang.t(format!("{other}에 보냄"), format!("Told to {other}")),
    }
}

/// An alert's title and what it says.
pub fn alert(alert: &Alert, lang: Lang) -> (&'static str, String) {
    let tried = |amount: &Won, reason: &str, attempts: &u32, error: &str| {
        let (amount, error) = (won(*amount), told(error, lang));
        lang.t(
            format!("{amount} · 사유: {reason} · {attempts}번 시도 · {error}"),
            format!("{amount} · reason: {reason} · {attempts} attempts · {error}"),
        )
    };
    match alert {
        Alert::CancelRetrying {
            amount,
            reason,
            error,
            attempts,
            ..
        } => (
            lang.t("결제 취소 재시도 중", "A cancel is being retried"),
            tried(amount, reason, attempts, error),
        ),
        Alert::CancelDead {
            amount,
            reason,
            error,
            attempts,
            ..
        } => (
            lang.t(
                "결제 취소 실패: 수동 처리 필요",
                "A cancel failed and needs a person",
            ),
            tried(amount, reason, attempts, error),
        ),
        Alert::JobDead {
            job_id,
            kind,
            error,
            attempts,
        } => {
            let (kind, error) = (job(kind, lang), told(error, lang));
            (
                lang.t(
                    "작업 실패: 수동 처리 필요",
                    "A job failed and needs a person",
                ),
                lang.t(
                    format!("{kind} #{job_id} · {attempts}번 시도 · {error}"),
                    format!("{kind} #{job_id} · {attempts} attempts · {error}"),
                ),
            )
        }
        Alert::PaymentHeld {
            merchant_uid,
            amount,
            why,
            ..
        } => {
            let (amount, why) = (won(*amount), told(why, lang));
            (
                lang.t(
                    "확인이 필요한 결제 (보류)",
                    "A payment does not fit and is held",
                ),
                lang.t(
                    format!("주문 {merchant_uid} · {amount} · {why}"),
                    format!("Order {merchant_uid} · {amount} · {why}"),
                ),
            )
        }
        Alert::Contradiction { why, .. } => (
            lang.t(
                "포트원 응답이 장부와 맞지 않음",
                "PortOne contradicts the books",
            ),
            told(why, lang),
        ),
        Alert::GatewayHalted { error } => (
            lang.t(
                "포트원 호출 중단: 인증 정보 확인 필요",
                "Calls to PortOne are stopped: check the credentials",
            ),
            told(error, lang),
        ),
        Alert::GatewayBack => (
            lang.t("포트원 호출 재개", "PortOne takes our calls again"),
            String::new(),
        ),
    }
}

/// First and last letter of a name: `홍*동`.
pub fn masked_name(name: &str) -> String {
    let letters: Vec<char> = name.trim().chars().collect();
    match letters.as_slice() {
        [] => String::new(),
        [_] => "*".to_owned(),
        [first, _] => format!("{first}*"),
        [first, middle @ .., last] => format!("{first}{}{last}", "*".repeat(middle.len().min(6))),
    }
}

/// The last four digits of a phone number: `***-****-5678`.
pub fn masked_phone(tel: &str) -> String {
    let digits: Vec<char> = tel.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < 5 {
        return if tel.trim().is_empty() {
            String::new()
        } else {
            "****".to_owned()
        };
    }
    let last: String = digits[digits.len() - 4..].iter().collect();
    format!("***-****-{last}")
}

/// The first letter of a mail address: `h***@example.com`.
pub fn masked_mail(mail: &str) -> String {
    match mail.trim().split_once('@') {
        Some((user, host)) => {
            let first: String = user.chars().take(1).collect();
            format!("{first}***@{host}")
        }
        None if mail.trim().is_empty() => String::new(),
        None => "***".to_owned(),
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
    fn buyers_are_masked_whatever_they_wrote() {
        for (name, masked) in [
            ("홍길동", "홍*동"),
            ("김철", "김*"),
            ("이", "*"),
            ("", ""),
            ("<b>", "<*>"),
        ] {
            assert_eq!(masked_name(name), masked);
        }
        for (tel, masked) in [
            ("010-1234-5678", "***-****-5678"),
            ("123", "****"),
            ("", ""),
        ] {
            assert_eq!(masked_phone(tel), masked);
        }
        for (mail, masked) in [
            ("hong@example.com", "h***@example.com"),
            ("@", "***@"),
            ("x", "***"),
            ("", ""),
        ] {
            assert_eq!(masked_mail(mail), masked);
        }
    }

    #[test]
    fn what_was_asked_reads_in_korean_too() {
        let kept = "read the payment; cancel 3,000 won, expecting a balance of 10,000 won";
        assert_eq!(
            asked(kept, Lang::Ko),
            "결제 조회 → ₩3,000 취소 요청 (취소 가능 잔액 ₩10,000 확인)"
        );
        assert_eq!(asked(kept, Lang::En), kept);
        assert_eq!(asked("cancel all", Lang::Ko), "cancel all");
        assert_eq!(
            told("PortOne refuses: 한도초과 (code -1)", Lang::Ko),
            "포트원 거절: 한도초과 (code -1)"
        );
        assert_eq!(
            told("ordered 12,000 won, but 9,000 won was charged", Lang::Ko),
            "주문 금액 ₩12,000, 결제 금액 ₩9,000"
        );
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
