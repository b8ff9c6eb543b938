//! The payment window in a real browser, opened by a shop whose policy forbids everything inline.
//!
//! Needs `chromedriver` and Chromium; fails without them.

#[path = "support/browser.rs"]
mod browser;

use std::net::SocketAddr;

use axum::{Router, http::header, response::Html, routing::get};
use browser::{Browser, WINDOW_SEEN};
use jeongsan::sandbox::{Sandbox, SandboxConfig, Status};
use serde_json::Value;

/// A shop with one button.
async fn shop(sandbox: &str) -> String {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = tokio::net::TcpListener::bind(any).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let page = format!(
        "<!DOCTYPE html><meta name=viewport content='width=device-width'><title>shop</title>\
         <script src='{sandbox}/v1/iamport.js'></script><script src='/shop.js' defer></script>\
         <button>buy</button><pre></pre>"
    );
    let policy = format!("default-src 'none'; script-src 'self' {sandbox}; frame-src {sandbox}");
    let script = format!(
        "const say = (what) => {{ document.querySelector('pre').textContent += what + '\\n'; }};
         addEventListener('securitypolicyviolation', (e) => say('VIOLATION ' + e.violatedDirective));
         IMP.init('imp00000000');
         document.querySelector('button').onclick = () => IMP.request_pay({{
           channelKey: 'channel-key', pay_method: 'card', merchant_uid: 'o-' + Date.now(),
           name: '사과 5kg', amount: 23900, custom_data: {{ store: 'S1' }},
           m_redirect_url: '{url}/return',
         }}, (rsp) => say(JSON.stringify(rsp)));"
    );
    let app = Router::new()
        .route(
            "/",
            get(move || async move { ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)) }),
        )
        .route("/return", get(|| async { Html("<title>back</title>") }))
        .route(
            "/shop.js",
            get(move || async move { ([(header::CONTENT_TYPE, "text/javascript")], script) }),
        );
    tokio::spawn(axum::serve(listener, app).into_future());
    url
}

/// Clicks "buy" and waits for the window to be seen.
async fn buy(browser: &Browser) {
    browser.click("button").await;
    browser.until(WINDOW_SEEN).await;
}

/// What the window told the shop last; nothing was kept from happening by the shop's policy.
async fn told(browser: &Browser) -> Value {
    let text = browser
        .until("return document.querySelector('pre').textContent")
        .await;
    let text = text.as_str().unwrap();
    assert!(!text.contains("VIOLATION"), "{text}");
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[tokio::test]
async fn the_window_opens_over_a_strict_page_and_reports_to_it() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let shop = shop(&sandbox.url()).await;
    let browser = Browser::start(1200).await;

    browser.open(&shop).await;
    buy(&browser).await;
    browser.frame(Some(0)).await;
    browser.click("button[value=pay]").await;
    browser.frame(None).await;
    let rsp = told(&browser).await;
    assert_eq!(rsp["success"], true);
    assert_eq!(rsp["error_code"], Value::Null);
    let payment = sandbox.payment(rsp["imp_uid"].as_str().unwrap()).unwrap();
    assert_eq!((payment.status, payment.amount), (Status::Paid, 23_900));
    assert_eq!(
        *payment.merchant_uid,
        *rsp["merchant_uid"].as_str().unwrap()
    );
    let gone = "return document.querySelector('iframe') === null";
    assert_eq!(browser.script(gone).await, true);

    browser.open(&shop).await;
    buy(&browser).await;
    browser.frame(Some(0)).await;
    browser.click("button[value=decline]").await;
    browser.frame(None).await;
    let rsp = told(&browser).await;
    assert_eq!(rsp["success"], false);
    assert!(rsp["error_msg"].as_str().unwrap().contains("한도초과"));

    browser.open(&shop).await;
    buy(&browser).await;
    browser.frame(Some(0)).await;
    browser
        .script("document.querySelector('[value=vbank]').click()")
        .await;
    browser.click("button[value=pay]").await;
    browser
        .until("return document.querySelector('[data-done]') !== null")
        .await;
    browser.click("[data-done]").await;
    browser.frame(None).await;
    assert!(
        !told(&browser).await["vbank_num"]
            .as_str()
            .unwrap()
            .is_empty()
    );
    browser.stop().await;
}

#[tokio::test]
async fn on_a_phone_the_window_is_a_page_that_leads_back() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let shop = shop(&sandbox.url()).await;
    let browser = Browser::start(500).await;
    browser.open(&shop).await;
    browser.click("button").await;
    browser
        .until("return document.querySelector('button[value=pay]') !== null")
        .await;
    browser.click("button[value=pay]").await;
    browser
        .until("return location.pathname === '/return'")
        .await;
    let query = browser.script("return location.search").await;
    let query = query.as_str().unwrap().trim_start_matches('?');
    let id = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "imp_uid")
        .unwrap()
        .1
        .into_owned();
    let payment = sandbox.payment(&id).unwrap();
    assert_eq!(payment.status, Status::Paid);
    assert!(query.contains(&format!("merchant_uid={}", payment.merchant_uid)));
    browser.stop().await;
}
