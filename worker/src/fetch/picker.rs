//! Which class goes next: strictly by urgency, or by shares so that low never starves.
//!
//! Pure. The shares are smooth weighted round-robin (as in nginx): each class that has something
//! gains its weight, the richest goes and pays the sum, so a share of 8:4:2:1 comes out evenly
//! spread and not in bursts.

use leveret_common::name::Class;

/// Chooses between classes.
#[derive(Debug, Clone)]
pub struct Picker {
    classes: Vec<(Class, i64, i64)>,
    strict: bool,
}

impl Picker {
    /// Creates a picker of these classes and weights (0 counts as 1).
    #[must_use]
    pub fn new(classes: &[(Class, u32)], strict: bool) -> Self {
        let mut classes: Vec<_> = classes
            .iter()
            .map(|(class, weight)| (*class, i64::from((*weight).max(1)), 0))
            .collect();
        classes.sort_by_key(|(class, ..)| *class);
        Self { classes, strict }
    }

    /// Chooses among the classes for which `has_some` is true.
    pub fn pick(&mut self, has_some: impl Fn(Class) -> bool) -> Option<Class> {
        if self.strict {
            return self.classes.iter().map(|(class, ..)| *class).find(|class| has_some(*class));
        }
        let mut sum = 0;
        let mut richest: Option<usize> = None;
        for index in 0..self.classes.len() {
            let (class, weight, credit) = self.classes[index];
            if !has_some(class) {
                continue;
            }
            sum += weight;
            self.classes[index].2 = credit + weight;
            if richest.is_none_or(|best| self.classes[index].2 > self.classes[best].2) {
                richest = Some(index);
            }
        }
        let chosen = richest?;
        self.classes[chosen].2 -= sum;
        Some(self.classes[chosen].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(strict: bool, has: impl Fn(Class) -> bool, picks: usize) -> [usize; 4] {
        let weights: Vec<_> = Class::ALL.into_iter().zip([8, 4, 2, 1]).collect();
        let mut picker = Picker::new(&weights, strict);
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
        let weights: Vec<_> = Class::ALL.into_iter().zip([8, 4, 2, 1]).collect();
        let mut picker = Picker::new(&weights, false);
        let first_low = (0..15).position(|_| picker.pick(|_| true) == Some(Class::Low));
        assert!(first_low.is_some());
        assert_eq!(picker.pick(|_| false), None);
    }
}
