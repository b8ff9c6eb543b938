//! Small questions that pages ask: how much waits for a person, what was last heard.

use rusqlite::{Connection, OptionalExtension};

use super::{StoreError, inbox::Verdict};

/// Nobody counts further than this: a page then says `999+`.
pub const MOST: i64 = 1_000;

/// Dead letters, up to [`MOST`].
pub fn dead_letters(conn: &Connection) -> Result<i64, StoreError> {
    Ok(conn
        .prepare_cached(
            "select count(*) from (select 1 from job where state = 'dead' limit ?1 + 0)",
        )?
        .query_row([MOST], |row| row.get(0))?)
}

/// Payments that something holds, up to [`MOST`].
pub fn held(conn: &Connection) -> Result<i64, StoreError> {
    Ok(conn
        .prepare_cached(
            "select count(*) from (select 1 from payment where hold is not null limit ?1 + 0)",
        )?
        .query_row([MOST], |row| row.get(0))?)
}

/// What became of the newest message about a payment: `None` if there is none, `Some(None)` while
/// PortOne has not been asked.
pub fn last_verdict(
    conn: &Connection,
    imp_uid: &str,
) -> Result<Option<Option<Verdict>>, StoreError> {
    let found: Option<Option<String>> = conn
        .prepare_cached("select verdict from inbox where imp_uid = ?1 order by id desc limit 1")?
        .query_row([imp_uid], |row| row.get(0))
        .optional()?;
    Ok(found.map(|verdict| verdict.as_deref().and_then(Verdict::parse)))
}
