//! Pages of settlements, days, holds and adjustments.

use axum::Router;

use crate::web::Web;

/// Pages for who is signed in.
pub fn routes() -> Router<Web> {
    Router::new()
}
