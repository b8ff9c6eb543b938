//! Payments: what the flows need to decide, and what lists and pages show.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params};
use serde::Serialize;

use super::{
    News, StoreError, Tx,
    cancellations::OUTCOME_UNKNOWN,
    instant, instant_maybe,
    search::{self, Way},
};
use crate::domain::{
    calendar::KstDay,
    ids::{CancellationId, ImpUid, MerchantUid},
    money::Won,
    payment::{Charge, Hold, Payment, Status, Wish},
    seen::{About, Seen},
    wanted::{Wanted, digits},
};

/// A payment as a flow takes it out of the books, to put back changed.
#[derive(Clone, Debug)]
pub struct Kept {
    pub row: i64,
    pub imp_uid: ImpUid,
    pub merchant_uid: MerchantUid,
    pub payment: Payment,
    pub hold: Option<Hold>,
    pub about: About,
}

fn unreadable(why: impl ToString) -> StoreError {
    StoreError::Unreadable {
        table: "payment",
        why: why.to_string(),
    }
}

/// The enum out of its columns. A row that fits none of its variants is a broken book.
fn assemble(
    status: &str,
    amount: Won,
    cancelled: Won,
    paid_at: Option<Timestamp>,
    wish: Option<(String, i64)>,
) -> Result<Payment, StoreError> {
    let status = Status::parse(status).ok_or_else(|| unreadable(format!("status {status}")))?;
    let charge = Charge { amount, paid_at };
    let wish = wish
        .map(|(id, amount)| {
            CancellationId::new(id)
                .map(|id| Wish {
                    id,
                    amount: Won::new(amount),
                })
                .map_err(unreadable)
        })
        .transpose()?;
    match (status, wish) {
        (Status::Ready, None) => Ok(Payment::Ready { amount }),
        (Status::Failed, None) => Ok(Payment::Failed { amount }),
        (Status::Paid, None) => Ok(Payment::Paid { charge }),
        (Status::PartialCanceled, None) => Ok(Payment::PartialCanceled { charge, cancelled }),
        (Status::Canceled, None) => Ok(Payment::Canceled { charge }),
        (Status::CancelRequested, Some(wish)) => Ok(Payment::CancelRequested {
            charge,
            cancelled,
            wish,
        }),
        (Status::CancelFailed, Some(wish)) => Ok(Payment::CancelFailed {
            charge,
            cancelled,
            wish,
        }),
        (status, _) => Err(unreadable(format!(
            "{} with or without a wish",
            status.as_str()
        ))),
    }
}

const GET: &str = "
    select p.id, p.imp_uid, p.merchant_uid, p.status, p.amount, p.cancelled, p.paid_at, p.wish,
           (select c.amount from cancellation c where c.id = p.wish), p.hold, p.about
      from payment p
     where p.imp_uid = ?1";

pub fn get(conn: &Connection, imp_uid: &ImpUid) -> Result<Option<Kept>, StoreError> {
    let mut query = conn.prepare_cached(GET)?;
    let found = query
        .query_row([imp_uid.as_str()], |row| Ok(kept(row)))
        .optional()?;
    found.transpose()
}

fn kept(row: &Row<'_>) -> Result<Kept, StoreError> {
    let status: String = row.get(3)?;
    let wish: Option<String> = row.get(7)?;
    let wish_amount: Option<i64> = row.get(8)?;
    let hold: Option<String> = row.get(9)?;
    let about: String = row.get(10)?;
    Ok(Kept {
        row: row.get(0)?,
        imp_uid: ImpUid::new(row.get::<_, String>(1)?).map_err(unreadable)?,
        merchant_uid: MerchantUid::new(row.get::<_, String>(2)?).map_err(unreadable)?,
        payment: assemble(
            &status,
            Won::new(row.get(4)?),
            Won::new(row.get(5)?),
            instant_maybe(row.get(6)?)?,
            wish.map(|id| (id, wish_amount.unwrap_or_default())),
        )?,
        hold: hold
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(unreadable)?,
        about: serde_json::from_str(&about).map_err(unreadable)?,
    })
}

