//! Partners and contracts: by page, by API, by file; what is agreed, what stays, what is refused.

use jeongsan::{domain::calendar::KstDay, flow::settle_day::settle_day};
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{TOKEN, TestApp, read};

fn farm(id: &str) -> Value {
    json!({
        "id": id, "name": "햇살농장", "type": "BUSINESS_GENERAL", "business_number": "220-81-62517",
        "account": { "bank": "004", "number": "00400012345", "holder": "햇살농장" }, "status": "APPROVED",
    })
}

fn terms(fee: i64) -> Value {
    json!({
        "fee": { "rate": fee },
        "cycle": { "lag_days": 2, "method": { "kind": "MONTHLY", "days": [31] }, "holiday": "BEFORE" },
    })
}

async fn form(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> Response {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    http.post(app.url(path))
        .bearer_auth(TOKEN)
        .form(fields)
        .send()
        .await
        .unwrap()
}

async fn import(app: &TestApp, query: &str, file: &[u8]) -> (u16, Value) {
    let answer = app
        .http
        .post(app.url(&format!("/api/partners/import{query}")))
        .bearer_auth(TOKEN)
        .body(file.to_vec())
        .send()
        .await
        .unwrap();
    read(answer).await
}

fn partners(app: &TestApp) -> i64 {
    app.sql("select count(*) from partner")
}

fn today(app: &TestApp) -> KstDay {
    KstDay::of(app.clock.now())
}

/// A partner with a contract from today, one sale, and the day settled.
async fn settled(app: &TestApp) -> (KstDay, i64) {
    let day = today(app);
    assert_eq!(
        app.post("/api/partners", &farm("farm-1")).await.status(),
        201
    );
    let contract = json!({ "from": day, "terms": terms(10_000) });
    let (status, version) = read(app.post("/api/partners/farm-1/contracts", &contract).await).await;
    assert_eq!(status, 201, "{version}");
    let order = json!({ "merchant_uid": "ord-1", "lines": [
        { "partner": "farm-1", "name": "사과", "quantity": 1, "unit_price": 10_000 }] });
    assert_eq!(app.post("/api/orders", &order).await.status(), 201);
    app.paid("ord-1", 10_000).await;
    app.drain().await;
    app.clock.advance(std::time::Duration::from_secs(86_400));
    let report = settle_day(&app.app().web.ctx, day, "api").await.unwrap();
    assert_eq!(report.settled.len(), 1, "{report:?}");
    (day, version["id"].as_i64().unwrap())
}

#[tokio::test]
async fn a_partner_and_its_contract_are_agreed_on_over_the_pages() {
    let app = TestApp::start().await;
    let wrong = [
        ("id", "farm-1"),
        ("name", "<script>alert(1)</script>"),
        ("type", "BUSINESS_GENERAL"),
        ("business_number", "220-81-62518"),
        ("status", "APPROVED"),
    ];
    let answer = form(&app, "/admin/partners/new", &wrong).await;
    assert_eq!(answer.status(), 422);
    let page = answer.text().await.unwrap();
    assert!(page.contains("마지막 숫자가 나머지와 맞지 않으니") && page.contains("220-81-62518"));
    assert!(!page.contains("<script>alert"));

    let mut right = wrong;
    right[3].1 = "220-81-62517";
    let answer = form(&app, "/admin/partners/new", &right).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(
        answer.headers()["location"],
        "/admin/partners/farm-1?did=added"
    );
    // Twice is refused, and says why.
    let again = form(&app, "/admin/partners/new", &right).await;
    assert_eq!(again.status(), 409);
    assert!(again.text().await.unwrap().contains("이미 있습니다"));

    let list = app
        .get("/admin/partners?incomplete=1&q=FARM")
        .await
        .text()
        .await
        .unwrap();
    assert!(list.contains("빠진 것: 계좌, 계약") && !list.contains("<script>alert"));

    let path = "/admin/partners/farm-1/contract";
    assert!(
        app.get(path)
            .await
            .text()
            .await
            .unwrap()
            .contains("name=\"fee_kind\"")
    );
    let day = today(&app).to_string();
    let typed = |do_: &'static str| {
        vec![
            ("do", do_.to_owned()),
            ("from", day.clone()),
            ("fee_kind", "rate".into()),
            ("fee", "3.3".into()),
            ("fee_vat", "PARTNER".into()),
            ("method", "WEEKLY".into()),
            ("weekly_MON", "on".into()),
            ("weekly_THU", "on".into()),
            ("lag_days", "1".into()),
            ("holiday", "AFTER".into()),
            ("additional_0_name", "PG".into()),
            ("additional_0_kind", "fixed".into()),
            ("additional_0_fee", "300".into()),
        ]
    };
    let send = async |fields: Vec<(&str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        form(&app, path, &fields).await
    };
    let row = send(typed("row")).await.text().await.unwrap();
    assert!(row.contains("additional_5_name") && row.contains("value=\"3.3\""));
    let mut wrong = typed("preview");
    wrong[3].1 = "130".into();
    let refused = send(wrong).await;
    assert_eq!(refused.status(), 422);
    assert!(refused.text().await.unwrap().contains("비율이 아닙니다"));
    let preview = send(typed("preview")).await.text().await.unwrap();
    for part in [
        "10,000 × 3.3% (버림)",
        "매주 월·목요일",
        "₩9,307",
        "부터 적용하기",
    ] {
        assert!(preview.contains(part), "{part} in {preview}");
    }
    assert_eq!(
        app.sql::<i64>("select count(*) from contract_version where partner_id = 'farm-1'"),
        0
    );
    let agreed = send(typed("agree")).await;
    assert_eq!(agreed.status(), 303);
    let one = app
        .get("/admin/partners/farm-1")
        .await
        .text()
        .await
        .unwrap();
    for part in [
        "지금 적용 중",
        "3.3%",
        "매주 월·목요일",
        "PG",
        "빠진 것: 계좌",
    ] {
        assert!(one.contains(part), "{part} in {one}");
    }
    assert!(!one.contains("<script>alert"));

    // Taking it back asks first.
    let id: i64 = app.sql("select id from contract_version where partner_id = 'farm-1'");
    let withdraw = format!("/admin/contracts/{id}/withdraw");
    assert!(
        form(&app, &withdraw, &[])
            .await
            .text()
            .await
            .unwrap()
            .contains("취소할까요")
    );
    assert_eq!(form(&app, &withdraw, &[("sure", "1")]).await.status(), 303);
    assert_eq!(
        app.sql::<i64>("select count(*) from contract_version where partner_id = 'farm-1'"),
        0
    );
    // And the shop's own partner, which the start makes, has a page in English too.
    let other = app
        .http
        .get(app.url("/admin/partners/default"))
        .bearer_auth(TOKEN)
        .header("accept-language", "en");
    let other = other.send().await.unwrap();
    assert!(other.status() == 200 || other.status() == 404);
}

