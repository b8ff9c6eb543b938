//! Who may do what: roles of people, rights of roles, and what a name or a password must be. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a person is here for. Each role's rights stand in [`Role::rights`], and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, people and settings too.
    Owner,
    /// Payments, cancellations, dead letters.
    Operator,
    /// Settlements, payouts, partners, exports.
    Accountant,
    /// Sees, masked, and takes nothing away.
    Viewer,
    /// A partner's own settlements and statements, and nothing else.
    Partner,
}

impl Role {
    pub const ALL: [Role; 5] = [
        Role::Owner,
        Role::Operator,
        Role::Accountant,
        Role::Viewer,
        Role::Partner,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Operator => "operator",
            Role::Accountant => "accountant",
            Role::Viewer => "viewer",
            Role::Partner => "partner",
        }
    }

    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }

    pub fn rights(self) -> Rights {
        use Right::*;
        match self {
            Role::Owner => Rights::ALL_BUT_OWN,
            Role::Operator => Rights::of(&[
                PaymentsRead,
                PaymentsCancel,
                OrdersWrite,
                JobsRead,
                JobsWrite,
                SettlementsRead,
                PartnersRead,
                PersonalRead,
            ]),
            Role::Accountant => Rights::of(&[
                PaymentsRead,
                JobsRead,
                SettlementsRead,
                SettlementsWrite,
                PayoutsWrite,
                PartnersRead,
                PartnersWrite,
                Export,
                PersonalRead,
                AuditRead,
            ]),
            Role::Viewer => Rights::of(&[PaymentsRead, JobsRead, SettlementsRead, PartnersRead]),
            Role::Partner => Rights::of(&[OwnSettlements]),
        }
    }
}

/// One thing that one may be allowed. API keys carry the same under the name of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Orders and payments, masked.
    PaymentsRead,
    PaymentsCancel,
    OrdersWrite,
    /// Jobs, dead letters, alerts, the inbox.
    JobsRead,
    JobsWrite,
    SettlementsRead,
    /// Settling, holding, adjusting.
    SettlementsWrite,
    /// Batches, the bank's files, who was paid; the calendar.
    PayoutsWrite,
    PartnersRead,
    PartnersWrite,
    /// Taking files away.
    Export,
    /// Seeing a person's data unmasked, with a reason that is kept.
    PersonalRead,
    AuditRead,
    /// People, keys and settings.
    Manage,
    /// A partner's own.
    OwnSettlements,
}

impl Right {
    pub const ALL: [Right; 15] = [
        Right::PaymentsRead,
        Right::PaymentsCancel,
        Right::OrdersWrite,
        Right::JobsRead,
        Right::JobsWrite,
        Right::SettlementsRead,
        Right::SettlementsWrite,
        Right::PayoutsWrite,
        Right::PartnersRead,
        Right::PartnersWrite,
        Right::Export,
        Right::PersonalRead,
        Right::AuditRead,
        Right::Manage,
        Right::OwnSettlements,
    ];

    /// Its name as a scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Right::PaymentsRead => "payments:read",
            Right::PaymentsCancel => "payments:cancel",
            Right::OrdersWrite => "orders:write",
            Right::JobsRead => "jobs:read",
            Right::JobsWrite => "jobs:write",
            Right::SettlementsRead => "settlements:read",
            Right::SettlementsWrite => "settlements:write",
            Right::PayoutsWrite => "payouts:write",
            Right::PartnersRead => "partners:read",
            Right::PartnersWrite => "partners:write",
            Right::Export => "export",
            Right::PersonalRead => "personal:read",
            Right::AuditRead => "audit:read",
            Right::Manage => "manage",
            Right::OwnSettlements => "own:read",
        }
    }

    pub fn parse(text: &str) -> Option<Right> {
        Right::ALL.into_iter().find(|right| right.as_str() == text)
    }
}

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u32);

impl Rights {
    pub const NONE: Rights = Rights(0);
    /// All that a shop's own people can have: a partner's view needs a partner.
    pub const ALL_BUT_OWN: Rights = Rights((1 << Right::OwnSettlements as u32) - 1);

    pub fn of(rights: &[Right]) -> Rights {
        Rights(rights.iter().fold(0, |set, right| set | 1 << *right as u32))
    }

    pub fn has(self, right: Right) -> bool {
        self.0 & (1 << right as u32) != 0
    }

