//! What the compiler does not check: who may import whom, where SQL stands, what is unfinished.
//!
//! Reads `src/` and `tests/` as text, with comments and strings taken apart. Each exception stands in
//! a list here with its reason; one that is no longer needed fails as well.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Top-level module, and whose items it may use. Its own are always allowed.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("store", &["domain"]),
    ("sheet", &["domain"]),
    ("flow", &["domain", "sheet", "store"]),
    ("adapters", &["domain", "flow", "store"]),
    ("jobs", &["domain", "flow", "store"]),
    ("web", &["config", "domain", "flow", "sheet", "store"]),
    ("sandbox", &[]),
    ("config", &["adapters", "domain", "flow"]),
    (
        "app",
        &[
            "adapters", "config", "domain", "flow", "jobs", "sheet", "store", "web",
        ],
    ),
    (
        "demo",
        &[
            "app", "config", "domain", "flow", "jobs", "sandbox", "sheet", "store", "web",
        ],
    ),
    (
        "main",
        &[
            "app",
            "config",
            "demo",
            "domain",
            "flow",
            "healthcheck",
            "sheet",
            "store",
            "web",
        ],
    ),
    (
        "cli",
        &["app", "config", "domain", "flow", "sheet", "store"],
    ),
    ("healthcheck", &[]),
    ("lib", &[]),
];

/// Where only a part of a module may be used: who, of what, which paths begin like this.
const ONLY: &[(&str, &str, &[&str])] = &[
    // What the pay page shows is read once, by `config`, and handed on as it is.
    ("web", "config", &["config::PayPage"]),
    // The settings of PortOne's client are its own, and so is where our requests may go: `config`
    // fills them in, and checks a URL by the rule that is kept when it is called.
    (
        "config",
        "adapters",
        &["adapters::portone::PortoneConfig", "adapters::outbound"],
    ),
];

/// Adapters keep the traits of `flow/mod.rs` and know no verb; only a broker knows the `job` table.
const STORE_FOR_ADAPTERS: &str = "src/adapters/broker/";

/// Longer than 900 lines, and still of one subject.
const LONG: &[(&str, &str)] = &[
    (
        "src/config.rs",
        "a third is the table of settings, a quarter its tests",
    ),
    (
        "src/store/settlements.rs",
        "a day's run, its lines and its settlements: one set of tables, read together",
    ),
    (
        "src/sandbox/books.rs",
        "one ledger with one invariant, and its property tests",
    ),
    (
        "src/sandbox/v1.rs",
        "PortOne's V1 protocol, endpoint after endpoint",
    ),
    (
        "tests/sandbox.rs",
        "the sandbox's stories, one after the other",
    ),
];
const LONGEST: usize = 900;

/// `unwrap` and `expect` outside of tests that are proven: file, the line's text, why.
const PROVEN: &[(&str, &str, &str)] = &[(
    "src/flow/confirm_payment.rs",
    "a ULID is an id",
    "26 letters and digits are an id by the rule of domain::ids",
)];

/// Names that `format!` may put into SQL besides constants, all `&'static str` in the code.
const SQL_PARTS: &[(&str, &str, &str)] = &[
    (
        "src/store/books.rs",
        "rule.sql",
        "a rule of the constant table",
    ),
    (
        "src/store/cancellations.rs",
        "by",
        "a column, named by the callers in that file",
    ),
    (
        "src/store/mod.rs",
        "mode",
        "how thorough a checkpoint is, one of two literals",
    ),
    (
        "src/store/payment_paths.rs",
        "at",
        "a column, one of two literals",
    ),
    (
        "src/store/payment_paths.rs",
        "row",
        "a column, one of two literals",
    ),
    (
        "src/store/payment_paths.rs",
        "fits",
        "conditions, each a literal",
    ),
    (
        "src/store/payment_paths.rs",
        "range",
        "an index with its bounds, of literals",
    ),
    (
        "src/store/payment_lists.rs",
        "at",
        "a column, one of two literals",
    ),
    (
        "src/store/payment_lists.rs",
        "range",
        "an index with its bounds, of literals",
    ),
    (
        "src/store/payment_lists.rs",
        "many",
        "a number of ours; SQLite prepares a statement anew whenever the value of a limit is bound",
    ),
    (
        "src/store/payment_lists.rs",
        "from",
        "the payments themselves or their index, one of two literals",
    ),
    (
        "src/store/payment_lists.rs",
        "fits",
        "conditions, each a literal",
    ),
];

