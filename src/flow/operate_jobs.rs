//! What a person does with jobs that are not dead, and what one is about: run it now, call it off, stop
//! and start a kind.

use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    domain::{
        alert::Alert,
        ids::{CancellationId, ImpUid},
        job::{Job, JobState},
        masks::masked_json,
        money::Won,
    },
    flow::{
        Ctx,
        dead_letters::{self, DeadLetter},
    },
    store::{
        Store, StoreError, Tx, alerts,
        audit::{self, Act},
        cancellations, inbox,
        job_lists::{self, Stand},
        jobs::{self, JobRow, Pause},
        leases::{self, KEEPER, Lease, Process},
        orders, payments,
    },
};

#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    #[error("there is no job {0}")]
    NotFound(i64),
    #[error(
        "job {id} does not wait (it is {state}), so it can be neither run at once nor called off"
    )]
    NotWaiting { id: i64, state: String },
    #[error("job {0} is due already: it runs as soon as a worker is free")]
    DueAlready(i64),
    #[error("job {0} is due, but its kind `{1}` is paused: it runs once the kind is resumed")]
    DueButPaused(i64, String),
    #[error(
        "a cancellation in progress cannot be called off: nobody would know whether the money went back. \
         Let it run; if it fails for good it is a dead letter, and giving that up asks PortOne first"
    )]
    Cancels,
    #[error(
        "a message about a payment cannot be called off: the payment might never be booked. \
         Let it run; if it fails for good it is a dead letter, which can be given up"
    )]
    Confirms,
    #[error(
        "it tells what its episode of alerts holds, which nobody else would. It ends by itself once the \
         episode is over"
    )]
    Tells,
    #[error(
        "this version does not know jobs of the kind `{0}`, so nobody can tell whether it is safe to call \
         one off. Let it run: it becomes a dead letter, which can be given up"
    )]
    UnknownJob(String),
    #[error("a note of 1 to 500 characters is needed: say why")]
    Note,
    #[error("there are no jobs of the kind `{kind}`; known are {known}")]
    UnknownKind { kind: String, known: String },
    #[error("`{0}` is paused already")]
    Paused(String),
    #[error("`{0}` is not paused")]
    NotPaused(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A note as it is kept.
fn noted(note: &str) -> Result<String, OperateError> {
    let note = note.trim();
    if note.is_empty() || note.chars().count() > 500 {
        return Err(OperateError::Note);
    }
    Ok(note.to_owned())
}

/// The row, if it waits.
fn waiting(conn: &Connection, id: i64) -> Result<JobRow, OperateError> {
    let row = jobs::get(conn, id)?.ok_or(OperateError::NotFound(id))?;
    if row.state == JobState::Ready.as_str() {
        Ok(row)
    } else {
        Err(OperateError::NotWaiting {
            id,
            state: row.state,
        })
    }
}

/// Whether a job can be run at once, and if not, why.
pub fn may_run_now(conn: &Connection, id: i64, now: Timestamp) -> Result<JobRow, OperateError> {
    let row = waiting(conn, id)?;
    if row.run_at > now {
        return Ok(row);
    }
    let paused = jobs::pauses(conn)?
        .iter()
        .any(|pause| pause.kind == row.kind);
    Err(if paused {
        OperateError::DueButPaused(id, row.kind)
    } else {
        OperateError::DueAlready(id)
    })
}

/// Lets a job that waits for its time run now. It is due then, and taken as any other.
pub async fn run_now(ctx: &Ctx, id: i64, by: &'static str) -> Result<(), OperateError> {
    ctx.store
        .write(move |tx| {
            let row = may_run_now(tx.conn(), id, tx.now)?;
            jobs::run_now(tx, id)?;
            let before = json!({ "run_at": row.run_at });
            let after = json!({ "kind": row.kind, "run_at": tx.now });
            note(
                tx,
                "job.run_now",
                &format!("job:{id}"),
                Some(&before),
                &after,
            )?;
            Ok::<_, OperateError>(())
        })
        .await?;
    tracing::info!(job = id, by, "a person wants it to run now");
    Ok(())
}

/// Whether a job can be called off while it waits, and if not, why.
pub fn may_discard(conn: &Connection, id: i64) -> Result<JobRow, OperateError> {
    let row = waiting(conn, id)?;
    match row.job() {
        Some(Job::RetryCancel { .. }) => Err(OperateError::Cancels),
        Some(Job::ConfirmPayment { .. }) => Err(OperateError::Confirms),
        Some(Job::TellEpisode { .. }) => Err(OperateError::Tells),
        // An order is compared with what was paid whether or not PortOne knows its amount, an alert
        // stays on its page, and the next slot of a schedule does what this one would have done.
        Some(
            Job::PrepareOrder { .. }
            | Job::SendAlert { .. }
            | Job::Sweep { .. }
            | Job::Prune { .. }
            | Job::Settle { .. }
            | Job::Digest { .. },
        ) => Ok(row),
        None => Err(OperateError::UnknownJob(row.kind)),
    }
}

/// Calls off a job that waits, saying why.
pub async fn discard(ctx: &Ctx, id: i64, why: &str, by: &'static str) -> Result<(), OperateError> {
    let why = noted(why)?;
    ctx.store
        .write(move |tx| {
            let row = may_discard(tx.conn(), id)?;
            jobs::discard_waiting(tx, id, &why)?;
            let before = json!({ "state": row.state });
            let after = json!({ "kind": row.kind, "state": "cancelled", "note": why });
            note(
                tx,
                "job.called_off",
                &format!("job:{id}"),
                Some(&before),
                &after,
            )?;
            Ok::<_, OperateError>(())
        })
        .await?;
    tracing::info!(job = id, by, "a person called it off");
    Ok(())
}

/// Whether there is such a kind.
pub fn known_kind(conn: &Connection, kind: &str) -> Result<(), OperateError> {
    if job_lists::is_kind(conn, kind)? {
        return Ok(());
    }
    Err(OperateError::UnknownKind {
        kind: kind.to_owned(),
        known: Job::KINDS.join(", "),
    })
}

/// Lets nothing of a kind begin any more. What runs ends, what comes waits.
pub async fn pause(ctx: &Ctx, kind: &str, why: &str, by: &'static str) -> Result<(), OperateError> {
    let (kind, why) = (kind.to_owned(), noted(why)?);
    ctx.store
        .write(move |tx| {
            known_kind(tx.conn(), &kind)?;
            if !jobs::pause(tx, &kind, by, &why)? {
                return Err(OperateError::Paused(kind));
            }
            let subject = format!("job_kind:{kind}");
            Ok(note(
                tx,
                "job_kind.paused",
                &subject,
                None,
                &json!({ "note": why }),
            )?)
        })
        .await
}

/// Lets a kind run again.
pub async fn resume(ctx: &Ctx, kind: &str) -> Result<(), OperateError> {
    let kind = kind.to_owned();
    ctx.store
        .write(move |tx| {
            if !jobs::resume(tx, &kind)? {
                return Err(OperateError::NotPaused(kind));
            }
            let subject = format!("job_kind:{kind}");
            Ok(note(tx, "job_kind.resumed", &subject, None, &json!({}))?)
        })
        .await
}

/// Notes what a person does to a job or a kind of jobs.
fn note(
    tx: &Tx<'_>,
    act: &str,
    subject: &str,
    before: Option<&Value>,
    after: &Value,
) -> Result<(), StoreError> {
    let act = Act {
        act,
        subject,
        before,
        after: Some(after),
    };
    audit::note(tx, &act)
}

/// What a job is about: where to look, and how much money hangs on it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Subject {
    pub imp_uid: Option<String>,
    pub merchant_uid: Option<String>,
    pub cancellation: Option<String>,
    pub alert: Option<i64>,
    /// Up to when a scheduled job looks.
    #[serde(serialize_with = "payments::seoul_time_maybe")]
    pub until: Option<Timestamp>,
    /// What would go back, be booked, or is registered.
    pub amount: Option<Won>,
    #[serde(skip)]
    pub buyer: String,
}

