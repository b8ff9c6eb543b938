//! Slack's incoming webhooks: what happened, the payment, the amount, why, how often tried, and a
//! link to where somebody can act.

use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::header;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use crate::{
    domain::{
        alert::{Alert, Severity},
        calendar::kst,
        retry::Class,
    },
    flow::{Note, Notifier, NotifyError},
};

/// Slack takes up to 3,000 characters in a block; nobody reads that many.
const LONGEST_TEXT: usize = 600;

pub struct Slack {
    http: reqwest::Client,
    /// Whoever knows it can write into the channel: it is a secret.
    url: SecretString,
}

impl Slack {
    pub fn new(url: SecretString) -> Result<Slack, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("jeongsan/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Slack { http, url })
    }

    async fn post(&self, note: &Note) -> Result<(), NotifyError> {
        let failed = |class, what: String, retry_after| NotifyError {
            class,
            what,
            retry_after,
        };
        let url = Url::parse(self.url.expose_secret())
            .map_err(|_| failed(Class::Permanent, "Slack's URL cannot be read".into(), None))?;
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
    fn name(&self) -> &'static str {
        "slack"
    }

    fn send<'a>(&'a self, note: &'a Note) -> BoxFuture<'a, Result<(), NotifyError>> {
        Box::pin(self.post(note))
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
    json!({ "type": "mrkdwn", "text": format!("*{name}*\n{}", escaped(value)) })
}

/// The message in Slack's Block Kit.
pub fn payload(note: &Note) -> Value {
    let (title, fields, text) = words(&note.alert);
    let mark = match note.alert.severity() {
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
            "text": { "type": "mrkdwn", "text": escaped(&text) },
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
    json!({ "text": format!("{mark} {}", escaped(&title)), "blocks": blocks })
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
                field("사유 · Reason", reason),
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
                field("사유 · Reason", reason),
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        ids::{CancellationId, ImpUid},
        money::Won,
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
        };
        let text = payload(&note).to_string();
        assert!(!text.contains("<!") && !text.contains("<http"), "{text}");
        assert!(text.contains("₩12,000") && text.contains("dead-letters/7"));
        assert!(text.len() < 3_500);
    }
}
