//! Expressions: whatever is accepted is due strictly later, in order, in zones with every sort of clock
//! change, can be said in words, and is the same when it is read again.

#![no_main]

use chrono::{DateTime, Utc};
use leveret_beat::chrono_tz::Tz;
use leveret_beat::expression::Expression;
use libfuzzer_sys::fuzz_target;

/// No change, one in the night, one at midnight, one of half an hour, a day left out.
const ZONES: [Tz; 5] =
    [Tz::UTC, Tz::Europe__Berlin, Tz::America__Havana, Tz::Australia__Lord_Howe, Tz::Pacific__Apia];

fuzz_target!(init: leveret_fuzz::seed(), |text: &str| {
    let Ok(expression) = text.parse::<Expression>() else { return };
    assert_eq!(expression.as_str().parse::<Expression>().as_ref(), Ok(&expression));
    assert!(!expression.words().is_empty());
    for zone in ZONES {
        let mut after: DateTime<Utc> = DateTime::from_timestamp(1_300_000_000, 0).unwrap();
        for _ in 0..4 {
            let Some(next) = expression.next(zone, after) else { break };
            assert!(next > after, "{text:?} in {zone} after {after}: {next}");
            // Nothing lies between: from any instant before, it is the same.
            let between = after + (next - after) / 2;
            assert_eq!(expression.next(zone, between), Some(next), "{text:?} in {zone}");
            after = next;
        }
    }
});
