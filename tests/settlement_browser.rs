//! The money of a partner in a real browser, from the first form to the line of a late cancel.
//!
//! Needs `chromedriver` and Chromium; fails without them.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/people.rs"]
mod people;

use std::time::Duration;

use browser::Browser;
use jeongsan::{
    app::{App, Parts},
    config::Config,
    domain::{account::Role, calendar::KstDay},
    sandbox::{NewPayment, Sandbox, SandboxConfig},
    sheet::{Cell, Sheet, read, xlsx},
    store::{Clock, books},
};
use reqwest::Client;
use serde_json::json;

const TOKEN: &str = "test-token-0123456789abcdef0123456789";

/// The product and a PortOne of our own, on one clock that the test moves.
struct Shop {
    app: App,
    portone: Sandbox,
    clock: Clock,
    http: Client,
    base: String,
    dir: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Shop {
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
            ("portone.base_url", portone.url()),
            // Nights are made by hand here: this one comes once a year.
            ("settle.cron", "0 1 29 2 *".into()),
            ("admin.session", "365d".into()),
            ("admin.idle", "365d".into()),
            ("jobs.shutdown", "1s".into()),
            ("api.rate", "100000".into()),
            ("api.address_rate", "100000".into()),
            ("admin.token", TOKEN.into()),
        ];
        let config = Config::load(None, [], &settings).unwrap();
        let parts = Parts::default();
        let clock = parts.clock.clone();
        let app = App::start_on(listener, config, parts).await.unwrap();
        people::add(&app.web.ctx.store, "minji", Role::Owner, None).await;
        Shop {
            app,
            portone,
            clock,
            http: Client::builder().no_proxy().build().unwrap(),
            base,
            dir,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn today(&self) -> KstDay {
        KstDay::of(self.clock.now())
    }

    /// Both clocks go to ten in the morning of the next day.
    fn next_morning(&self) {
        let morning = self.today().end() + Duration::from_secs(10 * 3_600);
        let by = morning.duration_since(self.clock.now()).unsigned_abs();
        self.portone.advance(by).unwrap();
        self.clock.advance(by);
    }

    /// An order of the partner is registered, paid, and told.
    async fn sell(&self, merchant_uid: &str, partner: &str, price: i64) -> String {
        let order = json!({
            "merchant_uid": merchant_uid, "name": "달항아리",
            "lines": [{ "partner": partner, "name": "달항아리", "quantity": 1, "unit_price": price }],
        });
        let answer = self
            .http
            .post(self.url("/api/orders"))
            .bearer_auth(TOKEN)
            .json(&order)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        let imp_uid = self
            .portone
            .pay(NewPayment {
                merchant_uid: merchant_uid.into(),
                amount: price,
                name: "달항아리".into(),
                sandbox: true,
                ..NewPayment::default()
            })
            .unwrap();
        let body = json!({ "imp_uid": imp_uid, "status": "paid" });
        let answer = self
            .http
            .post(self.url("/api/payment/portone"))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        imp_uid
    }

    async fn close(self) {
        assert_eq!(self.portone.check(), Vec::<String>::new());
        let broken = self.app.web.ctx.store.read(books::check).unwrap();
        assert_eq!(broken, []);
        self.app.stop().await;
    }
}

/// Opens a page on which money moves; after a night the person is asked once more who they are.
async fn open_again(browser: &Browser, shop: &Shop, path: &str) {
    browser.open(&shop.url(path)).await;
    let asked = browser
        .script("return location.pathname === '/sign-in/again'")
        .await;
    if asked == true {
        browser.write("[name=given]", people::PASSWORD).await;
        browser.click("main form button").await;
        browser
            .until("return location.pathname !== '/sign-in/again'")
            .await;
    }
}

async fn at(browser: &Browser, path: &str) {
    browser
        .until(&format!("return location.pathname === {path:?}"))
        .await;
}

/// New partner and contract, payments, settle, payout file, result file, COMPLETED, late cancel, and
/// the next day's negative line.
#[tokio::test(flavor = "multi_thread")]
async fn from_a_new_partner_to_the_line_of_a_late_cancel() {
    let shop = Shop::open().await;
    let browser = Browser::start(1280).await;
    browser.open(&shop.url("/admin/partners/new")).await;
    at(&browser, "/sign-in").await;
    browser.write("[name=name]", "minji").await;
    browser.write("[name=password]", people::PASSWORD).await;
    browser.click("main form button").await;

    // A partner; what is wrong is said at the field, and what was typed stays.
    at(&browser, "/admin/partners/new").await;
    browser.write("[name=id]", "moon-jar").await;
    browser.write("[name=name]", "달항아리 <공방>").await;
    browser.choose("[name=type]", "BUSINESS_GENERAL").await;
    browser
        .write("[name=business_number]", "999-88-00015")
        .await;
    browser.choose("[name=status]", "APPROVED").await;
    browser.choose("[name=bank]", "004").await;
    browser
        .write("[name=account_number]", "0012-02-041234")
        .await;
    browser.write("[name=account_holder]", "김도공").await;
    browser.click("main form button.primary").await;
    browser.until_text("999-88-00015").await;
    browser
        .write("[name=business_number]", "999-88-00014")
        .await;
    browser.click("main form button.primary").await;
    at(&browser, "/admin/partners/moon-jar").await;
    browser.until_text("달항아리 <공방>").await;

    // Its contract, looked at before it is agreed.
    let day = shop.today();
    browser
        .open(&shop.url("/admin/partners/moon-jar/contract"))
        .await;
    browser.choose("[name=from]", &day.to_string()).await;
    browser.write("[name=fee]", "10").await;
    browser
        .click("[name=method][value=daily], [name=method][value=DAILY]")
        .await;
    browser.write("[name=lag_days]", "1").await;
    browser.click("button.primary[value=preview]").await;
    browser.until_text("8,900").await;
    browser.click("#do-it").await;
    at(&browser, "/admin/partners/moon-jar").await;

    // Two sales, and a night.
    let first = shop.sell("ord-1", "moon-jar", 10_000).await;
    shop.sell("ord-2", "moon-jar", 20_000).await;
    shop.next_morning();
    let path = format!("/admin/settlements/days/{day}");
    browser.open(&shop.url(&path)).await;
    browser
        .click(&format!(
            "form[action={:?}] button",
            format!("{path}/settle")
        ))
        .await;
    browser.until_text("26,700").await;
    browser
        .open(&shop.url("/admin/settlements?partner=moon-jar"))
        .await;
    browser.until_text("26,700").await;
    browser.until_text("지급 대기").await;

    // What is due is put into a batch, after a look at the sums.
    let until = day.plus_days(14);
    open_again(
        &browser,
        &shop,
        &format!("/admin/payouts/new?until={until}"),
    )
    .await;
    browser.until_text("26,700").await;
    browser.click("button.primary[formmethod=post]").await;
    browser.click("#do-it").await;
    browser
        .until("return /^\\/admin\\/payouts\\/[0-9]+$/.test(location.pathname)")
        .await;
    let batch = browser.script("return location.pathname").await;
    let batch = batch.as_str().unwrap().to_owned();

    // The bank's file: the account keeps its zeros, the amount is a number.
    let file = browser.download(&format!("{batch}/file")).await;
    let table = read(&file, None).unwrap();
    let row = &table.rows[0].cells;
    assert!(row.contains(&"001202041234".to_owned()), "{row:?}");
    assert!(row.contains(&"26700".to_owned()), "{row:?}");

    // The bank's answer: the same rows with what became of them.
    let mut headers = table.headers.clone();
    headers.push("처리결과".into());
    let rows = table.rows.iter().map(|row| {
        let mut cells: Vec<Cell> = row.cells.iter().map(Cell::text).collect();
        cells.resize(headers.len() - 1, Cell::Empty);
        cells.push(Cell::text("정상"));
        cells
    });
    let rows = rows.collect();
    let result = xlsx(&[Sheet {
        name: "결과".into(),
        headers,
        rows,
        ..Sheet::default()
    }])
    .unwrap();
    let answer = shop.dir.path().join("결과.xlsx");
    std::fs::write(&answer, result).unwrap();
    // Whoever comes second is told that the file has been fetched.
    browser.open(&shop.url(&batch)).await;
    browser.until_text("이미 받은 파일").await;
    browser.upload("input[type=file]", &answer).await;
    browser.click("form[enctype] button").await;
    browser.click("#do-it").await;
    at(&browser, &batch).await;
    browser
        .open(&shop.url("/admin/settlements?partner=moon-jar"))
        .await;
    browser.until_text("지급 완료").await;

    // A late cancel: the completed settlement stays, the next day has the negative line.
    browser
        .open(&shop.url(&format!("/payment/{first}/cancel")))
        .await;
    browser.write("[name=amount]", "5000").await;
    browser.write("[name=reason]", "부분 반품").await;
    browser.click("button.danger.wide").await;
    browser.click("#do-cancel").await;
    at(&browser, &format!("/payment/{first}")).await;
    let next = shop.today();
    shop.next_morning();
    let path = format!("/admin/settlements/days/{next}");
    browser.open(&shop.url(&path)).await;
    browser
        .click(&format!(
            "form[action={:?}] button",
            format!("{path}/settle")
        ))
        .await;
    browser.until_text("-₩4,450").await;
    browser
        .open(&shop.url("/admin/settlements?partner=moon-jar"))
        .await;
    browser.until_text("-₩4,450").await;
    browser.until_text("₩26,700").await;

    // On a phone nothing is wider than the screen, and the statement ties.
    browser.shrink(390).await;
    for path in [
        "/admin/settlements".to_owned(),
        "/admin/payouts".to_owned(),
        batch.clone(),
        "/admin/partners/moon-jar".to_owned(),
        format!("/admin/statements/moon-jar?from={day}&to={next}"),
        "/admin/calendar".to_owned(),
    ] {
        browser.open(&shop.url(&path)).await;
        let over = browser
            .script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            .await;
        assert_eq!(over, 0, "{path} is wider than a phone");
    }
    browser
        .open(&shop.url(&format!("/admin/statements/moon-jar?from={day}&to={next}")))
        .await;
    browser.until_text("22,250").await;
    browser.complains_of_nothing().await;
    browser.stop().await;
    shop.close().await;
}
