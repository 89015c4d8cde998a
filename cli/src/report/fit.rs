//! How wide the columns of a list are on a terminal that is too narrow for all of it.
//!
//! Texts that can be guessed from their beginning give way first, ids last: half an id is none.

/// Columns whose texts may be long and are read from their beginning.
const ELASTIC: [&str; 9] =
    ["error", "found", "mend", "why", "kinds", "queues", "lanes", "paused", "when"];
/// Columns that are copied whole, to be typed again.
const WHOLE: [&str; 6] = ["id", "worker", "example", "replaces", "schedule", "task"];
/// How narrow a column may get so that another need not.
const NARROW: u16 = 12;

/// Returns the columns' widths, at most `width` together with a gap behind each but the last.
pub(super) fn fit(columns: &[&str], widths: &[u16], width: u16, gap: u16) -> Vec<u16> {
    let mut fitted = widths.to_vec();
    let gaps = gap.saturating_mul(u16::try_from(columns.len()).unwrap_or(u16::MAX));
    // The last gap is blank at the line's end.
    let room = u64::from((width + gap).saturating_sub(gaps));
    let is_elastic = |at: usize| ELASTIC.contains(&columns[at]);
    let is_whole = |at: usize| WHOLE.contains(&columns[at]);
    shrink(&mut fitted, room, NARROW, is_elastic);
    shrink(&mut fitted, room, NARROW, |at| !is_whole(at));
    shrink(&mut fitted, room, 4, |at| !is_whole(at));
    shrink(&mut fitted, room, 1, |_| true);
    fitted
}

/// Takes from the widest of the columns that may give, until all fit or none is above `least`.
fn shrink(widths: &mut [u16], room: u64, least: u16, may_give: impl Fn(usize) -> bool) {
    while widths.iter().map(|width| u64::from(*width)).sum::<u64>() > room {
        let givers = widths.iter_mut().enumerate().filter(|(at, _)| may_give(*at));
        match givers.map(|(_, width)| width).filter(|width| **width > least).max() {
            Some(widest) => *widest -= 1,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 4] = ["id", "kind", "queue", "error"];

    #[test]
    fn what_fits_is_left_alone() {
        assert_eq!(fit(&COLUMNS, &[36, 10, 4, 40], 200, 2), [36, 10, 4, 40]);
        assert_eq!(fit(&COLUMNS, &[36, 10, 4, 40], 96, 2), [36, 10, 4, 40]);
    }

    #[test]
    fn errors_give_way_first_and_ids_last() {
        assert_eq!(fit(&COLUMNS, &[36, 10, 4, 400], 80, 2), [36, 10, 4, 24]);
        assert_eq!(fit(&COLUMNS, &[36, 30, 4, 400], 76, 2), [36, 18, 4, 12]);
        assert_eq!(fit(&COLUMNS, &[36, 30, 4, 400], 54, 2), [36, 4, 4, 4]);
        let tiny = fit(&COLUMNS, &[36, 30, 4, 400], 20, 2);
        assert_eq!(tiny.iter().sum::<u16>() + 6, 20, "{tiny:?}");
    }
}
