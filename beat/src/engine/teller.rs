//! Telling people what becomes of the timetable file; the log has the same in numbers.

use std::fmt;
use std::sync::Arc;

use super::filed::{FileError, Filed};
use crate::timetable::Plan;

/// What became of the timetable file.
#[derive(Debug)]
#[non_exhaustive]
pub enum News<'a> {
    /// The timetable holds what the file says: the plan says what that has changed.
    Holds {
        /// The file.
        file: &'a Filed,
        /// What has changed.
        plan: &'a Plan,
    },
    /// The file was read again, and counts once this beat leads.
    StandsBy {
        /// The file.
        file: &'a Filed,
    },
    /// The file was read again and is not taken; the timetable stays as it is.
    Refused {
        /// Why.
        why: &'a FileError,
    },
    /// The file was to be read again, and there is none.
    NoFile,
}

type Listener = dyn Fn(&News<'_>) + Send + Sync;

/// Whom a beat tells.
#[derive(Clone, Default)]
pub(super) struct Teller(Option<Arc<Listener>>);

impl Teller {
    pub(super) fn new(told: impl Fn(&News<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    pub(super) fn tell(&self, news: &News<'_>) {
        if let Some(told) = &self.0 {
            told(news);
        }
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}
