//! `/admin/users`: who may sign in, as what, and what each role may.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use maud::{Markup, html};
use secrecy::{ExposeSecret, SecretString};

use super::{
    account::device,
    layout::{Fields, Look, Page, Part, field, layout, nothing, see_other, segment},
    parts, words,
};
use crate::{
    domain::{
        account::{Right, Role, UserName},
        ids::PartnerId,
    },
    flow::manage_users::{self, UserError},
    store::{
        StoreError,
        accounts::{self, User},
        orders,
        sessions::{self, Listed},
    },
    web::{
        Web,
        auth::Actor,
        error::Problem,
        extract::{F, Q},
        lang::Lang,
    },
};

/// Pages for who manages people.
pub fn routes() -> Router<Web> {
    Router::new()
        .route("/admin/users", get(list).post(add))
        .route("/admin/users/{name}", get(show))
        .route("/admin/users/{name}/role", post(role))
        .route("/admin/users/{name}/disable", post(disable))
        .route("/admin/users/{name}/enable", post(enable))
        .route("/admin/users/{name}/reset", post(reset))
        .route("/admin/users/{name}/sessions", post(end_sessions))
}

fn page_of(title: &str) -> Page<'_> {
    Page {
        title,
        part: Part::People,
        ..Page::default()
    }
}

pub(super) fn role_words(role: Role, lang: Lang) -> &'static str {
    match role {
        Role::Owner => lang.t("소유자", "Owner"),
        Role::Operator => lang.t("운영자", "Operator"),
        Role::Accountant => lang.t("회계 담당", "Accountant"),
        Role::Viewer => lang.t("보기 전용", "Viewer"),
        Role::Partner => lang.t("파트너사", "Partner"),
    }
}

/// What a role is for, in a sentence.
fn role_why(role: Role, lang: Lang) -> &'static str {
    match role {
        Role::Owner => lang.t(
            "모든 것을 하고, 사람과 설정을 관리합니다.",
            "Does everything, and manages people and settings.",
        ),
        Role::Operator => lang.t(
            "결제를 보고 취소하며 데드레터를 처리합니다. 정산은 보기만 합니다.",
            "Looks after payments, cancels and dead letters; only sees settlements.",
        ),
        Role::Accountant => lang.t(
            "정산·지급·파트너사·계약을 맡고 파일을 내려받습니다. 결제는 보기만 합니다.",
            "Looks after settlements, payouts, partners and contracts, and takes files away; only sees payments.",
        ),
        Role::Viewer => lang.t(
            "개인정보를 가린 채 보기만 합니다. 파일도 내려받지 못합니다.",
            "Only looks, with personal data masked, and takes no files away.",
        ),
        Role::Partner => lang.t(
            "자기 파트너사의 정산과 정산내역서만 봅니다.",
            "Sees the settlements and statements of its own partner, and nothing else.",
        ),
    }
}

/// What a right lets one do.
pub(super) fn right_words(right: Right, lang: Lang) -> &'static str {
    match right {
        Right::PaymentsRead => lang.t("주문·결제 보기", "See orders and payments"),
        Right::PaymentsCancel => lang.t("결제 취소", "Cancel payments"),
        Right::OrdersWrite => lang.t("주문 등록", "Register orders"),
        Right::JobsRead => lang.t("작업·데드레터·알림 보기", "See jobs, dead letters, alerts"),
        Right::JobsWrite => lang.t("작업·데드레터 처리", "Act on jobs and dead letters"),
        Right::SettlementsRead => lang.t("정산·지급 보기", "See settlements and payouts"),
        Right::SettlementsWrite => lang.t("정산·보류·조정", "Settle, hold, adjust"),
        Right::PayoutsWrite => lang.t("지급·은행 파일·달력", "Payouts, bank files, the calendar"),
        Right::PartnersRead => lang.t("파트너사 보기", "See partners"),
        Right::PartnersWrite => lang.t("파트너사·계약 바꾸기", "Change partners and contracts"),
        Right::Export => lang.t("파일 내려받기", "Take files away"),
        Right::PersonalRead => lang.t(
            "개인정보 열람(사유 기록)",
            "See personal data, with a reason that is kept",
        ),
        Right::AuditRead => lang.t("감사 로그 보기", "See the audit log"),
        Right::Manage => lang.t("사람·키·설정 관리", "Manage people, keys and settings"),
        Right::OwnSettlements => lang.t("자기 정산 보기", "See its own settlements"),
    }
}

