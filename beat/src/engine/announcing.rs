//! Announcing: each beat says of itself that it lives, whether it leads and which file it has.

use std::time::{Duration, Instant};

use leveret_common::clock::Millis;
use leveret_common::id::Owner;
use leveret_common::store::BeatInfo;
use leveret_common::telemetry::names::field;
use tracing::debug;

use super::jobs::Event;
use super::patience::{Trouble, within};
use super::run::Run;

/// How often a beat is announced.
const EVERY: Duration = Duration::from_secs(2);
/// How long what a beat says of itself stands: 10 s. One that lives has spoken since.
pub const ANNOUNCED_FOR: Duration = Duration::from_secs(10);
/// Every how many announcements to look at the other beats.
const LOOK_EVERY: u32 = 5;

/// Announces the beat; a part of the loop's state.
#[derive(Debug)]
pub(super) struct Announcer {
    owner: Owner,
    host: String,
    started_at: Millis,
    busy: bool,
    pub(super) next: Instant,
    count: u32,
}

impl Announcer {
    pub(super) fn new(owner: Owner, host: String, started_at: Millis) -> Self {
        Self { owner, host, started_at, busy: false, next: Instant::now(), count: 0 }
    }

    /// Announces it as soon as possible: something has changed.
    pub(super) fn now(&mut self) {
        self.next = Instant::now();
    }
}

impl Run {
    /// Announces the beat, where it is time.
    pub(super) fn announce(&mut self) {
        if Instant::now() < self.announcer.next {
            return;
        }
        self.announcer.next = Instant::now() + EVERY;
        if std::mem::replace(&mut self.announcer.busy, true) {
            return;
        }
        let looks = self.filing.filed.is_some() && self.announcer.count.is_multiple_of(LOOK_EVERY);
        self.announcer.count = self.announcer.count.wrapping_add(1);
        let info = self.introduce();
        let schedules = self.backend.schedules.clone();
        self.jobs.start(async move {
            let announced = async {
                within(schedules.announce(&info, ANNOUNCED_FOR)).await?;
                if looks { within(schedules.beats()).await.map(Some) } else { Ok(None) }
            };
            Event::Announced(announced.await)
        });
    }

    pub(super) fn announced(&mut self, beats: Result<Option<Vec<BeatInfo>>, Trouble>) {
        self.announcer.busy = false;
        match beats {
            Ok(beats) => beats.iter().for_each(|beats| self.compare_files(beats)),
            // What matters is told by who needs it.
            Err(error) => debug!({ field::ERROR } = %error, "this beat is not announced"),
        }
    }

    fn introduce(&self) -> BeatInfo {
        let Announcer { owner, host, started_at, .. } = &self.announcer;
        BeatInfo {
            owner: *owner,
            host: host.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: *started_at,
            at: self.now(),
            leads: self.leadership.epoch(),
            schedules: self.roster.len() as u64,
            file: self.filing.filed.as_ref().map(|filed| filed.info().clone()),
        }
    }
}
