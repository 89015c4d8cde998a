//! The timetable on Redis: entries and positions in a hash each, their names in order beside them.
//!
//! Each step on a schedule is one script. Round trips are cut by size as well as by number, because
//! an entry may hold large args. An entry that cannot be read hides no other; a position that
//! cannot be read counts as lost.

mod beats;

use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Arg, Cmd, Pipeline, RedisResult, Value};

use super::fault::Fault;
use super::scripts::Script;
use super::{MAX_PIPELINE, Redis};
use crate::id::Token;
use crate::name::ScheduleName;
use crate::store::schedules::{first_position, packed, too_many};
use crate::store::{
    Advance, Advanced, BeatInfo, Change, Changed, Changes, MAX_CHANGES, MAX_OCCURRENCES,
    MAX_SCHEDULES, Occurrence, Position, ScheduleEntry, Scheduled, Schedules, StoreError,
    StoreErrorKind,
};

const PAGE: &str = "list schedules";
const READ: &str = "read schedules";
const CHANGE: &str = "change schedules";
const ADVANCE: &str = "move schedules on";
const RESTORE: &str = "restore schedules";
const NOTE: &str = "note occurrences";
const PAST: &str = "list occurrences";
const CHANGES: &str = "look for changed schedules";

/// Most bytes of entries in one round trip, but for the last.
const MAX_BYTES: usize = 1024 * 1024;
/// Most schedules that one script reads: the server serves nobody else meanwhile.
const MAX_LOOKED: usize = 500;

/// Bytes as Redis holds them, of what may be absent.
type Text = Option<Vec<u8>>;

#[async_trait]
impl Schedules for Redis {
    async fn page(
        &self,
        behind: Option<&ScheduleName>,
        most: usize,
    ) -> Result<Vec<Scheduled>, StoreError> {
        let (key, script) = (self.keys.schedules(), &self.scripts.schedules_page);
        let mut page = Vec::new();
        let mut bound = behind.map_or_else(|| "-".to_owned(), |name| format!("({name}"));
        while page.len() < most {
            let mut call = script.on(&key);
            call.arg(&bound).arg((most - page.len()).min(MAX_LOOKED)).arg(MAX_BYTES);
            let texts: Vec<Text> = self.call(script, PAGE, &key, call).await?;
            let mut texts = texts.into_iter();
            let last = texts.next().flatten().unwrap_or_default();
            while let (Some(Some(name)), Some(Some(entry)), Some(position)) =
                (texts.next(), texts.next(), texts.next())
            {
                let name = String::from_utf8_lossy(&name);
                match self.scheduled(&name, &entry, position.as_deref()) {
                    Ok(schedule) => page.push(schedule),
                    // A newer version may have written it.
                    Err(fault) => tracing::warn!(
                        endpoint = %self.endpoint, %name, error = %fault.why, "schedule not listed"
                    ),
                }
            }
            if last.is_empty() {
                break;
            }
            bound = format!("({}", String::from_utf8_lossy(&last));
        }
        Ok(page)
    }

    async fn read(&self, names: &[ScheduleName]) -> Result<Vec<Option<Scheduled>>, StoreError> {
        let (key, script) = (self.keys.schedules(), &self.scripts.schedules_read);
        let mut found = Vec::with_capacity(names.len());
        while found.len() < names.len() {
            let names = &names[found.len()..];
            let mut call = script.on(&key);
            call.arg(MAX_BYTES);
            for name in names.iter().take(MAX_LOOKED) {
                call.arg(name.as_str());
            }
            let texts: Vec<Text> = self.call(script, READ, &key, call).await?;
            // Half an answer would be asked for again and again.
            if texts.is_empty() || !texts.len().is_multiple_of(2) {
                return Err(self.error(READ, strange(&key)));
            }
            for (name, texts) in names.iter().zip(texts.chunks(2)) {
                let [entry, position] = texts else { continue };
                let read =
                    |entry: &Vec<u8>| self.scheduled(name.as_str(), entry, position.as_deref());
                let schedule = entry.as_ref().map(read).transpose();
                found.push(schedule.map_err(|fault| self.error(READ, fault))?);
            }
        }
        Ok(found)
    }

