//! Finding payments by any part of a text, in Korean too.
//!
//! Words in Korean are short and glued together, so the index holds *pairs of characters*: what is searched for
//! is found when its pairs stand next to each other. Beside them stand *letters* by themselves, pairs of *initial
//! consonants*, by which 홍길동 is found as ㅎㄱㄷ, *four digits in a row* out of every number, since pairs of digits
//! are in every payment and four are in few, and as words of their own what is looked for as a whole: a phone
//! number, its last four digits, a mail address, an amount. Each sort begins with a letter of its own that is no
//! hexadecimal digit, so one index holds them all.
//!
//! The last word of a payment is its *block* of [`BLOCK`]. A question is put to a few blocks at a time, newest
//! first, and the next only while there is time: common pairs that stand nowhere next to each other would else
//! be followed through all the books.
//!
//! The index is filled behind the writes, a few hundred payments at a time, to keep out of the way of money; what
//! it does not cover yet is read, at most the newest [`TAIL`] payments. So books of before there was this index
//! are searched by what it covers until it has taken them in.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row};
use sha2::{Digest, Sha256};

use super::{StoreError, Tx};
use crate::domain::{
    hangul,
    money::Won,
    wanted::{Wanted, digits},
};

/// Payments that may wait for the index before intake has to help, and that a search reads at most.
pub const TAIL: i64 = 20_000;

/// Payments of one block, as a power of two: 16,384. Smaller ones would have to be asked more often, larger ones take
/// too long where a question is hard.
const BLOCK: u32 = 14;

fn block_of(row: i64) -> i64 {
    row >> BLOCK
}

/// A pair of characters as one word that any tokenizer leaves whole.
fn pair(first: char, second: char) -> String {
    format!("{:05x}{:05x}", first as u32, second as u32)
}

/// A text as it is indexed and looked for.
fn letters_of(text: &str) -> Vec<char> {
    let lower = text.to_lowercase();
    lower.chars().filter(|c| !c.is_control()).collect()
}

/// The pairs of a text, each behind `sort`.
fn pairs(sort: &str, text: &str) -> Vec<String> {
    let letters = letters_of(text);
    let pairs = letters.windows(2);
    pairs
        .map(|of| sort.to_owned() + &pair(of[0], of[1]))
        .collect()
}

/// What begins the pairs of initial consonants.
const INITIALS: &str = "i";

/// Words that stand next to each other.
fn phrase(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| format!("\"{}\"", words.join(" ")))
}

fn letter(c: char) -> String {
    format!("l{:05x}", c as u32)
}

/// A mail address as one word, in whatever case.
fn mail_word(mail: &str) -> String {
    let hash = Sha256::digest(mail.trim().to_lowercase());
    format!("m{}", hex::encode(&hash[..8]))
}

/// Up to which payment the index is filled.
const FILLED: &str = "search_filled";

