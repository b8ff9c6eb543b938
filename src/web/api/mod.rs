//! The JSON API, on the paths of the original design.

pub mod approvals;
pub mod buyers;
pub mod openapi;
pub mod partners;
pub mod payouts;
pub mod settlements;

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use super::{
    Web,
    asked::{self, set, unreadable},
    auth::Actor,
    error::{InLang, Problem},
    extract::{Body, DEEPEST, Q, too_deep},
    lang::Lang,
    pages::asks_again,
};
use crate::{
    domain::{
        cancellation::{Fate, RefundAccount},
        ids::{BuyerId, ImpUid, MerchantUid},
        money::Won,
        order::{Order, OrderLine},
        payment::{Hold, NotCancellable, Status},
        wanted::Wanted,
    },
    flow::{
        cancel_payment::{Asked, CancelAnswer, CancelError, WrongLines, cancel_payment},
        register_order::register_order,
    },
    store::{
        StoreError, alerts, cancellations, events, inbox, orders,
        payment_lists::{self, Cursor, Filter, Patience},
        payments,
    },
};

/// What a list may be cut by, as it stands in the address.
#[derive(Debug, Default, Deserialize)]
pub struct ListQuery {
    pub status: Option<String>,
    pub held: Option<String>,
    pub hold: Option<String>,
    pub unknown: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub partner: Option<String>,
    pub method: Option<String>,
    pub amount: Option<String>,
    pub q: Option<String>,
    pub after: Option<String>,
    pub limit: Option<String>,
}

impl ListQuery {
    /// Checks every part; each that is wrong says what was expected.
    pub fn read(&self) -> Result<(Filter, Option<Cursor>, usize), Problem> {
        let hold = asked::one_of("hold", &self.hold, &Hold::CODES, |text| {
            Hold::CODES.contains(&text).then(|| text.to_owned())
        })?;
        let amount = set(&self.amount)
            .map(|text| {
                let read = Wanted::read(text).and_then(|wanted| wanted.amount());
                read.ok_or_else(|| {
                    unreadable(
                        "amount",
                        text,
                        "12000이나 12,000처럼 써 주세요.",
                        "Expected an amount such as 12000 or 12,000.",
                    )
                })
            })
            .transpose()?;
        let (from, to) = asked::days(&self.from, &self.to)?;
        let words = Status::ALL.map(Status::as_str);
        let filter = Filter {
            status: asked::one_of("status", &self.status, &words, Status::parse)?,
            held: asked::flag("held", &self.held)?,
            hold,
            unknown: asked::flag("unknown", &self.unknown)?,
            from,
            to,
            partner: set(&self.partner).map(str::to_owned),
            method: set(&self.method).map(str::to_owned),
            amount,
            text: asked::search_text(&self.q)?,
        };
        let after = asked::after(&self.after, Cursor::parse)?;
        let limit = asked::limit(&self.limit)?;
        Ok((filter, after, limit))
    }
}

/// How long a page of payments is looked for, if few fit.
const PATIENCE: Duration = Duration::from_millis(200);

/// A page of payments and where the next one begins.
#[derive(serde::Serialize)]
struct ListPage {
    payments: Vec<payments::PaymentRow>,
    next: Option<String>,
}

/// `GET /api/payment/list`
pub async fn list(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Q(query): Q<ListQuery>,
) -> Result<Response, Problem> {
    let (filter, after, limit) = query.read().lang(lang)?;
    let looks = filter.is_looked_for();
    // A program waits longer than a person, and would rather have its page full.
    let find = move |conn: &rusqlite::Connection| {
        payment_lists::list_within(conn, &filter, after, limit, Patience::of(PATIENCE))
    };
    // A list by index takes microseconds; what is looked for may take longer and gets a thread of its own.
    let listed = if looks {
        web.ctx.store.read_long(find).await.lang(lang)?
    } else {
        web.ctx.store.read(find).lang(lang)?
    };
    let page = ListPage {
        payments: listed.rows,
        next: listed.next.map(|cursor| cursor.to_string()),
    };
    // Written in one piece: a row is about 700 bytes long.
    let mut body = Vec::with_capacity(128 + page.payments.len() * 1_024);
    match serde_json::to_writer(&mut body, &page) {
        Ok(()) => Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response()),
        Err(why) => Err(Problem::from(StoreError::Unreadable {
            table: "payment",
            why: why.to_string(),
        })
        .lang(lang)),
    }
}

