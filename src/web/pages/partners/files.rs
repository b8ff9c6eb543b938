//! Partners as files: taken in after a look at what they would do, written out in the same columns.
//!
//! The rows of a looked-at file travel in the form that confirms it, with a fingerprint of what the
//! person saw: where the books have changed since, they are shown anew, and nothing is written.

use std::sync::Arc;

use axum::{
    extract::{Multipart, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    Fields, Look, crumb, field, field_name, kind, layout, list::filter, nothing, page, path,
    see_other, status, terms, words,
};
use crate::{
    domain::{
        account::Right,
        bank::BankCode,
        calendar::KstDay,
        partner::{PartnerStatus, PartnerType},
    },
    flow::{
        export_partners,
        import_partners::{self, COLUMNS, Change, ImportError, Item, MOST_ROWS, Plan, What},
        take_away::taken,
    },
    sheet::{self, CellError, Encoding, Row, Sheet, Table},
    store::{
        StoreError,
        progress::{self, Progress},
    },
    web::{
        Web, api::partners::LARGEST_FILE, auth::Actor, download::download, error::Problem,
        extract::Q, lang::Lang, uploads,
    },
};

/// Rows and errors that one page lists; the rest is counted.
const LISTED: usize = 300;
/// What a confirming form may carry beside its names.
const LARGEST_CARRIED: usize = LARGEST_FILE - (1 << 16);

// --- Pages

/// What the upload page says beside its form.
#[derive(Default)]
pub struct View<'a> {
    pub last: Option<&'a Progress>,
    pub errors: &'a [CellError],
    /// Rows of a broken-off import that were written.
    pub written: usize,
    pub wrong: Option<&'a str>,
    /// What was just taken in: added, changed, unchanged, contracts.
    pub done: Option<[usize; 4]>,
}

pub fn form_page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let title = lang.t("파트너 가져오기", "Import partners");
    let body = html! {
        (crumb("/admin/partners", lang.t("파트너사", "Partners")))
        div.head { h1 { (title) } }
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        @if let Some(counts) = view.done { (taken_in(counts, lang)) }
        (errors(view, lang))
        div.two {
            section.sheet {
                h2 { (lang.t("파일 고르기", "Choose a file")) }
                p { (lang.t(
                    "먼저 무엇이 추가되고 바뀌는지 보여 드립니다. 확인하기 전에는 아무것도 저장하지 않습니다.",
                    "First you see what it would add and change. Nothing is written before you confirm.",
                )) }
                form.stack method="post" action="/admin/partners/import" enctype="multipart/form-data" data-once {
                    label.field {
                        span { (lang.t("XLSX 또는 CSV", "XLSX or CSV")) }
                        input type="file" name="file" required accept=".xlsx,.csv,.txt,text/csv,application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
                        span.hint { (lang.t(
                            format!("20MB, {MOST_ROWS}행까지. CSV는 UTF-8과 EUC-KR을 읽습니다."),
                            format!("Up to 20 MB and {MOST_ROWS} rows. A CSV may be UTF-8 or EUC-KR."),
                        )) }
                    }
                    button.primary.wide { (lang.t("확인하기(저장 안 함)", "Look at it (writes nothing)")) }
                }
                (last(view.last, lang))
            }
            section.sheet {
                h2 { (lang.t("양식", "Template")) }
                p.acts {
                    a.button href="/admin/partners/import/template.xlsx" { "XLSX" }
                    a.button href="/admin/partners/import/template.csv" { "CSV" }
                }
                p.small { (lang.t(
                    "내보내기한 파일도 그대로 다시 가져올 수 있습니다. 파일에 없는 열은 지금 값을 그대로 두고, 빈 칸은 값을 지웁니다(상태만 그대로 둡니다).",
                    "An exported file can be imported as it is. A column that is not there leaves its values; an empty cell empties them, but for the state.",
                )) }
                details {
                    summary { (lang.t("쓸 수 있는 열", "Columns")) }
                    ul.small {
                        @for column in &COLUMNS {
                            li { code { (column.key) } " · " (column.aliases.join(", ")) @if column.required { " *" } }
                        }
                    }
                    p.small { (lang.t(
                        "수수료는 3.3% 또는 500원, 정산 주기는 매일, 매주:월,목, 매월:10,말일, 매년:1/31,7/31, 휴일 처리는 전영업일, 후영업일, 달력일로 적습니다.",
                        "Write a fee as 3.3% or 500원; a cycle as DAILY, WEEKLY:MON,THU, MONTHLY:10,31 or DATES:1/31,7/31; holidays as BEFORE, AFTER or CALENDAR_DAY.",
                    )) }
                }
            }
        }
    };
    layout(look, page(title), body)
}

