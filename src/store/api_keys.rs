//! Keys of programs. Of their secrets only the hash is kept, and the part that is shown.

use jiff::Timestamp;
use rusqlite::{Connection, Row};
use serde::Serialize;

use super::{StoreError, Tx, admin::hash, instant, instant_maybe};
use crate::domain::{
    account::{Right, Rights},
    api_key::Standing,
};

/// A key as it is listed: nothing of it opens anything.
#[derive(Clone, Debug, Serialize)]
pub struct ApiKey {
    pub id: i64,
    pub name: String,
    pub prefix: String,
    #[serde(serialize_with = "names")]
    pub scopes: Rights,
    pub created_at: Timestamp,
    pub created_by: String,
    pub last_used_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub revoked_by: Option<String>,
}

fn names<S: serde::Serializer>(rights: &Rights, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(rights.list().into_iter().map(Right::as_str))
}

impl ApiKey {
    pub fn standing(&self, now: Timestamp) -> Standing {
        Standing::of(
            self.expires_at.map(Timestamp::as_millisecond),
            self.revoked_at.map(Timestamp::as_millisecond),
            now.as_millisecond(),
        )
    }
}

/// What a new key is made of.
pub struct New<'a> {
    pub name: &'a str,
    pub prefix: &'a str,
    pub secret: &'a str,
    pub scopes: Rights,
    pub expires_at: Option<i64>,
    pub by: &'a str,
}

const COLUMNS: &str = "id, name, prefix, scopes, created_at, created_by, last_used_at, expires_at, revoked_at, revoked_by";

/// Writes a key. A live one of its name is refused by the rule `api_key_name_is_taken_once`.
pub fn add(tx: &Tx<'_>, new: &New<'_>) -> Result<i64, StoreError> {
    let scopes: Vec<&str> = new.scopes.list().into_iter().map(Right::as_str).collect();
    let scopes = serde_json::Value::from(scopes).to_string();
    let id = tx
        .conn()
        .prepare_cached(
            "insert into api_key (name, prefix, hash, scopes, created_at, created_by, expires_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7) returning id",
        )?
        .query_row(
            (
                new.name,
                new.prefix,
                hash(new.secret),
                scopes,
                tx.now_ms(),
                new.by,
                new.expires_at,
            ),
            |row| row.get(0),
        )?;
    Ok(id)
}

fn read(row: &Row<'_>) -> Result<ApiKey, StoreError> {
    let scopes: String = row.get(3)?;
    let unreadable = |why: String| StoreError::Unreadable {
        table: "api_key",
        why,
    };
    let names: Vec<String> =
        serde_json::from_str(&scopes).map_err(|why| unreadable(why.to_string()))?;
    let rights: Option<Vec<Right>> = names.iter().map(|name| Right::parse(name)).collect();
    let rights = rights.ok_or_else(|| unreadable(format!("{scopes} are no scopes")))?;
    Ok(ApiKey {
        id: row.get(0)?,
        name: row.get(1)?,
        prefix: row.get(2)?,
        scopes: Rights::of(&rights),
        created_at: instant(row.get(4)?)?,
        created_by: row.get(5)?,
        last_used_at: instant_maybe(row.get(6)?)?,
        expires_at: instant_maybe(row.get(7)?)?,
        revoked_at: instant_maybe(row.get(8)?)?,
        revoked_by: row.get(9)?,
    })
}

fn one(
    conn: &Connection,
    sql: &str,
    value: impl rusqlite::ToSql,
) -> Result<Option<ApiKey>, StoreError> {
    let mut query = conn.prepare_cached(sql)?;
    let mut rows = query.query([value])?;
    rows.next()?.map(read).transpose()
}

/// The key that this secret is, whatever has become of it.
pub fn of_secret(conn: &Connection, secret: &str) -> Result<Option<ApiKey>, StoreError> {
    let sql = format!("select {COLUMNS} from api_key where hash = ?1");
    one(conn, &sql, hash(secret))
}

pub fn get(conn: &Connection, id: i64) -> Result<Option<ApiKey>, StoreError> {
    let sql = format!("select {COLUMNS} from api_key where id = ?1");
    one(conn, &sql, id)
}

/// The key of this name that is not revoked.
pub fn unrevoked(conn: &Connection, name: &str) -> Result<Option<ApiKey>, StoreError> {
    let sql = format!("select {COLUMNS} from api_key where name = ?1 and revoked_at is null");
    one(conn, &sql, name)
}

/// Keys, newest first, below the one with this number.
pub fn list(
    conn: &Connection,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<ApiKey>, StoreError> {
    let sql = format!("select {COLUMNS} from api_key where id < ?1 order by id desc limit ?2 + 0");
    let mut query = conn.prepare_cached(&sql)?;
    let mut rows = query.query((before.unwrap_or(i64::MAX), limit as i64))?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(read(row)?);
    }
    Ok(keys)
}

/// Ends a key for good; false if it was ended before.
pub fn revoke(tx: &Tx<'_>, id: i64, by: &str) -> Result<bool, StoreError> {
    let sql =
        "update api_key set revoked_at = ?2, revoked_by = ?3 where id = ?1 and revoked_at is null";
    Ok(tx
        .conn()
        .prepare_cached(sql)?
        .execute((id, tx.now_ms(), by))?
        > 0)
}

/// Notes that a key is in use.
pub fn used(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update api_key set last_used_at = ?2 where id = ?1")?
        .execute((id, tx.now_ms()))?;
    Ok(())
}
