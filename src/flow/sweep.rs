//! Asks PortOne for payments that no webhook told us of, cancels made in its console included.
//!
//! PortOne V1 sends a webhook once. Each sweep looks at a window that overlaps the last one, so that
//! what was late at PortOne is still caught; what we know already is no news. The window moves on
//! only when all of it was read.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    domain::{
        alert::Alert,
        job::{Delivery, Outcome},
        money::Won,
        payment::Status,
        seen::{Seen, SeenStatus},
    },
    flow::{
        Ctx, Policy, Unreadable, Window, WindowStatus,
        confirm_payment::{Booked, ConfirmError, book},
        raise_alert::raise,
    },
    store::{StoreError, Tx, alerts, jobs, payments, schedules},
};

/// PortOne takes windows of up to 90 days; smaller ones keep a page's answer small.
const LONGEST_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);
/// Payments still in the making are left to the next sweep.
const SETTLING: Duration = Duration::from_secs(3);
/// Payments that one transaction books.
const BATCH: usize = 100;
/// More pages than this of one window mean that something is wrong with the answers.
const MOST_PAGES: u32 = 10_000;

/// One sweep up to now. The slot that it runs for lies before, unless the clock was set back.
pub async fn sweep(ctx: &Ctx, held: &Delivery, slot: Timestamp) -> Result<(), ConfirmError> {
    let last = ctx.store.read(schedules::swept_until)?;
    let until = ctx.store.now() - SETTLING;
    let from = match last {
        Some(last) => last.min(until) - ctx.policy.sweep_overlap,
        None => slot.min(until) - ctx.policy.sweep_first,
    };
    let mut start = from;
    let (mut read, mut booked) = (0, 0);
    while start < until {
        let end = until.min(start + LONGEST_WINDOW);
        for status in [
            WindowStatus::Paid,
            WindowStatus::Cancelled,
            WindowStatus::Failed,
        ] {
            let (r, b) = sweep_window(ctx, status, start, end).await?;
            read += r;
            booked += b;
        }
        start = end;
    }
    let held = held.clone();
    ctx.store
        .write(move |tx| {
            schedules::add_sweep(tx, from, until, read, booked)?;
            if alerts::resolve(tx, "gateway")? {
                raise(tx, &Alert::GatewayBack, None)?;
            }
            Ok::<_, ConfirmError>(jobs::settle(tx, &held, &Outcome::Done)?)
        })
        .await?;
    if booked > 0 {
        tracing::info!(read, booked, %from, %until, "the sweep found payments that no webhook had told");
    }
    Ok(())
}

/// All pages of one status and window. Pages may move while we read: an entry seen twice is no
/// news, and the next sweep's overlap catches one that slipped through.
async fn sweep_window(
    ctx: &Ctx,
    status: WindowStatus,
    from: Timestamp,
    until: Timestamp,
) -> Result<(i64, i64), ConfirmError> {
    let (mut read, mut booked) = (0, 0);
    for page in 1..=MOST_PAGES {
        let got = ctx
            .gateway
            .page(&Window {
                status,
                from,
                until,
                page,
            })
            .await?;
        tell_unreadable(ctx, got.unreadable).await?;
        read += got.payments.len() as i64;
        let news = unknown(ctx, got.payments)?;
        for batch in news.chunks(BATCH) {
            booked += match book_batch(ctx, batch.to_vec()).await {
                Err(error) if !error.is_transient() => one_by_one(ctx, batch).await?,
                other => other?,
            };
        }
        if !got.more {
            break;
        }
    }
    Ok((read, booked))
}

/// Those that the books do not have like this. Payments of the other mode (test or live) are left
/// out: PortOne lists both, and the other one's are none of this shop's business.
fn unknown(ctx: &Ctx, seen: Vec<Seen>) -> Result<Vec<Seen>, StoreError> {
    let test = ctx.policy.test;
    ctx.store.read(|conn| {
        let mut news = Vec::new();
        for seen in seen.into_iter().filter(|seen| seen.test == test) {
            let gone = Won::sum(seen.cancels.iter().map(|entry| entry.amount)).unwrap_or_default();
            let known = payments::known(conn, &seen.imp_uid)?;
            let old = match known {
                None => false,
                Some((status, cancelled)) => {
                    let was_paid = !matches!(status, Status::Ready | Status::Failed);
                    match seen.status {
                        SeenStatus::Paid | SeenStatus::Cancelled => was_paid && cancelled >= gone,
                        SeenStatus::Failed => status != Status::Ready,
                        SeenStatus::Ready => true,
                    }
                }
            };
            if !old {
                news.push(seen);
            }
        }
        Ok(news)
    })
}

async fn book_batch(ctx: &Ctx, batch: Vec<Seen>) -> Result<i64, StoreError> {
    let policy = ctx.policy.clone();
    ctx.store
        .write(move |tx| book_all(tx, &policy, &batch))
        .await
}

/// One payment that the books cannot take must not keep all others out, sweep after sweep: it is
/// told to a person, and the rest goes on.
async fn one_by_one(ctx: &Ctx, batch: &[Seen]) -> Result<i64, StoreError> {
    let mut booked = 0;
    for seen in batch {
        match book_batch(ctx, vec![seen.clone()]).await {
            Err(error) if !error.is_transient() => {
                let alert = Alert::Contradiction {
                    imp_uid: seen.imp_uid.clone(),
                    why: error.to_string(),
                };
                tracing::error!(%error, imp_uid = %seen.imp_uid, "a payment cannot be booked");
                ctx.store.write(move |tx| raise(tx, &alert, None)).await?;
            }
            other => booked += other?,
        }
    }
    Ok(booked)
}

/// What PortOne listed and nobody can read waits for a person, too.
async fn tell_unreadable(ctx: &Ctx, unreadable: Vec<Unreadable>) -> Result<(), StoreError> {
    for Unreadable { imp_uid, why } in unreadable {
        tracing::error!(%why, "PortOne listed a payment that cannot be read");
        if let Some(imp_uid) = imp_uid {
            let alert = Alert::Contradiction { imp_uid, why };
            ctx.store.write(move |tx| raise(tx, &alert, None)).await?;
        }
    }
    Ok(())
}

fn book_all(tx: &mut Tx<'_>, policy: &Policy, batch: &[Seen]) -> Result<i64, StoreError> {
    let mut booked = 0;
    for seen in batch {
        if matches!(
            book(tx, policy, seen, "sweep")?,
            Booked::Kept { news: true, .. }
        ) {
            booked += 1;
        }
    }
    Ok(booked)
}
