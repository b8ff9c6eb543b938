//! Who calls: a person by their browser's session, a program by its key, the shop's own by the token of
//! its settings. Rights are looked up in [`super::access`]; handlers take [`Actor`] and know both.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    Site, Web,
    error::Problem,
    lang::{Lang, cookie},
};
use crate::{
    domain::{
        account::{Right, Rights, Role},
        api_key::{MARK, Standing},
    },
    flow::sign_in::{Place, new_secret},
    store::{
        Store, StoreError, acting, admin, api_keys,
        sessions::{self, Session, Stage},
    },
};

/// Where the hash of the settings' token is kept, and nothing where there is none.
const TOKEN: &str = "admin_token_hash";
/// Where the hash of a sign-in link's code is kept: good until the next start makes another.
const LINK: &str = "sign_in_link_hash";

/// Where money moves, a person has proved who they are at most so long ago (ASVS 7.5.3).
pub const FRESH: Duration = Duration::from_secs(5 * 60);

/// A session is noted as used at most this often: it is one write.
const NOTED: i64 = 60_000;

/// What browsers keep for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// The signed-in session's secret.
    Session,
    /// What forms of somebody who is not signed in are tied to.
    Form,
    /// That somebody signed in from this browser before.
    Place,
    /// A buyer's token, out of the link that brought it.
    Buyer,
    /// Where the demo's tour began, and whether it goes on.
    Tour,
    /// What was just done, to be said once.
    Flash,
}

impl Cookie {
    /// With `__Host-` a cookie can neither be set by another host of the same domain nor travel
    /// without TLS. Browsers take it over TLS alone, so on a plain loopback address it is left out.
    pub fn name(self, site: &Site) -> &'static str {
        match (self, site.secure_cookies()) {
            (Cookie::Session, true) => "__Host-jeongsan_session",
            (Cookie::Session, false) => "jeongsan_session",
            (Cookie::Form, true) => "__Host-jeongsan_form",
            (Cookie::Form, false) => "jeongsan_form",
            (Cookie::Place, true) => "__Host-jeongsan_place",
            (Cookie::Place, false) => "jeongsan_place",
            (Cookie::Buyer, true) => "__Host-jeongsan_buyer",
            (Cookie::Buyer, false) => "jeongsan_buyer",
            (Cookie::Tour, true) => "__Host-jeongsan_tour",
            (Cookie::Tour, false) => "jeongsan_tour",
            (Cookie::Flash, true) => "__Host-jeongsan_flash",
            (Cookie::Flash, false) => "jeongsan_flash",
        }
    }

    /// Its value in a request.
    pub fn of(self, headers: &HeaderMap, site: &Site) -> Option<String> {
        cookie(headers, self.name(site))
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    }

    /// The line that sets it.
    pub fn set(self, site: &Site, value: &str, lasts: Duration) -> String {
        let secure = if site.secure_cookies() {
            "; Secure"
        } else {
            ""
        };
        format!(
            "{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
            self.name(site),
            lasts.as_secs()
        )
    }

    /// The line that removes it.
    pub fn unset(self, site: &Site) -> String {
        self.set(site, "", Duration::ZERO)
    }
}

/// Keeps the hash of the token of the settings, or forgets the one that was there.
pub async fn keep_token(store: &Store, given: Option<&SecretString>) -> Result<(), StoreError> {
    let hash = given.map(|token| admin::hash(token.expose_secret()));
    let known = store.read(|conn| admin::setting(conn, TOKEN))?;
    if known == hash {
        return Ok(());
    }
    store
        .write(move |tx| match hash {
            Some(hash) => admin::set(tx, TOKEN, &hash),
            None => admin::unset(tx, TOKEN).map(|_| ()),
        })
        .await
}

/// Makes the code of a sign-in link, for whoever reads the terminal: the demo's visitor. It opens
/// as often as it is needed, on the phone too, until the next start makes another. `serve` has none.
pub async fn new_sign_in_code(store: &Store, user: i64) -> Result<SecretString, StoreError> {
    let code = new_secret();
    let kept = format!("{user}:{}", admin::hash(code.expose_secret()));
    store.write(move |tx| admin::set(tx, LINK, &kept)).await?;
    Ok(code)
}

