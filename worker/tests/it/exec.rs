//! `exec` kinds: programs of any language over real files of the machine.

use std::time::Duration;

use leveret_common::broker::{Destination, Publish};
use leveret_common::clock::Millis;
use leveret_common::envelope::{DeadReason, Envelope};
use leveret_common::id::TaskId;
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::{TaskState, TaskView};
use leveret_common::testkit::eventually;
use leveret_worker::handler::echo;
use leveret_worker::handler::exec::{Program, handler};
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
    let names = "LEVERET_ATTEMPT LEVERET_CRASHES LEVERET_FENCE LEVERET_FOLLOW_UPS LEVERET_KIND \
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
async fn a_program_finds_what_its_kind_gives_it_and_runs_in_its_folder() {
    let place = Place::embedded();
    let folder = tempfile::tempdir().unwrap();
    let script = "echo \"$A $LEVERET_KIND $PATH $(pwd -P) ${HOME-none}\"";
    let variables = [("A", "one two"), ("PATH", "/usr/bin:/bin"), ("LEVERET_KIND", "other")];
    let program = Program {
        program: "sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        env: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        cwd: Some(folder.path().to_owned()),
        guard: None,
    };
    let gone = Program { cwd: Some(folder.path().join("gone")), ..program.clone() };
    let kinds = vec![kind("sh", program.handler()), kind("gone", gone.handler())];
    let _worker = place.work(kinds, config()).await;
    let id = place.producer.task("sh", &()).await.unwrap().id;
    let folder = folder.path().canonicalize().unwrap();
    let expected = format!("one two sh /usr/bin:/bin {} none", folder.display());
    assert_eq!(place.wait(id).await.result, Some(json!(expected).to_string()));
    let id = place.producer.task("gone", &()).max_attempts(1).await.unwrap().id;
    let view = place.wait(id).await;
    let message = &view.history[0].failure.as_ref().unwrap().message;
    assert!(message.starts_with("failed to run sh in "), "{message}");
}

#[tokio::test]
async fn a_program_is_handed_the_trace_that_its_task_came_with() {
    let place = Place::embedded();
    let arguments = ["-c".to_owned(), "echo $TRACEPARENT $TRACESTATE $BAGGAGE".to_owned()];
    let _worker = place.work(vec![kind("sh", handler("sh", &arguments))], config()).await;
    let mut envelope = Envelope::new(TaskId::mint(), "sh".parse().unwrap(), "1".into());
    for (name, value) in [("traceparent", "00-1-2-01"), ("tracestate", "a=b"), ("baggage", "c=d")] {
        envelope.fixed.trace.insert(name.to_owned(), value.to_owned());
    }
    let to = Destination::Lane(Lane::new(QueueName::default(), Class::Normal));
    let wire = envelope.to_wire();
    place.backend.broker.publish(&[Publish { to, wire }]).await.remove(0).unwrap();
    assert_eq!(place.wait(envelope.id).await.result.as_deref(), Some("\"00-1-2-01 a=b\""));
}

#[tokio::test]
async fn a_program_writes_no_more_than_a_result_may_hold_and_ends_all_the_same() {
    let view = run("head -c 65536 /dev/zero | tr '\\0' 1", json!(null), LONG).await;
    assert_eq!(
        (view.state, view.result.map(|result| result.len())),
        (TaskState::Done, Some(65_536))
    );
    let view = run("head -c 5000000 /dev/zero | tr '\\0' 1", json!(null), LONG).await;
    assert_eq!((view.state, view.attempt), (TaskState::Dead, 2));
    let failure = view.history[0].failure.as_ref().unwrap();
    assert_eq!(failure.class, "result");
    assert_eq!(failure.message, "sh wrote 5000000 bytes; a result has at most 65536");
    // Of stderr, the end is kept.
    let view =
        run("head -c 100000 /dev/zero | tr '\\0' x >&2; echo why >&2; exit 65", json!(null), LONG)
            .await;
    let message = &view.history[0].failure.as_ref().unwrap().message;
    assert!(message.ends_with("xxxwhy") || message.ends_with("xxx\nwhy"), "{message}");
    assert!(message.len() < 2_200, "{}", message.len());
}

#[tokio::test]
async fn a_program_that_is_asked_to_stop_may_still_succeed() {
    let script = "trap 'echo 7; exit 0' TERM; echo on >&2; sleep 600 & wait";
    let view = run(script, json!(null), Duration::from_millis(500)).await;
    assert_eq!((view.state, view.result.as_deref()), (TaskState::Done, Some("7")));
}

