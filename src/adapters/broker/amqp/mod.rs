//! RabbitMQ hands out the jobs. The `job` table stays queue, outbox and ledger: a message only says
//! which row is ready, and the row decides whether there is anything to do.
//!
//! One task holds the connection and makes it anew, with a back-off, whenever it breaks. On it run a
//! consumer per queue, and, in the process that is the keeper, the relay that publishes ready rows and
//! the upkeep of the dead queues.

mod consumer;
mod dead;
mod message;
mod relay;
mod topology;

use std::{
    collections::HashMap,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use lapin::{
    Acker, Channel, Confirmation, Connection, ConnectionProperties,
    options::{BasicAckOptions, BasicPublishOptions, QueueDeclareOptions, QueuePurgeOptions},
    types::FieldTable,
    uri::AMQPUri,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, watch},
    task::{JoinHandle, JoinSet},
};

pub use topology::{Names, TIERS};

use self::message::Message;
use crate::{
    domain::job::{Delivery, Engine, Queue},
    flow::{Broker, Heard, Policy},
    store::{Store, StoreError, published},
};

/// Between two tries to connect: doubles from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A confirmation that takes longer belongs to a broker that is in trouble.
const CONFIRM_WITHIN: Duration = Duration::from_secs(30);
/// What RabbitMQ is asked in passing takes no longer. A reply can be lost with its connection, and then
/// nobody would ever tell who waits for it.
const REPLY_WITHIN: Duration = Duration::from_secs(20);
/// Saying good-bye is a courtesy.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);
/// Seconds. A connection that is silent for twice as long is broken.
const HEARTBEAT: u16 = 10;
/// Rows that one write takes back from RabbitMQ.
const TAKE_BACK: usize = 500;

/// Why the connection is given up, for now.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("RabbitMQ: {0}")]
    Line(#[from] lapin::Error),
    #[error("{0}")]
    Ended(&'static str),
    #[error("RabbitMQ did not {0} in time")]
    TooLate(&'static str),
    #[error("RabbitMQ has no queue for `{0}`")]
    Unroutable(String),
    #[error(transparent)]
    Books(#[from] StoreError),
}

/// Why RabbitMQ cannot be used as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    #[error(
        "broker.url cannot be read ({0}): expected amqp://user:password@host:5672/vhost, with a vhost of `/` written as %2f"
    )]
    Unreadable(String),
}

/// Where claimed jobs of a queue wait for a worker.
struct Hand {
    deliver: mpsc::Sender<Delivery>,
    take: Arc<AsyncMutex<mpsc::Receiver<Delivery>>>,
    /// Whether there are workers: a process without any takes no messages.
    wanted: watch::Sender<bool>,
}

struct Inner {
    store: Store,
    policy: Arc<Policy>,
    uri: AMQPUri,
    names: Names,
    /// Whether this process publishes and keeps the dead queues.
    keeper: watch::Receiver<bool>,
    hands: HashMap<Queue, Hand>,
    /// Of the runs that are under way, by row and turn.
    ackers: Mutex<HashMap<(i64, i64), Acker>>,
    heard: mpsc::Sender<Heard>,
    hear: Arc<AsyncMutex<mpsc::Receiver<Heard>>>,
    line: Mutex<Result<(), String>>,
    stopped: watch::Sender<bool>,
    closed: watch::Sender<bool>,
}

impl Inner {
    fn hand(&self, queue: Queue) -> &Hand {
        // There is one for each, see `start`; the index cannot fail.
        &self.hands[&queue]
    }

    fn keep_acker(&self, held: &Delivery, acker: Acker) {
        let mut ackers = self.ackers.lock().unwrap_or_else(PoisonError::into_inner);
        ackers.insert((held.id, held.turn), acker);
    }

    fn hear(&self, heard: Heard) {
        // Whoever does not listen finds the same again: a copy that is still there, a row that waits.
        if let Err(error) = self.heard.try_send(heard) {
            tracing::warn!(%error, "nobody listens to what RabbitMQ says");
        }
    }

