//! Jobs as people look for them: by kind and state, by what they are about, and the figures above.
//!
//! Each state has an index of its own, and an order in which a person wants to see it. A list of several
//! states is one after the other, so every page of it is cut out of an index, whatever lies behind.

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use rusqlite::{Connection, ToSql, named_params};
use serde::Serialize;

use super::{
    StoreError,
    job_minutes::{self, Figures},
    jobs::{self, Depth, JobRow, Pause, ROW, row},
};
use crate::domain::{
    calendar::KstDay,
    job::{Job, JobState, Queue},
};

/// How a job stands, as people tell it: what is ready may be due, put off, or failed and put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stand {
    Running,
    Dead,
    Waiting,
    Retrying,
    Scheduled,
    Done,
    Cancelled,
}

impl Stand {
    /// In the order in which a list of all shows them: first what somebody may have to look at.
    pub const ALL: [Stand; 7] = [
        Stand::Running,
        Stand::Dead,
        Stand::Waiting,
        Stand::Retrying,
        Stand::Scheduled,
        Stand::Done,
        Stand::Cancelled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Stand::Running => "running",
            Stand::Dead => "dead",
            Stand::Waiting => "waiting",
            Stand::Retrying => "retrying",
            Stand::Scheduled => "scheduled",
            Stand::Done => "done",
            Stand::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Stand> {
        Stand::ALL.into_iter().find(|stand| stand.as_str() == text)
    }

    /// How a row stands now. `None` for a state that this version does not know.
    pub fn of(row: &JobRow, now: Timestamp) -> Option<Stand> {
        Some(match JobState::parse(&row.state)? {
            JobState::Ready if row.run_at <= now => Stand::Waiting,
            JobState::Ready if row.attempt > 0 || row.last_error.is_some() => Stand::Retrying,
            JobState::Ready => Stand::Scheduled,
            JobState::Running => Stand::Running,
            JobState::Dead => Stand::Dead,
            JobState::Done => Stand::Done,
            JobState::Cancelled => Stand::Cancelled,
        })
    }

    fn is_ready(self) -> bool {
        matches!(self, Stand::Waiting | Stand::Retrying | Stand::Scheduled)
    }
}

/// What a list is cut by. All of it together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub kind: Option<String>,
    pub stand: Option<Stand>,
}

/// Where a page ended: the next begins behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    stand: Stand,
    /// Of those that are ready: whether a message stands for it. They lie in a stretch of their own.
    sent: bool,
    at: i64,
    then: i64,
    id: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cursor {
            stand,
            sent,
            at,
            then,
            id,
        } = self;
        let sent = u8::from(*sent);
        write!(f, "{}.{sent}.{at}.{then}.{id}", stand.as_str())
    }
}

impl Cursor {
    pub fn parse(text: &str) -> Option<Cursor> {
        let mut parts = text.split('.');
        let cursor = Cursor {
            stand: Stand::parse(parts.next()?)?,
            sent: parts.next()? == "1",
            at: parts.next()?.parse().ok()?,
            then: parts.next()?.parse().ok()?,
            id: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(cursor)
    }

    /// What is due longest comes first of those that wait, what ended last of those that ended.
    fn of(stand: Stand, sent: bool, row: &JobRow) -> Cursor {
        let run_at = row.run_at.as_millisecond();
        let (at, then) = match stand {
            Stand::Running | Stand::Dead => (0, 0),
            Stand::Done | Stand::Cancelled => {
                (row.finished_at.map_or(0, Timestamp::as_millisecond), 0)
            }
            Stand::Waiting | Stand::Retrying | Stand::Scheduled => match row.published_at {
                Some(published) if sent => (published.as_millisecond(), run_at),
                _ => (run_at, 0),
            },
        };
        Cursor {
            stand,
            sent,
            at,
            then,
            id: row.id,
        }
    }
}

/// A page of jobs.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    pub rows: Vec<JobRow>,
    pub next: Option<Cursor>,
}

