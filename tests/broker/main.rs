//! What every broker promises: one suite, run by the embedded engine and by RabbitMQ.
//!
//! The store is real, the workers are apalis's as in the server; only the flows are replaced by an
//! effect that can be counted: a row of the table `effect`, written in the transaction that settles the
//! job. What only RabbitMQ can do is in `rabbitmq.rs`.

mod bed;
mod cord;
#[path = "../support/rabbitmq.rs"]
mod node;
mod own;
mod rabbitmq;

use std::time::Duration;

use jeongsan::{
    domain::job::{DeadReason, Engine, Outcome, Queue},
    store::{
        StoreError,
        jobs::{self, Published, SettleError, Terms},
        leases,
    },
};

use bed::{Bed, message, ms, prune};

/// Each test twice: once by each engine.
macro_rules! by_both_engines {
    ($($name:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(jeongsan::domain::job::Engine::Embedded).await; })*
        }
        mod amqp {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(jeongsan::domain::job::Engine::Amqp).await; })*
        }
    };
}

by_both_engines! {
    a_publication_that_rolls_back_is_never_delivered
    each_job_has_its_effect_once
    nothing_starts_before_its_time
    a_retry_comes_after_its_wait_and_with_the_next_attempt
    a_long_wait_ends_in_time
    a_snooze_uses_no_attempt_up
    a_dead_letter_keeps_its_reason_and_waits
    a_replayed_dead_letter_runs_again_and_its_history_stays
    a_discarded_dead_letter_never_runs
    a_job_starts_when_it_is_committed_and_not_at_the_next_look
    a_run_that_breaks_off_is_run_again_and_the_worker_lives
    two_brokers_on_the_same_books_double_nothing
    a_stop_gives_back_what_had_not_begun
    a_paused_kind_waits_and_the_others_do_not
    what_waits_in_one_engine_is_run_by_the_other
    a_job_that_nobody_can_read_is_handed_out_like_any_other
}

async fn a_publication_that_rolls_back_is_never_delivered(engine: Engine) {
    let bed = Bed::start(engine).await;
    let failed = bed
        .store
        .write(|tx| {
            jobs::publish(
                tx,
                &message(1),
                Terms {
                    max_attempts: 3,
                    run_at: None,
                },
            )?;
            Err::<(), _>(StoreError::Busy)
        })
        .await;
    assert!(failed.is_err());
    bed.publish(message(2)).await;
    bed.done(1).await;
    // Time for anything that was delivered all the same.
    tokio::time::sleep(ms(300)).await;
    assert_eq!(bed.effects().await, [("confirm_payment".to_owned(), 1)]);
}

async fn each_job_has_its_effect_once(engine: Engine) {
    let bed = Bed::start(engine).await;
    // In many commits at once, and many in one.
    let one_by_one = (0..100).map(|n| bed.publish(message(n)));
    futures::future::join_all(one_by_one).await;
    bed.publish_many((100..600).map(message).collect()).await;
    bed.done(600).await;
    bed.every_job_once(600).await;
}

async fn nothing_starts_before_its_time(engine: Engine) {
    let bed = Bed::start(engine).await;
    let due = bed.store.now() + Duration::from_millis(1_300);
    bed.publish_at(message(1), due).await;
    bed.publish(message(2)).await;
    bed.done(2).await;
    let started = bed.started_at(1).await;
    assert!(started >= due, "{started} is before {due}");
    let late = Duration::try_from(started.duration_since(due)).unwrap();
    assert!(late < Duration::from_secs(10), "late by {late:?}");
}

async fn a_retry_comes_after_its_wait_and_with_the_next_attempt(engine: Engine) {
    let bed = Bed::with(engine, |held| match held.attempt {
        1 => Outcome::Retry {
            after: ms(700),
            error: "not yet".into(),
        },
        _ => Outcome::Done,
    })
    .await;
    bed.publish(message(1)).await;
    bed.done(1).await;
    let runs = bed.runs(1).await;
    let attempts: Vec<_> = runs.iter().map(|run| (run.attempt, run.turn)).collect();
    assert_eq!(attempts, [(1, 1), (2, 2)]);
    let waited = Duration::try_from(runs[1].at.duration_since(runs[0].at)).unwrap();
    assert!(waited >= ms(700) && waited < ms(4_000), "{waited:?}");
    let error: String = bed
        .sql("select error from job_attempt where outcome = 'retry'")
        .await;
    assert_eq!(error, "not yet");
}

