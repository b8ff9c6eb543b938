//! Alerts: told together when many come, none lost, and what is still stuck told once a day.

use std::time::Duration;

use jeongsan::{
    domain::{
        alert::Alert,
        calendar::KstDay,
        ids::ImpUid,
        job::{DeadReason, Job, Queue},
        money::Won,
    },
    flow::{
        dead_letters::{bury, replay},
        pay_out::Word,
        raise_alert::raise,
        release_hold::release_hold,
        run_schedules::run_schedules,
    },
    jobs::drain,
    sandbox::{Fault, Kind, NewPayment, Target},
    store::{
        Store, StoreError, backup, books,
        jobs::{self, Terms},
    },
};
use reqwest::StatusCode;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{shop::Shop, support::TestApp};

const MINUTE: u64 = 60;

fn down() -> Kind {
    Kind::Status {
        status: 500,
        retry_after: None,
    }
}

/// Moves the clock on and lets the jobs do what is due, minute by minute. What waits out a back-off
/// waits for a later minute.
async fn minutes(app: &TestApp, minutes: u64) {
    for _ in 0..minutes {
        app.clock.advance(Duration::from_secs(MINUTE));
        drain(&app.app().web.ctx).await.unwrap();
    }
}

fn messages(app: &TestApp) -> usize {
    app.portone.slack_messages().len()
}

fn dead_sweep(error: &str) -> Alert {
    Alert::JobDead {
        job_id: 7_000,
        kind: "sweep".into(),
        error: error.into(),
        attempts: 20,
    }
}

fn dead_cancel(n: i64, won: i64, error: &str) -> Alert {
    Alert::CancelDead {
        imp_uid: format!("imp_{n}").try_into().unwrap(),
        cancellation: format!("c{n}").try_into().unwrap(),
        amount: Won::new(won),
        reason: "단순 변심".into(),
        error: error.into(),
        attempts: 3,
        job_id: 9_000 + n,
    }
}

async fn tell(store: &Store, alert: Alert) {
    store
        .write(move |tx| raise(tx, &alert, None))
        .await
        .unwrap();
}

/// Two hundred cancels fail within an hour; every fourth passes by itself.
#[tokio::test]
async fn an_outage_of_an_hour_is_a_handful_of_messages_and_no_fact_is_lost() {
    let app = TestApp::start().await;
    let mut payments = Vec::new();
    for n in 0..200 {
        payments.push(app.paid(&format!("ord-{n}"), 10_000 + n).await);
    }
    let (mut dead, mut passed) = (0, 0);
    for (n, imp_uid) in payments.iter().enumerate() {
        app.portone.clear_faults();
        let fault = Fault::new(Target::Cancel, down());
        app.portone
            .fault(if n % 4 == 3 { fault.times(2) } else { fault });
        app.clock.advance(Duration::from_secs(18));
        assert_eq!(app.cancel(imp_uid, None).await.status(), 202);
        app.drain().await;
        match app.status(imp_uid).await.as_str() {
            "CANCELED" => passed += 1,
            "CANCEL_FAILED" => dead += 10_000 + n as i64,
            other => panic!("{imp_uid} is {other}"),
        }
    }
    app.portone.clear_faults();
    assert_eq!(passed, 50);
    let before = messages(&app);
    assert!(before <= 6, "{before} messages: {}", app.slack());
    assert!(!app.slack().contains("끝남"), "{}", app.slack());
    minutes(&app, 15).await;
    let slack = app.slack();
    assert!(messages(&app) <= 8, "{slack}");

    // Each alert stands on its page, to the won.
    for (kind, count) in [("cancel_retrying", 200), ("cancel_dead", 150)] {
        let found: i64 = app.sql(&format!("select count(*) from alert where kind = '{kind}'"));
        assert_eq!(found, count, "{kind}");
    }
    let sum = "select sum(body ->> '$.amount') from alert where kind = 'cancel_dead'";
    assert_eq!(app.sql::<i64>(sum), dead);
    // It is over, and says what is left: how many, how much, and where.
    assert_eq!(
        fates(&app, "cancel_retrying"),
        json!({ "done": 50, "under_way": 0, "waiting": 150, "waiting_amount": dead })
    );
    assert_eq!(fates(&app, "cancel_dead")["waiting"], 150);
    let counted = "select alerts || ' ' || amount from alert_episode where subject = 'cancel_dead'";
    assert_eq!(app.sql::<String>(counted), format!("150 {dead}"));
    assert!(
        slack.contains("끝남") && slack.contains(&format!("150 · ₩{}", Won::new(dead))),
        "{slack}"
    );
    assert!(
        slack.contains("/admin/jobs?kind=retry_cancel&state=dead"),
        "{slack}"
    );
    // And then there is silence.
    let told = messages(&app);
    minutes(&app, 60).await;
    assert_eq!(messages(&app), told);
    assert_eq!(
        app.sql::<i64>("select count(*) from alert_episode where closed_at is null"),
        0
    );
    // The page shows each of them, and by which message it was told.
    let page = app.get("/admin/alerts").await.text().await.unwrap();
    assert!(page.contains("함께"), "{page}");
}

