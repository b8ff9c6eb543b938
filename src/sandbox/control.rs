//! The sandbox told by programs of another process: the handle's methods as JSON.
//!
//! | call | does |
//! | --- | --- |
//! | `POST /sandbox/faults` | sets a [`Fault`]: `{"on":"cancel","kind":"do_then_drop","times":1}` |
//! | `GET`, `DELETE /sandbox/faults` | lists, clears them |
//! | `POST /sandbox/payments` | enters a [`NewPayment`], gives `{"imp_uid"}` |
//! | `GET /sandbox/payments/{imp_uid}` | the payment as the books have it |
//! | `GET /sandbox/requests?last=100` | what was asked of the sandbox |
//! | `GET /sandbox/deliveries` | what became of webhooks |
//! | `GET /sandbox/slack` | what Slack would have got |
//! | `GET /sandbox/check` | what does not add up; `[]` is good |
//!
//! The control page's own forms are in `page`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Inner, NewPayment, SameSite, faults::Fault, lock};

pub(super) fn routes() -> Router<Arc<Inner>> {
    Router::new()
        .route(
            "/sandbox/faults",
            get(faults).post(add_fault).delete(clear_faults),
        )
        .route("/sandbox/payments", post(pay))
        .route("/sandbox/payments/{imp_uid}", get(payment))
        .route("/sandbox/requests", get(requests))
        .route("/sandbox/deliveries", get(deliveries))
        .route("/sandbox/slack", get(slack))
        .route("/sandbox/check", get(check))
        .route("/sandbox/redirected", get(redirected))
}

async fn faults(State(inner): State<Arc<Inner>>) -> Json<Vec<Fault>> {
    Json(inner.faults.list())
}

async fn add_fault(
    _: SameSite,
    State(inner): State<Arc<Inner>>,
    Json(fault): Json<Fault>,
) -> StatusCode {
    inner.faults.add(fault);
    StatusCode::NO_CONTENT
}

async fn clear_faults(_: SameSite, State(inner): State<Arc<Inner>>) -> StatusCode {
    inner.faults.clear();
    StatusCode::NO_CONTENT
}

async fn pay(
    _: SameSite,
    State(inner): State<Arc<Inner>>,
    Json(new): Json<NewPayment>,
) -> Response {
    let now = inner.now();
    let paid = lock(&inner.books).pay(new, now);
    match paid {
        Ok(imp_uid) => Json(json!({ "imp_uid": *imp_uid })).into_response(),
        Err(error) => (StatusCode::CONFLICT, error.to_string()).into_response(),
    }
}

async fn payment(State(inner): State<Arc<Inner>>, Path(imp_uid): Path<String>) -> Response {
    let payment = lock(&inner.books).get(&imp_uid).cloned();
    match payment {
        Some(payment) => Json(payment).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Deserialize)]
struct Last {
    #[serde(default = "hundred")]
    last: usize,
}

fn hundred() -> usize {
    100
}

async fn requests(State(inner): State<Arc<Inner>>, Query(Last { last }): Query<Last>) -> Response {
    Json(inner.log.last(last)).into_response()
}

async fn deliveries(State(inner): State<Arc<Inner>>) -> Response {
    let deliveries: Vec<_> = lock(&inner.deliveries).iter().cloned().collect();
    Json(deliveries).into_response()
}

async fn slack(State(inner): State<Arc<Inner>>) -> Json<Vec<Value>> {
    let messages = lock(&inner.slack);
    Json(messages.iter().map(|one| one.payload.clone()).collect())
}

async fn check(State(inner): State<Arc<Inner>>) -> Json<Vec<String>> {
    Json(lock(&inner.books).check())
}

/// Where the `redirect` fault points. A gateway client that comes here followed a redirect.
async fn redirected(State(inner): State<Arc<Inner>>) -> &'static str {
    inner.log.count("redirected");
    "nobody should have come here"
}
