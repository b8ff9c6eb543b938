//! Corrections by hand: a signed amount with a reason, one at a time or all rows of a file at once.

use serde::Serialize;
use serde_json::json;

use crate::{
    domain::{calendar::KstDay, ids::PartnerId, money::Won},
    flow::{Ctx, hold_settlement::reason_of},
    store::{
        StoreError, Tx, adjustments,
        history::{self, Subject},
        partners,
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
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is to be adjusted.
#[derive(Clone, Debug, PartialEq, Serialize)]
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

/// Books one adjustment.
pub async fn adjust(
    ctx: &Ctx,
    adjustment: Adjustment,
    by: &'static str,
) -> Result<Adjusted, AdjustError> {
    ctx.store
        .write(move |tx| book(tx, &adjustment, None, by))
        .await
}

/// Books all rows of a file, or none. `file` is the file's fingerprint; `(line, adjustment)` its rows.
pub async fn adjust_all(
    ctx: &Ctx,
    file: String,
    rows: Vec<(usize, Adjustment)>,
    by: &'static str,
) -> Result<Vec<Adjusted>, AdjustError> {
    ctx.store
        .write(move |tx| {
            rows.iter()
                .map(|(line, adjustment)| {
                    let line = *line;
                    let source = format!("{file}:{line}");
                    if let Some(id) = adjustments::taken(tx.conn(), &source)? {
                        return Err(AdjustError::Taken { line, id });
                    }
                    book(tx, adjustment, Some(&source), by).map_err(|why| match why {
                        AdjustError::Store(error) => AdjustError::Store(error),
                        why => AdjustError::Row {
                            line,
                            why: Box::new(why),
                        },
                    })
                })
                .collect()
        })
        .await
}

fn book(
    tx: &mut Tx<'_>,
    adjustment: &Adjustment,
    source: Option<&str>,
    by: &str,
) -> Result<Adjusted, AdjustError> {
    let reason = reason_of(&adjustment.reason).ok_or(AdjustError::Reason)?;
    let amount = adjustment.amount;
    if amount.is_zero() || amount.get().unsigned_abs() > Won::LARGEST.get().unsigned_abs() {
        return Err(AdjustError::Amount(amount));
    }
    let partner = adjustment.partner.as_str();
    if partners::get(tx.conn(), partner)?.is_none() {
        return Err(AdjustError::NoPartner(adjustment.partner.clone()));
    }
    let (id, day) = adjustments::add(tx, partner, amount, &reason, source, by)?;
    let detail = json!({ "adjustment": id, "amount": amount, "reason": reason, "day": day });
    history::add(tx, &Subject::Partner(partner), "adjusted", by, &detail)?;
    Ok(Adjusted { id, day })
}
