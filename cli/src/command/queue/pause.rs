//! How a pause is told.

use serde_json::Value;

use crate::ago;

/// Says since when, by whom and why a queue is paused.
pub(in crate::command) fn text(pause: &Value) -> Option<String> {
    let by = pause["by"].as_str()?;
    let since = ago::of(&pause["at"]).map(|ago| format!("{ago} by ")).unwrap_or_default();
    let why = pause["why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    Some(format!("{since}{by}{why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pause_says_who_and_why() {
        let said = text(&json!({ "by": "ann@box", "at": null, "why": "mail server" }));
        assert_eq!(said.as_deref(), Some("ann@box: mail server"));
        assert_eq!(text(&Value::Null), None);
    }
}
