//! Contract versions: what holds between a partner and the shop, from which day on.

use jiff::Timestamp;
use rusqlite::{Connection, Row};
use serde::Serialize;

use super::{
    StoreError, Tx, instant,
    movements::{day, day_maybe},
};
use crate::domain::{calendar::KstDay, contract::Terms};

fn unreadable(why: impl ToString) -> StoreError {
    StoreError::Unreadable {
        table: "contract_version",
        why: why.to_string(),
    }
}

/// What holds from a day on, until the next version's day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Version {
    pub id: i64,
    pub partner: String,
    pub from: KstDay,
    pub terms: Terms,
    /// The last day whose payments it settled; such a version never changes.
    pub used_until: Option<KstDay>,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub created_at: Timestamp,
    pub created_by: String,
}

const COLUMNS: &str = "id, partner_id, from_day, terms, used_until, created_at, created_by";

fn read(row: &Row<'_>) -> Result<Version, StoreError> {
    let terms: String = row.get(3)?;
    Ok(Version {
        id: row.get(0)?,
        partner: row.get(1)?,
        from: day(row, 2)?,
        terms: serde_json::from_str(&terms).map_err(unreadable)?,
        used_until: day_maybe(row, 4)?,
        created_at: instant(row.get(5)?)?,
        created_by: row.get(6)?,
    })
}

/// All of a partner's, oldest first.
pub fn of(conn: &Connection, partner: &str) -> Result<Vec<Version>, StoreError> {
    let sql =
        format!("select {COLUMNS} from contract_version where partner_id = ?1 order by from_day");
    conn.prepare_cached(&sql)?
        .query_and_then([partner], read)?
        .collect()
}

pub fn get(conn: &Connection, id: i64) -> Result<Option<Version>, StoreError> {
    let sql = format!("select {COLUMNS} from contract_version where id = ?1");
    let mut query = conn.prepare_cached(&sql)?;
    query.query_and_then([id], read)?.next().transpose()
}

/// The one of `versions`, oldest first, that holds on a day.
pub fn holding(versions: &[Version], on: KstDay) -> Option<&Version> {
    versions.iter().rev().find(|version| version.from <= on)
}

/// Adds a version, or puts other terms into one of that day that has settled nothing.
pub fn put(
    tx: &Tx<'_>,
    partner: &str,
    from: KstDay,
    terms: &Terms,
    by: &str,
) -> Result<i64, StoreError> {
    let terms = serde_json::to_string(terms).map_err(unreadable)?;
    let id = tx
        .conn()
        .prepare_cached(
            "insert into contract_version (partner_id, from_day, terms, created_at, created_by)
             values (?1, ?2, ?3, ?4, ?5)
             on conflict (partner_id, from_day) do update
                set terms = excluded.terms, created_at = excluded.created_at, created_by = excluded.created_by
             returning id",
        )?
        .query_row((partner, from.to_string(), terms, tx.now_ms(), by), |row| {
            row.get(0)
        })?;
    Ok(id)
}

/// Removes one that has settled nothing.
pub fn remove(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("delete from contract_version where id = ?1")?
        .execute([id])?;
    Ok(())
}

/// Settlements of `day` are gone: versions that settled nothing after it, or nothing at all, may change
/// again from where they were used last.
pub fn unused_since(tx: &Tx<'_>, day: KstDay) -> Result<usize, StoreError> {
    // A later version that settled something may have cancels of payments under this one among its
    // lines: then it stays as it is.
    Ok(tx
        .conn()
        .prepare_cached(
            "update contract_version as v
                set used_until = (select max(s.day) from settlement s
                                   where s.partner_id = v.partner_id and s.contract_id = v.id)
              where v.used_until = ?1
                and not exists (select 1 from settlement s
                                 where s.partner_id = v.partner_id and s.day > ?1)",
        )?
        .execute([day.to_string()])?)
}

/// From now on it never changes: payments up to `until` were settled by it.
pub fn used(tx: &Tx<'_>, id: i64, until: KstDay) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update contract_version set used_until = ?2
              where id = ?1 and (used_until is null or used_until < ?2)",
        )?
        .execute((id, until.to_string()))?;
    Ok(())
}
