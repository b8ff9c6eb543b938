//! Rules of the house that may be changed while the program runs: what each may be. Pure.
//!
//! The settings of the start (file, environment) are what holds where nothing was chosen here.

use std::time::Duration;

use serde::Serialize;
use url::Url;

use super::{episode::Pace, money::Won};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A person who gives back more than this is asked again who they are.
    RefundAgainOver,
    /// A payout batch above this waits for a second person.
    PayoutOver,
    /// An adjustment above this waits for a second person.
    AdjustmentOver,
    /// Words on top of every page.
    Notice,
    /// Where alerts are sent.
    Slack,
    FirstSummary,
    SecondSummary,
    LaterSummary,
    Quiet,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Won,
    Words,
    SlackUrl,
    Time,
}

/// The longest notice.
pub const LONGEST_NOTICE: usize = 200;
/// Alerts are told together after so long, at the least and at the most.
pub const TIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(7 * 86_400);
/// The one host that alerts may be sent to from here; others stand in the settings of the start.
pub const SLACK_HOST: &str = "hooks.slack.com";

/// A value that a rule cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongRule {
    #[error("expected whole won from 0 to {}, such as 1,000,000", Won::LARGEST)]
    Won,
    #[error("expected up to {LONGEST_NOTICE} characters in one line")]
    Words,
    #[error(
        "expected an address that begins with https://{SLACK_HOST}/services/: other hosts are set in the settings of the start alone"
    )]
    SlackUrl,
    #[error("expected a time from 10s to 7d, such as 5m or 1h")]
    Time,
}

impl Rule {
    pub const ALL: [Rule; 9] = [
        Rule::PayoutOver,
        Rule::AdjustmentOver,
        Rule::RefundAgainOver,
        Rule::Notice,
        Rule::Slack,
        Rule::FirstSummary,
        Rule::SecondSummary,
        Rule::LaterSummary,
        Rule::Quiet,
    ];

    /// Its name. Where the settings of the start have one of the same meaning, it is called the same.
    pub fn key(self) -> &'static str {
        match self {
            Rule::RefundAgainOver => "refund.again_over",
            Rule::PayoutOver => "approvals.payout_over",
            Rule::AdjustmentOver => "approvals.adjustment_over",
            Rule::Notice => "pages.notice",
            Rule::Slack => "slack.webhook_url",
            Rule::FirstSummary => "alerts.first_summary",
            Rule::SecondSummary => "alerts.second_summary",
            Rule::LaterSummary => "alerts.later_summary",
            Rule::Quiet => "alerts.quiet",
        }
    }

    pub fn parse(key: &str) -> Option<Rule> {
        Rule::ALL.into_iter().find(|rule| rule.key() == key)
    }

    pub fn form(self) -> Form {
        match self {
            Rule::RefundAgainOver | Rule::PayoutOver | Rule::AdjustmentOver => Form::Won,
            Rule::Notice => Form::Words,
            Rule::Slack => Form::SlackUrl,
            Rule::FirstSummary | Rule::SecondSummary | Rule::LaterSummary | Rule::Quiet => {
                Form::Time
            }
        }
    }

    /// Whether nobody may read it once it is set.
    pub fn is_secret(self) -> bool {
        self.form() == Form::SlackUrl
    }

    /// Reads what a person wrote, and gives it as it is kept.
    pub fn read(self, text: &str) -> Result<String, WrongRule> {
        let text = text.trim();
        match self.form() {
            Form::Won => won(text)
                .map(|won| won.get().to_string())
                .ok_or(WrongRule::Won),
            Form::Words => {
                let fits = !text.is_empty()
                    && text.chars().count() <= LONGEST_NOTICE
                    && !text.chars().any(char::is_control);
                fits.then(|| text.to_owned()).ok_or(WrongRule::Words)
            }
            Form::SlackUrl => slack(text).map(String::from).ok_or(WrongRule::SlackUrl),
            Form::Time => time(text).map(|_| text.to_owned()).ok_or(WrongRule::Time),
        }
    }
}

