//! What happened to whose money, and on which day's settlement it counts.
//!
//! A movement takes one order line of one payment from a position to the next. It counts on the day
//! on which it happened, or, if that day's settlement has begun, on the first day after all that have.
//! So what a night's run reads cannot change under it, and nothing that is heard late is lost.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::Serialize;

use super::{StoreError, Tx, instant};
use crate::domain::{
    calendar::KstDay,
    contract::Position,
    ids::{MerchantUid, PartnerId},
    money::Won,
    settlement::{Given, Kind},
};

pub(super) fn unreadable(why: impl ToString) -> StoreError {
    StoreError::Unreadable {
        table: "movement",
        why: why.to_string(),
    }
}

/// A day column.
pub(super) fn day(row: &Row<'_>, at: usize) -> Result<KstDay, StoreError> {
    row.get::<_, String>(at)?.parse().map_err(unreadable)
}

pub(super) fn day_maybe(row: &Row<'_>, at: usize) -> Result<Option<KstDay>, StoreError> {
    let text: Option<String> = row.get(at)?;
    text.map(|text| text.parse())
        .transpose()
        .map_err(unreadable)
}

/// A movement on its way into the books.
#[derive(Clone, Debug)]
pub struct New<'a> {
    pub partner: &'a str,
    pub kind: Kind,
    pub payment: Option<i64>,
    pub order_line: Option<i64>,
    pub cause: Option<&'a str>,
    pub happened_at: Timestamp,
    /// The contract of this day counts.
    pub terms_day: KstDay,
    pub before: Position,
    pub after: Position,
    /// Won of an adjustment, signed; else 0.
    pub adjustment: Won,
}

/// A movement as the night's run reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Movement {
    pub seq: i64,
    pub kind: Kind,
    #[serde(skip)]
    pub payment: Option<i64>,
    pub order_line: Option<i64>,
    pub cause: Option<String>,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub happened_at: Timestamp,
    pub terms_day: KstDay,
    pub before: Position,
    pub after: Position,
    pub adjustment: Won,
}

/// The day on which something that happened on `day` counts.
pub fn counting_day(conn: &Connection, day: KstDay) -> Result<KstDay, StoreError> {
    let closed: bool = conn
        .prepare_cached("select 1 from settlement_day where day = ?1")?
        .exists([day.to_string()])?;
    if !closed {
        return Ok(day);
    }
    let last: String = conn
        .prepare_cached("select max(day) from settlement_day")?
        .query_row([], |row| row.get(0))?;
    let last: KstDay = last.parse().map_err(unreadable)?;
    Ok(last.next())
}

/// Writes a movement down; gives the day on which it counts.
pub fn add(tx: &Tx<'_>, new: &New<'_>) -> Result<KstDay, StoreError> {
    let day = counting_day(tx.conn(), KstDay::of(new.happened_at))?;
    add_on(tx, day, new)?;
    Ok(day)
}

const ADD: &str = "
    insert into movement (day, partner_id, seq, kind, payment_id, order_line, cause, happened_at, terms_day,
                          order_before, order_after, discount_before, discount_after, tax_free_before,
                          tax_free_after, adjustment)
    values (:day, :partner,
            (select coalesce(max(seq), 0) + 1 from movement where day = :day and partner_id = :partner),
            :kind, :payment, :line, :cause, :at, :terms_day, :order_before, :order_after, :discount_before,
            :discount_after, :tax_free_before, :tax_free_after, :adjustment)";

fn add_on(tx: &Tx<'_>, day: KstDay, new: &New<'_>) -> Result<(), StoreError> {
    tx.conn().prepare_cached(ADD)?.execute(named_params! {
        ":day": day.to_string(),
        ":partner": new.partner,
        ":kind": new.kind.as_str(),
        ":payment": new.payment,
        ":line": new.order_line,
        ":cause": new.cause,
        ":at": new.happened_at.as_millisecond(),
        ":terms_day": new.terms_day.to_string(),
        ":order_before": new.before.order.get(),
        ":order_after": new.after.order.get(),
        ":discount_before": new.before.discount.get(),
        ":discount_after": new.after.discount.get(),
        ":tax_free_before": new.before.tax_free.get(),
        ":tax_free_after": new.after.tax_free.get(),
        ":adjustment": new.adjustment.get(),
    })?;
    Ok(())
}