fn filled(conn: &Connection) -> Result<i64, StoreError> {
    let text: Option<String> = conn
        .prepare_cached("select value from setting where key = ?1")?
        .query_row([FILLED], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// One way to the payments that somebody looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// What the index is asked; `None` if it has no answer, as to a single Latin letter, and payments are read.
    pub phrase: Option<String>,
    /// Whether the index may give payments that do not fit: then each is looked at.
    pub rough: bool,
    /// Whether its words may be in very many payments and stand together in none: then the index is asked a few blocks
    /// at a time.
    pub common: bool,
}

impl Way {
    fn exact(word: String) -> Way {
        Way {
            phrase: Some(format!("\"{word}\"")),
            rough: false,
            common: false,
        }
    }

    fn of_pairs(text: &str) -> Way {
        Way {
            phrase: phrase(&pairs("", text)),
            rough: false,
            common: true,
        }
    }

    /// Of initial consonants, or of a text with some in it.
    fn of_initials(text: &str) -> Way {
        Way {
            phrase: phrase(&pairs(INITIALS, &hangul::initials(text))),
            // Whoever types 홍ㄱㄷ wants no 한갑돌.
            rough: !text.chars().all(hangul::is_initial),
            common: true,
        }
    }

    fn of_digits(text: &str) -> Option<Way> {
        // Korean around a number says more than the number: a year stands in every order's id.
        let phrase = phrase_of_digits(text).filter(|_| text.is_ascii())?;
        Some(Way {
            phrase: Some(phrase),
            rough: true,
            common: false,
        })
    }

    /// The payments themselves, as a letter of Latin is in nearly all of them.
    fn read() -> Way {
        Way {
            phrase: None,
            rough: true,
            common: false,
        }
    }
}

/// Payments above it are to be read, those up to it are found by the index.
pub(super) fn covered(conn: &Connection) -> Result<i64, StoreError> {
    Ok(filled(conn)?.max(newest(conn)? - TAIL))
}

/// A question to some blocks: the `count` of them that end with the one in which `row` is. With the first row of
/// the oldest of them.
pub(super) fn of_blocks(phrase: &str, row: i64, count: i64) -> (String, i64) {
    let last = block_of(row.max(0));
    let first = (last - count + 1).max(0);
    let blocks: Vec<String> = (first..=last).map(|block| format!("z{block}")).collect();
    let question = [phrase, " AND (", &blocks.join(" OR "), ")"].concat();
    (question, first << BLOCK)
}

/// The way to payments that hold a text. What is a whole phone number or mail address is looked for as that.
pub(super) fn way(wanted: &Wanted) -> Way {
    let text = wanted.text();
    if is_mail(text) {
        return Way::exact(mail_word(text));
    }
    match way_of_phone(wanted) {
        Some(way) if digits(text).len() > 4 => way,
        _ => way_of_part(wanted),
    }
}

/// The way to payments that hold it as a part of a text: also of those that no payment has as a whole.
pub(super) fn way_of_part(wanted: &Wanted) -> Way {
    let text = wanted.text();
    if wanted.is_short() {
        let asked = text.chars().next().filter(|c| !c.is_ascii());
        return asked.map_or_else(Way::read, |c| Way::exact(letter(c)));
    }
    if wanted.has_initials() {
        return Way::of_initials(text);
    }
    Way::of_digits(text).unwrap_or_else(|| Way::of_pairs(text))
}

/// Whether it is a mail address from end to end: then it is first looked for as a whole.
fn is_mail(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else {
        return false;
    };
    let ends = [".com", ".net", ".org", ".kr"];
    !name.is_empty()
        && !host.contains('@')
        && !text.contains(char::is_whitespace)
        && ends
            .iter()
            .any(|end| host.ends_with(end) && host.len() > end.len())
}

/// The way to payments by a phone number, or its last four digits.
pub(super) fn way_of_phone(wanted: &Wanted) -> Option<Way> {
    wanted
        .phone()
        .map(|number| Way::exact(format!("t{number}")))
}

/// The way to payments of exactly this amount.
pub(super) fn way_of_amount(amount: Won) -> Way {
    Way::exact(format!("w{}", amount.get()))
}

/// What is searched, column by column.
const FIELDS: &str = "p.imp_uid, p.merchant_uid, p.about ->> '$.name', p.about ->> '$.buyer_name',
    p.about ->> '$.buyer_email', p.about ->> '$.buyer_tel', p.amount";

/// The words of a payment's row that begins with [`FIELDS`] at the column `at`.
fn words(id: i64, row: &Row<'_>, at: usize) -> rusqlite::Result<String> {
    let text = |of: usize| -> rusqlite::Result<String> {
        Ok(row.get::<_, Option<String>>(at + of)?.unwrap_or_default())
    };
    let fields = [text(0)?, text(1)?, text(2)?, text(3)?, text(4)?, text(5)?];
    Ok(words_of(id, &fields, row.get(at + 6)?))
}

/// A word that nobody looks for, between two fields: no phrase spans them.
const APART: &str = "x";

/// All words of a payment. `fields`: its ids, the order's name, the buyer's name, mail and phone.
fn words_of(id: i64, fields: &[String; 6], amount: i64) -> String {
    let [_, _, _, _, mail, tel] = fields;
    let mut words: Vec<String> = Vec::new();
    let mut letters: BTreeSet<char> = BTreeSet::new();
    for field in fields {
        words.extend(pairs("", field));
        words.push(APART.into());
        letters.extend(letters_of(field).into_iter().filter(|c| !c.is_ascii()));
        // Of what has no Korean in it there is nothing to find by initials.
        if field.chars().any(|c| hangul::initial(c).is_some()) {
            let initials = hangul::initials(field);
            words.extend(pairs(INITIALS, &initials));
            words.push(APART.into());
            letters.extend(initials.chars().filter(|c| hangul::is_initial(*c)));
        }
    }
    words.extend(letters.into_iter().map(letter));
    for number in fields
        .iter()
        .chain([&digits(tel)])
        .flat_map(|field| numbers(field))
    {
        words.extend(fours(number));
        words.push(APART.into());
    }
    let number = digits(tel);
    if let Some(end) = number.len().checked_sub(4).and_then(|at| number.get(at..)) {
        words.extend([format!("t{number}"), format!("t{end}")]);
    }
    if !mail.trim().is_empty() {
        words.push(mail_word(mail));
    }
    words.extend([format!("w{amount}"), format!("z{}", block_of(id))]);
    words.join(" ")
}

/// The numbers in a text, of four digits and more.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|number| number.len() >= 4)
}

