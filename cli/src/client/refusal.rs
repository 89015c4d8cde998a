//! What the gateway says when it says no: a problem document (RFC 9457), and how it reads.

use std::fmt;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::exit::Exit;

/// A problem document (RFC 9457), as far as it is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default, rename = "type")]
    kind: String,
    status: u16,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    errors: Vec<Flaw>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Deserialize)]
struct Flaw {
    /// Which of several things it is about.
    #[serde(default)]
    place: Option<String>,
    #[serde(default)]
    field: String,
    #[serde(default)]
    why: String,
}

impl Refusal {
    /// Reads the refusal inside an answer to one line of many, if it is one.
    pub(crate) fn of_line(answer: &Value) -> Option<Self> {
        Self::deserialize(answer.get("error")?).ok()
    }

    /// Returns the exit code of a command that was refused so.
    pub(crate) fn exit(&self) -> Exit {
        match StatusCode::from_u16(self.status) {
            // A path that the gateway does not know is no thing that was named.
            Ok(StatusCode::NOT_FOUND)
                if self.sort() != "unknown-route" && self.sort().starts_with("unknown-") =>
            {
                Exit::NotFound
            }
            Ok(
                StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::MISDIRECTED_REQUEST
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT,
            ) => Exit::Unreachable,
            Ok(status) if status.is_client_error() => Exit::Refused,
            Ok(_) | Err(_) => Exit::Failed,
        }
    }

    /// Tells whether less of it would be taken.
    pub(crate) fn is_too_large(&self) -> bool {
        self.status == StatusCode::PAYLOAD_TOO_LARGE
    }

    /// Returns the last part of the type, such as `unknown-task`.
    pub(crate) fn sort(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or(&self.kind)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = if self.detail.is_empty() { &self.title } else { &self.detail };
        write!(f, "{detail} ({} {})", self.status, self.sort())?;
        if self.errors.len() > 1 {
            for Flaw { place, field, why } in &self.errors {
                let place = place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
                write!(f, "\n  {place}{field}: {why}")?;
            }
        }
        if let (StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT, Some(id)) =
            (StatusCode::from_u16(self.status).unwrap_or_default(), &self.id)
        {
            write!(f, "\n  repeat it with --id {id}: so it cannot be doubled")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(status: u16, sort: &str) -> Refusal {
        let problem = json!({
            "type": format!("/problems/{sort}"), "status": status, "title": "No", "detail": "why",
            "id": "7", "errors": [{"field": "kind", "why": "a"}, {"field": "args", "why": "b"}],
        });
        Refusal::of_line(&json!({ "line": 1, "error": problem })).unwrap()
    }

    #[test]
    fn each_refusal_has_its_exit_code() {
        for (status, sort, exit) in [
            (400, "invalid-task", Exit::Refused),
            (401, "unauthorized", Exit::Unreachable),
            (404, "unknown-task", Exit::NotFound),
            (404, "unknown-worker", Exit::NotFound),
            (404, "unknown-route", Exit::Refused),
            (409, "key-conflict", Exit::Refused),
            (413, "too-large", Exit::Refused),
            (500, "internal", Exit::Failed),
            (503, "unavailable", Exit::Unreachable),
        ] {
            assert_eq!(refusal(status, sort).exit(), exit, "{status} {sort}");
        }
    }

    #[test]
    fn a_refusal_lists_all_that_is_wrong() {
        let text = refusal(400, "invalid-task").to_string();
        assert_eq!(text, "why (400 invalid-task)\n  kind: a\n  args: b");
    }
}
