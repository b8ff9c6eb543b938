//! Writes partners into a table of the import's own columns: what comes out can be sent in again.

use rusqlite::Connection;

use crate::{
    domain::{
        calendar::KstDay,
        masks::masked_partner,
        terms_draft::{TermsDraft, fee_text},
    },
    flow::import_partners::{COLUMNS, draft_of},
    sheet::{Cell, Sheet},
    store::{
        StoreError,
        contracts::{self, Version},
        partners::{self, Filter, PartnerRow},
    },
};

/// Partners that are read at a time.
const PORTION: usize = 500;

/// The header in the language of whoever reads it; both are understood by the import.
pub fn headers(korean: bool) -> Vec<String> {
    let shown = |column: &crate::sheet::Column<'_>| match column.aliases.first() {
        Some(alias) if korean => (*alias).to_owned(),
        _ => column.key.to_owned(),
    };
    COLUMNS.iter().map(shown).collect()
}

/// All partners that fit, by name, each with the contract that holds on `today`, or else begins later.
/// Persons and accounts are masked unless `whole`; then it cannot be sent in again.
pub fn sheet(
    conn: &Connection,
    filter: &Filter,
    today: KstDay,
    korean: bool,
    whole: bool,
) -> Result<Sheet, StoreError> {
    let mut rows = Vec::new();
    let mut after: Option<(String, String)> = None;
    loop {
        let cursor = after
            .as_ref()
            .map(|(name, id)| (name.as_str(), id.as_str()));
        let found = partners::list(conn, filter, cursor, PORTION)?;
        for partner in &found {
            let versions = contracts::of(conn, partner.id.as_str())?;
            let version = contracts::holding(&versions, today).or(versions.first());
            rows.push(row(partner, version, whole));
        }
        match found.last() {
            Some(last) if found.len() == PORTION => {
                after = Some((last.name.clone(), last.id.to_string()));
            }
            _ => break,
        }
    }
    Ok(Sheet {
        name: if korean { "파트너사" } else { "partners" }.to_owned(),
        headers: headers(korean),
        rows,
        ..Sheet::default()
    })
}

/// Text, or an empty cell.
fn text(text: Option<String>) -> Cell {
    text.filter(|text| !text.is_empty())
        .map_or(Cell::Empty, Cell::Text)
}

fn row(partner: &PartnerRow, version: Option<&Version>, whole: bool) -> Vec<Cell> {
    let draft = match whole {
        true => draft_of(partner),
        false => masked_partner(&draft_of(partner)),
    };
    let mut cells: Vec<Cell> = [
        draft.id,
        draft.name,
        draft.kind,
        draft.business_number,
        draft.bank,
        draft.account_number,
        draft.account_holder,
        draft.contact_name,
        draft.contact_email,
        draft.contact_phone,
        draft.status,
        draft.memo,
        Some(draft.tags.join(",")),
    ]
    .map(text)
    .into();
    match version {
        None => cells.extend(std::iter::repeat_n(Cell::Empty, 7)),
        Some(version) => {
            let terms = &version.terms;
            let draft = TermsDraft::from(terms);
            cells.extend([
                Cell::Day(version.from),
                Cell::Text(fee_text(terms.fee)),
                text(draft.fee_vat),
                text(draft.cycle),
                Cell::Int(terms.cycle.lag_days().into()),
                text(draft.holiday),
                Cell::Won(terms.min_payout),
            ]);
        }
    }
    cells
}

/// The header with two partners as an example.
pub fn template(today: KstDay, korean: bool) -> Sheet {
    let example = |cells: [&str; 13], contract: [&str; 4]| {
        let [fee, vat, cycle, holiday] = contract;
        let mut row: Vec<Cell> = cells
            .iter()
            .map(|cell| text(Some((*cell).to_owned())))
            .collect();
        row.extend([
            Cell::Day(today),
            Cell::text(fee),
            Cell::text(vat),
            Cell::text(cycle),
            Cell::Int(2),
            Cell::text(holiday),
            Cell::Int(0),
        ]);
        row
    };
    let rows = vec![
        example(
            [
                "farm-1",
                "햇살농장",
                "사업자(일반과세)",
                "220-81-62517",
                "KB국민",
                "004-0001-2345",
                "햇살농장",
                "김철수",
                "farm@example.com",
                "010-1234-5678",
                "승인",
                "",
                "과일,직송",
            ],
            ["10%", "파트너", "매월:10,말일", "전영업일"],
        ),
        example(
            [
                "maker-2",
                "이영희",
                "개인(원천징수 대상)",
                "",
                "신한",
                "110-123-456789",
                "이영희",
                "",
                "",
                "",
                "승인 대기",
                "",
                "",
            ],
            ["500원", "플랫폼", "매주:월,목", "후영업일"],
        ),
    ];
    Sheet {
        name: if korean { "파트너사" } else { "partners" }.to_owned(),
        headers: headers(korean),
        rows,
        ..Sheet::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::{self, Columns, Others};

    #[test]
    fn the_template_is_a_file_that_the_import_understands() {
        for korean in [true, false] {
            let sheet = template("2026-08-06".parse().unwrap(), korean);
            assert!(sheet.rows.iter().all(|row| row.len() == COLUMNS.len()));
            for bytes in [
                sheet::xlsx(std::slice::from_ref(&sheet)).unwrap(),
                sheet::csv(&sheet, sheet::Encoding::Utf8Bom).unwrap(),
            ] {
                let table = sheet::read(&bytes, None).unwrap();
                let columns = Columns::find(&table, &COLUMNS, Others::Refused).unwrap();
                let cell = |key| columns.get(&table.rows[0], key).unwrap();
                assert_eq!(cell("contract_from"), "2026-08-06");
                assert_eq!((cell("lag_days"), cell("min_payout")), ("2", "0"));
            }
        }
    }
}
