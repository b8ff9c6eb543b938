//! Registers an order's amount at PortOne, which did not answer when the order came.

use crate::{
    domain::{
        ids::MerchantUid,
        job::{Delivery, Outcome},
    },
    flow::{Ctx, confirm_payment::ConfirmError},
    store::{jobs, orders},
};

/// One run. Registering what is registered already is no news to PortOne either.
pub async fn prepare_order(
    ctx: &Ctx,
    held: &Delivery,
    merchant_uid: MerchantUid,
) -> Result<(), ConfirmError> {
    let order = ctx.store.read(|conn| orders::get(conn, &merchant_uid))?;
    if let Some((order, false)) = &order {
        ctx.gateway
            .prepare(&order.merchant_uid, order.amount)
            .await?;
    }
    let held = held.clone();
    ctx.store
        .write(move |tx| {
            orders::set_prepared(tx, &merchant_uid)?;
            Ok(jobs::settle(tx, &held, &Outcome::Done)?)
        })
        .await
}
