//! From bytes to text, and from text to records: CSV as spreadsheets in Korea write it.
//!
//! The quotes are those of RFC 4180, read as the `csv` crate reads them, with two differences that
//! a person who sent the file needs: a record knows the row in which a spreadsheet shows it, and a
//! quote that is never closed is an error instead of one cell with the rest of the file in it.

use encoding_rs::{EUC_KR, Encoding, UTF_8};

/// Bytes as text: by its mark (UTF-8, UTF-16), else UTF-8, else EUC-KR with Microsoft's additions
/// (CP949). `None`: neither, or a file that is no text.
pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((UTF_8, 0));
    let bytes = &bytes[mark..];
    let whole = |encoding: &'static Encoding| {
        encoding
            .decode_without_bom_handling_and_without_replacement(bytes)
            .map(|text| text.into_owned())
    };
    let text = match whole(encoding) {
        Some(text) => Some(text),
        None if mark == 0 => whole(EUC_KR),
        None => None,
    }?;
    let binary = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{1a}');
    (!text.contains(binary)).then_some(text)
}

/// A quote was opened in this row, and the file ends within.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OpenQuote {
    pub line: usize,
}

/// The records of a CSV text, one after the other, each with its row, counted from 1.
pub(super) struct Records<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    delimiter: char,
    line: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(text: &'a str, delimiter: char) -> Records<'a> {
        Records {
            rest: text.chars().peekable(),
            delimiter,
            line: 0,
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<(usize, Vec<String>), OpenQuote>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rest.peek()?;
        self.line += 1;
        let mut cells = Vec::new();
        let mut cell = String::new();
        let (mut fresh, mut quoted) = (true, false);
        while let Some(c) = self.rest.next() {
            match c {
                '"' if quoted => match self.rest.next_if_eq(&'"') {
                    Some(_) => cell.push('"'),
                    None => quoted = false,
                },
                c if quoted => cell.push(c),
                '"' if fresh => (fresh, quoted) = (false, true),
                c if c == self.delimiter => {
                    cells.push(std::mem::take(&mut cell));
                    fresh = true;
                }
                '\r' | '\n' => {
                    if c == '\r' {
                        self.rest.next_if_eq(&'\n');
                    }
                    break;
                }
                c => {
                    fresh = false;
                    cell.push(c);
                }
            }
        }
        if quoted {
            return Some(Err(OpenQuote { line: self.line }));
        }
        cells.push(cell);
        Some(Ok((self.line, cells)))
    }
}

/// What may stand between two cells, the likeliest first: what the first line has most of.
pub(super) fn delimiters(text: &str) -> [char; 3] {
    let first = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let count = |delimiter: char| {
        Records::new(first, delimiter)
            .next()
            .and_then(Result::ok)
            .map_or(0, |(_, cells)| cells.len())
    };
    let mut candidates = [',', ';', '\t'];
    candidates.sort_by_key(|delimiter| std::cmp::Reverse(count(*delimiter)));
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<(usize, Vec<String>)> {
        Records::new(text, ',').map(Result::unwrap).collect()
    }

    #[test]
    fn a_record_knows_the_row_a_spreadsheet_shows_it_in() {
        let found = records("a,b\r\n\r\n\"two\nlines\",\"say \"\"hi\"\"\"\nlast,\n");
        assert_eq!(
            found,
            [
                (1, vec!["a".into(), "b".into()]),
                (2, vec![String::new()]),
                (3, vec!["two\nlines".into(), "say \"hi\"".into()]),
                (4, vec!["last".into(), String::new()]),
            ]
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_is_an_error() {
        let mut records = Records::new("a,b\n1,\"홍길동\n2,김철수\n", ',');
        assert!(records.next().unwrap().is_ok());
        assert_eq!(records.next(), Some(Err(OpenQuote { line: 2 })));
        assert_eq!(records.next(), None);
    }

    #[test]
    fn text_is_known_by_its_mark_and_else_by_its_letters() {
        let text = "이름,똠방각하";
        let (euc_kr, _, _) = EUC_KR.encode(text);
        let utf_16: Vec<u8> = [0xFF, 0xFE]
            .into_iter()
            .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        for bytes in [
            text.as_bytes(),
            &euc_kr,
            &utf_16,
            &["\u{feff}".as_bytes(), text.as_bytes()].concat(),
        ] {
            assert_eq!(decode(bytes).as_deref(), Some(text));
        }
        for bytes in [&b"a\0b"[..], b"\xff\xff\xff", b"\x89PNG\r\n\x1a\n\0"] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_first_line_tells_the_delimiter() {
        for (text, expected) in [
            ("a,b,c\n1;2;3;4;5", ','),
            ("\n a;b,c;d", ';'),
            ("a\tb\tc, d", '\t'),
            ("\"a;b;c\",d", ','),
            ("alone", ','),
            ("", ','),
        ] {
            assert_eq!(delimiters(text)[0], expected, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn records_are_those_of_the_csv_crate(rows in proptest::collection::vec(
            proptest::collection::vec("[a-c가\",\n\r ]{0,6}", 2..4), 1..6))
        {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let bytes = writer.into_inner().unwrap();
            let ours: Vec<Vec<String>> = records(&String::from_utf8(bytes).unwrap())
                .into_iter().map(|(_, cells)| cells).collect();
            proptest::prop_assert_eq!(ours, rows);
        }
    }
}
