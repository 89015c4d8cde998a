//! `leveret completions`: what a shell needs to complete the command line, made from it.

use crate::args::{self, Shell};
use crate::error::Error;
use crate::report;

/// Prints the script for a shell, which completes the command of this name.
pub(super) fn run(shell: Shell, name: &str) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::offered(name), name, &mut script);
    Ok(report::write(&String::from_utf8_lossy(&script))?)
}
