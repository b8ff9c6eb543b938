//! Asks PortOne what became of a payment, and books the answer.
//!
//! The same gate for a webhook's hint, the browser's callback, the sweep and a read before a cancel:
//! [`book`] takes what PortOne said and writes once.

use serde_json::json;

use crate::{
    domain::{
        alert::Alert,
        cancellation::{Fate, Found, find_new},
        ids::{CancellationId, ImpUid, MerchantUid},
        job::{Delivery, Outcome},
        money::Won,
        payment::{AnotherOrder, Contradiction, Expected, Hold, Payment, Reading, Status},
        seen::{Seen, SeenStatus},
    },
    flow::{
        Ctx, GatewayError, Policy,
        raise_alert::raise,
        record_movements::{record, record_first},
    },
    store::{
        StoreError, Tx, cancellations, events, forgetting,
        inbox::{self, Hint, Verdict},
        jobs::{self, SettleError},
        movements, orders, payments,
    },
};

/// Why a payment could not be confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    #[error("PortOne: {0}")]
    Gateway(#[from] GatewayError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Settle(#[from] SettleError),
}

impl ConfirmError {
    /// Could the same call succeed later?
    pub fn is_transient(&self) -> bool {
        match self {
            ConfirmError::Gateway(error) => error.is_transient(),
            ConfirmError::Store(error) => error.is_transient(),
            ConfirmError::Settle(SettleError::Store(error)) => error.is_transient(),
            ConfirmError::Settle(SettleError::Stale(_)) => false,
        }
    }
}

/// What was learnt about the payment that a message hinted at.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    pub verdict: Verdict,
    /// In words, for the answer and the inbox.
    pub detail: String,
}

/// Confirms the payment of inbox message `inbox_id` and settles `held`, in one transaction.
pub async fn confirm_payment(
    ctx: &Ctx,
    held: &Delivery,
    inbox_id: i64,
    hint: Hint,
) -> Result<Confirmed, ConfirmError> {
    let seen = ctx.gateway.payment(&hint.imp_uid).await?;
    let policy = ctx.policy.clone();
    let held = held.clone();
    ctx.store
        .write(move |tx| {
            let confirmed = match &seen {
                None => Confirmed {
                    verdict: Verdict::UnknownPayment,
                    detail: format!("PortOne does not know {}", hint.imp_uid),
                },
                Some(seen) => judge(tx, &policy, &hint, seen)?,
            };
            inbox::judge(tx, inbox_id, confirmed.verdict, &confirmed.detail)?;
            jobs::settle(tx, &held, &Outcome::Done)?;
            Ok(confirmed)
        })
        .await
}

/// The queued form: reads the hint from the inbox first.
pub async fn confirm_queued(ctx: &Ctx, held: &Delivery, inbox_id: i64) -> Result<(), ConfirmError> {
    let hint = ctx.store.read(|conn| inbox::hint(conn, inbox_id))?;
    match hint {
        Some(hint) => confirm_payment(ctx, held, inbox_id, hint).await.map(|_| ()),
        None => {
            let held = held.clone();
            ctx.store
                .write(move |tx| {
                    let why = "the message is no longer kept".to_owned();
                    Ok::<_, ConfirmError>(jobs::settle(tx, &held, &Outcome::Cancelled { why })?)
                })
                .await
        }
    }
}

