//! Reads a timetable file.
//!
//! Calendars are a convenience of the file: they are put in place of their names as it is read, and
//! the timetable knows days only. Guards that a file is read whole: everything that is wrong with
//! it is told at once.

use std::collections::{BTreeMap, HashSet};

use leveret_common::name::ScheduleName;
use leveret_common::schedule::Definition;
use leveret_producer::{Problem, nearest};
use serde_json::Value as Json;
use toml::{Table, Value};

use super::json;
use super::parts::{self, Parts};
use super::wanted::{Flaw, Wanted};
use crate::expression::excerpt;
use crate::timing::Timing;

/// What a file may hold.
const TABLES: [&str; 2] = ["schedules", "calendars"];
/// Days of the week, which no calendar may be called.
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

type Calendars = BTreeMap<String, Vec<String>>;

/// Reads a file and has `take` put its schedules into what `start` makes: part by part where the
/// file is large, all at once where it is small, unusual or wrong.
pub(crate) fn gather<T>(
    text: &str,
    start: impl Fn() -> T,
    mut take: impl FnMut(&mut T, Wanted),
) -> T {
    if text.len() >= parts::LARGE {
        let mut taken = start();
        if read_in_parts(text, |part| take(&mut taken, part)).is_some() {
            return taken;
        }
    }
    let mut taken = start();
    take(&mut taken, read_whole(text));
    taken
}

fn read_whole(text: &str) -> Wanted {
    let mut wanted = Wanted::default();
    let file: Table = match text.parse() {
        Ok(file) => file,
        Err(error) => {
            let problem = Problem::new(place_of(text, &error), error.message());
            wanted.flaws.push(Flaw::new("file", problem));
            return wanted;
        }
    };
    let calendars = read_all_but_schedules(&file, &mut wanted.flaws);
    read_schedules(&file, &calendars, &mut wanted);
    wanted
}

/// Reads a file part by part. Says nothing where anything is wrong or unusual: read as a whole, it
/// is told with its place in the file.
fn read_in_parts(text: &str, mut take: impl FnMut(Wanted)) -> Option<()> {
    let Parts { head, schedules } = parts::take_apart(text);
    let head: Table = head.parse().ok()?;
    let mut part = Wanted::default();
    let calendars = read_all_but_schedules(&head, &mut part.flaws);
    read_schedules(&head, &calendars, &mut part);
    let mut names = HashSet::new();
    let mut take = |part: Wanted| {
        // One that stands in two parts is allowed for some, and wrong for others.
        let is_sound =
            part.flaws.is_empty() && part.schedules.keys().all(|name| names.insert(name.clone()));
        is_sound.then(|| take(part))
    };
    take(part)?;
    for text in schedules {
        let mut part = Wanted::default();
        read_schedules(&text.parse().ok()?, &calendars, &mut part);
        take(part)?;
    }
    Some(())
}

/// Reads the calendars, and notes what is neither a calendar nor a schedule.
fn read_all_but_schedules(file: &Table, flaws: &mut Vec<Flaw>) -> Calendars {
    for name in file.keys().filter(|name| !TABLES.contains(&name.as_str())) {
        let problem = Problem::new(name, nearest::unknown("table", name, &TABLES));
        flaws.push(Flaw::new("file", problem));
    }
    read_calendars(file, flaws)
}

fn read_schedules(file: &Table, calendars: &Calendars, wanted: &mut Wanted) {
    for (name, says) in tables(file, "schedules", &mut wanted.flaws) {
        match read_schedule(name, says, calendars) {
            Ok((name, definition)) => {
                wanted.schedules.insert(name, definition);
            }
            Err(problems) => {
                let flaws = problems.into_iter().map(|problem| Flaw::new(name.as_str(), problem));
                wanted.flaws.extend(flaws);
            }
        }
    }
}

/// Returns the tables below a table of the file.
fn tables<'a>(file: &'a Table, kind: &str, flaws: &mut Vec<Flaw>) -> Vec<(&'a String, &'a Table)> {
    let mut refuse = |field: &str, form: &str| {
        let why = format!("it is no table; write [{form}]");
        flaws.push(Flaw::new("file", Problem::new(field, why)));
    };
    let found = match file.get(kind) {
        None => return Vec::new(),
        Some(Value::Table(found)) => found,
        Some(_) => {
            refuse(kind, &format!("{kind}.NAME"));
            return Vec::new();
        }
    };
    let mut tables = Vec::with_capacity(found.len());
    for (name, value) in found {
        match value {
            Value::Table(table) => tables.push((name, table)),
            _ => refuse(&format!("{kind}.{name}"), &format!("{kind}.{name:?}")),
        }
    }
    tables
}

