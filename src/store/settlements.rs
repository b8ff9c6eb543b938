//! Settlements and their lines: what each partner is owed for each day.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params};
use serde::Serialize;

use super::{
    StoreError, Tx, instant, instant_maybe,
    movements::{self, Movement, day, day_maybe},
};
use crate::domain::{calendar::KstDay, contract::Cut, money::Won, settlement::State};

fn unreadable(why: impl ToString) -> StoreError {
    StoreError::Unreadable {
        table: "settlement",
        why: why.to_string(),
    }
}

// --- Days

/// How a day's settlement stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Day {
    pub day: KstDay,
    pub generation: i64,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub closed_at: Timestamp,
    #[serde(serialize_with = "super::payments::seoul_time_maybe")]
    pub finished_at: Option<Timestamp>,
    /// Partners that have no contract for the day.
    pub blocked: i64,
}

fn read_day(row: &Row<'_>) -> Result<Day, StoreError> {
    Ok(Day {
        day: day(row, 0)?,
        generation: row.get(1)?,
        closed_at: instant(row.get(2)?)?,
        finished_at: instant_maybe(row.get(3)?)?,
        blocked: row.get(4)?,
    })
}

pub fn the_day(conn: &Connection, day: KstDay) -> Result<Option<Day>, StoreError> {
    let mut query = conn.prepare_cached(
        "select day, generation, closed_at, finished_at, blocked from settlement_day where day = ?1",
    )?;
    query
        .query_and_then([day.to_string()], read_day)?
        .next()
        .transpose()
}

/// Closes a day to further movements; gives how it stands. A day is closed once.
pub fn close_day(tx: &Tx<'_>, day: KstDay) -> Result<Day, StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into settlement_day (day, closed_at) values (?1, ?2) on conflict do nothing",
        )?
        .execute((day.to_string(), tx.now_ms()))?;
    the_day(tx.conn(), day)?.ok_or_else(|| unreadable("the day that was just closed is gone"))
}

/// All partners of the day are settled but `blocked`. False if the day was opened again meanwhile.
pub fn finish_day(
    tx: &Tx<'_>,
    day: KstDay,
    generation: i64,
    blocked: i64,
) -> Result<bool, StoreError> {
    let finished = tx
        .conn()
        .prepare_cached(
            "update settlement_day set finished_at = coalesce(finished_at, ?3), blocked = ?4
              where day = ?1 and generation = ?2",
        )?
        .execute((day.to_string(), generation, tx.now_ms(), blocked))?;
    Ok(finished == 1)
}

/// Opens a day again: its settlements are gone, late movements may come home to it.
pub fn open_day(tx: &Tx<'_>, day: KstDay) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update settlement_day set generation = generation + 1, finished_at = null, blocked = 0 where day = ?1",
        )?
        .execute([day.to_string()])?;
    Ok(())
}

/// Days that have movements and none of which were closed, by a jump of the index per day; and closed ones
/// that are not done.
pub(super) const OPEN_DAYS: &str = "
    with recursive step (day) as (
        select min(day) from movement where day < ?1
         union all
        select (select min(m.day) from movement m where m.day > step.day and m.day < ?1)
          from step where step.day is not null)
    select day from step
     where day is not null and not exists (select 1 from settlement_day d where d.day = step.day)
     union
    select day from settlement_day where day < ?1 and (finished_at is null or blocked > 0)
     order by 1";

/// Days before `before` that are not settled, or have partners without a contract; oldest first.
pub fn open_days(conn: &Connection, before: KstDay) -> Result<Vec<KstDay>, StoreError> {
    let mut query = conn.prepare_cached(OPEN_DAYS)?;
    query
        .query_and_then([before.to_string()], |row| day(row, 0))?
        .collect()
}

/// The first day that can be settled: the first with a movement, or the first that was closed.
pub fn first_day(conn: &Connection) -> Result<Option<KstDay>, StoreError> {
    let closed: Option<String> = conn
        .prepare_cached("select min(day) from settlement_day")?
        .query_row([], |row| row.get(0))?;
    let closed = closed
        .map(|day| day.parse())
        .transpose()
        .map_err(unreadable)?;
    Ok([movements::first_day(conn)?, closed]
        .into_iter()
        .flatten()
        .min())
}

/// The newest day that was closed.
pub fn last_closed(conn: &Connection) -> Result<Option<KstDay>, StoreError> {
    let last: Option<String> = conn
        .prepare_cached("select max(day) from settlement_day")?
        .query_row([], |row| row.get(0))?;
    last.map(|day| day.parse()).transpose().map_err(unreadable)
}