    pub fn list(self) -> Vec<Right> {
        Right::ALL
            .into_iter()
            .filter(|right| self.has(*right))
            .collect()
    }
}

/// A sign-in name, or a sentence about what it must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UserName(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    #[error(
        "a sign-in name is 2 to 40 small letters, digits, `-`, `_` or `.`, and begins with a letter"
    )]
    Name,
    #[error("a password has at least {} characters", PASSWORD.start())]
    Short,
    #[error("a password has at most {} characters", PASSWORD.end())]
    Long,
    #[error(
        "this password is guessed too easily: take a longer one, or some words that do not belong together"
    )]
    Guessable,
}

impl AccountError {
    pub fn is_transient(self) -> bool {
        false
    }
}

/// Characters of a password: at least eight, as ASVS 5.0 6.2.1 has it, and room for a whole sentence.
pub const PASSWORD: std::ops::RangeInclusive<usize> = 8..=200;

/// How many guesses a password must be worth, as a power of ten: beyond any list of common ones, and
/// beyond what the lockout lets anybody try in a lifetime.
const WORTH: f64 = 8.0;

impl UserName {
    pub fn new(text: &str) -> Result<UserName, AccountError> {
        let text = text.trim().to_lowercase();
        let fits = (2..=40).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
        if fits {
            Ok(UserName(text))
        } else {
            Err(AccountError::Name)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How it stands in a timeline: no part of the program has a name like this.
    pub fn mention(&self) -> String {
        format!("@{}", self.0)
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a password may be taken: long enough, and on no list of what people take. `known` are
/// words that whoever attacks knows as well, such as the sign-in name.
pub fn check_password(password: &str, known: &[&str]) -> Result<(), AccountError> {
    let long = password.chars().count();
    if long < *PASSWORD.start() {
        return Err(AccountError::Short);
    }
    if long > *PASSWORD.end() {
        return Err(AccountError::Long);
    }
    // The estimate takes longer the longer the text is, and no attacker guesses beyond this.
    let head: String = password.chars().take(64).collect();
    if zxcvbn::zxcvbn(&head, known).guesses_log10() < WORTH {
        return Err(AccountError::Guessable);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_what_its_name_says_and_no_more() {
        let may = |role: Role, right| role.rights().has(right);
        assert!(Role::Owner.rights().list().len() == Right::ALL.len() - 1);
        assert!(may(Role::Operator, Right::PaymentsCancel));
        assert!(!may(Role::Operator, Right::PayoutsWrite) && !may(Role::Operator, Right::Export));
        assert!(may(Role::Accountant, Right::Export));
        assert!(!may(Role::Accountant, Right::PaymentsCancel));
        for right in [
            Right::Export,
            Right::PersonalRead,
            Right::Manage,
            Right::PaymentsCancel,
        ] {
            assert!(!may(Role::Viewer, right), "{right:?}");
        }
        assert_eq!(Role::Partner.rights().list(), [Right::OwnSettlements]);
    }

    #[test]
    fn names_are_read_back_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        for right in Right::ALL {
            assert_eq!(Right::parse(right.as_str()), Some(right));
            assert_eq!(Rights::of(&[right]).list(), [right]);
        }
    }

    #[test]
    fn a_sign_in_name_is_plain() {
        assert_eq!(UserName::new(" Min.ji ").unwrap().as_str(), "min.ji");
        for wrong in ["", "a", "1st", "민지", "a b", "a@b", &"x".repeat(41)] {
            assert_eq!(UserName::new(wrong), Err(AccountError::Name), "{wrong}");
        }
    }

    #[test]
    fn a_password_that_is_guessed_is_refused() {
        assert_eq!(check_password("short", &[]), Err(AccountError::Short));
        for common in [
            "password",
            "12345678",
            "qwertyuiop",
            "iloveyou1",
            "minji2026",
            "abcdabcd",
        ] {
            let checked = check_password(common, &["minji"]);
            assert_eq!(checked, Err(AccountError::Guessable), "{common}");
        }
        for good in [
            "correct horse battery",
            "gx8!kQ2zPw",
            "사과나무 아래 고양이 셋",
        ] {
            assert_eq!(check_password(good, &["minji"]), Ok(()), "{good}");
        }
        assert_eq!(check_password(&"가나다라 ".repeat(20), &[]), Ok(()));
        assert_eq!(
            check_password(&"x".repeat(300), &[]),
            Err(AccountError::Long)
        );
    }
}
