//! What comes out of a content header, and that the client can read it, whatever went in.

use lapin::protocol::basic::{AMQPProperties, parse_properties};
use lapin::types::AMQPValue;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// As much as one frame of a server that was not set up otherwise holds.
const LARGEST: usize = 131_072 - 8;

fn payload(flags: u16, properties: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    payload.extend_from_slice(&flags.to_be_bytes());
    payload.extend_from_slice(properties);
    payload
}

fn with_headers(table: &[u8]) -> Vec<u8> {
    let mut properties = Vec::new();
    put_block(&mut properties, table);
    put_text(&mut properties, b"demo.echo");
    payload(HEADERS | 1 << 5, &properties)
}

fn entry(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut entry = Vec::new();
    put_text(&mut entry, name);
    entry.extend_from_slice(value);
    entry
}

fn block(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut value = vec![kind];
    put_block(&mut value, content);
    value
}

fn tables(depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inside, _| entry(b"n", &block(b'F', &inside)))
}

fn arrays(depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inside, _| block(b'A', &inside))
}

/// Reads what comes out as the client does.
fn read(payload: &[u8], largest: usize) -> (AMQPProperties, usize) {
    let out = mended(payload, largest).unwrap_or_else(|| payload.to_vec());
    assert_eq!(out[..FIXED], payload[..FIXED]);
    let (rest, properties) = parse_properties(&out[FIXED..]).expect("the client can read it");
    assert!(rest.is_empty(), "more follows: {rest:?}");
    (properties, out.len())
}

fn why(properties: &AMQPProperties) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(header::UNREADABLE)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_client_can_read_is_left_as_it_is() {
    for readable in [
        payload(0, &[]),
        with_headers(&[]),
        with_headers(&tables(MAX_NESTING)),
        with_headers(&entry(b"n", &arrays(MAX_NESTING))),
        with_headers(&entry(b"bytes", &block(b'S', &[0xff, 0]))),
        with_headers(&entry("grüße".as_bytes(), b"V")),
    ] {
        assert_eq!(mended(&readable, LARGEST), None);
        assert_eq!(why(&read(&readable, LARGEST).0), None);
    }
}

#[test]
fn a_header_nested_too_deep_is_left_out_and_named_and_its_neighbours_stay() {
    for deep in [
        tables(MAX_NESTING + 1),
        tables(20_000),
        entry(b"n", &arrays(MAX_NESTING + 1)),
        entry(b"n", &arrays(26_000)),
    ] {
        let table = [entry(b"lv-key", &block(b'S', b"k")), deep, entry(b"lv-v", b"b\x01")].concat();
        let (properties, _) = read(&with_headers(&table), LARGEST);
        assert_eq!(why(&properties).unwrap(), "header \"n\" is nested more than 32 deep");
        let headers = properties.headers().clone().unwrap();
        assert_eq!(headers.inner().len(), 3, "{headers:?}");
        assert_eq!(properties.kind().as_ref().unwrap().as_str(), "demo.echo");
    }
}

#[test]
fn a_text_that_is_no_utf_8_is_left_out_and_shown() {
    for (at, (name, _)) in
        PROPERTIES.iter().enumerate().filter(|(_, (_, shape))| matches!(shape, Shape::Text))
    {
        let mut text = Vec::new();
        put_text(&mut text, b"a\xff");
        let (properties, _) = read(&payload(1 << (15 - at), &text), LARGEST);
        assert_eq!(why(&properties).unwrap(), format!("property {name} is no UTF-8: \"a\\xff\""));
    }
    let names = [
        (entry(b"\xfe", b"V"), "the name of a header is no UTF-8: \"\\xfe\""),
        (
            entry(b"lv-tags", &block(b'F', &entry(b"\xfe", b"V"))),
            "header \"lv-tags\" holds a name that is no UTF-8: \"\\xfe\"",
        ),
    ];
    for (table, said) in names {
        assert_eq!(why(&read(&with_headers(&table), LARGEST).0).unwrap(), said);
    }
}

