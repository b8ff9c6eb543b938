//! Slack's incoming webhooks: what happened, the payment, the amount, why, how often tried, and a
//! link to where somebody can act.

use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::header;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::outbound::{self, Reach};
use crate::{
    domain::{
        alert::{Alert, Severity},
        approval::Kind,
        calendar::kst,
        digest::{Digest, Why, passed},
        episode::{Fates, Named},
        masks::masked_text,
        money::Won,
        retry::Class,
    },
    flow::{Note, Notifier, NotifyError},
};

/// Slack takes up to 3,000 characters in a block; nobody reads that many.
const LONGEST_TEXT: usize = 600;

/// The most that Slack takes in one block of text.
const LONGEST_BLOCK: usize = 3_000;

/// Of a name in a list, which must fit into one block with nine others.
const LONGEST_NAME: usize = 60;

pub struct Slack {
    http: reqwest::Client,
    /// Whoever knows it can write into the channel: it is a secret.
    url: SecretString,
    reach: Reach,
}

impl Slack {
    pub fn new(url: SecretString, reach: Reach) -> Result<Slack, reqwest::Error> {
        let http = outbound::client(reach)
            .connect_timeout(Duration::from_secs(3))
            .timeout(Duration::from_secs(10))
            .build()?;
        Ok(Slack { http, url, reach })
    }

    async fn post(&self, note: &Note) -> Result<(), NotifyError> {
        let failed = |class, what: String, retry_after| NotifyError {
            class,
            what,
            retry_after,
        };
        let url = outbound::check_text(self.url.expose_secret(), self.reach).map_err(|why| {
            let what = format!("slack.webhook_url is not called: {why}");
            failed(Class::Permanent, what, None)
        })?;
        let answer = self
            .http
            .post(url)
            .json(&payload(note))
            .send()
            .await
            .map_err(|error| {
                let what = format!("Slack cannot be reached: {}", error.without_url());
                failed(Class::Transient, what, None)
            })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let retry_after = answer
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(|seconds: u64| Duration::from_secs(seconds.min(3600)));
        let passing = status.as_u16() == 429 || status.as_u16() == 408 || status.is_server_error();
        let class = if passing {
            Class::Transient
        } else {
            Class::Permanent
        };
        let what = format!("Slack answered HTTP {}", status.as_u16());
        Err(failed(class, what, retry_after))
    }
}

impl Notifier for Slack {
    fn send<'a>(&'a self, note: &'a Note) -> BoxFuture<'a, Result<&'static str, NotifyError>> {
        Box::pin(async move {
            self.post(note).await?;
            Ok("slack")
        })
    }
}

/// Text from outside, so that it neither mentions anybody nor links anywhere.
/// Slack's rule: these three characters are escaped, all others are literal.
fn escaped(text: &str) -> String {
    let text: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_TEXT)
        .collect();
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn field(name: &str, value: &str) -> Value {
    mrkdwn(&format!("*{name}*\n{}", escaped(value)))
}

