//! Style sheets, scripts and pictures, embedded in the binary. Nothing is loaded from elsewhere but
//! PortOne's own browser SDK.

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{LazyLock, Mutex, PoisonError},
};

use axum::{
    body::Bytes,
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "assets/"]
#[include = "*.css"]
#[include = "*.js"]
#[include = "*.svg"]
#[include = "*.ico"]
struct Assets;

/// What was packed once, by its tag: there are few assets, and none changes while we run.
static PACKED: LazyLock<Mutex<HashMap<String, Option<Bytes>>>> = LazyLock::new(Mutex::default);

/// `GET /assets/{path}`: packed for whoever takes it so. Nothing in them is secret, so packing tells
/// nobody anything.
pub async fn serve(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let Some(file) = Assets::get(&path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let hash = hex::encode(&file.metadata.sha256_hash()[..12]);
    let packed = takes_gzip(&headers)
        .then(|| packed(&hash, &file.data))
        .flatten();
    let tag = if packed.is_some() {
        format!("\"{hash}-gzip\"")
    } else {
        format!("\"{hash}\"")
    };
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|have| have.as_bytes() == tag.as_bytes());
    let always = [
        (header::ETAG, tag),
        (header::VARY, "accept-encoding".to_owned()),
        // A page names the version it wants (`url`), so what has it never changes.
        (
            header::CACHE_CONTROL,
            "public, max-age=31536000, immutable".to_owned(),
        ),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, always).into_response();
    }
    let kind = [(header::CONTENT_TYPE, file.metadata.mimetype().to_owned())];
    match packed {
        Some(bytes) => (always, kind, [(header::CONTENT_ENCODING, "gzip")], bytes).into_response(),
        None => (always, kind, file.data).into_response(),
    }
}

/// Whether the browser says that it takes gzip.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|one| {
            let (name, rest) = one.split_once(';').unwrap_or((one, ""));
            let refused = rest
                .trim()
                .strip_prefix("q=")
                .is_some_and(|q| q.trim().parse::<f32>().is_ok_and(|q| q <= 0.0));
            name.trim().eq_ignore_ascii_case("gzip") && !refused
        })
}

/// A file packed, if that makes it smaller.
fn packed(hash: &str, data: &[u8]) -> Option<Bytes> {
    let mut known = PACKED.lock().unwrap_or_else(PoisonError::into_inner);
    let packed = known.entry(hash.to_owned()).or_insert_with(|| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(data).ok()?;
        let bytes = packer.finish().ok()?;
        (bytes.len() < data.len()).then(|| bytes.into())
    });
    packed.clone()
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn asking(encodings: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, encodings.parse().unwrap());
        headers
    }

    #[tokio::test]
    async fn whoever_takes_it_packed_gets_the_same_bytes_and_fewer() {
        let get = async |headers: HeaderMap| {
            let answer = serve(Path("app.css".into()), headers).await;
            let of = answer.headers().clone();
            let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await;
            (of, body.unwrap())
        };
        let (plain_of, plain) = get(HeaderMap::new()).await;
        let (packed_of, packed) = get(asking("br, gzip;q=0.8")).await;
        assert!(!plain_of.contains_key(header::CONTENT_ENCODING));
        assert_eq!(packed_of[header::CONTENT_ENCODING], "gzip");
        assert_eq!(packed_of[header::VARY], "accept-encoding");
        assert_ne!(plain_of[header::ETAG], packed_of[header::ETAG]);
        assert!(packed.len() * 2 < plain.len());
        let mut again = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(&packed[..]);
        reader.read_to_end(&mut again).unwrap();
        assert_eq!(again, plain);

        let mut known = asking("gzip");
        known.insert(header::IF_NONE_MATCH, packed_of[header::ETAG].clone());
        assert!(get(known).await.1.is_empty());
    }

    #[test]
    fn packed_is_only_what_is_asked_for_packed() {
        for (encodings, takes) in [
            ("gzip", true),
            ("deflate, GZIP", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, br", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&asking(encodings)), takes, "{encodings}");
        }
    }
}
