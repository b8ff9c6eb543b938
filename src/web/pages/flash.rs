//! One sentence that outlives a redirect: what was just done, shown once on the page that comes next.
//!
//! It travels in a cookie of the browser that did it, so that no address can put words into our mouth,
//! and a page that was loaded again does not say it again.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use url::form_urlencoded;

use super::{layout::see_other, parts::Tone};
use crate::web::{Web, lang::cookie};

const COOKIE: &str = "flash";
/// A sentence, and no more: a cookie has little room.
const LONGEST: usize = 200;

/// What was just done, and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flash {
    pub tone: Tone,
    pub text: String,
}

impl Flash {
    /// The sentence that the request brings along. A part of a page that is fetched alone shows none.
    pub fn of(headers: &HeaderMap) -> Option<Flash> {
        if headers.contains_key("hx-request") {
            return None;
        }
        let value = cookie(headers, COOKIE)?;
        let (tone, text) = form_urlencoded::parse(value.as_bytes()).next()?;
        let tone = Tone::ALL.into_iter().find(|own| own.as_str() == tone)?;
        let text: String = text.chars().take(LONGEST).collect();
        (!text.is_empty()).then_some(Flash { tone, text })
    }

    fn cookie(&self, secure: bool) -> String {
        let text: String = self.text.chars().take(LONGEST).collect();
        let value: String = form_urlencoded::Serializer::new(String::new())
            .append_pair(self.tone.as_str(), &text)
            .finish();
        let secure = if secure { "; Secure" } else { "" };
        format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=60{secure}")
    }
}

/// A redirect after which the page says `text`, once.
pub fn see_other_saying(web: &Web, to: &str, tone: Tone, text: impl Into<String>) -> Response {
    let flash = Flash {
        tone,
        text: text.into(),
    };
    see_other(to, Some(flash.cookie(web.site.secure_cookies())))
}

/// Takes the sentence back from the browser once a page has said it.
pub async fn forget(request: Request, next: Next) -> Response {
    let said = Flash::of(request.headers()).is_some();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let page = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let again = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .any(|cookie| cookie.as_bytes().starts_with(b"flash="));
    if said && page && !again {
        headers.append(
            header::SET_COOKIE,
            HeaderValue::from_static("flash=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"),
        );
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brought(line: &str) -> Option<Flash> {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, line.parse().unwrap());
        Flash::of(&headers)
    }

    #[test]
    fn a_sentence_comes_back_as_it_was_said() {
        for text in ["보류를 풀었습니다.", "a=b; c & <d>", "₩1,000 → 2"] {
            let flash = Flash {
                tone: Tone::Good,
                text: text.into(),
            };
            let cookie = flash.cookie(true);
            assert!(
                cookie.is_ascii() && cookie.ends_with("; Secure"),
                "{cookie}"
            );
            let line = format!("a=b; {}", cookie.split(';').next().unwrap());
            assert_eq!(brought(&line), Some(flash));
        }
    }

    #[test]
    fn what_is_no_sentence_of_ours_is_not_shown() {
        for line in [
            "flash=",
            "flash=good=",
            "flash=huge=x",
            "flash=%ff",
            "other=1",
        ] {
            assert_eq!(brought(line), None, "{line}");
        }
        let long = brought(&format!("flash=bad={}", "x".repeat(4_000))).unwrap();
        assert_eq!(long.text.len(), LONGEST);
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "flash=bad=x".parse().unwrap());
        headers.insert("hx-request", "true".parse().unwrap());
        assert_eq!(Flash::of(&headers), None);
    }
}
