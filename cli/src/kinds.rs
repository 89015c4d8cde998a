//! The kinds of the configuration, as a worker and a gateway need them.
//!
//! Responsible for handing what the file says to what performs it: programs, URLs, schemas, and the
//! secrets among it. What a kind's table may hold is the configuration's own matter.

use std::sync::Arc;

use leveret_common::clock::SystemClock;
use leveret_common::config::kinds::{Opened, open};
use leveret_common::config::{KindSettings, SecretUrl, Settings};
use leveret_common::name::KindName;
use leveret_common::shape::{Schema, Shapes};
use leveret_worker::handler::exec::{Guard, Program};
use leveret_worker::handler::push::{Endpoint, Pusher};
use leveret_worker::handler::shaped;
use leveret_worker::{Handler, Kind, Registry};

use crate::error::Error;

/// Returns the kinds of the configuration and the program's own.
pub(crate) fn all(settings: &Settings, own: &Registry) -> Result<Registry, Error> {
    let twice: Vec<KindName> =
        settings.kinds.keys().filter(|name| own.find(name).is_some()).cloned().collect();
    if !twice.is_empty() {
        return Err(Error::Clash(twice));
    }
    let mut registry = bound(settings)?;
    registry.merge(own.clone())?;
    Ok(registry)
}

/// Returns the kinds of the configuration, each performed by its program or at its URL.
fn bound(settings: &Settings) -> Result<Registry, Error> {
    let shapes = shapes(settings)?;
    let mut opened = open(&settings.kinds)?;
    let pusher = Pusher::new(Arc::new(SystemClock));
    let guard = Arc::new(Guard::default());
    let mut registry = Registry::default();
    for (name, kind) in &settings.kinds {
        let opened = opened.remove(name).unwrap_or_default();
        // A kind that has neither does not load.
        let handler = match (&kind.http, kind.exec.split_first()) {
            (Some(url), _) => endpoint(name, url, kind, opened, &pusher)?,
            (None, Some((program, arguments))) => Program {
                program: program.into(),
                arguments: arguments.to_vec(),
                env: opened.env,
                cwd: kind.cwd.clone(),
                guard: Some(Arc::clone(&guard)),
            }
            .handler(),
            (None, None) => continue,
        };
        let handler = match shapes.get(name) {
            Some(shape) => shaped(Arc::clone(shape), handler),
            None => handler,
        };
        registry.add(Kind {
            name: name.clone(),
            handler,
            retry: kind.retry.clone(),
            timeout: kind.timeout.unwrap_or(settings.worker.timeout),
        })?;
    }
    Ok(registry)
}

fn endpoint(
    name: &KindName,
    url: &SecretUrl,
    kind: &KindSettings,
    opened: Opened,
    pusher: &Pusher,
) -> Result<Arc<dyn Handler>, Error> {
    let endpoint = Endpoint {
        url: url.expose().to_owned(),
        headers: opened.headers.into_iter().collect(),
        secrets: opened.secrets,
        allow: kind.allow.clone(),
    };
    pusher.handler(endpoint).map_err(|source| Error::Endpoint { kind: name.clone(), source })
}

/// Reads the schemas that kinds name.
pub(crate) fn shapes(settings: &Settings) -> Result<Shapes, Error> {
    let (mut shapes, mut wrong) = (Shapes::default(), Vec::new());
    for (name, kind) in &settings.kinds {
        match kind.schema.as_deref().map(Schema::read) {
            Some(Ok(schema)) => shapes.insert(name.clone(), Arc::new(schema)),
            Some(Err(error)) => wrong.push((name.clone(), error)),
            None => {}
        }
    }
    if wrong.is_empty() { Ok(shapes) } else { Err(Error::Schemas(wrong)) }
}
