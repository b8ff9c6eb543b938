//! How heavy pages are: what a browser fetches for one is counted, packed as it is sent, and stays
//! below 100 kB.

#[path = "support/people.rs"]
mod people;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
};

use jeongsan::{
    app::{App, Parts},
    config::Config,
    domain::account::Role,
    sandbox::{NewPayment, Sandbox, SandboxConfig},
};
use people::Visitor;
use reqwest::{Client, Method, header};
use serde_json::json;

/// For a page and everything that it brings along.
const MOST: usize = 100_000;
/// As they are written: what is small to begin with is quick to read, too.
const MOST_OF: [(&str, usize); 2] = [("app.css", 45_000), ("app.js", 10_000)];

struct Page {
    /// Each thing that was fetched, with what it weighed on the way.
    sent: BTreeMap<String, usize>,
    html: String,
}

/// A page and what its `<link>`, `<script>` and `<img>` name.
async fn fetch(visitor: &Visitor, path: &str) -> Page {
    let get = async |path: &str| {
        let asked = visitor
            .request(Method::GET, path)
            .header(header::ACCEPT_ENCODING, "gzip");
        let answer = visitor.with(asked).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let packed = answer.headers().contains_key(header::CONTENT_ENCODING);
        (packed, answer.bytes().await.unwrap())
    };
    let (packed, html) = get(path).await;
    // A page holds secrets, and packing would tell their likeness to what a stranger put into it.
    assert!(!packed, "{path} is sent packed");
    let text = String::from_utf8(html.to_vec()).unwrap();
    let mut sent = BTreeMap::from([(path.to_owned(), html.len())]);
    let named: BTreeSet<&str> = text
        .split('"')
        .filter(|word| word.starts_with("/assets/"))
        .collect();
    for asset in named {
        sent.insert(asset.to_owned(), get(asset).await.1.len());
    }
    Page { sent, html: text }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_main_page_loads_within_a_hundred_kilobytes() {
    let dir = tempfile::tempdir().unwrap();
    let portone = Sandbox::start(SandboxConfig {
        test_channel: true,
        ..SandboxConfig::default()
    })
    .await
    .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let settings = [
        ("server.public_url", base.clone()),
        ("data.dir", dir.path().join("books").display().to_string()),
        ("portone.imp_key", "imp_apikey".into()),
        ("portone.imp_secret", "imp_secret".into()),
        ("portone.merchant_code", "imp00000000".into()),
        ("portone.channel_key", "channel-key".into()),
        ("portone.base_url", portone.url()),
        (
            "portone.sdk_url",
            format!("{}/v1/iamport.js", portone.url()),
        ),
        ("jobs.shutdown", "1s".into()),
    ];
    let config = Config::load(None, [], &settings).unwrap();
    let app = App::start_on(listener, config, Parts::default())
        .await
        .unwrap();
    let plain = Client::builder().no_proxy().build().unwrap();
    // A full page of the list, with long names.
    let mut imp_uid = String::new();
    for n in 0..60 {
        let new = NewPayment {
            merchant_uid: format!("ord-20260806-{n:06}"),
            amount: 1_234_000 + n,
            name: "국내산 유기농 무농약 햇사과 선물세트 10kg 외 3건".into(),
            sandbox: true,
            ..NewPayment::default()
        };
        imp_uid = portone.pay(new).unwrap();
        let told = plain
            .post(format!("{base}/api/payment/portone"))
            .json(&json!({ "imp_uid": imp_uid, "status": "paid" }))
            .send()
            .await
            .unwrap();
        assert!(told.status().is_success(), "{}", told.status());
    }
    let signed = Visitor::signed_in(&app.web.ctx.store, &base, "minji", Role::Owner).await;
    let payment = format!("/payment/{imp_uid}");
    for path in [
        "/payment/mypage",
        &payment,
        "/admin/settlements",
        "/admin/payouts",
        "/admin/partners",
        "/admin/jobs",
        "/admin/dead-letters",
        "/admin/alerts",
        "/admin/inbox",
        "/admin/calendar",
        "/payment",
    ] {
        let page = fetch(&signed, path).await;
        let whole: usize = page.sent.values().sum();
        assert!(whole <= MOST, "{path} weighs {whole}: {:#?}", page.sent);
        assert!(
            page.sent.keys().any(|key| key.contains("app.css")),
            "{path}"
        );
        assert!(
            !page.html.contains(" style="),
            "{path} has a style of its own"
        );
    }
    let stranger = fetch(&Visitor::new(&base), "/sign-in").await;
    assert!(stranger.sent.values().sum::<usize>() <= MOST);
    app.stop().await;
}

#[test]
fn what_is_written_by_hand_stays_small() {
    for (name, most) in MOST_OF {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("assets")
            .join(name);
        let mut text = String::new();
        std::fs::File::open(path)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert!(text.len() <= most, "{name} is {} bytes long", text.len());
    }
}
