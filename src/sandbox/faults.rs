//! What can be told to go wrong.
//!
//! A fault names whom it hits, what it does, and how often. The first that fits a request is used,
//! once per request. With no fault set, a request pays for one atomic load.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde::{Deserialize, Serialize};

use super::lock;

/// Which kind of traffic a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// `POST /users/getToken`.
    Token,
    /// `GET /payments/{imp_uid}`.
    Get,
    /// Every other read of payments: lists, find, search.
    List,
    /// `/payments/prepare`.
    Prepare,
    /// `POST /payments/cancel`.
    Cancel,
    /// Webhooks that the sandbox sends.
    Webhook,
    /// Messages that come to the Slack sink.
    Slack,
}

impl Target {
    /// The word in JSON and in [`calls`](super::Sandbox::calls).
    pub fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Get => "get",
            Self::List => "list",
            Self::Prepare => "prepare",
            Self::Cancel => "cancel",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
        }
    }
}

/// What a fault does. Times are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// HTTP 200 with `code` other than 0: a business failure. Nothing is done.
    Refuse {
        #[serde(default = "default_code")]
        code: i64,
        #[serde(default = "default_refusal")]
        message: String,
    },
    /// This HTTP status, and nothing is done. The body is JSON for a 4xx only.
    Status {
        status: u16,
        /// `Retry-After`, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Holds the line, then drops it. Nothing is done.
    Hang { ms: u64 },
    /// Does it, holds the line, then drops it without an answer.
    DoThenHang { ms: u64 },
    /// Does it, then cuts the line without an answer.
    DoThenDrop,
    /// Does it, then answers this status with a body that is not JSON.
    DoThenStatus { status: u16 },
    /// Does it, then answers 200 with half of the JSON.
    DoThenGarbage,
    /// Cuts the line at once. Nothing is done.
    Drop,
    /// Does it at once, and gives the right answer late.
    Slow { ms: u64 },
    /// Does it, and gives the right answer, a byte at a time with this pause between.
    Drip { ms: u64 },
    /// 200 with HTML. Nothing is done.
    Garbage,
    /// Cancel only: code 0, but the history shows the cancel only after `ms`, and a webhook tells.
    Async { ms: u64 },
    /// The amount in the answer is off by `delta`. The books are right.
    WrongAmount { delta: i64 },
    /// 302 to a page of the sandbox that nobody should ever fetch; it counts as `redirected`.
    Redirect,
    /// 200 with a JSON string of so many MiB.
    Huge { mb: u64 },
    /// Webhook only: it is never sent.
    DropWebhook,
    /// Webhook only: it is sent `n` more times.
    RepeatWebhook { n: u32 },
    /// Webhook only: it is sent late.
    DelayWebhook { ms: u64 },
}

fn default_code() -> i64 {
    -1
}

fn default_refusal() -> String {
    "결제취소에 실패하였습니다. [8178]취소 금액보다 상계가능 정산금액 부족".to_owned()
}

impl Kind {
    /// A refusal as KCP words it: the merchant's unsettled sales do not cover the refund.
    pub fn refuse() -> Self {
        Self::Refuse {
            code: default_code(),
            message: default_refusal(),
        }
    }
}

/// Something that goes wrong, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub on: Target,
    #[serde(flatten)]
    pub kind: Kind,
    /// How many requests it hits; until cleared, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Only this payment; with a `*` at the end, all that begin so. For `prepare` it is compared
    /// with the `merchant_uid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imp_uid: Option<String>,
    /// The scenario that set it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
}

impl Fault {
    /// For every payment, until cleared.
    pub fn new(on: Target, kind: Kind) -> Self {
        Self {
            on,
            kind,
            times: None,
            imp_uid: None,
            scenario: None,
        }
    }

    /// Only so many times.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only for this payment, or with a `*` at the end for all that begin so.
    pub fn only(mut self, imp_uid: impl Into<String>) -> Self {
        self.imp_uid = Some(imp_uid.into());
        self
    }

