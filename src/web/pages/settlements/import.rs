//! `/admin/adjustments/import`: adjustments out of a file, checked first, then all at once.

use axum::{
    body::Bytes,
    extract::{FromRequest, Multipart, Request, State},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    super::{
        approvals,
        layout::{Look, layout},
        words,
    },
    crumb, file_errors, page_of,
    said::{partner_path, signed},
};
use crate::{
    flow::import_adjustments::{
        COLUMNS, ImportAdjustmentsError, Imported, MOST_ROWS, book, import_adjustments,
    },
    web::{
        Web,
        api::settlements::{LARGEST_FILE, no_file, unread},
        auth::Actor,
        error::Problem,
        lang::Lang,
        uploads,
    },
};

/// A file up to this size is kept in the page between checking and booking, as hexadecimal digits.
const LARGEST_KEPT: usize = 2 << 20;
/// Rows that the page shows.
const SHOWN: usize = 200;

/// What a form sent.
#[derive(Default)]
struct Sent {
    file: Vec<u8>,
    name: Option<String>,
    /// The fingerprint that was looked at, on the way to booking it.
    seen: Option<String>,
}

pub enum Shown<'a> {
    Nothing,
    Wrong(&'a str),
    Errors(&'a [crate::sheet::CellError]),
    /// Checked: the file itself comes along if it is small enough.
    Checked(&'a Imported, Option<String>),
    Booked(&'a Imported),
    /// Written down, and booked once this is approved.
    Waits(&'a Imported, i64),
}

pub fn page(look: &Look, shown: &Shown<'_>) -> Markup {
    let lang = look.lang;
    let title = lang.t("파일로 조정", "Adjustments by file");
    let body = html! {
        (crumb("/admin/adjustments", lang.t("조정", "Adjustments")))
        div.head { h1 { (title) } }
        @match shown {
            Shown::Nothing => {}
            Shown::Wrong(wrong) => p.message.bad role="alert" { (wrong) },
            Shown::Errors(errors) => (file_errors(errors, lang)),
            Shown::Checked(checked, kept) => (checked_part(checked, kept.as_deref(), lang)),
            Shown::Waits(asked, approval) => {
                p.message.wait role="status" {
                    (lang.t(
                        format!("조정 {}건, 합계 {}은(는) 정한 금액을 넘어 다른 사람의 승인을 기다립니다. ", asked.rows.len(), signed(asked.total)),
                        format!("{} adjustments, {} in all, are above the set amount and wait for a second person. ", asked.rows.len(), signed(asked.total)),
                    ))
                    a href=(approvals::path(*approval)) { (lang.t("승인 화면", "Look at it")) }
                }
                (rows(asked, lang))
            }
            Shown::Booked(booked) => {
                p.message.good role="status" { (lang.t(
                    format!("조정 {}건, 합계 {}을(를) 반영했습니다.", booked.rows.len(), signed(booked.total)),
                    format!("{} adjustments are booked, {} in all.", booked.rows.len(), signed(booked.total)),
                )) }
                (rows(booked, lang))
            }
        }
        @if !matches!(shown, Shown::Checked(..)) { (form(lang)) }
    };
    layout(look, page_of(title), body)
}

fn form(lang: Lang) -> Markup {
    html! {
        section.sheet aria-labelledby="file" {
            h2 #file { (lang.t("파일 올리기", "Upload a file")) }
            p { (lang.t("CSV나 XLSX 파일의 첫 행에 열 이름을 적어 주세요. 순서는 상관없습니다.", "The first row of the CSV or XLSX names the columns, in any order.")) }
            ul.errors { @for column in COLUMNS { li { code { (column.key) } " · " (column.aliases.first().copied().unwrap_or_default()) } } }
            p.soft.small { (lang.t(
                format!("{MOST_ROWS}행까지 받습니다. 먼저 검사하고, 문제가 없을 때만 한꺼번에 반영합니다. 같은 파일은 두 번 반영되지 않습니다."),
                format!("Up to {MOST_ROWS} rows. It is checked first, and booked all at once or not at all. The same file is never booked twice."),
            )) }
            form.stack method="post" action="/admin/adjustments/import" enctype="multipart/form-data" data-once {
                label.field { span { (lang.t("파일", "File")) } input type="file" name="file" required accept=".csv,.xlsx,text/csv"; }
                button.primary { (lang.t("검사하기", "Check it")) }
            }
        }
    }
}

fn checked_part(checked: &Imported, kept: Option<&str>, lang: Lang) -> Markup {
    html! {
        p.message.wait role="status" { (lang.t(
            format!("문제가 없습니다. 아직 반영하지 않았습니다: {}건, 합계 {}.", checked.rows.len(), signed(checked.total)),
            format!("Nothing is wrong, and nothing is booked yet: {} rows, {} in all.", checked.rows.len(), signed(checked.total)),
        )) }
        section.sheet {
            h2 { (lang.t("모두 반영할까요?", "Book all of it?")) }
            p { (lang.t("각 파트너사의 다음 정산에 들어갑니다.", "Each counts in its partner's next settlement.")) }
            form.acts method="post" action="/admin/adjustments/import" enctype="multipart/form-data" data-once {
                input type="hidden" name="seen" value=(checked.file);
                @match kept {
                    Some(hex) => { input type="hidden" name="kept" value=(hex); }
                    None => label.field { span { (lang.t("큰 파일이라 한 번 더 골라 주세요", "It is large: choose it once more")) } input type="file" name="file" required; },
                }
                a.button href="/admin/adjustments/import" { (lang.t("그만두기", "Leave it")) }
                button.primary #do-it { (lang.t("모두 반영하기", "Book all")) }
            }
        }
        (rows(checked, lang))
    }
}

fn rows(of: &Imported, lang: Lang) -> Markup {
    html! {
        table.rows.tight {
            thead { tr {
                th.num scope="col" { (lang.t("행", "Row")) }
                th scope="col" { (lang.t("파트너사 · 사유", "Partner · reason")) }
                th.num scope="col" { (lang.t("금액", "Amount")) }
            } }
            tbody { @for row in of.rows.iter().take(SHOWN) { tr {
                td.num data-label=(lang.t("행", "Row")) { (row.line) }
                td.what { a.main href=(partner_path(row.adjustment.partner.as_str())) { (row.partner_name) } div.small { (words::masked_text(&row.adjustment.reason)) } }
                td.num data-label=(lang.t("금액", "Amount")) { strong { (signed(row.adjustment.amount)) } }
            } } }
        }
        @if of.rows.len() > SHOWN { p.soft { (lang.t(
            format!("이 밖에 {}행이 더 있습니다.", of.rows.len() - SHOWN),
            format!("And {} more rows.", of.rows.len() - SHOWN),
        )) } }
    }
}

/// `GET /admin/adjustments/import`
pub async fn show(_: Actor, look: Look) -> Response {
    page(&look, &Shown::Nothing).into_response()
}

async fn sent(request: Request) -> Result<Sent, Problem> {
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|_| no_file())?;
    let mut sent = Sent::default();
    while let Some(part) = form.next_field().await.map_err(|e| unread(&e))? {
        let field = part.name().unwrap_or_default().to_owned();
        let name = part.file_name().map(str::to_owned);
        let bytes: Bytes = part.bytes().await.map_err(|e| unread(&e))?;
        match field.as_str() {
            "file" if bytes.len() > LARGEST_FILE => return Err(Problem::too_large(LARGEST_FILE)),
            "file" => (sent.file, sent.name) = (bytes.to_vec(), name),
            "kept" => sent.file = hex::decode(&bytes).map_err(|_| no_file())?,
            "seen" => sent.seen = String::from_utf8(bytes.to_vec()).ok(),
            _ => {}
        }
    }
    match sent.file.is_empty() {
        true => Err(no_file()),
        false => Ok(sent),
    }
}

/// `POST /admin/adjustments/import`: checks a file; books the one that was looked at.
pub async fn import(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    request: Request,
) -> Response {
    let sent = match sent(request).await {
        Ok(sent) => sent,
        Err(problem) => {
            let wrong = problem.sentence(look.lang).to_owned();
            return (problem.status, page(&look, &Shown::Wrong(&wrong))).into_response();
        }
    };
    let (ctx, file, name) = (web.ctx.clone(), sent.file.clone(), sent.name);
    let check = async move { import_adjustments(&ctx, file, name, true, actor.by).await };
    let checked = match uploads::in_turn(check).await {
        Ok(checked) => checked,
        Err(problem) => return look.problem(&problem),
    };
    let result = match checked {
        // Another file than the one that was looked at is looked at first.
        Ok(checked) if sent.seen.as_ref() == Some(&checked.file) => {
            book(&web.ctx, checked, actor.by).await
        }
        other => other,
    };
    match result {
        Ok(checked) if checked.dry_run => {
            let kept = (sent.file.len() <= LARGEST_KEPT).then(|| hex::encode(&sent.file));
            page(&look, &Shown::Checked(&checked, kept)).into_response()
        }
        Ok(booked) => match booked.waits {
            Some(approval) => page(&look, &Shown::Waits(&booked, approval)).into_response(),
            None => page(&look, &Shown::Booked(&booked)).into_response(),
        },
        Err(ImportAdjustmentsError::Cells(errors)) => {
            let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
            (status, page(&look, &Shown::Errors(&errors))).into_response()
        }
        Err(error) => {
            let problem = Problem::from(error);
            if !problem.status.is_client_error() {
                return look.problem(&problem);
            }
            let wrong = problem.sentence(look.lang).to_owned();
            (problem.status, page(&look, &Shown::Wrong(&wrong))).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ids::PartnerId, money::Won},
        flow::{adjust::Adjustment, import_adjustments::ImportedRow},
        sheet::{CellError, Said},
    };

    fn imported() -> Imported {
        Imported {
            dry_run: true,
            file: "ab12".into(),
            rows: vec![ImportedRow {
                line: 2,
                adjustment: Adjustment {
                    partner: PartnerId::new("farm-<b>").unwrap(),
                    amount: Won::new(-700),
                    reason: "=cmd <i>".into(),
                },
                partner_name: "농장 <b>".into(),
                booked: None,
            }],
            total: Won::new(-700),
            waits: None,
        }
    }

    #[test]
    fn a_checked_file_is_shown_before_it_is_booked() {
        let look = Look::default();
        let kept = Some("00ff".to_owned());
        let text = page(&look, &Shown::Checked(&imported(), kept)).into_string();
        assert!(text.contains("value=\"ab12\"") && text.contains("value=\"00ff\""));
        assert!(text.contains("-₩700") && !text.contains("<i>") && !text.contains("<b>"));
        let text = page(&look, &Shown::Checked(&imported(), None)).into_string();
        assert!(text.contains("한 번 더"));
    }

    #[test]
    fn errors_stand_row_by_row() {
        let said = || Said::new("비어 있습니다.", "it is empty");
        let errors = [
            CellError::cell(2, 0, Some("<b>"), said()),
            CellError::row(3, said()),
        ];
        let text = page(&Look::default(), &Shown::Errors(&errors)).into_string();
        assert!(text.contains("2행 A열(&lt;b&gt;): 비어") && text.contains("3행: 비어"));
        assert!(
            page(&Look::default(), &Shown::Nothing)
                .into_string()
                .contains("partner_id")
        );
    }
}
