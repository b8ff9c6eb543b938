//! Forgets buyers once their time is over, each night, if `privacy.keep` says when that is.
//!
//! The law has a shop keep what was paid for five years (전자상거래법 시행령 제6조) and destroy what it knows of a
//! person when there is no reason left to keep it (개인정보 보호법 제21조).

use jiff::Timestamp;

use super::Ctx;
use crate::store::{StoreError, forgetting, search};

/// Rows that one transaction goes through, so that nobody waits long behind it.
const BATCH: usize = 100;

/// Payments, answers and orders of one night: books of many years are gone through in some nights, not in one that
/// holds up the day's settlement.
const A_NIGHT: usize = 50_000;

/// Orders that are looked up at once, beside the writer.
const LOOK: usize = 5_000;

/// Forgets the buyers of what is older than the setting at `until`. Gives of how many payments.
pub async fn forget_buyers(ctx: &Ctx, until: Timestamp) -> Result<usize, StoreError> {
    let Some(keep) = ctx.policy.keep_buyers else {
        return Ok(0);
    };
    let before = until - keep;
    let (mut forgotten, mut gone_through) = (0, 0);
    loop {
        let (payments, answers) = ctx
            .store
            .write(move |tx| {
                let payments = forgetting::payments(tx, before, BATCH)?;
                let answers = forgetting::answers(tx, before, BATCH)?;
                Ok::<_, StoreError>((payments, answers))
            })
            .await?;
        forgotten += payments;
        gone_through += payments.max(answers);
        if payments + answers == 0 || gone_through >= A_NIGHT {
            break;
        }
        tokio::task::yield_now().await;
    }
    forget_orders(ctx, before).await?;
    if forgotten > 0 {
        tracing::info!(
            payments = forgotten,
            "buyers were forgotten: their time was over"
        );
    }
    // Also what a night before was not to the end with.
    if ctx.store.read(search::is_stale)? {
        ctx.store.write(search::begin_to_put_together).await?;
        for _ in 0..ctx.store.read(search::steps)? {
            if !ctx.store.write(search::put_together).await? {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    Ok(forgotten)
}

async fn forget_orders(ctx: &Ctx, before: Timestamp) -> Result<(), StoreError> {
    for _ in 0..A_NIGHT / LOOK {
        let due = ctx
            .store
            .read_long(move |conn| forgetting::orders_due(conn, before, LOOK))
            .await?;
        let mut forgotten = 0;
        for some in due.chunks(BATCH) {
            let some = some.to_vec();
            let write = ctx.store.write(move |tx| forgetting::orders(tx, &some));
            forgotten += write.await?;
        }
        if forgotten == 0 {
            break;
        }
    }
    Ok(())
}
