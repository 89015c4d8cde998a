//! One held connection that mends itself behind its users.
//!
//! Responsible for bounding every round trip by the response timeout, for failing at once while
//! the server is away, and for connecting again in the background. Not for what is sent.
//!
//! A connection that broke is replaced. One that merely did not answer in time is asked with a
//! `PING` first: replacing it at once would let the old connection's late requests overtake newer
//! ones. And once a second a word of ours has to be said back: a connection on which a reply was
//! swallowed would answer each request with the reply to another. The mending task exists only while
//! there is something to mend, so that a drain never waits for it and a store that comes back during
//! the drain is still used.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use deadpool_redis::redis::{
    AsyncConnectionConfig, Cmd, Pipeline, PushInfo, PushKind, RedisError, RedisResult, Value,
};

use super::fault::{Endpoint, Fault};
use super::way::{Way, Wire, Word};
use crate::spawn::Spawner;
use crate::store::{StoreError, StoreErrorKind};

/// First wait between two attempts to connect; doubled up to [`LAST_WAIT`], with jitter.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// Longest wait between two attempts to connect.
const LAST_WAIT: Duration = Duration::from_secs(2);
/// How often, while there is traffic, an answer has to be that to our own request.
const IN_STEP_EVERY: Duration = Duration::from_secs(1);
/// Requests that may wait in the client for their turn to be written.
const WRITE_QUEUE: usize = 256;

/// How long to wait, at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the answer to one round trip.
    pub(super) response: Duration,
    /// For a connection with its handshake, and for a sign of life of a silent one.
    pub(super) connect: Duration,
}

/// A connection to a store: to one server, or to all of a cluster.
#[derive(Debug)]
pub(super) struct Link {
    way: Way,
    endpoint: Endpoint,
    patience: Patience,
    spawner: Spawner,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    health: Health,
    /// Grows with each connection; news of an older one are ignored.
    generation: u64,
    /// Whether the mending task exists.
    mending: bool,
    /// When it was last asked for a word of ours.
    in_step_at: Instant,
}

#[derive(Debug)]
enum Health {
    Up(Wire),
    /// An answer is overdue.
    Silent(Wire),
    Down(Fault),
}

impl Link {
    /// Opens the first connection behind its users' backs: what is not there yet is no failure.
    pub(super) fn open_later(
        way: Way,
        endpoint: Endpoint,
        patience: Patience,
        spawner: &Spawner,
    ) -> Arc<Self> {
        let link = Self::unconnected(way, endpoint, patience, spawner.clone());
        link.mend();
        link
    }

    /// Opens the first connection.
    pub(super) async fn open(
        way: Way,
        endpoint: Endpoint,
        patience: Patience,
        spawner: Spawner,
    ) -> Result<Arc<Self>, Fault> {
        let link = Self::unconnected(way, endpoint, patience, spawner);
        link.connect().await?;
        Ok(link)
    }

    fn unconnected(
        way: Way,
        endpoint: Endpoint,
        patience: Patience,
        spawner: Spawner,
    ) -> Arc<Self> {
        let health = Health::Down(endpoint.unconnected());
        let state = State { health, generation: 0, mending: false, in_step_at: Instant::now() };
        let state = Mutex::new(state);
        Arc::new(Self { way, endpoint, patience, spawner, state })
    }

