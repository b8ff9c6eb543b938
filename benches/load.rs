//! How much the server carries: `cargo bench --bench load -- --help`.
//!
//! The release binary runs as a process of its own on a real disk, with its defaults except that no
//! limit stands in the way. PortOne is the sandbox, in this process on one thread; a second thread is
//! the client: a closed loop over connections that stay open. Every answer is counted, and the
//! counts are compared with both books afterwards: a figure whose counts do not match is no figure,
//! and the exit code says so. Nothing else fails: how fast is fast enough is for a person to judge.

mod common;
#[path = "common/machine.rs"]
mod machine;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    rc::Rc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use common::{Portone, Server, TOKEN, count, migrate, receive, webhook};
use jeongsan::store::{books, database_in};
use machine::{less, machine, processor_time};
use rusqlite::Connection;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::LocalSet};

/// Counts up when what [`filled`] makes changes.
const FILLED: u32 = 2;
const STARTS: usize = 10;

/// How much the server carries.
#[derive(Parser)]
struct Options {
    /// How long each figure is measured, after a second of warming up.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Connections at once, one run for each number.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    connections: Vec<usize>,
    /// Payments in the books that are listed and started on.
    #[arg(long, default_value_t = 1_000_000)]
    payments: i64,
    /// intake, list, cancel, start; all of them if not said.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// What `cargo bench` adds by itself.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let wanted = |what: &str| options.only.is_empty() || options.only.iter().any(|one| one == what);
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("load");
    fs::create_dir_all(&home).expect("a directory for the databases");
    let mut report = Report::default();
    println!("{}\n", machine(&home));
    if wanted("intake") {
        for &connections in &options.connections {
            intake(&options, &home, connections, &mut report);
        }
    }
    if wanted("cancel") {
        for &connections in &options.connections {
            cancel(&options, &home, connections, &mut report);
        }
    }
    if wanted("list") || wanted("start") {
        let dir = filled(&options, &home);
        if wanted("list") {
            list(&options, &dir, &mut report);
        }
        if wanted("start") {
            start(&options, &dir, &mut report);
        }
    }
    report.print(&options);
    if report.wrong {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

// ---- scenarios

/// Webhooks, each of a payment that is heard of for the first time.
fn intake(options: &Options, home: &Path, connections: usize, report: &mut Report) {
    let portone = Portone::start();
    let most = (options.seconds + 1) * if connections == 1 { 4_000 } else { 25_000 };
    let ids = portone.pay(most, "in");
    let dir = fresh(home, "intake");
    let server = Server::start(&dir, &portone.sandbox.url());
    let mut next = 0;
    let run = drive(&server, connections, options.seconds, |request| {
        let Some(id) = ids.get(next) else {
            return false;
        };
        webhook(request, id, &format!("in-{next}"));
        next += 1;
        true
    });
    let rss = server.peak_rss();
    server.stop();
    let conn = Connection::open(database_in(&dir)).expect("the books");
    let kept = count(&conn, "select count(*) from payment where status = 'PAID'");
    let judged = count(&conn, "select count(*) from inbox where verdict = 'BOOKED'");
    let events = count(&conn, "select count(*) from event");
    let asked = portone.sandbox.calls("get");
    let name = format!("intake, {connections}");
    report.check(
        &name,
        &[
            ("answered 200", run.ok),
            ("payments in the books", kept),
            ("messages booked", judged),
            ("events", events),
            ("GETs at PortOne", asked),
        ],
    );
    report.sound(&name, &conn);
    report.add("intake", connections, run, rss);
}

/// Full cancels, each of another paid payment, from the request to the answer of PortOne's.
fn cancel(options: &Options, home: &Path, connections: usize, report: &mut Report) {
    let portone = Portone::start();
    let most = (options.seconds + 1) * if connections == 1 { 2_000 } else { 8_000 };
    let ids = portone.pay(most, "back");
    let dir = fresh(home, "cancel");
    let server = Server::start(&dir, &portone.sandbox.url());
    let mut next = 0;
    let taken = drive(&server, 32, 3_600, |request| {
        let Some(id) = ids.get(next) else {
            return false;
        };
        webhook(request, id, &format!("back-{next}"));
        next += 1;
        true
    });
    assert_eq!(taken.ok, most, "payments to cancel: {:?}", taken.others);
    server.stop();

    let server = Server::start(&dir, &portone.sandbox.url());
    let mut next = 0;
    let run = drive(&server, connections, options.seconds, |request| {
        let Some(id) = ids.get(next) else {
            return false;
        };
        next += 1;
        let body = r#"{"reason":"단순 변심"}"#;
        let _ = write!(
            request,
            "POST /api/payment/{id}/cancel HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {TOKEN}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        true
    });
    let rss = server.peak_rss();
    server.stop();
    let conn = Connection::open(database_in(&dir)).expect("the books");
    let done = count(
        &conn,
        "select count(*) from cancellation where state = 'DONE'",
    );
    let back = count(
        &conn,
        "select count(*) from payment where status = 'CANCELED'",
    );
    let given = ids
        .iter()
        .filter(|id| portone.sandbox.cancels_of(id).len() == 1)
        .count();
    let name = format!("cancel, {connections}");
    report.check(
        &name,
        &[
            ("answered 200", run.ok),
            ("cancellations done", done),
            ("payments cancelled", back),
            ("cancel calls at PortOne", portone.sandbox.calls("cancel")),
            ("payments that PortOne gave back once", given as u64),
        ],
    );
    report.sound(&name, &conn);
    report.add("cancel", connections, run, rss);
}

/// Pages of a long list: the first, pages at a cursor anywhere, and pages of one status.
fn list(options: &Options, dir: &Path, report: &mut Report) {
    let portone = Portone::start();
    let conn = Connection::open(database_in(dir)).expect("the books");
    let pages = pages(&conn, options.payments);
    for &connections in &options.connections {
        let server = Server::start(dir, &portone.sandbox.url());
        let wrong = pages
            .iter()
            .filter(|page| {
                let answer: serde_json::Value =
                    serde_json::from_slice(&ask(server.addr, &page.request)).unwrap_or_default();
                let listed: Vec<_> = answer["payments"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|row| row["imp_uid"].as_str().unwrap_or_default().to_owned())
                    .collect();
                listed != page.expected
            })
            .count();
        let mut next = 0;
        let run = drive(&server, connections, options.seconds, |request| {
            request.push_str(&pages[next % pages.len()].request);
            next += 1;
            true
        });
        let rss = server.peak_rss();
        server.stop();
        let name = format!("list, {connections}");
        report.check(
            &name,
            &[("answered 200", run.ok), ("asked", run.ok + run.failed())],
        );
        report.check(
            &format!("{name}: {} pages against SQL", pages.len()),
            &[("other than expected", wrong as u64), ("none", 0)],
        );
        report.add("list", connections, run, rss);
    }
}

/// From the start of the process to its first answer, on books that were closed in order.
fn start(options: &Options, dir: &Path, report: &mut Report) {
    let portone = Portone::start();
    let mut took: Vec<Duration> = (0..STARTS)
        .map(|_| {
            let server = Server::start(dir, &portone.sandbox.url());
            let took = server.took;
            server.stop();
            took
        })
        .collect();
    took.sort();
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    report.starts = Some(format!(
        "Start to first answer on {} payments, {STARTS} times: min {:.0} ms, median {:.0} ms, max {:.0} ms.",
        options.payments,
        ms(took[0]),
        ms(took[STARTS / 2]),
        ms(took[STARTS - 1]),
    ));
}

struct Page {
    request: String,
    expected: Vec<String>,
}

/// 300 different pages, and what SQL says they must hold.
fn pages(conn: &Connection, payments: i64) -> Vec<Page> {
    let base36 = |mut number: i64| {
        let mut digits = Vec::new();
        while number > 0 {
            digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
            number /= 36;
        }
        digits.iter().rev().collect::<String>()
    };
    let mut query = conn
        .prepare("select at from payment where id = ?1")
        .expect("a query");
    (0..300)
        .map(|i| {
            let status = ["PAID", "CANCELED", "PARTIAL_CANCELED", "FAILED", "READY"][i / 3 % 5];
            let (filter, and) = match i % 3 {
                2 => (
                    format!("status={status}&"),
                    format!("status = '{status}' and"),
                ),
                _ => (String::new(), String::new()),
            };
            let (cursor, below) = if i % 3 == 1 || (i % 3 == 2 && i % 2 == 0) {
                // Anywhere, but the same with every run.
                let row = 1_000 + (i as i64 * 7_919_317) % (payments - 1_000).max(1);
                let at: i64 = query.query_row([row], |r| r.get(0)).expect("a payment");
                let cursor = format!("after={}-{}", base36(at), base36(row));
                (cursor, format!("(at, id) < ({at}, {row})"))
            } else {
                (String::new(), "true".into())
            };
            let mut sql = conn
                .prepare(&format!(
                    "select imp_uid from payment where {and} {below} order by at desc, id desc limit 20"
                ))
                .expect("a query");
            let expected = sql
                .query_map([], |row| row.get(0))
                .and_then(Iterator::collect)
                .expect("a page");
            let request = format!(
                "GET /api/payment/list?{filter}{cursor} HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
            );
            Page { request, expected }
        })
        .collect()
}

// ---- databases

/// An empty data directory whose schedules have run already.
fn fresh(home: &Path, name: &str) -> PathBuf {
    let dir = home.join(name);
    let _ = fs::remove_dir_all(&dir);
    assert!(migrate(&dir), "the schema cannot be made");
    let conn = Connection::open(database_in(&dir)).expect("the books");
    swept(&conn);
    dir
}

/// The first start would sweep at once.
fn swept(conn: &Connection) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock")
        .as_millis() as i64;
    conn.execute(
        "insert or replace into schedule (name, last_slot) values ('sweep', ?1), ('prune', ?1)",
        [now],
    )
    .expect("schedules");
}

/// Books with many payments of one year, made by SQL; those of a run before are used again.
fn filled(options: &Options, home: &Path) -> PathBuf {
    let many = options.payments;
    let dir = home.join(format!("filled-{FILLED}-{many}"));
    let complete = dir.join("complete");
    if complete.exists() && migrate(&dir) {
        let conn = Connection::open(database_in(&dir)).expect("the books");
        swept(&conn);
        return dir;
    }
    let _ = fs::remove_dir_all(&dir);
    assert!(migrate(&dir), "the schema cannot be made");
    let began = Instant::now();
    let conn = Connection::open(database_in(&dir)).expect("the books");
    swept(&conn);
    let year = 365 * 24 * 3_600_000_i64;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock")
        .as_millis() as i64;
    let (first, step) = (now - year, year / many);
    conn.execute_batch(&format!(
        r#"
        pragma synchronous = off;
        pragma cache_size = -400000;
        begin;
        insert or ignore into partner (id, name, created_at) values ('house', 'house', {now});
        -- Payments of before there were movements; the night's run is not what is measured here.
        insert into setting (key, value) values ('movements_missing_until', '{many}');
        insert into schedule (name, last_slot) values ('settle', {now});
        insert or ignore into partner (id, name, created_at)
          with recursive n(i) as (select 1 union all select i + 1 from n where i < 20)
          select 'partner-' || i, 'partner ' || i, {now} from n;
        insert into payment (id, imp_uid, merchant_uid, status, amount, cancelled, test, method, about,
                             fail_reason, at, paid_at, created_at, updated_at)
          with recursive n(i) as (select 1 union all select i + 1 from n where i < {many}),
          s(i, at, amount, status) as (
            select i, {first} + i * {step}, 10000 + (i % 97) * 100,
                   case when i % 100 < 2 then 'READY' when i % 100 < 7 then 'FAILED'
                        when i % 100 < 13 then 'CANCELED' when i % 100 < 17 then 'PARTIAL_CANCELED'
                        else 'PAID' end
              from n)
          select i, printf('imp_%012d', i), printf('order-%d', i), status, amount,
                 case status when 'CANCELED' then amount when 'PARTIAL_CANCELED' then 3000 else 0 end,
                 0, case i % 5 when 0 then 'vbank' when 1 then 'trans' else 'card' end,
                 json_object('name', '햇사과 5kg', 'method', case i % 5 when 0 then 'vbank' when 1 then 'trans' else 'card' end,
                   'pg_provider', 'html5_inicis', 'pg_tid', printf('StdpayCARD%020d', i),
                   'card_name', 'KB국민카드', 'apply_num', printf('%08d', i),
                   'receipt_url', printf('https://iniweb.inicis.com/receipt?noTid=%020d', i),
                   'buyer_name', '홍길동', 'buyer_email', printf('buyer%d@example.com', i % 50000),
                   'buyer_tel', printf('010-%04d-%04d', i % 10000, i % 7919), 'virtual_account', ''),
                 iif(status = 'FAILED', '한도 초과', null), at,
                 iif(status in ('READY', 'FAILED'), null, at), at, at
            from s;
        insert into payment_partner (partner_id, at, payment_id)
          select 'partner-' || (id % 20 + 1), at, id from payment;
        insert into event (payment_id, at, kind, actor, to_status, detail)
          select id, at, 'first_heard', 'webhook', status, json_object('amount', amount, 'hold', null)
            from payment order by id;
        insert into cancellation (id, payment_id, state, amount, checksum, reason, requested_by, requested_at,
                                  finished_at, gateway_key)
          select printf('c%026d', id), id, 'DONE', cancelled, amount, '단순 변심', 'elsewhere', at, at, 'key-' || id
            from payment where cancelled > 0 order by id;
        -- The search index stays empty, and is taken for filled: nothing here searches.
        insert or replace into setting (key, value) values ('search_filled', {many});
        commit;
        pragma wal_checkpoint(truncate);
        "#
    ))
    .expect("payments");
    let broken = books::check(&conn).expect("a check");
    assert!(broken.is_empty(), "the books are broken: {broken:#?}");
    fs::write(complete, "").expect("a mark");
    println!(
        "Filled the books with {many} payments in {:.0} s.\n",
        began.elapsed().as_secs_f64()
    );
    dir
}

// ---- the client

/// What a run came to.
#[derive(Default)]
struct Run {
    /// All answers 200, those of the warm-up too.
    ok: u64,
    /// Other answers, and one body of each kind.
    others: BTreeMap<u16, (u64, String)>,
    /// Of the measured requests, in microseconds.
    took: Vec<u32>,
    measured: Duration,
    /// The longest time in which no answer came at all.
    stall: Duration,
    /// Seconds of processor time while it was measured, by thread.
    server: BTreeMap<String, f64>,
    bench: BTreeMap<String, f64>,
}

impl Run {
    fn failed(&self) -> u64 {
        self.others.values().map(|(count, _)| count).sum()
    }
}

struct Measuring {
    run: Run,
    from: Instant,
    last: Instant,
}

/// Keeps `connections` busy, each with one request at a time, for `seconds` after a second of
/// warming up, or until `next` has no more.
fn drive(
    server: &Server,
    connections: usize,
    seconds: u64,
    next: impl FnMut(&mut String) -> bool + Send,
) -> Run {
    thread::scope(|scope| {
        // Spawned for its name: processor time is told by thread.
        let (addr, pid) = (server.addr, server.child.id());
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            LocalSet::new().block_on(&runtime, client(addr, pid, connections, seconds, next))
        };
        let client = thread::Builder::new()
            .name("client".into())
            .spawn_scoped(scope, run);
        server.forget_peak();
        client.expect("a thread").join().expect("the client")
    })
}

async fn client(
    addr: SocketAddr,
    pid: u32,
    connections: usize,
    seconds: u64,
    next: impl FnMut(&mut String) -> bool,
) -> Run {
    let from = Instant::now() + Duration::from_secs(1);
    let until = from + Duration::from_secs(seconds);
    let measuring = RefCell::new(Measuring {
        run: Run::default(),
        from,
        last: from,
    });
    let next = RefCell::new(next);
    let over = Rc::new(tokio::sync::Notify::new());
    let watch = tokio::task::spawn_local({
        let over = over.clone();
        async move {
            tokio::time::sleep_until(from.into()).await;
            let before = (processor_time(pid), processor_time(std::process::id()));
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = over.notified() => {}
            }
            let after = (processor_time(pid), processor_time(std::process::id()));
            (less(after.0, &before.0), less(after.1, &before.1))
        }
    });
    futures::future::join_all((0..connections).map(|_| connection(addr, until, &next, &measuring)))
        .await;
    over.notify_one();
    let Measuring { mut run, last, .. } = measuring.into_inner();
    run.measured = last - from;
    run.took.sort_unstable();
    (run.server, run.bench) = watch.await.expect("processor times");
    run
}

