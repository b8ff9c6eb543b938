//! Rows of the `job` table and the messages that stand for them in RabbitMQ.
//!
//! A message is a hint: "row 7 is ready, as of its turn 3". The row decides. A row that was claimed
//! has another turn, so a message that comes twice, late, or after the row was run by somebody else is
//! told apart from one that is to be run. `published_at` says that a message stands for the row and was
//! confirmed; a row without one is published (again), and a message too many does no harm.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::{StoreError, Tx, instant, jobs};
use crate::domain::job::{Delivery, JobState, Queue};

/// A row to publish, with what its message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub id: i64,
    pub kind: String,
    pub turn: i64,
    pub generation: u32,
    /// Runs so far.
    pub attempt: u32,
    pub run_at: Timestamp,
    pub created_at: Timestamp,
    pub last_error: Option<String>,
}

const WAITING: &str = "
    select id, kind, turn, generation, attempt, run_at, created_at, last_error from job where id = ?1";

fn waiting(conn: &Connection, id: i64) -> Result<Waiting, StoreError> {
    let found = conn.prepare_cached(WAITING)?.query_row([id], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            row.get(5)?,
            row.get(6)?,
            row.get(7)?,
        ))
    })?;
    let (id, kind, turn, generation, attempt, run_at, created_at, last_error) = found;
    Ok(Waiting {
        id,
        kind,
        turn,
        generation,
        attempt,
        run_at: instant(run_at)?,
        created_at: instant(created_at)?,
        last_error,
    })
}

/// Rows of a queue that are due and for which no message stands, of kinds that are not paused.
pub fn due(
    conn: &Connection,
    queue: Queue,
    now_ms: i64,
    most: usize,
) -> Result<Vec<Waiting>, StoreError> {
    jobs::due(conn, queue, now_ms, most)?
        .into_iter()
        .map(|id| waiting(conn, id))
        .collect()
}

/// Rows of a queue for which no message stands and that are not due before `from`: for them a message
/// can wait in RabbitMQ.
pub fn later(
    conn: &Connection,
    queue: Queue,
    from_ms: i64,
    most: usize,
) -> Result<Vec<Waiting>, StoreError> {
    let mut found = Vec::new();
    for kind in jobs::unpaused_kinds(conn, queue)? {
        // Without a limit, as `jobs::due`.
        let mut query = conn.prepare_cached(
            "select id from job where state = 'ready' and queue = ?1 and kind = ?2 and published_at is null
                and run_at >= ?3 order by run_at, id",
        )?;
        let rows = query.query_map((queue.as_str(), &kind, from_ms), |row| row.get::<_, i64>(0))?;
        for id in rows.take(most) {
            found.push(waiting(conn, id?)?);
        }
    }
    Ok(found)
}

/// Notes that a message stands for each of these rows, unless it was claimed meanwhile.
pub fn mark(tx: &Tx<'_>, rows: &[(i64, i64)]) -> Result<usize, StoreError> {
    let mut mark = tx.conn().prepare_cached(
        "update job set published_at = ?3
          where id = ?1 and turn = ?2 and state = 'ready' and published_at is null",
    )?;
    let mut marked = 0;
    for (id, turn) in rows {
        marked += mark.execute((id, turn, tx.now_ms()))?;
    }
    Ok(marked)
}

/// Rows whose message was confirmed before `before`, and that were due before it too: either they
/// wait in a long queue, or their message is lost.
pub fn overdue(
    conn: &Connection,
    queue: Queue,
    before_ms: i64,
    most: usize,
) -> Result<Vec<i64>, StoreError> {
    let mut found = Vec::new();
    for kind in jobs::waiting_kinds(conn, queue)? {
        let mut query = conn.prepare_cached(
            "select id from job where state = 'ready' and queue = ?1 and kind = ?2
                and published_at < ?3 and run_at < ?3 limit ?4",
        )?;
        let rows = query.query_map((queue.as_str(), &kind, before_ms, most as i64), |row| {
            row.get(0)
        })?;
        for id in rows {
            found.push(id?);
        }
    }
    Ok(found)
}

/// No message stands for these rows any more: they are published again, or claimed by the embedded
/// engine.
pub fn forget(tx: &mut Tx<'_>, ids: &[i64]) -> Result<usize, StoreError> {
    let mut forgotten = 0;
    for id in ids {
        forgotten += tx
            .conn()
            .prepare_cached(
                "update job set published_at = null where id = ?1 and published_at is not null",
            )?
            .execute([id])?;
    }
    tx.job_ready();
    Ok(forgotten)
}

/// The same for up to `most` rows, whichever: where RabbitMQ is left.
pub fn forget_all(tx: &mut Tx<'_>, most: usize) -> Result<usize, StoreError> {
    let mut ids: Vec<i64> = Vec::new();
    for queue in Queue::ALL {
        for kind in jobs::waiting_kinds(tx.conn(), queue)? {
            let mut query = tx.conn().prepare_cached(
                "select id from job where state = 'ready' and queue = ?1 and kind = ?2
                    and published_at is not null limit ?3",
            )?;
            let rows = query.query_map(
                (queue.as_str(), &kind, most.saturating_sub(ids.len()) as i64),
                |row| row.get::<_, i64>(0),
            )?;
            for id in rows {
                ids.push(id?);
            }
        }
    }
    forget(tx, &ids)
}

