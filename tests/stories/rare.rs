//! Rare orders of events, each of which would have cost money, a message or a person's night.

use std::time::Duration;

use jeongsan::{
    domain::{
        account::Role,
        ids::{ImpUid, MerchantUid},
        job::{Job, Outcome, Queue},
        money::Won,
        seen::{Seen, SeenCancel, SeenStatus},
    },
    flow::{
        confirm_payment::{Booked, book},
        dead_letters::{DeadLetterError, discard, replay},
        recover_jobs::recover_jobs,
        release_hold::release_hold,
        run_schedules::run_schedules,
    },
    sandbox::{Fault, Kind, Target},
    store::{
        StoreError,
        jobs::{self, SettleError, Terms},
    },
};
use serde_json::json;

use crate::{
    people::Visitor,
    support::{TestApp, read},
};

const DOWN: Kind = Kind::Status {
    status: 503,
    retry_after: None,
};

/// PortOne took the cancel on and shows nothing of it yet; then a look at it fails.
#[tokio::test]
async fn what_portone_took_on_is_not_sent_again_after_a_look_that_failed() {
    for look in [
        DOWN,
        Kind::Status {
            status: 403,
            retry_after: None,
        },
    ] {
        let app = TestApp::with(&[("cancel.queued_attempts", "3")], false).await;
        let imp_uid = app.paid("ord-1", 10_000).await;
        app.portone
            .fault(Fault::new(Target::Cancel, Kind::Async { ms: 4_000 }).times(1));
        let (code, body) = read(app.cancel(&imp_uid, Some(3_000)).await).await;
        assert_eq!(code, 202, "{body}");
        app.portone.fault(Fault::new(Target::Get, look).times(1));
        let ctx = &app.app().web.ctx;
        for _ in 0..3 {
            app.clock.advance(Duration::from_secs(60));
            jobs_now(&app).await;
        }
        assert_eq!(app.portone.calls("cancel"), 1, "it was sent again");
        assert_eq!(app.dead(), [] as [i64; 0], "one failed look is no end");
        assert_eq!(app.status(&imp_uid).await, "CANCEL_REQUESTED");
        tokio::time::sleep(Duration::from_millis(4_100)).await;
        // PortOne refused our credentials for a moment: a new client asks at once.
        if ctx.gateway.halted().is_some() {
            let mut app = app;
            app.shut_down().await;
            app.boot().await;
            finish_pending(&app, &imp_uid).await;
        } else {
            finish_pending(&app, &imp_uid).await;
        }
    }
}

async fn finish_pending(app: &TestApp, imp_uid: &str) {
    for _ in 0..3 {
        app.clock.advance(Duration::from_secs(60));
        jobs_now(app).await;
    }
    assert_eq!(app.status(imp_uid).await, "PARTIAL_CANCELED");
    assert_eq!(app.portone.cancels_of(imp_uid).len(), 1);
}

async fn jobs_now(app: &TestApp) {
    jeongsan::jobs::drain(&app.app().web.ctx).await.unwrap();
}

/// A cancellation whose direct attempts failed, and whose queued retry is ready.
async fn waiting_cancel(app: &TestApp) -> String {
    let imp_uid = app.paid("ord-1", 10_000).await;
    app.portone.fault(Fault::new(Target::Cancel, DOWN).times(2));
    assert_eq!(app.cancel(&imp_uid, Some(3_000)).await.status(), 202);
    tokio::time::sleep(Duration::from_millis(50)).await;
    imp_uid
}

async fn claim_cancel(app: &TestApp) -> jeongsan::domain::job::Delivery {
    let ctx = &app.app().web.ctx;
    let boot = ctx.boot.clone();
    ctx.store
        .write(move |tx| jobs::claim(tx, Queue::Cancel, 1, &boot, Duration::from_secs(60)))
        .await
        .unwrap()
        .remove(0)
}

/// With one queued attempt an orphan's count begins anew: its old run must not pass for the new.
#[tokio::test]
async fn two_runs_of_one_process_are_told_apart() {
    let app = TestApp::start().await;
    let imp_uid = waiting_cancel(&app).await;
    let slow = claim_cancel(&app).await;
    app.clock.advance(Duration::from_secs(3_600));
    recover_jobs(&app.app().web.ctx).await.unwrap();
    let second = claim_cancel(&app).await;
    assert_eq!(slow.id, second.id);
    let store = &app.app().web.ctx.store;
    let late = store
        .write(move |tx| jobs::settle(tx, &slow, &Outcome::Done))
        .await;
    assert!(matches!(late, Err(SettleError::Stale(_))), "{late:?}");
    jeongsan::jobs::run(&app.app().web.ctx, second).await;
    assert_eq!(app.status(&imp_uid).await, "PARTIAL_CANCELED");
    app.drain().await;
}

