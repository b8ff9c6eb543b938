//! From a settlement that is due to money in a partner's account, and what can go wrong between.

use std::time::Duration;

use jeongsan::{
    domain::{
        account::Role,
        calendar::KstDay,
        contract::{Fee, Rate, Terms},
        cycle::{self, Cycle, HolidayPolicy},
        ids::PartnerId,
        money::Won,
        partner::Partner,
    },
    flow::{
        agree_contract::agree,
        hold_settlement::try_again,
        save_partner::{Save, save_partner},
        settle_day::settle_until,
    },
    sheet::{self, Cell, Sheet},
    web::gate::FIELD,
};
use reqwest::{Method, Response};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    people::Visitor,
    support::{TOKEN, TestApp, read},
};

/// Two days of lag, and the longest row of days on which banks are closed.
pub const LONG_ENOUGH: u64 = 14;

pub fn today(app: &TestApp) -> KstDay {
    KstDay::of(app.clock.now())
}

fn terms(min_payout: i64) -> Terms {
    let cycle = Cycle::new(2, cycle::Method::Daily, HolidayPolicy::After).unwrap();
    let mut terms = Terms::plain(Fee::Rate(Rate::ZERO), cycle);
    terms.min_payout = Won::new(min_payout);
    terms
}

/// A partner with an account, approved, from whom nothing is taken.
pub async fn partner(app: &TestApp, id: &str, kind: &str, account: &str, min_payout: i64) {
    let ctx = &app.app().web.ctx;
    let mut draft = json!({
        "id": id, "name": format!("{id} 상회"), "type": kind, "status": "APPROVED",
        "account": { "bank": "004", "number": account, "holder": "홍길동" },
    });
    if kind.starts_with("BUSINESS") {
        draft["business_number"] = json!("220-81-62517");
    }
    let partner: Partner = serde_json::from_value(draft).unwrap();
    save_partner(ctx, partner, Save::Put, "api").await.unwrap();
    let from: KstDay = "2020-01-01".parse().unwrap();
    agree(
        ctx,
        PartnerId::new(id).unwrap(),
        from,
        terms(min_payout),
        "api",
    )
    .await
    .unwrap();
}

/// A paid order of one partner.
pub async fn sold(app: &TestApp, order: &str, partner: &str, won: i64) -> String {
    let line = json!({ "partner": partner, "name": "사과", "quantity": 1, "unit_price": won });
    let body = json!({ "merchant_uid": order, "lines": [line] });
    let (status, value) = read(app.post("/api/orders", &body).await).await;
    assert_eq!(status, 201, "{value}");
    let imp_uid = app.paid(order, won).await;
    app.drain().await;
    imp_uid
}

/// Moves the clock by days and settles what is over.
pub async fn days_later(app: &TestApp, days: u64) {
    app.clock.advance(Duration::from_secs(days * 86_400));
    let until = today(app);
    settle_until(&app.app().web.ctx, until, "api")
        .await
        .unwrap();
    app.drain().await;
}

async fn create(app: &TestApp) -> (u16, Value) {
    let until = today(app).to_string();
    read(app.post("/api/payouts", &json!({ "until": until })).await).await
}

async fn give_result(app: &TestApp, batch: i64, query: &str, file: Vec<u8>) -> (u16, Value) {
    let answer = app
        .http
        .post(app.url(&format!("/api/payouts/{batch}/result{query}")))
        .bearer_auth(TOKEN)
        .body(file)
        .send()
        .await
        .unwrap();
    read(answer).await
}

/// The file that went to the bank with an outcome for each row, as a bank gives it back.
fn answered(file: &[u8], outcomes: &[(&str, &str)]) -> Vec<u8> {
    let table = sheet::read(file, None).unwrap();
    let mut headers = table.headers.clone();
    headers.extend(["처리결과".to_owned(), "오류내용".to_owned()]);
    let rows = table.rows.iter().zip(outcomes).map(|(row, (word, why))| {
        let mut cells: Vec<Cell> = row.cells.iter().map(Cell::text).collect();
        cells.extend([Cell::text(*word), Cell::text(*why)]);
        cells
    });
    let answer = Sheet {
        name: "결과".into(),
        headers,
        rows: rows.collect(),
        ..Sheet::default()
    };
    sheet::xlsx(&[answer]).unwrap()
}

async fn bytes(answer: Response) -> Vec<u8> {
    assert_eq!(answer.status(), 200);
    answer.bytes().await.unwrap().to_vec()
}

pub fn state(app: &TestApp, partner: &str) -> String {
    app.sql(&format!(
        "select group_concat(state, ',') from (select state from settlement where partner_id = '{partner}' order by id)"
    ))
}

