//! A content header: the properties and headers of a message, left as they are where they can be read.
//!
//! Where not, the header is written anew without what is wrong, and says in `lv-unreadable` what that
//! was. Guards that what comes out can be read by the client: tables no deeper than [`MAX_NESTING`],
//! texts in UTF-8, types that it knows, and all of it in one frame.

use std::fmt::Write as _;

use crate::envelope::header::{self, MAX_NESTING};

/// Class, weight, and the body's size.
pub(super) const FIXED: usize = 12;
/// The bit of the headers among the flags.
const HEADERS: u16 = 1 << 13;
/// Longest text in `lv-unreadable`, in bytes.
const LONGEST_WHY: usize = 1_024;
/// The most that `lv-unreadable` takes, with its name, type and length.
const MARK: usize = 1 + header::UNREADABLE.len() + 5 + LONGEST_WHY;
/// Most bytes of a strange name that are shown.
const SHOWN: usize = 64;

/// How a property is written.
#[derive(Clone, Copy)]
enum Shape {
    /// A length in one octet, and text.
    Text,
    /// The headers.
    Table,
    /// So many octets.
    Octets(usize),
}

/// The properties in the order of their flags, from the highest.
const PROPERTIES: [(&str, Shape); 14] = [
    ("content_type", Shape::Text),
    ("content_encoding", Shape::Text),
    ("headers", Shape::Table),
    ("delivery_mode", Shape::Octets(1)),
    ("priority", Shape::Octets(1)),
    ("correlation_id", Shape::Text),
    ("reply_to", Shape::Text),
    ("expiration", Shape::Text),
    ("message_id", Shape::Text),
    ("timestamp", Shape::Octets(8)),
    ("type", Shape::Text),
    ("user_id", Shape::Text),
    ("app_id", Shape::Text),
    ("cluster_id", Shape::Text),
];

/// Returns the payload of a content header as the client can read it, in at most `largest` bytes;
/// nothing where it can read the one there is.
pub(super) fn mended(payload: &[u8], largest: usize) -> Option<Vec<u8>> {
    let (fixed, rest) = payload.split_at_checked(FIXED)?;
    let mut content = Content::read(Reader(rest));
    content.fit(largest);
    content.is_changed.then(|| content.write(fixed))
}

/// Returns a payload that begins as `fixed`, has none of the properties and headers, and says that they
/// were more than `most` bytes.
pub(super) fn without_rest(fixed: &[u8], most: usize) -> Vec<u8> {
    let mut content = Content::default();
    content.wrong(&format!("the properties and headers have more than {most} bytes"));
    content.write(fixed)
}

/// What can be read of a content header.
#[derive(Default)]
struct Content<'a> {
    /// The properties but the headers: the bit and the bytes of each.
    properties: Vec<(u16, &'a [u8])>,
    /// The headers: the name and the bytes of each.
    headers: Vec<(&'a [u8], &'a [u8])>,
    /// What is wrong with the others, for a person.
    why: String,
    is_changed: bool,
}

impl<'a> Content<'a> {
    fn read(mut rest: Reader<'a>) -> Self {
        let mut content = Self::default();
        let flags = rest.number(2);
        if flags.is_none_or(|flags| flags & 0b11 != 0) {
            content.wrong("the properties have no flags that can be read");
        }
        let flags = flags.unwrap_or_default();
        for ((name, shape), bit) in PROPERTIES.iter().zip((0..16).rev().map(|place| 1_u16 << place))
        {
            if flags & usize::from(bit) == 0 {
                continue;
            }
            let before = rest;
            let Some(value) = rest.property(*shape) else {
                content.wrong(&format!("property {name} is cut short"));
                return content;
            };
            match shape {
                Shape::Table => content.read_headers(Reader(value)),
                Shape::Text if std::str::from_utf8(value).is_err() => {
                    content.wrong(&format!("property {name} is no UTF-8: {}", shown(value)));
                }
                Shape::Text | Shape::Octets(_) => {
                    content.properties.push((bit, before.until(rest)));
                }
            }
        }
        if !rest.is_empty() {
            content.wrong("more follows the properties");
        }
        content
    }

    fn read_headers(&mut self, mut rest: Reader<'a>) {
        while !rest.is_empty() {
            let before = rest;
            let Some(name) = rest.text() else {
                return self.wrong("the headers are cut short");
            };
            let Some(value) = rest.value() else {
                return self.wrong(&format!(
                    "header {} is cut short, or of a type that does not exist",
                    shown(name)
                ));
            };
            if std::str::from_utf8(name).is_err() {
                self.wrong(&format!("the name of a header is no UTF-8: {}", shown(name)));
            } else if let Some(fault) = fault_in(value, 1) {
                self.wrong(&format!("header {} {fault}", shown(name)));
            } else {
                self.headers.push((name, before.until(rest)));
            }
        }
    }