/// Text in which Slack makes no links and mentions out of what only looks like them.
fn mrkdwn(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

/// The message in Slack's Block Kit.
pub fn payload(note: &Note) -> Value {
    let (title, fields, text) = words(&note.alert);
    let text = masked_text(&text);
    let mark = match note.alert.severity() {
        _ if is_good(&note.alert) => "✅",
        Severity::Urgent => "🚨",
        Severity::Notice => "⚠️",
    };
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": format!("{mark} {title}"), "emoji": true },
    })];
    if !fields.is_empty() {
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    if !text.is_empty() {
        blocks.push(json!({
            "type": "section",
            "text": mrkdwn(&escaped(&text)),
        }));
    }
    let lines = lines(note);
    if !lines.is_empty() {
        blocks.push(json!({
            "type": "section",
            "text": mrkdwn(&lines),
        }));
    }
    blocks.push(json!({
        "type": "actions",
        "elements": [{
            "type": "button",
            "text": { "type": "plain_text", "text": "열기 · Open" },
            "url": note.link,
        }],
    }));
    blocks.push(json!({
        "type": "context",
        "elements": [{ "type": "mrkdwn", "text": format!("jeongsan · {} · #{}", kst(note.at), note.id) }],
    }));
    json!({
        "text": format!("{mark} {}", escaped(&title)),
        "blocks": blocks,
        "parse": "none",
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// Nobody has to do anything.
fn is_good(alert: &Alert) -> bool {
    match alert {
        Alert::GatewayBack => true,
        Alert::Over(over) => over.fates.waiting == 0 && over.fates.under_way == 0,
        _ => false,
    }
}

/// Title, fields and running text of each alert.
fn words(alert: &Alert) -> (String, Vec<Value>, String) {
    match alert {
        Alert::CancelRetrying {
            imp_uid,
            cancellation,
            amount,
            reason,
            error,
            attempts,
        } => (
            "결제 취소 재시도 중 · Cancel is being retried".into(),
            vec![
                field("결제 · Payment", imp_uid.as_str()),
                field("금액 · Amount", &format!("₩{amount}")),
                field("사유 · Reason", &masked_text(reason)),
                field("시도 · Attempts", &attempts.to_string()),
                field("취소 번호 · Cancellation", cancellation.as_str()),
            ],
            error.clone(),
        ),
        Alert::CancelDead {
            imp_uid,
            cancellation,
            amount,
            reason,
            error,
            attempts,
            job_id,
        } => (
            "결제 취소 실패 — 수동 처리 필요 · Cancel failed, a person is needed".into(),
            vec![
                field("결제 · Payment", imp_uid.as_str()),
                field("금액 · Amount", &format!("₩{amount}")),
                field("사유 · Reason", &masked_text(reason)),
                field("시도 · Attempts", &attempts.to_string()),
                field("취소 번호 · Cancellation", cancellation.as_str()),
                field("데드레터 · Dead letter", &job_id.to_string()),
            ],
            error.clone(),
        ),
        Alert::JobDead {
            job_id,
            kind,
            error,
            attempts,
        } => (
            "작업 실패 — 수동 처리 필요 · A job is a dead letter".into(),
            vec![
                field("작업 · Job", &format!("{kind} #{job_id}")),
                field("시도 · Attempts", &attempts.to_string()),
            ],
            error.clone(),
        ),
        Alert::PaymentHeld {
            imp_uid,
            merchant_uid,
            amount,
            why,
        } => (
            "확인이 필요한 결제 · A payment does not fit".into(),
            vec![
                field("결제 · Payment", imp_uid.as_str()),
                field("주문 · Order", merchant_uid),
                field("금액 · Amount", &format!("₩{amount}")),
            ],
            why.clone(),
        ),
        Alert::Contradiction { imp_uid, why } => (
            "포트원 응답이 장부와 맞지 않음 · PortOne contradicts the books".into(),
            vec![field("결제 · Payment", imp_uid.as_str())],
            why.clone(),
        ),
        Alert::NoContract {
            partner,
            day,
            amount,
        } => (
            "계약이 없어 정산할 수 없음 · Cannot be settled: no contract".into(),
            vec![
                field("파트너사 · Partner", partner),
                field("날짜 · Day", day),
                field("대기 금액 · Waiting", &format!("₩{amount}")),
            ],
            String::new(),
        ),
        Alert::PayoutFailed {
            batch,
            partner,
            amount,
            reason,
        } => (
            "지급 실패 · The bank refused a payout".into(),
            vec![
                field("지급 묶음 · Batch", &batch.to_string()),
                field("파트너사 · Partner", partner),
                field("금액 · Amount", &format!("₩{amount}")),
            ],
            reason.clone(),
        ),
        Alert::ApprovalWaits {
            approval,
            kind,
            amount,
            by,
        } => (
            "두 번째 사람의 승인 대기 · Waits for a second person".into(),
            vec![
                field(
                    "무엇 · What",
                    match kind {
                        Kind::Payout => "지급 묶음 · Payout batch",
                        Kind::Adjustment => "조정 · Adjustment",
                    },
                ),
                field("금액 · Amount", &format!("₩{amount}")),
                field("요청한 사람 · Asked by", by),
                field("승인 번호 · Approval", &approval.to_string()),
            ],
            String::new(),
        ),
        Alert::GatewayHalted { error } => (
            "포트원 호출 중단 · Calls to PortOne are stopped".into(),
            Vec::new(),
            error.clone(),
        ),
        Alert::GatewayBack => (
            "포트원 호출 재개 · PortOne takes our calls again".into(),
            Vec::new(),
            String::new(),
        ),
        Alert::Summary(summary) => (
            format!(
                "{}건 더 · {} more: {}",
                summary.fresh,
                summary.fresh,
                subject(&summary.subject)
            ),
            vec![
                field("새로 · New", &many(summary.fresh, summary.fresh_amount)),
                field("모두 · In all", &many(summary.all, summary.amount)),
                field("시작 · Since", &kst(summary.since)),
            ],
            summary.error.clone(),
        ),
        Alert::Over(over) => (
            format!("끝남 · Over: {}", subject(&over.subject)),
            [
                field("모두 · In all", &many(over.all, over.amount)),
                field("시작 · Since", &kst(over.since)),
                field("걸린 시간 · Lasted", &lasted(over.since, over.until)),
            ]
            .into_iter()
            .chain(fates(over.fates))
            .collect(),
            String::new(),
        ),
        Alert::Digest(digest) => (
            "아직 처리되지 않은 것 · Still stuck".into(),
            digest
                .heaps
                .iter()
                .map(|heap| {
                    let age = lasted(heap.oldest, digest.at);
                    let value = format!(
                        "{}\n가장 오래된 것 · oldest {age}",
                        many(heap.count, heap.amount)
                    );
                    mrkdwn(&format!("*{}*\n{value}", why(heap.why)))
                })
                .collect(),
            String::new(),
        ),
    }
}

/// What an episode is about, as its alerts' own titles have it.
fn subject(subject: &str) -> String {
    match subject {
        "cancel_retrying" => "결제 취소 재시도 중 · Cancels are being retried".into(),
        "cancel_dead" => "결제 취소 실패 — 수동 처리 필요 · Cancels failed".into(),
        "payment_held" => "확인이 필요한 결제 · Payments do not fit".into(),
        "contradiction" => "포트원 응답이 장부와 맞지 않음 · PortOne contradicts the books".into(),
        other => {
            // A kind of a later version may stand here, or what somebody wrote into the file.
            let kind: String = other
                .strip_prefix("job_dead:")
                .unwrap_or(other)
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
                .take(LONGEST_NAME)
                .collect();
            format!("작업 실패 — 수동 처리 필요 · Dead letters ({kind})")
        }
    }
}

fn why(why: Why) -> &'static str {
    match why {
        Why::DeadLetter => "데드레터 · Dead letters",
        Why::Held => "보류된 결제 · Held payments",
        Why::Cancelling => "1시간 넘게 진행 중인 취소 · Cancels under way for over an hour",
        Why::NoContract => "계약이 없어 정산 못 함 · Not settled: no contract",
        Why::PayoutFailed => "지급 실패 · Payouts refused",
        Why::Paused => "멈춰 둔 작업 종류 · Paused kinds",
    }
}

/// `23 · ₩276,000`
fn many(count: i64, amount: Won) -> String {
    if amount.is_zero() {
        count.to_string()
    } else {
        format!("{count} · ₩{amount}")
    }
}

fn lasted(from: jiff::Timestamp, to: jiff::Timestamp) -> String {
    match passed(from, to) {
        (0, 0, minutes) => format!("{minutes}분 · {minutes} min"),
        (0, hours, minutes) => format!("{hours}시간 {minutes}분 · {hours} h {minutes} min"),
        (days, hours, _) => format!("{days}일 {hours}시간 · {days} d {hours} h"),
    }
}

/// What there is none of is left out.
fn fates(fates: Fates) -> Vec<Value> {
    [
        ("처리됨 · Went through", fates.done, Won::ZERO),
        ("진행 중 · Under way", fates.under_way, Won::ZERO),
        (
            "사람이 필요 · Wait for a person",
            fates.waiting,
            fates.waiting_amount,
        ),
    ]
    .into_iter()
    .filter(|(_, count, _)| *count > 0)
    .map(|(name, count, amount)| field(name, &many(count, amount)))
    .collect()
}

/// Each thing that the alert lists, with a link to its page.
fn lines(note: &Note) -> String {
    let texts: Vec<String> = match &note.alert {
        Alert::Summary(summary) => summary.named.iter().map(named).collect(),
        Alert::Digest(digest) => stuck(digest),
        _ => return String::new(),
    };
    let mut lines = String::new();
    for (text, link) in texts.iter().zip(&note.links) {
        let (name, rest) = text.split_once('\n').unwrap_or((text, ""));
        // What parts a link from its text stands in no link of ours.
        let link = link.replace('&', "&amp;").replace('|', "%7C");
        let line = format!("• <{link}|{}> {rest}\n", escaped(name));
        // Half a link would be none: what does not fit is on the page.
        if lines.chars().count() + line.chars().count() > LONGEST_BLOCK {
            break;
        }
        lines.push_str(&line);
    }
    lines
}

/// Its name and, behind a line break, the rest: the name may come from outside, the rest does not.
fn named(named: &Named) -> String {
    let name = match (&named.imp_uid, named.job_id) {
        (Some(imp_uid), _) => short(imp_uid.as_str()),
        (None, Some(job_id)) => format!("#{job_id}"),
        (None, None) => "–".into(),
    };
    let amount = named.amount.map(|amount| format!("₩{amount}"));
    format!("{name}\n{}", amount.unwrap_or_default())
}

fn stuck(digest: &Digest) -> Vec<String> {
    let line = |stuck: &crate::domain::digest::Stuck| {
        let (name, sort) = match stuck.why {
            Why::DeadLetter => (
                format!("#{} {}", stuck.key, stuck.about),
                "데드레터 · dead letter",
            ),
            Why::Held => (stuck.key.clone(), "보류 · held"),
            Why::Cancelling => (stuck.key.clone(), "취소 진행 중 · cancelling"),
            Why::NoContract => (stuck.key.clone(), "계약 없음 · no contract"),
            Why::PayoutFailed => (
                format!("{} #{}", stuck.about, stuck.key),
                "지급 실패 · payout refused",
            ),
            Why::Paused => (stuck.key.clone(), "멈춘 작업 종류 · paused"),
        };
        let amount = if stuck.amount.is_zero() {
            String::new()
        } else {
            format!(" · ₩{}", stuck.amount)
        };
        let age = lasted(stuck.since, digest.at);
        format!("{}\n{sort}{amount} · {age}", short(&name))
    };
    digest.oldest.iter().map(line).collect()
}

fn short(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_NAME)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        digest::{Heap, Stuck},
        episode::Summary,
        ids::{CancellationId, ImpUid},
    };

    #[test]
    fn text_from_outside_mentions_and_links_nobody() {
        let alert = Alert::CancelDead {
            imp_uid: ImpUid::new("imp_<!channel>").unwrap(),
            cancellation: CancellationId::new("c1").unwrap(),
            amount: Won::new(12_000),
            reason: "<https://evil.example|bank>\n<!here> & more".into(),
            error: "x".repeat(5_000),
            attempts: 3,
            job_id: 7,
        };
        let note = Note {
            id: 1,
            at: "2026-08-06T01:00:00Z".parse().unwrap(),
            alert,
            link: "http://127.0.0.1/admin/dead-letters/7".into(),
            links: Vec::new(),
        };
        let text = payload(&note).to_string();
        assert!(!text.contains("<!") && !text.contains("<http"), "{text}");
        assert!(text.contains("₩12,000") && text.contains("dead-letters/7"));
        assert!(text.len() < 3_500);
    }

    #[test]
    fn nothing_from_outside_is_a_link_a_mention_or_a_line_and_nobodys_number() {
        for nasty in [
            "<!channel>",
            "<!here|x>",
            "<!everyone>",
            "<@U123>",
            "<#C123>",
            "<!subteam^S1>",
            "<!date^0^x|y>",
            "<https://evil.example|bank>",
            "<mailto:a@b.kr|x>",
            "a\n\nb",
            "a\r\nb",
            "&lt;!channel&gt;",
            "\u{202e}<!channel>",
            "＜!channel＞",
            "010-1234-5678",
            "hong@example.com",
        ] {
            let alert = Alert::CancelRetrying {
                imp_uid: ImpUid::new("imp_1").unwrap(),
                cancellation: CancellationId::new("c1").unwrap(),
                amount: Won::new(1),
                reason: nasty.into(),
                error: nasty.into(),
                attempts: 1,
            };
            let note = Note {
                id: 1,
                at: "2026-08-06T01:00:00Z".parse().unwrap(),
                alert,
                link: "http://127.0.0.1/x".into(),
                links: Vec::new(),
            };
            let payload = payload(&note);
            assert_eq!(
                (&payload["parse"], &payload["unfurl_links"]),
                (&json!("none"), &json!(false))
            );
            let mut texts = 0;
            for block in payload["blocks"].as_array().unwrap() {
                let of_block = block["fields"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .chain([&block["text"]]);
                for text in of_block.filter(|text| text["type"] == "mrkdwn") {
                    let said = text["text"].as_str().unwrap();
                    assert!(
                        !said.contains('<') && !said.contains('>'),
                        "{nasty:?}: {said}"
                    );
                    // A field's name stands on a line of its own; nothing else begins a line.
                    assert!(
                        said.matches('\n').count() <= 1 && !said.contains('\r'),
                        "{said:?}"
                    );
                    assert_eq!(text["verbatim"], true);
                    assert!(
                        !said.contains("1234-5678") && !said.contains("hong@"),
                        "{said}"
                    );
                    texts += 1;
                }
            }
            assert!(texts >= 6);
        }
    }

    #[test]
    fn names_from_outside_stay_inside_of_their_links() {
        let name = |n: usize| Named {
            imp_uid: Some(ImpUid::new(format!("imp_<!here>|{n}")).unwrap()),
            job_id: None,
            amount: Some(Won::new(1_000)),
        };
        let summary = Summary {
            episode: 3,
            subject: "job_dead:<!channel>".into(),
            since: "2026-08-06T00:00:00Z".parse().unwrap(),
            fresh: 23,
            fresh_amount: Won::new(23_000),
            all: 30,
            amount: Won::new(30_000),
            error: "<https://evil.example|bank>".into(),
            named: (0..5).map(name).collect(),
        };
        let note = Note {
            id: 1,
            at: "2026-08-06T01:00:00Z".parse().unwrap(),
            alert: Alert::Summary(Box::new(summary)),
            link: "http://127.0.0.1/admin/jobs?kind=a&state=dead".into(),
            links: vec!["http://127.0.0.1/payment/a|b&c".into(); 5],
        };
        let text = payload(&note).to_string();
        assert!(!text.contains("<!") && !text.contains("<https"), "{text}");
        assert!(text.contains("<http://127.0.0.1/payment/a%7Cb&amp;c|imp_&lt;!here&gt;|0> ₩1,000"));
        assert!(text.contains("*새로 · New*\\n23 · ₩23,000") && text.contains("₩30,000"));
    }

    #[test]
    fn a_long_digest_fits_into_slacks_blocks() {
        let at = |hours: i64| jiff::Timestamp::from_second(1_786_000_000 - hours * 3_600).unwrap();
        let stuck = |n: i64| Stuck {
            why: Why::ALL[n as usize % 6],
            key: "k".repeat(255),
            about: "<".repeat(255),
            amount: Won::LARGEST,
            since: at(n * 30),
        };
        let digest = Digest {
            at: at(0),
            heaps: Why::ALL
                .map(|why| Heap {
                    why,
                    count: 1,
                    amount: Won::new(2_000),
                    oldest: at(50),
                })
                .to_vec(),
            oldest: (0..10).map(stuck).collect(),
        };
        let note = Note {
            id: 1,
            at: at(0),
            alert: Alert::Digest(Box::new(digest)),
            link: "http://127.0.0.1/admin/alerts".into(),
            links: vec![format!("https://pay.example.kr/payment/{}", "%3C".repeat(85)); 10],
        };
        let payload = payload(&note);
        for block in payload["blocks"].as_array().unwrap() {
            let text = block["text"]["text"].as_str().unwrap_or_default();
            assert!(text.chars().count() <= 3_000, "{}", text.chars().count());
            let fields = block["fields"].as_array().map_or(0, Vec::len);
            assert!(fields <= 10, "Slack takes ten fields");
        }
        let text = payload.to_string();
        assert!(text.contains("2일 2시간 · 2 d 2 h"), "{text}");
    }
}
