//! One batch: its payouts, the file for the bank, the bank's result, what was withheld.

use axum::{
    body::Bytes,
    extract::{
        Multipart, Path, State,
        multipart::{MultipartError, MultipartRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::super::{icons::Icon, parts};
use super::{
    super::{
        approvals,
        layout::{Fields, Look, cut, field, layout, see_other},
        words,
    },
    Pairs, account, batch_badge, batch_path, done, happened, payout_badge, self_page, wrong_part,
};
use crate::{
    domain::calendar::kst,
    flow::{
        bank_templates::{self, COMMON},
        pay_out::{self, PayoutError, Word},
        read_bank_result::{BankResult, ResultError, read_bank_result},
        take_away::taken,
        write_bank_file::{FileError, withheld, withheld_sheet},
    },
    sheet::{CellError, Encoding, WriteError, csv, xlsx},
    store::{
        approvals::{self as agreed, ApprovalRow},
        history::{self, Happened, Subject},
        payouts::{self, BatchRow, BatchState, PayoutRow, PayoutState, Totals},
    },
    web::{
        Web,
        api::foreign_or_prefetched,
        api::payouts::{LARGEST_FILE, Part, number, written},
        auth::Actor,
        download::download,
        error::Problem,
        extract::{Body, Q},
        lang::Lang,
        uploads,
    },
};

/// Payouts on a page.
const PAGE: usize = 25;
/// Settlements that a payout names here; its own page has them all.
const MOST_NAMED: usize = 3;
/// Errors of a file that are shown; more than these are counted.
const MOST_ERRORS: usize = 200;

/// A batch with a page of its payouts.
pub(super) struct Shown {
    batch: BatchRow,
    /// Of all of it, without what was called off.
    totals: Totals,
    /// By partner, each with the first of its settlements.
    payouts: Vec<(PayoutRow, Vec<Part>)>,
    /// The payout that the page is behind, and the last one that it shows, if there are more.
    after: Option<i64>,
    next: Option<i64>,
    history: Vec<Happened>,
    /// The newest one, of a batch that needs a second person.
    approval: Option<ApprovalRow>,
}

impl Shown {
    fn read(conn: &Connection, id: i64, after: Option<i64>) -> Result<Shown, PayoutError> {
        let batch = payouts::batch(conn, id)?.ok_or(PayoutError::NoBatch(id))?;
        let mut rows = payouts::page_of_batch(conn, id, after, PAGE + 1)?;
        let next = cut(&mut rows, PAGE, |row| row.id);
        let mut payouts = Vec::with_capacity(rows.len());
        for row in rows {
            let mut settlements = payouts::settlements(conn, row.id)?;
            settlements.truncate(MOST_NAMED);
            payouts.push((row, settlements));
        }
        Ok(Shown {
            batch,
            totals: payouts::totals(conn, id)?,
            payouts,
            after,
            next,
            history: history::of(conn, &Subject::Batch(id), 100)?,
            approval: agreed::of_batch(conn, id)?,
        })
    }

    /// Whether nothing of it may go to the bank yet.
    fn waits(&self) -> bool {
        self.approval.as_ref().is_some_and(ApprovalRow::waits)
    }
}

pub(super) struct View<'a> {
    whole: &'a Shown,
    pub templates: &'a [String],
    /// The template that was used last.
    pub template: &'a str,
    pub wrong: Option<&'a str>,
    /// What is wrong with the bank's file.
    pub errors: &'a [CellError],
    pub did: Option<&'a str>,
}

pub(super) fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let batch = &view.whole.batch;
    let open = batch.state == BatchState::Open;
    let path = batch_path(batch.id);
    let body = html! {
        (parts::crumb("/admin/payouts", lang.t("지급", "Payouts")))
        div.head {
            h1 { (title(batch.id, lang)) }
            span.states {
                (batch_badge(batch.state, lang))
                @if let Some(row) = &view.whole.approval { " " a href=(approvals::path(row.id)) { (approvals::badge(row.state, lang)) } }
            }
        }
        (did(view.did.map(|did| match did {
            "made" if view.whole.waits() => "waits",
            did => did,
        }), lang))
        (wrong_part(view.wrong))
        (errors(view.errors, lang))
        @if open && view.whole.waits() { (waits(view, lang)) }
        div.two {
            div.stack {
                section.sheet {
                    h2 { (lang.t("합계", "Totals")) }
                    (totals(view, lang))
                    p.soft.small {
                        (lang.t(format!("{}까지 지급분", batch.due_until), format!("Due until {}", batch.due_until)))
                        " · " (words::time(batch.created_at)) " " span.by { (words::actor(&batch.created_by, lang)) }
                        @if !batch.note.is_empty() { " · " (words::masked_text(&batch.note)) }
                    }
                }
                section.sheet {
                    h2 { (lang.t("진행 기록", "What happened")) }
                    (happened(&view.whole.history, lang))
                }
                @if open { (call_off(&path, lang)) }
            }
            div.stack {
                @if open && !view.whole.waits() { (bank_part(view, &path, lang)) }
                section.sheet {
                    h2 { (lang.t("원천징수 내역", "Withholding")) }
                    p.soft.small { (lang.t(
                        "지급 완료된 원천징수 대상자의 지급액과 세액입니다. 세무 신고에 쓰세요.",
                        "Paid payouts of partners from whom tax is withheld, for the tax office.",
                    )) }
                    p.acts {
                        a.button href={ (path) "/withholding?format=xlsx" } { "XLSX" span.hidden { " " (lang.t("원천징수 내역 받기", "withholding")) } }
                        a.button href={ (path) "/withholding?format=csv" } { "CSV" span.hidden { " " (lang.t("원천징수 내역 받기", "withholding")) } }
                    }
                }
            }
        }
        h2 #payouts { (lang.t("지급", "Payouts")) }
        @if view.whole.payouts.is_empty() {
            (parts::none_yet(Icon::Send, lang.t(
                "이체할 지급이 없는 묶음입니다. 0원인 정산만 완료했습니다.",
                "Nothing was transferred: only settlements of ₩0 were completed.",
            )))
        } @else {
            @let first = view.whole.after.map(|_| format!("{path}#payouts"));
            @let next = view.whole.next.map(|next| format!("{path}?after={next}#payouts"));
            (payout_table(view, &path, lang))
            (parts::pager(lang, first.as_deref(), next.as_deref()))
        }
    };
    layout(look, self_page(lang), body)
}

/// A batch of which nothing may go to the bank yet.
fn waits(view: &View<'_>, lang: Lang) -> Markup {
    html! {
        @if let Some(row) = &view.whole.approval {
            section.sheet {
                h2 { (lang.t("두 번째 사람의 승인을 기다립니다", "It waits for a second person")) }
                p { (lang.t(
                    "금액이 정한 한도를 넘어, 만든 사람이 아닌 다른 사람이 승인해야 은행 파일을 받고 결과를 반영할 수 있습니다.",
                    "It is above the set amount: the bank's file can be fetched once somebody else than its maker approved it.",
                )) }
                p.acts { a.button.primary href=(approvals::path(row.id)) { (lang.t("승인 화면으로", "Look at it")) } }
            }
        }
    }
}

pub(super) fn title(id: i64, lang: Lang) -> String {
    lang.t(format!("지급 묶음 {id}"), format!("Batch {id}"))
}

fn did(did: Option<&str>, lang: Lang) -> Markup {
    let text = match did {
        Some("waits") => lang.t(
            "지급 묶음을 만들었습니다. 다른 사람이 승인하면 은행 파일을 받을 수 있습니다.",
            "The batch is made. Its file can be fetched once somebody else approved it.",
        ),
        Some("made") => lang.t(
            "지급 묶음을 만들었습니다. 은행 파일을 받아 은행에 올리세요.",
            "The batch is made. Fetch the bank's file and give it to the bank.",
        ),
        Some("decided") => lang.t("지급 결과를 반영했습니다.", "The bank's word is taken."),
        Some("same") => lang.t(
            "이미 반영된 결과입니다. 바뀐 것이 없습니다.",
            "All of it was known before. Nothing changed.",
        ),
        Some("called-off") => lang.t(
            "대기 중이던 지급을 취소했습니다. 정산은 다음 묶음에 넣을 수 있습니다.",
            "What waited is called off. Its settlements can go into the next batch.",
        ),
        _ => return html! {},
    };
    done(text)
}

fn errors(errors: &[CellError], lang: Lang) -> Markup {
    html! {
        @if !errors.is_empty() {
            section.sheet.tone-bad role="alert" {
                h2 { (lang.t(
                    format!("파일에서 {}건이 맞지 않아 아무것도 반영하지 않았습니다", errors.len()),
                    format!("{} things do not fit: nothing of the file was taken", errors.len()),
                )) }
                ul.lines.errors {
                    @for error in errors.iter().take(MOST_ERRORS) { li { (error.sentence(lang == Lang::Ko)) } }
                    @if errors.len() > MOST_ERRORS { li { "… +" (errors.len() - MOST_ERRORS) } }
                }
            }
        }
    }
}

fn totals(view: &View<'_>, lang: Lang) -> Markup {
    let (sums, batch) = (&view.whole.totals, &view.whole.batch);
    html! {
        dl.sums {
            dt { (lang.t(format!("지급액(세전) · {}건", sums.payouts), format!("Gross of {} payouts", sums.payouts))) } dd { (sums.gross) }
            dt { (lang.t("− 소득세", "− income tax")) } dd { (sums.income_tax) }
            dt { (lang.t("− 지방소득세", "− local income tax")) } dd { (sums.local_tax) }
            dt { (lang.t("= 이체 합계", "= to transfer")) } dd { (sums.amount) }
        }
        dl.facts {
            dt { (lang.t("이체 대기", "Waiting")) } dd { (lang.t(format!("{}건", batch.waiting), batch.waiting.to_string())) }
            dt { (lang.t("지급 완료", "Paid")) } dd { (lang.t(format!("{}건", batch.paid), batch.paid.to_string())) " · " (batch.paid_amount) }
            dt { (lang.t("지급 실패", "Failed")) } dd { (lang.t(format!("{}건", batch.failed), batch.failed.to_string())) }
        }
    }
}

fn template_field(view: &View<'_>, lang: Lang) -> Markup {
    html! {
        label.field {
            span { (lang.t("은행 파일 양식", "Template")) }
            select name="template" {
                @for name in view.templates { option value=(name) selected[name == view.template] { (name) } }
            }
        }
    }
}

fn bank_part(view: &View<'_>, path: &str, lang: Lang) -> Markup {
    html! {
        section.sheet {
            h2 { (lang.t("1. 은행 파일 받기", "1. Fetch the bank's file")) }
            p.soft.small { (lang.t(
                "이체 대기 중인 지급만 들어갑니다. 처음 쓰는 양식은 은행의 견본 파일과 비교하세요.",
                "It holds only what waits. Compare a template with the bank's own sample before its first use.",
            )) }
            @if let Some(last) = view.whole.history.iter().find(|event| event.kind == "file_handed_out") {
                p.message.wait { (lang.t(
                    format!("이미 받은 파일입니다(마지막: {}). 은행에 두 번 올리지 않았는지 확인하세요.", kst(last.at)),
                    format!("It was fetched before, last at {}. Make sure that the bank does not get it twice.", kst(last.at)),
                )) }
            }
            form.stack method="get" action={ (path) "/file" } {
                (template_field(view, lang))
                button.primary.wide { (lang.t("파일 받기", "Fetch the file")) }
            }
        }
        section.sheet {
            h2 { (lang.t("2. 은행 결과 올리기", "2. Give the bank's result")) }
            p.soft.small { (lang.t(
                "XLSX나 CSV를 올리면 어느 지급이 어떻게 되는지 먼저 보여 드립니다.",
                "XLSX or CSV. You see what it changes before it does.",
            )) }
            form.stack method="post" action={ (path) "/result" } enctype="multipart/form-data" data-once {
                (template_field(view, lang))
                label.field {
                    span { (lang.t("결과 파일", "Result file")) }
                    input type="file" name="file" required accept=".xlsx,.csv,.txt";
                }
                button.wide { (lang.t("결과 확인…", "Look at it…")) }
            }
        }
    }
}

fn payout_table(view: &View<'_>, path: &str, lang: Lang) -> Markup {
    html! {
        table.rows {
            thead { tr {
                th scope="col" { (lang.t("파트너사 · 계좌", "Partner · account")) }
                th scope="col" { (lang.t("상태", "State")) }
                th.num scope="col" { (lang.t("세전", "Gross")) }
                th.num scope="col" { (lang.t("세금", "Tax")) }
                th.num scope="col" { (lang.t("이체액", "Transfer")) }
                th scope="col" { span.hidden { (lang.t("할 일", "Actions")) } }
            } }
            tbody { @for (row, settlements) in &view.whole.payouts { tr {
                td.what {
                    a.main href={ "/admin/partners/" (super::segment(&row.partner)) } { (row.partner_name) }
                    " " code.soft { (row.reference()) }
                    div.small { (account(&row.bank, &row.account, lang)) " · " (words::masked_name(&row.holder)) }
                    div.soft.small {
                        (lang.t("정산 ", "settlements "))
                        @for (at, (id, day, amount)) in settlements.iter().enumerate() {
                            @if at > 0 { ", " }
                            a href={ "/admin/settlements/" (id) } title=(words::won(*amount)) { (day) }
                        }
                        @let more = row.settlements - settlements.len() as i64;
                        @if more > 0 { ", " a href={ (path) "/payouts/" (row.id) } { "+" (more) span.hidden { " " (lang.t("건 더 보기", "more settlements")) } } }
                    }
                }
                td.state {
                    (payout_badge(row.state, lang))
                    @if let Some(reason) = &row.reason { div.small.bad-text { (words::masked_text(reason)) } }
                    @if let Some(at) = row.decided_at {
                        div.soft.small { (words::short_time(at)) @if let Some(by) = &row.decided_by { " " span.by { (words::actor(by, lang)) } } }
                    }
                }
                td.num data-label=(lang.t("세전", "Gross")) { (row.gross) }
                td.num data-label=(lang.t("소득세 · 지방소득세", "Tax")) {
                    @if row.income_tax.is_zero() { span.soft { "–" } } @else { (row.income_tax) br; (row.local_tax) }
                }
                td.num data-label=(lang.t("이체액", "Transfer")) { strong { (row.amount) } }
                td.act {
                    @if row.state == PayoutState::Waiting && !view.whole.waits() {
                        a.button.small href={ (path) "/payouts/" (row.id) } {
                            (lang.t("결과 표시", "Mark")) span.hidden { " " (row.partner_name) }
                        }
                    }
                }
            } } }
        }
    }
}

fn call_off(path: &str, lang: Lang) -> Markup {
    html! {
        section.sheet {
            h2 { (lang.t("대기 중인 지급 취소", "Call off what waits")) }
            p.soft.small { (lang.t(
                "은행에 파일을 올리지 않았을 때만 취소하세요. 정산은 다시 지급 대상이 됩니다.",
                "Only while the bank has not got the file. The settlements can be paid again.",
            )) }
            form.stack method="post" action={ (path) "/call-off" } data-once {
                label.field {
                    span { (lang.t("취소하는 이유", "Why it is called off")) }
                    input name="reason" required maxlength="200" autocomplete="off";
                }
                button.danger.wide { (lang.t("취소…", "Call off…")) }
            }
        }
    }
}

/// A batch as a page, with what was wrong.
pub(super) fn answer(
    web: &Web,
    look: &Look,
    id: i64,
    template: Option<&str>,
    wrong: Option<&Problem>,
    errors: &[CellError],
    did: Option<&str>,
) -> Result<Response, Problem> {
    page_behind(web, look, id, None, template, wrong, errors, did)
}

/// The same with the payouts behind one of them.
#[expect(
    clippy::too_many_arguments,
    reason = "what a page shows, each of it once"
)]
fn page_behind(
    web: &Web,
    look: &Look,
    id: i64,
    after: Option<i64>,
    template: Option<&str>,
    wrong: Option<&Problem>,
    errors: &[CellError],
    did: Option<&str>,
) -> Result<Response, Problem> {
    let (found, templates) = web.ctx.store.read(|conn| {
        let templates = bank_templates::all(conn)?.into_iter();
        let names: Vec<String> = templates.map(|known| known.template.name).collect();
        Ok::<_, Problem>((Shown::read(conn, id, after)?, names))
    })?;
    let view = View {
        whole: &found,
        templates: &templates,
        template: template.unwrap_or(COMMON),
        wrong: wrong
            .filter(|_| errors.is_empty())
            .map(|problem| problem.sentence(look.lang)),
        errors,
        did,
    };
    let status = match (wrong, errors) {
        (Some(problem), _) => problem.status,
        (None, []) => StatusCode::OK,
        (None, _) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok((status, page(look, &view)).into_response())
}

/// `GET /admin/payouts/{id}?after=`
pub(super) async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(id): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    let did = field(&query, "did");
    let after = field(&query, "after").and_then(|id| id.parse().ok());
    let found =
        number(&id).and_then(|id| page_behind(&web, &look, id, after, None, None, &[], did));
    look.answer(found)
}