/// One payment with all that happened to it, for the API and the page.
pub struct Story {
    pub payment: payments::PaymentRow,
    pub cancellations: Vec<(
        cancellations::CancellationRow,
        Vec<cancellations::AttemptRow>,
    )>,
    pub events: Vec<events::EventRow>,
    pub messages: Vec<inbox::Message>,
    pub alerts: Vec<alerts::AlertRow>,
    pub order: Option<Order>,
}

/// Looks a payment up with its whole story.
pub fn story(web: &Web, imp_uid: &str) -> Result<Option<Story>, StoreError> {
    web.ctx.store.read(|conn| {
        let Some(payment) = payments::show(conn, imp_uid)? else {
            return Ok(None);
        };
        let mut with_attempts = Vec::new();
        for cancellation in cancellations::of_payment(conn, payment.row)? {
            let attempts = cancellations::attempts(conn, &cancellation.id)?;
            with_attempts.push((cancellation, attempts));
        }
        let order = match MerchantUid::new(payment.merchant_uid.clone()) {
            Ok(id) => orders::get(conn, &id)?.map(|(order, _)| order),
            Err(_) => None,
        };
        Ok(Some(Story {
            events: events::of_payment(conn, payment.row)?,
            messages: inbox::about(conn, imp_uid)?,
            alerts: alerts::of_payment(conn, payment.row)?,
            cancellations: with_attempts,
            order,
            payment,
        }))
    })
}

/// `GET /api/payment/{imp_uid}`
pub async fn show(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(imp_uid): Path<String>,
) -> Result<Json<Value>, Problem> {
    let story = story(&web, &imp_uid)
        .lang(lang)?
        .ok_or_else(|| Problem::not_found(&imp_uid).lang(lang))?;
    let cancellations: Vec<Value> = story
        .cancellations
        .iter()
        .map(|(cancellation, attempts)| {
            let mut value = json!(cancellation);
            value["attempts"] = json!(attempts);
            value
        })
        .collect();
    Ok(Json(json!({
        "payment": story.payment,
        "order": story.order,
        "cancellations": cancellations,
        "timeline": story.events,
        "messages": story.messages.iter().map(|m| json!({
            "id": m.id, "received_at": crate::domain::calendar::rfc3339(m.received_at), "source": m.source,
            "status": m.status, "verdict": m.verdict, "detail": m.detail,
        })).collect::<Vec<_>>(),
        "alerts": story.alerts,
    })))
}

/// `GET /api/payment/{imp_uid}/status`
pub async fn status(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(imp_uid): Path<String>,
) -> Result<Json<Value>, Problem> {
    let row = web
        .ctx
        .store
        .read(|conn| payments::show(conn, &imp_uid))
        .lang(lang)?
        .ok_or_else(|| Problem::not_found(&imp_uid).lang(lang))?;
    Ok(Json(json!({
        "imp_uid": row.imp_uid,
        "status": row.status,
        "amount": row.amount,
        "cancelled_amount": row.cancelled_amount,
        "balance": row.balance,
        "cancellation": row.cancellation,
        "hold": row.hold,
        "updated_at": crate::domain::calendar::rfc3339(row.updated_at),
    })))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)] // a name that is misspelt must not become "all of it"
pub(super) struct CancelBody {
    #[serde(default)]
    amount: Option<Won>,
    #[serde(default)]
    tax_free: Option<Won>,
    /// Which order lines it gives back; all in proportion where none is named.
    #[serde(default)]
    lines: Option<Vec<CancelLine>>,
    #[serde(default)]
    reason: String,
    #[serde(default, alias = "refund_account")]
    refund: Option<RefundAccount>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelLine {
    line: i64,
    amount: Won,
}

/// Whether an address asks for a dry run. What cannot be understood is refused: a guess would write.
pub fn dry_run(text: Option<&str>) -> Result<bool, Problem> {
    match text.map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        None | Some("false" | "0" | "off" | "no" | "n") => Ok(false),
        Some("" | "true" | "1" | "on" | "yes" | "y") => Ok(true),
        Some(other) => Err(Problem::bad_request(
            format!(
                "dry_run 값 `{other}`을(를) 알 수 없습니다. true 또는 false로 적어 주세요. 아무것도 적지 않았습니다."
            ),
            format!("dry_run is `{other}`: write true or false. Nothing was written."),
        )),
    }
}

