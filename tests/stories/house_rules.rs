//! Rules of the house that an owner changes while the program runs, and the one about refunds.

use std::time::Duration;

use jeongsan::{domain::rules::Rule, flow::change_rules::change_rule, store::audit};
use serde_json::json;

use crate::{
    approving::{House, kind},
    people::Visitor,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_is_changed_by_an_owner_at_once_and_leaves_a_line() {
    let house = House::with(None).await;
    let boss = &house.boss;
    let set = |rule: &'static str, value: &'static str| async move {
        let form = [("rule", rule), ("value", value)];
        let answer = boss.post("/admin/settings", &form).await;
        let status = answer.status().as_u16();
        let to = answer
            .headers()
            .get("location")
            .map(|to| to.to_str().unwrap().to_owned());
        (status, to.unwrap_or(answer.text().await.unwrap()))
    };
    assert_eq!(house.minji.get("/admin/settings").await.status(), 403);
    let form = [("rule", "approvals.payout_over"), ("value", "1")];
    assert_eq!(
        house.minji.post("/admin/settings", &form).await.status(),
        403
    );
    for (rule, value, says) in [
        ("approvals.payout_over", "-1", "0원부터"),
        ("approvals.payout_over", "1e3", "0원부터"),
        ("alerts.quiet", "1s", "10초"),
        (
            "slack.webhook_url",
            "https://evil.example/services/canary",
            "hooks.slack.com",
        ),
        (
            "slack.webhook_url",
            "http://hooks.slack.com/services/canary",
            "hooks.slack.com",
        ),
        ("portone.imp_secret", "canary", "바꿀 수 없습니다"),
    ] {
        let (status, text) = set(rule, value).await;
        assert!(matches!(status, 400 | 422), "{rule} {value}: {status}");
        assert!(
            text.contains(says) && !text.contains("canary"),
            "{rule}: {text}"
        );
    }
    assert_eq!(
        house
            .app
            .sql::<i64>("select count(*) from setting where key like 'run.%'"),
        0
    );

    assert_eq!(set("pages.notice", "점검 <중>").await.0, 303);
    let (_, text) = Visitor::new(&house.app.url("")).text("/payment").await;
    assert!(text.contains("점검 &lt;중&gt;"), "{text}");
    assert_eq!(
        set("pages.notice", "점검 <중>").await.1,
        "/admin/settings?did=same"
    );
    let secret = "https://hooks.slack.com/services/T0/B0/canary";
    assert_eq!(set("slack.webhook_url", secret).await.0, 303);
    assert_eq!(set("approvals.payout_over", "1,000,000").await.0, 303);
    let (_, page) = boss.text("/admin/settings").await;
    assert!(page.contains("₩1,000,000") && !page.contains("canary"));
    assert!(
        page.contains("portone.imp_secret")
            && !page.contains(">imp_secret<")
            && page.contains("***")
    );
    let reset = [("rule", "slack.webhook_url"), ("reset", "1")];
    assert_eq!(boss.post("/admin/settings", &reset).await.status(), 303);
    let lines = house.app.app().web.ctx.store.read(|conn| {
        let filter = audit::Filter {
            act: Some("settings.changed".into()),
            ..audit::Filter::default()
        };
        audit::list(conn, &filter, 10)
    });
    let lines = lines.unwrap().lines;
    assert_eq!(lines.len(), 4, "what changed nothing has no line");
    assert!(
        lines
            .iter()
            .all(|line| line.actor == "@boss" && !format!("{line:?}").contains("canary"))
    );
    assert_eq!(lines[0].before, Some(json!({ "value": "***" })));
    assert_eq!(lines[0].after, Some(json!({ "value": null })));
    // Whoever has not proved it lately is asked first.
    house.app.clock.advance(Duration::from_secs(6 * 60));
    assert_eq!(
        set("pages.notice", "x").await.1,
        "/sign-in/again?next=%2Fadmin%2Fsettings"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_back_much_is_asked_again_and_a_key_is_not() {
    let house = House::with(None).await;
    let ctx = house.app.app().web.ctx.clone();
    let (app, boss) = (&house.app, &house.boss);
    let large = app.paid("ord-1", 9_000).await;
    let other = app.paid("ord-2", 9_000).await;
    change_rule(&ctx, Rule::RefundAgainOver, Some("5,000".into()))
        .await
        .unwrap();
    app.clock.advance(Duration::from_secs(6 * 60));
    let again = format!("/sign-in/again?next=%2Fpayment%2F{large}%2Fcancel");
    let to = |answer: &reqwest::Response| {
        let to = answer
            .headers()
            .get("location")
            .map(|to| to.to_str().unwrap().to_owned());
        to.unwrap_or_default()
    };
    assert_eq!(
        to(&boss.get(&format!("/payment/{large}/cancel")).await),
        again
    );
    let form = |amount: &'static str| {
        [
            ("amount", amount),
            ("reason", "반품"),
            ("key", "k-1"),
            ("left", "9000"),
        ]
    };
    for step in ["/cancel/confirm", "/cancel"] {
        let answer = boss
            .post(&format!("/payment/{large}{step}"), &form("5,001"))
            .await;
        assert_eq!(to(&answer), again, "{step}");
    }
    let by_session = boss
        .with(boss.request(
            reqwest::Method::POST,
            &format!("/api/payment/{large}/cancel"),
        ))
        .header("x-form-token", boss.token())
        .json(&json!({ "reason": "x" }));
    assert_eq!(
        kind(by_session.send().await.unwrap()).await,
        (403, "prove-again".into())
    );
    assert_eq!(app.status(&large).await, "PAID");
    // Up to the amount nobody is asked, and a key never is.
    assert_eq!(
        boss.post(&format!("/payment/{large}/cancel/confirm"), &form("5,000"))
            .await
            .status(),
        200
    );
    let answer = boss
        .post(&format!("/payment/{large}/cancel"), &form("5,000"))
        .await;
    assert!(
        to(&answer).starts_with(&format!("/payment/{large}?did=")),
        "{answer:?}"
    );
    assert_eq!(app.status(&large).await, "PARTIAL_CANCELED");
    assert_eq!(app.cancel(&other, None).await.status(), 200);
    app.drain().await;
}
