//! What keeps a text in a CSV from being run as a formula.
//!
//! A spreadsheet runs a cell that begins with one of [`STARTS`]. Where a cell begins depends on what the
//! program that opens the file takes for a separator, so a start behind any of [`BREAKS`] counts as well:
//! `a;=1` is one cell here and two in a country of semicolons. In front of each start stands a `'`, which
//! every spreadsheet shows as text. One `'` more than there was: so it can be taken off again, and what was
//! written is what is read.

/// What a spreadsheet takes for the beginning of a formula, the wide forms of Korean keyboards with it.
const STARTS: [char; 12] = [
    '=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠',
];
/// Behind which a cell may begin.
const BREAKS: [char; 7] = [',', ';', '|', '\t', '\r', '\n', '"'];

/// The text with a `'` wherever it could begin a formula.
pub(super) fn guarded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Whether a cell may begin here; any number of `'` keeps it so.
    let mut begins = true;
    for c in text.chars() {
        if begins && STARTS.contains(&c) {
            out.push('\'');
        }
        out.push(c);
        begins = BREAKS.contains(&c) || (begins && c == '\'');
    }
    out
}

/// The text as it was before it was guarded.
pub(super) fn unguarded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins && STARTS.contains(&c) && out.ends_with('\'') {
            out.pop();
        }
        out.push(c);
        begins = BREAKS.contains(&c) || (begins && c == '\'');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_shown_as_what_it_is_and_all_else_stays() {
        for (text, guard) in [
            ("=1+1", "'=1+1"),
            ("+82", "'+82"),
            ("-name", "'-name"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t'=1"),
            ("\r=1", "'\r'=1"),
            ("\0=1", "'\0=1"),
            ("＝1", "'＝1"),
            ("a;=1", "a;'=1"),
            ("a\n=1", "a\n'=1"),
            ("a,-1", "a,'-1"),
            ("\"=1\"", "\"'=1\""),
            ("'=1", "''=1"),
            ("''=1", "'''=1"),
            // None of these.
            ("가=1", "가=1"),
            ("a@b.kr", "a@b.kr"),
            ("1-2", "1-2"),
            ("'", "'"),
            ("it's", "it's"),
            ("", ""),
        ] {
            assert_eq!(guarded(text), guard, "{text:?}");
            assert_eq!(unguarded(guard), text, "{guard:?}");
        }
        // What others wrote without a guard.
        assert_eq!(unguarded("=1"), "=1");
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(10_000))]
        #[test]
        fn what_is_guarded_is_read_back(text in "[-=+@'\",;|\t\r\n\0a가＝ ]{0,12}") {
            let guard = guarded(&text);
            proptest::prop_assert_eq!(unguarded(&guard), text);
            for cell in guard.split(BREAKS) {
                proptest::prop_assert!(!cell.starts_with(STARTS), "{:?}", guard);
            }
        }
    }
}
