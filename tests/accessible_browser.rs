//! Every page of the console under axe-core, in both themes and both languages: no violation.
//!
//! The pages are those of the demo, so that each has something on it. axe-core comes from npm, into
//! `TEST_CLIENTS_DIR` or Cargo's folder for tests.

#[path = "support/browser.rs"]
mod browser;

use std::{path::PathBuf, process::Command, time::Duration};

use browser::Browser;
use jeongsan::{
    demo::{self, DemoOptions},
    store::database_in,
    web::access,
};
use rusqlite::Connection;

/// axe-core's source, fetched once.
fn axe() -> String {
    let base = std::env::var_os("TEST_CLIENTS_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("clients"),
        PathBuf::from,
    );
    let dir = base.join("axe");
    let source = dir.join("node_modules/axe-core/axe.min.js");
    if !source.exists() {
        std::fs::create_dir_all(&dir).unwrap();
        let wanted =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients/axe/package.json");
        std::fs::copy(wanted, dir.join("package.json")).unwrap();
        let fetched = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(&dir)
            .output()
            .expect("npm is installed");
        assert!(
            fetched.status.success(),
            "npm install: {}",
            String::from_utf8_lossy(&fetched.stderr)
        );
    }
    std::fs::read_to_string(source).unwrap()
}

/// Routes that answer no page of their own, and why.
const NO_PAGE: &[(&str, &str)] = &[
    ("/healthz", "JSON"),
    ("/readyz", "JSON"),
    ("/metrics", "figures for Prometheus"),
    ("/assets/{*path}", "files"),
    ("/lang", "leads on"),
    ("/theme", "leads on"),
    ("/", "leads on"),
    (
        "/sign-in/code",
        "leads on without a half-open session; its form is that of /sign-in/again",
    ),
    ("/set-up", "its form is opened in console_browser.rs"),
];

/// What is no page by its path's look: a part that a page fetches, or a file.
fn is_part_or_file(path: &str) -> bool {
    path.starts_with("/api/") && path != "/api/reference"
        || [
            "/live",
            "/rows",
            "/attention",
            "/progress",
            "/stand",
            "/suggest",
        ]
        .iter()
        .any(|part| path.contains(part))
        || [
            ".csv",
            ".xlsx",
            "/file",
            "/withholding",
            "/sample",
            "/return",
        ]
        .iter()
        .any(|end| path.ends_with(end))
}

/// Every page, with something of the books in each place of its path.
fn pages(books: &Connection) -> Vec<String> {
    let one = |sql: &str| -> Option<String> {
        books
            .query_row(sql, [], |row| row.get::<_, Option<String>>(0))
            .ok()
            .flatten()
    };
    let mut pages = Vec::new();
    let mut nothing_for = Vec::new();
    for row in access::TABLE.iter().filter(|row| row.method == "GET") {
        let path = row.path;
        if NO_PAGE.iter().any(|(known, _)| *known == path)
            || is_part_or_file(path)
            || path.starts_with("/partner/")
            || path == "/partner"
            || path.starts_with("/payment/mine")
        {
            continue;
        }
        let of = |part: &str| match part {
            "{imp_uid}" => {
                one("select imp_uid from payment where status = 'PARTIAL_CANCELED' limit 1")
            }
            "{merchant_uid}" => one("select merchant_uid from merchant_order limit 1"),
            "{day}" => one(
                "select cast(day as text) from settlement_day where finished_at is not null limit 1",
            ),
            "{partner}" => one("select partner_id from settlement limit 1"),
            "{seq}" => Some("1".into()),
            "{payout}" => one("select cast(max(id) as text) from payout"),
            "{name}" if path.contains("templates") => Some("공통".into()),
            "{name}" => one("select name from user where role = 'accountant'"),
            "{id}" if path.contains("/partners/") => {
                one("select partner_id from settlement limit 1")
            }
            "{id}" if path.contains("/settlements/") => {
                one("select cast(settlement_id as text) from settlement_line limit 1")
                    .or_else(|| one("select cast(id as text) from settlement limit 1"))
            }
            "{id}" if path.contains("/payouts/") => {
                one("select cast(batch_id as text) from payout order by id desc limit 1")
            }
            "{id}" if path.contains("/jobs/") => one("select cast(id as text) from job limit 1"),
            "{id}" if path.contains("/dead-letters/") => {
                one("select cast(id as text) from job where state = 'dead' limit 1")
            }
            "{id}" if path.contains("/approvals/") => {
                one("select cast(id as text) from approval limit 1")
            }
            _ => None,
        };
        let mut whole = true;
        let filled: Vec<String> = path
            .split('/')
            .map(|part| {
                if part.starts_with('{') {
                    of(part).unwrap_or_else(|| {
                        whole = false;
                        String::new()
                    })
                } else {
                    part.to_owned()
                }
            })
            .collect();
        if whole {
            pages.push(filled.join("/"));
        } else {
            nothing_for.push(path);
        }
    }
    // In the demo nothing is dead, and nothing waits for a second person, until a visitor makes it so.
    for path in &nothing_for {
        assert!(
            path.contains("/dead-letters/") || path.contains("/approvals/"),
            "the demo has nothing to show at {path}"
        );
    }
    assert!(pages.len() > 30, "{pages:?}");
    pages
}

