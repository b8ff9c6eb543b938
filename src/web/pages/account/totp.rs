//! `/account/totp`: adding an authenticator app, its recovery codes, and taking it away.
//!
//! A new secret is nobody's until a code has confirmed it: it travels in the form, signed for this
//! session and for ten minutes, and is kept nowhere.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};
use qrcode::{Color, QrCode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{super::sign_in::may_try, back, fresh_minutes, me, page_of};
use crate::{
    flow::{
        manage_users,
        sign_in::{self, SignInError},
    },
    store::{accounts, sessions::Session},
    web::{
        Web,
        auth::{self, Actor, Cookie},
        error::Problem,
        extract::F,
        lang::Lang,
        pages::layout::{Fields, Look, field, layout, see_other},
    },
};

/// So long a new secret may be confirmed.
const WAITS: i64 = 10 * 60;

/// A secret that is to be confirmed.
struct Offer {
    secret: String,
    made_at: i64,
    sign: String,
}

impl Offer {
    fn new(browser: &str, user: i64, secret: String, now: Timestamp) -> Offer {
        let made_at = now.as_second();
        let sign = sign(browser, user, &secret, made_at);
        Offer {
            secret,
            made_at,
            sign,
        }
    }

    /// What the form sent back, if it is ours, this session's, and not too old.
    fn of(form: &Fields, browser: &str, user: i64, now: Timestamp) -> Option<Offer> {
        let secret = field(form, "secret")?.to_owned();
        let made_at: i64 = field(form, "made_at")?.parse().ok()?;
        let given = field(form, "sign")?;
        let sign = sign(browser, user, &secret, made_at);
        let ours = bool::from(sign.as_bytes().ct_eq(given.as_bytes()));
        let young = (0..WAITS).contains(&(now.as_second() - made_at));
        (ours && young).then_some(Offer {
            secret,
            made_at,
            sign,
        })
    }
}

/// Only this server knows the session's secret as well as the browser, which cannot read it.
fn sign(browser: &str, user: i64, secret: &str, made_at: i64) -> String {
    let mut hasher = Sha256::new();
    for part in [
        "jeongsan totp",
        browser,
        &user.to_string(),
        secret,
        &made_at.to_string(),
    ] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hex::encode(hasher.finalize())
}

/// The picture that an app reads. Dark on light in both themes: many apps read nothing else.
fn qr(text: &str, words: &str) -> Option<Markup> {
    let code = QrCode::new(text).ok()?;
    let width = code.width();
    let path: String = code
        .to_colors()
        .into_iter()
        .enumerate()
        .filter(|(_, color)| *color == Color::Dark)
        .map(|(at, _)| format!("M{} {}h1v1h-1z", at % width, at / width))
        .collect();
    let view = format!("-4 -4 {0} {0}", width + 8);
    Some(html! {
        svg.qr viewBox=(view) role="img" aria-label=(words) shape-rendering="crispEdges" {
            path d=(path) {}
        }
    })
}

/// In fours, as one types it.
fn in_fours(secret: &str) -> String {
    secret
        .as_bytes()
        .chunks(4)
        .map(|four| String::from_utf8_lossy(four).into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn code_field(lang: Lang, recovery: bool, wrong: bool) -> Markup {
    html! {
        label.field {
            span {
                @if recovery { (lang.t("인증 코드 또는 복구 코드", "Code, or a recovery code")) }
                @else { (lang.t("앱에 보이는 여섯 자리 코드", "The six digits that the app shows")) }
            }
            input name="code" required autocomplete="one-time-code" inputmode=[(!recovery).then_some("numeric")]
                autocapitalize="none" spellcheck="false" maxlength="40" placeholder="123456"
                aria-describedby=[wrong.then_some("why")];
        }
    }
}

fn add_page(look: &Look, name: &str, offer: &Offer, wrong: Option<&str>) -> Markup {
    let lang = look.lang;
    let title = lang.t("인증 앱 추가", "Add an authenticator");
    let picture = sign_in::totp_url(&offer.secret, name).and_then(|url| {
        qr(
            &url,
            lang.t(
                "인증 앱으로 읽는 QR 코드",
                "QR code for the authenticator app",
            ),
        )
    });
    let body = html! {
        (back(lang))
        section.sheet.narrow {
            h1 { (title) }
            @if let Some(wrong) = wrong { p.message.bad #why role="alert" { (wrong) } }
            ol.by-steps {
                li { (lang.t(
                    "휴대폰의 인증 앱(Google Authenticator, Microsoft Authenticator, 1Password 등)에서 계정 추가를 누르고 이 그림을 찍으세요.",
                    "In an authenticator app (Google Authenticator, Microsoft Authenticator, 1Password and others) add an account and take this picture.",
                )) }
                li { (lang.t("그림을 찍을 수 없으면 이 글자를 입력하세요.", "If you cannot take it, type this instead.")) " " code.key-text { (in_fours(&offer.secret)) } }
                li { (lang.t("앱에 보이는 코드를 아래에 입력하세요.", "Enter the code that the app shows.")) }
            }
            @if let Some(picture) = picture { (picture) }
            form.stack method="post" action="/account/totp" data-once {
                input type="hidden" name="secret" value=(offer.secret);
                input type="hidden" name="made_at" value=(offer.made_at);
                input type="hidden" name="sign" value=(offer.sign);
                (code_field(lang, false, wrong.is_some()))
                button.primary.wide { (lang.t("확인하고 켜기", "Confirm and turn on")) }
            }
        }
    };
    layout(look, page_of(title), body)
}

fn manage_page(look: &Look, left: i64, wrong: Option<&str>) -> Markup {
    let lang = look.lang;
    let title = lang.t("인증 앱", "Authenticator app");
    let body = html! {
        (back(lang))
        section.sheet.narrow {
            h1 { (title) }
            p { (lang.t(
                format!("켜져 있습니다. 로그인할 때와 돈이 움직이기 전에 코드를 묻습니다. 한 번 입력하면 {}분 동안은 다시 묻지 않습니다.", fresh_minutes()),
                format!("It is on: you are asked for a code when you sign in, and before money moves. Then not again for {} minutes.", fresh_minutes()),
            )) }
        }
        section.sheet.narrow aria-labelledby="codes" {
            h2 #codes { (lang.t("복구 코드", "Recovery codes")) }
            p { (lang.t(
                format!("{left}개 남았습니다. 휴대폰을 잃어버렸을 때 코드 대신 한 번씩 쓸 수 있습니다."),
                format!("{left} are left. Each works once in place of a code, should you lose your phone."),
            )) }
            form.acts method="post" action="/account/totp/codes" data-once {
                button { (lang.t("새로 만들기 (지금 것은 못 쓰게 됩니다)", "Make new ones (these stop working)")) }
            }
        }
        section.sheet.narrow aria-labelledby="remove" {
            h2 #remove { (lang.t("인증 앱 지우기", "Remove the authenticator")) }
            p { (lang.t(
                "지우면 비밀번호만으로 로그인합니다. 새 휴대폰으로 옮길 때는 지운 뒤 다시 더하세요. 방금 쓴 코드는 다시 쓸 수 없으니 다음 코드를 기다리세요.",
                "Without it your password alone signs you in. To move to another phone, remove it and add it again. A code counts once: wait for the next if you have just used one.",
            )) }
            @if let Some(wrong) = wrong { p.message.bad #why role="alert" { (wrong) } }
            form.stack method="post" action="/account/totp/remove" data-once {
                (code_field(lang, true, wrong.is_some()))
                button.danger { (lang.t("지우기", "Remove it")) }
            }
        }
    };
    layout(look, page_of(title), body)
}

fn codes_page(look: &Look, name: &str, codes: &[String], added: bool) -> Markup {
    let lang = look.lang;
    let title = lang.t("복구 코드", "Recovery codes");
    let body = html! {
        section.sheet.narrow {
            h1 { (title) }
            @if added {
                p.message.good.no-print role="status" { (lang.t("인증 앱을 켰습니다.", "The authenticator is on.")) }
            }
            p { strong { (lang.t("지금만 보입니다.", "They are shown this once.")) } " " (lang.t(
                "인쇄하거나 비밀번호 관리 앱에 적어 두세요. 휴대폰을 잃어버리면 코드 하나로 한 번 로그인할 수 있습니다.",
                "Print them, or keep them with your passwords. Should you lose your phone, each signs you in once.",
            )) }
            p.soft.small { "jeongsan · " (name) }
            ul.codes { @for code in codes { li { code { (code) } } } }
            p.acts.no-print { a.button.primary href="/account" { (lang.t("적어 두었습니다", "I have kept them")) } }
        }
    };
    layout(look, page_of(title), body)
}

/// The secret of the browser's session.
fn browser(web: &Web, headers: &HeaderMap) -> String {
    Cookie::Session.of(headers, &web.site).unwrap_or_default()
}

fn offer_page(
    web: &Web,
    look: &Look,
    session: &Session,
    headers: &HeaderMap,
    wrong: Option<&str>,
) -> Markup {
    let secret = sign_in::new_totp();
    let now = web.ctx.store.now();
    let offer = Offer::new(&browser(web, headers), session.user, secret, now);
    add_page(look, &session.name, &offer, wrong)
}

/// `GET /account/totp`
pub async fn form(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    headers: HeaderMap,
) -> Response {
    let result = || {
        let session = me(&actor)?;
        if !session.has_totp {
            return Ok(offer_page(&web, &look, session, &headers, None).into_response());
        }
        let left = web
            .ctx
            .store
            .read(|conn| accounts::recovery_left(conn, session.user))?;
        Ok(manage_page(&look, left, None).into_response())
    };
    look.answer(result())
}

/// `POST /account/totp`: a code confirms the secret that the page offered.
pub async fn confirm(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    headers: HeaderMap,
    F(form): F<Fields>,
) -> Response {
    let lang = look.lang;
    let result = async {
        let session = me(&actor)?;
        if session.has_totp {
            return Ok(see_other("/account/totp", None));
        }
        let now = web.ctx.store.now();
        let Some(offer) = Offer::of(&form, &browser(&web, &headers), session.user, now) else {
            let late = lang.t(
                "10분이 지나 새 그림을 만들었습니다. 앱에 다시 더해 주세요.",
                "Ten minutes have passed, so this is a new picture: add it to the app again.",
            );
            let page = offer_page(&web, &look, session, &headers, Some(late));
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        };
        let given: String = field(&form, "code")
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect();
        let Some(step) = sign_in::step_of(&offer.secret, &session.name, &given, now) else {
            let wrong = lang.t(
                "지금 앱에 보이는 코드가 아닙니다. 휴대폰의 시각이 맞는지 확인하고 다음 코드를 입력하세요.",
                "This is not the code that the app shows now. See that the phone's clock is right, and enter the next one.",
            );
            let page = add_page(&look, &session.name, &offer, Some(wrong));
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        };
        let codes = sign_in::new_recovery_codes();
        let kept = Some((offer.secret, step, codes.clone()));
        manage_users::set_totp(&web.ctx.store, session.user, &session.name, kept).await?;
        Ok::<_, Problem>(codes_page(&look, &session.name, &codes, true).into_response())
    };
    look.answer(result.await)
}

/// `POST /account/totp/codes`
pub async fn new_codes(State(web): State<Web>, actor: Actor, look: Look) -> Response {
    let result = async {
        let session = me(&actor)?;
        if !session.has_totp {
            return Ok(see_other("/account/totp", None));
        }
        let codes = sign_in::new_recovery_codes();
        let (store, user) = (&web.ctx.store, session.user);
        manage_users::set_recovery(store, user, &session.name, codes.clone()).await?;
        Ok(codes_page(&look, &session.name, &codes, false).into_response())
    };
    look.answer(result.await)
}

/// `POST /account/totp/remove`
pub async fn remove(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    F(form): F<Fields>,
) -> Response {
    let place = auth::place(&web, peer.ip(), &headers);
    let result = async {
        let session = me(&actor)?;
        if !session.has_totp {
            return Ok(see_other("/account/totp", None));
        }
        if !may_try(&web, peer, &headers) {
            return Err(Problem::too_many(60));
        }
        let given = field(&form, "code").unwrap_or_default();
        match sign_in::prove_by_code(&web.ctx, session, given, &place).await {
            Ok(_) => {}
            Err(error @ (SignInError::WrongCode | SignInError::Locked { .. })) => {
                let left = web
                    .ctx
                    .store
                    .read(|conn| accounts::recovery_left(conn, session.user))?;
                let problem = Problem::from(error);
                let sentence = match problem.status {
                    StatusCode::UNAUTHORIZED => look.lang.t(
                        "지금 인증 앱에 보이는 코드가 아니거나 이미 쓴 코드입니다. 다음 코드를 입력하세요.",
                        "This is not the code that the app shows now, or it was used: enter the next one.",
                    ),
                    _ => problem.sentence(look.lang),
                };
                let page = manage_page(&look, left, Some(sentence));
                return Ok((problem.status, page).into_response());
            }
            Err(error) => return Err(error.into()),
        }
        manage_users::set_totp(&web.ctx.store, session.user, &session.name, None).await?;
        Ok(see_other("/account?did=totp-removed", None))
    };
    look.answer(result.await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_good_for_its_session_its_person_and_ten_minutes() {
        let now: Timestamp = "2026-11-26T01:00:15Z".parse().unwrap();
        let later = |seconds: i64| Timestamp::from_second(now.as_second() + seconds).unwrap();
        let offer = Offer::new("browser", 7, "JBSWY3DP".into(), now);
        let form = |secret: &str| {
            Fields::from([
                ("secret".to_owned(), secret.to_owned()),
                ("made_at".to_owned(), offer.made_at.to_string()),
                ("sign".to_owned(), offer.sign.clone()),
            ])
        };
        let good = form("JBSWY3DP");
        assert!(Offer::of(&good, "browser", 7, later(599)).is_some());
        assert!(
            Offer::of(&good, "browser", 7, later(600)).is_none(),
            "too late"
        );
        assert!(
            Offer::of(&good, "browser", 7, later(-1)).is_none(),
            "from the future"
        );
        assert!(
            Offer::of(&good, "another", 7, now).is_none(),
            "another session"
        );
        assert!(
            Offer::of(&good, "browser", 8, now).is_none(),
            "another person"
        );
        assert!(
            Offer::of(&form("MFRGGZDF"), "browser", 7, now).is_none(),
            "another secret"
        );
        assert!(Offer::of(&Fields::new(), "browser", 7, now).is_none());
    }

    #[test]
    fn the_picture_has_no_style_and_the_text_is_in_fours() {
        let picture = qr("otpauth://totp/x?secret=JBSWY3DP", "a <b>")
            .unwrap()
            .into_string();
        assert!(picture.starts_with("<svg") && !picture.contains("style"));
        assert!(picture.contains("aria-label=\"a &lt;b&gt;\""));
        assert_eq!(in_fours("JBSWY3DPEHPK3PXP"), "JBSW Y3DP EHPK 3PXP");
    }

    #[test]
    fn codes_are_shown_in_both_languages() {
        for (lang, once) in [(Lang::Ko, "지금만"), (Lang::En, "this once")] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let text = codes_page(&look, "minji", &["abcd-efgh-jkmn".into()], true).into_string();
            assert!(text.contains(once) && text.contains("abcd-efgh-jkmn"));
            let text = manage_page(&look, 4, Some("<no>")).into_string();
            assert!(text.contains("role=\"alert\"") && !text.contains("<no>"));
        }
    }
}
