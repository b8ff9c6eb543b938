//! Programs' keys: what they open, how they end, and how often they may ask.

use std::time::Duration;

use jeongsan::{
    domain::{
        account::Role,
        api_key::{KeyName, scopes},
    },
    flow::manage_keys,
    store::{
        acting::{self, Acting},
        database_in,
    },
};
use reqwest::{Response, header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    killing::{Server, free_port},
    people::Visitor,
    support::{TestApp, read},
};

/// A key as an owner makes it.
pub async fn key(app: &TestApp, name: &str, scope: &str, lasts: Option<Duration>) -> String {
    let store = &app.app().web.ctx.store;
    let name = KeyName::new(name).unwrap();
    let made = manage_keys::make(store, name, scopes([scope]).unwrap(), lasts, "test").await;
    made.unwrap().secret.expose_secret().to_owned()
}

async fn get(app: &TestApp, key: &str, path: &str) -> Response {
    app.http
        .get(app.url(path))
        .bearer_auth(key)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_say_and_nothing_else() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 9_000).await;
    let reader = key(&app, "reader", "payments:read", None).await;
    let canceller = key(&app, "shop", "payments:read,payments:cancel", None).await;
    assert!(
        reader.starts_with("jsk_") && reader.len() == 4 + 8 + 1 + 64,
        "{}",
        reader.len()
    );
    assert_eq!(get(&app, &reader, "/api/payment/list").await.status(), 200);
    assert_eq!(get(&app, &reader, "/payment/mypage").await.status(), 200);
    for path in [
        "/api/settlements",
        "/metrics",
        "/admin/keys",
        "/api/partners/x/account",
    ] {
        assert_eq!(get(&app, &reader, path).await.status(), 403, "{path}");
    }
    let cancel = |key: &str| {
        app.http
            .post(app.url(&format!("/api/payment/{imp_uid}/cancel")))
            .bearer_auth(key)
            .json(&json!({ "reason": "반품" }))
            .send()
    };
    let (code, problem) = read(cancel(&reader).await.unwrap()).await;
    assert_eq!((code, &problem["right"]), (403, &json!("payments:cancel")));
    assert_eq!(app.status(&imp_uid).await, "PAID");
    assert_eq!(cancel(&canceller).await.unwrap().status(), 200);
    // Who did it stands in the payment's timeline and in the audit log.
    let story = app.json(&format!("/api/payment/{imp_uid}")).await;
    assert_eq!(story["cancellations"][0]["requested_by"], "key:shop");
    let noted = "select count(*) from audit where actor = 'key:shop' and act like 'payment.%' and origin = '127.0.0.1'";
    assert!(app.sql::<i64>(noted) > 0);
}

#[tokio::test]
async fn a_key_that_is_over_revoked_or_invented_opens_nothing() {
    let app = TestApp::start().await;
    let short = key(
        &app,
        "short",
        "payments:read",
        Some(Duration::from_secs(3_600)),
    )
    .await;
    let long = key(&app, "long", "payments:read", None).await;
    let refused = |key: String| {
        let app = &app;
        async move {
            let request = app
                .http
                .get(app.url("/api/payment/list"))
                .bearer_auth(key)
                .header("accept-language", "en");
            let answer = request.send().await.unwrap();
            assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], "Bearer");
            let (code, problem) = read(answer).await;
            assert_eq!(code, 401);
            assert_eq!(problem["type"], "urn:jeongsan:problem:unauthorized");
            problem["detail"].as_str().unwrap().to_owned()
        }
    };
    assert_eq!(get(&app, &short, "/api/payment/list").await.status(), 200);
    app.clock.advance(Duration::from_secs(3_600));
    assert!(refused(short).await.contains("`short` is past its time"));
    let store = &app.app().web.ctx.store;
    manage_keys::revoke_named(store, "long", "test")
        .await
        .unwrap();
    assert!(refused(long.clone()).await.contains("`long` was revoked"));
    // One digit more, one less, another one: each is nobody's.
    let mut other = long.clone();
    other.pop();
    for wrong in [
        format!("{long}0"),
        other,
        "jsk_".into(),
        "jsk_00112233_".into(),
    ] {
        assert!(refused(wrong).await.contains("API key is needed"));
    }
    // The name is free again, and the old secret stays worthless.
    let next = key(&app, "long", "payments:read", None).await;
    assert_eq!(get(&app, &next, "/api/payment/list").await.status(), 200);
    refused(long).await;
    let twice =
        "update api_key set revoked_at = null, revoked_by = null where revoked_at is not null";
    let conn = rusqlite::Connection::open(app.database()).unwrap();
    assert!(
        conn.execute(twice, [])
            .unwrap_err()
            .to_string()
            .contains("api_key_stays_revoked")
    );
}

