//! Payout batches: which settlements are paid together, to which account, and what the bank said.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    StoreError, Tx, instant, instant_maybe,
    movements::{day, unreadable},
};
use crate::domain::{calendar::KstDay, money::Won, withholding::Withheld};

/// How a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BatchState {
    /// Some payout waits for the bank's word.
    Open,
    /// All are decided.
    Done,
    /// Called off before anything was paid.
    Cancelled,
}

impl BatchState {
    pub fn as_str(self) -> &'static str {
        match self {
            BatchState::Open => "OPEN",
            BatchState::Done => "DONE",
            BatchState::Cancelled => "CANCELLED",
        }
    }

    fn parse(text: &str) -> Result<BatchState, StoreError> {
        [BatchState::Open, BatchState::Done, BatchState::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| unreadable(text))
    }
}

/// How one payout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PayoutState {
    /// In a file for the bank, or about to be.
    Waiting,
    Paid,
    /// The bank refused it; its settlements failed with it.
    Failed,
    Cancelled,
}

impl PayoutState {
    pub fn as_str(self) -> &'static str {
        match self {
            PayoutState::Waiting => "WAITING",
            PayoutState::Paid => "PAID",
            PayoutState::Failed => "FAILED",
            PayoutState::Cancelled => "CANCELLED",
        }
    }

    fn parse(text: &str) -> Result<PayoutState, StoreError> {
        use PayoutState::{Cancelled, Failed, Paid, Waiting};
        [Waiting, Paid, Failed, Cancelled]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| unreadable(text))
    }
}

pub fn add_batch(tx: &Tx<'_>, due_until: KstDay, note: &str, by: &str) -> Result<i64, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached(
            "insert into payout_batch (state, due_until, note, created_at, created_by)
             values ('OPEN', ?1, ?2, ?3, ?4) returning id",
        )?
        .query_row((due_until.to_string(), note, tx.now_ms(), by), |row| {
            row.get(0)
        })?)
}

/// The account that a payout goes to, as it is now.
#[derive(Clone, Copy, Debug)]
pub struct To<'a> {
    pub bank: &'a str,
    pub account: &'a str,
    pub holder: &'a str,
}

/// Adds a payout of `settlements` (id, amount). The rule `settlement_paid_once` refuses one that
/// another live payout has.
pub fn add(
    tx: &Tx<'_>,
    batch: i64,
    partner: &str,
    withheld: &Withheld,
    to: To<'_>,
    settlements: &[(i64, Won)],
) -> Result<i64, StoreError> {
    let id: i64 = tx
        .conn()
        .prepare_cached(
            "insert into payout (batch_id, partner_id, state, gross, income_tax, local_tax, amount, bank, account, holder)
             values (?1, ?2, 'WAITING', ?3, ?4, ?5, ?6, ?7, ?8, ?9) returning id",
        )?
        .query_row(
            (
                batch,
                partner,
                withheld.gross.get(),
                withheld.income_tax.get(),
                withheld.local_tax.get(),
                withheld.paid.get(),
                to.bank,
                to.account,
                to.holder,
            ),
            |row| row.get(0),
        )?;
    let mut add = tx.conn().prepare_cached(
        "insert into payout_settlement (payout_id, settlement_id, amount) values (?1, ?2, ?3)",
    )?;
    for (settlement, amount) in settlements {
        add.execute((id, settlement, amount.get()))?;
    }
    Ok(id)
}

/// A payout as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct PayoutRow {
    pub id: i64,
    pub batch: i64,
    pub partner: String,
    pub partner_name: String,
    pub state: PayoutState,
    pub gross: Won,
    pub income_tax: Won,
    pub local_tax: Won,
    /// What is transferred.
    pub amount: Won,
    pub bank: String,
    pub account: String,
    pub holder: String,
    pub reason: Option<String>,
    #[serde(serialize_with = "super::payments::seoul_time_maybe")]
    pub decided_at: Option<Timestamp>,
    pub decided_by: Option<String>,
    /// How many settlements it pays.
    pub settlements: i64,
}

impl PayoutRow {
    /// By which a bank's file and our books know each other: `P12-3`.
    pub fn reference(&self) -> String {
        format!("P{}-{}", self.batch, self.id)
    }
}

const COLUMNS: &str =
    "b.id, b.batch_id, b.partner_id, p.name, b.state, b.gross, b.income_tax, b.local_tax, b.amount, b.bank,
     b.account, b.holder, b.reason, b.decided_at, b.decided_by,
     (select count(*) from payout_settlement o where o.payout_id = b.id)";

