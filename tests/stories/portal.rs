//! A partner's own pages: what is its own is all there, and nothing else is, by whatever address.

use std::{io::Cursor, time::Duration};

use calamine::{Reader, Xlsx};

use jeongsan::{
    domain::{
        account::Role,
        calendar::KstDay,
        contract::{Fee, Terms},
        cycle::{Cycle, HolidayPolicy, Method},
        ids::PartnerId,
        partner::Partner,
    },
    flow::{
        agree_contract::agree,
        hold_settlement::hold,
        save_partner::{Save, save_partner},
    },
};
use serde_json::json;

use crate::{
    people::{self, PASSWORD, Visitor},
    support::{TestApp, read},
};

/// One of a partner's people, signed in.
async fn person_of(app: &TestApp, name: &str, partner: &str) -> Visitor {
    let store = &app.app().web.ctx.store;
    people::add(store, name, Role::Partner, Some(partner)).await;
    let mut visitor = Visitor::new(&app.url(""));
    let answer = visitor.sign_in(name, PASSWORD, "/partner").await;
    assert_eq!(answer.headers()["location"], "/partner");
    visitor
}

/// Two partners with three days of sales each, settled.
async fn two_partners() -> (TestApp, KstDay) {
    let app = TestApp::start().await;
    let ctx = &app.app().web.ctx;
    let first = KstDay::of(app.clock.now());
    for (id, name, account) in [
        ("farm", "햇살농장", "0012301000001"),
        ("tea", "차밭", "0012301000002"),
    ] {
        let draft = json!({
            "id": id, "name": name, "type": "INDIVIDUAL", "status": "APPROVED",
            "account": { "bank": "004", "number": account, "holder": "홍길동" },
        });
        let partner: Partner = serde_json::from_value(draft).unwrap();
        save_partner(ctx, partner, Save::Put, "api").await.unwrap();
        let cycle = Cycle::new(1, Method::Daily, HolidayPolicy::CalendarDay).unwrap();
        let terms = Terms::plain(Fee::Rate("10".parse().unwrap()), cycle);
        let id = PartnerId::new(id).unwrap();
        agree(ctx, id, first, terms, "api").await.unwrap();
    }
    for n in 0..3 {
        for (partner, name, won) in [("farm", "사과", 10_000), ("tea", "세작", 7_000)] {
            let order = format!("{partner}-{n}");
            let line =
                json!({ "partner": partner, "name": name, "quantity": 1, "unit_price": won });
            let body = json!({ "merchant_uid": order, "lines": [line] });
            let (status, value) = read(app.post("/api/orders", &body).await).await;
            assert_eq!(status, 201, "{value}");
            app.paid(&order, won).await;
        }
        app.drain().await;
        let day = KstDay::of(app.clock.now());
        app.clock.advance(Duration::from_secs(86_400));
        let path = format!("/api/settlements/days/{day}");
        assert_eq!(app.post(&path, &json!({})).await.status(), 200);
    }
    (app, first)
}

fn ids(app: &TestApp, partner: &str) -> Vec<i64> {
    let all: String = app.sql(&format!(
        "select group_concat(id) from settlement where partner_id = '{partner}'"
    ));
    all.split(',').map(|id| id.parse().unwrap()).collect()
}

fn month(day: KstDay) -> String {
    format!("{}-{:02}", day.year(), day.month())
}

