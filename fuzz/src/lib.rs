//! What the targets share: a first corpus, and what is demanded of a message that came to be read.

mod seed;

pub use self::seed::seed;

use leveret_common::envelope::{Decoded, HeaderValue, Wire, cut, decode, header};
use leveret_common::name::Namespace;

/// Whether it holds a number that equals nothing, not even itself.
fn has_nan(value: &HeaderValue) -> bool {
    match value {
        HeaderValue::Float(number) => number.is_nan(),
        HeaderValue::Single(number) => number.is_nan(),
        HeaderValue::List(items) => items.iter().any(has_nan),
        HeaderValue::Table(headers) => headers.values().any(has_nan),
        _ => false,
    }
}

fn is_ours(name: &str) -> bool {
    header::KNOWN.contains(&name) || name.starts_with("lv-")
}

/// Decodes a message, and demands that it ends in a task that is the same when it is sent on, in a
/// wait for a newer version, or in a reason for a dead letter.
///
/// # Panics
/// Where it does not.
pub fn read(wire: &Wire) {
    let namespace = Namespace::default();
    match decode(&namespace, wire) {
        Ok(Decoded::Task(mut envelope) | Decoded::Nameless(mut envelope)) => {
            let sent = envelope.to_wire();
            assert!(sent.headers.keys().all(|name| is_ours(name)), "{:?}", sent.headers);
            if wire.headers.values().any(has_nan) {
                return;
            }
            // What is said of a failure is read whole and cut when it is sent on.
            let error = envelope.moving.error.as_deref();
            envelope.moving.error = error.map(|error| cut(error, header::MAX_ERROR).to_owned());
            let again = decode(&namespace, &sent).expect("what we write, we read");
            assert_eq!(again, Decoded::Task(envelope), "it is another task when it is sent on");
        }
        Ok(Decoded::Newer { version }) => assert!(version > leveret_common::envelope::VERSION),
        Err(error) => {
            assert!(!error.why.is_empty());
            let mut letter = wire.clone();
            letter.keep_ours();
            letter.name_letter();
            // With an id that cannot be read it has another one, and may be a task under that.
            if letter.message_id != wire.message_id {
                return;
            }
            if let Some(foreign) = &error.foreign {
                foreign.put_on(&mut letter);
            }
            assert!(letter.headers.keys().all(|name| is_ours(name)), "{:?}", letter.headers);
            assert!(decode(&namespace, &letter).is_err(), "a letter is replayed as a task");
        }
    }
}
