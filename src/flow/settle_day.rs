//! Works out what every partner is owed for one day.
//!
//! First the day is closed: from then on nothing is added to its movements, so what is read here cannot
//! change. Partner after partner is read and worked out beside the writer, and written in portions small
//! enough that payments go on being booked in between. A settlement is written with the last of its lines;
//! lines without one are what a run left that broke off, and the next run writes the same ones again.
//! One row per partner and day is a rule of the schema, so two runs at once end in the same rows.

use std::{collections::HashSet, sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    domain::{
        alert::Alert,
        calendar::KstDay,
        contract::Terms,
        holidays::{BusinessCalendar, Special},
        ids::PartnerId,
        job::{Delivery, Outcome},
        money::{OutOfRange, Won},
        partner::PartnerType,
    },
    flow::{Ctx, raise_alert::raise, record_movements},
    store::{
        Store, StoreError, Tx,
        audit::{self, Act},
        calendar,
        contracts::{self, Version},
        history::{self, Subject},
        jobs::{self, SettleError},
        movements, partners, progress,
        settlements::{self, Line, Sums},
    },
};

/// What writing a settlement weighs, in lines.
const OF_A_SETTLEMENT: usize = 40;

/// Movements that are read and written at once: a few milliseconds of the writer's time.
const PORTION: usize = 2_000;

/// Beside a server that has the books, each portion is followed by this pause: the server's writer looks
/// for its turn every millisecond.
const ROOM_FOR_OTHERS: Duration = Duration::from_millis(4);

#[derive(Debug, thiserror::Error)]
pub enum SettleDayError {
    #[error("{day} is not over yet in Seoul: days up to {last} can be settled")]
    NotOver { day: KstDay, last: KstDay },
    #[error("nothing happened on {day}: days from {first} on can be settled")]
    TooEarly { day: KstDay, first: KstDay },
    /// Somebody changed a contract or opened the day again while it was settled.
    #[error("{0} while the day was being settled: settle it again")]
    Changed(&'static str),
    #[error("the sums of partner `{partner}` are out of range")]
    OutOfRange { partner: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Settle(#[from] SettleError),
}

impl SettleDayError {
    /// Could the same call succeed later?
    pub fn is_transient(&self) -> bool {
        match self {
            SettleDayError::NotOver { .. }
            | SettleDayError::TooEarly { .. }
            | SettleDayError::OutOfRange { .. } => false,
            SettleDayError::Changed(_) => true,
            SettleDayError::Store(error) => error.is_transient(),
            SettleDayError::Settle(SettleError::Store(error)) => error.is_transient(),
            SettleDayError::Settle(SettleError::Stale(_)) => false,
        }
    }
}

/// What one partner's day comes to.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct PartnerDay {
    pub partner: String,
    pub payout_day: Option<KstDay>,
    #[serde(flatten)]
    pub sums: Sums,
    /// What the day's lines come to, before negative sums of earlier days.
    pub net: Won,
}

/// A partner whose day cannot be settled: no contract holds on a day that it needs.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Blocked {
    pub partner: String,
    /// The first day for which a contract is missing.
    pub day: KstDay,
    pub movements: i64,
    /// Order amounts and adjustments that wait.
    pub waiting: Won,
}

/// What settling a day came to.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Report {
    pub day: KstDay,
    pub dry_run: bool,
    /// Settled by this run, or that would be.
    pub settled: Vec<PartnerDay>,
    /// Settled before.
    pub already: usize,
    pub blocked: Vec<Blocked>,
    pub lines: i64,
}

/// Where a day's progress is kept.
pub fn progress_of(day: KstDay) -> String {
    format!("settle:{day}")
}

