//! The folder around the file: sizes, room on the disk, and who may read it.

use std::path::{Path, PathBuf};

use super::{finding, length, rounded};
use crate::diagnose::{Finding, Health};

/// A log of this size is not being moved into the file.
const LARGE_LOG: u64 = 256 << 20;
/// With less room than this a burst may fill the disk: the log alone takes 64 MiB.
const NO_ROOM: u64 = 128 << 20;
const LITTLE_ROOM: u64 = 1 << 30;

/// Looks at what the file system says.
pub(super) fn look(file: &Path) -> Vec<Finding> {
    let folder = file.parent().unwrap_or(file);
    let mut findings = vec![size(file), log(length(&beside(file, "-wal")))];
    findings.extend(room(folder));
    findings.extend(permissions(folder, file));
    findings
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn size(file: &Path) -> Finding {
    match std::fs::metadata(file) {
        Ok(found) => {
            let found = format!("{} has {}", file.display(), rounded(found.len()));
            finding("file", Health::Good, found)
        }
        Err(error) => finding("file", Health::Bad, format!("{}: {error}", file.display())).mend(
            "the file is open under a name that is gone, and is lost when this process ends: let the \
             workers finish what waits, then restart, or restore a backup",
        ),
    }
}

fn log(length: u64) -> Finding {
    let found = format!("the write-ahead log has {}", rounded(length));
    if length < LARGE_LOG {
        return finding("log", Health::Good, found);
    }
    finding("log", Health::Risky, found).mend(
        "it grows while something reads the file for long: end other programs that have it open \
         (a backup, a sqlite3 shell), or restart to move it into the file",
    )
}

#[cfg(unix)]
fn room(folder: &Path) -> Option<Finding> {
    let disk = match nix::sys::statvfs::statvfs(folder) {
        Ok(disk) => disk,
        Err(error) => {
            let found = format!("the system does not say how much room is left: {error}");
            return Some(finding("room", Health::Risky, found).mend("look with df"));
        }
    };
    #[allow(clippy::useless_conversion, reason = "the system's own width, which differs")]
    let block = u64::from(disk.fragment_size());
    #[allow(clippy::useless_conversion, reason = "the system's own width, which differs")]
    let bytes = |blocks| block.saturating_mul(u64::from(blocks));
    Some(free(bytes(disk.blocks_available()), bytes(disk.blocks())))
}

#[cfg(not(unix))]
fn room(_: &Path) -> Option<Finding> {
    None
}

#[cfg_attr(not(unix), allow(dead_code, reason = "the room is only known on unix"))]
fn free(left: u64, whole: u64) -> Finding {
    let found = format!("{} of {} are free on its disk", rounded(left), rounded(whole));
    let mend = "free some space, or move the data folder to a larger disk: once it is full no task \
                is accepted, and none can end";
    match left {
        LITTLE_ROOM.. => finding("room", Health::Good, found),
        NO_ROOM.. => finding("room", Health::Risky, found).mend(mend),
        _ => finding("room", Health::Bad, found).mend(mend),
    }
}

#[cfg(unix)]
fn permissions(folder: &Path, file: &Path) -> Option<Finding> {
    use std::os::unix::fs::MetadataExt;
    let mode = |path: &Path| std::fs::metadata(path).map(|found| found.mode());
    let (Ok(of_folder), Ok(of_file)) = (mode(folder), mode(file)) else {
        // That the file cannot be seen is a finding of its own.
        return None;
    };
    let name = folder.display();
    Some(match exposed(of_folder, of_file) {
        None => finding("permissions", Health::Good, format!("{name} is its owner's alone")),
        Some(to) => {
            let found = format!("{name} and the args in it are open to {to}");
            finding("permissions", Health::Risky, found).mend(format!("chmod 700 {name}"))
        }
    })
}

#[cfg(not(unix))]
fn permissions(_: &Path, _: &Path) -> Option<Finding> {
    None
}

/// Returns who besides the owner can read the file or put another in its place.
#[cfg_attr(not(unix), allow(dead_code, reason = "modes are those of unix"))]
fn exposed(folder: u32, file: u32) -> Option<&'static str> {
    let is_open = |shift: u32| {
        let (folder, file) = (folder >> shift, file >> shift);
        // To enter is needed for either.
        folder & 0o1 != 0 && (folder & 0o2 != 0 || file & 0o6 != 0)
    };
    match (is_open(0), is_open(3)) {
        (true, _) => Some("every user of this machine"),
        (false, true) => Some("its group"),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_exposed_where_others_can_enter_it_and_read_or_replace() {
        assert_eq!(exposed(0o40700, 0o100_644), None);
        assert_eq!(exposed(0o40755, 0o100_644), Some("every user of this machine"));
        assert_eq!(exposed(0o40755, 0o100_600), None);
        assert_eq!(exposed(0o40777, 0o100_600), Some("every user of this machine"));
        assert_eq!(exposed(0o40750, 0o100_644), Some("its group"));
        assert_eq!(exposed(0o40744, 0o100_644), None, "they can list it and not enter");
    }

    #[test]
    fn a_disk_that_runs_full_is_a_risk_first_and_bad_then() {
        let health = |left| free(left, 10 << 30).health;
        assert_eq!(health(2 << 30), Health::Good);
        assert_eq!(health(500 << 20), Health::Risky);
        assert_eq!(health(100 << 20), Health::Bad);
    }

    #[test]
    fn a_log_that_only_grows_is_a_risk() {
        assert_eq!(log(64 << 20).health, Health::Good);
        assert_eq!(log(LARGE_LOG).health, Health::Risky);
    }

    #[test]
    fn a_file_whose_name_is_gone_is_bad() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(size(&folder.path().join("leveret.db")).health, Health::Bad);
    }
}
