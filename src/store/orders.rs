//! Registered orders and their lines; partners, as far as an order names them.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::{StoreError, Tx};
use crate::domain::{
    ids::{BuyerId, MerchantUid, PartnerId},
    money::Won,
    order::{Order, OrderLine},
};

fn unreadable(why: impl ToString) -> StoreError {
    StoreError::Unreadable {
        table: "merchant_order",
        why: why.to_string(),
    }
}

/// Writes an order down. A partner that is named for the first time gets a row of its own.
pub fn add(tx: &Tx<'_>, order: &Order, prepared: bool) -> Result<(), StoreError> {
    let conn = tx.conn();
    conn.prepare_cached(
        "insert into merchant_order (merchant_uid, name, amount, tax_free, created_at, prepared_at, buyer)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        order.merchant_uid.as_str(),
        &order.name,
        order.amount.get(),
        order.tax_free.get(),
        tx.now_ms(),
        prepared.then(|| tx.now_ms()),
        order.buyer.as_ref().map(BuyerId::as_str),
    ))?;
    let mut add_line = conn.prepare_cached(
        "insert into order_line (merchant_uid, line, partner_id, name, quantity, unit_price, discount, amount)
         values (:order, :line, :partner, :name, :quantity, :price, :discount, :amount)",
    )?;
    for (i, line) in order.lines.iter().enumerate() {
        add_partner(tx, line.partner.as_str(), None)?;
        add_line.execute(named_params! {
            ":order": order.merchant_uid.as_str(),
            ":line": i as i64 + 1,
            ":partner": line.partner.as_str(),
            ":name": line.name,
            ":quantity": line.quantity,
            ":price": line.unit_price.get(),
            ":discount": line.discount.get(),
            ":amount": line.amount().map_err(unreadable)?.get(),
        })?;
    }
    Ok(())
}

/// Adds a partner, or gives it its name; one that has a name keeps it unless a new one is given.
pub fn add_partner(tx: &Tx<'_>, id: &str, name: Option<&str>) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into partner (id, name, created_at) values (?1, coalesce(?2, ?1), ?3)
             on conflict (id) do update set name = coalesce(?2, name)",
        )?
        .execute((id, name, tx.now_ms()))?;
    Ok(())
}

/// `(id, name)` of all partners, by name; the first 500.
pub fn partners(conn: &Connection) -> Result<Vec<(String, String)>, StoreError> {
    let mut query = conn.prepare_cached("select id, name from partner order by name limit 500")?;
    Ok(query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?)
}

/// The registered amount alone: what intake compares with.
pub fn amount(conn: &Connection, id: &MerchantUid) -> Result<Option<Won>, StoreError> {
    Ok(amounts(conn, id)?.map(|(amount, _)| amount))
}

/// An order's amount and the tax-free part of it.
pub fn amounts(conn: &Connection, id: &MerchantUid) -> Result<Option<(Won, Won)>, StoreError> {
    Ok(conn
        .prepare_cached("select amount, tax_free from merchant_order where merchant_uid = ?1")?
        .query_row([id.as_str()], |row| {
            Ok((Won::new(row.get(0)?), Won::new(row.get(1)?)))
        })
        .optional()?)
}

/// The partners to whom an order's lines are owed.
pub fn partners_of(conn: &Connection, id: &MerchantUid) -> Result<Vec<String>, StoreError> {
    let mut query =
        conn.prepare_cached("select distinct partner_id from order_line where merchant_uid = ?1")?;
    Ok(query
        .query_map([id.as_str()], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

/// Whether the buyer of an order was forgotten.
pub fn is_forgotten(conn: &Connection, id: &MerchantUid) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached(
            "select forgotten_at is not null from merchant_order where merchant_uid = ?1",
        )?
        .query_row([id.as_str()], |row| row.get(0))?)
}

/// An order, and whether PortOne has taken its amount.
pub fn get(conn: &Connection, id: &MerchantUid) -> Result<Option<(Order, bool)>, StoreError> {
    let found = conn
        .prepare_cached(
            "select name, amount, tax_free, prepared_at, buyer from merchant_order where merchant_uid = ?1",
        )?
        .query_row([id.as_str()], |row| {
            let name: String = row.get(0)?;
            let prepared: Option<i64> = row.get(3)?;
            let buyer: Option<String> = row.get(4)?;
            Ok((name, row.get(1)?, row.get(2)?, prepared, buyer))
        })
        .optional()?;
    let Some((name, amount, tax_free, prepared, buyer)) = found else {
        return Ok(None);
    };
    let mut query = conn.prepare_cached(
        "select partner_id, name, quantity, unit_price, discount
           from order_line where merchant_uid = ?1 order by line",
    )?;
    let lines = query
        .query_and_then([id.as_str()], |row| {
            Ok(OrderLine {
                partner: PartnerId::new(row.get::<_, String>(0)?).map_err(unreadable)?,
                name: row.get(1)?,
                quantity: row.get(2)?,
                unit_price: Won::new(row.get(3)?),
                discount: Won::new(row.get(4)?),
            })
        })?
        .collect::<Result<Vec<_>, StoreError>>()?;
    let order = Order {
        merchant_uid: id.clone(),
        name,
        buyer: buyer.map(BuyerId::new).transpose().map_err(unreadable)?,
        amount: Won::new(amount),
        tax_free: Won::new(tax_free),
        lines,
    };
    Ok(Some((order, prepared.is_some())))
}

pub fn set_prepared(tx: &Tx<'_>, id: &MerchantUid) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update merchant_order set prepared_at = ?2 where merchant_uid = ?1 and prepared_at is null",
        )?
        .execute((id.as_str(), tx.now_ms()))?;
    Ok(())
}