/// Settles a day that is over. The same day again finds what is there; `by` is who asked.
pub async fn settle_day(ctx: &Ctx, day: KstDay, by: &str) -> Result<Report, SettleDayError> {
    let today = KstDay::of(ctx.store.now());
    if day >= today {
        let last = today.previous();
        return Err(SettleDayError::NotOver { day, last });
    }
    record_movements::catch_up(ctx).await?;
    // A slip of the pen in a year would have every day since then settled, one after the other.
    let first = ctx.store.read(settlements::first_day)?;
    let first = first.unwrap_or_else(|| today.previous());
    if day < first {
        return Err(SettleDayError::TooEarly { day, first });
    }
    let name = progress_of(day);
    let begun = ctx
        .store
        .write(move |tx| {
            let act = Act {
                act: "day.settled",
                subject: &format!("day:{day}"),
                before: None,
                after: None,
            };
            audit::note(tx, &act)?;
            settlements::close_day(tx, day)
        })
        .await?;
    // A big day takes a while to count: not the writer's while.
    let total = ctx
        .store
        .read_long(move |conn| movements::count(conn, day))
        .await?;
    ctx.store
        .write({
            let name = name.clone();
            move |tx| progress::begin(tx, &name, total)
        })
        .await?;
    let result = write_all(ctx, day, begun.generation, by).await;
    let failed = result.as_ref().err().map(ToString::to_string);
    ctx.store
        .write(move |tx| progress::end(tx, &name, failed.as_deref()))
        .await?;
    result
}

async fn write_all(
    ctx: &Ctx,
    day: KstDay,
    generation: i64,
    by: &str,
) -> Result<Report, SettleDayError> {
    let (send, mut portions) = mpsc::channel(2);
    let reading = read_day(&ctx.store, day, send);
    let reading = tokio::task::spawn_blocking(reading);
    let mut report = Report {
        day,
        dry_run: false,
        settled: Vec::new(),
        already: 0,
        blocked: Vec::new(),
        lines: 0,
    };
    let name = progress_of(day);
    while let Some(portion) = portions.recv().await {
        let (name, by) = (name.clone(), by.to_owned());
        report.lines += portion
            .parts
            .iter()
            .map(|part| part.lines.len() as i64)
            .sum::<i64>();
        let done = report.lines;
        let written = ctx
            .store
            .write(move |tx| {
                let written = write_portion(tx, day, generation, portion, &by)?;
                progress::step(tx, &name, done)?;
                Ok::<_, SettleDayError>(written)
            })
            .await?;
        if ctx.store.is_beside() {
            tokio::time::sleep(ROOM_FOR_OTHERS).await;
        }
        report.settled.extend(written.new);
        report.already += written.already;
    }
    let read = reading
        .await
        .map_err(|died| StoreError::Panicked(died.to_string()))??;
    report.already += read.already;
    report.blocked = read.blocked;
    let blocked = report.blocked.clone();
    let finished = ctx
        .store
        .write(move |tx| {
            for one in &blocked {
                raise(
                    tx,
                    &Alert::NoContract {
                        partner: one.partner.clone(),
                        day: one.day.to_string(),
                        amount: one.waiting,
                    },
                    None,
                )?;
            }
            settlements::finish_day(tx, day, generation, blocked.len() as i64)
        })
        .await?;
    if !finished {
        return Err(SettleDayError::Changed("the day was opened again"));
    }
    Ok(report)
}

/// Works a day out and writes nothing. The day need not be over, and counts what is booked so far.
pub async fn dry_run(ctx: &Ctx, day: KstDay) -> Result<Report, SettleDayError> {
    record_movements::catch_up(ctx).await?;
    let (send, mut portions) = mpsc::channel(2);
    let reading = tokio::task::spawn_blocking(read_day(&ctx.store, day, send));
    let mut report = Report {
        day,
        dry_run: true,
        settled: Vec::new(),
        already: 0,
        blocked: Vec::new(),
        lines: 0,
    };
    while let Some(portion) = portions.recv().await {
        for part in portion.parts {
            report.lines += part.lines.len() as i64;
            if let Some(end) = part.end {
                report.settled.push(end.result);
            }
        }
    }
    let read = reading
        .await
        .map_err(|died| StoreError::Panicked(died.to_string()))??;
    report.already = read.already;
    report.blocked = read.blocked;
    Ok(report)
}

