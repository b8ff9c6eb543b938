//! Every route by every role: what the table of access says, what stands here, and what happens.
//!
//! The matrix is written by hand on purpose. Whoever adds a route says here, too, who may reach it;
//! whoever changes a role sees here what that opens.

use std::collections::{BTreeMap, BTreeSet};

use jeongsan::{
    domain::account::Role,
    web::{access, offered},
};
use reqwest::{Method, StatusCode};

use crate::{
    people::{self, Visitor},
    support::TestApp,
};

/// O owner, P operator, A accountant, V viewer, R partner, N nobody; `*`: the person is asked again.
const MATRIX: &str = "
    OPAVRN  GET /
    OPAVR-  GET /account
    OPAVR-  POST /account/look
    OPAVR-* GET /account/password
    OPAVR-* POST /account/password
    OPAVR-* POST /account/sessions
    OPAVR-  POST /account/sessions/{id}
    OPAVR-* GET /account/totp
    OPAVR-* POST /account/totp
    OPAVR-* POST /account/totp/codes
    OPAVR-  POST /account/totp/remove
    OPAV--  GET /admin
    OPAV--  GET /admin/adjustments
    O-A---  POST /admin/adjustments
    O-A---  GET /admin/adjustments/import
    O-A---  POST /admin/adjustments/import
    OPAV--  GET /admin/alerts
    OPAV--  GET /admin/approvals
    OPAV--  GET /admin/approvals/{id}
    O-A---* POST /admin/approvals/{id}/approve
    O-A---* POST /admin/approvals/{id}/refuse
    O-A---* POST /admin/approvals/{id}/withdraw
    OPAV--  GET /admin/attention
    O-A---  GET /admin/audit
    O-A---  GET /admin/audit/export.csv
    O-A---  GET /admin/audit/export.xlsx
    O-A---  POST /admin/audit/verify
    OPAV--  GET /admin/calendar
    O-A---  POST /admin/calendar
    OPAVR-  POST /admin/columns
    O-A---* POST /admin/contracts/{id}/withdraw
    OPAV--  GET /admin/dead-letters
    OP----* GET /admin/dead-letters/replay
    OP----* POST /admin/dead-letters/replay
    OPAV--  GET /admin/dead-letters/{id}
    OP----  POST /admin/dead-letters/{id}/discard
    OP----  POST /admin/dead-letters/{id}/replay
    OPAVR-  POST /admin/filters
    OPAVR-  POST /admin/filters/{id}/remove
    OPAV--  GET /admin/inbox
    OPAV--  GET /admin/jobs
    OP----  POST /admin/jobs/kinds/{kind}/pause
    OP----  POST /admin/jobs/kinds/{kind}/resume
    OPAV--  GET /admin/jobs/live
    OPAV--  GET /admin/jobs/live/rows
    OPAV--  GET /admin/jobs/{id}
    OP----  POST /admin/jobs/{id}/discard
    OPAV--  GET /admin/jobs/{id}/live
    OP----  POST /admin/jobs/{id}/run-now
    O-----* GET /admin/keys
    O-----* POST /admin/keys
    O-----* POST /admin/keys/{id}/revoke
    OPAV--  GET /admin/partners
    O-A---  GET /admin/partners/export.csv
    O-A---  GET /admin/partners/export.xlsx
    O-A---* GET /admin/partners/import
    O-A---* POST /admin/partners/import
    O-A---  GET /admin/partners/import/template.csv
    O-A---  GET /admin/partners/import/template.xlsx
    O-A---* GET /admin/partners/new
    O-A---* POST /admin/partners/new
    OPAV--  GET /admin/partners/{id}
    O-A---  POST /admin/partners/{id}/archive
    O-A---* GET /admin/partners/{id}/contract
    O-A---* POST /admin/partners/{id}/contract
    O-A---* GET /admin/partners/{id}/edit
    O-A---* POST /admin/partners/{id}/edit
    O-A---  POST /admin/partners/{id}/recover
    OPA---  POST /admin/partners/{id}/reveal
    OPAV--  GET /admin/payouts
    O-A---* POST /admin/payouts
    O-A---* GET /admin/payouts/new
    O-A---  GET /admin/payouts/templates
    O-A---  GET /admin/payouts/templates/{name}
    O-A---  POST /admin/payouts/templates/{name}
    O-A---  POST /admin/payouts/templates/{name}/copy
    O-A---  POST /admin/payouts/templates/{name}/reset
    O-A---  GET /admin/payouts/templates/{name}/sample
    OPAV--  GET /admin/payouts/{id}
    O-A---  POST /admin/payouts/{id}/call-off
    O-A---* GET /admin/payouts/{id}/file
    OPAV--  GET /admin/payouts/{id}/payouts/{payout}
    O-A---  POST /admin/payouts/{id}/payouts/{payout}
    O-A---  POST /admin/payouts/{id}/result
    O-A---  POST /admin/payouts/{id}/result/confirm
    O-A---  GET /admin/payouts/{id}/withholding
    OPAV--  GET /admin/search
    OPAV--  GET /admin/search/suggest
    O-----* GET /admin/settings
    O-----* POST /admin/settings
    OPAV--  GET /admin/settlements
    OPAV--  GET /admin/settlements/days/{day}
    O-A---  POST /admin/settlements/days/{day}/dry-run
    OPAV--  GET /admin/settlements/days/{day}/progress
    O-A---  POST /admin/settlements/days/{day}/reopen
    O-A---  POST /admin/settlements/days/{day}/settle
    OPAV--  GET /admin/settlements/{id}
    O-A---  POST /admin/settlements/{id}/hold
    OPAV--  GET /admin/settlements/{id}/lines/{seq}
    O-A---  POST /admin/settlements/{id}/release
    O-A---  POST /admin/settlements/{id}/retry
    OPAV--  GET /admin/statements/{partner}
    O-A---  GET /admin/statements/{partner}/statement.csv
    O-A---  GET /admin/statements/{partner}/statement.xlsx
    O-----* GET /admin/users
    O-----* POST /admin/users
    O-----* GET /admin/users/{name}
    O-----* POST /admin/users/{name}/disable
    O-----* POST /admin/users/{name}/enable
    O-----* POST /admin/users/{name}/reset
    O-----* POST /admin/users/{name}/role
    O-----* POST /admin/users/{name}/sessions
    OPAV--  GET /api/adjustments
    O-A---  POST /api/adjustments
    O-A---  POST /api/adjustments/import
    OPAV--  GET /api/approvals
    OPAV--  GET /api/approvals/{id}
    O-A---  GET /api/bank-templates
    O-A---  GET /api/bank-templates/{name}
    O-A---  PUT /api/bank-templates/{name}
    O-A---  DELETE /api/bank-templates/{name}
    OP----  POST /api/buyers/links
    OPAV--  GET /api/calendar
    O-A---  PUT /api/calendar/{day}
    O-A---  DELETE /api/calendar/{day}
    O-A---* DELETE /api/contracts/{id}
    OPAVRN  GET /api/openapi.json
    OP----  POST /api/orders
    OPAV--  GET /api/orders/{merchant_uid}
    OPAV--  GET /api/partners
    O-A---* POST /api/partners
    O-A---* POST /api/partners/import
    OPAV--  GET /api/partners/{id}
    O-A---* PUT /api/partners/{id}
    OPAV--  GET /api/partners/{id}/account
    O-A---  POST /api/partners/{id}/archive
    OPAV--  GET /api/partners/{id}/contracts
    O-A---* POST /api/partners/{id}/contracts
    O-A---  POST /api/partners/{id}/recover
    OP----  GET /api/payment/cancel/{imp_uid}
    OP----  DELETE /api/payment/cancel/{imp_uid}
    OPAV--  GET /api/payment/events
    OPAV--  GET /api/payment/list
    OPAVRN  POST /api/payment/portone
    OPAV--  GET /api/payment/{imp_uid}
    OP----  POST /api/payment/{imp_uid}/cancel
    OPAV--  GET /api/payment/{imp_uid}/events
    OPAV--  GET /api/payment/{imp_uid}/status
    OPAV--  GET /api/payouts
    O-A---* POST /api/payouts
    OPAV--  GET /api/payouts/due
    OPAV--  GET /api/payouts/{id}
    O-A---  POST /api/payouts/{id}/call-off
    O-A---* GET /api/payouts/{id}/file
    O-A---  POST /api/payouts/{id}/payouts/{payout}
    O-A---  POST /api/payouts/{id}/result
    OPAVRN  GET /api/reference
    OPAV--  GET /api/settlements
    OPAV--  GET /api/settlements/days/{day}
    O-A---  POST /api/settlements/days/{day}
    O-A---  POST /api/settlements/days/{day}/reopen
    OPAV--  GET /api/settlements/{id}
    O-A---  POST /api/settlements/{id}/hold
    OPAV--  GET /api/settlements/{id}/lines
    O-A---  POST /api/settlements/{id}/release
    O-A---  POST /api/settlements/{id}/retry
    OPAV--  GET /api/statements/{partner}
    OPAVRN  GET /assets/{*path}
    OPAVRN  GET /healthz
    OPAVRN  GET /lang
    OPAVRN  POST /lang
    OPAV--  GET /metrics
    ----R-  GET /partner
    ----R-  GET /partner/settlements/{id}
    ----R-  GET /partner/settlements/{id}/lines/{seq}
    ----R-  GET /partner/statements
    ----R-  GET /partner/statements/statement.csv
    ----R-  GET /partner/statements/statement.xlsx
    OPAVRN  GET /payment
    OPAVRN  POST /payment/mine/leave
    OPAV--  GET /payment/mine/{imp_uid}
    OPAV--  GET /payment/mypage
    OPAV--  GET /payment/mypage/attention
    OPAV--  GET /payment/mypage/rows/{imp_uid}
    OPAVRN  POST /payment/orders
    OPAVRN  GET /payment/orders/{merchant_uid}
    OPAVRN  GET /payment/result/{imp_uid}
    OPAVRN  GET /payment/result/{imp_uid}/stand
    OPAVRN  GET /payment/return
    OPAV--  GET /payment/{imp_uid}
    OP----  GET /payment/{imp_uid}/cancel
    OP----  POST /payment/{imp_uid}/cancel
    OP----  POST /payment/{imp_uid}/cancel/confirm
    OPAV--  GET /payment/{imp_uid}/live
    OP----  POST /payment/{imp_uid}/release
    OPA---  POST /payment/{imp_uid}/reveal
    OPAVRN  GET /readyz
    OPAVRN  GET /set-up
    OPAVRN  POST /set-up
    OPAVRN  GET /sign-in
    OPAVRN  POST /sign-in
    OPAVR-  GET /sign-in/again
    OPAVR-  POST /sign-in/again
    OPAVRN  GET /sign-in/code
    OPAVRN  POST /sign-in/code
    OPAVRN  POST /sign-out
    OPAVRN  GET /theme
    OPAVRN  POST /theme
    OPAVR-  POST /tour/{act}
