//! Finding payments by any part of a text, in Korean too.
//!
//! Words in Korean are short and glued together, so the index holds *pairs of characters*: what is
//! searched for is found when its pairs stand next to each other. A second index, `payment_keys`, holds pairs of
//! *initial consonants*, by which 홍길동 is found as ㅎㄱㄷ; *four digits in a row* out of every number, since
//! pairs of digits are in every payment and four are in few; and as words of their own what is looked for as
//! a whole: a phone number, its last four digits, an amount.
//!
//! Both are filled behind the writes, a few hundred payments at a time, to keep out of the way of money; what
//! they do not cover yet is read, at most the newest [`TAIL`] payments. So books of before there was the second
//! index are searched by what it covers, newest first, until it has taken them in.

use rusqlite::{Connection, OptionalExtension, Row};

use super::{StoreError, Tx};
use crate::domain::{
    hangul,
    money::Won,
    wanted::{Wanted, digits},
};

/// Payments that may wait for the index before intake has to help, and that a search reads at most.
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

/// One of the two indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    Text,
    Keys,
}

impl Index {
    /// Where it stands up to which payment the index is filled.
    fn mark(self) -> &'static str {
        match self {
            Index::Text => "search_filled",
            Index::Keys => "search_keys_filled",
        }
    }
}

