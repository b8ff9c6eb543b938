//! What happened to settlements, partners, contracts, payouts and the calendar. Rows are only added.

use std::fmt;

use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{StoreError, Tx, audit, instant};
use crate::domain::masks::masked_json;

/// What something happened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    Settlement(i64),
    /// With its contracts and adjustments.
    Partner(&'a str),
    Batch(i64),
    Calendar,
    Day(crate::domain::calendar::KstDay),
    BankTemplates,
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Settlement(id) => write!(f, "settlement:{id}"),
            Subject::Partner(id) => write!(f, "partner:{id}"),
            Subject::Batch(id) => write!(f, "payout:{id}"),
            Subject::Calendar => f.write_str("calendar"),
            Subject::Day(day) => write!(f, "day:{day}"),
            Subject::BankTemplates => f.write_str("bank_templates"),
        }
    }
}

pub fn add(
    tx: &Tx<'_>,
    subject: &Subject<'_>,
    kind: &'static str,
    actor: &str,
    detail: &Value,
) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "insert into history (subject, at, kind, actor, detail) values (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            subject.to_string(),
            tx.now_ms(),
            kind,
            actor,
            detail.to_string(),
        ))?;
    if CONSEQUENCES.contains(&kind) {
        return Ok(());
    }
    let subject = subject.to_string();
    let of = subject.split(':').next().unwrap_or_default();
    let act = format!("{of}.{kind}");
    let (before, after) = sides(detail);
    audit::note(
        tx,
        &audit::Act {
            act: &act,
            subject: &subject,
            before: before.as_ref(),
            after: Some(&after),
        },
    )
}

/// Whose values are a person's, so that the audit log, which never forgets, has them masked.
const PERSONAL: [&str; 2] = ["account", "contact"];

/// What a detail says of before and after: `{"field": {"from": …, "to": …}}`, or `was` beside what is.
fn sides(detail: &Value) -> (Option<Value>, Value) {
    let Some(fields) = detail.as_object() else {
        return (None, detail.clone());
    };
    let kept = |name: &str, value: &Value| match PERSONAL.contains(&name) {
        true => masked_json(value),
        false => value.clone(),
    };
    let (mut before, mut after) = (Map::new(), Map::new());
    for (name, value) in fields {
        match value.as_object() {
            Some(pair)
                if pair.len() == 2 && pair.contains_key("from") && pair.contains_key("to") =>
            {
                before.insert(name.clone(), kept(name, &value["from"]));
                after.insert(name.clone(), kept(name, &value["to"]));
            }
            _ if name == "was" => {
                let of = ["terms", "now"]
                    .into_iter()
                    .find(|of| fields.contains_key(*of));
                before.insert(of.unwrap_or("was").to_owned(), value.clone());
            }
            _ => {
                after.insert(name.clone(), kept(name, value));
            }
        }
    }
    let before = (!before.is_empty()).then_some(Value::Object(before));
    (before, Value::Object(after))
}

/// What follows for each settlement from one act that has an audit line of its own: a day was
/// settled, a batch was made, the calendar was changed; and for a batch that it was approved.
const CONSEQUENCES: [&str; 9] = [
    "requested",
    "processing",
    "covered",
    "payout_day_moved",
    "approval_asked",
    "approval_void",
    "approval_given",
    "approval_refused",
    "approval_withdrawn",
];

/// One thing that happened, as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Happened {
    pub id: i64,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub at: Timestamp,
    pub kind: String,
    pub actor: String,
    pub detail: Value,
}

/// When something of this kind happened to a subject last.
pub fn newest(
    conn: &Connection,
    subject: &Subject<'_>,
    kind: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<i64> = conn
        .prepare_cached("select max(at) from history where subject = ?1 and kind = ?2")?
        .query_row((subject.to_string(), kind), |row| row.get(0))?;
    at.map(instant).transpose()
}

/// The newest `most` of a subject, newest first.
pub fn of(
    conn: &Connection,
    subject: &Subject<'_>,
    most: usize,
) -> Result<Vec<Happened>, StoreError> {
    let mut query = conn.prepare_cached(
        "select id, at, kind, actor, detail from history where subject = ?1 order by id desc limit ?2 + 0",
    )?;
    query
        .query_and_then((subject.to_string(), most as i64), |row| {
            let detail: String = row.get(4)?;
            Ok(Happened {
                id: row.get(0)?,
                at: instant(row.get(1)?)?,
                kind: row.get(2)?,
                actor: row.get(3)?,
                detail: serde_json::from_str(&detail).unwrap_or(Value::Null),
            })
        })?
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn before_and_after_are_told_apart_and_accounts_masked() {
        let account = |number: &str| json!({ "bank": "004", "number": number, "holder": "홍길동" });
        let detail = json!({
            "name": { "from": "농장", "to": "새 농장" },
            "account": { "from": account("11012345678"), "to": account("11087654321") },
            "memo": "x",
        });
        let (before, after) = sides(&detail);
        let before = before.unwrap();
        assert_eq!(
            (&before["name"], &after["name"]),
            (&json!("농장"), &json!("새 농장"))
        );
        assert_eq!(before["account"]["number"], "*******5678");
        assert_eq!(after["account"]["holder"], "홍*동");
        assert_eq!(after["memo"], "x");
        let (before, after) =
            sides(&json!({ "terms": { "a": 2 }, "was": { "a": 1 }, "from": "2026-01-01" }));
        assert_eq!(before, Some(json!({ "terms": { "a": 1 } })));
        assert_eq!(after, json!({ "terms": { "a": 2 }, "from": "2026-01-01" }));
        assert_eq!(
            sides(&json!({ "reason": "x" })),
            (None, json!({ "reason": "x" }))
        );
        assert_eq!(sides(&json!([1])), (None, json!([1])));
    }
}
