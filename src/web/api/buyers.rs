//! Links that the shop sends to its buyers.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::json;

use super::json_body;
use crate::{
    domain::{
        calendar::rfc3339,
        ids::{BuyerId, MerchantUid},
    },
    flow::buyer_links::{LINK_LASTS, LinkError, make_link},
    store::buyers::Whose,
    web::{
        Web,
        auth::Actor,
        error::{InLang, Problem},
        extract::Body,
        lang::Lang,
    },
};

pub fn routes() -> Router<Web> {
    Router::new().route("/api/buyers/links", post(link))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)] // a name that is misspelt must not become another link than was meant
pub(super) struct LinkBody {
    /// All payments of this customer: the `buyer` of their orders.
    #[serde(default)]
    buyer: Option<BuyerId>,
    /// Or those of these orders alone, 10 at most: a guest's.
    #[serde(default)]
    merchant_uids: Option<Vec<MerchantUid>>,
    /// How long it lasts, `1m` to `30d`: 7 days if not given.
    #[serde(default)]
    expires: Option<String>,
}

/// `POST /api/buyers/links`: a link by which a buyer sees their own payments.
pub async fn link(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Body(body): Body,
) -> Result<Response, Problem> {
    let example = r#"{"buyer": "customer-7", "expires": "7d"}"#;
    let body: LinkBody = json_body(&body, example).lang(lang)?;
    let whose = match (body.buyer, body.merchant_uids) {
        (Some(buyer), None) => Whose::Buyer(buyer),
        (None, Some(orders)) => Whose::Orders(orders),
        _ => return Err(Problem::from(LinkError::Whose).lang(lang)),
    };
    let lasts = match body.expires.as_deref().map(str::trim) {
        None => LINK_LASTS,
        Some(text) => humantime::parse_duration(text)
            .map_err(|_| Problem::from(LinkError::Lasts).lang(lang))?,
    };
    let link = make_link(&web.ctx, &web.site.buyers, whose, lasts)
        .await
        .lang(lang)?;
    let body = json!({ "url": link.url, "expires_at": rfc3339(link.until) });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}