#[tokio::test]
async fn a_partner_sees_its_own_settlements_down_to_the_formula() {
    let (app, day) = two_partners().await;
    let own = ids(&app, "farm");
    let ctx = &app.app().web.ctx;
    hold(ctx, own[2], "계좌 확인 중".into(), "@minji")
        .await
        .unwrap();
    let farm = person_of(&app, "farmer", "farm").await;
    let (status, page) = farm.text(&format!("/partner?month={}", month(day))).await;
    assert_eq!(status, 200, "{page}");
    for part in ["햇살농장", "지급 예정", "₩8,900", "계좌 확인 중", "보류"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("차밭") && !page.contains("세작"));
    for other in ["/admin/", "/payment/mypage", "href=\"/payment\""] {
        assert!(!page.contains(other), "{other} is not theirs");
    }
    let path = format!("/partner/settlements/{}", own[2]);
    let (status, page) = farm.text(&path).await;
    assert_eq!(status, 200, "{page}");
    for part in [
        "✓ 항목 1개를 다시 더한 합",
        "주문 금액 × 10%",
        "계좌 확인 중",
        "사과",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("/admin/") && !page.contains("<form method=\"post\" action=\"/partner"));
    assert!(
        !page.contains("@minji"),
        "who of the shop it was is the shop's business"
    );
    let line = page.split(&format!("{path}/lines/")).nth(1).unwrap();
    let seq = line.split('"').next().unwrap();
    let (status, page) = farm.text(&format!("{path}/lines/{seq}")).await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("수수료 = 10,000 × 10% = 1,000 (버림)") && !page.contains("/admin/"));
    for personal in ["홍길동", "010-", "@example.com"] {
        assert!(!page.contains(personal), "{personal}: no buyer's data");
    }
    let (_, english) = {
        let mut farm = farm.clone();
        farm.cookies.push(("lang".into(), "en".into()));
        farm.text("/partner").await
    };
    assert!(english.contains("My settlements"), "{english}");
}

#[tokio::test]
async fn a_statement_is_the_partners_own_whatever_the_address_says() {
    let (app, day) = two_partners().await;
    let farm = person_of(&app, "farmer", "farm").await;
    let query = format!("month={}", month(day));
    let (status, page) = farm.text(&format!("/partner/statements?{query}")).await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("햇살농장") && page.contains("/partner/statements/statement.xlsx"));
    assert!(!page.contains("/admin/") && !page.contains("차밭"));
    let csv = format!("/partner/statements/statement.csv?{query}");
    let (status, own) = farm.text(&csv).await;
    assert_eq!(status, 200);
    assert!(own.contains("사과") && !own.contains("세작"));
    for more in [
        "&partner=tea",
        "&id=tea",
        "&partner_id=tea",
        "&partner=farm&partner_=tea",
    ] {
        let (_, same) = farm.text(&format!("{csv}{more}")).await;
        assert_eq!(same, own, "{more}");
        let (_, page) = farm
            .text(&format!("/partner/statements?{query}{more}"))
            .await;
        assert!(!page.contains("차밭") && !page.contains("세작"), "{more}");
        let (_, page) = farm.text(&format!("/partner?{query}{more}")).await;
        assert!(!page.contains("차밭") && !page.contains("세작"), "{more}");
    }
    let book = farm
        .get(&format!("/partner/statements/statement.xlsx?{query}"))
        .await;
    let bytes = book.bytes().await.unwrap().to_vec();
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).unwrap();
    let all: String = book
        .worksheets()
        .iter()
        .flat_map(|(_, sheet)| sheet.used_cells().map(|(_, _, cell)| format!("{cell} ")))
        .collect();
    assert!(all.contains("햇살농장") && !all.contains("차밭"));
    // That the file was taken is on record, with whose it was.
    let taken: i64 = app.sql(
        "select count(*) from audit where actor = '@farmer' and act = 'file.taken' and after like '%\"partner\":\"farm\"%'",
    );
    assert_eq!(taken, 6);
    for (odd, wanted) in [
        ("month=2026-13", 400),
        ("month=x", 400),
        ("from=2026-08-09&to=2026-08-01", 400),
    ] {
        let (status, page) = farm.text(&format!("/partner/statements?{odd}")).await;
        assert!(status == wanted || status == 422, "{odd}: {status} {page}");
    }
}

/// Every address of the pages of partners, for a settlement's number.
fn addresses(id: &str) -> [String; 5] {
    [
        format!("/partner/settlements/{id}"),
        format!("/partner/settlements/{id}?after=0"),
        format!("/partner/settlements/{id}/lines/1"),
        format!("/partner/settlements/{id}/lines/2"),
        format!("/partner/settlements/{id}/lines/0"),
    ]
}