fn read(row: &Row<'_>) -> Result<PayoutRow, StoreError> {
    let state: String = row.get(4)?;
    let won = |at: usize| row.get(at).map(Won::new);
    Ok(PayoutRow {
        id: row.get(0)?,
        batch: row.get(1)?,
        partner: row.get(2)?,
        partner_name: row.get(3)?,
        state: PayoutState::parse(&state)?,
        gross: won(5)?,
        income_tax: won(6)?,
        local_tax: won(7)?,
        amount: won(8)?,
        bank: row.get(9)?,
        account: row.get(10)?,
        holder: row.get(11)?,
        reason: row.get(12)?,
        decided_at: instant_maybe(row.get(13)?)?,
        decided_by: row.get(14)?,
        settlements: row.get(15)?,
    })
}

/// All of a batch, by partner.
pub fn of_batch(conn: &Connection, batch: i64) -> Result<Vec<PayoutRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from payout b join partner p on p.id = b.partner_id where b.batch_id = ?1 order by b.partner_id"
    );
    conn.prepare_cached(&sql)?
        .query_and_then([batch], read)?
        .collect()
}

/// The same, behind the payout `after` of the batch, at most `most`.
pub fn page_of_batch(
    conn: &Connection,
    batch: i64,
    after: Option<i64>,
    most: usize,
) -> Result<Vec<PayoutRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from payout b join partner p on p.id = b.partner_id
          where b.batch_id = ?1
            and b.partner_id > coalesce((select x.partner_id from payout x where x.id = ?2 and x.batch_id = ?1), '')
          order by b.partner_id limit ?3 + 0"
    );
    conn.prepare_cached(&sql)?
        .query_and_then((batch, after, most as i64), read)?
        .collect()
}

/// What a batch transfers, without what was called off. `gross == income_tax + local_tax + amount`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub payouts: usize,
    pub gross: Won,
    pub income_tax: Won,
    pub local_tax: Won,
    pub amount: Won,
}

/// The totals of a batch. A sum that is out of range is an error of SQLite's.
pub fn totals(conn: &Connection, batch: i64) -> Result<Totals, StoreError> {
    let mut query = conn.prepare_cached(
        "select count(*), coalesce(sum(gross), 0), coalesce(sum(income_tax), 0), coalesce(sum(local_tax), 0),
                coalesce(sum(amount), 0)
           from payout where batch_id = ?1 and state <> 'CANCELLED'",
    )?;
    let sums = query.query_row([batch], |row| {
        let won = |at: usize| row.get(at).map(Won::new);
        Ok(Totals {
            payouts: row.get::<_, i64>(0)?.unsigned_abs() as usize,
            gross: won(1)?,
            income_tax: won(2)?,
            local_tax: won(3)?,
            amount: won(4)?,
        })
    });
    Ok(sums?)
}

pub fn get(conn: &Connection, id: i64) -> Result<Option<PayoutRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from payout b join partner p on p.id = b.partner_id where b.id = ?1"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query.query_and_then([id], read)?.next().transpose()
}

/// A partner's, newest first.
pub fn of_partner(
    conn: &Connection,
    partner: &str,
    most: usize,
) -> Result<Vec<PayoutRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from payout b join partner p on p.id = b.partner_id
          where b.partner_id = ?1 order by b.id desc limit ?2 + 0"
    );
    conn.prepare_cached(&sql)?
        .query_and_then((partner, most as i64), read)?
        .collect()
}

/// Settlements of a payout: id, day, amount.
pub fn settlements(conn: &Connection, payout: i64) -> Result<Vec<(i64, KstDay, Won)>, StoreError> {
    let mut query = conn.prepare_cached(
        "select o.settlement_id, s.day, o.amount from payout_settlement o join settlement s on s.id = o.settlement_id
          where o.payout_id = ?1 order by s.day, s.id",
    )?;
    query
        .query_and_then([payout], |row| {
            Ok((row.get(0)?, day(row, 1)?, Won::new(row.get(2)?)))
        })?
        .collect()
}

/// Every payout that a settlement was in, oldest first: more than one only after failures.
pub fn of_settlement(conn: &Connection, settlement: i64) -> Result<Vec<PayoutRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from payout_settlement x join payout b on b.id = x.payout_id
                join partner p on p.id = b.partner_id
          where x.settlement_id = ?1 order by b.id"
    );
    conn.prepare_cached(&sql)?
        .query_and_then([settlement], read)?
        .collect()
}

