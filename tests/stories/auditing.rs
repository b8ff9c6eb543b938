//! The audit log: everything a person does is in it, nothing in it can be changed unseen, and its pages.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::Duration,
};

use jeongsan::{
    domain::{account::Role, calendar::KstDay, job::Job},
    sandbox::{Fault, Kind, NewPayment, Target},
    store::{
        Store, StoreError,
        accounts, audit, books,
        jobs::{self, Terms},
    },
    web::access::{self, Need},
};
use reqwest::{Method, Response};
use rusqlite::Connection;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::{
    people::{self, PASSWORD, Visitor},
    support::TestApp,
};

/// Routes that change nothing of the books or of anybody's rights, and leave no line.
const LEAVES_NONE: &[(&str, &str)] = &[
    ("POST /account/look", "how one's own pages look"),
    ("POST /lang", "how one's own pages look"),
    ("POST /admin/settlements/days/{day}/dry-run", "it only says what would be"),
    ("POST /admin/payouts/{id}/result", "it only says what the file would do"),
    ("POST /payment/{imp_uid}/cancel/confirm", "it only asks whether one is sure"),
    ("POST /api/payment/portone", "what PortOne says is PortOne's: it stands in the inbox"),
];

/// Routes that leave a line, and are told of elsewhere.
const ELSEWHERE: &[(&str, &str)] = &[
    ("POST /set-up", "nobody is signed in yet: see the test below"),
    ("POST /payment/orders", "goods of the demo, which these settings do not sell; the flow is that of POST /api/orders"),
    (
        "POST /admin/payouts/templates/{name}",
        "a form of two hundred fields; its last step is the flow of PUT /api/bank-templates/{name}",
    ),
];

/// Somebody who does things, and what the log says of each.
struct Deeds<'a> {
    app: &'a TestApp,
    who: Visitor,
    told: BTreeMap<String, Vec<String>>,
}

