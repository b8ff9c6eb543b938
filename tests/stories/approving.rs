//! What one person asks for and another has to look at.

use std::{process::Command, time::Duration};

use jeongsan::{
    config,
    domain::{account::Role, ids::PartnerId, money::Won, rules::Rule},
    flow::{
        Ctx,
        adjust::{Adjustment, Booking, adjust},
        approve::{self, ApproveError},
        change_rules::change_rule,
        pay_out::{self, Choice, PayoutError, Word},
        write_bank_file::handed_out,
    },
    store::{
        StoreError, approvals, audit,
        payouts::{self, PayoutState},
    },
};
use serde_json::{Value, json};

use crate::{
    paying_out::{LONG_ENOUGH, days_later, partner, refused, sold, state, today},
    people::Visitor,
    support::{TOKEN, TestApp, read, settings},
};

/// Fetches the bank's file, as a page does: written first, noted before anybody gets it.
pub async fn fetched(ctx: &Ctx, batch: i64, by: &'static str) -> Result<(), PayoutError> {
    let waiting = ctx.store.read(|conn| {
        let mut rows = payouts::of_batch(conn, batch)?;
        rows.retain(|row| row.state == PayoutState::Waiting);
        Ok::<_, StoreError>(rows.iter().map(|row| row.id).collect())
    })?;
    handed_out(ctx, batch, waiting, "공통", by).await
}

/// Three people who may release payouts, one who may not, and amounts above which two are needed.
pub struct House {
    pub app: TestApp,
    pub boss: Visitor,
    pub minji: Visitor,
    pub jiho: Visitor,
}

impl House {
    pub async fn with(limit: Option<&str>) -> House {
        let app = TestApp::start().await;
        let store = &app.app().web.ctx.store;
        let base = app.url("");
        let boss = Visitor::signed_in(store, &base, "boss", Role::Owner).await;
        let minji = Visitor::signed_in(store, &base, "minji", Role::Accountant).await;
        let jiho = Visitor::signed_in(store, &base, "jiho", Role::Accountant).await;
        let house = House {
            app,
            boss,
            minji,
            jiho,
        };
        if let Some(limit) = limit {
            for rule in ["approvals.payout_over", "approvals.adjustment_over"] {
                let form = [("rule", rule), ("value", limit)];
                let answer = house.boss.post("/admin/settings", &form).await;
                assert_eq!(answer.status(), 303, "{rule}");
            }
        }
        house
    }

    /// With partners to whom so much is due.
    async fn due(&self, sums: &[(&str, i64)]) {
        for (at, (id, won)) in sums.iter().enumerate() {
            let account = format!("001230100000{at}");
            partner(&self.app, id, "INDIVIDUAL", &account, 0).await;
            sold(&self.app, &format!("ord-{id}"), id, *won).await;
        }
        days_later(&self.app, LONG_ENOUGH).await;
        // Sessions are over by then, and so is what was proved.
        self.app.drain().await;
    }

    async fn make(&self, by: &'static str, without: &[&str]) -> i64 {
        let choice = Choice {
            until: today(&self.app),
            leave_out: Default::default(),
            leave_out_partners: without.iter().map(|id| (*id).to_owned()).collect(),
        };
        let ctx = &self.app.app().web.ctx;
        pay_out::create(ctx, choice, None, String::new(), by)
            .await
            .unwrap()
    }

    /// The approval of a batch.
    fn approval(&self, batch: i64) -> approvals::ApprovalRow {
        let store = &self.app.app().web.ctx.store;
        store
            .read(|conn| approvals::of_batch(conn, batch))
            .unwrap()
            .unwrap()
    }

    /// Names what an approval is about now.
    fn seal(&self, id: i64) -> String {
        let store = &self.app.app().web.ctx.store;
        store
            .read(|conn| {
                let row = approvals::get(conn, id)?.unwrap();
                approve::seal(conn, &row)
            })
            .unwrap()
    }

    async fn sign_in_anew(&mut self) {
        for (name, visitor) in [
            ("boss", &mut self.boss),
            ("minji", &mut self.minji),
            ("jiho", &mut self.jiho),
        ] {
            *visitor = Visitor::new(&self.app.url(""));
            let answer = visitor.sign_in(name, crate::people::PASSWORD, "/").await;
            assert_eq!(answer.status(), 303, "{name}");
        }
    }

