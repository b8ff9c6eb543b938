//! A payment's life, from a state and a fact to the next state.
//!
//! Facts come from PortOne's books alone. They may come twice, late or in another order, and the
//! state that they lead to is the same: a reading with less cancelled than we know of is old news.
//! Heard twice is no news (`Ok(None)`).
//!
//! ```text
//! READY ─▶ FAILED ─▶ PAID ─▶ CANCEL_REQUESTED ─▶ CANCELED | PARTIAL_CANCELED
//!                      ▲        │        ▲
//!                      │        ▼        │ a person replays
//!                      └── CANCEL_FAILED ┘   (a person discards: back to PAID or PARTIAL_CANCELED)
//! ```

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    ids::{CancellationId, ImpUid, MerchantUid},
    money::{OutOfRange, Won},
    seen::{Seen, SeenStatus},
};

/// The state's name, as the original design spells it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    Ready,
    Paid,
    CancelRequested,
    Canceled,
    PartialCanceled,
    CancelFailed,
    Failed,
}

impl Status {
    pub const ALL: [Status; 7] = [
        Status::Ready,
        Status::Paid,
        Status::CancelRequested,
        Status::Canceled,
        Status::PartialCanceled,
        Status::CancelFailed,
        Status::Failed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ready => "READY",
            Status::Paid => "PAID",
            Status::CancelRequested => "CANCEL_REQUESTED",
            Status::Canceled => "CANCELED",
            Status::PartialCanceled => "PARTIAL_CANCELED",
            Status::CancelFailed => "CANCEL_FAILED",
            Status::Failed => "FAILED",
        }
    }

    pub fn parse(text: &str) -> Option<Status> {
        Status::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// Money that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub amount: Won,
    pub paid_at: Option<Timestamp>,
}

/// The one cancellation of a payment that is not settled yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub id: CancellationId,
    pub amount: Won,
}

/// A payment's life. Each state holds what is true in it, so that a paid payment without its
/// charge, or two cancellations in flight, cannot be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payment {
    /// The window was opened, or a virtual account waits for its deposit.
    Ready {
        amount: Won,
    },
    /// Not paid. Not final: some methods turn it into a paid one days later.
    Failed {
        amount: Won,
    },
    Paid {
        charge: Charge,
    },
    CancelRequested {
        charge: Charge,
        cancelled: Won,
        wish: Wish,
    },
    /// Something went back and something is left.
    PartialCanceled {
        charge: Charge,
        cancelled: Won,
    },
    /// Nothing is left.
    Canceled {
        charge: Charge,
    },
    /// A dead letter waits for a person.
    CancelFailed {
        charge: Charge,
        cancelled: Won,
        wish: Wish,
    },
}

/// What a reading of PortOne's books says, as far as the state depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub status: SeenStatus,
    pub amount: Won,
    /// Sum of all entries of the cancel history.
    pub cancelled: Won,
    pub paid_at: Option<Timestamp>,
    /// Whether the wish that is in flight stands in those entries.
    pub wish_done: bool,
}

/// A reading that no payment can have. The books are left as they are and a person is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    #[error("PortOne now says {seen} won for a payment that it said was {known} won")]
    AnotherAmount { known: Won, seen: Won },
    #[error("PortOne says {cancelled} won were cancelled of a payment of {amount} won")]
    CancelledTooMuch { amount: Won, cancelled: Won },
    #[error("PortOne says the amount is {0} won")]
    Amount(Won),
    #[error("PortOne says {cancelled} won went back of a payment that was not paid")]
    CancelledUnpaid { cancelled: Won },
    #[error("PortOne now says order {seen} for a payment that it said was for {known}")]
    AnotherOrder {
        known: MerchantUid,
        seen: MerchantUid,
    },
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

/// Why a cancellation cannot be taken on now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCancellable {
    #[error("the payment is {}: only a paid one can be cancelled", status.as_str())]
    NotPaid { status: Status },
    #[error("another cancellation ({id}, {amount} won) is in progress: wait for it to end")]
    InFlight { id: CancellationId, amount: Won },
    #[error("cancellation {id} is a dead letter: replay or discard it first")]
    DeadLetter { id: CancellationId },
    #[error("everything has been cancelled already")]
    NothingLeft,
    #[error("{asked} won were asked for, but {left} won are left: ask for 1 to {left} won")]
    Amount { asked: Won, left: Won },
}

