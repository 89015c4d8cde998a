//! The disk under the file of the embedded backend is full.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::super::refusal::Refusal;
use super::{
    MEBIBYTES, OF_LOGS, PACE, PATIENCE, accepts_within, keep_logs, keeps_full, logs, told, untyped,
};
use crate::chaos::{Play, Stage};
use crate::error::{Error, while_doing};
use crate::fleet::Fleet;
use crate::fleet::producers::Load;
use crate::node::Disk;
use crate::oracle::{Event, Finding};

/// How soon a task is accepted when there is space again.
const BACK: Duration = Duration::from_secs(10);

/// Fills the disk of the logs, then the one of the file.
pub(super) async fn full(play: &Play) -> Result<Finding, Error> {
    let logs = Disk::mount(&play.folder.join("logs"), OF_LOGS)?;
    let data = Disk::mount(&play.folder.join("fleet").join("data"), MEBIBYTES)?;
    let mut stage = Stage::open(play, logs::plan(&logs, None)).await?;
    let found = on_stage(&mut stage, &logs, &data).await;
    keep_logs(logs.place(), &play.folder.join("fleet"))?;
    found
}

async fn on_stage(stage: &mut Stage, logs: &Disk, data: &Disk) -> Result<Finding, Error> {
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;
    stage.harmed();
    let mut found = logs::full(stage, logs).await?;

    stage.say("fills the disk of the file");
    let from = Fleet::now();
    let kept = keeps_full(stage, data).await;
    data.free()?;
    let (refusals, accepted) = kept?;
    stage.happened("a full disk took every task", !refusals.is_empty())?;
    let Some(after) = accepts_within(stage, BACK).await? else {
        return Err(Error::unexpected("the gateway", "takes nothing, though there is space again"));
    };
    // It is broker and store in one.
    stage.note(Event::BrokerLost { from, to: Fleet::now() });
    stage.note(Event::CutOff { pid: None, from, to: Fleet::now() });
    stage.healed();
    found.wrong.extend(unsaid(&refusals));
    found.wrong.extend(untyped(&refusals, "the file's disk"));
    found.notes.push(told("the file's disk", &refusals, accepted));
    found.notes.push(format!("accepts {:.1} s after space is back", after.as_secs_f64()));

    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    finding.add(found);
    finding.wrong.extend(unwell(stage).await?);
    stage.fleet.drain_workers().await?;
    match checked(&data.place().join("leveret.db"))? {
        None => {
            finding.notes.push("no sqlite3 here: only the doctor looked at the file".to_owned())
        }
        Some(said) if said == "ok" => {
            finding.notes.push("PRAGMA integrity_check says ok".to_owned());
        }
        Some(said) => finding.wrong.push(format!("PRAGMA integrity_check says {said}")),
    }
    Ok(finding)
}

/// Tells which refusals do not say what is the matter.
fn unsaid(refusals: &[Refusal]) -> Option<String> {
    let told = refusals.iter().any(|refused| refused.detail.contains("the disk is full"));
    (!told).then(|| "nobody is told that the disk is full".to_owned())
}

/// Tells what the doctor finds damaged in the file.
async fn unwell(stage: &Stage) -> Result<Option<String>, Error> {
    let (status, told) = stage.fleet.door.get("/v1/doctor").await?;
    let findings = told["findings"].as_array().filter(|_| status == 200);
    let integrity = findings.and_then(|all| all.iter().find(|one| one["check"] == "integrity"));
    let is_well = integrity.is_some_and(|found| found["health"] == "good");
    Ok((!is_well).then(|| format!("the doctor says of the file: {integrity:?}")))
}

/// Has SQLite's own shell look at every page; what it says, where it is on this machine.
fn checked(file: &Path) -> Result<Option<String>, Error> {
    let run = Command::new("sqlite3")
        .arg(file)
        .arg("PRAGMA integrity_check")
        .stdin(Stdio::null())
        .output();
    match run {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            Ok(Some(String::from_utf8_lossy(&said).trim().to_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(while_doing("run sqlite3")(error)),
    }
}
