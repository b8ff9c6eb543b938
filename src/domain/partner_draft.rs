//! A partner as people write it down: in a form, as JSON, in a row of a file.
//!
//! All of them fill in a [`PartnerDraft`]. [`PartnerDraft::check`] reports everything that is wrong
//! at once, for whoever corrects a file of two hundred rows does not want to do it field by field.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    bank::{AccountNumber, BankAccount, BankCode},
    ids::PartnerId,
    partner::{
        BusinessNumber, Contact, Partner, PartnerStatus, PartnerType, WrongBusinessNumber, codes,
        same_word, shown,
    },
};

/// A partner as it was written down. Nothing but spaces is nothing.
///
/// As JSON it may be flat, with the names below, or as a [`Partner`] is written, with `account` and
/// `contact`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Given")]
pub struct PartnerDraft {
    pub id: Option<String>,
    pub name: Option<String>,
    /// A code or the words for it.
    pub kind: Option<String>,
    pub business_number: Option<String>,
    /// A code or a name.
    pub bank: Option<String>,
    pub account_number: Option<String>,
    pub account_holder: Option<String>,
    pub contact_name: Option<String>,
    pub contact_email: Option<String>,
    pub contact_phone: Option<String>,
    /// Nothing is `PENDING`.
    pub status: Option<String>,
    pub memo: Option<String>,
    /// Each may hold several, with commas between them.
    pub tags: Vec<String>,
    /// `true`, `on`, `1`, `Y`, `예` or their opposites; nothing is `false`.
    pub archived: Option<String>,
}

impl PartnerDraft {
    /// The partner that was meant, or everything that is wrong, in the order of the fields.
    pub fn check(self) -> Result<Partner, Vec<FieldError>> {
        let mut wrong = Wrong::default();
        let id = wrong.found(check_id(self.id.as_deref()));
        let name = wrong.found(check_name("name", self.name.as_deref()));
        let kind = wrong.found(check_kind(self.kind.as_deref()));
        let number = self.business_number.as_deref();
        let business_number = wrong.found(check_business_number(kind, number));
        let account = self.check_account(&mut wrong);
        let contact_name = given(self.contact_name.as_deref())
            .and_then(|name| wrong.found(check_name("contact_name", Some(name))));
        let email =
            given(self.contact_email.as_deref()).and_then(|email| wrong.found(check_email(email)));
        let phone =
            given(self.contact_phone.as_deref()).and_then(|phone| wrong.found(check_phone(phone)));
        let status = wrong.found(check_status(self.status.as_deref()));
        let memo = wrong.found(check_memo(self.memo.as_deref()));
        let tags = wrong.found(check_tags(&self.tags));
        let archived = wrong.found(check_archived(self.archived.as_deref()));
        match (id, name, kind) {
            (Some(id), Some(name), Some(kind)) if wrong.0.is_empty() => Ok(Partner {
                id,
                name,
                kind,
                business_number: business_number.flatten(),
                account,
                contact: Contact {
                    name: contact_name,
                    email,
                    phone,
                },
                status: status.unwrap_or_default(),
                memo: memo.unwrap_or_default(),
                tags: tags.unwrap_or_default(),
                archived: archived.unwrap_or_default(),
            }),
            _ => Err(wrong.0),
        }
    }

    /// All of an account or nothing of it.
    fn check_account(&self, wrong: &mut Wrong) -> Option<BankAccount> {
        let bank = given(self.bank.as_deref());
        let number = given(self.account_number.as_deref());
        let holder = given(self.account_holder.as_deref());
        if bank.is_none() && number.is_none() && holder.is_none() {
            return None;
        }
        let bank = wrong.found(check_bank(bank));
        let number = wrong.found(check_account_number(number));
        let holder = wrong.found(check_name("account_holder", holder));
        Some(BankAccount {
            bank: bank?,
            number: number?,
            holder: holder?,
        })
    }
}

/// What a form shows of a partner who is there already.
impl From<Partner> for PartnerDraft {
    fn from(partner: Partner) -> PartnerDraft {
        let (bank, account_number, account_holder) = match partner.account {
            Some(account) => (
                Some(account.bank.to_string()),
                Some(account.number.to_string()),
                Some(account.holder),
            ),
            None => (None, None, None),
        };
        PartnerDraft {
            id: Some(partner.id.into()),
            name: Some(partner.name),
            kind: Some(partner.kind.as_str().to_owned()),
            business_number: partner.business_number.map(String::from),
            bank,
            account_number,
            account_holder,
            contact_name: partner.contact.name,
            contact_email: partner.contact.email,
            contact_phone: partner.contact.phone,
            status: Some(partner.status.as_str().to_owned()),
            memo: Some(partner.memo),
            tags: partner.tags,
            archived: Some(partner.archived.to_string()),
        }
    }
}

