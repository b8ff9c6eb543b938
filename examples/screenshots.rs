//! Takes pictures of the console: `cargo build && cargo run --example screenshots -- --help`.
//!
//! Starts the demo on ports and a folder of its own, signs in as its terminal says, and keeps a PNG of
//! each page for every width, theme and language asked for. Whoever changes how a page looks takes
//! them, and looks at them. Needs `chromedriver` and Chromium, as the browser tests do.

#[path = "../tests/support/browser.rs"]
mod browser;

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use browser::Browser;
use clap::Parser;
use serde_json::{Value, json};

/// Pages by name. An address that begins with `<` is found: on that page, where this selector's first
/// match leads.
const PAGES: &[(&str, &str)] = &[
    ("home", "/admin"),
    ("payments", "/payment/mypage"),
    ("payment", "</payment/mypage?status=PAID a.main"),
    (
        "payment-stuck",
        "</payment/mypage?status=CANCEL_FAILED a.main",
    ),
    ("cancel", "</payment/mypage?status=PAID .act a"),
    ("dead-letters", "/admin/dead-letters"),
    (
        "dead-letter",
        "</admin/dead-letters .cards a.main, .rows a.main",
    ),
    ("replay", "/admin/dead-letters/replay"),
    ("alerts", "/admin/alerts"),
    ("inbox", "/admin/inbox"),
    ("jobs", "/admin/jobs"),
    ("jobs-list", "/admin/jobs?state=done"),
    ("job", "</admin/jobs?state=done .rows a.main"),
    ("settlements", "/admin/settlements"),
    ("settlement", "</admin/settlements .rows a.main"),
    (
        "settlement-line",
        "</admin/settlements/40 a[href*='/lines/']",
    ),
    ("adjustments", "/admin/adjustments"),
    ("payouts", "/admin/payouts"),
    ("payout-batch", "</admin/payouts .rows a.main"),
    ("payout-new", "/admin/payouts/new"),
    ("calendar", "/admin/calendar"),
    ("partners", "/admin/partners"),
    ("partner", "</admin/partners .rows a.main"),
    ("partner-new", "/admin/partners/new"),
    ("approvals", "/admin/approvals"),
    ("users", "/admin/users"),
    ("keys", "/admin/keys"),
    ("audit", "/admin/audit"),
    ("settings", "/admin/settings"),
    ("account", "/account"),
    ("pay", "/payment"),
    ("not-found", "/nowhere"),
    // The last, since it is seen from outside.
    ("sign-in", "/sign-in"),
];

/// Takes pictures of the console.
#[derive(Parser)]
struct Options {
    /// Where they are kept.
    #[arg(long, default_value = "target/screenshots")]
    out: PathBuf,
    /// Pages by name; all of them if not said.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    #[arg(long, value_delimiter = ',', default_value = "390,768,1280")]
    widths: Vec<u32>,
    #[arg(long, value_delimiter = ',', default_value = "light,dark")]
    themes: Vec<String>,
    #[arg(long, value_delimiter = ',', default_value = "ko,en")]
    langs: Vec<String>,
    /// No picture is higher than this.
    #[arg(long, default_value_t = 1800)]
    height: u32,
    /// Pixels of the picture for one of the page.
    #[arg(long, default_value_t = 1)]
    scale: u32,
    /// The program that is shown.
    #[arg(long, default_value = "target/debug/jeongsan")]
    program: PathBuf,
    /// The sign-in link of a demo that runs already, in place of one of our own.
    #[arg(long)]
    link: Option<String>,
}

/// A demo, which ends with us.
struct Demo {
    program: Option<Child>,
    link: String,
    _dir: Option<tempfile::TempDir>,
}

