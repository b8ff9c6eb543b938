//! Which flow runs by itself: the workers, and how a run ends that its flow did not end.
//!
//! apalis is the runtime: a worker per queue, so many runs at once, a span around each, and a
//! shutdown that waits. It gets its jobs from the broker's stream and never sees an error. A flow
//! settles its job in the transaction of its effect; what it leaves unsettled (an error, a panic, a
//! run out of time) is settled here.

use std::{sync::Arc, time::Duration};

use apalis::prelude::*;
use futures::{StreamExt, future::BoxFuture};
use tracing::Instrument;

use crate::{
    domain::{
        job::{DeadReason, Delivery, Job, Outcome, Queue},
        retry::Class,
    },
    flow::{
        Broker, Ctx,
        cancel_attempt::AttemptError,
        confirm_payment,
        confirm_payment::ConfirmError,
        dead_letters::bury,
        prepare_order, prune, retry_cancel, send_alert,
        send_alert::SendError,
        settle_day::{self, SettleDayError},
        sweep, tell_episode, tell_stuck,
    },
    store::{
        StoreError,
        jobs::{self, SettleError},
    },
};

/// While PortOne refuses our credentials, its jobs wait this long and lose no attempt.
const HALTED: Duration = Duration::from_secs(30);

/// Why a run did not settle its job.
#[derive(Debug)]
struct Failed {
    class: Class,
    what: String,
    retry_after: Option<Duration>,
    /// As what it is buried, where trying again cannot help.
    reason: DeadReason,
    /// Our own books could not be written: no attempt is used up, for PortOne may have done its
    /// part, and a dead letter of what was done would tell a person the contrary.
    ours: bool,
}

impl Failed {
    fn of_store(error: &StoreError) -> Failed {
        let class = if error.is_transient() {
            Class::Transient
        } else {
            Class::Permanent
        };
        Failed {
            ours: class == Class::Transient,
            class,
            what: error.to_string(),
            retry_after: None,
            reason: DeadReason::Permanent,
        }
    }

    /// How the run ends, unless it is for good.
    fn outcome(self, after: Duration) -> Outcome {
        match self {
            Failed {
                class: Class::Halt,
                what: why,
                ..
            } => Outcome::Snooze { after: HALTED, why },
            Failed {
                ours: true,
                what: why,
                ..
            } => Outcome::Snooze { after, why },
            Failed { what: error, .. } => Outcome::Retry { after, error },
        }
    }
}

/// `None`: the job is in other hands, there is nothing to settle.
fn of_settle(error: &SettleError) -> Option<Failed> {
    match error {
        SettleError::Stale(_) => None,
        SettleError::Store(error) => Some(Failed::of_store(error)),
    }
}

fn of_confirm(error: ConfirmError) -> Option<Failed> {
    match error {
        ConfirmError::Gateway(error) => Some(Failed {
            class: error.class,
            what: error.what,
            retry_after: error.retry_after,
            reason: DeadReason::Permanent,
            ours: false,
        }),
        ConfirmError::Store(error) => Some(Failed::of_store(&error)),
        ConfirmError::Settle(error) => of_settle(&error),
    }
}

fn of_settling(error: SettleDayError) -> Option<Failed> {
    match error {
        SettleDayError::Store(error) => Some(Failed::of_store(&error)),
        SettleDayError::Settle(error) => of_settle(&error),
        error => Some(Failed {
            class: if error.is_transient() {
                Class::Transient
            } else {
                Class::Permanent
            },
            what: error.to_string(),
            retry_after: None,
            reason: DeadReason::Permanent,
            ours: false,
        }),
    }
}

fn of_attempt(error: AttemptError) -> Option<Failed> {
    match error {
        AttemptError::Store(error) => Some(Failed::of_store(&error)),
        AttemptError::Settle(error) => of_settle(&error),
        error @ AttemptError::Unreadable(..) => Some(Failed {
            class: Class::Permanent,
            what: error.to_string(),
            retry_after: None,
            reason: DeadReason::Permanent,
            ours: false,
        }),
    }
}

fn of_send(error: SendError) -> Option<Failed> {
    match error {
        SendError::Notify(error) => Some(Failed {
            class: error.class,
            what: error.what,
            retry_after: error.retry_after,
            reason: DeadReason::Permanent,
            ours: false,
        }),
        SendError::Store(error) => Some(Failed::of_store(&error)),
        SendError::Settle(error) => of_settle(&error),
    }
}

