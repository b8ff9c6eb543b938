//! What a person does with jobs, by page and by command line: pause, run now, call off, replay many.

use std::{process::Command, time::Duration};

use jeongsan::{
    domain::{job::Job, money::Won},
    flow::replay_dead_letters::{self, BulkError, Skip},
    sandbox::{Fault, Kind, NewPayment, Sandbox, SandboxConfig, Target},
    store::{
        StoreError,
        job_lists::{self, DeadFilter, Filter, Stand},
        jobs::{self, Terms},
    },
};
use reqwest::{Response, redirect::Policy};
use serde_json::{Value, json};

use crate::{
    killing::{Server, free_port},
    support::{TOKEN, TestApp},
};

const DOWN: Kind = Kind::Status {
    status: 503,
    retry_after: None,
};

/// A form of a page, sent by who is signed in; where it leads is not followed.
async fn form(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> Response {
    let http = reqwest::Client::builder()
        .redirect(Policy::none())
        .build()
        .unwrap();
    http.post(app.url(path))
        .bearer_auth(TOKEN)
        .header("accept-language", "en")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(serde_urlencoded::to_string(fields).unwrap())
        .send()
        .await
        .unwrap()
}

async fn page(app: &TestApp, path: &str) -> String {
    let request = app.http.get(app.url(path)).bearer_auth(TOKEN);
    let answer = request.header("accept-language", "en").send().await;
    let answer = answer.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.text().await.unwrap()
}

/// A job of a schedule that is due in an hour.
async fn later(app: &TestApp, job: Job) -> i64 {
    let store = &app.app().web.ctx.store;
    let run_at = store.now() + Duration::from_secs(3_600);
    let terms = Terms {
        max_attempts: 3,
        run_at: Some(run_at),
    };
    let published = store.write(move |tx| jobs::publish(tx, &job, terms)).await;
    published.unwrap().id()
}

fn prune_job() -> Job {
    Job::Prune {
        until: "2026-01-01T00:00:00Z".parse().unwrap(),
    }
}

fn state(app: &TestApp, id: i64) -> String {
    app.sql(&format!("select state from job where id = {id}"))
}

/// A paid order of one partner's, whose cancel PortOne refused: a dead letter.
async fn refused_cancel(app: &TestApp, order: &str, partner: &str, paid: i64, back: i64) -> String {
    let lines = json!({ "merchant_uid": order, "lines":
        [{ "partner": partner, "name": "사과", "quantity": 1, "unit_price": paid }] });
    assert_eq!(app.post("/api/orders", &lines).await.status(), 201);
    let imp_uid = app.paid(order, paid).await;
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
    assert_eq!(app.cancel(&imp_uid, Some(back)).await.status(), 409);
    imp_uid
}

#[tokio::test]
async fn a_paused_kind_stands_still_while_the_others_go_on() {
    let app = TestApp::live().await;
    let path = "/admin/jobs/kinds/confirm_payment";
    let asked = form(&app, &format!("{path}/pause"), &[]).await;
    let asked = asked.text().await.unwrap();
    assert!(
        asked.contains("is not booked until the kind is resumed"),
        "{asked}"
    );
    assert_eq!(
        app.sql::<i64>("select count(*) from kind_pause"),
        0,
        "it was only asked"
    );
    let without = form(&app, &format!("{path}/pause"), &[("sure", "1")]).await;
    assert_eq!(without.status(), 422);
    let sure = [("sure", "1"), ("note", "포트원 점검")];
    let paused = form(&app, &format!("{path}/pause"), &sure).await;
    assert_eq!(paused.status(), 303);
    let twice = form(&app, &format!("{path}/pause"), &sure).await;
    assert_eq!(twice.status(), 409);
    assert!(twice.text().await.unwrap().contains("is paused already"));

    app.portone
        .fault(Fault::new(Target::Get, Kind::Drop).times(1));
    let imp_uid = app.charge("ord-1", 12_000);
    assert_eq!(app.webhook(&imp_uid, "ord-1", "paid").await.status(), 202);
    let other = later(&app, prune_job()).await;
    assert_eq!(
        form(
            &app,
            &format!("/admin/jobs/{other}/run-now"),
            &[("sure", "1")]
        )
        .await
        .status(),
        303
    );
    for _ in 0..200 {
        if state(&app, other) == "done" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(state(&app, other), "done", "another kind runs");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        app.sql::<String>("select state from job where kind = 'confirm_payment'"),
        "ready"
    );
    let shown = page(&app, "/admin/jobs").await;
    assert!(shown.contains("포트원 점검") && shown.contains("Resume…"));
    let id: i64 = app.sql("select id from job where kind = 'confirm_payment'");
    let one = page(&app, &format!("/admin/jobs/{id}")).await;
    assert!(one.contains("Its kind is paused"), "{one}");

    assert_eq!(
        form(&app, &format!("{path}/resume"), &[("sure", "1")])
            .await
            .status(),
        303
    );
    app.until_known(&imp_uid).await;
    app.settled().await;
    let again = form(&app, &format!("{path}/resume"), &[("sure", "1")]).await;
    assert_eq!(again.status(), 409);
    let odd = form(&app, "/admin/jobs/kinds/fly_to_the_moon/pause", &sure).await;
    assert_eq!(odd.status(), 404);
}

#[tokio::test]
async fn a_job_that_waits_for_its_time_runs_once_a_person_says_so() {
    let app = TestApp::start().await;
    let id = later(&app, prune_job()).await;
    let path = format!("/admin/jobs/{id}/run-now");
    let asked = form(&app, &path, &[]).await.text().await.unwrap();
    assert!(asked.contains("Run it now?"), "{asked}");
    app.drain().await;
    assert_eq!(state(&app, id), "ready", "it was only asked");
    assert_eq!(form(&app, &path, &[("sure", "1")]).await.status(), 303);
    let due = form(&app, &path, &[("sure", "1")]).await;
    assert_eq!(due.status(), 409);
    assert!(due.text().await.unwrap().contains("is due already"));
    app.drain().await;
    assert_eq!(state(&app, id), "done");
    let over = form(&app, &path, &[("sure", "1")]).await;
    assert!(
        over.text()
            .await
            .unwrap()
            .contains("does not wait (it is done)")
    );
    assert_eq!(
        form(&app, "/admin/jobs/999/run-now", &[]).await.status(),
        404
    );
    let today = page(&app, "/admin/jobs").await;
    assert!(today.contains("id=\"n-done-prune\""), "it is counted");
}

#[tokio::test]
async fn only_what_nobody_misses_can_be_called_off() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    app.portone.fault(Fault::new(Target::Cancel, DOWN).times(2));
    assert_eq!(app.cancel(&imp_uid, Some(3_000)).await.status(), 202);
    let other = app.charge("ord-2", 2_000);
    app.portone
        .fault(Fault::new(Target::Get, Kind::Drop).times(1));
    assert_eq!(app.webhook(&other, "ord-2", "paid").await.status(), 202);
    tokio::time::sleep(Duration::from_millis(50)).await;

    let note = [("note", "시험"), ("sure", "1")];
    for (kind, why) in [
        (
            "retry_cancel",
            "nobody would know whether the money went back",
        ),
        ("confirm_payment", "the payment might never be booked"),
    ] {
        let id: i64 = app.sql(&format!(
            "select id from job where kind = '{kind}' and state = 'ready'"
        ));
        let refused = form(&app, &format!("/admin/jobs/{id}/discard"), &note).await;
        assert_eq!(refused.status(), 409, "{kind}");
        assert!(refused.text().await.unwrap().contains(why), "{kind}");
        assert_eq!(state(&app, id), "ready");
    }
    let id = later(&app, prune_job()).await;
    let path = format!("/admin/jobs/{id}/discard");
    assert_eq!(
        form(&app, &path, &[("sure", "1")]).await.status(),
        422,
        "without a note"
    );
    let asked = form(&app, &path, &[("note", "시험 <b>")])
        .await
        .text()
        .await
        .unwrap();
    assert!(asked.contains("This slot is left out") && !asked.contains("시험 <b>"));
    assert_eq!(state(&app, id), "ready", "it was only asked");
    assert_eq!(form(&app, &path, &note).await.status(), 303);
    assert_eq!(state(&app, id), "cancelled");
    assert!(
        page(&app, &format!("/admin/jobs/{id}"))
            .await
            .contains("시험")
    );
    assert_eq!(
        form(&app, &path, &note).await.status(),
        409,
        "it does not wait any more"
    );
    app.drain().await;
}

