//! What runs found, for people and for programs.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the report is what the run is for")]

pub mod backlog;
pub mod schedules;
pub mod timetable;

use crate::error::Error;
use crate::ground::On;

/// Says why a run has no figures.
pub fn complain(on: On, error: &Error) {
    eprintln!("{}: {error}", on.name());
}

/// Most of what does not hold that is printed one by one.
const SHOWN: usize = 50;

/// Prints what does not hold.
fn verdict(failures: &[String]) {
    for failure in failures.iter().take(SHOWN) {
        println!("DOES NOT HOLD: {failure}");
    }
    if failures.len() > SHOWN {
        println!("DOES NOT HOLD: and {} more", failures.len() - SHOWN);
    }
    println!();
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

/// Returns the smallest of `sorted` that so many percent of them do not exceed.
fn percentile(sorted: &[i64], percent: usize) -> Option<i64> {
    let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let sorted: Vec<i64> = (1..=200).collect();
        assert_eq!(percentile(&sorted, 50), Some(100));
        assert_eq!(percentile(&sorted, 99), Some(198));
        assert_eq!(percentile(&sorted, 100), Some(200));
        assert_eq!(percentile(&[7], 50), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }
}
