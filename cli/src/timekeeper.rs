//! A beat inside a role: its timetable file, what that changes, and SIGHUP.
//!
//! The beat itself applies the file, once it leads; what people are told about that is made here,
//! from the same plan. Guards that a file which is wrong is told whole: before anything starts, and
//! at a SIGHUP without changing anything.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leveret_beat::definition::Wanted;
use leveret_beat::engine::{Beat, BeatError, Config, Reloader, Status};
use leveret_beat::timetable::Timetable;
use leveret_common::config::settings::BeatSettings;
use leveret_common::schedule::Source;
use leveret_producer::Producer;
use nix::unistd::gethostname;
use tokio_util::sync::CancellationToken;

use crate::assemble::{self, Ground};
use crate::error::Error;
use crate::exit::Exit;
use crate::report;
use crate::signals::Hangups;

/// The timetable file where none is named.
const FILE: &str = "schedules.toml";
/// How many lines of a plan are told at most.
const MOST_TOLD: usize = 50;

/// A beat with its timetable file.
pub(crate) struct Timekeeper {
    beat: Beat,
    file: Option<File>,
}

/// A timetable file, and what it is compared with.
struct File {
    path: PathBuf,
    /// How many schedules it has.
    schedules: usize,
    timetable: Timetable,
}

impl Timekeeper {
    /// Creates the beat, reads its file, where there is one, and says what that will change.
    ///
    /// # Cancel safety
    /// Only reads.
    pub(crate) async fn new(ground: &Ground) -> Result<Self, Error> {
        let settings = &ground.settings.beat;
        let options = assemble::options(&ground.settings, "leveret-beat");
        let producer = Producer::new(ground.backend.clone(), options);
        let mut file = path(settings).map(|path| File {
            path,
            schedules: 0,
            timetable: Timetable::new(producer.clone()),
        });
        if let Some(file) = &mut file {
            file.schedules = file.look("once this beat leads").await?;
        }
        let config = Config {
            file: file.as_ref().map(|file| file.path.clone()),
            lease: settings.lease,
            max_lead: settings.lead,
            host: host(),
        };
        Ok(Self { beat: Beat::new(producer, config), file })
    }

    /// Returns what probes ask.
    pub(crate) fn status(&self) -> Arc<Status> {
        self.beat.status()
    }

    /// Returns the timetable file's path.
    pub(crate) fn file(&self) -> Option<String> {
        self.file.as_ref().map(|file| file.path.display().to_string())
    }

    /// Returns how many schedules the file has.
    pub(crate) fn schedules(&self) -> Option<usize> {
        self.file.as_ref().map(|file| file.schedules)
    }

    /// Runs the beat until `stop` is cancelled, and has it read its file again at each SIGHUP.
    ///
    /// # Cancel safety
    /// Dropped, it ends as if it was killed: another beat goes on where it was.
    pub(crate) async fn run(
        self,
        hangups: Hangups,
        stop: CancellationToken,
    ) -> Result<(), BeatError> {
        let Self { beat, file } = self;
        let (reloader, status) = (beat.reloader(), beat.status());
        tokio::select! {
            ended = beat.run(stop) => ended,
            never = reread(hangups, file, &reloader, &status) => match never {},
        }
    }
}

/// Has the file read again at each SIGHUP, for ever.
async fn reread(
    mut hangups: Hangups,
    file: Option<File>,
    reloader: &Reloader,
    status: &Status,
) -> Infallible {
    loop {
        hangups.next().await;
        let Some(file) = &file else {
            report::narrate(&format!(
                "SIGHUP: this beat has no timetable file; write {FILE} or name one with beat.file, \
                 and start it again"
            ));
            continue;
        };
        let when = match status.leads() {
            true => "SIGHUP",
            false => "SIGHUP, once this beat leads",
        };
        match file.look(when).await {
            Ok(_) => reloader.reload(),
            Err(error) => {
                report::complain(&error);
                report::narrate("the timetable stays as it is");
            }
        }
    }
}

impl File {
    /// Reads the file, says what it changes `when`, and returns how many schedules it has.
    async fn look(&self, when: &str) -> Result<usize, Error> {
        let wanted = read(&self.path)?.checked(self.timetable.producer());
        let wanted = sound(&self.path, wanted)?;
        let schedules = wanted.schedules.len();
        let source = Source::File { path: self.path.display().to_string() };
        let plan = self.timetable.plan(source, wanted).await?;
        report::narrate(&format!("{}, {when}:{}", self.path.display(), told(&plan.describe())));
        Ok(schedules)
    }
}

/// Writes the lines of a plan below each other, the sum last; not all of them where there are many.
fn told(lines: &[String]) -> String {
    let indented = |line: &String| format!("\n  {line}");
    let Some((sum, changes)) = lines.split_last() else { return String::new() };
    let mut text: String = changes.iter().take(MOST_TOLD).map(indented).collect();
    if let more @ 1.. = changes.len().saturating_sub(MOST_TOLD) {
        text.push_str(&format!("\n  and {more} more lines: leveret schedule plan shows all"));
    }
    text + &indented(sum)
}

/// Reads a timetable file; what is wrong in it is told by [`sound`].
pub(crate) fn read(path: &Path) -> Result<Wanted, Error> {
    let name = || format!("the timetable file {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| Error::unreadable(&name(), &error))?;
    Ok(Wanted::from_toml(&text))
}

/// Refuses a file in which anything is wrong.
pub(crate) fn sound(path: &Path, wanted: Wanted) -> Result<Wanted, Error> {
    if wanted.flaws.is_empty() {
        return Ok(wanted);
    }
    let operation = format!("read the timetable file {}", path.display()).into();
    Err(Error::Flawed { operation, flaws: wanted.flaws, exit: Exit::Config })
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
    use super::*;

    #[test]
    fn a_long_plan_is_told_in_part_with_its_sum() {
        let lines = |many: usize| {
            let changes = (0..many).map(|n| format!("+ s{n}"));
            changes.chain([format!("{many} to create")]).collect::<Vec<_>>()
        };
        assert_eq!(told(&lines(2)), "\n  + s0\n  + s1\n  2 to create");
        assert_eq!(told(&lines(0)), "\n  0 to create");
        let all = told(&lines(MOST_TOLD));
        assert!(!all.contains("more lines") && all.contains("+ s49"), "{all}");
        let part = told(&lines(MOST_TOLD + 7));
        assert!(!part.contains("+ s50") && part.contains("\n  and 7 more lines: "), "{part}");
        assert!(part.ends_with("\n  57 to create"), "{part}");
    }
}