fn read_calendars(file: &Table, flaws: &mut Vec<Flaw>) -> Calendars {
    let mut calendars = Calendars::new();
    for (name, table) in tables(file, "calendars", flaws) {
        let mut problems = Vec::new();
        if WEEKDAYS.contains(&name.as_str()) {
            let why = "a day of the week is called so; give the calendar another name";
            problems.push(Problem::new("name", why));
        }
        for field in table.keys().filter(|field| *field != "days") {
            problems.push(Problem::new(field, nearest::unknown("field", field, &["days"])));
        }
        let days = days(table.get("days"), &mut problems);
        problems.extend(wrong_days(&days));
        let is_right = problems.is_empty();
        let place = format!("calendars.{name}");
        flaws.extend(problems.into_iter().map(|problem| Flaw::new(place.as_str(), problem)));
        // One that is wrong is told once, and not again for each schedule that names it.
        calendars.insert(name.clone(), if is_right { days } else { Vec::new() });
    }
    calendars
}

/// Reads the days of a calendar, as far as they are text.
fn days(value: Option<&Value>, problems: &mut Vec<Problem>) -> Vec<String> {
    const FORM: &str = "write a list of days, such as [\"2027-12-24..2027-12-31\", \"12-25\"]";
    let mut refuse = |what: String| problems.push(Problem::new("days", format!("{what}; {FORM}")));
    let mut days = Vec::new();
    match value {
        None => refuse("it is missing".to_owned()),
        Some(Value::Array(listed)) => {
            for day in listed {
                match day {
                    Value::String(text) => days.push(text.clone()),
                    Value::Datetime(date) => days.push(date.to_string()),
                    other => refuse(format!("`{}` is no text", excerpt(&other.to_string(), 40))),
                }
            }
        }
        Some(_) => refuse("it is no list".to_owned()),
    }
    days
}

/// Has the days of a calendar judged as those of a schedule are.
fn wrong_days(days: &[String]) -> Vec<Problem> {
    let (Ok(name), Ok(kind)) = ("calendar".parse(), "calendar".parse()) else { return Vec::new() };
    let mut daily = Definition::new("@daily", kind);
    days.clone_into(&mut daily.exclude);
    let problems = Timing::new(&name, &daily).err().unwrap_or_default();
    problems.into_iter().map(|problem| Problem { field: "days".to_owned(), ..problem }).collect()
}

fn read_schedule(
    name: &str,
    says: &Table,
    calendars: &Calendars,
) -> Result<(ScheduleName, Definition), Vec<Problem>> {
    if !says.is_empty() && says.values().all(Value::is_table) && !says.contains_key("args") {
        let inner = says.keys().next().map_or("", String::as_str);
        let why = format!(
            "a name with dots is written in quotes: [schedules.\"{name}.{inner}\"]; without them it \
             is a table in a table"
        );
        return Err(vec![Problem::new("name", why)]);
    }
    let mut problems = Vec::new();
    let called = name.parse().map_err(|error| problems.push(Problem::new("name", error))).ok();
    let mut object = serde_json::Map::new();
    for (field, value) in says {
        match to_json(value) {
            Ok(value) => {
                object.insert(field.clone(), value);
            }
            Err(why) => problems.push(Problem::new(field, why)),
        }
    }
    if let Some(Json::Array(days)) = object.get_mut("exclude") {
        *days = expanded(std::mem::take(days), calendars, &mut problems);
    }
    let read = json::read(Json::Object(object).to_string().as_bytes());
    let read = read.map_err(|found| {
        let is_told = |new: &Problem| problems.iter().any(|told| told.field == new.field);
        let found: Vec<_> = found.into_iter().filter(|problem| !is_told(problem)).collect();
        problems.extend(found);
    });
    json::judge(called.as_ref(), read.as_ref().ok(), &mut problems);
    called.zip(read.ok()).filter(|_| problems.is_empty()).ok_or(problems)
}

/// Puts the days of calendars in place of their names.
fn expanded(exclude: Vec<Json>, calendars: &Calendars, problems: &mut Vec<Problem>) -> Vec<Json> {
    let mut days: Vec<Json> = Vec::with_capacity(exclude.len());
    for entry in exclude {
        // What is no text is refused by the reader of the field.
        let name = entry.as_str().unwrap_or_default();
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let is_weekday = WEEKDAYS.iter().any(|day| day.eq_ignore_ascii_case(name));
        let fresh = match calendars.get(name) {
            Some(calendar) => calendar.iter().cloned().map(Json::String).collect(),
            None if is_name && !is_weekday => {
                let mut names: Vec<&str> = calendars.keys().map(String::as_str).collect();
                names.extend(WEEKDAYS);
                let why = nearest::unknown("calendar or day of the week", name, &names);
                problems.push(Problem::new("exclude", why));
                Vec::new()
            }
            None => vec![entry],
        };
        for day in fresh {
            if !days.contains(&day) {
                days.push(day);
            }
        }
    }
    days
}

