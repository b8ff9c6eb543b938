//! PortOne's V1 REST API over the books.
//!
//! Every answer is `{code, message, response}`. A refusal of the business kind is HTTP 200 with a
//! `code` other than 0, and a caller that looks at the status alone is mistaken: so it is at PortOne.
//!
//! A request goes one way, [`Call::serve`]: fault before, the act, fault after, log. Acts are plain
//! functions over the locked books.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, DefaultBodyLimit, FromRequestParts, Path, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{
    Inner, Line,
    books::{
        BooksError, Cancel, CancelOrder, Found, PAGE_LIMIT, Payment, Prepared, Refusal,
        SEARCH_SPAN, Sorting, Status, decimals, pg_tid,
    },
    faults::{Kind, Target},
    lock,
    log::{Outcome, SeenRequest},
    webhooks,
};

/// A token lives 30 minutes; asked for in its last minute, it lives 5 minutes more. Seconds.
const TOKEN_LIFE: i64 = 30 * 60;
const TOKEN_LAST_MINUTE: i64 = 60;
const TOKEN_MORE: i64 = 5 * 60;
/// Ids in one `GET /payments`.
const LIST_LIMIT: usize = 100;

/// The token that is good now.
pub(super) struct Token {
    value: String,
    expired_at: i64,
}

pub(super) fn routes() -> Router<Arc<Inner>> {
    Router::new()
        .route("/users/getToken", post(get_token))
        .route("/payments", get(list))
        .route("/payments/{imp_uid}", get(payment))
        .route("/payments/{imp_uid}/balance", get(unknown))
        .route("/payments/find/{merchant_uid}", get(find))
        .route("/payments/find/{merchant_uid}/", get(find))
        .route("/payments/find/{merchant_uid}/{status}", get(find_status))
        .route("/payments/findAll/{merchant_uid}", get(find_all))
        .route("/payments/findAll/{merchant_uid}/", get(find_all))
        .route(
            "/payments/findAll/{merchant_uid}/{status}",
            get(find_all_status),
        )
        .route("/payments/status/{status}", get(search))
        .route("/payments/prepare", post(prepare).put(reprepare))
        .route("/payments/prepare/{merchant_uid}", get(prepared))
        .route("/payments/cancel", post(cancel))
        .layer(DefaultBodyLimit::max(64 * 1024))
}

/// A path that PortOne does not have, or that is not kept here.
pub(super) async fn unknown(State(inner): State<Arc<Inner>>, call: Call) -> Response {
    inner.log.count("other");
    let message = format!("{} is not part of the sandbox", call.parts.path);
    let outcome = Outcome::Answered {
        status: 404,
        code: -1,
    };
    call.note(&inner, "other", None, outcome, false);
    answer(404, -1, &message).into_response()
}

async fn get_token(State(inner): State<Arc<Inner>>, call: Call, body: Bytes) -> Response {
    let fields = call.fields(&body);
    let act = |_: Twist| {
        let fields = fields?;
        let is = |name: &str, want: &str| fields.get(name).and_then(Value::as_str) == Some(want);
        if !is("imp_key", &inner.config.imp_key) || !is("imp_secret", &inner.config.imp_secret) {
            return Err(Refusal::new(
                401,
                -1,
                "인증에 실패하였습니다. API키와 secret을 확인하세요.",
            ));
        }
        Ok(Answer::ok(&issue(&inner)))
    };
    // The body holds the secret, so it is not kept in the log.
    call.serve(&inner, Target::Token, None, None, act).await
}

async fn payment(
    State(inner): State<Arc<Inner>>,
    call: Call,
    Path(imp_uid): Path<String>,
) -> Response {
    let act = |twist: Twist| {
        call.authorize(&inner)?;
        let books = lock(&inner.books);
        let payment = books
            .get(&imp_uid)
            .filter(|payment| !payment.sandbox || call.says("include_sandbox", "true"))
            .ok_or_else(Refusal::unknown_payment)?;
        Ok(Answer::ok(&View {
            delta: twist.delta,
            ..View::of(payment, &inner.url)
        }))
    };
    call.serve(&inner, Target::Get, Some(&imp_uid), None, act)
        .await
}

