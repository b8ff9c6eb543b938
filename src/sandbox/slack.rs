//! Where Slack would be: takes incoming-webhook messages and keeps the last of them.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::Value;

use super::{
    Inner,
    faults::{Kind, Target},
    lock,
    log::Outcome,
    v1::Call,
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

async fn receive(State(inner): State<Arc<Inner>>, call: Call, body: Bytes) -> Response {
    let what = Target::Slack.word();
    inner.log.count(what);
    let fault = inner.faults.take(Target::Slack, None);
    let hit = fault.is_some();
    let note = |outcome| call.note(&inner, what, None, outcome, hit);
    // Noted before the wait: a caller that gives up takes the rest of this with it.
    let cut = async |done, ms| {
        note(Outcome::Cut { done });
        call.line.hold(ms).await;
        call.line.cut();
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    };
    let answered = |response: Response| {
        let status = response.status().as_u16();
        let code = if status == 200 { 0 } else { -1 };
        note(Outcome::Answered { status, code });
        response
    };
    match fault {
        Some(Kind::Status {
            status,
            retry_after,
        }) => {
            let mut response = failure(status);
            if let Some(seconds) = retry_after {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            answered(response)
        }
        Some(Kind::DoThenStatus { status }) => {
            take(&inner, &body);
            answered(failure(status))
        }
        Some(Kind::Hang { ms }) => cut(false, ms).await,
        Some(Kind::DoThenHang { ms }) => {
            take(&inner, &body);
            cut(true, ms).await
        }
        Some(Kind::Drop) => cut(false, 0).await,
        Some(Kind::DoThenDrop) => {
            take(&inner, &body);
            cut(true, 0).await
        }
        Some(Kind::Slow { ms }) => {
            let response = answered(take(&inner, &body));
            call.line.hold(ms).await;
            response
        }
        // The others are about payments.
        Some(_) | None => answered(take(&inner, &body)),
    }
}

fn failure(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, words(status)).into_response()
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
