//! `/account`: a person's own account: password, authenticator, signed-in browsers, language, colours.

mod totp;

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    layout::{Fields, Look, Page, Part, field, layout, nothing, see_other},
    sign_in::may_try,
    theme::Theme,
    users::role_words,
    words,
};
use crate::{
    domain::account::PASSWORD,
    flow::{
        manage_users::{self, UserError},
        sign_in::{self, SignInError},
    },
    store::{
        StoreError,
        accounts::{self, User},
        sessions::{self, Listed, Session},
    },
    web::{
        Web,
        auth::{self, Actor, FRESH},
        error::Problem,
        extract::{F, Q},
        lang::Lang,
        preferences,
    },
};

/// Pages for who is signed in, about themselves.
pub fn routes() -> Router<Web> {
    Router::new()
        .route("/account", get(show))
        .route("/account/look", post(look_form))
        .route("/account/password", get(password_form).post(password))
        .route("/account/sessions", post(revoke_others))
        .route("/account/sessions/{id}", post(revoke))
        .route("/account/totp", get(totp::form).post(totp::confirm))
        .route("/account/totp/codes", post(totp::new_codes))
        .route("/account/totp/remove", post(totp::remove))
}

pub(super) fn page_of(title: &str) -> Page<'_> {
    Page {
        title,
        part: Part::Account,
        ..Page::default()
    }
}

pub(super) fn back(lang: Lang) -> Markup {
    html! { p.crumb { a href="/account" { "← " (lang.t("내 계정", "My account")) } } }
}

/// The person whose session it is. Programs have no account.
pub(super) fn me(actor: &Actor) -> Result<&Session, Problem> {
    actor.person().ok_or_else(|| Problem::forbidden(""))
}

struct View<'a> {
    user: &'a User,
    codes_left: i64,
    sessions: &'a [Listed],
    /// The session that looks.
    here: &'a str,
    now: Timestamp,
    theme: Theme,
    did: Option<&'a str>,
    is_new: bool,
}

fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let user = view.user;
    let title = lang.t("내 계정", "My account");
    let body = html! {
        div.head {
            h1 { (title) }
            p.states { (words::tag("plain", "◉", role_words(user.role, lang), user.role.as_str())) }
        }
        (done(view.did, lang))
        @if view.is_new && !user.has_totp {
            section.sheet aria-labelledby="welcome" {
                h2 #welcome { (lang.t("이 서버의 소유자가 되셨습니다", "You own this server now")) }
                p { (lang.t(
                    "소유자는 모든 것을 할 수 있는 계정입니다. 지금 인증 앱을 더해 두면 비밀번호를 알아낸 사람도 들어올 수 없습니다. 1분이면 됩니다.",
                    "An owner may do everything. With an authenticator app, somebody who learns your password still cannot get in. It takes a minute.",
                )) }
                p.acts {
                    a.button href="/" { (lang.t("나중에 하기", "Later")) }
                    a.button.primary href="/account/totp" { (lang.t("인증 앱 추가", "Add an authenticator")) }
                }
            }
        }
        div.two {
            div.stack {
                (signing_in(user, view.codes_left, lang))
                (sessions_part(view, lang))
            }
            div.stack {
                section.sheet aria-labelledby="who" {
                    h2 #who { (lang.t("계정", "Account")) }
                    dl.facts {
                        dt { (lang.t("로그인 이름", "Sign-in name")) } dd { strong { (user.name) } }
                        dt { (lang.t("역할", "Role")) } dd { (role_words(user.role, lang)) }
                        @if let Some(partner) = &user.partner { dt { (lang.t("파트너사", "Partner")) } dd { code { (partner) } } }
                        dt { (lang.t("만든 때", "Since")) } dd { (words::time(user.created_at)) }
                    }
                }
                (look_part(look, view.theme))
            }
        }
    };
    layout(look, page_of(title), body)
}

fn done(did: Option<&str>, lang: Lang) -> Markup {
    let text = match did {
        Some("password") => lang.t(
            "비밀번호를 바꿨습니다. 다른 기기에서는 모두 로그아웃되었습니다.",
            "The password is changed. All other devices are signed out.",
        ),
        Some("totp-removed") => lang.t(
            "인증 앱을 지웠습니다. 이제 비밀번호만으로 로그인합니다.",
            "The authenticator is removed. From now on the password alone signs you in.",
        ),
        Some("revoked") => lang.t(
            "그 기기에서 로그아웃했습니다.",
            "That device is signed out.",
        ),
        Some("revoked-others") => lang.t(
            "이 기기를 빼고 모두 로그아웃했습니다.",
            "All devices but this one are signed out.",
        ),
        Some("look") => lang.t(
            "저장했습니다. 다른 기기에서 로그인해도 이대로 보입니다.",
            "Saved. It comes along to other devices on which you sign in.",
        ),
        _ => return nothing(),
    };
    html! { p.message.good role="status" { (text) } }
}

