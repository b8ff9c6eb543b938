//! `Idempotency-Key`: one wish is carried out once, however often and whenever it is asked, and whatever
//! dies in between.

use std::time::Duration;

use jeongsan::{
    domain::account::Role,
    sandbox::{Fault, Kind, NewPayment, Sandbox, SandboxConfig, Target},
    store::{books, database_in},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::{Method, RequestBuilder, Response, header};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    keys::key,
    killing::{Server, free_port},
    people::Visitor,
    support::{TOKEN, TestApp, read},
};

fn ask(app: &TestApp, method: Method, path: &str, key: &str) -> RequestBuilder {
    app.http
        .request(method, app.url(path))
        .bearer_auth(TOKEN)
        .header("idempotency-key", key)
        .header("accept-language", "en")
}

async fn post(app: &TestApp, path: &str, key: &str, body: &Value) -> Response {
    let request = ask(app, Method::POST, path, key).json(body);
    request.send().await.unwrap()
}

fn is_replayed(answer: &Response) -> bool {
    answer
        .headers()
        .get("idempotency-replayed")
        .is_some_and(|value| value == "true")
}

fn partner(id: &str) -> Value {
    json!({ "id": id, "name": "햇살농장", "type": "INDIVIDUAL" })
}

fn order(id: &str) -> Value {
    json!({ "merchant_uid": id, "lines": [{ "partner": "farm", "name": "사과", "quantity": 1, "unit_price": 9000 }] })
}

fn kind(problem: &Value) -> &str {
    let kind = problem["type"].as_str().unwrap_or_default();
    kind.rsplit(':').next().unwrap_or_default()
}

#[tokio::test]
async fn the_same_request_again_is_answered_as_before_and_changes_nothing() {
    let mut app = TestApp::start().await;
    let first = post(&app, "/api/partners", "k-1", &partner("farm-1")).await;
    assert!(!is_replayed(&first));
    let location = first.headers()[header::LOCATION].clone();
    let (code, body) = read(first).await;
    assert_eq!(code, 201);
    // It changes meanwhile: the answer is what it was then.
    let renamed = json!({ "name": "달빛농장", "type": "INDIVIDUAL" });
    let put = ask(&app, Method::PUT, "/api/partners/farm-1", "k-2").json(&renamed);
    assert_eq!(put.send().await.unwrap().status(), 200);
    let written = "select count(*) from history";
    let before: i64 = app.sql(written);
    for round in 0..3 {
        if round == 2 {
            // Over a restart, too.
            app.shut_down().await;
            app.boot().await;
        }
        let again = post(&app, "/api/partners", "\"k-1\"", &partner("farm-1")).await;
        assert!(is_replayed(&again));
        assert_eq!(again.headers()[header::LOCATION], location);
        assert_eq!(read(again).await, (201, body.clone()));
        let put = ask(&app, Method::PUT, "/api/partners/farm-1", "k-2").json(&renamed);
        let again = put.send().await.unwrap();
        assert!(is_replayed(&again));
        assert_eq!(read(again).await.1["name"], "달빛농장");
    }
    assert_eq!(app.sql::<i64>(written), before);
    // Without its key it is another wish.
    let (code, problem) = read(app.post("/api/partners", &partner("farm-1")).await).await;
    assert_eq!((code, kind(&problem)), (409, "partner-exists"));
}

