//! Adds a day off, or takes one away, and moves the payout days that depend on it.

use std::collections::{HashMap, hash_map::Entry};

use rusqlite::Connection;
use serde::Serialize;
use serde_json::json;

use crate::{
    domain::{
        calendar::KstDay,
        holidays::{BusinessCalendar, Special},
        money::Won,
    },
    flow::{Ctx, hold_settlement::reason_of},
    store::{
        StoreError, Tx, calendar,
        contracts::{self, Version},
        history::{self, Subject},
        settlements::{self, SettlementRow},
    },
};

#[derive(Debug, thiserror::Error)]
pub enum CalendarError {
    #[error("{day} is over: only days from {today} on can change")]
    Past { day: KstDay, today: KstDay },
    #[error("a name of 1 to 40 characters is needed: people see it in the calendar")]
    Name,
    #[error("{0} is not a day that a person added")]
    NotThere(KstDay),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A change of the calendar.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Change {
    Put(Special),
    Remove(KstDay),
}

impl Change {
    pub fn day(&self) -> KstDay {
        match self {
            Change::Put(special) => special.day,
            Change::Remove(day) => *day,
        }
    }
}

/// A settlement whose payout day a change moves.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Moved {
    pub settlement: i64,
    pub partner: String,
    pub partner_name: String,
    pub day: KstDay,
    pub net: Won,
    pub from: KstDay,
    pub to: KstDay,
}

/// Which settlements a change would move. Writes nothing.
pub async fn preview(ctx: &Ctx, change: Change) -> Result<Vec<Moved>, CalendarError> {
    let today = KstDay::of(ctx.store.now());
    let change = check(change, today)?;
    ctx.store
        .read_long(move |conn| {
            if let Change::Remove(day) = &change
                && !calendar::specials(conn)?
                    .iter()
                    .any(|special| special.day == *day)
            {
                return Err(CalendarError::NotThere(*day));
            }
            let specials = calendar::specials(conn)?;
            let rows = settlements::with_payout_day(conn)?;
            Ok(Moves::of(&specials, &change, today).all(conn, rows)?)
        })
        .await
}

/// Makes the change, and moves what it moves, in one transaction.
pub async fn change_calendar(
    ctx: &Ctx,
    change: Change,
    by: &'static str,
) -> Result<Vec<Moved>, CalendarError> {
    let today = KstDay::of(ctx.store.now());
    let change = check(change, today)?;
    let plan = {
        let change = change.clone();
        let found = ctx
            .store
            .read_long(move |conn| Plan::of(conn, &change, today));
        found.await?
    };
    ctx.store
        .write(move |tx| {
            let moved = plan.now(tx.conn(), &change, KstDay::of(tx.now))?;
            apply(tx, &change, by)?;
            for one in &moved {
                settlements::set_payout_day(tx, one.settlement, one.to)?;
                let detail = json!({ "from": one.from, "to": one.to, "because": change.day() });
                history::add(
                    tx,
                    &Subject::Settlement(one.settlement),
                    "payout_day_moved",
                    by,
                    &detail,
                )?;
            }
            Ok(moved)
        })
        .await
}

fn check(change: Change, today: KstDay) -> Result<Change, CalendarError> {
    let day = change.day();
    if day < today {
        return Err(CalendarError::Past { day, today });
    }
    match change {
        Change::Put(special) => {
            let name = reason_of(&special.name)
                .filter(|name| name.chars().count() <= 40)
                .ok_or(CalendarError::Name)?;
            Ok(Change::Put(Special { name, ..special }))
        }
        remove @ Change::Remove(_) => Ok(remove),
    }
}

fn apply(tx: &mut Tx<'_>, change: &Change, by: &str) -> Result<(), CalendarError> {
    let specials = calendar::specials(tx.conn())?;
    let was = specials.iter().find(|special| special.day == change.day());
    let detail = json!({ "now": change, "was": was });
    match change {
        Change::Put(special) => {
            calendar::put(tx, special, by)?;
            history::add(tx, &Subject::Calendar, "day_put", by, &detail)?;
        }
        Change::Remove(day) => {
            if !calendar::remove(tx, *day)? {
                return Err(CalendarError::NotThere(*day));
            }
            history::add(tx, &Subject::Calendar, "day_removed", by, &detail)?;
        }
    }
    Ok(())
}

/// What a change moves, worked out beside the writer, and what it was worked out from.
struct Plan {
    specials: Vec<Special>,
    /// Open settlements that were looked at, with their payout day.
    seen: HashMap<i64, KstDay>,
    moved: HashMap<i64, Moved>,
}

impl Plan {
    fn of(conn: &Connection, change: &Change, today: KstDay) -> Result<Plan, StoreError> {
        let specials = calendar::specials(conn)?;
        let rows = settlements::with_payout_day(conn)?;
        let seen = rows
            .iter()
            .filter_map(|row| Some((row.id, row.payout_day?)));
        let seen = seen.collect();
        let moved = Moves::of(&specials, change, today).all(conn, rows)?;
        Ok(Plan {
            specials,
            seen,
            moved: moved.into_iter().map(|one| (one.settlement, one)).collect(),
        })
    }

    /// The same as of now, in the writer: only what has come or changed since is worked out there.
    fn now(
        mut self,
        conn: &Connection,
        change: &Change,
        today: KstDay,
    ) -> Result<Vec<Moved>, StoreError> {
        let specials = calendar::specials(conn)?;
        let mut moves = Moves::of(&specials, change, today);
        if specials != self.specials {
            self.seen.clear();
        }
        let mut moved = Vec::new();
        for (id, due) in calendar::open_from(conn, today)? {
            if self.seen.get(&id) == Some(&due) {
                moved.extend(self.moved.remove(&id));
            } else if let Some(row) = settlements::get(conn, id)? {
                moved.extend(moves.one(conn, row)?);
            }
        }
        Ok(moved)
    }
}

/// Works out where payout days go under a changed calendar.
struct Moves {
    after: BusinessCalendar,
    today: KstDay,
    /// Many settlements are of few contract versions.
    versions: HashMap<i64, Option<Version>>,
}

impl Moves {
    fn of(specials: &[Special], change: &Change, today: KstDay) -> Moves {
        let mut specials = specials.to_vec();
        specials.retain(|special| special.day != change.day());
        if let Change::Put(special) = change {
            specials.push(special.clone());
        }
        Moves {
            after: BusinessCalendar::new(specials),
            today,
            versions: HashMap::new(),
        }
    }

    fn all(
        &mut self,
        conn: &Connection,
        rows: Vec<SettlementRow>,
    ) -> Result<Vec<Moved>, StoreError> {
        let moved = rows.into_iter().map(|row| self.one(conn, row));
        moved.filter_map(Result::transpose).collect()
    }

    fn one(&mut self, conn: &Connection, row: SettlementRow) -> Result<Option<Moved>, StoreError> {
        let (Some(from), Some(contract)) = (row.payout_day, row.contract) else {
            return Ok(None);
        };
        // What is due already stays due.
        if from < self.today {
            return Ok(None);
        }
        let version = match self.versions.entry(contract) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(slot) => slot.insert(contracts::get(conn, contract)?),
        };
        let Some(version) = version else {
            return Ok(None);
        };
        let to = version.terms.cycle.payout_day(row.day, &self.after);
        Ok((to != from).then_some(Moved {
            settlement: row.id,
            partner: row.partner,
            partner_name: row.partner_name,
            day: row.day,
            net: row.net,
            from,
            to,
        }))
    }
}
