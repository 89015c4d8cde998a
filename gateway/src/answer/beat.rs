//! Of beats: everything that they say of themselves.

use leveret_common::id::Owner;
use leveret_common::store::BeatInfo;
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::name;
use crate::operations::time::text as time;

/// What a beat says of itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Beat)]
pub(crate) struct BeatAnswer {
    #[schema(value_type = name::Owner)]
    owner: Owner,
    /// Its machine.
    host: String,
    /// Its process.
    pid: u32,
    version: String,
    #[schema(value_type = name::Instant)]
    started_at: String,
    /// When it spoke last.
    #[schema(value_type = name::Instant)]
    at: String,
    /// Whether it is the one that puts in what is due.
    leads: bool,
    /// Under which epoch it leads; grows with each beat that begins to lead. `null` where it does not.
    #[schema(required = true)]
    epoch: Option<u64>,
    /// How many schedules it knows.
    schedules: u64,
    /// Its timetable file; `null` where it has none.
    #[schema(required = true)]
    file: Option<FileAnswer>,
}

/// A timetable file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimetableFile)]
struct FileAnswer {
    path: String,
    /// Equal for files that say the same.
    fingerprint: String,
}

impl From<BeatInfo> for BeatAnswer {
    fn from(beat: BeatInfo) -> Self {
        let file = beat
            .file
            .map(|file| FileAnswer { path: file.path, fingerprint: file.fingerprint.to_string() });
        Self {
            owner: beat.owner,
            host: beat.host,
            pid: beat.pid,
            version: beat.version,
            started_at: time(beat.started_at),
            at: time(beat.at),
            leads: beat.leads.is_some(),
            epoch: beat.leads,
            schedules: beat.schedules,
            file,
        }
    }
}
