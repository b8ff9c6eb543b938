//! Payouts for programs: what is due, batches, the files that banks take and give.

pub mod calendar;
mod templates;

use std::collections::BTreeSet;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{dry_run as dry_run_asked, foreign_or_prefetched, json_body};
use crate::{
    domain::{calendar::KstDay, money::Won},
    flow::{
        Ctx,
        bank_templates::{self, COMMON},
        pay_out::{self, Choice, PayoutError, Told, Word},
        read_bank_result::{BankResult, ResultError, read_bank_result},
        write_bank_file::{deposit_memo, handed_out, write_bank_file},
    },
    sheet::bank::BankTemplate,
    store::{
        approvals::{self, ApprovalRow},
        history,
        payouts::{self, BatchRow, PayoutRow, Totals},
    },
    web::{
        Web,
        asked::{self, a_day, set},
        auth::Actor,
        download::download,
        error::{InLang, Problem},
        extract::{Body, Q},
        lang::Lang,
        uploads,
    },
};

/// The largest file that a bank may send us, in bytes.
pub const LARGEST_FILE: usize = 20 << 20;

pub fn routes() -> Router<Web> {
    Router::new()
        .route("/api/payouts", get(list).post(create))
        .route("/api/payouts/due", get(due))
        .route("/api/payouts/{id}", get(show))
        .route("/api/payouts/{id}/file", get(file))
        .route(
            "/api/payouts/{id}/result",
            post(result).layer(DefaultBodyLimit::max(LARGEST_FILE)),
        )
        .route("/api/payouts/{id}/payouts/{payout}", post(decide))
        .route("/api/payouts/{id}/call-off", post(call_off))
        .route("/api/calendar", get(calendar::year))
        .route(
            "/api/calendar/{day}",
            put(calendar::put_day).delete(calendar::remove_day),
        )
        .route("/api/bank-templates", get(templates::list))
        .route(
            "/api/bank-templates/{name}",
            get(templates::show)
                .put(templates::put_one)
                .delete(templates::remove_one),
        )
}

/// A settlement that a payout pays: id, day, amount.
pub type Part = (i64, KstDay, Won);

/// A batch with all that belongs to it.
pub struct Whole {
    pub batch: BatchRow,
    /// Each with its settlements.
    pub payouts: Vec<(PayoutRow, Vec<Part>)>,
    /// Without those that were called off.
    pub totals: Totals,
    pub history: Vec<history::Happened>,
    /// The newest one, of a batch that needs a second person.
    pub approval: Option<ApprovalRow>,
}

impl Whole {
    /// Whether nothing of it may go to the bank yet.
    pub fn waits(&self) -> bool {
        self.approval.as_ref().is_some_and(ApprovalRow::waits)
    }
}

/// Looks a batch up.
pub fn whole(conn: &Connection, id: i64) -> Result<Whole, PayoutError> {
    let batch = payouts::batch(conn, id)?.ok_or(PayoutError::NoBatch(id))?;
    let rows = payouts::of_batch(conn, id)?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let settlements = payouts::settlements(conn, row.id)?;
        all.push((row, settlements));
    }
    Ok(Whole {
        batch,
        payouts: all,
        totals: payouts::totals(conn, id)?,
        history: history::of(conn, &history::Subject::Batch(id), 100)?,
        approval: approvals::of_batch(conn, id)?,
    })
}

fn described(row: &PayoutRow) -> Value {
    let mut value = json!(row);
    value["reference"] = json!(row.reference());
    value
}

fn whole_json(whole: &Whole) -> Value {
    let rows: Vec<Value> = whole
        .payouts
        .iter()
        .map(|(row, settlements)| {
            let mut value = described(row);
            value["settlements"] = settlements
                .iter()
                .map(|(id, day, amount)| json!({ "id": id, "day": day, "amount": amount }))
                .collect();
            value
        })
        .collect();
    json!({
        "batch": whole.batch,
        "payouts": rows,
        "totals": whole.totals,
        "timeline": whole.history,
        "approval": whole.approval,
    })
}