async fn list(State(inner): State<Arc<Inner>>, call: Call) -> Response {
    let act = |_: Twist| {
        call.authorize(&inner)?;
        let books = lock(&inner.books);
        let mut asked = 0;
        let mut missing = 0;
        let mut found: Vec<&Payment> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(call.query.as_bytes()) {
            let one = match name.as_ref() {
                "imp_uid[]" | "imp_uid" => books.get(&value),
                "merchant_uid[]" | "merchant_uid" => newest(books.of_order(&value)),
                _ => continue,
            };
            asked += 1;
            match one {
                Some(one) if found.iter().any(|known| known.imp_uid == one.imp_uid) => {}
                Some(one) => found.push(one),
                None => missing += 1,
            }
        }
        if asked == 0 || asked > LIST_LIMIT {
            return Err(Refusal::new(
                400,
                -1,
                "조회할 imp_uid 또는 merchant_uid를 1개 이상 100개 이하로 지정하세요.",
            ));
        }
        if found.is_empty() {
            return Err(Refusal::unknown_payment());
        }
        let views: Vec<_> = found.iter().map(|one| View::of(one, &inner.url)).collect();
        let mut answer = Answer::ok(&views);
        if missing > 0 {
            answer.status = 207;
        }
        Ok(answer)
    };
    call.serve(&inner, Target::List, None, None, act).await
}

async fn find(
    State(inner): State<Arc<Inner>>,
    call: Call,
    Path(merchant_uid): Path<String>,
) -> Response {
    find_one(inner, call, merchant_uid, None).await
}

async fn find_status(
    State(inner): State<Arc<Inner>>,
    call: Call,
    Path((merchant_uid, status)): Path<(String, String)>,
) -> Response {
    find_one(inner, call, merchant_uid, Some(status)).await
}

async fn find_one(
    inner: Arc<Inner>,
    call: Call,
    merchant_uid: String,
    status: Option<String>,
) -> Response {
    let act = |_: Twist| {
        call.authorize(&inner)?;
        let status = optional_status(status.as_deref())?;
        let books = lock(&inner.books);
        let found = books.search_order(&merchant_uid, status, call.sorting()?, 1, 1)?;
        let first = found.list.first().ok_or_else(Refusal::unknown_payment)?;
        Ok(Answer::ok(&View::of(first, &inner.url)))
    };
    call.serve(&inner, Target::List, None, None, act).await
}

async fn find_all(
    State(inner): State<Arc<Inner>>,
    call: Call,
    Path(merchant_uid): Path<String>,
) -> Response {
    find_every(inner, call, merchant_uid, None).await
}

async fn find_all_status(
    State(inner): State<Arc<Inner>>,
    call: Call,
    Path((merchant_uid, status)): Path<(String, String)>,
) -> Response {
    find_every(inner, call, merchant_uid, Some(status)).await
}

async fn find_every(
    inner: Arc<Inner>,
    call: Call,
    merchant_uid: String,
    status: Option<String>,
) -> Response {
    let act = |_: Twist| {
        call.authorize(&inner)?;
        let status = optional_status(status.as_deref())?;
        let (page, limit) = call.page()?;
        let books = lock(&inner.books);
        let found = books.search_order(&merchant_uid, status, call.sorting()?, page, limit)?;
        Ok(Answer::ok(&Page::of(&found, &inner.url)))
    };
    call.serve(&inner, Target::List, None, None, act).await
}

async fn search(
    State(inner): State<Arc<Inner>>,
    call: Call,
    Path(status): Path<String>,
) -> Response {
    let act = |_: Twist| {
        call.authorize(&inner)?;
        let status = optional_status(Some(&status))?;
        let (page, limit) = call.page()?;
        let to = call.number("to")?.unwrap_or_else(|| inner.now());
        let from = call
            .number("from")?
            .unwrap_or_else(|| to.saturating_sub(SEARCH_SPAN));
        let books = lock(&inner.books);
        let found = books.search(status, (from, to), call.sorting()?, page, limit)?;
        Ok(Answer::ok(&Page::of(&found, &inner.url)))
    };
    call.serve(&inner, Target::List, None, None, act).await
}

