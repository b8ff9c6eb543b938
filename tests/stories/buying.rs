//! Buyers at their own payments: by a link, by the shop's token, and never at anybody else's.

use std::{process::Command, time::Duration};

use jeongsan::{
    domain::account::Role,
    sandbox::{Fault, Kind, Sandbox, SandboxConfig, Target},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Response, header};
use serde_json::{Value, json};

use crate::{
    killing::{Server, free_port},
    people::Visitor,
    support::{TOKEN, TestApp, read},
};

const SECRET: &str = "what the shop and we both know, and nobody else";

async fn shop() -> TestApp {
    TestApp::with(&[("buyers.secret", SECRET)], false).await
}

/// An order of this buyer, paid.
async fn bought(app: &TestApp, order: &str, won: i64, buyer: Option<&str>) -> String {
    let line =
        json!({ "partner": "farm-secret", "name": "햇사과", "quantity": 1, "unit_price": won });
    let mut body = json!({ "merchant_uid": order, "lines": [line] });
    if let Some(buyer) = buyer {
        body["buyer"] = json!(buyer);
    }
    let (code, answer) = read(app.post("/api/orders", &body).await).await;
    assert_eq!(code, 201, "{answer}");
    assert_eq!(answer["order"]["buyer"], json!(buyer));
    app.paid(order, won).await
}

fn claims(app: &TestApp, buyer: &str) -> Value {
    let now = app.clock.now().as_second();
    json!({ "sub": buyer, "aud": "jeongsan", "iat": now, "exp": now + 3_600 })
}

fn signed(claims: &Value) -> String {
    signed_with(Algorithm::HS256, claims, SECRET)
}

fn signed_with(alg: Algorithm, claims: &Value, key: &str) -> String {
    encode(
        &Header::new(alg),
        claims,
        &EncodingKey::from_secret(key.as_bytes()),
    )
    .unwrap()
}

/// A browser that followed the shop's link.
async fn buyer(app: &TestApp, id: &str) -> Visitor {
    let mut visitor = Visitor::new(&app.url(""));
    let token = signed(&claims(app, id));
    let answer = visitor.get(&format!("/payment/mypage?token={token}")).await;
    assert_eq!(answer.status(), 303);
    visitor.keep(&answer);
    visitor
}

fn location(answer: &Response) -> &str {
    answer.headers()[header::LOCATION].to_str().unwrap()
}

/// A page without what the asker put into its address.
fn but(text: &str, id: &str) -> String {
    text.replace(id, "")
}

#[tokio::test]
async fn three_buyers_see_their_own_payments_and_nobody_elses() {
    let app = shop().await;
    let who = ["u-1", "u-2", "고객-3"];
    let mut payments = Vec::new();
    for (n, buyer) in who.iter().enumerate() {
        for i in 0..2 {
            let order = format!("ord-{n}-{i}");
            let imp_uid = bought(&app, &order, 9_000 + n as i64, Some(buyer)).await;
            payments.push((n, order, imp_uid));
        }
    }
    let nobodys = bought(&app, "ord-nobody", 9_000, None).await;
    payments.push((9, "ord-nobody".into(), nobodys));
    for (n, id) in who.iter().enumerate() {
        let visitor = buyer(&app, id).await;
        let (code, list) = visitor.text("/payment/mypage").await;
        assert_eq!(code, 200);
        let (_, unknown) = visitor.text("/payment/mine/imp_000000000000").await;
        for (of, order, imp_uid) in &payments {
            let own = *of == n;
            assert_eq!(list.contains(order.as_str()), own, "{id}: {order}");
            assert_eq!(list.contains(imp_uid.as_str()), own);
            let (code, page) = visitor.text(&format!("/payment/mine/{imp_uid}")).await;
            assert_eq!(code, if own { 200 } else { 404 }, "{id}: {order}");
            if own {
                assert!(page.contains(order.as_str()) && !page.contains("farm-secret"));
            } else {
                assert_eq!(but(&page, imp_uid), but(&unknown, "imp_000000000000"));
            }
            // A token is no sign-in: what is the shop's stays the shop's, one's own payments too.
            for path in [
                format!("/payment/{imp_uid}"),
                format!("/payment/{imp_uid}/live"),
                format!("/payment/{imp_uid}/cancel"),
                format!("/payment/mypage/rows/{imp_uid}"),
                "/payment/mypage/attention".into(),
                "/admin/settlements".into(),
                format!("/api/payment/{imp_uid}"),
                format!("/api/payment/{imp_uid}/events"),
                "/api/payment/list".into(),
                "/api/payment/events".into(),
                format!("/api/orders/{order}"),
            ] {
                let code = visitor.get(&path).await.status().as_u16();
                assert!(matches!(code, 303 | 401), "{id} gets {code} of {path}");
            }
            for path in [format!("/payment/{imp_uid}/cancel"), "/api/orders".into()] {
                let code = visitor
                    .post(&path, &[("amount", "1"), ("reason", "x")])
                    .await
                    .status();
                assert!(
                    matches!(code.as_u16(), 303 | 401),
                    "{id} posts {path}: {code}"
                );
            }
        }
        for inside in ["/admin/", "farm-secret", "class=\"parts\"", "sse-connect"] {
            assert!(!list.contains(inside), "{inside}");
        }
    }
    assert_eq!(app.sql::<i64>("select count(*) from cancellation"), 0);
}