#[tokio::test]
async fn one_alert_alone_is_told_at_once_and_nothing_follows() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    tell(&store, dead_sweep("PortOne answered HTTP 503")).await;
    app.drain().await;
    assert_eq!(messages(&app), 1);
    minutes(&app, 30).await;
    assert_eq!(messages(&app), 1, "{}", app.slack());
    // The next of its kind is a first one again.
    tell(&store, dead_sweep("PortOne answered HTTP 503")).await;
    app.drain().await;
    assert_eq!(messages(&app), 2);
    assert_eq!(app.sql::<i64>("select count(*) from alert_episode"), 2);
    minutes(&app, 11).await;
}

#[tokio::test]
async fn a_summary_says_how_many_how_much_and_which() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    for n in 0..9 {
        let error = match n {
            8 => "PortOne refuses: <!channel> 한도초과",
            _ => "<https://evil.example|PortOne> answered HTTP 503",
        };
        tell(&store, dead_cancel(n, 1_000, error)).await;
    }
    app.drain().await;
    assert_eq!(messages(&app), 1, "{}", app.slack());
    minutes(&app, 5).await;
    assert_eq!(messages(&app), 2);
    let summary = app.portone.slack_messages()[1].to_string();
    for part in [
        "8건 더 · 8 more",
        "8 · ₩8,000",
        "9 · ₩9,000",
        "&lt;https://evil.example|PortOne&gt; answered HTTP 503",
        "/admin/dead-letters/9008|imp_8> ₩1,000",
        "/admin/dead-letters/9004|imp_4> ₩1,000",
        "/admin/jobs?kind=retry_cancel&state=dead",
    ] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    assert!(!summary.contains("imp_3>"), "five are enough: {summary}");
    assert!(
        !summary.contains("<!channel") && !summary.contains("<https://evil"),
        "{summary}"
    );
    // Nothing new: no summary after half an hour, but the end after ten minutes.
    minutes(&app, 60).await;
    assert_eq!(messages(&app), 3, "{}", app.slack());
    assert!(app.portone.slack_messages()[2].to_string().contains("끝남"));
}

/// While Slack is down nothing piles up; when it is back, all that it missed is told once.
#[tokio::test]
async fn slack_down_in_the_middle_loses_and_doubles_nothing() {
    let patient = [("jobs.backoff", "2m"), ("jobs.backoff_max", "2m")];
    let app = TestApp::with(&patient, false).await;
    let store = app.app().web.ctx.store.clone();
    tell(&store, dead_cancel(0, 1_000, "HTTP 503")).await;
    app.drain().await;
    app.portone.fault(Fault::new(Target::Slack, down()));
    for n in 1..=20 {
        tell(&store, dead_cancel(n, 1_000, "HTTP 503")).await;
        minutes(&app, 1).await;
    }
    // The first summary, at five minutes, is on its way; the second waits for it.
    assert_eq!(messages(&app), 1);
    assert_eq!(
        app.sql::<i64>("select count(*) from alert where role = 'message'"),
        1
    );
    app.portone.clear_faults();
    minutes(&app, 20).await;
    assert_eq!(messages(&app), 3, "{}", app.slack());
    let fresh = "select sum(body ->> '$.fresh') from alert where role = 'message'";
    assert_eq!(app.sql::<i64>(fresh), 20);
    assert_eq!(
        app.sql::<i64>("select told_amount from alert_episode"),
        21_000
    );
    let untold = "select count(*) from alert where role <> 'together' and delivered_at is null";
    assert_eq!(app.sql::<i64>(untold), 0);
    assert_eq!(app.dead(), [] as [i64; 0]);
}