/// A run that lost its lease and then breaks off buries nothing: another run has the job.
#[tokio::test]
async fn a_run_that_lost_its_lease_buries_nothing() {
    let app = TestApp::start().await;
    let imp_uid = waiting_cancel(&app).await;
    let mut slow = claim_cancel(&app).await;
    app.clock.advance(Duration::from_secs(3_600));
    recover_jobs(&app.app().web.ctx).await.unwrap();
    // Whatever ends it for good outside of its flow: here, that it cannot be read.
    slow.payload = "{}".into();
    jeongsan::jobs::run(&app.app().web.ctx, slow).await;
    assert_eq!(app.status(&imp_uid).await, "CANCEL_REQUESTED");
    app.drain().await;
    assert_eq!(app.status(&imp_uid).await, "PARTIAL_CANCELED");
}

/// PortOne lists no history, only a sum that grows; later it lists each entry.
#[tokio::test]
async fn money_that_portone_lists_late_or_under_another_name_is_booked_once() {
    let mut app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    app.unlike.push(imp_uid.clone());
    for (cancels, gone) in [
        (vec![("unlisted-3000", 3_000)], 3_000),
        (vec![("unlisted-5000", 5_000)], 5_000),
        (vec![("c1", 3_000), ("unlisted-6000", 3_000)], 6_000),
        (
            vec![("c1", 3_000), ("c2", 2_000), ("c3", 1_000), ("c4", 500)],
            6_500,
        ),
    ] {
        let seen = seen(&imp_uid, "ord-1", SeenStatus::Cancelled, &cancels);
        book_now(&app, seen).await.unwrap();
        let sum = "select coalesce(sum(amount), 0) from cancellation where state = 'DONE'";
        assert_eq!(app.sql::<i64>(sum), gone, "{cancels:?}");
        assert_eq!(app.sql::<i64>("select cancelled from payment"), gone);
    }
}

/// Not paid, and yet money went back: no payment is like that, and none is made of it.
#[tokio::test]
async fn an_unpaid_payment_that_gave_money_back_is_a_contradiction() {
    let app = TestApp::start().await;
    for status in [SeenStatus::Failed, SeenStatus::Ready] {
        let booked = book_now(&app, seen("imp_1", "ord-1", status, &[("c1", 1_000)])).await;
        assert!(matches!(booked, Ok(Booked::Contradiction(_))), "{booked:?}");
    }
    app.drain().await;
    assert!(app.slack().contains("imp_1"), "{}", app.slack());
}

/// The order is part of what is compared, at every reading.
#[tokio::test]
async fn a_payment_that_changes_its_order_is_a_contradiction() {
    let mut app = TestApp::start().await;
    let order = |id: &str, won: i64| {
        json!({ "merchant_uid": id, "lines":
            [{ "partner": "farm", "name": "사과", "quantity": 1, "unit_price": won }] })
    };
    assert_eq!(
        app.post("/api/orders", &order("ord-1", 9_000))
            .await
            .status(),
        201
    );
    assert_eq!(
        app.post("/api/orders", &order("ord-2", 10_000))
            .await
            .status(),
        201
    );
    app.unlike.push("imp_1".into());
    book_now(&app, seen("imp_1", "ord-1", SeenStatus::Ready, &[]))
        .await
        .unwrap();
    let booked = book_now(&app, seen("imp_1", "ord-2", SeenStatus::Paid, &[])).await;
    assert!(matches!(booked, Ok(Booked::Contradiction(_))), "{booked:?}");
    app.drain().await;
}

fn seen(imp_uid: &str, order: &str, status: SeenStatus, cancels: &[(&str, i64)]) -> Seen {
    Seen {
        imp_uid: ImpUid::new(imp_uid).unwrap(),
        merchant_uid: MerchantUid::new(order).unwrap(),
        status,
        amount: Won::new(10_000),
        currency: "KRW".into(),
        test: false,
        cancels: cancels
            .iter()
            .map(|(key, won)| SeenCancel {
                key: (*key).into(),
                amount: Won::new(*won),
                at: None,
                reason: String::new(),
                receipt_url: String::new(),
            })
            .collect(),
        started_at: None,
        paid_at: None,
        failed_at: None,
        fail_reason: None,
        about: Default::default(),
    }
}

