//! The engine room: what runs jobs, in a server as in a process of workers.
//!
//! It holds the broker and the workers, takes the lease of the keeper if it can, turns the clock into
//! jobs while it has it, lets go on what dead processes left, and hears what came through the broker.

use std::{
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};

use futures::StreamExt;
use tokio::{sync::watch, task::JoinHandle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::{
    adapters::broker::{amqp::Amqp, embedded::Embedded},
    config::{BrokerChoice, Config},
    domain::job::Engine,
    flow::{
        Broker, Ctx, Heard, dead_letters, recover_jobs::recover_jobs, run_schedules::run_schedules,
        save_partner::ensure_own,
    },
    jobs,
    store::{StoreError, events, leases, orders, published},
};

/// How long the keeper's lease lasts, and how often it is taken again.
const LEASE: Duration = Duration::from_secs(15);
const TAKE_AGAIN: Duration = Duration::from_secs(5);
/// How soon another process notices that the keeper is gone.
const LOOK: Duration = Duration::from_secs(1);
/// How soon a commit of another process is noticed, while there is another.
const ELSEWHERE: Duration = Duration::from_millis(50);
/// Rows that one write takes back from RabbitMQ.
const TAKE_BACK: usize = 500;
/// Events of other processes that are told to pages at once; beyond, pages look for themselves.
const NEWS: usize = 200;

/// As what a process is known to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Serve,
    Work,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Role::Serve => "serve",
            Role::Work => "work",
        }
    }
}

pub struct Room {
    pub ctx: Ctx,
    pub broker: Arc<dyn Broker>,
    /// Whether the workers ended on their own.
    pub workers_gone: Arc<AtomicBool>,
    workers: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

/// What runs in a room beside the broker.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    pub workers: bool,
    pub schedules: bool,
}

impl Room {
    /// Enters the books as one of those who run jobs, and starts.
    pub async fn open(
        config: &Config,
        ctx: &Ctx,
        role: Role,
        runs: Runs,
        stop: &CancellationToken,
    ) -> Result<Room, StartError> {
        let engine = match &config.broker {
            BrokerChoice::Embedded => Engine::Embedded,
            BrokerChoice::Amqp(_) => Engine::Amqp,
        };
        enter(ctx, role, engine).await?;
        // Payments may be owed to it before a server has ever run on these books.
        let partner = config.policy.default_partner.clone();
        ctx.store
            .write(move |tx| orders::add_partner(tx, &partner, None))
            .await?;
        ensure_own(ctx).await?;
        let recovered = recover_jobs(ctx).await?;
        if recovered > 0 {
            tracing::info!(recovered, "jobs of a run that ended abruptly go on");
        }
        let (keeps, keeper) = watch::channel(false);
        let broker: Arc<dyn Broker> = match &config.broker {
            BrokerChoice::Embedded => {
                take_back(ctx).await?;
                Arc::new(Embedded::new(ctx.store.clone(), ctx.policy.clone()))
            }
            BrokerChoice::Amqp(url) => Arc::new(Amqp::start(
                ctx.store.clone(),
                ctx.policy.clone(),
                url,
                &config.broker_prefix,
                keeper.clone(),
            )?),
        };
        let workers_gone = Arc::new(AtomicBool::new(false));
        let workers = runs.workers.then(|| {
            tokio::spawn(work(
                ctx.clone(),
                broker.clone(),
                stop.clone(),
                workers_gone.clone(),
            ))
        });
        let others = vec![
            tokio::spawn(keep(ctx.clone(), keeps, stop.clone())),
            tokio::spawn(hear(ctx.clone(), broker.clone(), stop.clone())),
            tokio::spawn(look_after(
                ctx.clone(),
                keeper,
                runs.schedules,
                stop.clone(),
            )),
            tokio::spawn(look_elsewhere(ctx.clone(), stop.clone())),
        ];
        Ok(Room {
            ctx: ctx.clone(),
            broker,
            workers_gone,
            workers,
            others,
        })
    }