// --- Reading Rust, as far as needed

struct Source {
    /// `src/web/api.rs`
    path: String,
    text: String,
    /// The text with comments and the insides of strings blanked, line for line the same.
    code: String,
    /// Where each string stands in `code`, and what is in it.
    strings: Vec<(usize, String)>,
    /// `code` with everything under `#[cfg(test)]` blanked, too.
    shipped: String,
}

impl Source {
    fn read(path: &Path, root: &Path) -> Source {
        let text = std::fs::read_to_string(path).unwrap();
        let (code, strings) = take_apart(&text);
        let shipped = without_tests(&code);
        let path = path.strip_prefix(root).unwrap().display().to_string();
        Source {
            path,
            text,
            code,
            strings,
            shipped,
        }
    }

    fn line(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    fn at(&self, at: usize) -> String {
        format!("{}:{}", self.path, self.line(at))
    }

    /// `src/store/jobs.rs` is `["store", "jobs"]`, `src/store/mod.rs` is `["store"]`.
    fn module(&self) -> Vec<&str> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inner.split('/').filter(|part| *part != "mod").collect()
    }

    fn in_tests(&self, at: usize) -> bool {
        self.shipped.as_bytes()[at] != self.code.as_bytes()[at]
    }

    /// Every use of `word` as a word of its own outside of tests.
    fn words(&self, word: &str) -> Vec<usize> {
        let code = &self.shipped;
        code.match_indices(word)
            .map(|(at, _)| at)
            .filter(|at| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            .collect()
    }
}

/// Blanks comments and strings; gives the strings beside.
fn take_apart(text: &str) -> (String, Vec<(usize, String)>) {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut strings = Vec::new();
    let blank = |code: &mut Vec<u8>, from: usize, to: usize| {
        for byte in &mut code[from..to] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    };
    let mut i = 0;
    while i < bytes.len() {
        let rest = &text.as_bytes()[i..];
        if rest.starts_with(b"//") {
            let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            blank(&mut code, i, i + end);
            i += end;
        } else if rest.starts_with(b"/*") {
            let (mut depth, mut end) = (1, 2);
            while depth > 0 && end < rest.len() {
                match &rest[end..rest.len().min(end + 2)] {
                    b"/*" => (depth, end) = (depth + 1, end + 2),
                    b"*/" => (depth, end) = (depth - 1, end + 2),
                    _ => end += 1,
                }
            }
            blank(&mut code, i, i + end);
            i += end;
        } else if rest[0] == b'r' && !word_before(bytes, i) && raw_hashes(rest).is_some() {
            let hashes = raw_hashes(rest).unwrap_or(0);
            let open = i + hashes + 2;
            let close = format!("\"{}", "#".repeat(hashes));
            let end = text[open..].find(&close).map_or(text.len(), |n| open + n);
            strings.push((open, text[open..end].to_owned()));
            blank(&mut code, open, end);
            i = end + close.len();
        } else if rest[0] == b'"' {
            let mut end = i + 1;
            while end < bytes.len() && bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            let end = end.min(bytes.len());
            strings.push((i + 1, text[i + 1..end].to_owned()));
            blank(&mut code, i + 1, end);
            i = end + 1;
        } else if rest[0] == b'\'' {
            // A character, or else a lifetime.
            let quoted = if rest.get(1) == Some(&b'\\') {
                rest[2..].iter().position(|b| *b == b'\'').map(|n| n + 3)
            } else {
                let first = text[i + 1..].chars().next().map_or(1, char::len_utf8);
                (rest.get(1 + first) == Some(&b'\'')).then_some(2 + first)
            };
            // '\'' ends one further on.
            let quoted = quoted.map(|n| n + usize::from(rest.starts_with(b"'\\''")));
            if let Some(length) = quoted {
                blank(&mut code, i + 1, i + length - 1);
            }
            i += quoted.unwrap_or(1);
        } else {
            i += 1;
        }
    }
    (String::from_utf8(code).unwrap(), strings)
}

/// Blanks the item behind each `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut shipped = code.as_bytes().to_vec();
    for (from, mark) in code.match_indices("#[cfg(test)]") {
        let item = &code[from + mark.len()..];
        let mut depth = 0;
        let mut end = item.len();
        for (at, c) in item.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 && (c == '}' || c == ';') {
                end = at + 1;
                break;
            }
        }
        for byte in &mut shipped[from..from + mark.len() + end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    String::from_utf8(shipped).unwrap()
}

fn word_before(bytes: &[u8], at: usize) -> bool {
    // `br"…"` is a raw string, too.
    let before = bytes[..at]
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_');
    let before: Vec<u8> = before.copied().collect();
    !before.is_empty() && before != b"b"
}

/// How many `#` a raw string that begins here has.
fn raw_hashes(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
    (rest.get(1 + hashes) == Some(&b'"')).then_some(hashes)
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources(dirs: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for dir in dirs {
        files(&root.join(dir), &mut found);
    }
    found.iter().map(|path| Source::read(path, root)).collect()
}

/// Paths that a `use` tree or a plain path names, from `code`, which begins behind `crate::`.
fn paths(code: &str) -> Vec<String> {
    let code = code.trim_start();
    if let Some(inner) = code.strip_prefix('{') {
        let (mut depth, mut from, mut all) = (1, 0, Vec::new());
        for (at, c) in inner.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if (c == ',' && depth == 1) || depth == 0 {
                all.extend(paths(&inner[from..at]));
                from = at + 1;
            }
            if depth == 0 {
                break;
            }
        }
        return all;
    }
    let end = code
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(code.len());
    let (name, rest) = code.split_at(end);
    if name.is_empty() {
        return Vec::new();
    }
    match rest.strip_prefix("::") {
        Some(rest) => {
            let deeper = paths(rest);
            if deeper.is_empty() {
                vec![name.to_owned()]
            } else {
                deeper
                    .into_iter()
                    .map(|path| format!("{name}::{path}"))
                    .collect()
            }
        }
        None => vec![name.to_owned()],
    }
}

/// All of ours that a file names, as paths from the crate's root, and where.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let known: BTreeSet<&str> = MAY_IMPORT.iter().map(|(name, _)| *name).collect();
    let code = &source.code;
    let mut found = Vec::new();
    let ours = if source.path == "src/main.rs" || source.path.starts_with("src/cli/") {
        "jeongsan::"
    } else {
        "crate::"
    };
    for (at, _) in code.match_indices(ours) {
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            found.extend(
                paths(&code[at + ours.len()..])
                    .into_iter()
                    .map(|path| (at, path)),
            );
        }
    }
    // `super::super::store`: where the chain reaches the root.
    let depth = source.module().len();
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with("super::") {
            continue;
        }
        let chain = code[at..].matches("super::").count();
        let chain = (1..=chain)
            .take_while(|n| code[at..].starts_with(&"super::".repeat(*n)))
            .count();
        let in_tests = usize::from(source.in_tests(at));
        if chain.saturating_sub(in_tests) >= depth {
            let named = paths(&code[at + chain * "super::".len()..]);
            found.extend(named.into_iter().map(|path| (at, path)));
        }
    }
    found.retain(|(_, path)| known.contains(path.split("::").next().unwrap_or_default()));
    found
}

