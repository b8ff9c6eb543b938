//! Style sheets, scripts and pictures, embedded in the binary. Nothing is loaded from elsewhere but
//! PortOne's own browser SDK.

use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "assets/"]
#[include = "*.css"]
#[include = "*.js"]
#[include = "*.svg"]
#[include = "*.ico"]
struct Assets;

/// `GET /assets/{path}`
pub async fn serve(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let Some(file) = Assets::get(&path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..12]));
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|have| have.as_bytes() == tag.as_bytes())
    {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let kind = file.metadata.mimetype().to_owned();
    (
        [
            (header::CONTENT_TYPE, kind),
            (header::ETAG, tag),
            // A page names the version it wants (`url`), so what has it never changes.
            (
                header::CACHE_CONTROL,
                "public, max-age=31536000, immutable".to_owned(),
            ),
        ],
        file.data,
    )
        .into_response()
}

/// The address of an asset, with its version.
pub fn url(path: &str) -> String {
    match Assets::get(path) {
        Some(file) => {
            format!(
                "/assets/{path}?v={}",
                hex::encode(&file.metadata.sha256_hash()[..6])
            )
        }
        None => format!("/assets/{path}"),
    }
}
