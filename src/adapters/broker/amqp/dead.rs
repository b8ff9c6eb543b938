//! Keeps the dead queues in step with the ledger, and hears what people do there with tools of their own.
//!
//! Each dead letter has one message in the dead queue of its queue, with the reason in its headers. It
//! is a copy: who purges the queue loses nothing, and finds it filled again. Moving a copy to its work
//! queue replays the job, moving it to the discard queue gives it up; both go through the same flow as
//! on the page. A message that RabbitMQ itself gave up is found here as well.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use lapin::{
    Channel, Connection,
    options::{BasicAckOptions, BasicConsumeOptions, BasicGetOptions},
    types::FieldTable,
};

use super::{Inner, Trouble, message, publish_all, ready_messages, reply};
use crate::{
    domain::job::Queue,
    flow::Heard,
    store::published::{self, DeadCopy},
};

/// Copies of one queue at the most; the ledger has all of them in any case.
const MOST: usize = 10_000;
/// Between two looks, where nothing is heard of.
const LOOK: Duration = Duration::from_secs(5);
/// After a commit, so that many deaths are one look.
const BREATH: Duration = Duration::from_millis(200);

/// Row, generation, turn: which death it was.
type Key = (i64, u32, i64);

fn key(copy: &DeadCopy) -> Key {
    (copy.id, copy.generation, copy.turn)
}

/// What is known to lie in a dead queue.
#[derive(Default)]
struct Known {
    ours: BTreeSet<Key>,
    foreign: usize,
    read: bool,
}

/// Until the connection breaks.
pub async fn keep_dead(inner: Arc<Inner>, line: Arc<Connection>) -> Result<(), Trouble> {
    let channel = reply(line.create_channel()).await?;
    reply(channel.confirm_select(Default::default())).await?;
    let mut keeper = inner.keeper.clone();
    let mut ready = inner.store.jobs_ready();
    let mut known: BTreeMap<Queue, Known> = BTreeMap::new();
    loop {
        if !*keeper.borrow_and_update() {
            // Somebody else changes the queues meanwhile.
            known.clear();
            keeper
                .wait_for(|keeper| *keeper)
                .await
                .map_err(|_| Trouble::Ended("the server stops"))?;
        }
        ready.borrow_and_update();
        for queue in Queue::ALL {
            let known = known.entry(queue).or_default();
            match in_step(&inner, &channel, queue, known).await {
                Err(Trouble::Books(error)) => {
                    tracing::warn!(%error, "dead letters could not be read; trying again");
                }
                other => other?,
            }
        }
        tokio::select! {
            _ = ready.changed() => tokio::time::sleep(BREATH).await,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn in_step(
    inner: &Inner,
    channel: &Channel,
    queue: Queue,
    known: &mut Known,
) -> Result<(), Trouble> {
    let copies = inner
        .store
        .read(|conn| published::dead(conn, queue, MOST))?;
    let ledger: BTreeMap<Key, &DeadCopy> = copies.iter().map(|copy| (key(copy), copy)).collect();
    let there = ready_messages(channel, &inner.names.dead_queue(queue)).await? as usize;
    let nothing_gone = known.read
        && there == known.ours.len() + known.foreign
        && known.ours.iter().all(|key| ledger.contains_key(key));
    if !nothing_gone {
        *known = go_through(inner, channel, queue, &ledger, there).await?;
    }
    let missing: Vec<_> = ledger
        .iter()
        .filter(|(key, _)| !known.ours.contains(*key))
        .map(|(key, copy)| (*key, target(inner, queue), message::of_dead(copy)))
        .collect();
    if !missing.is_empty() {
        known.ours.extend(publish_all(channel, missing).await?);
    }
    Ok(())
}

fn target(inner: &Inner, queue: Queue) -> (String, String) {
    (inner.names.dead(), queue.as_str().to_owned())
}

/// Takes every message out once and puts back those that belong there: published anew before the
/// old one is acknowledged, so that at each moment there is at least one.
async fn go_through(
    inner: &Inner,
    channel: &Channel,
    queue: Queue,
    ledger: &BTreeMap<Key, &DeadCopy>,
    there: usize,
) -> Result<Known, Trouble> {
    let mut known = Known {
        read: true,
        ..Known::default()
    };
    let name = inner.names.dead_queue(queue);
    for _ in 0..there {
        let got =
            reply(channel.basic_get(name.as_str().into(), BasicGetOptions::default())).await?;
        let Some(got) = got else { break };
        let found = got.delivery;
        let again = match message::read(&found.data) {
            None => {
                known.foreign += 1;
                Some(message::of_foreign(&found.data, &found.properties))
            }
            Some(hint) => {
                let key = (hint.id, hint.generation, hint.turn);
                match ledger.get(&key) {
                    Some(copy) => known.ours.insert(key).then(|| message::of_dead(copy)),
                    None => {
                        if let Some(why) = message::given_up(&found.properties) {
                            let (id, turn) = (hint.id, hint.turn);
                            inner.hear(Heard::GivenUp { id, turn, why });
                        }
                        None
                    }
                }
            }
        };
        if let Some(again) = again {
            let confirmed = publish_all(channel, vec![((), target(inner, queue), again)]).await?;
            if confirmed.is_empty() {
                return Err(Trouble::Ended("RabbitMQ refuses dead letters"));
            }
        }
        reply(found.acker.ack(BasicAckOptions::default())).await?;
    }
    Ok(known)
}

/// Hears of dead letters that somebody moved to the discard queue.
pub async fn hear_discards(inner: Arc<Inner>, line: Arc<Connection>) -> Result<(), Trouble> {
    let mut keeper = inner.keeper.clone();
    keeper
        .wait_for(|keeper| *keeper)
        .await
        .map_err(|_| Trouble::Ended("the server stops"))?;
    let channel = reply(line.create_channel()).await?;
    reply(channel.basic_qos(16, Default::default())).await?;
    let mut messages = reply(channel.basic_consume(
        inner.names.discard_queue().into(),
        format!("discard-{}", inner.store.boot()).into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    ))
    .await?;
    while let Some(next) = messages.next().await {
        let next = next?;
        match message::read(&next.data) {
            Some(hint) => {
                let note = message::note(&next.properties)
                    .unwrap_or_else(|| "given up in RabbitMQ".to_owned());
                inner.hear(Heard::Discard { id: hint.id, note });
            }
            None => tracing::error!(
                bytes = next.data.len(),
                "a message that is none of ours lay in the discard queue; it is dropped"
            ),
        }
        reply(next.acker.ack(BasicAckOptions::default())).await?;
    }
    Err(Trouble::Ended("RabbitMQ ended a consumer"))
}
