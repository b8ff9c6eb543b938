//! What the queue carries, by each of its engines: `cargo bench --bench broker -- --help`.
//!
//! All jobs go the way of the product: published in a write of their own, handed out by the engine,
//! run by apalis, settled in a write. Beside them, in the same run on the same disk, RabbitMQ by
//! itself. Everything is durable: `synchronous=FULL` here, quorum queues, persistent messages and
//! confirmations there. Jobs are counted on every side; a figure whose counts do not match is no
//! figure, and the exit code says so. How fast is fast enough is for a person to judge.

#[expect(dead_code, reason = "nothing here is asked of the server over HTTP")]
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/machine.rs"]
mod machine;
mod plain;
mod rig;
mod soak;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use common::{Portone, Server, migrate};
use jeongsan::{
    domain::job::{Engine, Outcome},
    jobs::Run,
    store::{Clock, Store, StoreError, database_in},
};
use machine::{less, machine, processor_time};
use plain::Plain;
use rig::{Rig, Tally, publish, settle, succeed, through};
use rusqlite::Connection;
use tokio::runtime::{self, Runtime};

/// What the queue carries, by each of its engines.
#[derive(Parser)]
struct Options {
    /// Jobs of each run. With fewer than 8 at once a fifth of them.
    #[arg(long, default_value_t = 20_000)]
    jobs: u64,
    /// Producers, and workers, at once: one run for each number.
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    at_once: Vec<usize>,
    /// Runs of each, in turns; the middle one counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Jobs whose start is timed.
    #[arg(long, default_value_t = 300)]
    starts: usize,
    /// Finished jobs in the table, one run for each number.
    #[arg(long, value_delimiter = ',', default_value = "0,10000,100000,1000000")]
    finished: Vec<i64>,
    /// throughput, finished, start, busy, idle; all of them if not said.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// All of them if not said.
    #[arg(long, value_delimiter = ',')]
    engine: Vec<Which>,
    /// A load that changes, for so long, instead of everything else: 20m.
    #[arg(long, value_parser = humantime::parse_duration)]
    soak: Option<Duration>,
    /// The RabbitMQ. What is made in it is removed again.
    #[arg(long, default_value = "amqp://guest:guest@127.0.0.1:5672/%2f")]
    amqp: String,
    /// Keep a core busy, and do nothing else.
    #[arg(long, hide = true)]
    burn: bool,
    /// What `cargo bench` adds by itself.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Which {
    /// The engine of this program.
    Embedded,
    /// RabbitMQ as this program uses it, with the job table as the ledger.
    Amqp,
    /// RabbitMQ by itself.
    Plain,
}

impl Which {
    const ALL: [Which; 3] = [Which::Embedded, Which::Amqp, Which::Plain];

    fn name(self) -> &'static str {
        match self {
            Which::Embedded => "embedded",
            Which::Amqp => "RabbitMQ with our ledger",
            Which::Plain => "RabbitMQ by itself",
        }
    }

    /// Of ours, which.
    fn engine(self) -> Option<Engine> {
        match self {
            Which::Embedded => Some(Engine::Embedded),
            Which::Amqp => Some(Engine::Amqp),
            Which::Plain => None,
        }
    }
}

impl Options {
    fn engines(&self) -> impl Iterator<Item = Which> + '_ {
        let wanted = |one: &Which| self.engine.is_empty() || self.engine.contains(one);
        Which::ALL.into_iter().filter(wanted)
    }

    fn ours(&self) -> impl Iterator<Item = (Which, Engine)> + '_ {
        self.engines().filter_map(|one| Some((one, one.engine()?)))
    }

    fn jobs_at(&self, n: usize) -> u64 {
        if n < 8 { self.jobs / 5 } else { self.jobs }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.burn {
        burn();
        return ExitCode::SUCCESS;
    }
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("broker");
    fs::create_dir_all(&home).expect("a directory for the databases");
    println!("{} {}\n", machine(&home), load());
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut checks = Checks::default();
    if let Some(time) = options.soak {
        for (which, engine) in options.ours() {
            println!(
                "## {} for {}\n",
                which.name(),
                humantime::format_duration(time)
            );
            let dir = fresh(&home, "soak");
            runtime.block_on(soak::soak(engine, &dir, &options.amqp, time, &mut checks));
        }
        return checks.end();
    }
    let wanted = |what: &str| options.only.is_empty() || options.only.iter().any(|one| one == what);
    if wanted("throughput") {
        runtime.block_on(throughput(&options, &home, &mut checks));
    }
    if wanted("finished") {
        runtime.block_on(finished(&options, &home, &mut checks));
    }
    for (what, busy) in [("start", false), ("busy", true)] {
        if wanted(what) {
            runtime.block_on(starts(&options, &home, busy, &mut checks));
        }
    }
    if wanted("idle") {
        idle(&options, &home, &runtime);
    }
    println!("{}\n", load());
    checks.end()
}

