//! People: the link they begin with, the codes they enter, how their sessions end, who manages them.

use std::time::Duration;

use jeongsan::{
    domain::account::{Role, UserName},
    flow::manage_users::{self, first_owner_link},
    store::{Store, accounts},
};
use reqwest::{Method, Response};
use secrecy::ExposeSecret;
use totp_rs::{Builder, Secret};

use crate::{
    people::{self, PASSWORD, Visitor},
    support::TestApp,
};

fn store(app: &TestApp) -> Store {
    app.app().web.ctx.store.clone()
}

fn to(answer: &Response) -> String {
    let header = answer.headers().get("location");
    header.map_or_else(String::new, |to| to.to_str().unwrap().to_owned())
}

fn minutes(app: &TestApp, many: u64) {
    app.clock.advance(Duration::from_secs(60 * many));
}

/// What an authenticator shows now, or so many steps later.
fn code(app: &TestApp, secret: &str, steps: i64) -> String {
    let totp = Builder::new()
        .with_secret(Secret::try_from_base32(secret).unwrap())
        .with_account_name("minji")
        .with_issuer(Some("jeongsan"))
        .build()
        .unwrap();
    let at = app.clock.now().as_second() + 30 * steps;
    totp.generate(u64::try_from(at).unwrap()).to_string()
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    let start = page
        .find(&mark)
        .unwrap_or_else(|| panic!("{name} in {page}"))
        + mark.len();
    page[start..].split('"').next().unwrap().to_owned()
}

/// The recovery codes that a page shows.
fn codes_of(page: &str) -> Vec<String> {
    page.split("<li><code>")
        .skip(1)
        .map(|part| part.split('<').next().unwrap().to_owned())
        .collect()
}

/// Adds an authenticator by the pages. Gives its secret and the recovery codes.
async fn with_totp(app: &TestApp, visitor: &Visitor) -> (String, Vec<String>) {
    let (status, page) = visitor.text("/account/totp").await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("<svg") && !page.contains("style="));
    let (secret, made_at, sign) = (
        hidden(&page, "secret"),
        hidden(&page, "made_at"),
        hidden(&page, "sign"),
    );
    let form = |code: String| {
        [
            ("secret".to_owned(), secret.clone()),
            ("made_at".to_owned(), made_at.clone()),
            ("sign".to_owned(), sign.clone()),
            ("code".to_owned(), code),
        ]
    };
    let send = |fields: [(String, String); 4]| async move {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (&**a, &**b)).collect();
        let answer = visitor.post("/account/totp", &fields).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, _) = send(form(code(app, &secret, 40))).await;
    assert_eq!(status, 422, "a wrong code confirms nothing");
    let mut foreign = form(code(app, &secret, 0));
    foreign[0].1 = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP".to_owned();
    foreign[3].1 = code(app, &foreign[0].1, 0);
    assert_eq!(send(foreign).await.0, 422, "a secret that was not offered");
    let kept = "select count(*) from user where totp_secret is not null";
    assert_eq!(
        app.sql::<i64>(kept),
        0,
        "what is not confirmed is kept nowhere"
    );
    let (status, page) = send(form(code(app, &secret, 0))).await;
    assert_eq!(status, 200, "{page}");
    let codes = codes_of(&page);
    assert_eq!(codes.len(), 10);
    (secret, codes)
}

