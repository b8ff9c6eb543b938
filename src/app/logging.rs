//! Where log lines are written, and the last gate that they pass: one event is one line, and nobody's
//! phone, mail, card or account number stands in it.
//!
//! What is logged may hold what others sent us (a reason, an error of PortOne's). Instead of trusting
//! each line of the code with it, the whole line is looked at when it is written.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::domain::masks::masked_text;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// For people. With colours, the program's own escapes stay.
    Text {
        colours: bool,
    },
    Json,
}

/// Begins to log on the standard error.
pub fn begin(json: bool, level: &str) {
    let colours = io::stderr().is_terminal();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter);
    if json {
        lines
            .with_writer(Safe::new(Look::Json, io::stderr))
            .json()
            .init();
    } else {
        lines
            .with_ansi(colours)
            .with_writer(Safe::new(Look::Text { colours }, io::stderr))
            .init();
    }
}

/// Begins to log into a file.
pub fn begin_in(file: std::fs::File) {
    let look = Look::Text { colours: false };
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(Safe::new(look, std::sync::Mutex::new(file)))
        .init();
}

/// A place to write to, behind the gate.
#[derive(Debug)]
pub struct Safe<M> {
    look: Look,
    to: M,
}

impl<M> Safe<M> {
    pub fn new(look: Look, to: M) -> Safe<M> {
        Safe { look, to }
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Safe<M> {
    type Writer = Event<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Event {
            look: self.look,
            line: Vec::new(),
            to: self.to.make_writer(),
        }
    }
}

/// One event on its way: gathered, and written whole when it ends.
#[derive(Debug)]
pub struct Event<W: Write> {
    look: Look,
    line: Vec<u8>,
    to: W,
}

impl<W: Write> Write for Event<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.line.is_empty() {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        let line = safe_line(&String::from_utf8_lossy(&line), self.look);
        self.to.write_all(line.as_bytes())?;
        self.to.flush()
    }
}

impl<W: Write> Drop for Event<W> {
    fn drop(&mut self) {
        // There is nowhere to tell that the log cannot be written.
        let _ = self.flush();
    }
}

/// An event as one line without what is a person's.
pub fn safe_line(event: &str, look: Look) -> String {
    let event = event.strip_suffix('\n').unwrap_or(event);
    let mut line = match look {
        Look::Json => escaped(&masked_strings(event)),
        Look::Text { colours } => one_line(&masked_values(event), colours),
    };
    line.push('\n');
    line
}

/// JSON may hold control characters beyond ASCII as they are; some readers take them for the end of a line.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

/// Control characters as what they are written as in a program.
fn one_line(text: &str, colours: bool) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{1b}' if colours => out.push(c),
            c if breaks(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// JSON with the insides of its strings masked. Numbers of its own are counts and ids.
fn masked_strings(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(open) = rest.find('"') {
        let (front, inside) = rest.split_at(open + 1);
        out.push_str(front);
        let bytes = inside.as_bytes();
        let mut end = 0;
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let end = end.min(inside.len());
        out.push_str(&masked_between_escapes(&inside[..end]));
        rest = &inside[end..];
        if let Some(behind) = rest.strip_prefix('"') {
            out.push('"');
            rest = behind;
        }
    }
    out.push_str(rest);
    out
}

/// The inside of a string of JSON. What an escape stands for is no letter of a word.
fn masked_between_escapes(inside: &str) -> String {
    let mut out = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        out.push_str(&masked_text(&rest[..at]));
        let long = if rest[at..].starts_with("\\u") { 6 } else { 2 };
        // An escape is ASCII; one that is cut off ends the string.
        let end = (at + long).min(rest.len());
        let end = if rest.is_char_boundary(end) {
            end
        } else {
            rest.len()
        };
        out.push_str(&rest[at..end]);
        rest = &rest[end..];
    }
    out.push_str(&masked_text(rest));
    out
}

