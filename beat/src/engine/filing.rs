//! Filing: the timetable file is read, and the timetable brought to hold what it says.
//!
//! The leader's file counts. A beat that stands by reads its own all the same, so that a mistake in
//! it is known at once, and says so where the leader has another. A file that is wrong changes
//! nothing.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use leveret_common::store::{BeatInfo, TimetableFile};
use leveret_common::telemetry::names::field;
use tracing::{debug, error, info, warn};

use super::filed::{FileError, Filed};
use super::jobs::{Background, Event};
use super::leader::Leadership;
use super::run::Run;
use super::teller::News;
use crate::timetable::{Applied, Plan, Reason, Timetable, TimetableError};

/// How long to wait before another try to bring the timetable up to the file.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Longer than bringing a hundred thousand schedules up takes.
const RECONCILE_WITHIN: Duration = Duration::from_secs(60);

/// What became of bringing the timetable up to the file.
pub(super) type Reconciled = Result<Box<(Plan, Applied)>, Unfiled>;

/// Why the timetable was not brought up to the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfiled {
    #[error(transparent)]
    Failed(#[from] TimetableError),
    #[error("the store did not take it all within {RECONCILE_WITHIN:?}")]
    Slow,
    #[error("this beat does not lead any more, and the leader's file counts")]
    Overtaken,
}

/// The file, and what is to be done with it; a part of the loop's state.
#[derive(Debug, Default)]
pub(super) struct Filing {
    pub(super) filed: Option<Filed>,
    /// When to bring the timetable up to the file; none where it is.
    due: Option<Instant>,
    /// The epoch under which the timetable was brought up to the file, as it is now.
    held: Option<u64>,
    /// The epoch under which a plan was made last.
    planned: Option<u64>,
    /// The epoch under which the timetable is being brought up to the file now.
    doing: Option<u64>,
    /// The leader's file, as it was last told that it differs.
    told: Option<TimetableFile>,
}

impl Filing {
    pub(super) fn of(filed: Option<Filed>) -> Self {
        Self { filed, ..Self::default() }
    }

    /// Brings the timetable up to the file soon, unless that was done under this epoch already.
    pub(super) fn hold_under(&mut self, epoch: u64) {
        if self.filed.is_some() && self.held != Some(epoch) {
            self.due = Some(Instant::now());
        }
    }

    /// Has all of it compared again: the store has forgotten things.
    pub(super) fn doubt(&mut self) {
        self.held = None;
        self.due = self.filed.as_ref().map(|_| Instant::now());
    }

    /// Returns when there is something to do.
    pub(super) fn wakes(&self) -> Option<Instant> {
        self.due.filter(|_| self.doing.is_none())
    }
}

/// Goes on with `job` as long as this beat leads under `epoch`: looked at before each step of it,
/// so that one that was stopped for a while changes nothing of what the next leader's file says.
async fn while_leading<T>(
    leadership: &Leadership,
    epoch: u64,
    mut job: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    poll_fn(|context| {
        if leadership.epoch() != Some(epoch) {
            return Poll::Ready(None);
        }
        job.as_mut().poll(context).map(Some)
    })
    .await
}

impl Run {
    /// Reads the file again, because somebody asked for it.
    pub(super) fn read_file_again(&mut self) {
        let Some(filed) = &self.filing.filed else {
            info!("this beat has no timetable file to read again");
            return self.teller.tell(&News::NoFile);
        };
        let path = filed.path().to_owned();
        let producer = self.gated.clone();
        self.jobs.start_blocking(move || Event::Reread(Filed::read(&path, &producer)));
    }

    /// Takes the file as it is now.
    pub(super) fn reread(&mut self, read: Result<Filed, FileError>) {
        match read {
            Ok(filed) => {
                info!(
                    { field::FILE } = filed.info().path,
                    { field::COUNT } = filed.schedules(),
                    "timetable file is read again"
                );
                if self.acting.is_none() {
                    self.teller.tell(&News::StandsBy { file: &filed });
                }
                self.filing.filed = Some(filed);
                self.filing.doubt();
                self.announcer.now();
            }
            Err(problem) => {
                error!({ field::ERROR } = %problem, "timetable file is not taken, and changes nothing");
                self.teller.tell(&News::Refused { why: &problem });
            }
        }
    }

