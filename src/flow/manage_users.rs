//! Accounts: who is added, by which link they choose a password, what changes and what that ends.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    passwords::{self, PasswordError},
    sign_in::new_secret,
};
use crate::{
    domain::{
        account::{AccountError, Role, UserName, check_password},
        ids::PartnerId,
    },
    store::{
        Store, StoreError, Tx,
        accounts::{self, User},
        audit::{self, Act},
        partners, sessions,
    },
};

/// How long a link to choose a password is good for.
pub const LINK_LASTS: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error("there is no account `{0}`")]
    Unknown(String),
    #[error("there is an account `{0}` already")]
    Taken(String),
    #[error("a partner's account needs the partner's id, and no other account has one")]
    Partner,
    #[error("there is no partner `{0}`")]
    NoPartner(String),
    #[error("this is the only owner who can sign in: make another owner first")]
    LastOwner,
    #[error("the link was used, or its hour is over: ask for a new one")]
    Link,
    #[error("this is not the code that the authenticator shows now")]
    Code,
    #[error("this sign-in was ended meanwhile: sign in again")]
    Ended,
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UserError {
    /// Could the same be done later?
    pub fn is_transient(&self) -> bool {
        match self {
            UserError::Password(error) => error.is_transient(),
            UserError::Store(error) => error.is_transient(),
            _ => false,
        }
    }
}

/// Makes the link by which the first owner's account is made, if there is no account yet. A link
/// made before is worth nothing any more.
pub async fn first_owner_link(store: &Store) -> Result<Option<SecretString>, StoreError> {
    let secret = new_secret();
    let value = secret.clone();
    store
        .write(move |tx| {
            if !accounts::none_yet(tx.conn())? {
                return Ok(None);
            }
            accounts::add_link(tx, value.expose_secret(), None, LINK_LASTS)?;
            Ok(Some(value))
        })
        .await
        .map(|made| made.map(|_| secret))
}

/// Adds an account. Gives the link by which its person chooses a password.
pub async fn add(
    store: &Store,
    name: UserName,
    role: Role,
    partner: Option<PartnerId>,
    by: &'static str,
) -> Result<SecretString, UserError> {
    let secret = new_secret();
    let value = secret.clone();
    store
        .write(move |tx| {
            if accounts::by_name(tx.conn(), name.as_str())?.is_some() {
                return Err(UserError::Taken(name.as_str().to_owned()));
            }
            check_partner(tx, role, partner.as_ref())?;
            let id = accounts::add(tx, &name, role, partner.as_ref(), by)?;
            accounts::add_link(tx, value.expose_secret(), Some(id), LINK_LASTS)?;
            let after = json!({ "role": role, "partner": partner });
            note(tx, name.as_str(), "user.added", None, Some(&after))
        })
        .await?;
    Ok(secret)
}

fn check_partner(tx: &Tx<'_>, role: Role, partner: Option<&PartnerId>) -> Result<(), UserError> {
    match (role, partner) {
        (Role::Partner, Some(partner)) => {
            if partners::get(tx.conn(), partner.as_str())?.is_none() {
                return Err(UserError::NoPartner(partner.as_str().to_owned()));
            }
            Ok(())
        }
        (Role::Partner, None) => Err(UserError::Partner),
        (_, Some(_)) => Err(UserError::Partner),
        (_, None) => Ok(()),
    }
}

/// Takes password and authenticator away and ends all sessions. Gives the link to choose anew. The
/// only owner who can sign in is reset at the terminal alone: who loses that link can make another.
pub async fn reset(
    store: &Store,
    name: UserName,
    only_owner_too: bool,
) -> Result<SecretString, UserError> {
    let secret = new_secret();
    let value = secret.clone();
    store
        .write(move |tx| {
            let user = known(tx, name.as_str())?;
            let is_owner = user.role == Role::Owner && !only_owner_too;
            if is_owner && !accounts::other_owner(tx.conn(), user.id)? {
                return Err(UserError::LastOwner);
            }
            accounts::add_link(tx, value.expose_secret(), Some(user.id), LINK_LASTS)?;
            accounts::clear_password(tx, user.id)?;
            accounts::set_totp(tx, user.id, None, 0, &[])?;
            accounts::forgive(tx, &user.name, None)?;
            sessions::close_all(tx, user.id, None)?;
            note(tx, &user.name, "user.reset", None, None)
        })
        .await?;
    Ok(secret)
}

