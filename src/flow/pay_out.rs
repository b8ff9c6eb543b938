//! Pays settlements that are due: chooses them, totals them per partner, and takes the bank's word.
//!
//! A settlement is in at most one live payout, by a rule of the schema, so nothing is paid twice. What the
//! bank refused is FAILED until a person gives it another try; what was called off is REQUESTED again.
//!
//! A batch above the amount of the settings is made, and goes nowhere until a second person approved it.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::{
    domain::{
        alert::Alert,
        approval::needs_second,
        bank::BankAccount,
        calendar::KstDay,
        money::{OutOfRange, Won},
        partner::{PartnerStatus, PartnerType},
        rules::Rule,
        settlement::State,
        withholding::{NegativeGross, Withheld, withhold},
    },
    flow::{Ctx, approve, hold_settlement::reason_of, raise_alert::raise},
    store::{
        StoreError, Tx, admin, approvals, contracts,
        history::{self, Subject},
        partners::{self, PartnerRow},
        payouts::{self, BatchState, PayoutRow, PayoutState, To},
        rules,
        settlements::{self, Due},
    },
};

#[derive(Debug, thiserror::Error)]
pub enum PayoutError {
    #[error(
        "nothing can be paid: no settlement that is due up to {0} is free, complete and above the minimum"
    )]
    Nothing(KstDay),
    #[error("{shown} won were to be confirmed, but it is {now} won now: look again")]
    Changed { shown: Won, now: Won },
    #[error("what would be paid, or where to, is not what was looked at any more: look again")]
    Other,
    #[error(
        "the file of batch {0} was fetched: make sure that the bank does not carry it out, and say so"
    )]
    HandedOut(i64),
    #[error("no payout batch {0} is known here")]
    NoBatch(i64),
    #[error("batch {id} is {}: nothing waits in it", state.as_str())]
    NotOpen { id: i64, state: BatchState },
    #[error(
        "batch {batch} waits for a second person: nothing of it may go to the bank before approval {approval} is given"
    )]
    Waits { batch: i64, approval: i64 },
    #[error("no payout {0} is in this batch")]
    NoPayout(i64),
    #[error("payout {id} is {} already: it cannot be {}", state.as_str(), word.as_str())]
    Decided {
        id: i64,
        state: PayoutState,
        word: PayoutState,
    },
    #[error("a reason of 1 to 200 characters is needed: say why")]
    Reason,
    #[error("the note may have up to 200 characters")]
    Note,
    #[error("the sums of partner `{0}` are out of range")]
    OutOfRange(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to pay.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Settlements whose payout day is on or before this.
    pub until: KstDay,
    /// Settlements that a person leaves out this time.
    pub leave_out: BTreeSet<i64>,
    /// Partners that a person leaves out this time.
    pub leave_out_partners: BTreeSet<String>,
}

/// One partner's payout, before anything is written.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Proposed {
    pub partner: String,
    pub partner_name: String,
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: PartnerType,
    pub account: BankAccount,
    #[serde(flatten)]
    pub withheld: Withheld,
    /// By day. Programs get them whole: see `in_full`.
    #[schema(value_type = Vec<crate::store::settlements::SettlementRow>)]
    pub settlements: Vec<Due>,
}

/// Why a partner's due settlements are not paid now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// A person left it out.
    LeftOut,
    /// It is the shop itself.
    Own,
    /// Nobody pays who is archived.
    Archived,
    /// Its type is not known, so neither is the tax.
    NoType,
    NoAccount,
    NotApproved,
    BelowMinimum {
        minimum: Won,
    },
}

/// A partner that is not paid now.
#[derive(Clone, Debug, Serialize)]
pub struct Waits {
    pub partner: String,
    pub partner_name: String,
    #[serde(flatten)]
    pub why: Why,
    pub amount: Won,
    /// By day.
    #[serde(serialize_with = "ids")]
    pub settlements: Vec<Due>,
}

fn ids<S: Serializer>(rows: &[Due], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rows.iter().map(|row| row.id))
}