/// Compares a hint with PortOne's answer and books the answer if they speak of one order.
fn judge(
    tx: &mut Tx<'_>,
    policy: &Policy,
    hint: &Hint,
    seen: &Seen,
) -> Result<Confirmed, StoreError> {
    if let Some(hinted) = hint.merchant_uid.clone()
        && hinted != seen.merchant_uid
    {
        let differs = AnotherOrder {
            hinted,
            actual: seen.merchant_uid.clone(),
        };
        return Ok(Confirmed {
            verdict: Verdict::AnotherOrder,
            detail: differs.to_string(),
        });
    }
    let booked = book(tx, policy, seen, "webhook")?;
    Ok(match booked {
        Booked::OtherCurrency => Confirmed {
            verdict: Verdict::OtherCurrency,
            detail: format!("charged in {}, only KRW is taken", seen.currency),
        },
        Booked::Contradiction(why) => Confirmed {
            verdict: Verdict::Contradiction,
            detail: why.to_string(),
        },
        Booked::Kept { status, hold, news } => match (hold, status) {
            (Some(hold), _) => Confirmed {
                verdict: Verdict::Held,
                detail: held_because(&hold),
            },
            (None, Status::Ready) => Confirmed {
                verdict: Verdict::NotPaid,
                detail: "PortOne says the payment is `ready`: not paid yet".into(),
            },
            (None, Status::Failed) => Confirmed {
                verdict: Verdict::NotPaid,
                detail: format!(
                    "PortOne says the payment failed: {}",
                    seen.fail_reason.as_deref().unwrap_or("no reason given")
                ),
            },
            (None, status) => Confirmed {
                verdict: if news {
                    Verdict::Booked
                } else {
                    Verdict::NoNews
                },
                detail: status.as_str().into(),
            },
        },
    })
}

/// A hold in one sentence, with both figures.
pub fn held_because(hold: &Hold) -> String {
    match hold {
        Hold::AmountDiffers { ordered, charged } => {
            format!("ordered {ordered} won, but {charged} won was charged")
        }
        Hold::AlreadyPaid { by } => format!("the order has been paid already, by {by}"),
        Hold::UnknownOrder => "nobody registered the order".into(),
        Hold::TestPayment => "a test payment, but live ones are expected".into(),
        Hold::LivePayment => "a live payment, but test ones are expected".into(),
    }
}

/// What booking an answer of PortOne's came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Booked {
    /// The payment is in the books. `news` if anything was new.
    Kept {
        status: Status,
        hold: Option<Hold>,
        news: bool,
    },
    /// Not in won: kept out of the books, told to a person.
    OtherCurrency,
    /// It cannot be: the books are as they were, a person is told.
    Contradiction(Contradiction),
}

/// Books what PortOne said of one payment. The same answer twice changes nothing.
///
/// `actor` says in the timeline who had us ask.
pub fn book(
    tx: &mut Tx<'_>,
    policy: &Policy,
    seen: &Seen,
    actor: &str,
) -> Result<Booked, StoreError> {
    if seen.currency != "KRW" {
        let why = format!("charged in {}, only KRW is taken", seen.currency);
        raise(
            tx,
            &Alert::Contradiction {
                imp_uid: seen.imp_uid.clone(),
                why,
            },
            None,
        )?;
        return Ok(Booked::OtherCurrency);
    }
    let result = match payments::get(tx.conn(), &seen.imp_uid)? {
        None => first_heard(tx, policy, seen, actor)?,
        Some(kept) => heard_again(tx, policy, kept, seen, actor)?,
    };
    match result {
        Ok((status, hold, news)) => Ok(Booked::Kept { status, hold, news }),
        Err(why) => {
            let alert = Alert::Contradiction {
                imp_uid: seen.imp_uid.clone(),
                why: why.to_string(),
            };
            raise(tx, &alert, None)?;
            Ok(Booked::Contradiction(why))
        }
    }
}

type News = Result<(Status, Option<Hold>, bool), Contradiction>;

fn reading(seen: &Seen, wish_done: bool) -> Result<Reading, Contradiction> {
    Ok(Reading {
        status: seen.status,
        amount: seen.amount,
        cancelled: Won::sum(seen.cancels.iter().map(|entry| entry.amount))?,
        paid_at: seen.paid_at,
        wish_done,
    })
}

fn expected(
    tx: &Tx<'_>,
    policy: &Policy,
    order: &MerchantUid,
    of: &ImpUid,
) -> Result<Expected, StoreError> {
    let ordered = orders::amount(tx.conn(), order)?;
    let paid_by = match ordered {
        Some(_) => payments::that_paid(tx.conn(), order, of)?,
        None => None,
    };
    Ok(Expected {
        ordered,
        paid_by,
        unknown_orders: policy.unknown_orders,
        test: policy.test,
    })
}

