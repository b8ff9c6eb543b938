//! What answers and bodies are made of where a handler puts them together itself: for the document alone.
//! A test holds every answer of a GET against them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    domain::{
        calendar::KstDay,
        holidays::{Holiday, Special},
        money::Won,
        order::Order,
        payment::{Hold, Status},
    },
    flow::{bank_templates::Known, change_calendar::Moved, pay_out::Proposed, settle_day::Report},
    store::{
        adjustments::AdjustmentRow,
        alerts::AlertRow,
        approvals::ApprovalRow,
        cancellations::{AttemptRow, CancellationRow},
        contracts::Version,
        events::EventRow,
        history::Happened,
        partners::{Listed, PartnerRow},
        payments::PaymentRow,
        payouts::{BatchRow, PayoutRow, PayoutState},
        settlements::{LineRow, SettlementRow, Sums},
    },
    web::api::partners::Standing,
};

/// An error (RFC 9457). `type` is stable, `detail` is for people; some carry more.
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// `urn:jeongsan:problem:` and its kind.
    #[serde(rename = "type")]
    #[schema(example = "urn:jeongsan:problem:cancel-amount")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// The `balance`, the `parameter`, the `cancellation`, …
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

#[derive(Serialize, ToSchema)]
pub struct PaymentPage {
    pub payments: Vec<PaymentRow>,
    /// `after` of the next page; null on the last one. A page may be short of `limit`, or empty, and have one: then as
    /// many payments were looked at as one request may, and further on there may be more that fit.
    pub next: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct PaymentStory {
    pub payment: PaymentRow,
    pub order: Option<Order>,
    pub cancellations: Vec<CancellationStory>,
    pub timeline: Vec<EventRow>,
    pub messages: Vec<MessageShown>,
    pub alerts: Vec<AlertRow>,
}

#[derive(Serialize, ToSchema)]
pub struct CancellationStory {
    #[serde(flatten)]
    pub cancellation: CancellationRow,
    pub attempts: Vec<AttemptRow>,
}

/// A message that came in about the payment.
#[derive(Serialize, ToSchema)]
pub struct MessageShown {
    pub id: i64,
    #[schema(format = DateTime)]
    pub received_at: String,
    pub source: String,
    pub status: Option<String>,
    /// Null: PortOne has not been asked yet.
    pub verdict: Option<String>,
    pub detail: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct PaymentStatus {
    pub imp_uid: String,
    pub status: Status,
    pub amount: Won,
    pub cancelled_amount: Won,
    /// What can still be cancelled.
    pub balance: Won,
    /// The cancellation that is open.
    pub cancellation: Option<String>,
    pub hold: Option<Hold>,
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// How a cancellation stands, and its payment.
#[derive(Serialize, ToSchema)]
pub struct Cancelled {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<CancellationRow>,
    pub payment: PaymentRow,
}

#[derive(Serialize, ToSchema)]
pub struct OrderMade {
    pub order: Order,
    /// Whether PortOne has the amount by now.
    pub prepared: bool,
}

#[derive(Serialize, ToSchema)]
pub struct LinkMade {
    /// To be sent to the buyer, and kept nowhere else.
    pub url: String,
    /// When it stops opening anything.
    pub expires_at: String,
}

#[derive(Serialize, ToSchema)]
pub struct OrderStory {
    pub order: Order,
    pub prepared: bool,
    pub payments: Vec<PaymentRow>,
}

#[derive(Serialize, ToSchema)]
pub struct PartnerPage {
    pub items: Vec<Listed>,
    pub next: Option<String>,
}

/// A partner as it is to be. `account` and `contact` may be written as one object each or field by field.
#[derive(Serialize, ToSchema)]
pub struct PartnerBody {
    #[schema(example = "farm-1")]
    pub id: Option<String>,
    #[schema(example = "햇살농장")]
    pub name: Option<String>,
    #[serde(rename = "type")]
    #[schema(example = "BUSINESS_GENERAL")]
    pub kind: Option<String>,
    #[schema(example = "220-81-62517")]
    pub business_number: Option<String>,
    pub account: Option<AccountBody>,
    pub contact: Option<ContactBody>,
    #[schema(example = "APPROVED")]
    pub status: Option<String>,
    pub memo: Option<String>,
    pub tags: Option<Vec<String>>,
}

#[derive(Serialize, ToSchema)]
pub struct AccountBody {
    /// A bank's code or name.
    #[schema(example = "004")]
    pub bank: Option<String>,
    #[schema(example = "00400012345")]
    pub number: Option<String>,
    #[schema(example = "햇살농장")]
    pub holder: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct ContactBody {
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
}

/// A partner's money, in won.
#[derive(Serialize, ToSchema)]
pub struct PartnerAccount {
    pub partner: String,
    pub earned: Won,
    pub paid: Won,
    pub open: Won,
    pub carry: Won,
}

/// The same in both languages.
#[derive(Serialize, ToSchema)]
pub struct Both {
    pub ko: String,
    pub en: String,
}

#[derive(Serialize, ToSchema)]
pub struct ContractMade {
    #[serde(flatten)]
    pub version: Version,
    /// When it is paid, in words.
    pub cycle: Both,
}

#[derive(Serialize, ToSchema)]
pub struct ContractShown {
    #[serde(flatten)]
    pub version: Version,
    pub cycle: Both,
    pub standing: Standing,
}

#[derive(Serialize, ToSchema)]
pub struct ContractPage {
    pub items: Vec<ContractShown>,
    pub next: Option<String>,
}

/// What a file of partners and contracts comes to.
#[derive(Serialize, ToSchema)]
pub struct PartnersImported {
    pub dry_run: bool,
    pub rows: usize,
    pub added: usize,
    pub changed: usize,
    pub unchanged: usize,
    pub contracts: usize,
    pub items: Vec<Value>,
}

#[derive(Serialize, ToSchema)]
pub struct SettlementPage {
    pub items: Vec<SettlementRow>,
    pub next: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct SettlementStory {
    pub settlement: SettlementRow,
    /// Negative ones that it covered.
    pub carried_in_from: Vec<SettlementRow>,
    pub payouts: Vec<PayoutRow>,
    pub history: Vec<Happened>,
    pub contract: Option<Version>,
}

#[derive(Serialize, ToSchema)]
pub struct SettlementActed {
    pub settlement: SettlementRow,
}

#[derive(Serialize, ToSchema)]
pub struct LinePage {
    pub items: Vec<LineRow>,
    pub next: Option<String>,
}

/// The day is being settled, and the answer did not wait for it.
#[derive(Serialize, ToSchema)]
pub struct DayRunning {
    pub day: KstDay,
    pub running: bool,
    /// Where it says how far it is.
    pub see: String,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum DayReopened {
    Settled(Report),
    Opened { day: KstDay, opened: bool },
}

/// What a period comes to.
#[derive(Serialize, ToSchema)]
pub struct StatementTotals {
    #[serde(flatten)]
    pub sums: Sums,
    pub earned: Won,
    pub carried_in: Won,
    pub payable: Won,
    pub completed: Won,
    pub held: Won,
    pub open_carry: Won,
}

#[derive(Serialize, ToSchema)]
pub struct StatementShown {
    pub partner: PartnerRow,
    pub from: KstDay,
    pub to: KstDay,
    pub totals: StatementTotals,
    pub settlements: Vec<SettlementRow>,
    pub lines: Vec<LineRow>,
    pub next: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct AdjustmentPage {
    pub items: Vec<AdjustmentRow>,
    pub next: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct AdjustmentBody {
    pub partner: String,
    /// Positive adds to what the partner is owed, negative takes.
    #[schema(example = -5000)]
    pub amount: Won,
    #[schema(example = "배송비 정산")]
    pub reason: String,
}

#[derive(Serialize, ToSchema)]
pub struct AdjustmentMade {
    pub adjustment: AdjustmentRow,
}

#[derive(Serialize, ToSchema)]
pub struct AdjustmentsImported {
    pub dry_run: bool,
    /// The file's fingerprint.
    pub file: String,
    pub rows: Vec<Value>,
    pub total: Won,
    /// The approval that all of it waits for.
    pub waits: Option<i64>,
}

/// The same request again: what was booked, or the approval that it waited for.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AdjustmentKnown {
    Booked(AdjustmentMade),
    Waited(ApprovalStory),
}

#[derive(Serialize, ToSchema)]
pub struct ApprovalPage {
    pub items: Vec<ApprovalRow>,
    pub next: Option<String>,
    /// How many wait in all.
    pub waiting: i64,
}

/// An approval, and the adjustments that it asks for.
#[derive(Serialize, ToSchema)]
pub struct ApprovalStory {
    pub approval: ApprovalRow,
    pub adjustments: Option<Vec<Value>>,
}

/// Why a partner is not paid now is `why`.
#[derive(Serialize, ToSchema)]
pub struct Waiting {
    pub partner: String,
    pub partner_name: String,
    pub why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Won>,
    pub amount: Won,
    pub settlements: Vec<i64>,
}

/// What a batch would hold.
#[derive(Serialize, ToSchema)]
pub struct Due {
    pub until: KstDay,
    pub payouts: Vec<Proposed>,
    pub waiting: Vec<Waiting>,
    /// Settlements of 0 won: closed along with the batch.
    pub nothing_to_pay: Vec<i64>,
    pub total: Won,
    /// Send it as `seen` when the batch is made: another proposal is refused then.
    pub fingerprint: String,
}

#[derive(Serialize, ToSchema)]
pub struct BatchPage {
    pub items: Vec<BatchRow>,
    pub next: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct PartOfPayout {
    /// The settlement.
    pub id: i64,
    pub day: KstDay,
    pub amount: Won,
}

/// One partner's transfer, with the settlements that it pays.
#[derive(Serialize, ToSchema)]
pub struct PayoutOfBatch {
    pub id: i64,
    pub batch: i64,
    pub partner: String,
    pub partner_name: String,
    pub state: PayoutState,
    pub gross: Won,
    pub income_tax: Won,
    pub local_tax: Won,
    /// What is transferred.
    pub amount: Won,
    pub bank: String,
    pub account: String,
    pub holder: String,
    pub reason: Option<String>,
    #[schema(format = DateTime)]
    pub decided_at: Option<String>,
    pub decided_by: Option<String>,
    pub settlements: Vec<PartOfPayout>,
    /// By which the bank's answer is matched.
    pub reference: String,
}

#[derive(Serialize, ToSchema)]
pub struct PayoutTotals {
    pub payouts: usize,
    pub gross: Won,
    pub income_tax: Won,
    pub local_tax: Won,
    pub amount: Won,
}

#[derive(Serialize, ToSchema)]
pub struct BatchStory {
    pub batch: BatchRow,
    pub payouts: Vec<PayoutOfBatch>,
    pub totals: PayoutTotals,
    pub timeline: Vec<Happened>,
    /// The approval of a second person that it needs, or needed.
    pub approval: Option<ApprovalRow>,
}

#[derive(Serialize, ToSchema)]
pub struct BatchCalledOff {
    #[serde(flatten)]
    pub batch: BatchStory,
    /// How many payouts were called off.
    pub called_off: usize,
}

#[derive(Serialize, ToSchema)]
pub struct PayoutShown {
    #[serde(flatten)]
    pub payout: PayoutRow,
    pub reference: String,
}

/// What the bank's words changed.
#[derive(Serialize, ToSchema)]
pub struct ToldByBank {
    pub paid: usize,
    pub failed: usize,
    pub same: usize,
}

#[derive(Serialize, ToSchema)]
pub struct PayoutDecided {
    pub told: ToldByBank,
    pub payout: PayoutShown,
}

#[derive(Serialize, ToSchema)]
pub struct MatchedTransfer {
    /// Of the file, counted from 1.
    pub line: usize,
    pub payout: i64,
    pub reference: String,
    pub partner: String,
    pub partner_name: String,
    pub amount: Won,
    pub state: PayoutState,
    pub reason: Option<String>,
    /// The books say so already.
    pub known: bool,
}

#[derive(Serialize, ToSchema)]
pub struct BankResultRead {
    pub dry_run: bool,
    pub matched: Vec<MatchedTransfer>,
    pub unmentioned: Vec<PayoutShown>,
    pub told: Option<ToldByBank>,
}

#[derive(Serialize, ToSchema)]
pub struct CalendarYear {
    pub year: i16,
    pub weekdays_off: Vec<KstDay>,
    pub holidays: Vec<Holiday>,
    pub added: Vec<Special>,
}

#[derive(Serialize, ToSchema)]
pub struct CalendarChanged {
    pub day: KstDay,
    pub dry_run: bool,
    /// Whether it is a business day now.
    pub business_day: bool,
    /// Settlements whose payout day moves.
    pub moved: Vec<Moved>,
}

#[derive(Serialize, ToSchema)]
pub struct TemplatePage {
    pub items: Vec<Known>,
    pub next: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct TemplateRemoved {
    pub name: String,
    /// A seeded one is as it came again.
    pub reset: bool,
}

/// What PortOne's message or the browser's callback says. Nothing is believed but which payment to ask about.
#[derive(Serialize, ToSchema)]
pub struct Message {
    #[schema(example = "imp_262385355247")]
    pub imp_uid: String,
    #[schema(example = "ord-1001")]
    pub merchant_uid: Option<String>,
    #[schema(example = "paid")]
    pub status: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct MessageTaken {
    /// `BOOKED`, `NO_NEWS`, `UNKNOWN_PAYMENT`; null where PortOne will be asked again.
    pub verdict: Option<String>,
    pub payment: Option<Value>,
    pub detail: Option<String>,
}