// --- Lines

/// A movement under a contract version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Line {
    pub seq: i64,
    pub contract: Option<i64>,
    pub cut: Cut,
    pub adjustment: Won,
    /// `cut.net + adjustment`.
    pub net: Won,
}

impl Line {
    /// What terms make of a movement.
    pub fn of_cut(seq: i64, contract: i64, cut: Cut) -> Line {
        Line {
            seq,
            contract: Some(contract),
            cut,
            adjustment: Won::ZERO,
            net: cut.net,
        }
    }

    /// A correction by hand: no terms, no fee.
    pub fn of_adjustment(seq: i64, amount: Won) -> Line {
        Line {
            seq,
            contract: None,
            cut: Cut::default(),
            adjustment: amount,
            net: amount,
        }
    }
}

/// A partner's lines of a day, in order.
pub(super) const LINES_OF: &str = "
    select seq, contract_id, order_amount, discount, fee, fee_vat, additional, additional_vat, discount_share,
           payment_vat, adjustment, net
      from settlement_line where day = ?1 and partner_id = ?2 order by seq";

pub(super) fn read_line(row: &Row<'_>) -> Result<Line, StoreError> {
    let won = |at: usize| row.get(at).map(Won::new);
    let (adjustment, net) = (won(10)?, won(11)?);
    Ok(Line {
        seq: row.get(0)?,
        contract: row.get(1)?,
        cut: Cut {
            order: won(2)?,
            discount: won(3)?,
            fee: won(4)?,
            fee_vat: won(5)?,
            additional: won(6)?,
            additional_vat: won(7)?,
            discount_share: won(8)?,
            payment_vat: won(9)?,
            net: net.minus(adjustment).map_err(unreadable)?,
        },
        adjustment,
        net,
    })
}

const ADD_LINE: &str = "
    insert or replace into settlement_line
           (day, partner_id, seq, contract_id, order_amount, discount, fee, fee_vat, additional, additional_vat,
            discount_share, payment_vat, adjustment, net)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

/// Writes lines of one partner and day. The same lines again change nothing.
pub fn add_lines(
    tx: &Tx<'_>,
    day: KstDay,
    partner: &str,
    lines: &[Line],
) -> Result<(), StoreError> {
    let mut add = tx.conn().prepare_cached(ADD_LINE)?;
    let day = day.to_string();
    for line in lines {
        let cut = &line.cut;
        add.execute((
            &day,
            partner,
            line.seq,
            line.contract,
            cut.order.get(),
            cut.discount.get(),
            cut.fee.get(),
            cut.fee_vat.get(),
            cut.additional.get(),
            cut.additional_vat.get(),
            cut.discount_share.get(),
            cut.payment_vat.get(),
            line.adjustment.get(),
            line.net.get(),
        ))?;
    }
    Ok(())
}

/// A line with the movement that made it, and what a person knows it by.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LineRow {
    pub day: KstDay,
    pub partner: String,
    #[serde(flatten)]
    pub movement: Movement,
    pub line: Line,
    pub imp_uid: Option<String>,
    pub merchant_uid: Option<String>,
    /// The order line's name, or the adjustment's reason.
    pub title: String,
}

/// Where a page of lines begins: behind this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineCursor {
    pub day: KstDay,
    pub seq: i64,
}

impl LineCursor {
    pub fn parse(text: &str) -> Option<LineCursor> {
        Cursor::parse(text).map(|Cursor { day, id: seq }| LineCursor { day, seq })
    }
}

impl std::fmt::Display for LineCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}", self.day, self.seq)
    }
}

/// A settlement's lines with what made them. The adjustment is found by its key: its cause is `a` and its id.
pub(super) const LINES: &str = "
    select m.seq, m.kind, m.payment_id, m.order_line, m.cause, m.happened_at, m.terms_day, m.order_before,
           m.order_after, m.discount_before, m.discount_after, m.tax_free_before, m.tax_free_after, m.adjustment,
           l.contract_id, l.order_amount, l.discount, l.fee, l.fee_vat, l.additional, l.additional_vat,
           l.discount_share, l.payment_vat, l.adjustment, l.net, p.imp_uid, p.merchant_uid,
           coalesce(o.name, a.reason, json_extract(p.about, '$.name'), '')
      from settlement_line l
           join movement m on m.day = l.day and m.partner_id = l.partner_id and m.seq = l.seq
           left join payment p on p.id = m.payment_id
           left join order_line o on o.merchant_uid = p.merchant_uid and o.line = m.order_line
           left join adjustment a
                  on a.id = case when m.kind = 'ADJUSTMENT' then cast(substr(m.cause, 2) as integer) end
     where l.day = ?1 and l.partner_id = ?2 and l.seq > ?3
     order by l.seq limit ?4 + 0";

