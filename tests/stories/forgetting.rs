//! Buyers whose time is over: who they were goes, what was paid stays.

use std::time::Duration;

use jeongsan::{
    domain::job::Job,
    flow::dead_letters::discard,
    sandbox::{Buyer, Fault, Kind, NewPayment, Status, Target},
    store::{
        StoreError,
        acting::{self, Acting},
        jobs::{self, Terms},
    },
};
use rusqlite::Connection;
use serde_json::json;

use crate::support::{TOKEN, TestApp, read};

const DAY: Duration = Duration::from_secs(86_400);
const KEEP: [(&str, &str); 1] = [("privacy.keep", "365d")];
const NAME: &str = "카나리아홍";
/// Whatever says who the buyer is, as it may stand in a file.
const WHO: [&str; 5] = [
    NAME,
    "010-7777-1234",
    "01077771234",
    "canary@example.com",
    "canary-customer",
];

fn charge(app: &TestApp, order: &str, won: i64) -> String {
    begun(app, order, won, Status::Paid)
}

fn begun(app: &TestApp, order: &str, won: i64, status: Status) -> String {
    let buyer = Buyer {
        name: Some(NAME.into()),
        email: Some("canary@example.com".into()),
        tel: Some("010-7777-1234".into()),
        ..Default::default()
    };
    app.charge_as(NewPayment {
        merchant_uid: order.into(),
        amount: won,
        name: "햇사과 5kg".into(),
        status,
        buyer,
        ..NewPayment::default()
    })
}

/// An order of the buyer, paid.
async fn bought(app: &TestApp, order: &str, won: i64) -> String {
    let body = json!({ "merchant_uid": order, "buyer": "canary-customer", "lines":
        [{ "partner": "farm", "name": "햇사과 5kg", "quantity": 1, "unit_price": won }] });
    let request = app.http.post(app.url("/api/orders")).bearer_auth(TOKEN);
    let answer = request
        .header("idempotency-key", format!("key-{order}"))
        .json(&body);
    assert_eq!(answer.send().await.unwrap().status(), 201);
    let imp_uid = charge(app, order, won);
    assert_eq!(app.webhook(&imp_uid, order, "paid").await.status(), 200);
    imp_uid
}

async fn cancel(app: &TestApp, imp_uid: &str, amount: i64) -> u16 {
    let body = json!({ "amount": amount, "reason": "카나리아홍님 요청: 010-7777-1234로 연락" });
    let path = format!("/api/payment/{imp_uid}/cancel");
    app.post(&path, &body).await.status().as_u16()
}

fn pass(app: &TestApp, days: u32) {
    app.clock.advance(DAY * days);
    app.portone.advance(DAY * days).unwrap();
}

/// What runs at night.
async fn night(app: &TestApp) {
    let store = &app.app().web.ctx.store;
    let until = store.now();
    let terms = Terms {
        max_attempts: 1,
        run_at: None,
    };
    store
        .write(move |tx| jobs::publish(tx, &Job::Prune { until }, terms))
        .await
        .unwrap();
    app.drain().await;
    let broken = "select count(*) from job where kind = 'prune' and state <> 'done'";
    assert_eq!(app.sql::<i64>(broken), 0);
}

/// What of it stands in the file, once nothing but what is in the books does.
async fn in_file(app: &mut TestApp) -> Vec<&'static str> {
    app.shut_down().await;
    let conn = Connection::open(app.database()).unwrap();
    conn.execute_batch("vacuum").unwrap();
    drop(conn);
    let file = std::fs::read(app.database()).unwrap();
    let holds = |text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
    let found = WHO.into_iter().filter(|text| holds(text)).collect();
    app.boot().await;
    found
}

/// Waits until the search knows all payments.
async fn searched(app: &TestApp) {
    let store = &app.app().web.ctx.store;
    while store
        .write(|tx| jeongsan::store::search::fill(tx, 100))
        .await
        .unwrap()
        > 0
    {}
}

/// The one payment, as a list has it.
async fn row(app: &TestApp) -> serde_json::Value {
    app.json("/api/payment/list").await["payments"][0].clone()
}