fn to_json(value: &Value) -> Result<Json, String> {
    Ok(match value {
        Value::String(text) => Json::String(text.clone()),
        Value::Integer(number) => Json::from(*number),
        Value::Float(number) => serde_json::Number::from_f64(*number)
            .map(Json::Number)
            .ok_or_else(|| format!("JSON has no number {number}; write text instead"))?,
        Value::Boolean(is) => Json::Bool(*is),
        Value::Datetime(at) => Json::String(at.to_string()),
        Value::Array(list) => Json::Array(list.iter().map(to_json).collect::<Result<_, _>>()?),
        Value::Table(table) => {
            let fields = table.iter().map(|(name, value)| Ok((name.clone(), to_json(value)?)));
            Json::Object(fields.collect::<Result<_, String>>()?)
        }
    })
}

/// Says where in `text` an error is.
fn place_of(text: &str, error: &toml::de::Error) -> String {
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return "toml".to_owned();
    };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_told_beside_a_calendar_that_is_wrong_or_missing() {
        let wanted = read(
            "[schedules.a]\nwhen = \"61 2 * * *\"\nzone = \"Europe/Berln\"\nkind = \"k\"\n\
             exclude = [\"holydays\"]\n\
             [calendars.holidays]\ndays = [\"2027-13-24\", 5, \"12-25\", [1]]\n",
        );
        let found: Vec<_> = wanted.flaws.iter().map(ToString::to_string).collect();
        let begins = [
            "calendars.holidays: days: `5` is no text; write a list of days",
            "calendars.holidays: days: `[1]` is no text",
            "calendars.holidays: days: `2027-13-24` is no day",
            "a: exclude: there is no calendar or day of the week",
            "a: when: minute, column 1: `61` is not within 0-59",
            "a: zone: there is no zone `Europe/Berln`; did you mean `Europe/Berlin`?",
        ];
        assert_eq!(found.len(), begins.len(), "{found:#?}");
        for begin in begins {
            assert!(found.iter().any(|line| line.starts_with(begin)), "{begin}: {found:#?}");
        }
    }

    fn read(text: &str) -> Wanted {
        gather(text, Wanted::default, Wanted::extend)
    }

    fn in_parts(text: &str) -> Option<Wanted> {
        let mut all = Wanted::default();
        read_in_parts(text, |part| all.extend(part)).map(|()| all)
    }

    /// A file of many schedules, in which `odd` stands somewhere.
    fn large(odd: &str) -> String {
        let schedule = |n: usize| {
            format!(
                "[schedules.\"s.{n}\"]\nwhen = \"@daily\"\nkind = \"k\"\nexclude = [\"days\"]\n\
                 [schedules.\"s.{n}\".args]\nn = {n}\n"
            )
        };
        let mut text: String = (0..400).map(schedule).collect();
        text.push_str(odd);
        text.extend((400..1_000).map(schedule));
        text + "[calendars.days]\ndays = [\"12-24\"]\n"
    }

    #[test]
    fn a_large_file_says_the_same_in_parts_and_as_a_whole() {
        for odd in ["", "[schedules.a]\nwhen = \"@hourly\"\nkind = \"k\"\n", "[schedules]\n"] {
            let text = large(odd);
            assert!(text.len() > parts::LARGE);
            let (in_parts, whole) = (in_parts(&text), read_whole(&text));
            assert!(in_parts.as_ref() == Some(&whole), "{odd}");
            assert!(whole.schedules.len() >= 1_000 && whole.flaws.is_empty(), "{odd}");
            let exclude = &whole.schedules.values().last().unwrap().exclude;
            assert_eq!(exclude, &["12-24"]);
        }
    }

    #[test]
    fn what_is_wrong_in_a_large_file_is_told_with_its_place_in_it() {
        let again = "[schedules.\"s.7\"]\nwhen = \"@hourly\"\nkind = \"k\"\n";
        let far = "[schedules.\"s.900\".tags]\na = \"b\"\n[schedules.\"s.1\".tags]\nb = \"c\"\n";
        for odd in [again, "[schedules.x]\nwhen = \"61 * * * *\"\n", "[schedules.y\n", "[other]\n"]
        {
            let text = large(odd);
            assert!(in_parts(&text).is_none(), "{odd}");
            let wanted = read(&text);
            assert!(!wanted.flaws.is_empty(), "{odd}");
            assert!(wanted == read_whole(&text), "{odd}");
        }
        // Sections that belong together and stand apart are allowed.
        let text = large(far);
        assert!(in_parts(&text).is_none());
        let wanted = read(&text);
        assert_eq!(wanted.flaws, []);
        assert_eq!(wanted.schedules[&"s.900".parse().unwrap()].tags.len(), 1);
    }
}
