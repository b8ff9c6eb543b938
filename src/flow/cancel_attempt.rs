//! One attempt to carry out a cancellation at PortOne, and what it means for the books.
//!
//! The rule that keeps money from going back twice: whenever a call *may* have been sent before, the
//! payment is read first; whenever the outcome of a call is unknown, or PortOne refuses, the payment
//! is read after. Only an entry with our mark in PortOne's books is success. And each call carries
//! the balance that it expects (`checksum`), so that a call that was lost on its way and arrives
//! late is refused by PortOne itself.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    domain::{
        alert::Alert,
        cancellation::{Attempt, AttemptOutcome, CancelCall, Fate, Step, mark_in, marked_reason},
        ids::{CancellationId, ImpUid},
        job::{DeadReason, Delivery, Outcome},
        money::Won,
        retry::Class,
        seen::Seen,
    },
    flow::{Ctx, GatewayError, confirm_payment::book, dead_letters::bury, raise_alert::raise},
    store::{
        StoreError, Tx,
        cancellations::{self, CancellationRow},
        jobs::{self, SettleError},
        payments,
    },
};

/// A cancellation that PortOne took on but carries out later is looked after this often…
const PENDING_LOOK: Duration = Duration::from_secs(30);
/// …and this long, before a person has to.
const PENDING_MOST: Duration = Duration::from_secs(24 * 3600);
/// While PortOne refuses our credentials, a cancellation waits this long between two looks.
const HALTED_LOOK: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Settle(#[from] SettleError),
    #[error("cancellation {0} cannot be read: {1}")]
    Unreadable(String, String),
}

impl AttemptError {
    /// Could the same attempt succeed later?
    pub fn is_transient(&self) -> bool {
        match self {
            AttemptError::Store(error) | AttemptError::Settle(SettleError::Store(error)) => {
                error.is_transient()
            }
            AttemptError::Settle(SettleError::Stale(_)) | AttemptError::Unreadable(..) => false,
        }
    }
}

/// What an attempt came to. `seen` is the newest reading of PortOne's books, if there is one.
#[derive(Debug)]
enum Came {
    Done {
        seen: Seen,
    },
    /// PortOne took it on and will carry it out by itself. It must not be sent again.
    Pending {
        seen: Option<Seen>,
    },
    Failed {
        error: GatewayError,
        seen: Option<Seen>,
    },
}

/// One attempt, ready to be written down.
#[derive(Debug)]
pub struct Tried {
    came: Came,
    attempt: Attempt,
}

/// What to do if the attempt failed in a way that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The caller makes another attempt now and keeps the job.
    TryAgain,
    /// The direct attempts are used up: tell, and leave it to the queued retry.
    Queue,
    /// The queued retry has runs left.
    Retry,
    /// Nothing is left: a dead letter.
    Bury,
}

/// Where the cancellation stands after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Settled, one way or another, or in other hands.
    Over,
    /// The caller is to make another attempt.
    Again,
}

/// Makes one attempt. `read_first` whenever this cancellation may have been sent before.
pub async fn attempt(
    ctx: &Ctx,
    row: &CancellationRow,
    step: Step,
    read_first: bool,
    pending: bool,
) -> Result<Tried, AttemptError> {
    let unreadable = |why: String| AttemptError::Unreadable(row.id.clone(), why);
    let id = CancellationId::new(row.id.clone()).map_err(|e| unreadable(e.to_string()))?;
    let imp_uid = ImpUid::new(row.imp_uid.clone()).map_err(|e| unreadable(e.to_string()))?;
    let mut call = CancelCall {
        imp_uid,
        amount: row.amount,
        checksum: row.checksum,
        tax_free: row.tax_free,
        reason: marked_reason(&id, &row.reason),
        refund: row.refund.clone(),
    };
    let started_at = ctx.store.now();
    let mut asked = Vec::new();
    let came = talk(ctx, &id, &mut call, read_first, pending, &mut asked).await;
    let (outcome, answer) = match &came {
        Came::Done { .. } => (AttemptOutcome::Done, "in PortOne's books".to_owned()),
        Came::Pending { .. } => (
            AttemptOutcome::Pending,
            "PortOne took it on and has not carried it out yet".to_owned(),
        ),
        Came::Failed { error, .. } => (
            match error.class {
                Class::Transient => AttemptOutcome::Transient,
                Class::Unknown => AttemptOutcome::Unknown,
                Class::Permanent => AttemptOutcome::Permanent,
                Class::Halt => AttemptOutcome::Halt,
            },
            error.what.clone(),
        ),
    };
    Ok(Tried {
        came,
        attempt: Attempt {
            number: 0,
            step,
            started_at,
            finished_at: ctx.store.now(),
            asked: asked.join("; "),
            outcome,
            answer,
        },
    })
}

