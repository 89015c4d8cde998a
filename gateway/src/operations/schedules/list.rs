//! The list of schedules, page by page, and which of them are meant.

use std::str::FromStr;

use leveret_common::filter::{Filter, Subject};
use leveret_common::name::ScheduleName;
use leveret_common::schedule::Source;
use leveret_common::store::{ScheduleEntry, Scheduled};

use super::super::{OperationError, Operations, stored};
use super::ScheduleView;

/// Most schedules that are read at a time.
const BATCH: usize = 1_000;
/// Most schedules that one request looks at.
const MOST_LOOKED_AT: usize = 10_000;

/// A sort of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A timetable file.
    File,
    /// A program.
    Code,
    /// Made at run time.
    Api,
}

/// Which schedules are meant; all where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// Only those of such a source.
    pub source: Option<Origin>,
    /// Only those that are paused, or that are not.
    pub paused: Option<bool>,
    /// Only those whose task's kind fits this, a term `kind:` of a filter.
    pub kind: Filter,
    /// Only those whose names begin so.
    pub prefix: Option<ScheduleName>,
}

/// A page of schedules.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Those that are meant, by name.
    pub schedules: Vec<ScheduleView>,
    /// Behind which to go on; none where these were the last.
    pub next: Option<ScheduleName>,
}

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "file" => Ok(Self::File),
            "code" => Ok(Self::Code),
            "api" => Ok(Self::Api),
            _ => Err("write file, code or api"),
        }
    }
}

impl Wish {
    /// Tells whether `entry` is meant.
    #[must_use]
    pub fn is_met_by(&self, entry: &ScheduleEntry) -> bool {
        let origin = match entry.source {
            Source::File { .. } => Origin::File,
            Source::Code { .. } => Origin::Code,
            Source::Api { .. } => Origin::Api,
        };
        let subject = Subject { kind: entry.definition.kind.as_str(), ..Subject::default() };
        self.source.is_none_or(|wished| wished == origin)
            && self.paused.is_none_or(|wished| wished == entry.paused.is_some())
            && self.kind.matches(&subject)
    }
}

impl Operations {
    /// Lists at most `most` schedules that are meant, by name, behind `behind` where one is given.
    /// Looks at about ten thousand: a page may be short and have a next one.
    ///
    /// # Errors
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn schedules(
        &self,
        wish: &Wish,
        behind: Option<&ScheduleName>,
        most: usize,
    ) -> Result<Listed, OperationError> {
        let (found, next) = self.find(wish, behind, most).await?;
        Ok(Listed { schedules: self.schedule_views(found).await?, next })
    }

    async fn find(
        &self,
        wish: &Wish,
        behind: Option<&ScheduleName>,
        most: usize,
    ) -> Result<(Vec<Scheduled>, Option<ScheduleName>), OperationError> {
        let store = &self.backend().schedules;
        let prefix = wish.prefix.as_ref();
        let mut found = Vec::new();
        if let (Some(prefix), None) = (prefix, behind) {
            // A page begins behind a name, and the prefix may be one.
            let read = store.read(std::slice::from_ref(prefix));
            let exact = stored("list the schedules", read).await?.into_iter().flatten();
            found.extend(exact.filter(|exact| wish.is_met_by(&exact.entry)));
        }
        let mut behind = behind.max(prefix).cloned();
        let mut looked_at = 0;
        while looked_at < MOST_LOOKED_AT {
            let page = stored("list the schedules", store.page(behind.as_ref(), BATCH)).await?;
            let is_last = page.len() < BATCH;
            looked_at += page.len();
            for scheduled in page {
                let name = &scheduled.entry.name;
                if prefix.is_some_and(|prefix| !name.as_str().starts_with(prefix.as_str())) {
                    return Ok((found, None));
                }
                if wish.is_met_by(&scheduled.entry) {
                    if found.len() == most {
                        return Ok((found, behind));
                    }
                    behind = Some(name.clone());
                    found.push(scheduled);
                } else {
                    behind = Some(name.clone());
                }
            }
            if is_last {
                return Ok((found, None));
            }
        }
        Ok((found, behind))
    }
}