fn json_body<T: serde::de::DeserializeOwned>(bytes: &[u8], example: &str) -> Result<T, Problem> {
    if too_deep(bytes) {
        return Err(Problem::bad_request(
            format!("본문이 너무 깊이 겹쳐 있습니다. {DEEPEST}단계까지 읽습니다. 예: {example}"),
            format!(
                "The body is nested too deep: {DEEPEST} levels are read. For example: {example}"
            ),
        ));
    }
    serde_json::from_slice(bytes).map_err(|why| {
        Problem::bad_request(
            format!("본문이 올바른 JSON이 아닙니다: {why}. 예: {example}"),
            format!("The body is not the JSON that was expected: {why}. For example: {example}"),
        )
    })
}

/// `POST /api/payment/{imp_uid}/cancel`
pub async fn cancel(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(imp_uid): Path<String>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let imp_uid = ImpUid::new(imp_uid).lang(lang)?;
    let body: CancelBody =
        json_body(&body, r#"{"amount": 3000, "reason": "부분 반품"}"#).lang(lang)?;
    let key = match headers.get("idempotency-key") {
        None => None,
        Some(value) => {
            // PortOne V2 and the IETF draft write the value in quotes; both spellings are one key.
            let text = value
                .to_str()
                .map_err(|_| Problem::from(CancelError::Key))
                .lang(lang)?;
            Some(text.trim().trim_matches('"').to_owned())
        }
    };
    let no_lines = body.lines.as_ref().is_some_and(Vec::is_empty);
    let lines = body.lines.unwrap_or_default();
    if no_lines {
        return Err(Problem::from(WrongLines::None).lang(lang));
    }
    let asked = Asked {
        amount: body.amount,
        tax_free: body.tax_free,
        lines: lines
            .iter()
            .map(|named| (named.line, named.amount))
            .collect(),
        reason: body.reason,
        refund: body.refund,
        idempotency_key: key,
        by: actor.by,
    };
    prove_first(&web, &actor, &imp_uid, asked.amount).lang(lang)?;
    let answer = cancel_payment(&web.ctx, imp_uid, asked).await.lang(lang)?;
    Ok(cancelled(answer, lang))
}

/// A browser's session is no key: above the amount of the settings its person is asked again, on a page.
fn prove_first(
    web: &Web,
    actor: &Actor,
    imp_uid: &ImpUid,
    amount: Option<Won>,
) -> Result<(), Problem> {
    let amount = match amount {
        Some(amount) => amount,
        None => {
            let find = |conn: &rusqlite::Connection| payments::show(conn, imp_uid.as_str());
            let known = web.ctx.store.read(find)?;
            known.map_or(Won::ZERO, |known| known.balance)
        }
    };
    if !asks_again(web, actor, amount)? {
        return Ok(());
    }
    Err(Problem::prove_again())
}

/// How a cancellation stands, as an answer.
fn cancelled(answer: CancelAnswer, lang: Lang) -> Response {
    let CancelAnswer {
        cancellation,
        payment,
    } = answer;
    let body = json!({ "cancellation": cancellation, "payment": payment });
    let location = format!("/api/payment/{}/status", payment.imp_uid);
    match cancellation.state {
        Fate::Done | Fate::Superseded => Json(body).into_response(),
        Fate::Requested => (
            StatusCode::ACCEPTED,
            [(header::LOCATION, location)],
            Json(body),
        )
            .into_response(),
        Fate::Dead | Fate::Discarded => {
            let why = cancellation.error.clone().unwrap_or_default();
            Problem::new(
                StatusCode::CONFLICT,
                "cancel-failed",
                format!("취소가 거절되어 데드레터로 옮겨졌습니다: {why}"),
                format!("The cancel was refused and is a dead letter: {why}"),
            )
            .with("cancellation", cancellation)
            .with("payment", payment)
            .lang(lang)
            .into_response()
        }
    }
}

/// `GET` and `DELETE /api/payment/cancel/{imp_uid}`: the original design's call, a full cancel.
///
/// Asking again for what is done, or under way, is a success that changes nothing.
pub async fn cancel_all(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    method: Method,
    Path(imp_uid): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // HEAD as well: a router runs the same handler, and nobody means to cancel by it.
    if method != Method::DELETE
        && (foreign_or_prefetched(&headers) || (actor.is_page() && !from_our_pages(&headers)))
    {
        return Err(Problem::cross_site().lang(lang));
    }
    let imp_uid = ImpUid::new(imp_uid).lang(lang)?;
    let asked = Asked {
        amount: None,
        tax_free: None,
        lines: Vec::new(),
        reason: lang.t("전액 취소 요청", "full cancel").to_owned(),
        refund: None,
        idempotency_key: None,
        by: actor.by,
    };
    prove_first(&web, &actor, &imp_uid, None).lang(lang)?;
    match cancel_payment(&web.ctx, imp_uid.clone(), asked).await {
        Ok(answer) => Ok(cancelled(answer, lang)),
        Err(CancelError::NotCancellable(
            why @ (NotCancellable::NothingLeft | NotCancellable::InFlight { .. }),
        )) => {
            let row = web
                .ctx
                .store
                .read(|conn| payments::show(conn, imp_uid.as_str()))
                .lang(lang)?
                .ok_or_else(|| Problem::not_found(imp_uid.as_str()).lang(lang))?;
            match why {
                NotCancellable::InFlight { amount, .. } if amount != row.balance => {
                    Err(Problem::from(why).lang(lang))
                }
                NotCancellable::InFlight { .. } => {
                    Ok((StatusCode::ACCEPTED, Json(json!({ "payment": row }))).into_response())
                }
                _ => Ok(Json(json!({ "payment": row })).into_response()),
            }
        }
        Err(error) => Err(Problem::from(error).lang(lang)),
    }
}

/// A browser sends its session along with a link in a mail, too: of a GET that changes something it
/// must say that it comes from our own pages. One that says nothing is not trusted.
fn from_our_pages(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "same-origin")
}