/// Slack takes nothing any more: an episode still ends, and what it said stays on the page.
#[tokio::test]
async fn an_episode_ends_even_if_nobody_can_be_told() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    app.portone.fault(Fault::new(
        Target::Slack,
        Kind::Status {
            status: 404,
            retry_after: None,
        },
    ));
    for n in 0..5 {
        tell(&store, dead_cancel(n, 1_000, "HTTP 503")).await;
    }
    minutes(&app, 30).await;
    assert_eq!(messages(&app), 0);
    assert_eq!(
        app.sql::<i64>("select count(*) from alert_episode where closed_at is null"),
        0
    );
    assert_eq!(
        app.sql::<i64>("select count(*) from job where state = 'dead' and kind = 'send_alert'"),
        3,
        "the first, one summary, the end"
    );
    let page = app.get("/admin/alerts").await.text().await.unwrap();
    assert!(page.contains("더 이어지지 않음"), "{page}");
}

#[tokio::test]
async fn alerts_that_race_open_one_episode() {
    let app = TestApp::start().await;
    let ours = app.app().web.ctx.store.clone();
    // As the command line does, beside the server.
    let beside = Store::open_beside(app.dir(), app.clock.clone()).unwrap();
    let mut racing = Vec::new();
    for n in 0..40 {
        let store = if n % 2 == 0 {
            ours.clone()
        } else {
            beside.clone()
        };
        racing.push(tokio::spawn(async move {
            tell(&store, dead_cancel(n, 1_000 + n, "HTTP 503")).await;
        }));
    }
    for one in racing {
        one.await.unwrap();
    }
    beside.close().await;
    app.drain().await;
    assert_eq!(messages(&app), 1, "{}", app.slack());
    assert_eq!(app.sql::<i64>("select count(*) from alert_episode"), 1);
    assert_eq!(app.sql::<i64>("select alerts from alert_episode"), 40);
    assert_eq!(
        app.sql::<i64>("select amount from alert_episode"),
        (0..40).map(|n| 1_000 + n).sum::<i64>()
    );
    minutes(&app, 30).await;
    assert_eq!(messages(&app), 3, "first, summary, end: {}", app.slack());
}

#[tokio::test]
async fn a_restart_in_the_middle_goes_on_where_it_was() {
    let mut app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    for n in 0..3 {
        tell(&store, dead_cancel(n, 1_000, "HTTP 503")).await;
    }
    app.drain().await;
    drop(store);
    app.shut_down().await;
    app.clock.advance(Duration::from_secs(6 * MINUTE));
    app.boot().await;
    let store = app.app().web.ctx.store.clone();
    tell(&store, dead_cancel(3, 1_000, "HTTP 503")).await;
    app.drain().await;
    assert_eq!(messages(&app), 2, "{}", app.slack());
    assert!(app.slack().contains("3건 더 · 3 more"), "{}", app.slack());
    drop(store);
    app.shut_down().await;
    app.boot().await;
    minutes(&app, 11).await;
    assert_eq!(messages(&app), 3, "{}", app.slack());
    assert!(app.slack().contains("4 · ₩4,000"), "{}", app.slack());
}

/// The clock was a day ahead: what it opened keeps silent until then, so another is opened.
#[tokio::test]
async fn a_clock_that_was_set_back_keeps_no_alert_silent() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    let day = Duration::from_secs(86_400);
    app.clock.advance(day);
    for n in 0..2 {
        tell(&store, dead_cancel(n, 1_000, "HTTP 503")).await;
    }
    app.drain().await;
    assert_eq!(messages(&app), 1);
    app.clock.set_back(day);
    tell(&store, dead_cancel(2, 1_000, "HTTP 503")).await;
    app.drain().await;
    assert_eq!(messages(&app), 2, "{}", app.slack());
    // When its time comes the first one tells what it still has.
    minutes(&app, 11).await;
    app.clock.advance(day);
    app.drain().await;
    assert_eq!(messages(&app), 3, "{}", app.slack());
}

