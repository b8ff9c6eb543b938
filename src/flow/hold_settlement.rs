//! A person holds a settlement back, lets it go on, or gives one that failed another try.

use serde_json::json;

use crate::{
    domain::settlement::State,
    flow::Ctx,
    store::{
        StoreError, Tx,
        history::{self, Subject},
        settlements::{self, SettlementRow},
    },
};

#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    #[error("no settlement {0} is known here")]
    NotFound(i64),
    #[error("settlement {id} is {}: only one that is REQUESTED or FAILED can be held", state.as_str())]
    NotOpen { id: i64, state: State },
    #[error("settlement {0} is held already: release it first")]
    Held(i64),
    #[error("nothing holds settlement {0}")]
    NotHeld(i64),
    #[error("settlement {0} was netted in a later one: hold that one instead")]
    CarriedOver(i64),
    #[error("settlement {id} is {}: only a FAILED one can be tried again", state.as_str())]
    NotFailed { id: i64, state: State },
    #[error("a reason of 1 to {LONGEST_REASON} characters is needed: say why")]
    Reason,
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub const LONGEST_REASON: usize = 200;

/// A reason that a person can read later.
pub(crate) fn reason_of(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=LONGEST_REASON).contains(&text.chars().count());
    (fits && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn get(tx: &Tx<'_>, id: i64) -> Result<SettlementRow, HoldError> {
    settlements::get(tx.conn(), id)?.ok_or(HoldError::NotFound(id))
}

/// Keeps a settlement out of every payout, and a negative one from being netted.
pub async fn hold(ctx: &Ctx, id: i64, reason: String, by: &'static str) -> Result<(), HoldError> {
    let reason = reason_of(&reason).ok_or(HoldError::Reason)?;
    ctx.store
        .write(move |tx| {
            let row = get(tx, id)?;
            if !matches!(row.state, State::Requested | State::Failed) {
                let state = row.state;
                return Err(HoldError::NotOpen { id, state });
            }
            if row.hold.is_some() {
                return Err(HoldError::Held(id));
            }
            if row.carried_into.is_some() {
                return Err(HoldError::CarriedOver(id));
            }
            settlements::set_hold(tx, id, Some(&reason))?;
            let detail = json!({ "reason": reason });
            history::add(tx, &Subject::Settlement(id), "held", by, &detail)?;
            Ok(())
        })
        .await
}

/// Lets a held settlement go on.
pub async fn release(
    ctx: &Ctx,
    id: i64,
    reason: String,
    by: &'static str,
) -> Result<(), HoldError> {
    let reason = reason_of(&reason).ok_or(HoldError::Reason)?;
    ctx.store
        .write(move |tx| {
            let row = get(tx, id)?;
            let Some(was) = row.hold else {
                return Err(HoldError::NotHeld(id));
            };
            settlements::set_hold(tx, id, None)?;
            let detail = json!({ "reason": reason, "was": was });
            history::add(tx, &Subject::Settlement(id), "released", by, &detail)?;
            Ok(())
        })
        .await
}

/// FAILED back to REQUESTED: the next payout batch takes it again.
pub async fn try_again(
    ctx: &Ctx,
    id: i64,
    reason: String,
    by: &'static str,
) -> Result<(), HoldError> {
    let reason = reason_of(&reason).ok_or(HoldError::Reason)?;
    ctx.store
        .write(move |tx| {
            let row = get(tx, id)?;
            if row.state != State::Failed {
                let state = row.state;
                return Err(HoldError::NotFailed { id, state });
            }
            settlements::set_state(tx, id, State::Requested, None, by)?;
            let detail = json!({ "reason": reason, "was": row.fail_reason });
            history::add(tx, &Subject::Settlement(id), "requested_again", by, &detail)?;
            Ok(())
        })
        .await
}
