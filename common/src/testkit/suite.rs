//! Runs the cases of a suite and says which promises are broken.
//!
//! Each case gets a backend of its own from the constructor, so cases run side by side and one
//! failure hides no other. What is promised stands in the suites. Guards against a suite that
//! passes because it ran nothing: the number of cases goes to the report of `./test.sh`.

use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::services;
use crate::spawn::Spawner;

/// Cases that run at once: enough to hide waiting, few enough for a small broker.
const AT_ONCE: usize = 8;
/// Longest run of one case; a hang is a broken promise too.
const CASE_DEADLINE: Duration = Duration::from_secs(90);

/// One named promise.
pub(super) struct Case<T> {
    /// The promise, as the name of its function.
    pub(super) promise: &'static str,
    /// Checks it.
    pub(super) check: fn(T) -> BoxFuture<'static, ()>,
}

/// Lists functions as cases.
macro_rules! cases {
    ($($module:ident: $($promise:ident),+;)+) => {
        vec![$($($crate::testkit::suite::Case {
            promise: stringify!($promise),
            check: |under| Box::pin($module::$promise(under)),
        }),+),+]
    };
}
pub(super) use cases;

/// Checks every promise of `suite` on the backend called `name`, and reports all broken ones.
pub(super) async fn run<T, F, Fut>(suite: &str, name: &str, cases: Vec<Case<T>>, make: F)
where
    T: Send + 'static,
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let (make, turns, spawner) =
        (Arc::new(make), Arc::new(Semaphore::new(AT_ONCE)), Spawner::new());
    let count = cases.len();
    let running: Vec<_> = cases
        .into_iter()
        .map(|case| {
            let (make, turns) = (Arc::clone(&make), Arc::clone(&turns));
            let check = case.check;
            let run = spawner.spawn(async move {
                let _turn = turns.acquire().await.expect("the semaphore is never closed");
                let under = make().await;
                tokio::time::timeout(CASE_DEADLINE, check(under)).await
            });
            (case.promise, run)
        })
        .collect();
    let mut broken = Vec::new();
    for (promise, run) in running {
        match run.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => broken.push(format!("{promise}: not finished within {CASE_DEADLINE:?}")),
            Err(error) => broken.push(format!("{promise}: {}", said(error))),
        }
    }
    assert!(
        broken.is_empty(),
        "{suite} suite on {name}: {} of {count} promises are broken\n  {}",
        broken.len(),
        broken.join("\n  ")
    );
    report(&format!("conformance: {suite} {name} {count} cases"));
}

fn said(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => (*panic.downcast_ref::<&str>().unwrap_or(&"a panic")).to_owned(),
        },
        Err(error) => error.to_string(),
    }
}

fn report(line: &str) {
    println!("{line}");
    let Some(path) = services::variable("LEVERET_TEST_REPORT") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    // One write each: suites of several test binaries append to the same file.
    let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    written
        .unwrap_or_else(|error| panic!("failed to append to LEVERET_TEST_REPORT {path}: {error}"));
}
