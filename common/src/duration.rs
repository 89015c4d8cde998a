//! Durations as text with a unit: `250ms`, `30s`, `1h30m`, `7d`.
//!
//! Responsible for reading and printing them everywhere a person writes one: config, HTTP, CLI.
//! Which durations make sense for a setting is for that setting to say. Guards two things: a
//! number without a unit is never guessed at, and a parsed duration is at most [`LONGEST`], so
//! that adding one to a clock cannot overflow.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// The longest duration that can be written: a hundred years of 365 days.
pub const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// Units from the longest to the shortest, with their length in nanoseconds.
const UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// A duration whose text form has units, in serde and in `Display` alike.
///
/// # Examples
///
/// ```
/// use leveret_common::duration::DurationText;
/// use std::time::Duration;
///
/// let wait: DurationText = "1h30m".parse()?;
/// assert_eq!(wait.get(), Duration::from_secs(5_400));
/// assert_eq!(wait.to_string(), "90m");
/// # Ok::<(), leveret_common::duration::DurationError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DurationText(pub Duration);

/// Why a text is not a duration; each message says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// There is nothing to read.
    #[error("it is empty; write a number and a unit, such as 30s")]
    Empty,
    /// A number without a unit.
    #[error("it has no unit; write {0}s for seconds, {0}ms for milliseconds or {0}m for minutes")]
    NoUnit(String),
    /// A minus sign.
    #[error("a duration cannot be negative; write a number and a unit, such as 30s")]
    Negative,
    /// A decimal point.
    #[error("it has a fraction; write whole numbers of smaller units, such as 1500ms or 1h30m")]
    Fraction,
    /// A unit that does not exist.
    #[error("`{0}` is not a unit; the units are d, h, m, s, ms, us and ns, as in 1h30m")]
    UnknownUnit(String),
    /// A place where a number was due.
    #[error("a number is missing before `{0}`; write a number and a unit, such as 30s")]
    NoNumber(String),
    /// A unit that is not smaller than the one before it.
    #[error("`{0}` comes after a smaller or equal unit; write each unit once, the largest first")]
    Order(&'static str),
    /// More than [`LONGEST`].
    #[error("it is longer than 36500d, the longest duration there is; write a shorter one")]
    TooLong,
}

/// Reads a duration such as `250ms` or `1h30m`.
///
/// # Errors
///
/// [`DurationError`] when the text is empty, lacks a unit, is negative, or is too long.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text.starts_with('-') {
        return Err(DurationError::Negative);
    }
    let mut total = 0_u128;
    let mut next_unit = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (digits, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after, |c| !c.is_ascii_digit());
        if digits.is_empty() {
            return Err(DurationError::NoNumber(excerpt(unit)));
        }
        if unit.is_empty() {
            return Err(DurationError::NoUnit(excerpt(digits)));
        }
        let (index, nanoseconds) = find_unit(unit)?;
        if index < next_unit {
            return Err(DurationError::Order(UNITS[index].0));
        }
        let count: u64 = digits.parse().map_err(|_| DurationError::TooLong)?;
        // 2^64 days are 2^111 ns and there are at most seven terms: u128 cannot overflow.
        total += u128::from(count) * nanoseconds;
        next_unit = index + 1;
        rest = after;
    }
    from_nanoseconds(total).ok_or(DurationError::TooLong)
}

/// Prints a duration exactly, in whichever choice of units is shortest (`90s`, `36h`, but `1d1m`).
/// Each unit that is used takes as much as it can, so `10d10h` is not turned into `9d34h`.
#[must_use]
pub fn format(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s".to_owned();
    }
    shortest(duration.as_nanos(), &UNITS).unwrap_or_default()
}

/// Serialises a plain `Duration` as text, for `#[serde(with = "leveret_common::duration")]`.
///
/// # Errors
///
/// Whatever the serializer reports.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// Deserialises a plain `Duration` from text, for `#[serde(with = "leveret_common::duration")]`.
///
/// # Errors
///
/// Whatever the deserializer reports, and [`DurationError`] as a custom error.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(TextVisitor)
}

impl DurationText {
    /// Returns the plain duration.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for DurationText {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<DurationText> for Duration {
    fn from(text: DurationText) -> Self {
        text.0
    }
}

impl FromStr for DurationText {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse(text).map(Self)
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format(self.0))
    }
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Self)
    }
}

