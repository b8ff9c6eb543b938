//! Who may sign in to the demo: an owner, and a second person, as what one makes another approves.

use std::path::Path;

use crate::{
    domain::account::{Role, UserName},
    flow::{
        manage_users::{self, UserError},
        sign_in::new_recovery_codes,
    },
    store::{Store, accounts},
};

pub const OWNER: &str = "owner";
pub const SECOND: &str = "sujin";

/// The accounts, once they are there.
pub struct People {
    /// The owner's number.
    pub owner: i64,
    /// Of both.
    pub password: String,
}

/// Makes the accounts with a password of their own, at the first start in a folder. Later starts find
/// both where they were: whoever is signed in stays signed in.
pub async fn ready(store: &Store, dir: &Path) -> Result<People, UserError> {
    let kept = dir.join("password.txt");
    let before = std::fs::read_to_string(&kept).unwrap_or_default();
    let owner = store.read(|conn| accounts::by_name(conn, OWNER))?;
    if let (Some(owner), false) = (owner, before.trim().is_empty()) {
        return Ok(People {
            owner: owner.id,
            password: before.trim().to_owned(),
        });
    }
    let password = new_recovery_codes().swap_remove(0);
    let owner = person(store, OWNER, Role::Owner, &password).await?;
    person(store, SECOND, Role::Accountant, &password).await?;
    // Without the file the next start makes another password, and says so.
    if let Err(why) = write_private(&kept, &password) {
        tracing::warn!(%why, "the demo's password was not kept");
    }
    Ok(People { owner, password })
}

async fn person(store: &Store, name: &str, role: Role, password: &str) -> Result<i64, UserError> {
    let name = UserName::new(name)?;
    let there = store.read(|conn| accounts::by_name(conn, name.as_str()))?;
    let link = match there {
        Some(_) => manage_users::reset(store, name.clone(), true).await?,
        None => manage_users::add(store, name.clone(), role, None, "demo").await?,
    };
    let password = password.to_owned().into();
    manage_users::choose_password(store, link, name.as_str(), password).await
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)?.write_all(text.as_bytes())
}
