//! Signing in: the password, the authenticator's code, and proving once more who one is.
//!
//! An answer tells nobody whether there is an account of that name: the same work is done, the same
//! is counted, the same is said.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use totp_rs::{Builder, Secret, Totp};

use super::{
    Ctx,
    passwords::{self, PasswordError},
};
use crate::{
    domain::{account::UserName, guessing},
    store::{
        StoreError, Tx, accounts,
        acting::{self, Acting},
        audit::{self, Act},
        sessions::{self, Lasts, Session, Stage},
    },
};

/// From where somebody signs in.
#[derive(Clone, Debug)]
pub struct Place {
    pub address: String,
    pub agent: String,
    /// What the browser was given when somebody signed in there before.
    pub mark: Option<String>,
}

impl Place {
    fn from(&self) -> sessions::From {
        sessions::From {
            address: self.address.clone(),
            agent: self.agent.chars().take(200).collect(),
        }
    }

    fn acting(&self, by: &str) -> Acting {
        Acting {
            by: acting::name(by),
            origin: self.address.as_str().into(),
            once: None,
        }
    }
}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("the name and the password do not belong together")]
    Wrong,
    #[error("this is not the code that the authenticator shows now")]
    WrongCode,
    #[error("too many wrong tries: wait {seconds} seconds")]
    Locked { seconds: u64 },
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SignInError {
    /// Could the same try succeed later?
    pub fn is_transient(&self) -> bool {
        match self {
            SignInError::Wrong | SignInError::WrongCode => false,
            SignInError::Locked { .. } => true,
            SignInError::Password(error) => error.is_transient(),
            SignInError::Store(error) => error.is_transient(),
        }
    }
}

/// A session that was opened: the cookie's secret, and whether the code is still to come.
#[derive(Debug)]
pub struct Opened {
    pub secret: SecretString,
    pub needs_code: bool,
    pub user: i64,
}

/// 256 random bits as text.
pub fn new_secret() -> SecretString {
    let mut bytes = [0u8; 32];
    rand::fill(&mut bytes);
    hex::encode(bytes).into()
}

/// Checks a name and a password. Opens a session, half open where an authenticator is to be asked.
pub async fn with_password(
    ctx: &Ctx,
    name: &str,
    password: SecretString,
    place: Place,
    lasts: Lasts,
) -> Result<Opened, SignInError> {
    // What cannot be a name is counted under itself: nothing tells it from one that is nobody's.
    let name = UserName::new(name).map_or_else(
        |_| name.trim().chars().take(40).collect(),
        |name| name.as_str().to_owned(),
    );
    let now = ctx.store.now();
    let (user, known) = {
        let (name, place) = (name.clone(), place.clone());
        ctx.store.read(move |conn| {
            let user = accounts::by_name(conn, &name)?;
            let known = knows(conn, user.as_ref().map(|user| user.id), &place, now)?;
            Ok::<_, StoreError>((user, known))
        })?
    };
    take_try(ctx, &name, known).await?;
    let hash = match &user {
        Some(user) => ctx
            .store
            .read(|conn| accounts::password_hash(conn, user.id))?,
        None => None,
    };
    if !passwords::check(password, hash.clone()).await? {
        failed(ctx, name, place, "sign_in.failed").await?;
        return Err(SignInError::Wrong);
    }
    let (Some(user), Some(hash)) = (user, hash) else {
        return Err(SignInError::Wrong);
    };
    let needs_code = user.has_totp;
    let secret = open(ctx, &user, Some(hash), known, place, lasts).await?;
    Ok(Opened {
        secret,
        needs_code,
        user: user.id,
    })
}

/// Opens a session for somebody who has proved otherwise who they are: by a set-up link.
pub async fn without_password(
    ctx: &Ctx,
    user: i64,
    place: Place,
    lasts: Lasts,
) -> Result<Opened, SignInError> {
    let found = ctx.store.read(|conn| accounts::by_id(conn, user))?;
    let user = found.ok_or(SignInError::Wrong)?;
    let needs_code = user.has_totp;
    let secret = open(ctx, &user, None, true, place, lasts).await?;
    Ok(Opened {
        secret,
        needs_code,
        user: user.id,
    })
}

