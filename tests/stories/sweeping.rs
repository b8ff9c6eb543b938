//! What no webhook told: PortOne V1 sends one once, and its console's cancels may tell nobody.

use std::time::Duration;

use jeongsan::{
    domain::job::Job,
    flow::run_schedules::run_schedules,
    sandbox::{Fault, Kind, NewPayment, Status, Target},
    store::{StoreError, jobs},
};

use crate::support::TestApp;

async fn sweep(app: &TestApp) {
    // Payments of this very second are left to the next sweep.
    app.clock.advance(Duration::from_secs(10));
    let until = app.app().web.ctx.store.now();
    let terms = jobs::Terms {
        max_attempts: 3,
        run_at: None,
    };
    app.app()
        .web
        .ctx
        .store
        .write(move |tx| {
            jobs::publish(tx, &Job::Sweep { until }, terms)?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    app.drain().await;
}

#[tokio::test]
async fn a_payment_that_no_webhook_told_is_found() {
    let app = TestApp::start().await;
    let told = app.paid("ord-1", 12_000).await;
    let untold = app.charge("ord-2", 5_000);
    let failed = app.charge_as(NewPayment {
        merchant_uid: "ord-3".into(),
        amount: 5_000,
        status: Status::Failed,
        ..NewPayment::default()
    });
    let test = app.charge_as(NewPayment {
        merchant_uid: "ord-4".into(),
        amount: 5_000,
        sandbox: true,
        ..NewPayment::default()
    });
    sweep(&app).await;
    assert_eq!(app.status(&told).await, "PAID");
    assert_eq!(app.status(&untold).await, "PAID");
    assert_eq!(app.status(&failed).await, "FAILED");
    assert_eq!(
        app.get(&format!("/api/payment/{test}")).await.status(),
        404,
        "not this shop's"
    );
    assert_eq!(app.sql::<i64>("select booked from sweep"), 2);
    sweep(&app).await;
    assert_eq!(
        app.sql::<i64>("select booked from sweep order by id desc"),
        0,
        "no news twice"
    );
}

#[tokio::test]
async fn a_cancel_made_in_the_console_is_found_in_part_and_in_full() {
    let app = TestApp::start().await;
    let part = app.paid("ord-1", 12_000).await;
    let full = app.paid("ord-2", 12_000).await;
    app.portone
        .cancel_at_console(&part, Some(2_000), "콘솔에서")
        .unwrap();
    app.portone
        .cancel_at_console(&full, None, "콘솔에서")
        .unwrap();
    sweep(&app).await;
    assert_eq!(app.status(&part).await, "PARTIAL_CANCELED");
    assert_eq!(app.status(&full).await, "CANCELED");
    let story = app.json(&format!("/api/payment/{part}")).await;
    assert_eq!(story["cancellations"][0]["requested_by"], "elsewhere");
    assert_eq!(app.cancel(&part, None).await.status(), 200);
}

#[tokio::test]
async fn a_console_cancel_of_everything_makes_a_waiting_cancellation_pointless() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 12_000).await;
    app.portone.fault(Fault::new(
        Target::Cancel,
        Kind::Status {
            status: 500,
            retry_after: None,
        },
    ));
    app.cancel(&imp_uid, Some(5_000)).await;
    app.drain().await;
    assert_eq!(app.status(&imp_uid).await, "CANCEL_FAILED");
    app.portone.clear_faults();
    app.portone
        .cancel_at_console(&imp_uid, None, "콘솔")
        .unwrap();
    sweep(&app).await;
    assert_eq!(app.status(&imp_uid).await, "CANCELED");
    assert_eq!(
        app.dead(),
        [] as [i64; 0],
        "there is nothing left to decide"
    );
}

#[tokio::test]
async fn five_hundred_lost_webhooks_are_all_found() {
    let app = TestApp::start().await;
    app.portone
        .pay_many((0..500).map(|n| NewPayment {
            merchant_uid: format!("ord-{n}"),
            amount: 1_000 + n,
            ..NewPayment::default()
        }))
        .unwrap();
    sweep(&app).await;
    assert_eq!(
        app.sql::<i64>("select count(*) from payment where status = 'PAID'"),
        500
    );
    assert_eq!(
        app.sql::<i64>("select sum(amount) from payment"),
        (0..500).map(|n| 1_000 + n).sum::<i64>()
    );
}

#[tokio::test]
async fn a_sweep_that_broke_off_looks_again_at_all_of_it() {
    let app = TestApp::start().await;
    let imp_uid = app.charge("ord-1", 12_000);
    app.portone
        .fault(Fault::new(Target::List, Kind::Drop).times(2));
    sweep(&app).await;
    assert_eq!(app.status(&imp_uid).await, "PAID");
    assert_eq!(
        app.sql::<i64>("select count(*) from sweep"),
        1,
        "only the whole one counts"
    );
}

#[tokio::test]
async fn a_slot_becomes_one_job_however_often_and_by_whomever_it_is_asked_for() {
    // The night's settlement has slots of its own: none here.
    let set = [
        ("sweep.cron", "*/10 * * * *"),
        ("settle.cron", "0 0 29 2 *"),
    ];
    let app = TestApp::with(&set, false).await;
    let ctx = &app.app().web.ctx;
    // The first look starts at once; then one per slot.
    run_schedules(ctx).await.unwrap();
    app.drain().await;
    let before = app.sql::<i64>("select count(*) from schedule_run where name = 'sweep'");
    assert_eq!(before, 1);
    app.clock.advance(Duration::from_secs(600));
    let all = futures::future::join_all((0..8).map(|_| run_schedules(ctx))).await;
    assert_eq!(all.into_iter().map(Result::unwrap).sum::<usize>(), 1);
    app.drain().await;
    // Down for a day: the newest slot runs, for it covers the others; the prune waits for its time.
    app.clock.advance(Duration::from_secs(86_400));
    assert_eq!(run_schedules(ctx).await.unwrap(), 1);
    assert_eq!(run_schedules(ctx).await.unwrap(), 0);
    app.drain().await;
    let runs = app.sql::<i64>("select count(*) from schedule_run where name = 'sweep'");
    assert_eq!(runs, before + 2);
}