#[tokio::test]
async fn the_first_link_makes_the_owner_once_and_within_an_hour() {
    let app = TestApp::start().await;
    let store = store(&app);
    let first = first_owner_link(&store).await.unwrap().unwrap();
    let second = first_owner_link(&store).await.unwrap().unwrap();
    let mut visitor = Visitor::new(&app.url(""));
    let path = |code: &str| format!("/set-up?code={code}");
    let (status, page) = visitor.text(&path(first.expose_secret())).await;
    assert_eq!(status, 404, "a restart makes another link: {page}");
    assert_eq!(visitor.text(&path(second.expose_secret())).await.0, 200);
    minutes(&app, 61);
    assert_eq!(visitor.text(&path(second.expose_secret())).await.0, 404);

    let third = first_owner_link(&store).await.unwrap().unwrap();
    let third = third.expose_secret();
    let set_up = |password: &'static str, again: &'static str| {
        let form = [
            ("code", third),
            ("name", "minji"),
            ("password", password),
            ("again", again),
        ];
        let visitor = &visitor;
        async move { visitor.post("/set-up", &form).await }
    };
    assert_eq!(set_up(PASSWORD, "other").await.status(), 422);
    assert_eq!(set_up("password", "password").await.status(), 422);
    let made = set_up(PASSWORD, PASSWORD).await;
    assert_eq!(
        (made.status().as_u16(), to(&made)),
        (303, "/account?new=1".to_owned())
    );
    assert_eq!(
        set_up(PASSWORD, PASSWORD).await.status(),
        404,
        "it works once"
    );
    visitor.keep(&made);
    let (_, page) = visitor.text("/account?new=1").await;
    assert!(
        page.contains("인증 앱 추가"),
        "the owner is invited to add an authenticator"
    );
    assert!(
        first_owner_link(&store).await.unwrap().is_none(),
        "there is an owner"
    );
    let owner = store
        .read(|conn| accounts::by_name(conn, "minji"))
        .unwrap()
        .unwrap();
    assert_eq!(owner.role, Role::Owner);
}

#[tokio::test]
async fn signing_in_takes_a_code_that_counts_once() {
    let app = TestApp::start().await;
    let base = app.url("");
    let visitor = Visitor::signed_in(&store(&app), &base, "minji", Role::Owner).await;
    let (secret, _) = with_totp(&app, &visitor).await;

    let mut other = Visitor::new(&base);
    let answer = other.sign_in("minji", PASSWORD, "/account").await;
    assert_eq!(to(&answer), "/sign-in/code?next=%2Faccount");
    let half = other.cookie("jeongsan_session").unwrap().to_owned();
    for path in ["/account", "/payment/mypage", "/admin/users"] {
        let answer = other.get(path).await;
        assert!(
            to(&answer).starts_with("/sign-in?next="),
            "{path}: half open is not open"
        );
    }
    let used = code(&app, &secret, 0);
    let enter = |visitor: Visitor, code: String| async move {
        let form = [("given", code.as_str()), ("next", "/account")];
        visitor.post("/sign-in/code", &form).await
    };
    let replayed = enter(other.clone(), used).await;
    assert_eq!(
        replayed.status(),
        401,
        "the code that confirmed it was used"
    );
    minutes(&app, 1);
    let fresh = code(&app, &secret, 0);
    let answer = enter(other.clone(), fresh.clone()).await;
    assert_eq!(
        (answer.status().as_u16(), to(&answer)),
        (303, "/account".to_owned())
    );
    let stale = other.clone();
    other.keep(&answer);
    assert_ne!(
        other.cookie("jeongsan_session").unwrap(),
        half,
        "the secret is a new one"
    );
    assert_eq!(other.get("/account").await.status(), 200);
    assert_ne!(
        stale.get("/account").await.status(),
        200,
        "the half-open one opens nothing"
    );

    let mut third = Visitor::new(&base);
    third.sign_in("minji", PASSWORD, "/account").await;
    assert_eq!(
        enter(third, fresh).await.status(),
        401,
        "a code counts once, whoever enters it"
    );
}