/// Lines of one partner, and what ends its day if they are the last.
struct Part {
    partner: PartnerId,
    /// Its contract as it was read.
    versions: Arc<[Version]>,
    lines: Vec<Line>,
    end: Option<End>,
}

struct End {
    result: PartnerDay,
    contract: Option<i64>,
    /// Versions that were used, and the last day for which.
    used: Vec<(i64, KstDay)>,
}

struct Portion {
    parts: Vec<Part>,
    lines: usize,
    /// The operator's days as they were read.
    specials: Arc<[Special]>,
}

impl Portion {
    fn new(specials: &Arc<[Special]>) -> Portion {
        Portion {
            parts: Vec::new(),
            lines: 0,
            specials: specials.clone(),
        }
    }

    /// Full, or the last: hands it over and begins the next. False if nobody writes any more.
    fn hand_over(&mut self, send: &mpsc::Sender<Portion>) -> bool {
        let next = Portion::new(&self.specials);
        send.blocking_send(std::mem::replace(self, next)).is_ok()
    }
}

#[derive(Default)]
struct ReadDay {
    already: usize,
    blocked: Vec<Blocked>,
}

/// Reads and works out a day, portion by portion, on a thread of its own.
fn read_day(
    store: &Store,
    day: KstDay,
    send: mpsc::Sender<Portion>,
) -> impl FnOnce() -> Result<ReadDay, SettleDayError> + Send + 'static {
    let store = store.clone();
    move || {
        store.read(|conn| {
            let specials: Arc<[Special]> = calendar::specials(conn)?.into();
            let calendar = BusinessCalendar::new(specials.iter().cloned());
            let settled: HashSet<String> = settlements::settled_partners(conn, day)?
                .into_iter()
                .collect();
            let mut read = ReadDay::default();
            let mut portion = Portion::new(&specials);
            for partner in movements::partners(conn, day)? {
                if settled.contains(partner.as_str()) {
                    read.already += 1;
                    continue;
                }
                let reader = PartnerReader {
                    conn,
                    day,
                    partner: &partner,
                    versions: contracts::of(conn, partner.as_str())?.into(),
                    calendar: &calendar,
                };
                if let Some(blocked) = reader.run(&mut portion, &send)? {
                    read.blocked.push(blocked);
                }
            }
            if !portion.parts.is_empty() {
                portion.hand_over(&send);
            }
            Ok(read)
        })
    }
}

struct PartnerReader<'a> {
    conn: &'a rusqlite::Connection,
    day: KstDay,
    partner: &'a PartnerId,
    versions: Arc<[Version]>,
    calendar: &'a BusinessCalendar,
}