pub fn refused(app: &TestApp, sql: &str, rule: &str) {
    let conn = Connection::open(app.database()).unwrap();
    conn.busy_timeout(Duration::from_secs(5)).unwrap();
    conn.pragma_update(None, "foreign_keys", true).unwrap();
    let why = conn.execute_batch(sql).unwrap_err().to_string();
    assert!(why.contains(rule), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payout_goes_to_the_bank_and_comes_back_paid_or_failed() {
    let app = TestApp::start().await;
    partner(&app, "farm", "WITHHOLDING_INDIVIDUAL", "0012301000001", 0).await;
    partner(&app, "sea", "INDIVIDUAL", "0012301000002", 0).await;
    sold(&app, "ord-1", "farm", 1_234_567).await;
    sold(&app, "ord-2", "sea", 5_000).await;
    days_later(&app, 1).await;
    // Not due yet: two days of lag.
    assert_eq!(
        create(&app).await.1["type"],
        "urn:jeongsan:problem:nothing-to-pay"
    );
    days_later(&app, LONG_ENOUGH).await;
    let due = app
        .json(&format!("/api/payouts/due?until={}", today(&app)))
        .await;
    assert_eq!(due["total"], 1_193_837 + 5_000);
    // Another sum than the one that was seen is refused.
    let body = json!({ "until": today(&app).to_string(), "total": 1 });
    let (status, value) = read(app.post("/api/payouts", &body).await).await;
    assert_eq!((status, &value["now"]), (409, &json!(1_198_837)));
    let body = json!({ "until": today(&app).to_string(), "total": 1_198_837, "note": "3월" });
    let (status, made) = read(app.post("/api/payouts", &body).await).await;
    assert_eq!(status, 201, "{made}");
    let batch = made["batch"]["id"].as_i64().unwrap();
    let farm = &made["payouts"][0];
    assert_eq!(
        (
            &farm["gross"],
            &farm["income_tax"],
            &farm["local_tax"],
            &farm["amount"]
        ),
        (
            &json!(1_234_567),
            &json!(37_030),
            &json!(3_700),
            &json!(1_193_837)
        )
    );
    assert_eq!(made["totals"]["amount"], 1_198_837);
    assert_eq!(
        (state(&app, "farm"), state(&app, "sea")),
        ("PROCESSING".into(), "PROCESSING".into())
    );

    let file = bytes(
        app.get(&format!("/api/payouts/{batch}/file?template=공통"))
            .await,
    )
    .await;
    let table = sheet::read(&file, None).unwrap();
    assert_eq!(table.rows.len(), 2);
    assert_eq!(
        &table.rows[0].cells[..4],
        ["004", "KB국민은행", "0012301000001", "1193837"]
    );
    assert_eq!(table.rows[1].cells[3], "5000");

    let result = answered(&file, &[("정상", ""), ("오류", "예금주 불일치")]);
    let (status, seen) = give_result(&app, batch, "?dry_run=true", result.clone()).await;
    assert_eq!((status, &seen["dry_run"]), (200, &json!(true)));
    assert_eq!(state(&app, "farm"), "PROCESSING");
    let (status, told) = give_result(&app, batch, "", result.clone()).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["told"], json!({ "paid": 1, "failed": 1, "same": 0 }));
    assert_eq!(
        (state(&app, "farm"), state(&app, "sea")),
        ("COMPLETED".into(), "FAILED".into())
    );
    // The same file again is known before.
    let (_, told) = give_result(&app, batch, "", result).await;
    assert_eq!(told["told"], json!({ "paid": 0, "failed": 0, "same": 2 }));
    // Another word about what is decided is refused, and named by its row.
    let other = answered(&file, &[("오류", "취소"), ("오류", "예금주 불일치")]);
    let (status, wrong) = give_result(&app, batch, "", other).await;
    assert_eq!((status, &wrong["errors"][0]["line"]), (422, &json!(2)));
    assert_eq!(
        app.json(&format!("/api/payouts/{batch}")).await["batch"]["state"],
        "DONE"
    );
    let list = app.json("/api/payouts?limit=1").await;
    assert_eq!(
        (&list["items"][0]["id"], &list["next"]),
        (&json!(batch), &Value::Null)
    );

    // What failed is tried again, in another batch; what is completed never changes.
    let sea: i64 = app.sql("select id from settlement where partner_id = 'sea'");
    try_again(&app.app().web.ctx, sea, "계좌 확인".into(), "api")
        .await
        .unwrap();
    let (status, again) = create(&app).await;
    assert_eq!(
        (status, &again["payouts"][0]["partner"]),
        (201, &json!("sea"))
    );
    let (id, payout) = (&again["batch"]["id"], &again["payouts"][0]["id"]);
    let path = format!("/api/payouts/{id}/payouts/{payout}");
    let (status, _) = read(app.post(&path, &json!({ "paid": true })).await).await;
    assert_eq!(status, 200);
    let (status, wrong) = read(app.post(&path, &json!({ "failed": "아님" })).await).await;
    assert_eq!(
        (status, &wrong["type"]),
        (409, &json!("urn:jeongsan:problem:payout-decided"))
    );
    assert_eq!(state(&app, "sea"), "COMPLETED");
    refused(
        &app,
        "update settlement set state = 'REQUESTED', completed_at = null, completed_by = null where partner_id = 'sea'",
        "settlement_that_is_completed_never_changes",
    );
    refused(
        &app,
        "insert into payout_settlement (payout_id, settlement_id, amount)
         select (select min(id) from payout), id, 1 from settlement where partner_id = 'sea'",
        "UNIQUE",
    );
    refused(
        &app,
        "update payout_settlement set live = 0",
        "settlement_that_was_paid_stays_paid",
    );
    app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_batches_at_once_pay_once() {
    let app = TestApp::start().await;
    partner(&app, "farm", "INDIVIDUAL", "0012301000001", 0).await;
    sold(&app, "ord-1", "farm", 10_000).await;
    days_later(&app, LONG_ENOUGH).await;
    let (one, two, three) = tokio::join!(create(&app), create(&app), create(&app));
    let mut all = [one.0, two.0, three.0];
    all.sort_unstable();
    assert_eq!(all, [201, 409, 409]);
    assert_eq!(app.sql::<i64>("select count(*) from payout_settlement"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_paid_waits_and_says_why() {
    let app = TestApp::start().await;
    partner(&app, "small", "INDIVIDUAL", "0012301000001", 20_000).await;
    partner(&app, "out", "INDIVIDUAL", "0012301000002", 0).await;
    partner(&app, "even", "INDIVIDUAL", "0012301000003", 0).await;
    sold(&app, "ord-1", "small", 10_000).await;
    sold(&app, "ord-2", "out", 10_000).await;
    let back = sold(&app, "ord-3", "even", 7_000).await;
    assert_eq!(app.cancel(&back, None).await.status(), 200);
    app.drain().await;
    days_later(&app, LONG_ENOUGH).await;
    let until = today(&app).to_string();
    let due = app.json(&format!("/api/payouts/due?until={until}")).await;
    assert_eq!(due["waiting"][0]["why"], "below_minimum");
    assert_eq!(due["waiting"][0]["minimum"], 20_000);
    assert_eq!(due["nothing_to_pay"].as_array().unwrap().len(), 1);
    // A sum of zero is completed along with the batch, even where nobody is paid.
    let body = json!({ "until": until, "leave_out_partners": ["out"] });
    let (status, made) = read(app.post("/api/payouts", &body).await).await;
    assert_eq!((status, &made["batch"]["state"]), (201, &json!("DONE")));
    assert_eq!(state(&app, "even"), "COMPLETED");
    assert_eq!(
        (state(&app, "small"), state(&app, "out")),
        ("REQUESTED".into(), "REQUESTED".into())
    );
    // More comes in: both together are above the minimum.
    sold(&app, "ord-4", "small", 10_000).await;
    days_later(&app, 2 * LONG_ENOUGH).await;
    let (status, made) = create(&app).await;
    assert_eq!((status, &made["totals"]["amount"]), (201, &json!(30_000)));
    let batch = &made["batch"]["id"];
    let path = format!("/api/payouts/{batch}/call-off");
    let (status, wrong) = read(app.post(&path, &json!({})).await).await;
    assert_eq!(
        (status, &wrong["type"]),
        (422, &json!("urn:jeongsan:problem:payout-reason"))
    );
    let (status, off) = read(app.post(&path, &json!({ "reason": "은행 점검" })).await).await;
    assert_eq!(
        (status, &off["called_off"], &off["batch"]["state"]),
        (200, &json!(2), &json!("CANCELLED"))
    );
    assert_eq!(state(&app, "small"), "REQUESTED,REQUESTED");
    assert_eq!(
        read(app.post(&path, &json!({ "reason": "다시" })).await)
            .await
            .0,
        409
    );
    assert_eq!(create(&app).await.0, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_contradicts_itself_changes_nothing() {
    let app = TestApp::start().await;
    partner(&app, "farm", "INDIVIDUAL", "0012301000001", 0).await;
    partner(&app, "sea", "INDIVIDUAL", "0012301000002", 0).await;
    sold(&app, "ord-1", "farm", 10_000).await;
    sold(&app, "ord-2", "sea", 20_000).await;
    days_later(&app, LONG_ENOUGH).await;
    let (_, made) = create(&app).await;
    let batch = made["batch"]["id"].as_i64().unwrap();
    let csv = "계좌번호,금액,처리결과\n0012301000001,\"10,000\",정상\n0012301000001,\"10,000\",오류\n\
        0012301000002,\"20,001\",정상\n999999,1,정상\n";
    let (status, wrong) = give_result(&app, batch, "", csv.into()).await;
    assert_eq!(
        (status, &wrong["type"]),
        (422, &json!("urn:jeongsan:problem:bank-result"))
    );
    let lines: Vec<&Value> = wrong["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["line"])
        .collect();
    assert_eq!(lines, [3, 4, 5]);
    assert_eq!(
        (state(&app, "farm"), state(&app, "sea")),
        ("PROCESSING".into(), "PROCESSING".into())
    );
    let csv = "계좌번호,금액,처리결과\n00123****0001,\"10,000\",정상\n";
    let (status, told) = give_result(&app, batch, "?template=KB국민", csv.into()).await;
    assert_eq!(
        (status, told["unmentioned"].as_array().unwrap().len()),
        (200, 1),
        "{told}"
    );
    assert_eq!(state(&app, "farm"), "COMPLETED");
    // What is decided is not in the next file for the bank.
    let file = bytes(app.get(&format!("/api/payouts/{batch}/file")).await).await;
    assert_eq!(sheet::read(&file, None).unwrap().rows.len(), 1);
    let (status, _) = give_result(&app, 999, "", csv.into()).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_is_added_moves_settlements_and_says_so_before() {
    let app = TestApp::start().await;
    partner(&app, "farm", "INDIVIDUAL", "0012301000001", 0).await;
    sold(&app, "ord-1", "farm", 10_000).await;
    days_later(&app, 1).await;
    let due = || app.sql::<String>("select payout_day from settlement where partner_id = 'farm'");
    let from = due();
    let put = |query: &str, name: &str| {
        let request = app
            .http
            .put(app.url(&format!("/api/calendar/{from}{query}")));
        let body = json!({ "name": name });
        request.bearer_auth(TOKEN).json(&body).send()
    };
    let (status, seen) = read(put("?dry_run=true", "임시공휴일").await.unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(seen["moved"][0]["from"], json!(from));
    let to = seen["moved"][0]["to"].as_str().unwrap().to_owned();
    assert!(to > from, "{to}");
    assert_eq!((due(), &seen["business_day"]), (from.clone(), &json!(true)));
    assert_eq!(read(put("", " ").await.unwrap()).await.0, 422);
    let (status, done) = read(put("", "임시공휴일").await.unwrap()).await;
    assert_eq!(
        (status, &done["business_day"], due()),
        (200, &json!(false), to)
    );
    let year = app
        .json(&format!("/api/calendar?year={}", &from[..4]))
        .await;
    assert_eq!(year["added"][0]["name"], "임시공휴일");
    let remove = || {
        let path = app.url(&format!("/api/calendar/{from}"));
        app.http.delete(path).bearer_auth(TOKEN).send()
    };
    assert_eq!(remove().await.unwrap().status(), 200);
    assert_eq!(due(), from);
    assert_eq!(remove().await.unwrap().status(), 404);
    let yesterday = today(&app).previous();
    let path = app.url(&format!("/api/calendar/{yesterday}"));
    let past = app.http.put(path).bearer_auth(TOKEN);
    let past = past.json(&json!({ "name": "지난 날" })).send();
    assert_eq!(
        read(past.await.unwrap()).await.1["type"],
        "urn:jeongsan:problem:calendar-past"
    );
    assert_eq!(app.get("/api/calendar?year=1999").await.status(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_are_changed_copied_and_reset() {
    let app = TestApp::start().await;
    let all = app.json("/api/bank-templates").await;
    assert_eq!(all["items"][0]["name"], "공통");
    let mut common = app.json("/api/bank-templates/공통").await;
    common["columns"][0]["header"] = json!("Bank");
    let put = |name: &str, body: &Value| {
        let request = app
            .http
            .put(app.url(&format!("/api/bank-templates/{name}")));
        request.bearer_auth(TOKEN).json(body).send()
    };
    let (status, saved) = read(put("공통", &common).await.unwrap()).await;
    assert_eq!(
        (status, &saved["changed"], &saved["seeded"]),
        (200, &json!(true), &json!(true)),
        "{saved}"
    );
    assert_eq!(put("우리상점", &common).await.unwrap().status(), 200);
    common["columns"] = json!([]);
    let (status, wrong) = read(put("공통", &common).await.unwrap()).await;
    assert_eq!(
        (status, &wrong["type"]),
        (422, &json!("urn:jeongsan:problem:bank-template"))
    );
    let remove = |name: &str| {
        let request = app
            .http
            .delete(app.url(&format!("/api/bank-templates/{name}")));
        request.bearer_auth(TOKEN).send()
    };
    assert_eq!(read(remove("공통").await.unwrap()).await.1["reset"], true);
    assert_eq!(remove("공통").await.unwrap().status(), 409);
    assert_eq!(
        read(remove("우리상점").await.unwrap()).await.1["reset"],
        false
    );
    assert_eq!(remove("우리상점").await.unwrap().status(), 404);
    assert_eq!(
        app.json("/api/bank-templates/공통").await["columns"][0]["header"],
        "은행코드"
    );
}

/// A browser's form: signed in, from our own pages.
struct Browser(Visitor);

impl Browser {
    async fn signed_in(app: &TestApp) -> Browser {
        let store = &app.app().web.ctx.store;
        Browser(Visitor::signed_in(store, &app.url(""), "minji", Role::Owner).await)
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.0.text(path).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        Self::led(self.0.post(path, form).await).await
    }

    /// Status, and where it leads or what it says.
    async fn led(answer: Response) -> (u16, String) {
        let to = answer
            .headers()
            .get("location")
            .map(|to| to.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        (status, to.unwrap_or(answer.text().await.unwrap()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_does_it_all_on_the_pages() {
    let app = TestApp::start().await;
    partner(&app, "farm", "WITHHOLDING_INDIVIDUAL", "0012301000001", 0).await;
    partner(&app, "sea", "INDIVIDUAL", "0012301000002", 0).await;
    sold(&app, "ord-1", "farm", 1_234_567).await;
    sold(&app, "ord-2", "sea", 5_000).await;
    // Nobody said what this one is.
    sold(&app, "ord-3", "stranger", 3_000).await;
    days_later(&app, LONG_ENOUGH).await;
    let browser = Browser::signed_in(&app).await;
    let (status, text) = browser.get("/admin/payouts").await;
    assert!(status == 200 && text.contains("₩1,239,567"), "{text}");
    let until = today(&app).to_string();
    let sea: i64 = app.sql("select id from settlement where partner_id = 'sea'");
    let sea = sea.to_string();
    let (_, text) = browser
        .get(&format!("/admin/payouts/new?until={until}&out={sea}"))
        .await;
    assert!(
        text.contains("₩1,193,837") && text.contains("checked"),
        "{text}"
    );
    let (_, text) = browser.get("/admin/payouts/new?until=gestern").await;
    assert!(text.contains("2026-08-06 형식"));
    let form = [("until", until.as_str()), ("note", "3월 지급")];
    let (status, sure) = browser.post("/admin/payouts", &form).await;
    assert!(
        status == 200 && sure.contains("파트너사 2곳에 모두 ₩1,198,837"),
        "{sure}"
    );
    assert!(sure.contains("원천징수 합계는 ₩40,730"));
    let form = [("until", until.as_str()), ("sure", "1"), ("total", "1")];
    let (status, text) = browser.post("/admin/payouts", &form).await;
    assert!(
        status == 409 && text.contains("지금은 1,198,837원"),
        "{text}"
    );
    let form = [
        ("until", until.as_str()),
        ("sure", "1"),
        ("total", "1198837"),
    ];
    let (status, to) = browser.post("/admin/payouts", &form).await;
    assert!(status == 303 && to.starts_with("/admin/payouts/"), "{to}");
    let batch: i64 = app.sql("select id from payout_batch");
    let (_, text) = browser.get(&to).await;
    assert!(text.contains("KB국민은행(004)") && text.contains("지급 묶음을 만들었습니다"));

    let file = bytes(app.get(&format!("/api/payouts/{batch}/file")).await).await;
    let upload = |bytes: Vec<u8>| {
        let head = format!(
            "--cut\r\nContent-Disposition: form-data; name=\"{FIELD}\"\r\n\r\n{}\r\n",
            browser.0.token()
        );
        let rest = "--cut\r\nContent-Disposition: form-data; name=\"template\"\r\n\r\n공통\r\n--cut\r\n\
            Content-Disposition: form-data; name=\"file\"; filename=\"result.xlsx\"\r\n\r\n";
        let body = [head.as_bytes(), rest.as_bytes(), &bytes, b"\r\n--cut--\r\n"].concat();
        let path = format!("/admin/payouts/{batch}/result");
        let request = browser.0.request(Method::POST, &path).body(body);
        let request = request.header("content-type", "multipart/form-data; boundary=cut");
        browser.0.with(request).send()
    };
    let (status, text) = Browser::led(upload(b"nonsense".to_vec()).await.unwrap()).await;
    assert!(
        status == 422 && text.contains("아무것도 반영하지 않았습니다"),
        "{text}"
    );
    let (status, _) = Browser::led(upload(Vec::new()).await.unwrap()).await;
    assert_eq!(status, 400);
    let result = answered(&file, &[("정상", ""), ("오류", "<b>불일치")]);
    let (status, text) = Browser::led(upload(result).await.unwrap()).await;
    assert!(
        status == 200 && text.contains("1건을 지급 완료로, 1건을 지급 실패로"),
        "{text}"
    );
    assert!(!text.contains("<b>불일치"));
    assert_eq!(state(&app, "farm"), "PROCESSING");
    let ids: Vec<i64> = ["farm", "sea"]
        .map(|id| app.sql(&format!("select id from payout where partner_id = '{id}'")))
        .to_vec();
    let words = json!([{ "payout": ids[0] }, { "payout": ids[1], "failed": "불일치" }]).to_string();
    let path = format!("/admin/payouts/{batch}/result/confirm");
    let (status, to) = browser.post(&path, &[("words", &words)]).await;
    assert_eq!(
        (status, to),
        (303, format!("/admin/payouts/{batch}?did=decided"))
    );
    let (_, to) = browser.post(&path, &[("words", &words)]).await;
    assert!(to.ends_with("did=same"), "{to}");
    assert_eq!(
        (state(&app, "farm"), state(&app, "sea")),
        ("COMPLETED".into(), "FAILED".into())
    );
    let path = format!("/admin/payouts/{batch}/payouts/{}", ids[1]);
    let (status, text) = browser.post(&path, &[("word", "paid")]).await;
    assert!(status == 409 && text.contains("이미 FAILED"), "{text}");
    let (_, text) = browser.get("/admin/payouts").await;
    assert!(text.contains("지급에 실패한 정산 1건"));

    let csv = app
        .http
        .get(app.url(&format!("/admin/payouts/{batch}/withholding?format=csv")));
    let csv = bytes(browser.0.with(csv).send().await.unwrap()).await;
    let csv = String::from_utf8(csv).unwrap();
    assert!(
        csv.contains("farm 상회,1234567,37030,3700,1193837,"),
        "{csv}"
    );
    assert!(!csv.contains("sea"));

    let (_, text) = browser.get("/admin/payouts/templates/공통").await;
    assert!(text.contains("견본 파일과 비교"));
    let path = "/admin/payouts/templates/%EA%B3%B5%ED%86%B5";
    let (status, to) = browser
        .post(&format!("{path}/copy"), &[("name", "내 은행")])
        .await;
    assert_eq!(status, 303, "{to}");
    let (status, text) = browser
        .post(&format!("{path}/copy"), &[("name", "공통")])
        .await;
    assert!(
        status == 409 && text.contains("양식이 이미 있습니다"),
        "{text}"
    );
    let (status, text) = browser.post(&to, &[("rows", "0"), ("save", "1")]).await;
    assert!(
        status == 422 || status == 404 || status == 405,
        "{status} {text}"
    );
    let (status, _) = browser.get(&format!("{path}/sample")).await;
    assert_eq!(status, 200);

    let later = today(&app).plus_days(400).to_string();
    let yesterday = today(&app).previous().to_string();
    let day = [
        ("day", later.as_str()),
        ("name", "임시공휴일"),
        ("kind", "off"),
    ];
    let (status, text) = browser.post("/admin/calendar", &day).await;
    assert!(
        status == 200 && text.contains("옮겨지는 정산은 없습니다"),
        "{text}"
    );
    assert_eq!(app.sql::<i64>("select count(*) from special_day"), 0);
    let sure = [day[0], day[1], day[2], ("sure", "1")];
    let (status, to) = browser.post("/admin/calendar", &sure).await;
    assert_eq!(status, 303);
    let (_, text) = browser.get(&to).await;
    assert!(text.contains("임시공휴일") && text.contains("class=\"ours\""));
    let past = [("day", yesterday.as_str()), ("name", "x")];
    let (status, text) = browser.post("/admin/calendar", &past).await;
    assert!(status == 422 && text.contains("지난 날입니다"));
    app.drain().await;
}

/// What would have the bank pay twice, pay somewhere else, or break the books, is refused.
#[tokio::test]
async fn what_was_seen_is_what_is_paid_and_the_bank_gets_it_once() {
    let app = TestApp::start().await;
    partner(&app, "farm", "INDIVIDUAL", "0012301000001", 0).await;
    sold(&app, "ord-1", "farm", 10_000).await;
    days_later(&app, LONG_ENOUGH).await;
    // A day beyond the calendar's end takes nothing.
    let (status, _) = read(
        app.post("/api/payouts", &json!({ "until": "9999-12-31" }))
            .await,
    )
    .await;
    assert_eq!(status, 400);
    assert_eq!(state(&app, "farm"), "REQUESTED");
    // What was looked at is another account by now.
    let until = today(&app);
    let due = app.json(&format!("/api/payouts/due?until={until}")).await;
    partner(&app, "farm", "INDIVIDUAL", "0012301000009", 0).await;
    let body = json!({ "until": until, "total": due["total"], "seen": due["fingerprint"] });
    let (status, changed) = read(app.post("/api/payouts", &body).await).await;
    assert_eq!(
        (status, &changed["type"]),
        (409, &json!("urn:jeongsan:problem:payout-changed"))
    );
    let due = app.json(&format!("/api/payouts/due?until={until}")).await;
    let body = json!({ "until": until, "total": due["total"], "seen": due["fingerprint"] });
    let (status, made) = read(app.post("/api/payouts", &body).await).await;
    assert_eq!(status, 201, "{made}");
    let batch = &made["batch"]["id"];
    // A dry run that cannot be understood is none: nothing is written.
    let path = format!("/api/payouts/{batch}/result?dry_run=maybe");
    let csv = "계좌번호,금액,처리결과\n0012301000009,10000,정상\n";
    let send = async |path: &str| {
        let request = app.http.post(app.url(path)).bearer_auth(TOKEN);
        read(request.body(csv).send().await.unwrap()).await
    };
    assert_eq!(send(&path).await.0, 400);
    let dry = format!("/api/payouts/{batch}/result?dry_run=True");
    assert_eq!(send(&dry).await.0, 200);
    assert_eq!(state(&app, "farm"), "PROCESSING");
    // A batch whose file was fetched is called off only by who says that the bank has not got it.
    assert_eq!(
        app.get(&format!("/api/payouts/{batch}/file"))
            .await
            .status(),
        200
    );
    let path = format!("/api/payouts/{batch}/call-off");
    let (status, refused) = read(app.post(&path, &json!({ "reason": "다시" })).await).await;
    assert_eq!(
        (status, &refused["type"]),
        (409, &json!("urn:jeongsan:problem:payout-handed-out"))
    );
    let sure = json!({ "reason": "은행에서 취소함", "not_at_the_bank": true });
    assert_eq!(read(app.post(&path, &sure).await).await.0, 200);
    assert_eq!(state(&app, "farm"), "REQUESTED");
}

/// What a form hands on without showing it.
fn hidden(page: &str, action: &str) -> Vec<(String, String)> {
    let form = page.split(&format!("action=\"{action}\"")).nth(1).unwrap();
    let form = form.split("</form>").next().unwrap();
    let inputs = form.split("<input type=\"hidden\" name=\"").skip(1);
    let pairs = inputs.map(|input| {
        let (name, rest) = input.split_once("\" value=\"").unwrap();
        let (value, _) = rest.split_once('"').unwrap();
        (name.to_owned(), value.to_owned())
    });
    pairs.collect()
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = pairs.iter();
    pairs.map(|(k, v)| (k.as_str(), v.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_partners_come_page_by_page_and_none_is_lost_on_the_way() {
    let app = TestApp::start().await;
    let names: Vec<String> = (0..60).map(|n| format!("shop-{n:02}")).collect();
    for (n, id) in names.iter().enumerate() {
        partner(&app, id, "INDIVIDUAL", &format!("00123010000{n:02}"), 0).await;
    }
    for day in 0..5 {
        let sellers = if day == 0 { &names[..] } else { &names[..1] };
        let lines: Vec<Value> = sellers
            .iter()
            .map(|id| json!({ "partner": id, "name": "사과", "quantity": 1, "unit_price": 1_000 }))
            .collect();
        let order = format!("ord-{day}");
        let body = json!({ "merchant_uid": order, "lines": lines });
        let (status, value) = read(app.post("/api/orders", &body).await).await;
        assert_eq!(status, 201, "{value}");
        app.paid(&order, 1_000 * lines.len() as i64).await;
        app.drain().await;
        days_later(&app, 1).await;
    }
    days_later(&app, LONG_ENOUGH).await;
    let store = &app.app().web.ctx.store;
    let owner = Visitor::signed_in(store, &app.url(""), "minji", Role::Owner).await;
    let out: i64 = app.sql("select min(id) from settlement where partner_id = 'shop-00'");
    let until = today(&app);

    // Twenty-five to a page, their settlements only once they are asked for.
    let page = |query: String| {
        let path = format!("/admin/payouts/new?until={until}{query}");
        let owner = &owner;
        async move {
            let (status, text) = owner.text(&path).await;
            assert_eq!(status, 200, "{text}");
            text
        }
    };
    let shows = |text: &str, id: &str| text.contains(&format!("href=\"/admin/partners/{id}\""));
    let first = page(String::new()).await;
    assert!(shows(&first, "shop-24") && !shows(&first, "shop-25"));
    assert!(first.contains("₩64,000") && !first.contains("name=\"out\""));
    let opened = page("&open=shop-00".into()).await;
    let tick = format!("name=\"out\" value=\"{out}\"");
    assert_eq!(opened.matches("name=\"out\"").count(), 5);
    assert!(opened.contains(&tick) && opened.contains("name=\"open\" value=\"shop-01\""));
    // What a script fetches to open one of them.
    let only = page("&only=shop-30&open=shop-30".into()).await;
    assert!(shows(&only, "shop-30") && !shows(&only, "shop-00"));
    assert_eq!(only.matches("class=\"settlements opened\"").count(), 1);

    // What is left out on the first page goes along to the second, and is there when one comes back.
    let choice = format!("&note=x&out={out}&partner_out=shop-01");
    let second = page(format!("{choice}&page=2")).await;
    assert!(shows(&second, "shop-30") && !shows(&second, "shop-00"));
    let carried = hidden(&second, "/admin/payouts/new");
    for (name, value) in [
        ("page", "2"),
        ("out", &out.to_string()),
        ("partner_out", "shop-01"),
    ] {
        let pair = (name.to_owned(), value.to_owned());
        assert!(carried.contains(&pair), "{pair:?} of {carried:?}");
    }
    let back = page(format!("{choice}&page=1")).await;
    assert!(back.contains(&format!("{tick} checked")), "{back}");
    let carried_back = hidden(&back, "/admin/payouts/new");
    assert!(!carried_back.iter().any(|(name, _)| name == "out"));
    let last = page(format!("{choice}&page=99")).await;
    assert!(last.contains("name=\"partner_out\" value=\"shop-01\" checked"));
    assert!(shows(&last, "shop-59") && shows(&last, "shop-01"));

    // The batch is made from the second page, and asks before.
    let mut form = carried;
    form.push(("until".into(), until.to_string()));
    form.push(("note".into(), "x".into()));
    let asked = owner.post("/admin/payouts", &borrowed(&form)).await;
    assert_eq!(asked.status(), 200);
    let sure = hidden(&asked.text().await.unwrap(), "/admin/payouts");
    let made = owner.post("/admin/payouts", &borrowed(&sure)).await;
    assert_eq!(made.status(), 303);
    let left: String = app.sql(
        "select group_concat(partner_id || ' ' || id, ',') from
                (select partner_id, id from settlement where state = 'REQUESTED' order by partner_id)",
    );
    let other: i64 = app.sql("select id from settlement where partner_id = 'shop-01'");
    assert_eq!(left, format!("shop-00 {out},shop-01 {other}"));

    // The batch's page shows each payout once, by partner, with its first settlements and the way to all.
    let batch: i64 = app.sql("select max(id) from payout_batch");
    let mut at = format!("/admin/payouts/{batch}");
    let mut seen = Vec::new();
    loop {
        let (status, text) = owner.text(&at).await;
        assert_eq!(status, 200);
        assert!(text.contains("₩62,000") && text.contains("/call-off") && text.contains("/result"));
        assert!(
            text.matches(&format!("<code class=\"soft\">P{batch}-"))
                .count()
                <= 25
        );
        for row in text
            .split(&format!("<code class=\"soft\">P{batch}-"))
            .skip(1)
        {
            seen.push(row.split('<').next().unwrap().parse::<i64>().unwrap());
        }
        let Some((_, next)) = text.split_once("rel=\"next\" href=\"") else {
            break;
        };
        at = next.split('#').next().unwrap().to_owned();
    }
    let whole = app.json(&format!("/api/payouts/{batch}")).await;
    let all = whole["payouts"].as_array().unwrap().iter();
    let all: Vec<i64> = all.map(|row| row["id"].as_i64().unwrap()).collect();
    assert_eq!((seen.len(), &seen), (59, &all));
    let (_, text) = owner.text(&format!("/admin/payouts/{batch}")).await;
    assert!(text.contains(&format!(
        "href=\"/admin/payouts/{batch}/payouts/{}\">+1",
        all[0]
    )));
    let (_, text) = owner
        .text(&format!("/admin/payouts/{batch}/payouts/{}", all[0]))
        .await;
    assert_eq!(text.matches("href=\"/admin/settlements/").count(), 4);
    app.drain().await;
}
