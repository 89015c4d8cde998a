//! Reads one schedule from a JSON object.
//!
//! Names and forms only; [`super::check`] judges what the fields say.

use leveret_common::envelope::header::MAX_MAX_ATTEMPTS;
use leveret_common::name::{KindName, ScheduleName};
use leveret_common::schedule::{Definition, Misfire, MisfirePolicy, Overlap};
use leveret_producer::fields::{self, Fields};
use leveret_producer::{Problem, nearest};
use serde_json::value::RawValue;

use super::check;

/// The fields of a schedule.
pub const FIELDS: [&str; 17] = [
    "when",
    "zone",
    "kind",
    "args",
    "queue",
    "class",
    "expires",
    "timeout",
    "max_attempts",
    "tags",
    "start",
    "end",
    "jitter",
    "misfire",
    "overlap",
    "exclude",
    "description",
];

/// The fields of a schedule that says its name itself.
const NAMED: [&str; 18] = {
    let mut names = ["name"; 18];
    let mut place = 0;
    while place < FIELDS.len() {
        names[place + 1] = FIELDS[place];
        place += 1;
    }
    names
};

/// The form of an object with a name, as an example.
const EXAMPLE: &str = r#"{"name": "report.nightly", "when": "0 2 * * *", "kind": "report.build"}"#;

/// A schedule with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Its name.
    pub name: ScheduleName,
    /// What it says.
    pub definition: Definition,
}

/// Reads what a schedule says from a JSON object.
///
/// # Errors
/// Everything that is wrong, each with its field; under the field `schedule` what is no object.
pub fn read(json: &[u8]) -> Result<Definition, Vec<Problem>> {
    let mut fields = open(json, &FIELDS)?;
    let definition = definition(&mut fields);
    let problems = judged(None, definition.as_ref(), fields);
    finished(definition, problems)
}

/// Reads a schedule with its name from a JSON object: the fields of [`read`] and `name`.
///
/// # Errors
/// As for [`read`].
pub fn read_named(json: &[u8]) -> Result<Named, Vec<Problem>> {
    let mut fields = open(json, &NAMED)?;
    let what = "is what the schedule is called, such as \"report.nightly\"";
    let name = fields.demand("name", what, fields::parsed::<ScheduleName>);
    let definition = definition(&mut fields);
    let problems = judged(name.as_ref(), definition.as_ref(), fields);
    let named = name.zip(definition).map(|(name, definition)| Named { name, definition });
    finished(named, problems)
}

