//! On a terminal: tables that fit, colours, a question before many things change, a bar.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use nix::pty::{Winsize, openpty};

use crate::ground::Ground;
use crate::home::Home;
use crate::letters::{broken, enqueue, listed};
use crate::role::Role;

/// What a command showed on a terminal of 80 columns, and how it ended.
struct Shown {
    code: i32,
    text: String,
}

/// Runs a command on a terminal, typing `typed` once it asks.
fn on_terminal(home: &Home, arguments: &[&str], typed: &str) -> Shown {
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).unwrap();
    let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
    let mut command = home.command(arguments);
    command.env("TERM", "xterm");
    command.stdin(end(&pty.slave)).stdout(end(&pty.slave)).stderr(end(&pty.slave));
    let mut child = command.spawn().unwrap();
    // The terminal ends for us once no other process has it open; the command holds ends of its own.
    drop(command);
    drop(pty.slave);
    let mut terminal = std::fs::File::from(pty.master);
    let (mut text, mut bytes, mut is_typed) = (String::new(), [0; 4096], typed.is_empty());
    // On Linux the master's read fails when the other side is closed.
    while let Ok(count @ 1..) = terminal.read(&mut bytes) {
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        if !is_typed && text.contains("[y/N]") {
            is_typed = true;
            terminal.write_all(typed.as_bytes()).unwrap();
        }
    }
    Shown { code: child.wait().unwrap().code().unwrap_or(-1), text }
}

/// A text as it is read: without colours and cursor movements.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            rest.by_ref().find(|c| c.is_ascii_alphabetic());
        } else if c != '\r' {
            plain.push(c);
        }
    }
    plain
}

#[test]
fn a_list_fits_the_terminal_and_keeps_its_ids_whole() {
    let home = broken(&Ground::Embedded);
    home.write("send", "yes 'a long story of what failed' | head -c 1500 >&2; exit 65\n");
    let dev = Role::dev(&home);
    enqueue(&dev, "mail.send", "m-1");
    let id = listed(&dev, "", 1)[0]["id"].as_str().unwrap().to_owned();
    let shown = on_terminal(&home, &["dead", "list", "--gateway-url", &dev.url], "");
    let text = plain(&shown.text);
    assert_eq!((shown.code, text.lines().count()), (0, 2), "{text}");
    assert!(text.contains(&id), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(shown.text.contains('\u{1b}'), "a terminal shows colours");
}

#[test]
fn a_bulk_verb_asks_and_a_no_changes_nothing() {
    let home = broken(&Ground::Embedded);
    let dev = Role::dev(&home);
    enqueue(&dev, "mail.send", "m-1");
    listed(&dev, "", 1);
    let discard = ["dead", "discard", "--all", "--gateway-url", &dev.url];
    let shown = on_terminal(&home, &discard, "n\n");
    assert_eq!(shown.code, 11, "{}", shown.text);
    assert!(shown.text.contains("Discard all dead letters"), "{}", shown.text);
    assert!(shown.text.contains("the list has 1"), "{}", shown.text);
    assert!(shown.text.contains("nothing was done"), "{}", shown.text);
    listed(&dev, "", 1);
    let shown = on_terminal(&home, &discard, "yes\n");
    assert_eq!(shown.code, 0, "{}", shown.text);
    assert!(plain(&shown.text).contains("discarded  1"), "{}", shown.text);
    listed(&dev, "", 0);
}

#[test]
fn a_long_enqueue_shows_a_bar_on_a_terminal_and_none_in_a_pipe() {
    let home = Home::new();
    let dev = Role::dev(&home);
    let lines: String =
        (0..3_000).map(|n| format!("{{\"kind\":\"demo.echo\",\"args\":{n}}}\n")).collect();
    home.write("tasks.ndjson", &lines);
    let enqueue = ["task", "enqueue", "--ndjson", "tasks.ndjson", "--gateway-url", &dev.url];
    let shown = on_terminal(&home, &enqueue, "");
    assert_eq!(shown.code, 0, "{}", shown.text);
    assert!(shown.text.contains(" tasks, "), "{}", shown.text);
    let left = home.run(&enqueue);
    assert!(!left.succeeds().stderr.contains(" tasks, "), "{}", left.stderr);
}

#[test]
fn a_signal_ends_a_replay_and_the_rest_stays_dead() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let home = broken(&Ground::Embedded);
    let dev = Role::dev(&home);
    for number in 0..10 {
        enqueue(&dev, "mail.send", &format!("m-{number}"));
    }
    listed(&dev, "", 10);
    crate::letters::mend(&home);
    let arguments =
        ["dead", "replay", "--all", "--yes", "--rate", "0.1", "--gateway-url", &dev.url];
    let mut child =
        home.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    crate::role::eventually(Duration::from_secs(60), || home.has("sent"));
    // SIGINT does the same, unless a shell that started the tests in the background ignores it.
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    child.wait().unwrap();
    // The walk ends with the answer that nobody reads, so the queue is free for another.
    let left = crate::letters::insist(&dev, &["dead", "reindex", "-o", "json"]);
    let kept = left.json()["taken"].as_u64().unwrap();
    assert!((1..10).contains(&kept), "{kept} are left");
    listed(&dev, "", usize::try_from(kept).unwrap());
}
