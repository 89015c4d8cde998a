//! Finds the frames of what comes in, and holds back those that may have to be rewritten.
//!
//! Bodies, and everything that the server says of itself, pass as they come. A content header and a
//! method that brings a message are held until they are whole: some hundred bytes each, as a rule.
//! Guards that no more than [`HELD_MOST`] is ever held.

use super::{header, method};

/// Octets of a frame before its payload: type, channel, size.
const HEAD: usize = 7;
/// The octet after a frame's payload.
const END: usize = 1;
/// What that is.
const FRAME_END: u8 = 0xCE;
/// Frame types.
const METHOD: u8 = 1;
const CONTENT_HEADER: u8 = 2;
/// What a server of another version answers with, in place of a frame: `AMQP`.
const NO_FRAME: u8 = b'A';
/// How much is read from the socket at once.
const READ: usize = 64 * 1024;
/// Largest frame that is held. The client reads a larger one before it refuses it, and the server cuts the
/// headers that it makes of a message of another protocol by no limit: of such headers only the start is
/// kept.
const HELD_MOST: usize = 1024 * 1024;
/// `connection.tune`: class 10, method 30.
const TUNE: [u8; 4] = [0, 10, 0, 30];
/// The smallest `frame_max` there is; the client takes no smaller one.
const FRAME_MIN: usize = 4_096;

/// Where in the stream of frames the next byte is.
enum Place {
    /// In a frame's first octets.
    Head,
    /// In so many octets that pass.
    Passing(usize),
    /// In a frame that is held until it has so many octets.
    Holding(usize),
    /// In the start of a content header that is too large; so many octets follow it.
    TooLarge(usize),
    /// In so many octets that nobody gets.
    Dropping(usize),
}

/// Takes bytes from the socket and gives those for the client.
pub(super) struct Sieve {
    place: Place,
    read: Vec<u8>,
    /// What of `read` was not looked at.
    unread: std::ops::Range<usize>,
    /// The frame that has begun and is not whole.
    held: Vec<u8>,
    /// Whole frames, and how much of them was given away.
    ready: (Vec<u8>, usize),
    /// The client's own wish for the largest frame, 0 for none.
    wanted: u32,
    /// The largest frame that the client takes.
    largest: usize,
}

impl Sieve {
    pub(super) fn new(wanted: u32) -> Self {
        Self {
            place: Place::Head,
            read: vec![0; READ],
            unread: 0..0,
            held: Vec::new(),
            ready: (Vec::new(), 0),
            wanted,
            largest: agreed(0, wanted),
        }
    }

    /// Returns where to put what is read; [`Self::give`] has to be exhausted before.
    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.read
    }

    /// Says how much was put there.
    pub(super) fn filled(&mut self, count: usize) {
        self.unread = 0..count.min(self.read.len());
    }

    /// Writes what the client may have; nothing when more has to be read first.
    pub(super) fn give(&mut self, out: &mut [u8]) -> usize {
        let mut given = 0;
        while given < out.len() {
            let (ready, at) = &mut self.ready;
            if *at < ready.len() {
                let count = copy(&ready[*at..], &mut out[given..]);
                *at += count;
                given += count;
                continue;
            }
            let rest = &self.read[self.unread.clone()];
            if rest.is_empty() {
                break;
            }
            match self.place {
                Place::Passing(left) => {
                    let count = copy(&rest[..left.min(rest.len())], &mut out[given..]);
                    self.unread.start += count;
                    given += count;
                    self.place = match left - count {
                        0 => Place::Head,
                        left => Place::Passing(left),
                    };
                }
                Place::Dropping(left) => {
                    let count = left.min(rest.len());
                    self.unread.start += count;
                    self.place = match left - count {
                        0 => Place::Head,
                        left => Place::Dropping(left),
                    };
                }
                Place::Head => self.gather(HEAD),
                Place::Holding(whole) => self.gather(whole),
                Place::TooLarge(_) => self.gather(HEAD + header::FIXED),
            }
        }
        given
    }

    /// Holds bytes until there are `whole` of them.
    fn gather(&mut self, whole: usize) {
        let rest = &self.read[self.unread.clone()];
        let count = rest.len().min(whole - self.held.len());
        self.held.extend_from_slice(&rest[..count]);
        self.unread.start += count;
        if self.held.len() == whole {
            match self.place {
                Place::Head => self.begin(),
                Place::TooLarge(left) => self.give_start(left),
                Place::Passing(_) | Place::Holding(_) | Place::Dropping(_) => self.release(),
            }
        }
    }

    /// Decides on a frame of which the first octets are there.
    fn begin(&mut self) {
        let size = self.held[3..].iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
        let rest = size.saturating_add(END);
        self.place = match self.held[0] {
            METHOD | CONTENT_HEADER if rest <= HELD_MOST => return self.hold(HEAD + rest),
            CONTENT_HEADER => {
                self.place = Place::TooLarge(rest - header::FIXED);
                return;
            }
            NO_FRAME => Place::Passing(usize::MAX),
            _ => Place::Passing(rest),
        };
        self.hand_over();
    }

    const fn hold(&mut self, whole: usize) {
        self.place = Place::Holding(whole);
    }

    /// Makes what is held the client's.
    fn hand_over(&mut self) {
        // The memory of what was handed over before is used again.
        std::mem::swap(&mut self.held, &mut self.ready.0);
        self.held.clear();
        self.ready.1 = 0;
    }

    /// Lets the start of a content header go, without all that follows.
    fn give_start(&mut self, left: usize) {
        self.place = Place::Dropping(left);
        let start = header::without_rest(&self.held[HEAD..], HELD_MOST);
        self.held.truncate(HEAD);
        self.held.extend_from_slice(&start);
        self.set_size(start.len());
        self.held.push(FRAME_END);
        self.hand_over();
    }

    fn set_size(&mut self, size: usize) {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.held[3..HEAD].copy_from_slice(&size.to_be_bytes());
    }

    /// Lets a frame go that is whole, rewritten where it must be.
    fn release(&mut self) {
        self.place = Place::Head;
        let payload = HEAD..self.held.len() - END;
        if self.held[0] == METHOD {
            let payload = &mut self.held[payload];
            if let Some(server) = tuned(payload) {
                self.largest = agreed(server, self.wanted);
            }
            method::mend(payload);
        } else if let Some(mended) =
            header::mended(&self.held[payload.clone()], self.largest.saturating_sub(HEAD + END))
        {
            let size = mended.len();
            self.held.splice(payload, mended);
            self.set_size(size);
        }
        self.hand_over();
    }
}

/// Copies as much as fits.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    to[..count].copy_from_slice(&from[..count]);
    count
}

/// Returns the server's largest frame, if this is where it says so.
fn tuned(payload: &[u8]) -> Option<u32> {
    let frame_max = payload.strip_prefix(&TUNE)?.get(2..6)?;
    Some(u32::from_be_bytes(frame_max.try_into().ok()?))
}

/// Returns the largest frame that both sides agree on, as the client does: 0 is no limit.
fn agreed(server: u32, client: u32) -> usize {
    let none = |size: u32| if size == 0 { u32::MAX } else { size };
    usize::try_from(none(server).min(none(client))).unwrap_or(usize::MAX).max(FRAME_MIN)
}
