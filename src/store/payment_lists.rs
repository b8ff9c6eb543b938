//! Payments as people look for them: by state, day, partner, method, hold, amount, and by a part of a text.
//!
//! Each filter has an index that gives the list's order; of several the one is followed whose payments lie furthest
//! apart, and what it gives is looked at for the rest. A page ends when it is full, or when it has looked long
//! enough: then it says where to go on, so that no filter, however little fits, keeps anybody waiting.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{
    StoreError, instant, instant_maybe,
    payment_paths::{Bound, Path, bind, bound, days},
    payments::{COLUMNS, PaymentRow, payment_row},
    search::{self, Way},
};
use crate::domain::{calendar::KstDay, money::Won, payment::Status, wanted::Wanted};

/// What a list is cut by. All of it together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub status: Option<Status>,
    /// Only payments that something holds.
    pub held: bool,
    /// Only those held for this reason, by its code.
    pub hold: Option<String>,
    /// Only those with a cancel of which nobody knows yet whether it was carried out.
    pub unknown: bool,
    pub from: Option<KstDay>,
    pub to: Option<KstDay>,
    pub partner: Option<String>,
    pub method: Option<String>,
    /// Exactly this amount.
    pub amount: Option<Won>,
    /// Part of an order id, imp_uid, order name or the buyer's name, mail or phone. Lone consonants stand for
    /// Korean syllables.
    pub text: Option<String>,
}

impl Filter {
    /// Whether payments have to be looked at that may not fit: else an index gives only those that do.
    pub fn is_looked_for(&self) -> bool {
        let by_index = [
            self.status.is_some(),
            self.held || self.hold.is_some(),
            self.partner.is_some(),
            self.method.is_some(),
        ];
        let several = by_index.into_iter().filter(|asked| *asked).count() > 1;
        several || self.unknown || self.text.is_some() || self.amount.is_some()
    }
}

/// Where a page of a list begins: after this payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Its place in time; `None` in a list whose order is in which payments were first heard of.
    pub at: Option<i64>,
    pub row: i64,
}

impl Cursor {
    pub fn parse(text: &str) -> Option<Cursor> {
        // Without a sign: there is none in what we hand out.
        let number = |text: &str| {
            let signed = text.starts_with(['+', '-']);
            i64::from_str_radix(text, 36).ok().filter(|_| !signed)
        };
        if let Some(row) = text.strip_prefix('~') {
            return Some(Cursor {
                at: None,
                row: number(row)?,
            });
        }
        let (at, row) = text.split_once('-')?;
        Some(Cursor {
            at: Some(number(at)?),
            row: number(row)?,
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Some(at) => write!(f, "{}-{}", base36(at), base36(self.row)),
            None => write!(f, "~{}", base36(self.row)),
        }
    }
}

fn base36(number: i64) -> String {
    let mut left = number.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((left % 36) as u32, 36).unwrap_or('0'));
        left /= 36;
        if left == 0 {
            break;
        }
    }
    digits.iter().rev().collect()
}

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    pub rows: Vec<PaymentRow>,
    /// Where the next page begins. `None`: there are no more.
    pub next: Option<Cursor>,
    /// It ends before it is full, as enough payments that do not fit were looked at: further on there may be more
    /// that do. The last that was looked at is of then.
    pub looked_until: Option<Timestamp>,
}

/// How long a page looks for payments that fit. It always looks at some, so it always gets on.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    until: Instant,
    looked_at: usize,
}

impl Patience {
    /// Payments that are looked at, whatever the time.
    const LEAST: usize = 500;

    pub fn of(time: Duration) -> Patience {
        Patience {
            until: Instant::now() + time,
            looked_at: 0,
        }
    }

