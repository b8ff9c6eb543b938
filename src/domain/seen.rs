//! What PortOne answered about one payment: the only facts the books are made from.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    ids::{ImpUid, MerchantUid},
    money::Won,
};

/// PortOne's word for how a payment stands. Only `Paid` counts as paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenStatus {
    /// The window is open, or a virtual account waits for its deposit.
    Ready,
    Paid,
    /// Cancelled in full **or in part**: V1 has one word for both, the amounts decide.
    Cancelled,
    Failed,
}

/// One payment as PortOne has it now, read by us from PortOne itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub imp_uid: ImpUid,
    pub merchant_uid: MerchantUid,
    pub status: SeenStatus,
    /// In won when `currency` is KRW; it does not shrink after cancels.
    pub amount: Won,
    pub currency: String,
    /// Made through a test channel: no money moved.
    pub test: bool,
    /// One entry for each time money went back, oldest first.
    pub cancels: Vec<SeenCancel>,
    pub started_at: Option<Timestamp>,
    pub paid_at: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
    pub fail_reason: Option<String>,
    pub about: About,
}

/// What is shown about a payment and decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct About {
    pub name: String,
    pub method: String,
    pub pg_provider: String,
    pub pg_tid: String,
    pub card_name: String,
    pub apply_num: String,
    pub receipt_url: String,
    pub buyer_name: String,
    pub buyer_email: String,
    pub buyer_tel: String,
    /// `KB국민은행 123-45-678 (예금주)` while a virtual account waits for its deposit.
    pub virtual_account: String,
}

impl About {
    /// The same without what says who the buyer is.
    pub fn without_person(&self) -> About {
        About {
            buyer_name: String::new(),
            buyer_email: String::new(),
            buyer_tel: String::new(),
            virtual_account: String::new(),
            // Whoever opens it sees a person's receipt.
            receipt_url: String::new(),
            ..self.clone()
        }
    }
}

/// One entry of a payment's cancel history at PortOne.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenCancel {
    /// PortOne's cancellation id, or, where it gives none, a name made from the entry's place.
    pub key: String,
    pub amount: Won,
    pub at: Option<Timestamp>,
    pub reason: String,
    pub receipt_url: String,
}