#[tokio::test]
async fn a_key_is_for_one_request_of_one_caller() {
    let app = TestApp::start().await;
    assert_eq!(
        post(&app, "/api/partners", "k", &partner("farm-1"))
            .await
            .status(),
        201
    );
    for (method, path, body) in [
        (Method::POST, "/api/partners", partner("farm-2")),
        (Method::POST, "/api/orders", partner("farm-1")),
        (Method::PUT, "/api/partners/farm-1", partner("farm-1")),
        (Method::DELETE, "/api/contracts/1", Value::Null),
        (Method::POST, "/api/partners/farm-1/archive", Value::Null),
        (Method::POST, "/api/partners?x=1", partner("farm-1")),
    ] {
        let answer = ask(&app, method, path, "k")
            .json(&body)
            .send()
            .await
            .unwrap();
        let (code, problem) = read(answer).await;
        assert_eq!(
            (code, kind(&problem)),
            (422, "idempotency-key-reused"),
            "{path}"
        );
    }
    let farms = "select count(*) from partner where id like 'farm-%' and archived_at is null";
    assert_eq!(app.sql::<i64>(farms), 1);
    // Somebody else's key of the same name is another one.
    let shop = key(&app, "shop", "partners:write", None).await;
    let other = app
        .http
        .post(app.url("/api/partners"))
        .bearer_auth(&shop)
        .header("idempotency-key", "k")
        .json(&partner("farm-2"));
    assert_eq!(other.send().await.unwrap().status(), 201);
    let store = &app.app().web.ctx.store;
    let minji = Visitor::signed_in(store, &app.url(""), "minji", Role::Owner).await;
    let by_page = |body: Value| {
        let request = minji.request(Method::POST, "/api/partners");
        let request = minji.with(request).header("x-form-token", minji.token());
        request.header("idempotency-key", "k").json(&body).send()
    };
    assert_eq!(by_page(partner("farm-3")).await.unwrap().status(), 201);
    assert!(is_replayed(&by_page(partner("farm-3")).await.unwrap()));
    // What may not be asked is not kept, and neither is what cannot be a key.
    let refused = app
        .http
        .post(app.url("/api/adjustments/import"))
        .bearer_auth(&shop)
        .header("idempotency-key", "k-9");
    assert_eq!(refused.send().await.unwrap().status(), 403);
    let (code, problem) =
        read(post(&app, "/api/partners", &"x".repeat(256), &partner("farm-4")).await).await;
    assert_eq!((code, kind(&problem)), (400, "idempotency-key"));
    assert_eq!(app.sql::<i64>("select count(*) from asked_once"), 3);
}

#[tokio::test]
async fn a_cancel_and_an_adjustment_keep_their_own_keys_and_no_other_wish_may_take_them() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 9_000).await;
    assert_eq!(
        post(&app, "/api/partners", "p", &partner("farm"))
            .await
            .status(),
        201
    );
    let cancel = format!("/api/payment/{imp_uid}/cancel");
    let part = json!({ "amount": 1_000, "reason": "반품" });
    let add = json!({ "partner": "farm", "amount": -500, "reason": "배송비" });
    assert_eq!(post(&app, &cancel, "c", &part).await.status(), 200);
    assert_eq!(
        post(&app, "/api/adjustments", "a", &add).await.status(),
        201
    );
    for _ in 0..2 {
        assert_eq!(post(&app, &cancel, "c", &part).await.status(), 200);
        assert_eq!(
            post(&app, "/api/adjustments", "a", &add).await.status(),
            200
        );
    }
    assert_eq!(app.portone.cancels_of(&imp_uid).len(), 1);
    assert_eq!(app.sql::<i64>("select count(*) from adjustment"), 1);
    for (path, key, body) in [
        ("/api/partners", "c", &partner("farm-2")),
        ("/api/partners", "a", &partner("farm-2")),
        (cancel.as_str(), "p", &part),
        ("/api/adjustments", "p", &add),
    ] {
        let (code, problem) = read(post(&app, path, key, body).await).await;
        assert_eq!(
            (code, kind(&problem)),
            (422, "idempotency-key-reused"),
            "{path} {key}"
        );
    }
}

