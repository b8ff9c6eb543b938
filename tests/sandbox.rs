//! The sandbox is held to what is known of PortOne: each story talks to it over HTTP, as the product
//! does, and then looks into its books.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, http::StatusCode, routing::post};
use jeongsan::sandbox::{
    Encoding, Fault, Kind, NewPayment, Outcome, SCENARIOS, Sandbox, SandboxConfig, Status, Target,
};
use reqwest::{Client, Response};
use serde_json::{Value, json};

const DAY: u64 = 24 * 60 * 60;

/// A sandbox and somebody who holds its keys.
struct Shop {
    sandbox: Sandbox,
    http: Client,
    token: String,
}

impl Shop {
    async fn open() -> Shop {
        Shop::with(SandboxConfig::default()).await
    }

    async fn with(config: SandboxConfig) -> Shop {
        let sandbox = Sandbox::start(config).await.unwrap();
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let mut shop = Shop {
            sandbox,
            http,
            token: String::new(),
        };
        shop.token = shop.new_token().await["access_token"]
            .as_str()
            .unwrap()
            .to_owned();
        shop
    }

    async fn new_token(&self) -> Value {
        let keys = json!({"imp_key": "imp_apikey", "imp_secret": "imp_secret"});
        let url = format!("{}/users/getToken", self.sandbox.url());
        let answer = self.http.post(url).json(&keys).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        body(answer).await["response"].clone()
    }

    async fn try_get(&self, path: &str) -> reqwest::Result<Response> {
        let url = format!("{}{path}", self.sandbox.url());
        self.http.get(url).bearer_auth(&self.token).send().await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.try_get(path).await.unwrap();
        (answer.status().as_u16(), body(answer).await)
    }

    async fn try_post(&self, path: &str, fields: Value) -> reqwest::Result<Response> {
        let url = format!("{}{path}", self.sandbox.url());
        let post = self.http.post(url).bearer_auth(&self.token);
        post.json(&fields).send().await
    }

    async fn post(&self, path: &str, fields: Value) -> (u16, Value) {
        let answer = self.try_post(path, fields).await.unwrap();
        (answer.status().as_u16(), body(answer).await)
    }

    async fn cancel(&self, fields: Value) -> (u16, Value) {
        self.post("/payments/cancel", fields).await
    }

    fn paid(&self, order: &str, amount: i64) -> String {
        self.sandbox.pay(order_of(order, amount)).unwrap()
    }

    fn cancelled(&self, imp_uid: &str) -> i64 {
        self.sandbox.payment(imp_uid).unwrap().cancel_amount
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.sandbox.check(), Vec::<String>::new());
        }
    }
}

fn order_of(order: &str, amount: i64) -> NewPayment {
    NewPayment {
        merchant_uid: order.to_owned(),
        name: "사과 5kg".to_owned(),
        amount,
        ..NewPayment::default()
    }
}

