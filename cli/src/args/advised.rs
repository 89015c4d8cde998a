//! What people are told to type can be typed.
//!
//! Every command in backquotes, in the texts of all crates and in the pages, and every command in
//! the pages' examples, is read by the command line itself.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use clap::error::ErrorKind;

use super::CommandLine;

/// The crates whose texts people see.
const SOURCES: [&str; 6] =
    ["cli/src", "common/src", "gateway/src", "producer/src", "worker/src", "beat/src"];

/// Collects the files of a folder that end so.
fn files(folder: &Path, end: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, end, found);
        } else if path.extension().is_some_and(|own| own == end) {
            found.push(path);
        }
    }
}

/// Returns a source's texts as they are printed: no comments, and lines that go on joined.
fn texts(source: &str) -> String {
    let mut text = String::new();
    for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
        match line.strip_suffix('\\') {
            Some(begun) => text.push_str(begun),
            None => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

/// Returns what stands in backquotes and begins with the command's name.
fn quoted(text: &str) -> Vec<String> {
    let begun = text.split("`leveret ").skip(1);
    begun.filter_map(|rest| Some(own(rest.split_once('`')?.0).to_owned())).collect()
}

/// Returns a command without what is the shell's: a comment, a pipe, a file.
pub(super) fn own(line: &str) -> &str {
    let ends = [" #", " &", " |", " >"].into_iter().filter_map(|end| line.find(end));
    line[..ends.min().unwrap_or(line.len())].trim_end()
}

/// Returns the lines of a page's examples that call the command, without what is the shell's.
fn examples(page: &str) -> Vec<String> {
    let fenced = page.split("```").skip(1).step_by(2);
    let lines = fenced.flat_map(str::lines).filter_map(|line| line.strip_prefix("leveret "));
    // A line of a Cargo.toml is none.
    lines.filter(|line| !line.starts_with('=')).map(|line| own(line).to_owned()).collect()
}

/// Splits a command as a shell does, as far as quotes go. What a reader or the program puts in
/// (`{queue}`, `QUEUE`) becomes a word that is a number too.
pub(super) fn words(command: &str) -> Vec<String> {
    let (mut words, mut is_quoted) = (vec![String::new()], None);
    for letter in command.chars() {
        match letter {
            '\'' | '"' if is_quoted == Some(letter) => is_quoted = None,
            '\'' | '"' if is_quoted.is_none() => is_quoted = Some(letter),
            letter if letter.is_whitespace() && is_quoted.is_none() => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    let put_in = |word: &String| match word.split_once('{').zip(word.rsplit_once('}')) {
        Some(((before, _), (_, after))) => format!("{before}7{after}"),
        None if word.chars().all(|letter| letter.is_ascii_uppercase()) => "7".to_owned(),
        None => word.clone(),
    };
    words.iter().map(put_in).collect()
}

/// Tells what the command line says to a command, where it does not take it.
fn refused(command: &str) -> Option<clap::Error> {
    let line = [vec!["leveret".to_owned()], words(command)].concat();
    // Help is what was asked for.
    CommandLine::try_parse_from(line).err().filter(clap::Error::use_stderr)
}

#[test]
fn every_command_that_people_are_told_to_type_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut read, mut wrong) = (0, Vec::new());
    // Three dots stand for what is told elsewhere, a stroke for a choice.
    let mut check = |path: &Path, command: &str, is_name: bool| {
        let refused = refused(command).filter(|_| !command.contains(['…', '|']));
        // The name of a command is no advice to type it without its arguments.
        let is_bare = |error: &clap::Error| {
            matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            )
        };
        if let Some(error) = refused.filter(|error| !(is_name && is_bare(error))) {
            wrong.push(format!("{}: leveret {command}\n{error}", path.display()));
        }
        read += 1;
    };
    let mut paths = Vec::new();
    SOURCES.iter().for_each(|folder| files(&root.join(folder), "rs", &mut paths));
    paths.retain(|path| !path.ends_with("cli/src/args/advised.rs"));
    let mut advisers = Vec::new();
    for path in &paths {
        let commands = quoted(&texts(&fs::read_to_string(path).unwrap()));
        commands.iter().for_each(|command| check(path, command, false));
        advisers.extend(Some(path).filter(|_| !commands.is_empty()));
    }
    for part in ["operations/explain", "operations/doctor"] {
        let folder = root.join("gateway/src").join(part);
        assert!(advisers.iter().any(|path| path.starts_with(&folder)), "{part} advises nothing");
    }
    let mut pages = vec![root.join("README.md")];
    files(&root.join("docs"), "md", &mut pages);
    for path in pages {
        let text = fs::read_to_string(&path).unwrap();
        quoted(&text).iter().for_each(|command| check(&path, command, true));
        examples(&text).iter().for_each(|command| check(&path, command, false));
    }
    assert!(read > 50, "{read} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_command_that_is_none_is_noticed() {
    assert!(refused("worker resize WORKER --slots NUMBER").is_none());
    assert!(refused("dead list --group reason --filter 'queue:{queue} age>1h'").is_none());
    assert!(refused("worker resize WORKER SLOTS").is_some());
    assert!(refused("dead reindex --queu {queue}").is_some());
    let source = "// `leveret comment`\n\"look: `leveret dead \\\n    list`, or `leveret doctor`\"";
    let joined = quoted(&texts(source));
    let found: Vec<_> = joined.iter().map(|command| words(command)).collect();
    assert_eq!(found, [vec!["dead", "list"], vec!["doctor"]]);
    let page = "text\n```sh\nleveret task show ID   # a comment\nother\nleveret dev & # more\n```\nleveret is text\n";
    assert_eq!(examples(page), ["task show ID", "dev"]);
}
