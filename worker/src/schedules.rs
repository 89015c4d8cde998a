//! The schedules that the program declares: made known to the timetable as the worker starts.
//!
//! Tasks are not waited for with it: a worker whose store refuses the timetable performs tasks all
//! the same. What may be changed, and how, is the timetable's matter ([`leveret_beat::timetable`]).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leveret_beat::definition::Wanted;
use leveret_beat::timetable::{Applied, Left, Reason, Timetable, TimetableError};
use leveret_common::schedule::Source;
use leveret_common::telemetry::names::field;
use leveret_producer::Producer;
use tracing::{debug, error, info, warn};

use crate::handler::Registry;
use crate::shared::Shared;

/// How long to wait before another try where the store does not answer.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Checks what is declared, without asking anybody.
///
/// # Errors
/// [`TimetableError::Flawed`] with everything that is wrong.
pub(crate) fn check(registry: &Registry, producer: &Producer) -> Result<(), TimetableError> {
    let flaws = wanted(registry).checked(producer).flaws;
    if flaws.is_empty() { Ok(()) } else { Err(TimetableError::Flawed(flaws)) }
}

/// Has the timetable hold what is declared; asks until the store answers or the worker drains.
///
/// # Cancel safety
/// Dropped, any of the schedules may or may not have been written; the next start goes on.
pub(crate) async fn run(shared: Arc<Shared>) {
    let Some(program) = program(&shared.registry, &shared.config.enqueue.name) else { return };
    let timetable = Timetable::new(shared.producer.clone());
    loop {
        let source = Source::Code { program: program.clone() };
        let asked = timetable.reconcile(source, wanted(&shared.registry));
        let answer = tokio::select! {
            () = shared.stop.cancelled() => return,
            answer = asked => answer,
        };
        match answer {
            Ok((plan, applied)) => {
                plan.describe().into_iter().for_each(|line| debug!(line, "schedules were planned"));
                return tell(&program, &applied);
            }
            Err(error) if !error.retryable() => {
                error!({ field::ERROR } = %error, "declared schedules are not in the timetable");
                return;
            }
            Err(error) => {
                warn!({ field::ERROR } = %error, "declared schedules wait for the store");
            }
        }
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(AGAIN_AFTER) => {}
        }
    }
}

fn wanted(registry: &Registry) -> Wanted {
    let schedules = registry.schedules().iter();
    schedules.map(|(name, definition)| (name.clone(), definition.clone())).collect()
}

/// Returns in whose name schedules are declared; nothing where there is nothing to say.
fn program(registry: &Registry, otherwise: &str) -> Option<String> {
    if let Some(name) = registry.program_name() {
        return Some(name.to_owned());
    }
    if registry.schedules().is_empty() {
        return None;
    }
    let executable = std::env::current_exe().ok();
    let name = executable.as_deref().and_then(Path::file_stem).and_then(|name| name.to_str());
    Some(name.unwrap_or(otherwise).to_owned())
}

fn tell(program: &str, applied: &Applied) {
    let Applied { created, changed, deleted, kept, left } = applied;
    let (created, changed, deleted) = (created.len(), changed.len(), deleted.len());
    info!(program, created, changed, deleted, kept, "declared schedules are in the timetable");
    for Left { name, why } in left {
        let why = match why {
            Reason::Held(by) | Reason::Present(by) => format!("it comes from {by}"),
            Reason::Lost => "others change it all the time".to_owned(),
        };
        warn!(schedule = name.as_str(), why, "a declared schedule is not in the timetable");
    }
}
