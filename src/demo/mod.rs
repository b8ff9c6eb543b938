//! `jeongsan demo`: the product and a PortOne of our own, each on a port, talking HTTP.
//!
//! The product knows the sandbox by its URL, as it would know PortOne, and runs the same code. What
//! makes it a demo is here: the settings, and some weeks of past payments.

mod people;
mod seed;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;
use tokio::net::TcpListener;

use crate::{
    app::{App, Parts, StartError},
    config::{Config, ConfigErrors},
    flow::manage_users::UserError,
    sandbox::{BooksError, Sandbox, SandboxConfig, SandboxError},
    store::{
        Clock, Store, StoreError,
        admin::{self, CLOCK_AHEAD},
    },
    web::{Tour, auth},
};

#[derive(Clone, Debug)]
pub struct DemoOptions {
    pub port: u16,
    pub sandbox_port: u16,
    pub data_dir: PathBuf,
    /// Days of past payments that a new folder is seeded with.
    pub days: i64,
    /// A RabbitMQ that hands out the jobs, in place of the program itself.
    pub broker: Option<String>,
}

impl Default for DemoOptions {
    fn default() -> DemoOptions {
        DemoOptions {
            port: 8080,
            sandbox_port: 8090,
            data_dir: "./data/demo".into(),
            days: 21,
            broker: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error("the sandbox cannot start: {0}")]
    Sandbox(#[from] SandboxError),
    #[error("the sandbox's books: {0}")]
    Books(#[from] BooksError),
    #[error("no port is free on 127.0.0.1: {0}")]
    Port(std::io::Error),
    #[error("cannot use `{}`: {why}", dir.display())]
    Directory { dir: PathBuf, why: std::io::Error },
    #[error("the demo's accounts: {0}")]
    People(#[from] UserError),
    #[error("the seed: {0}")]
    Seed(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The port asked for on loopback, or any that is free.
async fn free(port: u16) -> Result<TcpListener, DemoError> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(DemoError::Port),
    }
}

/// Runs until `until` is over.
pub async fn run(options: DemoOptions, until: impl Future<Output = ()>) -> Result<(), DemoError> {
    let dir = options.data_dir.clone();
    let wrong = |why| DemoError::Directory {
        dir: dir.clone(),
        why,
    };
    std::fs::create_dir_all(&dir).map_err(wrong)?;
    let ledger = dir.join("portone-sandbox.jsonl");
    let fresh = !ledger.exists();

    let listener = free(options.port).await?;
    let addr = listener.local_addr().map_err(DemoError::Port)?;
    // A port that was found free is given back for the sandbox to take.
    let sandbox_port = {
        let held = free(options.sandbox_port).await?;
        held.local_addr().map_err(DemoError::Port)?.port()
    };
    let webhooks = format!("http://{addr}/api/payment/portone");
    let sandbox = Sandbox::start(SandboxConfig {
        bind: SocketAddr::from((Ipv4Addr::LOCALHOST, sandbox_port)),
        webhook_url: Some(webhooks.clone()),
        ledger: Some(ledger),
        test_channel: true,
        ..SandboxConfig::default()
    })
    .await?;

    let settings = settings(&sandbox, addr, &dir, options.broker.as_deref());
    write_settings(&settings, &dir).map_err(wrong)?;
    if fresh {
        say("Seeding some weeks of payments and settlements …");
        // The past was handed out by nobody.
        let mut past = settings.clone();
        past.push(("broker.url", "embedded".into()));
        let config = Config::load(None, [], &past)?;
        seed::seed(config, &sandbox, options.days).await?;
        sandbox.set_webhook_url(Some(webhooks));
    }
    let config = Config::load(None, [], &settings)?;
    let parts = Parts {
        tour: tour(&sandbox),
        ..Parts::default()
    };
    let follow = follow_clock(&sandbox, parts.clock.clone());
    let app = App::start_on(listener, config, parts).await?;
    let keep = keep_clock(&sandbox, app.web.ctx.store.clone());
    let people = people::ready(&app.web.ctx.store, &dir).await?;
    let code = auth::new_sign_in_code(&app.web.ctx.store, people.owner).await?;
    say(&format!(
        "
  jeongsan demo — 정산 체험판

  Open this first, it signs you in · 먼저 여세요:
      http://{addr}/sign-in?code={}

  Or with a name and a password · 이름과 비밀번호:
      {owner} (owner · 소유자), {second} (accountant · 회계): {password}

  결제창 · Pay page             http://{addr}/payment
  결제 내역 · Payments          http://{addr}/payment/mypage
  정산 · Settlements            http://{addr}/admin/settlements
  데드레터 · Dead letters       http://{addr}/admin/dead-letters
  샌드박스 · Sandbox, PortOne's side: faults, webhooks, Slack, the clock
                                {}/sandbox

  Everything is kept in {dir} and nowhere else, the log too: remove it to begin anew.
  The command line works beside it:
      jeongsan --config {dir}/jeongsan.toml dead-letters list

  Ctrl-C ends it.
",
        code.expose_secret(),
        sandbox.url(),
        owner = people::OWNER,
        second = people::SECOND,
        password = people.password,
        dir = dir.display(),
    ));
    until.await;
    follow.abort();
    keep.abort();
    app.stop().await;
    sandbox.stop().await;
    Ok(())
}

/// What shows a newcomer around.
fn tour(sandbox: &Sandbox) -> Option<Tour> {
    // The sandbox answers a form by leading back to its page: nobody looks at that here.
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_secs(5))
        .build();
    match (sandbox.url().parse(), http) {
        (Ok(sandbox), Ok(http)) => Some(Tour { sandbox, http }),
        _ => None,
    }
}

/// Whoever moves the sandbox's clock moves the shop's: a night passes for both.
fn follow_clock(sandbox: &Sandbox, clock: Clock) -> tokio::task::JoinHandle<()> {
    let mut ahead = sandbox.clock_ahead();
    clock.set_ahead(*ahead.borrow_and_update());
    tokio::spawn(async move {
        while ahead.changed().await.is_ok() {
            clock.set_ahead(*ahead.borrow_and_update());
        }
    })
}

/// Keeps in the books how far the demo's clock is ahead, for the command line beside it.
fn keep_clock(sandbox: &Sandbox, store: Store) -> tokio::task::JoinHandle<()> {
    let mut ahead = sandbox.clock_ahead();
    ahead.mark_changed();
    tokio::spawn(async move {
        while ahead.changed().await.is_ok() {
            let ms = ahead.borrow_and_update().to_string();
            if let Err(error) = store
                .write(move |tx| admin::set(tx, CLOCK_AHEAD, &ms))
                .await
            {
                tracing::warn!(%error, "the command line does not know of the demo's clock");
            }
        }
    })
}

fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The product's settings: PortOne is wherever the sandbox listens.
fn settings(
    sandbox: &Sandbox,
    addr: SocketAddr,
    dir: &Path,
    broker: Option<&str>,
) -> Vec<(&'static str, String)> {
    vec![
        ("broker.url", broker.unwrap_or("embedded").to_owned()),
        ("broker.prefix", "jeongsan-demo".into()),
        ("server.listen", addr.to_string()),
        ("server.public_url", format!("http://{addr}")),
        ("data.dir", dir.display().to_string()),
        (
            "pages.notice",
            "체험판: 실제 돈은 오가지 않습니다 · Demo: no money moves".into(),
        ),
        ("pages.notice_url", format!("{}/sandbox", sandbox.url())),
        ("portone.mode", "test".into()),
        ("portone.imp_key", "imp_apikey".into()),
        ("portone.imp_secret", "imp_secret".into()),
        ("portone.merchant_code", "imp00000000".into()),
        ("portone.channel_key", "channel-key-sandbox".into()),
        ("portone.base_url", sandbox.url()),
        (
            "portone.sdk_url",
            format!("{}/v1/iamport.js", sandbox.url()),
        ),
        // Short waits, so that a failure can be watched.
        ("portone.read_timeout", "5s".into()),
        ("intake.budget", "3s".into()),
        ("cancel.budget", "12s".into()),
        ("cancel.backoff", "8s".into()),
        ("jobs.backoff", "3s".into()),
        // A visitor sees an episode of alerts from its beginning to its end within a minute or two.
        ("alerts.first_summary", "20s".into()),
        ("alerts.second_summary", "1m".into()),
        ("alerts.later_summary", "5m".into()),
        ("alerts.quiet", "30s".into()),
        ("sweep.cron", "* * * * *".into()),
        ("sweep.first", "40d".into()),
        // Moving the clock by some days must not sign the visitor out.
        ("admin.session", "365d".into()),
        ("admin.idle", "365d".into()),
        ("slack.webhook_url", format!("{}/slack/demo", sandbox.url())),
        ("slack.private_addresses", "true".into()),
    ]
}

/// The same settings as a file, for the command line beside the demo.
fn write_settings(settings: &[(&'static str, String)], dir: &Path) -> std::io::Result<()> {
    let mut sections: toml::Table = toml::Table::new();
    for (key, value) in settings {
        let Some((section, name)) = key.split_once('.') else {
            continue;
        };
        let table = sections
            .entry(section)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if let toml::Value::Table(table) = table {
            table.insert(name.into(), toml::Value::String(value.clone()));
        }
    }
    let path = dir.join("jeongsan.toml");
    std::fs::write(&path, sections.to_string())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}
