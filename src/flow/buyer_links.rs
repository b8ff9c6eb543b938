//! Buyers reach their own payments by a token: one that the shop signs, or one in a link of ours.
//!
//! A token is a JWT signed with HS256, and nothing else. The shop signs with the secret that it shares
//! with us (`buyers.secret`), for a day at most: it makes one whenever its customer comes by. Our own
//! links are for mails and messages and may last for weeks; they name our key in their header, which
//! never leaves the books. A token says whose payments, never which rights: it opens nothing else.

use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
    errors::ErrorKind,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::{
    domain::ids::{BuyerId, MerchantUid, NotAnId},
    flow::{Ctx, sign_in::new_secret},
    store::{
        Store, StoreError, admin,
        audit::{self, Act},
        buyers::Whose,
        orders,
    },
};

/// For whom a token must be: one that the shop made for another service is none for us.
pub const AUDIENCE: &str = "jeongsan";
/// Names our own key in a token's header.
const OWN: &str = "jeongsan";
/// Under this our own key is kept.
const OWN_KEY: &str = "buyers_own_key";
/// How far ahead the shop's own tokens may end.
pub const SHOPS_LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// How long a link of ours lasts where nothing is said.
pub const LINK_LASTS: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long it lasts at most.
pub const LINK_LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Two clocks are never quite the same.
const LEEWAY: i64 = 60;
/// A browser keeps no cookie that is longer than 4,096 bytes, its name included.
const LONGEST: usize = 3_500;
/// Orders that one link opens.
pub const MOST_ORDERS: usize = 10;

/// Somebody who may see some payments, until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buyer {
    pub whose: Whose,
    pub until: Timestamp,
}

/// Why a token opens nothing. The buyer learns what to do; why, the shop reads in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("it is not signed with the key that it names, or not by HS256")]
    Forged,
    #[error("the shop signed it, but buyers.secret is not set")]
    NoSecret,
    #[error("`{0}` is missing or not as it must be")]
    Claim(&'static str),
    #[error("it is over")]
    Over,
    #[error("it does not hold yet")]
    NotYet,
    #[error("it ends too far ahead: the shop's tokens end within 24 hours")]
    TooFar,
}

/// Why no link is made.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("name either a buyer or 1 to {MOST_ORDERS} orders")]
    Whose,
    #[error("a link lasts a minute at least and 30 days at most")]
    Lasts,
    #[error("the order `{0}` is not registered")]
    UnknownOrder(MerchantUid),
    #[error("the link would be too long for a browser: name fewer orders")]
    TooLong,
    #[error("the link could not be signed")]
    Signing,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A link of ours.
#[derive(Clone, Debug)]
pub struct Link {
    pub url: String,
    pub until: Timestamp,
}

/// What tokens are signed with.
pub struct Keys {
    shop: Option<SecretString>,
    own: SecretString,
}

#[derive(Deserialize)]
struct Claims {
    /// A NumericDate may have a fraction. Left out, it is told of by its name.
    #[serde(default = "no_end")]
    exp: f64,
    iat: Option<f64>,
    nbf: Option<f64>,
    sub: Option<String>,
    orders: Option<Vec<String>>,
}

fn no_end() -> f64 {
    f64::NAN
}

impl Keys {
    /// The shop's key of the settings, and our own: made at the first start, and kept.
    pub async fn ready(store: &Store, shop: Option<SecretString>) -> Result<Keys, StoreError> {
        if let Some(own) = store.read(|conn| admin::setting(conn, OWN_KEY))? {
            let own = own.into();
            return Ok(Keys { shop, own });
        }
        let made = new_secret();
        let kept = store
            .write(move |tx| {
                // Another process may have been faster.
                if let Some(own) = admin::setting(tx.conn(), OWN_KEY)? {
                    return Ok::<_, StoreError>(own);
                }
                admin::set(tx, OWN_KEY, made.expose_secret())?;
                Ok(made.expose_secret().to_owned())
            })
            .await?;
        Ok(Keys {
            shop,
            own: kept.into(),
        })
    }