async fn book_now(app: &TestApp, seen: Seen) -> Result<Booked, StoreError> {
    let ctx = &app.app().web.ctx;
    let policy = ctx.policy.clone();
    ctx.store
        .write(move |tx| book(tx, &policy, &seen, "test"))
        .await
}

/// One payment that the books refuse must not keep the others out, sweep after sweep.
#[tokio::test]
async fn a_payment_that_cannot_be_booked_holds_up_no_sweep() {
    let mut app = TestApp::start().await;
    let bad = app.charge("ord-bad", 1_000);
    let good = app.charge("ord-good", 2_000);
    let conn = rusqlite::Connection::open(app.database()).unwrap();
    conn.busy_timeout(Duration::from_secs(5)).unwrap();
    conn.execute_batch(
        "create trigger no_such_payment before insert on payment when new.merchant_uid = 'ord-bad'
         begin select raise(abort, 'CHECK constraint failed: no_such_payment'); end;",
    )
    .unwrap();
    sweep(&app).await;
    assert_eq!(app.status(&good).await, "PAID");
    assert_eq!(app.sql::<i64>("select count(*) from sweep"), 1);
    assert!(app.slack().contains(&bad), "{}", app.slack());
    assert_eq!(app.dead(), [] as [i64; 0]);
    conn.execute_batch("drop trigger no_such_payment").unwrap();
    sweep(&app).await;
    assert_eq!(app.status(&bad).await, "PAID");
    app.unlike.clear();
}

async fn sweep(app: &TestApp) {
    app.clock.advance(Duration::from_secs(10));
    let ctx = &app.app().web.ctx;
    let until = ctx.store.now();
    let terms = Terms {
        max_attempts: 2,
        run_at: None,
    };
    ctx.store
        .write(move |tx| {
            jobs::publish(tx, &Job::Sweep { until }, terms)?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    app.drain().await;
}

/// The clock was a year ahead for a moment: what comes after is found all the same.
#[tokio::test]
async fn a_clock_that_was_ahead_and_is_set_back_stops_neither_schedule_nor_sweep() {
    let app = TestApp::with(&[("sweep.cron", "*/10 * * * *")], false).await;
    let ctx = &app.app().web.ctx;
    let year = Duration::from_secs(365 * 86_400);
    run_schedules(ctx).await.unwrap();
    app.drain().await;
    app.clock.advance(year);
    run_schedules(ctx).await.unwrap();
    app.drain().await;
    app.clock.set_back(year);
    let imp_uid = app.charge("ord-1", 12_000);
    run_schedules(ctx).await.unwrap();
    app.clock.advance(Duration::from_secs(601));
    assert_eq!(run_schedules(ctx).await.unwrap(), 1);
    app.drain().await;
    assert_eq!(app.status(&imp_uid).await, "PAID");
}

/// What made a test payment wait is not all that may be wrong with it.
#[tokio::test]
async fn releasing_a_test_payment_lets_nothing_else_pass() {
    let mut app = TestApp::start().await;
    let order = json!({ "merchant_uid": "ord-1", "lines":
        [{ "partner": "farm", "name": "사과", "quantity": 1, "unit_price": 12_000 }] });
    assert_eq!(app.post("/api/orders", &order).await.status(), 201);
    let mut test = seen("imp_test", "ord-1", SeenStatus::Paid, &[]);
    test.test = true;
    app.unlike.push("imp_test".into());
    book_now(&app, test).await.unwrap();
    let ctx = &app.app().web.ctx;
    let id = ImpUid::new("imp_test").unwrap();
    release_hold(ctx, id, "시험 결제".into(), "api")
        .await
        .unwrap();
    // 10,000 won for an order of 12,000: still held, for that.
    assert_eq!(
        app.sql::<Option<String>>("select hold_code from payment"),
        Some("AMOUNT_DIFFERS".into())
    );
    app.drain().await;
}

/// The second payment for an order waits for the first; when that was given back, it need not.
#[tokio::test]
async fn a_second_payment_can_be_released_once_the_first_was_given_back() {
    let app = TestApp::start().await;
    let order = json!({ "merchant_uid": "ord-1", "lines":
        [{ "partner": "farm", "name": "사과", "quantity": 1, "unit_price": 12_000 }] });
    assert_eq!(app.post("/api/orders", &order).await.status(), 201);
    let first = app.paid("ord-1", 12_000).await;
    let second = app.charge("ord-1", 12_000);
    assert_eq!(app.webhook(&second, "ord-1", "paid").await.status(), 422);
    let ctx = &app.app().web.ctx;
    let id = ImpUid::new(second.clone()).unwrap();
    let release = || release_hold(ctx, id.clone(), "첫 결제를 취소함".into(), "api");
    assert!(release().await.is_err(), "the first one pays it");
    assert_eq!(app.cancel(&first, None).await.status(), 200);
    release().await.unwrap();
    assert_eq!(
        app.sql::<i64>("select count(*) from payment where hold is not null"),
        0
    );
    app.drain().await;
}

/// A dead letter needs its message, however old; and what it leads to is what the message says.
#[tokio::test]
async fn the_message_of_a_dead_letter_is_kept_until_somebody_decides() {
    let app = TestApp::with(&[("jobs.attempts", "1")], false).await;
    let imp_uid = app.charge("ord-1", 12_000);
    app.portone.fault(Fault::new(Target::Get, DOWN));
    assert_eq!(app.webhook(&imp_uid, "ord-1", "paid").await.status(), 202);
    app.drain().await;
    let dead = app.dead();
    assert_eq!(dead.len(), 1);
    app.portone.clear_faults();
    app.clock.advance(Duration::from_secs(200 * 86_400));
    prune(&app).await;
    replay(&app.app().web.ctx, dead[0], "api").await.unwrap();
    app.drain().await;
    assert_eq!(app.status(&imp_uid).await, "PAID");
    assert_eq!(app.sql::<String>("select verdict from inbox"), "BOOKED");
    app.clock.advance(Duration::from_secs(200 * 86_400));
    prune(&app).await;
    assert_eq!(app.sql::<i64>("select count(*) from inbox"), 0);
}

async fn prune(app: &TestApp) {
    let ctx = &app.app().web.ctx;
    let until = ctx.store.now();
    let terms = Terms {
        max_attempts: 1,
        run_at: None,
    };
    ctx.store
        .write(move |tx| jobs::publish(tx, &Job::Prune { until }, terms))
        .await
        .unwrap();
    app.drain().await;
}

/// Anybody can name a payment `..`: PortOne has none of that name, and nobody is woken by it.
#[tokio::test]
async fn an_id_that_is_a_path_makes_no_dead_letter() {
    let app = TestApp::with(&[("jobs.attempts", "1")], false).await;
    for id in ["..", "."] {
        let answer = app.webhook(id, "ord-1", "paid").await;
        assert_eq!(answer.status(), 400, "{id}");
    }
    app.drain().await;
    assert_eq!(app.dead(), [] as [i64; 0]);
}

/// A link in a mail, opened by a browser that says nothing of where it came from.
#[tokio::test]
async fn a_signed_in_browser_cancels_by_get_from_our_own_pages_only() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    let web = &app.app().web;
    let visitor = Visitor::signed_in(&web.ctx.store, &app.url(""), "minji", Role::Operator).await;
    let get = |site: Option<&'static str>| {
        let mut request = app
            .http
            .get(app.url(&format!("/api/payment/cancel/{imp_uid}")))
            .header("cookie", visitor.header());
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        request.send()
    };
    for site in [None, Some("none"), Some("cross-site"), Some("same-site")] {
        assert_eq!(get(site).await.unwrap().status(), 403, "{site:?}");
    }
    assert_eq!(app.status(&imp_uid).await, "PAID");
    assert_eq!(get(Some("same-origin")).await.unwrap().status(), 200);
}