impl Payment {
    /// The first thing we hear of a payment.
    pub fn first(reading: &Reading) -> Result<Payment, Contradiction> {
        let start = Payment::Ready {
            amount: reading.amount,
        };
        Ok(start.clone().observe(reading)?.unwrap_or(start))
    }

    /// Takes PortOne's word. The same word twice, or an older one, is no news (`None`).
    pub fn observe(self, reading: &Reading) -> Result<Option<Payment>, Contradiction> {
        if !reading.amount.is_positive() || reading.amount > Won::LARGEST {
            return Err(Contradiction::Amount(reading.amount));
        }
        if reading.cancelled < Won::ZERO || reading.cancelled > reading.amount {
            return Err(Contradiction::CancelledTooMuch {
                amount: reading.amount,
                cancelled: reading.cancelled,
            });
        }
        // `cancelled` without any money that went back is an account that closed unpaid.
        let unpaid = match reading.status {
            SeenStatus::Ready => true,
            SeenStatus::Failed => true,
            SeenStatus::Cancelled => reading.cancelled.is_zero(),
            SeenStatus::Paid => false,
        };
        let before = self.clone();
        let never_paid = matches!(self, Payment::Ready { .. } | Payment::Failed { .. });
        if unpaid && never_paid && !reading.cancelled.is_zero() {
            let cancelled = reading.cancelled;
            return Err(Contradiction::CancelledUnpaid { cancelled });
        }
        let next = match (self, unpaid) {
            (Payment::Ready { .. }, true) if reading.status == SeenStatus::Ready => {
                Payment::Ready {
                    amount: reading.amount,
                }
            }
            (Payment::Ready { .. } | Payment::Failed { .. }, true)
                if reading.status != SeenStatus::Ready =>
            {
                Payment::Failed {
                    amount: reading.amount,
                }
            }
            // A payment that was paid is not unpaid by an older word.
            (known, true) => known,
            (Payment::Ready { .. } | Payment::Failed { .. }, false) => {
                let charge = Charge {
                    amount: reading.amount,
                    paid_at: reading.paid_at,
                };
                Payment::at_rest(charge, reading.cancelled)
            }
            (known, false) => known.recount(reading)?,
        };
        Ok((next != before).then_some(next))
    }

    /// A reading of a payment whose charge we know.
    fn recount(self, reading: &Reading) -> Result<Payment, Contradiction> {
        let known = self.amount();
        if known != reading.amount {
            return Err(Contradiction::AnotherAmount {
                known,
                seen: reading.amount,
            });
        }
        if reading.cancelled < self.cancelled() {
            return Ok(self);
        }
        let cancelled = reading.cancelled;
        let nothing_left = cancelled == reading.amount;
        Ok(match self {
            Payment::CancelRequested { charge, wish, .. }
                if !reading.wish_done && !nothing_left =>
            {
                Payment::CancelRequested {
                    charge,
                    cancelled,
                    wish,
                }
            }
            Payment::CancelFailed { charge, wish, .. } if !reading.wish_done && !nothing_left => {
                Payment::CancelFailed {
                    charge,
                    cancelled,
                    wish,
                }
            }
            Payment::Paid { charge }
            | Payment::CancelRequested { charge, .. }
            | Payment::PartialCanceled { charge, .. }
            | Payment::Canceled { charge }
            | Payment::CancelFailed { charge, .. } => Payment::at_rest(charge, cancelled),
            unpaid @ (Payment::Ready { .. } | Payment::Failed { .. }) => unpaid,
        })
    }

    /// The state of a charge with no cancellation under way.
    fn at_rest(charge: Charge, cancelled: Won) -> Payment {
        if cancelled.is_zero() {
            Payment::Paid { charge }
        } else if cancelled < charge.amount {
            Payment::PartialCanceled { charge, cancelled }
        } else {
            Payment::Canceled { charge }
        }
    }

