//! Takes a cancellation on, and tries at once to carry it out.
//!
//! State, cancellation and the queued job are on disk before PortOne is called. The job is held by
//! the direct attempts: if the process dies between two instructions, it is found at the next start
//! (or after the lease) and goes on by reading the payment. Where it goes on: `retry_cancel`.

use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use crate::{
    domain::{
        cancellation::{RefundAccount, Step, tax_free_part},
        ids::{ImpUid, MerchantUid},
        job::{Delivery, Job},
        money::{OutOfRange, Won},
        payment::NotCancellable,
    },
    flow::{
        Ctx,
        cancel_attempt::{AttemptError, Next, OnFailure, attempt, write_down},
        confirm_payment::new_cancellation_id,
    },
    store::{
        StoreError, Tx, acting, admin,
        cancellations::{self, CancellationRow},
        events, jobs, movements, orders,
        payments::{self, PaymentRow},
    },
};

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// `None` for all that is left.
    pub amount: Option<Won>,
    /// Part of the amount without VAT (면세). `None` where the order says it, or nobody needs to know.
    pub tax_free: Option<Won>,
    /// Order lines that it gives back, with the won of each. Empty spreads it over what is left of all:
    /// whose settlement it is taken from depends on it.
    pub lines: Vec<(i64, Won)>,
    pub reason: String,
    pub refund: Option<RefundAccount>,
    pub idempotency_key: Option<String>,
    /// `api`, `page`, `cli`.
    pub by: &'static str,
}

