//! The real router and a real SQLite file against a PortOne of our own, over HTTP.
//!
//! Dropping a [`TestApp`] checks the books: ours by the rules of `jeongsan verify`, the sandbox's by
//! its own, and both against each other. No job may be left behind unless the test says so.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use jeongsan::{
    app::{App, Parts},
    config::Config,
    domain::calendar::KstDay,
    jobs,
    sandbox::{NewPayment, Sandbox, SandboxConfig, Status},
    store::{Clock, books, database_in},
};
use reqwest::{Response, StatusCode};
use rusqlite::Connection;
use serde_json::{Value, json};

pub const TOKEN: &str = "test-token-0123456789abcdef0123456789";

/// Settings of a test: short waits, no sweep by itself. What ends something that hangs is long: a machine may be
/// busy for a second, and who tests an end sets a shorter one.
pub fn settings(sandbox: &Sandbox, dir: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("server.listen", "127.0.0.1:0".into()),
        ("data.dir", dir.display().to_string()),
        ("portone.mode", "live".into()),
        ("portone.imp_key", "imp_apikey".into()),
        ("portone.imp_secret", "imp_secret".into()),
        ("portone.merchant_code", "imp00000000".into()),
        ("portone.base_url", sandbox.url()),
        (
            "portone.sdk_url",
            format!("{}/v1/iamport.js", sandbox.url()),
        ),
        ("portone.connect_timeout", "5s".into()),
        ("portone.read_timeout", "5s".into()),
        ("intake.budget", "5s".into()),
        ("intake.rate", "100000".into()),
        ("api.rate", "100000".into()),
        ("api.address_rate", "100000".into()),
        ("cancel.direct_backoff", "5ms".into()),
        ("cancel.backoff", "5ms".into()),
        ("cancel.backoff_max", "20ms".into()),
        ("jobs.backoff", "5ms".into()),
        ("jobs.backoff_max", "20ms".into()),
        ("jobs.shutdown", "5s".into()),
        ("slack.webhook_url", format!("{}/slack/test", sandbox.url())),
        ("slack.private_addresses", "true".into()),
        ("admin.token", TOKEN.into()),
    ]
}

pub struct TestApp {
    /// `None` while it is stopped.
    pub app: Option<App>,
    pub portone: Sandbox,
    pub http: reqwest::Client,
    pub clock: Clock,
    dir: tempfile::TempDir,
    set: BTreeMap<&'static str, String>,
    workers: bool,
    /// Payments that the books are not expected to hold as PortOne does.
    pub unlike: Vec<String>,
    pub jobs_may_wait: bool,
}

impl TestApp {
    /// Jobs run when the test says so: [`TestApp::drain`].
    pub async fn start() -> TestApp {
        TestApp::with(&[], false).await
    }

    /// Workers run by themselves, as in production.
    pub async fn live() -> TestApp {
        TestApp::with(&[], true).await
    }

    pub async fn with(set: &[(&'static str, &str)], workers: bool) -> TestApp {
        let dir = tempfile::tempdir().unwrap();
        let config = SandboxConfig {
            log_requests: true,
            ..SandboxConfig::default()
        };
        let portone = Sandbox::start(config).await.unwrap();
        let clock = Clock::default();
        // Noon of tomorrow in Seoul: no day ends within a story, and nothing of the night begins.
        let now = clock.now();
        let noon = KstDay::of(now).next().start() + Duration::from_secs(12 * 3_600);
        let ahead = Duration::try_from(noon.duration_since(now)).unwrap();
        clock.advance(ahead);
        portone.advance(ahead).unwrap();
        let mut all: BTreeMap<_, _> = settings(&portone, dir.path()).into_iter().collect();
        for (key, value) in set {
            all.insert(key, (*value).to_owned());
        }
        let mut test = TestApp {
            app: None,
            portone,
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(30))
                .build()
                .unwrap(),
            clock,
            dir,
            set: all,
            workers,
            unlike: Vec::new(),
            jobs_may_wait: false,
        };
        test.boot().await;
        test
    }

    /// Starts the server on the same files.
    pub async fn boot(&mut self) {
        let set: Vec<_> = self.set.clone().into_iter().collect();
        let config = Config::load(None, [], &set).unwrap();
        let parts = Parts {
            clock: self.clock.clone(),
            workers: self.workers,
            ..Parts::default()
        };
        self.app = Some(App::start(config, parts).await.unwrap());
    }

    /// Ends it as SIGTERM would.
    pub async fn shut_down(&mut self) {
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
    }

    pub fn set(&mut self, key: &'static str, value: &str) {
        self.set.insert(key, value.to_owned());
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().expect("the app runs")
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app().addr)
    }

    /// A payment in PortOne's books. No webhook is sent.
    pub fn charge(&self, order: &str, won: i64) -> String {
        self.portone
            .pay(NewPayment {
                merchant_uid: order.into(),
                amount: won,
                name: "햇사과 5kg".into(),
                ..NewPayment::default()
            })
            .unwrap()
    }

    pub fn charge_as(&self, payment: NewPayment) -> String {
        self.portone.pay(payment).unwrap()
    }

