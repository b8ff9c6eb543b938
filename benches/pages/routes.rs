//! Which addresses are asked for: a line a page. A page is timed by the route that the sources give it, so a
//! route that is new there, and in no line here, fails the run.

use std::{collections::BTreeSet, fs, path::Path};

use rusqlite::{Connection, types::Value};

/// One page, and the addresses that are asked for in turn.
pub struct Page {
    pub route: String,
    pub name: String,
    pub urls: Vec<String>,
}

/// GET routes of pages that are not timed, and why.
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("/", "leads on to another page"),
    ("/lang", "leads on to another page"),
    ("/theme", "leads on to another page"),
    ("/admin/approvals/{id}", "one row by its number"),
    ("/set-up", "a form behind a link that is used once"),
    ("/sign-in/code", "a form between a password and its code"),
    (
        "/payment/mine/{imp_uid}",
        "one payment, behind a buyer's own link",
    ),
    ("/admin/audit/export.csv", "a download"),
    ("/admin/audit/export.xlsx", "a download"),
    ("/partner/statements/statement.csv", "a download"),
    ("/partner/statements/statement.xlsx", "a download"),
    (
        "/payment/return",
        "PortOne is asked, which may take as long as it likes",
    ),
    ("/admin/statements/{partner}/statement.xlsx", "a download"),
    ("/admin/statements/{partner}/statement.csv", "a download"),
    ("/admin/partners/export.csv", "a download"),
    ("/admin/partners/export.xlsx", "a download"),
    ("/admin/partners/import/template.csv", "a download"),
    ("/admin/partners/import/template.xlsx", "a download"),
    ("/admin/payouts/templates/{name}/sample", "a download"),
    ("/admin/payouts/{id}/file", "a download"),
    ("/admin/payouts/{id}/withholding", "a download"),
];

/// Different addresses of a page that is there for many payments, partners or days.
const MANY: i64 = 60;