/// The payment that a cancellation belongs to.
pub fn of_cancellation(
    conn: &Connection,
    id: &CancellationId,
) -> Result<Option<ImpUid>, StoreError> {
    let found: Option<String> = conn
        .prepare_cached(
            "select p.imp_uid from payment p join cancellation c on c.payment_id = p.id where c.id = ?1",
        )?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    found.map(ImpUid::new).transpose().map_err(unreadable)
}

const ADD: &str = "
    insert into payment (imp_uid, merchant_uid, status, amount, cancelled, hold, test, method, about,
                         fail_reason, at, paid_at, created_at, updated_at)
    values (:imp_uid, :merchant_uid, :status, :amount, :cancelled, :hold, :test, :method, :about,
            :fail_reason, :at, :paid_at, :now, :now)";

/// Writes a payment down for the first time.
pub fn add(
    tx: &mut Tx<'_>,
    seen: &Seen,
    payment: &Payment,
    hold: Option<&Hold>,
    partners: &[String],
) -> Result<i64, StoreError> {
    let at = seen
        .paid_at
        .or(seen.started_at)
        .unwrap_or(tx.now)
        .as_millisecond();
    let about = serde_json::to_string(&seen.about).map_err(unreadable)?;
    let hold = hold
        .map(serde_json::to_string)
        .transpose()
        .map_err(unreadable)?;
    tx.conn().prepare_cached(ADD)?.execute(named_params! {
        ":imp_uid": seen.imp_uid.as_str(),
        ":merchant_uid": seen.merchant_uid.as_str(),
        ":status": payment.status().as_str(),
        ":amount": payment.amount().get(),
        ":cancelled": payment.cancelled().get(),
        ":hold": hold,
        ":test": seen.test,
        ":method": seen.about.method,
        ":about": about,
        ":fail_reason": seen.fail_reason,
        ":at": at,
        ":paid_at": seen.paid_at.map(Timestamp::as_millisecond),
        ":now": tx.now_ms(),
    })?;
    let row = tx.conn().last_insert_rowid();
    owe(tx.conn(), row, at, partners)?;
    tx.tell(News {
        imp_uid: seen.imp_uid.to_string(),
        status: payment.status().as_str(),
    });
    Ok(row)
}

/// Writes down to whom a payment is owed.
pub fn owe(conn: &Connection, row: i64, at: i64, partners: &[String]) -> Result<(), StoreError> {
    let mut add = conn.prepare_cached(
        "insert or ignore into payment_partner (partner_id, at, payment_id) values (?1, ?2, ?3)",
    )?;
    for partner in partners {
        add.execute((partner, at, row))?;
    }
    Ok(())
}

const PUT: &str = "
    update payment set status = :status, amount = :amount, cancelled = :cancelled, wish = :wish,
                       paid_at = coalesce(:paid_at, paid_at), updated_at = :now
     where id = :row";

/// Puts a payment back in its next state.
pub fn put(tx: &mut Tx<'_>, kept: &Kept, next: &Payment) -> Result<(), StoreError> {
    let paid_at = match next {
        Payment::Ready { .. } | Payment::Failed { .. } => None,
        Payment::Paid { charge }
        | Payment::CancelRequested { charge, .. }
        | Payment::PartialCanceled { charge, .. }
        | Payment::Canceled { charge }
        | Payment::CancelFailed { charge, .. } => charge.paid_at,
    };
    tx.conn().prepare_cached(PUT)?.execute(named_params! {
        ":row": kept.row,
        ":status": next.status().as_str(),
        ":amount": next.amount().get(),
        ":cancelled": next.cancelled().get(),
        ":wish": next.wish().map(|wish| wish.id.as_str()),
        ":paid_at": paid_at.map(Timestamp::as_millisecond),
        ":now": tx.now_ms(),
    })?;
    tx.tell(News {
        imp_uid: kept.imp_uid.to_string(),
        status: next.status().as_str(),
    });
    Ok(())
}

