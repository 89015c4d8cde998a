//! Many tasks as NDJSON.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

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
