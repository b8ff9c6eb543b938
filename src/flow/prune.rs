//! Removes old finished jobs and judged messages, a few hundred at a time, and has buyers forgotten whose time is
//! over. Dead letters stay.

use jiff::Timestamp;

use crate::{
    domain::job::{Delivery, Outcome},
    flow::{Ctx, confirm_payment::ConfirmError, forget_buyers::forget_buyers},
    store::{inbox, jobs, schedules},
};

/// Rows that one transaction removes, so that nobody waits long behind it.
const BATCH: usize = 500;

pub async fn prune(ctx: &Ctx, held: &Delivery, until: Timestamp) -> Result<(), ConfirmError> {
    let jobs_before = until - ctx.policy.keep_finished_jobs;
    let messages_before = until - ctx.policy.keep_messages;
    loop {
        let removed = ctx
            .store
            .write(move |tx| {
                let jobs = jobs::prune(tx, jobs_before, BATCH)?;
                let messages = inbox::prune(tx, messages_before, BATCH)?;
                Ok::<_, ConfirmError>(jobs + messages)
            })
            .await?;
        if removed == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    forget_buyers(ctx, until).await?;
    let held = held.clone();
    ctx.store
        .write(move |tx| {
            schedules::prune(tx, messages_before)?;
            Ok(jobs::settle(tx, &held, &Outcome::Done)?)
        })
        .await
}