pub(super) fn running_sql() -> String {
    format!(
        "select {ROW} from job indexed by job_running
          where state = 'running' and lease_until > 0 and (:kind is null or kind = :kind) and id < :id
          order by id desc limit :most + 0"
    )
}

/// Dead letters of all kinds that a filter means.
const DEAD: &str = "
      from job where state = 'dead' and id < :id
       and (:since is null or finished_at >= :since) and (:until is null or finished_at < :until)
       and (:error is null or instr(lower(coalesce(last_error, '')), :error) > 0)";

/// The same of one kind.
const DEAD_OF_KIND: &str = "
      from job where state = 'dead' and kind = :kind and id < :id
       and (:since is null or finished_at >= :since) and (:until is null or finished_at < :until)
       and (:error is null or instr(lower(coalesce(last_error, '')), :error) > 0)";

pub(super) fn dead_sql(of_kind: bool) -> String {
    match of_kind {
        true => format!("select {ROW} {DEAD_OF_KIND} order by id desc limit :most + 0"),
        false => format!("select {ROW} {DEAD} order by id desc limit :most + 0"),
    }
}

pub(super) fn oldest_dead_sql(of_kind: bool) -> String {
    match of_kind {
        true => format!("select {ROW} {DEAD_OF_KIND} order by id limit :most + 0"),
        false => format!("select {ROW} {DEAD} order by id limit :most + 0"),
    }
}

pub(super) fn count_dead_sql(of_kind: bool) -> String {
    match of_kind {
        true => format!("select count(*) from (select 1 {DEAD_OF_KIND} limit :most + 0)"),
        false => format!("select count(*) from (select 1 {DEAD} limit :most + 0)"),
    }
}

/// Those for which no message stands, soonest first.
pub(super) fn ready_sql() -> String {
    format!(
        "select {ROW} from job
          where state = 'ready' and queue = :queue and kind = :kind and published_at is null
            and run_at >= :at and run_at <= :high and (run_at > :at or id > :id)
            and (:tried is null or (attempt > 0 or last_error is not null) = :tried)
          order by run_at, id limit :most + 0"
    )
}

/// Those for which a message stands, in the order in which they were sent.
pub(super) fn sent_sql() -> String {
    format!(
        "select {ROW} from job
          where state = 'ready' and queue = :queue and kind = :kind and published_at >= :at
            and (published_at, run_at, id) > (:at, :then, :id)
            and run_at >= :low and run_at <= :high
            and (:tried is null or (attempt > 0 or last_error is not null) = :tried)
          order by published_at, run_at, id limit :most + 0"
    )
}

pub(super) fn done_sql() -> String {
    format!(
        "select {ROW} from job where state = 'done' and kind = :kind and finished_at <= :at
            and (finished_at < :at or id < :id)
          order by finished_at desc, id desc limit :most + 0"
    )
}

pub(super) fn cancelled_sql() -> String {
    format!(
        "select {ROW} from job where state = 'cancelled' and kind = :kind and finished_at <= :at
            and (finished_at < :at or id < :id)
          order by finished_at desc, id desc limit :most + 0"
    )
}

pub(super) const NEXT_DEAD: &str = "select min(kind) from job where state = 'dead' and kind > ?1";
pub(super) const NEXT_DONE: &str = "select min(kind) from job where state = 'done' and kind > ?1";
pub(super) const NEXT_CANCELLED: &str =
    "select min(kind) from job where state = 'cancelled' and kind > ?1";
pub(super) const NEXT_COUNTED: &str = "select min(kind) from job_minute where kind > ?1";

/// The kinds that an index holds: a step of it per kind, however much lies between.
fn kinds_by(conn: &Connection, next_kind: &str) -> Result<Vec<String>, StoreError> {
    let mut kinds: Vec<String> = Vec::new();
    let mut query = conn.prepare_cached(next_kind)?;
    loop {
        let last = kinds.last().map_or("", String::as_str);
        match query.query_row([last], |row| row.get::<_, Option<String>>(0))? {
            Some(kind) => kinds.push(kind),
            None => return Ok(kinds),
        }
    }
}

