//! Byte sizes as text with a binary unit: `512B`, `64KiB`, `1MiB`.
//!
//! Responsible for reading and printing them. Limits belong to the setting that holds one. A
//! number without a unit and the ambiguous `KB` and `MB` are refused, never guessed at.

use std::fmt;
use std::str::FromStr;

/// Units from the largest to the smallest, with their length in bytes.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A number of bytes.
///
/// # Examples
///
/// ```
/// use leveret_common::size::ByteSize;
///
/// let limit: ByteSize = "64KiB".parse()?;
/// assert_eq!(limit.bytes(), 65_536);
/// # Ok::<(), leveret_common::size::ByteSizeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// Why a text is not a byte size; each message says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ByteSizeError {
    /// There is no number at the start.
    #[error("it does not begin with a whole number; write a number and a unit, such as 64KiB")]
    NoNumber,
    /// A number without a unit.
    #[error("it has no unit; write {0}B for bytes, {0}KiB or {0}MiB")]
    NoUnit(String),
    /// A unit that does not exist or is ambiguous.
    #[error("`{0}` is not a unit; the units are B, KiB, MiB and GiB, as in 64KiB")]
    UnknownUnit(String),
    /// More bytes than can be counted.
    #[error("it is more bytes than can be counted; write a smaller size, such as 1MiB")]
    TooLarge,
}

impl ByteSize {
    /// Makes a size from bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Makes a size from kibibytes, at most `u64::MAX` bytes.
    #[must_use]
    pub const fn from_kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1 << 10))
    }

    /// Makes a size from mebibytes, at most `u64::MAX` bytes.
    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1 << 20))
    }

    /// Returns the number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Returns the number of bytes as a length in memory, at most `usize::MAX`.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        if digits.is_empty() {
            return Err(ByteSizeError::NoNumber);
        }
        if unit.is_empty() {
            return Err(ByteSizeError::NoUnit(digits.chars().take(32).collect()));
        }
        let (_, length) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| ByteSizeError::UnknownUnit(unit.chars().take(32).collect()))?;
        digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(*length))
            .map(Self)
            .ok_or(ByteSizeError::TooLarge)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, length)| self.0 != 0 && self.0.is_multiple_of(*length));
        let (name, length) = unit.copied().unwrap_or(("B", 1));
        formatter.pad(&format!("{}{name}", self.0 / length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_with_units_is_read() {
        for (text, bytes) in
            [("0B", 0), ("512B", 512), ("64KiB", 65_536), ("1MiB", 1 << 20), ("2GiB", 2 << 30)]
        {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }

    #[test]
    fn wrong_text_is_refused_with_the_reason() {
        use ByteSizeError as E;
        for (text, error) in [
            ("", E::NoNumber),
            ("MiB", E::NoNumber),
            ("-1MiB", E::NoNumber),
            ("1024", E::NoUnit("1024".into())),
            ("1MB", E::UnknownUnit("MB".into())),
            ("1.5MiB", E::UnknownUnit(".5MiB".into())),
            ("1 MiB", E::UnknownUnit(" MiB".into())),
            ("18446744073709551616B", E::TooLarge),
            ("17179869184GiB", E::TooLarge),
        ] {
            assert_eq!(text.parse::<ByteSize>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_size_round_trips(bytes: u64, kib in 0..=u64::MAX >> 10) {
            for size in [ByteSize(bytes), ByteSize::from_kib(kib)] {
                prop_assert_eq!(size.to_string().parse(), Ok(size));
            }
        }
    }
}