#[test]
fn headers_that_fit_no_frame_lose_the_largest_and_only_one_of_ours_is_missed() {
    let filler = |name: &[u8]| entry(name, &block(b'S', &vec![b'y'; LARGEST]));
    for (name, missed) in [(b"other".as_slice(), false), (b"lv-other", true), (b"baggage", true)] {
        let table = [entry(b"lv-key", &block(b'S', b"k")), filler(name)].concat();
        let (properties, size) = read(&with_headers(&table), LARGEST);
        assert!(size <= LARGEST);
        let headers = properties.headers().clone().unwrap();
        assert!(headers.inner().contains_key("lv-key"));
        let said = why(&properties);
        assert_eq!(said.is_some_and(|said| said.contains("too many for a frame")), missed);
    }
}

/// Headers as a publisher of any mind may write them: mostly whole, here and there not.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    let number = |kinds: &'static [u8], octets: usize| {
        (proptest::sample::select(kinds.to_vec()), vec(any::<u8>(), octets))
            .prop_map(|(kind, octets)| [vec![kind], octets].concat())
    };
    let leaf = prop_oneof![
        Just(b"V".to_vec()),
        number(b"tbB", 1),
        number(b"sUu", 2),
        number(b"Iif", 4),
        number(b"D", 5),
        number(b"LldT", 8),
        (proptest::sample::select(b"Sx".to_vec()), vec(any::<u8>(), 0..12))
            .prop_map(|(kind, bytes)| block(kind, &bytes)),
        (0..80_usize).prop_map(arrays).prop_map(|value| if value.is_empty() {
            b"V".to_vec()
        } else {
            value
        }),
        vec(any::<u8>(), 0..6),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|values| block(b'A', &values.concat())),
            vec((any_name(), inner), 0..4).prop_map(|entries| block(b'F', &joined(&entries))),
        ]
    })
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => "(lv-)?[a-zü]{0,6}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..6),
    ]
}

fn joined(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    entries.iter().flat_map(|(name, value)| entry(name, value)).collect()
}

fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    let table = vec((any_name(), any_value()), 0..5).prop_map(|entries| joined(&entries));
    let property =
        prop_oneof![8 => "[ -~ü]{0,9}".prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..6)];
    let built = (any::<u16>(), 0..40_u8, table, vec(property, 14)).prop_map(
        |(flags, spoilt, table, texts)| {
            // Mostly flags that a server lets through.
            let flags = if spoilt == 0 { flags } else { flags & !0b11 };
            let mut properties = Vec::new();
            for (at, (_, shape)) in PROPERTIES.iter().enumerate() {
                if flags & (1 << (15 - at)) == 0 {
                    continue;
                }
                match shape {
                    Shape::Text => put_text(&mut properties, &texts[at]),
                    Shape::Table => put_block(&mut properties, &table),
                    Shape::Octets(count) => properties.extend(vec![0xff; *count]),
                }
            }
            payload(flags, &properties)
        },
    );
    let built = built.boxed();
    prop_oneof![
        4 => built.clone(),
        2 => (built, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, byte)| {
            // One byte is another.
            let at = FIXED + at.index(bytes.len() - FIXED);
            bytes[at] = byte;
            bytes
        }),
        1 => vec(any::<u8>(), 0..60).prop_map(|bytes| [vec![0; FIXED], bytes].concat()),
    ]
}

proptest! {
    #[test]
    fn the_client_reads_whatever_comes_out(payload in any_payload()) {
        let (_, len) = read(&payload, LARGEST);
        prop_assert!(len <= LARGEST);
    }

    #[test]
    fn what_comes_out_is_not_mended_again(payload in any_payload()) {
        if let Some(once) = mended(&payload, LARGEST) {
            prop_assert_eq!(mended(&once, LARGEST), None);
        }
    }

    #[test]
    fn what_is_left_out_is_said_and_what_the_client_reads_by_itself_is_left_alone(payload in any_payload()) {
        // Shallow enough here for the client to try on its own.
        let reads = matches!(parse_properties(&payload[FIXED..]), Ok((rest, _)) if rest.is_empty());
        let said = mended(&payload, LARGEST).map(|out| parse_properties(&out[FIXED..]).unwrap().1);
        match said {
            None => prop_assert!(reads),
            Some(properties) => prop_assert!(why(&properties).is_some()),
        }
    }
}
