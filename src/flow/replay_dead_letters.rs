//! Letting many dead letters run again at once: first what that would mean, then exactly that.
//!
//! The dry run names the set by a mark over every letter in it, its amount, and what would come of it. Who
//! confirms sends the mark back; if the set is another one by then, nothing is done. What is confirmed
//! goes in portions, so that no transaction is long, and each letter by the rules of
//! [`dead_letters::replay`]: its run reads before it sends.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        job::{Job, JobState},
        masks::masked_name,
        money::{OutOfRange, Won},
        settlement::apportion,
    },
    flow::{
        Ctx,
        dead_letters::{self, DeadLetterError, Replayed},
        operate_jobs::{Subject, order_of, subject},
    },
    store::{
        StoreError, Tx,
        audit::{self, Act},
        cancellations,
        job_lists::{self, DeadFilter},
        jobs::{self, JobRow},
        orders, payments,
    },
};

/// Letters that one transaction takes on.
const PORTION: usize = 50;

/// Letters that a dry run shows one by one.
pub const SHOWN: usize = 10;

/// Why a letter that fits would not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Its cancellation was carried out, given up or made needless. Replayed by itself it just ends.
    Settled,
    /// Another job for the same thing is live.
    Live,
    /// This version cannot read it: it would only die again.
    Unreadable,
    /// Somebody dealt with it while the others were taken on.
    Gone,
}

impl Skip {
    pub const ALL: [Skip; 4] = [Skip::Settled, Skip::Live, Skip::Unreadable, Skip::Gone];

    pub fn as_str(self) -> &'static str {
        match self {
            Skip::Settled => "settled",
            Skip::Live => "live",
            Skip::Unreadable => "unreadable",
            Skip::Gone => "gone",
        }
    }
}

/// What is owed to one partner of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Of {
    pub partner: String,
    pub letters: usize,
    pub amount: Won,
}

/// One letter, as a dry run shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    pub id: i64,
    pub kind: String,
    pub imp_uid: Option<String>,
    pub merchant_uid: Option<String>,
    /// Masked.
    pub buyer: String,
    pub amount: Option<Won>,
    pub error: String,
    pub skip: Option<Skip>,
}

/// What a bulk replay would do.
#[derive(Clone, Debug, Serialize)]
pub struct DryRun {
    pub filter: DeadFilter,
    /// That fit, those that would be skipped included.
    pub found: usize,
    /// That would run.
    pub runs: usize,
    pub kinds: BTreeMap<String, usize>,
    pub partners: Vec<Of>,
    /// Different payments among those that would run.
    pub payments: usize,
    /// All the money that hangs on those that would run.
    pub amount: Won,
    /// Of it: what would go back to buyers.
    pub back: Won,
    pub skipped: BTreeMap<Skip, usize>,
    /// Kinds of which nothing runs now: their letters would wait.
    pub paused: Vec<String>,
    #[serde(serialize_with = "payments::seoul_time_maybe")]
    pub oldest: Option<Timestamp>,
    #[serde(serialize_with = "payments::seoul_time_maybe")]
    pub newest: Option<Timestamp>,
    pub first: Vec<Shown>,
    /// Names exactly this set.
    pub mark: String,
    #[serde(skip)]
    ids: Vec<i64>,
}

#[cfg(test)]
impl DryRun {
    /// For pages' tests: three that run, one that is skipped.
    pub fn example(first: Vec<Shown>, partners: Vec<Of>, at: Option<Timestamp>) -> DryRun {
        DryRun {
            filter: DeadFilter::default(),
            found: 4,
            runs: 3,
            kinds: [("retry_cancel".to_owned(), 3)].into(),
            payments: 3,
            amount: Won::new(36_000),
            back: Won::new(36_000),
            partners,
            skipped: [(Skip::Live, 1)].into(),
            paused: vec!["retry_cancel".into()],
            oldest: at,
            newest: at,
            first,
            mark: "0123".into(),
            ids: Vec::new(),
        }
    }
}

/// What a bulk replay did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    pub replayed: usize,
    pub skipped: BTreeMap<Skip, usize>,
}

