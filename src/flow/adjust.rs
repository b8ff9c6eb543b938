//! Corrections by hand: a signed amount with a reason, one at a time or all rows of a file at once.
//!
//! Above the amount of the settings they are written down and wait for a second person. What one person
//! booked for a partner on one day without a second one counts together, so parts gain nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    domain::{
        approval::{Kind, State, needs_second},
        calendar::KstDay,
        ids::PartnerId,
        money::{OutOfRange, Won},
        rules::Rule,
    },
    flow::{Ctx, approve, hold_settlement::reason_of},
    store::{
        StoreError, Tx, adjustments,
        approvals::{self, ApprovalRow, New},
        history::{self, Subject},
        partners, rules,
    },
};

#[derive(Debug, thiserror::Error)]
pub enum AdjustError {
    #[error("no partner `{0}` is known here")]
    NoPartner(PartnerId),
    #[error("{0} won cannot be adjusted: expected a signed amount that is not 0, up to {max} won", max = Won::LARGEST)]
    Amount(Won),
    #[error("a reason of 1 to 200 characters is needed: the partner reads it")]
    Reason,
    /// The file was taken before: nothing was booked twice.
    #[error("this file was imported already: its row {line} is adjustment {id}")]
    Taken { line: usize, id: i64 },
    #[error("row {line}: {why}")]
    Row { line: usize, why: Box<AdjustError> },
    #[error("the sum of the amounts is out of range")]
    OutOfRange,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<OutOfRange> for AdjustError {
    fn from(OutOfRange: OutOfRange) -> AdjustError {
        AdjustError::OutOfRange
    }
}

/// What is to be adjusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adjustment {
    pub partner: PartnerId,
    /// Positive adds to what the partner is owed, negative takes.
    pub amount: Won,
    pub reason: String,
}

/// An adjustment in the books.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Adjusted {
    pub id: i64,
    /// On whose settlement it counts.
    pub day: KstDay,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Booking {
    /// One for each row.
    Booked(Vec<Adjusted>),
    /// Nothing is booked until a second person approves this.
    Waits(i64),
}

/// Books one adjustment, or has it wait.
pub async fn adjust(
    ctx: &Ctx,
    adjustment: Adjustment,
    by: &'static str,
) -> Result<Booking, AdjustError> {
    ctx.store
        .write(move |tx| book_or_ask(tx, None, &[(None, adjustment)], by))
        .await
}

/// Books all rows of a file, or none. `file` is the file's fingerprint; `(line, adjustment)` its rows.
pub async fn adjust_all(
    ctx: &Ctx,
    file: String,
    rows: Vec<(usize, Adjustment)>,
    by: &'static str,
) -> Result<Booking, AdjustError> {
    let rows: Vec<Row> = rows
        .into_iter()
        .map(|(line, adjustment)| (Some(line), adjustment))
        .collect();
    ctx.store
        .write(move |tx| book_or_ask(tx, Some(&file), &rows, by))
        .await
}

/// A row of a file, or an adjustment by itself.
type Row = (Option<usize>, Adjustment);

/// An error, with the row that it is about.
fn at(line: Option<usize>) -> impl FnOnce(AdjustError) -> AdjustError {
    move |why| match (why, line) {
        (why @ (AdjustError::Store(_) | AdjustError::Taken { .. }), _) | (why, None) => why,
        (why, Some(line)) => AdjustError::Row {
            line,
            why: Box::new(why),
        },
    }
}

fn source_of(file: Option<&str>, line: Option<usize>) -> Option<String> {
    Some(format!("{}:{}", file?, line?))
}

fn book_or_ask(
    tx: &mut Tx<'_>,
    file: Option<&str>,
    rows: &[Row],
    by: &str,
) -> Result<Booking, AdjustError> {
    for (line, adjustment) in rows {
        if let (Some(source), Some(line)) = (source_of(file, *line), *line)
            && let Some(id) = adjustments::taken(tx.conn(), &source)?
        {
            return Err(AdjustError::Taken { line, id });
        }
        check(tx, adjustment).map_err(at(*line))?;
    }
    if let Some(file) = file
        && let Some(known) = approvals::with_source(tx.conn(), file)?
    {
        // A key is answered for good; a file that was refused may be sent again.
        if known.waits() || file.starts_with("key:") {
            return Ok(Booking::Waits(known.id));
        }
    }
    let limit = rules::limit(tx.conn(), Rule::AdjustmentOver)?;
    let sums = Sums::of(rows)?;
    if above(tx, limit, &sums, by)? {
        return ask(tx, file, rows, &sums, by).map(Booking::Waits);
    }
    rows.iter()
        .map(|(line, adjustment)| {
            let source = source_of(file, *line);
            book(tx, adjustment, source.as_deref(), by, None).map_err(at(*line))
        })
        .collect::<Result<_, _>>()
        .map(Booking::Booked)
}

/// What rows come to, without their signs.
struct Sums<'a> {
    all: Won,
    by_partner: BTreeMap<&'a str, Won>,
}

