//! `GET /api/approvals`: what waits for a second person, and what became of it. Programs look; people decide.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    flow::approve::ApproveError,
    store::approvals::{self, ApprovalRow},
    web::{
        Web,
        api::payouts::number,
        asked,
        auth::Actor,
        error::{InLang, Problem},
        extract::Q,
        lang::Lang,
    },
};

pub fn routes() -> Router<Web> {
    Router::new()
        .route("/api/approvals", get(list))
        .route("/api/approvals/{id}", get(show))
}

#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    state: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

/// `GET /api/approvals?state=waiting|decided`: newest first.
async fn list(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Q(query): Q<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let waiting = asked::one_of(
        "state",
        &query.state,
        &["waiting", "decided"],
        |text| match text {
            "waiting" => Some(true),
            "decided" => Some(false),
            _ => None,
        },
    )
    .lang(lang)?
    .unwrap_or(true);
    let limit = asked::limit(&query.limit).lang(lang)?;
    let after = asked::after_row(&query.after).lang(lang)?;
    let find = |conn: &rusqlite::Connection| {
        let rows = approvals::list(conn, waiting, after, limit + 1)?;
        Ok::<_, Problem>((rows, approvals::waiting(conn)?))
    };
    let (mut rows, count) = web.ctx.store.read(find).lang(lang)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.id.to_string());
    Ok(Json(
        json!({ "items": rows, "next": next, "waiting": count }),
    ))
}

/// One with all that it asks for.
pub fn whole(web: &Web, id: i64) -> Result<(ApprovalRow, Option<Value>), Problem> {
    web.ctx.store.read(|conn| {
        let row = approvals::get(conn, id)?.ok_or(ApproveError::NoApproval(id))?;
        let rows = approvals::rows(conn, id)?;
        Ok::<_, Problem>((row, rows))
    })
}

fn described(row: &ApprovalRow, rows: Option<&Value>) -> Value {
    let rows = rows.and_then(Value::as_array).map(|rows| {
        let one = |row: &Value| {
            let mut value = row[1].clone();
            value["line"] = row[0].clone();
            value
        };
        rows.iter().map(one).collect::<Vec<_>>()
    });
    json!({ "approval": row, "adjustments": rows })
}

/// `GET /api/approvals/{id}`
async fn show(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (row, rows) = number(&id).and_then(|id| whole(&web, id)).lang(lang)?;
    Ok(Json(described(&row, rows.as_ref())))
}

/// The answer to what was asked for and is not done yet. What it was an answer to before, it is again.
pub fn accepted(web: &Web, id: i64, new: bool) -> Result<Response, Problem> {
    let (row, rows) = whole(web, id)?;
    let status = match new || row.waits() {
        true => StatusCode::ACCEPTED,
        false => StatusCode::OK,
    };
    let location = [(header::LOCATION, format!("/api/approvals/{id}"))];
    Ok((status, location, Json(described(&row, rows.as_ref()))).into_response())
}
