//! Promises 1 to 3: what got 200 is kept, a webhook is a hint, the same twice changes nothing.

use std::time::Duration;

use jeongsan::sandbox::{Fault, Kind, NewPayment, Status, Target};
use serde_json::json;

use crate::support::{TOKEN, TestApp, read};

#[tokio::test]
async fn a_payment_told_is_verified_kept_and_listed() {
    let app = TestApp::start().await;
    let imp_uid = app.charge("ord-1", 12_000);
    let (status, body) = read(app.webhook(&imp_uid, "ord-1", "paid").await).await;
    assert_eq!(
        (status, body["verdict"].as_str()),
        (200, Some("BOOKED")),
        "{body}"
    );
    assert_eq!(body["payment"]["amount"], 12_000);
    assert!(
        body["payment"].get("buyer_name").is_none(),
        "an open answer tells nothing of the buyer"
    );

    let list = app.json("/api/payment/list").await;
    assert_eq!(list["payments"][0]["imp_uid"], imp_uid.as_str());
    assert_eq!(list["payments"][0]["status"], "PAID");
    assert_eq!(list["payments"][0]["balance"], 12_000);
    assert!(
        list["payments"][0]["paid_at"]
            .as_str()
            .unwrap()
            .ends_with("+09:00")
    );
    let one = app.json(&format!("/api/payment/{imp_uid}")).await;
    assert_eq!(one["timeline"][0]["kind"], "first_heard");
    assert_eq!(one["messages"][0]["verdict"], "BOOKED");
}

#[tokio::test]
async fn a_payment_told_ten_times_at_once_is_booked_once() {
    let app = TestApp::start().await;
    let imp_uid = app.charge("ord-1", 12_000);
    let answers =
        futures::future::join_all((0..10).map(|_| app.webhook(&imp_uid, "ord-1", "paid"))).await;
    for answer in answers {
        assert_eq!(answer.status(), 200);
    }
    let again = read(app.webhook(&imp_uid, "ord-1", "paid").await).await;
    assert_eq!(again.1["verdict"], "NO_NEWS");
    assert_eq!(app.sql::<i64>("select count(*) from payment"), 1);
    assert_eq!(app.sql::<i64>("select count(*) from event"), 1);
    assert_eq!(app.sql::<i64>("select count(*) from inbox"), 11);
}

#[tokio::test]
async fn json_and_form_are_both_read() {
    let app = TestApp::start().await;
    let imp_uid = app.charge("ord-1", 12_000);
    let answer = app
        .http
        .post(app.url("/api/payment/portone"))
        .form(&[
            ("imp_uid", imp_uid.as_str()),
            ("merchant_uid", "ord-1"),
            ("status", "paid"),
        ])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(app.status(&imp_uid).await, "PAID");
}

#[tokio::test]
async fn what_the_body_says_is_not_believed() {
    let app = TestApp::start().await;
    let ready = app.charge_as(NewPayment {
        merchant_uid: "ord-1".into(),
        amount: 5_000,
        method: "vbank".into(),
        status: Status::Ready,
        ..NewPayment::default()
    });
    let failed = app.charge_as(NewPayment {
        merchant_uid: "ord-2".into(),
        amount: 5_000,
        status: Status::Failed,
        ..NewPayment::default()
    });
    for (imp_uid, order, status) in [(&ready, "ord-1", "READY"), (&failed, "ord-2", "FAILED")] {
        let (code, body) = read(app.webhook(imp_uid, order, "paid").await).await;
        assert_eq!(
            (code, body["verdict"].as_str()),
            (422, Some("NOT_PAID")),
            "{body}"
        );
        assert_eq!(body["type"], "urn:jeongsan:problem:not-paid");
        assert_eq!(app.status(imp_uid).await, status);
    }
    // A failed payment may still be paid; a paid one is not unpaid by an older word.
    app.portone.deposit(&ready).unwrap();
    assert_eq!(app.webhook(&ready, "ord-1", "ready").await.status(), 200);
    assert_eq!(app.status(&ready).await, "PAID");
}

#[tokio::test]
async fn another_order_than_portones_changes_nothing() {
    let app = TestApp::start().await;
    let imp_uid = app.charge("ord-1", 12_000);
    let (code, body) = read(app.webhook(&imp_uid, "ord-2", "paid").await).await;
    assert_eq!(
        (code, body["verdict"].as_str()),
        (422, Some("ANOTHER_ORDER")),
        "{body}"
    );
    assert_eq!(app.sql::<i64>("select count(*) from payment"), 0);
    assert_eq!(
        app.sql::<String>("select verdict from inbox"),
        "ANOTHER_ORDER"
    );
    // The true message is not shut out by the forged one.
    assert_eq!(app.webhook(&imp_uid, "ord-1", "paid").await.status(), 200);
}