    async fn account(&self, id: &str, number: &str, by: &'static str) {
        let ctx = &self.app.app().web.ctx;
        let known: Value = self.app.json(&format!("/api/partners/{id}")).await;
        let name = known["partner"]["name"]
            .as_str()
            .unwrap_or("상회")
            .to_owned();
        let partner = serde_json::from_value(json!({
            "id": id, "name": name, "type": "INDIVIDUAL", "status": "APPROVED",
            "account": { "bank": "004", "number": number, "holder": "홍길동" },
        }));
        let save = jeongsan::flow::save_partner::Save::Put;
        jeongsan::flow::save_partner::save_partner(ctx, partner.unwrap(), save, by)
            .await
            .unwrap();
    }
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    let from = page
        .find(&mark)
        .unwrap_or_else(|| panic!("no {name} in {page}"))
        + mark.len();
    page[from..].split('"').next().unwrap().to_owned()
}

pub async fn kind(answer: reqwest::Response) -> (u16, String) {
    let (status, value) = read(answer).await;
    let text = value["type"].as_str().map_or_else(
        || value.as_str().unwrap_or_default().to_owned(),
        |kind| kind.rsplit(':').next().unwrap_or_default().to_owned(),
    );
    (status, text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_above_the_amount_goes_nowhere_until_a_second_person_says_so() {
    let mut house = House::with(Some("10,000")).await;
    house.due(&[("farm", 12_000)]).await;
    house.sign_in_anew().await;
    let app = &house.app;
    let store = &app.app().web.ctx.store;
    Visitor::signed_in(store, &app.url(""), "ops", Role::Operator).await;

    // A key may ask, and calls off what it asked for.
    let until = today(app).to_string();
    let (status, made) = read(app.post("/api/payouts", &json!({ "until": until })).await).await;
    assert_eq!(
        (status, &made["approval"]["state"]),
        (202, &json!("WAITING"))
    );
    let first = made["batch"]["id"].as_i64().unwrap();
    let path = format!("/api/payouts/{first}/call-off");
    assert_eq!(
        app.post(&path, &json!({ "reason": "다시" })).await.status(),
        200
    );
    assert_eq!(house.approval(first).state.as_str(), "WITHDRAWN");

    let batch = house.make("@minji", &[]).await;
    let id = house.approval(batch).id;
    let waits = app.json("/api/approvals").await;
    assert_eq!(
        (&waits["waiting"], &waits["items"][0]["id"]),
        (&json!(1), &json!(id))
    );
    app.drain().await;
    assert!(
        app.slack().contains(&format!("/admin/approvals/{id}")),
        "{}",
        app.slack()
    );

    // By no way does it get out.
    let payout: i64 = app.sql(&format!("select id from payout where batch_id = {batch}"));
    let file = format!("/api/payouts/{batch}/file");
    assert_eq!(
        kind(app.get(&file).await).await,
        (409, "approval-waits".into())
    );
    let (status, text) = house
        .minji
        .text(&format!("/admin/payouts/{batch}/file"))
        .await;
    assert_eq!(status, 409);
    assert!(text.contains("승인을 기다립니다"), "{text}");
    let word = format!("/api/payouts/{batch}/payouts/{payout}");
    for body in [json!({ "paid": true }), json!({ "failed": "x" })] {
        assert_eq!(
            kind(app.post(&word, &body).await).await,
            (409, "approval-waits".into())
        );
    }
    let result = app
        .http
        .post(app.url(&format!("/api/payouts/{batch}/result?dry_run=true")))
        .bearer_auth(TOKEN)
        .body("계좌번호,금액,처리결과\n0012301000000,\"12,000\",정상\n");
    assert_eq!(
        kind(result.send().await.unwrap()).await,
        (409, "approval-waits".into())
    );
    let answer = house
        .minji
        .post(
            &format!("/admin/payouts/{batch}/payouts/{payout}"),
            &[("word", "paid")],
        )
        .await;
    assert_eq!(answer.status(), 409);
    let out = app.dir().join("bank.xlsx");
    let cli = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jeongsan"));
        command.env_clear();
        for (key, value) in settings(&app.portone, app.dir()) {
            command.env(config::variable(key), value);
        }
        let output = command.args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text)
    };
    let number = batch.to_string();
    let args = ["payouts", "file", &number, "--out", out.to_str().unwrap()];
    let (code, why) = cli(&args);
    assert!(
        code != Some(0) && why.contains("waits for a second person"),
        "{why}"
    );
    assert!(!out.exists());
    refused(
        app,
        &format!(
            "update payout set state = 'PAID', decided_at = 1, decided_by = 'x' where id = {payout}"
        ),
        "payout_waits_for_a_second_person",
    );

    // Not by its maker, not by a key, not by who may not, and not unseen.
    let page = format!("/admin/approvals/{id}");
    let (_, text) = house.minji.text(&page).await;
    assert!(
        text.contains("id=\"withdraw\"") && !text.contains("id=\"approve\""),
        "{text}"
    );
    let (_, text) = house.jiho.text(&page).await;
    let seen = hidden(&text, "seen");
    assert!(
        text.contains("₩12,000") && text.contains("0000") && !text.contains("0012301000000"),
        "{text}"
    );
    let approve_path = format!("{page}/approve");
    let form = [("seen", seen.as_str())];
    assert_eq!(house.minji.post(&approve_path, &form).await.status(), 403);
    let key = app
        .http
        .post(app.url(&approve_path))
        .bearer_auth(TOKEN)
        .form(&form);
    assert_eq!(key.send().await.unwrap().status(), 403);
    let ops = Visitor::signed_in(store, &app.url(""), "ops", Role::Operator).await;
    assert_eq!(ops.post(&approve_path, &form).await.status(), 403);
    for by in ["api", "cli", "key:shop"] {
        let answer = approve::approve(&app.app().web.ctx, id, seen.clone(), by).await;
        assert!(
            matches!(answer, Err(ApproveError::NotAPerson)),
            "{by}: {answer:?}"
        );
    }
    assert_eq!(
        house
            .jiho
            .post(&approve_path, &[("seen", "")])
            .await
            .status(),
        409
    );
    assert_eq!(house.approval(batch).state.as_str(), "WAITING");

    // By a second person, and once.
    let to = |answer: reqwest::Response| {
        let header = answer.headers().get("location").cloned();
        (
            answer.status().as_u16(),
            header.map(|h| h.to_str().unwrap().to_owned()),
        )
    };
    let done = to(house.jiho.post(&approve_path, &form).await);
    assert_eq!(done, (303, Some(format!("{page}?did=approved"))));
    let again = to(house.jiho.post(&approve_path, &form).await);
    assert_eq!(again, (303, Some(format!("{page}?did=same"))));
    assert_eq!(house.boss.post(&approve_path, &form).await.status(), 409);
    let lines = app.app().web.ctx.store.read(|conn| {
        let filter = audit::Filter {
            subject: Some(format!("approval:{id}")),
            ..audit::Filter::default()
        };
        audit::list(conn, &filter, 10)
    });
    let lines = lines.unwrap().lines;
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line.act.as_str(), line.actor.as_str()))
        .collect();
    // The flow that asked ran outside of any request here: the line of the approval is the page's.
    assert_eq!(told, [("approval.approved", "@jiho")]);
    assert_eq!(lines[0].before.as_ref().unwrap()["state"], "WAITING");
    assert_eq!(lines[0].after.as_ref().unwrap()["state"], "APPROVED");

    let (code, why) = cli(&args);
    assert_eq!(code, Some(0), "{why}");
    assert!(out.metadata().unwrap().len() > 0);
    assert_eq!(app.get(&file).await.status(), 200);
    assert_eq!(
        app.post(&word, &json!({ "paid": true })).await.status(),
        200
    );
    assert_eq!(state(app, "farm"), "COMPLETED");
    refused(
        app,
        &format!("update approval set note = 'x' where id = {id}"),
        "approval_that_was_decided_never_changes",
    );
    refused(app, "delete from approval", "approval_is_never_removed");
    app.drain().await;
}

