//! Which slots of a schedule have run: one row per slot, by primary key, whoever asks.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{StoreError, Tx, instant, instant_maybe};

/// The last slot that was dealt with; `None` for a schedule that never ran.
pub fn last_slot(conn: &Connection, name: &str) -> Result<Option<Timestamp>, StoreError> {
    let ms: Option<i64> = conn
        .prepare_cached("select last_slot from schedule where name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    instant_maybe(ms)
}

/// Claims a slot. False if somebody had it before.
pub fn claim(
    tx: &Tx<'_>,
    name: &str,
    slot: Timestamp,
    job: Option<i64>,
) -> Result<bool, StoreError> {
    let claimed = tx
        .conn()
        .prepare_cached(
            "insert into schedule_run (name, slot, job_id, skipped) values (?1, ?2, ?3, ?4)
             on conflict do nothing",
        )?
        .execute((name, slot.as_millisecond(), job, job.is_none()))?;
    advance(tx, name, slot)?;
    Ok(claimed == 1)
}

/// Moves a schedule on without running it: at its first start.
pub fn advance(tx: &Tx<'_>, name: &str, slot: Timestamp) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into schedule (name, last_slot) values (?1, ?2)
             on conflict (name) do update set last_slot = max(last_slot, excluded.last_slot)",
        )?
        .execute((name, slot.as_millisecond()))?;
    Ok(())
}

/// Sets a schedule back: the clock that moved it on was wrong.
pub fn set_back(tx: &Tx<'_>, name: &str, to: Timestamp) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update schedule set last_slot = ?2 where name = ?1 and last_slot > ?2")?
        .execute((name, to.as_millisecond()))?;
    Ok(())
}

/// Up to which instant the newest sweep went. Not the latest of all sweeps: one that ran under a
/// clock that was ahead would hide all that comes until then.
pub fn swept_until(conn: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let ms: Option<i64> = conn
        .prepare_cached("select until_at from sweep order by id desc limit 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    instant_maybe(ms)
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Swept {
    pub from: Timestamp,
    pub until: Timestamp,
    pub finished: Timestamp,
    pub read: i64,
    pub booked: i64,
}

pub fn add_sweep(
    tx: &Tx<'_>,
    from: Timestamp,
    until: Timestamp,
    read: i64,
    booked: i64,
) -> Result<(), StoreError> {
    tx.conn().execute(
        "insert into sweep (from_at, until_at, finished_at, read, booked) values (?1, ?2, ?3, ?4, ?5)",
        (from.as_millisecond(), until.as_millisecond(), tx.now_ms(), read, booked),
    )?;
    // The newest thousand tell enough.
    tx.conn().execute(
        "delete from sweep where id <= (select max(id) from sweep) - 1000",
        [],
    )?;
    Ok(())
}

pub fn last_sweep(conn: &Connection) -> Result<Option<Swept>, StoreError> {
    let mut query = conn.prepare_cached(
        "select from_at, until_at, finished_at, read, booked from sweep order by id desc limit 1",
    )?;
    let mut rows = query.query_and_then([], |row| {
        Ok(Swept {
            from: instant(row.get(0)?)?,
            until: instant(row.get(1)?)?,
            finished: instant(row.get(2)?)?,
            read: row.get(3)?,
            booked: row.get(4)?,
        })
    })?;
    rows.next().transpose()
}

/// Removes rows of slots older than `before`.
pub fn prune(tx: &Tx<'_>, before: Timestamp) -> Result<usize, StoreError> {
    Ok(tx.conn().execute(
        "delete from schedule_run where slot < ?1",
        [before.as_millisecond()],
    )?)
}
