//! What goes wrong with accounts and signing in, as answers.

use axum::http::StatusCode;

use super::Problem;
use crate::{
    domain::{
        account::AccountError,
        api_key::{WrongKey, all_scopes},
    },
    flow::{
        buyer_links::LinkError, manage_keys::KeyError, manage_users::UserError,
        passwords::PasswordError, sign_in::SignInError,
    },
};

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Problem {
        match error {
            PasswordError::Busy => Problem::full(),
            PasswordError::Broken => {
                tracing::error!(%error, "answered 500");
                Problem::internal()
            }
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Problem {
        let ko = match error {
            AccountError::Name => {
                "로그인 이름은 영문 소문자로 시작하는 2~40자의 소문자, 숫자, `-`, `_`, `.`입니다."
            }
            AccountError::Short => "비밀번호는 8자 이상이어야 합니다.",
            AccountError::Long => "비밀번호는 200자를 넘을 수 없습니다.",
            AccountError::Guessable => {
                "너무 쉽게 짐작되는 비밀번호입니다. 더 길게 하거나 서로 상관없는 낱말 몇 개를 이어 쓰세요."
            }
        };
        let en = format!("{error}.");
        let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
        match error {
            AccountError::Name => Problem::new(unprocessable, "user-name", ko, en),
            AccountError::Short | AccountError::Long | AccountError::Guessable => {
                Problem::new(unprocessable, "password", ko, en)
            }
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Problem {
        match error {
            SignInError::Wrong | SignInError::WrongCode => Problem::new(
                StatusCode::UNAUTHORIZED,
                "sign-in",
                "이름, 비밀번호 또는 코드가 맞지 않습니다.",
                "The name, the password or the code is not right.",
            ),
            SignInError::Locked { seconds } => Problem::too_many(seconds),
            SignInError::Password(error) => error.into(),
            SignInError::Store(error) => error.into(),
        }
    }
}

impl From<LinkError> for Problem {
    fn from(error: LinkError) -> Problem {
        let ko = match &error {
            LinkError::UnknownOrder(order) => return Problem::not_found(order.as_str()),
            LinkError::Store(_) | LinkError::Signing => {
                if let LinkError::Store(error) = error {
                    return error.into();
                }
                tracing::error!(%error, "answered 500");
                return Problem::internal();
            }
            LinkError::Whose => {
                "구매자 하나(buyer) 또는 주문 1~10건(merchant_uids) 가운데 하나만 적어 주세요."
            }
            LinkError::Lasts => {
                "링크의 기한(expires)은 1분 이상 30일 이하로, `12h`나 `7d`처럼 적어 주세요."
            }
            LinkError::TooLong => {
                "링크가 브라우저에 담기에 너무 깁니다. 주문을 더 적게 적어 주세요."
            }
        };
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "link",
            ko,
            format!("{error}."),
        )
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Problem {
        let en = format!("{error}.");
        match error {
            UserError::Unknown(name) => Problem::not_found(&name),
            UserError::Taken(name) => Problem::new(
                StatusCode::CONFLICT,
                "user-taken",
                format!("`{name}` 계정이 이미 있습니다."),
                en,
            ),
            UserError::Partner => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "user-partner",
                "파트너사 계정에는 파트너사 ID가 필요하고, 다른 계정에는 있을 수 없습니다.",
                en,
            ),
            UserError::NoPartner(id) => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "user-partner",
                format!("파트너사 `{id}`이(가) 없습니다."),
                en,
            ),
            UserError::LastOwner => Problem::new(
                StatusCode::CONFLICT,
                "last-owner",
                "로그인할 수 있는 소유자가 이 사람뿐입니다. 먼저 다른 소유자를 만드세요.",
                en,
            ),
            UserError::Link => Problem::new(
                StatusCode::NOT_FOUND,
                "link-over",
                "이미 쓴 링크이거나 한 시간이 지났습니다. 소유자에게 새 링크를 요청하세요. 첫 계정이라면 서버를 다시 시작하면 새 링크가 출력됩니다.",
                "The link was used, or its hour is over: ask an owner for a new one. For the very first account, start the server again and it prints one.",
            ),
            UserError::Code => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "totp-code",
                "지금 인증 앱에 보이는 코드가 아닙니다.",
                en,
            ),
            UserError::Ended => Problem::new(
                StatusCode::UNAUTHORIZED,
                "sign-in",
                "그사이 로그인이 종료되어 아무것도 바꾸지 않았습니다. 다시 로그인하세요.",
                en,
            ),
            UserError::Account(error) => error.into(),
            UserError::Password(error) => error.into(),
            UserError::Store(error) => error.into(),
        }
    }
}

impl From<WrongKey> for Problem {
    fn from(error: WrongKey) -> Problem {
        let en = format!("{error}.");
        let wrong = StatusCode::UNPROCESSABLE_ENTITY;
        match error {
            WrongKey::Name => Problem::new(
                wrong,
                "key-name",
                "키 이름은 영문 소문자로 시작하는 2~40자의 소문자, 숫자, `-`, `_`, `.`입니다.",
                en,
            ),
            WrongKey::NoScope | WrongKey::Scope => Problem::new(
                wrong,
                "key-scope",
                format!(
                    "권한을 하나 이상 골라 주세요. 가능한 권한: {}",
                    all_scopes()
                ),
                en,
            ),
            WrongKey::Own => Problem::new(
                wrong,
                "key-scope",
                "`own:read`는 파트너사 계정의 권한이라 키에는 줄 수 없습니다.",
                en,
            ),
            WrongKey::Expiry => Problem::new(
                wrong,
                "key-expiry",
                "키의 기한은 1분~3,650일이거나 없어야 합니다.",
                en,
            ),
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Problem {
        let en = format!("{error}.");
        match error {
            KeyError::Wrong(error) => error.into(),
            KeyError::Taken(name) => Problem::new(
                StatusCode::CONFLICT,
                "key-taken",
                format!("`{name}` 키가 이미 있습니다. 먼저 폐기하거나 다른 이름을 쓰세요."),
                en,
            ),
            KeyError::Unknown(name) => Problem::not_found(&name),
            KeyError::Revoked(name) => Problem::new(
                StatusCode::CONFLICT,
                "key-revoked",
                format!("`{name}` 키는 이미 폐기되었습니다."),
                en,
            ),
            KeyError::Store(error) => error.into(),
        }
    }
}