/// `GET /admin/payouts/{id}/file?template=`
pub(super) async fn file(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    headers: HeaderMap,
    Path(id): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    let look = Look {
        here: format!("/admin/payouts/{id}"),
        ..look
    };
    // The history says who fetched it: a link from elsewhere, or a browser that looks ahead, did not.
    if foreign_or_prefetched(&headers) {
        return look.problem(&Problem::cross_site());
    }
    let template = field(&query, "template").unwrap_or(COMMON);
    let id = match number(&id) {
        Ok(id) => id,
        Err(problem) => return look.problem(&problem),
    };
    match written(&web.ctx, id, template, actor.by).await {
        Ok((name, bytes)) => download(&name, bytes),
        Err(problem) => {
            let page = answer(&web, &look, id, Some(template), Some(&problem), &[], None);
            look.answer(page)
        }
    }
}

/// `GET /admin/payouts/{id}/withholding?format=xlsx|csv`
pub(super) async fn withholding(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(id): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    let as_csv = field(&query, "format") == Some("csv");
    look.answer(withholding_file(&web, &id, as_csv, look.lang).await)
}

async fn withholding_file(
    web: &Web,
    id: &str,
    as_csv: bool,
    lang: Lang,
) -> Result<Response, Problem> {
    let id = number(id)?;
    let (_, rows) = web.ctx.store.read(|conn| withheld(conn, id))?;
    let sheet = withheld_sheet(id, &rows, lang == Lang::Ko).map_err(FileError::Rows)?;
    let (bytes, extension) = if as_csv {
        (csv(&sheet, Encoding::Utf8Bom), "csv")
    } else {
        (xlsx(&[sheet]), "xlsx")
    };
    let bytes = bytes
        .map_err(WriteError::into_cell_errors)
        .map_err(FileError::Rows)?;
    let file = if as_csv {
        "withholding.csv"
    } else {
        "withholding.xlsx"
    };
    taken(&web.ctx.store, file, [("batch", id.to_string())]).await?;
    let what = lang.t("원천징수내역", "withholding");
    Ok(download(&format!("{what}-{id}.{extension}"), bytes))
}

