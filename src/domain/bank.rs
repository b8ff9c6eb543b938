//! Where a partner's money goes: a bank, a number and a holder.
//!
//! Banks are known by the three digits that bulk transfers and the clearing system use (금융결제원,
//! 금융기관 공동코드). People write names, in Korean or English, with or without 은행, and spreadsheets
//! drop leading zeros: all of that is read, and kept as the code.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A bank.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bank {
    code: &'static str,
    ko: &'static str,
    en: &'static str,
    /// What else it is called; the first is PortOne's name for it.
    also: &'static [&'static str],
}

const fn bank(
    code: &'static str,
    ko: &'static str,
    en: &'static str,
    also: &'static [&'static str],
) -> Bank {
    Bank { code, ko, en, also }
}

static BANKS: [Bank; 25] = [
    bank("002", "한국산업은행", "KDB", &["KDB", "산업", "KDB산업"]),
    bank("003", "IBK기업은행", "IBK", &["IBK", "기업", "중소기업"]),
    bank(
        "004",
        "KB국민은행",
        "KB Kookmin Bank",
        &["KOOKMIN", "국민", "KB"],
    ),
    bank(
        "007",
        "Sh수협은행",
        "Suhyup Bank",
        &["SUHYUP", "수협", "Sh", "수협중앙회"],
    ),
    bank(
        "011",
        "NH농협은행",
        "NongHyup Bank",
        &["NONGHYUP", "농협", "NH"],
    ),
    bank(
        "012",
        "지역농축협",
        "Local NongHyup",
        &["LOCAL_NONGHYUP", "단위농협", "지역농협", "축협", "농축협"],
    ),
    bank("020", "우리은행", "Woori Bank", &["WOORI"]),
    bank(
        "023",
        "SC제일은행",
        "SC First Bank",
        &["STANDARD_CHARTERED", "제일", "SC"],
    ),
    bank("027", "한국씨티은행", "Citibank Korea", &["CITI", "씨티"]),
    bank(
        "031",
        "iM뱅크",
        "iM Bank",
        &["DAEGU", "대구", "아이엠", "iM뱅크(대구)"],
    ),
    bank("032", "부산은행", "Busan Bank", &["BUSAN", "BNK부산"]),
    bank("034", "광주은행", "Kwangju Bank", &["GWANGJU", "KWANGJU"]),
    bank("035", "제주은행", "Jeju Bank", &["JEJU"]),
    bank("037", "전북은행", "Jeonbuk Bank", &["JEONBUK"]),
    bank("039", "경남은행", "Kyongnam Bank", &["KYONGNAM", "BNK경남"]),
    bank(
        "045",
        "새마을금고",
        "KFCC",
        &["KFCC", "새마을", "MG", "MG새마을금고"],
    ),
    bank(
        "048",
        "신협",
        "Shinhyup",
        &["SHINHYUP", "신용협동조합", "CU"],
    ),
    bank(
        "050",
        "저축은행",
        "Savings Bank",
        &["SAVINGS_BANK", "상호저축"],
    ),
    bank(
        "064",
        "산림조합",
        "National Forestry Cooperative",
        &["SANRIM", "산림조합중앙회"],
    ),
    bank("071", "우체국", "Korea Post", &["POST", "EPOST"]),
    bank("081", "하나은행", "Hana Bank", &["HANA", "KEB하나"]),
    bank("088", "신한은행", "Shinhan Bank", &["SHINHAN"]),
    bank("089", "케이뱅크", "K bank", &["K_BANK", "K뱅크"]),
    bank("090", "카카오뱅크", "KakaoBank", &["KAKAO"]),
    bank("092", "토스뱅크", "Toss Bank", &["TOSS"]),
];

/// One of the banks above. Kept and sent as its three digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub struct BankCode(&'static Bank);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no bank that is known; expected a code such as 004 or a name such as KB국민")]
pub struct NotABank(pub String);

impl BankCode {
    /// By code.
    pub fn all() -> impl Iterator<Item = BankCode> {
        BANKS.iter().map(BankCode)
    }

    /// From a code (`004`, or `4` as spreadsheets leave it) or a name (`KB국민은행`, `국민`,
    /// `Shinhan Bank`). Spaces, case and the word for "bank" do not matter.
    pub fn parse(text: &str) -> Result<BankCode, NotABank> {
        let wanted = essence(text);
        let digits = !wanted.is_empty() && wanted.chars().all(|c| c.is_ascii_digit());
        let code = format!("{wanted:0>3}");
        // As it is stored: no name has to be taken apart for it.
        if digits {
            let known = BANKS.iter().find(|bank| bank.code == code);
            return known.map(BankCode).ok_or_else(|| NotABank(text.to_owned()));
        }
        BANKS
            .iter()
            .find(|bank| {
                let mut names = [bank.ko, bank.en]
                    .into_iter()
                    .chain(bank.also.iter().copied());
                !wanted.is_empty() && names.any(|name| essence(name) == wanted)
            })
            .map(BankCode)
            .ok_or_else(|| NotABank(text.to_owned()))
    }

