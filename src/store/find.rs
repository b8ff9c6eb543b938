//! What the search over everything finds: orders and payments, buyers, partners, and what has a number.
//!
//! Every group ends with its first few, newest or nearest first, out of an index; partners are few enough
//! that the index of their names is read from end to end.

use std::{collections::HashSet, time::Duration};

use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    StoreError,
    payment_lists::{self, Filter, Patience},
    payments::{self, PaymentRow},
};
use crate::domain::{hangul, money::Won, payment::Status, wanted::Wanted};

/// Of each group, shown at once. One more is read, to know whether there are more.
pub const SHOWN: usize = 5;

/// Names of partners that are read at most. Beyond it only what begins like the search is found.
const MOST_NAMES: i64 = 20_000;

/// An order that nobody has paid.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderFound {
    pub merchant_uid: String,
    pub name: String,
    pub amount: Won,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PartnerFound {
    pub id: String,
    pub name: String,
}

/// A buyer, as the newest payment of the search knows them.
#[derive(Clone, Debug)]
pub struct BuyerFound {
    pub newest: PaymentRow,
    /// How many of the payments that were looked at are the same buyer's.
    pub payments: usize,
}

/// What has the number that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbered {
    Settlement {
        id: i64,
        partner: String,
        day: String,
        net: Won,
    },
    Batch {
        id: i64,
        amount: Won,
    },
    Transfer {
        batch: i64,
        id: i64,
        partner: String,
        amount: Won,
    },
    Job {
        id: i64,
        kind: String,
    },
}

/// Rows of a group, and whether there are more than these.
#[derive(Clone, Debug)]
pub struct Group<T> {
    pub rows: Vec<T>,
    pub more: bool,
}

impl<T> Default for Group<T> {
    fn default() -> Group<T> {
        Group {
            rows: Vec::new(),
            more: false,
        }
    }
}

