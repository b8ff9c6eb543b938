//! What runs by itself: a job's kind and payload, and how its run can end.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::CancellationId;

/// Work for a worker. The payload says all that a run needs; nothing is taken from the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "payload", rename_all = "snake_case")]
pub enum Job {
    /// Ask PortOne about the payment that inbox message `inbox_id` hinted at.
    ConfirmPayment { inbox_id: i64 },
    /// Carry out a cancellation that the direct attempts did not.
    RetryCancel { cancellation: CancellationId },
    /// Register an order's amount at PortOne, which did not answer when the order came.
    PrepareOrder {
        merchant_uid: super::ids::MerchantUid,
    },
    /// Tell Slack (or the log) about alert `alert_id`.
    SendAlert { alert_id: i64 },
    /// Ask PortOne for payments that no webhook told us of, up to the slot's instant.
    Sweep { until: Timestamp },
    /// Remove old finished jobs and messages.
    Prune { until: Timestamp },
    /// Settle every day that is over at the slot's instant.
    Settle { until: Timestamp },
    /// Say what came in an episode of alerts, or that it is over.
    TellEpisode { episode: i64 },
    /// Say what is still stuck.
    Digest { until: Timestamp },
}

/// Which workers take a job. One apalis worker each, so that a slow PortOne does not hold up alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    Payment,
    Cancel,
    Alert,
    Upkeep,
}

impl Queue {
    pub const ALL: [Queue; 4] = [Queue::Payment, Queue::Cancel, Queue::Alert, Queue::Upkeep];

    pub fn as_str(self) -> &'static str {
        match self {
            Queue::Payment => "payment",
            Queue::Cancel => "cancel",
            Queue::Alert => "alert",
            Queue::Upkeep => "upkeep",
        }
    }

    pub fn parse(text: &str) -> Option<Queue> {
        Queue::ALL.into_iter().find(|queue| queue.as_str() == text)
    }

    /// How many jobs of the queue a process runs at once, where `most` is allowed for those that
    /// call PortOne. Alerts are few, and upkeep is never done twice at once.
    pub fn concurrency(self, most: usize) -> usize {
        match self {
            Queue::Payment | Queue::Cancel => most,
            Queue::Alert => most.min(2),
            Queue::Upkeep => 1,
        }
    }
}

impl Job {
    pub const KINDS: [&'static str; 9] = [
        "confirm_payment",
        "retry_cancel",
        "prepare_order",
        "send_alert",
        "sweep",
        "prune",
        "settle",
        "tell_episode",
        "digest",
    ];

    pub fn kind(&self) -> &'static str {
        match self {
            Job::ConfirmPayment { .. } => "confirm_payment",
            Job::RetryCancel { .. } => "retry_cancel",
            Job::PrepareOrder { .. } => "prepare_order",
            Job::SendAlert { .. } => "send_alert",
            Job::Sweep { .. } => "sweep",
            Job::Prune { .. } => "prune",
            Job::Settle { .. } => "settle",
            Job::TellEpisode { .. } => "tell_episode",
            Job::Digest { .. } => "digest",
        }
    }

    pub fn queue(&self) -> Queue {
        match self {
            Job::ConfirmPayment { .. } | Job::PrepareOrder { .. } => Queue::Payment,
            Job::RetryCancel { .. } => Queue::Cancel,
            Job::SendAlert { .. } => Queue::Alert,
            Job::Sweep { .. } | Job::Prune { .. } | Job::Settle { .. } => Queue::Upkeep,
            Job::TellEpisode { .. } | Job::Digest { .. } => Queue::Alert,
        }
    }

    /// At most one live job has this key; a second publication finds the first.
    pub fn unique_key(&self) -> Option<String> {
        match self {
            Job::ConfirmPayment { .. } => None, // each message gets its own verdict
            Job::RetryCancel { cancellation } => Some(format!("cancel:{cancellation}")),
            Job::PrepareOrder { merchant_uid } => Some(format!("prepare:{merchant_uid}")),
            Job::SendAlert { alert_id } => Some(format!("alert:{alert_id}")),
            Job::Sweep { .. } => Some("sweep".into()),
            Job::Prune { .. } => Some("prune".into()),
            Job::Settle { .. } => Some("settle".into()),
            Job::TellEpisode { episode } => Some(format!("episode:{episode}")),
            Job::Digest { .. } => Some("digest".into()),
        }
    }

    /// The payload alone, as the `job` table keeps it.
    pub fn payload(&self) -> serde_json::Value {
        match self {
            Job::ConfirmPayment { inbox_id } => serde_json::json!({ "inbox_id": inbox_id }),
            Job::RetryCancel { cancellation } => {
                serde_json::json!({ "cancellation": cancellation })
            }
            Job::PrepareOrder { merchant_uid } => {
                serde_json::json!({ "merchant_uid": merchant_uid })
            }
            Job::SendAlert { alert_id } => serde_json::json!({ "alert_id": alert_id }),
            Job::Sweep { until } | Job::Prune { until } | Job::Settle { until } => {
                serde_json::json!({ "until": until })
            }
            Job::TellEpisode { episode } => serde_json::json!({ "episode": episode }),
            Job::Digest { until } => serde_json::json!({ "until": until }),
        }
    }

    /// Reads a row back. Fails for a kind or payload that this version does not know.
    pub fn decode(kind: &str, payload: &str) -> Result<Job, serde_json::Error> {
        let payload: serde_json::Value = serde_json::from_str(payload)?;
        serde_json::from_value(serde_json::json!({ "kind": kind, "payload": payload }))
    }
}

