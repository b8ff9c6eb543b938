//! Forgets buyers once their time is over, each night, if `privacy.keep` says when that is.
//!
//! The law has a shop keep what was paid for five years (전자상거래법 시행령 제6조) and destroy what it knows of a
//! person when there is no reason left to keep it (개인정보 보호법 제21조).

use jiff::Timestamp;

use super::Ctx;
use crate::store::{StoreError, forgetting, search};

/// Rows that one transaction goes through, so that nobody waits long behind it.
const BATCH: usize = 100;

/// Orders that are looked up at once, beside the writer.
const LOOK: usize = 5_000;

/// Forgets the buyers of what is older than the setting at `until`. Gives of how many payments.
pub async fn forget_buyers(ctx: &Ctx, until: Timestamp) -> Result<usize, StoreError> {
    let Some(keep) = ctx.policy.keep_buyers else {
        return Ok(0);
    };
    let before = until - keep;
    let mut forgotten = 0;
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
        if payments + answers == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    forget_orders(ctx, before).await?;
    if forgotten > 0 {
        // The index keeps words that no payment has any more until its parts are put together.
        while ctx.store.write(search::put_together).await? {
            tokio::task::yield_now().await;
        }
        tracing::info!(
            payments = forgotten,
            "buyers were forgotten: their time was over"
        );
    }
    Ok(forgotten)
}

async fn forget_orders(ctx: &Ctx, before: Timestamp) -> Result<(), StoreError> {
    loop {
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
            return Ok(());
        }
    }
}
