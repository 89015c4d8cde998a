//! Answers: what is said of a task, as JSON. Times are RFC 3339 in UTC with milliseconds.
//!
//! What is not known is left out. Clients must accept states and fields that are new to them. The
//! words beside the fields are those of the OpenAPI document.

mod accepted;
mod act;
mod beat;
mod letter;
mod queue;
mod schedule;
mod task;
mod timetable;
mod worker;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

pub(crate) use self::accepted::{AcceptedAnswer, LineAnswer};
pub(crate) use self::beat::BeatAnswer;
pub(crate) use self::letter::{GroupsAnswer, LetterAnswer, MatchingAnswer, PageAnswer};
pub(crate) use self::queue::{PauseAnswer, QueueAnswer};
pub(crate) use self::schedule::{ComingAnswer, OccurrenceAnswer, ScheduleAnswer, SchedulesAnswer};
pub(crate) use self::task::TaskAnswer;
pub(crate) use self::timetable::{
    BackfilledAnswer, ExtentAnswer, ImportedAnswer, PlanAnswer, PutInAnswer,
};
pub(crate) use self::worker::WorkerAnswer;

/// Takes a result as the JSON it is; what a handler wrote otherwise becomes text.
fn json(text: String) -> Box<RawValue> {
    let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
    let written =
        if is_json { RawValue::from_string(text) } else { serde_json::value::to_raw_value(&text) };
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_is_no_json_is_text() {
        assert_eq!(json("{\"n\": 1}".to_owned()).get(), "{\"n\": 1}");
        assert_eq!(json("three words".to_owned()).get(), "\"three words\"");
    }
}
