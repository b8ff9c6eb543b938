//! How a buyer's token comes in: by a link, by a header of the shop's own app, by the cookie that a link
//! left. A token opens a buyer's own payments and nothing else, so it makes nobody an
//! [`Actor`](super::auth::Actor): whoever is signed in stays who they are.

use axum::{
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;

use super::{Web, auth::Cookie, error::Problem, pages::Look};
use crate::flow::buyer_links::{Buyer, TokenError};

/// A shop's own app sends its customer's token under this name.
pub const HEADER: &str = "x-buyer-token";
/// In a link it stands under this one.
pub const FIELD: &str = "token";

/// Here buyers see their own list, and the shop's people theirs: without a token, it is for these.
pub const LIST: &str = "/payment/mypage";

/// What brought the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Link,
    Header,
    Cookie,
}

/// What became of a request that may be a buyer's.
pub enum Came {
    /// It brought no token.
    Nobody,
    /// It is this buyer's; the line sets a cookie, where the token came by a header.
    Buyer(Buyer, Option<HeaderValue>),
    /// It is answered already: by the way to the address without the token, or by why not.
    Answered(Response),
}

fn in_link(parts: &Parts) -> Option<String> {
    let query = parts.uri.query()?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == FIELD)
        .map(|(_, token)| token.into_owned())
}

/// Path and query of a request, for links that lead back to it. An address with a token in it is never
/// written into a page.
pub fn here(parts: &Parts) -> String {
    match parts.uri.path_and_query() {
        Some(here) if in_link(parts).is_none() => here.to_string(),
        _ => parts.uri.path().to_owned(),
    }
}

/// The way to the same page without the token in its address.
pub fn without_token(parts: &Parts) -> Option<Response> {
    in_link(parts).map(|_| quiet(Redirect::to(parts.uri.path()).into_response()))
}

/// Nobody is told from where somebody came whose address held a token.
fn quiet(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}

/// Who comes, if it is a buyer.
pub fn arrive(web: &Web, parts: &Parts) -> Came {
    let header = parts.headers.get(HEADER);
    let (token, by) = if let Some(token) = in_link(parts) {
        (token, By::Link)
    } else if let Some(token) = header {
        (token.to_str().unwrap_or_default().to_owned(), By::Header)
    } else if let Some(token) = Cookie::Buyer.of(&parts.headers, &web.site) {
        (token, By::Cookie)
    } else {
        return Came::Nobody;
    };
    let now = web.ctx.store.now();
    match web.site.buyers.verify(&token, now) {
        Ok(buyer) => {
            let cookie = cookie(web, &token, buyer.until, now);
            match by {
                By::Cookie => Came::Buyer(buyer, None),
                By::Header => Came::Buyer(buyer, cookie),
                By::Link => {
                    let mut answer = quiet(Redirect::to(parts.uri.path()).into_response());
                    if let Some(line) = cookie {
                        answer.headers_mut().append(header::SET_COOKIE, line);
                    }
                    Came::Answered(answer)
                }
            }
        }
        Err(why) => {
            tracing::info!(%why, ?by, "a buyer's token was refused");
            let mut answer = quiet(Look::of(parts, web).problem(&refused(&why)));
            if by == By::Cookie
                && let Ok(line) = HeaderValue::from_str(&Cookie::Buyer.unset(&web.site))
            {
                answer.headers_mut().append(header::SET_COOKIE, line);
            }
            Came::Answered(answer)
        }
    }
}

/// The token moves into the browser, for as long as it is good.
fn cookie(web: &Web, token: &str, until: Timestamp, now: Timestamp) -> Option<HeaderValue> {
    let left = until.as_second().saturating_sub(now.as_second()).max(0);
    let lasts = std::time::Duration::from_secs(left.unsigned_abs());
    HeaderValue::from_str(&Cookie::Buyer.set(&web.site, token, lasts)).ok()
}

/// What a buyer is told: never which check failed, always what to do.
fn refused(why: &TokenError) -> Problem {
    match why {
        TokenError::Over => Problem::new(
            StatusCode::UNAUTHORIZED,
            "buyer-link",
            "이 링크는 기한이 지났습니다. 가게에 새 링크를 보내 달라고 하거나, 가게의 주문 화면에서 다시 들어와 주세요. 결제에는 아무 변화도 없습니다.",
            "This link is over. Ask the shop for a new one, or come in from the shop's own pages again. Nothing has changed about your payments.",
        ),
        _ => Problem::new(
            StatusCode::UNAUTHORIZED,
            "buyer-link",
            "이 링크로는 결제 내역을 열 수 없습니다. 주소가 잘렸을 수 있으니 받은 링크를 그대로 다시 누르거나, 가게에 새 링크를 보내 달라고 해 주세요.",
            "This link does not open any payments. It may have been cut short: press the link as you got it, or ask the shop for a new one.",
        ),
    }
}

/// Somebody at a buyer's page without a token.
pub fn link_needed() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "buyer-link",
        "내 결제는 가게가 보낸 링크로 열 수 있습니다. 받은 링크를 다시 누르거나 가게에 새 링크를 보내 달라고 해 주세요.",
        "Your payments open by a link that the shop sends you. Press it again, or ask the shop for a new one.",
    )
}
