//! Finding payments by any part of a text, in Korean too.
//!
//! Words in Korean are short and glued together, so the index holds *pairs of characters*: what is
//! searched for is found when its pairs stand next to each other. The index is filled behind the
//! writes, a few hundred payments at a time, to keep it out of the way of money; what it does not
//! cover yet (at most [`TAIL`] payments) is searched by reading.

use rusqlite::{Connection, ToSql};

use super::{StoreError, Tx};

/// Payments that may wait for the index before intake has to help.
pub const TAIL: i64 = 20_000;

/// The pairs of a text, each as one word that any tokenizer leaves whole.
///
/// A text of one character stands as the pair that begins with it, so it can only be found at a
/// beginning of a pair: prefix search covers it.
pub fn grams(text: &str) -> String {
    use std::fmt::Write;
    let chars: Vec<char> = text
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    let mut out = String::with_capacity(chars.len() * 12);
    for (i, c) in chars.iter().enumerate() {
        let next = chars.get(i + 1).copied().unwrap_or('\0');
        // Fixed width, so that a prefix of a word is exactly one character.
        let _ = write!(out, "{:05x}{:05x} ", *c as u32, next as u32);
    }
    out
}

/// The query that finds a text: its pairs as a phrase, the last character as a prefix.
fn phrase(text: &str) -> Option<String> {
    let chars: Vec<char> = text
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    let last = *chars.last()?;
    let mut words: Vec<String> = chars
        .windows(2)
        .map(|pair| format!("{:05x}{:05x}", pair[0] as u32, pair[1] as u32))
        .collect();
    if words.is_empty() {
        words.push(format!("{:05x}", last as u32));
        return Some(format!("\"{}\" *", words.join(" ")));
    }
    Some(format!("\"{}\"", words.join(" ")))
}

/// Up to which payment the index is filled.
fn filled(conn: &Connection) -> Result<i64, StoreError> {
    use rusqlite::OptionalExtension;
    let text: Option<String> = conn
        .prepare_cached("select value from setting where key = 'search_filled'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// What is searched, in one text. Fields are parted so that no phrase spans two of them.
const TEXT: &str = "p.imp_uid || char(10) || p.merchant_uid || char(10) || (p.about ->> '$.name') || char(10)
    || (p.about ->> '$.buyer_name') || char(10) || (p.about ->> '$.buyer_email') || char(10) || (p.about ->> '$.buyer_tel')";

/// Adds to `sql` the part that finds `text`: by the index, and by reading what is behind it.
pub fn clause(
    conn: &Connection,
    text: &str,
    sql: &mut String,
    values: &mut Vec<(&'static str, Box<dyn ToSql>)>,
) -> Result<(), StoreError> {
    let Some(phrase) = phrase(text) else {
        sql.push_str("payment p where false");
        return Ok(());
    };
    let filled = filled(conn)?;
    sql.push_str(&format!(
        "payment p where (p.id in (select rowid from payment_search where payment_search match :phrase)
            or (p.id > :filled and p.id in (select id from payment where id > :filled)
                and instr(lower({TEXT}), :text) > 0))"
    ));
    values.push((":phrase", Box::new(phrase)));
    values.push((":filled", Box::new(filled)));
    values.push((":text", Box::new(text.to_lowercase())));
    Ok(())
}

/// A payment's text changed: it is indexed anew.
pub fn forget(conn: &Connection, row: i64) -> Result<(), StoreError> {
    if row > filled(conn)? {
        return Ok(());
    }
    let text: String = conn
        .prepare_cached(&format!("select {TEXT} from payment p where p.id = ?1"))?
        .query_row([row], |r| r.get(0))?;
    conn.prepare_cached("insert or replace into payment_search (rowid, grams) values (?1, ?2)")?
        .execute((row, grams_of_fields(&text)))?;
    Ok(())
}

fn grams_of_fields(text: &str) -> String {
    text.split('\n')
        .map(grams)
        .collect::<Vec<_>>()
        .join("00000ffff ")
}

/// Indexes the next payments, at most `limit`. Gives how many.
pub fn fill(tx: &mut Tx<'_>, limit: usize) -> Result<usize, StoreError> {
    let conn = tx.conn();
    let filled = filled(conn)?;
    let mut query = conn.prepare_cached(&format!(
        "select p.id, {TEXT} from payment p where p.id > ?1 order by p.id limit ?2"
    ))?;
    let rows: Vec<(i64, String)> = query
        .query_map((filled, limit as i64), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let Some((last, _)) = rows.last() else {
        return Ok(0);
    };
    let mut add = conn
        .prepare_cached("insert or replace into payment_search (rowid, grams) values (?1, ?2)")?;
    for (row, text) in &rows {
        add.execute((row, grams_of_fields(text)))?;
    }
    conn.prepare_cached(
        "insert into setting (key, value) values ('search_filled', ?1)
         on conflict (key) do update set value = excluded.value",
    )?
    .execute([last.to_string()])?;
    Ok(rows.len())
}

/// How many payments the index does not cover yet.
pub fn behind(conn: &Connection) -> Result<i64, StoreError> {
    let newest: i64 = conn
        .prepare_cached("select coalesce(max(id), 0) from payment")?
        .query_row([], |row| row.get(0))?;
    Ok(newest - filled(conn)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_of_a_text_is_found() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "create virtual table s using fts5 (grams, content='', contentless_delete=1, tokenize='ascii')",
        )
        .unwrap();
        let texts = [
            "imp_123\nord-7\n햇사과 5kg\n홍길동",
            "imp_999\nord-8\n배\n김길동",
        ];
        for (i, text) in texts.iter().enumerate() {
            conn.execute(
                "insert into s (rowid, grams) values (?1, ?2)",
                (i as i64, grams_of_fields(text)),
            )
            .unwrap();
        }
        let find = |text: &str| -> Vec<i64> {
            let mut query = conn
                .prepare("select rowid from s where s match ?1 order by 1")
                .unwrap();
            let rows = query
                .query_map([phrase(text).unwrap()], |row| row.get(0))
                .unwrap();
            rows.collect::<Result<_, _>>().unwrap()
        };
        assert_eq!(find("사과"), [0]);
        assert_eq!(find("길동"), [0, 1]);
        assert_eq!(find("홍"), [0]);
        assert_eq!(find("동"), [0, 1]);
        assert_eq!(find("ORD-"), [0, 1]);
        assert_eq!(find("imp_999"), [1]);
        assert_eq!(find("5KG"), [0]);
        assert_eq!(find("kg홍"), [] as [i64; 0]);
        assert_eq!(find("\" OR *"), [] as [i64; 0]);
        assert_eq!(phrase(""), None);
    }
}
