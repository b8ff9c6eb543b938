//! PortOne's own V1 clients, from npm and PyPI, cannot tell the sandbox from PortOne.
//!
//! The packages are installed by name, at fixed versions, into a folder that is kept between runs:
//! `TEST_CLIENTS_DIR`, or `clients` in Cargo's folder for tests. If Node, npm, Python or the
//! packages cannot be had, the test fails: a promise that was not tried is not kept.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use jeongsan::sandbox::{NewPayment, Sandbox, SandboxConfig};
use serde_json::{Value, json};

fn folder(name: &str) -> PathBuf {
    let base = match std::env::var_os("TEST_CLIENTS_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients"),
    };
    let folder = base.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

fn run(what: &str, command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{what} cannot be started: {error}"));
    assert!(
        output.status.success(),
        "{what} failed:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A sandbox with two paid orders, and what a client script saw of it.
async fn saw(mut script: Command) -> (Sandbox, String, Value) {
    let config = SandboxConfig::default();
    let (key, secret) = (config.imp_key.clone(), config.imp_secret.clone());
    let sandbox = Sandbox::start(config).await.unwrap();
    let pay = |order: &str| {
        let new = NewPayment {
            merchant_uid: order.to_owned(),
            name: "사과 5kg".to_owned(),
            amount: 10_000,
            ..NewPayment::default()
        };
        sandbox.pay(new).unwrap()
    };
    let (paid, second) = (pay("order-1"), pay("order-2"));
    script
        .env("SANDBOX_URL", sandbox.url())
        .env("IMP_KEY", key)
        .env("IMP_SECRET", secret)
        .env("PAID", &paid)
        .env("SECOND", second)
        .env("ORDER", "order-1");
    for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        script.env_remove(proxy);
    }
    let output = tokio::task::spawn_blocking(move || run("the client's script", &mut script))
        .await
        .unwrap();
    let saw = serde_json::from_slice(&output.stdout).unwrap();
    (sandbox, paid, saw)
}

/// Whichever client it was: what it did is in the books, once.
fn books_agree(sandbox: &Sandbox, paid: &str) {
    let cancels = sandbox.cancels_of(paid);
    let of: Vec<_> = cancels
        .iter()
        .map(|cancel| (cancel.amount, cancel.reason.as_str()))
        .collect();
    assert_eq!(of, [(3_000, "part"), (7_000, "rest")]);
    assert_eq!(sandbox.prepared("next").unwrap().amount, 5_000);
    assert_eq!(sandbox.check(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_node_client_works() {
    let dir = folder("node");
    for file in ["package.json", "run.mjs"] {
        std::fs::copy(source("node").join(file), dir.join(file)).unwrap();
    }
    if !dir.join("node_modules/iamport-rest-client-nodejs").exists() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts"]);
        run("npm install", npm.current_dir(&dir));
    }
    let mut node = Command::new("node");
    node.arg("run.mjs").current_dir(&dir);
    let (sandbox, paid, saw) = saw(node).await;

    assert_eq!(saw["read"]["imp_uid"], paid);
    assert_eq!(saw["read"]["amount"], 10_000);
    assert_eq!(saw["found"]["imp_uid"], paid);
    assert_eq!(saw["all"]["list"][0]["imp_uid"], paid);
    assert_eq!(saw["listed"]["failed"], json!(["imp_none"]));
    assert_eq!(saw["searched"]["list"].as_array().unwrap().len(), 2);
    assert_eq!(saw["unknown"]["status"], 404);
    assert_eq!(saw["prepared"]["amount"], 5_000);
    assert_eq!(saw["preparedAgain"]["code"], 1);
    assert_eq!(saw["part"]["cancel_amount"], 3_000);
    assert_ne!(saw["replay"]["code"], 0);
    assert_eq!(saw["rest"]["cancel_amount"], 10_000);
    assert_eq!(saw["again"]["message"], "이미 전액취소된 주문입니다.");
    assert_eq!(saw["wrongKey"], 401);
    books_agree(&sandbox, &paid);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_client_works() {
    let dir = folder("python");
    let python = dir.join("venv/bin/python");
    let works = |python: &Path| {
        let import = Command::new(python).args(["-c", "import iamport"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    if !works(&python) {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(dir.join("venv"));
        run("python3 -m venv", &mut venv);
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "-r"]);
        run(
            "pip install",
            pip.arg(source("python").join("requirements.txt")),
        );
    }
    let mut script = Command::new(&python);
    script.arg(source("python").join("run.py"));
    let (sandbox, paid, saw) = saw(script).await;

    assert_eq!(saw["read"]["imp_uid"], paid);
    assert_eq!(saw["found"]["imp_uid"], paid);
    assert_eq!(saw["searched"]["total"], 2);
    assert_eq!(saw["is_paid"], true);
    assert_eq!(saw["is_paid_less"], false);
    assert_eq!(saw["unknown"]["status"], 404);
    assert_eq!(saw["prepared"]["amount"], 5_000);
    assert_eq!(saw["prepared_again"]["code"], 1);
    assert_eq!(saw["prepared_right"], true);
    assert_eq!(saw["part"]["cancel_amount"], 3_000);
    assert_ne!(saw["replay"]["code"], 0);
    assert_eq!(saw["rest"]["cancel_amount"], 10_000);
    assert_eq!(saw["again"]["message"], "이미 전액취소된 주문입니다.");
    assert_eq!(saw["nothing"]["code"], 1);
    assert_eq!(saw["wrong_key"]["status"], 401);
    books_agree(&sandbox, &paid);
}
