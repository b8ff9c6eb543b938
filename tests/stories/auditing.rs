//! Everything a person does is in the audit log: each route of the table of access that changes something.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jeongsan::{
    domain::{
        account::{Right, Role},
        calendar::KstDay,
        job::Job,
    },
    sandbox::{Fault, Kind, Target},
    store::jobs::{self, Terms},
    web::access::{self, Need},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    deeds::{Deeds, code, hidden},
    people::{PASSWORD, Visitor},
    support::TestApp,
};

/// Routes that change nothing of the books or of anybody's rights, and leave no line.
const LEAVES_NONE: &[(&str, &str)] = &[
    ("POST /account/look", "how one's own pages look"),
    ("POST /lang", "how one's own pages look"),
    ("POST /theme", "how one's own pages look"),
    ("POST /admin/columns", "how one's own lists look"),
    ("POST /admin/filters", "how one's own lists look"),
    (
        "POST /admin/filters/{id}/remove",
        "how one's own lists look",
    ),
    (
        "POST /admin/settlements/days/{day}/dry-run",
        "it only says what would be",
    ),
    (
        "POST /admin/payouts/{id}/result",
        "it only says what the file would do",
    ),
    (
        "POST /payment/{imp_uid}/cancel/confirm",
        "it only asks whether one is sure",
    ),
    (
        "POST /payment/mine/leave",
        "a buyer's browser forgets a link",
    ),
    (
        "POST /tour/{act}",
        "the demo's alone, and tells only the sandbox",
    ),
    (
        "POST /api/payment/portone",
        "what PortOne says is PortOne's: it stands in the inbox",
    ),
];

/// Routes that leave a line, and are told of elsewhere.
const ELSEWHERE: &[(&str, &str)] = &[
    ("POST /api/buyers/links", "see buying.rs"),
    ("POST /set-up", "nobody is signed in yet: see tampering.rs"),
    (
        "POST /payment/orders",
        "goods of the demo, which these settings do not sell; the flow is that of POST /api/orders",
    ),
    (
        "POST /admin/payouts/templates/{name}",
        "a form of two hundred fields; its last step is the flow of PUT /api/bank-templates/{name}",
    ),
];

async fn own_account(deeds: &mut Deeds<'_>) {
    let app = deeds.app;
    deeds
        .form(
            "POST /sign-in/again",
            "/sign-in/again",
            &[("given", PASSWORD), ("next", "/account")],
        )
        .await;
    let (_, page) = deeds.who.text("/account/totp").await;
    let (secret, made_at, sign) = (
        hidden(&page, "secret"),
        hidden(&page, "made_at"),
        hidden(&page, "sign"),
    );
    let now = code(app, &secret);
    let form = [
        ("secret", secret.as_str()),
        ("made_at", &made_at),
        ("sign", &sign),
        ("code", &now),
    ];
    deeds
        .form("POST /account/totp", "/account/totp", &form)
        .await;
    deeds
        .form("POST /account/totp/codes", "/account/totp/codes", &[])
        .await;
    app.clock.advance(Duration::from_secs(60));
    let mut visitor = Visitor::new(&app.url(""));
    visitor.sign_in("minji", PASSWORD, "/account").await;
    let former = std::mem::replace(&mut deeds.who, visitor);
    let now = code(app, &secret);
    deeds
        .form(
            "POST /sign-in/code",
            "/sign-in/code",
            &[("given", &now), ("next", "/")],
        )
        .await;
    app.clock.advance(Duration::from_secs(60));
    let now = code(app, &secret);
    deeds
        .form(
            "POST /account/totp/remove",
            "/account/totp/remove",
            &[("code", &now)],
        )
        .await;
    let (_, page) = deeds.who.text("/account").await;
    let other = page.split("action=\"/account/sessions/").nth(1).unwrap();
    let other = other.split('"').next().unwrap().to_owned();
    deeds
        .form(
            "POST /account/sessions/{id}",
            &format!("/account/sessions/{other}"),
            &[],
        )
        .await;
    assert_ne!(former.get("/account").await.status(), 200);
    deeds
        .form("POST /account/sessions", "/account/sessions", &[])
        .await;
    let other = "gx8!kQ2zPw trains";
    for (present, next) in [(PASSWORD, other), (other, PASSWORD)] {
        let form = [("present", present), ("password", next), ("again", next)];
        deeds
            .form("POST /account/password", "/account/password", &form)
            .await;
    }
}