/// A partner's lines of settled days in `[from, to]` behind `after`, oldest first, at most `most`.
pub fn lines(
    conn: &Connection,
    partner: &str,
    from: KstDay,
    to: KstDay,
    after: Option<LineCursor>,
    most: usize,
) -> Result<Vec<LineRow>, StoreError> {
    // Day by day: the key begins with the day.
    let mut days = conn.prepare_cached(
        "select day from settlement where partner_id = ?1 and day >= ?2 and day <= ?3 order by day",
    )?;
    let first = after.map_or(from, |cursor| cursor.day.max(from));
    let days: Vec<String> = days
        .query_map((partner, first.to_string(), to.to_string()), |row| {
            row.get(0)
        })?
        .collect::<Result<_, _>>()?;
    let mut query = conn.prepare_cached(LINES)?;
    let mut found = Vec::new();
    for text in days {
        if found.len() >= most {
            break;
        }
        let this: KstDay = text.parse().map_err(unreadable)?;
        let behind = after
            .filter(|cursor| cursor.day == this)
            .map_or(0, |cursor| cursor.seq);
        let left = (most - found.len()) as i64;
        let rows = query.query_and_then((&text, partner, behind, left), |row| {
            let movement = movements::read(row)?;
            let won = |at: usize| row.get(at).map(Won::new);
            let adjustment = won(23)?;
            let net = won(24)?;
            Ok::<_, StoreError>(LineRow {
                day: this,
                partner: partner.to_owned(),
                line: Line {
                    seq: movement.seq,
                    contract: row.get(14)?,
                    cut: Cut {
                        order: won(15)?,
                        discount: won(16)?,
                        fee: won(17)?,
                        fee_vat: won(18)?,
                        additional: won(19)?,
                        additional_vat: won(20)?,
                        discount_share: won(21)?,
                        payment_vat: won(22)?,
                        net: net.minus(adjustment).map_err(unreadable)?,
                    },
                    adjustment,
                    net,
                },
                movement,
                imp_uid: row.get(25)?,
                merchant_uid: row.get(26)?,
                title: row.get(27)?,
            })
        })?;
        for row in rows {
            found.push(row?);
        }
    }
    Ok(found)
}

// --- Settlements

/// The figures of a settlement, as its lines make them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Sums {
    pub lines: i64,
    pub orders: i64,
    pub cancels: i64,
    /// Order amounts that came.
    pub sales: Won,
    /// Order amounts that went back, negative.
    pub returned: Won,
    pub cut: Cut,
    pub adjustment: Won,
}

impl Sums {
    /// Adds a line.
    pub fn add(&mut self, line: &Line) -> Result<(), crate::domain::money::OutOfRange> {
        self.lines += 1;
        if line.cut.order.is_positive() {
            self.orders += 1;
            self.sales = self.sales.plus(line.cut.order)?;
        } else if line.cut.order < Won::ZERO {
            self.cancels += 1;
            self.returned = self.returned.plus(line.cut.order)?;
        }
        self.cut = self.cut.plus(line.cut)?;
        self.adjustment = self.adjustment.plus(line.adjustment)?;
        Ok(())
    }

    /// What the lines come to.
    pub fn net(&self) -> Result<Won, crate::domain::money::OutOfRange> {
        self.cut.net.plus(self.adjustment)
    }
}

/// A settlement on its way into the books.
#[derive(Clone, Debug)]
pub struct New<'a> {
    pub partner: &'a str,
    pub day: KstDay,
    pub payout_day: Option<KstDay>,
    pub contract: Option<i64>,
    pub sums: Sums,
}