async fn prepare(State(inner): State<Arc<Inner>>, call: Call, body: Bytes) -> Response {
    enter_prepared(inner, call, body, false).await
}

async fn reprepare(State(inner): State<Arc<Inner>>, call: Call, body: Bytes) -> Response {
    enter_prepared(inner, call, body, true).await
}

async fn enter_prepared(inner: Arc<Inner>, call: Call, body: Bytes, again: bool) -> Response {
    let fields = call.fields(&body);
    let order = fields
        .as_ref()
        .ok()
        .and_then(|fields| text(fields, "merchant_uid"));
    let act = |_: Twist| {
        call.authorize(&inner)?;
        let fields = fields?;
        let missing = || Refusal::new(400, -1, "merchant_uid와 amount는 필수입니다.");
        let currency = text(&fields, "currency");
        let merchant_uid = order.clone().ok_or_else(missing)?;
        let unit = currency.as_deref().unwrap_or("KRW");
        let amount = sum(&fields, "amount", unit)?
            .filter(|&amount| amount > 0)
            .ok_or_else(missing)?;
        let prepared = Prepared {
            merchant_uid,
            amount,
            currency,
        };
        let mut books = lock(&inner.books);
        if again {
            books.reprepare(prepared.clone()).map_err(refusal)?;
        } else {
            books.prepare(prepared.clone()).map_err(refusal)?;
        }
        Ok(Answer::ok(&PreparedView::of(&prepared)))
    };
    call.serve(&inner, Target::Prepare, order.as_deref(), Some(&body), act)
        .await
}

async fn prepared(
    State(inner): State<Arc<Inner>>,
    call: Call,
    Path(merchant_uid): Path<String>,
) -> Response {
    let act = |_: Twist| {
        call.authorize(&inner)?;
        let books = lock(&inner.books);
        let prepared = books
            .prepared(&merchant_uid)
            .ok_or_else(|| Refusal::new(404, -1, "사전등록된 결제정보가 존재하지 않습니다."))?;
        Ok(Answer::ok(&PreparedView::of(prepared)))
    };
    call.serve(&inner, Target::Prepare, Some(&merchant_uid), None, act)
        .await
}

async fn cancel(State(inner): State<Arc<Inner>>, call: Call, body: Bytes) -> Response {
    let fields = call.fields(&body);
    // A fault may name the payment, so it is looked up before anything is judged.
    let id = fields.as_ref().ok().and_then(|fields| {
        text(fields, "imp_uid").or_else(|| {
            let order = text(fields, "merchant_uid")?;
            let books = lock(&inner.books);
            let payment = books.to_cancel(None, Some(&order)).ok()?;
            Some(payment.imp_uid.to_string())
        })
    });
    let act = |twist: Twist| {
        call.authorize(&inner)?;
        cancel_now(&inner, &fields?, twist)
    };
    call.serve(&inner, Target::Cancel, id.as_deref(), Some(&body), act)
        .await
}

fn cancel_now(
    inner: &Arc<Inner>,
    fields: &Map<String, Value>,
    twist: Twist,
) -> Result<Answer, Refusal> {
    let now = inner.now();
    let mut books = lock(&inner.books);
    let payment = books.to_cancel(
        text(fields, "imp_uid").as_deref(),
        text(fields, "merchant_uid").as_deref(),
    )?;
    let imp_uid = payment.imp_uid.clone();
    let currency = payment.currency.clone();
    let smallest = |name: &str| sum(fields, name, &currency);
    let order = CancelOrder {
        amount: smallest("amount")?,
        tax_free: smallest("tax_free")?,
        checksum: smallest("checksum")?,
        reason: text(fields, "reason").unwrap_or_default(),
        has_refund_account: ["refund_holder", "refund_bank", "refund_account"]
            .iter()
            .all(|name| text(fields, name).is_some_and(|given| !given.is_empty())),
    };
    match twist.later {
        None => {
            books.cancel(&imp_uid, &order, now).map_err(refusal)?;
        }
        Some(ms) => {
            let cancel = books.begin_cancel(&imp_uid, &order, now)?;
            finish_later(inner.clone(), imp_uid.clone(), cancel, ms);
        }
    }
    let payment = books.get(&imp_uid).ok_or_else(Refusal::unknown_payment)?;
    let answer = Answer::ok(&View {
        delta: twist.delta,
        ..View::of(payment, &inner.url)
    });
    drop(books);
    if flag(fields, "enable_webhook") && twist.later.is_none() {
        webhooks::tell(inner, &imp_uid);
    }
    Ok(answer)
}