/// How the last import went, or goes.
fn last(last: Option<&Progress>, lang: Lang) -> Markup {
    let Some(of) = last else { return nothing() };
    html! {
        p.soft.small {
            @match (&of.failed, of.finished_at) {
                (Some(why), _) => (lang.t(
                    format!("지난 가져오기: {}행 중 {}행에서 중단됨({why}). 같은 파일을 다시 올리면 이어집니다.", of.total, of.done),
                    format!("The last import broke off at row {} of {} ({why}). The same file again goes on.", of.done, of.total),
                )),
                (None, Some(at)) => {
                    (lang.t(format!("지난 가져오기: {}행 완료 ", of.total), format!("The last import: {} rows, done ", of.total)))
                    (words::time(at))
                }
                (None, None) => (lang.t(
                    format!("가져오는 중: {}행 중 {}행({}%)", of.total, of.done, of.percent()),
                    format!("Importing: row {} of {} ({}%)", of.done, of.total, of.percent()),
                )),
            }
        }
    }
}

fn taken_in([added, changed, unchanged, contracts]: [usize; 4], lang: Lang) -> Markup {
    html! {
        p.message.good role="status" { (lang.t(
            format!("가져왔습니다: 추가 {added}곳, 변경 {changed}곳, 그대로 {unchanged}곳, 계약 {contracts}건."),
            format!("Done: {added} added, {changed} changed, {unchanged} unchanged, {contracts} contracts."),
        )) }
    }
}

fn errors(view: &View<'_>, lang: Lang) -> Markup {
    if view.errors.is_empty() {
        return nothing();
    }
    let count = view.errors.len();
    html! {
        section.sheet.tone-bad role="alert" #errors {
            h2 { (lang.t(format!("고칠 곳이 {count}군데 있습니다"), format!("{count} things to correct"))) }
            p { @if view.written == 0 {
                (lang.t("아무것도 저장하지 않았습니다. 파일을 고쳐서 다시 올려 주세요.", "Nothing was written. Correct the file and send it again."))
            } @else {
                (lang.t(
                    format!("그사이 장부가 바뀌어 {}행까지 저장하고 멈췄습니다. 고쳐서 다시 올리면 이어집니다.", view.written),
                    format!("The books changed meanwhile: {} rows were written. Correct the file and send it again; it goes on.", view.written),
                ))
            } }
            ul.small {
                @for error in view.errors.iter().take(LISTED) { li { (error.sentence(lang == Lang::Ko)) } }
                @if count > LISTED { li.soft { (lang.t(format!("외 {}건", count - LISTED), format!("and {} more", count - LISTED))) } }
            }
        }
    }
}

/// What a file would do, before it is done.
pub fn look_page(look: &Look, plan: &Plan, carried: &str, changed: bool) -> Markup {
    let lang = look.lang;
    let title = lang.t("가져오기 확인", "Before it is imported");
    let busy: Vec<&Item> = plan.items.iter().filter(|item| item.writes()).collect();
    let body = html! {
        (crumb("/admin/partners/import", lang.t("다른 파일", "Another file")))
        div.head {
            h1 { (title) }
            p.soft { (lang.t("아직 아무것도 저장하지 않았습니다.", "Nothing has been written yet.")) }
        }
        @if changed {
            p.message.wait role="alert" { (lang.t(
                "확인하신 뒤에 장부가 바뀌었습니다. 저장하지 않고 지금 기준으로 다시 보여 드립니다.",
                "The books have changed since you looked. Nothing was written; this is how it would be now.",
            )) }
        }
        section.sheet {
            dl.figures.four {
                div { dt { (lang.t("추가", "Added")) } dd { (plan.added) } }
                div { dt { (lang.t("변경", "Changed")) } dd { (plan.changed) } }
                div { dt { (lang.t("그대로", "Unchanged")) } dd { (plan.unchanged) } }
                div { dt { (lang.t("계약", "Contracts")) } dd { (plan.contracts) } }
            }
        }
        @if busy.is_empty() {
            section.sheet.centre.empty {
                p { (lang.t("파일의 내용이 장부와 같습니다. 저장할 것이 없습니다.", "The books say the same: there is nothing to write.")) }
                p { a.button href="/admin/partners" { (lang.t("파트너사로", "To the partners")) } }
            }
        } @else {
            ul.cards {
                @for item in busy.iter().take(LISTED) { (card(item, lang)) }
            }
            @if busy.len() > LISTED {
                p.soft { (lang.t(
                    format!("이 밖에 {}행이 더 저장됩니다.", busy.len() - LISTED),
                    format!("{} more rows are written.", busy.len() - LISTED),
                )) }
            }
            form.acts method="post" action="/admin/partners/import" enctype="multipart/form-data" data-once {
                input type="hidden" name="seen" value=(plan.fingerprint());
                input type="hidden" name="carried" value=(carried);
                a.button href="/admin/partners/import" { (lang.t("그만두기", "Leave it")) }
                button.primary #do-it { (lang.t(format!("{}행 저장하기", busy.len()), format!("Write {} rows", busy.len()))) }
            }
        }
    };
    layout(look, page(title), body)
}

