//! Keeps a message, then asks PortOne in the same breath if PortOne answers soon enough.
//!
//! The message and its job are on disk before anything else. Whoever sent it is answered with what
//! is known: the payment if PortOne answered within the budget; otherwise that it is kept, and the
//! queued job goes on.

use std::time::Duration;

use crate::{
    domain::job::{Delivery, Job, Outcome},
    flow::{
        Ctx, GatewayError,
        confirm_payment::{ConfirmError, Confirmed, confirm_payment},
    },
    store::{
        StoreError,
        inbox::{self, Hint, NewMessage},
        jobs::{self, SettleError},
    },
};

/// What the sender is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// PortOne answered within the budget.
    Confirmed(Confirmed),
    /// It is on disk, and the queued job goes on.
    Later { why: String },
}

/// Keeps the message; from then on it is ours to lose.
pub async fn keep_webhook(ctx: &Ctx, message: NewMessage) -> Result<Kept, StoreError> {
    // A sender that hangs up, even while it waits for the first write, must not leave the job held
    // until its lease ends.
    let ctx = ctx.clone();
    match tokio::spawn(async move { keep(&ctx, message).await }).await {
        Ok(kept) => kept,
        Err(died) => Err(StoreError::Panicked(died.to_string())),
    }
}

async fn keep(ctx: &Ctx, message: NewMessage) -> Result<Kept, StoreError> {
    let hint = message.hint.clone();
    let boot = ctx.boot.clone();
    let attempts = ctx.policy.job_attempts;
    let lease = ctx.policy.intake_budget + Duration::from_secs(10);
    let (inbox_id, held) = ctx
        .store
        .write(move |tx| {
            let id = inbox::keep(tx, &message)?;
            let job = Job::ConfirmPayment { inbox_id: id };
            let held = jobs::publish_held(tx, &job, attempts, &boot, lease)?;
            inbox::carried_by(tx, id, held.id)?;
            Ok::<_, StoreError>((id, held))
        })
        .await?;
    // Kept is kept, whatever becomes of the asking.
    let ctx = ctx.clone();
    let confirm = async move { confirm_within_budget(&ctx, held, inbox_id, hint).await };
    match tokio::spawn(confirm).await {
        Ok(kept) => Ok(kept),
        Err(died) => Ok(Kept::Later {
            why: died.to_string(),
        }),
    }
}

async fn confirm_within_budget(ctx: &Ctx, held: Delivery, inbox_id: i64, hint: Hint) -> Kept {
    let confirming = confirm_payment(ctx, &held, inbox_id, hint);
    let error = match tokio::time::timeout(ctx.policy.intake_budget, confirming).await {
        Ok(Ok(confirmed)) => return Kept::Confirmed(confirmed),
        Ok(Err(error)) => error,
        Err(_) => ConfirmError::Gateway(GatewayError::new(
            crate::domain::retry::Class::Transient,
            format!(
                "PortOne did not answer within {:?}",
                ctx.policy.intake_budget
            ),
        )),
    };
    tracing::warn!(%error, message = inbox_id, "a payment could not be confirmed at once; it is queued");
    let why = error.to_string();
    if let Err(error) = hand_over(ctx, held, why.clone()).await {
        tracing::warn!(%error, message = inbox_id, "the job could not be handed over; its lease ends by itself");
    }
    Kept::Later { why }
}

/// Gives the job to the queue, to be run soon.
async fn hand_over(ctx: &Ctx, held: Delivery, error: String) -> Result<(), SettleError> {
    let after = ctx.policy.job_backoff.wait(1, super::dice());
    ctx.store
        .write(move |tx| {
            // A commit whose answer was lost may have settled it: then it is no longer held.
            match jobs::settle(tx, &held, &Outcome::Retry { after, error }) {
                Err(SettleError::Stale(_)) => Ok(()),
                other => other,
            }
        })
        .await
}
