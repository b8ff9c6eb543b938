//! What only one process does at a time, and who works on these books.
//!
//! A lease is taken again and again by its holder; it is anybody's once it is over, or at once when
//! its holder's process is dead. What is done under a lease is safe to do twice all the same: a process
//! may be stopped in the middle for longer than its lease.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::{StoreError, Tx, instant};

/// Who runs the schedules, publishes to RabbitMQ and keeps its dead letters.
pub const KEEPER: &str = "keeper";

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lease {
    pub name: String,
    /// One start of one process.
    pub holder: String,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub since: Timestamp,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub until: Timestamp,
}

pub fn get(conn: &Connection, name: &str) -> Result<Option<Lease>, StoreError> {
    let found = conn
        .prepare_cached("select holder, since, until from lease where name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    found
        .map(|(holder, since, until)| {
            Ok(Lease {
                name: name.to_owned(),
                holder,
                since: instant(since)?,
                until: instant(until)?,
            })
        })
        .transpose()
}

const TAKE: &str = "
    insert into lease (name, holder, since, until) values (?1, ?2, ?3, ?4)
    on conflict (name) do update
       set since = case when holder = excluded.holder and since <= excluded.since then since else excluded.since end,
           holder = excluded.holder, until = excluded.until
     where holder = excluded.holder or until < excluded.since or since > excluded.since or holder = ?5";

/// Takes the lease, or takes it again. False: somebody else has it. `dead` is a holder whose process
/// has ended, as the caller knows; one that was taken under a clock that was ahead does not count.
pub fn take(
    tx: &Tx<'_>,
    name: &str,
    holder: &str,
    lasts: Duration,
    dead: Option<&str>,
) -> Result<bool, StoreError> {
    let until = tx.now_ms() + lasts.as_millis() as i64;
    let taken =
        tx.conn()
            .prepare_cached(TAKE)?
            .execute((name, holder, tx.now_ms(), until, dead))?;
    Ok(taken > 0)
}

/// Lets the lease go, if it is the holder's.
pub fn release(tx: &Tx<'_>, name: &str, holder: &str) -> Result<bool, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached("delete from lease where name = ?1 and holder = ?2")?
        .execute((name, holder))?
        > 0)
}

/// A process that runs jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    pub boot: String,
    /// `serve`, `work`.
    pub role: String,
    pub pid: u32,
    /// `embedded`, `amqp`.
    pub engine: String,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub started_at: Timestamp,
}

pub fn enter(
    tx: &Tx<'_>,
    boot: &str,
    role: &'static str,
    engine: &'static str,
) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into process (boot, role, pid, engine, started_at) values (?1, ?2, ?3, ?4, ?5)
             on conflict (boot) do update set role = ?2, engine = ?4",
        )?
        .execute((boot, role, std::process::id(), engine, tx.now_ms()))?;
    Ok(())
}

pub fn leave(tx: &Tx<'_>, boot: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("delete from process where boot = ?1")?
        .execute([boot])?;
    Ok(())
}

/// All that entered and did not leave, the oldest first. A dead one left without a word: see
/// [`super::Store::is_alive`].
pub fn processes(conn: &Connection) -> Result<Vec<Process>, StoreError> {
    let mut query = conn.prepare_cached(
        "select boot, role, pid, engine, started_at from process order by started_at, boot",
    )?;
    query
        .query_and_then([], |row| {
            Ok(Process {
                boot: row.get(0)?,
                role: row.get(1)?,
                pid: row.get(2)?,
                engine: row.get(3)?,
                started_at: instant(row.get(4)?)?,
            })
        })?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Clock, Store};

    const LASTS: Duration = Duration::from_secs(15);

    async fn take_as(store: &Store, who: &'static str, dead: Option<&'static str>) -> bool {
        store
            .write(move |tx| take(tx, KEEPER, who, LASTS, dead))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_lease_is_one_processs_until_it_is_over_or_its_holder_dead() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::default();
        let store = Store::open(dir.path(), clock.clone()).unwrap();
        assert!(take_as(&store, "a", None).await);
        assert!(!take_as(&store, "b", None).await);
        let first = store.read(|conn| get(conn, KEEPER)).unwrap().unwrap();
        clock.advance(Duration::from_secs(10));
        assert!(take_as(&store, "a", None).await, "taken again");
        let again = store.read(|conn| get(conn, KEEPER)).unwrap().unwrap();
        assert!(again.since == first.since && again.until > first.until);
        assert!(take_as(&store, "b", Some("a")).await, "a is dead");
        assert!(!take_as(&store, "a", None).await);
        clock.advance(Duration::from_secs(16));
        assert!(take_as(&store, "a", None).await, "b's is over");
        // A clock that was ahead and is put right locks nobody out.
        clock.set_back(Duration::from_secs(86_400));
        assert!(take_as(&store, "b", None).await);
        let freed = store.write(|tx| release(tx, KEEPER, "a")).await.unwrap();
        assert!(!freed);
        assert!(store.write(|tx| release(tx, KEEPER, "b")).await.unwrap());
        store.close().await;
    }
}
