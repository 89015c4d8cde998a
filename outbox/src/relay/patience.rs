//! How long a relay waits before it tries again.

use std::time::Duration;

/// The waits while a server is away: doubled each time, up to the longest, each drawn within its
/// second half so that relays do not all come back at once.
#[derive(Debug, Default)]
pub(super) struct Patience(u32);

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

impl Patience {
    /// Returns the next wait.
    pub(super) fn next(&mut self) -> Duration {
        let wait = doubled(FIRST, self.0, LONGEST);
        self.0 = self.0.saturating_add(1);
        wait.mul_f64(0.5 + 0.5 * fastrand::f64())
    }

    /// Begins again with the first.
    pub(super) const fn rest(&mut self) {
        self.0 = 0;
    }
}

/// Returns how long one row waits after its `tries`th try failed: 1 s, doubled up to a minute.
pub(super) fn of_row(tries: u32) -> Duration {
    doubled(Duration::from_secs(1), tries.saturating_sub(1), Duration::from_secs(60))
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again() {
        let mut patience = Patience::default();
        for most in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            let wait = patience.next().as_millis();
            assert!(wait >= most / 2 && wait <= most, "{wait} of {most}");
        }
        let many: Duration = (0..100).map(|_| patience.next()).sum();
        assert!(many <= LONGEST * 100);
        patience.rest();
        assert!(patience.next() <= FIRST);
        let rows: Vec<_> = [1, 2, 3, 7, u32::MAX].map(|tries| of_row(tries).as_secs()).into();
        assert_eq!(rows, [1, 2, 4, 60, 60]);
    }
}
