//! Statements, holds, adjustments: what partners are owed, as people and programs see it over HTTP.

use std::{io::Cursor, process::Command, time::Duration};

use calamine::{Data, Reader, Xlsx};
use jeongsan::{
    domain::{
        calendar::KstDay,
        contract::{Fee, Terms},
        cycle::{Cycle, HolidayPolicy, Method},
        ids::PartnerId,
    },
    flow::agree_contract::agree,
    sheet,
    store::settlements,
};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};

use crate::support::{TOKEN, TestApp, read};

const FORMULA: &str = "=cmd|'/c calc'!A1";

async fn contract(app: &TestApp, partner: &str, from: KstDay) {
    let cycle = Cycle::new(1, Method::Daily, HolidayPolicy::CalendarDay).unwrap();
    let terms = Terms::plain(Fee::Rate("10".parse().unwrap()), cycle);
    let id = PartnerId::new(partner).unwrap();
    agree(&app.app().web.ctx, id, from, terms, "page")
        .await
        .unwrap();
}

async fn order(app: &TestApp, id: &str, lines: &[(&str, &str, i64)]) -> String {
    let all: Vec<Value> = lines
        .iter()
        .map(|(partner, name, won)| {
            json!({ "partner": partner, "name": name, "quantity": 1, "unit_price": won })
        })
        .collect();
    let body = json!({ "merchant_uid": id, "name": "장바구니", "lines": all });
    let (status, answer) = read(app.post("/api/orders", &body).await).await;
    assert_eq!(status, 201, "{answer}");
    app.paid(id, lines.iter().map(|(.., won)| won).sum()).await
}

/// Two partners, three sales, half of one given back; the day is over.
async fn a_day_of_two_partners() -> (TestApp, KstDay) {
    let app = TestApp::start().await;
    let day = KstDay::of(app.clock.now());
    order(
        &app,
        "ord-1",
        &[("farm", "<b>사과", 10_000), ("tea", FORMULA, 4_000)],
    )
    .await;
    let second = order(&app, "ord-2", &[("farm", "배", 10_000)]).await;
    assert_eq!(app.cancel(&second, Some(5_000)).await.status(), 200);
    app.drain().await;
    contract(&app, "farm", day).await;
    contract(&app, "tea", day).await;
    (app, day)
}

async fn settled() -> (TestApp, KstDay, i64) {
    let (app, day) = a_day_of_two_partners().await;
    app.clock.advance(Duration::from_secs(86_400));
    let (status, report) = read(app.post(&days(day), &json!({})).await).await;
    assert_eq!(status, 200, "{report}");
    let list = app.json("/api/settlements?partner=farm").await;
    let id = list["items"][0]["id"].as_i64().unwrap();
    (app, day, id)
}

fn days(day: KstDay) -> String {
    format!("/api/settlements/days/{day}")
}

async fn text(app: &TestApp, path: &str) -> String {
    let answer = app.get(path).await;
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{path}: {text}");
    text
}