/// A file that was sent by a form, and the template that it names.
struct Sent {
    template: String,
    file: Bytes,
}

async fn sent(multipart: Result<Multipart, MultipartRejection>) -> Result<Sent, Problem> {
    let broken = |error: MultipartError| {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::too_large(LARGEST_FILE)
        } else {
            Problem::bad_request(
                "올린 파일이 끝까지 도착하지 않았습니다. 다시 올려 주세요.",
                "The file did not arrive whole: send it again.",
            )
        }
    };
    let mut multipart = multipart.map_err(|_| {
        Problem::bad_request(
            "파일을 올리는 양식이 아닙니다.",
            "This is no form with a file.",
        )
    })?;
    let mut sent = Sent {
        template: COMMON.to_owned(),
        file: Bytes::new(),
    };
    while let Some(part) = multipart.next_field().await.map_err(broken)? {
        match part.name() {
            Some("template") => sent.template = part.text().await.map_err(broken)?,
            Some("file") => sent.file = part.bytes().await.map_err(broken)?,
            _ => {}
        }
    }
    if sent.file.is_empty() {
        return Err(Problem::bad_request(
            "은행의 결과 파일을 골라 주세요.",
            "Choose the bank's result file.",
        ));
    }
    Ok(sent)
}

/// `POST /admin/payouts/{id}/result`: shows what the bank's file would change.
pub(super) async fn result(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(id): Path<String>,
    multipart: Result<Multipart, MultipartRejection>,
) -> Response {
    let look = Look {
        here: format!("/admin/payouts/{id}"),
        ..look
    };
    let id = match number(&id) {
        Ok(id) => id,
        Err(problem) => return look.problem(&problem),
    };
    let sent = match sent(multipart).await {
        Ok(sent) => sent,
        Err(problem) => {
            return look.answer(answer(&web, &look, id, None, Some(&problem), &[], None));
        }
    };
    let Sent { template, file } = sent;
    let name = template.clone();
    let store = web.ctx.store.clone();
    let read = async move {
        let read = store.read_long(move |conn| {
            let template = bank_templates::get(conn, &name)?.template;
            Ok::<_, Problem>(match read_bank_result(conn, id, &template, &file) {
                Ok(result) => Ok(result),
                Err(ResultError::Rows(rows)) => Err(rows),
                Err(other) => return Err(other.into()),
            })
        });
        read.await
    };
    match uploads::in_turn(read).await.flatten() {
        Ok(Ok(result)) => preview(&look, id, &result).into_response(),
        Ok(Err(rows)) => look.answer(answer(&web, &look, id, Some(&template), None, &rows, None)),
        Err(problem) => look.problem(&problem),
    }
}

