//! All errors of all flows, turned into an answer in one place.
//!
//! Programs get RFC 9457 `application/problem+json` with one stable `type` each, in Korean or
//! English. The cause of what is our fault is logged here, once, and not told to the caller.

mod accounts;
pub mod approvals;
mod jobs;
mod partners;
mod payouts;
pub mod settlements;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::lang::Lang;
use crate::{
    domain::{
        api_key::Standing,
        ids::NotAnId,
        money::Won,
        order::{Order, WrongOrder},
        payment::NotCancellable,
        retry::Class,
    },
    flow::{
        cancel_payment::{CancelError, WrongLines},
        dead_letters::DeadLetterError,
        register_order::RegisterError,
        release_hold::ReleaseError,
    },
    store::StoreError,
};

/// An answer that says what was wrong, what was expected, and what to do.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// The last part of `type`, stable for programs: `not-cancellable`.
    pub kind: &'static str,
    ko: String,
    en: String,
    extra: Map<String, Value>,
    retry_after: Option<u64>,
    lang: Lang,
}

impl Problem {
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        ko: impl Into<String>,
        en: impl Into<String>,
    ) -> Problem {
        Problem {
            status,
            kind,
            ko: ko.into(),
            en: en.into(),
            extra: Map::new(),
            retry_after: None,
            lang: Lang::Ko,
        }
    }

    pub fn with(mut self, name: &str, value: impl serde::Serialize) -> Problem {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.extra.insert(name.to_owned(), value);
        self
    }

    pub fn after(mut self, seconds: u64) -> Problem {
        self.retry_after = Some(seconds);
        self
    }

    pub fn lang(mut self, lang: Lang) -> Problem {
        self.lang = lang;
        self
    }

    /// Seconds after which trying again makes sense.
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// The sentence for a person.
    pub fn sentence(&self, lang: Lang) -> &str {
        lang.t(&self.ko, &self.en)
    }

    pub fn bad_request(ko: impl Into<String>, en: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad-request", ko, en)
    }

    pub fn not_found(what: &str) -> Problem {
        Problem::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("`{what}`을(를) 찾을 수 없습니다."),
            format!("`{what}` is not known here."),
        )
    }

    pub fn too_large(most: usize) -> Problem {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("요청 본문이 너무 큽니다. 최대 {most}바이트까지 받습니다."),
            format!("The body is too large: at most {most} bytes are taken."),
        )
    }

    pub fn too_slow() -> Problem {
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "too-slow",
            "요청 본문이 제때 도착하지 않았습니다.",
            "The body did not arrive in time.",
        )
    }

    pub fn too_many(seconds: u64) -> Problem {
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "요청이 너무 많습니다. 잠시 후 다시 시도하세요.",
            "Too many requests: try again in a moment.",
        )
        .after(seconds)
    }

    pub fn full() -> Problem {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "지금은 처리량이 가득 찼습니다. 잠시 후 다시 시도하세요.",
            "The server is full right now: try again in a moment.",
        )
        .after(1)
    }

    pub fn unauthorized() -> Problem {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "API 키가 필요합니다. `Authorization: Bearer …` 헤더로 보내거나 로그인하세요.",
            "An API key is needed: send `Authorization: Bearer …`, or sign in.",
        )
    }

    /// An API key that was good once.
    pub fn key_is_over(name: &str, why: Standing) -> Problem {
        let (ko, en) = match why {
            Standing::Revoked => ("폐기되었습니다", "was revoked"),
            Standing::Expired | Standing::Live => ("기한이 지났습니다", "is past its time"),
        };
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            format!("API 키 `{name}`은(는) {ko}. 소유자에게 새 키를 요청하세요."),
            format!("The API key `{name}` {en}: ask an owner of the shop for a new one."),
        )
    }

    /// Somebody who is known, and may not.
    pub fn forbidden(right: &str) -> Problem {
        let en = match right {
            "" => "Only people with an account may do this, and no key.".to_owned(),
            right => format!("This needs the right `{right}`: ask an owner of the shop for it."),
        };
        let ko = match right {
            "" => "계정으로 로그인한 사람만 할 수 있으며, 키로는 할 수 없습니다.".to_owned(),
            right => format!("`{right}` 권한이 필요합니다. 소유자에게 요청하세요."),
        };
        Problem::new(StatusCode::FORBIDDEN, "forbidden", ko, en).with("right", right)
    }

    /// Somebody who signed in too long ago for what moves money or rights.
    pub fn prove_again() -> Problem {
        Problem::new(
            StatusCode::FORBIDDEN,
            "prove-again",
            "돈이나 권한이 움직이는 일이라 본인 확인이 다시 필요합니다. `/sign-in/again`에서 확인한 뒤 다시 보내 주세요.",
            "Money or rights move here: prove again who you are at `/sign-in/again`, and send it once more.",
        )
    }

    /// A form whose token is not this browser's: from elsewhere, or from before signing in.
    pub fn stale_form() -> Problem {
        Problem::new(
            StatusCode::FORBIDDEN,
            "stale-form",
            "이 양식은 지금의 로그인과 맞지 않아 아무것도 바꾸지 않았습니다. 페이지를 새로 고친 뒤 다시 보내 주세요.",
            "This form does not belong to the present sign-in, and nothing was changed. Load its page again and send it once more.",
        )
    }

    pub fn cross_site() -> Problem {
        Problem::new(
            StatusCode::FORBIDDEN,
            "cross-site",
            "다른 사이트에서 온 요청이라 거부했습니다.",
            "The request came from another site and was refused.",
        )
    }

    /// An idempotency key that is none.
    pub fn wrong_idempotency_key() -> Problem {
        CancelError::Key.into()
    }

    /// An idempotency key that was used for something else.
    pub fn key_reused() -> Problem {
        CancelError::KeyReused.into()
    }

    pub(super) fn internal() -> Problem {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "서버 내부 오류입니다. 바뀐 것은 없으며, 원인은 서버 로그에 있습니다.",
            "Something went wrong inside. Nothing was changed; the cause is in the server's log.",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = Map::new();
        body.insert(
            "type".into(),
            json!(format!("urn:jeongsan:problem:{}", self.kind)),
        );
        let title = self.status.canonical_reason().unwrap_or("Error");
        body.insert("title".into(), json!(title));
        body.insert("status".into(), json!(self.status.as_u16()));
        body.insert("detail".into(), json!(self.sentence(self.lang)));
        body.extend(self.extra);
        let mut response = (self.status, Json(Value::Object(body))).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json; charset=utf-8"),
        );
        headers.insert(
            header::CONTENT_LANGUAGE,
            HeaderValue::from_static(self.lang.code()),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        match error {
            StoreError::Busy | StoreError::Unavailable(_) | StoreError::Closed => {
                tracing::warn!(%error, "answered 503");
                Problem::full()
            }
            StoreError::Rule(_)
            | StoreError::Unreadable { .. }
            | StoreError::Panicked(_)
            | StoreError::Sqlite(_) => {
                tracing::error!(%error, "answered 500");
                Problem::internal()
            }
        }
    }
}