/// One run of a job: the right to settle it, fenced by attempt and lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub id: i64,
    pub queue: Queue,
    pub kind: String,
    pub payload: String,
    /// Which run this is, from 1; counts from 1 again after a replay.
    pub attempt: u32,
    pub max_attempts: u32,
    /// How often a person replayed the job.
    pub generation: u32,
    /// Who holds the lease: one start of one process.
    pub boot: String,
    pub started_at: Timestamp,
    /// Since when the run was due.
    pub run_at: Timestamp,
    /// Counts runs and is never given back: no two runs of a job have the same.
    pub turn: i64,
}

impl Delivery {
    /// Whether another run is allowed after this one failed.
    pub fn may_retry(&self) -> bool {
        self.attempt < self.max_attempts
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Failed, and tried again later.
    Retry {
        after: Duration,
        error: String,
    },
    /// Not a failure: rate-limited, halted or not ready. No attempt is used up.
    Snooze {
        after: Duration,
        why: String,
    },
    /// Nobody tries again until a person says so.
    Dead {
        reason: DeadReason,
        error: String,
    },
    /// There is nothing to do any more.
    Cancelled {
        why: String,
    },
}

/// Why nobody tries a job again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// Trying again cannot help.
    Permanent,
    /// Its attempts are used up.
    Exhausted,
    /// The process died while it ran, again and again.
    Crashed,
    /// This version cannot read it.
    Unreadable,
    /// RabbitMQ gave its message up.
    Broker,
}

impl DeadReason {
    pub const ALL: [DeadReason; 5] = [
        DeadReason::Permanent,
        DeadReason::Exhausted,
        DeadReason::Crashed,
        DeadReason::Unreadable,
        DeadReason::Broker,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            DeadReason::Permanent => "permanent",
            DeadReason::Exhausted => "exhausted",
            DeadReason::Crashed => "crashed",
            DeadReason::Unreadable => "unreadable",
            DeadReason::Broker => "broker",
        }
    }

    pub fn parse(text: &str) -> Option<DeadReason> {
        DeadReason::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

/// Who hands ready jobs to the workers. The jobs themselves lie in the `job` table with either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// A claim loop in this process.
    Embedded,
    /// RabbitMQ.
    Amqp,
}

impl Engine {
    pub fn as_str(self) -> &'static str {
        match self {
            Engine::Embedded => "embedded",
            Engine::Amqp => "amqp",
        }
    }

    pub fn parse(text: &str) -> Option<Engine> {
        [Engine::Embedded, Engine::Amqp]
            .into_iter()
            .find(|engine| engine.as_str() == text)
    }
}

/// How a job stands, as the `job` table spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Ready,
    Running,
    Done,
    Dead,
    Cancelled,
}

impl JobState {
    pub const ALL: [JobState; 5] = [
        JobState::Ready,
        JobState::Running,
        JobState::Done,
        JobState::Dead,
        JobState::Cancelled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Ready => "ready",
            JobState::Running => "running",
            JobState::Done => "done",
            JobState::Dead => "dead",
            JobState::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<JobState> {
        JobState::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_reads_back_as_it_was_written() {
        let at: Timestamp = "2026-08-06T01:00:00Z".parse().unwrap();
        let jobs = [
            Job::ConfirmPayment { inbox_id: 7 },
            Job::RetryCancel {
                cancellation: CancellationId::new("c1").unwrap(),
            },
            Job::PrepareOrder {
                merchant_uid: super::super::ids::MerchantUid::new("o").unwrap(),
            },
            Job::SendAlert { alert_id: 3 },
            Job::Sweep { until: at },
            Job::Prune { until: at },
            Job::Settle { until: at },
            Job::TellEpisode { episode: 4 },
            Job::Digest { until: at },
        ];
        assert_eq!(jobs.clone().map(|job| job.kind()), Job::KINDS);
        for job in jobs {
            let read = Job::decode(job.kind(), &job.payload().to_string());
            assert_eq!(read.unwrap(), job);
        }
    }

    #[test]
    fn a_row_that_nobody_can_read_is_an_error() {
        assert!(Job::decode("confirm_payment", "{}").is_err());
        assert!(Job::decode("fly_to_the_moon", "{}").is_err());
        assert!(Job::decode("prune", "not json").is_err());
    }
}