#[tokio::test]
async fn another_amount_than_ordered_is_held_and_told() {
    let app = TestApp::start().await;
    let order = json!({ "merchant_uid": "ord-1", "lines": [
        { "partner": "farm", "name": "사과", "quantity": 1, "unit_price": 12_000 }] });
    assert_eq!(app.post("/api/orders", &order).await.status(), 201);
    assert_eq!(
        app.post("/api/orders", &order).await.status(),
        200,
        "the same again is no news"
    );
    let imp_uid = app.charge("ord-1", 9_000);
    let (code, body) = read(app.webhook(&imp_uid, "ord-1", "paid").await).await;
    assert_eq!(
        (code, body["verdict"].as_str()),
        (422, Some("HELD")),
        "{body}"
    );
    assert!(
        body["detail"].as_str().unwrap().contains("12,000"),
        "{body}"
    );
    let status = app.json(&format!("/api/payment/{imp_uid}/status")).await;
    assert_eq!(status["hold"]["reason"], "AMOUNT_DIFFERS");
    let held = app.json("/api/payment/list?held=1").await;
    assert_eq!(held["payments"].as_array().unwrap().len(), 1);
    app.drain().await;
    assert!(app.slack().contains("9,000"), "{}", app.slack());
    // The money can be given back.
    assert_eq!(app.cancel(&imp_uid, None).await.status(), 200);
    assert_eq!(app.status(&imp_uid).await, "CANCELED");
}

#[tokio::test]
async fn a_second_payment_of_an_order_is_held() {
    let app = TestApp::start().await;
    let order = json!({ "merchant_uid": "ord-1", "lines": [
        { "partner": "farm", "name": "사과", "quantity": 1, "unit_price": 12_000 }] });
    app.post("/api/orders", &order).await;
    let first = app.paid("ord-1", 12_000).await;
    let second = app.charge("ord-1", 12_000);
    let (code, body) = read(app.webhook(&second, "ord-1", "paid").await).await;
    assert_eq!(
        (code, body["verdict"].as_str()),
        (422, Some("HELD")),
        "{body}"
    );
    let status = app.json(&format!("/api/payment/{second}/status")).await;
    assert_eq!(status["hold"]["by"], first.as_str());
    app.drain().await;
}

#[tokio::test]
async fn a_test_payment_does_not_pass_for_a_live_one() {
    let mut app = TestApp::start().await;
    let imp_uid = app.charge_as(NewPayment {
        merchant_uid: "ord-1".into(),
        amount: 12_000,
        sandbox: true,
        ..NewPayment::default()
    });
    // PortOne does not even tell of it unless test payments are asked for.
    let (code, body) = read(app.webhook(&imp_uid, "ord-1", "paid").await).await;
    assert_eq!(
        (code, body["verdict"].as_str()),
        (200, Some("UNKNOWN_PAYMENT")),
        "{body}"
    );
    app.shut_down().await;
    app.set("portone.mode", "test");
    app.boot().await;
    assert_eq!(app.webhook(&imp_uid, "ord-1", "paid").await.status(), 200);
    let live = app.charge("ord-2", 1_000);
    let (code, _) = read(app.webhook(&live, "ord-2", "paid").await).await;
    assert_eq!(code, 422);
    let status = app.json(&format!("/api/payment/{live}/status")).await;
    assert_eq!(status["hold"]["reason"], "LIVE_PAYMENT");
    app.drain().await;
}

#[tokio::test]
async fn a_payment_in_dollars_is_refused_and_told() {
    let app = TestApp::start().await;
    let imp_uid = app.charge_as(NewPayment {
        merchant_uid: "ord-1".into(),
        amount: 1_050,
        currency: "USD".into(),
        ..NewPayment::default()
    });
    let (code, body) = read(app.webhook(&imp_uid, "ord-1", "paid").await).await;
    assert_eq!(
        (code, body["verdict"].as_str()),
        (422, Some("OTHER_CURRENCY")),
        "{body}"
    );
    assert_eq!(app.sql::<i64>("select count(*) from payment"), 0);
    app.drain().await;
    assert!(app.slack().contains("USD"));
}

#[tokio::test]
async fn an_id_that_portone_does_not_know_gets_200_and_a_verdict() {
    let app = TestApp::start().await;
    let (code, body) = read(app.webhook("imp_1234567890", "merchant_1", "paid").await).await;
    assert_eq!(
        (code, body["verdict"].as_str()),
        (200, Some("UNKNOWN_PAYMENT")),
        "{body}"
    );
    assert_eq!(app.sql::<i64>("select count(*) from payment"), 0);
}

