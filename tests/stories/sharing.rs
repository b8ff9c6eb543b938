//! Several processes on the same books: real `jeongsan serve` and `jeongsan work`, by both engines.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use jeongsan::{
    domain::{
        ids::{ImpUid, MerchantUid},
        job::{Engine, Job},
    },
    sandbox::{Fault, Kind, NewPayment, Sandbox, SandboxConfig, Target},
    store::{
        Clock, Store, StoreError, books, database_in,
        inbox::{self, Hint, NewMessage},
        jobs::{self, Terms},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    killing::{Server, free_port},
    node,
};

/// `jeongsan work` as a process of its own.
struct Worker(Child);

impl Worker {
    fn start(sandbox: &Sandbox, dir: &Path, broker: &[(&str, &str)]) -> Worker {
        let child = Server::command(sandbox, dir, 0, broker)
            .arg("work")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Worker(child)
    }

    /// SIGKILL: nothing is let finish.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    fn terminate(mut self) -> Option<i32> {
        let pid = self.0.id().to_string();
        Command::new("kill").arg(pid).status().unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How processes of a test are told which engine to use; what is left in RabbitMQ goes with it.
struct Broker {
    url: String,
    prefix: String,
}

impl Broker {
    fn new(engine: Engine) -> Broker {
        let url = match engine {
            Engine::Embedded => "embedded".into(),
            Engine::Amqp => node::url(),
        };
        Broker {
            url,
            prefix: node::prefix(),
        }
    }

    fn env(&self) -> Vec<(&str, &str)> {
        vec![
            ("JEONGSAN_BROKER_URL", &self.url),
            ("JEONGSAN_BROKER_PREFIX", &self.prefix),
        ]
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.url == "embedded" {
            return;
        }
        let (url, prefix) = (self.url.clone(), self.prefix.clone());
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let _ = runtime.block_on(jeongsan::adapters::broker::amqp::remove(
                &url.into(),
                &prefix,
            ));
        })
        .join();
    }
}