    async fn change(&self, batch: &[Change]) -> Result<Vec<Changed>, StoreError> {
        let (base, script) = (self.keys.schedules(), &self.scripts.schedules_change);
        let mut calls = Vec::with_capacity(batch.len());
        for Change { name, expected, entry } in batch {
            // Of a new one, the script knows what it begins with.
            let revision = expected.unwrap_or(0).saturating_add(1);
            let (text, first) = match entry {
                Some(entry) => {
                    let entry = ScheduleEntry { name: name.clone(), revision, ..entry.clone() };
                    let first = packed::position(&first_position(&entry));
                    (self.text(CHANGE, &entry)?, first)
                }
                None => (String::new(), String::new()),
            };
            let mut call = script.on(&base);
            call.arg(name.as_str())
                .arg(expected.map_or_else(String::new, |revision| revision.to_string()))
                .arg(text)
                .arg(first)
                .arg(MAX_SCHEDULES)
                .arg(MAX_CHANGES)
                .arg(incarnation());
            calls.push(call);
        }
        let mut answers = Vec::with_capacity(batch.len());
        for (change, reply) in batch.iter().zip(self.each(script, CHANGE, calls).await?) {
            let texts: Vec<Text> = self.read(CHANGE, &base, reply)?;
            answers.push(self.changed(change, &texts)?);
        }
        Ok(answers)
    }

    async fn advance(&self, batch: &[Advance]) -> Result<Vec<Advanced>, StoreError> {
        let (base, script) = (self.keys.schedules(), &self.scripts.schedules_advance);
        let begin = |ask: &Advance| {
            let mut call = script.on(&base);
            call.arg(ask.name.as_str())
                .arg(ask.expected.map_or_else(String::new, |seq| seq.to_string()))
                .arg(packed::position(&ask.to))
                .arg(MAX_OCCURRENCES);
            let older = ask.occurrences.len().saturating_sub(MAX_OCCURRENCES);
            for occurrence in ask.occurrences.iter().skip(older) {
                call.arg(packed::occurrence(occurrence));
            }
            call
        };
        let calls: Vec<Cmd> = batch.iter().map(begin).collect();
        let mut answers = Vec::with_capacity(batch.len());
        for reply in self.each(script, ADVANCE, calls).await? {
            let texts: Vec<String> = self.read(ADVANCE, &base, reply)?;
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            answers.push(match texts[..] {
                ["moved"] => Advanced::Moved,
                ["gone"] => Advanced::Gone,
                ["elsewhere", position] => Advanced::Elsewhere(self.position(ADVANCE, position)?),
                _ => return Err(self.error(ADVANCE, strange(&base))),
            });
        }
        Ok(answers)
    }

    async fn restore(&self, batch: &[Scheduled]) -> Result<(), StoreError> {
        let (base, script) = (self.keys.schedules(), &self.scripts.schedules_restore);
        let mut calls = Vec::with_capacity(batch.len());
        for Scheduled { entry, position } in batch {
            let mut call = script.on(&base);
            call.arg(entry.name.as_str())
                .arg(self.text(RESTORE, entry)?)
                .arg(position.as_ref().map(packed::position).unwrap_or_default())
                .arg(MAX_SCHEDULES)
                .arg(MAX_CHANGES)
                .arg(incarnation());
            calls.push(call);
        }
        for (one, reply) in batch.iter().zip(self.each(script, RESTORE, calls).await?) {
            if self.read::<String>(RESTORE, &base, reply)? == "full" {
                return Err(self.full(RESTORE, &one.entry.name));
            }
        }
        Ok(())
    }

