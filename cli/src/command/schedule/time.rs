//! Times as people write and read them: in the schedule's zone, and in UTC beside it.

use leveret_beat::chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use leveret_beat::chrono_tz::Tz;
use leveret_beat::expression::Expression;
use leveret_beat::timing::explain::{self, ClockChange, Upcoming};
use leveret_common::clock::{Clock, Millis, SystemClock};
use leveret_common::duration::DurationText;
use serde_json::{Value, json};

use crate::client::{Client, about, part};
use crate::error::Error;
use crate::report::{self, Format};

/// Reads a time: with an offset, or as the zone's wall clock shows it; a date is its midnight.
pub(super) fn read(argument: &str, text: &str, zone: Tz) -> Result<DateTime<Utc>, Error> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    // The rules for hours that do not exist, or come twice, are those of a schedule that is due once.
    let whole = if text.contains(['T', 't']) { text.to_owned() } else { format!("{text}T00:00") };
    let once = format!("at {whole}").parse::<Expression>().ok();
    let at = once.and_then(|once| once.next(once.zone().unwrap_or(zone), DateTime::UNIX_EPOCH));
    let is_date = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok();
    at.ok_or_else(|| {
        let why = if text.split(['T', 't']).next().is_some_and(is_date) {
            "there is no such time, or it is beyond the years 1970 to 2099, which schedules know"
        } else {
            "it is no time; write a date (2027-03-28), a date with a time of the zone \
             (2027-03-28T01:30), or one with an offset (2027-03-28T01:30:00Z)"
        };
        Error::Argument { what: argument.to_owned(), why: why.to_owned() }
    })
}

/// Reads where to begin: what is due at that very time counts. Without a text it is now.
pub(super) fn beginning(text: Option<&str>, zone: Tz) -> Result<DateTime<Utc>, Error> {
    match text {
        Some(text) => Ok(read("--from", text, zone)? - TimeDelta::milliseconds(1)),
        None => Ok(now()),
    }
}

/// Returns the time of this machine.
pub(super) fn now() -> DateTime<Utc> {
    instant(SystemClock.now())
}

/// Returns an instant of the calendar; its last one for what lies behind.
pub(super) fn instant(at: Millis) -> DateTime<Utc> {
    let at = i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_millis);
    at.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Writes an instant in UTC, in RFC 3339, as the gateway does.
pub(super) fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Reads an instant of an answer.
pub(super) fn parsed(at: &Value) -> Option<Millis> {
    u64::try_from(of(at)?.timestamp_millis()).ok().map(Millis)
}

fn of(at: &Value) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(at.as_str()?).ok().map(|at| at.to_utc())
}

/// Reads the zone of an answer.
pub(super) fn zone(name: &Value) -> Tz {
    name.as_str().and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}

/// Returns the zone in which a time without an offset is meant: that of the schedule.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn zone_of(name: &str, text: &str, client: &Client) -> Result<Tz, Error> {
    if DateTime::parse_from_rfc3339(text).is_ok() {
        return Ok(Tz::UTC);
    }
    let path = format!("/v1/schedules/{}/next?n=1", part(name));
    Ok(zone(&client.get(about("ask for the zone of schedule", name), &path).await?["zone"]))
}

/// Writes an instant for programs, as the gateway does, with the change of the clocks on its day.
pub(super) fn document(one: &Upcoming) -> Value {
    let mut document = json!({
        "due": utc(one.due),
        "local": one.local.to_rfc3339_opts(SecondsFormat::Millis, true),
    });
    if let Some(change) = one.clock_change {
        let sign = if change.by < TimeDelta::zero() { "-" } else { "" };
        let by = DurationText(change.by.abs().to_std().unwrap_or_default());
        document["clock_change"] = json!({ "at": utc(change.at), "by": format!("{sign}{by}") });
    }
    document
}

