//! Dead letters: how a job becomes one, and what a person can do about it.
//!
//! Nothing retries a dead letter but a person, by page or command line. Replaying lets it go through
//! the normal queue again, where it reads before it sends; discarding needs a note, and, for a
//! cancellation, PortOne's word that it was not carried out after all.

use serde_json::json;

use crate::{
    domain::{
        alert::Alert,
        cancellation::Fate,
        ids::{CancellationId, ImpUid},
        job::{DeadReason, Delivery, Job, JobState, Outcome},
        masks::masked_text,
        payment::{Contradiction, Status},
    },
    flow::{
        Ctx, GatewayError,
        confirm_payment::{Booked, ConfirmError, refresh},
        raise_alert::raise,
    },
    store::{
        StoreError, Tx,
        audit::{self, Act},
        cancellations, episodes, events, forgetting,
        inbox::{self, Verdict},
        jobs::{self, JobRow, SettleError},
        payments, published,
    },
};

/// Ends a run as a dead letter, and whatever hung on it with it.
pub fn bury(
    tx: &mut Tx<'_>,
    held: &Delivery,
    reason: DeadReason,
    error: &str,
) -> Result<(), SettleError> {
    let job = jobs::get(tx.conn(), held.id)?.and_then(|row| row.job());
    match job {
        Some(Job::RetryCancel { cancellation }) => {
            bury_cancel(tx, held, &cancellation, reason, error)
        }
        Some(Job::ConfirmPayment { inbox_id }) => {
            inbox::judge(tx, inbox_id, Verdict::GivenUp, error)?;
            bury_plain(tx, held, reason, error, true)
        }
        // An alert that cannot be delivered must not raise another: it stays on the alerts page.
        Some(Job::SendAlert { .. }) => bury_plain(tx, held, reason, error, false),
        // Nobody would tell what comes into the episode from now on: the next alert opens another.
        Some(Job::TellEpisode { episode }) => {
            episodes::close(tx, episode)?;
            bury_plain(tx, held, reason, error, true)
        }
        _ => bury_plain(tx, held, reason, error, true),
    }
}

fn bury_plain(
    tx: &mut Tx<'_>,
    held: &Delivery,
    reason: DeadReason,
    error: &str,
    tell: bool,
) -> Result<(), SettleError> {
    jobs::settle(
        tx,
        held,
        &Outcome::Dead {
            reason,
            error: error.to_owned(),
        },
    )?;
    if tell {
        let alert = Alert::JobDead {
            job_id: held.id,
            kind: held.kind.clone(),
            error: error.to_owned(),
            attempts: held.attempt,
        };
        raise(tx, &alert, None)?;
    }
    Ok(())
}

fn bury_cancel(
    tx: &mut Tx<'_>,
    held: &Delivery,
    id: &CancellationId,
    reason: DeadReason,
    error: &str,
) -> Result<(), SettleError> {
    let kept = match payments::of_cancellation(tx.conn(), id)? {
        Some(imp_uid) => payments::get(tx.conn(), &imp_uid)?,
        None => None,
    };
    let dead = kept.and_then(|kept| {
        kept.payment
            .clone()
            .cancel_failed(id)
            .map(|next| (kept, next))
    });
    let Some((kept, next)) = dead else {
        // It was settled otherwise meanwhile: there is nothing to mourn.
        return jobs::settle(tx, held, &Outcome::Done);
    };
    let row = cancellations::get(tx.conn(), id)?;
    let from = kept.payment.status();
    payments::put(tx, &kept, &next)?;
    cancellations::set_fate(tx, id, Fate::Dead, Some(error), None)?;
    jobs::settle(
        tx,
        held,
        &Outcome::Dead {
            reason,
            error: error.to_owned(),
        },
    )?;
    let attempts = cancellations::count_attempts(tx.conn(), id)?;
    events::add(
        tx,
        &events::Happened {
            payment: kept.row,
            kind: "cancel_failed",
            // The direct attempts hold the job before its first run.
            actor: if held.attempt == 0 {
                "cancel"
            } else {
                "worker"
            },
            from: Some(from),
            to: Some(next.status()),
            detail: json!({ "cancellation": id, "error": error, "attempts": attempts, "job": held.id }),
        },
    )?;
    let alert = Alert::CancelDead {
        imp_uid: kept.imp_uid.clone(),
        cancellation: id.clone(),
        amount: row.as_ref().map(|row| row.amount).unwrap_or_default(),
        reason: row.map(|row| row.reason).unwrap_or_default(),
        error: error.to_owned(),
        attempts,
        job_id: held.id,
    };
    raise(tx, &alert, Some(kept.row))?;
    Ok(())
}

