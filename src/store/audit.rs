//! The audit log: who did what, from where, and what it was before and after.
//!
//! Rows are only added, and each carries the hash of the one before it: to change, drop or slip in
//! one, all that follow would have to be made anew, and then [`head`] is no longer what it was.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{StoreError, Tx, acting::Acting, instant};

/// What the first row stands on.
const GENESIS: &str = "jeongsan";

/// One act, before it is written.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// `payment.cancelled`, `user.added`…
    pub act: &'a str,
    /// `payment:imp_1`, `user:minji`…
    pub subject: &'a str,
    pub before: Option<&'a Value>,
    pub after: Option<&'a Value>,
}

/// One row of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    pub id: i64,
    pub at: Timestamp,
    pub actor: String,
    pub origin: String,
    pub act: String,
    pub subject: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub hash: String,
}

/// Writes what whoever acts in this transaction did. Where the program acts by itself nothing is
/// written: the payment's timeline and the jobs tell that.
pub fn note(tx: &Tx<'_>, act: &Act<'_>) -> Result<(), StoreError> {
    match tx.acting() {
        Some(acting) => add(tx, acting, act),
        None => Ok(()),
    }
}

/// The same for somebody who is not signed in yet, or no longer.
pub fn add(tx: &Tx<'_>, acting: &Acting, act: &Act<'_>) -> Result<(), StoreError> {
    let conn = tx.conn();
    let (id, prev) = last(conn)?;
    let row = Raw {
        id: id + 1,
        at: tx.now_ms(),
        actor: acting.by.to_owned(),
        origin: acting.origin.to_string(),
        act: act.act.to_owned(),
        subject: act.subject.to_owned(),
        before: act.before.map(Value::to_string),
        after: act.after.map(Value::to_string),
        prev,
    };
    conn.prepare_cached(
        "insert into audit (id, at, actor, origin, act, subject, before, after, prev, hash)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute((
        row.id,
        row.at,
        &row.actor,
        &row.origin,
        &row.act,
        &row.subject,
        &row.before,
        &row.after,
        &row.prev,
        row.hash(),
    ))?;
    Ok(())
}

/// A row as its hash sees it.
struct Raw {
    id: i64,
    at: i64,
    actor: String,
    origin: String,
    act: String,
    subject: String,
    before: Option<String>,
    after: Option<String>,
    prev: String,
}

impl Raw {
    /// SHA-256 over all fields, each behind its length: no two rows read the same.
    fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        let (id, at) = (self.id.to_string(), self.at.to_string());
        for field in [
            Some(&self.prev),
            Some(&id),
            Some(&at),
            Some(&self.actor),
            Some(&self.origin),
            Some(&self.act),
            Some(&self.subject),
            self.before.as_ref(),
            self.after.as_ref(),
        ] {
            match field {
                Some(text) => {
                    hasher.update([1]);
                    hasher.update((text.len() as u64).to_be_bytes());
                    hasher.update(text.as_bytes());
                }
                None => hasher.update([0]),
            }
        }
        hex::encode(hasher.finalize())
    }
}

fn last(conn: &Connection) -> Result<(i64, String), StoreError> {
    let last = conn
        .prepare_cached("select id, hash from audit order by id desc limit 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(last.unwrap_or_else(|| (0, GENESIS.to_owned())))
}

/// The number and the hash of the newest row. Noted elsewhere, it tells later that nothing up to it
/// was changed: the end of a chain is the one thing that the chain itself cannot hold fast.
pub fn head(conn: &Connection) -> Result<(i64, String), StoreError> {
    last(conn)
}

/// Reads the whole chain. Gives a sentence for each place where it does not hold.
pub fn check(conn: &Connection) -> Result<Vec<String>, StoreError> {
    let mut broken = Vec::new();
    let mut query = conn.prepare(
        "select id, at, actor, origin, act, subject, before, after, prev, hash from audit order by id",
    )?;
    let mut rows = query.query([])?;
    let mut expected = (1, GENESIS.to_owned());
    while let Some(row) = rows.next()? {
        let raw = Raw {
            id: row.get(0)?,
            at: row.get(1)?,
            actor: row.get(2)?,
            origin: row.get(3)?,
            act: row.get(4)?,
            subject: row.get(5)?,
            before: row.get(6)?,
            after: row.get(7)?,
            prev: row.get(8)?,
        };
        let kept: String = row.get(9)?;
        if raw.id != expected.0 {
            broken.push(format!(
                "audit log: row {} is missing before row {}",
                expected.0, raw.id
            ));
        }
        if raw.prev != expected.1 {
            broken.push(format!(
                "audit log: row {} does not follow from the one before it",
                raw.id
            ));
        }
        if raw.hash() != kept {
            broken.push(format!(
                "audit log: row {} was changed after it was written",
                raw.id
            ));
        }
        expected = (raw.id + 1, kept);
    }
    Ok(broken)
}

/// Whether a row that was the newest once (see [`head`]) is still there as it was.
pub fn holds(conn: &Connection, hash: &str) -> Result<bool, StoreError> {
    Ok(conn
        .prepare("select 1 from audit where hash = ?1")?
        .exists([hash])?)
}

/// Which rows to show.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub actor: Option<String>,
    /// An act, or what acts begin with: `payout.`.
    pub act: Option<String>,
    pub subject: Option<String>,
    pub from: Option<Timestamp>,
    /// Up to and without.
    pub to: Option<Timestamp>,
    /// Below this number.
    pub before: Option<i64>,
}

/// Rows, newest first.
pub fn list(conn: &Connection, filter: &Filter, limit: usize) -> Result<Vec<Line>, StoreError> {
    let mut query = conn.prepare_cached(
        "select id, at, actor, origin, act, subject, before, after, hash from audit
          where id < ?1
            and (?2 is null or actor = ?2)
            and (?3 is null or act >= ?3 and act < ?3 || char(1114111))
            and (?4 is null or subject = ?4)
            and (?5 is null or at >= ?5)
            and (?6 is null or at < ?6)
          order by id desc limit ?7",
    )?;
    let mut rows = query.query((
        filter.before.unwrap_or(i64::MAX),
        &filter.actor,
        &filter.act,
        &filter.subject,
        filter.from.map(Timestamp::as_millisecond),
        filter.to.map(Timestamp::as_millisecond),
        limit as i64,
    ))?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        lines.push(line(row)?);
    }
    Ok(lines)
}

fn line(row: &Row<'_>) -> Result<Line, StoreError> {
    let json = |text: Option<String>| -> Result<Option<Value>, StoreError> {
        text.map(|text| {
            serde_json::from_str(&text).map_err(|why| StoreError::Unreadable {
                table: "audit",
                why: why.to_string(),
            })
        })
        .transpose()
    };
    Ok(Line {
        id: row.get(0)?,
        at: instant(row.get(1)?)?,
        actor: row.get(2)?,
        origin: row.get(3)?,
        act: row.get(4)?,
        subject: row.get(5)?,
        before: json(row.get(6)?)?,
        after: json(row.get(7)?)?,
        hash: row.get(8)?,
    })
}
