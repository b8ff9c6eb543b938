//! The API of settlements, days, holds, statements and adjustments.

use std::{future::Future, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Multipart, Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{approvals::accepted, dry_run as dry_run_asked, json_body};
use crate::{
    domain::{calendar::KstDay, ids::PartnerId, money::Won, settlement},
    flow::{
        adjust::{AdjustError, Adjustment, Booking, adjust, adjust_all, asks_for},
        cancel_payment::CancelError,
        hold_settlement::{self, HoldError},
        import_adjustments::{book, import_adjustments},
        make_statement::{NO_LINES, StatementError, make_statement},
        reopen_day::{open_again, reopen_day},
        settle_day::{self, Report, settle_day},
    },
    store::{
        StoreError, acting, adjustments, approvals, contracts, history, line_sums, movements,
        payouts, progress,
        settlements::{self, Cursor, Filter, LineCursor, LineRow, SettlementRow},
    },
    web::{
        Web,
        asked::{self, a_day, set},
        auth::Actor,
        error::{InLang, Problem},
        extract::{Body, Q, body_unread},
        lang::Lang,
        uploads,
    },
};

/// A file of adjustments.
pub const LARGEST_FILE: usize = 20 << 20;

/// Routes of the API; who may reach them stands in `access`.
pub fn routes() -> Router<Web> {
    Router::new()
        .route("/api/settlements", get(list))
        .route("/api/settlements/{id}", get(show))
        .route("/api/settlements/{id}/lines", get(lines))
        .route("/api/settlements/{id}/hold", post(hold))
        .route("/api/settlements/{id}/release", post(release))
        .route("/api/settlements/{id}/retry", post(retry))
        .route("/api/settlements/days/{day}", get(day).post(settle))
        .route("/api/settlements/days/{day}/reopen", post(reopen))
        .route("/api/statements/{partner}", get(statement))
        .route(
            "/api/adjustments",
            get(list_adjustments).post(add_adjustment),
        )
        .route(
            "/api/adjustments/import",
            post(import).layer(DefaultBodyLimit::max(LARGEST_FILE)),
        )
}

// --- Reading what stands in the address

fn an_id(text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::not_found(text))
}

/// What a list of settlements may be cut by, as it stands in the address.
#[derive(Debug, Default, Deserialize)]
pub struct SettlementQuery {
    pub state: Option<String>,
    pub held: Option<String>,
    pub carried: Option<String>,
    pub partner: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub after: Option<String>,
    pub limit: Option<String>,
}

impl SettlementQuery {
    /// Checks every part; one that is wrong says what was expected.
    pub fn read(&self) -> Result<(Filter, Option<Cursor>, usize), Problem> {
        let words = settlement::State::ALL.map(settlement::State::as_str);
        let (from, to) = asked::days(&self.from, &self.to)?;
        let filter = Filter {
            state: asked::one_of("state", &self.state, &words, settlement::State::parse)?,
            held: asked::flag("held", &self.held)?,
            carried: asked::flag("carried", &self.carried)?,
            partner: set(&self.partner).map(str::to_owned),
            from,
            to,
        };
        let after = asked::after(&self.after, Cursor::parse)?;
        Ok((filter, after, asked::limit(&self.limit)?))
    }
}

/// A page of a list and where the next one begins.
#[derive(Serialize)]
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

fn page<T>(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(cursor);
    Page { items, next }
}

// --- Settlements

/// `GET /api/settlements`
async fn list(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Q(query): Q<SettlementQuery>,
) -> Result<Response, Problem> {
    let (filter, after, limit) = query.read().lang(lang)?;
    let rows = web
        .ctx
        .store
        .read_long(move |conn| settlements::list(conn, &filter, after.as_ref(), limit + 1))
        .await
        .lang(lang)?;
    Ok(Json(page(rows, limit, |row| Cursor::of(row).to_string())).into_response())
}

/// A settlement that is known.
pub fn find(web: &Web, id: &str) -> Result<SettlementRow, Problem> {
    let number = an_id(id)?;
    web.ctx
        .store
        .read(|conn| settlements::get(conn, number))?
        .ok_or_else(|| Problem::not_found(id))
}