fn one<T: rusqlite::types::FromSql>(dir: &Path, sql: &str) -> T {
    let conn = Connection::open(database_in(dir)).unwrap();
    conn.busy_timeout(Duration::from_secs(30)).unwrap();
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

async fn until(what: &str, most: Duration, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < most, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Messages of payments that PortOne has, kept with a job each, as a busy server would leave them.
async fn keep(store: &Store, payments: Vec<(String, String)>) {
    store
        .write(move |tx| {
            for (imp_uid, order) in &payments {
                let message = NewMessage {
                    source: "127.0.0.1".into(),
                    content_type: "application/json".into(),
                    body: b"{}".to_vec(),
                    hint: Hint {
                        imp_uid: ImpUid::new(imp_uid.clone()).unwrap(),
                        merchant_uid: Some(MerchantUid::new(order.clone()).unwrap()),
                        status: Some("paid".into()),
                    },
                };
                let inbox_id = inbox::keep(tx, &message)?;
                let terms = Terms {
                    max_attempts: 20,
                    run_at: None,
                };
                let job = jobs::publish(tx, &Job::ConfirmPayment { inbox_id }, terms)?;
                inbox::carried_by(tx, inbox_id, job.id())?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

async fn sandbox() -> Arc<Sandbox> {
    Arc::new(Sandbox::start(SandboxConfig::default()).await.unwrap())
}

fn pay(sandbox: &Sandbox, number: usize) -> (String, String) {
    let order = format!("ord-{number}");
    let payment = NewPayment {
        merchant_uid: order.clone(),
        amount: 1_000 + number as i64,
        ..NewPayment::default()
    };
    (sandbox.pay(payment).unwrap(), order)
}

/// Whether it is about July, so that January is far away, and otherwise July is.
fn midsummer() -> bool {
    let today = jiff::Timestamp::now().in_tz("Asia/Seoul").unwrap();
    (5..=8).contains(&today.month())
}

/// Ten thousand messages, two processes of workers, and SIGKILL at random moments.
async fn random_kills(engine: Engine) {
    let many = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let sandbox = sandbox().await;
    let broker = Broker::new(engine);
    Store::open(dir.path(), Clock::default())
        .unwrap()
        .close()
        .await;
    let store = Store::open_beside(dir.path(), Clock::default()).unwrap();
    // A sweep would book payments whose messages are not kept yet, and those would be no news. The one of the start
    // is over before there are any, and another does not come for months.
    let mut set = broker.env();
    set.push((
        "JEONGSAN_SWEEP_CRON",
        if midsummer() {
            "0 0 1 1 *"
        } else {
            "0 0 1 7 *"
        },
    ));
    let start = || Worker::start(&sandbox, dir.path(), &set);
    let mut workers = [start(), start()];
    until("the first sweep is over", Duration::from_secs(60), || {
        let swept = "select exists (select 1 from job where kind = 'sweep' and state = 'done')";
        one::<bool>(dir.path(), swept)
    })
    .await;
    let mut dice = StdRng::seed_from_u64(20_261_125);
    let begun = Instant::now();
    let (mut kept, mut kills) = (0, 0);
    loop {
        if kept < many {
            let batch: Vec<_> = (kept..kept + 500).map(|n| pay(&sandbox, n)).collect();
            keep(&store, batch).await;
            kept += 500;
        }
        let open: i64 = one(
            dir.path(),
            "select count(*) from job where kind = 'confirm_payment' and state <> 'done'",
        );
        if kept == many && open == 0 {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(300),
            "{open} are still open"
        );
        // At the end they live a little longer: a slow machine needs a second to start one, and a message that every
        // one of twenty was killed over is given up.
        let lives = if kept < many { 200..900 } else { 1_000..4_000 };
        tokio::time::sleep(Duration::from_millis(dice.random_range(lives))).await;
        let which = dice.random_range(0..2usize);
        workers[which].kill();
        kills += 1;
        workers[which] = start();
    }
    assert!(kills >= 5, "only {kills} kills");
    // One that was started a moment ago does not listen to signals yet.
    until("both are there", Duration::from_secs(20), || {
        workers.iter().all(|worker| {
            let pid = worker.0.id();
            one::<bool>(
                dir.path(),
                &format!("select exists (select 1 from process where pid = {pid})"),
            )
        })
    })
    .await;
    for worker in workers {
        assert_eq!(worker.terminate(), Some(0));
    }
    store.close().await;
    let dir = dir.path();
    let many = many as i64;
    assert_eq!(one::<i64>(dir, "select count(*) from payment"), many);
    assert_eq!(
        one::<i64>(dir, "select count(*) from event"),
        many,
        "an effect each"
    );
    assert_eq!(
        one::<i64>(dir, "select count(*) from event"),
        many,
        "and nothing else"
    );
    assert_eq!(
        one::<i64>(dir, "select count(*) from inbox where verdict = 'BOOKED'"),
        many
    );
    assert_eq!(
        one::<i64>(
            dir,
            "select coalesce(sum(done), 0) from job_minute where kind = 'confirm_payment'"
        ),
        many
    );
    let conn = Connection::open(database_in(dir)).unwrap();
    assert_eq!(books::check(&conn).unwrap(), []);
    assert_eq!(sandbox.check(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_workers_of_the_embedded_engine_do_everything_once() {
    random_kills(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_workers_on_rabbitmq_do_everything_once() {
    random_kills(Engine::Amqp).await;
}

/// The lease of the job lasts for minutes: it is the death that frees it, and not the lease.
async fn held_when_killed(engine: Engine) {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = sandbox().await;
    let broker = Broker::new(engine);
    let store = Store::open(dir.path(), Clock::default()).unwrap();
    keep(&store, vec![pay(&sandbox, 1)]).await;
    store.close().await;
    sandbox.fault(Fault::new(Target::Get, Kind::Hang { ms: 60_000 }).times(1));
    let mut first = Worker::start(&sandbox, dir.path(), &broker.env());
    let running = || {
        one::<i64>(
            dir.path(),
            "select count(*) from job where state = 'running'",
        ) == 1
    };
    until("it is held", Duration::from_secs(20), || {
        running() && sandbox.calls("get") == 1
    })
    .await;
    let second = Worker::start(&sandbox, dir.path(), &broker.env());
    until("both are there", Duration::from_secs(20), || {
        one::<i64>(dir.path(), "select count(*) from process") == 2
    })
    .await;
    first.kill();
    let killed = Instant::now();
    let done = || {
        one::<i64>(
            dir.path(),
            "select count(*) from job where kind = 'confirm_payment' and state = 'done'",
        ) == 1
    };
    until("it is done elsewhere", Duration::from_secs(15), done).await;
    assert!(
        killed.elapsed() < Duration::from_secs(10),
        "{:?}",
        killed.elapsed()
    );
    assert_eq!(
        one::<i64>(
            dir.path(),
            "select crashes from job where kind = 'confirm_payment'"
        ),
        1
    );
    assert_eq!(one::<i64>(dir.path(), "select count(*) from event"), 1);
    assert_eq!(second.terminate(), Some(0));
    assert_eq!(
        one::<i64>(dir.path(), "select count(*) from process"),
        0,
        "nobody is left"
    );
    assert_eq!(
        one::<i64>(dir.path(), "select count(*) from lease"),
        0,
        "and nothing is held"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_holds_a_job_it_gives_it_back_embedded() {
    held_when_killed(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_holds_a_message_it_gives_it_back() {
    held_when_killed(Engine::Amqp).await;
}

/// A server that runs no jobs, two processes that do, and one keeper among the three.
async fn shared(engine: Engine) {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = sandbox().await;
    let broker = Broker::new(engine);
    let port = free_port();
    let http = reqwest::Client::new();
    let mut set = broker.env();
    set.push(("JEONGSAN_JOBS_WORKERS", "false"));
    set.push(("JEONGSAN_SWEEP_CRON", "* * * * *"));
    // The answer does not wait for PortOne: every message is the queue's.
    set.push(("JEONGSAN_INTAKE_BUDGET", "1ms"));
    let mut command = Server::command(&sandbox, dir.path(), port, &set);
    let server = Server::run(command.arg("serve"), port).await;
    let mut with_cron = broker.env();
    with_cron.push(("JEONGSAN_SWEEP_CRON", "* * * * *"));
    let mut workers = vec![
        Worker::start(&sandbox, dir.path(), &with_cron),
        Worker::start(&sandbox, dir.path(), &with_cron),
    ];
    until("all three are there", Duration::from_secs(20), || {
        one::<i64>(dir.path(), "select count(*) from process") == 3
    })
    .await;
    let tell = async |number: usize| {
        let (imp_uid, order) = pay(&sandbox, number);
        let told = http
            .post(format!("{}/api/payment/portone", server.url))
            .json(&json!({ "imp_uid": imp_uid, "merchant_uid": order, "status": "paid" }))
            .send()
            .await
            .unwrap();
        assert!(told.status().is_success(), "{}", told.status());
    };
    for number in 0..60 {
        tell(number).await;
    }
    let booked = |many: i64| {
        let dir = dir.path().to_owned();
        move || one::<i64>(&dir, "select count(*) from payment") == many
    };
    until("all are booked", Duration::from_secs(30), booked(60)).await;
    // One is gone without a word: the other goes on alone.
    workers[0].kill();
    for number in 60..90 {
        tell(number).await;
    }
    until("all are booked", Duration::from_secs(30), booked(90)).await;

    let ready: Value = http
        .get(format!("{}/readyz", server.url))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(ready["broker"], engine.as_str());
    assert_eq!(ready["ready"], true, "{ready}");
    let keeper = ready["keeper"]["holder"].as_str().unwrap().to_owned();
    assert!(
        keeper.starts_with(&server.pid().to_string()),
        "{keeper} is the first that came"
    );
    // The server goes: a worker keeps the schedules from now on.
    assert_eq!(server.terminate(), Some(0));
    let left = workers[1].0.id().to_string();
    until("the worker is the keeper", Duration::from_secs(20), || {
        let holder: Option<String> = Connection::open(database_in(dir.path()))
            .unwrap()
            .query_row(
                "select holder from lease where name = 'keeper'",
                [],
                |row| row.get(0),
            )
            .ok();
        holder.is_some_and(|holder| holder.starts_with(&format!("{left}-")))
    })
    .await;
    let runs_twice: i64 = one(
        dir.path(),
        "select count(*) from (select 1 from schedule_run where job_id is not null group by job_id having count(*) > 1)",
    );
    assert_eq!(runs_twice, 0, "each slot has a job of its own");
    let last = workers.pop().unwrap();
    assert_eq!(last.terminate(), Some(0));
    assert_eq!(one::<i64>(dir.path(), "select count(*) from event"), 90);
    let conn = Connection::open(database_in(dir.path())).unwrap();
    assert_eq!(books::check(&conn).unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_the_work_of_the_embedded_engine() {
    shared(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_the_work_on_rabbitmq() {
    shared(Engine::Amqp).await;
}

/// A schema is made by one of those who start together, and found by the others.
#[test]
fn processes_that_start_together_on_nothing_all_start() {
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let opened: Vec<_> = std::thread::scope(|scope| {
            let open = || Store::open_worker(dir.path(), Clock::default()).map(drop);
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        for one in opened {
            if let Err(error) = one {
                panic!("{error}");
            }
        }
    }
}

/// Processes that use different engines on the same books are told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_engines_on_the_same_books_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = sandbox().await;
    let (rabbit, embedded) = (Broker::new(Engine::Amqp), Broker::new(Engine::Embedded));
    let worker = Worker::start(&sandbox, dir.path(), &rabbit.env());
    until("it is there", Duration::from_secs(20), || {
        dir.path().join("jeongsan.sqlite3").exists()
            && Connection::open(database_in(dir.path()))
                .and_then(|conn| {
                    conn.query_row("select count(*) from process", [], |row| {
                        row.get::<_, i64>(0)
                    })
                })
                .is_ok_and(|count| count == 1)
    })
    .await;
    let refused = |args: &[&str], broker: &Broker| {
        let out = Server::command(&sandbox, dir.path(), free_port(), &broker.env())
            .args(args)
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(2));
        String::from_utf8(out.stderr).unwrap()
    };
    let why = refused(&["work"], &embedded);
    assert!(
        why.contains("by `embedded`") && why.contains("by `amqp`") && why.contains("broker.url"),
        "{why}"
    );
    let why = refused(&["broker", "drain", "--to", "embedded"], &rabbit);
    assert!(why.contains("stop it first"), "{why}");
    let why = refused(&["broker", "drain", "--to", "amqp"], &embedded);
    assert!(why.contains("which RabbitMQ is meant?"), "{why}");
    assert_eq!(worker.terminate(), Some(0));
    let why = refused(&["work", "--broker", "http://nowhere"], &embedded);
    assert!(
        why.contains("broker.url") && why.contains("amqp://guest:guest@"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drained_both_ways_by_the_command_line_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = sandbox().await;
    let rabbit = Broker::new(Engine::Amqp);
    let embedded = Broker::new(Engine::Embedded);
    let store = Store::open(dir.path(), Clock::default()).unwrap();
    keep(&store, (0..50).map(|n| pay(&sandbox, n)).collect()).await;
    store.close().await;
    let drain = |to: &str| -> Value {
        let out = Server::command(&sandbox, dir.path(), 0, &rabbit.env())
            .args(["broker", "--json", "drain", "--to", to])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(0), "{text}");
        serde_json::from_slice(&out.stdout).unwrap()
    };
    assert_eq!(
        drain("amqp"),
        json!({ "to": "amqp", "rows": 50, "messages": 50 })
    );
    assert_eq!(
        one::<i64>(
            dir.path(),
            "select count(*) from job where published_at is not null"
        ),
        50
    );
    assert_eq!(
        drain("embedded"),
        json!({ "to": "embedded", "rows": 50, "messages": 50 })
    );
    assert_eq!(
        one::<i64>(
            dir.path(),
            "select count(*) from job where published_at is not null"
        ),
        0
    );
    assert_eq!(drain("amqp")["rows"], 50);
    // Left without a word: the embedded engine takes its rows back by itself.
    let worker = Worker::start(&sandbox, dir.path(), &embedded.env());
    until("all are booked", Duration::from_secs(30), || {
        one::<i64>(dir.path(), "select count(*) from payment") == 50
    })
    .await;
    assert_eq!(worker.terminate(), Some(0));
    // What lies in RabbitMQ still stands for rows that are over.
    let worker = Worker::start(&sandbox, dir.path(), &rabbit.env());
    keep_one_more(&sandbox, dir.path()).await;
    until("the new one too", Duration::from_secs(30), || {
        one::<i64>(dir.path(), "select count(*) from payment") == 51
    })
    .await;
    assert_eq!(worker.terminate(), Some(0));
    assert_eq!(one::<i64>(dir.path(), "select count(*) from event"), 51);
}

async fn keep_one_more(sandbox: &Sandbox, dir: &Path) {
    let store = Store::open_beside(dir, Clock::default()).unwrap();
    keep(&store, vec![pay(sandbox, 1_000)]).await;
    store.close().await;
}
