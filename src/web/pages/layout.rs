//! What all pages are set in: head, navigation, language switch, notice.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use url::{Url, form_urlencoded};

use super::{flash::Flash, nav, parts, search, theme::Theme, tour};
use crate::{
    domain::account::Right,
    flow::buyer_links::Buyer,
    store::{approvals, glance, rules},
    web::{
        Web, assets,
        auth::{self, Actor},
        buyers,
        error::Problem,
        lang::Lang,
    },
};

/// Who looks, in which language, from where.
#[derive(Clone, Debug, Default)]
pub struct Look {
    pub lang: Lang,
    /// Path and query of this page: where the language switch leads back to.
    pub here: String,
    /// Whether a person is signed in.
    pub signed_in: bool,
    /// Who looks, if it is known.
    pub actor: Option<Actor>,
    /// The buyer who looks, where nobody is signed in.
    pub buyer: Option<Buyer>,
    /// How far a newcomer has come, in the demo.
    pub tour: Option<tour::Standing>,
    /// Dead letters that wait, for the navigation.
    pub dead: i64,
    /// What waits for a second person, for the same.
    pub approvals: i64,
    pub notice: Option<(String, Option<Url>)>,
    pub theme: Theme,
    /// What was just done, said once.
    pub flash: Option<Flash>,
}

impl FromRequestParts<Web> for Look {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Look, Self::Rejection> {
        Ok(Look::of(parts, web))
    }
}

impl Look {
    pub fn of(parts: &Parts, web: &Web) -> Look {
        let store = &web.ctx.store;
        let actor = parts.extensions.get::<Actor>().cloned();
        let signed_in = actor.as_ref().is_some_and(Actor::is_page);
        // A page about a broken store must not need the store: what cannot be read is left out.
        let may = |right| actor.as_ref().is_some_and(|actor| actor.may(right));
        let dead = if signed_in && may(Right::JobsRead) {
            store.read(glance::dead_letters).unwrap_or(0)
        } else {
            0
        };
        let approvals = if signed_in && may(Right::SettlementsRead) {
            store.read(approvals::waiting).unwrap_or(0)
        } else {
            0
        };
        let here = if parts.method.is_safe() {
            buyers::here(parts)
        } else {
            page_of_form(parts.uri.path()).to_owned()
        };
        let buyer = parts.extensions.get::<Buyer>().cloned();
        Look {
            lang: Lang::of(&parts.headers),
            here,
            signed_in,
            buyer,
            tour: tour::standing(web, parts, signed_in),
            actor,
            dead,
            approvals,
            notice: notice_now(web),
            theme: Theme::of(&parts.headers),
            flash: Flash::of(&parts.headers, &web.site),
        }
    }

    /// Whether whoever looks has this right.
    pub fn may(&self, right: Right) -> bool {
        self.actor.as_ref().is_some_and(|actor| actor.may(right))
    }

    /// A page, or the page that says what was wrong.
    pub fn answer(&self, result: Result<Response, Problem>) -> Response {
        result.unwrap_or_else(|problem| self.problem(&problem))
    }

