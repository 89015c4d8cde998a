//! What the commands look like in use: shown by `--help` and on the man pages.
//!
//! Responsible for the examples only. Each is read by the command line itself in a test, so none
//! can outlive the flags that it shows.

use clap::Command;

/// A command line, and what it is for.
type Example = (&'static str, &'static str);

/// The examples of each command, by its name without `leveret`; empty is the program itself.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "",
        &[
            ("leveret dev", "everything in one process, nothing to configure"),
            (
                "leveret task enqueue demo.echo --args '{\"hello\": \"world\"}' --wait 10s",
                "a first task",
            ),
            ("leveret doctor", "what is wrong, or soon will be"),
        ],
    ),
    (
        "dev",
        &[
            ("leveret dev", "gateway, worker and beat on one SQLite file in leveret-data/"),
            (
                "leveret dev --data /var/tmp/trial --listen 127.0.0.1:9000",
                "another folder and port",
            ),
        ],
    ),
    (
        "worker",
        &[
            ("leveret worker", "performs what its queues hold, until SIGTERM"),
            ("leveret worker --worker-queues mail,files --worker-slots 32", "only these queues"),
        ],
    ),
    ("worker resize", &[("leveret worker resize box:4711 --slots 32", "until the process ends")]),
    ("worker quiet", &[("leveret worker quiet all --yes", "the whole fleet takes nothing new")]),
    ("gateway", &[("leveret gateway --listen 127.0.0.1:7878", "the HTTP door")]),
    ("beat", &[("leveret beat --beat-file schedules.toml", "puts in what this file asks for")]),
    (
        "task enqueue",
        &[
            (
                "leveret task enqueue demo.echo --args '{\"n\": 7}' --wait 10s",
                "one, and its result",
            ),
            (
                "leveret task enqueue email.welcome --args '{\"user_id\": 7}' --key welcome-7",
                "repeatable",
            ),
            (
                "leveret task enqueue report.build --delay 1h --class low",
                "not before an hour has passed",
            ),
            ("leveret task enqueue --ndjson tasks.ndjson", "many: one JSON object a line"),
        ],
    ),
    ("task show", &[("leveret task show welcome-7 -o json", "state, result, attempts")]),
    ("task wait", &[("leveret task wait welcome-7 --timeout 5m", "exit code 0 once it is done")]),
    ("task cancel", &[("leveret task cancel welcome-7 --wait=30s", "and wait until it has ended")]),
    ("task explain", &[("leveret task explain welcome-7", "why it does not run, and what to do")]),
    (
        "dead list",
        &[
            ("leveret dead list --group reason", "what they died of, counted"),
            ("leveret dead list --filter 'kind:email.* age>1h' --limit 100", "those that match"),
        ],
    ),
    ("dead show", &[("leveret dead show welcome-7 --full", "with its args whole")]),
    (
        "dead replay",
        &[
            ("leveret dead replay welcome-7", "a fresh start for one"),
            (
                "leveret dead replay welcome-7 --args '{\"user_id\": 8}'",
                "an edited copy takes its place",
            ),
            (
                "leveret dead replay --filter 'reason:handler kind:email.*' --dry-run",
                "how many would it be?",
            ),
            (
                "leveret dead replay --filter 'reason:handler kind:email.*' --rate 50 --yes",
                "50 a second",
            ),
        ],
    ),
    ("dead discard", &[("leveret dead discard --filter 'age>30d' --rate 200 --yes", "for good")]),
    (
        "dead export",
        &[("leveret dead export --filter queue:mail --file letters.ndjson", "they stay, too")],
    ),
    ("dead import", &[("leveret dead import --file letters.ndjson", "where they can be replayed")]),
    ("queue pause", &[("leveret queue pause mail --why 'relay down'", "for the whole fleet")]),
    ("queue resume", &[("leveret queue resume mail", "ends the pause")]),
    (
        "schedule explain",
        &[(
            "leveret schedule explain '30 2 * * *' --zone Europe/Berlin",
            "in words, with its next times",
        )],
    ),
    ("schedule plan", &[("leveret schedule plan schedules.toml", "what the file would change")]),
    (
        "schedule create",
        &[(
            "leveret schedule create words.often --when 'every 90s' --kind text.words --args '\"/etc/hosts\"'",
            "from now on",
        )],
    ),
    ("schedule run", &[("leveret schedule run report.nightly", "once, now")]),
    (
        "schedule backfill",
        &[(
            "leveret schedule backfill report.nightly --from 2027-03-01 --dry-run",
            "how many would it be?",
        )],
    ),
    (
        "config show",
        &[("leveret config show --origin", "every key, and where its value came from")],
    ),
    ("doctor", &[("leveret doctor -o json", "exit code 10 where something does not work")]),
    (
        "completions",
        &[
            (
                "leveret completions bash > ~/.local/share/bash-completion/completions/leveret",
                "Bash",
            ),
            (
                "leveret completions zsh > ~/.zfunc/_leveret",
                "Zsh; with fpath+=~/.zfunc before compinit in ~/.zshrc",
            ),
            ("leveret completions fish > ~/.config/fish/completions/leveret.fish", "Fish"),
            ("leveret completions powershell >> $PROFILE", "PowerShell"),
            ("leveret completions elvish >> ~/.config/elvish/rc.elv", "Elvish"),
        ],
    ),
    (
        "man",
        &[
            ("leveret man --dir ~/.local/share/man/man1", "a page for each command"),
            ("leveret man task enqueue | man -l -", "one of them, without installing it"),
        ],
    ),
];