async fn connection(
    addr: SocketAddr,
    until: Instant,
    next: &RefCell<impl FnMut(&mut String) -> bool>,
    measuring: &RefCell<Measuring>,
) {
    let mut stream = TcpStream::connect(addr).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let mut request = String::new();
    let mut answer = Vec::with_capacity(64 << 10);
    loop {
        request.clear();
        let began = Instant::now();
        if began >= until || !(next.borrow_mut())(&mut request) {
            return;
        }
        stream.write_all(request.as_bytes()).await.expect("to send");
        let (status, body) = receive(&mut stream, &mut answer).await.expect("an answer");
        let now = Instant::now();
        let mut measuring = measuring.borrow_mut();
        let Measuring { run, from, last } = &mut *measuring;
        if status == 200 {
            run.ok += 1;
        } else {
            let first = || (0, String::from_utf8_lossy(&answer[body..]).into_owned());
            run.others.entry(status).or_insert_with(first).0 += 1;
        }
        if now > *from {
            if began >= *from {
                run.took.push((now - began).as_micros() as u32);
            }
            run.stall = run.stall.max(now - *last);
            *last = now;
        }
    }
}

/// One request on a connection of its own; the answer's body.
fn ask(addr: SocketAddr, request: &str) -> Vec<u8> {
    let request = request.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
    let mut answer = Vec::new();
    let asked = std::net::TcpStream::connect(addr).and_then(|mut stream| {
        stream.write_all(request.as_bytes())?;
        stream.read_to_end(&mut answer)
    });
    asked.expect("an answer");
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n");
    answer.split_off(body.expect("a body") + 4)
}

