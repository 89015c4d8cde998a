//! How soon work goes on as before once the last fault is over.

use std::time::Duration;

use leveret_common::clock::Millis;

/// The share of the pace before that counts as back.
const SHARE: f64 = 0.8;
/// Over how long a pace is measured.
const WINDOW: Duration = Duration::from_secs(2);

/// Tells how long after `healed` as much begins within [`WINDOW`] as before: 80 % of the pace between `from` and
/// `harmed`. Nothing where it never does, or where there was no pace before.
#[must_use]
pub fn recovered(
    mut begins: Vec<Millis>,
    from: Millis,
    harmed: Millis,
    healed: Millis,
) -> Option<Duration> {
    begins.sort_unstable();
    let before =
        begins.partition_point(|at| *at < harmed) - begins.partition_point(|at| *at < from);
    let lasted = harmed.since(from).as_secs_f64();
    if before == 0 || lasted <= 0.0 {
        return None;
    }
    let wanted = (before as f64 / lasted * WINDOW.as_secs_f64() * SHARE).max(1.0);
    let after = &begins[begins.partition_point(|at| *at < healed)..];
    // The first place from which on enough of them follow closely.
    (0..after.len()).find_map(|first| {
        let end = after[first].after(WINDOW);
        let within = after[first..].partition_point(|at| *at < end);
        (within as f64 >= wanted).then(|| after[first].since(healed))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One run each `every` ms from `from` until `to`.
    fn pace(from: u64, to: u64, every: usize) -> impl Iterator<Item = Millis> {
        (from..to).step_by(every).map(Millis)
    }

    fn told(begins: impl Iterator<Item = Millis>) -> Option<Duration> {
        recovered(begins.collect(), Millis(0), Millis(10_000), Millis(20_000))
    }

    #[test]
    fn it_is_back_when_as_much_begins_as_before() {
        let begins = pace(0, 10_000, 100).chain(pace(24_000, 40_000, 100));
        assert_eq!(told(begins), Some(Duration::from_secs(4)));
    }

    #[test]
    fn it_is_not_back_at_half_the_pace() {
        assert_eq!(told(pace(0, 10_000, 100).chain(pace(20_000, 60_000, 200))), None);
    }

    #[test]
    fn a_trickle_before_the_pace_is_not_yet_the_pace() {
        let begins = pace(0, 10_000, 100);
        let begins = begins.chain(pace(20_000, 30_000, 1_000)).chain(pace(30_000, 40_000, 100));
        let after = told(begins).unwrap();
        assert!(after >= Duration::from_millis(9_500), "{after:?}");
    }

    #[test]
    fn without_a_pace_before_there_is_nothing_to_compare() {
        assert_eq!(told(pace(20_000, 30_000, 100)), None);
    }
}