/// Makes every sign-in link worthless: at each start but the demo's.
pub async fn forget_codes(store: &Store) -> Result<(), StoreError> {
    store.write(|tx| admin::unset(tx, LINK).map(|_| ())).await
}

fn same(secret: &str, hash: &str) -> bool {
    bool::from(admin::hash(secret).as_bytes().ct_eq(hash.as_bytes()))
}

fn is_token(store: &Store, secret: &str) -> Result<bool, StoreError> {
    let known = store.read(|conn| admin::setting(conn, TOKEN))?;
    Ok(known.is_some_and(|hash| same(secret, &hash)))
}

/// Whom the sign-in link with this code signs in.
pub fn code_is_for(store: &Store, code: &str) -> Result<Option<i64>, StoreError> {
    let known = store.read(|conn| admin::setting(conn, LINK))?;
    Ok(known.and_then(|kept| {
        let (user, hash) = kept.split_once(':')?;
        same(code, hash).then(|| user.parse().ok()).flatten()
    }))
}

/// Who calls, and what they may.
#[derive(Clone, Debug)]
pub struct Actor {
    /// How they stand in timelines and in the audit log: `@minji`, `key:shop`, `api`.
    pub by: &'static str,
    pub rights: Rights,
    pub who: Who,
}

#[derive(Clone, Debug)]
pub enum Who {
    /// Somebody with an account, by their browser's session.
    Person(Arc<Session>),
    /// A program, by a key that an owner made for it.
    Key { id: i64, name: String },
    /// The token of the settings, `admin.token`.
    Token,
}

impl Actor {
    pub fn may(&self, right: Right) -> bool {
        self.rights.has(right)
    }

    pub fn person(&self) -> Option<&Session> {
        match &self.who {
            Who::Person(session) => Some(session),
            Who::Key { .. } | Who::Token => None,
        }
    }

    /// Whether a browser's session brought the request: the browser sends it by itself.
    pub fn is_page(&self) -> bool {
        self.person().is_some()
    }

    /// Whose settlements are all that they may see.
    pub fn partner(&self) -> Option<&str> {
        self.person().and_then(|session| session.partner.as_deref())
    }

    /// Whether a person has proved lately who they are. Programs prove it with every request.
    pub fn is_fresh(&self, now_ms: i64) -> bool {
        self.person()
            .is_none_or(|session| now_ms - session.proved_at < FRESH.as_millis() as i64)
    }

    fn of(session: Session) -> Actor {
        let rights = match (session.role, &session.partner) {
            // Without a partner there is nothing of its own to see.
            (Role::Partner, None) => Rights::NONE,
            (role, _) => role.rights(),
        };
        Actor {
            by: acting::name(&format!("@{}", session.name)),
            rights,
            who: Who::Person(Arc::new(session)),
        }
    }
}

/// The token of an `Authorization` header; the inner `None` is one that cannot be read.
fn bearer(headers: &HeaderMap) -> Option<Option<&str>> {
    let value = headers.get(header::AUTHORIZATION)?;
    Some(value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }))
}

/// Who calls. A key that is not known is an error; a session that is not is nobody.
pub fn identify(web: &Web, headers: &HeaderMap) -> Result<Option<Actor>, Problem> {
    let store = &web.ctx.store;
    if let Some(token) = bearer(headers) {
        return match token {
            Some(secret) if secret.starts_with(MARK) => of_key(web, secret).map(Some),
            Some(token) if is_token(store, token)? => Ok(Some(Actor {
                by: "api",
                rights: Rights::ALL_BUT_OWN,
                who: Who::Token,
            })),
            _ => Err(Problem::unauthorized()),
        };
    }
    let session = session(web, headers, Stage::Open)?;
    if let Some(session) = &session {
        note_use(web, session);
    }
    Ok(session.map(Actor::of))
}

