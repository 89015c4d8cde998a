//! What a worker needs of its kinds in the clear, read as it starts.
//!
//! Responsible for reading every file and variable that a kind names, and for reporting all that
//! cannot be read at once. What the texts are for is the worker's.

use std::collections::BTreeMap;
use std::fmt;

use super::super::file::{KINDS, join};
use super::super::problem::{Problem, Problems};
use super::{Given, KindSettings, parts};
use crate::name::KindName;

/// The texts of one kind, in the clear.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// What its program finds in its environment.
    pub env: BTreeMap<String, String>,
    /// The headers of its requests.
    pub headers: BTreeMap<String, String>,
    /// What its requests are signed with.
    pub secrets: Vec<String>,
}

/// Reads what the kinds keep in files and variables.
///
/// # Errors
/// [`Problems`] with every text that cannot be read or used.
pub fn open(
    kinds: &BTreeMap<KindName, KindSettings>,
) -> Result<BTreeMap<KindName, Opened>, Problems> {
    let mut problems = Vec::new();
    let mut open_kind = |(name, kind): (&KindName, &KindSettings)| {
        let path = join(KINDS, name.as_str());
        let mut read = |key: String, given: &Given, check: fn(&str) -> Result<(), String>| {
            let text = given.read().and_then(|text| check(&text).map(|()| text));
            let mend = "give the text, or a file or a variable that a worker can read";
            text.map_err(|why| problems.push(Problem::new(key, why, mend))).ok()
        };
        let mut opened = Opened::default();
        for pass in &kind.env_pass {
            if let Some(value) = &pass.value {
                opened.env.insert(pass.name.clone(), value.clone());
            }
        }
        for (name, given) in &kind.env {
            let key = join(&join(&path, "env"), name);
            let text = read(key, given, parts::check_variable);
            opened.env.extend(text.map(|text| (name.clone(), text)));
        }
        for (name, given) in &kind.headers {
            let key = join(&join(&path, "headers"), name);
            let text = read(key, given, parts::check_header);
            opened.headers.extend(text.map(|text| (name.clone(), text)));
        }
        for given in &kind.secret {
            opened.secrets.extend(read(join(&path, "secret"), given, parts::check_secret));
        }
        (name.clone(), opened)
    };
    let opened = kinds.iter().map(&mut open_kind).collect();
    Problems::refuse_any(problems)?;
    Ok(opened)
}

impl fmt::Debug for Opened {
    /// Writes the names only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Opened")
            .field("env", &self.env.keys())
            .field("headers", &self.headers.keys())
            .field("secrets", &self.secrets.len())
            .finish()
    }
}