async fn body(answer: Response) -> Value {
    answer.json().await.unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A merchant's server: keeps what it was sent, answers what it is told to.
struct Merchant {
    url: String,
    got: Arc<Mutex<Vec<(String, String)>>>,
}

impl Merchant {
    async fn open() -> Merchant {
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = got.clone();
        let app = Router::new().route(
            "/hook",
            post(move |headers: axum::http::HeaderMap, text: String| {
                let kind = headers["content-type"].to_str().unwrap().to_owned();
                kept.lock().unwrap().push((kind, text));
                async { (StatusCode::OK, "heard") }
            }),
        );
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = tokio::net::TcpListener::bind(any).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        Merchant { url, got }
    }

    fn got(&self) -> Vec<(String, String)> {
        self.got.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_token_is_the_same_until_it_is_over() {
    let shop = Shop::open().await;
    let first = shop.new_token().await;
    let life = first["expired_at"].as_i64().unwrap() - first["now"].as_i64().unwrap();
    assert!((1_799..=1_800).contains(&life), "{life}");

    shop.sandbox
        .advance(Duration::from_secs(29 * 60 + 30))
        .unwrap();
    let late = shop.new_token().await;
    assert_eq!(late["access_token"], first["access_token"]);
    let more = late["expired_at"].as_i64().unwrap() - first["expired_at"].as_i64().unwrap();
    assert_eq!(more, 300);

    shop.sandbox.advance(Duration::from_secs(6 * 60)).unwrap();
    assert_eq!(shop.get("/payments/imp_x").await.0, 401);
    let new = shop.new_token().await;
    assert_ne!(new["access_token"], first["access_token"]);
}

#[tokio::test]
async fn wrong_keys_and_wrong_tokens_get_401() {
    let mut shop = Shop::open().await;
    let keys = json!({"imp_key": "imp_apikey", "imp_secret": "guess"});
    let (status, answer) = shop.post("/users/getToken", keys).await;
    assert_eq!((status, answer["code"].as_i64()), (401, Some(-1)));

    let url = format!("{}/payments/imp_1", shop.sandbox.url());
    let bare = shop.http.get(&url).header("Authorization", &shop.token);
    assert_eq!(bare.send().await.unwrap().status(), 404, "bare is accepted");
    shop.token = "0123456789".to_owned();
    let (status, answer) = shop.get("/payments/imp_1").await;
    assert_eq!(status, 401);
    assert_eq!(
        answer,
        json!({"code": -1, "message": "Unauthorized", "response": null})
    );

    let form = shop
        .http
        .post(format!("{}/users/getToken", shop.sandbox.url()))
        .form(&[("imp_key", "imp_apikey"), ("imp_secret", "imp_secret")]);
    assert_eq!(form.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_payment_reads_as_portone_writes_it() {
    let shop = Shop::open().await;
    let id = shop
        .sandbox
        .pay(NewPayment {
            custom_data: Some(r#"{"store":"S1"}"#.to_owned()),
            paid_at: Some(1_754_449_060),
            ..order_of("ord/1", 10_000)
        })
        .unwrap();
    let (status, answer) = shop.get(&format!("/payments/{id}")).await;
    assert_eq!((status, answer["code"].as_i64()), (200, Some(0)));
    let payment = &answer["response"];
    assert_eq!(payment["merchant_uid"], "ord/1");
    assert_eq!(payment["status"], "paid");
    assert_eq!(payment["amount"], 10_000);
    assert_eq!(payment["cancel_amount"], 0);
    assert_eq!(payment["paid_at"], 1_754_449_060);
    assert_eq!(payment["failed_at"], 0);
    assert_eq!(payment["cancel_history"], json!([]));
    assert_eq!(payment["custom_data"], r#"{"store":"S1"}"#);
    assert_eq!(payment["sandbox"], false);

    let (status, answer) = shop.get("/payments/imp_000").await;
    assert_eq!((status, answer["code"].as_i64()), (404, Some(-1)));
    assert_eq!(answer["message"], "존재하지 않는 결제정보입니다.");
    let (status, _) = shop.get("/payments/find/ord%2F1").await;
    assert_eq!(status, 200, "ids are percent-encoded");
}

#[tokio::test]
async fn a_test_payment_is_hidden_from_a_plain_read_only() {
    let shop = Shop::open().await;
    let test = NewPayment {
        sandbox: true,
        ..order_of("o1", 100)
    };
    let id = shop.sandbox.pay(test).unwrap();
    assert_eq!(shop.get(&format!("/payments/{id}")).await.0, 404);
    let (status, answer) = shop
        .get(&format!("/payments/{id}?include_sandbox=true"))
        .await;
    assert_eq!(status, 200);
    assert_eq!(answer["response"]["sandbox"], true);
    assert_eq!(shop.get("/payments/find/o1").await.0, 200);
}

#[tokio::test]
async fn foreign_money_is_a_decimal_number() {
    let shop = Shop::open().await;
    let dollars = NewPayment {
        currency: "USD".to_owned(),
        ..order_of("o1", 1_250)
    };
    let id = shop.sandbox.pay(dollars).unwrap();
    let (_, answer) = shop.get(&format!("/payments/{id}")).await;
    assert_eq!(answer["response"]["amount"], 12.5);
    let part = json!({"imp_uid": id, "amount": 2.25, "checksum": 12.5});
    let (_, answer) = shop.cancel(part).await;
    assert_eq!(answer["response"]["cancel_amount"], 2.25);
    assert_eq!(shop.cancelled(&id), 225);
}

#[tokio::test]
async fn many_payments_are_read_at_once() {
    let shop = Shop::open().await;
    let (a, b) = (shop.paid("a", 1), shop.paid("b", 2));
    let (status, answer) = shop
        .get(&format!("/payments?imp_uid[]={a}&imp_uid[]={b}"))
        .await;
    assert_eq!(status, 200);
    assert_eq!(answer["response"].as_array().unwrap().len(), 2);
    let (status, answer) = shop
        .get(&format!("/payments?imp_uid%5B%5D={a}&merchant_uid[]=none"))
        .await;
    assert_eq!((status, answer["code"].as_i64()), (207, Some(0)));
    assert_eq!(answer["response"].as_array().unwrap().len(), 1);
    assert_eq!(shop.get("/payments?imp_uid[]=imp_0").await.0, 404);
    assert_eq!(shop.get("/payments").await.0, 400);
}

#[tokio::test]
async fn an_order_can_have_failed_tries() {
    let shop = Shop::open().await;
    let failed = NewPayment {
        status: Status::Failed,
        paid_at: Some(shop.sandbox.now() - 60),
        ..order_of("o1", 500)
    };
    let failed = shop.sandbox.pay(failed).unwrap();
    let paid = shop.paid("o1", 500);
    let (_, newest) = shop.get("/payments/find/o1").await;
    assert_eq!(newest["response"]["imp_uid"], paid);
    let (_, oldest) = shop.get("/payments/find/o1?sorting=started").await;
    assert_eq!(oldest["response"]["imp_uid"], failed);
    let (_, only) = shop.get("/payments/find/o1/failed").await;
    assert_eq!(only["response"]["imp_uid"], failed);
    let (_, all) = shop.get("/payments/findAll/o1").await;
    assert_eq!(all["response"]["total"], 2);
    assert_eq!(shop.get("/payments/findAll/o1/nonsense").await.0, 400);
    assert_eq!(shop.get("/payments/find/other").await.0, 404);
}

#[tokio::test]
async fn a_search_cuts_by_the_instant_of_the_status() {
    let shop = Shop::open().await;
    let now = shop.sandbox.now();
    let old = now - 40 * DAY as i64;
    let new = (0..25).map(|at| NewPayment {
        paid_at: Some(old + at),
        ..order_of(&format!("o{at}"), 1_000)
    });
    let ids = shop.sandbox.pay_many(new).unwrap();

    let path = format!("/payments/status/paid?from={old}&to={}", old + 24);
    let (_, first) = shop.get(&path).await;
    let page = &first["response"];
    assert_eq!(page["total"], 25);
    assert_eq!(page["list"].as_array().unwrap().len(), 20);
    assert_eq!(page["list"][0]["merchant_uid"], "o24", "newest first");
    assert_eq!((&page["previous"], &page["next"]), (&json!(0), &json!(2)));
    let (_, second) = shop.get(&format!("{path}&page=2&sorting=paid")).await;
    assert_eq!(second["response"]["list"][4]["merchant_uid"], "o24");
    assert_eq!(second["response"]["next"], 0);
    assert_eq!(shop.get(&format!("{path}&page=3")).await.0, 400);
    assert_eq!(shop.get(&format!("{path}&limit=1001")).await.0, 400);

    shop.cancel(json!({"imp_uid": ids[3], "amount": 1})).await;
    let (_, then) = shop.get(&path).await;
    assert_eq!(then["response"]["total"], 24);
    let path = format!("/payments/status/cancelled?from={now}");
    assert_eq!(shop.get(&path).await.1["response"]["total"], 1);
    assert_eq!(
        shop.get("/payments/status/all").await.1["response"]["total"],
        25
    );

    let wide = format!(
        "/payments/status/all?from={}&to={now}",
        now - 90 * DAY as i64 - 1
    );
    assert_eq!(shop.get(&wide).await.0, 400);
    assert_eq!(shop.get("/payments/status/open").await.0, 400);
}

#[tokio::test]
async fn an_amount_is_registered_once_and_then_changed() {
    let shop = Shop::open().await;
    let path = "/payments/prepare";
    let first = json!({"merchant_uid": "o1", "amount": 1_000});
    assert_eq!(shop.post(path, first.clone()).await.1["code"], 0);
    let (status, again) = shop.post(path, first).await;
    assert_eq!((status, again["code"].as_i64()), (200, Some(1)));
    assert!(again["message"].as_str().unwrap().contains("이미 등록된"));

    let put = |fields: Value| {
        let url = format!("{}{path}", shop.sandbox.url());
        let put = shop.http.put(url).bearer_auth(&shop.token);
        put.json(&fields).send()
    };
    let changed = put(json!({"merchant_uid": "o1", "amount": 900})).await;
    assert_eq!(changed.unwrap().status(), 200);
    let unknown = put(json!({"merchant_uid": "o2", "amount": 900})).await;
    assert_eq!(unknown.unwrap().status(), 404);
    let (_, read) = shop.get("/payments/prepare/o1").await;
    assert_eq!(read["response"]["amount"], 900);
    assert_eq!(shop.get("/payments/prepare/o2").await.0, 404);
    assert_eq!(shop.post(path, json!({"amount": 1})).await.0, 400);
}

#[tokio::test]
async fn money_goes_back_in_pieces_and_never_more_than_there_is() {
    let shop = Shop::open().await;
    let id = shop.paid("o1", 10_000);
    let part = json!({"imp_uid": id, "amount": 3_000, "checksum": 10_000, "reason": "r-1"});
    let (_, answer) = shop.cancel(part.clone()).await;
    let payment = &answer["response"];
    assert_eq!(payment["status"], "cancelled", "part of it is enough");
    assert_eq!(payment["amount"], 10_000);
    assert_eq!(payment["cancel_amount"], 3_000);
    assert_eq!(payment["cancel_reason"], "r-1");
    let entry = &payment["cancel_history"][0];
    assert_eq!(
        (&entry["amount"], &entry["reason"]),
        (&json!(3_000), &json!("r-1"))
    );
    assert!(!entry["cancellation_id"].as_str().unwrap().is_empty());

    let (status, replay) = shop.cancel(part).await;
    assert_eq!(status, 200);
    assert_ne!(replay["code"], 0, "the checksum is not true any more");
    assert_eq!(replay["response"], Value::Null);
    let (_, much) = shop.cancel(json!({"imp_uid": id, "amount": 7_001})).await;
    assert_ne!(much["code"], 0);
    let (status, _) = shop.cancel(json!({"imp_uid": id, "amount": -1})).await;
    assert_eq!(status, 400);
    let half = shop.cancel(json!({"imp_uid": id, "amount": 0.5})).await;
    assert_eq!(half.0, 400, "there is no half won");
    assert_eq!(shop.cancelled(&id), 3_000);

    let (_, rest) = shop
        .cancel(json!({"merchant_uid": "o1", "amount": 0}))
        .await;
    assert_eq!(rest["response"]["cancel_amount"], 10_000);
    let (status, again) = shop.cancel(json!({"imp_uid": id})).await;
    assert_eq!((status, again["code"].as_i64()), (200, Some(1)));
    assert_eq!(again["message"], "이미 전액취소된 주문입니다.");
}

#[tokio::test]
async fn a_cancel_needs_a_payment_that_was_paid() {
    let shop = Shop::open().await;
    let id = shop.paid("o1", 1_000);
    let wrong = json!({"imp_uid": "imp_0", "merchant_uid": "o1"});
    let (status, answer) = shop.cancel(wrong).await;
    assert_eq!((status, answer["code"].as_i64()), (200, Some(1)));
    assert_eq!(answer["message"], "취소할 결제건이 존재하지 않습니다.");
    assert_eq!(shop.cancel(json!({"amount": 5})).await.0, 400);

    let waiting = NewPayment {
        method: "vbank".to_owned(),
        status: Status::Ready,
        ..order_of("o2", 2_000)
    };
    let account = shop.sandbox.pay(waiting).unwrap();
    let (_, early) = shop.cancel(json!({"imp_uid": account})).await;
    assert_eq!(early["code"], 1);
    shop.sandbox.deposit(&account).unwrap();
    assert!(shop.sandbox.deposit(&account).is_err(), "only once");
    let (_, bare) = shop.cancel(json!({"imp_uid": account})).await;
    assert_eq!(bare["code"], -1, "no refund account");
    let url = format!("{}/payments/cancel", shop.sandbox.url());
    let form = shop.http.post(url).bearer_auth(&shop.token).form(&[
        ("imp_uid", account.as_str()),
        ("amount", "2000"),
        ("checksum", "2000"),
        ("refund_holder", "홍길동"),
        ("refund_bank", "088"),
        ("refund_account", "110123"),
    ]);
    assert_eq!(body(form.send().await.unwrap()).await["code"], 0);
    assert_eq!(shop.cancelled(&id), 0);
    assert_eq!(shop.sandbox.calls("cancel"), 5);
}

#[tokio::test]
async fn faults_before_the_act_change_nothing() {
    let shop = Shop::open().await;
    let id = shop.paid("o1", 1_000);
    let order = json!({"imp_uid": id, "amount": 1_000, "checksum": 1_000});
    let once = |kind| {
        shop.sandbox
            .fault(Fault::new(Target::Cancel, kind).times(1))
    };

    once(Kind::refuse());
    let (status, answer) = shop.cancel(order.clone()).await;
    assert_eq!((status, answer["code"].as_i64()), (200, Some(-1)));
    assert!(answer["message"].as_str().unwrap().contains("[8178]"));

    once(Kind::Status {
        status: 503,
        retry_after: Some(7),
    });
    let answer = shop
        .try_post("/payments/cancel", order.clone())
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "7");
    assert!(answer.json::<Value>().await.is_err(), "not JSON");

    once(Kind::Garbage);
    let answer = shop
        .try_post("/payments/cancel", order.clone())
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.json::<Value>().await.is_err());

    once(Kind::Drop);
    assert!(
        shop.try_post("/payments/cancel", order.clone())
            .await
            .is_err()
    );
    once(Kind::Hang { ms: 200 });
    let start = Instant::now();
    assert!(
        shop.try_post("/payments/cancel", order.clone())
            .await
            .is_err()
    );
    assert!(start.elapsed() >= Duration::from_millis(200));

    assert_eq!(shop.cancelled(&id), 0);
    assert_eq!(shop.cancel(order).await.1["code"], 0, "all are used up");
    let cut = |done| {
        let seen = shop.sandbox.requests();
        let cut = Outcome::Cut { done };
        seen.iter().filter(|one| one.outcome == cut).count()
    };
    assert_eq!((cut(false), cut(true)), (2, 0));
}

#[tokio::test]
async fn faults_after_the_act_lose_only_the_answer() {
    let shop = Shop::open().await;
    let kinds = [
        Kind::DoThenDrop,
        Kind::DoThenHang { ms: 100 },
        Kind::DoThenStatus { status: 500 },
        Kind::DoThenGarbage,
        Kind::Slow { ms: 100 },
        Kind::Drip { ms: 0 },
    ];
    for (at, kind) in kinds.into_iter().enumerate() {
        let id = shop.paid(&format!("o{at}"), 1_000);
        let fault = Fault::new(Target::Cancel, kind.clone()).times(1).only(&id);
        shop.sandbox.fault(fault);
        let order = json!({"imp_uid": id, "amount": 1_000, "checksum": 1_000});
        let answer = shop.try_post("/payments/cancel", order).await;
        match kind {
            Kind::DoThenDrop | Kind::DoThenHang { .. } => assert!(answer.is_err(), "{kind:?}"),
            Kind::DoThenStatus { .. } => assert_eq!(answer.unwrap().status(), 500),
            Kind::DoThenGarbage => assert!(answer.unwrap().json::<Value>().await.is_err()),
            _ => assert_eq!(body(answer.unwrap()).await["code"], 0),
        }
        assert_eq!(shop.cancelled(&id), 1_000, "{kind:?}");
    }
}

#[tokio::test]
async fn a_caller_that_gave_up_waiting_has_still_cancelled() {
    let shop = Shop::open().await;
    let id = shop.paid("o1", 1_000);
    shop.sandbox
        .fault(Fault::new(Target::Cancel, Kind::Slow { ms: 60_000 }));
    let url = format!("{}/payments/cancel", shop.sandbox.url());
    let call = shop.http.post(url).bearer_auth(&shop.token);
    let call = call.timeout(Duration::from_millis(200));
    let answer = call.json(&json!({"imp_uid": id})).send().await;
    assert!(answer.unwrap_err().is_timeout());
    assert_eq!(shop.cancelled(&id), 1_000);
}

#[tokio::test]
async fn an_asynchronous_cancel_shows_later_and_tells() {
    let merchant = Merchant::open().await;
    let shop = Shop::open().await;
    shop.sandbox.set_webhook_url(Some(merchant.url.clone()));
    let id = shop.paid("o1", 1_000);
    shop.sandbox
        .fault(Fault::new(Target::Cancel, Kind::Async { ms: 300 }).times(1));
    let order = json!({"imp_uid": id, "checksum": 1_000});
    let (_, answer) = shop.cancel(order.clone()).await;
    assert_eq!(answer["code"], 0);
    assert_eq!(answer["response"]["cancel_history"], json!([]));
    assert_ne!(shop.cancel(order).await.1["code"], 0, "it is held back");
    until("the cancel shows", || shop.cancelled(&id) == 1_000).await;
    until("the webhook came", || merchant.got().len() == 1).await;
    let hook: Value = serde_json::from_str(&merchant.got()[0].1).unwrap();
    assert_eq!(hook["status"], "cancelled");
    let entry = &shop.sandbox.cancels_of(&id)[0];
    assert_eq!(hook["cancellation_id"], entry.cancellation_id);
}

#[tokio::test]
async fn reads_can_lie_lead_astray_and_never_end() {
    let shop = Shop::open().await;
    let id = shop.paid("o1", 1_000);
    let path = format!("/payments/{id}");
    let once = |kind| shop.sandbox.fault(Fault::new(Target::Get, kind).times(1));
    once(Kind::WrongAmount { delta: -100 });
    assert_eq!(shop.get(&path).await.1["response"]["amount"], 900);
    assert_eq!(shop.get(&path).await.1["response"]["amount"], 1_000);
    once(Kind::Redirect);
    let answer = shop.try_get(&path).await.unwrap();
    assert_eq!(answer.status(), 302);
    let to = answer.headers()["location"].to_str().unwrap();
    assert_eq!(to, format!("{}/sandbox/redirected", shop.sandbox.url()));
    assert_eq!(shop.sandbox.calls("redirected"), 0);
    once(Kind::Huge { mb: 3 });
    let answer = shop.try_get(&path).await.unwrap();
    assert!(answer.bytes().await.unwrap().len() > 3 << 20);
}

#[tokio::test]
async fn faults_are_told_over_http_too() {
    let shop = Shop::open().await;
    let fault = json!({"on": "token", "kind": "status", "status": 401, "times": 1});
    let url = format!("{}/sandbox/faults", shop.sandbox.url());
    let set = shop.http.post(&url).json(&fault).send().await.unwrap();
    assert_eq!(set.status(), 204);
    let listed = body(shop.http.get(&url).send().await.unwrap()).await;
    assert_eq!(listed[0]["status"], 401);
    let keys = json!({"imp_key": "imp_apikey", "imp_secret": "imp_secret"});
    assert_eq!(
        shop.try_post("/users/getToken", keys)
            .await
            .unwrap()
            .status(),
        401
    );
    assert!(shop.sandbox.faults().is_empty());

    shop.sandbox.fault(Fault::new(Target::List, Kind::Drop));
    let elsewhere = shop
        .http
        .delete(&url)
        .header("sec-fetch-site", "cross-site");
    assert_eq!(elsewhere.send().await.unwrap().status(), 403);
    shop.http.delete(&url).send().await.unwrap();
    assert!(shop.sandbox.faults().is_empty());
}

#[tokio::test]
async fn every_scenario_is_set_and_cleared_from_the_page() {
    let shop = Shop::open().await;
    for scenario in SCENARIOS {
        let url = format!("{}/sandbox/scenarios/{}", shop.sandbox.url(), scenario.name);
        let form = |to: &'static str| shop.http.post(&url).form(&[("set", to)]).send();
        assert_eq!(form("on").await.unwrap().status(), 303);
        assert_eq!(shop.sandbox.faults(), scenario.faults());
        assert_eq!(form("off").await.unwrap().status(), 303);
        assert_eq!(shop.sandbox.faults(), []);
    }
}

#[tokio::test]
async fn webhooks_are_told_doubled_and_lost() {
    let merchant = Merchant::open().await;
    let shop = Shop::open().await;
    let id = shop.paid("o1", 1_000);
    assert!(shop.sandbox.send_webhook(&id).await.is_err(), "no URL yet");
    shop.sandbox.set_webhook_url(Some(merchant.url.clone()));
    let (status, text) = shop.sandbox.send_webhook(&id).await.unwrap();
    assert_eq!((status, text.as_str()), (200, "heard"));
    let (kind, text) = merchant.got().remove(0);
    assert_eq!(kind, "application/json");
    let hook: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        hook,
        json!({"imp_uid": id, "merchant_uid": "o1", "status": "paid"})
    );

    shop.sandbox.set_webhook_encoding(Encoding::Form);
    let tell = json!({"imp_uid": id, "amount": 10, "enable_webhook": true});
    let quiet = json!({"imp_uid": id, "amount": 10});
    shop.cancel(quiet).await;
    let fault = Fault::new(Target::Webhook, Kind::RepeatWebhook { n: 1 });
    shop.sandbox.fault(fault.times(1));
    shop.cancel(tell.clone()).await;
    until("it came twice", || merchant.got().len() == 3).await;
    let (kind, text) = merchant.got().remove(2);
    assert_eq!(kind, "application/x-www-form-urlencoded");
    assert!(text.starts_with(&format!("imp_uid={id}&merchant_uid=o1&status=cancelled&")));

    shop.sandbox
        .fault(Fault::new(Target::Webhook, Kind::DropWebhook).times(1));
    shop.cancel(tell.clone()).await;
    until("it was lost", || shop.sandbox.deliveries().len() == 4).await;
    shop.sandbox
        .fault(Fault::new(Target::Webhook, Kind::DelayWebhook { ms: 150 }).times(1));
    let start = Instant::now();
    shop.cancel(tell).await;
    until("it came late", || merchant.got().len() == 4).await;
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn the_books_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = SandboxConfig {
        ledger: Some(dir.path().join("ledger.jsonl")),
        ..SandboxConfig::default()
    };
    let shop = Shop::with(config.clone()).await;
    let id = shop.paid("o1", 10_000);
    shop.cancel(json!({"imp_uid": id, "amount": 4_000, "reason": "first"}))
        .await;
    shop.post(
        "/payments/prepare",
        json!({"merchant_uid": "o2", "amount": 7}),
    )
    .await;
    let before = shop.sandbox.payment(&id);
    shop.sandbox.advance(Duration::from_secs(DAY)).unwrap();
    let moved = shop.sandbox.now();
    drop(shop);

    let shop = Shop::with(config).await;
    assert_eq!(shop.sandbox.payment(&id), before);
    assert!(shop.sandbox.now() >= moved);
    assert_eq!(shop.sandbox.prepared("o2").unwrap().amount, 7);
    let rest = json!({"imp_uid": id, "amount": 6_000, "checksum": 6_000});
    assert_eq!(shop.cancel(rest).await.1["code"], 0);
}

#[tokio::test]
async fn a_stopped_sandbox_is_gone_even_for_open_connections() {
    let shop = Shop::open().await;
    let (http, url) = (shop.http.clone(), shop.sandbox.url());
    let addr = shop.sandbox.addr();
    let hang = Fault::new(Target::List, Kind::Hang { ms: 60_000 });
    shop.sandbox.fault(hang);
    let waiting = {
        let call = http.get(format!("{url}/payments/status/all"));
        tokio::spawn(call.bearer_auth(&shop.token).send())
    };
    until("it hangs", || shop.sandbox.calls("list") == 1).await;
    drop(shop);
    assert!(waiting.await.unwrap().is_err());
    assert!(http.get(format!("{url}/payments")).send().await.is_err());

    let config = SandboxConfig {
        bind: addr,
        ..SandboxConfig::default()
    };
    let start = Instant::now();
    let again = loop {
        match Sandbox::start(config.clone()).await {
            Ok(sandbox) => break sandbox,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(5), "{error}"),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(again.addr(), addr, "the port is free again");
    again.stop().await;
}

#[tokio::test]
async fn slack_takes_messages_and_can_be_down() {
    let shop = Shop::open().await;
    let url = format!("{}/slack/services/T0/B0/x", shop.sandbox.url());
    let send = |text: &'static str| {
        let post = shop
            .http
            .post(&url)
            .header("content-type", "application/json");
        post.body(text).send()
    };
    let answer = send(r#"{"text":"환불 실패"}"#).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
    let answer = send("{").await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.text().await.unwrap(), "invalid_payload");
    assert_eq!(send("{}").await.unwrap().status(), 400);

    let kind = Kind::Status {
        status: 429,
        retry_after: Some(3),
    };
    shop.sandbox.fault(Fault::new(Target::Slack, kind).times(1));
    let answer = send(r#"{"text":"a"}"#).await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "3");
    shop.sandbox
        .fault(Fault::new(Target::Slack, Kind::DoThenDrop).times(1));
    assert!(send(r#"{"blocks":[{"type":"divider"}]}"#).await.is_err());
    let kept = shop.sandbox.slack_messages();
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0]["text"], "환불 실패");
}

#[tokio::test]
async fn it_stays_on_this_machine() {
    let config = SandboxConfig {
        bind: SocketAddr::from(([0, 0, 0, 0], 0)),
        ..SandboxConfig::default()
    };
    assert!(Sandbox::start(config).await.is_err());
}

/// What a buyer's browser does with the window, without a browser.
struct Window<'a> {
    shop: &'a Shop,
    page: String,
}

impl Window<'_> {
    async fn open<'a>(shop: &'a Shop, params: &[(&str, &str)]) -> Window<'a> {
        let mut all = vec![("code", "imp00000000"), ("name", "사과 <b>5kg</b>")];
        all.extend(params);
        let url = format!("{}/window", shop.sandbox.url());
        let answer = shop.http.get(url).query(&all).send().await.unwrap();
        let page = if answer.status().is_redirection() {
            answer.headers()["location"].to_str().unwrap().to_owned()
        } else {
            assert!(answer.headers().contains_key("content-security-policy"));
            answer.text().await.unwrap()
        };
        Window { shop, page }
    }

    fn imp_uid(&self) -> String {
        let start = self.page.find("data-opened=\"").expect("it is open") + 13;
        let end = self.page[start..].find('"').unwrap();
        self.page[start..start + end].to_owned()
    }

    async fn choose(&self, method: &str, act: &str, way: (&str, &str)) -> Response {
        let imp_uid = self.imp_uid();
        let form = [
            ("imp_uid", imp_uid.as_str()),
            ("method", method),
            ("act", act),
            way,
        ];
        let url = format!("{}/window/pay", self.shop.sandbox.url());
        self.shop.http.post(url).form(&form).send().await.unwrap()
    }
}

const BACK: (&str, &str) = ("m_redirect_url", "http://127.0.0.1:9/return?shop=1");
const FRAMED: (&str, &str) = ("origin", "http://127.0.0.1:9");

#[tokio::test]
async fn a_buyer_pays_and_is_sent_back() {
    let merchant = Merchant::open().await;
    let shop = Shop::open().await;
    let order = [("merchant_uid", "o1"), ("amount", "23900")];
    let hook = ("notice_url", merchant.url.as_str());
    let window = Window::open(&shop, &[order[0], order[1], hook, BACK]).await;
    assert!(window.page.contains("₩23,900"));
    assert!(window.page.contains("사과 &lt;b&gt;5kg&lt;/b&gt;"));
    let id = window.imp_uid();
    assert_eq!(shop.sandbox.payment(&id).unwrap().status, Status::Ready);

    let answer = window.choose("kakaopay", "pay", BACK).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(
        answer.headers()["location"],
        format!("http://127.0.0.1:9/return?shop=1&imp_uid={id}&merchant_uid=o1&imp_success=true")
    );
    let payment = shop.sandbox.payment(&id).unwrap();
    assert_eq!(
        (payment.status, &*payment.method),
        (Status::Paid, "kakaopay")
    );
    until("the webhook came", || merchant.got().len() == 1).await;

    window.choose("kakaopay", "decline", BACK).await;
    let after = shop.sandbox.payment(&id).unwrap();
    assert_eq!(after, payment, "a choice is made once");
    let again = Window::open(&shop, &[order[0], order[1], BACK]).await;
    assert!(again.page.contains("error_code="), "it is paid already");
}

#[tokio::test]
async fn a_window_that_failed_or_was_closed_says_so() {
    let shop = Shop::open().await;
    let order = [("merchant_uid", "o1"), ("amount", "100"), FRAMED];
    let window = Window::open(&shop, &order).await;
    let page = window.choose("card", "decline", FRAMED).await;
    let page = page.text().await.unwrap();
    assert!(page.contains("error_code") && page.contains("한도초과"));
    let failed = shop.sandbox.payment(&window.imp_uid()).unwrap();
    assert_eq!(failed.status, Status::Failed);

    let window = Window::open(&shop, &order).await;
    window.choose("card", "close", FRAMED).await;
    let left = shop.sandbox.payment(&window.imp_uid()).unwrap();
    assert_eq!(left.status, Status::Ready);
    assert_eq!(shop.sandbox.deliveries().len(), 0, "neither is told");
    assert_eq!(shop.sandbox.payments_of("o1").len(), 2);
}

#[tokio::test]
async fn a_virtual_account_waits_for_its_deposit() {
    let merchant = Merchant::open().await;
    let shop = Shop::open().await;
    shop.sandbox.set_webhook_url(Some(merchant.url.clone()));
    let order = [("merchant_uid", "o1"), ("amount", "100"), FRAMED];
    let window = Window::open(&shop, &order).await;
    let id = window.imp_uid();
    let page = window.choose("vbank", "pay", FRAMED).await;
    let account = shop.sandbox.payment(&id).unwrap();
    let number = account.vbank().unwrap().number.clone();
    assert!(page.text().await.unwrap().contains(&number));
    until("ready is told", || merchant.got().len() == 1).await;

    let url = format!("{}/sandbox/payments/{id}/deposit", shop.sandbox.url());
    shop.http.post(url).send().await.unwrap();
    until("paid is told", || merchant.got().len() == 2).await;
    let (_, read) = shop.get(&format!("/payments/{id}")).await;
    assert_eq!(read["response"]["status"], "paid");
    assert_eq!(read["response"]["vbank_num"], number);
}

#[tokio::test]
async fn a_window_does_not_open_for_another_amount_than_was_registered() {
    let shop = Shop::open().await;
    let fields = json!({"merchant_uid": "o1", "amount": 1_000});
    shop.post("/payments/prepare", fields).await;
    let cheap = [("merchant_uid", "o1"), ("amount", "100"), FRAMED];
    let window = Window::open(&shop, &cheap).await;
    assert!(window.page.contains("error_code"));
    assert!(!window.page.contains("data-opened"));
    assert_eq!(shop.sandbox.count(), 0);
    let right = [("merchant_uid", "o1"), ("amount", "1000"), FRAMED];
    Window::open(&shop, &right).await.imp_uid();
    let wrong = [("code", "imp1"), ("merchant_uid", "o2"), ("amount", "1")];
    let url = format!("{}/window", shop.sandbox.url());
    let answer = shop.http.get(url).query(&wrong).send().await.unwrap();
    assert!(!answer.text().await.unwrap().contains("data-opened"));
}

#[tokio::test]
async fn the_control_page_shows_text_as_text_in_two_languages() {
    let merchant = Merchant::open().await;
    let shop = Shop::open().await;
    shop.sandbox.set_webhook_url(Some(merchant.url.clone()));
    let id = shop
        .sandbox
        .pay(NewPayment {
            name: "<script>alert(1)</script>".to_owned(),
            ..order_of("o1", 12_000)
        })
        .unwrap();
    let page = |query: &'static str| {
        let get = shop
            .http
            .get(format!("{}/sandbox{query}", shop.sandbox.url()));
        async { get.send().await.unwrap().text().await.unwrap() }
    };
    let korean = page("").await;
    assert!(korean.contains("장애 스위치") && korean.contains("₩12,000"));
    assert!(!korean.contains("<script>alert"));
    assert!(!korean.contains(" style="), "nothing inline");
    assert!(page("?lang=en").await.contains("Clear all"));
    assert!(page("?q=nothing").await.contains("아직 결제가 없습니다"));

    let url = format!("{}/sandbox/payments/{id}/cancel", shop.sandbox.url());
    let form = |amount: &'static str| shop.http.post(&url).form(&[("amount", amount)]).send();
    assert_eq!(form("5000").await.unwrap().status(), 303);
    assert_eq!(shop.cancelled(&id), 5_000);
    until("the console told it", || merchant.got().len() == 1).await;
    let refused = form("7001").await.unwrap();
    let to = refused.headers()["location"].to_str().unwrap().to_owned();
    assert!(to.starts_with("/sandbox?error="));
    assert_eq!(shop.cancelled(&id), 5_000);
}

