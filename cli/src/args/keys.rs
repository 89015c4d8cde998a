//! The flags of configuration keys: one for each key, made from the table of keys.
//!
//! They are taken by every command and shown by few: a person who cancels a task looks for the flags
//! of `cancel`, not for the broker's publish window. `leveret config --help` lists all of them.

use clap::{Args, FromArgMatches};
use leveret_common::config::KEYS;

/// The keys whose flags every command's help shows: where the gateway is, and the embedded folder.
const SHOWN: [&str; 3] = ["data", "gateway.listen", "gateway.url"];

/// The flags of configuration keys that were given, as key path and text.
#[derive(Debug, Default)]
pub(crate) struct KeyFlags(pub(crate) Vec<(String, String)>);

impl Args for KeyFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        KEYS.iter().fold(command, |command, key| {
            let flag = key.flag().trim_start_matches('-').to_owned();
            command.arg(
                clap::Arg::new(key.path)
                    .long(flag)
                    .global(true)
                    .value_name("VALUE")
                    .help(key.help.trim_end_matches('.'))
                    .display_order(910)
                    .hide(!SHOWN.contains(&key.path))
                    .help_heading("Configuration keys"),
            )
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for KeyFlags {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let given = |path: &str| matches.get_one::<String>(path).cloned();
        let pairs = KEYS.iter().filter_map(|key| Some((key.path.to_owned(), given(key.path)?)));
        Ok(Self(pairs.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Returns the help of all of them, for the one command that lists them.
pub(super) fn listing() -> String {
    let flags: Vec<(String, &str)> =
        KEYS.iter().map(|key| (format!("{} <VALUE>", key.flag()), key.help)).collect();
    let width = flags.iter().map(|(flag, _)| flag.len()).max().unwrap_or_default();
    let mut text =
        "Every command takes these, as it takes leveret.toml and LEVERET_*:\n".to_owned();
    for (flag, help) in flags {
        text.push_str(&format!("  {flag:width$}  {}\n", help.trim_end_matches('.')));
    }
    text
}
