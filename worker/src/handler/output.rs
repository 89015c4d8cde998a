//! What programs and receivers answer: read within bounds, and turned into results.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::MAX_RESULT;

/// How much of what comes with a failure is kept, in bytes: stderr's end, an answer's beginning.
pub const MAX_TOLD: usize = 2 * 1024;
/// What stands where a text was cut.
#[cfg(feature = "http")]
const CUT: &str = "…";

/// Takes what was answered for JSON where it is, else for text; nothing at all is no result.
#[must_use]
pub(super) fn result(answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    match serde_json::from_str::<&serde_json::value::RawValue>(text) {
        Ok(json) => Some(json.get().to_owned()),
        Err(_) => Some(serde_json::Value::from(text).to_string()),
    }
}

/// The same of an answer of which more than [`MAX_RESULT`] bytes may have been read: what is too
/// long to be a result is text then, cut to fit.
#[cfg(feature = "http")]
#[must_use]
pub(super) fn cut_result(answer: &[u8]) -> Option<String> {
    let whole = (answer.len() <= MAX_RESULT).then(|| result(answer));
    match whole {
        Some(result) if result.as_ref().is_none_or(|json| json.len() <= MAX_RESULT) => result,
        Some(_) | None => Some(cut(String::from_utf8_lossy(answer).trim())),
    }
}

#[cfg(feature = "http")]
fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_RESULT);
    loop {
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let json = serde_json::Value::from(format!("{}{CUT}", &text[..end])).to_string();
        let excess = json.len().saturating_sub(MAX_RESULT);
        if excess == 0 {
            return json;
        }
        // A byte takes at most six in JSON, so that this cuts no more than it must.
        end = end.saturating_sub(excess.div_ceil(6));
    }
}

/// The beginning of an output: up to [`MAX_RESULT`] bytes; of more, only the size is counted, so
/// that the program can end.
#[derive(Default)]
pub(super) struct Head {
    pub(super) kept: Vec<u8>,
    pub(super) size: usize,
}

impl Head {
    pub(super) async fn fill(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut chunk = [0_u8; 8192];
        while let Ok(count @ 1..) = from.read(&mut chunk).await {
            self.size = self.size.saturating_add(count);
            if self.size <= MAX_RESULT {
                self.kept.extend_from_slice(&chunk[..count]);
            }
        }
    }
}

/// The last [`MAX_TOLD`] bytes of an output.
#[derive(Default)]
pub(super) struct Tail(pub(super) Vec<u8>);

impl Tail {
    pub(super) async fn fill(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut chunk = [0_u8; 4096];
        while let Ok(count @ 1..) = from.read(&mut chunk).await {
            self.0.extend_from_slice(&chunk[..count]);
            let excess = self.0.len().saturating_sub(MAX_TOLD);
            self.0.drain(..excess);
        }
    }
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_json_text_or_nothing() {
        assert_eq!(result(b" {\"a\": 1}\n").as_deref(), Some("{\"a\": 1}"));
        assert_eq!(result(b"not json").as_deref(), Some("\"not json\""));
        assert_eq!(result(b" \n"), None);
        assert_eq!(cut_result(b"7").as_deref(), Some("7"));
        assert_eq!(cut_result(b""), None);
    }

    #[test]
    fn what_is_too_long_for_a_result_is_text_cut_to_fit() {
        for answer in [
            "a".repeat(MAX_RESULT + 1),
            "\u{1}".repeat(MAX_RESULT),
            "ä€".repeat(MAX_RESULT / 2),
            format!("{{\"a\": \"{}\"}}", "b".repeat(MAX_RESULT)),
        ] {
            let json = cut_result(answer.as_bytes()).unwrap();
            assert!(json.len() <= MAX_RESULT, "{}", json.len());
            assert!(json.len() > MAX_RESULT - 16, "{}", json.len());
            let text: String = serde_json::from_str(&json).unwrap();
            let kept = text.strip_suffix(CUT).unwrap();
            assert!(answer.starts_with(kept));
        }
    }
}
