//! Tells an alert to a person. A failed call fails no payment: the job tries again.

use crate::{
    domain::{
        alert::Alert,
        job::{Delivery, Outcome},
    },
    flow::{Ctx, Note, NotifyError},
    store::{
        StoreError, alerts,
        jobs::{self, SettleError},
    },
};

#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("the alert could not be delivered: {0}")]
    Notify(#[from] NotifyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Settle(#[from] SettleError),
}

/// One run: sends, and notes that it was sent. After a crash between the two it is sent again;
/// better twice than never.
pub async fn send_alert(ctx: &Ctx, held: &Delivery, alert_id: i64) -> Result<(), SendError> {
    let row = ctx.store.read(|conn| alerts::get(conn, alert_id))?;
    if let Some(row) = row.filter(|row| row.delivered_at.is_none()) {
        let link = link(&ctx.policy.public_url, &row.alert);
        let note = Note {
            id: alert_id,
            at: row.at,
            alert: row.alert,
            link,
        };
        ctx.notifier.send(&note).await?;
    }
    let to = ctx.notifier.name();
    let held = held.clone();
    ctx.store
        .write(move |tx| {
            alerts::delivered(tx, alert_id, to)?;
            Ok(jobs::settle(tx, &held, &Outcome::Done)?)
        })
        .await
}

/// The page on which somebody can act.
fn link(public_url: &str, alert: &Alert) -> String {
    match alert {
        Alert::CancelDead { job_id, .. } | Alert::JobDead { job_id, .. } => {
            format!("{public_url}/admin/dead-letters/{job_id}")
        }
        Alert::CancelRetrying { imp_uid, .. }
        | Alert::PaymentHeld { imp_uid, .. }
        | Alert::Contradiction { imp_uid, .. } => {
            let mut url = match url::Url::parse(public_url) {
                Ok(url) => url,
                Err(_) => return public_url.to_owned(),
            };
            if let Ok(mut path) = url.path_segments_mut() {
                path.pop_if_empty().extend(["payment", imp_uid.as_str()]);
            }
            url.into()
        }
        Alert::NoContract { partner, .. } => {
            let mut url = match url::Url::parse(public_url) {
                Ok(url) => url,
                Err(_) => return public_url.to_owned(),
            };
            if let Ok(mut path) = url.path_segments_mut() {
                path.pop_if_empty().extend(["admin", "partners", partner]);
            }
            url.into()
        }
        Alert::PayoutFailed { batch, .. } => format!("{public_url}/admin/payouts/{batch}"),
        Alert::GatewayHalted { .. } | Alert::GatewayBack => format!("{public_url}/admin/alerts"),
    }
}