fn first_heard(
    tx: &mut Tx<'_>,
    policy: &Policy,
    seen: &Seen,
    actor: &str,
) -> Result<News, StoreError> {
    let payment = match reading(seen, false).and_then(|reading| Payment::first(&reading)) {
        Ok(payment) => payment,
        Err(why) => return Ok(Err(why)),
    };
    let expected = expected(tx, policy, &seen.merchant_uid, &seen.imp_uid)?;
    let hold = expected.judge(seen);
    let mut partners = match expected.ordered {
        Some(_) => orders::partners_of(tx.conn(), &seen.merchant_uid)?,
        None => Vec::new(),
    };
    if partners.is_empty() {
        partners.push(policy.default_partner.clone());
    }
    let row = payments::add(tx, seen, &payment, hold.as_ref(), &partners)?;
    let mut before = Won::ZERO;
    for entry in &seen.cancels {
        let left = seen.amount.minus(before).unwrap_or(Won::ZERO);
        cancellations::add_elsewhere(tx, row, &new_cancellation_id(), left, entry)?;
        before = before.plus(entry.amount).unwrap_or(before);
    }
    let status = payment.status();
    events::add(
        tx,
        &events::Happened {
            payment: row,
            kind: "first_heard",
            actor,
            from: None,
            to: Some(status),
            detail: json!({ "amount": seen.amount, "hold": hold }),
        },
    )?;
    if let Some(hold) = &hold {
        tell_held(tx, seen, hold, row)?;
    }
    let facts = movements::Facts {
        merchant_uid: seen.merchant_uid.clone(),
        amount: payment.amount(),
        counts: hold.is_none() && !matches!(status, Status::Ready | Status::Failed),
        paid_at: seen.paid_at.or(seen.started_at).unwrap_or(tx.now),
        cancelled: payment.cancelled(),
    };
    record_first(tx, policy, row, &facts, expected.ordered.is_some())?;
    Ok(Ok((status, hold, true)))
}

fn tell_held(tx: &mut Tx<'_>, seen: &Seen, hold: &Hold, row: i64) -> Result<(), StoreError> {
    // An unpaid attempt at the wrong amount is nobody's money yet.
    if matches!(seen.status, SeenStatus::Ready | SeenStatus::Failed) {
        return Ok(());
    }
    let alert = Alert::PaymentHeld {
        imp_uid: seen.imp_uid.clone(),
        merchant_uid: seen.merchant_uid.to_string(),
        amount: seen.amount,
        why: held_because(hold),
    };
    raise(tx, &alert, Some(row))
}

