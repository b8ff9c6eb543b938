//! A store, a broker and workers whose jobs leave a row in the table `effect`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::FutureExt;
use jeongsan::{
    adapters::broker::{
        amqp::{self, Amqp, Names},
        embedded::Embedded,
    },
    app,
    config::Config,
    domain::job::{Delivery, Engine, Job, Outcome},
    flow::{Broker, Ctx, recover_jobs::recover_jobs},
    jobs as runtime,
    store::{
        Clock, Store,
        jobs::{self, SettleError, Terms},
        published,
    },
};
use jiff::Timestamp;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::node;

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A job of the queue `payment`. Nothing of these tests asks what it is about.
pub fn message(n: i64) -> Job {
    Job::ConfirmPayment { inbox_id: n }
}

/// A job of the queue `upkeep`.
pub fn prune() -> Job {
    Job::Prune {
        until: "2026-01-01T00:00:00Z".parse().unwrap(),
    }
}

/// One run that was settled, as the effect table has it.
#[derive(Debug)]
pub struct Ran {
    pub attempt: u32,
    pub generation: u32,
    pub turn: i64,
    pub at: Timestamp,
}

/// How a run ends.
type Ends = Arc<dyn Fn(&Delivery) -> Outcome + Send + Sync>;

struct Workers {
    broker: Arc<dyn Broker>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    keeper: watch::Sender<bool>,
}

impl Workers {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        self.broker.close().await;
        drop(self.keeper);
    }
}

pub struct Bed {
    pub store: Store,
    pub clock: Clock,
    pub prefix: String,
    pub url: String,
    engine: Engine,
    ctx: Ctx,
    ends: Ends,
    slow: Duration,
    workers: Option<Workers>,
    dir: tempfile::TempDir,
}

fn config(dir: &std::path::Path, engine: Engine, url: &str, prefix: &str) -> Config {
    let set = [
        ("data.dir", dir.display().to_string()),
        ("portone.imp_key", "key".into()),
        ("portone.imp_secret", "secret".into()),
        ("broker.prefix", prefix.into()),
        (
            "broker.url",
            match engine {
                Engine::Embedded => "embedded".into(),
                Engine::Amqp => url.into(),
            },
        ),
    ];
    Config::load(None, [], &set).unwrap()
}

impl Bed {
    /// Every job is done the first time.
    pub async fn start(engine: Engine) -> Bed {
        Bed::with(engine, |_| Outcome::Done).await
    }

    /// Every run takes a while.
    pub async fn slow(engine: Engine, slow: Duration) -> Bed {
        let mut bed = Bed::idle_at(engine, node::url(), |_| Outcome::Done).await;
        bed.start_workers(slow).await;
        bed
    }

    pub async fn with(
        engine: Engine,
        ends: impl Fn(&Delivery) -> Outcome + Send + Sync + 'static,
    ) -> Bed {
        Bed::at(engine, node::url(), ends).await
    }

    pub async fn at(
        engine: Engine,
        url: String,
        ends: impl Fn(&Delivery) -> Outcome + Send + Sync + 'static,
    ) -> Bed {
        let mut bed = Bed::idle_at(engine, url, ends).await;
        bed.start_workers(ms(0)).await;
        bed
    }

    /// Nobody runs anything; RabbitMQ gets its messages all the same.
    pub async fn idle(engine: Engine) -> Bed {
        let mut bed = Bed::idle_at(engine, node::url(), |_| Outcome::Done).await;
        let (keeper, keeps) = watch::channel(true);
        let broker = bed.broker(engine, &bed.url, keeps);
        bed.workers = Some(Workers {
            broker,
            stop: CancellationToken::new(),
            task: tokio::spawn(async {}),
            keeper,
        });
        bed
    }