impl Deeds<'_> {
    fn head(&self) -> i64 {
        self.app.sql("select coalesce(max(id), 0) from audit")
    }

    fn since(&self, head: i64) -> Vec<String> {
        let conn = Connection::open(self.app.database()).unwrap();
        let mut query = conn
            .prepare("select act from audit where id > ?1 and actor = '@minji' and origin <> '' order by id")
            .unwrap();
        query
            .query_map([head], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    async fn sent(&mut self, route: &str, head: i64, answer: Response) -> String {
        let status = answer.status().as_u16();
        let to = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        let text = answer.text().await.unwrap();
        assert!(matches!(status, 200 | 201 | 202 | 204 | 303), "{route}: {status} {text}");
        let away = to.as_deref().unwrap_or_default().starts_with("/sign-in/again");
        assert!(!away, "{route}: asked who it is");
        let acts = self.since(head);
        self.told.entry(route.to_owned()).or_default().extend(acts);
        to.unwrap_or(text)
    }

    async fn json(&mut self, route: &str, path: &str, body: Value) -> Value {
        let head = self.head();
        let method: Method = route.split(' ').next().unwrap().parse().unwrap();
        let request = self.who.with(self.who.request(method, path));
        let request = request.header("x-form-token", self.who.token()).json(&body);
        let answer = request.send().await.unwrap();
        let text = self.sent(route, head, answer).await;
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    async fn bytes(&mut self, route: &str, path: &str, kind: &str, body: Vec<u8>) -> String {
        let head = self.head();
        let request = self.who.with(self.who.request(Method::POST, path));
        let request = request
            .header("x-form-token", self.who.token())
            .header("content-type", kind)
            .body(body);
        let answer = request.send().await.unwrap();
        self.sent(route, head, answer).await
    }

    async fn parts(&mut self, route: &str, path: &str, parts: &[(&str, &str)]) -> String {
        let mut body = String::new();
        for (name, content) in parts {
            let file = if *name == "file" { "; filename=\"f.csv\"" } else { "" };
            body += &format!(
                "--cut\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"
            );
        }
        body += "--cut--\r\n";
        let kind = "multipart/form-data; boundary=cut";
        self.bytes(route, path, kind, body.into_bytes()).await
    }

    async fn form(&mut self, route: &str, path: &str, fields: &[(&str, &str)]) -> String {
        let head = self.head();
        let answer = self.who.post(path, fields).await;
        self.who.keep(&answer);
        self.sent(route, head, answer).await
    }

    /// Files count as well: who took them away.
    async fn file(&mut self, route: &str, path: &str) {
        let head = self.head();
        let answer = self.who.get(path).await;
        self.sent(route, head, answer).await;
    }

    async fn days_later(&mut self, days: u64) {
        self.app.clock.advance(Duration::from_secs(days * 86_400));
        let answer = self.who.sign_in("minji", PASSWORD, "/").await;
        assert_eq!(answer.status(), 303);
    }

    fn id(&self, sql: &str) -> i64 {
        self.app.sql(sql)
    }
}

fn hidden(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    let start = page.find(&mark).unwrap_or_else(|| panic!("{name} in {page}")) + mark.len();
    page[start..].split('"').next().unwrap().replace("&quot;", "\"")
}

fn code(app: &TestApp, secret: &str) -> String {
    let totp = Builder::new()
        .with_secret(Secret::try_from_base32(secret).unwrap())
        .with_account_name("minji")
        .with_issuer(Some("jeongsan"))
        .build()
        .unwrap();
    let at = app.clock.now().as_second();
    totp.generate(u64::try_from(at).unwrap()).to_string()
}

async fn own_account(deeds: &mut Deeds<'_>) {
    let app = deeds.app;
    deeds.form("POST /sign-in/again", "/sign-in/again", &[("given", PASSWORD), ("next", "/account")]).await;
    let (_, page) = deeds.who.text("/account/totp").await;
    let (secret, made_at, sign) = (hidden(&page, "secret"), hidden(&page, "made_at"), hidden(&page, "sign"));
    let now = code(app, &secret);
    let form = [("secret", secret.as_str()), ("made_at", &made_at), ("sign", &sign), ("code", &now)];
    deeds.form("POST /account/totp", "/account/totp", &form).await;
    deeds.form("POST /account/totp/codes", "/account/totp/codes", &[]).await;
    app.clock.advance(Duration::from_secs(60));
    let mut visitor = Visitor::new(&app.url(""));
    visitor.sign_in("minji", PASSWORD, "/account").await;
    let former = std::mem::replace(&mut deeds.who, visitor);
    let now = code(app, &secret);
    deeds.form("POST /sign-in/code", "/sign-in/code", &[("given", &now), ("next", "/")]).await;
    app.clock.advance(Duration::from_secs(60));
    let now = code(app, &secret);
    deeds.form("POST /account/totp/remove", "/account/totp/remove", &[("code", &now)]).await;
    let (_, page) = deeds.who.text("/account").await;
    let other = page.split("action=\"/account/sessions/").nth(1).unwrap();
    let other = other.split('"').next().unwrap().to_owned();
    deeds.form("POST /account/sessions/{id}", &format!("/account/sessions/{other}"), &[]).await;
    assert_ne!(former.get("/account").await.status(), 200);
    deeds.form("POST /account/sessions", "/account/sessions", &[]).await;
    let other = "gx8!kQ2zPw trains";
    for (present, next) in [(PASSWORD, other), (other, PASSWORD)] {
        let form = [("present", present), ("password", next), ("again", next)];
        deeds.form("POST /account/password", "/account/password", &form).await;
    }
}

async fn others_accounts(deeds: &mut Deeds<'_>) {
    deeds.form("POST /admin/users", "/admin/users", &[("name", "jun"), ("role", "viewer")]).await;
    for (act, form) in [
        ("role", vec![("role", "operator")]),
        ("disable", vec![]),
        ("enable", vec![]),
        ("sessions", vec![]),
        ("reset", vec![]),
    ] {
        let route = format!("POST /admin/users/{{name}}/{act}");
        deeds.form(&route, &format!("/admin/users/jun/{act}"), &form).await;
    }
    deeds.form("POST /admin/audit/verify", "/admin/audit/verify", &[]).await;
}

fn partner(id: &str, account: &str) -> Value {
    json!({
        "id": id, "name": format!("{id} 상회"), "type": "INDIVIDUAL", "status": "APPROVED",
        "account": { "bank": "004", "number": account, "holder": "홍길동" },
    })
}

fn terms(rate: i64) -> Value {
    json!({
        "fee": { "rate": rate },
        "cycle": { "lag_days": 0, "method": { "kind": "DAILY" }, "holiday": "CALENDAR_DAY" },
    })
}

async fn partners(deeds: &mut Deeds<'_>, today: KstDay) {
    deeds.json("POST /api/partners", "/api/partners", partner("farm", "0012301000001")).await;
    deeds.json("POST /api/partners", "/api/partners", partner("sea", "0012301000002")).await;
    deeds.json("POST /api/partners", "/api/partners", partner("old", "0012301000003")).await;
    deeds.json("PUT /api/partners/{id}", "/api/partners/sea", partner("sea", "0012301000009")).await;
    deeds.json("POST /api/partners/{id}/archive", "/api/partners/old/archive", json!({})).await;
    deeds.json("POST /api/partners/{id}/recover", "/api/partners/old/recover", json!({})).await;
    for id in ["farm", "sea"] {
        let contract = json!({ "from": today, "terms": terms(0) });
        deeds.json("POST /api/partners/{id}/contracts", &format!("/api/partners/{id}/contracts"), contract).await;
    }
    for route in ["DELETE /api/contracts/{id}", "POST /admin/contracts/{id}/withdraw"] {
        let later = json!({ "from": today.plus_days(200), "terms": terms(10_000) });
        let made = deeds.json("POST /api/partners/{id}/contracts", "/api/partners/farm/contracts", later).await;
        let id = made["id"].as_i64().unwrap();
        match route.starts_with("DELETE") {
            true => _ = deeds.json(route, &format!("/api/contracts/{id}"), json!({})).await,
            false => {
                let path = format!("/admin/contracts/{id}/withdraw");
                deeds.form(route, &path, &[("sure", "1")]).await;
            }
        }
    }
    let file = "partner_id,name,type\nfile-1,파일 상회,INDIVIDUAL\n";
    deeds.bytes("POST /api/partners/import", "/api/partners/import", "text/csv", file.into()).await;

    let new = [("id", "page"), ("name", "페이지 상회"), ("type", "INDIVIDUAL"), ("status", "PENDING")];
    deeds.form("POST /admin/partners/new", "/admin/partners/new", &new).await;
    let edit = [("name", "고친 상회"), ("type", "INDIVIDUAL"), ("status", "PENDING")];
    deeds.form("POST /admin/partners/{id}/edit", "/admin/partners/page/edit", &edit).await;
    let day = today.to_string();
    let contract = [
        ("do", "save"), ("from", day.as_str()), ("fee_kind", "rate"), ("fee", "3.3"), ("fee_vat", "PARTNER"),
        ("method", "DAILY"), ("lag_days", "1"), ("holiday", "AFTER"),
    ];
    deeds.form("POST /admin/partners/{id}/contract", "/admin/partners/page/contract", &contract).await;
    deeds.form("POST /admin/partners/{id}/archive", "/admin/partners/page/archive", &[]).await;
    deeds.form("POST /admin/partners/{id}/recover", "/admin/partners/page/recover", &[]).await;
    let (route, path) = ("POST /admin/partners/import", "/admin/partners/import");
    let page = deeds.parts(route, path, &[("file", &file.replace("file-1", "file-2"))]).await;
    let (seen, carried) = (hidden(&page, "seen"), hidden(&page, "carried"));
    deeds.parts(route, path, &[("seen", &seen), ("carried", &carried)]).await;
    for ending in ["csv", "xlsx"] {
        let path = format!("/admin/partners/export.{ending}");
        deeds.file(&format!("GET {path}"), &path).await;
    }
}

/// A paid order of one partner's, registered by the person.
async fn sold(deeds: &mut Deeds<'_>, order: &str, partner: &str, won: i64) -> String {
    let line = json!({ "partner": partner, "name": "사과", "quantity": 1, "unit_price": won });
    let body = json!({ "merchant_uid": order, "lines": [line] });
    deeds.json("POST /api/orders", "/api/orders", body).await;
    let imp_uid = deeds.app.paid(order, won).await;
    deeds.app.drain().await;
    imp_uid
}

async fn payments(deeds: &mut Deeds<'_>) {
    let app = deeds.app;
    let ids = [
        sold(deeds, "can-1", "farm", 1_000).await,
        sold(deeds, "can-2", "farm", 1_000).await,
        sold(deeds, "can-3", "farm", 1_000).await,
    ];
    let path = format!("/api/payment/{}/cancel", ids[0]);
    deeds.json("POST /api/payment/{imp_uid}/cancel", &path, json!({ "reason": "단순 변심" })).await;
    let path = format!("/api/payment/cancel/{}", ids[1]);
    deeds.json("DELETE /api/payment/cancel/{imp_uid}", &path, json!({})).await;
    let path = format!("/payment/{}/cancel", ids[2]);
    let form = [("amount", "1000"), ("reason", "단순 변심"), ("key", "key-1")];
    deeds.form("POST /payment/{imp_uid}/cancel", &path, &form).await;
    app.drain().await;
    // Held, as another sum was paid than was ordered.
    let line = json!({ "partner": "farm", "name": "사과", "quantity": 1, "unit_price": 5_000 });
    let body = json!({ "merchant_uid": "held-1", "lines": [line] });
    deeds.json("POST /api/orders", "/api/orders", body).await;
    let held = app.charge_as(NewPayment {
        merchant_uid: "held-1".into(),
        amount: 4_000,
        name: "사과".into(),
        ..NewPayment::default()
    });
    app.webhook(&held, "held-1", "paid").await;
    app.drain().await;
    let path = format!("/payment/{held}/release");
    deeds.form("POST /payment/{imp_uid}/release", &path, &[("note", "확인함")]).await;

    // Three cancels that PortOne refused: dead letters.
    let mut dead = Vec::new();
    for order in ["dead-1", "dead-2", "dead-3"] {
        let imp_uid = sold(deeds, order, "farm", 2_000).await;
        app.portone.fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
        assert_eq!(app.cancel(&imp_uid, Some(500)).await.status(), 409);
        dead.push(*app.dead().last().unwrap());
    }
    let (one, two) = (dead[0], dead[1]);
    let sure = [("sure", "1"), ("note", "확인함")];
    let path = format!("/admin/dead-letters/{one}/replay");
    deeds.form("POST /admin/dead-letters/{id}/replay", &path, &sure).await;
    let path = format!("/admin/dead-letters/{two}/discard");
    deeds.form("POST /admin/dead-letters/{id}/discard", &path, &sure).await;
    let (_, page) = deeds.who.text("/admin/dead-letters/replay?kind=retry_cancel").await;
    let mark = hidden(&page, "mark");
    let form = [("kind", "retry_cancel"), ("mark", mark.as_str())];
    deeds.form("POST /admin/dead-letters/replay", "/admin/dead-letters/replay", &form).await;
    app.drain().await;
}

async fn later(app: &TestApp) -> i64 {
    let store = &app.app().web.ctx.store;
    let terms = Terms {
        max_attempts: 3,
        run_at: Some(store.now() + Duration::from_secs(3_600)),
    };
    let job = Job::Prune {
        until: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    let made = store.write(move |tx| jobs::publish(tx, &job, terms)).await;
    made.unwrap().id()
}

async fn queue(deeds: &mut Deeds<'_>) {
    let sure = [("sure", "1"), ("note", "점검")];
    for act in ["pause", "resume"] {
        let route = format!("POST /admin/jobs/kinds/{{kind}}/{act}");
        deeds.form(&route, &format!("/admin/jobs/kinds/prune/{act}"), &sure).await;
    }
    for act in ["run-now", "discard"] {
        let id = later(deeds.app).await;
        let route = format!("POST /admin/jobs/{{id}}/{act}");
        deeds.form(&route, &format!("/admin/jobs/{id}/{act}"), &sure).await;
        deeds.app.drain().await;
    }
}

async fn settlements(deeds: &mut Deeds<'_>, day: KstDay) {
    let path = format!("/api/settlements/days/{day}");
    deeds.json("POST /api/settlements/days/{day}", &path, json!({})).await;
    let reason = json!({ "reason": "다시 계산" });
    deeds.json("POST /api/settlements/days/{day}/reopen", &format!("{path}/reopen"), reason.clone()).await;
    let path = format!("/admin/settlements/days/{day}");
    deeds.form("POST /admin/settlements/days/{day}/settle", &format!("{path}/settle"), &[("sure", "1")]).await;
    let sure = [("sure", "1"), ("reason", "다시 계산")];
    deeds.form("POST /admin/settlements/days/{day}/reopen", &format!("{path}/reopen"), &sure).await;
    let id = deeds.id("select id from settlement where partner_id = 'farm'");
    for (base, json_body) in [("/api/settlements", true), ("/admin/settlements", false)] {
        for act in ["hold", "release"] {
            let (route, path) = (format!("POST {base}/{{id}}/{act}"), format!("{base}/{id}/{act}"));
            match json_body {
                true => _ = deeds.json(&route, &path, reason.clone()).await,
                false => _ = deeds.form(&route, &path, &sure).await,
            }
        }
    }
    let adjustment = json!({ "partner": "farm", "amount": -100, "reason": "배송비" });
    deeds.json("POST /api/adjustments", "/api/adjustments", adjustment).await;
    let form = [("partner", "farm"), ("amount", "300"), ("reason", "보상"), ("sure", "1"), ("key", "k-1")];
    deeds.form("POST /admin/adjustments", "/admin/adjustments", &form).await;
    let file = "partner_id,amount,reason\nfarm,700,보상\n";
    let path = "/api/adjustments/import";
    deeds.bytes("POST /api/adjustments/import", path, "text/csv", file.into()).await;
    let (route, path) = ("POST /admin/adjustments/import", "/admin/adjustments/import");
    let page = deeds.parts(route, path, &[("file", &file.replace("700", "800"))]).await;
    let (seen, kept) = (hidden(&page, "seen"), hidden(&page, "kept"));
    deeds.parts(route, path, &[("seen", &seen), ("kept", &kept)]).await;
    for ending in ["csv", "xlsx"] {
        let route = format!("GET /admin/statements/{{partner}}/statement.{ending}");
        let path = format!("/admin/statements/farm/statement.{ending}?from={day}&to={day}");
        deeds.file(&route, &path).await;
    }
}

/// Makes a batch of what is due and gives its id.
async fn batch(deeds: &mut Deeds<'_>, by_page: bool) -> i64 {
    let until = KstDay::of(deeds.app.clock.now()).to_string();
    if by_page {
        let due = deeds.app.json(&format!("/api/payouts/due?until={until}")).await;
        let total = due["total"].to_string();
        let form = [("until", until.as_str()), ("sure", "1"), ("total", total.as_str())];
        deeds.form("POST /admin/payouts", "/admin/payouts", &form).await;
    } else {
        deeds.json("POST /api/payouts", "/api/payouts", json!({ "until": until })).await;
    }
    deeds.id("select max(id) from payout_batch")
}

async fn payouts(deeds: &mut Deeds<'_>) {
    let reason = json!({ "reason": "은행 점검" });
    let id = batch(deeds, false).await;
    deeds.json("POST /api/payouts/{id}/call-off", &format!("/api/payouts/{id}/call-off"), reason).await;
    let id = batch(deeds, true).await;
    let sure = [("sure", "1"), ("reason", "은행 점검")];
    deeds.form("POST /admin/payouts/{id}/call-off", &format!("/admin/payouts/{id}/call-off"), &sure).await;

    let id = batch(deeds, false).await;
    deeds.file("GET /api/payouts/{id}/file", &format!("/api/payouts/{id}/file")).await;
    deeds.file("GET /admin/payouts/{id}/file", &format!("/admin/payouts/{id}/file?template=공통")).await;
    let payout = deeds.id("select max(id) from payout");
    let path = format!("/api/payouts/{id}/payouts/{payout}");
    deeds.json("POST /api/payouts/{id}/payouts/{payout}", &path, json!({ "failed": "예금주" })).await;
    let rest = deeds.id("select count(*) from payout where state = 'WAITING'");
    if rest > 0 {
        let payout = deeds.id("select max(id) from payout where state = 'WAITING'");
        let path = format!("/admin/payouts/{id}/payouts/{payout}");
        let form = [("word", "failed"), ("reason", "예금주"), ("sure", "1")];
        deeds.form("POST /admin/payouts/{id}/payouts/{payout}", &path, &form).await;
    }
    for (base, by_page) in [("/api/settlements", false), ("/admin/settlements", true)] {
        let failed = deeds.id("select max(id) from settlement where state = 'FAILED'");
        let (route, path) = (format!("POST {base}/{{id}}/retry"), format!("{base}/{failed}/retry"));
        match by_page {
            false => _ = deeds.json(&route, &path, json!({ "reason": "계좌 확인" })).await,
            true => _ = deeds.form(&route, &path, &sure).await,
        }
    }
    let id = batch(deeds, false).await;
    let answer = deeds.app.get(&format!("/api/payouts/{id}/file?template=공통")).await;
    let file = jeongsan::sheet::read(&answer.bytes().await.unwrap(), None).unwrap();
    let csv = |outcome: &str| {
        let head = format!("{},처리결과,오류내용\n", file.headers.join(","));
        let rows = file.rows.iter().map(|row| format!("{},{outcome},\n", row.cells.join(",")));
        head + &rows.collect::<String>()
    };
    let path = format!("/api/payouts/{id}/result");
    let paid = csv("정상").into_bytes();
    deeds.bytes("POST /api/payouts/{id}/result", &path, "text/csv", paid).await;
    let payout = deeds.id("select max(id) from payout where state = 'PAID'");
    let words = json!([{ "payout": payout }]).to_string();
    let path = format!("/admin/payouts/{id}/result/confirm");
    deeds.form("POST /admin/payouts/{id}/result/confirm", &path, &[("words", &words)]).await;
    let path = format!("/admin/payouts/{id}/withholding?format=csv");
    deeds.file("GET /admin/payouts/{id}/withholding", &path).await;
}

async fn settings(deeds: &mut Deeds<'_>) {
    let today = KstDay::of(deeds.app.clock.now());
    let day = today.plus_days(300);
    let path = format!("/api/calendar/{day}");
    deeds.json("PUT /api/calendar/{day}", &path, json!({ "name": "임시공휴일" })).await;
    deeds.json("DELETE /api/calendar/{day}", &path, json!({})).await;
    let day = day.to_string();
    let form = [("day", day.as_str()), ("name", "쉬는 날"), ("kind", "off"), ("sure", "1")];
    deeds.form("POST /admin/calendar", "/admin/calendar", &form).await;
    let mut common = deeds.app.json("/api/bank-templates/공통").await;
    common["columns"][0]["header"] = json!("Bank");
    let path = "/api/bank-templates/공통";
    deeds.json("PUT /api/bank-templates/{name}", path, common).await;
    deeds.json("DELETE /api/bank-templates/{name}", path, json!({})).await;
    let path = "/admin/payouts/templates/%EA%B3%B5%ED%86%B5";
    deeds.form("POST /admin/payouts/templates/{name}/copy", &format!("{path}/copy"), &[("name", "mine")]).await;
    let reset = "/admin/payouts/templates/mine/reset";
    deeds.form("POST /admin/payouts/templates/{name}/reset", reset, &[]).await;
    for ending in ["csv", "xlsx"] {
        let path = format!("/admin/audit/export.{ending}");
        deeds.file(&format!("GET {path}"), &path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_person_does_leaves_a_line_with_their_name() {
    let mut app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    let who = Visitor::signed_in(&store, &app.url(""), "minji", Role::Owner).await;
    let mut deeds = Deeds {
        app: &app,
        who,
        told: BTreeMap::new(),
    };
    let signed_in = deeds.since(0);
    assert!(signed_in.contains(&"sign_in.succeeded".to_owned()), "{signed_in:?}");
    deeds.told.insert("POST /sign-in".to_owned(), signed_in);
    let day = KstDay::of(app.clock.now());
    own_account(&mut deeds).await;
    others_accounts(&mut deeds).await;
    partners(&mut deeds, day).await;
    payments(&mut deeds).await;
    queue(&mut deeds).await;
    sold(&mut deeds, "ord-1", "farm", 50_000).await;
    sold(&mut deeds, "ord-2", "sea", 70_000).await;
    deeds.days_later(1).await;
    settlements(&mut deeds, day).await;
    deeds.days_later(3).await;
    payouts(&mut deeds).await;
    settings(&mut deeds).await;
    deeds.form("POST /sign-out", "/sign-out", &[]).await;

    let told = deeds.told.clone();
    let key = |row: &access::Row| format!("{} {}", row.method, row.path);
    let reached: BTreeSet<&String> = told.keys().collect();
    let mut missing = Vec::new();
    for row in access::TABLE.iter().filter(|row| row.method != "GET") {
        let route = key(row);
        let none = LEAVES_NONE.iter().any(|(known, _)| *known == route);
        let elsewhere = ELSEWHERE.iter().any(|(known, _)| *known == route);
        match told.get(&route) {
            _ if none || elsewhere => {}
            Some(acts) if !acts.is_empty() => {}
            Some(_) => missing.push(format!("{route}: no line")),
            None => missing.push(format!("{route}: not tried here")),
        }
        assert!(row.need != Need::Open || none, "{route}");
    }
    for (route, acts) in &told {
        if route.starts_with("GET ") && acts.is_empty() {
            missing.push(format!("{route}: a file was taken and nobody knows"));
        }
    }
    assert!(missing.is_empty(), "{}\nof {reached:?}", missing.join("\n"));
    // The account number of a partner is on no line.
    let leaked = "select count(*) from audit where after like '%0012301000009%' or before like '%0012301000002%'";
    assert_eq!(app.sql::<i64>(leaked), 0);
    let changed: String = app.sql("select before from audit where act = 'partner.changed' and subject = 'partner:sea'");
    assert!(changed.contains("*********0002"), "{changed}");
    let held: Vec<String> = {
        let conn = Connection::open(app.database()).unwrap();
        let mut query = conn.prepare("select imp_uid from payment where merchant_uid = 'held-1'").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    app.unlike.extend(held);
    app.jobs_may_wait = true;
}

#[tokio::test]
async fn a_set_up_link_and_a_wrong_password_are_on_record_too() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    people::add(&store, "minji", Role::Owner, None).await;
    let mut visitor = Visitor::new(&app.url(""));
    visitor.sign_in("minji", "wrong", "/").await;
    visitor.sign_in("a secret typed as a name", "x", "/").await;
    assert_eq!(visitor.sign_in("minji", PASSWORD, "/").await.status(), 303);
    let made = visitor.post("/admin/users", &[("name", "jun"), ("role", "viewer")]).await;
    let page = made.text().await.unwrap();
    let secret = page.split("set-up?code=").nth(1).unwrap().split('"').next().unwrap();
    let form = [("code", secret), ("password", PASSWORD), ("again", PASSWORD)];
    let stranger = Visitor::new(&app.url(""));
    assert_eq!(stranger.post("/set-up", &form).await.status(), 303);
    let lines = store.read(|conn| audit::list(conn, &audit::Filter::default(), 20)).unwrap().lines;
    let acts: Vec<(&str, &str)> = lines.iter().rev().map(|line| (line.actor.as_str(), line.act.as_str())).collect();
    assert_eq!(
        acts,
        [
            ("@minji", "sign_in.failed"),
            ("@minji", "sign_in.succeeded"),
            ("@minji", "user.added"),
            ("@jun", "user.password_chosen"),
            ("@jun", "sign_in.succeeded"),
        ]
    );
    assert!(lines.iter().all(|line| !line.origin.is_empty()));
}

/// Some lines, and the file shut.
async fn some_lines() -> (TestApp, Store) {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    let owner = Visitor::signed_in(&store, &app.url(""), "minji", Role::Owner).await;
    for name in ["jun", "han", "seo"] {
        let made = owner.post("/admin/users", &[("name", name), ("role", "viewer")]).await;
        assert_eq!(made.status(), 201);
    }
    (app, store)
}

fn verify(app: &TestApp, more: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_jeongsan"))
        .arg("verify")
        .args(more)
        .env_clear()
        .env("JEONGSAN_DATA_DIR", app.dir())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), text)
}

/// Changes the file behind the program's back, as only somebody at the machine can.
fn behind_its_back(app: &TestApp, sql: &str) {
    let conn = Connection::open(app.database()).unwrap();
    conn.busy_timeout(Duration::from_secs(5)).unwrap();
    let triggers: Vec<(String, String)> = {
        let mut query = conn
            .prepare("select name, sql from sqlite_schema where type = 'trigger' and tbl_name = 'audit'")
            .unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    for (name, _) in &triggers {
        conn.execute_batch(&format!("drop trigger {name}")).unwrap();
    }
    conn.execute_batch(sql).unwrap();
    for (_, sql) in &triggers {
        conn.execute_batch(sql).unwrap();
    }
}

#[tokio::test]
async fn lines_cannot_be_changed_or_removed_by_plain_sql() {
    let (app, _) = some_lines().await;
    let conn = Connection::open(app.database()).unwrap();
    for (sql, rule) in [
        ("update audit set actor = '@jun'", "audit_is_never_changed"),
        ("delete from audit", "audit_is_never_removed"),
    ] {
        let why = conn.execute(sql, []).unwrap_err().to_string();
        assert!(why.contains(rule), "{why}");
    }
}

#[tokio::test]
async fn whatever_is_done_to_a_line_behind_the_programs_back_tells() {
    for (what, sql) in [
        ("changed", "update audit set actor = '@jun' where id = 2"),
        ("changed to other facts", "update audit set after = '{\"role\":\"owner\"}' where id = 2"),
        ("taken out", "delete from audit where id = 2"),
        (
            "slipped in",
            "update audit set id = id + 1000 where id >= 3; update audit set id = id - 999 where id >= 1003;
             insert into audit select 3, at, actor, origin, act, subject, before, after, prev, hash from audit where id = 2",
        ),
        (
            "swapped",
            "update audit set id = 1000 where id = 2; update audit set id = 2 where id = 3; update audit set id = 3 where id = 1000",
        ),
        ("given the mark that it should have", "update audit set at = at + 1, hash = 'abc' where id = 2"),
    ] {
        let (app, _) = some_lines().await;
        assert!(verify(&app, &[]).0, "sound before");
        behind_its_back(&app, sql);
        let conn = Connection::open(app.database()).unwrap();
        let broken = books::check(&conn).unwrap();
        assert!(broken.iter().any(|rule| rule.rule == "audit_chain"), "{what}: {broken:?}");
        let (sound, text) = verify(&app, &[]);
        assert!(!sound && text.contains("audit_chain"), "{what}: {text}");
        let page = Visitor::signed_in(&app.app().web.ctx.store, &app.url(""), "minji", Role::Owner).await;
        assert_eq!(page.post("/admin/audit/verify", &[]).await.status(), 303);
        let (_, text) = page.text("/admin/audit").await;
        assert!(text.contains("사슬이 끊겨"), "{what}");
        // Dropping the app checks its books, which are broken on purpose: they are gone by then.
        behind_its_back(&app, "delete from audit");
        behind_its_back(&app, "delete from setting where key = 'audit_checked'");
    }
}

#[tokio::test]
async fn a_cut_off_end_tells_whoever_kept_the_head() {
    let (app, store) = some_lines().await;
    let (_, head) = store.read(audit::head).unwrap();
    assert!(verify(&app, &["--audit-head", &head]).0);
    behind_its_back(&app, "delete from audit where id = (select max(id) from audit)");
    let (sound, _) = verify(&app, &[]);
    assert!(sound, "the chain itself cannot tell that its end is gone");
    let (sound, text) = verify(&app, &["--audit-head", &head]);
    assert!(!sound && text.contains("audit_head"), "{text}");
}

#[tokio::test]
async fn the_page_is_filtered_paged_and_masked() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    let minji = Visitor::signed_in(&store, &app.url(""), "minji", Role::Owner).await;
    let jun = Visitor::signed_in(&store, &app.url(""), "jun", Role::Accountant).await;
    let body = partner("farm", "0012301000001");
    let request = jun.with(jun.request(Method::POST, "/api/partners"));
    let request = request.header("x-form-token", jun.token()).json(&body);
    assert_eq!(request.send().await.unwrap().status(), 201);
    for _ in 0..60 {
        let done = store
            .write(|tx| {
                let acting = jeongsan::store::acting::Acting {
                    by: "@han",
                    origin: "10.0.0.1".into(),
                    once: None,
                };
                let after = json!({ "reason": "hong@example.com 010-1234-5678" });
                let act = audit::Act {
                    act: "settlement.held",
                    subject: "settlement:7",
                    before: None,
                    after: Some(&after),
                };
                audit::add(tx, &acting, &act)
            })
            .await;
        let _: Result<(), StoreError> = done;
    }
    let look = |query: &str| {
        let (minji, path) = (minji.clone(), format!("/admin/audit{query}"));
        async move {
            let (status, page) = minji.text(&path).await;
            assert_eq!(status, 200, "{path}");
            page
        }
    };
    let count = |page: &str| page.matches("id=\"line-").count();
    let page = look("").await;
    assert_eq!(count(&page), 50);
    assert!(!page.contains("hong@example.com") && !page.contains("1234-5678"));
    assert!(page.contains("h***@example.com"));
    let next = page.split("before=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let older = look(&format!("?before={next}")).await;
    assert!(count(&older) >= 13, "{}", count(&older));
    assert!(older.contains("@jun") && !older.contains("rel=\"next\""));
    assert_eq!(count(&look("?actor=%40jun").await), 2);
    assert_eq!(count(&look("?actor=%40jun&act=sign_in.").await), 1);
    assert_eq!(count(&look("?act=partner.").await), 1);
    assert_eq!(count(&look("?act=partner.added").await), 1);
    assert_eq!(count(&look("?subject=settlement%3A7&actor=%40jun").await), 0);
    assert_eq!(count(&look("?subject=settlement%3A7").await), 50);
    assert_eq!(count(&look("?subject=partner%3Afarm&act=partner.added").await), 1);
    let today = KstDay::of(app.clock.now());
    let (before, after) = (today.previous(), today.next());
    assert_eq!(count(&look(&format!("?to={before}")).await), 0);
    assert_eq!(count(&look(&format!("?from={after}")).await), 0);
    assert_eq!(count(&look(&format!("?from={today}&to={today}")).await), 50);
    let evil = look("?actor=%27%20or%201%3D1%20--&act=%22%3E%3Cscript%3E").await;
    assert_eq!(count(&evil), 0);
    assert!(!evil.contains("\"><script>"));
    let (status, page) = minji.text("/admin/audit?from=gestern").await;
    assert!(status == 400 && page.contains("2026-08-06처럼"), "{status}");
    // Who may not take files away gets none, and who may not read the log sees none.
    let viewer = Visitor::signed_in(&store, &app.url(""), "vie", Role::Viewer).await;
    assert_eq!(viewer.get("/admin/audit").await.status(), 403);
    assert_eq!(viewer.get("/admin/audit/export.csv").await.status(), 403);
    let (status, csv) = jun.text("/admin/audit/export.csv?act=settlement.held").await;
    assert_eq!(status, 200);
    assert!(csv.contains("정산을 보류") && csv.contains("h***@example.com"));
    assert!(!csv.contains(",@han") && csv.matches("settlement:7").count() == 60, "{csv}");
    let users = store.read(accounts::list).unwrap();
    assert_eq!(users.len(), 3);
}