/// The job that tells is a dead letter: alerts are told by themselves again, and a replay tells the rest.
#[tokio::test]
async fn an_episode_whose_job_died_is_closed_and_told_by_a_replay() {
    let app = TestApp::start().await;
    let ctx = app.app().web.ctx.clone();
    for n in 0..3 {
        tell(&ctx.store, dead_cancel(n, 1_000, "HTTP 503")).await;
    }
    app.drain().await;
    app.clock.advance(Duration::from_secs(6 * MINUTE));
    let (boot, lease) = (ctx.boot.clone(), Duration::from_secs(60));
    ctx.store
        .write(move |tx| {
            let held = jobs::claim(tx, Queue::Alert, 8, &boot, lease)?;
            for held in held {
                bury(tx, &held, DeadReason::Permanent, "it broke off")?;
            }
            Ok::<_, jobs::SettleError>(())
        })
        .await
        .unwrap();
    tell(&ctx.store, dead_cancel(3, 1_000, "HTTP 503")).await;
    app.drain().await;
    let slack = app.slack();
    assert_eq!(
        messages(&app),
        3,
        "the first, the dead letter, a first again: {slack}"
    );
    let [dead] = app.dead()[..] else {
        panic!("{:?}", app.dead())
    };
    replay(&ctx, dead, "page").await.unwrap();
    app.drain().await;
    assert!(app.slack().contains("3 · ₩3,000"), "{}", app.slack());
    minutes(&app, 11).await;
}

/// What the end says depends on what the alerts were about: here on payments that were held.
#[tokio::test]
async fn the_end_of_held_payments_says_how_many_are_held_still() {
    let app = TestApp::with(&[("orders.unknown", "hold")], false).await;
    let mut held = Vec::new();
    for n in 0..3 {
        let imp_uid = app.charge(&format!("ord-{n}"), 1_000 + n);
        let answer = app.webhook(&imp_uid, &format!("ord-{n}"), "paid").await;
        assert_eq!(answer.status(), 422);
        held.push(imp_uid);
    }
    let ctx = &app.app().web.ctx;
    let id = ImpUid::new(held[0].clone()).unwrap();
    release_hold(ctx, id, "맞는 결제".into(), "api")
        .await
        .unwrap();
    minutes(&app, 15).await;
    assert_eq!(
        fates(&app, "payment_held"),
        json!({ "done": 1, "under_way": 0, "waiting": 2, "waiting_amount": 2_003 })
    );
    assert!(
        app.slack().contains("/payment/mypage?held=1"),
        "{}",
        app.slack()
    );
}

/// And here on jobs.
#[tokio::test]
async fn the_end_of_dead_letters_says_how_many_are_dead_still() {
    let app = TestApp::start().await;
    let ctx = app.app().web.ctx.clone();
    let (boot, lease) = (ctx.boot.clone(), Duration::from_secs(60));
    ctx.store
        .write(move |tx| {
            for _ in 0..3 {
                let terms = Terms {
                    max_attempts: 1,
                    run_at: None,
                };
                let until = tx.now;
                jobs::publish(tx, &Job::Prune { until }, terms)?;
                for held in jobs::claim(tx, Queue::Upkeep, 1, &boot, lease)? {
                    bury(tx, &held, DeadReason::Exhausted, "the run broke off")?;
                }
            }
            Ok::<_, jobs::SettleError>(())
        })
        .await
        .unwrap();
    replay(&ctx, app.dead()[0], "page").await.unwrap();
    minutes(&app, 15).await;
    assert_eq!(
        fates(&app, "job_dead:prune"),
        json!({ "done": 1, "under_way": 0, "waiting": 2, "waiting_amount": 0 })
    );
    assert!(
        app.slack().contains("/admin/jobs?kind=prune&state=dead"),
        "{}",
        app.slack()
    );
}

/// What the last message of a subject's episode says has become of it.
fn fates(app: &TestApp, subject: &str) -> Value {
    let body: String = app.sql(&format!(
        "select body from alert where kind = 'over' and body ->> '$.subject' = '{subject}'"
    ));
    let body: Value = serde_json::from_str(&body).unwrap();
    body["fates"].clone()
}

/// Just after the next nine o'clock in Seoul.
fn to_nine(app: &TestApp) {
    let now = app.clock.now();
    let nine = |day: KstDay| day.start() + Duration::from_secs(9 * 3_600 + 5);
    let today = KstDay::of(now);
    let next = if nine(today) > now {
        nine(today)
    } else {
        nine(today.next())
    };
    let wait = next.duration_since(now).as_secs();
    app.clock.advance(Duration::from_secs(wait as u64 + 1));
}

async fn digest(app: &TestApp) {
    to_nine(app);
    let ctx = &app.app().web.ctx;
    // Whoever asks, and however often.
    let (one, other) = tokio::join!(run_schedules(ctx), run_schedules(ctx));
    one.unwrap();
    other.unwrap();
    app.drain().await;
}