impl From<NotAnId> for Problem {
    fn from(error: NotAnId) -> Problem {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-id",
            "식별자가 올바르지 않습니다: 공백과 제어 문자 없이 1~255자여야 합니다.",
            format!("{error}."),
        )
    }
}

impl From<NotCancellable> for Problem {
    fn from(error: NotCancellable) -> Problem {
        let en = format!("{error}.");
        let conflict = StatusCode::CONFLICT;
        match error {
            NotCancellable::NotPaid { status } => Problem::new(
                conflict,
                "not-cancellable",
                format!("결제 상태가 {}입니다. 결제 완료된 건만 취소할 수 있습니다.", status.as_str()),
                en,
            )
            .with("payment_status", status),
            NotCancellable::InFlight { id, amount } => Problem::new(
                conflict,
                "cancel-in-progress",
                format!("다른 취소({id}, {amount}원)가 진행 중입니다. 끝난 뒤 다시 시도하세요."),
                en,
            )
            .with("cancellation", id)
            .after(5),
            NotCancellable::DeadLetter { id } => Problem::new(
                conflict,
                "cancel-dead-letter",
                format!("취소 {id}가 데드레터에 있습니다. 먼저 재처리하거나 폐기하세요."),
                en,
            )
            .with("cancellation", id),
            NotCancellable::NothingLeft => {
                Problem::new(conflict, "nothing-left", "이미 전액 취소된 결제입니다.", en)
            }
            NotCancellable::Amount { asked, left } => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "cancel-amount",
                format!("{asked}원을 요청했지만 취소 가능한 금액은 {left}원입니다. 1~{left}원 사이로 요청하세요."),
                en,
            )
            .with("balance", left),
        }
    }
}