    async fn note(&self, batch: &[(ScheduleName, Occurrence)]) -> Result<(), StoreError> {
        let (base, script) = (self.keys.schedules(), &self.scripts.schedules_note);
        let begin = |(name, occurrence): &(ScheduleName, _)| {
            let mut call = script.on(&base);
            call.arg(name.as_str()).arg(MAX_OCCURRENCES).arg(packed::occurrence(occurrence));
            call
        };
        let calls: Vec<Cmd> = batch.iter().map(begin).collect();
        for reply in self.each(script, NOTE, calls).await? {
            self.read::<String>(NOTE, &base, reply)?;
        }
        Ok(())
    }

    async fn occurrences(&self, name: &ScheduleName) -> Result<Vec<Occurrence>, StoreError> {
        let key = self.keys.past(name);
        let mut list = Pipeline::with_capacity(1);
        list.cmd("LRANGE").arg(&key).arg(0).arg(-1);
        let mut replies = self.bulk.run(PAST, &list).await?;
        let texts: Vec<Vec<u8>> = self.read(PAST, &key, replies.pop().unwrap_or(Ok(Value::Nil)))?;
        let read = |text: &Vec<u8>| {
            let occurrence = packed::read_occurrence(&String::from_utf8_lossy(text));
            occurrence
                .inspect_err(|why| {
                    tracing::warn!(endpoint = %self.endpoint, %name, %why, "occurrence not listed");
                })
                .ok()
        };
        Ok(texts.iter().rev().filter_map(read).collect())
    }

    async fn changes(&self, since: Option<u64>) -> Result<Changes, StoreError> {
        let (key, script) = (self.keys.schedules(), &self.scripts.schedules_changes);
        let mut call = script.on(&key);
        call.arg(since.map_or_else(String::new, |since| since.to_string())).arg(MAX_CHANGES);
        let texts: Vec<Option<String>> = self.call(script, CHANGES, &key, call).await?;
        let [incarnation, Some(version), Some(known), names @ ..] = &texts[..] else {
            return Err(self.error(CHANGES, strange(&key)));
        };
        let number = |text: &String| {
            text.parse::<u64>().map_err(|why| self.error(CHANGES, Fault::corrupt(&key, why)))
        };
        let incarnation = incarnation.as_ref().map(number).transpose()?;
        let name = |text: &Option<String>| {
            let name = text.as_deref().unwrap_or_default().parse();
            name.map_err(|why| self.error(CHANGES, Fault::corrupt(&key, why)))
        };
        let names = match known.as_str() {
            "known" => Some(names.iter().map(name).collect::<Result<_, _>>()?),
            _ => None,
        };
        Ok(Changes { incarnation, version: number(version)?, names })
    }

    async fn announce(&self, beat: &BeatInfo, ttl: Duration) -> Result<(), StoreError> {
        self.announce_beat(beat, ttl).await
    }

    async fn beats(&self) -> Result<Vec<BeatInfo>, StoreError> {
        self.living_beats().await
    }
}

impl Redis {
    /// Counts the schedules that were made at run time, and so stand in no file or program.
    pub(super) async fn made_at_run_time(&self) -> Result<u64, StoreError> {
        const COUNT: &str = "count schedules";
        let key = self.keys.schedules();
        let mut ask = Pipeline::with_capacity(1);
        ask.cmd("HGET").arg(&key).arg("made");
        let mut replies = self.bulk.run(COUNT, &ask).await?;
        let made: Option<u64> = self.read(COUNT, &key, replies.pop().unwrap_or(Ok(Value::Nil)))?;
        Ok(made.unwrap_or(0))
    }

    /// Makes calls of one script, in as many round trips as their size asks for.
    async fn each(
        &self,
        script: &Script,
        operation: &'static str,
        calls: Vec<Cmd>,
    ) -> Result<Vec<RedisResult<Value>>, StoreError> {
        let mut replies = Vec::with_capacity(calls.len());
        let mut waiting = calls.into_iter();
        while waiting.len() > 0 {
            let mut trip = Pipeline::with_capacity(waiting.len().min(MAX_PIPELINE));
            let mut bytes = 0;
            while trip.len() < MAX_PIPELINE && bytes < MAX_BYTES {
                let Some(call) = waiting.next() else { break };
                bytes += size(&call);
                trip.add_command(call);
            }
            replies.extend(script.run(&self.bulk, operation, &trip).await?);
        }
        Ok(replies)
    }