    async fn idle_at(
        engine: Engine,
        url: String,
        ends: impl Fn(&Delivery) -> Outcome + Send + Sync + 'static,
    ) -> Bed {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::default();
        let store = Store::open(dir.path(), clock.clone()).unwrap();
        store
            .write(|tx| {
                tx.conn().execute_batch(
                    "create table effect (job integer, kind text, attempt integer, generation integer,
                                          turn integer, at integer, boot text)",
                )?;
                Ok::<_, SettleError>(())
            })
            .await
            .unwrap();
        let prefix = node::prefix();
        let config = config(dir.path(), engine, &url, &prefix);
        let ctx = app::context(&config, store.clone()).unwrap();
        Bed {
            store,
            clock,
            prefix,
            url,
            engine,
            ctx,
            ends: Arc::new(ends),
            slow: ms(0),
            workers: None,
            dir,
        }
    }

    fn broker(&self, engine: Engine, url: &str, keeper: watch::Receiver<bool>) -> Arc<dyn Broker> {
        let policy = self.ctx.policy.clone();
        match engine {
            Engine::Embedded => Arc::new(Embedded::new(self.store.clone(), policy)),
            Engine::Amqp => {
                let url = url.to_owned().into();
                let amqp =
                    Amqp::start(self.store.clone(), policy, &url, &self.prefix, keeper).unwrap();
                Arc::new(amqp)
            }
        }
    }

    fn run(&self) -> runtime::Run {
        let (store, ends, slow) = (self.store.clone(), self.ends.clone(), self.slow);
        Arc::new(move |held: Delivery| {
            let (store, ends) = (store.clone(), ends.clone());
            async move {
                tokio::time::sleep(slow).await;
                let outcome = ends(&held);
                let settled = store
                    .write(move |tx| {
                        tx.conn()
                            .prepare_cached(
                                "insert into effect values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                            )?
                            .execute((
                                held.id,
                                &held.kind,
                                held.attempt,
                                held.generation,
                                held.turn,
                                held.started_at.as_millisecond(),
                                &held.boot,
                            ))?;
                        jobs::settle(tx, &held, &outcome)
                    })
                    .await;
                match settled {
                    Ok(()) | Err(SettleError::Stale(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            .boxed()
        })
    }

    async fn workers(&self, engine: Engine, url: &str, keeps: bool) -> Workers {
        let (keeper, is_keeper) = watch::channel(keeps);
        let broker = self.broker(engine, url, is_keeper);
        let concurrency = self.ctx.policy.concurrency;
        let monitor =
            runtime::workers_that(&self.run(), &broker, |queue| queue.concurrency(concurrency));
        let stop = CancellationToken::new();
        let (ending, stopping) = (broker.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let signal = async move {
                stopping.cancelled().await;
                ending.stop();
                Ok(())
            };
            monitor.run_with_signal(signal).await.unwrap();
        });
        Workers {
            broker,
            stop,
            task,
            keeper,
        }
    }

    pub async fn start_workers(&mut self, slow: Duration) {
        self.slow = slow;
        self.workers = Some(self.workers(self.engine, &self.url, true).await);
    }

    /// Lets what runs end, and gives back the rest, as the server does at its end.
    pub async fn stop_workers(&mut self) {
        self.workers.take().unwrap().stop().await;
        let boot = self.store.boot();
        self.store
            .write(move |tx| jobs::give_back(tx, &boot))
            .await
            .unwrap();
    }

    /// A second broker with workers on the same books.
    pub async fn another(&self, engine: Engine) -> Another {
        Another(self.workers(engine, &self.url, false).await)
    }

    /// The same, which reaches RabbitMQ by another way.
    pub async fn another_by(&self, url: &str) -> Another {
        Another(self.workers(Engine::Amqp, url, false).await)
    }

    /// A broker that publishes, and workers nowhere.
    pub async fn relay_alone(&self) -> Another {
        let (keeper, keeps) = watch::channel(true);
        Another(Workers {
            broker: self.broker(self.engine, &self.url, keeps),
            stop: CancellationToken::new(),
            task: tokio::spawn(async {}),
            keeper,
        })
    }

    /// Moves what waits to the other engine, and works with that from now on.
    pub async fn switch_to(&mut self, engine: Engine) -> usize {
        let with_url = config(self.dir.path(), Engine::Amqp, &self.url, &self.prefix);
        let done = app::switch::switch(&with_url, &self.ctx, engine)
            .await
            .unwrap();
        self.engine = engine;
        done.moved.rows
    }

    pub async fn recover(&self) {
        recover_jobs(&self.ctx).await.unwrap();
    }

    pub async fn publish(&self, job: Job) -> i64 {
        let now = self.store.now();
        self.publish_at(job, now).await
    }

    pub async fn publish_at(&self, job: Job, run_at: Timestamp) -> i64 {
        self.store
            .write(move |tx| {
                let terms = Terms {
                    max_attempts: 3,
                    run_at: Some(run_at),
                };
                jobs::publish(tx, &job, terms)
            })
            .await
            .unwrap()
            .id()
    }

    pub async fn publish_many(&self, all: Vec<Job>) {
        self.store
            .write(move |tx| {
                for job in &all {
                    let terms = Terms {
                        max_attempts: 3,
                        run_at: None,
                    };
                    jobs::publish(tx, job, terms)?;
                }
                Ok::<_, SettleError>(())
            })
            .await
            .unwrap();
    }

    /// One value out of the books.
    pub async fn sql<T: rusqlite::types::FromSql + Send + 'static>(&self, sql: &str) -> T {
        let conn = rusqlite::Connection::open(self.store.path()).unwrap();
        conn.busy_timeout(Duration::from_secs(5)).unwrap();
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    pub async fn execute(&self, sql: &'static str) {
        self.store
            .write(move |tx| {
                tx.conn().execute_batch(sql)?;
                Ok::<_, SettleError>(())
            })
            .await
            .unwrap();
        self.store.wake_workers();
    }

    pub async fn count_effects(&self) -> i64 {
        self.sql("select count(*) from effect").await
    }

    /// Kinds and how many settled runs each has.
    pub async fn effects(&self) -> Vec<(String, i64)> {
        let conn = rusqlite::Connection::open(self.store.path()).unwrap();
        let mut query = conn
            .prepare("select kind, count(*) from effect group by kind order by kind")
            .unwrap();
        query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    /// Settled runs of a job, in order.
    pub async fn runs(&self, id: i64) -> Vec<Ran> {
        let conn = rusqlite::Connection::open(self.store.path()).unwrap();
        let mut query = conn
            .prepare(
                "select attempt, generation, turn, at from effect where job = ?1 order by rowid",
            )
            .unwrap();
        query
            .query_map([id], |row| {
                Ok(Ran {
                    attempt: row.get(0)?,
                    generation: row.get(1)?,
                    turn: row.get(2)?,
                    at: Timestamp::from_millisecond(row.get(3)?).unwrap(),
                })
            })
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    pub async fn started_at(&self, id: i64) -> Timestamp {
        self.runs(id).await.last().unwrap().at
    }

    pub async fn created_at(&self, id: i64) -> Timestamp {
        let ms = self
            .sql(&format!("select created_at from job where id = {id}"))
            .await;
        Timestamp::from_millisecond(ms).unwrap()
    }

    /// Waits until it is so.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, so: impl Fn() -> F) {
        for _ in 0..1_200 {
            if so().await {
                return;
            }
            tokio::time::sleep(ms(25)).await;
        }
        let states: BTreeMap<String, i64> = self.states();
        panic!("never came true: {what}; jobs: {states:?}");
    }

    fn states(&self) -> BTreeMap<String, i64> {
        let conn = rusqlite::Connection::open(self.store.path()).unwrap();
        let mut query = conn
            .prepare("select state || case when published_at is null then '' else ', published' end, count(*) from job group by 1")
            .unwrap();
        query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    /// Waits until so many jobs are done.
    pub async fn done(&self, many: usize) {
        self.until(&format!("{many} jobs are done"), || async {
            self.sql::<i64>("select count(*) from job where state = 'done'")
                .await
                >= many as i64
        })
        .await;
    }

    /// So many jobs are done, and each has left one effect.
    pub async fn every_job_once(&self, many: i64) {
        let done: i64 = self
            .sql("select count(*) from job where state = 'done'")
            .await;
        let jobs: i64 = self.sql("select count(distinct job) from effect").await;
        assert_eq!((done, jobs, self.count_effects().await), (many, many, many));
        let counted: i64 = self
            .sql("select coalesce(sum(done), 0) from job_minute")
            .await;
        assert_eq!(counted, many, "the figures agree with the rows");
    }

    /// Messages that lie in a queue of RabbitMQ and were given to nobody.
    pub async fn messages(&self, queue: &str) -> u32 {
        use lapin::options::QueueDeclareOptions;
        let channel = self.channel().await;
        let options = QueueDeclareOptions::durable().passive();
        let declared = channel
            .queue_declare(queue.into(), options, Default::default())
            .await;
        declared.map_or(0, |queue| queue.message_count())
    }

    pub async fn channel(&self) -> lapin::Channel {
        let line = lapin::Connection::connect(&self.url, Default::default())
            .await
            .unwrap();
        line.create_channel().await.unwrap()
    }

    /// Every queue of this bed in RabbitMQ.
    pub fn queues(&self) -> Vec<String> {
        Names::new(&self.prefix).queues()
    }

    pub fn published(&self) -> i64 {
        self.store.read(published::count).unwrap()
    }

    /// The broker that hands out this bed's jobs.
    pub fn handing_out(&self) -> &Arc<dyn Broker> {
        &self.workers.as_ref().unwrap().broker
    }
}

pub struct Another(Workers);

impl Another {
    pub fn health(&self) -> Result<(), String> {
        self.0.broker.health()
    }

    pub async fn stop(self) {
        self.0.stop().await;
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // What a test leaves in RabbitMQ is removed on a thread of its own: this one may be a runtime's.
        let (url, prefix) = (self.url.clone(), self.prefix.clone());
        let workers = self.workers.take();
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                if let Some(workers) = workers {
                    workers.stop.cancel();
                    workers.broker.close().await;
                    let _ = amqp::remove(&url.into(), &prefix).await;
                }
            });
        })
        .join();
    }
}
