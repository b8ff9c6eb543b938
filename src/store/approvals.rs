//! What waits for a second person, and what became of it. Rows are decided once and never change again.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use serde_json::Value;

use super::{StoreError, Tx, instant, instant_maybe};
use crate::domain::{
    approval::{Kind, State},
    money::Won,
};

/// An approval before it is written.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    pub kind: Kind,
    pub subject: &'a str,
    pub amount: Won,
    /// What a list shows of it.
    pub asked: &'a Value,
    /// Of adjustments: each that will be booked.
    pub rows: Option<&'a Value>,
    pub source: Option<&'a str>,
    pub by: &'a str,
}

pub fn add(tx: &Tx<'_>, new: &New<'_>) -> Result<i64, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached(
            "insert into approval (kind, subject, amount, asked, rows, source, made_by, made_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) returning id",
        )?
        .query_row(
            (
                new.kind.as_str(),
                new.subject,
                new.amount.get(),
                new.asked.to_string(),
                new.rows.map(Value::to_string),
                new.source,
                new.by,
                tx.now_ms(),
            ),
            |row| row.get(0),
        )?)
}

/// Decides one that waits. `seen` names what was approved.
pub fn decide(
    tx: &Tx<'_>,
    id: i64,
    state: State,
    by: &str,
    seen: Option<&str>,
    note: Option<&str>,
) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update approval set state = ?2, decided_by = ?3, decided_at = ?4, seen = ?5, note = ?6 where id = ?1",
        )?
        .execute((id, state.as_str(), by, tx.now_ms(), seen, note))?;
    Ok(())
}

/// One as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ApprovalRow {
    pub id: i64,
    #[schema(value_type = String)]
    pub kind: Kind,
    pub subject: String,
    pub amount: Won,
    pub asked: Value,
    pub made_by: String,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub made_at: Timestamp,
    #[schema(value_type = String)]
    pub state: State,
    pub decided_by: Option<String>,
    #[serde(serialize_with = "super::payments::seoul_time_maybe")]
    pub decided_at: Option<Timestamp>,
    pub note: Option<String>,
    /// Names what was approved, once it is.
    #[serde(skip)]
    pub seen: Option<String>,
    #[serde(skip)]
    pub source: Option<String>,
}

impl ApprovalRow {
    pub fn waits(&self) -> bool {
        self.state == State::Waiting
    }

    /// The batch that it is about.
    pub fn batch(&self) -> Option<i64> {
        self.subject.strip_prefix("payout:")?.parse().ok()
    }
}

/// How a batch is called here.
pub fn subject_of(batch: i64) -> String {
    format!("payout:{batch}")
}

const COLUMNS: &str = "id, kind, subject, amount, asked, made_by, made_at, state, decided_by, decided_at, note, seen, source";

fn unreadable(text: &str) -> StoreError {
    StoreError::Unreadable {
        table: "approval",
        why: format!("`{text}` is unknown"),
    }
}

fn json(text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|why| StoreError::Unreadable {
        table: "approval",
        why: why.to_string(),
    })
}

fn read(row: &Row<'_>) -> Result<ApprovalRow, StoreError> {
    let (kind, state): (String, String) = (row.get(1)?, row.get(7)?);
    Ok(ApprovalRow {
        id: row.get(0)?,
        kind: Kind::parse(&kind).ok_or_else(|| unreadable(&kind))?,
        subject: row.get(2)?,
        amount: Won::new(row.get(3)?),
        asked: json(&row.get::<_, String>(4)?)?,
        made_by: row.get(5)?,
        made_at: instant(row.get(6)?)?,
        state: State::parse(&state).ok_or_else(|| unreadable(&state))?,
        decided_by: row.get(8)?,
        decided_at: instant_maybe(row.get(9)?)?,
        note: row.get(10)?,
        seen: row.get(11)?,
        source: row.get(12)?,
    })
}

fn one(
    conn: &Connection,
    sql: &str,
    value: impl rusqlite::ToSql,
) -> Result<Option<ApprovalRow>, StoreError> {
    let mut query = conn.prepare_cached(sql)?;
    query.query_and_then([value], read)?.next().transpose()
}

