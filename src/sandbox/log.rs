//! What came in: a bounded memory of requests, and counts that never forget.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
};

use serde::Serialize;

use super::lock;

/// So many requests are remembered; older ones make room.
const REMEMBERED: usize = 20_000;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An HTTP status left, with this `code` in its envelope (-1 too if it had none).
    Answered { status: u16, code: i64 },
    /// The line was cut; `done` says whether the request was carried out first.
    Cut { done: bool },
}

/// A request that the sandbox saw.
#[derive(Debug, Clone, Serialize)]
pub struct SeenRequest {
    /// UNIX milliseconds, by the sandbox's clock.
    pub at: i64,
    /// What it was, in the words of [`Target`](super::Target), or `other`.
    pub what: &'static str,
    pub method: String,
    /// With the query.
    pub path: String,
    /// For calls that change something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    pub outcome: Outcome,
    /// A fault played a part.
    pub fault: bool,
}

pub(super) struct Log {
    keep: bool,
    seen: Mutex<VecDeque<SeenRequest>>,
    counts: Mutex<HashMap<&'static str, u64>>,
}

impl Log {
    pub fn new(keep: bool) -> Self {
        Self {
            keep,
            seen: Mutex::default(),
            counts: Mutex::default(),
        }
    }

    /// Whether requests are remembered one by one; if not, they are only counted.
    pub fn keeps(&self) -> bool {
        self.keep
    }

    pub fn count(&self, what: &'static str) {
        *lock(&self.counts).entry(what).or_default() += 1;
    }

    pub fn counted(&self, what: &str) -> u64 {
        lock(&self.counts).get(what).copied().unwrap_or_default()
    }

    pub fn add(&self, request: SeenRequest) {
        let mut seen = lock(&self.seen);
        if seen.len() == REMEMBERED {
            seen.pop_front();
        }
        seen.push_back(request);
    }

    /// Oldest first; at most the last `most`.
    pub fn last(&self, most: usize) -> Vec<SeenRequest> {
        let seen = lock(&self.seen);
        let skip = seen.len().saturating_sub(most);
        seen.iter().skip(skip).cloned().collect()
    }
}