/// What a choice comes to.
#[derive(Clone, Debug, Serialize)]
pub struct Proposal {
    pub until: KstDay,
    pub payouts: Vec<Proposed>,
    pub waiting: Vec<Waits>,
    /// Settlements of 0 won: closed along with the batch, for there is nothing to pay.
    pub nothing_to_pay: Vec<i64>,
    /// Σ of what is transferred.
    pub total: Won,
}

/// Works a choice out. Writes nothing.
pub fn propose(conn: &Connection, choice: &Choice) -> Result<Proposal, PayoutError> {
    let mut proposal = Proposal {
        until: choice.until,
        payouts: Vec::new(),
        waiting: Vec::new(),
        nothing_to_pay: Vec::new(),
        total: Won::ZERO,
    };
    for (partner, rows) in settlements::due_by_partner(conn, choice.until)? {
        let all_out = choice.leave_out_partners.contains(&partner);
        let (out, rows): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|row| all_out || choice.leave_out.contains(&row.id));
        let (zero, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.net.is_zero());
        proposal
            .nothing_to_pay
            .extend(zero.iter().map(|row| row.id));
        if out.is_empty() && rows.is_empty() {
            continue;
        }
        let known = partners::get(conn, &partner)?;
        if !out.is_empty() {
            let out = waits(&partner, known.as_ref(), Why::LeftOut, &out)?;
            proposal.waiting.push(out);
        }
        if rows.is_empty() {
            continue;
        }
        match judge(conn, &partner, known, rows)? {
            Ok(proposed) => {
                proposal.total = proposal
                    .total
                    .plus(proposed.withheld.paid)
                    .map_err(|OutOfRange| PayoutError::OutOfRange(partner.clone()))?;
                proposal.payouts.push(proposed);
            }
            Err(waits) => proposal.waiting.push(waits),
        }
    }
    Ok(proposal)
}

fn sum(partner: &str, rows: &[Due]) -> Result<Won, PayoutError> {
    Won::sum(rows.iter().map(|row| row.net))
        .map_err(|OutOfRange| PayoutError::OutOfRange(partner.to_owned()))
}

fn waits(
    partner: &str,
    known: Option<&PartnerRow>,
    why: Why,
    rows: &[Due],
) -> Result<Waits, PayoutError> {
    Ok(Waits {
        partner: partner.to_owned(),
        partner_name: known.map(|known| known.name.clone()).unwrap_or_default(),
        why,
        amount: sum(partner, rows)?,
        settlements: rows.to_vec(),
    })
}

/// Whether a partner can be paid, and how much.
fn judge(
    conn: &Connection,
    partner: &str,
    known: Option<PartnerRow>,
    rows: Vec<Due>,
) -> Result<Result<Proposed, Waits>, PayoutError> {
    let refuse = |why| waits(partner, known.as_ref(), why, &rows).map(Err);
    let Some(kind) = known.as_ref().and_then(|known| known.kind) else {
        return refuse(Why::NoType);
    };
    if !kind.is_paid_out() {
        return refuse(Why::Own);
    }
    if known.as_ref().is_some_and(PartnerRow::is_archived) {
        return refuse(Why::Archived);
    }
    let Some(account) = known.as_ref().and_then(|known| known.account.clone()) else {
        return refuse(Why::NoAccount);
    };
    if known.as_ref().map(|known| known.status) != Some(PartnerStatus::Approved) {
        return refuse(Why::NotApproved);
    }
    let gross = sum(partner, &rows)?;
    let versions = contracts::of(conn, partner)?;
    let newest = rows.iter().map(|row| row.day).max();
    let minimum = newest
        .and_then(|day| contracts::holding(&versions, day))
        .map_or(Won::ZERO, |version| version.terms.min_payout);
    let withheld = withhold(&kind, gross)
        .map_err(|NegativeGross(_)| PayoutError::OutOfRange(partner.to_owned()))?;
    if gross < minimum || !withheld.paid.is_positive() {
        return refuse(Why::BelowMinimum { minimum });
    }
    Ok(Ok(Proposed {
        partner: partner.to_owned(),
        partner_name: known.map_or_else(|| partner.to_owned(), |known| known.name),
        kind,
        account,
        withheld,
        settlements: rows,
    }))
}