/// Runs one job to its end. Never fails, and never takes the worker down with it.
pub async fn run(ctx: &Ctx, held: Delivery) {
    let failed = match Job::decode(&held.kind, &held.payload) {
        Err(error) => Some(Failed {
            class: Class::Permanent,
            what: format!("this version cannot read the job: {error}"),
            retry_after: None,
            reason: DeadReason::Unreadable,
            ours: false,
        }),
        Ok(job) => attempt(ctx, &held, job).await,
    };
    if let Some(failed) = failed
        && let Err(error) = settle(ctx, &held, failed).await
    {
        tracing::error!(%error, job = held.id, "a failed run could not be settled; its lease ends by itself");
    }
}

/// The flow, in a task of its own: a panic or a run out of time ends it and nothing else.
async fn attempt(ctx: &Ctx, held: &Delivery, job: Job) -> Option<Failed> {
    let limit = ctx.policy.job_timeout(held.queue);
    let mut task = tokio::spawn(
        {
            let (ctx, held) = (ctx.clone(), held.clone());
            async move { flow(&ctx, &held, job).await }
        }
        .in_current_span(),
    );
    match tokio::time::timeout(limit, &mut task).await {
        Ok(Ok(failed)) => failed,
        Ok(Err(died)) => Some(Failed {
            class: Class::Unknown,
            what: format!("the run broke off: {died}"),
            retry_after: None,
            reason: DeadReason::Permanent,
            ours: false,
        }),
        Err(_) => {
            task.abort();
            Some(Failed {
                class: Class::Unknown,
                what: format!("the run took longer than {limit:?}"),
                retry_after: None,
                reason: DeadReason::Permanent,
                ours: false,
            })
        }
    }
}

/// Which flow a job is.
async fn flow(ctx: &Ctx, held: &Delivery, job: Job) -> Option<Failed> {
    match job {
        Job::ConfirmPayment { inbox_id } => confirm_payment::confirm_queued(ctx, held, inbox_id)
            .await
            .err()
            .and_then(of_confirm),
        Job::RetryCancel { cancellation } => retry_cancel::retry_cancel(ctx, held, cancellation)
            .await
            .err()
            .and_then(of_attempt),
        Job::PrepareOrder { merchant_uid } => prepare_order::prepare_order(ctx, held, merchant_uid)
            .await
            .err()
            .and_then(of_confirm),
        Job::SendAlert { alert_id } => send_alert::send_alert(ctx, held, alert_id)
            .await
            .err()
            .and_then(of_send),
        Job::Sweep { until } => sweep::sweep(ctx, held, until)
            .await
            .err()
            .and_then(of_confirm),
        Job::Prune { until } => prune::prune(ctx, held, until)
            .await
            .err()
            .and_then(of_confirm),
        Job::Settle { until } => settle_day::settle_due(ctx, held, until)
            .await
            .err()
            .and_then(of_settling),
        Job::TellEpisode { episode } => tell_episode::tell_episode(ctx, held, episode)
            .await
            .err()
            .and_then(|error| of_settle(&error)),
        Job::Digest { .. } => tell_stuck::tell_stuck(ctx, held)
            .await
            .err()
            .and_then(|error| of_settle(&error)),
    }
}

/// Ends a run that its flow did not end: by the error's class and the attempts that are left.
async fn settle(ctx: &Ctx, held: &Delivery, failed: Failed) -> Result<(), SettleError> {
    let (class, ours, what) = (failed.class, failed.ours, failed.what.clone());
    let reason = failed.reason;
    let (job, kind, attempt) = (held.id, &held.kind, held.attempt);
    if class == Class::Permanent {
        tracing::error!(job, kind, attempt, error = %what, "a job failed for good");
    } else {
        tracing::warn!(job, kind, attempt, error = %what, "a job failed");
    }
    let wait = ctx
        .policy
        .job_backoff
        .wait(held.attempt, crate::flow::dice());
    let outcome = {
        let after = failed.retry_after.unwrap_or_default().max(wait);
        failed.outcome(after)
    };
    let held = held.clone();
    let ended = ctx
        .store
        .write(move |tx| match class {
            Class::Halt => {
                let alert = crate::domain::alert::Alert::GatewayHalted { error: what };
                crate::flow::raise_alert::raise(tx, &alert, None)?;
                jobs::settle(tx, &held, &outcome)
            }
            Class::Permanent => bury(tx, &held, reason, &what),
            Class::Transient | Class::Unknown if !ours && !held.may_retry() => {
                bury(tx, &held, DeadReason::Exhausted, &what)
            }
            Class::Transient | Class::Unknown => jobs::settle(tx, &held, &outcome),
        })
        .await;
    // The job is in other hands. What the closure wrote before it knew is rolled back.
    match ended {
        Err(SettleError::Stale(_)) => Ok(()),
        other => other,
    }
}

