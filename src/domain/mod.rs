//! Pure rules: no clock, no SQL, no HTTP. Everything here can be tested in microseconds.

pub mod account;
pub mod alert;
pub mod api_key;
pub mod bank;
pub mod calendar;
pub mod cancellation;
pub mod contract;
pub mod cycle;
pub mod derivation;
pub mod digest;
pub mod episode;
pub mod guessing;
pub mod holidays;
pub mod ids;
pub mod job;
pub mod masks;
pub mod money;
pub mod order;
pub mod partner;
pub mod partner_draft;
pub mod payment;
pub mod retry;
pub mod seen;
pub mod settlement;
pub mod terms_draft;
pub mod withholding;
