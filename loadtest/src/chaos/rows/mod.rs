//! The rows of the fault matrix.

mod beats;
mod broker;
mod cluster;
mod declared;
mod deploy;
mod footprint;
mod input;
mod letters;
mod limits;
mod metric;
mod network;
mod refusal;
mod store;
mod wait;
mod workers;

use super::row::Row;

/// Returns all of them, in the order of the matrix.
#[must_use]
pub fn all() -> Vec<&'static Row> {
    let mut rows: Vec<&Row> = [
        beats::ROWS,
        broker::ROWS,
        cluster::ROWS,
        input::ROWS,
        limits::ROWS,
        network::ROWS,
        store::ROWS,
        workers::ROWS,
    ]
    .into_iter()
    .flatten()
    .collect();
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