impl Proposal {
    /// Names exactly this: who is paid, to which account, how much, for which settlements.
    pub fn fingerprint(&self) -> String {
        let payouts: Vec<_> = self
            .payouts
            .iter()
            .map(|one| {
                let settlements: Vec<_> = one.settlements.iter().map(|row| row.id).collect();
                json!([one.partner, one.account, one.withheld, settlements])
            })
            .collect();
        admin::hash(&json!([payouts, self.nothing_to_pay]).to_string())
    }
}

/// A proposal for programs: each settlement that is paid with all that is known of it.
pub fn in_full(conn: &Connection, proposal: &Proposal) -> Result<Value, StoreError> {
    let mut value = json!(proposal);
    for (at, one) in proposal.payouts.iter().enumerate() {
        let mut rows = Vec::with_capacity(one.settlements.len());
        for due in &one.settlements {
            rows.extend(settlements::get(conn, due.id)?);
        }
        value["payouts"][at]["settlements"] = json!(rows);
    }
    Ok(value)
}

/// Puts the chosen settlements into a batch: REQUESTED becomes PROCESSING. `shown` is the total that the
/// person saw and confirmed.
pub async fn create(
    ctx: &Ctx,
    choice: Choice,
    shown: Option<Won>,
    note: String,
    by: &'static str,
) -> Result<i64, PayoutError> {
    create_seen(ctx, choice, shown, None, note, by).await
}

/// The same, if it still is what the fingerprint `seen` names.
pub async fn create_seen(
    ctx: &Ctx,
    choice: Choice,
    shown: Option<Won>,
    seen: Option<String>,
    note: String,
    by: &'static str,
) -> Result<i64, PayoutError> {
    let note = note.trim().to_owned();
    if note.chars().count() > 200 || note.chars().any(char::is_control) {
        return Err(PayoutError::Note);
    }
    ctx.store
        .write(move |tx| {
            let proposal = propose(tx.conn(), &choice)?;
            if let Some(shown) = shown
                && shown != proposal.total
            {
                let now = proposal.total;
                return Err(PayoutError::Changed { shown, now });
            }
            if seen.is_some_and(|seen| seen != proposal.fingerprint()) {
                return Err(PayoutError::Other);
            }
            if proposal.payouts.is_empty() && proposal.nothing_to_pay.is_empty() {
                return Err(PayoutError::Nothing(choice.until));
            }
            let limit = rules::limit(tx.conn(), Rule::PayoutOver)?;
            // In several batches it is no less.
            let before = payouts::alone(tx.conn(), by, KstDay::of(tx.now))?;
            let waits = needs_second(limit, before, proposal.total) && !proposal.payouts.is_empty();
            let batch = payouts::add_batch(tx, choice.until, &note, by)?;
            for proposed in &proposal.payouts {
                put(tx, batch, proposed, by)?;
            }
            for id in &proposal.nothing_to_pay {
                complete(tx, *id, batch, None, by)?;
            }
            if proposal.payouts.is_empty() {
                payouts::end_batch(tx, batch, BatchState::Done)?;
            }
            let detail = json!({ "until": choice.until, "payouts": proposal.payouts.len(), "total": proposal.total });
            history::add(tx, &Subject::Batch(batch), "created", by, &detail)?;
            if waits {
                approve::ask_batch(tx, batch, proposal.total, by, None)?;
            }
            Ok(batch)
        })
        .await
}

