//! The embedded broker: a claim loop per queue over the `job` table.
//!
//! A commit that made a job ready wakes it, and so does the time at which the next one becomes due; a
//! look each second covers whatever that may have missed. The next jobs are claimed while the last ones
//! run, so that a place among the workers never waits for a commit.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{
    future::BoxFuture,
    stream::{self, BoxStream, StreamExt},
};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    domain::job::{Delivery, Engine, Queue},
    flow::{Broker, Heard, Policy},
    store::{Store, StoreError, jobs},
};

/// What covers a missed wake-up, and a clock that was moved.
const LOOK: Duration = Duration::from_secs(1);

pub struct Embedded {
    store: Store,
    policy: Arc<Policy>,
    stopped: watch::Sender<bool>,
}

impl Embedded {
    pub fn new(store: Store, policy: Arc<Policy>) -> Embedded {
        let (stopped, _) = watch::channel(false);
        Embedded {
            store,
            policy,
            stopped,
        }
    }
}

type Claimed = Result<Vec<Delivery>, StoreError>;

struct Loop {
    store: Store,
    queue: Queue,
    boot: Arc<str>,
    lease: Duration,
    /// Places among the workers.
    places: usize,
    ready: watch::Receiver<u64>,
    stopped: watch::Receiver<bool>,
    claimed: VecDeque<Delivery>,
    /// A claim that is under way while claimed jobs are still handed out.
    ahead: Option<AbortOnDropHandle<Claimed>>,
}

impl Loop {
    /// The next job; `None` once stopped.
    async fn next(mut self) -> Option<(Delivery, Loop)> {
        loop {
            if *self.stopped.borrow() {
                // What was claimed and not handed out goes back uncharged with the rest of the boot.
                return None;
            }
            if let Some(delivery) = self.claimed.pop_front() {
                if self.ahead.is_none() && self.claims_ahead() {
                    self.ahead = Some(AbortOnDropHandle::new(tokio::spawn(self.claim())));
                }
                return Some((delivery, self));
            }
            // Marked as seen before the look, so that a commit during the look is not missed.
            self.ready.borrow_and_update();
            let claimed = match self.ahead.take() {
                Some(ahead) => match ahead.await {
                    // It may have looked before the last commit: an empty hand says nothing.
                    Ok(Ok(claimed)) if claimed.is_empty() => continue,
                    Ok(claimed) => claimed,
                    Err(died) => Err(StoreError::Panicked(died.to_string())),
                },
                None => self.claim().await,
            };
            match claimed {
                Ok(claimed) if !claimed.is_empty() => self.claimed.extend(claimed),
                Ok(_) => {
                    let most = self.until_next();
                    self.wait(most).await;
                }
                Err(error) => {
                    tracing::error!(%error, queue = self.queue.as_str(), "jobs could not be claimed; trying again");
                    self.wait(LOOK).await;
                }
            }
        }
    }

    /// Once half of what was claimed is handed out; with one place, while its job runs, so that the
    /// claim shares a commit with what else is written then. Not in queues of few and long runs: what
    /// is claimed waits for them, while another process could run it.
    fn claims_ahead(&self) -> bool {
        matches!(self.queue, Queue::Payment | Queue::Cancel)
            && self.claimed.len() <= self.places / 2
    }

    fn claim(&self) -> impl Future<Output = Claimed> + use<> {
        let (store, queue, boot, lease) = (
            self.store.clone(),
            self.queue,
            self.boot.clone(),
            self.lease,
        );
        // Few at a time: what is claimed here waits for a free place among the workers.
        let free = self.places;
        async move {
            // A look costs nothing where nothing is ready; a claim would be a write.
            let now = store.now().as_millisecond();
            if !store.read(|conn| jobs::any_ready(conn, queue, now))? {
                return Ok(Vec::new());
            }
            store
                .write(move |tx| jobs::claim(tx, queue, free, &boot, lease))
                .await
        }
    }

    /// Until a row becomes due by time, or until it is time for a look anyway.
    fn until_next(&self) -> Duration {
        let now = self.store.now();
        // Of all that are ready: one may have become due since the last look.
        let next = self
            .store
            .read(|conn| jobs::next_due(conn, self.queue, i64::MIN));
        match next {
            Ok(Some(at)) => Duration::try_from(at.duration_since(now))
                .unwrap_or_default()
                .min(LOOK),
            Ok(None) | Err(_) => LOOK,
        }
    }

    async fn wait(&mut self, most: Duration) {
        tokio::select! {
            _ = self.ready.changed() => {}
            _ = self.stopped.changed() => {}
            () = tokio::time::sleep(most) => {}
        }
    }
}

impl Broker for Embedded {
    fn engine(&self) -> Engine {
        Engine::Embedded
    }

    fn deliveries(&self, queue: Queue) -> BoxStream<'static, Delivery> {
        let start = Loop {
            store: self.store.clone(),
            queue,
            boot: self.store.boot(),
            // Claimed jobs may wait for two runs before their own.
            lease: self.policy.job_lease(queue) * 3,
            places: queue.concurrency(self.policy.concurrency),
            ready: self.store.jobs_ready(),
            stopped: self.stopped.subscribe(),
            claimed: VecDeque::new(),
            ahead: None,
        };
        stream::unfold(start, Loop::next).boxed()
    }

    fn settled<'a>(&'a self, _: &'a Delivery) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    fn heard(&self) -> BoxStream<'static, Heard> {
        stream::pending().boxed()
    }

    fn health(&self) -> Result<(), String> {
        if *self.stopped.borrow() {
            Err("stopped".into())
        } else {
            Ok(())
        }
    }

    fn stop(&self) {
        self.stopped.send_replace(true);
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