#[tokio::test]
async fn of_many_at_once_one_is_carried_out_and_the_others_are_told_to_ask_again() {
    let app = TestApp::start().await;
    app.portone
        .fault(Fault::new(Target::Prepare, Kind::Slow { ms: 400 }).times(1));
    let body = order("ord-1");
    let all = (0..10).map(|_| post(&app, "/api/orders", "k", &body));
    let answers = futures::future::join_all(all).await;
    let mut made = 0;
    for answer in answers {
        let waits = answer.headers().get(header::RETRY_AFTER).cloned();
        let replayed = is_replayed(&answer);
        let (code, body) = read(answer).await;
        match code {
            201 => made += usize::from(!replayed),
            409 => {
                assert_eq!(kind(&body), "idempotency-in-flight");
                assert_eq!(waits.unwrap(), "1");
            }
            _ => panic!("{code} {body}"),
        }
    }
    assert_eq!(made, 1);
    // Another request under the key of one that is under way is refused as ever.
    let again = post(&app, "/api/orders", "k", &body).await;
    assert!(is_replayed(&again) && again.status() == 201);
    app.drain().await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_finds_the_outcome_under_its_key() {
    let app = TestApp::start().await;
    app.portone
        .fault(Fault::new(Target::Prepare, Kind::Slow { ms: 3_000 }).times(1));
    let body = order("ord-1");
    let request = ask(&app, Method::POST, "/api/orders", "k").json(&body);
    let gone = request.timeout(Duration::from_millis(800)).send().await;
    assert!(gone.unwrap_err().is_timeout());
    let waiting = post(&app, "/api/orders", "k", &body).await;
    assert_eq!(waiting.status(), 409);
    let other = post(&app, "/api/orders", "k", &order("ord-2")).await;
    assert_eq!(other.status(), 422);
    for _ in 0..200 {
        let answer = post(&app, "/api/orders", "k", &body).await;
        if answer.status() != 409 {
            assert!(is_replayed(&answer));
            let (code, body) = read(answer).await;
            assert_eq!(
                (code, &body["order"]["merchant_uid"]),
                (201, &json!("ord-1"))
            );
            app.drain().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never ended");
}

#[tokio::test]
async fn what_says_not_now_is_not_kept_and_what_says_no_is() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 9_000).await;
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::Slow { ms: 3_000 }).times(1));
    let path = format!("/api/payment/cancel/{imp_uid}");
    let (part, told) = tokio::join!(app.cancel(&imp_uid, Some(1_000)), async {
        while app.portone.calls("cancel") == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        read(
            ask(&app, Method::DELETE, &path, "all")
                .send()
                .await
                .unwrap(),
        )
        .await
    });
    assert_eq!(part.status(), 200);
    assert_eq!((told.0, kind(&told.1)), (409, "cancel-in-progress"));
    let answer = ask(&app, Method::DELETE, &path, "all")
        .send()
        .await
        .unwrap();
    assert!(answer.status() == 200 && !is_replayed(&answer));
    let answer = ask(&app, Method::DELETE, &path, "all")
        .send()
        .await
        .unwrap();
    assert!(answer.status() == 200 && is_replayed(&answer));
    let get = ask(&app, Method::GET, &path, "all").send().await.unwrap();
    assert_eq!(get.status(), 422, "by the other verb it is another request");

    let wrong = json!({ "id": "farm-1", "name": "", "type": "?" });
    let (code, first) = read(post(&app, "/api/partners", "no", &wrong).await).await;
    assert_eq!(code, 422);
    let again = post(&app, "/api/partners", "no", &wrong).await;
    assert!(is_replayed(&again));
    assert_eq!(
        again.headers()[header::CONTENT_TYPE],
        "application/problem+json; charset=utf-8"
    );
    assert_eq!(read(again).await, (422, first));
}

/// Takes the answer of a wish away, as if the process had died before it was kept.
fn forget_answer(app: &TestApp, key: &str, touched: bool) {
    let conn = Connection::open(app.database()).unwrap();
    conn.busy_timeout(Duration::from_secs(5)).unwrap();
    conn.execute_batch("drop trigger asked_once_is_answered_once")
        .unwrap();
    let changed = conn
        .execute(
            "update asked_once set status = null, headers = null, body = null, answered_at = null, touched = ?2
              where key = ?1",
            (key, touched),
        )
        .unwrap();
    assert_eq!(changed, 1);
    conn.execute_batch(
        "create trigger asked_once_is_answered_once before update on asked_once
         when old.status is not null begin select raise(abort, 'asked_once_is_answered_once'); end",
    )
    .unwrap();
}

