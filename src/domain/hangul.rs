//! Finding Korean the way people type it: by initial consonants, and with the keyboard in the wrong state.
//!
//! `ㅎㄱㄷ` stands for 홍길동, and so does `홍ㄱㄷ`; who forgot to press 한/영 typed `ghdrlfehd`. Pure.

/// The consonants that begin a syllable, in the order of Unicode's syllables.
const INITIALS: [char; 19] = [
    'ㄱ', 'ㄲ', 'ㄴ', 'ㄷ', 'ㄸ', 'ㄹ', 'ㅁ', 'ㅂ', 'ㅃ', 'ㅅ', 'ㅆ', 'ㅇ', 'ㅈ', 'ㅉ', 'ㅊ', 'ㅋ',
    'ㅌ', 'ㅍ', 'ㅎ',
];
const VOWELS: [char; 21] = [
    'ㅏ', 'ㅐ', 'ㅑ', 'ㅒ', 'ㅓ', 'ㅔ', 'ㅕ', 'ㅖ', 'ㅗ', 'ㅘ', 'ㅙ', 'ㅚ', 'ㅛ', 'ㅜ', 'ㅝ', 'ㅞ',
    'ㅟ', 'ㅠ', 'ㅡ', 'ㅢ', 'ㅣ',
];
/// What may end a syllable; the first is nothing.
const FINALS: [char; 28] = [
    '\0', 'ㄱ', 'ㄲ', 'ㄳ', 'ㄴ', 'ㄵ', 'ㄶ', 'ㄷ', 'ㄹ', 'ㄺ', 'ㄻ', 'ㄼ', 'ㄽ', 'ㄾ', 'ㄿ', 'ㅀ',
    'ㅁ', 'ㅂ', 'ㅄ', 'ㅅ', 'ㅆ', 'ㅇ', 'ㅈ', 'ㅊ', 'ㅋ', 'ㅌ', 'ㅍ', 'ㅎ',
];
/// Two that are typed one after the other and become one.
const PAIRS: [(char, char, char); 18] = [
    ('ㅗ', 'ㅏ', 'ㅘ'),
    ('ㅗ', 'ㅐ', 'ㅙ'),
    ('ㅗ', 'ㅣ', 'ㅚ'),
    ('ㅜ', 'ㅓ', 'ㅝ'),
    ('ㅜ', 'ㅔ', 'ㅞ'),
    ('ㅜ', 'ㅣ', 'ㅟ'),
    ('ㅡ', 'ㅣ', 'ㅢ'),
    ('ㄱ', 'ㅅ', 'ㄳ'),
    ('ㄴ', 'ㅈ', 'ㄵ'),
    ('ㄴ', 'ㅎ', 'ㄶ'),
    ('ㄹ', 'ㄱ', 'ㄺ'),
    ('ㄹ', 'ㅁ', 'ㄻ'),
    ('ㄹ', 'ㅂ', 'ㄼ'),
    ('ㄹ', 'ㅅ', 'ㄽ'),
    ('ㄹ', 'ㅌ', 'ㄾ'),
    ('ㄹ', 'ㅍ', 'ㄿ'),
    ('ㄹ', 'ㅎ', 'ㅀ'),
    ('ㅂ', 'ㅅ', 'ㅄ'),
];
/// The two-set keyboard: `a` to `z`.
const KEYS: [char; 26] = [
    'ㅁ', 'ㅠ', 'ㅊ', 'ㅇ', 'ㄷ', 'ㄹ', 'ㅎ', 'ㅗ', 'ㅑ', 'ㅓ', 'ㅏ', 'ㅣ', 'ㅡ', 'ㅜ', 'ㅐ', 'ㅔ',
    'ㅂ', 'ㄱ', 'ㄴ', 'ㅅ', 'ㅕ', 'ㅍ', 'ㅈ', 'ㅌ', 'ㅛ', 'ㅋ',
];
/// What a key gives with Shift, where that is another letter.
const SHIFTED: [(char, char); 7] = [
    ('Q', 'ㅃ'),
    ('W', 'ㅉ'),
    ('E', 'ㄸ'),
    ('R', 'ㄲ'),
    ('T', 'ㅆ'),
    ('O', 'ㅒ'),
    ('P', 'ㅖ'),
];