    fn set_line(&self, state: Result<(), String>) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// The broker that hands out jobs by RabbitMQ.
pub struct Amqp {
    inner: Arc<Inner>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Amqp {
    /// Begins to connect, and goes on trying: a RabbitMQ that is down stops nothing but the jobs.
    pub fn start(
        store: Store,
        policy: Arc<Policy>,
        url: &SecretString,
        prefix: &str,
        keeper: watch::Receiver<bool>,
    ) -> Result<Amqp, UrlError> {
        let hands = Queue::ALL.into_iter().map(|queue| {
            let places = queue.concurrency(policy.concurrency);
            let (deliver, take) = mpsc::channel(places.max(1));
            let hand = Hand {
                deliver,
                take: Arc::new(AsyncMutex::new(take)),
                wanted: watch::channel(false).0,
            };
            (queue, hand)
        });
        let (heard, hear) = mpsc::channel(4_096);
        let inner = Arc::new(Inner {
            uri: uri(url)?,
            names: Names::new(prefix),
            keeper,
            hands: hands.collect(),
            ackers: Mutex::default(),
            heard,
            hear: Arc::new(AsyncMutex::new(hear)),
            line: Mutex::new(Err("connecting to RabbitMQ".into())),
            stopped: watch::channel(false).0,
            closed: watch::channel(false).0,
            store,
            policy,
        });
        let task = tokio::spawn(hold_line(inner.clone()));
        Ok(Amqp {
            inner,
            task: Mutex::new(Some(task)),
        })
    }
}

fn uri(url: &SecretString) -> Result<AMQPUri, UrlError> {
    let mut uri = AMQPUri::from_str(url.expose_secret()).map_err(UrlError::Unreadable)?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    Ok(uri)
}

async fn connect(uri: &AMQPUri, who: &str) -> Result<Connection, Trouble> {
    let options =
        ConnectionProperties::default().with_connection_name(format!("jeongsan {who}").into());
    match tokio::time::timeout(
        CONNECT_WITHIN,
        Connection::connect_uri(uri.clone(), options),
    )
    .await
    {
        Ok(line) => Ok(line?),
        Err(_) => Err(Trouble::TooLate("answer")),
    }
}

/// Waits for a reply, and not for ever.
async fn reply<T>(asked: impl Future<Output = lapin::Result<T>>) -> Result<T, Trouble> {
    match tokio::time::timeout(REPLY_WITHIN, asked).await {
        Ok(reply) => Ok(reply?),
        Err(_) => Err(Trouble::TooLate("reply")),
    }
}

/// Says good-bye, and does not insist: where a channel is being closed at that moment lapin gives the
/// connection up and waits for ever for an answer.
async fn leave(line: &Connection) {
    let _ = tokio::time::timeout(LEAVE_WITHIN, line.close(200, "over".into())).await;
}

/// Connects, works until the connection breaks, and connects again.
async fn hold_line(inner: Arc<Inner>) {
    let mut closed = inner.closed.subscribe();
    let mut pause = FIRST_PAUSE;
    while !*closed.borrow_and_update() {
        let mut worked = false;
        let ended = session(&inner, &mut worked).await;
        if *closed.borrow() {
            break;
        }
        if worked {
            pause = FIRST_PAUSE;
        }
        if let Err(trouble) = ended {
            inner.set_line(Err(trouble.to_string()));
            tracing::warn!(error = %trouble, ?pause, "no connection to RabbitMQ; jobs wait in the books");
        }
        tokio::select! {
            () = tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)) => {}
            _ = closed.wait_for(|closed| *closed) => break,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    inner.set_line(Err("closed".into()));
}

async fn session(inner: &Arc<Inner>, worked: &mut bool) -> Result<(), Trouble> {
    let mut closed = inner.closed.subscribe();
    let connecting = inner.store.boot();
    let line = tokio::select! {
        line = connect(&inner.uri, &connecting) => Arc::new(line?),
        _ = closed.wait_for(|closed| *closed) => return Ok(()),
    };
    {
        let channel = reply(line.create_channel()).await?;
        let made = topology::make(&channel, &inner.names);
        tokio::select! {
            made = tokio::time::timeout(CONFIRM_WITHIN, made) => {
                made.map_err(|_| Trouble::TooLate("make its queues"))??;
            }
            _ = closed.wait_for(|closed| *closed) => return Ok(()),
        }
    }
    // Nothing of an older connection can be acknowledged on this one.
    inner
        .ackers
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clear();
    inner.set_line(Ok(()));
    *worked = true;
    tracing::info!("connected to RabbitMQ");
    let mut tasks = JoinSet::new();
    for queue in Queue::ALL {
        tasks.spawn(consumer::consume(inner.clone(), line.clone(), queue));
    }
    tasks.spawn(relay::relay(inner.clone(), line.clone()));
    tasks.spawn(dead::keep_dead(inner.clone(), line.clone()));
    tasks.spawn(dead::hear_discards(inner.clone(), line.clone()));
    let ended = loop {
        let next = tokio::select! {
            next = tasks.join_next() => next,
            _ = closed.wait_for(|closed| *closed) => break Ok(()),
        };
        match next {
            // A consumer that was stopped; the others go on.
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(trouble))) => break Err(trouble),
            Some(Err(died)) => {
                tracing::error!(error = %died, "a part of the connection to RabbitMQ broke off");
                break Err(Trouble::Ended("a part of the connection broke off"));
            }
            None => break Ok(()),
        }
    };
    // A part that is aborted may itself wait for what never comes: nobody waits for it.
    tasks.abort_all();
    leave(&line).await;
    ended
}

