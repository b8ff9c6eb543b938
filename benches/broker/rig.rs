//! An engine with its workers on books of their own, and what is counted of its jobs.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jeongsan::{
    adapters::broker::{
        amqp::{self, Amqp},
        embedded::Embedded,
    },
    config::Config,
    domain::job::{Delivery, Engine, Job, Outcome},
    flow::{Broker, Policy},
    jobs::{self as workers, Run},
    store::{
        Clock, Store, StoreError,
        jobs::{self, SettleError, Terms},
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// With what everything begins that a bench makes in RabbitMQ.
pub const PREFIX: &str = "jeongsan-bench";
/// A bench whose jobs do not come to an end is told so.
const PATIENCE: Duration = Duration::from_secs(300);

pub struct Rig {
    pub store: Store,
    pub broker: Arc<dyn Broker>,
    stop: CancellationToken,
    working: JoinHandle<()>,
    url: SecretString,
    /// What a broker keeps for the processes that look.
    _keeper: watch::Sender<bool>,
}

/// The settings as a person would have them, with `n` jobs of a queue at once.
fn policy(n: usize) -> Arc<Policy> {
    let set = [
        ("JEONGSAN_PORTONE_IMP_KEY", "imp_apikey".to_owned()),
        ("JEONGSAN_PORTONE_IMP_SECRET", "imp_secret".to_owned()),
        ("JEONGSAN_JOBS_CONCURRENCY", n.to_string()),
    ];
    let set = set.map(|(key, value)| (key.to_owned(), value));
    let config = Config::load(None, set, &[]).expect("settings");
    Arc::new(config.policy)
}

/// Removes what this bench, or one that died, made in RabbitMQ.
pub async fn clean_up(url: &str) {
    let url = SecretString::from(url.to_owned());
    amqp::remove(&url, PREFIX).await.expect("a RabbitMQ");
}

impl Rig {
    /// Opens the books in `dir`, and lets `n` workers run what is ready in them.
    pub async fn start(
        engine: Engine,
        dir: &Path,
        n: usize,
        url: &str,
        run: impl FnOnce(&Store) -> Run,
    ) -> Rig {
        let store = Store::open(dir, Clock::default()).expect("the books");
        let policy = policy(n);
        let url = SecretString::from(url.to_owned());
        let (keeper, keeps) = watch::channel(true);
        let broker: Arc<dyn Broker> = match engine {
            Engine::Embedded => Arc::new(Embedded::new(store.clone(), policy.clone())),
            Engine::Amqp => {
                clean_up(url.expose_secret()).await;
                let started = Amqp::start(store.clone(), policy.clone(), &url, PREFIX, keeps);
                Arc::new(started.expect("an address"))
            }
        };
        let stop = CancellationToken::new();
        let most = policy.concurrency;
        let monitor =
            workers::workers_that(&run(&store), &broker, move |queue| queue.concurrency(most));
        let signal = {
            let (stop, broker) = (stop.clone(), broker.clone());
            async move {
                stop.cancelled().await;
                broker.stop();
                Ok(())
            }
        };
        let working = tokio::spawn(async move {
            monitor.run_with_signal(signal).await.expect("the workers");
        });
        let began = Instant::now();
        while let Err(why) = broker.health() {
            assert!(began.elapsed() < Duration::from_secs(20), "{why}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Rig {
            store,
            broker,
            stop,
            working,
            url,
            _keeper: keeper,
        }
    }

    pub async fn end(self) {
        self.stop.cancel();
        self.working.await.expect("the workers");
        let closed = tokio::time::timeout(Duration::from_secs(20), self.broker.close()).await;
        closed.expect("the engine to end");
        if self.broker.engine() == Engine::Amqp {
            clean_up(self.url.expose_secret()).await;
        }
        drop(self.broker);
        self.store.close().await;
    }
}

/// A job of the kind that a webhook makes. No run here looks at what it is about.
pub async fn publish(store: &Store, max_attempts: u32) -> Result<i64, StoreError> {
    let terms = Terms {
        max_attempts,
        run_at: None,
    };
    store
        .write(move |tx| jobs::publish(tx, &Job::ConfirmPayment { inbox_id: 1 }, terms))
        .await
        .map(jobs::Published::id)
}

pub async fn settle(store: &Store, held: &Delivery, outcome: Outcome) -> Result<(), SettleError> {
    let held = held.clone();
    store
        .write(move |tx| jobs::settle(tx, &held, &outcome))
        .await
}

/// Which jobs were done.
#[derive(Default)]
pub struct Tally {
    counted: Mutex<Counted>,
    more: Notify,
    stale: AtomicU64,
}

#[derive(Clone, Default)]
struct Counted {
    /// A bit per job.
    seen: Vec<u64>,
    done: u64,
    twice: u64,
    last: Option<Instant>,
    enough: u64,
}

impl Tally {
    fn counted(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run's end that the books have taken.
    pub fn done(&self, id: i64) {
        let (word, bit) = (id as usize / 64, 1 << (id % 64));
        let mut counted = self.counted();
        if counted.seen.len() <= word {
            counted.seen.resize(word + 1_024, 0);
        }
        if counted.seen[word] & bit == 0 {
            counted.seen[word] |= bit;
            counted.done += 1;
        } else {
            counted.twice += 1;
        }
        counted.last = Some(Instant::now());
        if counted.done >= counted.enough {
            self.more.notify_one();
        }
    }

    /// A run that was told to belong to somebody else: none may be here.
    pub fn stale(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
    }

    pub fn figures(&self) -> (u64, u64, u64) {
        let counted = self.counted();
        (
            counted.done,
            counted.twice,
            self.stale.load(Ordering::Relaxed),
        )
    }

    /// When the job came to its end with which there were `many`.
    pub async fn wait(&self, many: u64) -> Instant {
        self.counted().enough = many;
        let all = async {
            loop {
                {
                    let counted = self.counted();
                    if let Some(last) = counted.last
                        && counted.done >= many
                    {
                        return last;
                    }
                }
                self.more.notified().await;
            }
        };
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(last) => last,
            Err(_) => panic!("{:?} of {many} jobs came to an end", self.figures()),
        }
    }
}

/// Runs that succeed at once.
pub fn succeed(store: &Store, tally: &Arc<Tally>) -> Run {
    let (store, tally) = (store.clone(), tally.clone());
    Arc::new(move |held| {
        let (store, tally) = (store.clone(), tally.clone());
        Box::pin(async move {
            match settle(&store, &held, Outcome::Done).await {
                Ok(()) => tally.done(held.id),
                Err(SettleError::Stale(_)) => tally.stale(),
                Err(SettleError::Store(error)) => panic!("a run could not be settled: {error}"),
            }
        })
    })
}

/// `jobs` jobs from `n` producers, each of which waits for its commit. The time until the last is done.
pub async fn through(rig: &Rig, tally: &Tally, n: usize, jobs: u64) -> Duration {
    let (before, ..) = tally.figures();
    let began = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let producers: Vec<_> = (0..n)
        .map(|_| {
            let (store, next) = (rig.store.clone(), next.clone());
            tokio::spawn(async move {
                while next.fetch_add(1, Ordering::Relaxed) < jobs {
                    publish(&store, 3).await.expect("a commit");
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.expect("a producer");
    }
    tally.wait(before + jobs).await - began
}