// ---- scenarios

/// One run: how long it took, and the processor time of this process by thread.
struct Took {
    time: Duration,
    jobs: u64,
    processor: BTreeMap<String, f64>,
}

impl Took {
    fn rate(&self) -> f64 {
        self.jobs as f64 / self.time.as_secs_f64()
    }
}

/// The middle one.
fn middle(mut all: Vec<Took>) -> (Took, String) {
    let rates: Vec<_> = all.iter().map(|one| format!("{:.0}", one.rate())).collect();
    all.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
    (all.swap_remove(all.len() / 2), rates.join(" "))
}

async fn throughput(options: &Options, home: &Path, checks: &mut Checks) {
    println!("From the first publication to the last end:\n");
    println!(
        "| engine | at once | jobs | jobs/s | of the runs | us of processor time per job | of it |"
    );
    println!("|---|--:|--:|--:|--:|--:|---|");
    for &n in &options.at_once {
        let mut took: BTreeMap<Which, Vec<Took>> = BTreeMap::new();
        for _ in 0..options.rounds.max(1) {
            for which in options.engines() {
                let one = match which.engine() {
                    Some(engine) => {
                        let dir = fresh(home, "throughput");
                        ours(options, engine, &dir, n, checks).await
                    }
                    None => by_itself(options, n, checks).await,
                };
                took.entry(which).or_default().push(one);
            }
        }
        for (which, all) in took {
            let (one, rates) = middle(all);
            let us = |seconds: f64| seconds * 1e6 / one.jobs as f64;
            let by_thread: Vec<_> = one
                .processor
                .iter()
                .map(|(name, seconds)| format!("{name} {:.0}", us(*seconds)))
                .collect();
            println!(
                "| {} | {n} | {} | {:.0} | {rates} | {:.0} | {} |",
                which.name(),
                one.jobs,
                one.rate(),
                us(one.processor.values().sum()),
                by_thread.join(", ")
            );
        }
    }
    println!();
}

/// Jobs by one of our engines, after a tenth of them to warm up.
async fn ours(
    options: &Options,
    engine: Engine,
    dir: &Path,
    n: usize,
    checks: &mut Checks,
) -> Took {
    let (jobs, tally) = (options.jobs_at(n), Arc::<Tally>::default());
    let rig = Rig::start(engine, dir, n, &options.amqp, |store| {
        succeed(store, &tally)
    })
    .await;
    let filled = rows(&rig.store, "done");
    through(&rig, &tally, n, jobs / 10).await;
    let before = processor_time(std::process::id());
    let time = through(&rig, &tally, n, jobs).await;
    let processor = less(processor_time(std::process::id()), &before);
    let (done, twice, stale) = tally.figures();
    checks.equal(
        &format!("{} at {n}", engine.as_str()),
        &[
            ("published", jobs + jobs / 10),
            ("done", done),
            ("rows that say so", rows(&rig.store, "done") - filled),
            (
                "runs in the figures by minute",
                in_minutes(&rig.store, "done"),
            ),
        ],
        &[("done twice", twice), ("held by another", stale)],
    );
    rig.end().await;
    Took {
        time,
        jobs,
        processor,
    }
}

async fn by_itself(options: &Options, n: usize, checks: &mut Checks) -> Took {
    let (jobs, tally) = (options.jobs_at(n), Arc::<Tally>::default());
    let plain = Plain::start(&options.amqp, n, &tally).await;
    plain.through(&tally, n, jobs / 10).await;
    let before = processor_time(std::process::id());
    let time = plain.through(&tally, n, jobs).await;
    let processor = less(processor_time(std::process::id()), &before);
    let (done, twice, _) = tally.figures();
    checks.equal(
        &format!("RabbitMQ by itself at {n}"),
        &[("confirmed", jobs + jobs / 10), ("taken", done)],
        &[("taken twice", twice)],
    );
    plain.end().await;
    Took {
        time,
        jobs,
        processor,
    }
}

