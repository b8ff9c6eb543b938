//! Writes an alert down, and the job that will tell it, in the transaction of what it is about.

use crate::{
    domain::{alert::Alert, job::Job},
    store::{StoreError, Tx, alerts, jobs},
};

/// Tries to send an alert before it becomes a dead letter: about a day with the job back-off.
const ATTEMPTS: u32 = 30;

/// Keeps the alert and has it sent. An alert whose topic is open already is not sent again.
pub fn raise(tx: &mut Tx<'_>, alert: &Alert, payment: Option<i64>) -> Result<(), StoreError> {
    let Some(alert_id) = alerts::add(tx, alert, payment)? else {
        return Ok(());
    };
    jobs::publish(
        tx,
        &Job::SendAlert { alert_id },
        jobs::Terms {
            max_attempts: ATTEMPTS,
            run_at: None,
        },
    )?;
    Ok(())
}
