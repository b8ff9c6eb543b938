//! Adds a day off, or takes one away, and moves the payout days that depend on it.

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
        StoreError, Tx, calendar, contracts,
        history::{self, Subject},
        settlements,
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
#[derive(Clone, Debug, PartialEq, Serialize)]
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
            Ok(moved(conn, &change, today)?)
        })
        .await
}

/// Makes the change, and moves what it moves, in one transaction.
pub async fn change_calendar(
    ctx: &Ctx,
    change: Change,
    by: &'static str,
) -> Result<Vec<Moved>, CalendarError> {
    let change = check(change, KstDay::of(ctx.store.now()))?;
    ctx.store
        .write(move |tx| {
            let moved = moved(tx.conn(), &change, KstDay::of(tx.now))?;
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
    let detail = json!(change);
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

fn moved(
    conn: &rusqlite::Connection,
    change: &Change,
    today: KstDay,
) -> Result<Vec<Moved>, StoreError> {
    let mut specials = calendar::specials(conn)?;
    specials.retain(|special| special.day != change.day());
    if let Change::Put(special) = change {
        specials.push(special.clone());
    }
    let after = BusinessCalendar::new(specials);
    let mut moved = Vec::new();
    for row in settlements::with_payout_day(conn)? {
        // What is due already stays due.
        let (Some(from), Some(contract)) = (row.payout_day, row.contract) else {
            continue;
        };
        if from < today {
            continue;
        }
        let Some(version) = contracts::get(conn, contract)? else {
            continue;
        };
        let to = version.terms.cycle.payout_day(row.day, &after);
        if to != from {
            moved.push(Moved {
                settlement: row.id,
                partner: row.partner,
                partner_name: row.partner_name,
                day: row.day,
                net: row.net,
                from,
                to,
            });
        }
    }
    Ok(moved)
}
