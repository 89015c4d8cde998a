//! A beat inside a role: its timetable file, what that changes, and SIGHUP.
//!
//! The beat itself applies the file, whenever it leads, and says what became of it; people are told
//! that here. Guards that a file which is wrong is told whole: before anything starts, and at a
//! SIGHUP without changing anything.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use leveret_beat::definition::{Flaw, Wanted};
use leveret_beat::engine::{Beat, Config, FileError, Filed, News, Reloader, Status};
use leveret_beat::timetable::{Plan, Step};
use leveret_common::config::settings::BeatSettings;
use leveret_producer::Producer;
use nix::unistd::gethostname;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::assemble::Ground;
use crate::error::Error;
use crate::exit::Exit;
use crate::notify;
use crate::report;
use crate::signals::Hangups;

/// The timetable file where none is named.
const FILE: &str = "schedules.toml";
/// How long a service manager waits at most until the file was read again.
const REREAD_WITHIN: Duration = Duration::from_secs(10);
/// How many lines of a plan are told at most.
const MOST_TOLD: usize = 50;

/// A beat with its timetable file.
pub(crate) struct Timekeeper {
    beat: Beat,
    /// Grows whenever it is told what became of the file.
    told: watch::Receiver<u64>,
    file: Option<String>,
    schedules: Option<usize>,
}

impl Timekeeper {
    /// Creates the beat and reads its file, where there is one.
    pub(crate) fn new(ground: &Ground) -> Result<Self, Error> {
        let settings = &ground.settings.beat;
        let producer = Producer::new(ground.backend.clone(), ground.options("leveret-beat"));
        let read = |path: PathBuf| Filed::read(&path, &producer);
        let file = path(settings).map(read).transpose()?;
        let config = Config { lease: settings.lease, max_lead: settings.lead, host: host() };
        let (telling, told) = watch::channel(0);
        let beat = Beat::new(producer, config).telling(move |news| {
            tell(news);
            telling.send_modify(|times| *times += 1);
        });
        let facts = file.as_ref().map(|file| (file.path().display().to_string(), file.schedules()));
        let (path, schedules) = facts.unzip();
        let beat = match file {
            Some(file) => beat.with_file(file),
            None => beat,
        };
        Ok(Self { beat, told, file: path, schedules })
    }

    /// Returns what probes ask.
    pub(crate) fn status(&self) -> Arc<Status> {
        self.beat.status()
    }

    /// Returns the timetable file's path.
    pub(crate) fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Returns how many schedules the file has.
    pub(crate) const fn schedules(&self) -> Option<usize> {
        self.schedules
    }

    /// Runs the beat until `stop` is cancelled, and has it read its file again at each SIGHUP.
    ///
    /// # Cancel safety
    /// Dropped, it ends as if it was killed: another beat goes on where it was.
    pub(crate) async fn run(self, hangups: Hangups, stop: CancellationToken) {
        let reread =
            Reread { reloader: self.beat.reloader(), status: self.beat.status(), told: self.told };
        tokio::select! {
            () = self.beat.run(stop) => {}
            never = reread.at_each(hangups) => match never {},
        }
    }
}

/// Has the file read again.
struct Reread {
    reloader: Reloader,
    status: Arc<Status>,
    told: watch::Receiver<u64>,
}

impl Reread {
    /// Does so at each SIGHUP, for ever.
    async fn at_each(mut self, mut hangups: Hangups) -> Infallible {
        loop {
            hangups.next().await;
            // A beat that was never ready must not be called so because its file was read again.
            let is_told = self.status.is_ready();
            if is_told {
                notify::reloading();
            }
            self.told.mark_unchanged();
            self.reloader.reload();
            if is_told {
                // While the store is away nothing is told, and the beat serves on as before.
                let _ = tokio::time::timeout(REREAD_WITHIN, self.told.changed()).await;
                notify::reloaded();
            }
        }
    }
}

/// Tells people what became of the timetable file.
fn tell(news: &News<'_>) {
    match news {
        News::Holds { file, plan } => {
            report::narrate(&format!("{}:{}", file.path().display(), told(plan)));
        }
        News::StandsBy { file } => report::narrate(&format!(
            "{} is read again, {} schedules; it counts once this beat leads",
            file.path().display(),
            file.schedules()
        )),
        News::Refused { why } => {
            report::narrate(&format!("{why}; the timetable stays as it is"));
        }
        News::NoFile => report::narrate(&format!(
            "SIGHUP: this beat has no timetable file; write {FILE} or name one with beat.file, and \
             start it again"
        )),
        _ => {}
    }
}

/// Writes the lines of a plan below each other, the sum last; not all of them where there are many.
fn told(plan: &Plan) -> String {
    let mut lines = plan.steps.iter().flat_map(Step::describe);
    let indented = |line: String| format!("\n  {line}");
    let mut text: String = lines.by_ref().take(MOST_TOLD).map(indented).collect();
    if let more @ 1.. = lines.count() {
        text.push_str(&format!("\n  and {more} more lines: leveret schedule plan shows all"));
    }
    text + &indented(plan.sum())
}
/// Reads a timetable file; what is wrong in it is told by [`sound`].
pub(crate) fn read(path: &Path) -> Result<Wanted, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    Ok(Wanted::from_toml(&text))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::unreadable(&format!("the timetable file {}", path.display()), error)
}

/// Refuses a file in which anything is wrong.
pub(crate) fn sound(path: &Path, wanted: Wanted) -> Result<Wanted, Error> {
    if wanted.flaws.is_empty() {
        return Ok(wanted);
    }
    Err(flawed(path, wanted.flaws))
}

fn flawed(path: &Path, flaws: Vec<Flaw>) -> Error {
    let operation = format!("read the timetable file {}", path.display()).into();
    Error::Flawed { operation, flaws, exit: Exit::Config }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Unreadable { path, source } => unreadable(&path, &source),
            FileError::Flawed { path, flaws } => flawed(&path, flaws),
            // Of a newer library only.
            other => {
                Self::Argument { what: "the timetable file".to_owned(), why: other.to_string() }
            }
        }
    }
}

/// Returns the file that was named, or the usual one where it is there.
fn path(settings: &BeatSettings) -> Option<PathBuf> {
    let usual = || Path::new(FILE).exists().then(|| PathBuf::from(FILE));
    settings.file.clone().or_else(usual)
}

fn host() -> String {
    let name = gethostname().ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "unknown-host".to_owned())
}

#[cfg(test)]
mod tests {
    use leveret_common::schedule::{Definition, Source};
    use leveret_common::store::ScheduleEntry;

    use super::*;

    #[test]
    fn a_long_plan_is_told_in_part_with_its_sum() {
        let told = |many: usize| {
            let schedules = (0..many).map(|n| {
                let definition = Definition::new("@daily", "k".parse().unwrap());
                (format!("s{n:04}").parse().unwrap(), definition)
            });
            let source = Source::File { path: "t.toml".to_owned() };
            told(&Plan::between(source, schedules.collect(), Vec::<ScheduleEntry>::new()))
        };
        let sum = |many| format!("\n  {many} to create, 0 to change, 0 to delete, 0 as they are");
        assert_eq!(told(1), format!("\n  + s0000: \"@daily\", k{}", sum(1)));
        assert_eq!(told(0), sum(0));
        let all = told(MOST_TOLD);
        assert!(!all.contains("more lines") && all.contains("+ s0049"), "{all}");
        let part = told(MOST_TOLD + 7);
        assert!(!part.contains("+ s0050") && part.contains("\n  and 7 more lines: "), "{part}");
        assert!(part.ends_with(&sum(57)), "{part}");
    }
}