/// Every page, by route. Where the address has a `{}`, the query gives what stands there.
#[rustfmt::skip]
const PAGES: &[(&str, &str, &str, &str)] = &[
    // The home, people and what they did
    ("/admin", "", "/admin", ""),
    ("/admin/attention", "", "/admin/attention", ""),
    ("/admin/search", "order", "/admin/search?q={}", "select merchant_uid from payment where id in (RANDOM)"),
    ("/admin/search", "name", "/admin/search?q={}", "select about ->> '$.buyer_name' from payment where id in (RANDOM)"),
    ("/admin/search", "initials", "/admin/search?q={}", "select '%E3%85%8E%E3%84%B1%E3%84%B7'"),
    ("/admin/search", "phone", "/admin/search?q={}", "select about ->> '$.buyer_tel' from payment where id in (RANDOM)"),
    ("/admin/search", "amount", "/admin/search?q={}", "select amount from payment where id in (RANDOM)"),
    ("/admin/search", "mail", "/admin/search?q={}", "select about ->> '$.buyer_email' from payment where id in (RANDOM)"),
    ("/admin/search", "part of a mail", "/admin/search?q=example.com", ""),
    ("/admin/search", "what none has", "/admin/search?q=nowhere-else", ""),
    ("/admin/search/suggest", "name", "/admin/search/suggest?q={}", "select about ->> '$.buyer_name' from payment where id in (RANDOM)"),
    ("/admin/audit", "newest", "/admin/audit", ""),
    ("/admin/audit", "of one and an act", "/admin/audit?actor=@nobody&act=payment.", ""),
    ("/admin/users", "", "/admin/users", ""),
    ("/admin/users/{name}", "", "/admin/users/bench-owner", ""),
    ("/admin/approvals", "", "/admin/approvals", ""),
    ("/admin/keys", "", "/admin/keys", ""),
    ("/admin/settings", "", "/admin/settings", ""),
    ("/account", "", "/account", ""),
    ("/account/password", "", "/account/password", ""),
    ("/account/totp", "", "/account/totp", ""),
    ("/sign-in/again", "", "/sign-in/again", ""),
    // What a partner sees of itself
    ("/partner", "", "/partner", ""),
    ("/partner/settlements/{id}", "", "/partner/settlements/{}", "select id from settlement where partner_id = 'partner-000' order by id desc limit 60"),
    ("/partner/settlements/{id}/lines/{seq}", "", "/partner/settlements/{}/lines/1", "select id from settlement where partner_id = 'partner-000' order by id desc limit 60"),
    ("/partner/statements", "", "/partner/statements?month={}", "select distinct substr(day, 1, 7) from settlement_day order by 1 desc limit 12"),
    // Payments
    ("/payment/mypage", "of an amount", "/payment/mypage?amount={}", "select amount from payment where id in (RANDOM)"),
    ("/payment/mypage", "of an amount and a state", "/payment/mypage?amount={}&status=CANCELED", "select amount from payment where id in (RANDOM)"),
    ("/payment/mypage", "held for a reason", "/payment/mypage?hold=UNKNOWN_ORDER", ""),
    ("/payment/mypage", "of unknown outcome", "/payment/mypage?unknown=1", ""),
    ("/payment/mypage", "search: initials", "/payment/mypage?q={}", "select '%E3%85%8E%E3%84%B1%E3%84%B7'"),
    ("/payment/mypage", "newest", "/payment/mypage", ""),
    ("/payment/mypage", "deep", "/payment/mypage?after={}", DEEP),
    ("/payment/mypage", "of a day", "/payment/mypage?from={}&to={}", DAY),
    ("/payment/mypage", "of a state", "/payment/mypage?status=CANCELED", ""),
    ("/payment/mypage", "of a rare state", "/payment/mypage?status=CANCEL_FAILED", ""),
    ("/payment/mypage", "of a state that none has", "/payment/mypage?status=CANCEL_REQUESTED", ""),
    ("/payment/mypage", "of a method", "/payment/mypage?method=vbank", ""),
    ("/payment/mypage", "of a method and a state", "/payment/mypage?method=trans&status=CANCEL_FAILED", ""),
    ("/payment/mypage", "of a method that none has", "/payment/mypage?method=paypal", ""),
    ("/payment/mypage", "of a partner", "/payment/mypage?partner={}", PARTNER),
    ("/payment/mypage", "of a partner and a state", "/payment/mypage?partner={}&status=CANCEL_FAILED", PARTNER),
    ("/payment/mypage", "of a partner and a method", "/payment/mypage?partner={}&method=vbank&status=CANCELED", PARTNER),
    ("/payment/mypage", "of a partner in old days", "/payment/mypage?partner={}&to={}", "select 'partner-000', date('now', '-300 days')"),
    ("/payment/mypage", "of a partner, held", "/payment/mypage?partner={}&held=1", PARTNER),
    ("/payment/mypage", "held", "/payment/mypage?held=1", ""),
    ("/payment/mypage", "held, of a state and days", "/payment/mypage?held=1&status=FAILED&from={}&to={}", DAY),
    ("/payment/mypage", "search: order", "/payment/mypage?q={}", "select merchant_uid from payment where id in (RANDOM)"),
    ("/payment/mypage", "search: payment", "/payment/mypage?q={}", "select imp_uid from payment where id in (RANDOM)"),
    ("/payment/mypage", "search: name", "/payment/mypage?q={}", "select about ->> '$.buyer_name' from payment where id in (RANDOM)"),
    ("/payment/mypage", "search: surname", "/payment/mypage?q={}", "select substr(about ->> '$.buyer_name', 1, 1) from payment where id in (RANDOM)"),
    ("/payment/mypage", "search: phone", "/payment/mypage?q={}", "select about ->> '$.buyer_tel' from payment where id in (RANDOM)"),
    ("/payment/mypage", "search: end of a phone", "/payment/mypage?q={}", "select substr(about ->> '$.buyer_tel', -4) from payment where id in (RANDOM)"),
    ("/payment/mypage", "search: mail", "/payment/mypage?q={}", "select about ->> '$.buyer_email' from payment where id in (RANDOM)"),
    ("/payment/mypage", "search: what all have", "/payment/mypage?q=010-", ""),
    ("/payment/mypage", "search: goods", "/payment/mypage?q={}", "select '%EC%82%AC%EA%B3%BC'"),
    ("/payment/mypage", "search: what none has", "/payment/mypage?q={}", "select 'order-' || (9000000 + value) from generate_series(1, 60)"),
    ("/payment/mypage", "search: digits that none has", "/payment/mypage?q={}", "select '010-1111-11111' || value from generate_series(1, 60)"),
    ("/payment/mypage", "search of a state", "/payment/mypage?q=010-&status=CANCEL_FAILED", ""),
    ("/payment/mypage", "search of a partner", "/payment/mypage?q=010-&partner={}", PARTNER),
    ("/payment/mypage", "search of a day", "/payment/mypage?q=010-&from={}&to={}", DAY),
    ("/payment/mypage/attention", "", "/payment/mypage/attention", ""),
    ("/payment/mypage/rows/{imp_uid}", "", "/payment/mypage/rows/{}", PAYMENT),
    ("/payment/{imp_uid}", "paid", "/payment/{}", PAYMENT),
    ("/payment/{imp_uid}", "cancelled", "/payment/{}", CANCELLED),
    ("/payment/{imp_uid}", "cancel failed", "/payment/{}", CANCEL_FAILED),
    ("/payment/{imp_uid}/live", "", "/payment/{}/live", PAYMENT),
    ("/payment/{imp_uid}/cancel", "", "/payment/{}/cancel", PAYMENT),
    // What a buyer sees
    ("/payment", "", "/payment", ""),
    ("/payment/orders/{merchant_uid}", "", "/payment/orders/{}", "select merchant_uid from payment where id in (RANDOM) and hold is null"),
    ("/payment/result/{imp_uid}", "", "/payment/result/{}", PAYMENT),
    ("/payment/result/{imp_uid}/stand", "", "/payment/result/{}/stand", PAYMENT),
    ("/sign-in", "", "/sign-in", ""),
    // What does not go by itself
    ("/admin/dead-letters", "newest", "/admin/dead-letters", ""),
    ("/admin/dead-letters", "deep", "/admin/dead-letters?before={}", "select id from job where state = 'dead' order by id limit 60 offset 40"),
    ("/admin/dead-letters/{id}", "", "/admin/dead-letters/{}", "select id from job where state = 'dead' order by id desc limit 60"),
    ("/admin/dead-letters/replay", "dry run of a kind", "/admin/dead-letters/replay?kind=retry_cancel", ""),
    ("/admin/dead-letters/replay", "dry run of all", "/admin/dead-letters/replay", ""),
    ("/admin/alerts", "newest", "/admin/alerts", ""),
    ("/admin/alerts", "deep", "/admin/alerts?before={}", "select id from alert order by id limit 60 offset 500"),
    ("/admin/inbox", "newest", "/admin/inbox", ""),
    ("/admin/inbox", "deep", "/admin/inbox?before={}", "select id from inbox order by id limit 60 offset 5000"),
    // Jobs
    ("/admin/jobs", "all", "/admin/jobs", ""),
    ("/admin/jobs", "done", "/admin/jobs?state=done", ""),
    ("/admin/jobs", "done, of a kind", "/admin/jobs?state=done&kind=confirm_payment", ""),
    ("/admin/jobs", "dead", "/admin/jobs?state=dead", ""),
    ("/admin/jobs", "deep", "/admin/jobs?state=done&after=done.0.{}.0.{}", "select finished_at, id from job where state = 'done' and kind = 'confirm_payment' order by id limit 60 offset 1000"),
    ("/admin/jobs", "search: order", "/admin/jobs?q={}", "select merchant_uid from payment where id in (RANDOM)"),
    ("/admin/jobs", "search: words of an error", "/admin/jobs?q=gateway", ""),
    ("/admin/jobs", "search: what none has", "/admin/jobs?q=nowhere", ""),
    ("/admin/jobs/live", "", "/admin/jobs/live", ""),
    ("/admin/jobs/live/rows", "", "/admin/jobs/live/rows", ""),
    ("/admin/jobs/{id}", "", "/admin/jobs/{}", "select id from job order by id desc limit 60"),
    ("/admin/jobs/{id}/live", "", "/admin/jobs/{}/live", "select id from job order by id desc limit 60"),
    // Settlement
    ("/admin/settlements", "newest", "/admin/settlements", ""),
    ("/admin/settlements", "deep", "/admin/settlements?after={}", "select day || '_' || id from settlement where id in (select 1 + abs(random() % 100000) from generate_series(1, 60))"),
    ("/admin/settlements", "of a state", "/admin/settlements?state=COMPLETED", ""),
    ("/admin/settlements", "failed", "/admin/settlements?state=FAILED", ""),
    ("/admin/settlements", "held", "/admin/settlements?held=1", ""),
    ("/admin/settlements", "carried over", "/admin/settlements?carried=1", ""),
    ("/admin/settlements", "of a partner", "/admin/settlements?partner={}", PARTNER),
    ("/admin/settlements", "of a partner and a state", "/admin/settlements?partner={}&state=FAILED", PARTNER),
    ("/admin/settlements", "of a state in old days", "/admin/settlements?state=REQUESTED&to={}", "select date('now', '-300 days')"),
    ("/admin/settlements/{id}", "few lines", "/admin/settlements/{}", "select id from settlement where partner_id > 'partner-250' order by id desc limit 60 offset 400"),
    ("/admin/settlements/{id}", "many lines", "/admin/settlements/{}", "select id from settlement where partner_id = 'partner-000' order by id desc limit 60"),
    ("/admin/settlements/{id}", "many lines, behind the first", "/admin/settlements/{}?after={}_100", "select id, day from settlement where partner_id = 'partner-000' order by id desc limit 60"),
    ("/admin/settlements/{id}/lines/{seq}", "", "/admin/settlements/{}/lines/1", "select id from settlement order by id desc limit 60 offset 400"),
    ("/admin/settlements/days/{day}", "", "/admin/settlements/days/{}", "select day from settlement_day order by day desc limit 60"),
    ("/admin/settlements/days/{day}", "today", "/admin/settlements/days/{}", "select date('now', '+9 hours')"),
    ("/admin/settlements/days/{day}/progress", "", "/admin/settlements/days/{}/progress", "select day from settlement_day order by day desc limit 60"),
    ("/admin/statements/{partner}", "a month of a partner", "/admin/statements/{}?from={}&to={}", "select id, date('now', '-60 days'), date('now', '-31 days') from partner where id like 'partner-%' order by id limit 60 offset 200"),
    ("/admin/statements/{partner}", "a month of the largest", "/admin/statements/{}?from={}&to={}", "select 'partner-000', date('now', '-' || (31 + value) || ' days'), date('now', '-' || (2 + value) || ' days') from generate_series(1, 60)"),
    ("/admin/adjustments", "", "/admin/adjustments", ""),
    ("/admin/adjustments/import", "", "/admin/adjustments/import", ""),
    // Payouts
    ("/admin/payouts", "newest", "/admin/payouts", ""),
    ("/admin/payouts", "deep", "/admin/payouts?before={}", "select id from payout_batch order by id limit 20 offset 25"),
    ("/admin/payouts/new", "", "/admin/payouts/new", ""),
    ("/admin/payouts/{id}", "done", "/admin/payouts/{}", "select id from payout_batch where state = 'DONE' order by id desc limit 20"),
    ("/admin/payouts/{id}", "open", "/admin/payouts/{}", "select id from payout_batch where state = 'OPEN'"),
    ("/admin/payouts/{id}/payouts/{payout}", "", "/admin/payouts/{}/payouts/{}", "select batch_id, id from payout where state = 'WAITING' order by id limit 60"),
    ("/admin/payouts/templates", "", "/admin/payouts/templates", ""),
    ("/admin/payouts/templates/{name}", "", "/admin/payouts/templates/{}", "select '공통'"),
    ("/admin/calendar", "", "/admin/calendar", ""),
    // Partners
    ("/admin/partners", "first", "/admin/partners", ""),
    ("/admin/partners", "deep", "/admin/partners?after={}", "select id from partner where id like 'partner-%' order by id limit 60 offset 150"),
    ("/admin/partners", "search", "/admin/partners?q=29", ""),
    ("/admin/partners", "incomplete", "/admin/partners?incomplete=1", ""),
    ("/admin/partners/new", "", "/admin/partners/new", ""),
    ("/admin/partners/import", "", "/admin/partners/import", ""),
    ("/admin/partners/{id}", "the largest", "/admin/partners/partner-000", ""),
    ("/admin/partners/{id}", "", "/admin/partners/{}", PARTNER),
    ("/admin/partners/{id}/edit", "", "/admin/partners/{}/edit", PARTNER),
    ("/admin/partners/{id}/contract", "", "/admin/partners/{}/contract", PARTNER),
];

