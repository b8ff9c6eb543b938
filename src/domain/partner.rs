//! Who is owed: a partner, as the law sees it and as the bank does.
//!
//! What is here has been checked. What people write down is a [`PartnerDraft`], and its `check` is
//! the only way from there to here.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{bank::BankAccount, ids::PartnerId};

pub use super::partner_draft::{FieldError, PartnerDraft, WrongPartner};

// --- What the law sees

/// How a business is taxed (과세유형), as PortOne tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Taxation {
    /// 일반과세.
    General,
    /// 간이과세, with sales that oblige it to issue tax invoices.
    SimplifiedInvoice,
    /// 간이과세, without tax invoices.
    Simplified,
    /// 면세.
    TaxFree,
}

/// What a partner is to the tax office. Kept and sent as a code, [`PartnerType::as_str`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum PartnerType {
    Business {
        taxation: Taxation,
    },
    /// 3.3 % is kept from what it is paid (원천징수 대상자).
    WithholdingIndividual,
    /// Nothing is kept (비대상자).
    Individual,
    /// The shop itself: settled like the others, and never paid out.
    Own,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no type of partner; expected one of {expected}", expected = codes(&PartnerType::ALL, |t| t.as_str()))]
pub struct NotAPartnerType {
    pub given: String,
}

impl PartnerType {
    pub const ALL: [PartnerType; 7] = [
        Self::Business {
            taxation: Taxation::General,
        },
        Self::Business {
            taxation: Taxation::SimplifiedInvoice,
        },
        Self::Business {
            taxation: Taxation::Simplified,
        },
        Self::Business {
            taxation: Taxation::TaxFree,
        },
        Self::WithholdingIndividual,
        Self::Individual,
        Self::Own,
    ];

    /// The code, which never changes.
    pub fn as_str(self) -> &'static str {
        self.all_words().0
    }

    pub fn ko(self) -> &'static str {
        self.all_words().1
    }

    pub fn en(self) -> &'static str {
        self.all_words().2
    }

    fn all_words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Business { taxation } => match taxation {
                Taxation::General => (
                    "BUSINESS_GENERAL",
                    "사업자(일반과세)",
                    "business, general taxation",
                ),
                Taxation::SimplifiedInvoice => (
                    "BUSINESS_SIMPLIFIED_INVOICE",
                    "사업자(간이과세, 세금계산서 발행)",
                    "business, simplified taxation with tax invoices",
                ),
                Taxation::Simplified => (
                    "BUSINESS_SIMPLIFIED",
                    "사업자(간이과세, 세금계산서 미발행)",
                    "business, simplified taxation without tax invoices",
                ),
                Taxation::TaxFree => ("BUSINESS_TAX_FREE", "사업자(면세)", "business, tax-free"),
            },
            Self::WithholdingIndividual => (
                "WITHHOLDING_INDIVIDUAL",
                "개인(원천징수 대상)",
                "individual, with withholding tax",
            ),
            Self::Individual => (
                "INDIVIDUAL",
                "개인(원천징수 비대상)",
                "individual, without withholding tax",
            ),
            Self::Own => ("OWN", "자사", "the shop itself"),
        }
    }

    /// From its code or its words, whatever the case and the spaces.
    pub fn parse(text: &str) -> Result<PartnerType, NotAPartnerType> {
        Self::ALL
            .into_iter()
            .find(|kind| same_word(text, &[kind.as_str(), kind.ko(), kind.en()]))
            .ok_or_else(|| NotAPartnerType {
                given: shown(text).to_owned(),
            })
    }

    /// Is tax kept from what it is paid? How much: [`super::withholding::withhold`].
    pub fn withholds(self) -> bool {
        matches!(self, Self::WithholdingIndividual)
    }

    /// Does money leave for it at all?
    pub fn is_paid_out(self) -> bool {
        !matches!(self, Self::Own)
    }

    pub fn is_business(self) -> bool {
        matches!(self, Self::Business { .. })
    }
}

impl TryFrom<String> for PartnerType {
    type Error = NotAPartnerType;
    fn try_from(text: String) -> Result<PartnerType, NotAPartnerType> {
        PartnerType::parse(&text)
    }
}

impl From<PartnerType> for &'static str {
    fn from(kind: PartnerType) -> &'static str {
        kind.as_str()
    }
}

/// A business registration number (사업자등록번호): ten digits, the last of which checks the others.
/// Shown and sent with hyphens, `123-45-67890`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BusinessNumber([u8; 10]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongBusinessNumber {
    #[error("`{0}` is no business number; expected ten digits, such as 999-88-00014")]
    Shape(String),
    #[error("`{0}` is no business number: its last digit does not fit the others; look for a typo")]
    CheckDigit(String),
}

impl BusinessNumber {
    /// Takes digits, with or without hyphens and spaces. Whether a business has the number, only the
    /// tax office knows.
    pub fn parse(text: &str) -> Result<BusinessNumber, WrongBusinessNumber> {
        let digits: Option<Vec<u8>> = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| c.to_digit(10).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits: [u8; 10] = digits
            .and_then(|digits| digits.try_into().ok())
            // Tax offices, the first three digits, are counted from 101.
            .filter(|digits: &[u8; 10]| digits[..3] >= [1, 0, 1][..])
            .ok_or_else(|| WrongBusinessNumber::Shape(shown(text).to_owned()))?;
        if digits[9] != Self::check_digit(&digits) {
            return Err(WrongBusinessNumber::CheckDigit(shown(text).to_owned()));
        }
        Ok(BusinessNumber(digits))
    }

