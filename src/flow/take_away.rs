//! Keeps that somebody took a file away: what leaves the house is on record before it leaves.

use serde_json::{Map, Value};

use crate::store::{
    Store, StoreError,
    audit::{self, Act},
};

/// Notes a file that is about to be handed out: `partners.csv`, with what was asked for. Where the
/// program acts by itself, or nobody is known, nothing is kept.
pub async fn taken(
    store: &Store,
    file: &'static str,
    asked: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<(), StoreError> {
    let fields: Map<String, Value> = asked
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let asked = Value::Object(fields);
    store
        .write(move |tx| {
            let act = Act {
                act: "file.taken",
                subject: &format!("file:{file}"),
                before: None,
                after: Some(&asked),
            };
            audit::note(tx, &act)
        })
        .await
}