/// Two people at once: one has the file written, the other calls the batch off before the first has it. The
/// bank would pay, and the next batch would pay again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_written_before_a_call_off_is_given_to_nobody() {
    let mut house = House::with(None).await;
    house.due(&[("farm", 12_000), ("sea", 5_000)]).await;
    house.sign_in_anew().await;
    let ctx = house.app.app().web.ctx.clone();
    let batch = house.make("@minji", &[]).await;
    let written: Vec<i64> = ctx
        .store
        .read(|conn| payouts::of_batch(conn, batch))
        .unwrap()
        .iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(written.len(), 2);
    pay_out::call_off(&ctx, batch, "다시".into(), false, "@jiho")
        .await
        .unwrap();
    let answer = handed_out(&ctx, batch, written.clone(), "공통", "@minji").await;
    assert!(matches!(answer, Err(PayoutError::Other)), "{answer:?}");
    // The same where one of them was decided meanwhile; with what waits now it goes.
    let batch = house.make("@minji", &[]).await;
    let answer = handed_out(&ctx, batch, written, "공통", "@minji").await;
    assert!(matches!(answer, Err(PayoutError::Other)), "{answer:?}");
    fetched(&ctx, batch, "@minji").await.unwrap();
    pay_out::call_off(&ctx, batch, "다시".into(), true, "@jiho")
        .await
        .unwrap();
    house.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_or_withdrawn_it_is_called_off_and_without_an_amount_nobody_waits() {
    let mut house = House::with(None).await;
    house.due(&[("farm", 12_000)]).await;
    house.sign_in_anew().await;
    let (_, text) = house.boss.text("/admin/settings").await;
    assert!(text.contains("혼자 운영하는 가게"), "{text}");
    let ctx = house.app.app().web.ctx.clone();
    let alone = house.make("@minji", &[]).await;
    fetched(&ctx, alone, "@minji").await.unwrap();
    pay_out::call_off(&ctx, alone, "다시".into(), true, "@minji")
        .await
        .unwrap();

    change_rule(&ctx, Rule::PayoutOver, Some("11,999".into()))
        .await
        .unwrap();
    let batch = house.make("@minji", &[]).await;
    let page = format!("/admin/approvals/{}", house.approval(batch).id);
    // Another amount changes nothing of what waits.
    change_rule(&ctx, Rule::PayoutOver, Some("1,000,000".into()))
        .await
        .unwrap();
    let answer = fetched(&ctx, batch, "@minji").await;
    assert!(
        matches!(answer, Err(PayoutError::Waits { .. })),
        "{answer:?}"
    );
    let answer = house.jiho.post(&format!("{page}/withdraw"), &[]).await;
    assert_eq!(answer.status(), 403, "only its maker withdraws");
    assert_eq!(
        house
            .jiho
            .post(&format!("{page}/refuse"), &[])
            .await
            .status(),
        422
    );
    let note = [("note", "계좌를 확인해 주세요")];
    assert_eq!(
        house
            .minji
            .post(&format!("{page}/refuse"), &note)
            .await
            .status(),
        403
    );
    assert_eq!(
        house
            .jiho
            .post(&format!("{page}/refuse"), &note)
            .await
            .status(),
        303
    );
    assert_eq!(state(&house.app, "farm"), "REQUESTED");
    let row = house.approval(batch);
    assert_eq!(
        (row.state.as_str(), row.note.as_deref()),
        ("REFUSED", Some("계좌를 확인해 주세요"))
    );
    let seal = house.seal(row.id);
    let late = approve::approve(&ctx, row.id, seal, "@boss").await;
    assert!(
        matches!(late, Err(ApproveError::Decided { .. })),
        "{late:?}"
    );

    change_rule(&ctx, Rule::PayoutOver, Some("0".into()))
        .await
        .unwrap();
    let batch = house.make("@minji", &[]).await;
    let id = house.approval(batch).id;
    let answer = house
        .minji
        .post(&format!("/admin/approvals/{id}/withdraw"), &[])
        .await;
    assert_eq!(answer.status(), 303);
    assert_eq!(approve::withdraw(&ctx, id, "@minji").await.unwrap(), None);
    assert_eq!(house.approval(batch).state.as_str(), "WITHDRAWN");
    assert_eq!(state(&house.app, "farm"), "REQUESTED");
    let decided = house.app.json("/api/approvals?state=decided&limit=1").await;
    assert_eq!(decided["items"][0]["id"], json!(id));
    assert!(decided["next"].is_string());
    house.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_approve_at_once_one_does_and_parts_of_a_batch_gain_nothing() {
    let house = House::with(Some("10,000")).await;
    house
        .due(&[("farm", 7_000), ("sea", 7_000), ("hill", 2_000)])
        .await;
    let ctx = house.app.app().web.ctx.clone();
    let first = house.make("@minji", &["sea", "hill"]).await;
    fetched(&ctx, first, "@minji").await.unwrap();
    // 7,000 more on the same day is above the 10,000.
    let second = house.make("@minji", &["hill"]).await;
    let id = house.approval(second).id;
    let third = house.make("@jiho", &[]).await;
    fetched(&ctx, third, "@jiho").await.unwrap();
    let seal = house.seal(id);
    let (one, two) = tokio::join!(
        approve::approve(&ctx, id, seal.clone(), "@boss"),
        approve::approve(&ctx, id, seal.clone(), "@jiho"),
    );
    let given = [&one, &two].map(|answer| matches!(answer, Ok(Some(_))));
    assert_eq!(
        given.iter().filter(|given| **given).count(),
        1,
        "{one:?} {two:?}"
    );
    for answer in [one, two] {
        assert!(matches!(
            answer,
            Ok(Some(_)) | Err(ApproveError::Decided { .. })
        ));
    }
    assert_eq!(
        house
            .app
            .sql::<i64>("select count(*) from history where kind = 'approval_given'"),
        1
    );
    house.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_changed_after_the_approval_voids_it() {
    let house = House::with(Some("10,000")).await;
    house.due(&[("farm", 12_000)]).await;
    let ctx = house.app.app().web.ctx.clone();
    let batch = house.make("@minji", &[]).await;
    let first = house.approval(batch).id;
    let looked_at = house.seal(first);

    // Changed between looking and pressing.
    house.account("farm", "0099900000001", "@jiho").await;
    let stale = approve::approve(&ctx, first, looked_at, "@boss").await;
    assert!(matches!(stale, Err(ApproveError::Changed(_))), "{stale:?}");
    // Who set it may not approve paying there; the account was never paid to.
    let own = approve::approve(&ctx, first, house.seal(first), "@jiho").await;
    assert!(
        matches!(own, Err(ApproveError::OwnAccount { .. })),
        "{own:?}"
    );
    approve::approve(&ctx, first, house.seal(first), "@boss")
        .await
        .unwrap();

    // Changed once more, before anybody fetched the file: it waits again.
    house.account("farm", "0099900000002", "@jiho").await;
    let second = house.approval(batch);
    assert!(second.id > first && second.waits(), "{second:?}");
    assert_eq!(
        (&second.asked["again"]["by"], second.made_by.as_str()),
        (&json!("@jiho"), "@minji")
    );
    let answer = fetched(&ctx, batch, "@minji").await;
    assert!(
        matches!(answer, Err(PayoutError::Waits { .. })),
        "{answer:?}"
    );
    let payout: i64 = house
        .app
        .sql(&format!("select id from payout where batch_id = {batch}"));
    let answer = pay_out::decide(&ctx, batch, vec![(payout, Word::Paid)], "@minji").await;
    assert!(
        matches!(answer, Err(PayoutError::Waits { .. })),
        "{answer:?}"
    );
    for by in ["@jiho", "@minji"] {
        let answer = approve::approve(&ctx, second.id, house.seal(second.id), by).await;
        assert!(answer.is_err(), "{by}: {answer:?}");
    }
    approve::approve(&ctx, second.id, house.seal(second.id), "@boss")
        .await
        .unwrap();

    // Behind the program's back: what is in the books is not what was approved.
    let conn = rusqlite::Connection::open(house.app.database()).unwrap();
    conn.busy_timeout(Duration::from_secs(5)).unwrap();
    conn.execute("update payout set account = '666' where id = ?1", [payout])
        .unwrap();
    let answer = fetched(&ctx, batch, "@minji").await;
    assert!(
        matches!(answer, Err(PayoutError::Waits { .. })),
        "{answer:?}"
    );
    let third = house.approval(batch);
    assert!(
        third.id > second.id && third.waits(),
        "what was found out stays written down"
    );
    conn.execute(
        "update payout set account = '0012301000000' where id = ?1",
        [payout],
    )
    .unwrap();
    approve::approve(&ctx, third.id, house.seal(third.id), "@boss")
        .await
        .unwrap();

    // Once it is at the bank, a change comes too late: the bank's word is taken.
    fetched(&ctx, batch, "@minji").await.unwrap();
    house.account("farm", "0099900000003", "@jiho").await;
    assert_eq!(house.approval(batch).id, third.id);
    pay_out::decide(&ctx, batch, vec![(payout, Word::Paid)], "@minji")
        .await
        .unwrap();
    assert_eq!(state(&house.app, "farm"), "COMPLETED");
    house.app.drain().await;
}

fn adjustment(partner: &str, amount: i64) -> Adjustment {
    Adjustment {
        partner: PartnerId::new(partner).unwrap(),
        amount: Won::new(amount),
        reason: "배송비".into(),
    }
}

fn booked(app: &TestApp) -> i64 {
    app.sql("select coalesce(sum(amount), 0) from adjustment")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adjustment_above_the_amount_is_booked_by_its_approval_also_in_parts() {
    let mut house = House::with(Some("10,000")).await;
    for id in ["farm", "sea"] {
        partner(&house.app, id, "INDIVIDUAL", "0012301000001", 0).await;
    }
    let ctx = house.app.app().web.ctx.clone();
    let ask = |partner: &'static str, amount, by| adjust(&ctx, adjustment(partner, amount), by);
    // Up to the amount, whatever its sign, one person is enough; what is more waits.
    assert!(matches!(
        ask("farm", -6_000, "@minji").await,
        Ok(Booking::Booked(_))
    ));
    let Ok(Booking::Waits(parts)) = ask("farm", 6_000, "@minji").await else {
        panic!("in two parts it is 12,000");
    };
    assert!(matches!(
        ask("sea", 6_000, "@minji").await,
        Ok(Booking::Booked(_))
    ));
    assert!(matches!(
        ask("farm", 6_000, "@jiho").await,
        Ok(Booking::Booked(_))
    ));
    let Ok(Booking::Waits(whole)) = ask("sea", -10_001, "@jiho").await else {
        panic!("it is above the amount");
    };
    assert_eq!(booked(&house.app), 6_000);
    house.app.clock.advance(Duration::from_secs(86_400));
    assert!(
        matches!(ask("farm", 6_000, "@minji").await, Ok(Booking::Booked(_))),
        "another day"
    );
    house.sign_in_anew().await;

    let (_, text) = house.minji.text("/admin/adjustments").await;
    assert!(
        text.contains(&format!("/admin/approvals/{whole}")),
        "{text}"
    );
    let own = approve::approve(&ctx, parts, house.seal(parts), "@minji").await;
    assert!(matches!(own, Err(ApproveError::Own(_))), "{own:?}");
    let page = format!("/admin/approvals/{parts}");
    let (_, text) = house.jiho.text(&page).await;
    let seen = hidden(&text, "seen");
    let answer = house
        .jiho
        .post(&format!("{page}/approve"), &[("seen", &seen)])
        .await;
    assert_eq!(answer.status(), 303);
    assert_eq!(booked(&house.app), 18_000);
    let by: String = house.app.sql(&format!(
        "select created_by || ' ' || approved_by from adjustment where approval_id = {parts}"
    ));
    assert_eq!(by, "@minji @jiho");
    approve::refuse(&ctx, whole, "근거 없음".into(), "@minji")
        .await
        .unwrap();
    assert_eq!(
        approve::refuse(&ctx, whole, "근거 없음".into(), "@minji")
            .await
            .unwrap(),
        None
    );
    assert_eq!(booked(&house.app), 18_000);
    // What was approved does not count against the day.
    assert!(matches!(
        ask("farm", 4_000, "@minji").await,
        Ok(Booking::Booked(_))
    ));

    // By the API: once per key, also while it waits and after it was refused.
    let body = json!({ "partner": "farm", "amount": 50_000, "reason": "보상" });
    let send = |body: Value| {
        let request = house
            .app
            .http
            .post(house.app.url("/api/adjustments"))
            .bearer_auth(TOKEN);
        request.header("idempotency-key", "k-1").json(&body).send()
    };
    let (status, first) = read(send(body.clone()).await.unwrap()).await;
    assert_eq!(
        (status, &first["approval"]["state"]),
        (202, &json!("WAITING")),
        "{first}"
    );
    let (status, second) = read(send(body.clone()).await.unwrap()).await;
    assert_eq!(
        (status, &second["approval"]["id"]),
        (202, &first["approval"]["id"])
    );
    let other = json!({ "partner": "farm", "amount": 50_001, "reason": "보상" });
    assert_eq!(
        kind(send(other).await.unwrap()).await,
        (422, "idempotency-key-reused".into())
    );
    let id = first["approval"]["id"].as_i64().unwrap();
    approve::approve(&ctx, id, house.seal(id), "@boss")
        .await
        .unwrap();
    let (status, third) = read(send(body).await.unwrap()).await;
    assert_eq!(
        (status, &third["adjustment"]["amount"]),
        (200, &json!(50_000)),
        "{third}"
    );
    assert_eq!(
        house
            .app
            .sql::<i64>("select count(*) from adjustment where amount = 50000"),
        1
    );
    house.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_waits_as_a_whole_and_is_booked_as_a_whole() {
    let house = House::with(Some("10,000")).await;
    for id in ["farm", "sea"] {
        partner(&house.app, id, "INDIVIDUAL", "0012301000001", 0).await;
    }
    let app = &house.app;
    let ctx = app.app().web.ctx.clone();
    let send = |file: &'static str| {
        let request = app
            .http
            .post(app.url("/api/adjustments/import"))
            .bearer_auth(TOKEN);
        request.body(file).send()
    };
    // No row is above the amount; their sum is, whatever the signs.
    let file = "partner_id,amount,reason\nfarm,6000,가\nsea,-6000,나\n";
    let (status, asked) = read(send(file).await.unwrap()).await;
    let id = asked["waits"].as_i64().unwrap();
    assert_eq!((status, booked(app)), (202, 0), "{asked}");
    let (status, again) = read(send(file).await.unwrap()).await;
    assert_eq!(
        (status, again["waits"].as_i64()),
        (202, Some(id)),
        "the same file waits once"
    );
    let shown = app.json(&format!("/api/approvals/{id}")).await;
    assert_eq!(shown["adjustments"][1]["amount"], json!(-6_000));
    assert_eq!(shown["approval"]["amount"], json!(12_000));
    approve::refuse(&ctx, id, "확인".into(), "@jiho")
        .await
        .unwrap();
    // A file that was refused may be sent again.
    let (status, asked) = read(send(file).await.unwrap()).await;
    let id = asked["waits"].as_i64().unwrap();
    assert_eq!(status, 202);
    approve::approve(&ctx, id, house.seal(id), "@boss")
        .await
        .unwrap();
    assert_eq!(
        app.sql::<i64>("select count(*) from adjustment where approved_by = '@boss'"),
        2
    );
    assert_eq!(
        kind(send(file).await.unwrap()).await,
        (409, "already-imported".into())
    );
    let small = "partner_id,amount,reason\nfarm,5000,다\n";
    assert_eq!(send(small).await.unwrap().status(), 201);
    let more = "partner_id,amount,reason\nfarm,5000,라\nfarm,1,마\n";
    assert_eq!(
        send(more).await.unwrap().status(),
        202,
        "with what was booked today it is more"
    );
    refused(
        app,
        "insert into approval (kind, subject, amount, asked, made_by, made_at, state, seen, decided_by, decided_at)
         values ('payout', 'payout:1', 1, '{}', '@a', 1, 'APPROVED', 'x', '@a', 1)",
        "approval_is_by_a_second_person",
    );
    refused(
        app,
        "insert into approval (kind, subject, amount, asked, made_by, made_at, state, seen, decided_by, decided_at)
         values ('payout', 'payout:1', 1, '{}', '@a', 1, 'APPROVED', 'x', 'key:b', 1)",
        "approval_is_by_a_person",
    );
    app.drain().await;
}
