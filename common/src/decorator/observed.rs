//! Metrics, spans and debug lines around the seams.
//!
//! Responsible for `leveret_publish_confirm_seconds`, `leveret_tasks_received_total`,
//! `leveret_store_operation_seconds` and `leveret_claims_total`; what only a producer or a worker
//! knows, such as attempts, they count themselves. Errors are passed on and logged by whoever
//! handles them; here they appear at `debug` only.

mod broker;
mod schedules;
mod store;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{Instrument, debug, debug_span};

/// A seam whose operations are counted, timed and traced.
#[derive(Debug)]
pub struct Observed<B: ?Sized> {
    inner: Arc<B>,
}

impl<B: ?Sized> Observed<B> {
    /// Puts the decorator around `inner`.
    #[must_use]
    pub const fn new(inner: Arc<B>) -> Self {
        Self { inner }
    }
}

/// Runs one operation in a span of its own; returns its answer and how long it took.
async fn timed<F: Future>(operation: &'static str, count: usize, run: F) -> (F::Output, Duration) {
    let start = Instant::now();
    let answer = run.instrument(debug_span!("operation", operation, count)).await;
    (answer, start.elapsed())
}

/// Writes the debug line of an operation that ended.
fn ended(operation: &'static str, count: usize, outcome: &'static str, took: Duration) {
    let elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    debug!(operation, count, outcome, elapsed_ms, "operation ended");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::Observed;
    use crate::broker::{Broker, Destination, Place, Publish, Settle};
    use crate::decorator::stub::{Stub, advance, claim, message};
    use crate::name::Lane;
    use crate::store::{Ledger, Schedules};

    /// Runs `story` with a recorder of its own and returns what it counted.
    async fn counted(story: impl Future<Output = ()>) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let _guard = metrics::set_default_local_recorder(&recorder);
        story.await;
        handle.render()
    }

    fn line<'a>(rendered: &'a str, start: &str) -> &'a str {
        rendered.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| {
            panic!("no line begins with {start}:\n{rendered}");
        })
    }

    #[tokio::test]
    async fn only_confirmed_messages_are_timed_and_every_handed_out_one_is_counted() {
        let stub = Arc::new(Stub::default());
        let observed: Arc<dyn Broker> = Arc::new(Observed::<dyn Broker>::new(stub.clone()));
        let lane: Lane = "mail.high".parse().unwrap();
        let rendered = counted(async {
            let to = Destination::Lane(lane.clone());
            let batch: Vec<_> =
                (0..3).map(|n| Publish { to: to.clone(), wire: message(n) }).collect();
            stub.refuse_publish(1);
            let answers = observed.publish(&batch).await;
            assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 2);
            let consumer = observed.consume(&Place::Lane(lane.clone()), 5).await.unwrap();
            let got = consumer.next(5).await;
            assert_eq!(got.len(), 2);
            assert!(consumer.settle(&[(got[0].receipt, Settle::Ack)]).await[0].is_ok());
            assert!(consumer.holds(got[0].receipt) && consumer.is_consuming());
            consumer.stop().await;
            assert!(!consumer.is_consuming());
        })
        .await;
        assert!(line(&rendered, "leveret_publish_confirm_seconds_count").ends_with(" 2"));
        let received = line(&rendered, "leveret_tasks_received_total{");
        assert_eq!(received, "leveret_tasks_received_total{queue=\"mail\",class=\"high\"} 2");
    }

    #[tokio::test]
    async fn store_operations_are_timed_by_outcome_and_claims_counted_by_answer() {
        let stub = Arc::new(Stub::default());
        let observed: Arc<dyn Ledger> = Arc::new(Observed::<dyn Ledger>::new(stub.clone()));
        let rendered = counted(async {
            let asks = [claim(), claim()];
            assert_eq!(observed.claim(&asks).await.unwrap().len(), 2);
            assert_eq!(observed.claim(&asks[..1]).await.unwrap().len(), 1);
            stub.refuse_store();
            assert!(observed.check().await.is_err());
        })
        .await;
        let seconds = |labels| {
            line(&rendered, &format!("leveret_store_operation_seconds_count{{{labels}}}"))
                .to_owned()
        };
        assert!(seconds("operation=\"claim\",outcome=\"ok\"").ends_with(" 2"));
        assert!(seconds("operation=\"check\",outcome=\"error\"").ends_with(" 1"));
        // The stub grants the first claim of an id and calls every other stale.
        assert_eq!(
            line(&rendered, "leveret_claims_total{answer=\"claimed"),
            "leveret_claims_total{answer=\"claimed\"} 2"
        );
        assert_eq!(
            line(&rendered, "leveret_claims_total{answer=\"stale"),
            "leveret_claims_total{answer=\"stale\"} 1"
        );
    }

    #[tokio::test]
    async fn operations_on_the_timetable_are_told_apart_from_those_of_the_same_name() {
        let stub = Arc::new(Stub::default());
        let observed = Observed::<dyn Schedules>::new(stub.clone());
        let rendered = counted(async {
            assert_eq!(observed.advance(&[advance()]).await.unwrap().len(), 1);
            assert_eq!(observed.read(&[]).await.unwrap(), []);
            assert_eq!(observed.changes(None).await.unwrap().version, 1);
        })
        .await;
        for operation in ["schedules_advance", "schedules_read", "schedules_changes"] {
            let start = format!(
                "leveret_store_operation_seconds_count{{operation=\"{operation}\",outcome=\"ok\"}}"
            );
            assert!(line(&rendered, &start).ends_with(" 1"), "{operation}");
        }
    }
}