impl<'a> Sums<'a> {
    fn of(rows: &'a [Row]) -> Result<Sums<'a>, OutOfRange> {
        let mut sums = Sums {
            all: Won::ZERO,
            by_partner: BTreeMap::new(),
        };
        for (_, row) in rows {
            let amount = Won::new(row.amount.get().saturating_abs());
            sums.all = sums.all.plus(amount)?;
            let of = sums.by_partner.entry(row.partner.as_str()).or_default();
            *of = of.plus(amount)?;
        }
        Ok(sums)
    }
}

/// Whether it needs a second person: by itself, or with what the maker booked today for one of its
/// partners without one.
fn above(tx: &Tx<'_>, limit: Option<Won>, sums: &Sums<'_>, by: &str) -> Result<bool, StoreError> {
    if limit.is_none() {
        return Ok(false);
    }
    if needs_second(limit, Won::ZERO, sums.all) {
        return Ok(true);
    }
    let today = KstDay::of(tx.now);
    for (partner, sum) in &sums.by_partner {
        let before = adjustments::alone(tx.conn(), by, partner, today)?;
        if needs_second(limit, before, *sum) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn ask(
    tx: &mut Tx<'_>,
    file: Option<&str>,
    rows: &[Row],
    sums: &Sums<'_>,
    by: &str,
) -> Result<i64, AdjustError> {
    let first = rows.first().map(|(_, adjustment)| adjustment);
    let one_partner = sums.by_partner.len() == 1;
    let subject = match (first.filter(|_| one_partner), file) {
        (Some(first), _) => Subject::Partner(first.partner.as_str()).to_string(),
        (None, Some(file)) => format!("file:{file}"),
        (None, None) => "file".to_owned(),
    };
    let net = Won::sum(rows.iter().map(|(_, row)| row.amount))?;
    let asked = json!({
        "rows": rows.len(),
        "partners": sums.by_partner.len(),
        "partner": first.filter(|_| one_partner).map(|first| &first.partner),
        "reason": first.filter(|_| rows.len() == 1).map(|first| first.reason.trim()),
        "net": net,
    });
    let new = New {
        kind: Kind::Adjustment,
        subject: &subject,
        amount: sums.all,
        asked: &asked,
        rows: Some(&json!(rows)),
        source: file,
        by,
    };
    Ok(approve::ask(tx, &new)?)
}

/// Books what was approved: by the one who asked, and with the one who approved.
pub(crate) fn book_approved(
    tx: &mut Tx<'_>,
    row: &ApprovalRow,
    rows: &Value,
    approver: &str,
) -> Result<(), AdjustError> {
    let rows = rows_of(rows)?;
    for (line, adjustment) in &rows {
        let source = source_of(row.source.as_deref(), *line);
        let approved = Some((row.id, approver));
        book(tx, adjustment, source.as_deref(), &row.made_by, approved).map_err(at(*line))?;
    }
    Ok(())
}

/// The adjustments that an approval holds.
pub fn rows_of(rows: &Value) -> Result<Vec<Row>, StoreError> {
    serde_json::from_value(rows.clone()).map_err(|why| StoreError::Unreadable {
        table: "approval",
        why: why.to_string(),
    })
}

/// Whether an approval asks for just this.
pub fn asks_for(row: Option<&Value>, adjustment: &Adjustment) -> Result<bool, StoreError> {
    let rows = row.map(rows_of).transpose()?.unwrap_or_default();
    Ok(
        matches!(&rows[..], [(_, one)] if one.partner == adjustment.partner
        && one.amount == adjustment.amount && one.reason.trim() == adjustment.reason.trim()),
    )
}

fn check(tx: &Tx<'_>, adjustment: &Adjustment) -> Result<String, AdjustError> {
    let reason = reason_of(&adjustment.reason).ok_or(AdjustError::Reason)?;
    let amount = adjustment.amount;
    if amount.is_zero() || amount.get().unsigned_abs() > Won::LARGEST.get().unsigned_abs() {
        return Err(AdjustError::Amount(amount));
    }
    if partners::get(tx.conn(), adjustment.partner.as_str())?.is_none() {
        return Err(AdjustError::NoPartner(adjustment.partner.clone()));
    }
    Ok(reason)
}

fn book(
    tx: &mut Tx<'_>,
    adjustment: &Adjustment,
    source: Option<&str>,
    by: &str,
    approved: Option<(i64, &str)>,
) -> Result<Adjusted, AdjustError> {
    let reason = check(tx, adjustment)?;
    let (partner, amount) = (adjustment.partner.as_str(), adjustment.amount);
    let new = adjustments::New {
        partner,
        amount,
        reason: &reason,
        source,
        by,
        approved,
    };
    let (id, day) = adjustments::add(tx, &new)?;
    let mut detail = json!({ "adjustment": id, "amount": amount, "reason": reason, "day": day });
    if let Some((approval, approver)) = approved {
        detail["approval"] = json!(approval);
        detail["approved_by"] = json!(approver);
        detail["state"] = json!(State::Approved);
    }
    history::add(tx, &Subject::Partner(partner), "adjusted", by, &detail)?;
    Ok(Adjusted { id, day })
}
