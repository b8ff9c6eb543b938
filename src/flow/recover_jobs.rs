//! Finds runs whose process died, or whose lease is over, and lets them go on.

use crate::{
    domain::job::DeadReason,
    flow::{Ctx, dead_letters::bury},
    store::{jobs, jobs::SettleError},
};

/// A job that was running this many times when its process died is the likely cause: it becomes a
/// dead letter instead of killing the next process.
const MOST_CRASHES: u32 = 3;

/// Lets go on what a dead process left, and what outlived its lease. To be called at any time: a run
/// of a process that lives and keeps its lease is left alone.
pub async fn recover_jobs(ctx: &Ctx) -> Result<usize, SettleError> {
    let store = ctx.store.clone();
    ctx.store
        .write(move |tx| {
            let orphans = jobs::orphans(tx, |boot| store.is_alive(boot))?;
            for (orphan, crashes) in &orphans {
                if crashes + 1 >= MOST_CRASHES {
                    let error = format!("the process died {MOST_CRASHES} times while it ran");
                    bury(tx, orphan, DeadReason::Crashed, &error)?;
                } else if store.is_alive(&orphan.boot) {
                    jobs::put_back(tx, orphan, "its lease ended while it ran")?;
                } else {
                    jobs::put_back(tx, orphan, "the process died while it ran")?;
                }
            }
            Ok(orphans.len())
        })
        .await
}
