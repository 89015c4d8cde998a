//! The timetable in the file: entries, positions apart from them, and the last occurrences.
//!
//! `steps` compares and writes inside the writer's transactions; `beats` are known in memory only.
//! Long batches are cut, so that a large import holds up nobody else's commit.

mod beats;
mod steps;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::{Connection, Row};

pub(super) use self::beats::Beats;
use self::steps::{Texts, Written};
use super::Embedded;
use super::error::Failure;
use super::transaction::{Transaction, signed_us};
use crate::name::ScheduleName;
use crate::store::schedules::packed;
use crate::store::{
    Advance, Advanced, BeatInfo, Change, Changed, Changes, MAX_CHANGES, Occurrence, Scheduled,
    Schedules, StoreError,
};

/// Most changes in one step of the writer, and most schedules in one of a reader.
const CHUNK: usize = 500;

const PAGE: &str = "SELECT s.entry, p.position, s.revision, s.name FROM schedule s
    LEFT JOIN position p ON p.name = s.name
    WHERE s.name > ?1 ORDER BY s.name LIMIT ?2";
const OCCURRENCES: &str = "SELECT occurrence FROM occurrence WHERE name = ?1 ORDER BY seq DESC";
const STATE: &str = "SELECT incarnation, version FROM timetable";
const CHANGED: &str = "SELECT name FROM schedule_change WHERE version > ?1 ORDER BY version";

#[async_trait]
impl Schedules for Embedded {
    async fn page(
        &self,
        behind: Option<&ScheduleName>,
        most: usize,
    ) -> Result<Vec<Scheduled>, StoreError> {
        let mut page = Vec::new();
        // No name is empty, so all are behind this.
        let mut behind = behind.map(ToString::to_string).unwrap_or_default();
        while page.len() < most {
            let wanted = (most - page.len()).min(CHUNK);
            let (rows, last) =
                self.look("list schedules", move |on| scan(on, &behind, wanted)).await?;
            page.extend(rows);
            let Some(last) = last else { break };
            behind = last;
        }
        Ok(page)
    }

    async fn read(&self, names: &[ScheduleName]) -> Result<Vec<Option<Scheduled>>, StoreError> {
        let mut found = Vec::with_capacity(names.len());
        for names in names.chunks(CHUNK) {
            let names = names.to_vec();
            let read = move |on: &Connection| -> Result<Vec<_>, Failure> {
                names.iter().map(|name| steps::find(on, name)).collect()
            };
            found.extend(self.look("read schedules", read).await?);
        }
        Ok(found)
    }

    async fn change(&self, batch: &[Change]) -> Result<Vec<Changed>, StoreError> {
        let mut answers = Vec::with_capacity(batch.len());
        for changes in batch.chunks(CHUNK) {
            let prepare = |change: &Change| {
                let Change { name, expected, entry } = change;
                let entry = entry.as_ref().map(|entry| Written::new(entry, name));
                (name.clone(), *expected, entry)
            };
            let changes: Vec<_> = changes.iter().map(prepare).collect();
            let weight = changes.len();
            let run = move |to: &mut Transaction| -> Result<Vec<_>, Failure> {
                let one = |(name, expected, entry): &(_, _, Option<Written>)| {
                    steps::change(to, name, *expected, entry.as_ref())
                };
                changes.iter().map(one).collect()
            };
            answers.extend(self.keep("change schedules", weight, run).await?);
        }
        Ok(answers)
    }

    async fn advance(&self, batch: &[Advance]) -> Result<Vec<Advanced>, StoreError> {
        let mut answers = Vec::with_capacity(batch.len());
        for moves in batch.chunks(CHUNK) {
            let prepare = |ask: &Advance| {
                let Advance { name, expected, to, occurrences } = ask;
                (name.clone(), *expected, to.clone(), steps::newest(occurrences))
            };
            let moves: Vec<_> = moves.iter().map(prepare).collect();
            let weight = moves.iter().map(|(_, _, _, occurrences)| 1 + occurrences.len()).sum();
            let run = move |to: &mut Transaction| -> Result<Vec<_>, Failure> {
                let one = |(name, expected, position, occurrences): &(_, _, _, Vec<_>)| {
                    steps::advance(to, name, *expected, position, occurrences)
                };
                moves.iter().map(one).collect()
            };
            answers.extend(self.keep("move schedules on", weight, run).await?);
        }
        Ok(answers)
    }

    async fn restore(&self, batch: &[Scheduled]) -> Result<(), StoreError> {
        for remembered in batch.chunks(CHUNK) {
            let prepare = |one: &Scheduled| (one.clone(), Written::again(one));
            let rows: Vec<_> = remembered.iter().map(prepare).collect();
            let weight = rows.len();
            let run = move |to: &mut Transaction| -> Result<(), Failure> {
                rows.iter().try_for_each(|(one, entry)| {
                    steps::restore(to, &one.entry, one.position.as_ref(), entry)
                })
            };
            self.keep("restore schedules", weight, run).await?;
        }
        Ok(())
    }

