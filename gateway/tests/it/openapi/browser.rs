//! The page that shows the document, in a real browser: Debian's Chromium, without a screen.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use leveret_common::testkit::services::variable;
use tokio::process::Command;
use tokio::time::timeout;

use super::contract::DOCUMENT;
use crate::guard::{TOKEN, with_token};
use crate::world::World;

/// Longer than a browser takes on a machine with other work.
const DEADLINE: Duration = Duration::from_secs(90);

/// Opens a page and returns what became of it, or nothing where there is no browser.
async fn open(url: &str, more: &[&str]) -> Option<Output> {
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new("chromium");
    command
        // Tests run as root in containers, where its sandbox does not work.
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
        // Nothing but this machine can be reached: what is loaded comes from the gateway.
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        .args(["--enable-logging=stderr", "--virtual-time-budget=20000"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(more)
        .arg(url)
        .kill_on_drop(true);
    match timeout(DEADLINE, command.output()).await.expect("the browser does not end") {
        Ok(output) => Some(output),
        Err(error) => {
            assert!(variable("CI").as_deref() != Some("true"), "no chromium: {error}");
            println!("SKIPPED: chromium cannot be started: {error}");
            None
        }
    }
}

/// Returns what the page complained of.
fn complaints(output: &Output) -> Vec<String> {
    let told = String::from_utf8_lossy(&output.stderr);
    told.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_page_shows_every_operation_and_breaks_no_rule_of_its_policy() {
    let world = World::with(with_token).await;
    let Some(output) = open(&format!("{}/docs", world.url), &["--dump-dom"]).await else { return };
    let page = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(complaints(&output), [""; 0], "{page}");
    for item in DOCUMENT["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let (name, summary) = (&operation["operationId"], &operation["summary"]);
            for text in [name, summary].map(|text| text.as_str().unwrap()) {
                assert!(page.contains(&format!(">{text}<")), "{text} is not shown: {page}");
            }
        }
    }
}

#[tokio::test]
async fn the_page_asks_its_gateway_and_nobody_else() {
    let world = World::with(with_token).await;
    let response = world.get("/docs").send().await.unwrap();
    let headers = response.headers().clone();
    let policy = headers["content-security-policy"].to_str().unwrap();
    for part in
        ["default-src 'none'", "script-src 'self';", "style-src 'self';", "connect-src 'self'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let page = response.text().await.unwrap();
    assert!(!page.contains("<style") && !page.contains("://"), "{page}");
    assert_eq!(page.matches("<script").count(), page.matches("></script>").count(), "{page}");
    // What its own page asks comes in, what another page asks does not.
    let asked = |site: &'static str| {
        let list = world.get("/v1/queues").bearer_auth(TOKEN).header("sec-fetch-site", site);
        async move { list.send().await.unwrap().status().as_u16() }
    };
    assert_eq!([asked("same-origin").await, asked("cross-site").await], [200, 403]);
    let framed = world.get("/docs").header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(framed.status(), 403);
    assert_eq!(headers["x-frame-options"], "DENY");
}

#[test]
fn the_vendored_viewer_is_the_one_that_its_note_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/swagger-ui");
    let note = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let sums = note.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"));
    let sums: Vec<_> = sums.map(|(name, sum)| (name, sum.trim_end_matches("` |"))).collect();
    assert_eq!(sums.len(), 2, "{note}");
    for (name, sum) in sums {
        let output =
            std::process::Command::new("sha256sum").arg(folder.join(name)).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(told.split(' ').next(), Some(sum), "{name}");
    }
    for name in ["LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"] {
        assert!(folder.join(name).exists(), "{name}");
    }
}
