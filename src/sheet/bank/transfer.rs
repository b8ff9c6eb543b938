//! Writes the file that a bank takes.

use std::collections::BTreeSet;

use super::{BankField, BankTemplate, FileFormat, LONGEST_TEXT, TemplateColumn, digits};
use crate::{
    domain::money::Won,
    sheet::{Cell, CellError, Encoding, Said, Sheet, WriteError, csv, xlsx},
};

/// Korean accounts have up to 16 digits; some virtual ones have a few more.
const ACCOUNT_DIGITS: std::ops::RangeInclusive<usize> = 5..=20;

/// One payout, to one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Our payout's number, `P12-3`. Each only once in a file.
    pub reference: String,
    /// Three digits, `004`.
    pub bank_code: String,
    pub bank_name: String,
    /// Digits; hyphens and spaces among them are left out.
    pub account: String,
    pub holder: String,
    pub amount: Won,
    pub partner_id: String,
    pub partner_name: String,
}

/// Writes the file that the bank takes. `deposit_memo` is what partners see in their books. All
/// that is wrong, at once, by the rows of the file; nothing is written then.
pub fn write(
    template: &BankTemplate,
    transfers: &[Transfer],
    deposit_memo: &str,
) -> Result<Vec<u8>, Vec<CellError>> {
    if let Err(wrong) = template.check() {
        let said = Said::new(wrong.ko(), wrong.to_string());
        return Err(vec![CellError::file(said)]);
    }
    if transfers.is_empty() {
        return Err(vec![CellError::file(Said::new(
            "이체할 지급이 없습니다.",
            "there is no payout to transfer",
        ))]);
    }
    let mut wrong = Vec::new();
    let mut rows = Vec::new();
    let mut references = BTreeSet::new();
    for (i, transfer) in transfers.iter().enumerate() {
        let line = i + 1 + usize::from(template.header);
        if !references.insert(&transfer.reference) {
            wrong.push(CellError::row(
                line,
                Said::new(
                    format!("같은 지급이 두 번 있습니다({}).", transfer.reference),
                    format!("payout `{}` stands twice in the file", transfer.reference),
                ),
            ));
        }
        let mut row = Vec::new();
        for (index, column) in template.columns.iter().enumerate() {
            match cell(column, transfer, deposit_memo) {
                Ok(cell) => row.push(cell),
                Err(said) => {
                    wrong.push(CellError::cell(line, index, Some(&column.header), said));
                }
            }
        }
        rows.push(row);
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let headers = match template.header {
        true => template.columns.iter().map(|c| c.header.clone()).collect(),
        false => Vec::new(),
    };
    let sheet = Sheet {
        name: "이체".to_owned(),
        headers,
        rows,
        ..Sheet::default()
    };
    let written = match template.format {
        FileFormat::Xlsx => xlsx(&[sheet]),
        FileFormat::CsvUtf8Bom => csv(&sheet, Encoding::Utf8Bom),
        FileFormat::CsvEucKr => csv(&sheet, Encoding::EucKr),
    };
    written.map_err(WriteError::into_cell_errors)
}

fn cell(column: &TemplateColumn, transfer: &Transfer, deposit_memo: &str) -> Result<Cell, Said> {
    let most = column.most.unwrap_or(LONGEST_TEXT);
    // Memos are for the eye: what is too long is cut, and a line break is a space.
    let memo = |text: &str| {
        let text: String = text
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .filter(|c| !c.is_control())
            .take(most)
            .collect();
        Ok(Cell::text(text.trim_end()))
    };
    let whole = |text: &str| {
        let (text, length) = (text.trim(), text.trim().chars().count());
        if length == 0 {
            return Err(Said::new("비어 있습니다.", "it is empty"));
        }
        if length > most {
            return Err(Said::new(
                format!("`{text}`: {length}자입니다. 은행은 {most}자까지 받습니다."),
                format!("`{text}` has {length} characters, the bank takes {most}"),
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(Said::new(
                "줄바꿈 같은 제어 문자가 있습니다.",
                "it holds a control character, such as a line break",
            ));
        }
        Ok(Cell::text(text))
    };
    match &column.field {
        BankField::BankCode => {
            let code = transfer.bank_code.trim();
            if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Said::new(
                    format!("은행 코드가 세 자리 숫자가 아닙니다(`{code}`)."),
                    format!("the bank's code is `{code}`, expected three digits"),
                ));
            }
            whole(code)
        }
        BankField::BankName => whole(&transfer.bank_name),
        BankField::Account => {
            let account = digits(&transfer.account);
            let plain = !account.is_empty() && account.bytes().all(|b| b.is_ascii_digit());
            if !plain || !ACCOUNT_DIGITS.contains(&account.len()) {
                let (least, most) = (ACCOUNT_DIGITS.start(), ACCOUNT_DIGITS.end());
                return Err(Said::new(
                    format!(
                        "계좌번호는 숫자 {least}~{most}자리여야 합니다(`{}`).",
                        transfer.account
                    ),
                    format!(
                        "the account is `{}`, expected {least} to {most} digits",
                        transfer.account
                    ),
                ));
            }
            whole(&account)
        }
        BankField::Amount if !transfer.amount.is_positive() => Err(Said::new(
            format!(
                "이체 금액이 {}원입니다. 1원 이상이어야 합니다.",
                transfer.amount
            ),
            format!(
                "the amount is {} won, at least 1 is needed",
                transfer.amount
            ),
        )),
        BankField::Amount => Ok(Cell::Won(transfer.amount)),
        BankField::Holder => whole(&transfer.holder),
        BankField::Reference => whole(&transfer.reference),
        BankField::PartnerId => whole(&transfer.partner_id),
        BankField::DepositMemo => memo(deposit_memo),
        BankField::WithdrawMemo => memo(&transfer.reference),
        BankField::PartnerName => memo(&transfer.partner_name),
        BankField::Fixed(text) => Ok(Cell::text(text)),
        BankField::Blank => Ok(Cell::Empty),
    }
}
