//! What an attempt says of itself while it runs: how far it is, and what the next one needs to go on.
//!
//! Both are one record, so both are written in order and each time as a whole. Progress is written at most
//! once a second, behind the handler's back; a checkpoint at once, and the handler waits. Guards that an
//! older state never takes the place of a newer one: one write at a time, each with a turn of its own.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leveret_common::backend::Backend;
use leveret_common::clock::{Clock, Millis};
use leveret_common::envelope::Order;
use leveret_common::id::{Fence, TaskId};
use leveret_common::spawn::Spawner;
use leveret_common::store::{Interim, Records, StoreError};
use leveret_common::telemetry::names::field;
use tracing::debug;

use super::TaskError;

/// Largest checkpoint, in bytes of JSON; a larger one is a failure of class `checkpoint`.
pub const MAX_CHECKPOINT: usize = 64 * 1024;
/// Most bytes of a progress message; the rest is cut off.
const MAX_MESSAGE: usize = 1_024;
/// Progress is written no more often than this.
const PAUSE: Duration = Duration::from_secs(1);

/// The notebook of one attempt. Cheap to clone; clones write into the same one.
#[derive(Clone)]
pub struct Notebook(Arc<Inner>);

struct Inner {
    records: Arc<dyn Records>,
    clock: Arc<dyn Clock>,
    /// Handlers may report from threads that belong to no runtime.
    writers: Spawner,
    page: Mutex<Page>,
    /// Held from the look at the page to the answer of the store.
    writing: tokio::sync::Mutex<()>,
}

struct Page {
    interim: Interim,
    /// Something was said that is not written yet.
    is_changed: bool,
    /// Somebody writes what is said.
    is_followed: bool,
}

impl Notebook {
    /// Creates the empty notebook of an attempt; `writers` are started in its name.
    #[must_use]
    pub fn new(
        backend: &Backend,
        writers: Spawner,
        id: TaskId,
        order: Order,
        fence: Fence,
    ) -> Self {
        let interim = Interim {
            id,
            order,
            fence,
            turn: 0,
            at: Millis(0),
            percent: None,
            message: None,
            checkpoint: None,
        };
        let page = Mutex::new(Page { interim, is_changed: false, is_followed: false });
        let (records, clock) = (Arc::clone(&backend.records), Arc::clone(&backend.clock));
        let writing = tokio::sync::Mutex::new(());
        Self(Arc::new(Inner { records, clock, writers, page, writing }))
    }

    /// Notes how far the attempt is; what is absent stays as it was.
    pub(super) fn report(&self, percent: Option<u8>, message: Option<String>) {
        let mut page = self.page();
        if let Some(percent) = percent {
            page.interim.percent = Some(percent.min(100));
        }
        if let Some(message) = message {
            let ends = message.char_indices().map(|(at, letter)| at + letter.len_utf8());
            let end = ends.take_while(|end| *end <= MAX_MESSAGE).last().unwrap_or(0);
            page.interim.message = Some(message[..end].to_owned());
        }
        page.is_changed = true;
        if !std::mem::replace(&mut page.is_followed, true) {
            drop(page);
            let follower = self.clone();
            self.0.writers.spawn(async move { follower.follow().await });
        }
    }

    /// Notes what the next attempt needs, and waits until it is written.
    pub(super) async fn save(&self, checkpoint: String) -> Result<(), TaskError> {
        if checkpoint.len() > MAX_CHECKPOINT {
            let size = checkpoint.len();
            let why = format!(
                "the checkpoint has {size} bytes of JSON; at most {MAX_CHECKPOINT} are kept: store \
                 it elsewhere and save a reference"
            );
            return Err(TaskError::failed("checkpoint", why));
        }
        self.page().interim.checkpoint = Some(checkpoint);
        self.write().await.map_err(|error| TaskError::failed("checkpoint", error.to_string()))
    }

    /// Reads what an earlier attempt of the same replay saved, and keeps it until something else is
    /// saved.
    pub(super) async fn recall(&self) -> Result<Option<String>, TaskError> {
        let (id, replay) = {
            let page = self.page();
            (page.interim.id, page.interim.order.replay)
        };
        let said = self.0.records.last_said(&[id]).await;
        let said = said.map_err(|error| TaskError::failed("checkpoint", error.to_string()))?;
        let said = said.into_iter().next().flatten();
        let saved =
            said.filter(|said| said.order.replay == replay).and_then(|said| said.checkpoint);
        self.page().interim.checkpoint.clone_from(&saved);
        Ok(saved)
    }

    /// Writes what is reported until nothing more is.
    async fn follow(self) {
        loop {
            if let Err(error) = self.write().await {
                // Best effort, like all records; the next report tries again.
                debug!({ field::ERROR } = %error, "progress is not recorded");
            }
            tokio::time::sleep(PAUSE).await;
            let mut page = self.page();
            if !page.is_changed {
                page.is_followed = false;
                return;
            }
        }
    }

    async fn write(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.0.writing.lock().await;
        let interim = {
            let mut page = self.page();
            page.is_changed = false;
            page.interim.turn = page.interim.turn.saturating_add(1);
            page.interim.at = self.0.clock.now();
            page.interim.clone()
        };
        self.0.records.say(&[interim]).await
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        self.0.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Notebook {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was said may be large, and is nobody's business in a log.
        to.debug_struct("Notebook").field("task", &self.page().interim.id).finish_non_exhaustive()
    }
}