/// While PortOne refuses our credentials, looks that find the same leave no rows behind.
#[tokio::test]
async fn a_long_halt_does_not_fill_the_disk() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    let refused = Kind::Status {
        status: 403,
        retry_after: None,
    };
    app.portone
        .fault(Fault::new(Target::Cancel, refused).times(1));
    app.cancel(&imp_uid, None).await;
    for _ in 0..10 {
        app.clock.advance(Duration::from_secs(31));
        jobs_now(&app).await;
    }
    assert!(app.sql::<i64>("select count(*) from job_attempt") <= 3);
    assert!(app.sql::<i64>("select count(*) from cancel_attempt") <= 3);
    let mut app = app;
    app.shut_down().await;
    app.boot().await;
    app.clock.advance(Duration::from_secs(31));
    jobs_now(&app).await;
    assert_eq!(app.status(&imp_uid).await, "CANCELED");
    app.drain().await;
}

/// The writer serves everybody: what it asks for by key must not read the whole table.
#[tokio::test]
async fn a_job_is_found_by_its_key_without_a_scan() {
    let app = TestApp::start().await;
    let conn = rusqlite::Connection::open(app.database()).unwrap();
    for sql in [jobs::FINISH_LIVE, jobs::DEAD_WITH_KEY] {
        let mut plan = conn.prepare(&format!("explain query plan {sql}")).unwrap();
        let steps: Vec<String> = plan
            .query_map(
                rusqlite::params_from_iter((0..plan.parameter_count()).map(|_| "x")),
                |row| row.get(3),
            )
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(
            steps.iter().all(|step| step.contains(" INDEX ")
                && (step.contains("job_unique_key_live") || step.contains("job_dead"))),
            "{sql}: {steps:?}"
        );
    }
}