    /// Whose payments a token opens, if any.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Buyer, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::Forged);
        }
        let header = decode_header(token).map_err(|_| TokenError::Forged)?;
        if header.alg != Algorithm::HS256 || header.crit.is_some() {
            return Err(TokenError::Forged);
        }
        let own = header.kid.as_deref() == Some(OWN);
        let key = if own {
            &self.own
        } else {
            self.shop.as_ref().ok_or(TokenError::NoSecret)?
        };
        let claims = signed(token, key)?;
        let until = Timestamp::from_second(claims.exp as i64).map_err(|_| TokenError::TooFar)?;
        let (now, exp) = (now.as_second(), until.as_second());
        if exp <= now {
            return Err(TokenError::Over);
        }
        let longest = if own { LINK_LONGEST } else { SHOPS_LONGEST };
        if exp - now > longest.as_secs() as i64 + LEEWAY {
            return Err(TokenError::TooFar);
        }
        let starts = [claims.iat, claims.nbf].into_iter().flatten();
        if starts.into_iter().any(|at| at as i64 > now + LEEWAY) {
            return Err(TokenError::NotYet);
        }
        let whose = match (claims.sub, claims.orders) {
            (Some(sub), None) => Whose::Buyer(id(sub, BuyerId::new, "sub")?),
            // Which orders are whose is for the shop to say by registering them, or for us.
            (None, Some(orders)) if own => Whose::Orders(
                orders
                    .into_iter()
                    .map(|order| id(order, MerchantUid::new, "orders"))
                    .collect::<Result<_, _>>()?,
            ),
            _ => return Err(TokenError::Claim("sub")),
        };
        Ok(Buyer { whose, until })
    }

    fn sign(&self, whose: &Whose, from: Timestamp, until: Timestamp) -> Result<String, LinkError> {
        let mut claims = json!({
            "aud": AUDIENCE, "iat": from.as_second(), "exp": until.as_second(),
        });
        match whose {
            Whose::Buyer(buyer) => claims["sub"] = json!(buyer),
            Whose::Orders(orders) => claims["orders"] = json!(orders),
        }
        let header = Header {
            kid: Some(OWN.to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        let key = EncodingKey::from_secret(self.own.expose_secret().as_bytes());
        let token = encode(&header, &claims, &key).map_err(|_| LinkError::Signing)?;
        if token.len() > LONGEST {
            return Err(LinkError::TooLong);
        }
        Ok(token)
    }
}

fn id<T>(
    text: String,
    new: impl Fn(String) -> Result<T, NotAnId>,
    claim: &'static str,
) -> Result<T, TokenError> {
    new(text).map_err(|_| TokenError::Claim(claim))
}

/// The claims, if the key signed them for us. Times are judged by the books' clock, not by the
/// library's.
fn signed(token: &str, key: &SecretString) -> Result<Claims, TokenError> {
    let mut rule = Validation::new(Algorithm::HS256);
    rule.validate_exp = false;
    rule.validate_nbf = false;
    rule.set_audience(&[AUDIENCE]);
    rule.set_required_spec_claims(&["exp", "aud"]);
    let key = DecodingKey::from_secret(key.expose_secret().as_bytes());
    let read = decode::<Claims>(token, &key, &rule).map_err(|error| match error.kind() {
        ErrorKind::InvalidAudience => TokenError::Claim("aud"),
        ErrorKind::MissingRequiredClaim(name) if name == "aud" => TokenError::Claim("aud"),
        ErrorKind::MissingRequiredClaim(_) => TokenError::Claim("exp"),
        ErrorKind::Json(_) | ErrorKind::InvalidClaimFormat(_) => {
            TokenError::Claim("exp, iat, nbf or sub")
        }
        _ => TokenError::Forged,
    })?;
    Ok(read.claims)
}

/// Makes a link to somebody's payments. The audit log keeps for whom, by whom and until when; the link
/// itself is kept nowhere.
pub async fn make_link(
    ctx: &Ctx,
    keys: &Keys,
    whose: Whose,
    lasts: Duration,
) -> Result<Link, LinkError> {
    if !(Duration::from_secs(60)..=LINK_LONGEST).contains(&lasts) {
        return Err(LinkError::Lasts);
    }
    if let Whose::Orders(named) = &whose {
        if !(1..=MOST_ORDERS).contains(&named.len()) {
            return Err(LinkError::Whose);
        }
        for order in named {
            let known = ctx.store.read(|conn| orders::amount(conn, order))?;
            if known.is_none() {
                return Err(LinkError::UnknownOrder(order.clone()));
            }
        }
    }
    let now = ctx.store.now();
    let until = Timestamp::from_second(now.as_second() + lasts.as_secs() as i64)
        .map_err(|_| LinkError::Lasts)?;
    let token = keys.sign(&whose, now, until)?;
    ctx.store
        .write(move |tx| {
            let (subject, after) = match &whose {
                Whose::Buyer(buyer) => (format!("buyer:{}", shown(buyer)), json!({})),
                Whose::Orders(orders) => {
                    ("buyer:guest".to_owned(), json!({ "merchant_uids": orders }))
                }
            };
            let mut after = after;
            after["until"] = json!(until.to_string());
            audit::note(
                tx,
                &Act {
                    act: "buyer.link",
                    subject: &subject,
                    before: None,
                    after: Some(&after),
                },
            )
        })
        .await?;
    let url = format!("{}/payment/mypage?token={token}", ctx.policy.public_url);
    Ok(Link { url, until })
}

/// A customer's id for a log that is kept for ever: some shops use the mail address.
fn shown(buyer: &BuyerId) -> String {
    crate::domain::masks::masked_text(buyer.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_786_000_000;

    fn keys(shop: Option<&str>) -> Keys {
        Keys {
            shop: shop.map(|key| key.to_owned().into()),
            own: "the key that never leaves the books, 1".to_owned().into(),
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }

    const SHOP: &str = "a secret that the shop shares with us";

    fn token(header: &Header, claims: &serde_json::Value, key: &str) -> String {
        encode(header, claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
    }

    fn shops(claims: serde_json::Value) -> Result<Buyer, TokenError> {
        keys(Some(SHOP)).verify(&token(&Header::default(), &claims, SHOP), now())
    }

    #[test]
    fn the_shops_own_token_opens_its_customers_payments() {
        let buyer = shops(json!({ "sub": "u-1", "aud": "jeongsan", "exp": NOW + 3_600 })).unwrap();
        assert_eq!(buyer.whose, Whose::Buyer(BuyerId::new("u-1").unwrap()));
        assert_eq!(buyer.until.as_second(), NOW + 3_600);
        // Python's `time.time()` has a fraction, some libraries write the audience as a list.
        let claims =
            json!({ "sub": "u-1", "aud": ["jeongsan"], "exp": NOW as f64 + 60.5, "iat": NOW });
        assert!(shops(claims).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_token_is_named() {
        let good = json!({ "sub": "u-1", "aud": "jeongsan", "exp": NOW + 3_600 });
        let with = |name: &str, value: serde_json::Value| {
            let mut claims = good.clone();
            claims[name] = value;
            claims
        };
        let without = |name: &str| {
            let mut claims = good.clone();
            claims.as_object_mut().unwrap().remove(name);
            claims
        };
        for (claims, error) in [
            (with("exp", json!(NOW)), TokenError::Over),
            (with("exp", json!(-5)), TokenError::Claim("exp")),
            (with("exp", json!(NOW + 86_400 + 61)), TokenError::TooFar),
            (with("exp", json!(1e300)), TokenError::Claim("exp")),
            (with("nbf", json!(NOW + 61)), TokenError::NotYet),
            (with("iat", json!(NOW + 61)), TokenError::NotYet),
            (with("aud", json!("another")), TokenError::Claim("aud")),
            (without("aud"), TokenError::Claim("aud")),
            (without("sub"), TokenError::Claim("sub")),
            (with("sub", json!("")), TokenError::Claim("sub")),
            (without("exp"), TokenError::Claim("exp")),
            // Orders are opened by our own links alone.
            (with("orders", json!(["ord-1"])), TokenError::Claim("sub")),
        ] {
            assert_eq!(shops(claims.clone()), Err(error), "{claims}");
        }
        for within in [
            with("nbf", json!(NOW + 59)),
            with("exp", json!(NOW + 86_400 + 59)),
        ] {
            assert!(shops(within.clone()).is_ok(), "{within}");
        }
        assert!(matches!(
            shops(with("exp", json!("soon"))),
            Err(TokenError::Claim(_))
        ));
        assert!(matches!(
            shops(with("sub", json!(7))),
            Err(TokenError::Claim(_))
        ));
    }

    #[test]
    fn only_hs256_by_the_right_key_counts() {
        let good = json!({ "sub": "u-1", "aud": "jeongsan", "exp": NOW + 3_600 });
        let own = Header {
            kid: Some(OWN.to_owned()),
            ..Header::default()
        };
        let keys = keys(Some(SHOP));
        for (header, key) in [
            (Header::new(Algorithm::HS384), SHOP),
            (Header::new(Algorithm::HS512), SHOP),
            (Header::default(), "a secret that somebody made up, long"),
            // Who knows the shop's secret cannot sign in our name, nor the other way about.
            (own, SHOP),
            (Header::default(), "the key that never leaves the books, 1"),
        ] {
            assert_eq!(
                keys.verify(&token(&header, &good, key), now()),
                Err(TokenError::Forged)
            );
        }
        for text in [
            "",
            ".",
            "..",
            "a.b.c",
            "eyJhbGciOiJub25lIn0.e30.",
            &"x".repeat(10_000),
        ] {
            assert_eq!(keys.verify(text, now()), Err(TokenError::Forged), "{text}");
        }
    }

    #[test]
    fn links_of_ours_need_no_secret_and_open_what_they_name() {
        let keys = keys(None);
        let orders = Whose::Orders(vec![MerchantUid::new("ord-1").unwrap()]);
        let until = Timestamp::from_second(NOW + 7 * 86_400).unwrap();
        for whose in [orders, Whose::Buyer(BuyerId::new("고객-1").unwrap())] {
            let token = keys.sign(&whose, now(), until).unwrap();
            assert_eq!(keys.verify(&token, now()).unwrap(), Buyer { whose, until });
            assert_eq!(keys.verify(&token, until), Err(TokenError::Over));
        }
        let shops = token(
            &Header::default(),
            &json!({ "sub": "u-1", "aud": "jeongsan", "exp": NOW + 3_600 }),
            SHOP,
        );
        assert_eq!(keys.verify(&shops, now()), Err(TokenError::NoSecret));
        let long = |n: usize| MerchantUid::new(format!("{n}{}", "x".repeat(250))).unwrap();
        let many = Whose::Orders((0..15).map(long).collect());
        assert!(matches!(
            keys.sign(&many, now(), until),
            Err(LinkError::TooLong)
        ));
    }
}