impl Demo {
    fn open(options: &Options) -> Result<Demo, String> {
        if let Some(link) = &options.link {
            return Ok(Demo {
                program: None,
                link: link.clone(),
                _dir: None,
            });
        }
        let dir = tempfile::tempdir().map_err(|why| why.to_string())?;
        let mut program = Command::new(&options.program)
            .args(["demo", "--port", "0", "--sandbox-port", "0", "--data-dir"])
            .arg(dir.path().join("demo"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|why| {
                format!(
                    "{}: {why}; `cargo build` makes it",
                    options.program.display()
                )
            })?;
        let said = program.stdout.take().ok_or("the demo says nothing")?;
        let mut lines = BufReader::new(said).lines().map_while(Result::ok);
        let link = lines.find(|line| line.contains("/sign-in?code="));
        let link = link
            .ok_or("the demo ended before it said how to sign in")?
            .trim()
            .to_owned();
        // Whatever else it says is read, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Demo {
            program: Some(program),
            link,
            _dir: Some(dir),
        })
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Some(program) = &mut self.program {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

async fn cdp(browser: &Browser, command: &str, params: Value) -> Value {
    let body = json!({ "cmd": command, "params": params });
    browser.post("/goog/cdp/execute", body).await
}

/// The whole page at a width, up to the greatest height.
async fn picture(browser: &Browser, options: &Options, width: u32, file: &Path) {
    let size = |height: u64| json!({ "width": width, "height": height, "deviceScaleFactor": options.scale, "mobile": width < 700 });
    let screen = if width < 700 { 844 } else { 800 };
    cdp(browser, "Emulation.setDeviceMetricsOverride", size(screen)).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    let high = browser
        .script("return document.documentElement.scrollHeight")
        .await;
    let high = high
        .as_u64()
        .unwrap_or(screen)
        .clamp(screen, options.height.into());
    cdp(browser, "Emulation.setDeviceMetricsOverride", size(high)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let wide = browser
        .script("return document.documentElement.scrollWidth")
        .await;
    if wide.as_u64().is_some_and(|wide| wide > width.into()) {
        println!(
            "{}: wider than its screen, by {} of {width}",
            file.display(),
            wide
        );
    }
    let taken = cdp(
        browser,
        "Page.captureScreenshot",
        json!({ "format": "png" }),
    )
    .await;
    let png = taken["data"].as_str().and_then(decode).unwrap_or_default();
    if let Err(why) = std::fs::write(file, png) {
        println!("{}: {why}", file.display());
    }
}

/// Base64, as browsers hand over pictures.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6) | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// Where a page is.
async fn address(browser: &Browser, base: &str, page: &str) -> Option<String> {
    let Some(rest) = page.strip_prefix('<') else {
        return Some(format!("{base}{page}"));
    };
    let (list, selector) = rest.split_once(' ')?;
    browser.open(&format!("{base}{list}")).await;
    let script = format!("const a = document.querySelector({selector:?}); return a && a.href");
    browser.script(&script).await.as_str().map(str::to_owned)
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let demo = match Demo::open(&options) {
        Ok(demo) => demo,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let base = demo.link.split("/sign-in").next().unwrap_or_default();
    if let Err(why) = std::fs::create_dir_all(&options.out) {
        eprintln!("{}: {why}", options.out.display());
        return ExitCode::FAILURE;
    }
    let browser = Browser::start(1280).await;
    browser.open(&demo.link).await;
    // The tour's invitation stands on every page until somebody says "later".
    let aside = "const form = document.querySelector(\"form[action='/tour/aside']\"); if (form) form.submit(); return null";
    browser.script(aside).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    cdp(
        &browser,
        "Emulation.setScrollbarsHidden",
        json!({ "hidden": true }),
    )
    .await;
    let mut count = 0;
    for (name, page) in PAGES {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        if *name == "sign-in" {
            cdp(&browser, "Network.clearBrowserCookies", json!({})).await;
        }
        let Some(url) = address(&browser, base, page).await else {
            println!("{name}: nothing leads to it");
            continue;
        };
        for lang in &options.langs {
            for theme in &options.themes {
                browser
                    .open(&format!("{base}/lang?to={lang}&next=/payment"))
                    .await;
                browser
                    .open(&format!("{base}/theme?to={theme}&next=/payment"))
                    .await;
                browser.open(&url).await;
                for width in &options.widths {
                    let file = options
                        .out
                        .join(format!("{name}-{width}-{theme}-{lang}.png"));
                    picture(&browser, &options, *width, &file).await;
                    count += 1;
                }
            }
        }
    }
    browser.stop().await;
    println!("{count} pictures in {}", options.out.display());
    ExitCode::SUCCESS
}
