//! Promise 4: a cancellation is carried out exactly once in effect, whatever goes wrong.

use std::time::Duration;

use jeongsan::sandbox::{Fault, Kind, NewPayment, Target};
use serde_json::json;

use crate::support::{TestApp, read};

#[tokio::test]
async fn a_full_cancel_gives_everything_back() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 12_000).await;
    let (code, body) = read(app.cancel(&imp_uid, None).await).await;
    assert_eq!(code, 200, "{body}");
    assert_eq!(body["payment"]["status"], "CANCELED");
    assert_eq!(body["cancellation"]["state"], "DONE");
    let theirs = app.portone.cancels_of(&imp_uid);
    assert_eq!((theirs.len(), theirs[0].amount), (1, 12_000));
    assert!(
        theirs[0]
            .reason
            .contains(body["cancellation"]["id"].as_str().unwrap())
    );
}

#[tokio::test]
async fn pieces_are_given_back_until_nothing_is_left() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    for (amount, left, status) in [
        (3_000, 7_000, "PARTIAL_CANCELED"),
        (3_000, 4_000, "PARTIAL_CANCELED"),
        (4_000, 0, "CANCELED"),
    ] {
        let (code, body) = read(app.cancel(&imp_uid, Some(amount)).await).await;
        assert_eq!(code, 200, "{body}");
        assert_eq!(
            (
                body["payment"]["balance"].as_i64(),
                body["payment"]["status"].as_str()
            ),
            (Some(left), Some(status))
        );
    }
    let (code, body) = read(app.cancel(&imp_uid, Some(1)).await).await;
    assert_eq!(
        (code, body["type"].as_str()),
        (409, Some("urn:jeongsan:problem:nothing-left"))
    );
}

#[tokio::test]
async fn what_cannot_be_cancelled_is_refused_in_words() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    for (amount, code, kind) in [
        (json!(10_001), 422, "cancel-amount"),
        (json!(0), 422, "cancel-amount"),
        (json!(-1), 422, "cancel-amount"),
        (json!(1.5), 400, "bad-request"),
        (json!("100"), 400, "bad-request"),
        (json!(9_223_372_036_854_775_807i64), 422, "cancel-amount"),
        (json!(1e30), 400, "bad-request"),
    ] {
        let body = json!({ "amount": amount, "reason": "x" });
        let (got, problem) = read(
            app.post(&format!("/api/payment/{imp_uid}/cancel"), &body)
                .await,
        )
        .await;
        assert_eq!(
            (got, problem["type"].as_str()),
            (code, Some(format!("urn:jeongsan:problem:{kind}").as_str())),
            "{amount}: {problem}"
        );
    }
    let no_reason = json!({ "amount": 1 });
    assert_eq!(
        app.post(&format!("/api/payment/{imp_uid}/cancel"), &no_reason)
            .await
            .status(),
        422
    );
    assert_eq!(app.cancel("imp_nobody", None).await.status(), 404);
    assert_eq!(app.portone.calls("cancel"), 0);
}

#[tokio::test]
async fn the_original_call_cancels_in_full_and_twice_is_no_news() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    let path = format!("/api/payment/cancel/{imp_uid}");
    let foreign = app
        .http
        .get(app.url(&path))
        .bearer_auth(crate::support::TOKEN)
        .header("sec-fetch-site", "cross-site")
        .send()
        .await
        .unwrap();
    assert_eq!(foreign.status(), 403);
    assert_eq!(app.status(&imp_uid).await, "PAID");
    assert_eq!(app.get(&path).await.status(), 200);
    assert_eq!(app.get(&path).await.status(), 200);
    let delete = app
        .http
        .delete(app.url(&path))
        .bearer_auth(crate::support::TOKEN)
        .send()
        .await;
    assert_eq!(delete.unwrap().status(), 200);
    assert_eq!(app.portone.cancels_of(&imp_uid).len(), 1);
}