fn none(wrong: Vec<String>, what: &str) {
    assert!(wrong.is_empty(), "{what}:\n  {}\n", wrong.join("\n  "));
}

// --- The rules

#[test]
fn imports_point_at_what_changes_least() {
    let rules: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources(&["src"]) {
        let own = source.module()[0];
        let Some(allowed) = rules.get(own) else {
            wrong.push(format!(
                "{}: `{own}` has no rule in tests/tidy.rs yet",
                source.path
            ));
            continue;
        };
        for (at, path) in imports(&source) {
            let of = path.split("::").next().unwrap_or_default();
            if of == own {
                continue;
            }
            let place = source.at(at);
            if !allowed.contains(&of) {
                wrong.push(format!("{place}: `{own}` may not use `crate::{path}`"));
            }
            for (_, _, only) in ONLY
                .iter()
                .filter(|(who, what, _)| *who == own && *what == of)
            {
                if !only
                    .iter()
                    .any(|only| path == *only || path.starts_with(&format!("{only}::")))
                {
                    wrong.push(format!(
                        "{place}: `{own}` uses `crate::{path}`, but of `{of}` only {only:?}"
                    ));
                }
            }
            if own == "adapters" && of == "store" && !source.path.starts_with(STORE_FOR_ADAPTERS) {
                wrong.push(format!("{place}: only a broker may use `crate::{path}`"));
            }
            if own == "adapters" && of == "flow" {
                let item = path.split("::").nth(1).unwrap_or_default();
                if !item.starts_with(char::is_uppercase) {
                    wrong.push(format!(
                        "{place}: an adapter keeps traits and calls no flow (`crate::{path}`)"
                    ));
                }
            }
        }
    }
    none(wrong, "imports against the map");
}

