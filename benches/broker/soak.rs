//! A load that changes, for a long time: does anything grow, stand still, get lost or run twice?
//!
//! Minute after minute the same: a steady trickle, a burst, a steady stream, quiet. Of the runs some fail
//! and are tried again (soon, or after more than a tier of RabbitMQ's), some snooze, some take a while,
//! some die and are replayed. Finished jobs are removed as the server's upkeep does it, only sooner:
//! by `jobs::prune`, 500 in a write, those finished longer ago than [`keep`] says, every ten seconds.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use jeongsan::{
    domain::job::{DeadReason, Delivery, Engine, Outcome},
    jobs::Run,
    store::{
        Store, StoreError, database_in,
        jobs::{self, SettleError},
    },
};

use super::{
    Checks, in_minutes,
    rig::{PREFIX, Rig, Tally, publish, settle},
    rows,
};

/// Workers of a queue.
const AT_ONCE: usize = 8;
const ATTEMPTS: u32 = 3;
/// The last retries wait this long, and a message that is lost is looked for after half a minute.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long finished jobs stay.
fn keep(time: Duration) -> Duration {
    (time / 6).min(Duration::from_secs(60))
}

/// What is ready or runs, and since when nothing came of it.
#[derive(Default)]
struct Ready {
    many: i64,
    /// Since when there is something, or since the last run that ended.
    since: Option<Instant>,
    stall: Duration,
}

#[derive(Default)]
struct Course {
    tally: Arc<Tally>,
    ready: Mutex<Ready>,
    published: AtomicU64,
    runs: AtomicU64,
    failed: AtomicU64,
    replayed: AtomicU64,
    over: AtomicBool,
}

impl Course {
    fn ready(&self) -> std::sync::MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn became_ready(&self, many: usize) {
        let mut ready = self.ready();
        if ready.many <= 0 {
            ready.since = Some(Instant::now());
        }
        ready.many += many as i64;
    }

    fn ended(&self) {
        let mut ready = self.ready();
        ready.many -= 1;
        let now = Instant::now();
        let stood = ready.since.map_or(Duration::ZERO, |since| now - since);
        ready.stall = ready.stall.max(stood);
        ready.since = Some(now);
    }

    /// The longest time since the last look in which nothing ended although something was ready.
    fn take_stall(&self) -> Duration {
        let mut ready = self.ready();
        let now = match ready.since {
            Some(since) if ready.many > 0 => since.elapsed(),
            _ => Duration::ZERO,
        };
        std::mem::take(&mut ready.stall).max(now)
    }

    fn waiting(&self) -> i64 {
        self.ready().many
    }
}

/// The same for the same run, and evenly spread.
fn dice(held: &Delivery) -> u64 {
    let mut x = (held.id as u64) << 20 | held.turn as u64;
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

async fn run(store: &Store, course: &Arc<Course>, held: Delivery) {
    course.runs.fetch_add(1, Ordering::Relaxed);
    let thrown = dice(&held);
    let error = "as the dice fell".to_owned();
    let outcome = match thrown % 1_000 {
        0..2 => Outcome::Dead {
            reason: DeadReason::Permanent,
            error,
        },
        2..52 if held.may_retry() => Outcome::Retry {
            after: match thrown >> 32 & 7 {
                0 => Duration::from_secs(6),
                n => Duration::from_millis(250 * n),
            },
            error,
        },
        2..52 => Outcome::Dead {
            reason: DeadReason::Exhausted,
            error,
        },
        52..62 => Outcome::Snooze {
            after: Duration::from_millis(300),
            why: error,
        },
        62..72 => {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Outcome::Done
        }
        _ => Outcome::Done,
    };
    let after = match &outcome {
        Outcome::Retry { after, .. } | Outcome::Snooze { after, .. } => Some(*after),
        _ => None,
    };
    let done = outcome == Outcome::Done;
    match settle(store, &held, outcome).await {
        Ok(()) => {}
        Err(SettleError::Stale(_)) => return course.tally.stale(),
        Err(SettleError::Store(error)) => panic!("a run could not be settled: {error}"),
    }
    course.ended();
    if done {
        course.tally.done(held.id);
    } else {
        course.failed.fetch_add(1, Ordering::Relaxed);
    }
    if let Some(after) = after {
        let course = course.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            course.became_ready(1);
        });
    }
}

async fn one(store: &Store, course: &Course) {
    publish(store, ATTEMPTS).await.expect("a commit");
    course.published.fetch_add(1, Ordering::Relaxed);
    course.became_ready(1);
}

