//! What only a broker with messages has to survive: doubles, losses, strangers, and its own death.

use std::time::{Duration, Instant};

use futures::StreamExt;
use jeongsan::{
    domain::job::{DeadReason, Engine, Outcome},
    flow::Heard,
    store::{StoreError, jobs},
};
use lapin::{
    BasicProperties, Channel,
    options::{
        BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, QueuePurgeOptions,
    },
    types::AMQPValue,
};
use serde_json::{Value, json};

use crate::{
    bed::{Bed, message, ms},
    cord::Cord,
    own::Node,
};

async fn put(channel: &Channel, queue: &str, body: &[u8]) {
    channel
        .basic_publish(
            "".into(),
            queue.into(),
            BasicPublishOptions::default(),
            body,
            BasicProperties::default(),
        )
        .await
        .unwrap()
        .await
        .unwrap();
}

/// Takes a message out of a queue, and leaves it out.
async fn take(channel: &Channel, queue: &str) -> Option<lapin::message::Delivery> {
    let got = channel
        .basic_get(queue.into(), BasicGetOptions::default())
        .await
        .unwrap()?;
    got.delivery
        .acker
        .ack(BasicAckOptions::default())
        .await
        .unwrap();
    Some(got.delivery)
}

fn body(message: &lapin::message::Delivery) -> Value {
    serde_json::from_slice(&message.data).unwrap()
}

fn text(message: &lapin::message::Delivery, name: &str) -> String {
    match message
        .properties
        .headers()
        .as_ref()
        .unwrap()
        .inner()
        .get(name)
    {
        Some(AMQPValue::LongString(text)) => String::from_utf8(text.as_bytes().to_vec()).unwrap(),
        Some(AMQPValue::LongLongInt(number)) => number.to_string(),
        other => panic!("{name}: {other:?}"),
    }
}

fn work(bed: &Bed) -> String {
    format!("{}.payment", bed.prefix)
}

fn dead(bed: &Bed) -> String {
    format!("{}.payment.dead", bed.prefix)
}

async fn one_dead(bed: &Bed) {
    bed.until("it is dead", || async {
        bed.sql::<i64>("select count(*) from job where state = 'dead'")
            .await
            == 1
    })
    .await;
}

async fn copies(bed: &Bed, many: u32) {
    bed.until(&format!("{many} copies lie in the dead queue"), || async {
        bed.messages(&dead(bed)).await == many
    })
    .await;
}