fn user_path(name: &str) -> String {
    format!("/admin/users/{}", segment(name))
}

/// Whether somebody can sign in, and by what.
fn state(user: &User, lang: Lang) -> Markup {
    let (tone, sign, text, code) = match (&user.disabled_at, user.has_password, user.has_totp) {
        (Some(_), _, _) => ("bad", "‖", lang.t("사용 중지", "Disabled"), "disabled"),
        (None, false, _) => (
            "wait",
            "◷",
            lang.t("링크를 아직 안 씀", "Link not used yet"),
            "invited",
        ),
        (None, true, true) => (
            "good",
            "✓",
            lang.t("비밀번호 + 인증 앱", "Password and app"),
            "totp",
        ),
        (None, true, false) => (
            "plain",
            "–",
            lang.t("비밀번호만", "Password only"),
            "password",
        ),
    };
    words::tag(tone, sign, text, code)
}

struct ListView<'a> {
    users: &'a [User],
    /// Behind whom the next page begins.
    next: Option<&'a str>,
    partners: &'a [(String, String)],
    now: Timestamp,
    typed: &'a Fields,
    wrong: Option<&'a str>,
}

fn list_page(look: &Look, view: &ListView<'_>) -> Markup {
    let lang = look.lang;
    let title = lang.t("사용자", "Users");
    let body = html! {
        div.head { h1 { (title) } }
        section.stack aria-label=(title) {
            table.rows {
                thead { tr {
                    th scope="col" { (lang.t("이름", "Name")) }
                    th scope="col" { (lang.t("역할", "Role")) }
                    th scope="col" { (lang.t("로그인", "Sign-in")) }
                    th scope="col" { (lang.t("마지막 로그인", "Last signed in")) }
                    th scope="col" { span.hidden { (lang.t("할 일", "Actions")) } }
                } }
                tbody { @for user in view.users {
                    tr {
                        td.what { a.main href=(user_path(&user.name)) { (user.name) } }
                        td.method { (role_words(user.role, lang)) @if let Some(partner) = &user.partner { " " code.small { (partner) } } }
                        td.state { (state(user, lang)) }
                        td.when { @match user.signed_in_at { Some(at) => (words::age(at, view.now, lang)), None => "–" } }
                        td.act { a.button.small href=(user_path(&user.name)) { (lang.t("보기", "Open")) span.hidden { " " (user.name) } } }
                    }
                } }
            }
            (parts::pager(lang, None, view.next.map(|next| format!("/admin/users?after={}", segment(next))).as_deref()))
        }
        (add_form(view, lang))
        (matrix(lang))
    };
    layout(look, page_of(title), body)
}

fn role_choice(chosen: &str, lang: Lang) -> Markup {
    html! {
        fieldset.fields {
            legend { (lang.t("역할", "Role")) }
            div.stack {
                @for role in Role::ALL {
                    label.check {
                        input type="radio" name="role" value=(role.as_str()) required checked[role.as_str() == chosen];
                        span { strong { (role_words(role, lang)) } " – " (role_why(role, lang)) }
                    }
                }
            }
        }
    }
}

fn partner_choice(partners: &[(String, String)], chosen: &str, lang: Lang) -> Markup {
    html! {
        label.field {
            span { (lang.t("파트너사 (파트너사 역할에만)", "Partner (for that role only)")) }
            input name="partner" list="partners" maxlength="100" autocomplete="off" value=(chosen);
            datalist #partners { @for (id, name) in partners { option value=(id) { (name) } } }
        }
    }
}