#[tokio::test]
async fn a_long_list_comes_in_pages_and_a_cursor_of_another_opens_nothing() {
    let app = shop().await;
    for n in 0..45 {
        let whose = if n % 9 == 8 { "other" } else { "u-1" };
        bought(&app, &format!("ord-{n:02}"), 1_000, Some(whose)).await;
    }
    let visitor = buyer(&app, "u-1").await;
    let mut path = "/payment/mypage".to_owned();
    let (mut seen, mut pages) = (Vec::new(), 0);
    let orders = |text: &str| -> Vec<String> {
        let mut all: Vec<String> = text
            .split("<code>ord-")
            .skip(1)
            .map(|rest| rest.split('<').next().unwrap().to_owned())
            .collect();
        all.dedup();
        all
    };
    loop {
        let (code, text) = visitor.text(&path).await;
        assert_eq!(code, 200);
        seen.extend(orders(&text));
        pages += 1;
        let Some((_, rest)) = text.split_once("rel=\"next\" href=\"") else {
            break;
        };
        path = rest.split('"').next().unwrap().replace("&amp;", "&");
    }
    assert_eq!((pages, seen.len()), (2, 40));
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.reverse();
    assert_eq!(seen, sorted, "newest first, none twice");
    assert!(seen.iter().all(|n| n.parse::<u32>().unwrap() % 9 != 8));
    // The same place in somebody else's list; and what is no cursor at all.
    let other = buyer(&app, "other").await;
    let (_, text) = other.text(&path).await;
    assert!(
        orders(&text)
            .iter()
            .all(|n| n.parse::<u32>().unwrap() % 9 == 8)
    );
    let (code, _) = other.text("/payment/mypage?after=%27%20or%201=1").await;
    assert_eq!(code, 200);
}