fn is_in(seen: &Seen, id: &CancellationId) -> bool {
    seen.cancels
        .iter()
        .any(|entry| mark_in(&entry.reason).as_ref() == Some(id))
}

fn balance(seen: &Seen) -> Won {
    let gone = Won::sum(seen.cancels.iter().map(|entry| entry.amount)).unwrap_or(seen.amount);
    seen.amount.minus(gone).unwrap_or(Won::ZERO)
}

/// The conversation with PortOne. Writes nothing.
async fn talk(
    ctx: &Ctx,
    id: &CancellationId,
    call: &mut CancelCall,
    read_first: bool,
    pending: bool,
    asked: &mut Vec<String>,
) -> Came {
    let mut read = None;
    if read_first || pending {
        asked.push("read the payment".into());
        match ctx.gateway.payment(&call.imp_uid).await {
            Err(error) => return Came::Failed { error, seen: None },
            Ok(None) => {
                let what = format!("PortOne does not know the payment {}", call.imp_uid);
                let error = GatewayError::new(Class::Permanent, what);
                return Came::Failed { error, seen: None };
            }
            Ok(Some(seen)) if is_in(&seen, id) => return Came::Done { seen },
            Ok(Some(seen)) if pending => return Came::Pending { seen: Some(seen) },
            Ok(Some(seen)) => {
                let left = balance(&seen);
                if call.amount > left {
                    let what = format!(
                        "{} won are to go back, but PortOne has {left} won left of this payment",
                        call.amount
                    );
                    let error = GatewayError::new(Class::Permanent, what);
                    return Came::Failed {
                        error,
                        seen: Some(seen),
                    };
                }
                // The reading explains the difference to our books; the guard is that reading.
                call.checksum = left;
                read = Some(seen);
            }
        }
    }
    asked.push(format!(
        "cancel {} won, expecting a balance of {} won",
        call.amount, call.checksum
    ));
    let error = match ctx.gateway.cancel(call).await {
        Ok(seen) if is_in(&seen, id) => return Came::Done { seen },
        Ok(seen) => return Came::Pending { seen: Some(seen) },
        Err(error) => error,
    };
    match error.class {
        // Nothing was sent, or nothing was even looked at.
        Class::Transient | Class::Halt => Came::Failed { error, seen: read },
        Class::Unknown | Class::Permanent => {
            asked.push("read the payment".into());
            match ctx.gateway.payment(&call.imp_uid).await {
                Ok(Some(seen)) if is_in(&seen, id) => Came::Done { seen },
                Ok(Some(seen)) => explain(call, error, seen),
                Ok(None) => Came::Failed { error, seen: None },
                Err(second) => {
                    let what = format!(
                        "{}; and the payment could not be read: {second}",
                        error.what
                    );
                    // Refused or not, nobody has seen the books: it is not known.
                    let error = GatewayError {
                        class: Class::Unknown,
                        what,
                        ..error
                    };
                    Came::Failed { error, seen: None }
                }
            }
        }
    }
}

