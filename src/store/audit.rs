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
                "audit log: row {} does not build on the one before it",
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
    /// An act, or with a dot at its end all of a group: `payout.`.
    pub act: Option<String>,
    pub subject: Option<String>,
    pub from: Option<Timestamp>,
    /// Up to and without.
    pub to: Option<Timestamp>,
    /// Below this number.
    pub before: Option<i64>,
}

/// Rows, newest first, and below which number to go on.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub lines: Vec<Line>,
    pub next: Option<i64>,
}

/// Rows of an index that one page looks through at most, where more than one thing is asked for. A page
/// may then hold fewer than there are, and says where to go on.
const LOOKED_THROUGH: i64 = 5_000;

macro_rules! rows_by {
    ($first:literal) => {
        concat!(
            "select id, at, actor, origin, act, subject, before, after, hash from (
                select * from audit where ",
            $first,
            " and id >= :low and id < :high order by id desc limit :through + 0)
              where (:actor is null or actor = :actor)
                and (:group is null or act >= :group and act < :group || char(1114111))
              order by id desc limit :most + 0"
        )
    };
}

/// The narrowest index that fits comes first; what is left is looked for among its rows.
const BY_SUBJECT: &str = rows_by!("subject = :key");
const BY_ACT: &str = rows_by!("act = :key");
const BY_ACTOR: &str = rows_by!("actor = :key");
const BY_TIME: &str = rows_by!(":key is null");

/// The `n`-th number of rows below which a query was cut, by the same index.
macro_rules! floor_by {
    ($first:literal) => {
        concat!(
            "select id from audit where ",
            $first,
            " and id >= :low and id < :high order by id desc limit 1 offset :through"
        )
    };
}

const FLOOR_BY_SUBJECT: &str = floor_by!("subject = :key");
const FLOOR_BY_ACT: &str = floor_by!("act = :key");
const FLOOR_BY_ACTOR: &str = floor_by!("actor = :key");

/// Rows, newest first. Reads by an index, and never more than a page needs or [`LOOKED_THROUGH`].
pub fn list(conn: &Connection, filter: &Filter, most: usize) -> Result<Page, StoreError> {
    let low = match filter.from {
        Some(from) => first_at(conn, from.as_millisecond())?,
        None => 0,
    };
    let mut high = match filter.to {
        Some(to) => first_at(conn, to.as_millisecond())?,
        None => i64::MAX,
    };
    high = high.min(filter.before.unwrap_or(i64::MAX));
    let span = (low, high, most);
    let actor = filter.actor.as_deref();
    let (group, exact) = match filter.act.as_deref() {
        Some(act) if act.ends_with('.') => (Some(act), None),
        other => (None, other),
    };
    if let Some(subject) = &filter.subject {
        let part = exact.or(group);
        let mut page = driven(
            conn,
            [BY_SUBJECT, FLOOR_BY_SUBJECT],
            Some(subject),
            actor,
            part,
            span,
        )?;
        if let Some(exact) = exact {
            // Among one subject's rows an act is looked for by its beginning.
            page.lines.retain(|line| line.act == exact);
        }
        return Ok(page);
    }
    match (exact, group, actor) {
        (Some(act), _, _) => driven(conn, [BY_ACT, FLOOR_BY_ACT], Some(act), actor, None, span),
        (None, Some(group), Some(by)) => driven(
            conn,
            [BY_ACTOR, FLOOR_BY_ACTOR],
            Some(by),
            None,
            Some(group),
            span,
        ),
        (None, Some(group), None) => {
            let mut all = Vec::new();
            for act in acts(conn)?.iter().filter(|act| act.starts_with(group)) {
                let sql = [BY_ACT, FLOOR_BY_ACT];
                all.extend(driven(conn, sql, Some(act), None, None, span)?.lines);
            }
            all.sort_by_key(|line| std::cmp::Reverse(line.id));
            all.truncate(most);
            Ok(paged(all, most, None))
        }
        (None, None, Some(by)) => {
            driven(conn, [BY_ACTOR, FLOOR_BY_ACTOR], Some(by), None, None, span)
        }
        (None, None, None) => driven(conn, [BY_TIME, ""], None, None, None, span),
    }
}

fn driven(
    conn: &Connection,
    [rows, floor]: [&str; 2],
    key: Option<&str>,
    actor: Option<&str>,
    group: Option<&str>,
    (low, high, most): (i64, i64, usize),
) -> Result<Page, StoreError> {
    let sifted = actor.is_some() || group.is_some();
    let through = if sifted { LOOKED_THROUGH } else { most as i64 };
    let mut query = conn.prepare_cached(rows)?;
    let mut found = query.query(rusqlite::named_params! {
        ":key": key, ":actor": actor, ":group": group,
        ":low": low, ":high": high, ":through": through, ":most": most as i64,
    })?;
    let mut lines = Vec::new();
    while let Some(row) = found.next()? {
        lines.push(line(row)?);
    }
    let mut cut = None;
    if sifted && lines.len() < most {
        // The last row that was looked at, if there are more behind it.
        cut = conn
            .prepare_cached(floor)?
            .query_row(
                rusqlite::named_params! {
                    ":key": key, ":low": low, ":high": high, ":through": through - 1,
                },
                |row| row.get(0),
            )
            .optional()?;
    }
    Ok(paged(lines, most, cut))
}

fn paged(lines: Vec<Line>, most: usize, cut: Option<i64>) -> Page {
    let last = lines.last().filter(|_| lines.len() >= most);
    let next = last.map(|line| line.id).or(cut);
    Page { lines, next }
}

/// The number of the first row that is not older. Numbers follow the time, so halving finds it.
fn first_at(conn: &Connection, at: i64) -> Result<i64, StoreError> {
    let mut query = conn.prepare_cached("select at from audit where id = ?1")?;
    let (mut low, mut high) = (1, last(conn)?.0 + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let there: Option<i64> = query.query_row([middle], |row| row.get(0)).optional()?;
        // A row that is missing is for `check` to tell.
        match there {
            Some(there) if there < at => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Every act that there is, by one step through the index for each.
pub fn acts(conn: &Connection) -> Result<Vec<String>, StoreError> {
    distinct(
        conn,
        "with recursive known (name) as (
            select min(act) from audit
            union all
            select (select min(act) from audit where act > known.name) from known where known.name is not null
         ) select name from known where name is not null limit 300",
    )
}

/// Everybody who did something, the same way.
pub fn actors(conn: &Connection) -> Result<Vec<String>, StoreError> {
    distinct(
        conn,
        "with recursive known (name) as (
            select min(actor) from audit
            union all
            select (select min(actor) from audit where actor > known.name) from known where known.name is not null
         ) select name from known where name is not null limit 300",
    )
}

fn distinct(conn: &Connection, sql: &str) -> Result<Vec<String>, StoreError> {
    let mut query = conn.prepare_cached(sql)?;
    Ok(query
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
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