/// Ways in which PortOne carries the cancel out and we do not hear of it.
fn unknown_outcomes() -> Vec<Kind> {
    vec![
        Kind::DoThenDrop,
        Kind::DoThenStatus { status: 500 },
        Kind::DoThenGarbage,
        Kind::DoThenHang { ms: 2_500 },
        Kind::Slow { ms: 2_500 },
    ]
}

#[tokio::test]
async fn a_cancel_that_was_carried_out_unheard_is_not_sent_again() {
    let app = TestApp::with(&[("portone.read_timeout", "1500ms")], false).await;
    for (n, kind) in unknown_outcomes().into_iter().enumerate() {
        for amount in [None, Some(3_000)] {
            let imp_uid = app.paid(&format!("ord-{n}-{amount:?}"), 10_000).await;
            app.portone
                .fault(Fault::new(Target::Cancel, kind.clone()).times(1));
            let before = app.portone.calls("cancel");
            let (code, body) = read(app.cancel(&imp_uid, amount).await).await;
            assert_eq!(code, 200, "{kind:?}: {body}");
            assert_eq!(app.portone.cancels_of(&imp_uid).len(), 1, "{kind:?}");
            assert_eq!(
                app.portone.calls("cancel"),
                before + 1,
                "{kind:?}: read, not sent again"
            );
        }
    }
}

#[tokio::test]
async fn a_cancel_whose_outcome_cannot_even_be_read_is_found_by_the_queued_retry() {
    let app = TestApp::with(&[("portone.read_timeout", "1500ms")], false).await;
    for (n, kind) in unknown_outcomes().into_iter().enumerate() {
        let imp_uid = app.paid(&format!("ord-{n}"), 10_000).await;
        app.portone
            .fault(Fault::new(Target::Cancel, kind.clone()).times(1));
        app.portone.fault(
            Fault::new(
                Target::Get,
                Kind::Status {
                    status: 503,
                    retry_after: None,
                },
            )
            .times(2),
        );
        let (code, body) = read(app.cancel(&imp_uid, Some(4_000)).await).await;
        assert_eq!(code, 202, "{kind:?}: {body}");
        assert_eq!(body["payment"]["status"], "CANCEL_REQUESTED");
        app.drain().await;
        assert_eq!(app.status(&imp_uid).await, "PARTIAL_CANCELED", "{kind:?}");
        assert_eq!(app.portone.cancels_of(&imp_uid).len(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn two_direct_attempts_one_queued_then_the_dead_letter() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 12_000).await;
    app.portone.fault(Fault::new(
        Target::Cancel,
        Kind::Status {
            status: 500,
            retry_after: None,
        },
    ));
    let (code, body) = read(app.cancel(&imp_uid, None).await).await;
    assert_eq!(code, 202, "{body}");
    assert_eq!(app.portone.calls("cancel"), 2, "two direct attempts");
    app.drain().await;
    assert_eq!(app.portone.calls("cancel"), 3, "one queued retry");
    assert_eq!(app.status(&imp_uid).await, "CANCEL_FAILED");
    let slack = app.slack();
    assert!(
        slack.contains("재시도 중") && slack.contains("수동 처리 필요"),
        "{slack}"
    );
    let [dead] = app.dead()[..] else {
        panic!("{:?}", app.dead())
    };
    assert!(slack.contains(&format!("/admin/dead-letters/{dead}")));
    // Nobody retries it by itself.
    app.portone.clear_faults();
    app.drain().await;
    assert_eq!(app.portone.calls("cancel"), 3);
    let (code, problem) = read(app.cancel(&imp_uid, None).await).await;
    assert_eq!(
        (code, problem["type"].as_str()),
        (409, Some("urn:jeongsan:problem:cancel-dead-letter"))
    );
    // A person does.
    let ctx = app.app().web.ctx.clone();
    jeongsan::flow::dead_letters::replay(&ctx, dead, "page")
        .await
        .unwrap();
    assert_eq!(app.status(&imp_uid).await, "CANCEL_REQUESTED");
    app.drain().await;
    assert_eq!(app.status(&imp_uid).await, "CANCELED");
    assert_eq!(app.portone.cancels_of(&imp_uid).len(), 1);
    let story = app.json(&format!("/api/payment/{imp_uid}")).await;
    assert_eq!(
        story["cancellations"][0]["attempts"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
}

#[tokio::test]
async fn a_refusal_goes_to_the_dead_letters_at_once() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 12_000).await;
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::refuse()));
    let (code, body) = read(app.cancel(&imp_uid, None).await).await;
    assert_eq!(
        (code, body["type"].as_str()),
        (409, Some("urn:jeongsan:problem:cancel-failed")),
        "{body}"
    );
    assert!(
        body["detail"].as_str().unwrap().contains("8178"),
        "PortOne's own words: {body}"
    );
    assert_eq!(app.portone.calls("cancel"), 1);
    assert_eq!(app.status(&imp_uid).await, "CANCEL_FAILED");
    app.drain().await;
    // Given up with a note; the payment is as if it had not been asked.
    let ctx = app.app().web.ctx.clone();
    let [dead] = app.dead()[..] else { panic!() };
    let none = jeongsan::flow::dead_letters::discard(&ctx, dead, " ".into(), "page").await;
    assert!(none.is_err());
    jeongsan::flow::dead_letters::discard(&ctx, dead, "계좌로 환불함".into(), "page")
        .await
        .unwrap();
    assert_eq!(app.status(&imp_uid).await, "PAID");
    assert_eq!(app.dead(), [] as [i64; 0]);
    app.portone.clear_faults();
    assert_eq!(app.cancel(&imp_uid, None).await.status(), 200);
}

