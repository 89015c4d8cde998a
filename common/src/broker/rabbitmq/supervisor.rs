//! Keeps one connection: makes it again when it is lost, and numbers the generations.
//!
//! What runs on the connection watches [`State`] and starts anew with each generation; lapin's own
//! recovery stays off, because it would replay acks and consumers behind our back. Guards that at
//! any time at most one generation is current, and that generations never repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::StreamExt;
use lapin::Event;
use metrics::counter;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::connection::{Connected, REQUEST_DEADLINE, Role};
use super::endpoint::Endpoint;
use crate::spawn::Spawner;
use crate::telemetry::names;

/// Shortest and longest wait before the next try to connect.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often a connection is asked whether it lives, beside its own events.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How the connection is.
#[derive(Clone)]
pub(super) enum State {
    /// Lost; being made again. Says why.
    Down(Arc<str>),
    /// Up.
    Up(Link),
    /// Closed by us, for good.
    Closed,
}

/// A connection of one generation.
#[derive(Clone)]
pub(super) struct Link {
    /// Which one it is.
    pub(super) generation: u64,
    /// Why the server takes no publishes on it, where it takes none.
    blocked: Option<Arc<str>>,
    /// The connection.
    pub(super) connection: Arc<Connected>,
}

impl Link {
    /// Says why the server takes no publishes now, where it takes none.
    pub(super) fn blocked(&self) -> Option<Arc<str>> {
        let is_blocked = || self.connection.get().status().blocked();
        // The client knows a moment before its event is read.
        self.blocked.clone().or_else(|| is_blocked().then(|| Arc::from("an alarm")))
    }
}

/// Watches one connection and hands it out.
pub(super) struct Supervisor {
    state: watch::Receiver<State>,
}

impl Supervisor {
    /// Takes over a first connection and keeps it until `stop`.
    pub(super) fn start(
        endpoint: Endpoint,
        role: Role,
        first: Connected,
        tasks: &Spawner,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let generations = AtomicU64::new(1);
        let link = Link { generation: 1, blocked: None, connection: Arc::new(first) };
        let (tell, state) = watch::channel(State::Up(link.clone()));
        let keeper = Keeper { endpoint, role, generations, tell };
        tasks.spawn(async move { keeper.run(link, stop).await });
        Arc::new(Self { state })
    }

    /// Returns a view on the state, to be told of changes.
    pub(super) fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Waits for the connection until `deadline`; says why there is none.
    pub(super) async fn link(&self, deadline: Instant) -> Result<Link, String> {
        let mut state = self.state.clone();
        let found = timeout_at(deadline, state.wait_for(|state| !matches!(state, State::Down(_))));
        if let Ok(Ok(found)) = found.await {
            return match &*found {
                State::Up(link) => Ok(link.clone()),
                State::Down(why) => Err(why.to_string()),
                State::Closed => Err("the connection was closed".to_owned()),
            };
        }
        match &*self.state.borrow() {
            State::Down(why) => Err(why.to_string()),
            State::Up(_) | State::Closed => Err("the connection was closed".to_owned()),
        }
    }
}

struct Keeper {
    endpoint: Endpoint,
    role: Role,
    generations: AtomicU64,
    tell: watch::Sender<State>,
}

impl Keeper {
    async fn run(self, mut link: Link, stop: CancellationToken) {
        loop {
            let lost = tokio::select! {
                why = self.serve(&link) => why,
                () = stop.cancelled() => break,
            };
            tracing::warn!(
                endpoint = %self.endpoint,
                operation = self.role.as_str(),
                generation = link.generation,
                error = %lost,
                "lost the connection to the broker"
            );
            self.tell.send_replace(State::Down(format!("the connection was lost: {lost}").into()));
            link.connection.close().await;
            link = tokio::select! {
                link = self.again() => link,
                () = stop.cancelled() => {
                    self.tell.send_replace(State::Closed);
                    return;
                }
            };
            counter!(names::BROKER_RECONNECTS, names::label::CONNECTION => self.role.as_str())
                .increment(1);
            tracing::info!(
                endpoint = %self.endpoint,
                operation = self.role.as_str(),
                generation = link.generation,
                "connected to the broker again"
            );
            self.tell.send_replace(State::Up(link.clone()));
        }
        self.tell.send_replace(State::Closed);
        link.connection.close().await;
    }