/// What the bank's file says, before anything is changed.
fn preview(look: &Look, id: i64, result: &BankResult) -> Markup {
    let lang = look.lang;
    let new = || result.matched.iter().filter(|m| !m.is_known());
    let paid = new().filter(|m| m.word == Word::Paid).count();
    let failed = new().count() - paid;
    let known = result.matched.len() - paid - failed;
    let words: Vec<Value> = result
        .words()
        .into_iter()
        .map(|(payout, word)| match word {
            Word::Paid => json!({ "payout": payout }),
            Word::Failed(reason) => json!({ "payout": payout, "failed": reason }),
        })
        .collect();
    let body = html! {
        (parts::crumb(&batch_path(id), &title(id, lang)))
        div.head { h1 { (lang.t("은행 결과 확인", "The bank's result")) } }
        section.sheet {
            p.big { (lang.t(
                format!("{paid}건을 지급 완료로, {failed}건을 지급 실패로 표시합니다."),
                format!("This marks {paid} payouts paid and {failed} failed."),
            )) }
            @if known > 0 { p { (lang.t(format!("{known}건은 이미 반영된 결과입니다."), format!("{known} are known before."))) } }
            @if !result.unmentioned.is_empty() {
                p.bad-text { (lang.t(
                    format!("파일에 없는 지급 {}건은 그대로 기다립니다: {}", result.unmentioned.len(), references(&result.unmentioned)),
                    format!("{} payouts are not in the file and go on waiting: {}", result.unmentioned.len(), references(&result.unmentioned)),
                )) }
            }
            p.soft.small { (lang.t(
                "지급 완료는 되돌릴 수 없습니다. 실패한 지급의 정산은 '실패'가 되며, 다시 시도할 수 있습니다.",
                "Paid cannot be undone. The settlements of a failed payout are FAILED and can be tried again.",
            )) }
            form.acts method="post" action={ (batch_path(id)) "/result/confirm" } data-once {
                input type="hidden" name="words" value=(Value::from(words));
                a.button href=(batch_path(id)) { (lang.t("그만두기", "Leave it")) }
                button.primary #do-it { (lang.t("결과 반영하기", "Take it")) }
            }
        }
        table.rows {
            thead { tr {
                th scope="col" { (lang.t("지급", "Payout")) }
                th scope="col" { (lang.t("결과", "Outcome")) }
                th.num scope="col" { (lang.t("이체액", "Transfer")) }
                th.num scope="col" { (lang.t("파일의 행", "Row")) }
            } }
            tbody { @for m in &result.matched { tr {
                td.what { strong { (m.payout.partner_name) } " " code.soft { (m.payout.reference()) }
                    div.small { (account(&m.payout.bank, &m.payout.account, lang)) } }
                td.state {
                    (payout_badge(m.word.state(), lang))
                    @if m.is_known() { " " span.mini { (lang.t("이미 반영됨", "known before")) } }
                    @if let Word::Failed(reason) = &m.word { div.small.bad-text { (words::masked_text(reason)) } }
                }
                td.num data-label=(lang.t("이체액", "Transfer")) { strong { (m.payout.amount) } }
                td.num data-label=(lang.t("파일의 행", "Row")) { (m.line) }
            } } }
        }
    };
    layout(look, self_page(lang), body)
}