/// A refusal, in the light of PortOne's books.
fn explain(call: &CancelCall, error: GatewayError, seen: Seen) -> Came {
    let left = balance(&seen);
    if error.class == Class::Permanent && left != call.checksum && call.amount <= left {
        // Something else went back meanwhile: with the new balance it may well be taken.
        let what = format!(
            "{}; the balance was thought to be {} won, it is {left} won",
            error.what, call.checksum
        );
        return Came::Failed {
            error: GatewayError {
                class: Class::Transient,
                what,
                ..error
            },
            seen: Some(seen),
        };
    }
    Came::Failed {
        error,
        seen: Some(seen),
    }
}

/// Writes an attempt down, books what was read, and settles the job where it is over.
pub async fn write_down(
    ctx: &Ctx,
    held: &Delivery,
    row: &CancellationRow,
    tried: Tried,
    on_failure: OnFailure,
) -> Result<Next, AttemptError> {
    let id = CancellationId::new(row.id.clone())
        .map_err(|why| AttemptError::Unreadable(row.id.clone(), why.to_string()))?;
    log(row, &tried);
    let policy = ctx.policy.clone();
    let held = held.clone();
    let row = row.clone();
    let step = tried.attempt.step;
    let wait = policy
        .cancel_backoff
        .wait(held.attempt.max(1), super::dice());
    ctx.store
        .write(move |tx| {
            let pending_since = pending_since(tx.conn(), &id)?;
            // Looking again after a pending one is not another attempt, nor is being stopped again.
            let again = match &tried.came {
                Came::Pending { .. } => pending_since.is_some(),
                Came::Failed { error, .. } => {
                    error.class == Class::Halt
                        && cancellations::attempts(tx.conn(), id.as_str())?
                            .last()
                            .is_some_and(|last| {
                                last.outcome == AttemptOutcome::Halt.as_str()
                                    && last.answer == tried.attempt.answer
                            })
                }
                Came::Done { .. } => false,
            };
            if !again {
                cancellations::add_attempt(tx, &id, &tried.attempt)?;
            }
            let seen = match &tried.came {
                Came::Done { seen } => Some(seen),
                Came::Pending { seen } | Came::Failed { seen, .. } => seen.as_ref(),
            };
            if let Some(seen) = seen {
                book(tx, &policy, seen, actor(step))?;
            }
            let still_open =
                cancellations::get(tx.conn(), &id)?.is_some_and(|now| now.state == Fate::Requested);
            if !still_open {
                jobs::settle(tx, &held, &Outcome::Done)?;
                return Ok(Next::Over);
            }
            match tried.came {
                // PortOne says so but our books did not take it: they contradict each other.
                Came::Done { .. } => {
                    let error = "PortOne's books hold the cancellation, but ours cannot: \
                                 see the alert about the payment";
                    bury(tx, &held, DeadReason::Permanent, error)?;
                    Ok(Next::Over)
                }
                Came::Pending { .. } => {
                    look_again(tx, &held, pending_since, "PortOne carries it out later")
                }
                // A look that failed tells nothing of what PortOne took on.
                Came::Failed { error, .. }
                    if pending_since.is_some()
                        && matches!(error.class, Class::Transient | Class::Unknown) =>
                {
                    look_again(tx, &held, pending_since, &error.what)
                }
                Came::Failed { error, seen } => {
                    if let Some(left) = seen
                        .as_ref()
                        .map(balance)
                        .filter(|left| row.amount <= *left)
                    {
                        cancellations::set_checksum(tx, &id, left)?;
                    }
                    failed(tx, &held, &row, error, on_failure, wait)
                }
            }
        })
        .await
}

/// PortOne took it on: it is looked after until it is carried out, or a person has to.
fn look_again(
    tx: &mut Tx<'_>,
    held: &Delivery,
    pending_since: Option<Timestamp>,
    why: &str,
) -> Result<Next, AttemptError> {
    let waited = pending_since
        .and_then(|since| Duration::try_from(tx.now.duration_since(since)).ok())
        .unwrap_or_default();
    if waited > PENDING_MOST {
        let error = "PortOne took it on a day ago and has not carried it out";
        bury(tx, held, DeadReason::Permanent, error)?;
    } else {
        let why = why.to_owned();
        let after = PENDING_LOOK.max(waited / 20);
        jobs::settle(tx, held, &Outcome::Snooze { after, why })?;
    }
    Ok(Next::Over)
}