fn card(item: &Item, lang: Lang) -> Markup {
    let (tone, sign, text) = match item.what {
        What::Added => ("good", "+", lang.t("추가", "Added")),
        What::Changed => ("wait", "↻", lang.t("변경", "Changed")),
        What::Unchanged => ("plain", "=", lang.t("그대로", "Unchanged")),
    };
    html! {
        li.sheet {
            div.line {
                (words::tag(tone, sign, text, "ROW"))
                @if item.what == What::Added { strong { (item.name) } }
                @else { a.main href=(path(&item.id)) { (item.name) } }
                code { (item.id) }
                span.grow {}
                span.soft.small { (lang.t(format!("{}행", item.line), format!("row {}", item.line))) }
            }
            @if !item.changes.is_empty() {
                dl.facts {
                    @for change in &item.changes {
                        dt { (field_name(change.field, lang)) }
                        dd { span.soft { (value(change, &change.from, lang)) } " → " strong { (value(change, &change.to, lang)) } }
                    }
                }
            }
            @if let Some(agreed) = &item.contract {
                p.small {
                    strong { (lang.t(format!("계약 {}부터: ", agreed.from), format!("Terms from {}: ", agreed.from))) }
                    (terms::phrase(&agreed.terms, lang))
                    @if let Some(was) = &agreed.was { span.soft { (lang.t(" (지금: ", " (now: ")) (terms::phrase(was, lang)) ")" } }
                }
            }
        }
    }
}

/// A field's value as people read it.
fn value(of: &Change, code: &str, lang: Lang) -> String {
    let words = match of.field {
        "type" => PartnerType::parse(code)
            .ok()
            .map(|of| kind(of, lang).to_owned()),
        "status" => PartnerStatus::parse(code).map(|of| status(of, lang).to_owned()),
        "bank" => BankCode::parse(code)
            .ok()
            .map(|bank| lang.t(bank.ko(), bank.en()).to_owned()),
        _ => None,
    };
    match words {
        Some(words) => words,
        None if code.is_empty() => lang.t("(비어 있음)", "(empty)").to_owned(),
        None => code.to_owned(),
    }
}

// --- What a confirming form carries

/// Line of the header, its names, and the rows with their lines.
type Carried = (usize, Vec<String>, Vec<(usize, Vec<String>)>);

fn carry(table: &Table) -> Option<String> {
    let rows = table.rows.iter().map(|row| (row.line, row.cells.clone()));
    let carried: Carried = (table.line, table.headers.clone(), rows.collect());
    let text = serde_json::to_string(&carried).ok()?;
    (text.len() <= LARGEST_CARRIED).then_some(text)
}

fn uncarry(text: &str) -> Option<Table> {
    let (line, headers, rows) = serde_json::from_str::<Carried>(text).ok()?;
    let fits = rows.len() <= MOST_ROWS;
    let rows = rows.into_iter().map(|(line, cells)| Row { line, cells });
    fits.then(|| Table {
        line,
        headers,
        rows: rows.collect(),
    })
}

// --- Handlers

fn last_import(web: &Web) -> Result<Option<Progress>, StoreError> {
    web.ctx
        .store
        .read(|conn| progress::get(conn, import_partners::PROGRESS))
}

/// `GET /admin/partners/import`
pub async fn form(State(web): State<Web>, _: Actor, look: Look, Q(query): Q<Fields>) -> Response {
    let done = field(&query, "did").and_then(|counts| {
        let counts: Result<Vec<usize>, _> = counts.split('-').map(str::parse).collect();
        counts.ok()?.try_into().ok()
    });
    look.answer(last_import(&web).map_err(Problem::from).map(|last| {
        let view = View {
            last: last.as_ref(),
            done,
            ..View::default()
        };
        form_page(&look, &view).into_response()
    }))
}