#[tokio::test]
async fn an_unregistered_order_is_held_where_the_policy_says_so_until_it_is_registered() {
    let app = TestApp::with(&[("orders.unknown", "hold")], false).await;
    let imp_uid = app.charge("ord-1", 12_000);
    let (code, body) = read(app.webhook(&imp_uid, "ord-1", "paid").await).await;
    assert_eq!(
        (code, body["verdict"].as_str()),
        (422, Some("HELD")),
        "{body}"
    );
    let order = json!({ "merchant_uid": "ord-1", "lines": [
        { "partner": "farm", "name": "사과", "quantity": 1, "unit_price": 12_000 }] });
    assert_eq!(app.post("/api/orders", &order).await.status(), 201);
    let status = app.json(&format!("/api/payment/{imp_uid}/status")).await;
    assert_eq!(status["hold"], json!(null));
    let by_partner = app.json("/api/payment/list?partner=farm").await;
    assert_eq!(by_partner["payments"].as_array().unwrap().len(), 1);
    app.drain().await;
}

#[tokio::test]
async fn when_portone_is_down_the_message_is_kept_and_booked_later() {
    let app = TestApp::start().await;
    let imp_uid = app.charge("ord-1", 12_000);
    app.portone.fault(
        Fault::new(
            Target::Get,
            Kind::Status {
                status: 503,
                retry_after: None,
            },
        )
        .times(3),
    );
    let (code, body) = read(app.webhook(&imp_uid, "ord-1", "paid").await).await;
    assert_eq!(code, 202, "{body}");
    assert_eq!(app.sql::<i64>("select count(*) from payment"), 0);
    app.drain().await;
    assert_eq!(app.status(&imp_uid).await, "PAID");
    assert_eq!(
        app.sql::<i64>("select count(*) from job_attempt where outcome = 'retry'"),
        3
    );
}

#[tokio::test]
async fn when_portone_is_slow_the_sender_is_answered_in_time() {
    let set = [("intake.budget", "200ms"), ("portone.read_timeout", "20s")];
    let app = TestApp::with(&set, false).await;
    let imp_uid = app.charge("ord-1", 12_000);
    app.portone
        .fault(Fault::new(Target::Get, Kind::Hang { ms: 20_000 }).times(1));
    let started = std::time::Instant::now();
    assert_eq!(app.webhook(&imp_uid, "ord-1", "paid").await.status(), 202);
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    app.drain().await;
    assert_eq!(app.status(&imp_uid).await, "PAID");
}

#[tokio::test]
async fn what_got_an_answer_survives_the_death_of_the_process() {
    let mut app = TestApp::with(&[("intake.budget", "100ms")], false).await;
    let imp_uid = app.charge("ord-1", 12_000);
    app.portone
        .fault(Fault::new(Target::Get, Kind::Drop).times(1));
    assert_eq!(app.webhook(&imp_uid, "ord-1", "paid").await.status(), 202);
    app.shut_down().await;
    app.boot().await;
    app.drain().await;
    assert_eq!(app.status(&imp_uid).await, "PAID");
}

#[tokio::test]
async fn bad_input_gets_a_clear_error_and_changes_nothing() {
    let app = TestApp::start().await;
    let url = app.url("/api/payment/portone");
    let send = |kind: &'static str, body: Vec<u8>| {
        let request = app.http.post(&url).header("content-type", kind).body(body);
        async move { read(request.send().await.unwrap()).await }
    };
    let deep = format!("{{\"imp_uid\":{}1{}}}", "[".repeat(500), "]".repeat(500)).into_bytes();
    for (kind, body) in [
        ("application/json", b"".to_vec()),
        ("application/json", b"{".to_vec()),
        ("application/json", b"{\"imp_uid\": 7}".to_vec()),
        ("application/json", b"{\"merchant_uid\": \"x\"}".to_vec()),
        ("application/json", deep),
        ("application/x-www-form-urlencoded", b"imp_uid=".to_vec()),
        ("text/plain", vec![0xff, 0xfe, 0x00]),
        (
            "application/json",
            format!("{{\"imp_uid\":\"{}\"}}", "x".repeat(300)).into_bytes(),
        ),
    ] {
        let (code, problem) = send(kind, body.clone()).await;
        assert_eq!(code, 400, "{kind} {:?}", String::from_utf8_lossy(&body));
        assert_eq!(problem["type"], "urn:jeongsan:problem:bad-request");
    }
    let (code, problem) = send("application/json", vec![b' '; 70_000]).await;
    assert_eq!(
        (code, problem["type"].as_str()),
        (413, Some("urn:jeongsan:problem:too-large"))
    );
    assert_eq!(app.sql::<i64>("select count(*) from inbox"), 0);
}