/// Writes a settlement down and nets the negative ones before it. `None` if the partner has one of the
/// day already.
pub fn add(tx: &Tx<'_>, new: &New<'_>) -> Result<Option<i64>, StoreError> {
    let conn = tx.conn();
    let exists: bool = conn
        .prepare_cached("select 1 from settlement where partner_id = ?1 and day = ?2")?
        .exists((new.partner, new.day.to_string()))?;
    if exists {
        return Ok(None);
    }
    let carried: Vec<(i64, i64, String)> = conn
        .prepare_cached(
            "select id, net, carry_since from settlement
              where partner_id = ?1 and state = 'REQUESTED' and net < 0 and carried_into is null and hold is null
              order by id",
        )?
        .query_map([new.partner], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let carried_in =
        Won::sum(carried.iter().map(|(_, net, _)| Won::new(*net))).map_err(unreadable)?;
    let own = new.sums.net().map_err(unreadable)?;
    let net = own.plus(carried_in).map_err(unreadable)?;
    // Its own debt may be older than what it takes in: the day was settled late.
    let since = carried
        .iter()
        .map(|(.., since)| since.clone())
        .chain((own < Won::ZERO).then(|| new.day.to_string()))
        .min()
        .filter(|_| carried_in < Won::ZERO || net < Won::ZERO);
    let (cut, sums) = (&new.sums.cut, &new.sums);
    let id: i64 = conn
        .prepare_cached(
            "insert into settlement (partner_id, day, state, payout_day, contract_id, lines, orders, cancels, sales,
                                     returned, order_amount, discount, fee, fee_vat, additional, additional_vat,
                                     discount_share, payment_vat, adjustment, carried_in, net, carry_since,
                                     created_at, updated_at)
             values (:partner, :day, 'REQUESTED', :payout_day, :contract, :lines, :orders, :cancels, :sales,
                     :returned, :order_amount, :discount, :fee, :fee_vat, :additional, :additional_vat,
                     :discount_share, :payment_vat, :adjustment, :carried_in, :net, :since, :now, :now)
             returning id",
        )?
        .query_row(
            named_params! {
                ":partner": new.partner,
                ":day": new.day.to_string(),
                ":payout_day": new.payout_day.map(|day| day.to_string()),
                ":contract": new.contract,
                ":lines": sums.lines,
                ":orders": sums.orders,
                ":cancels": sums.cancels,
                ":sales": sums.sales.get(),
                ":returned": sums.returned.get(),
                ":order_amount": cut.order.get(),
                ":discount": cut.discount.get(),
                ":fee": cut.fee.get(),
                ":fee_vat": cut.fee_vat.get(),
                ":additional": cut.additional.get(),
                ":additional_vat": cut.additional_vat.get(),
                ":discount_share": cut.discount_share.get(),
                ":payment_vat": cut.payment_vat.get(),
                ":adjustment": sums.adjustment.get(),
                ":carried_in": carried_in.get(),
                ":net": net.get(),
                ":since": since,
                ":now": tx.now_ms(),
            },
            |row| row.get(0),
        )?;
    for (from, ..) in &carried {
        conn.prepare_cached(
            "update settlement set carried_into = ?2, updated_at = ?3 where id = ?1",
        )?
        .execute((from, id, tx.now_ms()))?;
    }
    Ok(Some(id))
}

/// A settlement as people and programs look at it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct SettlementRow {
    pub id: i64,
    pub partner: String,
    pub partner_name: String,
    pub day: KstDay,
    pub state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_reason: Option<String>,
    pub payout_day: Option<KstDay>,
    pub contract: Option<i64>,
    #[serde(flatten)]
    pub sums: Sums,
    pub carried_in: Won,
    pub net: Won,
    pub carried_into: Option<i64>,
    pub carry_since: Option<KstDay>,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub created_at: Timestamp,
    #[serde(serialize_with = "super::payments::seoul_time_maybe")]
    pub completed_at: Option<Timestamp>,
    pub completed_by: Option<String>,
    /// The live payout that pays it, and the batch.
    pub payout: Option<i64>,
    pub batch: Option<i64>,
}

impl SettlementRow {
    /// What may be paid of it: nothing of a negative sum.
    pub fn payable(&self) -> Won {
        self.net.max(Won::ZERO)
    }

    /// It waits for later sales to cover it.
    pub fn is_carried_over(&self) -> bool {
        self.net < Won::ZERO && self.state == State::Requested
    }
}

const COLUMNS: &str =
    "s.id, s.partner_id, p.name, s.day, s.state, s.hold, s.fail_reason, s.payout_day, s.contract_id, s.lines,
     s.orders, s.cancels, s.sales, s.returned, s.order_amount, s.discount, s.fee, s.fee_vat, s.additional,
     s.additional_vat, s.discount_share, s.payment_vat, s.adjustment, s.carried_in, s.net, s.carried_into,
     s.carry_since, s.created_at, s.completed_at, s.completed_by,
     (select o.payout_id from payout_settlement o where o.settlement_id = s.id and o.live = 1),
     (select b.batch_id from payout_settlement o join payout b on b.id = o.payout_id
       where o.settlement_id = s.id and o.live = 1)";

