//! The `job` table: queue, outbox and ledger at once.
//!
//! Publishing is one insert in the caller's transaction. A run is settled in the transaction of its
//! effect, fenced by attempt and lease: whoever lost the lease gets [`SettleError::Stale`] and rolls
//! its effect back. So effects in the books happen exactly once, calls outside at least once.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::Serialize;

use super::{StoreError, Tx, instant, instant_maybe};
use crate::{
    domain::job::{Delivery, Job, JobState, Outcome, Queue},
    store::job_minutes::{Ended, How},
};

/// How a job is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub max_attempts: u32,
    pub run_at: Option<Timestamp>,
}

/// What came of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    New(i64),
    /// A live job with the same key is there already.
    Duplicate(i64),
}

impl Published {
    pub fn id(self) -> i64 {
        match self {
            Published::New(id) | Published::Duplicate(id) => id,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The lease was lost, or the job settled by somebody else: the effect must not happen.
    #[error("job {0} is no longer held by this run")]
    Stale(i64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for SettleError {
    fn from(error: rusqlite::Error) -> SettleError {
        SettleError::Store(error.into())
    }
}

const INSERT: &str = "
    insert into job (queue, kind, payload, state, attempt, max_attempts, run_at, lease_by, lease_until,
                     unique_key, created_at, started_at)
    values (:queue, :kind, :payload, :state, :attempt, :max_attempts, :run_at, :lease_by, :lease_until,
            :unique_key, :now, :started_at)
    on conflict (unique_key) where unique_key is not null and state in ('ready', 'running') do nothing";

/// Publishes a job for the workers, visible once the transaction is on disk.
pub fn publish(tx: &mut Tx<'_>, job: &Job, terms: Terms) -> Result<Published, StoreError> {
    let run_at = terms.run_at.unwrap_or(tx.now);
    let new = insert(tx, job, terms.max_attempts, run_at, None)?;
    // Also for one that waits: whoever hands jobs out looks when the next one becomes due.
    tx.job_ready();
    Ok(new)
}

/// Publishes a job whose first run is the caller's own: nobody else gets it before `lease` is over
/// or the process has died. The run counts as no attempt of the queue's.
pub fn publish_held(
    tx: &mut Tx<'_>,
    job: &Job,
    max_attempts: u32,
    boot: &str,
    lease: Duration,
) -> Result<Delivery, StoreError> {
    let id = insert(tx, job, max_attempts, tx.now, Some((boot, lease)))?.id();
    Ok(Delivery {
        id,
        queue: job.queue(),
        kind: job.kind().to_owned(),
        payload: String::new(),
        attempt: 0,
        max_attempts,
        generation: 0,
        boot: boot.to_owned(),
        started_at: tx.now,
        run_at: tx.now,
        turn: 0,
    })
}

fn insert(
    tx: &Tx<'_>,
    job: &Job,
    max_attempts: u32,
    run_at: Timestamp,
    held: Option<(&str, Duration)>,
) -> Result<Published, StoreError> {
    let key = job.unique_key();
    let lease_until = held.map(|(_, lease)| tx.now_ms() + lease.as_millis() as i64);
    let inserted = tx.conn().prepare_cached(INSERT)?.execute(named_params! {
        ":queue": job.queue().as_str(),
        ":kind": job.kind(),
        ":payload": job.payload().to_string(),
        ":state": if held.is_some() { "running" } else { "ready" },
        ":attempt": 0,
        ":max_attempts": max_attempts,
        ":run_at": run_at.as_millisecond(),
        ":lease_by": held.map(|(boot, _)| boot),
        ":lease_until": lease_until,
        ":unique_key": key,
        ":now": tx.now_ms(),
        ":started_at": held.map(|_| tx.now_ms()),
    })?;
    if inserted == 1 {
        return Ok(Published::New(tx.conn().last_insert_rowid()));
    }
    let id = tx
        .conn()
        .prepare_cached(
            "select id from job where unique_key = ?1 and state in ('ready', 'running')",
        )?
        .query_row([key], |row| row.get(0))?;
    Ok(Published::Duplicate(id))
}

pub(super) const NEXT_KIND: &str =
    "select min(kind) from job where state = 'ready' and queue = ?1 and kind > ?2";
/// Without a limit: the index gives them in order, and whoever reads stops.
pub(super) const DUE: &str = "
    select id, run_at from job
     where state = 'ready' and queue = ?1 and kind = ?2 and published_at is null and run_at <= ?3
     order by run_at, id";

/// Kinds of which rows of a queue wait: by a step of the index per kind, however many wait.
pub(super) fn waiting_kinds(conn: &Connection, queue: Queue) -> Result<Vec<String>, StoreError> {
    let mut kinds: Vec<String> = Vec::new();
    loop {
        let last = kinds.last().map_or("", String::as_str);
        let next: Option<String> = conn
            .prepare_cached(NEXT_KIND)?
            .query_row((queue.as_str(), last), |row| row.get(0))?;
        match next {
            Some(kind) => kinds.push(kind),
            None => return Ok(kinds),
        }
    }
}

/// The same without those that are paused.
pub(super) fn unpaused_kinds(conn: &Connection, queue: Queue) -> Result<Vec<String>, StoreError> {
    let mut kinds = waiting_kinds(conn, queue)?;
    // One that cannot be told whether it is paused counts as paused until it can.
    let mut paused = conn.prepare_cached("select 1 from kind_pause where kind = ?1")?;
    kinds.retain(|kind| paused.exists([kind]).is_ok_and(|paused| !paused));
    Ok(kinds)
}

/// Up to `most` rows of a queue that are due and for which no message stands, of kinds that are not
/// paused: the one due longest first.
pub(super) fn due(
    conn: &Connection,
    queue: Queue,
    now_ms: i64,
    most: usize,
) -> Result<Vec<i64>, StoreError> {
    let mut found: Vec<(i64, i64)> = Vec::new();
    for kind in unpaused_kinds(conn, queue)? {
        let mut query = conn.prepare_cached(DUE)?;
        let rows = query.query_map((queue.as_str(), &kind, now_ms), |row| {
            Ok((row.get(1)?, row.get(0)?))
        })?;
        for row in rows.take(most) {
            found.push(row?);
        }
    }
    found.sort_unstable();
    found.truncate(most);
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

/// Whether a claim would find anything.
pub fn any_ready(conn: &Connection, queue: Queue, now_ms: i64) -> Result<bool, StoreError> {
    Ok(!due(conn, queue, now_ms, 1)?.is_empty())
}

/// When the next row of a queue becomes due that is not due yet, of kinds that are not paused.
pub fn next_due(
    conn: &Connection,
    queue: Queue,
    now_ms: i64,
) -> Result<Option<Timestamp>, StoreError> {
    let mut soonest: Option<i64> = None;
    for kind in unpaused_kinds(conn, queue)? {
        let next: Option<i64> = conn
            .prepare_cached(
                "select min(run_at) from job where state = 'ready' and queue = ?1 and kind = ?2
                    and published_at is null and run_at > ?3",
            )?
            .query_row((queue.as_str(), &kind, now_ms), |row| row.get(0))?;
        soonest = match (soonest, next) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    instant_maybe(soonest)
}

const CLAIM: &str = "
    update job
       set state = 'running', attempt = attempt + 1, turn = turn + 1, lease_by = :boot,
           lease_until = :until, started_at = :now, published_at = null
     where id = :id and state = 'ready'
    returning id, queue, kind, payload, attempt, max_attempts, generation, lease_by, started_at, run_at, turn";

/// Takes up to `free` ready jobs of a queue for this boot.
pub fn claim(
    tx: &Tx<'_>,
    queue: Queue,
    free: usize,
    boot: &str,
    lease: Duration,
) -> Result<Vec<Delivery>, StoreError> {
    let mut claimed = Vec::new();
    for id in due(tx.conn(), queue, tx.now_ms(), free)? {
        claimed.extend(claim_one(tx, id, boot, lease)?);
    }
    Ok(claimed)
}

/// Takes one ready row, whoever found it.
pub(super) fn claim_one(
    tx: &Tx<'_>,
    id: i64,
    boot: &str,
    lease: Duration,
) -> Result<Option<Delivery>, StoreError> {
    let mut query = tx.conn().prepare_cached(CLAIM)?;
    let claimed = query
        .query_row(
            named_params! {
                ":id": id,
                ":boot": boot,
                ":until": tx.now_ms() + lease.as_millis() as i64,
                ":now": tx.now_ms(),
            },
            |row| Ok(delivery(row)),
        )
        .optional()?;
    claimed.transpose()
}

fn delivery(row: &Row<'_>) -> Result<Delivery, StoreError> {
    let queue: String = row.get(1)?;
    Ok(Delivery {
        id: row.get(0)?,
        queue: Queue::parse(&queue).ok_or(StoreError::Unreadable {
            table: "job",
            why: format!("queue {queue}"),
        })?,
        kind: row.get(2)?,
        payload: row.get(3)?,
        attempt: row.get(4)?,
        max_attempts: row.get(5)?,
        generation: row.get(6)?,
        boot: row.get(7)?,
        started_at: instant(row.get(8)?)?,
        run_at: instant(row.get(9)?)?,
        turn: row.get(10)?,
    })
}

const SETTLE: &str = "
    update job
       set state = :state, attempt = :attempt, run_at = coalesce(:run_at, run_at), lease_by = null,
           lease_until = null, finished_at = :finished_at, last_error = coalesce(:error, last_error),
           reason = coalesce(:reason, reason)
     where id = :id and state = 'running' and attempt = :held and generation = :generation
       and lease_by = :boot and turn = :turn";

/// Ends a run, in the transaction of its effect.
pub fn settle(tx: &mut Tx<'_>, held: &Delivery, outcome: &Outcome) -> Result<(), SettleError> {
    let in_ms = |after: Duration| tx.now_ms() + after.as_millis() as i64;
    let (state, attempt, run_at, error) = match outcome {
        Outcome::Done => (JobState::Done, held.attempt, None, None),
        Outcome::Retry { after, error } => (
            JobState::Ready,
            held.attempt,
            Some(in_ms(*after)),
            Some(error),
        ),
        Outcome::Snooze { after, why } => (
            JobState::Ready,
            held.attempt.saturating_sub(1),
            Some(in_ms(*after)),
            Some(why),
        ),
        Outcome::Dead { error, .. } => (JobState::Dead, held.attempt, None, Some(error)),
        Outcome::Cancelled { why } => (JobState::Cancelled, held.attempt, None, Some(why)),
    };
    let finished = matches!(state, JobState::Done | JobState::Dead | JobState::Cancelled);
    let changed = tx.conn().prepare_cached(SETTLE)?.execute(named_params! {
        ":id": held.id,
        ":state": state.as_str(),
        ":attempt": attempt,
        ":run_at": run_at,
        ":finished_at": finished.then(|| tx.now_ms()),
        ":error": error,
        ":held": held.attempt,
        ":generation": held.generation,
        ":boot": held.boot,
        ":reason": match outcome {
            Outcome::Dead { reason, .. } => Some(reason.as_str()),
            _ => None,
        },
        // An orphan's attempt may be counted anew, under the same boot.
        ":turn": held.turn,
    })?;
    if changed == 0 {
        return Err(SettleError::Stale(held.id));
    }
    let how = match outcome {
        Outcome::Done => How::Done,
        Outcome::Retry { .. } => How::Retried,
        Outcome::Snooze { .. } => How::Snoozed,
        Outcome::Dead { .. } => How::Dead,
        Outcome::Cancelled { .. } => How::Cancelled,
    };
    count(tx, held, how);
    if let Some(error) = error {
        record(tx, held, outcome_name(outcome), error)?;
    }
    // Also for one that waits: whoever hands jobs out looks when the next one becomes due.
    if run_at.is_some() {
        tx.job_ready();
    }
    Ok(())
}

fn count(tx: &mut Tx<'_>, held: &Delivery, how: How) {
    let between = |from: Timestamp, to: Timestamp| to.as_millisecond() - from.as_millisecond();
    let ended = Ended {
        kind: held.kind.clone(),
        how,
        waited_ms: between(held.run_at, held.started_at),
        ran_ms: between(held.started_at, tx.now),
    };
    tx.run_ended(ended);
}

fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Retry { .. } => "retry",
        Outcome::Snooze { .. } => "snooze",
        Outcome::Dead { .. } => "dead",
        Outcome::Cancelled { .. } => "cancelled",
    }
}

const RECORD: &str = "
    insert into job_attempt (job_id, generation, attempt, started_at, finished_at, outcome, error, boot)
    values (:job, :generation, :attempt, :started_at, :now, :outcome, :error, :boot)";

const SAME_AGAIN: &str = "
    update job_attempt set finished_at = :now
     where id = (select max(id) from job_attempt where job_id = :job)
       and generation = :generation and outcome = 'snooze' and error = :error";

/// Keeps what a run that did not simply succeed had to say. A job that snoozes for one reason over
/// and over, for days if it must, keeps one row of it.
fn record(tx: &Tx<'_>, held: &Delivery, outcome: &str, error: &str) -> Result<(), StoreError> {
    if outcome == "snooze" {
        let same = tx
            .conn()
            .prepare_cached(SAME_AGAIN)?
            .execute(named_params! {
                ":job": held.id,
                ":generation": held.generation,
                ":now": tx.now_ms(),
                ":error": error,
            })?;
        if same > 0 {
            return Ok(());
        }
    }
    tx.conn().prepare_cached(RECORD)?.execute(named_params! {
        ":job": held.id,
        ":generation": held.generation,
        ":attempt": held.attempt,
        ":started_at": held.started_at.as_millisecond(),
        ":now": tx.now_ms(),
        ":outcome": outcome,
        ":error": error,
        ":boot": held.boot,
    })?;
    Ok(())
}

/// The index holds live jobs by key; the planner wants to read that the wanted ones are live.
pub const FINISH_LIVE: &str = "
    update job set state = 'cancelled', lease_by = null, lease_until = null, finished_at = ?2, note = ?3,
                   published_at = null
     where unique_key = ?1 and state in ('ready', 'running') and state = 'ready'";

/// Dead letters have an index of their own, and are few.
pub const DEAD_WITH_KEY: &str =
    "select id from job where unique_key = ?1 and state = 'dead' order by id desc";

/// Ends a held job that its holder has no use for any more: the books are settled without it.
pub fn finish_live(tx: &Tx<'_>, unique_key: &str, why: &str) -> Result<bool, StoreError> {
    let changed = tx
        .conn()
        .prepare_cached(FINISH_LIVE)?
        .execute((unique_key, tx.now_ms(), why))?;
    Ok(changed > 0)
}

const RUNNING: &str = "
    select id, queue, kind, payload, attempt, max_attempts, generation, lease_by, started_at, run_at, turn,
           crashes, lease_until
      from job where state = 'running'";

/// Runs whose process is dead, or whose lease is over. With each, how often it had crashed before.
pub fn orphans(
    tx: &Tx<'_>,
    is_alive: impl Fn(&str) -> bool,
) -> Result<Vec<(Delivery, u32)>, StoreError> {
    let mut query = tx.conn().prepare_cached(RUNNING)?;
    let mut orphans = Vec::new();
    // Asked once per boot: a few of them run hundreds of jobs.
    let mut known: std::collections::HashMap<String, bool> = Default::default();
    for row in query.query_and_then([], |row| {
        Ok::<_, StoreError>((delivery(row)?, row.get(11)?, row.get::<_, i64>(12)?))
    })? {
        let (held, crashes, lease_until) = row?;
        let alive = *known
            .entry(held.boot.clone())
            .or_insert_with(|| is_alive(&held.boot));
        if !alive || lease_until < tx.now_ms() {
            orphans.push((held, crashes));
        }
    }
    Ok(orphans)
}

/// Puts an orphan back at once. The attempt stays charged, for nobody knows how far it came; but a
/// last one is left, so that it ends as a run and not as a crash.
pub fn put_back(tx: &mut Tx<'_>, orphan: &Delivery, why: &str) -> Result<(), StoreError> {
    count(tx, orphan, How::Retried);
    tx.conn()
        .prepare_cached(
            "update job set state = 'ready', run_at = ?2, lease_by = null, lease_until = null,
                            attempt = min(attempt, max(max_attempts - 1, 0)),
                            crashes = crashes + 1, last_error = ?3
              where id = ?1 and state = 'running'",
        )?
        .execute((orphan.id, tx.now_ms(), why))?;
    record(tx, orphan, "crashed", why)?;
    tx.job_ready();
    Ok(())
}

/// Gives back what this boot still holds, uncharged: at shut-down.
pub fn give_back(tx: &Tx<'_>, boot: &str) -> Result<usize, StoreError> {
    let given = tx.conn().execute(
        "update job set state = 'ready', run_at = ?2, lease_by = null, lease_until = null,
                        attempt = max(attempt - 1, 0)
          where state = 'running' and lease_by = ?1",
        (boot, tx.now_ms()),
    )?;
    Ok(given)
}

/// A person lets a dead job run again: attempts count anew, the history stays.
pub fn replay(tx: &mut Tx<'_>, id: i64) -> Result<bool, StoreError> {
    let changed = tx
        .conn()
        .prepare_cached(
            "update job set state = 'ready', attempt = 0, crashes = 0, generation = generation + 1,
                            run_at = ?2, finished_at = null, reason = null
              where id = ?1 and state = 'dead'",
        )?
        .execute((id, tx.now_ms()))?;
    tx.job_ready();
    Ok(changed > 0)
}

/// A person gives a dead job up, saying why.
pub fn discard(tx: &Tx<'_>, id: i64, note: &str) -> Result<bool, StoreError> {
    let changed = tx
        .conn()
        .prepare_cached(
            "update job set state = 'cancelled', note = ?2, finished_at = ?3
              where id = ?1 and state = 'dead'",
        )?
        .execute((id, note, tx.now_ms()))?;
    Ok(changed > 0)
}

/// A person calls off a job that waits, saying why.
pub fn discard_waiting(tx: &Tx<'_>, id: i64, note: &str) -> Result<bool, StoreError> {
    let changed = tx
        .conn()
        .prepare_cached(
            "update job set state = 'cancelled', note = ?2, finished_at = ?3, published_at = null
              where id = ?1 and state = 'ready'",
        )?
        .execute((id, note, tx.now_ms()))?;
    Ok(changed > 0)
}

/// A job as people look at it.
#[derive(Clone, Debug, Serialize)]
pub struct JobRow {
    pub id: i64,
    pub queue: String,
    pub kind: String,
    #[serde(skip)]
    pub payload: String,
    pub state: String,
    pub attempt: u32,
    pub max_attempts: u32,
    pub crashes: u32,
    pub generation: u32,
    pub run_at: Timestamp,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub last_error: Option<String>,
    pub note: Option<String>,
    /// Why it is, or was last, a dead letter.
    pub reason: Option<String>,
    /// When RabbitMQ took the message that stands for it.
    pub published_at: Option<Timestamp>,
    /// Which process runs it, and until when unless it says more.
    pub lease_by: Option<String>,
    pub lease_until: Option<Timestamp>,
}

impl JobRow {
    /// What the job is to do, if this version can read it.
    pub fn job(&self) -> Option<Job> {
        Job::decode(&self.kind, &self.payload).ok()
    }
}

pub(super) const ROW: &str = "id, queue, kind, payload, state, attempt, max_attempts, crashes, generation,
                   run_at, created_at, started_at, finished_at, last_error, note, reason, published_at,
                   lease_by, lease_until";

pub(super) fn row(row: &Row<'_>) -> Result<JobRow, StoreError> {
    Ok(JobRow {
        id: row.get(0)?,
        queue: row.get(1)?,
        kind: row.get(2)?,
        payload: row.get(3)?,
        state: row.get(4)?,
        attempt: row.get(5)?,
        max_attempts: row.get(6)?,
        crashes: row.get(7)?,
        generation: row.get(8)?,
        run_at: instant(row.get(9)?)?,
        created_at: instant(row.get(10)?)?,
        started_at: instant_maybe(row.get(11)?)?,
        finished_at: instant_maybe(row.get(12)?)?,
        last_error: row.get(13)?,
        note: row.get(14)?,
        reason: row.get(15)?,
        published_at: instant_maybe(row.get(16)?)?,
        lease_by: row.get(17)?,
        lease_until: instant_maybe(row.get(18)?)?,
    })
}

pub fn get(conn: &Connection, id: i64) -> Result<Option<JobRow>, StoreError> {
    let sql = format!("select {ROW} from job where id = ?1");
    let mut query = conn.prepare_cached(&sql)?;
    let found = query.query_row([id], |r| Ok(row(r))).optional()?;
    found.transpose()
}

/// The live or dead job with this key, the newest. Jobs in other states are not looked for: no index
/// holds their keys.
pub fn with_key(conn: &Connection, key: &str, state: JobState) -> Result<Option<i64>, StoreError> {
    let sql = match state {
        JobState::Ready | JobState::Running => {
            "select id from job where unique_key = ?1 and state in ('ready', 'running')"
        }
        JobState::Dead => DEAD_WITH_KEY,
        JobState::Done | JobState::Cancelled => return Ok(None),
    };
    Ok(conn
        .prepare_cached(sql)?
        .query_row([key], |row| row.get(0))
        .optional()?)
}

/// Dead letters, newest first, below `before`.
pub fn dead(
    conn: &Connection,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<JobRow>, StoreError> {
    let sql =
        format!("select {ROW} from job where state = 'dead' and id < ?1 order by id desc limit ?2");
    let mut query = conn.prepare_cached(&sql)?;
    query
        .query_and_then((before.unwrap_or(i64::MAX), limit as i64), row)?
        .collect()
}

pub fn count_dead(conn: &Connection) -> Result<i64, StoreError> {
    Ok(conn
        .prepare_cached("select count(*) from job where state = 'dead'")?
        .query_row([], |row| row.get(0))?)
}

/// One run that did not simply succeed.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptRow {
    pub generation: u32,
    pub attempt: u32,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub outcome: String,
    pub error: String,
}

pub fn attempts(conn: &Connection, id: i64) -> Result<Vec<AttemptRow>, StoreError> {
    let mut query = conn.prepare_cached(
        "select generation, attempt, started_at, finished_at, outcome, error
           from job_attempt where job_id = ?1 order by id",
    )?;
    query
        .query_and_then([id], |row| {
            Ok(AttemptRow {
                generation: row.get(0)?,
                attempt: row.get(1)?,
                started_at: instant(row.get(2)?)?,
                finished_at: instant(row.get(3)?)?,
                outcome: row.get(4)?,
                error: row.get(5)?,
            })
        })?
        .collect()
}

/// How one kind stands now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Depth {
    pub kind: String,
    /// Due, and not begun: never failed, or failed and due again.
    pub waiting: i64,
    /// Not due yet, and nothing has been tried.
    pub scheduled: i64,
    /// Not due yet, after a run that failed or was put off, or after the direct attempts of a cancel.
    pub retrying: i64,
    pub running: i64,
    pub dead: i64,
    /// Since when the one that is due longest waits.
    pub oldest_due: Option<Timestamp>,
    /// Since when the oldest dead letter is one.
    pub oldest_dead: Option<Timestamp>,
}

const WAITING: &str = "
    select count(*), min(run_at) from job where state = 'ready' and queue = ?1 and kind = ?2 and run_at <= ?3";
const LATER: &str = "
    select count(*), coalesce(sum(attempt > 0 or last_error is not null), 0) from job
     where state = 'ready' and queue = ?1 and kind = ?2 and run_at > ?3";

/// How the kinds stand of which any job is not finished. Counts what waits by the index alone.
pub fn depths(conn: &Connection, now_ms: i64) -> Result<Vec<Depth>, StoreError> {
    let mut kinds: std::collections::BTreeMap<String, Depth> = Default::default();
    for queue in Queue::ALL {
        for kind in waiting_kinds(conn, queue)? {
            let key = (queue.as_str(), kind.as_str(), now_ms);
            let (waiting, oldest): (i64, Option<i64>) = conn
                .prepare_cached(WAITING)?
                .query_row(key, |row| Ok((row.get(0)?, row.get(1)?)))?;
            let (later, retrying): (i64, i64) = conn
                .prepare_cached(LATER)?
                .query_row(key, |row| Ok((row.get(0)?, row.get(1)?)))?;
            let depth = kinds.entry(kind).or_default();
            depth.waiting += waiting;
            depth.scheduled += later - retrying;
            depth.retrying += retrying;
            let oldest = instant_maybe(oldest)?;
            depth.oldest_due = match (depth.oldest_due, oldest) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }
    let mut running = conn
        .prepare_cached("select kind, count(*) from job where state = 'running' group by kind")?;
    for row in running.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))? {
        let (kind, count) = row?;
        kinds.entry(kind).or_default().running = count;
    }
    let mut dead = conn.prepare_cached(
        "select kind, count(*), min(finished_at) from job where state = 'dead' group by kind",
    )?;
    for row in dead.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
    })? {
        let (kind, count, oldest) = row?;
        let depth = kinds.entry(kind).or_default();
        (depth.dead, depth.oldest_dead) = (count, instant_maybe(oldest)?);
    }
    Ok(kinds
        .into_iter()
        .map(|(kind, depth)| Depth { kind, ..depth })
        .collect())
}