#[tokio::test]
async fn a_dry_run_tells_the_true_sum_and_exactly_that_set_runs() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for (order, partner, paid, back) in [
        ("ord-1", "farm", 10_000, 3_000),
        ("ord-2", "farm", 20_000, 20_000),
        ("ord-3", "sea", 7_000, 500),
    ] {
        ids.push(refused_cancel(&app, order, partner, paid, back).await);
    }
    let ctx = app.app().web.ctx.clone();
    let all = DeadFilter::default();
    let run = replay_dead_letters::look(&ctx, all.clone()).await.unwrap();
    let sum: i64 = app.sql("select sum(amount) from cancellation where state = 'DEAD'");
    assert_eq!((run.found, run.runs, run.payments), (3, 3, 3));
    assert_eq!((run.amount, run.back), (Won::new(sum), Won::new(23_500)));
    let partners: Vec<_> = run
        .partners
        .iter()
        .map(|of| (of.partner.as_str(), of.letters, of.amount.get()))
        .collect();
    assert_eq!(partners, [("farm", 2, 23_000), ("sea", 1, 500)]);

    let filter = "kind=retry_cancel&error=8178";
    let shown = page(&app, &format!("/admin/dead-letters/replay?{filter}")).await;
    assert!(
        shown.contains("₩23,500") && shown.contains("Replay 3"),
        "{shown}"
    );
    let mark = shown.split("name=\"mark\" value=\"").nth(1).unwrap();
    let mark = mark.split('"').next().unwrap().to_owned();
    let none = page(&app, "/admin/dead-letters/replay?error=no+such+words").await;
    assert!(none.contains("No dead letter fits that would run again"));

    // One more by the time it is confirmed: nothing is done.
    ids.push(refused_cancel(&app, "ord-4", "sea", 9_000, 9_000).await);
    let fields = |mark: &str| {
        [("kind", "retry_cancel"), ("error", "8178"), ("mark", mark)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let send = async |mark: &str| {
        let fields = fields(mark);
        let fields: Vec<_> = fields
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        form(&app, "/admin/dead-letters/replay", &fields).await
    };
    let changed = send(&mark).await;
    assert_eq!(changed.status(), 409);
    let changed = changed.text().await.unwrap();
    assert!(changed.contains("nothing was done") && changed.contains("₩32,500"));
    assert_eq!(app.dead().len(), 4);
    let refused = replay_dead_letters::replay_all(&ctx, all.clone(), &run.mark, "api").await;
    assert!(matches!(refused, Err(BulkError::Changed(_))), "{refused:?}");

    let mark = changed.split("name=\"mark\" value=\"").nth(1).unwrap();
    let mark = mark.split('"').next().unwrap().to_owned();
    let done = send(&mark).await;
    assert_eq!(done.status(), 303);
    let to = done.headers()["location"].to_str().unwrap().to_owned();
    assert!(to.contains("replayed=4"), "{to}");
    assert!(page(&app, &to).await.contains("4 run again."));
    assert_eq!(app.dead(), [] as [i64; 0]);
    app.drain().await;
    for imp_uid in &ids {
        assert_eq!(app.portone.cancels_of(imp_uid).len(), 1, "{imp_uid}");
    }
    assert_eq!(
        send(&mark).await.status(),
        409,
        "there is nothing left of it"
    );
}

#[tokio::test]
async fn what_cannot_run_again_is_left_out_and_said() {
    let app = TestApp::start().await;
    let conn = rusqlite::Connection::open(app.database()).unwrap();
    conn.busy_timeout(Duration::from_secs(5)).unwrap();
    conn.execute_batch(
        "insert into job (queue, kind, payload, state, max_attempts, run_at, created_at, finished_at, unique_key)
         values ('upkeep', 'from_the_future', '{}', 'dead', 5, 0, 0, 1000, null),
                ('upkeep', 'prune', '{\"until\":\"2026-01-01T00:00:00Z\"}', 'dead', 5, 0, 0, 2000, 'prune'),
                ('upkeep', 'prune', '{\"until\":\"2026-01-01T00:00:00Z\"}', 'dead', 5, 0, 0, 3000, 'prune');",
    )
    .unwrap();
    let ctx = app.app().web.ctx.clone();
    let all = DeadFilter::default();
    let run = replay_dead_letters::look(&ctx, all.clone()).await.unwrap();
    assert_eq!((run.found, run.runs), (3, 1));
    assert_eq!(run.skipped, [(Skip::Live, 1), (Skip::Unreadable, 1)].into());
    let done = replay_dead_letters::replay_all(&ctx, all.clone(), &run.mark, "api")
        .await
        .unwrap();
    assert_eq!((done.replayed, done.skipped.len()), (1, 2));
    let nothing = replay_dead_letters::look(&ctx, all.clone()).await.unwrap();
    let refused = replay_dead_letters::replay_all(&ctx, all, &nothing.mark, "api").await;
    assert!(matches!(refused, Err(BulkError::Nothing(_))), "{refused:?}");
    let late = DeadFilter {
        since: "1970-01-01T00:00:03Z".parse().ok(),
        ..DeadFilter::default()
    };
    let run = replay_dead_letters::look(&ctx, late).await.unwrap();
    assert_eq!(run.found, 0, "the newest one runs");
    app.drain().await;
    conn.execute_batch("delete from job where state = 'dead'")
        .unwrap();
}

#[tokio::test]
async fn who_is_not_signed_in_sees_and_does_nothing() {
    let app = TestApp::start().await;
    let id = later(&app, prune_job()).await;
    let http = reqwest::Client::builder()
        .redirect(Policy::none())
        .build()
        .unwrap();
    for path in [
        "/admin/jobs",
        "/admin/jobs/live",
        "/admin/jobs/live/rows",
        "/admin/jobs/1",
        "/admin/dead-letters/replay",
    ] {
        let answer = http.get(app.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 303, "{path}");
        assert!(
            answer.headers()["location"]
                .to_str()
                .unwrap()
                .starts_with("/sign-in")
        );
    }
    for path in [
        format!("/admin/jobs/{id}/run-now"),
        format!("/admin/jobs/{id}/discard"),
        "/admin/jobs/kinds/prune/pause".into(),
        "/admin/dead-letters/replay".into(),
    ] {
        let sent = http
            .post(app.url(&path))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("sure=1&note=x");
        assert_eq!(sent.send().await.unwrap().status(), 303, "{path}");
    }
    assert_eq!(state(&app, id), "ready");
    assert_eq!(app.sql::<i64>("select count(*) from kind_pause"), 0);
    form(
        &app,
        &format!("/admin/jobs/{id}/discard"),
        &[("sure", "1"), ("note", "끝")],
    )
    .await;
}

#[tokio::test]
async fn jobs_are_found_by_what_they_are_about_and_counted_as_they_are() {
    let app = TestApp::start().await;
    let imp_uid = refused_cancel(&app, "ord-1", "farm", 10_000, 3_000).await;
    let other = app.charge("ord-2", 2_000);
    app.portone
        .fault(Fault::new(Target::Get, Kind::Drop).times(2));
    assert_eq!(app.webhook(&other, "ord-2", "paid").await.status(), 202);
    let slot = later(&app, prune_job()).await;
    let ctx = app.app().web.ctx.clone();
    let now = ctx.store.now();
    let find = |text: &str| -> Vec<String> {
        let found = ctx
            .store
            .read(|conn| job_lists::find(conn, &Filter::default(), text, now));
        found.unwrap().into_iter().map(|row| row.kind).collect()
    };
    let cancel: i64 = app.sql("select id from job where kind = 'retry_cancel'");
    let wish: String = app.sql("select id from cancellation");
    for (text, kinds) in [
        (imp_uid.as_str(), vec!["retry_cancel", "confirm_payment"]),
        ("ord-1", vec!["retry_cancel", "confirm_payment"]),
        (wish.as_str(), vec!["retry_cancel"]),
        (other.as_str(), vec!["confirm_payment"]),
        (&format!("#{cancel}"), vec!["retry_cancel"]),
        ("[8178]", vec!["retry_cancel"]),
        ("prune", vec!["prune"]),
        ("' or 1 = 1 --", vec![]),
        ("%", vec![]),
    ] {
        assert_eq!(find(text), kinds, "{text}");
    }
    let shown = page(&app, &format!("/admin/jobs?q={wish}")).await;
    assert!(shown.contains(&format!("data-job=\"{cancel}\"")));

    // Every state, page by page, is what the table holds.
    for (stand, sql) in [
        (Stand::Dead, "state = 'dead'"),
        (Stand::Done, "state = 'done'"),
        (
            Stand::Scheduled,
            "state = 'ready' and run_at > :now and last_error is null",
        ),
        (Stand::Cancelled, "state = 'cancelled'"),
    ] {
        let filter = Filter {
            stand: Some(stand),
            kind: None,
        };
        let counted = ctx.store.read(|conn| {
            let (mut ids, mut after) = (Vec::new(), None);
            loop {
                let listed = job_lists::list(conn, &filter, now, after, 1)?;
                ids.extend(listed.rows.iter().map(|row| row.id));
                after = listed.next;
                if after.is_none() {
                    return Ok::<_, StoreError>(ids);
                }
            }
        });
        let mut ids = counted.unwrap();
        ids.sort_unstable();
        ids.dedup();
        let sql = sql.replace(":now", &now.as_millisecond().to_string());
        let all: i64 = app.sql(&format!("select count(*) from job where {sql}"));
        assert_eq!(ids.len() as i64, all, "{stand:?}");
    }
    let kinds = ctx.store.read(|conn| job_lists::kinds(conn, now)).unwrap();
    let dead: i64 = kinds.iter().map(|kind| kind.depth.dead).sum();
    assert_eq!(
        dead,
        app.sql::<i64>("select count(*) from job where state = 'dead'")
    );
    let done: i64 = kinds.iter().map(|kind| kind.today.done).sum();
    assert_eq!(
        done,
        app.sql::<i64>("select count(*) from job where state = 'done'")
    );
    let wrong = app.get("/admin/jobs?state=asleep").await;
    assert_eq!(wrong.status(), 400);
    form(
        &app,
        &format!("/admin/jobs/{slot}/discard"),
        &[("sure", "1"), ("note", "끝")],
    )
    .await;
    app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_does_all_that_the_page_does() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let port = free_port();
    let server = Server::start(&sandbox, dir.path(), port).await;
    let cli = |args: &[&str]| {
        let mut command: Command = Server::command(&sandbox, dir.path(), port, &[]);
        let output = command.arg("jobs").args(args).output().unwrap();
        (
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let read = |args: &[&str]| -> Value {
        let (_, out, err) = cli(&[args, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{args:?}: {out}{err}"))
    };
    let http = reqwest::Client::new();
    let mut paid = Vec::new();
    for n in 1..=2 {
        let imp_uid = sandbox
            .pay(NewPayment {
                merchant_uid: format!("ord-{n}"),
                amount: 9_000 * n,
                ..NewPayment::default()
            })
            .unwrap();
        let url = format!("{}/api/payment/portone", server.url);
        let told = json!({ "imp_uid": imp_uid, "merchant_uid": format!("ord-{n}") });
        http.post(url).json(&told).send().await.unwrap();
        sandbox.fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
        let url = format!("{}/api/payment/{imp_uid}/cancel", server.url);
        let asked = http.post(url).bearer_auth(TOKEN);
        let refused = asked.json(&json!({ "reason": "파손" })).send().await;
        assert_eq!(refused.unwrap().status(), 409);
        paid.push(imp_uid);
    }
    let kinds = read(&["kinds"]);
    let of = |kinds: &Value, kind: &str| {
        let all = kinds.as_array().unwrap();
        all.iter().find(|of| of["kind"] == kind).unwrap().clone()
    };
    assert_eq!(of(&kinds, "retry_cancel")["dead"], 2);
    assert!(cli(&["kinds"]).1.contains("retry_cancel"));

    let found = read(&["list", "--search", &paid[0], "--state", "dead"]);
    let id = found["jobs"][0]["id"].to_string();
    assert_eq!(found["jobs"][0]["about"]["amount"], 9_000);
    let all = read(&["list", "--limit", "1"]);
    let next = all["next"].as_str().unwrap().to_owned();
    let second = read(&["list", "--limit", "1", "--before", &next]);
    assert_ne!(all["jobs"][0]["id"], second["jobs"][0]["id"]);
    let shown = read(&["show", &id]);
    assert_eq!(
        shown["payload"]["cancellation"],
        shown["about"]["cancellation"]
    );
    assert!(cli(&["show", &id]).1.contains("8178"));
    assert_eq!(cli(&["show", "999999"]).0, 2);
    let (code, _, err) = cli(&["run-now", &id]);
    assert_eq!((code, err.contains("does not wait")), (2, true), "{err}");

    assert_eq!(cli(&["pause", "retry_cancel", "--note", "점검"]).0, 0);
    assert_eq!(of(&read(&["kinds"]), "retry_cancel")["paused"]["by"], "cli");
    let (code, out, err) = cli(&["replay", "--kind", "retry_cancel"]);
    assert_eq!(code, 2, "{out}{err}");
    assert!(
        out.contains("27,000 won") && out.contains("is paused"),
        "{out}"
    );
    assert!(err.contains("--yes"), "{err}");
    let dry = read(&["replay", "--dry-run"]);
    assert_eq!((&dry["runs"], &dry["amount"]), (&json!(2), &json!(27_000)));
    let (code, _, err) = cli(&["replay", "--yes", "--mark", "another"]);
    assert_eq!((code, err.contains("nothing was done")), (2, true), "{err}");
    let mark = dry["mark"].as_str().unwrap();
    let done = read(&["replay", "--yes", "--mark", mark]);
    assert_eq!(done["replayed"], 2);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(
        sandbox.cancels_of(&paid[0]).len(),
        0,
        "paused in the server, too"
    );
    assert_eq!(cli(&["resume", "retry_cancel"]).0, 0);
    for _ in 0..200 {
        if paid.iter().all(|id| sandbox.cancels_of(id).len() == 1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    for imp_uid in &paid {
        assert_eq!(sandbox.cancels_of(imp_uid).len(), 1, "{imp_uid}");
    }
    assert_eq!(cli(&["workers"]).0, 0);
    assert!(read(&["workers"])["processes"].is_array());
    let (code, _, err) = cli(&["list", "--state", "asleep"]);
    assert_eq!((code, err.contains("retrying")), (2, true), "{err}");
    assert_eq!(server.terminate(), Some(0));
}