fn read(row: &Row<'_>) -> Result<SettlementRow, StoreError> {
    let state: String = row.get(4)?;
    let won = |at: usize| row.get(at).map(Won::new);
    let (adjustment, carried_in, net) = (won(22)?, won(23)?, won(24)?);
    let own = net
        .minus(carried_in)
        .and_then(|net| net.minus(adjustment))
        .map_err(unreadable)?;
    Ok(SettlementRow {
        id: row.get(0)?,
        partner: row.get(1)?,
        partner_name: row.get(2)?,
        day: day(row, 3)?,
        state: State::parse(&state).ok_or_else(|| unreadable(&state))?,
        hold: row.get(5)?,
        fail_reason: row.get(6)?,
        payout_day: day_maybe(row, 7)?,
        contract: row.get(8)?,
        sums: Sums {
            lines: row.get(9)?,
            orders: row.get(10)?,
            cancels: row.get(11)?,
            sales: won(12)?,
            returned: won(13)?,
            cut: Cut {
                order: won(14)?,
                discount: won(15)?,
                fee: won(16)?,
                fee_vat: won(17)?,
                additional: won(18)?,
                additional_vat: won(19)?,
                discount_share: won(20)?,
                payment_vat: won(21)?,
                net: own,
            },
            adjustment,
        },
        carried_in,
        net,
        carried_into: row.get(25)?,
        carry_since: day_maybe(row, 26)?,
        created_at: instant(row.get(27)?)?,
        completed_at: instant_maybe(row.get(28)?)?,
        completed_by: row.get(29)?,
        payout: row.get(30)?,
        batch: row.get(31)?,
    })
}

pub fn get(conn: &Connection, id: i64) -> Result<Option<SettlementRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from settlement s join partner p on p.id = s.partner_id where s.id = ?1"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query.query_and_then([id], read)?.next().transpose()
}

/// All of one day, by partner.
pub fn of_day(conn: &Connection, day: KstDay) -> Result<Vec<SettlementRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from settlement s join partner p on p.id = s.partner_id where s.day = ?1 order by s.partner_id"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query.query_and_then([day.to_string()], read)?.collect()
}

/// Partners that have a settlement of the day, in order.
pub fn settled_partners(conn: &Connection, day: KstDay) -> Result<Vec<String>, StoreError> {
    let mut query = conn
        .prepare_cached("select partner_id from settlement where day = ?1 order by partner_id")?;
    Ok(query
        .query_map([day.to_string()], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

/// A partner's in `[from, to]`, oldest first.
pub fn of_partner(
    conn: &Connection,
    partner: &str,
    from: KstDay,
    to: KstDay,
) -> Result<Vec<SettlementRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from settlement s join partner p on p.id = s.partner_id
          where s.partner_id = ?1 and s.day >= ?2 and s.day <= ?3 order by s.day"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query
        .query_and_then((partner, from.to_string(), to.to_string()), read)?
        .collect()
}

/// Negative ones that were netted in this one.
pub fn carried_into(conn: &Connection, id: i64) -> Result<Vec<SettlementRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from settlement s join partner p on p.id = s.partner_id where s.carried_into = ?1 order by s.id"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query.query_and_then([id], read)?.collect()
}

/// A settlement that is due, as far as a payout has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Due {
    pub id: i64,
    pub day: KstDay,
    pub payout_day: KstDay,
    pub net: Won,
}

/// What may be put into a payout now, by partner and day: due on or before `until`, not held, not negative. It all stands
/// in an index.
pub fn due_by_partner(
    conn: &Connection,
    until: KstDay,
) -> Result<Vec<(String, Vec<Due>)>, StoreError> {
    let mut query = conn.prepare_cached(
        "select partner_id, id, day, payout_day, net from settlement indexed by settlement_due_of
          where state = 'REQUESTED' and net >= 0 and hold is null and payout_day <= ?1
          order by partner_id, day",
    )?;
    let mut rows = query.query([until.to_string()])?;
    let mut found: Vec<(String, Vec<Due>)> = Vec::new();
    while let Some(row) = rows.next()? {
        let partner = row.get_ref(0)?.as_str().map_err(unreadable)?;
        let due = Due {
            id: row.get(1)?,
            day: day(row, 2)?,
            payout_day: day(row, 3)?,
            net: Won::new(row.get(4)?),
        };
        match found.last_mut().filter(|(last, _)| last == partner) {
            Some((_, of)) => of.push(due),
            None => found.push((partner.to_owned(), vec![due])),
        }
    }
    Ok(found)
}