/// The embedded engine with finished jobs in its table.
async fn finished(options: &Options, home: &Path, checks: &mut Checks) {
    if !options.engines().any(|one| one == Which::Embedded) {
        return;
    }
    println!("The embedded engine, with so many finished jobs in the table:\n");
    println!("| finished | at once | jobs/s | of the runs |");
    println!("|--:|--:|--:|--:|");
    for &n in options.at_once.iter().filter(|n| **n >= 8) {
        let mut took: BTreeMap<i64, Vec<Took>> = BTreeMap::new();
        for _ in 0..options.rounds.max(1) {
            for &many in &options.finished {
                let dir = fresh(home, "finished");
                fill(&dir, many);
                let one = ours(options, Engine::Embedded, &dir, n, checks).await;
                took.entry(many).or_default().push(one);
            }
        }
        for (many, all) in took {
            let (one, rates) = middle(all);
            println!("| {many} | {n} | {:.0} | {rates} |", one.rate());
        }
    }
    println!();
}

/// How long a job waits for its start that is published while nothing else is to be done.
async fn starts(options: &Options, home: &Path, busy: bool, checks: &mut Checks) {
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let burners = busy.then(|| Burners::start(cores + 1));
    let beside = burners.as_ref().map_or(String::new(), |all| {
        format!(", beside {} processes that never rest", all.0.len())
    });
    println!("From the answer that a job is on disk to its start{beside}:\n");
    println!(
        "| engine | jobs | p50 ms | p99 ms | max ms | with the commit p50 ms | p99 ms | max ms |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for (which, engine) in options.ours() {
        let dir = fresh(home, "start");
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let run = |store: &Store| -> Run {
            let store = store.clone();
            Arc::new(move |held| {
                let _ = tell.send((held.id, Instant::now()));
                let store = store.clone();
                Box::pin(async move {
                    let settled = settle(&store, &held, Outcome::Done).await;
                    settled.expect("to settle");
                })
            })
        };
        let rig = Rig::start(engine, &dir, 8, &options.amqp, run).await;
        let (mut from_answer, mut from_ask) = (Vec::new(), Vec::new());
        for i in 0..options.starts + 10 {
            let pause = 20 + (i as u64 * 37) % 60;
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let asked = Instant::now();
            let id = publish(&rig.store, 3).await.expect("a commit");
            let answered = Instant::now();
            let (started, at) = told.recv().await.expect("a start");
            assert_eq!(id, started);
            // The first ones find nothing warm.
            if i >= 10 {
                from_answer.push(at.saturating_duration_since(answered));
                from_ask.push(at - asked);
            }
        }
        // The last one may still settle.
        tokio::time::sleep(Duration::from_millis(200)).await;
        checks.equal(
            &format!("starts, {}", engine.as_str()),
            &[
                ("published", options.starts as u64 + 10),
                ("done", rows(&rig.store, "done")),
            ],
            &[("started twice", told.len() as u64)],
        );
        rig.end().await;
        println!(
            "| {} | {} | {} | {} |",
            which.name(),
            options.starts,
            three(from_answer),
            three(from_ask)
        );
    }
    println!();
}

/// What the server costs while nothing is to be done.
fn idle(options: &Options, home: &Path, runtime: &Runtime) {
    const LOOK: Duration = Duration::from_secs(20);
    println!(
        "`jeongsan serve` with nothing to do, for {} s:\n",
        LOOK.as_secs()
    );
    println!("| engine | % of a core | of it |");
    println!("|---|--:|---|");
    for (which, engine) in options.ours() {
        let dir = fresh(home, "idle");
        assert!(migrate(&dir), "the schema");
        let settings = [
            ("JEONGSAN_BROKER_URL", options.amqp.as_str()),
            ("JEONGSAN_BROKER_PREFIX", rig::PREFIX),
        ];
        let settings = match engine {
            Engine::Embedded => &[][..],
            Engine::Amqp => &settings[..],
        };
        // What a start makes up for is to find somebody who answers.
        let portone = Portone::start();
        let server = Server::with(&dir, &portone.sandbox.url(), settings);
        thread::sleep(Duration::from_secs(3));
        let before = processor_time(server.child.id());
        let began = Instant::now();
        thread::sleep(LOOK);
        let percent = 100.0 / began.elapsed().as_secs_f64();
        let used = processor_time(server.child.id());
        let all: f64 = used.values().sum::<f64>() - before.values().sum::<f64>();
        let by_thread: Vec<_> = used
            .iter()
            .map(|(name, after)| (name, after - before.get(name).copied().unwrap_or(0.0)))
            .filter(|(_, seconds)| *seconds > 0.005)
            .map(|(name, seconds)| format!("{name} {:.2}", seconds * percent))
            .collect();
        println!(
            "| {} | {:.2} | {} |",
            which.name(),
            all * percent,
            by_thread.join(", ")
        );
        server.stop();
        if engine == Engine::Amqp {
            runtime.block_on(rig::clean_up(&options.amqp));
        }
    }
    println!();
}

