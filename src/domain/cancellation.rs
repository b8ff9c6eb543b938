//! One wish to give back all or part of a payment, with its own id, reason and fate.
//!
//! A cancellation is *done* when PortOne's books hold an entry for it, and by nothing else. The
//! entry is known by the mark that we put before the reason: our id in square brackets.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ids::CancellationId, money::Won, seen::SeenCancel};

/// How a cancellation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Fate {
    /// On disk, and being carried out.
    Requested,
    /// In PortOne's books.
    Done,
    /// A dead letter: nobody tries any more until a person says so.
    Dead,
    /// Given up by a person; the money stays.
    Discarded,
    /// Somebody else gave all of the money back first, so there was nothing left to do.
    Superseded,
}

impl Fate {
    pub const ALL: [Fate; 5] = [
        Fate::Requested,
        Fate::Done,
        Fate::Dead,
        Fate::Discarded,
        Fate::Superseded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Requested => "REQUESTED",
            Fate::Done => "DONE",
            Fate::Dead => "DEAD",
            Fate::Discarded => "DISCARDED",
            Fate::Superseded => "SUPERSEDED",
        }
    }

    pub fn parse(text: &str) -> Option<Fate> {
        Fate::ALL.into_iter().find(|fate| fate.as_str() == text)
    }
}

/// The longest reason we send: PortOne's older documents say 256 characters.
pub const LONGEST_REASON: usize = 256;

/// The reason as PortOne gets it: our mark, then the person's words.
///
/// The mark stands first, so that it arrives whole wherever a reason is cut short on its way: it is
/// what makes a cancel whose answer was lost recognisable later.
pub fn marked_reason(id: &CancellationId, reason: &str) -> String {
    format!("[{id}] {}", reason.trim())
        .trim_end()
        .chars()
        .take(LONGEST_REASON)
        .collect()
}

/// Our id in a reason that came back from PortOne.
pub fn mark_in(reason: &str) -> Option<CancellationId> {
    reason.match_indices("[c").find_map(|(at, _)| {
        let (ulid, _) = reason[at + 2..].split_once(']')?;
        let is_ulid = ulid.len() == 26 && ulid.bytes().all(|b| b.is_ascii_alphanumeric());
        is_ulid
            .then(|| CancellationId::new(format!("c{ulid}")).ok())
            .flatten()
    })
}

/// A cancellation as our books hold it, as far as matching needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    pub id: CancellationId,
    /// The entry of PortOne's books that it was found as.
    pub key: Option<String>,
    /// What went back, once it was found.
    pub amount: Won,
}

/// An entry of PortOne's books that ours did not have yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The one that we asked for.
    Ours {
        id: CancellationId,
        entry: SeenCancel,
    },
    /// Made elsewhere: in PortOne's console, or by another system.
    Elsewhere { entry: SeenCancel },
}

/// Entries in PortOne's books that are not in ours, each matched with the wish that it fulfils.
///
/// Two entries with one mark are one cancellation of ours and one made elsewhere: the second is
/// money that went back all the same, and must be in the books.
///
/// An entry may come under another name than before: a sum that the history did not list is listed
/// later, or grows. Money that is booked under a name which PortOne no longer uses covers as much
/// of what is new, so that what is found is always what went back since, and no more.
pub fn find_new(booked: &[Booked], seen: &[SeenCancel]) -> Vec<Found> {
    let known = |key: &str| booked.iter().any(|b| b.key.as_deref() == Some(key));
    let listed = |key: &str| seen.iter().any(|entry| entry.key == key);
    let mut taken: Vec<CancellationId> = Vec::new();
    let mut found = Vec::new();
    for entry in seen.iter().filter(|entry| !known(&entry.key)) {
        let entry = entry.clone();
        let ours = mark_in(&entry.reason).filter(|id| {
            !taken.contains(id) && booked.iter().any(|b| b.id == *id && b.key.is_none())
        });
        found.push(match ours {
            Some(id) => {
                taken.push(id.clone());
                Found::Ours { id, entry }
            }
            None => Found::Elsewhere { entry },
        });
    }
    let mut renamed = 0i64;
    for old in booked {
        if old.key.as_deref().is_none_or(listed) {
            continue;
        }
        let same =
            |f: &Found| matches!(f, Found::Elsewhere { entry } if entry.amount == old.amount);
        match found.iter().position(same) {
            Some(place) => drop(found.remove(place)),
            None => renamed = renamed.saturating_add(old.amount.get()),
        }
    }
    // What was made elsewhere gives way first.
    for ours in [false, true] {
        found.retain_mut(|f| {
            let entry = match f {
                Found::Ours { entry, .. } if ours => entry,
                Found::Elsewhere { entry } if !ours => entry,
                _ => return true,
            };
            let covered = renamed.clamp(0, entry.amount.get().max(0));
            renamed -= covered;
            entry.amount = Won::new(entry.amount.get() - covered);
            covered == 0 || entry.amount.is_positive()
        });
    }
    found
}

