//! A buyer's own payments: those of the orders that are theirs, and no others.
//!
//! Every query here begins with whose payments are asked for. There is none that finds a payment
//! first and compares afterwards.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::{
    StoreError,
    payment_lists::Cursor,
    payments::{COLUMNS, PaymentRow, payment_row},
};
use crate::domain::ids::{BuyerId, MerchantUid};

/// Payments on a page.
pub const PAGE: usize = 20;
/// Attempts to pay one order that are shown: nobody makes so many.
const ATTEMPTS: usize = 20;

/// Whose payments, as a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// All of a customer of the shop.
    Buyer(BuyerId),
    /// Of these orders alone: a guest's.
    Orders(Vec<MerchantUid>),
}

/// A page of somebody's payments, newest order first, and where the next one begins.
pub struct Page {
    pub payments: Vec<PaymentRow>,
    pub next: Option<Cursor>,
}

/// Behind the columns of the payment stands when its order came: the list's place in time.
const COLUMN_OF_ORDER: usize = 14;

/// Cut out of the index of the buyer's orders; a page reads about as many rows as it shows.
pub(super) fn list_sql(after: bool) -> String {
    let from = if after {
        "and o.created_at <= :at and (o.created_at, p.id) < (:at, :row)"
    } else {
        "and :at is null and :row is null"
    };
    let sql = format!(
        "select {COLUMNS}, o.created_at
           from merchant_order o indexed by order_by_buyer
           cross join payment p on p.merchant_uid = o.merchant_uid
          where o.buyer = :buyer "
    );
    sql + from + " order by o.created_at desc, p.id desc limit 21"
}

/// Somebody's payments.
pub fn list(conn: &Connection, whose: &Whose, after: Option<Cursor>) -> Result<Page, StoreError> {
    match whose {
        Whose::Buyer(buyer) => of_buyer(conn, buyer, after),
        Whose::Orders(orders) => Ok(Page {
            payments: of_orders(conn, orders)?,
            next: None,
        }),
    }
}

fn of_buyer(conn: &Connection, buyer: &BuyerId, after: Option<Cursor>) -> Result<Page, StoreError> {
    let mut query = conn.prepare_cached(&list_sql(after.is_some()))?;
    let params = named_params! {
        ":buyer": buyer.as_str(),
        ":at": after.and_then(|cursor| cursor.at),
        ":row": after.map(|cursor| cursor.row),
    };
    let mut found = query
        .query_and_then(params, |row| {
            let payment = payment_row(row)?;
            let cursor = Cursor {
                at: Some(row.get(COLUMN_OF_ORDER)?),
                row: payment.row,
            };
            Ok((payment, cursor))
        })?
        .collect::<Result<Vec<_>, StoreError>>()?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|(_, cursor)| *cursor);
    Ok(Page {
        payments: found.into_iter().map(|(payment, _)| payment).collect(),
        next,
    })
}

fn of_orders(conn: &Connection, orders: &[MerchantUid]) -> Result<Vec<PaymentRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from payment p where p.merchant_uid = ?1 order by p.id desc limit {ATTEMPTS}"
    );
    let mut query = conn.prepare_cached(&sql)?;
    let mut found = Vec::new();
    for order in orders {
        let rows = query.query_and_then([order.as_str()], payment_row)?;
        found.extend(rows.collect::<Result<Vec<_>, StoreError>>()?);
    }
    found.sort_by_key(|payment| std::cmp::Reverse((payment.at, payment.row)));
    Ok(found)
}

/// One payment, if it is theirs. Another's and one that is not there are the same: nothing.
pub fn show(
    conn: &Connection,
    whose: &Whose,
    imp_uid: &str,
) -> Result<Option<PaymentRow>, StoreError> {
    match whose {
        Whose::Buyer(buyer) => {
            let sql = format!(
                "select {COLUMNS} from payment p
                   join merchant_order o on o.merchant_uid = p.merchant_uid and o.buyer = ?2
                  where p.imp_uid = ?1"
            );
            let mut query = conn.prepare_cached(&sql)?;
            let found = query
                .query_row((imp_uid, buyer.as_str()), |row| Ok(payment_row(row)))
                .optional()?;
            found.transpose()
        }
        Whose::Orders(orders) => Ok(of_orders(conn, orders)?
            .into_iter()
            .find(|payment| payment.imp_uid == imp_uid)),
    }
}
