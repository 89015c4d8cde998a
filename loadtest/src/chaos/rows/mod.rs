//! The rows of the fault matrix.

mod broker;
mod footprint;
mod network;
mod refusal;
mod store;
mod wait;
mod workers;

use super::row::Row;

/// Returns all of them, in the order of the matrix.
#[must_use]
pub fn all() -> Vec<&'static Row> {
    let mut rows: Vec<&Row> =
        [broker::ROWS, network::ROWS, store::ROWS, workers::ROWS].into_iter().flatten().collect();
    rows.sort_by_key(|row| number(row.name));
    rows
}

/// Finds a row by its name, in whatever case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Row> {
    all().into_iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

pub(super) fn number(name: &str) -> u32 {
    name.trim_start_matches(|letter: char| !letter.is_ascii_digit()).parse().unwrap_or(u32::MAX)
}