/// `GET /api/settlements/{id}`
async fn show(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let row = find(&web, &id).lang(lang)?;
    let told = web.ctx.store.read(|conn| {
        Ok::<_, StoreError>(json!({
            "carried_in_from": settlements::carried_into(conn, row.id)?,
            "payouts": payouts::of_settlement(conn, row.id)?,
            "history": history::of(conn, &history::Subject::Settlement(row.id), 200)?,
            "contract": row.contract.map(|id| contracts::get(conn, id)).transpose()?.flatten(),
        }))
    });
    let mut told = told.lang(lang)?;
    told["settlement"] = json!(row);
    Ok(Json(told))
}

#[derive(Debug, Default, Deserialize)]
struct PageQuery {
    after: Option<String>,
    limit: Option<String>,
    partner: Option<String>,
}

/// `GET /api/settlements/{id}/lines`
async fn lines(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(id): Path<String>,
    Q(query): Q<PageQuery>,
) -> Result<Response, Problem> {
    let row = find(&web, &id).lang(lang)?;
    let limit = asked::limit(&query.limit).lang(lang)?;
    let seq = asked::after_row(&query.after).lang(lang)?.unwrap_or(0);
    let rows = web
        .ctx
        .store
        .read(|conn| lines_of(conn, &row, seq, limit + 1))
        .lang(lang)?;
    Ok(Json(page(rows, limit, |row| row.movement.seq.to_string())).into_response())
}

/// Lines of a settlement behind the one with the number `seq`.
pub fn lines_of(
    conn: &rusqlite::Connection,
    row: &SettlementRow,
    seq: i64,
    most: usize,
) -> Result<Vec<LineRow>, StoreError> {
    let after = LineCursor { day: row.day, seq };
    settlements::lines(conn, &row.partner, row.day, row.day, Some(after), most)
}

#[derive(Deserialize, utoipa::ToSchema)]
pub(super) struct ReasonBody {
    #[serde(default)]
    reason: String,
}

fn reason_of(body: &Bytes) -> Result<String, Problem> {
    let body: ReasonBody = json_body(body, r#"{"reason": "계좌 확인 중"}"#)?;
    Ok(body.reason)
}

/// What a person does to one settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Hold,
    Release,
    Retry,
}

/// Calls the flow of an act.
pub async fn act(
    web: &Web,
    id: i64,
    act: Act,
    reason: String,
    by: &'static str,
) -> Result<(), HoldError> {
    match act {
        Act::Hold => hold_settlement::hold(&web.ctx, id, reason, by).await,
        Act::Release => hold_settlement::release(&web.ctx, id, reason, by).await,
        Act::Retry => hold_settlement::try_again(&web.ctx, id, reason, by).await,
    }
}

async fn acted(
    web: &Web,
    id: &str,
    what: Act,
    body: &Bytes,
    by: &'static str,
) -> Result<Json<Value>, Problem> {
    let number = an_id(id)?;
    act(web, number, what, reason_of(body)?, by).await?;
    Ok(Json(json!({ "settlement": find(web, id)? })))
}

/// `POST /api/settlements/{id}/hold`
async fn hold(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    acted(&web, &id, Act::Hold, &body, actor.by)
        .await
        .lang(lang)
}

/// `POST /api/settlements/{id}/release`
async fn release(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    acted(&web, &id, Act::Release, &body, actor.by)
        .await
        .lang(lang)
}

/// `POST /api/settlements/{id}/retry`
async fn retry(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    acted(&web, &id, Act::Retry, &body, actor.by)
        .await
        .lang(lang)
}

// --- Days

/// A partner without a settlement on a day that is settled.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct WithoutContract {
    pub partner: PartnerId,
    pub partner_name: String,
    /// The first day for which a contract is needed.
    pub day: KstDay,
    pub movements: i64,
    /// Order amounts and adjustments that wait.
    pub waiting: Won,
    /// There is one by now: settle the day again.
    pub agreed_since: bool,
}

