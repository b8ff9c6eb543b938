//! As much of a person as somebody needs to tell one from another. Pure.

use serde_json::Value;

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

/// Fields whose text is a person's, whatever it looks like.
const NAMES: [&str; 7] = [
    "name",
    "buyer_name",
    "customer_name",
    "holder",
    "depositor",
    "owner",
    "recipient",
];

/// Fields that name a thing of the books. An order's number may well be all digits.
fn names_a_thing(field: &str) -> bool {
    field.ends_with("_uid")
        || field.ends_with("_id")
        || matches!(field, "id" | "cancellation" | "until")
}

/// The same with all masked that looks like a person's: names by their field, and mail addresses,
/// phone, card and account numbers by what they look like.
pub fn masked_json(value: &Value) -> Value {
    masked_in("", value)
}

fn masked_in(field: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), masked_in(name, value)))
            .collect(),
        Value::Array(values) => values.iter().map(|value| masked_in(field, value)).collect(),
        Value::String(_) | Value::Number(_) if names_a_thing(field) => value.clone(),
        Value::String(text) if NAMES.contains(&field) => Value::String(masked_name(text)),
        Value::String(text) => Value::String(masked_text(text)),
        // No amount has so many digits; a card's number has.
        Value::Number(number) if number.to_string().len() > 13 => {
            Value::String(masked_digits(&number.to_string()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Mail addresses and long numbers inside a text, masked.
pub fn masked_text(text: &str) -> String {
    text.split_inclusive(|c: char| c.is_whitespace() || c == ',' || c == ';')
        .map(|part| {
            let word = part.trim_end_matches(|c: char| c.is_whitespace() || c == ',' || c == ';');
            let rest = &part[word.len()..];
            let is_number = !word.is_empty()
                && word
                    .chars()
                    .all(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '(' | ')'));
            let digits = word.chars().filter(char::is_ascii_digit).count();
            let masked = match word.split_once('@') {
                Some((_, host)) if host.contains('.') => masked_mail(word),
                _ if is_number && digits >= 8 => masked_digits(word),
                _ => word.to_owned(),
            };
            masked + rest
        })
        .collect()
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