/// Opens a session on what was found out a moment ago. A password that was reset since, an account that was
/// shut or an authenticator that came or went is seen here, where it counts.
async fn open(
    ctx: &Ctx,
    user: &accounts::User,
    checked: Option<String>,
    known: bool,
    place: Place,
    lasts: Lasts,
) -> Result<SecretString, SignInError> {
    let secret = new_secret();
    let value = secret.clone();
    let (id, name, needs_code) = (user.id, user.name.clone(), user.has_totp);
    ctx.store
        .write(move |tx| {
            let now = accounts::by_id(tx.conn(), id)?;
            let same =
                now.is_some_and(|now| now.disabled_at.is_none() && now.has_totp == needs_code);
            let hash = accounts::password_hash(tx.conn(), id)?;
            if !same
                || checked
                    .as_ref()
                    .is_some_and(|checked| hash.as_ref() != Some(checked))
            {
                return Err(SignInError::Wrong);
            }
            let stage = if needs_code { Stage::Code } else { Stage::Open };
            sessions::open(tx, value.expose_secret(), id, stage, lasts, &place.from())?;
            match (needs_code, checked) {
                (false, _) => arrived(tx, id, &name, known, &place)?,
                // The password was right: that try was no wrong one. Wrong codes are forgiven by a right one.
                (true, Some(_)) => accounts::give_back(tx, &name, known)?,
                (true, None) => {}
            }
            Ok(())
        })
        .await?;
    Ok(secret)
}

fn arrived(
    tx: &Tx<'_>,
    user: i64,
    name: &str,
    known: bool,
    place: &Place,
) -> Result<(), StoreError> {
    accounts::forgive(tx, name, Some(known))?;
    accounts::signed_in(tx, user)?;
    accounts::remember_place(tx, user, &place.address)?;
    if let Some(mark) = &place.mark {
        accounts::remember_place(tx, user, &crate::store::admin::hash(mark))?;
    }
    note(tx, name, place, "sign_in.succeeded")
}

/// Checks the authenticator's code, or a recovery code, of a half-open session. The session that it
/// opens has a secret of its own: the half-open one is worth nothing any more.
pub async fn with_code(
    ctx: &Ctx,
    half: &Session,
    half_secret: SecretString,
    code: &str,
    place: Place,
    lasts: Lasts,
) -> Result<Opened, SignInError> {
    let known = prove_by_code(ctx, half, code, &place).await?;
    let secret = new_secret();
    let value = secret.clone();
    let (user, name) = (half.user, half.name.clone());
    ctx.store
        .write(move |tx| {
            // Ended meanwhile, as by a reset: what it was half open for is no more.
            if !sessions::close(tx, half_secret.expose_secret())? {
                return Err(SignInError::WrongCode);
            }
            sessions::open(
                tx,
                value.expose_secret(),
                user,
                Stage::Open,
                lasts,
                &place.from(),
            )?;
            Ok(arrived(tx, user, &name, known, &place)?)
        })
        .await?;
    Ok(Opened {
        secret,
        needs_code: false,
        user,
    })
}

/// Proves once more who one is: by the authenticator where there is one, else by the password.
pub async fn prove(
    ctx: &Ctx,
    session: &Session,
    given: SecretString,
    place: Place,
) -> Result<(), SignInError> {
    if session.has_totp {
        prove_by_code(ctx, session, given.expose_secret(), &place).await?;
    } else {
        prove_by_password(ctx, session, given, &place).await?;
    }
    let (id, name) = (session.id.clone(), session.name.clone());
    ctx.store
        .write(move |tx| {
            sessions::proved(tx, &id)?;
            note(tx, &name, &place, "sign_in.proved")
        })
        .await?;
    Ok(())
}

