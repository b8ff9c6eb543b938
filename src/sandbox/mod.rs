//! A PortOne of our own.
//!
//! It speaks the V1 protocol over HTTP and keeps books, so that a payment which was cancelled here
//! is cancelled, and a second cancel of it is refused for the reason PortOne would give. Whoever
//! talks to it knows its URL and nothing else. It can be told to misbehave ([`Fault`]), and it says
//! afterwards what really happened: [`Sandbox::payment`], [`Sandbox::requests`], [`Sandbox::check`].
//!
//! It stands alone: nothing of the product is used here, or a mistake made there would be made here
//! as well, and the two would agree.
//!
//! `books` is what is true, `v1` says it over HTTP, `faults` and `line` are what goes wrong,
//! `webhooks` tells the merchant, `window` is where a buyer pays, `slack` takes what Slack would get,
//! `page` shows all of it to a person, `control` to a program of another process.

mod books;
mod control;
mod faults;
mod line;
mod log;
mod page;
mod slack;
mod v1;
mod webhooks;
mod window;

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

pub use books::{
    BooksError, Buyer, Cancel, Extra, NewPayment, Payment, Prepared, Refusal, Status,
    VirtualAccount,
};
pub use faults::{Fault, Kind, SCENARIOS, Scenario, Target};
pub use log::{Outcome, SeenRequest};
pub use webhooks::{Delivery, Encoding};

use books::{Books, CancelOrder};
use faults::Faults;
use line::{Line, Lines};
use log::Log;

/// How a sandbox is set up. The default has fixed keys, a free loopback port and no memory.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Loopback only: there is nothing secret about the books. Port 0 takes a free one.
    pub bind: SocketAddr,
    pub imp_key: String,
    pub imp_secret: String,
    /// 고객사 식별코드, as `IMP.init` wants it.
    pub merchant_code: String,
    /// The console's webhook URL; a payment's own `notice_url` goes before it.
    pub webhook_url: Option<String>,
    /// How webhooks are encoded.
    pub webhook_encoding: Encoding,
    /// Deliver again after a network error or a 5xx, up to 5 times with this pause. V1 does so only
    /// for merchants that asked for it, and then pauses for a minute.
    pub redeliver: Option<Duration>,
    /// A file that the books are kept in. Without one they end with the process.
    pub ledger: Option<PathBuf>,
    /// Whether payments made in the window are test-channel payments (`sandbox: true`).
    pub test_channel: bool,
    /// Remember the last 20,000 requests; off under load, when only counts are kept.
    pub log_requests: bool,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            imp_key: "imp_apikey".to_owned(),
            imp_secret: "imp_secret".to_owned(),
            merchant_code: "imp00000000".to_owned(),
            webhook_url: None,
            webhook_encoding: Encoding::Json,
            redeliver: None,
            ledger: None,
            test_channel: false,
            log_requests: true,
        }
    }
}