/// A browser that follows a link of another site, or looks ahead, must not cancel anything.
pub(crate) fn foreign_or_prefetched(headers: &HeaderMap) -> bool {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_lowercase()
    };
    let foreign = !matches!(text("sec-fetch-site").as_str(), "" | "same-origin" | "none");
    let ahead = ["purpose", "sec-purpose", "x-purpose", "x-moz"]
        .iter()
        .any(|name| {
            text(name).contains("prefetch")
                || text(name).contains("prerender")
                || text(name).contains("preview")
        });
    // Loaded as a picture, a frame or a script: nobody meant it.
    let embedded = !matches!(text("sec-fetch-dest").as_str(), "" | "document" | "empty");
    foreign || ahead || embedded
}

#[derive(Deserialize, utoipa::ToSchema)]
pub(super) struct OrderBody {
    merchant_uid: MerchantUid,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    amount: Option<Won>,
    #[serde(default)]
    tax_free: Won,
    /// The shop's own id of who buys.
    #[serde(default)]
    buyer: Option<BuyerId>,
    lines: Vec<OrderLine>,
}

/// `POST /api/orders`
pub async fn register(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Body(body): Body,
) -> Result<Response, Problem> {
    let example = r#"{"merchant_uid": "ord-1", "lines": [{"partner": "farm", "name": "사과 5kg", "quantity": 1, "unit_price": 12000}]}"#;
    let body: OrderBody = json_body(&body, example).lang(lang)?;
    let first = body
        .lines
        .first()
        .map(|line| line.name.clone())
        .unwrap_or_default();
    let name = body.name.unwrap_or_else(|| match body.lines.len() {
        0 | 1 => first,
        more => lang.t(
            format!("{first} 외 {}건", more - 1),
            format!("{first} and {} more", more - 1),
        ),
    });
    let order = Order::new(
        body.merchant_uid,
        name,
        body.amount,
        body.tax_free,
        body.lines,
    )
    .lang(lang)?
    .of_buyer(body.buyer);
    let registered = register_order(&web.ctx, order).await.lang(lang)?;
    let status = if registered.new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let location = format!("/api/orders/{}", registered.order.merchant_uid);
    let body = json!({ "order": registered.order, "prepared": registered.prepared });
    Ok((status, [(header::LOCATION, location)], Json(body)).into_response())
}