/// Publishes messages with their keys and waits for every confirmation. Gives the keys of those that
/// RabbitMQ has taken.
async fn publish_all<K>(
    channel: &Channel,
    messages: Vec<(K, (String, String), Message)>,
) -> Result<Vec<K>, Trouble> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let all = async {
        let mut asked = Vec::with_capacity(messages.len());
        for (key, (exchange, routing_key), message) in messages {
            let confirm = channel
                .basic_publish(
                    exchange.into(),
                    routing_key.as_str().into(),
                    options,
                    &message.body,
                    message.properties,
                )
                .await?;
            asked.push((key, routing_key, confirm));
        }
        let mut taken = Vec::with_capacity(asked.len());
        for (key, routing_key, confirm) in asked {
            match confirm.await? {
                Confirmation::Ack(None) => taken.push(key),
                // Taken and thrown away: somebody removed the queue. The next session makes it anew.
                Confirmation::Ack(Some(_)) => return Err(Trouble::Unroutable(routing_key)),
                Confirmation::Nack(_) => {}
                Confirmation::NotRequested => {
                    return Err(Trouble::Ended("RabbitMQ confirms nothing on this channel"));
                }
            }
        }
        Ok(taken)
    };
    match tokio::time::timeout(CONFIRM_WITHIN, all).await {
        Ok(taken) => taken,
        Err(_) => Err(Trouble::TooLate("confirm a message")),
    }
}

/// Messages that lie in a queue and were given to nobody.
async fn ready_messages(channel: &Channel, queue: &str) -> Result<u32, Trouble> {
    let options = QueueDeclareOptions::durable().passive();
    let queue = reply(channel.queue_declare(queue.into(), options, FieldTable::default())).await?;
    Ok(queue.message_count())
}

impl Broker for Amqp {
    fn engine(&self) -> Engine {
        Engine::Amqp
    }