/// Why a sandbox could not start, or could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("{0} is not a loopback address: the sandbox has no secrets and stays on this machine")]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {addr}")]
    Bind {
        addr: SocketAddr,
        source: std::io::Error,
    },
    #[error("the HTTP client for webhooks cannot be built")]
    Client(#[source] reqwest::Error),
    #[error(transparent)]
    Books(#[from] BooksError),
    #[error("no webhook URL is set, and the payment has no `notice_url`")]
    NoWebhookUrl,
    #[error("the webhook got no answer")]
    Webhook(#[source] reqwest::Error),
}

/// A running sandbox. Dropping it stops it.
pub struct Sandbox {
    inner: Arc<Inner>,
    addr: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

/// What all handlers share.
struct Inner {
    config: SandboxConfig,
    url: String,
    books: Mutex<Books>,
    token: Mutex<Option<v1::Token>>,
    faults: Faults,
    log: Log,
    console: Mutex<webhooks::Console>,
    deliveries: Mutex<VecDeque<Delivery>>,
    slack: Mutex<VecDeque<slack::Message>>,
    http: reqwest::Client,
    /// Milliseconds that the books' clock is ahead of the machine's.
    ahead: watch::Sender<i64>,
    stop: CancellationToken,
}

impl Sandbox {
    /// Opens the books and listens. When this returns, requests are answered.
    pub async fn start(config: SandboxConfig) -> Result<Sandbox, SandboxError> {
        if !config.bind.ip().is_loopback() {
            return Err(SandboxError::NotLoopback(config.bind));
        }
        let books = match &config.ledger {
            Some(path) => Books::open(path)?,
            None => Books::default(),
        };
        let ahead = books.ahead_ms();
        let bind = |source| SandboxError::Bind {
            addr: config.bind,
            source,
        };
        let listener = TcpListener::bind(config.bind).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let stop = CancellationToken::new();
        let inner = Arc::new(Inner {
            url: format!("http://{addr}"),
            books: Mutex::new(books),
            token: Mutex::default(),
            faults: Faults::default(),
            log: Log::new(config.log_requests),
            console: Mutex::new(webhooks::Console {
                url: config.webhook_url.clone(),
                encoding: config.webhook_encoding,
            }),
            deliveries: Mutex::default(),
            slack: Mutex::default(),
            http: webhooks::client().map_err(SandboxError::Client)?,
            ahead: watch::Sender::new(ahead),
            stop: stop.clone(),
            config,
        });
        let app = router(inner.clone()).into_make_service_with_connect_info::<Line>();
        let lines = Lines {
            listener,
            stop: stop.clone(),
        };
        let server = tokio::spawn(async move {
            tokio::select! {
                // `serve` never ends by itself.
                _ = axum::serve(lines, app).into_future() => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(Sandbox {
            inner,
            addr,
            server,
        })
    }

    /// `http://127.0.0.1:{port}`, without a slash at the end.
    pub fn url(&self) -> String {
        self.inner.url.clone()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops listening and cuts every open connection. When this returns the port is free.
    pub async fn stop(mut self) {
        self.inner.stop.cancel();
        // It can only fail by a panic, and it is over then as well.
        let _ = (&mut self.server).await;
    }

    /// Sets the console's webhook URL; `None` means that none are sent.
    pub fn set_webhook_url(&self, url: Option<String>) {
        lock(&self.inner.console).url = url;
    }

    /// Sets how webhooks are encoded.
    pub fn set_webhook_encoding(&self, encoding: Encoding) {
        lock(&self.inner.console).encoding = encoding;
    }

    /// Enters a payment without telling anybody, and gives its `imp_uid`.
    pub fn pay(&self, new: NewPayment) -> Result<String, BooksError> {
        let now = self.inner.now();
        let id = lock(&self.inner.books).pay(new, now)?;
        Ok(id.to_string())
    }

    /// Enters many payments at once, cheaply. Their ids come back in order.
    pub fn pay_many(
        &self,
        new: impl IntoIterator<Item = NewPayment>,
    ) -> Result<Vec<String>, BooksError> {
        let now = self.inner.now();
        let ids = lock(&self.inner.books).pay_many(new, now)?;
        Ok(ids.iter().map(|id| id.to_string()).collect())
    }

    /// Cancels as the merchant does in PortOne's console, without telling anybody: the server of the
    /// merchant learns of it by [`Sandbox::send_webhook`] or not at all. `None` is all that is left.
    pub fn cancel_at_console(
        &self,
        imp_uid: &str,
        amount: Option<i64>,
        reason: &str,
    ) -> Result<Cancel, BooksError> {
        self.inner.cancel_at_console(imp_uid, amount, reason)
    }

    /// The money for a virtual account arrives: `ready` becomes `paid`. Nobody is told.
    pub fn deposit(&self, imp_uid: &str) -> Result<(), BooksError> {
        let now = self.inner.now();
        lock(&self.inner.books).deposit(imp_uid, now)
    }

    /// Delivers one webhook with the payment's present status, now, whatever faults are set, and
    /// gives the answer's status and body.
    pub async fn send_webhook(&self, imp_uid: &str) -> Result<(u16, String), SandboxError> {
        webhooks::send_now(&self.inner, imp_uid).await
    }

    /// The payment as the books have it.
    pub fn payment(&self, imp_uid: &str) -> Option<Payment> {
        lock(&self.inner.books).get(imp_uid).cloned()
    }

    /// All tries to pay an order, oldest first.
    pub fn payments_of(&self, merchant_uid: &str) -> Vec<Payment> {
        let books = lock(&self.inner.books);
        books.of_order(merchant_uid).cloned().collect()
    }

    /// What was given back of a payment, oldest first. Empty too if there is no such payment.
    pub fn cancels_of(&self, imp_uid: &str) -> Vec<Cancel> {
        let books = lock(&self.inner.books);
        books
            .get(imp_uid)
            .map(|payment| payment.cancels.clone())
            .unwrap_or_default()
    }

    /// The amount registered for an order.
    pub fn prepared(&self, merchant_uid: &str) -> Option<Prepared> {
        lock(&self.inner.books).prepared(merchant_uid).cloned()
    }

    /// How many payments are in the books.
    pub fn count(&self) -> usize {
        lock(&self.inner.books).count()
    }

    /// The last 20,000 requests, oldest first, if they are kept at all.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.inner.log.last(usize::MAX)
    }

    /// How many requests of a kind came in all: `token`, `get`, `list`, `prepare`, `cancel`,
    /// `slack`, `redirected`, `other`; `webhook` counts deliveries that were tried.
    pub fn calls(&self, what: &str) -> u64 {
        self.inner.log.counted(what)
    }

    /// Sets a fault, behind those that are set.
    pub fn fault(&self, fault: Fault) {
        self.inner.faults.add(fault);
    }

    /// The faults that are set and not used up.
    pub fn faults(&self) -> Vec<Fault> {
        self.inner.faults.list()
    }

    /// Everything works again.
    pub fn clear_faults(&self) {
        self.inner.faults.clear();
    }

    /// The messages that Slack would have shown, oldest first; the last 200.
    pub fn slack_messages(&self) -> Vec<serde_json::Value> {
        let messages = lock(&self.inner.slack);
        messages
            .iter()
            .map(|message| message.payload.clone())
            .collect()
    }

    /// What became of the webhooks, oldest first; the last 1,000.
    pub fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.inner.deliveries).iter().cloned().collect()
    }

    /// The token would be refused from now on, as one that expired; the next `getToken` gives
    /// another.
    pub fn expire_token(&self) {
        *lock(&self.inner.token) = None;
    }

    /// Moves the books' clock ahead. With a ledger it stays ahead after a restart.
    pub fn advance(&self, by: Duration) -> Result<(), BooksError> {
        self.inner.advance(by.as_millis() as i64)
    }

    /// Sets the books' clock back, as for a story that begins in the past.
    pub fn set_back(&self, by: Duration) -> Result<(), BooksError> {
        self.inner.advance(-(by.as_millis() as i64))
    }

    /// Milliseconds that the books' clock is ahead of the machine's, as they change: for whoever is to
    /// live in the same time.
    pub fn clock_ahead(&self) -> watch::Receiver<i64> {
        self.inner.ahead.subscribe()
    }

    /// The books' clock, UNIX seconds.
    pub fn now(&self) -> i64 {
        self.inner.now()
    }

    /// Recounts the books and says what does not add up. Empty is good.
    pub fn check(&self) -> Vec<String> {
        lock(&self.inner.books).check()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.inner.stop.cancel();
    }
}

impl Inner {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        since.as_millis() as i64 + *self.ahead.borrow()
    }

    fn now(&self) -> i64 {
        self.now_ms().div_euclid(1_000)
    }

    fn advance(&self, ms: i64) -> Result<(), BooksError> {
        let mut books = lock(&self.books);
        let ahead = books.ahead_ms() + ms;
        books.set_ahead_ms(ahead)?;
        self.ahead.send_replace(ahead);
        Ok(())
    }

    fn cancel_at_console(
        &self,
        imp_uid: &str,
        amount: Option<i64>,
        reason: &str,
    ) -> Result<Cancel, BooksError> {
        let order = CancelOrder {
            amount,
            reason: reason.to_owned(),
            // The console asks for it on its own form.
            has_refund_account: true,
            ..CancelOrder::default()
        };
        let now = self.now();
        lock(&self.books).cancel(imp_uid, &order, now)
    }
}

/// Locks; a panic elsewhere does not make the books unreadable, `check` would tell.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to("/sandbox") }))
        .merge(v1::routes())
        .merge(window::routes())
        .merge(slack::routes())
        .merge(page::routes())
        .merge(control::routes())
        .fallback(v1::unknown)
        .with_state(inner)
}

/// The language of a page: Korean, unless the reader says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lang {
    Ko,
    En,
}

impl Lang {
    /// `?lang=` or the window's `language` first, then `Accept-Language`: English only if it comes
    /// before Korean there.
    fn choose(asked: Option<&str>, headers: &HeaderMap) -> Lang {
        match asked {
            Some(asked) if asked.starts_with("ko") => return Lang::Ko,
            Some(asked) if asked.starts_with("en") => return Lang::En,
            _ => {}
        }
        let accept = headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let at = |lang: &str| {
            accept
                .split(',')
                .position(|one| one.trim().starts_with(lang))
        };
        match (at("ko"), at("en")) {
            (None, Some(_)) => Lang::En,
            (Some(ko), Some(en)) if en < ko => Lang::En,
            _ => Lang::Ko,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Lang::Ko => "ko",
            Lang::En => "en",
        }
    }

    /// The text in this language.
    fn t(self, korean: &'static str, english: &'static str) -> &'static str {
        match self {
            Lang::Ko => korean,
            Lang::En => english,
        }
    }
}

