//! Takes a large timetable file apart, so that it is never in memory as a tree.
//!
//! A parsed table takes fifty times the memory of its text, and a hundred thousand schedules are
//! twelve megabytes of text. Only whole sections are cut off, at headers that the lexer finds, and
//! only those of schedules: all else stays together. What such parts cannot tell, a section that
//! stands in two of them, is its reader's to notice.

use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// A smaller file is no trouble as a whole, in bytes.
pub(super) const LARGE: usize = 64 * 1024;
/// How large a part becomes, in bytes, before the next schedule begins a new one.
const PART: usize = 16 * 1024;

/// A file in parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// Everything but sections of schedules, as one text.
    pub(super) head: String,
    /// Sections of schedules, in their order.
    pub(super) schedules: Vec<&'a str>,
}

/// A section's header.
struct Header<'a> {
    start: usize,
    /// The schedule that it names, as it is written; none where it is another sort of section.
    schedule: Option<&'a str>,
}

/// Takes `text` apart. What is no TOML comes out as some parts of which one is none, too.
pub(super) fn take_apart(text: &str) -> Parts<'_> {
    let mut parts = Parts::default();
    let mut current: Option<Range<usize>> = None;
    let mut before: Option<&str> = None;
    let headers = headers(text);
    let first = headers.first().map_or(text.len(), |header| header.start);
    parts.head.push_str(&text[..first]);
    let ends = headers.iter().skip(1).map(|header| header.start).chain([text.len()]);
    for (header, end) in headers.iter().zip(ends) {
        let Some(schedule) = header.schedule else {
            parts.schedules.extend(current.take().map(|range| &text[range]));
            parts.head.push_str(&text[header.start..end]);
            before = None;
            continue;
        };
        let fits = |range: &Range<usize>| range.len() < PART || before == Some(schedule);
        current = match current.take() {
            Some(range) if fits(&range) => Some(range.start..end),
            full => {
                parts.schedules.extend(full.map(|range| &text[range]));
                Some(header.start..end)
            }
        };
        before = Some(schedule);
    }
    parts.schedules.extend(current.map(|range| &text[range]));
    parts
}

/// Where in a header one is.
enum Place {
    Elsewhere,
    /// Behind the first bracket.
    Opened,
    /// Behind `[schedules`.
    Table,
    /// Behind `[schedules.`.
    Dot,
}

/// Finds the headers of all sections: brackets that begin a line outside of every value.
fn headers(text: &str) -> Vec<Header<'_>> {
    let mut headers = Vec::new();
    let (mut place, mut depth, mut begins_line) = (Place::Elsewhere, 0_usize, true);
    for token in Source::new(text).lex() {
        let (start, end) = (token.span().start(), token.span().end());
        let raw = text.get(start..end).unwrap_or_default();
        if token.kind() == TokenKind::Whitespace {
            continue;
        }
        place = match (place, token.kind()) {
            (_, TokenKind::LeftSquareBracket) if begins_line && depth == 0 => {
                headers.push(Header { start, schedule: None });
                Place::Opened
            }
            (Place::Opened, TokenKind::Atom) if raw == "schedules" => Place::Table,
            (Place::Table, TokenKind::Dot) => Place::Dot,
            (Place::Dot, TokenKind::Atom | TokenKind::BasicString | TokenKind::LiteralString) => {
                headers.iter_mut().last().into_iter().for_each(|last| last.schedule = Some(raw));
                Place::Elsewhere
            }
            _ => Place::Elsewhere,
        };
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => depth += 1,
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        begins_line = token.kind() == TokenKind::Newline;
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_schedules_are_cut_off_and_all_else_stays_together() {
        let long = "x".repeat(PART);
        let text = format!(
            "a = [\n[schedules.no]\n]\n[schedules.one]\nb = \"\"\"\n[calendars.no]\n\"\"\"\n# {long}\n\
             [schedules . 'one'.tags]\n[ schedules.\"two.x\" ]\nc = {{ d = [\n[1]] }}\n\
             [calendars.x]\n[schedules]\n[[schedules.y]]\n[schedules.three]\n"
        );
        let Parts { head, schedules } = take_apart(&text);
        let expected = "a = [\n[schedules.no]\n]\n[calendars.x]\n[schedules]\n[[schedules.y]]\n";
        assert_eq!(head, expected);
        let begins: Vec<_> = schedules.iter().map(|part| part.lines().next().unwrap()).collect();
        assert_eq!(begins, ["[schedules.one]", "[schedules . 'one'.tags]", "[schedules.three]"]);
        assert!(schedules[1].ends_with("[1]] }\n"), "{}", schedules[1]);
    }

    #[test]
    fn what_belongs_to_one_schedule_is_not_cut() {
        let long = "x".repeat(PART);
        let text = format!("[schedules.a]\n# {long}\n[schedules.a.args]\n[schedules.b]\n");
        let Parts { head, schedules } = take_apart(&text);
        assert_eq!((head.as_str(), schedules.len()), ("", 2));
        assert_eq!(schedules[1], "[schedules.b]\n");
    }
}