/// How many rows a message stands for.
pub fn count(conn: &Connection) -> Result<i64, StoreError> {
    let mut count = 0;
    for queue in Queue::ALL {
        for kind in jobs::waiting_kinds(conn, queue)? {
            count += conn
                .prepare_cached(
                    "select count(*) from job where state = 'ready' and queue = ?1 and kind = ?2
                        and published_at is not null",
                )?
                .query_row((queue.as_str(), &kind), |row| row.get::<_, i64>(0))?;
        }
    }
    Ok(count)
}

/// What a message says of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    pub id: i64,
    pub generation: u32,
    pub turn: i64,
}

/// What the row says to its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is to be run, by whoever asked.
    Run(Delivery),
    /// It was run, settled or taken otherwise: the message has nothing to do any more.
    Over,
    /// It is not due yet, or its kind is paused: it is published again in its time.
    NotNow,
    /// It runs in a process that may have died.
    RunsElsewhere,
    /// It is a dead letter, and the message is the dead letter's own copy.
    DeadLetter,
    /// There is no such row: the message is of other books, or the row was removed since.
    Unknown,
}

/// Takes the row that a message stands for, if it is to be run now.
pub fn answer(
    tx: &mut Tx<'_>,
    hint: Hint,
    boot: &str,
    lease: Duration,
) -> Result<Answer, StoreError> {
    struct Row {
        state: String,
        generation: u32,
        turn: i64,
        run_at: i64,
        paused: bool,
        lease_by: Option<String>,
    }
    let row = tx
        .conn()
        .prepare_cached(
            "select state, generation, turn, run_at,
                    exists (select 1 from kind_pause where kind_pause.kind = job.kind), lease_by
               from job where id = ?1",
        )?
        .query_row([hint.id], |row| {
            Ok(Row {
                state: row.get(0)?,
                generation: row.get(1)?,
                turn: row.get(2)?,
                run_at: row.get(3)?,
                paused: row.get(4)?,
                lease_by: row.get(5)?,
            })
        })
        .optional()?;
    let Some(row) = row else {
        return Ok(Answer::Unknown);
    };
    let of_now = row.turn == hint.turn && row.generation == hint.generation;
    Ok(match JobState::parse(&row.state) {
        Some(JobState::Ready) if !of_now => Answer::Over,
        Some(JobState::Ready) if row.paused || row.run_at > tx.now_ms() => {
            forget(tx, &[hint.id])?;
            Answer::NotNow
        }
        Some(JobState::Ready) => match jobs::claim_one(tx, hint.id, boot, lease)? {
            Some(held) => Answer::Run(held),
            None => Answer::Over,
        },
        Some(JobState::Running) if row.lease_by.as_deref() != Some(boot) => Answer::RunsElsewhere,
        Some(JobState::Dead) if of_now => Answer::DeadLetter,
        _ => Answer::Over,
    })
}

/// A dead letter as its message in RabbitMQ tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadCopy {
    pub id: i64,
    pub kind: String,
    pub generation: u32,
    pub turn: i64,
    pub attempts: u32,
    pub reason: String,
    pub error: String,
    /// When its first run of this generation began.
    pub first_at: Timestamp,
    /// When it died.
    pub last_at: Timestamp,
}

const DEAD: &str = "
    select id, kind, generation, turn, attempt, coalesce(reason, 'exhausted'), coalesce(last_error, ''),
           coalesce((select min(started_at) from job_attempt a where a.job_id = job.id and a.generation = job.generation),
                    created_at),
           finished_at
      from job where state = 'dead' and queue = :queue order by id limit :most";

/// The dead letters of a queue.
pub fn dead(conn: &Connection, queue: Queue, most: usize) -> Result<Vec<DeadCopy>, StoreError> {
    let mut query = conn.prepare_cached(DEAD)?;
    query
        .query_and_then(
            named_params! { ":queue": queue.as_str(), ":most": most as i64 },
            |row| {
                Ok(DeadCopy {
                    id: row.get(0)?,
                    kind: row.get(1)?,
                    generation: row.get(2)?,
                    turn: row.get(3)?,
                    attempts: row.get(4)?,
                    reason: row.get(5)?,
                    error: row.get(6)?,
                    first_at: instant(row.get(7)?)?,
                    last_at: instant(row.get(8)?)?,
                })
            },
        )?
        .collect()
}

/// Takes a waiting row whose message RabbitMQ gave up, so that it can be buried. `None` if the row
/// went on meanwhile.
pub fn take_given_up(
    tx: &Tx<'_>,
    id: i64,
    turn: i64,
    boot: &str,
) -> Result<Option<Delivery>, StoreError> {
    let waits = tx
        .conn()
        .prepare_cached("select 1 from job where id = ?1 and turn = ?2 and state = 'ready'")?
        .exists((id, turn))?;
    if waits {
        jobs::claim_one(tx, id, boot, Duration::from_secs(30))
    } else {
        Ok(None)
    }
}