async fn dying() -> Bed {
    Bed::with(Engine::Amqp, |held| match held.generation {
        0 => Outcome::Dead {
            reason: DeadReason::Exhausted,
            error: "PortOne answered 500".into(),
        },
        _ => Outcome::Done,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_says_what_other_systems_are_promised() {
    let bed = Bed::idle(Engine::Amqp).await;
    let id = bed.publish(message(1)).await;
    bed.until("it lies there", || async {
        bed.messages(&work(&bed)).await == 1
    })
    .await;
    let channel = bed.channel().await;
    let got = take(&channel, &work(&bed)).await.unwrap();
    assert_eq!(
        body(&got),
        json!({ "id": id, "generation": 0, "attempt": 0, "turn": 0 })
    );
    let properties = &got.properties;
    assert_eq!(properties.delivery_mode(), &Some(2));
    assert_eq!(
        properties.message_id().as_ref().unwrap().as_str(),
        id.to_string()
    );
    assert_eq!(
        properties.kind().as_ref().unwrap().as_str(),
        "confirm_payment"
    );
    assert!(properties.timestamp().is_some());
    assert_eq!(text(&got, "x-attempt"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_workers_messages_wait_in_their_queue() {
    let bed = Bed::idle(Engine::Amqp).await;
    for n in 0..5 {
        bed.publish(message(n)).await;
    }
    bed.until("they lie there", || async {
        bed.messages(&work(&bed)).await == 5
    })
    .await;
    // A message lies there before its confirmation has come back.
    bed.until("they are confirmed", || async { bed.published() == 5 })
        .await;
    assert_eq!(
        bed.sql::<i64>("select count(*) from job where state = 'ready'")
            .await,
        5
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_twice_or_late_does_nothing() {
    let mut bed = Bed::slow(Engine::Amqp, ms(0)).await;
    bed.stop_workers().await;
    // Sent by hand before, while and after its row is run.
    let channel = bed.channel().await;
    let double = json!({ "id": 1, "generation": 0, "attempt": 0, "turn": 0 }).to_string();
    for _ in 0..3 {
        put(&channel, &work(&bed), double.as_bytes()).await;
    }
    bed.publish(message(1)).await;
    bed.start_workers(ms(200)).await;
    bed.done(1).await;
    for turn in 0..3 {
        let late = json!({ "id": 1, "generation": 0, "attempt": 0, "turn": turn }).to_string();
        put(&channel, &work(&bed), late.as_bytes()).await;
    }
    // Of other books, too.
    put(
        &channel,
        &work(&bed),
        br#"{"id":999999,"generation":0,"attempt":0,"turn":0}"#,
    )
    .await;
    bed.publish(message(2)).await;
    bed.done(2).await;
    bed.until("none is left", || async {
        bed.messages(&work(&bed)).await == 0
    })
    .await;
    bed.every_job_once(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_none_of_ours_is_put_aside_and_kept() {
    let bed = Bed::start(Engine::Amqp).await;
    let channel = bed.channel().await;
    bed.publish(message(1)).await;
    bed.done(1).await;
    for strange in [&b"hello"[..], b"{}", b"\xff\xfe"] {
        put(&channel, &work(&bed), strange).await;
    }
    copies(&bed, 3).await;
    // The upkeep of the dead letters goes through them and leaves them.
    tokio::time::sleep(ms(600)).await;
    bed.publish(message(2)).await;
    bed.done(2).await;
    copies(&bed, 3).await;
    let got = take(&channel, &dead(&bed)).await.unwrap();
    assert_eq!(text(&got, "x-reason"), "unreadable");
    assert!(text(&got, "x-error").contains("expected {id, generation, attempt, turn}"));
    assert!([&b"hello"[..], b"{}", b"\xff\xfe"].contains(&&got.data[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_purged_are_sent_again() {
    let mut bed = Bed::slow(Engine::Amqp, ms(0)).await;
    bed.stop_workers().await;
    for n in 0..20 {
        bed.publish(message(n)).await;
    }
    let relay = bed.relay_alone().await;
    bed.until("they have messages", || async {
        bed.messages(&work(&bed)).await == 20
    })
    .await;
    let channel = bed.channel().await;
    channel
        .queue_purge(work(&bed).into(), QueuePurgeOptions::default())
        .await
        .unwrap();
    bed.until("they are marked", || async { bed.published() == 20 })
        .await;
    relay.stop().await;
    assert_eq!(bed.published(), 20);
    bed.start_workers(ms(0)).await;
    bed.clock.advance(Duration::from_secs(120));
    bed.done(20).await;
    bed.every_job_once(20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_has_a_copy_that_tells_why_and_goes_with_its_replay() {
    let bed = dying().await;
    let id = bed.publish(message(1)).await;
    one_dead(&bed).await;
    copies(&bed, 1).await;
    let channel = bed.channel().await;
    let got = channel
        .basic_get(dead(&bed).as_str().into(), BasicGetOptions::default())
        .await
        .unwrap()
        .unwrap()
        .delivery;
    assert_eq!(body(&got)["id"], id);
    assert_eq!(text(&got, "x-reason"), "exhausted");
    assert_eq!(text(&got, "x-error"), "PortOne answered 500");
    assert_eq!(text(&got, "x-attempts"), "1");
    for time in ["x-first-at", "x-last-at"] {
        text(&got, time).parse::<jiff::Timestamp>().unwrap();
    }
    let back = BasicNackOptions {
        requeue: true,
        ..BasicNackOptions::default()
    };
    got.acker.nack(back).await.unwrap();
    bed.store
        .write(move |tx| jobs::replay(tx, id))
        .await
        .unwrap();
    bed.done(1).await;
    copies(&bed, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purging_the_dead_letters_loses_none() {
    let bed = dying().await;
    let id = bed.publish(message(1)).await;
    one_dead(&bed).await;
    copies(&bed, 1).await;
    let channel = bed.channel().await;
    channel
        .queue_purge(dead(&bed).into(), QueuePurgeOptions::default())
        .await
        .unwrap();
    copies(&bed, 1).await;
    // Doubled by hand: one is enough.
    let got = take(&channel, &dead(&bed)).await.unwrap();
    for _ in 0..3 {
        put(&channel, &dead(&bed), &got.data).await;
    }
    copies(&bed, 1).await;
    bed.store
        .write(move |tx| jobs::discard(tx, id, "given up"))
        .await
        .unwrap();
    copies(&bed, 0).await;
}

/// A row can send its message again; what somebody else put there cannot come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_rabbitmq_takes_nothing_away_that_waits_for_a_person() {
    let mut bed = dying().await;
    let channel = bed.channel().await;
    bed.publish(message(1)).await;
    one_dead(&bed).await;
    copies(&bed, 1).await;
    put(&channel, &work(&bed), b"hello").await;
    copies(&bed, 2).await;
    bed.stop_workers().await;
    let discard = format!("{}.discard", bed.prefix);
    put(
        &channel,
        &discard,
        br#"{"id":1,"generation":0,"attempt":1,"turn":1}"#,
    )
    .await;
    bed.switch_to(Engine::Embedded).await;
    copies(&bed, 2).await;
    assert_eq!(bed.messages(&discard).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_somebody_moves_is_heard_as_what_it_means() {
    let bed = dying().await;
    let id = bed.publish(message(1)).await;
    one_dead(&bed).await;
    copies(&bed, 1).await;
    let mut heard = bed.handing_out().heard();
    let channel = bed.channel().await;
    let got = take(&channel, &dead(&bed)).await.unwrap();
    put(&channel, &work(&bed), &got.data).await;
    assert_eq!(heard.next().await, Some(Heard::Replay { id }));
    put(&channel, &format!("{}.discard", bed.prefix), &got.data).await;
    let note = "given up in RabbitMQ".to_owned();
    assert_eq!(heard.next().await, Some(Heard::Discard { id, note }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_rabbitmq_gives_up_is_heard_of() {
    let bed = Bed::idle(Engine::Amqp).await;
    let id = bed.publish(message(1)).await;
    bed.until("it lies there", || async {
        bed.messages(&work(&bed)).await == 1
    })
    .await;
    let mut heard = bed.handing_out().heard();
    let back = BasicNackOptions {
        requeue: true,
        ..BasicNackOptions::default()
    };
    let channel = bed.channel().await;
    let begun = Instant::now();
    while bed.messages(&work(&bed)).await > 0 {
        if let Some(got) = channel
            .basic_get(work(&bed).as_str().into(), BasicGetOptions::default())
            .await
            .unwrap()
        {
            got.delivery.acker.nack(back).await.unwrap();
        }
        tokio::time::sleep(ms(5)).await;
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "RabbitMQ never gives up"
        );
    }
    let why = "delivery_limit".to_owned();
    assert_eq!(
        heard.next().await,
        Some(Heard::GivenUp { id, turn: 0, why })
    );
}

/// Rows are claimed in a write, and the connection breaks before it is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_claimed_when_the_connection_broke_is_run() {
    let bed = Bed::idle(Engine::Amqp).await;
    bed.publish_many((0..5).map(message).collect()).await;
    bed.until("they lie there", || async {
        bed.messages(&work(&bed)).await == 5
    })
    .await;
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    let store = bed.store.clone();
    let held_up = tokio::spawn(async move {
        store
            .write(move |_| {
                let _ = waits.recv();
                Ok::<_, StoreError>(())
            })
            .await
    });
    let cord = Cord::to(&bed.url).await;
    let others = bed.another_by(&cord.url(&bed.url)).await;
    bed.until("they were taken", || async {
        bed.messages(&work(&bed)).await == 0
    })
    .await;
    // Time for the write that claims them to be asked for.
    tokio::time::sleep(ms(300)).await;
    cord.cut();
    bed.until("the connection is known to be gone", || async {
        others.health().is_err()
    })
    .await;
    go_on.send(()).unwrap();
    held_up.await.unwrap().unwrap();
    bed.done(5).await;
    bed.every_job_once(5).await;
    others.stop().await;
}

/// The broker dies in the middle of the load, with everything that it had not written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_broker_in_the_middle_of_load_loses_nothing() {
    let mut node = Node::start();
    let bed = Bed::at(Engine::Amqp, node.url(), |_| Outcome::Done).await;
    let mut published = 0;
    for round in 0..2 {
        for _ in 0..10 {
            bed.publish_many((0..40).map(|n| message(published + n)).collect())
                .await;
            published += 40;
            tokio::time::sleep(ms(10)).await;
        }
        node.kill();
        bed.until("it is known to be down", || async {
            bed.handing_out().health().is_err()
        })
        .await;
        // What is published meanwhile waits in the books.
        bed.publish_many((0..100).map(|n| message(published + n)).collect())
            .await;
        published += 100;
        node.run();
        let back = Instant::now();
        bed.until("it is known to be up", || async {
            bed.handing_out().health().is_ok()
        })
        .await;
        assert!(
            back.elapsed() < Duration::from_secs(12),
            "round {round}: {:?}",
            back.elapsed()
        );
    }
    bed.done(published as usize).await;
    bed.every_job_once(published).await;
}
