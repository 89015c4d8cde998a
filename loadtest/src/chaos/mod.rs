//! Chaos: the fault matrix, run for real.
//!
//! Each [`row`] injects one fault into a [`stage`] of real processes and servers, heals it, waits until all work is
//! over, and has the oracle judge. [`rows`] holds them, [`report`] prints what they found and writes the table of
//! `docs/faults.md`. Guards that nothing passes by doing nothing: a row fails where its fault did not happen.

pub mod report;
pub mod row;
pub mod rows;
pub mod stage;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

pub use self::row::{Lent, Play, Row};
pub use self::stage::{Cast, Plan, Proxied, Stage};
use crate::error::{Error, while_doing};
use crate::ground::On;
use crate::oracle::Finding;

/// What is to be played.
#[derive(Clone)]
pub struct Playbill {
    /// The rows.
    pub rows: Vec<&'static Row>,
    /// On which backends, as far as a row applies there.
    pub on: Vec<On>,
    /// What chance goes by; drawn for each play where it is absent.
    pub seed: Option<u64>,
    /// How often each is played.
    pub repeat: u32,
    /// For how many minutes a soak lasts.
    pub minutes: u64,
    /// Whether faults last as long as the matrix says.
    pub is_full: bool,
}

/// One play, when it is over.
pub struct Played {
    /// The row.
    pub row: &'static Row,
    /// On which backend.
    pub on: On,
    /// What chance went by in it.
    pub seed: u64,
    /// What it found.
    pub found: Result<Finding, Error>,
    /// How long it took.
    pub took: Duration,
    /// The folder with its logs and its journal, where it is red.
    pub kept: Option<PathBuf>,
}

impl Played {
    /// Tells what does not hold; nothing where it is green.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        match &self.found {
            Ok(finding) => finding.failures(),
            Err(error) => vec![error.to_string()],
        }
    }

    /// Whether all holds.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.failures().is_empty()
    }
}

/// How long plays last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    /// Of a soak.
    pub minutes: u64,
    /// Whether faults last as long as the matrix has them, and not as long as suffices to see them.
    pub is_full: bool,
}

impl Default for Length {
    fn default() -> Self {
        Self { minutes: 1, is_full: false }
    }
}

/// How one play is made.
#[derive(Debug, Clone)]
pub struct Terms {
    /// On which backend.
    pub on: On,
    /// What chance goes by.
    pub seed: u64,
    /// How long it lasts.
    pub length: Length,
    /// A broker that several plays share, where it does not start its own.
    pub lent: Option<Lent>,
}

impl Playbill {
    const fn length(&self) -> Length {
        Length { minutes: self.minutes, is_full: self.is_full }
    }

    /// Plays all of it, unless `end` comes first: then nothing, and no process stays behind.
    ///
    /// # Cancel safety
    /// As [`Playbill::play`].
    pub async fn play_until(
        &self,
        end: impl Future<Output = ()>,
        hand_over: impl FnMut(&Played),
    ) -> Option<Vec<Played>> {
        tokio::select! {
            played = self.play(hand_over) => Some(played),
            () = end => None,
        }
    }

    /// Plays all of it, and hands over each play when it is over.
    ///
    /// # Cancel safety
    /// Dropped, processes and servers of the present play are ended.
    pub async fn play(&self, mut hand_over: impl FnMut(&Played)) -> Vec<Played> {
        let bars = MultiProgress::new();
        let mut all = Vec::new();
        for row in &self.rows {
            let backends: Vec<On> =
                self.on.iter().copied().filter(|on| row.on.contains(on)).collect();
            let plays = backends.len() as u64 * u64::from(self.repeat);
            let bar = bars.add(bar(row, plays));
            for on in backends {
                for _ in 0..self.repeat {
                    let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
                    let terms = Terms { on, seed, length: self.length(), lent: None };
                    let played = play_one(row, terms, &bar).await;
                    bar.inc(1);
                    bars.suspend(|| hand_over(&played));
                    all.push(played);
                }
            }
            bar.finish_and_clear();
        }
        all
    }
}

/// Waits until somebody wants the end: Ctrl-C, or SIGTERM.
///
/// # Cancel safety
/// It only waits.
pub async fn interrupted() {
    let mut terminated = signal(SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminated {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// Plays a row once, in a folder of its own, which is kept where the play is red.
///
/// # Cancel safety
/// Dropped, its processes and servers are ended.
pub async fn play_one(row: &'static Row, terms: Terms, bar: &ProgressBar) -> Played {
    let Terms { on, seed, length, lent } = terms;
    let began = Instant::now();
    let prefix = format!("leveret-chaos-{}-", row.name.to_lowercase());
    let folder = tempfile::Builder::new().prefix(&prefix).tempdir();
    let (found, folder) = match folder.map_err(while_doing("make a folder")) {
        Err(error) => (Err(error), None),
        Ok(folder) => {
            let mut play = Play::new(row.name, on, seed, folder.path().to_owned());
            (play.bar, play.lent) = (bar.clone(), lent);
            (play.minutes, play.is_full) = (length.minutes, length.is_full);
            ((row.run)(play).await, Some(folder))
        }
    };
    let mut played = Played { row, on, seed, found, took: began.elapsed(), kept: None };
    if !played.is_green() {
        played.kept = folder.map(TempDir::keep);
    }
    played
}

/// Makes the bar of a row; it is drawn where stderr is a terminal.
fn bar(row: &Row, plays: u64) -> ProgressBar {
    let bar = ProgressBar::new(plays);
    let template = "{prefix:4} [{bar:20}] {pos}/{len} {elapsed:>4} {wide_msg}";
    bar.set_style(
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> "),
    );
    bar.set_prefix(row.name);
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