/// How a day stands.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct DayView {
    pub day: KstDay,
    /// `None`: its settlement has not begun.
    pub stands: Option<settlements::Day>,
    pub progress: Option<progress::Progress>,
    pub movements: i64,
    pub sums: Option<settlements::DaySums>,
    pub without_contract: Vec<WithoutContract>,
}

/// How many movements a day has. Those of a closed day stay as they are: its run has counted them, and
/// once it is settled for all partners, they are its lines.
fn count(
    conn: &rusqlite::Connection,
    stands: Option<&settlements::Day>,
    progress: Option<&progress::Progress>,
    day: KstDay,
) -> Result<i64, StoreError> {
    let Some(stands) = stands else {
        return movements::count(conn, day);
    };
    if stands.finished_at.is_some() && stands.blocked == 0 {
        return line_sums::lines_of_day(conn, day);
    }
    // One that began before the day was opened again counted without what has come home since.
    match progress.filter(|run| run.started_at >= stands.closed_at && stands.generation == 0) {
        Some(run) => Ok(run.total),
        None => movements::count(conn, day),
    }
}

/// Reads how a day stands.
pub fn day_view(conn: &rusqlite::Connection, day: KstDay) -> Result<DayView, StoreError> {
    let stands = settlements::the_day(conn, day)?;
    let mut without_contract = Vec::new();
    if stands
        .as_ref()
        .is_some_and(|day| day.finished_at.is_some() && day.blocked > 0)
    {
        let settled: std::collections::HashSet<String> = settlements::settled_partners(conn, day)?
            .into_iter()
            .collect();
        for partner in movements::partners(conn, day)? {
            if settled.contains(partner.as_str()) {
                continue;
            }
            let needed = movements::first_terms_day(conn, day, partner.as_str())?
                .map_or(day, |needed| needed.min(day));
            let (count, waiting) = movements::waiting(conn, day, partner.as_str())?;
            let versions = contracts::of(conn, partner.as_str())?;
            without_contract.push(WithoutContract {
                partner_name: crate::store::partners::get(conn, partner.as_str())?
                    .map_or_else(|| partner.to_string(), |known| known.name),
                agreed_since: contracts::holding(&versions, needed).is_some(),
                partner,
                day: needed,
                movements: count,
                waiting,
            });
        }
    }
    let progress = progress::get(conn, &settle_day::progress_of(day))?;
    let movements = count(conn, stands.as_ref(), progress.as_ref(), day)?;
    Ok(DayView {
        day,
        stands,
        progress,
        movements,
        sums: settlements::by_day(conn, day, day)?.into_iter().next(),
        without_contract,
    })
}

/// `GET /api/settlements/days/{day}`
async fn day(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(day): Path<String>,
) -> Result<Json<DayView>, Problem> {
    let day = a_day("day", &day).lang(lang)?;
    let view = web
        .ctx
        .store
        .read_long(move |conn| day_view(conn, day))
        .await
        .lang(lang)?;
    Ok(Json(view))
}

/// How long an answer waits for a day that is being settled.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs work that goes on whether or not anybody waits for it. `None`: it goes on.
pub async fn patiently<T, E>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Option<Result<T, E>>
where
    T: Send + 'static,
    E: From<StoreError> + std::fmt::Display + Send + 'static,
{
    let (told, mut result) = tokio::sync::oneshot::channel();
    tokio::spawn(acting::carry(async move {
        if let Err(Err(error)) = told.send(work.await) {
            // Nobody waited any more. The day's progress says it, too.
            tracing::warn!(%error, "settling a day in the background broke off");
        }
    }));
    match tokio::time::timeout(PATIENCE, &mut result).await {
        Ok(Ok(result)) => Some(result),
        Ok(Err(_)) => Some(Err(StoreError::Panicked("settling a day".into()).into())),
        Err(_) => None,
    }
}

fn reported(day: KstDay, report: Option<Report>) -> Response {
    let location = format!("/api/settlements/days/{day}");
    match report {
        Some(report) => Json(report).into_response(),
        None => (
            StatusCode::ACCEPTED,
            [(header::LOCATION, location.clone())],
            Json(json!({ "day": day, "running": true, "see": location })),
        )
            .into_response(),
    }
}