    /// Whether it ends with one more that was looked at.
    fn ends(&mut self) -> bool {
        self.looked_at += 1;
        // Of a clock that is read for every payment the reading would be felt.
        self.looked_at >= Patience::LEAST && self.looked_at.is_multiple_of(32) && self.is_over()
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// For a page of a list.
const PATIENCE: Duration = Duration::from_millis(6);

/// Payments, newest first. The statements are built from fixed pieces; values are always bound.
///
/// Each filter has an index that gives the list's order; of several the one is followed that has the fewest. A
/// search runs over an index of its own, newest heard first, unless the filter leaves few. A page ends when it is
/// full, or when it has looked long enough: then it says where to go on.
pub fn list(
    conn: &Connection,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Listed, StoreError> {
    list_within(conn, filter, after, limit, Patience::of(PATIENCE))
}

/// The same with a patience of its own.
pub fn list_within(
    conn: &Connection,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
    patience: Patience,
) -> Result<Listed, StoreError> {
    let text = filter.text.as_deref().map(str::trim);
    let text = text.filter(|text| !text.is_empty());
    let wanted = text.map(Wanted::read);
    if matches!(wanted, Some(None)) {
        return Ok(Listed::default());
    }
    let wanted = wanted.flatten();
    let way = match (&wanted, filter.amount) {
        (Some(wanted), _) => Some(search::way(wanted)),
        (None, Some(amount)) => Some(search::way_of_amount(amount)),
        (None, None) => None,
    };
    let look = Look {
        conn,
        filter,
        wanted: wanted.as_ref(),
        limit,
    };
    let by_path = match after {
        Some(cursor) => cursor.at.is_some(),
        None => way.is_none() || look.leaves_few()?,
    };
    let (Some(way), false) = (way, by_path) else {
        return look.along_path(after, patience);
    };
    let below = after.map_or(i64::MAX, |cursor| cursor.row);
    let found = look.along_way(&way, below, patience)?;
    let part = wanted.as_ref().map(search::way_of_part);
    match part.filter(|part| *part != way) {
        Some(part) if found.rows.is_empty() && found.next.is_none() => {
            look.along_way(&part, below, patience)
        }
        _ => Ok(found),
    }
}

/// Payments of a buyer whose phone number is this, or ends like this; newest heard first.
pub fn of_phone(
    conn: &Connection,
    wanted: &Wanted,
    limit: usize,
    patience: Patience,
) -> Result<Vec<PaymentRow>, StoreError> {
    let Some(way) = search::way_of_phone(wanted) else {
        return Ok(Vec::new());
    };
    let look = Look {
        conn,
        filter: &Filter::default(),
        wanted: Some(wanted),
        limit,
    };
    Ok(look.along_way(&way, i64::MAX, patience)?.rows)
}

/// Payments whose order's id begins like this; the smallest id first.
pub fn of_orders_like(
    conn: &Connection,
    begins: &str,
    limit: usize,
) -> Result<Vec<PaymentRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from payment p where p.merchant_uid >= ?1 and p.merchant_uid < ?1 || char(1114111)
          order by p.merchant_uid limit ?2"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query
        .query_and_then((begins, limit as i64), payment_row)?
        .collect()
}

/// How SQLite goes about a list, a line a step: for the test that no list scans a table.
pub fn plan(
    conn: &Connection,
    filter: &Filter,
    after: Option<Cursor>,
) -> Result<Vec<String>, StoreError> {
    let mut steps = Vec::new();
    for path in Path::of(filter) {
        let (sql, values) = path.sql(filter, after);
        let mut query = conn.prepare(&format!("explain query plan {sql}"))?;
        for step in query.query_map(bound(&values).as_slice(), |row| row.get(3))? {
            steps.push(step?);
        }
    }
    Ok(steps)
}

/// A filter that leaves no more than these is followed by its own index, whatever is searched for.
const FEW: usize = 3_000;

/// A list as it is read.
struct Look<'a> {
    conn: &'a Connection,
    filter: &'a Filter,
    wanted: Option<&'a Wanted>,
    limit: usize,
}

impl Look<'_> {
    /// The place in time of the `many`th payment of a path; `None` if it has fewer.
    fn depth(
        &self,
        path: Path,
        after: Option<Cursor>,
        many: usize,
    ) -> Result<Option<i64>, StoreError> {
        let mut values: Bound = Vec::new();
        let range = path.range(self.filter, after, &mut values);
        // Not bound: SQLite prepares a statement anew whenever the value of its limit is bound.
        let (at, _) = path.columns();
        let sql = format!("select {at} from {range} limit 1 offset {many}");
        let mut query = self.conn.prepare_cached(&sql)?;
        Ok(query
            .query_row(bound(&values).as_slice(), |row| row.get(0))
            .optional()?)
    }

