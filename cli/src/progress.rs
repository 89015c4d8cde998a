//! A progress bar on stderr, drawn only where that is a terminal.

use std::fmt;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// How often it is drawn anew while nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// How far something is.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins to count `noun`; how many there will be is not known yet.
    pub(crate) fn count(noun: &str) -> Self {
        Self::new(
            ProgressBar::new_spinner(),
            &format!("{{spinner}} {{human_pos}} {noun}, {{rate}} {{msg}}"),
        )
    }

    /// Begins to go through an unknown number of `noun`, to be told by [`Self::at`].
    pub(crate) fn through(noun: &str) -> Self {
        let template =
            format!("{{bar:30}} {{human_pos}} of {{human_len}} {noun}, {{rate}} {{msg}}");
        Self::new(ProgressBar::new(0), &template)
    }

    fn new(bar: ProgressBar, template: &str) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, to: &mut dyn fmt::Write| {
                // A bar that cannot be drawn is no failure of the command.
                let _ = write!(to, "{:.0}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Counts further ones.
    pub(crate) fn more(&self, number: u64) {
        self.0.inc(number);
    }

    /// Tells how far it is, and of how many.
    pub(crate) fn at(&self, number: u64, of: u64) {
        self.0.set_length(of);
        self.0.set_position(number);
    }

    /// Tells something beside the number.
    pub(crate) fn say(&self, text: String) {
        self.0.set_message(text);
    }

    /// Has `print` write to the terminal without being drawn over.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }

    /// Takes it off the screen, as its drop does.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
