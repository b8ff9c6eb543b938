//! `/admin/audit`: who did what, from where, and what it was before and after.

mod acts;
mod export;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::{
    layout::{Fields, Look, Page, Part, field, layout, payment_path, see_other, segment},
    parts,
    saved::{self, Kept},
    words,
};
use crate::{
    domain::{account::Right, calendar::KstDay, masks::masked_answer},
    flow::check_audit::{self, Checked},
    store::{
        StoreError,
        audit::{self, Filter, Line},
        preferences::List,
    },
    web::{Web, auth::Actor, error::Problem, extract::Q, lang::Lang},
};

/// Lines on a page.
const PAGE: usize = 50;

/// What may stand in the address, in the order of the form.
const FILTERS: [&str; 5] = ["actor", "act", "subject", "from", "to"];

/// Pages for who may read the log.
pub fn routes() -> Router<Web> {
    Router::new()
        .route("/admin/audit", get(show))
        .route("/admin/audit/export.csv", get(export::csv))
        .route("/admin/audit/export.xlsx", get(export::xlsx))
        .route("/admin/audit/verify", post(verify))
}

struct View<'a> {
    fields: &'a Fields,
    lines: &'a [Line],
    next: Option<i64>,
    acts: &'a [String],
    actors: &'a [String],
    head: &'a (i64, String),
    checked: Option<&'a Checked>,
    may_export: bool,
    kept: &'a Kept,
    wrong: Option<&'a str>,
}

fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let title = lang.t("감사 로그", "Audit log");
    let lines = parts::carried(view.lines.iter().map(|line| one(line, lang)));
    let next = parts::behind(view.lines, lines.len(), view.next, |line| line.id);
    let body = html! {
        div.head {
            h1 { (title) }
            @if view.may_export {
                p.ways {
                    a href=(address(view.fields, "/admin/audit/export.xlsx", None)) { "XLSX" span.hidden { " " (lang.t("받기", "download")) } }
                    a href=(address(view.fields, "/admin/audit/export.csv", None)) { "CSV" span.hidden { " " (lang.t("받기", "download")) } }
                }
            }
        }
        (chain(view, lang))
        (filters(view, lang))
        (saved::filters(view.kept, List::Audit, view.fields, lang))
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        @if view.lines.is_empty() {
            section.sheet.centre.empty {
                @if view.next.is_some() {
                    p { (lang.t("여기까지는 조건에 맞는 기록이 없습니다. 더 앞의 기록을 보세요.", "Nothing fits so far: look at what is older.")) }
                } @else {
                    p { (lang.t("조건에 맞는 기록이 없습니다.", "Nothing on record fits.")) }
                }
            }
        } @else {
            section.stack aria-label=(lang.t("기록", "Lines")) {
                @for line in &lines { (line) }
            }
        }
        @let newest = field(view.fields, "before").map(|_| address(view.fields, "/admin/audit", None));
        @let next = next.map(|next| address(view.fields, "/admin/audit", Some(next)));
        (parts::pager(lang, newest.as_deref(), next.as_deref()))
    };
    let page = Page {
        title,
        part: Part::Audit,
        ..Page::default()
    };
    layout(look, page, body)
}

/// How the chain stands: its end, and what came of reading it whole the last time.
fn chain(view: &View<'_>, lang: Lang) -> Markup {
    let (lines, head) = view.head;
    html! {
        section.sheet aria-labelledby="chain" {
            h2 #chain { (lang.t("기록의 사슬", "The chain")) }
            p { (lang.t(
                format!("기록은 모두 {lines}줄입니다. 줄마다 앞 줄의 지문을 담고 있어, 하나라도 고치거나 빼거나 끼워 넣으면 드러납니다."),
                format!("There are {lines} lines. Each carries the mark of the one before it: one that was changed, dropped or slipped in tells."),
            )) }
            @if *lines > 0 {
                p.small { (lang.t("마지막 줄의 지문: ", "Mark of the newest line: ")) code.key-text { (head) } br;
                    span.soft { (lang.t(
                        "이 값을 다른 곳에 적어 두면 나중에 뒤가 잘렸는지도 알 수 있습니다: ",
                        "Kept elsewhere, it shows later whether the end was cut off: ",
                    )) code { "jeongsan verify --audit-head …" } } }
            }
            @match view.checked {
                Some(checked) if checked.broken.is_empty() => p.good-text {
                    "✓ " (lang.t("모두 확인함: ", "Checked whole: ")) (words::time(checked.at)) " · "
                    (lang.t(format!("{}줄", checked.lines), format!("{} lines", checked.lines)))
                },
                Some(checked) => div.message.bad role="alert" {
                    p { (lang.t("사슬이 끊겨 있습니다. 확인한 때: ", "The chain does not hold. Checked: ")) (words::time(checked.at)) }
                    ul.errors { @for broken in &checked.broken { li { (broken) } } }
                },
                None => p.soft { (lang.t("아직 전체를 확인한 적이 없습니다.", "It has not been checked whole yet.")) },
            }
            form.acts method="post" action="/admin/audit/verify" data-once { button { (lang.t("지금 전체 확인", "Check it whole now")) } }
        }
    }
}

