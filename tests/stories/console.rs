//! The console's home, its search, and what each person keeps for the lists.

use std::future::Future;

use jeongsan::{
    domain::{account::Role, calendar::KstDay, money::Won},
    sandbox::{Buyer, Fault, Kind, NewPayment, Status, Target},
    store::{
        figures, preferences,
        search::{self, fill},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

use crate::{
    people::{self, Visitor},
    support::TestApp,
};

async fn visitor(app: &TestApp, name: &str, role: Role) -> Visitor {
    let store = &app.app().web.ctx.store;
    Visitor::signed_in(store, &app.url(""), name, role).await
}

async fn page(visitor: &Visitor, path: &str) -> String {
    let (status, text) = visitor.text(path).await;
    assert_eq!(status, 200, "{path}: {text}");
    text
}

fn encoded(text: &str) -> String {
    serde_urlencoded::to_string([("q", text)]).unwrap()
}

/// The addresses to which the lines of the home's first part lead, with the count that each says.
fn lines(home: &str) -> Vec<(String, i64)> {
    let part = home.split("id=\"attention\"").nth(1).unwrap();
    let part = part.split("</section>").next().unwrap();
    part.split("<a ")
        .skip(1)
        .map(|line| {
            let href = line.split("href=\"").nth(1).unwrap();
            let href = href.split('"').next().unwrap().replace("&amp;", "&");
            let count = line.split("<strong>").nth(1).map_or("1", |text| {
                text.split(|c: char| !c.is_ascii_digit()).next().unwrap()
            });
            (href, count.parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn the_home_says_what_waits_and_each_line_leads_to_exactly_those_rows() {
    let mut app = TestApp::start().await;
    app.jobs_may_wait = true;
    let owner = visitor(&app, "minji", Role::Owner).await;
    let calm = page(&owner, "/admin").await;
    assert!(
        lines(&calm).is_empty() && calm.contains("오늘 처리할 일이 없습니다"),
        "{calm}"
    );

    // Two payments of another amount than their order's, one that pays an order again.
    for n in 0..2 {
        let order = format!("held-{n}");
        let body = json!({ "merchant_uid": order, "lines": [
            { "partner": "farm", "name": "사과", "quantity": 1, "unit_price": 12_000 }] });
        assert_eq!(app.post("/api/orders", &body).await.status(), 201);
        let imp_uid = app.charge(&order, 9_000);
        app.webhook(&imp_uid, &order, "paid").await;
    }
    let body = json!({ "merchant_uid": "twice", "lines": [
        { "partner": "farm", "name": "사과", "quantity": 1, "unit_price": 5_000 }] });
    assert_eq!(app.post("/api/orders", &body).await.status(), 201);
    app.paid("twice", 5_000).await;
    let again = app.charge("twice", 5_000);
    app.webhook(&again, "twice", "paid").await;
    // A cancel that PortOne refuses for good, and one of which nobody knows how it ended.
    let refused = app.paid("refused", 7_000).await;
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
    app.cancel(&refused, None).await;
    app.drain().await;
    assert_eq!(app.dead().len(), 1);
    let unknown = app.paid("unknown", 3_000).await;
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::DoThenDrop).times(1));
    app.portone.fault(Fault::new(Target::Get, Kind::Drop));
    app.cancel(&unknown, None).await;
    app.portone.clear_faults();

    let home = page(&owner, "/admin").await;
    let mut found = lines(&home);
    found.sort();
    let expected = [
        ("/admin/dead-letters?kind=retry_cancel", 1),
        ("/payment/mypage?hold=ALREADY_PAID", 1),
        ("/payment/mypage?hold=AMOUNT_DIFFERS", 2),
        ("/payment/mypage?unknown=1", 1),
    ]
    .map(|(path, count)| (path.to_owned(), count));
    assert_eq!(found, expected, "{home}");
    assert!(
        home.contains("₩18,000") && home.contains("₩7,000"),
        "{home}"
    );
    for (path, count) in found {
        let list = page(&owner, &path).await;
        let rows = match path.starts_with("/payment") {
            true => list.matches("data-payment=").count(),
            false => usize::from(list.contains("₩7,000") && !list.contains("₩3,000")),
        };
        assert_eq!(rows as i64, count, "{path}: {list}");
    }
    let part = page(&owner, "/admin/attention").await;
    assert!(
        part.starts_with("<section") && lines(&part).len() == 4,
        "{part}"
    );

    // Who may not see jobs is told nothing of them; who may not see payments is not let in.
    let store = &app.app().web.ctx.store;
    people::add(store, "nongjang", Role::Partner, Some("farm")).await;
    let mut partner = Visitor::new(&app.url(""));
    partner.sign_in("nongjang", people::PASSWORD, "/").await;
    for path in [
        "/admin",
        "/admin/attention",
        "/admin/search?q=%EC%82%AC%EA%B3%BC",
        "/admin/search/suggest?q=farm",
    ] {
        assert_eq!(partner.get(path).await.status(), 403, "{path}");
    }
    let nobody = Visitor::new(&app.url(""));
    assert_eq!(nobody.get("/admin").await.status(), 303);

    // What the kinds' pause and an open alert say.
    let sent = owner
        .post(
            "/admin/jobs/kinds/sweep/pause",
            &[("note", "점검"), ("sure", "1")],
        )
        .await;
    assert!(sent.status().is_redirection(), "{}", sent.status());
    let home = page(&owner, "/admin").await;
    assert!(home.contains("/admin/jobs?kind=sweep"), "{home}");
    app.drain().await;
    let home = page(&owner, "/admin").await;
    assert!(!home.contains("unknown=1"), "the retry found out: {home}");
}

#[tokio::test]
async fn settlements_that_wait_are_told_to_who_may_pay() {
    let app = TestApp::start().await;
    let today = KstDay::of(app.clock.now());
    let yesterday = today.previous();
    let conn = rusqlite::Connection::open(app.database()).unwrap();
    conn.execute_batch(&format!(
        "insert into partner (id, name, created_at) values ('farm', '농장', 0), ('bakery', '빵집', 0), ('tea', '찻집', 0);
         insert into settlement_day (day, closed_at, finished_at) values ('{yesterday}', 1, 1);
         insert into settlement (partner_id, day, state, hold, payout_day, lines, orders, cancels, sales, returned,
                order_amount, discount, fee, fee_vat, additional, additional_vat, discount_share, payment_vat,
                adjustment, net, created_at, updated_at)
         values ('farm', '{yesterday}', 'REQUESTED', null, '{today}', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8900, 8900, 1, 1),
                ('bakery', '{yesterday}', 'REQUESTED', '계좌 확인', '{today}', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 500, 500, 1, 1),
                ('tea', '{yesterday}', 'REQUESTED', null, null, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 70, 70, 1, 1);"
    ))
    .unwrap();
    let owner = visitor(&app, "minji", Role::Owner).await;
    let home = page(&owner, "/admin").await;
    let due = format!("/admin/payouts/new?until={today}");
    assert_eq!(
        lines(&home),
        [(due.clone(), 1), ("/admin/settlements?held=1".into(), 1)],
        "{home}"
    );
    // The shop itself is never paid out: what it earned is owed to nobody.
    assert!(
        home.contains("₩8,900") && home.contains("₩9,400") && !home.contains("₩9,470"),
        "{home}"
    );
    let held = page(&owner, "/admin/settlements?held=1").await;
    assert!(
        held.contains("빵집") && !held.contains("/admin/settlements/1\""),
        "{held}"
    );
    let viewer = visitor(&app, "boram", Role::Viewer).await;
    let seen = page(&viewer, "/admin").await;
    assert!(!seen.contains(&due) && seen.contains("held=1"), "{seen}");
    // Made by hand: no movement stands behind them.
    conn.execute_batch("delete from settlement; delete from settlement_day")
        .unwrap();
}

/// Every payment's won is in the figures of its hour, whatever becomes of it and in whatever order.
#[tokio::test]
async fn figures_are_the_sums_of_what_happened() {
    for seed in 0..3 {
        let app = TestApp::start().await;
        let mut dice = StdRng::seed_from_u64(seed);
        let (mut paid, mut cancelled, mut failed) = (0, 0, 0);
        for n in 0..25 {
            let order = format!("ord-{n}");
            let amount = dice.random_range(1_000..50_000);
            let fails = dice.random_bool(0.2);
            if dice.random_bool(0.4) {
                let body = json!({ "merchant_uid": order, "lines": [
                    { "partner": "farm", "name": "사과", "quantity": 1, "unit_price": amount }] });
                assert_eq!(app.post("/api/orders", &body).await.status(), 201);
            }
            let imp_uid = app.charge_as(NewPayment {
                merchant_uid: order.clone(),
                amount,
                name: "사과".into(),
                status: if fails { Status::Failed } else { Status::Paid },
                ..NewPayment::default()
            });
            for _ in 0..dice.random_range(1..3) {
                app.webhook(&imp_uid, &order, "paid").await;
            }
            if fails {
                failed += 1;
                continue;
            }
            paid += amount;
            let mut left = amount;
            while left > 0 && dice.random_bool(0.4) {
                let part = dice.random_range(1..=left);
                if dice.random_bool(0.5) {
                    let answer = app.cancel(&imp_uid, Some(part)).await;
                    assert!(answer.status().is_success(), "{}", answer.status());
                } else {
                    app.portone
                        .cancel_at_console(&imp_uid, Some(part), "콘솔")
                        .unwrap();
                    app.webhook(&imp_uid, &order, "cancelled").await;
                }
                (left, cancelled) = (left - part, cancelled + part);
            }
        }
        app.drain().await;
        let store = &app.app().web.ctx.store;
        let today = KstDay::of(store.now());
        let days = store
            .read(|conn| figures::by_day(conn, today.previous(), today))
            .unwrap();
        let sums = figures::Sums::sum(days.iter().map(|(_, sums)| sums)).unwrap();
        assert_eq!(
            (sums.paid_won, sums.cancelled_won, sums.failed),
            (Won::new(paid), Won::new(cancelled), failed),
            "seed {seed}"
        );
        assert_eq!(sums.net().unwrap(), Won::new(paid - cancelled));
        let orders: i64 = app.sql("select count(*) from merchant_order");
        assert_eq!(sums.orders, orders);
        let owner = visitor(&app, "minji", Role::Owner).await;
        let home = page(&owner, "/admin").await;
        assert_eq!(home.matches("role=\"img\"").count(), 3, "{home}");
        assert!(!home.contains(" style=") && !home.contains("NaN"));
        assert!(home.len() < 45_000, "{} bytes", home.len());
    }
}

/// A shop with names that tell apart what a search must tell apart.
async fn shop() -> TestApp {
    let app = TestApp::start().await;
    for (n, (buyer, goods, amount)) in [
        ("홍길동", "햇사과 5kg", 12_000),
        ("한갑돌", "꿀사과", 12_500),
        ("남궁민수", "Green tea", 12_000),
        ("<b>굵은</b>", "<script>alert(1)</script>", 700),
    ]
    .into_iter()
    .enumerate()
    {
        let order = format!("ORD-{n}");
        let imp_uid = app.charge_as(NewPayment {
            merchant_uid: order.clone(),
            amount,
            name: goods.into(),
            buyer: Buyer {
                name: Some(buyer.into()),
                tel: Some(format!("010-4321-765{n}")),
                email: Some(format!("buyer{n}@example.com")),
                ..Buyer::default()
            },
            ..NewPayment::default()
        });
        app.webhook(&imp_uid, &order, "paid").await;
    }
    let body = json!({ "merchant_uid": "WAIT-1", "lines": [
        { "partner": "farm", "name": "배", "quantity": 1, "unit_price": 3_000 }] });
    assert_eq!(app.post("/api/orders", &body).await.status(), 201);
    let conn = rusqlite::Connection::open(app.database()).unwrap();
    conn.execute_batch("update partner set name = '해맑은 농장' where id = 'farm'")
        .unwrap();
    app.drain().await;
    app
}

/// With the indexes empty, half full and full.
async fn at_every_filling<F: Future<Output = ()>>(app: &TestApp, check: impl Fn(usize) -> F) {
    let store = &app.app().web.ctx.store;
    check(0).await;
    store.write(|tx| fill(tx, 2)).await.unwrap();
    check(1).await;
    while store.write(|tx| fill(tx, 3)).await.unwrap() > 0 {}
    let left = store.read(search::behind);
    assert_eq!(left.unwrap(), 0);
    check(2).await;
}

#[tokio::test]
async fn a_search_finds_by_name_initials_number_and_amount() {
    let app = shop().await;
    let owner = visitor(&app, "minji", Role::Owner).await;
    let check = |filling: usize| {
        let (app, owner) = (&app, &owner);
        async move {
            for (text, orders) in [
                ("홍길동", &["ORD-0"][..]),
                ("ㅎㄱㄷ", &["ORD-0", "ORD-1"]),
                ("홍ㄱㄷ", &["ORD-0"]),
                ("ㄱ동", &["ORD-0"]),
                ("ㅅㄱ", &["ORD-0", "ORD-1"]),
                ("ㄲㅅㄱ", &["ORD-1"]),
                ("ㅅㄱ 5k", &["ORD-0"]),
                ("ㄴㄱㅁㅅ", &["ORD-2"]),
                ("ord-", &["ORD-0", "ORD-1", "ORD-2", "ORD-3"]),
                ("ORD-2", &["ORD-2"]),
                ("7651", &["ORD-1"]),
                ("01043217652", &["ORD-2"]),
                ("010 4321 7652", &["ORD-2"]),
                ("buyer2@", &["ORD-2"]),
                ("green TEA", &["ORD-2"]),
                ("ㅋㅋㅋ", &[]),
                ("없는 말", &[]),
            ] {
                let list = app
                    .json(&format!("/api/payment/list?{}", encoded(text)))
                    .await;
                let mut found: Vec<&str> = list["payments"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|row| row["merchant_uid"].as_str().unwrap())
                    .collect();
                found.sort_unstable();
                assert_eq!(found, orders, "{text}, filling {filling}");
                // The search over everything finds the same, masked.
                let text_of = page(owner, &format!("/admin/search?{}", encoded(text))).await;
                let hints = page(owner, &format!("/admin/search/suggest?{}", encoded(text))).await;
                for (n, order) in ["ORD-0", "ORD-1", "ORD-2", "ORD-3"].iter().enumerate() {
                    let imp_uid: String = app.sql(&format!(
                        "select imp_uid from payment where merchant_uid = '{order}'"
                    ));
                    let leads = text_of.contains(&format!("\"/payment/{imp_uid}\""));
                    assert_eq!(leads, orders.contains(order), "{text} {n}: {text_of}");
                }
                for secret in [
                    "홍길동",
                    "한갑돌",
                    "남궁민수",
                    "010-4321",
                    "buyer0@",
                    "<script>",
                ] {
                    let shown = text_of.replace(&format!(": {text}</h1>"), "");
                    let shown = shown.replace(&format!("value=\"{text}\""), "");
                    assert!(!shown.contains(secret), "{text} shows {secret}: {shown}");
                    assert!(!hints.contains(secret), "{text} hints at {secret}: {hints}");
                }
            }
        }
    };
    at_every_filling(&app, check).await;
}

#[tokio::test]
async fn a_search_groups_amounts_partners_orders_pages_and_the_wrong_keyboard() {
    let app = shop().await;
    let owner = visitor(&app, "minji", Role::Owner).await;
    let check = |filling: usize| {
        let owner = &owner;
        async move {
            for (text, parts, not) in [
                (
                    "12,000",
                    &["이 금액의 결제", "ORD-0", "ORD-2"][..],
                    &["ORD-1"][..],
                ),
                ("12000원", &["ORD-0", "ORD-2"], &["ORD-1"]),
                ("1만2천", &["ORD-0", "ORD-2"], &["ORD-1"]),
                ("ㅎㅁㅇ", &["/admin/partners/farm"], &["ORD-"]),
                ("농장", &["해맑은 농장"], &["ORD-"]),
                ("farm", &["/admin/partners/farm"], &[]),
                (
                    "WAIT",
                    &["결제되지 않은 주문", "/payment/orders/WAIT-1"],
                    &[],
                ),
                ("ㄷㄷㄹㅌ", &["/admin/dead-letters"], &["ORD-"]),
                (
                    "ghdrlfehd",
                    &["한글 자판으로 친 ‘홍길동’", "홍*동", "***-****-7650"],
                    &["ORD-1"],
                ),
                ("tkrhk", &["‘사과’", "ORD-0", "ORD-1"], &["ORD-2"]),
                ("1", &["/admin/jobs/1"], &[]),
            ] {
                let found = page(owner, &format!("/admin/search?{}", encoded(text))).await;
                for part in parts {
                    assert!(
                        found.contains(part),
                        "{text}, filling {filling}: {part} in {found}"
                    );
                }
                for part in not {
                    assert!(
                        !found.contains(part),
                        "{text}, filling {filling}: {part} in {found}"
                    );
                }
            }
        }
    };
    at_every_filling(&app, check).await;
    // A viewer finds no page that is not theirs.
    let viewer = visitor(&app, "boram", Role::Viewer).await;
    let found = page(
        &viewer,
        &format!("/admin/search?{}", encoded("새 지급 묶음")),
    )
    .await;
    assert!(!found.contains("/admin/payouts/new"), "{found}");
}

#[tokio::test]
async fn what_is_typed_into_a_search_breaks_nothing() {
    let app = shop().await;
    let owner = visitor(&app, "minji", Role::Owner).await;
    let before: i64 = app.sql("select count(*) from payment");
    let check = |filling: usize| {
        let owner = &owner;
        async move {
            for evil in [
                "' or '1'='1",
                "'; drop table payment; --",
                "\" OR \"1",
                "\" OR exact : w12000 OR \"",
                "NEAR(a b)",
                "initials : x",
                "exact:w12000",
                "t7651 OR t7650",
                "*",
                "^ㅎ",
                "ㅎ\"*",
                "\\",
                "%",
                "\u{0}",
                "\u{0}\u{1}",
                "😀😀",
                "<script>alert(1)</script>",
                "\"><img src=x onerror=alert(1)>",
                "#99999999999999999999",
                "P0-0",
                "-1",
                "9223372036854775807원",
                "ㅎ",
            ] {
                for path in [
                    "/admin/search?",
                    "/admin/search/suggest?",
                    "/payment/mypage?",
                    "/admin/partners?",
                ] {
                    let (status, text) = owner.text(&format!("{path}{}", encoded(evil))).await;
                    assert!(
                        status == 200 || status == 400,
                        "{path} {evil:?}, filling {filling}: {status} {text}"
                    );
                    for raw in ["<script>alert", "<img src=x"] {
                        assert!(!text.contains(raw), "{path} {evil:?}: {text}");
                    }
                    if evil != "%" && evil != "ㅎ" && path == "/payment/mypage?" {
                        let rows = text.matches("data-payment=").count();
                        let fits = usize::from(evil.starts_with("<script>") || evil == "-1");
                        assert_eq!(rows, fits, "{evil:?}, filling {filling}");
                    }
                }
            }
            let long = "가".repeat(101);
            let (status, _) = owner
                .text(&format!("/admin/search?{}", encoded(&long)))
                .await;
            assert_eq!(status, 400);
        }
    };
    at_every_filling(&app, check).await;
    assert_eq!(app.sql::<i64>("select count(*) from payment"), before);
}

#[tokio::test]
async fn a_kept_filter_is_its_owners_alone() {
    let app = shop().await;
    let minji = visitor(&app, "minji", Role::Owner).await;
    let boram = visitor(&app, "boram", Role::Viewer).await;
    let keep = |name: &'static str, query: &'static str| {
        [("list", "payments"), ("name", name), ("query", query)]
    };
    let answer = minji
        .post(
            "/admin/filters",
            &keep("카드 <b>", "status=PAID&q=ㅅㄱ&after=x-1"),
        )
        .await;
    assert_eq!(answer.status(), 303);
    let to = answer.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(to, "/payment/mypage?q=%E3%85%85%E3%84%B1&status=PAID");
    let mine = page(&minji, &to).await;
    assert!(
        mine.contains("카드 &lt;b&gt;") && mine.contains("aria-current=\"true\""),
        "{mine}"
    );
    assert_eq!(mine.matches("data-payment=").count(), 2);
    assert!(
        !page(&boram, "/payment/mypage")
            .await
            .contains("카드 &lt;b&gt;")
    );
    let id: i64 = app.sql("select id from saved_filter");

    // Another's is not found, and stays.
    let removed = boram
        .post(&format!("/admin/filters/{id}/remove"), &[])
        .await;
    assert_eq!(removed.status(), 404);
    assert_eq!(app.sql::<i64>("select count(*) from saved_filter"), 1);
    // The same name again replaces it, of the same person only.
    minji
        .post("/admin/filters", &keep("카드 <b>", "held=1"))
        .await;
    boram
        .post("/admin/filters", &keep("카드 <b>", "held=1"))
        .await;
    assert_eq!(app.sql::<i64>("select count(*) from saved_filter"), 2);
    assert_eq!(
        app.sql::<String>(&format!("select query from saved_filter where id = {id}")),
        "held=1"
    );

    for (list, name, query) in [
        ("nothing", "a", "held=1"),
        ("payments", "", "held=1"),
        ("payments", "  ", "held=1"),
        ("payments", "a", ""),
        ("payments", "a", "after=x-1"),
    ] {
        let form = [("list", list), ("name", name), ("query", query)];
        assert_eq!(
            minji.post("/admin/filters", &form).await.status(),
            400,
            "{list} {name} {query}"
        );
    }
    let (long, wide) = ("가".repeat(41), format!("q={}", "a".repeat(2_000)));
    for form in [
        [("list", "jobs"), ("name", long.as_str()), ("query", "q=a")],
        [("list", "jobs"), ("name", "a"), ("query", wide.as_str())],
    ] {
        assert_eq!(minji.post("/admin/filters", &form).await.status(), 400);
    }
    for n in 0..preferences::MOST + 2 {
        let name = format!("f{n}");
        let form = [
            ("list", "jobs"),
            ("name", name.as_str()),
            ("query", "kind=sweep"),
        ];
        let status = minji.post("/admin/filters", &form).await.status();
        assert_eq!(status == 303, n < preferences::MOST, "{n}: {status}");
    }
    for (list, path) in [
        ("settlements", "/admin/settlements?held=1"),
        ("dead-letters", "/admin/dead-letters?kind=sweep"),
        ("partners", "/admin/partners?q=farm"),
        ("audit", "/admin/audit?actor=%40minji"),
    ] {
        let query = path.split('?').nth(1).unwrap();
        let form = [("list", list), ("name", "내 것"), ("query", query)];
        assert_eq!(
            minji.post("/admin/filters", &form).await.headers()["location"],
            path
        );
        assert!(page(&minji, path).await.contains("★ 내 것"), "{path}");
    }
    let removed = minji
        .post(&format!("/admin/filters/{id}/remove"), &[])
        .await;
    assert_eq!(removed.headers()["location"], "/payment/mypage");
    assert!(
        !page(&minji, "/payment/mypage")
            .await
            .contains("카드 &lt;b&gt;")
    );
    // A program has nothing of its own.
    let answer = app.post("/admin/filters", &json!({})).await;
    assert!(answer.status().is_client_error());
}

#[tokio::test]
async fn chosen_columns_are_shown_to_who_chose_them() {
    let app = shop().await;
    let minji = visitor(&app, "minji", Role::Owner).await;
    let boram = visitor(&app, "boram", Role::Viewer).await;
    let form = [
        ("list", "payments"),
        ("query", "status=PAID"),
        ("c_imp_uid", "1"),
        ("c_state", "1"),
        ("c_evil", "1"),
    ];
    let answer = minji.post("/admin/columns", &form).await;
    assert_eq!(answer.headers()["location"], "/payment/mypage?status=PAID");
    let imp_uid: String = app.sql("select imp_uid from payment where merchant_uid = 'ORD-0'");
    let id = format!("<code>{imp_uid}</code>");
    let mine = page(&minji, "/payment/mypage").await;
    assert!(
        mine.contains(&id) && !mine.contains("₩12,000") && mine.contains("ORD-0"),
        "{mine}"
    );
    // A row that changes by itself keeps the columns of its table.
    let row = page(&minji, &format!("/payment/mypage/rows/{imp_uid}")).await;
    assert!(row.contains(&id) && !row.contains("₩12,000"), "{row}");
    let theirs = page(&boram, "/payment/mypage").await;
    assert!(!theirs.contains(&id) && theirs.contains("₩12,000"));
    assert_eq!(
        app.sql::<String>("select columns from column_choice"),
        "[\"state\",\"imp_uid\"]"
    );
    let form = [("list", "payments"), ("usual", "1")];
    minji.post("/admin/columns", &form).await;
    assert!(page(&minji, "/payment/mypage").await.contains("₩12,000"));
    assert_eq!(app.sql::<i64>("select count(*) from column_choice"), 0);
    let form = [("list", "settlements"), ("c_net", "1")];
    assert_eq!(
        minji.post("/admin/columns", &form).await.headers()["location"],
        "/admin/settlements"
    );
    for list in ["jobs", "nothing", ""] {
        let form = [("list", list), ("c_state", "1")];
        assert_eq!(
            minji.post("/admin/columns", &form).await.status(),
            400,
            "{list}"
        );
    }
}

#[tokio::test]
async fn who_is_signed_in_starts_at_home() {
    let app = TestApp::start().await;
    let nobody = Visitor::new(&app.url(""));
    assert_eq!(nobody.get("/").await.headers()["location"], "/payment");
    let minji = visitor(&app, "minji", Role::Owner).await;
    assert_eq!(minji.get("/").await.headers()["location"], "/admin");
    let home = page(&minji, "/admin").await;
    assert!(
        home.contains("action=\"/admin/search\"")
            && home.contains("href=\"/admin\" aria-current=\"page\""),
        "{home}"
    );
    // Without the header's script nothing is lost: the field is a form.
    assert!(home.contains("hx-get=\"/admin/search/suggest\""));
    let empty = page(&minji, "/admin/search").await;
    assert!(empty.contains("전화번호 뒤 네 자리"), "{empty}");
}