/// Prints instants for people: what the zone's wall clock shows, and what it does on a day on which
/// the clocks change.
pub(super) fn print(zone: Tz, documents: &[Value]) -> Result<(), Error> {
    let rows: Vec<Value> = documents.iter().map(|document| row(zone, document)).collect();
    let is_told = |name: &&str| match *name {
        "due" => zone != Tz::UTC,
        "planned" | "clocks" => rows.iter().any(|row| row[*name].is_string()),
        _ => true,
    };
    let columns: Vec<&str> =
        ["due", "utc", "planned", "clocks"].into_iter().filter(is_told).collect();
    Ok(report::rows(Format::Table, &columns, &rows)?)
}

fn row(zone: Tz, document: &Value) -> Value {
    let one = of(&document["due"]).map(|due| explain::upcoming(zone, due));
    let Some(one) = one else { return json!({ "utc": document["due"] }) };
    let seconds = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let planned = of(&document["planned"]).filter(|planned| *planned != one.due);
    json!({
        "due": one.local.format("%a %Y-%m-%d %H:%M:%S %:z").to_string(),
        "utc": seconds(one.due),
        "planned": planned.map(seconds),
        "clocks": one.clock_change.map(|change| jump(zone, change)),
    })
}

/// Says what the wall clock does: `02:00 becomes 03:00`.
fn jump(zone: Tz, change: ClockChange) -> String {
    let after = change.at.with_timezone(&zone).naive_local();
    let before = after - change.by;
    // A day that some zone left out: 2011-12-30 in Samoa.
    let form = if before.date() == after.date() { "%H:%M" } else { "%F %H:%M" };
    format!("{} becomes {}", before.format(form), after.format(form))
}

#[cfg(test)]
mod tests {
    use leveret_beat::chrono_tz::Europe::Berlin;
    use leveret_beat::chrono_tz::Pacific::Apia;

    use super::*;

    fn read_utc(text: &str) -> Option<String> {
        read("--from", text, Berlin).ok().map(utc)
    }

    #[test]
    fn a_time_is_read_with_an_offset_or_in_the_zone() {
        for (text, is) in [
            ("2027-03-28", "2027-03-27T23:00:00.000Z"),
            ("2027-03-28T01:30", "2027-03-28T00:30:00.000Z"),
            ("2027-03-28T01:30:15", "2027-03-28T00:30:15.000Z"),
            ("2027-03-28T01:30:00Z", "2027-03-28T01:30:00.000Z"),
            ("2027-03-28T01:30:00.250+02:00", "2027-03-27T23:30:00.250Z"),
            // It does not exist: the clocks go from 02:00 to 03:00.
            ("2027-03-28T02:30", "2027-03-28T01:00:00.000Z"),
        ] {
            assert_eq!(read_utc(text).as_deref(), Some(is), "{text}");
        }
        for text in ["", "tomorrow", "2027-13-01", "12:30"] {
            let told = read("--from", text, Berlin).unwrap_err().to_string();
            assert!(told.contains("it is no time; write a date (2027-03-28)"), "{text}: {told}");
        }
        for text in ["2150-01-01", "1969-12-31T23:00", "2027-03-28T25:00"] {
            let told = read("--from", text, Berlin).unwrap_err().to_string();
            assert!(told.contains("beyond the years 1970 to 2099"), "{text}: {told}");
        }
    }

    #[test]
    fn what_is_due_at_the_beginning_counts() {
        let from = beginning(Some("2027-03-28"), Berlin).unwrap();
        assert_eq!(utc(from), "2027-03-27T22:59:59.999Z");
    }

    #[test]
    fn a_jump_of_the_clocks_is_told_as_the_wall_shows_it() {
        let of = |day: &str| {
            let noon = read("--from", &format!("{day}T12:00"), Berlin).unwrap();
            explain::clock_change(Berlin, noon).map(|change| jump(Berlin, change))
        };
        assert_eq!(of("2027-03-28").as_deref(), Some("02:00 becomes 03:00"));
        assert_eq!(of("2027-10-31").as_deref(), Some("03:00 becomes 02:00"));
        assert_eq!(of("2027-11-01"), None);

        let day = read("--from", "2011-12-31T12:00", Apia).unwrap();
        let skipped = explain::clock_change(Apia, day).map(|change| jump(Apia, change));
        assert_eq!(skipped.as_deref(), Some("2011-12-30 00:00 becomes 2011-12-31 00:00"));
    }
}
