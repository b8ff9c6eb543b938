//! The queued retry of a cancellation: reads the payment, and only then sends again.
//!
//! Runs after the direct attempts of `cancel_payment` failed, after a crash between two of them, and
//! when a person replays a dead letter, be it a week later. When its runs are used up the
//! cancellation is a dead letter (`dead_letters`), and nobody but a person tries again.

use crate::{
    domain::{
        cancellation::{Fate, Step},
        ids::CancellationId,
        job::{Delivery, Outcome},
    },
    flow::{
        Ctx,
        cancel_attempt::{AttemptError, OnFailure, attempt, pending_since, write_down},
    },
    store::{cancellations, jobs},
};

/// One run of the queued retry.
pub async fn retry_cancel(
    ctx: &Ctx,
    held: &Delivery,
    id: CancellationId,
) -> Result<(), AttemptError> {
    let row = ctx.store.read(|conn| cancellations::get(conn, &id))?;
    let Some(row) = row.filter(|row| row.state == Fate::Requested) else {
        let held = held.clone();
        return ctx
            .store
            .write(move |tx| Ok::<_, AttemptError>(jobs::settle(tx, &held, &Outcome::Done)?))
            .await;
    };
    let pending = ctx.store.read(|conn| pending_since(conn, &id))?.is_some();
    let tried = attempt(ctx, &row, Step::Queued, true, pending).await?;
    let on_failure = if held.may_retry() {
        OnFailure::Retry
    } else {
        OnFailure::Bury
    };
    write_down(ctx, held, &row, tried, on_failure).await?;
    Ok(())
}
