//! What a page says is printed, beside what was printed.

/// Tells whether `printed` is what the page shows: blanks and line ends do not count, and `…` stands
/// for any text, also none.
pub(super) fn is_shown(shown: &str, printed: &str) -> bool {
    let printed = letters(printed);
    let shown = letters(shown);
    let mut parts = shown.split('…');
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    match last {
        Some("") => true,
        // The end of the page's text must be the end of what was printed.
        Some(part) => rest.is_empty() || printed.ends_with(part),
        None => rest.is_empty(),
    }
}

fn letters(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn dots_stand_for_any_text_and_nothing_else_does() {
    assert!(is_shown("a  b\nc", "a b c\n"));
    assert!(!is_shown("a b", "a b c") && !is_shown("a b c", "a b"));
    assert!(is_shown("{\"id\":\"…\",\n \"state\":\"done\"}", "{\"id\":\"7\", \"state\":\"done\"}"));
    assert!(!is_shown("{\"id\":\"…\",\"state\":\"done\"}", "{\"id\":\"7\",\"state\":\"dead\"}"));
    assert!(is_shown("one …\n… three", "one two\nthree"));
    assert!(is_shown("one …", "one two three") && is_shown("one …", "one"));
    assert!(!is_shown("one … three", "one two three four"));
    assert!(is_shown("… b", "b a b"));
}
