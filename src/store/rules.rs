//! What was chosen while the program runs, in the table of its own settings. Each is looked up where it
//! is needed, so a change holds from the next look on.

use std::time::Duration;

use rusqlite::Connection;
use secrecy::SecretString;

use super::{StoreError, Tx, admin};
use crate::domain::{
    episode::Pace,
    money::Won,
    rules::{self, Rule},
};

fn kept_as(rule: Rule) -> &'static str {
    match rule {
        Rule::RefundAgainOver => "run.refund.again_over",
        Rule::PayoutOver => "run.approvals.payout_over",
        Rule::AdjustmentOver => "run.approvals.adjustment_over",
        Rule::Notice => "run.pages.notice",
        Rule::Slack => "run.slack.webhook_url",
        Rule::FirstSummary => "run.alerts.first_summary",
        Rule::SecondSummary => "run.alerts.second_summary",
        Rule::LaterSummary => "run.alerts.later_summary",
        Rule::Quiet => "run.alerts.quiet",
    }
}

/// What was chosen, as it is kept; `None` where nothing was.
pub fn text(conn: &Connection, rule: Rule) -> Result<Option<String>, StoreError> {
    admin::setting(conn, kept_as(rule))
}

/// Keeps a value that [`Rule::read`] gave, or forgets it.
pub fn put(tx: &Tx<'_>, rule: Rule, value: Option<&str>) -> Result<(), StoreError> {
    match value {
        Some(value) => admin::set(tx, kept_as(rule), value),
        None => admin::unset(tx, kept_as(rule)).map(|_| ()),
    }
}

/// A limit of won; `None` where there is none. One that cannot be read is no limit that nobody set:
/// everything is above it.
pub fn limit(conn: &Connection, rule: Rule) -> Result<Option<Won>, StoreError> {
    Ok(text(conn, rule)?.map(|text| rules::won(&text).unwrap_or(Won::ZERO)))
}

/// The words on top of every page.
pub fn notice(conn: &Connection) -> Result<Option<String>, StoreError> {
    text(conn, Rule::Notice)
}

/// Where alerts are sent.
pub fn slack(conn: &Connection) -> Result<Option<SecretString>, StoreError> {
    Ok(text(conn, Rule::Slack)?.map(SecretString::from))
}

/// How often alerts of one subject are told.
pub fn pace(conn: &Connection, start: Pace) -> Result<Pace, StoreError> {
    let mut chosen: Vec<(Rule, Duration)> = Vec::new();
    for rule in Rule::ALL
        .into_iter()
        .filter(|rule| rule.form() == rules::Form::Time)
    {
        if let Some(time) = text(conn, rule)?.as_deref().and_then(rules::time) {
            chosen.push((rule, time));
        }
    }
    Ok(rules::pace(start, |rule| {
        chosen
            .iter()
            .find(|(of, _)| *of == rule)
            .map(|(_, time)| *time)
    }))
}
