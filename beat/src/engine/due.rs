//! The due set: which rows of the timetable are due, the earliest first.
//!
//! An ordered set over wall-clock time, and not a wheel of timers: a wheel counts elapsed time, so
//! each change of the machine's clock would have to move every timer in it. Here a clock that jumps
//! changes nothing but the answer to "what is due by now". `docs/adr/0017-*` has the figures.

use std::collections::BTreeSet;

use leveret_common::clock::Millis;

/// Nothing is ever due then.
const NEVER: Millis = Millis(u64::MAX);

/// Rows by the instant at which they are due. A row is in it once at most.
#[derive(Debug, Clone, Default)]
pub struct DueSet {
    order: BTreeSet<(Millis, u32)>,
    /// By row: the instant under which it is in `order`, or never.
    keys: Vec<Millis>,
}

impl DueSet {
    /// Sets when a row is due, instead of what was set before; none takes it out.
    pub fn set(&mut self, row: u32, due: Option<Millis>) {
        let due = due.unwrap_or(NEVER);
        let place = row as usize;
        if self.keys.len() <= place {
            if due == NEVER {
                return;
            }
            self.keys.resize(place + 1, NEVER);
        }
        let before = std::mem::replace(&mut self.keys[place], due);
        if before == due {
            return;
        }
        if before != NEVER {
            self.order.remove(&(before, row));
        }
        if due != NEVER {
            self.order.insert((due, row));
        }
    }

    /// Returns when the first row is due.
    #[must_use]
    pub fn first(&self) -> Option<Millis> {
        self.order.first().map(|(due, _)| *due)
    }

    /// Takes out a row that is due no later than `until`: the earliest, and of equal ones the one
    /// with the lowest number.
    pub fn take(&mut self, until: Millis) -> Option<u32> {
        let (_, row) = *self.order.first().filter(|(due, _)| *due <= until)?;
        self.order.pop_first();
        self.keys[row as usize] = NEVER;
        Some(row)
    }

    /// Returns how many rows are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Tells whether nothing is due, ever.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.order.clear();
        self.keys.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(set: &mut DueSet, until: u64) -> Vec<u32> {
        std::iter::from_fn(|| set.take(Millis(until))).collect()
    }

    #[test]
    fn what_is_due_comes_out_in_its_order_and_the_rest_stays() {
        let mut set = DueSet::default();
        for (row, due) in [(3, 30), (1, 10), (2, 10), (0, 20)] {
            set.set(row, Some(Millis(due)));
        }
        assert_eq!(drain(&mut set, 20), [1, 2, 0]);
        assert_eq!((set.first(), set.len()), (Some(Millis(30)), 1));
    }

    #[test]
    fn a_row_that_is_set_again_is_due_once() {
        let mut set = DueSet::default();
        set.set(7, Some(Millis(10)));
        set.set(7, Some(Millis(40)));
        assert!(drain(&mut set, 39).is_empty());
        assert_eq!(drain(&mut set, 40), [7]);
        set.set(7, Some(Millis(50)));
        set.set(7, None);
        assert!(set.is_empty());
    }

    proptest! {
        #[test]
        fn it_is_a_map_by_row_that_is_asked_for_its_least_value(
            steps in prop::collection::vec((0_u32..20, prop::option::of(0_u64..50)), 0..200),
        ) {
            let (mut set, mut map) = (DueSet::default(), std::collections::BTreeMap::new());
            for (row, due) in steps {
                set.set(row, due.map(Millis));
                match due {
                    Some(due) => map.insert(row, due),
                    None => map.remove(&row),
                };
                prop_assert_eq!(set.len(), map.len());
                prop_assert_eq!(set.first(), map.values().min().copied().map(Millis));
            }
            let mut expected: Vec<_> = map.into_iter().map(|(row, due)| (due, row)).collect();
            expected.sort_unstable();
            let rows: Vec<_> = expected.into_iter().map(|(_, row)| row).collect();
            prop_assert_eq!(drain(&mut set, 50), rows);
        }
    }
}
