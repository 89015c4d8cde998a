//! Kinds of the file, as they are bound, performed and cut off by a real process.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::home::Home;
use crate::role::{Role, eventually};

const DEADLINE: Duration = Duration::from_secs(30);

/// Answers one request with its own body, and returns its headers.
fn receive_one() -> (String, JoinHandle<BTreeMap<String, String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hooks/paid", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
        }
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        reader.get_mut().write_all(&[head.as_bytes(), &body].concat()).unwrap();
        headers
    });
    (url, served)
}

#[test]
fn args_are_pushed_to_the_url_with_the_kinds_secrets_and_no_proxy_is_asked() {
    let (url, served) = receive_one();
    let home = Home::with(&format!(
        "[kinds.\"order.paid\"]\nhttp = \"{url}\"\nqueue = \"orders\"\n\
         headers = {{ authorization = {{ file = \"token\" }} }}\n\
         secret = {{ env = \"HOOK_SECRET\" }}\nretry = {{ max_attempts = 1 }}\n"
    ));
    home.write("token", "Bearer geheim\n");
    // Nobody answers there, and a proxy would be asked first.
    let nobody = "http://127.0.0.1:1";
    let variables = [
        ("HOOK_SECRET", "geheim-geheim-geheim"),
        ("http_proxy", nobody),
        ("HTTP_PROXY", nobody),
        ("all_proxy", nobody),
    ];
    let dev = Role::dev_with(&home, &variables);
    let done = dev.ask(&[
        "task",
        "enqueue",
        "order.paid",
        "--args",
        "{\"order\":7}",
        "--wait",
        "30s",
        "-o",
        "json",
    ]);
    assert_eq!(done.succeeds().json()["result"], json!({"order": 7}));
    let headers = served.join().unwrap();
    assert_eq!(headers["authorization"], "Bearer geheim");
    assert!(headers["x-leveret-signature"].starts_with("t="), "{headers:?}");
    let shown = home.run(&["config", "show"]);
    assert!(shown.succeeds().stdout.contains("secret"), "{shown:?}");
    assert!(!shown.stdout.contains("geheim"), "{shown:?}");
}

#[test]
fn a_worker_whose_secrets_are_missing_does_not_start_and_says_which() {
    let home = Home::with(
        "[kinds.a]\nhttp = \"http://127.0.0.1:9/\"\nsecret = { env = \"NOT_SET\" }\n\
         headers = { authorization = { file = \"gone\" } }\n",
    );
    home.run(&["dev", "--listen", "127.0.0.1:0"]).fails(
        3,
        &[
            "2 problems",
            "kinds.a.headers.authorization\n  why:  failed to read it from ",
            "kinds.a.secret\n  why:  the variable NOT_SET is not set\n  mend: ",
        ],
    );
    home.run(&["config", "show"]).succeeds();
    let home = Home::with("[kinds.a]\nhttp = \"http://a:9/b c\"\nallow = [\"10.0.0.0/99\"]\n");
    home.run(&["dev"]).fails(3, &["kinds.a.http", "spaces", "kinds.a.allow", "no network such as"]);
}

#[test]
fn a_program_finds_what_the_file_gives_it() {
    let home = Home::with(
        "[kinds.tell]\nexec = [\"sh\", \"-c\", \"echo $A-$B-$C-${D-none}-$(pwd -P)\"]\ncwd = \"work\"\n\
         env = { A = \"1\", B = { file = \"b\" } }\nenv_pass = [\"C\", \"D\"]\n",
    );
    home.write("b", "2\n");
    fs::create_dir(home.path().join("work")).unwrap();
    let dev = Role::dev_with(&home, &[("C", "3")]);
    let done = dev.ask(&["task", "enqueue", "tell", "--args", "1", "--wait", "30s", "-o", "json"]);
    let folder = home.path().join("work").canonicalize().unwrap();
    assert_eq!(done.succeeds().json()["result"], json!(format!("1-2-3-none-{}", folder.display())));
}

