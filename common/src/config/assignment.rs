//! One value that some source gives to some key.
//!
//! Responsible for what all sources share: a key, an origin and a raw value, the report of a
//! refused one, and the report of a name that does not exist. Flags are read here, because there
//! is nothing more to them.

use super::keys::{KEYS, Key};
use super::problem::{Origin, Problem};
use super::secret::REDACTED;
use super::suggest;
use super::value::Raw;

/// A value on its way to a key.
pub(super) struct Assignment {
    pub(super) key: &'static Key,
    pub(super) origin: Origin,
    pub(super) raw: Raw,
}

impl Assignment {
    /// Reports that the key does not take the value.
    pub(super) fn refuse(self, why: String) -> Problem {
        let value =
            if self.key.form.is_secret() { REDACTED.to_owned() } else { self.raw.to_string() };
        Problem::new(self.key.path, why, mend(self.key)).at(self.origin).with_value(value)
    }
}

/// Reads the flags that the command line was given.
pub(super) fn from_flags(
    flags: &[(String, String)],
    assignments: &mut Vec<Assignment>,
    problems: &mut Vec<Problem>,
) {
    for (path, text) in flags {
        match Key::find(path) {
            Some(key) => assignments.push(Assignment {
                key,
                origin: Origin::Flag(key.flag()),
                raw: Raw::Untyped(text.clone()),
            }),
            None => problems.push(
                Problem::new(path, "there is no such key", mend_unknown(path))
                    .at(Origin::Flag(path.clone())),
            ),
        }
    }
}

/// Says what the key takes.
pub(super) fn mend(key: &Key) -> String {
    let form = key.form.describe();
    match key.default {
        Some(default) => format!("write {form}; the default is {default}"),
        None => format!("write {form}, or leave it out"),
    }
}

/// Says which key was probably meant. The value is not quoted: it may be a secret's.
pub(super) fn mend_unknown(path: &str) -> String {
    match suggest::nearest(path, KEYS.iter().map(|key| key.path)) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "remove it; `leveret config show` lists every key".to_owned(),
    }
}
