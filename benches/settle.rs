//! How long a day's settlement takes, and what intake notices of it: `cargo bench --bench settle -- --help`.
//!
//! The release binary serves as a process of its own on a real disk. Payments go on arriving at a steady
//! rate; each answer is timed from the moment at which its request was due, so that a stall counts for
//! everybody who waited in it. Then the night's job is put into the queue, and the server settles a day
//! as it does every night. Afterwards lines and sums are counted, and the books must be sound by the
//! rules of `jeongsan verify`, which work every line out again.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use common::{Portone, Server, count, migrate, receive, webhook};
use jeongsan::{
    app,
    config::Config,
    domain::{
        calendar::KstDay,
        contract::{AdditionalFee, Fee, Terms, VatBearer},
        cycle::{Cycle, HolidayPolicy, Method},
        job::Job,
    },
    flow::settle_day::settle_day,
    store::{Clock, Store, books, database_in, jobs},
};
use rusqlite::Connection;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::LocalSet};

/// How long a day's settlement takes, and what intake notices of it.
#[derive(Parser)]
struct Options {
    /// Payments of the settled day, one run for each number.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    payments: Vec<i64>,
    /// Partners that they are owed to.
    #[arg(long, default_value_t = 1_000)]
    partners: i64,
    /// Payments of the year before, settled already.
    #[arg(long, default_value_t = 0)]
    year: i64,
    /// Payments that arrive per second meanwhile.
    #[arg(long, default_value_t = 200)]
    rate: u64,
    /// Settle in a process of its own beside the server, as `jeongsan settle` does.
    #[arg(long)]
    beside: bool,
    /// Be that process.
    #[arg(long, hide = true)]
    settle: Option<KstDay>,
    /// What `cargo bench` adds by itself.
    #[arg(long, hide = true)]
    bench: bool,
}

const CONNECTIONS: u64 = 16;
/// Intake before and after, without a settlement.
const QUIET: Duration = Duration::from_secs(4);

fn main() -> ExitCode {
    let options = Options::parse();
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("settle");
    if let Some(day) = options.settle {
        return beside(&home, day);
    }
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home).expect("a directory for the databases");
    let today = KstDay::of(Clock::default().now());
    let first = today.plus_days(-(options.payments.len() as i64));
    let began = Instant::now();
    fill(&options, &home, first);
    let size = fs::metadata(database_in(&home)).map_or(0, |meta| meta.len());
    println!(
        "Prepared {} payments of a year and {:?} of the settled days over {} partners in {:.0} s: {:.1} GB.\n",
        options.year,
        options.payments,
        options.partners,
        began.elapsed().as_secs_f64(),
        size as f64 / 1e9
    );
    println!(
        "| payments | lines | seconds | lines/s | peak RSS MB | intake p50 ms | p99 ms | max ms | without p50 ms | p99 ms | max ms |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    let mut wrong = false;
    for (i, many) in options.payments.iter().enumerate() {
        wrong |= !settle(&options, &home, first.plus_days(i as i64), *many, i);
    }
    let began = Instant::now();
    let conn = Connection::open(database_in(&home)).expect("the books");
    let broken = books::check(&conn).expect("a check");
    println!(
        "\n{} rules of the books checked in {:.1} s; broken: {broken:#?}",
        books::rules().count(),
        began.elapsed().as_secs_f64()
    );
    if wrong || !broken.is_empty() {
        return ExitCode::FAILURE;
    }
    let _ = fs::remove_dir_all(&home);
    ExitCode::SUCCESS
}

