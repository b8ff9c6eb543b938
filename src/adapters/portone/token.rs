//! PortOne's access token: 30 minutes of life, shared by all calls, renewed by one of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::sync::{Mutex, RwLock};
use url::Url;

use super::wire;

/// A token that has less than this left is renewed. Asked in the last minute, PortOne prolongs the
/// same token by five minutes, so nobody who still uses it is cut off.
const MARGIN: Duration = Duration::from_secs(60);

/// No PG is asked for a token, so PortOne answers at once or not at all.
const SLOWEST: Duration = Duration::from_secs(10);

/// Callers that waited behind a try that brought nothing do not each try again.
const SHARED: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct Token {
    pub value: Arc<SecretString>,
    number: u64,
}

struct Kept {
    token: Token,
    /// By our own monotonic clock: PortOne says how long, not when by our watch.
    until: Instant,
}

pub struct Tokens {
    imp_key: SecretString,
    imp_secret: SecretString,
    kept: RwLock<Option<Kept>>,
    renewing: Mutex<Renewing>,
}

#[derive(Default)]
struct Renewing {
    /// Tokens so far.
    number: u64,
    /// The last try, if it brought none: who waited behind it shares its answer.
    failed: Option<(Instant, TokenError)>,
}

#[derive(Clone)]
pub enum TokenError {
    /// The key or the secret is wrong.
    Refused(String),
    /// No answer, or none that can be read.
    Unreachable(String),
}

impl Tokens {
    pub fn new(imp_key: SecretString, imp_secret: SecretString) -> Tokens {
        Tokens {
            imp_key,
            imp_secret,
            kept: RwLock::new(None),
            renewing: Mutex::default(),
        }
    }

    async fn usable(&self) -> Option<Token> {
        let kept = self.kept.read().await;
        kept.as_ref()
            .filter(|kept| kept.until > Instant::now())
            .map(|kept| kept.token.clone())
    }

    /// The token, asking PortOne for one if none is at hand. Only one call asks at a time.
    pub async fn get(&self, http: &reqwest::Client, url: &Url) -> Result<Token, TokenError> {
        if let Some(token) = self.usable().await {
            return Ok(token);
        }
        let mut renewing = self.renewing.lock().await;
        if let Some(token) = self.usable().await {
            return Ok(token);
        }
        if let Some((at, error)) = &renewing.failed
            && at.elapsed() < SHARED
        {
            return Err(error.clone());
        }
        let (value, until) = match self.ask(http, url).await {
            Ok(given) => given,
            Err(error) => {
                renewing.failed = Some((Instant::now(), error.clone()));
                return Err(error);
            }
        };
        renewing.failed = None;
        renewing.number += 1;
        let token = Token {
            value: Arc::new(value),
            number: renewing.number,
        };
        *self.kept.write().await = Some(Kept {
            token: token.clone(),
            until,
        });
        Ok(token)
    }

    /// Asks PortOne for a token, and until when it may be used.
    async fn ask(
        &self,
        http: &reqwest::Client,
        url: &Url,
    ) -> Result<(SecretString, Instant), TokenError> {
        let body = json!({
            "imp_key": self.imp_key.expose_secret(),
            "imp_secret": self.imp_secret.expose_secret(),
        });
        let answer = http
            .post(url.clone())
            .timeout(SLOWEST)
            .json(&body)
            .send()
            .await
            .map_err(|error| TokenError::Unreachable(super::cause(&error)))?;
        let status = answer.status();
        let bytes = super::limited(answer, super::LARGEST_ANSWER)
            .await
            .map_err(TokenError::Unreachable)?;
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            let why = format!("no token (HTTP {})", status.as_u16());
            return Err(TokenError::Refused(why));
        }
        let envelope: wire::Envelope<wire::Token> = serde_json::from_slice(&bytes)
            .map_err(|_| TokenError::Unreachable(format!("HTTP {}", status.as_u16())))?;
        let Some(given) = envelope.response.filter(|_| envelope.code == 0) else {
            let why = envelope
                .message
                .unwrap_or_else(|| format!("code {}", envelope.code));
            return Err(if status.is_success() {
                TokenError::Refused(why)
            } else {
                TokenError::Unreachable(why)
            });
        };
        let lives = given.expired_at.unwrap_or(0.0) - given.now.unwrap_or(0.0);
        let lives = Duration::from_secs_f64(lives.clamp(0.0, 86_400.0));
        let until = Instant::now() + lives.saturating_sub(MARGIN);
        Ok((given.access_token.into(), until))
    }

    /// PortOne no longer takes this token. Another call may have renewed it already.
    pub async fn forget(&self, token: &Token) {
        let mut kept = self.kept.write().await;
        if kept
            .as_ref()
            .is_some_and(|kept| kept.token.number == token.number)
        {
            *kept = None;
        }
    }
}