/// How many partners and settlements are due on or before `until`, and what they come to before tax.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DueSum {
    pub partners: i64,
    pub settlements: i64,
    pub sum: Won,
}

pub fn due_sum(conn: &Connection, until: KstDay) -> Result<DueSum, StoreError> {
    let mut query = conn.prepare_cached(
        "select count(distinct partner_id), count(*), coalesce(sum(net), 0)
           from settlement indexed by settlement_due_of
          where state = 'REQUESTED' and net >= 0 and hold is null and payout_day <= ?1",
    )?;
    Ok(query.query_row([until.to_string()], |row| {
        Ok(DueSum {
            partners: row.get(0)?,
            settlements: row.get(1)?,
            sum: Won::new(row.get(2)?),
        })
    })?)
}

pub(super) fn carried_over_sql() -> String {
    format!(
        "select {COLUMNS} from settlement s join partner p on p.id = s.partner_id
          where s.id in (select id from settlement indexed by settlement_carried
                          where state = 'REQUESTED' and net < 0 and carried_into is null
                          order by carry_since, id limit ?1 + 0)
          order by s.carry_since, s.id"
    )
}

/// Sums that wait for later sales: not netted yet, the oldest first.
pub fn carried_over(conn: &Connection, most: usize) -> Result<Vec<SettlementRow>, StoreError> {
    let mut query = conn.prepare_cached(&carried_over_sql())?;
    query.query_and_then([most as i64], read)?.collect()
}

/// What a list is cut by. All of it together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub state: Option<State>,
    pub held: bool,
    /// Negative sums that wait.
    pub carried: bool,
    pub partner: Option<String>,
    pub from: Option<KstDay>,
    pub to: Option<KstDay>,
}

/// Where a page of a list begins: after this settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub day: KstDay,
    pub id: i64,
}

impl Cursor {
    pub fn of(row: &SettlementRow) -> Cursor {
        Cursor {
            day: row.day,
            id: row.id,
        }
    }

    pub fn parse(text: &str) -> Option<Cursor> {
        let (day, id) = text.split_once('_')?;
        Some(Cursor {
            day: day.parse().ok()?,
            id: id.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}", self.day, self.id)
    }
}

/// Which settlements, in their order, of fixed pieces; values are always bound. A partner's are found by the
/// partner, never among those of all that are in a state or of some days, and what is rare out of an index
/// that holds nothing else.
fn fitting(filter: &Filter, after: bool) -> String {
    let index = match filter {
        Filter {
            partner: Some(_), ..
        } => "indexed by settlement_by_partner",
        Filter { carried: true, .. } => "indexed by settlement_carried",
        Filter { held: true, .. } => "indexed by settlement_held",
        _ => "",
    };
    let mut sql = [" from settlement s ", index].concat();
    sql.push_str(" join partner p on p.id = s.partner_id where true");
    for (asked, piece) in [
        (filter.partner.is_some(), " and s.partner_id = :partner"),
        (filter.state.is_some(), " and s.state = :state"),
        (filter.held, " and s.hold is not null"),
        (
            filter.carried,
            " and s.state = 'REQUESTED' and s.net < 0 and s.carried_into is null",
        ),
        (filter.from.is_some(), " and s.day >= :from"),
        (filter.to.is_some(), " and s.day <= :to"),
        (after, " and (s.day, s.id) < (:day, :id)"),
    ] {
        if asked {
            sql.push_str(piece);
        }
    }
    sql.push_str(" order by s.day desc, s.id desc limit :most + 0");
    sql
}

pub(super) fn list_sql(filter: &Filter, after: bool) -> String {
    ["select ", COLUMNS, &fitting(filter, after)].concat()
}

pub(super) fn count_sql(filter: &Filter) -> String {
    let fitting = fitting(filter, false);
    ["select count(*) from (select 1", &fitting, ")"].concat()
}

/// Binds what a filter holds and gives it to `then`.
fn bound<T>(
    filter: &Filter,
    after: Option<&Cursor>,
    most: usize,
    then: impl FnOnce(&[(&str, &dyn ToSql)]) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let most = most as i64;
    let state = filter.state.map(State::as_str);
    let [from, to, day] = [filter.from, filter.to, after.map(|cursor| cursor.day)]
        .map(|day| day.map(|day| day.to_string()));
    let id = after.map(|cursor| cursor.id);
    let mut values: Vec<(&str, &dyn ToSql)> = vec![(":most", &most)];
    for (name, value, bound) in [
        (":state", &state as &dyn ToSql, state.is_some()),
        (":partner", &filter.partner, filter.partner.is_some()),
        (":from", &from, from.is_some()),
        (":to", &to, to.is_some()),
        (":day", &day, after.is_some()),
        (":id", &id, after.is_some()),
    ] {
        if bound {
            values.push((name, value));
        }
    }
    then(&values)
}

/// Settlements, newest day first.
pub fn list(
    conn: &Connection,
    filter: &Filter,
    after: Option<&Cursor>,
    most: usize,
) -> Result<Vec<SettlementRow>, StoreError> {
    bound(filter, after, most, |values| {
        let mut query = conn.prepare_cached(&list_sql(filter, after.is_some()))?;
        query.query_and_then(values, read)?.collect()
    })
}

/// How many fit; nobody counts further than `most`.
pub fn count(conn: &Connection, filter: &Filter, most: usize) -> Result<i64, StoreError> {
    bound(filter, None, most, |values| {
        let mut query = conn.prepare_cached(&count_sql(filter))?;
        Ok(query.query_row(values, |row| row.get(0))?)
    })
}

/// Sums per day over all partners, in `[from, to]`: for the chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DaySums {
    pub day: KstDay,
    pub settlements: i64,
    pub sales: Won,
    pub returned: Won,
    /// Fees with their VAT, platform's and additional.
    pub fees: Won,
    /// Without what was carried in, so that each won counts once.
    pub net: Won,
}

