//! `Retry-After`: when a receiver wants to be asked again.

use std::time::{Duration, UNIX_EPOCH};

use leveret_common::clock::Millis;

/// The longest wait that a receiver may ask for: a day. A longer one is cut, and may be asked for again.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// Reads the header: a number of seconds, or a date of HTTP. What is neither, or no wait at all,
/// is nothing: the policy decides then.
pub(super) fn wait(header: &str, now: Millis) -> Option<Duration> {
    let header = header.trim();
    let wait = if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are a very long wait.
        header.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(header).ok()?;
        let date = date.duration_since(UNIX_EPOCH).ok()?;
        date.saturating_sub(Duration::from_millis(now.0))
    };
    (!wait.is_zero()).then(|| wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_of_http_are_read_and_anything_else_is_not() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = Millis(784_111_777_000);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (header, expected) in [
            ("120", seconds(120)),
            (" 7 ", seconds(7)),
            ("0", None),
            ("Sun, 06 Nov 1994 08:50:07 GMT", seconds(30)),
            ("Sunday, 06-Nov-94 08:50:07 GMT", seconds(30)),
            ("Sun Nov  6 08:50:07 1994", seconds(30)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:00 GMT", None),
            ("31536000", Some(MAX_RETRY_AFTER)),
            ("99999999999999999999999", Some(MAX_RETRY_AFTER)),
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(MAX_RETRY_AFTER)),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wait(header, now), expected, "{header:?}");
        }
    }
}