fn put(tx: &mut Tx<'_>, batch: i64, proposed: &Proposed, by: &str) -> Result<(), PayoutError> {
    let account = &proposed.account;
    let to = To {
        bank: account.bank.as_str(),
        account: account.number.as_str(),
        holder: &account.holder,
    };
    let rows: Vec<(i64, Won)> = proposed
        .settlements
        .iter()
        .map(|row| (row.id, row.net))
        .collect();
    let payout = payouts::add(tx, batch, &proposed.partner, &proposed.withheld, to, &rows)?;
    for (id, _) in rows {
        settlements::set_state(tx, id, State::Processing, None, by)?;
        let detail = json!({ "batch": batch, "payout": payout });
        history::add(tx, &Subject::Settlement(id), "processing", by, &detail)?;
    }
    Ok(())
}

/// Completes a settlement, and the negative ones that it covered.
fn complete(
    tx: &mut Tx<'_>,
    id: i64,
    batch: i64,
    payout: Option<i64>,
    by: &str,
) -> Result<(), PayoutError> {
    for covered in settlements::covered_by(tx.conn(), id)? {
        settlements::set_state(tx, covered, State::Completed, None, by)?;
        let detail = json!({ "by_settlement": id, "batch": batch });
        history::add(tx, &Subject::Settlement(covered), "covered", by, &detail)?;
    }
    settlements::set_state(tx, id, State::Completed, None, by)?;
    let detail = json!({ "batch": batch, "payout": payout });
    let kind = if payout.is_some() {
        "completed"
    } else {
        "nothing_to_pay"
    };
    history::add(tx, &Subject::Settlement(id), kind, by, &detail)?;
    Ok(())
}

/// What became of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    Paid,
    Failed(String),
}

impl Word {
    /// The state that it brings a payout to.
    pub fn state(&self) -> PayoutState {
        match self {
            Word::Paid => PayoutState::Paid,
            Word::Failed(_) => PayoutState::Failed,
        }
    }
}

/// What a bank's words changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Told {
    pub paid: usize,
    pub failed: usize,
    /// Known before.
    pub same: usize,
}

fn open_batch(tx: &Tx<'_>, id: i64) -> Result<payouts::BatchRow, PayoutError> {
    payouts::batch(tx.conn(), id)?.ok_or(PayoutError::NoBatch(id))
}

/// Takes the bank's word on payouts of a batch: all of it, or nothing. The same word again is no news.
pub async fn decide(
    ctx: &Ctx,
    batch: i64,
    words: Vec<(i64, Word)>,
    by: &'static str,
) -> Result<Told, PayoutError> {
    let words = words
        .into_iter()
        .map(|(id, word)| match word {
            Word::Paid => Ok((id, Word::Paid)),
            Word::Failed(reason) => reason_of(&reason.chars().take(200).collect::<String>())
                .map(|reason| (id, Word::Failed(reason)))
                .ok_or(PayoutError::Reason),
        })
        .collect::<Result<Vec<_>, _>>()?;
    ctx.store
        .write(move |tx| {
            open_batch(tx, batch)?;
            // An approval that is void is asked for anew, and that stays.
            if let Err(approval) = approve::release(tx, batch)? {
                return Ok(Err(PayoutError::Waits { batch, approval }));
            }
            let mut told = Told::default();
            for (id, word) in &words {
                let row = payouts::get(tx.conn(), *id)?
                    .filter(|row| row.batch == batch)
                    .ok_or(PayoutError::NoPayout(*id))?;
                if row.state == word.state() {
                    told.same += 1;
                    continue;
                }
                if row.state != PayoutState::Waiting {
                    let (state, word) = (row.state, word.state());
                    return Err(PayoutError::Decided {
                        id: *id,
                        state,
                        word,
                    });
                }
                one(tx, &row, word, by)?;
                match word {
                    Word::Paid => told.paid += 1,
                    Word::Failed(_) => told.failed += 1,
                }
            }
            finish(tx, batch)?;
            if told.paid + told.failed > 0 {
                history::add(tx, &Subject::Batch(batch), "decided", by, &json!(told))?;
            }
            Ok(Ok(told))
        })
        .await
        .flatten()
}