// --- What is wrong with it

/// One field that is wrong: what was given, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// As in [`PartnerDraft`], but `type` for `kind`.
    pub field: &'static str,
    pub ko: String,
    pub en: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.en)
    }
}

/// All that is wrong with a draft.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(FieldError::to_string).collect::<Vec<_>>().join("; "))]
pub struct WrongPartner(pub Vec<FieldError>);

impl TryFrom<PartnerDraft> for Partner {
    type Error = WrongPartner;
    fn try_from(draft: PartnerDraft) -> Result<Partner, WrongPartner> {
        draft.check().map_err(WrongPartner)
    }
}

// --- Reading a draft

/// Both ways in which a draft is written.
#[derive(Deserialize)]
struct Given {
    id: Option<String>,
    name: Option<String>,
    #[serde(rename = "type", alias = "kind")]
    kind: Option<String>,
    business_number: Option<String>,
    bank: Option<String>,
    account_number: Option<String>,
    account_holder: Option<String>,
    account: Option<GivenAccount>,
    contact_name: Option<String>,
    contact_email: Option<String>,
    contact_phone: Option<String>,
    contact: Option<GivenContact>,
    status: Option<String>,
    memo: Option<String>,
    tags: Option<OneOrMany>,
    archived: Option<Flag>,
}

#[derive(Deserialize, Default)]
struct GivenAccount {
    bank: Option<String>,
    number: Option<String>,
    holder: Option<String>,
}

#[derive(Deserialize, Default)]
struct GivenContact {
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Text(String),
}

impl From<Given> for PartnerDraft {
    fn from(given: Given) -> PartnerDraft {
        let account = given.account.unwrap_or_default();
        let contact = given.contact.unwrap_or_default();
        PartnerDraft {
            id: given.id,
            name: given.name,
            kind: given.kind,
            business_number: given.business_number,
            bank: given.bank.or(account.bank),
            account_number: given.account_number.or(account.number),
            account_holder: given.account_holder.or(account.holder),
            contact_name: given.contact_name.or(contact.name),
            contact_email: given.contact_email.or(contact.email),
            contact_phone: given.contact_phone.or(contact.phone),
            status: given.status,
            memo: given.memo,
            tags: match given.tags {
                None => Vec::new(),
                Some(OneOrMany::One(tags)) => vec![tags],
                Some(OneOrMany::Many(tags)) => tags,
            },
            archived: given.archived.map(|flag| match flag {
                Flag::Bool(archived) => archived.to_string(),
                Flag::Text(text) => text,
            }),
        }
    }
}

// --- Checks, a function per field

#[derive(Default)]
struct Wrong(Vec<FieldError>);

impl Wrong {
    fn found<T>(&mut self, checked: Result<T, FieldError>) -> Option<T> {
        checked.map_err(|error| self.0.push(error)).ok()
    }
}

fn wrong(field: &'static str, ko: impl Into<String>, en: impl Into<String>) -> FieldError {
    FieldError {
        field,
        ko: ko.into(),
        en: en.into(),
    }
}

fn missing(field: &'static str, ko: &str, en: &str) -> FieldError {
    wrong(
        field,
        format!("비어 있습니다. {ko}"),
        format!("is missing; {en}"),
    )
}

/// What is left of a field without the spaces around it, if anything.
fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn check_id(text: Option<&str>) -> Result<PartnerId, FieldError> {
    let Some(text) = given(text) else {
        return Err(missing(
            "id",
            "파트너 아이디를 적어 주세요",
            "expected an id of your choice, such as `farm-1`",
        ));
    };
    PartnerId::new(text).map_err(|error| {
        wrong(
            "id",
            format!(
                "`{}`은(는) 아이디로 쓸 수 없습니다. 공백 없이 1~{}바이트여야 합니다",
                shown(text),
                PartnerId::MOST
            ),
            format!("`{}` cannot be an id: {error}", shown(text)),
        )
    })
}

