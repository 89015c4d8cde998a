//! A thread with a connection that only reads, beside the writer and never in its way.
//!
//! It sees what is committed and nothing else, so what it finds may be shown to anybody.

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::error::Failure;
use super::thread::Thread;

/// Questions that may wait; more wait in their callers.
const CHANNEL: usize = 256;

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// The way to a reading thread.
pub(super) struct Reader {
    questions: mpsc::Sender<Option<Question>>,
    // Dropped after `questions`, whose end ends the thread.
    _thread: Thread,
}

impl Reader {
    pub(super) fn start(name: &str, connection: Connection) -> std::io::Result<Self> {
        let (questions, mut incoming) = mpsc::channel::<Option<Question>>(CHANNEL);
        let thread = Thread::start(name, move || {
            while let Some(Some(question)) = incoming.blocking_recv() {
                question(&connection);
            }
        })?;
        Ok(Self { questions, _thread: thread })
    }

    /// Runs `ask` on the thread. It runs to its end also when the caller goes away.
    pub(super) async fn read<T, F>(&self, ask: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |connection| {
            // Nobody may wait any more.
            let _ = reply.send(ask(connection));
        });
        self.questions.send(Some(question)).await.map_err(|_| Failure::closed())?;
        answer.await.unwrap_or_else(|_| Err(Failure::closed()))
    }

    /// Runs `ask` on the thread, and blocks its caller until it is answered.
    #[cfg(feature = "testing")]
    pub(super) fn ask<T, F>(&self, ask: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        let question: Question = Box::new(move |connection| {
            // Nobody may wait any more.
            let _ = reply.send(ask(connection));
        });
        self.questions.try_send(Some(question)).map_err(|_| Failure::closed())?;
        answer.recv().unwrap_or_else(|_| Err(Failure::closed()))
    }

    /// Closes the connection after the questions already asked.
    pub(super) async fn close(&self) {
        // An error means that it is closed already.
        let _ = self.questions.send(None).await;
        self.questions.closed().await;
    }
}