    /// Brings the timetable up to the file, where this beat leads and it is time.
    pub(super) fn reconcile(&mut self) {
        let is_due = self.filing.wakes().is_some_and(|at| at <= Instant::now());
        let (true, Some(epoch), Some(filed)) = (is_due, self.acts(), &self.filing.filed) else {
            return;
        };
        let (filed, spawner) = (filed.clone(), self.jobs.spawner());
        // All of the timetable was read before this beat acted, so the store is not asked again; but
        // once it has written to it, what it remembers may be older than that.
        let is_first = self.filing.planned.replace(epoch) != Some(epoch);
        let known = is_first.then(|| self.roster.entries().map(Arc::clone).collect());
        let timetable = Timetable::new(self.gated.clone());
        (self.filing.doing, self.filing.due) = (Some(epoch), None);
        let leadership = self.leadership.clone();
        let plan = move |present: Vec<_>| {
            let filed = filed.clone();
            Background::blocking(&spawner, move || filed.plan(&present))
        };
        self.jobs.start(async move {
            let reconciled = pin!(timetable.carry_out(known, plan));
            let reconciled = while_leading(&leadership, epoch, reconciled);
            Event::Reconciled(match tokio::time::timeout(RECONCILE_WITHIN, reconciled).await {
                Ok(Some(done)) => done.map(Box::new).map_err(Unfiled::Failed),
                Ok(None) => Err(Unfiled::Overtaken),
                Err(_) => Err(Unfiled::Slow),
            })
        });
    }

    /// Tells what was changed, or tries again later.
    pub(super) fn reconciled(&mut self, reconciled: Reconciled) {
        let epoch = self.filing.doing.take();
        self.follower.look_now();
        match reconciled {
            Ok(done) => {
                let (plan, applied) = *done;
                // Asked for again meanwhile, it is another file, or another state of the store.
                self.filing.held = epoch.filter(|_| self.filing.due.is_none());
                self.tell_plan(&plan);
                for left in applied.left.iter().filter(|left| left.why == Reason::Lost) {
                    warn!({ field::SCHEDULE } = %left.name, "somebody else changes a schedule all the time, the file's word on it is left out");
                }
                if let Some(file) = &self.filing.filed {
                    self.teller.tell(&News::Holds { file, plan: &plan });
                }
            }
            Err(problem) => {
                warn!(
                    { field::ERROR } = %problem,
                    "failed to bring the timetable up to the file, trying again"
                );
                self.filing.due.get_or_insert(Instant::now() + AGAIN_AFTER);
            }
        }
    }

    /// A file may change a hundred thousand schedules: the life of a process is the last line, which
    /// counts them.
    fn tell_plan(&self, plan: &Plan) {
        if tracing::enabled!(tracing::Level::DEBUG) {
            for change in plan.steps.iter().flat_map(|step| step.describe()) {
                debug!({ field::CHANGE } = change, "timetable file");
            }
        }
        info!({ field::CHANGE } = plan.sum(), "timetable file");
    }

    /// Says aloud where the leader has another file than this beat: the leader's counts.
    pub(super) fn compare_files(&mut self, beats: &[BeatInfo]) {
        let leader =
            beats.iter().filter(|beat| beat.owner != self.owner).max_by_key(|beat| beat.leads);
        let Some(leader) = leader.filter(|beat| beat.leads.is_some()) else { return };
        let Some(filed) = &self.filing.filed else { return };
        let info = filed.info();
        let theirs = leader.file.clone();
        if self.acting.is_some()
            || theirs.as_ref().map(|file| file.fingerprint) == Some(info.fingerprint)
        {
            self.filing.told = None;
        } else if self.filing.told.as_ref() != theirs.as_ref().or(Some(info)) {
            let path = theirs.as_ref().map_or("none", |file| file.path.as_str());
            warn!(
                { field::FILE } = path,
                "the leading beat has another timetable file than this one, and the leader's counts; give both the same"
            );
            self.filing.told = theirs.or_else(|| Some(info.clone()));
        }
    }
}