fn signing_in(user: &User, codes_left: i64, lang: Lang) -> Markup {
    html! {
        section.sheet aria-labelledby="ways" {
            h2 #ways { (lang.t("로그인 방법", "How you sign in")) }
            ul.lines {
                li {
                    span.grow { strong { (lang.t("비밀번호", "Password")) } }
                    a.button.small href="/account/password" { (lang.t("바꾸기", "Change")) }
                }
                li {
                    span.grow {
                        strong { (lang.t("인증 앱", "Authenticator app")) } br;
                        span.soft.small {
                            @if user.has_totp {
                                (lang.t(
                                    format!("켜져 있습니다. 남은 복구 코드 {codes_left}개"),
                                    format!("On. Recovery codes left: {codes_left}"),
                                ))
                            } @else {
                                (lang.t("꺼져 있습니다. 비밀번호만 있으면 누구나 로그인할 수 있습니다.", "Off. Whoever has the password can sign in."))
                            }
                        }
                        @if user.has_totp && codes_left < 3 {
                            br; span.small.wait-text { (lang.t("복구 코드가 얼마 남지 않았습니다. 새로 만들어 두세요.", "Few recovery codes are left: make new ones.")) }
                        }
                    }
                    a.button.small href="/account/totp" {
                        @if user.has_totp { (lang.t("관리", "Manage")) } @else { (lang.t("더하기", "Add")) }
                    }
                }
            }
        }
    }
}

fn sessions_part(view: &View<'_>, lang: Lang) -> Markup {
    let others = view.sessions.iter().any(|session| session.id != view.here);
    html! {
        section.sheet aria-labelledby="sessions" {
            h2 #sessions { (lang.t("로그인한 기기", "Signed-in devices")) }
            ul.lines {
                @for session in view.sessions {
                    li {
                        span.grow {
                            strong { (device(&session.agent, lang)) }
                            @if session.id == view.here { " " span.mini { (lang.t("이 기기", "this one")) } }
                            br;
                            span.soft.small {
                                code { (session.address) } " · "
                                (lang.t("마지막 사용 ", "last used ")) (words::age(session.seen_at, view.now, lang)) " · "
                                (lang.t("로그인 ", "signed in ")) (words::short_time(session.created_at))
                            }
                        }
                        @if session.id != view.here {
                            form method="post" action={ "/account/sessions/" (session.id) } {
                                button.small { (lang.t("로그아웃", "Sign out")) span.hidden { " " (device(&session.agent, lang)) " " (session.address) } }
                            }
                        }
                    }
                }
            }
            @if others {
                form.acts method="post" action="/account/sessions" data-once {
                    button { (lang.t("다른 기기 모두 로그아웃", "Sign out all other devices")) }
                }
            } @else {
                p.soft.small { (lang.t("다른 기기에서는 로그인되어 있지 않습니다.", "You are signed in nowhere else.")) }
            }
        }
    }
}

fn look_part(look: &Look, theme: Theme) -> Markup {
    let lang = look.lang;
    let option = |code: &str, chosen: bool, text: &str| {
        html! { option value=(code) selected[chosen] { (text) } }
    };
    html! {
        section.sheet aria-labelledby="look" {
            h2 #look { (lang.t("화면", "Pages")) }
            form.stack method="post" action="/account/look" {
                label.field {
                    span { (lang.t("언어", "Language")) }
                    select name="lang" {
                        (option("ko", lang == Lang::Ko, "한국어"))
                        (option("en", lang == Lang::En, "English"))
                    }
                }
                label.field {
                    span { (lang.t("화면 색", "Colours")) }
                    select name="theme" {
                        @for one in Theme::ALL { (option(one.code(), one == theme, one.words(lang))) }
                    }
                }
                button { (lang.t("저장", "Save")) }
            }
        }
    }
}