/// Brings what is shown about a payment up to date, its place in time with it.
pub fn describe(tx: &Tx<'_>, kept: &Kept, seen: &Seen) -> Result<(), StoreError> {
    let at = seen
        .paid_at
        .or(seen.started_at)
        .unwrap_or(tx.now)
        .as_millisecond();
    let about = serde_json::to_string(&seen.about).map_err(unreadable)?;
    tx.conn()
        .prepare_cached(
            "update payment set about = ?2, method = ?3, fail_reason = ?4, at = ?5 where id = ?1",
        )?
        .execute((kept.row, about, &seen.about.method, &seen.fail_reason, at))?;
    tx.conn()
        .prepare_cached("update payment_partner set at = ?2 where payment_id = ?1 and at <> ?2")?
        .execute((kept.row, at))?;
    search::forget(tx.conn(), kept.row)
}

/// Sets or lifts what holds a payment.
pub fn set_hold(tx: &mut Tx<'_>, kept: &Kept, hold: Option<&Hold>) -> Result<(), StoreError> {
    let json = hold
        .map(serde_json::to_string)
        .transpose()
        .map_err(unreadable)?;
    tx.conn()
        .prepare_cached("update payment set hold = ?2, updated_at = ?3 where id = ?1")?
        .execute((kept.row, json, tx.now_ms()))?;
    tx.tell(News {
        imp_uid: kept.imp_uid.to_string(),
        status: kept.payment.status().as_str(),
    });
    Ok(())
}

/// Owes a payment to other partners than before: its order has become known.
pub fn owe_anew(tx: &Tx<'_>, row: i64, partners: &[String]) -> Result<(), StoreError> {
    let conn = tx.conn();
    let at: i64 = conn
        .prepare_cached("select at from payment where id = ?1")?
        .query_row([row], |r| r.get(0))?;
    conn.prepare_cached("delete from payment_partner where payment_id = ?1")?
        .execute([row])?;
    owe(conn, row, at, partners)
}

/// Another payment that has paid this order and fits it.
pub fn that_paid(
    conn: &Connection,
    order: &MerchantUid,
    but: &ImpUid,
) -> Result<Option<ImpUid>, StoreError> {
    let found: Option<String> = conn
        .prepare_cached(
            "select imp_uid from payment
              where merchant_uid = ?1 and imp_uid <> ?2 and hold is null
                and status in ('PAID', 'CANCEL_REQUESTED', 'PARTIAL_CANCELED', 'CANCEL_FAILED')
              order by id limit 1",
        )?
        .query_row((order.as_str(), but.as_str()), |row| row.get(0))
        .optional()?;
    found.map(ImpUid::new).transpose().map_err(unreadable)
}

/// Payments of an order, oldest first.
pub fn of_order(conn: &Connection, order: &MerchantUid) -> Result<Vec<Kept>, StoreError> {
    let sql = GET.replace("p.imp_uid = ?1", "p.merchant_uid = ?1 order by p.id");
    let mut query = conn.prepare_cached(&sql)?;
    query.query_and_then([order.as_str()], kept)?.collect()
}

/// A payment as people and programs look at it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct PaymentRow {
    #[serde(skip)]
    pub row: i64,
    pub imp_uid: String,
    pub merchant_uid: String,
    pub status: Status,
    pub amount: Won,
    pub cancelled_amount: Won,
    /// What can still be cancelled.
    pub balance: Won,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    pub test: bool,
    #[serde(flatten)]
    pub about: About,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_reason: Option<String>,
    #[serde(serialize_with = "seoul_time")]
    pub at: Timestamp,
    #[serde(serialize_with = "seoul_time_maybe")]
    pub paid_at: Option<Timestamp>,
    #[serde(serialize_with = "seoul_time")]
    pub updated_at: Timestamp,
}

/// Times leave with their zone.
pub fn seoul_time<S: serde::Serializer>(at: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&at.display_with_offset(jiff::tz::offset(9)))
}

