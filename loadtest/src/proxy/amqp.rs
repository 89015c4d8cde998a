//! Leaves confirms out of what RabbitMQ sends, frame by frame, in a stream cut anywhere.
//!
//! A confirm of several tags, and one that comes after a lost one, would confirm what was lost: such a
//! frame is written anew as one frame for each tag that is not lost. A channel confirms once the broker
//! has agreed to it (`confirm.select-ok`), so a client that asks for no answer loses nothing.

use std::collections::{BTreeSet, HashMap};

use bytes::{Buf, BufMut, BytesMut};

use super::filter::{Lots, NO_TYPE};
use super::seen::Seen;

const METHOD: u8 = 1;
const LAST_TYPE: u8 = 8;
const FRAME_END: u8 = 0xCE;
/// Type, channel and size.
const HEAD: usize = 7;
/// A method's class and id.
const ID: usize = 4;
/// Class, id, tag and bits.
const ACK: usize = 13;
/// What one frame may confirm: far above any client's window.
const MOST_TAGS: u64 = 1 << 20;

const CHANNEL_OPEN_OK: u32 = 20 << 16 | 11;
const CHANNEL_CLOSE: u32 = 20 << 16 | 40;
const CHANNEL_CLOSE_OK: u32 = 20 << 16 | 41;
const BASIC_ACK: u32 = 60 << 16 | 80;
const BASIC_NACK: u32 = 60 << 16 | 120;
const CONFIRM_SELECT_OK: u32 = 85 << 16 | 11;

/// Follows what the broker says on one connection.
#[derive(Debug, Default)]
pub(super) struct Confirms {
    /// The beginning of a frame that is not known well enough yet.
    begun: BytesMut,
    /// Bytes of the frame before that are still to come, with its end.
    left: usize,
    /// Their end is to be another.
    spoils_end: bool,
    /// Channels in confirm mode.
    channels: HashMap<u16, Tags>,
    is_lost: bool,
}

/// The publishes of one channel.
#[derive(Debug, Default)]
struct Tags {
    /// All up to this one are settled.
    settled: u64,
    /// And these above it.
    above: BTreeSet<u64>,
    /// The client has not heard of all that is settled.
    has_lost: bool,
}

impl Confirms {
    /// Whether this has been AMQP all the time.
    pub(super) fn can_read(&self) -> bool {
        !self.is_lost
    }

    /// Leaves in `bytes` what goes on; `lots` decide on each confirm and each frame.
    pub(super) fn pass(&mut self, bytes: &mut BytesMut, lots: &mut impl Lots, seen: &mut Seen) {
        let mut read = std::mem::take(bytes);
        bytes.reserve(self.begun.len() + read.len());
        while !read.is_empty() && !self.is_lost {
            if self.left > 0 {
                self.skip(&mut read, bytes);
                continue;
            }
            let wanted = self.wanted();
            let more = wanted.saturating_sub(self.begun.len()).min(read.len());
            self.begun.put(read.split_to(more));
            if self.begun.len() < wanted {
                break;
            }
            if self.wanted() > wanted {
                continue;
            }
            self.decide(bytes, lots, seen);
        }
        if self.is_lost {
            bytes.put(self.begun.split());
        }
        bytes.put(read);
    }

    /// Adds what was held back.
    pub(super) fn rest(&mut self, bytes: &mut BytesMut) {
        bytes.put(self.begun.split());
    }

    /// Passes on what the current frame still has.
    fn skip(&mut self, read: &mut BytesMut, out: &mut BytesMut) {
        let mut passed = read.split_to(self.left.min(read.len()));
        self.left -= passed.len();
        self.end(&mut passed);
        out.put(passed);
    }

    /// Looks at the last byte of a frame that has all of them, or spoils it.
    fn end(&mut self, bytes: &mut BytesMut) {
        if self.left == 0
            && let Some(last) = bytes.last_mut()
        {
            self.is_lost = *last != FRAME_END;
            if std::mem::take(&mut self.spoils_end) {
                *last = 0;
            }
        }
    }

    /// Returns how much of the frame has to be there before anything is decided.
    fn wanted(&self) -> usize {
        let Some((kind, _, size)) = self.head() else { return HEAD };
        if kind != METHOD || size < ID {
            return HEAD;
        }
        match self.method() {
            None => HEAD + ID,
            Some(BASIC_ACK) if size == ACK => HEAD + ACK + 1,
            Some(BASIC_NACK) if size == ACK => HEAD + ACK,
            Some(_) => HEAD + ID,
        }
    }