fn finish_later(inner: Arc<Inner>, imp_uid: Arc<str>, cancel: Cancel, ms: u64) {
    tokio::spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            () = inner.stop.cancelled() => return,
        }
        let now = inner.now();
        let done = lock(&inner.books).finish_cancel(&imp_uid, cancel, now);
        match done {
            Ok(()) => webhooks::tell(&inner, &imp_uid),
            Err(error) => tracing::error!(%error, %imp_uid, "a cancel could not be finished"),
        }
    });
}

/// The token of now: the same to all who ask, until it is over.
fn issue(inner: &Inner) -> impl Serialize + use<> {
    #[derive(Serialize)]
    struct Issued {
        access_token: String,
        now: i64,
        expired_at: i64,
    }
    let now = inner.now();
    let mut kept = lock(&inner.token);
    let token = match kept.take() {
        Some(mut token) if token.expired_at > now => {
            if token.expired_at - now <= TOKEN_LAST_MINUTE {
                token.expired_at += TOKEN_MORE;
            }
            token
        }
        Some(_) | None => Token {
            value: hex::encode(rand::random::<[u8; 20]>()),
            expired_at: now + TOKEN_LIFE,
        },
    };
    let issued = Issued {
        access_token: token.value.clone(),
        now,
        expired_at: token.expired_at,
    };
    *kept = Some(token);
    issued
}

/// A request to the API, as far as its head tells.
pub(super) struct Call {
    pub(super) line: Line,
    parts: Head,
    query: String,
}

struct Head {
    method: axum::http::Method,
    path: String,
    token: Option<String>,
    form: bool,
}

/// How a fault changes the act itself.
#[derive(Clone, Copy, Default)]
pub(super) struct Twist {
    later: Option<u64>,
    delta: i64,
}

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let ConnectInfo(line) = ConnectInfo::<Line>::from_request_parts(parts, state)
            .await
            .map_err(IntoResponse::into_response)?;
        let header = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let token = header(header::AUTHORIZATION)
            .map(|value| value.strip_prefix("Bearer ").unwrap_or(value).to_owned());
        let form = header(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        Ok(Call {
            line,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            parts: Head {
                method: parts.method.clone(),
                path: parts.uri.path().to_owned(),
                token,
                form,
            },
        })
    }
}

