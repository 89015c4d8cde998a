//! One connection: reaches the server, carries both directions, and ends as the fault wants it.

use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Link;
use super::fault::{Blow, Conditions, Towards};
use super::pump::{Broken, Pump};

/// A client's connection, with that to the server once there is one.
pub(super) struct Connection {
    link: Arc<Link>,
    number: u64,
    client: TcpStream,
    server: Option<TcpStream>,
    conditions: watch::Receiver<Conditions>,
}

impl Connection {
    pub(super) fn new(link: Arc<Link>, client: TcpStream, number: u64) -> Self {
        let conditions = link.conditions.subscribe();
        Self { link, number, client, server: None, conditions }
    }

    /// Carries it to its end, or until `shutdown`.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let born = *self.conditions.borrow();
        let mut conditions = self.conditions.clone();
        let blow = async move {
            // Fails only with the proxy, whose end `shutdown` tells of.
            let Ok(now) = conditions.wait_for(|now| now.blow_since(&born).is_some()).await else {
                return std::future::pending().await;
            };
            now.blow_since(&born).unwrap_or(Blow::Reset)
        };
        let ended = tokio::select! {
            biased;
            () = shutdown.cancelled() => Ended::Broken(Broken::Reset),
            blow = blow => Ended::Struck(blow),
            carried = self.carry() => match carried {
                Ok(()) => return,
                Err(broken) => Ended::Broken(broken),
            },
        };
        match ended {
            Ended::Broken(Broken::ReplyLost) => {}
            Ended::Broken(Broken::Reset) => self.reset(),
            Ended::Struck(Blow::Reset) => {
                self.link.note(|seen| seen.reset += 1);
                self.reset();
            }
            Ended::Struck(Blow::Orphaned) => {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = self.orphaned(born) => {}
                }
                self.reset();
            }
        }
    }

    /// Carries both directions until both have ended.
    async fn carry(&mut self) -> Result<(), Broken> {
        // Who is silenced does not even reach the server.
        let mut conditions = self.conditions.clone();
        let is_open = |now: &Conditions| !now.line(Towards::Server).is_silent;
        if !is_open(&conditions.borrow()) {
            self.link.note(|seen| seen.withheld += 1);
        }
        if conditions.wait_for(is_open).await.is_err() {
            return Err(Broken::Reset);
        }
        let Ok(server) = TcpStream::connect(self.link.to).await else {
            self.link.note(|seen| seen.unreached += 1);
            return Err(Broken::Reset);
        };
        let _ = server.set_nodelay(true);
        let _open = Open::new(&self.link);
        let (said, hears) = self.client.split();
        let (answers, asks) = self.server.insert(server).split();
        let pump = |towards| Pump::new(&self.link, self.conditions.clone(), self.number, towards);
        tokio::try_join!(
            pump(Towards::Server).run(said, asks),
            pump(Towards::Client).run(answers, hears)
        )?;
        Ok(())
    }

    /// Swallows what the client says, until it goes away or is reset.
    async fn orphaned(&mut self, born: Conditions) {
        drop(self.server.take());
        self.link.note(|seen| seen.half_opened += 1);
        let mut swallowed = vec![0; 64 * 1024];
        let mut conditions = self.conditions.clone();
        let is_reset = |now: &Conditions| now.blow_since(&born) == Some(Blow::Reset);
        loop {
            tokio::select! {
                _ = conditions.wait_for(is_reset) => {
                    self.link.note(|seen| seen.reset += 1);
                    return;
                }
                read = self.client.read(&mut swallowed) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
            }
        }
    }

    /// Lets both ends be reset when they are dropped, as a router does that has forgotten them.
    fn reset(&self) {
        for stream in [Some(&self.client), self.server.as_ref()].into_iter().flatten() {
            // Fails only where there is nothing to be reset any more.
            let _ = stream.set_zero_linger();
        }
    }
}

/// Counts a connection for as long as it reaches the server.
struct Open(Arc<Link>);

impl Open {
    fn new(link: &Arc<Link>) -> Self {
        link.note(|seen| seen.open += 1);
        Self(link.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.note(|seen| seen.open -= 1);
    }
}

/// How a connection ended, other than by itself.
enum Ended {
    Broken(Broken),
    Struck(Blow),
}