    fn head(&self) -> Option<(u8, u16, usize)> {
        let mut head = self.begun.get(..HEAD)?;
        let (kind, channel) = (head.get_u8(), head.get_u16());
        Some((kind, channel, usize::try_from(head.get_u32()).ok()?))
    }

    fn method(&self) -> Option<u32> {
        Some(self.begun.get(HEAD..HEAD + ID)?.get_u32())
    }

    /// Passes on a frame's beginning, or what becomes of it.
    fn decide(&mut self, out: &mut BytesMut, lots: &mut impl Lots, seen: &mut Seen) {
        let Some((kind, channel, size)) = self.head() else { return };
        if kind == 0 || kind > LAST_TYPE {
            self.is_lost = true;
            return;
        }
        let method = if kind == METHOD && size >= ID { self.method() } else { None };
        match method {
            Some(CONFIRM_SELECT_OK) => {
                self.channels.insert(channel, Tags::default());
            }
            Some(CHANNEL_OPEN_OK | CHANNEL_CLOSE | CHANNEL_CLOSE_OK) => {
                self.channels.remove(&channel);
            }
            Some(BASIC_ACK | BASIC_NACK) if size == ACK => {
                if let Some(tags) = self.channels.get_mut(&channel) {
                    let mut said = &self.begun[HEAD + ID..];
                    let (tag, multiple) = (said.get_u64(), said.get_u8() & 1 == 1);
                    let is_ack = method == Some(BASIC_ACK);
                    match tags.settle(tag, multiple, is_ack, lots, seen) {
                        Settled::AsIs => {}
                        Settled::Only(heard) => {
                            for tag in heard {
                                put_ack(out, channel, tag);
                            }
                            self.begun.clear();
                            return;
                        }
                        Settled::Nonsense => {
                            self.is_lost = true;
                            return;
                        }
                    }
                }
            }
            _ => {}
        }
        let whole = HEAD + size + 1;
        let mut begun = self.begun.split();
        self.left = whole - begun.len();
        if let Some(way) = lots.garbles() {
            seen.garbled += 1;
            match way {
                0 => begun[0] = NO_TYPE,
                // Larger than any frame is.
                1 => begun[3] = NO_TYPE,
                _ => self.spoils_end = true,
            }
        }
        self.end(&mut begun);
        out.put(begun);
    }
}

/// What becomes of a frame that confirms.
enum Settled {
    AsIs,
    /// These tags are confirmed instead, each by itself.
    Only(Vec<u64>),
    /// No broker says so.
    Nonsense,
}

impl Tags {
    fn settle(
        &mut self,
        tag: u64,
        multiple: bool,
        is_ack: bool,
        lots: &mut impl Lots,
        seen: &mut Seen,
    ) -> Settled {
        if multiple && tag.saturating_sub(self.settled) > MOST_TAGS
            || self.above.len() as u64 > MOST_TAGS
        {
            return Settled::Nonsense;
        }
        let met: Vec<u64> = if multiple { self.settled + 1..=tag } else { tag..=tag }
            .filter(|tag| *tag > self.settled && !self.above.contains(tag))
            .collect();
        self.above.extend(&met);
        while self.above.remove(&(self.settled + 1)) {
            self.settled += 1;
        }
        if !is_ack {
            return Settled::AsIs;
        }
        let heard: Vec<u64> = met.iter().copied().filter(|_| !lots.loses()).collect();
        seen.confirms += met.len() as u64;
        seen.confirms_lost += (met.len() - heard.len()) as u64;
        self.has_lost |= heard.len() < met.len();
        // What was said before, or of several at once, could speak of a lost one.
        let is_known = multiple || met.is_empty();
        if heard.len() == met.len() && !(self.has_lost && is_known) {
            Settled::AsIs
        } else {
            Settled::Only(heard)
        }
    }
}

fn put_ack(out: &mut BytesMut, channel: u16, tag: u64) {
    out.put_u8(METHOD);
    out.put_u16(channel);
    out.put_u32(13);
    out.put_u32(BASIC_ACK);
    out.put_u64(tag);
    out.put_u8(0);
    out.put_u8(FRAME_END);
}

#[cfg(test)]
#[path = "amqp_tests.rs"]
mod tests;
