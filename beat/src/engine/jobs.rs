//! What runs beside the loop: each job is started here and ends as an event.
//!
//! The loop owns all state and waits for nothing but events, so that a slow broker or store holds up
//! only what asked it. Dropped, all jobs end where they are, as if the process was killed.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use leveret_common::spawn::Spawner;
use leveret_common::store::{Advanced, BeatInfo};
use tokio::task::JoinHandle;

use super::filed::{FileError, Filed};
use super::following::Page;
use super::looking::Seen;
use super::moving::Moves;
use super::overlap::Question;
use super::patience::Trouble;
use super::publisher::{Chunk, Sent};

/// What became of a job.
pub(super) enum Event {
    /// Somebody looked for changes of the timetable.
    Looked(Result<Seen, Trouble>),
    /// A page of the timetable was read.
    Read(Result<Page, Trouble>),
    /// A part of the timetable was written again; with the row to go on from, and the life of the
    /// timetable that it was written to.
    Restored(Result<(u32, Option<u64>), Trouble>),
    /// A chunk of occurrences was put in, or not.
    Sent(Chunk, Sent),
    /// The tasks of previous occurrences were looked up: whether each is over.
    Answered(Vec<Question>, Result<Vec<bool>, Trouble>),
    /// Positions were moved, or not.
    Moved(Moves, Result<Vec<Advanced>, Trouble>),
    /// The beat was announced; with the beats there are, where they were asked for.
    Announced(Result<Option<Vec<BeatInfo>>, Trouble>),
    /// The timetable file was read again.
    Reread(Result<Filed, FileError>),
    /// The timetable file was reconciled.
    Reconciled(super::filing::Reconciled),
}

/// The jobs that run.
#[derive(Default)]
pub(super) struct Jobs {
    spawner: Spawner,
    running: FuturesUnordered<Background<Event>>,
}

/// Something that runs beside its caller, and ends when this is dropped.
pub(super) struct Background<T>(JoinHandle<T>);

impl Jobs {
    /// Starts a job.
    pub(super) fn start(&self, job: impl Future<Output = Event> + Send + 'static) {
        self.running.push(Background::new(&self.spawner, job));
    }

    /// Starts a job that computes for long, where it holds up nothing else.
    pub(super) fn start_blocking(&self, job: impl FnOnce() -> Event + Send + 'static) {
        self.running.push(Background::blocking(&self.spawner, job));
    }

    /// Returns what starts a part of a job.
    pub(super) fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// Waits for the next job to end; for ever where none runs.
    ///
    /// # Cancel safety
    /// No event is lost.
    pub(super) async fn next(&mut self) -> Event {
        poll_fn(|context| match self.running.poll_next_unpin(context) {
            Poll::Ready(Some(event)) => Poll::Ready(event),
            // Whoever starts one asks again.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        })
        .await
    }
}

impl<T: Send + 'static> Background<T> {
    pub(super) fn new(spawner: &Spawner, future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(spawner.spawn(future))
    }

    /// Starts what computes for long.
    pub(super) fn blocking(spawner: &Spawner, part: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(spawner.spawn_blocking(part))
    }
}

impl<T> Future for Background<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(context).map(|ended| match ended {
            Ok(output) => output,
            // It is not aborted while somebody waits for it: it has panicked, and so must this.
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        })
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
