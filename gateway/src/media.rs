//! Media types: JSON and NDJSON are taken, and nothing that a browser sends without asking first.
//!
//! A page may post `text/plain` and form types anywhere without a preflight; by refusing those, no
//! such "simple request" can enqueue.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::problem::{Problem, Sort};

/// What a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    /// One task: `application/json`.
    Json,
    /// One task per line: `application/x-ndjson`.
    Lines,
}

/// Reads what the body is said to hold.
pub(crate) fn read(headers: &HeaderMap) -> Result<Media, Problem> {
    let refuse = |detail: &str| Err(Problem::new(Sort::MEDIA_TYPE, detail));
    let encoding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
    if !matches!(encoding, None | Some(b"identity")) {
        return refuse("compressed bodies are not taken; send it without Content-Encoding");
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let text = match (types.next(), types.next()) {
        (Some(value), None) => value.to_str().unwrap_or_default(),
        _ => "",
    };
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    let parameters = parameters.trim().to_ascii_lowercase();
    if !matches!(parameters.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"") {
        return refuse(
            "Content-Type has a parameter that is not taken; the only one is charset=utf-8",
        );
    }
    match name.trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(Media::Json),
        "application/x-ndjson" => Ok(Media::Lines),
        _ => refuse(
            "send Content-Type: application/json for one task, or application/x-ndjson for one \
             task per line",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(text: &str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
        read(&headers).ok()
    }

    #[test]
    fn only_json_and_ndjson_are_taken() {
        assert_eq!(media("application/json"), Some(Media::Json));
        assert_eq!(media("Application/JSON; charset=UTF-8"), Some(Media::Json));
        assert_eq!(media("application/x-ndjson"), Some(Media::Lines));
        for bad in [
            "text/plain",
            "text/plain;application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=latin1",
            "",
        ] {
            assert_eq!(media(bad), None, "{bad}");
        }
        assert!(read(&HeaderMap::new()).is_err());
    }
}
