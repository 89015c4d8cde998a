//! `exec` kinds: programs of any language over real files of the machine.

use std::time::Duration;

use leveret_common::envelope::DeadReason;
use leveret_common::store::{TaskState, TaskView};
use leveret_common::testkit::eventually;
use leveret_worker::handler::exec::handler;
use serde_json::json;

use crate::place::{DEADLINE, Place, config, kind};

async fn run(script: &str, args: serde_json::Value, timeout: Duration) -> TaskView {
    let place = Place::embedded();
    let arguments = ["-c".to_owned(), script.to_owned()];
    let _worker = place.work(vec![kind("sh", handler("sh", &arguments))], config()).await;
    let task = place.producer.task("sh", &args).timeout(timeout).max_attempts(2);
    let id = task.await.unwrap().id;
    place.wait(id).await
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_program_reads_its_args_and_its_output_is_the_result() {
    let view = run("wc -c", json!("1234567"), LONG).await;
    assert_eq!(view.result.as_deref(), Some("9"), "seven characters and two quotes: JSON");
    let view = run("wc -l < /etc/passwd", json!(null), LONG).await;
    let lines = std::fs::read_to_string("/etc/passwd").unwrap().lines().count();
    assert_eq!(view.result, Some(lines.to_string()));
    let view = run("echo not json", json!(null), LONG).await;
    assert_eq!(view.result.as_deref(), Some(r#""not json""#));
}

#[tokio::test]
async fn the_exit_code_decides_and_the_end_of_stderr_is_kept() {
    let view = run("echo wrong input >&2; exit 65", json!(null), LONG).await;
    assert_eq!((view.state, view.attempt), (TaskState::Dead, 1));
    assert_eq!(view.history[0].reason, Some(DeadReason::Handler));
    let message = &view.history[0].failure.as_ref().unwrap().message;
    assert!(message.ends_with("exit status: 65: wrong input"), "{message}");

    let view = run("[ $LEVERET_ATTEMPT = 2 ] && echo 2 || exit 75", json!(null), LONG).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 2));
    assert_eq!(view.history[0].failure.as_ref().unwrap().class, "exit-75");

    let view = run("kill -9 $$", json!(null), LONG).await;
    assert_eq!(view.state, TaskState::Dead);
    assert_eq!(view.history[0].failure.as_ref().unwrap().class, "signal");
}

#[tokio::test]
async fn the_environment_is_cleared_but_for_what_is_ours() {
    let view = run("env | cut -d= -f1 | sort | tr '\\n' ' '", json!(null), LONG).await;
    let names = "LEVERET_ATTEMPT LEVERET_CRASHES LEVERET_FENCE LEVERET_KIND \
                 LEVERET_MAX_ATTEMPTS LEVERET_TASK_ID";
    let result: String = serde_json::from_str(&view.result.unwrap()).unwrap();
    let ours: Vec<_> = result.split(' ').filter(|name| name.starts_with("LEVERET_")).collect();
    assert_eq!(ours.join(" "), names);
    for name in result.split(' ').filter(|name| !name.starts_with("LEVERET_")) {
        // `PWD`, `OLDPWD`, `SHLVL` and `_` are the shell's own.
        assert!(["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name), "{name} leaked in");
    }
}

#[tokio::test]
async fn a_program_over_its_time_loses_its_whole_process_group() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    // A grandchild that ignores the polite signal, and a parent that waits for it.
    let script = format!(
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {}; sleep 600' & wait",
        pid_file.display()
    );
    let view = run(&script, json!(null), Duration::from_millis(500)).await;
    assert_eq!(view.state, TaskState::Dead);
    assert_eq!(view.history[0].failure.as_ref().unwrap().class, "timeout");
    let pid = std::fs::read_to_string(&pid_file).unwrap().trim().to_owned();
    eventually(DEADLINE, "the grandchild is gone", || async {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    })
    .await;
}

#[tokio::test]
async fn a_program_that_leaves_a_daemon_with_its_pipes_is_done_when_it_exits() {
    let begun = std::time::Instant::now();
    let view = run("setsid sleep 15 & echo 7", json!(null), LONG).await;
    assert_eq!((view.state, view.result.as_deref()), (TaskState::Done, Some("7")));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_failure_that_names_it() {
    let place = Place::embedded();
    let missing = handler("/no/such/program", &[]);
    let _worker = place.work(vec![kind("missing", missing)], config()).await;
    let id = place.producer.task("missing", &()).max_attempts(1).await.unwrap().id;
    let view = place.wait(id).await;
    let failure = view.history[0].failure.as_ref().unwrap();
    assert_eq!(failure.class, "exec");
    assert!(failure.message.starts_with("failed to run /no/such/program: "), "{failure:?}");
}
