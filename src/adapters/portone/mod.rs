//! PortOne V1 (구 아임포트) over HTTP.
//!
//! Lenient in what it takes, strict in what it believes: unknown fields, fractions in times and any
//! 2xx are fine, but `code != 0` is a failure whatever the status line says, and an answer about
//! another payment than the one asked for is no answer.
//!
//! V1 has no idempotency key. What keeps a cancel from happening twice is its `checksum`, and that
//! the caller reads the payment whenever an outcome is unknown (`flow::cancel_attempt`).

mod token;
mod wire;

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use reqwest::{Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use self::token::Tokens;
use crate::{
    domain::{
        cancellation::CancelCall,
        ids::{ImpUid, MerchantUid},
        money::Won,
        retry::Class,
        seen::Seen,
    },
    flow::{Gateway, GatewayError, Page, Unreadable, Window, WindowStatus},
};

/// PortOne's answer about one payment is a few kilobytes; more is not read.
const LARGEST_ANSWER: usize = 1 << 20;
/// A page of a search.
const LARGEST_PAGE: usize = 16 << 20;
/// Payments on one page of a search. PortOne takes up to 1,000.
const PAGE: u32 = 200;
/// After PortOne refused our credentials, calls are stopped for this long.
const HALT: Duration = Duration::from_secs(30);

/// What is needed to talk to PortOne.
#[derive(Clone, Debug)]
pub struct PortoneConfig {
    /// `https://api.iamport.kr`, or where a sandbox listens.
    pub base_url: Url,
    pub imp_key: SecretString,
    pub imp_secret: SecretString,
    /// Test-channel payments are asked for, and expected.
    pub test: bool,
    pub connect_timeout: Duration,
    /// PortOne advises 60 seconds or more: a PG is slow, and hanging up does not stop it.
    pub read_timeout: Duration,
    /// Code of a sub-merchant (하위 상점), sent with each call.
    pub tier: Option<String>,
}

/// A client of PortOne V1.
pub struct Portone {
    http: reqwest::Client,
    base: Url,
    test: bool,
    tier: Option<String>,
    tokens: Tokens,
    halted: Mutex<Option<(Instant, String)>>,
}

/// Whether a call that broke off may have had an effect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    Writes,
}