/// One day, settled by the server while payments arrive.
fn settle(options: &Options, dir: &Path, day: KstDay, many: i64, run: usize) -> bool {
    let portone = Portone::start();
    let most = options.rate * 120;
    let order = format!("live-{run}");
    let ids = portone.pay(most, &order);
    let server = Server::start(dir, &portone.sandbox.url());
    let stop = Arc::new(AtomicBool::new(false));
    let addr = server.addr;
    let from = Instant::now();
    let client = {
        let (stop, rate) = (stop.clone(), options.rate);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            LocalSet::new().block_on(&runtime, arrive(addr, from, rate, ids, order, stop))
        })
    };
    thread::sleep(QUIET);
    server.forget_peak();
    let began = from.elapsed();
    let mut its_peak = None;
    if options.beside {
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--settle", &day.to_string()])
            .stdout(Stdio::piped())
            .spawn();
        let said = child.and_then(Child::wait_with_output).expect("to settle");
        its_peak = String::from_utf8_lossy(&said.stdout).trim().parse().ok();
    } else {
        publish(dir, day);
    }
    let conn = Connection::open(database_in(dir)).expect("the books");
    conn.busy_timeout(Duration::from_secs(30)).expect("a wait");
    let took = loop {
        let done: Option<i64> = conn
            .query_row(
                "select finished_at - closed_at from settlement_day where day = ?1 and finished_at is not null",
                [day.to_string()],
                |row| row.get(0),
            )
            .ok();
        if let Some(ms) = done {
            break ms as f64 / 1e3;
        }
        if from.elapsed() > Duration::from_secs(100) {
            println!("{day} was not settled within 100 s");
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let ended = from.elapsed();
    let rss = its_peak.unwrap_or_else(|| server.peak_rss());
    thread::sleep(QUIET);
    stop.store(true, Ordering::Relaxed);
    let (answers, failed) = client.join().expect("the client");
    server.stop();
    let (during, quiet): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .filter(|(due, _)| *due > Duration::from_secs(1))
        .partition(|(due, took)| *due + *took >= began && *due <= ended);
    let lines = count(
        &conn,
        &format!("select count(*) from settlement_line where day = '{day}'"),
    );
    let movements = count(
        &conn,
        &format!("select count(*) from movement where day = '{day}'"),
    );
    let settled = count(
        &conn,
        &format!("select count(*) from settlement where day = '{day}'"),
    );
    let slowest = during.iter().max_by_key(|(_, took)| *took);
    let slowest = slowest.map_or(Duration::ZERO, |(due, _)| due.saturating_sub(began));
    let (d, q) = (ms(during), ms(quiet));
    println!(
        "| {many} | {lines} | {took:.2} | {:.0} | {rss:.0} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
        lines as f64 / took,
        d[0],
        d[1],
        d[2],
        q[0],
        q[1],
        q[2],
    );
    eprintln!(
        "the slowest answer was due {:.2} s after the night's job",
        slowest.as_secs_f64()
    );
    let right = lines == movements
        && lines >= many as u64
        && settled == options.partners.min(many) as u64
        && failed == 0;
    if !right {
        println!(
            "wrong: {movements} movements, {settled} settlements, {failed} answers other than 200"
        );
    }
    right
}

/// Puts the night's job into the queue.
fn publish(dir: &Path, day: KstDay) {
    runtime().block_on(async {
        let store = Store::open_beside(dir, Clock::default()).expect("the books");
        let until = day.next().start();
        let terms = jobs::Terms {
            max_attempts: 1,
            run_at: None,
        };
        let put = store.write(move |tx| jobs::publish(tx, &Job::Settle { until }, terms));
        put.await.expect("the night's job");
        store.close().await;
    });
}

/// Settles a day in this process; says how much memory that took.
fn beside(dir: &Path, day: KstDay) -> ExitCode {
    let set = [
        ("data.dir", dir.display().to_string()),
        ("portone.imp_key", "imp_apikey".to_owned()),
        ("portone.imp_secret", "imp_secret".to_owned()),
    ];
    let config = Config::load(None, [], &set).expect("settings");
    let store = Store::open_beside(dir, Clock::default()).expect("the books");
    let ctx = app::context(&config, store).expect("a context");
    runtime().block_on(async {
        settle_day(&ctx, day, "bench").await.expect("a settlement");
        ctx.store.close().await;
    });
    println!("{}", common::peak_rss(std::process::id()));
    ExitCode::SUCCESS
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

/// p50, p99 and the longest, in ms.
fn ms(answers: Vec<(Duration, Duration)>) -> [f64; 3] {
    let mut took: Vec<f64> = answers
        .iter()
        .map(|(_, took)| took.as_secs_f64() * 1e3)
        .collect();
    took.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let last = took.len().saturating_sub(1);
        took.get((last as f64 * part) as usize)
            .copied()
            .unwrap_or(f64::NAN)
    };
    [at(0.5), at(0.99), at(1.0)]
}

/// Sends one message after another, each when it is due; gives when it was due and how long its answer took
/// from then on, and how many were other than 200.
async fn arrive(
    addr: std::net::SocketAddr,
    from: Instant,
    rate: u64,
    ids: Vec<String>,
    order: String,
    stop: Arc<AtomicBool>,
) -> (Vec<(Duration, Duration)>, u64) {
    let ids = Rc::new(ids);
    let lanes = (0..CONNECTIONS).map(|lane| {
        let (ids, order, stop) = (ids.clone(), order.clone(), stop.clone());
        async move {
            let mut stream = TcpStream::connect(addr).await.expect("a connection");
            stream.set_nodelay(true).expect("no delay");
            let (mut request, mut answer) = (String::new(), Vec::new());
            let (mut answers, mut failed) = (Vec::new(), 0);
            let mut next = lane;
            while let Some(id) = ids.get(next as usize)
                && !stop.load(Ordering::Relaxed)
            {
                let due = Duration::from_nanos(next * 1_000_000_000 / rate);
                tokio::time::sleep_until((from + due).into()).await;
                request.clear();
                webhook(&mut request, id, &format!("{order}-{next}"));
                stream.write_all(request.as_bytes()).await.expect("to send");
                let (status, _) = receive(&mut stream, &mut answer).await.expect("an answer");
                failed += u64::from(status != 200);
                answers.push((due, from.elapsed().saturating_sub(due)));
                next += CONNECTIONS;
            }
            (answers, failed)
        }
    });
    let lanes = futures::future::join_all(lanes).await;
    let failed = lanes.iter().map(|(_, failed)| failed).sum();
    (
        lanes.into_iter().flat_map(|(answers, _)| answers).collect(),
        failed,
    )
}

// ---- databases

fn fill(options: &Options, dir: &Path, first: KstDay) {
    assert!(migrate(dir), "the schema cannot be made");
    let conn = Connection::open(database_in(dir)).expect("the books");
    let now = Clock::default().now().as_millisecond();
    let fee = |percent: &str| Fee::Rate(percent.parse().expect("a rate"));
    let cycle = Cycle::new(2, Method::Daily, HolidayPolicy::After).expect("a cycle");
    let mut terms = Terms::plain(fee("10"), cycle);
    terms.discount_share = "50".parse().expect("a rate");
    terms.additional = vec![AdditionalFee {
        name: "PG".into(),
        fee: fee("5"),
        vat: VatBearer::Partner,
    }];
    let terms = serde_json::to_string(&terms).expect("terms");
    let partners = options.partners;
    let from = first.plus_days(-366);
    conn.execute_batch(&format!(
        "pragma journal_mode = off;
         pragma synchronous = off;
         pragma cache_size = -800000;
         begin;
         insert or replace into schedule (name, last_slot) values ('sweep', {now}), ('prune', {now}), ('settle', {now});
         insert into partner (id, name, kind, created_at, bank, account, holder, status)
           with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < {partners})
           select printf('partner-%05d', i), printf('파트너 %d', i), 'BUSINESS_GENERAL', {now}, '088',
                  printf('110%09d', i), '홍길동', 'APPROVED' from n;
         insert into contract_version (partner_id, from_day, terms, used_until, created_at, created_by)
           select id, '{from}', '{terms}', null, {now}, 'bench' from partner where id like 'partner-%';"
    ))
    .expect("partners");
    let mut next = 1;
    if options.year > 0 {
        let per_day = options.year / 365;
        for ago in (1..=365).rev() {
            let day = first.plus_days(-ago);
            fill_day(&conn, day, &mut next, per_day, partners, false);
            past(&conn, day);
        }
    } else {
        // So that the nights before are none of the measured one's business.
        past(&conn, first.plus_days(-1));
    }
    for (i, many) in options.payments.iter().enumerate() {
        let day = first.plus_days(i as i64);
        fill_day(&conn, day, &mut next, *many, partners, true);
    }
    conn.execute_batch(&format!(
        "update contract_version set used_until = '{}' where {} > 0;
         insert or replace into setting (key, value) values ('search_filled', {next});
         commit;
         pragma journal_mode = wal;",
        first.plus_days(-1),
        options.year
    ))
    .expect("a commit");
}

