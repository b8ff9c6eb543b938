//! Attacks, each as a table: what somebody writes, asks or sends that should do nothing but be refused.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures::StreamExt;
use reqwest::{Method, header};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    house::{House, Words, routes},
    support::{TOKEN, TestApp, read},
};

/// All that the books hold, without what changes by itself.
fn books(app: &TestApp) -> BTreeMap<String, (i64, String)> {
    // A file that is taken away is noted in the audit log: that is what it is for.
    const BY_ITSELF: [&str; 11] = [
        "audit", "job", "schedule", "lease", "boot", "search", "minute", "session", "setting",
        "process", "sqlite_",
    ];
    let conn = Connection::open(app.database()).unwrap();
    let mut tables = conn
        .prepare("select name from sqlite_master where type = 'table' order by name")
        .unwrap();
    let names: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut all = BTreeMap::new();
    for name in names
        .into_iter()
        .filter(|name| !BY_ITSELF.iter().any(|part| name.contains(part)))
    {
        let mut query = conn.prepare(&format!("select * from \"{name}\"")).unwrap();
        let columns = query.column_count();
        let mut rows = query.query([]).unwrap();
        let (mut count, mut text) = (0, String::new());
        while let Some(row) = rows.next().unwrap() {
            count += 1;
            for i in 0..columns {
                text += &format!("{:?},", row.get_ref(i).unwrap());
            }
        }
        all.insert(name, (count, text));
    }
    assert!(
        all.contains_key("payment") && all.len() > 10,
        "{:?}",
        all.keys()
    );
    all
}

const INJECTIONS: [&str; 9] = [
    "' or '1'='1",
    "1 or 1=1 --",
    "1; drop table payment; --",
    "') union select 1,2,3,4,5,6,7,8 --",
    "\" or \"\"=\"",
    "%' or 1=1 /*",
    "1 and randomblob(100000000)",
    "\\'; select load_extension('x'); --",
    "\u{0}%00'",
];

/// Every name that any list takes.
const PARAMETERS: [&str; 30] = [
    "q",
    "status",
    "state",
    "held",
    "carried",
    "from",
    "to",
    "until",
    "since",
    "partner",
    "method",
    "after",
    "before",
    "limit",
    "kind",
    "error",
    "archived",
    "incomplete",
    "template",
    "year",
    "month",
    "dry_run",
    "did",
    "day",
    "order",
    "id",
    "next",
    "stand",
    "batch",
    "format",
];

#[tokio::test]
async fn no_filter_of_any_address_is_a_way_into_the_database() {
    let house = House::open(&Words::all("사과")).await;
    let before = books(&house.app);
    let rows = |value: &Value| value["items"].as_array().map_or(0, Vec::len);
    let mut asked = Vec::new();
    for path in house.addresses() {
        if path.starts_with("/assets/") || path.ends_with(".xlsx") {
            continue;
        }
        let most = match path.starts_with("/api/") {
            true => rows(&read(house.get(&path).await).await.1),
            false => usize::MAX,
        };
        for name in PARAMETERS {
            for injection in INJECTIONS {
                asked.push((path.clone(), name, injection, most));
            }
        }
        // A part of the path, too.
        for injection in INJECTIONS {
            let encoded: String =
                url::form_urlencoded::byte_serialize(injection.as_bytes()).collect();
            let encoded = encoded.replace('+', "%20");
            if let Some((front, _)) = path.rsplit_once('/') {
                asked.push((format!("{front}/{encoded}"), "x", "1", usize::MAX));
            }
        }
    }
    // Every name with every text would be twenty thousand questions: each text meets each name on some address,
    // and each address each name.
    let asked: Vec<_> = asked
        .into_iter()
        .enumerate()
        .filter(|(n, (.., name, _, _))| *name == "x" || n % 4 == n / 997 % 4)
        .map(|(_, of)| of)
        .collect();
    assert!(asked.len() > 4_000, "{}", asked.len());
    let client = &house.app.http;
    let answers = futures::stream::iter(asked).map(|(path, name, injection, most)| {
        let request = client
            .get(house.app.url(&path))
            .bearer_auth(TOKEN)
            .query(&[(name, injection)]);
        async move {
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            assert!(status < 500, "{path}?{name}={injection}: {status}");
            let text = answer.text().await.unwrap();
            for told in [
                "sqlite",
                "syntax error",
                "no such column",
                "rusqlite",
                "panicked",
            ] {
                assert!(
                    !text.contains(told),
                    "{path}?{name}={injection} tells {told}"
                );
            }
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                assert!(
                    rows(&value) <= most,
                    "{path}?{name}={injection} gives more rows"
                );
            }
        }
    });
    answers.buffer_unordered(8).collect::<Vec<()>>().await;
    let after = books(&house.app);
    for (table, kept) in &before {
        assert!(after.get(table) == Some(kept), "{table} was changed");
    }
    assert_eq!(before.len(), after.len());
}

