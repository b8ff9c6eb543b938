//! Parts of a request that may be wrong, and then are told as everything else is: to programs as a
//! problem, to people as a page.

use axum::{
    Form,
    body::Bytes,
    extract::{FromRef, FromRequest, FromRequestParts, Query, Request},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;

use super::{Web, error::Problem, lang::Lang, pages::Look};

/// Bytes of a body where a route says nothing else.
pub const LARGEST_BODY: usize = 1 << 20;

/// Levels of a JSON body. Nothing that we take has ten.
pub const DEEPEST: usize = 64;

/// Whether JSON is nested deeper than anything that means something.
pub fn too_deep(json: &[u8]) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

/// The query of an address.
pub struct Q<T>(pub T);

/// What a form sent.
pub struct F<T>(pub T);

/// A body of at most so many bytes: as many as its route takes.
pub struct Body<const MOST: usize = LARGEST_BODY>(pub Bytes);

/// A problem as whoever asked can read it.
fn told(problem: Problem, parts: &Parts, web: &Web) -> Response {
    if parts.uri.path().starts_with("/api/") {
        return problem.lang(Lang::of(&parts.headers)).into_response();
    }
    Look::of(parts, web).problem(&problem)
}

/// Why a body of at most `most` bytes could not be read.
pub fn body_unread(status: StatusCode, most: usize) -> Problem {
    let broken_off = Problem::bad_request(
        "요청 본문이 끝까지 도착하지 않았습니다. 다시 보내 주세요.",
        "The body did not arrive whole: send it again.",
    );
    unread(status, most, broken_off)
}

fn unread(status: StatusCode, most: usize, what: Problem) -> Problem {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(most),
        StatusCode::REQUEST_TIMEOUT => Problem::too_slow(),
        _ => what,
    }
}

impl<S, T> FromRequestParts<S> for Q<T>
where
    Web: FromRef<S>,
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Q<T>, Response> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Q(query)),
            Err(error) => {
                let why = error.body_text();
                let problem = Problem::bad_request(
                    format!(
                        "주소의 `?` 뒤를 읽을 수 없습니다({why}). 항목마다 한 번씩만 적어 주세요."
                    ),
                    format!(
                        "What follows `?` in the address cannot be read ({why}): write each field once."
                    ),
                );
                Err(told(problem, parts, &Web::from_ref(state)))
            }
        }
    }
}

impl<S, T> FromRequest<S> for F<T>
where
    Web: FromRef<S>,
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<F<T>, Response> {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts.clone(), body);
        match Form::<T>::from_request(request, state).await {
            Ok(Form(form)) => Ok(F(form)),
            Err(error) => {
                let why = error.body_text();
                let problem = Problem::bad_request(
                    format!(
                        "양식을 읽을 수 없습니다({why}). 페이지를 새로 고친 뒤 다시 보내 주세요."
                    ),
                    format!(
                        "The form cannot be read ({why}): load the page again, and send it again."
                    ),
                );
                let problem = unread(error.status(), LARGEST_BODY, problem);
                Err(told(problem, &parts, &Web::from_ref(state)))
            }
        }
    }
}

impl<S, const MOST: usize> FromRequest<S> for Body<MOST>
where
    Web: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Body<MOST>, Response> {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts.clone(), body);
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Body(bytes)),
            Err(error) => {
                let problem = body_unread(error.status(), MOST);
                Err(told(problem, &parts, &Web::from_ref(state)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_inside_of_a_text_are_no_levels() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(!too_deep(nested(64).as_bytes()) && too_deep(nested(65).as_bytes()));
        let text = format!("{{\"a\":\"\\\"{}\"}}", "[{".repeat(100));
        assert!(!too_deep(text.as_bytes()), "{text}");
        let many = "[{}],".repeat(1_000);
        assert!(!too_deep(many.as_bytes()));
    }
}
