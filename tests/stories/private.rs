//! Nobody's name, phone, mail, card or account is where it need not be.

use std::process::Command;

use jeongsan::{
    app::logging::{Look, safe_line},
    domain::account::Role,
    sandbox::{Fault, Kind, NewPayment, Sandbox, SandboxConfig, Target},
};
use reqwest::header;
use serde_json::{Value, json};

use crate::{
    house::{House, Words},
    people::Visitor,
    support::{TOKEN, TestApp, read},
};

/// A person of whom each part can be told in any text.
fn canary() -> Words {
    Words {
        free: "카나리 010-7777-1234로, canary@example.com, 카드 9430-7777-7777-1234".into(),
        goods: "햇사과 5kg".into(),
        partner: "햇살농장".into(),
        person: "카나리아홍".into(),
        tel: "010-7777-1234".into(),
        mail: "canary@example.com".into(),
        account: "00401777712345".into(),
    }
}

/// What of it must stand nowhere.
const PARTS: [&str; 5] = ["카나리아홍", "7777", "canary@", "9430", "0040177"];

/// Where a part stands. Not in a token or a payment's id, among whose random letters and digits it may be by chance.
fn stands(text: &str, part: &str) -> Option<usize> {
    let of_word = |c: char| c.is_ascii_alphanumeric();
    text.match_indices(part).map(|(at, _)| at).find(|at| {
        let before = text[..*at].chars().rev().take_while(|c| of_word(*c));
        let after = text[*at..].chars().take_while(|c| of_word(*c));
        let (mut letters, mut digits) = (0, 0);
        for c in before.chain(after) {
            match c {
                '0'..='9' => digits += 1,
                _ => letters += 1,
            }
        }
        let begins = *at
            - text[..*at]
                .chars()
                .rev()
                .take_while(|c| of_word(*c))
                .count();
        !text[..begins].ends_with("imp_") && (letters == 0 || letters + digits < 20)
    })
}

#[test]
fn chance_in_a_token_is_no_person() {
    let token = "3547b835891e17471d660c3966b47cfcff5394301bb836c6dafecf25e0257233";
    assert_eq!(stands(&format!("value=\"{token}\""), "9430"), None);
    assert_eq!(
        stands(&format!("\"{token}\" 010-1234-9430"), "9430"),
        Some(76)
    );
    assert_eq!(stands("00401777712345", "0040177"), Some(0));
    assert_eq!(stands("imp_129430777712", "7777"), None);
    assert_eq!(stands("카나리아홍님", "카나리아홍"), Some(0));
}

/// Files that are what they are for only with all of it.
fn is_for_a_bank_or_a_program(path: &str, kind: &str) -> bool {
    let json = kind.contains("json");
    json || path.ends_with("/file") || path.contains("/export.") || path.ends_with("/withholding")
}

#[tokio::test]
async fn no_page_shows_a_person_whole() {
    let house = House::open(&canary()).await;
    let mut pages = 0;
    let mut shown = Vec::new();
    for (path, kind, text) in house.everything().await {
        if is_for_a_bank_or_a_program(&path, &kind) {
            continue;
        }
        for part in PARTS {
            let at = stands(&text, part).map(|at| {
                let from = text[..at]
                    .char_indices()
                    .rev()
                    .nth(150)
                    .map_or(0, |(i, _)| i);
                text[from..].chars().take(330).collect::<String>()
            });
            shown.extend(at.map(|at| format!("{path} shows {part}: …{at}…")));
        }
        pages += usize::from(kind.starts_with("text/html"));
    }
    assert!(shown.is_empty(), "{}", shown.join("\n"));
    assert!(pages > 40, "{pages}");
}