/// A request as it is written, byte for byte.
async fn raw(addr: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut line = tokio::net::TcpStream::connect(addr).await.unwrap();
    let _ = line.write_all(request).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), line.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or_default();
    (status, text)
}

#[tokio::test]
async fn no_path_leads_out_of_its_place() {
    let app = TestApp::start().await;
    let before = books(&app);
    let outside = [
        "../Cargo.toml",
        "../../Cargo.toml",
        "../../../../../../etc/passwd",
        "..%2fCargo.toml",
        "%2e%2e/Cargo.toml",
        "%2e%2e%2fCargo.toml",
        "..%5cCargo.toml",
        "....//Cargo.toml",
        "%252e%252e%252fCargo.toml",
        "..%c0%afCargo.toml",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "//etc/passwd",
        "app.css/../../Cargo.toml",
        "app.css%00.js",
        "./../Cargo.toml",
        "file:///etc/passwd",
        "..;/Cargo.toml",
        "app.css/%2e%2e/%2e%2e/Cargo.toml",
        "%uff0e%uff0e/Cargo.toml",
    ];
    let fronts: Vec<String> = routes()
        .iter()
        .filter_map(|route| Some(route.split_once('{')?.0.to_owned()))
        .collect();
    let mut tried = 0;
    for front in std::collections::BTreeSet::from_iter(fronts) {
        for path in outside {
            let head = format!(
                "GET {front}{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n"
            );
            let (status, text) = raw(app.app().addr, head.as_bytes()).await;
            assert!(
                (300..500).contains(&status) || status == 200,
                "{front}{path}: {status}"
            );
            let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            for secret in ["root:x:", "[package]", "[dependencies]", "SQLite format"] {
                assert!(!body.contains(secret), "{front}{path} shows {secret}");
            }
            if front == "/assets/" {
                assert!(matches!(status, 400 | 404), "{path}: {status}");
            }
            tried += 1;
        }
    }
    assert!(tried > 600, "{tried}");
    assert_eq!(books(&app), before);
}