fn add_form(view: &ListView<'_>, lang: Lang) -> Markup {
    let value = |name: &str| field(view.typed, name).unwrap_or_default();
    html! {
        section.sheet aria-labelledby="add" {
            h2 #add { (lang.t("사용자 추가", "Add somebody")) }
            @if let Some(wrong) = view.wrong { p.message.bad #why role="alert" { (wrong) } }
            form.stack method="post" action="/admin/users" data-once {
                label.field {
                    span { (lang.t("로그인 이름", "Sign-in name")) }
                    input name="name" required maxlength="40" autocomplete="off" autocapitalize="none" spellcheck="false"
                        value=(value("name")) placeholder="minji" aria-describedby=[view.wrong.map(|_| "why")];
                    small { (lang.t("영문 소문자로 시작하는 2~40자: 소문자, 숫자, -, _, .", "2 to 40 small letters, digits, -, _ or ., beginning with a letter")) }
                }
                (role_choice(value("role"), lang))
                (partner_choice(view.partners, value("partner"), lang))
                button.primary { (lang.t("추가하고 링크 만들기", "Add, and make the link")) }
            }
        }
    }
}

/// Which role has which rights, as the program itself has it.
fn matrix(lang: Lang) -> Markup {
    html! {
        section.sheet aria-labelledby="matrix" {
            h2 #matrix { (lang.t("역할과 권한", "Roles and rights")) }
            div.wide-table tabindex="0" role="region" aria-label=(lang.t("권한 표", "Table of rights")) {
                table.plain.matrix {
                    thead { tr {
                        th scope="col" { (lang.t("권한", "Right")) }
                        @for role in Role::ALL { th scope="col" { (role_words(role, lang)) } }
                    } }
                    tbody { @for right in Right::ALL { tr {
                        th scope="row" { (right_words(right, lang)) " " code.soft.small { (right.as_str()) } }
                        @for role in Role::ALL {
                            td { @if role.rights().has(right) {
                                span.good-text { "✓" span.hidden { (lang.t("있음", "yes")) } }
                            } @else {
                                span.soft { span aria-hidden="true" { "·" } span.hidden { (lang.t("없음", "no")) } }
                            } }
                        }
                    } } }
                }
            }
        }
    }
}

/// The link is shown this once, to whoever made it.
fn link_page(look: &Look, name: &str, link: &str, was_reset: bool) -> Markup {
    let lang = look.lang;
    let title = lang.t("비밀번호를 정하는 링크", "The link to choose a password");
    let body = html! {
        section.sheet.narrow {
            h1 { (title) }
            p.message.good role="status" {
                @if was_reset {
                    (lang.t(format!("{name} 계정을 초기화했습니다. 비밀번호, 인증 앱, 로그인한 기기가 모두 지워졌습니다."),
                        format!("{name}'s account is reset: password, authenticator and signed-in devices are gone.")))
                } @else {
                    (lang.t(format!("{name} 계정을 더했습니다."), format!("{name} is added.")))
                }
            }
            p { strong { (lang.t("지금만 보입니다.", "It is shown this once.")) } " " (lang.t(
                "이 링크를 본인에게만 전해 주세요. 한 시간 안에 한 번 쓸 수 있습니다.",
                "Give it to that person alone. It works once, within an hour.",
            )) }
            label.field {
                span { (lang.t("링크", "Link")) }
                input.copy readonly autofocus value=(link);
            }
            p.acts { a.button href=(user_path(name)) { (lang.t("전했습니다", "I have passed it on")) } }
        }
    };
    layout(look, page_of(title), body)
}

struct OneView<'a> {
    user: &'a User,
    partners: &'a [(String, String)],
    sessions: &'a [Listed],
    now: Timestamp,
    did: Option<&'a str>,
    wrong: Option<&'a str>,
}

fn done(did: Option<&str>, lang: Lang) -> Markup {
    let text = match did {
        Some("role") => lang.t(
            "역할을 바꿨습니다. 로그인한 기기에서는 모두 로그아웃되었습니다.",
            "The role is changed, and all devices are signed out.",
        ),
        Some("disable") => lang.t(
            "사용을 중지했습니다. 바로 로그아웃되었고 다시 로그인할 수 없습니다.",
            "The account is disabled: signed out at once, and no way in.",
        ),
        Some("enable") => lang.t("다시 로그인할 수 있습니다.", "They can sign in again."),
        Some("sessions") => lang.t(
            "모든 기기에서 로그아웃했습니다.",
            "All devices are signed out.",
        ),
        _ => return nothing(),
    };
    html! { p.message.good role="status" { (text) } }
}

