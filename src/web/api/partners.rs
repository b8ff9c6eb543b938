//! The API of partners and contracts.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{dry_run as dry_run_asked, json_body};
use crate::{
    domain::{
        calendar::KstDay,
        contract::Terms,
        ids::PartnerId,
        partner::{FieldError, PartnerDraft},
        terms_draft::from_day,
    },
    flow::{
        agree_contract::{agree, withdraw},
        import_partners,
        save_partner::{Save, archive, recover, save_partner},
    },
    store::{
        StoreError,
        contracts::{self, Version},
        partners::{self, Filter, Listed, PartnerRow},
        settlements,
    },
    web::{
        Web,
        asked::{self, not_a_cursor, set},
        auth::Actor,
        error::{InLang, Problem},
        extract::{Body, Q},
        lang::Lang,
        uploads,
    },
};

/// Bytes of a file.
pub const LARGEST_FILE: usize = 20 << 20;

/// Routes of the API; who may reach them stands in `access`.
pub fn routes() -> Router<Web> {
    Router::new()
        .route("/api/partners", get(list).post(add))
        .route(
            "/api/partners/import",
            post(import).layer(DefaultBodyLimit::max(LARGEST_FILE)),
        )
        .route("/api/partners/{id}", get(show).put(put))
        .route("/api/partners/{id}/archive", post(archive_it))
        .route("/api/partners/{id}/recover", post(recover_it))
        .route("/api/partners/{id}/account", get(account))
        .route(
            "/api/partners/{id}/contracts",
            get(list_contracts).post(agree_on),
        )
        .route("/api/contracts/{id}", delete(take_back))
}

// --- Partners

/// What a list may be cut by, as it stands in the address.
#[derive(Debug, Default, Deserialize)]
pub struct ListQuery {
    q: Option<String>,
    incomplete: Option<String>,
    archived: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

/// Partners of one page by name, and the id behind which the next one begins.
pub async fn find(
    web: &Web,
    filter: Filter,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<Listed>, Option<String>), Problem> {
    let store = &web.ctx.store;
    let today = KstDay::of(store.now());
    let behind = after.clone().unwrap_or_default();
    // A search looks at every partner: not on a thread that others wait for.
    let mut rows = store
        .read_long(move |conn| {
            let cursor = match &after {
                None => None,
                Some(id) => match partners::get(conn, id)? {
                    Some(row) => Some((row.name, row.id.to_string())),
                    None => return Ok(None),
                },
            };
            let cursor = cursor
                .as_ref()
                .map(|(name, id)| (name.as_str(), id.as_str()));
            let found = partners::list(conn, &filter, cursor, limit + 1)?;
            let found = found.into_iter().map(|row| Listed::of(conn, row, today));
            Ok::<_, StoreError>(Some(found.collect::<Result<Vec<_>, _>>()?))
        })
        .await?
        .ok_or_else(|| not_a_cursor(&behind))?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more);
    let next = next.map(|row| row.partner.id.to_string());
    Ok((rows, next))
}

/// `GET /api/partners`
async fn list(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Q(query): Q<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let limit = asked::limit(&query.limit).lang(lang)?;
    let filter = Filter {
        archived: asked::flag("archived", &query.archived).lang(lang)?,
        incomplete: asked::flag("incomplete", &query.incomplete).lang(lang)?,
        text: asked::search_text(&query.q).lang(lang)?,
    };
    let (items, next) = find(&web, filter, set(&query.after).map(str::to_owned), limit)
        .await
        .lang(lang)?;
    Ok(Json(json!({ "items": items, "next": next })))
}

fn get_one(web: &Web, id: &str) -> Result<Listed, Problem> {
    let store = &web.ctx.store;
    let today = KstDay::of(store.now());
    let found = store.read(|conn| {
        partners::get(conn, id)?
            .map(|row| Listed::of(conn, row, today))
            .transpose()
    })?;
    found.ok_or_else(|| Problem::not_found(id))
}

/// `GET /api/partners/{id}`
async fn show(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(id): Path<String>,
) -> Result<Json<Listed>, Problem> {
    get_one(&web, &id).map(Json).lang(lang)
}

