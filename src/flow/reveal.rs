//! Writes down that somebody looked at a person whole, and why, before they do.

use serde_json::json;

use super::Ctx;
use crate::{
    domain::masks::masked_text,
    store::{
        StoreError,
        audit::{self, Act},
        forgetting, payments,
    },
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
    let id = id.to_owned();
    ctx.store
        .write(move |tx| {
            let payment = match of {
                "payment" => payments::row_of(tx.conn(), &id)?,
                _ => None,
            };
            let reason = match payment {
                Some(row) => forgetting::words_for_ever(tx.conn(), row, &reason)?,
                None => masked_text(&reason),
            };
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