/// An amount as people write it: `1,000,000`, `₩1000000`, `1000000원`.
pub fn won(text: &str) -> Option<Won> {
    let digits: String = text
        .chars()
        .filter(|c| !matches!(c, ',' | '₩' | '원' | ' '))
        .collect();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits
        .parse()
        .ok()
        .map(Won::new)
        .filter(|won| *won <= Won::LARGEST)
}

/// An incoming webhook of Slack, and of nobody else.
pub fn slack(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let slacks = url.scheme() == "https"
        && url.host_str() == Some(SLACK_HOST)
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path().starts_with("/services/");
    slacks.then_some(url)
}

/// `5m`, `1h 30m`, within what is allowed.
pub fn time(text: &str) -> Option<Duration> {
    humantime::parse_duration(text)
        .ok()
        .filter(|time| TIMES.contains(time))
}

/// The pace of alerts with what was chosen here in place of what the start has.
pub fn pace(start: Pace, chosen: impl Fn(Rule) -> Option<Duration>) -> Pace {
    Pace {
        first: chosen(Rule::FirstSummary).unwrap_or(start.first),
        second: chosen(Rule::SecondSummary).unwrap_or(start.second),
        later: chosen(Rule::LaterSummary).unwrap_or(start.later),
        quiet: chosen(Rule::Quiet).unwrap_or(start.quiet),
    }
}

/// A setting of the start as it is shown: a secret's value is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Started {
    pub key: &'static str,
    /// `None`: not set.
    pub value: Option<String>,
    /// Where it comes from; `None` is the default.
    pub source: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_as_one_spelling_or_refused() {
        for (rule, text, kept) in [
            (Rule::PayoutOver, " ₩1,000,000원 ", Some("1000000")),
            (Rule::PayoutOver, "0", Some("0")),
            (Rule::PayoutOver, "1,000,000,000,000", Some("1000000000000")),
            (Rule::PayoutOver, "1,000,000,000,001", None),
            (Rule::PayoutOver, "-1", None),
            (Rule::PayoutOver, "1.5", None),
            (Rule::PayoutOver, "원", None),
            (Rule::RefundAgainOver, "99999999999999999999", None),
            (Rule::Notice, " 점검 중 ", Some("점검 중")),
            (Rule::Notice, "a\nb", None),
            (Rule::Notice, "  ", None),
            (Rule::Quiet, "10m", Some("10m")),
            (Rule::Quiet, "9s", None),
            (Rule::Quiet, "8d", None),
            (Rule::Quiet, "soon", None),
        ] {
            assert_eq!(rule.read(text).ok().as_deref(), kept, "{rule:?} {text}");
        }
        assert!(Rule::Notice.read(&"가".repeat(201)).is_err());
    }

    #[test]
    fn alerts_go_to_slack_and_nowhere_else() {
        let own = "https://hooks.slack.com/services/T0/B0/x";
        assert_eq!(Rule::Slack.read(own).as_deref(), Ok(own));
        for evil in [
            "http://hooks.slack.com/services/T0/B0/x",
            "https://hooks.slack.com:8443/services/T0/B0/x",
            "https://hooks.slack.com.evil.example/services/x",
            "https://hooks.slack.com@evil.example/services/x",
            "https://x:y@hooks.slack.com/services/x",
            "https://evil.example/hooks.slack.com/services/x",
            "https://127.0.0.1/services/x",
            "https://hooks.slack.com./services/x",
            "https://hooks.slack.com/other",
            "https://xn--hooks.slack.com/services/x",
            "ftp://hooks.slack.com/services/x",
            "hooks.slack.com/services/x",
            "",
        ] {
            assert_eq!(Rule::Slack.read(evil), Err(WrongRule::SlackUrl), "{evil}");
        }
    }

    #[test]
    fn keys_are_found_again() {
        for rule in Rule::ALL {
            assert_eq!(Rule::parse(rule.key()), Some(rule));
        }
        assert_eq!(Rule::parse("portone.imp_secret"), None);
    }
}