    /// Sends the commands in one round trip and returns each one's own answer.
    pub(super) async fn run(
        self: &Arc<Self>,
        operation: &'static str,
        commands: &Pipeline,
    ) -> Result<Vec<RedisResult<Value>>, StoreError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let (mut wire, generation) = self.wire(operation)?;
        let word = self.word_is_due(&wire).then(Word::draw);
        let sent = match &word {
            None => wire.send(commands).await,
            Some(word) => wire.send(commands.clone().add_command(word.ping())).await,
        };
        // Errors of single commands are answers; only a broken round trip is an error here.
        match sent {
            Ok(mut answers) => {
                if let Some(word) = word
                    && !answers.pop().is_some_and(|answer| word.is_said_by(&answer))
                {
                    self.lost(generation, out_of_step());
                    return Err(self.endpoint.error(operation, out_of_step()));
                }
                let answers: Vec<_> = answers.into_iter().map(Value::extract_error).collect();
                if self.way.is_watched() && answers.iter().any(is_of_no_primary) {
                    self.lost(generation, demoted());
                }
                Ok(answers)
            }
            Err(error) => Err(self.broken(operation, generation, error)),
        }
    }

    /// Whether the next round trip has to show that answers are in step with requests. While there is
    /// traffic no answer is ever late, so silence would not tell. A cluster is many connections of its
    /// client's, of which one would speak for all.
    fn word_is_due(&self, wire: &Wire) -> bool {
        let mut state = self.state();
        let is_due = matches!(wire, Wire::One(_)) && state.in_step_at.elapsed() >= IN_STEP_EVERY;
        if is_due {
            state.in_step_at = Instant::now();
        }
        is_due
    }

    /// Sends one command that names no key to every server that has keys, and returns each one's
    /// answer, by its address where there are several.
    pub(super) async fn ask_each(
        self: &Arc<Self>,
        operation: &'static str,
        command: &Cmd,
    ) -> Result<Vec<(Option<String>, RedisResult<Value>)>, StoreError> {
        let (mut wire, generation) = self.wire(operation)?;
        wire.ask_each(command).await.map_err(|error| self.broken(operation, generation, error))
    }

    fn wire(self: &Arc<Self>, operation: &'static str) -> Result<(Wire, u64), StoreError> {
        self.current().map_err(|fault| {
            self.mend();
            self.endpoint.error(operation, fault)
        })
    }

    fn broken(
        self: &Arc<Self>,
        operation: &'static str,
        generation: u64,
        error: RedisError,
    ) -> StoreError {
        self.notice(generation, &error);
        self.endpoint.error(operation, Fault::of_trip(error, self.patience.response))
    }

    pub(super) const fn patience(&self) -> Patience {
        self.patience
    }

    fn current(&self) -> Result<(Wire, u64), Fault> {
        let state = self.state();
        match &state.health {
            Health::Up(wire) | Health::Silent(wire) => Ok((wire.clone(), state.generation)),
            Health::Down(fault) => Err(fault.clone()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws the conclusion from a failed round trip.
    fn notice(self: &Arc<Self>, generation: u64, error: &RedisError) {
        if error.is_timeout() {
            {
                let mut state = self.state();
                if let (Health::Up(wire), true) = (&state.health, state.generation == generation) {
                    state.health = Health::Silent(wire.clone());
                }
            }
            self.mend();
        } else if error.is_io_error() || error.is_unrecoverable_error() {
            self.lost(generation, Fault::of_trip(error.clone(), self.patience.response));
        }
    }

    fn lost(self: &Arc<Self>, generation: u64, fault: Fault) {
        {
            let mut state = self.state();
            if state.generation != generation || matches!(state.health, Health::Down(_)) {
                return;
            }
            tracing::warn!(endpoint = %self.endpoint, why = %fault.why, "store connection lost");
            state.health = Health::Down(Fault { kind: StoreErrorKind::Unavailable, ..fault });
        }
        self.mend();
    }

    /// Starts the mending task, unless it exists.
    fn mend(self: &Arc<Self>) {
        let mut state = self.state();
        if state.mending || matches!(state.health, Health::Up(_)) {
            return;
        }
        state.mending = true;
        drop(state);
        drop(self.spawner.spawn(mend(Arc::downgrade(self))));
    }

    async fn connect(self: &Arc<Self>) -> Result<(), Fault> {
        let generation = self.state().generation + 1;
        let weak = Arc::downgrade(self);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience.connect))
            .set_response_timeout(Some(self.patience.response))
            .set_pipeline_buffer_size(WRITE_QUEUE)
            .set_push_sender(move |news: PushInfo| {
                if news.kind == PushKind::Disconnection
                    && let Some(link) = weak.upgrade()
                {
                    link.lost(generation, closed());
                }
                Ok::<(), std::convert::Infallible>(())
            });
        let began = Instant::now();
        let wire = self
            .way
            .connect(config, self.patience)
            .await
            .map_err(|error| self.endpoint.unopened(error, began.elapsed()))?;
        let mut state = self.state();
        state.generation = generation;
        state.health = Health::Up(wire);
        Ok(())
    }

    /// Asks a silent connection for a sign of life.
    async fn probe(self: &Arc<Self>, mut wire: Wire, generation: u64) {
        match wire.is_in_step(self.patience.connect).await {
            Ok(true) => self.speaks(generation),
            Ok(false) => self.lost(generation, out_of_step()),
            Err(error) => {
                self.lost(generation, Fault::of_trip(error, self.patience.connect));
            }
        }
    }

    fn speaks(&self, generation: u64) {
        let mut state = self.state();
        if let (Health::Silent(wire), true) = (&state.health, state.generation == generation) {
            state.health = Health::Up(wire.clone());
        }
    }

    /// Returns what is to be mended; without any, the mending task is over.
    fn damage(&self) -> Option<Damage> {
        let mut state = self.state();
        match &state.health {
            Health::Silent(wire) => Some(Damage::Silent(wire.clone(), state.generation)),
            Health::Down(_) => Some(Damage::Down),
            Health::Up(_) => {
                state.mending = false;
                None
            }
        }
    }
}