    /// Takes on a cancellation of `amount`, or of all that is left. One at a time.
    ///
    /// Gives the next state, the amount, and the balance before it, which is the guard
    /// (`checksum`) that every call for this cancellation carries.
    pub fn request_cancel(
        self,
        id: CancellationId,
        amount: Option<Won>,
    ) -> Result<(Payment, Won, Won), NotCancellable> {
        let status = self.status();
        match self {
            Payment::Ready { .. } | Payment::Failed { .. } => {
                Err(NotCancellable::NotPaid { status })
            }
            Payment::CancelRequested { wish, .. } => Err(NotCancellable::InFlight {
                id: wish.id,
                amount: wish.amount,
            }),
            Payment::CancelFailed { wish, .. } => Err(NotCancellable::DeadLetter { id: wish.id }),
            Payment::Canceled { .. } => Err(NotCancellable::NothingLeft),
            ref open @ (Payment::Paid { ref charge }
            | Payment::PartialCanceled { ref charge, .. }) => {
                let left = open.left();
                let asked = amount.unwrap_or(left);
                if !asked.is_positive() || asked > left {
                    return Err(NotCancellable::Amount { asked, left });
                }
                let next = Payment::CancelRequested {
                    charge: charge.clone(),
                    cancelled: open.cancelled(),
                    wish: Wish { id, amount: asked },
                };
                Ok((next, asked, left))
            }
        }
    }

    /// The cancellation became a dead letter. `None` if it is not the one in flight.
    pub fn cancel_failed(self, id: &CancellationId) -> Option<Payment> {
        match self {
            Payment::CancelRequested {
                charge,
                cancelled,
                wish,
            } if wish.id == *id => Some(Payment::CancelFailed {
                charge,
                cancelled,
                wish,
            }),
            _ => None,
        }
    }

    /// A person replays the dead letter. `None` if there is none of that id.
    pub fn cancel_replayed(self, id: &CancellationId) -> Option<Payment> {
        match self {
            Payment::CancelFailed {
                charge,
                cancelled,
                wish,
            } if wish.id == *id => Some(Payment::CancelRequested {
                charge,
                cancelled,
                wish,
            }),
            _ => None,
        }
    }

    /// A person gives the dead letter up: the payment is as if it had not been asked.
    pub fn cancel_discarded(self, id: &CancellationId) -> Option<Payment> {
        match self {
            Payment::CancelFailed {
                charge,
                cancelled,
                wish,
            } if wish.id == *id => Some(Payment::at_rest(charge, cancelled)),
            _ => None,
        }
    }

    pub fn status(&self) -> Status {
        match self {
            Payment::Ready { .. } => Status::Ready,
            Payment::Failed { .. } => Status::Failed,
            Payment::Paid { .. } => Status::Paid,
            Payment::CancelRequested { .. } => Status::CancelRequested,
            Payment::PartialCanceled { .. } => Status::PartialCanceled,
            Payment::Canceled { .. } => Status::Canceled,
            Payment::CancelFailed { .. } => Status::CancelFailed,
        }
    }

    pub fn amount(&self) -> Won {
        match self {
            Payment::Ready { amount } | Payment::Failed { amount } => *amount,
            Payment::Paid { charge }
            | Payment::CancelRequested { charge, .. }
            | Payment::PartialCanceled { charge, .. }
            | Payment::Canceled { charge }
            | Payment::CancelFailed { charge, .. } => charge.amount,
        }
    }

    /// What went back so far.
    pub fn cancelled(&self) -> Won {
        match self {
            Payment::Ready { .. } | Payment::Failed { .. } | Payment::Paid { .. } => Won::ZERO,
            Payment::CancelRequested { cancelled, .. }
            | Payment::PartialCanceled { cancelled, .. }
            | Payment::CancelFailed { cancelled, .. } => *cancelled,
            Payment::Canceled { charge } => charge.amount,
        }
    }

    /// What can still go back. Nothing, of a payment that was never paid.
    pub fn left(&self) -> Won {
        match self {
            Payment::Ready { .. } | Payment::Failed { .. } => Won::ZERO,
            paid => paid.amount().minus(paid.cancelled()).unwrap_or(Won::ZERO),
        }
    }

    /// The cancellation that is in flight, or dead and waiting.
    pub fn wish(&self) -> Option<&Wish> {
        match self {
            Payment::CancelRequested { wish, .. } | Payment::CancelFailed { wish, .. } => {
                Some(wish)
            }
            _ => None,
        }
    }
}

