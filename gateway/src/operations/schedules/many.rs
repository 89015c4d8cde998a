//! Many schedules at once: what a source would change, an import, an export.

use leveret_beat::definition::Wanted;
use leveret_beat::timetable::{Applied, Plan};
use leveret_common::name::ScheduleName;
use leveret_common::schedule::Source;

use super::super::{OperationError, Operations, unconfirmed};
use super::{TimetableError, looked};

/// How many schedules are read at a time.
const BATCH: usize = 1_000;
/// The file that a plan is made for where neither the caller nor a beat names one.
const USUAL_FILE: &str = "schedules.toml";

impl Operations {
    /// Plans what the timetable file `path` would change, if it held what is `wanted`; without a
    /// path, the leading beat's file.
    ///
    /// # Errors
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn plan_file(
        &self,
        path: Option<String>,
        wanted: Wanted,
    ) -> Result<Plan, OperationError> {
        // Asks the store first: all of the timetable takes longer than its patience.
        let beats = self.beats().await?;
        let leader = beats.into_iter().find(|beat| beat.leads.is_some());
        let leading = || leader.and_then(|beat| Some(beat.file?.path));
        let path = path.or_else(leading).unwrap_or_else(|| USUAL_FILE.to_owned());
        Ok(self.timetable().plan(Source::File { path }, wanted).await?)
    }

    /// Plans what an import would change.
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
    ) -> Result<Plan, OperationError> {
        let timetable = self.timetable();
        // Asks the store first: to check many schedules takes longer than its patience.
        looked("list the schedules", timetable.list(None, 1)).await?;
        Ok(timetable.plan_import(wanted, replace, by).await?)
    }

    /// Carries a plan out.
    ///
    /// # Errors
    /// [`TimetableError::Flawed`], [`OperationError::Unconfirmed`], or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, any of the steps may or may not have been taken.
    pub async fn carry_out(&self, plan: Plan) -> Result<Applied, OperationError> {
        match self.timetable().apply(&plan).await {
            Err(TimetableError::Store(error)) => Err(unconfirmed("change the schedules", error)),
            applied => Ok(applied?),
        }
    }

    /// Writes a page of schedules behind `behind` as lines of an export, without their ends, each
    /// with its name. A page that is empty was the last.
    ///
    /// # Errors
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn export_schedules(
        &self,
        behind: Option<&ScheduleName>,
    ) -> Result<Vec<(ScheduleName, String)>, OperationError> {
        looked("list the schedules", self.timetable().export(behind, BATCH)).await
    }
}