#[test]
fn every_file_says_what_it_is() {
    let wrong = sources(&["src", "tests"])
        .iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.path.clone())
        .collect();
    none(wrong, "files that do not begin with `//!`");
}

#[test]
fn nothing_is_left_unfinished_or_skipped() {
    let marks = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("#[ign", "ore"),
        concat!("dbg", "!("),
    ];
    let mut wrong = Vec::new();
    for source in sources(&["src", "tests"]) {
        for mark in marks {
            let found = source.code.match_indices(mark);
            wrong.extend(found.map(|(at, _)| format!("{}: {mark}", source.at(at))));
        }
    }
    none(wrong, "unfinished or skipped");
}

#[test]
fn nothing_panics_by_choice_while_money_is_in_flight() {
    let mut wrong = Vec::new();
    let mut unused: BTreeSet<_> = PROVEN
        .iter()
        .map(|(file, text, _)| (*file, *text))
        .collect();
    for source in sources(&["src"]) {
        for mark in [".unwrap()", ".expect(", "panic!(", "unreachable!("] {
            let code = &source.shipped;
            for (at, _) in code.match_indices(mark) {
                let line = source
                    .text
                    .lines()
                    .nth(source.line(at) - 1)
                    .unwrap_or_default()
                    .trim();
                let proven = PROVEN
                    .iter()
                    .find(|(file, text, _)| *file == source.path && line.contains(text));
                match proven {
                    Some((file, text, _)) => _ = unused.remove(&(*file, *text)),
                    None => wrong.push(format!("{}: {line}", source.at(at))),
                }
            }
        }
    }
    wrong.extend(
        unused
            .iter()
            .map(|(file, text)| format!("{file}: `{text}` is not there any more")),
    );
    none(
        wrong,
        "a panic outside of tests that nobody has proven impossible",
    );
}

#[test]
fn a_file_has_one_subject() {
    let mut wrong = Vec::new();
    for source in sources(&["src", "tests"]) {
        let lines = source.text.lines().count();
        let listed = LONG.iter().any(|(path, _)| *path == source.path);
        if lines > LONGEST && !listed {
            wrong.push(format!("{}: {lines} lines", source.path));
        }
        if lines <= LONGEST && listed {
            wrong.push(format!(
                "{}: no longer long; take it off the list",
                source.path
            ));
        }
    }
    none(wrong, "long files without a reason");
}

#[test]
fn sql_stands_in_the_store() {
    let calls = [
        ".prepare_cached(",
        ".query_row(",
        ".query_map(",
        ".query_and_then(",
        ".execute_batch(",
        ".execute(",
        "conn.prepare(",
        "conn().prepare(",
    ];
    let mut wrong = Vec::new();
    for source in sources(&["src"]) {
        if source.module()[0] == "store" {
            continue;
        }
        for call in calls {
            let code = &source.shipped;
            wrong.extend(
                code.match_indices(call)
                    .map(|(at, _)| format!("{}: {call}", source.at(at))),
            );
        }
        for (at, text) in &source.strings {
            if !source.in_tests(*at - 1) && is_sql(text) {
                wrong.push(format!(
                    "{}: \"{}…\"",
                    source.at(*at),
                    text.trim().chars().take(40).collect::<String>()
                ));
            }
        }
    }
    none(wrong, "SQL outside of src/store");
}

