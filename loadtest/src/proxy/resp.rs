//! Finds where the replies of Redis begin in a stream of RESP 2 or 3, cut anywhere.
//!
//! It reads no more than the lengths. Pushes of RESP 3 answer nobody and are no replies.

use super::filter::{Lots, NO_TYPE};
use super::seen::Seen;

/// What a line may be long at most, where its number matters.
const DIGITS: u32 = 20;

/// Follows one stream.
#[derive(Debug, Default)]
pub(super) struct Replies {
    at: At,
    /// Elements that the reply still lacks; none between two replies.
    open: u64,
}

/// What the next byte is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    /// The type of an element.
    #[default]
    Type,
    /// In a line whose text does not matter.
    Text,
    /// In a line that says a length.
    Length { of: Counted, value: u64, digits: u32, is_null: bool },
    /// In so many bytes of a text and its line end.
    Bulk(u64),
    /// Nobody knows: this is not RESP.
    Lost,
}

/// What has a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Bulk,
    /// So many elements each.
    Elements(u64),
    /// Pairs that describe the element after them.
    Attribute,
}

impl Replies {
    /// Whether this has been RESP all the time.
    pub(super) fn can_read(&self) -> bool {
        self.at != At::Lost
    }

    /// Reads on. Stops at the beginning of a reply that is to be lost; returns where that is.
    pub(super) fn read(
        &mut self,
        bytes: &mut [u8],
        lots: &mut impl Lots,
        seen: &mut Seen,
    ) -> Option<usize> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            match self.at {
                At::Lost => return None,
                At::Type => {
                    let is_reply = self.open == 0 && byte != b'>';
                    self.open = self.open.max(1);
                    if is_reply {
                        seen.replies += 1;
                        if lots.loses() {
                            return Some(at);
                        }
                    }
                    self.at = typed(byte);
                    at += 1;
                    if is_reply && lots.garbles().is_some() {
                        seen.garbled += 1;
                        bytes[at - 1] = NO_TYPE;
                    }
                }
                At::Text => {
                    at = match bytes[at..].iter().position(|byte| *byte == b'\n') {
                        Some(end) => {
                            self.element_ends();
                            at + end + 1
                        }
                        None => bytes.len(),
                    };
                }
                At::Length { .. } => {
                    self.length(byte);
                    at += 1;
                }
                At::Bulk(left) => {
                    let here = left.min((bytes.len() - at) as u64);
                    at += usize::try_from(here).unwrap_or(usize::MAX);
                    if here == left { self.element_ends() } else { self.at = At::Bulk(left - here) }
                }
            }
        }
        None
    }

    fn element_ends(&mut self) {
        self.open -= 1;
        self.at = At::Type;
    }

    /// Reads a byte of a line that says a length.
    fn length(&mut self, byte: u8) {
        let At::Length { of, value, digits, is_null } = self.at else { return };
        self.at = match byte {
            b'0'..=b'9' if digits < DIGITS => At::Length {
                of,
                value: value.saturating_mul(10).saturating_add(u64::from(byte - b'0')),
                digits: digits + 1,
                is_null,
            },
            b'-' if digits == 0 && !is_null => At::Length { of, value, digits, is_null: true },
            b'\r' if digits > 0 => return,
            b'\n' if digits > 0 => return self.sized(of, if is_null { None } else { Some(value) }),
            _ => At::Lost,
        };
    }

    /// Goes on with what has this length; none is a null.
    fn sized(&mut self, of: Counted, length: Option<u64>) {
        let more = match (of, length) {
            (Counted::Bulk, Some(length)) => {
                self.at = At::Bulk(length.saturating_add(2));
                return;
            }
            (_, None) => 0,
            (Counted::Elements(each), Some(length)) => length.saturating_mul(each),
            // The element that it describes follows, and is the reply.
            (Counted::Attribute, Some(length)) => length.saturating_mul(2).saturating_add(1),
        };
        match self.open.checked_add(more) {
            Some(open) => {
                self.open = open;
                self.element_ends();
            }
            None => self.at = At::Lost,
        }
    }
}

const fn typed(byte: u8) -> At {
    let of = match byte {
        b'+' | b'-' | b':' | b'_' | b',' | b'(' | b'#' => return At::Text,
        b'$' | b'!' | b'=' => Counted::Bulk,
        b'*' | b'~' | b'>' => Counted::Elements(1),
        b'%' => Counted::Elements(2),
        b'|' => Counted::Attribute,
        _ => return At::Lost,
    };
    At::Length { of, value: 0, digits: 0, is_null: false }
}

#[cfg(test)]
#[path = "resp_tests.rs"]
mod tests;
