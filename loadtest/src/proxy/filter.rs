//! What looks into the bytes that a server sends, where a protocol is known.

use bytes::BytesMut;

use super::Protocol;
use super::amqp::Confirms;
use super::fault::{Line, Towards};
use super::luck::Luck;
use super::resp::Replies;
use super::seen::Seen;

/// Decides what becomes of each frame or reply.
pub(super) trait Lots {
    /// Whether the next reply is lost.
    fn loses(&mut self) -> bool;

    /// How the next frame or reply is made unreadable, as one of [`WAYS`]; mostly not at all.
    fn garbles(&mut self) -> Option<usize>;
}

/// In how many ways a frame can be unreadable: by its type, its length, its end.
pub(super) const WAYS: usize = 3;
/// A type that neither protocol has.
pub(super) const NO_TYPE: u8 = 0x7F;

#[cfg(test)]
impl<F: FnMut() -> bool> Lots for F {
    fn loses(&mut self) -> bool {
        self()
    }

    fn garbles(&mut self) -> Option<usize> {
        None
    }
}

/// Lots by shares, drawn from the luck of the connection.
pub(super) struct Drawn<'a> {
    pub(super) luck: &'a mut Luck,
    pub(super) line: &'a Line,
}

impl Lots for Drawn<'_> {
    fn loses(&mut self) -> bool {
        self.luck.happens(self.line.replies_lost)
    }

    fn garbles(&mut self) -> Option<usize> {
        self.luck.happens(self.line.garbled).then(|| self.luck.way(WAYS))
    }
}

/// Follows one direction of a connection from its first byte.
pub(super) enum Filter {
    /// Lets everything pass.
    Nothing,
    /// Leaves confirms out.
    Confirms(Confirms),
    /// Finds the replies.
    Replies(Replies),
}

impl Filter {
    pub(super) fn new(speaks: Protocol, towards: Towards) -> Self {
        match (speaks, towards) {
            (Protocol::Amqp, Towards::Client) => Self::Confirms(Confirms::default()),
            (Protocol::Resp, Towards::Client) => Self::Replies(Replies::default()),
            (Protocol::Raw, _) | (_, Towards::Server) => Self::Nothing,
        }
    }

    /// Leaves in `bytes` what goes on; `lots` decide. True: the connection ends after it.
    pub(super) fn pass(
        &mut self,
        bytes: &mut BytesMut,
        lots: &mut impl Lots,
        seen: &mut Seen,
    ) -> bool {
        match self {
            Self::Nothing => false,
            Self::Confirms(confirms) => {
                let could_read = confirms.can_read();
                confirms.pass(bytes, lots, seen);
                seen.unread += u64::from(could_read && !confirms.can_read());
                false
            }
            Self::Replies(replies) => {
                let could_read = replies.can_read();
                let lost = replies.read(bytes, lots, seen);
                seen.unread += u64::from(could_read && !replies.can_read());
                if let Some(at) = lost {
                    bytes.truncate(at);
                    seen.replies_lost += 1;
                }
                lost.is_some()
            }
        }
    }

    /// Adds what was held back until more came: nothing does.
    pub(super) fn rest(&mut self, bytes: &mut BytesMut) {
        if let Self::Confirms(confirms) = self {
            confirms.rest(bytes);
        }
    }
}
