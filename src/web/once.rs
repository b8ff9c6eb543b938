//! `Idempotency-Key` on everything in the API that writes: the same request again is answered as the
//! first one was, and nothing is done twice, over a crash too.
//!
//! The wish is written down before its handler runs. The first transaction that the handler commits
//! marks it as touched, in that same transaction ([`crate::store::Store::write`]), so that after a crash it is known
//! whether anything of it was carried out. If nothing was, it may run again; if something was and no
//! answer was kept, the outcome is unknown, and that is what is answered.
//!
//! A cancel and an adjustment take their key down into their own tables, where it does the same and more:
//! the answer is how things stand *now*. They pass through.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Web, error::Problem, extract::LARGEST_BODY, lang::Lang};
use crate::store::{
    Store, StoreError,
    acting::{self, Acting},
    asked_once::{self, Answer, Stands, Wish},
};

/// The header that names a wish.
pub const HEADER: &str = "idempotency-key";
/// Stands on an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Bytes of an answer that are kept. Of a longer one the status is, and where to look.
pub const LARGEST_ANSWER: usize = 256 << 10;

/// Headers of an answer that belong to what it says.
const KEPT: [HeaderName; 3] = [
    header::CONTENT_TYPE,
    header::CONTENT_LANGUAGE,
    header::LOCATION,
];

/// A file of partners, adjustments or a bank's results, and the wrapping of a form.
const LARGEST_UPLOAD: usize = (20 << 20) + LARGEST_BODY;

/// Wishes that are being carried out, with what each asks for.
#[derive(Default)]
pub struct UnderWay(Mutex<HashMap<Wish, String>>);

/// A wish's place among them, given back when its handler is over, however it ends.
struct Place {
    under_way: Arc<UnderWay>,
    wish: Wish,
}

impl UnderWay {
    fn enter(self: &Arc<Self>, wish: &Wish, fingerprint: &str) -> Result<Place, Problem> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.entry(wish.clone()) {
            Entry::Occupied(same) if same.get() == fingerprint => Err(in_flight()),
            Entry::Occupied(_) => Err(Problem::key_reused()),
            Entry::Vacant(free) => {
                free.insert(fingerprint.to_owned());
                Ok(Place {
                    under_way: self.clone(),
                    wish: wish.clone(),
                })
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self
            .under_way
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.wish);
    }
}

fn in_flight() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "idempotency-in-flight",
        "같은 요청이 지금 처리되고 있습니다. 잠시 후 같은 Idempotency-Key로 다시 물으면 그 결과를 받습니다.",
        "The same request is being carried out right now: ask again in a moment under the same Idempotency-Key, and you get its outcome.",
    )
    .after(1)
}

/// A refusal whose words are not kept: they were too long, or were forgotten with the buyer whom they may have named.
fn refused_before(status: StatusCode) -> Problem {
    Problem::new(
        status,
        "idempotency-refused-before",
        "이 요청은 전에 거절되었습니다. 그때의 답은 너무 길거나 오래되어 보관하지 않습니다. 아직 필요하면 새 Idempotency-Key로 보내세요.",
        "This request was refused before. What was answered then is not kept: it was too long, or is too old. If it is still needed send it under a new Idempotency-Key.",
    )
}

fn unknown(parts: &Parts) -> Problem {
    let see = resource(parts.uri.path());
    Problem::new(
        StatusCode::CONFLICT,
        "idempotency-outcome-unknown",
        format!("이 요청은 시작되었지만 서버가 멈추어 결과를 남기지 못했습니다. 다시 실행하지 않았습니다. `{see}`에서 지금 상태를 확인하고, 아직 필요하면 새 Idempotency-Key로 보내세요."),
        format!("This request was begun, and its outcome was lost when the server stopped; it was not run again. Look at `{see}` how things stand, and if it is still needed send it under a new Idempotency-Key."),
    )
    .with("see", see)
}

/// Where to look what became of a request: the path without the act at its end.
fn resource(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((
            of,
            "archive" | "recover" | "hold" | "release" | "retry" | "reopen" | "result" | "call-off"
            | "import",
        )) => of,
        _ => path,
    }
}

/// Whether a request writes, as far as its route says. The full cancel of old is a GET that does.
pub fn writes(method: &Method, route: &str) -> bool {
    !method.is_safe() || route == "/api/payment/cancel/{imp_uid}"
}

/// Routes that keep a key in tables of their own.
fn keeps_its_own(method: &Method, route: &str) -> bool {
    *method == Method::POST && matches!(route, "/api/payment/{imp_uid}/cancel" | "/api/adjustments")
}

/// Routes that come to the same however often they run, whatever happened in between: an order once
/// registered stays as it is, and of a full cancel asked twice the second changes nothing.
fn may_run_again(method: &Method, route: &str) -> bool {
    route == "/api/payment/cancel/{imp_uid}" || (*method == Method::POST && route == "/api/orders")
}