fn one(tx: &mut Tx<'_>, row: &PayoutRow, word: &Word, by: &str) -> Result<(), PayoutError> {
    let rows = payouts::settlements(tx.conn(), row.id)?;
    match word {
        Word::Paid => {
            payouts::decide(tx, row.id, PayoutState::Paid, None, by)?;
            for (id, ..) in rows {
                complete(tx, id, row.batch, Some(row.id), by)?;
            }
        }
        Word::Failed(reason) => {
            payouts::decide(tx, row.id, PayoutState::Failed, Some(reason), by)?;
            for (id, ..) in rows {
                settlements::set_state(tx, id, State::Failed, Some(reason), by)?;
                let detail = json!({ "batch": row.batch, "payout": row.id, "reason": reason });
                history::add(tx, &Subject::Settlement(id), "failed", by, &detail)?;
            }
            let alert = Alert::PayoutFailed {
                batch: row.batch,
                partner: row.partner_name.clone(),
                amount: row.amount,
                reason: reason.clone(),
            };
            raise(tx, &alert, None)?;
        }
    }
    Ok(())
}

/// Ends the batch once nothing waits in it.
fn finish(tx: &mut Tx<'_>, batch: i64) -> Result<(), PayoutError> {
    let now = open_batch(tx, batch)?;
    if now.waiting == 0 && now.state == BatchState::Open {
        payouts::end_batch(tx, batch, BatchState::Done)?;
    }
    Ok(())
}

fn handed_out(conn: &Connection, batch: i64) -> Result<bool, StoreError> {
    let fetched = history::newest(conn, &Subject::Batch(batch), "file_handed_out")?;
    Ok(fetched.is_some())
}

/// Calls off what still waits in a batch: its settlements are REQUESTED again. Once its file was fetched,
/// a person has to say that it is `not_at_the_bank`: else it would be paid there, and again here.
pub async fn call_off(
    ctx: &Ctx,
    batch: i64,
    reason: String,
    not_at_the_bank: bool,
    by: &'static str,
) -> Result<usize, PayoutError> {
    let reason = reason_of(&reason).ok_or(PayoutError::Reason)?;
    ctx.store
        .write(move |tx| call_off_in(tx, batch, &reason, not_at_the_bank, by))
        .await
}

/// The same inside of a transaction. An approval that it waits for ends with it.
pub(crate) fn call_off_in(
    tx: &mut Tx<'_>,
    batch: i64,
    reason: &str,
    not_at_the_bank: bool,
    by: &str,
) -> Result<usize, PayoutError> {
    let before = open_batch(tx, batch)?;
    if before.state != BatchState::Open {
        let (id, state) = (batch, before.state);
        return Err(PayoutError::NotOpen { id, state });
    }
    if !not_at_the_bank && handed_out(tx.conn(), batch)? {
        return Err(PayoutError::HandedOut(batch));
    }
    if let Some(row) = approvals::of_batch(tx.conn(), batch)?.filter(approvals::ApprovalRow::waits)
    {
        approve::dismiss(tx, &row, reason, by)?;
    }
    let mut off = 0;
    for row in payouts::of_batch(tx.conn(), batch)? {
        if row.state != PayoutState::Waiting {
            continue;
        }
        off += 1;
        payouts::decide(tx, row.id, PayoutState::Cancelled, Some(reason), by)?;
        for (id, ..) in payouts::settlements(tx.conn(), row.id)? {
            settlements::set_state(tx, id, State::Requested, None, by)?;
            let detail = json!({ "batch": batch, "reason": reason });
            history::add(tx, &Subject::Settlement(id), "called_off", by, &detail)?;
        }
    }
    let state = if before.paid + before.failed == 0 {
        BatchState::Cancelled
    } else {
        BatchState::Done
    };
    payouts::end_batch(tx, batch, state)?;
    let detail = json!({ "reason": reason, "payouts": off });
    history::add(tx, &Subject::Batch(batch), "called_off", by, &detail)?;
    Ok(off)
}