/// Long enough for RabbitMQ to hold the message meanwhile.
async fn a_long_wait_ends_in_time(engine: Engine) {
    let bed = Bed::with(engine, |held| match held.attempt {
        1 => Outcome::Retry {
            after: ms(6_500),
            error: "not yet".into(),
        },
        _ => Outcome::Done,
    })
    .await;
    bed.publish(message(1)).await;
    if engine == Engine::Amqp {
        bed.until("the row has a message in a tier", || async {
            let tier = format!("{}.payment.retry.5s", bed.prefix);
            bed.messages(&tier).await == 1
                && bed
                    .sql::<i64>("select count(*) from job where published_at is not null")
                    .await
                    == 1
        })
        .await;
    }
    bed.done(1).await;
    let runs = bed.runs(1).await;
    let waited = Duration::try_from(runs[1].at.duration_since(runs[0].at)).unwrap();
    assert!(waited >= ms(6_500) && waited < ms(10_000), "{waited:?}");
}

async fn a_snooze_uses_no_attempt_up(engine: Engine) {
    let bed = Bed::with(engine, |held| match held.turn {
        1..=3 => Outcome::Snooze {
            after: ms(50),
            why: "PortOne is asleep".into(),
        },
        _ => Outcome::Done,
    })
    .await;
    bed.publish(message(1)).await;
    bed.done(1).await;
    let attempts: Vec<_> = bed.runs(1).await.iter().map(|run| run.attempt).collect();
    assert_eq!(attempts, [1, 1, 1, 1]);
}

async fn a_dead_letter_keeps_its_reason_and_waits(engine: Engine) {
    let bed = Bed::with(engine, |_| Outcome::Dead {
        reason: DeadReason::Permanent,
        error: "PortOne knows no such payment".into(),
    })
    .await;
    bed.publish(message(1)).await;
    bed.until("it is dead", || async {
        bed.sql::<i64>("select count(*) from job where state = 'dead'")
            .await
            == 1
    })
    .await;
    tokio::time::sleep(ms(1_500)).await;
    assert_eq!(bed.runs(1).await.len(), 1, "nobody tries it again");
    let why: String = bed
        .sql("select reason || ': ' || last_error from job")
        .await;
    assert_eq!(why, "permanent: PortOne knows no such payment");
}

async fn a_replayed_dead_letter_runs_again_and_its_history_stays(engine: Engine) {
    let bed = Bed::with(engine, |held| match held.generation {
        0 => Outcome::Dead {
            reason: DeadReason::Exhausted,
            error: "used up".into(),
        },
        _ => Outcome::Done,
    })
    .await;
    bed.publish(message(1)).await;
    bed.until("it is dead", || async {
        bed.sql::<i64>("select count(*) from job where state = 'dead'")
            .await
            == 1
    })
    .await;
    bed.store.write(|tx| jobs::replay(tx, 1)).await.unwrap();
    bed.done(1).await;
    let runs: Vec<_> = bed
        .runs(1)
        .await
        .iter()
        .map(|run| (run.generation, run.attempt))
        .collect();
    assert_eq!(runs, [(0, 1), (1, 1)]);
    assert_eq!(
        bed.sql::<i64>("select count(*) from job_attempt where outcome = 'dead'")
            .await,
        1
    );
}

async fn a_discarded_dead_letter_never_runs(engine: Engine) {
    let bed = Bed::with(engine, |_| Outcome::Dead {
        reason: DeadReason::Exhausted,
        error: "used up".into(),
    })
    .await;
    bed.publish(message(1)).await;
    bed.until("it is dead", || async {
        bed.sql::<i64>("select count(*) from job where state = 'dead'")
            .await
            == 1
    })
    .await;
    bed.store
        .write(|tx| jobs::discard(tx, 1, "given up"))
        .await
        .unwrap();
    tokio::time::sleep(ms(1_500)).await;
    assert_eq!(bed.runs(1).await.len(), 1);
    assert_eq!(
        bed.sql::<String>("select state from job").await,
        "cancelled"
    );
}