async fn found(app: &TestApp, text: &str) -> usize {
    let (code, list) = read(app.get(&format!("/api/payment/list?q={text}")).await).await;
    assert_eq!(code, 200, "{list}");
    list["payments"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_buyer_is_forgotten_to_the_last_byte_and_every_won_stays() {
    let mut app = TestApp::with(&KEEP, false).await;
    let imp_uid = bought(&app, "ord-1", 12_000).await;
    app.portone.fault(
        Fault::new(
            Target::Cancel,
            Kind::Status {
                status: 503,
                retry_after: None,
            },
        )
        .times(2),
    );
    assert_eq!(cancel(&app, &imp_uid, 2_000).await, 202, "it is retried");
    app.drain().await;
    app.portone
        .cancel_at_console(&imp_uid, Some(1_000), "카나리아홍님이 전화함")
        .unwrap();
    app.webhook(&imp_uid, "ord-1", "cancelled").await;
    app.drain().await;
    let refused = json!({ "merchant_uid": "ord-9", "buyer": "canary-customer", "lines": [] });
    let refuse = async |app: &TestApp| {
        let request = app.http.post(app.url("/api/orders")).bearer_auth(TOKEN);
        read(
            request
                .header("idempotency-key", "key-9")
                .json(&refused)
                .send()
                .await
                .unwrap(),
        )
        .await
    };
    let (code, why) = refuse(&app).await;
    assert_eq!(code, 422, "{why}");
    searched(&app).await;
    assert_eq!(found(&app, NAME).await, 1);
    assert_eq!(found(&app, "010-7777-1234").await, 1);
    assert_eq!(in_file(&mut app).await, WHO);
    let before = row(&app).await;

    // The time is not over, nor that since the last cancel.
    pass(&app, 364);
    night(&app).await;
    assert_eq!(row(&app).await["buyer_name"], NAME);
    let known = app.sql::<i64>("select count(*) from payment where forgotten_at is null");
    assert_eq!(known, 1);

    pass(&app, 2);
    night(&app).await;
    let after = row(&app).await;
    for gone in ["buyer_name", "buyer_tel", "buyer_email"] {
        assert_eq!(after[gone], "", "{gone}");
    }
    for stays in [
        "status",
        "amount",
        "cancelled_amount",
        "balance",
        "name",
        "at",
        "paid_at",
        "updated_at",
    ] {
        assert_eq!(after[stays], before[stays], "{stays}");
    }
    assert_eq!(after["status"], "PARTIAL_CANCELED");
    assert_eq!(found(&app, NAME).await, 0);
    assert_eq!(found(&app, "010-7777-1234").await, 0);
    assert_eq!(found(&app, "1234").await, 0);
    assert_eq!(found(&app, "ord-1").await, 1);
    let (code, page) = read(app.get(&format!("/payment/{imp_uid}")).await).await;
    let page = page.to_string();
    assert!(
        code == 200 && page.contains("보관 기간이 지나 구매자의"),
        "{page}"
    );
    assert!(
        page.contains("2,000") && page.contains("1,000"),
        "what went back is still told"
    );
    assert_eq!(in_file(&mut app).await, Vec::<&str>::new());
    // What went back elsewhere is told as it was, but for the words.
    let entries: String = app.sql(
        "select detail ->> '$.entries' from event where kind = 'cancelled_elsewhere' and json_type(detail, '$.entries') = 'array'",
    );
    let entries: serde_json::Value = serde_json::from_str(&entries).unwrap();
    assert_eq!(entries[0]["amount"], 1_000, "{entries}");
    assert!(
        entries[0]["elsewhere"].is_string() && entries[0]["reason"].is_null(),
        "{entries}"
    );
    let words = "select group_concat(reason || coalesce(note, ''), '') from cancellation";
    assert_eq!(app.sql::<String>(words), "");
    // Who did what, and why, is on record without telling of whom.
    let noted: String =
        app.sql("select after ->> '$.reason' from audit where act = 'payment.cancel_requested'");
    assert_eq!(noted, "카***홍님 요청: ***-****-1234로 연락");

    // Once is enough, and the same wish is not carried out anew.
    night(&app).await;
    let told = "select count(*) from event where kind = 'buyer_forgotten'";
    assert_eq!(app.sql::<i64>(told), 1);
    let again = json!({ "merchant_uid": "ord-1", "buyer": "canary-customer", "lines":
        [{ "partner": "farm", "name": "햇사과 5kg", "quantity": 1, "unit_price": 12_000 }] });
    let request = app.http.post(app.url("/api/orders")).bearer_auth(TOKEN);
    let answer = request.header("idempotency-key", "key-ord-1").json(&again);
    let answer = answer.send().await.unwrap();
    assert!(answer.headers().contains_key("idempotency-replayed"));
    assert_eq!(answer.status(), 201);
    let buyer: Option<String> = app.sql("select buyer from merchant_order");
    assert_eq!(buyer, None);
    let (code, gone) = refuse(&app).await;
    let kind = "urn:jeongsan:problem:idempotency-refused-before";
    assert_eq!((code, gone["type"].as_str()), (422, Some(kind)), "{gone}");
    // Under another key, too, the order is the one that there is; with other contents it is not.
    let (code, same) = read(app.post("/api/orders", &again).await).await;
    assert_eq!(code, 200, "{same}");
    let other = json!({ "merchant_uid": "ord-1", "buyer": "canary-customer", "lines":
        [{ "partner": "farm", "name": "햇사과 5kg", "quantity": 1, "unit_price": 12_001 }] });
    assert_eq!(app.post("/api/orders", &other).await.status(), 409);
}

#[tokio::test]
async fn reading_portone_again_brings_nobody_back() {
    let app = TestApp::with(&KEEP, false).await;
    let imp_uid = bought(&app, "ord-1", 12_000).await;
    pass(&app, 366);
    night(&app).await;
    let name = || app.sql::<String>("select about ->> '$.buyer_name' from payment");
    assert_eq!(name(), "");
    app.webhook(&imp_uid, "ord-1", "paid").await;
    app.drain().await;
    assert_eq!(name(), "");

    // Who cancels it brings it back to life: what was said then is needed for as long, and then goes as well.
    assert_eq!(cancel(&app, &imp_uid, 2_000).await, 200);
    let reasons = || app.sql::<String>("select group_concat(reason) from cancellation");
    pass(&app, 364);
    night(&app).await;
    assert!(reasons().contains("카나리아"));
    pass(&app, 2);
    night(&app).await;
    assert_eq!((reasons(), name()), (String::new(), String::new()));
    // Whose name may be in the words nobody could tell any more.
    let noted: String =
        app.sql("select after ->> '$.reason' from audit where act = 'payment.cancel_requested'");
    assert_eq!(noted, "…");
}

#[tokio::test]
async fn what_is_not_settled_with_keeps_its_buyer_until_it_is() {
    let app = TestApp::with(&KEEP, false).await;
    let (dead, held) = (
        bought(&app, "ord-1", 12_000).await,
        bought(&app, "ord-2", 9_000).await,
    );
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
    assert_eq!(cancel(&app, &dead, 2_000).await, 409);
    let other = charge(&app, "ord-2", 9_000);
    app.webhook(&other, "ord-2", "paid").await;
    // A window that was left, and held for its sum: there is nothing to settle.
    let left = begun(&app, "ord-1", 1, Status::Ready);
    app.webhook(&left, "ord-1", "ready").await;
    app.drain().await;
    assert_eq!(
        app.sql::<i64>("select count(*) from payment where hold is not null"),
        2
    );
    pass(&app, 366);
    night(&app).await;
    let known = || {
        app.sql::<String>(
            "select group_concat(imp_uid, ' ') from (select imp_uid from payment
              where forgotten_at is null and about ->> '$.buyer_name' <> '' order by id)",
        )
    };
    assert_eq!(known(), format!("{dead} {other}"));
    let orders = "select group_concat(merchant_uid, ' ') from (select * from merchant_order order by 1) where buyer is not null";
    assert_eq!(app.sql::<String>(orders), "ord-1 ord-2");
    assert_ne!(held, other);

    let [letter] = app.dead()[..] else {
        panic!("{:?}", app.dead())
    };
    let ctx = &app.app().web.ctx;
    // Somebody cancelled it in PortOne's console meanwhile, and said for whom.
    app.portone
        .cancel_at_console(&dead, Some(1_000), "카나리아홍님 010-7777-1234")
        .unwrap();
    let acting = Acting {
        by: "@minji",
        origin: "terminal".into(),
        once: None,
    };
    let why = "카나리아홍님이 010-7777-1234에서 전화함";
    acting::scope(acting, discard(ctx, letter, why.into(), "@minji"))
        .await
        .unwrap();
    app.portone.cancel_at_console(&other, None, "중복").unwrap();
    app.webhook(&other, "ord-2", "cancelled").await;
    app.drain().await;
    // For as long as after a payment.
    night(&app).await;
    let left = "select count(*) from payment where forgotten_at is null";
    assert_eq!(app.sql::<i64>(left), 2);
    pass(&app, 366);
    night(&app).await;
    assert_eq!(app.sql::<i64>(left), 0);
    let notes = "select count(*) from event where detail like '%카나리아%'";
    assert_eq!(app.sql::<i64>(notes), 0);
    let named = "select count(*) from audit where coalesce(after, '') like '%카나리아%' or after like '%7777%'";
    assert_eq!(app.sql::<i64>(named), 0);
    let entries = "select count(*) from audit where act = 'payment.cancelled_elsewhere' and after like '%카***홍%'";
    assert_eq!(app.sql::<i64>(entries), 1);
    let noted: String = app.sql(
        "select group_concat(after ->> '$.note', '; ') from audit where after ->> '$.note' <> ''",
    );
    let masked = "카***홍님이 ***-****-1234에서 전화함";
    assert_eq!(noted, format!("{masked}; {masked}"));
}

#[tokio::test]
async fn nothing_else_of_what_happened_can_be_changed() {
    let app = TestApp::with(&KEEP, false).await;
    let old = bought(&app, "ord-1", 12_000).await;
    assert_eq!(cancel(&app, &old, 2_000).await, 200);
    let write = async |sql: &'static str| {
        let store = &app.app().web.ctx.store;
        let done = store
            .write(move |tx| Ok::<_, StoreError>(tx.conn().execute(sql, [])?))
            .await;
        match done {
            Ok(_) => "done".to_owned(),
            Err(StoreError::Rule(name)) => name,
            Err(other) => panic!("{sql}: {other}"),
        }
    };
    let words = "update event set detail = json_remove(detail, '$.reason', '$.note') where kind = 'cancel_requested'";
    assert_eq!(
        write(words).await,
        "event_is_never_changed",
        "before its time"
    );
    pass(&app, 366);
    night(&app).await;
    for sql in [
        "update event set detail = json_set(detail, '$.amount', 1)",
        "update event set detail = '{}' where kind = 'cancel_requested'",
        "update event set at = at + 1",
        "update event set actor = 'x'",
        "update event set to_status = 'PAID'",
        "update event set detail = json_set(detail, '$.entries', '[]') where json_type(detail, '$.entries') = 'array'",
    ] {
        assert_eq!(write(sql).await, "event_is_never_changed", "{sql}");
    }
    let names = "update payment set about = json_set(about, '$.buyer_name', 'x'), forgotten_at = 1";
    assert_eq!(write(names).await, "payment_forgotten_names_nobody");
    for sql in [
        "update asked_once set body = x'00'",
        "update asked_once set status = 200",
        "update asked_once set key = 'x'",
    ] {
        assert_eq!(write(sql).await, "asked_once_is_answered_once", "{sql}");
    }
}

#[tokio::test]
async fn without_the_setting_nobody_is_forgotten_and_a_short_time_is_no_setting() {
    let app = TestApp::start().await;
    bought(&app, "ord-1", 12_000).await;
    pass(&app, 3_000);
    night(&app).await;
    assert_eq!(
        app.sql::<String>("select about ->> '$.buyer_name' from payment"),
        NAME
    );
    let read = |keep: &str| {
        let set = [
            ("data.dir", app.dir().display().to_string()),
            ("portone.imp_key", "k".to_owned()),
            ("portone.imp_secret", "s".to_owned()),
            ("privacy.keep", keep.to_owned()),
        ];
        jeongsan::config::Config::load(None, [], &set)
    };
    for wrong in ["364d", "0s", "5m", "5", "soon", "11y", "99999d"] {
        let text = read(wrong).unwrap_err().to_string();
        assert!(
            text.contains("privacy.keep") && text.contains("such as 5y"),
            "{wrong}: {text}"
        );
    }
    for fits in ["1y", "365d", "5y", "1826d", "10y"] {
        let keep = read(fits).unwrap().policy.keep_buyers;
        assert!(keep.is_some(), "{fits}");
    }
}