/// Removes finished jobs older than `before`, at most `limit`. Dead letters stay.
pub fn prune(tx: &Tx<'_>, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let mut removed = 0;
    for (next_kind, remove) in [(NEXT_DONE, PRUNE_DONE), (NEXT_CANCELLED, PRUNE_CANCELLED)] {
        let mut kind = String::new();
        while removed < limit {
            let next: Option<String> = tx
                .conn()
                .prepare_cached(next_kind)?
                .query_row([&kind], |row| row.get(0))?;
            let Some(next) = next else { break };
            kind = next;
            removed += tx.conn().prepare_cached(remove)?.execute((
                &kind,
                before.as_millisecond(),
                (limit - removed) as i64,
            ))?;
        }
    }
    Ok(removed)
}

const NEXT_DONE: &str = "select min(kind) from job where state = 'done' and kind > ?1";
const NEXT_CANCELLED: &str = "select min(kind) from job where state = 'cancelled' and kind > ?1";
const PRUNE_DONE: &str = "
    delete from job where id in (select id from job where state = 'done' and kind = ?1 and finished_at < ?2
                                  order by finished_at limit ?3)";
const PRUNE_CANCELLED: &str = "
    delete from job where id in (select id from job where state = 'cancelled' and kind = ?1 and finished_at < ?2
                                  order by finished_at limit ?3)";