// ---- the report

#[derive(Default)]
struct Report {
    rows: Vec<String>,
    times: Vec<String>,
    checks: Vec<String>,
    starts: Option<String>,
    wrong: bool,
}

impl Report {
    fn add(&mut self, scenario: &str, connections: usize, run: Run, rss: f64) {
        let at = |share: f64| {
            let last = run.took.len().saturating_sub(1);
            let place = ((run.took.len() as f64 * share) as usize).min(last);
            f64::from(run.took.get(place).copied().unwrap_or(0)) / 1e3
        };
        let many = run.took.len() as f64;
        let row = format!(
            "| {scenario} | {connections} | {:.0} | {:.2} | {:.2} | {:.2} | {:.1} | {:.0} | {rss:.0} |",
            many / run.measured.as_secs_f64(),
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
            run.stall.as_secs_f64() * 1e3,
        );
        let each = |times: &BTreeMap<String, f64>| {
            let words: Vec<_> = times
                .iter()
                .map(|(name, seconds)| format!("{name} {:.0}", seconds * 1e6 / many))
                .collect();
            words.join(", ")
        };
        let sum = |times: &BTreeMap<String, f64>| times.values().sum::<f64>() * 1e6 / many;
        self.times.push(format!(
            "| {scenario} | {connections} | {:.0} | {} | {:.0} | {} |",
            sum(&run.server),
            each(&run.server),
            sum(&run.bench),
            each(&run.bench)
        ));
        eprintln!("{row}");
        self.rows.push(row);
        for (status, (count, body)) in &run.others {
            self.checks.push(format!(
                "- {scenario}, {connections}: {count} times {status}, {body}"
            ));
        }
    }

