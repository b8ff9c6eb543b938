//! How the runs of a kind ended, minute by minute: what the jobs page draws and counts.
//!
//! Runs are gathered while a commit is put together and written once per kind at its end, in the same
//! transaction. So the figures are exact, a crash included, and a commit of sixty runs pays for one row.

use jiff::Timestamp;
use rusqlite::{Connection, named_params};
use serde::Serialize;

use super::{StoreError, Tx};

const MINUTE_MS: i64 = 60_000;

/// How one run ended, for the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Done,
    /// Failed, and is tried again.
    Retried,
    Snoozed,
    Dead,
    Cancelled,
}

/// One run that ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub kind: String,
    pub how: How,
    /// From due to begun.
    pub waited_ms: i64,
    /// From begun to ended.
    pub ran_ms: i64,
}

impl How {
    pub fn as_str(self) -> &'static str {
        match self {
            How::Done => "done",
            How::Retried => "retried",
            How::Snoozed => "snoozed",
            How::Dead => "dead",
            How::Cancelled => "cancelled",
        }
    }
}

/// What a minute, or a longer stretch, has seen of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    pub done: i64,
    pub retried: i64,
    pub snoozed: i64,
    pub dead: i64,
    pub cancelled: i64,
    /// Milliseconds from due to begun, of all runs together.
    pub waited_ms: i64,
    /// Milliseconds from begun to ended, of all runs together.
    pub ran_ms: i64,
    pub waited_most_ms: i64,
    pub ran_most_ms: i64,
}

impl Figures {
    /// Runs that began and ended.
    pub fn runs(&self) -> i64 {
        self.done + self.retried + self.snoozed + self.dead + self.cancelled
    }

    /// Mean time from due to begun; `None` where nothing ran.
    pub fn mean_wait_ms(&self) -> Option<f64> {
        (self.runs() > 0).then(|| self.waited_ms as f64 / self.runs() as f64)
    }

    /// Mean time from begun to ended.
    pub fn mean_run_ms(&self) -> Option<f64> {
        (self.runs() > 0).then(|| self.ran_ms as f64 / self.runs() as f64)
    }

    /// All of several minutes.
    pub fn of<'a>(minutes: impl IntoIterator<Item = &'a Figures>) -> Figures {
        let mut all = Figures::default();
        for minute in minutes {
            all.done += minute.done;
            all.retried += minute.retried;
            all.snoozed += minute.snoozed;
            all.dead += minute.dead;
            all.cancelled += minute.cancelled;
            all.waited_ms += minute.waited_ms;
            all.ran_ms += minute.ran_ms;
            all.waited_most_ms = all.waited_most_ms.max(minute.waited_most_ms);
            all.ran_most_ms = all.ran_most_ms.max(minute.ran_most_ms);
        }
        all
    }

    fn add(&mut self, ended: &Ended) {
        match ended.how {
            How::Done => self.done += 1,
            How::Retried => self.retried += 1,
            How::Snoozed => self.snoozed += 1,
            How::Dead => self.dead += 1,
            How::Cancelled => self.cancelled += 1,
        }
        // A clock that was set back makes no negative time.
        let (waited, ran) = (ended.waited_ms.max(0), ended.ran_ms.max(0));
        self.waited_ms += waited;
        self.ran_ms += ran;
        self.waited_most_ms = self.waited_most_ms.max(waited);
        self.ran_most_ms = self.ran_most_ms.max(ran);
    }
}

/// Which minute an instant lies in.
pub fn minute_of(at: Timestamp) -> i64 {
    at.as_millisecond().div_euclid(MINUTE_MS)
}

const COUNT: &str = "
    insert into job_minute (kind, minute, done, retried, snoozed, dead, cancelled, waited, ran, waited_most, ran_most)
    values (:kind, :minute, :done, :retried, :snoozed, :dead, :cancelled, :waited, :ran, :waited_most, :ran_most)
    on conflict (kind, minute) do update
       set done = done + excluded.done, retried = retried + excluded.retried,
           snoozed = snoozed + excluded.snoozed, dead = dead + excluded.dead,
           cancelled = cancelled + excluded.cancelled, waited = waited + excluded.waited,
           ran = ran + excluded.ran, waited_most = max(waited_most, excluded.waited_most),
           ran_most = max(ran_most, excluded.ran_most)";

/// Writes what one commit gathered.
pub(super) fn count(conn: &Connection, now: Timestamp, ended: &[Ended]) -> Result<(), StoreError> {
    let mut kinds: Vec<(&str, Figures)> = Vec::new();
    for run in ended {
        let at = kinds.iter().position(|(kind, _)| *kind == run.kind);
        let at = at.unwrap_or_else(|| {
            kinds.push((&run.kind, Figures::default()));
            kinds.len() - 1
        });
        kinds[at].1.add(run);
    }
    for (kind, figures) in kinds {
        conn.prepare_cached(COUNT)?.execute(named_params! {
            ":kind": kind,
            ":minute": minute_of(now),
            ":done": figures.done,
            ":retried": figures.retried,
            ":snoozed": figures.snoozed,
            ":dead": figures.dead,
            ":cancelled": figures.cancelled,
            ":waited": figures.waited_ms,
            ":ran": figures.ran_ms,
            ":waited_most": figures.waited_most_ms,
            ":ran_most": figures.ran_most_ms,
        })?;
    }
    Ok(())
}

