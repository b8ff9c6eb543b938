//! What a person chose for a list: filters under a name, and the columns that are shown.
//!
//! Everybody has their own. All of it works by forms: a filter is kept from the address that shows it, and
//! opened by a link to that address.

use axum::{
    extract::{Path, State},
    response::Response,
};
use maud::{Markup, html};
use url::form_urlencoded;

use super::{
    layout::{Fields, Look, field, nothing, see_other},
    mypage, settlements,
};
use crate::{
    store::{
        StoreError,
        preferences::{self, List, MOST, Saved},
    },
    web::{Web, auth::Actor, error::Problem, extract::F, lang::Lang},
};

/// Letters of a filter's name.
const NAME: usize = 40;
/// Of an address that is kept.
const QUERY: usize = 1_000;
/// Parts of an address that are of the moment and no filter.
const PASSING: [&str; 4] = ["after", "before", "did", "limit"];

/// A column that a list can show.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub code: &'static str,
    pub ko: &'static str,
    pub en: &'static str,
    /// Whether it is shown to who chose nothing.
    pub usual: bool,
}

pub const fn column(code: &'static str, ko: &'static str, en: &'static str, usual: bool) -> Column {
    Column {
        code,
        ko,
        en,
        usual,
    }
}

/// Which columns of a list a person sees.
#[derive(Clone, Debug)]
pub struct Shown {
    all: &'static [Column],
    /// `None`: the usual ones.
    chosen: Option<Vec<String>>,
}

impl Shown {
    pub fn usual(all: &'static [Column]) -> Shown {
        Shown { all, chosen: None }
    }

    pub fn has(&self, code: &str) -> bool {
        match &self.chosen {
            Some(chosen) => chosen.iter().any(|of| of == code),
            None => self.all.iter().any(|of| of.code == code && of.usual),
        }
    }
}

/// What is kept of a list for whoever looks.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// `None` for who has no account of their own: a program.
    pub saved: Option<Vec<Saved>>,
}

fn user(actor: Option<&Actor>) -> Option<i64> {
    actor.and_then(Actor::person).map(|session| session.user)
}

/// The filters that whoever looks keeps for a list.
pub fn kept(web: &Web, actor: Option<&Actor>, list: List) -> Result<Kept, StoreError> {
    let Some(user) = user(actor) else {
        return Ok(Kept::default());
    };
    let saved = web
        .ctx
        .store
        .read(|conn| preferences::saved(conn, user, list))?;
    Ok(Kept { saved: Some(saved) })
}

/// The columns that whoever looks chose for a list.
pub fn shown(
    web: &Web,
    actor: Option<&Actor>,
    list: List,
    all: &'static [Column],
) -> Result<Shown, StoreError> {
    let chosen = match user(actor) {
        Some(user) => web
            .ctx
            .store
            .read(|conn| preferences::columns(conn, user, list))?,
        None => None,
    };
    Ok(Shown { all, chosen })
}

/// Where a list is.
fn path(list: List) -> &'static str {
    match list {
        List::Payments => "/payment/mypage",
        List::Settlements => "/admin/settlements",
        List::Jobs => "/admin/jobs",
        List::DeadLetters => "/admin/dead-letters",
        List::Partners => "/admin/partners",
        List::Audit => "/admin/audit",
    }
}

fn address(list: List, query: &str) -> String {
    match query.is_empty() {
        true => path(list).to_owned(),
        false => format!("{}?{query}", path(list)),
    }
}

/// A query with nothing in it but a list's filters: each once, in order, encoded anew.
fn cleaned(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.trim().to_owned()))
        .filter(|(name, value)| {
            let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            plain && !name.is_empty() && !value.is_empty() && !PASSING.contains(&name.as_str())
        })
        .collect();
    pairs.sort();
    pairs.dedup_by(|a, b| a.0 == b.0);
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// The filter of the page that is shown.
fn query_of(fields: &Fields) -> String {
    let all = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    cleaned(&all)
}

