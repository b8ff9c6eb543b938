//! Keys of programs: what a name must be, which rights a key may carry, when it is over. Pure.

use std::{fmt, time::Duration};

use super::account::{Right, Rights};

/// With what every secret begins, so that one that lies about somewhere is recognised.
pub const MARK: &str = "jsk_";

/// The longest time for which a key can be made that ends by itself: ten years.
pub const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongKey {
    #[error(
        "a key's name is 2 to 40 small letters, digits, `-`, `_` or `.`, and begins with a letter"
    )]
    Name,
    #[error("a key needs one scope at least: {}", all_scopes())]
    NoScope,
    #[error("this is no scope: expected {}", all_scopes())]
    Scope,
    #[error("`own:read` is for partners' accounts: a key cannot have it")]
    Own,
    #[error("a key ends after a minute to 3,650 days, or never")]
    Expiry,
}

impl WrongKey {
    pub fn is_transient(self) -> bool {
        false
    }
}

/// Every right that a key may carry. A partner's own view needs a partner's account.
pub fn grantable() -> impl Iterator<Item = Right> {
    Rights::ALL_BUT_OWN.list().into_iter()
}

/// Their names, for sentences.
pub fn all_scopes() -> String {
    let names: Vec<&str> = grantable().map(Right::as_str).collect();
    names.join(", ")
}

/// What a program is called, in timelines and in the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyName(String);

impl KeyName {
    pub fn new(text: &str) -> Result<KeyName, WrongKey> {
        let text = text.trim();
        let fits = (2..=40).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
        if fits {
            Ok(KeyName(text.to_owned()))
        } else {
            Err(WrongKey::Name)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Rights by their names; spaces and commas part them.
pub fn scopes<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Rights, WrongKey> {
    let mut rights = Vec::new();
    for name in names
        .into_iter()
        .flat_map(|text| text.split([',', ' ']))
        .filter(|name| !name.is_empty())
    {
        match Right::parse(name) {
            Some(Right::OwnSettlements) => return Err(WrongKey::Own),
            Some(right) => rights.push(right),
            None => return Err(WrongKey::Scope),
        }
    }
    if rights.is_empty() {
        return Err(WrongKey::NoScope);
    }
    Ok(Rights::of(&rights))
}

/// How long a key is to last, if it is to end by itself.
pub fn lasts(asked: Option<Duration>) -> Result<Option<Duration>, WrongKey> {
    match asked {
        Some(long) if long < Duration::from_secs(60) || long > LONGEST => Err(WrongKey::Expiry),
        fits => Ok(fits),
    }
}

/// Whether a key opens anything now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    Live,
    Expired,
    Revoked,
}

impl Standing {
    /// By when it ends, when it was revoked, and what time it is, all in milliseconds.
    pub fn of(expires_at: Option<i64>, revoked_at: Option<i64>, now: i64) -> Standing {
        if revoked_at.is_some() {
            Standing::Revoked
        } else if expires_at.is_some_and(|at| at <= now) {
            Standing::Expired
        } else {
            Standing::Live
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Live => "live",
            Standing::Expired => "expired",
            Standing::Revoked => "revoked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain() {
        assert_eq!(KeyName::new(" shop-2 ").unwrap().as_str(), "shop-2");
        for wrong in [
            "",
            "a",
            "2nd",
            "Shop",
            "가게",
            "a b",
            "a:b",
            &"x".repeat(41),
        ] {
            assert_eq!(KeyName::new(wrong), Err(WrongKey::Name), "{wrong}");
        }
    }

    #[test]
    fn scopes_are_named_one_by_one_or_in_a_list_and_own_is_not_among_them() {
        let two = scopes(["payments:read,orders:write"]).unwrap();
        assert_eq!(two.list(), [Right::PaymentsRead, Right::OrdersWrite]);
        assert_eq!(scopes(["orders:write", "payments:read"]).unwrap(), two);
        assert_eq!(scopes(["", " , "]), Err(WrongKey::NoScope));
        assert_eq!(scopes(["payments:write"]), Err(WrongKey::Scope));
        assert_eq!(scopes(["own:read"]), Err(WrongKey::Own));
        assert!(!all_scopes().contains("own:read") && all_scopes().contains("manage"));
    }

    #[test]
    fn a_key_is_over_at_its_time_and_not_before() {
        assert_eq!(Standing::of(None, None, 5), Standing::Live);
        assert_eq!(Standing::of(Some(6), None, 5), Standing::Live);
        assert_eq!(Standing::of(Some(5), None, 5), Standing::Expired);
        assert_eq!(Standing::of(Some(5), Some(1), 5), Standing::Revoked);
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(lasts(seconds(59)), Err(WrongKey::Expiry));
        assert_eq!(lasts(seconds(3_651 * 86_400)), Err(WrongKey::Expiry));
        assert_eq!(lasts(seconds(60)), Ok(seconds(60)));
        assert_eq!(lasts(None), Ok(None));
    }
}
