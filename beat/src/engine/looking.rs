//! Looking: what the store is asked to follow the timetable, and to write it again.
//!
//! Holds no state. What follows from the answers is [`super::following`]'s. Guards that a schedule
//! counts as gone only where that was seen in one life of the timetable.

use leveret_common::name::ScheduleName;
use leveret_common::store::{Changes, Scheduled, Schedules, StoreError, StoreErrorKind};
use leveret_common::telemetry::names::field;
use tracing::warn;

use super::patience::{Trouble, within};

/// Most schedules that are read together by their names.
const BATCH: usize = 500;

/// Which life of the timetable was read, and up to which of its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Known {
    pub(super) incarnation: Option<u64>,
    pub(super) version: u64,
}

/// What somebody saw who looked for changes.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) known: Known,
    /// What became of the schedules that changed; none where all have to be read.
    pub(super) changed: Option<Vec<(ScheduleName, Found)>>,
    /// Whether the store has forgotten a schedule that nobody deleted.
    pub(super) forgotten: bool,
}

/// A schedule that changed.
#[derive(Debug)]
pub(super) enum Found {
    There(Box<Scheduled>),
    Gone,
    /// This version cannot read it.
    Unreadable,
}

/// Looks for what changed since `before`, and whether the schedules that are doubted are there.
pub(super) async fn look(
    schedules: &dyn Schedules,
    before: Option<Known>,
    mut doubted: Vec<ScheduleName>,
) -> Result<Seen, Trouble> {
    let Changes { incarnation, version, names } =
        within(schedules.changes(before.map(|before| before.version))).await?;
    let known = Known { incarnation, version };
    let is_same = before.is_some_and(|before| before.incarnation == incarnation);
    // Where nothing was ever written, there is nothing to read again and again.
    let names = if incarnation.is_none() { Some(Vec::new()) } else { names };
    let Some(names) = names.filter(|_| is_same) else {
        return Ok(Seen { known, changed: None, forgotten: false });
    };
    doubted.retain(|name| !names.contains(name));
    let mut changed = Vec::with_capacity(names.len());
    for chunk in names.chunks(BATCH) {
        let found = read_all(schedules, chunk).await?;
        changed.extend(chunk.iter().cloned().zip(found));
    }
    if changed.iter().any(|(_, found)| matches!(found, Found::Gone)) {
        // Gone for certain only if the timetable was not wiped meanwhile.
        let now = within(schedules.changes(Some(version))).await?.incarnation;
        if now != incarnation {
            let known = Known { incarnation: now, version: 0 };
            return Ok(Seen { known, changed: None, forgotten: false });
        }
    }
    let mut forgotten = false;
    for chunk in doubted.chunks(BATCH) {
        let found = read_all(schedules, chunk).await?;
        // Nobody has deleted it.
        forgotten |= found.iter().any(|found| matches!(found, Found::Gone));
        changed.extend(chunk.iter().cloned().zip(found));
    }
    Ok(Seen { known, changed: Some(changed), forgotten })
}

/// Writes schedules again; returns the life of the timetable that they are in.
pub(super) async fn restore(
    schedules: &dyn Schedules,
    known: &[Scheduled],
) -> Result<Option<u64>, Trouble> {
    within(schedules.restore(known)).await?;
    Ok(within(schedules.changes(None)).await?.incarnation)
}

async fn read_all(
    schedules: &dyn Schedules,
    names: &[ScheduleName],
) -> Result<Vec<Found>, Trouble> {
    let found = |scheduled: Option<Scheduled>| {
        scheduled.map_or(Found::Gone, |scheduled| Found::There(Box::new(scheduled)))
    };
    match within(schedules.read(names)).await {
        Ok(all) => Ok(all.into_iter().map(found).collect()),
        Err(Trouble::Store(error)) if error.kind == StoreErrorKind::Corrupt => {
            let mut all = Vec::with_capacity(names.len());
            for name in names {
                match within(schedules.read(std::slice::from_ref(name))).await {
                    Ok(one) => all.push(found(one.into_iter().next().flatten())),
                    Err(Trouble::Store(error)) => all.push(unreadable(name, error)?),
                    Err(slow) => return Err(slow),
                }
            }
            Ok(all)
        }
        Err(error) => Err(error),
    }
}

/// Passes over a schedule that was written in a form of a newer version; the others go on.
fn unreadable(name: &ScheduleName, error: StoreError) -> Result<Found, Trouble> {
    if error.kind != StoreErrorKind::Corrupt {
        return Err(Trouble::Store(error));
    }
    warn!(
        { field::SCHEDULE } = %name, { field::ERROR } = %error,
        "this version cannot read what a schedule was changed to; run the newest version"
    );
    Ok(Found::Unreadable)
}
