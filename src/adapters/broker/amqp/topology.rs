//! What stands in RabbitMQ: exchanges and queues, their names, and how a message gets from one to
//! another. The names are a contract with other systems; the README lists them.
//!
//! Everything is durable and of quorum type. A queue that another one dead-letters into is declared
//! before it, since at-least-once dead-lettering keeps a message until its target has it.

use std::time::Duration;

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};

use crate::domain::job::Queue;

/// Queues in which a message waits, by the time it stays there. A job that is due in eight minutes
/// waits in the two-minute queue four times; what is left below the first is waited out in the ledger.
pub const TIERS: [(&str, Duration); 8] = [
    ("5s", Duration::from_secs(5)),
    ("30s", Duration::from_secs(30)),
    ("2m", Duration::from_secs(120)),
    ("10m", Duration::from_secs(600)),
    ("30m", Duration::from_secs(1_800)),
    ("1h", Duration::from_secs(3_600)),
    ("3h", Duration::from_secs(10_800)),
    ("6h", Duration::from_secs(21_600)),
];

/// Deliveries of one message without an acknowledgement before RabbitMQ gives it up. The row knows
/// better how often its job was tried; this only ends a message that nobody can take.
const DELIVERY_LIMIT: i32 = 20;

/// The longest tier in which a message may wait that is due after `left`.
pub fn tier(left: Duration) -> Option<&'static str> {
    TIERS
        .iter()
        .rev()
        .find(|(_, stays)| *stays <= left)
        .map(|(name, _)| *name)
}

/// The names of everything, all beginning alike.
#[derive(Clone, Debug)]
pub struct Names {
    prefix: String,
}

impl Names {
    pub fn new(prefix: &str) -> Names {
        Names {
            prefix: prefix.to_owned(),
        }
    }

    /// Takes jobs to their work queue; the routing key is the queue's bare name.
    pub fn jobs(&self) -> String {
        format!("{}.jobs", self.prefix)
    }

    /// Takes jobs to where they wait; the routing key is `<queue>.<tier>`.
    pub fn retry(&self) -> String {
        format!("{}.jobs.retry", self.prefix)
    }

    /// Takes dead letters to their queue; the routing key is the queue's bare name.
    pub fn dead(&self) -> String {
        format!("{}.jobs.dead", self.prefix)
    }

    pub fn work_queue(&self, queue: Queue) -> String {
        format!("{}.{}", self.prefix, queue.as_str())
    }

    pub fn tier_queue(&self, queue: Queue, tier: &str) -> String {
        format!("{}.{}.retry.{tier}", self.prefix, queue.as_str())
    }

    pub fn dead_queue(&self, queue: Queue) -> String {
        format!("{}.{}.dead", self.prefix, queue.as_str())
    }

    /// A dead letter's message that is moved here is given up.
    pub fn discard_queue(&self) -> String {
        format!("{}.discard", self.prefix)
    }

    /// The queues in which messages of waiting jobs lie.
    pub fn waiting_queues(&self) -> Vec<String> {
        let mut all = Vec::new();
        for queue in Queue::ALL {
            all.extend(TIERS.iter().map(|(tier, _)| self.tier_queue(queue, tier)));
            all.push(self.work_queue(queue));
        }
        all
    }

    /// Every queue, those that wait for a person last.
    pub fn queues(&self) -> Vec<String> {
        let mut all = self.waiting_queues();
        all.push(self.discard_queue());
        all.extend(Queue::ALL.map(|queue| self.dead_queue(queue)));
        all
    }
}

fn text(value: impl Into<String>) -> AMQPValue {
    AMQPValue::LongString(value.into().into())
}

fn arguments(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), text("quorum"));
    for (name, value) in entries {
        table.insert((*name).into(), value.clone());
    }
    table
}

async fn declare(
    channel: &Channel,
    name: String,
    entries: &[(&str, AMQPValue)],
) -> lapin::Result<()> {
    let options = QueueDeclareOptions::durable();
    channel
        .queue_declare(name.into(), options, arguments(entries))
        .await?;
    Ok(())
}

async fn bind(
    channel: &Channel,
    queue: String,
    exchange: String,
    key: String,
) -> lapin::Result<()> {
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}

/// Makes what is not there yet. Fails if something of a name is there and is another thing.
pub async fn make(channel: &Channel, names: &Names) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    for exchange in [names.jobs(), names.retry(), names.dead()] {
        channel
            .exchange_declare(
                exchange.into(),
                ExchangeKind::Direct,
                durable,
                FieldTable::default(),
            )
            .await?;
    }
    declare(channel, names.discard_queue(), &[]).await?;
    for queue in Queue::ALL {
        let key = queue.as_str().to_owned();
        declare(channel, names.dead_queue(queue), &[]).await?;
        bind(channel, names.dead_queue(queue), names.dead(), key.clone()).await?;
        let on_to = |exchange: String| {
            [
                ("x-dead-letter-exchange", text(exchange)),
                ("x-dead-letter-routing-key", text(key.clone())),
                ("x-dead-letter-strategy", text("at-least-once")),
                ("x-overflow", text("reject-publish")),
            ]
        };
        let mut entries = on_to(names.dead()).to_vec();
        entries.push(("x-delivery-limit", AMQPValue::LongInt(DELIVERY_LIMIT)));
        declare(channel, names.work_queue(queue), &entries).await?;
        bind(channel, names.work_queue(queue), names.jobs(), key.clone()).await?;
        for (tier, stays) in TIERS {
            let mut entries = on_to(names.jobs()).to_vec();
            let ms = i64::try_from(stays.as_millis()).unwrap_or(i64::MAX);
            entries.push(("x-message-ttl", AMQPValue::LongLongInt(ms)));
            let name = names.tier_queue(queue, tier);
            declare(channel, name.clone(), &entries).await?;
            bind(channel, name, names.retry(), format!("{key}.{tier}")).await?;
        }
    }
    Ok(())
}

/// Removes all of it, messages too.
pub async fn remove(channel: &Channel, names: &Names) -> lapin::Result<()> {
    for queue in names.queues() {
        channel
            .queue_delete(queue.into(), QueueDeleteOptions::default())
            .await?;
    }
    for exchange in [names.jobs(), names.retry(), names.dead()] {
        channel
            .exchange_delete(exchange.into(), Default::default())
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_never_waits_longer_than_its_job() {
        let seconds = |n| tier(Duration::from_secs(n));
        assert_eq!(seconds(4), None);
        assert_eq!(seconds(5), Some("5s"));
        assert_eq!(seconds(29), Some("5s"));
        assert_eq!(seconds(599), Some("2m"));
        assert_eq!(seconds(1_000_000), Some("6h"));
    }
}
