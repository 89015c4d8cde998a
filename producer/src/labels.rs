//! The queue as a metric's label: by name for the first so many, then `other`.
//!
//! Guards that senders cannot grow the metrics with queues that they make up.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use leveret_common::name::QueueName;

/// Most queues that have a label of their own beside the configured ones.
const MOST: usize = 100;
/// The label of all others. No queue is called so by accident: it would only share the label.
const OTHER: &str = "other";

/// The queues that have labels.
#[derive(Debug, Default)]
pub(crate) struct QueueLabels(Mutex<Labels>);

#[derive(Debug, Default)]
struct Labels {
    configured: BTreeSet<QueueName>,
    met: BTreeSet<QueueName>,
}

impl QueueLabels {
    /// Creates labels in which the configured queues always have their own.
    pub(crate) fn new(configured: impl IntoIterator<Item = QueueName>) -> Self {
        let configured = configured.into_iter().chain([QueueName::default()]).collect();
        Self(Mutex::new(Labels { configured, met: BTreeSet::new() }))
    }

    /// Returns the label of `queue`.
    pub(crate) fn of(&self, queue: &QueueName) -> String {
        let mut labels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Labels { configured, met } = &mut *labels;
        if configured.contains(queue) || met.contains(queue) {
            return queue.to_string();
        }
        if met.len() >= MOST {
            return OTHER.to_owned();
        }
        met.insert(queue.clone());
        queue.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_queues_share_a_label_after_the_first_hundred() {
        let named = |n: usize| format!("q{n}").parse::<QueueName>().unwrap();
        let labels = QueueLabels::new([named(5_000)]);
        for n in 0..MOST {
            assert_eq!(labels.of(&named(n)), format!("q{n}"));
        }
        assert_eq!(labels.of(&named(MOST)), "other");
        assert_eq!(labels.of(&named(7)), "q7");
        assert_eq!(labels.of(&named(5_000)), "q5000");
        assert_eq!(labels.of(&QueueName::default()), "default");
    }
}
