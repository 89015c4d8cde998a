//! What a service manager is told of a role, by the protocol of `sd_notify(3)`: that it is ready, how it
//! is, that it drains, and that it lives.
//!
//! Nothing is told where `NOTIFY_SOCKET` is not set. Guards that *ready* means what `/readyz` means, and
//! that whoever cannot answer `/livez` any more is not said to live: what watches runs on the role's own
//! threads and asks its door as a prober would, so a role that hangs falls silent and is started again. How
//! it is may take seconds to say, and holds up neither a sign of life nor the word that it drains.

use std::net::SocketAddr;
use std::time::Duration;

use leveret_common::config::environment;
use sd_notify::NotifyState;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::knock::{Heard, Knocker, Question};
use crate::probe::Readiness;

/// The variable that names the service manager's socket.
const SOCKET: &str = "NOTIFY_SOCKET";
/// How often a role that is not ready yet is looked at.
const SOON: Duration = Duration::from_millis(250);
/// How often one that was ready is looked at again, for the status line.
const LATER: Duration = Duration::from_secs(10);
/// How much longer than its grace a drain may take: what is cut has one more second, then all closes.
const MARGIN: Duration = Duration::from_secs(10);
/// How much more time a drain asks for at once, twice in it: the protocol holds no more than 71 minutes.
const EXTENSION: Duration = Duration::from_secs(60);

/// How a role is asked how it is.
pub(crate) enum Pulse {
    /// At its door.
    Door(SocketAddr, Knocker),
    /// By its own word, where its door is off.
    Word(Readiness),
}

impl Pulse {
    /// Takes the door, or the role's own word where there is none.
    pub(crate) fn of(door: Option<SocketAddr>, word: Readiness) -> Result<Self, Error> {
        match door {
            Some(door) => Self::at(door),
            None => Ok(Self::Word(word)),
        }
    }

    /// Takes a door.
    pub(crate) fn at(door: SocketAddr) -> Result<Self, Error> {
        Ok(Self::Door(door, Knocker::new()?))
    }

    async fn ready(&self) -> Result<String, String> {
        match self {
            Self::Door(door, knocker) => said(knocker.ask(*door, Question::Ready).await),
            Self::Word(readiness) => readiness(),
        }
    }

    /// Whoever gives its own word proves by being asked that its threads are not stuck.
    async fn is_alive(&self) -> bool {
        match self {
            Self::Door(door, knocker) => said(knocker.ask(*door, Question::Live).await).is_ok(),
            Self::Word(_) => true,
        }
    }
}

fn said(heard: Heard) -> Result<String, String> {
    match heard {
        Heard::Yes(said) => Ok(said),
        Heard::No(why) | Heard::Silence(why) => Err(why),
        Heard::Nobody => Err("its door does not answer".to_owned()),
    }
}

/// Tells the service manager about a role until `over` is cancelled; `stop` begins its drain, which takes
/// `grace` at most.
///
/// # Cancel safety
/// Dropped, nothing more is told.
pub(crate) async fn keep_told(
    pulse: Pulse,
    grace: Duration,
    stop: CancellationToken,
    over: CancellationToken,
) {
    if is_asked_for() {
        let allowed = sd_notify::watchdog_enabled();
        watch(&pulse, allowed, stop, over, Teller::new(grace, tell)).await;
    }
}

/// Asks the role, and passes on what it says, until `over` is cancelled; `allowed` is how long the service
/// manager bears silence.
async fn watch(
    pulse: &Pulse,
    allowed: Option<Duration>,
    stop: CancellationToken,
    over: CancellationToken,
    mut teller: Teller<impl FnMut(&[NotifyState<'_>])>,
) {
    // Half of what the service manager allows, as its manual asks.
    let mut pings = interval(allowed.map_or(LATER, |allowed| (allowed / 2).max(SOON / 25)));
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_look = Instant::now();
    // Both are asked beside all else: a door may take seconds for either answer.
    let (mut readiness, mut life) = (None, None);
    loop {
        tokio::select! {
            biased;
            () = over.cancelled() => {
                // A drain that takes no time is told, too.
                if stop.is_cancelled() && !teller.is_stopping {
                    teller.stops();
                }
                return;
            }
            () = stop.cancelled(), if !teller.is_stopping => {
                // A door that closes for the drain says nothing of the role any more.
                (readiness, life) = (None, None);
                teller.stops();
            }
            _ = pings.tick(), if allowed.is_some() => {
                if teller.is_stopping {
                    teller.lives();
                } else if life.is_none() {
                    life = Some(Box::pin(pulse.is_alive()));
                }
            }
            is_alive = answer(&mut life) => {
                life = None;
                if is_alive {
                    teller.lives();
                }
            }
            () = sleep_until(teller.next_extension), if teller.is_stopping => teller.extends(Instant::now()),
            found = answer(&mut readiness) => {
                readiness = None;
                teller.looked(&found);
                next_look = Instant::now() + if teller.was_ready { LATER } else { SOON };
            }
            () = sleep_until(next_look), if !teller.is_stopping && readiness.is_none() => {
                readiness = Some(Box::pin(pulse.ready()));
            }
        }
    }
}

/// Waits for an answer, where something was asked.
async fn answer<F: Future + Unpin>(asked: &mut Option<F>) -> F::Output {
    match asked {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    }
}

/// Says that files are read again; [`reloaded`] has to follow.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        // Without the time a service manager would take it for a failure.
        Err(error) => tracing::debug!(error = %error, "failed to read the monotonic clock"),
    }
}

