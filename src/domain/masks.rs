//! As much of a person as somebody needs to tell one from another. Pure.
//!
//! The one rule for every screen, answer and message: of a name the first and last letter, of a mail
//! address the first letter and the host, of phone, card and account numbers the last four digits. What
//! is known by its field is masked as what it is; inside of free text what looks like a mail address or
//! a number of eight digits and more is. A name inside of free text cannot be told from any other word.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::{partner_draft::PartnerDraft, seen::About};

/// First and last letter of a name: `홍*동`.
pub fn masked_name(name: &str) -> String {
    let letters: Vec<char> = name.trim().chars().collect();
    match letters.as_slice() {
        [] => String::new(),
        [_] => "*".to_owned(),
        [first, _] => format!("{first}*"),
        [first, middle @ .., last] => format!("{first}{}{last}", "*".repeat(middle.len().min(6))),
    }
}

/// The last four digits of a phone number: `***-****-5678`.
pub fn masked_phone(tel: &str) -> String {
    let digits: Vec<char> = tel.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < 5 {
        return if tel.trim().is_empty() {
            String::new()
        } else {
            "****".to_owned()
        };
    }
    let last: String = digits[digits.len() - 4..].iter().collect();
    format!("***-****-{last}")
}

/// The first letter of a mail address: `h***@example.com`.
pub fn masked_mail(mail: &str) -> String {
    match mail.trim().split_once('@') {
        Some((user, host)) => {
            let first: String = user.chars().take(1).collect();
            format!("{first}***@{host}")
        }
        None if mail.trim().is_empty() => String::new(),
        None => "***".to_owned(),
    }
}

/// The last four digits of an account: `····5678`.
pub fn masked_account(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    let last: String = digits[digits.len().saturating_sub(4)..].iter().collect();
    match digits.len() {
        0..=4 => "····".to_owned(),
        _ => format!("····{last}"),
    }
}

/// What is told of a payment, without telling whose it is.
pub fn masked_about(about: &About) -> About {
    About {
        buyer_name: masked_name(&about.buyer_name),
        buyer_email: masked_mail(&about.buyer_email),
        buyer_tel: masked_phone(&about.buyer_tel),
        virtual_account: masked_virtual(&about.virtual_account),
        ..about.clone()
    }
}

/// A partner as a form or a file may show it.
pub fn masked_partner(draft: &PartnerDraft) -> PartnerDraft {
    let with = |text: &Option<String>, mask: fn(&str) -> String| text.as_deref().map(mask);
    PartnerDraft {
        account_number: with(&draft.account_number, |number| match number {
            "" => String::new(),
            number => masked_account(number),
        }),
        account_holder: with(&draft.account_holder, masked_name),
        contact_name: with(&draft.contact_name, masked_name),
        contact_email: with(&draft.contact_email, masked_mail),
        contact_phone: with(&draft.contact_phone, masked_phone),
        memo: with(&draft.memo, masked_text),
        ..draft.clone()
    }
}

/// `KB국민은행 123-45-678 (예금주)`: the bank stays, of the rest what an account may show.
pub fn masked_virtual(account: &str) -> String {
    let (front, holder) = match account.split_once(" (") {
        Some((front, rest)) => (front, rest.strip_suffix(')').unwrap_or(rest)),
        None => (account, ""),
    };
    let number = masked_words(front, |word| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        (digits >= 5).then(|| masked_account(word))
    });
    match holder {
        "" => number,
        holder => format!("{number} ({})", masked_name(holder)),
    }
}

fn masked_words(text: &str, mask: impl Fn(&str) -> Option<String>) -> String {
    let words = text.split(' ');
    let masked = words.map(|word| mask(word).unwrap_or_else(|| word.to_owned()));
    masked.collect::<Vec<_>>().join(" ")
}

/// What a field's text is, by the field's name and the one that it stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    Phone,
    Mail,
    Account,
    Virtual,
    /// The name of a thing of the books. An order's number may well be all digits.
    Thing,
    Free,
}

