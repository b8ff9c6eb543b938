//! Signing in and out, and the language switch.

use std::net::SocketAddr;

use axum::{
    Form,
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::layout::{Fields, Look, Page, field, layout, own_form, see_other};
use crate::web::{
    Web,
    auth::{self, own_path},
    error::Problem,
    lang::Lang,
};

/// Why the form is shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Token,
    Code,
    TooOften,
}

pub fn page(look: &Look, next: &str, refused: Option<Refused>) -> Markup {
    let lang = look.lang;
    let why = refused.map(|why| match why {
        Refused::Token => lang.t("토큰이 맞지 않습니다.", "This is not the token."),
        Refused::Code => lang.t(
            "이 로그인 링크는 더 이상 유효하지 않습니다. 토큰으로 로그인하세요.",
            "This sign-in link is no longer valid. Sign in with the token.",
        ),
        Refused::TooOften => lang.t(
            "시도가 너무 많습니다. 1분 뒤에 다시 시도하세요.",
            "Too many attempts: try again in a minute.",
        ),
    });
    let body = html! {
        section.sheet.narrow {
            h1 { (lang.t("로그인", "Sign in")) }
            p.soft { (lang.t(
                "처음 시작할 때 한 번 출력된 관리자 토큰을 붙여 넣으세요.",
                "Paste the admin token that was printed once, at the first start.",
            )) }
            @if let Some(why) = why { p.message.bad #why role="alert" { (why) } }
            form.stack method="post" action="/sign-in" data-once {
                input type="hidden" name="next" value=(next);
                // Lets a password manager keep it under a name.
                input.hidden type="text" name="user" value="admin" autocomplete="username" tabindex="-1" aria-hidden="true" readonly;
                label.field {
                    span { (lang.t("관리자 토큰", "Admin token")) }
                    input name="token" type="password" required autocomplete="current-password" autofocus
                        placeholder="jeongsan_…" maxlength="500" aria-describedby=[why.map(|_| "why")];
                }
                button.primary.wide { (lang.t("로그인", "Sign in")) }
            }
            p.soft.small { (lang.t("토큰을 잃어버렸다면: ", "Lost it? ")) code { "jeongsan token --reset" } }
        }
    };
    let page = Page {
        title: lang.t("로그인", "Sign in"),
        ..Page::default()
    };
    layout(look, page, body)
}

/// `GET /sign-in`: the form; with `code`, a link that is good for one use.
pub async fn form(
    State(web): State<Web>,
    look: Look,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    headers: HeaderMap,
    Query(query): Query<Fields>,
) -> Response {
    let next = own_path(field(&query, "next")).to_owned();
    let Some(code) = field(&query, "code") else {
        return page(&look, &next, None).into_response();
    };
    // What only looks ahead must not use the link up.
    if method != Method::GET
        || headers.contains_key("sec-purpose")
        || headers.contains_key("purpose")
    {
        return StatusCode::NO_CONTENT.into_response();
    }
    let result = with_code(&web, peer, &headers, code).await;
    match result {
        Ok(Ok(cookie)) => see_other(&next, Some(cookie)),
        Ok(Err(_)) if look.signed_in => see_other(&next, None),
        Ok(Err(refused)) => again(&look, &next, refused),
        Err(problem) => look.problem(&problem),
    }
}

async fn with_code(
    web: &Web,
    peer: SocketAddr,
    headers: &HeaderMap,
    code: &str,
) -> Result<Result<String, Refused>, Problem> {
    if !may_try(web, peer, headers) {
        return Ok(Err(Refused::TooOften));
    }
    if !auth::is_code(&web.ctx.store, code)? {
        return Ok(Err(Refused::Code));
    }
    Ok(Ok(open(web).await?))
}

fn may_try(web: &Web, peer: SocketAddr, headers: &HeaderMap) -> bool {
    let limits = &web.site.limits;
    limits.may_sign_in(limits.client(peer.ip(), headers))
}

async fn open(web: &Web) -> Result<String, Problem> {
    let site = &web.site;
    Ok(auth::sign_in(&web.ctx.store, site.session, site.secure_cookies()).await?)
}

fn again(look: &Look, next: &str, refused: Refused) -> Response {
    let status = match refused {
        Refused::TooOften => StatusCode::TOO_MANY_REQUESTS,
        Refused::Token | Refused::Code => StatusCode::UNAUTHORIZED,
    };
    (status, page(look, next, Some(refused))).into_response()
}

/// `POST /sign-in`
pub async fn sign_in(
    State(web): State<Web>,
    look: Look,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form): Form<Fields>,
) -> Response {
    let next = own_path(field(&form, "next"));
    let token = field(&form, "token").unwrap_or_default();
    let result = async {
        own_form(&web, &headers)?;
        if !may_try(&web, peer, &headers) {
            return Ok(Err(Refused::TooOften));
        }
        if !auth::is_token(&web.ctx.store, token)? {
            return Ok(Err(Refused::Token));
        }
        Ok::<_, Problem>(Ok(open(&web).await?))
    };
    match result.await {
        Ok(Ok(cookie)) => see_other(next, Some(cookie)),
        Ok(Err(refused)) => again(&look, next, refused),
        Err(problem) => look.problem(&problem),
    }
}

/// `POST /sign-out`
pub async fn sign_out(State(web): State<Web>, look: Look, headers: HeaderMap) -> Response {
    let result = async {
        own_form(&web, &headers)?;
        Ok::<_, Problem>(auth::sign_out(&web.ctx.store, &headers).await?)
    };
    look.answer(
        result
            .await
            .map(|cookie| see_other("/sign-in", Some(cookie))),
    )
}

/// `GET /lang?to=en&next=/path`: the language switch.
pub async fn lang_link(State(web): State<Web>, Query(query): Query<Fields>) -> Response {
    choose(&web, &query)
}

/// `POST /lang`: the same as a form.
pub async fn lang_form(State(web): State<Web>, Form(form): Form<Fields>) -> Response {
    choose(&web, &form)
}

fn choose(web: &Web, fields: &Fields) -> Response {
    let to = match field(fields, "to") {
        Some("en") => Lang::En,
        _ => Lang::Ko,
    };
    let secure = if web.site.secure_cookies() {
        "; Secure"
    } else {
        ""
    };
    let cookie = format!(
        "lang={}; Path=/; SameSite=Lax; Max-Age=31536000{secure}",
        to.code()
    );
    // A path of our own, and the start for whoever has none.
    let next = field(fields, "next").map_or("/", |next| own_path(Some(next)));
    see_other(next, Some(cookie))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_says_why_it_is_shown_again() {
        for lang in [Lang::Ko, Lang::En] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let fresh = page(&look, "/a?b=\"<x>", None).into_string();
            assert!(!fresh.contains("role=\"alert\"") && !fresh.contains("<x>"));
            for refused in [Refused::Token, Refused::Code, Refused::TooOften] {
                let text = page(&look, "/", Some(refused)).into_string();
                assert!(text.contains("role=\"alert\""));
            }
        }
    }
}
