//! `/admin/keys`: programs' keys. A new one's secret is shown on the answer to its form, and never again.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use maud::{Markup, html};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{
    layout::{Fields, Look, Page, Part, cut, field, layout, older, see_other},
    users::right_words,
    words,
};
use crate::{
    domain::api_key::{KeyName, Standing, grantable, scopes},
    flow::manage_keys::{self, KeyError, Made},
    store::api_keys::{self, ApiKey},
    web::{
        Web,
        auth::Actor,
        error::Problem,
        extract::{F, Q},
        lang::Lang,
    },
};

const PAGE: usize = 50;

pub fn routes() -> Router<Web> {
    Router::new()
        .route("/admin/keys", get(list).post(make))
        .route("/admin/keys/{id}/revoke", post(revoke))
}

/// The form as it was filled in.
#[derive(Clone, Debug, Default)]
struct Filled {
    name: String,
    days: String,
    scopes: Vec<String>,
    wrong: Option<String>,
}

fn page(
    look: &Look,
    keys: &[ApiKey],
    next: Option<i64>,
    now: Timestamp,
    filled: &Filled,
    made: Option<&Made>,
) -> Markup {
    let lang = look.lang;
    let title = lang.t("API 키", "API keys");
    let body = html! {
        div.head {
            h1 { (title) }
            p.soft {
                (lang.t(
                    "프로그램이 API를 부를 때 쓰는 키입니다. 키마다 필요한 권한만 주고, 쓰지 않게 되면 폐기하세요. ",
                    "What programs call the API with. Give each the rights that it needs and no more, and revoke what is not used. ",
                ))
                a href="/api/reference" { (lang.t("API 안내서", "API reference")) }
            }
        }
        @if let Some(made) = made { (secret(made, lang)) }
        (new_key(filled, lang))
        h2 { (lang.t("만든 키", "Keys")) }
        @if keys.is_empty() {
            section.sheet.centre.empty { p { (lang.t("아직 키가 없습니다.", "There are no keys yet.")) } }
        } @else {
            ul.cards { @for key in keys { (card(key, now, lang)) } }
            (older(lang, "/admin/keys", next))
        }
    };
    let page = Page {
        title,
        part: Part::Keys,
        ..Page::default()
    };
    layout(look, page, body)
}

/// The one time that a secret is seen.
fn secret(made: &Made, lang: Lang) -> Markup {
    html! {
        section.sheet.stack #made role="status" {
            h2 { (lang.t("새 키", "New key")) ": " (made.key.name) }
            p { strong { (lang.t(
                "지금만 보입니다. 복사해 안전한 곳에 두세요. 서버에는 해시만 남습니다.",
                "It is shown now and never again: copy it to a safe place. The server keeps a hash of it alone.",
            )) } }
            label.field {
                span { (lang.t("키", "Key")) }
                input readonly value=(made.secret.expose_secret()) spellcheck="false" autocomplete="off" data-secret;
            }
            p.soft.small { code { "Authorization: Bearer " (made.key.prefix) "_…" } }
        }
    }
}