/// `name=value` with the value masked, unless it is a plain number: those are counts and ids of ours. A
/// phone's number begins with 0, and a card's is longer than any of them.
fn masked_values(line: &str) -> String {
    const LONGEST: usize = 13;
    let mut out = String::with_capacity(line.len());
    for (i, part) in line.split_inclusive('=').enumerate() {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let ends = part[digits..]
            .chars()
            .next()
            .is_none_or(|c| matches!(c, ' ' | '}' | ',' | ':'));
        let plain = i > 0 && (1..=LONGEST).contains(&digits) && !part.starts_with('0') && ends;
        let (number, text) = part.split_at(if plain { digits } else { 0 });
        out.push_str(number);
        out.push_str(&masked_text(text));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written while `run` runs.
    fn logged(look: Look, run: impl FnOnce()) -> String {
        let kept = Kept::default();
        let to = kept.clone();
        let lines = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(Safe::new(look, move || to.clone()));
        match look {
            Look::Json => tracing::subscriber::with_default(lines.json().finish(), run),
            Look::Text { .. } => tracing::subscriber::with_default(lines.finish(), run),
        }
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    const TEXT: Look = Look::Text { colours: false };

    #[test]
    fn one_event_is_one_line_whatever_stands_in_it() {
        const NASTY: [&str; 12] = [
            "\n",
            "\r\n",
            "\r",
            "\u{1b}[2J",
            "\u{1b}]0;x\u{7}",
            "\0",
            "\u{8}",
            "\u{85}",
            "\u{2028}",
            "\"}\n{\"level\":\"FORGED\"",
            "2026-08-06T00:00:00Z ERROR forged",
            "\\\"\\",
        ];
        for look in [TEXT, Look::Json] {
            for round in 0..10_000 {
                let pick = |n: usize| NASTY[(round / NASTY.len().pow(n as u32 % 3)) % NASTY.len()];
                let value = format!("a{}b{}c{}", pick(0), pick(1), pick(2));
                let text = logged(look, || {
                    let span = tracing::info_span!("job", kind = %value);
                    let _in = span.enter();
                    tracing::error!(error = %value, ?value, plain = value.as_str(), "it {value}");
                });
                assert_eq!(text.matches('\n').count(), 1, "{text:?}");
                assert!(text.ends_with('\n'));
                let inside = &text[..text.len() - 1];
                assert!(!inside.contains(|c: char| c.is_control()), "{text:?}");
                if look == Look::Json {
                    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
                    assert_eq!(line["level"], "ERROR", "{text}");
                    assert_eq!(line["fields"]["error"], value.as_str());
                }
            }
        }
    }

    #[test]
    fn no_persons_number_is_written_and_figures_stay() {
        for look in [TEXT, Look::Json] {
            let text = logged(look, || {
                tracing::warn!(
                    job = 1_234_567_890_i64,
                    won = 12_000_000,
                    error = %"call 010-1234-5678, hong@example.com, card 9430-1234-1234-1234",
                    tel = %"01012345678",
                    lines = %"a\n010-7777-1234\tb",
                    body = %r#"{"account":"110123456789","day":"2026-08-06"}"#,
                    "the order ord-20260806-0001 of imp_123456789012"
                );
            });
            for canary in [
                "7777-",
                "1234-5678",
                "hong@",
                "9430-",
                "01012345678",
                "110123456789",
            ] {
                assert!(!text.contains(canary), "{canary}: {text}");
            }
            for kept in [
                "1234567890",
                "12000000",
                "2026-08-06",
                "ord-20260806-0001",
                "imp_123456789012",
            ] {
                assert!(text.contains(kept), "{kept}: {text}");
            }
        }
    }

    #[test]
    fn a_terminal_keeps_its_colours() {
        let line = safe_line(
            "\u{1b}[32m INFO\u{1b}[0m a\r\nb\n",
            Look::Text { colours: true },
        );
        assert_eq!(line, "\u{1b}[32m INFO\u{1b}[0m a\\r\\nb\n");
        let line = safe_line("\u{1b}[32m x\n", TEXT);
        assert_eq!(line, "\\u{1b}[32m x\n");
    }

    proptest::proptest! {
        #[test]
        fn json_stays_the_json_that_it_was(value: String, number: i64) {
            let line = serde_json::json!({ "fields": { "x": value, "n": number } }).to_string();
            let safe = safe_line(&line, Look::Json);
            let read: serde_json::Value = serde_json::from_str(&safe).unwrap();
            proptest::prop_assert_eq!(&read["fields"]["n"], &serde_json::json!(number));
        }
    }
}
