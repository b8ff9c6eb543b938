//! The pages over HTTP, as a browser without scripts uses them, and as somebody else might.

#[path = "support/people.rs"]
mod people;

use jeongsan::{
    app::{App, Parts},
    config::Config,
    domain::account::Role,
    sandbox::{Fault, Kind, NewPayment, Sandbox, SandboxConfig, Target},
    web::gate,
};
use people::Visitor;
use reqwest::{Client, Response, StatusCode, header, redirect::Policy};
use serde_json::json;

const TOKEN: &str = "test-token-0123456789abcdef0123456789";

struct Shop {
    app: App,
    portone: Sandbox,
    http: Client,
    visitor: Visitor,
    base: String,
    _dir: tempfile::TempDir,
}

impl Shop {
    async fn open(more: &[(&'static str, &str)]) -> Shop {
        let dir = tempfile::tempdir().unwrap();
        let portone = Sandbox::start(SandboxConfig::default()).await.unwrap();
        let mut settings: Vec<(&'static str, String)> = vec![
            ("server.listen", "127.0.0.1:0".into()),
            ("data.dir", dir.path().join("books").display().to_string()),
            ("portone.imp_key", "imp_apikey".into()),
            ("portone.imp_secret", "imp_secret".into()),
            ("portone.merchant_code", "imp00000000".into()),
            ("portone.base_url", portone.url()),
            (
                "portone.sdk_url",
                format!("{}/v1/iamport.js", portone.url()),
            ),
            ("intake.budget", "300ms".into()),
            ("cancel.direct_backoff", "5ms".into()),
            ("jobs.shutdown", "1s".into()),
            ("api.rate", "100000".into()),
            ("api.address_rate", "100000".into()),
            ("admin.token", TOKEN.into()),
        ];
        settings.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let config = Config::load(None, [], &settings).unwrap();
        let app = App::start(config, Parts::default()).await.unwrap();
        let http = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .build()
            .unwrap();
        let base = format!("http://{}", app.addr);
        let visitor = Visitor::new(&base);
        let mut shop = Shop {
            app,
            portone,
            http,
            visitor,
            base,
            _dir: dir,
        };
        let store = &shop.app.web.ctx.store;
        people::add(store, "minji", Role::Owner, None).await;
        let answer = shop
            .visitor
            .sign_in("minji", people::PASSWORD, "/admin/inbox")
            .await;
        assert_eq!(answer.headers()[header::LOCATION], "/admin/inbox");
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"));
        }
        shop
    }

    async fn get(&self, path: &str) -> Response {
        self.visitor.get(path).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.post_from(path, form, "same-origin").await
    }

    async fn post_from(&self, path: &str, form: &[(&str, &str)], site: &str) -> Response {
        let token = self.visitor.token();
        let mut fields = vec![(gate::FIELD, token.as_str())];
        fields.extend_from_slice(form);
        let request = self.http.post(format!("{}{path}", self.base));
        request
            .header(header::COOKIE, self.visitor.header())
            .header("sec-fetch-site", site)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(serde_urlencoded::to_string(fields).unwrap())
            .send()
            .await
            .unwrap()
    }

    async fn paid(&self, merchant_uid: &str, amount: i64) -> String {
        let imp_uid = self.enter(merchant_uid, amount);
        let body = json!({ "imp_uid": imp_uid });
        let url = format!("{}/api/payment/portone", self.base);
        self.http.post(url).json(&body).send().await.unwrap();
        imp_uid
    }

    fn enter(&self, merchant_uid: &str, amount: i64) -> String {
        let new = NewPayment {
            merchant_uid: merchant_uid.into(),
            amount,
            name: "<script>alert(1)</script>".into(),
            sandbox: true,
            ..NewPayment::default()
        };
        self.portone.pay(new).unwrap()
    }

    async fn close(self) {
        self.app.stop().await;
    }
}

fn leads_to(answer: &Response) -> &str {
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    answer.headers()[header::LOCATION].to_str().unwrap()
}

#[tokio::test]
async fn who_is_not_signed_in_is_led_to_the_form_and_back() {
    let mut shop = Shop::open(&[]).await;
    shop.visitor
        .cookies
        .retain(|(name, _)| name != "jeongsan_session");
    for path in [
        "/payment/mypage?q=a%26b",
        "/payment/imp_1",
        "/payment/imp_1/live",
        "/payment/imp_1/cancel",
        "/admin/dead-letters",
        "/admin/dead-letters/1",
        "/admin/alerts",
        "/admin/inbox",
    ] {
        let answer = shop.get(path).await;
        let to = leads_to(&answer).to_owned();
        let query = to.strip_prefix("/sign-in?").expect("the sign-in form");
        let next: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap();
        assert_eq!(next, [("next".to_owned(), path.to_owned())]);
    }
    let wrong = [("name", "minji"), ("password", "guess")];
    let wrong = shop.post("/sign-in", &wrong).await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let evil = [
        ("name", "minji"),
        ("password", people::PASSWORD),
        ("next", "//evil.example"),
    ];
    assert_eq!(leads_to(&shop.post("/sign-in", &evil).await), "/");
    for path in ["/payment", "/payment/result/imp_1", "/sign-in"] {
        assert_ne!(shop.get(path).await.status(), StatusCode::SEE_OTHER);
    }
    shop.close().await;
}

#[tokio::test]
async fn a_form_of_another_site_does_nothing() {
    let shop = Shop::open(&[]).await;
    let imp_uid = shop.paid("ord-1", 10_000).await;
    let cancel = format!("/payment/{imp_uid}/cancel");
    let form = [("amount", "10000"), ("reason", "x"), ("key", "k")];
    for site in ["cross-site", "same-site"] {
        let answer = shop.post_from(&cancel, &form, site).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let answer = shop
            .post_from("/payment/orders", &[("product", "tea")], site)
            .await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let answer = shop.post_from("/sign-out", &[], site).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(shop.portone.payment(&imp_uid).unwrap().left(), 10_000);
    shop.close().await;
}

#[tokio::test]
async fn a_cancel_sent_twice_is_one_and_figures_that_moved_are_asked_about_again() {
    let shop = Shop::open(&[]).await;
    let imp_uid = shop.paid("ord-1", 10_000).await;
    let path = format!("/payment/{imp_uid}/cancel");
    let form = |key, left| {
        vec![
            ("key", key),
            ("left", left),
            ("amount", "3,000"),
            ("reason", "반품"),
        ]
    };
    let sure = shop
        .post(&format!("{path}/confirm"), &form("k1", "10000"))
        .await;
    assert!(sure.text().await.unwrap().contains("₩7,000"));
    assert_eq!(shop.portone.payment(&imp_uid).unwrap().left(), 10_000);

    let first = shop.post(&path, &form("k1", "10000")).await;
    let again = shop.post(&path, &form("k1", "10000")).await;
    assert_eq!(leads_to(&first), leads_to(&again));
    assert_eq!(shop.portone.payment(&imp_uid).unwrap().left(), 7_000);

    let stale = shop.post(&path, &form("k2", "10000")).await;
    assert_eq!(stale.status(), StatusCode::CONFLICT);
    assert!(stale.text().await.unwrap().contains("잔액이 바뀌었습니다"));
    assert_eq!(shop.portone.payment(&imp_uid).unwrap().left(), 7_000);

    let page = shop.get(leads_to(&first)).await.text().await.unwrap();
    assert!(page.contains("₩3,000 취소가 완료되었습니다"));
    assert!(!page.contains("<script>alert"));
    shop.close().await;
}

#[tokio::test]
async fn the_way_back_from_a_window_asks_portone_and_waits_where_it_must() {
    let shop = Shop::open(&[]).await;
    let imp_uid = shop.enter("ord-1", 10_000);
    let back = shop
        .get(&format!(
            "/payment/return?imp_uid={imp_uid}&merchant_uid=ord-1&error_msg=call+me"
        ))
        .await;
    let result = leads_to(&back).to_owned();
    let page = shop.get(&result).await.text().await.unwrap();
    assert!(page.contains("결제가 완료되었습니다") && !page.contains("call me"));

    // Some windows name the order only.
    let by_order = shop.get("/payment/return?merchant_uid=ord-1").await;
    assert_eq!(leads_to(&by_order), result);

    // PortOne is slow: the page says so, and changes once it is known.
    let slow = shop.enter("ord-2", 9_000);
    shop.portone.fault(
        Fault::new(
            Target::Get,
            Kind::Status {
                status: 503,
                retry_after: None,
            },
        )
        .times(2),
    );
    let back = shop.get(&format!("/payment/return?imp_uid={slow}")).await;
    let page = shop.get(leads_to(&back)).await.text().await.unwrap();
    assert!(page.contains("결제를 확인 중입니다") && page.contains("http-equiv=\"refresh\""));
    let path = format!("/payment/result/{slow}/stand");
    for _ in 0..200 {
        if shop
            .get(&path)
            .await
            .text()
            .await
            .unwrap()
            .contains("완료되었습니다")
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(
        shop.get(&path)
            .await
            .text()
            .await
            .unwrap()
            .contains("완료되었습니다")
    );

    let nothing = shop.get("/payment/return").await;
    assert_eq!(nothing.status(), StatusCode::BAD_REQUEST);
    let unknown = shop.get("/payment/return?merchant_uid=ord-none").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    shop.close().await;
}

#[tokio::test]
async fn samples_are_sold_in_test_mode_and_not_without_end() {
    let shop = Shop::open(&[]).await;
    let bought = shop.post("/payment/orders", &[("product", "gift")]).await;
    let order = leads_to(&bought).to_owned();
    let page = shop.get(&order).await;
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(policy.contains(&format!("script-src 'self' {}", shop.portone.url())));
    assert!(!policy.contains("unsafe"));
    let text = page.text().await.unwrap();
    assert!(text.contains("₩53,000") && text.contains("data-amount=\"53000\""));
    let short = order.trim_start_matches("/payment/orders/");
    assert_eq!(
        leads_to(&shop.get(&format!("/payment?order={short}")).await),
        order
    );

    let mut last = StatusCode::OK;
    for _ in 0..40 {
        last = shop
            .post("/payment/orders", &[("product", "tea")])
            .await
            .status();
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    shop.close().await;

    let live = Shop::open(&[("portone.mode", "live")]).await;
    assert!(
        !live
            .get("/payment")
            .await
            .text()
            .await
            .unwrap()
            .contains("구매하기")
    );
    let refused = live.post("/payment/orders", &[("product", "tea")]).await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    live.close().await;
}

#[tokio::test]
async fn what_is_not_there_is_a_page_for_people_and_a_problem_for_programs() {
    let shop = Shop::open(&[]).await;
    for (path, status) in [
        ("/nothing", StatusCode::NOT_FOUND),
        ("/payment/imp_none", StatusCode::NOT_FOUND),
        ("/admin/dead-letters/99", StatusCode::NOT_FOUND),
        ("/admin/dead-letters/x", StatusCode::NOT_FOUND),
        ("/payment/mypage?status=PAYED", StatusCode::BAD_REQUEST),
        ("/payment/mypage?q=%FF&q=2", StatusCode::OK),
        (
            "/payment/imp_1/cancel/confirm",
            StatusCode::METHOD_NOT_ALLOWED,
        ),
    ] {
        let answer = shop.get(path).await;
        assert_eq!(answer.status(), status, "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.starts_with("<!DOCTYPE html>"), "{path}: {text}");
    }
    let english = shop.get("/lang?to=en&next=/nothing").await;
    let cookie = english.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("lang=en; Path=/; SameSite=Lax; Max-Age=31536000"));
    assert_eq!(leads_to(&english), "/nothing");
    for path in ["/api/nothing", "/api/payment/portone"] {
        let answer = shop.get(path).await;
        let kind = answer.headers()[header::CONTENT_TYPE].to_str().unwrap();
        assert!(kind.starts_with("application/problem+json"), "{path}");
    }
    shop.close().await;
}
