//! What a person is told without asking.

use serde::{Deserialize, Serialize};

use super::{
    digest::Digest,
    episode::{Named, Over, Summary},
    ids::{CancellationId, ImpUid},
    money::Won,
};

/// How soon somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is being dealt with; good to know.
    Notice,
    /// Nothing goes on until a person acts.
    Urgent,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Notice => "notice",
            Severity::Urgent => "urgent",
        }
    }
}

/// One message, with the facts that Slack, the log and the page each put into words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Alert {
    /// The direct attempts failed; the queued retry goes on.
    CancelRetrying {
        imp_uid: ImpUid,
        cancellation: CancellationId,
        amount: Won,
        reason: String,
        error: String,
        attempts: u32,
    },
    /// A cancellation is a dead letter.
    CancelDead {
        imp_uid: ImpUid,
        cancellation: CancellationId,
        amount: Won,
        reason: String,
        error: String,
        attempts: u32,
        job_id: i64,
    },
    /// Any other job is a dead letter.
    JobDead {
        job_id: i64,
        kind: String,
        error: String,
        attempts: u32,
    },
    /// A payment does not fit what was expected.
    PaymentHeld {
        imp_uid: ImpUid,
        merchant_uid: String,
        amount: Won,
        why: String,
    },
    /// PortOne answered something that no payment can be; the books were left as they are.
    Contradiction { imp_uid: ImpUid, why: String },
    /// A partner's day cannot be settled: no contract holds.
    NoContract {
        partner: String,
        /// The first day for which one is missing.
        day: String,
        amount: Won,
    },
    /// The bank refused a payout.
    PayoutFailed {
        batch: i64,
        partner: String,
        amount: Won,
        reason: String,
    },
    /// Something waits for a second person.
    ApprovalWaits {
        approval: i64,
        kind: super::approval::Kind,
        amount: Won,
        by: String,
    },
    /// PortOne refuses our credentials: calls are stopped.
    GatewayHalted { error: String },
    /// PortOne takes our credentials again.
    GatewayBack,
    /// More of the same came while an episode was open.
    Summary(Box<Summary>),
    /// Nothing more of the same came for a while.
    Over(Box<Over>),
    /// What is still stuck, once a day.
    Digest(Box<Digest>),
}

impl Alert {
    pub fn kind(&self) -> &'static str {
        match self {
            Alert::CancelRetrying { .. } => "cancel_retrying",
            Alert::CancelDead { .. } => "cancel_dead",
            Alert::JobDead { .. } => "job_dead",
            Alert::PaymentHeld { .. } => "payment_held",
            Alert::Contradiction { .. } => "contradiction",
            Alert::NoContract { .. } => "no_contract",
            Alert::PayoutFailed { .. } => "payout_failed",
            Alert::ApprovalWaits { .. } => "approval_waits",
            Alert::GatewayHalted { .. } => "gateway_halted",
            Alert::GatewayBack => "gateway_back",
            Alert::Summary(_) => "summary",
            Alert::Over(_) => "over",
            Alert::Digest(_) => "digest",
        }
    }

    pub fn severity(&self) -> Severity {
        match self {
            Alert::CancelRetrying { .. }
            | Alert::GatewayBack
            | Alert::Over(_)
            | Alert::Digest(_) => Severity::Notice,
            // As its alerts are.
            Alert::Summary(summary) if summary.subject == "cancel_retrying" => Severity::Notice,
            Alert::CancelDead { .. }
            | Alert::JobDead { .. }
            | Alert::PaymentHeld { .. }
            | Alert::Contradiction { .. }
            | Alert::NoContract { .. }
            | Alert::PayoutFailed { .. }
            | Alert::ApprovalWaits { .. }
            | Alert::GatewayHalted { .. }
            | Alert::Summary(_) => Severity::Urgent,
        }
    }

    /// The payment that it is about.
    pub fn imp_uid(&self) -> Option<&ImpUid> {
        match self {
            Alert::CancelRetrying { imp_uid, .. }
            | Alert::CancelDead { imp_uid, .. }
            | Alert::PaymentHeld { imp_uid, .. }
            | Alert::Contradiction { imp_uid, .. } => Some(imp_uid),
            Alert::JobDead { .. }
            | Alert::NoContract { .. }
            | Alert::PayoutFailed { .. }
            | Alert::ApprovalWaits { .. }
            | Alert::GatewayHalted { .. }
            | Alert::GatewayBack
            | Alert::Summary(_)
            | Alert::Over(_)
            | Alert::Digest(_) => None,
        }
    }

    /// While an alert with this topic is open, the same again is not sent.
    pub fn topic(&self) -> Option<String> {
        match self {
            Alert::GatewayHalted { .. } => Some("gateway".into()),
            Alert::PaymentHeld { imp_uid, .. } => Some(format!("held:{imp_uid}")),
            Alert::Contradiction { imp_uid, .. } => Some(format!("contradiction:{imp_uid}")),
            Alert::NoContract { partner, .. } => Some(format!("no_contract:{partner}")),
            _ => None,
        }
    }

    /// What it is counted under: alerts of one subject are told together. `None`: each by itself.
    pub fn subject(&self) -> Option<String> {
        match self {
            Alert::CancelRetrying { .. }
            | Alert::CancelDead { .. }
            | Alert::PaymentHeld { .. }
            | Alert::Contradiction { .. } => Some(self.kind().into()),
            // What is wrong with the telling is told at once, or nobody would tell it.
            Alert::JobDead { kind, .. } if kind == "tell_episode" => None,
            Alert::JobDead { kind, .. } => Some(format!("{}:{kind}", self.kind())),
            Alert::NoContract { .. }
            | Alert::PayoutFailed { .. }
            | Alert::ApprovalWaits { .. }
            | Alert::GatewayHalted { .. }
            | Alert::GatewayBack
            | Alert::Summary(_)
            | Alert::Over(_)
            | Alert::Digest(_) => None,
        }
    }

    /// The money that it is about.
    pub fn amount(&self) -> Option<Won> {
        match self {
            Alert::CancelRetrying { amount, .. }
            | Alert::CancelDead { amount, .. }
            | Alert::PaymentHeld { amount, .. }
            | Alert::NoContract { amount, .. }
            | Alert::PayoutFailed { amount, .. }
            | Alert::ApprovalWaits { amount, .. } => Some(*amount),
            Alert::JobDead { .. }
            | Alert::Contradiction { .. }
            | Alert::GatewayHalted { .. }
            | Alert::GatewayBack
            | Alert::Summary(_)
            | Alert::Over(_)
            | Alert::Digest(_) => None,
        }
    }

    /// The dead letter that it is about.
    pub fn job_id(&self) -> Option<i64> {
        match self {
            Alert::CancelDead { job_id, .. } | Alert::JobDead { job_id, .. } => Some(*job_id),
            _ => None,
        }
    }

    /// Its name in a list of many.
    pub fn named(&self) -> Named {
        Named {
            imp_uid: self.imp_uid().cloned(),
            job_id: self.job_id(),
            amount: self.amount(),
        }
    }
}
