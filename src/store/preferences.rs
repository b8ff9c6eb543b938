//! What a person chose for the lists: filters under a name, and which columns are shown.
//!
//! Every question names the person: what one keeps no other finds, by whatever number it is asked for.

use rusqlite::{Connection, OptionalExtension};

use super::{StoreError, Tx};

/// Filters that a person may keep for one list.
pub const MOST: i64 = 30;

/// A list whose filters are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    Payments,
    Settlements,
    Jobs,
    DeadLetters,
    Partners,
    Audit,
}

impl List {
    pub const ALL: [List; 6] = [
        List::Payments,
        List::Settlements,
        List::Jobs,
        List::DeadLetters,
        List::Partners,
        List::Audit,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            List::Payments => "payments",
            List::Settlements => "settlements",
            List::Jobs => "jobs",
            List::DeadLetters => "dead-letters",
            List::Partners => "partners",
            List::Audit => "audit",
        }
    }

    pub fn parse(text: &str) -> Option<List> {
        List::ALL.into_iter().find(|list| list.as_str() == text)
    }
}

/// A filter under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    pub id: i64,
    pub name: String,
    /// What stands behind `?` in the list's address.
    pub query: String,
}

/// What a person keeps of one list, by name.
pub fn saved(conn: &Connection, user: i64, list: List) -> Result<Vec<Saved>, StoreError> {
    let mut query = conn.prepare_cached(
        "select id, name, query from saved_filter where user_id = ?1 and list = ?2 order by name",
    )?;
    let rows = query.query_map((user, list.as_str()), |row| {
        Ok(Saved {
            id: row.get(0)?,
            name: row.get(1)?,
            query: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Keeps a filter; one of the same name is replaced. False if the person keeps [`MOST`] already.
pub fn save(
    tx: &Tx<'_>,
    user: i64,
    list: List,
    name: &str,
    query: &str,
) -> Result<bool, StoreError> {
    let conn = tx.conn();
    let others: i64 = conn
        .prepare_cached(
            "select count(*) from saved_filter where user_id = ?1 and list = ?2 and name <> ?3",
        )?
        .query_row((user, list.as_str(), name), |row| row.get(0))?;
    if others >= MOST {
        return Ok(false);
    }
    conn.prepare_cached(
        "insert into saved_filter (user_id, list, name, query, created_at) values (?1, ?2, ?3, ?4, ?5)
         on conflict (user_id, list, name) do update set query = excluded.query",
    )?
    .execute((user, list.as_str(), name, query, tx.now_ms()))?;
    Ok(true)
}

/// Removes a person's own filter; gives the list that it was of. `None` if the person has no such.
pub fn remove(tx: &Tx<'_>, user: i64, id: i64) -> Result<Option<List>, StoreError> {
    let list: Option<String> = tx
        .conn()
        .prepare_cached("delete from saved_filter where id = ?1 and user_id = ?2 returning list")?
        .query_row((id, user), |row| row.get(0))
        .optional()?;
    Ok(list.and_then(|list| List::parse(&list)))
}

/// The columns that a person chose for a list, by their codes. `None`: the usual ones.
pub fn columns(
    conn: &Connection,
    user: i64,
    list: List,
) -> Result<Option<Vec<String>>, StoreError> {
    let json: Option<String> = conn
        .prepare_cached("select columns from column_choice where user_id = ?1 and list = ?2")?
        .query_row((user, list.as_str()), |row| row.get(0))
        .optional()?;
    json.map(|json| serde_json::from_str(&json))
        .transpose()
        .map_err(|why| StoreError::Unreadable {
            table: "column_choice",
            why: why.to_string(),
        })
}

/// Keeps a choice of columns; `None` goes back to the usual ones.
pub fn choose_columns(
    tx: &Tx<'_>,
    user: i64,
    list: List,
    columns: Option<&[&str]>,
) -> Result<(), StoreError> {
    let Some(columns) = columns else {
        tx.conn()
            .prepare_cached("delete from column_choice where user_id = ?1 and list = ?2")?
            .execute((user, list.as_str()))?;
        return Ok(());
    };
    let json = serde_json::to_string(columns).map_err(|why| StoreError::Unreadable {
        table: "column_choice",
        why: why.to_string(),
    })?;
    tx.conn()
        .prepare_cached(
            "insert into column_choice (user_id, list, columns) values (?1, ?2, ?3)
             on conflict (user_id, list) do update set columns = excluded.columns",
        )?
        .execute((user, list.as_str(), json))?;
    Ok(())
}