async fn others_accounts(deeds: &mut Deeds<'_>) {
    deeds
        .form(
            "POST /admin/users",
            "/admin/users",
            &[("name", "jun"), ("role", "viewer")],
        )
        .await;
    for (act, form) in [
        ("role", vec![("role", "operator")]),
        ("disable", vec![]),
        ("enable", vec![]),
        ("sessions", vec![]),
        ("reset", vec![]),
    ] {
        let route = format!("POST /admin/users/{{name}}/{act}");
        deeds
            .form(&route, &format!("/admin/users/jun/{act}"), &form)
            .await;
    }
    deeds
        .form("POST /admin/audit/verify", "/admin/audit/verify", &[])
        .await;
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
    deeds
        .json(
            "POST /api/partners",
            "/api/partners",
            partner("farm", "0012301000001"),
        )
        .await;
    deeds
        .json(
            "POST /api/partners",
            "/api/partners",
            partner("sea", "0012301000002"),
        )
        .await;
    deeds
        .json(
            "POST /api/partners",
            "/api/partners",
            partner("old", "0012301000003"),
        )
        .await;
    deeds
        .json(
            "PUT /api/partners/{id}",
            "/api/partners/sea",
            partner("sea", "0012301000009"),
        )
        .await;
    deeds
        .json(
            "POST /api/partners/{id}/archive",
            "/api/partners/old/archive",
            json!({}),
        )
        .await;
    deeds
        .json(
            "POST /api/partners/{id}/recover",
            "/api/partners/old/recover",
            json!({}),
        )
        .await;
    for id in ["farm", "sea"] {
        let contract = json!({ "from": today, "terms": terms(0) });
        deeds
            .json(
                "POST /api/partners/{id}/contracts",
                &format!("/api/partners/{id}/contracts"),
                contract,
            )
            .await;
    }
    for route in [
        "DELETE /api/contracts/{id}",
        "POST /admin/contracts/{id}/withdraw",
    ] {
        let later = json!({ "from": today.plus_days(200), "terms": terms(10_000) });
        let made = deeds
            .json(
                "POST /api/partners/{id}/contracts",
                "/api/partners/farm/contracts",
                later,
            )
            .await;
        let id = made["id"].as_i64().unwrap();
        match route.starts_with("DELETE") {
            true => {
                _ = deeds
                    .json(route, &format!("/api/contracts/{id}"), json!({}))
                    .await
            }
            false => {
                let path = format!("/admin/contracts/{id}/withdraw");
                deeds.form(route, &path, &[("sure", "1")]).await;
            }
        }
    }
    let file = "partner_id,name,type\nfile-1,파일 상회,INDIVIDUAL\n";
    deeds
        .bytes(
            "POST /api/partners/import",
            "/api/partners/import",
            "text/csv",
            file.into(),
        )
        .await;

    let new = [
        ("id", "page"),
        ("name", "페이지 상회"),
        ("type", "INDIVIDUAL"),
        ("status", "APPROVED"),
    ];
    deeds
        .form("POST /admin/partners/new", "/admin/partners/new", &new)
        .await;
    let edit = [
        ("name", "고친 상회"),
        ("type", "INDIVIDUAL"),
        ("status", "APPROVED"),
    ];
    deeds
        .form(
            "POST /admin/partners/{id}/edit",
            "/admin/partners/page/edit",
            &edit,
        )
        .await;
    let day = today.to_string();
    let contract = [
        ("do", "agree"),
        ("from", day.as_str()),
        ("fee_kind", "rate"),
        ("fee", "3.3"),
        ("fee_vat", "PARTNER"),
        ("method", "DAILY"),
        ("lag_days", "1"),
        ("holiday", "AFTER"),
    ];
    deeds
        .form(
            "POST /admin/partners/{id}/contract",
            "/admin/partners/page/contract",
            &contract,
        )
        .await;
    deeds
        .form(
            "POST /admin/partners/{id}/archive",
            "/admin/partners/page/archive",
            &[],
        )
        .await;
    deeds
        .form(
            "POST /admin/partners/{id}/recover",
            "/admin/partners/page/recover",
            &[],
        )
        .await;
    let (route, path) = ("POST /admin/partners/import", "/admin/partners/import");
    let page = deeds
        .parts(route, path, &[("file", &file.replace("file-1", "file-2"))])
        .await;
    let (seen, carried) = (hidden(&page, "seen"), hidden(&page, "carried"));
    deeds
        .parts(route, path, &[("seen", &seen), ("carried", &carried)])
        .await;
    let path = "/admin/partners/farm/reveal";
    deeds
        .form(
            "POST /admin/partners/{id}/reveal",
            path,
            &[("reason", "계좌 확인")],
        )
        .await;
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
    deeds
        .json(
            "POST /api/payment/{imp_uid}/cancel",
            &path,
            json!({ "reason": "단순 변심" }),
        )
        .await;
    let path = format!("/api/payment/cancel/{}", ids[1]);
    deeds
        .json("DELETE /api/payment/cancel/{imp_uid}", &path, json!({}))
        .await;
    let path = format!("/payment/{}/cancel", ids[2]);
    let form = [
        ("amount", "1000"),
        ("reason", "단순 변심"),
        ("key", "key-1"),
    ];
    deeds
        .form("POST /payment/{imp_uid}/cancel", &path, &form)
        .await;
    app.drain().await;
    // Held, as another had paid the order; that one was given back since.
    let first = sold(deeds, "held-1", "farm", 5_000).await;
    let held = app.charge("held-1", 5_000);
    assert_eq!(app.webhook(&held, "held-1", "paid").await.status(), 422);
    assert_eq!(app.cancel(&first, None).await.status(), 200);
    app.drain().await;
    let path = format!("/payment/{held}/release");
    deeds
        .form(
            "POST /payment/{imp_uid}/release",
            &path,
            &[("note", "확인함")],
        )
        .await;
    let path = format!("/payment/{held}/reveal");
    deeds
        .form(
            "POST /payment/{imp_uid}/reveal",
            &path,
            &[("reason", "배송 문의")],
        )
        .await;

    // Three cancels that PortOne refused: dead letters.
    let mut dead = Vec::new();
    for order in ["dead-1", "dead-2", "dead-3"] {
        let imp_uid = sold(deeds, order, "farm", 2_000).await;
        app.portone
            .fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
        assert_eq!(app.cancel(&imp_uid, Some(500)).await.status(), 409);
        dead.push(*app.dead().last().unwrap());
    }
    let (one, two) = (dead[0], dead[1]);
    let sure = [("sure", "1"), ("note", "확인함")];
    let path = format!("/admin/dead-letters/{one}/replay");
    deeds
        .form("POST /admin/dead-letters/{id}/replay", &path, &sure)
        .await;
    let path = format!("/admin/dead-letters/{two}/discard");
    deeds
        .form("POST /admin/dead-letters/{id}/discard", &path, &sure)
        .await;
    let (_, page) = deeds
        .who
        .text("/admin/dead-letters/replay?kind=retry_cancel")
        .await;
    let mark = hidden(&page, "mark");
    let form = [("kind", "retry_cancel"), ("mark", mark.as_str())];
    deeds
        .form(
            "POST /admin/dead-letters/replay",
            "/admin/dead-letters/replay",
            &form,
        )
        .await;
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
        deeds
            .form(&route, &format!("/admin/jobs/kinds/prune/{act}"), &sure)
            .await;
    }
    for act in ["run-now", "discard"] {
        let id = later(deeds.app).await;
        let route = format!("POST /admin/jobs/{{id}}/{act}");
        deeds
            .form(&route, &format!("/admin/jobs/{id}/{act}"), &sure)
            .await;
        deeds.app.drain().await;
    }
}