/// A kind of which nothing runs until a person says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pause {
    pub kind: String,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub since: Timestamp,
    pub by: String,
    pub note: String,
}

pub fn pauses(conn: &Connection) -> Result<Vec<Pause>, StoreError> {
    let mut query =
        conn.prepare_cached("select kind, paused_at, by, note from kind_pause order by kind")?;
    query
        .query_and_then([], |row| {
            Ok(Pause {
                kind: row.get(0)?,
                since: instant(row.get(1)?)?,
                by: row.get(2)?,
                note: row.get(3)?,
            })
        })?
        .collect()
}

/// Lets nothing of a kind begin any more; what runs ends. False: it was paused already.
pub fn pause(tx: &Tx<'_>, kind: &str, by: &str, note: &str) -> Result<bool, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached(
            "insert into kind_pause (kind, paused_at, by, note) values (?1, ?2, ?3, ?4) on conflict do nothing",
        )?
        .execute((kind, tx.now_ms(), by, note))?
        > 0)
}

/// Lets a kind run again. False: it was not paused.
pub fn resume(tx: &mut Tx<'_>, kind: &str) -> Result<bool, StoreError> {
    tx.job_ready();
    Ok(tx
        .conn()
        .prepare_cached("delete from kind_pause where kind = ?1")?
        .execute([kind])?
        > 0)
}

/// A person wants a waiting job to run now. False: it does not wait.
pub fn run_now(tx: &mut Tx<'_>, id: i64) -> Result<bool, StoreError> {
    tx.job_ready();
    // A message that stands for it waits out its time in RabbitMQ: it stands for it no longer.
    Ok(tx
        .conn()
        .prepare_cached(
            "update job set run_at = ?2, published_at = null where id = ?1 and state = 'ready' and run_at > ?2",
        )?
        .execute((id, tx.now_ms()))?
        > 0)
}