impl Call {
    /// Runs an act as the faults want it, and keeps it in the log.
    pub(super) async fn serve(
        &self,
        inner: &Arc<Inner>,
        target: Target,
        imp_uid: Option<&str>,
        body: Option<&[u8]>,
        act: impl FnOnce(Twist) -> Result<Answer, Refusal>,
    ) -> Response {
        let what = target.word();
        inner.log.count(what);
        let act = |twist| act(twist).unwrap_or_else(|refusal| Answer::from(&refusal));
        let fault = inner.faults.take(target, imp_uid);
        let hit = fault.is_some();
        let note = |outcome| self.note(inner, what, body, outcome, hit);
        let answered = |answer: &Answer| Outcome::Answered {
            status: answer.status,
            code: answer.code,
        };
        let plain = |status, kind, body: Body| {
            note(Outcome::Answered { status, code: -1 });
            raw(status, kind, body)
        };
        let Some(fault) = fault else {
            let answer = act(Twist::default());
            note(answered(&answer));
            return answer.into_response();
        };
        match fault {
            Kind::Refuse { code, message } => {
                let answer = answer(200, code, &message);
                note(answered(&answer));
                answer.into_response()
            }
            Kind::Status {
                status,
                retry_after,
            } => {
                let mut response = match status {
                    // What PortOne itself refuses is JSON; a 5xx may come from in front of it.
                    401 => plain(
                        status,
                        JSON,
                        Body::from(answer(401, -1, "Unauthorized").body),
                    ),
                    400..=499 => plain(status, JSON, Body::from(answer(status, -1, "").body)),
                    _ => plain(status, "text/html", Body::from(NOT_JSON)),
                };
                if let Some(seconds) = retry_after {
                    response
                        .headers_mut()
                        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
            Kind::Garbage => plain(200, "text/html", Body::from(NOT_JSON)),
            Kind::Redirect => {
                let mut response = plain(302, "text/html", Body::empty());
                if let Ok(to) = HeaderValue::from_str(&format!("{}/sandbox/redirected", inner.url))
                {
                    response.headers_mut().insert(header::LOCATION, to);
                }
                response
            }
            Kind::Huge { mb } => plain(200, "application/json", huge(mb)),
            Kind::Drop => {
                note(Outcome::Cut { done: false });
                self.cut()
            }
            Kind::Hang { ms } => {
                note(Outcome::Cut { done: false });
                self.line.hold(ms).await;
                self.cut()
            }
            Kind::DoThenDrop => {
                act(Twist::default());
                note(Outcome::Cut { done: true });
                self.cut()
            }
            Kind::DoThenHang { ms } => {
                act(Twist::default());
                note(Outcome::Cut { done: true });
                self.line.hold(ms).await;
                self.cut()
            }
            Kind::DoThenStatus { status } => {
                act(Twist::default());
                plain(status, "text/html", Body::from(NOT_JSON))
            }
            Kind::DoThenGarbage => {
                let mut answer = act(Twist::default());
                answer.body.truncate(answer.body.len() / 2);
                plain(200, "application/json", Body::from(answer.body))
            }
            Kind::Slow { ms } => {
                let answer = act(Twist::default());
                note(answered(&answer));
                self.line.hold(ms).await;
                answer.into_response()
            }
            Kind::Drip { ms } => {
                let answer = act(Twist::default());
                note(answered(&answer));
                raw(answer.status, JSON, drip(answer.body, ms))
            }
            Kind::Async { ms } => {
                let answer = act(Twist {
                    later: Some(ms),
                    delta: 0,
                });
                note(answered(&answer));
                answer.into_response()
            }
            Kind::WrongAmount { delta } => {
                let answer = act(Twist { later: None, delta });
                note(answered(&answer));
                answer.into_response()
            }
            // About webhooks: on a request they mean nothing.
            Kind::DropWebhook | Kind::RepeatWebhook { .. } | Kind::DelayWebhook { .. } => {
                let answer = act(Twist::default());
                note(answered(&answer));
                answer.into_response()
            }
        }
    }

    /// No byte of this answer gets through: the line is cut when it is written.
    fn cut(&self) -> Response {
        self.line.cut();
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }

    pub(super) fn note(
        &self,
        inner: &Inner,
        what: &'static str,
        body: Option<&[u8]>,
        outcome: Outcome,
        fault: bool,
    ) {
        if !inner.log.keeps() {
            return;
        }
        let Head { method, path, .. } = &self.parts;
        let path = match self.query.as_str() {
            "" => path.clone(),
            query => format!("{path}?{query}"),
        };
        inner.log.add(SeenRequest {
            at: inner.now_ms(),
            what,
            method: method.to_string(),
            path,
            body: body.map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            outcome,
            fault,
        });
    }

    fn authorize(&self, inner: &Inner) -> Result<(), Refusal> {
        let good = lock(&inner.token).as_ref().is_some_and(|token| {
            token.expired_at > inner.now() && self.parts.token.as_ref() == Some(&token.value)
        });
        if good {
            Ok(())
        } else {
            Err(Refusal::new(401, -1, "Unauthorized"))
        }
    }

    /// The body's fields, JSON or form. A form's values are all strings.
    fn fields(&self, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
        if self.parts.form {
            let pairs = url::form_urlencoded::parse(body);
            return Ok(pairs
                .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
                .collect());
        }
        serde_json::from_slice(body)
            .map_err(|_| Refusal::new(400, -1, "요청 본문을 읽을 수 없습니다."))
    }

    fn param(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
            .filter(|value| !value.is_empty())
    }

    fn says(&self, name: &str, value: &str) -> bool {
        self.param(name).is_some_and(|given| given == value)
    }

    fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let bad = |_| Refusal::new(400, -1, format!("{name} 값이 올바르지 않습니다."));
        self.param(name)
            .map(|value| value.parse().map_err(bad))
            .transpose()
    }

    fn sorting(&self) -> Result<Sorting, Refusal> {
        match self.param("sorting") {
            None => Ok(Sorting::default()),
            Some(text) => Sorting::parse(&text)
                .ok_or_else(|| Refusal::new(400, -1, "sorting 값이 올바르지 않습니다.")),
        }
    }

    fn page(&self) -> Result<(usize, usize), Refusal> {
        let page = self.number("page")?.unwrap_or(1);
        let limit = self.number("limit")?.unwrap_or(20);
        match (usize::try_from(page), usize::try_from(limit)) {
            (Ok(page @ 1..), Ok(limit @ 1..=PAGE_LIMIT)) => Ok((page, limit)),
            _ => Err(Refusal::new(
                400,
                -1,
                "page는 1 이상, limit은 1 이상 1000 이하여야 합니다.",
            )),
        }
    }
}

const JSON: &str = "application/json;charset=UTF-8";
const NOT_JSON: &str = "<html><head><title>Error</title></head><body>nginx</body></html>";

/// An answer that is ready to leave.
pub(super) struct Answer {
    status: u16,
    code: i64,
    body: Vec<u8>,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    code: i64,
    message: Option<&'a str>,
    response: Option<&'a T>,
}

impl Answer {
    fn ok<T: Serialize>(response: &T) -> Self {
        let mut body = Vec::with_capacity(1_536);
        let envelope = Envelope {
            code: 0,
            message: None,
            response: Some(response),
        };
        // Strings and numbers into memory: there is nothing that could fail.
        let _ = serde_json::to_writer(&mut body, &envelope);
        Self {
            status: 200,
            code: 0,
            body,
        }
    }
}

impl From<&Refusal> for Answer {
    fn from(refusal: &Refusal) -> Self {
        answer(refusal.status, refusal.code, &refusal.message)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        raw(self.status, JSON, Body::from(self.body))
    }
}

fn answer(status: u16, code: i64, message: &str) -> Answer {
    let envelope = Envelope::<()> {
        code,
        message: Some(message),
        response: None,
    };
    let body = serde_json::to_vec(&envelope).unwrap_or_default();
    Answer { status, code, body }
}

fn raw(status: u16, kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A JSON string of so many MiB, made as it is read.
fn huge(mb: u64) -> Body {
    static BLOCK: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    let start = std::iter::once(Bytes::from_static(
        br#"{"code":0,"message":null,"response":{"imp_uid":""#,
    ));
    let blocks = (0..mb * 16).map(|_| Bytes::from_static(&BLOCK));
    let end = std::iter::once(Bytes::from_static(b"\"}}"));
    let all = start.chain(blocks).chain(end).map(Ok::<_, Infallible>);
    Body::from_stream(futures::stream::iter(all))
}

fn drip(body: Vec<u8>, ms: u64) -> Body {
    let bytes = futures::stream::unfold(body.into_iter(), move |mut rest| async move {
        let byte = rest.next()?;
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Some((Ok::<_, Infallible>(Bytes::from(vec![byte])), rest))
    });
    Body::from_stream(bytes)
}

fn refusal(error: BooksError) -> Refusal {
    match error {
        BooksError::Refused(refusal) => refusal,
        other => {
            tracing::error!(error = %other, "the books could not be written");
            Refusal::new(500, -1, other.to_string())
        }
    }
}

fn optional_status(word: Option<&str>) -> Result<Option<Status>, Refusal> {
    match word {
        None | Some("all" | "") => Ok(None),
        Some(word) => Status::parse(word)
            .map(Some)
            .ok_or_else(|| Refusal::new(400, -1, "payment_status 값이 올바르지 않습니다.")),
    }
}

fn newest<'a>(payments: impl Iterator<Item = &'a Payment>) -> Option<&'a Payment> {
    payments.max_by_key(|payment| payment.started_at)
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    match fields.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn flag(fields: &Map<String, Value>, name: &str) -> bool {
    match fields.get(name) {
        Some(Value::Bool(yes)) => *yes,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

/// An amount in the smallest unit of its currency; a fraction of that unit is a mistake.
fn sum(fields: &Map<String, Value>, name: &str, currency: &str) -> Result<Option<i64>, Refusal> {
    let Some(major) = number(fields, name)? else {
        return Ok(None);
    };
    let smallest = to_smallest(major, currency);
    let back = smallest as f64 / f64::from(10u32.pow(decimals(currency)));
    if (back - major).abs() > 1e-6 {
        return Err(Refusal::new(
            400,
            -1,
            format!("{name} 값이 올바르지 않습니다."),
        ));
    }
    Ok(Some(smallest))
}

fn number(fields: &Map<String, Value>, name: &str) -> Result<Option<f64>, Refusal> {
    let bad = || Refusal::new(400, -1, format!("{name} 값이 올바르지 않습니다."));
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => number.as_f64().map(Some).ok_or_else(bad),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(bad()),
        },
        Some(_) => Err(bad()),
    }
}

/// The wire counts in whole currency, the books in its smallest unit. Exact up to 2^53.
pub(super) fn to_smallest(major: f64, currency: &str) -> i64 {
    (major * f64::from(10u32.pow(decimals(currency)))).round() as i64
}

/// An amount on the wire: an integer for KRW, a decimal number for a currency with cents.
struct Money<'a>(i64, &'a str);