// ---- what stands ready

fn fresh(home: &Path, name: &str) -> PathBuf {
    let dir = home.join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

/// Books with finished jobs.
fn fill(dir: &Path, many: i64) {
    let store = Store::open(dir, Clock::default()).expect("the books");
    let now = store.now().as_millisecond();
    drop(store);
    let conn = Connection::open(database_in(dir)).expect("the books");
    conn.execute_batch(&format!(
        r#"
        pragma synchronous = off;
        begin;
        insert into job (queue, kind, payload, state, attempt, max_attempts, run_at, created_at, started_at,
                         finished_at, turn)
          with recursive n(i) as (select 1 where {many} > 0 union all select i + 1 from n where i < {many})
          select 'payment', 'confirm_payment', json_object('inbox_id', i), 'done', 1, 20, at, at, at, at + 3, 1
            from (select i, {now} - ({many} - i) as at from n);
        commit;
        pragma wal_checkpoint(truncate);
        "#
    ))
    .expect("finished jobs");
    // What was filled in is not to be written out while it is measured.
    let file = fs::File::open(database_in(dir)).expect("the books");
    file.sync_all().expect("to sync");
}

/// Processes that keep the cores busy as long as this lives.
struct Burners(Vec<Child>);

impl Burners {
    fn start(many: usize) -> Burners {
        let exe = std::env::current_exe().expect("this program");
        let one = || Command::new(&exe).arg("--burn").spawn().expect("a process");
        Burners((0..many).map(|_| one()).collect())
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Until whoever started it is gone.
fn burn() {
    let parent = std::os::unix::process::parent_id();
    let mut n = 0u64;
    while parent == std::os::unix::process::parent_id() {
        for _ in 0..10_000_000 {
            n = std::hint::black_box(n.wrapping_mul(31).wrapping_add(7));
        }
    }
}

// ---- what is counted

fn rows(store: &Store, state: &str) -> u64 {
    number(store, "select count(*) from job where state = ?1", state)
}

fn in_minutes(store: &Store, column: &str) -> u64 {
    let sql = format!("select coalesce(sum({column}), 0) from job_minute where kind > ?1");
    number(store, &sql, "")
}

fn number(store: &Store, sql: &str, with: &str) -> u64 {
    store
        .read(|conn| {
            let count: i64 = conn.query_row(sql, [with], |row| row.get(0))?;
            Ok::<_, StoreError>(count as u64)
        })
        .expect("a count")
}

/// p50, p99 and the longest, in milliseconds.
fn three(mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let at = |share: f64| {
        let place = ((took.len() as f64 * share) as usize).min(took.len() - 1);
        took[place].as_secs_f64() * 1e3
    };
    format!("{:.2} | {:.2} | {:.2}", at(0.5), at(0.99), at(1.0))
}

/// How busy the machine is with other things.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let words: Vec<_> = text.split(' ').take(3).collect();
    format!("Load: {}.", words.join(", "))
}

#[derive(Default)]
pub struct Checks {
    many: usize,
    wrong: Vec<String>,
}

impl Checks {
    /// All of `counts` must be one number, and all of `none` zero.
    pub fn equal(&mut self, name: &str, counts: &[(&str, u64)], none: &[(&str, u64)]) {
        self.many += 1;
        let same = counts.windows(2).all(|two| two[0].1 == two[1].1);
        if same && none.iter().all(|(_, count)| *count == 0) {
            return;
        }
        let words: Vec<_> = counts
            .iter()
            .chain(none)
            .map(|(what, count)| format!("{what} {count}"))
            .collect();
        self.wrong
            .push(format!("- {name}: {}: **WRONG**", words.join(", ")));
    }

    fn end(self) -> ExitCode {
        println!("Counts: {} of {} runs wrong.", self.wrong.len(), self.many);
        for wrong in &self.wrong {
            println!("{wrong}");
        }
        if self.wrong.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