#[tokio::test]
async fn a_wish_that_died_is_run_again_only_if_nothing_of_it_was_carried_out() {
    let mut app = TestApp::start().await;
    assert_eq!(
        post(&app, "/api/partners", "p", &partner("farm"))
            .await
            .status(),
        201
    );
    assert_eq!(
        post(&app, "/api/partners/farm/archive", "z", &Value::Null)
            .await
            .status(),
        200
    );
    assert_eq!(
        post(&app, "/api/orders", "o", &order("ord-1"))
            .await
            .status(),
        201
    );
    app.drain().await;
    assert_eq!(
        app.sql::<String>(
            "select group_concat(touched, '') from (select touched from asked_once order by id)"
        ),
        "111",
        "each was marked by what it wrote"
    );
    app.shut_down().await;
    forget_answer(&app, "p", true);
    forget_answer(&app, "z", true);
    forget_answer(&app, "o", true);
    app.boot().await;
    for _ in 0..2 {
        let (code, problem) = read(post(&app, "/api/partners", "p", &partner("farm")).await).await;
        assert_eq!((code, kind(&problem)), (409, "idempotency-outcome-unknown"));
        assert_eq!(problem["see"], "/api/partners");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("`/api/partners`")
        );
        let answer = post(&app, "/api/partners/farm/archive", "z", &Value::Null).await;
        let (code, problem) = read(answer).await;
        assert_eq!((code, &problem["see"]), (409, &json!("/api/partners/farm")));
    }
    // An order once registered stays as it is: to ask again does no harm.
    let again = post(&app, "/api/orders", "o", &order("ord-1")).await;
    assert!(again.status() == 200 && !is_replayed(&again));
    assert!(is_replayed(
        &post(&app, "/api/orders", "o", &order("ord-1")).await
    ));

    // Nothing was carried out of this one: it runs.
    let conn = Connection::open(app.database()).unwrap();
    conn.busy_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(
        post(&app, "/api/partners", "u", &json!({ "id": "?" }))
            .await
            .status(),
        422
    );
    assert_eq!(
        app.sql::<i64>("select touched from asked_once where key = 'u'"),
        0,
        "a refusal touches nothing"
    );
    forget_answer(&app, "u", false);
    let again = post(&app, "/api/partners", "u", &json!({ "id": "?" })).await;
    assert!(again.status() == 422 && !is_replayed(&again));

    for (sql, rule) in [
        ("delete from asked_once", "asked_once_is_never_removed"),
        (
            "update asked_once set status = 200 where key = 'o'",
            "asked_once_is_answered_once",
        ),
    ] {
        let error = conn.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains(rule), "{error}");
    }
    app.drain().await;
}

/// The real program, killed at random moments while partners are added, each under a key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_effect_and_answer_nothing_is_done_twice_and_nothing_is_claimed() {
    let kills: u64 = std::env::var("TEST_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(12);
    let mut dice = StdRng::seed_from_u64(kills);
    let dir = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(8))
        .build()
        .unwrap();
    let send = |n: u64| {
        let request = http.post(format!("{url}/api/partners")).bearer_auth(TOKEN);
        request
            .header("idempotency-key", format!("key-{n}"))
            .json(&partner(&format!("farm-{n}")))
            .send()
    };
    let mut server = Server::start(&sandbox, dir.path(), port).await;
    let (mut next, mut unknown, mut ran, mut replayed) = (0u64, 0, 0, 0);
    for _ in 0..kills {
        let from = next;
        next += 400;
        // Eight at a time, until the program is gone.
        let drive = async {
            for first in (from..next).step_by(8) {
                let answers = futures::future::join_all((first..first + 8).map(send)).await;
                if answers.iter().all(Result::is_err) {
                    return first + 8;
                }
            }
            next
        };
        let wait = Duration::from_millis(dice.random_range(30..160));
        let (reached, ()) = tokio::join!(drive, async {
            tokio::time::sleep(wait).await;
            server.kill();
        });
        server = Server::start(&sandbox, dir.path(), port).await;
        for n in from..reached {
            let answer = send(n).await.unwrap();
            let was = is_replayed(&answer);
            let (code, body) = read(answer).await;
            match code {
                201 if was => replayed += 1,
                201 => ran += 1,
                // `partner-exists` would mean that it ran a second time.
                409 => {
                    assert_eq!(kind(&body), "idempotency-outcome-unknown", "{n}: {body}");
                    unknown += 1;
                    let known = http
                        .get(format!("{url}/api/partners/farm-{n}"))
                        .bearer_auth(TOKEN);
                    assert_eq!(
                        known.send().await.unwrap().status(),
                        200,
                        "{n} is there, as it says"
                    );
                }
                _ => panic!("{n}: {code} {body}"),
            }
        }
        next = reached;
    }
    eprintln!(
        "{next} wishes, {kills} kills: {replayed} replayed, {ran} ran after it, {unknown} unknown"
    );
    assert!(replayed > 0 && ran > 0, "{replayed} {ran} {unknown}");
    server.kill();
    let conn = Connection::open(database_in(dir.path())).unwrap();
    let farms: i64 = conn
        .query_row(
            "select count(*) from partner where id like 'farm-%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(farms as u64, next, "each is there once");
    assert_eq!(books::check(&conn).unwrap(), vec![]);
}

