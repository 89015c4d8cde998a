//! Schedules as files, as lines of an export and as JSON of a request: read, or told what is wrong; what
//! was read has times, or problems with them, and is the same when it is written and read again.

#![no_main]

use leveret_beat::definition::{Wanted, read, read_named};
use leveret_beat::timing::Timing;
use leveret_common::clock::Millis;
use libfuzzer_sys::fuzz_target;

fn judge(wanted: &Wanted) {
    for (name, definition) in &wanted.schedules {
        match Timing::new(name, definition) {
            Ok(timing) => {
                let after = Millis(1_900_000_000_000);
                assert!(timing.next(after).is_none_or(|next| next > after));
            }
            Err(problems) => assert!(!problems.is_empty()),
        }
    }
    for flaw in &wanted.flaws {
        assert!(!flaw.to_string().is_empty());
    }
}

fuzz_target!(init: leveret_fuzz::seed(), |text: &str| {
    judge(&Wanted::from_toml(text));
    judge(&Wanted::from_lines(text));
    if let Err(problems) = read(text.as_bytes()) {
        assert!(!problems.is_empty());
    }
    let _any = read_named(text.as_bytes());
});