/// Not a measurement, which is a bench's: a broker that only looked once a second would fail.
async fn a_job_starts_when_it_is_committed_and_not_at_the_next_look(engine: Engine) {
    let bed = Bed::start(engine).await;
    let mut waits = Vec::new();
    for n in 0..15 {
        let id = bed.publish(message(n)).await;
        bed.done(n as usize + 1).await;
        let created = bed.created_at(id).await;
        waits.push(Duration::try_from(bed.started_at(id).await.duration_since(created)).unwrap());
        tokio::time::sleep(ms(20)).await;
    }
    waits.sort_unstable();
    assert!(
        waits[7] < ms(300),
        "half of them waited {:?} or longer",
        waits[7]
    );
}

async fn a_run_that_breaks_off_is_run_again_and_the_worker_lives(engine: Engine) {
    let bed = Bed::with(engine, |held| {
        assert!(
            held.id != 1 || held.attempt > 1,
            "a bug in the first run of the first job"
        );
        Outcome::Done
    })
    .await;
    bed.publish(message(1)).await;
    bed.publish(message(2)).await;
    bed.done(1).await;
    // Nobody settled the broken run: its lease ends, and it goes on.
    bed.clock.advance(Duration::from_secs(3_600));
    bed.recover().await;
    bed.done(2).await;
    assert_eq!(
        bed.sql::<i64>("select crashes from job where id = 1").await,
        1
    );
}

async fn two_brokers_on_the_same_books_double_nothing(engine: Engine) {
    let bed = Bed::start(engine).await;
    let second = bed.another(engine).await;
    for part in 0..6 {
        bed.publish_many((part * 50..part * 50 + 50).map(message).collect())
            .await;
        tokio::time::sleep(ms(30)).await;
    }
    bed.done(300).await;
    bed.every_job_once(300).await;
    second.stop().await;
}

async fn a_stop_gives_back_what_had_not_begun(engine: Engine) {
    let mut bed = Bed::slow(engine, ms(400)).await;
    bed.publish_many((0..60).map(message).collect()).await;
    bed.until("some run", || async {
        bed.sql::<i64>("select count(*) from job where state = 'running'")
            .await
            > 0
    })
    .await;
    bed.stop_workers().await;
    let (running, charged): (i64, i64) = (
        bed.sql("select count(*) from job where state = 'running'")
            .await,
        bed.sql("select count(*) from job where state = 'ready' and attempt > 0")
            .await,
    );
    assert_eq!(
        (running, charged),
        (0, 0),
        "left running, charged for nothing"
    );
    bed.start_workers(ms(0)).await;
    bed.done(60).await;
    bed.every_job_once(60).await;
}

async fn a_paused_kind_waits_and_the_others_do_not(engine: Engine) {
    let bed = Bed::start(engine).await;
    bed.store
        .write(|tx| jobs::pause(tx, "confirm_payment", "test", "an incident"))
        .await
        .unwrap();
    bed.publish(message(1)).await;
    bed.publish(prune()).await;
    bed.done(1).await;
    tokio::time::sleep(ms(1_300)).await;
    assert_eq!(bed.effects().await, [("prune".to_owned(), 1)]);
    bed.store
        .write(|tx| jobs::resume(tx, "confirm_payment"))
        .await
        .unwrap();
    bed.done(2).await;
    // Paused while its message is on the way: that one is taken back.
    bed.store
        .write(|tx| {
            jobs::publish(
                tx,
                &message(2),
                Terms {
                    max_attempts: 3,
                    run_at: None,
                },
            )?;
            jobs::pause(tx, "confirm_payment", "test", "again")
        })
        .await
        .unwrap();
    tokio::time::sleep(ms(700)).await;
    assert_eq!(bed.effects().await.len(), 2);
    assert_eq!(
        bed.sql::<i64>("select count(*) from job where state = 'ready'")
            .await,
        1
    );
    bed.store
        .write(|tx| jobs::resume(tx, "confirm_payment"))
        .await
        .unwrap();
    bed.done(3).await;
}

