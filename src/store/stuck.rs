//! What does not go on by itself any more, or has not for long: counted, and the oldest of it.

use jiff::Timestamp;
use rusqlite::{Connection, types::Value};

use super::{StoreError, instant};
use crate::domain::{
    digest::{Heap, Stuck, Why},
    money::Won,
};

/// Of each reason: page key, whose it is, won, since when.
fn sql(why: Why) -> &'static str {
    match why {
        Why::DeadLetter => {
            "select j.id, coalesce(p.imp_uid, j.kind), coalesce(c.amount, 0), j.finished_at
               from job j left join cancellation c on j.kind = 'retry_cancel' and c.id = j.payload ->> '$.cancellation'
                    left join payment p on p.id = c.payment_id
              where j.state = 'dead'"
        }
        Why::Held => {
            "select imp_uid, merchant_uid, amount, at from payment where hold is not null"
        }
        // Few are open, and an index holds those alone.
        Why::Cancelling => {
            "select p.imp_uid, c.id, c.amount, c.requested_at from cancellation c join payment p on p.id = c.payment_id
              where c.state in ('REQUESTED', 'DEAD') and c.state = 'REQUESTED'"
        }
        Why::NoContract => {
            "select body ->> '$.partner', body ->> '$.day', body ->> '$.amount', at from alert
              where topic is not null and resolved_at is null and kind = 'no_contract'"
        }
        Why::PayoutFailed => {
            "select id, partner_id, net, updated_at from settlement where state = 'FAILED'"
        }
        Why::Paused => "select kind, note, 0, paused_at from kind_pause",
    }
}

/// All that is stuck for one reason since before an instant, and the oldest of it, oldest first. Reads
/// each row of it: to be asked beside the writer.
pub fn of(
    conn: &Connection,
    why: Why,
    before: Timestamp,
    most: usize,
) -> Result<(Option<Heap>, Vec<Stuck>), StoreError> {
    let mut query = conn.prepare_cached(sql(why))?;
    let rows = query.query_and_then([], |row| {
        Ok::<_, StoreError>(Stuck {
            why,
            key: match row.get(0)? {
                Value::Integer(number) => number.to_string(),
                Value::Text(text) => text,
                _ => String::new(),
            },
            about: row.get(1)?,
            amount: Won::new(row.get(2)?),
            since: instant(row.get(3)?)?,
        })
    })?;
    let mut heap: Option<Heap> = None;
    let mut oldest: Vec<Stuck> = Vec::new();
    for stuck in rows {
        let stuck = stuck?;
        if stuck.since >= before {
            continue;
        }
        let so_far = heap.get_or_insert(Heap {
            why,
            count: 0,
            amount: Won::ZERO,
            oldest: stuck.since,
        });
        so_far.count += 1;
        so_far.oldest = so_far.oldest.min(stuck.since);
        so_far.amount = so_far
            .amount
            .plus(stuck.amount)
            .map_err(|why| StoreError::Unreadable {
                table: "what is stuck",
                why: why.to_string(),
            })?;
        // However much is stuck, little of it is kept in memory.
        oldest.push(stuck);
        if oldest.len() > most * 2 {
            oldest.sort_by_key(|stuck| stuck.since);
            oldest.truncate(most);
        }
    }
    oldest.sort_by_key(|stuck| stuck.since);
    oldest.truncate(most);
    Ok((heap, oldest))
}