/// One page: the jobs that fit, behind `after`.
pub fn list(
    conn: &Connection,
    filter: &Filter,
    now: Timestamp,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Listed, StoreError> {
    let now_ms = now.as_millisecond();
    let parts = Stand::ALL
        .into_iter()
        .filter(|stand| filter.stand.is_none_or(|only| only == *stand))
        .flat_map(|stand| {
            let sent = stand.is_ready().then_some((stand, true));
            std::iter::once((stand, false)).chain(sent)
        })
        .filter(|part| after.is_none_or(|after| *part >= (after.stand, after.sent)));
    let mut found: Vec<(Cursor, JobRow)> = Vec::new();
    for (stand, sent) in parts {
        let most = limit + 1 - found.len();
        let behind = after.filter(|after| (after.stand, after.sent) == (stand, sent));
        let rows = part(conn, filter, stand, sent, now_ms, behind, most)?;
        found.extend(
            rows.into_iter()
                .map(|row| (Cursor::of(stand, sent, &row), row)),
        );
        if found.len() > limit {
            break;
        }
    }
    let more = found.len() > limit;
    found.truncate(limit);
    Ok(Listed {
        next: found.last().filter(|_| more).map(|(cursor, _)| *cursor),
        rows: found.into_iter().map(|(_, row)| row).collect(),
    })
}

/// Of one state, in its order, at most `most`.
fn part(
    conn: &Connection,
    filter: &Filter,
    stand: Stand,
    sent: bool,
    now_ms: i64,
    behind: Option<Cursor>,
    most: usize,
) -> Result<Vec<JobRow>, StoreError> {
    let kind = filter.kind.as_deref();
    let wanted = |of: &String| kind.is_none_or(|kind| kind == of);
    let most_rows = most as i64;
    let mut found: Vec<JobRow> = Vec::new();
    match stand {
        Stand::Running => {
            let mut query = conn.prepare_cached(&running_sql())?;
            let id = behind.map_or(i64::MAX, |behind| behind.id);
            let rows = query.query_and_then(
                named_params! { ":kind": kind, ":id": id, ":most": most_rows },
                row,
            )?;
            return rows.collect();
        }
        Stand::Dead => {
            let of = DeadFilter {
                kind: filter.kind.clone(),
                ..DeadFilter::default()
            };
            return dead(conn, &of, behind.map(|behind| behind.id), most);
        }
        Stand::Waiting | Stand::Retrying | Stand::Scheduled => {
            let (low, high) = match stand {
                Stand::Waiting => (i64::MIN, now_ms),
                _ => (now_ms + 1, i64::MAX),
            };
            let tried = match stand {
                Stand::Retrying => Some(true),
                Stand::Scheduled => Some(false),
                _ => None,
            };
            for queue in Queue::ALL {
                let kinds = jobs::waiting_kinds(conn, queue)?;
                for kind in kinds.iter().filter(|kind| wanted(kind)) {
                    let at = behind.map(|behind| behind.at);
                    let id = behind.map_or(-1, |behind| behind.id);
                    if sent {
                        let mut query = conn.prepare_cached(&sent_sql())?;
                        let rows = query.query_and_then(
                            named_params! {
                                ":queue": queue.as_str(), ":kind": kind, ":low": low, ":high": high,
                                ":at": at.unwrap_or(i64::MIN), ":id": id,
                                ":then": behind.map_or(i64::MIN, |behind| behind.then),
                                ":tried": tried, ":most": most_rows,
                            },
                            row,
                        )?;
                        found.extend(rows.collect::<Result<Vec<_>, _>>()?);
                    } else {
                        let mut query = conn.prepare_cached(&ready_sql())?;
                        let rows = query.query_and_then(
                            named_params! {
                                ":queue": queue.as_str(), ":kind": kind, ":high": high,
                                ":at": at.unwrap_or(low).max(low), ":id": id,
                                ":tried": tried, ":most": most_rows,
                            },
                            row,
                        )?;
                        found.extend(rows.collect::<Result<Vec<_>, _>>()?);
                    }
                }
            }
            let key = |row: &JobRow| {
                let cursor = Cursor::of(stand, sent, row);
                (cursor.at, cursor.then, cursor.id)
            };
            found.sort_by_key(key);
        }
        Stand::Done | Stand::Cancelled => {
            let (next_kind, sql) = match stand {
                Stand::Done => (NEXT_DONE, done_sql()),
                _ => (NEXT_CANCELLED, cancelled_sql()),
            };
            let kinds = kinds_by(conn, next_kind)?;
            for kind in kinds.iter().filter(|kind| wanted(kind)) {
                let mut query = conn.prepare_cached(&sql)?;
                let rows = query.query_and_then(
                    named_params! {
                        ":kind": kind,
                        ":at": behind.map_or(i64::MAX, |behind| behind.at),
                        ":id": behind.map_or(i64::MAX, |behind| behind.id),
                        ":most": most_rows,
                    },
                    row,
                )?;
                found.extend(rows.collect::<Result<Vec<_>, _>>()?);
            }
            found.sort_by_key(|row| std::cmp::Reverse((row.finished_at, row.id)));
        }
    }
    found.truncate(most);
    Ok(found)
}

/// Which dead letters are meant. All of it together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeadFilter {
    pub kind: Option<String>,
    /// A part of what the last run said.
    pub error: Option<String>,
    /// Dead since then or later.
    pub since: Option<Timestamp>,
    /// Dead before then.
    pub until: Option<Timestamp>,
}