/// Says that a form was sent by a page of the sandbox itself, or by a program. A page elsewhere that
/// posts into the sandbox of whoever reads it is refused.
struct SameSite;

impl<S: Sync> FromRequestParts<S> for SameSite {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let foreign = parts
            .headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "cross-site" || site == "same-site");
        if foreign {
            return Err((StatusCode::FORBIDDEN, "from another site").into_response());
        }
        Ok(SameSite)
    }
}

/// An amount for people: `₩12,000`, `USD 12.50`.
fn money(amount: i64, currency: &str) -> String {
    let scale = 10i64.pow(books::decimals(currency));
    let digits = (amount / scale).unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if scale > 1 {
        text.push_str(&format!(".{:02}", (amount % scale).abs()));
    }
    let sign = if amount < 0 { "-" } else { "" };
    match currency {
        "KRW" => format!("{sign}₩{text}"),
        other => format!("{sign}{other} {text}"),
    }
}

/// A file of ours, which a browser may keep for an hour.
fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("max-age=3600"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_reads_as_people_write_it() {
        assert_eq!(money(0, "KRW"), "₩0");
        assert_eq!(money(999, "KRW"), "₩999");
        assert_eq!(money(1_234_567, "KRW"), "₩1,234,567");
        assert_eq!(money(-12_000, "KRW"), "-₩12,000");
        assert_eq!(money(1_250, "USD"), "USD 12.50");
    }
}
