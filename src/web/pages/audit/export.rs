//! The audit log as a file, by the filters of its page.

use axum::{extract::State, response::Response};

use super::{acts, changed, filter};
use crate::{
    domain::{
        account::Right,
        calendar::{KstDay, kst},
    },
    flow::take_away::taken,
    sheet::{self, Cell, Encoding, Sheet},
    store::{
        StoreError,
        audit::{self, Filter, Line},
    },
    web::{
        Web,
        auth::Actor,
        download::download,
        error::Problem,
        extract::Q,
        lang::Lang,
        pages::layout::{Fields, Look, field},
    },
};

/// Lines that one file holds at most: what a spreadsheet opens without trouble.
const MOST: usize = 50_000;
/// Lines that are read at once.
const PORTION: usize = 2_000;

/// `GET /admin/audit/export.csv`
pub async fn csv(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Q(fields): Q<Fields>,
) -> Response {
    look.answer(file(&web, &actor, look.lang, &fields, false).await)
}

/// `GET /admin/audit/export.xlsx`
pub async fn xlsx(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Q(fields): Q<Fields>,
) -> Response {
    look.answer(file(&web, &actor, look.lang, &fields, true).await)
}

async fn file(
    web: &Web,
    actor: &Actor,
    lang: Lang,
    fields: &Fields,
    workbook: bool,
) -> Result<Response, Problem> {
    // The route asks for the right to take files away; what is in this one needs another, too.
    if !actor.may(Right::AuditRead) {
        return Err(Problem::forbidden(Right::AuditRead.as_str()));
    }
    let asked = filter(fields)?;
    let name = if workbook { "audit.xlsx" } else { "audit.csv" };
    let filters = super::FILTERS.map(|name| {
        let value = field(fields, name).unwrap_or_default();
        (name, value.to_owned())
    });
    taken(&web.ctx.store, name, filters).await?;
    let read = web.ctx.store.read_long(move |conn| read_all(conn, asked));
    let (lines, cut) = read.await?;
    let today = KstDay::of(web.ctx.store.now());
    let made = tokio::task::spawn_blocking(move || {
        let table = sheet_of(&lines, cut, lang);
        match workbook {
            true => sheet::xlsx(&[table]),
            false => sheet::csv(&table, Encoding::Utf8Bom),
        }
    });
    let bytes = match made.await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            tracing::error!(%error, "the audit log could not be written as a file");
            let errors = error.into_cell_errors();
            return Err(crate::web::error::settlements::file_not_written(&errors));
        }
        Err(died) => return Err(StoreError::Panicked(died.to_string()).into()),
    };
    let ending = if workbook { "xlsx" } else { "csv" };
    Ok(download(&format!("audit-{today}.{ending}"), bytes))
}

/// All that fits, newest first, and whether there is more than a file holds.
fn read_all(
    conn: &rusqlite::Connection,
    mut filter: Filter,
) -> Result<(Vec<Line>, bool), StoreError> {
    let mut lines = Vec::new();
    loop {
        let page = audit::list(conn, &filter, PORTION)?;
        lines.extend(page.lines);
        if lines.len() > MOST {
            lines.truncate(MOST);
            return Ok((lines, true));
        }
        match page.next {
            Some(next) => filter.before = Some(next),
            None => return Ok((lines, false)),
        }
    }
}

fn sheet_of(lines: &[Line], cut: bool, lang: Lang) -> Sheet {
    let mut title_rows = vec![vec![Cell::text(lang.t("감사 로그", "Audit log"))]];
    if cut {
        title_rows.push(vec![Cell::text(lang.t(
            format!("조건에 맞는 기록이 {MOST}줄보다 많아 최근 것만 담았습니다. 날짜를 좁혀 나누어 받으세요."),
            format!("More than {MOST} lines fit, so these are the newest: choose fewer days and take several files."),
        ))]);
    }
    let said = |line: &Line, before: bool| {
        let sides = changed(line.before.as_ref(), line.after.as_ref());
        let parts: Vec<String> = sides
            .iter()
            .filter_map(|side| {
                let value = if before { &side.before } else { &side.after };
                Some(format!("{}: {}", side.name, value.as_ref()?))
            })
            .collect();
        match parts.is_empty() {
            true => Cell::Empty,
            false => Cell::text(parts.join("\n")),
        }
    };
    Sheet {
        name: lang.t("감사 로그", "Audit log").to_owned(),
        title_rows,
        headers: [
            lang.t("번호", "Number"),
            lang.t("시각 (한국)", "Time (Korea)"),
            lang.t("누가", "Who"),
            lang.t("어디서", "From where"),
            lang.t("무엇을", "What"),
            lang.t("코드", "Code"),
            lang.t("대상", "About"),
            lang.t("전", "Before"),
            lang.t("후", "After"),
            lang.t("지문", "Mark"),
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: lines
            .iter()
            .map(|line| {
                vec![
                    Cell::Int(line.id),
                    Cell::text(kst(line.at)),
                    Cell::text(&line.actor),
                    Cell::text(&line.origin),
                    Cell::text(acts::act(&line.act, lang)),
                    Cell::text(&line.act),
                    Cell::text(&line.subject),
                    said(line, true),
                    said(line, false),
                    Cell::text(&line.hash),
                ]
            })
            .collect(),
        ..Sheet::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_a_cut_file_says_so() {
        let line = Line {
            id: 1,
            at: "2026-08-06T01:00:00Z".parse().unwrap(),
            actor: "@minji".into(),
            origin: "=1+1".into(),
            act: "partner.changed".into(),
            subject: "partner:x".into(),
            before: Some(json!({ "memo": "=cmd()" })),
            after: Some(json!({ "memo": "x" })),
            hash: "abc".into(),
        };
        for (cut, lang) in [(true, Lang::Ko), (false, Lang::En)] {
            let table = sheet_of(std::slice::from_ref(&line), cut, lang);
            let bytes = sheet::csv(&table, Encoding::Utf8Bom).unwrap();
            let text = String::from_utf8(bytes).unwrap();
            assert!(
                !text.contains(",=1+1") && !text.contains(",@minji"),
                "{text}"
            );
            assert_eq!(text.contains("50000줄"), cut);
            assert!(sheet::xlsx(&[table]).is_ok());
        }
    }
}