    fn wrong(&mut self, what: &str) {
        self.is_changed = true;
        if self.why.len() < LONGEST_WHY {
            self.why.push_str(if self.why.is_empty() { "" } else { "; " });
            self.why.push_str(what);
        }
    }

    /// Leaves out the largest headers until the rest fits. Nothing is said of one that nobody reads.
    fn fit(&mut self, largest: usize) {
        let headers = self.headers.iter().map(|(_, entry)| entry.len());
        let properties = self.properties.iter().map(|(_, bytes)| bytes.len());
        let mut size = FIXED + 2 + 4 + headers.chain(properties).sum::<usize>();
        let marked = |size, content: &Self| size + if content.why.is_empty() { 0 } else { MARK };
        if marked(size, self) <= largest {
            return;
        }
        self.headers.sort_by_key(|(_, entry)| entry.len());
        while marked(size, self) > largest {
            let Some((name, entry)) = self.headers.pop() else { return };
            size -= entry.len();
            self.is_changed = true;
            let (name, len) = (String::from_utf8_lossy(name), entry.len());
            if name.starts_with("lv-") || header::KNOWN.contains(&&*name) {
                self.wrong(&format!("header {name} has {len} bytes, too many for a frame"));
            }
        }
    }

    fn write(mut self, fixed: &[u8]) -> Vec<u8> {
        let mut headers: Vec<u8> =
            self.headers.iter().flat_map(|(_, entry)| entry.iter().copied()).collect();
        if !self.why.is_empty() {
            let why = crate::envelope::cut(&self.why, LONGEST_WHY);
            put_text(&mut headers, header::UNREADABLE.as_bytes());
            headers.push(b'S');
            put_block(&mut headers, why.as_bytes());
        }
        self.properties.push((HEADERS, &[]));
        self.properties.sort_by_key(|(bit, _)| std::cmp::Reverse(*bit));
        let flags = self.properties.iter().fold(0, |flags, (bit, _)| flags | bit);
        let mut out = fixed.to_vec();
        out.extend_from_slice(&flags.to_be_bytes());
        for (bit, bytes) in self.properties {
            match bit {
                HEADERS => put_block(&mut out, &headers),
                _ => out.extend_from_slice(bytes),
            }
        }
        out
    }
}

/// Says what the client would fail on in a value: its type, and the bytes that follow.
fn fault_in((kind, content): (u8, &[u8]), depth: usize) -> Option<String> {
    let is_table = match kind {
        b'F' => true,
        b'A' => false,
        _ => return None,
    };
    if depth > MAX_NESTING {
        return Some(format!("is nested more than {MAX_NESTING} deep"));
    }
    let mut rest = Reader(content);
    while !rest.is_empty() {
        if is_table {
            match rest.text() {
                Some(name) if std::str::from_utf8(name).is_ok() => {}
                Some(name) => {
                    return Some(format!("holds a name that is no UTF-8: {}", shown(name)));
                }
                None => return Some("is cut short inside".to_owned()),
            }
        }
        let Some(value) = rest.value() else {
            return Some("holds what is cut short, or of a type that does not exist".to_owned());
        };
        if let Some(fault) = fault_in(value, depth + 1) {
            return Some(fault);
        }
    }
    None
}

/// Writes bytes for a person, on one line.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    // Writing to a String does not fail.
    let _ = write!(text, "{}", bytes[..bytes.len().min(SHOWN)].escape_ascii());
    text.push('"');
    text
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text);
}

fn put_block(out: &mut Vec<u8>, block: &[u8]) {
    out.extend_from_slice(&u32::try_from(block.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(block);
}

/// Reads from the front; nothing when there is too little.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Returns what a copy made before has and this one has not.
    fn until(self, after: Self) -> &'a [u8] {
        &self.0[..self.0.len() - after.0.len()]
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Reads an unsigned number of so many octets.
    fn number(&mut self, octets: usize) -> Option<usize> {
        Some(self.take(octets)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.number(1)?;
        self.take(len)
    }

    fn block(&mut self) -> Option<&'a [u8]> {
        let len = self.number(4)?;
        self.take(len)
    }

    fn property(&mut self, shape: Shape) -> Option<&'a [u8]> {
        match shape {
            Shape::Text => self.text(),
            Shape::Table => self.block(),
            Shape::Octets(count) => self.take(count),
        }
    }

    /// Reads a value of a table or array: its type, and the bytes that follow.
    fn value(&mut self) -> Option<(u8, &'a [u8])> {
        let [kind] = *self.take(1)? else { return None };
        let content = match kind {
            b'V' => &[],
            b't' | b'b' | b'B' => self.take(1)?,
            b's' | b'U' | b'u' => self.take(2)?,
            b'I' | b'i' | b'f' => self.take(4)?,
            b'D' => self.take(5)?,
            b'L' | b'l' | b'd' | b'T' => self.take(8)?,
            b'S' | b'x' | b'A' | b'F' => self.block()?,
            _ => return None,
        };
        Some((kind, content))
    }
}

#[cfg(test)]
mod tests;
