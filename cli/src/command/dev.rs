//! `leveret dev`: gateway, worker and beat in one process, without any configuration.
//!
//! On the embedded backend it is the whole product; where broker.url and store.url are set it uses
//! those. It performs `demo.echo` beside the kinds of the configuration and of the program that it is
//! part of, and serves every queue that one of them names. It keeps the timetable, too, and hands on
//! the outbox that is configured.

use std::net::SocketAddr;
use std::sync::Arc;

use leveret_common::backend::Purpose;
use leveret_common::config::Settings;
use leveret_common::name::QueueName;
use leveret_common::retry::RetryPolicy;
use leveret_outbox::relay::Relay;
use leveret_worker::{Kind, Registry, handler};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::assemble::{self, Given, Ground};
use crate::error::Error;
use crate::kinds;
use crate::knock::url_of;
use crate::notify::Pulse;
use crate::report::{self, Format};
use crate::signals::{Hangups, Signals};
use crate::timekeeper::Timekeeper;

/// The kind that needs no configuration: it answers with its args.
const ECHO: &str = "demo.echo";

/// Serves and performs until a signal, then drains.
///
/// # Cancel safety
/// Dropped, running tasks are cut and run again after the next start.
pub(crate) async fn run(given: Given, signals: Signals, hangups: Hangups) -> Result<(), Error> {
    assemble::play(given, "dev", Purpose::Any, signals, async |ground, stop| {
        serve(ground, hangups, stop).await
    })
    .await
}

async fn serve(ground: &Ground, hangups: Hangups, stop: CancellationToken) -> Result<(), Error> {
    let settings = &ground.settings;
    let registry = registry(settings, &ground.own)?;
    let queues = queues(settings, &ground.own);
    let kinds = registry.names().map(ToString::to_string).collect::<Vec<_>>();
    let timekeeper = Timekeeper::new(ground)?;
    let shown = Shown {
        kinds,
        queues: queues.iter().map(ToString::to_string).collect(),
        timetable: timekeeper.file().map(str::to_owned),
        schedules: timekeeper.schedules(),
    };
    let worker = ground.worker(registry, queues)?;
    let (performs, keeps) = (worker.status(), timekeeper.status());
    let Some(opened) = stop.run_until_cancelled(ground.relay()).await else { return Ok(()) };
    let relay = opened?;
    let hands_on = relay.as_ref().map(Relay::status);
    let is_ready = move || {
        let hands_on = hands_on.as_ref().is_none_or(|relay| relay.trouble().is_none());
        performs.is_ready() && keeps.is_ready() && hands_on
    };
    let gateway = ground.bind_gateway(Some(Arc::new(is_ready))).await?;
    shown.print(settings, gateway.local_addr(), ground.format)?;
    let pulse = Pulse::at(gateway.local_addr())?;
    let _told = ground.keep_told(pulse, settings.worker.grace, &stop);
    let worker = ground.start(worker.run(stop.clone()), stop.clone());
    let beat = ground.start(timekeeper.run(hangups, stop.clone()), stop.clone());
    let relay = relay.map(|relay| ground.start(relay.run(stop.clone()), stop.clone()));
    gateway.run(stop).await;
    let performed = worker.ended("run the worker").await;
    beat.ended("run the beat").await?;
    if let Some(relay) = relay {
        relay.ended("run the relay").await?;
    }
    Ok(performed??)
}

/// Returns the kinds of the configuration and the program, and `demo.echo`, unless one of them has
/// that name.
fn registry(settings: &Settings, own: &Registry) -> Result<Registry, Error> {
    let mut registry = kinds::all(settings, own)?;
    if let Ok(name) = ECHO.parse()
        && registry.find(&name).is_none()
    {
        registry.add(Kind {
            name,
            handler: handler::echo(),
            retry: RetryPolicy::default(),
            timeout: settings.worker.timeout,
        })?;
    }
    Ok(registry)
}

/// Returns the worker's queues and those that only a kind names: nobody else would serve them.
fn queues(settings: &Settings, own: &Registry) -> Vec<QueueName> {
    let mut queues = settings.worker.queues.clone();
    let of_kinds = settings.kinds.values().map(|kind| kind.queue.clone().unwrap_or_default());
    for queue in of_kinds.chain(own.queues()).chain([QueueName::default()]) {
        if !queues.contains(&queue) {
            queues.push(queue);
        }
    }
    queues
}

/// What is said at the start.
struct Shown {
    kinds: Vec<String>,
    queues: Vec<String>,
    timetable: Option<String>,
    schedules: Option<usize>,
}

impl Shown {
    fn print(&self, settings: &Settings, listen: SocketAddr, format: Format) -> Result<(), Error> {
        let url = url_of(listen);
        let mut members = json!({
            "gateway": url, "kinds": self.kinds, "queues": self.queues,
            "timetable": self.timetable, "schedules": self.schedules,
        });
        match (&settings.broker.url, &settings.store.url) {
            (Some(broker), Some(store)) => {
                members["broker"] = Value::from(broker.to_string());
                members["store"] = Value::from(store.to_string());
            }
            _ => members["data"] = Value::from(settings.data.display().to_string()),
        }
        let first =
            ["gateway", "data", "broker", "store", "kinds", "queues", "timetable", "schedules"];
        report::one(format, &first, &members)?;
        if format == Format::Table {
            let with_token = settings.gateway.token_file.is_some();
            report::write(&next_steps(&url, with_token))?;
        }
        Ok(())
    }
}

/// Returns the commands to type next. The id is a fixed one, so that both can be copied as they
/// are; a second run is answered with the first task.
fn next_steps(url: &str, with_token: bool) -> String {
    let token = if with_token { " -H 'authorization: Bearer TOKEN'" } else { "" };
    format!(
        "\nEnqueue a task and see its result:\n\n  \
         curl -sS {url}/v1/tasks{token} -H 'content-type: application/json' \
         -d '{{\"kind\":\"{ECHO}\",\"id\":\"hello\",\"args\":{{\"hello\":\"world\"}}}}'\n  \
         curl -sS{token} '{url}/v1/tasks/hello?wait=10s'\n\nCtrl-C drains and stops.\n"
    )
}

#[cfg(test)]
mod tests {
    use leveret_common::config::KindSettings;

    use super::*;

    #[test]
    fn every_queue_that_a_kind_names_is_served() {
        let mut settings = Settings::default();
        settings.worker.queues = vec!["mail".parse().unwrap()];
        let files = Some("files".parse().unwrap());
        for (name, queue) in [("text.words", files), ("text.lines", None)] {
            let kind = KindSettings { queue, ..KindSettings::default() };
            settings.kinds.insert(name.parse().unwrap(), kind);
        }
        let queues: Vec<_> =
            queues(&settings, &Registry::default()).iter().map(ToString::to_string).collect();
        assert_eq!(queues, ["mail", "default", "files"]);
    }
}
