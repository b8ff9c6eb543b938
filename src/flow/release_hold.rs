//! A person decides that a held payment is right after all.

use serde_json::json;

use crate::{
    domain::ids::ImpUid,
    flow::Ctx,
    store::{StoreError, alerts, events, payments},
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
/// A payment that differs from its registered order stays held: the books would not tie.
pub async fn release_hold(
    ctx: &Ctx,
    imp_uid: ImpUid,
    note: String,
    by: &'static str,
) -> Result<(), ReleaseError> {
    use crate::domain::payment::Hold;
    let note = note.trim().to_owned();
    if note.is_empty() || note.chars().count() > 500 {
        return Err(ReleaseError::Note);
    }
    ctx.store
        .write(move |tx| {
            let kept = payments::get(tx.conn(), &imp_uid)?
                .ok_or_else(|| ReleaseError::NotFound(imp_uid.clone()))?;
            match &kept.hold {
                None => return Err(ReleaseError::NotHeld(imp_uid)),
                Some(Hold::AmountDiffers { .. } | Hold::AlreadyPaid { .. }) => {
                    return Err(ReleaseError::Order);
                }
                Some(Hold::UnknownOrder | Hold::TestPayment | Hold::LivePayment) => {}
            }
            payments::set_hold(tx, &kept, None)?;
            alerts::resolve(tx, &format!("held:{imp_uid}"))?;
            events::add(
                tx,
                &events::Happened {
                    payment: kept.row,
                    kind: "released",
                    actor: by,
                    from: None,
                    to: None,
                    detail: json!({ "note": note, "was": kept.hold }),
                },
            )?;
            Ok(())
        })
        .await
}