#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    #[error("no payment `{0}` is known here")]
    NotFound(ImpUid),
    #[error(transparent)]
    NotCancellable(#[from] NotCancellable),
    #[error("a reason of 1 to {LONGEST_REASON} characters is needed")]
    Reason,
    #[error("{tax_free} won cannot be the tax-free part of {amount} won: expected 0 to {amount}")]
    TaxFree { tax_free: Won, amount: Won },
    #[error(transparent)]
    Lines(#[from] WrongLines),
    #[error("the refund account's {0} must have 1 to 60 characters")]
    RefundAccount(&'static str),
    #[error("the Idempotency-Key must have 1 to 255 printable ASCII characters")]
    Key,
    #[error("this Idempotency-Key was used for another request: use a new one")]
    KeyReused,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the order lines that a cancellation names cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongLines {
    #[error("no line is named: name at least one, or leave `lines` out to spread it over all")]
    None,
    #[error("the payment has no registered order: its lines cannot be named")]
    NoOrder,
    #[error("the order has no line {line}: expected 1 to {most}")]
    Unknown { line: i64, most: usize },
    #[error("line {0} is named twice: name it once, with the sum")]
    Twice(i64),
    #[error(
        "{asked} won of line {line} were asked for, but {left} won of it are left: ask for 1 to {left} won"
    )]
    Amount { line: i64, asked: Won, left: Won },
    #[error("the lines come to {lines} won, but {amount} won are to be cancelled")]
    Sum { lines: Won, amount: Won },
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

/// Leaves room for our mark in what PortOne takes.
pub const LONGEST_REASON: usize = 200;

/// How a cancellation stands when its caller is answered.
#[derive(Clone, Debug)]
pub struct CancelAnswer {
    pub cancellation: CancellationRow,
    pub payment: PaymentRow,
}

enum Taken {
    New(Box<CancellationRow>, Delivery),
    /// The same request came before: its answer is how things stand now.
    Same(Box<CancellationRow>),
}

/// Takes a cancellation on and waits, up to the budget, for how it ends.
pub async fn cancel_payment(
    ctx: &Ctx,
    imp_uid: ImpUid,
    asked: Asked,
) -> Result<CancelAnswer, CancelError> {
    check(&asked)?;
    // In a task of its own from the first write on: a caller that hangs up, even while it waits for
    // that write, does not stop it half way.
    let (tell, taken) = oneshot::channel();
    let run = tokio::spawn(acting::carry({
        let ctx = ctx.clone();
        async move {
            match take_on(&ctx, imp_uid, asked).await {
                Ok(Taken::New(cancellation, held)) => {
                    let _ = tell.send(Ok(cancellation.clone()));
                    direct(ctx, cancellation, held).await;
                }
                Ok(Taken::Same(cancellation)) => _ = tell.send(Ok(cancellation)),
                Err(error) => _ = tell.send(Err(error)),
            }
        }
    }));
    let cancellation = taken
        .await
        .map_err(|died| StoreError::Panicked(died.to_string()))??;
    if let Ok(Err(died)) = tokio::time::timeout(ctx.policy.cancel_budget, run).await {
        tracing::error!(%died, id = %cancellation.id, "the direct attempts broke off");
    }
    ctx.store.read(|conn| {
        let missing = |what: &str| StoreError::Unreadable {
            table: "cancellation",
            why: format!("{what} of {} is gone", cancellation.id),
        };
        let payment =
            payments::show(conn, &cancellation.imp_uid)?.ok_or_else(|| missing("the payment"))?;
        let id = crate::domain::ids::CancellationId::new(cancellation.id.clone())
            .map_err(|why| missing(&why.to_string()))?;
        let cancellation = cancellations::get(conn, &id)?.ok_or_else(|| missing("the row"))?;
        Ok(CancelAnswer {
            cancellation,
            payment,
        })
    })
}

fn check(asked: &Asked) -> Result<(), CancelError> {
    let fits = |text: &str, most: usize| {
        let count = text.trim().chars().count();
        (1..=most).contains(&count) && !text.chars().any(char::is_control)
    };
    if !fits(&asked.reason, LONGEST_REASON) {
        return Err(CancelError::Reason);
    }
    if let Some(refund) = &asked.refund {
        for (what, text) in [
            ("holder", &refund.holder),
            ("bank", &refund.bank),
            ("account", &refund.account),
        ] {
            if !fits(text, 60) {
                return Err(CancelError::RefundAccount(what));
            }
        }
        if refund.tel.as_deref().is_some_and(|tel| !fits(tel, 60)) {
            return Err(CancelError::RefundAccount("tel"));
        }
    }
    if let Some(key) = &asked.idempotency_key {
        let printable = key.bytes().all(|b| (0x20..0x7f).contains(&b));
        if key.is_empty() || key.len() > 255 || !printable {
            return Err(CancelError::Key);
        }
    }
    Ok(())
}

/// The first transaction: cancellation, state and job, or the refusal.
async fn take_on(ctx: &Ctx, imp_uid: ImpUid, asked: Asked) -> Result<Taken, CancelError> {
    let policy = ctx.policy.clone();
    let boot = ctx.boot.clone();
    let hash = request_hash(&imp_uid, &asked);
    ctx.store
        .write(move |tx| {
            if let Some(key) = &asked.idempotency_key
                && let Some(before) = cancellations::with_key(tx.conn(), key)?
            {
                // A key is its caller's: another's wish under the same one is another wish.
                let same = before.request_hash.as_deref() == Some(hash.as_str());
                return if same && before.requested_by == asked.by {
                    Ok(Taken::Same(Box::new(before)))
                } else {
                    Err(CancelError::KeyReused)
                };
            }
            let kept = payments::get(tx.conn(), &imp_uid)?
                .ok_or_else(|| CancelError::NotFound(imp_uid.clone()))?;
            let id = new_cancellation_id();
            let from = kept.payment.status();
            check_lines(tx, &kept, &asked.lines)?;
            let (next, amount, checksum) =
                kept.payment.clone().request_cancel(id.clone(), amount_of(&asked)?)?;
            let tax_free = tax_free(tx, &kept.merchant_uid, amount, asked.tax_free)?;
            cancellations::add(
                tx,
                &cancellations::New {
                    id: &id,
                    payment: kept.row,
                    amount,
                    checksum,
                    tax_free,
                    reason: asked.reason.trim(),
                    refund: asked.refund.as_ref(),
                    requested_by: asked.by,
                    idempotency_key: asked.idempotency_key.as_deref(),
                    request_hash: &hash,
                },
            )?;
            cancellations::add_lines(tx, &id, &asked.lines)?;
            payments::put(tx, &kept, &next)?;
            events::add(
                tx,
                &events::Happened {
                    payment: kept.row,
                    kind: "cancel_requested",
                    actor: asked.by,
                    from: Some(from),
                    to: Some(next.status()),
                    detail: json!({
                        "cancellation": id, "amount": amount, "balance": checksum, "reason": asked.reason.trim(),
                        "lines": asked.lines,
                    }),
                },
            )?;
            let held = jobs::publish_held(
                tx,
                &Job::RetryCancel { cancellation: id.clone() },
                policy.queued_attempts,
                &boot,
                policy.direct_lease(),
            )?;
            cancellations::carried_by(tx, &id, held.id)?;
            let row = cancellations::get(tx.conn(), &id)?.ok_or(StoreError::Unreadable {
                table: "cancellation",
                why: "just written, and not there".into(),
            })?;
            Ok(Taken::New(Box::new(row), held))
        })
        .await
}

/// What is asked for: where lines are named, what they come to.
fn amount_of(asked: &Asked) -> Result<Option<Won>, CancelError> {
    if asked.lines.is_empty() {
        return Ok(asked.amount);
    }
    let lines =
        Won::sum(asked.lines.iter().map(|(_, amount)| *amount)).map_err(WrongLines::from)?;
    match asked.amount {
        Some(amount) if amount != lines => Err(WrongLines::Sum { lines, amount }.into()),
        _ => Ok(Some(lines)),
    }
}

/// Each named line is one of the order's, and has that much left.
fn check_lines(
    tx: &Tx<'_>,
    kept: &payments::Kept,
    lines: &[(i64, Won)],
) -> Result<(), CancelError> {
    if lines.is_empty() {
        return Ok(());
    }
    let Some((order, _)) = orders::get(tx.conn(), &kept.merchant_uid)? else {
        return Err(WrongLines::NoOrder.into());
    };
    let given = movements::given(tx.conn(), kept.row)?;
    for (i, (line, asked)) in lines.iter().enumerate() {
        let (line, asked) = (*line, *asked);
        if lines[..i].iter().any(|(before, _)| *before == line) {
            return Err(WrongLines::Twice(line).into());
        }
        let at = usize::try_from(line - 1).unwrap_or(usize::MAX);
        let Some(of) = order.lines.get(at) else {
            let most = order.lines.len();
            return Err(WrongLines::Unknown { line, most }.into());
        };
        let named = given
            .iter()
            .flat_map(|(_, _, given)| &given.of)
            .filter(|(named, _)| *named == line)
            .map(|(_, amount)| *amount);
        let named = Won::sum(named).map_err(WrongLines::from)?;
        let left = of
            .amount()
            .and_then(|amount| amount.minus(named))
            .map_err(WrongLines::from)?;
        if !asked.is_positive() || asked > left {
            return Err(WrongLines::Amount { line, asked, left }.into());
        }
    }
    Ok(())
}

/// What was named, if it fits; else what the registered order says.
fn tax_free(
    tx: &Tx<'_>,
    order: &MerchantUid,
    amount: Won,
    named: Option<Won>,
) -> Result<Option<Won>, CancelError> {
    match named {
        Some(tax_free) if tax_free < Won::ZERO || tax_free > amount => {
            Err(CancelError::TaxFree { tax_free, amount })
        }
        Some(tax_free) => Ok(Some(tax_free)),
        None => Ok(orders::amounts(tx.conn(), order)?
            .and_then(|(all, tax_free)| tax_free_part(all, tax_free, amount))),
    }
}

fn request_hash(imp_uid: &ImpUid, asked: &Asked) -> String {
    let mut what = vec![
        json!(imp_uid),
        json!(asked.amount),
        json!(asked.tax_free),
        json!(asked.reason.trim()),
        json!(asked.refund),
    ];
    // Requests from before lines could be named keep their hash.
    if !asked.lines.is_empty() {
        what.push(json!(asked.lines));
    }
    admin::hash(&json!(what).to_string())
}

/// The direct attempts: up to the policy's number, then the queue.
async fn direct(ctx: Ctx, row: Box<CancellationRow>, held: Delivery) {
    let most = ctx.policy.direct_attempts.max(1);
    for number in 1..=most {
        let on_failure = if number < most {
            OnFailure::TryAgain
        } else {
            OnFailure::Queue
        };
        match one(&ctx, &row, &held, number, on_failure).await {
            Ok(Next::Over) => return,
            Ok(Next::Again) => {
                let wait = ctx.policy.direct_backoff.wait(number, super::dice());
                tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
            }
            Err(error) => {
                // The job is still on disk: its lease ends and the queued retry goes on.
                tracing::error!(%error, cancellation = %row.id, "the books could not be written after a cancel");
                return;
            }
        }
    }
}

async fn one(
    ctx: &Ctx,
    row: &CancellationRow,
    held: &Delivery,
    number: u32,
    on_failure: OnFailure,
) -> Result<Next, AttemptError> {
    // The first call of a cancellation cannot have been made before; every later one may have.
    let tried = attempt(ctx, row, Step::Direct, number > 1, false).await?;
    write_down(ctx, held, row, tried, on_failure).await
}