fn new_key(filled: &Filled, lang: Lang) -> Markup {
    html! {
        section.sheet {
            h2 { (lang.t("키 만들기", "Make a key")) }
            @if let Some(wrong) = &filled.wrong { p.message.bad #why role="alert" { (wrong) } }
            form.stack method="post" action="/admin/keys" data-once {
                div.fields {
                    label.field {
                        span { (lang.t("이름", "Name")) }
                        input name="name" required maxlength="40" autocapitalize="none" autocomplete="off" spellcheck="false"
                            placeholder="shop" value=(filled.name) aria-describedby=[filled.wrong.as_ref().map(|_| "why")];
                        small { (lang.t("기록에 key:이름으로 남습니다.", "It stands in the records as key:name.")) }
                    }
                    label.field {
                        span { (lang.t("기한(일)", "Good for (days)")) }
                        input name="days" inputmode="numeric" maxlength="4" autocomplete="off" placeholder="90" value=(filled.days);
                        small { (lang.t("비워 두면 폐기할 때까지 쓸 수 있습니다.", "Left empty, it is good until it is revoked.")) }
                    }
                }
                fieldset.fields.broad {
                    legend { (lang.t("권한", "Scopes")) }
                    @for right in grantable() {
                        label {
                            input type="checkbox" name="scope" value=(right.as_str())
                                checked[filled.scopes.iter().any(|scope| scope == right.as_str())];
                            " " code { (right.as_str()) } br;
                            small { (right_words(right, lang)) }
                        }
                    }
                }
                p { button.primary { (lang.t("키 만들기", "Make the key")) } }
            }
        }
    }
}

fn standing(standing: Standing, lang: Lang) -> Markup {
    match standing {
        Standing::Live => words::tag("good", "✓", lang.t("사용 가능", "Live"), "live"),
        Standing::Expired => words::tag("plain", "◷", lang.t("기한 지남", "Expired"), "expired"),
        Standing::Revoked => words::tag("bad", "×", lang.t("폐기됨", "Revoked"), "revoked"),
    }
}

fn card(key: &ApiKey, now: Timestamp, lang: Lang) -> Markup {
    let stands = key.standing(now);
    html! {
        li.sheet #{ "k" (key.id) } {
            div.line {
                (standing(stands, lang))
                strong { (key.name) }
                code { (key.prefix) "_…" }
                span.grow {}
                @if stands != Standing::Revoked {
                    form method="post" action={ "/admin/keys/" (key.id) "/revoke" } data-once {
                        button.danger aria-label={ (lang.t("폐기", "Revoke")) ": " (key.name) } { (lang.t("폐기", "Revoke")) }
                    }
                }
            }
            p { @for right in key.scopes.list() { code title=(right_words(right, lang)) { (right.as_str()) } " " } }
            p.soft.small {
                (lang.t("만듦", "Made")) " " (words::time(key.created_at)) " " (key.created_by)
                " · " (lang.t("마지막 사용", "last used")) " "
                @match key.last_used_at { Some(at) => { (words::time(at)) }, None => { (lang.t("없음", "never")) } }
                " · " (lang.t("기한", "expires")) " "
                @match key.expires_at { Some(at) => { (words::time(at)) }, None => { (lang.t("없음", "never")) } }
                @if let (Some(at), Some(by)) = (key.revoked_at, &key.revoked_by) {
                    " · " (lang.t("폐기", "revoked")) " " (words::time(at)) " " (by)
                }
            }
        }
    }
}

fn shown(
    web: &Web,
    look: &Look,
    before: Option<i64>,
    filled: &Filled,
    made: Option<&Made>,
) -> Result<Markup, Problem> {
    let store = &web.ctx.store;
    let mut keys = store.read(|conn| api_keys::list(conn, before, PAGE + 1))?;
    let next = cut(&mut keys, PAGE, |key| key.id);
    Ok(page(look, &keys, next, store.now(), filled, made))
}

/// `GET /admin/keys`
async fn list(State(web): State<Web>, _: Actor, look: Look, Q(query): Q<Fields>) -> Response {
    let before = field(&query, "before").and_then(|id| id.parse().ok());
    let page = shown(&web, &look, before, &Filled::default(), None);
    look.answer(page.map(IntoResponse::into_response))
}

/// Fields of the form, whose scopes come one by one.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn filled(&self) -> Filled {
        let all = |name: &str| {
            let found = self.0.iter().filter(|(field, _)| field == name);
            found
                .map(|(_, value)| value.trim().to_owned())
                .collect::<Vec<_>>()
        };
        Filled {
            name: all("name").pop().unwrap_or_default(),
            days: all("days").pop().unwrap_or_default(),
            scopes: all("scope"),
            wrong: None,
        }
    }
}