impl PartnerReader<'_> {
    fn run(
        &self,
        portion: &mut Portion,
        send: &mpsc::Sender<Portion>,
    ) -> Result<Option<Blocked>, SettleDayError> {
        if let Some(blocked) = self.blocked()? {
            return Ok(Some(blocked));
        }
        let (mut sums, mut used) = (Sums::default(), Vec::<(i64, KstDay)>::new());
        let partner = self.partner.as_str();
        let mut after = 0;
        loop {
            let room = PORTION.saturating_sub(portion.lines).max(1);
            let mut lines = Vec::new();
            let mut wrong = None;
            let count =
                movements::each(self.conn, self.day, partner, after, room as i64, |step| {
                    after = step.seq;
                    let line = self.line(step, &mut used).and_then(|line| {
                        sums.add(&line).map_err(|OutOfRange| self.out_of_range())?;
                        Ok(line)
                    });
                    match line {
                        Ok(line) => lines.push(line),
                        Err(error) => wrong = wrong.take().or(Some(error)),
                    }
                    Ok(())
                })?;
            if let Some(wrong) = wrong {
                return Err(wrong);
            }
            let last = count < room;
            let end = if last {
                Some(self.end(sums, std::mem::take(&mut used))?)
            } else {
                None
            };
            // A settlement costs the writer as much as some dozens of lines.
            portion.lines += lines.len() + if last { OF_A_SETTLEMENT } else { 0 };
            portion.parts.push(Part {
                partner: self.partner.clone(),
                versions: self.versions.clone(),
                lines,
                end,
            });
            // Nobody writes any more: the run broke off, and says why itself.
            if portion.lines >= PORTION && !portion.hand_over(send) {
                return Ok(None);
            }
            if last {
                return Ok(None);
            }
        }
    }

    fn out_of_range(&self) -> SettleDayError {
        SettleDayError::OutOfRange {
            partner: self.partner.to_string(),
        }
    }

    /// The contract must hold on the settled day, and on the day of every payment in it.
    fn blocked(&self) -> Result<Option<Blocked>, SettleDayError> {
        let first = self.versions.first().map(|version| version.from);
        let needed = movements::first_terms_day(self.conn, self.day, self.partner.as_str())?
            .map_or(self.day, |needed| needed.min(self.day));
        if first.is_some_and(|from| from <= needed) {
            return Ok(None);
        }
        let (movements, waiting) = movements::waiting(self.conn, self.day, self.partner.as_str())?;
        Ok(Some(Blocked {
            partner: self.partner.to_string(),
            day: needed,
            movements,
            waiting,
        }))
    }

    fn line(
        &self,
        step: &movements::Step,
        used: &mut Vec<(i64, KstDay)>,
    ) -> Result<Line, SettleDayError> {
        if !step.adjustment.is_zero() {
            return Ok(Line::of_adjustment(step.seq, step.adjustment));
        }
        let version = contracts::holding(&self.versions, step.terms_day)
            .ok_or(SettleDayError::Changed("a contract was taken away"))?;
        use_until(used, version.id, step.terms_day);
        let cut = version
            .terms
            .between(&step.before, &step.after)
            .map_err(|OutOfRange| self.out_of_range())?;
        Ok(Line::of_cut(step.seq, version.id, cut))
    }

    fn end(&self, sums: Sums, mut used: Vec<(i64, KstDay)>) -> Result<End, SettleDayError> {
        let holding = contracts::holding(&self.versions, self.day);
        let own = partners::kind(self.conn, self.partner.as_str())? == Some(PartnerType::Own);
        let payout_day = holding
            .filter(|_| !own)
            .map(|version| version.terms.cycle.payout_day(self.day, self.calendar));
        // The payout day comes from the version of the settled day, so that one is used, too.
        if let Some(version) = holding {
            use_until(&mut used, version.id, self.day);
        }
        Ok(End {
            result: PartnerDay {
                partner: self.partner.to_string(),
                payout_day,
                sums,
                net: sums.net().map_err(|OutOfRange| self.out_of_range())?,
            },
            contract: holding.map(|version| version.id),
            used,
        })
    }
}

/// Notes that a version settles something of `day`.
fn use_until(used: &mut Vec<(i64, KstDay)>, version: i64, day: KstDay) {
    match used.iter_mut().find(|(seen, _)| *seen == version) {
        Some((_, until)) => *until = (*until).max(day),
        None => used.push((version, day)),
    }
}

/// Whether contracts that were read still say the same of days up to `day`.
fn same_terms(read: &[Version], now: &[Version], day: KstDay) -> bool {
    fn what(versions: &[Version], day: KstDay) -> impl Iterator<Item = (i64, KstDay, &Terms)> {
        let so_far = versions.iter().filter(move |version| version.from <= day);
        so_far.map(|version| (version.id, version.from, &version.terms))
    }
    what(read, day).eq(what(now, day))
}