fn filters(view: &View<'_>, lang: Lang) -> Markup {
    let value = |name: &str| field(view.fields, name).unwrap_or_default();
    let filtered = FILTERS
        .iter()
        .any(|name| field(view.fields, name).is_some());
    let mut groups: Vec<&str> = view.acts.iter().map(|act| acts::group_of(act)).collect();
    groups.dedup();
    html! {
        form.filters method="get" action="/admin/audit" role="search" {
            details open[filtered] {
                summary { (lang.t("조건", "Filters")) }
                div.fields {
                    label.field {
                        span { (lang.t("누가", "Who")) }
                        input name="actor" list="actors" maxlength="80" autocomplete="off" value=(value("actor")) placeholder="@minji";
                        datalist #actors { @for actor in view.actors { option value=(actor) { (words::actor(actor, lang)) } } }
                    }
                    label.field {
                        span { (lang.t("무엇을", "What")) }
                        select name="act" {
                            option value="" { (lang.t("전체", "All")) }
                            @for group in groups {
                                optgroup label=(acts::group(group, lang)) {
                                    @if group.ends_with('.') {
                                        option value=(group) selected[value("act") == group] { (lang.t(format!("{} 전체", acts::group(group, lang)), format!("All: {}", acts::group(group, lang)))) }
                                    }
                                    @for act in view.acts.iter().filter(|act| acts::group_of(act) == group) {
                                        option value=(act) selected[value("act") == act] { (acts::act(act, lang)) }
                                    }
                                }
                            }
                        }
                    }
                    label.field {
                        span { (lang.t("대상", "About")) }
                        input name="subject" maxlength="120" autocomplete="off" value=(value("subject")) placeholder="payment:imp_…";
                    }
                    label.field { span { (lang.t("부터", "From")) } input type="date" name="from" value=(value("from")); }
                    label.field { span { (lang.t("까지", "To")) } input type="date" name="to" value=(value("to")); }
                    button.primary { (lang.t("조회", "Show")) }
                }
            }
            @if filtered { div.chips { a.clear href="/admin/audit" { "✕ " (lang.t("조건 지우기", "Clear")) } } }
        }
    }
}

/// Where a subject's own page is, if it has one.
fn subject_path(subject: &str) -> Option<String> {
    let (kind, id) = subject.split_once(':')?;
    Some(match kind {
        "payment" => payment_path(id),
        "settlement" => format!("/admin/settlements/{}", segment(id)),
        "partner" => format!("/admin/partners/{}", segment(id)),
        "payout" => format!("/admin/payouts/{}", segment(id)),
        "day" => format!("/admin/settlements/days/{}", segment(id)),
        "approval" => format!("/admin/approvals/{}", segment(id)),
        "job" => format!("/admin/jobs/{}", segment(id)),
        _ => return None,
    })
}

fn one(line: &Line, lang: Lang) -> Markup {
    let only = |name: &str, value: &str| {
        let fields = Fields::from([(name.to_owned(), value.to_owned())]);
        address(&fields, "/admin/audit", None)
    };
    let sides = changed(line.before.as_ref(), line.after.as_ref());
    let has_before = sides.iter().any(|side| side.before.is_some());
    html! {
        article.sheet #{ "line-" (line.id) } {
            div.line {
                strong { (acts::act(&line.act, lang)) " " code.soft.small { (line.act) } }
                (words::time(line.at))
            }
            p {
                a href=(only("actor", &line.actor)) { (words::actor(&line.actor, lang)) }
                " · " a href=(only("subject", &line.subject)) { code { (line.subject) } }
                @if let Some(path) = subject_path(&line.subject) { " " a href=(path) { "↗" span.hidden { (lang.t("보러 가기", "Open it")) } } }
                @if !line.origin.is_empty() { " · " span.soft.small { code { (line.origin) } } }
                " · " span.soft.small { "#" (line.id) }
            }
            @if !sides.is_empty() {
                div.wide-table tabindex="0" role="region" aria-label=(lang.t("바뀐 것", "What changed")) {
                    table.plain.small {
                        thead { tr {
                            th scope="col" { (lang.t("항목", "Field")) }
                            @if has_before { th scope="col" { (lang.t("전", "Before")) } }
                            th scope="col" { @if has_before { (lang.t("후", "After")) } @else { (lang.t("내용", "What")) } }
                        } }
                        tbody { @for side in &sides { tr {
                            th scope="row" { (acts::field(&side.name, lang)) }
                            @if has_before { td { @match &side.before { Some(text) => (text), None => "–" } } }
                            td { @match &side.after { Some(text) => (text), None => "–" } }
                        } } }
                    }
                }
            }
        }
    }
}

