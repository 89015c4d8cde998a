//! How long to wait before the next attempt: the curve and its jitter, as formulas.
//!
//! Whether there is a next attempt at all is [`RetryPolicy`](super::RetryPolicy)'s to say. Guards
//! two bounds: no delay is longer than its curve's `max`, and none overflows, whatever the
//! attempt number is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::MAX_ATTEMPTS;

/// The curve of delays over the attempts of one task, before jitter.
///
/// In the formulas `n` is the number of the attempt that failed, counted from 1.
#[derive(Debug, Clone, PartialEq)]
pub enum Backoff {
    /// `min(max, base × factor^(n−1))`: each delay is `factor` times the one before.
    Exponential {
        /// The delay after the first attempt.
        base: Duration,
        /// What each further delay is multiplied by, 1 to 100.
        factor: f64,
        /// The longest delay.
        max: Duration,
    },
    /// `min(max, base + step × (n−1))`: each delay is `step` longer than the one before.
    Linear {
        /// The delay after the first attempt.
        base: Duration,
        /// What each further delay is longer by.
        step: Duration,
        /// The longest delay.
        max: Duration,
    },
    /// The same delay each time.
    Fixed {
        /// The delay.
        delay: Duration,
    },
    /// The delays by name: the n-th after the n-th attempt, the last one from then on.
    List {
        /// The delays, 1 to 100 of them.
        delays: Vec<Duration>,
    },
}

impl Backoff {
    /// Delay after the first attempt where a policy names none: a second.
    pub const DEFAULT_BASE: Duration = Duration::from_secs(1);
    /// Growth of an exponential backoff where a policy names none.
    pub const DEFAULT_FACTOR: f64 = 2.0;
    /// Longest delay where a policy names none: ten minutes.
    pub const DEFAULT_MAX: Duration = Duration::from_secs(600);

    /// Returns the delay before jitter after attempt number `attempt` (counted from 1) failed.
    ///
    /// An exponential curve is flat from attempt 1,001 on, past every attempt a policy allows.
    #[must_use]
    pub fn delay(&self, attempt: u32) -> Duration {
        let earlier = attempt.saturating_sub(1);
        match self {
            Self::Exponential { base, factor, max } => exponential(*base, *factor, *max, earlier),
            Self::Linear { base, step, max } => {
                base.saturating_add(step.saturating_mul(earlier)).min(*max)
            }
            Self::Fixed { delay } => *delay,
            Self::List { delays } => {
                let nth = usize::try_from(earlier).ok().and_then(|index| delays.get(index));
                nth.or(delays.last()).copied().unwrap_or_default()
            }
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::Exponential {
            base: Self::DEFAULT_BASE,
            factor: Self::DEFAULT_FACTOR,
            max: Self::DEFAULT_MAX,
        }
    }
}

/// How much of a delay is left to chance, so that tasks that failed together do not come back
/// together.
///
/// The names and formulas are those of "Exponential Backoff And Jitter" (Marc Brooker, AWS
/// Architecture Blog, 2015); `d` is the delay of the curve and `u` a draw from `[0, 1)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Jitter {
    /// `d × u`: anywhere between at once and the whole delay. Spreads a crowd best.
    Full,
    /// `d/2 + d/2 × u`: never less than half. The default: a retry is never almost immediate,
    /// and with a factor of 2 or more each delay is longer than the one before.
    #[default]
    Equal,
    /// `d`: exactly the curve.
    None,
}

impl Jitter {
    /// Spreads `delay` by `draw`, a number from `[0, 1)`; anything else is taken as the nearest
    /// end, so the answer is never longer than `delay`.
    #[must_use]
    pub fn apply(self, delay: Duration, draw: f64) -> Duration {
        match self {
            Self::Full => part(delay, draw),
            Self::Equal => {
                let half = delay / 2;
                (delay - half).saturating_add(part(half, draw)).min(delay)
            }
            Self::None => delay,
        }
    }
}

/// Multiplies step by step: `x × factor ≥ x` holds for each rounded product, while `powi` may
/// step back by a rounding error and make a later delay shorter than an earlier one.
fn exponential(base: Duration, factor: f64, max: Duration, earlier: u32) -> Duration {
    let ceiling = max.as_secs_f64();
    let mut seconds = base.as_secs_f64();
    for _ in 0..earlier.min(MAX_ATTEMPTS) {
        if seconds >= ceiling {
            return max;
        }
        seconds *= factor;
    }
    Duration::try_from_secs_f64(seconds).unwrap_or(max).min(max)
}

