//! Episodes: alerts of one subject that are told together.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::{StoreError, Tx, instant, instant_maybe};
use crate::domain::{
    alert::Alert,
    episode::{Episode, Fates, Named},
    money::Won,
};

fn ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

const COLUMNS: &str =
    "opened_at, last_at, alerts, amount, told, told_amount, told_at, summaries, closed_at";

fn read(row: &Row<'_>) -> Result<Episode, StoreError> {
    Ok(Episode {
        opened_at: instant(row.get(0)?)?,
        last_at: instant(row.get(1)?)?,
        alerts: row.get(2)?,
        amount: Won::new(row.get(3)?),
        told: row.get(4)?,
        told_amount: Won::new(row.get(5)?),
        told_at: instant(row.get(6)?)?,
        summaries: row.get(7)?,
        closed_at: instant_maybe(row.get(8)?)?,
    })
}

/// The open episode of a subject: there is one at most.
pub fn open_of(conn: &Connection, subject: &str) -> Result<Option<(i64, Episode)>, StoreError> {
    let sql =
        format!("select {COLUMNS}, id from alert_episode where subject = ?1 and closed_at is null");
    let mut query = conn.prepare_cached(&sql)?;
    let found = query
        .query_row([subject], |row| Ok((row.get(9)?, read(row))))
        .optional()?;
    found.map(|(id, episode)| Ok((id, episode?))).transpose()
}

/// An episode and its subject.
pub fn get(conn: &Connection, id: i64) -> Result<Option<(String, Episode)>, StoreError> {
    let sql = format!("select {COLUMNS}, subject from alert_episode where id = ?1");
    let mut query = conn.prepare_cached(&sql)?;
    let found = query
        .query_row([id], |row| Ok((row.get(9)?, read(row))))
        .optional()?;
    found
        .map(|(subject, episode)| Ok((subject, episode?)))
        .transpose()
}

pub fn add(tx: &Tx<'_>, subject: &str, new: &Episode) -> Result<i64, StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into alert_episode (subject, opened_at, last_at, alerts, amount, told, told_amount, told_at, summaries)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute((
            subject,
            ms(new.opened_at),
            ms(new.last_at),
            new.alerts,
            new.amount.get(),
            new.told,
            new.told_amount.get(),
            ms(new.told_at),
            new.summaries,
        ))?;
    Ok(tx.conn().last_insert_rowid())
}

const PUT: &str = "
    update alert_episode
       set last_at = :last_at, alerts = :alerts, amount = :amount, told = :told, told_amount = :told_amount,
           told_at = :told_at, summaries = :summaries, closed_at = :closed_at
     where id = :id";

pub fn put(tx: &Tx<'_>, id: i64, next: &Episode) -> Result<(), StoreError> {
    tx.conn().prepare_cached(PUT)?.execute(named_params! {
        ":id": id,
        ":last_at": ms(next.last_at),
        ":alerts": next.alerts,
        ":amount": next.amount.get(),
        ":told": next.told,
        ":told_amount": next.told_amount.get(),
        ":told_at": ms(next.told_at),
        ":summaries": next.summaries,
        ":closed_at": next.closed_at.map(ms),
    })?;
    Ok(())
}

/// Closes an episode as it stands, so that the next alert of its subject is told by itself.
pub fn close(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update alert_episode set closed_at = ?2 where id = ?1 and closed_at is null",
        )?
        .execute((id, tx.now_ms()))?;
    Ok(())
}

pub const SPEAKS: &str = "
    select 1 from alert a join job j on j.unique_key = 'alert:' || a.id and j.state in ('ready', 'running')
     where a.episode_id = ?1 and a.role in ('first', 'message') and a.delivered_at is null";

/// Whether a message of the episode is still on its way, as while Slack is down.
pub fn speaks(conn: &Connection, id: i64) -> Result<bool, StoreError> {
    Ok(conn.prepare_cached(SPEAKS)?.exists([id])?)
}

/// However long the episode, a summary looks at a thousand of its alerts: it is made inside a write.
pub const MOST_FREQUENT: &str = "
    select coalesce(body ->> '$.error', body ->> '$.why') as error from (
        select body from alert where episode_id = ?1 and role = 'together' order by id desc limit 1000)
     group by error order by count(*) desc, error limit 1";

/// What most of the episode's newest alerts have to say. The first told itself.
pub fn most_frequent(conn: &Connection, id: i64) -> Result<Option<String>, StoreError> {
    Ok(conn
        .prepare_cached(MOST_FREQUENT)?
        .query_row([id], |row| row.get(0))
        .optional()?
        .flatten())
}

pub const NEWEST: &str = "
    select body from alert where episode_id = ?1 and role = 'together' order by id desc limit ?2";

/// The newest of those that are told together.
pub fn newest(conn: &Connection, id: i64, most: i64) -> Result<Vec<Named>, StoreError> {
    let mut query = conn.prepare_cached(NEWEST)?;
    query
        .query_and_then((id, most), |row| {
            let body: String = row.get(0)?;
            let alert: Alert =
                serde_json::from_str(&body).map_err(|why| StoreError::Unreadable {
                    table: "alert",
                    why: why.to_string(),
                })?;
            Ok(alert.named())
        })?
        .collect()
}

/// Each way to count what became of the alerts of a subject: done, under way, waiting for a person,
/// and how much money that is.
const OF_CANCELLATIONS: &str = "
    select count(*) filter (where state = 'DONE'), count(*) filter (where state = 'REQUESTED'),
           count(*) filter (where state = 'DEAD'), coalesce(sum(amount) filter (where state = 'DEAD'), 0)
      from cancellation where id in (select body ->> '$.cancellation' from alert
                                      where episode_id = ?1 and role in ('first', 'together'))";

const OF_JOBS: &str = "
    select count(*) filter (where state = 'done'), count(*) filter (where state in ('ready', 'running')),
           count(*) filter (where state = 'dead'), 0
      from job where id in (select body ->> '$.job_id' from alert
                             where episode_id = ?1 and role in ('first', 'together'))";

const OF_PAYMENTS: &str = "
    select count(*) filter (where hold is null), 0, count(*) filter (where hold is not null),
           coalesce(sum(amount) filter (where hold is not null), 0)
      from payment where id in (select payment_id from alert
                                 where episode_id = ?1 and role in ('first', 'together'))";

/// Of what nothing but the alert itself knows how it stands.
const OF_ALERTS: &str = "
    select count(*) filter (where resolved_at is not null), 0, count(*) filter (where resolved_at is null), 0
      from alert where episode_id = ?1 and role in ('first', 'together')";

/// What has become of all that the episode was about. Looks at each of its alerts: to be asked beside
/// the writer.
pub fn fates(conn: &Connection, id: i64, subject: &str) -> Result<Fates, StoreError> {
    let sql = match subject {
        "cancel_retrying" | "cancel_dead" => OF_CANCELLATIONS,
        "payment_held" => OF_PAYMENTS,
        _ if subject.starts_with("job_dead:") => OF_JOBS,
        _ => OF_ALERTS,
    };
    Ok(conn.prepare_cached(sql)?.query_row([id], |row| {
        Ok(Fates {
            done: row.get(0)?,
            under_way: row.get(1)?,
            waiting: row.get(2)?,
            waiting_amount: Won::new(row.get(3)?),
        })
    })?)
}
