//! Registers what is to be paid, and has PortOne refuse any other sum for it.

use rusqlite::Connection;
use serde_json::json;

use crate::{
    domain::{alert::Alert, ids::MerchantUid, job::Job, order::Order, payment::Hold, retry::Class},
    flow::{
        Ctx, GatewayError, Policy, confirm_payment::held_because, raise_alert::raise,
        record_movements::record,
    },
    store::{
        StoreError, Tx, alerts,
        audit::{self, Act},
        events, jobs, orders, payments,
    },
};

#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("the order `{0}` is registered with other contents; use another merchant_uid")]
    Taken(MerchantUid),
    /// PortOne says that the amount cannot be registered: the order is not either.
    #[error("PortOne does not take the order: {0}")]
    Refused(GatewayError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A registered order.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    pub order: Order,
    /// PortOne has the amount. Where it did not answer, a job goes on asking.
    pub prepared: bool,
    /// False if the same order was registered before.
    pub new: bool,
}

/// Registers an order. The same order again is a success that changes nothing.
pub async fn register_order(ctx: &Ctx, order: Order) -> Result<Registered, RegisterError> {
    if let Some(known) = ctx.store.read(|conn| known(conn, &order.merchant_uid))? {
        return same_or_taken(known, order);
    }
    let prepared = match ctx.gateway.prepare(&order.merchant_uid, order.amount).await {
        Ok(()) => true,
        Err(error) if error.class == Class::Permanent => return Err(RegisterError::Refused(error)),
        Err(error) => {
            tracing::warn!(%error, order = %order.merchant_uid, "PortOne did not take the amount yet; it is queued");
            false
        }
    };
    let policy = ctx.policy.clone();
    ctx.store
        .write(move |tx| {
            if let Some(known) = known(tx.conn(), &order.merchant_uid)? {
                return same_or_taken(known, order);
            }
            orders::add(tx, &order, prepared)?;
            let after = json!({ "amount": order.amount, "lines": order.lines.len() });
            let act = Act {
                act: "order.registered",
                subject: &format!("order:{}", order.merchant_uid),
                before: None,
                after: Some(&after),
            };
            audit::note(tx, &act)?;
            if !prepared {
                let job = Job::PrepareOrder {
                    merchant_uid: order.merchant_uid.clone(),
                };
                let terms = jobs::Terms {
                    max_attempts: policy.job_attempts,
                    run_at: Some(tx.now + policy.job_backoff.wait(1, super::dice())),
                };
                jobs::publish(tx, &job, terms)?;
            }
            judge_again(tx, &policy, &order)?;
            Ok(Registered {
                order,
                prepared,
                new: true,
            })
        })
        .await
}

/// The order as it is registered.
struct Known {
    order: Order,
    prepared: bool,
    /// Its buyer was forgotten.
    forgotten: bool,
}

fn known(conn: &Connection, id: &MerchantUid) -> Result<Option<Known>, StoreError> {
    let Some((order, prepared)) = orders::get(conn, id)? else {
        return Ok(None);
    };
    let forgotten = orders::is_forgotten(conn, id)?;
    Ok(Some(Known {
        order,
        prepared,
        forgotten,
    }))
}

fn same_or_taken(known: Known, mut order: Order) -> Result<Registered, RegisterError> {
    if known.forgotten {
        // Whose it was nobody knows any more: the rest is compared.
        order.buyer = None;
    }
    if known.order == order {
        Ok(Registered {
            order,
            prepared: known.prepared,
            new: false,
        })
    } else {
        Err(RegisterError::Taken(order.merchant_uid))
    }
}

/// Payments that came before their order: what held them may not hold any more, and what fitted
/// nobody's expectation may now be wrong.
fn judge_again(tx: &mut Tx<'_>, policy: &Policy, order: &Order) -> Result<(), StoreError> {
    let mut paid_by = None;
    for kept in payments::of_order(tx.conn(), &order.merchant_uid)? {
        if matches!(kept.hold, Some(Hold::TestPayment | Hold::LivePayment)) {
            continue;
        }
        let charged = kept.payment.amount();
        let hold = if charged != order.amount {
            Some(Hold::AmountDiffers {
                ordered: order.amount,
                charged,
            })
        } else {
            paid_by.clone().map(|by| Hold::AlreadyPaid { by })
        };
        if hold.is_none() && !kept.payment.left().is_zero() {
            paid_by = Some(kept.imp_uid.clone());
        }
        let partners: Vec<String> = order
            .lines
            .iter()
            .map(|line| line.partner.to_string())
            .collect();
        payments::owe_anew(tx, kept.row, &partners)?;
        if hold != kept.hold {
            payments::set_hold(tx, &kept, hold.as_ref())?;
            match &hold {
                None => {
                    alerts::resolve(tx, &format!("held:{}", kept.imp_uid))?;
                }
                // An unpaid attempt at the wrong amount is nobody's money yet.
                Some(_) if kept.payment.left().is_zero() => {}
                Some(hold) => {
                    let alert = Alert::PaymentHeld {
                        imp_uid: kept.imp_uid.clone(),
                        merchant_uid: kept.merchant_uid.to_string(),
                        amount: charged,
                        why: held_because(hold),
                    };
                    raise(tx, &alert, Some(kept.row))?;
                }
            }
            events::add(
                tx,
                &events::Happened {
                    payment: kept.row,
                    kind: "order_registered",
                    actor: "api",
                    from: None,
                    to: None,
                    detail: json!({ "hold": hold }),
                },
            )?;
        }
        // Who is owed may have changed even where nothing held the payment.
        record(tx, policy, kept.row)?;
    }
    Ok(())
}
