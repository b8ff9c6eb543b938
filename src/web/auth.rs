//! Who may do what, until accounts exist: one admin token, by header or by a browser's session.

use std::time::Duration;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, Method, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::{
    Web,
    error::Problem,
    lang::{Lang, cookie},
};
use crate::store::{Store, StoreError, admin};

/// Where the token's hash is kept.
const TOKEN: &str = "admin_token_hash";
/// Where the hash of a sign-in link's code is kept: good until the next start makes another.
const LINK: &str = "sign_in_link_hash";
pub const COOKIE: &str = "jeongsan_session";

/// 256 random bits as text, after a prefix that tells what it is.
pub fn new_secret(prefix: &str) -> SecretString {
    let mut bytes = [0u8; 32];
    rand::fill(&mut bytes);
    format!("{prefix}{}", hex::encode(bytes)).into()
}

/// Makes sure that there is an admin token. Gives the new one if it had to be made: the only
/// moment at which anybody sees it.
pub async fn ensure_token(
    store: &Store,
    given: Option<&SecretString>,
) -> Result<Option<SecretString>, StoreError> {
    let known = store.read(|conn| admin::setting(conn, TOKEN))?;
    let (token, show) = match (given, known) {
        (Some(given), Some(known)) if admin::hash(given.expose_secret()) == known => {
            return Ok(None);
        }
        (Some(given), _) => (given.clone(), false),
        (None, Some(_)) => return Ok(None),
        (None, None) => (new_secret("jeongsan_"), true),
    };
    let hash = admin::hash(token.expose_secret());
    store
        .write(move |tx| {
            admin::close_all_sessions(tx)?;
            admin::set(tx, TOKEN, &hash)
        })
        .await?;
    Ok(show.then_some(token))
}

/// Forgets the admin token, so that the next start makes a new one.
pub async fn reset_token(store: &Store) -> Result<SecretString, StoreError> {
    let token = new_secret("jeongsan_");
    let hash = admin::hash(token.expose_secret());
    store
        .write(move |tx| {
            admin::close_all_sessions(tx)?;
            admin::set(tx, TOKEN, &hash)
        })
        .await?;
    Ok(token)
}

/// Makes the code of a sign-in link, for whoever reads the terminal: the demo's visitor. It opens
/// as often as it is needed, on the phone too, until the next start makes another. `serve` has none.
pub async fn new_sign_in_code(store: &Store) -> Result<SecretString, StoreError> {
    let code = new_secret("");
    let hash = admin::hash(code.expose_secret());
    store.write(move |tx| admin::set(tx, LINK, &hash)).await?;
    Ok(code)
}

fn same(secret: &str, hash: &str) -> bool {
    bool::from(admin::hash(secret).as_bytes().ct_eq(hash.as_bytes()))
}

/// Whether `secret` is the admin token.
pub fn is_token(store: &Store, secret: &str) -> Result<bool, StoreError> {
    let known = store.read(|conn| admin::setting(conn, TOKEN))?;
    Ok(known.is_some_and(|hash| same(secret, &hash)))
}

/// Whether `code` is the one of the sign-in link.
pub fn is_code(store: &Store, code: &str) -> Result<bool, StoreError> {
    let known = store.read(|conn| admin::setting(conn, LINK))?;
    Ok(known.is_some_and(|hash| same(code, &hash)))
}

/// Makes every sign-in link worthless: at each start but the demo's.
pub async fn forget_codes(store: &Store) -> Result<(), StoreError> {
    store.write(|tx| admin::unset(tx, LINK).map(|_| ())).await
}

/// Opens a session; gives the cookie that carries it.
pub async fn sign_in(store: &Store, lasts: Duration, secure: bool) -> Result<String, StoreError> {
    let secret = new_secret("");
    let value = secret.expose_secret().to_owned();
    store
        .write(move |tx| admin::open_session(tx, secret.expose_secret(), lasts))
        .await?;
    let secure = if secure { "; Secure" } else { "" };
    Ok(format!(
        "{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
        lasts.as_secs()
    ))
}