#[tokio::test]
async fn a_person_is_shown_whole_for_a_reason_and_once() {
    let house = House::open(&canary()).await;
    for (page, parts) in [
        (
            format!("/payment/{}", house.imp_uid),
            &["카나리아홍", "010-7777-1234", "canary@example.com"][..],
        ),
        (
            "/admin/partners/farm".to_owned(),
            &[
                "카나리아홍",
                "010-7777-1234",
                "canary@example.com",
                "00401777712345",
            ],
        ),
    ] {
        let path = format!("{page}/reveal");
        for reason in ["", "  ", "확인", "1234"] {
            let (status, text) = house.form(&path, &[("reason", reason)]).await;
            assert_eq!(status, 422, "{path} {reason:?}");
            assert!(
                stands(&text, "7777").is_none() && text.contains("reveal-reason"),
                "{text}"
            );
        }
        let (status, text) = house.form(&path, &[("reason", "고객 문의 확인")]).await;
        assert_eq!(status, 200, "{text}");
        for part in parts {
            assert!(text.contains(part), "{path}: {part}");
        }
        // It is an answer and no address: loaded again it is masked.
        let answer = house.get(&page).await;
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        let text = answer.text().await.unwrap();
        for part in parts {
            assert_eq!(stands(&text, part), None, "{page}: {part}");
        }
        assert_eq!(house.get(&path).await.status(), 405);
    }
    let (status, _) = house
        .form(
            "/payment/imp_unknown/reveal",
            &[("reason", "고객 문의 확인")],
        )
        .await;
    assert_eq!(status, 404);
    // What was shown, to whom and why, is on record; what was refused is not.
    let of = |sql: &str| house.app.sql::<String>(sql);
    let noted = of(
        "select group_concat(actor || ' ' || subject || ' ' || (after ->> '$.reason'), '; ') from (select * from audit where act = 'personal.revealed' order by id)",
    );
    assert_eq!(
        noted,
        format!(
            "api payment:{} 고객 문의 확인; api partner:farm 고객 문의 확인",
            house.imp_uid
        )
    );
    let stranger = house
        .app
        .http
        .post(house.app.url("/admin/partners/farm/reveal"));
    let answer = stranger
        .form(&[("reason", "고객 문의 확인")])
        .send()
        .await
        .unwrap();
    let text = answer.text().await.unwrap();
    assert_eq!(stands(&text, "7777"), None);
    assert!(!text.contains("카나리아홍"));
}

#[tokio::test]
async fn who_may_see_nobody_is_offered_nothing_and_gets_masked_answers() {
    let house = House::open(&canary()).await;
    let store = &house.app.app().web.ctx.store;
    let base = house.app.url("");
    for (name, role, may) in [
        ("dana", Role::Viewer, false),
        ("minji", Role::Operator, true),
    ] {
        let visitor = Visitor::signed_in(store, &base, name, role).await;
        for page in [
            format!("/payment/{}", house.imp_uid),
            "/admin/partners/farm".into(),
        ] {
            let (_, text) = visitor.text(&page).await;
            let path = format!("{page}/reveal");
            assert_eq!(text.contains(&path), may, "{name} {page}");
            let answer = visitor.post(&path, &[("reason", "고객 문의 확인")]).await;
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            assert_eq!(
                (status, text.contains("010-7777-1234")),
                if may { (200, true) } else { (403, false) },
                "{name} {page}: {text}"
            );
        }
        for path in [
            "/api/payment/list?limit=20".to_owned(),
            format!("/api/payment/{}", house.imp_uid),
            "/api/partners".into(),
            "/api/partners/farm".into(),
            "/api/adjustments".into(),
            "/api/settlements".into(),
            format!("/api/settlements/{}", house.settlement),
            format!("/api/payouts/{}", house.batch),
            format!("/api/statements/farm?from={0}&to={0}", house.day),
        ] {
            let (status, text) = visitor.text(&path).await;
            assert_eq!(status, 200, "{name} {path}: {text}");
            let value: Value = serde_json::from_str(&text).unwrap();
            assert!(value.is_object());
            // Who may see persons has the page for it, which asks for a reason and keeps it.
            for part in PARTS {
                assert_eq!(
                    stands(&text, part),
                    None,
                    "{name} {path} holds {part}: {text}"
                );
            }
        }
    }
    // A program with the right gets them whole: it has no page to give a reason on.
    let whole = house
        .app
        .json(&format!("/api/payment/{}", house.imp_uid))
        .await;
    assert!(whole.to_string().contains("카나리아홍"), "{whole}");
    let masked: String = house
        .app
        .sql("select count(*) || '' from audit where act = 'personal.revealed'");
    assert_eq!(masked, "2", "the operator's two looks and no other");
}

