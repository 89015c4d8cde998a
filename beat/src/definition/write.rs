//! Writes schedules back in the form in which they are read.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use leveret_common::clock::Millis;
use leveret_common::duration::DurationText;
use leveret_common::name::{Class, KindName, QueueName, ScheduleName};
use leveret_common::schedule::{Definition, Misfire, MisfirePolicy, Overlap, Source};
use leveret_common::store::ScheduleEntry;
use serde::Serialize;
use serde_json::value::RawValue;

/// What a schedule says, as people read and write it: [`super::read`] reads it back. What is at its
/// default is left out.
#[derive(Debug, Clone, Serialize)]
pub struct Written<'a> {
    when: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    kind: &'a KindName,
    #[serde(skip_serializing_if = "is_null")]
    args: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'a QueueName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<Class>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    misfire: Option<WrittenMisfire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<Overlap>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    exclude: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

/// A policy alone, or all of it.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum WrittenMisfire {
    Policy(MisfirePolicy),
    Whole(Misfire),
}

impl<'a> Written<'a> {
    /// Writes what `definition` says.
    #[must_use]
    pub fn new(definition: &'a Definition) -> Self {
        let span = |span: Option<Duration>| span.map(DurationText::from);
        Self {
            when: &definition.when,
            zone: definition.zone.as_deref(),
            kind: &definition.kind,
            args: &definition.args,
            queue: definition.queue.as_ref(),
            class: definition.class,
            expires: span(definition.expires),
            timeout: span(definition.timeout),
            max_attempts: definition.max_attempts,
            tags: &definition.tags,
            start: definition.start.map(instant),
            end: definition.end.map(instant),
            jitter: span(definition.jitter),
            misfire: misfire(definition.misfire),
            overlap: Some(definition.overlap).filter(|overlap| *overlap != Overlap::default()),
            exclude: &definition.exclude,
            description: definition.description.as_deref(),
        }
    }

    /// Returns each field with its value as JSON, in their order; args are `null` where they are.
    #[must_use]
    pub fn fields(&self) -> Vec<(String, String)> {
        // Through text: a JSON value would not keep numbers as they were written.
        let text = serde_json::to_string(self).unwrap_or_default();
        let fields = leveret_producer::fields::Fields::read(text.as_bytes(), &super::FIELDS);
        let Ok(mut fields) = fields else { return Vec::new() };
        let value = |name: &&str| {
            Some(((*name).to_owned(), fields.take(name, |raw| Ok(raw.get().to_owned()))?))
        };
        super::FIELDS.iter().filter_map(value).collect()
    }
}

/// A line of an export, which an import reads.
#[derive(Debug, Clone, Serialize)]
pub struct Line<'a> {
    /// The schedule.
    pub name: &'a ScheduleName,
    /// Where it comes from.
    pub source: &'a Source,
    /// Whether it is paused.
    pub paused: bool,
    /// What it says.
    pub definition: Written<'a>,
}

impl<'a> Line<'a> {
    /// Creates the line of an entry.
    #[must_use]
    pub fn new(entry: &'a ScheduleEntry) -> Self {
        Self {
            name: &entry.name,
            source: &entry.source,
            paused: entry.paused.is_some(),
            definition: Written::new(&entry.definition),
        }
    }
}

impl fmt::Display for Line<'_> {
    /// Writes it as JSON, without the end of the line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

fn misfire(misfire: Misfire) -> Option<WrittenMisfire> {
    let usual = Misfire::default();
    if misfire == usual {
        return None;
    }
    let alone = Misfire { policy: misfire.policy, ..usual } == misfire;
    Some(if alone {
        WrittenMisfire::Policy(misfire.policy)
    } else {
        WrittenMisfire::Whole(misfire)
    })
}

fn is_null(json: &&RawValue) -> bool {
    json.get() == "null"
}

/// Writes an instant in RFC 3339; one beyond its calendar as the number that it is.
#[must_use]
pub fn instant(at: Millis) -> String {
    let at_calendar = i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_millis);
    at_calendar
        .map_or_else(|| at.0.to_string(), |at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}
