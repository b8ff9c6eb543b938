//! Pages of settlements, days, statements and adjustments: a file per page.

mod adjustments;
mod chart;
mod day;
mod import;
pub(super) mod line;
mod list;
pub(super) mod one;
mod said;
pub(super) mod statement;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use maud::{Markup, html};

use super::layout::{Page, Part};
use super::parts::crumb;
pub(super) use list::COLUMNS;

use crate::{
    sheet::CellError,
    web::{Web, api::settlements::LARGEST_FILE, lang::Lang},
};

pub(super) use said::{
    Desk, actor, badge as settlement_badge, of_payment, payout_badge, settlement_path,
    statement_path,
};

/// Pages for who is signed in.
pub fn routes() -> Router<Web> {
    Router::new()
        .route("/admin/settlements", get(list::show))
        .route("/admin/settlements/{id}", get(one::show))
        .route("/admin/settlements/{id}/lines/{seq}", get(line::show))
        .route("/admin/settlements/{id}/hold", post(one::hold))
        .route("/admin/settlements/{id}/release", post(one::release))
        .route("/admin/settlements/{id}/retry", post(one::retry))
        .route("/admin/settlements/days/{day}", get(day::show))
        .route("/admin/settlements/days/{day}/progress", get(day::progress))
        .route("/admin/settlements/days/{day}/settle", post(day::settle))
        .route("/admin/settlements/days/{day}/dry-run", post(day::dry_run))
        .route("/admin/settlements/days/{day}/reopen", post(day::reopen))
        .route("/admin/statements/{partner}", get(statement::show))
        .route(
            "/admin/statements/{partner}/statement.xlsx",
            get(statement::workbook),
        )
        .route(
            "/admin/statements/{partner}/statement.csv",
            get(statement::csv),
        )
        .route(
            "/admin/adjustments",
            get(adjustments::list).post(adjustments::add),
        )
        .route(
            "/admin/adjustments/import",
            get(import::show)
                .post(import::import)
                .layer(DefaultBodyLimit::max(3 * LARGEST_FILE)),
        )
}

/// A page of this part.
fn page_of(title: &str) -> Page<'_> {
    Page {
        title,
        part: Part::Settlements,
        ..Page::default()
    }
}

/// Why a file was not taken, row by row.
fn file_errors(errors: &[CellError], lang: Lang) -> Markup {
    html! {
        div.message.bad role="alert" {
            p { (lang.t(
                "파일에 고칠 곳이 있습니다. 아무것도 반영하지 않았습니다.",
                "Something is wrong with the file. Nothing was booked.",
            )) }
            ul.errors { @for error in errors { li { (error.sentence(lang == Lang::Ko)) } } }
        }
    }
}

#[cfg(test)]
mod test_values {
    //! Values that these pages' tests start from.

    use crate::{
        domain::{
            contract::{Cut, Fee, Position, Terms},
            cycle::{Cycle, HolidayPolicy, Method},
            money::Won,
            settlement::{Kind, State},
        },
        store::{
            contracts::Version,
            movements::Movement,
            settlements::{Line, LineRow, SettlementRow, Sums},
        },
    };

    pub fn terms() -> Terms {
        let cycle = Cycle::new(1, Method::Daily, HolidayPolicy::After).unwrap();
        Terms::plain(Fee::Rate("10".parse().unwrap()), cycle)
    }

    pub fn version() -> Version {
        Version {
            id: 3,
            partner: "farm-<b>".into(),
            from: "2026-01-01".parse().unwrap(),
            terms: terms(),
            used_until: None,
            created_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            created_by: "page".into(),
        }
    }

    fn position(order: i64) -> Position {
        Position {
            order: Won::new(order),
            ..Position::NONE
        }
    }

    /// 10,000 sold, 5,000 of it back where it is a cancel.
    pub fn line(kind: Kind) -> LineRow {
        let (before, after) = match kind {
            Kind::Order => (position(0), position(10_000)),
            Kind::Adjustment => (position(0), position(0)),
            _ => (position(10_000), position(5_000)),
        };
        let adjustment = match kind {
            Kind::Adjustment => Won::new(-700),
            _ => Won::ZERO,
        };
        let cut = terms().between(&before, &after).unwrap();
        LineRow {
            day: "2026-08-06".parse().unwrap(),
            partner: "farm-<b>".into(),
            movement: Movement {
                seq: 2,
                kind,
                payment: (kind != Kind::Adjustment).then_some(1),
                order_line: Some(1),
                cause: None,
                happened_at: "2026-08-06T01:00:00Z".parse().unwrap(),
                terms_day: "2026-08-06".parse().unwrap(),
                before,
                after,
                adjustment,
            },
            line: Line {
                seq: 2,
                contract: (kind != Kind::Adjustment).then_some(3),
                cut,
                adjustment,
                net: cut.net.plus(adjustment).unwrap(),
            },
            imp_uid: (kind != Kind::Adjustment).then(|| "imp_<1>".into()),
            merchant_uid: Some("ord-<1>".into()),
            title: "사과 <i>".into(),
        }
    }

    pub fn sums(of: &[LineRow]) -> Sums {
        let mut sums = Sums::default();
        for row in of {
            sums.add(&row.line).unwrap();
        }
        sums
    }

    pub fn settlement(state: State, net: i64) -> SettlementRow {
        let cut = Cut {
            order: Won::new(net),
            net: Won::new(net),
            ..Cut::default()
        };
        SettlementRow {
            id: 7,
            partner: "farm-<b>".into(),
            partner_name: "농장 <b>".into(),
            day: "2026-08-06".parse().unwrap(),
            state,
            hold: None,
            fail_reason: (state == State::Failed).then(|| "계좌 <오류>".into()),
            payout_day: Some("2026-08-10".parse().unwrap()),
            contract: Some(3),
            sums: Sums {
                lines: 1,
                cut,
                ..Sums::default()
            },
            carried_in: Won::ZERO,
            net: Won::new(net),
            carried_into: None,
            carry_since: (net < 0).then(|| "2026-08-06".parse().unwrap()),
            created_at: "2026-08-07T01:00:00Z".parse().unwrap(),
            completed_at: None,
            completed_by: None,
            payout: None,
            batch: None,
        }
    }
}