fn filled(conn: &Connection, index: Index) -> Result<i64, StoreError> {
    let text: Option<String> = conn
        .prepare_cached("select value from setting where key = ?1")?
        .query_row([index.mark()], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// One way to the payments that somebody looks for: a question to an index, and what it does not cover.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// The part of a statement that gives the index's payments, newest first, below `:row`.
    pub from: &'static str,
    /// By which its rows are ordered.
    pub row: &'static str,
    pub phrase: String,
    /// Payments above it are to be read, those below it are found by the index.
    pub filled: i64,
    /// Whether the index may give payments that do not fit: then each is looked at.
    pub rough: bool,
}

const BY_TEXT: &str = "payment_search cross join payment p on p.id = payment_search.rowid
      where payment_search match :phrase and payment_search.rowid < :row";
const BY_KEYS: &str = "payment_keys cross join payment p on p.id = payment_keys.rowid
      where payment_keys match :phrase and payment_keys.rowid < :row";

fn way(conn: &Connection, index: Index, phrase: String, rough: bool) -> Result<Way, StoreError> {
    let newest = newest(conn)?;
    let (from, row) = match index {
        Index::Text => (BY_TEXT, "payment_search.rowid"),
        Index::Keys => (BY_KEYS, "payment_keys.rowid"),
    };
    Ok(Way {
        from,
        row,
        phrase,
        filled: filled(conn, index)?.max(newest - TAIL),
        rough,
    })
}

/// The ways to payments that hold a text: each may find some that the others do not.
pub(super) fn ways(conn: &Connection, wanted: &Wanted) -> Result<Vec<Way>, StoreError> {
    let mut ways = Vec::new();
    if wanted.has_initials() {
        let cut = hangul::initials(wanted.text());
        if let Some(phrase) = phrase(&cut) {
            // Whoever types 홍ㄱㄷ wants no 한갑돌.
            let rough = !wanted.text().chars().all(hangul::is_initial);
            let phrase = format!("initials : {phrase}");
            ways.push(way(conn, Index::Keys, phrase, rough)?);
        }
    // Korean around a number says more than the number: a year stands in every order's id.
    } else if let Some(phrase) =
        phrase_of_digits(wanted.text()).filter(|_| wanted.text().is_ascii())
    {
        ways.push(way(conn, Index::Keys, phrase, true)?);
    } else if let Some(phrase) = phrase(wanted.text()) {
        ways.push(way(conn, Index::Text, phrase, false)?);
    }
    // Written without its dashes a number is in no text.
    if wanted.phone().is_some_and(|number| number.len() > 4) {
        ways.extend(way_of_phone(conn, wanted)?);
    }
    Ok(ways)
}

/// The way to payments by a phone number, or its last four digits.
pub(super) fn way_of_phone(conn: &Connection, wanted: &Wanted) -> Result<Option<Way>, StoreError> {
    wanted
        .phone()
        .map(|number| way(conn, Index::Keys, format!("exact : t{number}"), false))
        .transpose()
}

/// The way to payments of exactly this amount.
pub(super) fn way_of_amount(conn: &Connection, amount: Won) -> Result<Way, StoreError> {
    way(
        conn,
        Index::Keys,
        format!("exact : w{}", amount.get()),
        false,
    )
}

/// What is searched, in one text. Fields are parted so that no phrase spans two of them.
const TEXT: &str = "p.imp_uid || char(10) || p.merchant_uid || char(10) || (p.about ->> '$.name') || char(10)
    || (p.about ->> '$.buyer_name') || char(10) || (p.about ->> '$.buyer_email') || char(10) || (p.about ->> '$.buyer_tel')";

/// What goes into the second index, apart.
const KEYS: &str = "p.imp_uid, p.merchant_uid, p.about ->> '$.name', p.about ->> '$.buyer_name',
    p.about ->> '$.buyer_email', p.about ->> '$.buyer_tel', p.amount";

/// A payment's row of the second index.
struct Keys {
    initials: String,
    digits: String,
    exact: String,
}

/// Reads it out of [`KEYS`], which begin at the column `at`.
fn keys(row: &Row<'_>, at: usize) -> rusqlite::Result<Keys> {
    let text = |of: usize| -> rusqlite::Result<String> {
        Ok(row.get::<_, Option<String>>(at + of)?.unwrap_or_default())
    };
    let (imp_uid, order, name, buyer) = (text(0)?, text(1)?, text(2)?, text(3)?);
    let (mail, tel) = (text(4)?, text(5)?);
    let numbers = [&imp_uid, &order, &name, &buyer, &mail, &tel, &digits(&tel)];
    Ok(Keys {
        initials: initials_of([&name, &buyer]),
        digits: fours_of(numbers.into_iter()),
        exact: exact(&tel, row.get(at + 6)?),
    })
}

const PUT_TEXT: &str = "insert or replace into payment_search (rowid, grams) values (?1, ?2)";
const PUT_KEYS: &str =
    "insert or replace into payment_keys (rowid, initials, digits, exact) values (?1, ?2, ?3, ?4)";

/// A payment's text changed: it is indexed anew.
pub fn forget(conn: &Connection, row: i64) -> Result<(), StoreError> {
    if row <= filled(conn, Index::Text)? {
        let text: String = conn
            .prepare_cached(&format!("select {TEXT} from payment p where p.id = ?1"))?
            .query_row([row], |r| r.get(0))?;
        conn.prepare_cached(PUT_TEXT)?
            .execute((row, grams_of_fields(&text)))?;
    }
    if row <= filled(conn, Index::Keys)? {
        let keys = conn
            .prepare_cached(&format!("select {KEYS} from payment p where p.id = ?1"))?
            .query_row([row], |r| keys(r, 0))?;
        conn.prepare_cached(PUT_KEYS)?
            .execute((row, keys.initials, keys.digits, keys.exact))?;
    }
    Ok(())
}

fn grams_of_fields(text: &str) -> String {
    text.split('\n')
        .map(grams)
        .collect::<Vec<_>>()
        .join("00000ffff ")
}

/// Of what has no Korean in it there is nothing to find by initials.
fn initials_of<'a>(fields: impl IntoIterator<Item = &'a String>) -> String {
    fields
        .into_iter()
        .filter(|field| field.chars().any(|c| hangul::initial(c).is_some()))
        .map(|field| grams(&hangul::initials(field)))
        .collect::<Vec<_>>()
        .join("00000ffff ")
}

/// The numbers in a text, of four digits and more.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|number| number.len() >= 4)
}

/// Each four digits of a number that stand in a row.
fn fours(number: &str) -> Vec<&str> {
    let last = number.len().saturating_sub(4);
    (0..=last).filter_map(|at| number.get(at..at + 4)).collect()
}

fn fours_of<'a>(fields: impl Iterator<Item = &'a String>) -> String {
    let numbers = fields.flat_map(|field| numbers(field));
    let words: Vec<String> = numbers.map(|number| fours(number).join(" ")).collect();
    // A word of its own between them, so that no phrase spans two.
    words.join(" x ")
}