#[tokio::test]
async fn the_api_says_which_field_is_wrong_and_the_same_again_changes_nothing() {
    let app = TestApp::start().await;
    let mut wrong = farm("farm-1");
    wrong["business_number"] = json!("1234567890");
    wrong["account"]["number"] = json!("12");
    let (status, problem) = read(app.post("/api/partners", &wrong).await).await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("urn:jeongsan:problem:invalid-partner"))
    );
    let fields: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["business_number", "account_number"]);

    let (status, added) = read(app.post("/api/partners", &farm("farm-1")).await).await;
    assert_eq!((status, &added["lacks"]), (201, &json!(["CONTRACT"])));
    let (status, problem) = read(app.post("/api/partners", &farm("farm-1")).await).await;
    assert_eq!(
        (status, &problem["type"]),
        (409, &json!("urn:jeongsan:problem:partner-exists"))
    );

    let put = async |id: &str, body: &Value| {
        let answer = app
            .http
            .put(app.url(&format!("/api/partners/{id}")))
            .bearer_auth(TOKEN)
            .json(body)
            .send()
            .await;
        read(answer.unwrap()).await
    };
    // What is read can be written again as it is.
    let happened =
        || app.sql::<i64>("select count(*) from history where subject = 'partner:farm-1'");
    let before = happened();
    let (status, same) = put("farm-1", &app.json("/api/partners/farm-1").await).await;
    assert_eq!((status, happened()), (200, before), "{same}");
    let mut changed = farm("farm-1");
    changed["name"] = json!("달빛농장");
    assert_eq!(put("farm-1", &changed).await.1["name"], "달빛농장");
    assert_eq!(put("farm-2", &changed).await.0, 422);
    changed["id"] = json!("farm-2");
    assert_eq!(put("farm-2", &changed).await.0, 201);

    // By name, page by page, each once.
    for n in 0..7 {
        assert_eq!(
            put(
                &format!("p-{n}"),
                &json!({ "name": format!("가게 {}", n % 3), "type": "INDIVIDUAL" })
            )
            .await
            .0,
            201
        );
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = app
            .json(&format!("/api/partners?limit=4&after={after}"))
            .await;
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| (p["name"].to_string(), p["id"].to_string())),
        );
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(seen, sorted);
    assert_eq!(seen.len() as i64, partners(&app));
    assert_eq!(app.get("/api/partners?after=nobody").await.status(), 400);
    assert_eq!(app.get("/api/partners?limit=0").await.status(), 400);
    assert_eq!(app.get("/api/partners/nobody/account").await.status(), 404);

    // Archived: out of the list, back again.
    assert_eq!(
        app.post("/api/partners/p-1/archive", &json!({}))
            .await
            .status(),
        200
    );
    assert_eq!(
        app.json("/api/partners?archived=1").await["items"][0]["id"],
        "p-1"
    );
    let (status, problem) = read(
        app.post(
            "/api/partners/p-1/contracts",
            &json!({ "from": today(&app), "terms": terms(0) }),
        )
        .await,
    )
    .await;
    assert_eq!(
        (status, &problem["type"]),
        (409, &json!("urn:jeongsan:problem:partner-archived"))
    );
    assert_eq!(
        app.post("/api/partners/p-1/recover", &json!({}))
            .await
            .status(),
        200
    );
    assert_eq!(
        app.json("/api/partners?archived=1").await["items"],
        json!([])
    );
}