    fn fits(&self, on: Target, imp_uid: Option<&str>) -> bool {
        self.on == on
            && match &self.imp_uid {
                None => true,
                Some(want) => imp_uid.is_some_and(|id| match want.strip_suffix('*') {
                    Some(prefix) => id.starts_with(prefix),
                    None => id == want,
                }),
            }
    }
}

/// The faults that are set.
#[derive(Default)]
pub(super) struct Faults {
    list: Mutex<Vec<Fault>>,
    count: AtomicUsize,
}

impl Faults {
    pub fn add(&self, fault: Fault) {
        self.change(|list| {
            if fault.times != Some(0) {
                list.push(fault);
            }
        });
    }

    pub fn clear(&self) {
        self.change(Vec::clear);
    }

    pub fn clear_scenario(&self, name: &str) {
        self.change(|list| list.retain(|fault| fault.scenario.as_deref() != Some(name)));
    }

    pub fn list(&self) -> Vec<Fault> {
        lock(&self.list).clone()
    }

    /// Uses up one of the first fault that fits.
    pub fn take(&self, on: Target, imp_uid: Option<&str>) -> Option<Kind> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.change(|list| {
            let at = list.iter().position(|fault| fault.fits(on, imp_uid))?;
            let fault = &mut list[at];
            let kind = fault.kind.clone();
            if let Some(times) = &mut fault.times {
                *times -= 1;
                if *times == 0 {
                    list.remove(at);
                }
            }
            Some(kind)
        })
    }

    fn change<T>(&self, act: impl FnOnce(&mut Vec<Fault>) -> T) -> T {
        let mut list = lock(&self.list);
        let out = act(&mut list);
        self.count.store(list.len(), Ordering::Release);
        out
    }
}

/// A ready-made set of faults, in plain words.
pub struct Scenario {
    /// Its name in `POST /sandbox/scenarios/{name}`.
    pub name: &'static str,
    pub korean: &'static str,
    pub english: &'static str,
    make: fn() -> Vec<Fault>,
}

impl Scenario {
    /// The faults it sets.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = (self.make)();
        for fault in &mut faults {
            fault.scenario = Some(self.name.to_owned());
        }
        faults
    }

    /// The scenario of this name.
    pub fn named(name: &str) -> Option<&'static Scenario> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }
}