const COLUMNS: &str =
    "m.seq, m.kind, m.payment_id, m.order_line, m.cause, m.happened_at, m.terms_day, m.order_before, m.order_after,
     m.discount_before, m.discount_after, m.tax_free_before, m.tax_free_after, m.adjustment";

/// Reads the columns of `COLUMNS`, from the first of them on.
pub(super) fn read(row: &Row<'_>) -> Result<Movement, StoreError> {
    let kind = row.get_ref(1)?.as_str().map_err(unreadable)?;
    let won = |at: usize| row.get(at).map(Won::new);
    Ok(Movement {
        seq: row.get(0)?,
        kind: Kind::parse(kind).ok_or_else(|| unreadable(kind))?,
        payment: row.get(2)?,
        order_line: row.get(3)?,
        cause: row.get(4)?,
        happened_at: instant(row.get(5)?)?,
        terms_day: day(row, 6)?,
        before: Position {
            order: won(7)?,
            discount: won(9)?,
            tax_free: won(11)?,
        },
        after: Position {
            order: won(8)?,
            discount: won(10)?,
            tax_free: won(12)?,
        },
        adjustment: won(13)?,
    })
}

/// A partner's movements of a day behind `after`, at most `most`, in the order in which they were booked.
pub fn of(
    conn: &Connection,
    day: KstDay,
    partner: &str,
    after: i64,
    most: usize,
) -> Result<Vec<Movement>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from movement m where m.day = ?1 and m.partner_id = ?2 and m.seq > ?3 order by m.seq limit ?4"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query
        .query_and_then((day.to_string(), partner, after, most as i64), read)?
        .collect()
}

/// A movement, as far as it makes a line. One with an adjustment has no positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub seq: i64,
    pub terms_day: KstDay,
    pub before: Position,
    pub after: Position,
    pub adjustment: Won,
}

const STEPS: &str = "
    select seq, terms_day, order_before, order_after, discount_before, discount_after, tax_free_before,
           tax_free_after, adjustment
      from movement where day = ?1 and partner_id = ?2 and seq > ?3 order by seq limit ?4";

/// Goes through a partner's movements of a day behind `after`, at most `most`; gives how many there were.
/// Most of them bear the same day, so that one is read once.
pub fn each(
    conn: &Connection,
    on: KstDay,
    partner: &str,
    after: i64,
    most: i64,
    mut step: impl FnMut(&Step) -> Result<(), StoreError>,
) -> Result<usize, StoreError> {
    let mut query = conn.prepare_cached(STEPS)?;
    let mut rows = query.query((on.to_string(), partner, after, most))?;
    let (mut text, mut terms_day) = (on.to_string(), on);
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let this = row.get_ref(1)?.as_str().map_err(unreadable)?;
        if this != text {
            terms_day = this.parse().map_err(unreadable)?;
            text.clear();
            text.push_str(this);
        }
        let won = |at: usize| row.get(at).map(Won::new);
        step(&Step {
            seq: row.get(0)?,
            terms_day,
            before: Position {
                order: won(2)?,
                discount: won(4)?,
                tax_free: won(6)?,
            },
            after: Position {
                order: won(3)?,
                discount: won(5)?,
                tax_free: won(7)?,
            },
            adjustment: won(8)?,
        })?;
        count += 1;
    }
    Ok(count)
}

/// Partners with movements on a day, in order. Jumps from one to the next in the index.
pub fn partners(conn: &Connection, day: KstDay) -> Result<Vec<PartnerId>, StoreError> {
    let mut query = conn.prepare_cached(
        "select partner_id from movement where day = ?1 and partner_id > ?2 order by partner_id limit 1",
    )?;
    let (day, mut found, mut last) = (day.to_string(), Vec::new(), String::new());
    while let Some(next) = query
        .query_row((&day, &last), |row| row.get::<_, String>(0))
        .optional()?
    {
        found.push(PartnerId::new(next.clone()).map_err(unreadable)?);
        last = next;
    }
    Ok(found)
}

