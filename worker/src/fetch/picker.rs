//! Which class goes next: strictly by urgency, or by shares so that low never starves.
//!
//! Pure. The shares are stride scheduling: each class has a position that moves on by one over its
//! weight with each of its turns, and the class that is furthest behind goes. So a share of 8:4:2:1
//! comes out evenly spread and not in bursts. A class that had nothing does not save up turns, and
//! owes none either: it joins where the others are, so an urgent task that comes to a busy worker
//! is not behind because of what its class had long ago.

use leveret_common::name::Class;

/// How far a class of weight 1 moves with a turn: divided by any weight, still precise.
const STRIDE: u64 = 1 << 20;

/// Chooses between classes.
#[derive(Debug, Clone)]
pub struct Picker {
    lines: Vec<Line>,
    /// Where the class that went last was.
    reached: u64,
    strict: bool,
}

#[derive(Debug, Clone)]
struct Line {
    class: Class,
    stride: u64,
    position: u64,
}

impl Picker {
    /// Creates a picker of these classes and weights (0 counts as 1).
    #[must_use]
    pub fn new(classes: &[(Class, u32)], strict: bool) -> Self {
        let line = |(class, weight): &(Class, u32)| {
            let stride = (STRIDE / u64::from((*weight).max(1))).max(1);
            Line { class: *class, stride, position: 0 }
        };
        let mut lines: Vec<_> = classes.iter().map(line).collect();
        lines.sort_by_key(|line| line.class);
        Self { lines, reached: 0, strict }
    }

    /// Chooses among the classes for which `has_some` is true; of those equally far behind the
    /// most urgent.
    pub fn pick(&mut self, has_some: impl Fn(Class) -> bool) -> Option<Class> {
        let reached = self.reached;
        let mut waiting = self.lines.iter_mut().filter(|line| has_some(line.class));
        if self.strict {
            return waiting.next().map(|line| line.class);
        }
        let next = waiting.min_by_key(|line| line.position.max(reached))?;
        self.reached = next.position.max(reached);
        next.position = self.reached + next.stride;
        Some(next.class)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WEIGHTS: [u32; 4] = [8, 4, 2, 1];

    fn picker(strict: bool) -> Picker {
        Picker::new(&Class::ALL.into_iter().zip(WEIGHTS).collect::<Vec<_>>(), strict)
    }

    fn shares(strict: bool, has: impl Fn(Class) -> bool, picks: usize) -> [usize; 4] {
        let mut picker = picker(strict);
        let mut counts = [0; 4];
        for _ in 0..picks {
            let class = picker.pick(&has).unwrap();
            counts[Class::ALL.iter().position(|c| *c == class).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn with_all_classes_full_the_shares_are_the_weights() {
        assert_eq!(shares(false, |_| true, 1_500), [800, 400, 200, 100]);
    }

    #[test]
    fn an_empty_class_leaves_its_share_to_the_others() {
        assert_eq!(shares(false, |class| class != Class::Critical, 700), [0, 400, 200, 100]);
    }

    #[test]
    fn strict_means_the_most_urgent_that_has_something() {
        assert_eq!(shares(true, |_| true, 10), [10, 0, 0, 0]);
        assert_eq!(shares(true, |class| class >= Class::Normal, 10), [0, 0, 10, 0]);
    }

    #[test]
    fn low_waits_at_most_one_round() {
        let mut picker = picker(false);
        let first_low = (0..15).position(|_| picker.pick(|_| true) == Some(Class::Low));
        assert!(first_low.is_some());
        let mut wait = 0;
        for _ in 0..1_500 {
            let low = picker.pick(|_| true) == Some(Class::Low);
            wait = if low { 0 } else { wait + 1 };
            assert!(wait < 15 + 1, "low has waited for {wait} picks");
        }
    }

    #[test]
    fn a_class_that_had_nothing_for_long_goes_next_and_then_has_its_share_only() {
        let mut picker = picker(false);
        for _ in 0..1_000 {
            picker.pick(|class| class != Class::Critical);
        }
        assert_eq!(picker.pick(|_| true), Some(Class::Critical));
        let critical = (0..150).filter(|_| picker.pick(|_| true) == Some(Class::Critical)).count();
        assert!((79..=81).contains(&critical), "{critical} of 150");
    }

    #[test]
    fn nothing_waits_where_nothing_is() {
        assert_eq!(picker(false).pick(|_| false), None);
        assert_eq!(picker(true).pick(|_| false), None);
    }

    proptest! {
        #[test]
        fn whatever_came_before_an_urgent_task_goes_after_at_most_one_of_each_other_class(
            past in prop::collection::vec(0_u8..16, 0..200),
            weights in prop::collection::vec(1_u32..100, 4),
        ) {
            let mut weights = weights;
            weights.sort_unstable_by(|a, b| b.cmp(a));
            let classes: Vec<_> = Class::ALL.into_iter().zip(weights).collect();
            let mut picker = Picker::new(&classes, false);
            for full in past {
                picker.pick(|class| full & (1 << class as u8) != 0);
            }
            let before = (0..4).position(|_| picker.pick(|_| true) == Some(Class::Critical));
            prop_assert!(before.is_some(), "three others went first, and then another");
        }
    }
}
