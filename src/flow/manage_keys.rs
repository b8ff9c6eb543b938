//! Keys of programs: made, listed, revoked. The secret is given out once and never kept.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::sign_in::new_secret;
use crate::{
    domain::{
        account::{Right, Rights},
        api_key::{KeyName, MARK, WrongKey, lasts},
    },
    store::{
        Store, StoreError, Tx,
        api_keys::{self, ApiKey, New},
        audit::{self, Act},
    },
};

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    Wrong(#[from] WrongKey),
    #[error("there is a key `{0}` already: revoke it first, or take another name")]
    Taken(String),
    #[error("there is no key `{0}`")]
    Unknown(String),
    #[error("the key `{0}` was revoked before")]
    Revoked(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl KeyError {
    /// Could the same be done later?
    pub fn is_transient(&self) -> bool {
        match self {
            KeyError::Store(error) => error.is_transient(),
            KeyError::Wrong(_)
            | KeyError::Taken(_)
            | KeyError::Unknown(_)
            | KeyError::Revoked(_) => false,
        }
    }
}

/// A new key, with what nobody will see again.
pub struct Made {
    pub key: ApiKey,
    pub secret: SecretString,
}

/// The part that is shown, and the whole of a new secret.
fn new_key() -> (String, SecretString) {
    let shown: [u8; 4] = rand::random();
    let prefix = format!("{MARK}{}", hex::encode(shown));
    let secret = format!("{prefix}_{}", new_secret().expose_secret());
    (prefix, secret.into())
}

/// Makes a key with these rights. Without `expires` it is good until it is revoked.
pub async fn make(
    store: &Store,
    name: KeyName,
    scopes: Rights,
    expires: Option<Duration>,
    by: &'static str,
) -> Result<Made, KeyError> {
    let expires = lasts(expires)?;
    if scopes.has(Right::OwnSettlements) {
        return Err(WrongKey::Own.into());
    }
    let (prefix, secret) = new_key();
    let value = secret.clone();
    let key = store
        .write(move |tx| {
            if api_keys::unrevoked(tx.conn(), name.as_str())?.is_some() {
                return Err(KeyError::Taken(name.to_string()));
            }
            let new = New {
                name: name.as_str(),
                prefix: &prefix,
                secret: value.expose_secret(),
                scopes,
                expires_at: expires.map(|long| tx.now_ms() + long.as_millis() as i64),
                by,
            };
            let id = api_keys::add(tx, &new)?;
            let key = known(tx, id)?;
            note(tx, &key, "key.made")?;
            Ok(key)
        })
        .await?;
    Ok(Made { key, secret })
}

fn known(tx: &Tx<'_>, id: i64) -> Result<ApiKey, KeyError> {
    api_keys::get(tx.conn(), id)?.ok_or_else(|| KeyError::Unknown(id.to_string()))
}

fn note(tx: &Tx<'_>, key: &ApiKey, act: &str) -> Result<(), StoreError> {
    let about =
        json!({ "prefix": key.prefix, "scopes": scopes_of(key), "expires_at": key.expires_at });
    let (before, after) = match act {
        "key.made" => (None, Some(&about)),
        _ => (Some(&about), None),
    };
    let act = Act {
        act,
        subject: &format!("key:{}", key.name),
        before,
        after,
    };
    audit::note(tx, &act)
}

fn scopes_of(key: &ApiKey) -> Vec<&'static str> {
    key.scopes.list().into_iter().map(Right::as_str).collect()
}

/// Ends a key. Its next request is refused.
pub async fn revoke(store: &Store, id: i64, by: &'static str) -> Result<ApiKey, KeyError> {
    store
        .write(move |tx| {
            let key = known(tx, id)?;
            if !api_keys::revoke(tx, id, by)? {
                return Err(KeyError::Revoked(key.name));
            }
            note(tx, &key, "key.revoked")?;
            known(tx, id)
        })
        .await
}

/// The same by the name that the key goes by.
pub async fn revoke_named(store: &Store, name: &str, by: &'static str) -> Result<ApiKey, KeyError> {
    let found = store.read(|conn| api_keys::unrevoked(conn, name))?;
    match found {
        Some(key) => revoke(store, key.id, by).await,
        None => Err(KeyError::Unknown(name.to_owned())),
    }
}
