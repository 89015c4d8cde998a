//! What a service manager is told of a role, by the protocol of `sd_notify(3)`: that it is ready, how it
//! is, that it drains, and that it lives.
//!
//! Nothing is told where `NOTIFY_SOCKET` is not set. Guards that *ready* means what `/readyz` means, and
//! that whoever cannot answer `/livez` any more is not said to live: what watches runs on the role's own
//! threads and asks its door as a prober would, so a role that hangs falls silent and is started again.

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
    if !is_asked_for() {
        return;
    }
    // Half of what the service manager allows, as its manual asks.
    let allowed = sd_notify::watchdog_enabled();
    let mut pings = interval(allowed.map_or(LATER, |allowed| (allowed / 2).max(SOON / 25)));
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut teller = Teller::new();
    let mut next_look = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = over.cancelled() => return,
            () = stop.cancelled(), if !teller.is_stopping => teller.stops(grace),
            _ = pings.tick(), if allowed.is_some() => {
                // A door that closes for the drain says nothing of the role any more.
                if teller.is_stopping || pulse.is_alive().await {
                    tell(&[NotifyState::Watchdog]);
                }
            }
            () = sleep_until(teller.next_extension), if teller.is_stopping => teller.extends(Instant::now()),
            () = sleep_until(next_look), if !teller.is_stopping => {
                teller.looked(&pulse.ready().await);
                next_look = Instant::now() + if teller.was_ready { LATER } else { SOON };
            }
        }
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

/// What was told last.
struct Teller {
    was_ready: bool,
    is_stopping: bool,
    status: String,
    /// When the drain is over at the latest, and when it asks for more time.
    ends: Instant,
    next_extension: Instant,
}

impl Teller {
    fn new() -> Self {
        let (ends, next_extension) = (Instant::now(), Instant::now());
        Self { was_ready: false, is_stopping: false, status: String::new(), ends, next_extension }
    }

    fn looked(&mut self, found: &Result<String, String>) {
        let status = match found {
            Ok(said) => said.clone(),
            Err(why) => format!("not ready: {why}"),
        };
        if found.is_ok() && !self.was_ready {
            self.was_ready = true;
            tell(&[NotifyState::Ready, NotifyState::Status(&line(&status))]);
        } else if status != self.status {
            tell(&[NotifyState::Status(&line(&status))]);
        }
        self.status = status;
    }

    fn stops(&mut self, grace: Duration) {
        self.is_stopping = true;
        let now = Instant::now();
        self.ends = now + grace + MARGIN;
        tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
        self.extends(now);
    }

    /// Asks for what the drain may still take, a part at a time. Who drains for longer than it may asks
    /// for nothing more, and is ended.
    fn extends(&mut self, now: Instant) {
        let part = self.ends.saturating_duration_since(now).min(EXTENSION);
        self.next_extension = now + EXTENSION / 2;
        if let Ok(micros @ 1..) = u32::try_from(part.as_micros()) {
            tell(&[NotifyState::ExtendTimeoutUsec(micros)]);
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
    use super::*;

    #[test]
    fn a_status_is_one_line_whatever_an_error_holds() {
        assert_eq!(line("store is away\nWATCHDOG=1\r\n"), "store is away WATCHDOG=1  ");
    }
}
