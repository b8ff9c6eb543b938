//! As much of a buyer as a page needs to tell one from another. Pure.

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

#[cfg(test)]
mod tests {
    use super::*;

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
