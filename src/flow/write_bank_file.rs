//! Writes what leaves for a bank and for the tax office: the transfers that wait, and what was withheld.
//! Changes nothing but the history: a file that was handed out is remembered. What waits for a second person
//! goes nowhere.

use rusqlite::Connection;
use serde_json::json;

use crate::{
    domain::{
        bank::BankCode,
        calendar::KstDay,
        money::{OutOfRange, Won},
        partner::PartnerType,
    },
    flow::{Ctx, approve, pay_out::PayoutError},
    sheet::{
        Cell, CellError, Said, Sheet,
        bank::{BankTemplate, Transfer, write},
    },
    store::{
        StoreError,
        history::{self, Subject},
        partners,
        payouts::{self, BatchRow, PayoutRow, PayoutState},
    },
};

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error(transparent)]
    Payout(#[from] PayoutError),
    #[error("the file cannot be written: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Rows(Vec<CellError>),
}

impl From<StoreError> for FileError {
    fn from(error: StoreError) -> FileError {
        FileError::Payout(error.into())
    }
}

/// What partners see in their books: the shop's name.
pub fn deposit_memo(ctx: &Ctx, conn: &Connection) -> Result<String, StoreError> {
    let id = &ctx.policy.default_partner;
    Ok(partners::get(conn, id)?.map_or_else(|| id.clone(), |own| own.name))
}

/// A file for the bank, and of which payouts it is.
#[derive(Debug)]
pub struct BankFile {
    pub bytes: Vec<u8>,
    /// Their numbers, as they waited when the file was written.
    pub payouts: Vec<i64>,
}

/// A bulk transfer of what waits in a batch. What is decided is left out, so that nothing is sent again.
pub fn write_bank_file(
    conn: &Connection,
    batch: i64,
    template: &BankTemplate,
    deposit_memo: &str,
) -> Result<BankFile, FileError> {
    let known = payouts::batch(conn, batch)?.ok_or(PayoutError::NoBatch(batch))?;
    if known.waiting == 0 {
        let (id, state) = (batch, known.state);
        return Err(PayoutError::NotOpen { id, state }.into());
    }
    if let Some(approval) = approve::waits_for(conn, batch)? {
        return Err(PayoutError::Waits { batch, approval }.into());
    }
    let mut rows = payouts::of_batch(conn, batch)?;
    rows.retain(|row| row.state == PayoutState::Waiting);
    let transfers: Vec<Transfer> = rows
        .iter()
        .map(|row| Transfer {
            reference: row.reference(),
            bank_code: row.bank.clone(),
            bank_name: BankCode::parse(&row.bank)
                .map_or_else(|_| row.bank.clone(), |bank| bank.ko().to_owned()),
            account: row.account.clone(),
            holder: row.holder.clone(),
            amount: row.amount,
            partner_id: row.partner.clone(),
            partner_name: row.partner_name.clone(),
        })
        .collect();
    Ok(BankFile {
        bytes: write(template, &transfers, deposit_memo).map_err(FileError::Rows)?,
        payouts: rows.iter().map(|row| row.id).collect(),
    })
}

/// Keeps that a batch's file was handed out: whoever comes second is told, before the bank pays twice. To
/// be called **before** anybody gets the file: this is where it is held back if an approval is missing or
/// does not hold any more, and where what is in the file does not wait any more: called off or decided
/// since, it would be paid by the bank and be due here again.
pub async fn handed_out(
    ctx: &Ctx,
    batch: i64,
    in_file: Vec<i64>,
    template: &str,
    by: &'static str,
) -> Result<(), PayoutError> {
    let detail = json!({ "template": template });
    ctx.store
        .write(move |tx| {
            if let Err(approval) = approve::release(tx, batch)? {
                return Ok(Err(PayoutError::Waits { batch, approval }));
            }
            let mut now = payouts::of_batch(tx.conn(), batch)?;
            now.retain(|row| row.state == PayoutState::Waiting);
            if !now.iter().map(|row| row.id).eq(in_file) {
                return Ok(Err(PayoutError::Other));
            }
            history::add(tx, &Subject::Batch(batch), "file_handed_out", by, &detail)?;
            Ok::<_, PayoutError>(Ok(()))
        })
        .await
        .flatten()
}

