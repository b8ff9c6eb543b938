//! The indexes along which lists of payments are read: what each gives by itself, and what of a filter is left.

use rusqlite::ToSql;

use super::{
    cancellations::OUTCOME_UNKNOWN,
    payment_lists::{Cursor, Filter},
};
use crate::domain::{money::Won, payment::Status};

pub(super) type Bound = Vec<(&'static str, Box<dyn ToSql>)>;

pub(super) fn bound(values: &Bound) -> Vec<(&str, &dyn ToSql)> {
    let pairs = values.iter();
    pairs.map(|(name, value)| (*name, value.as_ref())).collect()
}

/// An index that gives payments in the order of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Time,
    Partner,
    Status,
    Method,
    Held,
    HeldFor,
    Cancelling,
}

impl Path {
    /// All that lead to what a filter wants; of two that have about as many the first is the better one.
    pub(super) fn of(filter: &Filter) -> Vec<Path> {
        let all = [
            (filter.unknown, Path::Cancelling),
            (filter.hold.is_some(), Path::HeldFor),
            (filter.held && filter.hold.is_none(), Path::Held),
            (filter.partner.is_some(), Path::Partner),
            (filter.status.is_some(), Path::Status),
            (filter.method.is_some(), Path::Method),
        ];
        let mut paths: Vec<Path> = all
            .into_iter()
            .filter_map(|(asked, path)| asked.then_some(path))
            .collect();
        if paths.is_empty() {
            paths.push(Path::Time);
        }
        paths
    }

    fn from(self) -> &'static str {
        match self {
            Path::Time => "payment p indexed by payment_by_time where true",
            Path::Partner => "payment_partner o where o.partner_id = :partner",
            Path::Status => "payment p indexed by payment_by_status where p.status = :status",
            Path::Method => "payment p indexed by payment_by_method where p.method = :method",
            Path::Held => "payment p indexed by payment_held where p.hold is not null",
            Path::HeldFor => {
                "payment p indexed by payment_held_for where p.hold is not null and p.hold_code = :hold"
            }
            Path::Cancelling => "payment p indexed by payment_cancelling where p.wish is not null",
        }
    }

    /// Names of the place in time, and of the row.
    pub(super) fn columns(self) -> (&'static str, &'static str) {
        match self {
            Path::Partner => ("o.at", "o.payment_id"),
            _ => ("p.at", "p.id"),
        }
    }

    /// What a filter asks beyond what the path gives by itself, over `payment p`.
    pub(super) fn conditions(self, filter: &Filter) -> Vec<&'static str> {
        [
            (filter.status.is_some() && self != Path::Status, "p.status = :status"),
            (filter.method.is_some() && self != Path::Method, "p.method = :method"),
            (filter.held && !matches!(self, Path::Held | Path::HeldFor), "p.hold is not null"),
            (
                filter.hold.is_some() && self != Path::HeldFor,
                "p.hold is not null and p.hold_code = :hold",
            ),
            (filter.unknown, OUTCOME_UNKNOWN),
            (filter.amount.is_some(), "p.amount = :amount"),
            (
                filter.partner.is_some() && self != Path::Partner,
                "exists (select 1 from payment_partner o where o.payment_id = p.id and o.partner_id = :partner)",
            ),
        ]
        .into_iter()
        .filter_map(|(asked, condition)| asked.then_some(condition))
        .collect()
    }

    /// Its payments in the filter's days, behind a cursor, in order.
    pub(super) fn range(
        self,
        filter: &Filter,
        after: Option<Cursor>,
        values: &mut Bound,
    ) -> String {
        let (at, row) = self.columns();
        let mut sql = self.from().to_owned();
        match self {
            Path::Partner => values.push((":partner", Box::new(filter.partner.clone()))),
            Path::Status => values.push((":status", Box::new(filter.status.map(Status::as_str)))),
            Path::Method => values.push((":method", Box::new(filter.method.clone()))),
            Path::HeldFor => values.push((":hold", Box::new(filter.hold.clone()))),
            Path::Time | Path::Held | Path::Cancelling => {}
        }
        days(filter, at, &mut sql, values);
        if let Some(cursor) = after {
            sql.push_str(&format!(" and ({at}, {row}) < (:at, :row)"));
            values.push((":at", Box::new(cursor.at.unwrap_or(i64::MAX))));
            values.push((":row", Box::new(cursor.row)));
        }
        sql.push_str(&format!(" order by {at} desc, {row} desc"));
        sql
    }

    /// All of the path, each with whether it fits: place in time, row, 1 or 0.
    pub(super) fn sql(self, filter: &Filter, after: Option<Cursor>) -> (String, Bound) {
        let mut values: Bound = Vec::new();
        let range = self.range(filter, after, &mut values);
        let (at, row) = self.columns();
        let conditions = self.conditions(filter);
        let fits = match (self, conditions.as_slice()) {
            (_, []) => "1".to_owned(),
            (Path::Partner, all) => {
                let all = all.join(" and ");
                [
                    "exists (select 1 from payment p where p.id = o.payment_id and ",
                    &all,
                    ")",
                ]
                .concat()
            }
            (_, all) => all.join(" and "),
        };
        bind(filter, &conditions, &mut values);
        (format!("select {at}, {row}, {fits} from {range}"), values)
    }
}

/// Binds what conditions name.
pub(super) fn bind(filter: &Filter, conditions: &[&str], values: &mut Bound) {
    let names = |name: &str| conditions.iter().any(|condition| condition.contains(name));
    if names(":status") {
        values.push((":status", Box::new(filter.status.map(Status::as_str))));
    }
    if names(":method") {
        values.push((":method", Box::new(filter.method.clone())));
    }
    if names(":hold") {
        values.push((":hold", Box::new(filter.hold.clone())));
    }
    if names(":amount") {
        values.push((":amount", Box::new(filter.amount.map(Won::get))));
    }
    if names(":partner") {
        values.push((":partner", Box::new(filter.partner.clone())));
    }
}

pub(super) fn days(filter: &Filter, at: &str, sql: &mut String, values: &mut Bound) {
    if let Some(from) = filter.from {
        sql.push_str(&format!(" and {at} >= :from"));
        values.push((":from", Box::new(from.start().as_millisecond())));
    }
    if let Some(to) = filter.to {
        sql.push_str(&format!(" and {at} < :to"));
        values.push((":to", Box::new(to.end().as_millisecond())));
    }
}