pub fn seoul_time_maybe<S: serde::Serializer>(
    at: &Option<Timestamp>,
    out: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => seoul_time(at, out),
        None => out.serialize_none(),
    }
}

pub(super) const COLUMNS: &str =
    "p.id, p.imp_uid, p.merchant_uid, p.status, p.amount, p.cancelled, p.wish, p.hold, p.test,
                       p.about, p.fail_reason, p.at, p.paid_at, p.updated_at";

pub(super) fn payment_row(row: &Row<'_>) -> Result<PaymentRow, StoreError> {
    let text = |i: usize| {
        row.get_ref(i)
            .and_then(|v| Ok(v.as_str()?))
            .map_err(StoreError::from)
    };
    let status = text(3)?;
    let status = Status::parse(status).ok_or_else(|| unreadable(format!("status {status}")))?;
    let hold: Option<String> = row.get(7)?;
    let (amount, cancelled) = (Won::new(row.get(4)?), Won::new(row.get(5)?));
    let paid = !matches!(status, Status::Ready | Status::Failed);
    Ok(PaymentRow {
        row: row.get(0)?,
        imp_uid: row.get(1)?,
        merchant_uid: row.get(2)?,
        status,
        amount,
        cancelled_amount: cancelled,
        balance: if paid {
            amount.minus(cancelled).map_err(unreadable)?
        } else {
            Won::ZERO
        },
        cancellation: row.get(6)?,
        hold: hold
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(unreadable)?,
        test: row.get(8)?,
        about: serde_json::from_str(text(9)?).map_err(unreadable)?,
        fail_reason: row.get(10)?,
        at: instant(row.get(11)?)?,
        paid_at: instant_maybe(row.get(12)?)?,
        updated_at: instant(row.get(13)?)?,
    })
}

pub fn show(conn: &Connection, imp_uid: &str) -> Result<Option<PaymentRow>, StoreError> {
    let sql = format!("select {COLUMNS} from payment p where p.imp_uid = ?1");
    let mut query = conn.prepare_cached(&sql)?;
    let found = query
        .query_row([imp_uid], |row| Ok(payment_row(row)))
        .optional()?;
    found.transpose()
}

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

/// Where a page of a list begins: after this payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub at: i64,
    pub row: i64,
}

impl Cursor {
    pub fn of(row: &PaymentRow) -> Cursor {
        Cursor {
            at: row.at.as_millisecond(),
            row: row.row,
        }
    }