/// The file of a batch and its name.
pub async fn written(
    ctx: &Ctx,
    id: i64,
    template: &str,
    by: &'static str,
) -> Result<(String, Vec<u8>), Problem> {
    let name = template;
    let (of, wanted) = (ctx.clone(), name.to_owned());
    // A workbook takes its time: not on a thread that serves requests.
    let read = ctx.store.read_long(move |conn| {
        let template = bank_templates::get(conn, &wanted)?.template;
        let memo = deposit_memo(&of, conn)?;
        let file = write_bank_file(conn, id, &template, &memo)?;
        let extension = template.format.extension();
        Ok::<_, Problem>((format!("payout-{id}-{}.{extension}", template.name), file))
    });
    let (called, file) = read.await?;
    // Nobody has it yet: whether it may go is decided in the transaction that notes that it went.
    handed_out(ctx, id, file.payouts, name, by).await?;
    Ok((called, file.bytes))
}

#[derive(Debug, Default, Deserialize)]
struct DueQuery {
    until: Option<String>,
}

/// `GET /api/payouts/due?until=`: what a batch would hold. Today if no day is named.
async fn due(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Q(query): Q<DueQuery>,
) -> Result<Response, Problem> {
    let until = match set(&query.until) {
        Some(text) => a_day("until", text).lang(lang)?,
        None => KstDay::of(web.ctx.store.now()),
    };
    let choice = Choice {
        until,
        leave_out: BTreeSet::new(),
        leave_out_partners: BTreeSet::new(),
    };
    let find = move |conn: &Connection| {
        let proposal = pay_out::propose(conn, &choice)?;
        let mut answer = pay_out::in_full(conn, &proposal)?;
        answer["fingerprint"] = json!(proposal.fingerprint());
        Ok::<_, PayoutError>(answer)
    };
    let answer = web.ctx.store.read_long(find).await.lang(lang)?;
    Ok(Json(answer).into_response())
}

#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    limit: Option<String>,
    after: Option<String>,
}

/// `GET /api/payouts`: batches, newest first.
async fn list(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Q(query): Q<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let limit = asked::limit(&query.limit).lang(lang)?;
    let after = asked::after_row(&query.after).lang(lang)?;
    let find = |conn: &Connection| payouts::batches(conn, after, limit + 1);
    let mut rows = web.ctx.store.read(find).lang(lang)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.id.to_string());
    Ok(Json(json!({ "items": rows, "next": next })))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateBody {
    until: KstDay,
    // The same one twice is the same.
    #[serde(default)]
    #[schema(value_type = Vec<i64>)]
    leave_out: BTreeSet<i64>,
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    leave_out_partners: BTreeSet<String>,
    /// What the caller saw. Another sum is refused.
    #[serde(default)]
    total: Option<Won>,
    /// The `fingerprint` of the proposal that the caller saw. Another one is refused.
    #[serde(default)]
    seen: Option<String>,
    #[serde(default)]
    note: String,
}

/// `POST /api/payouts`
async fn create(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Body(body): Body,
) -> Result<Response, Problem> {
    let body: CreateBody =
        json_body(&body, r#"{"until": "2026-08-06", "total": 120000}"#).lang(lang)?;
    let choice = Choice {
        until: body.until,
        leave_out: body.leave_out,
        leave_out_partners: body.leave_out_partners,
    };
    let id = pay_out::create_seen(&web.ctx, choice, body.total, body.seen, body.note, actor.by)
        .await
        .lang(lang)?;
    let made = web.ctx.store.read(|conn| whole(conn, id)).lang(lang)?;
    let location = [(header::LOCATION, format!("/api/payouts/{id}"))];
    let status = match made.waits() {
        true => StatusCode::ACCEPTED,
        false => StatusCode::CREATED,
    };
    Ok((status, location, Json(whole_json(&made))).into_response())
}

/// A number out of a path; what is none is not known here.
pub fn number(text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::not_found(text))
}

/// `GET /api/payouts/{id}`
async fn show(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = number(&id).lang(lang)?;
    let found = web.ctx.store.read(|conn| whole(conn, id)).lang(lang)?;
    Ok(Json(whole_json(&found)))
}

#[derive(Debug, Default, Deserialize)]
struct FileQuery {
    template: Option<String>,
    dry_run: Option<String>,
}

impl FileQuery {
    fn template(&self) -> &str {
        set(&self.template).unwrap_or(COMMON)
    }
}

/// `GET /api/payouts/{id}/file?template=`
async fn file(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    headers: HeaderMap,
    Path(id): Path<String>,
    Q(query): Q<FileQuery>,
) -> Result<Response, Problem> {
    if foreign_or_prefetched(&headers) {
        return Err(Problem::cross_site().lang(lang));
    }
    let id = number(&id).lang(lang)?;
    let (name, bytes) = written(&web.ctx, id, query.template(), actor.by)
        .await
        .lang(lang)?;
    Ok(download(&name, bytes))
}