/// What an upload or its confirmation sends.
#[derive(Default)]
struct Sent {
    file: Option<(Option<String>, Vec<u8>)>,
    carried: Option<String>,
    seen: Option<String>,
}

async fn read(mut form: Multipart) -> Result<Sent, Problem> {
    let broken = |error: axum::extract::multipart::MultipartError| {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::too_large(LARGEST_FILE)
        } else {
            Problem::bad_request(
                "올린 파일을 끝까지 받지 못했습니다. 다시 올려 주세요.",
                "The upload did not arrive in full: send it again.",
            )
        }
    };
    let mut sent = Sent::default();
    while let Some(part) = form.next_field().await.map_err(broken)? {
        match part.name() {
            Some("file") => {
                let name = part.file_name().map(str::to_owned);
                let bytes = part.bytes().await.map_err(broken)?;
                sent.file = Some((name, bytes.to_vec()));
            }
            Some("carried") => sent.carried = Some(part.text().await.map_err(broken)?),
            Some("seen") => sent.seen = Some(part.text().await.map_err(broken)?),
            _ => {}
        }
    }
    Ok(sent)
}

/// `POST /admin/partners/import`: a file is looked at; what was looked at is taken in.
pub async fn upload(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Response {
    let sent = match form {
        Ok(form) => read(form).await,
        Err(_) => Err(Problem::bad_request(
            "파일을 올리는 양식이 아닙니다.",
            "This is not the form that sends a file.",
        )),
    };
    let done = match sent {
        Ok(sent) => take(&web, &look, sent, actor.by).await,
        Err(problem) => Err(Refused::Problem(problem)),
    };
    let refused = match done {
        Ok(response) => return response,
        Err(refused) => refused,
    };
    let (status, errors, written, problem) = match refused {
        Refused::Errors(errors, written) => {
            (StatusCode::UNPROCESSABLE_ENTITY, errors, written, None)
        }
        Refused::Problem(problem) if problem.status.is_server_error() => {
            return look.problem(&problem);
        }
        Refused::Problem(problem) => (problem.status, Vec::new(), 0, Some(problem)),
    };
    let view = View {
        errors: &errors,
        written,
        wrong: problem.as_ref().map(|problem| problem.sentence(look.lang)),
        ..View::default()
    };
    (status, form_page(&look, &view)).into_response()
}

enum Refused {
    /// With the rows that a broken-off import wrote.
    Errors(Vec<CellError>, usize),
    Problem(Problem),
}

impl From<ImportError> for Refused {
    fn from(error: ImportError) -> Refused {
        match error {
            ImportError::Wrong { errors, written } => Refused::Errors(errors, written),
            other => Refused::Problem(other.into()),
        }
    }
}

async fn take(web: &Web, look: &Look, sent: Sent, by: &'static str) -> Result<Response, Refused> {
    if let (Some(carried), Some(seen)) = (sent.carried, sent.seen) {
        let table = uncarry(&carried).ok_or_else(|| {
            Refused::Problem(Problem::bad_request(
                "확인한 내용을 읽을 수 없습니다. 파일을 다시 올려 주세요.",
                "What was looked at cannot be read: send the file again.",
            ))
        })?;
        return match import_partners::import(&web.ctx, Arc::new(table), Some(seen), by).await {
            Ok(plan) => {
                let counts = [plan.added, plan.changed, plan.unchanged, plan.contracts];
                let counts = counts.map(|count| count.to_string()).join("-");
                Ok(see_other(
                    &format!("/admin/partners/import?did={counts}"),
                    None,
                ))
            }
            Err(ImportError::Changed(plan)) => {
                let page = look_page(look, &plan, &carried, true);
                Ok((StatusCode::CONFLICT, page).into_response())
            }
            Err(error) => Err(error.into()),
        };
    }
    let (name, bytes) = sent
        .file
        .filter(|(_, bytes)| !bytes.is_empty())
        .ok_or_else(|| {
            Refused::Problem(Problem::bad_request(
                "파일을 골라 주세요.",
                "Choose a file first.",
            ))
        })?;
    let table = uploads::in_turn(import_partners::read(bytes, name)).await;
    let table = Arc::new(table.map_err(Refused::Problem)??);
    let plan = import_partners::look(&web.ctx, table.clone()).await?;
    let carried =
        carry(&table).ok_or_else(|| Refused::Problem(Problem::too_large(LARGEST_CARRIED)))?;
    Ok(look_page(look, &plan, &carried, false).into_response())
}

fn as_xlsx(look: &Look, name: &str, table: &Sheet) -> Response {
    match sheet::xlsx(std::slice::from_ref(table)) {
        Ok(bytes) => download(&format!("{name}.xlsx"), bytes),
        Err(error) => look.problem(&unwritten(error)),
    }
}

fn as_csv(look: &Look, name: &str, table: &Sheet) -> Response {
    match sheet::csv(table, Encoding::Utf8Bom) {
        Ok(bytes) => download(&format!("{name}.csv"), bytes),
        Err(error) => look.problem(&unwritten(error)),
    }
}

fn unwritten(error: sheet::WriteError) -> Problem {
    Problem::wrong_import(&error.into_cell_errors(), 0)
}

async fn exported(
    web: &Web,
    look: &Look,
    fields: &Fields,
    file: &'static str,
) -> Result<Sheet, Problem> {
    let filter = filter(fields)?;
    let asked = ["q", "status", "kind", "tag"].map(|name| {
        let value = fields.get(name).cloned().unwrap_or_default();
        (name, value)
    });
    taken(&web.ctx.store, file, asked).await?;
    let (today, korean) = (KstDay::of(web.ctx.store.now()), look.lang == Lang::Ko);
    let whole = look.may(Right::PersonalRead);
    let found = web
        .ctx
        .store
        .read_long(move |conn| export_partners::sheet(conn, &filter, today, korean, whole));
    Ok(found.await?)
}

/// `GET /admin/partners/export.csv`
pub async fn export_csv(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Q(fields): Q<Fields>,
) -> Response {
    let table = exported(&web, &look, &fields, "partners.csv").await;
    look.answer(table.map(|table| as_csv(&look, "partners", &table)))
}

/// `GET /admin/partners/export.xlsx`
pub async fn export_xlsx(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Q(fields): Q<Fields>,
) -> Response {
    let table = exported(&web, &look, &fields, "partners.xlsx").await;
    look.answer(table.map(|table| as_xlsx(&look, "partners", &table)))
}

fn template(web: &Web, look: &Look) -> Sheet {
    let today = KstDay::of(web.ctx.store.now());
    export_partners::template(today, look.lang == Lang::Ko)
}

/// `GET /admin/partners/import/template.csv`
pub async fn template_csv(State(web): State<Web>, _: Actor, look: Look) -> Response {
    as_csv(&look, "partners-template", &template(&web, &look))
}

/// `GET /admin/partners/import/template.xlsx`
pub async fn template_xlsx(State(web): State<Web>, _: Actor, look: Look) -> Response {
    as_xlsx(&look, "partners-template", &template(&web, &look))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::Said;

    #[test]
    fn errors_and_progress_are_told_and_names_escaped() {
        let error = CellError::cell(7, 2, Some("<계좌>"), Said::new("<비었음>", "<empty>"));
        let errors = vec![error; LISTED + 5];
        let progress = Progress {
            name: import_partners::PROGRESS.into(),
            done: 250,
            total: 1_000,
            started_at: "2026-08-06T01:00:00Z".parse().unwrap(),
            updated_at: "2026-08-06T01:00:05Z".parse().unwrap(),
            finished_at: None,
            failed: None,
        };
        for (lang, words) in [
            (Lang::Ko, "1000행 중 250행(25%)"),
            (Lang::En, "row 250 of 1000 (25%)"),
        ] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let view = View {
                last: Some(&progress),
                errors: &errors,
                ..View::default()
            };
            let shown = form_page(&look, &view).into_string();
            assert!(
                shown.contains(words) && !shown.contains("<계좌>") && !shown.contains("<비었음>")
            );
            assert!(!shown.contains("<empty>") && shown.contains(lang.t("외 5건", "and 5 more")));
        }
    }

    #[test]
    fn a_table_is_carried_as_it_was() {
        let table = sheet::read(
            "partner_id,name\nfarm-1,\"<b>\"\"농장\n이름\"\n".as_bytes(),
            None,
        )
        .unwrap();
        assert_eq!(uncarry(&carry(&table).unwrap()), Some(table));
        assert_eq!(uncarry("[]"), None);
    }

    #[test]
    fn a_file_that_says_nothing_new_has_nothing_to_confirm() {
        let shown = look_page(&Look::default(), &Plan::default(), "[]", false).into_string();
        assert!(shown.contains("저장할 것이 없습니다") && !shown.contains("name=\"seen\""));
    }
}
