//! Takes messages of one queue, claims the rows that they stand for, and hands those to the workers.
//!
//! As many messages as are there are claimed in one write. A message is acknowledged once its row says
//! that it has nothing to do any more: after the run was settled, or at once. Whatever goes wrong in
//! between, the row is still there, and either RabbitMQ delivers the message again or the relay sends
//! another one.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt};
use lapin::{
    Connection,
    message::Delivery as Message,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};

use super::{Inner, LEAVE_WITHIN, Trouble, message, publish_all, reply};
use crate::{
    domain::job::Queue,
    flow::Heard,
    store::published::{self, Answer, Hint},
};

/// Messages that one write claims.
const BATCH: usize = 64;
/// Between two tries to write into our own books.
const PAUSE: Duration = Duration::from_millis(500);

/// Until the connection breaks or the broker is stopped.
pub async fn consume(
    inner: Arc<Inner>,
    line: Arc<Connection>,
    queue: Queue,
) -> Result<(), Trouble> {
    let hand = inner.hand(queue);
    let mut wanted = hand.wanted.subscribe();
    let mut stopped = inner.stopped.subscribe();
    tokio::select! {
        _ = wanted.wait_for(|wanted| *wanted) => {}
        _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
    }
    let places = queue.concurrency(inner.policy.concurrency);
    let channel = reply(line.create_channel()).await?;
    reply(channel.confirm_select(Default::default())).await?;
    // The next ones are at hand while the last ones run; where runs are long, nothing is held back
    // from other processes.
    let prefetch = if places > 2 { places * 2 } else { places };
    reply(channel.basic_qos(
        u16::try_from(prefetch).unwrap_or(u16::MAX),
        BasicQosOptions::default(),
    ))
    .await?;
    let tag = format!("{}-{}", queue.as_str(), inner.store.boot());
    let mut messages = reply(channel.basic_consume(
        inner.names.work_queue(queue).into(),
        tag.as_str().into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    ))
    .await?;
    let mut waiting: VecDeque<(Hint, Message)> = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let next = tokio::select! {
                next = messages.next() => next,
                _ = stopped.wait_for(|stopped| *stopped) => break,
            };
            let next = next.ok_or(Trouble::Ended("RabbitMQ ended a consumer"))??;
            sort(&inner, &channel, queue, next, &mut waiting).await?;
        }
        while waiting.len() < BATCH {
            match messages.next().now_or_never() {
                Some(Some(next)) => sort(&inner, &channel, queue, next?, &mut waiting).await?,
                Some(None) => return Err(Trouble::Ended("RabbitMQ ended a consumer")),
                None => break,
            }
        }
        // Claimed are only as many as there is room for: the others may go to another process.
        let room = tokio::select! {
            room = hand.deliver.reserve() => room.map_err(|_| Trouble::Ended("the workers are gone"))?,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        drop(room);
        let most = waiting.len().min(hand.deliver.capacity());
        let batch: Vec<_> = waiting.drain(..most).collect();
        // In a task of its own, which goes on where the connection breaks and this consumer is ended:
        // rows whose claim was on its way would otherwise be nobody's until their leases are over.
        let taken = tokio::spawn(take(inner.clone(), queue, batch)).await;
        taken.map_err(|error| {
            tracing::error!(%error, queue = queue.as_str(), "claiming rows broke off");
            Trouble::Ended("claiming rows broke off")
        })?;
    }
    // Who is not running yet goes back with the end of the connection.
    let cancel = channel.basic_cancel(tag.into(), BasicCancelOptions::default());
    let _ = tokio::time::timeout(LEAVE_WITHIN, cancel).await;
    Ok(())
}

/// Puts a message with the others, or, if it is none of ours, aside where people find it.
async fn sort(
    inner: &Inner,
    channel: &lapin::Channel,
    queue: Queue,
    message: Message,
    waiting: &mut VecDeque<(Hint, Message)>,
) -> Result<(), Trouble> {
    match message::read(&message.data) {
        Some(hint) => waiting.push_back((hint, message)),
        None => {
            tracing::error!(
                queue = queue.as_str(),
                bytes = message.data.len(),
                "a message that is none of ours lay in a work queue; it is put to the dead letters"
            );
            let kept = message::of_foreign(&message.data, &message.properties);
            let target = (inner.names.dead(), queue.as_str().to_owned());
            publish_all(channel, vec![((), target, kept)]).await?;
            reply(message.acker.ack(BasicAckOptions::default())).await?;
        }
    }
    Ok(())
}

/// Asks the rows about their messages, and does as they say. To be run to its end: what it has claimed
/// is known to nobody else.
async fn take(inner: Arc<Inner>, queue: Queue, batch: Vec<(Hint, Message)>) {
    let hints: Vec<Hint> = batch.iter().map(|(hint, _)| *hint).collect();
    let (boot, lease) = (inner.store.boot(), inner.policy.job_lease(queue) * 3);
    let mut stopped = inner.stopped.subscribe();
    let answers = loop {
        // What this boot holds is given back once it has stopped: nothing is claimed after that.
        if *stopped.borrow() {
            return;
        }
        let (hints, boot) = (hints.clone(), boot.clone());
        let answers = inner
            .store
            .write(move |tx| {
                hints
                    .into_iter()
                    .map(|hint| published::answer(tx, hint, &boot, lease))
                    .collect::<Result<Vec<_>, _>>()
            })
            .await;
        match answers {
            Ok(answers) => break answers,
            Err(error) => {
                tracing::warn!(%error, queue = queue.as_str(), "rows could not be claimed; trying again");
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    // The messages go back with the connection.
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                }
            }
        }
    };
    let hand = inner.hand(queue);
    let mut nothing_to_do = Vec::new();
    for (answer, (hint, message)) in answers.into_iter().zip(batch) {
        match answer {
            Answer::Run(held) => {
                inner.keep_acker(&held, message.acker);
                // There is room, unless the consumer of a connection that broke claimed as well.
                tokio::select! {
                    sent = hand.deliver.send(held) => {
                        if let Err(error) = sent {
                            // Its lease ends by itself.
                            tracing::error!(%error, job = hint.id, "a claimed job found no worker");
                        }
                    }
                    // It goes back with the rest of the boot.
                    _ = stopped.wait_for(|stopped| *stopped) => {}
                }
                continue;
            }
            Answer::RunsElsewhere => inner.hear(Heard::Suspect),
            Answer::DeadLetter => inner.hear(Heard::Replay { id: hint.id }),
            Answer::Unknown => {
                tracing::warn!(
                    job = hint.id,
                    "a message stands for a job that is not in these books"
                );
            }
            Answer::Over | Answer::NotNow => {}
        }
        nothing_to_do.push(message.acker);
    }
    for acker in nothing_to_do {
        // A connection that broke brings the message again: it is told the same again.
        let _ = reply(acker.ack(BasicAckOptions::default())).await;
    }
}