/// Transfers that nobody gets: to compare a template with the bank's own sample.
pub fn sample(template: &BankTemplate) -> Result<Vec<u8>, Vec<CellError>> {
    let one = |id: i64, bank: &str, name: &str, account: &str, holder: &str, amount| Transfer {
        reference: format!("P1-{id}"),
        bank_code: bank.to_owned(),
        bank_name: name.to_owned(),
        account: account.to_owned(),
        holder: holder.to_owned(),
        amount: Won::new(amount),
        partner_id: format!("sample-{id}"),
        partner_name: format!("견본상점 {id}"),
    };
    let transfers = [
        one(1, "004", "KB국민은행", "00000000000001", "견본일", 10_000),
        one(2, "088", "신한은행", "000000000002", "견본이", 1_234_567),
        one(3, "011", "NH농협은행", "0000000000003", "견본삼", 1),
    ];
    write(template, &transfers, "견본상점")
}

/// What was withheld from the paid payouts of a batch (원천징수 내역), in order of the partners.
pub fn withheld(conn: &Connection, batch: i64) -> Result<(BatchRow, Vec<PayoutRow>), PayoutError> {
    let known = payouts::batch(conn, batch)?.ok_or(PayoutError::NoBatch(batch))?;
    let mut rows = Vec::new();
    for row in payouts::of_batch(conn, batch)? {
        let withholds = row.income_tax.is_positive()
            || partners::kind(conn, &row.partner)?.is_some_and(PartnerType::withholds);
        if row.state == PayoutState::Paid && withholds {
            rows.push(row);
        }
    }
    Ok((known, rows))
}

/// The same as a sheet, with its totals.
pub fn withheld_sheet(
    batch: i64,
    rows: &[PayoutRow],
    korean: bool,
) -> Result<Sheet, Vec<CellError>> {
    let t = |ko: &str, en: &str| if korean { ko } else { en }.to_owned();
    let sum = |of: fn(&PayoutRow) -> Won| {
        Won::sum(rows.iter().map(of)).map_err(|OutOfRange| {
            vec![CellError::file(Said::new(
                "합계가 너무 큽니다.",
                "the sum is out of range",
            ))]
        })
    };
    let totals = vec![
        Cell::text(t("합계", "total")),
        Cell::Empty,
        Cell::Empty,
        Cell::Won(sum(|row| row.gross)?),
        Cell::Won(sum(|row| row.income_tax)?),
        Cell::Won(sum(|row| row.local_tax)?),
        Cell::Won(sum(|row| row.amount)?),
        Cell::Empty,
        Cell::Empty,
    ];
    Ok(Sheet {
        name: t("원천징수 내역", "withholding"),
        title_rows: vec![vec![Cell::text(t(
            &format!("원천징수 내역 · 지급 묶음 {batch}"),
            &format!("withholding, payout batch {batch}"),
        ))]],
        headers: [
            ("지급번호", "reference"),
            ("파트너 ID", "partner id"),
            ("파트너명", "partner"),
            ("지급액(세전)", "gross"),
            ("소득세", "income tax"),
            ("지방소득세", "local income tax"),
            ("실지급액", "transferred"),
            ("지급일", "paid on"),
            ("예금주", "holder"),
        ]
        .map(|(ko, en)| t(ko, en))
        .to_vec(),
        rows: rows
            .iter()
            .map(|row| {
                vec![
                    Cell::text(row.reference()),
                    Cell::text(&row.partner),
                    Cell::text(&row.partner_name),
                    Cell::Won(row.gross),
                    Cell::Won(row.income_tax),
                    Cell::Won(row.local_tax),
                    Cell::Won(row.amount),
                    row.decided_at
                        .map_or(Cell::Empty, |at| Cell::Day(KstDay::of(at))),
                    Cell::text(&row.holder),
                ]
            })
            .collect(),
        totals: Some(totals),
        ..Sheet::default()
    })
}
