//! Templates of banks' files: seeded ones, and over them what a person changed or added.

use rusqlite::Connection;
use serde::Serialize;
use serde_json::json;

use crate::{
    flow::Ctx,
    sheet::bank::{BankTemplate, WrongTemplate, seeded},
    store::{
        StoreError,
        history::{self, Subject},
        payouts,
    },
};

/// The one that is used where nobody names another.
pub const COMMON: &str = "공통";

#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("no template `{0}` is known here")]
    NotFound(String),
    #[error("a template `{0}` is known already: choose another name")]
    Exists(String),
    #[error("template `{0}` is as it came: there is nothing to reset")]
    AsItCame(String),
    #[error("{0}")]
    Wrong(#[from] WrongTemplate),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A template, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Known {
    #[serde(flatten)]
    pub template: BankTemplate,
    /// One of this name comes with the program.
    pub seeded: bool,
    /// A person changed or added it.
    pub changed: bool,
}

/// All, the seeded ones first.
pub fn all(conn: &Connection) -> Result<Vec<Known>, StoreError> {
    let mut known: Vec<Known> = seeded()
        .into_iter()
        .map(|template| Known {
            template,
            seeded: true,
            changed: false,
        })
        .collect();
    for (name, body) in payouts::templates(conn)? {
        let template: BankTemplate =
            serde_json::from_str(&body).map_err(|why| StoreError::Unreadable {
                table: "bank_template",
                why: format!("{name}: {why}"),
            })?;
        match known.iter_mut().find(|known| known.template.name == name) {
            Some(known) => {
                known.template = template;
                known.changed = true;
            }
            None => known.push(Known {
                template,
                seeded: false,
                changed: true,
            }),
        }
    }
    Ok(known)
}

/// By name.
pub fn get(conn: &Connection, name: &str) -> Result<Known, TemplateError> {
    let mut known = all(conn)?.into_iter();
    known
        .find(|known| known.template.name == name)
        .ok_or_else(|| TemplateError::NotFound(name.to_owned()))
}

/// Keeps a template under its name. `new`: no other may have that name.
pub async fn save(
    ctx: &Ctx,
    template: BankTemplate,
    new: bool,
    by: &'static str,
) -> Result<(), TemplateError> {
    template.check()?;
    let body = serde_json::to_string(&template).map_err(|why| StoreError::Unreadable {
        table: "bank_template",
        why: why.to_string(),
    })?;
    ctx.store
        .write(move |tx| {
            let name = &template.name;
            let known = all(tx.conn())?;
            let same = known.iter().find(|known| known.template.name == *name);
            match same {
                Some(_) if new => return Err(TemplateError::Exists(name.clone())),
                Some(same) if same.template == template => return Ok(()),
                _ => {}
            }
            let detail =
                json!({ "name": name, "was": same.map(|same| &same.template), "now": template });
            payouts::put_template(tx, name, &body)?;
            history::add(tx, &Subject::BankTemplates, "saved", by, &detail)?;
            Ok(())
        })
        .await
}

/// Takes a person's template away; a seeded one of that name holds again. `true`: there is one.
pub async fn remove(ctx: &Ctx, name: String, by: &'static str) -> Result<bool, TemplateError> {
    ctx.store
        .write(move |tx| {
            let known = get(tx.conn(), &name)?;
            if !known.changed {
                return Err(TemplateError::AsItCame(name));
            }
            payouts::remove_template(tx, &name)?;
            let detail = json!({ "name": name, "was": known.template });
            history::add(tx, &Subject::BankTemplates, "removed", by, &detail)?;
            Ok(known.seeded)
        })
        .await
}
