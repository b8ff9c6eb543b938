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
        operate_jobs::subject,
    },
    store::{
        StoreError, Tx,
        audit::{self, Act},
        cancellations,
        job_lists::{self, DeadFilter},
        jobs::{self, JobRow},
        letters::{self, Weight},
        payments,
    },
};

/// Letters that one transaction takes on.
const PORTION: usize = 50;

/// Letters that a dry run shows one by one.
pub const SHOWN: usize = 10;

/// Letters that a page takes on at once, the oldest: so many are weighed while somebody waits.
pub const AT_ONCE: usize = 200;

/// Letters that fit are counted so far, those that are taken on included.
pub const COUNTED: usize = 2_000;

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
    /// That fit and are taken on, those that would be skipped included.
    pub found: usize,
    /// All that fit, counted up to [`COUNTED`], where a page takes on the oldest of them alone.
    #[serde(skip)]
    pub more: Option<usize>,
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
            more: None,
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

/// What a bulk replay has to know of one letter.
struct Weighed {
    skip: Option<Skip>,
    /// Of several letters for the same thing one can run.
    key: Option<String>,
    cancellation: Option<String>,
    about: Weight,
}

/// The same as [`skip`] and [`subject`] say of a letter, by a look or two: this is done to hundreds at once.
fn weigh(conn: &Connection, row: &JobRow) -> Result<Weighed, StoreError> {
    let Some(job) = row.job() else {
        return Ok(Weighed {
            skip: Some(Skip::Unreadable),
            key: None,
            cancellation: None,
            about: Weight::default(),
        });
    };
    let (mut cancellation, mut open) = (None, true);
    let about = match &job {
        Job::RetryCancel { cancellation: id } => {
            cancellation = Some(id.to_string());
            let (about, failed) = letters::of_cancel(conn, id)?;
            open = failed;
            about
        }
        Job::ConfirmPayment { inbox_id } => letters::of_message(conn, *inbox_id)?,
        _ => {
            let of = subject(conn, row)?;
            Weight {
                imp_uid: of.imp_uid,
                merchant_uid: of.merchant_uid,
                amount: of.amount,
            }
        }
    };
    let key = job.unique_key();
    let live = match &key {
        Some(key) if open => jobs::with_key(conn, key, JobState::Ready)?.is_some(),
        _ => false,
    };
    let skip = match (open, live) {
        (false, _) => Some(Skip::Settled),
        (true, true) => Some(Skip::Live),
        (true, false) => None,
    };
    Ok(Weighed {
        skip,
        key,
        cancellation,
        about,
    })
}

/// To whom an amount is owed, as the order's lines have it; to the default partner where nobody
/// registered the order.
fn owed(
    conn: &Connection,
    letter: &Weighed,
    amount: Won,
    default_partner: &str,
) -> Result<Vec<(String, Won)>, BulkError> {
    let lines = match &letter.about.merchant_uid {
        Some(id) => letters::lines(conn, id)?,
        None => Vec::new(),
    };
    if lines.is_empty() {
        return Ok(vec![(default_partner.to_owned(), amount)]);
    }
    let named = match &letter.cancellation {
        Some(id) => cancellations::lines(conn, id)?,
        None => Vec::new(),
    };
    let mut parts = vec![Won::ZERO; lines.len()];
    for (line, won) in &named {
        let at = usize::try_from(line - 1).ok();
        if let Some(part) = at.and_then(|at| parts.get_mut(at)) {
            *part = part.plus(*won)?;
        }
    }
    if named.is_empty() {
        let weights: Vec<Won> = lines.iter().map(|(_, weight)| *weight).collect();
        parts = apportion(&weights, amount)?;
    }
    // More than was ordered was charged: the rest is told as nobody's but the house's.
    let rest = amount.minus(Won::sum(parts.iter().copied())?)?;
    let mut owed: Vec<(String, Won)> = lines
        .into_iter()
        .zip(parts)
        .filter(|(_, part)| !part.is_zero())
        .map(|((partner, _), part)| (partner, part))
        .collect();
    if rest.is_positive() {
        owed.push((default_partner.to_owned(), rest));
    }
    Ok(owed)
}