/// Reads what a job is about. An id that leads nowhere any more is told as it is.
pub fn subject(conn: &Connection, row: &JobRow) -> Result<Subject, StoreError> {
    let mut about = Subject::default();
    match row.job() {
        Some(Job::RetryCancel { cancellation }) => of_cancel(conn, &cancellation, &mut about)?,
        Some(Job::ConfirmPayment { inbox_id }) => {
            if let Some(hint) = inbox::hint(conn, inbox_id)? {
                of_payment(conn, &hint.imp_uid, &mut about)?;
                if about.merchant_uid.is_none() {
                    about.merchant_uid = hint.merchant_uid.as_ref().map(|id| id.to_string());
                }
                if let (None, Some(order)) = (about.amount, &hint.merchant_uid) {
                    about.amount = orders::amount(conn, order)?;
                }
            }
        }
        Some(Job::PrepareOrder { merchant_uid }) => {
            about.amount = orders::amount(conn, &merchant_uid)?;
            about.merchant_uid = Some(merchant_uid.to_string());
        }
        Some(Job::SendAlert { alert_id }) => {
            about.alert = Some(alert_id);
            let alert = alerts::get(conn, alert_id)?;
            let of = alert.as_ref().and_then(|row| row.alert.imp_uid());
            about.imp_uid = of.map(|id| id.to_string());
        }
        Some(Job::TellEpisode { .. }) => {}
        Some(
            Job::Sweep { until }
            | Job::Prune { until }
            | Job::Settle { until }
            | Job::Digest { until },
        ) => {
            about.until = Some(until);
        }
        None => {}
    }
    Ok(about)
}

