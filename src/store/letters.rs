//! What hangs on dead letters: as little of each as a bulk replay has to know of hundreds of them.

use rusqlite::{Connection, OptionalExtension, Row};

use super::StoreError;
use crate::domain::{ids::CancellationId, money::Won};

/// What a letter is about, as far as its fate and its money go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    pub imp_uid: Option<String>,
    pub merchant_uid: Option<String>,
    /// What would go back, be booked, or is registered.
    pub amount: Option<Won>,
}

fn weight(row: &Row<'_>) -> Result<Weight, rusqlite::Error> {
    Ok(Weight {
        imp_uid: row.get(0)?,
        merchant_uid: row.get(1)?,
        amount: row.get::<_, Option<i64>>(2)?.map(Won::new),
    })
}

pub(super) const OF_CANCEL: &str = "
    select p.imp_uid, p.merchant_uid, c.amount, p.status is 'CANCEL_FAILED' and p.wish is c.id
      from cancellation c left join payment p on p.id = c.payment_id
     where c.id = ?1";

/// Of a cancellation, and whether it failed for good and is not settled otherwise: then it can run again.
pub fn of_cancel(conn: &Connection, id: &CancellationId) -> Result<(Weight, bool), StoreError> {
    let found = conn
        .prepare_cached(OF_CANCEL)?
        .query_row([id.as_str()], |row| Ok((weight(row)?, row.get(3)?)))
        .optional()?;
    Ok(found.unwrap_or_default())
}

pub(super) const OF_MESSAGE: &str = "
    select i.imp_uid, coalesce(p.merchant_uid, i.merchant_uid),
           coalesce(p.amount, (select amount from merchant_order o where o.merchant_uid = i.merchant_uid))
      from inbox i left join payment p on p.imp_uid = i.imp_uid
     where i.id = ?1";

/// Of a message: its payment's, and its order's as long as nothing was booked.
pub fn of_message(conn: &Connection, inbox_id: i64) -> Result<Weight, StoreError> {
    let found = conn
        .prepare_cached(OF_MESSAGE)?
        .query_row([inbox_id], weight)
        .optional()?;
    Ok(found.unwrap_or_default())
}

pub(super) const LINES: &str =
    "select partner_id, amount from order_line where merchant_uid = ?1 order by line";

/// To whom an order's lines are owed and what each comes to, in order; none of an order that nobody registered.
pub fn lines(conn: &Connection, merchant_uid: &str) -> Result<Vec<(String, Won)>, StoreError> {
    let mut query = conn.prepare_cached(LINES)?;
    let lines = query.query_map([merchant_uid], |row| {
        Ok((row.get(0)?, Won::new(row.get(1)?)))
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}
