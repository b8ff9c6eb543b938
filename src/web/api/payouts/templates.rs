//! Templates of banks' files for programs.

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use crate::{
    flow::bank_templates,
    sheet::bank::BankTemplate,
    web::{
        Web,
        auth::Actor,
        error::{InLang, Problem},
        extract::Body,
        lang::Lang,
    },
};

/// `GET /api/bank-templates`
pub(super) async fn list(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
) -> Result<Json<Value>, Problem> {
    let items = web.ctx.store.read(bank_templates::all).lang(lang)?;
    Ok(Json(json!({ "items": items, "next": null })))
}

/// `GET /api/bank-templates/{name}`
pub(super) async fn show(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let find = |conn: &rusqlite::Connection| bank_templates::get(conn, &name);
    let known = web.ctx.store.read(find).lang(lang)?;
    Ok(Json(json!(known)))
}

/// `PUT /api/bank-templates/{name}`: the path's name counts.
pub(super) async fn put_one(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(name): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    let mut body: Value = super::json_body(&body, r#"{"format": "xlsx", "header": true, "columns": [{"header": "계좌번호", "field": "account"}], "result": {}}"#)
        .lang(lang)?;
    if let Some(fields) = body.as_object_mut() {
        fields.insert("name".into(), json!(name));
        // As `GET` gives them, so that what was read can be sent back.
        fields.remove("seeded");
        fields.remove("changed");
    }
    let template: BankTemplate = serde_json::from_value(body)
        .map_err(|why| {
            Problem::new(
                axum::http::StatusCode::UNPROCESSABLE_ENTITY,
                "bank-template",
                format!("은행 양식을 읽을 수 없습니다: {why}."),
                format!("The template cannot be used: {why}."),
            )
        })
        .lang(lang)?;
    let name = template.name.clone();
    bank_templates::save(&web.ctx, template, false, actor.by)
        .await
        .lang(lang)?;
    let find = |conn: &rusqlite::Connection| bank_templates::get(conn, &name);
    let known = web.ctx.store.read(find).lang(lang)?;
    Ok(Json(json!(known)))
}

/// `DELETE /api/bank-templates/{name}`: a seeded one is as it came again.
pub(super) async fn remove_one(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let reset = bank_templates::remove(&web.ctx, name.clone(), actor.by)
        .await
        .lang(lang)?;
    Ok(Json(json!({ "name": name, "reset": reset })))
}
