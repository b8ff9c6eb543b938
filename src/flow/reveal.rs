//! Writes down that somebody looked at a person whole, and why, before they do.

use serde_json::json;

use super::Ctx;
use crate::store::{
    StoreError,
    audit::{self, Act},
};

/// Notes the look in the audit log. Without the note nothing is shown.
///
/// `of` is what the page is about: `payment`, `partner`.
pub async fn reveal(
    ctx: &Ctx,
    of: &'static str,
    id: &str,
    reason: String,
) -> Result<(), StoreError> {
    let subject = format!("{of}:{id}");
    ctx.store
        .write(move |tx| {
            audit::note(
                tx,
                &Act {
                    act: "personal.revealed",
                    subject: &subject,
                    before: None,
                    after: Some(&json!({ "reason": reason })),
                },
            )
        })
        .await
}