/// Where money goes when the method cannot take it back (virtual accounts, old phone payments).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RefundAccount {
    pub holder: String,
    /// The PG's own code of the bank.
    pub bank: String,
    pub account: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tel: Option<String>,
}

/// One call to PortOne on behalf of a cancellation, kept for whoever asks what happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attempt {
    /// Counts up over the whole life of the cancellation.
    pub number: u32,
    pub step: Step,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    /// What was asked, in words.
    pub asked: String,
    pub outcome: AttemptOutcome,
    /// What came back, in words.
    pub answer: String,
}

/// Who made an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Step {
    /// While the caller waited.
    Direct,
    /// The queued retry.
    Queued,
}

impl Step {
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Direct => "DIRECT",
            Step::Queued => "QUEUED",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AttemptOutcome {
    Done,
    /// PortOne took the wish but has not carried it out yet.
    Pending,
    Transient,
    Unknown,
    Permanent,
    Halt,
}

impl AttemptOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptOutcome::Done => "DONE",
            AttemptOutcome::Pending => "PENDING",
            AttemptOutcome::Transient => "TRANSIENT",
            AttemptOutcome::Unknown => "UNKNOWN",
            AttemptOutcome::Permanent => "PERMANENT",
            AttemptOutcome::Halt => "HALT",
        }
    }
}

/// What a cancellation asks of PortOne, with the guard that makes a second call harmless.
#[derive(Clone, Debug, PartialEq)]
pub struct CancelCall {
    pub imp_uid: super::ids::ImpUid,
    pub amount: Won,
    /// What can still be cancelled before this call, by our books. PortOne refuses if it differs.
    pub checksum: Won,
    /// Part of `amount` without VAT (면세), which some PGs must be told.
    pub tax_free: Option<Won>,
    /// With our mark.
    pub reason: String,
    pub refund: Option<RefundAccount>,
}

/// The tax-free part of a cancel for which nobody named one, where the order leaves no choice: all
/// of it if all of the order is tax-free, the order's part if all of the payment goes back at once.
pub fn tax_free_part(order: Won, tax_free: Won, amount: Won) -> Option<Won> {
    if !tax_free.is_positive() {
        None
    } else if tax_free == order {
        Some(amount)
    } else {
        (amount == order).then_some(tax_free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> CancellationId {
        CancellationId::new(format!(
            "c01ARZ3NDEKTSV4RRFFQ69G5FA{}",
            char::from(b'A' + n)
        ))
        .unwrap()
    }

    fn entry(key: &str, reason: &str) -> SeenCancel {
        SeenCancel {
            key: key.into(),
            amount: Won::new(1_000),
            at: None,
            reason: reason.into(),
            receipt_url: String::new(),
        }
    }

    #[test]
    fn the_mark_survives_a_reason_of_any_length() {
        for reason in ["", "단순 변심", &"가".repeat(1_000), "[c] [cx] 괄호"] {
            let sent = marked_reason(&id(0), reason);
            assert!(sent.chars().count() <= LONGEST_REASON);
            assert_eq!(mark_in(&sent), Some(id(0)), "{sent}");
        }
        for not_ours in ["", "부분 반품", "[c123]", "c01ARZ3NDEKTSV4RRFFQ69G5FAA"] {
            assert_eq!(mark_in(not_ours), None, "{not_ours}");
        }
    }

    #[test]
    fn the_tax_free_part_is_told_where_the_order_leaves_no_choice() {
        let won = Won::new;
        for (order, tax_free, amount, part) in [
            (10_000, 0, 10_000, None),
            (10_000, 10_000, 10_000, Some(10_000)),
            (10_000, 10_000, 3_000, Some(3_000)),
            (10_000, 4_000, 10_000, Some(4_000)),
            (10_000, 4_000, 3_000, None),
        ] {
            let told = tax_free_part(won(order), won(tax_free), won(amount));
            assert_eq!(
                told,
                part.map(won),
                "{amount} of {order}, {tax_free} tax-free"
            );
        }
    }

    #[test]
    fn an_entry_is_found_once() {
        let booked = [
            Booked {
                id: id(0),
                key: Some("k0".into()),
                amount: Won::new(1_000),
            },
            Booked {
                id: id(1),
                key: None,
                amount: Won::new(1_000),
            },
        ];
        let ours = entry("k1", &marked_reason(&id(1), "둘째"));
        let again = entry("k2", &marked_reason(&id(1), "둘째"));
        let console = entry("k3", "콘솔");
        let seen = [
            entry("k0", "첫째"),
            ours.clone(),
            again.clone(),
            console.clone(),
        ];
        assert_eq!(
            find_new(&booked, &seen),
            [
                Found::Ours {
                    id: id(1),
                    entry: ours
                },
                Found::Elsewhere { entry: again },
                Found::Elsewhere { entry: console },
            ]
        );
    }
}
