//! `/payment/return`: the way back from a payment window that was a page of its own.
//!
//! The address proves nothing: the same gate as for a webhook asks PortOne, and the result page tells.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, State},
    http::HeaderMap,
    response::Response,
};

use super::{
    layout::{Fields, Look, field, see_other},
    pay::order_path,
    result,
};
use crate::{
    domain::ids::{ImpUid, MerchantUid},
    store::{StoreError, inbox::Hint, orders, payments},
    web::{
        Web,
        error::Problem,
        extract::Q,
        webhook::{Turn, is_registered},
    },
};

/// An error code out of an address, where anybody can write anything: letters and digits only.
pub fn plain_code(code: &str) -> String {
    code.chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        .take(40)
        .collect()
}

/// `GET /payment/return`: the way back from a window that was a page of its own.
pub async fn came_from_window(
    State(web): State<Web>,
    look: Look,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Q(query): Q<Fields>,
) -> Response {
    look.answer(take_return(&web, peer, &headers, &query).await)
}

async fn take_return(
    web: &Web,
    peer: SocketAddr,
    headers: &HeaderMap,
    query: &Fields,
) -> Result<Response, Problem> {
    let turn = Turn::take(web, peer, headers)?;
    let merchant_uid = field(query, "merchant_uid")
        .map(MerchantUid::new)
        .transpose()?;
    let Some(imp_uid) = field(query, "imp_uid").filter(|id| *id != "null") else {
        return without_id(web, merchant_uid, query);
    };
    let imp_uid = ImpUid::new(imp_uid)?;
    // Where only PortOne may send webhooks, this way is for orders that we know. The page then shows
    // what the webhook has told.
    if !turn.may_tell(web) && !is_registered(web, merchant_uid.as_ref())? {
        return Ok(see_other(&result::path(imp_uid.as_str()), None));
    }
    let body = serde_urlencoded::to_string(
        [
            "imp_uid",
            "merchant_uid",
            "error_code",
            "error_msg",
            "imp_success",
        ]
        .into_iter()
        .filter_map(|name| {
            Some((
                name,
                field(query, name)?.chars().take(500).collect::<String>(),
            ))
        })
        .collect::<Vec<_>>(),
    )
    .unwrap_or_default();
    let hint = Hint {
        imp_uid: imp_uid.clone(),
        merchant_uid,
        status: None,
    };
    turn.confirm(web, "redirect".into(), body.into_bytes(), hint)
        .await?;
    Ok(see_other(&result::path(imp_uid.as_str()), None))
}

/// Some windows name the order only, and one that was closed before it began names no payment.
fn without_id(
    web: &Web,
    merchant_uid: Option<MerchantUid>,
    query: &Fields,
) -> Result<Response, Problem> {
    let Some(id) = merchant_uid else {
        return Err(Problem::bad_request(
            "결제 정보(imp_uid, merchant_uid)가 없는 주소입니다.",
            "This address names no payment: imp_uid and merchant_uid are missing.",
        ));
    };
    let (known, ordered) = web.ctx.store.read(|conn| {
        let newest = payments::of_order(conn, &id)?
            .pop()
            .map(|kept| kept.imp_uid);
        Ok::<_, StoreError>((newest, orders::amount(conn, &id)?.is_some()))
    })?;
    let code = field(query, "error_code").map(plain_code);
    match (known, code) {
        (Some(imp_uid), None) => Ok(see_other(&result::path(imp_uid.as_str()), None)),
        (_, code) if ordered => {
            let to = format!(
                "{}?error={}",
                order_path(id.as_str()),
                code.unwrap_or_default()
            );
            Ok(see_other(&to, None))
        }
        (Some(imp_uid), _) => Ok(see_other(&result::path(imp_uid.as_str()), None)),
        (None, _) => Err(Problem::not_found(id.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_puts_no_words_into_our_mouth() {
        assert_eq!(plain_code("F0001 <b>call 010-1</b>"), "F0001bcall010-1b");
        assert_eq!(plain_code(&"x".repeat(100)).len(), 40);
    }
}