    /// A webhook as PortOne sends it.
    pub async fn webhook(&self, imp_uid: &str, order: &str, status: &str) -> Response {
        self.http
            .post(self.url("/api/payment/portone"))
            .json(&json!({ "imp_uid": imp_uid, "merchant_uid": order, "status": status }))
            .send()
            .await
            .unwrap()
    }

    /// A payment that is paid and told: in the books.
    pub async fn paid(&self, order: &str, won: i64) -> String {
        let imp_uid = self.charge(order, won);
        let answer = self.webhook(&imp_uid, order, "paid").await;
        assert_eq!(
            answer.status(),
            StatusCode::OK,
            "{}",
            answer.text().await.unwrap()
        );
        imp_uid
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http
            .get(self.url(path))
            .bearer_auth(TOKEN)
            .send()
            .await
            .unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.http
            .post(self.url(path))
            .bearer_auth(TOKEN)
            .json(body)
            .send()
            .await
            .unwrap()
    }

    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub async fn cancel(&self, imp_uid: &str, amount: Option<i64>) -> Response {
        self.post(
            &format!("/api/payment/{imp_uid}/cancel"),
            &json!({ "amount": amount, "reason": "단순 변심" }),
        )
        .await
    }

    /// How the payment stands in our books.
    pub async fn status(&self, imp_uid: &str) -> String {
        let value = self.json(&format!("/api/payment/{imp_uid}/status")).await;
        value["status"].as_str().unwrap().to_owned()
    }

    /// Waits until the payment stands like this.
    pub async fn until(&self, imp_uid: &str, status: &str) {
        for _ in 0..400 {
            if self.status(imp_uid).await == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!(
            "{imp_uid} is {} and not {status}",
            self.status(imp_uid).await
        );
    }

    /// Waits until the payment is in the books.
    pub async fn until_known(&self, imp_uid: &str) {
        for _ in 0..400 {
            if self
                .get(&format!("/api/payment/{imp_uid}/status"))
                .await
                .status()
                == 200
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{imp_uid} never came into the books");
    }

    /// Waits until the workers have nothing left to do.
    pub async fn settled(&self) {
        for _ in 0..800 {
            let open: i64 = self.sql(
                "select count(*) from job where state in ('ready', 'running') and kind not in ('sweep', 'prune', 'settle', 'digest', 'tell_episode')",
            );
            if open == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the jobs do not come to an end");
    }

    /// Every queued job, here and now, until none is left; also those that wait out a back-off.
    pub async fn drain(&self) {
        let ctx = &self.app().web.ctx;
        for _ in 0..200 {
            jobs::drain(ctx).await.unwrap();
            let soon = self.clock.now().as_millisecond() + 2_000;
            let waiting: i64 = self.sql(&format!(
                "select count(*) from job where state = 'ready' and run_at < {soon}"
            ));
            if waiting == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the jobs do not come to an end");
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn database(&self) -> PathBuf {
        database_in(self.dir.path())
    }

    /// One value out of the database.
    pub fn sql<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        let conn = Connection::open(self.database()).unwrap();
        conn.busy_timeout(Duration::from_secs(5)).unwrap();
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// What Slack got, as one text.
    pub fn slack(&self) -> String {
        self.portone
            .slack_messages()
            .iter()
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The dead letters' ids.
    pub fn dead(&self) -> Vec<i64> {
        let conn = Connection::open(self.database()).unwrap();
        let mut query = conn
            .prepare("select id from job where state = 'dead' order by id")
            .unwrap();
        query
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    /// All that the books promise, ours and PortOne's.
    pub fn check_books(&self) {
        let conn = Connection::open(self.database()).unwrap();
        conn.busy_timeout(Duration::from_secs(10)).unwrap();
        let broken = books::check(&conn).unwrap();
        assert!(broken.is_empty(), "our books are broken: {broken:#?}");
        assert_eq!(
            self.portone.check(),
            Vec::<String>::new(),
            "PortOne's books are broken"
        );
        if !self.jobs_may_wait {
            let waiting: i64 = conn
                .query_row(
                    "select count(*) from job where state in ('ready', 'running') and kind not in ('sweep', 'prune', 'settle', 'digest', 'tell_episode')",
                    [],
                    |row| row.get(0),
                )
                .unwrap();
            assert_eq!(waiting, 0, "jobs were left behind");
        }
        let mut query = conn
            .prepare("select imp_uid, status, amount, cancelled from payment")
            .unwrap();
        let rows = query
            .query_map([], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, i64>(2)?,
                    row.get::<_, i64>(3)?,
                ))
            })
            .unwrap();
        for row in rows {
            let (imp_uid, status, amount, cancelled) = row.unwrap();
            if self.unlike.contains(&imp_uid) {
                continue;
            }
            let Some(theirs) = self.portone.payment(&imp_uid) else {
                panic!("{imp_uid} is invented: PortOne does not know it");
            };
            assert_eq!(amount, theirs.amount, "{imp_uid}: the amount");
            assert_eq!(
                cancelled, theirs.cancel_amount,
                "{imp_uid} ({status}): what went back"
            );
            let unpaid = matches!(theirs.status, Status::Ready | Status::Failed);
            assert_eq!(
                matches!(status.as_str(), "READY" | "FAILED"),
                unpaid,
                "{imp_uid}: {status}"
            );
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check_books();
        }
    }
}

/// The answer's status and its JSON.
pub async fn read(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, value)
}