    /// Follows the connection's events until it is lost; says why.
    async fn serve(&self, link: &Link) -> String {
        let mut events = std::pin::pin!(link.connection.get().events_listener());
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut unanswered = std::pin::pin!(self.unanswered(link));
        let mut last = "the server closed it or cannot be reached".to_owned();
        let mut blocked = None;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                _ = look.tick() => None,
                why = &mut unanswered => return why,
            };
            let now = match event {
                Some(Event::ConnectionBlocked(why)) => Some(why),
                Some(Event::ConnectionUnblocked) => None,
                Some(Event::Error(error)) => {
                    last = error.to_string();
                    blocked.clone()
                }
                // Channel errors and flow are their channels' matter.
                Some(_) => blocked.clone(),
                // An event that was sent before anybody listened is made up for: who believes in an
                // alarm that is over publishes nothing any more.
                None if link.connection.get().status().blocked() => {
                    blocked.clone().or_else(|| Some("an alarm".to_owned()))
                }
                None => None,
            };
            if now != blocked {
                blocked.clone_from(&now);
                self.block(link, now);
            }
            if !link.connection.is_up() {
                return last;
            }
        }
    }

    /// Waits until the server leaves a question unanswered, although it is heard of.
    ///
    /// The client takes whatever bytes arrive for a sign of life. One damaged length, and it waits for the
    /// rest of a frame that never ends, while heartbeats go on arriving inside it.
    async fn unanswered(&self, link: &Link) -> String {
        let pause = self.endpoint.heartbeat();
        let patience = (2 * pause).max(REQUEST_DEADLINE);
        // Who is blocked is not listened to.
        let is_blocked = || link.connection.get().status().blocked();
        loop {
            tokio::time::sleep(pause).await;
            // A refusal is an answer, and a lost connection is seen by itself.
            if !is_blocked()
                && link.connection.answer(patience).await.is_none()
                && link.connection.is_up()
                && !is_blocked()
            {
                return format!("it is heard of, and answers nothing within {patience:?}");
            }
        }
    }

    fn block(&self, link: &Link, why: Option<String>) {
        match &why {
            Some(why) => tracing::warn!(
                endpoint = %self.endpoint,
                operation = self.role.as_str(),
                error = %why,
                "the broker blocks publishers"
            ),
            None => tracing::info!(
                endpoint = %self.endpoint,
                operation = self.role.as_str(),
                "the broker takes publishes again"
            ),
        }
        let link = Link { blocked: why.map(Into::into), ..link.clone() };
        self.tell.send_replace(State::Up(link));
    }

    /// Tries until there is a connection.
    async fn again(&self) -> Link {
        let (shortest, longest) = BACKOFF;
        let waits = ExponentialBuilder::default()
            .with_min_delay(shortest)
            .with_max_delay(longest)
            .with_jitter()
            .without_max_times()
            .build();
        for wait in waits {
            tokio::time::sleep(wait.min(longest)).await;
            match self.endpoint.connect(self.role).await {
                Ok(connection) => {
                    let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
                    return Link { generation, blocked: None, connection: Arc::new(connection) };
                }
                Err(error) => {
                    tracing::warn!(
                        operation = self.role.as_str(),
                        error = %error,
                        "failed to connect to the broker again"
                    );
                    self.tell.send_replace(State::Down(error.to_string().into()));
                }
            }
        }
        // `without_max_times` never ends; waiting to be stopped is right even if it did.
        std::future::pending().await
    }
}
