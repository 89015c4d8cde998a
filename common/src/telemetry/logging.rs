//! Log output: text or JSON lines on stderr.
//!
//! stdout belongs to a command's data, so nothing is ever logged there. Which level and form is
//! the config's to say; the environment is not read here.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::broker::TALKATIVE_TARGETS;

/// What a log line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLines {
    /// Text for people; coloured on a terminal.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// This process logs already.
    #[error("failed to set up logging: this process has set it up before; do it once, in main")]
    Twice,
}

/// Sends this process's log lines of `level` and above to stderr. Text has colours only when
/// stderr is a terminal.
///
/// `level` is for Leveret's own crates. Libraries below them are heard from `warn` up, whatever
/// the level: their debug lines may show what is sent, and ours never do.
///
/// # Errors
///
/// [`LoggingError::Twice`] when logging was set up before.
pub fn setup_logging(level: Level, lines: LogLines) -> Result<(), LoggingError> {
    let colours = std::io::stderr().is_terminal();
    tracing::subscriber::set_global_default(subscriber(level, lines, colours, std::io::stderr))
        .map_err(|_| LoggingError::Twice)?;
    crate::sabotage::announce();
    Ok(())
}

fn subscriber<W>(
    level: Level,
    lines: LogLines,
    colours: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let off = TALKATIVE_TARGETS.iter().map(|target| (*target, LevelFilter::OFF));
    let filter = Targets::new()
        .with_target("leveret", level)
        .with_targets(off)
        .with_default(LevelFilter::WARN.min(LevelFilter::from_level(level)));
    let registry = tracing_subscriber::registry();
    match lines {
        LogLines::Text => {
            let layer = fmt::layer().with_ansi(colours).with_writer(writer);
            Box::new(registry.with(layer.with_filter(filter)))
        }
        LogLines::Json => {
            let layer = fmt::layer().json().flatten_event(true).with_writer(writer);
            Box::new(registry.with(layer.with_filter(filter)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: Level, lines: LogLines, colours: bool) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = subscriber(level, lines, colours, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "leveret_worker", queue = "mail", "worker started");
            tracing::debug!(target: "leveret_worker", "claimed");
            tracing::info!(target: "library", "library talk");
            tracing::warn!(target: "library", "library trouble");
            #[cfg(feature = "rabbitmq")]
            tracing::warn!(target: TALKATIVE_TARGETS[0], "a body in clear");
        });
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_has_colours_only_when_asked() {
        assert!(logged(Level::INFO, LogLines::Text, true).contains('\u{1b}'));
        let plain = logged(Level::INFO, LogLines::Text, false);
        assert!(!plain.contains('\u{1b}'));
        assert!(plain.contains("worker started queue=\"mail\""), "{plain}");
    }

    #[test]
    fn json_is_one_object_per_line_with_its_fields() {
        let text = logged(Level::INFO, LogLines::Json, false);
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(first["queue"], "mail");
        assert_eq!(first["message"], "worker started");
        assert_eq!(first["level"], "INFO");
    }

    #[test]
    fn the_level_is_for_leveret_and_libraries_are_heard_from_warn_up() {
        let info = logged(Level::INFO, LogLines::Text, false);
        assert!(!info.contains("claimed") && !info.contains("library talk"), "{info}");
        assert!(info.contains("library trouble"), "{info}");
        let trace = logged(Level::TRACE, LogLines::Text, false);
        assert!(trace.contains("claimed") && !trace.contains("library talk"), "{trace}");
        assert_eq!(logged(Level::ERROR, LogLines::Text, false), "");
    }

    #[test]
    fn returned_messages_are_never_printed_by_the_client() {
        for level in [Level::INFO, Level::TRACE] {
            let text = logged(level, LogLines::Text, false);
            assert!(text.contains("library trouble") && !text.contains("in clear"), "{text}");
        }
    }
}
