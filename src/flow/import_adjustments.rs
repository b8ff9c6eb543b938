//! Adjustments out of a file: all of its rows, or none.
//!
//! The file's fingerprint goes into the books with each row, so the same file is taken once.

use std::collections::{HashMap, hash_map::Entry};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    domain::{ids::PartnerId, money::Won},
    flow::{
        Ctx,
        adjust::{AdjustError, Adjusted, Adjustment, Booking, adjust_all},
        hold_settlement::reason_of,
    },
    sheet::{self, CellError, Column, Columns, Others, Row, Said, Table},
    store::{StoreError, adjustments, partners},
};

/// Rows of one file: they are booked in one transaction.
pub const MOST_ROWS: usize = 5_000;
/// Errors that are told of one file.
const MOST_ERRORS: usize = 200;

/// The columns of the file, for the page that explains it.
pub const COLUMNS: [Column<'static>; 3] = [
    Column {
        key: "partner_id",
        aliases: &[
            "파트너사 ID",
            "파트너사ID",
            "파트너 ID",
            "파트너사",
            "파트너",
            "partner",
        ],
        required: true,
    },
    Column {
        key: "amount",
        aliases: &["금액", "조정 금액", "조정금액"],
        required: true,
    },
    Column {
        key: "reason",
        aliases: &["사유", "조정 사유", "조정사유", "메모"],
        required: true,
    },
];