#[tokio::test]
async fn a_guessed_number_is_not_found_and_tells_nothing() {
    let (app, _) = two_partners().await;
    let (own, theirs) = (ids(&app, "farm"), ids(&app, "tea"));
    let farm = person_of(&app, "farmer", "farm").await;
    let tea = person_of(&app, "teamaker", "tea").await;
    let unknown = 999_999_i64;
    let mut guesses: Vec<i64> = (own[0] - 50..own[0] + 50).collect();
    guesses.extend([unknown, i64::MAX, 0, -1]);
    for id in guesses {
        for (visitor, mine) in [(&farm, &own), (&tea, &theirs)] {
            for path in addresses(&id.to_string()) {
                let (status, page) = visitor.text(&path).await;
                let lines = path.contains("/lines/");
                if !mine.contains(&id) {
                    assert_eq!(status, 404, "{path}");
                    // Whether it is somebody's or nobody's: the same, but for the address itself.
                    let nobodys = path.replacen(&id.to_string(), &unknown.to_string(), 1);
                    let (_, other) = visitor.text(&nobodys).await;
                    let plain = |page: &str, id: i64| {
                        let page = page.replace(&format!("settlements%2F{id}"), "#");
                        page.replace(&format!("settlements/{id}"), "#")
                    };
                    assert_eq!(plain(&page, id), plain(&other, unknown), "{path}");
                } else if !lines {
                    assert_eq!(status, 200, "{path}");
                }
            }
        }
    }
    for id in [
        "",
        "x",
        "1e3",
        "%27%20or%201%3D1",
        "../7",
        "7%2F..%2F8",
        "١",
    ] {
        let (status, page) = farm.text(&format!("/partner/settlements/{id}")).await;
        assert_eq!(status, 404, "{id}: {page}");
    }
    // A line's number of somebody else's settlement, under one's own.
    let most: i64 = app.sql("select max(seq) from movement");
    for seq in 0..=most + 50 {
        let path = format!("/partner/settlements/{}/lines/{seq}", own[0]);
        let (status, page) = farm.text(&path).await;
        assert!(status == 200 || status == 404, "{path}");
        assert!(!page.contains("세작") && !page.contains("차밭"), "{path}");
    }
}

#[tokio::test]
async fn a_partners_person_reaches_nothing_of_the_shop_and_the_shop_has_no_portal() {
    let (app, day) = two_partners().await;
    let farm = person_of(&app, "farmer", "farm").await;
    let theirs = ids(&app, "tea")[0];
    for path in [
        "/admin/settlements".to_owned(),
        format!("/admin/settlements/{theirs}"),
        "/admin/statements/tea".to_owned(),
        "/admin/statements/farm".to_owned(),
        format!("/admin/statements/tea/statement.csv?month={}", month(day)),
        "/api/settlements".to_owned(),
        "/api/statements/tea".to_owned(),
        "/api/partners".to_owned(),
        "/payment/mypage".to_owned(),
        "/admin/users".to_owned(),
        "/admin/audit".to_owned(),
    ] {
        let answer = farm.get(&path).await;
        assert_eq!(answer.status(), 403, "{path}");
    }
    let store = &app.app().web.ctx.store;
    let owner = Visitor::signed_in(store, &app.url(""), "minji", Role::Owner).await;
    for path in [
        "/partner",
        "/partner/statements",
        "/partner/statements/statement.csv",
    ] {
        assert_eq!(
            owner.get(path).await.status(),
            403,
            "{path}: no partner, nothing of its own"
        );
    }
    let nobody = Visitor::new(&app.url(""));
    let answer = nobody.get("/partner").await;
    assert_eq!(answer.headers()["location"], "/sign-in?next=%2Fpartner");
    // The same account for another partner: what was open is shut, what it sees is the other's.
    let form = [("role", "partner"), ("partner", "tea")];
    assert_eq!(
        owner.post("/admin/users/farmer/role", &form).await.status(),
        303
    );
    assert_eq!(farm.get("/partner").await.status(), 303);
    let again = person_of(&app, "farmer", "tea").await;
    let (_, page) = again.text("/partner").await;
    assert!(page.contains("차밭") && !page.contains("햇살농장"));
}