/// Each four digits of a number that stand in a row.
fn fours(number: &str) -> Vec<String> {
    let last = number.len().saturating_sub(4);
    (0..=last)
        .filter_map(|at| Some(format!("d{}", number.get(at..at + 4)?)))
        .collect()
}

/// The question that finds every number of a text; none if it has none.
fn phrase_of_digits(text: &str) -> Option<String> {
    let phrases: Vec<String> = numbers(text)
        .map(|number| format!("\"{}\"", fours(number).join(" ")))
        .collect();
    (!phrases.is_empty()).then(|| phrases.join(" AND "))
}

const PUT: &str = "insert or replace into payment_search (rowid, words) values (?1, ?2)";

/// A payment's text changed: it is indexed anew.
pub fn forget(conn: &Connection, row: i64) -> Result<(), StoreError> {
    if row <= filled(conn)? {
        let words = conn
            .prepare_cached(&format!("select {FIELDS} from payment p where p.id = ?1"))?
            .query_row([row], |of| words(row, of, 0))?;
        conn.prepare_cached(PUT)?.execute((row, words))?;
    }
    Ok(())
}

/// Whether the index holds words of payments that do not have them any more.
const STALE: &str = "search_stale";

/// Remembers that words went which nobody may find any more, in the transaction in which they went: until its parts
/// are put together, the index keeps what it does not show.
pub fn mark_stale(conn: &Connection) -> Result<(), StoreError> {
    conn.prepare_cached("insert or ignore into setting (key, value) values (?1, '1')")?
        .execute([STALE])?;
    Ok(())
}

pub fn is_stale(conn: &Connection) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached("select exists (select 1 from setting where key = ?1)")?
        .query_row([STALE], |row| row.get(0))?)
}

/// Begins to put all parts of the index together that there are now. To be followed by [`put_together`].
pub fn begin_to_put_together(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    begin(tx.conn(), STEP)
}

fn begin(conn: &Connection, pages: i64) -> Result<(), StoreError> {
    // Two parts are enough to go on with: new ones that come in between are looked at first, and where there are fewer
    // than this says nothing at all is done.
    conn.execute(
        "insert into payment_search (payment_search, rank) values ('usermerge', 2)",
        [],
    )?;
    // Negative takes all parts, not only those of which there are many. Only at first: with each such step a payment
    // that came in between would have it begin anew.
    merge(conn, -pages)?;
    Ok(())
}

/// Steps after which it is left for another night: some times as many as it takes. Where more payments come in than
/// are taken up by each step there is always more to do.
pub fn steps(conn: &Connection) -> Result<i64, StoreError> {
    Ok(most_steps(newest(conn)?))
}

fn most_steps(payments: i64) -> i64 {
    200 + payments / 200
}

/// Goes on with it, a little at a time. Whether there is more to do.
pub fn put_together(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let conn = tx.conn();
    let more = merge(conn, STEP)?;
    if !more {
        conn.prepare_cached("delete from setting where key = ?1")?
            .execute([STALE])?;
    }
    Ok(more)
}

/// Pages that one step writes at most: about a megabyte.
const STEP: i64 = 250;