#[tokio::test]
async fn a_webhook_is_tried_once_or_as_often_as_was_asked_for() {
    let nobody = Some("http://127.0.0.1:9/hook".to_owned());
    for (redeliver, tries) in [(None, 1), (Some(Duration::from_millis(5)), 6)] {
        let shop = Shop::with(SandboxConfig {
            webhook_url: nobody.clone(),
            redeliver,
            ..SandboxConfig::default()
        })
        .await;
        let id = shop.paid("o1", 1_000);
        shop.cancel(json!({"imp_uid": id, "enable_webhook": true}))
            .await;
        until("all tries are made", || {
            shop.sandbox.calls("webhook") == tries
        })
        .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(shop.sandbox.calls("webhook"), tries);
        assert!(shop.sandbox.deliveries().iter().all(|one| one.answer == 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_with_one_checksum_cancel_once() {
    let shop = Arc::new(Shop::open().await);
    let id = shop.paid("o1", 10_000);
    let calls = (0..50).map(|_| {
        let (shop, id) = (shop.clone(), id.clone());
        tokio::spawn(async move {
            let order = json!({"imp_uid": id, "amount": 1_000, "checksum": 10_000});
            shop.cancel(order).await.1["code"] == 0
        })
    });
    let mut done = 0;
    for call in calls.collect::<Vec<_>>() {
        done += u32::from(call.await.unwrap());
    }
    assert_eq!(done, 1);
    assert_eq!(shop.cancelled(&id), 1_000);
}
