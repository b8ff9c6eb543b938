//! The binary as people call it, and what it must never say.

use std::{process::Command, time::Duration};

use jeongsan::sandbox::{Fault, Kind, NewPayment, Sandbox, SandboxConfig, Target};
use serde_json::{Value, json};

use crate::{
    killing::{Server, free_port},
    support::TOKEN,
};

fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn settings_that_are_missing_or_wrong_are_named_all_at_once() {
    let (code, _, err) = run(Command::new(env!("CARGO_BIN_EXE_jeongsan"))
        .arg("serve")
        .env_clear()
        .env("JEONGSAN_SERVER_LISTEN", "here")
        .env("JEONGSAN_CANCEL_BUDGETS", "1s"));
    assert_eq!(code, 2);
    for part in [
        "portone.imp_key is not set",
        "portone.imp_secret is not set",
        "server.listen is `here`",
        "did you mean cancel.budget?",
    ] {
        assert!(err.contains(part), "{part} in {err}");
    }
    let (code, out, _) =
        run(Command::new(env!("CARGO_BIN_EXE_jeongsan")).args(["serve", "--help"]));
    assert_eq!(code, 0);
    assert!(out.contains("JEONGSAN_PORTONE_IMP_SECRET") && out.contains("sweep.cron"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_does_it_all_from_the_command_line_beside_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let port = free_port();
    let server = Server::start(&sandbox, dir.path(), port).await;
    let cli = |args: &[&str]| run(Server::command(&sandbox, dir.path(), port, &[]).args(args));
    let http = reqwest::Client::new();
    let imp_uid = sandbox
        .pay(NewPayment {
            merchant_uid: "ord-1".into(),
            amount: 9_000,
            ..NewPayment::default()
        })
        .unwrap();
    http.post(format!("{}/api/payment/portone", server.url))
        .json(&json!({ "imp_uid": imp_uid, "merchant_uid": "ord-1" }))
        .send()
        .await
        .unwrap();
    assert!(cli(&["dead-letters", "list"]).1.contains("no dead letters"));
    sandbox.fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
    let refused = http
        .post(format!("{}/api/payment/{imp_uid}/cancel", server.url))
        .bearer_auth(TOKEN)
        .json(&json!({ "reason": "파손" }))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 409);
    let (code, out, _) = cli(&["dead-letters", "list", "--json"]);
    assert_eq!(code, 0);
    let letters: Value = serde_json::from_str(&out).unwrap();
    let id = letters[0]["id"].to_string();
    assert_eq!(letters[0]["imp_uid"], imp_uid.as_str());
    let (_, shown, _) = cli(&["dead-letters", "show", &id]);
    assert!(
        shown.contains("8178") && shown.contains("9,000 won"),
        "{shown}"
    );
    assert_eq!(cli(&["dead-letters", "replay", "999999"]).0, 2);
    assert_eq!(cli(&["dead-letters", "replay", &id]).0, 0);
    for _ in 0..200 {
        if sandbox.cancels_of(&imp_uid).len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(
        sandbox.cancels_of(&imp_uid).len(),
        1,
        "the running server took it"
    );
    for _ in 0..100 {
        if cli(&["dead-letters", "list"]).1.contains("no dead letters") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }

    let copy = dir.path().join("copy.sqlite3");
    let copy = copy.to_str().unwrap();
    assert_eq!(cli(&["backup", copy]).0, 0);
    let (code, _, err) = cli(&["backup", copy]);
    assert_eq!(code, 2);
    assert!(err.contains("exists already"), "{err}");
    let (code, _, err) = cli(&["backup", "/nowhere/at/all.sqlite3"]);
    assert_eq!((code, err.contains("no folder")), (2, true), "{err}");
    let (code, out, _) = cli(&["verify"]);
    assert_eq!((code, out.contains("sound")), (0, true), "{out}");
    let (code, _, err) = cli(&["serve"]);
    assert_eq!(code, 2, "a second server is refused");
    assert!(
        err.contains("in use") || err.contains("cannot listen"),
        "{err}"
    );
    assert_eq!(server.terminate(), Some(0));

    let conn = rusqlite::Connection::open(jeongsan::store::database_in(dir.path())).unwrap();
    conn.execute(
        "update payment set cancelled = 1, status = 'PARTIAL_CANCELED'",
        [],
    )
    .unwrap();
    let (code, out, _) = cli(&["verify"]);
    assert_eq!(code, 1, "{out}");
    assert!(
        out.contains("cancelled_is_the_sum_of_done_cancellations"),
        "{out}"
    );
    let (code, out, _) = cli(&["verify", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, report["broken"].as_array().unwrap().is_empty()),
        (1, false)
    );
    assert_eq!(cli(&["migrate"]).0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_nobodys_name_is_in_the_log_however_much_is_logged() {
    let dir = tempfile::tempdir().unwrap();
    let keys = SandboxConfig {
        imp_key: "canary-key-1".into(),
        imp_secret: "canary-secret-2".into(),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(keys).await.unwrap();
    let port = free_port();
    let log = dir.path().join("log");
    let set = [
        ("JEONGSAN_PORTONE_IMP_KEY", "canary-key-1"),
        ("JEONGSAN_PORTONE_IMP_SECRET", "canary-secret-2"),
        ("JEONGSAN_LOG_LEVEL", "trace"),
        ("JEONGSAN_LOG_FORMAT", "json"),
    ];
    let mut command = Server::command(&sandbox, dir.path(), port, &set);
    let slack = format!("{}/slack/canary-slack-3", sandbox.url());
    command
        .arg("serve")
        .env("JEONGSAN_SLACK_WEBHOOK_URL", &slack);
    let file = std::fs::File::create(&log).unwrap();
    let mut child = command.stderr(file).spawn().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let http = reqwest::Client::new();
    for _ in 0..400 {
        if http.get(format!("{url}/healthz")).send().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let imp_uid = sandbox
        .pay(NewPayment {
            merchant_uid: "ord-1".into(),
            amount: 9_000,
            buyer: jeongsan::sandbox::Buyer {
                name: Some("카나리아홍".into()),
                tel: Some("010-9999-0000".into()),
                email: Some("canary@example.com".into()),
                ..Default::default()
            },
            ..NewPayment::default()
        })
        .unwrap();
    let tell = || {
        http.post(format!("{url}/api/payment/portone"))
            .json(&json!({ "imp_uid": imp_uid, "merchant_uid": "ord-1\r\n{\"level\":\"FORGED\"}" }))
            .send()
    };
    tell().await.unwrap();
    let body = json!({ "imp_uid": imp_uid, "merchant_uid": "ord-1" });
    http.post(format!("{url}/api/payment/portone"))
        .json(&body)
        .send()
        .await
        .unwrap();
    sandbox.fault(
        Fault::new(
            Target::Slack,
            Kind::Status {
                status: 500,
                retry_after: None,
            },
        )
        .times(1),
    );
    sandbox.fault(Fault::new(Target::Cancel, Kind::Drop));
    let cancel = json!({ "reason": "x", "refund": { "holder": "카나리아홍", "bank": "04", "account": "1002-canary" } });
    http.post(format!("{url}/api/payment/{imp_uid}/cancel"))
        .bearer_auth(TOKEN)
        .json(&cancel)
        .send()
        .await
        .unwrap();
    for _ in 0..200 {
        if sandbox.slack_messages().len() >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    child.wait().unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.lines().count() > 20, "trace logs a lot");
    for secret in [
        "canary-key-1",
        "canary-secret-2",
        "canary-slack-3",
        TOKEN,
        "카나리아홍",
        "010-9999-0000",
        "canary@example.com",
        "1002-canary",
    ] {
        let line = text.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in the log: {}", line.unwrap());
    }
    for line in text.lines() {
        let value: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("not one line of JSON: {line}"));
        assert_ne!(value["level"], "FORGED");
    }
}

#[test]
fn a_file_that_is_no_database_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = jeongsan::store::database_in(dir.path());
    std::fs::write(
        &file,
        "not a database, though it is long enough ".repeat(100),
    )
    .unwrap();
    for command in [["verify"], ["migrate"]] {
        let mut jeongsan = Command::new(env!("CARGO_BIN_EXE_jeongsan"));
        let (code, _, err) = run(jeongsan.args(command).env("JEONGSAN_DATA_DIR", dir.path()));
        assert_eq!(code, 2);
        assert!(err.contains(&*file.to_string_lossy()), "{err}");
        assert!(err.contains("restore a backup"), "{err}");
    }
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .starts_with("not a database")
    );
}