/// One step of merging the parts of the index. Whether it did anything: SQLite's manual has it that fewer than two
/// changes say that there was nothing to do.
fn merge(conn: &Connection, pages: i64) -> Result<bool, StoreError> {
    let changes = |conn: &Connection| -> rusqlite::Result<i64> {
        conn.prepare_cached("select total_changes()")?
            .query_row([], |row| row.get(0))
    };
    let before = changes(conn)?;
    conn.prepare_cached("insert into payment_search (payment_search, rank) values ('merge', ?1)")?
        .execute([pages])?;
    Ok(changes(conn)? - before >= 2)
}

/// Indexes the next payments, at most `limit`. Gives how many.
pub fn fill(tx: &mut Tx<'_>, limit: usize) -> Result<usize, StoreError> {
    fill_next(tx.conn(), limit)
}

fn fill_next(conn: &Connection, limit: usize) -> Result<usize, StoreError> {
    let mut query = conn.prepare_cached(&format!(
        "select p.id, {FIELDS} from payment p where p.id > ?1 order by p.id limit ?2"
    ))?;
    let mut add = conn.prepare_cached(PUT)?;
    let mut rows = query.query((filled(conn)?, limit as i64))?;
    let (mut many, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        add.execute((id, words(id, row, 1)?))?;
        (many, last) = (many + 1, Some(id));
    }
    if let Some(last) = last {
        conn.prepare_cached(
            "insert into setting (key, value) values (?1, ?2)
             on conflict (key) do update set value = excluded.value",
        )?
        .execute((FILLED, last.to_string()))?;
    }
    Ok(many)
}

/// Fills the index up to a payment, for tests.
#[cfg(test)]
pub(super) fn fill_up_to(conn: &Connection, row: i64) -> Result<(), StoreError> {
    while filled(conn)? < row && fill_next(conn, 1)? > 0 {}
    Ok(())
}

fn newest(conn: &Connection) -> Result<i64, StoreError> {
    Ok(conn
        .prepare_cached("select coalesce(max(id), 0) from payment")?
        .query_row([], |row| row.get(0))?)
}