#[tokio::test]
async fn a_dead_letter_that_was_carried_out_after_all_is_found_when_it_is_replayed_or_discarded() {
    for discard in [false, true] {
        let app = TestApp::start().await;
        let imp_uid = app.paid("ord-1", 12_000).await;
        app.portone
            .fault(Fault::new(Target::Cancel, Kind::DoThenDrop).times(1));
        app.portone.fault(Fault::new(Target::Get, Kind::Drop));
        assert_eq!(app.cancel(&imp_uid, Some(5_000)).await.status(), 202);
        app.drain().await;
        assert_eq!(app.status(&imp_uid).await, "CANCEL_FAILED");
        let [dead] = app.dead()[..] else { panic!() };
        let ctx = app.app().web.ctx.clone();
        if discard {
            let blind =
                jeongsan::flow::dead_letters::discard(&ctx, dead, "note".into(), "cli").await;
            assert!(blind.is_err(), "not while PortOne cannot be read");
        }
        app.portone.clear_faults();
        if discard {
            let found =
                jeongsan::flow::dead_letters::discard(&ctx, dead, "note".into(), "cli").await;
            assert_eq!(
                found.unwrap(),
                jeongsan::flow::dead_letters::Discarded::WasDone
            );
        } else {
            jeongsan::flow::dead_letters::replay(&ctx, dead, "cli")
                .await
                .unwrap();
        }
        app.drain().await;
        assert_eq!(app.status(&imp_uid).await, "PARTIAL_CANCELED");
        assert_eq!(app.portone.cancels_of(&imp_uid).len(), 1);
        assert_eq!(
            app.portone.calls("cancel"),
            1,
            "it was read before it was sent"
        );
    }
}