/// One field, before and after.
#[derive(Clone, Debug, PartialEq)]
struct Side {
    name: String,
    before: Option<String>,
    after: Option<String>,
}

/// The fields that differ, side by side, with all masked that looks like a person's. What is the same
/// on both sides says nothing: by what was written, as two masks may look alike. What was written masked
/// stands there because it changed.
fn changed(before: Option<&Value>, after: Option<&Value>) -> Vec<Side> {
    let flat = |value: Option<&Value>, as_shown: fn(&Value) -> Value| {
        let mut fields = Map::new();
        if let Some(value) = value {
            flatten(None, &as_shown(value), &mut fields);
        }
        fields
    };
    let written = [flat(before, Value::clone), flat(after, Value::clone)];
    let (before, after) = (flat(before, masked_answer), flat(after, masked_answer));
    let is_masked = |side: &Map<String, Value>, name: &str| {
        let text = side.get(name).and_then(Value::as_str);
        text.is_some_and(|text| text.contains(['·', '*']))
    };
    let differ = |name: &str| {
        let of_person = ["account.", "contact."]
            .iter()
            .any(|of| name.starts_with(of));
        written[0].get(name) != written[1].get(name)
            || (of_person && written.iter().any(|side| is_masked(side, name)))
    };
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let text = |value: Option<&Value>| {
        value
            .filter(|value| !value.is_null())
            .map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
    };
    names
        .into_iter()
        .map(|name| Side {
            name: name.clone(),
            before: text(before.get(name)),
            after: text(after.get(name)),
        })
        .filter(|side| differ(&side.name))
        .collect()
}

/// Fields inside of fields, under one name: `account.bank`.
fn flatten(path: Option<&str>, value: &Value, out: &mut Map<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = path.map_or_else(|| name.clone(), |path| format!("{path}.{name}"));
                flatten(Some(&name), value, out);
            }
        }
        value => {
            out.insert(path.unwrap_or("·").to_owned(), value.clone());
        }
    }
}

/// The address of this list, or of its file, with its filters.
fn address(fields: &Fields, path: &str, before: Option<i64>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in FILTERS {
        if let Some(value) = field(fields, name) {
            query.append_pair(name, value);
        }
    }
    if let Some(before) = before {
        query.append_pair("before", &before.to_string());
    }
    let query = query.finish();
    match query.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{query}"),
    }
}

/// What is asked for; a day that is none is said so.
fn filter(fields: &Fields) -> Result<Filter, Problem> {
    let day = |name: &str| -> Result<Option<KstDay>, Problem> {
        field(fields, name)
            .map(|text| {
                text.parse().map_err(|_| {
                    Problem::new(
                        StatusCode::BAD_REQUEST,
                        "invalid-filter",
                        format!("`{text}`은(는) 날짜가 아닙니다. 2026-08-06처럼 적으세요."),
                        format!("`{text}` is not a day: write it as 2026-08-06."),
                    )
                })
            })
            .transpose()
    };
    let text = |name: &str| field(fields, name).map(str::to_owned);
    let before = field(fields, "before")
        .map(|text| {
            text.parse().map_err(|_| {
                Problem::new(
                    StatusCode::BAD_REQUEST,
                    "invalid-filter",
                    format!("`{text}`은(는) 쪽의 시작이 될 수 없습니다. 처음부터 다시 보세요."),
                    format!("No page begins at `{text}`: start again from the newest."),
                )
            })
        })
        .transpose()?;
    let from: Option<Timestamp> = day("from")?.map(KstDay::start);
    Ok(Filter {
        actor: text("actor"),
        act: text("act"),
        subject: text("subject"),
        from,
        to: day("to")?.map(KstDay::end),
        before,
    })
}

/// `GET /admin/audit`
async fn show(State(web): State<Web>, actor: Actor, look: Look, Q(fields): Q<Fields>) -> Response {
    look.answer(answer(&web, &actor, &look, &fields).await)
}

