//! `POST /api/payment/portone`: PortOne's webhook and the browser's callback.
//!
//! Anybody can post here, so nothing of the body is believed but which payment to ask about.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Web,
    auth::same_site,
    error::Problem,
    extract::{DEEPEST, too_deep},
    lang::Lang,
};
use crate::{
    domain::{
        ids::{ImpUid, MerchantUid},
        money::Won,
        payment::{Hold, Status},
    },
    flow::keep_webhook::{Kept, keep_webhook},
    store::{
        inbox::{Hint, NewMessage, Verdict},
        orders,
        payments::{self, PaymentRow},
    },
};

/// A sender that takes longer for its few hundred bytes holds a place for nothing.
const SLOWEST_BODY: Duration = Duration::from_secs(10);

/// What anybody may know who knows a payment's id: nothing about the buyer.
#[derive(Clone, Debug, Serialize)]
pub struct PublicPayment {
    pub imp_uid: String,
    pub merchant_uid: String,
    pub status: Status,
    pub amount: Won,
    pub cancelled_amount: Won,
    pub balance: Won,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    pub name: String,
    pub method: String,
    #[serde(serialize_with = "payments::seoul_time_maybe")]
    pub paid_at: Option<jiff::Timestamp>,
}

impl From<PaymentRow> for PublicPayment {
    fn from(row: PaymentRow) -> PublicPayment {
        PublicPayment {
            imp_uid: row.imp_uid,
            merchant_uid: row.merchant_uid,
            status: row.status,
            amount: row.amount,
            cancelled_amount: row.cancelled_amount,
            balance: row.balance,
            hold: row.hold,
            name: row.about.name,
            method: row.about.method,
            paid_at: row.paid_at,
        }
    }
}

/// The body, whichever way it is written. Unknown fields are ignored.
#[derive(Deserialize)]
struct Fields {
    imp_uid: Option<String>,
    merchant_uid: Option<String>,
    status: Option<String>,
}

/// Keeps the message, says what is known, looks into it later if it must.
pub async fn receive(
    State(web): State<Web>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    lang: Lang,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match take(&web, peer, &headers, body).await {
        Ok(response) => response,
        Err(problem) => problem.lang(lang).into_response(),
    }
}

async fn take(
    web: &Web,
    peer: SocketAddr,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let turn = Turn::take(web, peer, headers)?;
    let most = web.site.max_body;
    let bytes = tokio::time::timeout(SLOWEST_BODY, axum::body::to_bytes(body, most))
        .await
        .map_err(|_| Problem::too_slow())?
        .map_err(|_| Problem::too_large(most))?;
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .chars()
        .take(100)
        .collect::<String>();
    let hint = read(&content_type, &bytes)?;
    if !turn.may_tell(web) {
        not_from_elsewhere(web, headers, &hint)?;
    }
    turn.confirm(web, content_type, bytes.into(), hint)
        .await?
        .respond(Lang::of(headers))
}

/// What somebody may tell whose address is not PortOne's, where only PortOne may send webhooks. A
/// buyer's browser comes from anywhere. It is told by what it sends: from a page of ours, about an
/// order that is registered, and without the `status` that a webhook has. All of this can be forged;
/// what is left to a forger is to have PortOne asked about an order of ours.
fn not_from_elsewhere(web: &Web, headers: &HeaderMap, hint: &Hint) -> Result<(), Problem> {
    let is_callback = hint.status.is_none() && same_site(headers, web.site.public_url.origin());
    if is_callback && is_registered(web, hint.merchant_uid.as_ref())? {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "unknown-source",
        "웹훅을 받지 않는 주소에서 온 메시지라 거부했습니다. 포트원의 발신 주소라면 portone.webhook_sources에 추가하세요.",
        "Webhooks are not taken from this address, so the message was refused. If it is PortOne's, add it to portone.webhook_sources.",
    ))
}

/// Whether the shop told us of an order.
pub fn is_registered(web: &Web, order: Option<&MerchantUid>) -> Result<bool, Problem> {
    let Some(id) = order else { return Ok(false) };
    let known = web.ctx.store.read(|conn| orders::amount(conn, id))?;
    Ok(known.is_some())
}

