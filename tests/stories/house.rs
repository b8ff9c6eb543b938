//! A shop in which everything has happened once, with words of the test's choice wherever somebody
//! outside can write: for tests that look at every page and every file.

use std::{collections::BTreeSet, path::Path, time::Duration};

use jeongsan::{
    domain::calendar::KstDay,
    flow::settle_day::settle_until,
    sandbox::{Buyer, Fault, Kind, NewPayment, Status, Target},
};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{TOKEN, TestApp, read};

/// What stands where.
#[derive(Clone, Debug)]
pub struct Words {
    /// In every reason, note and memo.
    pub free: String,
    /// What is sold.
    pub goods: String,
    /// The partner's name.
    pub partner: String,
    pub person: String,
    pub tel: String,
    pub mail: String,
    pub account: String,
}

impl Words {
    /// The same text wherever any text may stand.
    pub fn all(text: &str) -> Words {
        Words {
            free: text.into(),
            goods: text.into(),
            partner: text.into(),
            person: text.into(),
            tel: "010-1234-5678".into(),
            mail: "hong@example.com".into(),
            account: "00401234512345".into(),
        }
    }
}

pub struct House {
    pub app: TestApp,
    /// Follows nothing.
    http: reqwest::Client,
    pub day: KstDay,
    pub batch: i64,
    pub settlement: i64,
    pub payout: i64,
    pub dead: i64,
    pub contract: i64,
    /// Paid and partly given back.
    pub imp_uid: String,
    /// Waits for a deposit.
    pub waits: String,
    pub failed: String,
    pub held: String,
}

impl House {
    pub fn buyer(words: &Words) -> Buyer {
        Buyer {
            name: Some(words.person.clone()),
            email: Some(words.mail.clone()),
            tel: Some(words.tel.clone()),
            addr: Some(words.free.clone()),
            postcode: Some("06000".into()),
        }
    }

    pub async fn open(words: &Words) -> House {
        House::with(words, &[]).await
    }

