//! The API's answers without persons, for a key that may not see them.
//!
//! Here and not in each handler: an answer that is added later is masked, too.

use axum::{
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::auth::Actor;
use crate::domain::{account::Right, masks::masked_answer};

/// Masks what a handler answers, unless whoever asked is a program that may see persons. A person who may has
/// the page for it, which asks for a reason and keeps it. It stands behind the gate, which
/// knows them; what an unknown caller gets holds nobody.
pub async fn masked(request: Request, next: Next) -> Response {
    let whole = request
        .extensions()
        .get::<Actor>()
        .is_none_or(|actor| actor.may(Right::PersonalRead) && !actor.is_page());
    let response = next.run(request).await;
    match whole || !is_json(&response) {
        true => response,
        false => without_persons(response).await,
    }
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| {
            kind.starts_with("application/json") || kind.starts_with("application/problem+json")
        })
}

async fn without_persons(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let masked = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => {
            serde_json::from_slice::<Value>(&bytes).map(|value| masked_answer(&value).to_string())
        }
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    match masked {
        Ok(text) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(text))
        }
        // What cannot be read cannot be masked.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn an_answer_keeps_all_but_persons() {
        let answer = (
            StatusCode::CREATED,
            [(header::LOCATION, "/api/x")],
            Json(json!({ "amount": 1_000, "buyer_name": "홍길동" })),
        );
        let masked = without_persons(answer.into_response()).await;
        assert_eq!(masked.status(), StatusCode::CREATED);
        assert_eq!(masked.headers()[header::LOCATION], "/api/x");
        assert!(is_json(&masked));
        let bytes = axum::body::to_bytes(masked.into_body(), usize::MAX)
            .await
            .unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value, json!({ "amount": 1_000, "buyer_name": "홍*동" }));
    }
}