async fn settlements(deeds: &mut Deeds<'_>, day: KstDay) {
    let path = format!("/api/settlements/days/{day}");
    deeds
        .json("POST /api/settlements/days/{day}", &path, json!({}))
        .await;
    let reason = json!({ "reason": "다시 계산" });
    deeds
        .json(
            "POST /api/settlements/days/{day}/reopen",
            &format!("{path}/reopen"),
            reason.clone(),
        )
        .await;
    let path = format!("/admin/settlements/days/{day}");
    deeds
        .form(
            "POST /admin/settlements/days/{day}/settle",
            &format!("{path}/settle"),
            &[("sure", "1")],
        )
        .await;
    let sure = [("sure", "1"), ("reason", "다시 계산")];
    deeds
        .form(
            "POST /admin/settlements/days/{day}/reopen",
            &format!("{path}/reopen"),
            &sure,
        )
        .await;
    let id = deeds.id("select id from settlement where partner_id = 'farm'");
    for (base, json_body) in [("/api/settlements", true), ("/admin/settlements", false)] {
        for act in ["hold", "release"] {
            let (route, path) = (
                format!("POST {base}/{{id}}/{act}"),
                format!("{base}/{id}/{act}"),
            );
            match json_body {
                true => _ = deeds.json(&route, &path, reason.clone()).await,
                false => _ = deeds.form(&route, &path, &sure).await,
            }
        }
    }
    let adjustment = json!({ "partner": "farm", "amount": -100, "reason": "배송비" });
    deeds
        .json("POST /api/adjustments", "/api/adjustments", adjustment)
        .await;
    let form = [
        ("partner", "farm"),
        ("amount", "300"),
        ("reason", "보상"),
        ("sure", "1"),
        ("key", "k-1"),
    ];
    deeds
        .form("POST /admin/adjustments", "/admin/adjustments", &form)
        .await;
    let file = "partner_id,amount,reason\nfarm,700,보상\n";
    let path = "/api/adjustments/import";
    deeds
        .bytes(
            "POST /api/adjustments/import",
            path,
            "text/csv",
            file.into(),
        )
        .await;
    let (route, path) = (
        "POST /admin/adjustments/import",
        "/admin/adjustments/import",
    );
    let page = deeds
        .parts(route, path, &[("file", &file.replace("700", "800"))])
        .await;
    let (seen, kept) = (hidden(&page, "seen"), hidden(&page, "kept"));
    deeds
        .parts(route, path, &[("seen", &seen), ("kept", &kept)])
        .await;
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
        let due = deeds
            .app
            .json(&format!("/api/payouts/due?until={until}"))
            .await;
        let total = due["total"].to_string();
        let form = [
            ("until", until.as_str()),
            ("sure", "1"),
            ("total", total.as_str()),
        ];
        deeds
            .form("POST /admin/payouts", "/admin/payouts", &form)
            .await;
    } else {
        deeds
            .json(
                "POST /api/payouts",
                "/api/payouts",
                json!({ "until": until }),
            )
            .await;
    }
    deeds.id("select max(id) from payout_batch")
}

