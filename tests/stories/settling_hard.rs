//! Settlements under attack: at once, killed, meddled with, of old books; and books that were broken by hand.

use std::{path::Path, time::Duration};

use jeongsan::{
    app,
    config::Config,
    domain::{calendar::KstDay, ids::PartnerId, money::Won},
    flow::{
        Ctx,
        adjust::{Adjustment, adjust},
        agree_contract::agree,
        pay_out::Word,
        settle_day::{Report, SettleDayError, settle_day, settle_until},
    },
    sandbox::{Sandbox, SandboxConfig},
    store::{Clock, Store, books, database_in},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rusqlite::Connection;

use crate::{
    killing::{Server, free_port},
    shop::{Shop, percent, ten_percent, terms_with},
    support::settings,
};
/// Each rule that spans rows finds what breaks it, in a copy of books that are sound.
#[tokio::test]
async fn the_check_finds_what_is_broken_in_settlements() {
    let shop = Shop::open().await;
    for id in ["farm", "bakery"] {
        shop.plain_partner(id).await;
    }
    let apple = shop
        .buy("apple", &[("farm", 10_000, 0), ("bakery", 9_000, 0)])
        .await;
    let adjustment = Adjustment {
        partner: PartnerId::new("bakery").unwrap(),
        amount: Won::new(500),
        reason: "보상".into(),
    };
    adjust(shop.ctx(), adjustment, "api").await.unwrap();
    shop.days(3);
    shop.night().await;
    let batch = shop.batch().await.unwrap();
    shop.bank(batch, Word::Paid).await;
    shop.give_back(&apple, 1_900).await;
    shop.days(1);
    shop.buy("pear", &[("farm", 30_000, 0)]).await;
    shop.days(3);
    shop.night().await;
    shop.batch().await.unwrap();
    shop.app.drain().await;
    let sound = shop.app.dir().join("sound.sqlite3");
    let conn = Connection::open(shop.app.database()).unwrap();
    conn.execute("vacuum into ?1", [sound.to_str().unwrap()])
        .unwrap();
    for (rule, sql) in [
        (
            "a_settlement_has_a_line_for_each_movement",
            "delete from settlement_line where rowid_of = 1",
        ),
        (
            "a_settlement_has_a_line_for_each_movement",
            "insert into settlement_line select day, partner_id, 99, contract_id, order_amount, discount, fee, fee_vat, additional, additional_vat, discount_share, payment_vat, adjustment, net from settlement_line limit 1",
        ),
        (
            "a_line_replays_to_the_same_won",
            "update settlement_line set fee = fee + 1, net = net - 1 where fee > 0",
        ),
        (
            "a_settlement_is_the_sum_of_its_lines",
            "update settlement set fee = fee + 1, net = net - 1",
        ),
        (
            "a_contract_knows_what_it_settled",
            "update contract_version set used_until = from_day where partner_id = 'farm'",
        ),
        (
            "a_line_replays_to_the_same_won",
            "insert into contract_version (partner_id, from_day, terms, created_at, created_by) select partner_id, (select min(day) from settlement), terms, 0, 'x' from contract_version where partner_id = 'farm'",
        ),
        (
            "movements_lead_to_what_is_left",
            "update movement set order_after = order_after + 1 where kind = 'ORDER'",
        ),
        (
            "an_adjustment_is_one_movement",
            "update adjustment set amount = amount + 1",
        ),
        (
            "a_finished_day_has_a_settlement_for_each_partner",
            "insert into movement select (select max(day) from settlement_day), partner_id, 77, kind, payment_id, order_line, cause, happened_at, terms_day, order_before, order_after, discount_before, discount_after, tax_free_before, tax_free_after, adjustment from movement where partner_id = 'farm' limit 1",
        ),
        (
            "a_settlement_is_of_a_closed_day",
            "delete from settlement_day",
        ),
        (
            "carried_in_is_what_was_netted",
            "update settlement set carried_into = null",
        ),
        (
            "a_chain_completes_with_what_covers_it",
            "update settlement set state = 'COMPLETED', completed_at = 1, completed_by = 'x' where carried_into is not null",
        ),
        (
            "a_payout_is_the_sum_of_its_settlements",
            "update payout set gross = gross + 1, amount = amount + 1",
        ),
        (
            "a_payout_is_the_sum_of_its_settlements",
            "update payout_settlement set amount = amount + 1",
        ),
        (
            "a_payout_and_its_settlements_stand_alike",
            "update payout set state = 'PAID', decided_at = 1 where state = 'WAITING'",
        ),
        (
            "what_is_being_paid_is_in_a_payout",
            "update payout_settlement set live = 0",
        ),
        (
            "what_is_being_paid_is_in_a_payout",
            "update settlement set state = 'REQUESTED', completed_at = null, completed_by = null where state = 'COMPLETED' and net > 0; update settlement set state = 'PROCESSING' where state = 'REQUESTED' and net > 0",
        ),
        (
            "an_open_batch_waits_for_something",
            "update payout_batch set state = 'DONE', finished_at = 1",
        ),
        (
            "every_won_of_a_partner_is_in_one_place",
            "update payout set gross = gross + 1, amount = amount + 1 where state = 'PAID'",
        ),
    ] {
        let broken = shop.app.dir().join("broken.sqlite3");
        std::fs::copy(&sound, &broken).unwrap();
        let conn = Connection::open(&broken).unwrap();
        assert_eq!(books::check(&conn).unwrap(), [], "sound before");
        let mut query = conn
            .prepare("select 'drop trigger ' || name from sqlite_schema where type = 'trigger'")
            .unwrap();
        let triggers: Vec<String> = query
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for drop in triggers {
            conn.execute_batch(&drop).unwrap();
        }
        let sql = sql.replace("rowid_of = 1", "seq = 1 and partner_id = 'farm'");
        conn.execute_batch(&sql).unwrap();
        let found: Vec<&str> = books::check(&conn)
            .unwrap()
            .iter()
            .map(|broken| broken.rule)
            .collect();
        assert!(
            found.contains(&rule),
            "{rule} is not found by {found:?}: {sql}"
        );
    }
    shop.close().await;
}

/// Everything that a settlement left, without what differs from run to run.
pub fn dump(database: &Path) -> Vec<String> {
    let conn = Connection::open(database).unwrap();
    conn.busy_timeout(Duration::from_secs(10)).unwrap();
    let mut found = Vec::new();
    for sql in [
        "select json_array('line', day, partner_id, seq, contract_id, order_amount, discount, fee, fee_vat, additional,
                additional_vat, discount_share, payment_vat, adjustment, net) from settlement_line order by 1",
        "select json_array('settlement', s.partner_id, s.day, s.state, s.payout_day, s.contract_id, s.lines, s.orders,
                s.cancels, s.sales, s.returned, s.order_amount, s.discount, s.fee, s.fee_vat, s.additional,
                s.additional_vat, s.discount_share, s.payment_vat, s.adjustment, s.carried_in, s.net, s.carry_since,
                i.day) from settlement s left join settlement i on i.id = s.carried_into order by 1",
        "select json_array('day', day, generation, finished_at is not null, blocked) from settlement_day order by 1",
        "select json_array('contract', partner_id, from_day, terms, used_until) from contract_version order by 1",
        "select json_array('history', kind, actor, s.partner_id, s.day, detail) from history h
           join settlement s on h.subject = 'settlement:' || s.id order by 1",
        "select json_array('movement', day, partner_id, seq, kind, payment_id, order_line, terms_day, order_before,
                order_after, adjustment) from movement order by 1",
    ] {
        let mut query = conn.prepare(sql).unwrap();
        let rows = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
        found.extend(rows.map(Result::unwrap));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settled_twice_and_by_two_at_once_there_is_one_row_each() {
    let shop = Shop::open().await;
    let day = shop.today();
    for n in 0..6 {
        shop.plain_partner(&format!("p{n}")).await;
    }
    for n in 0..24 {
        let partner = format!("p{}", n % 6);
        shop.buy(&format!("o{n}"), &[(&partner, 1_000 + n * 7, 0)])
            .await;
    }
    shop.days(1);
    // In this process twice, and from the command line's place beside it.
    let set: Vec<_> = settings(&shop.app.portone, shop.app.dir());
    let config = Config::load(None, [], &set).unwrap();
    let store = Store::open_beside(shop.app.dir(), shop.app.clock.clone()).unwrap();
    let beside = app::context(&config, store.clone()).unwrap();
    let (one, two, three) = tokio::join!(
        settle_day(shop.ctx(), day, "page"),
        settle_day(shop.ctx(), day, "page"),
        settle_day(&beside, day, "page"),
    );
    let reports = [one.unwrap(), two.unwrap(), three.unwrap()];
    let new: usize = reports.iter().map(|report| report.settled.len()).sum();
    assert_eq!(new, 6, "each settlement is one run's");
    let first = dump(&shop.app.database());
    let again = shop.settle(day).await;
    assert_eq!((again.settled.len(), again.already), (0, 6));
    assert_eq!(dump(&shop.app.database()), first);
    assert!(matches!(
        settle_day(shop.ctx(), day.next(), "api").await,
        Err(SettleDayError::NotOver { .. })
    ));
    store.close().await;
    shop.close().await;
}

/// Settles a crowd's day, and has another process write `sql` once it has begun; gives what the run said, and
/// the books.
async fn meddled_with(
    partners: i64,
    sql: impl Fn(KstDay) -> String,
) -> (
    tempfile::TempDir,
    Ctx,
    KstDay,
    Result<Report, SettleDayError>,
) {
    let dir = tempfile::tempdir().unwrap();
    let day = crowd(dir.path(), partners, 30_000);
    let ctx = context(dir.path()).await;
    let run = tokio::spawn({
        let ctx = ctx.clone();
        async move { settle_day(&ctx, day, "api").await }
    });
    let mut other = Connection::open(database_in(dir.path())).unwrap();
    other
        .busy_handler(Some(|_| {
            std::thread::sleep(Duration::from_micros(200));
            true
        }))
        .unwrap();
    let begun = || -> bool {
        let sql = "select exists (select 1 from progress)";
        other.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    while !begun() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let tx = other
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    tx.execute_batch(&sql(day)).unwrap();
    // What is read meanwhile is read as it was.
    tokio::time::sleep(Duration::from_millis(200)).await;
    tx.commit().unwrap();
    let said = run.await.unwrap();
    (dir, ctx, day, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terms_that_change_while_a_day_is_settled_hold_for_all_of_it() {
    let other = serde_json::to_string(&terms_with(|terms| terms.fee = percent("20"))).unwrap();
    let changed = |_: KstDay| {
        format!("update contract_version set terms = '{other}' where partner_id = 'crowd-0'")
    };
    let between = |day: KstDay| {
        format!(
            "insert into contract_version (partner_id, from_day, terms, created_at, created_by)
             values ('crowd-0', '{}', '{other}', 0, 'test')",
            day.previous()
        )
    };
    let cases: [&dyn Fn(KstDay) -> String; 2] = [&changed, &between];
    for case in cases {
        let (dir, ctx, day, said) = meddled_with(1, case).await;
        assert!(matches!(said, Err(SettleDayError::Changed(_))), "{said:?}");
        settle_day(&ctx, day, "api").await.unwrap();
        ctx.store.close().await;
        let conn = Connection::open(database_in(dir.path())).unwrap();
        assert_eq!(books::check(&conn).unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_off_that_is_added_while_a_day_is_settled_moves_every_payout_day() {
    let off = |day: KstDay| {
        let due = day.plus_days(2);
        format!("insert into special_day values ('{due}', '임시공휴일', 1, 0, 'test')")
    };
    let (_dir, ctx, day, said) = meddled_with(30, off).await;
    assert!(matches!(said, Err(SettleDayError::Changed(_))), "{said:?}");
    settle_day(&ctx, day, "api").await.unwrap();
    ctx.store.close().await;
}

/// Books with many payments of yesterday, put there by SQL; gives the day.
fn crowd(dir: &Path, partners: i64, payments: i64) -> KstDay {
    let day = KstDay::of(Clock::default().now()).previous();
    let store = Store::open(dir, Clock::default()).unwrap();
    let closing = store.close();
    futures::executor::block_on(closing);
    let conn = Connection::open(database_in(dir)).unwrap();
    let terms = serde_json::to_string(&ten_percent()).unwrap();
    let (from, at) = (day.plus_days(-20), day.start().as_millisecond());
    conn.execute_batch(&format!(
        "pragma synchronous = off;
         begin;
         insert into partner (id, name, kind, created_at)
           with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < {partners})
           select 'crowd-' || i, 'crowd', 'INDIVIDUAL', {at} from n;
         insert into contract_version (partner_id, from_day, terms, created_at, created_by)
           select id, '{from}', '{terms}', {at}, 'test' from partner where id like 'crowd-%';
         insert into payment (id, imp_uid, merchant_uid, status, amount, cancelled, test, method, about, at, paid_at,
                              created_at, updated_at)
           with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < {payments})
           select i + 1, printf('imp_%012d', i), 'ord-' || i, 'PAID', 1000 + i % 9973, 0, 0, 'card', '{{}}', {at} + i,
                  {at} + i, {at}, {at} from n;
         insert into payment_partner (partner_id, at, payment_id) select 'crowd-' || (id % {partners}), at, id from payment;
         insert into event (payment_id, at, kind, actor, to_status, detail)
           select id, at, 'first_heard', 'webhook', 'PAID', '{{}}' from payment;
         insert into movement (day, partner_id, seq, kind, payment_id, happened_at, terms_day, order_before, order_after,
                               discount_before, discount_after, tax_free_before, tax_free_after)
           select '{day}', 'crowd-' || (id % {partners}), id / {partners} + 1, 'ORDER', id, at, '{day}', 0, amount, 0, 0, 0, 0
             from payment;
         insert or replace into schedule (name, last_slot)
           values ('sweep', unixepoch() * 1000), ('prune', unixepoch() * 1000), ('settle', unixepoch() * 1000);
         commit;"
    ))
    .unwrap();
    day
}

/// All that a flow needs, on books of a directory, without a server.
async fn context(dir: &Path) -> Ctx {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let config = Config::load(None, [], &settings(&sandbox, dir)).unwrap();
    let store = Store::open_beside(dir, Clock::default()).unwrap();
    app::context(&config, store).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_settles_it_ends_in_the_rows_of_a_run_in_peace() {
    let kills: u64 = std::env::var("TEST_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    let (peace, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let day = crowd(peace.path(), 7, 24_000);
    // The server that is killed makes the default partner; so does this one.
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let port = free_port();
    Server::start(&sandbox, peace.path(), port).await.kill();
    let conn = Connection::open(database_in(peace.path())).unwrap();
    let copy = database_in(killed.path());
    conn.execute("vacuum into ?1", [copy.to_str().unwrap()])
        .unwrap();
    let ctx = context(peace.path()).await;
    settle_day(&ctx, day, "schedule").await.unwrap();
    ctx.store.close().await;

    let publish = async || {
        let store = Store::open_beside(killed.path(), Clock::default()).unwrap();
        let until = day.next().start();
        store
            .write(move |tx| {
                // A job that killed the process three times waits for a person: not what is told here.
                tx.conn()
                    .execute("update job set crashes = 0 where kind = 'settle'", [])?;
                let terms = jeongsan::store::jobs::Terms {
                    max_attempts: 9,
                    run_at: None,
                };
                jeongsan::store::jobs::publish(
                    tx,
                    &jeongsan::domain::job::Job::Settle { until },
                    terms,
                )?;
                Ok::<_, jeongsan::store::StoreError>(())
            })
            .await
            .unwrap();
        store.close().await;
    };
    let lines = || -> i64 {
        let conn = Connection::open(database_in(killed.path())).unwrap();
        conn.busy_timeout(Duration::from_secs(10)).unwrap();
        let sql = "select count(*) from settlement_line";
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let mut dice = StdRng::seed_from_u64(kills);
    let mut half_way = 0;
    for _ in 0..kills {
        publish().await;
        let server = Server::start(&sandbox, killed.path(), port).await;
        // Until it has begun to write, and a bit.
        let before = lines();
        for _ in 0..100 {
            if lines() > before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..150))).await;
        server.kill();
        let conn = Connection::open(database_in(killed.path())).unwrap();
        let (lines, finished): (i64, bool) = conn
            .query_row(
                "select (select count(*) from settlement_line),
                        exists (select 1 from settlement_day where finished_at is not null)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        half_way += u64::from(lines > 0 && !finished);
        assert_eq!(books::check(&conn).unwrap(), []);
    }
    println!("{kills} kills, {half_way} of them in the middle");
    publish().await;
    let server = Server::start(&sandbox, killed.path(), port).await;
    let conn = Connection::open(database_in(killed.path())).unwrap();
    conn.busy_timeout(Duration::from_secs(10)).unwrap();
    for _ in 0..600 {
        let open: bool = conn
            .query_row(
                "select exists (select 1 from job where kind = 'settle' and state in ('ready', 'running'))",
                [],
                |row| row.get(0),
            )
            .unwrap();
        if !open {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.terminate(), Some(0));
    let (ours, expected) = (
        dump(&database_in(killed.path())),
        dump(&database_in(peace.path())),
    );
    assert_eq!(ours.len(), expected.len());
    assert!(ours == expected, "the rows differ");
    assert_eq!(books::check(&conn).unwrap(), []);
}

/// Books of the version before there were settlements: its schema, and rows that it wrote.
#[tokio::test]
async fn books_of_before_get_their_movements_at_the_first_settlement() {
    let (dir, newest) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Store::open(newest.path(), Clock::default())
        .unwrap()
        .close()
        .await;
    let conn = Connection::open(database_in(dir.path())).unwrap();
    conn.execute_batch(include_str!("../../migrations/V1__books.sql"))
        .unwrap();
    conn.execute_batch(&format!(
        "attach '{}' as newest;
         create table refinery_schema_history (version int4 primary key, name varchar(255), applied_on varchar(255),
                                               checksum varchar(255));
         insert into refinery_schema_history select * from newest.refinery_schema_history where version = 1;
         detach newest;",
        database_in(newest.path()).display()
    ))
    .unwrap();
    let today = KstDay::of(Clock::default().now());
    let days: Vec<i64> = (0..4)
        .map(|n| today.plus_days(n - 4).start().as_millisecond() + 1_000)
        .collect();
    let (paid, gone, later) = (days[0], days[1], days[2]);
    conn.execute_batch(&format!(
        r#"
        insert into partner (id, name, created_at) values ('farm', 'farm', 0), ('bakery', 'bakery', 0), ('house', 'house', 0);
        insert into merchant_order (merchant_uid, name, amount, created_at) values ('ord-1', 'apples', 13000, {paid});
        insert into order_line values ('ord-1', 1, 'farm', 'apple', 1, 10000, 1000, 9000),
                                      ('ord-1', 2, 'bakery', 'bread', 1, 4000, 0, 4000);
        insert into payment (id, imp_uid, merchant_uid, status, amount, cancelled, wish, hold, test, method, about, at, paid_at,
                             created_at, updated_at)
          values (1, 'imp_1', 'ord-1', 'PARTIAL_CANCELED', 13000, 1300, null, null, 0, 'card', '{{}}', {paid}, {paid}, {paid}, {gone}),
                 (2, 'imp_2', 'nobody', 'CANCELED', 5000, 5000, null, null, 0, 'card', '{{}}', {paid}, {paid}, {paid}, {later}),
                 (3, 'imp_3', 'ord-1', 'PAID', 13000, 0, null, '{{"reason":"already_paid","by":"imp_1"}}', 0, 'card', '{{}}', {later}, {later}, {later}, {later}),
                 (4, 'imp_4', 'none', 'FAILED', 7000, 0, null, null, 0, 'card', '{{}}', {later}, null, {later}, {later});
        insert into payment_partner (partner_id, at, payment_id) values ('farm', {paid}, 1), ('bakery', {paid}, 1),
          ('house', {paid}, 2), ('farm', {later}, 3), ('house', {later}, 4);
        insert into event (payment_id, at, kind, actor, to_status, detail)
          select id, at, 'first_heard', 'webhook', status, '{{}}' from payment;
        insert into cancellation (id, payment_id, state, amount, checksum, reason, requested_by, requested_at, finished_at, gateway_key)
          values ('c1', 1, 'DONE', 1300, 13000, 'x', 'api', {paid}, {gone}, 'k1'),
                 ('c2', 2, 'DONE', 5000, 5000, 'x', 'elsewhere', {gone}, {later}, 'k2');
        "#
    ))
    .unwrap();
    drop(conn);
    let ctx = context(dir.path()).await;
    let conn = Connection::open(database_in(dir.path())).unwrap();
    assert_eq!(
        books::check(&conn).unwrap(),
        [],
        "while movements are missing"
    );
    for id in ["farm", "bakery", "house"] {
        let terms = ten_percent();
        let from = today.plus_days(-30);
        agree(&ctx, PartnerId::new(id).unwrap(), from, terms, "api")
            .await
            .unwrap();
    }
    let reports = settle_until(&ctx, today, "schedule").await.unwrap();
    assert_eq!(reports.len(), 4);
    let net = |partner: &str, at: i64| {
        let day = KstDay::of(jiff::Timestamp::from_millisecond(at).unwrap()).to_string();
        conn.query_row(
            "select net - carried_in from settlement where partner_id = ?1 and day = ?2",
            (partner, day),
            |row| row.get::<_, i64>(0),
        )
        .unwrap()
    };
    // 1,300 of 13,000: 900 of the apples, 400 of the bread.
    assert_eq!((net("farm", paid), net("farm", gone)), (8_900, -890));
    assert_eq!((net("bakery", paid), net("bakery", gone)), (3_560, -356));
    assert_eq!((net("house", paid), net("house", gone)), (4_450, -4_450));
    let missing: bool = conn
        .query_row(
            "select exists (select 1 from setting where key like 'movements%')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(!missing, "caught up");
    ctx.store.close().await;
    assert_eq!(books::check(&conn).unwrap(), []);
}
