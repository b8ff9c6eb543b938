//! Finds runs whose process died, or whose lease is over, and lets them go on.

use crate::{
    flow::{Ctx, dead_letters::bury},
    store::{jobs, jobs::SettleError},
};

/// A job that was running this many times when its process died is the likely cause: it becomes a
/// dead letter instead of killing the next process.
const MOST_CRASHES: u32 = 3;

/// At start: every run of another boot is of a dead process, for we hold the directory's lock.
/// Later: only runs whose lease is over.
pub async fn recover_jobs(ctx: &Ctx, at_start: bool) -> Result<usize, SettleError> {
    let boot = ctx.boot.clone();
    ctx.store
        .write(move |tx| {
            let orphans = jobs::orphans(tx, &boot, at_start)?;
            for (orphan, crashes) in &orphans {
                if crashes + 1 >= MOST_CRASHES {
                    let error = format!("the process died {MOST_CRASHES} times while it ran");
                    bury(tx, orphan, &error)?;
                } else if at_start {
                    jobs::put_back(tx, orphan, "the process died while it ran")?;
                } else {
                    jobs::put_back(tx, orphan, "its lease ended while it ran")?;
                }
            }
            Ok(orphans.len())
        })
        .await
}
