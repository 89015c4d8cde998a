//! Input that nobody means: messages that a publisher which keeps no rule can get past a broker.
//!
//! Each set says how its messages end. Who publishes them, and asks for their ends, is told what they are built
//! on: at least a kind.

use super::raw::{Properties, arrays, block, entry, tables};
use crate::envelope::header;

/// How deep a body is nested that is nested too deep, and how many keys one has that is not too wide.
const DEEP: usize = 100_000;
const WIDE: usize = 1_000_000;

/// Returns properties that a client cannot read as they are, each with what its dead letter says of it.
#[must_use]
pub fn unreadable(base: &Properties) -> Vec<(Properties, String)> {
    let deep = "is nested more than 32 deep";
    let with = |name: &[u8], value: &[u8]| base.clone().headers(&[entry(name, value)]);
    let mut cases = vec![
        (with(b"strange", &tables(5_000)), deep.to_owned()),
        (with(b"lv-strange", &arrays(5_000)), deep.to_owned()),
        (with(b"lv-tags", &tables(33)), deep.to_owned()),
        (with(b"\xfe", b"V"), "the name of a header is no UTF-8".to_owned()),
        (
            with(b"lv-tags", &block(b'F', &entry(b"\xfe", b"V"))),
            "a name that is no UTF-8".to_owned(),
        ),
    ];
    for name in [
        "content_type",
        "content_encoding",
        "correlation_id",
        "reply_to",
        "message_id",
        "type",
        "app_id",
        "cluster_id",
    ] {
        let why = format!("property {name} is no UTF-8: \"a\\xffb\"");
        cases.push((base.clone().text(name, b"a\xffb"), why));
    }
    cases
}

/// Returns a value of each type of a header, and more than one of those that are read.
#[must_use]
pub fn values() -> Vec<Vec<u8>> {
    let long = block(b'S', &[b'x'; 300]);
    let pairs = |value: &[u8]| block(b'F', &entry("a", value));
    let number = |kind: u8, octets: &[u8]| [&[kind], octets].concat();
    vec![
        b"V".to_vec(),
        number(b't', &[1]),
        number(b'b', &[0xff]),
        number(b'B', &[0xff]),
        number(b's', &[0xff; 2]),
        number(b'u', &[0xff; 2]),
        number(b'I', &[0x80, 0, 0, 0]),
        number(b'i', &[0xff; 4]),
        number(b'l', &[0xff; 8]),
        number(b'l', &i64::MAX.to_be_bytes()),
        number(b'L', &[0x80, 0, 0, 0, 0, 0, 0, 0]),
        number(b'f', &1.5_f32.to_be_bytes()),
        number(b'f', &3.0_f32.to_be_bytes()),
        number(b'd', &3.0_f64.to_be_bytes()),
        number(b'd', &f64::MAX.to_be_bytes()),
        number(b'D', &[0xff; 5]),
        number(b'T', &[0xff; 8]),
        number(b'T', &7_u64.to_be_bytes()),
        block(b'S', b""),
        block(b'S', b"x\0y"),
        block(b'S', b"7"),
        block(b'S', &[0xff, 0xfe]),
        block(b'x', b"bytes"),
        block(b'A', &[]),
        block(b'A', &block(b'S', b"x")),
        block(b'F', &[]),
        pairs(&block(b'S', b"x")),
        pairs(&block(b'S', b"\xff")),
        pairs(b"V"),
        pairs(&long),
        long,
    ]
}

/// Returns every header that is read, and a few that are not, with each of [`values`].
#[must_use]
pub fn every_type_in_every_header() -> Vec<(&'static str, Vec<u8>)> {
    let names = header::KNOWN.iter().chain(&["lv-of-tomorrow", "task", "eta", "x-death", "CC"]);
    let with_values = |name: &'static str| values().into_iter().map(move |value| (name, value));
    let all = names.flat_map(|name| with_values(name));
    // A value of these that is a list of texts is a list of more lanes to the broker.
    all.filter(|(name, value)| *name != "CC" || value[0] == b'A').collect()
}

/// Returns properties at their bounds and beyond: with those of the first list a task runs, those of the second are
/// malformed.
#[must_use]
pub fn out_of_bounds(base: &Properties) -> (Vec<Properties>, Vec<Properties>) {
    let long = "n".repeat(255);
    let of = || base.clone();
    let tag = |value: &[u8]| {
        let tags = block(b'F', &entry("tag", &block(b'S', value)));
        of().headers(&[entry(header::TAGS, &tags)])
    };
    let many = (0..33).map(|tag| entry(format!("t{tag}"), &block(b'S', b"x")));
    let many = block(b'F', &many.collect::<Vec<_>>().concat());
    let run = vec![
        of().octets("priority", &[255]),
        of().octets("timestamp", &[0xff; 8]),
        of().octets("delivery_mode", &[1]),
        of().text("correlation_id", "a\0b"),
        of().text("correlation_id", &long),
        of().text("reply_to", &long),
        of().text("expiration", "4294967295"),
        of().text("app_id", "\0"),
        of().text("cluster_id", &long),
        of().text("content_type", ""),
        tag(&[b'x'; 256]),
    ];
    let dead = vec![
        of().text("message_id", "a\0b"),
        of().text("message_id", &long),
        of().text("type", &long),
        of().text("content_type", "text/plain"),
        of().text("content_type", &long),
        of().text("content_encoding", "gzip"),
        tag(&[b'x'; 9_000]),
        of().headers(&[entry(header::TAGS, &many)]),
        of().headers(&[entry("lv-xx", &block(b'S', &[b'x'; 9_000]))]),
        Properties::default(),
    ];
    (run, dead)
}

/// Returns bodies that are no args.
#[must_use]
pub fn bodies() -> Vec<Vec<u8>> {
    let random: Vec<u8> = (0..=255_u8).map(|byte| byte.wrapping_mul(167) ^ 0x5a).collect();
    let deep = ["[".repeat(DEEP), "]".repeat(DEEP)].concat().into_bytes();
    let texts: [&[u8]; 8] = [
        b"",
        b"\0",
        b"{\"a\": [1, ",
        b"NaN",
        b"[Infinity]",
        b"\"\xff\xfe\"",
        b"\"\\ud800\"x",
        b"{} {}",
    ];
    texts.into_iter().map(<[u8]>::to_vec).chain([random, deep]).collect()
}

/// Returns args with a million keys, the first of which has a line of its own: they run.
#[must_use]
pub fn wide() -> Vec<u8> {
    let keys: Vec<String> = (0..WIDE).map(|key| format!("\"{key:x}\":0")).collect();
    format!("{{\n{}}}", keys.join(",")).into_bytes()
}
