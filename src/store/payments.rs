//! Payments: what the flows need to decide, and what lists and pages show.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::Serialize;

use super::{News, StoreError, Tx, forgetting, instant, instant_maybe, search};
use crate::domain::{
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

/// The row of a payment.
pub fn row_of(conn: &Connection, imp_uid: &str) -> Result<Option<i64>, StoreError> {
    Ok(conn
        .prepare_cached("select id from payment where imp_uid = ?1")?
        .query_row([imp_uid], |row| row.get(0))
        .optional()?)
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
    forgetting::comes_back(tx.conn(), kept.row)?;
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
    let about = forgetting::about(tx.conn(), kept.row, &seen.about)?;
    let about = serde_json::to_string(&about).map_err(unreadable)?;
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
    forgetting::comes_back(tx.conn(), kept.row)?;
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

impl PaymentRow {
    /// Whether it is one that somebody looks for.
    pub fn fits(&self, wanted: &Wanted) -> bool {
        self.is_of_buyer(wanted)
            || [&self.imp_uid, &self.merchant_uid, &self.about.name]
                .into_iter()
                .any(|text| wanted.is_in(text))
    }

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
