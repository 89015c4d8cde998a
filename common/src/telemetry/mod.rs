//! What Leveret tells about itself: logs and metrics.
//!
//! [`names`] has every metric, label and log field; the feature `telemetry` adds the log output
//! and the metrics recorder, which only programs need. Where a number is counted is the counting
//! code's matter. Guards that both are set up in one place, so that no two parts of a process
//! disagree on format, destination or buckets.

pub mod names;

#[cfg(feature = "telemetry")]
mod logging;
#[cfg(feature = "telemetry")]
mod recorder;

#[cfg(feature = "telemetry")]
pub use logging::{LogLines, LoggingError, setup_logging};
#[cfg(feature = "telemetry")]
pub use recorder::{BUCKETS, Metrics, MetricsError};