async fn form(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> reqwest::Response {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    http.post(app.url(path))
        .bearer_auth(TOKEN)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(serde_urlencoded::to_string(fields).unwrap())
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_day_is_settled_by_the_api_once_it_is_over() {
    let (app, day) = a_day_of_two_partners().await;
    let (status, problem) = read(app.post(&days(day), &json!({})).await).await;
    assert_eq!(
        (status, &problem["type"]),
        (409, &json!("urn:jeongsan:problem:day-not-over"))
    );
    app.clock.advance(Duration::from_secs(86_400));
    let dry = format!("{}?dry_run=true", days(day));
    let (_, report) = read(app.post(&dry, &json!({})).await).await;
    assert_eq!(report["settled"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(app.json("/api/settlements").await["items"], json!([]));
    let (_, report) = read(app.post(&days(day), &json!({})).await).await;
    let nets: Vec<_> = report["settled"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["net"])
        .collect();
    assert_eq!(nets, [&json!(13_350), &json!(3_560)]);
    let (_, again) = read(app.post(&days(day), &json!({})).await).await;
    assert_eq!(
        (&again["settled"], &again["already"]),
        (&json!([]), &json!(2))
    );
    let stands = app.json(&days(day)).await;
    assert_eq!(stands["sums"]["sales"], 24_000);
    assert_eq!(stands["without_contract"], json!([]));
    let first = app.json("/api/settlements?limit=1").await;
    let next = first["next"].as_str().unwrap();
    let second = app
        .json(&format!("/api/settlements?limit=1&after={next}"))
        .await;
    assert_ne!(first["items"][0]["id"], second["items"][0]["id"]);
    assert_eq!(second["next"], Value::Null);
    let (status, problem) = read(app.get("/api/settlements?state=PAID").await).await;
    assert_eq!((status, &problem["parameter"]), (400, &json!("state")));
    let page = text(&app, &format!("/admin/settlements/days/{day}")).await;
    assert!(page.contains("정산 완료") && page.contains("₩13,350"));
    assert!(
        text(&app, "/admin/settlements")
            .await
            .contains("role=\"img\"")
    );
}

#[tokio::test]
async fn a_partner_without_a_contract_is_named_with_the_day_that_lacks_one() {
    let app = TestApp::start().await;
    let day = KstDay::of(app.clock.now());
    order(&app, "ord-1", &[("farm", "사과", 10_000)]).await;
    app.clock.advance(Duration::from_secs(86_400));
    let (_, report) = read(app.post(&days(day), &json!({})).await).await;
    assert_eq!(report["blocked"][0]["partner"], "farm");
    let stands = app.json(&days(day)).await;
    assert_eq!(stands["without_contract"][0]["agreed_since"], false);
    let page = text(&app, "/admin/settlements").await;
    assert!(page.contains("계약이 없어"));
    contract(&app, "farm", day).await;
    let path = format!("/admin/settlements/days/{day}");
    assert!(text(&app, &path).await.contains("이제 계약 있음"));
    let answer = form(&app, &format!("{path}/settle"), &[]).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert!(text(&app, &path).await.contains("정산 완료"));
    app.drain().await;
}

#[tokio::test]
async fn a_statement_ties_on_the_page_in_the_workbook_and_in_the_csv() {
    let (app, day, _) = settled().await;
    let query = format!("?from={day}&to={day}");
    let json = app.json(&format!("/api/statements/farm{query}")).await;
    let lines = json["lines"].as_array().unwrap();
    let sum: i64 = lines
        .iter()
        .map(|one| one["line"]["net"].as_i64().unwrap())
        .sum();
    assert_eq!((sum, lines.len()), (13_350, 3));
    assert_eq!(json["totals"]["earned"], 13_350);

    let page = text(&app, &format!("/admin/statements/farm{query}")).await;
    assert!(
        page.contains("₩13,350") && page.contains("&lt;b&gt;사과") && !page.contains("<b>사과")
    );
    let english = app
        .http
        .get(app.url(&format!("/admin/statements/farm{query}")))
        .bearer_auth(TOKEN)
        .header(header::COOKIE, "lang=en")
        .send()
        .await
        .unwrap();
    let english = english.text().await.unwrap();
    assert!(english.contains("Net of the lines") && english.contains("lang=\"en\""));

    let answer = app
        .get(&format!("/admin/statements/farm/statement.xlsx{query}"))
        .await;
    assert!(
        answer.headers()[header::CONTENT_DISPOSITION]
            .to_str()
            .unwrap()
            .contains("filename*=")
    );
    let bytes = answer.bytes().await.unwrap();
    let mut book = Xlsx::new(Cursor::new(bytes.to_vec())).unwrap();
    let column = |rows: &[Vec<Data>], name: &str| -> Vec<f64> {
        let header = rows
            .iter()
            .position(|row| row.iter().any(|cell| *cell == *name))
            .unwrap();
        let at = rows[header].iter().position(|cell| *cell == *name).unwrap();
        rows[header + 1..]
            .iter()
            .filter_map(|row| row[at].to_string().parse().ok())
            .collect()
    };
    let mut sheet_of = |name: &str| -> Vec<Vec<Data>> {
        let range = book.worksheet_range(name).unwrap();
        range.rows().map(<[Data]>::to_vec).collect()
    };
    let (summary, detail) = (sheet_of("요약"), sheet_of("항목"));
    let by_line = column(&detail, "정산금");
    assert_eq!(by_line.len(), 4, "three lines and their total");
    assert_eq!(by_line[..3].iter().sum::<f64>(), 13_350.0);
    assert_eq!(by_line[3], 13_350.0);
    assert_eq!(column(&summary, "정산금(항목 합계)"), [13_350.0, 13_350.0]);
    assert_eq!(column(&summary, "수수료"), [1_500.0, 1_500.0]);
    // Our own reader takes it as well.
    let wanted: &[&[&str]] = &[&["정산일"], &["정산금(항목 합계)"]];
    let table = sheet::read_with_header(&bytes, Some("a.xlsx"), wanted).unwrap();
    let at = (table.headers.iter().position(|name| name == wanted[1][0])).unwrap();
    let nets: Vec<&str> = table
        .rows
        .iter()
        .map(|row| row.cells[at].as_str())
        .collect();
    assert_eq!(nets, ["13350", "13350"]);

    let answer = app
        .get(&format!("/admin/statements/tea/statement.csv{query}"))
        .await;
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(&bytes[..3], b"\xef\xbb\xbf");
    let csv = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(
        !csv.contains(&format!(",{FORMULA}")) && csv.contains("cmd"),
        "{csv}"
    );
    let table = sheet::read(csv.as_bytes(), Some("a.csv")).unwrap();
    let at = table
        .headers
        .iter()
        .position(|name| name == "정산금")
        .unwrap();
    let nets: Vec<&str> = table
        .rows
        .iter()
        .map(|row| row.cells[at].as_str())
        .collect();
    assert_eq!(nets, ["3560", "3560"]);

    let (status, problem) = read(
        app.get("/api/statements/farm?from=2024-01-01&to=2026-01-01")
            .await,
    )
    .await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("urn:jeongsan:problem:statement-too-long"))
    );
    let long = app
        .get("/admin/statements/farm?from=2024-01-01&to=2026-01-01")
        .await;
    assert_eq!(long.status(), 422);
    assert!(long.text().await.unwrap().contains("기간을 줄여 주세요"));
    assert_eq!(app.get("/api/statements/nobody").await.status(), 404);
}

#[tokio::test]
async fn a_statement_comes_in_pages_of_lines() {
    let (app, day, _) = settled().await;
    let query = format!("/api/statements/farm?from={day}&to={day}");
    let mut after = String::new();
    let mut nets = Vec::new();
    for (lines, next) in [(2, true), (1, false)] {
        let page = app.json(&format!("{query}&limit=2{after}")).await;
        assert_eq!(page["totals"]["earned"], 13_350);
        assert_eq!(page["settlements"].as_array().unwrap().len(), 1);
        let of = page["lines"].as_array().unwrap();
        assert_eq!((of.len(), page["next"].is_string()), (lines, next));
        nets.extend(of.iter().map(|one| one["line"]["net"].as_i64().unwrap()));
        after = format!("&after={}", page["next"].as_str().unwrap_or_default());
    }
    assert_eq!(nets.iter().sum::<i64>(), 13_350);
    assert_eq!(
        app.json(&format!("{query}&limit=1000")).await["next"],
        Value::Null
    );
    for wrong in ["limit=1001", "limit=0", "after=x"] {
        assert_eq!(app.get(&format!("{query}&{wrong}")).await.status(), 400);
    }
}

#[tokio::test]
async fn a_day_tells_its_movements_before_while_and_after_it_is_settled() {
    let (app, day) = a_day_of_two_partners().await;
    assert_eq!(app.json(&days(day)).await["movements"], 4);
    app.clock.advance(Duration::from_secs(86_400));
    let (status, report) = read(app.post(&days(day), &json!({})).await).await;
    assert_eq!(status, 200, "{report}");
    assert_eq!(app.json(&days(day)).await["movements"], 4);
    let part = app
        .get(&format!("/admin/settlements/days/{day}/progress"))
        .await;
    assert_eq!(part.headers()["hx-refresh"], "true");
}

#[tokio::test]
async fn what_cannot_be_read_of_a_request_is_a_problem_in_the_callers_language() {
    let app = TestApp::start().await;
    let is_problem = |answer: &reqwest::Response| {
        let kind = answer.headers()[header::CONTENT_TYPE].to_str().unwrap();
        kind.starts_with("application/problem+json")
    };
    for path in [
        "/api/settlements?state=REQUESTED&state=FAILED",
        "/api/payouts?limit=1&limit=2",
        "/api/partners?limit=1&limit=2",
    ] {
        for (lang, words) in [("ko", "한 번씩만"), ("en", "write each field once")] {
            let ask = app.http.get(app.url(path)).bearer_auth(TOKEN);
            let ask = ask.header(header::ACCEPT_LANGUAGE, lang);
            let answer = ask.send().await.unwrap();
            assert!(is_problem(&answer), "{path}: {answer:?}");
            let (status, problem) = read(answer).await;
            assert_eq!(status, 400);
            assert!(
                problem["detail"].as_str().unwrap().contains(words),
                "{problem}"
            );
        }
    }
    let ask = app
        .http
        .post(app.url("/api/adjustments"))
        .bearer_auth(TOKEN);
    let ask = ask.header(header::ACCEPT_LANGUAGE, "ko");
    let answer = ask.body("x".repeat((1 << 20) + 1)).send().await.unwrap();
    assert!(is_problem(&answer), "{answer:?}");
    let (status, problem) = read(answer).await;
    assert_eq!(
        (status, &problem["type"]),
        (413, &json!("urn:jeongsan:problem:too-large"))
    );
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("1048576바이트"),
        "{problem}"
    );
    let large = "x".repeat(1 << 20);
    let answer = form(&app, "/admin/adjustments", &[("reason", large.as_str())]).await;
    assert_eq!(answer.status(), 413);
    assert!(answer.text().await.unwrap().contains("<html"));
}

#[tokio::test]
async fn a_line_shows_how_it_came_to_its_sum() {
    let (app, _, id) = settled().await;
    let page = text(&app, &format!("/admin/settlements/{id}")).await;
    assert!(page.contains("✓ 항목 3개를 다시 더한 합"), "{page}");
    let lines = app
        .json(&format!("/api/settlements/{id}/lines?limit=2"))
        .await;
    assert_eq!(
        (&lines["items"][0]["kind"], &lines["next"]),
        (&json!("ORDER"), &json!("2"))
    );
    let rest = app
        .json(&format!("/api/settlements/{id}/lines?after=2"))
        .await;
    assert_eq!(rest["items"][0]["kind"], "CANCEL");
    let page = text(&app, &format!("/admin/settlements/{id}/lines/1")).await;
    assert!(
        page.contains("수수료 = 10,000 × 10% = 1,000 (버림)"),
        "{page}"
    );
    assert!(!page.contains("<b>사과"));
    let page = text(&app, &format!("/admin/settlements/{id}/lines/3")).await;
    for part in [
        "5,000 × 10% = 500 (버림)",
        "후 − 전",
        "-₩4,450",
        "✓ 같은 규칙으로",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert_eq!(
        app.get(&format!("/admin/settlements/{id}/lines/9"))
            .await
            .status(),
        404
    );
    let imp_uid = lines["items"][0]["imp_uid"].as_str().unwrap();
    let page = text(&app, &format!("/payment/{imp_uid}")).await;
    assert!(page.contains(&format!("/admin/settlements/{id}/lines/1")));
}

#[tokio::test]
async fn a_held_settlement_is_not_due_until_it_is_released() {
    let (app, day, id) = settled().await;
    let due = || {
        let store = &app.app().web.ctx.store;
        store
            .read(|conn| settlements::due_sum(conn, day.plus_days(5)))
            .unwrap()
            .settlements
    };
    assert_eq!(due(), 2);
    let path = format!("/admin/settlements/{id}/hold");
    let asked = form(&app, &path, &[("reason", "계좌 <확인>")]).await;
    assert_eq!(asked.status(), 200);
    assert!(asked.text().await.unwrap().contains("계좌 &lt;확인&gt;"));
    assert_eq!(due(), 2, "asking holds nothing");
    let empty = form(&app, &path, &[("sure", "1"), ("reason", " ")]).await;
    assert_eq!(empty.status(), 422);
    let held = form(&app, &path, &[("sure", "1"), ("reason", "계좌 <확인>")]).await;
    assert_eq!(held.status(), StatusCode::SEE_OTHER);
    assert_eq!(due(), 1);
    let api = format!("/api/settlements/{id}");
    let body = json!({ "reason": "한 번 더" });
    let (status, problem) = read(app.post(&format!("{api}/hold"), &body).await).await;
    assert_eq!(
        (status, &problem["type"]),
        (409, &json!("urn:jeongsan:problem:settlement-held"))
    );
    let list = app.json("/api/settlements?held=1").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let (status, problem) = read(app.post(&format!("{}/reopen", days(day)), &body).await).await;
    assert_eq!((status, &problem["settlement"]), (409, &json!(id)));
    let (status, _) = read(app.post(&format!("{api}/release"), &body).await).await;
    assert_eq!((status, due()), (200, 2));
    let (status, _) = read(app.post(&format!("{api}/retry"), &body).await).await;
    assert_eq!(status, 409);
    let kinds: Vec<Value> = app.json(&api).await["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].clone())
        .collect();
    assert_eq!(kinds, ["released", "held", "requested"]);
    let (status, report) = read(app.post(&format!("{}/reopen", days(day)), &body).await).await;
    assert_eq!(
        (status, report["settled"].as_array().unwrap().len()),
        (200, 2)
    );
}

/// Name, file name if it is a file, content.
type Part<'a> = (&'a str, Option<&'a str>, &'a str);

async fn multipart(app: &TestApp, path: &str, parts: &[Part<'_>]) -> reqwest::Response {
    let mut body = String::new();
    for (name, file, content) in parts {
        let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
        body += &format!(
            "--frontier\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"
        );
    }
    body += "--frontier--\r\n";
    app.http
        .post(app.url(path))
        .bearer_auth(TOKEN)
        .header(
            header::CONTENT_TYPE,
            "multipart/form-data; boundary=frontier",
        )
        .body(body)
        .send()
        .await
        .unwrap()
}

async fn upload(app: &TestApp, path: &str, file: &str) -> (u16, Value) {
    read(multipart(app, path, &[("file", Some("조정.csv"), file)]).await).await
}

#[tokio::test]
async fn adjustments_out_of_a_file_are_all_booked_or_none_and_once() {
    let (app, day, _) = settled().await;
    let bad = "파트너사 ID,금액,사유\nfarm,0,x\nnobody,\"1,000\",보상\ntea,만원,\n";
    let (status, problem) = upload(&app, "/api/adjustments/import", bad).await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("urn:jeongsan:problem:invalid-import"))
    );
    let places: Vec<String> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| format!("{}{}", error["letter"].as_str().unwrap(), error["line"]))
        .collect();
    assert_eq!(places, ["B2", "A3", "B4", "C4"]);
    let good =
        format!("파트너사 ID,금액,사유\nfarm,\"△3,000\",\"{FORMULA}\"\ntea,500원,<i>보상</i>\n");
    let (status, dry) = upload(&app, "/api/adjustments/import?dry_run=true", &good).await;
    assert_eq!((status, &dry["total"]), (200, &json!(-2_500)));
    assert_eq!(app.json("/api/adjustments").await["items"], json!([]));
    let (status, _) = upload(&app, "/api/adjustments/import", &good).await;
    assert_eq!(status, 201);
    let (status, problem) = upload(&app, "/api/adjustments/import", &good).await;
    assert_eq!(
        (status, &problem["type"]),
        (409, &json!("urn:jeongsan:problem:already-imported"))
    );
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("이미 반영한 파일")
    );
    let list = app.json("/api/adjustments").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let page = text(&app, "/admin/adjustments").await;
    assert!(page.contains("-₩3,000") && !page.contains("<i>보상"));
    // It is a line of the next day's settlement.
    app.clock.advance(Duration::from_secs(86_400));
    let next = day.next();
    read(app.post(&days(next), &json!({})).await).await;
    let carried = app.json("/api/settlements?carried=1").await;
    assert_eq!(carried["items"][0]["net"], -3_000);
    let page = text(&app, "/admin/settlements").await;
    assert!(page.contains("이월 대기") && page.contains("-₩3,000"));
}

