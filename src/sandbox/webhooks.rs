//! Webhooks: a hint to the merchant's server that something happened.
//!
//! One try, as V1 does; five more, if the set-up says so. Not signed, and nothing in
//! it but which payment to ask about.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{
    Inner, SandboxError, Status,
    faults::{Kind, Target},
    lock,
};

/// So many deliveries are remembered.
const REMEMBERED: usize = 1_000;
/// A first delivery may take 10 s to connect and 30 s to answer, a further one 15 s in all.
const CONNECT: Duration = Duration::from_secs(10);
const FIRST: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_secs(15);
/// Further deliveries, if the set-up wants any.
const REDELIVERIES: u32 = 5;

/// How a webhook's body is written; a setting of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    #[default]
    Json,
    Form,
}

/// What the merchant set in PortOne's console.
pub(super) struct Console {
    pub url: Option<String>,
    pub encoding: Encoding,
}

/// What became of one webhook.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    /// UNIX milliseconds, by the sandbox's clock.
    pub at: i64,
    pub imp_uid: String,
    pub status: &'static str,
    pub url: String,
    /// The answer's HTTP status; 0 if there was none.
    pub answer: u16,
    /// The beginning of the answer, or why there was none.
    pub detail: String,
}

#[derive(Clone, Serialize)]
struct Hook {
    imp_uid: String,
    merchant_uid: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancellation_id: Option<String>,
}

pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
}

/// Tells the merchant, in a task of its own, what this payment's status is now. Faults apply.
///
/// PortOne sends none for payments that had no webhook when they were paid; here the present
/// set-up counts, so that it can be set after payments were entered.
pub(super) fn tell(inner: &Arc<Inner>, imp_uid: &str) {
    let Some((url, hook)) = address(inner, imp_uid) else {
        return;
    };
    let inner = inner.clone();
    tokio::spawn(async move {
        let stop = inner.stop.clone();
        tokio::select! {
            () = deliver(&inner, &url, &hook) => {}
            () = stop.cancelled() => {}
        }
    });
}

/// One delivery, now, without faults.
pub(super) async fn send_now(
    inner: &Arc<Inner>,
    imp_uid: &str,
) -> Result<(u16, String), SandboxError> {
    if lock(&inner.books).get(imp_uid).is_none() {
        return Err(super::BooksError::Unknown(imp_uid.to_owned()).into());
    }
    let (url, hook) = address(inner, imp_uid).ok_or(SandboxError::NoWebhookUrl)?;
    post(inner, &url, &hook, FIRST)
        .await
        .map_err(SandboxError::Webhook)
}

fn address(inner: &Inner, imp_uid: &str) -> Option<(String, Hook)> {
    let books = lock(&inner.books);
    let payment = books.get(imp_uid)?;
    let url = match payment.notice_url() {
        Some(own) => own.to_owned(),
        None => lock(&inner.console).url.clone()?,
    };
    let hook = Hook {
        imp_uid: payment.imp_uid.to_string(),
        merchant_uid: payment.merchant_uid.to_string(),
        status: payment.status.word(),
        cancellation_id: match payment.status {
            Status::Cancelled => payment
                .cancels
                .last()
                .map(|cancel| cancel.cancellation_id.clone()),
            Status::Ready | Status::Paid | Status::Failed => None,
        },
    };
    Some((url, hook))
}

async fn deliver(inner: &Inner, url: &str, hook: &Hook) {
    let mut times = 1;
    match inner.faults.take(Target::Webhook, Some(&hook.imp_uid)) {
        Some(Kind::DropWebhook | Kind::Drop) => {
            remember(inner, url, hook, 0, "lost by a fault".to_owned());
            return;
        }
        Some(Kind::RepeatWebhook { n }) => times += n,
        Some(Kind::DelayWebhook { ms } | Kind::Slow { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        // The others are about answers, and a webhook is a question.
        Some(_) | None => {}
    }
    for _ in 0..times {
        let mut left = REDELIVERIES;
        let mut patience = FIRST;
        loop {
            let failed = match post(inner, url, hook, patience).await {
                Ok((status, _)) => status >= 500,
                Err(_) => true,
            };
            let Some(pause) = inner.config.redeliver.filter(|_| failed && left > 0) else {
                break;
            };
            left -= 1;
            patience = AGAIN;
            tokio::time::sleep(pause).await;
        }
    }
}

async fn post(
    inner: &Inner,
    url: &str,
    hook: &Hook,
    patience: Duration,
) -> Result<(u16, String), reqwest::Error> {
    inner.log.count("webhook");
    let encoding = lock(&inner.console).encoding;
    let request = inner.http.post(url).timeout(patience);
    let request = match encoding {
        Encoding::Json => request.json(hook),
        Encoding::Form => request.form(hook),
    };
    let answer = async {
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok::<_, reqwest::Error>((status, response.text().await?))
    }
    .await;
    match &answer {
        Ok((status, body)) => {
            let detail = body.chars().take(200).collect();
            remember(inner, url, hook, *status, detail);
        }
        Err(error) => remember(inner, url, hook, 0, cause(error)),
    }
    answer
}

/// The innermost cause: "connection refused" says more than "error sending request".
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn remember(inner: &Inner, url: &str, hook: &Hook, answer: u16, detail: String) {
    let delivery = Delivery {
        at: inner.now_ms(),
        imp_uid: hook.imp_uid.clone(),
        status: hook.status,
        url: url.to_owned(),
        answer,
        detail,
    };
    let mut deliveries = lock(&inner.deliveries);
    if deliveries.len() == REMEMBERED {
        deliveries.pop_front();
    }
    deliveries.push_back(delivery);
}
