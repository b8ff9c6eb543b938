//! Jobs: safe to run twice, settled once, never lost, never for ever.

use std::time::Duration;

use jeongsan::{
    domain::job::{Job, Outcome, Queue},
    flow::recover_jobs::recover_jobs,
    sandbox::{Fault, Kind, Target},
    store::{
        StoreError,
        jobs::{self, Published, SettleError, Terms},
    },
};

use crate::support::TestApp;

const ONCE: Terms = Terms {
    max_attempts: 1,
    run_at: None,
};

fn prune_job() -> Job {
    Job::Prune {
        until: "2026-01-01T00:00:00Z".parse().unwrap(),
    }
}

#[tokio::test]
async fn a_publication_that_rolls_back_publishes_nothing() {
    let app = TestApp::start().await;
    let store = &app.app().web.ctx.store;
    let failed = store
        .write(|tx| {
            jobs::publish(tx, &prune_job(), ONCE)?;
            Err::<(), _>(StoreError::Busy)
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(
        app.sql::<i64>("select count(*) from job where kind = 'prune'"),
        0
    );
}

#[tokio::test]
async fn a_panic_in_a_write_rolls_it_back_and_nothing_else() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    let panics = store.write(|tx| {
        jobs::publish(tx, &prune_job(), ONCE)?;
        if tx.now_ms() > 0 {
            panic!("a bug");
        }
        Ok::<_, StoreError>(())
    });
    let works = store.write(|tx| set_value(tx, "after", "1"));
    let (panicked, worked) = tokio::join!(panics, works);
    assert!(
        matches!(panicked, Err(StoreError::Panicked(_))),
        "{panicked:?}"
    );
    worked.unwrap();
    assert_eq!(
        app.sql::<i64>("select count(*) from job where kind = 'prune'"),
        0
    );
    assert_eq!(
        app.sql::<String>("select value from setting where key = 'after'"),
        "1"
    );
}

fn set_value(tx: &mut jeongsan::store::Tx<'_>, key: &str, value: &str) -> Result<(), StoreError> {
    jeongsan::store::admin::set(tx, key, value)
}

#[tokio::test]
async fn one_live_job_per_key_and_the_second_publication_finds_the_first() {
    let app = TestApp::start().await;
    let store = &app.app().web.ctx.store;
    let publish = || store.write(|tx| jobs::publish(tx, &prune_job(), ONCE));
    let first = publish().await.unwrap();
    let again = publish().await.unwrap();
    assert_eq!(again, Published::Duplicate(first.id()));
    app.drain().await;
    assert!(
        matches!(publish().await.unwrap(), Published::New(_)),
        "done is not live"
    );
    app.drain().await;
}

#[tokio::test]
async fn a_run_that_lost_its_lease_has_no_effect() {
    let app = TestApp::start().await;
    let ctx = app.app().web.ctx.clone();
    let store = &ctx.store;
    store
        .write(|tx| {
            jobs::publish(
                tx,
                &prune_job(),
                Terms {
                    max_attempts: 5,
                    run_at: None,
                },
            )
        })
        .await
        .unwrap();
    let claim = |boot: &'static str| {
        store.write(move |tx| jobs::claim(tx, Queue::Upkeep, 1, boot, Duration::from_millis(1)))
    };
    let slow = claim("slow").await.unwrap().remove(0);
    tokio::time::sleep(Duration::from_millis(5)).await;
    // The server looks for itself every few seconds, and may have been first.
    recover_jobs(&ctx).await.unwrap();
    let second = claim("second").await.unwrap().remove(0);
    assert_eq!((slow.id, second.attempt), (second.id, 2));
    let late = slow.clone();
    let settled = store
        .write(move |tx| {
            set_value(tx, "effect", "of the late one").map_err(SettleError::Store)?;
            jobs::settle(tx, &late, &Outcome::Done)
        })
        .await;
    assert!(matches!(settled, Err(SettleError::Stale(_))), "{settled:?}");
    assert_eq!(
        app.sql::<i64>("select count(*) from setting where key = 'effect'"),
        0
    );
    store
        .write(move |tx| jobs::settle(tx, &second, &Outcome::Done))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_job_that_kills_the_process_three_times_is_a_dead_letter() {
    let mut app = TestApp::start().await;
    app.app()
        .web
        .ctx
        .store
        .write(|tx| jobs::publish(tx, &prune_job(), ONCE))
        .await
        .unwrap();
    for life in 1..=3 {
        // A life that ends in the middle of the run: nothing is settled, nothing given back.
        app.app()
            .web
            .ctx
            .store
            .write(|tx| {
                jobs::claim(
                    tx,
                    Queue::Upkeep,
                    1,
                    "dead process",
                    Duration::from_secs(60),
                )
            })
            .await
            .unwrap();
        app.shut_down().await;
        app.boot().await;
        let state: String = app.sql("select state from job where kind = 'prune'");
        assert_eq!(
            state,
            if life < 3 { "ready" } else { "dead" },
            "life {life}"
        );
    }
    app.drain().await;
    assert!(app.slack().contains("died 3 times"), "{}", app.slack());
}

#[tokio::test]
async fn a_job_that_this_version_cannot_read_is_a_dead_letter_and_stops_nobody() {
    let app = TestApp::live().await;
    let conn = rusqlite::Connection::open(app.database()).unwrap();
    conn.busy_timeout(Duration::from_secs(5)).unwrap();
    conn.execute(
        "insert into job (queue, kind, payload, state, max_attempts, run_at, created_at)
         values ('payment', 'from_the_future', '{}', 'ready', 5, 0, 0)",
        [],
    )
    .unwrap();
    for _ in 0..200 {
        if !app.dead().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(app.dead().len(), 1);
    // The worker lives.
    let imp_uid = app.charge("ord-1", 12_000);
    app.portone
        .fault(Fault::new(Target::Get, Kind::Drop).times(1));
    assert_eq!(app.webhook(&imp_uid, "ord-1", "paid").await.status(), 202);
    app.until_known(&imp_uid).await;
    app.settled().await;
}

#[tokio::test]
async fn shutting_down_lets_running_jobs_finish_and_charges_nobody_else() {
    // So many that none is used up before PortOne is back, however slow the machine.
    let mut app = TestApp::with(&[("jobs.attempts", "100")], true).await;
    let mut ids = Vec::new();
    app.portone.fault(Fault::new(
        Target::Get,
        Kind::Status {
            status: 503,
            retry_after: None,
        },
    ));
    for n in 0..30 {
        let imp_uid = app.charge(&format!("ord-{n}"), 1_000);
        assert_eq!(
            app.webhook(&imp_uid, &format!("ord-{n}"), "paid")
                .await
                .status(),
            202
        );
        ids.push(imp_uid);
    }
    app.portone.clear_faults();
    app.portone
        .fault(Fault::new(Target::Get, Kind::Slow { ms: 150 }));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = std::time::Instant::now();
    app.shut_down().await;
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        app.sql::<i64>("select count(*) from job where state = 'running'"),
        0
    );
    let charged: i64 = app.sql("select count(*) from job where state = 'ready' and attempt > (select count(*) from job_attempt a where a.job_id = job.id)");
    assert_eq!(
        charged, 0,
        "an attempt was charged to a job that did not run"
    );
    app.portone.clear_faults();
    app.boot().await;
    for imp_uid in &ids {
        app.until_known(imp_uid).await;
    }
    app.settled().await;
}

#[tokio::test]
async fn a_second_server_on_the_same_directory_is_refused() {
    let app = TestApp::start().await;
    let clock = jeongsan::store::Clock::default();
    let started = std::time::Instant::now();
    let Err(refused) = jeongsan::store::Store::open(app.dir(), clock) else {
        panic!("two servers share one file");
    };
    assert!(
        refused.to_string().contains("in use by another"),
        "{refused}"
    );
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn dead_letters_that_nobody_decides_stay_while_old_finished_jobs_go() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 12_000).await;
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
    assert_eq!(app.cancel(&imp_uid, None).await.status(), 409);
    app.drain().await;
    app.clock.advance(Duration::from_secs(200 * 86_400));
    let until = app.app().web.ctx.store.now();
    let terms = ONCE;
    app.app()
        .web
        .ctx
        .store
        .write(move |tx| jobs::publish(tx, &Job::Prune { until }, terms))
        .await
        .unwrap();
    app.drain().await;
    assert_eq!(
        app.sql::<i64>("select count(*) from job where state = 'dead'"),
        1
    );
    assert_eq!(
        app.sql::<i64>("select count(*) from job where state = 'done' and kind <> 'tell_episode'"),
        1,
        "the prune itself; what ended the alert's episode ran just now as well"
    );
    assert_eq!(app.sql::<i64>("select count(*) from inbox"), 0);
}