#[derive(Default)]
struct Written {
    new: Vec<PartnerDay>,
    already: usize,
}

/// Writes lines, and the settlements that they complete, unless the day was opened again meanwhile.
fn write_portion(
    tx: &mut Tx<'_>,
    day: KstDay,
    generation: i64,
    portion: Portion,
    by: &str,
) -> Result<Written, SettleDayError> {
    let now = settlements::the_day(tx.conn(), day)?;
    if now.is_none_or(|now| now.generation != generation) {
        return Err(SettleDayError::Changed("the day was opened again"));
    }
    // It would be written with payout days that the change of the calendar did not move.
    if calendar::specials(tx.conn())?[..] != portion.specials[..] {
        return Err(SettleDayError::Changed("the calendar was changed"));
    }
    let mut written = Written::default();
    for part in portion.parts {
        let partner = part.partner.as_str();
        // A settlement's lines are never written again: another run was quicker.
        if settlements::find(tx.conn(), partner, day)?.is_some() {
            written.already += usize::from(part.end.is_some());
            continue;
        }
        // Every line of a settlement under the same contract, whoever wrote it: with other terms, or a
        // version in between, this portion would not fit what another run writes.
        if !same_terms(&part.versions, &contracts::of(tx.conn(), partner)?, day) {
            return Err(SettleDayError::Changed("a contract was changed"));
        }
        settlements::add_lines(tx, day, partner, &part.lines)?;
        let Some(end) = part.end else { continue };
        for (version, until) in &end.used {
            contracts::used(tx, *version, *until)?;
        }
        let new = settlements::New {
            partner,
            day,
            payout_day: end.result.payout_day,
            contract: end.contract,
            sums: end.result.sums,
        };
        if let Some(id) = settlements::add(tx, &new)? {
            let detail = json!({ "lines": end.result.sums.lines, "net": end.result.net });
            history::add(tx, &Subject::Settlement(id), "requested", by, &detail)?;
            written.new.push(end.result);
        }
    }
    Ok(written)
}

/// The days that are to be settled before `until`: each one from the last that was closed on, and what
/// earlier ones left.
pub fn days_due(conn: &rusqlite::Connection, until: KstDay) -> Result<Vec<KstDay>, StoreError> {
    let mut days = settlements::open_days(conn, until)?;
    // Days without a single movement are closed, too, so that what comes late counts on an open one.
    let from = match settlements::last_closed(conn)? {
        Some(last) => last.next(),
        None => movements::first_day(conn)?.unwrap_or_else(|| until.previous()),
    };
    let mut day = from;
    while day < until {
        days.push(day);
        day = day.next();
    }
    days.sort();
    days.dedup();
    Ok(days)
}

/// The night's run: all days before the slot's day, oldest first.
pub async fn settle_due(
    ctx: &Ctx,
    held: &Delivery,
    slot: jiff::Timestamp,
) -> Result<(), SettleDayError> {
    // A slot from under a clock that was ahead settles nothing before its time.
    let until = KstDay::of(slot.min(ctx.store.now()));
    settle_until(ctx, until, "schedule").await?;
    let held = held.clone();
    ctx.store
        .write(move |tx| Ok::<_, SettleDayError>(jobs::settle(tx, &held, &Outcome::Done)?))
        .await
}

/// Settles every day before `until` that is due, oldest first.
pub async fn settle_until(
    ctx: &Ctx,
    until: KstDay,
    by: &str,
) -> Result<Vec<Report>, SettleDayError> {
    record_movements::catch_up(ctx).await?;
    let days = ctx.store.read(|conn| days_due(conn, until))?;
    let mut reports = Vec::with_capacity(days.len());
    for day in days {
        let report = settle_day(ctx, day, by).await?;
        tracing::info!(%day, settled = report.settled.len(), lines = report.lines, blocked = report.blocked.len(), "a day is settled");
        reports.push(report);
    }
    Ok(reports)
}