/// How many payments the index does not cover yet: many after an update from a version with another index.
pub fn behind(conn: &Connection) -> Result<i64, StoreError> {
    Ok(newest(conn)? - filled(conn)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(texts: [&str; 6]) -> [String; 6] {
        texts.map(str::to_owned)
    }

    fn index(conn: &Connection, rows: &[(i64, [&str; 6], i64)]) {
        conn.execute_batch(
            "create virtual table s using fts5 (words, content='', contentless_delete=1, tokenize='ascii')",
        )
        .unwrap();
        for (id, texts, amount) in rows {
            let words = words_of(*id, &fields(*texts), *amount);
            conn.execute("insert into s (rowid, words) values (?1, ?2)", (id, words))
                .unwrap();
        }
    }

    /// All that any way leads to, through all blocks.
    fn find(conn: &Connection, text: &str) -> Vec<i64> {
        let mut found = BTreeSet::new();
        let wanted = Wanted::read(text).unwrap();
        for way in [way(&wanted), way_of_part(&wanted)] {
            let (asked, low) = of_blocks(way.phrase.as_deref().unwrap(), 1 << 20, 1 << 7);
            assert_eq!(low, 0);
            let mut query = conn
                .prepare("select rowid from s where s match ?1 order by 1")
                .unwrap();
            let rows = query
                .query_map([asked], |row| row.get::<_, i64>(0))
                .unwrap();
            found.extend(rows.map(Result::unwrap));
        }
        found.into_iter().collect()
    }

    #[test]
    fn the_index_is_put_together_also_while_payments_come_in() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "create virtual table payment_search using fts5
                 (words, content='', contentless_delete=1, tokenize='ascii')",
        )
        .unwrap();
        let put = |id: i64, name: &str| {
            let name = format!("{name} {}", id * 7_919);
            let texts = ["imp", "ord", "사과", &name, "", ""].map(str::to_owned);
            let words = words_of(id, &texts, id)
                + if name.contains("홍") {
                    " canaryzz"
                } else {
                    ""
                };
            conn.prepare_cached(PUT)
                .unwrap()
                .execute((id, words))
                .unwrap();
        };
        for id in 1..=4_000 {
            put(id, if id == 77 { "홍" } else { "김" });
        }
        let holds = || -> bool {
            conn.query_row(
                "select exists (select 1 from payment_search_data where instr(block, cast('canaryzz' as blob)))",
                [],
                |row| row.get(0),
            )
            .unwrap()
        };
        let mut next = 4_001;
        let mut whole = |at_once: i64, enough: i64| {
            put(77, "김");
            assert!(holds(), "it is found no more, and it is there");
            begin(&conn, 10).unwrap();
            let mut steps = 1;
            while merge(&conn, 10).unwrap() {
                steps += 1;
                for _ in 0..at_once {
                    put(next, "김");
                    next += 1;
                }
                assert!(steps < most_steps(4_000), "it never ends");
            }
            assert!(steps > enough, "{steps} steps: there was enough to do");
            assert!(!holds(), "{at_once} at once");
        };
        // Out of many parts; then out of the one big one, and those of a night.
        whole(1, 5);
        for at_once in [0, 1] {
            begin(&conn, 1_000).unwrap();
            while merge(&conn, 1_000).unwrap() {}
            // Among others, for a part that has lost nearly all of its words is taken up by itself.
            conn.execute_batch("begin").unwrap();
            put(77, "홍");
            (100..150).for_each(|id| put(id, "김"));
            conn.execute_batch("commit").unwrap();
            whole(at_once, 5);
        }
    }

    #[test]
    fn any_part_of_a_text_is_found() {
        let conn = Connection::open_in_memory().unwrap();
        index(
            &conn,
            &[
                (
                    0,
                    [
                        "imp_123",
                        "ord-7",
                        "햇사과 5kg",
                        "홍길동",
                        "Hong@shop.kr",
                        "010-1234-5678",
                    ],
                    12_000,
                ),
                (
                    90_000,
                    ["imp_999", "ord-8", "배", "김길동", "kim@example.com", ""],
                    9_000,
                ),
            ],
        );
        for (text, rows) in [
            ("사과", &[0][..]),
            ("길동", &[0, 90_000]),
            ("홍", &[0]),
            ("동", &[0, 90_000]),
            ("ORD-", &[0, 90_000]),
            ("imp_999", &[90_000]),
            ("5KG", &[0]),
            ("kg홍", &[]),
            ("\" OR *", &[]),
            ("ㅎㄱㄷ", &[0]),
            ("ㄱㄷ", &[0, 90_000]),
            ("ㅂ", &[90_000]),
            ("5678", &[0]),
            ("01012345678", &[0]),
            ("hong@SHOP.kr", &[0]),
            ("hong@", &[0]),
            ("example", &[90_000]),
            ("zz", &[]),
        ] {
            assert_eq!(find(&conn, text), rows, "{text}");
        }
    }

    #[test]
    fn a_question_goes_to_the_blocks_that_end_with_a_row() {
        assert_eq!(
            of_blocks("\"a b\"", 40_000, 2),
            ("\"a b\" AND (z1 OR z2)".into(), 16_384)
        );
        assert_eq!(of_blocks("q", 5, 8), ("q AND (z0)".into(), 0));
    }

    #[test]
    fn numbers_are_words_and_so_are_their_fours() {
        assert_eq!(
            phrase_of_digits("imp_12345 6789").as_deref(),
            Some("\"d1234 d2345\" AND \"d6789\"")
        );
        assert_eq!(phrase_of_digits("123-456 사과"), None);
        let words = |tel: &str| words_of(3, &fields(["", "", "", "", "", tel]), 5);
        assert!(words("010-1234-5678").contains("t01012345678 t5678 w5 z0"));
        for none in ["12", "전화 없음", ""] {
            assert!(!words(none).contains(" t"), "{none}");
        }
        assert!(!words_of(0, &fields(["Green tea", "", "", "", "", ""]), 5).contains(" i"));
    }

    #[test]
    fn a_mail_address_is_looked_for_as_a_whole_once_it_is_one() {
        for (text, mail) in [
            ("a@b.co.kr", true),
            ("hong@example.com", true),
            ("hong@example", false),
            ("hong@example.c", false),
            ("@example.com", false),
            ("a b@c.kr", false),
            ("hong@.com", false),
        ] {
            assert_eq!(is_mail(text), mail, "{text}");
        }
    }
}
