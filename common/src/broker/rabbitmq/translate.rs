//! Between the neutral form of a message and AMQP's own types.
//!
//! What the fields mean is [`crate::envelope`]'s matter. Guards that nothing a foreign client can
//! put into a message makes reading fail, and that no header the broker acts on goes out: a copied
//! `x-death` makes RabbitMQ ≤ 3.13 confirm a message and then drop it.

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, ByteArray, DecimalValue, FieldTable, LongString, ShortString};

use crate::envelope::{HeaderValue, Headers, Wire};
use crate::sabotage::{Break, breaks};

/// `delivery_mode` 2: on disk.
const PERSISTENT: u8 = 2;

/// Cuts a text to what an AMQP short string holds: 255 bytes.
pub(super) fn short(text: &str) -> ShortString {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // Cannot fail at this length; the empty string stands for "absent" in AMQP.
    ShortString::try_new(&text[..end]).unwrap_or_default()
}

/// Tells whether the broker itself acts on a header of this name.
fn is_the_brokers(name: &str) -> bool {
    (name.starts_with("x-") || name == "CC" || name == "BCC") && !breaks(Break::CopiedXHeaders)
}

/// Writes properties and headers; the body travels beside them.
pub(super) fn to_properties(wire: &Wire) -> BasicProperties {
    let mut out = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let mut set = |text: &Option<String>,
                   with: fn(BasicProperties, ShortString) -> BasicProperties| {
        if let Some(text) = text {
            out = with(std::mem::take(&mut out), short(text));
        }
    };
    set(&wire.message_id, BasicProperties::with_message_id);
    set(&wire.kind, BasicProperties::with_type);
    set(&wire.content_type, BasicProperties::with_content_type);
    set(&wire.content_encoding, BasicProperties::with_content_encoding);
    set(&wire.correlation_id, BasicProperties::with_correlation_id);
    set(&wire.reply_to, BasicProperties::with_reply_to);
    set(&wire.app_id, BasicProperties::with_app_id);
    if let Some(timestamp) = wire.timestamp {
        out = out.with_timestamp(timestamp);
    }
    if let Some(priority) = wire.priority {
        out = out.with_priority(priority);
    }
    let mut table = FieldTable::default();
    for (name, value) in wire.headers.iter().filter(|(name, _)| !is_the_brokers(name)) {
        table.insert(short(name), to_value(value));
    }
    out.with_headers(table)
}

fn to_value(value: &HeaderValue) -> AMQPValue {
    match value {
        HeaderValue::Null => AMQPValue::Void,
        HeaderValue::Bool(is) => AMQPValue::Boolean(*is),
        HeaderValue::Int(number) => AMQPValue::LongLongInt(*number),
        HeaderValue::Float(number) => AMQPValue::Double(*number),
        HeaderValue::Single(number) => AMQPValue::Float(*number),
        HeaderValue::Decimal(scale, value) => {
            AMQPValue::DecimalValue(DecimalValue { scale: *scale, value: *value })
        }
        HeaderValue::Text(text) => AMQPValue::LongString(LongString::from(text.as_bytes())),
        HeaderValue::Bytes(bytes) => AMQPValue::ByteArray(ByteArray::from(bytes.as_slice())),
        HeaderValue::Time(seconds) => AMQPValue::Timestamp(*seconds),
        HeaderValue::List(items) => {
            AMQPValue::FieldArray(items.iter().map(to_value).collect::<Vec<_>>().into())
        }
        HeaderValue::Table(headers) => {
            let mut table = FieldTable::default();
            for (name, value) in headers {
                table.insert(short(name), to_value(value));
            }
            AMQPValue::FieldTable(table)
        }
    }
}

/// Reads a message with every header it has, the broker's own included.
pub(super) fn to_wire(properties: &BasicProperties, body: Vec<u8>) -> Wire {
    let text = |field: &Option<ShortString>| field.as_ref().map(|text| text.as_str().to_owned());
    Wire {
        message_id: text(properties.message_id()),
        kind: text(properties.kind()),
        content_type: text(properties.content_type()),
        content_encoding: text(properties.content_encoding()),
        correlation_id: text(properties.correlation_id()),
        reply_to: text(properties.reply_to()),
        timestamp: *properties.timestamp(),
        app_id: text(properties.app_id()),
        priority: *properties.priority(),
        headers: properties.headers().as_ref().map(to_headers).unwrap_or_default(),
        body: Bytes::from(body),
    }
}

fn to_headers(table: &FieldTable) -> Headers {
    table.into_iter().map(|(name, value)| (name.as_str().to_owned(), to_header(value))).collect()
}

