//! Tells an alert to a person. A failed call fails no payment: the job tries again.

use crate::{
    domain::{
        alert::Alert,
        digest::Why,
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
    let to = if let Some(row) = row.filter(|row| row.delivered_at.is_none()) {
        let base = &ctx.policy.public_url;
        let (link, links) = (link(base, &row.alert), links(base, &row.alert));
        let note = Note {
            id: alert_id,
            at: row.at,
            alert: row.alert,
            link,
            links,
        };
        Some(ctx.notifier.send(&note).await?)
    } else {
        None
    };
    let held = held.clone();
    ctx.store
        .write(move |tx| {
            if let Some(to) = to {
                alerts::delivered(tx, alert_id, to)?;
            }
            Ok(jobs::settle(tx, &held, &Outcome::Done)?)
        })
        .await
}

/// The page on which somebody can act.
fn link(base: &str, alert: &Alert) -> String {
    match alert {
        Alert::CancelDead { job_id, .. } | Alert::JobDead { job_id, .. } => {
            dead_letter(base, *job_id)
        }
        Alert::CancelRetrying { imp_uid, .. }
        | Alert::PaymentHeld { imp_uid, .. }
        | Alert::Contradiction { imp_uid, .. } => payment(base, imp_uid.as_str()),
        Alert::NoContract { partner, .. } => page(base, &["admin", "partners", partner], &[]),
        Alert::PayoutFailed { batch, .. } => format!("{base}/admin/payouts/{batch}"),
        Alert::ApprovalWaits { approval, .. } => format!("{base}/admin/approvals/{approval}"),
        Alert::GatewayHalted { .. } | Alert::GatewayBack | Alert::Digest(_) => {
            format!("{base}/admin/alerts")
        }
        Alert::Summary(summary) => of_subject(base, &summary.subject),
        Alert::Over(over) => of_subject(base, &over.subject),
    }
}

/// Where all that an episode is about can be dealt with at once.
fn of_subject(base: &str, subject: &str) -> String {
    let dead = |kind| {
        page(
            base,
            &["admin", "jobs"],
            &[("kind", kind), ("state", "dead")],
        )
    };
    match subject.split_once(':') {
        Some(("job_dead", kind)) => dead(kind),
        _ if subject == "cancel_dead" => dead("retry_cancel"),
        _ if subject == "payment_held" => page(base, &["payment", "mypage"], &[("held", "1")]),
        _ => format!("{base}/admin/alerts"),
    }
}

/// The same for each thing that it lists.
fn links(base: &str, alert: &Alert) -> Vec<String> {
    match alert {
        Alert::Summary(summary) => summary
            .named
            .iter()
            .map(|named| match (named.job_id, &named.imp_uid) {
                (Some(job_id), _) => dead_letter(base, job_id),
                (None, Some(imp_uid)) => payment(base, imp_uid.as_str()),
                (None, None) => format!("{base}/admin/alerts"),
            })
            .collect(),
        Alert::Digest(digest) => digest
            .oldest
            .iter()
            .map(|stuck| match stuck.why {
                Why::DeadLetter => page(base, &["admin", "dead-letters", &stuck.key], &[]),
                Why::Held | Why::Cancelling => payment(base, &stuck.key),
                Why::NoContract => page(base, &["admin", "partners", &stuck.key], &[]),
                Why::PayoutFailed => page(base, &["admin", "settlements", &stuck.key], &[]),
                Why::Paused => page(base, &["admin", "jobs"], &[]),
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn dead_letter(base: &str, job_id: i64) -> String {
    format!("{base}/admin/dead-letters/{job_id}")
}

fn payment(base: &str, imp_uid: &str) -> String {
    page(base, &["payment", imp_uid], &[])
}

/// A page of ours. Nothing in its parts leads elsewhere.
fn page(base: &str, path: &[&str], query: &[(&str, &str)]) -> String {
    let mut url = match url::Url::parse(base) {
        Ok(url) => url,
        Err(_) => return base.to_owned(),
    };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url.into()
}
