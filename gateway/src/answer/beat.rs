//! Of beats: everything that they say of themselves.

use leveret_common::id::Owner;
use leveret_common::store::BeatInfo;
use serde::Serialize;

use crate::operations::time::text as time;

/// What is said of a beat.
#[derive(Debug, Serialize)]
pub(crate) struct BeatAnswer {
    owner: Owner,
    host: String,
    pid: u32,
    version: String,
    started_at: String,
    at: String,
    leads: bool,
    /// Under which epoch it leads.
    epoch: Option<u64>,
    schedules: u64,
    file: Option<FileAnswer>,
}

#[derive(Debug, Serialize)]
struct FileAnswer {
    path: String,
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