fn known(tx: &Tx<'_>, name: &str) -> Result<User, UserError> {
    accounts::by_name(tx.conn(), name)?.ok_or_else(|| UserError::Unknown(name.to_owned()))
}

/// Gives an account another role; its sessions end, as what they may do has changed.
pub async fn change_role(
    store: &Store,
    name: UserName,
    role: Role,
    partner: Option<PartnerId>,
) -> Result<Option<()>, UserError> {
    store
        .write(move |tx| {
            let user = known(tx, name.as_str())?;
            let same = user.role == role
                && user.partner.as_deref() == partner.as_ref().map(PartnerId::as_str);
            if same {
                return Ok(None);
            }
            check_partner(tx, role, partner.as_ref())?;
            if user.role == Role::Owner && !accounts::other_owner(tx.conn(), user.id)? {
                return Err(UserError::LastOwner);
            }
            accounts::set_role(tx, user.id, role, partner.as_ref())?;
            sessions::close_all(tx, user.id, None)?;
            let before = json!({ "role": user.role, "partner": user.partner });
            let after = json!({ "role": role, "partner": partner });
            note(
                tx,
                &user.name,
                "user.role_changed",
                Some(&before),
                Some(&after),
            )?;
            Ok(Some(()))
        })
        .await
}

/// Shuts an account, or opens it again. Its sessions end at once.
pub async fn set_disabled(
    store: &Store,
    name: UserName,
    disabled: bool,
) -> Result<Option<()>, UserError> {
    store
        .write(move |tx| {
            let user = known(tx, name.as_str())?;
            if user.disabled_at.is_some() == disabled {
                return Ok(None);
            }
            if disabled && user.role == Role::Owner && !accounts::other_owner(tx.conn(), user.id)? {
                return Err(UserError::LastOwner);
            }
            accounts::set_disabled(tx, user.id, disabled)?;
            sessions::close_all(tx, user.id, None)?;
            let act = if disabled {
                "user.disabled"
            } else {
                "user.enabled"
            };
            note(tx, &user.name, act, None, None)?;
            Ok(Some(()))
        })
        .await
}

/// Ends all sessions of an account. Gives how many there were.
pub async fn end_sessions(store: &Store, name: UserName) -> Result<usize, UserError> {
    store
        .write(move |tx| {
            let user = known(tx, name.as_str())?;
            let ended = sessions::close_all(tx, user.id, None)?;
            let after = json!({ "sessions_ended": ended });
            note(tx, &user.name, "user.sessions_ended", None, Some(&after))?;
            Ok(ended)
        })
        .await
}

/// Ends one of a person's own sessions; false if there is none of that name.
pub async fn end_session(
    store: &Store,
    user: i64,
    name: &str,
    session: &str,
) -> Result<bool, UserError> {
    let (name, session) = (name.to_owned(), session.to_owned());
    store
        .write(move |tx| {
            let ended = sessions::revoke(tx, user, &session)?;
            if ended {
                note(tx, &name, "user.session_revoked", None, None)?;
            }
            Ok(ended)
        })
        .await
}

/// Ends all of a person's own sessions but the one they are in. Gives how many there were.
pub async fn end_other_sessions(
    store: &Store,
    user: i64,
    name: &str,
    session: &str,
) -> Result<usize, UserError> {
    let (name, session) = (name.to_owned(), session.to_owned());
    store
        .write(move |tx| {
            let ended = sessions::close_all(tx, user, Some(&session))?;
            let after = json!({ "sessions_ended": ended });
            note(tx, &name, "user.sessions_ended", None, Some(&after))?;
            Ok(ended)
        })
        .await
}

/// Whom a link is for, for the page that it opens.
pub fn link_is_for(store: &Store, secret: &str) -> Result<LinkIsFor, UserError> {
    let now = store.now().as_millisecond();
    store.read(|conn| match accounts::link(conn, secret, now)? {
        None => Err(UserError::Link),
        Some(None) => Ok(LinkIsFor::FirstOwner),
        Some(Some(id)) => match accounts::by_id(conn, id)? {
            Some(user) if user.disabled_at.is_none() => Ok(LinkIsFor::User(user)),
            _ => Err(UserError::Link),
        },
    })
}

