//! Days that the operator knows better than the rules.

use rusqlite::Connection;

use super::{StoreError, Tx, movements::day};
use crate::domain::{
    calendar::KstDay,
    holidays::{BusinessCalendar, Special},
};

pub fn specials(conn: &Connection) -> Result<Vec<Special>, StoreError> {
    let mut query = conn.prepare_cached("select day, name, off from special_day order by day")?;
    query
        .query_and_then([], |row| {
            Ok(Special {
                day: day(row, 0)?,
                name: row.get(1)?,
                off: row.get(2)?,
            })
        })?
        .collect()
}

/// The rules and the operator's days together.
pub fn business(conn: &Connection) -> Result<BusinessCalendar, StoreError> {
    Ok(BusinessCalendar::new(specials(conn)?))
}

/// Settlements that can still be paid and are due on or after a day, with that day: no more than what
/// tells whether one has changed.
pub fn open_from(conn: &Connection, from: KstDay) -> Result<Vec<(i64, KstDay)>, StoreError> {
    let mut query = conn.prepare_cached(
        "select id, payout_day from settlement indexed by settlement_due
          where state = 'REQUESTED' and net >= 0 and payout_day >= ?1 order by payout_day, id",
    )?;
    query
        .query_and_then([from.to_string()], |row| Ok((row.get(0)?, day(row, 1)?)))?
        .collect()
}

pub fn put(tx: &Tx<'_>, special: &Special, by: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into special_day (day, name, off, created_at, created_by) values (?1, ?2, ?3, ?4, ?5)
             on conflict (day) do update set name = excluded.name, off = excluded.off,
                created_at = excluded.created_at, created_by = excluded.created_by",
        )?
        .execute((
            special.day.to_string(),
            &special.name,
            special.off,
            tx.now_ms(),
            by,
        ))?;
    Ok(())
}

/// False if there was none.
pub fn remove(tx: &Tx<'_>, day: KstDay) -> Result<bool, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached("delete from special_day where day = ?1")?
        .execute([day.to_string()])?
        > 0)
}
