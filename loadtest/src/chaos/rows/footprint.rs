//! What a process holds of the machine: file descriptors and memory. Read from `/proc`.

use std::fs;

use crate::error::{Error, while_doing};

/// More descriptors than before that are no leak: a connection may be closing while it is counted.
const DESCRIPTORS: usize = 8;
/// More memory than before that is no leak, in KiB: an allocator keeps what it had at its peak.
const KIB: u64 = 48 * 1024;

/// What a process holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footprint {
    /// Open file descriptors.
    pub(super) descriptors: usize,
    /// Memory that is in RAM, in KiB.
    pub(super) resident: u64,
}

impl Footprint {
    /// Looks at a process.
    pub(super) fn of(pid: u32) -> Result<Self, Error> {
        let open =
            fs::read_dir(format!("/proc/{pid}/fd")).map_err(while_doing("count descriptors"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        let status = status.map_err(while_doing("look at the memory of a process"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        let resident = kib.ok_or_else(|| Error::unexpected("/proc", "tells no VmRSS"))?;
        Ok(Self { descriptors: open.count(), resident })
    }

    /// Tells in what `self` is more than `before` by so much that something is not given back.
    pub(super) fn leak_since(self, before: Self, name: &str) -> Option<String> {
        let is_more = self.descriptors > before.descriptors + DESCRIPTORS
            || self.resident > before.resident + KIB;
        is_more.then(|| format!("{name} held {before:?} before and {self:?} after"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_that_stay_open_are_a_leak() {
        let before = Footprint::of(std::process::id()).unwrap();
        assert_eq!(before.leak_since(before, "this"), None);
        let kept: Vec<_> =
            (0..=2 * DESCRIPTORS).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        let after = Footprint::of(std::process::id()).unwrap();
        assert!(after.leak_since(before, "this").is_some(), "{after:?} {}", kept.len());
    }

    #[test]
    fn memory_that_is_kept_is_a_leak() {
        let before = Footprint { descriptors: 9, resident: 20_000 };
        let little = Footprint { resident: before.resident + KIB, ..before };
        let much = Footprint { resident: little.resident + 1, ..before };
        assert_eq!(little.leak_since(before, "this"), None);
        assert!(much.leak_since(before, "this").is_some());
    }
}