impl Portone {
    pub fn new(config: PortoneConfig) -> Result<Portone, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            .timeout(config.connect_timeout + config.read_timeout)
            .read_timeout(config.read_timeout)
            // A redirect would carry the token to wherever somebody points.
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .pool_max_idle_per_host(64)
            .user_agent(concat!("jeongsan/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Portone {
            http,
            base: config.base_url,
            test: config.test,
            tier: config.tier,
            tokens: Tokens::new(config.imp_key, config.imp_secret),
            halted: Mutex::new(None),
        })
    }

    /// `base` and path segments, each percent-encoded.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    fn halted_now(&self) -> Option<String> {
        let halted = self.halted.lock().unwrap_or_else(PoisonError::into_inner);
        halted
            .as_ref()
            .filter(|(since, _)| since.elapsed() < HALT)
            .map(|(_, why)| why.clone())
    }

    fn halt(&self, why: &str) -> GatewayError {
        let what = format!("PortOne refuses our credentials: {why}; check imp_key and imp_secret");
        let mut halted = self.halted.lock().unwrap_or_else(PoisonError::into_inner);
        *halted = Some((Instant::now(), what.clone()));
        GatewayError::new(Class::Halt, what)
    }

    fn unhalt(&self) {
        let mut halted = self.halted.lock().unwrap_or_else(PoisonError::into_inner);
        if halted.is_some() {
            *halted = None;
        }
    }

    /// One call with a token; a token that PortOne no longer takes is renewed once.
    async fn call(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
        effect: Effect,
        largest: usize,
    ) -> Result<(StatusCode, Vec<u8>), GatewayError> {
        if let Some(why) = self.halted_now() {
            return Err(GatewayError::new(Class::Halt, why));
        }
        let mut renewed = false;
        loop {
            let token = self.token().await?;
            let mut request = self.http.request(method.clone(), url.clone());
            let mut bearer =
                header::HeaderValue::try_from(format!("Bearer {}", token.value.expose_secret()))
                    .map_err(|_| {
                        GatewayError::new(Class::Transient, "PortOne's token is not a header")
                    })?;
            bearer.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, bearer);
            if let Some(tier) = &self.tier {
                request = request.header("Tier", tier);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            let answer = request
                .send()
                .await
                .map_err(|error| broken(&error, effect))?;
            let status = answer.status();
            if status == StatusCode::UNAUTHORIZED {
                if renewed {
                    return Err(self.halt("a new token was refused, too (401)"));
                }
                self.tokens.forget(&token).await;
                renewed = true;
                continue;
            }
            if status == StatusCode::FORBIDDEN {
                return Err(self.halt("403 Forbidden"));
            }
            let retry_after = retry_after(answer.headers());
            let bytes = limited(answer, largest)
                .await
                .map_err(|what| match effect {
                    Effect::Reads => GatewayError::new(Class::Transient, what),
                    Effect::Writes => GatewayError::new(Class::Unknown, what),
                })?;
            if status == StatusCode::TOO_MANY_REQUESTS {
                let what = "PortOne asks us to slow down (429)".to_owned();
                return Err(GatewayError {
                    class: Class::Transient,
                    what,
                    retry_after,
                });
            }
            if status.is_server_error() || status.is_redirection() || status.is_informational() {
                let class = match effect {
                    Effect::Reads => Class::Transient,
                    Effect::Writes => Class::Unknown,
                };
                let what = format!("PortOne answered HTTP {}", status.as_u16());
                return Err(GatewayError {
                    class,
                    what,
                    retry_after,
                });
            }
            self.unhalt();
            return Ok((status, bytes));
        }
    }

    async fn token(&self) -> Result<token::Token, GatewayError> {
        match self
            .tokens
            .get(&self.http, &self.url(&["users", "getToken"]))
            .await
        {
            Ok(token) => Ok(token),
            Err(token::TokenError::Refused(why)) => Err(self.halt(&why)),
            // Without a token nothing was sent.
            Err(token::TokenError::Unreachable(why)) => Err(GatewayError::new(
                Class::Transient,
                format!("no token from PortOne: {why}"),
            )),
        }
    }

    async fn get_payment(&self, imp_uid: &ImpUid) -> Result<Option<Seen>, GatewayError> {
        let mut url = self.url(&["payments", imp_uid.as_str()]);
        if self.test {
            url.set_query(Some("include_sandbox=true"));
        }
        let (status, body) = self
            .call(Method::GET, url, None, Effect::Reads, LARGEST_ANSWER)
            .await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let payment: wire::Payment = opened(status, &body, Effect::Reads)?;
        let seen = payment.into_seen().map_err(|why| {
            GatewayError::new(
                Class::Permanent,
                format!("PortOne's answer cannot be read: {why}"),
            )
        })?;
        if seen.imp_uid != *imp_uid {
            let what = format!(
                "asked for {imp_uid}, PortOne answered about {}",
                seen.imp_uid
            );
            return Err(GatewayError::new(Class::Permanent, what));
        }
        Ok(Some(seen))
    }

    async fn get_page(&self, window: &Window) -> Result<Page, GatewayError> {
        let status = match window.status {
            WindowStatus::Paid => "paid",
            WindowStatus::Cancelled => "cancelled",
            WindowStatus::Failed => "failed",
        };
        let mut url = self.url(&["payments", "status", status]);
        url.query_pairs_mut()
            .append_pair("page", &window.page.to_string())
            .append_pair("limit", &PAGE.to_string())
            .append_pair("from", &window.from.as_second().to_string())
            .append_pair("to", &window.until.as_second().to_string())
            // Oldest first: what comes in meanwhile is appended and moves no page.
            .append_pair("sorting", "started");
        let (http, body) = self
            .call(Method::GET, url, None, Effect::Reads, LARGEST_PAGE)
            .await?;
        // No payments, or a page that has emptied since we heard of it.
        if http == StatusCode::NOT_FOUND || (http == StatusCode::BAD_REQUEST && window.page > 1) {
            return Ok(Page::default());
        }
        let list: wire::List = opened(http, &body, Effect::Reads)?;
        let mut page = Page {
            more: list.next > 0,
            ..Page::default()
        };
        for entry in list.list {
            let imp_uid = entry.get("imp_uid").and_then(Value::as_str);
            let imp_uid = imp_uid.and_then(|id| ImpUid::new(id).ok());
            let read = serde_json::from_value::<wire::Payment>(entry)
                .map_err(|why| why.to_string())
                .and_then(wire::Payment::into_seen);
            match read {
                Ok(seen) => page.payments.push(seen),
                Err(why) => page.unreadable.push(Unreadable { imp_uid, why }),
            }
        }
        Ok(page)
    }

    async fn register(&self, order: &MerchantUid, amount: Won) -> Result<(), GatewayError> {
        let url = self.url(&["payments", "prepare"]);
        let body = json!({ "merchant_uid": order, "amount": amount, "currency": "KRW" });
        let (status, answer) = self
            .call(
                Method::POST,
                url.clone(),
                Some(&body),
                Effect::Writes,
                LARGEST_ANSWER,
            )
            .await?;
        let refused = match opened::<Value>(status, &answer, Effect::Writes) {
            Ok(_) => return Ok(()),
            Err(refused) => refused,
        };
        if refused.class != Class::Permanent {
            return Err(refused);
        }
        // Code 1: registered already. It is ours if the amount is the same, and changed if not.
        let known = self.url(&["payments", "prepare", order.as_str()]);
        let (status, answer) = self
            .call(Method::GET, known, None, Effect::Reads, LARGEST_ANSWER)
            .await?;
        let Ok(prepared) = opened::<wire::Prepared>(status, &answer, Effect::Reads) else {
            return Err(refused);
        };
        if prepared.amount.and_then(wire::whole) == Some(amount.get()) {
            return Ok(());
        }
        let (status, answer) = self
            .call(
                Method::PUT,
                url,
                Some(&body),
                Effect::Writes,
                LARGEST_ANSWER,
            )
            .await?;
        opened::<Value>(status, &answer, Effect::Writes).map(|_| ())
    }

    async fn post_cancel(&self, call: &CancelCall) -> Result<Seen, GatewayError> {
        // `amount` 0 or missing would cancel everything that is left.
        if !call.amount.is_positive() {
            let what = format!("a cancel of {} won was about to be sent", call.amount);
            return Err(GatewayError::new(Class::Permanent, what));
        }
        let mut body = json!({
            "imp_uid": call.imp_uid,
            "amount": call.amount,
            "checksum": call.checksum,
            "reason": call.reason,
        });
        if let (Some(tax_free), Some(fields)) = (call.tax_free, body.as_object_mut()) {
            fields.insert("tax_free".into(), json!(tax_free));
        }
        if let (Some(refund), Some(fields)) = (&call.refund, body.as_object_mut()) {
            fields.insert("refund_holder".into(), json!(refund.holder));
            fields.insert("refund_bank".into(), json!(refund.bank));
            fields.insert("refund_account".into(), json!(refund.account));
            if let Some(tel) = &refund.tel {
                fields.insert("refund_tel".into(), json!(tel));
            }
        }
        let url = self.url(&["payments", "cancel"]);
        let (status, answer) = self
            .call(
                Method::POST,
                url,
                Some(&body),
                Effect::Writes,
                LARGEST_ANSWER,
            )
            .await?;
        let payment: wire::Payment = opened(status, &answer, Effect::Writes)?;
        let seen = payment.into_seen().map_err(|why| {
            GatewayError::new(
                Class::Unknown,
                format!("PortOne's answer cannot be read: {why}"),
            )
        })?;
        if seen.imp_uid != call.imp_uid {
            let what = format!(
                "asked to cancel {}, PortOne answered about {}",
                call.imp_uid, seen.imp_uid
            );
            return Err(GatewayError::new(Class::Unknown, what));
        }
        Ok(seen)
    }
}

