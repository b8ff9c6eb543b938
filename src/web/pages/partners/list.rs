//! `/admin/partners`: all partners by name, and what each of them still lacks.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use url::form_urlencoded;

use super::super::{icons::Icon, parts};
use super::{
    super::saved::{self, Kept},
    Fields, Look, archived_badge, field, kind, lacking, layout, masked, page, path, status_badge,
    terms::phrase,
};
use crate::{
    store::{
        partners::{Filter, Listed},
        preferences::List,
    },
    web::{
        Web, api::partners::find, asked::search_text, auth::Actor, error::Problem, extract::Q,
        lang::Lang,
    },
};

const PAGE: usize = 30;
/// What may stand in the address, in the order of the form.
const FILTERS: [&str; 3] = ["q", "incomplete", "archived"];

pub struct View<'a> {
    pub fields: &'a Fields,
    pub rows: &'a [Listed],
    pub next: Option<&'a str>,
    pub kept: &'a Kept,
    /// A filter that cannot be read.
    pub wrong: Option<&'a str>,
}

impl View<'_> {
    fn filtered(&self) -> bool {
        FILTERS
            .iter()
            .any(|name| field(self.fields, name).is_some())
    }
}

pub fn list_page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let title = lang.t("파트너사", "Partners");
    let body = html! {
        div.head {
            h1 { (title) }
            p.soft { (lang.t("정산해 줄 곳과 그 계약입니다.", "Who is owed, and by which terms.")) }
        }
        p.acts {
            a.button.primary href="/admin/partners/new" { (lang.t("파트너 추가", "Add a partner")) }
            a.button href="/admin/partners/import" { (lang.t("파일로 가져오기", "Import a file")) }
            a.button href=(address("/admin/partners/export.xlsx", view.fields, None)) { "XLSX" span.hidden { (lang.t(" 내보내기", " export")) } }
            a.button href=(address("/admin/partners/export.csv", view.fields, None)) { "CSV" span.hidden { (lang.t(" 내보내기", " export")) } }
        }
        (filters(view, lang))
        (saved::filters(view.kept, List::Partners, view.fields, lang))
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        @if view.rows.is_empty() {
            (empty(view, lang))
        } @else {
            table.rows {
                thead { tr {
                    th scope="col" { (lang.t("파트너", "Partner")) }
                    th scope="col" { (lang.t("계좌", "Account")) }
                    th scope="col" { (lang.t("계약", "Contract")) }
                    th scope="col" { (lang.t("상태", "State")) }
                    th scope="col" { span.hidden { (lang.t("할 일", "Actions")) } }
                } }
                tbody { @for row in view.rows { (one(row, lang)) } }
            }
            @let first = field(view.fields, "after").map(|_| address("/admin/partners", view.fields, None));
            @let next = view.next.map(|next| address("/admin/partners", view.fields, Some(next)));
            (parts::pager(lang, first.as_deref(), next.as_deref()))
        }
    };
    layout(look, page(title), body)
}

fn filters(view: &View<'_>, lang: Lang) -> Markup {
    let value = |name: &str| field(view.fields, name).unwrap_or_default();
    html! {
        form.filters method="get" action="/admin/partners" role="search" {
            div.inline {
                label.field.grow {
                    span.hidden { (lang.t("검색", "Search")) }
                    input type="search" name="q" value=(value("q")) maxlength="100"
                        placeholder=(lang.t("상호, 이름, 파트너 ID로 검색", "Search name or id"));
                }
                button.primary { (lang.t("검색", "Search")) }
            }
            div.line {
                label.check {
                    input type="checkbox" name="incomplete" value="1" checked[!value("incomplete").is_empty()];
                    span { (lang.t("빠진 것이 있는 곳만", "Incomplete only")) }
                }
                label.check {
                    input type="checkbox" name="archived" value="1" checked[!value("archived").is_empty()];
                    span { (lang.t("보관된 곳", "Archived")) }
                }
                @if view.filtered() { div.chips { a.clear href="/admin/partners" { "✕ " (lang.t("조건 지우기", "Clear")) } } }
            }
        }
    }
}

fn empty(view: &View<'_>, lang: Lang) -> Markup {
    html! {
        @if view.filtered() || view.wrong.is_some() {
            (parts::nothing_fits(lang.t("조건에 맞는 파트너가 없습니다.", "No partner fits."), "/admin/partners", lang))
        } @else {
            (parts::empty(&parts::Empty {
                icon: Icon::Shop,
                title: lang.t("아직 파트너가 없습니다.", "There are no partners yet."),
                text: "",
                action: Some(("/admin/partners/new", lang.t("첫 파트너 추가", "Add the first one"))),
            }))
        }
    }
}

