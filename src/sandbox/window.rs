//! The payment window.
use super::Inner;
use axum::Router;
use std::sync::Arc;
pub(super) fn routes() -> Router<Arc<Inner>> {
    Router::new()
}
