//! How quickly each page answers on books of a million payments: `cargo bench --bench pages -- --help`.
//!
//! The release binary serves as a process of its own on a real disk while messages of new payments go on
//! arriving. Every page of the console is asked for again and again, each time of another payment, partner or
//! day, by one connection and by several at once. A page that no line of [`routes`] times fails the run, and
//! so does one that answers anything but 200.

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "a load asks for more than pages do")]
mod common;
#[path = "../common/machine.rs"]
#[expect(dead_code, reason = "nothing here is asked about a process")]
mod machine;
mod routes;
mod seed;

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use common::{Portone, Server, receive, webhook};
use jeongsan::{
    domain::{
        account::{Role, UserName},
        ids::PartnerId,
    },
    store::{
        Clock, Store, accounts, database_in,
        sessions::{self, From, Lasts, Stage},
    },
};
use routes::Page;
use rusqlite::Connection;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::LocalSet};

/// How quickly each page answers.
#[derive(Parser)]
struct Options {
    /// Payments in the books.
    #[arg(long, env = "PAGES_PAYMENTS", default_value_t = 1_000_000)]
    payments: i64,
    /// Where the books are kept for the next run; in the build's own directory if not said.
    #[arg(long, env = "PAGES_DIR")]
    dir: Option<PathBuf>,
    /// Connections at once, one run for each number.
    #[arg(long, value_delimiter = ',', default_value = "1,4")]
    connections: Vec<usize>,
    /// Requests of each page in each run.
    #[arg(long, default_value_t = 300)]
    requests: usize,
    /// Seconds after which a run of a page ends, however few of its requests were answered.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Messages of new payments that arrive per second meanwhile.
    #[arg(long, default_value_t = 20)]
    rate: u64,
    /// Only pages whose route or name has this in it.
    #[arg(long)]
    only: Option<String>,
    /// What `cargo bench` adds by itself.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What a page may take, and all that it loads may weigh.
const MOST_MS: f64 = 20.0;
const MOST_BYTES: usize = 100_000;
/// Before anything is counted: what is read for the first time comes off the disk.
const WARM_UP: usize = 20;

fn main() -> ExitCode {
    let options = Options::parse();
    let missing = routes::not_timed();
    if !missing.is_empty() {
        eprintln!(
            "no line of benches/pages/routes.rs times:\n  {}",
            missing.join("\n  ")
        );
        return ExitCode::FAILURE;
    }
    let home = options.dir.clone().unwrap_or_else(|| {
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("pages-{}", options.payments))
    });
    fs::create_dir_all(&home).expect("a directory for the books");
    println!("{}", machine::machine(&home));
    let dir = home.join("books");
    match seed::seed(&dir, options.payments) {
        Some(took) => println!("Made {} payments in {took:.0} s.", options.payments),
        None => println!("{} payments of a run before.", options.payments),
    }
    let conn = Connection::open(database_in(&dir)).expect("the books");
    let mut pages = routes::pages(&conn, options.payments);
    if let Some(only) = &options.only {
        pages.retain(|page| page.name.contains(only) || page.route.contains(only));
    }
    let people = signed_in(&dir);
    let portone = Portone::start();
    let server = Server::start(&dir, &portone.sandbox.url());
    let trickle = Trickle::start(&portone, server.addr, options.rate);
    println!(
        "{} requests of each page, {} payments a second arriving; load before {}.\n",
        options.requests,
        options.rate,
        load()
    );
    let mut report = Report::default();
    for page in &pages {
        for &connections in &options.connections {
            let answers = ask(
                server.addr,
                people.cookie(&page.route),
                page,
                connections,
                &options,
            );
            report.add(page, connections, &answers, server.addr);
        }
    }
    let arrived = trickle.stop();
    server.stop();
    report.print(&options);
    println!(
        "\n{arrived} payments arrived meanwhile; load after {}.",
        load()
    );
    // Only what the machine alone decides fails the run: how quick is quick enough, a person reads off.
    if report.refused.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

// ---- requests

struct Answer {
    took: Duration,
    status: u16,
    body: String,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// As a browser asks that is signed in.
fn get(path: &str, cookie: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: shop\r\ncookie: {cookie}\r\naccept-language: ko\r\n\
         accept-encoding: gzip\r\n\r\n"
    )
}

/// Whose cookies go with a request.
struct People {
    owner: String,
    partner: String,
}

impl People {
    fn cookie(&self, route: &str) -> &str {
        match route {
            route if route == "/partner" || route.starts_with("/partner/") => &self.partner,
            // Who is signed in is led on.
            "/sign-in" => "",
            _ => &self.owner,
        }
    }
}

/// Sessions of an owner and of the largest partner.
fn signed_in(dir: &Path) -> People {
    let lasts = Lasts {
        whole: Duration::from_secs(43_200),
        idle: Duration::from_secs(43_200),
    };
    runtime().block_on(async {
        let store = Store::open(dir, Clock::default()).expect("the books");
        let mut cookies = Vec::new();
        for (name, role, partner) in [
            ("bench-owner", Role::Owner, None),
            ("bench-partner", Role::Partner, Some("partner-000")),
        ] {
            let secret = format!("{name}-{}-{}", std::process::id(), "0123456789".repeat(4));
            let cookie = format!("jeongsan_session={secret}");
            let opened = store.write(move |tx| {
                let user = match accounts::by_name(tx.conn(), name)? {
                    Some(known) => known.id,
                    None => {
                        let name = UserName::new(name).expect("a name");
                        let partner = partner.map(|id| PartnerId::new(id).expect("an id"));
                        accounts::add(tx, &name, role, partner.as_ref(), "bench")?
                    }
                };
                let from = From {
                    address: "127.0.0.1".into(),
                    agent: "bench".into(),
                };
                sessions::open(tx, &secret, user, Stage::Open, lasts, &from)
            });
            opened.await.expect("a session");
            cookies.push(cookie);
        }
        store.close().await;
        let partner = cookies.pop().unwrap_or_default();
        let owner = cookies.pop().unwrap_or_default();
        People { owner, partner }
    })
}

/// Asks for a page from several connections at once, each time at another address.
fn ask(
    addr: SocketAddr,
    cookie: &str,
    page: &Page,
    connections: usize,
    options: &Options,
) -> Vec<Answer> {
    let requests = options.requests;
    let until = Instant::now() + Duration::from_secs(options.seconds);
    let lane = |lane: usize| {
        let urls = Rc::new(page.urls.clone());
        async move {
            let mut stream = TcpStream::connect(addr).await.expect("a connection");
            stream.set_nodelay(true).expect("no delay");
            let (mut answers, mut answer) = (Vec::new(), Vec::new());
            let each = requests.div_ceil(connections);
            let warm = WARM_UP.div_ceil(connections);
            for i in 0..warm + each {
                let at = i * connections + lane;
                let request = get(&urls[at % urls.len()], cookie);
                let began = Instant::now();
                if began > until && !answers.is_empty() {
                    break;
                }
                stream.write_all(request.as_bytes()).await.expect("to send");
                let (status, body) = receive(&mut stream, &mut answer).await.expect("an answer");
                let took = began.elapsed();
                if i >= warm || began > until {
                    answers.push(Answer {
                        took,
                        status,
                        body: String::from_utf8_lossy(&answer[body..]).into_owned(),
                    });
                }
            }
            answers
        }
    };
    let lanes = (0..connections).map(lane);
    let lanes = LocalSet::new().block_on(&runtime(), futures::future::join_all(lanes));
    lanes.into_iter().flatten().collect()
}

/// Messages of payments that nobody has heard of, one after another at a steady rate.
struct Trickle {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

impl Trickle {
    fn start(portone: &Portone, addr: SocketAddr, rate: u64) -> Trickle {
        let order = format!("live-{}", std::process::id());
        let ids = portone.pay(rate * 1_800, &order);
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let (over, count) = (stop.clone(), sent.clone());
        let arrive = async move {
            let mut stream = TcpStream::connect(addr).await.expect("a connection");
            let (mut request, mut answer) = (String::new(), Vec::new());
            let from = Instant::now();
            for (i, id) in ids.iter().enumerate() {
                let due = Duration::from_millis(i as u64 * 1_000 / rate.max(1));
                tokio::time::sleep_until((from + due).into()).await;
                if over.load(Ordering::Relaxed) {
                    break;
                }
                request.clear();
                webhook(&mut request, id, &format!("{order}-{i}"));
                stream.write_all(request.as_bytes()).await.expect("to send");
                receive(&mut stream, &mut answer).await.expect("an answer");
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        let thread = thread::spawn(move || runtime().block_on(arrive));
        Trickle { stop, sent, thread }
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the messages");
        self.sent.load(Ordering::Relaxed)
    }
}

// ---- the report

#[derive(Default)]
struct Report {
    rows: Vec<String>,
    slow: Vec<String>,
    heavy: Vec<String>,
    refused: Vec<String>,
    /// Sizes of scripts and sheets, as they travel.
    assets: BTreeMap<String, usize>,
}

impl Report {
    fn add(&mut self, page: &Page, connections: usize, answers: &[Answer], addr: SocketAddr) {
        let Page { route, name, .. } = page;
        // A part of a page that is asked for alone may say that there is nothing to show.
        let refused = |answer: &&Answer| !matches!(answer.status, 200 | 204);
        if let Some(other) = answers.iter().find(refused) {
            let said: String = other.body.chars().take(300).collect();
            self.refused
                .push(format!("{route}, {name}: {} {said}", other.status));
        }
        let mut took: Vec<f64> = answers
            .iter()
            .map(|answer| answer.took.as_secs_f64() * 1e3)
            .collect();
        took.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (took.len() as f64 * share).ceil() as usize;
            took[place.saturating_sub(1).min(took.len() - 1)]
        };
        let largest = answers.iter().max_by_key(|answer| answer.body.len());
        let html = largest.map_or("", |answer| answer.body.as_str());
        let bytes = html.len();
        let all = bytes + self.loaded(html, addr);
        let row = format!(
            "| `{route}` | {name} | {connections} | {} | {:.1} | {:.1} | {:.1} | {bytes} | {all} |",
            took.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
        eprintln!("{row}");
        if at(0.99) > MOST_MS {
            self.slow
                .push(format!("- {name}, {connections}: {:.1} ms", at(0.99)));
        }
        if all > MOST_BYTES && connections == 1 {
            self.heavy.push(format!("- {name}: {all} bytes"));
        }
        self.rows.push(row);
    }

    /// What scripts, sheets and pictures of a page weigh.
    fn loaded(&mut self, html: &str, addr: SocketAddr) -> usize {
        let named = html
            .split([' ', '<', '>'])
            .filter_map(|word| word.strip_prefix("src=\"").or(word.strip_prefix("href=\"")))
            .filter_map(|rest| rest.split('"').next())
            .filter(|path| path.starts_with("/assets/"));
        let mut all = 0;
        for path in named.collect::<std::collections::BTreeSet<_>>() {
            if !self.assets.contains_key(path) {
                self.assets.insert(path.to_owned(), weight(addr, path));
            }
            all += self.assets[path];
        }
        all
    }

    fn print(&self, options: &Options) {
        println!("| page | what | at once | n | p50 ms | p99 ms | max ms | bytes | with assets |");
        println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
        for row in &self.rows {
            println!("{row}");
        }
        for (what, found) in [
            (format!("p99 above {MOST_MS} ms"), &self.slow),
            (format!("more than {MOST_BYTES} bytes in all"), &self.heavy),
            ("answered other than 200".into(), &self.refused),
        ] {
            println!("\n{what}: {}", found.len());
            for line in found {
                println!("{line}");
            }
        }
        let pages = self.rows.len() / options.connections.len().max(1);
        println!("\n{pages} pages. Left out, because nobody waits for them as for a page:");
        for (route, why) in routes::LEFT_OUT {
            println!("- `{route}`: {why}");
        }
    }
}

fn weight(addr: SocketAddr, path: &str) -> usize {
    let run = async {
        let mut stream = TcpStream::connect(addr).await.expect("a connection");
        let mut answer = Vec::new();
        let request = get(path, "");
        stream.write_all(request.as_bytes()).await.expect("to send");
        let (status, body) = receive(&mut stream, &mut answer).await.expect("an answer");
        assert_eq!(status, 200, "{path}");
        answer.len() - body
    };
    runtime().block_on(run)
}