/// `GET /api/orders/{merchant_uid}`
pub async fn order(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(merchant_uid): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = MerchantUid::new(merchant_uid).lang(lang)?;
    let found = web
        .ctx
        .store
        .read(|conn| {
            let Some((order, prepared)) = orders::get(conn, &id)? else {
                return Ok(None);
            };
            let mut paid = Vec::new();
            for kept in payments::of_order(conn, &id)? {
                paid.extend(payments::show(conn, kept.imp_uid.as_str())?);
            }
            Ok::<_, StoreError>(Some((order, prepared, paid)))
        })
        .lang(lang)?;
    let (order, prepared, paid) =
        found.ok_or_else(|| Problem::not_found(id.as_str()).lang(lang))?;
    Ok(Json(
        json!({ "order": order, "prepared": prepared, "payments": paid }),
    ))
}

/// `GET /api/payment/{imp_uid}/events`: state changes as they happen.
pub async fn events(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Path(imp_uid): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let row = web
        .ctx
        .store
        .read(|conn| payments::show(conn, &imp_uid))
        .lang(lang)?
        .ok_or_else(|| Problem::not_found(&imp_uid).lang(lang))?;
    let first = json!({ "imp_uid": row.imp_uid, "status": row.status });
    Ok(stream_of(&web, Some(imp_uid), Some(first)))
}

/// `GET /api/payment/events`: the same for all payments, as lists follow them.
pub async fn all_events(
    State(web): State<Web>,
    _: Actor,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    stream_of(&web, None, None)
}

/// News as server-sent events named `payment`. Who lags gets one `resync` instead of what was lost.
fn stream_of(
    web: &Web,
    only: Option<String>,
    first: Option<Value>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    let news = BroadcastStream::new(web.ctx.store.news());
    let stop = web.site.stopping.clone();
    let first = futures::stream::iter(first.map(|value| event("payment", &value)));
    let changes = news.filter_map(move |heard| {
        let told = match heard {
            Ok(news) if only.as_ref().is_none_or(|id| *id == news.imp_uid) => Some(event(
                "payment",
                &json!({ "imp_uid": news.imp_uid, "status": news.status }),
            )),
            Ok(_) => None,
            Err(BroadcastStreamRecvError::Lagged(_)) => Some(event("resync", &json!({}))),
        };
        std::future::ready(told)
    });
    // A stream that is never closed would hold up the server's end.
    let changes = changes.take_until(async move { stop.cancelled().await });
    Sse::new(first.chain(changes)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

fn event(name: &str, value: &Value) -> Result<Event, Infallible> {
    Ok(Event::default().event(name).data(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_get_that_nobody_meant_is_told() {
        let with = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            foreign_or_prefetched(&headers)
        };
        assert!(!with(&[]));
        assert!(!with(&[
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-dest", "document")
        ]));
        assert!(with(&[("sec-fetch-site", "cross-site")]));
        assert!(with(&[("sec-purpose", "prefetch;prerender")]));
        assert!(with(&[("purpose", "prefetch")]));
        assert!(with(&[
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-dest", "image")
        ]));
    }

    #[test]
    fn a_filter_that_cannot_be_read_says_what_was_expected() {
        let query = |f: fn(&mut ListQuery)| {
            let mut query = ListQuery::default();
            f(&mut query);
            query
                .read()
                .map(|_| ())
                .map_err(|problem| problem.sentence(Lang::En).to_owned())
        };
        assert!(query(|_| ()).is_ok());
        assert!(
            query(|q| q.status = Some("PAYED".into()))
                .unwrap_err()
                .contains("PAID")
        );
        assert!(
            query(|q| q.from = Some("6.8.2026".into()))
                .unwrap_err()
                .contains("2026-08-06")
        );
        assert!(
            query(|q| q.limit = Some("1000000000".into()))
                .unwrap_err()
                .contains("200")
        );
        assert!(
            query(|q| q.after = Some("'; drop table".into()))
                .unwrap_err()
                .contains("next")
        );
        assert!(
            query(|q| {
                q.from = Some("2026-08-07".into());
                q.to = Some("2026-08-06".into());
            })
            .unwrap_err()
            .contains("before")
        );
    }
}
