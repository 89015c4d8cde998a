//! The environment: `LEVERET_*`.
//!
//! Responsible for reading the process's environment (nothing else in Leveret does), and for
//! which variable sets which key. Guards: a variable with our prefix sets a key or is a problem,
//! except those of tests and those that Kubernetes makes for a service that is called `leveret`.

use std::collections::BTreeMap;

use super::Sources;
use super::assignment::{Assignment, mend};
use super::file::read_text;
use super::keys::{KEYS, Key, VARIABLE_PREFIX};
use super::problem::{Origin, Problem};
use super::suggest;
use super::value::Raw;

/// Largest secret file that is read.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// Variables of our own tests and nobody's configuration.
const TEST_PREFIX: &str = "LEVERET_TEST_";

/// Reads the whole environment of this process. Bytes that are not UTF-8 become U+FFFD, which
/// [`super::load`] refuses in every variable of ours.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub fn read() -> BTreeMap<String, String> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// Gives every variable with our prefix to its key.
pub(super) fn assign(
    sources: &Sources,
    assignments: &mut Vec<Assignment>,
    problems: &mut Vec<Problem>,
) {
    for (name, value) in &sources.environment {
        if !name.starts_with(VARIABLE_PREFIX) || name.starts_with(TEST_PREFIX) {
            continue;
        }
        #[cfg(feature = "sabotage")]
        if name == crate::sabotage::VARIABLE {
            problems.extend(check_break(name, value));
            continue;
        }
        match assign_variable(sources, name, value) {
            Ok(Some(assignment)) => assignments.push(assignment),
            Ok(None) => {}
            Err(problem) => problems.push(*problem),
        }
    }
}

fn assign_variable(
    sources: &Sources,
    name: &str,
    value: &str,
) -> Result<Option<Assignment>, Box<Problem>> {
    let assignment = |key, value: &str| {
        let raw = Raw::Untyped(value.to_owned());
        Assignment { key, origin: Origin::Environment(name.to_owned()), raw }
    };
    if let Some(key) = KEYS.iter().find(|key| key.variable() == name) {
        check_text(name, value, key)?;
        return Ok(Some(assignment(key, value)));
    }
    if let Some(key) = KEYS.iter().find(|key| key.file_variable().is_some_and(|own| own == name)) {
        check_text(name, value, key)?;
        return read_secret(sources, name, value, key).map(|text| Some(assignment(key, &text)));
    }
    if is_service_link(name, value) { Ok(None) } else { Err(unknown(name).into()) }
}

/// An empty variable is refused instead of ignored: `LEVERET_BROKER_URL=$URL` with `URL` unset
/// would otherwise start an embedded worker that nobody sends tasks to.
fn check_text(name: &str, value: &str, key: &Key) -> Result<(), Box<Problem>> {
    if value.is_empty() {
        return Err(Problem::new(name, "it is empty", format!("unset it, or {}", mend(key))).into());
    }
    if value.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Problem::new(name, "it holds bytes that are not UTF-8", mend(key)).into());
    }
    Ok(())
}

#[cfg(feature = "sabotage")]
fn check_break(name: &str, value: &str) -> Option<Problem> {
    let why = crate::sabotage::read(value).err()?;
    Some(Problem::new(name, why, "unset it, or name one of these").with_value(format!("{value:?}")))
}

fn read_secret(
    sources: &Sources,
    name: &str,
    file: &str,
    key: &Key,
) -> Result<String, Box<Problem>> {
    let variable = key.variable();
    if sources.environment.contains_key(&variable) {
        let why = format!("{variable} is set as well, and both set {}", key.path);
        return Err(Problem::new(name, why, "unset one of the two").into());
    }
    let text = read_text(&sources.working_dir.join(file), MAX_SECRET_BYTES).map_err(|error| {
        let why = format!("failed to read the secret from this file: {error}");
        let mend = format!("name a readable file whose only line is the value of {}", key.path);
        Problem::new(name, why, mend).with_value(format!("{file:?}"))
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Tells whether Kubernetes made the variable for a service: `LEVERET_SERVICE_HOST`,
/// `LEVERET_GATEWAY_PORT=tcp://…`, `LEVERET_PORT_7878_TCP_ADDR` and their like.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_port_of_link = |rest: &str| {
        let mut parts = rest.split('_');
        parts.next().is_some_and(|port| port.parse::<u16>().is_ok())
            && parts.next().is_some_and(|protocol| matches!(protocol, "TCP" | "UDP" | "SCTP"))
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && value.contains("://"))
        || name.split_once("_PORT_").is_some_and(|(_, rest)| is_port_of_link(rest))
}

fn unknown(name: &str) -> Problem {
    let bare = name.trim_start_matches(VARIABLE_PREFIX).to_lowercase().replace('_', ".");
    let dotted = KEYS.iter().map(|key| key.path.replace('_', ".")).collect::<Vec<_>>();
    let meant = suggest::nearest(&bare, dotted.iter().map(String::as_str))
        .and_then(|meant| KEYS.iter().find(|key| key.path.replace('_', ".") == meant));
    let mend = match meant {
        Some(key) => format!("did you mean {}?", key.variable()),
        None if bare.starts_with("kinds") => "bind kinds in the file: [kinds.\"…\"]".to_owned(),
        None => "unset it; `leveret config show` lists every key".to_owned(),
    };
    Problem::new(name, "no key has this variable", mend)
}
