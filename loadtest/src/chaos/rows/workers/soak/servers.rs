//! Faults of the servers, and of the ways to them.

use std::time::Duration;

use leveret_common::clock::Millis;
use tokio::time::{Instant, sleep, timeout};

use super::super::super::declared;
use super::super::super::wait::SOON;
use super::Soak;
use crate::error::Error;
use crate::fleet::Fleet;
use crate::oracle::Event;
use crate::proxy::fault::Fault as Link;

/// How long a fault lasts that is no single blow.
const LASTS: Duration = Duration::from_secs(8);
/// How long a store may take to answer that does.
const ANSWERS: Duration = Duration::from_secs(2);
/// What a store may have lost that writes its file each second.
const UNWRITTEN: Duration = Duration::from_secs(2);

impl Soak {
    pub(super) async fn cut_connections(&mut self) -> Result<(), Error> {
        let (from, before) = (Fleet::now(), self.connections()?);
        self.stage.to_broker()?.cut();
        self.stage.to_store()?.cut();
        let to = Fleet::now();
        self.stage.note(Event::CutOff { pid: None, from, to });
        self.stage.note(Event::BrokerLost { from, to });
        let are_new = self.soon(|soak| {
            let (broker, store) = soak.connections()?;
            Ok(broker > before.0 && store > before.1)
        });
        let are_new = are_new.await?;
        self.stage.happened("nobody had to connect again", are_new)
    }

    pub(super) async fn slow_links(&mut self) -> Result<(), Error> {
        let before = self.delayed()?;
        let slow =
            || Link::Latency { mean: Duration::from_millis(60), jitter: Duration::from_millis(40) };
        self.stage.to_broker()?.set(slow());
        self.stage.to_store()?.set(slow());
        sleep(LASTS).await;
        let now = self.delayed()?;
        self.stage.to_broker()?.set(Link::None);
        self.stage.to_store()?.set(Link::None);
        self.stage.happened("a link was not slow", now.0 > before.0 && now.1 > before.1)
    }

    pub(super) async fn silence_store(&mut self) -> Result<(), Error> {
        let from = Fleet::now();
        self.stage.store()?.pause()?;
        let answered = timeout(ANSWERS, self.stage.store()?.ask(&["PING"])).await;
        let answered = answered.is_ok_and(|answer| answer.is_ok());
        sleep(LASTS.saturating_sub(ANSWERS)).await;
        self.stage.store()?.resume()?;
        self.stage.note(Event::CutOff { pid: None, from, to: Fleet::now() });
        self.stage.happened("the store answered", !answered)
    }

    pub(super) async fn wipe_store(&mut self) -> Result<(), Error> {
        let held = self.stage.store()?.ask(&["DBSIZE"]).await?.number();
        self.stage.happened("there was nothing to wipe", held > Some(0))?;
        self.stage.wipe().await
    }

    pub(super) async fn kill_store(&mut self) -> Result<(), Error> {
        let (from, before) = (Fleet::now(), self.stage.store()?.pid()?);
        self.stage.store()?.kill().await?;
        self.stage.store()?.start_again().await?;
        let (to, after) = (Fleet::now(), self.stage.store()?.pid()?);
        self.stage.note(Event::CutOff { pid: None, from, to });
        let unwritten = u64::try_from(UNWRITTEN.as_millis()).unwrap_or(u64::MAX);
        let from = Millis(from.0.saturating_sub(unwritten));
        self.stage.note(Event::RolledBack { from, to });
        self.stage.happened("the store was not killed", before != after)
    }

    pub(super) async fn kill_broker(&mut self) -> Result<(), Error> {
        declared::are_written(&mut self.stage).await?;
        let (from, before) = (Fleet::now(), self.stage.broker()?.pid()?);
        self.stage.broker()?.kill().await?;
        self.stage.broker()?.start_again().await?;
        self.stage.note(Event::BrokerLost { from, to: Fleet::now() });
        let after = self.stage.broker()?.pid()?;
        self.stage.happened("the broker was not killed", before != after)
    }

    /// Waits for `enough`, for as long as a step of a play may take.
    async fn soon(
        &self,
        mut enough: impl FnMut(&Self) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let began = Instant::now();
        while !enough(self)? {
            if began.elapsed() > SOON {
                return Ok(false);
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(true)
    }

    /// Returns how many connections were made to broker and store by now.
    fn connections(&self) -> Result<(u64, u64), Error> {
        let (broker, store) = (self.stage.to_broker()?.seen(), self.stage.to_store()?.seen());
        Ok((broker.connections, store.connections))
    }

    /// Returns how many pieces were late by now, on the ways to broker and store.
    fn delayed(&self) -> Result<(u64, u64), Error> {
        let (broker, store) = (self.stage.to_broker()?.seen(), self.stage.to_store()?.seen());
        Ok((broker.delayed, store.delayed))
    }
}