impl Gateway for Portone {
    fn payment<'a>(
        &'a self,
        imp_uid: &'a ImpUid,
    ) -> BoxFuture<'a, Result<Option<Seen>, GatewayError>> {
        Box::pin(self.get_payment(imp_uid))
    }

    fn page<'a>(&'a self, window: &'a Window) -> BoxFuture<'a, Result<Page, GatewayError>> {
        Box::pin(self.get_page(window))
    }

    fn prepare<'a>(
        &'a self,
        order: &'a MerchantUid,
        amount: Won,
    ) -> BoxFuture<'a, Result<(), GatewayError>> {
        Box::pin(self.register(order, amount))
    }

    fn cancel<'a>(&'a self, call: &'a CancelCall) -> BoxFuture<'a, Result<Seen, GatewayError>> {
        Box::pin(self.post_cancel(call))
    }

    fn halted(&self) -> Option<String> {
        self.halted_now()
    }
}

/// What happened on the wire: the innermost cause says it, the outer ones that a request failed.
fn cause(error: &reqwest::Error) -> String {
    let mut why = String::from("the request could not be made");
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        why = inner.to_string();
        source = inner.source();
    }
    why
}

/// A call that brought no answer.
fn broken(error: &reqwest::Error, effect: Effect) -> GatewayError {
    let why = cause(error);
    if error.is_connect() || error.is_builder() {
        return GatewayError::new(
            Class::Transient,
            format!("PortOne cannot be reached: {why}"),
        );
    }
    let what = if error.is_timeout() {
        "PortOne did not answer in time".to_owned()
    } else {
        format!("the connection to PortOne broke: {why}")
    };
    match effect {
        Effect::Reads => GatewayError::new(Class::Transient, what),
        Effect::Writes => GatewayError::new(Class::Unknown, what),
    }
}