#[tokio::test]
async fn a_file_on_the_page_is_looked_at_before_it_is_booked() {
    let (app, ..) = settled().await;
    let path = "/admin/adjustments/import";
    let file = "partner_id,amount,reason\nfarm,-700,배송비\n";
    let (status, page) = upload(&app, path, file).await;
    let page = page.as_str().unwrap();
    assert!(
        status == 200 && page.contains("아직 반영하지 않았습니다"),
        "{page}"
    );
    let value = |name: &str| {
        let (_, rest) = page
            .split_once(&format!("name=\"{name}\" value=\""))
            .unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let (seen, kept) = (value("seen"), value("kept"));
    let unseen = [("seen", None, "00"), ("kept", None, kept.as_str())];
    let other = multipart(&app, path, &unseen).await;
    assert!(
        other
            .text()
            .await
            .unwrap()
            .contains("아직 반영하지 않았습니다")
    );
    let parts = [("seen", None, seen.as_str()), ("kept", None, kept.as_str())];
    let booked = multipart(&app, path, &parts).await;
    assert!(booked.text().await.unwrap().contains("조정 1건"));
    let twice = multipart(&app, path, &parts).await;
    assert_eq!(twice.status(), 409);
    let (status, page) = upload(&app, path, "partner_id,amount,reason\nx,1,y\n").await;
    assert_eq!(status, 422);
    assert!(page.as_str().unwrap().contains("2행 A열(partner_id)"));
}

#[tokio::test]
async fn an_adjustment_by_hand_is_asked_about_and_booked_once() {
    let (app, ..) = settled().await;
    let path = "/admin/adjustments";
    let mut fields = vec![
        ("partner", "farm"),
        ("amount", "-5,000"),
        ("reason", "배송비"),
        ("key", "k-1"),
    ];
    let asked = form(&app, path, &fields).await.text().await.unwrap();
    assert!(asked.contains("다음 정산에서 −5,000원"), "{asked}");
    fields.push(("sure", "1"));
    for did in ["booked", "same"] {
        let answer = form(&app, path, &fields).await;
        let to = answer.headers()[header::LOCATION].to_str().unwrap();
        assert!(to.ends_with(did), "{to}");
    }
    fields[1].1 = "x";
    let wrong = form(&app, path, &fields).await;
    assert_eq!(wrong.status(), 422);
    assert!(wrong.text().await.unwrap().contains("value=\"배송비\""));
    let body = json!({ "partner": "farm", "amount": 300, "reason": "보상" });
    assert_eq!(app.post("/api/adjustments", &body).await.status(), 201);
    let body = json!({ "partner": "farm", "amount": 0, "reason": "보상" });
    let (status, problem) = read(app.post("/api/adjustments", &body).await).await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("urn:jeongsan:problem:adjustment-amount"))
    );
    assert_eq!(
        app.json("/api/adjustments").await["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_does_the_same_beside_the_server() {
    let (app, day, id) = settled().await;
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_jeongsan"))
            .args(args)
            .env_clear()
            .env("JEONGSAN_DATA_DIR", app.dir())
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or(-1), out, err)
    };
    let (id, date) = (id.to_string(), day.to_string());
    let (code, out, err) = run(&["settlements", "list", "--json"]);
    assert_eq!(code, 0, "{err}");
    let list: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    assert!(run(&["settlements", "show", &id]).1.contains("13,350"));
    assert_eq!(run(&["settlements", "show", "999"]).0, 2);
    assert_eq!(run(&["settlements", "hold", &id, "--reason", "확인"]).0, 0);
    let (code, _, err) = run(&["settle", "reopen", "--date", &date, "--reason", "x"]);
    assert!(code == 2 && err.contains("held"), "{err}");
    assert_eq!(
        run(&["settlements", "release", &id, "--reason", "확인"]).0,
        0
    );
    assert_eq!(run(&["settlements", "retry", &id, "--reason", "확인"]).0, 2);
    let (_, out, _) = run(&["settle", "--date", &date, "--dry-run"]);
    assert!(
        out.contains("0 partners would be settled") && out.contains("2 were settled before"),
        "{out}"
    );
    let args = ["statement", "farm", "--from", &date, "--to", &date];
    assert!(run(&args).1.contains("13,350"));
    let file = app.dir().join("a.xlsx");
    let at = file.display().to_string();
    let (code, out, _) = run(&[&args[..], &["--format", "xlsx", "--out", &at]].concat());
    assert!(code == 0 && out.contains("13,350"), "{out}");
    assert!(std::fs::read(&file).unwrap().starts_with(b"PK"));
    assert_eq!(
        run(&["adjustments", "add", "farm", "-500", "--reason", "배송비"]).0,
        0
    );
    let csv = app.dir().join("b.csv");
    let at = csv.display().to_string();
    std::fs::write(&csv, "partner_id,amount,reason\nfarm,x,y\n").unwrap();
    let (code, _, err) = run(&["adjustments", "import", &at]);
    assert!(
        code == 1 && err.contains("row 2, column B (amount)"),
        "{err}"
    );
    std::fs::write(&csv, "partner_id,amount,reason\nfarm,1000,보상\n").unwrap();
    assert_eq!(run(&["adjustments", "import", &at, "--dry-run"]).0, 0);
    assert_eq!(run(&["adjustments", "import", &at]).0, 0);
    let (code, _, err) = run(&["adjustments", "import", &at]);
    assert!(code == 2 && err.contains("imported already"), "{err}");
    let (_, out, _) = run(&["adjustments", "list", "--partner", "farm"]);
    assert!(out.contains("-500") && out.contains("1,000"), "{out}");
}

