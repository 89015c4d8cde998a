//! Reads schedules from lines, one JSON object each.
//!
//! Takes what an export writes, and objects in the form of [`super::read_named`] alike.

use leveret_common::name::ScheduleName;
use leveret_producer::Problem;
use leveret_producer::fields;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::json::{self, Named};
use super::wanted::{Flaw, Wanted};

/// A schedule as a line has it.
struct Line {
    named: Named,
    is_paused: bool,
}

pub(super) fn read(text: &str) -> Wanted {
    let mut wanted = Wanted::default();
    let written = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    for (place, line) in written {
        let place = format!("line {}", place + 1);
        match read_line(line) {
            Ok(Line { named: Named { name, .. }, .. }) if wanted.schedules.contains_key(&name) => {
                let why =
                    format!("a line before has a schedule called {name} too; keep one of them");
                wanted.flaws.push(Flaw::new(place, Problem::new("name", why)));
            }
            Ok(Line { named: Named { name, definition }, is_paused }) => {
                if is_paused {
                    wanted.paused.insert(name.clone());
                }
                wanted.schedules.insert(name, definition);
            }
            Err(problems) => {
                let flaws = problems.into_iter().map(|problem| Flaw::new(place.as_str(), problem));
                wanted.flaws.extend(flaws);
            }
        }
    }
    wanted
}

fn read_line(line: &str) -> Result<Line, Vec<Problem>> {
    /// Whether the definition stands apart, as exports have it.
    #[derive(Deserialize)]
    struct Form {
        #[serde(default)]
        definition: Option<IgnoredAny>,
    }
    let form = serde_json::from_str::<Form>(line).ok();
    if form.is_none_or(|form| form.definition.is_none()) {
        let named = json::read_named(line.as_bytes())?;
        return Ok(Line { named, is_paused: false });
    }
    let mut fields = json::open(line.as_bytes(), &["name", "source", "paused", "definition"])?;
    let what = "is what the schedule is called, such as \"report.nightly\"";
    let name = fields.demand("name", what, fields::parsed::<ScheduleName>);
    let is_paused = fields.take("paused", |raw| {
        let wrong = || format!("it is {}; write true or false", fields::sort(raw));
        serde_json::from_str::<bool>(raw.get()).map_err(|_| wrong())
    });
    let definition = fields.take("definition", Ok);
    let definition = definition.and_then(|raw| {
        let problems = match json::read(raw.get().as_bytes()) {
            Ok(definition) => return Some(definition),
            Err(problems) => problems,
        };
        problems.into_iter().for_each(|Problem { field, why }| fields.refuse(&field, why));
        None
    });
    let mut problems = fields.into_problems();
    json::judge(name.as_ref(), definition.as_ref(), &mut problems);
    let named = name.zip(definition).map(|(name, definition)| Named { name, definition });
    let line = named.map(|named| Line { named, is_paused: is_paused.unwrap_or_default() });
    json::finished(line, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_says_is_judged_beside_a_name_that_is_wrong() {
        let definition = r#"{"when": "61 2 * * *", "kind": "k"}"#;
        let wanted = read(&format!(r#"{{"name": "A b", "definition": {definition}}}"#));
        let found: Vec<_> = wanted.flaws.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(found[0].starts_with("line 1: name: schedule \"A b\" is not valid"), "{found:?}");
        assert!(found[1].starts_with("line 1: when: minute, column 1: `61`"), "{found:?}");
    }
}
