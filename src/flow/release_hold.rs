//! A person decides that a held payment is right after all.

use serde_json::json;

use crate::{
    domain::{ids::ImpUid, payment::Hold},
    flow::{Ctx, record_movements::record},
    store::{StoreError, Tx, alerts, events, orders, payments},
};

#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error("no payment `{0}` is known here")]
    NotFound(ImpUid),
    #[error("nothing holds the payment `{0}`")]
    NotHeld(ImpUid),
    #[error(
        "a payment that does not fit a registered order cannot be released: cancel it, or correct the order"
    )]
    Order,
    #[error("a note of 1 to 500 characters is needed: say why it is right")]
    Note,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lifts what holds a payment, with a note that stays in its timeline.
///
/// A payment that differs from its registered order stays held: the books would not tie. So one
/// that was held for its channel may come out held for another reason.
pub async fn release_hold(
    ctx: &Ctx,
    imp_uid: ImpUid,
    note: String,
    by: &'static str,
) -> Result<(), ReleaseError> {
    let note = note.trim().to_owned();
    if note.is_empty() || note.chars().count() > 500 {
        return Err(ReleaseError::Note);
    }
    let policy = ctx.policy.clone();
    ctx.store
        .write(move |tx| {
            let kept = payments::get(tx.conn(), &imp_uid)?
                .ok_or_else(|| ReleaseError::NotFound(imp_uid.clone()))?;
            let Some(was) = &kept.hold else {
                return Err(ReleaseError::NotHeld(imp_uid));
            };
            let left = against_order(tx, &kept)?;
            let was_of_order = matches!(was, Hold::AmountDiffers { .. } | Hold::AlreadyPaid { .. });
            if was_of_order && left.is_some() {
                return Err(ReleaseError::Order);
            }
            payments::set_hold(tx, &kept, left.as_ref())?;
            alerts::resolve(tx, &format!("held:{imp_uid}"))?;
            record(tx, &policy, kept.row)?;
            events::add(
                tx,
                &events::Happened {
                    payment: kept.row,
                    kind: "released",
                    actor: by,
                    from: None,
                    to: None,
                    detail: json!({ "note": note, "was": kept.hold, "hold": left }),
                },
            )?;
            Ok(())
        })
        .await
}

/// What does not fit between a payment and its registered order now: the payment that paid the
/// order before may have been given back since.
fn against_order(tx: &Tx<'_>, kept: &payments::Kept) -> Result<Option<Hold>, StoreError> {
    let Some(ordered) = orders::amount(tx.conn(), &kept.merchant_uid)? else {
        return Ok(None);
    };
    let charged = kept.payment.amount();
    if ordered != charged {
        return Ok(Some(Hold::AmountDiffers { ordered, charged }));
    }
    let by = payments::that_paid(tx.conn(), &kept.merchant_uid, &kept.imp_uid)?;
    Ok(by.map(|by| Hold::AlreadyPaid { by }))
}