    /// Waits for running jobs up to `limit`, gives the rest back uncharged, and leaves the books.
    /// `stop` has been fired.
    pub async fn close(self, limit: Duration) {
        self.broker.stop();
        if let Err(error) = forget_dead(&self.ctx).await {
            tracing::warn!(%error, "dead processes could not be forgotten");
        }
        let all = async {
            if let Some(workers) = self.workers {
                let _ = workers.await;
            }
            for other in self.others {
                let _ = other.await;
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!(
                ?limit,
                "some jobs did not end in time; they go on at the next start"
            );
        }
        self.broker.close().await;
        let boot = self.ctx.boot.clone();
        let given = self
            .ctx
            .store
            .write(move |tx| {
                leases::release(tx, leases::KEEPER, &boot)?;
                leases::leave(tx, &boot)?;
                crate::store::jobs::give_back(tx, &boot)
            })
            .await;
        match given {
            Ok(0) => {}
            Ok(given) => tracing::info!(given, "unfinished jobs were given back"),
            Err(error) => tracing::error!(%error, "unfinished jobs could not be given back"),
        }
    }
}

/// All processes on the same books use one engine: a row that waits in RabbitMQ is not looked at by
/// the embedded one.
async fn enter(ctx: &Ctx, role: Role, engine: Engine) -> Result<(), StartError> {
    let store = ctx.store.clone();
    let boot = ctx.boot.clone();
    let other = ctx
        .store
        .write(move |tx| {
            for process in leases::processes(tx.conn())? {
                if !store.is_alive(&process.boot) {
                    leases::leave(tx, &process.boot)?;
                } else if process.engine != engine.as_str() && process.boot != *boot {
                    return Ok(Some(process));
                }
            }
            leases::enter(tx, &boot, role.as_str(), engine.as_str())?;
            Ok::<_, StoreError>(None)
        })
        .await?;
    match other {
        None => Ok(()),
        Some(other) => Err(StartError::OtherEngine {
            engine: engine.as_str(),
            role: other.role,
            pid: other.pid,
            theirs: other.engine,
        }),
    }
}

/// Where RabbitMQ was left without a word, its rows are not: they wait in the books.
async fn take_back(ctx: &Ctx) -> Result<(), StoreError> {
    let mut all = 0;
    loop {
        let taken = ctx
            .store
            .write(|tx| published::forget_all(tx, TAKE_BACK))
            .await?;
        if taken == 0 {
            break;
        }
        all += taken;
    }
    if all > 0 {
        tracing::info!(all, "jobs that waited in RabbitMQ are handed out here now");
    }
    Ok(())
}

/// Runs the workers until the end; waits for running jobs, up to the limit that `close` sets.
async fn work(
    ctx: Ctx,
    broker: Arc<dyn Broker>,
    stop: CancellationToken,
    workers_gone: Arc<AtomicBool>,
) {
    let monitor = jobs::workers(&ctx, &broker);
    let signal = async move {
        stop.cancelled().await;
        broker.stop();
        Ok(())
    };
    if let Err(error) = monitor.run_with_signal(signal).await {
        tracing::error!(%error, "the workers ended");
    }
    workers_gone.store(true, Ordering::Relaxed);
}

/// Takes the keeper's lease whenever nobody living has it, and keeps it.
async fn keep(ctx: Ctx, keeps: watch::Sender<bool>, stop: CancellationToken) {
    loop {
        let keeper = match take_keeper(&ctx).await {
            Ok(keeper) => keeper,
            Err(error) => {
                tracing::warn!(%error, "the keeper's lease could not be taken; trying again");
                false
            }
        };
        keeps.send_if_modified(|was| {
            if *was != keeper && keeper {
                tracing::info!("this process keeps the schedules now");
            }
            std::mem::replace(was, keeper) != keeper
        });
        let pause = if keeper { TAKE_AGAIN } else { LOOK };
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    // What it keeps it keeps until the room is closed.
}

async fn take_keeper(ctx: &Ctx) -> Result<bool, StoreError> {
    let (now, boot) = (ctx.store.now(), ctx.boot.clone());
    let held = ctx.store.read(|conn| leases::get(conn, leases::KEEPER))?;
    let dead = match held {
        Some(lease) if lease.holder == *boot => None,
        Some(lease) if !ctx.store.is_alive(&lease.holder) => Some(lease.holder),
        // Looking is cheap, and a write would wait for nothing.
        Some(lease) if lease.until >= now && lease.since <= now => return Ok(false),
        _ => None,
    };
    ctx.store
        .write(move |tx| leases::take(tx, leases::KEEPER, &boot, LEASE, dead.as_deref()))
        .await
}

/// What came through the broker and is a flow's to do.
async fn hear(ctx: Ctx, broker: Arc<dyn Broker>, stop: CancellationToken) {
    let mut heard = broker.heard();
    loop {
        let next = tokio::select! {
            () = stop.cancelled() => return,
            next = heard.next() => next,
        };
        let Some(next) = next else { return };
        match next {
            Heard::Suspect => {
                if let Err(error) = recover_jobs(&ctx).await {
                    tracing::warn!(%error, "leases could not be looked at");
                }
            }
            Heard::Replay { id } => match dead_letters::replay(&ctx, id, "amqp").await {
                Ok(()) => tracing::info!(job = id, "a dead letter was replayed in RabbitMQ"),
                Err(error) => {
                    tracing::warn!(%error, job = id, "a dead letter could not be replayed from RabbitMQ");
                }
            },
            Heard::Discard { id, note } => {
                match dead_letters::discard(&ctx, id, note, "amqp").await {
                    Ok(_) => tracing::info!(job = id, "a dead letter was given up in RabbitMQ"),
                    // Its copy comes back to its dead queue.
                    Err(error) => {
                        tracing::warn!(%error, job = id, "a dead letter could not be given up from RabbitMQ");
                    }
                }
            }
            Heard::GivenUp { id, turn, why } => {
                if let Err(error) = dead_letters::given_up(&ctx, id, turn, &why).await {
                    tracing::warn!(%error, job = id, "a message that RabbitMQ gave up could not be noted");
                }
            }
        }
    }
}

/// What happens by the clock: schedules while this process is the keeper, and runs of dead processes.
async fn look_after(
    ctx: Ctx,
    keeper: watch::Receiver<bool>,
    schedules: bool,
    stop: CancellationToken,
) {
    let mut second = tokio::time::interval(LOOK);
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0u64;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = second.tick() => {}
        }
        if schedules
            && *keeper.borrow()
            && let Err(error) = run_schedules(&ctx).await
        {
            tracing::warn!(%error, "schedules could not be looked at; the next second tries again");
        }
        if count.is_multiple_of(5) {
            if let Err(error) = recover_jobs(&ctx).await {
                tracing::warn!(%error, "leases could not be looked at");
            }
            if let Err(error) = forget_dead(&ctx).await {
                tracing::warn!(%error, "dead processes could not be forgotten");
            }
        }
        count += 1;
    }
}