fn one(row: &Listed, lang: Lang) -> Markup {
    let partner = &row.partner;
    let path = path(partner.id.as_str());
    html! {
        tr {
            td.what {
                a.main href=(path) { (partner.name) }
                div.soft.small {
                    code { (partner.id) }
                    @if let Some(of) = partner.kind { " · " (kind(of, lang)) }
                }
            }
            td.method data-label=(lang.t("계좌", "Account")) {
                @if let Some(account) = &partner.account { (masked(account, lang)) }
                @else { span.soft { (lang.t("계좌 없음", "no account")) } }
            }
            td.terms data-label=(lang.t("계약", "Contract")) {
                @if let Some(version) = &row.contract { (phrase(&version.terms, lang)) }
                @else { span.soft { (lang.t("지금 적용되는 계약 없음", "none holds now")) } }
            }
            td.state {
                @if partner.is_archived() { (archived_badge(lang)) }
                (status_badge(partner.status, lang))
                @if !row.lacks.is_empty() { div.bad-text.small { (lacking(&row.lacks, lang)) } }
            }
            td.act { a.button.small href=(path) { (lang.t("보기", "Open")) span.hidden { " " (partner.name) } } }
        }
    }
}

/// An address with the filters of this list.
fn address(path: &str, fields: &Fields, after: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in FILTERS {
        if let Some(value) = field(fields, name) {
            query.append_pair(name, value);
        }
    }
    if let Some(after) = after {
        query.append_pair("after", after);
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// What the address asks for.
pub fn filter(fields: &Fields) -> Result<Filter, Problem> {
    Ok(Filter {
        text: search_text(&field(fields, "q").map(str::to_owned))?,
        archived: field(fields, "archived").is_some(),
        incomplete: field(fields, "incomplete").is_some(),
    })
}

/// `GET /admin/partners`
pub async fn show(State(web): State<Web>, _: Actor, look: Look, Q(fields): Q<Fields>) -> Response {
    let after = field(&fields, "after").map(str::to_owned);
    let found = match filter(&fields) {
        Ok(filter) => find(&web, filter, after, PAGE).await,
        Err(problem) => Err(problem),
    };
    let (rows, next, wrong) = match found {
        Ok((rows, next)) => (rows, next, None),
        Err(problem) if problem.status.is_client_error() => (Vec::new(), None, Some(problem)),
        Err(problem) => return look.problem(&problem),
    };
    let kept = match saved::kept(&web, look.actor.as_ref(), List::Partners) {
        Ok(kept) => kept,
        Err(error) => return look.problem(&Problem::from(error)),
    };
    let view = View {
        fields: &fields,
        rows: &rows,
        next: next.as_deref(),
        kept: &kept,
        wrong: wrong.as_ref().map(|problem| problem.sentence(look.lang)),
    };
    let status = wrong
        .as_ref()
        .map_or(axum::http::StatusCode::OK, |p| p.status);
    (status, list_page(&look, &view)).into_response()
}

#[cfg(test)]
mod tests {
    use super::{super::test_values, *};
    use crate::store::partners::Lack;

    #[test]
    fn a_list_shows_what_is_missing_and_little_of_an_account() {
        let row = Listed {
            partner: test_values::partner(),
            contract: Some(test_values::version(1, "2026-08-01", None)),
            lacks: vec![Lack::Approval, Lack::Account],
        };
        for (lang, words) in [
            (Lang::Ko, "빠진 것: 승인, 계좌"),
            (Lang::En, "missing: approval, account"),
        ] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let mut fields = Fields::new();
            fields.insert("q".into(), "\"><script>".into());
            let view = View {
                fields: &fields,
                rows: std::slice::from_ref(&row),
                next: Some("farm-<b>"),
                kept: &Kept::default(),
                wrong: None,
            };
            let shown = list_page(&look, &view).into_string();
            assert!(
                shown.contains(words) && shown.contains("····2345"),
                "{shown}"
            );
            assert!(!shown.contains("00400012345") && !shown.contains("<script>"));
            assert!(shown.contains("/admin/partners/farm-%3Cb%3E"));
        }
    }

    #[test]
    fn an_empty_list_says_how_to_begin() {
        let (look, fields) = (Look::default(), Fields::new());
        let view = View {
            fields: &fields,
            rows: &[],
            next: None,
            kept: &Kept::default(),
            wrong: None,
        };
        assert!(
            list_page(&look, &view)
                .into_string()
                .contains("첫 파트너 추가")
        );
        let mut fields = Fields::new();
        fields.insert("incomplete".into(), "1".into());
        let view = View {
            fields: &fields,
            rows: &[],
            next: None,
            kept: &Kept::default(),
            wrong: Some("<왜>"),
        };
        let shown = list_page(&look, &view).into_string();
        assert!(shown.contains("조건에 맞는 파트너가 없습니다") && shown.contains("&lt;왜&gt;"));
    }
}
