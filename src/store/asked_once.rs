//! What was asked for under an idempotency key: reserved before, touched by its first effect,
//! answered at the end. Kept as long as the books.

use rusqlite::{Connection, OptionalExtension};

use super::{StoreError, Tx};

/// One wish, as its caller's request says it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wish {
    /// `@minji`, `key:shop`, `api`.
    pub who: String,
    pub key: String,
}

/// An answer as it was given, and is given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Names and values, as JSON.
    pub headers: String,
    /// `None`: it was too long to be kept.
    pub body: Option<Vec<u8>>,
}

/// How a wish stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Nothing of it has been carried out: it may be, under this number.
    Open(i64),
    /// Some of it has been carried out, and nobody was told how it ended.
    Touched(i64),
    Answered(Answer),
    /// The key was used for something else.
    Other,
}

/// Looks a wish up, and writes it down if it is new.
pub fn reserve(
    tx: &Tx<'_>,
    wish: &Wish,
    fingerprint: &str,
    asked: &str,
) -> Result<Stands, StoreError> {
    if taken_elsewhere(tx.conn(), wish)? {
        return Ok(Stands::Other);
    }
    let conn = tx.conn();
    let known = conn
        .prepare_cached(
            "select id, fingerprint, touched, status, headers, body from asked_once where who = ?1 and key = ?2",
        )?
        .query_row((&wish.who, &wish.key), |row| {
            let id: i64 = row.get(0)?;
            if row.get::<_, String>(1)? != fingerprint {
                return Ok(Stands::Other);
            }
            let status: Option<u16> = row.get(3)?;
            Ok(match (status, row.get::<_, Option<String>>(4)?) {
                (Some(status), Some(headers)) => Stands::Answered(Answer {
                    status,
                    headers,
                    body: row.get(5)?,
                }),
                _ if row.get(2)? => Stands::Touched(id),
                _ => Stands::Open(id),
            })
        })
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    let id = conn
        .prepare_cached(
            "insert into asked_once (who, key, fingerprint, asked, at) values (?1, ?2, ?3, ?4, ?5) returning id",
        )?
        .query_row(
            (&wish.who, &wish.key, fingerprint, asked, tx.now_ms()),
            |row| row.get(0),
        )?;
    Ok(Stands::Open(id))
}

/// Whether a caller's key was used for another request that is kept here.
pub fn is_taken(conn: &Connection, wish: &Wish) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached("select 1 from asked_once where who = ?1 and key = ?2")?
        .exists((&wish.who, &wish.key))?)
}

/// Cancellations, adjustments, and approvals that adjustments wait for keep their keys with themselves.
fn taken_elsewhere(conn: &Connection, wish: &Wish) -> Result<bool, StoreError> {
    let by_cancel = conn
        .prepare_cached(
            "select 1 from cancellation where idempotency_key = ?1 and requested_by = ?2",
        )?
        .exists((&wish.key, &wish.who))?;
    let by_approval = || -> Result<bool, StoreError> {
        let source = ["key:", &wish.key].concat();
        Ok(conn
            .prepare_cached("select 1 from approval where source = ?1 and made_by = ?2")?
            .exists((source, &wish.who))?)
    };
    let by_adjustment = || -> Result<bool, StoreError> {
        let source = ["key:", &wish.key, ":1"].concat();
        Ok(conn
            .prepare_cached("select 1 from adjustment where source = ?1 and created_by = ?2")?
            .exists((source, &wish.who))?)
    };
    Ok(by_cancel || by_adjustment()? || by_approval()?)
}

/// Says that something of it has been carried out, in the transaction that does so.
pub(super) fn touch(conn: &Connection, id: i64) -> Result<(), StoreError> {
    conn.prepare_cached(
        "update asked_once set touched = 1 where id = ?1 and touched = 0 and status is null",
    )?
    .execute([id])?;
    Ok(())
}

/// Keeps the answer, for whoever asks the same again.
/// Notes that a request under a key came to nothing after all, and may run again.
pub fn untouched(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update asked_once set touched = 0 where id = ?1 and status is null")?
        .execute([id])?;
    Ok(())
}

pub fn answered(tx: &Tx<'_>, id: i64, answer: &Answer) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update asked_once set status = ?2, headers = ?3, body = ?4, answered_at = ?5
              where id = ?1 and status is null",
        )?
        .execute((
            id,
            answer.status,
            &answer.headers,
            &answer.body,
            tx.now_ms(),
        ))?;
    Ok(())
}