#[tokio::test]
async fn the_page_begins_a_long_statement_and_shows_all_of_it_for_printing() {
    let app = TestApp::start().await;
    let day = KstDay::of(app.clock.now());
    let lines = [("farm", "사과", 1_000); 60];
    order(&app, "ord-1", &lines).await;
    order(&app, "ord-2", &lines).await;
    app.drain().await;
    contract(&app, "farm", day).await;
    app.clock.advance(Duration::from_secs(86_400));
    let (status, report) = read(app.post(&days(day), &json!({})).await).await;
    assert_eq!(status, 200, "{report}");
    let path = format!("/admin/statements/farm?from={day}&to={day}");
    let rows = |page: &str| page.matches("<td>결제</td>").count();
    let first = text(&app, &path).await;
    assert_eq!(rows(&first), 50);
    assert!(first.contains("all=1") && first.contains("항목 120개의 합계"));
    let all = text(&app, &format!("{path}&all=1")).await;
    assert_eq!(rows(&all), 120);
    assert!(!all.contains("모든 항목 보기"));
    for page in [&first, &all] {
        assert!(page.contains("항목 120개를 다시 더해 맞췄습니다") && page.contains("₩106,800"));
    }
    // A settlement that its lines do not come to is not handed out, whether the line is shown or not.
    let conn = rusqlite::Connection::open(app.database()).unwrap();
    let last = "(select max(seq) from settlement_line)";
    let change = |by: i64| {
        format!("update settlement_line set fee = fee + {by}, net = net - {by} where seq = {last}")
    };
    conn.execute_batch(&change(1)).unwrap();
    for path in [path.clone(), format!("{path}&all=1")] {
        assert_eq!(app.get(&path).await.status(), 500, "{path}");
    }
    conn.execute_batch(&change(-1)).unwrap();
}