enum Damage {
    Silent(Wire, u64),
    Down,
}

/// Mends until the link is whole or gone. During a shutdown one attempt is all: the next request
/// asks for the next one.
async fn mend(link: Weak<Link>) {
    let mut waits = waits();
    loop {
        let Some(link) = link.upgrade() else { return };
        match link.damage() {
            None => return,
            Some(Damage::Silent(wire, generation)) => {
                link.probe(wire, generation).await;
                continue;
            }
            Some(Damage::Down) => {}
        }
        match link.connect().await {
            Ok(()) => {
                tracing::info!(endpoint = %link.endpoint, "store connection regained");
                continue;
            }
            Err(fault) => link.state().health = Health::Down(fault),
        }
        let shutdown = link.spawner.shutdown_signal();
        if shutdown.is_cancelled() {
            link.state().mending = false;
            return;
        }
        // The link may go while this task waits: only the weak reference is kept.
        drop(link);
        let wait = waits.next().unwrap_or(LAST_WAIT);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

fn waits() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LAST_WAIT)
        .with_jitter()
        .without_max_times()
        .build()
}

/// Tells whether a server answers that it is the primary no more, or may not act as one.
fn is_of_no_primary(answer: &RedisResult<Value>) -> bool {
    answer.as_ref().is_err_and(|error| matches!(error.code(), Some("READONLY" | "NOREPLICAS")))
}

fn demoted() -> Fault {
    Fault {
        kind: StoreErrorKind::Unavailable,
        why: "the server is not the primary any more; the sentinels are asked for the new one"
            .to_owned(),
        source: None,
    }
}

fn out_of_step() -> Fault {
    Fault {
        kind: StoreErrorKind::Unavailable,
        why: "the server's answers were out of step with our requests; the connection is opened again \
              by itself. If this happens again, look for what stands between: without TLS nothing \
              notices a damaged byte"
            .to_owned(),
        source: None,
    }
}

fn closed() -> Fault {
    Fault {
        kind: StoreErrorKind::Unavailable,
        why: "the server closed the connection; it is opened again by itself. If this lasts, see \
              whether Redis runs"
            .to_owned(),
        source: None,
    }
}
