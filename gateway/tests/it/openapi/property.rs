//! What the document promises, tried with thousands of requests that nobody thought of:
//! schemathesis, from PyPI, against a gateway that has something to tell.
//!
//! Every answer is one that the document has, with its status, its media type, its headers and its
//! schema; nothing ends in a 5xx; what breaks the document's rules is refused; no other method is
//! taken. That everything which keeps the rules is accepted is not asked: a filter, an expression
//! or a range has rules that no schema tells.

use std::path::{Path, PathBuf};
use std::time::Duration;

use leveret_common::id::TaskId;
use leveret_common::testkit::services::variable;
use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use crate::world::{World, letter, letters};

const REQUIREMENTS: &str = include_str!("schemathesis/requirements.txt");
/// Longer than it takes on a machine with other work.
const DEADLINE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn no_request_is_answered_otherwise_than_the_document_says() {
    let Some(home) = installed().await else { return };
    let world = World::new().await;
    furnish(&world).await;
    let report = tempfile::tempdir().unwrap();
    let mut command = Command::new(home.join("bin/python"));
    command
        .args(["-m", "schemathesis.cli", "run"])
        .arg(format!("{}/v1/openapi.json", world.url))
        .args(["--checks", "all"])
        .args(["--exclude-checks", "positive_data_acceptance,negative_data_rejection"])
        .args(["--phases", "examples,coverage,fuzzing", "--continue-on-failure"])
        // The same requests each time; for more, see CONTRIBUTING.md.
        .args(["--seed", "1", "--max-examples", "2", "--generation-database", "none"])
        .args(["--request-timeout", "60", "--suppress-health-check", "all"])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env(
            "PYTHONPATH",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/openapi/schemathesis"),
        )
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(report.path())
        .kill_on_drop(true);
    let output = timeout(DEADLINE, command.output()).await.expect("it does not end").unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    // One that asked little would pass as well.
    let generated = told.lines().find_map(|line| line.trim().split_once(" generated, "));
    let generated: u32 = generated.unwrap().0.parse().unwrap();
    println!("{generated} requests were answered as the document says");
    assert!(generated > 1_500, "{told}");
}

/// Leaves there what the examples of the document name: a task, dead letters, a schedule.
async fn furnish(world: &World) {
    let id = world.accepted(json!({ "kind": "email.welcome", "id": "order-7" })).await;
    let mut wire = letter("email.welcome", "{}", 1_700_000_000_000);
    wire.message_id = Some(id.to_string());
    let mut wires = letters("email.welcome", 50);
    wires.push(wire);
    world.bury("mail", &wires).await;
    let schedule = json!({ "name": "report.nightly", "when": "0 2 * * *", "kind": "report.build" });
    world.order("/v1/schedules", schedule, 201).await;
}

/// Returns the folder where schemathesis is installed, once; nothing where it cannot be had.
async fn installed() -> Option<PathBuf> {
    let fingerprint = TaskId::of_bytes(REQUIREMENTS.as_bytes()).to_string();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = cache.join(format!("schemathesis-{}", &fingerprint[..8]));
    if folder.exists() {
        return Some(folder);
    }
    // Made under another name, so that one that is half made is never used.
    let mine = folder.with_extension(format!("new-{}", std::process::id()));
    match install(&mine).await {
        Ok(()) => {
            let renamed = std::fs::rename(&mine, &folder);
            assert!(renamed.is_ok() || folder.exists(), "{renamed:?}");
            Some(folder)
        }
        Err(why) => {
            let _ = std::fs::remove_dir_all(&mine);
            assert!(variable("CI").as_deref() != Some("true"), "no schemathesis: {why}");
            println!("SKIPPED: schemathesis cannot be installed: {why}");
            None
        }
    }
}

async fn install(folder: &Path) -> Result<(), String> {
    run(Command::new("python3").args(["-m", "venv"]).arg(folder)).await?;
    let list = folder.join("requirements.txt");
    std::fs::write(&list, REQUIREMENTS).map_err(|error| error.to_string())?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(folder.join("bin/python")).args(pip).arg(list)).await
}

async fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().await.map_err(|error| format!("{command:?}: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or_else(|| format!("{command:?}: {told}"))
}
