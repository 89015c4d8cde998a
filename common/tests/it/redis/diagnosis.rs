//! What Redis finds when it is asked how it is, on servers that are well and on broken ones.

use std::time::{Duration, Instant};

use leveret_common::diagnose::{Diagnose, Finding, Health};
use leveret_common::testkit::eventually;

use super::bare::{Bare, Reply, start};
use super::{Fixture, fixture};

const CHECKS: [&str; 9] = [
    "reachable",
    "version",
    "eviction",
    "persistence",
    "memory",
    "role",
    "timetable",
    "clock",
    "scripts",
];

fn of<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.check == check).expect("it was looked at")
}

/// Returns the checks that are not good; each must say how to mend it.
fn trouble(findings: &[Finding]) -> Vec<(&str, Health)> {
    // On a loaded machine an answer may take long: that is no trouble of the server's.
    let slow = |finding: &Finding| {
        (finding.check.as_str(), finding.health) == ("reachable", Health::Risky)
    };
    let bad = |finding: &&Finding| finding.health != Health::Good && !slow(finding);
    let troubled = findings.iter().filter(bad).inspect(|finding| {
        assert!(finding.mend.is_some(), "{finding:?}");
        assert_eq!(finding.part, "store");
    });
    troubled.map(|finding| (finding.check.as_str(), finding.health)).collect()
}

#[tokio::test]
async fn a_healthy_server_is_good_in_every_respect() {
    let Some(server) = start(&["--appendonly", "yes"]).await else { return };
    let Fixture { redis, .. } = fixture(&server.url()).await;
    let findings = redis.diagnose().await;
    let checks: Vec<_> = findings.iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(checks, CHECKS);
    assert_eq!(trouble(&findings), [], "{findings:?}");
    assert!(of(&findings, "reachable").found.contains("127.0.0.1:"), "{findings:?}");
    assert!(of(&findings, "reachable").took_ms.is_some());
    assert_eq!(
        Bare::connect(&server.url()).ask(&["DBSIZE"]),
        Reply::Number(1),
        "nothing but the trace is left"
    );
}

/// What breaks the server, what mends it, and what is to be found meanwhile.
type Case = (&'static [&'static str], &'static [&'static str], &'static [(&'static str, Health)]);

#[tokio::test]
async fn each_trouble_is_found_by_name_and_mended() {
    use Health::{Bad, Risky};
    let Some(server) = start(&["--appendonly", "yes"]).await else { return };
    let Fixture { redis, .. } = fixture(&server.url()).await;
    let mut bare = Bare::connect(&server.url());
    let cases: [Case; 7] = [
        (
            &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"],
            &["CONFIG", "SET", "maxmemory-policy", "noeviction"],
            &[("eviction", Risky)],
        ),
        (
            &["CONFIG", "SET", "appendonly", "no"],
            &["CONFIG", "SET", "appendonly", "yes"],
            &[("persistence", Risky)],
        ),
        (
            &["CONFIG", "SET", "maxmemory", "1"],
            &["CONFIG", "SET", "maxmemory", "0"],
            &[("memory", Bad), ("scripts", Bad)],
        ),
        (
            &["REPLICAOF", "127.0.0.1", "1"],
            &["REPLICAOF", "NO", "ONE"],
            &[("role", Bad), ("scripts", Bad)],
        ),
        (
            &["ACL", "SETUSER", "default", "-evalsha", "-script"],
            &["ACL", "SETUSER", "default", "+evalsha", "+script"],
            &[("scripts", Bad)],
        ),
        (
            &["ACL", "SETUSER", "default", "-set"],
            &["ACL", "SETUSER", "default", "+set"],
            &[("scripts", Bad)],
        ),
        (
            &["ACL", "SETUSER", "default", "-time"],
            &["ACL", "SETUSER", "default", "+time"],
            &[("clock", Bad), ("scripts", Bad)],
        ),
    ];
    for (breaks, mends, expected) in cases {
        bare.ask(breaks);
        let findings = redis.diagnose().await;
        assert_eq!(trouble(&findings), expected, "{breaks:?}: {findings:#?}");
        bare.ask(mends);
        // Appending begins with a rewrite in the background.
        eventually(Duration::from_secs(10), "all is well again", || async {
            trouble(&redis.diagnose().await).is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_tell_about_itself_is_looked_at_as_far_as_can_be() {
    let Some(server) = start(&[]).await else { return };
    let Fixture { redis, .. } = fixture(&server.url()).await;
    Bare::connect(&server.url()).ask(&["ACL", "SETUSER", "default", "-info"]);
    let findings = redis.diagnose().await;
    assert_eq!(trouble(&findings), [("server", Health::Risky)], "{findings:?}");
    let checks: Vec<_> = findings.iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(checks, ["reachable", "server", "clock", "scripts"]);
}

#[tokio::test]
async fn a_server_that_is_away_is_one_bad_finding_in_time() {
    let Some(mut server) = start(&[]).await else { return };
    let Fixture { redis, .. } = fixture(&server.url()).await;
    Bare::connect(&server.url()).ask(&["CLIENT", "PAUSE", "60000", "ALL"]);
    for killed in [false, true] {
        if killed {
            server.kill().await.unwrap();
        }
        let began = Instant::now();
        let findings = redis.diagnose().await;
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
        assert_eq!(trouble(&findings), [("reachable", Health::Bad)], "{findings:?}");
        assert_eq!(findings.len(), 1);
        assert!(findings[0].found.contains("127.0.0.1:"), "{findings:?}");
    }
}
