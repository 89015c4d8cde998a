//! Typed reading of headers: integers of any width and decimal strings, text, ids, tables.
//!
//! Each function names the header in its error, so that a sender sees what to mend. Nothing here
//! knows what a header means.

use std::collections::BTreeMap;
use std::time::Duration;

use super::wire::{HeaderValue, Headers};
use super::{Undecodable, header};
use crate::clock::Millis;
use crate::sabotage::{Break, breaks};

/// The greatest number that can be written again: an int64.
const GREATEST: u64 = i64::MAX.unsigned_abs();

/// Reads an optional non-negative integer. What is greater than an int64 counts as the greatest: it
/// is a time that nobody lives to see, and is to be the same when it is written and read again.
pub(super) fn integer(headers: &Headers, name: &str) -> Result<Option<u64>, Undecodable> {
    Ok(any_integer(headers, name)?.map(|number| number.min(GREATEST)))
}

fn any_integer(headers: &Headers, name: &str) -> Result<Option<u64>, Undecodable> {
    let wrong = |what: &str| {
        Err(Undecodable::malformed(format!(
            "header {name} is {what}; send a non-negative integer or its decimal digits as text"
        )))
    };
    match headers.get(name) {
        None | Some(HeaderValue::Null) => Ok(None),
        Some(HeaderValue::Int(number)) => match u64::try_from(*number) {
            Ok(number) => Ok(Some(number)),
            Err(_) => wrong("negative"),
        },
        Some(HeaderValue::Text(text)) => match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => wrong("text that is no integer"),
        },
        // Some clients send every number as a double.
        Some(HeaderValue::Float(number)) => match whole(*number, 9_007_199_254_740_992.0) {
            Some(number) => Ok(Some(number)),
            None => wrong("a double that is no integer"),
        },
        // A time in milliseconds, sent so, is off by up to a minute.
        Some(HeaderValue::Single(number)) => match whole(f64::from(*number), 16_777_216.0) {
            Some(number) => Ok(Some(number)),
            None => wrong("a number of single precision, which cannot hold it exactly"),
        },
        Some(HeaderValue::Time(seconds)) => Ok(Some(seconds.saturating_mul(1_000))),
        Some(_) => wrong("of another type"),
    }
}

/// Returns a floating-point number that stands for an integer: up to `most`, all of them can.
fn whole(number: f64, most: f64) -> Option<u64> {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number within 0 and 2^53, checked by the condition"
    )]
    (number.fract() == 0.0 && (0.0..=most).contains(&number)).then_some(number as u64)
}

/// Reads an optional integer within `low..=high`.
pub(super) fn bounded(
    headers: &Headers,
    name: &str,
    low: u32,
    high: u32,
) -> Result<Option<u32>, Undecodable> {
    let Some(number) = integer(headers, name)? else { return Ok(None) };
    match u32::try_from(number) {
        Ok(number) if (low..=high).contains(&number) => Ok(Some(number)),
        _ => Err(Undecodable::malformed(format!(
            "header {name} is {number}; it must be within {low} and {high}"
        ))),
    }
}

/// Reads an optional instant in milliseconds.
pub(super) fn instant(headers: &Headers, name: &str) -> Result<Option<Millis>, Undecodable> {
    Ok(integer(headers, name)?.map(Millis))
}

/// Reads an optional span in milliseconds.
pub(super) fn span(headers: &Headers, name: &str) -> Result<Option<Duration>, Undecodable> {
    Ok(integer(headers, name)?.map(Duration::from_millis))
}

/// Reads an optional text of at most `most` bytes.
pub(super) fn text(
    headers: &Headers,
    name: &str,
    most: usize,
) -> Result<Option<String>, Undecodable> {
    let text = match headers.get(name) {
        None | Some(HeaderValue::Null) => return Ok(None),
        Some(HeaderValue::Text(text)) => text.clone(),
        Some(HeaderValue::Int(number)) => number.to_string(),
        Some(_) => {
            return Err(Undecodable::malformed(format!("header {name} is not text; send text")));
        }
    };
    if text.len() > most {
        let len = text.len();
        return Err(Undecodable::malformed(format!(
            "header {name} has {len} bytes; at most {most} are allowed"
        )));
    }
    Ok(Some(text))
}

/// Reads an optional text and parses it.
pub(super) fn parsed<T: std::str::FromStr>(
    headers: &Headers,
    name: &str,
) -> Result<Option<T>, Undecodable>
where
    T::Err: std::fmt::Display,
{
    let Some(text) = text(headers, name, header::MAX_TAG)? else { return Ok(None) };
    match text.parse() {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(Undecodable::malformed(format!("header {name}: {error}"))),
    }
}

/// Reads the table of tags.
pub(super) fn tags(headers: &Headers) -> Result<BTreeMap<String, String>, Undecodable> {
    let table = match headers.get(header::TAGS) {
        None | Some(HeaderValue::Null) => return Ok(BTreeMap::new()),
        Some(HeaderValue::Table(table)) => table,
        Some(_) => {
            return Err(Undecodable::malformed("header lv-tags is not a table of text to text"));
        }
    };
    if table.len() > header::MAX_TAGS {
        return Err(Undecodable::malformed(format!(
            "header lv-tags has {} tags; at most {} are allowed",
            table.len(),
            header::MAX_TAGS
        )));
    }
    let mut tags = BTreeMap::new();
    for (name, _) in table.iter() {
        let value = text(table, name, header::MAX_TAG)?.unwrap_or_default();
        if name.len() > header::MAX_TAG_NAME {
            return Err(Undecodable::malformed("a tag's name has more than 255 bytes"));
        }
        tags.insert(name.clone(), value);
    }
    Ok(tags)
}

/// Returns the unknown `lv-*` headers, to be carried along unchanged.
pub(super) fn extra(headers: &Headers) -> Result<Headers, Undecodable> {
    let extra: Headers = headers
        .iter()
        .filter(|(name, _)| is_kept(name) && !header::KNOWN.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let size = super::headers_size(&extra);
    if extra.len() > header::MAX_EXTRA || size > header::MAX_EXTRA_BYTES {
        return Err(Undecodable::malformed(format!(
            "it carries {} unknown lv-* headers of {size} bytes; at most {} of {} bytes are kept",
            extra.len(),
            header::MAX_EXTRA,
            header::MAX_EXTRA_BYTES
        )));
    }
    Ok(extra)
}

fn is_kept(name: &str) -> bool {
    name.starts_with("lv-") || (breaks(Break::CopiedXHeaders) && name.starts_with("x-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_int64_holds_is_the_greatest_that_one_does() {
        for value in [
            HeaderValue::Time(9_223_372_036_854_776),
            HeaderValue::Time(u64::MAX),
            HeaderValue::Text(u64::MAX.to_string()),
            HeaderValue::Int(i64::MAX),
        ] {
            let headers = [("lv-parked-since".to_owned(), value.clone())].into();
            let read = instant(&headers, "lv-parked-since").unwrap();
            assert_eq!(read, Some(Millis(GREATEST)), "{value:?}");
        }
    }
}
