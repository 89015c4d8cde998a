//! What names and durations may be: the rules of `leveret-common`, for the time of compilation.
//!
//! An answer is nothing where the text is right, or what to write instead.

use std::time::Duration;

const MAX_LABEL: usize = 63;
const MAX_KIND: usize = 128;
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);
/// Below this likeness (0 to 1) a name is another word, not a slip.
const LIKE: f64 = 0.6;

const UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// The classes, and what each is called in code.
pub(crate) const CLASSES: [(&str, &str); 4] =
    [("critical", "Critical"), ("high", "High"), ("normal", "Normal"), ("low", "Low")];

/// Checks the name of a kind.
pub(crate) fn kind(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_right = text.len() <= MAX_KIND
        && text.chars().all(allowed)
        && text.split('.').all(|part| !part.is_empty());
    let rule = "a kind is dotted words of letters, digits, '-' and '_', such as \"email.welcome\", \
                of at most 128 bytes";
    if is_right { Ok(()) } else { Err(rule.to_owned()) }
}

/// Checks the name of a queue.
pub(crate) fn queue(text: &str) -> Result<(), String> {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_right = text.len() <= MAX_LABEL
        && text.chars().all(|c| alphanumeric(c) || matches!(c, '-' | '_'))
        && text.starts_with(alphanumeric);
    let rule = "a queue is a-z, 0-9, '-' and '_', such as \"mail\", begins with a letter or a \
                digit, and has at most 63 characters";
    if is_right { Ok(()) } else { Err(rule.to_owned()) }
}

/// Reads a duration such as `30s` or `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    read_duration(text).ok_or_else(|| {
        "a duration is numbers with units (d, h, m, s, ms, us, ns), the largest first, such as \
         \"30s\" or \"1h30m\", and at most 36500d"
            .to_owned()
    })
}

fn read_duration(text: &str) -> Option<Duration> {
    let (mut total, mut next_unit, mut rest) = (0_u128, 0, text);
    if text.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let index = UNITS.iter().position(|(name, _)| *name == unit)?;
        if index < next_unit {
            return None;
        }
        total += u128::from(digits.parse::<u64>().ok()?) * UNITS[index].1;
        next_unit = index + 1;
        rest = after;
    }
    let seconds = u64::try_from(total / 1_000_000_000).ok()?;
    let duration = Duration::new(seconds, u32::try_from(total % 1_000_000_000).ok()?);
    (duration <= LONGEST).then_some(duration)
}

/// Says that `written` does not exist here, what was probably meant, or what there is.
pub(crate) fn unknown(what: &str, written: &str, names: &[&str]) -> String {
    let likeness = |name| (strsim::normalized_damerau_levenshtein(written, name), name);
    let like = names.iter().copied().map(likeness).filter(|(likeness, _)| *likeness >= LIKE);
    match like.max_by(|(one, _), (other, _)| one.total_cmp(other)) {
        Some((_, name)) => format!("there is no {what} `{written}`; did you mean `{name}`?"),
        None => format!("there is no {what} `{written}`; there are `{}`", names.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use leveret_common::name::{Class, KindName, QueueName};
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) {
        assert_eq!(kind(text).is_ok(), text.parse::<KindName>().is_ok(), "kind {text:?}");
        assert_eq!(queue(text).is_ok(), text.parse::<QueueName>().is_ok(), "queue {text:?}");
        let theirs = leveret_common::duration::parse(text).ok();
        assert_eq!(duration(text).ok(), theirs, "duration {text:?}");
    }

    #[test]
    fn the_rules_are_those_of_the_contract() {
        let long = ["a".repeat(63), "a".repeat(64), "a".repeat(128), "a".repeat(129)];
        let texts = [
            "",
            ".",
            "a",
            "a.b",
            "a..b",
            "A-1_b.C",
            "-a",
            "_a",
            "9a",
            "ä",
            "a b",
            "30s",
            "1h30m",
            "30",
            "m",
            "30m1h",
            "1m1m",
            "1.5s",
            "-5s",
            "36500d",
            "36500d1ns",
            "99999999999999999999s",
        ];
        texts.into_iter().chain(long.iter().map(String::as_str)).for_each(check);
        let theirs = Class::ALL.map(|class| (class.to_string(), format!("{class:?}")));
        assert_eq!(CLASSES.map(|(name, code)| (name.to_owned(), code.to_owned())), theirs);
    }

    proptest! {
        #[test]
        fn they_agree_on_any_text(text in "[a-zA-Z0-9._\\-]{0,12}|[0-9dhmsnu]{0,12}|.{0,8}") {
            check(&text);
        }
    }
}