const DAY: &str = "select day, day from settlement_day order by random() limit 60";
const PARTNER: &str = "select id from partner where id like 'partner-%' order by random() limit 60";
const PAYMENT: &str = "select imp_uid from payment where id in (RANDOM) and status = 'PAID'";
const CANCELLED: &str =
    "select imp_uid from payment where status = 'CANCELED' order by at desc limit 60";
const CANCEL_FAILED: &str =
    "select imp_uid from payment where status = 'CANCEL_FAILED' order by at desc limit 60";
/// Filled in below: a cursor is not written by SQL.
const DEEP: &str = "select at, id from payment where id in (RANDOM)";

/// All pages with their addresses.
pub fn pages(conn: &Connection, payments: i64) -> Vec<Page> {
    PAGES
        .iter()
        .map(|(route, name, address, sql)| Page {
            route: (*route).to_owned(),
            name: (*name).to_owned(),
            urls: addresses(conn, payments, address, sql),
        })
        .collect()
}

fn addresses(conn: &Connection, payments: i64, address: &str, sql: &str) -> Vec<String> {
    if sql.is_empty() {
        return vec![address.to_owned()];
    }
    // Anywhere in the books, and the same with every run.
    let random: Vec<String> = (0..MANY)
        .map(|i| (1 + (i * 7_919_317) % payments).to_string())
        .collect();
    let series = format!(
        "with recursive generate_series(value) as (select 1 union all select value + 1 from generate_series where value < {MANY}) "
    );
    let plain = sql
        .replace("RANDOM", &random.join(","))
        .replace("generate_series(1, 60)", "generate_series");
    let mut query = conn.prepare(&(series + &plain)).expect("a query");
    let columns = query.column_count();
    let rows = query
        .query_map([], |row| {
            (0..columns)
                .map(|at| row.get::<_, Value>(at))
                .collect::<Result<Vec<_>, _>>()
        })
        .expect("addresses");
    let urls: Vec<String> = rows
        .map(|row| {
            let row = row.expect("an address");
            if sql == DEEP {
                let number = |at: usize| match &row[at] {
                    Value::Integer(number) => base36(*number),
                    other => panic!("{other:?}"),
                };
                return address.replace("{}", &format!("{}-{}", number(0), number(1)));
            }
            row.iter().fold(address.to_owned(), |url, value| {
                let text = match value {
                    Value::Integer(number) => number.to_string(),
                    Value::Text(text) => escaped(text),
                    other => panic!("{other:?}"),
                };
                url.replacen("{}", &text, 1)
            })
        })
        .collect();
    assert!(!urls.is_empty(), "nothing to ask {address} for");
    urls
}

