//! Cursors, names and ids as texts of somebody's own making: what is read is written as it came.

#![no_main]

// The gateway itself is a server; a cursor is text.
#[path = "../../gateway/src/cursor.rs"]
mod cursor;

use leveret_common::id::TaskId;
use leveret_common::name::{KindName, Lane, Namespace, QueueName, ScheduleName};
use libfuzzer_sys::fuzz_target;

/// What was read under a name is written as it came.
fn same<T: std::str::FromStr + ToString>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert_eq!(read.to_string(), text);
    }
}

fuzz_target!(init: leveret_fuzz::seed(), |text: &str| {
    if let Some(place) = cursor::read(text) {
        assert_eq!(cursor::write(&place), text, "another text is the same place");
    }
    same::<ScheduleName>(text);
    same::<KindName>(text);
    same::<QueueName>(text);
    same::<Namespace>(text);
    // These have more than one way to be written.
    if let Ok(id) = text.parse::<TaskId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Ok(lane) = text.parse::<Lane>() {
        assert_eq!(lane.to_string().parse(), Ok(lane));
    }
});