/// Reads text whose form is an object with these fields.
pub(super) fn open<'a>(json: &'a [u8], names: &[&'static str]) -> Result<Fields<'a>, Vec<Problem>> {
    Fields::read(json, names).map_err(|error| {
        let why = format!("it is not one JSON object, such as {EXAMPLE}: {error}");
        vec![Problem::new("schedule", why)]
    })
}

/// Returns what was read where nothing is wrong.
pub(super) fn finished<T>(read: Option<T>, problems: Vec<Problem>) -> Result<T, Vec<Problem>> {
    match read {
        Some(read) if problems.is_empty() => Ok(read),
        _ => Err(problems),
    }
}

/// Returns everything that is wrong.
fn judged(
    name: Option<&ScheduleName>,
    read: Option<&Definition>,
    fields: Fields<'_>,
) -> Vec<Problem> {
    let mut problems = fields.into_problems();
    judge(name, read, &mut problems);
    problems
}

/// Where something is wrong already, has what the other fields say judged as well, so that their
/// writer learns it in the same answer.
pub(super) fn judge(
    name: Option<&ScheduleName>,
    read: Option<&Definition>,
    problems: &mut Vec<Problem>,
) {
    let (Some(read), false) = (read, problems.is_empty()) else { return };
    let is_told = |field: &str| {
        let whole = |told: &Problem| told.field.split('.').next() == field.split('.').next();
        problems.iter().any(whole)
    };
    let further = check::problems(name, read).into_iter();
    let further: Vec<_> = further.filter(|problem| !is_told(&problem.field)).collect();
    problems.extend(further);
}

/// Reads what the fields say. What is missing is noted, and something is put in its place.
fn definition(fields: &mut Fields<'_>) -> Option<Definition> {
    let when = fields.demand("when", "says when it is due, such as \"0 2 * * *\"", fields::text);
    let what = "names what to do, such as \"report.build\"";
    let kind = fields.demand("kind", what, fields::parsed::<KindName>);
    let when = when.unwrap_or_else(|| "@daily".to_owned());
    let kind = kind.or_else(|| "missing".parse().ok())?;
    let args = fields.take("args", |raw| Ok(compact(raw)));
    let attempts = |raw: &_| fields::number(raw, &(1..=MAX_MAX_ATTEMPTS));
    let misfire = fields.take("misfire", Ok).map(|raw| misfire(raw, fields));
    let read = Definition {
        zone: fields.take("zone", fields::text),
        queue: fields.take("queue", fields::parsed),
        class: fields.take("class", fields::parsed),
        expires: fields.take("expires", fields::span),
        timeout: fields.take("timeout", fields::span),
        max_attempts: fields.take("max_attempts", attempts),
        tags: fields.take("tags", fields::tags).unwrap_or_default(),
        start: fields.take("start", fields::instant),
        end: fields.take("end", fields::instant),
        jitter: fields.take("jitter", fields::span).filter(|jitter| !jitter.is_zero()),
        misfire: misfire.unwrap_or_default(),
        overlap: fields.take("overlap", overlap).unwrap_or_default(),
        exclude: fields.take("exclude", days).unwrap_or_default(),
        description: fields.take("description", fields::text),
        ..Definition::new(when, kind)
    };
    Some(match args {
        Some(args) => Definition { args, ..read },
        None => read,
    })
}

/// Reads a policy alone, or an object that says more.
fn misfire(raw: &RawValue, fields: &mut Fields<'_>) -> Misfire {
    let usual = Misfire::default();
    if fields::sort(raw) != "an object" {
        return match policy(raw) {
            Ok(policy) => Misfire { policy, ..usual },
            Err(why) => {
                fields.refuse("misfire", why);
                usual
            }
        };
    }
    let names = ["policy", "after", "window", "max"];
    let mut inner = match Fields::read(raw.get().as_bytes(), &names) {
        Ok(inner) => inner,
        Err(error) => {
            fields.refuse("misfire", error);
            return usual;
        }
    };
    let most = |raw: &_| fields::number(raw, &(1..=Misfire::MOST));
    let read = Misfire {
        policy: inner.take("policy", policy).unwrap_or(usual.policy),
        after: inner.take("after", fields::span).unwrap_or(usual.after),
        window: inner.take("window", fields::span).unwrap_or(usual.window),
        max: inner.take("max", most).unwrap_or(usual.max),
    };
    for Problem { field, why } in inner.into_problems() {
        fields.refuse(&format!("misfire.{field}"), why);
    }
    read
}

fn policy(raw: &RawValue) -> Result<MisfirePolicy, String> {
    let choices = [
        ("skip", MisfirePolicy::Skip),
        ("latest", MisfirePolicy::Latest),
        ("all", MisfirePolicy::All),
    ];
    choice("misfire policy", raw, &choices)
}

fn overlap(raw: &RawValue) -> Result<Overlap, String> {
    let choices = [
        ("allow", Overlap::Allow),
        ("skip", Overlap::Skip),
        ("queue", Overlap::Queue),
        ("cancel", Overlap::Cancel),
    ];
    choice("overlap policy", raw, &choices)
}

fn choice<T: Copy>(what: &str, raw: &RawValue, choices: &[(&str, T)]) -> Result<T, String> {
    let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
    let Ok(text) = serde_json::from_str::<String>(raw.get()) else {
        return Err(format!("it is {}; write one of {}", fields::sort(raw), names.join(", ")));
    };
    let chosen = choices.iter().find(|(name, _)| *name == text);
    chosen.map(|(_, choice)| *choice).ok_or_else(|| nearest::unknown(what, &text, &names))
}

fn days(raw: &RawValue) -> Result<Vec<String>, String> {
    serde_json::from_str(raw.get()).map_err(|_| {
        "it is not a list of text; write one, such as [\"2027-12-24..2027-12-31\", \"sat\"]"
            .to_owned()
    })
}

/// Leaves out what stands between the parts of `json`, so that two texts of one document are equal.
fn compact(json: &RawValue) -> Box<RawValue> {
    let mut compact = String::with_capacity(json.get().len());
    let (mut quoted, mut escaped) = (false, false);
    for c in json.get().chars() {
        if !quoted && c.is_ascii_whitespace() {
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        compact.push(c);
    }
    RawValue::from_string(compact).unwrap_or_else(|_| json.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leveret_common::clock::Millis;

    use super::*;

    fn lines(problems: Vec<Problem>) -> Vec<String> {
        problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.why)).collect()
    }

    fn wrong(json: &str) -> Vec<String> {
        lines(read(json.as_bytes()).unwrap_err())
    }

    #[test]
    fn every_field_is_read() {
        let json = r#"{"when": "0 2 * * *", "zone": "Europe/Berlin", "kind": "report.build",
            "args": { "a b" : [1, "c \" d"] }, "queue": "reports", "class": "low", "expires": "1h",
            "timeout": "30s", "max_attempts": 4, "tags": {"tenant": "42"},
            "start": "2027-01-01T00:00:00+01:00", "end": "2027-12-31T00:00:00Z", "jitter": "90s",
            "misfire": {"policy": "all", "after": "5m", "window": "2d", "max": 7},
            "overlap": "queue", "exclude": ["sat", "12-25"], "description": "the report"}"#;
        let read = read(json.as_bytes()).unwrap();
        assert_eq!(read.when, "0 2 * * *");
        assert_eq!(read.zone.as_deref(), Some("Europe/Berlin"));
        assert_eq!(read.args.get(), r#"{"a b":[1,"c \" d"]}"#);
        assert_eq!(read.queue.as_ref().map(|queue| queue.as_str()), Some("reports"));
        assert_eq!(read.start, Some(Millis(1_798_758_000_000)));
        assert_eq!(read.jitter, Some(Duration::from_secs(90)));
        assert_eq!(read.misfire.policy, MisfirePolicy::All);
        assert_eq!(read.misfire.window, Duration::from_secs(2 * 86_400));
        assert_eq!((read.misfire.max, read.overlap), (7, Overlap::Queue));
        assert_eq!(read.exclude, ["sat", "12-25"]);
        assert_eq!(read.description.as_deref(), Some("the report"));
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_field() {
        let found = wrong(
            r#"{"when": 7, "kidn": "a", "class": "urgent", "expires": 30, "start": "tomorrow",
                "misfire": {"policy": "al", "wndow": "1h", "max": "x"}, "overlap": "skp",
                "exclude": "sat", "zone": []}"#,
        );
        let has = |text: &str| assert!(found.iter().any(|line| line.contains(text)), "{found:#?}");
        has("when: it is a number; write text");
        has("kidn: there is no field \"kidn\"; did you mean \"kind\"?");
        has("kind: it is missing; it names what to do");
        has("class: class \"urgent\" is not valid");
        has("expires: it has no unit; write 30s");
        has("start: it is not an instant; write RFC 3339");
        has("misfire.policy: there is no misfire policy \"al\"; did you mean \"all\"?");
        has("misfire.wndow: there is no field \"wndow\"; did you mean \"window\"?");
        has("misfire.max: it is text; write a whole number within 1 and 10000");
        has("overlap: there is no overlap policy \"skp\"; did you mean \"skip\"?");
        has("exclude: it is not a list of text");
        has("zone: it is a list");
        assert_eq!(found.len(), 12, "{found:#?}");
    }

    #[test]
    fn what_a_field_says_is_judged_beside_the_forms_of_the_others() {
        let found = wrong(
            r#"{"when": "61 2 * * *", "zone": "Europe/Berln", "kindd": "a", "max_attempts": 0,
                "misfire": {"policy": "all", "max": 0, "aftr": "1m"}, "tags": {"": "x"}}"#,
        );
        let fields: Vec<_> =
            found.iter().map(|line| line.split(':').next().unwrap_or_default()).collect();
        let all = ["kindd", "kind", "misfire.aftr", "when", "zone", "max_attempts", "tags"];
        assert_eq!(fields, all, "{found:#?}");
    }

    #[test]
    fn what_is_no_object_is_told_under_schedule() {
        for json in ["", "[]", "7", "{\"when\":", "{} {}"] {
            let found = wrong(json);
            assert!(found[0].starts_with("schedule: it is not one JSON object"), "{found:?}");
        }
    }

    #[test]
    fn no_schedule_is_called_as_what_is_done_to_all() {
        let named = |name: &str, rest: &str| {
            let json = format!(r#"{{"name": "{name}", "when": "@daily", "kind": "k"{rest}}}"#);
            read_named(json.as_bytes())
        };
        for name in check::RESERVED {
            // With another mistake all is told at once; alone it is the judge's to tell.
            let found = lines(named(name, r#", "kindd": 1"#).unwrap_err());
            assert_eq!(found.len(), 2, "{found:?}");
            let why = format!("name: no schedule can be called {name}: export, import, plan are");
            assert!(found[1].starts_with(&why), "{found:?}");
            let read = named(name, "").unwrap();
            let found = lines(check::problems(Some(&read.name), &read.definition));
            assert!(found[0].starts_with(&why) && found.len() == 1, "{found:?}");
        }
        assert!(
            check::problems(Some(&"plan.b".parse().unwrap()), &named("a", "").unwrap().definition)
                .is_empty()
        );
    }

    #[test]
    fn a_name_is_read_where_one_is_asked_for() {
        let json = br#"{"name": "a.b", "when": "@daily", "kind": "k"}"#;
        assert_eq!(read_named(json).unwrap().name.as_str(), "a.b");
        assert!(read(json).is_err());
        let found = lines(read_named(br#"{"when": "@daily", "kind": "k"}"#).unwrap_err());
        assert_eq!(
            found,
            ["name: it is missing; it is what the schedule is called, such as \"report.nightly\""]
        );
    }
}