async fn payouts(deeds: &mut Deeds<'_>) {
    let reason = json!({ "reason": "은행 점검" });
    let id = batch(deeds, false).await;
    deeds
        .json(
            "POST /api/payouts/{id}/call-off",
            &format!("/api/payouts/{id}/call-off"),
            reason,
        )
        .await;
    let id = batch(deeds, true).await;
    let sure = [("sure", "1"), ("reason", "은행 점검")];
    deeds
        .form(
            "POST /admin/payouts/{id}/call-off",
            &format!("/admin/payouts/{id}/call-off"),
            &sure,
        )
        .await;

    let id = batch(deeds, false).await;
    deeds
        .file(
            "GET /api/payouts/{id}/file",
            &format!("/api/payouts/{id}/file"),
        )
        .await;
    deeds
        .file(
            "GET /admin/payouts/{id}/file",
            &format!("/admin/payouts/{id}/file?template=공통"),
        )
        .await;
    let payout = deeds.id("select max(id) from payout");
    let path = format!("/api/payouts/{id}/payouts/{payout}");
    deeds
        .json(
            "POST /api/payouts/{id}/payouts/{payout}",
            &path,
            json!({ "failed": "예금주" }),
        )
        .await;
    let rest = deeds.id("select count(*) from payout where state = 'WAITING'");
    if rest > 0 {
        let payout = deeds.id("select max(id) from payout where state = 'WAITING'");
        let path = format!("/admin/payouts/{id}/payouts/{payout}");
        let form = [("word", "failed"), ("reason", "예금주"), ("sure", "1")];
        deeds
            .form("POST /admin/payouts/{id}/payouts/{payout}", &path, &form)
            .await;
    }
    for (base, by_page) in [("/api/settlements", false), ("/admin/settlements", true)] {
        let failed = deeds.id("select max(id) from settlement where state = 'FAILED'");
        let (route, path) = (
            format!("POST {base}/{{id}}/retry"),
            format!("{base}/{failed}/retry"),
        );
        match by_page {
            false => {
                _ = deeds
                    .json(&route, &path, json!({ "reason": "계좌 확인" }))
                    .await
            }
            true => _ = deeds.form(&route, &path, &sure).await,
        }
    }
    let id = batch(deeds, false).await;
    let answer = deeds
        .app
        .get(&format!("/api/payouts/{id}/file?template=공통"))
        .await;
    let file = jeongsan::sheet::read(&answer.bytes().await.unwrap(), None).unwrap();
    let csv = |outcome: &str| {
        let head = format!("{},처리결과,오류내용\n", file.headers.join(","));
        let rows = file
            .rows
            .iter()
            .map(|row| format!("{},{outcome},\n", row.cells.join(",")));
        head + &rows.collect::<String>()
    };
    // One of them by the page, the rest by the bank's file.
    let payout = deeds.id("select max(id) from payout where state = 'WAITING'");
    let words = json!([{ "payout": payout }]).to_string();
    let path = format!("/admin/payouts/{id}/result/confirm");
    deeds
        .form(
            "POST /admin/payouts/{id}/result/confirm",
            &path,
            &[("words", &words)],
        )
        .await;
    let path = format!("/api/payouts/{id}/result");
    let paid = csv("정상").into_bytes();
    deeds
        .bytes("POST /api/payouts/{id}/result", &path, "text/csv", paid)
        .await;
    let path = format!("/admin/payouts/{id}/withholding?format=csv");
    deeds
        .file("GET /admin/payouts/{id}/withholding", &path)
        .await;
}