    /// A problem as a page.
    pub fn problem(&self, problem: &Problem) -> Response {
        let page = Page {
            title: &problem.status.as_u16().to_string(),
            ..Page::default()
        };
        let mut response = (
            problem.status,
            layout(self, page, problem_body(self, problem)),
        )
            .into_response();
        if let Some(seconds) = problem.retry_after() {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// What was chosen on the settings' page, else what the program was started with.
fn notice_now(web: &Web) -> Option<(String, Option<Url>)> {
    match web.ctx.store.read(rules::notice) {
        Ok(Some(words)) => Some((words, None)),
        // A page about a broken store must not need the store.
        Ok(None) | Err(_) => web.site.notice.clone(),
    }
}

/// The page on which a form stands, from the path that the form posts to.
pub fn page_of_form(path: &str) -> &str {
    // What is kept for a list is kept from any list: none of them is in the path.
    if path.starts_with("/admin/filters") || path == "/admin/columns" {
        return auth::HOME;
    }
    // Neither names the page that it stands on.
    if path.starts_with("/admin/contracts/") {
        return "/admin/partners";
    }
    if path.starts_with("/admin/jobs/kinds/") {
        return "/admin/jobs";
    }
    let path = path.strip_suffix("/result/confirm").unwrap_or(path);
    match path.rsplit_once('/') {
        Some((
            page,
            "confirm" | "replay" | "discard" | "release" | "orders" | "hold" | "retry" | "settle"
            | "dry-run" | "reopen" | "run-now" | "role" | "disable" | "enable" | "reset"
            | "sessions" | "look" | "codes" | "remove" | "verify" | "reveal" | "approve" | "refuse"
            | "withdraw" | "archive" | "recover" | "call-off" | "result" | "copy",
        )) => page,
        Some(("/account/sessions", _)) => "/account",
        Some((_, "sign-out")) => "/sign-in",
        Some((_, "revoke")) if path.starts_with("/admin/keys/") => "/admin/keys",
        Some(("/payment/mine" | "/tour", _)) => "/payment/mypage",
        _ => path,
    }
}

fn problem_body(look: &Look, problem: &Problem) -> Markup {
    let lang = look.lang;
    let title = match problem.status {
        StatusCode::NOT_FOUND => lang.t("찾을 수 없습니다", "Not found"),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            lang.t("잠시 후 다시 시도해 주세요", "Please try again in a moment")
        }
        StatusCode::FORBIDDEN => lang.t("거부되었습니다", "Refused"),
        status if status.is_server_error() => lang.t("문제가 생겼습니다", "Something went wrong"),
        _ => lang.t("처리할 수 없습니다", "This cannot be done"),
    };
    html! {
        section.sheet.centre {
            p.big-sign.bad aria-hidden="true" { "!" }
            h1 { (title) }
            p { (problem.sentence(lang)) }
            p.soft.small { "HTTP " (problem.status.as_u16()) " · " code { (problem.kind) } }
            p.acts {
                @if look.buyer.is_some() {
                    a.button href="/payment/mypage" { (lang.t("내 결제로", "To your payments")) }
                } @else {
                    a.button href=(auth::home_of(look.actor.as_ref().filter(|_| look.signed_in))) { (lang.t("처음으로", "To the start")) }
                }
            }
        }
    }
}

/// What one page is beside its body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    pub title: &'a str,
    /// Which entry of the navigation it belongs to.
    pub part: Part,
    /// Whether it changes by itself (htmx and server-sent events).
    pub live: bool,
    /// Seconds until it is loaded again where scripts do not run.
    pub reload: Option<u32>,
    /// Scripts of its own, after the shared one.
    pub scripts: &'a [&'a str],
}

/// Which entry of the navigation a page belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    #[default]
    None,
    Home,
    Payments,
    Pay,
    Settlements,
    Payouts,
    Partners,
    Approvals,
    DeadLetters,
    Jobs,
    Alerts,
    Inbox,
    Audit,
    People,
    Keys,
    Settings,
    Account,
    /// A partner's own settlements.
    Own,
    /// A partner's own statements.
    Statements,
}

/// htmx without inline styles, without `eval`, and to ourselves only.
const HTMX: &str = r#"{"includeIndicatorStyles":false,"allowEval":false,"selfRequestsOnly":true,"historyEnabled":false}"#;

/// A whole page.
pub fn layout(look: &Look, page: Page<'_>, body: Markup) -> Markup {
    let lang = look.lang;
    html! {
        (DOCTYPE)
        html lang=(lang.code()) data-theme=[look.theme.attribute()] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover";
                meta name="color-scheme" content=(look.theme.scheme());
                title { (page.title) " · " (lang.t("정산", "jeongsan")) }
                link rel="icon" type="image/svg+xml" href=(assets::url("icon.svg"));
                link rel="stylesheet" href=(assets::url("app.css"));
                // The search's field suggests while somebody types.
                @if page.live || look.signed_in {
                    meta name="htmx-config" content=(HTMX);
                    script src=(assets::url("vendor/htmx.min.js")) defer {}
                }
                @if page.live { script src=(assets::url("vendor/htmx-sse.min.js")) defer {} }
                script src=(assets::url("app.js")) defer {}
                @for script in page.scripts { script src=(script) defer {} }
                @if let Some(seconds) = page.reload {
                    noscript { meta http-equiv="refresh" content=(seconds); }
                }
            }
            body.console[look.signed_in] {
                a.skip href="#main" { (lang.t("본문으로 건너뛰기", "Skip to the content")) }
                @if look.signed_in {
                    div.frame {
                        (nav::side(look, page.part))
                        div.page {
                            (notice(look))
                            @if look.may(Right::PaymentsRead) { div.seek { (search::head_field(lang)) } }
                            main #main tabindex="-1" {
                                @if let Some(standing) = &look.tour { (tour::card(standing, &look.here, lang)) }
                                (body)
                            }
                        }
                    }
                    (nav::tabs(look, page.part))
                    (nav::keys(look))
                } @else {
                    (notice(look))
                    header.top { (nav::name(look)) (nav::tools(look)) }
                    main #main tabindex="-1" { (body) }
                }
                @if let Some(flash) = &look.flash { (parts::toast(flash)) }
            }
        }
    }
}

/// Words of the operator's that stand on every page.
fn notice(look: &Look) -> Markup {
    html! {
        @if let Some((words, link)) = &look.notice {
            aside.notice aria-label=(look.lang.t("안내", "Notice")) {
                (words)
                @if let Some(link) = link { " " a href=(link) { (look.lang.t("자세히", "More")) } }
            }
        }
    }
}