/// An address's turn at the open door: admitted, and with a place among what is worked on at once.
pub struct Turn {
    address: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Turn {
    /// Whether it is an address from which webhooks are taken.
    pub fn may_tell(&self, web: &Web) -> bool {
        web.site.limits.may_tell(self.address)
    }

    pub fn take(web: &Web, peer: SocketAddr, headers: &HeaderMap) -> Result<Turn, Problem> {
        let limits = &web.site.limits;
        let address = limits.client(peer.ip(), headers);
        limits.admit(address).map_err(Problem::too_many)?;
        let place = limits.place().ok_or_else(Problem::full)?;
        Ok(Turn {
            address,
            _place: place,
        })
    }

    /// [`confirm`], counting ids that PortOne does not know.
    pub async fn confirm(
        self,
        web: &Web,
        content_type: String,
        body: Vec<u8>,
        hint: Hint,
    ) -> Result<Answer, Problem> {
        let answer = confirm(web, self.address.to_string(), content_type, body, hint).await?;
        if answer.verdict == Some(Verdict::UnknownPayment) {
            web.site.limits.unknown_id(self.address);
        }
        Ok(answer)
    }
}

/// Reads the hint. JSON or form, by the header; where the header says neither, by the first byte.
fn read(content_type: &str, bytes: &[u8]) -> Result<Hint, Problem> {
    let unreadable = |why: String| {
        Problem::bad_request(
            format!(
                "본문을 읽을 수 없습니다: {why}. imp_uid, merchant_uid, status가 있는 JSON 또는 form이어야 합니다."
            ),
            format!(
                "The body cannot be read: {why}. Expected JSON or a form with imp_uid, merchant_uid and status."
            ),
        )
    };
    let is_json = if content_type.contains("json") {
        true
    } else if content_type.contains("x-www-form-urlencoded") {
        false
    } else {
        bytes.trim_ascii_start().first() == Some(&b'{')
    };
    if is_json && too_deep(bytes) {
        return Err(unreadable(format!(
            "it is nested deeper than {DEEPEST} levels"
        )));
    }
    let body: Fields = if is_json {
        serde_json::from_slice(bytes).map_err(|why| unreadable(why.to_string()))?
    } else {
        serde_urlencoded::from_bytes(bytes).map_err(|why| unreadable(why.to_string()))?
    };
    let imp_uid = body
        .imp_uid
        .ok_or_else(|| unreadable("imp_uid is missing".into()))?;
    let status = body.status.map(|status| status.chars().take(40).collect());
    Ok(Hint {
        imp_uid: ImpUid::new(imp_uid).map_err(|why| unreadable(why.to_string()))?,
        merchant_uid: body
            .merchant_uid
            .filter(|id| !id.is_empty())
            .map(MerchantUid::new)
            .transpose()
            .map_err(|why| unreadable(why.to_string()))?,
        status,
    })
}

/// What is known when the sender is answered.
pub struct Answer {
    pub verdict: Option<Verdict>,
    pub detail: String,
    pub payment: Option<PublicPayment>,
}

/// The same gate for webhook, browser callback and mobile redirect.
pub async fn confirm(
    web: &Web,
    source: String,
    content_type: String,
    body: Vec<u8>,
    hint: Hint,
) -> Result<Answer, Problem> {
    let imp_uid = hint.imp_uid.clone();
    let message = NewMessage {
        source,
        content_type,
        body,
        hint,
    };
    let kept = keep_webhook(&web.ctx, message).await?;
    let known = web
        .ctx
        .store
        .read(|conn| payments::show(conn, imp_uid.as_str()))?;
    Ok(match kept {
        Kept::Confirmed(confirmed) => Answer {
            verdict: Some(confirmed.verdict),
            detail: confirmed.detail,
            payment: known.map(PublicPayment::from),
        },
        Kept::Later { why } => Answer {
            verdict: None,
            detail: why,
            payment: None,
        },
    })
}

impl Answer {
    fn respond(self, lang: Lang) -> Result<Response, Problem> {
        let Answer {
            verdict,
            detail,
            payment,
        } = self;
        let refused = |kind, ko: &str, en: &str| {
            let problem = Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                kind,
                format!("{ko}: {detail}"),
                format!("{en}: {detail}"),
            );
            Err(problem.with("verdict", verdict).with("payment", &payment))
        };
        match verdict {
            None => Ok((
                StatusCode::ACCEPTED,
                Json(json!({ "verdict": null, "detail": lang.t("저장했습니다. 포트원에 다시 확인합니다.", "Kept; PortOne will be asked again.") })),
            )
                .into_response()),
            Some(Verdict::Booked | Verdict::NoNews) => {
                Ok(Json(json!({ "verdict": verdict, "payment": payment })).into_response())
            }
            // PortOne's console sends a test call with an id that does not exist: it expects 200.
            Some(Verdict::UnknownPayment) => {
                Ok(Json(json!({ "verdict": verdict, "detail": detail })).into_response())
            }
            Some(Verdict::NotPaid) => refused(
                "not-paid",
                "결제가 완료되지 않았습니다",
                "The payment is not paid",
            ),
            Some(Verdict::Held) => refused(
                "held",
                "결제가 주문과 맞지 않아 보류했습니다",
                "The payment does not fit and is held",
            ),
            Some(Verdict::AnotherOrder) => {
                refused("another-order", "주문번호가 다릅니다", "The order differs")
            }
            Some(Verdict::OtherCurrency) => refused(
                "other-currency",
                "원화 결제만 받습니다",
                "Only won are taken",
            ),
            Some(Verdict::Contradiction | Verdict::GivenUp) => refused(
                "contradiction",
                "포트원 응답이 장부와 맞지 않습니다",
                "PortOne's answer does not fit the books",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_form_give_the_same_hint() {
        let json = read(
            "application/json; charset=utf-8",
            br#"{"imp_uid":"imp_1","merchant_uid":"o-1","status":"paid","x":1}"#,
        );
        let form = read(
            "application/x-www-form-urlencoded",
            b"imp_uid=imp_1&merchant_uid=o-1&status=paid&x=1",
        );
        let bare = read(
            "",
            b" {\"imp_uid\":\"imp_1\",\"merchant_uid\":\"o-1\",\"status\":\"paid\"}",
        );
        let json = json.unwrap();
        assert_eq!(json, form.unwrap());
        assert_eq!(json, bare.unwrap());
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_was_expected() {
        for body in [
            "",
            "{",
            "[]",
            "imp_uid",
            r#"{"imp_uid":null}"#,
            r#"{"imp_uid":7}"#,
            r#"{"imp_uid":""}"#,
            r#"{"imp_uid":"a b"}"#,
        ] {
            let problem = read("application/json", body.as_bytes()).unwrap_err();
            assert_eq!(problem.status, StatusCode::BAD_REQUEST, "{body}");
            assert!(problem.sentence(Lang::En).contains("Expected"), "{body}");
        }
    }
}
