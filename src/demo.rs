//! `jeongsan demo`: the product and a PortOne of our own, each on a port, talking HTTP.
//!
//! The product knows the sandbox by its URL, as it would know PortOne, and runs the same code. What
//! makes it a demo is here: the settings, and some weeks of past payments.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;

use crate::{
    app::{App, Parts, StartError},
    config::{Config, ConfigErrors},
    domain::{
        ids::{MerchantUid, PartnerId},
        money::Won,
        order::{Order, OrderLine, WrongOrder},
    },
    flow::{
        cancel_payment::{Asked, cancel_payment},
        register_order::register_order,
    },
    sandbox::{
        BooksError, Buyer, Fault, Kind, NewPayment, Sandbox, SandboxConfig, SandboxError, Target,
    },
    store::{StoreError, orders},
    web::auth,
};

#[derive(Clone, Debug)]
pub struct DemoOptions {
    pub port: u16,
    pub sandbox_port: u16,
    pub data_dir: PathBuf,
    /// Days of past payments that a new folder is seeded with.
    pub days: i64,
}

impl Default for DemoOptions {
    fn default() -> DemoOptions {
        DemoOptions {
            port: 8080,
            sandbox_port: 8090,
            data_dir: "./data/demo".into(),
            days: 21,
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
    #[error("the seed: {0}")]
    Seed(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<WrongOrder> for DemoError {
    fn from(error: WrongOrder) -> DemoError {
        DemoError::Seed(error.to_string())
    }
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
    let sandbox = Sandbox::start(SandboxConfig {
        bind: SocketAddr::from((Ipv4Addr::LOCALHOST, sandbox_port)),
        webhook_url: Some(format!("http://{addr}/api/payment/portone")),
        ledger: Some(ledger),
        test_channel: true,
        ..SandboxConfig::default()
    })
    .await?;

    let settings = settings(&sandbox, addr, &dir);
    write_settings(&settings, &dir).map_err(wrong)?;
    let config = Config::load(None, [], &settings)?;
    let parts = Parts::default();
    let app = App::start_on(listener, config, parts).await?;
    if fresh {
        say("Seeding some weeks of payments …");
        seed(&app, &sandbox, options.days).await?;
    }
    let code = auth::new_sign_in_code(&app.web.ctx.store).await?;
    say(&format!(
        "
  jeongsan demo — 정산 체험판

  Open this first, it signs you in · 먼저 여세요:
      http://{addr}/sign-in?code={}

  결제창 · Pay page             http://{addr}/payment
  결제 내역 · Payments          http://{addr}/payment/mypage
  데드레터 · Dead letters       http://{addr}/admin/dead-letters
  샌드박스 · Sandbox, PortOne's side: faults, webhooks, Slack
                                {}/sandbox

  Everything is kept in {dir} and nowhere else, the log too: remove it to begin anew.
  The command line works beside it:
      jeongsan --config {dir}/jeongsan.toml dead-letters list

  Ctrl-C ends it.
",
        code.expose_secret(),
        sandbox.url(),
        dir = dir.display(),
    ));
    until.await;
    app.stop().await;
    sandbox.stop().await;
    Ok(())
}

fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The product's settings: PortOne is wherever the sandbox listens.
fn settings(sandbox: &Sandbox, addr: SocketAddr, dir: &Path) -> Vec<(&'static str, String)> {
    vec![
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
        ("sweep.cron", "* * * * *".into()),
        ("sweep.first", "40d".into()),
        ("slack.webhook_url", format!("{}/slack/demo", sandbox.url())),
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

/// Partner, product, unit price.
const GOODS: [(&str, &str, i64); 8] = [
    ("farm-haetsal", "햇사과 5kg", 32_000),
    ("farm-haetsal", "나주 신고배 7.5kg", 45_000),
    ("tea-jiri", "지리산 녹차 세작 50g", 38_000),
    ("tea-jiri", "발효 황차 30g", 24_000),
    ("pottery-icheon", "이천 백자 찻잔", 56_000),
    ("pottery-icheon", "청자 접시 2p", 72_000),
    ("sea-wando", "완도 곱창김 100장", 29_000),
    ("sea-wando", "건다시마 1kg", 18_500),
];

const PARTNERS: [(&str, &str); 5] = [
    ("farm-haetsal", "햇살농원"),
    ("tea-jiri", "지리산다원"),
    ("pottery-icheon", "이천도예"),
    ("sea-wando", "완도바다"),
    ("house", "직영"),
];

const BUYERS: [(&str, &str, &str); 8] = [
    ("홍길동", "hong@example.com", "010-1234-5678"),
    ("김하늘", "haneul@example.com", "010-2345-6789"),
    ("이바다", "bada@example.com", "010-3456-7890"),
    ("박새봄", "saebom@example.com", "010-4567-8901"),
    ("최은우", "eunwoo@example.com", "010-5678-9012"),
    ("정다온", "daon@example.com", "010-6789-0123"),
    ("강시우", "siwoo@example.com", "010-7890-1234"),
    ("Alice Kim", "alice@example.com", "010-8901-2345"),
];

const REASONS: [&str; 4] = ["단순 변심", "부분 반품", "배송 지연", "상품 파손"];

/// Some weeks of a small marketplace: mostly paid, some given back, a few that went wrong.
async fn seed(app: &App, sandbox: &Sandbox, days: i64) -> Result<(), DemoError> {
    let ctx = &app.web.ctx;
    ctx.store
        .write(|tx| {
            for (id, name) in PARTNERS {
                orders::add_partner(tx, id, Some(name))?;
            }
            Ok::<_, StoreError>(())
        })
        .await?;
    // The same demo each time: the dice have a seed.
    let mut dice = StdRng::seed_from_u64(20_261_122);
    let now = sandbox.now();
    let mut to_cancel = Vec::new();
    for day in (0..days).rev() {
        for _ in 0..dice.random_range(2..=5) {
            let at = now - day * 86_400 - dice.random_range(600..43_000);
            let order = some_order(&mut dice, at)?;
            register_order(ctx, order.clone())
                .await
                .map_err(|error| DemoError::Seed(error.to_string()))?;
            let buyer = BUYERS[dice.random_range(0..BUYERS.len())];
            let method = ["card", "card", "card", "kakaopay", "trans"][dice.random_range(0..5)];
            let imp_uid = sandbox.pay(NewPayment {
                merchant_uid: order.merchant_uid.to_string(),
                amount: order.amount.get(),
                name: order.name.clone(),
                method: method.into(),
                buyer: Buyer {
                    name: Some(buyer.0.into()),
                    email: Some(buyer.1.into()),
                    tel: Some(buyer.2.into()),
                    ..Buyer::default()
                },
                paid_at: Some(at),
                sandbox: true,
                ..NewPayment::default()
            })?;
            tell(sandbox, &imp_uid).await?;
            if dice.random_range(0..7) == 0 {
                to_cancel.push((imp_uid, order.amount.get()));
            }
        }
    }
    for (n, (imp_uid, amount)) in to_cancel.iter().enumerate() {
        let part = (n % 3 != 0).then(|| Won::new((amount / 3) / 100 * 100));
        cancel(app, imp_uid, part, REASONS[n % REASONS.len()]).await?;
    }
    what_went_wrong(app, sandbox, &mut dice, now).await
}

/// An order of one to three lines.
fn some_order(dice: &mut StdRng, at: i64) -> Result<Order, DemoError> {
    let mut lines = Vec::new();
    for _ in 0..dice.random_range(1..=2) {
        let (partner, name, price) = GOODS[dice.random_range(0..GOODS.len())];
        lines.push(OrderLine {
            partner: PartnerId::new(partner).map_err(|e| DemoError::Seed(e.to_string()))?,
            name: name.into(),
            quantity: dice.random_range(1..=2),
            unit_price: Won::new(price),
            discount: Won::ZERO,
        });
    }
    let name = match lines.as_slice() {
        [one] => one.name.clone(),
        [first, rest @ ..] => format!("{} 외 {}건", first.name, rest.len()),
        [] => String::new(),
    };
    let id = format!("ord-{at}-{:03}", dice.random_range(0..1000));
    let id = MerchantUid::new(id).map_err(|e| DemoError::Seed(e.to_string()))?;
    Ok(Order::new(id, name, None, Won::ZERO, lines)?)
}

async fn tell(sandbox: &Sandbox, imp_uid: &str) -> Result<(), DemoError> {
    let (status, body) = sandbox.send_webhook(imp_uid).await?;
    if matches!(status, 200 | 202 | 422) {
        Ok(())
    } else {
        Err(DemoError::Seed(format!(
            "a webhook was answered {status}: {body}"
        )))
    }
}

async fn cancel(
    app: &App,
    imp_uid: &str,
    amount: Option<Won>,
    reason: &str,
) -> Result<(), DemoError> {
    let imp_uid = crate::domain::ids::ImpUid::new(imp_uid)
        .map_err(|error| DemoError::Seed(error.to_string()))?;
    let asked = Asked {
        amount,
        tax_free: None,
        lines: Vec::new(),
        reason: reason.into(),
        refund: None,
        idempotency_key: None,
        by: "page",
    };
    cancel_payment(&app.web.ctx, imp_uid, asked)
        .await
        .map(|_| ())
        .map_err(|error| DemoError::Seed(error.to_string()))
}

/// One dead letter, one payment that does not fit its order, one virtual account that waits.
async fn what_went_wrong(
    app: &App,
    sandbox: &Sandbox,
    dice: &mut StdRng,
    now: i64,
) -> Result<(), DemoError> {
    let mut pay = async |amount_less: i64, method: &str, status| -> Result<String, DemoError> {
        let at = now - dice.random_range(300..3_000);
        let order = some_order(dice, at)?;
        register_order(&app.web.ctx, order.clone())
            .await
            .map_err(|error| DemoError::Seed(error.to_string()))?;
        let imp_uid = sandbox.pay(NewPayment {
            merchant_uid: order.merchant_uid.to_string(),
            amount: order.amount.get() - amount_less,
            name: order.name,
            method: method.into(),
            status,
            buyer: Buyer {
                name: Some("한지우".into()),
                tel: Some("010-1111-2222".into()),
                ..Buyer::default()
            },
            paid_at: Some(at),
            sandbox: true,
            ..NewPayment::default()
        })?;
        tell(sandbox, &imp_uid).await?;
        Ok(imp_uid)
    };
    use crate::sandbox::Status;
    let refused = pay(0, "card", Status::Paid).await?;
    pay(5_000, "card", Status::Paid).await?;
    pay(0, "vbank", Status::Ready).await?;
    sandbox.fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
    cancel(app, &refused, None, "상품 파손").await?;
    sandbox.clear_faults();
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}