#[derive(Debug, thiserror::Error)]
pub enum ImportAdjustmentsError {
    #[error("the file cannot be taken: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Cells(Vec<CellError>),
    #[error(transparent)]
    Adjust(#[from] AdjustError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A file that could be taken, or was.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    pub dry_run: bool,
    /// SHA-256 of the file.
    pub file: String,
    pub rows: Vec<ImportedRow>,
    /// What all rows come to.
    pub total: Won,
    /// The approval that all of it waits for: nothing is booked then.
    pub waits: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ImportedRow {
    /// As a spreadsheet shows it.
    pub line: usize,
    #[serde(flatten)]
    pub adjustment: Adjustment,
    pub partner_name: String,
    #[serde(flatten)]
    pub booked: Option<Adjusted>,
}

/// Reads a file of adjustments and, unless it is a dry run, books all of it. The same file again is
/// refused, also by a dry run.
pub async fn import_adjustments(
    ctx: &Ctx,
    bytes: Vec<u8>,
    name: Option<String>,
    dry_run: bool,
    by: &'static str,
) -> Result<Imported, ImportAdjustmentsError> {
    let file = hex::encode(Sha256::digest(&bytes));
    let fingerprint = file.clone();
    let rows = ctx
        .store
        .read_long(move |conn| {
            let table = sheet::read_at_most(&bytes, name.as_deref(), MOST_ROWS)
                .map_err(|error| ImportAdjustmentsError::Cells(vec![error.into_cell_error()]))?;
            // Before all else: a person who sends a file twice wants to hear just that.
            for row in table.rows.iter().take(1) {
                let source = format!("{fingerprint}:{}", row.line);
                if let Some(id) = adjustments::taken(conn, &source)? {
                    return Err(AdjustError::Taken { line: row.line, id }.into());
                }
            }
            let mut names = HashMap::new();
            for id in ids(&table) {
                if let Entry::Vacant(slot) = names.entry(id) {
                    let partner = partners::get(conn, slot.key())?;
                    slot.insert(partner.map(|partner| partner.name));
                }
            }
            understand(&table, &names).map_err(ImportAdjustmentsError::Cells)
        })
        .await?;
    let total = Won::sum(rows.iter().map(|row| row.adjustment.amount)).map_err(|_| {
        let said = Said::new(
            "금액의 합계가 다룰 수 있는 범위를 벗어납니다.",
            "the sum of the amounts is out of range",
        );
        ImportAdjustmentsError::Cells(vec![CellError::file(said)])
    })?;
    let imported = Imported {
        dry_run: true,
        file,
        rows,
        total,
        waits: None,
    };
    if dry_run {
        return Ok(imported);
    }
    book(ctx, imported, by).await
}

/// Books a file that was checked by a dry run: all of its rows, or none.
pub async fn book(
    ctx: &Ctx,
    mut imported: Imported,
    by: &'static str,
) -> Result<Imported, ImportAdjustmentsError> {
    let all = imported
        .rows
        .iter()
        .map(|row| (row.line, row.adjustment.clone()))
        .collect();
    match adjust_all(ctx, imported.file.clone(), all, by).await? {
        Booking::Booked(booked) => {
            for (row, adjusted) in imported.rows.iter_mut().zip(booked) {
                row.booked = Some(adjusted);
            }
        }
        Booking::Waits(approval) => imported.waits = Some(approval),
    }
    imported.dry_run = false;
    Ok(imported)
}

fn ids(table: &Table) -> Vec<String> {
    match Columns::find(table, &COLUMNS, Others::Refused) {
        Ok(columns) => table
            .rows
            .iter()
            .filter_map(|row| columns.get(row, "partner_id").map(str::to_owned))
            .collect(),
        Err(_) => Vec::new(),
    }
}

/// All rows, or all that is wrong with them. `names` are those of the partners that the file names.
fn understand(
    table: &Table,
    names: &HashMap<String, Option<String>>,
) -> Result<Vec<ImportedRow>, Vec<CellError>> {
    let columns = Columns::find(table, &COLUMNS, Others::Refused)?;
    if table.rows.is_empty() {
        return Err(vec![CellError::file(Said::new(
            "열 이름 아래에 내용이 없습니다. 조정할 내용을 한 행 이상 적어 주세요.",
            "there are no rows below the header: write at least one",
        ))]);
    }
    let (mut rows, mut wrong) = (Vec::with_capacity(table.rows.len()), Vec::new());
    for row in &table.rows {
        match one(&columns, row, names) {
            Ok(found) => rows.push(found),
            Err(errors) => wrong.extend(errors),
        }
    }
    if wrong.is_empty() {
        return Ok(rows);
    }
    let more = wrong.len().saturating_sub(MOST_ERRORS);
    wrong.truncate(MOST_ERRORS);
    if more > 0 {
        wrong.push(CellError::file(Said::new(
            format!("이 밖에 오류가 {more}개 더 있습니다."),
            format!("and {more} more"),
        )));
    }
    Err(wrong)
}

fn one(
    columns: &Columns,
    row: &Row,
    names: &HashMap<String, Option<String>>,
) -> Result<ImportedRow, Vec<CellError>> {
    let mut wrong = Vec::new();
    let empty = || {
        Said::new(
            "비어 있습니다. 값을 적어 주세요.",
            "it is empty: fill it in",
        )
    };
    let mut cell = |key: &str, said: Said| wrong.push(columns.error(row, key, said));
    let partner = match columns.get(row, "partner_id") {
        None => {
            cell("partner_id", empty());
            None
        }
        Some(id) => match (PartnerId::new(id), names.get(id).cloned().flatten()) {
            (Ok(partner), Some(name)) => Some((partner, name)),
            _ => {
                cell(
                    "partner_id",
                    Said::new(
                        format!(
                            "`{id}` 파트너사를 찾을 수 없습니다. 등록된 파트너사의 ID를 적어 주세요."
                        ),
                        format!("no partner `{id}` is known here: write the id of one that is"),
                    ),
                );
                None
            }
        },
    };
    let amount = match columns.get(row, "amount").map(sheet::won) {
        None => {
            cell("amount", empty());
            None
        }
        Some(Err(said)) => {
            cell("amount", said);
            None
        }
        Some(Ok(won)) if won.is_zero() || won.get().unsigned_abs() > Won::LARGEST.get() as u64 => {
            let most = Won::LARGEST;
            cell(
                "amount",
                Said::new(
                    format!("{won}원은 조정할 수 없습니다. 0이 아닌 ±{most}원 이내여야 합니다."),
                    format!(
                        "{won} won cannot be adjusted: expected an amount that is not 0, up to ±{most}"
                    ),
                ),
            );
            None
        }
        Some(Ok(won)) => Some(won),
    };
    let reason = match columns.get(row, "reason") {
        None => {
            cell("reason", empty());
            None
        }
        Some(text) => {
            let reason = reason_of(text);
            if reason.is_none() {
                cell(
                    "reason",
                    Said::new(
                        "사유는 줄바꿈 없이 1~200자여야 합니다.",
                        "a reason has 1 to 200 characters, in one line",
                    ),
                );
            }
            reason
        }
    };
    match (partner, amount, reason) {
        (Some((partner, partner_name)), Some(amount), Some(reason)) => Ok(ImportedRow {
            line: row.line,
            adjustment: Adjustment {
                partner,
                amount,
                reason,
            },
            partner_name,
            booked: None,
        }),
        _ => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<ImportedRow>, Vec<CellError>> {
        let table = sheet::read(text.as_bytes(), None).unwrap();
        let names = HashMap::from([("farm".to_owned(), Some("<농장>".to_owned()))]);
        understand(&table, &names)
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        let rows =
            read("파트너사 ID,금액,사유\nfarm,\"△3,000\",배송비\nfarm,5000원,보상\n").unwrap();
        let amounts: Vec<i64> = rows.iter().map(|r| r.adjustment.amount.get()).collect();
        assert_eq!(amounts, [-3_000, 5_000]);
        assert_eq!(rows[0].partner_name, "<농장>");
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_with_row_and_column() {
        let wrong =
            read("partner_id,amount,reason\nfarm,0,x\nnobody,abc,\nfarm,100,ok\n").unwrap_err();
        let told: Vec<String> = wrong.iter().map(|error| error.sentence(true)).collect();
        assert_eq!(wrong.len(), 4, "{told:?}");
        assert!(told[0].starts_with("2행 B열(amount): 0원은"), "{told:?}");
        assert!(
            told[1].starts_with("3행 A열(partner_id): `nobody`"),
            "{told:?}"
        );
        assert!(told[3].starts_with("3행 C열(reason): 비어"), "{told:?}");
        let header = read("partner_id,won\nfarm,1\n").unwrap_err();
        assert!(
            header
                .iter()
                .any(|e| e.ko.contains("필요한 열이 없습니다: 금액"))
        );
    }
}