fn to_header(value: &AMQPValue) -> HeaderValue {
    match value {
        AMQPValue::Boolean(is) => HeaderValue::Bool(*is),
        AMQPValue::ShortShortInt(number) => HeaderValue::Int(i64::from(*number)),
        AMQPValue::ShortShortUInt(number) => HeaderValue::Int(i64::from(*number)),
        AMQPValue::ShortInt(number) => HeaderValue::Int(i64::from(*number)),
        AMQPValue::ShortUInt(number) => HeaderValue::Int(i64::from(*number)),
        AMQPValue::LongInt(number) => HeaderValue::Int(i64::from(*number)),
        AMQPValue::LongUInt(number) => HeaderValue::Int(i64::from(*number)),
        AMQPValue::LongLongInt(number) => HeaderValue::Int(*number),
        AMQPValue::Float(number) => HeaderValue::Single(*number),
        AMQPValue::Double(number) => HeaderValue::Float(*number),
        AMQPValue::DecimalValue(DecimalValue { scale, value }) => {
            HeaderValue::Decimal(*scale, *value)
        }
        AMQPValue::ShortString(text) => HeaderValue::Text(text.as_str().to_owned()),
        AMQPValue::LongString(text) => match std::str::from_utf8(text.as_bytes()) {
            Ok(text) => HeaderValue::Text(text.to_owned()),
            Err(_) => HeaderValue::Bytes(text.as_bytes().to_vec()),
        },
        AMQPValue::FieldArray(items) => {
            HeaderValue::List(items.as_slice().iter().map(to_header).collect())
        }
        AMQPValue::Timestamp(seconds) => HeaderValue::Time(*seconds),
        AMQPValue::FieldTable(table) => HeaderValue::Table(to_headers(table)),
        AMQPValue::ByteArray(bytes) => HeaderValue::Bytes(bytes.as_slice().to_vec()),
        AMQPValue::Void => HeaderValue::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Wire {
        let nested = Headers::from([("deep".to_owned(), HeaderValue::Int(-1))]);
        let headers = Headers::from([
            ("lv-null".to_owned(), HeaderValue::Null),
            ("lv-bool".to_owned(), HeaderValue::Bool(true)),
            ("lv-int".to_owned(), HeaderValue::Int(i64::MIN)),
            ("lv-float".to_owned(), HeaderValue::Float(0.25)),
            ("lv-single".to_owned(), HeaderValue::Single(0.1)),
            ("lv-decimal".to_owned(), HeaderValue::Decimal(2, 314)),
            ("lv-text".to_owned(), HeaderValue::Text("grüße".to_owned())),
            ("lv-bytes".to_owned(), HeaderValue::Bytes(vec![0xff, 0])),
            ("lv-time".to_owned(), HeaderValue::Time(u64::MAX)),
            ("lv-list".to_owned(), HeaderValue::List(vec![HeaderValue::Table(nested)])),
        ]);
        let text = |text: &str| Some(text.to_owned());
        Wire {
            message_id: text("m"),
            kind: text("k"),
            content_type: text("application/json"),
            content_encoding: text("gzip"),
            correlation_id: text("c"),
            reply_to: text("r"),
            timestamp: Some(7),
            app_id: text("a"),
            priority: Some(9),
            headers,
            body: Bytes::from_static(b"{}"),
        }
    }

    #[test]
    fn every_field_and_header_type_survives_the_way_out_and_back() {
        let wire = full();
        assert_eq!(to_wire(&to_properties(&wire), wire.body.to_vec()), wire);
    }

    #[test]
    fn headers_on_which_the_broker_acts_are_read_and_never_written() {
        let mut wire = full();
        for name in ["x-death", "x-delivery-count", "CC", "BCC"] {
            wire.headers.insert(name.to_owned(), HeaderValue::Int(1));
        }
        assert_eq!(to_wire(&to_properties(&wire), wire.body.to_vec()), full());
        let mut table = FieldTable::default();
        table.insert("x-death".into(), AMQPValue::ShortShortUInt(3));
        let read = to_wire(&BasicProperties::default().with_headers(table), Vec::new());
        assert_eq!(read.headers["x-death"], HeaderValue::Int(3));
    }

    #[test]
    fn text_too_long_for_a_property_is_cut_at_a_character() {
        let wire = Wire { app_id: Some("é".repeat(200)), ..Wire::default() };
        let read = to_wire(&to_properties(&wire), Vec::new());
        assert_eq!(read.app_id.unwrap(), "é".repeat(127));
    }
}
