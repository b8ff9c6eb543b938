//! Publishes rows that are ready: to their work queue if they are due, to a tier if they wait longer.
//!
//! A row counts as published when RabbitMQ has confirmed its message. Dying between the two makes a
//! second message, which finds that its row was run. Only the keeper relays (see `store::leases`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use lapin::{Channel, Connection};

use super::{Inner, Names, Trouble, message, publish_all, ready_messages, reply, topology::tier};
use crate::{
    domain::job::Queue,
    store::{Store, StoreError, jobs, published},
};

/// Rows that are published before their confirmations are waited for.
const BATCH: usize = 512;
/// What covers a missed wake-up and time that passed.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks for messages that were lost.
const LOOK_FOR_LOST: Duration = Duration::from_secs(5);
/// A message that was confirmed this long ago and whose row is due is somewhere in its work queue; if
/// that is empty, it is nowhere.
const LOST_AFTER: Duration = Duration::from_secs(30);
/// Shorter waits are spent in the ledger.
const LEAST_TIER: Duration = Duration::from_secs(5);

/// Until the connection breaks.
pub async fn relay(inner: Arc<Inner>, line: Arc<Connection>) -> Result<(), Trouble> {
    let channel = reply(line.create_channel()).await?;
    reply(channel.confirm_select(Default::default())).await?;
    let mut keeper = inner.keeper.clone();
    let mut ready = inner.store.jobs_ready();
    let mut looked: Option<Instant> = None;
    loop {
        keeper
            .wait_for(|keeper| *keeper)
            .await
            .map_err(|_| Trouble::Ended("the server stops"))?;
        // Marked as seen before the look, so that a commit during the look is not missed.
        ready.borrow_and_update();
        let wait = match round(&inner, &channel).await {
            Ok(wait) => wait,
            Err(Trouble::Books(error)) => {
                tracing::warn!(%error, "ready rows could not be read or marked; trying again");
                LOOK
            }
            Err(other) => return Err(other),
        };
        if looked.is_none_or(|at| at.elapsed() > LOOK_FOR_LOST) {
            looked = Some(Instant::now());
            match publish_lost_again(&inner, &channel).await {
                Err(Trouble::Books(error)) => {
                    tracing::warn!(%error, "lost messages could not be looked for");
                }
                other => other?,
            }
        }
        tokio::select! {
            _ = ready.changed() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// One look at every queue. Says how long nothing is to be done, if nothing happens.
async fn round(inner: &Inner, channel: &Channel) -> Result<Duration, Trouble> {
    let mut wait = LOOK;
    for queue in Queue::ALL {
        loop {
            let look = look(&inner.store, queue)?;
            wait = wait.min(look.next);
            let full = look.due.len() == BATCH || look.later.len() == BATCH;
            let (sent, confirmed) =
                publish_rows(&inner.store, &inner.names, channel, queue, &look).await?;
            if confirmed < sent {
                tracing::warn!(
                    refused = sent - confirmed,
                    queue = queue.as_str(),
                    "RabbitMQ refused messages; their rows stay ready"
                );
                return Ok(LOOK);
            }
            if !full {
                break;
            }
        }
    }
    Ok(wait)
}

/// Publishes all that is ready now. Gives how many rows that were.
pub async fn publish_ready(
    store: &Store,
    names: &Names,
    channel: &Channel,
) -> Result<usize, Trouble> {
    let mut all = 0;
    for queue in Queue::ALL {
        loop {
            let look = look(store, queue)?;
            let (sent, confirmed) = publish_rows(store, names, channel, queue, &look).await?;
            all += confirmed;
            if confirmed < sent {
                return Err(Trouble::Ended("RabbitMQ refuses messages"));
            }
            if sent == 0 {
                break;
            }
        }
    }
    Ok(all)
}

/// Rows of a queue that have no message.
struct Look {
    now: Timestamp,
    due: Vec<published::Waiting>,
    later: Vec<published::Waiting>,
    /// How long until the next row becomes due.
    next: Duration,
}

fn look(store: &Store, queue: Queue) -> Result<Look, StoreError> {
    let now = store.now();
    let ms = now.as_millisecond();
    let soon = ms + LEAST_TIER.as_millis() as i64;
    store.read(|conn| {
        let next = jobs::next_due(conn, queue, ms)?;
        Ok(Look {
            now,
            due: published::due(conn, queue, ms, BATCH)?,
            later: published::later(conn, queue, soon, BATCH)?,
            next: next.map_or(Duration::MAX, |next| {
                Duration::try_from(next.duration_since(now)).unwrap_or_default()
            }),
        })
    })
}

/// Publishes what a look found and marks what was confirmed. Gives how many were sent, and confirmed.
async fn publish_rows(
    store: &Store,
    names: &Names,
    channel: &Channel,
    queue: Queue,
    look: &Look,
) -> Result<(usize, usize), Trouble> {
    let to_work = look.due.iter().map(|row| {
        let target = (names.jobs(), queue.as_str().to_owned());
        let message = message::of_waiting(row, look.now);
        ((row.id, row.turn), target, message)
    });
    let to_tiers = look.later.iter().filter_map(|row| {
        let left = Duration::try_from(row.run_at.duration_since(look.now)).ok()?;
        let key = format!("{}.{}", queue.as_str(), tier(left)?);
        let message = message::of_waiting(row, look.now);
        Some(((row.id, row.turn), (names.retry(), key), message))
    });
    let messages: Vec<_> = to_work.chain(to_tiers).collect();
    let sent = messages.len();
    if sent == 0 {
        return Ok((0, 0));
    }
    let taken = publish_all(channel, messages).await?;
    let confirmed = taken.len();
    store.write(move |tx| published::mark(tx, &taken)).await?;
    Ok((sent, confirmed))
}

/// Rows whose message is gone (a purged queue, a clock that was moved) are published again. One
/// message too many does no harm; a row without one would wait for ever.
async fn publish_lost_again(inner: &Inner, channel: &Channel) -> Result<(), Trouble> {
    let before = inner.store.now() - LOST_AFTER;
    for queue in Queue::ALL {
        let lost = inner
            .store
            .read(|conn| published::overdue(conn, queue, before.as_millisecond(), BATCH))?;
        if lost.is_empty() || ready_messages(channel, &inner.names.work_queue(queue)).await? > 0 {
            continue;
        }
        tracing::warn!(
            lost = lost.len(),
            queue = queue.as_str(),
            "messages are gone from RabbitMQ; their rows are published again"
        );
        inner
            .store
            .write(move |tx| published::forget(tx, &lost))
            .await?;
    }
    Ok(())
}