/// The question that finds every number of a text; none if it has none.
fn phrase_of_digits(text: &str) -> Option<String> {
    let phrases: Vec<String> = numbers(text)
        .map(|number| format!("digits : \"{}\"", fours(number).join(" ")))
        .collect();
    (!phrases.is_empty()).then(|| phrases.join(" AND "))
}

/// A phone number whole and by its end, and the amount.
fn exact(tel: &str, amount: i64) -> String {
    let number = digits(tel);
    let end = number.len().checked_sub(4).and_then(|at| number.get(at..));
    match end {
        Some(end) => format!("w{amount} t{number} t{end}"),
        None => format!("w{amount}"),
    }
}

fn mark(conn: &Connection, index: Index, row: i64) -> Result<(), StoreError> {
    conn.prepare_cached(
        "insert into setting (key, value) values (?1, ?2)
         on conflict (key) do update set value = excluded.value",
    )?
    .execute((index.mark(), row.to_string()))?;
    Ok(())
}

/// Indexes the next payments, at most `limit` for each index. Gives how many.
pub fn fill(tx: &mut Tx<'_>, limit: usize) -> Result<usize, StoreError> {
    let conn = tx.conn();
    let mut query = conn.prepare_cached(&format!(
        "select p.id, {TEXT} from payment p where p.id > ?1 order by p.id limit ?2"
    ))?;
    let from = filled(conn, Index::Text)?;
    let rows: Vec<(i64, String)> = query
        .query_map((from, limit as i64), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut add = conn.prepare_cached(PUT_TEXT)?;
    for (row, text) in &rows {
        add.execute((row, grams_of_fields(text)))?;
    }
    if let Some((last, _)) = rows.last() {
        mark(conn, Index::Text, *last)?;
    }
    Ok(rows.len() + fill_keys(conn, limit)?)
}

fn fill_keys(conn: &Connection, limit: usize) -> Result<usize, StoreError> {
    let mut query = conn.prepare_cached(&format!(
        "select p.id, {KEYS} from payment p where p.id > ?1 order by p.id limit ?2"
    ))?;
    let mut add = conn.prepare_cached(PUT_KEYS)?;
    let mut rows = query.query((filled(conn, Index::Keys)?, limit as i64))?;
    let (mut many, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        let (id, keys): (i64, Keys) = (row.get(0)?, keys(row, 1)?);
        add.execute((id, keys.initials, keys.digits, keys.exact))?;
        (many, last) = (many + 1, Some(id));
    }
    if let Some(last) = last {
        mark(conn, Index::Keys, last)?;
    }
    Ok(many)
}

fn newest(conn: &Connection) -> Result<i64, StoreError> {
    Ok(conn
        .prepare_cached("select coalesce(max(id), 0) from payment")?
        .query_row([], |row| row.get(0))?)
}

/// How many payments the index of texts does not cover yet.
pub fn behind(conn: &Connection) -> Result<i64, StoreError> {
    Ok(newest(conn)? - filled(conn, Index::Text)?)
}

/// How many payments the index of initials, phone numbers and amounts does not cover yet: many after an
/// update from a version that had none.
pub fn keys_behind(conn: &Connection) -> Result<i64, StoreError> {
    Ok(newest(conn)? - filled(conn, Index::Keys)?)
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

    #[test]
    fn initials_are_indexed_where_there_is_korean_and_numbers_as_words() {
        let initials = |fields: [&str; 2]| initials_of(&fields.map(str::to_owned));
        assert_eq!(initials(["Green tea", "Hong"]), "");
        assert_eq!(initials(["Green tea", "홍길동"]), grams("ㅎㄱㄷ"));
        assert_eq!(exact("010-1234-5678", 12_000), "w12000 t01012345678 t5678");
        let fours = fours_of(["imp_12345", "123", "a-6789-b"].map(str::to_owned).iter());
        assert_eq!(fours, "1234 2345 x 6789");
        assert_eq!(
            phrase_of_digits("imp_12345 6789").as_deref(),
            Some("digits : \"1234 2345\" AND digits : \"6789\"")
        );
        assert_eq!(phrase_of_digits("123-456 사과"), None);
        for none in ["12", "전화 없음", ""] {
            assert_eq!(exact(none, 5), "w5");
        }
    }
}
