//! Nothing in the audit log can be changed unseen, and its pages show what is in it, masked.

use std::{process::Command, time::Duration};

use jeongsan::{
    domain::{account::Role, calendar::KstDay},
    store::{Store, StoreError, accounts, audit, books},
};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::json;

use crate::{
    people::{self, PASSWORD, Visitor},
    support::TestApp,
};

#[tokio::test]
async fn a_set_up_link_and_a_wrong_password_are_on_record_too() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    people::add(&store, "minji", Role::Owner, None).await;
    let mut visitor = Visitor::new(&app.url(""));
    visitor.sign_in("minji", "wrong", "/").await;
    visitor.sign_in("a secret typed as a name", "x", "/").await;
    assert_eq!(visitor.sign_in("minji", PASSWORD, "/").await.status(), 303);
    let made = visitor
        .post("/admin/users", &[("name", "jun"), ("role", "viewer")])
        .await;
    let page = made.text().await.unwrap();
    let secret = page
        .split("set-up?code=")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let form = [
        ("code", secret),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    let stranger = Visitor::new(&app.url(""));
    assert_eq!(stranger.post("/set-up", &form).await.status(), 303);
    let lines = store
        .read(|conn| audit::list(conn, &audit::Filter::default(), 20))
        .unwrap()
        .lines;
    let acts: Vec<(&str, &str)> = lines
        .iter()
        .rev()
        .map(|line| (line.actor.as_str(), line.act.as_str()))
        .collect();
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
        let made = owner
            .post("/admin/users", &[("name", name), ("role", "viewer")])
            .await;
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
            .prepare(
                "select name, sql from sqlite_schema where type = 'trigger' and tbl_name = 'audit'",
            )
            .unwrap();
        let rows = query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
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
    behind_its_back(
        &app,
        "delete from audit where id = (select max(id) from audit)",
    );
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
    let body = json!({
        "id": "farm", "name": "햇살농장", "type": "INDIVIDUAL", "status": "APPROVED",
        "account": { "bank": "004", "number": "0012301000001", "holder": "홍길동" },
    });
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
    let next = page
        .split("before=")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let older = look(&format!("?before={next}")).await;
    assert!(count(&older) >= 13, "{}", count(&older));
    assert!(older.contains("@jun") && !older.contains("rel=\"next\""));
    assert_eq!(count(&look("?actor=%40jun").await), 2);
    assert_eq!(count(&look("?actor=%40jun&act=sign_in.").await), 1);
    assert_eq!(count(&look("?act=partner.").await), 1);
    assert_eq!(count(&look("?act=partner.added").await), 1);
    assert_eq!(
        count(&look("?subject=settlement%3A7&actor=%40jun").await),
        0
    );
    assert_eq!(count(&look("?subject=settlement%3A7").await), 50);
    assert_eq!(
        count(&look("?subject=partner%3Afarm&act=partner.added").await),
        1
    );
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
    let (status, csv) = jun
        .text("/admin/audit/export.csv?act=settlement.held")
        .await;
    assert_eq!(status, 200);
    assert!(csv.contains("정산을 보류") && csv.contains("h***@example.com"));
    assert!(
        !csv.contains(",@han") && csv.matches("settlement:7").count() == 60,
        "{csv}"
    );
    let users = store.read(accounts::list).unwrap();
    assert_eq!(users.len(), 3);
}