#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// With what it would be now.
    #[error(
        "what fits is no longer what you saw, so nothing was done: look at the new dry run, and confirm that"
    )]
    Changed(Box<DryRun>),
    #[error("no dead letter fits that would run again")]
    Nothing(Box<DryRun>),
    #[error("what hangs on these letters is more than an amount can be: choose fewer")]
    OutOfRange(#[from] OutOfRange),
    #[error(
        "{done} of {all} run again, then the books could not be written ({why}); do it again for the rest"
    )]
    BrokeOff {
        done: usize,
        all: usize,
        why: StoreError,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a letter would run, by the rules of [`dead_letters::replay`].
fn skip(conn: &Connection, row: &JobRow) -> Result<Option<Skip>, StoreError> {
    let Some(job) = row.job() else {
        return Ok(Some(Skip::Unreadable));
    };
    if let Job::RetryCancel { cancellation } = &job {
        let kept = match payments::of_cancellation(conn, cancellation)? {
            Some(imp_uid) => payments::get(conn, &imp_uid)?,
            None => None,
        };
        let replayed = kept.and_then(|kept| kept.payment.cancel_replayed(cancellation));
        if replayed.is_none() {
            return Ok(Some(Skip::Settled));
        }
    }
    if let Some(key) = job.unique_key()
        && jobs::with_key(conn, &key, JobState::Ready)?.is_some()
    {
        return Ok(Some(Skip::Live));
    }
    Ok(None)
}

/// To whom an amount is owed, as the order's lines have it; to the default partner where nobody
/// registered the order.
fn owed(
    conn: &Connection,
    about: &Subject,
    amount: Won,
    default_partner: &str,
) -> Result<Vec<(String, Won)>, BulkError> {
    let order = match order_of(about) {
        Some(id) => orders::get(conn, &id)?.map(|(order, _)| order),
        None => None,
    };
    let Some(order) = order else {
        return Ok(vec![(default_partner.to_owned(), amount)]);
    };
    let named = match &about.cancellation {
        Some(id) => cancellations::lines(conn, id)?,
        None => Vec::new(),
    };
    let weights = order
        .lines
        .iter()
        .map(|line| line.amount())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| OutOfRange)?;
    let mut parts = vec![Won::ZERO; weights.len()];
    for (line, won) in &named {
        let at = usize::try_from(line - 1).ok();
        if let Some(part) = at.and_then(|at| parts.get_mut(at)) {
            *part = part.plus(*won)?;
        }
    }
    if named.is_empty() {
        parts = apportion(&weights, amount)?;
    }
    let mut owed: Vec<(String, Won)> = order
        .lines
        .iter()
        .zip(&parts)
        .filter(|(_, part)| !part.is_zero())
        .map(|(line, part)| (line.partner.to_string(), *part))
        .collect();
    // More than was ordered was charged: the rest is told as nobody's but the house's.
    let rest = amount.minus(Won::sum(parts)?)?;
    if rest.is_positive() {
        owed.push((default_partner.to_owned(), rest));
    }
    Ok(owed)
}

/// What replaying all that fit would mean. Reads only.
pub fn dry_run(
    conn: &Connection,
    filter: &DeadFilter,
    default_partner: &str,
) -> Result<DryRun, BulkError> {
    let rows = job_lists::dead(conn, filter, None, usize::MAX)?;
    let pauses = jobs::pauses(conn)?;
    let mut run = DryRun {
        filter: filter.clone(),
        found: rows.len(),
        runs: 0,
        kinds: BTreeMap::new(),
        partners: Vec::new(),
        payments: 0,
        amount: Won::ZERO,
        back: Won::ZERO,
        skipped: BTreeMap::new(),
        paused: Vec::new(),
        oldest: None,
        newest: None,
        first: Vec::new(),
        mark: String::new(),
        ids: Vec::new(),
    };
    let mut partners: BTreeMap<String, (usize, Won)> = BTreeMap::new();
    let mut payments: BTreeSet<String> = BTreeSet::new();
    let mut mark = Sha256::new();
    let mut keys: BTreeSet<String> = BTreeSet::new();
    for row in &rows {
        let mut why = skip(conn, row)?;
        // Of several for the same thing one can run.
        let key = row.job().and_then(|job| job.unique_key());
        if why.is_none() && key.is_some_and(|key| !keys.insert(key)) {
            why = Some(Skip::Live);
        }
        let about = subject(conn, row)?;
        let amount = about.amount.unwrap_or_default();
        let word = why.map_or("runs", Skip::as_str);
        mark.update(format!(
            "{} {} {} {word}\n",
            row.id,
            row.generation,
            amount.get()
        ));
        if run.first.len() < SHOWN {
            run.first.push(Shown {
                id: row.id,
                kind: row.kind.clone(),
                imp_uid: about.imp_uid.clone(),
                merchant_uid: about.merchant_uid.clone(),
                buyer: masked_name(&about.buyer),
                amount: about.amount,
                error: row.last_error.clone().unwrap_or_default(),
                skip: why,
            });
        }
        if let Some(why) = why {
            *run.skipped.entry(why).or_default() += 1;
            continue;
        }
        run.ids.push(row.id);
        *run.kinds.entry(row.kind.clone()).or_default() += 1;
        run.oldest = min(run.oldest, row.finished_at);
        run.newest = run.newest.max(row.finished_at);
        run.amount = run.amount.plus(amount)?;
        if about.cancellation.is_some() {
            run.back = run.back.plus(amount)?;
        }
        payments.extend(about.imp_uid.clone());
        if !amount.is_zero() {
            let mut of: BTreeMap<String, Won> = BTreeMap::new();
            for (partner, part) in owed(conn, &about, amount, default_partner)? {
                let sum = of.entry(partner).or_default();
                *sum = sum.plus(part)?;
            }
            for (partner, part) in of {
                let (letters, sum) = partners.entry(partner).or_default();
                *letters += 1;
                *sum = sum.plus(part)?;
            }
        }
    }
    run.runs = run.ids.len();
    run.payments = payments.len();
    run.paused = pauses
        .into_iter()
        .map(|pause| pause.kind)
        .filter(|kind| run.kinds.contains_key(kind))
        .collect();
    run.partners = partners
        .into_iter()
        .map(|(partner, (letters, amount))| Of {
            partner,
            letters,
            amount,
        })
        .collect();
    run.partners
        .sort_by(|a, b| b.amount.cmp(&a.amount).then(a.partner.cmp(&b.partner)));
    run.mark = hex::encode(&mark.finalize()[..12]);
    Ok(run)
}