/// Counts runs for `/metrics`, once they are on disk: how they ended, how long they waited and ran.
pub(super) fn measure(ended: &[Ended]) {
    for run in ended {
        let seconds = |ms: i64| ms.max(0) as f64 / 1_000.0;
        let kind = || run.kind.clone();
        metrics::counter!("jeongsan_job_runs_total", "kind" => kind(), "outcome" => run.how.as_str())
            .increment(1);
        metrics::histogram!("jeongsan_job_seconds", "kind" => kind()).record(seconds(run.ran_ms));
        metrics::histogram!("jeongsan_job_wait_seconds", "kind" => kind())
            .record(seconds(run.waited_ms));
    }
}

/// The minutes of a kind in `[from, until)` in which anything ran, in order.
pub fn minutes(
    conn: &Connection,
    kind: &str,
    from: i64,
    until: i64,
) -> Result<Vec<(i64, Figures)>, StoreError> {
    let mut query = conn.prepare_cached(
        "select minute, done, retried, snoozed, dead, cancelled, waited, ran, waited_most, ran_most
           from job_minute where kind = ?1 and minute >= ?2 and minute < ?3 order by minute",
    )?;
    query
        .query_and_then((kind, from, until), |row| {
            Ok((
                row.get(0)?,
                Figures {
                    done: row.get(1)?,
                    retried: row.get(2)?,
                    snoozed: row.get(3)?,
                    dead: row.get(4)?,
                    cancelled: row.get(5)?,
                    waited_ms: row.get(6)?,
                    ran_ms: row.get(7)?,
                    waited_most_ms: row.get(8)?,
                    ran_most_ms: row.get(9)?,
                },
            ))
        })?
        .collect()
}

pub(super) const SUM: &str = "
    select sum(done), sum(retried), sum(snoozed), sum(dead), sum(cancelled), sum(waited), sum(ran),
           max(waited_most), max(ran_most)
      from job_minute where kind = ?1 and minute >= ?2 and minute < ?3";

/// All of a kind in the minutes `[from, until)`.
pub fn sum(conn: &Connection, kind: &str, from: i64, until: i64) -> Result<Figures, StoreError> {
    let mut query = conn.prepare_cached(SUM)?;
    let figures = query.query_row((kind, from, until), |row| {
        // Over no row at all a sum is null.
        let of = |at: usize| row.get::<_, Option<i64>>(at).map(Option::unwrap_or_default);
        Ok(Figures {
            done: of(0)?,
            retried: of(1)?,
            snoozed: of(2)?,
            dead: of(3)?,
            cancelled: of(4)?,
            waited_ms: of(5)?,
            ran_ms: of(6)?,
            waited_most_ms: of(7)?,
            ran_most_ms: of(8)?,
        })
    })?;
    Ok(figures)
}

/// Removes the minutes before `before`.
pub fn prune(tx: &Tx<'_>, before: Timestamp) -> Result<usize, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached("delete from job_minute where minute < ?1")?
        .execute([minute_of(before)])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Clock, Store};

    fn ended(kind: &str, how: How, waited_ms: i64, ran_ms: i64) -> Ended {
        Ended {
            kind: kind.into(),
            how,
            waited_ms,
            ran_ms,
        }
    }

    #[tokio::test]
    async fn what_rolls_back_is_not_counted() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Clock::default()).unwrap();
        let good = store.write(|tx| {
            tx.run_ended(ended("a", How::Done, 5, 7));
            tx.run_ended(ended("b", How::Dead, -3, 1));
            Ok::<_, StoreError>(())
        });
        let bad = store.write(|tx| {
            tx.run_ended(ended("a", How::Done, 1_000, 1_000));
            Err::<(), _>(StoreError::Busy)
        });
        let more = store.write(|tx| {
            tx.run_ended(ended("a", How::Retried, 9, 1));
            Ok::<_, StoreError>(())
        });
        let (good, bad, more) = tokio::join!(good, bad, more);
        assert!(good.is_ok() && bad.is_err() && more.is_ok());
        let (a, b) = store
            .read(|conn| {
                Ok::<_, StoreError>((sum(conn, "a", 0, i64::MAX)?, sum(conn, "b", 0, i64::MAX)?))
            })
            .unwrap();
        assert_eq!((a.done, a.retried, a.runs()), (1, 1, 2));
        assert_eq!((a.waited_ms, a.waited_most_ms), (14, 9));
        assert_eq!((a.ran_ms, a.ran_most_ms), (8, 7));
        assert_eq!(a.mean_wait_ms(), Some(7.0));
        assert_eq!((b.dead, b.waited_ms, b.ran_ms), (1, 0, 1));
        store.close().await;
    }
}