/// The key of a request, if it has one. PortOne V2 and the IETF draft write it in quotes; both spellings
/// are one key.
pub fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim().trim_matches('"');
    let printable = text.bytes().all(|b| (0x20..0x7f).contains(&b));
    if text.is_empty() || text.len() > 255 || !printable {
        return Err(Problem::wrong_idempotency_key());
    }
    Ok(Some(text.to_owned()))
}

/// Runs a request that writes, once per key. Without a key it simply runs.
pub async fn run(
    web: &Web,
    acting: Acting,
    route: &str,
    parts: Parts,
    body: Body,
    next: Next,
) -> Response {
    let lang = Lang::of(&parts.headers);
    match begin(web, acting, route, parts, body, next).await {
        Ok(response) => response,
        Err(problem) => problem.lang(lang).into_response(),
    }
}

async fn begin(
    web: &Web,
    acting: Acting,
    route: &str,
    parts: Parts,
    body: Body,
    next: Next,
) -> Result<Response, Problem> {
    let Some(key) = key(&parts.headers)? else {
        return Ok(acting::scope(acting, next.run(Request::from_parts(parts, body))).await);
    };
    let store = web.ctx.store.clone();
    let wish = Wish {
        who: acting.by.to_owned(),
        key,
    };
    if keeps_its_own(&parts.method, route) {
        if store.read(|conn| asked_once::is_taken(conn, &wish))? {
            return Err(Problem::key_reused());
        }
        return Ok(acting::scope(acting, next.run(Request::from_parts(parts, body))).await);
    }
    let body = axum::body::to_bytes(body, LARGEST_UPLOAD)
        .await
        .map_err(|_| Problem::too_large(LARGEST_UPLOAD))?;
    let fingerprint = fingerprint(&parts, &body);
    let place = web.site.under_way.enter(&wish, &fingerprint)?;
    let again = may_run_again(&parts.method, route);
    let asked = format!("{} {}", parts.method, parts.uri);
    let stands = store
        .write(move |tx| asked_once::reserve(tx, &wish, &fingerprint, &asked))
        .await?;
    let row = match stands {
        Stands::Open(row) => row,
        Stands::Touched(row) if again => row,
        Stands::Touched(_) => return Err(unknown(&parts)),
        Stands::Answered(answer) => return Ok(replayed(answer, &parts)),
        Stands::Other => return Err(Problem::key_reused()),
    };
    let acting = Acting {
        once: Some(row),
        ..acting
    };
    let request = Request::from_parts(parts, Body::from(body));
    // In a task of its own: a caller that hangs up must not leave the wish half carried out.
    let run = tokio::spawn(async move {
        let response = acting::scope(acting, next.run(request)).await;
        let kept = keep(&store, row, response).await;
        drop(place);
        kept
    });
    run.await.unwrap_or_else(|died| {
        tracing::error!(%died, "a request under an idempotency key broke off");
        Err(Problem::internal())
    })
}

/// What a request asks for: method, address and body.
fn fingerprint(parts: &Parts, body: &Bytes) -> String {
    let kind = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut hasher = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    field(parts.method.as_str().as_bytes());
    let address = parts.uri.path_and_query().map(|at| at.as_str());
    field(address.unwrap_or_default().as_bytes());
    // The mark between a form's parts is another one each time that it is sent.
    match kind.split_once("boundary=") {
        Some((_, mark)) if kind.starts_with("multipart/") => {
            let mark = mark
                .split(';')
                .next()
                .unwrap_or(mark)
                .trim()
                .trim_matches('"');
            field(&without(body, mark.as_bytes()));
        }
        _ => field(body),
    }
    hex::encode(hasher.finalize())
}

/// All bytes but each `mark`.
fn without(bytes: &[u8], mark: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        if !mark.is_empty() && rest.starts_with(mark) {
            rest = &rest[mark.len()..];
        } else {
            out.push(rest[0]);
            rest = &rest[1..];
        }
    }
    out
}

/// Whether an answer says that nothing was done, and when it may be: too often, not allowed yet, waits for a
/// second person. The wish is then as if it had not been sent.
fn is_not_now(response: &Response) -> bool {
    let status = response.status();
    status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::FORBIDDEN
        || status.is_client_error() && response.headers().contains_key(header::RETRY_AFTER)
}

