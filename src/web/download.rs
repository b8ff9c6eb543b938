//! Answers that a browser saves as a file.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use url::form_urlencoded;

/// What a UTF-8 file begins with, so that Excel reads it as that.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A file to be kept, under a name that may be Korean. Its kind follows from the name's ending; a table
/// of text says UTF-8 if it is that, for some banks want another encoding.
pub fn download(name: &str, bytes: Vec<u8>) -> Response {
    let kind = match name.rsplit_once('.') {
        Some((_, "xlsx")) => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Some((_, "csv")) if bytes.starts_with(BOM) => "text/csv; charset=utf-8",
        Some((_, "csv")) => "text/csv",
        _ => "application/octet-stream",
    };
    let plain: String = name
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') => c,
            _ => '_',
        })
        .collect();
    let encoded: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    let encoded = encoded.replace('+', "%20").replace('*', "%2A");
    let disposition = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_text_says_its_encoding_only_where_that_is_known() {
        let kind = |name: &str, bytes: &[u8]| {
            let response = download(name, bytes.to_vec());
            response.headers()[header::CONTENT_TYPE].clone()
        };
        assert_eq!(kind("a.csv", b"\xef\xbb\xbfa,b"), "text/csv; charset=utf-8");
        assert_eq!(kind("a.csv", b"\xb0\xa1,b"), "text/csv");
        assert_eq!(kind("a.dat", b"\xef\xbb\xbf"), "application/octet-stream");
        assert!(kind("a.b.xlsx", b"PK").to_str().unwrap().ends_with("sheet"));
    }

    #[test]
    fn a_files_name_is_safe_in_a_header() {
        let response = download("정산 내역서_\"a\r\n*.csv", Vec::new());
        assert_eq!(
            response.headers()[header::CONTENT_DISPOSITION],
            "attachment; filename=\"________a___.csv\"; \
             filename*=UTF-8''%EC%A0%95%EC%82%B0%20%EB%82%B4%EC%97%AD%EC%84%9C_%22a%0D%0A%2A.csv"
        );
    }
}