    /// The path whose payments lie furthest apart, or that has the fewest.
    fn path(&self, after: Option<Cursor>) -> Result<Path, StoreError> {
        let paths = Path::of(self.filter);
        let mut best = (paths[0], Some(i64::MAX));
        if let [only] = paths.as_slice() {
            return Ok(*only);
        }
        for path in paths {
            let depth = self.depth(path, after, Patience::LEAST)?;
            if depth < best.1 {
                best = (path, depth);
            }
            if depth.is_none() {
                break;
            }
        }
        Ok(best.0)
    }

    /// Whether the filter alone leaves few.
    fn leaves_few(&self) -> Result<bool, StoreError> {
        let filter = self.filter;
        let narrow = filter.from.is_some() || Path::of(filter) != [Path::Time];
        if !narrow {
            return Ok(false);
        }
        for path in Path::of(filter) {
            if self.depth(path, None, FEW)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn row(&self, id: i64) -> Result<Option<PaymentRow>, StoreError> {
        let sql = format!("select {COLUMNS} from payment p where p.id = ?1");
        let mut query = self.conn.prepare_cached(&sql)?;
        query.query_and_then([id], payment_row)?.next().transpose()
    }

    /// What fits along the path with the fewest.
    fn along_path(
        &self,
        after: Option<Cursor>,
        mut patience: Patience,
    ) -> Result<Listed, StoreError> {
        let path = self.path(after)?;
        let (sql, values) = path.sql(self.filter, after);
        let mut query = self.conn.prepare_cached(&sql)?;
        let mut along = query.query(bound(&values).as_slice())?;
        let mut listed = Listed::default();
        let mut last = None;
        while let Some(step) = along.next()? {
            let (at, row, fits): (i64, i64, bool) = (step.get(0)?, step.get(1)?, step.get(2)?);
            let found = match fits {
                true => self.row(row)?,
                false => None,
            };
            let found = found.filter(|found| self.wanted.is_none_or(|wanted| found.fits(wanted)));
            if let Some(found) = found {
                // One more than is shown: there are more.
                if listed.rows.len() >= self.limit {
                    listed.next = last;
                    break;
                }
                listed.rows.push(found);
                last = Some(Cursor { at: Some(at), row });
            }
            if patience.ends() {
                listed.next = Some(Cursor { at: Some(at), row });
                let short = listed.rows.len() < self.limit;
                listed.looked_until = short.then(|| instant(at)).transpose()?;
                break;
            }
        }
        Ok(listed)
    }

    /// What a way leads to, below a row.
    fn along_way(&self, way: &Way, below: i64, patience: Patience) -> Result<Listed, StoreError> {
        let (mut rows, looked_until) = self.along(way, below, patience)?;
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next = match more {
            true => rows.last().map(|last| last.row),
            false => looked_until,
        };
        let short = rows.len() < self.limit;
        let looked_until = next.filter(|_| short).map(|row| self.time_of(row));
        Ok(Listed {
            rows,
            next: next.map(|row| Cursor { at: None, row }),
            looked_until: looked_until.transpose()?.flatten(),
        })
    }

    /// When the first payment from a row on is of.
    fn time_of(&self, row: i64) -> Result<Option<Timestamp>, StoreError> {
        let sql = "select at from payment where id >= ?1 order by id limit 1";
        let mut query = self.conn.prepare_cached(sql)?;
        let at = query.query_row([row], |row| row.get(0)).optional()?;
        instant_maybe(at)
    }

    /// One more than the limit that one way leads to, newest heard first; and the row down to which it was followed,
    /// if not to its end.
    fn along(
        &self,
        way: &Way,
        below: i64,
        mut patience: Patience,
    ) -> Result<(Vec<PaymentRow>, Option<i64>), StoreError> {
        let mut rows = Vec::new();
        // What no index covers yet is read first: it is newer.
        let floor = match way.phrase {
            Some(_) => search::covered(self.conn)? + 1,
            None => 0,
        };
        if let Some(until) = self.read(floor, below, &mut rows, &mut patience)? {
            return Ok((rows, Some(until)));
        }
        let Some(phrase) = &way.phrase else {
            return Ok((rows, None));
        };
        let mut top = below.min(floor);
        let mut blocks = 1;
        while top > 0 && rows.len() <= self.limit {
            let began = Instant::now();
            let (question, low) = search::of_blocks(phrase, top - 1, blocks);
            let until = self.ask(way, &question, top, &mut rows, &mut patience)?;
            if until.is_some() {
                return Ok((rows, until));
            }
            top = low;
            let took = began.elapsed();
            // Twice as many once they are answered at once, fewer where they take long.
            if took < QUICK {
                blocks *= 2;
            } else if took > QUICK * 4 {
                blocks = (blocks / 2).max(1);
            }
            if patience.is_over() && top > 0 && rows.len() <= self.limit {
                return Ok((rows, Some(top)));
            }
        }
        Ok((rows, None))
    }

    /// Reads payments in `[floor, below)`.
    fn read(
        &self,
        floor: i64,
        below: i64,
        rows: &mut Vec<PaymentRow>,
        patience: &mut Patience,
    ) -> Result<Option<i64>, StoreError> {
        let from = "payment p where p.id >= :floor and p.id < :row order by p.id desc";
        let values: Bound = vec![(":floor", Box::new(floor)), (":row", Box::new(below))];
        self.walk(from, values, true, rows, patience)
    }

    /// Puts a question to the index.
    fn ask(
        &self,
        way: &Way,
        question: &str,
        below: i64,
        rows: &mut Vec<PaymentRow>,
        patience: &mut Patience,
    ) -> Result<Option<i64>, StoreError> {
        let from = "payment_search s cross join payment p on p.id = s.rowid
              where s.payment_search match :question and s.rowid < :row order by s.rowid desc";
        let values: Bound = vec![
            (":question", Box::new(question.to_owned())),
            (":row", Box::new(below)),
        ];
        self.walk(from, values, way.rough, rows, patience)
    }

    /// Adds what fits, newest heard first, until there is one more than the page shows; each is looked at if what leads
    /// here is `rough`. Gives the last that was looked at if the patience ended before.
    fn walk(
        &self,
        from: &str,
        mut values: Bound,
        rough: bool,
        rows: &mut Vec<PaymentRow>,
        patience: &mut Patience,
    ) -> Result<Option<i64>, StoreError> {
        let fits = self.fits(&mut values);
        let sql = format!("select p.id, {fits} from {from}");
        let mut query = self.conn.prepare_cached(&sql)?;
        let mut along = query.query(bound(&values).as_slice())?;
        while let Some(step) = along.next()? {
            let (id, fits): (i64, bool) = (step.get(0)?, step.get(1)?);
            if fits {
                let found = self.row(id)?;
                rows.extend(
                    found.filter(|found| {
                        !rough || self.wanted.is_none_or(|wanted| found.fits(wanted))
                    }),
                );
            }
            if rows.len() > self.limit {
                break;
            }
            if patience.ends() {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The filter as a column over `payment p`.
    fn fits(&self, values: &mut Bound) -> String {
        let mut conditions = Path::Time.conditions(self.filter);
        let (mut sql, mut of_days) = (String::new(), Vec::new());
        days(self.filter, "p.at", &mut sql, &mut of_days);
        bind(self.filter, &conditions, values);
        values.extend(of_days);
        conditions.push("1");
        conditions.join(" and ") + &sql
    }
}

/// Questions that are answered sooner are put to more of the index at once.
const QUICK: Duration = Duration::from_micros(400);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{prelude::*, strategy::ValueTree as _};

    use super::*;
    use crate::store::migrations::migrations;

    #[test]
    fn a_cursor_reads_back() {
        for cursor in [
            Cursor {
                at: Some(1_754_450_000_123),
                row: 42,
            },
            Cursor {
                at: Some(0),
                row: 0,
            },
            Cursor { at: None, row: 42 },
        ] {
            assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }
        for wrong in [
            "",
            "-",
            "abc",
            "1-",
            "-1",
            "~",
            "~1-2",
            "1-2-3",
            "zzzzzzzzzzzzzzzzzzzz-1",
        ] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }

    const MANY: i64 = 1_700;
    const DAY: i64 = 86_400_000;

    /// Books in which every filter has many, few and none, in two blocks of the index and behind it.
    fn books() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        migrations::runner().run(&mut conn).unwrap();
        conn.execute_batch(&format!(
            "pragma foreign_keys = off;
             with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < {MANY})
             insert into payment (id, imp_uid, merchant_uid, status, amount, cancelled, wish, hold, test, method, about, at,
                                  created_at, updated_at)
             select 15000 + i, printf('imp_%05d', i * 7919 % 100000), 'order-' || i,
                    iif(i % 97 = 0, 'CANCEL_FAILED', iif(i % 3 = 0, 'FAILED', 'PAID')), 1000 + i % 7, 0,
                    iif(i % 97 = 0, 'c' || i, null), iif(i % 50 = 1, '{{\"reason\":\"UNKNOWN_ORDER\"}}', null), 0,
                    iif(i % 201 = 5, 'trans', 'card'),
                    json_object('name', iif(i % 401 = 9, '유자청', '햇사과'), 'method', 'card', 'pg_provider', '', 'pg_tid', '', 'card_name', '', 'apply_num', '', 'receipt_url', '', 'virtual_account', '',
                                'buyer_name', iif(i % 151 = 3, '남궁민수', '홍길동'), 'buyer_email', printf('buyer%d@example.com', i % 40),
                                'buyer_tel', printf('010-%04d-%04d', i % 10000, i * 13 % 10000)),
                    (i * 48271 % {MANY}) * {DAY} / 100, 0, 0 from n;
             insert into payment_partner (partner_id, at, payment_id)
             select 'p' || (id % 5 + id % 499 * 7 % 3), at, id from payment;
             insert into cancel_attempt (cancellation_id, number, step, started_at, finished_at, asked, answer, outcome)
             select wish, 1, 'cancel', 0, 0, 'cancel', '{{}}', iif(id % 2, 'UNKNOWN', 'PERMANENT') from payment where wish is not null;"
        ))
        .unwrap();
        conn
    }

    fn fill(conn: &Connection, up_to: i64) {
        search::fill_up_to(conn, up_to).unwrap();
    }

    /// Every payment that fits, as a person would find them by looking at each.
    fn by_hand(conn: &Connection, filter: &Filter) -> BTreeSet<i64> {
        let sql = format!("select {COLUMNS} from payment p");
        let mut query = conn.prepare(&sql).unwrap();
        let rows = query.query_and_then([], payment_row).unwrap();
        let is = |sql: &str, id: i64, value: &str| -> bool {
            conn.prepare_cached(sql)
                .unwrap()
                .exists((id, value))
                .unwrap()
        };
        rows.map(Result::unwrap)
            .filter(|row| {
                let day = KstDay::of(row.at);
                let reason = row.hold.as_ref().map(|_| "UNKNOWN_ORDER");
                filter.status.is_none_or(|status| status == row.status)
                    && (!filter.held || row.hold.is_some())
                    && filter
                        .hold
                        .as_deref()
                        .is_none_or(|hold| reason == Some(hold))
                    && filter.method.as_deref().is_none_or(|method| {
                        is(
                            "select 1 from payment where id = ?1 and method = ?2",
                            row.row,
                            method,
                        )
                    }) && filter.partner.as_deref().is_none_or(|partner| {
                    is(
                        "select 1 from payment_partner where payment_id = ?1 and partner_id = ?2",
                        row.row,
                        partner,
                    )
                }) && filter.amount.is_none_or(|amount| amount == row.amount)
                    && filter.from.is_none_or(|from| day >= from)
                    && filter.to.is_none_or(|to| day <= to)
                    && (!filter.unknown
                        || row.cancellation.as_ref().is_some_and(|_| row.row % 2 == 1))
                    && filter.text.as_deref().is_none_or(|text| {
                        Wanted::read(text).is_some_and(|wanted| row.fits(&wanted))
                    })
            })
            .map(|row| row.row)
            .collect()
    }

    fn filters() -> impl Strategy<Value = Filter> {
        let one_of = |values: &'static [&'static str]| {
            proptest::option::weighted(0.4, proptest::sample::select(values))
                .prop_map(|value| value.map(str::to_owned))
        };
        let day = || {
            proptest::option::weighted(0.3, 0_i64..17).prop_map(|day| {
                day.map(|day| KstDay::of(Timestamp::from_millisecond(day * DAY).unwrap()))
            })
        };
        let texts: &[&str] = &[
            "010-",
            "order-1",
            "order-123",
            "남궁",
            "ㄴㄱㅁㅅ",
            "ㅎㄱ",
            "홍",
            "사과",
            "유",
            "1300",
            "example",
            "r3@example",
            "nowhere",
            "a",
            "zz",
            "01000010013",
        ];
        (
            one_of(&["PAID", "FAILED", "CANCEL_FAILED", "CANCELED"]),
            (any::<bool>(), any::<bool>(), any::<bool>()),
            one_of(&["card", "trans", "none"]),
            one_of(&["p0", "p1", "p6", "nobody"]),
            (day(), day()),
            proptest::option::weighted(0.15, 1_000_i64..1_008),
            proptest::option::weighted(0.5, proptest::sample::select(texts)),
        )
            .prop_map(
                |(status, (held, hold, unknown), method, partner, (from, to), amount, text)| {
                    Filter {
                        status: status.and_then(|text| Status::parse(&text)),
                        held: held && hold,
                        hold: (hold && unknown).then(|| "UNKNOWN_ORDER".to_owned()),
                        unknown: unknown && held,
                        from,
                        to,
                        partner,
                        method,
                        amount: amount.map(Won::new),
                        text: text.map(str::to_owned),
                    }
                },
            )
    }

    /// From page to page with no time at all: each page is short, and together they hold all that fits, once each.
    fn page_through(conn: &Connection, filter: &Filter, limit: usize) -> Vec<i64> {
        let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let patience = Patience::of(Duration::ZERO);
            let listed = list_within(conn, filter, after, limit, patience).unwrap();
            assert!(listed.rows.len() <= limit);
            assert!(listed.looked_until.is_none() || listed.next.is_some());
            found.extend(listed.rows.iter().map(|row| row.row));
            pages += 1;
            assert!(pages < 3_000, "it does not get on");
            match listed.next {
                Some(next) => after = Cursor::parse(&next.to_string()),
                None => return found,
            }
        }
    }