/// The name of a partner, a holder of an account, a person to ask.
fn check_name(field: &'static str, text: Option<&str>) -> Result<String, FieldError> {
    let most = Partner::LONGEST_NAME;
    let Some(text) = given(text) else {
        return Err(missing(
            field,
            &format!("1~{most}자를 적어 주세요"),
            &format!("expected 1 to {most} characters"),
        ));
    };
    let length = text.chars().count();
    if length > most {
        return Err(wrong(
            field,
            format!("{length}자입니다. 1~{most}자여야 합니다"),
            format!("has {length} characters; expected 1 to {most}"),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(wrong(
            field,
            "줄바꿈이나 제어 문자가 들어 있습니다. 한 줄로 적어 주세요",
            "has a line break or another control character; expected one line of text",
        ));
    }
    Ok(text.to_owned())
}

fn check_kind(text: Option<&str>) -> Result<PartnerType, FieldError> {
    let expected = codes(&PartnerType::ALL, PartnerType::as_str);
    let Some(text) = given(text) else {
        return Err(missing(
            "type",
            &format!("다음 중 하나여야 합니다: {expected}"),
            &format!("expected one of {expected}"),
        ));
    };
    PartnerType::parse(text).map_err(|error| {
        wrong(
            "type",
            format!(
                "`{}`은(는) 파트너 유형이 아닙니다. 다음 중 하나여야 합니다: {expected}",
                error.given
            ),
            error.to_string(),
        )
    })
}

fn check_business_number(
    kind: Option<PartnerType>,
    text: Option<&str>,
) -> Result<Option<BusinessNumber>, FieldError> {
    const FIELD: &str = "business_number";
    let Some(text) = given(text) else {
        return match kind {
            Some(kind) if kind.is_business() => Err(missing(
                FIELD,
                "사업자는 사업자등록번호 10자리가 필요합니다",
                "a business needs its ten digits, such as 999-88-00014",
            )),
            _ => Ok(None),
        };
    };
    if let Some(kind @ (PartnerType::WithholdingIndividual | PartnerType::Individual)) = kind {
        return Err(wrong(
            FIELD,
            format!(
                "`{}`이(가) 적혀 있습니다. {}은(는) 비워 두어야 합니다",
                shown(text),
                kind.ko()
            ),
            format!(
                "is `{}`; expected nothing for {}",
                shown(text),
                kind.as_str()
            ),
        ));
    }
    BusinessNumber::parse(text).map(Some).map_err(|error| {
        let ko = match &error {
            WrongBusinessNumber::Shape(given) => format!(
                "`{given}`은(는) 사업자등록번호가 아닙니다. 999-88-00014처럼 숫자 10자리여야 합니다"
            ),
            WrongBusinessNumber::CheckDigit(given) => format!(
                "`{given}`은(는) 사업자등록번호가 아닙니다. 마지막 숫자가 나머지와 맞지 않으니 오타를 확인해 주세요"
            ),
        };
        wrong(FIELD, ko, error.to_string())
    })
}

fn check_bank(text: Option<&str>) -> Result<BankCode, FieldError> {
    let ko = "004 같은 코드나 KB국민 같은 이름이어야 합니다";
    let Some(text) = given(text) else {
        return Err(missing(
            "bank",
            ko,
            "expected a code such as 004 or a name such as KB국민",
        ));
    };
    BankCode::parse(text).map_err(|_| {
        wrong(
            "bank",
            format!("`{}`은(는) 알 수 없는 은행입니다. {ko}", shown(text)),
            format!(
                "`{}` is no bank that is known; expected a code such as 004 or a name such as KB국민",
                shown(text)
            ),
        )
    })
}

fn check_account_number(text: Option<&str>) -> Result<AccountNumber, FieldError> {
    let (least, most) = (AccountNumber::SHORTEST, AccountNumber::LONGEST);
    let ko = format!("숫자 {least}~{most}자리여야 합니다(하이픈 가능)");
    let en = format!("expected {least} to {most} digits, hyphens between them if you like");
    let Some(text) = given(text) else {
        return Err(missing("account_number", &ko, &en));
    };
    AccountNumber::parse(text).map_err(|_| {
        wrong(
            "account_number",
            format!("`{}`은(는) 계좌번호가 아닙니다. {ko}", shown(text)),
            format!("`{}` is no account number; {en}", shown(text)),
        )
    })
}

/// Plausible, no more: only a mail that arrives proves an address.
fn check_email(text: &str) -> Result<String, FieldError> {
    let plausible = text.len() <= 254
        && !text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || ",;<>\"".contains(c))
        && text.split_once('@').is_some_and(|(local, domain)| {
            (1..=64).contains(&local.len())
                && !domain.contains('@')
                && domain.contains('.')
                && domain.split('.').all(|label| !label.is_empty())
        });
    if plausible {
        Ok(text.to_owned())
    } else {
        Err(wrong(
            "contact_email",
            format!(
                "`{}`은(는) 이메일 주소가 아닙니다. name@example.com처럼 적어 주세요",
                shown(text)
            ),
            format!(
                "`{}` is no e-mail address; expected one such as name@example.com",
                shown(text)
            ),
        ))
    }
}

/// Spaces are left out, hyphens stay as they are.
fn check_phone(text: &str) -> Result<String, FieldError> {
    let phone: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let rest = phone.strip_prefix('+').unwrap_or(&phone);
    let digits = rest.chars().filter(char::is_ascii_digit).count();
    let plausible = (7..=15).contains(&digits)
        && rest.chars().all(|c| c.is_ascii_digit() || c == '-')
        && !rest.starts_with('-')
        && !rest.ends_with('-')
        && !rest.contains("--");
    if plausible {
        Ok(phone)
    } else {
        Err(wrong(
            "contact_phone",
            format!(
                "`{}`은(는) 전화번호가 아닙니다. 010-1234-5678처럼 숫자 7~15자리와 하이픈이어야 합니다",
                shown(text)
            ),
            format!(
                "`{}` is no phone number; expected 7 to 15 digits and hyphens, such as 010-1234-5678",
                shown(text)
            ),
        ))
    }
}

fn check_status(text: Option<&str>) -> Result<PartnerStatus, FieldError> {
    let Some(text) = given(text) else {
        return Ok(PartnerStatus::default());
    };
    let expected = codes(&PartnerStatus::ALL, PartnerStatus::as_str);
    PartnerStatus::parse(text).ok_or_else(|| {
        wrong(
            "status",
            format!(
                "`{}`은(는) 상태가 아닙니다. 다음 중 하나여야 합니다: {expected}",
                shown(text)
            ),
            format!("`{}` is no status; expected one of {expected}", shown(text)),
        )
    })
}

fn check_memo(text: Option<&str>) -> Result<String, FieldError> {
    let text = given(text).unwrap_or_default();
    let (length, most) = (text.chars().count(), Partner::LONGEST_MEMO);
    if length > most {
        return Err(wrong(
            "memo",
            format!("{length}자입니다. {most}자까지 적을 수 있습니다"),
            format!("has {length} characters; expected up to {most}"),
        ));
    }
    Ok(text.to_owned())
}

fn check_tags(given: &[String]) -> Result<Vec<String>, FieldError> {
    let mut tags: Vec<String> = Vec::new();
    let each = given.iter().flat_map(|tags| tags.split(','));
    for tag in each.map(str::trim).filter(|tag| !tag.is_empty()) {
        let (length, most) = (tag.chars().count(), Partner::LONGEST_TAG);
        if length > most || tag.chars().any(char::is_control) {
            return Err(wrong(
                "tags",
                format!(
                    "태그 `{}`은(는) {length}자입니다. 한 줄로 1~{most}자여야 합니다",
                    shown(tag)
                ),
                format!(
                    "the tag `{}` has {length} characters; expected 1 to {most}, on one line",
                    shown(tag)
                ),
            ));
        }
        if !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    let (count, most) = (tags.len(), Partner::MOST_TAGS);
    if count > most {
        return Err(wrong(
            "tags",
            format!("태그가 {count}개입니다. {most}개까지 적을 수 있습니다"),
            format!("there are {count}; expected up to {most}"),
        ));
    }
    Ok(tags)
}

fn check_archived(text: Option<&str>) -> Result<bool, FieldError> {
    match given(text) {
        None => Ok(false),
        Some(text) if same_word(text, &["true", "on", "1", "y", "yes", "예"]) => Ok(true),
        Some(text) if same_word(text, &["false", "off", "0", "n", "no", "아니오"]) => Ok(false),
        Some(text) => Err(wrong(
            "archived",
            format!("`{}`입니다. true 또는 false여야 합니다", shown(text)),
            format!("is `{}`; expected true or false", shown(text)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> PartnerDraft {
        let some = |text: &str| Some(text.to_owned());
        PartnerDraft {
            id: some(" farm-1 "),
            name: some("햇살농장"),
            kind: some("business_general"),
            business_number: some("9998800014"),
            bank: some("국민은행"),
            account_number: some("004-0001-2345"),
            account_holder: some("김철수"),
            contact_name: some(""),
            contact_email: some("kim@farm.example"),
            contact_phone: some("010-1234-5678"),
            status: None,
            memo: None,
            tags: vec!["과일, 직송".into(), "과일".into()],
            archived: None,
        }
    }

    fn wrong_fields(draft: PartnerDraft) -> Vec<&'static str> {
        let errors = draft.check().unwrap_err();
        errors.iter().map(|error| error.field).collect()
    }

    #[test]
    fn a_draft_becomes_a_partner() {
        let partner = draft().check().unwrap();
        assert_eq!(partner.id.as_str(), "farm-1");
        assert_eq!(partner.kind, PartnerType::ALL[0]);
        assert_eq!(partner.business_number.unwrap().to_string(), "999-88-00014");
        let account = partner.account.unwrap();
        assert_eq!(
            (account.bank.as_str(), account.number.as_str()),
            ("004", "00400012345")
        );
        assert_eq!(partner.contact.name, None);
        assert_eq!(partner.status, PartnerStatus::Pending);
        assert_eq!(partner.tags, ["과일", "직송"]);
        assert!(!partner.archived);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let some = |text: &str| Some(text.to_owned());
        let all_wrong = PartnerDraft {
            id: some("two words"),
            name: some(&"가".repeat(101)),
            kind: some("PERSON"),
            business_number: some("220-81-62518"),
            bank: some("국민카드"),
            account_number: some("12-34"),
            account_holder: None,
            contact_name: some("줄\n바꿈"),
            contact_email: some("kim@farm"),
            contact_phone: some("없음"),
            status: some("FINE"),
            memo: some(&"가".repeat(257)),
            tags: vec!["가".repeat(31)],
            archived: some("perhaps"),
        };
        let errors = all_wrong.check().unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.field).collect();
        assert_eq!(
            fields,
            [
                "id",
                "name",
                "type",
                "business_number",
                "bank",
                "account_number",
                "account_holder",
                "contact_name",
                "contact_email",
                "contact_phone",
                "status",
                "memo",
                "tags",
                "archived"
            ]
        );
        assert_eq!(errors[1].ko, "101자입니다. 1~100자여야 합니다");
        assert_eq!(errors[1].en, "has 101 characters; expected 1 to 100");
        assert_eq!(
            errors[9].en,
            "`없음` is no phone number; expected 7 to 15 digits and hyphens, such as 010-1234-5678"
        );
        assert_eq!(
            wrong_fields(PartnerDraft::default()),
            ["id", "name", "type"]
        );
    }

    #[test]
    fn businesses_have_a_number_and_individuals_have_none() {
        for kind in PartnerType::ALL {
            let with = PartnerDraft {
                kind: Some(kind.as_str().into()),
                ..draft()
            };
            let without = PartnerDraft {
                business_number: None,
                ..with.clone()
            };
            let own = kind == PartnerType::Own;
            assert_eq!(with.check().is_ok(), kind.is_business() || own, "{kind:?}");
            assert_eq!(without.check().is_ok(), !kind.is_business(), "{kind:?}");
        }
    }

    #[test]
    fn an_account_is_there_or_not() {
        let none = PartnerDraft {
            bank: None,
            account_number: Some(" ".into()),
            account_holder: None,
            ..draft()
        };
        assert_eq!(none.clone().check().unwrap().account, None);
        let half = PartnerDraft {
            bank: Some("088".into()),
            ..none
        };
        assert_eq!(wrong_fields(half), ["account_number", "account_holder"]);
    }

    #[test]
    fn a_partner_is_read_as_it_is_written_and_from_a_flat_form() {
        let partner = draft().check().unwrap();
        let json = serde_json::to_value(&partner).unwrap();
        assert_eq!(json["type"], "BUSINESS_GENERAL");
        assert_eq!(json["account"]["bank"], "004");
        assert_eq!(serde_json::from_value::<Partner>(json).unwrap(), partner);
        assert_eq!(PartnerDraft::from(partner.clone()).check(), Ok(partner));

        let form = "id=own&name=%EC%9E%90%EC%82%AC&type=OWN&bank=&tags=a,b&archived=on";
        let own: PartnerDraft = serde_urlencoded::from_str(form).unwrap();
        let own = own.check().unwrap();
        assert!(own.archived && !own.kind.is_paid_out());
        assert_eq!(own.tags, ["a", "b"]);

        let wrong = serde_json::from_str::<Partner>(r#"{"id":"a","name":"b"}"#).unwrap_err();
        assert!(
            wrong
                .to_string()
                .starts_with("type: is missing; expected one of BUSINESS_GENERAL")
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_check(text in ".{0,80}") {
            let some = || Some(text.clone());
            let draft = PartnerDraft {
                id: some(), name: some(), kind: some(), business_number: some(), bank: some(),
                account_number: some(), account_holder: some(), contact_name: some(),
                contact_email: some(), contact_phone: some(), status: some(), memo: some(),
                tags: vec![text.clone()], archived: some(),
            };
            proptest::prop_assert!(draft.check().is_err());
        }
    }
}