/// What a worker does with a job: to its end, without an error and without a panic that matters.
pub type Run = Arc<dyn Fn(Delivery) -> BoxFuture<'static, ()> + Send + Sync>;

/// What a worker needs beside the job.
#[derive(Clone)]
struct Runner {
    run: Run,
    broker: Arc<dyn Broker>,
}

async fn handle(held: Delivery, runner: Data<Runner>) {
    let span = tracing::info_span!("job", id = held.id, kind = %held.kind, attempt = held.attempt);
    // A task of its own: a monitor polls all its workers on one, and a long step of one job must
    // not hold up the others.
    let ran = tokio::spawn((runner.run)(held.clone()).instrument(span)).await;
    if let Err(error) = ran {
        tracing::error!(%error, job = held.id, "a run broke off; its lease ends by itself");
    }
    runner.broker.settled(&held).await;
}

/// A worker for each queue, all in one monitor.
pub fn workers(ctx: &Ctx, broker: &Arc<dyn Broker>) -> Monitor {
    let policy = ctx.policy.clone();
    let ctx = ctx.clone();
    let run: Run = Arc::new(move |held| {
        let ctx = ctx.clone();
        Box::pin(async move { run(&ctx, held).await })
    });
    workers_that(&run, broker, move |queue| {
        queue.concurrency(policy.concurrency)
    })
}

/// The same workers around another run: tests and benches of the brokers.
pub fn workers_that(
    run: &Run,
    broker: &Arc<dyn Broker>,
    concurrency: impl Fn(Queue) -> usize,
) -> Monitor {
    let mut monitor = Monitor::new().should_restart(|worker, error| {
        tracing::error!(worker = worker.name(), %error, "a worker stopped and is started again");
        true
    });
    for queue in Queue::ALL {
        let runner = Runner {
            run: run.clone(),
            broker: broker.clone(),
        };
        let places = concurrency(queue);
        monitor = monitor.register(move |_| {
            let jobs = runner
                .broker
                .deliveries(queue)
                .map(Ok::<_, std::convert::Infallible>)
                .boxed();
            WorkerBuilder::new(queue.as_str())
                .backend(jobs)
                .concurrency(places)
                .data(runner.clone())
                .build(handle)
        });
    }
    monitor
}

/// Runs every job that is ready, here and now, until none is left: for tests and the demo's seed.
/// Jobs that wait for a later time are left alone.
pub async fn drain(ctx: &Ctx) -> Result<usize, StoreError> {
    let mut ran = 0;
    loop {
        let mut claimed = Vec::new();
        for queue in Queue::ALL {
            let boot = ctx.boot.clone();
            let lease = ctx.policy.job_lease(queue);
            claimed.extend(
                ctx.store
                    .write(move |tx| jobs::claim(tx, queue, 16, &boot, lease))
                    .await?,
            );
        }
        if claimed.is_empty() {
            return Ok(ran);
        }
        for held in claimed {
            ran += 1;
            run(ctx, held).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_with_our_own_disk_uses_no_attempt_up() {
        let after = Duration::from_secs(1);
        for error in [
            StoreError::Busy,
            StoreError::Closed,
            StoreError::Unavailable("full".into()),
        ] {
            let failed = Failed::of_store(&error);
            assert!(failed.ours, "{error}");
            assert!(matches!(failed.outcome(after), Outcome::Snooze { .. }));
        }
        let broken = Failed::of_store(&StoreError::Rule("r".into()));
        assert!(!broken.ours && broken.class == Class::Permanent);
        let failed = of_confirm(ConfirmError::Gateway(crate::flow::GatewayError::new(
            Class::Transient,
            "503",
        )));
        assert!(matches!(
            failed.unwrap().outcome(after),
            Outcome::Retry { .. }
        ));
    }
}