/// A settlement of the day that was in a payout, also one that failed or was called off: it, and the payout.
pub fn tried_of_day(conn: &Connection, day: KstDay) -> Result<Option<(i64, i64)>, StoreError> {
    // From the payouts' side: one pass, where asking for each settlement would take one each.
    Ok(conn
        .prepare_cached(
            "select settlement_id, max(payout_id) from payout_settlement
              where settlement_id in (select id from settlement where day = ?1)
              group by settlement_id order by settlement_id limit 1",
        )?
        .query_row([day.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// The bank's word, or ours, on one payout. What was not paid gives its settlements free.
pub fn decide(
    tx: &Tx<'_>,
    id: i64,
    state: PayoutState,
    reason: Option<&str>,
    by: &str,
) -> Result<(), StoreError> {
    let conn = tx.conn();
    conn.prepare_cached(
        "update payout set state = ?2, reason = ?3, decided_at = ?4, decided_by = ?5 where id = ?1",
    )?
    .execute((id, state.as_str(), reason, tx.now_ms(), by))?;
    if state != PayoutState::Paid {
        conn.prepare_cached("update payout_settlement set live = 0 where payout_id = ?1")?
            .execute([id])?;
    }
    Ok(())
}

// --- What a second person looks at

/// Names exactly what a batch pays, and to whom: each payout with its settlements, the account that it
/// goes to, and the account that its partner has now.
pub fn seal(conn: &Connection, batch: i64) -> Result<String, StoreError> {
    let mut query = conn.prepare_cached(
        "select json_array(b.id, b.partner_id, b.gross, b.amount, b.bank, b.account, b.holder, p.bank, p.account, p.holder,
                           (select json_group_array(o.settlement_id || ':' || o.amount) from payout_settlement o
                             where o.payout_id = b.id))
           from payout b join partner p on p.id = b.partner_id where b.batch_id = ?1 order by b.id",
    )?;
    let mut hasher = Sha256::new();
    let mut rows = query.query([batch])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    Ok(hex::encode(hasher.finalize()))
}

/// Partners whose account is not the one any more that a batch pays to, by name; the first twenty.
pub fn moved(conn: &Connection, batch: i64) -> Result<Vec<String>, StoreError> {
    let mut query = conn.prepare_cached(
        "select p.name from payout b join partner p on p.id = b.partner_id
          where b.batch_id = ?1 and b.state = 'WAITING' and (p.bank is not b.bank or p.account is not b.account)
          order by b.partner_id limit 20",
    )?;
    Ok(query
        .query_map([batch], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

/// Whether `by` set the account that this batch pays to, or the partner's account last, and nothing was ever
/// paid to it: the partner. An account that money has gone to before is known to be right.
pub fn new_account_set_by(
    conn: &Connection,
    batch: i64,
    by: &str,
) -> Result<Option<String>, StoreError> {
    Ok(conn
        .prepare_cached(
            "select b.partner_id from payout b
              where b.batch_id = ?1
                and not exists (select 1 from payout x where x.partner_id = b.partner_id and x.state = 'PAID'
                                   and x.bank = b.bank and x.account = b.account)
                and (exists (select 1 from history h where h.subject = 'partner:' || b.partner_id and h.actor = ?2
                                and h.detail ->> '$.account.to.number' = b.account)
                     or ?2 = (select actor from history h where h.subject = 'partner:' || b.partner_id
                             and h.detail ->> '$.account.to.number' is not null order by h.id desc limit 1))
              order by b.partner_id limit 1",
        )?
        .query_row((batch, by), |row| row.get(0))
        .optional()?)
}

/// Batches in which something of a partner waits.
pub fn open_batches_of(conn: &Connection, partner: &str) -> Result<Vec<i64>, StoreError> {
    let mut query = conn.prepare_cached(
        "select t.id from payout_batch t indexed by payout_batch_open join payout b on b.batch_id = t.id
          where t.state = 'OPEN' and b.partner_id = ?1 and b.state = 'WAITING' order by t.id",
    )?;
    Ok(query
        .query_map([partner], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

/// What somebody put into batches on a day that needed no second person, as far as it is paid or may be.
pub fn alone(conn: &Connection, by: &str, day: KstDay) -> Result<Won, StoreError> {
    let mut query = conn.prepare_cached(
        "select coalesce(sum(b.amount), 0)
           from payout_batch t indexed by payout_batch_by_maker join payout b on b.batch_id = t.id
          where t.created_by = ?1 and t.created_at >= ?2 and t.created_at < ?3 and b.state in ('WAITING', 'PAID')
            and not exists (select 1 from approval a where a.subject = 'payout:' || t.id)",
    )?;
    let (from, to) = (day.start().as_millisecond(), day.end().as_millisecond());
    Ok(query.query_row((by, from, to), |row| row.get(0).map(Won::new))?)
}

/// Ends a batch.
pub fn end_batch(tx: &Tx<'_>, id: i64, state: BatchState) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update payout_batch set state = ?2, finished_at = ?3 where id = ?1 and state = 'OPEN'",
        )?
        .execute((id, state.as_str(), tx.now_ms()))?;
    Ok(())
}

/// A batch as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct BatchRow {
    pub id: i64,
    pub state: BatchState,
    pub due_until: KstDay,
    pub note: String,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub created_at: Timestamp,
    pub created_by: String,
    #[serde(serialize_with = "super::payments::seoul_time_maybe")]
    pub finished_at: Option<Timestamp>,
    /// Count and sum to be transferred, then those that are waiting, paid and failed.
    pub payouts: i64,
    pub amount: Won,
    pub waiting: i64,
    pub paid: i64,
    pub paid_amount: Won,
    pub failed: i64,
}

const BATCH: &str =
    "t.id, t.state, t.due_until, t.note, t.created_at, t.created_by, t.finished_at, count(b.id),
     coalesce(sum(b.amount), 0), coalesce(sum(b.state = 'WAITING'), 0), coalesce(sum(b.state = 'PAID'), 0),
     coalesce(sum(b.amount) filter (where b.state = 'PAID'), 0), coalesce(sum(b.state = 'FAILED'), 0)";

fn read_batch(row: &Row<'_>) -> Result<BatchRow, StoreError> {
    let state: String = row.get(1)?;
    Ok(BatchRow {
        id: row.get(0)?,
        state: BatchState::parse(&state)?,
        due_until: day(row, 2)?,
        note: row.get(3)?,
        created_at: instant(row.get(4)?)?,
        created_by: row.get(5)?,
        finished_at: instant_maybe(row.get(6)?)?,
        payouts: row.get(7)?,
        amount: Won::new(row.get(8)?),
        waiting: row.get(9)?,
        paid: row.get(10)?,
        paid_amount: Won::new(row.get(11)?),
        failed: row.get(12)?,
    })
}

/// Newest first, behind `before`.
pub fn batches(
    conn: &Connection,
    before: Option<i64>,
    most: usize,
) -> Result<Vec<BatchRow>, StoreError> {
    let sql = format!(
        "select {BATCH} from payout_batch t left join payout b on b.batch_id = t.id
          where t.id < ?1 group by t.id order by t.id desc limit ?2 + 0"
    );
    conn.prepare_cached(&sql)?
        .query_and_then((before.unwrap_or(i64::MAX), most as i64), read_batch)?
        .collect()
}

/// Those in which something waits, newest first.
pub fn open_batches(conn: &Connection, most: usize) -> Result<Vec<BatchRow>, StoreError> {
    let sql = format!(
        "select {BATCH} from payout_batch t left join payout b on b.batch_id = t.id
          where t.state = 'OPEN' group by t.id order by t.id desc limit ?1 + 0"
    );
    conn.prepare_cached(&sql)?
        .query_and_then([most as i64], read_batch)?
        .collect()
}

pub fn batch(conn: &Connection, id: i64) -> Result<Option<BatchRow>, StoreError> {
    let sql = format!(
        "select {BATCH} from payout_batch t left join payout b on b.batch_id = t.id where t.id = ?1 group by t.id"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query.query_and_then([id], read_batch)?.next().transpose()
}

// --- Templates of banks' files: JSON that `sheet` understands

/// `(name, JSON)` of all that were changed or added by a person, by name.
pub fn templates(conn: &Connection) -> Result<Vec<(String, String)>, StoreError> {
    let mut query = conn.prepare_cached("select name, body from bank_template order by name")?;
    Ok(query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?)
}

pub fn template(conn: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    Ok(conn
        .prepare_cached("select body from bank_template where name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

pub fn put_template(tx: &Tx<'_>, name: &str, body: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into bank_template (name, body, updated_at) values (?1, ?2, ?3)
             on conflict (name) do update set body = excluded.body, updated_at = excluded.updated_at",
        )?
        .execute((name, body, tx.now_ms()))?;
    Ok(())
}

/// Back to the seeded one, or away with it. False if there was none.
pub fn remove_template(tx: &Tx<'_>, name: &str) -> Result<bool, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached("delete from bank_template where name = ?1")?
        .execute([name])?
        > 0)
}
