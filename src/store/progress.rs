//! How far long work has come, for the page and the command line.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::{StoreError, Tx, instant, instant_maybe};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Progress {
    pub name: String,
    pub done: i64,
    pub total: i64,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub started_at: Timestamp,
    /// When it was last heard of: long ago, and it broke off without a word.
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub updated_at: Timestamp,
    #[serde(serialize_with = "super::payments::seoul_time_maybe")]
    pub finished_at: Option<Timestamp>,
    /// Why it broke off.
    pub failed: Option<String>,
}

impl Progress {
    /// 0 to 100.
    pub fn percent(&self) -> i64 {
        if self.total <= 0 {
            return if self.finished_at.is_some() { 100 } else { 0 };
        }
        (self.done.clamp(0, self.total) * 100) / self.total
    }
}

/// Begins, or begins anew.
pub fn begin(tx: &Tx<'_>, name: &str, total: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into progress (name, done, total, started_at, updated_at) values (?1, 0, ?2, ?3, ?3)
             on conflict (name) do update set done = 0, total = ?2, started_at = ?3, updated_at = ?3,
                                              finished_at = null, failed = null",
        )?
        .execute((name, total, tx.now_ms()))?;
    Ok(())
}

pub fn step(tx: &Tx<'_>, name: &str, done: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update progress set done = ?2, updated_at = ?3 where name = ?1")?
        .execute((name, done, tx.now_ms()))?;
    Ok(())
}

pub fn end(tx: &Tx<'_>, name: &str, failed: Option<&str>) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update progress set finished_at = ?2, updated_at = ?2, failed = ?3,
                                 done = case when ?3 is null then total else done end
              where name = ?1",
        )?
        .execute((name, tx.now_ms(), failed))?;
    Ok(())
}

pub fn get(conn: &Connection, name: &str) -> Result<Option<Progress>, StoreError> {
    let found = conn
        .prepare_cached(
            "select name, done, total, started_at, finished_at, failed, updated_at from progress where name = ?1",
        )?
        .query_row([name], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
            ))
        })
        .optional()?;
    found
        .map(|(name, done, total, started, finished, failed, updated)| {
            Ok(Progress {
                name,
                done,
                total,
                started_at: instant(started)?,
                finished_at: instant_maybe(finished)?,
                failed,
                updated_at: instant(updated)?,
            })
        })
        .transpose()
}

/// Removes what ended before `before`.
pub fn prune(tx: &Tx<'_>, before: Timestamp) -> Result<usize, StoreError> {
    Ok(tx.conn().execute(
        "delete from progress where finished_at < ?1",
        [before.as_millisecond()],
    )?)
}