/// How many movements a day has, for showing how far a run has come.
pub fn count(conn: &Connection, day: KstDay) -> Result<i64, StoreError> {
    Ok(conn
        .prepare_cached("select count(*) from movement where day = ?1")?
        .query_row([day.to_string()], |row| row.get(0))?)
}

/// The first day that has a movement.
pub fn first_day(conn: &Connection) -> Result<Option<KstDay>, StoreError> {
    let first: Option<String> = conn
        .prepare_cached("select min(day) from movement")?
        .query_row([], |row| row.get(0))?;
    first.map(|day| day.parse()).transpose().map_err(unreadable)
}

/// What of a payment has been recorded.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Where each partner's order line stands.
    pub positions: BTreeMap<(String, i64), Position>,
    /// Cancellations that were counted.
    pub causes: HashSet<String>,
    /// The contract day of the payment, once anything was recorded.
    pub terms_day: Option<KstDay>,
}

pub fn recorded(conn: &Connection, payment: i64) -> Result<Recorded, StoreError> {
    let mut query = conn.prepare_cached(
        "select partner_id, order_line, cause, terms_day, order_after - order_before,
                discount_after - discount_before, tax_free_after - tax_free_before
           from movement where payment_id = ?1",
    )?;
    let mut recorded = Recorded::default();
    let mut rows = query.query([payment])?;
    while let Some(row) = rows.next()? {
        let key = (row.get(0)?, row.get::<_, Option<i64>>(1)?.unwrap_or(0));
        let position = recorded.positions.entry(key).or_default();
        let more = |sum: Won, at: usize| -> Result<Won, StoreError> {
            sum.plus(Won::new(row.get(at)?)).map_err(unreadable)
        };
        *position = Position {
            order: more(position.order, 4)?,
            discount: more(position.discount, 5)?,
            tax_free: more(position.tax_free, 6)?,
        };
        recorded.causes.extend(row.get::<_, Option<String>>(2)?);
        recorded.terms_day = Some(day(row, 3)?);
    }
    Ok(recorded)
}

/// A payment, as far as it decides who is owed what.
#[derive(Clone, Debug)]
pub struct Facts {
    pub merchant_uid: MerchantUid,
    pub amount: Won,
    /// It was paid, and nothing holds it.
    pub counts: bool,
    pub paid_at: Timestamp,
    pub cancelled: Won,
}

pub fn facts(conn: &Connection, payment: i64) -> Result<Option<Facts>, StoreError> {
    let found = conn
        .prepare_cached(
            "select merchant_uid, amount, hold is null and status not in ('READY', 'FAILED'),
                    coalesce(paid_at, at), cancelled
               from payment where id = ?1",
        )?
        .query_row([payment], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        })
        .optional()?;
    found
        .map(|(merchant_uid, amount, counts, paid_at, cancelled)| {
            Ok(Facts {
                merchant_uid: MerchantUid::new(merchant_uid).map_err(unreadable)?,
                amount: Won::new(amount),
                counts,
                paid_at: instant(paid_at)?,
                cancelled: Won::new(cancelled),
            })
        })
        .transpose()
}

/// What went back of a payment: cancellation, when, and of which lines. Oldest first.
pub fn given(
    conn: &Connection,
    payment: i64,
) -> Result<Vec<(String, Timestamp, Given)>, StoreError> {
    let mut lines = conn
        .prepare_cached("select line, amount from cancellation_line where cancellation_id = ?1")?;
    let mut query = conn.prepare_cached(
        "select id, amount,
                coalesce(cancelled_at, case requested_by when 'elsewhere' then requested_at else finished_at end)
           from cancellation where payment_id = ?1 and state = 'DONE' order by 3, id",
    )?;
    query
        .query_and_then([payment], |row| {
            let id: String = row.get(0)?;
            let amount = Won::new(row.get(1)?);
            let of = lines
                .query_map([&id], |row| Ok((row.get(0)?, Won::new(row.get(1)?))))?
                .collect::<Result<Vec<(i64, Won)>, _>>()?;
            // PortOne may give back another amount than was asked: then the lines do not tell which.
            let named = Won::sum(of.iter().map(|(_, won)| *won)).map_err(unreadable)?;
            let of = if named == amount { of } else { Vec::new() };
            Ok((id, instant(row.get(2)?)?, Given { amount, of }))
        })?
        .collect()
}