    fn deliveries(&self, queue: Queue) -> BoxStream<'static, Delivery> {
        let hand = self.inner.hand(queue);
        hand.wanted.send_replace(true);
        let start = (hand.take.clone(), self.inner.stopped.subscribe());
        stream::unfold(start, |(take, mut stopped)| async move {
            let next = {
                let mut take = take.lock().await;
                tokio::select! {
                    // What was claimed and not handed out goes back uncharged with the rest of the boot.
                    _ = stopped.wait_for(|stopped| *stopped) => None,
                    next = take.recv() => next,
                }
            };
            next.map(|delivery| (delivery, (take, stopped)))
        })
        .boxed()
    }

    fn settled<'a>(&'a self, held: &'a Delivery) -> BoxFuture<'a, ()> {
        let acker = self
            .inner
            .ackers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(held.id, held.turn));
        Box::pin(async move {
            if let Some(acker) = acker
                && let Err(error) = reply(acker.ack(BasicAckOptions::default())).await
            {
                // It comes again, and finds that its row is over.
                tracing::debug!(%error, job = held.id, "a message could not be acknowledged");
            }
        })
    }

    fn heard(&self) -> BoxStream<'static, Heard> {
        stream::unfold(self.inner.hear.clone(), |hear| async move {
            let next = hear.lock().await.recv().await;
            next.map(|heard| (heard, hear))
        })
        .boxed()
    }

    fn health(&self) -> Result<(), String> {
        if *self.inner.stopped.borrow() {
            return Err("stopped".into());
        }
        self.inner
            .line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn stop(&self) {
        self.inner.stopped.send_replace(true);
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.stopped.send_replace(true);
        self.inner.closed.send_replace(true);
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Box::pin(async move {
            if let Some(mut task) = task
                && tokio::time::timeout(LEAVE_WITHIN * 2, &mut task)
                    .await
                    .is_err()
            {
                task.abort();
            }
        })
    }
}

/// What moving between the engines did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Moved {
    /// Rows for which a message stood.
    pub rows: usize,
    /// Messages that were removed from RabbitMQ.
    pub messages: u32,
}

/// A connection beside a server's, with everything in place.
async fn open(uri: &AMQPUri, names: &Names) -> Result<(Connection, Channel), Trouble> {
    let line = connect(uri, "drain").await?;
    let channel = reply(line.create_channel()).await?;
    match tokio::time::timeout(CONFIRM_WITHIN, topology::make(&channel, names)).await {
        Ok(made) => made?,
        Err(_) => return Err(Trouble::TooLate("make its queues")),
    }
    Ok((line, channel))
}

/// Takes back all that waits in RabbitMQ: the rows wait in the books alone, the queues are emptied.
/// Rows come first, so that dying in between leaves messages without a row, which do nothing.
pub async fn take_back(
    store: &Store,
    url: &SecretString,
    prefix: &str,
) -> Result<Moved, MoveError> {
    let names = Names::new(prefix);
    let (line, channel) = open(&uri(url)?, &names).await?;
    let mut moved = Moved::default();
    loop {
        let rows = store
            .write(|tx| published::forget_all(tx, TAKE_BACK))
            .await
            .map_err(Trouble::from)?;
        moved.rows += rows;
        if rows == 0 {
            break;
        }
    }
    // Not where things wait for a person: a stranger's message has no row to come back from.
    for queue in names.waiting_queues() {
        moved.messages +=
            reply(channel.queue_purge(queue.into(), QueuePurgeOptions::default())).await?;
    }
    leave(&line).await;
    Ok(moved)
}

/// Publishes all that is ready, as the relay of a server would, and waits until RabbitMQ has it.
pub async fn hand_over(
    store: &Store,
    url: &SecretString,
    prefix: &str,
) -> Result<Moved, MoveError> {
    let names = Names::new(prefix);
    let (line, channel) = open(&uri(url)?, &names).await?;
    reply(channel.confirm_select(Default::default())).await?;
    let rows = relay::publish_ready(store, &names, &channel).await?;
    leave(&line).await;
    Ok(Moved {
        rows,
        messages: u32::try_from(rows).unwrap_or(u32::MAX),
    })
}

/// Why nothing, or not all, was moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Removes everything that stands in RabbitMQ under a prefix: for tests, and for who leaves it.
pub async fn remove(url: &SecretString, prefix: &str) -> Result<(), MoveError> {
    let line = connect(&uri(url)?, "remove").await?;
    let channel = reply(line.create_channel()).await?;
    topology::remove(&channel, &Names::new(prefix))
        .await
        .map_err(Trouble::from)?;
    leave(&line).await;
    Ok(())
}