async fn every_page_is_accessible(theme: &'static str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    let options = DemoOptions {
        port: 0,
        sandbox_port: 0,
        data_dir: path.clone(),
        ..DemoOptions::default()
    };
    let look = async move {
        let axe = axe();
        let settings = std::fs::read_to_string(path.join("jeongsan.toml")).unwrap();
        let settings: toml::Table = settings.parse().unwrap();
        let shop = settings["server"]["public_url"]
            .as_str()
            .unwrap()
            .to_owned();
        let password = std::fs::read_to_string(path.join("password.txt")).unwrap();
        let pages = pages(&Connection::open(database_in(&path)).unwrap());

        let browser = Browser::start(1280).await;
        browser.open(&format!("{shop}/sign-in")).await;
        browser.write("[name=name]", "owner").await;
        browser.write("[name=password]", password.trim()).await;
        browser.click("main form button").await;
        browser
            .until("return location.pathname !== '/sign-in'")
            .await;
        let mut broken = Vec::new();
        for lang in ["ko", "en"] {
            for page in &pages {
                let next = form_urlencoded(page);
                browser
                    .open(&format!("{shop}/theme?to={theme}&next=%2Fhealthz"))
                    .await;
                browser
                    .open(&format!("{shop}/lang?to={lang}&next={next}"))
                    .await;
                let is = browser
                    .script("return [document.documentElement.lang, document.documentElement.dataset.theme, location.pathname]")
                    .await;
                assert_eq!((&is[0], &is[1]), (&lang.into(), &theme.into()), "{page}");
                let bare = page.split('?').next().unwrap();
                let there = is[2].as_str().unwrap();
                assert!(
                    percent_decoded(there) == bare || there.starts_with("/sign-in"),
                    "{page} leads to {there}"
                );
                let script = format!(
                    "{axe}; const done = arguments[arguments.length - 1]; \
                     axe.run(document, {{ resultTypes: ['violations'] }}).then(r => done(r.violations.map(v => \
                       v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' ' + (n.any[0] || n.all[0] || n.none[0] || {{}}).message).join(' | '))), \
                       why => done(['axe: ' + why]))"
                );
                let found = browser
                    .post(
                        "/execute/async",
                        serde_json::json!({ "script": script, "args": [] }),
                    )
                    .await;
                for violation in found.as_array().into_iter().flatten() {
                    broken.push(format!(
                        "{page} ({lang}, {theme}): {}",
                        violation.as_str().unwrap_or_default()
                    ));
                }
            }
        }
        browser.complains_of_nothing().await;
        browser.stop().await;
        assert!(
            broken.is_empty(),
            "{} violations:\n{}",
            broken.len(),
            broken.join("\n")
        );
    };
    tokio::time::timeout(Duration::from_secs(900), demo::run(options, look))
        .await
        .expect("in time")
        .unwrap();
}

fn form_urlencoded(text: &str) -> String {
    serde_urlencoded::to_string([("x", text)]).unwrap()[2..].to_owned()
}

fn percent_decoded(path: &str) -> String {
    let query = format!("x={}", path.replace('+', "%2B"));
    let read: Vec<(String, String)> = serde_urlencoded::from_str(&query).unwrap();
    read[0].1.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_in_the_light() {
    every_page_is_accessible("light").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_in_the_dark() {
    every_page_is_accessible("dark").await;
}
