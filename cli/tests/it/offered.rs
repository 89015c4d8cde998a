//! What the command line offers beside itself: completions for shells, and man pages.

use std::path::Path;
use std::process::Command;

use leveret_common::testkit::services::variable;

use crate::home::Home;

/// Every command that `--help` names, by its names in order.
fn commands(home: &Home, path: &[&str], found: &mut Vec<Vec<String>>) {
    let help = home.run(&[path, &["--help"]].concat());
    let help = &help.succeeds().stdout;
    found.push(path.iter().map(ToString::to_string).collect());
    let section = help.split_once("\nCommands:\n").map_or("", |(_, after)| after);
    let named = section.lines().take_while(|line| !line.is_empty());
    let named = named.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for name in named.filter(|name| !name.is_empty() && *name != "help") {
        commands(home, &[path, &[name]].concat(), found);
    }
}

/// Runs a program, or says aloud that it is not there.
fn run(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let Ok(output) = Command::new(program).args(arguments).current_dir(folder).output() else {
        println!("SKIPPED: there is no {program}");
        return None;
    };
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{program} {arguments:?}: {told}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn every_command_has_a_man_page_without_a_warning() {
    let home = Home::new();
    home.run(&["man", "--dir", "pages"]).succeeds();
    let mut found = Vec::new();
    commands(&home, &[], &mut found);
    assert!(found.len() > 40, "{found:?}");
    let folder = home.path().join("pages");
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected: Vec<_> = found
        .iter()
        .map(|path| format!("{}.1", [vec!["leveret".to_owned()], path.clone()].concat().join("-")))
        .collect();
    expected.sort();
    assert_eq!(names, expected);
    for name in &names {
        let page = std::fs::read_to_string(folder.join(name)).unwrap();
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT", "FILES"] {
            assert!(
                page.contains(&format!(".SH \"{section}\""))
                    || page.contains(&format!(".SH {section}")),
                "{name}: no {section}"
            );
        }
    }
    let files: Vec<_> = names.iter().map(String::as_str).collect();
    let typeset =
        run("groff", &[&["-man", "-ww", "-Tutf8", "-P-cbou"], &files[..]].concat(), &folder);
    if let Some(text) = typeset {
        assert!(text.contains("leveret dead replay --filter"), "{text}");
    } else {
        assert!(variable("CI").as_deref() != Some("true"), "groff is needed to look at man pages");
    }
}

#[test]
fn one_page_is_printed_by_the_names_of_its_command() {
    let home = Home::new();
    let page = home.run(&["man", "task", "enqueue"]);
    assert!(page.succeeds().stdout.contains("leveret task enqueue \\-\\-ndjson"), "{page:?}");
    home.run(&["man", "task", "enqueu"]).fails(2, &["no command `enqueu`", "enqueue, show"]);
}

/// What Bash offers for the last of these words.
fn offered(home: &Home, words: &[&str]) -> Vec<String> {
    let script = "source ./leveret.bash\n\
        complete -p leveret >/dev/null || exit 1\n\
        COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1))\n\
        _leveret leveret \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"\n\
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let arguments = [&["--norc", "-c", script, "bash"], words].concat();
    let told = run("bash", &arguments, home.path()).expect("scripts/ need bash");
    told.split_whitespace().map(ToOwned::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let home = Home::new();
    let script = home.run(&["completions", "bash"]);
    home.write("leveret.bash", &script.succeeds().stdout);
    assert_eq!(offered(&home, &["leveret", "ta"]), ["task"]);
    let verbs = offered(&home, &["leveret", "dead", ""]);
    for verb in ["list", "show", "replay", "discard", "export", "import", "reindex"] {
        assert!(verbs.contains(&verb.to_owned()), "{verbs:?}");
    }
    assert_eq!(offered(&home, &["leveret", "dead", "replay", "--dry"]), ["--dry-run"]);
    let groups = offered(&home, &["leveret", "dead", "list", "--group", ""]);
    assert_eq!(groups, ["kind", "queue", "reason", "error-class"]);
    assert_eq!(offered(&home, &["leveret", "-o", "js"]), ["json", "jsonl"]);
    // The flags of keys that no help shows would drown the others.
    let flags = offered(&home, &["leveret", "task", "show", "--"]);
    assert!(flags.contains(&"--gateway-url".to_owned()), "{flags:?}");
    assert!(!flags.contains(&"--broker-url".to_owned()), "{flags:?}");
}

#[test]
fn the_script_of_each_shell_is_read_by_that_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = home.run(&["completions", shell]);
        assert!(script.succeeds().stdout.contains("replay"), "{shell}");
        home.write(&format!("leveret.{shell}"), &script.stdout);
    }
    for (shell, reads) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        run(shell, &[reads, &format!("leveret.{shell}")], home.path());
    }
    home.run(&["completions", "basch"]).fails(2, &["basch", "bash"]);
}
