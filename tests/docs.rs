//! What the documents say is what the program does: settings, endpoints, problems, commands, files.
//!
//! The tables are written by hand, for people; here they are held against the source.

use std::{collections::BTreeSet, path::Path, process::Command};

use jeongsan::{
    adapters::broker::amqp::{Names, TIERS},
    config::{Config, SETTINGS},
    domain::job::Queue,
};

const READMES: [&str; 2] = ["README.md", "README.ko.md"];

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Cells of a table's row whose first cell is `` `key` ``.
fn row<'a>(document: &'a str, key: &str) -> Option<&'a str> {
    document
        .lines()
        .find(|line| line.starts_with(&format!("| `{key}` |")))
}

fn none(missing: Vec<String>) {
    assert!(
        missing.is_empty(),
        "the documents differ from the program:\n  {}\n",
        missing.join("\n  ")
    );
}

#[test]
fn every_setting_and_its_default_is_documented() {
    let mut missing = Vec::new();
    for readme in READMES {
        let document = text(readme);
        for setting in SETTINGS {
            let key = setting.key;
            let Some(row) = row(&document, key) else {
                missing.push(format!("{readme}: no row for {key}"));
                continue;
            };
            let default = setting.default.filter(|default| !default.is_empty());
            let second = row.split(" | ").nth(1).unwrap_or_default();
            match default {
                Some(default) if second != format!("`{default}`") => {
                    missing.push(format!(
                        "{readme}: the default of {key} is `{default}`, not {second}"
                    ));
                }
                None if second.contains('`') => {
                    missing.push(format!("{readme}: {key} has no default, not {second}"));
                }
                _ => {}
            }
        }
        // `| `a.b` |` is a setting, or stands in RabbitMQ, and nothing else.
        let names = Names::new("jeongsan");
        let stands = [
            names.jobs(),
            names.retry(),
            names.dead(),
            names.discard_queue(),
        ];
        for line in document.lines() {
            let first = line
                .strip_prefix("| `")
                .and_then(|rest| rest.split('`').next());
            let Some(key) = first.filter(|key| {
                key.contains('.')
                    && key
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || "._".contains(c))
            }) else {
                continue;
            };
            let known = SETTINGS.iter().any(|setting| setting.key == key)
                || stands.iter().any(|name| name == key);
            if !known {
                missing.push(format!("{readme}: {key} is no setting"));
            }
        }
    }
    none(missing);
}

/// Other systems go by these names.
#[test]
fn all_that_stands_in_rabbitmq_is_documented() {
    let names = Names::new("jeongsan");
    let mut stands: BTreeSet<String> = [names.jobs(), names.retry(), names.dead()].into();
    for name in names.queues() {
        let mut general = name;
        for queue in Queue::ALL {
            general = general.replace(&format!("jeongsan.{}", queue.as_str()), "jeongsan.<queue>");
        }
        if let Some((before, _)) = general.clone().split_once(".retry.") {
            general = format!("{before}.retry.<tier>");
        }
        stands.insert(general);
    }
    let mut missing = Vec::new();
    for readme in READMES {
        let document = text(readme);
        for name in &stands {
            if row(&document, name).is_none() {
                missing.push(format!("{readme}: no row for {name}"));
            }
        }
        let tiers: Vec<_> = TIERS.iter().map(|(tier, _)| *tier).collect();
        if !document.contains(&format!("`{}`", tiers.join(" "))) {
            missing.push(format!("{readme}: the tiers are {tiers:?}"));
        }
    }
    none(missing);
}

/// The same of every file of a folder.
fn routes_under(dir: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    let mut dirs = vec![root.join(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let inside = path.strip_prefix(root).unwrap();
                found.extend(routes(&inside.display().to_string()));
            }
        }
    }
    found
}

/// `GET /a`, `POST /a`… of a file's `.route(…)` calls.
fn routes(path: &str) -> BTreeSet<String> {
    let source = text(path);
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = BTreeSet::new();
    for call in source.split(".route(").skip(1) {
        let Some(path) = call.split('"').nth(1) else {
            continue;
        };
        let end = [".route(", ".merge(", ".layer(", ".fallback(", "\n}"]
            .iter()
            .filter_map(|mark| call.find(mark))
            .min()
            .unwrap_or(call.len());
        for (name, method) in [
            ("get(", "GET"),
            ("post(", "POST"),
            ("put(", "PUT"),
            ("delete(", "DELETE"),
            ("patch(", "PATCH"),
        ] {
            let called = call[..end]
                .match_indices(name)
                .any(|(at, _)| !call[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            if called {
                found.insert(format!("{method} {path}"));
            }
        }
    }
    found
}

#[test]
fn every_endpoint_is_documented() {
    let mut all = routes("src/web/mod.rs");
    all.extend(routes_under("src/web/api"));
    assert!(
        all.contains("DELETE /api/payment/cancel/{imp_uid}")
            && all.contains("POST /api/payouts")
            && all.len() > 40,
        "{all:?}"
    );
    let mut missing = Vec::new();
    for readme in READMES {
        let document = text(readme);
        for route in &all {
            if !document.contains(&format!("`{route}`")) {
                missing.push(format!("{readme}: no `{route}`"));
            }
        }
        for named in document.split('`').skip(1).step_by(2) {
            let method = named.split(' ').next().unwrap_or_default();
            let of_api = named
                .split(' ')
                .nth(1)
                .is_some_and(|path| path.starts_with("/api/") && !path.contains('?'));
            if ["GET", "POST", "PUT", "DELETE"].contains(&method) && of_api && !all.contains(named)
            {
                missing.push(format!("{readme}: there is no `{named}`"));
            }
        }
    }
    none(missing);
}

#[test]
fn every_page_is_documented() {
    let mut missing = Vec::new();
    // A part of a page that is fetched alone is the page's own business.
    let parts = [
        "/attention",
        "/rows/",
        "/live",
        "/stand",
        "/progress",
        "/suggest",
    ];
    let pages: Vec<String> = routes_under("src/web/pages")
        .into_iter()
        .filter_map(|route| route.strip_prefix("GET ").map(str::to_owned))
        .filter(|path| path != "/" && !parts.iter().any(|part| path.contains(part)))
        .collect();
    for readme in READMES {
        let document = text(readme);
        for page in &pages {
            if !document.contains(&format!("`{page}`")) {
                missing.push(format!("{readme}: no `{page}`"));
            }
        }
    }
    none(missing);
}

/// Kinds of problems that the sources of `src/web` make, by the first text behind the maker's name.
fn kinds() -> BTreeSet<String> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    let mut found = BTreeSet::new();
    let mut dirs = vec![web];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let source = source
                .split("#[cfg(test)]\nmod tests")
                .next()
                .unwrap_or_default();
            let of_webhook = path.ends_with("webhook.rs").then_some("refused(");
            // Short names for the same, where several problems share a status.
            let of_errors = [" fields(", " conflict(", " of_file("]
                .into_iter()
                .filter(|_| path.parent().is_some_and(|dir| dir.ends_with("error")));
            let makers = ["Problem::new("].into_iter().chain(of_webhook);
            for maker in makers.chain(of_errors) {
                for call in source.split(maker).skip(1) {
                    let first = call.split('"').nth(1).unwrap_or_default();
                    let is_kind = first.chars().all(|c| c.is_ascii_lowercase() || c == '-');
                    if is_kind && !first.is_empty() {
                        found.insert(first.to_owned());
                    }
                }
            }
        }
    }
    found
}

