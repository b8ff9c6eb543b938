//! Pages: they take values and show them, and only read. What a form asks for is one flow's call.
//!
//! Every page works without scripts: forms post and lead on. Scripts add what changes by itself
//! (`assets/app.js`, htmx with server-sent events) and PortOne's window (`assets/pay.js`).

mod account;
mod alerts;
mod approvals;
mod audit;
mod back;
mod cancel;
mod charts;
mod dead_letters;
mod flash;
mod home;
mod icons;
mod inbox;
mod jobs;
mod keys;
mod layout;
mod mine;
mod mypage;
mod nav;
mod partners;
mod parts;
mod pay;
mod payment;
mod payouts;
mod portal;
pub(super) mod reference;
mod result;
mod reveal;
mod rules;
mod samples;
mod saved;
mod search;
mod set_up;
mod settlements;
mod sign_in;
mod theme;
mod timeline;
mod told;
mod tour;
mod users;
mod words;

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};

use super::{Web, auth::home_of, error::Problem, gate::Asked};
pub use cancel::asks_again;
pub use layout::{page_of_form, segment};
pub use tour::routes as tour_routes;

pub(super) use flash::forget as forget_flash;
pub(super) use layout::Look;

/// Pages that anybody may see: the pay page, its result, the sign-in form.
pub fn open() -> Router<Web> {
    Router::new()
        .route("/", get(start))
        .route("/payment", get(pay::start))
        .route("/payment/orders", post(pay::create))
        .route("/payment/orders/{merchant_uid}", get(pay::order))
        .route("/payment/return", get(back::came_from_window))
        .route("/payment/result/{imp_uid}", get(result::show))
        .route("/payment/result/{imp_uid}/stand", get(result::changed))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-in/code", get(sign_in::code_form).post(sign_in::code))
        .route(
            "/sign-in/again",
            get(sign_in::again_form).post(sign_in::again),
        )
        .route("/set-up", get(set_up::form).post(set_up::choose))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/payment/mine/leave", post(mine::leave))
        .route("/lang", get(sign_in::lang_link).post(sign_in::lang_form))
        .route("/theme", get(theme::link).post(theme::form))
}

/// Pages for who is signed in.
pub fn signed_in() -> Router<Web> {
    Router::new()
        .route("/admin", get(home::show))
        .route("/admin/attention", get(home::attention_changed))
        .route("/admin/search", get(search::show))
        .route("/admin/search/suggest", get(search::suggest))
        .route("/admin/filters", post(saved::save))
        .route("/admin/filters/{id}/remove", post(saved::remove))
        .route("/admin/columns", post(saved::choose))
        .route("/payment/mypage", get(mypage::show))
        .route("/payment/mine/{imp_uid}", get(mine::show))
        .route("/payment/mypage/attention", get(mypage::attention_changed))
        .route("/payment/mypage/rows/{imp_uid}", get(mypage::row_changed))
        .route("/payment/{imp_uid}", get(payment::show))
        .route("/payment/{imp_uid}/live", get(payment::changed))
        .route("/payment/{imp_uid}/release", post(payment::release))
        .route("/payment/{imp_uid}/reveal", post(payment::reveal))
        .route(
            "/payment/{imp_uid}/cancel",
            get(cancel::form).post(cancel::carry_out),
        )
        .route("/payment/{imp_uid}/cancel/confirm", post(cancel::confirm))
        .route("/admin/dead-letters", get(dead_letters::list))
        .route("/admin/dead-letters/{id}", get(dead_letters::show))
        .route(
            "/admin/dead-letters/{id}/replay",
            post(dead_letters::replay),
        )
        .route(
            "/admin/dead-letters/{id}/discard",
            post(dead_letters::discard),
        )
        .route("/admin/alerts", get(alerts::list))
        .route("/admin/inbox", get(inbox::list))
        .merge(approvals::routes())
        .merge(account::routes())
        .merge(users::routes())
        .merge(audit::routes())
        .merge(portal::routes())
        .merge(jobs::routes())
        .merge(rules::routes())
        .merge(keys::routes())
        .merge(settlements::routes())
        .merge(payouts::routes())
        .merge(partners::routes())
}

/// What no route takes.
pub async fn not_found(State(web): State<Web>, request: Request) -> Response {
    let path: String = request.uri().path().chars().take(200).collect();
    refuse(&web, request, Problem::not_found(&path))
}

/// A route that is there, called by another method.
pub async fn not_allowed(State(web): State<Web>, request: Request) -> Response {
    let asked = request.extensions().get::<Asked>();
    let method = asked.map_or_else(|| request.method().clone(), |asked| asked.0.clone());
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("이 주소는 {method} 요청을 받지 않습니다."),
        format!("This address does not take {method}."),
    );
    refuse(&web, request, problem)
}

/// A page for people, a problem for programs.
fn refuse(web: &Web, request: Request, problem: Problem) -> Response {
    let (parts, _) = request.into_parts();
    let look = Look::of(&parts, web);
    if parts.uri.path().starts_with("/api/") {
        problem.lang(look.lang).into_response()
    } else {
        look.problem(&problem)
    }
}

/// `GET /`
async fn start(look: Look) -> Redirect {
    let person = look.actor.as_ref().filter(|_| look.signed_in);
    Redirect::to(home_of(person))
}

#[cfg(test)]
mod test_values {
    //! Values that page tests start from.

    use crate::{
        domain::{
            ids::{MerchantUid, PartnerId},
            money::Won,
            order::{Order, OrderLine},
            payment::Status,
            seen::About,
        },
        store::payments::PaymentRow,
    };

    pub fn order(name: &str, amount: i64) -> Order {
        let line = OrderLine {
            partner: PartnerId::new("farm-<b>").unwrap(),
            name: name.into(),
            quantity: 1,
            unit_price: Won::new(amount),
            discount: Won::ZERO,
        };
        Order {
            merchant_uid: MerchantUid::new("ord-<1>").unwrap(),
            name: name.into(),
            buyer: None,
            amount: Won::new(amount),
            tax_free: Won::ZERO,
            lines: vec![line],
        }
    }

    pub fn payment(status: Status) -> PaymentRow {
        let at = "2026-08-06T01:00:00Z".parse().unwrap();
        let cancelled = match status {
            Status::Canceled => 12_000,
            Status::PartialCanceled => 3_000,
            _ => 0,
        };
        let paid = !matches!(status, Status::Ready | Status::Failed);
        PaymentRow {
            row: 1,
            imp_uid: "imp_<1>".into(),
            merchant_uid: "ord-<1>".into(),
            status,
            amount: Won::new(12_000),
            cancelled_amount: Won::new(cancelled),
            balance: Won::new(if paid { 12_000 - cancelled } else { 0 }),
            cancellation: None,
            hold: None,
            test: true,
            about: About {
                name: "햇사과 5kg".into(),
                method: "card".into(),
                buyer_name: "홍길동".into(),
                buyer_email: "hong@example.com".into(),
                buyer_tel: "010-1234-5678".into(),
                ..About::default()
            },
            fail_reason: None,
            at,
            paid_at: paid.then_some(at),
            updated_at: at,
        }
    }
}