#[tokio::test]
async fn a_partners_form_sent_back_as_it_was_shown_changes_nothing() {
    let house = House::open(&canary()).await;
    let account = || {
        house.app.sql::<String>(
            "select account || holder || memo || contact_name from partner where id = 'farm'",
        )
    };
    let before = account();
    assert!(
        before.contains("0040177") && before.contains("카나리아홍"),
        "{before}"
    );
    let page = house
        .get("/admin/partners/farm/edit")
        .await
        .text()
        .await
        .unwrap();
    let mut fields: Vec<(String, String)> = Vec::new();
    for input in page
        .split("<input ")
        .skip(1)
        .map(|part| part.split('>').next().unwrap())
    {
        let of = |name: &str| {
            let value = input
                .split(&format!("{name}=\""))
                .nth(1)?
                .split('"')
                .next()?;
            Some(
                value
                    .replace("&quot;", "\"")
                    .replace("&lt;", "<")
                    .replace("&amp;", "&"),
            )
        };
        if let (Some(name), Some(value)) = (of("name"), of("value")) {
            fields.push((name, value));
        }
    }
    for (name, value) in [
        ("type", "INDIVIDUAL"),
        ("status", "APPROVED"),
        ("bank", "004"),
    ] {
        fields.push((name.into(), value.into()));
    }
    let pairs: Vec<(&str, &str)> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert!(
        pairs
            .iter()
            .any(|(name, value)| *name == "account_number" && value.contains("2345")),
        "{pairs:?}"
    );
    let (status, text) = house.form("/admin/partners/farm/edit", &pairs).await;
    assert_eq!(status, 303, "{text}");
    assert_eq!(account(), before);
}

#[tokio::test]
async fn slack_hears_of_no_person() {
    let house = House::open(&canary()).await;
    let told = house.app.slack();
    assert!(told.contains("imp_"), "{told}");
    for part in PARTS {
        assert_eq!(stands(&told, part), None, "{part}: {told}");
    }
}

/// A line of the log behind its time, whose digits are anything.
fn without_time(line: &str) -> &str {
    line.split_once("Z").map_or(line, |(time, rest)| {
        assert!(time.len() < 60, "a line begins with its time: {line}");
        rest
    })
}

/// The whole of a server's life, at its most talkative.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_line_holds_a_secret_or_a_person_in_either_format() {
    for format in ["json", "text"] {
        let text = a_busy_life(format).await;
        assert!(text.lines().count() > 20, "{text}");
        for secret in [
            "canary-key-1",
            "canary-secret-2",
            "canary-slack-3",
            "canary-cookie-4",
            "canary-password-5",
            TOKEN,
            "카나리아홍",
            "7777",
            "canary@",
            "9430",
            "0040177",
        ] {
            let line = text
                .lines()
                .find(|line| stands(without_time(line), secret).is_some());
            assert!(
                line.is_none(),
                "{format}: {secret} is in the log: {}",
                line.unwrap()
            );
        }
        for line in text.lines() {
            assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
            if format == "json" {
                let value: Value =
                    serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
                assert!(
                    value["level"].is_string() && value["level"] != "FORGED",
                    "{line}"
                );
            } else {
                assert!(!line.starts_with("FORGED"), "{line}");
            }
        }
    }
}

