//! A process that breaks a rule on purpose says so, and no process does that runs in earnest.

use leveret_common::sabotage::COMPILED_IN;

use crate::home::{Home, Left};

/// Shows the configuration of a process that is to break this rule.
fn told(rule: &str) -> Left {
    let home = Home::new();
    let output = home.command(&["config", "show"]).env("LEVERET_SABOTAGE", rule).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    Left { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn a_rule_that_nobody_knows_stops_the_process_and_it_says_which_there_are() {
    let left = told("bare-setnxx");
    assert_eq!(left.code, 3, "{left:?}");
    assert!(left.stderr.contains("LEVERET_SABOTAGE"), "{left:?}");
    if COMPILED_IN {
        for rule in ["ack-before-record", "bare-setnx", "confirm-not-awaited"] {
            assert!(left.stderr.contains(rule), "{left:?}");
        }
    }
}

#[test]
fn a_rule_can_be_broken_only_where_that_is_compiled_in() {
    let left = told("bare-setnx");
    assert_eq!(left.code, if COMPILED_IN { 0 } else { 3 }, "{left:?}");
    assert_eq!(left.stderr.contains("no key has this variable"), !COMPILED_IN, "{left:?}");
}