impl From<WrongLines> for Problem {
    fn from(error: WrongLines) -> Problem {
        let ko = match &error {
            WrongLines::None => {
                "지정한 항목이 없습니다. 하나 이상 적거나, 모두에 나누려면 `lines`를 빼세요."
                    .to_owned()
            }
            WrongLines::NoOrder => {
                "등록된 주문이 없는 결제라 상품을 지정할 수 없습니다.".to_owned()
            }
            WrongLines::Unknown { line, most } => {
                format!("주문에 {line}번 항목이 없습니다. 1~{most} 사이여야 합니다.")
            }
            WrongLines::Twice(line) => {
                format!("{line}번 항목이 두 번 적혀 있습니다. 합계로 한 번만 적으세요.")
            }
            WrongLines::Amount { line, asked, left } => format!(
                "{line}번 항목에서 {asked}원을 취소하려 했지만 남은 금액은 {left}원입니다. 1~{left}원 사이여야 합니다."
            ),
            WrongLines::Sum { lines, amount } => {
                format!("항목 합계 {lines}원이 취소 금액 {amount}원과 다릅니다.")
            }
            WrongLines::OutOfRange(_) => "항목 금액의 합이 범위를 벗어났습니다.".to_owned(),
        };
        let wrong = StatusCode::UNPROCESSABLE_ENTITY;
        Problem::new(wrong, "cancel-lines", ko, format!("{error}."))
    }
}

impl From<CancelError> for Problem {
    fn from(error: CancelError) -> Problem {
        let en = format!("{error}.");
        let wrong = StatusCode::UNPROCESSABLE_ENTITY;
        match error {
            CancelError::NotFound(id) => Problem::not_found(id.as_str()),
            CancelError::NotCancellable(error) => error.into(),
            CancelError::Reason => Problem::new(
                wrong,
                "cancel-reason",
                "취소 사유를 1~200자로 적어 주세요.",
                en,
            ),
            CancelError::TaxFree { tax_free, amount } => Problem::new(
                wrong,
                "cancel-tax-free",
                format!(
                    "면세 금액 {tax_free}원은 취소 금액 {amount}원을 넘을 수 없습니다. 0~{amount}원 사이여야 합니다."
                ),
                en,
            ),
            CancelError::Lines(error) => error.into(),
            CancelError::RefundAccount(field) => Problem::new(
                wrong,
                "refund-account",
                format!("환불 계좌의 {field} 값은 1~60자여야 합니다."),
                en,
            ),
            CancelError::Key => Problem::new(
                StatusCode::BAD_REQUEST,
                "idempotency-key",
                "Idempotency-Key는 1~255자의 ASCII 문자여야 합니다.",
                en,
            ),
            CancelError::KeyReused => Problem::new(
                wrong,
                "idempotency-key-reused",
                "이 Idempotency-Key는 다른 요청에 이미 쓰였습니다. 새 키를 사용하세요.",
                en,
            ),
            CancelError::Store(error) => error.into(),
        }
    }
}

impl From<WrongOrder> for Problem {
    fn from(error: WrongOrder) -> Problem {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-order",
            wrong_order(&error),
            format!("{error}."),
        )
    }
}

/// The same in Korean.
fn wrong_order(error: &WrongOrder) -> String {
    let longest = Order::LONGEST_NAME;
    match error {
        WrongOrder::NoLines => "주문 항목이 없습니다. 하나 이상 필요합니다.".into(),
        WrongOrder::TooManyLines(count) => {
            format!(
                "주문 항목이 {count}개입니다. {}개까지 받습니다.",
                Order::MOST_LINES
            )
        }
        WrongOrder::Name => format!("주문명은 1~{longest}자여야 합니다."),
        WrongOrder::LineName { line } => format!("{line}번 항목: 이름은 1~{longest}자여야 합니다."),
        WrongOrder::Quantity { line, quantity } => {
            format!("{line}번 항목: 수량이 {quantity}입니다. 1 이상이어야 합니다.")
        }
        WrongOrder::UnitPrice { line, price } => {
            format!("{line}번 항목: 단가가 {price}원입니다. 음수일 수 없습니다.")
        }
        WrongOrder::Discount {
            line,
            discount,
            gross,
        } => {
            format!("{line}번 항목: {gross}원에 할인 {discount}원입니다. 0~{gross}원이어야 합니다.")
        }
        WrongOrder::Sum { lines, amount } => {
            format!("항목 합계는 {lines}원인데 주문 금액은 {amount}원입니다.")
        }
        WrongOrder::Amount(amount) => {
            format!(
                "주문 금액이 {amount}원입니다. 1~{}원이어야 합니다.",
                Won::LARGEST
            )
        }
        WrongOrder::TaxFree { tax_free, amount } => {
            format!("면세 금액이 {tax_free}원입니다. 0~{amount}원이어야 합니다.")
        }
        WrongOrder::OutOfRange(_) => "금액 합계가 다룰 수 있는 범위를 벗어납니다.".into(),
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Problem {
        match error {
            RegisterError::Taken(id) => Problem::new(
                StatusCode::CONFLICT,
                "order-taken",
                format!(
                    "주문 `{id}`은(는) 다른 내용으로 이미 등록되어 있습니다. 다른 merchant_uid를 쓰세요."
                ),
                format!(
                    "The order `{id}` is registered with other contents: use another merchant_uid."
                ),
            ),
            RegisterError::Refused(error) => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "order-refused",
                format!("포트원이 주문 사전등록을 거절했습니다: {error}"),
                format!("PortOne does not take the order: {error}"),
            ),
            RegisterError::Store(error) => error.into(),
        }
    }
}