#[tokio::test]
async fn money_given_back_in_the_console_meanwhile_is_explained_and_the_rest_goes_on() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    app.portone
        .cancel_at_console(&imp_uid, Some(2_000), "콘솔")
        .unwrap();
    // Our books think that 10,000 are left; the checksum is refused, the reading explains it.
    let (code, body) = read(app.cancel(&imp_uid, Some(3_000)).await).await;
    assert_eq!(code, 200, "{body}");
    assert_eq!(body["payment"]["balance"], 5_000);
    let refused = app.paid("ord-2", 10_000).await;
    app.portone
        .cancel_at_console(&refused, Some(9_000), "콘솔")
        .unwrap();
    let (code, body) = read(app.cancel(&refused, Some(3_000)).await).await;
    assert_eq!(code, 409, "{body}");
    let all = app.paid("ord-3", 10_000).await;
    app.portone.cancel_at_console(&all, None, "콘솔").unwrap();
    let (code, body) = read(app.cancel(&all, Some(3_000)).await).await;
    assert_eq!(
        (code, body["cancellation"]["state"].as_str()),
        (200, Some("SUPERSEDED")),
        "{body}"
    );
    assert_eq!(app.status(&all).await, "CANCELED");
    app.drain().await;
}

#[tokio::test]
async fn a_cancel_that_portone_carries_out_later_is_waited_for_and_not_sent_again() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::Async { ms: 2_000 }).times(1));
    let (code, body) = read(app.cancel(&imp_uid, None).await).await;
    assert_eq!(code, 202, "{body}");
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    app.clock.advance(Duration::from_secs(120));
    jeongsan::jobs::drain(&app.app().web.ctx).await.unwrap();
    assert_eq!(app.status(&imp_uid).await, "CANCELED");
    assert_eq!(app.portone.calls("cancel"), 1);
}

#[tokio::test]
async fn fifty_at_once_cancel_once() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 9_000).await;
    let answers = futures::future::join_all((0..50).map(|_| app.cancel(&imp_uid, None))).await;
    let mut codes: Vec<u16> = answers
        .iter()
        .map(|answer| answer.status().as_u16())
        .collect();
    codes.sort_unstable();
    assert_eq!(
        codes.iter().filter(|code| **code == 200).count(),
        1,
        "{codes:?}"
    );
    assert!(
        codes.iter().all(|code| matches!(code, 200 | 409)),
        "{codes:?}"
    );
    assert_eq!(app.portone.cancels_of(&imp_uid).len(), 1);

    let parts = app.paid("ord-2", 9_000).await;
    for _ in 0..10 {
        futures::future::join_all((0..20).map(|_| app.cancel(&parts, Some(3_000)))).await;
    }
    assert_eq!(app.portone.cancels_of(&parts).len(), 3);
    assert_eq!(app.status(&parts).await, "CANCELED");
}

#[tokio::test]
async fn one_idempotency_key_is_one_cancellation() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 9_000).await;
    let send = |key: &'static str, amount: i64, path: String| {
        app.http
            .post(app.url(&path))
            .bearer_auth(crate::support::TOKEN)
            .header("idempotency-key", key)
            .json(&json!({ "amount": amount, "reason": "반품" }))
            .send()
    };
    let path = format!("/api/payment/{imp_uid}/cancel");
    let all = futures::future::join_all((0..20).map(|_| send("key-1", 3_000, path.clone()))).await;
    let mut ids = std::collections::BTreeSet::new();
    for answer in all {
        let (code, body) = read(answer.unwrap()).await;
        assert!(matches!(code, 200 | 202), "{code} {body}");
        ids.insert(body["cancellation"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(app.portone.cancels_of(&imp_uid).len(), 1);
    let (code, problem) = read(send("key-1", 4_000, path.clone()).await.unwrap()).await;
    assert_eq!(
        (code, problem["type"].as_str()),
        (422, Some("urn:jeongsan:problem:idempotency-key-reused"))
    );
    let (code, _) = read(send("\"key-1\"", 3_000, path).await.unwrap()).await;
    assert_eq!(code, 200, "in quotes it is the same key");
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_stop_the_cancel() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 9_000).await;
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::Slow { ms: 2_000 }).times(1));
    let url = app.url(&format!("/api/payment/{imp_uid}/cancel"));
    let request = app
        .http
        .post(url)
        .bearer_auth(crate::support::TOKEN)
        .json(&json!({ "reason": "끊김" }))
        .timeout(Duration::from_millis(800))
        .send();
    assert!(request.await.is_err());
    app.until(&imp_uid, "CANCELED").await;
    assert_eq!(app.portone.cancels_of(&imp_uid).len(), 1);
}