    /// The rule of the tax office (국세청): a weighted sum, and the tens of the ninth product once more.
    fn check_digit(digits: &[u8; 10]) -> u8 {
        const WEIGHTS: [u32; 9] = [1, 3, 7, 1, 3, 7, 1, 3, 5];
        let products = digits.iter().zip(WEIGHTS).map(|(d, w)| u32::from(*d) * w);
        let sum = products.sum::<u32>() + u32::from(digits[8]) * 5 / 10;
        u8::try_from((10 - sum % 10) % 10).unwrap_or_default()
    }
}

impl fmt::Display for BusinessNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: String = self.0.iter().map(|d| char::from(b'0' + d)).collect();
        write!(f, "{}-{}-{}", &digits[..3], &digits[3..5], &digits[5..])
    }
}

impl TryFrom<String> for BusinessNumber {
    type Error = WrongBusinessNumber;
    fn try_from(text: String) -> Result<BusinessNumber, WrongBusinessNumber> {
        BusinessNumber::parse(&text)
    }
}

impl From<BusinessNumber> for String {
    fn from(number: BusinessNumber) -> String {
        number.to_string()
    }
}

// --- The partner

/// May it be paid? As the operator decides.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PartnerStatus {
    #[default]
    Pending,
    Approved,
    Rejected,
}

impl PartnerStatus {
    pub const ALL: [PartnerStatus; 3] = [Self::Pending, Self::Approved, Self::Rejected];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Approved => "APPROVED",
            Self::Rejected => "REJECTED",
        }
    }

    pub fn ko(self) -> &'static str {
        match self {
            Self::Pending => "승인 대기",
            Self::Approved => "승인",
            Self::Rejected => "거절",
        }
    }

    /// From its code, in any case, or its Korean word.
    pub fn parse(text: &str) -> Option<PartnerStatus> {
        let mut all = Self::ALL.into_iter();
        all.find(|status| same_word(text, &[status.as_str(), status.ko()]))
    }
}

/// Whom to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Contact {
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
}

/// A partner of whom every field has been checked. It is read through [`PartnerDraft`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PartnerDraft")]
pub struct Partner {
    pub id: PartnerId,
    /// 1 to 100 characters.
    pub name: String,
    #[serde(rename = "type")]
    pub kind: PartnerType,
    /// Businesses have one, individuals do not, the shop itself may.
    pub business_number: Option<BusinessNumber>,
    /// May be missing until the first payout.
    pub account: Option<BankAccount>,
    pub contact: Contact,
    pub status: PartnerStatus,
    /// Up to 256 characters.
    pub memo: String,
    /// Up to 10, each of 1 to 30 characters.
    pub tags: Vec<String>,
    pub archived: bool,
}

impl Partner {
    pub const LONGEST_NAME: usize = 100;
    pub const LONGEST_MEMO: usize = 256;
    pub const MOST_TAGS: usize = 10;
    pub const LONGEST_TAG: usize = 30;
}

// --- Words

/// Enough of a text to recognise it by.
pub(super) fn shown(text: &str) -> &str {
    let text = text.trim();
    match text.char_indices().nth(60) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

pub(super) fn same_word(given: &str, words: &[&str]) -> bool {
    let plain = |text: &str| -> String {
        let letters = text.chars().filter(|c| !c.is_whitespace());
        letters.flat_map(char::to_lowercase).collect()
    };
    words.iter().any(|word| plain(word) == plain(given))
}

pub(super) fn codes<T: Copy>(all: &[T], code: fn(T) -> &'static str) -> String {
    all.iter()
        .map(|one| code(*one))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_a_code_and_words() {
        for kind in PartnerType::ALL {
            for text in [kind.as_str(), kind.ko(), kind.en()] {
                assert_eq!(PartnerType::parse(text), Ok(kind));
            }
            assert_eq!(kind.withholds(), kind.as_str() == "WITHHOLDING_INDIVIDUAL");
        }
        assert!(PartnerType::parse("BUSINESS").is_err());
    }

    #[test]
    fn a_business_number_checks_itself() {
        // The last is one that a real business prints on its pages: the rule is not only ours.
        for text in ["999-88-00028", "9998800014", "999 88 00033", "220-81-62517"] {
            assert!(BusinessNumber::parse(text).is_ok(), "{text}");
        }
        assert_eq!(
            BusinessNumber::parse("220-81-62571"),
            Err(WrongBusinessNumber::CheckDigit("220-81-62571".into()))
        );
        for text in [
            "",
            "000-00-00000",
            "220-81-6251",
            "999-88-000147",
            "22O-81-62517",
        ] {
            let shape = Err(WrongBusinessNumber::Shape(text.into()));
            assert_eq!(BusinessNumber::parse(text), shape);
        }
    }

    proptest::proptest! {
        #[test]
        fn one_digit_mistyped_is_seen(at in 0usize..9, by in 1u8..10) {
            // The weights are prime to ten, but the ninth: it is seen by its tens.
            let mut digits = BusinessNumber::parse("999-88-00014").unwrap().0;
            digits[at] = (digits[at] + by) % 10;
            let text: String = digits.iter().map(ToString::to_string).collect();
            proptest::prop_assert!(BusinessNumber::parse(&text).is_err());
        }
    }
}