fn draft(body: &[u8]) -> Result<PartnerDraft, Problem> {
    json_body(
        body,
        r#"{"id": "farm-1", "name": "햇살농장", "type": "BUSINESS_GENERAL", "business_number": "220-81-62517", "account": {"bank": "004", "number": "00400012345", "holder": "햇살농장"}}"#,
    )
}

async fn save(
    web: &Web,
    draft: PartnerDraft,
    how: Save,
    by: &'static str,
) -> Result<String, Problem> {
    let partner = draft
        .check()
        .map_err(|errors| Problem::wrong_partner(&errors))?;
    let id = partner.id.to_string();
    save_partner(&web.ctx, partner, how, by).await?;
    Ok(id)
}

/// `POST /api/partners`: a new one.
async fn add(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Body(body): Body,
) -> Result<Response, Problem> {
    let draft = draft(&body).lang(lang)?;
    let id = save(&web, draft, Save::New, actor.by).await.lang(lang)?;
    let row = get_one(&web, &id).lang(lang)?;
    let location = format!("/api/partners/{}", crate::web::pages::segment(&id));
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(row),
    )
        .into_response())
}

/// `PUT /api/partners/{id}`: as it is to be. The same again changes nothing.
async fn put(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let mut draft = draft(&body).lang(lang)?;
    let wrong = |field, ko: String, en: String| {
        Problem::wrong_partner(&[FieldError { field, ko, en }]).lang(lang)
    };
    if let Some(other) = draft.id.as_deref().filter(|other| *other != id) {
        return Err(wrong(
            "id",
            format!("본문은 `{other}`인데 주소는 `{id}`입니다. 아이디는 바꿀 수 없습니다"),
            format!("is `{other}`, but the address names `{id}`; an id cannot be changed"),
        ));
    }
    draft.id = Some(id.clone());
    let known = web
        .ctx
        .store
        .read(|conn| partners::get(conn, &id))
        .lang(lang)?;
    let archived = known.as_ref().is_some_and(PartnerRow::is_archived);
    if matches!(draft.archived.as_deref(), Some("true")) && !archived {
        return Err(wrong(
            "archived",
            "보관하려면 POST /api/partners/{id}/archive를 쓰세요".to_owned(),
            "is true; to archive a partner, call POST /api/partners/{id}/archive".to_owned(),
        ));
    }
    let id = save(&web, draft, Save::Put, actor.by).await.lang(lang)?;
    let status = if known.is_some() {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok((status, Json(get_one(&web, &id).lang(lang)?)).into_response())
}

/// `POST /api/partners/{id}/archive`
async fn archive_it(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(id): Path<String>,
) -> Result<Json<Listed>, Problem> {
    let of = PartnerId::new(id.clone()).lang(lang)?;
    archive(&web.ctx, of, actor.by).await.lang(lang)?;
    get_one(&web, &id).map(Json).lang(lang)
}

/// `POST /api/partners/{id}/recover`
async fn recover_it(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(id): Path<String>,
) -> Result<Json<Listed>, Problem> {
    let of = PartnerId::new(id.clone()).lang(lang)?;
    recover(&web.ctx, of, actor.by).await.lang(lang)?;
    get_one(&web, &id).map(Json).lang(lang)
}

/// `GET /api/partners/{id}/account`: earned, paid, open and carried over, in won.
async fn account(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = web.ctx.store.read(|conn| {
        let known = partners::get(conn, &id)?.is_some();
        let account = settlements::account(conn, &id)?;
        Ok::<_, StoreError>(known.then_some(account))
    });
    let account = found
        .lang(lang)?
        .ok_or_else(|| Problem::not_found(&id).lang(lang))?;
    let mut body = json!(account);
    body["partner"] = json!(id);
    Ok(Json(body))
}

// --- Contracts

/// Where a version stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Standing {
    Past,
    Holding,
    Scheduled,
}

/// Where each of a partner's versions, oldest first, stands on `today`.
pub fn standings(versions: &[Version], today: KstDay) -> Vec<Standing> {
    let holding = contracts::holding(versions, today).map(|version| version.id);
    versions
        .iter()
        .map(|version| match version.from > today {
            true => Standing::Scheduled,
            false if Some(version.id) == holding => Standing::Holding,
            false => Standing::Past,
        })
        .collect()
}