const FIRST: u32 = '가' as u32;
const LAST: u32 = '힣' as u32;

fn place(of: &[char], c: char) -> Option<u32> {
    of.iter().position(|known| *known == c).map(|at| at as u32)
}

/// The consonant that a syllable begins with; nothing of what is no syllable.
pub fn initial(c: char) -> Option<char> {
    let code = u32::from(c);
    if !(FIRST..=LAST).contains(&code) {
        return None;
    }
    let at = (code - FIRST) / (VOWELS.len() as u32 * FINALS.len() as u32);
    INITIALS.get(at as usize).copied()
}

/// Whether it stands for every syllable that begins with it.
pub fn is_initial(c: char) -> bool {
    INITIALS.contains(&c)
}

/// A text with each syllable cut down to its initial; what is no syllable stays.
pub fn initials(text: &str) -> String {
    text.chars().map(|c| initial(c).unwrap_or(c)).collect()
}

/// Whether `text` holds `wanted`, whose lone consonants stand for syllables. Both in lower case.
pub fn holds(text: &str, wanted: &str) -> bool {
    if !wanted.chars().any(is_initial) {
        return text.contains(wanted);
    }
    let fits = |(have, want): (char, char)| {
        have == want || (is_initial(want) && initial(have) == Some(want))
    };
    let length = wanted.chars().count();
    let chars: Vec<char> = text.chars().collect();
    chars
        .windows(length.max(1))
        .any(|part| part.iter().copied().zip(wanted.chars()).all(fits))
}

/// What English letters would have been with the keyboard in Korean: `None` if any is no letter, or what
/// comes out is no Korean anybody would have meant (a vowel alone, a syllable among lone consonants).
pub fn from_english_keys(text: &str) -> Option<String> {
    let mut letters = Vec::new();
    for c in text.chars() {
        let shifted = SHIFTED.iter().find(|(key, _)| *key == c);
        letters.push(match shifted {
            Some((_, letter)) => *letter,
            None if c == ' ' => ' ',
            None if c.is_ascii_alphabetic() => {
                let at = c.to_ascii_lowercase() as usize - 'a' as usize;
                *KEYS.get(at)?
            }
            None => return None,
        });
    }
    let typed = composed(&letters);
    let whole = |c: char| initial(c).is_some() || c == ' ';
    let all = |of: fn(char) -> bool| typed.chars().all(|c| c == ' ' || of(c));
    let meant = typed.chars().all(whole) || all(is_initial);
    (meant && typed.chars().any(|c| c != ' ')).then_some(typed)
}

fn pair(first: char, second: char) -> Option<char> {
    let found = PAIRS.iter().find(|(a, b, _)| (*a, *b) == (first, second));
    found.map(|(_, _, both)| *both)
}

/// A syllable on its way.
#[derive(Default)]
struct Syllable {
    initial: Option<char>,
    vowel: Option<char>,
    /// One or two consonants that end it, unless a vowel comes.
    ends: Vec<char>,
}

impl Syllable {
    fn ending(&self) -> Option<char> {
        match self.ends.as_slice() {
            [one] => Some(*one),
            [one, two] => pair(*one, *two),
            _ => None,
        }
    }

    /// Puts it down as far as it came.
    fn put(self, out: &mut String) {
        let place_of = |set: &[char], c: Option<char>| c.and_then(|c| place(set, c));
        let first = place_of(&INITIALS, self.initial);
        let middle = place_of(&VOWELS, self.vowel);
        let last = place_of(&FINALS, self.ending()).unwrap_or(0);
        if let (Some(first), Some(middle)) = (first, middle) {
            let code = FIRST + (first * VOWELS.len() as u32 + middle) * FINALS.len() as u32 + last;
            out.extend(char::from_u32(code));
        } else {
            out.extend(self.initial);
            out.extend(self.vowel);
            out.extend(self.ends);
        }
    }
}