/// Payments of one day: one of 33 is given back, one of 10 had a discount.
fn fill_day(
    conn: &Connection,
    day: KstDay,
    next: &mut i64,
    many: i64,
    partners: i64,
    orders: bool,
) {
    let (first, start) = (*next, day.start().as_millisecond());
    *next += many;
    let each = (many + partners - 1) / partners;
    conn.execute_batch(&format!(
        r#"
        create temp table if not exists d (i integer primary key, at integer, partner text, amount integer,
                                           discount integer, back integer);
        delete from d;
        insert into d
          with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < {many})
          select i, {start} + i * 86000000 / {many}, printf('partner-%05d', i % {partners}), 10000 + (i % 97) * 130,
                 iif(i % 10 = 0, 1000, 0), i % 33 = 5 and i % 10 <> 0 from n;
        insert into payment (id, imp_uid, merchant_uid, status, amount, cancelled, test, method, about, at, paid_at,
                             created_at, updated_at)
          select {first} + i, printf('imp_%012d', {first} + i), printf('order-%d', {first} + i),
                 iif(back, 'CANCELED', 'PAID'), amount - discount, iif(back, amount - discount, 0), 0, 'card',
                 json_object('name', '햇사과 5kg', 'method', 'card', 'pg_provider', 'html5_inicis',
                   'pg_tid', printf('StdpayCARD%020d', i), 'card_name', 'KB국민카드', 'apply_num', printf('%08d', i),
                   'buyer_name', '홍길동', 'buyer_tel', printf('010-%04d-%04d', i % 10000, i % 7919)),
                 at, at, at, at from d order by i;
        insert into payment_partner (partner_id, at, payment_id) select partner, at, {first} + i from d order by partner, i;
        insert into event (payment_id, at, kind, actor, to_status, detail)
          select {first} + i, at, 'first_heard', 'webhook', iif(back, 'CANCELED', 'PAID'),
                 json_object('amount', amount, 'hold', null) from d order by i;
        insert into cancellation (id, payment_id, state, amount, checksum, reason, requested_by, requested_at,
                                  cancelled_at, finished_at, gateway_key)
          select printf('c%026d', {first} + i), {first} + i, 'DONE', amount - discount, amount - discount, '단순 변심',
                 'elsewhere', at, at, at, 'key-' || ({first} + i) from d where back order by i;
        insert into movement (day, partner_id, seq, kind, payment_id, order_line, cause, happened_at, terms_day,
                              order_before, order_after, discount_before, discount_after, tax_free_before, tax_free_after)
          select '{day}', partner, i / {partners} + 1, 'ORDER', {first} + i, 1, null, at, '{day}', 0, amount, 0,
                 discount, 0, 0 from d order by partner, i;
        insert into movement (day, partner_id, seq, kind, payment_id, order_line, cause, happened_at, terms_day,
                              order_before, order_after, discount_before, discount_after, tax_free_before, tax_free_after)
          select '{day}', partner, {each} + i / {partners} + 1, 'CANCEL', {first} + i, 1, printf('c%026d', {first} + i),
                 at, '{day}', amount, 0, discount, 0, 0, 0 from d where back order by partner, i;
        "#
    ))
    .expect("a day");
    if orders {
        conn.execute_batch(&format!(
            "insert into merchant_order (merchant_uid, name, amount, created_at)
               select printf('order-%d', {first} + i), '햇사과 5kg', amount - discount, at from d order by 1;
             insert into order_line (merchant_uid, line, partner_id, name, quantity, unit_price, discount, amount)
               select printf('order-%d', {first} + i), 1, partner, '햇사과 5kg', 1, amount, discount, amount - discount
                 from d order by 1;"
        ))
        .expect("orders");
    }
}

