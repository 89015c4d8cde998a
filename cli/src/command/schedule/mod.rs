//! `leveret schedule …`: the timetable, through a gateway; what needs no server asks none.

mod backfill;
mod change;
mod explain;
mod import;
mod list;
mod plan;
mod said;
mod time;

use leveret_common::config::Loaded;
use serde_json::json;

use self::import::Manner;
use self::list::Wish;
use crate::args::ScheduleCommand;
use crate::client::Client;
use crate::command::export::Export;
use crate::error::Error;
use crate::report::Format;

/// Performs a command on schedules. The configuration is read only where it is needed: an expression
/// can be explained beside a `leveret.toml` that is wrong.
///
/// # Cancel safety
/// Dropped, what was done until then stays done.
pub(super) async fn run(
    command: ScheduleCommand,
    load: impl FnOnce() -> Result<Loaded, Error>,
    format: Format,
) -> Result<(), Error> {
    match command {
        ScheduleCommand::Explain { when, zone, coming } => {
            explain::run(&when.join(" "), zone.as_deref(), &coming, format)
        }
        ScheduleCommand::Plan { file, offline: true } => plan::offline(&file, format),
        ScheduleCommand::Plan { file, offline: false } => {
            plan::run(&file, &client(load)?, format).await
        }
        ScheduleCommand::List { paused, source, limit } => {
            list::run(&Wish { paused, source, limit }, &client(load)?, format).await
        }
        ScheduleCommand::Show { name } => list::show(&name, &client(load)?, format).await,
        ScheduleCommand::Next { name, coming } => {
            list::next(&name, &coming, &client(load)?, format).await
        }
        ScheduleCommand::Create(write) => change::create(&write, &client(load)?, format).await,
        ScheduleCommand::Update(update) => change::update(&update, &client(load)?, format).await,
        ScheduleCommand::Delete { names } => change::delete(&names, &client(load)?, format).await,
        ScheduleCommand::Pause { names, why } => {
            let body = why.map_or_else(|| json!({}), |why| json!({ "why": why }));
            change::pause(&names, "pause", &body, &client(load)?, format).await
        }
        ScheduleCommand::Resume { names } => {
            change::pause(&names, "resume", &json!({}), &client(load)?, format).await
        }
        ScheduleCommand::Run { names, key } => {
            change::run(&names, key.as_deref(), &client(load)?, format).await
        }
        ScheduleCommand::Backfill(wish) => backfill::run(&wish, &client(load)?, format).await,
        ScheduleCommand::Import { file, replace, dry_run } => {
            let loaded = load()?;
            let gateway = &loaded.settings.gateway;
            let manner = Manner { replace, dry_run };
            import::run(file.as_deref(), manner, gateway, &Client::new(gateway)?, format).await
        }
        ScheduleCommand::Export { file } => {
            EXPORT.run(file.as_deref(), &client(load)?, format).await
        }
    }
}

const EXPORT: Export<'static> = Export {
    operation: "export the schedules",
    path: "/v1/schedules/export",
    noun: "schedules",
    precious: "it may be the only copy of schedules that were deleted since",
};

fn client(load: impl FnOnce() -> Result<Loaded, Error>) -> Result<Client, Error> {
    Client::new(&load()?.settings.gateway)
}