fn failed(
    tx: &mut Tx<'_>,
    held: &Delivery,
    row: &CancellationRow,
    error: GatewayError,
    on_failure: OnFailure,
    wait: Duration,
) -> Result<Next, AttemptError> {
    let after = error.retry_after.unwrap_or_default().max(wait);
    if error.class == Class::Halt {
        raise(
            tx,
            &Alert::GatewayHalted {
                error: error.what.clone(),
            },
            None,
        )?;
        jobs::settle(
            tx,
            held,
            &Outcome::Snooze {
                after: HALTED_LOOK,
                why: error.what,
            },
        )?;
        return Ok(Next::Over);
    }
    if error.class == Class::Permanent {
        bury(tx, held, DeadReason::Permanent, &error.what)?;
        return Ok(Next::Over);
    }
    if on_failure == OnFailure::Bury {
        bury(tx, held, DeadReason::Exhausted, &error.what)?;
        return Ok(Next::Over);
    }
    if on_failure == OnFailure::TryAgain {
        return Ok(Next::Again);
    }
    if on_failure == OnFailure::Queue {
        tell_retrying(tx, row, &error.what)?;
    }
    jobs::settle(
        tx,
        held,
        &Outcome::Retry {
            after,
            error: error.what,
        },
    )?;
    Ok(Next::Over)
}

fn tell_retrying(tx: &mut Tx<'_>, row: &CancellationRow, error: &str) -> Result<(), AttemptError> {
    let unreadable = |why: crate::domain::ids::NotAnId| {
        AttemptError::Unreadable(row.id.clone(), why.to_string())
    };
    let imp_uid = ImpUid::new(row.imp_uid.clone()).map_err(unreadable)?;
    let cancellation = CancellationId::new(row.id.clone()).map_err(unreadable)?;
    let payment = payments::get(tx.conn(), &imp_uid)?.map(|kept| kept.row);
    let attempts = cancellations::count_attempts(tx.conn(), &cancellation)?;
    let alert = Alert::CancelRetrying {
        imp_uid,
        cancellation,
        amount: row.amount,
        reason: row.reason.clone(),
        error: error.to_owned(),
        attempts,
    };
    Ok(raise(tx, &alert, payment)?)
}

/// Since when PortOne has had the cancellation without carrying it out, if that is how it stands.
///
/// What PortOne has once taken on is never sent again, whatever became of a later look: its balance
/// does not show yet what it is about to give back, so no guard would refuse the second call.
pub fn pending_since(
    conn: &rusqlite::Connection,
    id: &CancellationId,
) -> Result<Option<Timestamp>, StoreError> {
    let attempts = cancellations::attempts(conn, id.as_str())?;
    Ok(attempts
        .iter()
        .find(|attempt| attempt.outcome == AttemptOutcome::Pending.as_str())
        .map(|taken_on| taken_on.finished_at))
}

fn actor(step: Step) -> &'static str {
    match step {
        Step::Direct => "cancel",
        Step::Queued => "worker",
    }
}

/// Transient failures warn, permanent ones are errors: the original design's rule.
fn log(row: &CancellationRow, tried: &Tried) {
    let Came::Failed { error, .. } = &tried.came else {
        return;
    };
    let (cancellation, imp_uid) = (&row.id, &row.imp_uid);
    let step = tried.attempt.step.as_str();
    match error.class {
        Class::Transient | Class::Unknown => {
            tracing::warn!(%cancellation, %imp_uid, step, class = error.class.as_str(), %error, "a cancel failed and is tried again");
        }
        Class::Permanent | Class::Halt => {
            tracing::error!(%cancellation, %imp_uid, step, class = error.class.as_str(), %error, "a cancel failed for good");
        }
    }
}