fn one_page(look: &Look, view: &OneView<'_>) -> Markup {
    let lang = look.lang;
    let user = view.user;
    let path = user_path(&user.name);
    let form = |act: &str, class: &str, title: &str, why: &str, button: &str| {
        html! {
            section.sheet {
                h2 { (title) }
                p { (why) }
                form.acts method="post" action={ (path) "/" (act) } data-once { button class=(class) { (button) } }
            }
        }
    };
    let body = html! {
        p.crumb { a href="/admin/users" { "← " (lang.t("사용자", "People")) } }
        (done(view.did, lang))
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        div.head { h1 { (user.name) } p.states { (state(user, lang)) } }
        div.two {
            div.stack {
                section.sheet aria-labelledby="role" {
                    h2 #role { (lang.t("역할", "Role")) }
                    form.stack method="post" action={ (path) "/role" } data-once {
                        (role_choice(user.role.as_str(), lang))
                        (partner_choice(view.partners, user.partner.as_deref().unwrap_or_default(), lang))
                        button { (lang.t("역할 바꾸기", "Change the role")) }
                    }
                }
                section.sheet aria-labelledby="sessions" {
                    h2 #sessions { (lang.t("로그인한 기기", "Signed-in devices")) }
                    @if view.sessions.is_empty() {
                        p.soft { (lang.t("로그인한 기기가 없습니다.", "Signed in nowhere.")) }
                    } @else {
                        ul.lines { @for session in view.sessions { li {
                            span.grow { strong { (device(&session.agent, lang)) } br; span.soft.small { code { (session.address) } } }
                            span.soft.small { (words::age(session.seen_at, view.now, lang)) }
                        } } }
                        form.acts method="post" action={ (path) "/sessions" } data-once { button { (lang.t("모두 로그아웃", "Sign all out")) } }
                    }
                }
            }
            div.stack {
                section.sheet {
                    h2 { (lang.t("계정", "Account")) }
                    dl.facts {
                        dt { (lang.t("만든 때", "Added")) } dd { (words::time(user.created_at)) " " span.by { (words::actor(&user.created_by, lang)) } }
                        dt { (lang.t("마지막 로그인", "Last signed in")) } dd { @match user.signed_in_at { Some(at) => (words::time(at)), None => "–" } }
                        @if let Some(at) = user.disabled_at { dt { (lang.t("중지한 때", "Disabled")) } dd { (words::time(at)) } }
                    }
                    p { a href={ "/admin/audit?actor=%40" (segment(&user.name)) } { (lang.t("이 사람이 한 일", "What they did")) } }
                }
                (form("reset", "", lang.t("초기화", "Reset"), lang.t(
                    "비밀번호와 인증 앱을 지우고 모든 기기에서 로그아웃합니다. 새로 정하는 링크를 드립니다.",
                    "Takes password and authenticator away and signs all devices out. You get a link by which they choose anew.",
                ), lang.t("초기화하고 링크 만들기", "Reset, and make a link")))
                @if user.disabled_at.is_some() {
                    (form("enable", "", lang.t("다시 사용", "Enable"), lang.t(
                        "전의 비밀번호와 인증 앱으로 다시 로그인할 수 있습니다.",
                        "They can sign in again with password and authenticator as they were.",
                    ), lang.t("다시 사용하기", "Enable")))
                } @else {
                    (form("disable", "danger", lang.t("사용 중지", "Disable"), lang.t(
                        "바로 로그아웃되고 로그인할 수 없게 됩니다. 한 일의 기록은 남습니다.",
                        "They are signed out at once and cannot sign in. What they did stays on record.",
                    ), lang.t("사용 중지하기", "Disable")))
                }
            }
        }
    };
    layout(look, page_of(&user.name), body)
}

/// People on a page.
const PAGE: usize = 100;

/// `GET /admin/users`
async fn list(State(web): State<Web>, _: Actor, look: Look, Q(query): Q<Fields>) -> Response {
    let after = field(&query, "after");
    look.answer(listed(&web, &look, after, &Fields::new(), None))
}