#[tokio::test]
async fn a_recovery_code_counts_once_and_new_ones_end_the_old() {
    let app = TestApp::start().await;
    let base = app.url("");
    let visitor = Visitor::signed_in(&store(&app), &base, "minji", Role::Owner).await;
    let (secret, codes) = with_totp(&app, &visitor).await;
    let by_code = |given: String| {
        let mut visitor = Visitor::new(&base);
        async move {
            visitor.sign_in("minji", PASSWORD, "/account").await;
            let form = [("given", given.as_str()), ("next", "/account")];
            visitor.post("/sign-in/code", &form).await.status().as_u16()
        }
    };
    assert_eq!(by_code(codes[0].to_uppercase()).await, 303);
    assert_eq!(by_code(codes[0].clone()).await, 401, "it was used");
    let (_, page) = visitor.text("/account").await;
    assert!(page.contains("복구 코드 9개"), "{page}");
    let kept = format!(
        "select count(*) from recovery_code where hash = '{}'",
        codes[1]
    );
    assert_eq!(app.sql::<i64>(&kept), 0, "only hashes are kept");

    let made = visitor
        .post("/account/totp/codes", &[])
        .await
        .text()
        .await
        .unwrap();
    let new = codes_of(&made);
    assert_eq!(new.len(), 10);
    assert_eq!(
        by_code(codes[1].clone()).await,
        401,
        "the old ones are over"
    );
    assert_eq!(by_code(new[1].clone()).await, 303);

    let remove = |given: String| {
        let visitor = &visitor;
        async move {
            let answer = visitor
                .post("/account/totp/remove", &[("code", given.as_str())])
                .await;
            answer.status().as_u16()
        }
    };
    assert_eq!(remove("123".into()).await, 401);
    minutes(&app, 1);
    assert_eq!(remove(code(&app, &secret, 0)).await, 303);
    let mut other = Visitor::new(&base);
    let answer = other.sign_in("minji", PASSWORD, "/account").await;
    assert_eq!(to(&answer), "/account", "the password alone signs in");
}

#[tokio::test]
async fn an_offered_secret_is_too_old_after_ten_minutes() {
    let app = TestApp::start().await;
    let visitor = Visitor::signed_in(&store(&app), &app.url(""), "minji", Role::Owner).await;
    let (_, page) = visitor.text("/account/totp").await;
    let (secret, made_at, sign) = (
        hidden(&page, "secret"),
        hidden(&page, "made_at"),
        hidden(&page, "sign"),
    );
    minutes(&app, 11);
    let proof = [("given", PASSWORD), ("next", "/account/totp")];
    assert_eq!(visitor.post("/sign-in/again", &proof).await.status(), 303);
    let now = code(&app, &secret, 0);
    let form = [
        ("secret", secret.as_str()),
        ("made_at", made_at.as_str()),
        ("sign", sign.as_str()),
        ("code", now.as_str()),
    ];
    let answer = visitor.post("/account/totp", &form).await;
    assert_eq!(answer.status(), 422);
    let page = answer.text().await.unwrap();
    assert_ne!(hidden(&page, "secret"), secret, "a new one is offered");
}

#[tokio::test]
async fn a_session_is_a_new_one_at_each_sign_in_and_never_one_that_was_planted() {
    let app = TestApp::start().await;
    let base = app.url("");
    people::add(&store(&app), "minji", Role::Owner, None).await;
    let mut victim = Visitor::new(&base);
    let planted = "0".repeat(64);
    victim
        .cookies
        .push(("jeongsan_session".to_owned(), planted.clone()));
    let answer = victim.sign_in("minji", PASSWORD, "/account").await;
    assert_eq!(answer.status(), 303);
    let first = victim.cookie("jeongsan_session").unwrap().to_owned();
    assert_ne!(first, planted);
    let with = |secret: &str| {
        let mut visitor = Visitor::new(&base);
        visitor
            .cookies
            .push(("jeongsan_session".to_owned(), secret.to_owned()));
        async move { visitor.get("/account").await.status().as_u16() }
    };
    assert_eq!(with(&planted).await, 303, "what was planted opens nothing");
    assert_eq!(with(&first).await, 200);
    victim.sign_in("minji", PASSWORD, "/account").await;
    let second = victim.cookie("jeongsan_session").unwrap().to_owned();
    assert_ne!(second, first);
    assert_eq!(
        with(&first).await,
        303,
        "the former one of this browser is over"
    );
    assert_eq!(with(&second).await, 200);
    assert_eq!(victim.post("/sign-out", &[]).await.status(), 303);
    assert_eq!(
        with(&second).await,
        303,
        "signing out ends it on the server"
    );
}

