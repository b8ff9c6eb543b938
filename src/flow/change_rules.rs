//! Changes a rule of the house while the program runs. It holds from the next look on.

use serde_json::{Value, json};

use crate::{
    domain::rules::{Rule, WrongRule},
    flow::Ctx,
    store::{StoreError, audit, rules},
};

#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    #[error("{} cannot be that: {why}", rule.key())]
    Wrong { rule: Rule, why: WrongRule },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives a rule a value, or (`None`) what the start of the program has. `None` is given back where that
/// changes nothing.
pub async fn change_rule(
    ctx: &Ctx,
    rule: Rule,
    value: Option<String>,
) -> Result<Option<()>, RuleError> {
    let value = value
        .map(|text| rule.read(&text))
        .transpose()
        .map_err(|why| RuleError::Wrong { rule, why })?;
    ctx.store
        .write(move |tx| {
            let before = rules::text(tx.conn(), rule)?;
            if before == value {
                return Ok(None);
            }
            rules::put(tx, rule, value.as_deref())?;
            let (before, after) = (told(rule, before), told(rule, value));
            audit::note(
                tx,
                &audit::Act {
                    act: "settings.changed",
                    subject: &format!("setting:{}", rule.key()),
                    before: Some(&before),
                    after: Some(&after),
                },
            )?;
            Ok(Some(()))
        })
        .await
}

/// A value as the audit log has it. Of a secret it says that there is one.
fn told(rule: Rule, value: Option<String>) -> Value {
    let value = value.map(|value| match rule.is_secret() {
        true => "***".to_owned(),
        false => value,
    });
    json!({ "value": value })
}