    fn changed(&self, change: &Change, texts: &[Text]) -> Result<Changed, StoreError> {
        let name = &change.name;
        let strange = || self.error(CHANGE, strange(&self.keys.schedules()));
        match (texts.first().and_then(Option::as_deref), texts) {
            (Some(b"written"), [_, Some(revision)]) => {
                let revision =
                    std::str::from_utf8(revision).ok().and_then(|text| text.parse().ok());
                revision.map(Changed::Written).ok_or_else(strange)
            }
            (Some(b"full"), _) => Err(self.full(CHANGE, name)),
            (Some(b"other"), [_, found, position]) => {
                let read = |found: &Vec<u8>| {
                    let other = self.scheduled(name.as_str(), found, position.as_deref());
                    // One of a newer version must not hold up the others of the batch.
                    let warn = |fault: &Fault| {
                        tracing::warn!(
                            endpoint = %self.endpoint, %name, error = %fault.why,
                            "schedule not changed: what is there cannot be read"
                        );
                    };
                    other.inspect_err(warn).ok()
                };
                Ok(Changed::Other(found.as_ref().and_then(read).map(Box::new)))
            }
            _ => Err(strange()),
        }
    }

    /// Writes an entry as the scripts keep it.
    fn text(&self, operation: &'static str, entry: &ScheduleEntry) -> Result<String, StoreError> {
        let key = self.keys.schedules();
        let json = serde_json::to_string(entry)
            .map_err(|why| self.error(operation, Fault::corrupt(&key, why)))?;
        let ScheduleEntry { revision, source, created_at, changed_at, .. } = entry;
        let source = source.as_str();
        Ok(format!("{revision} {source} {} {} {json}", created_at.0, changed_at.0))
    }

    fn scheduled(
        &self,
        name: &str,
        entry: &[u8],
        position: Option<&[u8]>,
    ) -> Result<Scheduled, Fault> {
        let key = format!("{} of {name}", self.keys.schedule_entries());
        let (front, json) =
            entry.split_at(entry.iter().position(|byte| *byte == b'{').unwrap_or(0));
        let entry: ScheduleEntry =
            serde_json::from_slice(json).map_err(|why| Fault::corrupt(&key, why))?;
        let revision = front.split(|byte| *byte == b' ').next().and_then(|front| {
            let front = std::str::from_utf8(front).ok()?;
            front.parse().ok()
        });
        let revision = revision.ok_or_else(|| Fault::corrupt(&key, "it has no revision"))?;
        let entry = ScheduleEntry { revision, ..entry };
        let position = position.and_then(|position| {
            let read = packed::read_position(&String::from_utf8_lossy(position));
            read.inspect_err(|why| {
                tracing::warn!(endpoint = %self.endpoint, %name, %why, "position counts as lost");
            })
            .ok()
        });
        Ok(Scheduled { entry, position })
    }

    fn position(&self, operation: &'static str, text: &str) -> Result<Position, StoreError> {
        let corrupt = |why| Fault::corrupt(&self.keys.schedules(), why);
        packed::read_position(text).map_err(|why| self.error(operation, corrupt(why)))
    }

    fn full(&self, operation: &'static str, name: &ScheduleName) -> StoreError {
        let why = too_many(name);
        self.error(operation, Fault { kind: StoreErrorKind::Refused, why, source: None })
    }
}

/// Draws an incarnation, of which only the first write of a timetable takes one. Below 2^53, like
/// each number that a script may read.
fn incarnation() -> u64 {
    Token::draw().0 >> 11
}

/// Returns how many bytes of arguments a call has.
fn size(call: &Cmd) -> usize {
    let length = |arg: Arg<&[u8]>| if let Arg::Simple(bytes) = arg { bytes.len() } else { 0 };
    call.args_iter().map(length).sum()
}

fn strange(key: &str) -> Fault {
    Fault::corrupt(key, "a script answered what ours never do")
}