/// Binds what a filter of dead letters holds and gives it to `then`.
fn meant<T>(
    filter: &DeadFilter,
    before: Option<i64>,
    most: usize,
    then: impl FnOnce(&[(&str, &dyn ToSql)]) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let id = before.unwrap_or(i64::MAX);
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let since = filter.since.map(Timestamp::as_millisecond);
    let until = filter.until.map(Timestamp::as_millisecond);
    let error = filter
        .error
        .as_ref()
        .map(|error| error.to_ascii_lowercase());
    let mut values: Vec<(&str, &dyn ToSql)> = vec![
        (":id", &id),
        (":since", &since),
        (":until", &until),
        (":error", &error),
        (":most", &most),
    ];
    if filter.kind.is_some() {
        values.push((":kind", &filter.kind));
    }
    then(&values)
}

/// The dead letters that are meant, newest first, below `before`.
pub fn dead(
    conn: &Connection,
    filter: &DeadFilter,
    before: Option<i64>,
    most: usize,
) -> Result<Vec<JobRow>, StoreError> {
    meant(filter, before, most, |values| {
        let mut query = conn.prepare_cached(&dead_sql(filter.kind.is_some()))?;
        query.query_and_then(values, row)?.collect()
    })
}

/// The oldest of those that are meant, still newest first.
pub fn oldest_dead(
    conn: &Connection,
    filter: &DeadFilter,
    most: usize,
) -> Result<Vec<JobRow>, StoreError> {
    meant(filter, None, most, |values| {
        let mut query = conn.prepare_cached(&oldest_dead_sql(filter.kind.is_some()))?;
        let rows: Result<Vec<_>, _> = query.query_and_then(values, row)?.collect();
        rows.map(|mut rows| {
            rows.reverse();
            rows
        })
    })
}

