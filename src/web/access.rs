//! Who may reach which route: the whole of it, on one screen or two.
//!
//! The gate looks a request's route up here before any handler runs. A route without a row is
//! refused, so a new one needs its line here, and a line in the test that tries every role.

use super::auth::Actor;
use crate::domain::account::Right::{self, *};

/// What whoever calls a route must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Anybody.
    Open,
    /// Anybody, from a form of ours: it changes something.
    Form,
    /// Any person with an account.
    SignedIn,
    Has(Right),
    /// Who has the right sees all, a buyer only what is theirs: by a token, which is no sign-in.
    OrBuyer(Right),
}

use Need::{Form, Has, Open, OrBuyer, SignedIn};

/// A route and its need.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub method: &'static str,
    pub path: &'static str,
    pub need: Need,
    /// Whether a person must have proved in the last minutes who they are: where money moves, and
    /// where it is decided to whom.
    pub fresh: bool,
}

impl Row {
    const fn fresh(mut self) -> Row {
        self.fresh = true;
        self
    }

    /// Whether this is somebody who may.
    pub fn admits(&self, actor: Option<&Actor>) -> bool {
        match self.need {
            Open | Form => true,
            SignedIn => actor.is_some_and(|actor| actor.person().is_some()),
            // Whether it is a buyer, the gate finds out: nobody signed in is one.
            Has(right) | OrBuyer(right) => actor.is_some_and(|actor| actor.may(right)),
        }
    }
}

const fn row(method: &'static str, path: &'static str, need: Need) -> Row {
    Row {
        method,
        path,
        need,
        fresh: false,
    }
}