/// What a browser calls itself, as a person would: `Chrome · Windows`.
pub(super) fn device(agent: &str, lang: Lang) -> String {
    let first = |known: &[(&str, &'static str)]| {
        let mut found = known.iter().filter(|(mark, _)| agent.contains(mark));
        found.next().map(|(_, name)| *name)
    };
    // The special ones before those whose names they carry as well.
    let browser = first(&[
        ("Edg", "Edge"),
        ("Whale/", "Whale"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("KAKAOTALK", "KakaoTalk"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "Mac"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} · {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) if agent.trim().is_empty() => {
            lang.t("알 수 없는 기기", "Unknown device").to_owned()
        }
        (None, None) => agent.chars().take(40).collect(),
    }
}

/// `GET /account`
async fn show(State(web): State<Web>, actor: Actor, look: Look, Q(query): Q<Fields>) -> Response {
    look.answer(shown(&web, &actor, &look, &query))
}

fn shown(web: &Web, actor: &Actor, look: &Look, query: &Fields) -> Result<Response, Problem> {
    let session = me(actor)?;
    let now = web.ctx.store.now();
    let id = session.user;
    let idle = web.site.lasts.idle;
    let found = web.ctx.store.read(|conn| {
        let user = accounts::by_id(conn, id)?;
        let left = accounts::recovery_left(conn, id)?;
        let mut listed = sessions::of_user(conn, id, now.as_millisecond())?;
        // One that was idle for too long opens nothing any more.
        let asleep = now.as_millisecond() - idle.as_millis() as i64;
        listed.retain(|one| one.seen_at.as_millisecond() > asleep);
        Ok::<_, StoreError>(user.map(|user| (user, left, listed)))
    })?;
    let (user, codes_left, listed) = found.ok_or_else(|| Problem::not_found(&session.name))?;
    let view = View {
        user: &user,
        codes_left,
        sessions: &listed,
        here: &session.id,
        now,
        theme: look.theme,
        did: field(query, "did"),
        is_new: field(query, "new").is_some(),
    };
    Ok(page(look, &view).into_response())
}

/// `POST /account/look`
async fn look_form(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    F(form): F<Fields>,
) -> Response {
    let chosen = |name: &str| field(&form, name).unwrap_or_default();
    let lang = preferences::known(preferences::LANGS, chosen("lang"));
    let theme = preferences::known(preferences::THEMES, chosen("theme"));
    if let Err(error) = preferences::remember(&web, Some(&actor), lang, theme).await {
        return look.problem(&error.into());
    }
    let mut response = see_other("/account?did=look", None);
    for (name, value) in [("lang", lang), ("theme", theme)] {
        let line = value.map(|value| preferences::line(&web.site, name, value));
        if let Some(Ok(line)) = line.map(|line| line.parse()) {
            response.headers_mut().append(header::SET_COOKIE, line);
        }
    }
    response
}

fn password_page(look: &Look, name: &str, wrong: Option<&str>) -> Markup {
    let lang = look.lang;
    let title = lang.t("비밀번호 바꾸기", "Change the password");
    let body = html! {
        (back(lang))
        section.sheet.narrow {
            h1 { (title) }
            p.soft { (lang.t(
                "바꾸면 다른 기기에서는 모두 로그아웃됩니다.",
                "All other devices are signed out by it.",
            )) }
            @if let Some(wrong) = wrong { p.message.bad #why role="alert" { (wrong) } }
            form.stack method="post" action="/account/password" data-once {
                input.hidden name="username" autocomplete="username" readonly tabindex="-1" aria-hidden="true" value=(name);
                label.field {
                    span { (lang.t("지금 비밀번호", "Present password")) }
                    input name="present" type="password" required autofocus autocomplete="current-password"
                        maxlength="200" aria-describedby=[wrong.map(|_| "why")];
                }
                label.field {
                    span { (lang.t("새 비밀번호", "New password")) }
                    input name="password" type="password" required autocomplete="new-password"
                        minlength=(PASSWORD.start()) maxlength=(PASSWORD.end());
                    small { (lang.t("8자 이상. 서로 상관없는 낱말 몇 개를 이어 쓰면 길고 외우기 쉽습니다.", "At least 8 characters. A few words that do not belong together are long and easy to keep in mind.")) }
                }
                label.field {
                    span { (lang.t("새 비밀번호 다시", "Once more")) }
                    input name="again" type="password" required autocomplete="new-password" maxlength=(PASSWORD.end());
                }
                button.primary.wide { (lang.t("바꾸기", "Change it")) }
            }
        }
    };
    layout(look, page_of(title), body)
}

/// `GET /account/password`
async fn password_form(actor: Actor, look: Look) -> Response {
    let page = me(&actor).map(|session| password_page(&look, &session.name, None).into_response());
    look.answer(page)
}

/// `POST /account/password`
async fn password(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    F(form): F<Fields>,
) -> Response {
    let place = auth::place(&web, peer.ip(), &headers);
    let typed = |name: &str| form.get(name).cloned().unwrap_or_default();
    let result = async {
        let session = me(&actor)?;
        let wrong = |status: StatusCode, sentence: &str| {
            let page = password_page(&look, &session.name, Some(sentence));
            Ok((status, page).into_response())
        };
        if !may_try(&web, peer, &headers) {
            return Err(Problem::too_many(60));
        }
        let present = typed("present").into();
        match sign_in::prove_by_password(&web.ctx, session, present, &place).await {
            Ok(()) => {}
            Err(error @ (SignInError::Wrong | SignInError::Locked { .. })) => {
                let problem = Problem::from(error);
                let sentence = match problem.status {
                    StatusCode::UNAUTHORIZED => look.lang.t(
                        "지금 비밀번호가 맞지 않습니다.",
                        "This is not your present password.",
                    ),
                    _ => problem.sentence(look.lang),
                };
                return wrong(problem.status, sentence);
            }
            Err(error) => return Err(error.into()),
        }
        if typed("password") != typed("again") {
            let differ = look.lang.t(
                "새로 입력한 두 비밀번호가 서로 다릅니다. 같은 것을 두 번 입력하세요.",
                "The two new passwords differ: type the same one twice.",
            );
            return wrong(StatusCode::UNPROCESSABLE_ENTITY, differ);
        }
        let changed = manage_users::change_password(
            &web.ctx.store,
            session.user,
            &session.name,
            typed("password").into(),
            &session.id,
        );
        match changed.await {
            Ok(()) => Ok(see_other("/account?did=password", None)),
            Err(error @ UserError::Account(_)) => {
                let problem = Problem::from(error);
                wrong(problem.status, problem.sentence(look.lang))
            }
            Err(error) => Err(error.into()),
        }
    };
    look.answer(result.await)
}

/// `POST /account/sessions/{id}`
async fn revoke(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
) -> Response {
    let result = async {
        let session = me(&actor)?;
        let (store, user) = (&web.ctx.store, session.user);
        match manage_users::end_session(store, user, &session.name, &id).await? {
            true => Ok(see_other("/account?did=revoked", None)),
            false => Err(Problem::not_found(&id)),
        }
    };
    look.answer(result.await)
}

/// `POST /account/sessions`
async fn revoke_others(State(web): State<Web>, actor: Actor, look: Look) -> Response {
    let result = async {
        let session = me(&actor)?;
        let (store, user) = (&web.ctx.store, session.user);
        manage_users::end_other_sessions(store, user, &session.name, &session.id).await?;
        Ok(see_other("/account?did=revoked-others", None))
    };
    look.answer(result.await)
}

/// How long somebody is asked nothing again, in words.
pub(super) fn fresh_minutes() -> u64 {
    FRESH.as_secs() / 60
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::Role;

    fn shown(lang: Lang, has_totp: bool, left: i64, others: bool) -> String {
        let at = "2026-08-06T01:00:00Z".parse().unwrap();
        let user = User {
            id: 1,
            name: "minji".into(),
            role: Role::Owner,
            partner: None,
            has_password: true,
            has_totp,
            created_at: at,
            created_by: "cli".into(),
            signed_in_at: None,
            disabled_at: None,
            lang: None,
            theme: None,
        };
        let one = |id: &str| Listed {
            id: id.into(),
            created_at: at,
            seen_at: at,
            expires_at: at,
            address: "10.0.0.1".into(),
            agent: "<script>".into(),
        };
        let mut listed = vec![one("here")];
        if others {
            listed.push(one("there"));
        }
        let look = Look {
            lang,
            ..Look::default()
        };
        let view = View {
            user: &user,
            codes_left: left,
            sessions: &listed,
            here: "here",
            now: at,
            theme: Theme::Auto,
            did: Some("look"),
            is_new: true,
        };
        page(&look, &view).into_string()
    }

    #[test]
    fn it_says_how_one_signs_in_and_where_one_is_signed_in() {
        for (lang, few, invited) in [
            (Lang::Ko, "얼마 남지", "인증 앱 추가"),
            (Lang::En, "Few recovery codes", "Add an authenticator"),
        ] {
            let with = shown(lang, true, 2, true);
            assert!(with.contains(few) && !with.contains(invited));
            assert!(with.contains("/account/sessions/there"));
            assert!(!with.contains("/account/sessions/here") && !with.contains("<script>;"));
            let without = shown(lang, false, 0, false);
            assert!(without.contains(invited) && !without.contains(few));
            assert!(!without.contains("action=\"/account/sessions\""));
            assert!(without.contains("&lt;script&gt;"));
        }
    }

    #[test]
    fn a_browser_is_called_by_its_name() {
        let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
        for (agent, name) in [
            (chrome.to_owned(), "Chrome · Windows"),
            (format!("{chrome} Edg/142.0"), "Edge · Windows"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1".to_owned(), "Safari · iPhone"),
            ("curl/8.5.0".to_owned(), "curl/8.5.0"),
            (String::new(), "Unknown device"),
        ] {
            assert_eq!(device(&agent, Lang::En), name, "{agent}");
        }
    }
}
