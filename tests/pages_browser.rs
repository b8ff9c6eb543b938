//! The pages in a real browser: a buyer pays, the shop gives money back, and what changes is seen
//! without reloading.
//!
//! Needs `chromedriver` and Chromium; fails without them.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/people.rs"]
mod people;

use browser::{Browser, WINDOW_SEEN};

use jeongsan::{
    app::{App, Parts},
    config::Config,
    domain::account::Role,
    sandbox::{Fault, Kind, NewPayment, Sandbox, SandboxConfig, Target},
};
use reqwest::Client;
use serde_json::json;

const TOKEN: &str = "test-token-0123456789abcdef0123456789";

/// The product and a PortOne of our own.
struct Shop {
    app: App,
    portone: Sandbox,
    http: Client,
    base: String,
    _dir: tempfile::TempDir,
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
        // Links and redirects name the port, so it is chosen first.
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
            ("pages.notice", "시험 <환경>".into()),
            ("cancel.direct_backoff", "5ms".into()),
            ("cancel.backoff", "5ms".into()),
            ("cancel.backoff_max", "20ms".into()),
            ("jobs.shutdown", "1s".into()),
            ("api.rate", "100000".into()),
            ("api.address_rate", "100000".into()),
            ("admin.token", TOKEN.into()),
        ];
        let config = Config::load(None, [], &settings).unwrap();
        let app = App::start_on(listener, config, Parts::default())
            .await
            .unwrap();
        people::add(&app.web.ctx.store, "minji", Role::Owner, None).await;
        Shop {
            app,
            portone,
            http: Client::builder().no_proxy().build().unwrap(),
            base,
            _dir: dir,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What PortOne does when something happened: it says so.
    async fn tell(&self, imp_uid: &str) {
        let url = self.url("/api/payment/portone");
        let body = json!({ "imp_uid": imp_uid, "status": "paid" });
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// A payment that is in the books.
    async fn paid(&self, merchant_uid: &str, amount: i64) -> String {
        let new = NewPayment {
            merchant_uid: merchant_uid.into(),
            amount,
            name: "배 <b>3kg</b>".into(),
            sandbox: true,
            ..NewPayment::default()
        };
        let imp_uid = self.portone.pay(new).unwrap();
        self.tell(&imp_uid).await;
        imp_uid
    }

    async fn close(self) {
        assert_eq!(self.portone.check(), Vec::<String>::new());
        self.app.stop().await;
    }
}

/// Signs in by the form, from the page that wanted it.
async fn sign_in(browser: &Browser, shop: &Shop, next: &str) {
    browser.open(&shop.url(next)).await;
    browser
        .until("return location.pathname === '/sign-in'")
        .await;
    browser.write("[name=name]", "minji").await;
    browser.write("[name=password]", people::PASSWORD).await;
    browser.click("main form button").await;
    let path = next.split('?').next().unwrap();
    browser
        .until(&format!("return location.pathname === {path:?}"))
        .await;
}

const CAN_PAY: &str = "const b = document.querySelector('#pay-button'); return b && !b.disabled";

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_pays_and_the_shop_gives_a_part_back() {
    let shop = Shop::open().await;
    let browser = Browser::start(1280).await;

    browser.open(&shop.url("/")).await;
    browser.until_text("시험 <환경>").await;
    browser.click("button[value=apples]").await;
    browser.until(CAN_PAY).await;
    browser.until_text("₩32,000").await;

    // Closed without paying: it is said, and can be tried again.
    browser.click("#pay-button").await;
    browser.until(WINDOW_SEEN).await;
    browser.frame(Some(0)).await;
    browser.click("button[value=decline]").await;
    browser.frame(None).await;
    browser.until_text("결제가 완료되지 않았습니다").await;
    browser.until(CAN_PAY).await;

    browser.click("#pay-button").await;
    browser.until(WINDOW_SEEN).await;
    browser.frame(Some(0)).await;
    browser.click("button[value=pay]").await;
    browser.frame(None).await;
    browser
        .until("return location.pathname.startsWith('/payment/result/')")
        .await;
    browser.until_text("결제가 완료되었습니다").await;
    let path = browser.script("return location.pathname").await;
    let imp_uid = path
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();

    sign_in(&browser, &shop, "/payment/mypage").await;
    let row = format!("tr[data-payment='{imp_uid}']");
    browser
        .until_there(&format!("{row} [data-status=PAID]"))
        .await;
    browser.click(&format!("{row} .act a")).await;
    browser.write("[name=amount]", "99,000").await;
    browser.write("[name=reason]", "부분 반품").await;
    browser.click("main form button.danger").await;
    browser.until_text("취소 금액은 1원부터 ₩32,000").await;
    browser.write("[name=amount]", "2,000").await;
    browser.click("main form button.danger").await;
    browser
        .until_text("₩32,000 중 ₩2,000을 구매자에게 돌려주고 ₩30,000이 남습니다")
        .await;
    browser.click("#do-cancel").await;
    browser.until_there("#outcome.good").await;
    browser
        .until_there("#live .states [data-status=PARTIAL_CANCELED]")
        .await;
    assert_eq!(shop.portone.payment(&imp_uid).unwrap().left(), 30_000);

    // What happens elsewhere is seen in the list, and on the payment's page, as it happens.
    browser.open(&shop.url("/payment/mypage")).await;
    browser
        .until("return document.querySelector('#live-state:not([hidden])') !== null")
        .await;
    browser.script("window.sameDocument = true").await;
    shop.portone
        .cancel_at_console(&imp_uid, None, "콘솔에서 취소")
        .unwrap();
    shop.tell(&imp_uid).await;
    browser
        .until_there(&format!("{row} [data-status=CANCELED]"))
        .await;
    let another = shop.paid("ord-later", 9_000).await;
    browser
        .until("return !document.querySelector('#news').hidden")
        .await;
    assert_eq!(browser.script("return window.sameDocument").await, true);

    browser
        .open(&shop.url(&format!("/payment/{another}")))
        .await;
    browser
        .until("return document.querySelector('#live-state:not([hidden])') !== null")
        .await;
    browser.write("[name=reason]", "쓰던 사유").await;
    shop.portone
        .cancel_at_console(&another, None, "콘솔")
        .unwrap();
    shop.tell(&another).await;
    browser
        .until_there("#live .states [data-status=CANCELED]")
        .await;
    browser.until_text("다른 곳에서 취소됨").await;

    // The other language, kept from page to page.
    browser.click("a.tool[hreflang=en]").await;
    browser
        .until("return document.documentElement.lang === 'en'")
        .await;
    browser.until_text("Cancelled elsewhere").await;
    browser.open(&shop.url("/payment/mypage")).await;
    browser
        .until("return document.querySelector('h1').textContent === 'Payments'")
        .await;
    browser.complains_of_nothing().await;
    browser.stop().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_fails_waits_for_a_person_and_is_replayed() {
    let shop = Shop::open().await;
    let imp_uid = shop.paid("ord-fails", 12_000).await;
    let fault = Fault::new(Target::Cancel, Kind::refuse());
    shop.portone.fault(fault);
    let browser = Browser::start(1280).await;

    sign_in(&browser, &shop, &format!("/payment/{imp_uid}/cancel")).await;
    browser.write("[name=reason]", "단순 변심").await;
    browser.click("main form button.danger").await;
    browser.until_text("₩12,000 전액").await;
    browser.click("#do-cancel").await;
    browser.until_there("#outcome.bad").await;
    browser.until_text("상계가능 정산금액 부족").await;

    browser.click("#live a.primary").await;
    browser.until_text("두 번 취소되지 않습니다").await;
    shop.portone.clear_faults();
    browser.click("form[action$=replay] button").await;
    browser.until_text("먼저 포트원의 장부를 읽습니다").await;
    browser.click("#do-it").await;
    browser
        .until_there("#live .states [data-status=CANCELED]")
        .await;
    browser.until_there("#outcome.good").await;
    browser.open(&shop.url("/admin/dead-letters")).await;
    browser.until_text("처리할 데드레터가 없습니다").await;
    browser.open(&shop.url("/admin/alerts")).await;
    browser.until_text("결제 취소 실패").await;
    browser.complains_of_nothing().await;
    assert_eq!(shop.portone.payment(&imp_uid).unwrap().left(), 0);
    assert_eq!(shop.portone.cancels_of(&imp_uid).len(), 1);
    browser.stop().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_the_window_leads_back_and_nothing_is_cut_off() {
    let shop = Shop::open().await;
    let browser = Browser::start(500).await;
    browser.shrink(390).await;

    browser.open(&shop.url("/payment")).await;
    browser.click("button[value=gift]").await;
    browser.until(CAN_PAY).await;
    browser.click("#pay-button").await;
    browser.click("button[value=pay]").await;
    browser
        .until("return location.pathname.startsWith('/payment/result/')")
        .await;
    browser.until_text("결제가 완료되었습니다").await;
    let path = browser.script("return location.pathname").await;
    let imp_uid = path
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let order = shop
        .portone
        .payment(&imp_uid)
        .unwrap()
        .merchant_uid
        .to_string();

    sign_in(&browser, &shop, "/payment/mypage").await;
    browser.until_there("tr[data-payment]").await;
    for lang in ["ko", "en"] {
        browser
            .open(&shop.url(&format!("/lang?to={lang}&next=/payment/mypage")))
            .await;
        for path in [
            "/payment",
            "/payment/mypage",
            "/payment/mypage?q=nothing-like-it",
            "/payment/mypage?from=never",
            &format!("/payment/{imp_uid}"),
            &format!("/payment/{imp_uid}/cancel"),
            &format!("/payment/orders/{order}"),
            &format!("/payment/result/{imp_uid}"),
            "/payment/result/imp_unknown",
            "/admin/jobs",
            "/admin/jobs?q=nothing-like-it",
            "/admin/jobs?state=never",
            "/admin/jobs/1",
            "/admin/dead-letters",
            "/admin/dead-letters/replay",
            "/admin/alerts",
            "/admin/inbox",
            "/sign-in",
            "/no-such-page",
        ] {
            browser.open(&shop.url(path)).await;
            browser
                .until(&format!(
                    "return document.documentElement.lang === {lang:?}"
                ))
                .await;
            let wide = browser.script(TOO_WIDE).await;
            assert!(wide.as_i64().unwrap() <= 0, "{path} is {wide} px too wide");
            let title = browser.script("return document.title").await;
            assert!(title.as_str().unwrap().len() > 3, "{path}: {title}");
        }
    }
    browser.complains_of_nothing().await;
    browser.stop().await;
    shop.close().await;
}

/// Of the layout: on a phone `innerWidth` grows with what is too wide.
const TOO_WIDE: &str =
    "return document.documentElement.scrollWidth - document.documentElement.clientWidth";

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_paused_resumed_and_replayed_in_bulk_on_a_phone() {
    let shop = Shop::open().await;
    let mut paid = Vec::new();
    for (n, won) in [(1, 12_000), (2, 30_000)] {
        paid.push(shop.paid(&format!("ord-{n}"), won).await);
    }
    let fault = Fault::new(Target::Cancel, Kind::refuse());
    shop.portone.fault(fault);
    for imp_uid in &paid {
        let url = shop.url(&format!("/api/payment/{imp_uid}/cancel"));
        let asked = shop.http.post(url).bearer_auth(TOKEN);
        let refused = asked.json(&json!({ "reason": "파손" })).send().await;
        assert_eq!(refused.unwrap().status(), 409);
    }
    shop.portone.clear_faults();
    let browser = Browser::start(500).await;
    browser.shrink(390).await;
    sign_in(&browser, &shop, "/admin/jobs").await;
    browser
        .until("return document.querySelector('#live-state:not([hidden])') !== null")
        .await;
    assert!(browser.script(TOO_WIDE).await.as_i64().unwrap() <= 0);

    // Paused, with a reason; the focus stays where it was while the page fetches itself.
    browser.click("#act-retry_cancel").await;
    browser.until_text("즉시 시도하지만").await;
    assert!(browser.script(TOO_WIDE).await.as_i64().unwrap() <= 0);
    browser.write("[name=note]", "은행 점검 <b>").await;
    browser.click("#do-it").await;
    browser.until_text("일시 중지했습니다").await;
    browser.until_text("은행 점검 <b>").await;
    browser
        .script("window.same = document.querySelector('#stand'); document.querySelector('#n-dead-retry_cancel').focus()")
        .await;
    browser
        .until("return window.same !== document.querySelector('#stand')")
        .await;
    let focus = browser.script("return document.activeElement.id").await;
    assert_eq!(focus, "n-dead-retry_cancel");

    // All of its dead letters, after a dry run. They wait: the kind is paused.
    browser.click("#n-dead-retry_cancel").await;
    browser.click("#bulk").await;
    browser.until_text("₩42,000").await;
    browser.until_text("다시 시작할 때까지 기다립니다").await;
    assert!(browser.script(TOO_WIDE).await.as_i64().unwrap() <= 0);
    browser.click("#do-it").await;
    browser.until_text("2건을 다시 실행합니다").await;
    for imp_uid in &paid {
        assert_eq!(shop.portone.cancels_of(imp_uid).len(), 0, "it is paused");
    }
    browser.open(&shop.url("/admin/jobs")).await;
    browser.until_there("#n-waiting-retry_cancel").await;
    browser.click("#act-retry_cancel").await;
    browser.click("#do-it").await;
    browser.until_text("다시 시작했습니다").await;
    // Seen without loading the page again.
    browser
        .until("return document.querySelector('#n-waiting-retry_cancel') === null")
        .await;
    browser
        .until("return document.querySelector('#n-done-retry_cancel')?.innerText.includes('2')")
        .await;
    for imp_uid in &paid {
        assert_eq!(shop.portone.cancels_of(imp_uid).len(), 1);
    }
    browser.click("#n-done-retry_cancel").await;
    browser.click("tr[data-job] a.main").await;
    browser
        .until_text("보내기 전에 포트원에서 결제를 먼저 조회합니다")
        .await;
    assert!(browser.script(TOO_WIDE).await.as_i64().unwrap() <= 0);
    browser.complains_of_nothing().await;
    browser.stop().await;
    shop.close().await;
}

/// Presses keys, one after the other, wherever the focus is.
async fn press(browser: &Browser, keys: &[&str]) {
    for key in keys {
        let strokes =
            json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let actions = json!({ "actions": [{ "type": "key", "id": "keys", "actions": strokes }] });
        browser.post("/actions", actions).await;
    }
}

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
/// Which link of the list has the focus.
const AT: &str =
    "return [...document.querySelectorAll('tr a.main')].indexOf(document.activeElement)";

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_led_by_keys_and_rests_while_somebody_types() {
    let shop = Shop::open().await;
    for n in 0..3 {
        shop.paid(&format!("ord-{n}"), 12_000 + n).await;
    }
    let browser = Browser::start(1280).await;
    sign_in(&browser, &shop, "/payment/mypage").await;
    browser.until_there("tr[data-payment]").await;
    for (key, at) in [
        ("j", 0),
        ("j", 1),
        ("j", 2),
        ("j", 2),
        ("k", 1),
        ("\u{e013}", 0),
    ] {
        press(&browser, &[key]).await;
        assert_eq!(browser.script(AT).await, at, "{key}");
    }
    press(&browser, &[ENTER]).await;
    browser
        .until("return location.pathname.startsWith('/payment/imp_')")
        .await;
    for (key, path) in [("d", "/admin/dead-letters"), ("p", "/payment/mypage")] {
        press(&browser, &["g", key]).await;
        let there =
            format!("return location.pathname === {path:?} && document.readyState === 'complete'");
        browser.until(&there).await;
    }
    // In a field letters are letters.
    press(&browser, &["/"]).await;
    press(&browser, &["g", "d", "j", "?", "/"]).await;
    let typed = "return document.querySelector('input[type=search]').value";
    assert_eq!(browser.script(typed).await, "gdj?/");

    // Whoever does not want them switches them off, and they stay off.
    browser.script("document.activeElement.blur()").await;
    press(&browser, &["?"]).await;
    browser.until_text("키보드 단축키").await;
    browser.click("#keys-on").await;
    press(&browser, &[ESCAPE]).await;
    browser
        .until("return !document.querySelector('#keys').open")
        .await;
    for _ in 0..2 {
        browser.script("document.activeElement.blur()").await;
        press(&browser, &["j", "?", "g", "d"]).await;
        assert_eq!(browser.script(AT).await, -1);
        let open = "return document.querySelector('#keys').open";
        assert_eq!(browser.script(open).await, false);
        browser.open(&shop.url("/payment/mypage")).await;
    }
    browser.complains_of_nothing().await;
    browser.stop().await;
    shop.close().await;
}

const GROUND: &str = "return getComputedStyle(document.body).backgroundColor";
/// What is pressed and smaller than a thumb.
const TOO_SMALL: &str = "return [...document.querySelectorAll('.side a, .side button, .tabs a, .tabs summary, main button, main .button')] \
    .filter(e => e.checkVisibility()).map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()]) \
    .filter(([, r]) => r.height < 43.5).map(([html, r]) => html + ' ' + r.height).join('\\n')";

#[tokio::test(flavor = "multi_thread")]
async fn the_colours_follow_the_switch_and_a_phone_has_its_tabs() {
    let shop = Shop::open().await;
    shop.paid("ord-1", 12_000).await;
    let browser = Browser::start(1280).await;
    sign_in(&browser, &shop, "/payment/mypage?status=PAID").await;
    let mut grounds = Vec::new();
    for theme in ["dark", "light"] {
        browser
            .click(&format!(".side .switch [value={theme}]"))
            .await;
        let chosen = format!("return document.documentElement.dataset.theme === {theme:?}");
        browser.until(&chosen).await;
        // Where one was, and on every page that comes.
        assert_eq!(
            browser.script("return location.search").await,
            "?status=PAID"
        );
        grounds.push(browser.script(GROUND).await);
        browser.open(&shop.url("/admin/jobs")).await;
        browser.until(&chosen).await;
        browser.open(&shop.url("/payment/mypage?status=PAID")).await;
    }
    assert_ne!(grounds[0], grounds[1]);
    browser.click(".side .switch [value=auto]").await;
    browser
        .until("return document.documentElement.dataset.theme === undefined")
        .await;
    // The headless system is a light one.
    assert_eq!(browser.script(GROUND).await, grounds[1]);

    browser.shrink(390).await;
    browser
        .until("return document.querySelector('.tabs').checkVisibility() && !document.querySelector('.side .parts').checkVisibility()")
        .await;
    assert_eq!(browser.script(TOO_SMALL).await, "");
    assert!(browser.script(TOO_WIDE).await.as_i64().unwrap() <= 0);
    browser.click(".tabs summary").await;
    assert_eq!(browser.script(TOO_SMALL).await, "");
    browser.click(".sheet-up a[href='/admin/inbox']").await;
    browser
        .until("return location.pathname === '/admin/inbox'")
        .await;
    // The menu is shut again, and says that one is in it.
    browser
        .until_there("details.more:not([open]) summary.here")
        .await;
    browser.complains_of_nothing().await;
    browser.stop().await;
    shop.close().await;
}