    pub fn parse(text: &str) -> Option<Cursor> {
        let (at, row) = text.split_once('-')?;
        Some(Cursor {
            at: i64::from_str_radix(at, 36).ok()?,
            row: i64::from_str_radix(row, 36).ok()?,
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", base36(self.at), base36(self.row))
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

/// Payments, newest first. The statement is built from fixed pieces; values are always bound.
///
/// Each filter has an index that gives the list's order, so a page reads about as many rows as it
/// shows. A search runs over an index of its own, newest heard first, and ends with the page.
pub fn list(
    conn: &Connection,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<PaymentRow>, StoreError> {
    let text = filter.text.as_deref().map(str::trim);
    match (text.filter(|text| !text.is_empty()), filter.amount) {
        (Some(text), _) => match Wanted::read(text) {
            Some(wanted) => {
                let ways = search::ways(conn, &wanted)?;
                found(conn, filter, Some(&wanted), &ways, after, limit)
            }
            None => Ok(Vec::new()),
        },
        (None, Some(amount)) => {
            let way = search::way_of_amount(conn, amount)?;
            found(conn, filter, None, &[way], after, limit)
        }
        (None, None) => {
            let (sql, values) = list_sql(filter, after, limit);
            let mut query = conn.prepare_cached(&sql)?;
            query
                .query_and_then(bound(&values).as_slice(), payment_row)?
                .collect()
        }
    }
}

/// Payments of a buyer whose phone number is this, or ends like this; newest heard first.
pub fn of_phone(
    conn: &Connection,
    wanted: &Wanted,
    limit: usize,
) -> Result<Vec<PaymentRow>, StoreError> {
    let way = search::way_of_phone(conn, wanted)?;
    let filter = Filter::default();
    found(conn, &filter, Some(wanted), way.as_slice(), None, limit)
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
    let (sql, values) = list_sql(filter, after, 20);
    let mut query = conn.prepare(&format!("explain query plan {sql}"))?;
    Ok(query
        .query_map(bound(&values).as_slice(), |row| row.get(3))?
        .collect::<Result<_, _>>()?)
}

type Bound = Vec<(&'static str, Box<dyn ToSql>)>;

fn bound(values: &Bound) -> Vec<(&str, &dyn ToSql)> {
    let pairs = values.iter();
    pairs.map(|(name, value)| (*name, value.as_ref())).collect()
}

/// The conditions of a filter that any statement over `payment p` can carry.
fn conditions(filter: &Filter, at: &str, sql: &mut String, values: &mut Bound) {
    if let Some(status) = filter.status {
        sql.push_str(" and p.status = :status");
        values.push((":status", Box::new(status.as_str())));
    }
    if filter.held {
        sql.push_str(" and p.hold is not null");
    }
    if let Some(hold) = &filter.hold {
        sql.push_str(" and p.hold is not null and p.hold_code = :hold");
        values.push((":hold", Box::new(hold.clone())));
    }
    if filter.unknown {
        sql.push_str(" and ");
        sql.push_str(OUTCOME_UNKNOWN);
    }
    if let Some(method) = &filter.method {
        sql.push_str(" and p.method = :method");
        values.push((":method", Box::new(method.clone())));
    }
    if let Some(amount) = filter.amount {
        sql.push_str(" and p.amount = :amount");
        values.push((":amount", Box::new(amount.get())));
    }
    if let Some(from) = filter.from {
        sql.push_str(&format!(" and {at} >= :from"));
        values.push((":from", Box::new(from.start().as_millisecond())));
    }
    if let Some(to) = filter.to {
        sql.push_str(&format!(" and {at} < :to"));
        values.push((":to", Box::new(to.end().as_millisecond())));
    }
}

fn list_sql(filter: &Filter, after: Option<Cursor>, limit: usize) -> (String, Bound) {
    let mut sql = format!("select {COLUMNS} from ");
    let mut values: Bound = Vec::new();
    let mut order = "p.at desc, p.id desc";
    let (mut at, mut row) = ("p.at", "p.id");
    match &filter.partner {
        Some(partner) => {
            sql.push_str(
                "payment_partner o cross join payment p on p.id = o.payment_id
                  where o.partner_id = :partner",
            );
            values.push((":partner", Box::new(partner.clone())));
            (at, row, order) = ("o.at", "o.payment_id", "o.at desc, o.payment_id desc");
        }
        // Few are being cancelled at any moment, and an index holds those alone.
        None if filter.unknown => {
            sql.push_str("payment p indexed by payment_cancelling where true")
        }
        None => sql.push_str("payment p where true"),
    }
    conditions(filter, at, &mut sql, &mut values);
    if let Some(cursor) = after {
        sql.push_str(&format!(" and ({at}, {row}) < (:at, :row)"));
        values.push((":at", Box::new(cursor.at)));
        values.push((":row", Box::new(cursor.row)));
    }
    // Not bound: SQLite prepares a statement anew whenever the value of its limit is bound.
    sql.push_str(&format!(" order by {order} limit {limit}"));
    (sql, values)
}

/// Payments that a search looks at most where its index gives some that do not fit.
const MOST_LOOKED_AT: usize = 5_000;

/// The newest payments to which one of the ways leads. What no index covers yet is read first: it is newer.
fn found(
    conn: &Connection,
    filter: &Filter,
    wanted: Option<&Wanted>,
    ways: &[Way],
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<PaymentRow>, StoreError> {
    let below = after.map_or(i64::MAX, |cursor| cursor.row);
    let mut all: Vec<PaymentRow> = Vec::new();
    for way in ways {
        let (from, row) = (way.from, way.row);
        let tail = "payment p where p.id > :filled and p.id < :row";
        let mut rows = Vec::new();
        for (indexed, from, row) in [(false, tail, "p.id"), (true, from, row)] {
            let mut sql = format!("select {COLUMNS} from {from}");
            let mut values: Bound = vec![(":row", Box::new(below))];
            match indexed {
                true => values.push((":phrase", Box::new(way.phrase.clone()))),
                false => values.push((":filled", Box::new(way.filled))),
            }
            if let Some(partner) = &filter.partner {
                sql.push_str(
                    " and exists (select 1 from payment_partner o
                                   where o.payment_id = p.id and o.partner_id = :partner)",
                );
                values.push((":partner", Box::new(partner.clone())));
            }
            conditions(filter, "p.at", &mut sql, &mut values);
            sql.push_str(&format!(" order by {row} desc"));
            let mut query = conn.prepare_cached(&sql)?;
            let mut looked_at = 0;
            for row in query.query_and_then(bound(&values).as_slice(), payment_row)? {
                if rows.len() >= limit || (indexed && looked_at >= MOST_LOOKED_AT) {
                    break;
                }
                let row = row?;
                let look = way.rough || !indexed;
                looked_at += usize::from(look);
                if !look || wanted.is_none_or(|wanted| fits(&row, wanted)) {
                    rows.push(row);
                }
            }
            if rows.len() >= limit {
                break;
            }
        }
        all.append(&mut rows);
    }
    if ways.len() > 1 {
        all.sort_by_key(|row| std::cmp::Reverse(row.row));
        all.dedup_by_key(|row| row.row);
        all.truncate(limit);
    }
    Ok(all)
}

/// Whether a payment is one that somebody looks for.
fn fits(row: &PaymentRow, wanted: &Wanted) -> bool {
    row.is_of_buyer(wanted)
        || [&row.imp_uid, &row.merchant_uid, &row.about.name]
            .into_iter()
            .any(|text| wanted.is_in(text))
}

impl PaymentRow {
    /// Whether it is the buyer's name, mail or phone number that somebody looks for.
    pub fn is_of_buyer(&self, wanted: &Wanted) -> bool {
        let about = &self.about;
        let number = || {
            let own = digits(&about.buyer_tel);
            wanted.phone().is_some_and(|number| match number.len() {
                4 => own.ends_with(&number),
                _ => own == number,
            })
        };
        [&about.buyer_name, &about.buyer_email, &about.buyer_tel]
            .into_iter()
            .any(|text| wanted.is_in(text))
            || number()
    }
}

/// Methods that occur, for the filter's choice. Walks the index from value to value.
pub fn methods(conn: &Connection) -> Result<Vec<String>, StoreError> {
    let mut query = conn.prepare_cached(
        "with recursive m(method) as (
             select min(method) from payment
             union all
             select (select min(method) from payment where method > m.method) from m
              where m.method is not null
         )
         select method from m where method is not null limit 50",
    )?;
    Ok(query
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

/// What PortOne is compared with in a sweep.
pub fn known(conn: &Connection, imp_uid: &ImpUid) -> Result<Option<(Status, Won)>, StoreError> {
    let found: Option<(String, i64)> = conn
        .prepare_cached("select status, cancelled from payment where imp_uid = ?1")?
        .query_row([imp_uid.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found
        .map(|(status, cancelled)| {
            Status::parse(&status)
                .map(|status| (status, Won::new(cancelled)))
                .ok_or_else(|| unreadable(format!("status {status}")))
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        for cursor in [
            Cursor {
                at: 1_754_450_000_123,
                row: 42,
            },
            Cursor { at: 0, row: 0 },
        ] {
            assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }
        for wrong in [
            "",
            "-",
            "abc",
            "1-",
            "-1",
            "1-2-3",
            "zzzzzzzzzzzzzzzzzzzz-1",
        ] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }
}
