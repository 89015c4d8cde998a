//! Filing: the timetable file is read, and the timetable brought to hold what it says.
//!
//! The leader's file counts. A beat that stands by reads its own all the same, so that a mistake in
//! it is known at once, and says so where the leader has another. A file that is wrong changes
//! nothing.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use leveret_common::schedule::Source;
use leveret_common::store::{BeatInfo, TimetableFile};
use leveret_common::telemetry::names::field;
use leveret_producer::Producer;
use tracing::{debug, error, info, warn};

use super::BeatError;
use super::jobs::Event;
use super::leader::Leadership;
use super::run::Run;
use crate::definition::Wanted;
use crate::timetable::{Applied, Plan, Reason, Timetable, TimetableError};

/// How long to wait before another try to bring the timetable up to the file.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Longer than bringing a hundred thousand schedules up takes.
const RECONCILE_WITHIN: Duration = Duration::from_secs(60);

/// A timetable file that was read and has nothing wrong with it.
#[derive(Debug, Clone)]
pub(super) struct Filed {
    pub(super) info: TimetableFile,
    wanted: Wanted,
}

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
    pub(super) path: Option<PathBuf>,
    pub(super) filed: Option<Filed>,
    /// When to bring the timetable up to the file; none where it is.
    pub(super) due: Option<Instant>,
    busy: bool,
    /// The leader's file, as it was last told that it differs.
    told: Option<TimetableFile>,
}

impl Filing {
    pub(super) fn of(path: PathBuf, filed: Filed) -> Self {
        Self { path: Some(path), filed: Some(filed), ..Self::default() }
    }

    /// Returns when there is something to do.
    pub(super) fn wakes(&self) -> Option<Instant> {
        self.due.filter(|_| !self.busy)
    }
}

/// Reads a timetable file.
pub(super) async fn read(path: &Path, producer: &Producer) -> Result<Filed, BeatError> {
    let failed = |source| BeatError::File { path: path.to_owned(), source };
    let text = tokio::fs::read_to_string(path).await.map_err(|error| failed(error.into()))?;
    let wanted = Wanted::from_toml(&text).checked(producer);
    if !wanted.flaws.is_empty() {
        return Err(failed(TimetableError::Flawed(wanted.flaws).into()));
    }
    let (path, fingerprint) = (path.display().to_string(), wanted.fingerprint());
    Ok(Filed { info: TimetableFile { path, fingerprint }, wanted })
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
        let Some(path) = self.filing.path.clone() else {
            return info!("this beat has no timetable file to read again");
        };
        let producer = self.gated.clone();
        self.jobs.start(async move { Event::Reread(read(&path, &producer).await) });
    }

    /// Takes the file as it is now.
    pub(super) fn reread(&mut self, read: Result<Filed, BeatError>) {
        match read {
            Ok(filed) => {
                info!(
                    { field::FILE } = filed.info.path,
                    { field::COUNT } = filed.wanted.schedules.len(),
                    "timetable file is read again"
                );
                self.filing.filed = Some(filed);
                self.filing.due = self.acting.map(|_| Instant::now());
                self.announcer.now();
            }
            Err(problem) => {
                error!({ field::ERROR } = %problem, "timetable file is not taken, and changes nothing");
            }
        }
    }

    /// Brings the timetable up to the file, where this beat leads and it is time.
    pub(super) fn reconcile(&mut self) {
        let is_due = self.filing.wakes().is_some_and(|at| at <= Instant::now());
        let (true, Some(epoch), Some(filed)) = (is_due, self.acts(), &self.filing.filed) else {
            return;
        };
        let source = Source::File { path: filed.info.path.clone() };
        let (wanted, timetable) = (filed.wanted.clone(), Timetable::new(self.gated.clone()));
        (self.filing.busy, self.filing.due) = (true, None);
        let leadership = self.leadership.clone();
        self.jobs.start(async move {
            let reconciled = pin!(timetable.reconcile(source, wanted));
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
        self.filing.busy = false;
        self.follower.look_now();
        match reconciled {
            Ok(done) => {
                let (plan, applied) = *done;
                // A file may change a hundred thousand schedules: the life of a process is the last
                // line, which counts them.
                let lines = plan.describe();
                if let Some((sum, changes)) = lines.split_last() {
                    for change in changes {
                        debug!({ field::CHANGE } = change, "timetable file");
                    }
                    info!({ field::CHANGE } = sum, "timetable file");
                }
                for left in applied.left.iter().filter(|left| left.why == Reason::Lost) {
                    warn!({ field::SCHEDULE } = %left.name, "somebody else changes a schedule all the time, the file's word on it is left out");
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

    /// Says aloud where the leader has another file than this beat: the leader's counts.
    pub(super) fn compare_files(&mut self, beats: &[BeatInfo]) {
        let leader =
            beats.iter().filter(|beat| beat.owner != self.owner).max_by_key(|beat| beat.leads);
        let Some(leader) = leader.filter(|beat| beat.leads.is_some()) else { return };
        let Some(Filed { info, .. }) = &self.filing.filed else { return };
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