const ORDER: &str = r#"{
    "type": "object",
    "required": ["order"],
    "properties": { "order": { "type": "integer" } }
}"#;

#[test]
fn args_that_do_not_fit_the_schema_are_refused_where_they_are_put_in() {
    let home = Home::with(
        "[kinds.\"order.paid\"]\nexec = [\"cat\"]\nschema = \"order.json\"\n\
         [kinds.parent]\nexec = [\"sh\", \"-c\", \"cat > $LEVERET_FOLLOW_UPS\"]\n\
         retry = { max_attempts = 1 }\n",
    );
    home.write("order.json", ORDER);
    let dev = Role::dev(&home);
    let enqueue = |kind: &str, args: &str| {
        dev.ask(&["task", "enqueue", kind, "--args", args, "--wait", "30s", "-o", "json"])
    };
    assert_eq!(enqueue("order.paid", "{\"order\":7}").succeeds().json()["state"], "done");
    let refused = enqueue("order.paid", "{\"order\":\"geheim\"}");
    refused.fails(refused.code, &["args/order", "value is not of type \"integer\""]);
    assert_ne!(refused.code, 0);
    assert!(!refused.stderr.contains("geheim"), "{refused:?}");
    let refused = enqueue("order.paid", "{}");
    refused.fails(refused.code, &["args", "\"order\" is a required property"]);
    let body = "{\"kind\":\"order.paid\",\"args\":{\"order\":1.5}}";
    let curl = ["-sS", "-w", "%{http_code}", "-H", "content-type: application/json", "-d", body];
    let url = format!("{}/v1/tasks", dev.url);
    let output = Command::new("curl").args(curl).arg(url).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("\"args/order\"") && told.ends_with("400"), "{told}");
    // What programs put in, too.
    let line = |args: &str| format!("{{\"kind\":\"order.paid\",\"args\":{args}}}");
    let parent = enqueue("parent", &line("{\"order\":true}"));
    let history = &parent.json()["history"][0];
    let told = history["error"].to_string();
    assert!(
        told.contains("line 1 of LEVERET_FOLLOW_UPS: failed to enqueue: args/order: value is"),
        "{parent:?}"
    );
    assert_eq!(enqueue("parent", &line("{\"order\":8}")).succeeds().json()["state"], "done");
}

#[test]
fn args_that_come_from_a_schedule_are_looked_at_before_they_run() {
    let home = Home::with(
        "[kinds.\"order.paid\"]\nexec = [\"touch\", \"ran\"]\nschema = \"order.json\"\n",
    );
    home.write("order.json", ORDER);
    home.write(
        "schedules.toml",
        "[schedules.often]\nwhen = \"every 1s\"\nkind = \"order.paid\"\nargs = { order = \"x\" }\n",
    );
    let dev = Role::dev(&home);
    let mut dead = String::new();
    eventually(DEADLINE, || {
        dead = dev.ask(&["dead", "list", "-o", "jsonl"]).stdout;
        dead.contains("order.paid")
    });
    assert!(dead.contains("\"reason\":\"schema\""), "{dead}");
    assert!(dead.contains("args/order do not fit the kind's schema: value is not"), "{dead}");
    assert!(!home.has("ran"));
}

#[test]
fn a_schema_that_cannot_be_used_stops_the_start_and_is_named() {
    let home = Home::with(
        "[kinds.a]\nexec = [\"a\"]\nschema = \"gone.json\"\n\
         [kinds.\"b.c\"]\nexec = [\"b\"]\nschema = \"remote.json\"\n",
    );
    home.write("remote.json", "{\"$ref\": \"http://127.0.0.1:1/schema.json\"}");
    home.run(&["dev", "--listen", "127.0.0.1:0"]).fails(
        3,
        &[
            "kinds.\"a\".schema: failed to read the schema ",
            "kinds.\"b.c\".schema: the schema ",
            "everything it refers to must be in it",
        ],
    );
    home.run(&["config", "show"]).succeeds();
}