    pub async fn with(words: &Words, set: &[(&'static str, &str)]) -> House {
        let mut app = TestApp::with(set, false).await;
        app.jobs_may_wait = true;
        let day = KstDay::of(app.clock.now());
        let partner = json!({
            "id": "farm", "name": words.partner, "type": "INDIVIDUAL", "status": "APPROVED", "memo": words.free,
            "account": { "bank": "004", "number": words.account, "holder": words.person },
            "contact": { "name": words.person, "email": words.mail, "phone": words.tel },
        });
        let (status, answer) = read(app.post("/api/partners", &partner).await).await;
        assert_eq!(status, 201, "{answer}");
        // Something of the partner has changed, too.
        let mut changed = partner.clone();
        changed["memo"] = json!(format!("{} {}", words.free, words.tel));
        let request = app
            .http
            .put(app.url("/api/partners/farm"))
            .bearer_auth(TOKEN);
        assert_eq!(request.json(&changed).send().await.unwrap().status(), 200);
        let terms = json!({ "from": day, "terms": { "fee": { "rate": 0 },
            "cycle": { "lag_days": 0, "method": { "kind": "DAILY" }, "holiday": "CALENDAR_DAY" } } });
        let (status, version) = read(app.post("/api/partners/farm/contracts", &terms).await).await;
        assert_eq!(status, 201, "{version}");

        let order = |id: &str, won: i64| {
            json!({ "merchant_uid": id, "name": words.goods, "lines": [
                { "partner": "farm", "name": words.goods, "quantity": 1, "unit_price": won }] })
        };
        let payment = |id: &str, won: i64| NewPayment {
            merchant_uid: id.into(),
            amount: won,
            name: words.goods.clone(),
            buyer: House::buyer(words),
            custom_data: Some(words.free.clone()),
            ..NewPayment::default()
        };
        for (id, won) in [
            ("ord-1", 30_000),
            ("ord-2", 20_000),
            ("ord-3", 10_000),
            ("ord-4", 5_000),
            ("ord-5", 7_000),
        ] {
            let (status, answer) = read(app.post("/api/orders", &order(id, won)).await).await;
            assert_eq!(status, 201, "{answer}");
        }
        let imp_uid = app.charge_as(payment("ord-1", 30_000));
        let raw = json!({ "imp_uid": imp_uid, "merchant_uid": "ord-1", "status": "paid", "buyer_name": words.person,
            "buyer_tel": words.tel, "custom_data": words.free });
        app.post("/api/payment/portone", &raw).await;
        let cancel = json!({ "amount": 1_000, "reason": words.free });
        let (status, answer) = read(
            app.post(&format!("/api/payment/{imp_uid}/cancel"), &cancel)
                .await,
        )
        .await;
        assert_eq!(status, 200, "{answer}");

        // A cancel that PortOne refuses, in these words.
        let refused = app.charge_as(payment("ord-2", 20_000));
        app.webhook(&refused, "ord-2", "paid").await;
        let refuse = Kind::Refuse {
            code: -1,
            message: words.free.clone(),
        };
        app.portone.fault(Fault::new(Target::Cancel, refuse));
        let cancel = json!({ "reason": words.free });
        app.post(&format!("/api/payment/{refused}/cancel"), &cancel)
            .await;
        app.drain().await;
        app.portone.clear_faults();
        let dead = *app.dead().first().expect("a dead letter");

        let waits = app.charge_as(NewPayment {
            method: "vbank".into(),
            status: Status::Ready,
            ..payment("ord-3", 10_000)
        });
        app.webhook(&waits, "ord-3", "ready").await;
        let failed = app.charge_as(NewPayment {
            status: Status::Failed,
            fail_reason: Some(words.free.clone()),
            ..payment("ord-4", 5_000)
        });
        app.webhook(&failed, "ord-4", "failed").await;
        // Less was paid than was ordered.
        let held = app.charge_as(payment("ord-5", 6_000));
        app.webhook(&held, "ord-5", "paid").await;

        let adjust = json!({ "partner": "farm", "amount": -500, "reason": words.free });
        let (status, answer) = read(app.post("/api/adjustments", &adjust).await).await;
        assert_eq!(status, 201, "{answer}");
        app.drain().await;

        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut house = House {
            app,
            http,
            day,
            batch: 0,
            settlement: 0,
            payout: 0,
            dead,
            contract: version["id"].as_i64().unwrap(),
            imp_uid,
            waits,
            failed,
            held,
        };
        house.pay_out(words).await;
        house
    }

    /// The day is settled, put into a batch, and refused by the bank.
    async fn pay_out(&mut self, words: &Words) {
        let app = &self.app;
        app.clock.advance(Duration::from_secs(3 * 86_400));
        let today = KstDay::of(app.clock.now());
        settle_until(&app.app().web.ctx, today, "api")
            .await
            .unwrap();
        let made = json!({ "until": today, "note": words.free });
        let (status, made) = read(app.post("/api/payouts", &made).await).await;
        assert_eq!(status, 201, "{made}");
        self.batch = made["batch"]["id"].as_i64().unwrap();
        self.payout = made["payouts"][0]["id"].as_i64().unwrap();
        let list = app.json("/api/settlements?partner=farm").await;
        self.settlement = list["items"][0]["id"].as_i64().unwrap();
        let word = json!({ "failed": words.free });
        let path = format!("/api/payouts/{}/payouts/{}", self.batch, self.payout);
        let (status, answer) = read(app.post(&path, &word).await).await;
        assert_eq!(status, 200, "{answer}");
        let retry = format!("/api/settlements/{}/retry", self.settlement);
        assert_eq!(
            app.post(&retry, &json!({ "reason": words.free }))
                .await
                .status(),
            200
        );
        let hold = format!("/api/settlements/{}/hold", self.settlement);
        let (status, answer) = read(app.post(&hold, &json!({ "reason": words.free })).await).await;
        assert_eq!(status, 200, "{answer}");
        app.drain().await;
    }

    /// Every route of the source that answers GET, with this house's things in its path. A cancel by GET
    /// and endless streams are left out.
    pub fn addresses(&self) -> Vec<String> {
        let all = routes().into_iter().flat_map(|route| self.filled(&route));
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A route with the things of this house: with each payment, where it takes one.
    fn filled(&self, route: &str) -> Vec<String> {
        if route.ends_with("/events")
            || route.contains("/payment/cancel/")
            || route == "/payment/return"
        {
            return Vec::new();
        }
        let id = match route {
            _ if route.contains("/dead-letters/") || route.contains("/jobs/") => {
                self.dead.to_string()
            }
            _ if route.contains("/partners/") => "farm".into(),
            _ if route.contains("/payouts/") => self.batch.to_string(),
            _ if route.contains("/settlements/") => self.settlement.to_string(),
            _ if route.contains("/contracts/") => self.contract.to_string(),
            _ => "1".into(),
        };
        let path = route
            .replace("{id}", &id)
            .replace("{merchant_uid}", "ord-1")
            .replace("{partner}", "farm")
            .replace("{payout}", &self.payout.to_string())
            .replace("{day}", &self.day.to_string())
            .replace("{seq}", "1")
            .replace("{kind}", "sweep")
            .replace("{name}", "%EA%B3%B5%ED%86%B5") // 공통
            .replace("{*path}", "app.css");
        if !path.contains("{imp_uid}") {
            return vec![path];
        }
        [&self.imp_uid, &self.waits, &self.failed, &self.held]
            .map(|imp_uid| path.replace("{imp_uid}", imp_uid))
            .to_vec()
    }

    /// Each address that answers, with its content type and text.
    pub async fn everything(&self) -> Vec<(String, String, String)> {
        let mut all = Vec::new();
        for path in self.addresses() {
            let answer = self.get(&path).await;
            let status = answer.status().as_u16();
            assert!(status < 500, "{path}: {status}");
            if status == 405 {
                continue; // only taken by POST
            }
            let kind = answer.headers().get("content-type");
            let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
            let text = String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned();
            all.push((path, kind, text));
        }
        assert!(all.len() > 60, "{}", all.len());
        all
    }

    pub async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path, None).await
    }

    /// Redirects are not followed.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Response {
        let request = self
            .http
            .request(method, self.app.url(path))
            .bearer_auth(TOKEN);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        request.send().await.unwrap()
    }

    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let request = self.http.post(self.app.url(path)).bearer_auth(TOKEN);
        let request = request.header("sec-fetch-site", "same-origin");
        let answer = request.form(fields).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

/// Every path that the source of `web` routes.
pub fn routes() -> BTreeSet<String> {
    fn walk(dir: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for part in text.split(".route(").skip(1) {
                let literal = part.trim_start().strip_prefix('"');
                let route = literal.and_then(|rest| rest.split('"').next());
                found.extend(route.filter(|r| r.starts_with('/')).map(str::to_owned));
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web"),
        &mut found,
    );
    assert!(found.len() > 100, "{}", found.len());
    found
}
