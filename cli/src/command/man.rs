//! `leveret man`: a page for each command, made from the command line itself.
//!
//! What clap knows (synopsis, description, options) is written by `clap_mangen`; examples, exit codes,
//! variables and files come after it, from the same tables that `--help` and the documentation read.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use leveret_common::config::KEYS;
use serde_json::json;

use crate::args::{self, ManCommand, examples};
use crate::error::Error;
use crate::exit;
use crate::report::{self, Format};

/// The variables that most people need; `leveret-config(1)` has all.
const VARIABLES: [(&str, &str); 5] = [
    ("LEVERET_BROKER_URL", "RabbitMQ, for the roles (broker.url)"),
    ("LEVERET_STORE_URL", "Redis, for the roles (store.url)"),
    ("LEVERET_BROKER_URL_FILE, LEVERET_STORE_URL_FILE", "files that hold these URLs"),
    ("LEVERET_GATEWAY_URL", "where operator commands find the gateway (gateway.url)"),
    ("LEVERET_GATEWAY_TOKEN", "the token that they send (gateway.token)"),
];

const FILES: [(&str, &str); 3] = [
    ("leveret.toml", "the configuration, in the working folder; --config names another"),
    ("schedules.toml", "the timetable, in the working folder; --beat-file names another"),
    ("leveret-data/", "the tasks of `leveret dev`, in the working folder; --data names another"),
];

/// Prints one page, or writes all of them into a folder.
pub(super) fn run(command: &ManCommand, format: Format) -> Result<(), Error> {
    let mut root = args::offered(args::NAME);
    root.build();
    if let Some(folder) = &command.dir {
        let mut pages = Vec::new();
        collect(&root, &mut Vec::new(), &mut pages)?;
        write(folder, &pages)?;
        let told = json!({ "folder": folder.display().to_string(), "pages": pages.len() });
        return Ok(report::one(format, &["folder", "pages"], &told)?);
    }
    let (found, path) = find(&root, &command.command)?;
    Ok(report::write(&String::from_utf8_lossy(&page(found, &path)?))?)
}

/// A page's file name and its text.
type Page = (String, Vec<u8>);

fn write(folder: &Path, pages: &[Page]) -> Result<(), Error> {
    let written = || {
        fs::create_dir_all(folder)?;
        pages.iter().try_for_each(|(name, page)| fs::write(folder.join(name), page))
    };
    written().map_err(|error| Error::System {
        operation: "write the man pages",
        source: io::Error::new(error.kind(), format!("{}: {error}", folder.display())),
    })
}

/// Finds the command of these names below the program.
fn find<'a>(root: &'a Command, names: &'a [String]) -> Result<(&'a Command, Vec<&'a str>), Error> {
    let (mut found, mut path) = (root, Vec::new());
    for name in names {
        found = found.find_subcommand(name).ok_or_else(|| Error::Argument {
            what: "COMMAND".to_owned(),
            why: format!(
                "there is no command `{name}` here; there are {}",
                found.get_subcommands().map(Command::get_name).collect::<Vec<_>>().join(", ")
            ),
        })?;
        path.push(found.get_name());
    }
    Ok((found, path))
}

fn collect<'a>(
    command: &'a Command,
    path: &mut Vec<&'a str>,
    pages: &mut Vec<Page>,
) -> io::Result<()> {
    pages.push((Man::new(command.clone()).get_filename(), page(command, path)?));
    for sub in command.get_subcommands() {
        path.push(sub.get_name());
        collect(sub, path, pages)?;
        path.pop();
    }
    Ok(())
}

/// Writes the page of a command.
fn page(command: &Command, path: &[&str]) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).manual("Leveret");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    shown_in_use(&mut rest, path);
    let codes = exit::TABLE.iter().map(|(exit, _, meaning)| (exit.code(), meaning));
    listed(&mut rest, "EXIT STATUS", codes);
    if path == ["config"] {
        let keys = KEYS.iter().map(|key| (key.variable(), format!("{} ({})", key.help, key.path)));
        listed(&mut rest, "ENVIRONMENT", keys);
    } else {
        listed(&mut rest, "ENVIRONMENT", VARIABLES);
        rest.control("PP", []);
        rest.text([
            roman("Every configuration key has a variable: "),
            bold("leveret-config"),
            roman("(1) lists them."),
        ]);
    }
    listed(&mut rest, "FILES", FILES);
    related(&mut rest, command, path);
    rest.to_writer(&mut page)?;
    Ok(page)
}

fn shown_in_use(page: &mut Roff, path: &[&str]) {
    let examples = examples::of(path);
    if !examples.is_empty() {
        listed(page, "EXAMPLES", examples.iter().copied());
    }
}

/// Writes a section that is a list of things, each with what it means.
fn listed(
    page: &mut Roff,
    title: &str,
    things: impl IntoIterator<Item = (impl ToString, impl ToString)>,
) {
    page.control("SH", [title]);
    for (thing, meaning) in things {
        page.control("TP", []);
        page.text([bold(thing.to_string())]);
        page.text([roman(meaning.to_string())]);
    }
}

/// Writes where to read on: the command above, and those below.
fn related(page: &mut Roff, command: &Command, path: &[&str]) {
    let above = path.split_last().map(|(_, above)| [&[args::NAME], above].concat().join("-"));
    let own = [&[args::NAME], path].concat().join("-");
    let below = command.get_subcommands().map(|sub| format!("{own}-{}", sub.get_name()));
    let names: Vec<_> = above.into_iter().chain(below).collect();
    if names.is_empty() {
        return;
    }
    page.control("SH", ["SEE ALSO"]);
    let mut line = Vec::new();
    for name in names {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.extend([italic(name), roman("(1)")]);
    }
    page.text(line);
}