/// Accepts text, and answers a bare number with what to write instead of with a type name.
struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Duration;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a duration as text with a unit, such as \"30s\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duration, E> {
        parse(text)
            .map_err(|why| E::custom(format_args!("`{}` is not a duration: {why}", excerpt(text))))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Duration, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Duration, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Duration, E> {
        self.visit_str(&number.to_string())
    }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn find_unit(unit: &str) -> Result<(usize, u128), DurationError> {
    if unit.starts_with(['.', ',']) {
        return Err(DurationError::Fraction);
    }
    UNITS
        .iter()
        .position(|(name, _)| *name == unit)
        .map(|index| (index, UNITS[index].1))
        .ok_or_else(|| DurationError::UnknownUnit(excerpt(unit)))
}

fn from_nanoseconds(nanoseconds: u128) -> Option<Duration> {
    let seconds = u64::try_from(nanoseconds / 1_000_000_000).ok()?;
    let rest = u32::try_from(nanoseconds % 1_000_000_000).ok()?;
    let duration = Duration::new(seconds, rest);
    (duration <= LONGEST).then_some(duration)
}

/// Tries every unit as used and as skipped: at most 2^6 ways, since nanoseconds always fit.
fn shortest(nanoseconds: u128, units: &[(&str, u128)]) -> Option<String> {
    if nanoseconds == 0 {
        return Some(String::new());
    }
    let ((unit, length), smaller) = units.split_first()?;
    let used = shortest(nanoseconds % length, smaller)
        .filter(|_| nanoseconds >= *length)
        .map(|tail| format!("{}{unit}{tail}", nanoseconds / length));
    let skipped = shortest(nanoseconds, smaller);
    used.into_iter().chain(skipped).min_by_key(String::len)
}

/// Keeps an error message short whatever was sent.
fn excerpt(text: &str) -> String {
    text.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_with_units_is_read() {
        for (text, milliseconds) in [
            ("0s", 0),
            ("250ms", 250),
            ("30s", 30_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        assert_eq!(parse("36500d"), Ok(LONGEST));
    }

    #[test]
    fn wrong_text_is_refused_with_the_reason() {
        use DurationError as E;
        for (text, error) in [
            ("", E::Empty),
            ("30", E::NoUnit("30".into())),
            ("1h30", E::NoUnit("30".into())),
            ("-5s", E::Negative),
            ("1.5s", E::Fraction),
            ("10M", E::UnknownUnit("M".into())),
            ("1h 30m", E::UnknownUnit("h ".into())),
            ("s", E::NoNumber("s".into())),
            ("30m1h", E::Order("h")),
            ("1m1m", E::Order("m")),
            ("36501d", E::TooLong),
            ("36500d1ns", E::TooLong),
            ("18446744073709551615d", E::TooLong),
            ("99999999999999999999999s", E::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert_eq!(
            parse("30").unwrap_err().to_string(),
            "it has no unit; write 30s for seconds, 30ms for milliseconds or 30m for minutes"
        );
    }

    #[test]
    fn display_is_the_shortest_exact_form() {
        for (milliseconds, text) in [
            (0, "0s"),
            (250, "250ms"),
            (1_500, "1500ms"),
            (90_000, "90s"),
            (3_600_000, "1h"),
            (86_460_000, "1d1m"),
            (129_600_000, "36h"),
        ] {
            assert_eq!(format(Duration::from_millis(milliseconds)), text);
        }
        assert_eq!(format(Duration::MAX), "5124095576030431h15999999999ns");
    }

    #[test]
    fn serde_reads_text_and_explains_a_bare_number() {
        let read: DurationText = serde_json::from_str("\"1h30m\"").unwrap();
        assert_eq!(read.get(), Duration::from_secs(5_400));
        assert_eq!(serde_json::to_string(&read).unwrap(), "\"90m\"");
        for number in ["30", "30.5", "-30"] {
            let error = serde_json::from_str::<DurationText>(number).unwrap_err();
            assert!(
                error.to_string().contains(&format!("`{number}` is not a duration")),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_duration_round_trips(seconds in 0..LONGEST.as_secs(), nanoseconds in 0..1_000_000_000_u32) {
            for duration in [
                Duration::new(seconds, nanoseconds),
                Duration::from_millis(seconds),
                Duration::from_secs(seconds / 60 * 60),
            ] {
                prop_assert_eq!(parse(&format(duration)), Ok(duration));
            }
        }

        #[test]
        fn any_text_is_answered(text in "[0-9dhmsnu. \\-]{0,24}|.*") {
            if let Ok(duration) = parse(&text) {
                prop_assert!(duration <= LONGEST);
                prop_assert_eq!(parse(&format(duration)), Ok(duration));
            }
        }
    }
}