fn kind(within: &str, field: &str) -> Kind {
    match field {
        "buyer_name" | "customer_name" | "holder" | "account_holder" | "depositor" | "owner"
        | "recipient" | "contact_name" | "vbank_holder" | "refund_holder" => Kind::Name,
        "buyer_tel" | "tel" | "phone" | "contact_phone" | "refund_tel" => Kind::Phone,
        "buyer_email" | "email" | "contact_email" | "mail" => Kind::Mail,
        "account_number" | "card_number" | "vbank_num" | "refund_account" => Kind::Account,
        "number" if within == "account" => Kind::Account,
        "account" if within == "refund" => Kind::Account,
        "name" if within == "contact" => Kind::Name,
        "virtual_account" => Kind::Virtual,
        "id" | "cancellation" | "until" | "key" | "next" | "after" | "apply_num" | "pg_tid"
        | "business_number" | "reference" => Kind::Thing,
        _ if field.ends_with("_uid")
            || field.ends_with("_id")
            || field.ends_with("_url")
            || field.ends_with("_key")
            || field.ends_with("_at") =>
        {
            Kind::Thing
        }
        _ => Kind::Free,
    }
}

/// A message of others, of which nobody knows what it is about: every `name` is a person's.
pub fn masked_json(value: &Value) -> Value {
    masked_in(
        "",
        "",
        value,
        &|within, field| match (kind(within, field), field) {
            (Kind::Free, "name") => Kind::Name,
            (kind, _) => kind,
        },
    )
}

/// An answer of ours, for who may not see persons. A `name` is that of an order or a partner.
pub fn masked_answer(value: &Value) -> Value {
    masked_in("", "", value, &kind)
}

