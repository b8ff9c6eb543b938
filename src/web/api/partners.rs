//! The API of partners and contracts.

use axum::Router;

use crate::web::Web;

/// Routes behind the admin token.
pub fn routes() -> Router<Web> {
    Router::new()
}
