//! `leveret probe`: asks a role on this machine whether it is ready, for health checks of containers that
//! have no shell and no other client.

use std::net::SocketAddr;

use leveret_common::config::Settings;
use serde_json::{Value, json};

use crate::args::{Asked, ProbedRole};
use crate::error::Error;
use crate::knock::{Heard, Knocker, Question, url_of};
use crate::report::{self, Format};

const COLUMNS: [&str; 3] = ["role", "url", "says"];

/// Asks the named role, or each of them that listens here.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn run(asked: &Asked, settings: &Settings, format: Format) -> Result<(), Error> {
    let doors = doors(asked.role, settings)?;
    let question = if asked.live { Question::Live } else { Question::Ready };
    let knocker = Knocker::new()?;
    let mut heard = Vec::new();
    for (role, door) in doors {
        let answer = knocker.ask(door, question).await;
        // Without a name, whoever does not run here is not asked about.
        if asked.role.is_some() || answer != Heard::Nobody {
            heard.push((role, url_of(door), answer));
        }
    }
    if heard.is_empty() {
        return Err(Error::NobodyHome { where_to: everywhere(settings) });
    }
    let rows: Vec<Value> = heard.iter().map(row).collect();
    report::rows(format, &COLUMNS, &rows)?;
    heard.into_iter().try_for_each(|(role, url, answer)| verdict(role, url, answer))
}

/// Lists the doors to ask.
fn doors(
    role: Option<ProbedRole>,
    settings: &Settings,
) -> Result<Vec<(&'static str, SocketAddr)>, Error> {
    let all = [ProbedRole::Gateway, ProbedRole::Worker, ProbedRole::Beat, ProbedRole::Relay];
    let door = |role| listens(role, settings).map(|door| (ProbedRole::name(role), door));
    match role {
        Some(role) => match door(role) {
            Some(door) => Ok(vec![door]),
            None => Err(Error::NoDoor { role: role.name() }),
        },
        None => Ok(all.into_iter().filter_map(door).collect()),
    }
}

fn listens(role: ProbedRole, settings: &Settings) -> Option<SocketAddr> {
    match role {
        ProbedRole::Gateway | ProbedRole::Dev => Some(settings.gateway.listen),
        ProbedRole::Worker => settings.worker.listen,
        ProbedRole::Beat => settings.beat.listen,
        ProbedRole::Relay => settings.relay.listen,
    }
}

fn everywhere(settings: &Settings) -> String {
    let all = [ProbedRole::Gateway, ProbedRole::Worker, ProbedRole::Beat, ProbedRole::Relay];
    let urls: Vec<String> =
        all.into_iter().filter_map(|role| Some(url_of(listens(role, settings)?))).collect();
    urls.join(", ")
}

fn row((role, url, answer): &(&'static str, String, Heard)) -> Value {
    let says = match answer {
        Heard::Yes(said) | Heard::No(said) | Heard::Silence(said) => said,
        Heard::Nobody => "nothing listens there",
    };
    json!({ "role": role, "url": url, "says": says })
}

fn verdict(role: &'static str, url: String, answer: Heard) -> Result<(), Error> {
    match answer {
        Heard::Yes(_) => Ok(()),
        Heard::No(why) => Err(Error::NotReady { role, url, why }),
        Heard::Nobody => Err(Error::NobodyHome { where_to: url }),
        Heard::Silence(why) => Err(Error::NoAnswer { role, url, why }),
    }
}
