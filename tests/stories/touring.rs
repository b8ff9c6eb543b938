//! The demo's tour, walked through by somebody whose browser runs no scripts.

use std::time::Duration;

use jeongsan::{
    demo::{self, DemoOptions},
    store::{Clock, Store, accounts, books, database_in},
    web::auth,
};
use reqwest::header;
use rusqlite::Connection;
use secrecy::ExposeSecret;

use crate::people::Visitor;

struct Newcomer {
    visitor: Visitor,
    sandbox: String,
    http: reqwest::Client,
}

impl Newcomer {
    /// The card of a page: which step it says, and its text.
    async fn card(&self, path: &str) -> (String, String) {
        let (code, page) = self.visitor.text(path).await;
        assert_eq!(code, 200, "{path}: {page}");
        let (_, card) = page
            .split_once("<aside class=\"tour")
            .expect("there is a card");
        let card = card.split("</aside>").next().unwrap();
        let step = card
            .split("data-step=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap_or("none");
        (step.to_owned(), card.to_owned())
    }

    /// Waits until the card says this step.
    async fn until(&self, step: &str) -> String {
        let mut said = String::new();
        for _ in 0..400 {
            let (now, card) = self.card("/payment/mypage").await;
            if now == step {
                return card;
            }
            said = now;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the tour is at {said} and never came to {step}");
    }

    /// Presses a button of the card. Gives where it leads.
    async fn press(&mut self, act: &str, from: &str) -> String {
        let (_, card) = self.card(from).await;
        assert!(
            card.contains(&format!("action=\"/tour/{act}\"")),
            "no {act} in {card}"
        );
        let answer = self
            .visitor
            .post(&format!("/tour/{act}"), &[("next", from)])
            .await;
        assert_eq!(answer.status(), 303, "{act}");
        self.visitor.keep(&answer);
        answer.headers()[header::LOCATION]
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// Cancels so much of a payment, as its page's form does.
    async fn cancel(&self, payment: &str, amount: &str) {
        let form = [("amount", amount), ("reason", "둘러보기")];
        let answer = self
            .visitor
            .post(&format!("{payment}/cancel/confirm"), &form)
            .await;
        assert_eq!(answer.status(), 200);
        let page = answer.text().await.unwrap();
        let value = |name: &str| {
            let field = page
                .split(&format!("name=\"{name}\" value=\""))
                .nth(1)
                .unwrap();
            field.split('"').next().unwrap().to_owned()
        };
        let (key, left) = (value("key"), value("left"));
        let form = [
            ("key", key.as_str()),
            ("left", &left),
            ("amount", amount),
            ("reason", "둘러보기"),
        ];
        let answer = self.visitor.post(&format!("{payment}/cancel"), &form).await;
        assert_eq!(answer.status(), 303);
    }

    /// Buys the apples and approves in PortOne's window.
    async fn buy(&self) -> String {
        let answer = self
            .visitor
            .post("/payment/orders", &[("product", "apples")])
            .await;
        let order = answer.headers()[header::LOCATION]
            .to_str()
            .unwrap()
            .to_owned();
        let merchant_uid = order.rsplit('/').next().unwrap();
        let paid = self
            .http
            .post(format!("{}/sandbox/payments", self.sandbox))
            .json(&serde_json::json!({
                "merchant_uid": merchant_uid, "amount": 32_000, "tax_free": 32_000, "name": "햇사과 5kg",
                "sandbox": true,
            }))
            .send()
            .await
            .unwrap();
        assert!(paid.status().is_success(), "{}", paid.status());
        let paid: serde_json::Value = paid.json().await.unwrap();
        let imp_uid = paid["imp_uid"].as_str().unwrap().to_owned();
        let back = format!("/payment/return?imp_uid={imp_uid}&merchant_uid={merchant_uid}");
        assert_eq!(self.visitor.get(&back).await.status(), 303);
        format!("/payment/{imp_uid}")
    }

    async fn walk(&mut self) {
        // Offered on every page, laid aside, and taken up again.
        let (step, card) = self.card("/payment/mypage").await;
        assert!(step == "none" && card.contains("3분 둘러보기"), "{card}");
        assert_eq!(self.press("aside", "/admin/alerts").await, "/admin/alerts");
        let (_, card) = self.card("/payment").await;
        assert!(card.contains("이어서"), "{card}");
        assert_eq!(self.press("resume", "/payment").await, "/payment");
        assert_eq!(self.press("aside", "/payment").await, "/payment");
        assert_eq!(self.press("resume", "/payment").await, "/payment");

        // 1: pay.
        let (step, card) = self.card("/payment").await;
        assert!(
            step == "1" && card.contains("1/6") && card.contains("href=\"/payment\""),
            "{card}"
        );
        let payment = self.buy().await;

        // 2: give a part back. Clicking alone gets nobody further.
        let card = self.until("2").await;
        assert!(card.contains(&format!("href=\"{payment}\"")), "{card}");
        self.visitor.get(&payment).await;
        assert_eq!(self.card(&payment).await.0, "2");
        self.cancel(&payment, "1000").await;

        // 3: let one fail.
        self.until("3").await;
        let led = self.press("portone-down", "/payment/mypage").await;
        assert_eq!(led, payment, "to where the rest can be cancelled");
        assert_eq!(
            self.card(&payment).await.0,
            "3",
            "switching it off is not a failed cancel"
        );
        self.cancel(&payment, "31000").await;

        // 4 and 5: the last retry fails; a person replays it.
        let card = self.until("5").await;
        let led = self.press("portone-up", "/payment/mypage").await;
        assert!(led.starts_with("/admin/dead-letters/"), "{led}");
        assert!(card.contains(&format!("href=\"{led}\"")), "{card}");
        assert_eq!(self.card(&led).await.0, "5");
        let answer = self
            .visitor
            .post(&format!("{led}/replay"), &[("sure", "1")])
            .await;
        assert_eq!(answer.status(), 303, "{}", answer.text().await.unwrap());

        // 6: the night.
        self.until("6").await;
        assert_eq!(
            self.press("night", "/payment/mypage").await,
            "/admin/settlements"
        );
        let card = self.until("done").await;
        assert!(
            card.contains("6/6") && card.contains("/admin/settlements/days/"),
            "{card}"
        );
        let day = card
            .split("href=\"/admin/settlements/days/")
            .nth(1)
            .unwrap();
        let day = day.split('"').next().unwrap();
        assert_eq!(
            self.visitor
                .text(&format!("/admin/settlements/days/{day}"))
                .await
                .0,
            200
        );

        // Both languages; what is no act; and nobody else may tell the sandbox anything.
        self.visitor.cookies.push(("lang".into(), "en".into()));
        let (_, card) = self.card("/payment/mypage").await;
        assert!(card.contains("That was all of it"), "{card}");
        assert_eq!(self.visitor.post("/tour/nothing", &[]).await.status(), 404);
        let mut stranger = self.visitor.clone();
        stranger
            .cookies
            .retain(|(name, _)| name != "jeongsan_session");
        let answer = stranger.post("/tour/portone-down", &[]).await;
        let led = answer.headers()[header::LOCATION].to_str().unwrap();
        assert!(led.starts_with("/sign-in"), "{led}");
        let foreign = self
            .http
            .post(format!("{}/sandbox/clear", self.sandbox))
            .header("sec-fetch-site", "cross-site");
        assert_eq!(foreign.send().await.unwrap().status(), 403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_walks_from_a_payment_to_its_settlement() {
    let dir = tempfile::tempdir().unwrap();
    let options = DemoOptions {
        port: 0,
        sandbox_port: 0,
        data_dir: dir.path().to_path_buf(),
        days: 5,
        ..DemoOptions::default()
    };
    let path = dir.path().to_path_buf();
    let look = async move {
        let settings = std::fs::read_to_string(path.join("jeongsan.toml")).unwrap();
        let settings: toml::Table = settings.parse().unwrap();
        let shop = settings["server"]["public_url"]
            .as_str()
            .unwrap()
            .to_owned();
        let sandbox = settings["portone"]["base_url"].as_str().unwrap().to_owned();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        // Soon after midnight in Seoul, when the next one o'clock settles yesterday and not the day of the tour.
        let seconds = jiff::Timestamp::now().as_second() + 9 * 3_600;
        let ahead = 86_400 - seconds.rem_euclid(86_400) + 600;
        let moved = http
            .post(format!("{sandbox}/sandbox/clock"))
            .form(&[("ahead", ahead)])
            .send()
            .await
            .unwrap();
        assert!(moved.status().is_success() || moved.status().is_redirection());
        // The sign-in link stands in the terminal; another one signs in as well.
        let store = Store::open_beside(&path, Clock::default()).unwrap();
        let owner = store
            .read(|conn| accounts::by_name(conn, "owner"))
            .unwrap()
            .unwrap();
        let code = auth::new_sign_in_code(&store, owner.id).await.unwrap();
        store.close().await;
        let mut visitor = Visitor::new(&shop);
        let answer = visitor
            .get(&format!("/sign-in?code={}", code.expose_secret()))
            .await;
        assert_eq!(answer.status(), 303);
        visitor.keep(&answer);
        let mut newcomer = Newcomer {
            visitor,
            sandbox,
            http,
        };
        newcomer.walk().await;
        let books = Connection::open(database_in(&path)).unwrap();
        books.busy_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(books::check(&books).unwrap(), []);
    };
    demo::run(options, look).await.unwrap();
}

#[tokio::test]
async fn no_other_program_has_a_tour() {
    let app = crate::support::TestApp::start().await;
    let store = &app.app().web.ctx.store;
    let role = jeongsan::domain::account::Role::Owner;
    let visitor = Visitor::signed_in(store, &app.url(""), "minji", role).await;
    let (_, page) = visitor.text("/payment/mypage").await;
    assert!(!page.contains("id=\"tour\"") && !page.contains("/tour/"));
    for act in ["start", "portone-down", "night"] {
        assert_eq!(
            visitor.post(&format!("/tour/{act}"), &[]).await.status(),
            404,
            "{act}"
        );
    }
}
