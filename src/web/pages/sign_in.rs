//! Signing in and out, proving once more who one is, and the language switch.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use secrecy::{ExposeSecret, SecretString};

use super::layout::{Fields, Look, Page, field, layout, see_other};
use crate::{
    flow::sign_in::{self, Opened, Place, SignInError, new_secret},
    store::sessions::{self, Stage},
    web::{
        Web,
        auth::{self, Actor, Cookie, own_path},
        error::Problem,
        extract::{F, Q},
        lang::Lang,
        preferences,
    },
};

/// A browser is known again for so long after somebody signed in there.
const PLACE_LASTS: std::time::Duration = std::time::Duration::from_secs(90 * 24 * 3_600);

/// Why a form is shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Wrong,
    WrongCode,
    Link,
    Locked { seconds: u64 },
    TooOften,
}

impl Refused {
    fn sentence(self, lang: Lang) -> String {
        match self {
            Refused::Wrong => lang
                .t("이름과 비밀번호가 서로 맞지 않습니다.", "The name and the password do not belong together.")
                .to_owned(),
            Refused::WrongCode => lang
                .t(
                    "지금 인증 앱에 보이는 코드가 아닙니다. 코드는 한 번만 쓸 수 있으니 다음 코드를 입력하거나 복구 코드를 쓰세요.",
                    "This is not the code that the app shows now. A code counts once: enter the next one, or a recovery code.",
                )
                .to_owned(),
            Refused::Link => lang
                .t(
                    "이 로그인 링크는 더 이상 유효하지 않습니다. 이름과 비밀번호로 로그인하세요.",
                    "This sign-in link is no longer valid. Sign in with your name and password.",
                )
                .to_owned(),
            Refused::Locked { seconds } => {
                let wait = wait(seconds, lang);
                lang.t(
                    format!("잘못된 시도가 많아 잠시 잠갔습니다. {wait} 뒤에 다시 시도하세요. 전에 로그인한 기기에서는 바로 로그인할 수 있습니다."),
                    format!("Locked for a while after too many wrong tries: try again in {wait}. From a device that you signed in on before you can sign in now."),
                )
            }
            Refused::TooOften => lang
                .t(
                    "이 주소에서 시도가 너무 많습니다. 1분 뒤에 다시 시도하세요.",
                    "Too many attempts from this address: try again in a minute.",
                )
                .to_owned(),
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Refused::Locked { .. } | Refused::TooOften => StatusCode::TOO_MANY_REQUESTS,
            Refused::Wrong | Refused::WrongCode | Refused::Link => StatusCode::UNAUTHORIZED,
        }
    }

    fn retry_after(self) -> Option<u64> {
        match self {
            Refused::Locked { seconds } => Some(seconds),
            Refused::TooOften => Some(60),
            Refused::Wrong | Refused::WrongCode | Refused::Link => None,
        }
    }
}

fn wait(seconds: u64, lang: Lang) -> String {
    match seconds {
        0..90 => lang.t(format!("{seconds}초"), format!("{seconds} seconds")),
        _ => {
            let minutes = seconds.div_ceil(60);
            lang.t(format!("{minutes}분"), format!("{minutes} minutes"))
        }
    }
}

/// What signing in came to: go on, show the form again, or a problem.
type Tried<T> = Result<Result<T, Refused>, Problem>;

fn tried<T>(result: Result<T, SignInError>) -> Tried<T> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(SignInError::Wrong) => Ok(Err(Refused::Wrong)),
        Err(SignInError::WrongCode) => Ok(Err(Refused::WrongCode)),
        Err(SignInError::Locked { seconds }) => Ok(Err(Refused::Locked { seconds })),
        Err(error) => Err(Problem::from(error)),
    }
}

