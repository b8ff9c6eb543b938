//! What stands before every handler: who calls, whether the form is ours, whether they may.

use std::net::SocketAddr;

use axum::{
    body::{Body, Bytes},
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use futures::{StreamExt, stream};
use secrecy::ExposeSecret;
use url::form_urlencoded;

use super::{
    Web, access,
    access::{Need, Row},
    auth::{self, Actor, Cookie},
    buyers::{self, Came},
    error::Problem,
    lang::Lang,
    offered, once,
    pages::{Look, page_of_form},
};
use crate::{
    flow::sign_in::new_secret,
    store::acting::{self, Acting},
};

/// Under this name forms carry their token.
pub const FIELD: &str = "form_token";
/// Under this one scripts send it.
pub const HEADER: &str = "x-form-token";

/// Where the token is looked for: it is a form's first field, or comes with the button behind the last.
const PEEK: usize = 64 << 10;

/// Lets a request through to its handler, or answers why not.
pub async fn gate(State(web): State<Web>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let matched = parts.extensions.get::<MatchedPath>().cloned();
    let identified = auth::identify(&web, &parts.headers);
    if let Ok(Some(actor)) = &identified {
        parts.extensions.insert(actor.clone());
    }
    let Some(matched) = matched else {
        // No route: the fallback says so, to whomever it is.
        return next.run(Request::from_parts(parts, body)).await;
    };
    let Some(row) = access::find(parts.method.as_str(), matched.as_str()) else {
        if access::known(matched.as_str()) {
            return next.run(unlisted(parts, body)).await;
        }
        tracing::error!(
            path = matched.as_str(),
            "a route has no row in the table of access: nobody may reach it"
        );
        return refuse(&web, &parts, &Problem::forbidden("?"));
    };
    if let Err(seconds) = within_limits(
        &web,
        &parts,
        row,
        identified.as_ref().ok().and_then(Option::as_ref),
    ) {
        return refuse(&web, &parts, &Problem::too_many(seconds));
    }
    let actor = match identified {
        Ok(actor) => actor,
        Err(_) if row.need == Need::Open => None,
        Err(problem) => return refuse(&web, &parts, &problem),
    };
    let body = match ours(&web, &parts, body, row, actor.as_ref()).await {
        Ok(body) => body,
        Err(problem) => return refuse(&web, &parts, &problem),
    };
    let mut cookie = None;
    let mut buyer = false;
    if let Need::OrBuyer(_) = row.need {
        // Somebody who is signed in stays who they are, whatever link they follow.
        if actor.is_some() {
            if let Some(answer) = buyers::without_token(&parts) {
                return answer;
            }
        } else {
            match buyers::arrive(&web, &parts) {
                Came::Nobody if row.path != buyers::LIST => {
                    return refuse(&web, &parts, &buyers::link_needed());
                }
                Came::Nobody => {}
                Came::Answered(answer) => return answer,
                Came::Buyer(who, line) => {
                    parts.extensions.insert(who);
                    (cookie, buyer) = (line, true);
                }
            }
        }
    }
    if !row.admits(actor.as_ref()) && !buyer {
        return match actor {
            None => sign_in_first(&web, &parts),
            Some(_) => refuse(&web, &parts, &Problem::forbidden(needed(row))),
        };
    }
    let now = web.ctx.store.now().as_millisecond();
    if row.fresh && actor.as_ref().is_some_and(|actor| !actor.is_fresh(now)) {
        return prove_first(&web, &parts);
    }
    if parts.method == Method::GET && !is_api(&parts) && !comes_from_us(&parts) {
        parts.uri = saying_nothing(&parts.uri);
    }
    match actor {
        Some(actor) => {
            let acting = Acting {
                by: actor.by,
                origin: origin(&web, &parts).into(),
                once: None,
            };
            let mut response = if is_api(&parts)
                && row.need != Need::Open
                && once::writes(&parts.method, row.path)
            {
                once::run(&web, acting, row.path, parts, body, next).await
            } else {
                acting::scope(acting, next.run(Request::from_parts(parts, body))).await
            };
            response.extensions_mut().insert(actor);
            response
        }
        None => {
            let mut response = next.run(Request::from_parts(parts, body)).await;
            if let Some(line) = cookie {
                response.headers_mut().append(header::SET_COOKIE, line);
            }
            response
        }
    }
}

/// By which a page's address tells what was just done.
const SAID: [&str; 2] = ["did", "replayed"];

/// Whether one of our pages led here, as far as the browser says.
fn comes_from_us(parts: &Parts) -> bool {
    let site = parts.headers.get("sec-fetch-site");
    site.is_none_or(|site| site == "same-origin")
}

/// An address without what it says was done: one that somebody sent or kept puts no words into our mouth.
fn saying_nothing(uri: &Uri) -> Uri {
    let Some(query) = uri.query() else {
        return uri.clone();
    };
    let pairs = || form_urlencoded::parse(query.as_bytes());
    if !pairs().any(|(name, _)| SAID.contains(&name.as_ref())) {
        return uri.clone();
    }
    let kept: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs().filter(|(name, _)| !SAID.contains(&name.as_ref())))
        .finish();
    let address = [uri.path(), "?", &kept].concat();
    address.parse().unwrap_or_else(|_| uri.clone())
}