/// Checks the password of somebody who is signed in. Wrong ones count as at the door.
pub async fn prove_by_password(
    ctx: &Ctx,
    session: &Session,
    given: SecretString,
    place: &Place,
) -> Result<(), SignInError> {
    let now = ctx.store.now();
    let known = ctx
        .store
        .read(|conn| knows(conn, Some(session.user), place, now))?;
    take_try(ctx, &session.name, known).await?;
    let hash = ctx
        .store
        .read(|conn| accounts::password_hash(conn, session.user))?;
    let name = session.name.clone();
    if passwords::check(given, hash).await? {
        ctx.store
            .write(move |tx| accounts::forgive(tx, &name, Some(known)))
            .await?;
        return Ok(());
    }
    failed(ctx, name, place.clone(), "sign_in.failed").await?;
    Err(SignInError::Wrong)
}

/// Ends a browser's session, and says so in the audit log.
pub async fn sign_out(ctx: &Ctx, secret: SecretString, place: Place) -> Result<(), StoreError> {
    let now = ctx.store.now().as_millisecond();
    let ever = std::time::Duration::from_secs(10 * 366 * 24 * 3_600);
    ctx.store
        .write(move |tx| {
            if let Some(session) = sessions::find(tx.conn(), secret.expose_secret(), now, ever)? {
                note(tx, &session.name, &place, "sign_in.ended")?;
            }
            sessions::close(tx, secret.expose_secret()).map(|_| ())
        })
        .await
}

/// Checks a code of the authenticator, or a recovery code, and uses it up. Wrong ones count as at the
/// door. Gives whether the place is known.
pub async fn prove_by_code(
    ctx: &Ctx,
    session: &Session,
    code: &str,
    place: &Place,
) -> Result<bool, SignInError> {
    let now = ctx.store.now();
    let (user, name) = (session.user, session.name.clone());
    let known = ctx.store.read(|conn| knows(conn, Some(user), place, now))?;
    take_try(ctx, &name, known).await?;
    let kept = ctx.store.read(|conn| accounts::totp(conn, user))?;
    let given: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let step = kept.and_then(|(secret, _)| step_of(&secret, &name, &given, now));
    let recovery = as_recovery(&given);
    let whose = name.clone();
    let used = ctx
        .store
        .write(move |tx| {
            let used = match (step, recovery) {
                (Some(step), _) => accounts::use_step(tx, user, step)?,
                (None, Some(code)) => accounts::use_recovery(tx, user, &code)?,
                (None, None) => false,
            };
            if used {
                accounts::forgive(tx, &whose, Some(known))?;
            }
            Ok::<_, StoreError>(used)
        })
        .await?;
    if used {
        return Ok(known);
    }
    failed(ctx, name, place.clone(), "sign_in.code_failed").await?;
    Err(SignInError::WrongCode)
}