/// Ends the browser's session; gives the cookie that removes it.
pub async fn sign_out(store: &Store, headers: &HeaderMap) -> Result<String, StoreError> {
    if let Some(secret) = cookie(headers, COOKIE).map(str::to_owned) {
        store
            .write(move |tx| admin::close_session(tx, &secret))
            .await?;
    }
    Ok(format!(
        "{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    ))
}

/// Somebody who may see and do everything. A handler that takes it is reached by nobody else.
#[derive(Clone, Copy, Debug)]
pub struct Admin {
    /// `api` with the token, `page` with a session: who acted, in the timeline.
    pub by: &'static str,
}

/// The same for pages: who is not signed in is led to the sign-in form.
#[derive(Clone, Copy, Debug)]
pub struct AdminPage {
    pub by: &'static str,
}

fn known(web: &Web, method: &Method, headers: &HeaderMap) -> Result<Admin, Problem> {
    let store = &web.ctx.store;
    if let Some(bearer) = headers.get(header::AUTHORIZATION) {
        let token = bearer.to_str().ok().and_then(|value| {
            value
                .strip_prefix("Bearer ")
                .or(value.strip_prefix("bearer "))
        });
        return match token {
            Some(token) if is_token(store, token.trim())? => Ok(Admin { by: "api" }),
            _ => Err(Problem::unauthorized()),
        };
    }
    let now = store.now().as_millisecond();
    let open = match cookie(headers, COOKIE) {
        Some(secret) => store.read(|conn| admin::session_open(conn, secret, now))?,
        None => false,
    };
    if !open {
        return Err(Problem::unauthorized());
    }
    // A browser sends the cookie by itself: what changes something must come from our own pages.
    if !method.is_safe() && !same_site(headers, web.site.public_url.origin()) {
        return Err(Problem::cross_site());
    }
    Ok(Admin { by: "page" })
}

/// Whether a request comes from our own pages, as far as the browser says.
pub fn same_site(headers: &HeaderMap, own: url::Origin) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text("origin").and_then(|o| url::Url::parse(o).ok()) else {
        // No browser of today leaves both out when a form is posted.
        return false;
    };
    let host = text("host").unwrap_or_default();
    origin.origin() == own || host_of(&origin).is_some_and(|of| of == host)
}

fn host_of(url: &url::Url) -> Option<String> {
    let host = url.host_str()?;
    Some(
        url.port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
    )
}

impl<S> FromRequestParts<S> for Admin
where
    Web: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Admin, Problem> {
        let web = Web::from_ref(state);
        known(&web, &parts.method, &parts.headers)
            .map_err(|problem| problem.lang(Lang::of(&parts.headers)))
    }
}

impl<S> FromRequestParts<S> for AdminPage
where
    Web: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<AdminPage, Response> {
        let web = Web::from_ref(state);
        match known(&web, &parts.method, &parts.headers) {
            Ok(admin) => Ok(AdminPage { by: admin.by }),
            Err(problem) if problem.status == axum::http::StatusCode::UNAUTHORIZED => {
                let next = if parts.method.is_safe() {
                    parts.uri.path_and_query()
                } else {
                    None
                };
                let next = next.map_or("/payment/mypage", |path| path.as_str());
                let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
                Err(Redirect::to(&format!("/sign-in?{query}")).into_response())
            }
            Err(problem) => Err(problem.lang(Lang::of(&parts.headers)).into_response()),
        }
    }
}

/// A path of our own to go on to: nothing that leads elsewhere.
pub fn own_path(next: Option<&str>) -> &str {
    match next {
        Some(path)
            if path.starts_with('/')
                && !path.starts_with("//")
                && !path.contains('\\')
                && !path.chars().any(char::is_control) =>
        {
            path
        }
        _ => "/payment/mypage",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for evil in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "evil",
            "/\r\nX: y",
        ] {
            assert_eq!(own_path(Some(evil)), "/payment/mypage", "{evil}");
        }
        assert_eq!(
            own_path(Some("/admin/dead-letters?x=1")),
            "/admin/dead-letters?x=1"
        );
    }

    #[test]
    fn another_site_is_told_from_our_own() {
        let own = || url::Url::parse("https://pay.example.kr").unwrap().origin();
        let with = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            headers
        };
        for (pairs, same) in [
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "none")], true),
            (
                vec![
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "https://pay.example.kr"),
                ],
                false,
            ),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("origin", "https://pay.example.kr")], true),
            (
                vec![
                    ("origin", "http://127.0.0.1:8080"),
                    ("host", "127.0.0.1:8080"),
                ],
                true,
            ),
            (
                vec![
                    ("origin", "https://evil.example"),
                    ("host", "pay.example.kr"),
                ],
                false,
            ),
            (vec![("origin", "null")], false),
            (vec![], false),
        ] {
            assert_eq!(same_site(&with(&pairs), own()), same, "{pairs:?}");
        }
    }
}