pub fn get(conn: &Connection, id: i64) -> Result<Option<ApprovalRow>, StoreError> {
    one(
        conn,
        &format!("select {COLUMNS} from approval where id = ?1"),
        id,
    )
}

/// The adjustments that it asks for, as they were written down.
pub fn rows(conn: &Connection, id: i64) -> Result<Option<Value>, StoreError> {
    let text: Option<Option<String>> = conn
        .prepare_cached("select rows from approval where id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    text.flatten().map(|text| json(&text)).transpose()
}

/// The newest of a batch: the one that counts. `None`: it needs nobody.
pub fn of_batch(conn: &Connection, batch: i64) -> Result<Option<ApprovalRow>, StoreError> {
    of_subject(conn, &subject_of(batch))
}

fn of_subject(conn: &Connection, subject: &str) -> Result<Option<ApprovalRow>, StoreError> {
    one(
        conn,
        &format!("select {COLUMNS} from approval where subject = ?1 order by id desc limit 1"),
        subject,
    )
}

/// The newest that came with this file or key.
pub fn with_source(conn: &Connection, source: &str) -> Result<Option<ApprovalRow>, StoreError> {
    one(
        conn,
        &format!("select {COLUMNS} from approval where source = ?1 order by id desc limit 1"),
        source,
    )
}

const WAITING: &str = "select count(*) from approval where state = 'WAITING'";

/// How many wait.
pub fn waiting(conn: &Connection) -> Result<i64, StoreError> {
    Ok(conn
        .prepare_cached(WAITING)?
        .query_row([], |row| row.get(0))?)
}

/// Those that wait or those that are decided, newest first, behind `before`.
pub fn list(
    conn: &Connection,
    waiting: bool,
    before: Option<i64>,
    most: usize,
) -> Result<Vec<ApprovalRow>, StoreError> {
    let sql = list_sql(waiting);
    let mut query = conn.prepare_cached(&sql)?;
    query
        .query_and_then((before.unwrap_or(i64::MAX), most as i64), read)?
        .collect()
}

fn list_sql(waiting: bool) -> String {
    if waiting {
        format!(
            "select {COLUMNS} from approval where state = 'WAITING' and id < ?1 order by id desc limit ?2 + 0"
        )
    } else {
        format!(
            "select {COLUMNS} from approval where state <> 'WAITING' and id < ?1 order by id desc limit ?2 + 0"
        )
    }
}

/// The adjustments among those that wait, newest first.
pub fn waiting_adjustments(conn: &Connection, most: usize) -> Result<Vec<ApprovalRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from approval where state = 'WAITING' and kind = 'adjustment' order by id desc limit ?1 + 0"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query.query_and_then([most as i64], read)?.collect()
}

/// Which approval each of these batches has; those without are left out.
pub fn of_batches(
    conn: &Connection,
    batches: impl IntoIterator<Item = i64>,
) -> Result<Vec<(i64, ApprovalRow)>, StoreError> {
    let mut found = Vec::new();
    for batch in batches {
        if let Some(row) = of_batch(conn, batch)? {
            found.push((batch, row));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::migrations;

    /// The number stands on every page, and the lists are long after some years.
    #[test]
    fn what_waits_is_counted_and_listed_off_its_own_index() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrations::runner().run(&mut conn).unwrap();
        let plan = |sql: &str| -> String {
            let mut query = conn.prepare(&format!("explain query plan {sql}")).unwrap();
            let mut rows = query.raw_query();
            let mut steps: Vec<String> = Vec::new();
            while let Some(row) = rows.next().unwrap() {
                steps.push(row.get(3).unwrap());
            }
            steps.join("\n")
        };
        let count = plan(WAITING);
        assert!(count.contains("COVERING INDEX approval_waiting"), "{count}");
        for waiting in [true, false] {
            let list = plan(&list_sql(waiting));
            let index = if waiting {
                "approval_waiting"
            } else {
                "approval_decided"
            };
            assert!(
                list.contains(index) && !list.contains("TEMP B-TREE"),
                "{list}"
            );
        }
        let of =
            plan("select id from approval where subject = 'payout:1' order by id desc limit 1");
        assert!(
            of.contains("approval_by_subject") && !of.contains("TEMP B-TREE"),
            "{of}"
        );
    }
}
