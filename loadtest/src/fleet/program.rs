//! The programs that a fleet is made of: the shipped binary, and one with handlers that misbehave.
//!
//! Both are looked for where this program was built. Guards that a fault which needs failpoints is never played with
//! a binary that has none, where it would pass by doing nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::{Error, while_doing};

/// Says what builds all that the rows need, in the profile of the `leveret` that is looked for.
///
/// Two commands: asked for both packages at once, cargo builds `leveret` without the feature.
#[must_use]
pub fn how_to_build(leveret: &Path) -> String {
    let is_release = leveret.components().any(|part| part.as_os_str() == "release");
    let build = if is_release { "cargo build --release" } else { "cargo build" };
    format!("{build} -p leveret --features failpoints && {build} -p leveret-loadtest")
}

/// The programs of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// `leveret`.
    pub leveret: PathBuf,
    /// `leveret-test-trouble`: handlers that block, panic, abort and overflow their stack.
    pub trouble: PathBuf,
}

impl Programs {
    /// Finds them beside this program, or above it where this is a test.
    ///
    /// # Errors
    /// When one is missing, or was built without failpoints.
    pub fn find() -> Result<Self, Error> {
        let own = std::env::current_exe().map_err(while_doing("find this program"))?;
        let folders = own.ancestors().skip(1).take(2);
        let found = folders.map(|folder| folder.join("leveret")).find(|path| path.is_file());
        let missing = || Error::NoFailpoints(own.with_file_name("leveret"));
        Self::beside(&found.ok_or_else(missing)?)
    }

    /// Takes `leveret` where it is, and its neighbour.
    ///
    /// # Errors
    /// When one is missing, or was built without failpoints.
    pub fn beside(leveret: &Path) -> Result<Self, Error> {
        let trouble = leveret.with_file_name("leveret-test-trouble");
        if !has_failpoints(leveret)? || !trouble.is_file() {
            return Err(Error::NoFailpoints(leveret.to_owned()));
        }
        Ok(Self { leveret: leveret.to_owned(), trouble })
    }
}

/// Asks a binary whether failpoints are compiled in.
fn has_failpoints(leveret: &Path) -> Result<bool, Error> {
    let told = Command::new(leveret)
        .args(["version", "-o", "json"])
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(while_doing(format!("run {}", leveret.display())))?;
    let version: Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
    let features = version["features"].as_array();
    Ok(features.is_some_and(|features| features.iter().any(|feature| feature == "failpoints")))
}
