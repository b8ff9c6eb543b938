//! What the system does, a file per verb. `ls src/flow` is the table of contents.
//!
//! Every flow asks outside first, decides purely, and writes once. Here are the only traits, for
//! what is truly outside, and [`Ctx`], which holds all that a flow may use.

pub mod adjust;
pub mod agree_contract;
pub mod approve;
pub mod bank_templates;
pub mod buyer_links;
pub mod cancel_attempt;
pub mod cancel_payment;
pub mod change_calendar;
pub mod change_rules;
pub mod check_audit;
pub mod confirm_payment;
pub mod dead_letters;
pub mod export_partners;
pub mod forget_buyers;
pub mod hold_settlement;
pub mod import_adjustments;
pub mod import_partners;
pub mod keep_webhook;
pub mod make_statement;
pub mod manage_keys;
pub mod manage_users;
pub mod operate_jobs;
pub mod passwords;
pub mod pay_out;
pub mod prepare_order;
pub mod prune;
pub mod raise_alert;
pub mod read_bank_result;
pub mod record_movements;
pub mod recover_jobs;
pub mod register_order;
pub mod release_hold;
pub mod reopen_day;
pub mod replay_dead_letters;
pub mod retry_cancel;
pub mod reveal;
pub mod run_schedules;
pub mod save_partner;
pub mod send_alert;
pub mod settle_day;
pub mod sign_in;
pub mod sweep;
pub mod take_away;
pub mod tell_episode;
pub mod tell_stuck;
pub mod write_bank_file;

use std::{sync::Arc, time::Duration};

use futures::{future::BoxFuture, stream::BoxStream};
use jiff::Timestamp;

use crate::{
    domain::{
        alert::Alert,
        cancellation::CancelCall,
        episode::Pace,
        ids::{ImpUid, MerchantUid},
        job::{Delivery, Engine, Queue},
        money::Won,
        payment::UnknownOrders,
        retry::{Backoff, Class},
        seen::Seen,
    },
    store::Store,
};

/// PortOne, as far as we ask anything of it.
pub trait Gateway: Send + Sync {
    /// One payment as it stands now. `None` if PortOne does not know it.
    fn payment<'a>(
        &'a self,
        imp_uid: &'a ImpUid,
    ) -> BoxFuture<'a, Result<Option<Seen>, GatewayError>>;

    /// One page of the payments that reached `status` within a window.
    fn page<'a>(&'a self, window: &'a Window) -> BoxFuture<'a, Result<Page, GatewayError>>;

    /// Registers an amount, so that no window opens for another one.
    fn prepare<'a>(
        &'a self,
        order: &'a MerchantUid,
        amount: Won,
    ) -> BoxFuture<'a, Result<(), GatewayError>>;

    /// Cancels all or part. Gives the payment as PortOne has it afterwards; only an entry in its
    /// history says that money went back.
    fn cancel<'a>(&'a self, call: &'a CancelCall) -> BoxFuture<'a, Result<Seen, GatewayError>>;

    /// Whether calls are stopped because PortOne refuses our credentials.
    fn halted(&self) -> Option<String>;
}

/// What a page of a search is cut by. Both ends belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub status: WindowStatus,
    pub from: Timestamp,
    pub until: Timestamp,
    /// From 1.
    pub page: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowStatus {
    Paid,
    Cancelled,
    Failed,
}

#[derive(Clone, Debug, Default)]
pub struct Page {
    pub payments: Vec<Seen>,
    pub more: bool,
    /// Entries that could not be read, with the reason: told, never dropped in silence.
    pub unreadable: Vec<Unreadable>,
}

/// An entry that could not be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Whose it is, if at least that can be read.
    pub imp_uid: Option<ImpUid>,
    pub why: String,
}

/// What went wrong with a call to PortOne.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct GatewayError {
    pub class: Class,
    /// In words, for the history and the operator. Never holds a secret.
    pub what: String,
    /// PortOne asked us to wait this long.
    pub retry_after: Option<Duration>,
}

impl GatewayError {
    pub fn new(class: Class, what: impl Into<String>) -> GatewayError {
        GatewayError {
            class,
            what: what.into(),
            retry_after: None,
        }
    }

    /// Could the same call succeed later?
    pub fn is_transient(&self) -> bool {
        match self.class {
            Class::Transient | Class::Unknown | Class::Halt => true,
            Class::Permanent => false,
        }
    }
}

/// Who hands ready rows of the `job` table to the workers. State, attempts, dead letters and
/// replay live in the table, so they are the same whichever it is.
pub trait Broker: Send + Sync {
    fn engine(&self) -> Engine;

    /// Jobs of a queue as they become ready. Never ends and never yields an error until `stop`
    /// fires: an error that left the stream would end the apalis worker.
    fn deliveries(&self, queue: Queue) -> BoxStream<'static, Delivery>;