#[test]
fn every_problem_is_documented() {
    let kinds = kinds();
    for known in ["internal", "not-paid", "cancel-amount", "invalid-filter"] {
        assert!(kinds.contains(known), "{kinds:?}");
    }
    let mut missing = Vec::new();
    for readme in READMES {
        let document = text(readme);
        for kind in &kinds {
            if row(&document, kind).is_none() {
                missing.push(format!("{readme}: no row for the problem {kind}"));
            }
        }
        // A row whose second cell is a status is a problem's.
        for line in document.lines() {
            let cells: Vec<&str> = line.split(" | ").collect();
            let Some(kind) = cells[0]
                .strip_prefix("| `")
                .and_then(|rest| rest.strip_suffix('`'))
            else {
                continue;
            };
            let status = cells
                .get(1)
                .is_some_and(|cell| cell.len() == 3 && cell.parse::<u16>().is_ok());
            if status && !kinds.contains(kind) {
                missing.push(format!("{readme}: there is no problem {kind}"));
            }
        }
    }
    none(missing);
}

#[test]
fn every_command_is_documented() {
    let help = Command::new(env!("CARGO_BIN_EXE_jeongsan"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(
        commands.contains(&"serve") && commands.len() > 5,
        "{commands:?}"
    );
    let mut missing = Vec::new();
    for readme in READMES {
        let document = text(readme);
        for command in &commands {
            if !document.contains(&format!("jeongsan {command}")) {
                missing.push(format!("{readme}: no `jeongsan {command}`"));
            }
        }
    }
    none(missing);
}

#[test]
fn the_example_names_every_setting_and_can_be_used() {
    let example = text("jeongsan.example.toml");
    let is_setting = |line: &str| {
        let name = line
            .strip_prefix('#')
            .and_then(|rest| rest.split(" = ").next());
        line.contains(" = ")
            && name.is_some_and(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    let mut section = "";
    let mut shown = BTreeSet::new();
    let mut uncommented = String::new();
    for line in example.lines() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name;
        }
        if !is_setting(line) {
            uncommented.push_str(line);
            uncommented.push('\n');
            continue;
        }
        let (name, value) = line[1..].split_once(" = ").unwrap();
        let key = format!("{section}.{name}");
        let setting = SETTINGS.iter().find(|setting| setting.key == key);
        let setting = setting.unwrap_or_else(|| panic!("{key} is no setting"));
        if let Some(default) = setting.default.filter(|default| !default.is_empty()) {
            assert_eq!(value.trim_matches('"'), default, "the default of {key}");
        }
        shown.insert(key);
        uncommented.push_str(&line[1..]);
        uncommented.push('\n');
    }
    let all: BTreeSet<String> = SETTINGS
        .iter()
        .map(|setting| setting.key.to_owned())
        .collect();
    assert_eq!(shown, all);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jeongsan.toml");
    std::fs::write(&file, uncommented).unwrap();
    if let Err(errors) = Config::load(Some(&file), [], &[]) {
        panic!("{errors}");
    }
    // As it stands, only what must be set is missing.
    std::fs::write(&file, example).unwrap();
    let errors = Config::load(Some(&file), [], &[]).unwrap_err();
    assert!(
        errors.0.iter().all(|error| error.contains("is not set")),
        "{errors}"
    );
}

/// Links to files of ours, and files named as code, exist.
#[test]
fn every_file_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    for document in ["README.md", "README.ko.md", "ARCHITECTURE.md"] {
        let content = text(document);
        let links = content
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next());
        let named = content.split('`').skip(1).step_by(2).filter(|word| {
            ["src/", "tests/", "migrations/", ".config/", ".ci/"]
                .iter()
                .any(|dir| word.starts_with(dir))
                && !word.contains(['*', '{', ' ', '<'])
        });
        for path in links
            .filter(|link| !link.is_empty() && !link.contains("://") && !link.ends_with(".png"))
            .chain(named)
        {
            if !root.join(path).exists() {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    none(missing);
}