/// Keeps the answer before anybody sees it.
async fn keep(store: &Store, row: i64, response: Response) -> Result<Response, Problem> {
    if is_not_now(&response) {
        store
            .write(move |tx| asked_once::untouched(tx, row))
            .await?;
        return Ok(response);
    }
    // What broke off inside says nothing of what was done before: it is asked about, and not run again.
    if response.status().is_server_error() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .map_err(|_| Problem::internal())?;
    let headers: Vec<(&str, &str)> = KEPT
        .iter()
        .filter_map(|name| Some((name.as_str(), parts.headers.get(name)?.to_str().ok()?)))
        .collect();
    let answer = Answer {
        status: parts.status.as_u16(),
        headers: json!(headers).to_string(),
        body: (body.len() <= LARGEST_ANSWER).then(|| body.to_vec()),
    };
    for wait in [0, 20, 100, 500] {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let answer = answer.clone();
        let kept: Result<(), StoreError> = store
            .write(move |tx| asked_once::answered(tx, row, &answer))
            .await;
        match kept {
            Ok(()) => break,
            // The caller gets the answer all the same; who asks again is told that it is not known.
            Err(error) => {
                tracing::warn!(%error, row, "an answer was not kept under its idempotency key")
            }
        }
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// The answer that was given before.
fn replayed(answer: Answer, parts: &Parts) -> Response {
    let headers: Vec<(String, String)> = serde_json::from_str(&answer.headers).unwrap_or_default();
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    // Where its words are not kept, these are ours, in the language of whoever asks now.
    let ours = answer.body.is_none();
    let mut response = match answer.body {
        Some(body) => (status, body).into_response(),
        None if status == StatusCode::NO_CONTENT => status.into_response(),
        None if !status.is_success() => refused_before(status)
            .lang(Lang::of(&parts.headers))
            .into_response(),
        None => {
            let see = headers
                .iter()
                .find(|(name, _)| name == header::LOCATION.as_str())
                .map_or_else(|| resource(parts.uri.path()), |(_, at)| at.as_str());
            (status, axum::Json(json!({ "done": true, "see": see }))).into_response()
        }
    };
    let out = response.headers_mut();
    for (name, value) in &headers {
        let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) else {
            continue;
        };
        if !(ours && [header::CONTENT_TYPE, header::CONTENT_LANGUAGE].contains(&name)) {
            out.insert(name, value);
        }
    }
    out.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(kind: &str, path: &str) -> Parts {
        let request = Request::builder()
            .method("POST")
            .uri(path)
            .header("content-type", kind)
            .body(())
            .unwrap();
        request.into_parts().0
    }

    #[test]
    fn a_request_is_itself_and_no_other() {
        let json = "application/json";
        let of = |kind: &str, path: &str, body: &str| {
            fingerprint(&parts(kind, path), &Bytes::copy_from_slice(body.as_bytes()))
        };
        let one = of(json, "/a", "{}");
        assert_eq!(one, of(json, "/a", "{}"));
        for (path, body) in [
            ("/a", "{ }"),
            ("/a?dry_run=true", "{}"),
            ("/b", "{}"),
            ("/a{", "}"),
        ] {
            assert_ne!(one, of(json, path, body), "{path} {body}");
        }
        let form = |mark: &str, value: &str| {
            let body = format!("--{mark}\r\nname=\"file\"\r\n\r\n{value}\r\n--{mark}--");
            of(
                &format!("multipart/form-data; boundary={mark}"),
                "/a",
                &body,
            )
        };
        assert_eq!(form("xYz1", "a,b"), form("qq22", "a,b"));
        assert_ne!(form("xYz1", "a,b"), form("xYz1", "a,c"));
    }

    #[test]
    fn a_key_is_printable_and_its_quotes_do_not_count() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_str(text).unwrap());
            key(&headers)
        };
        assert_eq!(of("\"a-1\"").unwrap().as_deref(), Some("a-1"));
        assert_eq!(of(" a-1 ").unwrap().as_deref(), Some("a-1"));
        assert_eq!(key(&HeaderMap::new()).unwrap(), None);
        for wrong in ["", "\"\"", "가", &"x".repeat(256)] {
            assert_eq!(of(wrong).unwrap_err().kind, "idempotency-key", "{wrong}");
        }
    }

    #[test]
    fn one_place_per_wish() {
        let all = Arc::new(UnderWay::default());
        let wish = |who: &str| Wish {
            who: who.into(),
            key: "k".into(),
        };
        let first = all.enter(&wish("a"), "f");
        assert!(first.is_ok());
        assert_eq!(
            all.enter(&wish("a"), "f").err().unwrap().kind,
            "idempotency-in-flight"
        );
        assert_eq!(
            all.enter(&wish("a"), "g").err().unwrap().kind,
            "idempotency-key-reused"
        );
        assert!(all.enter(&wish("b"), "g").is_ok());
        drop(first);
        assert!(all.enter(&wish("a"), "g").is_ok());
    }

    #[test]
    fn where_to_look_is_what_the_act_was_done_to() {
        assert_eq!(resource("/api/payouts/3/call-off"), "/api/payouts/3");
        assert_eq!(resource("/api/partners/farm"), "/api/partners/farm");
    }
}