fn listed(
    web: &Web,
    look: &Look,
    after: Option<&str>,
    typed: &Fields,
    wrong: Option<&Problem>,
) -> Result<Response, Problem> {
    let (mut users, partners) = web.ctx.store.read(|conn| {
        let users = accounts::page(conn, after, PAGE + 1)?;
        Ok::<_, StoreError>((users, orders::partners(conn)?))
    })?;
    let more = users.len() > PAGE;
    users.truncate(PAGE);
    let next = users.last().filter(|_| more).map(|user| user.name.as_str());
    let view = ListView {
        users: &users,
        next,
        partners: &partners,
        now: web.ctx.store.now(),
        typed,
        wrong: wrong.map(|problem| problem.sentence(look.lang)),
    };
    let status = wrong.map_or(StatusCode::OK, |problem| problem.status);
    Ok((status, list_page(look, &view)).into_response())
}

/// Role and partner of a form.
fn chosen(form: &Fields) -> Result<(Role, Option<PartnerId>), Problem> {
    let text = field(form, "role").unwrap_or_default();
    let role = Role::parse(text).ok_or_else(|| {
        let all = Role::ALL.map(Role::as_str).join(", ");
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "user-role",
            format!("역할을 고르세요: {all} 중 하나입니다."),
            format!("Choose a role: one of {all}."),
        )
    })?;
    let partner = field(form, "partner").map(PartnerId::new).transpose();
    let partner = partner.map_err(|_| {
        let id = field(form, "partner").unwrap_or_default();
        Problem::from(UserError::NoPartner(id.to_owned()))
    })?;
    Ok((role, partner))
}

fn link_of(web: &Web, code: &SecretString) -> String {
    format!(
        "{}set-up?code={}",
        web.site.public_url,
        code.expose_secret()
    )
}

/// `POST /admin/users`
async fn add(State(web): State<Web>, actor: Actor, look: Look, F(form): F<Fields>) -> Response {
    let made = async {
        let name =
            UserName::new(field(&form, "name").unwrap_or_default()).map_err(UserError::Account)?;
        let (role, partner) = chosen(&form)?;
        let store = &web.ctx.store;
        let code = manage_users::add(store, name.clone(), role, partner, actor.by).await?;
        Ok::<_, Problem>((name, code))
    };
    match made.await {
        Ok((name, code)) => {
            let page = link_page(&look, name.as_str(), &link_of(&web, &code), false);
            (StatusCode::CREATED, page).into_response()
        }
        Err(problem) if problem.status.is_client_error() => {
            look.answer(listed(&web, &look, None, &form, Some(&problem)))
        }
        Err(problem) => look.problem(&problem),
    }
}

/// A name that an address can have.
fn named(name: &str) -> Result<UserName, Problem> {
    UserName::new(name).map_err(|_| Problem::not_found(name))
}

/// `GET /admin/users/{name}`
async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(name): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    look.answer(shown(&web, &look, &name, field(&query, "did"), None))
}

fn shown(
    web: &Web,
    look: &Look,
    name: &str,
    did: Option<&str>,
    wrong: Option<&Problem>,
) -> Result<Response, Problem> {
    let wanted = named(name)?;
    let now = web.ctx.store.now();
    let found = web.ctx.store.read(|conn| {
        let Some(user) = accounts::by_name(conn, wanted.as_str())? else {
            return Ok(None);
        };
        let listed = sessions::of_user(conn, user.id, now.as_millisecond())?;
        Ok::<_, StoreError>(Some((user, listed, orders::partners(conn)?)))
    })?;
    let (user, listed, partners) = found.ok_or_else(|| Problem::not_found(name))?;
    let view = OneView {
        user: &user,
        partners: &partners,
        sessions: &listed,
        now,
        did,
        wrong: wrong.map(|problem| problem.sentence(look.lang)),
    };
    let status = wrong.map_or(StatusCode::OK, |problem| problem.status);
    Ok((status, one_page(look, &view)).into_response())
}

/// Leads to the person's page, which says what was done, or why it was not.
fn told(web: &Web, look: &Look, name: &str, did: &str, done: Result<(), Problem>) -> Response {
    match done {
        Ok(()) => see_other(&format!("{}?did={did}", user_path(name)), None),
        Err(problem)
            if matches!(
                problem.status,
                StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY
            ) =>
        {
            look.answer(shown(web, look, name, None, Some(&problem)))
        }
        Err(problem) => look.problem(&problem),
    }
}