    /// Called after the transaction that settled a job is on disk. The embedded broker has nothing
    /// to do then; one with messages acknowledges them.
    fn settled<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, ()>;

    /// What came through the broker and is a flow's to do.
    fn heard(&self) -> BoxStream<'static, Heard>;

    /// Whether it can hand out work now, and if not, why.
    fn health(&self) -> Result<(), String>;

    /// Hands out nothing any more.
    fn stop(&self);

    /// Ends all that `stop` left: to be called when no job runs any more.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What a broker with messages hears beside jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A message came back while its job runs elsewhere: that process may have died.
    Suspect,
    /// Somebody moved a dead letter's message to its work queue, by a tool of the broker's.
    Replay { id: i64 },
    /// Somebody moved a dead letter's message to the queue of those to be given up.
    Discard { id: i64, note: String },
    /// The broker gave up the message that stands for a waiting job.
    GivenUp { id: i64, turn: i64, why: String },
}

/// Who tells a person.
pub trait Notifier: Send + Sync {
    /// Gives the name of whoever took it: `slack`, `log`.
    fn send<'a>(&'a self, note: &'a Note) -> BoxFuture<'a, Result<&'static str, NotifyError>>;
}

/// An alert on its way to a person.
#[derive(Clone, Debug)]
pub struct Note {
    pub id: i64,
    pub at: Timestamp,
    pub alert: Alert,
    /// Where to look, and to act.
    pub link: String,
    /// The same for each thing that the alert lists, in its order.
    pub links: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct NotifyError {
    pub class: Class,
    pub what: String,
    pub retry_after: Option<Duration>,
}

/// Rules of the house, out of the config.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether payments are expected to come through test channels.
    pub test: bool,
    pub unknown_orders: UnknownOrders,
    /// To whom payments are owed whose order names nobody.
    pub default_partner: String,
    /// How long a webhook or callback waits for PortOne before it is answered 202.
    pub intake_budget: Duration,
    /// Calls while the caller of a cancel waits; 2 in the original design.
    pub direct_attempts: u32,
    /// How long the caller of a cancel waits before it is answered 202. The calls go on.
    pub cancel_budget: Duration,
    /// Runs of the queued retry; 1 in the original design.
    pub queued_attempts: u32,
    pub cancel_backoff: Backoff,
    /// Between two direct attempts.
    pub direct_backoff: Backoff,
    /// Runs of jobs that only ask or tell.
    pub job_attempts: u32,
    pub job_backoff: Backoff,
    /// The longest that one call to PortOne can take.
    pub call_timeout: Duration,
    /// How far a sweep looks back beyond where the last one ended.
    pub sweep_overlap: Duration,
    /// How far the very first sweep looks back.
    pub sweep_first: Duration,
    /// Cron of the sweep, five fields, in Seoul.
    pub sweep_cron: String,
    pub prune_cron: String,
    /// Cron of the settlement, five fields, in Seoul.
    pub settle_cron: String,
    pub keep_finished_jobs: Duration,
    pub keep_messages: Duration,
    /// After how long buyers are forgotten; `None`: never.
    pub keep_buyers: Option<Duration>,
    /// Where people reach the pages, without a slash at the end.
    pub public_url: String,
    /// Jobs of one queue that a process runs at once, of those that call PortOne.
    pub concurrency: usize,
    /// When alerts of one subject are told together.
    pub alert_pace: Pace,
    /// Cron of the daily digest, five fields, in Seoul.
    pub digest_cron: String,
}

impl Policy {
    /// Longer than all direct attempts of a cancel can take: as long the job is theirs alone.
    pub fn direct_lease(&self) -> Duration {
        // Each attempt may read, send and read again.
        let one = self.call_timeout * 3 + self.direct_backoff.most;
        one * self.direct_attempts.max(1) + Duration::from_secs(30)
    }

    /// Longer than a run of a job of this queue can take.
    pub fn job_lease(&self, queue: Queue) -> Duration {
        self.job_timeout(queue) + Duration::from_secs(30)
    }

    /// After this a run counts as failed.
    pub fn job_timeout(&self, queue: Queue) -> Duration {
        match queue {
            Queue::Payment | Queue::Alert => self.call_timeout + Duration::from_secs(10),
            Queue::Cancel => self.call_timeout * 3 + Duration::from_secs(10),
            Queue::Upkeep => Duration::from_secs(30 * 60),
        }
    }
}

/// All that a flow may use.
#[derive(Clone)]
pub struct Ctx {
    pub store: Store,
    pub gateway: Arc<dyn Gateway>,
    pub notifier: Arc<dyn Notifier>,
    pub policy: Arc<Policy>,
    /// Names this start of this process: who holds a lease.
    pub boot: Arc<str>,
}

/// A number in `0.0..1.0`, for jitter.
pub fn dice() -> f64 {
    rand::random::<f64>()
}