/// How long a key is to last, out of the form.
fn days(text: &str) -> Result<Option<Duration>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let days = text
        .parse::<u64>()
        .ok()
        .filter(|days| (1..=3_650).contains(days));
    match days {
        Some(days) => Ok(Some(Duration::from_secs(days * 86_400))),
        None => Err(crate::domain::api_key::WrongKey::Expiry.into()),
    }
}

async fn make_filled(web: &Web, filled: &Filled, by: &'static str) -> Result<Made, Problem> {
    let name = KeyName::new(&filled.name)?;
    let scopes = scopes(filled.scopes.iter().map(String::as_str))?;
    let lasts = days(&filled.days)?;
    Ok(manage_keys::make(&web.ctx.store, name, scopes, lasts, by).await?)
}

/// `POST /admin/keys`
async fn make(State(web): State<Web>, actor: Actor, look: Look, F(pairs): F<Pairs>) -> Response {
    let mut filled = pairs.filled();
    let (status, made) = match make_filled(&web, &filled, actor.by).await {
        Ok(made) => (StatusCode::OK, Some(made)),
        Err(problem) if problem.status.is_client_error() => {
            filled.wrong = Some(problem.sentence(look.lang).to_owned());
            (problem.status, None)
        }
        Err(problem) => return look.problem(&problem),
    };
    let empty = Filled::default();
    let form = if made.is_some() { &empty } else { &filled };
    let page = shown(&web, &look, None, form, made.as_ref());
    look.answer(page.map(|page| (status, page).into_response()))
}

/// `POST /admin/keys/{id}/revoke`
async fn revoke(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
) -> Response {
    let Ok(number) = id.parse() else {
        return look.problem(&Problem::not_found(&id));
    };
    match manage_keys::revoke(&web.ctx.store, number, actor.by).await {
        // Twice pressed is once revoked.
        Ok(_) | Err(KeyError::Revoked(_)) => see_other(&format!("/admin/keys#k{number}"), None),
        Err(error) => look.problem(&error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::{Right, Rights};

    fn key(name: &str) -> ApiKey {
        ApiKey {
            id: 3,
            name: name.into(),
            prefix: "jsk_0011aabb".into(),
            scopes: Rights::of(&[Right::PaymentsRead]),
            created_at: "2026-08-06T01:00:00Z".parse().unwrap(),
            created_by: "@<b>".into(),
            last_used_at: None,
            expires_at: Some("2026-08-07T01:00:00Z".parse().unwrap()),
            revoked_at: None,
            revoked_by: None,
        }
    }

    #[test]
    fn a_secret_is_on_the_page_once_and_a_list_has_none() {
        let now = "2026-08-06T02:00:00Z".parse().unwrap();
        for lang in [Lang::Ko, Lang::En] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let made = Made {
                key: key("shop"),
                secret: "jsk_0011aabb_topsecret".to_owned().into(),
            };
            let filled = Filled::default();
            let text = page(&look, &[key("shop")], None, now, &filled, Some(&made)).into_string();
            assert_eq!(text.matches("topsecret").count(), 1);
            let text = page(&look, &[key("shop")], None, now, &filled, None).into_string();
            assert!(!text.contains("topsecret") && text.contains("jsk_0011aabb_…"));
            assert!(!text.contains("@<b>") && !text.contains("own:read"));
        }
    }

    #[test]
    fn a_key_says_how_it_stands_and_what_was_typed_stays() {
        let look = Look::default();
        let later = "2026-08-08T00:00:00Z".parse().unwrap();
        let filled = Filled {
            name: "<x>".into(),
            days: "9".into(),
            scopes: vec!["payments:read".into()],
            wrong: Some("no".into()),
        };
        let text = page(&look, &[key("shop")], None, later, &filled, None).into_string();
        assert!(text.contains("기한 지남") && text.contains("role=\"alert\""));
        assert!(text.contains("&lt;x&gt;") && text.matches(" checked").count() == 1);
        assert!(days("0").is_err() && days("3651").is_err() && days("1e3").is_err());
        assert_eq!(days("").unwrap(), None);
    }
}