impl Serialize for Money<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match decimals(self.1) {
            0 => serializer.serialize_i64(self.0),
            digits => serializer.serialize_f64(self.0 as f64 / f64::from(10u32.pow(digits))),
        }
    }
}

/// A text that is put together only while it is written.
struct Shown<T>(T);

impl<T: std::fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Serialize)]
struct PreparedView<'a> {
    merchant_uid: &'a str,
    amount: Money<'a>,
    currency: Option<&'a str>,
}

impl<'a> PreparedView<'a> {
    fn of(prepared: &'a Prepared) -> Self {
        let currency = prepared.currency.as_deref();
        Self {
            merchant_uid: &prepared.merchant_uid,
            amount: Money(prepared.amount, currency.unwrap_or("KRW")),
            currency,
        }
    }
}

#[derive(Serialize)]
struct Page<'a> {
    total: usize,
    previous: usize,
    next: usize,
    list: Vec<View<'a>>,
}

impl<'a> Page<'a> {
    fn of(found: &Found<'a>, url: &'a str) -> Self {
        Self {
            total: found.total,
            previous: found.previous,
            next: found.next,
            list: found.list.iter().map(|one| View::of(one, url)).collect(),
        }
    }
}

/// The payment object of V1.
struct View<'a> {
    payment: &'a Payment,
    url: &'a str,
    /// A fault's lie about the amount.
    delta: i64,
}