/// `POST /admin/users/{name}/role`
async fn role(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(name): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let done = async {
        let (role, partner) = chosen(&form)?;
        manage_users::change_role(&web.ctx.store, named(&name)?, role, partner).await?;
        Ok(())
    };
    told(&web, &look, &name, "role", done.await)
}

async fn set_disabled(web: &Web, look: &Look, name: &str, disabled: bool) -> Response {
    let done = async {
        manage_users::set_disabled(&web.ctx.store, named(name)?, disabled).await?;
        Ok(())
    };
    let did = if disabled { "disable" } else { "enable" };
    told(web, look, name, did, done.await)
}

/// `POST /admin/users/{name}/disable`
async fn disable(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(name): Path<String>,
) -> Response {
    set_disabled(&web, &look, &name, true).await
}

/// `POST /admin/users/{name}/enable`
async fn enable(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(name): Path<String>,
) -> Response {
    set_disabled(&web, &look, &name, false).await
}

/// `POST /admin/users/{name}/reset`
async fn reset(State(web): State<Web>, _: Actor, look: Look, Path(name): Path<String>) -> Response {
    let made = async {
        let wanted = named(&name)?;
        let code = manage_users::reset(&web.ctx.store, wanted.clone(), false).await?;
        let page = link_page(&look, wanted.as_str(), &link_of(&web, &code), true);
        Ok(page.into_response())
    };
    match made.await {
        Ok(page) => page,
        Err(problem) => told(&web, &look, &name, "reset", Err(problem)),
    }
}

/// `POST /admin/users/{name}/sessions`
async fn end_sessions(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(name): Path<String>,
) -> Response {
    let done = async {
        manage_users::end_sessions(&web.ctx.store, named(&name)?).await?;
        Ok(())
    };
    told(&web, &look, &name, "sessions", done.await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(role: Role) -> User {
        let at = "2026-08-06T01:00:00Z".parse().unwrap();
        User {
            id: 1,
            name: "minji".into(),
            role,
            partner: (role == Role::Partner).then(|| "farm-<b>".into()),
            has_password: true,
            has_totp: false,
            created_at: at,
            created_by: "cli".into(),
            signed_in_at: None,
            disabled_at: None,
            lang: None,
            theme: None,
        }
    }

    #[test]
    fn every_role_and_right_has_its_words_and_the_matrix_is_the_programs_own() {
        for lang in [Lang::Ko, Lang::En] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let users = Role::ALL.map(user);
            let view = ListView {
                users: &users,
                next: Some("minji"),
                partners: &[("farm-<b>".into(), "농장 <b>".into())],
                now: users[0].created_at,
                typed: &Fields::new(),
                wrong: Some("<no>"),
            };
            let text = list_page(&look, &view).into_string();
            for role in Role::ALL {
                assert!(
                    text.contains(role_words(role, lang)) && text.contains(role_why(role, lang))
                );
            }
            for right in Right::ALL {
                assert!(text.contains(right_words(right, lang)), "{right:?}");
            }
            let held: usize = Role::ALL
                .iter()
                .map(|role| role.rights().list().len())
                .sum();
            assert_eq!(text.matches("good-text").count(), held);
            assert!(!text.contains("<b>") && !text.contains("<no>"));
        }
    }

    #[test]
    fn a_link_is_shown_whole_and_what_can_be_done_follows_from_the_state() {
        let look = Look::default();
        let text = link_page(&look, "minji", "https://x/set-up?code=\"<a>", true).into_string();
        assert!(text.contains("code=&quot;&lt;a&gt;") && text.contains("readonly"));
        for disabled in [true, false] {
            let mut user = user(Role::Viewer);
            user.disabled_at = disabled.then_some(user.created_at);
            let view = OneView {
                user: &user,
                partners: &[],
                sessions: &[],
                now: user.created_at,
                did: None,
                wrong: None,
            };
            let text = one_page(&look, &view).into_string();
            assert_eq!(text.contains("/admin/users/minji/enable"), disabled);
            assert_eq!(text.contains("/admin/users/minji/disable"), !disabled);
        }
    }
}