#[derive(Clone, Debug)]
pub enum LinkIsFor {
    FirstOwner,
    User(User),
}

/// Chooses a password by a link, which is used up. `name` counts for the first owner alone. Gives the
/// account's number. All sessions that the account had end.
pub async fn choose_password(
    store: &Store,
    link: SecretString,
    name: &str,
    password: SecretString,
) -> Result<i64, UserError> {
    let is_for = link_is_for(store, link.expose_secret())?;
    let name = match &is_for {
        LinkIsFor::FirstOwner => UserName::new(name)?,
        LinkIsFor::User(user) => UserName::new(&user.name)?,
    };
    check_password(password.expose_secret(), &[name.as_str(), "jeongsan"])?;
    let hash = passwords::hash(password).await?;
    store
        .write(move |tx| {
            if !accounts::use_link(tx, link.expose_secret())? {
                return Err(UserError::Link);
            }
            let id = match is_for {
                LinkIsFor::FirstOwner => {
                    if !accounts::none_yet(tx.conn())? {
                        return Err(UserError::Link);
                    }
                    accounts::add(tx, &name, Role::Owner, None, "set-up link")?
                }
                LinkIsFor::User(user) => user.id,
            };
            accounts::set_password(tx, id, &hash)?;
            accounts::forgive(tx, name.as_str(), None)?;
            sessions::close_all(tx, id, None)?;
            note(tx, name.as_str(), "user.password_chosen", None, None)?;
            Ok(id)
        })
        .await
}

/// Changes a person's own password. All other sessions of theirs end.
pub async fn change_password(
    store: &Store,
    user: i64,
    name: &str,
    password: SecretString,
    session: &str,
) -> Result<(), UserError> {
    check_password(password.expose_secret(), &[name, "jeongsan"])?;
    let hash = passwords::hash(password).await?;
    let (name, session) = (name.to_owned(), session.to_owned());
    store
        .write(move |tx| {
            // A reset since the present password was checked ended it: it is not undone.
            if !sessions::is_there(tx.conn(), user, &session)? {
                return Err(UserError::Ended);
            }
            accounts::set_password(tx, user, &hash)?;
            sessions::close_all(tx, user, Some(&session))?;
            note(tx, &name, "user.password_changed", None, None)
        })
        .await
}

/// Keeps a new authenticator, once its code was right, or takes it away.
pub async fn set_totp(
    store: &Store,
    user: i64,
    name: &str,
    totp: Option<(String, i64, Vec<String>)>,
) -> Result<(), UserError> {
    let name = name.to_owned();
    store
        .write(move |tx| {
            let act = match totp {
                Some((secret, step, codes)) => {
                    accounts::set_totp(tx, user, Some(&secret), step, &codes)?;
                    "user.totp_added"
                }
                None => {
                    accounts::set_totp(tx, user, None, 0, &[])?;
                    "user.totp_removed"
                }
            };
            note(tx, &name, act, None, None)
        })
        .await
}

/// Gives a person ten new recovery codes; the ones before are worth nothing.
pub async fn set_recovery(
    store: &Store,
    user: i64,
    name: &str,
    codes: Vec<String>,
) -> Result<(), UserError> {
    let name = name.to_owned();
    store
        .write(move |tx| {
            accounts::set_recovery(tx, user, &codes)?;
            note(tx, &name, "user.recovery_codes_made", None, None)
        })
        .await
}

/// Keeps in which language and colours a person sees the pages.
pub async fn set_look(
    store: &Store,
    user: i64,
    lang: Option<&'static str>,
    theme: Option<&'static str>,
) -> Result<(), StoreError> {
    store
        .write(move |tx| accounts::set_look(tx, user, lang, theme))
        .await
}

fn note(
    tx: &Tx<'_>,
    name: &str,
    act: &str,
    before: Option<&Value>,
    after: Option<&Value>,
) -> Result<(), UserError> {
    let act = Act {
        act,
        subject: &format!("user:{name}"),
        before,
        after,
    };
    Ok(audit::note(tx, &act)?)
}