#[tokio::test]
async fn what_settled_something_stays_and_one_change_may_be_scheduled() {
    let app = TestApp::start().await;
    let (day, version) = settled(&app).await;
    let path = "/api/partners/farm-1/contracts";
    let (status, problem) = read(
        app.post(path, &json!({ "from": day, "terms": terms(5_000) }))
            .await,
    )
    .await;
    assert_eq!(
        (status, &problem["type"]),
        (409, &json!("urn:jeongsan:problem:contract-settled"))
    );
    assert_eq!(problem["next"], json!(day.next()));
    let delete = async |id: i64| {
        let answer = app
            .http
            .delete(app.url(&format!("/api/contracts/{id}")))
            .bearer_auth(TOKEN)
            .send()
            .await;
        read(answer.unwrap()).await
    };
    assert_eq!(
        delete(version).await.1["type"],
        "urn:jeongsan:problem:contract-settled"
    );
    let page = form(
        &app,
        &format!("/admin/contracts/{version}/withdraw"),
        &[("sure", "1")],
    )
    .await;
    assert_eq!(page.status(), 409);
    assert!(page.text().await.unwrap().contains("정산했습니다"));
    // The same again is no change, also where it has settled something.
    let same = read(
        app.post(path, &json!({ "from": day, "terms": terms(10_000) }))
            .await,
    )
    .await;
    assert_eq!((same.0, same.1["id"].as_i64()), (201, Some(version)));

    let first = today(&app).plus_days(10);
    assert_eq!(
        app.post(path, &json!({ "from": first, "terms": terms(5_000) }))
            .await
            .status(),
        201
    );
    let second = json!({ "from": first.plus_days(1), "terms": terms(4_000) });
    let (status, problem) = read(app.post(path, &second).await).await;
    assert_eq!((status, &problem["scheduled"]), (409, &json!(first)));
    assert_eq!(problem["type"], "urn:jeongsan:problem:contract-scheduled");
    let versions = app.json(path).await;
    let standing: Vec<_> = versions["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["standing"].as_str().unwrap())
        .collect();
    assert_eq!(standing, ["SCHEDULED", "HOLDING"]);
    assert_eq!(
        delete(versions["items"][0]["id"].as_i64().unwrap()).await.0,
        204
    );
    assert_eq!(app.post(path, &second).await.status(), 201);
    let (status, problem) = read(
        app.post(path, &json!({ "from": "soon", "terms": { "fee": 3 } }))
            .await,
    )
    .await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("urn:jeongsan:problem:invalid-contract"))
    );

    // Money is open: the partner stays.
    let account = app.json("/api/partners/farm-1/account").await;
    assert_eq!(account["open"], 8_900);
    let (status, problem) = read(app.post("/api/partners/farm-1/archive", &json!({})).await).await;
    assert_eq!(
        (status, &problem["type"]),
        (409, &json!("urn:jeongsan:problem:partner-open"))
    );
    let page = form(&app, "/admin/partners/farm-1/archive", &[]).await;
    assert_eq!(page.status(), 409);
    assert!(page.text().await.unwrap().contains("8,900원"));
    let one = app
        .get("/admin/partners/farm-1")
        .await
        .text()
        .await
        .unwrap();
    assert!(
        one.contains("/admin/settlements/")
            && one.contains("₩8,900")
            && one.contains("예약된 변경")
    );
}

