//! The values that only kinds have: programs, variables, URLs, headers, secrets, policies.
//!
//! Responsible for turning each into its type. Guards: a refusal never quotes a text that may be a
//! secret, and what only shows when it is sent (a header with a line end in it) is refused before.

use std::collections::BTreeMap;

use super::super::Sources;
use super::super::secret::SecretUrl;
use super::super::value::{self, Entry, Raw};
use super::given::check_name;
use super::{Given, MAX_ALLOWED, MAX_ARGUMENTS, MAX_NAMED, MIN_SECRET, Variable};
use crate::address::Allowed;
use crate::retry::RetryPolicy;

const SCHEMES: &[&str] = &["http", "https"];

/// Headers that say how a request is sent, and those that Leveret sends.
const RESERVED: [&str; 15] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What all headers of Leveret's own begin with.
const OWN: &str = "x-leveret-";

pub(super) fn program(raw: &Raw) -> Result<Vec<String>, String> {
    let argument = |raw: &Raw| match value::text(raw)? {
        text if text.contains('\0') => Err("it holds a NUL character".to_owned()),
        text => Ok(text.to_owned()),
    };
    let program = value::list(raw, MAX_ARGUMENTS, argument)?;
    match program.first() {
        Some(name) if name.is_empty() => Err("the program's name is empty".to_owned()),
        Some(_) | None => Ok(program),
    }
}

pub(super) fn env(raw: &Raw, sources: &Sources) -> Result<BTreeMap<String, Given>, String> {
    named(raw, |entry| {
        check_name(&entry.name)?;
        Ok((entry.name.clone(), Given::of(&entry.value, sources, check_variable)?))
    })
}

pub(super) fn env_pass(raw: &Raw, sources: &Sources) -> Result<Vec<Variable>, String> {
    value::set(raw, MAX_NAMED, |raw| Variable::of(raw, sources))
}

pub(super) fn url(raw: &Raw) -> Result<SecretUrl, String> {
    let text = value::text(raw)?;
    let url = SecretUrl::new(text, SCHEMES)?;
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains('@') {
        return Err("it holds a user or password; a header `authorization` can be given in \
                    `headers`"
            .to_owned());
    }
    if text.contains('#') {
        return Err("it holds a `#`, and what follows is never sent".to_owned());
    }
    Ok(url)
}

/// Writes a URL without what may be a secret in it.
pub(super) fn show_url(raw: &Raw) -> String {
    match value::text(raw).map(|text| SecretUrl::new(text, SCHEMES)) {
        Ok(Ok(url)) => format!("{:?}", url.to_string()),
        Ok(Err(_)) => super::super::secret::REDACTED.to_owned(),
        Err(_) => raw.write(),
    }
}

pub(super) fn headers(raw: &Raw, sources: &Sources) -> Result<BTreeMap<String, Given>, String> {
    named(raw, |entry| {
        let name = entry.name.to_ascii_lowercase();
        check_header_name(&name)?;
        Ok((name, Given::of(&entry.value, sources, check_header)?))
    })
}

pub(super) fn secrets(raw: &Raw, sources: &Sources) -> Result<Vec<Given>, String> {
    let one = |raw: &Raw| Given::of(raw, sources, check_secret);
    let Raw::List(items) = raw else { return one(raw).map(|secret| vec![secret]) };
    match items.as_slice() {
        [new, old] => Ok(vec![one(new)?, one(old)?]),
        items => Err(format!("the list has {} items, not two", items.len())),
    }
}

pub(super) fn allow(raw: &Raw) -> Result<Vec<Allowed>, String> {
    value::set(raw, MAX_ALLOWED, |raw| value::text(raw)?.parse())
}

pub(super) fn policy(raw: &Raw) -> Result<RetryPolicy, String> {
    let Raw::Table(_) = raw else { return Err("it is not a table".to_owned()) };
    serde_json::from_value(raw.to_json()).map_err(|error| error.to_string())
}

/// Refuses what no variable can hold.
pub(super) fn check_variable(text: &str) -> Result<(), String> {
    if text.contains('\0') { Err("it holds a NUL character".to_owned()) } else { Ok(()) }
}

/// Refuses what no header can hold.
pub(super) fn check_header(text: &str) -> Result<(), String> {
    if !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err("it holds control characters or letters outside ASCII".to_owned());
    }
    if text.is_empty() || text.starts_with(' ') || text.ends_with(' ') {
        return Err("it is empty, or begins or ends with a space".to_owned());
    }
    Ok(())
}

/// Refuses what is too short to keep anybody from guessing it.
pub(super) fn check_secret(text: &str) -> Result<(), String> {
    if text.len() < MIN_SECRET {
        let why = "characters (`openssl rand -hex 32` prints one that is long enough)";
        return Err(format!("it has fewer than {MIN_SECRET} {why}"));
    }
    Ok(())
}

fn check_header_name(name: &str) -> Result<(), String> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_letter) {
        return Err("it is no name of a header".to_owned());
    }
    if RESERVED.contains(&name) || name.starts_with(OWN) {
        return Err("Leveret sends it itself".to_owned());
    }
    Ok(())
}

/// Reads a table of names and what each stands for; says all that is wrong.
fn named<T>(
    raw: &Raw,
    read: impl Fn(&Entry) -> Result<(String, T), String>,
) -> Result<BTreeMap<String, T>, String> {
    let Raw::Table(entries) = raw else { return Err("it is not a table".to_owned()) };
    if entries.len() > MAX_NAMED {
        return Err(format!("it has {} names; at most {MAX_NAMED} are allowed", entries.len()));
    }
    let (mut all, mut wrong) = (BTreeMap::new(), Vec::new());
    for entry in entries {
        match read(entry) {
            Ok((name, value)) => {
                if all.insert(name, value).is_some() {
                    wrong.push(format!("{}: it stands there twice", entry.name));
                }
            }
            Err(why) => wrong.push(format!("{}: {why}", entry.name)),
        }
    }
    if wrong.is_empty() { Ok(all) } else { Err(wrong.join("; ")) }
}