    /// All counts must be one.
    fn check(&mut self, name: &str, counts: &[(&str, u64)]) {
        let same = counts.windows(2).all(|two| two[0].1 == two[1].1);
        self.wrong |= !same;
        let words: Vec<_> = counts
            .iter()
            .map(|(what, count)| format!("{what} {count}"))
            .collect();
        let verdict = if same { "equal" } else { "**DIFFERENT**" };
        self.checks
            .push(format!("- {name}: {}: {verdict}", words.join(", ")));
    }

    /// The rules of `jeongsan verify` hold.
    fn sound(&mut self, name: &str, conn: &Connection) {
        let broken = books::check(conn).expect("a check");
        self.wrong |= !broken.is_empty();
        if !broken.is_empty() {
            self.checks
                .push(format!("- {name}: **the books are broken**: {broken:?}"));
        }
    }

    fn print(&self, options: &Options) {
        println!(
            "{} s each after 1 s of warming up; `synchronous=FULL`, as always.\n",
            options.seconds
        );
        println!(
            "| scenario | connections | requests/s | p50 ms | p99 ms | p99.9 ms | max ms | longest stall ms | peak RSS MB |"
        );
        println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        for row in &self.rows {
            println!("{row}");
        }
        if let Some(starts) = &self.starts {
            println!("\n{starts}");
        }
        println!("\nProcessor time per request in microseconds, by thread:\n");
        println!("| scenario | connections | server | of it | bench | of it |");
        println!("|---|--:|--:|---|--:|---|");
        for row in &self.times {
            println!("{row}");
        }
        println!("\nCounts:\n");
        for check in &self.checks {
            println!("{check}");
        }
    }
}
