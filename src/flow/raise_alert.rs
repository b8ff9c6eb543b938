//! Writes an alert down, and the job that will tell it, in the transaction of what it is about.
//!
//! The first of its subject is told by itself. What follows while its episode is open is kept and
//! counted, and told together by `tell_episode`.

use crate::{
    domain::{alert::Alert, episode::Episode, job::Job},
    store::{
        StoreError, Tx,
        alerts::{self, Role},
        episodes, jobs,
    },
};

/// Tries to send an alert before it becomes a dead letter: about a day with the job back-off.
const ATTEMPTS: u32 = 30;

/// Keeps the alert and has it told. An alert whose topic is open already is not told again.
pub fn raise(tx: &mut Tx<'_>, alert: &Alert, payment: Option<i64>) -> Result<(), StoreError> {
    let Some(id) = alerts::add(tx, alert, payment)? else {
        return Ok(());
    };
    let Some(subject) = alert.subject() else {
        return send(tx, id);
    };
    let amount = alert.amount().unwrap_or_default();
    if let Some((episode, open)) = episodes::open_of(tx.conn(), &subject)? {
        if let Some(next) = open.join(amount, tx.now) {
            episodes::put(tx, episode, &next)?;
            return alerts::join(tx, id, episode, Role::Together);
        }
        // Its job tells what it still has to tell, and then ends.
        episodes::close(tx, episode)?;
    }
    let episode = episodes::add(tx, &subject, &Episode::open(amount, tx.now))?;
    alerts::join(tx, id, episode, Role::First)?;
    // It looks at once, and then as often as the settings say.
    publish(tx, &Job::TellEpisode { episode })?;
    send(tx, id)
}

/// Keeps and sends what an episode has to say.
pub fn say(tx: &mut Tx<'_>, episode: i64, message: &Alert) -> Result<(), StoreError> {
    let Some(id) = alerts::add(tx, message, None)? else {
        return Ok(());
    };
    alerts::join(tx, id, episode, Role::Message)?;
    send(tx, id)
}

fn send(tx: &mut Tx<'_>, alert_id: i64) -> Result<(), StoreError> {
    publish(tx, &Job::SendAlert { alert_id })
}

fn publish(tx: &mut Tx<'_>, job: &Job) -> Result<(), StoreError> {
    let terms = jobs::Terms {
        max_attempts: ATTEMPTS,
        run_at: None,
    };
    jobs::publish(tx, job, terms)?;
    Ok(())
}
