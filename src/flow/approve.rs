//! Maker and checker: what one person asked for is done once another has looked at it.
//!
//! Whether a second person is needed is decided once, when something is asked for, and a later change of
//! the amounts in the settings changes nothing of what waits. A key or the command line may ask; only a
//! person with an account may approve, and never the one who asked.
//!
//! An approval is of exactly what was looked at. Payouts and the accounts that they go to are named by a
//! digest, so an account that is changed afterwards asks anew; see [`release`] and [`account_changed`].

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    domain::{
        alert::Alert,
        approval::{Kind, State, is_person},
        money::Won,
    },
    flow::{
        Ctx,
        adjust::{self, AdjustError},
        hold_settlement::reason_of,
        pay_out::{self, PayoutError},
        raise_alert::raise,
    },
    store::{
        StoreError, Tx, admin,
        approvals::{self, ApprovalRow, New},
        audit,
        history::{self, Subject},
        payouts,
    },
};

#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    #[error("no approval {0} is known here")]
    NoApproval(i64),
    #[error("approval {id} is {} already", state.as_str())]
    Decided { id: i64, state: State },
    #[error("who asked for approval {0} cannot decide it: a second person has to, or withdraw it")]
    Own(i64),
    #[error(
        "only a person with an account decides what waits for a second person: sign in on the pages"
    )]
    NotAPerson,
    #[error("approval {id} can be withdrawn by {maker} alone, who asked for it: refuse it instead")]
    NotTheMaker { id: i64, maker: String },
    #[error(
        "you set the account of `{partner}`, to which nothing was paid so far: somebody else has to approve this"
    )]
    OwnAccount { partner: String },
    #[error("what approval {0} is about is not what was looked at any more: look again")]
    Changed(i64),
    #[error("a reason of 1 to 200 characters is needed: whoever asked reads it")]
    Reason,
    #[error(transparent)]
    Payout(#[from] PayoutError),
    #[error(transparent)]
    Adjust(#[from] AdjustError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

// --- Asking

/// Writes down what has to wait, in the transaction of what it is about, and has it told.
pub(crate) fn ask(tx: &mut Tx<'_>, new: &New<'_>) -> Result<i64, StoreError> {
    let id = approvals::add(tx, new)?;
    let after = json!({
        "state": State::Waiting, "kind": new.kind, "subject": new.subject, "amount": new.amount,
        "made_by": new.by, "asked": new.asked,
    });
    note(tx, id, "approval.asked", None, &after)?;
    let alert = Alert::ApprovalWaits {
        approval: id,
        kind: new.kind,
        amount: new.amount,
        by: new.by.to_owned(),
    };
    raise(tx, &alert, None)?;
    Ok(id)
}

/// Has a batch wait. `again` tells whose change made an approval void.
pub(crate) fn ask_batch(
    tx: &mut Tx<'_>,
    batch: i64,
    amount: Won,
    by: &str,
    again: Option<Value>,
) -> Result<i64, StoreError> {
    let asked = json!({ "batch": batch, "again": again });
    let new = New {
        kind: Kind::Payout,
        subject: &approvals::subject_of(batch),
        amount,
        asked: &asked,
        rows: None,
        source: None,
        by,
    };
    let id = ask(tx, &new)?;
    let detail = json!({ "approval": id, "amount": amount, "again": asked["again"] });
    let kind = match asked["again"] {
        Value::Null => "approval_asked",
        _ => "approval_void",
    };
    let actor = asked["again"]["by"].as_str().unwrap_or(by);
    history::add(tx, &Subject::Batch(batch), kind, actor, &detail)?;
    Ok(id)
}

fn note(
    tx: &Tx<'_>,
    id: i64,
    act: &str,
    before: Option<&Value>,
    after: &Value,
) -> Result<(), StoreError> {
    audit::note(
        tx,
        &audit::Act {
            act,
            subject: &format!("approval:{id}"),
            before,
            after: Some(after),
        },
    )
}

// --- Deciding

/// Names exactly what an approval would bring about now.
pub fn seal(conn: &Connection, row: &ApprovalRow) -> Result<String, StoreError> {
    match row.batch() {
        Some(batch) => payouts::seal(conn, batch),
        None => {
            let rows = approvals::rows(conn, row.id)?.unwrap_or_default();
            Ok(admin::hash(
                &json!([row.subject, row.amount, rows]).to_string(),
            ))
        }
    }
}

/// Who may not approve besides the maker: whoever set an account that is new here, or changed one while
/// it was approved already.
fn own_account(
    conn: &Connection,
    row: &ApprovalRow,
    by: &str,
) -> Result<Option<String>, StoreError> {
    let Some(batch) = row.batch() else {
        return Ok(None);
    };
    let again = &row.asked["again"];
    if again["by"] == by {
        return Ok(again["partner"].as_str().map(str::to_owned));
    }
    payouts::new_account_set_by(conn, batch, by)
}

fn find(tx: &Tx<'_>, id: i64) -> Result<ApprovalRow, ApproveError> {
    approvals::get(tx.conn(), id)?.ok_or(ApproveError::NoApproval(id))
}

/// `None` if `by` decided it so before.
fn open(row: &ApprovalRow, to: State, by: &str) -> Result<Option<()>, ApproveError> {
    if row.waits() {
        return Ok(Some(()));
    }
    if row.state == to && row.decided_by.as_deref() == Some(by) {
        return Ok(None);
    }
    let (id, state) = (row.id, row.state);
    Err(ApproveError::Decided { id, state })
}

/// A person who did not ask for it.
fn second(row: &ApprovalRow, by: &str) -> Result<(), ApproveError> {
    if !is_person(by) {
        return Err(ApproveError::NotAPerson);
    }
    if row.made_by == by {
        return Err(ApproveError::Own(row.id));
    }
    Ok(())
}

/// Approves what `seen` names. Adjustments are booked with it; a batch may be released from now on.
/// `None`: it was approved by the same person before.
pub async fn approve(
    ctx: &Ctx,
    id: i64,
    seen: String,
    by: &'static str,
) -> Result<Option<Kind>, ApproveError> {
    ctx.store
        .write(move |tx| {
            let row = find(tx, id)?;
            if open(&row, State::Approved, by)?.is_none() {
                return Ok(None);
            }
            second(&row, by)?;
            if seal(tx.conn(), &row)? != seen {
                return Err(ApproveError::Changed(id));
            }
            if let Some(partner) = own_account(tx.conn(), &row, by)? {
                return Err(ApproveError::OwnAccount { partner });
            }
            approvals::decide(tx, id, State::Approved, by, Some(&seen), None)?;
            decided(tx, &row, State::Approved, by, None)?;
            if row.kind == Kind::Adjustment {
                let rows = approvals::rows(tx.conn(), id)?.unwrap_or_default();
                adjust::book_approved(tx, &row, &rows, by)?;
            }
            Ok(Some(row.kind))
        })
        .await
}

/// Refuses: adjustments are not booked, a batch is called off. `None`: the same person did so before.
pub async fn refuse(
    ctx: &Ctx,
    id: i64,
    why: String,
    by: &'static str,
) -> Result<Option<Kind>, ApproveError> {
    let why = reason_of(&why).ok_or(ApproveError::Reason)?;
    ctx.store
        .write(move |tx| {
            let row = find(tx, id)?;
            if open(&row, State::Refused, by)?.is_none() {
                return Ok(None);
            }
            second(&row, by)?;
            end(tx, &row, &why, by)?;
            Ok(Some(row.kind))
        })
        .await
}

/// The maker thinks better of it. `None`: it was withdrawn before.
pub async fn withdraw(ctx: &Ctx, id: i64, by: &'static str) -> Result<Option<Kind>, ApproveError> {
    ctx.store
        .write(move |tx| {
            let row = find(tx, id)?;
            if open(&row, State::Withdrawn, by)?.is_none() {
                return Ok(None);
            }
            if row.made_by != by {
                let maker = row.made_by;
                return Err(ApproveError::NotTheMaker { id, maker });
            }
            end(tx, &row, "요청한 사람이 철회 · withdrawn by its maker", by)?;
            Ok(Some(row.kind))
        })
        .await
}

/// A batch is called off, and its approval ends with it; of adjustments the approval is all there is.
fn end(tx: &mut Tx<'_>, row: &ApprovalRow, why: &str, by: &str) -> Result<(), ApproveError> {
    match row.batch() {
        Some(batch) => {
            pay_out::call_off_in(tx, batch, why, false, by)?;
        }
        None => dismiss(tx, row, why, by)?,
    }
    Ok(())
}

/// Ends one that waits without an approval: withdrawn if the maker does it, else refused.
pub(crate) fn dismiss(
    tx: &mut Tx<'_>,
    row: &ApprovalRow,
    why: &str,
    by: &str,
) -> Result<(), StoreError> {
    let state = if row.made_by == by {
        State::Withdrawn
    } else {
        State::Refused
    };
    approvals::decide(tx, row.id, state, by, None, Some(why))?;
    decided(tx, row, state, by, Some(why))
}

fn decided(
    tx: &Tx<'_>,
    row: &ApprovalRow,
    state: State,
    by: &str,
    why: Option<&str>,
) -> Result<(), StoreError> {
    let (act, kind) = match state {
        State::Approved => ("approval.approved", "approval_given"),
        State::Refused => ("approval.refused", "approval_refused"),
        State::Withdrawn | State::Waiting => ("approval.withdrawn", "approval_withdrawn"),
    };
    let before = json!({
        "state": row.state, "subject": row.subject, "amount": row.amount, "made_by": row.made_by,
    });
    let after = json!({ "state": state, "decided_by": by, "note": why });
    note(tx, row.id, act, Some(&before), &after)?;
    if let Some(batch) = row.batch() {
        let detail = json!({ "approval": row.id, "amount": row.amount, "reason": why });
        history::add(tx, &Subject::Batch(batch), kind, by, &detail)?;
    }
    Ok(())
}

// --- What is approved, and stays so

/// The approval that a batch waits for, as far as it is written down.
pub fn waits_for(conn: &Connection, batch: i64) -> Result<Option<i64>, StoreError> {
    let newest = approvals::of_batch(conn, batch)?;
    Ok(newest
        .filter(|row| row.state != State::Approved)
        .map(|row| row.id))
}

/// Whether a batch may go to the bank, and the bank's word on it be taken. If what was approved is not what
/// is in it now, it waits again, by the approval that is given back: **the transaction has to be kept
/// then.** Once its file was handed out under an approval it is at the bank, and a change comes too late.
pub(crate) fn release(tx: &mut Tx<'_>, batch: i64) -> Result<Result<(), i64>, StoreError> {
    let Some(row) = approvals::of_batch(tx.conn(), batch)? else {
        return Ok(Ok(()));
    };
    if row.state != State::Approved {
        return Ok(Err(row.id));
    }
    let same = row.seen == Some(payouts::seal(tx.conn(), batch)?);
    if same || handed_out(tx.conn(), batch, &row)? {
        return Ok(Ok(()));
    }
    let again = json!({ "by": null, "partner": null, "approval": row.id });
    ask_batch(tx, batch, row.amount, &row.made_by, Some(again)).map(Err)
}

/// Whether the bank's file was fetched since this approval.
fn handed_out(conn: &Connection, batch: i64, row: &ApprovalRow) -> Result<bool, StoreError> {
    let fetched = history::newest(conn, &Subject::Batch(batch), "file_handed_out")?;
    Ok(fetched.is_some_and(|at| row.decided_at.is_some_and(|decided| at >= decided)))
}

/// A partner's account is another one now: what was approved with the old one, and is not at the bank yet,
/// waits again.
pub(crate) fn account_changed(tx: &mut Tx<'_>, partner: &str, by: &str) -> Result<(), StoreError> {
    for batch in payouts::open_batches_of(tx.conn(), partner)? {
        let Some(row) = approvals::of_batch(tx.conn(), batch)? else {
            continue;
        };
        if row.state != State::Approved || handed_out(tx.conn(), batch, &row)? {
            continue;
        }
        let again = json!({ "by": by, "partner": partner, "approval": row.id });
        ask_batch(tx, batch, row.amount, &row.made_by, Some(again))?;
    }
    Ok(())
}
