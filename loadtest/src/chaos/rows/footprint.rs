//! What a process takes of the machine: file descriptors, memory and time. Read from `/proc`.
//!
//! Two looks show what was taken and never given back. What grows slowly is seen over a long time only: a [`Sampler`]
//! looks all the while, and [`growth`] compares the middle of an early and a late part, which neither a peak under a
//! fault nor one look at a bad moment can move.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leveret_common::spawn::Spawner;
use tokio::time::sleep;

use crate::error::{Error, while_doing};

/// More descriptors than before that are no leak: a connection may be closing while it is counted.
const DESCRIPTORS: usize = 8;
/// More memory than before that is no leak, in KiB: an allocator keeps what it had at its peak.
const KIB: u64 = 48 * 1024;

/// How often a sampler takes a sample: the least of several looks, because each program that runs has pipes of its own.
const EVERY: Duration = Duration::from_secs(5);
/// How often, and how many times, it looks for one.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: u32 = 20;
/// Samples that growth is told from, at least: ten minutes, of which the first half is left to warm up.
const ENOUGH: usize = 120;
/// Growth of the middle descriptor count that is none: one connection more or less, and what a fault leaves closing.
const MORE_DESCRIPTORS: usize = 4;
/// Growth of the middle memory that is none, in KiB: an allocator gives pages back late and in lumps. Over half an hour
/// it is what 15 tasks a second would leave behind at 400 bytes each.
const MORE_KIB: u64 = 4 * 1024;
/// How long the kernel counts as one: `USER_HZ`, which is 100 on every machine that Linux runs on.
const TICK: Duration = Duration::from_millis(10);

/// Returns for how long a process has been computing since it began, without its children.
pub(super) fn computed(pid: u32) -> Result<Duration, Error> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    let stat = stat.map_err(while_doing("look at the time of a process"))?;
    // The name before them may hold anything; the last `)` ends it. Then come the state and ten more.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<u32> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    match ticks[..] {
        [user, system] => Ok(TICK * (user + system)),
        _ => Err(Error::unexpected("/proc", "tells no time of a process")),
    }
}

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

