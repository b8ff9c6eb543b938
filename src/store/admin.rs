//! Settings that the program keeps for itself, and how secrets are hashed.

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