#[tokio::test]
async fn a_guests_link_opens_the_orders_that_it_names() {
    let app = TestApp::start().await; // without buyers.secret
    let mine = bought(&app, "ord-1", 9_000, None).await;
    let other = bought(&app, "ord-2", 9_000, None).await;
    let body = json!({ "merchant_uids": ["ord-1"], "expires": "2h" });
    let (code, link) = read(app.post("/api/buyers/links", &body).await).await;
    assert_eq!(code, 201, "{link}");
    let url = link["url"].as_str().unwrap();
    let path = &url[url.find("/payment").unwrap()..];
    let mut visitor = Visitor::new(&app.url(""));
    let answer = visitor.get(path).await;
    assert_eq!(
        (answer.status().as_u16(), location(&answer)),
        (303, "/payment/mypage")
    );
    visitor.keep(&answer);
    let (_, list) = visitor.text("/payment/mypage").await;
    assert!(list.contains("ord-1") && !list.contains("ord-2"));
    assert_eq!(visitor.text(&format!("/payment/mine/{mine}")).await.0, 200);
    assert_eq!(visitor.text(&format!("/payment/mine/{other}")).await.0, 404);
    // It outlives a restart: the key is kept. And it ends.
    let mut app = app;
    app.shut_down().await;
    app.boot().await;
    let mut again = Visitor::new(&app.url(""));
    again.cookies.clone_from(&visitor.cookies);
    assert_eq!(again.text(&format!("/payment/mine/{mine}")).await.0, 200);
    app.clock.set_ahead(2 * 3_600_000);
    assert_eq!(again.text(&format!("/payment/mine/{mine}")).await.0, 401);
    let acts: String =
        app.sql("select act || ' ' || subject || ' ' || after from audit order by id desc limit 1");
    assert!(
        acts.starts_with("buyer.link buyer:guest") && acts.contains("ord-1"),
        "{acts}"
    );
    assert!(
        !acts.contains("eyJ"),
        "the link itself is kept nowhere: {acts}"
    );
}

#[tokio::test]
async fn a_token_that_is_not_right_opens_nothing_whatever_carries_it() {
    let app = shop().await;
    let imp_uid = bought(&app, "ord-1", 9_000, Some("u-1")).await;
    let good = claims(&app, "u-1");
    let now = app.clock.now().as_second();
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        signed(&claims)
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        signed(&claims)
    };
    let right = signed(&good);
    let parts: Vec<&str> = right.split('.').collect();
    let other = signed(&claims(&app, "u-2"));
    let payload = other.split('.').nth(1).unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"; // {"alg":"none","typ":"JWT"}
    let own = "eyJhbGciOiJIUzI1NiIsImtpZCI6Implb25nc2FuIn0"; // {"alg":"HS256","kid":"jeongsan"}
    let table = [
        ("alg none, unsigned", format!("{none}.{}.", parts[1])),
        (
            "alg none, the old signature",
            format!("{none}.{}.{}", parts[1], parts[2]),
        ),
        ("another header", format!("{own}.{}.{}", parts[1], parts[2])),
        ("HS384", signed_with(Algorithm::HS384, &good, SECRET)),
        ("HS512", signed_with(Algorithm::HS512, &good, SECRET)),
        (
            "another key",
            signed_with(
                Algorithm::HS256,
                &good,
                "a key that somebody made up themselves",
            ),
        ),
        ("an empty key", signed_with(Algorithm::HS256, &good, "")),
        (
            "the admin's token as the key",
            signed_with(Algorithm::HS256, &good, TOKEN),
        ),
        (
            "another's payload",
            format!("{}.{payload}.{}", parts[0], parts[2]),
        ),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("cut short", right[..right.len() - 3].to_owned()),
        ("expired", with("exp", json!(now - 1))),
        ("two days", with("exp", json!(now + 2 * 86_400))),
        ("exp as text", with("exp", json!("tomorrow"))),
        ("not yet", with("nbf", json!(now + 600))),
        ("from the future", with("iat", json!(now + 600))),
        ("no exp", without("exp")),
        ("no sub", without("sub")),
        ("sub as a number", with("sub", json!(1))),
        ("no aud", without("aud")),
        ("for another service", with("aud", json!("another"))),
        ("orders, by the shop", with("orders", json!(["ord-1"]))),
        ("nothing at all", "x".into()),
        ("endless", "e".repeat(5_000)),
    ];
    for (what, token) in &table {
        let visitor = Visitor::new(&app.url(""));
        let link = visitor.get(&format!("/payment/mypage?token={token}")).await;
        let in_header = |path: String| {
            let request = visitor.request(reqwest::Method::GET, &path);
            visitor
                .with(request)
                .header("x-buyer-token", token.as_str())
                .send()
        };
        let by_header = in_header("/payment/mypage".into()).await.unwrap();
        let one = in_header(format!("/payment/mine/{imp_uid}")).await.unwrap();
        let mut holding = visitor.clone();
        holding
            .cookies
            .push(("jeongsan_buyer".into(), token.clone()));
        let by_cookie = holding.get(&format!("/payment/mine/{imp_uid}")).await;
        assert!(
            by_cookie.headers()[header::SET_COOKIE]
                .to_str()
                .unwrap()
                .contains("jeongsan_buyer=;"),
            "{what}: the cookie goes"
        );
        assert_eq!(
            link.headers()[header::REFERRER_POLICY],
            "no-referrer",
            "{what}"
        );
        for (by, answer) in [
            ("link", link),
            ("header", by_header),
            ("header", one),
            ("cookie", by_cookie),
        ] {
            assert_eq!(answer.status(), 401, "{what} by {by}");
            let cookies = format!("{:?}", answer.headers().get_all(header::SET_COOKIE));
            assert!(
                token.len() < 5 || !cookies.contains(token.as_str()),
                "{what} by {by}"
            );
            let text = answer.text().await.unwrap();
            assert!(
                text.contains("새 링크"),
                "{what} by {by} says what to do: {text}"
            );
            assert!(
                !text.contains("ord-1") && (token.len() < 5 || !text.contains(token.as_str())),
                "{what}"
            );
        }
    }
    // Nothing but the token was wrong.
    let (code, _) = buyer(&app, "u-1")
        .await
        .text(&format!("/payment/mine/{imp_uid}"))
        .await;
    assert_eq!(code, 200);
}