fn part(whole: Duration, draw: f64) -> Duration {
    let draw = if draw.is_nan() { 0.0 } else { draw.clamp(0.0, 1.0) };
    Duration::try_from_secs_f64(whole.as_secs_f64() * draw).unwrap_or(whole).min(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn delays(backoff: &Backoff, attempts: u32) -> Vec<u64> {
        (1..=attempts).map(|attempt| backoff.delay(attempt).as_secs()).collect()
    }

    #[test]
    fn exponential_doubles_up_to_its_maximum() {
        let backoff = Backoff::Exponential { base: s(1), factor: 2.0, max: s(10) };
        assert_eq!(delays(&backoff, 6), [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn linear_adds_its_step_up_to_its_maximum() {
        let backoff = Backoff::Linear { base: s(1), step: s(3), max: s(9) };
        assert_eq!(delays(&backoff, 5), [1, 4, 7, 9, 9]);
    }

    #[test]
    fn fixed_never_changes_and_a_list_stays_at_its_last_delay() {
        assert_eq!(delays(&Backoff::Fixed { delay: s(7) }, 3), [7, 7, 7]);
        let list = Backoff::List { delays: vec![s(1), s(60), s(5)] };
        assert_eq!(delays(&list, 5), [1, 60, 5, 5, 5]);
        assert_eq!(list.delay(u32::MAX), s(5));
    }

    #[test]
    fn jitter_follows_the_published_formulas() {
        for (jitter, draw, expected) in [
            (Jitter::Full, 0.0, 0),
            (Jitter::Full, 0.25, 2),
            (Jitter::Equal, 0.0, 4),
            (Jitter::Equal, 0.5, 6),
            (Jitter::None, 0.9, 8),
        ] {
            assert_eq!(jitter.apply(s(8), draw), s(expected), "{jitter:?} {draw}");
        }
    }

    #[test]
    fn a_draw_out_of_range_is_the_nearest_end() {
        for (draw, expected) in
            [(f64::NAN, 0), (-1.0, 0), (f64::NEG_INFINITY, 0), (2.0, 8), (f64::INFINITY, 8)]
        {
            assert_eq!(Jitter::Full.apply(s(8), draw), s(expected), "{draw}");
        }
    }

    fn any_duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            (0..100_000_u64).prop_map(Duration::from_millis),
            (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n)),
            Just(Duration::MAX),
        ]
    }

    fn any_backoff() -> impl Strategy<Value = Backoff> {
        prop_oneof![
            (any_duration(), 1.0..100.0_f64, any_duration())
                .prop_map(|(base, factor, max)| Backoff::Exponential { base, factor, max }),
            (any_duration(), 1.0..1.0001_f64, any_duration())
                .prop_map(|(base, factor, max)| Backoff::Exponential { base, factor, max }),
            (any_duration(), any_duration(), any_duration())
                .prop_map(|(base, step, max)| Backoff::Linear { base, step, max }),
            any_duration().prop_map(|delay| Backoff::Fixed { delay }),
        ]
    }

    fn longest(backoff: &Backoff) -> Duration {
        match backoff {
            Backoff::Exponential { max, .. } | Backoff::Linear { max, .. } => *max,
            Backoff::Fixed { delay } => *delay,
            Backoff::List { delays } => delays.iter().copied().max().unwrap_or_default(),
        }
    }

    proptest! {
        #[test]
        fn no_delay_is_longer_than_the_maximum(backoff in any_backoff(), attempt: u32) {
            prop_assert!(backoff.delay(attempt) <= longest(&backoff));
        }

        #[test]
        fn a_later_attempt_never_waits_less(backoff in any_backoff(), attempt in 0..2_000_u32) {
            prop_assert!(backoff.delay(attempt) <= backoff.delay(attempt + 1));
        }

        #[test]
        fn jitter_stays_between_its_bounds(delay in any_duration(), draw in 0.0..1.0_f64) {
            prop_assert!(Jitter::Full.apply(delay, draw) <= delay);
            let equal = Jitter::Equal.apply(delay, draw);
            prop_assert!(delay / 2 <= equal && equal <= delay);
            prop_assert_eq!(Jitter::None.apply(delay, draw), delay);
        }

        #[test]
        fn equal_jitter_with_a_doubling_curve_always_grows(
            milliseconds in 1..1_000_u64, attempt in 1..30_u32, first in 0.0..1.0_f64, second in 0.0..1.0_f64,
        ) {
            let backoff = Backoff::Exponential {
                base: Duration::from_millis(milliseconds), factor: 2.0, max: Duration::MAX,
            };
            let earlier = Jitter::Equal.apply(backoff.delay(attempt), first);
            let later = Jitter::Equal.apply(backoff.delay(attempt + 1), second);
            prop_assert!(earlier <= later, "{:?} then {:?}", earlier, later);
        }
    }
}
