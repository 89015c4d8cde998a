//! A small disk: a tmpfs of a few MiB, which a test fills and frees.
//!
//! Responsible for its mount, which ends with the value, whatever else fails. Guards that a test which needs a
//! full disk never goes by without one: where nothing may be mounted, that is an error.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, while_doing};

/// The file that takes up the room.
const BALLAST: &str = "ballast";
/// How much of it is written at once, first and last.
const PIECES: [usize; 3] = [1 << 20, 1 << 12, 1];

/// A disk of a test's own; unmounted with the value.
#[derive(Debug)]
pub struct Disk {
    place: PathBuf,
}

impl Disk {
    /// Makes a disk of so many MiB at an empty folder, which is made where it is not there.
    ///
    /// # Errors
    /// [`Error::NoMount`] where this user may mount nothing.
    pub fn mount(place: &Path, mebibytes: u32) -> Result<Self, Error> {
        fs::create_dir_all(place).map_err(while_doing("make the folder of a disk"))?;
        let size = format!("size={mebibytes}m,mode=700");
        let name = place.display().to_string();
        if as_root(&["mount", "-t", "tmpfs", "-o", &size, "leveret-small-disk", &name]) {
            return Ok(Self { place: place.to_owned() });
        }
        Err(Error::NoMount(place.to_owned()))
    }

    /// Returns where it is.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Takes up all the room that is left; called again, the room that somebody has given back since.
    ///
    /// # Errors
    /// When it cannot be written for another reason than that it is full.
    pub fn fill(&self) -> Result<(), Error> {
        let ballast = File::options().create(true).append(true).open(self.place.join(BALLAST));
        let mut ballast = match ballast {
            Ok(ballast) => ballast,
            // There is not even room for its name.
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(while_doing("fill a disk")(error)),
        };
        for piece in PIECES {
            let piece = vec![0; piece];
            loop {
                match ballast.write(&piece) {
                    Ok(written) if written > 0 => {}
                    Ok(_) => break,
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(while_doing("fill a disk")(error)),
                }
            }
        }
        Ok(())
    }

    /// Gives the room back that was taken up.
    ///
    /// # Errors
    /// When that fails.
    pub fn free(&self) -> Result<(), Error> {
        match fs::remove_file(self.place.join(BALLAST)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(while_doing("free a disk")(error))
            }
            _ => Ok(()),
        }
    }

    /// Whether no byte more fits on it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let stat = nix::sys::statvfs::statvfs(&self.place);
        stat.is_ok_and(|stat| stat.blocks_available() == 0)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let place = self.place.display().to_string();
        // Lazily where somebody still stands on it: it goes with the last one.
        let _nobody_to_tell = as_root(&["umount", &place]) || as_root(&["umount", "-l", &place]);
    }
}

/// Runs a command as root, where this user may; whether it succeeded.
fn as_root(words: &[&str]) -> bool {
    let run = |mut command: Command, words: &[&str]| {
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    run(Command::new(words[0]), &words[1..])
        || run(Command::new("sudo"), &[&["-n"], words].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::or_skip;

    #[test]
    #[allow(clippy::unwrap_used, reason = "a test reports so")]
    fn a_disk_is_full_when_it_is_filled_and_gone_with_its_value() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("disk");
        let Some(disk) = or_skip(Disk::mount(&place, 2)) else { return };
        fs::write(place.join("kept"), [7; 5_000]).unwrap();
        disk.fill().unwrap();
        assert!(disk.is_full());
        let refused = fs::write(place.join("more"), [7; 5_000]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        disk.free().unwrap();
        assert!(!disk.is_full() && fs::read(place.join("kept")).unwrap() == [7; 5_000]);
        drop(disk);
        assert!(fs::read_dir(&place).unwrap().next().is_none(), "it is still there");
    }
}