async fn what_waits_in_one_engine_is_run_by_the_other(engine: Engine) {
    let mut bed = Bed::slow(engine, ms(100)).await;
    let later = bed.store.now() + Duration::from_secs(7);
    bed.publish_many((0..40).map(message).collect()).await;
    bed.publish_at(message(40), later).await;
    bed.publish_at(message(41), later + Duration::from_secs(3_600))
        .await;
    bed.until("some are done, most are not", || async {
        bed.count_effects().await >= 8
    })
    .await;
    bed.stop_workers().await;
    let other = match engine {
        Engine::Embedded => Engine::Amqp,
        Engine::Amqp => Engine::Embedded,
    };
    let left: i64 = bed
        .sql("select count(*) from job where state = 'ready'")
        .await;
    let moved = bed.switch_to(other).await;
    match other {
        // What is due in less than the first tier waits in the books.
        Engine::Amqp => assert!(moved as i64 >= left - 1, "{moved} of {left}"),
        Engine::Embedded => {
            assert_eq!(
                bed.sql::<i64>("select count(*) from job where published_at is not null")
                    .await,
                0
            );
            for queue in bed.queues() {
                assert_eq!(bed.messages(&queue).await, 0, "{queue}");
            }
        }
    }
    bed.start_workers(ms(0)).await;
    bed.done(41).await;
    bed.every_job_once(41).await;
    let waits: String = bed.sql("select state from job where id = 42").await;
    assert_eq!(waits, "ready", "not due for an hour");
}

async fn a_job_that_nobody_can_read_is_handed_out_like_any_other(engine: Engine) {
    let bed = Bed::start(engine).await;
    bed.execute("insert into job (queue, kind, payload, state, max_attempts, run_at, created_at) values ('payment', 'of_a_later_version', '{}', 'ready', 1, 0, 0)").await;
    bed.publish(message(1)).await;
    bed.done(2).await;
    assert_eq!(bed.effects().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_publication_of_a_key_finds_the_first_even_while_it_has_a_message() {
    let bed = Bed::idle(Engine::Amqp).await;
    let publish = || {
        bed.store.write(|tx| {
            jobs::publish(
                tx,
                &prune(),
                Terms {
                    max_attempts: 1,
                    run_at: None,
                },
            )
        })
    };
    let first = publish().await.unwrap();
    bed.until("it has a message", || async {
        bed.sql::<i64>("select count(*) from job where published_at is not null")
            .await
            == 1
    })
    .await;
    assert_eq!(publish().await.unwrap(), Published::Duplicate(first.id()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_of_a_dead_process_is_taken_over_at_once() {
    let bed = Bed::idle(Engine::Embedded).await;
    let took = bed
        .store
        .write(|tx| {
            leases::take(
                tx,
                leases::KEEPER,
                "1-gone",
                Duration::from_secs(3_600),
                None,
            )
        })
        .await
        .unwrap();
    assert!(took && !bed.store.is_alive("1-gone"));
    let boot = bed.store.boot();
    let took = bed
        .store
        .write(move |tx| {
            leases::take(
                tx,
                leases::KEEPER,
                &boot,
                Duration::from_secs(15),
                Some("1-gone"),
            )
        })
        .await
        .unwrap();
    assert!(took);
}

/// The settle of a run that lost its row rolls its effect back, whoever handed it out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_overtaken_has_no_effect() {
    let bed = Bed::idle(Engine::Embedded).await;
    let id = bed.publish(message(1)).await;
    let claim = |boot: &'static str| {
        bed.store
            .write(move |tx| jobs::claim(tx, Queue::Payment, 1, boot, Duration::from_secs(60)))
    };
    let slow = claim("1-gone").await.unwrap().remove(0);
    bed.recover().await; // its process is dead
    let second = claim("2-gone").await.unwrap().remove(0);
    assert_eq!((second.id, second.turn), (id, slow.turn + 1));
    let late = bed
        .store
        .write(move |tx| {
            tx.conn()
                .execute("insert into effect values (1, 'late', 0, 0, 0, 0, '')", [])?;
            jobs::settle(tx, &slow, &Outcome::Done)
        })
        .await;
    assert!(matches!(late, Err(SettleError::Stale(_))), "{late:?}");
    assert_eq!(bed.count_effects().await, 0);
}
