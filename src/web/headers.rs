//! What every answer tells the browser, so that a hole somewhere else does less harm.
//!
//! Nothing runs, loads or frames but what is listed. A handler may say otherwise for its own answer (the
//! pay page must, for PortOne's window); what it does not say stands here.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use url::Url;

use super::Web;

/// Pages of our own: their scripts, styles, pictures and calls come from here alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'";

/// A year, for this host alone: what else runs under the domain is not ours to decide on.
const ONLY_TLS: &str = "max-age=31536000";

/// No page asks for any of these.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), \
                           fullscreen=(self), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
                           midi=(), payment=(), publickey-credentials-get=(), usb=(), xr-spatial-tracking=()";

/// What a payment company's window may ask for beside.
const PAY_PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), display-capture=(), geolocation=(), \
                               gyroscope=(), magnetometer=(), microphone=(), midi=(), usb=(), xr-spatial-tracking=()";

/// Adds them to every answer.
pub async fn safe(State(web): State<Web>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if web.site.secure_cookies() {
        set(headers, header::STRICT_TRANSPORT_SECURITY, ONLY_TLS);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ] {
        set(headers, name, value);
    }
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers
        .entry(name)
        .or_insert(HeaderValue::from_static(value));
}

/// The pay page's own, where it opens PortOne's window.
pub fn for_the_window(headers: &mut HeaderMap, sdk: &Url) {
    if let Ok(policy) = HeaderValue::from_str(&window_policy(sdk)) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    // Payment companies check from which shop their window was opened.
    set_now(
        headers,
        header::REFERRER_POLICY,
        "strict-origin-when-cross-origin",
    );
    // A window that pops up tells its opener how it went.
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    set_now(headers, opener, "same-origin-allow-popups");
    let permissions = HeaderName::from_static("permissions-policy");
    set_now(headers, permissions, PAY_PERMISSIONS);
}

fn set_now(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

/// What the pay page may load: PortOne's script and the frames that it opens.
///
/// The hosts of the payment companies' frames are not documented: with PortOne's own script a frame
/// may come from any host over TLS, and that script may style what it puts on the page. Scripts come from
/// us and PortOne alone. Any other script (the sandbox's) gets its own origin and nothing more.
fn window_policy(sdk: &Url) -> String {
    let origin = sdk.origin().ascii_serialization();
    let portones = sdk.scheme() == "https"
        && sdk
            .host_str()
            .is_some_and(|host| host.ends_with(".iamport.kr") || host.ends_with(".portone.io"));
    let rest = "frame-ancestors 'none'; base-uri 'none'; object-src 'none'";
    if portones {
        const PORTONE: &str = "https://*.iamport.kr https://*.iamport.co https://*.portone.io";
        format!(
            "default-src 'none'; script-src 'self' {PORTONE}; style-src 'self' 'unsafe-inline'; \
             img-src 'self' data: https:; font-src https:; connect-src 'self' {PORTONE}; \
             frame-src https:; form-action 'self' https:; {rest}"
        )
    } else {
        format!(
            "default-src 'none'; script-src 'self' {origin}; style-src 'self'; img-src 'self' data:; \
             connect-src 'self' {origin}; frame-src {origin}; form-action 'self' {origin}; {rest}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pay_page_lets_portone_in_and_nobody_elses_script() {
        let policy = |url: &str| window_policy(&Url::parse(url).unwrap());
        let own = policy("http://127.0.0.1:9/v1/iamport.js");
        assert!(own.contains("script-src 'self' http://127.0.0.1:9;") && !own.contains("https:"));
        assert!(!own.contains("unsafe-inline"), "{own}");
        let live = policy("https://cdn.iamport.kr/v1/iamport.js");
        let scripts = live.split("; ").find(|part| part.starts_with("script-src"));
        assert_eq!(
            scripts,
            Some(
                "script-src 'self' https://*.iamport.kr https://*.iamport.co https://*.portone.io"
            )
        );
        assert!(live.contains("frame-src https:") && !live.contains("unsafe-eval"));
        for evil in [
            "https://eviliamport.kr/x.js",
            "http://cdn.iamport.kr/x.js",
            "https://iamport.kr.evil.example/x.js",
        ] {
            assert!(!policy(evil).contains("frame-src https:;"), "{evil}");
        }
    }
}