/// Returns the process id in a file, once it is there.
fn pid_in(path: &Path) -> i32 {
    let mut pid = 0;
    eventually(DEADLINE, || {
        pid = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        pid > 0
    });
    pid
}

/// Tells whether a process is there; one that ended and was not waited for is not.
fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Returns the shells that are children of this process and lead a group: its guard, and programs.
fn shells_of(parent: u32) -> Vec<i32> {
    let is_shell_of_it = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.contains(&format!("(sh) S {parent} {pid} "))
    };
    let names = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok()).filter(is_shell_of_it).collect()
}

/// Kinds whose programs read their args, leave a grandchild, and note who they are.
const LONG: &str = "[kinds.long]\nexec = [\"sh\", \"-c\", \
     \"trap '' TERM; cat; sleep 600 & echo $! > $0.child; echo $$ > $0.self; wait\", \"first\"]\n\
     [kinds.other]\nexec = [\"sh\", \"-c\", \"cat; echo $$ > other.self; sleep 600; true\"]\n";

#[test]
fn programs_do_not_outlive_a_worker_that_is_killed() {
    let home = Home::with(LONG);
    let dev = Role::dev(&home);
    dev.ask(&["task", "enqueue", "long", "--args", "1"]).succeeds();
    let program = pid_in(&home.path().join("first.self"));
    let child = pid_in(&home.path().join("first.child"));
    assert!(is_alive(program) && is_alive(child));
    dev.send(Signal::SIGKILL);
    eventually(DEADLINE, || !is_alive(program) && !is_alive(child));
}

#[test]
fn a_guard_that_is_gone_is_replaced_by_one_that_knows_all_programs() {
    let home = Home::with(LONG);
    let dev = Role::dev(&home);
    dev.ask(&["task", "enqueue", "long", "--args", "1"]).succeeds();
    let first = pid_in(&home.path().join("first.self"));
    let guards: Vec<_> = shells_of(dev.id()).into_iter().filter(|pid| *pid != first).collect();
    assert_eq!(guards.len(), 1, "{guards:?}");
    // It is replaced with the next program.
    kill(Pid::from_raw(guards[0]), Signal::SIGKILL).unwrap();
    eventually(DEADLINE, || !is_alive(guards[0]));
    dev.ask(&["task", "enqueue", "other", "--args", "1"]).succeeds();
    let second = pid_in(&home.path().join("other.self"));
    assert!(is_alive(first) && is_alive(second));
    dev.send(Signal::SIGKILL);
    eventually(DEADLINE, || !is_alive(first) && !is_alive(second));
}

/// Who ends all processes of a container asks it, too, and the worker drains meanwhile.
#[test]
fn a_guard_that_is_asked_to_end_stays_for_as_long_as_its_worker() {
    let home = Home::with(LONG);
    let dev = Role::dev(&home);
    dev.ask(&["task", "enqueue", "long", "--args", "1"]).succeeds();
    let first = pid_in(&home.path().join("first.self"));
    for guard in shells_of(dev.id()).into_iter().filter(|pid| *pid != first) {
        kill(Pid::from_raw(guard), Signal::SIGTERM).unwrap();
    }
    dev.send(Signal::SIGKILL);
    eventually(DEADLINE, || !is_alive(first));
}

#[test]
fn a_second_signal_leaves_no_program_behind() {
    let home = Home::with(LONG);
    let dev = Role::dev(&home);
    dev.ask(&["task", "enqueue", "long", "--args", "1"]).succeeds();
    let child = pid_in(&home.path().join("first.child"));
    dev.send(Signal::SIGTERM);
    eventually(DEADLINE, || dev.status_of("/readyz") != Some(200));
    dev.send(Signal::SIGTERM);
    let (code, _) = dev.ends();
    assert_eq!(code, Some(130));
    eventually(DEADLINE, || !is_alive(child));
}