/// So many a second, evenly.
async fn steady(store: &Store, course: &Arc<Course>, seconds: u64, rate: u64, until: Instant) {
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / rate));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for _ in 0..seconds * rate {
        tick.tick().await;
        if Instant::now() >= until {
            return;
        }
        one(store, course).await;
    }
}

/// A minute as it is repeated.
async fn load(store: Store, course: Arc<Course>, until: Instant) {
    while Instant::now() < until {
        steady(&store, &course, 15, 200, until).await;
        let burst: Vec<_> = (0..16)
            .map(|_| {
                let (store, course) = (store.clone(), course.clone());
                tokio::spawn(async move {
                    for _ in 0..250 {
                        one(&store, &course).await;
                    }
                })
            })
            .collect();
        for part in burst {
            part.await.expect("a producer");
        }
        let left = until.saturating_duration_since(Instant::now());
        tokio::time::sleep(left.min(Duration::from_secs(10))).await;
        steady(&store, &course, 20, 500, until).await;
        let left = until.saturating_duration_since(Instant::now());
        tokio::time::sleep(left.min(Duration::from_secs(12))).await;
    }
}

/// What a person does about dead letters.
async fn replay(store: Store, course: Arc<Course>) {
    while !course.over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let replayed = store
            .write(|tx| {
                let mut replayed = 0;
                for row in jobs::dead(tx.conn(), None, 500)? {
                    replayed += usize::from(jobs::replay(tx, row.id)?);
                }
                Ok::<_, StoreError>(replayed)
            })
            .await
            .expect("to replay");
        course.became_ready(replayed);
        course
            .replayed
            .fetch_add(replayed as u64, Ordering::Relaxed);
    }
}

