//! The demo as its visitor finds it: weeks that were settled, and a night that can be watched.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use jeongsan::{
    demo::{self, DemoOptions},
    domain::calendar::KstDay,
    store::{Clock, Store, books, database_in},
    web::auth,
};
use rusqlite::Connection;
use secrecy::{ExposeSecret, SecretString};

use crate::node;

/// One number out of the demo's books.
fn count(books: &Connection, sql: &str) -> i64 {
    books.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Follows the links of the shop's pages, and of the pages that they lead to.
async fn every_link_leads_somewhere(shop: &str, dir: &std::path::Path) {
    const PAGES: usize = 400;
    let store = Store::open_beside(dir, Clock::default()).unwrap();
    let token = SecretString::from("a token that the demo's settings do not have");
    auth::keep_token(&store, Some(&token)).await.unwrap();
    store.close().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    // Breadth first: a page of each kind before the hundredth of one.
    let mut next: VecDeque<(String, String)> = [
        "/admin/settlements",
        "/admin/payouts",
        "/admin/partners",
        "/payment/mypage",
        "/admin/alerts",
        "/admin/inbox",
    ]
    .map(|path| (path.to_owned(), "the navigation".to_owned()))
    .into();
    while let Some((path, from)) = next.pop_front() {
        if seen.len() >= PAGES || !seen.insert(path.clone()) {
            continue;
        }
        let answer = http
            .get(format!("{shop}{path}"))
            .bearer_auth(token.expose_secret())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        if status == reqwest::StatusCode::TOO_MANY_REQUESTS {
            // A program waits when it is told to.
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            seen.remove(&path);
            next.push_front((path, from));
            continue;
        }
        assert!(status.is_success(), "{from} leads to {path}: {status}");
        let is_page = answer.headers()["content-type"]
            .to_str()
            .is_ok_and(|kind| kind.starts_with("text/html"));
        if !is_page {
            continue;
        }
        let text = answer.text().await.unwrap();
        for link in text.split("href=\"/").skip(1) {
            let link = link.split(['"', '#']).next().unwrap_or_default();
            let link = format!("/{}", link.replace("&amp;", "&"));
            if !link.starts_with("/lang") && !link.starts_with("/assets") && link != "/" {
                next.push_back((link, path.clone()));
            }
        }
    }
    for page in [
        "/admin/payouts/new",
        "/admin/calendar",
        "/admin/adjustments",
    ] {
        assert!(
            seen.iter().any(|path| path.starts_with(page)),
            "nothing leads to {page}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_settled_weeks_and_a_night_that_can_be_watched() {
    the_demo(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_is_the_same_on_rabbitmq() {
    the_demo(Some(node::url())).await;
    let url = node::url().into();
    jeongsan::adapters::broker::amqp::remove(&url, "jeongsan-demo")
        .await
        .unwrap();
}

async fn the_demo(broker: Option<String>) {
    let engine = if broker.is_some() { "amqp" } else { "embedded" };
    let dir = tempfile::tempdir().unwrap();
    let options = DemoOptions {
        port: 0,
        sandbox_port: 0,
        data_dir: dir.path().to_path_buf(),
        broker,
        ..DemoOptions::default()
    };
    let path = dir.path().to_path_buf();
    let look = async move {
        let books = Connection::open(database_in(&path)).unwrap();
        books.busy_timeout(Duration::from_secs(10)).unwrap();
        for (what, sql) in [
            (
                "paid",
                "select count(*) > 20 from settlement where state = 'COMPLETED' and net > 0",
            ),
            (
                "waiting",
                "select count(*) > 5 from settlement where state = 'REQUESTED' and net > 0",
            ),
            (
                "carried over",
                "select count(*) = 1 from settlement where net < 0 and state = 'REQUESTED' and carried_into is null",
            ),
            (
                "on hold",
                "select count(*) = 1 from settlement where hold is not null",
            ),
            (
                "refused once",
                "select count(*) = 1 from payout where state = 'FAILED'",
            ),
            (
                "withheld",
                "select count(*) > 0 from payout where state = 'PAID' and income_tax > 0",
            ),
            (
                "scheduled",
                "select count(*) = 1 from contract_version where used_until is null and partner_id = 'farm-haetsal'",
            ),
        ] {
            assert_eq!(count(&books, sql), 1, "{what}");
        }
        assert_eq!(books::check(&books).unwrap(), []);

        let settings = std::fs::read_to_string(path.join("jeongsan.toml")).unwrap();
        let settings: toml::Table = settings.parse().unwrap();
        let shop = settings["server"]["public_url"].as_str().unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut ready = serde_json::Value::Null;
        for _ in 0..200 {
            let answer = http.get(format!("{shop}/readyz")).send().await.unwrap();
            ready = answer.json().await.unwrap();
            if ready["ready"] == true {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(
            (&ready["ready"], &ready["broker"]),
            (&true.into(), &engine.into())
        );
        every_link_leads_somewhere(shop, &path).await;

        // The visitor moves the clock past one at night: today is settled, without being asked for.
        let sandbox = settings["portone"]["base_url"].as_str().unwrap().to_owned();
        let last = || count(&books, "select count(*) from settlement_day");
        let (before, today) = (last(), KstDay::of(jiff::Timestamp::now()));
        let moved = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .post(format!("{sandbox}/sandbox/clock"))
            .form(&[("ahead", "90000")])
            .send()
            .await
            .unwrap();
        assert!(moved.status().is_success(), "{}", moved.status());
        for _ in 0..200 {
            let of_today = format!(
                "select count(*) from settlement_day where day = '{today}' and finished_at is not null"
            );
            if count(&books, &of_today) == 1 {
                assert!(last() > before);
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the night's run did not come");
    };
    demo::run(options, look).await.unwrap();
}