#[tokio::test]
async fn what_is_too_large_too_deep_or_no_amount_is_refused_at_once_and_changes_nothing() {
    let house = House::open(&Words::all("사과")).await;
    let app = &house.app;
    let before = books(app);
    let deep = |levels: usize, rest: &str| {
        format!(
            "{{{rest}\"x\":{}1{}}}",
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    let large = format!(
        "{{\"imp_uid\":\"imp_1\",\"x\":\"{}\"}}",
        "a".repeat((1 << 20) + 1)
    );
    let imp_uid = house.imp_uid.clone();
    let cancel = format!("/api/payment/{imp_uid}/cancel");
    let posts = [
        "/api/payment/portone",
        "/api/orders",
        cancel.as_str(),
        "/api/partners",
        "/api/partners/farm/contracts",
        "/api/adjustments",
        "/api/payouts",
    ];
    let mut sent: Vec<(String, String)> = Vec::new();
    for path in posts {
        for body in [
            large.clone(),
            deep(65, "\"imp_uid\":\"imp_1\",\"reason\":\"x\","),
            deep(100_000, ""),
            "[".repeat(50_000),
            "{\"a\":".repeat(10_000),
            String::new(),
            "null".into(),
            "[]".into(),
            "\"x\"".into(),
            "{".into(),
            "{\"imp_uid\":\"\\ud800\"}".into(),
            "\u{feff}{}".into(),
            "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><x>&e;</x>".into(),
        ] {
            sent.push((path.into(), body));
        }
    }
    // What is no amount, wherever one is expected.
    for amount in [
        "0",
        "-1",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "1e3",
        "\"100\"",
        "1.5",
        "100.0",
        "-0",
        "true",
        "[]",
        "{}",
        "\"\"",
        "NaN",
        "0x10",
        "1_000",
        "\"1,000\"",
    ] {
        sent.push((
            cancel.clone(),
            format!("{{\"reason\":\"x\",\"amount\":{amount}}}"),
        ));
        sent.push(("/api/orders".into(), format!(
            "{{\"merchant_uid\":\"ord-new\",\"lines\":[{{\"partner\":\"farm\",\"name\":\"x\",\"quantity\":1,\"unit_price\":{amount}}}]}}"
        )));
        sent.push(("/api/orders".into(), format!(
            "{{\"merchant_uid\":\"ord-new\",\"lines\":[{{\"partner\":\"farm\",\"name\":\"x\",\"quantity\":{amount},\"unit_price\":9007199254740993}}]}}"
        )));
    }
    for amount in [
        "0",
        "9223372036854775807",
        "-9223372036854775808",
        "1e3",
        "\"100\"",
        "1.5",
    ] {
        sent.push((
            "/api/adjustments".into(),
            format!("{{\"partner\":\"farm\",\"amount\":{amount},\"reason\":\"x\"}}"),
        ));
    }
    let mut slowest = Duration::ZERO;
    for (path, body) in &sent {
        let shown: String = body.chars().take(120).collect();
        let request = app.http.post(app.url(path)).bearer_auth(TOKEN);
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.clone());
        let began = Instant::now();
        let answer = request.send().await.unwrap();
        slowest = slowest.max(began.elapsed());
        let status = answer.status().as_u16();
        assert!(
            (400..500).contains(&status),
            "{path} {shown}: {status} {}",
            answer.text().await.unwrap()
        );
    }
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    let after = books(app);
    for (table, kept) in &before {
        assert!(after.get(table) == Some(kept), "{table} was changed");
    }
}

#[tokio::test]
async fn what_is_far_away_is_refused_or_empty_and_never_an_error_of_ours() {
    let house = House::open(&Words::all("사과")).await;
    let before = books(&house.app);
    let far = [
        "9999-12-31",
        "0000-00-00",
        "0001-01-01",
        "-0001-01-01",
        "+010000-01-01",
        "99999-01-01",
        "2026-02-30",
        "2026-13-01",
        "1e9",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551616",
        "1000000000",
        "-1",
        "0",
        "NaN",
        "",
    ];
    let mut asked = Vec::new();
    for path in house.addresses() {
        if path.starts_with("/assets/") || path.ends_with(".xlsx") || path.ends_with(".csv") {
            continue;
        }
        for name in [
            "limit", "from", "to", "until", "day", "year", "before", "after", "since",
        ] {
            asked.extend(far.map(|value| (path.clone(), name, value)));
        }
    }
    // As with injections: each value meets each name, and each address each value.
    let asked = asked
        .into_iter()
        .enumerate()
        .filter(|(n, (path, ..))| path.starts_with("/api/") || n % 3 == 0);
    let answers = futures::stream::iter(asked).map(|(_, (path, name, value))| {
        let request = house
            .app
            .http
            .get(house.app.url(&path))
            .bearer_auth(TOKEN)
            .query(&[(name, value)]);
        async move {
            let began = Instant::now();
            let status = request.send().await.unwrap().status().as_u16();
            assert!(status < 500, "{path}?{name}={value}: {status}");
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{path}?{name}={value}: {:?}",
                began.elapsed()
            );
        }
    });
    answers.buffer_unordered(8).collect::<Vec<()>>().await;
    assert_eq!(
        house
            .app
            .get("/api/payment/list?limit=1000000000")
            .await
            .status(),
        400
    );
    for day in far.iter().filter(|day| !day.is_empty()) {
        for path in ["/admin/settlements/days/", "/api/settlements/days/"] {
            let answer = house.app.get(&format!("{path}{day}")).await;
            assert!(answer.status().as_u16() < 500, "{path}{day}");
            for of in ["POST", "DELETE"] {
                let method = Method::from_bytes(of.as_bytes()).unwrap();
                let answer = house
                    .ask(method, &format!("/api/calendar/{day}"), None)
                    .await;
                assert!(
                    (400..500).contains(&answer.status().as_u16()),
                    "{of} {day}: {}",
                    answer.status()
                );
            }
        }
    }
    assert_eq!(books(&house.app), before);
}

