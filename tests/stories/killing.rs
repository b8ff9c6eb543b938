//! Promise 5: a crash at any instruction loses nothing and doubles nothing.
//!
//! The real binary, killed by SIGKILL at random moments under load, and started again on the same
//! file. `TEST_KILLS=1000 cargo nextest run --test stories kill` is the long campaign.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jeongsan::{
    domain::cancellation::mark_in,
    sandbox::{Fault, Kind, NewPayment, Sandbox, SandboxConfig, Target},
    store::{books, database_in},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{TOKEN, settings};

/// The real binary as a process of its own.
pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    pub fn command(sandbox: &Sandbox, dir: &Path, port: u16, set: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jeongsan"));
        // Settings of these tests are none of the server's, which refuses what it does not know.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JEONGSAN_")) {
            command.env_remove(name);
        }
        for (key, value) in settings(sandbox, dir) {
            command.env(jeongsan::config::variable(key), value);
        }
        command.env("JEONGSAN_SERVER_LISTEN", format!("127.0.0.1:{port}"));
        command.env("JEONGSAN_LOG_LEVEL", "off");
        for (key, value) in set {
            command.env(key, value);
        }
        command
    }

    pub async fn start(sandbox: &Sandbox, dir: &Path, port: u16) -> Server {
        let mut command = Server::command(sandbox, dir, port, &[]);
        Server::run(command.arg("serve"), port).await
    }

    pub async fn run(command: &mut Command, port: u16) -> Server {
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let server = Server {
            child,
            url: format!("http://127.0.0.1:{port}"),
        };
        let started = Instant::now();
        let http = reqwest::Client::new();
        while started.elapsed() < Duration::from_secs(20) {
            if http
                .get(format!("{}/healthz", server.url))
                .send()
                .await
                .is_ok()
            {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the server did not answer within 20 seconds");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: nothing is let finish.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// What the driver saw: messages that got 2xx, and cancels that did.
#[derive(Default)]
struct Seen {
    told: BTreeSet<String>,
    /// `(imp_uid, cancellation id)` of every cancel that was answered 200 or 202.
    accepted: BTreeSet<(String, String)>,
}

/// Sends messages and cancels until stopped; errors are expected.
async fn drive(
    seed: u64,
    url: String,
    sandbox: Arc<Sandbox>,
    seen: Arc<Mutex<Seen>>,
    stop: tokio_util::sync::CancellationToken,
) {
    let mut dice = StdRng::seed_from_u64(seed);
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(8))
        .build()
        .unwrap();
    let mut number = 0u64;
    while !stop.is_cancelled() {
        number += 1;
        let known: Option<String> = {
            let seen = seen.lock().unwrap();
            let count = seen.told.len();
            (count > 0)
                .then(|| seen.told.iter().nth(dice.random_range(0..count)).cloned())
                .flatten()
        };
        match known {
            Some(imp_uid) if dice.random_bool(0.4) => {
                let amount = dice
                    .random_bool(0.7)
                    .then(|| dice.random_range(1..20) * 100);
                let sent = http
                    .post(format!("{url}/api/payment/{imp_uid}/cancel"))
                    .bearer_auth(TOKEN)
                    .json(&json!({ "amount": amount, "reason": "시험" }))
                    .send();
                let Ok(answer) = sent.await else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                let status = answer.status().as_u16();
                assert!(
                    matches!(status, 200 | 202 | 404 | 409 | 422 | 503),
                    "{status}"
                );
                if let (200 | 202, Ok(body)) = (status, answer.json::<Value>().await) {
                    let id = body["cancellation"]["id"].as_str().unwrap().to_owned();
                    seen.lock().unwrap().accepted.insert((imp_uid, id));
                }
            }
            _ => {
                let order = format!("ord-{seed}-{number}");
                let imp_uid = sandbox
                    .pay(NewPayment {
                        merchant_uid: order.clone(),
                        amount: dice.random_range(1..100) * 100,
                        ..NewPayment::default()
                    })
                    .unwrap();
                let sent = http
                    .post(format!("{url}/api/payment/portone"))
                    .json(&json!({ "imp_uid": imp_uid, "merchant_uid": order, "status": "paid" }))
                    .send();
                match sent.await {
                    Ok(answer) if answer.status().is_success() => {
                        seen.lock().unwrap().told.insert(imp_uid);
                    }
                    Ok(answer) => assert_eq!(answer.status(), 503),
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_under_load_nothing_is_lost_and_nothing_doubled() {
    let kills: u64 = std::env::var("TEST_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    let seed = std::env::var("TEST_SEED")
        .ok()
        .and_then(|t| t.parse().ok())
        .unwrap_or(kills);
    let mut dice = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let config = SandboxConfig {
        log_requests: false,
        ..SandboxConfig::default()
    };
    let sandbox = Arc::new(Sandbox::start(config).await.unwrap());
    let port = free_port();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let stop = tokio_util::sync::CancellationToken::new();
    let mut slowest = Duration::ZERO;
    let mut server = Server::start(&sandbox, dir.path(), port).await;
    let drivers: Vec<_> = (0..6)
        .map(|n| {
            let url = format!("http://127.0.0.1:{port}");
            tokio::spawn(drive(
                seed * 100 + n,
                url,
                sandbox.clone(),
                seen.clone(),
                stop.clone(),
            ))
        })
        .collect();
    for kill in 0..kills {
        if dice.random_bool(0.5) {
            let kinds = [
                Kind::DoThenDrop,
                Kind::DoThenStatus { status: 500 },
                Kind::Slow { ms: 120 },
                Kind::Status {
                    status: 503,
                    retry_after: None,
                },
            ];
            let kind = kinds[dice.random_range(0..kinds.len())].clone();
            sandbox.fault(Fault::new(Target::Cancel, kind).times(dice.random_range(1..20)));
        }
        tokio::time::sleep(Duration::from_millis(dice.random_range(50..700))).await;
        server.kill();
        let started = Instant::now();
        server = Server::start(&sandbox, dir.path(), port).await;
        slowest = slowest.max(started.elapsed());
        if kill % 10 == 9 {
            let conn = Connection::open(database_in(dir.path())).unwrap();
            conn.busy_timeout(Duration::from_secs(10)).unwrap();
            let broken = books::check(&conn).unwrap();
            assert!(
                broken.is_empty(),
                "after kill {kill} (seed {seed}): {broken:#?}"
            );
        }
    }
    stop.cancel();
    for driver in drivers {
        driver.await.unwrap();
    }
    sandbox.clear_faults();
    let conn = Connection::open(database_in(dir.path())).unwrap();
    conn.busy_timeout(Duration::from_secs(10)).unwrap();
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let open = "select count(*) from job where state in ('ready', 'running') and kind not in ('sweep', 'prune', 'send_alert', 'tell_episode')";
    let waited = Instant::now();
    while count(open) > 0 && waited.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(count(open), 0, "jobs are stuck (seed {seed})");
    assert_eq!(server.terminate(), Some(0), "it ends in peace");

    let broken = books::check(&conn).unwrap();
    assert!(broken.is_empty(), "seed {seed}: {broken:#?}");
    assert_eq!(sandbox.check(), Vec::<String>::new());
    let seen = seen.lock().unwrap();
    for imp_uid in &seen.told {
        let ours: Option<(i64, i64)> = conn
            .query_row(
                "select amount, cancelled from payment where imp_uid = ?1",
                [imp_uid],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .ok();
        let theirs = sandbox.payment(imp_uid).unwrap();
        assert_eq!(
            ours,
            Some((theirs.amount, theirs.cancel_amount)),
            "{imp_uid} (seed {seed})"
        );
        let marks: Vec<_> = sandbox
            .cancels_of(imp_uid)
            .iter()
            .filter_map(|entry| mark_in(&entry.reason))
            .collect();
        let distinct: BTreeSet<_> = marks.iter().collect();
        assert_eq!(
            marks.len(),
            distinct.len(),
            "{imp_uid}: carried out twice (seed {seed})"
        );
    }
    for (imp_uid, id) in &seen.accepted {
        let state: String = conn
            .query_row(
                "select state from cancellation where id = ?1",
                [id],
                |row| row.get(0),
            )
            .unwrap_or_else(|_| panic!("{id} of {imp_uid} is lost (seed {seed})"));
        let done = sandbox
            .cancels_of(imp_uid)
            .iter()
            .any(|entry| mark_in(&entry.reason).is_some_and(|mark| mark.as_str() == id));
        assert_eq!(
            state == "DONE",
            done,
            "{id} of {imp_uid} is {state} (seed {seed})"
        );
    }
    println!(
        "{kills} kills, {} payments told, {} cancels accepted, slowest start {slowest:?}, seed {seed}",
        seen.told.len(),
        seen.accepted.len()
    );
    assert!(
        seen.told.len() > 20 && seen.accepted.len() > 5,
        "the load was no load"
    );
}

/// A process that dies between the call to PortOne and the record of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_a_cancel_it_reads_before_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let port = free_port();
    let http = reqwest::Client::new();
    for (n, done_at_portone) in [true, false].into_iter().enumerate() {
        let server = Server::start(&sandbox, dir.path(), port).await;
        let order = format!("ord-{n}");
        let imp_uid = sandbox
            .pay(NewPayment {
                merchant_uid: order.clone(),
                amount: 9_000,
                ..NewPayment::default()
            })
            .unwrap();
        let told = http
            .post(format!("{}/api/payment/portone", server.url))
            .json(&json!({ "imp_uid": imp_uid, "merchant_uid": order, "status": "paid" }))
            .send()
            .await
            .unwrap();
        assert_eq!(told.status(), 200);
        let hang = if done_at_portone {
            Kind::DoThenHang { ms: 1_000 }
        } else {
            Kind::Hang { ms: 1_000 }
        };
        sandbox.fault(Fault::new(Target::Cancel, hang).times(1));
        let before = sandbox.calls("cancel");
        let cancel = http
            .post(format!("{}/api/payment/{imp_uid}/cancel", server.url))
            .bearer_auth(TOKEN)
            .json(&json!({ "reason": "시험" }))
            .send();
        let cancel = tokio::spawn(cancel);
        while sandbox.calls("cancel") == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.kill();
        assert!(cancel.await.unwrap().is_err());
        let server = Server::start(&sandbox, dir.path(), port).await;
        let started = Instant::now();
        loop {
            let status: Value = http
                .get(format!("{}/api/payment/{imp_uid}/status", server.url))
                .bearer_auth(TOKEN)
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            if status["status"] == "CANCELED" {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{status}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        assert_eq!(sandbox.cancels_of(&imp_uid).len(), 1);
        let sent = sandbox.calls("cancel") - before;
        assert_eq!(sent, if done_at_portone { 1 } else { 2 });
        assert_eq!(server.terminate(), Some(0));
    }
}

/// The disk takes no more: honest 503s, nothing acknowledged is lost, and it heals by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_answers_503_loses_nothing_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let port = free_port();
    // A limit on the size of files, with its signal ignored, is a disk that is full for one
    // process: every write beyond it fails.
    let plain = Server::command(&sandbox, dir.path(), port, &[]);
    let mut ignoring = Command::new("sh");
    ignoring.args([
        "-c",
        "trap '' XFSZ; exec \"$0\" serve",
        env!("CARGO_BIN_EXE_jeongsan"),
    ]);
    for (key, value) in plain.get_envs() {
        if let Some(value) = value {
            ignoring.env(key, value);
        }
    }
    let server = Server::run(&mut ignoring, port).await;
    let limit = |size: &str| {
        let pid = server.pid().to_string();
        let status = Command::new("prlimit")
            .args(["--pid", &pid, &format!("--fsize={size}:unlimited")])
            .status()
            .unwrap();
        assert!(status.success());
    };
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let tell = |n: usize| {
        let order = format!("ord-{n}");
        let payment = NewPayment {
            merchant_uid: order.clone(),
            amount: 100,
            ..NewPayment::default()
        };
        let imp_uid = sandbox.pay(payment).unwrap();
        let sent = http
            .post(format!("{}/api/payment/portone", server.url))
            .json(&json!({ "imp_uid": imp_uid, "merchant_uid": order, "status": "paid" }))
            .send();
        async move { (imp_uid, sent.await.unwrap()) }
    };
    let until = async |status: u16| {
        let started = Instant::now();
        loop {
            let answer = http
                .get(format!("{}/readyz", server.url))
                .send()
                .await
                .unwrap();
            if answer.status().as_u16() == status {
                return;
            }
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "/readyz is not {status}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let mut kept = Vec::new();
    for n in 0..30 {
        let (imp_uid, answer) = tell(n).await;
        assert_eq!(answer.status(), 200);
        kept.push(imp_uid);
    }
    for round in 1..=2 {
        limit("4096");
        for n in 0..20 {
            let (_, answer) = tell(round * 1_000 + n).await;
            assert_eq!(answer.status(), 503);
            assert!(answer.headers().contains_key("retry-after"));
        }
        until(503).await;
        limit("unlimited");
        until(200).await;
        for n in 0..10 {
            let (imp_uid, answer) = tell(round * 1_000 + 500 + n).await;
            assert_eq!(answer.status(), 200, "it works again without a restart");
            kept.push(imp_uid);
        }
    }
    assert_eq!(server.terminate(), Some(0));
    let conn = Connection::open(database_in(dir.path())).unwrap();
    for imp_uid in kept {
        let there: bool = conn
            .prepare("select 1 from payment where imp_uid = ?1")
            .unwrap()
            .exists([&imp_uid])
            .unwrap();
        assert!(there, "{imp_uid} was acknowledged and is lost");
    }
    assert_eq!(books::check(&conn).unwrap(), []);
}