pub fn by_day(conn: &Connection, from: KstDay, to: KstDay) -> Result<Vec<DaySums>, StoreError> {
    let mut query = conn.prepare_cached(
        "select day, count(*), sum(sales), sum(returned), sum(fee + fee_vat + additional + additional_vat),
                sum(net - carried_in)
           from settlement where day >= ?1 and day <= ?2 group by day order by day",
    )?;
    query
        .query_and_then((from.to_string(), to.to_string()), |row| {
            Ok(DaySums {
                day: day(row, 0)?,
                settlements: row.get(1)?,
                sales: Won::new(row.get(2)?),
                returned: Won::new(row.get(3)?),
                fees: Won::new(row.get(4)?),
                net: Won::new(row.get(5)?),
            })
        })?
        .collect()
}

/// What is due on each day of `[from, to]`: count and sum of what is not held.
pub fn due_by_day(
    conn: &Connection,
    from: KstDay,
    to: KstDay,
) -> Result<Vec<(KstDay, i64, Won)>, StoreError> {
    let mut query = conn.prepare_cached(
        "select payout_day, count(*), sum(net) from settlement indexed by settlement_due_sum
          where state = 'REQUESTED' and net >= 0 and hold is null and payout_day >= ?1 and payout_day <= ?2
          group by payout_day order by payout_day",
    )?;
    query
        .query_and_then((from.to_string(), to.to_string()), |row| {
            Ok((day(row, 0)?, row.get(1)?, Won::new(row.get(2)?)))
        })?
        .collect()
}

/// What was due before a day: count and sum of what is not held.
pub fn overdue(conn: &Connection, before: KstDay) -> Result<(i64, Won), StoreError> {
    let mut query = conn.prepare_cached(
        "select count(*), coalesce(sum(net), 0) from settlement indexed by settlement_due_sum
          where state = 'REQUESTED' and net >= 0 and hold is null and payout_day < ?1",
    )?;
    Ok(query.query_row([before.to_string()], |row| {
        Ok((row.get(0)?, Won::new(row.get(1)?)))
    })?)
}

/// Open ones with a payout day, for seeing which a change of the calendar moves.
pub fn with_payout_day(conn: &Connection) -> Result<Vec<SettlementRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from settlement s indexed by settlement_due join partner p on p.id = s.partner_id
          where s.state = 'REQUESTED' and s.net >= 0 and s.payout_day is not null order by s.payout_day, s.id"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query.query_and_then([], read)?.collect()
}

pub fn set_payout_day(tx: &Tx<'_>, id: i64, day: KstDay) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update settlement set payout_day = ?2, updated_at = ?3 where id = ?1")?
        .execute((id, day.to_string(), tx.now_ms()))?;
    Ok(())
}

pub fn set_hold(tx: &Tx<'_>, id: i64, reason: Option<&str>) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update settlement set hold = ?2, updated_at = ?3 where id = ?1")?
        .execute((id, reason, tx.now_ms()))?;
    Ok(())
}