/// How many are meant; nobody counts further than `most`.
pub fn count_dead(
    conn: &Connection,
    filter: &DeadFilter,
    most: usize,
) -> Result<usize, StoreError> {
    meant(filter, None, most, |values| {
        let mut query = conn.prepare_cached(&count_dead_sql(filter.kind.is_some()))?;
        let count: i64 = query.query_row(values, |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    })
}

/// A search shows the newest so many, and says if there are more.
pub const MOST_FOUND: usize = 100;

/// Of what is put off, as much is searched for words of an error.
const MOST_READ: i64 = 5_000;

pub(super) const OF_MESSAGES: &str = "select job_id from inbox where imp_uid = ?1 and job_id is not null order by id desc limit ?2 + 0";
pub(super) const OF_CANCELS: &str = "
    select c.job_id from payment p join cancellation c on c.payment_id = p.id
     where p.imp_uid = ?1 and c.job_id is not null limit ?2 + 0";
pub(super) const OF_ORDER: &str =
    "select imp_uid from payment where merchant_uid = ?1 limit ?2 + 0";
pub(super) const OF_CANCELLATION: &str =
    "select job_id from cancellation where id = ?1 and job_id is not null";

pub(super) fn failed_sql() -> String {
    format!(
        "select * from (select {ROW} from job
                         where state = 'ready' and queue = :queue and kind = :kind and published_at is null
                           and run_at > :now order by run_at, id limit :read + 0)
          where instr(lower(coalesce(last_error, '')), :error) > 0"
    )
}

pub(super) fn failed_sent_sql() -> String {
    format!(
        "select * from (select {ROW} from job
                         where state = 'ready' and queue = :queue and kind = :kind and published_at > 0
                         limit :read + 0)
          where run_at > :now and instr(lower(coalesce(last_error, '')), :error) > 0"
    )
}

/// Jobs that have to do with `text`: a job's number or key, a payment's, an order's or a cancellation's
/// id, or words of an error of one that is dead or put off. Newest first; one more than
/// [`MOST_FOUND`] if there are more.
///
/// Jobs of orders' registration are found by the order while they are live or dead: afterwards
/// nothing leads from the order to them.
pub fn find(
    conn: &Connection,
    filter: &Filter,
    text: &str,
    now: Timestamp,
) -> Result<Vec<JobRow>, StoreError> {
    let most = MOST_FOUND as i64 + 1;
    let mut ids: BTreeSet<i64> = BTreeSet::new();
    ids.extend(text.trim_start_matches('#').parse::<i64>().ok());
    let mut payments = vec![text.to_owned()];
    payments.extend(strings(conn, OF_ORDER, text, most)?);
    for imp_uid in &payments {
        for sql in [OF_MESSAGES, OF_CANCELS] {
            let mut query = conn.prepare_cached(sql)?;
            for id in query.query_map((imp_uid, most), |row| row.get::<_, i64>(0))? {
                ids.insert(id?);
            }
        }
    }
    let mut query = conn.prepare_cached(OF_CANCELLATION)?;
    for id in query.query_map([text], |row| row.get::<_, i64>(0))? {
        ids.insert(id?);
    }
    for key in [text.to_owned(), format!("prepare:{text}")] {
        for state in [JobState::Ready, JobState::Dead] {
            ids.extend(jobs::with_key(conn, &key, state)?);
        }
    }
    let mut found = Vec::new();
    for id in ids {
        found.extend(jobs::get(conn, id)?);
    }
    let failed = DeadFilter {
        kind: filter.kind.clone(),
        error: Some(text.to_owned()),
        ..DeadFilter::default()
    };
    found.extend(dead(conn, &failed, None, MOST_FOUND + 1)?);
    found.extend(failed_later(conn, filter, text, now)?);
    found.retain(|row| {
        filter.kind.as_ref().is_none_or(|kind| *kind == row.kind)
            && filter
                .stand
                .is_none_or(|stand| Stand::of(row, now) == Some(stand))
    });
    found.sort_by_key(|row| std::cmp::Reverse(row.id));
    found.dedup_by_key(|row| row.id);
    found.truncate(MOST_FOUND + 1);
    Ok(found)
}

