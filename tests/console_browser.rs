//! The console in a browser, from the first link in the terminal on: set-up, the second step, two
//! people for one payout, languages and colours, a phone.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/people.rs"]
mod people;

use std::time::Duration;

use browser::Browser;
use jeongsan::{
    app::{App, Parts},
    config::Config,
    demo::{self, DemoOptions},
    domain::account::Role,
    sandbox::{NewPayment, Sandbox, SandboxConfig},
    store::Clock,
};
use secrecy::ExposeSecret;
use serde_json::json;

const PASSWORD: &str = "correct horse battery";

struct Shop {
    app: App,
    portone: Sandbox,
    clock: Clock,
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
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let settings = [
            ("server.public_url", base.clone()),
            ("data.dir", dir.path().join("books").display().to_string()),
            ("portone.imp_key", "imp_apikey".into()),
            ("portone.imp_secret", "imp_secret".into()),
            ("portone.base_url", portone.url()),
            ("jobs.shutdown", "1s".into()),
        ];
        let config = Config::load(None, [], &settings).unwrap();
        let parts = Parts::default();
        let clock = parts.clock.clone();
        let app = App::start_on(listener, config, parts).await.unwrap();
        Shop {
            app,
            portone,
            clock,
            base,
            _dir: dir,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What the authenticator shows, so many steps from now.
    fn code(&self, secret: &str, steps: i64) -> String {
        let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
        let totp = totp_rs::Builder::new()
            .with_secret(secret)
            .with_account_name("minji")
            .with_issuer(Some("jeongsan"))
            .build()
            .unwrap();
        let at = self.clock.now().as_second() + 30 * steps;
        totp.generate(u64::try_from(at).unwrap()).to_string()
    }

    async fn paid(&self, merchant_uid: &str, amount: i64) -> String {
        let new = NewPayment {
            merchant_uid: merchant_uid.into(),
            amount,
            name: "배 3kg".into(),
            sandbox: true,
            ..NewPayment::default()
        };
        let imp_uid = self.portone.pay(new).unwrap();
        let answer = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .post(self.url("/api/payment/portone"))
            .json(&json!({ "imp_uid": imp_uid, "status": "paid" }))
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        imp_uid
    }
}

async fn at(browser: &Browser, path: &str) {
    browser
        .until(&format!("return location.pathname === {path:?}"))
        .await;
}

async fn sign_in(browser: &Browser, base: &str, name: &str, password: &str) {
    browser.open(&format!("{base}/sign-in")).await;
    browser.write("[name=name]", name).await;
    browser.write("[name=password]", password).await;
    browser.click("main form button").await;
    browser
        .until("return location.pathname !== '/sign-in'")
        .await;
}

async fn sign_out(browser: &Browser) {
    browser
        .script("document.querySelector('form[action=\"/sign-out\"]').requestSubmit()")
        .await;
    at(browser, "/sign-in").await;
}

/// Of the layout: on a phone `innerWidth` grows with what is too wide.
const TOO_WIDE: &str =
    "return document.documentElement.scrollWidth - document.documentElement.clientWidth";

#[tokio::test(flavor = "multi_thread")]
async fn from_the_link_in_the_terminal_to_a_sign_in_in_two_steps() {
    let shop = Shop::open().await;
    let link = shop.app.set_up.as_ref().expect("nobody has an account");
    let link = shop.url(&format!("/set-up?code={}", link.expose_secret()));
    let browser = Browser::start(1280).await;

    // What is guessed too easily is refused, and said why; the link is good for another try.
    browser.open(&link).await;
    for (password, next) in [("password", false), (PASSWORD, true)] {
        browser.write("[name=name]", "minji").await;
        browser.write("[name=password]", password).await;
        browser.write("[name=again]", password).await;
        browser.click("main form button").await;
        if next {
            at(&browser, "/account").await;
        } else {
            browser.until_there("[role=alert]").await;
        }
    }

    // The authenticator: its code, then ten recovery codes.
    browser.open(&shop.url("/account/totp")).await;
    browser.until_there("svg.qr").await;
    let secret = browser
        .script("return document.querySelector('[name=secret]').value")
        .await;
    let secret = secret.as_str().unwrap().to_owned();
    let used = shop.code(&secret, 0);
    browser.write("[name=code]", &used).await;
    browser.click("main form button.primary").await;
    browser.until_there(".codes").await;
    let recovery = browser
        .script("return Array.from(document.querySelectorAll('.codes li')).map(li => li.innerText.trim())")
        .await;
    assert_eq!(recovery.as_array().unwrap().len(), 10);

    // The link is used up, and a password alone does not let in any more.
    sign_out(&browser).await;
    browser.open(&link).await;
    browser.until_text("404").await;
    sign_in(&browser, &shop.base, "minji", PASSWORD).await;
    at(&browser, "/sign-in/code").await;
    browser.open(&shop.url("/admin")).await;
    at(&browser, "/sign-in").await;
    browser.open(&shop.url("/sign-in/code")).await;
    // The code that was used once is worth nothing.
    browser.write("[name=given]", &used).await;
    browser.click("main form button").await;
    browser.until_there("[role=alert]").await;
    browser.write("[name=given]", &shop.code(&secret, 1)).await;
    browser.click("main form button").await;
    at(&browser, "/admin").await;

    // A recovery code does as well, once.
    sign_out(&browser).await;
    sign_in(&browser, &shop.base, "minji", PASSWORD).await;
    at(&browser, "/sign-in/code").await;
    let one = recovery[0].as_str().unwrap();
    browser.write("[name=given]", one).await;
    browser.click("main form button").await;
    at(&browser, "/admin").await;

    // Later, where rights move, the code is asked again.
    shop.clock.advance(Duration::from_secs(10 * 60));
    browser.open(&shop.url("/admin/users")).await;
    at(&browser, "/sign-in/again").await;
    browser.write("[name=given]", &shop.code(&secret, 0)).await;
    browser.click("main form button").await;
    at(&browser, "/admin/users").await;
    browser.complains_of_nothing().await;
    browser.stop().await;
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_sees_its_own_console_in_its_language_colours_and_width() {
    let shop = Shop::open().await;
    let imp_uid = shop.paid("ord-1", 12_000).await;
    let store = shop.app.web.ctx.store.clone();
    for role in [Role::Owner, Role::Operator, Role::Accountant, Role::Viewer] {
        people::add(&store, role.as_str(), role, None).await;
    }
    people::add(&store, "partner", Role::Partner, Some("house")).await;
    let browser = Browser::start(1280).await;
    let payment = format!("/payment/{imp_uid}");
    for role in Role::ALL {
        sign_in(&browser, &shop.base, role.as_str(), people::PASSWORD).await;
        let home = if role == Role::Partner {
            "/partner"
        } else {
            "/admin"
        };
        at(&browser, home).await;
        // What it may not do is not there, and not reached by its address either.
        if role != Role::Partner {
            browser.open(&shop.url(&payment)).await;
            let there = browser
                .script("return document.querySelector('a[href$=\"/cancel\"], form[action$=\"/cancel/confirm\"], form[action$=\"/cancel\"]') !== null")
                .await;
            let may = matches!(role, Role::Owner | Role::Operator);
            assert_eq!(there, may, "{role:?}");
        }
        browser.open(&shop.url("/admin/users")).await;
        browser
            .until("return document.readyState === 'complete'")
            .await;
        let refused = browser
            .script("return document.body.innerText.includes('HTTP 403')")
            .await;
        assert_eq!(refused == true, role != Role::Owner, "{role:?}");

        for (lang, theme, width) in [("en", "dark", 390), ("ko", "light", 768)] {
            browser.shrink(width).await;
            browser
                .open(&shop.url(&format!("/theme?to={theme}&next=/account")))
                .await;
            browser
                .open(&shop.url(&format!("/lang?to={lang}&next={home}")))
                .await;
            let is = browser
                .script(
                    "const root = document.documentElement; return [root.lang, root.dataset.theme]",
                )
                .await;
            assert_eq!(is, json!([lang, theme]), "{role:?}");
            let wide = browser.script(TOO_WIDE).await;
            assert!(wide.as_i64().unwrap() <= 0, "{role:?}: {wide} px too wide");
        }
        if role == Role::Owner {
            browser.shrink(390).await;
            for path in [
                "/admin/users",
                "/admin/keys",
                "/admin/settings",
                "/admin/audit",
                "/account",
            ] {
                browser.open(&shop.url(path)).await;
                let wide = browser.script(TOO_WIDE).await;
                assert!(wide.as_i64().unwrap() <= 0, "{path}: {wide} px too wide");
            }
        }
        sign_out(&browser).await;
    }

    // The choice is the person's, and comes along to another browser.
    let other = Browser::start(1280).await;
    sign_in(&other, &shop.base, "viewer", people::PASSWORD).await;
    other.open(&shop.url("/lang?to=en&next=/account")).await;
    sign_out(&other).await;
    sign_in(&browser, &shop.base, "viewer", people::PASSWORD).await;
    at(&browser, "/admin").await;
    browser
        .until("return document.documentElement.lang === 'en'")
        .await;
    browser.complains_of_nothing().await;
    other.stop().await;
    browser.stop().await;
    shop.app.stop().await;
}

/// An owner makes the batch, an accountant lets it go, on a phone.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_payout_takes_two_people() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    let options = DemoOptions {
        port: 0,
        sandbox_port: 0,
        data_dir: path.clone(),
        ..DemoOptions::default()
    };
    let look = async move {
        let settings = std::fs::read_to_string(path.join("jeongsan.toml")).unwrap();
        let settings: toml::Table = settings.parse().unwrap();
        let shop = settings["server"]["public_url"]
            .as_str()
            .unwrap()
            .to_owned();
        let password = std::fs::read_to_string(path.join("password.txt")).unwrap();
        let password = password.trim();
        let browser = Browser::start(1280).await;
        sign_in(&browser, &shop, "owner", password).await;

        browser.open(&format!("{shop}/admin/settings")).await;
        let rule = "form:has([name=rule][value='approvals.payout_over']):has([name=value])";
        browser
            .write(&format!("{rule} [name=value]"), "10000")
            .await;
        browser.click(&format!("{rule} button")).await;
        browser.until_text("10,000").await;

        browser.open(&format!("{shop}/admin/payouts/new")).await;
        browser.click("button.primary[formmethod=post]").await;
        browser.click("#do-it").await;
        browser
            .until("return /^\\/admin\\/payouts\\/[0-9]+$/.test(location.pathname)")
            .await;
        let batch = browser.script("return location.pathname").await;
        let batch = batch.as_str().unwrap().to_owned();
        let file = format!(
            "const done = arguments[0]; fetch('{batch}/file').then(a => done(a.status), why => done(String(why)))"
        );
        let fetched = browser
            .post("/execute/async", json!({ "script": file, "args": [] }))
            .await;
        assert_eq!(fetched, 409, "the bank's file before anybody has approved");
        // Who made it has no button to approve it.
        browser.open(&format!("{shop}/admin/approvals")).await;
        browser.click("main a[href^='/admin/approvals/']").await;
        browser.until_there("#withdraw").await;
        let own = browser
            .script("return document.querySelector('#approve') !== null")
            .await;
        assert_eq!(own, false);
        sign_out(&browser).await;

        browser.shrink(390).await;
        sign_in(&browser, &shop, "sujin", password).await;
        browser.open(&format!("{shop}/admin")).await;
        browser.click("main a[href^='/admin/approvals']").await;
        browser
            .until("return location.pathname.startsWith('/admin/approvals')")
            .await;
        browser.open(&format!("{shop}/admin/approvals")).await;
        browser.click("main a[href^='/admin/approvals/']").await;
        browser.until_there("#approve").await;
        let wide = browser.script(TOO_WIDE).await;
        assert!(wide.as_i64().unwrap() <= 0, "{wide} px too wide");
        let tall = browser
            .script("return document.querySelector('#approve').getBoundingClientRect().height")
            .await;
        assert!(
            tall.as_f64().unwrap() >= 44.0,
            "a thumb needs 44 px, not {tall}"
        );
        browser.click("#approve").await;
        browser
            .until("return location.search.includes('did=')")
            .await;
        let fetched = browser
            .post("/execute/async", json!({ "script": file, "args": [] }))
            .await;
        assert_eq!(
            fetched, 200,
            "the bank's file once somebody else has approved"
        );
        browser.complains_of_nothing().await;
        browser.stop().await;
    };
    demo::run(options, look).await.unwrap();
}