/// The program that this key was made for.
fn of_key(web: &Web, secret: &str) -> Result<Actor, Problem> {
    let store = &web.ctx.store;
    let key = store
        .read(|conn| api_keys::of_secret(conn, secret))?
        .ok_or_else(Problem::unauthorized)?;
    match key.standing(store.now()) {
        Standing::Live => {}
        over => return Err(Problem::key_is_over(&key.name, over)),
    }
    web.site.key_uses.note(store, key.id);
    Ok(Actor {
        by: acting::name(&format!("key:{}", key.name)),
        rights: key.scopes,
        who: Who::Key {
            id: key.id,
            name: key.name,
        },
    })
}

/// When the use of each key was noted last, in this process.
#[derive(Default)]
pub struct KeyUses(Mutex<HashMap<i64, i64>>);

impl KeyUses {
    /// Notes that a key is in use, at most once a minute, and lets nobody wait for it.
    fn note(&self, store: &Store, id: i64) {
        let now = store.now().as_millisecond();
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(&id).is_some_and(|at| now - at < NOTED) {
            return;
        }
        noted.insert(id, now);
        drop(noted);
        let store = store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.write(move |tx| api_keys::used(tx, id)).await {
                tracing::debug!(%error, "a key's use was not noted");
            }
        });
    }
}

/// The browser's session, if it is at this stage.
pub fn session(
    web: &Web,
    headers: &HeaderMap,
    stage: Stage,
) -> Result<Option<Session>, StoreError> {
    let Some(secret) = Cookie::Session.of(headers, &web.site) else {
        return Ok(None);
    };
    let store = &web.ctx.store;
    let now = store.now().as_millisecond();
    let found = store.read(|conn| sessions::find(conn, &secret, now, web.site.lasts.idle))?;
    Ok(found.filter(|session| session.stage == stage))
}

fn note_use(web: &Web, session: &Session) {
    let store = &web.ctx.store;
    if store.now().as_millisecond() - session.seen_at < NOTED {
        return;
    }
    let (store, id) = (store.clone(), session.id.clone());
    // Nobody waits for it: what is lost is a minute of the idle time.
    tokio::spawn(async move {
        if let Err(error) = store.write(move |tx| sessions::seen(tx, &id)).await {
            tracing::debug!(%error, "a session's use was not noted");
        }
    });
}

/// From where a request comes, for signing in.
pub fn place(web: &Web, peer: std::net::IpAddr, headers: &HeaderMap) -> Place {
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    Place {
        address: web.site.limits.client(peer, headers).to_string(),
        agent: agent.to_owned(),
        mark: Cookie::Place.of(headers, &web.site),
    }
}

/// The token that forms of this browser carry, worked out of a secret that only the browser has. To
/// know the token is not to know the secret.
pub fn form_token(secret: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"jeongsan form\0");
    hasher.update(secret.as_bytes());
    hex::encode(hasher.finalize())
}

/// The secret that this browser's forms are tied to: its session, else a mark of its own.
pub fn form_secret(headers: &HeaderMap, site: &Site) -> Option<String> {
    Cookie::Session
        .of(headers, site)
        .or_else(|| Cookie::Form.of(headers, site))
}

/// Whether the form's token is this browser's.
pub fn is_form_token(headers: &HeaderMap, site: &Site, given: &str) -> bool {
    form_secret(headers, site)
        .is_some_and(|secret| bool::from(form_token(&secret).as_bytes().ct_eq(given.as_bytes())))
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

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Response;

    /// The gate has found out who calls. A route that anybody may reach has nobody to give.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Actor, Response> {
        parts.extensions.get::<Actor>().cloned().ok_or_else(|| {
            Problem::unauthorized()
                .lang(Lang::of(&parts.headers))
                .into_response()
        })
    }
}

/// Where people go who say nothing else: it leads each to [`home_of`] them.
pub const HOME: &str = "/";

/// The page that somebody begins with.
pub fn home_of(actor: Option<&Actor>) -> &'static str {
    let may = |right| actor.is_some_and(|actor| actor.may(right));
    match actor {
        None => "/payment",
        Some(_) if may(Right::PaymentsRead) => "/admin",
        Some(_) if may(Right::OwnSettlements) => "/partner",
        Some(_) => "/account",
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
        _ => HOME,
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
            assert_eq!(own_path(Some(evil)), HOME, "{evil}");
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
