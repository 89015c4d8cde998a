//! Takes one block after the other, as a reader of the page does.

use std::process::Command;

use serde_json::Value;

use super::Done;
use super::block::Block;
use super::printed;
use super::session::Session;
use super::shelf::Shelf;
use crate::home::Home;

/// A reader, in a folder of the page's.
pub(super) struct Reader<'h> {
    home: &'h Home,
    session: Option<Session<'h>>,
    /// What the last block printed that was run.
    printed: Option<String>,
}

impl<'h> Reader<'h> {
    pub(super) const fn new(home: &'h Home) -> Self {
        Self { home, session: None, printed: None }
    }

    /// Takes a block, after those before it.
    pub(super) fn take(
        &mut self,
        block: &Block,
        before: Option<&Block>,
        shelf: &Shelf,
    ) -> Result<Done, String> {
        if let Some(why) = block.mark("not run") {
            return if why.is_empty() {
                Err("it does not say why".to_owned())
            } else {
                Ok(Done::Left(why.to_owned()))
            };
        }
        if before.is_some_and(|before| block.is_output_of(before))
            && let Some(printed) = &self.printed
        {
            let is_right = printed::is_shown(&block.text, printed);
            return is_right
                .then_some(Done::Compared)
                .ok_or_else(|| format!("it printed:\n{printed}"));
        }
        // A program is written for what comes after it, and checked all the same.
        if let Some(file) = block.file().filter(|_| block.language != "sh") {
            assert!(!file.starts_with('/') && !file.contains(".."), "{file} is not in the folder");
            let path = self.home.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &block.text).unwrap();
        }
        match block.language.as_str() {
            "sh" => self.run(block),
            "rust" => shelf.compiles(block),
            "toml" => reads_toml(block),
            "json" => reads_json(&block.text),
            "text" => Ok(Done::Shown),
            "" => Err("name its language after the fence; `text` where it has none".to_owned()),
            _ if block.mark("file").is_some() => Ok(Done::Written),
            _ if block.mark("run").is_some() => self.pipe(block),
            _ => shelf.run_by(block),
        }
    }

    fn run(&mut self, block: &Block) -> Result<Done, String> {
        // What follows a block that goes wrong is not compared with what an older one printed.
        self.printed = None;
        if !["leveret ", "curl ", "127.0.0.1:7878"].iter().any(|ours| block.text.contains(ours)) {
            return Err("it calls neither leveret nor curl: mark it `not run: WHY`".to_owned());
        }
        let home = self.home;
        let session = self.session.get_or_insert_with(|| Session::new(home));
        let prepare = |session: &mut Session<'_>, commands: &str| {
            let ran = session.run(commands);
            let is_right = ran.codes.is_empty();
            is_right
                .then_some(ran.printed.clone())
                .ok_or_else(|| format!("`{commands}` ended with {ran:?}"))
        };
        for first in block.all("first") {
            prepare(session, first)?;
        }
        let mut text = block.text.clone();
        for (example, commands) in block.examples() {
            text = text.replace(example, prepare(session, commands)?.trim());
        }
        let ran = session.run(&text);
        let expected: Vec<_> = block.mark("exits").unwrap_or_default().split_whitespace().collect();
        let is_right = ran.codes == expected;
        self.printed = Some(ran.printed.clone());
        if block.mark("dev ends").is_some() {
            session.dev_ends();
        }
        is_right
            .then_some(Done::Run)
            .ok_or_else(|| format!("it ended with {:?}:\n{}", ran.codes, ran.printed))
    }

    /// Has a program read the block.
    fn pipe(&self, block: &Block) -> Result<Done, String> {
        self.home.write(".program", &block.text);
        let program = block.mark("run").unwrap_or_default();
        let mut command = Command::new(program);
        let output = command.arg(".program").current_dir(self.home.path()).output();
        let output = output.map_err(|error| format!("{program}: {error}"))?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(Done::Run).ok_or(told)
    }
}

/// The program itself reads the block, as a configuration or as a timetable.
fn reads_toml(block: &Block) -> Result<Done, String> {
    if block.file() == Some("Cargo.toml") {
        let read = block.text.parse::<toml::Table>();
        return read.map(|_| Done::Read).map_err(|error| error.to_string());
    }
    let home = Home::new();
    home.write("block.toml", &block.text);
    let is_timetable = block.text.contains("[schedules.") || block.text.contains("[calendars.");
    let left = if is_timetable {
        home.run(&["schedule", "plan", "block.toml", "--offline"])
    } else {
        home.run(&["config", "show", "--config", "block.toml"])
    };
    (left.code == 0).then_some(Done::Read).ok_or(left.stderr)
}

/// One document, or one a line.
fn reads_json(text: &str) -> Result<Done, String> {
    let documents = serde_json::Deserializer::from_str(text);
    let read: Result<Vec<Value>, _> = documents.into_iter().collect();
    read.map(|_| Done::Read).map_err(|error| error.to_string())
}
