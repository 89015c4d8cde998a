//! Who leads, as beats say themselves.

use std::time::Duration;

use leveret_common::clock::Millis;
use serde_json::Value;
use tokio::time::sleep;

use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::role::Role;

/// Within this another beat leads, with the usual lease.
pub(super) const TAKEOVER: Duration = Duration::from_secs(10);
/// How long it is waited for a beat to lead, or to stand by.
const SOON: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// Whether a beat says of itself that it leads.
pub(super) async fn leads(beat: &Role) -> bool {
    says(beat, "leads").await
}

/// Whether a beat says of itself that it stands by.
pub(super) async fn stands_by(beat: &Role) -> bool {
    says(beat, "stands by").await
}

async fn says(beat: &Role, words: &str) -> bool {
    let Ok(answer) = reqwest::get(format!("{}/readyz", beat.url())).await else { return false };
    answer.status().is_success() && answer.text().await.is_ok_and(|text| text.contains(words))
}

/// Whether the beat of the one process leads.
async fn process_leads(fleet: &Fleet, pid: u32) -> bool {
    let Ok((200, answer)) = fleet.door.get("/v1/beats").await else { return false };
    let beats = answer["beats"].as_array().map(Vec::as_slice).unwrap_or_default();
    let leads = |beat: &Value| beat["pid"] == pid && beat["leads"] == true;
    beats.iter().any(leads)
}

/// Waits until one of the fleet's beats leads, and returns its process and when that was seen.
pub(super) async fn until_one_leads(fleet: &mut Fleet) -> Result<(u32, Millis), Error> {
    let began = Fleet::now();
    loop {
        if fleet.is_embedded() {
            let pids: Vec<u32> = fleet.workers().iter().map(Role::pid).collect();
            for pid in pids {
                if process_leads(fleet, pid).await {
                    return Ok((pid, Fleet::now()));
                }
            }
        }
        for beat in fleet.beats().iter() {
            if leads(beat).await {
                return Ok((beat.pid(), Fleet::now()));
            }
        }
        if Fleet::now().since(began) > SOON {
            return Err(Error::unexpected(
                "the fleet",
                format!("has no leading beat for {SOON:?}"),
            ));
        }
        sleep(LOOK).await;
    }
}

/// Waits until a beat stands by.
pub(super) async fn until_it_stands_by(beat: &Role) -> Result<(), Error> {
    let began = Fleet::now();
    while !stands_by(beat).await {
        if Fleet::now().since(began) > SOON {
            let what = format!("does not stand by after {SOON:?}; see {}", beat.log().display());
            return Err(Error::unexpected(format!("leveret beat ({})", beat.pid()), what));
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Whether a process has said something.
///
/// # Errors
/// When its log cannot be read.
pub(super) fn has_said(log: &std::path::Path, words: &str) -> Result<bool, Error> {
    let said = std::fs::read_to_string(log);
    Ok(said.map_err(crate::error::while_doing("read a log"))?.contains(words))
}