fn of_cancel(
    conn: &Connection,
    id: &CancellationId,
    about: &mut Subject,
) -> Result<(), StoreError> {
    about.cancellation = Some(id.to_string());
    if let Some(imp_uid) = payments::of_cancellation(conn, id)? {
        of_payment(conn, &imp_uid, about)?;
    }
    about.amount = cancellations::get(conn, id)?.map(|row| row.amount);
    Ok(())
}

fn of_payment(conn: &Connection, id: &ImpUid, about: &mut Subject) -> Result<(), StoreError> {
    about.imp_uid = Some(id.to_string());
    if let Some(payment) = payments::show(conn, id.as_str())? {
        about.merchant_uid = Some(payment.merchant_uid);
        about.amount = Some(payment.amount);
        about.buyer = payment.about.buyer_name;
    }
    Ok(())
}

/// A job with all that a person may want to know of it.
#[derive(Clone, Debug, Serialize)]
pub struct JobStory {
    #[serde(flatten)]
    pub letter: DeadLetter,
    pub stand: Option<Stand>,
    pub about: Subject,
    /// With whatever looks like a person's masked.
    pub payload: Value,
    pub unique_key: Option<String>,
    pub paused: Option<Pause>,
    #[serde(skip)]
    pub alert: Option<Alert>,
    /// Which process runs it, if it says so itself.
    pub process: Option<Process>,
}

pub fn story(conn: &Connection, id: i64, now: Timestamp) -> Result<Option<JobStory>, StoreError> {
    let Some(job) = jobs::get(conn, id)? else {
        return Ok(None);
    };
    let about = subject(conn, &job)?;
    let payload = serde_json::from_str(&job.payload).unwrap_or(Value::Null);
    let alert = match about.alert {
        Some(alert) => alerts::get(conn, alert)?.map(|row| row.alert),
        None => None,
    };
    let process = match &job.lease_by {
        Some(boot) => leases::processes(conn)?
            .into_iter()
            .find(|process| process.boot == *boot),
        None => None,
    };
    let paused = jobs::pauses(conn)?
        .into_iter()
        .find(|pause| pause.kind == job.kind);
    Ok(Some(JobStory {
        stand: Stand::of(&job, now),
        about,
        payload: masked_json(&payload),
        unique_key: job.job().and_then(|job| job.unique_key()),
        paused,
        alert,
        process,
        letter: dead_letters::describe(conn, job)?,
    }))
}

/// A process that runs jobs, and whether it lives.
#[derive(Clone, Debug, Serialize)]
pub struct Worker {
    #[serde(flatten)]
    pub process: Process,
    pub alive: bool,
}

/// Who works on these books.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Workers {
    pub processes: Vec<Worker>,
    /// Who runs the schedules.
    pub keeper: Option<Lease>,
}

pub fn workers(store: &Store, conn: &Connection) -> Result<Workers, StoreError> {
    let processes = leases::processes(conn)?;
    Ok(Workers {
        processes: processes
            .into_iter()
            .map(|process| Worker {
                alive: store.is_alive(&process.boot),
                process,
            })
            .collect(),
        keeper: leases::get(conn, KEEPER)?,
    })
}
