//! What somebody typed into a search: a part of a text, initial consonants, a phone number, an amount, a number
//! of ours. Pure; `store::search` finds it.

use super::{hangul, money::Won};

/// A search, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// In lower case, without control characters and without space around it.
    text: String,
    /// The same as it was typed: ids know their case.
    typed: String,
    has_initials: bool,
}

impl Wanted {
    /// `None` if there is nothing to look for.
    pub fn read(text: &str) -> Option<Wanted> {
        let typed: String = text.chars().filter(|c| !c.is_control()).collect();
        let typed = typed.trim().to_owned();
        (!typed.is_empty()).then(|| Wanted {
            has_initials: typed.chars().any(hangul::is_initial),
            text: typed.to_lowercase(),
            typed,
        })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// Whether a lone consonant in it stands for syllables.
    pub fn has_initials(&self) -> bool {
        self.has_initials
    }

    /// A single letter is in half of all texts.
    pub fn is_short(&self) -> bool {
        self.text.chars().nth(1).is_none()
    }

    /// Whether a text holds it, in whatever case.
    pub fn is_in(&self, text: &str) -> bool {
        hangul::holds(&text.to_lowercase(), &self.text)
    }

    /// The digits of a phone number, or at least the last four: `010-1234-5678`, `5678`.
    pub fn phone(&self) -> Option<String> {
        let plain = self
            .text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '-' | ' ' | '.' | '+' | '(' | ')'));
        let digits = digits(&self.text);
        (plain && (digits.len() == 4 || (8..=15).contains(&digits.len()))).then_some(digits)
    }

    /// An amount as people write it: `12,000`, `12000원`, `₩12,000`, `3만원`, `1만2천`, `12,000 won`.
    pub fn amount(&self) -> Option<Won> {
        let text = self.text.trim_start_matches('₩');
        let text = text
            .trim_end_matches("won")
            .trim_end_matches("원")
            .trim_end();
        let (mut sum, mut rest) = (0_i64, text.replace([',', ' '], ""));
        if rest.starts_with(['-', '+']) || !fits_threes(text) {
            return None;
        }
        for (unit, worth) in [("억", 100_000_000), ("만", 10_000), ("천", 1_000)] {
            if let Some((many, behind)) = rest.split_once(unit) {
                let many: i64 = many.parse().ok()?;
                sum = sum.checked_add(many.checked_mul(worth)?)?;
                rest = behind.to_owned();
            }
        }
        if !rest.is_empty() {
            sum = sum.checked_add(rest.parse().ok()?)?;
        }
        (1..=Won::LARGEST.get())
            .contains(&sum)
            .then_some(Won::new(sum))
    }

    /// A number of ours, as of a settlement or a batch: `12`, `#12`.
    pub fn number(&self) -> Option<i64> {
        let text = self.text.strip_prefix('#').unwrap_or(&self.text).trim();
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number: i64 = text.parse().ok().filter(|_| plain)?;
        (number > 0).then_some(number)
    }

    /// A transfer by which a bank's file and our books know each other, `P12-3`: the batch and the payout.
    pub fn transfer(&self) -> Option<(i64, i64)> {
        let (batch, payout) = self.text.strip_prefix('p')?.split_once('-')?;
        let number = |text: &str| -> Option<i64> {
            let plain = text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|n| plain && *n > 0)
        };
        Some((number(batch)?, number(payout)?))
    }

    /// What it would have been, had the keyboard been in Korean.
    pub fn from_english_keys(typed: &str) -> Option<Wanted> {
        hangul::from_english_keys(typed.trim()).and_then(|text| Wanted::read(&text))
    }
}

/// The digits of a text, one after the other.
pub fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Whether commas, where there are any, stand between threes.
fn fits_threes(text: &str) -> bool {
    let mut parts = text.trim().split(',');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    rest.is_empty()
        || ((1..=3).contains(&first.len())
            && rest
                .iter()
                .all(|part| part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Wanted {
        Wanted::read(text).unwrap()
    }

    #[test]
    fn an_amount_is_read_as_people_write_it() {
        for (text, won) in [
            ("12,000", Some(12_000)),
            ("12000", Some(12_000)),
            ("₩12,000", Some(12_000)),
            ("12,000원", Some(12_000)),
            ("12000 원", Some(12_000)),
            ("12,000 won", Some(12_000)),
            ("3만원", Some(30_000)),
            ("1만2천", Some(12_000)),
            ("1만 2,500", None),
            ("1만2500원", Some(12_500)),
            ("2억", Some(200_000_000)),
            ("1,2", None),
            ("1,0000", None),
            ("-500", None),
            ("0", None),
            ("만", None),
            ("원", None),
            ("9223372036854775807", None),
            ("999999999999999억", None),
            ("12.5", None),
            ("12a", None),
        ] {
            assert_eq!(wanted(text).amount(), won.map(Won::new), "{text}");
        }
    }

    #[test]
    fn a_number_may_be_a_phones_a_settlements_or_a_transfers() {
        assert_eq!(
            wanted("010-1234-5678").phone().as_deref(),
            Some("01012345678")
        );
        assert_eq!(wanted("5678").phone().as_deref(), Some("5678"));
        for none in ["567", "12345", "imp_5678", "----", "1234567890123456"] {
            assert_eq!(wanted(none).phone(), None, "{none}");
        }
        assert_eq!(wanted("#12").number(), Some(12));
        assert_eq!(wanted(" 7 ").number(), Some(7));
        for none in ["#", "-7", "+7", "7.0", "0", "99999999999999999999"] {
            assert_eq!(wanted(none).number(), None, "{none}");
        }
        assert_eq!(wanted("P12-3").transfer(), Some((12, 3)));
        for none in ["p12", "p-3", "p12-", "p1-+3", "q1-2"] {
            assert_eq!(wanted(none).transfer(), None, "{none}");
        }
    }

    #[test]
    fn nothing_is_no_search_and_case_is_none_either() {
        for none in ["", "  ", "\u{0}\n"] {
            assert_eq!(Wanted::read(none), None);
        }
        assert!(wanted(" ORD-7\u{0} ").is_in("my ord-7"));
        assert!(wanted("ㅎㄱㄷ").is_in("홍길동") && wanted("ㅎㄱㄷ").has_initials());
        assert!(!wanted("홍길동").has_initials());
        let typed = Wanted::from_english_keys("ghdrlfehd").unwrap();
        assert_eq!(typed.text(), "홍길동");
    }
}