";

const ROLES: [(char, Option<Role>); 6] = [
    ('O', Some(Role::Owner)),
    ('P', Some(Role::Operator)),
    ('A', Some(Role::Accountant)),
    ('V', Some(Role::Viewer)),
    ('R', Some(Role::Partner)),
    ('N', None),
];

struct Line<'a> {
    letters: &'a str,
    fresh: bool,
    method: &'a str,
    path: &'a str,
}

fn lines() -> Vec<Line<'static>> {
    MATRIX
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let mut words = line.split_whitespace();
            let letters = words.next().unwrap();
            Line {
                fresh: letters.ends_with('*'),
                letters: letters.trim_end_matches('*'),
                method: words.next().unwrap(),
                path: words.next().unwrap(),
            }
        })
        .collect()
}

#[test]
fn the_matrix_is_complete() {
    let key = |method: &str, path: &str| format!("{method} {path}");
    let here: BTreeMap<String, bool> = lines()
        .iter()
        .map(|line| (key(line.method, line.path), line.fresh))
        .collect();
    let there: BTreeMap<String, bool> = access::TABLE
        .iter()
        .map(|row| (key(row.method, row.path), row.fresh))
        .collect();
    assert_eq!(here.len(), lines().len(), "a route stands here twice");
    for (route, fresh) in &there {
        assert_eq!(
            here.get(route),
            Some(fresh),
            "{route} is not in the matrix like this"
        );
    }
    for route in here.keys() {
        assert!(there.contains_key(route), "{route} is no route");
    }
}