/// What does not fit between a payment and what was expected. The payment is kept, shown with
/// this reason, counted in no settlement, and waits for a person (or for the order).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Hold {
    /// Another sum than the order's was charged.
    AmountDiffers { ordered: Won, charged: Won },
    /// The order has been paid by another payment.
    AlreadyPaid { by: ImpUid },
    /// Nobody registered the order, and the policy is to hold such payments.
    UnknownOrder,
    /// A payment through a test channel, where live ones are expected.
    TestPayment,
    /// A live payment, where test ones are expected.
    LivePayment,
}

impl Hold {
    /// The codes of all reasons.
    pub const CODES: [&str; 5] = [
        "AMOUNT_DIFFERS",
        "ALREADY_PAID",
        "UNKNOWN_ORDER",
        "TEST_PAYMENT",
        "LIVE_PAYMENT",
    ];

    pub fn code(&self) -> &'static str {
        match self {
            Hold::AmountDiffers { .. } => "AMOUNT_DIFFERS",
            Hold::AlreadyPaid { .. } => "ALREADY_PAID",
            Hold::UnknownOrder => "UNKNOWN_ORDER",
            Hold::TestPayment => "TEST_PAYMENT",
            Hold::LivePayment => "LIVE_PAYMENT",
        }
    }
}

/// What to do with a payment whose order nobody registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownOrders {
    /// As the original design did: it is owed to the default partner.
    Accept,
    Hold,
}

/// What is expected of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The order's amount, if it was registered.
    pub ordered: Option<Won>,
    /// Another payment that has paid the same registered order.
    pub paid_by: Option<ImpUid>,
    pub unknown_orders: UnknownOrders,
    /// Whether payments are expected to be test ones.
    pub test: bool,
}

impl Expected {
    /// What does not fit, the gravest first.
    pub fn judge(&self, seen: &Seen) -> Option<Hold> {
        if seen.test && !self.test {
            return Some(Hold::TestPayment);
        }
        if !seen.test && self.test {
            return Some(Hold::LivePayment);
        }
        match self.ordered {
            Some(ordered) if ordered != seen.amount => Some(Hold::AmountDiffers {
                ordered,
                charged: seen.amount,
            }),
            Some(_) => self.paid_by.clone().map(|by| Hold::AlreadyPaid { by }),
            None if self.unknown_orders == UnknownOrders::Hold => Some(Hold::UnknownOrder),
            None => None,
        }
    }
}