async fn upkeep(store: Store, course: Arc<Course>, keep: Duration) {
    while !course.over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_secs(10)).await;
        loop {
            let removed = store
                .write(move |tx| jobs::prune(tx, tx.now - keep, 500))
                .await;
            if removed.expect("to remove") == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// What may grow, in MB of 1,000,000 bytes.
#[derive(Clone, Copy)]
struct Size {
    rss: f64,
    database: f64,
    wal: f64,
}

fn size(dir: &Path) -> Size {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kb = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    let length = |path: PathBuf| fs::metadata(path).map_or(0.0, |meta| meta.len() as f64 / 1e6);
    let database = database_in(dir);
    let mut wal = database.clone().into_os_string();
    wal.push("-wal");
    Size {
        rss: kb.unwrap_or(f64::NAN) * 1_024.0 / 1e6,
        database: length(database),
        wal: length(wal.into()),
    }
}

/// RabbitMQ's memory in MB and the messages in our queues, where it can be asked.
fn rabbitmq() -> Option<(f64, u64)> {
    let ask = |arguments: &[&str]| {
        let asked = Command::new("rabbitmqctl").args(arguments).output().ok()?;
        let answer = String::from_utf8(asked.stdout).ok()?;
        asked.status.success().then_some(answer)
    };
    let memory = ask(&["-q", "eval", "erlang:memory(total)."])?;
    let queues = ask(&["-q", "list_queues", "name", "messages"])?;
    let messages = queues
        .lines()
        .filter(|line| line.starts_with(PREFIX))
        .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
        .sum();
    Some((memory.trim().parse::<f64>().ok()? / 1e6, messages))
}

pub async fn soak(engine: Engine, dir: &Path, url: &str, time: Duration, checks: &mut Checks) {
    let course = Arc::<Course>::default();
    let rig = {
        let course = course.clone();
        let run = |store: &Store| -> Run {
            let store = store.clone();
            Arc::new(move |held| {
                let (store, course) = (store.clone(), course.clone());
                Box::pin(async move { run(&store, &course, held).await })
            })
        };
        Rig::start(engine, dir, AT_ONCE, url, run).await
    };
    let until = Instant::now() + time;
    let mut heard = rig.broker.heard();
    let listening = tokio::spawn(async move { while heard.next().await.is_some() {} });
    let loading = tokio::spawn(load(rig.store.clone(), course.clone(), until));
    let others = [
        tokio::spawn(replay(rig.store.clone(), course.clone())),
        tokio::spawn(upkeep(rig.store.clone(), course.clone(), keep(time))),
    ];
    let (sizes, longest) = watch(&rig, &course, dir, time).await;
    loading.await.expect("the load");
    let began = Instant::now();
    let left = || course.published.load(Ordering::Relaxed) - course.tally.figures().0;
    while left() > 0 && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    course.over.store(true, Ordering::Relaxed);
    for other in others {
        other.await.expect("a part of the load");
    }
    verdict(&course, &sizes, longest, time);
    let (done, twice, stale) = course.tally.figures();
    let minutes =
        ["done", "retried", "snoozed", "dead"].map(|column| in_minutes(&rig.store, column));
    let name = format!(
        "{} for {}",
        engine.as_str(),
        humantime::format_duration(time)
    );
    checks.equal(
        &name,
        &[
            ("published", course.published.load(Ordering::Relaxed)),
            ("done", done),
            ("done in the figures by minute", minutes[0]),
        ],
        &[
            ("done twice", twice),
            ("held by another", stale),
            ("still ready", rows(&rig.store, "ready")),
            ("still running", rows(&rig.store, "running")),
            ("dead", rows(&rig.store, "dead")),
        ],
    );
    checks.equal(
        &name,
        &[
            ("runs", course.runs.load(Ordering::Relaxed)),
            ("runs in the figures by minute", minutes.iter().sum()),
        ],
        &[],
    );
    rig.end().await;
    listening.abort();
}

/// Prints a line a minute; gives the sizes of every second, and the longest stall.
async fn watch(rig: &Rig, course: &Course, dir: &Path, time: Duration) -> (Vec<Size>, Duration) {
    println!(
        "| second | done/s | runs that did not succeed | ready | longest stall ms | RSS MB | database MB | WAL MB \
         | rows | RabbitMQ MB | its messages |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    let every = if time < Duration::from_secs(300) {
        10
    } else {
        60
    };
    let mut sizes = Vec::new();
    let (mut longest, mut done_before, mut failed_before) = (Duration::ZERO, 0, 0);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.tick().await;
    for at in 1..=time.as_secs() {
        second.tick().await;
        let now = size(dir);
        sizes.push(now);
        if at % every != 0 {
            continue;
        }
        let stall = course.take_stall();
        longest = longest.max(stall);
        let (done, ..) = course.tally.figures();
        let failed = course.failed.load(Ordering::Relaxed);
        let kept = ["ready", "running", "done", "dead"].map(|state| rows(&rig.store, state));
        let theirs = match rig.broker.engine() {
            Engine::Embedded => None,
            Engine::Amqp => tokio::task::spawn_blocking(rabbitmq).await.expect("to ask"),
        };
        let (memory, messages) = theirs
            .map_or(("–".into(), "–".into()), |(memory, messages)| {
                (format!("{memory:.0}"), messages.to_string())
            });
        println!(
            "| {at} | {:.0} | {} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {} | {memory} | {messages} |",
            (done - done_before) as f64 / every as f64,
            failed - failed_before,
            course.waiting(),
            stall.as_secs_f64() * 1e3,
            now.rss,
            now.database,
            now.wal,
            kept.iter().sum::<u64>(),
        );
        (done_before, failed_before) = (done, failed);
    }
    (sizes, longest)
}

fn verdict(course: &Course, sizes: &[Size], longest: Duration, time: Duration) {
    let (done, ..) = course.tally.figures();
    println!(
        "\n{} published, {done} done, {} runs did not succeed, {} dead letters replayed. Longest stall: {:.0} ms. \
         Finished jobs were kept for {}.",
        course.published.load(Ordering::Relaxed),
        course.failed.load(Ordering::Relaxed),
        course.replayed.load(Ordering::Relaxed),
        longest.as_secs_f64() * 1e3,
        humantime::format_duration(keep(time)),
    );
    grew("memory", sizes, |size| size.rss);
    grew("the database", sizes, |size| size.database);
    // A file as long as the WAL ever was; it begins anew in it, at 256 MB at the latest.
    grew("the WAL", sizes, |size| size.wal);
    println!();
}

/// The middle of the first third against the middle of the last.
fn grew(what: &str, sizes: &[Size], of: fn(&Size) -> f64) {
    let middle = |part: &[Size]| {
        let mut all: Vec<_> = part.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let third = sizes.len() / 3;
    let (first, last) = (
        middle(&sizes[..third]),
        middle(&sizes[sizes.len() - third..]),
    );
    let grows = last > first * 1.1 && last > first + 4.0;
    println!(
        "The middle of {what}: {first:.1} MB in the first third, {last:.1} MB in the last: {}.",
        if grows {
            "**it grows**"
        } else {
            "it does not grow"
        }
    );
}
