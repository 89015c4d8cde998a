//! What answers tell of types that belong to other crates, told once more as schemas.
//!
//! Nothing here is ever made: the answers carry the types themselves. That both say the same is
//! seen by the tests, which hold every answer against the document.

#![allow(dead_code, reason = "only their schemas are used")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::name::{self, Json};

/// Where a schedule comes from, and so who may change what it says.
#[derive(ToSchema)]
#[serde(tag = "from", rename_all = "lowercase")]
pub(crate) enum Source {
    /// A timetable file, which the leading beat reads.
    File {
        /// The file's path.
        path: String,
    },
    /// A program that declares it.
    Code {
        /// The program.
        program: String,
    },
    /// A request to this API.
    Api {
        /// Who made it.
        by: String,
    },
}

/// Why an occurrence came about: the clock, on time; the clock, later, because it was missed or
/// because the one before was not over; or somebody who asked for it.
#[derive(ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cause {
    Clock,
    CatchUp,
    Queued,
    RunNow,
    Backfill,
}

/// Why an occurrence was left out: it was missed and is not caught up with, the one before was not
/// over, or its task was refused for good.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Skip {
    Missed,
    Overlap,
    Refused,
}

/// One thing that the doctor looked at.
#[derive(ToSchema)]
pub(crate) struct Finding {
    /// Of what, such as `broker`, `store`, `clock`, `kinds`.
    part: String,
    /// What was looked at, such as `reachable`.
    check: String,
    /// How it is.
    health: Health,
    /// What was found, with names and numbers.
    found: String,
    /// What to do about it.
    mend: Option<String>,
    /// How many milliseconds the answer took, where a server was asked.
    took_ms: Option<u64>,
    /// How many bytes there is room for, where that was looked at.
    room: Option<u64>,
}

/// As it should be; works and carries a risk; does not work, or a promise does not hold.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Health {
    Good,
    Risky,
    Bad,
}

/// How far a walk over dead letters is, or was in the end.
#[derive(ToSchema)]
pub(crate) struct Walked {
    /// Letters in the queue at the start.
    total: u64,
    /// Letters that were taken in hand.
    taken: u64,
    /// Of those: put at the tail again.
    kept: u64,
    /// Of those kept: not listed, because their replay is on its way or their task runs.
    hidden: u64,
    /// Given a fresh start.
    replayed: u64,
    /// Taken away.
    discarded: u64,
    /// Replaced by an edited copy.
    replaced: u64,
    /// Not started when the broker moved them there, and sent back to their lanes.
    returned: u64,
    /// Left over from a replay that is over, and taken away.
    superseded: u64,
    /// Could not be published, and left where they were.
    failed: u64,
}

/// A message as it travels: its properties, its headers and its body.
#[derive(ToSchema)]
pub(crate) struct Wire {
    /// The task's id.
    message_id: Option<String>,
    /// The task's kind.
    r#type: Option<String>,
    /// The media type of the body.
    content_type: Option<String>,
    /// How the body is encoded.
    content_encoding: Option<String>,
    /// The root id of a workflow.
    correlation_id: Option<String>,
    /// Where an answer is expected.
    reply_to: Option<String>,
    /// Seconds since 1970 UTC.
    timestamp: Option<u64>,
    /// The producer.
    app_id: Option<String>,
    /// The priority that another dialect gave it.
    priority: Option<u8>,
    /// The headers by name. Each value names its type: `{"int": 1}`, `{"text": "a"}`.
    #[schema(value_type = Option<BTreeMap<String, Json>>)]
    headers: Option<BTreeMap<String, String>>,
    /// The body: text, or a list of bytes where it is not UTF-8.
    #[schema(value_type = Json)]
    body: String,
}

/// A letter as it is carried out, or the end of an export.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum ExportedLetterLine {
    /// A letter.
    Letter(Box<ExportedLetter>),
    /// The last line.
    End(ExportEnd),
}

/// A dead letter as it is carried out and in.
#[derive(ToSchema)]
pub(crate) struct ExportedLetter {
    /// Whose dead letters it is among.
    #[schema(value_type = name::QueueName)]
    queue: String,
    /// The message.
    wire: Wire,
}

/// The last line of an export; without it the export is not whole.
#[derive(ToSchema)]
pub(crate) struct ExportEnd {
    /// Always true.
    finished: bool,
    /// How many lines came before.
    exported: u64,
}

/// What became of an occurrence.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fate {
    Fired,
    Skipped,
    Waiting,
}

/// What is to be done with a schedule.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    Create,
    Change,
    Delete,
    Held,
    Present,
}

/// Why a schedule was left alone.
#[derive(ToSchema)]
#[schema(as = LeftBecause)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Left {
    Held,
    Present,
    Lost,
}

/// A line about a walk over dead letters: how far it is in a queue; that a queue was passed over
/// (`queue`, `error`); or at last that it is over (`finished`) or broke off (`error`), with all in all.
#[derive(ToSchema)]
pub(crate) struct WalkLine {
    /// Which queue is walked.
    queue: Option<name::QueueName>,
    /// How far it is there.
    walked: Option<Walked>,
    /// True in the last line, where every letter was met, or as many as `limit` allows.
    finished: Option<bool>,
    /// Why the queue was passed over, or why it broke off.
    #[schema(value_type = Option<crate::problem::Document>)]
    error: Option<String>,
    /// How much was done in all.
    totals: Option<Walked>,
}