/// A hint's order and PortOne's differ: whoever sent it does not know the payment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message says order {hinted}, PortOne says {actual}")]
pub struct AnotherOrder {
    pub hinted: MerchantUid,
    pub actual: MerchantUid,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u8) -> CancellationId {
        CancellationId::new(format!("c{n}")).unwrap()
    }

    fn read(status: SeenStatus, cancelled: i64) -> Reading {
        Reading {
            status,
            amount: Won::new(10_000),
            cancelled: Won::new(cancelled),
            paid_at: None,
            wish_done: false,
        }
    }

    fn paid() -> Payment {
        Payment::first(&read(SeenStatus::Paid, 0)).unwrap()
    }

    #[test]
    fn only_paid_counts_as_paid() {
        for (status, cancelled, expected) in [
            (SeenStatus::Ready, 0, Status::Ready),
            (SeenStatus::Failed, 0, Status::Failed),
            (SeenStatus::Cancelled, 0, Status::Failed),
            (SeenStatus::Paid, 0, Status::Paid),
            (SeenStatus::Paid, 1, Status::PartialCanceled),
            (SeenStatus::Cancelled, 9_999, Status::PartialCanceled),
            (SeenStatus::Cancelled, 10_000, Status::Canceled),
        ] {
            let payment = Payment::first(&read(status, cancelled)).unwrap();
            assert_eq!(payment.status(), expected, "{status:?} {cancelled}");
        }
    }

    #[test]
    fn heard_twice_is_no_news() {
        for reading in [
            read(SeenStatus::Ready, 0),
            read(SeenStatus::Failed, 0),
            read(SeenStatus::Paid, 0),
            read(SeenStatus::Cancelled, 3_000),
            read(SeenStatus::Cancelled, 10_000),
        ] {
            let payment = Payment::first(&reading).unwrap();
            assert_eq!(payment.observe(&reading), Ok(None), "{reading:?}");
        }
    }

    #[test]
    fn a_failed_payment_may_still_be_paid_and_a_paid_one_does_not_fail() {
        let failed = Payment::first(&read(SeenStatus::Failed, 0)).unwrap();
        let paid = failed.observe(&read(SeenStatus::Paid, 0)).unwrap().unwrap();
        assert_eq!(paid.status(), Status::Paid);
        assert_eq!(paid.clone().observe(&read(SeenStatus::Failed, 0)), Ok(None));
        assert_eq!(paid.observe(&read(SeenStatus::Ready, 0)), Ok(None));
    }

    #[test]
    fn one_cancellation_at_a_time() {
        let (requested, amount, checksum) =
            paid().request_cancel(id(1), Some(Won::new(3_000))).unwrap();
        assert_eq!((amount.get(), checksum.get()), (3_000, 10_000));
        assert!(matches!(
            requested.clone().request_cancel(id(2), None),
            Err(NotCancellable::InFlight { .. })
        ));
        let failed = requested.clone().cancel_failed(&id(1)).unwrap();
        assert_eq!(failed.status(), Status::CancelFailed);
        assert!(matches!(
            failed.clone().request_cancel(id(2), None),
            Err(NotCancellable::DeadLetter { .. })
        ));
        assert_eq!(failed.clone().cancel_replayed(&id(1)), Some(requested));
        assert_eq!(failed.clone().cancel_replayed(&id(2)), None);
        assert_eq!(failed.cancel_discarded(&id(1)), Some(paid()));
    }

    #[test]
    fn what_can_be_cancelled_is_what_is_left() {
        let part = Payment::first(&read(SeenStatus::Paid, 7_000)).unwrap();
        assert_eq!(part.left(), Won::new(3_000));
        for asked in [0, -1, 3_001] {
            assert!(matches!(
                part.clone().request_cancel(id(1), Some(Won::new(asked))),
                Err(NotCancellable::Amount { .. })
            ));
        }
        let (_, amount, checksum) = part.request_cancel(id(1), None).unwrap();
        assert_eq!((amount.get(), checksum.get()), (3_000, 3_000));
        let all = Payment::first(&read(SeenStatus::Cancelled, 10_000)).unwrap();
        assert_eq!(
            all.request_cancel(id(1), None),
            Err(NotCancellable::NothingLeft)
        );
        let ready = Payment::first(&read(SeenStatus::Ready, 0)).unwrap();
        assert!(matches!(
            ready.request_cancel(id(1), None),
            Err(NotCancellable::NotPaid { .. })
        ));
    }

    #[test]
    fn money_given_back_elsewhere_ends_the_wish_only_when_nothing_is_left() {
        let (wished, ..) = paid().request_cancel(id(1), Some(Won::new(3_000))).unwrap();
        let part = wished
            .clone()
            .observe(&read(SeenStatus::Cancelled, 4_000))
            .unwrap()
            .unwrap();
        assert_eq!(part.status(), Status::CancelRequested);
        assert_eq!(part.left(), Won::new(6_000));
        let all = wished
            .observe(&read(SeenStatus::Cancelled, 10_000))
            .unwrap()
            .unwrap();
        assert_eq!(all.status(), Status::Canceled);
    }

    #[test]
    fn a_reading_that_cannot_be_changes_nothing() {
        let other = Reading {
            amount: Won::new(9_000),
            ..read(SeenStatus::Paid, 0)
        };
        assert!(matches!(
            paid().observe(&other),
            Err(Contradiction::AnotherAmount { .. })
        ));
        assert!(matches!(
            paid().observe(&read(SeenStatus::Paid, 10_001)),
            Err(Contradiction::CancelledTooMuch { .. })
        ));
        let nothing = Reading {
            amount: Won::ZERO,
            ..read(SeenStatus::Paid, 0)
        };
        assert!(matches!(
            Payment::first(&nothing),
            Err(Contradiction::Amount(_))
        ));
    }

    fn seen(amount: i64, test: bool) -> Seen {
        Seen {
            imp_uid: ImpUid::new("imp_1").unwrap(),
            merchant_uid: MerchantUid::new("ord-1").unwrap(),
            status: SeenStatus::Paid,
            amount: Won::new(amount),
            currency: "KRW".into(),
            test,
            cancels: vec![],
            started_at: None,
            paid_at: None,
            failed_at: None,
            fail_reason: None,
            about: Default::default(),
        }
    }

    #[test]
    fn what_does_not_fit_is_held_with_its_reason() {
        let other = ImpUid::new("imp_0").unwrap();
        let fits = Expected {
            ordered: Some(Won::new(12_000)),
            paid_by: None,
            unknown_orders: UnknownOrders::Hold,
            test: false,
        };
        assert_eq!(fits.judge(&seen(12_000, false)), None);
        assert_eq!(
            fits.judge(&seen(9_000, false)),
            Some(Hold::AmountDiffers {
                ordered: Won::new(12_000),
                charged: Won::new(9_000)
            })
        );
        assert_eq!(fits.judge(&seen(12_000, true)), Some(Hold::TestPayment));
        let twice = Expected {
            paid_by: Some(other.clone()),
            ..fits.clone()
        };
        assert_eq!(
            twice.judge(&seen(12_000, false)),
            Some(Hold::AlreadyPaid { by: other })
        );
        let unknown = Expected {
            ordered: None,
            ..fits.clone()
        };
        assert_eq!(unknown.judge(&seen(1, false)), Some(Hold::UnknownOrder));
        let accepted = Expected {
            unknown_orders: UnknownOrders::Accept,
            ..unknown
        };
        assert_eq!(accepted.judge(&seen(1, false)), None);
        let testing = Expected { test: true, ..fits };
        assert_eq!(testing.judge(&seen(12_000, false)), Some(Hold::LivePayment));
    }

    proptest! {
        /// Readings of one payment, told in any order and any number of times, end in the state
        /// of the newest.
        #[test]
        fn the_order_of_readings_does_not_matter(
            cuts in proptest::collection::vec(1i64..2_000, 0..5),
            order in proptest::collection::vec(0usize..8, 1..20),
        ) {
            let mut history = vec![read(SeenStatus::Ready, 0), read(SeenStatus::Failed, 0)];
            let mut gone = 0;
            history.push(read(SeenStatus::Paid, 0));
            for cut in cuts {
                gone += cut;
                history.push(read(SeenStatus::Cancelled, gone));
            }
            let newest = history.last().unwrap().clone();
            let mut payment = Payment::first(&history[order[0] % history.len()]).unwrap();
            for i in &order {
                if let Some(next) = payment.clone().observe(&history[i % history.len()]).unwrap() {
                    payment = next;
                }
            }
            if let Some(next) = payment.clone().observe(&newest).unwrap() {
                payment = next;
            }
            prop_assert_eq!(payment, Payment::first(&newest).unwrap());
        }

        /// Giving back in pieces comes to the same as giving back at once, and never to more.
        #[test]
        fn cancelling_in_pieces_is_cancelling_at_once(
            pieces in proptest::collection::vec(1i64..6_000, 1..8),
        ) {
            let mut payment = paid();
            let mut gone = 0;
            for (n, piece) in pieces.into_iter().enumerate() {
                match payment.clone().request_cancel(id(n as u8), Some(Won::new(piece))) {
                    Ok((next, amount, checksum)) => {
                        prop_assert_eq!(checksum.get(), 10_000 - gone);
                        gone += amount.get();
                        let done = Reading { wish_done: true, ..read(SeenStatus::Cancelled, gone) };
                        payment = next.observe(&done).unwrap().unwrap();
                    }
                    Err(NotCancellable::Amount { left, .. }) => {
                        prop_assert_eq!(left.get(), 10_000 - gone);
                        prop_assert!(piece > left.get());
                    }
                    Err(NotCancellable::NothingLeft) => prop_assert_eq!(gone, 10_000),
                    Err(other) => prop_assert!(false, "{}", other),
                }
            }
            prop_assert!(gone <= 10_000);
            prop_assert_eq!(payment.cancelled().get(), gone);
            prop_assert_eq!(payment.left().get(), 10_000 - gone);
        }
    }
}
