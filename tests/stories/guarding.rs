//! The doors: what is full says so, what another site sends is refused, what is secret stays so.

use std::time::Duration;

use jeongsan::{
    domain::account::Role,
    sandbox::{Fault, Kind, Target},
};
use reqwest::header;
use serde_json::json;

use crate::{
    people::Visitor,
    support::{TestApp, read},
};

#[tokio::test]
async fn when_all_places_are_taken_the_next_is_told_to_come_back() {
    let app = TestApp::with(&[("intake.in_flight", "2")], false).await;
    app.portone
        .fault(Fault::new(Target::Get, Kind::Slow { ms: 1_500 }));
    let ids: Vec<String> = (0..6)
        .map(|n| app.charge(&format!("ord-{n}"), 1_000))
        .collect();
    let sent = ids.iter().enumerate().map(|(n, imp_uid)| {
        let order = format!("ord-{n}");
        let app = &app;
        async move { app.webhook(imp_uid, &order, "paid").await }
    });
    let answers = futures::future::join_all(sent).await;
    let full: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status() == 503)
        .collect();
    assert_eq!(full.len(), 4);
    assert!(
        full.iter()
            .all(|answer| answer.headers().contains_key(header::RETRY_AFTER))
    );
    assert_eq!(
        app.sql::<i64>("select count(*) from inbox"),
        2,
        "what was refused was not kept"
    );
}

#[tokio::test]
async fn a_sender_that_drips_its_body_is_let_go() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let app = TestApp::start().await;
    let mut line = tokio::net::TcpStream::connect(app.app().addr)
        .await
        .unwrap();
    line.write_all(
        b"POST /api/payment/portone HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{",
    )
    .await
    .unwrap();
    let mut answer = vec![0; 64];
    let read = tokio::time::timeout(Duration::from_secs(15), line.read(&mut answer)).await;
    let count = read.expect("it was let go").unwrap();
    assert!(
        answer[..count].starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

/// Somebody signed in by the form.
async fn session(app: &TestApp) -> Visitor {
    let store = &app.app().web.ctx.store;
    Visitor::signed_in(store, &app.url(""), "minji", Role::Owner).await
}

#[tokio::test]
async fn what_another_site_sends_in_a_signed_in_browser_changes_nothing() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 9_000).await;
    let visitor = session(&app).await;
    let send = |site: Option<&'static str>, origin: Option<&'static str>| {
        let mut request = app
            .http
            .post(app.url(&format!("/api/payment/{imp_uid}/cancel")))
            .header(header::COOKIE, visitor.header())
            .header("x-form-token", visitor.token())
            .json(&json!({ "reason": "x" }));
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        async move { read(request.send().await.unwrap()).await }
    };
    for (site, origin) in [
        (Some("cross-site"), Some("https://evil.example")),
        (Some("same-site"), None),
        (None, Some("https://evil.example")),
        (None, Some("null")),
        (None, None),
    ] {
        let (code, problem) = send(site, origin).await;
        assert_eq!(
            (code, problem["type"].as_str()),
            (403, Some("urn:jeongsan:problem:cross-site")),
            "{site:?} {origin:?}"
        );
    }
    assert_eq!(app.status(&imp_uid).await, "PAID");
    assert_eq!(send(Some("same-origin"), None).await.0, 200);
}

#[tokio::test]
async fn a_session_ends_when_it_is_over_and_guessing_is_slowed_down() {
    let app = TestApp::start().await;
    let visitor = session(&app).await;
    let look = || async {
        let request = app
            .http
            .get(app.url("/api/payment/list"))
            .header(header::COOKIE, visitor.header());
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(look().await, 200);
    app.clock.advance(Duration::from_secs(13 * 3600));
    assert_eq!(look().await, 401);
    let mut codes = Vec::new();
    for _ in 0..15 {
        let form = [("name", "minji"), ("password", "guess"), ("next", "/")];
        let answer = Visitor::new(&app.url("")).post("/sign-in", &form).await;
        codes.push(answer.status().as_u16());
    }
    assert_eq!(codes[0], 401, "{codes:?}");
    assert_eq!(codes.last(), Some(&429), "{codes:?}");
    assert!(!codes.contains(&200) && !codes.contains(&303), "{codes:?}");
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_a_browser_safe() {
    let app = TestApp::start().await;
    for path in [
        "/payment",
        "/payment/mypage",
        "/sign-in",
        "/healthz",
        "/api/payment/list",
        "/nowhere",
    ] {
        let answer = app.get(path).await;
        let headers = answer.headers();
        let csp = headers["content-security-policy"].to_str().unwrap();
        assert!(
            !csp.contains("unsafe-inline") && !csp.contains("unsafe-eval"),
            "{path}: {csp}"
        );
        assert!(
            csp.contains("frame-ancestors 'none'") && csp.contains("object-src 'none'"),
            "{path}: {csp}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
    }
}