impl<T> Group<T> {
    fn cut(mut rows: Vec<T>) -> Group<T> {
        let more = rows.len() > SHOWN;
        rows.truncate(SHOWN);
        Group { rows, more }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// What a search finds among payments.
#[derive(Clone, Debug, Default)]
pub struct OfPayments {
    /// By ids and the order's name.
    pub payments: Group<PaymentRow>,
    pub orders: Group<OrderFound>,
    pub buyers: Group<BuyerFound>,
    /// Those of exactly the amount that was typed.
    pub of_amount: Group<PaymentRow>,
}

/// How long each group of payments is looked for: who types is not kept waiting.
const PATIENCE: Duration = Duration::from_millis(3);

/// Payments that are looked at to tell buyers from orders.
const LOOKED_AT: usize = 60;

/// Orders, payments and buyers. A single letter is in too many of them: it finds an id that is just that.
pub fn of_payments(conn: &Connection, wanted: &Wanted) -> Result<OfPayments, StoreError> {
    let (text, id) = (wanted.text(), wanted.typed());
    let patience = Patience::of(PATIENCE);
    let mut found: Vec<PaymentRow> = payments::show(conn, id)?.into_iter().collect();
    found.extend(payment_lists::of_orders_like(conn, id, SHOWN + 1)?);
    found.extend(payment_lists::of_phone(conn, wanted, LOOKED_AT, patience)?);
    if !wanted.is_short() {
        let filter = Filter {
            text: Some(text.to_owned()),
            ..Filter::default()
        };
        found.extend(payment_lists::list_within(conn, &filter, None, LOOKED_AT, patience)?.rows);
    }
    let mut seen = HashSet::new();
    found.retain(|row| seen.insert(row.row));
    let (of_buyers, of_orders): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|row| row.is_of_buyer(wanted));
    let of_amount = match wanted.amount() {
        Some(amount) => {
            let filter = Filter {
                amount: Some(amount),
                ..Filter::default()
            };
            payment_lists::list_within(conn, &filter, None, SHOWN + 1, patience)?.rows
        }
        None => Vec::new(),
    };
    Ok(OfPayments {
        payments: Group::cut(of_orders),
        orders: Group::cut(unpaid_orders(conn, id)?),
        buyers: Group::cut(buyers(of_buyers)),
        of_amount: Group::cut(of_amount),
    })
}

/// Payments of one buyer together. Two are the same whose name, mail and phone are.
fn buyers(rows: Vec<PaymentRow>) -> Vec<BuyerFound> {
    let mut found: Vec<BuyerFound> = Vec::new();
    for row in rows {
        let same = found.iter_mut().find(|buyer| {
            let (a, b) = (&buyer.newest.about, &row.about);
            (&a.buyer_name, &a.buyer_email, &a.buyer_tel)
                == (&b.buyer_name, &b.buyer_email, &b.buyer_tel)
        });
        match same {
            Some(buyer) => buyer.payments += 1,
            None => found.push(BuyerFound {
                newest: row,
                payments: 1,
            }),
        }
    }
    found
}

/// Orders that are looked at for some that nobody paid: where all are paid, each letter typed would walk
/// through all of them.
const MOST_ORDERS: i64 = 1_000;

pub(super) const UNPAID_ORDERS: &str = "select merchant_uid, name, amount
       from (select merchant_uid, name, amount from merchant_order
              where merchant_uid >= ?1 and merchant_uid < ?1 || char(1114111)
              order by merchant_uid limit ?5 + 0) o
      where not exists (select 1 from payment p where p.merchant_uid = o.merchant_uid and p.status not in (?2, ?3))
      order by merchant_uid limit ?4 + 0";

/// Orders whose id begins like this and that no payment has paid: the others are found by their payment.
fn unpaid_orders(conn: &Connection, begins: &str) -> Result<Vec<OrderFound>, StoreError> {
    let unpaid = [Status::Ready, Status::Failed].map(Status::as_str);
    let mut query = conn.prepare_cached(UNPAID_ORDERS)?;
    let values = (begins, unpaid[0], unpaid[1], SHOWN as i64 + 1, MOST_ORDERS);
    let rows = query.query_map(values, |row| {
        Ok(OrderFound {
            merchant_uid: row.get(0)?,
            name: row.get(1)?,
            amount: Won::new(row.get(2)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn text_of<'a>(row: &'a Row<'_>, at: usize) -> Result<&'a str, StoreError> {
    let text = row.get_ref(at).and_then(|value| Ok(value.as_str()?));
    text.map_err(StoreError::from)
}

/// Partners whose id or name holds it; those whose name begins with it first.
pub fn partners(conn: &Connection, wanted: &Wanted) -> Result<Group<PartnerFound>, StoreError> {
    let mut query =
        conn.prepare_cached("select id, name from partner order by name, id limit ?1 + 0")?;
    let mut rows = query.query([MOST_NAMES])?;
    let (mut first, mut others, mut names) = (Vec::new(), Vec::new(), 0);
    while let Some(row) = rows.next()? {
        names += 1;
        let (id, name) = (text_of(row, 0)?, text_of(row, 1)?);
        let of_name = wanted.is_in(name);
        if !of_name && !wanted.is_in(id) {
            continue;
        }
        let found = PartnerFound {
            id: id.to_owned(),
            name: name.to_owned(),
        };
        let begins = |text: &str| {
            let many = wanted.text().chars().count();
            let start: String = text.to_lowercase().chars().take(many).collect();
            hangul::holds(&start, wanted.text())
        };
        match begins(&found.name) || begins(&found.id) {
            true => first.push(found),
            false if others.len() <= SHOWN => others.push(found),
            false => {}
        }
        if first.len() > SHOWN {
            break;
        }
    }
    if names >= MOST_NAMES && first.len() <= SHOWN {
        let mut query = conn.prepare_cached(
            "select id, name from partner where name >= ?1 and name < ?1 || char(1114111)
             union select id, name from partner where id >= ?1 and id < ?1 || char(1114111) limit ?2 + 0",
        )?;
        let rows = query.query_map((wanted.typed(), SHOWN as i64 + 1), |row| {
            Ok(PartnerFound {
                id: row.get(0)?,
                name: row.get(1)?,
            })
        })?;
        for found in rows {
            let found = found?;
            if !first.contains(&found) && !others.contains(&found) {
                first.push(found);
            }
        }
    }
    first.append(&mut others);
    Ok(Group::cut(first))
}

/// Settlements, batches and transfers with the number that was typed.
pub fn settled(conn: &Connection, wanted: &Wanted) -> Result<Vec<Numbered>, StoreError> {
    let mut found = Vec::new();
    if let Some((batch, payout)) = wanted.transfer() {
        let transfer = conn
            .prepare_cached(
                "select t.batch_id, t.id, p.name, t.amount from payout t join partner p on p.id = t.partner_id
                  where t.id = ?1 and t.batch_id = ?2",
            )?
            .query_row((payout, batch), |row| {
                Ok(Numbered::Transfer {
                    batch: row.get(0)?,
                    id: row.get(1)?,
                    partner: row.get(2)?,
                    amount: Won::new(row.get(3)?),
                })
            })
            .optional()?;
        found.extend(transfer);
    }
    let Some(number) = wanted.number() else {
        return Ok(found);
    };
    let settlement = conn
        .prepare_cached(
            "select s.id, p.name, s.day, s.net from settlement s join partner p on p.id = s.partner_id
              where s.id = ?1",
        )?
        .query_row([number], |row| {
            Ok(Numbered::Settlement {
                id: row.get(0)?,
                partner: row.get(1)?,
                day: row.get(2)?,
                net: Won::new(row.get(3)?),
            })
        })
        .optional()?;
    found.extend(settlement);
    let batch = conn
        .prepare_cached(
            "select b.id, coalesce((select sum(amount) from payout t where t.batch_id = b.id), 0)
               from payout_batch b where b.id = ?1",
        )?
        .query_row([number], |row| {
            Ok(Numbered::Batch {
                id: row.get(0)?,
                amount: Won::new(row.get(1)?),
            })
        })
        .optional()?;
    found.extend(batch);
    Ok(found)
}

/// The job with the number that was typed.
pub fn job(conn: &Connection, wanted: &Wanted) -> Result<Option<Numbered>, StoreError> {
    let Some(number) = wanted.number() else {
        return Ok(None);
    };
    Ok(conn
        .prepare_cached("select id, kind from job where id = ?1")?
        .query_row([number], |row| {
            Ok(Numbered::Job {
                id: row.get(0)?,
                kind: row.get(1)?,
            })
        })
        .optional()?)
}
