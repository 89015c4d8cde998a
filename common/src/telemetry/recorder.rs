//! The metrics recorder: collects in process, renders Prometheus text on demand.
//!
//! Serving the text is the caller's matter, as is calling [`Metrics::upkeep`]. Guards that every
//! histogram has explicit buckets: without them the exporter makes it a summary, which cannot be
//! added up over workers.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::names;

/// Upper bounds of every histogram's buckets, in seconds: from a confirm on a local broker to a
/// long task.
pub const BUCKETS: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 1_800.0, 7_200.0,
];

/// Why the metrics recorder could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("failed to install the metrics recorder: {source}; a process can have only one")]
pub struct MetricsError {
    #[from]
    source: metrics_exporter_prometheus::BuildError,
}

impl MetricsError {
    /// Tells whether the process has a recorder already, so that metrics are collected all the same.
    #[must_use]
    pub const fn is_second(&self) -> bool {
        matches!(self.source, metrics_exporter_prometheus::BuildError::FailedToSetGlobalRecorder(_))
    }
}

/// The process's metrics, to render.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder for this process and describes every metric in [`names::METRICS`].
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when this process has a recorder already.
    pub fn install() -> Result<Self, MetricsError> {
        let handle = builder()?.install_recorder()?;
        names::describe();
        Ok(Self { handle })
    }

    /// Returns all metrics in Prometheus' text format (`text/plain; version=0.0.4`).
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds recorded samples into their buckets. To be called every few seconds: samples between
    /// two calls are kept one by one, so memory would grow if nothing rendered or called this.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn builder() -> Result<PrometheusBuilder, MetricsError> {
    Ok(PrometheusBuilder::new().set_buckets(&BUCKETS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_rendered_with_buckets_and_described() {
        let recorder = builder().unwrap().build_recorder();
        let metrics = Metrics { handle: recorder.handle() };
        metrics::with_local_recorder(&recorder, || {
            names::describe();
            metrics::histogram!(names::WAIT_SECONDS, names::label::QUEUE => "mail").record(0.3);
            metrics::counter!(names::TASKS_RECEIVED, names::label::QUEUE => "mail").increment(2);
        });
        metrics.upkeep();
        let text = metrics.render();
        assert!(text.contains("# TYPE leveret_wait_seconds histogram"), "{text}");
        assert!(
            text.contains("leveret_wait_seconds_bucket{queue=\"mail\",le=\"0.25\"} 0"),
            "{text}"
        );
        assert!(
            text.contains("leveret_wait_seconds_bucket{queue=\"mail\",le=\"0.5\"} 1"),
            "{text}"
        );
        assert!(text.contains("# HELP leveret_tasks_received_total "), "{text}");
        assert!(text.contains("leveret_tasks_received_total{queue=\"mail\"} 2"), "{text}");
        assert!(!text.contains("quantile"), "{text}");
    }
}