/// A method that the route does not take: none of its handlers may run, so it goes as one that no
/// handler is ever registered for.
fn unlisted(mut parts: Parts, body: Body) -> Request {
    if let Ok(method) = Method::from_bytes(b"UNLISTED") {
        parts.extensions.insert(Asked(parts.method.clone()));
        parts.method = method;
    }
    Request::from_parts(parts, body)
}

/// By which method a route was asked that does not take it.
#[derive(Clone, Debug)]
pub struct Asked(pub Method);

fn needed(row: &Row) -> &'static str {
    match row.need {
        Need::Has(right) | Need::OrBuyer(right) => right.as_str(),
        Need::Open | Need::Form | Need::SignedIn => "",
    }
}

fn is_api(parts: &Parts) -> bool {
    parts.uri.path().starts_with("/api/")
}

/// How often one may ask: the API by this address, and anything under this key. The webhook has limits of its
/// own.
fn within_limits(web: &Web, parts: &Parts, row: &Row, actor: Option<&Actor>) -> Result<(), u64> {
    if row.need == Need::Open {
        return Ok(());
    }
    let limits = &web.site.limits;
    if is_api(parts)
        && let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>()
    {
        limits.admit_to_api(limits.client(peer.ip(), &parts.headers))?;
    }
    match actor {
        Some(actor) if !actor.is_page() => limits.admit_key(actor.by),
        _ => Ok(()),
    }
}

fn origin(web: &Web, parts: &Parts) -> String {
    parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(peer)| {
            web.site
                .limits
                .client(peer.ip(), &parts.headers)
                .to_string()
        })
        .unwrap_or_default()
}

/// A page for people, a problem for programs.
fn refuse(web: &Web, parts: &Parts, problem: &Problem) -> Response {
    if parts.uri.path().starts_with("/api/") || parts.uri.path() == "/metrics" {
        problem
            .clone()
            .lang(Lang::of(&parts.headers))
            .into_response()
    } else {
        Look::of(parts, web).problem(problem)
    }
}

fn sign_in_first(web: &Web, parts: &Parts) -> Response {
    let path = parts.uri.path();
    if path.starts_with("/api/") || path == "/metrics" {
        return refuse(web, parts, &Problem::unauthorized());
    }
    lead_to("/sign-in", parts)
}

/// Asks once more who it is, and leads back. A program in a browser cannot follow a form: it is told so.
fn prove_first(web: &Web, parts: &Parts) -> Response {
    if is_api(parts) {
        return refuse(web, parts, &Problem::prove_again());
    }
    lead_to("/sign-in/again", parts)
}

fn lead_to(form: &str, parts: &Parts) -> Response {
    let here = match parts.uri.path_and_query() {
        Some(here) if parts.method.is_safe() => here.as_str(),
        // What was to be sent is sent again from its page.
        _ => page_of_form(parts.uri.path()),
    };
    let query = serde_urlencoded::to_string([("next", here)]).unwrap_or_default();
    Redirect::to(&format!("{form}?{query}")).into_response()
}

/// A browser sends its cookies along with whatever a foreign page makes it send: what changes
/// something must say that it comes from a page of ours, and carry the token that only ours know.
async fn ours(
    web: &Web,
    parts: &Parts,
    body: Body,
    row: &Row,
    actor: Option<&Actor>,
) -> Result<Body, Problem> {
    if parts.method.is_safe() {
        return Ok(body);
    }
    let by_browser = match row.need {
        Need::Open => false,
        Need::Form => actor.is_none_or(Actor::is_page),
        Need::SignedIn | Need::Has(_) | Need::OrBuyer(_) => actor.is_some_and(Actor::is_page),
    };
    if !by_browser {
        return Ok(body);
    }
    if !auth::same_site(&parts.headers, web.site.public_url.origin()) {
        return Err(Problem::cross_site());
    }
    let (given, body) = match parts.headers.get(HEADER) {
        Some(token) => (token.to_str().unwrap_or_default().to_owned(), body),
        None => peeked(body).await,
    };
    if auth::is_form_token(&parts.headers, &web.site, &given) {
        Ok(body)
    } else {
        Err(Problem::stale_form())
    }
}

/// Reads a body's beginning, finds the token in it, and gives the body whole again.
async fn peeked(body: Body) -> (String, Body) {
    let mut stream = body.into_data_stream();
    let mut read: Vec<Result<Bytes, axum::Error>> = Vec::new();
    let mut head = Vec::new();
    while head.len() < PEEK && token_in(&head).is_none() {
        match stream.next().await {
            Some(Ok(bytes)) => {
                head.extend_from_slice(&bytes[..bytes.len().min(PEEK)]);
                read.push(Ok(bytes));
            }
            Some(Err(error)) => {
                read.push(Err(error));
                break;
            }
            None => break,
        }
    }
    let token = token_in(&head).unwrap_or_default();
    (token, Body::from_stream(stream::iter(read).chain(stream)))
}