/// A path with something in each of its places.
fn filled(path: &str, imp_uid: &str) -> String {
    path.split('/')
        .map(|part| match part {
            "{imp_uid}" => imp_uid,
            "{day}" => "2026-01-05",
            "{partner}" => "house",
            "{name}" => "공통",
            "{kind}" => "prune",
            "{*path}" => "app.css",
            "{id}" if path.contains("/partners/") => "house",
            part if part.starts_with('{') => "1",
            part => part,
        })
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn every_role_reaches_what_the_matrix_says_and_nothing_else() {
    let mut app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    let store = app.app().web.ctx.store.clone();
    let mut visitors = Vec::new();
    for (letter, role) in ROLES {
        let name = role.map_or("nobody", Role::as_str);
        let mut visitor = Visitor::new(&app.url(""));
        if let Some(role) = role {
            let partner = (role == Role::Partner).then_some("house");
            people::add(&store, name, role, partner).await;
            let answer = visitor.sign_in(name, people::PASSWORD, "/").await;
            assert_eq!(answer.status(), 303, "{name}");
        }
        visitors.push((letter, role, name, visitor));
    }
    let mut wrong = Vec::new();
    for (letter, role, name, visitor) in visitors {
        for line in lines() {
            // It would end the session that all others need, and the tour is the demo's alone: their own
            // tests are elsewhere.
            if matches!(line.path, "/sign-out" | "/tour/{act}") {
                continue;
            }
            let path = filled(line.path, &imp_uid);
            let method: Method = line.method.parse().unwrap();
            let token = visitor.token();
            let mut request = visitor.with(visitor.request(method.clone(), &path));
            if method != Method::GET {
                request = request
                    .header("x-form-token", token)
                    .form(&[("form_token", "")]);
            }
            let answer = request.send().await.unwrap();
            let status = answer.status();
            let to = answer
                .headers()
                .get("location")
                .and_then(|to| to.to_str().ok())
                .unwrap_or_default()
                .to_owned();
            let is_stream = answer
                .headers()
                .get("content-type")
                .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
            let body = if is_stream {
                String::new()
            } else {
                answer.text().await.unwrap()
            };
            let sent_away = to.starts_with("/sign-in?next") && status == StatusCode::SEE_OTHER;
            let refused = sent_away
                || status == StatusCode::UNAUTHORIZED && role.is_none()
                || status == StatusCode::FORBIDDEN && body.contains("forbidden");
            // What the form needs is its handler's business; that it was reached is ours.
            let stale = status == StatusCode::FORBIDDEN && body.contains("stale-form");
            let admitted = line.letters.contains(letter);
            if refused == admitted || stale {
                wrong.push(format!(
                    "{name}: {} {path} answered {status} {to}, and the matrix says {}",
                    line.method, line.letters
                ));
            }
        }
    }
    app.unlike.push(imp_uid);
    app.jobs_may_wait = true;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Who signed in long ago is asked again before money or rights move, and then let through.
#[tokio::test]
async fn where_money_moves_the_person_is_asked_again() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    let visitor = Visitor::signed_in(&store, &app.url(""), "minji", Role::Owner).await;
    let fresh: Vec<Line> = lines().into_iter().filter(|line| line.fresh).collect();
    assert!(fresh.len() > 5);
    app.clock.advance(std::time::Duration::from_secs(6 * 60));
    for line in &fresh {
        let path = filled(line.path, "imp_1");
        let answer = if line.method == "GET" {
            visitor.get(&path).await
        } else {
            let method = line.method.parse().unwrap();
            let request = visitor.with(visitor.request(method, &path));
            request
                .header("x-form-token", visitor.token())
                .send()
                .await
                .unwrap()
        };
        // A program in a browser cannot follow a form: it is told so.
        if path.starts_with("/api/") {
            assert_eq!(answer.status(), 403, "{} {path}", line.method);
            let problem = answer.text().await.unwrap();
            assert!(
                problem.contains("prove-again"),
                "{} {path}: {problem}",
                line.method
            );
            continue;
        }
        assert_eq!(answer.status(), 303, "{} {path}", line.method);
        let to = answer.headers()["location"].to_str().unwrap().to_owned();
        assert!(
            to.starts_with("/sign-in/again?next="),
            "{} {path}: {to}",
            line.method
        );
    }
    let wrong = visitor
        .post(
            "/sign-in/again",
            &[("given", "nope"), ("next", "/admin/payouts/new")],
        )
        .await;
    assert_eq!(wrong.status(), 401);
    let right = visitor
        .post(
            "/sign-in/again",
            &[("given", people::PASSWORD), ("next", "/admin/payouts/new")],
        )
        .await;
    assert_eq!(right.headers()["location"], "/admin/payouts/new");
    assert_eq!(visitor.get("/admin/payouts/new").await.status(), 200);
}

/// Follows every link that a role is shown, and holds every form against what it may send.
#[tokio::test]
async fn nobody_is_offered_what_would_be_refused() {
    let mut app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    let store = app.app().web.ctx.store.clone();
    for role in Role::ALL {
        let name = role.as_str();
        let partner = (role == Role::Partner).then_some("house");
        people::add(&store, name, role, partner).await;
        let mut visitor = Visitor::new(&app.url(""));
        let answer = visitor.sign_in(name, people::PASSWORD, "").await;
        let home = answer.headers()["location"].to_str().unwrap().to_owned();
        let (mut next, mut seen, mut forms) = (vec![home], BTreeSet::new(), 0);
        while let Some(address) = next.pop() {
            let path = address.split(['?', '#']).next().unwrap().to_owned();
            if !address.starts_with('/')
                || address.starts_with("//")
                || !seen.insert(path)
                || seen.len() > 120
            {
                continue;
            }
            let answer = visitor.get(&address).await;
            let status = answer.status();
            assert_ne!(status, 403, "{name} is led to {address}");
            if let Some(to) = answer.headers().get("location") {
                next.push(to.to_str().unwrap().to_owned());
            }
            let is_page = answer
                .headers()
                .get("content-type")
                .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
            if !is_page {
                continue;
            }
            let text = answer.text().await.unwrap();
            for link in text.split(" href=\"").skip(1) {
                let link = link.split('"').next().unwrap().replace("&amp;", "&");
                if !link.starts_with("/assets")
                    && !link.starts_with("/lang")
                    && !link.starts_with("/theme")
                {
                    next.push(link);
                }
            }
            for form in text.split("<form").skip(1) {
                let tag = form.split('>').next().unwrap();
                let Some(action) = tag.split(" action=\"").nth(1) else {
                    continue;
                };
                let action = action.split('"').next().unwrap().replace("&amp;", "&");
                let method = if tag.contains(" method=\"post\"") {
                    "POST"
                } else {
                    "GET"
                };
                let Some(row) = offered::row(method, &action) else {
                    panic!("{address} has a form to {method} {action}, which is no route");
                };
                forms += 1;
                let admitted = match row.need {
                    access::Need::Has(right) => role.rights().has(right),
                    _ => true,
                };
                assert!(admitted, "{name} is shown {method} {action} on {address}");
            }
        }
        assert!(
            seen.len() > 3 && forms > 3,
            "{name}: {seen:?}, {forms} forms"
        );
    }
    app.unlike.push(imp_uid);
    app.jobs_may_wait = true;
}