/// Letters put together into syllables, as a keyboard does it.
fn composed(letters: &[char]) -> String {
    let mut out = String::new();
    let mut now = Syllable::default();
    for letter in letters {
        let letter = *letter;
        if VOWELS.contains(&letter) {
            if let Some(moved) = now.ends.pop() {
                // The consonant before a vowel begins the next syllable.
                std::mem::take(&mut now).put(&mut out);
                now.initial = Some(moved);
                now.vowel = Some(letter);
            } else if let Some(before) = now.vowel {
                match pair(before, letter) {
                    Some(both) => now.vowel = Some(both),
                    None => {
                        std::mem::take(&mut now).put(&mut out);
                        now.vowel = Some(letter);
                    }
                }
            } else {
                now.vowel = Some(letter);
            }
            continue;
        }
        let ends_it = now.initial.is_some() && now.vowel.is_some();
        let room = match now.ends.as_slice() {
            [] => FINALS.contains(&letter) && letter != '\0',
            [one] => pair(*one, letter).is_some(),
            _ => false,
        };
        if ends_it && room {
            now.ends.push(letter);
            continue;
        }
        std::mem::take(&mut now).put(&mut out);
        if is_initial(letter) {
            now.initial = Some(letter);
        } else {
            out.push(letter);
        }
    }
    now.put(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_syllable_begins_with_one_consonant() {
        for (c, of) in [
            ('가', Some('ㄱ')),
            ('까', Some('ㄲ')),
            ('홍', Some('ㅎ')),
            ('힣', Some('ㅎ')),
            ('ㅎ', None),
            ('a', None),
        ] {
            assert_eq!(initial(c), of, "{c}");
        }
        assert_eq!(initials("햇사과 5kg"), "ㅎㅅㄱ 5kg");
    }

    #[test]
    fn consonants_stand_for_syllables_alone_and_mixed() {
        for (text, wanted, found) in [
            ("홍길동", "ㅎㄱㄷ", true),
            ("홍길동", "홍ㄱㄷ", true),
            ("홍길동", "ㄱ동", true),
            ("홍길동", "길ㄱ", false),
            ("홍길동", "ㄱㄱ", false),
            ("햇사과 5kg", "ㅅㄱ", true),
            ("햇사과 5kg", "ㅅㄱ 5k", true),
            ("ㅋㅋ", "ㅋㅋ", true),
            ("홍길동", "길동", true),
            ("홍", "ㅎㄱ", false),
            ("", "ㅎ", false),
        ] {
            assert_eq!(holds(text, wanted), found, "{text} {wanted}");
        }
    }

    #[test]
    fn the_wrong_keyboard_still_says_what_was_meant() {
        for (typed, meant) in [
            ("ghdrlfehd", Some("홍길동")),
            ("tkrhk", Some("사과")),
            ("gksrnr", Some("한국")),
            ("rkqt", Some("값")),
            ("rkqtdl", Some("값이")),
            ("dksj", Some("아너")),
            ("Rkclf", Some("까칠")),
            ("dnjs", Some("원")),
            ("dml", Some("의")),
            ("grE", Some("ㅎㄱㄸ")),
            ("grt", Some("ㅎㄱㅅ")),
            ("rkk", None),
            ("imp_1", None),
            ("order", None),
            ("", None),
            (" ", None),
        ] {
            assert_eq!(from_english_keys(typed).as_deref(), meant, "{typed}");
        }
    }

    #[test]
    fn what_is_typed_comes_back_as_the_syllables_that_it_was() {
        // Every syllable, spelt out by its letters, is put together again.
        for code in FIRST..=LAST {
            let Some(c) = char::from_u32(code) else {
                continue;
            };
            let at = code - FIRST;
            let (first, rest) = (at / 588, at % 588);
            let split = |c: char| match PAIRS.iter().find(|(_, _, both)| *both == c) {
                Some((a, b, _)) => vec![*a, *b],
                None => vec![c],
            };
            let mut letters = vec![INITIALS[first as usize]];
            letters.extend(split(VOWELS[(rest / 28) as usize]));
            if rest % 28 > 0 {
                letters.extend(split(FINALS[(rest % 28) as usize]));
            }
            assert_eq!(composed(&letters), c.to_string());
        }
    }
}
