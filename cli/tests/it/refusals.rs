//! What is wrong is told with what, where, why and how to mend it, and each sort has its code.

use std::net::TcpListener;

use crate::fake::Fake;
use crate::home::Home;
use crate::role::Role;

#[test]
fn a_wrong_command_line_is_told_with_what_was_meant() {
    let home = Home::new();
    home.run(&["tsk"]).fails(2, &["unrecognized subcommand 'tsk'", "similar subcommand", "'task'"]);
    home.run(&["dev", "--lsten", "x"]).fails(2, &["unexpected argument '--lsten'", "'--listen'"]);
    home.run(&["task", "enqueue"]).fails(2, &["<KIND"]);
    home.run(&["task", "enqueue", "demo.echo", "--delay", "5"])
        .fails(2, &["--delay", "it has no unit; write 5s for seconds"]);
    home.run(&["task", "enqueue", "demo.echo", "--args", "{x"])
        .fails(2, &["failed to read --args", "not one JSON document", "line 1 column 2"]);
    home.run(&["task", "enqueue", "demo.echo", "--args-file", "nowhere.json"])
        .fails(2, &["nowhere.json", "No such file"]);
    home.run(&["task", "enqueue", "demo.echo", "--key", "a", "--id", "b"])
        .fails(2, &["cannot be used with"]);
    home.run(&["version", "--set", "slots"]).fails(2, &["write a name, an equals sign"]);
}

#[test]
fn all_problems_of_the_configuration_are_told_at_once() {
    let home = Home::with("[worker]\nslot = 3\n[gateway]\nlisten = \"nowhere\"\n");
    let left = home.run(&["dev", "--set", "worker.grace=5"]);
    left.fails(
        3,
        &["3 problems", "leveret.toml:2", "did you mean worker.slots?", "leveret.toml:4"],
    );
    left.fails(3, &["worker.grace = \"5\" (flag --worker-grace)", "it has no unit"]);
    home.run(&["dev", "--config", "nowhere.toml"]).fails(3, &["nowhere.toml"]);
    let unknown = Home::new().run(&["dev", "--set", "broker.ulr=x"]);
    unknown.fails(3, &["broker.ulr", "did you mean broker.url?"]);
    let half = Home::new().run(&["dev", "--broker-url", "amqp://127.0.0.1"]);
    half.fails(3, &["store.url"]);
}

#[test]
fn a_port_in_use_is_named_and_nothing_stays_open() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let left = home.run(&["dev", "--listen", &address]);
    left.fails(9, &[&format!("port {} is in use", taken.local_addr().unwrap().port()), "--listen"]);
    // The data folder is free again.
    drop(Role::dev(&home));
}

#[test]
fn a_gateway_that_others_could_reach_needs_tokens() {
    let home = Home::new();
    home.run(&["dev", "--listen", "0.0.0.0:0"]).fails(3, &["0.0.0.0:0", "gateway.token_file"]);
}

#[test]
fn a_data_folder_in_use_names_its_owner() {
    let home = Home::new();
    let dev = Role::dev(&home);
    let left = home.run(&["dev", "--listen", "127.0.0.1:0"]);
    left.fails(9, &["leveret-data", "in use by", "--data"]);
    drop(dev);
    drop(Role::dev(&home));
}

#[test]
fn a_gateway_that_is_not_there_is_named_with_the_way_to_start_one() {
    let home = Home::new();
    let url = ["--gateway-url", "http://127.0.0.1:1"];
    let told =
        ["no gateway answers at http://127.0.0.1:1", "refused", "leveret dev", "--gateway-url"];
    home.run(&[&["task", "enqueue", "demo.echo"][..], &url].concat()).fails(4, &told);
    home.run(&[&["task", "show", "x"][..], &url].concat()).fails(4, &told);
    home.run(&[&["task", "wait", "x"][..], &url].concat()).fails(4, &told);
}

#[test]
fn a_gateway_that_says_nothing_is_told_apart_from_one_that_is_not_there() {
    let fake = Fake::new("application/json", Vec::new());
    let to = ["--gateway-url", &fake.url, "--gateway-request-timeout", "1s"];
    let left = Home::new().run(&[&["dead", "replay", "m-1"][..], &to].concat());
    left.fails(4, &[&fake.url, "did not answer in time", "the request may have arrived"]);
    left.fails(4, &["gateway.request_timeout"]);
    assert!(!left.stderr.contains("no gateway answers"), "{}", left.stderr);
}

#[test]
fn servers_that_are_not_there_are_named() {
    let home = Home::new();
    for role in ["dev", "worker", "gateway"] {
        let left = home.run(&[
            role,
            "--listen",
            "127.0.0.1:0",
            "--broker-url",
            "amqp://u:geheim@127.0.0.1:1/v",
            "--store-url",
            "redis://:geheim@127.0.0.1:1/0",
            "--set",
            "store.connect_timeout=500ms",
        ]);
        left.fails(4, &["127.0.0.1:1"]);
        assert!(!left.stderr.contains("geheim"), "{}", left.stderr);
    }
}

#[test]
fn what_the_gateway_refuses_is_told_with_every_field() {
    let home = Home::new();
    let dev = Role::dev(&home);
    let left = dev.ask(&["task", "enqueue", "demo echo", "--queue", "Mail", "--at", "tomorrow"]);
    left.fails(7, &["400 invalid-task", "kind: ", "queue: ", "at: ", "RFC 3339"]);
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let left = dev.feed(&large, &["task", "enqueue", "demo.echo", "-"]);
    left.fails(7, &["413 too-large", "limits.payload"]);
}

#[test]
fn a_token_is_asked_for_and_taken() {
    let home = Home::with("gateway.token_file = \"tokens\"\n");
    home.write("tokens", "0123456789abcdef0123\n");
    let dev = Role::dev(&home);
    dev.ask(&["task", "show", "x"]).fails(4, &["401 unauthorized", "token"]);
    let left =
        dev.ask(&["task", "enqueue", "demo.echo", "--gateway-token", "0123456789abcdef0123"]);
    left.succeeds();
}
