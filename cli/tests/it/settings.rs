//! `config show`, and what every command line has.

use serde_json::Value;

use crate::home::Home;

#[test]
fn each_value_is_shown_with_where_it_came_from_and_secrets_are_not() {
    let home = Home::with("[worker]\nslots = 3\n[kinds.\"text.words\"]\nexec = [\"wc\", \"-w\"]\n");
    let mut command = home.command(&[
        "config",
        "show",
        "--origin",
        "-o",
        "json",
        "--listen",
        "127.0.0.1:9000",
        "--set",
        "limits.payload=64KiB",
    ]);
    command.env("LEVERET_GATEWAY_TOKEN", "geheim-geheim-geheim").env("LEVERET_DATA", "here");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("geheim"), "{text}");
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let find = |key: &str| {
        let row = rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("{key}"));
        let text = |name: &str| row[name].as_str().unwrap_or("absent").to_owned();
        (text("value"), text("origin"))
    };
    let is = |key, value: &str, origin: &str| {
        assert_eq!(find(key), (value.to_owned(), origin.to_owned()), "{key}");
    };
    is("namespace", "leveret", "default");
    is("broker.url", "absent", "default");
    is("worker.slots", "3", "leveret.toml:2");
    is("data", "here", "environment LEVERET_DATA");
    is("gateway.token", "***", "environment LEVERET_GATEWAY_TOKEN");
    is("gateway.listen", "127.0.0.1:9000", "flag --listen");
    is("gateway.url", "http://127.0.0.1:9000", "derived from gateway.listen");
    is("limits.payload", "64KiB", "flag --limits-payload");
    is("kinds.\"text.words\".exec", "[\"wc\", \"-w\"]", "leveret.toml:4");
}

#[test]
fn the_version_is_the_same_by_command_and_by_flag() {
    let home = Home::new();
    let version = format!("leveret {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(home.run(&["version"]).succeeds().stdout, version);
    assert_eq!(home.run(&["--version"]).succeeds().stdout, version);
    let told = home.run(&["version", "-o", "json"]).json();
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    // Who needs failpoints asks the binary whether it has them.
    let has = told["features"].as_array().unwrap().contains(&"failpoints".into());
    assert_eq!(has, leveret_common::failpoint::COMPILED_IN);
}

#[test]
fn the_document_of_the_api_is_printed_without_a_gateway() {
    let home = Home::new();
    let document = home.run(&["openapi"]).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["paths"]["/v1/tasks"]["post"]["operationId"], "enqueueTasks");
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let home = Home::new();
    let binary = env!("CARGO_BIN_EXE_leveret");
    let line = format!("'{binary}' config show | true; exit ${{PIPESTATUS[0]}}");
    let mut command = std::process::Command::new("bash");
    let output = command.args(["-c", &line]).current_dir(home.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
