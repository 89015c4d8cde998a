//! What may be written in an expression, checked before `croner` sees it.
//!
//! `croner` replaces names anywhere in the text and skips empty list items, so that it reads
//! `SUNMON` as Monday and `1,,2` as `1,2`. Guards that such a slip is an error that names its
//! field. Ranges of numbers are left to `croner`.

use super::Problem;

/// The longest expression: a list of every minute and every hour fits.
pub(super) const MAX_LENGTH: usize = 512;

const WORDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

struct Field {
    name: &'static str,
    takes: &'static str,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        takes: "0-59, `*`, ranges `1-5`, steps `*/5` and `1-30/5`, and lists of them",
        names: &[],
    },
    Field {
        name: "hour",
        takes: "0-23, `*`, ranges `1-5`, steps `*/5` and `1-20/5`, and lists of them",
        names: &[],
    },
    Field {
        name: "day of month",
        takes: "1-31, `*`, `?`, `L`, `LW`, `15W`, ranges, steps, and lists of them",
        names: &[],
    },
    Field {
        name: "month",
        takes: "1-12, JAN-DEC, `*`, ranges, steps, and lists of them",
        names: &MONTHS,
    },
    Field {
        name: "day of week",
        takes: "0-7 (0 and 7 are Sunday), SUN-SAT, `*`, `?`, `5L`, `5#3`, ranges, steps, and lists of them",
        names: &DAYS,
    },
];

/// Splits an expression into its five fields, in capitals, or spells out its word.
pub(super) fn fields(text: &str) -> Result<[String; 5], Problem> {
    if text.len() > MAX_LENGTH {
        return Err(Problem::TooLong(text.len()));
    }
    let text = text.trim();
    let spelled = if text.starts_with('@') { word(text)? } else { text };
    let fields: Vec<String> =
        spelled.split_ascii_whitespace().map(str::to_ascii_uppercase).collect();
    let count = fields.len();
    let fields: [String; 5] = fields.try_into().map_err(|_| Problem::FieldCount(count))?;
    for (index, (field, text)) in FIELDS.iter().zip(&fields).enumerate() {
        for part in text.split(',') {
            let last_of_list = text == part || !part.contains(['*', '?']);
            if !last_of_list || !is_part(index, field, part) {
                let part = part.to_owned();
                return Err(Problem::Part { field: field.name, part, takes: field.takes });
            }
        }
    }
    Ok(fields)
}

/// Lists the words for an error message.
pub(super) fn words() -> String {
    WORDS.map(|(word, _)| word).join(", ")
}

fn word(text: &str) -> Result<&'static str, Problem> {
    let known = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    known.map(|(_, fields)| *fields).ok_or(Problem::UnknownWord)
}

fn is_part(index: usize, field: &Field, part: &str) -> bool {
    let is_value = |text: &str| is_number(text) || field.names.contains(&text);
    let is_range = |text: &str| {
        text.split_once('-').is_some_and(|(first, last)| is_value(first) && is_value(last))
    };
    match (index, part) {
        (_, "*") | (2 | 4, "?") | (2, "L" | "LW") => return true,
        (2, day) if day.strip_suffix('W').is_some_and(is_number) => return true,
        (4, day) if day.strip_suffix('L').is_some_and(is_value) => return true,
        (4, day)
            if day.split_once('#').is_some_and(|(day, nth)| is_value(day) && is_number(nth)) =>
        {
            return true;
        }
        _ => {}
    }
    match part.split_once('/') {
        Some((range, step)) => (range == "*" || is_range(range)) && is_number(step),
        None => is_value(part) || is_range(part),
    }
}

fn is_number(text: &str) -> bool {
    (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}