fn escaped(text: &str) -> String {
    // One that is escaped already stays as it is.
    if text.starts_with('%') {
        return text.to_owned();
    }
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn base36(mut number: i64) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
    }
    digits.iter().rev().collect()
}

/// GET routes of pages in the sources that neither [`PAGES`] nor [`LEFT_OUT`] names, and names that are no
/// routes any more.
pub fn not_timed() -> Vec<String> {
    let timed: BTreeSet<&str> = PAGES
        .iter()
        .map(|(route, ..)| *route)
        .chain(LEFT_OUT.iter().map(|(route, _)| *route))
        .collect();
    let mut there = BTreeSet::new();
    routes(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/pages"),
        &mut there,
    );
    assert!(there.len() > 40, "the sources are not read: {there:?}");
    let new = there
        .iter()
        .filter(|route| !timed.contains(route.as_str()))
        .cloned();
    let gone = timed
        .iter()
        .filter(|route| !there.contains(**route))
        .map(|route| format!("{route}, which is no route any more"));
    new.chain(gone).collect()
}

/// Paths of `.route("…", …get(…)…)` in a folder's files.
fn routes(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).expect("the sources") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            routes(&path, found);
            continue;
        }
        let source = fs::read_to_string(&path).expect("a source");
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        for call in source.split(".route(").skip(1) {
            let end = [".merge(", ".layer(", ".fallback(", "\n}"]
                .iter()
                .filter_map(|mark| call.find(mark))
                .min()
                .unwrap_or(call.len());
            let asks = call[..end]
                .match_indices("get(")
                .any(|(at, _)| !call[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            // A router that was put together before has a name.
            let named = call[..end].contains(", files)");
            if let Some(path) = call.split('"').nth(1).filter(|_| asks || named) {
                found.insert(path.to_owned());
            }
        }
    }
}