async fn answer(
    web: &Web,
    actor: &Actor,
    look: &Look,
    fields: &Fields,
) -> Result<Response, Problem> {
    let (asked, wrong) = match filter(fields) {
        Ok(filter) => (Some(filter), None),
        Err(problem) => (None, Some(problem)),
    };
    let (found, acts, actors, head, checked) = web
        .ctx
        .store
        .read_long(move |conn| {
            let found = match asked {
                Some(filter) => audit::list(conn, &filter, PAGE)?,
                None => audit::Page::default(),
            };
            let head = audit::head(conn)?;
            let (acts, actors) = (audit::acts(conn)?, audit::actors(conn)?);
            Ok::<_, StoreError>((found, acts, actors, head, check_audit::last(conn)?))
        })
        .await?;
    let view = View {
        fields,
        lines: &found.lines,
        next: found.next,
        acts: &acts,
        actors: &actors,
        head: &head,
        checked: checked.as_ref(),
        may_export: actor.may(Right::Export),
        kept: &saved::kept(web, look.actor.as_ref(), List::Audit)?,
        wrong: wrong.as_ref().map(|problem| problem.sentence(look.lang)),
    };
    let status = wrong
        .as_ref()
        .map_or(StatusCode::OK, |problem| problem.status);
    Ok((status, page(look, &view)).into_response())
}

/// `POST /admin/audit/verify`: reads the whole chain, once, because somebody asks for it.
async fn verify(State(web): State<Web>, look: Look) -> Response {
    // One at a time: it reads every line there is.
    static READING: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);
    let Ok(_alone) = READING.try_acquire() else {
        return look.problem(&Problem::full());
    };
    match check_audit::check_audit(&web.ctx).await {
        Ok(_) => see_other("/admin/audit#chain", None),
        Err(error) => look.problem(&error.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(before: Option<Value>, after: Option<Value>) -> Line {
        Line {
            id: 7,
            at: "2026-08-06T01:00:00Z".parse().unwrap(),
            actor: "@minji".into(),
            origin: "10.0.0.1".into(),
            act: "partner.changed".into(),
            subject: "partner:farm-<b>".into(),
            before,
            after,
            hash: "abc".into(),
        }
    }

    #[test]
    fn only_what_changed_is_shown_side_by_side_and_masked() {
        let account = |number: &str| json!({ "bank": "004", "number": number });
        let before = json!({ "memo": "<i>", "account": account("11012345678"), "same": 1 });
        let after = json!({ "memo": "x", "account": account("11087654321"), "same": 1 });
        let sides = changed(Some(&before), Some(&after));
        let names: Vec<&str> = sides.iter().map(|side| side.name.as_str()).collect();
        assert_eq!(names, ["account.number", "memo"]);
        assert_eq!(sides[0].after.as_deref(), Some("····4321"));
        let text = one(&line(Some(before), Some(after)), Lang::En).into_string();
        assert!(!text.contains("11012345678") && !text.contains("<i>") && !text.contains("<b>"));
        assert!(text.contains("Before") && text.contains("Changed a partner"));
        let text = one(&line(None, Some(json!({ "reason": "x" }))), Lang::Ko).into_string();
        assert!(!text.contains(">전<") && text.contains("사유"));
        assert!(changed(None, Some(&json!("plain")))[0].name == "·");
    }

    #[test]
    fn the_page_says_how_the_chain_stands() {
        let at = "2026-08-06T01:00:00Z".parse().unwrap();
        let sound = Checked {
            at,
            lines: 7,
            head: "abc".into(),
            broken: Vec::new(),
        };
        let broken = Checked {
            broken: vec!["row 3 was changed <x>".into()],
            ..sound.clone()
        };
        for (lang, never) in [(Lang::Ko, "확인한 적이 없"), (Lang::En, "not been checked")] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let shown = |checked: Option<&Checked>| {
                let view = View {
                    fields: &Fields::from([("actor".to_owned(), "@<a>".to_owned())]),
                    lines: &[line(None, None)],
                    next: Some(3),
                    acts: &["payout.created".to_owned(), "user.added".to_owned()],
                    actors: &["@minji".to_owned()],
                    head: &(7, "abc".to_owned()),
                    checked,
                    may_export: true,
                    kept: &Kept::default(),
                    wrong: None,
                };
                page(&look, &view).into_string()
            };
            assert!(shown(None).contains(never));
            let text = shown(Some(&sound));
            assert!(text.contains("✓") && text.contains("actor=%40%3Ca%3E&amp;before=3"));
            assert!(!text.contains("@<a>"));
            let text = shown(Some(&broken));
            assert!(text.contains("role=\"alert\"") && !text.contains("<x>"));
        }
    }
}