    #[test]
    fn whatever_a_list_is_cut_by_its_pages_hold_all_that_fits_once_each() {
        let conn = books();
        let mut runner = proptest::test_runner::TestRunner::default();
        for filled in [0, 15_900, 16_500, 17_000] {
            fill(&conn, filled);
            for limit in [1, 20, 2_000] {
                for _ in 0..24 {
                    let filter = filters().new_tree(&mut runner).unwrap().current();
                    let found = page_through(&conn, &filter, limit);
                    let once: BTreeSet<i64> = found.iter().copied().collect();
                    assert_eq!(found.len(), once.len(), "{filter:?}: twice");
                    assert_eq!(
                        once,
                        by_hand(&conn, &filter),
                        "{filter:?}, filled to {filled}, {limit} a page"
                    );
                }
            }
        }
    }

    /// A whole mail address is not the end of another one, unless nobody has it.
    #[test]
    fn what_is_a_whole_is_looked_for_before_what_is_a_part() {
        let conn = books();
        fill(&conn, 17_000);
        let mails = |text: &str| -> BTreeSet<String> {
            let filter = Filter {
                text: Some(text.into()),
                ..Filter::default()
            };
            let found = list_within(
                &conn,
                &filter,
                None,
                2_000,
                Patience::of(Duration::from_secs(60)),
            )
            .unwrap();
            found
                .rows
                .into_iter()
                .map(|row| row.about.buyer_email)
                .collect()
        };
        assert_eq!(
            mails("buyer3@example.com"),
            BTreeSet::from(["buyer3@example.com".to_owned()])
        );
        assert_eq!(
            mails("3@example.com").len(),
            4,
            "of buyers 3, 13, 23 and 33"
        );
    }

    #[test]
    fn a_page_that_is_short_says_how_far_it_looked() {
        let conn = books();
        let filter = Filter {
            text: Some("nowhere".into()),
            ..Filter::default()
        };
        let listed = list_within(&conn, &filter, None, 20, Patience::of(Duration::ZERO)).unwrap();
        assert!(listed.rows.is_empty() && listed.next.is_some() && listed.looked_until.is_some());
        let listed = list_within(
            &conn,
            &filter,
            None,
            20,
            Patience::of(Duration::from_secs(60)),
        )
        .unwrap();
        assert!(listed.rows.is_empty() && listed.next.is_none() && listed.looked_until.is_none());
    }
}
