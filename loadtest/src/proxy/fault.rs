//! What can be wrong with a network, and what is wrong now.

use std::time::Duration;

/// Something that is wrong with the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every byte arrives later, in order: by `mean`, give or take up to `jitter`.
    Latency {
        /// How much later.
        mean: Duration,
        /// By how much that varies, at most.
        jitter: Duration,
    },
    /// Each connection carries so much, in each direction.
    Rate {
        /// Bytes in a second; at least one.
        bytes_per_second: u64,
    },
    /// Nothing arrives, not even the end of a connection; nobody is told. New connections are accepted and
    /// silent as well. What waits goes on when it is over, as after a partition.
    Blackhole,
    /// The connections that are open now are lost to the server, and their clients are not told: what
    /// they send goes nowhere, also after the network is healed. New connections are served.
    HalfOpen,
    /// Every connection is reset, those that are open and those that come.
    Reset,
    /// New connections are refused; those that are open go on.
    Refuse,
    /// Bytes arrive in small pieces.
    Slice {
        /// The size of a piece; at least one.
        bytes: usize,
    },
    /// Bytes arrive changed.
    Corrupt {
        /// One of so many, on average; at least one.
        one_in: u64,
    },
    /// What the server says cannot be read: a frame of AMQP has a type that does not exist, a length that no
    /// frame has, or another end; a reply of Redis has a type that does not exist. What they carry is not
    /// changed, and no reply is taken for another's, so nothing that can be read is wrong. A proxy that
    /// knows no protocol spoils nothing.
    Garble {
        /// Which share of frames or replies, from 0 to 1.
        share: f64,
    },
    /// What the server answers is lost after it did what was asked. For Redis: a reply is never sent, and
    /// its connection ends. For RabbitMQ: confirms are left out of the stream, and the connection goes
    /// on. A proxy that knows no protocol loses nothing.
    DropReplies {
        /// Which share of them, from 0 to 1.
        share: f64,
    },
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Towards {
    /// What clients say.
    Server,
    /// What the server says.
    Client,
}

impl Towards {
    /// Both directions.
    pub(super) const BOTH: [Self; 2] = [Self::Server, Self::Client];
}

/// What is wrong with one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Line {
    /// Mean and jitter.
    pub(super) latency: Option<(Duration, Duration)>,
    /// Bytes in a second.
    pub(super) rate: Option<u64>,
    /// The size of a piece.
    pub(super) slice: Option<usize>,
    /// One byte in so many.
    pub(super) corrupt: Option<u64>,
    /// Which share of the replies is lost.
    pub(super) replies_lost: f64,
    /// Which share of frames or replies cannot be read.
    pub(super) garbled: f64,
    /// Nothing arrives.
    pub(super) is_silent: bool,
}

/// What is wrong with the network now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Conditions {
    to_server: Line,
    to_client: Line,
    /// Nobody can connect.
    pub(super) refuses: bool,
    resets: bool,
    cuts: u64,
    orphanings: u64,
}

/// What befalls a connection as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    /// Both ends are told that it was reset.
    Reset,
    /// The server's end is gone, and the client is not told.
    Orphaned,
}

impl Conditions {
    /// Returns what is wrong with one direction.
    pub(super) const fn line(&self, towards: Towards) -> Line {
        match towards {
            Towards::Server => self.to_server,
            Towards::Client => self.to_client,
        }
    }

    /// Returns what has befallen a connection that was accepted when the conditions were `born`.
    pub(super) const fn blow_since(&self, born: &Self) -> Option<Blow> {
        if self.resets || self.cuts != born.cuts {
            Some(Blow::Reset)
        } else if self.orphanings != born.orphanings {
            Some(Blow::Orphaned)
        } else {
            None
        }
    }

    pub(super) fn heal(&mut self) {
        let Self { cuts, orphanings, .. } = *self;
        *self = Self { cuts, orphanings, ..Self::default() };
    }

    pub(super) fn heal_towards(&mut self, towards: Towards) {
        *self.line_mut(towards) = Line::default();
    }

    pub(super) fn cut(&mut self) {
        self.cuts += 1;
    }

    pub(super) fn apply(&mut self, fault: Fault, towards: &[Towards]) {
        match fault {
            Fault::Reset => self.resets = true,
            Fault::Refuse => self.refuses = true,
            Fault::HalfOpen => self.orphanings += 1,
            Fault::DropReplies { share } => self.to_client.replies_lost = share.clamp(0.0, 1.0),
            Fault::Garble { share } => self.to_client.garbled = share.clamp(0.0, 1.0),
            _ => {}
        }
        for towards in towards {
            let line = self.line_mut(*towards);
            match fault {
                Fault::Latency { mean, jitter } => line.latency = Some((mean, jitter)),
                Fault::Rate { bytes_per_second } => line.rate = Some(bytes_per_second.max(1)),
                Fault::Slice { bytes } => line.slice = Some(bytes.max(1)),
                Fault::Corrupt { one_in } => line.corrupt = Some(one_in.max(1)),
                Fault::Blackhole => line.is_silent = true,
                Fault::None
                | Fault::Reset
                | Fault::Refuse
                | Fault::HalfOpen
                | Fault::Garble { .. }
                | Fault::DropReplies { .. } => {}
            }
        }
    }

    const fn line_mut(&mut self, towards: Towards) -> &mut Line {
        match towards {
            Towards::Server => &mut self.to_server,
            Towards::Client => &mut self.to_client,
        }
    }
}
