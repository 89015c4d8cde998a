//! Import and export: schedules as lines of JSON, or from a timetable file.

use leveret_common::name::ScheduleName;
use leveret_common::schedule::Source;
use leveret_common::store::ScheduleEntry;

use super::{PAGE, Plan, Timetable, TimetableError};
use crate::definition::{Line, Wanted};

impl Timetable {
    /// Plans an import by `by`: what is new is added; what is there and says something else is
    /// changed where `replace` allows it, and where it was made at run time. Nothing is deleted,
    /// and what is there stays paused, or not, as it is.
    ///
    /// What is wrong with what is wanted is among the plan's flaws.
    ///
    /// # Errors
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn plan_import(
        &self,
        wanted: Wanted,
        replace: bool,
        by: &str,
    ) -> Result<Plan, TimetableError> {
        let wanted = wanted.checked(&self.producer);
        let names: Vec<ScheduleName> = wanted.schedules.keys().cloned().collect();
        let mut present = Vec::new();
        for chunk in names.chunks(PAGE) {
            let found = self.store().read(chunk).await?;
            present.extend(found.into_iter().flatten().map(|scheduled| scheduled.entry));
        }
        Ok(Plan::adding(Source::Api { by: by.to_owned() }, wanted, present, replace))
    }

    /// Exports at most `most` schedules by name, from the beginning or behind a name: a line of
    /// JSON each, without its end. [`Wanted::from_lines`] reads them.
    ///
    /// # Errors
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn export(
        &self,
        behind: Option<&ScheduleName>,
        most: usize,
    ) -> Result<Vec<(ScheduleName, String)>, TimetableError> {
        let page = self.list(behind, most).await?;
        let line = |scheduled| {
            let entry: ScheduleEntry = scheduled;
            let line = Line::new(&entry).to_string();
            (entry.name, line)
        };
        Ok(page.into_iter().map(|scheduled| line(scheduled.entry)).collect())
    }
}