fn min(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The same beside whatever else is read and written.
pub async fn look(ctx: &Ctx, filter: DeadFilter) -> Result<DryRun, BulkError> {
    let default_partner = ctx.policy.default_partner.clone();
    ctx.store
        .read_long(move |conn| dry_run(conn, &filter, &default_partner))
        .await
}

/// Replays what a dry run named, if it is still what fits.
pub async fn replay_all(
    ctx: &Ctx,
    filter: DeadFilter,
    mark: &str,
    by: &'static str,
) -> Result<Done, BulkError> {
    let run = look(ctx, filter).await?;
    if run.mark != mark {
        return Err(BulkError::Changed(Box::new(run)));
    }
    if run.ids.is_empty() {
        return Err(BulkError::Nothing(Box::new(run)));
    }
    note(ctx, &run).await.map_err(|why| BulkError::BrokeOff {
        done: 0,
        all: run.ids.len(),
        why,
    })?;
    let mut done = Done {
        replayed: 0,
        skipped: run.skipped.clone(),
    };
    // Oldest first, as they would have run.
    let ids: Vec<i64> = run.ids.iter().rev().copied().collect();
    for portion in ids.chunks(PORTION) {
        let taken = patiently(ctx, portion, by).await;
        let taken = taken.map_err(|why| BulkError::BrokeOff {
            done: done.replayed,
            all: ids.len(),
            why,
        })?;
        done.replayed += taken.replayed;
        for (why, count) in taken.skipped {
            *done.skipped.entry(why).or_default() += count;
        }
    }
    tracing::info!(
        by,
        replayed = done.replayed,
        "dead letters were replayed in bulk"
    );
    Ok(done)
}

/// Notes what was confirmed, before the first of it: each letter has a line of its own besides.
async fn note(ctx: &Ctx, run: &DryRun) -> Result<(), StoreError> {
    let after = json!({
        "filter": run.filter, "mark": run.mark, "letters": run.ids.len(), "amount": run.amount, "back": run.back,
    });
    ctx.store
        .write(move |tx| {
            let act = Act {
                act: "dead_letter.bulk_replayed",
                subject: "jobs",
                before: None,
                after: Some(&after),
            };
            audit::note(tx, &act)
        })
        .await
}

/// One portion; where too much is being written, a moment later.
async fn patiently(ctx: &Ctx, portion: &[i64], by: &'static str) -> Result<Done, StoreError> {
    let mut tries = 0;
    loop {
        let ids = portion.to_vec();
        let taken = ctx
            .store
            .write(move |tx| replay_portion(tx, &ids, by))
            .await;
        match taken {
            Err(StoreError::Busy) if tries < 40 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            taken => return taken,
        }
    }
}

fn replay_portion(tx: &mut Tx<'_>, ids: &[i64], by: &'static str) -> Result<Done, StoreError> {
    let mut done = Done::default();
    for id in ids {
        let row = jobs::get(tx.conn(), *id)?.filter(|row| row.state == JobState::Dead.as_str());
        // Asked before anything is changed: half a replay must not be kept.
        let why = match &row {
            None => Some(Skip::Gone),
            Some(row) => skip(tx.conn(), row)?.filter(|why| *why != Skip::Settled),
        };
        if let Some(why) = why {
            *done.skipped.entry(why).or_default() += 1;
            continue;
        }
        match dead_letters::replay_in(tx, *id, by) {
            Ok(Replayed::Runs) => done.replayed += 1,
            Ok(Replayed::SettledAlready) => *done.skipped.entry(Skip::Settled).or_default() += 1,
            Err(DeadLetterError::Store(error)) => return Err(error),
            Err(error) => return Err(StoreError::Rule(error.to_string())),
        }
    }
    Ok(done)
}