/// What replaying all that fit would mean, or where `most` is given, the oldest so many. More are taken on
/// where hardly any of those would run: what is skipped stays, and would stand in the way of the rest.
/// Reads only.
pub fn dry_run(
    conn: &Connection,
    filter: &DeadFilter,
    most: Option<usize>,
    default_partner: &str,
) -> Result<DryRun, BulkError> {
    let mut taken = most;
    loop {
        let run = taken_on(conn, filter, taken, default_partner)?;
        let few = most.is_some_and(|most| 2 * run.runs < most);
        if run.more.is_none() || !few {
            return Ok(run);
        }
        taken = taken.map(|taken| 4 * taken);
    }
}

fn taken_on(
    conn: &Connection,
    filter: &DeadFilter,
    most: Option<usize>,
    default_partner: &str,
) -> Result<DryRun, BulkError> {
    let rows = match most {
        Some(most) => job_lists::oldest_dead(conn, filter, most)?,
        None => job_lists::dead(conn, filter, None, usize::MAX)?,
    };
    let more = match most {
        Some(most) if rows.len() == most => {
            let count = job_lists::count_dead(conn, filter, COUNTED.max(most + 1))?;
            Some(count).filter(|count| *count > most)
        }
        _ => None,
    };
    let pauses = jobs::pauses(conn)?;
    let mut run = DryRun {
        filter: filter.clone(),
        found: rows.len(),
        more,
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
        let mut letter = weigh(conn, row)?;
        let mut why = letter.skip;
        if why.is_none() && letter.key.take().is_some_and(|key| !keys.insert(key)) {
            why = Some(Skip::Live);
        }
        let amount = letter.about.amount.unwrap_or_default();
        let word = why.map_or("runs", Skip::as_str);
        mark.update(format!(
            "{} {} {} {word}\n",
            row.id,
            row.generation,
            amount.get()
        ));
        if run.first.len() < SHOWN {
            let about = subject(conn, row)?;
            run.first.push(Shown {
                id: row.id,
                kind: row.kind.clone(),
                imp_uid: about.imp_uid,
                merchant_uid: about.merchant_uid,
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
        if letter.cancellation.is_some() {
            run.back = run.back.plus(amount)?;
        }
        if !amount.is_zero() {
            let mut of: BTreeMap<String, Won> = BTreeMap::new();
            for (partner, part) in owed(conn, &letter, amount, default_partner)? {
                let sum = of.entry(partner).or_default();
                *sum = sum.plus(part)?;
            }
            for (partner, part) in of {
                let (letters, sum) = partners.entry(partner).or_default();
                *letters += 1;
                *sum = sum.plus(part)?;
            }
        }
        payments.extend(letter.about.imp_uid);
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

/// The same of all that fit, beside whatever else is read and written.
pub async fn look(ctx: &Ctx, filter: DeadFilter) -> Result<DryRun, BulkError> {
    look_at(ctx, filter, None).await
}

/// The same of the oldest `most` that fit, or of all.
pub async fn look_at(
    ctx: &Ctx,
    filter: DeadFilter,
    most: Option<usize>,
) -> Result<DryRun, BulkError> {
    let default_partner = ctx.policy.default_partner.clone();
    ctx.store
        .read_long(move |conn| dry_run(conn, &filter, most, &default_partner))
        .await
}

/// Replays what a dry run of all that fit named, if it is still what fits.
pub async fn replay_all(
    ctx: &Ctx,
    filter: DeadFilter,
    mark: &str,
    by: &'static str,
) -> Result<Done, BulkError> {
    replay_of(ctx, filter, None, mark, by).await
}

/// Replays what a dry run of the oldest `most` named, if they still are the oldest that fit, and as they were.
pub async fn replay_of(
    ctx: &Ctx,
    filter: DeadFilter,
    most: Option<usize>,
    mark: &str,
    by: &'static str,
) -> Result<Done, BulkError> {
    let run = look_at(ctx, filter, most).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::seen::About,
        store::{Store, clock::Clock},
    };

    /// Letters of every sort: cancels that can run, are settled, wait under another wish or are nowhere, that
    /// are tried already; messages of a payment, of an order alone, of neither and of none; and others.
    const LETTERS: &str = "
        pragma foreign_keys = off;
        insert into partner (id, name, created_at) values ('farm', 'farm', 0), ('sea', 'sea', 0);
        insert into merchant_order (merchant_uid, name, amount, created_at) values ('o1', 'x', 300, 0), ('o9', 'x', 70, 0);
        insert into order_line (merchant_uid, line, partner_id, name, quantity, unit_price, discount, amount)
            values ('o1', 1, 'farm', 'x', 1, 200, 0, 200), ('o1', 2, 'sea', 'x', 1, 110, 10, 100),
                   ('o9', 1, 'sea', 'x', 1, 70, 0, 70);
        insert into payment (id, imp_uid, merchant_uid, status, amount, wish, test, method, about, at, created_at, updated_at)
            values (1, 'p1', 'o1', 'CANCEL_FAILED', 300, 'c1', 0, 'card', '{}', 0, 0, 0),
                   (2, 'p2', 'o2', 'PAID', 40, null, 0, 'card', '{}', 0, 0, 0),
                   (3, 'p3', 'o3', 'CANCEL_FAILED', 50, 'c9', 0, 'card', '{}', 0, 0, 0),
                   (4, 'p4', 'o4', 'CANCEL_REQUESTED', 60, 'c4', 0, 'card', '{}', 0, 0, 0),
                   (5, 'p5', 'o5', 'CANCEL_FAILED', 80, 'c5', 0, 'card', '{}', 0, 0, 0);
        insert into cancellation (id, payment_id, state, amount, checksum, reason, requested_by, requested_at, finished_at)
            values ('c1', 1, 'DEAD', 90, 300, '', 'api', 0, null), ('c2', 2, 'SUPERSEDED', 40, 40, '', 'api', 0, 1),
                   ('c3', 3, 'SUPERSEDED', 50, 50, '', 'api', 0, 1), ('c4', 4, 'REQUESTED', 60, 60, '', 'api', 0, null),
                   ('c5', 5, 'DEAD', 80, 80, '', 'api', 0, null), ('c9', 3, 'DEAD', 50, 50, '', 'api', 0, null);
        insert into inbox (id, received_at, source, content_type, body, imp_uid, merchant_uid)
            values (1, 0, '', '', x'', 'p1', 'another'), (2, 0, '', '', x'', 'p8', 'o9'),
                   (3, 0, '', '', x'', 'p8', null), (4, 0, '', '', x'', 'p8', 'nowhere');
        insert into job (queue, kind, payload, state, max_attempts, run_at, created_at, finished_at, unique_key)
            values ('cancel', 'retry_cancel', '{\"cancellation\":\"c1\"}', 'dead', 5, 0, 0, 1000, 'cancel:c1'),
                   ('cancel', 'retry_cancel', '{\"cancellation\":\"c2\"}', 'dead', 5, 0, 0, 2000, 'cancel:c2'),
                   ('cancel', 'retry_cancel', '{\"cancellation\":\"c3\"}', 'dead', 5, 0, 0, 3000, 'cancel:c3'),
                   ('cancel', 'retry_cancel', '{\"cancellation\":\"c4\"}', 'dead', 5, 0, 0, 4000, 'cancel:c4'),
                   ('cancel', 'retry_cancel', '{\"cancellation\":\"c5\"}', 'dead', 5, 0, 0, 5000, 'cancel:c5'),
                   ('cancel', 'retry_cancel', '{\"cancellation\":\"none\"}', 'dead', 5, 0, 0, 6000, 'cancel:none'),
                   ('payment', 'confirm_payment', '{\"inbox_id\":1}', 'dead', 5, 0, 0, 7000, null),
                   ('payment', 'confirm_payment', '{\"inbox_id\":2}', 'dead', 5, 0, 0, 8000, null),
                   ('payment', 'confirm_payment', '{\"inbox_id\":3}', 'dead', 5, 0, 0, 9000, null),
                   ('payment', 'confirm_payment', '{\"inbox_id\":4}', 'dead', 5, 0, 0, 9000, null),
                   ('payment', 'confirm_payment', '{\"inbox_id\":5}', 'dead', 5, 0, 0, 9000, null),
                   ('payment', 'prepare_order', '{\"merchant_uid\":\"o9\"}', 'dead', 5, 0, 0, 9000, 'prepare:o9'),
                   ('upkeep', 'prune', '{\"until\":\"2026-01-01T00:00:00Z\"}', 'dead', 5, 0, 0, 9000, 'prune'),
                   ('upkeep', 'from_the_future', '{}', 'dead', 5, 0, 0, 9000, null),
                   ('cancel', 'retry_cancel', '[]', 'dead', 5, 0, 0, 9000, null),
                   ('cancel', 'retry_cancel', '{\"cancellation\":\"c5\"}', 'ready', 5, 0, 0, null, 'cancel:c5');";

    fn books(dir: &std::path::Path) -> Connection {
        let store = Store::open(dir, Clock::default()).unwrap();
        let conn = Connection::open(store.path()).unwrap();
        conn.execute_batch(LETTERS).unwrap();
        let about = serde_json::to_string(&About::default()).unwrap();
        conn.execute("update payment set about = ?1", [about])
            .unwrap();
        conn
    }

    #[test]
    fn what_is_weighed_is_what_each_letter_is_about_and_whether_it_would_run() {
        let dir = tempfile::tempdir().unwrap();
        let conn = books(dir.path());
        let rows = job_lists::dead(&conn, &DeadFilter::default(), None, usize::MAX).unwrap();
        assert_eq!(rows.len(), 15);
        let mut skips = BTreeMap::new();
        for row in &rows {
            let (letter, about) = (weigh(&conn, row).unwrap(), subject(&conn, row).unwrap());
            assert_eq!(letter.skip, skip(&conn, row).unwrap(), "{row:?}");
            assert_eq!(letter.cancellation, about.cancellation, "{row:?}");
            let weight = Weight {
                imp_uid: about.imp_uid,
                merchant_uid: about.merchant_uid,
                amount: about.amount,
            };
            assert_eq!(letter.about, weight, "{row:?}");
            *skips.entry(letter.skip).or_insert(0) += 1;
        }
        let expected = [
            (None, 8),
            (Some(Skip::Settled), 4),
            (Some(Skip::Live), 1),
            (Some(Skip::Unreadable), 2),
        ];
        assert_eq!(skips, expected.into());
    }

    /// Letters that die meanwhile are not among the oldest, so who confirms those is not sent away.
    #[test]
    fn the_oldest_are_named_whatever_dies_after_them_and_nothing_stands_in_their_way() {
        let dir = tempfile::tempdir().unwrap();
        let conn = books(dir.path());
        let oldest = |kind: &str, most: usize| {
            let filter = DeadFilter {
                kind: Some(kind.into()),
                ..DeadFilter::default()
            };
            dry_run(&conn, &filter, Some(most), "house").unwrap()
        };
        let some = oldest("confirm_payment", 2);
        assert_eq!((some.found, some.runs, some.more), (2, 2, Some(5)));
        assert_eq!(some.ids, [8, 7], "newest first");
        assert_eq!(some.amount, Won::new(370));
        let whose: Vec<_> = some
            .partners
            .iter()
            .map(|of| (of.partner.as_str(), of.amount.get()))
            .collect();
        assert_eq!(whose, [("farm", 200), ("sea", 170)]);
        assert_ne!(some.mark, oldest("confirm_payment", 3).mark);
        conn.execute_batch(
            "insert into job (queue, kind, payload, state, max_attempts, run_at, created_at, finished_at)
                 values ('payment', 'confirm_payment', '{\"inbox_id\":2}', 'dead', 5, 0, 0, 9999);",
        )
        .unwrap();
        let later = oldest("confirm_payment", 2);
        assert_eq!((later.mark, later.more), (some.mark, Some(6)));
        // Three of four cancels are skipped, so more are looked at.
        let cancels = oldest("retry_cancel", 4);
        assert_eq!((cancels.found, cancels.runs, cancels.more), (7, 1, None));
    }
}
