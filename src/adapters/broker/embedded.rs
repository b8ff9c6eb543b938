//! The embedded broker: a claim loop per queue over the `job` table.
//!
//! A commit that made a job ready wakes it; a look each second covers what becomes due by time, and
//! whatever a wake-up may have missed.

use std::{sync::Arc, time::Duration};

use futures::{
    future::BoxFuture,
    stream::{self, BoxStream, StreamExt},
};
use tokio::sync::watch;

use crate::{
    domain::job::{Delivery, Queue},
    flow::{Broker, Policy},
    store::{Store, StoreError, jobs},
};

/// What covers a missed wake-up and time that passed.
const LOOK: Duration = Duration::from_secs(1);

pub struct Embedded {
    store: Store,
    policy: Arc<Policy>,
    boot: Arc<str>,
    stopped: watch::Sender<bool>,
}

impl Embedded {
    pub fn new(store: Store, policy: Arc<Policy>, boot: Arc<str>) -> Embedded {
        let (stopped, _) = watch::channel(false);
        Embedded {
            store,
            policy,
            boot,
            stopped,
        }
    }
}

struct Loop {
    store: Store,
    queue: Queue,
    boot: Arc<str>,
    lease: Duration,
    ready: watch::Receiver<u64>,
    stopped: watch::Receiver<bool>,
    claimed: std::collections::VecDeque<Delivery>,
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
                return Some((delivery, self));
            }
            // Marked as seen before the look, so that a commit during the look is not missed.
            self.ready.borrow_and_update();
            match self.claim().await {
                Ok(claimed) if !claimed.is_empty() => self.claimed.extend(claimed),
                Ok(_) => self.wait(LOOK).await,
                Err(error) => {
                    tracing::error!(%error, queue = self.queue.as_str(), "jobs could not be claimed; trying again");
                    self.wait(LOOK).await;
                }
            }
        }
    }

    async fn claim(&self) -> Result<Vec<Delivery>, StoreError> {
        let (queue, boot, lease) = (self.queue, self.boot.clone(), self.lease);
        // Few at a time: what is claimed here waits for a free place among the workers.
        let free = queue.concurrency();
        // A look costs nothing where nothing is ready; a claim would be a write.
        let now = self.store.now().as_millisecond();
        if !self.store.read(|conn| jobs::any_ready(conn, queue, now))? {
            return Ok(Vec::new());
        }
        self.store
            .write(move |tx| jobs::claim(tx, queue, free, &boot, lease))
            .await
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
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn deliveries(&self, queue: Queue) -> BoxStream<'static, Delivery> {
        let start = Loop {
            store: self.store.clone(),
            queue,
            boot: self.boot.clone(),
            // Claimed jobs may wait for one run before their own.
            lease: self.policy.job_lease(queue) * 2,
            ready: self.store.jobs_ready(),
            stopped: self.stopped.subscribe(),
            claimed: Default::default(),
        };
        stream::unfold(start, Loop::next).boxed()
    }

    fn settled<'a>(&'a self, _: &'a Delivery) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
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
}