async fn settings(deeds: &mut Deeds<'_>) {
    let today = KstDay::of(deeds.app.clock.now());
    let day = today.plus_days(300);
    let path = format!("/api/calendar/{day}");
    deeds
        .json(
            "PUT /api/calendar/{day}",
            &path,
            json!({ "name": "임시공휴일" }),
        )
        .await;
    deeds
        .json("DELETE /api/calendar/{day}", &path, json!({}))
        .await;
    let day = day.to_string();
    let form = [
        ("day", day.as_str()),
        ("name", "쉬는 날"),
        ("kind", "off"),
        ("sure", "1"),
    ];
    deeds
        .form("POST /admin/calendar", "/admin/calendar", &form)
        .await;
    let mut common = deeds.app.json("/api/bank-templates/공통").await;
    common["columns"][0]["header"] = json!("Bank");
    let path = "/api/bank-templates/공통";
    deeds
        .json("PUT /api/bank-templates/{name}", path, common)
        .await;
    deeds
        .json("DELETE /api/bank-templates/{name}", path, json!({}))
        .await;
    let path = "/admin/payouts/templates/%EA%B3%B5%ED%86%B5";
    deeds
        .form(
            "POST /admin/payouts/templates/{name}/copy",
            &format!("{path}/copy"),
            &[("name", "mine")],
        )
        .await;
    let reset = "/admin/payouts/templates/mine/reset";
    deeds
        .form("POST /admin/payouts/templates/{name}/reset", reset, &[])
        .await;
    for ending in ["csv", "xlsx"] {
        let path = format!("/admin/audit/export.{ending}");
        deeds.file(&format!("GET {path}"), &path).await;
    }
}