fn strings(conn: &Connection, sql: &str, text: &str, most: i64) -> Result<Vec<String>, StoreError> {
    let mut query = conn.prepare_cached(sql)?;
    let rows = query.query_map((text, most), |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Jobs that failed with these words and are put off.
fn failed_later(
    conn: &Connection,
    filter: &Filter,
    text: &str,
    now: Timestamp,
) -> Result<Vec<JobRow>, StoreError> {
    let mut found = Vec::new();
    let error = text.to_ascii_lowercase();
    for queue in Queue::ALL {
        for kind in jobs::waiting_kinds(conn, queue)? {
            if filter.kind.as_ref().is_some_and(|only| *only != kind) {
                continue;
            }
            for sql in [failed_sql(), failed_sent_sql()] {
                let mut query = conn.prepare_cached(&sql)?;
                let rows = query.query_and_then(
                    named_params! {
                        ":queue": queue.as_str(), ":kind": kind, ":now": now.as_millisecond(),
                        ":read": MOST_READ, ":error": error,
                    },
                    row,
                )?;
                found.extend(rows.collect::<Result<Vec<_>, _>>()?);
            }
        }
    }
    Ok(found)
}

/// Minutes that are drawn.
pub const MINUTES: i64 = 60;

/// How one kind stands and went.
#[derive(Clone, Debug, Serialize)]
pub struct KindStand {
    #[serde(flatten)]
    pub depth: Depth,
    /// Whether this version can run it.
    pub known: bool,
    pub paused: Option<Pause>,
    /// Since midnight in Seoul.
    pub today: Figures,
    /// The last [`MINUTES`] minutes, this one included.
    pub last_hour: Figures,
    /// Those of them in which anything ran.
    pub minutes: Vec<(i64, Figures)>,
}

/// Every kind, those of which nothing is left included.
pub fn kinds(conn: &Connection, now: Timestamp) -> Result<Vec<KindStand>, StoreError> {
    let mut depths = jobs::depths(conn, now.as_millisecond())?;
    let mut pauses = jobs::pauses(conn)?;
    let known = Job::KINDS.map(str::to_owned);
    let mut names: Vec<String> = known.to_vec();
    let others: BTreeSet<String> = depths
        .iter()
        .map(|depth| depth.kind.clone())
        .chain(pauses.iter().map(|pause| pause.kind.clone()))
        .chain(kinds_by(conn, NEXT_COUNTED)?)
        .filter(|kind| !known.contains(kind))
        .collect();
    names.extend(others);
    let midnight = job_minutes::minute_of(KstDay::of(now).start());
    let next = job_minutes::minute_of(now) + 1;
    names
        .into_iter()
        .map(|kind| {
            let take = depths.iter().position(|depth| depth.kind == kind);
            let depth = take.map(|at| depths.swap_remove(at));
            let pause = pauses.iter().position(|pause| pause.kind == kind);
            let minutes = job_minutes::minutes(conn, &kind, next - MINUTES, next)?;
            Ok(KindStand {
                known: known.contains(&kind),
                paused: pause.map(|at| pauses.swap_remove(at)),
                today: job_minutes::sum(conn, &kind, midnight, next)?,
                last_hour: Figures::of(minutes.iter().map(|(_, figures)| figures)),
                minutes,
                depth: depth.unwrap_or(Depth {
                    kind,
                    ..Depth::default()
                }),
            })
        })
        .collect()
}

/// Whether anything is known of a kind: that it can be run here, or that it was ever seen.
pub fn is_kind(conn: &Connection, kind: &str) -> Result<bool, StoreError> {
    if Job::KINDS.contains(&kind) {
        return Ok(true);
    }
    let now = i64::MAX;
    let lives = jobs::depths(conn, now)?
        .iter()
        .any(|depth| depth.kind == kind);
    let paused = jobs::pauses(conn)?.iter().any(|pause| pause.kind == kind);
    Ok(lives || paused || kinds_by(conn, NEXT_COUNTED)?.iter().any(|of| of == kind))
}