impl<'a> View<'a> {
    fn of(payment: &'a Payment, url: &'a str) -> Self {
        Self {
            payment,
            url,
            delta: 0,
        }
    }
}

impl Serialize for View<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let p = self.payment;
        let none = super::Extra::default();
        let extra = p.extra.as_deref().unwrap_or(&none);
        let vbank = extra.vbank.as_ref();
        let charged = matches!(p.status, Status::Paid | Status::Cancelled);
        let card = charged && &*p.method == "card";
        let tail = p.imp_uid.trim_start_matches("imp_");
        let tail = tail.get(tail.len().saturating_sub(4)..).unwrap_or(tail);
        let receipt = |id: &str| format!("{}/sandbox?q={id}", self.url);
        let mut map = serializer.serialize_map(None)?;
        macro_rules! put {
            ($($name:literal: $value:expr),* $(,)?) => {
                $(map.serialize_entry($name, &$value)?;)*
            };
        }
        put! {
            "imp_uid": *p.imp_uid,
            "merchant_uid": *p.merchant_uid,
            "status": p.status,
            "sandbox": p.sandbox,
            "amount": Money(p.amount + self.delta, &p.currency),
            "cancel_amount": Money(p.cancel_amount, &p.currency),
            "currency": *p.currency,
            "pay_method": *p.method,
            "channel": extra.channel.as_deref().unwrap_or("pc"),
            "pg_provider": pg_provider(&p.method),
            "emb_pg_provider": None::<&str>,
            "pg_tid": charged.then(|| Shown(pg_tid(p))),
            "pg_id": "sandbox",
            "apply_num": card.then(|| Shown(format_args!("3001{tail}").to_string())),
            "escrow": false,
            "bank_code": (&*p.method == "trans").then_some("088"),
            "bank_name": (&*p.method == "trans").then_some("신한은행"),
            "card_code": card.then_some("366"),
            "card_name": card.then_some("신한카드"),
            "card_issuer_code": card.then_some("366"),
            "card_issuer_name": card.then_some("신한카드"),
            "card_publisher_code": card.then_some("366"),
            "card_publisher_name": card.then_some("신한카드"),
            "card_quota": 0,
            "card_number": card.then_some("54287900****0294"),
            "card_type": card.then_some(0),
            "vbank_code": vbank.map(|v| &v.bank_code),
            "vbank_name": vbank.map(|v| &v.bank_name),
            "vbank_num": vbank.map(|v| &v.number),
            "vbank_holder": vbank.map(|v| &v.holder),
            "vbank_date": vbank.map_or(0, |v| v.due_at),
            "vbank_issued_at": vbank.map_or(0, |v| v.issued_at),
            "name": *p.name,
            "buyer_name": extra.buyer.name,
            "buyer_email": extra.buyer.email,
            "buyer_tel": extra.buyer.tel,
            "buyer_addr": extra.buyer.addr,
            "buyer_postcode": extra.buyer.postcode,
            "custom_data": extra.custom_data,
            "user_agent": extra.user_agent,
            "started_at": p.started_at,
            "paid_at": p.paid_at,
            "failed_at": p.failed_at,
            "cancelled_at": p.cancelled_at,
            "fail_reason": extra.fail_reason,
            "cancel_reason": p.cancels.last().map(|cancel| &cancel.reason),
            "receipt_url": charged.then(|| receipt(&p.imp_uid)),
            "cancel_history": p.cancels.iter().map(|cancel| CancelView {
                pg_tid: &cancel.pg_tid,
                amount: Money(cancel.amount, &p.currency),
                cancelled_at: cancel.cancelled_at,
                reason: &cancel.reason,
                cancellation_id: &cancel.cancellation_id,
                receipt_url: receipt(&p.imp_uid),
            }).collect::<Vec<_>>(),
            "cancel_receipt_urls": p.cancels.iter().map(|_| receipt(&p.imp_uid)).collect::<Vec<_>>(),
            "deposit_history": [(); 0],
            "cash_receipt_issued": false,
            "customer_uid": None::<&str>,
            "customer_uid_usage": None::<&str>,
            "promotion": None::<&str>,
        }
        map.end()
    }
}

#[derive(Serialize)]
struct CancelView<'a> {
    pg_tid: &'a str,
    amount: Money<'a>,
    cancelled_at: i64,
    reason: &'a str,
    cancellation_id: &'a str,
    receipt_url: String,
}

fn pg_provider(method: &str) -> &str {
    match method {
        "kakaopay" | "naverpay" | "tosspay" | "payco" => method,
        _ => "html5_inicis",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_cross_the_wire_exactly() {
        assert_eq!(to_smallest(10_000.0, "KRW"), 10_000);
        assert_eq!(to_smallest(12.34, "USD"), 1_234);
        let wire = |amount, currency| serde_json::to_string(&Money(amount, currency)).unwrap();
        assert_eq!(wire(10_000, "KRW"), "10000");
        assert_eq!(wire(1_234, "USD"), "12.34");
    }
}