/// Every route, by its path.
#[rustfmt::skip]
pub static TABLE: &[Row] = &[
    row("GET", "/", Open),
    row("GET", "/account", SignedIn),
    row("POST", "/account/look", SignedIn),
    row("GET", "/account/password", SignedIn).fresh(),
    row("POST", "/account/password", SignedIn).fresh(),
    row("POST", "/account/sessions", SignedIn).fresh(),
    row("POST", "/account/sessions/{id}", SignedIn),
    row("GET", "/account/totp", SignedIn).fresh(),
    row("POST", "/account/totp", SignedIn).fresh(),
    row("POST", "/account/totp/codes", SignedIn).fresh(),
    row("POST", "/account/totp/remove", SignedIn),
    row("GET", "/admin", Has(PaymentsRead)),
    row("GET", "/admin/adjustments", Has(SettlementsRead)),
    row("POST", "/admin/adjustments", Has(SettlementsWrite)),
    row("GET", "/admin/adjustments/import", Has(SettlementsWrite)),
    row("POST", "/admin/adjustments/import", Has(SettlementsWrite)),
    row("GET", "/admin/alerts", Has(JobsRead)),
    row("GET", "/admin/approvals", Has(SettlementsRead)),
    row("GET", "/admin/approvals/{id}", Has(SettlementsRead)),
    row("POST", "/admin/approvals/{id}/approve", Has(SettlementsWrite)).fresh(),
    row("POST", "/admin/approvals/{id}/refuse", Has(SettlementsWrite)).fresh(),
    row("POST", "/admin/approvals/{id}/withdraw", Has(SettlementsWrite)).fresh(),
    row("GET", "/admin/attention", Has(PaymentsRead)),
    row("GET", "/admin/audit", Has(AuditRead)),
    row("GET", "/admin/audit/export.csv", Has(Export)),
    row("GET", "/admin/audit/export.xlsx", Has(Export)),
    row("POST", "/admin/audit/verify", Has(AuditRead)),
    row("GET", "/admin/calendar", Has(SettlementsRead)),
    row("POST", "/admin/calendar", Has(PayoutsWrite)),
    row("POST", "/admin/columns", SignedIn),
    row("POST", "/admin/contracts/{id}/withdraw", Has(PartnersWrite)).fresh(),
    row("GET", "/admin/dead-letters", Has(JobsRead)),
    row("GET", "/admin/dead-letters/replay", Has(JobsWrite)).fresh(),
    row("POST", "/admin/dead-letters/replay", Has(JobsWrite)).fresh(),
    row("GET", "/admin/dead-letters/{id}", Has(JobsRead)),
    row("POST", "/admin/dead-letters/{id}/discard", Has(JobsWrite)),
    row("POST", "/admin/dead-letters/{id}/replay", Has(JobsWrite)),
    row("POST", "/admin/filters", SignedIn),
    row("POST", "/admin/filters/{id}/remove", SignedIn),
    row("GET", "/admin/inbox", Has(JobsRead)),
    row("GET", "/admin/jobs", Has(JobsRead)),
    row("POST", "/admin/jobs/kinds/{kind}/pause", Has(JobsWrite)),
    row("POST", "/admin/jobs/kinds/{kind}/resume", Has(JobsWrite)),
    row("GET", "/admin/jobs/live", Has(JobsRead)),
    row("GET", "/admin/jobs/live/rows", Has(JobsRead)),
    row("GET", "/admin/jobs/{id}", Has(JobsRead)),
    row("POST", "/admin/jobs/{id}/discard", Has(JobsWrite)),
    row("GET", "/admin/jobs/{id}/live", Has(JobsRead)),
    row("POST", "/admin/jobs/{id}/run-now", Has(JobsWrite)),
    row("GET", "/admin/keys", Has(Manage)).fresh(),
    row("POST", "/admin/keys", Has(Manage)).fresh(),
    row("POST", "/admin/keys/{id}/revoke", Has(Manage)).fresh(),
    row("GET", "/admin/partners", Has(PartnersRead)),
    row("GET", "/admin/partners/export.csv", Has(Export)),
    row("GET", "/admin/partners/export.xlsx", Has(Export)),
    row("GET", "/admin/partners/import", Has(PartnersWrite)).fresh(),
    row("POST", "/admin/partners/import", Has(PartnersWrite)).fresh(),
    row("GET", "/admin/partners/import/template.csv", Has(Export)),
    row("GET", "/admin/partners/import/template.xlsx", Has(Export)),
    row("GET", "/admin/partners/new", Has(PartnersWrite)).fresh(),
    row("POST", "/admin/partners/new", Has(PartnersWrite)).fresh(),
    row("GET", "/admin/partners/{id}", Has(PartnersRead)),
    row("POST", "/admin/partners/{id}/archive", Has(PartnersWrite)),
    row("GET", "/admin/partners/{id}/contract", Has(PartnersWrite)).fresh(),
    row("POST", "/admin/partners/{id}/contract", Has(PartnersWrite)).fresh(),
    row("GET", "/admin/partners/{id}/edit", Has(PartnersWrite)).fresh(),
    row("POST", "/admin/partners/{id}/edit", Has(PartnersWrite)).fresh(),
    row("POST", "/admin/partners/{id}/recover", Has(PartnersWrite)),
    row("POST", "/admin/partners/{id}/reveal", Has(PersonalRead)),
    row("GET", "/admin/payouts", Has(SettlementsRead)),
    row("POST", "/admin/payouts", Has(PayoutsWrite)).fresh(),
    row("GET", "/admin/payouts/new", Has(PayoutsWrite)).fresh(),
    row("GET", "/admin/payouts/templates", Has(PayoutsWrite)),
    row("GET", "/admin/payouts/templates/{name}", Has(PayoutsWrite)),
    row("POST", "/admin/payouts/templates/{name}", Has(PayoutsWrite)),
    row("POST", "/admin/payouts/templates/{name}/copy", Has(PayoutsWrite)),
    row("POST", "/admin/payouts/templates/{name}/reset", Has(PayoutsWrite)),
    row("GET", "/admin/payouts/templates/{name}/sample", Has(Export)),
    row("GET", "/admin/payouts/{id}", Has(SettlementsRead)),
    row("POST", "/admin/payouts/{id}/call-off", Has(PayoutsWrite)),
    row("GET", "/admin/payouts/{id}/file", Has(PayoutsWrite)).fresh(),
    row("GET", "/admin/payouts/{id}/payouts/{payout}", Has(SettlementsRead)),
    row("POST", "/admin/payouts/{id}/payouts/{payout}", Has(PayoutsWrite)),
    row("POST", "/admin/payouts/{id}/result", Has(PayoutsWrite)),
    row("POST", "/admin/payouts/{id}/result/confirm", Has(PayoutsWrite)),
    row("GET", "/admin/payouts/{id}/withholding", Has(Export)),
    row("GET", "/admin/search", Has(PaymentsRead)),
    row("GET", "/admin/search/suggest", Has(PaymentsRead)),
    row("GET", "/admin/settings", Has(Manage)).fresh(),
    row("POST", "/admin/settings", Has(Manage)).fresh(),
    row("GET", "/admin/settlements", Has(SettlementsRead)),
    row("GET", "/admin/settlements/days/{day}", Has(SettlementsRead)),
    row("POST", "/admin/settlements/days/{day}/dry-run", Has(SettlementsWrite)),
    row("GET", "/admin/settlements/days/{day}/progress", Has(SettlementsRead)),
    row("POST", "/admin/settlements/days/{day}/reopen", Has(SettlementsWrite)),
    row("POST", "/admin/settlements/days/{day}/settle", Has(SettlementsWrite)),
    row("GET", "/admin/settlements/{id}", Has(SettlementsRead)),
    row("POST", "/admin/settlements/{id}/hold", Has(SettlementsWrite)),
    row("GET", "/admin/settlements/{id}/lines/{seq}", Has(SettlementsRead)),
    row("POST", "/admin/settlements/{id}/release", Has(SettlementsWrite)),
    row("POST", "/admin/settlements/{id}/retry", Has(SettlementsWrite)),
    row("GET", "/admin/statements/{partner}", Has(SettlementsRead)),
    row("GET", "/admin/statements/{partner}/statement.csv", Has(Export)),
    row("GET", "/admin/statements/{partner}/statement.xlsx", Has(Export)),
    row("GET", "/admin/users", Has(Manage)).fresh(),
    row("POST", "/admin/users", Has(Manage)).fresh(),
    row("GET", "/admin/users/{name}", Has(Manage)).fresh(),
    row("POST", "/admin/users/{name}/disable", Has(Manage)).fresh(),
    row("POST", "/admin/users/{name}/enable", Has(Manage)).fresh(),
    row("POST", "/admin/users/{name}/reset", Has(Manage)).fresh(),
    row("POST", "/admin/users/{name}/role", Has(Manage)).fresh(),
    row("POST", "/admin/users/{name}/sessions", Has(Manage)).fresh(),
    row("GET", "/api/adjustments", Has(SettlementsRead)),
    row("POST", "/api/adjustments", Has(SettlementsWrite)),
    row("POST", "/api/adjustments/import", Has(SettlementsWrite)),
    row("GET", "/api/approvals", Has(SettlementsRead)),
    row("GET", "/api/approvals/{id}", Has(SettlementsRead)),
    row("GET", "/api/bank-templates", Has(PayoutsWrite)),
    row("GET", "/api/bank-templates/{name}", Has(PayoutsWrite)),
    row("PUT", "/api/bank-templates/{name}", Has(PayoutsWrite)),
    row("DELETE", "/api/bank-templates/{name}", Has(PayoutsWrite)),
    row("POST", "/api/buyers/links", Has(OrdersWrite)),
    row("GET", "/api/calendar", Has(SettlementsRead)),
    row("PUT", "/api/calendar/{day}", Has(PayoutsWrite)),
    row("DELETE", "/api/calendar/{day}", Has(PayoutsWrite)),
    row("DELETE", "/api/contracts/{id}", Has(PartnersWrite)).fresh(),
    row("GET", "/api/openapi.json", Open),
    row("POST", "/api/orders", Has(OrdersWrite)),
    row("GET", "/api/orders/{merchant_uid}", Has(PaymentsRead)),
    row("GET", "/api/partners", Has(PartnersRead)),
    row("POST", "/api/partners", Has(PartnersWrite)).fresh(),
    row("POST", "/api/partners/import", Has(PartnersWrite)).fresh(),
    row("GET", "/api/partners/{id}", Has(PartnersRead)),
    row("PUT", "/api/partners/{id}", Has(PartnersWrite)).fresh(),
    row("GET", "/api/partners/{id}/account", Has(SettlementsRead)),
    row("POST", "/api/partners/{id}/archive", Has(PartnersWrite)),
    row("GET", "/api/partners/{id}/contracts", Has(PartnersRead)),
    row("POST", "/api/partners/{id}/contracts", Has(PartnersWrite)).fresh(),
    row("POST", "/api/partners/{id}/recover", Has(PartnersWrite)),
    row("GET", "/api/payment/cancel/{imp_uid}", Has(PaymentsCancel)),
    row("DELETE", "/api/payment/cancel/{imp_uid}", Has(PaymentsCancel)),
    row("GET", "/api/payment/events", Has(PaymentsRead)),
    row("GET", "/api/payment/list", Has(PaymentsRead)),
    row("POST", "/api/payment/portone", Open),
    row("GET", "/api/payment/{imp_uid}", Has(PaymentsRead)),
    row("POST", "/api/payment/{imp_uid}/cancel", Has(PaymentsCancel)),
    row("GET", "/api/payment/{imp_uid}/events", Has(PaymentsRead)),
    row("GET", "/api/payment/{imp_uid}/status", Has(PaymentsRead)),
    row("GET", "/api/payouts", Has(SettlementsRead)),
    row("POST", "/api/payouts", Has(PayoutsWrite)).fresh(),
    row("GET", "/api/payouts/due", Has(SettlementsRead)),
    row("GET", "/api/payouts/{id}", Has(SettlementsRead)),
    row("POST", "/api/payouts/{id}/call-off", Has(PayoutsWrite)),
    row("GET", "/api/payouts/{id}/file", Has(PayoutsWrite)).fresh(),
    row("POST", "/api/payouts/{id}/payouts/{payout}", Has(PayoutsWrite)),
    row("POST", "/api/payouts/{id}/result", Has(PayoutsWrite)),
    row("GET", "/api/reference", Open),
    row("GET", "/api/settlements", Has(SettlementsRead)),
    row("GET", "/api/settlements/days/{day}", Has(SettlementsRead)),
    row("POST", "/api/settlements/days/{day}", Has(SettlementsWrite)),
    row("POST", "/api/settlements/days/{day}/reopen", Has(SettlementsWrite)),
    row("GET", "/api/settlements/{id}", Has(SettlementsRead)),
    row("POST", "/api/settlements/{id}/hold", Has(SettlementsWrite)),
    row("GET", "/api/settlements/{id}/lines", Has(SettlementsRead)),
    row("POST", "/api/settlements/{id}/release", Has(SettlementsWrite)),
    row("POST", "/api/settlements/{id}/retry", Has(SettlementsWrite)),
    row("GET", "/api/statements/{partner}", Has(SettlementsRead)),
    row("GET", "/assets/{*path}", Open),
    row("GET", "/healthz", Open),
    row("GET", "/lang", Open),
    row("POST", "/lang", Form),
    row("GET", "/metrics", Has(JobsRead)),
    row("GET", "/partner", Has(OwnSettlements)),
    row("GET", "/partner/settlements/{id}", Has(OwnSettlements)),
    row("GET", "/partner/settlements/{id}/lines/{seq}", Has(OwnSettlements)),
    row("GET", "/partner/statements", Has(OwnSettlements)),
    row("GET", "/partner/statements/statement.csv", Has(OwnSettlements)),
    row("GET", "/partner/statements/statement.xlsx", Has(OwnSettlements)),
    row("GET", "/payment", Open),
    row("POST", "/payment/mine/leave", Form),
    row("GET", "/payment/mine/{imp_uid}", OrBuyer(PaymentsRead)),
    row("GET", "/payment/mypage", OrBuyer(PaymentsRead)),
    row("GET", "/payment/mypage/attention", Has(PaymentsRead)),
    row("GET", "/payment/mypage/rows/{imp_uid}", Has(PaymentsRead)),
    row("POST", "/payment/orders", Form),
    row("GET", "/payment/orders/{merchant_uid}", Open),
    row("GET", "/payment/result/{imp_uid}", Open),
    row("GET", "/payment/result/{imp_uid}/stand", Open),
    row("GET", "/payment/return", Open),
    row("GET", "/payment/{imp_uid}", Has(PaymentsRead)),
    row("GET", "/payment/{imp_uid}/cancel", Has(PaymentsCancel)),
    row("POST", "/payment/{imp_uid}/cancel", Has(PaymentsCancel)),
    row("POST", "/payment/{imp_uid}/cancel/confirm", Has(PaymentsCancel)),
    row("GET", "/payment/{imp_uid}/live", Has(PaymentsRead)),
    row("POST", "/payment/{imp_uid}/release", Has(PaymentsCancel)),
    row("POST", "/payment/{imp_uid}/reveal", Has(PersonalRead)),
    row("GET", "/readyz", Open),
    row("GET", "/set-up", Open),
    row("POST", "/set-up", Form),
    row("GET", "/sign-in", Open),
    row("POST", "/sign-in", Form),
    row("GET", "/sign-in/again", SignedIn),
    row("POST", "/sign-in/again", SignedIn),
    row("GET", "/sign-in/code", Open),
    row("POST", "/sign-in/code", Form),
    row("POST", "/sign-out", Form),
    row("GET", "/theme", Open),
    row("POST", "/theme", Form),
    // The demo's alone: no other program has the route.
    row("POST", "/tour/{act}", SignedIn),
];

