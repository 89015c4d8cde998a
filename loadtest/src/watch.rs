//! What a run costs: the memory of its processes over time.
//!
//! PSS of Linux (`/proc/PID/smaps_rollup`): what is shared with other processes counts in parts, so
//! the figures of several processes add up.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often memory is looked at.
const EVERY: Duration = Duration::from_millis(250);

/// One look at one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Since the watch began.
    pub at: Duration,
    /// In bytes.
    pub pss: u64,
}

/// All looks, by the name of the process.
pub type Samples = BTreeMap<&'static str, Vec<Sample>>;

/// Looks at processes from time to time until it is asked for what it saw.
pub struct Watch {
    began: Instant,
    over: Arc<AtomicBool>,
    watched: Arc<Mutex<BTreeMap<&'static str, u32>>>,
    looking: JoinHandle<Samples>,
}

impl Watch {
    /// Begins to look at nothing yet.
    #[must_use]
    pub fn begin() -> Self {
        let began = Instant::now();
        let over = Arc::new(AtomicBool::new(false));
        let watched = Arc::new(Mutex::new(BTreeMap::new()));
        let looking = thread::spawn({
            let (over, watched) = (over.clone(), watched.clone());
            move || look(began, &over, &watched)
        });
        Self { began, over, watched, looking }
    }

    /// Looks at a process too, under this name.
    pub fn add(&self, name: &'static str, pid: u32) {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).insert(name, pid);
    }

    /// Tells how long it has looked.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends, and returns what it saw.
    #[must_use]
    pub fn end(self) -> Samples {
        self.over.store(true, Ordering::Relaxed);
        self.looking.join().unwrap_or_default()
    }
}

fn look(
    began: Instant,
    over: &AtomicBool,
    watched: &Mutex<BTreeMap<&'static str, u32>>,
) -> Samples {
    let mut samples = Samples::new();
    while !over.load(Ordering::Relaxed) {
        let now = watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, pid) in now {
            if let Some(pss) = pss(pid) {
                samples.entry(name).or_default().push(Sample { at: began.elapsed(), pss });
            }
        }
        thread::sleep(EVERY);
    }
    samples
}

/// Returns the PSS of a process in bytes, or nothing where it has ended or may not be looked at.
fn pss(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Returns the most bytes that a Redis says it has used for data.
#[must_use]
pub fn redis_peak(url: &str) -> Option<u64> {
    let mut stream = TcpStream::connect(url.strip_prefix("redis://")?).ok()?;
    stream.write_all(b"INFO memory\r\nQUIT\r\n").ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    said.lines().find_map(|line| line.strip_prefix("used_memory_peak:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_one_that_ended_has_none() {
        assert!(pss(std::process::id()).is_some_and(|bytes| bytes > 100_000));
        assert_eq!(pss(u32::MAX), None);
    }

    #[test]
    fn a_watch_sees_what_was_added() {
        let watch = Watch::begin();
        watch.add("this", std::process::id());
        let began = Instant::now();
        while watch.elapsed() < EVERY * 3 {
            thread::sleep(EVERY);
            assert!(began.elapsed() < Duration::from_secs(30));
        }
        let samples = watch.end();
        assert!(samples["this"].len() >= 2, "{samples:?}");
        assert!(samples["this"].is_sorted_by_key(|sample| sample.at));
    }
}
