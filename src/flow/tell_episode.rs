//! Speaks for an open episode of alerts: summaries, and at last that it is over.
//!
//! A message is an alert of its own, written together with what it tells and with the end of this run.
//! So no alert is told by two of them, and none by no one, whatever dies; sending it is the business of
//! `send_alert`. While a message is on its way, as when Slack is down, nothing further is said: it would
//! only pile up. What came meanwhile is told by the next one.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    domain::{
        alert::Alert,
        episode::{Episode, Fates, Next, Over, Summary},
        job::{Delivery, Outcome},
    },
    flow::{Ctx, raise_alert::say},
    store::{StoreError, Tx, episodes, jobs, jobs::SettleError, rules},
};

/// How many alerts a summary names.
const NAMED: i64 = 5;

/// While a message is on its way.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// One look at the episode. The job ends with it, and until then waits in between.
pub async fn tell_episode(ctx: &Ctx, held: &Delivery, id: i64) -> Result<(), SettleError> {
    let start = ctx.policy.alert_pace;
    let pace = ctx.store.read(|conn| rules::pace(conn, start))?;
    let now = ctx.store.now();
    // What became of all its alerts is read beside the writer: there may be many.
    let ended: Option<(Episode, Fates)> = ctx
        .store
        .read_long(move |conn| match episodes::get(conn, id)? {
            Some((subject, episode)) if episode.next(&pace, now) == Next::Over => {
                let fates = episodes::fates(conn, id, &subject)?;
                Ok::<_, StoreError>(Some((episode, fates)))
            }
            _ => Ok(None),
        })
        .await?;
    let held = held.clone();
    ctx.store
        .write(move |tx| {
            let Some((subject, episode)) = episodes::get(tx.conn(), id)? else {
                return jobs::settle(tx, &held, &Outcome::Done);
            };
            let next = episode.next(&pace, tx.now);
            let speaks = matches!(next, Next::Summary | Next::Over);
            let outcome = match next {
                _ if speaks && episodes::speaks(tx.conn(), id)? => look_in(LOOK_AGAIN),
                Next::Wait(until) => look_at(tx, until),
                Next::Summary => {
                    let summary = summary(tx, id, subject, &episode)?;
                    say(tx, id, &Alert::Summary(Box::new(summary)))?;
                    let told = episode.summed_up(tx.now);
                    episodes::put(tx, id, &told)?;
                    match told.next(&pace, tx.now) {
                        Next::Wait(until) => look_at(tx, until),
                        _ => look_in(Duration::ZERO),
                    }
                }
                Next::Over => match ended {
                    Some((read, fates)) if read == episode => {
                        say(
                            tx,
                            id,
                            &Alert::Over(Box::new(over(id, subject, &episode, fates))),
                        )?;
                        episodes::put(tx, id, &episode.ended(tx.now))?;
                        Outcome::Done
                    }
                    // It grew while it was read, or its time came only now.
                    _ => look_in(Duration::ZERO),
                },
                Next::CloseInSilence => {
                    episodes::close(tx, id)?;
                    Outcome::Done
                }
                Next::Nothing => Outcome::Done,
            };
            jobs::settle(tx, &held, &outcome)
        })
        .await
}

fn look_at(tx: &Tx<'_>, until: Timestamp) -> Outcome {
    look_in(Duration::try_from(until.duration_since(tx.now)).unwrap_or_default())
}

fn look_in(after: Duration) -> Outcome {
    Outcome::Snooze {
        after,
        why: "the episode of alerts is open".into(),
    }
}

fn summary(
    tx: &Tx<'_>,
    id: i64,
    subject: String,
    episode: &Episode,
) -> Result<Summary, StoreError> {
    let (fresh, fresh_amount) = episode.fresh();
    Ok(Summary {
        episode: id,
        subject,
        since: episode.opened_at,
        fresh,
        fresh_amount,
        all: episode.alerts,
        amount: episode.amount,
        error: episodes::most_frequent(tx.conn(), id)?.unwrap_or_default(),
        named: episodes::newest(tx.conn(), id, fresh.min(NAMED))?,
    })
}

fn over(id: i64, subject: String, episode: &Episode, fates: Fates) -> Over {
    Over {
        episode: id,
        subject,
        since: episode.opened_at,
        until: episode.last_at,
        fresh: episode.fresh().0,
        all: episode.alerts,
        amount: episode.amount,
        fates,
    }
}