pub fn clear_payout_day(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update settlement set payout_day = null, updated_at = ?2 where id = ?1")?
        .execute((id, tx.now_ms()))?;
    Ok(())
}

/// A partner's that are REQUESTED: id and day.
pub fn requested_of(conn: &Connection, partner: &str) -> Result<Vec<(i64, KstDay)>, StoreError> {
    let mut query = conn.prepare_cached(
        "select id, day from settlement where partner_id = ?1 and +state = 'REQUESTED' order by day",
    )?;
    query
        .query_and_then([partner], |row| Ok((row.get(0)?, day(row, 1)?)))?
        .collect()
}

/// The first day of which a partner has movements and no settlement.
pub fn first_unsettled(conn: &Connection, partner: &str) -> Result<Option<KstDay>, StoreError> {
    let mut moved =
        conn.prepare_cached("select 1 from movement where day = ?1 and partner_id = ?2 limit 1")?;
    let ever: KstDay = "9000-12-31".parse().map_err(unreadable)?;
    for day in open_days(conn, ever)? {
        if moved.exists((day.to_string(), partner))? && find(conn, partner, day)?.is_none() {
            return Ok(Some(day));
        }
    }
    Ok(None)
}

/// Moves a settlement to a state; `by` completes it.
pub fn set_state(
    tx: &Tx<'_>,
    id: i64,
    state: State,
    reason: Option<&str>,
    by: &str,
) -> Result<(), StoreError> {
    let completed = state == State::Completed;
    tx.conn()
        .prepare_cached(
            "update settlement
                set state = ?2, fail_reason = ?3, updated_at = ?4,
                    completed_at = case when ?5 then ?4 end, completed_by = case when ?5 then ?6 end
              where id = ?1",
        )?
        .execute((id, state.as_str(), reason, tx.now_ms(), completed, by))?;
    Ok(())
}

/// Negative ones that this one covers, and those that they covered: all of the chain that is still open.
pub fn covered_by(conn: &Connection, id: i64) -> Result<Vec<i64>, StoreError> {
    let mut query = conn.prepare_cached(
        "with recursive chain (id) as (
             select id from settlement where carried_into = ?1
             union select s.id from settlement s join chain c on s.carried_into = c.id)
         select s.id from chain c join settlement s on s.id = c.id where s.state = 'REQUESTED' order by s.id",
    )?;
    Ok(query
        .query_map([id], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

/// Removes a day's settlements, which gives what they netted back. Only while all are REQUESTED.
pub fn remove_day(tx: &Tx<'_>, day: KstDay) -> Result<usize, StoreError> {
    let conn = tx.conn();
    conn.prepare_cached(
        "update settlement set carried_into = null, updated_at = ?2
          where carried_into in (select id from settlement where day = ?1)",
    )?
    .execute((day.to_string(), tx.now_ms()))?;
    Ok(conn
        .prepare_cached("delete from settlement where day = ?1")?
        .execute([day.to_string()])?)
}

/// What one partner's account comes to: each won in exactly one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Σ of all lines of its settlements.
    pub earned: Won,
    /// Gross of payouts that were paid.
    pub paid: Won,
    /// Worked out and not paid: REQUESTED, PROCESSING, FAILED.
    pub open: Won,
    /// Negative sums that wait to be covered.
    pub carry: Won,
}

pub fn account(conn: &Connection, partner: &str) -> Result<Account, StoreError> {
    let (earned, open, carry): (i64, i64, i64) = conn
        .prepare_cached(
            "select coalesce(sum(net - carried_in), 0),
                    coalesce(sum(net) filter (where state <> 'COMPLETED' and net >= 0), 0),
                    coalesce(sum(net) filter (where state = 'REQUESTED' and net < 0 and carried_into is null), 0)
               from settlement where partner_id = ?1",
        )?
        .query_row([partner], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let paid: i64 = conn
        .prepare_cached(
            "select coalesce(sum(gross), 0) from payout where partner_id = ?1 and state = 'PAID'",
        )?
        .query_row([partner], |row| row.get(0))?;
    Ok(Account {
        earned: Won::new(earned),
        paid: Won::new(paid),
        open: Won::new(open),
        carry: Won::new(carry),
    })
}

/// Whether a settlement of the day exists: for the pages' links.
pub fn find(conn: &Connection, partner: &str, day: KstDay) -> Result<Option<i64>, StoreError> {
    Ok(conn
        .prepare_cached("select id from settlement where partner_id = ?1 and day = ?2")?
        .query_row((partner, day.to_string()), |row| row.get(0))
        .optional()?)
}
