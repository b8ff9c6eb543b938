//! Passwords as hashes. Slow on purpose, so a few at once and never on a thread that serves requests.

use std::{sync::LazyLock, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Semaphore, time::timeout};

/// Argon2id with 19 MiB, two passes, one lane: what OWASP's password storage notes ask at least.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Each takes [`MEMORY_KIB`] and a core for tens of milliseconds.
static TURNS: Semaphore = Semaphore::const_new(2);

/// How long one waits for a turn.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("too many passwords are being checked: try again in a moment")]
    Busy,
    #[error("the password could not be hashed")]
    Broken,
}

impl PasswordError {
    pub fn is_transient(self) -> bool {
        self == PasswordError::Busy
    }
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| PasswordError::Broken)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

async fn in_turn<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
) -> Result<T, PasswordError> {
    let turn = match timeout(PATIENCE, TURNS.acquire()).await {
        Ok(Ok(turn)) => turn,
        _ => return Err(PasswordError::Busy),
    };
    tokio::task::spawn_blocking(move || {
        let done = work();
        // Held until the work is over, though nobody may wait for it any more.
        drop(turn);
        done
    })
    .await
    .map_err(|_| PasswordError::Broken)?
}

/// The password's hash in the PHC form, with a salt of its own.
pub async fn hash(password: SecretString) -> Result<String, PasswordError> {
    in_turn(move || {
        let hash = argon2()?
            .hash_password(password.expose_secret().as_bytes())
            .map_err(|_| PasswordError::Broken)?;
        Ok(hash.to_string())
    })
    .await
}

/// A hash that no password has: what is checked where there is no account, so that it takes as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    let mut bytes = [0u8; 32];
    rand::fill(&mut bytes);
    argon2()
        .ok()
        .and_then(|argon2| argon2.hash_password(&bytes).ok())
        .map(|hash| hash.to_string())
        .unwrap_or_default()
});

/// Whether it is the password. Without a hash the answer is no, and takes as long.
pub async fn check(password: SecretString, hash: Option<String>) -> Result<bool, PasswordError> {
    in_turn(move || {
        let there = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        let hash = PasswordHash::new(&hash).map_err(|_| PasswordError::Broken)?;
        let right = argon2()?
            .verify_password(password.expose_secret().as_bytes(), &hash)
            .is_ok();
        Ok(there && right)
    })
    .await
}

/// Makes the first check as quick as all others.
pub fn warm() {
    LazyLock::force(&NOBODY);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_is_argon2id_as_asked_and_fits_its_password_alone() {
        let kept = hash("correct horse battery".into()).await.unwrap();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        let is = |password: &str, hash: Option<&String>| {
            check(password.to_owned().into(), hash.cloned())
        };
        assert!(is("correct horse battery", Some(&kept)).await.unwrap());
        assert!(!is("correct horse batterz", Some(&kept)).await.unwrap());
        assert!(!is("correct horse battery", None).await.unwrap());
        assert_ne!(kept, hash("correct horse battery".into()).await.unwrap());
    }
}