/// Keys, rules of the house, and what a second person decides.
async fn house(deeds: &mut Deeds<'_>) {
    let form = [("name", "shop"), ("scope", "payments:read")];
    deeds.form("POST /admin/keys", "/admin/keys", &form).await;
    let key = deeds.id("select max(id) from api_key");
    deeds
        .form(
            "POST /admin/keys/{id}/revoke",
            &format!("/admin/keys/{key}/revoke"),
            &[],
        )
        .await;
    let form = [("rule", "approvals.adjustment_over"), ("value", "1000")];
    deeds
        .form("POST /admin/settings", "/admin/settings", &form)
        .await;
    let store = deeds.app.app().web.ctx.store.clone();
    let base = deeds.app.url("");
    let jun = Visitor::signed_in(&store, &base, "second", Role::Accountant).await;
    for (act, by_other) in [("approve", true), ("refuse", true), ("withdraw", false)] {
        let body = json!({ "partner": "farm", "amount": 5_000, "reason": format!("보상 {act}") });
        let who = if by_other { &jun } else { &deeds.who };
        let request = who.with(who.request(Method::POST, "/api/adjustments"));
        let request = request.header("x-form-token", who.token()).json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{act}: {}", answer.status());
        let id = deeds.id("select max(id) from approval");
        let (_, page) = deeds.who.text(&format!("/admin/approvals/{id}")).await;
        let seen = if by_other {
            hidden(&page, "seen")
        } else {
            String::new()
        };
        let form = [("seen", seen.as_str()), ("note", "확인함"), ("sure", "1")];
        let route = format!("POST /admin/approvals/{{id}}/{act}");
        deeds
            .form(&route, &format!("/admin/approvals/{id}/{act}"), &form)
            .await;
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
    assert!(
        signed_in.contains(&"sign_in.succeeded".to_owned()),
        "{signed_in:?}"
    );
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
    house(&mut deeds).await;
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
    for row in access::TABLE {
        let empty = row.path.contains("/template.") || row.path.ends_with("/sample");
        let takes = row.need == Need::Has(Right::Export) || row.path.ends_with("/file");
        if takes && !empty && told.get(&key(row)).is_none_or(Vec::is_empty) {
            missing.push(format!("{}: a file was taken and nobody knows", key(row)));
        }
    }
    assert!(missing.is_empty(), "{}\nof {reached:?}", missing.join("\n"));
    // The account number of a partner is on no line.
    let leaked = "select count(*) from audit where after like '%0012301000009%' or before like '%0012301000002%'";
    assert_eq!(app.sql::<i64>(leaked), 0);
    let changed: String = app
        .sql("select before from audit where act = 'partner.changed' and subject = 'partner:sea'");
    assert!(changed.contains("*********0002"), "{changed}");
    app.jobs_may_wait = true;
}