fn masked_in(within: &str, field: &str, value: &Value, kind: &dyn Fn(&str, &str) -> Kind) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), masked_in(field, name, value, kind)))
            .collect(),
        Value::Array(values) => values
            .iter()
            .map(|value| masked_in(within, field, value, kind))
            .collect(),
        Value::String(text) => Value::String(match kind(within, field) {
            Kind::Name => masked_name(text),
            Kind::Phone => masked_phone(text),
            Kind::Mail => masked_mail(text),
            Kind::Account if text.is_empty() => String::new(),
            Kind::Account => masked_account(text),
            Kind::Virtual => masked_virtual(text),
            Kind::Thing => text.clone(),
            Kind::Free => masked_text(text),
        }),
        Value::Number(_) if kind(within, field) == Kind::Thing => value.clone(),
        // No amount has so many digits; a card's number has.
        Value::Number(number) if number.to_string().len() > 13 => {
            Value::String(masked_digits(&number.to_string()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// The body of a message of others, as people may see it: JSON and forms by their fields, else as text.
pub fn masked_body(body: &str) -> String {
    if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str::<Value>(body) {
        return masked_json(&value).to_string();
    }
    if !body.contains('=') || body.contains(char::is_whitespace) {
        return masked_text(body);
    }
    let one = |pair: (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        let (name, value) = pair;
        let whole = Value::Object(
            [(name.to_string(), Value::from(value.to_string()))]
                .into_iter()
                .collect(),
        );
        let masked = masked_json(&whole);
        let text = masked
            .get(name.as_ref())
            .and_then(Value::as_str)
            .unwrap_or_default();
        format!("{name}={text}")
    };
    let pairs = url::form_urlencoded::parse(body.as_bytes()).map(one);
    pairs.collect::<Vec<_>>().join("&")
}

/// Mail addresses and long numbers inside a text, masked. Korean writes its particles right behind
/// them (`010-1234-5678로`), so words are no help: what is part of a Latin word, such as an id, is none.
pub fn masked_text(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let fresh = at == 0 || !in_word(letters[at - 1]);
        if fresh && let Some(end) = mail_at(&letters, at) {
            let mail: String = letters[at..end].iter().collect();
            out.push_str(&masked_mail(&mail));
            at = end;
        } else if fresh && letters[at].is_ascii_digit() {
            let end = number_at(&letters, at);
            let number: String = letters[at..end].iter().collect();
            let behind = letters.get(end).copied().unwrap_or(' ');
            match in_word(behind) || !is_a_persons(&number) {
                true => out.push_str(&number),
                false => out.push_str(&masked_digits(&number)),
            }
            at = end;
        } else {
            out.push(letters[at]);
            at += 1;
        }
    }
    out
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Where a mail address that begins here ends.
fn mail_at(letters: &[char], at: usize) -> Option<usize> {
    let local = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
    let host = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let front = letters[at..].iter().take_while(|c| local(c)).count();
    if front == 0 || letters.get(at + front) != Some(&'@') {
        return None;
    }
    let from = at + front + 1;
    let behind = &letters[from..from + letters[from..].iter().take_while(|c| host(c)).count()];
    let trimmed = behind.iter().rposition(char::is_ascii_alphanumeric)? + 1;
    behind[..trimmed].contains(&'.').then_some(from + trimmed)
}

/// Where the digits that begin here end, with what people put between them.
fn number_at(letters: &[char], at: usize) -> usize {
    let digits = |from: usize| {
        letters[from.min(letters.len())..]
            .iter()
            .take_while(|c| c.is_ascii_digit())
            .count()
    };
    let mut end = at + digits(at);
    let mut group = end - at;
    loop {
        let next = digits(end + 1);
        let joined = match letters.get(end) {
            Some('-' | '.') => next > 0,
            // A card's number in groups of four, a phone's in groups of three and four.
            // Where it begins with 0, also as phones of old are written: `02 1234 5678`, `031 123 4567`.
            Some(' ') => {
                next == 4 && matches!(group, 3 | 4)
                    || letters[at] == '0' && matches!(next, 3 | 4) && matches!(group, 2..=4)
            }
            _ => false,
        };
        if !joined {
            return end;
        }
        end += 1 + next;
        group = next;
    }
}

/// Whether digits may be a phone's, a card's or an account's: not a day, nor an internet address.
fn is_a_persons(number: &str) -> bool {
    let digits = number.chars().filter(char::is_ascii_digit).count();
    let groups: Vec<usize> = number.split(['-', '.']).map(str::len).collect();
    // Two short numbers side by side are two numbers: a phone's has ten digits, a card's sixteen.
    let whole = match number.contains(' ') {
        true if number.starts_with('0') => 9,
        true => 10,
        false => 8,
    };
    digits >= whole
        && groups != [4, 2, 2]
        && !begins_with_a_day(number, groups[0])
        && number.parse::<Ipv4Addr>().is_err()
}

/// `20260806-0001`: as shops number their orders.
fn begins_with_a_day(number: &str, first: usize) -> bool {
    let part = |from: usize, to: usize| {
        number
            .get(from..to)
            .and_then(|text| text.parse::<u32>().ok())
    };
    first == 8
        && number.starts_with("20")
        && part(4, 6).is_some_and(|month| (1..=12).contains(&month))
        && part(6, 8).is_some_and(|day| (1..=31).contains(&day))
}

/// All but the last four digits, as long as it was: `****-****-****-1234`.
fn masked_digits(number: &str) -> String {
    let count = number.chars().filter(char::is_ascii_digit).count();
    let mut seen = 0;
    number
        .chars()
        .map(|c| {
            seen += usize::from(c.is_ascii_digit());
            if c.is_ascii_digit() && seen + 4 <= count {
                '*'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_persons_is_masked_and_what_names_a_thing_is_not() {
        let kept = serde_json::json!({
            "inbox_id": 7, "merchant_uid": "20260806123456", "cancellation": "01JABC",
            "until": "2026-08-06T01:00:00Z", "count": 3, "amount": 1_000_000_000_000_i64,
        });
        assert_eq!(masked_json(&kept), kept);
        let told = serde_json::json!({
            "buyer_name": "홍길동", "tel": "010-1234-5678", "card": 9_430_123_412_341_234_i64,
            "more": [{ "holder": "<b>김철</b>", "note": "hong@example.com, 110-123-456789" }],
        });
        assert_eq!(
            masked_json(&told),
            serde_json::json!({
                "buyer_name": "홍*동", "tel": "***-****-5678", "card": "************1234",
                "more": [{ "holder": "<******>", "note": "h***@example.com, ***-***-**6789" }],
            })
        );
    }

    #[test]
    fn what_is_inside_of_a_text_is_found_without_words() {
        for (text, masked) in [
            ("010-1234-5678로 연락 주세요", "***-****-5678로 연락 주세요"),
            ("연락처:01012345678입니다", "연락처:*******5678입니다"),
            (
                "010 1234 5678, 010.1234.5678",
                "*** **** 5678, ***.****.5678",
            ),
            ("+82-10-1234-5678", "+**-**-****-5678"),
            ("9430 1234 1234 1234 카드", "**** **** **** 1234 카드"),
            ("110-123-456789 홍", "***-***-**6789 홍"),
            ("hong@example.com에게", "h***@example.com에게"),
            ("(hong.gd+1@mail.example.com).", "(h***@mail.example.com)."),
            ("홍길동@example.kr", "홍***@example.kr"),
            // What is none of these.
            (
                "2026-08-06 10:00에 12,000,000원",
                "2026-08-06 10:00에 12,000,000원",
            ),
            ("2026-08-06T01:00:00Z", "2026-08-06T01:00:00Z"),
            (
                "imp_123456789012 ord-20260806-0001",
                "imp_123456789012 ord-20260806-0001",
            ),
            ("01JABC2345678", "01JABC2345678"),
            ("from 52.78.100.19", "from 52.78.100.19"),
            ("3개 1000 2000", "3개 1000 2000"),
            ("02 1234 5678", "** **** 5678"),
            ("031 123 4567로", "*** *** 4567로"),
            ("@here a@b 1@2", "@here a@b 1@2"),
            ("", ""),
        ] {
            assert_eq!(masked_text(text), masked, "{text}");
        }
    }

    #[test]
    fn bodies_are_masked_whichever_way_they_are_written() {
        let json = masked_body(r#"{"imp_uid":"imp_1","buyer_name":"홍길동","x":"010-1234-5678"}"#);
        assert_eq!(
            json,
            r#"{"buyer_name":"홍*동","imp_uid":"imp_1","x":"***-****-5678"}"#
        );
        let form = masked_body(
            "imp_uid=imp_1&buyer_email=hong%40example.com&buyer_tel=01012345678&merchant_uid=20260806123456",
        );
        assert_eq!(
            form,
            "imp_uid=imp_1&buyer_email=h***@example.com&buyer_tel=***-****-5678&merchant_uid=20260806123456"
        );
        assert_eq!(masked_body("call 010-1234-5678"), "call ***-****-5678");
        assert_eq!(
            masked_body("<script>alert(1)</script>"),
            "<script>alert(1)</script>"
        );
    }

    #[test]
    fn an_answer_keeps_the_names_of_things_and_no_persons() {
        let answer = serde_json::json!({
            "name": "햇사과 5kg", "merchant_uid": "20260806123456", "buyer_name": "홍길동", "amount": 12_000,
            "paid_at": "2026-08-06T10:00:00+09:00", "virtual_account": "KB국민은행 123-45-678901 (홍길동)",
            "items": [{ "id": "farm-1", "name": "햇살농장", "account": { "bank": "004", "number": "0012345678901", "holder": "홍길동" },
                "contact": { "name": "김철수", "email": "kim@example.com", "phone": "010-1234-5678" }, "memo": "010-1234-5678" }],
            "refund": { "holder": "홍길동", "bank": "04", "account": "110123456789", "tel": "01012345678" },
        });
        assert_eq!(
            masked_answer(&answer),
            serde_json::json!({
                "name": "햇사과 5kg", "merchant_uid": "20260806123456", "buyer_name": "홍*동", "amount": 12_000,
                "paid_at": "2026-08-06T10:00:00+09:00", "virtual_account": "KB국민은행 ····8901 (홍*동)",
                "items": [{ "id": "farm-1", "name": "햇살농장", "account": { "bank": "004", "number": "····8901", "holder": "홍*동" },
                    "contact": { "name": "김*수", "email": "k***@example.com", "phone": "***-****-5678" }, "memo": "***-****-5678" }],
                "refund": { "holder": "홍*동", "bank": "04", "account": "····6789", "tel": "***-****-5678" },
            })
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_keeps_a_number_or_breaks(text: String, digits in "01[0-9]{8,14}") {
            let masked = masked_text(&format!("{text} {digits} {text}"));
            let shown = format!(" {digits} ");
            proptest::prop_assert!(!masked.contains(&shown), "{masked}");
            let _ = masked_body(&text);
        }
    }

    #[test]
    fn buyers_are_masked_whatever_they_wrote() {
        for (name, masked) in [
            ("홍길동", "홍*동"),
            ("김철", "김*"),
            ("이", "*"),
            ("", ""),
            ("<b>", "<*>"),
        ] {
            assert_eq!(masked_name(name), masked);
        }
        for (tel, masked) in [
            ("010-1234-5678", "***-****-5678"),
            ("123", "****"),
            ("", ""),
        ] {
            assert_eq!(masked_phone(tel), masked);
        }
        for (mail, masked) in [
            ("hong@example.com", "h***@example.com"),
            ("@", "***@"),
            ("x", "***"),
            ("", ""),
        ] {
            assert_eq!(masked_mail(mail), masked);
        }
    }
}
