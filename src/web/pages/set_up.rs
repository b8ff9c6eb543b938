//! Choosing a password by a link: the first owner, a new account, one that was reset.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    layout::{Fields, Look, Page, field, layout},
    sign_in::{arrive, marked, may_try},
};
use crate::{
    domain::account::{PASSWORD, UserName},
    flow::{
        manage_users::{self, LinkIsFor, UserError},
        sign_in,
    },
    store::acting::{self, Acting},
    web::{
        Web,
        auth::{self, HOME},
        error::Problem,
        extract::{F, Q},
    },
};

fn page(look: &Look, code: &str, is_for: &LinkIsFor, name: &str, wrong: Option<&str>) -> Markup {
    let lang = look.lang;
    let (title, why) = match is_for {
        LinkIsFor::FirstOwner => (
            lang.t("소유자 계정 만들기", "Make the owner's account"),
            lang.t(
                "이 서버의 첫 계정입니다. 소유자는 모든 것을 볼 수 있고, 다른 사람을 초대합니다.",
                "The first account of this server. The owner sees everything, and invites the others.",
            ),
        ),
        LinkIsFor::User(_) => (
            lang.t("비밀번호 정하기", "Choose a password"),
            lang.t(
                "이 링크는 한 번만 쓸 수 있습니다. 정하고 나면 바로 로그인됩니다.",
                "This link works once. You are signed in as soon as you have chosen.",
            ),
        ),
    };
    let body = html! {
        section.sheet.narrow {
            h1 { (title) }
            p.soft { (why) }
            @if let Some(wrong) = wrong { p.message.bad #why role="alert" { (wrong) } }
            form.stack method="post" action="/set-up" data-once {
                input type="hidden" name="code" value=(code);
                @match is_for {
                    LinkIsFor::FirstOwner => label.field {
                        span { (lang.t("로그인 이름", "Sign-in name")) }
                        input name="name" required autofocus autocomplete="username" autocapitalize="none"
                            spellcheck="false" maxlength="40" value=(name) placeholder="minji";
                        small { (lang.t("영문 소문자로 시작하는 2~40자: 소문자, 숫자, -, _, .", "2 to 40 small letters, digits, -, _ or ., beginning with a letter")) }
                    },
                    LinkIsFor::User(user) => label.field {
                        span { (lang.t("로그인 이름", "Sign-in name")) }
                        input name="name" readonly autocomplete="username" value=(user.name);
                    },
                }
                label.field {
                    span { (lang.t("비밀번호", "Password")) }
                    input name="password" type="password" required autocomplete="new-password"
                        minlength=(PASSWORD.start()) maxlength=(PASSWORD.end()) aria-describedby=[wrong.map(|_| "why")];
                    small { (lang.t("8자 이상. 서로 상관없는 낱말 몇 개를 이어 쓰면 길고 외우기 쉽습니다.", "At least 8 characters. A few words that do not belong together are long and easy to keep in mind.")) }
                }
                label.field {
                    span { (lang.t("비밀번호 다시", "Once more")) }
                    input name="again" type="password" required autocomplete="new-password" maxlength=(PASSWORD.end());
                }
                button.primary.wide { (lang.t("정하고 시작하기", "Choose and begin")) }
            }
        }
    };
    let page = Page {
        title,
        ..Page::default()
    };
    layout(look, page, body)
}

/// `GET /set-up?code=…`
pub async fn form(
    State(web): State<Web>,
    look: Look,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Q(query): Q<Fields>,
) -> Response {
    let code = field(&query, "code").unwrap_or_default();
    if !may_try(&web, peer, &headers) {
        return look.problem(&Problem::too_many(60));
    }
    match manage_users::link_is_for(&web.ctx.store, code) {
        Ok(is_for) => page(&look, code, &is_for, "", None).into_response(),
        Err(error) => look.problem(&error.into()),
    }
}

/// `POST /set-up`
pub async fn choose(
    State(web): State<Web>,
    look: Look,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    F(form): F<Fields>,
) -> Response {
    let code = field(&form, "code").unwrap_or_default();
    let name = field(&form, "name").unwrap_or_default();
    let typed = |name: &str| form.get(name).cloned().unwrap_or_default();
    let (password, again) = (typed("password"), typed("again"));
    if !may_try(&web, peer, &headers) {
        return look.problem(&Problem::too_many(60));
    }
    let store = &web.ctx.store;
    let is_for = match manage_users::link_is_for(store, code) {
        Ok(is_for) => is_for,
        Err(error) => return look.problem(&error.into()),
    };
    let wrong = |sentence: &str| {
        let page = page(&look, code, &is_for, name, Some(sentence));
        (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
    };
    if password != again {
        return wrong(look.lang.t(
            "두 비밀번호가 서로 다릅니다. 같은 것을 두 번 입력하세요.",
            "The two passwords differ: type the same one twice.",
        ));
    }
    let place = marked(auth::place(&web, peer.ip(), &headers));
    // Whoever has the link is that person, from here on.
    let by = match &is_for {
        LinkIsFor::FirstOwner => UserName::new(name).map(|name| name.mention()),
        LinkIsFor::User(user) => Ok(format!("@{}", user.name)),
    };
    let acting = Acting {
        by: by.map_or("set-up link", |by| acting::name(&by)),
        origin: place.address.as_str().into(),
        once: None,
    };
    let chosen =
        manage_users::choose_password(store, code.to_owned().into(), name, password.into());
    let user = match acting::scope(acting, chosen).await {
        Ok(user) => user,
        Err(error @ UserError::Account(_)) => {
            let problem = Problem::from(error);
            return wrong(problem.sentence(look.lang));
        }
        Err(error) => return look.problem(&error.into()),
    };
    let next = match is_for {
        // An owner without an authenticator is the one account worth guessing at.
        LinkIsFor::FirstOwner => "/account?new=1",
        LinkIsFor::User(_) => HOME,
    };
    match sign_in::without_password(&web.ctx, user, place.clone(), web.site.lasts).await {
        Ok(opened) => arrive(&web, &place, opened, next),
        Err(error) => look.problem(&error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::lang::Lang;

    #[test]
    fn the_form_says_whose_account_it_is_and_escapes_what_was_typed() {
        for lang in [Lang::Ko, Lang::En] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let text =
                page(&look, "\"<c>", &LinkIsFor::FirstOwner, "<n>", Some("no")).into_string();
            assert!(!text.contains("<c>") && !text.contains("<n>"));
            assert!(text.contains("role=\"alert\""));
        }
    }
}