fn knows(
    conn: &rusqlite::Connection,
    user: Option<i64>,
    place: &Place,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(user) = user else { return Ok(false) };
    let mark = place.mark.as_deref().map(crate::store::admin::hash);
    let places: Vec<&str> = [Some(place.address.as_str()), mark.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    accounts::knows_place(conn, user, &places, now.as_millisecond())
}

/// Counts a try before it is judged, in the write that looks whether there may be one: of many at once each
/// counts. A right one is forgiven.
async fn take_try(ctx: &Ctx, name: &str, known: bool) -> Result<(), SignInError> {
    let name = name.to_owned();
    ctx.store
        .write(move |tx| {
            let guard = accounts::guard(tx.conn(), &name, known)?;
            let now = tx.now_ms();
            let left = guard.locked_until - now;
            if left > 0 {
                return Err(SignInError::Locked {
                    seconds: (left as u64).div_ceil(1_000),
                });
            }
            let (failures, wait) = guessing::after_failure(guard.failures, guard.since, now);
            let guard = accounts::Guard {
                failures,
                since: now,
                locked_until: now + wait,
            };
            Ok(accounts::set_guard(tx, &name, known, guard)?)
        })
        .await
}

/// Keeps that a try was wrong. A wrong name may be anything, a password among it: only those that exist are
/// told of.
async fn failed(
    ctx: &Ctx,
    name: String,
    place: Place,
    act: &'static str,
) -> Result<(), StoreError> {
    ctx.store
        .write(move |tx| match accounts::by_name(tx.conn(), &name)? {
            Some(_) => note(tx, &name, &place, act),
            None => Ok(()),
        })
        .await
}

fn note(tx: &Tx<'_>, name: &str, place: &Place, act: &str) -> Result<(), StoreError> {
    let agent = json!({ "agent": place.from().agent });
    audit::add(
        tx,
        &place.acting(&format!("@{name}")),
        &Act {
            act,
            subject: &format!("user:{name}"),
            before: None,
            after: Some(&agent),
        },
    )
}

/// The authenticator of an account. SHA-1, six digits, thirty seconds: what every app takes.
fn totp_of(secret: &str, name: &str) -> Option<Totp> {
    let secret = Secret::try_from_base32(secret).ok()?;
    Builder::new()
        .with_secret(secret)
        .with_account_name(name)
        .with_issuer(Some("jeongsan"))
        .build()
        .ok()
}

/// The time step whose code this is, one before or after the present one too: clocks differ.
pub fn step_of(secret: &str, name: &str, code: &str, now: Timestamp) -> Option<i64> {
    let now = u64::try_from(now.as_second()).ok()?;
    let step = totp_of(secret, name)?.check(code, now)?;
    i64::try_from(step).ok()
}

/// A new authenticator's secret.
pub fn new_totp() -> String {
    Secret::generate().to_base32()
}

/// What an authenticator app reads from the picture.
pub fn totp_url(secret: &str, name: &str) -> Option<String> {
    totp_of(secret, name)?.to_url().ok()
}

/// Ten recovery codes such as `k7wq-h2mx-9rtc`: 59 bits each, without letters that look alike.
pub fn new_recovery_codes() -> Vec<String> {
    const LETTERS: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
    (0..10)
        .map(|_| {
            let letters: Vec<u8> = (0..12)
                .map(|_| LETTERS[rand::random_range(0..LETTERS.len())])
                .collect();
            letters
                .chunks(4)
                .map(|four| String::from_utf8_lossy(four).into_owned())
                .collect::<Vec<_>>()
                .join("-")
        })
        .collect()
}

/// A recovery code as it is kept, if it looks like one.
fn as_recovery(given: &str) -> Option<String> {
    let letters: String = given.to_lowercase().chars().filter(|c| *c != '-').collect();
    if letters.len() != 12 || !letters.is_ascii() {
        return None;
    }
    Some([&letters[..4], &letters[4..8], &letters[8..]].join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_codes_are_read_however_they_are_typed() {
        let code = new_recovery_codes().remove(0);
        assert_eq!(as_recovery(&code.to_uppercase()).as_ref(), Some(&code));
        assert_eq!(as_recovery(&code.replace('-', "")).as_ref(), Some(&code));
        assert_eq!(as_recovery("123456"), None);
    }

    #[test]
    fn a_code_is_good_for_its_step_and_its_neighbours() {
        let secret = new_totp();
        let now: Timestamp = "2026-11-26T01:00:15Z".parse().unwrap();
        let totp = totp_of(&secret, "minji").unwrap();
        let at = |seconds: i64| {
            let time = u64::try_from(now.as_second() + seconds).unwrap();
            step_of(&secret, "minji", &totp.generate(time).to_string(), now)
        };
        let step = now.as_second() / 30;
        assert_eq!(
            (at(-30), at(0), at(30)),
            (Some(step - 1), Some(step), Some(step + 1))
        );
        assert_eq!((at(-90), at(90)), (None, None));
        assert!(
            totp_url(&secret, "minji")
                .unwrap()
                .starts_with("otpauth://totp/jeongsan:minji")
        );
    }
}