/// All scenarios, as the control page lists them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "cancel-500-twice",
        korean: "취소 요청에 두 번 500으로 답하고, 그다음에는 정상으로 처리합니다",
        english: "Answers a cancel with 500 twice, then works",
        make: || {
            let fault = Fault::new(Target::Cancel, status(500));
            vec![fault.times(2)]
        },
    },
    Scenario {
        name: "cancel-done-line-drops",
        korean: "취소는 처리하지만 응답 전에 연결이 끊깁니다 (한 번)",
        english: "Carries out the cancel, but the line drops before the answer (once)",
        make: || vec![Fault::new(Target::Cancel, Kind::DoThenDrop).times(1)],
    },
    Scenario {
        name: "cancel-done-500",
        korean: "취소는 처리하지만 500으로 답합니다 (한 번)",
        english: "Carries out the cancel, but answers 500 (once)",
        make: || {
            let fault = Fault::new(Target::Cancel, Kind::DoThenStatus { status: 500 });
            vec![fault.times(1)]
        },
    },
    Scenario {
        name: "cancel-refused-kcp",
        korean: "취소를 거절합니다: 상계할 미정산 금액 부족 (KCP 8178)",
        english: "Refuses cancels: not enough unsettled money (KCP 8178)",
        make: || vec![Fault::new(Target::Cancel, Kind::refuse())],
    },
    Scenario {
        name: "cancel-slow",
        korean: "취소 응답이 3초 늦습니다",
        english: "Answers cancels 3 seconds late",
        make: || vec![Fault::new(Target::Cancel, Kind::Slow { ms: 3_000 })],
    },
    Scenario {
        name: "cancel-later",
        korean: "취소를 접수만 하고 10초 뒤에 처리합니다 (비동기 취소, 한 번)",
        english: "Accepts the cancel and carries it out 10 seconds later (once)",
        make: || vec![Fault::new(Target::Cancel, Kind::Async { ms: 10_000 }).times(1)],
    },
    Scenario {
        name: "portone-down",
        korean: "포트원 전체 장애: 모든 요청에 503으로 답합니다",
        english: "PortOne is down: every call gets 503",
        make: || {
            [
                Target::Token,
                Target::Get,
                Target::List,
                Target::Prepare,
                Target::Cancel,
            ]
            .into_iter()
            .map(|on| Fault::new(on, status(503)))
            .collect()
        },
    },
    Scenario {
        name: "portone-unreachable",
        korean: "포트원에 연결할 수 없습니다: 모든 연결이 바로 끊깁니다",
        english: "PortOne cannot be reached: every connection is cut",
        make: || {
            [
                Target::Token,
                Target::Get,
                Target::List,
                Target::Prepare,
                Target::Cancel,
            ]
            .into_iter()
            .map(|on| Fault::new(on, Kind::Drop))
            .collect()
        },
    },
    Scenario {
        name: "amount-forged",
        korean: "결제 조회 금액이 실제보다 1,000원 적게 나옵니다 (위변조)",
        english: "Reads show 1,000 won less than charged (forgery)",
        make: || vec![Fault::new(Target::Get, Kind::WrongAmount { delta: -1_000 })],
    },
    Scenario {
        name: "webhooks-lost",
        korean: "웹훅이 사라집니다",
        english: "Webhooks get lost",
        make: || vec![Fault::new(Target::Webhook, Kind::DropWebhook)],
    },
    Scenario {
        name: "webhooks-twice",
        korean: "웹훅이 두 번씩 갑니다",
        english: "Webhooks come twice",
        make: || vec![Fault::new(Target::Webhook, Kind::RepeatWebhook { n: 1 })],
    },
    Scenario {
        name: "webhooks-late",
        korean: "웹훅이 10초 늦게 갑니다",
        english: "Webhooks come 10 seconds late",
        make: || {
            vec![Fault::new(
                Target::Webhook,
                Kind::DelayWebhook { ms: 10_000 },
            )]
        },
    },
    Scenario {
        name: "slack-down",
        korean: "Slack 장애: 500으로 답합니다",
        english: "Slack is down: answers 500",
        make: || vec![Fault::new(Target::Slack, status(500))],
    },
    Scenario {
        name: "slack-rate-limited",
        korean: "Slack이 두 번 429로 답합니다 (3초 뒤 재시도)",
        english: "Slack answers 429 twice (retry after 3 s)",
        make: || {
            let kind = Kind::Status {
                status: 429,
                retry_after: Some(3),
            };
            vec![Fault::new(Target::Slack, kind).times(2)]
        },
    },
];

fn status(status: u16) -> Kind {
    Kind::Status {
        status,
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_used_up() {
        let faults = Faults::default();
        faults.add(
            Fault::new(Target::Cancel, Kind::Drop)
                .times(2)
                .only("imp_7*"),
        );
        assert_eq!(faults.take(Target::Get, Some("imp_77")), None);
        assert_eq!(faults.take(Target::Cancel, Some("imp_8")), None);
        assert_eq!(
            faults.take(Target::Cancel, Some("imp_77")),
            Some(Kind::Drop)
        );
        assert_eq!(faults.take(Target::Cancel, Some("imp_7")), Some(Kind::Drop));
        assert_eq!(faults.take(Target::Cancel, Some("imp_77")), None);
    }

    #[test]
    fn a_fault_reads_from_short_json() {
        let fault: Fault = serde_json::from_str(r#"{"on":"cancel","kind":"refuse"}"#).unwrap();
        assert_eq!(fault, Fault::new(Target::Cancel, Kind::refuse()));
        let fault: Fault = serde_json::from_str(
            r#"{"on":"get","kind":"status","status":503,"retry_after":2,"times":1}"#,
        )
        .unwrap();
        assert_eq!(fault.times, Some(1));
    }
}
