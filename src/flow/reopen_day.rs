//! Opens a settled day again, as long as nobody has begun to pay it, and settles it anew.
//!
//! What was heard too late for the day comes home to it. A day that is only opened waits to be settled, by
//! a person or by the next night: meanwhile terms that were wrong can be put right, unless later days were
//! settled by them as well.

use serde_json::json;

use crate::{
    domain::{calendar::KstDay, settlement::State},
    flow::{
        Ctx,
        hold_settlement::reason_of,
        settle_day::{Report, SettleDayError, settle_day},
    },
    store::{
        StoreError, contracts,
        history::{self, Subject},
        movements, payouts, settlements,
    },
};

#[derive(Debug, thiserror::Error)]
pub enum ReopenError {
    #[error("{0} has not been settled")]
    NotSettled(KstDay),
    #[error(
        "{day} cannot be opened again: settlement {id} of `{partner}` is {}; correct it with an adjustment",
        state.as_str()
    )]
    Begun {
        day: KstDay,
        id: i64,
        partner: String,
        state: State,
    },
    #[error(
        "{day} cannot be opened again: settlement {id} of `{partner}` is held; release it first"
    )]
    Held {
        day: KstDay,
        id: i64,
        partner: String,
    },
    #[error(
        "{day} cannot be opened again: the negative sum of `{partner}` was netted in settlement {into}; \
         open the day of that one first"
    )]
    Netted {
        day: KstDay,
        partner: String,
        into: i64,
    },
    #[error(
        "{day} cannot be opened again: settlement {id} of `{partner}` was in payout {payout}, which was \
         refused or called off; correct it with an adjustment"
    )]
    Tried {
        day: KstDay,
        id: i64,
        partner: String,
        payout: i64,
    },
    #[error("a reason of 1 to 200 characters is needed: say why")]
    Reason,
    #[error(transparent)]
    Settle(#[from] SettleDayError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Opens a day again and settles it at once.
pub async fn reopen_day(
    ctx: &Ctx,
    day: KstDay,
    reason: String,
    by: &'static str,
) -> Result<Report, ReopenError> {
    open_again(ctx, day, reason, by).await?;
    Ok(settle_day(ctx, day, by).await?)
}

/// Removes a day's settlements while all are REQUESTED, and sets their contracts free.
pub async fn open_again(
    ctx: &Ctx,
    day: KstDay,
    reason: String,
    by: &'static str,
) -> Result<(), ReopenError> {
    let reason = reason_of(&reason).ok_or(ReopenError::Reason)?;
    // Reading what waits on the open days takes a while: not the writer's while.
    let away = ctx
        .store
        .read_long(move |conn| movements::away(conn, day))
        .await?;
    ctx.store
        .write(move |tx| {
            if settlements::the_day(tx.conn(), day)?.is_none() {
                return Err(ReopenError::NotSettled(day));
            }
            let tried = payouts::tried_of_day(tx.conn(), day)?;
            for row in settlements::of_day(tx.conn(), day)? {
                let (id, partner) = (row.id, row.partner);
                if row.state != State::Requested {
                    let state = row.state;
                    return Err(ReopenError::Begun {
                        day,
                        id,
                        partner,
                        state,
                    });
                }
                if row.hold.is_some() {
                    return Err(ReopenError::Held { day, id, partner });
                }
                // What was sent to a bank once stays in the books.
                if let Some((_, payout)) = tried.filter(|(settlement, _)| *settlement == id) {
                    return Err(ReopenError::Tried {
                        day,
                        id,
                        partner,
                        payout,
                    });
                }
                if let Some(into) = row.carried_into {
                    return Err(ReopenError::Netted { day, partner, into });
                }
            }
            let removed = settlements::remove_day(tx, day)?;
            contracts::unused_since(tx, day)?;
            settlements::open_day(tx, day)?;
            let home = movements::bring_home(tx, day, &away)?;
            let detail =
                json!({ "reason": reason, "settlements": removed, "late_movements": home });
            history::add(tx, &Subject::Day(day), "reopened", by, &detail)?;
            Ok(())
        })
        .await
}
