//! The admin token's hash and the signed-in browsers. Secrets themselves are never kept.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use super::{StoreError, Tx};

/// Under this the demo keeps how far its clock is ahead, in milliseconds. No other books have it.
pub const CLOCK_AHEAD: &str = "demo_clock_ahead_ms";

/// SHA-256 of a secret, in hex. Tokens here carry 256 random bits, so a fast hash is the right one:
/// there is nothing to guess.
pub fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

pub fn setting(conn: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    Ok(conn
        .prepare_cached("select value from setting where key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?)
}

pub fn set(tx: &Tx<'_>, key: &str, value: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into setting (key, value) values (?1, ?2)
             on conflict (key) do update set value = excluded.value",
        )?
        .execute((key, value))?;
    Ok(())
}

pub fn unset(tx: &Tx<'_>, key: &str) -> Result<bool, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached("delete from setting where key = ?1")?
        .execute([key])?
        > 0)
}

/// Opens a session for the browser that holds `secret`.
pub fn open_session(tx: &Tx<'_>, secret: &str, lasts: Duration) -> Result<(), StoreError> {
    tx.conn()
        .execute("delete from session where expires_at < ?1", [tx.now_ms()])?;
    tx.conn()
        .prepare_cached(
            "insert into session (token_hash, created_at, seen_at, expires_at) values (?1, ?2, ?2, ?3)",
        )?
        .execute((hash(secret), tx.now_ms(), tx.now_ms() + lasts.as_millis() as i64))?;
    Ok(())
}

/// Whether a session is open, by its secret.
pub fn session_open(conn: &Connection, secret: &str, now_ms: i64) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached("select 1 from session where token_hash = ?1 and expires_at > ?2")?
        .exists((hash(secret), now_ms))?)
}

pub fn close_session(tx: &Tx<'_>, secret: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("delete from session where token_hash = ?1")?
        .execute([hash(secret)])?;
    Ok(())
}

/// Ends every session: with a new admin token, the old ones are worth nothing.
pub fn close_all_sessions(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.conn().execute("delete from session", [])?;
    Ok(())
}