fn references(rows: &[PayoutRow]) -> String {
    let mut names: Vec<String> = rows.iter().take(20).map(PayoutRow::reference).collect();
    if rows.len() > 20 {
        names.push("…".into());
    }
    names.join(", ")
}

/// The words that a preview handed on.
fn words_of(pairs: &Pairs) -> Option<Vec<(i64, Word)>> {
    let value: Value = serde_json::from_str(pairs.get("words")?).ok()?;
    let words = value.as_array()?.iter().map(|one| {
        let payout = one.get("payout")?.as_i64()?;
        Some(match one.get("failed") {
            None => (payout, Word::Paid),
            Some(reason) => (payout, Word::Failed(reason.as_str()?.to_owned())),
        })
    });
    words.collect()
}

/// `POST /admin/payouts/{id}/result/confirm`: takes what the preview showed.
pub(super) async fn take(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    Body(body): Body,
) -> Response {
    let look = Look {
        here: format!("/admin/payouts/{id}"),
        ..look
    };
    let id = match number(&id) {
        Ok(id) => id,
        Err(problem) => return look.problem(&problem),
    };
    let Some(words) = words_of(&Pairs::read(&body)) else {
        let problem = Problem::bad_request(
            "반영할 결과가 없습니다. 결과 파일을 다시 올려 주세요.",
            "There is no result to take: send the bank's file again.",
        );
        return look.answer(answer(&web, &look, id, None, Some(&problem), &[], None));
    };
    match pay_out::decide(&web.ctx, id, words, actor.by).await {
        Ok(told) => {
            let did = match told.paid + told.failed {
                0 => "same",
                _ => "decided",
            };
            see_other(&format!("{}?did={did}", batch_path(id)), None)
        }
        Err(error) => {
            let problem = Problem::from(error);
            look.answer(answer(&web, &look, id, None, Some(&problem), &[], None))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        domain::{calendar::KstDay, money::Won},
        flow::read_bank_result::Matched,
        sheet::Said,
    };

    pub(in super::super) fn payout(id: i64, state: PayoutState) -> PayoutRow {
        let decided =
            (state != PayoutState::Waiting).then(|| "2026-08-06T02:00:00Z".parse().unwrap());
        PayoutRow {
            id,
            batch: 3,
            partner: "farm-<b>".into(),
            partner_name: "<b>농장".into(),
            state,
            gross: Won::new(1_234_567),
            income_tax: Won::new(37_030),
            local_tax: Won::new(3_700),
            amount: Won::new(1_193_837),
            bank: "004".into(),
            account: "0012301000001".into(),
            holder: "홍길동".into(),
            reason: (state == PayoutState::Failed).then(|| "<i>불일치".into()),
            decided_at: decided,
            decided_by: decided.map(|_| "page".into()),
            settlements: 1,
        }
    }

    fn whole_of(states: &[PayoutState], state: BatchState) -> Shown {
        let day: KstDay = "2026-08-05".parse().unwrap();
        let rows: Vec<PayoutRow> = (7..).zip(states).map(|(id, s)| payout(id, *s)).collect();
        Shown {
            batch: BatchRow {
                id: 3,
                state,
                due_until: day,
                note: String::new(),
                created_at: "2026-08-06T01:00:00Z".parse().unwrap(),
                created_by: "page".into(),
                finished_at: None,
                payouts: rows.len() as i64,
                amount: Won::ZERO,
                waiting: 1,
                paid: 0,
                paid_amount: Won::ZERO,
                failed: 0,
            },
            totals: Totals {
                payouts: rows.len(),
                ..Totals::default()
            },
            after: None,
            next: None,
            payouts: rows
                .into_iter()
                .map(|row| (row, vec![(41, day, Won::new(1_234_567))]))
                .collect(),
            history: Vec::new(),
            approval: None,
        }
    }

    #[test]
    fn a_batch_shows_its_totals_and_only_an_open_one_takes_a_result() {
        let all = [
            PayoutState::Waiting,
            PayoutState::Paid,
            PayoutState::Failed,
            PayoutState::Cancelled,
        ];
        for (lang, file) in [(Lang::Ko, "파일 받기"), (Lang::En, "Fetch the file")] {
            let look = super::super::tests::look(lang);
            let open = whole_of(&all, BatchState::Open);
            let errors = [CellError::row(2, Said::new("<u>틀림", "<u>wrong"))];
            let mut view = View {
                whole: &open,
                templates: &["공통".to_owned()],
                template: COMMON,
                wrong: None,
                errors: &errors,
                did: None,
            };
            let text = page(&look, &view).into_string();
            assert!(text.contains(file) && text.contains("/admin/payouts/3/call-off"));
            assert!(text.contains("/admin/settlements/41") && text.contains("₩1,193,837"));
            assert!(text.contains("/admin/payouts/3/payouts/7"));
            assert!(!text.contains("/admin/payouts/3/payouts/8"));
            for raw in ["<b>농장", "<i>불일치", "<u>틀림", "farm-<b>"] {
                assert!(!text.contains(raw), "{raw}");
            }
            let over = whole_of(&[], BatchState::Done);
            (view.whole, view.errors) = (&over, &[]);
            let text = page(&look, &view).into_string();
            assert!(!text.contains(file) && text.contains("₩0"));
        }
    }

    #[test]
    fn a_preview_says_how_many_and_hands_its_words_on() {
        let matched = |id, state, word| Matched {
            line: 2,
            payout: payout(id, state),
            word,
        };
        let result = BankResult {
            matched: vec![
                matched(7, PayoutState::Waiting, Word::Paid),
                matched(8, PayoutState::Waiting, Word::Failed("\"<b>\"&".into())),
                matched(9, PayoutState::Paid, Word::Paid),
            ],
            unmentioned: vec![payout(10, PayoutState::Waiting)],
        };
        let text = preview(&super::super::tests::look(Lang::En), 3, &result).into_string();
        assert!(text.contains("marks 1 payouts paid and 1 failed") && text.contains("P3-10"));
        assert!(!text.contains("<b>"));
        let pairs = Pairs(vec![(
            "words".into(),
            r#"[{"payout":7},{"payout":8,"failed":"x"}]"#.into(),
        )]);
        let words = words_of(&pairs).unwrap();
        assert_eq!(words, [(7, Word::Paid), (8, Word::Failed("x".into()))]);
        assert!(words_of(&Pairs(vec![("words".into(), "[1]".into())])).is_none());
    }
}