fn described(version: &Version, standing: Option<Standing>) -> Value {
    let (ko, en) = version.terms.cycle.describe();
    let mut value = json!(version);
    value["cycle"] = json!({ "ko": ko, "en": en });
    if let Some(standing) = standing {
        value["standing"] = json!(standing);
    }
    value
}

/// `GET /api/partners/{id}/contracts`: all versions, newest first.
async fn list_contracts(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let store = &web.ctx.store;
    let found = store.read(|conn| {
        let known = partners::get(conn, &id)?.is_some();
        let versions = contracts::of(conn, &id)?;
        Ok::<_, StoreError>(known.then_some(versions))
    });
    let versions = found
        .lang(lang)?
        .ok_or_else(|| Problem::not_found(&id).lang(lang))?;
    let standings = standings(&versions, KstDay::of(store.now()));
    let pairs = versions.iter().zip(standings).rev();
    let items: Vec<Value> = pairs
        .map(|(version, standing)| described(version, Some(standing)))
        .collect();
    Ok(Json(json!({ "items": items, "next": null })))
}

const CONTRACT_EXAMPLE: &str = r#"{"from": "2026-08-01", "terms": {"fee": {"rate": 10000}, "cycle": {"lag_days": 2, "method": {"kind": "MONTHLY", "days": [31]}, "holiday": "BEFORE"}}}"#;

#[derive(Deserialize, utoipa::ToSchema)]
pub(super) struct ContractBody {
    /// From this day on.
    #[schema(example = "2026-08-01")]
    from: String,
    #[schema(value_type = Terms)]
    terms: Value,
}

/// `POST /api/partners/{id}/contracts`: terms from some day on. The same again changes nothing.
async fn agree_on(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let id = PartnerId::new(id).lang(lang)?;
    let body: ContractBody = json_body(&body, CONTRACT_EXAMPLE).lang(lang)?;
    let mut wrong = Vec::new();
    let from = from_day("from", Some(&body.from))
        .map_err(|e| wrong.push(e))
        .ok();
    let terms: Option<Terms> = serde_json::from_value(body.terms)
        .map_err(|why| {
            wrong.push(FieldError {
                field: "terms",
                ko: format!("읽을 수 없습니다({why}). 예: {CONTRACT_EXAMPLE}"),
                en: format!("cannot be read ({why}); for example: {CONTRACT_EXAMPLE}"),
            });
        })
        .ok();
    let (Some(from), Some(terms)) = (from, terms) else {
        return Err(Problem::wrong_contract(&wrong).lang(lang));
    };
    let version = agree(&web.ctx, id, from, terms, actor.by)
        .await
        .lang(lang)?;
    Ok((StatusCode::CREATED, Json(described(&version, None))).into_response())
}

/// `DELETE /api/contracts/{id}`: takes a version back that has settled nothing.
async fn take_back(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let number = id.parse().map_err(|_| Problem::not_found(&id).lang(lang))?;
    withdraw(&web.ctx, number, actor.by).await.lang(lang)?;
    Ok(StatusCode::NO_CONTENT)
}

// --- Files

#[derive(Debug, Default, Deserialize)]
struct ImportQuery {
    dry_run: Option<String>,
}

/// `POST /api/partners/import`: the body is the file. All of it, or nothing.
async fn import(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Q(query): Q<ImportQuery>,
    Body(body): Body<LARGEST_FILE>,
) -> Result<Json<Value>, Problem> {
    let dry_run = dry_run_asked(query.dry_run.as_deref()).lang(lang)?;
    let read = uploads::in_turn(import_partners::read(body.to_vec(), None));
    let table = Arc::new(read.await.lang(lang)?.lang(lang)?);
    let plan = match dry_run {
        true => import_partners::look(&web.ctx, table).await,
        false => import_partners::import(&web.ctx, table, None, actor.by).await,
    };
    let mut answer = json!(plan.lang(lang)?);
    answer["dry_run"] = json!(dry_run);
    Ok(Json(answer))
}