impl From<DeadLetterError> for Problem {
    fn from(error: DeadLetterError) -> Problem {
        let en = format!("{error}.");
        match error {
            DeadLetterError::NotFound(id) => Problem::not_found(&format!("dead letter {id}")),
            DeadLetterError::Note => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "note-needed",
                "폐기하는 이유를 1~500자로 적어 주세요.",
                en,
            ),
            DeadLetterError::Gateway(error) => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "gateway-unavailable",
                format!("취소가 실제로 처리되었는지 포트원에 확인할 수 없어 폐기하지 않았습니다({error}). 포트원이 응답할 때 다시 시도하거나 재처리하세요."),
                en,
            )
            .after(if error.class == Class::Halt { 60 } else { 10 }),
            DeadLetterError::Contradiction(why) => Problem::new(
                StatusCode::CONFLICT,
                "contradiction",
                format!("포트원의 응답이 장부와 맞지 않아({why}) 취소가 처리되었는지 알 수 없습니다. 먼저 포트원에 확인하세요."),
                en,
            ),
            DeadLetterError::Live => Problem::new(
                StatusCode::CONFLICT,
                "job-live",
                "같은 일을 하는 작업이 이미 진행 중입니다.",
                en,
            ),
            DeadLetterError::Store(error) => error.into(),
        }
    }
}

impl From<ReleaseError> for Problem {
    fn from(error: ReleaseError) -> Problem {
        let en = format!("{error}.");
        match error {
            ReleaseError::NotFound(id) => Problem::not_found(id.as_str()),
            ReleaseError::NotHeld(id) => Problem::new(
                StatusCode::CONFLICT,
                "not-held",
                format!("결제 `{id}`은(는) 보류 상태가 아닙니다."),
                en,
            ),
            ReleaseError::Order => Problem::new(
                StatusCode::CONFLICT,
                "order-differs",
                "등록된 주문과 맞지 않는 결제는 보류를 풀 수 없습니다. 결제를 취소하거나 주문을 바로잡으세요.",
                en,
            ),
            ReleaseError::Note => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "note-needed",
                "보류를 푸는 이유를 1~500자로 적어 주세요.",
                en,
            ),
            ReleaseError::Store(error) => error.into(),
        }
    }
}

/// A handler of the API: its error knows the caller's language.
pub trait InLang<T> {
    fn lang(self, lang: Lang) -> Result<T, Problem>;
}

impl<T, E: Into<Problem>> InLang<T> for Result<T, E> {
    fn lang(self, lang: Lang) -> Result<T, Problem> {
        self.map_err(|error| error.into().lang(lang))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_order_is_told_in_the_readers_own_language() {
        let won = Won::new;
        for (error, ko) in [
            (WrongOrder::NoLines, "하나 이상"),
            (
                WrongOrder::Quantity {
                    line: 2,
                    quantity: 0,
                },
                "2번 항목",
            ),
            (
                WrongOrder::Sum {
                    lines: won(12_000),
                    amount: won(9_000),
                },
                "12,000원",
            ),
            (
                WrongOrder::TaxFree {
                    tax_free: won(11),
                    amount: won(10),
                },
                "0~10원",
            ),
        ] {
            let problem = Problem::from(error);
            let told = problem.sentence(Lang::Ko);
            assert!(told.contains(ko), "{told}");
            assert!(!told.contains("line") && !told.contains("the "), "{told}");
            assert!(problem.sentence(Lang::En).is_ascii());
        }
    }
}
