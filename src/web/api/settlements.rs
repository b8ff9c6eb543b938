//! The API of settlements, days, holds and adjustments.

use axum::Router;

use crate::web::Web;

/// Routes behind the admin token.
pub fn routes() -> Router<Web> {
    Router::new()
}
