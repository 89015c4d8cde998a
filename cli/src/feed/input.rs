//! What an argument names to be read: a file, or stdin.
//!
//! stdin is read as the file that it is, so that no thread is left behind in a read of a terminal
//! that would hold up the end of the process.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use tokio::fs::File;

use crate::error::Error;

/// The name that means stdin.
pub(crate) const STDIN: &str = "-";

/// Opens a file, or stdin for [`STDIN`].
///
/// # Cancel safety
/// Dropped, nothing was read.
pub(crate) async fn open(file: &Path) -> Result<File, Error> {
    let opened = if file == Path::new(STDIN) { stdin() } else { File::open(file).await };
    opened.map_err(|error| Error::unreadable(&shown(file), &error))
}

/// Returns what the file is called in messages.
pub(crate) fn shown(file: &Path) -> String {
    if file == Path::new(STDIN) { "stdin".to_owned() } else { file.display().to_string() }
}

fn stdin() -> io::Result<File> {
    let handle = io::stdin().as_fd().try_clone_to_owned()?;
    Ok(File::from_std(std::fs::File::from(handle)))
}