/// RabbitMQ gave up the message that stands for a waiting job. A job that went on meanwhile is left
/// alone.
pub async fn given_up(ctx: &Ctx, id: i64, turn: i64, why: &str) -> Result<(), SettleError> {
    let error = format!("RabbitMQ gave up its message: {why}");
    let boot = ctx.boot.clone();
    ctx.store
        .write(
            move |tx| match published::take_given_up(tx, id, turn, &boot)? {
                Some(held) => bury(tx, &held, DeadReason::Broker, &error),
                None => Ok(()),
            },
        )
        .await
}

#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    #[error("there is no dead letter {0}")]
    NotFound(i64),
    #[error("a note of 1 to 500 characters is needed: say why it is given up")]
    Note,
    #[error(
        "PortOne cannot be asked now whether the cancellation was carried out after all ({0}); \
         discard it when PortOne answers, or replay it"
    )]
    Gateway(#[from] GatewayError),
    #[error(
        "what PortOne says of the payment does not fit the books ({0}), so nobody can tell whether \
         the cancellation was carried out: clear that up with PortOne first"
    )]
    Contradiction(Contradiction),
    #[error("another job for the same thing is live already")]
    Live,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ConfirmError> for DeadLetterError {
    fn from(error: ConfirmError) -> DeadLetterError {
        match error {
            ConfirmError::Gateway(error) => DeadLetterError::Gateway(error),
            ConfirmError::Store(error) | ConfirmError::Settle(SettleError::Store(error)) => {
                DeadLetterError::Store(error)
            }
            ConfirmError::Settle(SettleError::Stale(id)) => DeadLetterError::NotFound(id),
        }
    }
}

fn dead(tx: &Tx<'_>, id: i64) -> Result<JobRow, DeadLetterError> {
    jobs::get(tx.conn(), id)?
        .filter(|row| row.state == JobState::Dead.as_str())
        .ok_or(DeadLetterError::NotFound(id))
}

/// What became of a dead letter that was to run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    Runs,
    /// Its cancellation is settled already, so it ends instead.
    SettledAlready,
}

/// Lets a dead letter run again. The run reads before it sends, however long ago it died.
pub async fn replay(ctx: &Ctx, id: i64, by: &'static str) -> Result<(), DeadLetterError> {
    ctx.store
        .write(move |tx| replay_in(tx, id, by).map(|_| ()))
        .await
}

/// The same inside a transaction. An error may leave a part of it done: the caller rolls back.
pub fn replay_in(tx: &mut Tx<'_>, id: i64, by: &'static str) -> Result<Replayed, DeadLetterError> {
    let row = dead(tx, id)?;
    if let Some(Job::RetryCancel { cancellation }) = row.job() {
        let kept = of(tx, &cancellation)?;
        let replayed = kept.and_then(|kept| {
            kept.payment
                .clone()
                .cancel_replayed(&cancellation)
                .map(|next| (kept, next))
        });
        let Some((kept, next)) = replayed else {
            jobs::discard(tx, id, "the cancellation is settled already")?;
            note(tx, "dead_letter.replayed", &row, "cancelled", None)?;
            return Ok(Replayed::SettledAlready);
        };
        let from = kept.payment.status();
        cancellations::set_fate(tx, &cancellation, Fate::Requested, None, None)?;
        payments::put(tx, &kept, &next)?;
        person_acted(
            tx,
            kept.row,
            "cancel_replayed",
            by,
            from,
            next.status(),
            json!({ "cancellation": cancellation, "job": id }),
        )?;
    }
    match jobs::replay(tx, id) {
        Ok(true) => {
            note(tx, "dead_letter.replayed", &row, "ready", None)?;
            Ok(Replayed::Runs)
        }
        Ok(false) => Err(DeadLetterError::NotFound(id)),
        Err(StoreError::Rule(_)) => Err(DeadLetterError::Live),
        Err(error) => Err(error.into()),
    }
}

/// What became of a discarded dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discarded {
    GivenUp,
    /// PortOne had carried the cancellation out after all: it is booked instead.
    WasDone,
}

