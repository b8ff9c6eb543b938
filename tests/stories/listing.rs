//! Lists: every filter, every page once, nothing that a filter could break into, no table scanned.

use jeongsan::{
    sandbox::{Buyer, NewPayment, Status},
    store::payment_lists::{self, Filter},
};
use serde_json::json;

use crate::support::{TestApp, read};

async fn shop() -> (TestApp, Vec<String>) {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    // 2026-08-06T14:59:59Z is the last second of 6 August in Seoul.
    let midnight = 1_786_028_400;
    for n in 0..60i64 {
        let order = format!("ord-{n}");
        if n % 3 == 0 {
            let body = json!({ "merchant_uid": order, "lines": [
                { "partner": format!("partner-{}", n % 2), "name": "사과", "quantity": 1, "unit_price": 1_000 + n }] });
            assert_eq!(app.post("/api/orders", &body).await.status(), 201);
        }
        let imp_uid = app.charge_as(NewPayment {
            merchant_uid: order.clone(),
            amount: 1_000 + n,
            name: if n % 2 == 0 {
                "햇사과 5kg".into()
            } else {
                "Green tea".into()
            },
            method: if n % 4 == 0 {
                "kakaopay".into()
            } else {
                "card".into()
            },
            status: if n % 10 == 9 {
                Status::Failed
            } else {
                Status::Paid
            },
            buyer: Buyer {
                name: Some(if n == 7 {
                    "남궁민수".into()
                } else {
                    "홍길동".into()
                }),
                tel: Some(format!("010-0000-{n:04}")),
                ..Buyer::default()
            },
            paid_at: Some(midnight - 30 + n),
            ..NewPayment::default()
        });
        app.webhook(&imp_uid, &order, "paid").await;
        ids.push(imp_uid);
    }
    (app, ids)
}

async fn all(app: &TestApp, query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let page = app
            .json(&format!("/api/payment/list?limit=7&{query}&after={after}"))
            .await;
        for row in page["payments"].as_array().unwrap() {
            found.push(row["imp_uid"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return found,
        }
    }
}

#[tokio::test]
async fn every_page_together_is_every_payment_once_newest_first() {
    let (app, ids) = shop().await;
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(all(&app, "").await, newest_first);
    for (query, count) in [
        ("status=FAILED", 6),
        ("status=PAID", 54),
        ("method=kakaopay", 15),
        ("method=kakaopay&status=PAID", 15),
        ("partner=partner-0", 10),
        ("partner=partner-0&method=kakaopay", 5),
        ("partner=nobody", 0),
        ("held=1", 0),
        ("from=2026-08-06&to=2026-08-06", 30),
        ("from=2026-08-07", 30),
        ("to=2026-08-05", 0),
        ("status=FAILED&from=2026-08-07&to=2026-08-07", 3),
    ] {
        assert_eq!(all(&app, query).await.len(), count, "{query}");
    }
    app.drain().await;
}

#[tokio::test]
async fn any_part_of_a_text_finds_it_indexed_or_not_yet() {
    let (app, ids) = shop().await;
    for filled in [false, true] {
        if filled {
            let store = &app.app().web.ctx.store;
            while store
                .write(|tx| jeongsan::store::search::fill(tx, 17))
                .await
                .unwrap()
                > 0
            {}
        }
        for (text, count) in [
            ("사과", 30),
            ("GREEN", 30),
            ("남궁민수", 1),
            ("궁", 1),
            ("010-0000-0042", 1),
            ("ord-59", 1),
            (ids[3].as_str(), 1),
            ("없는 말", 0),
            ("%", 0),
            ("_", 60),
            ("'; drop table payment; --", 0),
            ("\" OR \"1", 0),
            ("NEAR(a b)", 0),
        ] {
            let query = serde_urlencoded::to_string([("q", text)]).unwrap();
            assert_eq!(
                all(&app, &query).await.len(),
                count,
                "{text}, index filled: {filled}"
            );
        }
        assert_eq!(
            all(&app, "q=%EC%82%AC%EA%B3%BC&partner=partner-0")
                .await
                .len(),
            10
        );
        assert_eq!(
            all(&app, "q=%EC%82%AC%EA%B3%BC&status=FAILED").await.len(),
            0
        );
    }
    app.drain().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_nothing_breaks_in() {
    let (app, _) = shop().await;
    for query in [
        "status=PAYED",
        "from=yesterday",
        "to=2026-02-30",
        "limit=0",
        "limit=201",
        "limit=-1",
        "after=1%20or%201=1",
        "from=2026-08-07&to=2026-08-06",
    ] {
        let (code, problem) = read(app.get(&format!("/api/payment/list?{query}")).await).await;
        assert_eq!(
            (code, problem["type"].as_str()),
            (400, Some("urn:jeongsan:problem:invalid-filter")),
            "{query}"
        );
    }
    for evil in ["' or '1'='1", "\\", "\u{0}", "😀", "%00"] {
        for name in ["partner", "method", "q"] {
            let query = serde_urlencoded::to_string([(name, evil)]).unwrap();
            assert_eq!(all(&app, &query).await.len(), 0, "{name}={evil:?}");
        }
    }
    app.drain().await;
}

#[tokio::test]
async fn no_list_scans_a_table_or_sorts() {
    let (app, _) = shop().await;
    let conn = rusqlite::Connection::open(app.database()).unwrap();
    let day = || Some("2026-08-06".parse().unwrap());
    let status = Some(jeongsan::domain::payment::Status::Paid);
    let with = |f: fn(&mut Filter)| {
        let mut filter = Filter::default();
        f(&mut filter);
        filter
    };
    let mut filters = vec![
        Filter::default(),
        with(|f| f.held = true),
        with(|f| f.method = Some("card".into())),
        with(|f| f.partner = Some("partner-0".into())),
    ];
    for base in filters.clone() {
        filters.push(Filter {
            status,
            ..base.clone()
        });
        filters.push(Filter {
            from: day(),
            to: day(),
            ..base.clone()
        });
        filters.push(Filter {
            status,
            from: day(),
            to: day(),
            ..base
        });
    }
    for filter in filters {
        for after in [None, payment_lists::Cursor::parse("kzz-5")] {
            let plan = payment_lists::plan(&conn, &filter, after).unwrap();
            let bad = plan.iter().any(|step| {
                step.contains("TEMP B-TREE") || (step.contains("SCAN") && !step.contains("USING"))
            });
            assert!(!bad, "{filter:?}: {plan:#?}");
        }
    }
    app.drain().await;
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 9_000).await;
    let answer = app.get(&format!("/api/payment/{imp_uid}/events")).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut stream = answer;
    let mut heard = String::new();
    let listen = async {
        while !heard.contains("\"CANCELED\"") {
            heard.push_str(&String::from_utf8_lossy(
                &stream.chunk().await.unwrap().unwrap(),
            ));
        }
    };
    let act = app.cancel(&imp_uid, None);
    let both = async { tokio::join!(listen, act) };
    tokio::time::timeout(std::time::Duration::from_secs(30), both)
        .await
        .unwrap();
    assert!(
        heard.contains("\"PAID\"") && heard.contains("\"CANCEL_REQUESTED\""),
        "{heard}"
    );
}