/// Returns the examples of a command, called by its names in order, without the program's.
pub(crate) fn of(path: &[&str]) -> &'static [Example] {
    let name = path.join(" ");
    let found = EXAMPLES.iter().find(|(command, _)| *command == name);
    found.map_or(&[], |(_, examples)| examples)
}

/// Puts each command's examples below its help.
pub(super) fn shown(command: Command) -> Command {
    below(command, &[])
}

fn below(command: Command, path: &[&str]) -> Command {
    let command = match of(path) {
        [] => command,
        examples => {
            let lines = examples.iter().map(|(line, what)| format!("  {line}\n      {what}\n"));
            command.after_help(format!("Examples:\n{}", lines.collect::<String>()))
        }
    };
    command.mut_subcommands(|sub| {
        let name = sub.get_name().to_owned();
        below(sub, &[path, &[name.as_str()]].concat())
    })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::super::advised::{own, words};
    use super::super::{CommandLine, NAME, command};
    use super::*;

    #[test]
    fn every_example_is_a_command_of_the_one_that_shows_it() {
        for (name, examples) in EXAMPLES {
            for (line, _) in *examples {
                let words = words(own(line));
                let read = CommandLine::try_parse_from(&words);
                assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
                let path: Vec<_> = name.split(' ').filter(|word| !word.is_empty()).collect();
                assert!(
                    words[1..]
                        .starts_with(&path.iter().map(ToString::to_string).collect::<Vec<_>>()),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn every_command_says_what_it_is_for_and_shows_its_examples() {
        let (mut left, mut shown) = (vec![(String::new(), command(NAME))], 0);
        while let Some((name, one)) = left.pop() {
            assert!(one.get_about().is_some(), "leveret {name} says nothing of itself");
            let path: Vec<_> = name.split(' ').filter(|word| !word.is_empty()).collect();
            let help = one.clone().render_help().to_string();
            for (line, _) in of(&path) {
                assert!(help.contains(line), "{help}");
                shown += 1;
            }
            let below = one.get_subcommands().filter(|sub| sub.get_name() != "help");
            left.extend(below.map(|sub| (format!("{name} {}", sub.get_name()), sub.clone())));
        }
        let all: usize = EXAMPLES.iter().map(|(_, examples)| examples.len()).sum();
        assert_eq!(shown, all, "some examples are of no command");
        assert!(
            CommandLine::command().get_after_help().is_none(),
            "they are put there in one place"
        );
    }
}