/// Gives a dead letter up. For a cancellation PortOne is read first: what was carried out after
/// all cannot be given up.
pub async fn discard(
    ctx: &Ctx,
    id: i64,
    why: String,
    by: &'static str,
) -> Result<Discarded, DeadLetterError> {
    let why = why.trim().to_owned();
    if why.is_empty() || why.chars().count() > 500 {
        return Err(DeadLetterError::Note);
    }
    let job = ctx
        .store
        .read(|conn| jobs::get(conn, id))?
        .filter(|row| row.state == JobState::Dead.as_str())
        .ok_or(DeadLetterError::NotFound(id))?
        .job();
    let payment = match &job {
        Some(Job::RetryCancel { cancellation }) => ctx
            .store
            .read(|conn| payments::of_cancellation(conn, cancellation))?,
        _ => None,
    };
    if let Some(imp_uid) = payment
        && let Some(Booked::Contradiction(what)) = refresh(ctx, &imp_uid, by).await?
    {
        return Err(DeadLetterError::Contradiction(what));
    }
    ctx.store
        .write(move |tx| {
            let Some(row) = jobs::get(tx.conn(), id)? else {
                return Err(DeadLetterError::NotFound(id));
            };
            match JobState::parse(&row.state) {
                Some(JobState::Dead) => {}
                // Somebody replayed it while PortOne was asked.
                Some(JobState::Ready | JobState::Running) => return Err(DeadLetterError::Live),
                _ => return Ok(Discarded::WasDone), // the reading settled it
            }
            if let Some(Job::RetryCancel { cancellation }) = job {
                let given_up = of(tx, &cancellation)?.and_then(|kept| {
                    kept.payment
                        .clone()
                        .cancel_discarded(&cancellation)
                        .map(|next| (kept, next))
                });
                if let Some((kept, next)) = given_up {
                    let from = kept.payment.status();
                    cancellations::set_fate(tx, &cancellation, Fate::Discarded, None, Some(&why))?;
                    payments::put(tx, &kept, &next)?;
                    person_acted(
                        tx,
                        kept.row,
                        "cancel_discarded",
                        by,
                        from,
                        next.status(),
                        json!({ "cancellation": cancellation, "note": why, "job": id }),
                    )?;
                }
            }
            jobs::discard(tx, id, &why)?;
            note(tx, "dead_letter.given_up", &row, "cancelled", Some(&why))?;
            Ok(Discarded::GivenUp)
        })
        .await
}

/// Notes what a person does to a dead letter.
fn note(
    tx: &Tx<'_>,
    act: &str,
    row: &JobRow,
    state: &str,
    why: Option<&str>,
) -> Result<(), StoreError> {
    let before = json!({ "state": row.state });
    let why = why.map(|why| words_for_ever(tx, row, why)).transpose()?;
    let after = json!({ "kind": row.kind, "state": state, "note": why });
    let act = Act {
        act,
        subject: &format!("job:{}", row.id),
        before: Some(&before),
        after: Some(&after),
    };
    audit::note(tx, &act)
}

/// What a person wrote, as the audit log keeps it.
fn words_for_ever(tx: &Tx<'_>, row: &JobRow, words: &str) -> Result<String, StoreError> {
    let of_payment = match row.job() {
        Some(Job::RetryCancel { cancellation }) => of(tx, &cancellation)?,
        _ => None,
    };
    match of_payment {
        Some(kept) => forgetting::words_for_ever(tx.conn(), kept.row, words),
        None => Ok(masked_text(words)),
    }
}

fn of(tx: &Tx<'_>, id: &CancellationId) -> Result<Option<payments::Kept>, StoreError> {
    match payments::of_cancellation(tx.conn(), id)? {
        Some(imp_uid) => payments::get(tx.conn(), &imp_uid),
        None => Ok(None),
    }
}

fn person_acted(
    tx: &Tx<'_>,
    payment: i64,
    kind: &'static str,
    by: &str,
    from: Status,
    to: Status,
    detail: serde_json::Value,
) -> Result<(), StoreError> {
    events::add(
        tx,
        &events::Happened {
            payment,
            kind,
            actor: by,
            from: Some(from),
            to: Some(to),
            detail,
        },
    )
}

/// A dead letter with all that a person needs to decide.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeadLetter {
    #[serde(flatten)]
    pub job: JobRow,
    pub cancellation: Option<cancellations::CancellationRow>,
    pub imp_uid: Option<ImpUid>,
    pub cancel_attempts: Vec<cancellations::AttemptRow>,
    pub attempts: Vec<jobs::AttemptRow>,
}

/// Looks a job up with everything around it.
pub fn describe(conn: &rusqlite::Connection, job: JobRow) -> Result<DeadLetter, StoreError> {
    let attempts = jobs::attempts(conn, job.id)?;
    let (cancellation, imp_uid, cancel_attempts) = match job.job() {
        Some(Job::RetryCancel { cancellation }) => (
            cancellations::get(conn, &cancellation)?,
            payments::of_cancellation(conn, &cancellation)?,
            cancellations::attempts(conn, cancellation.as_str())?,
        ),
        Some(Job::ConfirmPayment { inbox_id }) => (
            None,
            inbox::hint(conn, inbox_id)?.map(|hint| hint.imp_uid),
            Vec::new(),
        ),
        _ => (None, None, Vec::new()),
    };
    Ok(DeadLetter {
        job,
        cancellation,
        imp_uid,
        cancel_attempts,
        attempts,
    })
}