#[derive(Debug, Default, Deserialize)]
struct DryRun {
    dry_run: Option<String>,
}

/// `POST /api/settlements/days/{day}`: settles it, or with `?dry_run=true` only says what it came to.
///
/// A day that takes longer than two seconds goes on by itself: 202, and `GET` tells how far it is.
async fn settle(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(day): Path<String>,
    Q(query): Q<DryRun>,
) -> Result<Response, Problem> {
    let day = a_day("day", &day).lang(lang)?;
    let ctx = web.ctx.clone();
    if dry_run_asked(query.dry_run.as_deref()).lang(lang)? {
        let report = settle_day::dry_run(&ctx, day).await.lang(lang)?;
        return Ok(reported(day, Some(report)));
    }
    let run = patiently(async move { settle_day(&ctx, day, actor.by).await }).await;
    Ok(reported(day, run.transpose().lang(lang)?))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub(super) struct ReopenBody {
    #[serde(default)]
    reason: String,
    /// False leaves the day open, so that its terms can be put right first.
    #[serde(default = "at_once")]
    settle: bool,
}

fn at_once() -> bool {
    true
}

/// `POST /api/settlements/days/{day}/reopen`
async fn reopen(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(day): Path<String>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let day = a_day("day", &day).lang(lang)?;
    let body: ReopenBody =
        json_body(&body, r#"{"reason": "계약 정정", "settle": false}"#).lang(lang)?;
    let (ctx, reason) = (web.ctx.clone(), body.reason);
    if !body.settle {
        open_again(&ctx, day, reason, actor.by).await.lang(lang)?;
        return Ok(Json(json!({ "day": day, "opened": true })).into_response());
    }
    let run = patiently(async move { reopen_day(&ctx, day, reason, actor.by).await }).await;
    Ok(reported(day, run.transpose().lang(lang)?))
}

// --- Statements

/// A period, as it stands in the address.
#[derive(Debug, Default, Deserialize)]
pub struct PeriodQuery {
    pub from: Option<String>,
    pub to: Option<String>,
}

impl PeriodQuery {
    /// Without an end it ends yesterday, without a beginning it begins with the month of its end.
    pub fn read(&self, today: KstDay) -> Result<(KstDay, KstDay), Problem> {
        let to = match set(&self.to) {
            Some(text) => a_day("to", text)?,
            None => today.previous(),
        };
        let from = match set(&self.from) {
            Some(text) => a_day("from", text)?,
            None => to.first_of_month(),
        };
        Ok((from, to))
    }
}

/// Which lines of a statement are asked for.
#[derive(Debug, Default, Deserialize)]
struct StatementQuery {
    from: Option<String>,
    to: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

/// Lines of a statement that one answer carries, and at most.
pub const STATEMENT_LINES: usize = 200;
pub const MOST_STATEMENT_LINES: usize = 1_000;

/// `GET /api/statements/{partner}`: sums and settlements of the period, and a page of its lines.
async fn statement(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(partner): Path<String>,
    Q(query): Q<StatementQuery>,
) -> Result<Response, Problem> {
    let period = PeriodQuery {
        from: query.from,
        to: query.to,
    };
    let (from, to) = period.read(KstDay::of(web.ctx.store.now())).lang(lang)?;
    let limit =
        asked::limit_up_to(&query.limit, STATEMENT_LINES, MOST_STATEMENT_LINES).lang(lang)?;
    let after = asked::after(&query.after, LineCursor::parse).lang(lang)?;
    let cursor = |row: &LineRow| {
        let (day, seq) = (row.day, row.movement.seq);
        LineCursor { day, seq }.to_string()
    };
    let (made, lines) = web
        .ctx
        .store
        .read_long(move |conn| {
            let made = make_statement(conn, &partner, from, to, NO_LINES)?;
            let lines = settlements::lines(conn, &partner, from, to, after, limit + 1)?;
            Ok::<_, StatementError>((made, page(lines, limit, cursor)))
        })
        .await
        .lang(lang)?;
    Ok(Json(json!({
        "partner": made.partner,
        "from": made.from,
        "to": made.to,
        "totals": made.totals,
        "settlements": made.settlements,
        "lines": lines.items,
        "next": lines.next,
    }))
    .into_response())
}

// --- Adjustments

/// `GET /api/adjustments`
async fn list_adjustments(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Q(query): Q<PageQuery>,
) -> Result<Response, Problem> {
    let limit = asked::limit(&query.limit).lang(lang)?;
    let before = asked::after_row(&query.after).lang(lang)?;
    let rows = web
        .ctx
        .store
        .read(|conn| adjustments::list(conn, set(&query.partner), before, limit + 1))
        .lang(lang)?;
    Ok(Json(page(rows, limit, |row| row.id.to_string())).into_response())
}

/// What became of an adjustment that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// Its number.
    Booked(i64),
    /// The approval that it waits for, or once waited for.
    Waits(i64),
}

/// Books an adjustment once per key: the same key again finds what it made. The flag: whether it is new.
pub async fn adjust_once(
    web: &Web,
    key: Option<String>,
    asked: Adjustment,
    by: &'static str,
) -> Result<(Once, bool), Problem> {
    let booked = |booking: Booking| match booking {
        Booking::Booked(all) => {
            let id = all.first().map(|adjusted| adjusted.id);
            Once::Booked(id.unwrap_or_default())
        }
        Booking::Waits(id) => Once::Waits(id),
    };
    let Some(key) = key else {
        return Ok((booked(adjust(&web.ctx, asked, by).await?), true));
    };
    let source = format!("key:{key}");
    let before = web
        .ctx
        .store
        .read(|conn| approvals::with_source(conn, &source))?;
    let rows = vec![(1, asked.clone())];
    match adjust_all(&web.ctx, source, rows, by).await {
        Ok(Booking::Waits(id)) => {
            let rows = web.ctx.store.read(|conn| approvals::rows(conn, id))?;
            let own = before.as_ref().is_none_or(|before| before.made_by == by);
            match own && asks_for(rows.as_ref(), &asked)? {
                true => Ok((Once::Waits(id), before.is_none_or(|before| before.id != id))),
                false => Err(CancelError::KeyReused.into()),
            }
        }
        Ok(booking) => Ok((booked(booking), true)),
        Err(AdjustError::Taken { id, .. }) => {
            let known = web.ctx.store.read(|conn| adjustments::get(conn, id))?;
            let same = known.is_some_and(|known| {
                // A key is its caller's: another's wish under the same one is another wish.
                known.created_by == by
                    && known.partner == asked.partner.as_str()
                    && known.amount == asked.amount
                    && known.reason == asked.reason.trim()
            });
            match same {
                true => Ok((Once::Booked(id), false)),
                false => Err(CancelError::KeyReused.into()),
            }
        }
        Err(AdjustError::Row { why, .. }) => Err((*why).into()),
        Err(error) => Err(error.into()),
    }
}

/// `POST /api/adjustments`. An `Idempotency-Key` makes sending it twice harmless.
async fn add_adjustment(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    struct Body {
        partner: PartnerId,
        amount: Won,
        reason: String,
    }
    let example = r#"{"partner": "farm", "amount": -5000, "reason": "배송비 정산"}"#;
    let body: Body = json_body(&body, example).lang(lang)?;
    let key = match headers.get("idempotency-key") {
        None => None,
        Some(value) => {
            let text = value.to_str().unwrap_or_default().trim().trim_matches('"');
            if text.is_empty() || text.len() > 255 {
                return Err(Problem::from(CancelError::Key).lang(lang));
            }
            Some(text.to_owned())
        }
    };
    let asked = Adjustment {
        partner: body.partner,
        amount: body.amount,
        reason: body.reason,
    };
    let (once, new) = adjust_once(&web, key, asked, actor.by).await.lang(lang)?;
    let id = match once {
        Once::Booked(id) => id,
        Once::Waits(approval) => return accepted(&web, approval, new).lang(lang),
    };
    let row = web
        .ctx
        .store
        .read(|conn| adjustments::get(conn, id))
        .lang(lang)?;
    let status = if new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(json!({ "adjustment": row }))).into_response())
}

