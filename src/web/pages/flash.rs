//! One sentence that outlives a redirect: what was just done, shown once on the page that comes next.
//!
//! It travels in a cookie of the browser that did it, so that no address can put words into our mouth,
//! and a page that was loaded again does not say it again.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use url::form_urlencoded;

use super::{layout::see_other, parts::Tone};
use crate::web::{Site, Web, auth::Cookie};

/// A sentence, and no more: a cookie has little room.
const LONGEST: usize = 200;
/// For a redirect and the page that it leads to.
const LASTS: Duration = Duration::from_secs(60);

/// What was just done, and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flash {
    pub tone: Tone,
    pub text: String,
}

impl Flash {
    /// The sentence that the request brings along. A part of a page that is fetched alone shows none.
    pub fn of(headers: &HeaderMap, site: &Site) -> Option<Flash> {
        if headers.contains_key("hx-request") {
            return None;
        }
        Flash::read(&Cookie::Flash.of(headers, site)?)
    }

    fn read(value: &str) -> Option<Flash> {
        let (tone, text) = form_urlencoded::parse(value.as_bytes()).next()?;
        let tone = Tone::ALL.into_iter().find(|own| own.as_str() == tone)?;
        let text: String = text.chars().take(LONGEST).collect();
        (!text.is_empty()).then_some(Flash { tone, text })
    }

    fn write(&self) -> String {
        let text: String = self.text.chars().take(LONGEST).collect();
        form_urlencoded::Serializer::new(String::new())
            .append_pair(self.tone.as_str(), &text)
            .finish()
    }
}

/// A redirect after which the page says `text`, once.
pub fn see_other_saying(web: &Web, to: &str, tone: Tone, text: impl Into<String>) -> Response {
    let flash = Flash {
        tone,
        text: text.into(),
    };
    see_other(
        to,
        Some(Cookie::Flash.set(&web.site, &flash.write(), LASTS)),
    )
}

/// Takes the sentence back from the browser once a page has said it.
pub async fn forget(State(web): State<Web>, request: Request, next: Next) -> Response {
    let said = Flash::of(request.headers(), &web.site).is_some();
    let mut response = next.run(request).await;
    if !said {
        return response;
    }
    let headers = response.headers_mut();
    let page = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if let (true, Ok(gone)) = (page, Cookie::Flash.unset(&web.site).parse()) {
        headers.append(header::SET_COOKIE, gone);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_comes_back_as_it_was_said() {
        for text in ["보류를 풀었습니다.", "a=b; c & <d>", "₩1,000 → 2"] {
            let flash = Flash {
                tone: Tone::Good,
                text: text.into(),
            };
            let value = flash.write();
            let fits = |c: char| c.is_ascii_graphic() && !";,\"\\".contains(c);
            assert!(value.chars().all(fits), "{value}");
            assert_eq!(Flash::read(&value), Some(flash));
        }
    }

    #[test]
    fn what_is_no_sentence_of_ours_is_not_shown() {
        for value in ["", "good=", "huge=x", "%ff", "good"] {
            assert_eq!(Flash::read(value), None, "{value}");
        }
        let long = Flash::read(&format!("bad={}", "x".repeat(4_000))).unwrap();
        assert_eq!(long.text.len(), LONGEST);
    }
}