/// Payments up to `until` that were booked before there were movements, behind `after`.
pub fn missing(
    conn: &Connection,
    after: i64,
    until: i64,
    most: usize,
) -> Result<Vec<i64>, StoreError> {
    let mut query = conn
        .prepare_cached("select id from payment where id > ?1 and id <= ?2 order by id limit ?3")?;
    Ok(query
        .query_map((after, until, most as i64), |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

/// A movement of a payment with what became of it: for the payment's page.
#[derive(Clone, Debug, Serialize)]
pub struct PaymentLine {
    pub partner: PartnerId,
    pub partner_name: String,
    pub day: KstDay,
    pub movement: Movement,
    /// The settlement and the sum that the line came to, once its day was settled.
    pub settlement: Option<i64>,
    pub net: Option<Won>,
}

pub fn of_payment(conn: &Connection, payment: i64) -> Result<Vec<PaymentLine>, StoreError> {
    let sql = format!(
        "select {COLUMNS}, m.day, m.partner_id, p.name, s.id, l.net
           from movement m join partner p on p.id = m.partner_id
                left join settlement s on s.partner_id = m.partner_id and s.day = m.day
                left join settlement_line l on l.day = m.day and l.partner_id = m.partner_id and l.seq = m.seq
          where m.payment_id = ?1 order by m.happened_at, m.day, m.seq"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query
        .query_and_then([payment], |row| {
            let settlement: Option<i64> = row.get(17)?;
            Ok(PaymentLine {
                movement: read(row)?,
                day: day(row, 14)?,
                partner: PartnerId::new(row.get::<_, String>(15)?).map_err(unreadable)?,
                partner_name: row.get(16)?,
                settlement,
                net: row
                    .get::<_, Option<i64>>(18)?
                    .filter(|_| settlement.is_some())
                    .map(Won::new),
            })
        })?
        .collect()
}

/// A movement's place in the books: the day on which it counts, its partner and number.
type Key = (String, String, i64);

/// What happened on a day and was heard of too late for it, as it was read beside the writer.
#[derive(Clone, Debug, Default)]
pub struct Away {
    late: Vec<Key>,
    /// The last number of each day and partner that was read: what is behind it was booked since.
    seen: HashMap<(String, String), i64>,
}

/// Finds movements that happened on `day`, and were heard of too late for it: they wait on open days
/// behind it. Reads all of those days, which may take a while; none of a closed one.
pub fn away(conn: &Connection, day: KstDay) -> Result<Away, StoreError> {
    let mut query =
        conn.prepare_cached("select partner_id, seq, happened_at from movement where day = ?1")?;
    let happened = day.start().as_millisecond()..day.end().as_millisecond();
    let mut away = Away::default();
    for open in open_days_behind(conn, day)? {
        let mut rows = query.query([&open])?;
        while let Some(row) = rows.next()? {
            let (partner, seq): (String, i64) = (row.get(0)?, row.get(1)?);
            if happened.contains(&row.get(2)?) {
                away.late.push((open.clone(), partner.clone(), seq));
            }
            let seen = away.seen.entry((open.clone(), partner)).or_default();
            *seen = seq.max(*seen);
        }
    }
    Ok(away)
}

/// Days behind `day` that have movements and are not closed. A jump per day.
fn open_days_behind(conn: &Connection, day: KstDay) -> Result<Vec<String>, StoreError> {
    let mut next = conn.prepare_cached("select min(day) from movement where day > ?1")?;
    let (mut found, mut last) = (Vec::new(), day.to_string());
    while let Some(this) = next.query_row([&last], |row| row.get::<_, Option<String>>(0))? {
        if !is_closed(conn, &this)? {
            found.push(this.clone());
        }
        last = this;
    }
    Ok(found)
}

fn is_closed(conn: &Connection, day: &str) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached("select 1 from settlement_day where day = ?1")?
        .exists([day])?)
}

/// Takes what [`away`] found, and what was booked since, back to `day`: it is open again. A movement
/// that is gone from its place, or whose day was closed meanwhile, stays where it is.
///
/// Only rows that move are read, and those behind the numbers that [`away`] has seen. So the writer is
/// held no longer than moving them takes, however much waits on the open days.
pub fn bring_home(tx: &Tx<'_>, day: KstDay, away: &Away) -> Result<usize, StoreError> {
    let conn = tx.conn();
    let (first, end) = (day.start().as_millisecond(), day.end().as_millisecond());
    let mut since = conn.prepare_cached(
        "select seq from movement
          where day = ?1 and partner_id = ?2 and seq > ?3 and happened_at >= ?4 and happened_at < ?5",
    )?;
    let open = open_days_behind(conn, day)?;
    let mut late: Vec<Key> = away.late.clone();
    late.retain(|(from, ..)| open.contains(from));
    for from in open {
        let this: KstDay = from.parse().map_err(unreadable)?;
        for partner in partners(conn, this)? {
            let key = (from.clone(), partner.as_str().to_owned());
            let seen = away.seen.get(&key).copied().unwrap_or(0);
            let found = since.query_map((&key.0, &key.1, seen, first, end), |row| row.get(0))?;
            for seq in found {
                late.push((key.0.clone(), key.1.clone(), seq?));
            }
        }
    }
    let sql = format!(
        "select {COLUMNS} from movement m
          where m.day = ?1 and m.partner_id = ?2 and m.seq = ?3 and m.happened_at >= ?4 and m.happened_at < ?5"
    );
    let mut find = conn.prepare_cached(&sql)?;
    let mut remove = conn
        .prepare_cached("delete from movement where day = ?1 and partner_id = ?2 and seq = ?3")?;
    let mut home = 0;
    for (from, partner, seq) in &late {
        let found = find
            .query_and_then((from, partner, seq, first, end), read)?
            .next()
            .transpose()?;
        let Some(movement) = found else {
            continue;
        };
        remove.execute((from, partner, seq))?;
        add_on(
            tx,
            day,
            &New {
                partner,
                kind: movement.kind,
                payment: movement.payment,
                order_line: movement.order_line,
                cause: movement.cause.as_deref(),
                happened_at: movement.happened_at,
                terms_day: movement.terms_day,
                before: movement.before,
                after: movement.after,
                adjustment: movement.adjustment,
            },
        )?;
        home += 1;
    }
    Ok(home)
}

/// The first day whose contract a partner's movements of a day need. Adjustments need none.
pub fn first_terms_day(
    conn: &Connection,
    day: KstDay,
    partner: &str,
) -> Result<Option<KstDay>, StoreError> {
    let first: Option<String> = conn
        .prepare_cached(
            "select min(terms_day) from movement where day = ?1 and partner_id = ?2 and kind <> 'ADJUSTMENT'",
        )?
        .query_row((day.to_string(), partner), |row| row.get(0))?;
    first.map(|day| day.parse()).transpose().map_err(unreadable)
}

/// How many movements of a partner's day there are, and what they come to before fees.
pub fn waiting(conn: &Connection, day: KstDay, partner: &str) -> Result<(i64, Won), StoreError> {
    Ok(conn
        .prepare_cached(
            "select count(*), coalesce(sum(order_after - order_before + adjustment), 0)
               from movement where day = ?1 and partner_id = ?2",
        )?
        .query_row((day.to_string(), partner), |row| {
            Ok((row.get(0)?, Won::new(row.get(1)?)))
        })?)
}