const GOOD: &str = "\
파트너 ID,상호/이름,유형,사업자등록번호,은행,계좌번호,예금주,전화,상태,태그,계약 시작일,수수료,수수료 부가세,정산 주기,보류일,휴일,최소 지급액
farm-1,햇살농장,사업자(일반과세),220-81-62517,국민,004-0001-2345,햇살농장,010-1234-5678,승인,\"과일,직송\",DAY,3.3%,파트너,\"매월:10,말일\",2,전영업일,\"10,000\"
maker-2,\"'=1+1\",개인(원천징수 대상),,088,110-123-456789,이영희,,,,DAY,500원,플랫폼,\"매주:월,목\",,후영업일,
own-3,<b>셋째</b>,개인(원천징수 비대상),,,,,,,,,,,,,,
";

#[tokio::test]
async fn a_file_is_taken_whole_or_not_at_all_and_twice_is_no_change() {
    let app = TestApp::start().await;
    let before = partners(&app);
    let good = GOOD.replace("DAY", &today(&app).to_string());

    // What is wrong is said at once, by row and column, and nothing is written.
    let wrong = good
        .replace("220-81-62517", "220-81-62518")
        .replace("500원", "500")
        .replace("own-3", "farm-1")
        .replace("004-0001-2345", "12");
    let (status, problem) = import(&app, "", wrong.as_bytes()).await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("urn:jeongsan:problem:invalid-import"))
    );
    let places: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| format!("{}{}", e["letter"].as_str().unwrap(), e["line"]))
        .collect();
    assert_eq!(places, ["D2", "F2", "L3", "A4"]);
    assert_eq!(partners(&app), before);
    assert_eq!(import(&app, "", b"name\nx\n").await.0, 422);
    assert_eq!(import(&app, "", b"partner_id,name\n").await.0, 422);

    let (status, plan) = import(&app, "?dry_run=true", good.as_bytes()).await;
    assert_eq!(
        (status, plan["added"].as_i64(), plan["contracts"].as_i64()),
        (200, Some(3), Some(2)),
        "{plan}"
    );
    assert_eq!(partners(&app), before);

    let (status, plan) = import(&app, "", good.as_bytes()).await;
    assert_eq!((status, &plan["dry_run"]), (200, &json!(false)));
    assert_eq!(partners(&app), before + 3);
    let farm = app.json("/api/partners/farm-1").await;
    assert_eq!(
        (&farm["lacks"], &farm["tags"]),
        (&json!([]), &json!(["과일", "직송"]))
    );
    assert_eq!(farm["contract"]["terms"]["min_payout"], 10_000);

    let happened = || app.sql::<i64>("select count(*) from history");
    let before = happened();
    let (_, plan) = import(&app, "", good.as_bytes()).await;
    assert_eq!(
        (plan["unchanged"].as_i64(), plan["contracts"].as_i64()),
        (Some(3), Some(0))
    );
    assert_eq!(happened(), before);

    // One column changes one field; what the file does not name stays.
    let (_, plan) = import(&app, "?dry_run=1", "id,메모\nfarm-1,새 메모\n".as_bytes()).await;
    let changes = &plan["items"][0]["changes"];
    assert_eq!(
        changes,
        &json!([{ "field": "memo", "from": "", "to": "새 메모" }])
    );

    // What is exported comes in again as no change, and a name is no formula.
    for path in ["/admin/partners/export.csv", "/admin/partners/export.xlsx"] {
        let file = app.get(path).await.bytes().await.unwrap();
        if path.ends_with("csv") {
            assert!(String::from_utf8_lossy(&file).contains(",'=1+1,"));
        }
        let (status, plan) = import(&app, "", &file).await;
        assert_eq!(status, 200, "{path}: {plan}");
        let kept = (plan["unchanged"].as_i64(), plan["contracts"].as_i64());
        assert_eq!(kept, (Some(partners(&app)), Some(0)), "{path}: {plan}");
    }
    for path in [
        "/admin/partners/import/template.csv",
        "/admin/partners/import/template.xlsx",
    ] {
        let file = app.get(path).await.bytes().await.unwrap();
        let (status, plan) = import(&app, "?dry_run=1", &file).await;
        assert_eq!(status, 200, "{path}: {plan}");
    }
}

