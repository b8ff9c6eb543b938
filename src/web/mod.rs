//! HTTP: all routes on one screen. Handlers take what is known to be true, call one flow, answer.

pub mod access;
pub mod api;
pub mod asked;
pub mod assets;
pub mod auth;
pub mod buyers;
pub mod download;
pub mod error;
pub mod extract;
pub mod gate;
pub mod headers;
pub mod health;
pub mod lang;
pub mod limits;
pub mod offered;
pub mod once;
pub mod pages;
pub mod preferences;
pub mod privacy;
pub mod uploads;
pub mod webhook;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    config::PayPage,
    domain::rules::Started,
    flow::{Broker, Ctx, buyer_links},
    store::sessions::Lasts,
};

/// What handlers share.
#[derive(Clone)]
pub struct Web {
    pub ctx: Ctx,
    pub site: Arc<Site>,
}

/// What pages and limits need beside the flows.
pub struct Site {
    pub public_url: Url,
    pub pay: PayPage,
    /// Words on top of every page, and where they lead.
    pub notice: Option<(String, Option<Url>)>,
    /// What the program was started with, secrets masked, for the settings' page.
    pub settings: Vec<Started>,
    /// How long a browser stays signed in.
    pub lasts: Lasts,
    /// With what buyers' tokens are signed.
    pub buyers: buyer_links::Keys,
    /// What shows a newcomer around, in the demo.
    pub tour: Option<Tour>,
    pub max_body: usize,
    pub limits: limits::Limits,
    /// Requests under an idempotency key that are being carried out.
    pub under_way: Arc<once::UnderWay>,
    /// When the use of each key was noted last.
    pub key_uses: auth::KeyUses,
    pub broker: Arc<dyn Broker>,
    pub health: health::Health,
    pub metrics: PrometheusHandle,
    /// Fires when the server is to end.
    pub stopping: CancellationToken,
}

/// What the demo's tour needs: where the sandbox stands, and how to tell it something.
#[derive(Clone, Debug)]
pub struct Tour {
    pub sandbox: Url,
    pub http: reqwest::Client,
}

impl Site {
    /// Cookies travel over TLS only, where people come over TLS.
    pub fn secure_cookies(&self) -> bool {
        self.public_url.scheme() == "https"
    }
}

/// Every route. Who may reach which stands in [`access`], and the gate asks it first.
pub fn routes(web: Web) -> Router {
    let tour = match web.site.tour {
        Some(_) => pages::tour_routes(),
        None => Router::new(),
    };
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/api/payment/portone", post(webhook::receive))
        .route("/assets/{*path}", get(assets::serve))
        .merge(pages::open())
        .route("/metrics", get(health::metrics))
        .route("/api/payment/list", get(api::list))
        .route("/api/payment/events", get(api::all_events))
        .route(
            "/api/payment/cancel/{imp_uid}",
            get(api::cancel_all).delete(api::cancel_all),
        )
        .route("/api/payment/{imp_uid}", get(api::show))
        .route("/api/payment/{imp_uid}/status", get(api::status))
        .route("/api/payment/{imp_uid}/events", get(api::events))
        .route("/api/payment/{imp_uid}/cancel", post(api::cancel))
        .route("/api/orders", post(api::register))
        .route("/api/orders/{merchant_uid}", get(api::order))
        .merge(api::openapi::routes())
        .merge(api::buyers::routes())
        .merge(api::partners::routes())
        .merge(api::settlements::routes())
        .merge(api::payouts::routes())
        .merge(api::approvals::routes())
        .merge(pages::signed_in())
        .merge(tour)
        .fallback(pages::not_found)
        .method_not_allowed_fallback(pages::not_allowed)
        .layer(axum::extract::DefaultBodyLimit::max(extract::LARGEST_BODY))
        .layer(middleware::from_fn(privacy::masked))
        .layer(middleware::from_fn_with_state(web.clone(), gate::gate))
        .layer(middleware::from_fn_with_state(
            web.clone(),
            gate::form_tokens,
        ))
        .layer(middleware::from_fn_with_state(
            web.clone(),
            pages::forget_flash,
        ))
        .layer(middleware::from_fn_with_state(web.clone(), headers::safe))
        // A bug in one handler is one 500, told in the log, and no broken connection.
        .layer(tower_http::catch_panic::CatchPanicLayer::new())
        .with_state(web)
}