#[tokio::test]
async fn a_request_that_is_no_request_is_refused_and_the_server_lives() {
    let app = TestApp::start().await;
    let addr = app.app().addr;
    let many: String = (0..10_000).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = "a".repeat(2 << 20);
    for (what, request) in [
        ("ten thousand headers", format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{many}\r\n")),
        ("a header without end", format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n")),
        ("a path without end", format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n")),
        ("two lengths", "POST /api/payment/portone HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 50\r\n\r\n{}{}{".into()),
        ("a length below zero", "POST /api/payment/portone HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n{}".into()),
        ("a chunk of no size", "POST /api/payment/portone HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n".into()),
        ("nonsense", "\0\u{1}\u{2}\r\n\r\n".into()),
        ("a header with a break", "GET /healthz HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n".into()),
        ("another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
        ("a method of its own", "HACK /api/payment/portone HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".into()),
        ("a method to tunnel", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".into()),
        ("an address of others", "GET http://169.254.169.254/latest HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".into()),
        ("a trace", "TRACE / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-secret: canary\r\n\r\n".into()),
    ] {
        let began = Instant::now();
        let (status, text) = raw(addr, request.as_bytes()).await;
        // Closed without a word, or with one that says no.
        assert!(status == 0 || (300..500).contains(&status), "{what}: {status}");
        assert!(began.elapsed() < Duration::from_secs(3), "{what}");
        assert!(!text.contains("canary"), "{what}: {text}");
    }
    assert_eq!(app.get("/healthz").await.status(), 200);
    assert_eq!(app.sql::<i64>("select count(*) from inbox"), 0);
}

/// The headers of every address that there is.
#[tokio::test]
async fn every_answer_of_every_route_carries_the_headers_that_keep_a_browser_safe() {
    let house = House::with(
        &Words::all("사과"),
        &[("server.public_url", "https://pay.example.kr")],
    )
    .await;
    let mut paths = house.addresses();
    paths.extend([
        "/nowhere".into(),
        "/api/nowhere".into(),
        "/api/payment/events".into(),
    ]);
    for path in &paths {
        let answer = house.get(path).await;
        let headers = answer.headers();
        let of = |name: &str| {
            headers
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
        };
        let csp = of("content-security-policy");
        assert!(csp.starts_with("default-src 'none'; "), "{path}: {csp}");
        for part in [
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "object-src 'none'",
            "form-action 'self'",
        ] {
            assert!(csp.contains(part), "{path}: {part} in {csp}");
        }
        assert!(
            !csp.contains("unsafe") && !csp.contains(" *"),
            "{path}: {csp}"
        );
        assert_eq!(of("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(of("x-frame-options"), "DENY", "{path}");
        assert_eq!(of("cross-origin-resource-policy"), "same-origin", "{path}");
        assert!(
            of("cross-origin-opener-policy").starts_with("same-origin"),
            "{path}"
        );
        assert!(
            of("permissions-policy").contains("geolocation=()"),
            "{path}"
        );
        assert!(
            matches!(
                of("referrer-policy"),
                "same-origin" | "strict-origin-when-cross-origin"
            ),
            "{path}"
        );
        assert_eq!(
            of("strict-transport-security"),
            "max-age=31536000",
            "{path}"
        );
        let kept = of("cache-control");
        assert!(
            kept == "no-store" || kept == "no-cache" || path.starts_with("/assets/"),
            "{path}: {kept}"
        );
    }
    // Over plain HTTP there is nothing to be strict about.
    let plain = TestApp::start().await;
    assert!(
        !plain
            .get("/payment")
            .await
            .headers()
            .contains_key("strict-transport-security")
    );
}

#[tokio::test]
async fn the_pay_page_lets_portones_window_in_where_it_is_live() {
    let app = TestApp::with(
        &[("portone.sdk_url", "https://cdn.iamport.kr/v1/iamport.js")],
        false,
    )
    .await;
    let order = json!({ "merchant_uid": "ord-1", "lines": [{ "partner": "farm", "name": "x", "quantity": 1, "unit_price": 9_000 }] });
    assert_eq!(app.post("/api/orders", &order).await.status(), 201);
    let answer = app.get("/payment/orders/ord-1").await;
    let csp = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    let of = |name: &str| {
        csp.split("; ")
            .find(|part| part.starts_with(name))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        of("script-src").contains("https://*.iamport.kr") && !of("script-src").contains("unsafe"),
        "{csp}"
    );
    assert!(
        of("frame-src").contains("https:") && of("frame-ancestors") == "frame-ancestors 'none'",
        "{csp}"
    );
    assert_eq!(
        answer.headers()["cross-origin-opener-policy"],
        "same-origin-allow-popups"
    );
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("src=\"https://cdn.iamport.kr/v1/iamport.js\"")
    );
    // And nowhere else.
    let start = app.get("/payment").await;
    assert!(
        !start.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("https:")
    );
}