/// Reads a body up to `largest` bytes.
async fn limited(mut answer: reqwest::Response, largest: usize) -> Result<Vec<u8>, String> {
    if answer
        .content_length()
        .is_some_and(|length| length > largest as u64)
    {
        return Err(format!("PortOne's answer is larger than {largest} bytes"));
    }
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > largest => {
                return Err(format!("PortOne's answer is larger than {largest} bytes"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) if error.is_timeout() => {
                return Err("PortOne's answer did not end in time".into());
            }
            Err(_) => return Err("PortOne's answer broke off".into()),
        }
    }
}

/// Seconds, as PortOne would send them; dates are not expected here.
fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds.min(3600)))
}

/// Opens the envelope `{code, message, response}`. Only `code == 0` with a response is success.
fn opened<T: DeserializeOwned>(
    status: StatusCode,
    body: &[u8],
    effect: Effect,
) -> Result<T, GatewayError> {
    let unreadable = |why: String| {
        let class = match effect {
            Effect::Reads => Class::Transient,
            Effect::Writes => Class::Unknown,
        };
        let what = format!(
            "PortOne's answer cannot be read (HTTP {}): {why}",
            status.as_u16()
        );
        GatewayError::new(class, what)
    };
    // Success is the common case: the response is read in one go.
    match serde_json::from_slice::<wire::Envelope<T>>(body) {
        Ok(wire::Envelope {
            code: 0,
            response: Some(response),
            ..
        }) if status.is_success() => Ok(response),
        Ok(wire::Envelope { code: 0, .. }) if status.is_success() => {
            Err(unreadable("code 0 without a response".into()))
        }
        Ok(envelope) => Err(refused(status, envelope.code, envelope.message, effect)),
        Err(error) => match serde_json::from_slice::<wire::Envelope<Value>>(body) {
            Ok(envelope) if envelope.code != 0 || !status.is_success() => {
                Err(refused(status, envelope.code, envelope.message, effect))
            }
            _ => Err(unreadable(error.to_string())),
        },
    }
}

/// PortOne said no. What it means for a cancel, its books decide: code 1 means opposite things.
fn refused(status: StatusCode, code: i64, message: Option<String>, effect: Effect) -> GatewayError {
    let message = message.unwrap_or_else(|| "no message".into());
    let message: String = message
        .chars()
        .filter(|c| !c.is_control())
        .take(300)
        .collect();
    let what = if status.is_success() {
        format!("PortOne refuses: {message} (code {code})")
    } else {
        format!(
            "PortOne refuses: {message} (code {code}, HTTP {})",
            status.as_u16()
        )
    };
    let class = match (effect, status.is_success()) {
        // A reading that failed with 200 is nothing that the payment's books have said.
        (Effect::Reads, true) => Class::Transient,
        _ => Class::Permanent,
    };
    GatewayError::new(class, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_zero_with_a_response_is_success() {
        let ok = StatusCode::OK;
        let read = |status, body: &str| opened::<Value>(status, body.as_bytes(), Effect::Writes);
        assert!(read(ok, r#"{"code":0,"message":null,"response":{"a":1}}"#).is_ok());
        assert!(
            read(
                StatusCode::CREATED,
                r#"{"code":0,"response":{"a":1},"new":true}"#
            )
            .is_ok()
        );
        for (status, body, class) in [
            (
                ok,
                r#"{"code":-1,"message":"결제취소에 실패하였습니다.","response":null}"#,
                Class::Permanent,
            ),
            (
                ok,
                r#"{"code":1,"message":"이미 전액취소된 주문입니다.","response":{"a":1}}"#,
                Class::Permanent,
            ),
            (ok, r#"{"code":0,"response":null}"#, Class::Unknown),
            (ok, "<html>busy</html>", Class::Unknown),
            (ok, "", Class::Unknown),
            (
                StatusCode::BAD_REQUEST,
                r#"{"code":-1,"message":"merchant_uid"}"#,
                Class::Permanent,
            ),
            (
                StatusCode::BAD_REQUEST,
                r#"{"code":0,"response":{}}"#,
                Class::Permanent,
            ),
        ] {
            assert_eq!(read(status, body).unwrap_err().class, class, "{body}");
        }
    }

    #[test]
    fn ids_are_encoded_in_a_path() {
        let config = PortoneConfig {
            base_url: Url::parse("http://127.0.0.1:9/").unwrap(),
            imp_key: "k".into(),
            imp_secret: "s".into(),
            test: false,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(1),
            tier: None,
        };
        let portone = Portone::new(config.clone()).unwrap();
        let url = portone.url(&["payments", "../users?x=1#y/z"]);
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:9/payments/..%2Fusers%3Fx=1%23y%2Fz"
        );
        let canary = PortoneConfig {
            imp_secret: "canary-7".into(),
            ..config
        };
        assert!(!format!("{canary:?}").contains("canary-7"));
    }
}
