//! Once a day: what is still stuck, for how long, and where to look. Nothing stuck, no message.

use std::time::Duration;

use crate::{
    domain::{
        alert::Alert,
        digest::{Digest, Why},
        job::{Delivery, Outcome},
    },
    flow::{Ctx, raise_alert::raise},
    store::{StoreError, jobs, jobs::SettleError, stuck},
};

/// How many of the oldest are named.
const NAMED: usize = 10;

/// A cancellation that has been under way for longer than this is stuck: its outcome is unknown, or
/// PortOne takes its time.
const UNDER_WAY: Duration = Duration::from_secs(3_600);

/// One look at all that is stuck, written down together with the end of the run: told once.
pub async fn tell_stuck(ctx: &Ctx, held: &Delivery) -> Result<(), SettleError> {
    let now = ctx.store.now();
    let digest = ctx
        .store
        .read_long(move |conn| {
            let (mut heaps, mut oldest) = (Vec::new(), Vec::new());
            for why in Why::ALL {
                let before = match why {
                    Why::Cancelling => now - UNDER_WAY,
                    // A clock that was ahead for a moment hides nothing.
                    _ => jiff::Timestamp::MAX,
                };
                let (heap, some) = stuck::of(conn, why, before, NAMED)?;
                heaps.extend(heap);
                oldest.extend(some);
            }
            oldest.sort_by_key(|stuck| stuck.since);
            oldest.truncate(NAMED);
            Ok::<_, StoreError>(Digest {
                at: now,
                heaps,
                oldest,
            })
        })
        .await?;
    let held = held.clone();
    ctx.store
        .write(move |tx| {
            if !digest.heaps.is_empty() {
                raise(tx, &Alert::Digest(Box::new(digest)), None)?;
            }
            jobs::settle(tx, &held, &Outcome::Done)
        })
        .await
}