fn heard_again(
    tx: &mut Tx<'_>,
    policy: &Policy,
    kept: payments::Kept,
    seen: &Seen,
    actor: &str,
) -> Result<News, StoreError> {
    if kept.merchant_uid != seen.merchant_uid {
        return Ok(Err(Contradiction::AnotherOrder {
            known: kept.merchant_uid,
            seen: seen.merchant_uid.clone(),
        }));
    }
    let found = find_new(&cancellations::booked(tx.conn(), kept.row)?, &seen.cancels);
    let wish = kept.payment.wish().cloned();
    let wish_done = found
        .iter()
        .any(|f| matches!((f, &wish), (Found::Ours { id, .. }, Some(wish)) if *id == wish.id));
    let before = kept.payment.clone();
    let next = match reading(seen, wish_done).and_then(|reading| before.clone().observe(&reading)) {
        Ok(next) => next,
        Err(why) => return Ok(Err(why)),
    };
    let from = before.status();
    let Some(next) = next else {
        // Nothing new in the state; a payment that waited may have got another face (a virtual
        // account's number, a failure's reason).
        if matches!(from, Status::Ready | Status::Failed)
            && kept.about != forgetting::about(tx.conn(), kept.row, &seen.about)?
        {
            payments::describe(tx, &kept, seen)?;
        }
        return Ok(Ok((from, kept.hold, false)));
    };

    payments::put(tx, &kept, &next)?;
    let was_unpaid = matches!(from, Status::Ready | Status::Failed);
    let mut hold = kept.hold.clone();
    if was_unpaid {
        payments::describe(tx, &kept, seen)?;
        hold = expected(tx, policy, &seen.merchant_uid, &seen.imp_uid)?.judge(seen);
        if hold != kept.hold {
            payments::set_hold(tx, &kept, hold.as_ref())?;
        }
        if let Some(hold) = &hold {
            tell_held(tx, seen, hold, kept.row)?;
        }
    }
    for entry in &found {
        write_found(tx, &kept, entry)?;
    }
    if let Some(wish) = wish
        && next.wish().is_none()
    {
        let key = format!("cancel:{}", wish.id);
        if wish_done {
            // The run that carried it out settles its own job; one that waits has nothing to do.
            jobs::finish_live(tx, &key, "PortOne's books hold the cancellation")?;
            jobs_forgive(tx, &key, "PortOne's books hold the cancellation")?;
        } else {
            let why = "all of the money was given back elsewhere";
            cancellations::set_fate(tx, &wish.id, Fate::Superseded, None, Some(why))?;
            jobs::finish_live(tx, &key, why)?;
            jobs_forgive(tx, &key, why)?;
        }
    }
    let kind = match (from, next.status()) {
        (Status::Ready | Status::Failed, Status::Paid) => "paid",
        (_, Status::Failed) => "failed",
        (_, Status::Ready) => "ready",
        _ if wish_done => "cancelled",
        _ => "cancelled_elsewhere",
    };
    events::add(
        tx,
        &events::Happened {
            payment: kept.row,
            kind,
            actor,
            from: Some(from),
            to: Some(next.status()),
            detail: json!({
                "amount": next.amount(),
                "cancelled": next.cancelled(),
                "entries": found.iter().map(describe_found).collect::<Vec<_>>(),
            }),
        },
    )?;
    record(tx, policy, kept.row)?;
    Ok(Ok((next.status(), hold, true)))
}

/// A dead letter whose wish turned out to be fulfilled is no longer one.
fn jobs_forgive(tx: &Tx<'_>, key: &str, why: &str) -> Result<(), StoreError> {
    if let Some(id) = jobs::with_key(tx.conn(), key, crate::domain::job::JobState::Dead)? {
        jobs::discard(tx, id, why)?;
    }
    Ok(())
}

fn write_found(tx: &Tx<'_>, kept: &payments::Kept, found: &Found) -> Result<(), StoreError> {
    match found {
        Found::Ours { id, entry } => cancellations::done(tx, id, entry),
        Found::Elsewhere { entry } => cancellations::add_elsewhere(
            tx,
            kept.row,
            &new_cancellation_id(),
            kept.payment.left(),
            entry,
        ),
    }
}

fn describe_found(found: &Found) -> serde_json::Value {
    match found {
        Found::Ours { id, entry } => json!({ "cancellation": id, "amount": entry.amount }),
        Found::Elsewhere { entry } => {
            json!({ "elsewhere": entry.key, "amount": entry.amount, "reason": entry.reason })
        }
    }
}

/// A new id for a cancellation: sorts by time, and is known again in PortOne's books.
pub fn new_cancellation_id() -> CancellationId {
    // A ULID has none of the characters that an id may not have.
    CancellationId::new(format!("c{}", ulid::Ulid::new()))
        .unwrap_or_else(|why| unreachable!("a ULID is an id: {why}"))
}

/// Asks PortOne about a payment and books the answer, outside of any message.
pub async fn refresh(
    ctx: &Ctx,
    imp_uid: &ImpUid,
    actor: &'static str,
) -> Result<Option<Booked>, ConfirmError> {
    let Some(seen) = ctx.gateway.payment(imp_uid).await? else {
        return Ok(None);
    };
    let policy = ctx.policy.clone();
    ctx.store
        .write(move |tx| Ok(Some(book(tx, &policy, &seen, actor)?)))
        .await
}