#[tokio::test]
async fn a_flood_of_invented_ids_does_not_reach_portone() {
    let app = TestApp::with(&[("intake.unknown_ids", "5")], false).await;
    let mut refused = 0;
    for n in 0..40 {
        let answer = app.webhook(&format!("imp_invented_{n}"), "x", "paid").await;
        refused += usize::from(answer.status() == 429);
    }
    assert!(refused >= 30, "{refused}");
    assert!(
        app.portone.calls("get") <= 10,
        "{}",
        app.portone.calls("get")
    );
}

#[tokio::test]
async fn answers_of_portone_that_cannot_be_are_not_believed() {
    let app = TestApp::start().await;
    let imp_uid = app.charge("ord-1", 12_000);
    for kind in [Kind::Garbage, Kind::Redirect, Kind::Huge { mb: 3 }] {
        app.portone.fault(Fault::new(Target::Get, kind).times(1));
        assert_eq!(app.webhook(&imp_uid, "ord-1", "paid").await.status(), 202);
    }
    assert_eq!(
        app.portone.calls("redirected"),
        0,
        "no redirect is followed"
    );
    app.portone.clear_faults();
    app.drain().await;
    assert_eq!(app.status(&imp_uid).await, "PAID");
    // From now on PortOne says another amount: the books stay, a person is told.
    app.portone
        .fault(Fault::new(Target::Get, Kind::WrongAmount { delta: -3_000 }).times(1));
    let (code, body) = read(app.webhook(&imp_uid, "ord-1", "paid").await).await;
    assert_eq!(
        (code, body["verdict"].as_str()),
        (422, Some("CONTRADICTION")),
        "{body}"
    );
    app.drain().await;
    assert!(app.slack().contains("9,000"), "{}", app.slack());
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_wrong_keys_stop_the_calls() {
    let mut app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 12_000).await;
    app.portone.expire_token();
    assert_eq!(app.webhook(&imp_uid, "ord-1", "paid").await.status(), 200);
    app.shut_down().await;
    app.set("portone.imp_secret", "wrong");
    app.boot().await;
    let other = app.charge("ord-2", 1_000);
    let (code, body) = read(app.webhook(&other, "ord-2", "paid").await).await;
    assert_eq!(code, 202, "{body}");
    let ready = read(app.http.get(app.url("/readyz")).send().await.unwrap()).await;
    let why = ready.1["gateway"].as_str().unwrap();
    assert!(why.contains("credentials"), "{}", ready.1);
    assert_eq!(ready.0, 200, "messages are kept all the same");
    let ctx = &app.app().web.ctx;
    tokio::time::sleep(Duration::from_millis(50)).await;
    jeongsan::jobs::drain(ctx).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    jeongsan::jobs::drain(ctx).await.unwrap();
    // No attempt is used up by it, and it is told once.
    assert_eq!(
        app.sql::<i64>(
            "select attempt from job where kind = 'confirm_payment' and state = 'ready'"
        ),
        0
    );
    assert_eq!(
        app.sql::<i64>("select count(*) from alert where kind = 'gateway_halted'"),
        1
    );
    app.jobs_may_wait = true;
}

#[tokio::test]
async fn nobody_without_the_token_sees_or_changes_anything() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 12_000).await;
    for (method, path) in [
        ("GET", "/metrics".to_owned()),
        ("GET", "/api/payment/list".to_owned()),
        ("GET", format!("/api/payment/{imp_uid}")),
        ("GET", format!("/api/payment/{imp_uid}/status")),
        ("GET", format!("/api/payment/{imp_uid}/events")),
        ("GET", "/api/payment/events".to_owned()),
        ("POST", format!("/api/payment/{imp_uid}/cancel")),
        ("GET", format!("/api/payment/cancel/{imp_uid}")),
        ("DELETE", format!("/api/payment/cancel/{imp_uid}")),
        ("POST", "/api/orders".to_owned()),
        ("GET", "/api/orders/ord-1".to_owned()),
    ] {
        for token in [None, Some("wrong"), Some("")] {
            let mut request = app.http.request(method.parse().unwrap(), app.url(&path));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = request.body("{}").send().await.unwrap();
            assert_eq!(answer.status(), 401, "{method} {path} {token:?}");
        }
    }
    assert_eq!(app.status(&imp_uid).await, "PAID");
    assert_eq!(
        app.sql::<i64>("select count(*) from setting where value like '%test-token%'"),
        0
    );
    let _ = TOKEN;
}
