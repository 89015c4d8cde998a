//! The diagnosis of a file that is damaged, and of a writer that does not come back.

use std::io::{Seek, SeekFrom, Write};

use super::*;
use crate::diagnose::{Diagnose, Finding, Health};

fn about<'a>(findings: &'a [Finding], check: &str) -> Option<&'a Finding> {
    findings.iter().find(|finding| finding.check == check)
}

#[tokio::test]
async fn a_writer_that_hangs_is_told_in_time_and_hides_nothing_else() {
    let opened = open();
    let release = opened.hold_writer().await;
    let soon = Duration::from_secs(20);
    let findings = tokio::time::timeout(soon, opened.store.diagnose()).await;
    let findings = findings.expect("it waited for the writer");
    assert_eq!(about(&findings, "writes").unwrap().health, Health::Bad);
    assert_eq!(about(&findings, "backlog").unwrap().health, Health::Good);
    drop(release);
}

#[tokio::test]
async fn a_damaged_file_is_told_with_what_is_damaged() {
    let opened = open();
    let batch: Vec<_> = (0..100).map(|_| message(1_000)).collect();
    assert!(opened.store.publish(&batch).await.iter().all(Result::is_ok));
    let file = opened.store.core.file.clone();
    // Moves all into the file: the log hides no damage.
    opened.store.close().await;
    let mut bytes = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    bytes.seek(SeekFrom::Start(4_096)).unwrap();
    bytes.write_all(&[0xff; 40_960]).unwrap();
    let findings = opened.store.diagnose().await;
    let damaged = [about(&findings, "integrity"), about(&findings, "content")];
    let damaged: Vec<_> = damaged.into_iter().flatten().collect();
    assert_eq!(damaged.iter().map(|one| one.health).max(), Some(Health::Bad), "{findings:?}");
    assert!(damaged.iter().all(|one| one.mend.is_some()), "{findings:?}");
}