/// The row of a route. HEAD is a GET whose body nobody reads: but not of the one GET that changes something.
pub fn find(method: &str, path: &str) -> Option<&'static Row> {
    let method = match method {
        "HEAD" if path != "/api/payment/cancel/{imp_uid}" => "GET",
        method => method,
    };
    // Sorted by path: one comparison after the other would be felt by every request.
    let from = TABLE.partition_point(|row| row.path < path);
    TABLE[from..]
        .iter()
        .take_while(|row| row.path == path)
        .find(|row| row.method == method)
}

/// Whether there is such a route at all, by whatever method.
pub fn known(path: &str) -> bool {
    TABLE.binary_search_by(|row| row.path.cmp(path)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_each_route_once() {
        for pair in TABLE.windows(2) {
            assert!(
                pair[0].path <= pair[1].path,
                "{} before {}",
                pair[0].path,
                pair[1].path
            );
        }
        for row in TABLE {
            let found = find(row.method, row.path).unwrap();
            assert!(
                std::ptr::eq(found, row),
                "{} {} twice",
                row.method,
                row.path
            );
        }
        assert!(find("HEAD", "/payment/mypage").is_some());
        assert!(find("HEAD", "/api/payment/cancel/{imp_uid}").is_none());
        assert!(find("PATCH", "/payment/mypage").is_none() && known("/payment/mypage"));
        assert!(!known("/payment/nowhere"));
    }

    #[test]
    fn what_changes_something_is_never_open_to_a_foreign_form() {
        for row in TABLE.iter().filter(|row| row.method != "GET") {
            // PortOne's messages are hints: anybody may send one.
            let webhook = row.path == "/api/payment/portone";
            assert!(row.need != Open || webhook, "{} {}", row.method, row.path);
        }
    }
}
