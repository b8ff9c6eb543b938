//! The traits of `flow`, kept by what is truly outside: PortOne, a broker, Slack.

pub mod broker;
pub mod log;
pub mod outbound;
pub mod portone;
pub mod slack;