/// An upload: a form's `file`, or the body itself.
pub async fn upload(request: Request) -> Result<(Vec<u8>, Option<String>), Problem> {
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !kind.starts_with("multipart/") {
        let bytes = Bytes::from_request(request, &())
            .await
            .map_err(|error| body_unread(error.status(), LARGEST_FILE))?;
        return Ok((bytes.to_vec(), None));
    }
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|_| no_file())?;
    while let Some(part) = form.next_field().await.map_err(|e| unread(&e))? {
        if part.name() == Some("file") {
            let name = part.file_name().map(str::to_owned);
            let bytes = part.bytes().await.map_err(|e| unread(&e))?;
            return Ok((bytes.to_vec(), name));
        }
    }
    Err(no_file())
}

/// Why a form could not be read to its end.
pub fn unread(error: &axum::extract::multipart::MultipartError) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::too_large(LARGEST_FILE)
    } else {
        no_file()
    }
}

/// A form without its file.
pub fn no_file() -> Problem {
    Problem::bad_request(
        "파일이 없습니다. `file` 항목에 CSV나 XLSX 파일을 넣어 주세요.",
        "There is no file: send a CSV or XLSX as `file`.",
    )
}

/// `POST /api/adjustments/import`: all rows of a CSV or XLSX, or none. `?dry_run=true` only checks.
async fn import(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Q(query): Q<DryRun>,
    request: Request,
) -> Result<Response, Problem> {
    let (bytes, name) = upload(request).await.lang(lang)?;
    let dry = dry_run_asked(query.dry_run.as_deref()).lang(lang)?;
    let (ctx, by) = (web.ctx.clone(), actor.by);
    let check = async move { import_adjustments(&ctx, bytes, name, true, by).await };
    let checked = uploads::in_turn(check).await.lang(lang)?;
    let mut imported = checked.lang(lang)?;
    if !dry {
        imported = book(&web.ctx, imported, actor.by).await.lang(lang)?;
    }
    let status = match (dry, imported.waits) {
        (true, _) => StatusCode::OK,
        (false, Some(_)) => StatusCode::ACCEPTED,
        (false, None) => StatusCode::CREATED,
    };
    Ok((status, Json(imported)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_says_what_was_expected() {
        let text = |text: &str| Some(text.to_owned());
        for (query, part) in [
            (
                SettlementQuery {
                    state: text("PAID"),
                    ..Default::default()
                },
                "REQUESTED, PROCESSING",
            ),
            (
                SettlementQuery {
                    from: text("2026-13-01"),
                    ..Default::default()
                },
                "2026-08-06",
            ),
            (
                SettlementQuery {
                    from: text("2026-08-02"),
                    to: text("2026-08-01"),
                    ..Default::default()
                },
                "2026-08-02",
            ),
            (
                SettlementQuery {
                    limit: text("0"),
                    ..Default::default()
                },
                "1 to 200",
            ),
            (
                SettlementQuery {
                    after: text("x"),
                    ..Default::default()
                },
                "`next`",
            ),
        ] {
            let problem = query.read().unwrap_err();
            let told = problem.sentence(Lang::En);
            assert!(told.contains(part), "{told}");
        }
        let empty = SettlementQuery {
            held: text(""),
            state: text(" "),
            ..Default::default()
        };
        assert_eq!(
            empty.read().unwrap(),
            (Filter::default(), None, asked::PAGE)
        );
    }

    #[test]
    fn a_period_is_the_month_so_far_unless_it_is_named() {
        let day = |text: &str| text.parse::<KstDay>().unwrap();
        let query = PeriodQuery::default();
        let period = query.read(day("2026-08-06")).unwrap();
        assert_eq!(period, (day("2026-08-01"), day("2026-08-05")));
        let period = query.read(day("2026-08-01")).unwrap();
        assert_eq!(period, (day("2026-07-01"), day("2026-07-31")));
    }
}
