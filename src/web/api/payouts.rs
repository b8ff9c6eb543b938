//! The API of payouts, bank files and the calendar.

use axum::Router;

use crate::web::Web;

/// Routes behind the admin token.
pub fn routes() -> Router<Web> {
    Router::new()
}