/// Processes that ended without a word are not shown for ever.
async fn forget_dead(ctx: &Ctx) -> Result<(), StoreError> {
    let dead: Vec<_> = ctx
        .store
        .read(leases::processes)?
        .into_iter()
        .filter(|process| !ctx.store.is_alive(&process.boot))
        .collect();
    if dead.is_empty() {
        return Ok(());
    }
    for process in &dead {
        tracing::warn!(
            pid = process.pid,
            role = process.role,
            "a process that ran jobs ended without a word"
        );
    }
    ctx.store
        .write(move |tx| {
            for process in &dead {
                leases::leave(tx, &process.boot)?;
            }
            Ok(())
        })
        .await
}

/// While other processes work on the same books: their commits wake the workers here, and what they
/// did to payments is told to the pages.
async fn look_elsewhere(ctx: Ctx, stop: CancellationToken) {
    let mut seen = 0;
    let mut last_event = None;
    loop {
        let alone = ctx
            .store
            .read(leases::processes)
            .map(|all| {
                !all.iter()
                    .any(|other| other.boot != *ctx.boot && ctx.store.is_alive(&other.boot))
            })
            .unwrap_or(true);
        // Whether somebody else is there is asked once a second.
        for _ in 0..(LOOK.as_millis() / ELSEWHERE.as_millis()) {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(if alone { LOOK } else { ELSEWHERE }) => {}
            }
            if alone {
                last_event = None;
                break;
            }
            match ctx.store.changed_elsewhere(&mut seen) {
                Ok(false) => {}
                Ok(true) => {
                    ctx.store.wake_workers();
                    if let Err(error) = tell_pages(&ctx, &mut last_event) {
                        tracing::warn!(%error, "what other processes did could not be told to pages");
                    }
                }
                Err(error) => tracing::warn!(%error, "other processes' commits cannot be seen"),
            }
        }
    }
}

fn tell_pages(ctx: &Ctx, last: &mut Option<i64>) -> Result<(), StoreError> {
    let (news, newest) = ctx
        .store
        .read(|conn| events::news_after(conn, *last, NEWS))?;
    *last = Some(newest);
    for one in news {
        ctx.store.tell(one);
    }
    Ok(())
}