#[tokio::test]
async fn a_secret_is_kept_nowhere_and_its_use_is_noted_once_a_minute() {
    let mut app = TestApp::start().await;
    let secret = key(&app, "shop", "payments:read", None).await;
    let used = |app: &TestApp| app.sql::<Option<i64>>("select last_used_at from api_key");
    assert_eq!(used(&app), None);
    for _ in 0..20 {
        get(&app, &secret, "/api/payment/list").await;
    }
    let mut first = None;
    for _ in 0..200 {
        first = used(&app);
        if first.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(first.is_some(), "its use was noted");
    app.clock.advance(Duration::from_secs(30));
    get(&app, &secret, "/api/payment/list").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(used(&app), first, "not twice in a minute");
    app.clock.advance(Duration::from_secs(31));
    get(&app, &secret, "/api/payment/list").await;
    for _ in 0..200 {
        if used(&app) != first {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(used(&app) > first, "a minute later it is noted again");
    app.shut_down().await;
    let bytes = std::fs::read(database_in(app.dir())).unwrap();
    let holds = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(holds(&secret[..12]), "what is shown is kept");
    assert!(
        !holds(&secret) && !holds(&secret[13..]),
        "and the secret is not"
    );
    app.boot().await;
    assert_eq!(get(&app, &secret, "/api/payment/list").await.status(), 200);
}

#[tokio::test]
async fn an_owner_makes_and_revokes_keys_on_the_page_and_sees_a_secret_once() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    let owner = Visitor::signed_in(&store, &app.url(""), "minji", Role::Owner).await;
    let viewer = Visitor::signed_in(&store, &app.url(""), "seho", Role::Viewer).await;
    assert_eq!(viewer.get("/admin/keys").await.status(), 403);
    let form = [
        ("name", "shop"),
        ("days", "90"),
        ("scope", "payments:read"),
        ("scope", "orders:write"),
    ];
    assert_eq!(viewer.post("/admin/keys", &form).await.status(), 403);

    for (wrong, said) in [
        (
            [("name", "S!"), ("days", ""), ("scope", "payments:read")],
            "2~40",
        ),
        (
            [
                ("name", "shop"),
                ("days", "9999"),
                ("scope", "payments:read"),
            ],
            "3,650",
        ),
        (
            [("name", "shop"), ("days", ""), ("scope", "own:read")],
            "own:read",
        ),
        ([("name", "shop"), ("days", ""), ("scope", "")], "하나 이상"),
    ] {
        let answer = owner.post("/admin/keys", &wrong).await;
        assert_eq!(answer.status(), 422, "{wrong:?}");
        let text = answer.text().await.unwrap();
        assert!(
            text.contains(said) && text.contains("role=\"alert\""),
            "{said}"
        );
    }
    assert_eq!(app.sql::<i64>("select count(*) from api_key"), 0);

    let answer = owner.post("/admin/keys", &form).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let text = answer.text().await.unwrap();
    let at = text.find("value=\"jsk_").unwrap() + 7;
    let secret = text[at..].split('"').next().unwrap().to_owned();
    assert_eq!(get(&app, &secret, "/api/payment/list").await.status(), 200);
    let (_, list) = owner.text("/admin/keys").await;
    assert!(list.contains(&secret[..12]) && !list.contains(&secret));
    let again = owner.post("/admin/keys", &form).await;
    assert_eq!(again.status(), 409, "the name is taken");

    let id: i64 = app.sql("select id from api_key");
    let revoke = format!("/admin/keys/{id}/revoke");
    assert_eq!(viewer.post(&revoke, &[]).await.status(), 403);
    assert_eq!(owner.post(&revoke, &[]).await.status(), 303);
    assert_eq!(
        owner.post(&revoke, &[]).await.status(),
        303,
        "twice is once"
    );
    assert_eq!(get(&app, &secret, "/api/payment/list").await.status(), 401);
    let acts = "select group_concat(actor || ' ' || act, ', ') from (select actor, act from audit where act like 'key.%' order by id)";
    assert_eq!(
        app.sql::<String>(acts),
        "@minji key.made, @minji key.revoked"
    );
    assert_eq!(
        app.sql::<i64>(&format!(
            "select count(*) from audit where after like '%{}%'",
            &secret[13..]
        )),
        0
    );

    // Whoever finds the browser open later is asked who they are.
    app.clock.advance(Duration::from_secs(6 * 60));
    let asked = owner.get("/admin/keys").await;
    assert_eq!(asked.status(), 303);
    assert!(
        asked.headers()[header::LOCATION]
            .to_str()
            .unwrap()
            .starts_with("/sign-in/again")
    );
    assert_eq!(owner.post("/admin/keys", &form).await.status(), 303);
    assert_eq!(app.sql::<i64>("select count(*) from api_key"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_takes_a_key_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = jeongsan::sandbox::Sandbox::start(Default::default())
        .await
        .unwrap();
    let port = free_port();
    let server = Server::start(&sandbox, dir.path(), port).await;
    let cli = |args: &[&str]| {
        let output = Server::command(&sandbox, dir.path(), port, &[])
            .args(args)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let add = [
        "key",
        "add",
        "shop",
        "--scope",
        "payments:read",
        "--scope",
        "orders:write",
        "--expires",
        "90d",
    ];
    let (code, out, err) = cli(&add);
    assert_eq!(code, 0, "{err}");
    let secret = out.trim();
    assert_eq!(out, format!("{secret}\n"), "the key, and nothing beside it");
    let http = reqwest::Client::new();
    let look = || {
        http.get(format!("{}/api/payment/list", server.url))
            .bearer_auth(secret)
            .send()
    };
    assert_eq!(look().await.unwrap().status(), 200);
    let (code, _, err) = cli(&add);
    assert!(
        code == 2 && err.contains("there is a key `shop` already"),
        "{err}"
    );
    let (code, _, err) = cli(&["key", "add", "x2", "--scope", "everything"]);
    assert!(code == 2 && err.contains("payments:read"), "{err}");
    let (_, out, _) = cli(&["key", "list"]);
    assert!(
        out.contains("shop") && out.contains(&secret[..12]) && out.contains("live"),
        "{out}"
    );
    assert!(!out.contains(secret));
    let (_, out, _) = cli(&["key", "list", "--json"]);
    let listed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        listed[0]["scopes"],
        json!(["payments:read", "orders:write"])
    );
    assert_eq!(cli(&["key", "revoke", "shop"]).0, 0);
    assert_eq!(look().await.unwrap().status(), 401);
    let (code, _, err) = cli(&["key", "revoke", "shop"]);
    assert!(code == 2 && err.contains("no key `shop`"), "{err}");
    let conn = rusqlite::Connection::open(database_in(dir.path())).unwrap();
    let acts: i64 = conn
        .query_row("select count(*) from audit where actor = 'cli' and origin = 'terminal' and act like 'key.%'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(acts, 2);
}

#[tokio::test]
async fn a_key_and_an_address_may_ask_so_often_and_are_told_when_again() {
    let app = TestApp::with(&[("api.rate", "5"), ("api.address_rate", "40")], false).await;
    let (one, two) = (
        key(&app, "one", "payments:read", None).await,
        key(&app, "two", "payments:read", None).await,
    );
    let ask = |key: &str| {
        app.http
            .get(app.url("/api/payment/list"))
            .bearer_auth(key)
            .send()
    };
    let answers = futures::future::join_all((0..15).map(|_| ask(&one))).await;
    let refused: Vec<Response> = answers
        .into_iter()
        .map(Result::unwrap)
        .filter(|answer| answer.status() != 200)
        .collect();
    assert!(refused.len() >= 5, "{}", refused.len());
    for answer in refused {
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()[header::RETRY_AFTER], "1");
        let (_, problem) = read(answer).await;
        assert_eq!(problem["type"], "urn:jeongsan:problem:too-many-requests");
    }
    assert_eq!(
        ask(&two).await.unwrap().status(),
        200,
        "another key has its own"
    );
    // Guessing keys is slowed down by the address that guesses.
    let guesses: Vec<String> = (0..120).map(|n| format!("jsk_0000000{n}_no")).collect();
    let answers = futures::future::join_all(guesses.iter().map(|guess| ask(guess))).await;
    let codes: Vec<u16> = answers
        .into_iter()
        .map(|answer| answer.unwrap().status().as_u16())
        .collect();
    assert!(codes.contains(&401) && codes.contains(&429), "{codes:?}");
    // A webhook has limits of its own, and pages have none of these.
    assert_eq!(app.webhook("imp_none", "ord-x", "paid").await.status(), 200);
    assert_eq!(get(&app, "", "/payment").await.status(), 200);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(
        ask(&one).await.unwrap().status(),
        200,
        "a second later it may again"
    );
}

#[tokio::test]
async fn many_at_once_make_one_key_of_a_name() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    let acting = || Acting {
        by: "@minji",
        origin: "10.0.0.1".into(),
        once: None,
    };
    let made = (0..10).map(|_| {
        let name = KeyName::new("shop").unwrap();
        let rights = scopes(["export"]).unwrap();
        acting::scope(
            acting(),
            manage_keys::make(&store, name, rights, None, "@minji"),
        )
    });
    let made = futures::future::join_all(made).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    assert_eq!(
        app.sql::<i64>("select count(*) from audit where act = 'key.made'"),
        1
    );
}