/// Whoever never ends its request holds a connection, and a stop, for some seconds and no longer.
#[tokio::test]
async fn a_request_whose_head_never_ends_is_cut_off() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut app = TestApp::with(&[("jobs.shutdown", "20s")], false).await;
    let addr = app.app().addr;
    let slow = async || {
        let mut line = tokio::net::TcpStream::connect(addr).await.unwrap();
        line.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            .await
            .unwrap();
        line
    };
    let mut line = slow().await;
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), line.read_to_end(&mut answer))
        .await
        .expect("it is cut off")
        .unwrap();
    let _line = slow().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = std::time::Instant::now();
    app.shut_down().await;
    assert!(
        started.elapsed() < Duration::from_secs(12),
        "{:?}",
        started.elapsed()
    );
    app.boot().await;
}

/// A payment was fine until its order came and said another sum: somebody has to know.
#[tokio::test]
async fn an_order_that_contradicts_its_payment_is_told() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    let order = json!({ "merchant_uid": "ord-1", "lines":
        [{ "partner": "farm", "name": "사과", "quantity": 1, "unit_price": 12_000 }] });
    assert_eq!(app.post("/api/orders", &order).await.status(), 201);
    app.drain().await;
    assert!(app.slack().contains(&imp_uid), "{}", app.slack());
    assert_eq!(
        app.sql::<Option<String>>("select hold_code from payment"),
        Some("AMOUNT_DIFFERS".into())
    );
}

/// Two people at once: one replays what the other gives up while PortOne is asked.
#[tokio::test]
async fn a_dead_letter_that_was_replayed_meanwhile_is_not_said_to_be_done() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
    assert_eq!(app.cancel(&imp_uid, None).await.status(), 409);
    let id = app.dead()[0];
    app.portone
        .fault(Fault::new(Target::Get, Kind::Slow { ms: 2_000 }).times(1));
    let ctx = app.app().web.ctx.clone();
    let giving_up = {
        let ctx = ctx.clone();
        tokio::spawn(async move { discard(&ctx, id, "그만".into(), "api").await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    replay(&ctx, id, "api").await.unwrap();
    let given_up = giving_up.await.unwrap();
    assert!(
        matches!(given_up, Err(DeadLetterError::Live)),
        "{given_up:?}"
    );
    app.drain().await;
    assert_eq!(app.status(&imp_uid).await, "CANCELED");
}

/// PortOne's reading contradicts the books: nobody can say that the cancel was not carried out.
#[tokio::test]
async fn a_dead_letter_is_not_given_up_on_a_reading_that_cannot_be() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
    assert_eq!(app.cancel(&imp_uid, None).await.status(), 409);
    let [dead] = app.dead()[..] else {
        panic!("{:?}", app.dead())
    };
    app.portone
        .fault(Fault::new(Target::Get, Kind::WrongAmount { delta: -1_000 }).times(1));
    let ctx = &app.app().web.ctx;
    let refused = discard(ctx, dead, "계좌로 환불".into(), "page").await;
    assert!(
        matches!(refused, Err(DeadLetterError::Contradiction(_))),
        "{refused:?}"
    );
    assert_eq!(app.dead(), [dead]);
    discard(ctx, dead, "계좌로 환불".into(), "page")
        .await
        .unwrap();
    app.drain().await;
}

/// PortOne gives no token: those who waited for it share that answer, and do not each wait anew.
#[tokio::test]
async fn callers_that_wait_for_a_token_wait_once() {
    let app = TestApp::with(&[("intake.budget", "10s")], false).await;
    let imp_uid = app.charge("ord-1", 1_000);
    app.portone
        .fault(Fault::new(Target::Token, Kind::Hang { ms: 1_200 }));
    let started = std::time::Instant::now();
    let told = (0..6).map(|_| app.webhook(&imp_uid, "ord-1", "paid"));
    for answer in futures::future::join_all(told).await {
        assert_eq!(answer.status(), 202);
    }
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}: six tries one behind the other take 7.2 s",
        started.elapsed()
    );
    assert_eq!(app.portone.calls("token"), 1);
    app.portone.clear_faults();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    app.drain().await;
    assert_eq!(app.status(&imp_uid).await, "PAID");
}
