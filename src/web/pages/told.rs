//! What happened, in sentences: events, what was asked of PortOne, what it said, alerts. Pure.

use serde_json::Value;

use super::words::{actor, hold, job, status, won};
use crate::{
    domain::{
        alert::Alert,
        approval::Kind,
        calendar::kst,
        digest::{Why, passed},
        episode::{Fates, Over, Summary},
        masks::masked_text,
        money::Won,
        payment::{Hold, Status},
    },
    web::lang::Lang,
};

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

/// What PortOne, a flow or a person said, without what may be a person's. The books keep our own words in English; PortOne's stay as they are.
pub fn told(text: &str, lang: Lang) -> String {
    const KO: [(&str, &str); 24] = [
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
        ("the episode of alerts is open", "이어지는 알림을 모으는 중"),
    ];
    let masked = masked_text(text);
    let text = masked.as_str();
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
        "buyer_forgotten" => lang.t(
            "보관 기간이 지나 구매자의 개인정보를 지움",
            "The buyer's personal data was removed: its time was over",
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
            out.push(masked_text(words));
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

/// How often something was tried.
pub fn attempts(count: usize, lang: Lang) -> String {
    match (lang, count) {
        (Lang::Ko, _) => format!("{count}번 시도"),
        (Lang::En, 1) => "1 attempt".to_owned(),
        (Lang::En, _) => format!("{count} attempts"),
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
        let reason = masked_text(reason);
        let word = lang.t("사유", "reason");
        let count = self::attempts(*attempts as usize, lang);
        format!("{amount} · {word}: {reason} · {count} · {error}")
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
                {
                    let count = self::attempts(*attempts as usize, lang);
                    format!("{kind} #{job_id} · {count} · {error}")
                },
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
        Alert::NoContract {
            partner,
            day,
            amount,
        } => {
            let amount = won(*amount);
            (
                lang.t(
                    "계약이 없어 정산할 수 없음",
                    "A partner cannot be settled: no contract holds",
                ),
                lang.t(
                    format!("{partner} · {day}부터의 계약 필요 · {amount}"),
                    format!("{partner} · a contract from {day} is needed · {amount}"),
                ),
            )
        }
        Alert::PayoutFailed {
            batch,
            partner,
            amount,
            reason,
        } => {
            let (amount, reason) = (won(*amount), masked_text(reason));
            (
                lang.t("지급 실패", "The bank refused a payout"),
                lang.t(
                    format!("지급 묶음 {batch} · {partner} · {amount} · {reason}"),
                    format!("Batch {batch} · {partner} · {amount} · {reason}"),
                ),
            )
        }
        Alert::ApprovalWaits {
            approval,
            kind,
            amount,
            by,
        } => {
            let amount = won(*amount);
            let what = match kind {
                Kind::Payout => lang.t("지급 묶음", "a payout batch"),
                Kind::Adjustment => lang.t("조정", "an adjustment"),
            };
            let by = actor(by, lang);
            (
                lang.t("두 번째 사람의 승인 대기", "Waits for a second person"),
                lang.t(
                    format!("{what} · {amount} · {by}의 요청 {approval}"),
                    format!("{what} · {amount} · request {approval} of {by}"),
                ),
            )
        }
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
        Alert::Summary(summary) => (
            lang.t("같은 알림이 더 있음", "More of the same"),
            summed_up(summary, lang),
        ),
        Alert::Over(it) => (lang.t("더 이어지지 않음", "It is over"), over(it, lang)),
        Alert::Digest(digest) => {
            let heaps = digest.heaps.iter().map(|heap| {
                let age = lasted(heap.oldest, digest.at, lang);
                let many = many(heap.count, heap.amount, lang);
                let why = stuck(heap.why, lang);
                lang.t(
                    format!("{why} {many}, 가장 오래된 것 {age}"),
                    format!("{why}: {many}, the oldest for {age}"),
                )
            });
            (
                lang.t("아직 처리되지 않은 것", "Still stuck"),
                heaps.collect::<Vec<_>>().join(" · "),
            )
        }
    }
}

fn summed_up(summary: &Summary, lang: Lang) -> String {
    let subject = subject(&summary.subject, lang);
    let fresh = many(summary.fresh, summary.fresh_amount, lang);
    let all = many(summary.all, summary.amount, lang);
    let since = kst(summary.since);
    let mut text = lang.t(
        format!("{subject} · 새로 {fresh} · {since}부터 모두 {all}"),
        format!("{subject} · {fresh} new · {all} in all since {since}"),
    );
    if !summary.error.is_empty() {
        text.push_str(" · ");
        text.push_str(&told(&summary.error, lang));
    }
    text
}

fn over(over: &Over, lang: Lang) -> String {
    let subject = subject(&over.subject, lang);
    let all = many(over.all, over.amount, lang);
    let lasted = lasted(over.since, over.until, lang);
    let Fates {
        done,
        under_way,
        waiting,
        waiting_amount,
    } = over.fates;
    let mut parts = vec![lang.t(
        format!("{subject} · {lasted} 동안 {all}"),
        format!("{subject} · {all} within {lasted}"),
    )];
    if done > 0 {
        parts.push(lang.t(format!("처리됨 {done}건"), format!("{done} went through")));
    }
    if under_way > 0 {
        parts.push(lang.t(
            format!("진행 중 {under_way}건"),
            format!("{under_way} under way"),
        ));
    }
    if waiting > 0 {
        let many = many(waiting, waiting_amount, lang);
        parts.push(lang.t(
            format!("사람이 필요 {many}"),
            format!("{many} wait for a person"),
        ));
    }
    parts.join(" · ")
}

/// What alerts that are told together have in common.
pub fn subject(subject: &str, lang: Lang) -> String {
    match subject {
        "cancel_retrying" => lang
            .t("결제 취소 재시도 중", "Cancels are being retried")
            .into(),
        "cancel_dead" => lang.t("결제 취소 실패", "Cancels failed").into(),
        "payment_held" => lang.t("보류된 결제", "Payments do not fit").into(),
        "contradiction" => lang
            .t(
                "포트원 응답이 장부와 맞지 않음",
                "PortOne contradicts the books",
            )
            .into(),
        other => {
            let kind = job(other.strip_prefix("job_dead:").unwrap_or(other), lang);
            lang.t(format!("작업 실패: {kind}"), format!("Jobs failed: {kind}"))
        }
    }
}

/// Why something does not go on.
pub fn stuck(why: Why, lang: Lang) -> &'static str {
    match why {
        Why::DeadLetter => lang.t("데드레터", "Dead letters"),
        Why::Held => lang.t("보류된 결제", "Held payments"),
        Why::Cancelling => lang.t(
            "1시간 넘게 진행 중인 취소",
            "Cancels under way for over an hour",
        ),
        Why::NoContract => lang.t("계약이 없어 정산 못 함", "Not settled: no contract"),
        Why::PayoutFailed => lang.t("지급 실패", "Payouts refused"),
        Why::Paused => lang.t("멈춰 둔 작업 종류", "Paused kinds of jobs"),
    }
}

fn many(count: i64, amount: Won, lang: Lang) -> String {
    let count = lang.t(format!("{count}건"), count.to_string());
    if amount.is_zero() {
        count
    } else {
        format!("{count} ({})", won(amount))
    }
}

/// How long something took, or has waited: `1시간 10분`, `2 d 3 h`.
pub fn lasted(from: jiff::Timestamp, to: jiff::Timestamp, lang: Lang) -> String {
    match passed(from, to) {
        (0, 0, minutes) => lang.t(format!("{minutes}분"), format!("{minutes} min")),
        (0, hours, minutes) => lang.t(
            format!("{hours}시간 {minutes}분"),
            format!("{hours} h {minutes} min"),
        ),
        (days, hours, _) => lang.t(
            format!("{days}일 {hours}시간"),
            format!("{days} d {hours} h"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_reads_in_both_languages() {
        let at = |minute: i64| jiff::Timestamp::from_second(1_786_000_000 + minute * 60).unwrap();
        let said = Alert::Over(Box::new(Over {
            episode: 1,
            subject: "job_dead:sweep".into(),
            since: at(0),
            until: at(70),
            fresh: 3,
            all: 9,
            amount: Won::ZERO,
            fates: Fates {
                done: 2,
                under_way: 0,
                waiting: 7,
                waiting_amount: Won::new(70_000),
            },
        }));
        assert_eq!(
            alert(&said, Lang::Ko).1,
            "작업 실패: 포트원 대사 · 1시간 10분 동안 9건 · 처리됨 2건 · 사람이 필요 7건 (₩70,000)"
        );
        assert_eq!(
            alert(&said, Lang::En).1,
            "Jobs failed: Sweep PortOne's books · 9 within 1 h 10 min · 2 went through · 7 (₩70,000) wait for a person"
        );
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
}