/// The kept filters of a list as chips, and forms to keep this one and to remove others.
pub fn filters(kept: &Kept, list: List, fields: &Fields, lang: Lang) -> Markup {
    let Some(saved) = &kept.saved else {
        return nothing();
    };
    let now = query_of(fields);
    let known = saved.iter().any(|filter| filter.query == now);
    if saved.is_empty() && now.is_empty() {
        return nothing();
    }
    html! {
        div.saved {
            @if !saved.is_empty() {
                nav.chips aria-label=(lang.t("저장한 조건", "Saved filters")) {
                    @for filter in saved {
                        a href=(address(list, &filter.query)) aria-current=[(filter.query == now).then_some("true")] { "★ " (filter.name) }
                    }
                }
            }
            @if !now.is_empty() && !known {
                details {
                    summary { (lang.t("이 조건 저장", "Save this filter")) }
                    form method="post" action="/admin/filters" {
                        input type="hidden" name="list" value=(list.as_str());
                        input type="hidden" name="query" value=(now);
                        label.field {
                            span { (lang.t("이름", "Name")) }
                            input name="name" required maxlength=(NAME) autocomplete="off" placeholder=(lang.t("예: 지난주 카드 취소", "e.g. card cancels of last week"));
                        }
                        button.primary { (lang.t("저장", "Save")) }
                    }
                }
            }
            @if !saved.is_empty() {
                details {
                    summary { (lang.t("저장한 조건 지우기", "Remove saved filters")) }
                    ul {
                        @for filter in saved {
                            li {
                                form method="post" action=(format!("/admin/filters/{}/remove", filter.id)) {
                                    button.small { "✕ " (filter.name) span.hidden { (lang.t(" 지우기", ": remove")) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A form with a box for each column.
pub fn columns(shown: &Shown, kept: &Kept, list: List, fields: &Fields, lang: Lang) -> Markup {
    if kept.saved.is_none() {
        return nothing();
    }
    html! {
        details.saved {
            summary { (lang.t("표에 보일 항목", "Columns")) }
            form method="post" action="/admin/columns" {
                input type="hidden" name="list" value=(list.as_str());
                input type="hidden" name="query" value=(query_of(fields));
                fieldset.ticks {
                    legend.hidden { (lang.t("표에 보일 항목", "Columns")) }
                    @for of in shown.all {
                        label.check {
                            input type="checkbox" name={ "c_" (of.code) } value="1" checked[shown.has(of.code)];
                            span { (lang.t(of.ko, of.en)) }
                        }
                    }
                }
                button.primary { (lang.t("적용", "Apply")) }
                button name="usual" value="1" { (lang.t("기본값으로", "The usual ones")) }
            }
        }
    }
}

fn person(actor: &Actor) -> Result<i64, Problem> {
    user(Some(actor)).ok_or_else(Problem::unauthorized)
}

fn list_in(form: &Fields) -> Result<List, Problem> {
    field(form, "list").and_then(List::parse).ok_or_else(|| {
        let all = List::ALL.map(List::as_str).join(", ");
        Problem::bad_request(
            format!("어느 목록인지 알 수 없습니다. 가능한 값: {all}"),
            format!("`list` names no list: expected one of {all}."),
        )
    })
}

/// `POST /admin/filters`: keeps the filter of a list under a name.
pub async fn save(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    F(form): F<Fields>,
) -> Response {
    look.answer(saving(&web, &actor, &form).await)
}

async fn saving(web: &Web, actor: &Actor, form: &Fields) -> Result<Response, Problem> {
    let (user, list) = (person(actor)?, list_in(form)?);
    let name: String = field(form, "name")
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    if name.is_empty() || name.chars().count() > NAME {
        return Err(Problem::bad_request(
            format!("조건의 이름을 1~{NAME}자로 써 주세요."),
            format!("Give the filter a name of 1 to {NAME} characters."),
        ));
    }
    let query = cleaned(field(form, "query").unwrap_or_default());
    if query.is_empty() || query.len() > QUERY {
        return Err(Problem::bad_request(
            "저장할 조건이 없거나 너무 깁니다. 목록에서 조건을 고른 뒤 저장해 주세요.",
            "There is no filter to keep, or it is too long: choose one in the list first.",
        ));
    }
    let kept = query.clone();
    let room = web
        .ctx
        .store
        .write(move |tx| preferences::save(tx, user, list, &name, &kept))
        .await?;
    if !room {
        return Err(Problem::bad_request(
            format!("한 목록에 {MOST}개까지 저장할 수 있습니다. 쓰지 않는 조건을 지워 주세요."),
            format!("A list keeps {MOST} filters at most: remove one that you do not use."),
        ));
    }
    Ok(see_other(&address(list, &query), None))
}

/// `POST /admin/filters/{id}/remove`: forgets one's own filter; another's is not found.
pub async fn remove(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
) -> Response {
    look.answer(removing(&web, &actor, &id).await)
}

async fn removing(web: &Web, actor: &Actor, id: &str) -> Result<Response, Problem> {
    let user = person(actor)?;
    let missing = || Problem::not_found(id);
    let number: i64 = id.parse().map_err(|_| missing())?;
    let list = web
        .ctx
        .store
        .write(move |tx| preferences::remove(tx, user, number))
        .await?;
    Ok(see_other(path(list.ok_or_else(missing)?), None))
}

/// `POST /admin/columns`: which columns of a list one sees.
pub async fn choose(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    F(form): F<Fields>,
) -> Response {
    look.answer(choosing(&web, &actor, &form).await)
}

async fn choosing(web: &Web, actor: &Actor, form: &Fields) -> Result<Response, Problem> {
    let (user, list) = (person(actor)?, list_in(form)?);
    let all: &'static [Column] = match list {
        List::Payments => &mypage::COLUMNS,
        List::Settlements => &settlements::COLUMNS,
        List::Jobs | List::DeadLetters | List::Partners | List::Audit => {
            return Err(Problem::bad_request(
                "이 목록은 항목을 고를 수 없습니다.",
                "This list's columns cannot be chosen.",
            ));
        }
    };
    let chosen: Vec<&'static str> = all
        .iter()
        .map(|of| of.code)
        .filter(|code| field(form, &format!("c_{code}")).is_some())
        .collect();
    let usual = field(form, "usual").is_some();
    web.ctx
        .store
        .write(move |tx| {
            let chosen = (!usual).then_some(chosen.as_slice());
            preferences::choose_columns(tx, user, list, chosen)
        })
        .await?;
    let query = cleaned(field(form, "query").unwrap_or_default());
    Ok(see_other(&address(list, &query), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_query_holds_filters_and_nothing_else() {
        for (query, kept) in [
            ("q=a&status=PAID", "q=a&status=PAID"),
            (
                "status=PAID&q=a&after=x-1&did=paused&limit=3",
                "q=a&status=PAID",
            ),
            ("q=&held=1", "held=1"),
            ("q=a&q=b", "q=a"),
            ("q=%22%3E%3Cscript%3E", "q=%22%3E%3Cscript%3E"),
            ("q=\r\nX-Evil: 1", "q=X-Evil%3A+1"),
            ("..%2F=1&A=1&=1", ""),
            ("//evil.example", ""),
        ] {
            assert_eq!(cleaned(query), kept, "{query}");
        }
    }

    #[test]
    fn chips_are_escaped_and_the_open_one_is_marked() {
        let kept = Kept {
            saved: Some(vec![
                Saved {
                    id: 7,
                    name: "<b>".into(),
                    query: "held=1".into(),
                },
                Saved {
                    id: 8,
                    name: "내 것".into(),
                    query: "q=%3Cscript%3E".into(),
                },
            ]),
        };
        let fields = Fields::from([("held".into(), "1".into())]);
        let text = filters(&kept, List::Payments, &fields, Lang::Ko).into_string();
        assert!(
            text.contains("href=\"/payment/mypage?held=1\" aria-current=\"true\""),
            "{text}"
        );
        assert!(!text.contains("<b>") && text.contains("/admin/filters/7/remove"));
        assert!(!text.contains("이 조건 저장"), "it is kept already: {text}");
        let other = Fields::from([("q".into(), "<i>".into()), ("after".into(), "x-1".into())]);
        let text = filters(&kept, List::Jobs, &other, Lang::En).into_string();
        assert!(
            text.contains("Save this filter") && text.contains("value=\"q=%3Ci%3E\""),
            "{text}"
        );
    }

    #[test]
    fn a_program_keeps_nothing_and_a_new_person_sees_nothing_to_keep() {
        let fields = Fields::from([("held".into(), "1".into())]);
        let program = filters(&Kept::default(), List::Payments, &fields, Lang::Ko);
        assert_eq!(program.into_string(), "");
        let new = Kept {
            saved: Some(Vec::new()),
        };
        let text = filters(&new, List::Payments, &Fields::new(), Lang::Ko);
        assert_eq!(text.into_string(), "");
    }

    #[test]
    fn the_usual_columns_are_shown_until_somebody_chooses() {
        let usual = Shown::usual(&mypage::COLUMNS);
        assert!(usual.has("amount") && !usual.has("imp_uid") && !usual.has("nonsense"));
        let chosen = Shown {
            all: &mypage::COLUMNS,
            chosen: Some(vec!["imp_uid".into()]),
        };
        assert!(!chosen.has("amount") && chosen.has("imp_uid"));
        let kept = Kept {
            saved: Some(Vec::new()),
        };
        let form = columns(&chosen, &kept, List::Payments, &Fields::new(), Lang::En).into_string();
        assert!(
            form.contains("name=\"c_imp_uid\" value=\"1\" checked"),
            "{form}"
        );
        assert!(!form.contains("name=\"c_amount\" value=\"1\" checked"));
    }
}