    async fn note(&self, batch: &[(ScheduleName, Occurrence)]) -> Result<(), StoreError> {
        for notes in batch.chunks(CHUNK) {
            let prepare = |(name, occurrence): &(ScheduleName, _)| {
                (name.clone(), packed::occurrence(occurrence))
            };
            let rows: Vec<_> = notes.iter().map(prepare).collect();
            let weight = rows.len();
            let run = move |to: &mut Transaction| -> Result<(), Failure> {
                rows.iter().try_for_each(|(name, text)| steps::note(to, name, text))
            };
            self.keep("note occurrences", weight, run).await?;
        }
        Ok(())
    }

    async fn occurrences(&self, name: &ScheduleName) -> Result<Vec<Occurrence>, StoreError> {
        let name = name.clone();
        let texts = move |on: &Connection| -> Result<_, Failure> {
            let mut statement = on.prepare_cached(OCCURRENCES)?;
            let rows = statement.query_map([name.as_str()], |row| row.get::<_, String>(0))?;
            let mut occurrences = Vec::new();
            for text in rows {
                match packed::read_occurrence(&text?) {
                    Ok(occurrence) => occurrences.push(occurrence),
                    Err(why) => tracing::warn!(%name, %why, "occurrence not listed"),
                }
            }
            Ok(occurrences)
        };
        self.look("list occurrences", texts).await
    }

    async fn changes(&self, since: Option<u64>) -> Result<Changes, StoreError> {
        self.look("look for changed schedules", move |on| changed(on, since)).await
    }

    async fn announce(&self, beat: &BeatInfo, ttl: Duration) -> Result<(), StoreError> {
        self.beats.announce(beat, ttl, Instant::now());
        Ok(())
    }

    async fn beats(&self) -> Result<Vec<BeatInfo>, StoreError> {
        Ok(self.beats.list(Instant::now()))
    }
}

impl Embedded {
    async fn look<T: Send + 'static>(
        &self,
        operation: &'static str,
        ask: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let failed = |failure: Failure| failure.for_store(operation, &self.core.endpoint);
        self.core.answers.read(ask).await.map_err(failed)
    }

    async fn keep<T: Send + 'static>(
        &self,
        operation: &'static str,
        weight: usize,
        run: impl FnMut(&mut Transaction) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let failed = |failure: Failure| failure.for_store(operation, &self.core.endpoint);
        self.core.writer.write(weight, run).await.map_err(failed)
    }
}

/// Looks at `wanted` schedules behind a name; tells which was the last, unless it was the last of
/// all. One that cannot be read must not hide the others.
fn scan(
    on: &Connection,
    behind: &str,
    wanted: usize,
) -> Result<(Vec<Scheduled>, Option<String>), Failure> {
    let mut statement = on.prepare_cached(PAGE)?;
    let row = |row: &Row<'_>| Ok((Texts::of(row)?, row.get::<_, String>(3)?));
    let rows = statement.query_map((behind, i64::try_from(wanted).unwrap_or(i64::MAX)), row)?;
    let (mut page, mut looked, mut last) = (Vec::new(), 0, None);
    for row in rows {
        let (texts, name) = row?;
        match texts.read(&name) {
            Ok(schedule) => page.push(schedule),
            Err(failure) => tracing::warn!(error = %failure.why, "schedule not listed"),
        }
        looked += 1;
        last = Some(name);
    }
    Ok((page, last.filter(|_| looked == wanted)))
}

fn changed(on: &Connection, since: Option<u64>) -> Result<Changes, Failure> {
    // One view of both tables.
    let view = on.unchecked_transaction()?;
    let state = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (incarnation, version) = view.prepare_cached(STATE)?.query_row([], state)?;
    let incarnation = u64::try_from(incarnation).ok();
    let version = u64::try_from(version).unwrap_or(0);
    let far = |since: u64| version.checked_sub(since).is_none_or(|behind| behind > MAX_CHANGES);
    let Some(since) = since.filter(|since| !far(*since)) else {
        return Ok(Changes { incarnation, version, names: None });
    };
    let mut statement = view.prepare_cached(CHANGED)?;
    let rows = statement.query_map([signed_us(since)], |row| row.get::<_, String>(0))?;
    let read = |name: rusqlite::Result<String>| {
        name?.parse().map_err(|why| Failure::corrupt(format!("a schedule's name is none: {why}")))
    };
    let names = rows.map(read).collect::<Result<_, _>>()?;
    Ok(Changes { incarnation, version, names: Some(names) })
}