#[tokio::test]
async fn the_digest_says_what_is_stuck_since_when_and_where() {
    let app = TestApp::start().await;
    run_schedules(&app.app().web.ctx).await.unwrap();
    app.drain().await;
    digest(&app).await;
    assert_eq!(messages(&app), 0, "nothing is stuck: {}", app.slack());
    assert_eq!(
        app.sql::<i64>("select count(*) from job where kind = 'digest' and state = 'done'"),
        1
    );

    app.clock.advance(Duration::from_secs(30 * MINUTE));
    // A dead letter, a payment that does not fit, and, two days later, a kind that somebody paused.
    let imp_uid = app.paid("ord-1", 12_000).await;
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
    assert_eq!(app.cancel(&imp_uid, None).await.status(), 409);
    let order = json!({ "merchant_uid": "ord-2", "lines":
        [{ "partner": "farm", "name": "사과", "quantity": 1, "unit_price": 9_000 }] });
    assert_eq!(
        app.post("/api/orders", &order).await.status(),
        StatusCode::CREATED
    );
    let held = app.charge_as(NewPayment {
        merchant_uid: "ord-2".into(),
        amount: 8_000,
        ..NewPayment::default()
    });
    app.webhook(&held, "ord-2", "paid").await;
    minutes(&app, 11).await;
    app.clock.advance(Duration::from_secs(2 * 86_400));
    let conn = Connection::open(app.database()).unwrap();
    conn.busy_timeout(Duration::from_secs(5)).unwrap();
    let now = app.clock.now().as_millisecond();
    conn.execute(
        "insert into kind_pause values ('confirm_payment', ?1, 'page', '')",
        [now],
    )
    .unwrap();
    let before = messages(&app);
    digest(&app).await;
    assert_eq!(messages(&app), before + 1, "{}", app.slack());
    let text = app.portone.slack_messages()[before].to_string();
    let dead = app.dead()[0];
    for part in [
        "아직 처리되지 않은 것 · Still stuck",
        "*데드레터 · Dead letters*\\n1 · ₩12,000",
        "*보류된 결제 · Held payments*\\n1 · ₩8,000",
        "*멈춰 둔 작업 종류 · Paused kinds*\\n1",
        &format!("/admin/dead-letters/{dead}|#{dead} {imp_uid}>"),
        &format!("/payment/{held}|{held}>"),
        "2일 23시간",
        "|confirm_payment> 멈춘 작업 종류",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let page = app.get("/admin/alerts").await.text().await.unwrap();
    assert!(page.contains("아직 처리되지 않은 것"), "{page}");
    assert!(
        page.contains(&format!("/admin/dead-letters/{dead}")),
        "{page}"
    );
    // It is said again tomorrow, a day older, as long as it is stuck.
    digest(&app).await;
    assert_eq!(messages(&app), before + 2);
    assert!(
        app.portone.slack_messages()[before + 1]
            .to_string()
            .contains("3일 23시간")
    );
    conn.execute("delete from kind_pause", []).unwrap();
}

/// A cancel whose outcome nobody knows is told once it has been under way for an hour.
#[tokio::test]
async fn the_digest_names_cancels_that_are_under_way_for_long() {
    let slow = [("cancel.backoff", "10h"), ("cancel.backoff_max", "10h")];
    let app = TestApp::with(&slow, false).await;
    run_schedules(&app.app().web.ctx).await.unwrap();
    app.drain().await;
    to_nine(&app);
    app.clock.advance(Duration::from_secs(22 * 3_600));
    let imp_uid = app.paid("ord-1", 12_000).await;
    app.portone
        .fault(Fault::new(Target::Cancel, down()).times(2));
    assert_eq!(app.cancel(&imp_uid, None).await.status(), 202);
    // Not before its time, whatever the dice of the back-off say.
    let conn = Connection::open(app.database()).unwrap();
    conn.busy_timeout(Duration::from_secs(5)).unwrap();
    let later = app.clock.now().as_millisecond() + 5 * 3_600_000;
    conn.execute(
        "update job set run_at = ?1 where kind = 'retry_cancel'",
        [later],
    )
    .unwrap();
    digest(&app).await;
    let last = app.portone.slack_messages().pop().unwrap().to_string();
    assert!(
        last.contains("1시간 넘게 진행 중인 취소") && last.contains(&imp_uid),
        "{last}"
    );
    assert!(
        last.contains("1시간 59분") || last.contains("2시간 0분"),
        "{last}"
    );
    app.clock.advance(Duration::from_secs(6 * 3_600));
    app.drain().await;
    assert_eq!(app.status(&imp_uid).await, "CANCELED");
}

/// Money that cannot reach its partner: for want of a contract, or because the bank refused it.
#[tokio::test]
async fn the_digest_names_partners_that_cannot_be_paid() {
    let shop = Shop::open().await;
    run_schedules(shop.ctx()).await.unwrap();
    shop.plain_partner("farm").await;
    shop.buy("both", &[("farm", 10_000, 0), ("stranger", 4_000, 0)])
        .await;
    shop.days(3);
    shop.night().await;
    let batch = shop.batch().await.unwrap();
    shop.bank(batch, Word::Failed("계좌 <해지>".into())).await;
    shop.app.drain().await;
    digest(&shop.app).await;
    let last = shop.app.portone.slack_messages().pop().unwrap().to_string();
    for part in [
        "*계약이 없어 정산 못 함 · Not settled: no contract*\\n1 · ₩4,000",
        "/admin/partners/stranger|stranger>",
        "*지급 실패 · Payouts refused*\\n1 · ₩8,900",
        "|farm #",
        "/admin/settlements/",
    ] {
        assert!(last.contains(part), "{part}: {last}");
    }
    shop.close().await;
}

/// A slot that passed while the server was down is not made up for.
#[tokio::test]
async fn a_digest_of_a_day_on_which_the_server_was_down_is_not_made_up_for() {
    let app = TestApp::start().await;
    let ctx = &app.app().web.ctx;
    run_schedules(ctx).await.unwrap();
    to_nine(&app);
    app.clock.advance(Duration::from_secs(3_600));
    run_schedules(ctx).await.unwrap();
    assert_eq!(
        app.sql::<i64>("select count(*) from job where kind = 'digest'"),
        0
    );
    app.drain().await;
}

#[tokio::test]
async fn a_digest_that_is_asked_for_twice_is_told_once() {
    let app = TestApp::start().await;
    let ctx = &app.app().web.ctx;
    tell(&ctx.store, dead_sweep("HTTP 503")).await;
    app.drain().await;
    let conn = Connection::open(app.database()).unwrap();
    conn.busy_timeout(Duration::from_secs(5)).unwrap();
    conn.execute(
        "insert into kind_pause values ('confirm_payment', 0, 'page', '')",
        [],
    )
    .unwrap();
    let until = ctx.store.now();
    for _ in 0..2 {
        let terms = Terms {
            max_attempts: 2,
            run_at: None,
        };
        ctx.store
            .write(move |tx| {
                jobs::publish(tx, &Job::Digest { until }, terms)?;
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
    }
    app.drain().await;
    assert_eq!(
        app.sql::<i64>("select count(*) from alert where kind = 'digest'"),
        1
    );
    conn.execute("delete from kind_pause", []).unwrap();
}

#[tokio::test]
async fn the_check_finds_what_is_broken_in_episodes() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    for n in 0..4 {
        tell(&store, dead_cancel(n, 1_000, "HTTP 503")).await;
    }
    minutes(&app, 6).await;
    tell(&store, dead_cancel(4, 1_000, "HTTP 503")).await;
    app.drain().await;
    let copy = app.dir().join("broken.sqlite3");
    for (break_it, rule) in [
        (
            "delete from alert where role = 'together' and id = (select max(id) from alert)",
            "an_episode_counts_its_alerts",
        ),
        (
            "update alert_episode set amount = amount + 1",
            "an_episode_counts_its_alerts",
        ),
        (
            "update alert set role = 'together' where role = 'first'",
            "an_episode_counts_its_alerts",
        ),
        (
            "update alert_episode set told = told + 1",
            "an_alert_is_told_by_one_message",
        ),
        (
            "update alert set body = json_set(body, '$.fresh', 2) where role = 'message'",
            "an_alert_is_told_by_one_message",
        ),
        (
            "update alert set id = 1000 where role = 'together' and id = (select min(id) from alert where role = 'together')",
            "an_alert_is_told_by_one_message",
        ),
        (
            "delete from job where kind = 'tell_episode'",
            "an_open_episode_has_a_live_job",
        ),
    ] {
        let _ = std::fs::remove_file(&copy);
        backup::write(&app.database(), &copy).unwrap();
        let conn = Connection::open(&copy).unwrap();
        assert_eq!(books::check(&conn).unwrap(), [], "sound before");
        conn.execute(break_it, []).unwrap();
        let broken = books::check(&conn).unwrap();
        assert!(
            broken.iter().any(|b| b.rule == rule),
            "{break_it}: {broken:?}"
        );
    }
    minutes(&app, 11).await;
}
