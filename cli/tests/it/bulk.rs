//! Many tasks as NDJSON.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fake::Fake;
use crate::home::Home;
use crate::role::{Role, eventually};

fn answers(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_thousand_lines_are_all_done() {
    let home = Home::new();
    let dev = Role::dev(&home);
    let input: String =
        (0..1_000).map(|n| format!("{{\"kind\":\"demo.echo\",\"args\":{n}}}\n")).collect();
    let left = dev.feed(&input, &["task", "enqueue", "--ndjson", "-o", "jsonl"]);
    let answers = answers(&left.succeeds().stdout);
    let lines: Vec<_> = answers.iter().map(|answer| answer["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (1..=1_000).collect::<Vec<_>>());
    assert!(
        left.stderr.contains("1000 accepted (0 of them repeated), 0 refused"),
        "{}",
        left.stderr
    );
    let ids: BTreeSet<_> = answers.iter().map(|answer| answer["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1_000);
    // One process for each of a thousand tasks would measure the machine's fork.
    for id in &ids {
        eventually(Duration::from_secs(30), || {
            let (status, body) = dev.get(&format!("/v1/tasks/{id}?wait=10s")).unwrap();
            status == 200 && serde_json::from_str::<Value>(&body).unwrap()["state"] == "done"
        });
    }
}

#[test]
fn lines_that_are_refused_do_not_stop_the_others() {
    let home = Home::new();
    let dev = Role::dev(&home);
    home.write(
        "tasks.ndjson",
        "{\"kind\":\"demo.echo\",\"key\":\"a\"}\n\nnot json\n{\"kind\":\"demo.echo\",\"key\":\"a\"}\n\
         {\"kind\":\"demo echo\"}\n{\"kind\":\"demo.echo\",\"delay\":5}\n",
    );
    let left = dev.ask(&["task", "enqueue", "--ndjson", "tasks.ndjson", "-o", "json"]);
    left.fails(7, &["3 of 5 tasks were not accepted", "line 3: ", "line 5: ", "line 6: "]);
    left.fails(7, &["not one JSON object", "' ' is not allowed", "it has no unit; write 5s"]);
    let counts = left.json();
    assert_eq!(
        (&counts["accepted"], &counts["repeated"], &counts["refused"]),
        (&Value::from(2), &Value::from(1), &Value::from(3))
    );
}

#[test]
fn lines_that_trickle_in_are_sent_before_the_input_ends() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;

    let home = Home::new();
    let dev = Role::dev(&home);
    let arguments = ["task", "enqueue", "--ndjson", "-o", "jsonl", "--gateway-url", &dev.url];
    let mut command = home.command(&arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    stdin.write_all(b"{\"kind\":\"demo.echo\"}\n").unwrap();
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert_eq!(answers(&line)[0]["line"], 1);
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn where_no_answer_comes_it_is_told_from_which_line_to_go_on() {
    let home = Home::new();
    let url = "http://127.0.0.1:1";
    let left =
        home.feed("{\"kind\":\"a\"}\n", &["task", "enqueue", "--ndjson", "--gateway-url", url]);
    left.fails(4, &["no gateway answers at http://127.0.0.1:1", "from line 1 on"]);
}

#[test]
fn lines_behind_one_that_was_not_taken_are_sent_again_whatever_was_answered_to_them() {
    let refused = |line: u64, sort: &str, status: u16| {
        let problem = json!({ "type": format!("/problems/{sort}"), "status": status });
        json!({ "line": line, "error": problem }).to_string()
    };
    let accepted = |line: u64| json!({ "line": line, "id": "a" }).to_string();
    let (away, bad) = (refused(3, "unavailable", 503), refused(4, "invalid-task", 400));
    let first = [accepted(1), accepted(2), away, bad].map(|line| line + "\n").concat();
    let fake = Fake::new("application/x-ndjson", vec![first, accepted(1)]);
    let input = "{\"kind\":\"a\"}\n".repeat(5);
    let line = ["task", "enqueue", "--ndjson", "--gateway-max-batch", "4", "--gateway-url"];
    let left = Home::new().feed(&input, &[&line[..], &[&fake.url]].concat());
    left.fails(4, &["503 unavailable", "lines 1 to 2 are answered", "from line 3 on"]);
    assert_eq!(fake.asked(), 1, "it went on: {left:?}");
}

#[test]
fn a_line_that_is_too_long_does_not_hide_what_was_sent() {
    let home = Home::new();
    let dev = Role::dev(&home);
    let good = "{\"kind\":\"demo.echo\"}\n";
    let input = format!("{good}{good}\"{}\"\n{good}", "x".repeat(9 << 20));
    let left = dev.feed(&input, &["task", "enqueue", "--ndjson", "-o", "json"]);
    left.fails(2, &["stdin, line 3", "more than", "lines 1 to 2 are answered"]);
    left.fails(2, &["later ones were not sent", "from line 3 on"]);
    assert_eq!(left.json()["accepted"], 2);
    // Where nothing was sent there is nothing to tell but why.
    let left = dev.feed(&input[2 * good.len()..], &["task", "enqueue", "--ndjson"]);
    left.fails(2, &["stdin, line 1"]);
    assert!(!left.stderr.contains("answered") && left.stdout.is_empty(), "{left:?}");
}
