//! Reads the whole audit log when a person asks for it, and keeps what it came to: a page never does.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    flow::Ctx,
    store::{
        StoreError, admin,
        audit::{self, Act},
    },
};

/// Where the last result is kept.
const CHECKED: &str = "audit_checked";

/// What reading the whole log came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    pub at: Timestamp,
    /// The number and the hash of the newest line then.
    pub lines: i64,
    pub head: String,
    /// Sentences about where it does not hold, the first few.
    pub broken: Vec<String>,
}

/// The last result, if anybody has asked yet.
pub fn last(conn: &rusqlite::Connection) -> Result<Option<Checked>, StoreError> {
    let kept = admin::setting(conn, CHECKED)?;
    Ok(kept.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Reads every line, and keeps what came of it.
pub async fn check_audit(ctx: &Ctx) -> Result<Checked, StoreError> {
    let at = ctx.store.now();
    let (head, mut broken) = ctx
        .store
        .read_long(|conn| {
            // The end first: what is added meanwhile is read as well, and belongs to the next time.
            let head = audit::head(conn)?;
            Ok::<_, StoreError>((head, audit::check(conn)?))
        })
        .await?;
    broken.truncate(20);
    let (lines, head) = head;
    let checked = Checked {
        at,
        lines,
        head,
        broken,
    };
    let kept = checked.clone();
    ctx.store
        .write(move |tx| {
            admin::set(tx, CHECKED, &json!(kept).to_string())?;
            let after = json!({ "lines": kept.lines, "broken": kept.broken.len() });
            let act = Act {
                act: "audit.checked",
                subject: "audit",
                before: None,
                after: Some(&after),
            };
            audit::note(tx, &act)
        })
        .await?;
    Ok(checked)
}
