//! What is counted of the follow-ups of others' successes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use leveret_common::broker::Destination;
use leveret_common::envelope::Envelope;
use leveret_common::id::TaskId;
use leveret_common::ledger::FollowUp;
use leveret_common::name::{Class, Lane, QueueName};
use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use crate::world::World;

/// Remembers the label of each counter that was counted up.
#[derive(Default)]
struct Labels(Arc<Mutex<BTreeSet<String>>>);

struct Ignored;

impl CounterFn for Ignored {
    fn increment(&self, _: u64) {}
    fn absolute(&self, _: u64) {}
}

impl Recorder for Labels {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let queue = key.labels().find(|label| label.key() == "queue");
        self.0.lock().unwrap().extend(queue.map(|label| label.value().to_owned()));
        Counter::from_arc(Arc::new(Ignored))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn queues_that_handlers_make_up_do_not_grow_the_metrics() {
    const QUEUES: usize = 300;
    let follow_up = |n: usize| {
        let queue: QueueName = format!("made-up-{n}").parse().unwrap();
        let task = Envelope::new(TaskId::mint(), "demo.next".parse().unwrap(), "1".into());
        FollowUp { to: Destination::Lane(Lane::new(queue, Class::Normal)), wire: task.to_wire() }
    };
    let confirmed: Vec<_> = (0..QUEUES).map(follow_up).collect();
    let recorder = Labels::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async { World::new().producer.followed_up(&confirmed).await });
    });
    let labels = recorder.0.lock().unwrap();
    assert!(labels.contains("made-up-0") && labels.contains("other"), "{labels:?}");
    assert!(labels.len() < QUEUES / 2, "{} labels", labels.len());
}