/// What a page's form would send along.
fn hidden(page: &str, name: &str) -> String {
    let from = page
        .split(&format!("name=\"{name}\" value=\""))
        .nth(1)
        .unwrap();
    let value = from.split('"').next().unwrap();
    value
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[tokio::test]
async fn a_page_shows_what_a_file_would_do_and_does_it_when_it_is_confirmed() {
    let app = TestApp::start().await;
    let before = partners(&app);
    let good = GOOD.replace("DAY", &today(&app).to_string());
    // Parts: name, and content; the file's has a name of its own.
    let send = async |parts: Vec<(&str, String)>| {
        let mut body = String::new();
        for (name, content) in parts {
            let file = if name == "file" {
                "; filename=\"partners.csv\""
            } else {
                ""
            };
            body += &format!(
                "--cut\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"
            );
        }
        body += "--cut--\r\n";
        let answer = app
            .http
            .post(app.url("/admin/partners/import"))
            .bearer_auth(TOKEN)
            .header("content-type", "multipart/form-data; boundary=cut")
            .body(body)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let file = |text: &str| vec![("file", text.to_owned())];
    let (status, page) = send(file(&good.replace("국민", "국밥"))).await;
    assert_eq!(status, 422);
    assert!(page.contains("2행 E열(은행)") && page.contains("아무것도 저장하지 않았습니다"));
    let (status, page) = send(Vec::new()).await;
    assert!(
        status == 400 && page.contains("파일을 골라 주세요"),
        "{status} {page}"
    );

    let (status, page) = send(file(&good)).await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("3행 저장하기") && !page.contains("<b>셋째"));
    assert_eq!(partners(&app), before);
    let confirm = |page: &str| {
        ["seen", "carried"]
            .map(|name| (name, hidden(page, name)))
            .to_vec()
    };

    // Somebody else was faster: it is shown anew.
    let mut other = farm("farm-1");
    other["name"] = json!("딴이름");
    assert_eq!(app.post("/api/partners", &other).await.status(), 201);
    let (status, anew) = send(confirm(&page)).await;
    assert!(
        status == 409 && anew.contains("장부가 바뀌었습니다") && anew.contains("딴이름"),
        "{anew}"
    );
    assert_eq!(partners(&app), before + 1);
    let (status, done) = send(confirm(&anew)).await;
    assert_eq!(status, 200);
    assert!(done.contains("추가 2곳, 변경 1곳"), "{done}");
    assert_eq!(partners(&app), before + 3);
    let (_, page) = send(file(&good)).await;
    assert!(page.contains("저장할 것이 없습니다"));
    let last = app
        .get("/admin/partners/import")
        .await
        .text()
        .await
        .unwrap();
    assert!(last.contains("지난 가져오기: 3행 완료"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_leaves_room_for_others() {
    let app = TestApp::start().await;
    let mut file = String::from("partner_id,name,type,status,계약 시작일,수수료,정산 주기,휴일\n");
    let day = today(&app);
    for n in 0..2_500 {
        file += &format!("p-{n},가게 {n},INDIVIDUAL,승인,{day},10%,매일,후영업일\n");
    }
    let before = partners(&app);
    let ctx = app.app().web.ctx.clone();
    let watch = tokio::spawn(async move {
        let mut longest = std::time::Duration::ZERO;
        for _ in 0..200 {
            let start = std::time::Instant::now();
            let _ = ctx
                .store
                .write(|tx| Ok::<_, jeongsan::store::StoreError>(tx.now_ms()))
                .await;
            longest = longest.max(start.elapsed());
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        longest
    });
    let start = std::time::Instant::now();
    let (status, plan) = import(&app, "", file.as_bytes()).await;
    let took = start.elapsed();
    assert_eq!((status, plan["added"].as_i64()), (200, Some(2_500)));
    assert_eq!(partners(&app), before + 2_500);
    assert_eq!(
        app.sql::<i64>("select done from progress where name = 'import:partners'"),
        2_500
    );
    println!(
        "2,500 rows took {took:?}; others waited {:?} at most",
        watch.await.unwrap()
    );
    let (_, plan) = import(&app, "", file.as_bytes()).await;
    assert_eq!(plan["unchanged"].as_i64(), Some(2_500));
}
