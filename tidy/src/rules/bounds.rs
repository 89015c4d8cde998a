//! Nothing of ours queues without a bound: what comes faster than it is taken would be memory in the end.
//!
//! Knows words and lines, not Rust, as the rules of [`super::text`] do; the words are put together from parts,
//! because this file is checked too. Collections are not looked at: no word tells one that grows with a
//! backlog from one that cannot. Their bounds are on the page about the configuration.

use crate::tree::{Source, Tree, Violation};

/// What makes a queue without a bound, or is an end of one, in tokio and in the crates that people take instead.
const WITHOUT_BOUND: [&str; 5] = [
    concat!("unbound", "ed_channel"),
    concat!("unbound", "ed("),
    concat!("unbound", "ed::<"),
    concat!("Unbound", "edSender"),
    concat!("Unbound", "edReceiver"),
];

/// The channel of the standard library and of tokio's namesake; only the latter is told how much it holds.
const CHANNEL: &str = concat!("mpsc::chan", "nel");

/// Every queue between two parts has a bound, tests apart.
pub(super) fn every_queue_has_a_bound(tree: &Tree) -> Vec<Violation> {
    tree.rust().filter(|source| !is_of_tests(source)).flat_map(boundless).collect()
}

fn is_of_tests(source: &Source) -> bool {
    let mut parts = source.path.split('/');
    parts.any(|part| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs"))
}

fn boundless(source: &Source) -> Vec<Violation> {
    let lines: Vec<&str> = source.text.lines().collect();
    let is_tested_here = |number: usize| {
        let next = lines.get(number + 1).copied().unwrap_or_default();
        lines[number] == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{')
    };
    let shipped = lines.iter().enumerate().take_while(|(number, _)| !is_tested_here(*number));
    shipped
        .filter_map(|(number, line)| {
            let word = culprit(line)?;
            let what = format!("`{word}` holds as much as comes: give the queue a bound");
            Some(source.violation(number, what))
        })
        .collect()
}

/// Returns what makes or names a queue without a bound; prose may speak of it.
fn culprit(line: &str) -> Option<&'static str> {
    let line = line.trim_start();
    if line.starts_with("//") {
        return None;
    }
    let word = WITHOUT_BOUND.into_iter().find(|word| line.contains(word));
    word.or_else(|| (makes_channel(line) || imports_channel(line)).then_some(CHANNEL))
}

/// Whether a channel is made that is not told how much it holds.
fn makes_channel(line: &str) -> bool {
    line.match_indices(CHANNEL).any(|(at, _)| {
        let after = &line[at + CHANNEL.len()..];
        let after = after.strip_prefix("::<").map_or(after, |types| {
            // `()` may be among the types: what follows them is what counts.
            types.split_once(">(").map_or("", |(_, after)| &types[types.len() - after.len() - 1..])
        });
        after.starts_with("()")
    })
}

/// Whether a line imports the standard library's: it cannot be told from tokio's where it is made.
fn imports_channel(line: &str) -> bool {
    let in_name = |character: char| character.is_alphanumeric() || character == '_';
    let imported =
        line.split_once(concat!("std::sync::", "mpsc")).filter(|_| line.starts_with("use "));
    imported.is_some_and(|(_, names)| names.split(|c| !in_name(c)).any(|name| name == "channel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let found = every_queue_has_a_bound(&Tree::of(&[(path, text)]));
        found.into_iter().filter_map(|found| found.line).collect()
    }

    #[test]
    fn a_queue_without_a_bound_is_found() {
        for line in [
            concat!("let (a, b) = mpsc::unbound", "ed_channel();"),
            concat!("let (a, b) = flume::unbound", "ed();"),
            concat!("let (a, b) = async_channel::unbound", "ed::<u8>();"),
            concat!("fn f(to: Unbound", "edSender<u8>) {}"),
            concat!("let (a, b) = std::sync::mpsc::chan", "nel();"),
            concat!("let (a, b) = mpsc::chan", "nel::<Vec<(u8, ())>>();"),
            concat!("use std::sync::", "mpsc::channel;"),
            concat!("use std::sync::", "mpsc::{Receiver, channel};"),
        ] {
            assert_eq!(lines("a/src/b.rs", &format!("//! B.\n{line}\n")), [2], "{line}");
        }
    }

    #[test]
    fn a_queue_with_a_bound_is_none() {
        for line in [
            "let (a, b) = mpsc::channel(16);",
            "let (a, b) = mpsc::channel::<Option<()>>(CHANNEL);",
            "let (a, b) = oneshot::channel();",
            "let (a, b) = std::sync::mpsc::sync_channel(1);",
            "use std::sync::mpsc::{Receiver, sync_channel};",
            "use tokio::sync::mpsc::{Receiver, channel};",
            "keys.range((Bound::Excluded(key), Bound::Unbounded));",
            concat!("// An unbound", "ed_channel would hold all of it."),
        ] {
            assert_eq!(lines("a/src/b.rs", line), [], "{line}");
        }
    }

    #[test]
    fn tests_may_queue_as_they_like_and_what_follows_their_name_may_not() {
        let line = concat!("let (a, b) = mpsc::unbound", "ed_channel();");
        for path in ["a/tests/it/b.rs", "a/src/tests.rs", "a/src/b/tests/c.rs", "a/src/b_tests.rs"]
        {
            assert_eq!(lines(path, line), [], "{path}");
        }
        let below = format!("#[cfg(test)]\nmod tests {{\n    {line}\n}}\n");
        assert_eq!(lines("a/src/b.rs", &below), []);
        let elsewhere = format!("#[cfg(test)]\nmod tests;\n{line}\n");
        assert_eq!(lines("a/src/b.rs", &elsewhere), [3]);
    }
}