/// Killed while PortOne is asked, once before anything was written and once after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_that_died_is_marked_by_its_effect_and_by_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let http = reqwest::Client::new();
    let send = |method: Method, path: String, body: Value| {
        let request = http
            .request(method, format!("{url}{path}"))
            .bearer_auth(TOKEN);
        request.header("idempotency-key", path).json(&body).send()
    };
    let count = |sql: &str| -> i64 {
        let conn = Connection::open(database_in(dir.path())).unwrap();
        conn.busy_timeout(Duration::from_secs(5)).unwrap();
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let until = async |sql: &str| {
        for _ in 0..800 {
            if count(sql) == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {sql}");
    };

    // An order asks PortOne first, and writes then.
    let server = Server::start(&sandbox, dir.path(), port).await;
    sandbox.fault(Fault::new(Target::Prepare, Kind::Hang { ms: 60_000 }).times(1));
    let ask = || send(Method::POST, "/api/orders".into(), order("ord-1"));
    let (broken, ()) = tokio::join!(ask(), async {
        until("select count(*) from asked_once").await;
        server.kill();
    });
    assert!(broken.is_err());
    assert_eq!(count("select count(*) from merchant_order"), 0);
    assert_eq!(
        count("select count(*) from asked_once where touched = 0 and status is null"),
        1
    );
    let server = Server::start(&sandbox, dir.path(), port).await;
    let answer = ask().await.unwrap();
    assert!(answer.status() == 201 && !is_replayed(&answer));
    let answer = ask().await.unwrap();
    assert!(answer.status() == 201 && is_replayed(&answer));

    // A cancel writes first, and asks PortOne then.
    let new = NewPayment {
        merchant_uid: "ord-1".into(),
        amount: 9_000,
        ..NewPayment::default()
    };
    let imp_uid = sandbox.pay(new).unwrap();
    let told = json!({ "imp_uid": imp_uid, "merchant_uid": "ord-1" });
    let told = http.post(format!("{url}/api/payment/portone")).json(&told);
    assert_eq!(told.send().await.unwrap().status(), 200);
    sandbox.fault(Fault::new(Target::Cancel, Kind::Hang { ms: 60_000 }).times(1));
    let ask = || {
        send(
            Method::DELETE,
            format!("/api/payment/cancel/{imp_uid}"),
            Value::Null,
        )
    };
    let (broken, ()) = tokio::join!(ask(), async {
        until("select count(*) from cancellation").await;
        server.kill();
    });
    assert!(broken.is_err());
    assert_eq!(
        count("select count(*) from asked_once where touched = 1 and status is null"),
        1
    );
    let _server = Server::start(&sandbox, dir.path(), port).await;
    let answer = ask().await.unwrap();
    assert!(matches!(answer.status().as_u16(), 200 | 202) && !is_replayed(&answer));
    assert!(is_replayed(&ask().await.unwrap()));
    until("select count(*) from payment where status = 'CANCELED'").await;
    assert_eq!(sandbox.cancels_of(&imp_uid).len(), 1);
}
