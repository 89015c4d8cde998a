//! Configuration: what can be set, where each value came from, and everything that is wrong.
//!
//! Responsible for the layers: defaults, then the file (`leveret.toml` in the working directory,
//! or the one that was named), then `LEVERET_*` variables, then flags; the later one wins. Read
//! [`keys`] first (the table of everything), then [`settings`] (the typed values). What a setting
//! does is its reader's business. Guards two invariants: a typo is never silently ignored, and
//! all problems are reported at once.

mod agreement;
mod assignment;
pub mod choice;
pub mod environment;
mod file;
pub mod form;
pub mod keys;
pub mod kinds;
mod problem;
#[cfg(test)]
mod reference;
pub mod secret;
pub mod settings;
mod suggest;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub use self::keys::{KEYS, Key};
pub use self::kinds::KindSettings;
pub use self::problem::{Origin, Problem, Problems};
pub use self::secret::{Secret, SecretUrl};
pub use self::settings::Settings;

use self::assignment::Assignment;

/// The file that is read when none is named and it exists.
pub const FILE_NAME: &str = "leveret.toml";

/// Where configuration is looked for. It holds secrets in the clear, hence no `Debug`.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file that was named; it must exist. `None` means [`FILE_NAME`], which may be missing.
    pub file: Option<PathBuf>,
    /// What relative paths of files are relative to.
    pub working_dir: PathBuf,
    /// The environment, from [`environment::read`]; only `LEVERET_*` is looked at.
    pub environment: BTreeMap<String, String>,
    /// Flags as key path and text, such as `("gateway.listen", "0.0.0.0:80")`.
    pub flags: Vec<(String, String)>,
}

/// Settings that are right, each with its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    origins: BTreeMap<&'static str, Origin>,
    kind_rows: Vec<Row>,
}

/// One line of `config show --origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key's path.
    pub key: String,
    /// Its value, redacted; `None` if it is absent.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: Origin,
}

/// Reads all sources and checks everything in them.
///
/// # Errors
///
/// [`Problems`] with every problem of every source: syntax, unknown keys and variables, wrong
/// values (also those that a later source overrides), and values that do not go together.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let mut assignments = Vec::new();
    let mut kind_entries = None;
    let mut is_file_whole = true;
    match file::read(sources) {
        Ok(None) => {}
        Ok(Some(file)) => {
            file.assign(&mut assignments, &mut problems);
            kind_entries = Some(file);
        }
        Err(file_problems) => {
            is_file_whole = false;
            problems.extend(file_problems);
        }
    }
    environment::assign(sources, &mut assignments, &mut problems);
    assignment::from_flags(&sources.flags, &mut assignments, &mut problems);

    let mut loaded =
        Loaded { settings: Settings::default(), origins: BTreeMap::new(), kind_rows: Vec::new() };
    let refused = loaded.apply(assignments, &mut problems);
    if let Some(file) = kind_entries {
        let read = kinds::read(&file, sources, &mut problems);
        (loaded.settings.kinds, loaded.kind_rows) = read;
    }
    agreement::derive(&mut loaded.settings, &mut loaded.origins, &refused);
    // Half a file would be accused of lacking what its other half says.
    if is_file_whole {
        problems.extend(agreement::check(&loaded, &refused));
    }
    Problems::refuse_any(problems)?;
    Ok(loaded)
}

impl Loaded {
    /// Returns where a key's value came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Lists every key with its value and origin, secrets redacted, then what the kinds set.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut settings = self.settings.clone();
        let row = |key: &Key| Row {
            key: key.path.to_owned(),
            value: key.form.show(&mut settings),
            origin: self.origin(key.path),
        };
        KEYS.iter().map(row).chain(self.kind_rows.iter().cloned()).collect()
    }

    /// Applies assignments in order and returns the keys of those that were refused.
    fn apply(
        &mut self,
        assignments: Vec<Assignment>,
        problems: &mut Vec<Problem>,
    ) -> BTreeSet<&'static str> {
        let mut refused = BTreeSet::new();
        for assignment in assignments {
            let path = assignment.key.path;
            match assignment.key.form.set(&mut self.settings, &assignment.raw) {
                Ok(()) => {
                    self.origins.insert(path, assignment.origin);
                }
                Err(why) => {
                    refused.insert(path);
                    problems.push(assignment.refuse(why));
                }
            }
        }
        refused
    }
}

#[cfg(test)]
mod tests;
