//! Whether the broker refuses what is published, because the user may not.
//!
//! A connection stays up without the right to publish, so nobody would notice but those who are
//! refused. Guards that a door through which nothing goes is not called open; and that it is called
//! open again although nobody is sent to a closed one: who asks tries it.

use std::sync::{Arc, Mutex, PoisonError};

use lapin::ErrorKind;

/// What the server says to a user who may not.
const ACCESS_REFUSED: u16 = 403;

/// Why the last publishes were refused; nothing while none was.
#[derive(Debug, Clone, Default)]
pub(in crate::broker::rabbitmq) struct Refused(Arc<Mutex<Option<String>>>);

impl Refused {
    /// Remembers an error, if it is such a refusal.
    pub(super) fn note(&self, error: &lapin::Error) {
        if let ErrorKind::ProtocolError(said) = error.kind()
            && said.get_id() == ACCESS_REFUSED
        {
            self.set(Some(format!("it refuses publishes: {}", said.get_message())));
        }
    }

    /// Returns why publishes are refused.
    pub(in crate::broker::rabbitmq) fn why(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets it: one was taken since.
    pub(in crate::broker::rabbitmq) fn is_over(&self) {
        self.set(None);
    }

    fn set(&self, why: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}
