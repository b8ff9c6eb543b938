//! RabbitMQ by itself: what the same messages cost without a ledger beside them.
//!
//! A quorum queue, persistent messages, each producer waiting for its confirmation, consumers that
//! acknowledge at once. A connection for those who publish and one for those who consume.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        QueueDeclareOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};

use super::rig::{PREFIX, Tally};

const PERSISTENT: u8 = 2;

pub struct Plain {
    publishing: Connection,
    consuming: Connection,
    queue: String,
    made: AtomicU64,
}

async fn connect(url: &str) -> Connection {
    Connection::connect(url, ConnectionProperties::default())
        .await
        .expect("a RabbitMQ")
}

impl Plain {
    /// A queue with `n` consumers.
    pub async fn start(url: &str, n: usize, tally: &Arc<Tally>) -> Plain {
        let plain = Plain {
            publishing: connect(url).await,
            consuming: connect(url).await,
            queue: format!("{PREFIX}.plain"),
            made: AtomicU64::new(0),
        };
        let channel = plain.consuming.create_channel().await.expect("a channel");
        plain.remove(&channel).await;
        let mut quorum = FieldTable::default();
        quorum.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        let queue = plain.queue.as_str();
        channel
            .queue_declare(queue.into(), QueueDeclareOptions::durable(), quorum)
            .await
            .expect("a queue");
        for i in 0..n {
            let channel = plain.consuming.create_channel().await.expect("a channel");
            // As many at hand as our consumer has for as many workers.
            let two = BasicQosOptions::default();
            channel.basic_qos(2, two).await.expect("a prefetch");
            let tag = format!("consumer-{i}");
            let mut messages = channel
                .basic_consume(
                    queue.into(),
                    tag.as_str().into(),
                    BasicConsumeOptions::default(),
                    FieldTable::default(),
                )
                .await
                .expect("a consumer");
            let tally = tally.clone();
            tokio::spawn(async move {
                while let Some(Ok(message)) = messages.next().await {
                    let text = String::from_utf8_lossy(&message.data);
                    let id = text[6..].split(',').next().and_then(|id| id.parse().ok());
                    let done = message.acker.ack(BasicAckOptions::default()).await;
                    done.expect("to acknowledge");
                    tally.done(id.expect("a number"));
                }
            });
        }
        plain
    }

    pub async fn through(&self, tally: &Tally, n: usize, jobs: u64) -> Duration {
        let (before, ..) = tally.figures();
        let mut channels = Vec::new();
        for _ in 0..n {
            let channel = self.publishing.create_channel().await.expect("a channel");
            let confirms = channel.confirm_select(Default::default()).await;
            confirms.expect("confirmations");
            channels.push(channel);
        }
        let began = Instant::now();
        let first = self.made.fetch_add(jobs, Ordering::Relaxed);
        let next = Arc::new(AtomicU64::new(0));
        let producers: Vec<_> = channels
            .into_iter()
            .map(|channel| {
                let (next, queue) = (next.clone(), self.queue.clone());
                tokio::spawn(async move {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        if at >= jobs {
                            break;
                        }
                        publish(&channel, &queue, first + at).await;
                    }
                })
            })
            .collect();
        for producer in producers {
            producer.await.expect("a producer");
        }
        tally.wait(before + jobs).await - began
    }

    pub async fn end(self) {
        let channel = self.publishing.create_channel().await.expect("a channel");
        self.remove(&channel).await;
        let _ = self.consuming.close(200, "over".into()).await;
        let _ = self.publishing.close(200, "over".into()).await;
    }

    async fn remove(&self, channel: &Channel) {
        channel
            .queue_delete(self.queue.as_str().into(), QueueDeleteOptions::default())
            .await
            .expect("to clean up");
    }
}

/// A message as long as ours are.
async fn publish(channel: &Channel, queue: &str, id: u64) {
    let body = format!(r#"{{"id":{id},"generation":0,"attempt":0,"turn":0}}"#);
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let confirmed = channel
        .basic_publish(
            "".into(),
            queue.into(),
            options,
            body.as_bytes(),
            properties,
        )
        .await
        .expect("to publish")
        .await
        .expect("a confirmation");
    assert!(matches!(confirmed, Confirmation::Ack(None)), "refused");
}