/// However early it hangs up: while the first write is on its way, too.
#[tokio::test]
async fn a_caller_that_hangs_up_at_any_moment_leaves_no_cancel_waiting() {
    let app = TestApp::start().await;
    let mut payments = Vec::new();
    for n in 0..60 {
        payments.push(app.paid(&format!("ord-{n}"), 9_000).await);
    }
    for (n, imp_uid) in (0..).zip(&payments) {
        let url = app.url(&format!("/api/payment/{imp_uid}/cancel"));
        let request = app
            .http
            .post(url)
            .bearer_auth(crate::support::TOKEN)
            .json(&json!({ "reason": "끊김" }));
        let _ = request
            .timeout(Duration::from_micros(300 + 100 * n))
            .send()
            .await;
    }
    // The last of them may still be on its way in.
    tokio::time::sleep(Duration::from_millis(500)).await;
    for imp_uid in &payments {
        if app.status(imp_uid).await != "PAID" {
            app.until(imp_uid, "CANCELED").await;
        }
    }
}

#[tokio::test]
async fn slack_down_fails_no_cancel_and_loses_no_alert() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 9_000).await;
    app.portone.fault(
        Fault::new(
            Target::Slack,
            Kind::Status {
                status: 500,
                retry_after: None,
            },
        )
        .times(4),
    );
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::Drop).times(2));
    assert_eq!(app.cancel(&imp_uid, None).await.status(), 202);
    app.drain().await;
    assert_eq!(app.status(&imp_uid).await, "CANCELED");
    assert!(app.slack().contains("재시도 중"));
    assert_eq!(
        app.sql::<i64>("select count(*) from alert where delivered_at is null"),
        0
    );
}

#[tokio::test]
async fn the_workers_do_it_by_themselves() {
    let app = TestApp::live().await;
    let imp_uid = app.paid("ord-1", 9_000).await;
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::Drop).times(2));
    assert_eq!(app.cancel(&imp_uid, None).await.status(), 202);
    app.until(&imp_uid, "CANCELED").await;
    let dead = app.paid("ord-2", 9_000).await;
    app.portone.fault(Fault::new(
        Target::Cancel,
        Kind::Status {
            status: 502,
            retry_after: None,
        },
    ));
    assert_eq!(app.cancel(&dead, None).await.status(), 202);
    app.until(&dead, "CANCEL_FAILED").await;
    for _ in 0..200 {
        if app.slack().contains("수동 처리 필요") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(app.slack().contains("수동 처리 필요"), "{}", app.slack());
    app.settled().await;
}

#[tokio::test]
async fn the_tax_free_part_goes_along_where_the_order_says_it() {
    let app = TestApp::start().await;
    let paid = async |order: &str, tax_free: i64| {
        let body = json!({ "merchant_uid": order, "tax_free": tax_free, "lines": [
            { "partner": "farm", "name": "사과", "quantity": 1, "unit_price": 12_000 }] });
        assert_eq!(app.post("/api/orders", &body).await.status(), 201);
        let imp_uid = app.charge_as(NewPayment {
            merchant_uid: order.into(),
            amount: 12_000,
            tax_free,
            ..NewPayment::default()
        });
        assert_eq!(app.webhook(&imp_uid, order, "paid").await.status(), 200);
        imp_uid
    };
    let cancel = async |imp_uid: &str, body: serde_json::Value| {
        let path = format!("/api/payment/{imp_uid}/cancel");
        let (code, answer) = read(app.post(&path, &body).await).await;
        let requests = app.portone.requests();
        let last = requests.iter().rfind(|seen| seen.what == "cancel");
        let sent = last.and_then(|seen| seen.body.clone()).unwrap_or_default();
        (code, answer, sent)
    };
    let all = paid("ord-1", 12_000).await;
    let (code, answer, sent) = cancel(&all, json!({ "amount": 5_000, "reason": "x" })).await;
    assert_eq!(code, 200, "{answer}");
    assert!(
        sent.contains("\"tax_free\":5000"),
        "all of the order is tax-free: {sent}"
    );

    let mixed = paid("ord-2", 4_000).await;
    let named = json!({ "amount": 1_000, "tax_free": 400, "reason": "x" });
    let (code, answer, sent) = cancel(&mixed, named).await;
    assert_eq!(code, 200, "{answer}");
    assert!(sent.contains("\"tax_free\":400"), "{sent}");
    let too_much = json!({ "amount": 1_000, "tax_free": 1_001, "reason": "x" });
    let (code, problem, _) = cancel(&mixed, too_much).await;
    let kind = problem["type"].as_str().unwrap();
    assert_eq!((code, kind), (422, "urn:jeongsan:problem:cancel-tax-free"));

    let (_, _, sent) = cancel(&paid("ord-3", 4_000).await, json!({ "reason": "x" })).await;
    assert!(
        sent.contains("\"tax_free\":4000"),
        "all of the payment goes back: {sent}"
    );
    let (_, _, sent) = cancel(&paid("ord-4", 0).await, json!({ "reason": "x" })).await;
    assert!(!sent.contains("tax_free"), "{sent}");
}