/// A part of a path, so that nothing in it leads elsewhere.
pub fn segment(text: &str) -> String {
    // `+` is a space in forms only: in a path it would stay.
    form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

/// The page of a payment.
pub fn payment_path(imp_uid: &str) -> String {
    format!("/payment/{}", segment(imp_uid))
}

/// A form's or an address's fields. The last of a name counts; nothing of it makes a request fail.
pub type Fields = std::collections::HashMap<String, String>;

/// A field without the spaces around it, if there is anything in it.
pub fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields
        .get(name)
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
}

/// Nothing: for a part of a page that is left out.
pub fn nothing() -> Markup {
    PreEscaped(String::new())
}

/// A redirect that a form's answer leads to, with a cookie.
pub fn see_other(to: &str, cookie: Option<String>) -> Response {
    let mut response = axum::response::Redirect::to(to).into_response();
    if let Some(value) = cookie.and_then(|cookie| cookie.parse().ok()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// Whether a request was sent by a page of ours, as far as the browser says.
pub fn own_form(web: &Web, headers: &HeaderMap) -> Result<(), Problem> {
    if auth::same_site(headers, web.site.public_url.origin()) {
        Ok(())
    } else {
        Err(Problem::cross_site())
    }
}

/// Leads to the rows below the last one shown.
pub fn older(lang: Lang, path: &str, next: Option<i64>) -> Markup {
    let next = next.map(|next| format!("{path}?before={next}"));
    parts::pager(lang, None, next.as_deref())
}

/// Cuts rows, of which one more than a page was read, to a page. Gives where the next begins.
pub fn cut<T>(rows: &mut Vec<T>, page: usize, id: impl Fn(&T) -> i64) -> Option<i64> {
    let more = rows.len() > page;
    rows.truncate(page);
    rows.last().filter(|_| more).map(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::{access, offered};

    #[test]
    fn a_path_leads_nowhere_else() {
        assert_eq!(payment_path("imp_1"), "/payment/imp_1");
        assert_eq!(payment_path("../x?y#z"), "/payment/..%2Fx%3Fy%23z");
        assert_eq!(payment_path("a+b가"), "/payment/a%2Bb%EA%B0%80");
    }

    #[test]
    fn a_page_says_its_language_and_escapes_its_title() {
        for (lang, skip) in [(Lang::Ko, "본문으로"), (Lang::En, "Skip to")] {
            let look = Look {
                lang,
                here: "/payment?x=<1>".into(),
                ..Look::default()
            };
            let page = Page {
                title: "<script>",
                ..Page::default()
            };
            let text = layout(&look, page, html! { "x" }).into_string();
            assert!(text.contains(&format!("<html lang=\"{}\">", lang.code())));
            assert!(text.contains(skip) && !text.contains("<script>"));
            assert!(text.contains("next=%2Fpayment%3Fx%3D%3C1%3E"));
        }
    }

    #[test]
    fn the_language_switch_leads_from_a_forms_answer_to_its_page() {
        for (path, page) in [
            ("/payment/imp_1/cancel/confirm", "/payment/imp_1/cancel"),
            ("/payment/imp_1/cancel", "/payment/imp_1/cancel"),
            ("/admin/dead-letters/7/replay", "/admin/dead-letters/7"),
            ("/admin/jobs/7/run-now", "/admin/jobs/7"),
            ("/payment/orders", "/payment"),
            ("/admin/filters/7/remove", "/"),
            ("/admin/columns", "/"),
            ("/sign-in", "/sign-in"),
            ("/admin/keys/3/revoke", "/admin/keys"),
        ] {
            assert_eq!(page_of_form(path), page);
        }
    }

    #[test]
    fn the_page_of_every_form_is_a_page() {
        for row in access::TABLE.iter().filter(|row| row.method == "POST") {
            if row.path.starts_with("/api/") {
                continue;
            }
            let path: String = row
                .path
                .split('/')
                .map(|part| if part.starts_with('{') { "7" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let page = page_of_form(&path);
            assert!(
                offered::row("GET", page).is_some(),
                "{path} leads to {page}"
            );
        }
    }

    #[test]
    fn a_notice_stands_on_every_page() {
        let look = Look {
            notice: Some((
                "시연용 <환경>".into(),
                Url::parse("https://example.com/a").ok(),
            )),
            ..Look::default()
        };
        let text = layout(&look, Page::default(), html! {}).into_string();
        assert!(text.contains("시연용 &lt;환경&gt;") && text.contains("https://example.com/a"));
    }

    #[test]
    fn a_problem_is_a_page_in_both_languages() {
        for (lang, words) in [(Lang::Ko, "찾을 수 없습니다"), (Lang::En, "Not found")] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let text = problem_body(&look, &Problem::not_found("<b>")).into_string();
            assert!(text.contains(words) && !text.contains("<b>"));
        }
    }
}