#[tokio::test]
async fn the_token_moves_from_the_address_into_a_cookie_that_no_script_reads() {
    let app = TestApp::with(
        &[
            ("buyers.secret", SECRET),
            ("server.public_url", "https://pay.example.kr"),
        ],
        false,
    )
    .await;
    let imp_uid = bought(&app, "ord-1", 9_000, Some("u-1")).await;
    let token = signed(&claims(&app, "u-1"));
    let mut visitor = Visitor::new(&app.url(""));
    visitor
        .cookies
        .push(("__Host-jeongsan_form".into(), "a-form-of-a-test".into()));
    for path in [
        "/payment/mypage".to_owned(),
        format!("/payment/mine/{imp_uid}"),
    ] {
        let answer = visitor.get(&format!("{path}?x=1&token={token}&y=2")).await;
        assert_eq!(
            (answer.status().as_u16(), location(&answer)),
            (303, path.as_str())
        );
        let cookie = answer.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(cookie.starts_with("__Host-jeongsan_buyer="), "{cookie}");
        for part in [
            "; Path=/",
            "; HttpOnly",
            "; SameSite=Lax",
            "; Secure",
            "Max-Age=3",
        ] {
            assert!(cookie.contains(part), "{part} in {cookie}");
        }
        assert_eq!(answer.headers()[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        visitor.keep(&answer);
        let (code, page) = visitor.text(&path).await;
        assert_eq!(code, 200);
        assert!(!page.contains(&token[..20]), "no page says the token");
    }
    // A header of the shop's own app does the same, so that what is pressed in it goes on.
    let fresh = Visitor::new(&app.url(""));
    let request = fresh.request(reqwest::Method::GET, "/payment/mypage");
    let answer = fresh
        .with(request)
        .header("X-Buyer-Token", &token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(
        answer.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .starts_with("__Host-jeongsan_buyer=")
    );
    // Leaving takes it away; a foreign page cannot make somebody leave.
    let answer = visitor.post("/payment/mine/leave", &[]).await;
    assert_eq!(answer.status(), 303);
    visitor.keep(&answer);
    assert_eq!(visitor.cookie("__Host-jeongsan_buyer"), None);
    assert_eq!(
        visitor.text(&format!("/payment/mine/{imp_uid}")).await.0,
        401
    );
    let foreign = app
        .http
        .post(app.url("/payment/mine/leave"))
        .header("sec-fetch-site", "cross-site");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn who_is_signed_in_stays_who_they_are() {
    let app = shop().await;
    let imp_uid = bought(&app, "ord-1", 9_000, Some("u-1")).await;
    bought(&app, "ord-2", 9_000, Some("u-2")).await;
    let store = &app.app().web.ctx.store;
    let mut staff = Visitor::signed_in(store, &app.url(""), "minji", Role::Operator).await;
    let token = signed(&claims(&app, "u-1"));
    let answer = staff.get(&format!("/payment/mypage?token={token}")).await;
    assert_eq!(
        (answer.status().as_u16(), location(&answer)),
        (303, "/payment/mypage")
    );
    assert!(!answer.headers().contains_key(header::SET_COOKIE));
    staff.cookies.push(("jeongsan_buyer".into(), token.clone()));
    let (_, list) = staff.text("/payment/mypage").await;
    assert!(list.contains("ord-1") && list.contains("ord-2"));
    let answer = staff.get(&format!("/payment/mine/{imp_uid}")).await;
    assert_eq!(location(&answer), format!("/payment/{imp_uid}"));
    // Somebody of the shop who may not see payments gains nothing by a buyer's token.
    let name = "farm";
    crate::people::add(store, name, Role::Partner, Some("farm-secret")).await;
    let mut partner = Visitor::new(&app.url(""));
    partner
        .sign_in(name, crate::people::PASSWORD, "/payment/mypage")
        .await;
    partner.cookies.push(("jeongsan_buyer".into(), token));
    assert_eq!(partner.text("/payment/mypage").await.0, 403);
    // Without anything: the shop's people sign in, a buyer is told about the link.
    let nobody = Visitor::new(&app.url(""));
    assert!(location(&nobody.get("/payment/mypage").await).starts_with("/sign-in"));
    let (code, text) = nobody.text(&format!("/payment/mine/{imp_uid}")).await;
    assert!(code == 401 && text.contains("가게가 보낸 링크"), "{text}");
    // A key of the API is no buyer's token, nor the other way about.
    let request = app
        .http
        .get(app.url("/payment/mypage"))
        .header("x-buyer-token", TOKEN);
    assert_eq!(request.send().await.unwrap().status(), 401);
    let token = signed(&claims(&app, "u-1"));
    let request = app
        .http
        .get(app.url("/api/payment/list"))
        .bearer_auth(token);
    assert_eq!(request.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_buyer_is_told_how_the_money_really_stands() {
    let mut app = shop().await;
    let part = bought(&app, "ord-1", 9_000, Some("u-1")).await;
    let stuck = bought(&app, "ord-2", 5_000, Some("u-1")).await;
    let reason = json!({ "amount": 3_000, "reason": "손님이 까다로움" });
    let answer = app
        .post(&format!("/api/payment/{part}/cancel"), &reason)
        .await;
    assert_eq!(answer.status(), 200);
    let visitor = buyer(&app, "u-1").await;
    let english = |visitor: &Visitor| {
        let mut visitor = visitor.clone();
        visitor.cookies.push(("lang".into(), "en".into()));
        visitor
    };
    let en = english(&visitor);
    let (_, page) = en.text(&format!("/payment/mine/{part}")).await;
    assert!(
        page.contains("It was given back.") && page.contains("₩3,000"),
        "{page}"
    );
    assert!(!page.contains("까다로움"));
    // PortOne is down: the refund is under way, and then it is stuck. Neither is called given back.
    app.portone.fault(Fault::new(Target::Cancel, Kind::Drop));
    app.cancel(&stuck, None).await;
    let (_, page) = en.text(&format!("/payment/mine/{stuck}")).await;
    assert!(
        page.contains("is not through yet") && !page.contains("It was given back."),
        "{page}"
    );
    app.drain().await;
    assert_eq!(app.status(&stuck).await, "CANCEL_FAILED");
    let (_, page) = en.text(&format!("/payment/mine/{stuck}")).await;
    assert!(
        page.contains("It has not gone back yet.") && !page.contains("CANCEL_FAILED"),
        "{page}"
    );
    let (_, list) = en.text("/payment/mypage").await;
    assert!(
        list.contains("The shop is dealing with the refund")
            && list.contains("Part of it given back")
    );
    app.jobs_may_wait = true;
}

#[tokio::test]
async fn links_are_made_by_who_may_register_orders() {
    let app = shop().await;
    bought(&app, "ord-1", 9_000, Some("u-1")).await;
    for (body, code, kind) in [
        (json!({}), 422, "link"),
        (
            json!({ "buyer": "u-1", "merchant_uids": ["ord-1"] }),
            422,
            "link",
        ),
        (json!({ "merchant_uids": [] }), 422, "link"),
        (json!({ "merchant_uids": vec!["ord-1"; 11] }), 422, "link"),
        (json!({ "buyer": "u-1", "expires": "31d" }), 422, "link"),
        (json!({ "buyer": "u-1", "expires": "1s" }), 422, "link"),
        (json!({ "buyer": "u-1", "expires": "soon" }), 422, "link"),
        (json!({ "merchant_uids": ["ord-none"] }), 404, "not-found"),
        (json!({ "buyer": "" }), 400, "bad-request"),
        (json!({ "buyer": "a b" }), 400, "bad-request"),
        (json!({ "buyers": "u-1" }), 400, "bad-request"),
    ] {
        let (status, answer) = read(app.post("/api/buyers/links", &body).await).await;
        assert_eq!(status, code, "{body}: {answer}");
        assert_eq!(
            answer["type"],
            json!(format!("urn:jeongsan:problem:{kind}")),
            "{body}"
        );
    }
    let store = &app.app().web.ctx.store;
    for (name, role, code) in [
        ("o1", Role::Owner, 201),
        ("v1", Role::Viewer, 403),
        ("a1", Role::Accountant, 403),
    ] {
        let visitor = Visitor::signed_in(store, &app.url(""), name, role).await;
        let request = visitor.request(reqwest::Method::POST, "/api/buyers/links");
        let request = visitor
            .with(request)
            .header("x-form-token", visitor.token())
            .json(&json!({ "buyer": "minsu@example.com" }));
        assert_eq!(request.send().await.unwrap().status(), code, "{name}");
    }
    let subject: String =
        app.sql("select subject from audit where act = 'buyer.link' order by id desc limit 1");
    assert!(
        subject.starts_with("buyer:m") && !subject.contains("minsu"),
        "{subject}"
    );
    let nobody = app
        .http
        .post(app.url("/api/buyers/links"))
        .json(&json!({ "buyer": "u-1" }));
    assert_eq!(nobody.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn whose_an_order_is_stays_as_it_was_registered() {
    let app = shop().await;
    bought(&app, "ord-1", 9_000, Some("u-1")).await;
    let body = |buyer: Value| {
        let line = json!({ "partner": "farm-secret", "name": "햇사과", "quantity": 1, "unit_price": 9_000 });
        json!({ "merchant_uid": "ord-1", "lines": [line], "buyer": buyer })
    };
    assert_eq!(
        app.post("/api/orders", &body(json!("u-1"))).await.status(),
        200
    );
    for other in [json!("u-2"), Value::Null] {
        assert_eq!(app.post("/api/orders", &body(other)).await.status(), 409);
    }
    assert_eq!(app.json("/api/orders/ord-1").await["order"]["buyer"], "u-1");
    for wrong in [json!(""), json!("x".repeat(256)), json!("a\nb"), json!(7)] {
        assert_eq!(app.post("/api/orders", &body(wrong)).await.status(), 400);
    }
}

#[tokio::test]
async fn a_sample_order_is_the_sample_buyers() {
    let app = TestApp::with(
        &[("portone.mode", "test"), ("buyers.secret", SECRET)],
        false,
    )
    .await;
    let visitor = Visitor::new(&app.url(""));
    let answer = visitor
        .post("/payment/orders", &[("product", "apples")])
        .await;
    assert_eq!(answer.status(), 303);
    let buyer: String = app.sql("select buyer from merchant_order");
    assert_eq!(buyer, "sample-buyer");
}

/// The code in the manual, run.
#[tokio::test]
async fn what_the_manual_tells_shops_to_write_makes_a_link_that_opens() {
    let app = shop().await;
    // Those programs go by the machine's clock.
    let ahead = app.clock.now().duration_since(jiff::Timestamp::now());
    app.clock.set_back(Duration::try_from(ahead).unwrap());
    bought(&app, "ord-1", 9_000, Some("customer-7")).await;
    for (program, file) in [
        ("node", "tests/clients/node/buyer-token.mjs"),
        ("python3", "tests/clients/python/buyer_token.py"),
    ] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let code = std::fs::read_to_string(&path).unwrap();
        for manual in ["docs/buyers.md", "docs/buyers.ko.md"] {
            let manual = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(manual);
            let text = std::fs::read_to_string(&manual).unwrap();
            assert!(
                text.contains(code.trim()),
                "{}: not the code of {file}",
                manual.display()
            );
        }
        let output = Command::new(program)
            .arg(&path)
            .env("BUYERS_SECRET", SECRET)
            .env("BUYER", "customer-7")
            .env("SHOP", app.url(""))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let link = String::from_utf8(output.stdout).unwrap();
        let mut visitor = Visitor::new("");
        let answer = visitor.get(link.trim()).await;
        assert_eq!(answer.status(), 303, "{program}: {link}");
        visitor.keep(&answer);
        let (_, list) = visitor.text(&app.url("/payment/mypage")).await;
        assert!(list.contains("ord-1"), "{program}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_is_in_the_log_however_much_is_logged() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let port = free_port();
    let log = dir.path().join("log");
    let set = [
        ("JEONGSAN_BUYERS_SECRET", SECRET),
        ("JEONGSAN_LOG_LEVEL", "trace"),
    ];
    let mut command = Server::command(&sandbox, dir.path(), port, &set);
    let file = std::fs::File::create(&log).unwrap();
    let mut child = command.arg("serve").stderr(file).spawn().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let http = reqwest::Client::new();
    for _ in 0..400 {
        if http.get(format!("{url}/healthz")).send().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let now = jiff::Timestamp::now().as_second();
    let claims = |exp: i64| json!({ "sub": "canary-buyer", "aud": "jeongsan", "exp": exp });
    let (good, over) = (signed(&claims(now + 600)), signed(&claims(now - 600)));
    let link = json!({ "buyer": "canary-buyer" });
    let made = http
        .post(format!("{url}/api/buyers/links"))
        .bearer_auth(TOKEN)
        .json(&link);
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let own = made["url"]
        .as_str()
        .unwrap()
        .split("token=")
        .nth(1)
        .unwrap()
        .to_owned();
    let visitor = Visitor::new(&url);
    for (token, code) in [(&good, 303), (&own, 303), (&over, 401)] {
        let answer = visitor.get(&format!("/payment/mypage?token={token}")).await;
        assert_eq!(answer.status(), code);
        let mut holding = visitor.clone();
        holding
            .cookies
            .push(("jeongsan_buyer".into(), token.clone()));
        holding.get("/payment/mypage").await;
        let request = visitor.request(reqwest::Method::GET, "/payment/mine/imp_1");
        visitor
            .with(request)
            .header("x-buyer-token", token)
            .send()
            .await
            .unwrap();
    }
    Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    child.wait().unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(
        text.contains("a buyer's token was refused"),
        "the shop reads why"
    );
    for token in [&good, &own, &over] {
        for part in token.split('.').skip(1) {
            let line = text.lines().find(|line| line.contains(part));
            assert!(line.is_none(), "a token is in the log: {}", line.unwrap());
        }
    }
    for secret in [SECRET, "canary-buyer"] {
        assert!(!text.contains(secret), "{secret}");
    }
}