/// What axum itself says about a query, a form or a body that it cannot take is a line of English text: neither a
/// problem for a program nor a page for a person. `web::extract` has those that say it properly.
#[test]
fn a_request_is_read_by_what_can_say_what_is_wrong() {
    let plain = [
        "): Query<",
        "): Form<",
        "): Json<",
        "): axum::Json<",
        " body: Bytes,",
        "BytesRejection>,",
    ];
    let mut wrong = Vec::new();
    for source in sources(&["src"]) {
        if source.module()[0] != "web" || source.path.ends_with("web/extract.rs") {
            continue;
        }
        for what in plain {
            wrong.extend(
                source
                    .shipped
                    .match_indices(what)
                    .map(|(at, _)| format!("{}: {}", source.at(at), what.trim())),
            );
        }
    }
    none(wrong, "handlers that take axum's own extractors");
}

fn is_sql(text: &str) -> bool {
    let text = text.trim_start().to_lowercase();
    let begins = |with: &[&str]| with.iter().any(|with| text.starts_with(with));
    (begins(&["select "]) && text.contains(" from "))
        || begins(&[
            "insert into ",
            "delete from ",
            "pragma ",
            "begin immediate",
            "create table ",
        ])
        || (begins(&["update "]) && text.contains(" set "))
}

/// Values travel as parameters. What is put into the text of a statement is a constant of ours.
#[test]
fn no_value_is_written_into_sql() {
    let mut wrong = Vec::new();
    let mut unused: BTreeSet<_> = SQL_PARTS
        .iter()
        .map(|(file, name, _)| (*file, *name))
        .collect();
    for source in sources(&["src/store"]) {
        for at in source.words("format!(") {
            let Some((open, text)) = source.strings.iter().find(|(open, _)| *open > at) else {
                continue;
            };
            if !touches_sql(text) {
                continue;
            }
            let close = open + text.len() + 1;
            let end = source.code[close..]
                .find([')', ';'])
                .map_or(close, |n| close + n);
            let mut parts: Vec<&str> = source.code[close..end]
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .collect();
            parts.extend(
                text.split('{')
                    .skip(1)
                    .filter_map(|rest| rest.split('}').next()),
            );
            for part in parts.into_iter().filter(|part| !part.is_empty()) {
                let constant = part.chars().all(|c| c.is_ascii_uppercase() || c == '_');
                let listed = SQL_PARTS
                    .iter()
                    .find(|(file, name, _)| *file == source.path && *name == part);
                match listed {
                    Some((file, name, _)) => _ = unused.remove(&(*file, *name)),
                    None if constant => {}
                    None => wrong.push(format!("{}: `{part}` is written into SQL", source.at(at))),
                }
            }
        }
    }
    wrong.extend(
        unused
            .iter()
            .map(|(file, name)| format!("{file}: `{name}` is not there any more")),
    );
    none(wrong, "values written into SQL");
}

fn touches_sql(text: &str) -> bool {
    let text = format!(" {} ", text.to_lowercase().replace('\n', " "));
    is_sql(&text)
        || [
            " select ",
            " from ",
            " where ",
            " and (",
            " order by ",
            " limit ",
            " >= :",
            " < :",
            " join ",
        ]
        .iter()
        .any(|word| text.contains(word))
}

#[test]
fn the_reader_of_rust_is_not_fooled() {
    let text = "let a = \"// no \\\" comment\"; // \"no string\nlet b = 'x'; let c = '\\''; fn f<'a>() {} \
                let d = r#\"raw \" {x}\"#; /* /* nested */ .unwrap() */ crate::store::{jobs, payments::{self, Kept}};";
    let (code, strings) = take_apart(text);
    assert_eq!(code.len(), text.len());
    assert!(
        !code.contains("comment") && !code.contains("no string") && !code.contains("unwrap"),
        "{code}"
    );
    let tests =
        "fn a() {} #[cfg(test)] mod tests { fn b() { c } } fn d() {} #[cfg(test)] mod e; fn f() {}";
    let shipped = without_tests(tests);
    assert_eq!(shipped.len(), tests.len());
    assert_eq!(
        shipped.split_whitespace().collect::<Vec<_>>().join(" "),
        "fn a() {} fn d() {} fn f() {}"
    );
    let found: Vec<&str> = strings.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(found, ["// no \\\" comment", "raw \" {x}"]);
    let at = code.find("crate::").unwrap();
    assert_eq!(
        paths(&code[at + "crate::".len()..]),
        [
            "store::jobs",
            "store::payments::self",
            "store::payments::Kept"
        ]
    );
    assert!(
        is_sql("\n  select a\n from b".replace('\n', " ").as_str())
            && !is_sql("select one of these")
    );
}