#[tokio::test]
async fn a_cancel_that_names_an_order_line_takes_it_from_that_partner() {
    let app = TestApp::start().await;
    let order = json!({
        "merchant_uid": "ord-lines", "name": "사과 외 1건",
        "lines": [
            { "partner": "farm", "name": "사과", "quantity": 1, "unit_price": 10_000 },
            { "partner": "tea", "name": "녹차", "quantity": 1, "unit_price": 4_000 },
        ],
    });
    assert_eq!(app.post("/api/orders", &order).await.status(), 201);
    let imp_uid = app.paid("ord-lines", 14_000).await;
    let cancel = async |lines: serde_json::Value, amount: Option<i64>| {
        let body = json!({ "lines": lines, "amount": amount, "reason": "반품" });
        read(
            app.post(&format!("/api/payment/{imp_uid}/cancel"), &body)
                .await,
        )
        .await
    };
    for (lines, amount) in [
        (json!([{ "line": 3, "amount": 1 }]), None),
        (json!([{ "line": 0, "amount": 1 }]), None),
        (json!([{ "line": 2, "amount": 4_001 }]), None),
        (json!([{ "line": 2, "amount": 0 }]), None),
        (
            json!([{ "line": 2, "amount": 1 }, { "line": 2, "amount": 1 }]),
            None,
        ),
        (json!([{ "line": 2, "amount": 4_000 }]), Some(5_000)),
    ] {
        let (status, problem) = cancel(lines.clone(), amount).await;
        assert_eq!(status, 422, "{lines}: {problem}");
        assert_eq!(problem["type"], "urn:jeongsan:problem:cancel-lines");
    }
    let (status, answer) = cancel(json!([{ "line": 2, "amount": 4_000 }]), None).await;
    assert_eq!(
        (status, &answer["payment"]["balance"]),
        (200, &json!(10_000))
    );
    // Nothing of the line is left to be named; what names none is spread over the rest.
    assert_eq!(
        cancel(json!([{ "line": 2, "amount": 1 }]), None).await.0,
        422
    );
    // An empty choice is no choice: it must not become all of it.
    assert_eq!(cancel(json!([]), None).await.0, 422);
    assert_eq!(app.cancel(&imp_uid, Some(1_000)).await.status(), 200);
    let misspelt = json!({ "amout": 1_000, "reason": "반품" });
    let path = format!("/api/payment/{imp_uid}/cancel");
    assert_eq!(app.post(&path, &misspelt).await.status(), 400);
    let of = |partner: &str| {
        app.sql::<i64>(&format!(
            "select sum(order_after - order_before) from movement where partner_id = '{partner}'"
        ))
    };
    assert_eq!((of("farm"), of("tea")), (9_000, 0));
}