/// The token at the beginning of a form, however it is encoded.
fn token_in(head: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    let plain = format!("{FIELD}=");
    let part = format!("name=\"{FIELD}\"\r\n\r\n");
    let behind = |mark: &str| text.split_once(mark).map(|(_, after)| after);
    let after = text
        .strip_prefix(plain.as_str())
        .or_else(|| behind(&part))
        // From a button that posts a form which is otherwise only asked with.
        .or_else(|| behind(&format!("&{plain}")))?;
    let token: String = after.chars().take_while(char::is_ascii_hexdigit).collect();
    // Whole only with what ends it, or by its own length.
    (token.len() == 64).then_some(token)
}

/// Makes a page fit for whom it goes to: without what they may not do, and with the token in every
/// form that is posted.
pub async fn form_tokens(State(web): State<Web>, request: Request, next: Next) -> Response {
    let secret = auth::form_secret(request.headers(), &web.site);
    let lang = Lang::of(request.headers());
    let response = next.run(request).await;
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !is_page {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes,
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    let seen = parts
        .extensions
        .get::<Actor>()
        .filter(|actor| actor.is_page())
        .map(|actor| offered::only(text, actor, lang));
    let text = seen.as_deref().unwrap_or(text);
    if !text.contains(" method=\"post\"") {
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::from(text.to_owned()));
    }
    let secret = secret.unwrap_or_else(|| {
        let made = new_secret().expose_secret().to_owned();
        let day = std::time::Duration::from_secs(24 * 3_600);
        if let Ok(line) = HeaderValue::from_str(&Cookie::Form.set(&web.site, &made, day)) {
            parts.headers.append(header::SET_COOKIE, line);
        }
        made
    });
    let page = with_tokens(text, &auth::form_token(&secret));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(page))
}

/// A page with the token behind every opening `<form … method="post" …>`. Text that people wrote is
/// escaped, so a `<form` is always one of ours.
fn with_tokens(page: &str, token: &str) -> String {
    let field = format!("<input type=\"hidden\" name=\"{FIELD}\" value=\"{token}\">");
    let mut out = String::with_capacity(page.len() + 4 * field.len());
    let mut rest = page;
    while let Some(at) = rest.find("<form") {
        let Some(end) = rest[at..].find('>') else {
            break;
        };
        let tag = &rest[at..at + end + 1];
        out.push_str(&rest[..at + end + 1]);
        if tag.contains(" method=\"post\"") {
            out.push_str(&field);
        }
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    // A button that posts what is otherwise a form to ask with brings the token itself.
    out.replace(
        " formmethod=\"post\"",
        &format!(" formmethod=\"post\" name=\"{FIELD}\" value=\"{token}\""),
    )
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn an_address_from_elsewhere_does_not_say_what_was_done() {
        for (address, without) in [
            ("/admin/approvals/3?did=approved", "/admin/approvals/3?"),
            (
                "/a?q=%EC%82%AC+%26&did=x&after=b-2",
                "/a?q=%EC%82%AC+%26&after=b-2",
            ),
            ("/a?replayed=9&did", "/a?"),
            ("/a?undid=1", "/a?undid=1"),
            ("/a", "/a"),
        ] {
            let uri: Uri = address.parse().unwrap();
            assert_eq!(saying_nothing(&uri).to_string(), without, "{address}");
        }
    }

    #[test]
    fn every_form_that_is_posted_gets_the_token_and_no_other() {
        let page = "<p>&lt;form method=\"post\"></p><form action=\"/a\" method=\"post\" data-x><input></form>\
                    <form action=\"/find\"><input></form><form method=\"post\"></form>";
        let with = with_tokens(page, "abc");
        assert_eq!(with.matches("name=\"form_token\" value=\"abc\"").count(), 2);
        assert!(with.contains("<form action=\"/find\"><input></form>"));
        assert_eq!(
            with.replace(
                "<input type=\"hidden\" name=\"form_token\" value=\"abc\">",
                ""
            ),
            page
        );
    }

    #[tokio::test]
    async fn a_body_is_whole_after_its_token_was_read() {
        let token = "a".repeat(64);
        let long = format!("{FIELD}={token}&note={}", "x".repeat(100_000));
        let parted = format!(
            "--B\r\nContent-Disposition: form-data; name=\"{FIELD}\"\r\n\r\n{token}\r\n--B\r\nrest"
        );
        for (body, found) in [
            (long.clone(), token.as_str()),
            (parted, token.as_str()),
            (format!("note=1&{FIELD}={token}"), token.as_str()),
            (format!("note=1&x{FIELD}={token}"), ""),
            (format!("{FIELD}=short"), ""),
            (String::new(), ""),
        ] {
            let pieces: Vec<Result<Bytes, Infallible>> = body
                .as_bytes()
                .chunks(37)
                .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                .collect();
            let (given, whole) = peeked(Body::from_stream(stream::iter(pieces))).await;
            assert_eq!(given, found);
            let whole = axum::body::to_bytes(whole, usize::MAX).await.unwrap();
            assert_eq!(whole, body.as_bytes());
        }
    }
}
