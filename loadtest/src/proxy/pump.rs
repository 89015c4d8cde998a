//! One direction of a connection.
//!
//! Guards the order of the bytes and that little of them waits here: while no room is left nothing is
//! read, so a slow reader slows its writer as without a proxy.

use std::io;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

use super::Link;
use super::fault::{Conditions, Line, Towards};
use super::filter::{Drawn, Filter};
use super::held::Held;
use super::luck::Luck;

/// What is read at once.
const READ: usize = 64 * 1024;

/// Why a direction ended before its bytes did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// One end broke; the other is to be told.
    Reset,
    /// A reply was lost, and its connection with it.
    ReplyLost,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Reset
    }
}

/// Carries what one side says to the other.
pub(super) struct Pump<'a> {
    link: &'a Link,
    conditions: watch::Receiver<Conditions>,
    towards: Towards,
    luck: Luck,
    filter: Filter,
    held: Held,
    /// Bytes until the next one that is spoiled, and for which rate that was drawn.
    spoils_in: Option<(u64, u64)>,
    /// What waited in this silence has been counted.
    withholds: bool,
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        link: &'a Link,
        conditions: watch::Receiver<Conditions>,
        connection: u64,
        towards: Towards,
    ) -> Self {
        Self {
            link,
            conditions,
            towards,
            luck: Luck::of(link.seed, connection, towards),
            filter: Filter::new(link.speaks, towards),
            held: Held::default(),
            spoils_in: None,
            withholds: false,
        }
    }

    /// Carries until `from` ends, and passes that on.
    pub(super) async fn run(
        mut self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
    ) -> Result<(), Broken> {
        let mut bytes = BytesMut::new();
        let mut is_over = false;
        loop {
            let line = self.conditions.borrow_and_update().line(self.towards);
            if line.is_silent {
                self.wait_in_silence(&mut from).await?;
                continue;
            }
            self.withholds = false;
            if is_over && self.held.is_empty() {
                to.shutdown().await?;
                return Ok(());
            }
            let room = if is_over { 0 } else { self.held.room(&line).min(READ) };
            let due = self.held.due();
            bytes.reserve(room);
            let mut into = (&mut bytes).limit(room);
            tokio::select! {
                biased;
                _ = self.conditions.changed() => {}
                () = until(due), if due.is_some() => self.send(&line, &mut to).await?,
                read = from.read_buf(&mut into), if room > 0 => {
                    is_over = read? == 0;
                    self.take(&line, &mut bytes, is_over, &mut to).await?;
                }
            }
        }
    }

    /// Waits for the silence to change, and sees whether it keeps anything from arriving.
    async fn wait_in_silence(&mut self, from: &mut ReadHalf<'_>) -> Result<(), Broken> {
        let mut first = [0];
        tokio::select! {
            changed = self.conditions.changed() => changed.map_err(|_| Broken::Reset),
            // The end of the connection is something as well, and an error is left for the reader.
            _ = from.peek(&mut first), if !self.withholds => {
                self.withholds = true;
                self.link.note(|seen| seen.withheld += 1);
                Ok(())
            }
        }
    }

    /// Takes what was read: through the filter, and on its way.
    async fn take(
        &mut self,
        line: &Line,
        bytes: &mut BytesMut,
        is_over: bool,
        to: &mut WriteHalf<'_>,
    ) -> Result<(), Broken> {
        let read = bytes.len() as u64;
        let mut loses_reply = false;
        self.link.note(|seen| {
            match self.towards {
                Towards::Server => seen.to_server += read,
                Towards::Client => seen.to_client += read,
            }
            let mut lots = Drawn { luck: &mut self.luck, line };
            loses_reply = self.filter.pass(bytes, &mut lots, seen);
        });
        if is_over {
            self.filter.rest(bytes);
        }
        if loses_reply {
            return self.lose_reply(bytes, to).await;
        }
        if let Some(one_in) = line.corrupt {
            self.spoil(bytes, one_in);
        }
        let is_plain = line.latency.is_none() && line.rate.is_none() && line.slice.is_none();
        if is_plain && self.held.is_empty() {
            to.write_all(bytes).await?;
            bytes.clear();
            return Ok(());
        }
        let late = line.latency.map_or(Duration::ZERO, |(mean, jitter)| {
            self.link.note(|seen| seen.delayed += 1);
            self.luck.around(mean, jitter)
        });
        self.held.push(bytes.split().freeze(), late);
        Ok(())
    }

    /// Sends what came before the lost reply at once, and ends the connection.
    async fn lose_reply(
        &mut self,
        before: &BytesMut,
        to: &mut WriteHalf<'_>,
    ) -> Result<(), Broken> {
        while let Some((piece, _)) = self.held.pop(&Line::default()) {
            to.write_all(&piece).await?;
        }
        to.write_all(before).await?;
        to.shutdown().await?;
        Err(Broken::ReplyLost)
    }

    /// Sends one piece of what is due.
    async fn send(&mut self, line: &Line, to: &mut WriteHalf<'_>) -> Result<(), Broken> {
        let Some((piece, is_cut)) = self.held.pop(line) else { return Ok(()) };
        to.write_all(&piece).await?;
        self.link.note(|seen| {
            seen.throttled += u64::from(line.rate.is_some() && self.held.due().is_some());
            seen.sliced += u64::from(line.slice.is_some() && is_cut);
        });
        if line.slice.is_some() {
            // So that the reader may see this piece alone.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Changes one byte in `one_in`, wherever in the stream it falls.
    fn spoil(&mut self, bytes: &mut BytesMut, one_in: u64) {
        let mut gap = match self.spoils_in {
            Some((gap, rate)) if rate == one_in => gap,
            _ => self.luck.gap(one_in),
        };
        let mut rest = &mut bytes[..];
        loop {
            let at = usize::try_from(gap - 1).unwrap_or(usize::MAX);
            if at >= rest.len() {
                break;
            }
            let (before, after) = rest.split_at_mut(at + 1);
            before[at] = self.luck.spoil(before[at]);
            rest = after;
            gap = self.luck.gap(one_in);
            self.link.note(|seen| seen.corrupted += 1);
        }
        self.spoils_in = Some((gap - rest.len() as u64, one_in));
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