pub fn page(look: &Look, next: &str, name: &str, refused: Option<Refused>) -> Markup {
    let lang = look.lang;
    let body = html! {
        section.sheet.narrow {
            h1 { (lang.t("로그인", "Sign in")) }
            @if let Some(why) = refused { p.message.bad #why role="alert" { (why.sentence(lang)) } }
            form.stack method="post" action="/sign-in" data-once {
                input type="hidden" name="next" value=(next);
                label.field {
                    span { (lang.t("이름", "Name")) }
                    input name="name" required autocomplete="username" autocapitalize="none" spellcheck="false"
                        maxlength="40" value=(name) autofocus[name.is_empty()];
                }
                label.field {
                    span { (lang.t("비밀번호", "Password")) }
                    input name="password" type="password" required autocomplete="current-password" maxlength="200"
                        autofocus[!name.is_empty()] aria-describedby=[refused.map(|_| "why")];
                }
                button.primary.wide { (lang.t("로그인", "Sign in")) }
            }
            p.soft.small {
                (lang.t("비밀번호를 잊었다면 소유자에게 새 링크를 요청하세요. 소유자는 서버에서 ", "Forgotten? Ask an owner for a new link. An owner runs "))
                code { "jeongsan user reset" }
                (lang.t("을 실행합니다.", " on the server."))
            }
            @if next.starts_with(crate::web::buyers::LIST) {
                p.soft.small { (lang.t(
                    "구매자이신가요? 내 결제는 가게가 보낸 링크로 열립니다. 링크가 없다면 가게에 요청해 주세요.",
                    "Did you buy something? Your payments open by a link from the shop: ask it for one.",
                )) }
            }
        }
    };
    let page = Page {
        title: lang.t("로그인", "Sign in"),
        ..Page::default()
    };
    layout(look, page, body)
}

/// A form with one field: the authenticator's code, or the password once more.
fn one_field(
    look: &Look,
    title: &str,
    why: &str,
    action: &str,
    next: &str,
    password: bool,
    refused: Option<Refused>,
) -> Markup {
    let lang = look.lang;
    let body = html! {
        section.sheet.narrow {
            h1 { (title) }
            p.soft { (why) }
            @if let Some(why) = refused { p.message.bad #why role="alert" { (why.sentence(lang)) } }
            form.stack method="post" action=(action) data-once {
                input type="hidden" name="next" value=(next);
                @if password {
                    label.field {
                        span { (lang.t("비밀번호", "Password")) }
                        input name="given" type="password" required autofocus autocomplete="current-password"
                            maxlength="200" aria-describedby=[refused.map(|_| "why")];
                    }
                } @else {
                    label.field {
                        span { (lang.t("인증 코드 또는 복구 코드", "Code, or a recovery code")) }
                        input name="given" required autofocus autocomplete="one-time-code" inputmode="text"
                            autocapitalize="none" spellcheck="false" maxlength="40" placeholder="123456"
                            aria-describedby=[refused.map(|_| "why")];
                    }
                }
                button.primary.wide { (lang.t("확인", "Confirm")) }
            }
        }
    };
    let page = Page {
        title,
        ..Page::default()
    };
    layout(look, page, body)
}

fn code_page(look: &Look, next: &str, refused: Option<Refused>) -> Markup {
    let lang = look.lang;
    one_field(
        look,
        lang.t("2단계 인증", "Two-step sign-in"),
        lang.t(
            "인증 앱에 지금 보이는 여섯 자리 코드를 입력하세요.",
            "Enter the six digits that your authenticator app shows now.",
        ),
        "/sign-in/code",
        next,
        false,
        refused,
    )
}

fn again_page(look: &Look, next: &str, password: bool, refused: Option<Refused>) -> Markup {
    let lang = look.lang;
    one_field(
        look,
        lang.t("본인 확인", "Is it you?"),
        if password {
            lang.t(
                "돈이나 권한이 움직이는 일입니다. 비밀번호를 한 번 더 입력하세요. 5분 동안 다시 묻지 않습니다.",
                "Money or rights move here: enter your password once more. You are not asked again for five minutes.",
            )
        } else {
            lang.t(
                "돈이나 권한이 움직이는 일입니다. 인증 앱의 코드를 입력하세요. 5분 동안 다시 묻지 않습니다.",
                "Money or rights move here: enter the code of your authenticator app. You are not asked again for five minutes.",
            )
        },
        "/sign-in/again",
        next,
        password,
        refused,
    )
}

fn shown(page: Markup, refused: Refused) -> Response {
    let mut response = (refused.status(), page).into_response();
    if let Some(seconds) = refused.retry_after() {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// `GET /sign-in`: the form; with `code`, the demo's link.
pub async fn form(
    State(web): State<Web>,
    look: Look,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    headers: HeaderMap,
    Q(query): Q<Fields>,
) -> Response {
    let next = own_path(field(&query, "next")).to_owned();
    let Some(code) = field(&query, "code") else {
        return page(&look, &next, "", None).into_response();
    };
    // What only looks ahead must not sign anybody in.
    if method != Method::GET
        || headers.contains_key("sec-purpose")
        || headers.contains_key("purpose")
    {
        return StatusCode::NO_CONTENT.into_response();
    }
    let place = auth::place(&web, peer.ip(), &headers);
    let result = with_link(&web, peer, &headers, code, place.clone()).await;
    match result {
        Ok(Ok(opened)) => arrive(&web, &place, opened, &next),
        Ok(Err(_)) if look.signed_in => see_other(&next, None),
        Ok(Err(refused)) => shown(page(&look, &next, "", Some(refused)), refused),
        Err(problem) => look.problem(&problem),
    }
}

async fn with_link(
    web: &Web,
    peer: SocketAddr,
    headers: &HeaderMap,
    code: &str,
    place: Place,
) -> Tried<Opened> {
    if !may_try(web, peer, headers) {
        return Ok(Err(Refused::TooOften));
    }
    let Some(user) = auth::code_is_for(&web.ctx.store, code)? else {
        return Ok(Err(Refused::Link));
    };
    tried(sign_in::without_password(&web.ctx, user, place, web.site.lasts).await)
}

pub(super) fn may_try(web: &Web, peer: SocketAddr, headers: &HeaderMap) -> bool {
    let limits = &web.site.limits;
    limits.may_sign_in(limits.client(peer.ip(), headers))
}

/// Gives the browser its session, and leads on.
pub(super) fn arrive(web: &Web, place: &Place, opened: Opened, next: &str) -> Response {
    let site = &web.site;
    let to = if opened.needs_code {
        let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
        format!("/sign-in/code?{query}")
    } else {
        next.to_owned()
    };
    let secret = opened.secret.expose_secret();
    let mut response = see_other(
        &to,
        Some(Cookie::Session.set(site, secret, site.lasts.whole)),
    );
    if let Some(mark) = &place.mark
        && let Ok(line) = Cookie::Place.set(site, mark, PLACE_LASTS).parse()
    {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    if !opened.needs_code {
        let lines = preferences::lines_of(web, opened.user).unwrap_or_default();
        for line in lines.iter().filter_map(|line| line.parse().ok()) {
            response.headers_mut().append(header::SET_COOKIE, line);
        }
    }
    response
}

/// The browser's own mark, made where it has none: signing in makes it a known place.
pub(super) fn marked(place: Place) -> Place {
    let mark = place
        .mark
        .filter(|mark| mark.len() == 64 && mark.bytes().all(|b| b.is_ascii_hexdigit()))
        .unwrap_or_else(|| new_secret().expose_secret().to_owned());
    Place {
        mark: Some(mark),
        ..place
    }
}

/// `POST /sign-in`
pub async fn sign_in(
    State(web): State<Web>,
    look: Look,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    F(form): F<Fields>,
) -> Response {
    let next = own_path(field(&form, "next"));
    let name = field(&form, "name").unwrap_or_default();
    // As it was typed: a password may begin or end with a space.
    let password = form.get("password").cloned().unwrap_or_default();
    let place = marked(auth::place(&web, peer.ip(), &headers));
    let result = async {
        if !may_try(&web, peer, &headers) {
            return Ok(Err(Refused::TooOften));
        }
        let lasts = web.site.lasts;
        let opened =
            sign_in::with_password(&web.ctx, name, password.into(), place.clone(), lasts).await;
        let opened = tried(opened)?;
        if opened.is_ok() {
            end_former(&web, &headers).await?;
        }
        Ok::<_, Problem>(opened)
    };
    match result.await {
        Ok(Ok(opened)) => arrive(&web, &place, opened, next),
        Ok(Err(refused)) => shown(page(&look, next, name, Some(refused)), refused),
        Err(problem) => look.problem(&problem),
    }
}

/// The session that the browser had is over: a new sign-in never goes on with an old secret.
async fn end_former(web: &Web, headers: &HeaderMap) -> Result<(), Problem> {
    if let Some(secret) = Cookie::Session.of(headers, &web.site) {
        web.ctx
            .store
            .write(move |tx| sessions::close(tx, &secret))
            .await?;
    }
    Ok(())
}

/// `GET /sign-in/code`
pub async fn code_form(
    State(web): State<Web>,
    look: Look,
    headers: HeaderMap,
    Q(query): Q<Fields>,
) -> Response {
    let next = own_path(field(&query, "next"));
    match auth::session(&web, &headers, Stage::Code) {
        Ok(Some(_)) => code_page(&look, next, None).into_response(),
        Ok(None) if look.signed_in => see_other(next, None),
        Ok(None) => see_other("/sign-in", None),
        Err(error) => look.problem(&error.into()),
    }
}

/// `POST /sign-in/code`
pub async fn code(
    State(web): State<Web>,
    look: Look,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    F(form): F<Fields>,
) -> Response {
    let next = own_path(field(&form, "next"));
    let given = field(&form, "given").unwrap_or_default();
    let place = marked(auth::place(&web, peer.ip(), &headers));
    let result = async {
        let half = auth::session(&web, &headers, Stage::Code)?;
        let secret = Cookie::Session.of(&headers, &web.site);
        let (Some(half), Some(secret)) = (half, secret) else {
            return Ok(None);
        };
        if !may_try(&web, peer, &headers) {
            return Ok(Some(Err(Refused::TooOften)));
        }
        let lasts = web.site.lasts;
        let opened =
            sign_in::with_code(&web.ctx, &half, secret.into(), given, place.clone(), lasts).await;
        Ok::<_, Problem>(Some(tried(opened)?))
    };
    match result.await {
        Ok(Some(Ok(opened))) => arrive(&web, &place, opened, next),
        Ok(Some(Err(refused))) => shown(code_page(&look, next, Some(refused)), refused),
        Ok(None) => see_other("/sign-in", None),
        Err(problem) => look.problem(&problem),
    }
}

/// `GET /sign-in/again`
pub async fn again_form(look: Look, actor: Actor, Q(query): Q<Fields>) -> Response {
    let next = own_path(field(&query, "next"));
    let password = actor.person().is_none_or(|session| !session.has_totp);
    again_page(&look, next, password, None).into_response()
}

/// `POST /sign-in/again`
pub async fn again(
    State(web): State<Web>,
    look: Look,
    actor: Actor,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    F(form): F<Fields>,
) -> Response {
    let next = own_path(field(&form, "next"));
    let given: SecretString = form.get("given").cloned().unwrap_or_default().into();
    let Some(session) = actor.person() else {
        return look.problem(&Problem::forbidden(""));
    };
    let place = auth::place(&web, peer.ip(), &headers);
    let result = async {
        if !may_try(&web, peer, &headers) {
            return Ok(Err(Refused::TooOften));
        }
        tried(sign_in::prove(&web.ctx, session, given, place).await)
    };
    match result.await {
        Ok(Ok(())) => see_other(next, None),
        Ok(Err(refused)) => {
            let page = again_page(&look, next, !session.has_totp, Some(refused));
            shown(page, refused)
        }
        Err(problem) => look.problem(&problem),
    }
}

/// `POST /sign-out`
pub async fn sign_out(
    State(web): State<Web>,
    look: Look,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let ended = match Cookie::Session.of(&headers, &web.site) {
        Some(secret) => {
            let place = auth::place(&web, peer.ip(), &headers);
            sign_in::sign_out(&web.ctx, secret.into(), place).await
        }
        None => Ok(()),
    };
    look.answer(
        ended
            .map_err(Problem::from)
            .map(|()| see_other("/sign-in", Some(Cookie::Session.unset(&web.site)))),
    )
}

/// `GET /lang?to=en&next=/path`: the language switch.
pub async fn lang_link(State(web): State<Web>, look: Look, Q(query): Q<Fields>) -> Response {
    choose(&web, &look, &query).await
}

/// `POST /lang`: the same as a form.
pub async fn lang_form(State(web): State<Web>, look: Look, F(form): F<Fields>) -> Response {
    choose(&web, &look, &form).await
}

async fn choose(web: &Web, look: &Look, fields: &Fields) -> Response {
    let to = match field(fields, "to") {
        Some("en") => Lang::En,
        _ => Lang::Ko,
    };
    let kept = preferences::remember(web, look.actor.as_ref(), Some(to.code()), None).await;
    if let Err(error) = kept {
        return look.problem(&error.into());
    }
    let cookie = preferences::line(&web.site, "lang", to.code());
    // A path of our own, and the start for whoever has none.
    let next = field(fields, "next").map_or("/", |next| own_path(Some(next)));
    see_other(next, Some(cookie))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_say_why_they_are_shown_again() {
        for lang in [Lang::Ko, Lang::En] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let fresh = page(&look, "/a?b=\"<x>", "<n>", None).into_string();
            assert!(!fresh.contains("role=\"alert\"") && !fresh.contains("<x>"));
            assert!(!fresh.contains("<n>"));
            for refused in [
                Refused::Wrong,
                Refused::WrongCode,
                Refused::Link,
                Refused::Locked { seconds: 120 },
                Refused::TooOften,
            ] {
                for text in [
                    page(&look, "/", "", Some(refused)),
                    code_page(&look, "/", Some(refused)),
                    again_page(&look, "/", true, Some(refused)),
                ] {
                    assert!(text.into_string().contains("role=\"alert\""));
                }
            }
        }
        let locked = Refused::Locked { seconds: 61 };
        assert!(locked.sentence(Lang::En).contains("61 seconds"));
        assert_eq!(locked.retry_after(), Some(61));
    }
}