#[tokio::test]
async fn a_program_learns_which_occurrence_of_a_schedule_it_performs() {
    let place = Place::embedded();
    let script = r#"printf '"%s %s"' "$LEVERET_SCHEDULE" "$LEVERET_OCCURRENCE""#;
    let arguments = ["-c".to_owned(), script.to_owned()];
    let _worker = place.work(vec![kind("sh", handler("sh", &arguments))], config()).await;
    let due = Millis(1_798_794_000_000);
    let schedule = "report.nightly".parse().unwrap();
    let task = place.producer.task("sh", &json!(null)).occurrence(schedule, due, 3);
    let id = task.await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!(view.result.as_deref(), Some(r#""report.nightly 2027-01-01T09:00:00Z""#));
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

#[tokio::test]
async fn a_program_writes_its_follow_ups_as_lines_of_json() {
    let place = Place::embedded();
    let script = r#"
        echo "$LEVERET_FOLLOW_UPS" > "$1"
        stat -c %a "$(dirname "$LEVERET_FOLLOW_UPS")" >> "$1"
        echo '{"kind": "next", "args": {"n": 1}, "tags": {"of": "sh"}}' >> "$LEVERET_FOLLOW_UPS"
        echo >> "$LEVERET_FOLLOW_UPS"
        printf '{"kind": "next", "args": 2, "key": "two", "delay": "10ms"}' >> "$LEVERET_FOLLOW_UPS"
        echo 7
    "#;
    let told = place.folder().join("told");
    let arguments = ["-c", script, "sh", told.to_str().unwrap()].map(str::to_owned);
    let kinds = vec![kind("sh", handler("sh", &arguments)), kind("next", echo())];
    let _worker = place.work(kinds, config()).await;
    let id = place.producer.task("sh", &()).await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!(view.result.as_deref(), Some("7"));
    let next = "next".parse().unwrap();
    let first = place.wait(id.follow_up(0, &next, br#"{"n": 1}"#, 0)).await;
    assert_eq!(first.result.as_deref(), Some(r#"{"n":1}"#));
    assert_eq!(first.enqueued.unwrap().tags["of"], "sh");
    let second = TaskId::from_key(&place.backend.namespace, &next, "two").unwrap();
    assert_eq!(place.wait(second).await.result.as_deref(), Some("2"));

    let told = std::fs::read_to_string(told).unwrap();
    let (file, mode) = told.trim().split_once('\n').unwrap();
    assert_eq!(mode, "700", "nobody else can enter the folder");
    let folder = std::path::Path::new(file).parent().unwrap();
    assert!(!folder.exists(), "{} is left behind", folder.display());
}

#[tokio::test]
async fn a_bad_line_of_follow_ups_is_a_failure_that_names_it() {
    let good = r#"echo '{"kind": "next"}' >> $LEVERET_FOLLOW_UPS; "#;
    for (end, told) in [
        ("echo no json >> $LEVERET_FOLLOW_UPS", "line 2 of LEVERET_FOLLOW_UPS: it is not one JSON"),
        (r#"echo '{"kind": "a b"}' >> $LEVERET_FOLLOW_UPS"#, "line 2 of LEVERET_FOLLOW_UPS: "),
        (r#"echo '{"knd": "next"}' >> $LEVERET_FOLLOW_UPS"#, "did you mean \"kind\"?"),
        ("rm $LEVERET_FOLLOW_UPS; mkfifo $LEVERET_FOLLOW_UPS", "is no file any more"),
        ("head -c 6000000 /dev/zero > $LEVERET_FOLLOW_UPS", "bytes were written"),
    ] {
        let view = run(&format!("{good}{end}"), json!(null), LONG).await;
        assert_eq!(view.state, TaskState::Dead, "{end}");
        let failure = view.history[0].failure.as_ref().unwrap();
        assert_eq!(failure.class, "follow-ups", "{end}");
        assert!(failure.message.contains(told), "{end}: {}", failure.message);
    }
}

#[tokio::test]
async fn what_a_failed_program_wrote_for_follow_ups_is_not_read() {
    let script = r#"
        echo '{"kind": "next", "id": "after-the-failure"}' >> $LEVERET_FOLLOW_UPS
        [ $LEVERET_ATTEMPT = 2 ] && rm $LEVERET_FOLLOW_UPS
    "#;
    let place = Place::embedded();
    let arguments = ["-c".to_owned(), script.to_owned()];
    let _worker = place.work(vec![kind("sh", handler("sh", &arguments))], config()).await;
    let id = place.producer.task("sh", &()).await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 2));
    let follow_up = place.producer.id_of("after-the-failure").unwrap();
    assert!(place.producer.find(follow_up).await.unwrap().is_none());
}
