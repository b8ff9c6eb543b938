//! Where Slack would be: takes incoming-webhook messages and keeps the last of them.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::Value;

use super::{
    Inner, Line,
    faults::{Kind, Target},
    lock,
};

/// So many messages are kept.
const REMEMBERED: usize = 200;

/// A message as it came.
pub(super) struct Message {
    /// UNIX milliseconds.
    pub at: i64,
    pub payload: Value,
}

pub(super) fn routes() -> Router<Arc<Inner>> {
    Router::new().route("/slack/{*hook}", post(receive))
}

async fn receive(
    State(inner): State<Arc<Inner>>,
    ConnectInfo(line): ConnectInfo<Line>,
    body: Bytes,
) -> Response {
    inner.log.count(Target::Slack.word());
    let cut = |line: &Line| {
        line.cut();
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    };
    match inner.faults.take(Target::Slack, None) {
        None => take(&inner, &body),
        Some(Kind::Status {
            status,
            retry_after,
        }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, words(status)).into_response();
            if let Some(seconds) = retry_after {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Some(Kind::DoThenStatus { status }) => {
            take(&inner, &body);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, words(status)).into_response()
        }
        Some(Kind::Hang { ms }) => {
            line.hold(ms).await;
            cut(&line)
        }
        Some(Kind::DoThenHang { ms }) => {
            take(&inner, &body);
            line.hold(ms).await;
            cut(&line)
        }
        Some(Kind::Drop) => cut(&line),
        Some(Kind::DoThenDrop) => {
            take(&inner, &body);
            cut(&line)
        }
        Some(Kind::Slow { ms }) => {
            let answer = take(&inner, &body);
            line.hold(ms).await;
            answer
        }
        // The others are about payments.
        Some(_) => take(&inner, &body),
    }
}

fn words(status: StatusCode) -> &'static str {
    match status {
        StatusCode::TOO_MANY_REQUESTS => "rate_limited",
        StatusCode::NOT_FOUND => "no_service",
        _ => "rollup_error",
    }
}

fn take(inner: &Inner, body: &[u8]) -> Response {
    let payload = serde_json::from_slice::<Value>(body).or_else(|error| {
        // Slack takes a form with the JSON in `payload`, too.
        url::form_urlencoded::parse(body)
            .find(|(name, _)| name == "payload")
            .map_or(Err(error), |(_, json)| serde_json::from_str(&json))
    });
    let Ok(payload @ Value::Object(_)) = payload else {
        return (StatusCode::BAD_REQUEST, "invalid_payload").into_response();
    };
    let has_text = payload
        .get("text")
        .and_then(Value::as_str)
        .is_some_and(|text| !text.is_empty());
    let has = |name: &str| {
        payload
            .get(name)
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty())
    };
    if !has_text && !has("blocks") && !has("attachments") {
        return (StatusCode::BAD_REQUEST, "no_text").into_response();
    }
    let message = Message {
        at: inner.now_ms(),
        payload,
    };
    let mut messages = lock(&inner.slack);
    if messages.len() == REMEMBERED {
        messages.pop_front();
    }
    messages.push_back(message);
    "ok".into_response()
}