async fn a_busy_life(format: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let keys = SandboxConfig {
        imp_key: "canary-key-1".into(),
        imp_secret: "canary-secret-2".into(),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(keys).await.unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let log = dir.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_jeongsan"))
        .arg("serve")
        .envs([
            ("JEONGSAN_SERVER_LISTEN", format!("127.0.0.1:{port}")),
            (
                "JEONGSAN_DATA_DIR",
                dir.path().join("data").display().to_string(),
            ),
            ("JEONGSAN_PORTONE_MODE", "live".into()),
            ("JEONGSAN_PORTONE_BASE_URL", sandbox.url()),
            ("JEONGSAN_PORTONE_IMP_KEY", "canary-key-1".into()),
            ("JEONGSAN_PORTONE_IMP_SECRET", "canary-secret-2".into()),
            (
                "JEONGSAN_SLACK_WEBHOOK_URL",
                format!("{}/slack/canary-slack-3", sandbox.url()),
            ),
            ("JEONGSAN_SLACK_PRIVATE_ADDRESSES", "true".into()),
            ("JEONGSAN_ADMIN_TOKEN", TOKEN.into()),
            ("JEONGSAN_CANCEL_DIRECT_BACKOFF", "5ms".into()),
            ("JEONGSAN_CANCEL_BACKOFF", "5ms".into()),
            ("JEONGSAN_LOG_LEVEL", "info,jeongsan=trace".into()),
            ("JEONGSAN_LOG_FORMAT", format.into()),
        ])
        .stderr(file)
        .spawn()
        .unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let http = reqwest::Client::new();
    for _ in 0..400 {
        if http.get(format!("{url}/healthz")).send().await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let words = canary();
    let nasty = "a\r\nFORGED\u{1b}[2J\",\"level\":\"FORGED\" 010-7777-1234";
    let send = async |method: reqwest::Method, path: &str, body: Value| {
        let request = http
            .request(method, format!("{url}{path}"))
            .bearer_auth(TOKEN);
        request.json(&body).send().await.unwrap().status().as_u16()
    };
    let post = reqwest::Method::POST;
    let imp_uid = sandbox
        .pay(NewPayment {
            merchant_uid: "ord-1".into(),
            amount: 9_000,
            name: nasty.into(),
            custom_data: Some(nasty.into()),
            buyer: House::buyer(&words),
            ..NewPayment::default()
        })
        .unwrap();
    send(post.clone(), "/api/partners", json!({
        "id": "farm", "name": words.partner, "type": "INDIVIDUAL", "status": "APPROVED", "memo": words.free,
        "account": { "bank": "004", "number": words.account, "holder": words.person },
        "contact": { "name": words.person, "email": words.mail, "phone": words.tel },
    }))
    .await;
    send(post.clone(), "/api/partners", json!({ "id": nasty, "name": words.person, "account": { "bank": "004", "number": "canary@" } })).await;
    send(
        post.clone(),
        "/api/orders",
        json!({ "merchant_uid": "ord-1", "lines": [
        { "partner": "farm", "name": words.free, "quantity": 1, "unit_price": 9_000 }] }),
    )
    .await;
    send(
        post.clone(),
        "/api/payment/portone",
        json!({ "imp_uid": nasty, "merchant_uid": nasty, "status": nasty }),
    )
    .await;
    send(
        post.clone(),
        "/api/payment/portone",
        json!({ "imp_uid": imp_uid, "merchant_uid": "ord-1", "status": nasty,
        "buyer_name": words.person, "buyer_tel": words.tel, "card_number": "9430777777771234" }),
    )
    .await;
    send(
        post.clone(),
        "/api/adjustments",
        json!({ "partner": "farm", "amount": -500, "reason": words.free }),
    )
    .await;
    // Slack fails once, and PortOne refuses in words of its own until nobody tries any more.
    sandbox.fault(
        Fault::new(
            Target::Slack,
            Kind::Status {
                status: 500,
                retry_after: None,
            },
        )
        .times(1),
    );
    let refuse = Kind::Refuse {
        code: -1,
        message: format!("{nasty} {} {}", words.free, words.mail),
    };
    sandbox.fault(Fault::new(Target::Cancel, refuse));
    send(post.clone(), &format!("/api/payment/{imp_uid}/cancel"), json!({ "reason": words.free,
        "refund": { "holder": words.person, "bank": "04", "account": words.account, "tel": words.tel } })).await;
    send(
        post.clone(),
        &format!("/api/payment/{imp_uid}/cancel"),
        json!({ "reason": nasty }),
    )
    .await;
    for path in [
        format!("/payment/{imp_uid}"),
        format!("/payment/mypage?q={}", "010-7777-1234"),
        "/api/payment/list?q=canary@example.com&limit=x%0d%0aFORGED".into(),
        "/admin/inbox?before=x".into(),
        "/payment/return?imp_uid=a%0d%0ab&error_msg=010-7777-1234".into(),
    ] {
        let request = http.get(format!("{url}{path}")).bearer_auth(TOKEN);
        request
            .header("cookie", "jeongsan_session=canary-cookie-4")
            .send()
            .await
            .unwrap();
    }
    let sign_in = http
        .post(format!("{url}/sign-in"))
        .header("sec-fetch-site", "same-origin");
    sign_in
        .form(&[
            ("name", "minji"),
            ("password", "canary-password-5"),
            ("token", TOKEN),
            ("next", "/"),
        ])
        .send()
        .await
        .unwrap();
    for _ in 0..200 {
        if !sandbox.slack_messages().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    child.wait().unwrap();
    std::fs::read_to_string(&log).unwrap()
}

#[test]
fn a_line_of_any_look_is_one_line() {
    for look in [Look::Json, Look::Text { colours: false }] {
        assert_eq!(safe_line("{}\n", look), "{}\n");
    }
}

#[tokio::test]
async fn webhooks_are_taken_from_portone_alone_where_that_is_said() {
    let app = TestApp::with(
        &[
            ("intake.only_sources", "true"),
            ("portone.webhook_sources", "52.78.100.0/24"),
            ("server.trusted_proxies", "127.0.0.0/8"),
        ],
        false,
    )
    .await;
    let order = json!({ "merchant_uid": "ord-1", "lines": [{ "partner": "farm", "name": "x", "quantity": 1, "unit_price": 9_000 }] });
    assert_eq!(app.post("/api/orders", &order).await.status(), 201);
    let imp_uid = app.charge("ord-1", 9_000);
    let inbox = || app.sql::<i64>("select count(*) from inbox");
    let tell = async |from: &str, headers: &[(&str, &str)], body: Value| {
        let mut request = app
            .http
            .post(app.url("/api/payment/portone"))
            .header("x-forwarded-for", from);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.json(&body).send().await.unwrap()).await
    };
    let webhook = json!({ "imp_uid": imp_uid, "merchant_uid": "ord-1", "status": "paid" });
    let callback = json!({ "imp_uid": imp_uid, "merchant_uid": "ord-1" });
    let own = [("sec-fetch-site", "same-origin")];
    // Neither a stranger, nor one who writes PortOne's address in front of its own, nor a page that sends a webhook.
    for (from, headers, body) in [
        ("6.6.6.6", &[][..], &webhook),
        ("52.78.100.19, 6.6.6.6", &[], &webhook),
        ("6.6.6.6", &own, &webhook),
        ("6.6.6.6", &[], &callback),
        ("6.6.6.6", &[("sec-fetch-site", "cross-site")], &callback),
        ("6.6.6.6", &[("origin", "https://evil.example")], &callback),
        (
            "6.6.6.6",
            &own,
            &json!({ "imp_uid": imp_uid, "merchant_uid": "ord-unknown" }),
        ),
        ("6.6.6.6", &own, &json!({ "imp_uid": imp_uid })),
    ] {
        let (status, problem) = tell(from, headers, body.clone()).await;
        assert_eq!(
            (status, problem["type"].as_str()),
            (403, Some("urn:jeongsan:problem:unknown-source")),
            "{from} {headers:?} {body} {problem}"
        );
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("portone.webhook_sources")
        );
    }
    assert_eq!(inbox(), 0, "nothing was written");
    let back = app.http.get(app.url(&format!(
        "/payment/return?imp_uid={imp_uid}&merchant_uid=ord-unknown"
    )));
    back.header("x-forwarded-for", "6.6.6.6")
        .send()
        .await
        .unwrap();
    assert_eq!(inbox(), 0);
    // A buyer's browser, and the way back of a phone's window.
    assert_eq!(tell("6.6.6.6", &own, callback).await.0, 200);
    let back = app.http.get(app.url(&format!(
        "/payment/return?imp_uid={imp_uid}&merchant_uid=ord-1"
    )));
    assert_eq!(
        back.header("x-forwarded-for", "6.6.6.6")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    // PortOne itself.
    assert_eq!(tell("52.78.100.19", &[], webhook).await.0, 200);
    assert_eq!(inbox(), 3);
}