/// What some processes held over time, by their names.
type Samples = Vec<(&'static str, Vec<Footprint>)>;

/// Looks at processes until it is asked for what it saw.
pub(super) struct Sampler {
    spawner: Spawner,
    samples: Arc<Mutex<Samples>>,
}

impl Sampler {
    /// Begins to look at processes, each under a name.
    pub(super) fn begin(processes: Vec<(&'static str, u32)>) -> Self {
        let (spawner, samples) = (Spawner::new(), Arc::<Mutex<Samples>>::default());
        for (name, pid) in processes {
            let (stop, samples) = (spawner.shutdown_signal(), Arc::clone(&samples));
            lock(&samples).push((name, Vec::new()));
            spawner.spawn(async move {
                let look = async {
                    while let Some(sample) = sample(pid).await {
                        keep(&samples, name, sample);
                        sleep(EVERY.saturating_sub(LOOK * LOOKS)).await;
                    }
                };
                tokio::select! {
                    () = look => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        Self { spawner, samples }
    }

    /// Ends, and returns what it saw.
    pub(super) async fn end(self) -> Samples {
        self.spawner.shut_down();
        self.spawner.drained().await;
        std::mem::take(&mut *lock(&self.samples))
    }
}

fn keep(samples: &Mutex<Samples>, name: &str, sample: Footprint) {
    let mut samples = lock(samples);
    for (_, samples) in samples.iter_mut().filter(|(other, _)| *other == name) {
        samples.push(sample);
    }
}

fn lock(samples: &Mutex<Samples>) -> std::sync::MutexGuard<'_, Samples> {
    // Each sample is whole by itself.
    samples.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a sample; none where the process is gone.
async fn sample(pid: u32) -> Option<Footprint> {
    let mut least = Footprint::of(pid).ok()?;
    for _ in 0..LOOKS {
        sleep(LOOK).await;
        let now = Footprint::of(pid).ok()?;
        least.descriptors = least.descriptors.min(now.descriptors);
        least.resident = least.resident.min(now.resident);
    }
    Some(least)
}

/// Tells in what a process held ever more; nothing where it did not, or was not looked at for long enough.
///
/// The first half is left to warm up. Of the rest, the middle of the last third is held against that of the first.
pub(super) fn growth(samples: &[Footprint], name: &str) -> Option<String> {
    if samples.len() < ENOUGH {
        return None;
    }
    let half = &samples[samples.len() / 2..];
    let third = half.len() / 3;
    let (early, late) = (middle(&half[..third])?, middle(&half[half.len() - third..])?);
    let grows = late.descriptors > early.descriptors + MORE_DESCRIPTORS
        || late.resident > early.resident + MORE_KIB;
    grows.then(|| format!("{name} holds ever more: {early:?}, and {late:?} later"))
}

/// Tells of samples in a line: each quarter's middle.
pub(super) fn summary(samples: &[Footprint], name: &str) -> Option<String> {
    let quarters = samples.chunks(samples.len().div_ceil(4).max(1)).filter_map(middle);
    let told: Vec<String> = quarters
        .map(|Footprint { descriptors, resident }| format!("{descriptors} / {resident}"))
        .collect();
    let count = samples.len();
    (count > 0).then(|| {
        format!("{name}, descriptors / KiB by quarters of {count} samples: {}", told.join(", "))
    })
}

/// Returns the median of each of its parts.
fn middle(samples: &[Footprint]) -> Option<Footprint> {
    let mut descriptors: Vec<_> = samples.iter().map(|sample| sample.descriptors).collect();
    let mut resident: Vec<_> = samples.iter().map(|sample| sample.resident).collect();
    descriptors.sort_unstable();
    resident.sort_unstable();
    let at = samples.len() / 2;
    Some(Footprint { descriptors: *descriptors.get(at)?, resident: *resident.get(at)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half an hour of samples.
    fn samples(of: impl Fn(u64) -> (usize, u64)) -> Vec<Footprint> {
        let one = |(descriptors, resident)| Footprint { descriptors, resident };
        (0..360).map(|at| one(of(at))).collect()
    }

    #[test]
    fn a_leak_is_seen_however_slow_and_a_peak_or_a_warm_up_is_none() {
        let told = |of: fn(u64) -> (usize, u64)| growth(&samples(of), "this").is_some();
        assert!(!told(|_| (40, 60_000)));
        assert!(!told(|at| if at % 10 == 0 { (90, 200_000) } else { (40, 60_000) }));
        assert!(!told(|at| (40, 20_000 + 400 * at.min(100))));
        assert!(!told(|at| (40 + (at % 3) as usize, 60_000 + 900 * (at % 5))));
        // One descriptor in two minutes, and 2.5 MiB in five minutes.
        assert!(told(|at| (40 + at as usize / 24, 60_000)));
        assert!(told(|at| (40, 60_000 + 43 * at)));
    }

    #[test]
    fn a_few_samples_show_no_growth_and_are_summed_up() {
        let few: Vec<Footprint> = samples(|at| (40 + at as usize, 60_000))[..20].to_vec();
        assert_eq!(growth(&few, "this"), None);
        let told = summary(&few, "this").unwrap_or_default();
        assert!(told.ends_with("42 / 60000, 47 / 60000, 52 / 60000, 57 / 60000"), "{told}");
        assert_eq!(summary(&[], "this"), None);
    }

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
    fn whoever_computes_has_computed() {
        let (before, began) = (computed(std::process::id()).unwrap(), std::time::Instant::now());
        while computed(std::process::id()).unwrap() < before + TICK * 3 {
            assert!(began.elapsed() < Duration::from_secs(30));
        }
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