/// Waits until it is written down that a session was used just now, which happens behind the answer.
async fn used(app: &TestApp) {
    let seen = || app.sql::<i64>("select max(seen_at) from session");
    for _ in 0..400 {
        if app.clock.now().as_millisecond() - seen() < 60_000 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("nothing says that the session was used");
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it_and_in_any_case_after_its_time() {
    let set = [("admin.idle", "1h"), ("admin.session", "6h")];
    let app = TestApp::with(&set, false).await;
    let base = app.url("");
    let idle = Visitor::signed_in(&store(&app), &base, "minji", Role::Owner).await;
    minutes(&app, 59);
    assert_eq!(idle.get("/account").await.status(), 200);
    used(&app).await;
    minutes(&app, 61);
    assert_eq!(
        idle.get("/account").await.status(),
        303,
        "idle for too long"
    );

    let busy = Visitor::signed_in(&store(&app), &base, "minji", Role::Owner).await;
    for _ in 0..11 {
        minutes(&app, 30);
        assert_eq!(busy.get("/account").await.status(), 200);
        used(&app).await;
    }
    minutes(&app, 31);
    assert_eq!(
        busy.get("/account").await.status(),
        303,
        "six hours are over"
    );
}

#[tokio::test]
async fn sessions_are_listed_and_revoked_by_their_person_alone() {
    let app = TestApp::start().await;
    let base = app.url("");
    let here = Visitor::signed_in(&store(&app), &base, "minji", Role::Owner).await;
    let there = Visitor::signed_in(&store(&app), &base, "minji", Role::Owner).await;
    let third = Visitor::signed_in(&store(&app), &base, "minji", Role::Owner).await;
    let other = Visitor::signed_in(&store(&app), &base, "jun", Role::Viewer).await;
    let (_, page) = here.text("/account").await;
    let listed: Vec<String> = page
        .split("action=\"/account/sessions/")
        .skip(1)
        .map(|part| part.split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(listed.len(), 2, "all but this one can be revoked");
    for secret in [&here, &there, &third] {
        let secret = secret.cookie("jeongsan_session").unwrap();
        assert!(!page.contains(secret), "no secret is on a page");
    }
    let path = format!("/account/sessions/{}", listed[0]);
    assert_eq!(other.post(&path, &[]).await.status(), 404, "nobody else's");
    assert_eq!(here.post(&path, &[]).await.status(), 303);
    let open = |visitor: Visitor| async move { visitor.get("/account").await.status() == 200 };
    let left = [open(there.clone()).await, open(third.clone()).await];
    assert_eq!(left.iter().filter(|open| **open).count(), 1);
    assert_eq!(here.post("/account/sessions", &[]).await.status(), 303);
    assert!(!open(there).await && !open(third).await && open(here).await && open(other).await);
}

#[tokio::test]
async fn a_new_password_asks_for_the_present_one_and_ends_all_other_sessions() {
    let app = TestApp::start().await;
    let base = app.url("");
    let here = Visitor::signed_in(&store(&app), &base, "minji", Role::Owner).await;
    let there = Visitor::signed_in(&store(&app), &base, "minji", Role::Owner).await;
    let new = "gx8!kQ2zPw trains";
    let change = |present: &'static str, password: &'static str, again: &'static str| {
        let here = &here;
        async move {
            let form = [
                ("present", present),
                ("password", password),
                ("again", again),
            ];
            here.post("/account/password", &form)
                .await
                .status()
                .as_u16()
        }
    };
    assert_eq!(change("not it at all", new, new).await, 401);
    assert_eq!(change(PASSWORD, new, "another").await, 422);
    assert_eq!(
        change(PASSWORD, "minji123", "minji123").await,
        422,
        "too easy"
    );
    assert_eq!(change(PASSWORD, new, new).await, 303);
    assert_eq!(here.get("/account").await.status(), 200);
    assert_eq!(there.get("/account").await.status(), 303);
    let mut visitor = Visitor::new(&base);
    assert_eq!(visitor.sign_in("minji", PASSWORD, "/").await.status(), 401);
    assert_eq!(visitor.sign_in("minji", new, "/").await.status(), 303);
    minutes(&app, 6);
    let answer = here.get("/account/password").await;
    assert_eq!(
        to(&answer),
        "/sign-in/again?next=%2Faccount%2Fpassword",
        "asked once more"
    );
}

#[tokio::test]
async fn an_owner_adds_people_by_a_link_that_is_shown_once() {
    let app = TestApp::start().await;
    let base = app.url("");
    let owner = Visitor::signed_in(&store(&app), &base, "minji", Role::Owner).await;
    let add = |form: Vec<(&'static str, &'static str)>| {
        let owner = &owner;
        async move {
            let answer = owner.post("/admin/users", &form).await;
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    let (status, page) = add(vec![("name", "jun"), ("role", "viewer")]).await;
    assert_eq!(status, 201, "{page}");
    let link = page.split("set-up?code=").nth(1).unwrap();
    let secret = link.split('"').next().unwrap().to_owned();
    assert!(
        !owner.text("/admin/users/jun").await.1.contains(&secret),
        "shown once"
    );
    for (form, wanted) in [
        (vec![("name", "jun"), ("role", "viewer")], 409),
        (vec![("name", "1"), ("role", "viewer")], 422),
        (vec![("name", "han"), ("role", "king")], 422),
        (vec![("name", "han"), ("role", "partner")], 422),
        (
            vec![("name", "han"), ("role", "partner"), ("partner", "nobody")],
            422,
        ),
        (
            vec![("name", "han"), ("role", "viewer"), ("partner", "house")],
            422,
        ),
    ] {
        let (status, page) = add(form.clone()).await;
        assert_eq!(status, wanted, "{form:?}");
        assert!(page.contains("role=\"alert\""), "{form:?}");
    }
    let jun = Visitor::new(&base);
    let form = [
        ("code", secret.as_str()),
        ("name", "somebody-else"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    let answer = jun.post("/set-up", &form).await;
    assert_eq!(
        (answer.status().as_u16(), to(&answer)),
        (303, "/".to_owned())
    );
    let users = store(&app).read(accounts::list).unwrap();
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["jun", "minji"], "a link is for one name");
    assert_eq!(jun.post("/set-up", &form).await.status(), 404);

    let (status, page) = owner.text("/admin/users").await;
    assert_eq!(status, 200);
    assert!(page.contains("/admin/users/jun") && page.contains("payouts:write"));
    assert_eq!(owner.text("/admin/users/nobody").await.0, 404);
}

#[tokio::test]
async fn whatever_changes_what_somebody_may_ends_their_sessions_at_once() {
    let app = TestApp::start().await;
    let base = app.url("");
    let owner = Visitor::signed_in(&store(&app), &base, "minji", Role::Owner).await;
    let act = |path: &'static str, form: Vec<(&'static str, &'static str)>| {
        let owner = &owner;
        async move { owner.post(path, &form).await.status().as_u16() }
    };
    let open = |visitor: Visitor| async move { visitor.get("/account").await.status() == 200 };
    let jun = Visitor::signed_in(&store(&app), &base, "jun", Role::Viewer).await;
    assert_eq!(
        act("/admin/users/jun/role", vec![("role", "operator")]).await,
        303
    );
    assert!(!open(jun).await, "another role");
    let jun = Visitor::signed_in(&store(&app), &base, "jun", Role::Operator).await;
    assert_eq!(act("/admin/users/jun/sessions", vec![]).await, 303);
    assert!(!open(jun).await, "ended by an owner");
    let jun = Visitor::signed_in(&store(&app), &base, "jun", Role::Operator).await;
    assert_eq!(act("/admin/users/jun/disable", vec![]).await, 303);
    assert!(!open(jun).await, "disabled");
    let mut shut = Visitor::new(&base);
    assert_eq!(shut.sign_in("jun", PASSWORD, "/").await.status(), 401);
    assert_eq!(act("/admin/users/jun/enable", vec![]).await, 303);
    let jun = Visitor::signed_in(&store(&app), &base, "jun", Role::Operator).await;
    assert_eq!(act("/admin/users/jun/reset", vec![]).await, 200);
    assert!(!open(jun).await, "reset");
    assert_eq!(shut.sign_in("jun", PASSWORD, "/").await.status(), 401);
    assert_eq!(act("/admin/users/nobody/disable", vec![]).await, 404);
}

#[tokio::test]
async fn the_last_owner_cannot_be_lost() {
    let app = TestApp::start().await;
    let base = app.url("");
    let owner = Visitor::signed_in(&store(&app), &base, "minji", Role::Owner).await;
    // One who has not chosen a password cannot sign in: no owner to rely on.
    let name = UserName::new("later").unwrap();
    manage_users::add(&store(&app), name, Role::Owner, None, "test")
        .await
        .unwrap();
    for (path, form) in [
        ("/admin/users/minji/role", vec![("role", "viewer")]),
        ("/admin/users/minji/disable", vec![]),
        ("/admin/users/minji/reset", vec![]),
    ] {
        let answer = owner.post(path, &form).await;
        assert_eq!(answer.status(), 409, "{path}");
        assert!(
            answer.text().await.unwrap().contains("먼저 다른 소유자"),
            "{path}"
        );
    }
    assert_eq!(owner.get("/admin/users").await.status(), 200);
    people::add(&store(&app), "second", Role::Owner, None).await;
    let form = [("role", "viewer")];
    assert_eq!(
        owner.post("/admin/users/minji/role", &form).await.status(),
        303
    );
}

#[tokio::test]
async fn language_and_colours_come_along_to_the_next_browser() {
    let app = TestApp::start().await;
    let base = app.url("");
    let mut here = Visitor::signed_in(&store(&app), &base, "minji", Role::Viewer).await;
    let form = [("lang", "en"), ("theme", "dark")];
    let answer = here.post("/account/look", &form).await;
    assert_eq!(answer.status(), 303);
    here.keep(&answer);
    let (_, page) = here.text("/account?did=look").await;
    assert!(page.contains("<html lang=\"en\" data-theme=\"dark\">") && page.contains("Saved."));
    // A link that somebody sent says nothing of the kind.
    let sent = here.request(Method::GET, "/account?did=look");
    let sent = sent
        .header("cookie", here.header())
        .header("sec-fetch-site", "none");
    let page = sent.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("<html lang=\"en\"") && !page.contains("Saved."));
    let there = Visitor::signed_in(&store(&app), &base, "minji", Role::Viewer).await;
    assert_eq!(
        (there.cookie("lang"), there.cookie("theme")),
        (Some("en"), Some("dark"))
    );
    assert_eq!(here.get("/lang?to=ko&next=/account").await.status(), 303);
    let there = Visitor::signed_in(&store(&app), &base, "minji", Role::Viewer).await;
    assert_eq!(
        (there.cookie("lang"), there.cookie("theme")),
        (Some("ko"), Some("dark"))
    );
    let odd = [("lang", "fr"), ("theme", "\"><script>")];
    assert_eq!(here.post("/account/look", &odd).await.status(), 303);
    let there = Visitor::signed_in(&store(&app), &base, "minji", Role::Viewer).await;
    assert_eq!(
        (there.cookie("lang"), there.cookie("theme")),
        (Some("ko"), Some("dark"))
    );
}

#[tokio::test]
async fn each_role_begins_where_its_work_is() {
    let app = TestApp::start().await;
    let base = app.url("");
    for (name, role, home) in [
        ("own", Role::Owner, "/admin"),
        ("ope", Role::Operator, "/admin"),
        ("acc", Role::Accountant, "/admin"),
        ("vie", Role::Viewer, "/admin"),
        ("par", Role::Partner, "/partner"),
    ] {
        let partner = (role == Role::Partner).then_some("house");
        people::add(&store(&app), name, role, partner).await;
        let mut visitor = Visitor::new(&base);
        let answer = visitor.sign_in(name, PASSWORD, "").await;
        assert_eq!(to(&answer), "/", "{name}");
        assert_eq!(to(&visitor.get("/").await), home, "{name}");
        assert_eq!(visitor.get(home).await.status(), 200, "{name}");
    }
    assert_eq!(to(&Visitor::new(&base).get("/").await), "/payment");
}