/// A day that was settled before.
fn past(conn: &Connection, day: KstDay) {
    let at = day.end().as_millisecond() + 3_600_000;
    conn.execute_batch(&format!(
        "insert into settlement_day (day, closed_at, finished_at) values ('{day}', {at}, {at});
         insert into settlement_line (day, partner_id, seq, contract_id, order_amount, discount, fee, fee_vat, additional,
                                      additional_vat, discount_share, payment_vat, adjustment, net)
           select day, partner_id, seq, c, o, d, fee, vat, more, more_vat, share, 0, 0,
                  o - fee - vat - more - more_vat - share
             from (select m.day, m.partner_id, m.seq, v.id as c, order_after - order_before as o,
                          discount_after - discount_before as d, order_after / 10 - order_before / 10 as fee,
                          order_after / 10 / 10 - order_before / 10 / 10 as vat,
                          order_after / 20 - order_before / 20 as more,
                          order_after / 20 / 10 - order_before / 20 / 10 as more_vat,
                          discount_after / 2 - discount_before / 2 as share
                     from movement m join contract_version v on v.partner_id = m.partner_id
                    where m.day = '{day}')
            order by day, partner_id, seq;
         insert into settlement (partner_id, day, state, payout_day, contract_id, lines, orders, cancels, sales, returned,
                                 order_amount, discount, fee, fee_vat, additional, additional_vat, discount_share,
                                 payment_vat, adjustment, net, created_at, updated_at)
           select partner_id, day, 'REQUESTED', day, max(contract_id), count(*), sum(order_amount > 0),
                  sum(order_amount < 0), sum(max(order_amount, 0)), sum(min(order_amount, 0)), sum(order_amount),
                  sum(discount), sum(fee), sum(fee_vat), sum(additional), sum(additional_vat), sum(discount_share), 0, 0,
                  sum(net), {at}, {at}
             from settlement_line where day = '{day}' group by partner_id;"
    ))
    .expect("a day that was settled");
}