/// Reads a bank's result by a template of this name.
pub async fn read_file(
    ctx: &Ctx,
    id: i64,
    template: &str,
    bytes: Bytes,
) -> Result<BankResult, Problem> {
    let name = template.to_owned();
    let store = ctx.store.clone();
    let read = async move {
        let read = store.read_long(move |conn| {
            let template: BankTemplate = bank_templates::get(conn, &name)?.template;
            let read = read_bank_result(conn, id, &template, &bytes);
            read.map_err(|error: ResultError| Problem::from(error))
        });
        read.await
    };
    uploads::in_turn(read).await?
}

fn result_json(result: &BankResult, told: Option<Told>) -> Value {
    let matched: Vec<Value> = result
        .matched
        .iter()
        .map(|m| {
            let reason = match &m.word {
                Word::Paid => None,
                Word::Failed(reason) => Some(reason),
            };
            json!({
                "line": m.line,
                "payout": m.payout.id,
                "reference": m.payout.reference(),
                "partner": m.payout.partner,
                "partner_name": m.payout.partner_name,
                "amount": m.payout.amount,
                "state": m.word.state(),
                "reason": reason,
                "known": m.is_known(),
            })
        })
        .collect();
    let unmentioned: Vec<Value> = result.unmentioned.iter().map(described).collect();
    json!({
        "dry_run": told.is_none(),
        "matched": matched,
        "unmentioned": unmentioned,
        "told": told,
    })
}

/// `POST /api/payouts/{id}/result?template=&dry_run=`: the body is the bank's file.
async fn result(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(id): Path<String>,
    Q(query): Q<FileQuery>,
    Body(body): Body<LARGEST_FILE>,
) -> Result<Json<Value>, Problem> {
    let id = number(&id).lang(lang)?;
    let read = read_file(&web.ctx, id, query.template(), body)
        .await
        .lang(lang)?;
    if dry_run_asked(query.dry_run.as_deref()).lang(lang)? {
        return Ok(Json(result_json(&read, None)));
    }
    let told = pay_out::decide(&web.ctx, id, read.words(), actor.by)
        .await
        .lang(lang)?;
    Ok(Json(result_json(&read, Some(told))))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecideBody {
    #[serde(default)]
    paid: bool,
    #[serde(default)]
    failed: Option<String>,
}

/// `POST /api/payouts/{id}/payouts/{payout}`: `{"paid": true}` or `{"failed": "why"}`.
async fn decide(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path((id, payout)): Path<(String, String)>,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    let (id, payout) = (number(&id).lang(lang)?, number(&payout).lang(lang)?);
    let body: DecideBody =
        json_body(&body, r#"{"paid": true} / {"failed": "예금주 불일치"}"#).lang(lang)?;
    let word = match (body.paid, body.failed) {
        (true, None) => Word::Paid,
        (false, Some(reason)) => Word::Failed(reason),
        _ => {
            return Err(Problem::bad_request(
                "`paid: true`와 `failed: 사유` 중 하나만 보내 주세요.",
                "Send either `paid: true` or `failed` with a reason.",
            )
            .lang(lang));
        }
    };
    let told = pay_out::decide(&web.ctx, id, vec![(payout, word)], actor.by)
        .await
        .lang(lang)?;
    let row = web
        .ctx
        .store
        .read(|conn| payouts::get(conn, payout)?.ok_or(PayoutError::NoPayout(payout)))
        .lang(lang)?;
    Ok(Json(json!({ "told": told, "payout": described(&row) })))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallOffBody {
    #[serde(default)]
    reason: String,
    /// Needed once the bank's file was fetched: the bank will not carry it out.
    #[serde(default)]
    not_at_the_bank: bool,
}

/// `POST /api/payouts/{id}/call-off`
async fn call_off(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    let id = number(&id).lang(lang)?;
    let body: CallOffBody = json_body(&body, r#"{"reason": "은행 점검"}"#).lang(lang)?;
    let off = pay_out::call_off(&web.ctx, id, body.reason, body.not_at_the_bank, actor.by)
        .await
        .lang(lang)?;
    let found = web.ctx.store.read(|conn| whole(conn, id)).lang(lang)?;
    let mut answer = whole_json(&found);
    answer["called_off"] = json!(off);
    Ok(Json(answer))
}