    /// Three digits.
    pub fn as_str(self) -> &'static str {
        self.0.code
    }

    pub fn ko(self) -> &'static str {
        self.0.ko
    }

    pub fn en(self) -> &'static str {
        self.0.en
    }
}

/// A name without what people leave out: case, spaces, and the word for "bank".
fn essence(name: &str) -> String {
    let plain: String = name
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-' | '.'))
        .flat_map(char::to_lowercase)
        .collect();
    plain
        .replace("은행", "")
        .replace("뱅크", "")
        .replace("bank", "")
}

impl fmt::Display for BankCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BankCode {
    type Err = NotABank;
    fn from_str(text: &str) -> Result<BankCode, NotABank> {
        BankCode::parse(text)
    }
}

impl TryFrom<String> for BankCode {
    type Error = NotABank;
    fn try_from(text: String) -> Result<BankCode, NotABank> {
        BankCode::parse(&text)
    }
}

impl From<BankCode> for &'static str {
    fn from(bank: BankCode) -> &'static str {
        bank.as_str()
    }
}

/// The number of an account: digits alone, kept as text, since it may begin with zeros.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountNumber(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no account number; expected {min} to {max} digits, hyphens between them if you like",
    min = AccountNumber::SHORTEST, max = AccountNumber::LONGEST
)]
pub struct NotAnAccountNumber(pub String);

impl AccountNumber {
    pub const SHORTEST: usize = 6;
    pub const LONGEST: usize = 16;

    /// Hyphens and spaces are left out.
    pub fn parse(text: &str) -> Result<AccountNumber, NotAnAccountNumber> {
        let digits: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .collect();
        let fits = (Self::SHORTEST..=Self::LONGEST).contains(&digits.len())
            && digits.chars().all(|c| c.is_ascii_digit());
        if fits {
            Ok(AccountNumber(digits))
        } else {
            Err(NotAnAccountNumber(text.to_owned()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AccountNumber {
    type Error = NotAnAccountNumber;
    fn try_from(text: String) -> Result<AccountNumber, NotAnAccountNumber> {
        AccountNumber::parse(&text)
    }
}

impl From<AccountNumber> for String {
    fn from(number: AccountNumber) -> String {
        number.0
    }
}

/// An account in Korea, in won.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BankAccount {
    #[schema(value_type = String)]
    pub bank: BankCode,
    #[schema(value_type = String)]
    pub number: AccountNumber,
    /// As the bank has it (예금주): a transfer to another name is refused.
    pub holder: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_is_found_by_what_people_call_it() {
        for (text, code) in [
            ("004", "004"),
            ("4", "004"),
            (" 88 ", "088"),
            ("국민", "004"),
            ("국민은행", "004"),
            ("KB 국민 은행", "004"),
            ("kb국민", "004"),
            ("Shinhan Bank", "088"),
            ("shinhan", "088"),
            ("농협", "011"),
            ("지역농축협", "012"),
            ("대구은행", "031"),
            ("iM뱅크", "031"),
            ("K bank", "089"),
            ("K_BANK", "089"),
            ("케이뱅크", "089"),
            ("카카오", "090"),
            ("toss", "092"),
            ("저축은행", "050"),
            ("새마을금고", "045"),
            ("산업은행", "002"),
            ("기업은행", "003"),
        ] {
            assert_eq!(
                BankCode::parse(text).map(BankCode::as_str),
                Ok(code),
                "{text}"
            );
        }
        for wrong in [
            "",
            " ",
            "은행",
            "bank",
            "0",
            "999",
            "0004",
            "국민카드",
            "한국은행",
        ] {
            assert_eq!(BankCode::parse(wrong), Err(NotABank(wrong.into())));
        }
    }

    #[test]
    fn no_two_banks_share_a_name_or_a_code() {
        let mut seen = std::collections::BTreeMap::new();
        for bank in &BANKS {
            let names = [bank.code, bank.ko, bank.en]
                .into_iter()
                .chain(bank.also.iter().copied());
            for name in names {
                let before = seen.insert(essence(name), bank.code);
                assert!(before.is_none_or(|code| code == bank.code), "{name}");
                assert_eq!(BankCode::parse(name).unwrap().as_str(), bank.code, "{name}");
            }
        }
        assert!(BANKS.is_sorted_by_key(|bank| bank.code));
        assert_eq!(BankCode::all().count(), BANKS.len());
    }

    #[test]
    fn an_account_number_is_its_digits() {
        for (text, digits) in [
            ("110-123-456789", "110123456789"),
            (" 004 0001 2345 ", "00400012345"),
            ("123456", "123456"),
        ] {
            assert_eq!(AccountNumber::parse(text).unwrap().as_str(), digits);
        }
        for wrong in [
            "",
            "12345",
            "12345678901234567",
            "110-12x-456789",
            "１２３４５６",
            "1.23E+11",
        ] {
            assert!(AccountNumber::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_account_is_checked_when_it_is_read() {
        let json = r#"{"bank":"004","number":"00400012345","holder":"김철수"}"#;
        let account: BankAccount = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&account).unwrap(), json);
        assert!(serde_json::from_str::<BankAccount>(&json.replace("004\"", "005\"")).is_err());
    }
}