/// Says that files were read again, however that went: the process serves as before or better.
pub(crate) fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// What was told last, and how it is told.
struct Teller<T> {
    was_ready: bool,
    is_stopping: bool,
    status: String,
    grace: Duration,
    /// When the drain is over at the latest, and when it asks for more time.
    ends: Instant,
    next_extension: Instant,
    tell: T,
}

impl<T: FnMut(&[NotifyState<'_>])> Teller<T> {
    fn new(grace: Duration, tell: T) -> Self {
        let (ends, next_extension) = (Instant::now(), Instant::now());
        let (was_ready, is_stopping, status) = (false, false, String::new());
        Self { was_ready, is_stopping, status, grace, ends, next_extension, tell }
    }

    fn lives(&mut self) {
        (self.tell)(&[NotifyState::Watchdog]);
    }

    fn looked(&mut self, found: &Result<String, String>) {
        let status = match found {
            Ok(said) => said.clone(),
            Err(why) => format!("not ready: {why}"),
        };
        if found.is_ok() && !self.was_ready {
            self.was_ready = true;
            (self.tell)(&[NotifyState::Ready, NotifyState::Status(&line(&status))]);
        } else if status != self.status {
            (self.tell)(&[NotifyState::Status(&line(&status))]);
        }
        self.status = status;
    }

    fn stops(&mut self) {
        self.is_stopping = true;
        let now = Instant::now();
        self.ends = now + self.grace + MARGIN;
        (self.tell)(&[NotifyState::Stopping, NotifyState::Status("draining")]);
        self.extends(now);
    }

    /// Asks for what the drain may still take, a part at a time. Who drains for longer than it may asks
    /// for nothing more, and is ended.
    fn extends(&mut self, now: Instant) {
        let part = self.ends.saturating_duration_since(now).min(EXTENSION);
        self.next_extension = now + EXTENSION / 2;
        if let Ok(micros @ 1..) = u32::try_from(part.as_micros()) {
            (self.tell)(&[NotifyState::ExtendTimeoutUsec(micros)]);
        }
    }
}

/// The protocol has one assignment a line.
fn line(status: &str) -> String {
    status.replace(['\n', '\r'], " ")
}

fn is_asked_for() -> bool {
    environment::read().contains_key(SOCKET)
}

/// Nothing here may end a role: a service manager that is not told notices by itself.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %error, "failed to tell the service manager");
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use leveret_common::spawn::Spawner;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30);

    /// A door that says at once that it lives, and `ready` only when it is told to.
    async fn slow_door(spawner: &Spawner) -> (SocketAddr, CancellationToken) {
        let say = CancellationToken::new();
        let told = say.clone();
        let ready = move || {
            let told = told.clone();
            async move {
                told.cancelled().await;
                "ready"
            }
        };
        let routes = Router::new()
            .route("/livez", get(|| std::future::ready("alive")))
            .route("/readyz", get(ready));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        spawner.spawn(async move { axum::serve(listener, routes).await });
        (address, say)
    }

    #[tokio::test]
    async fn a_role_that_takes_long_to_say_how_it_is_is_said_to_live_meanwhile() {
        let spawner = Spawner::new();
        let (door, say) = slow_door(&spawner).await;
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        let (telling, mut told) = mpsc::channel(64);
        let teller = Teller::new(Duration::ZERO, move |states: &[NotifyState<'_>]| {
            let is_ping = matches!(states, [NotifyState::Watchdog]);
            // What comes when nobody counts any more is of no interest.
            let _ = telling.try_send(is_ping);
        });
        let pulse = Pulse::at(door).unwrap();
        let allowed = Some(Duration::from_millis(100));
        spawner.spawn({
            let (stop, over) = (stop.clone(), over.clone());
            async move { watch(&pulse, allowed, stop, over, teller).await }
        });
        for _ in 0..3 {
            let is_ping = timeout(DEADLINE, told.recv()).await.unwrap().unwrap();
            assert!(is_ping, "something else is told before the third sign of life");
        }
        say.cancel();
        while timeout(DEADLINE, told.recv()).await.unwrap().unwrap() {}
        over.cancel();
    }

    #[tokio::test]
    async fn a_drain_that_is_over_at_once_is_told() {
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        stop.cancel();
        over.cancel();
        let mut told = Vec::new();
        let teller = Teller::new(Duration::ZERO, |states: &[NotifyState<'_>]| {
            told.push(states.iter().any(|state| matches!(state, NotifyState::Stopping)));
        });
        let pulse = Pulse::Word(std::sync::Arc::new(|| Ok("ready".to_owned())));
        watch(&pulse, None, stop, over, teller).await;
        assert_eq!(told.first(), Some(&true), "{told:?}");
    }

    #[test]
    fn a_status_is_one_line_whatever_an_error_holds() {
        assert_eq!(line("store is away\nWATCHDOG=1\r\n"), "store is away WATCHDOG=1  ");
    }
}
