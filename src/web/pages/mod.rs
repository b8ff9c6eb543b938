//! Pages: they take values and show them, and only read.

use axum::Router;

use super::Web;

/// Pages that anybody may see: the pay page, its result, the sign-in form.
pub fn open() -> Router<Web> {
    Router::new()
}

/// Pages for who is signed in.
pub fn signed_in() -> Router<Web> {
    Router::new()
}
