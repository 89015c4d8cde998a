//! A folder to run the command in, and what a finished command left.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use leveret_common::testkit::services::sabotage;
use serde_json::Value;
use tempfile::TempDir;

/// A working folder without any configuration of the machine, and the command that runs there.
pub(crate) struct Home {
    folder: TempDir,
    binary: &'static str,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    /// Makes an empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), binary: env!("CARGO_BIN_EXE_leveret") }
    }

    /// Has another binary run there that takes the same command line.
    #[cfg(feature = "failpoints")]
    pub(crate) fn of(self, binary: &'static str) -> Self {
        Self { binary, ..self }
    }

    /// Makes a folder with this `leveret.toml`.
    pub(crate) fn with(config: &str) -> Self {
        let home = Self::new();
        home.write("leveret.toml", config);
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// Tells whether there is a file of this name in the folder.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    /// Prepares the command, with nothing of the caller's environment but `PATH`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binary);
        command.args(arguments).current_dir(self.path()).env_clear().env("PATH", "/usr/bin:/bin");
        command.envs(sabotage());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Left {
        self.feed("", arguments)
    }

    /// Runs the command to its end with `input` on stdin.
    pub(crate) fn feed(&self, input: &str, arguments: &[&str]) -> Left {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // A command that does not read all of it is no failure of the test's.
        let feeder = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        Left {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Left {
    /// Returns the JSON documents of stdout, one a line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let line = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        self.stdout.lines().map(line).collect()
    }

    /// Returns stdout as the one JSON document that it is.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts the exit code and that stderr tells each of these.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, told: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for text in told {
            assert!(self.stderr.contains(text), "{text:?} is not told:\n{}", self.stderr);
        }
    }

    /// Asserts success.
    #[track_caller]
    pub(crate) fn succeeds(&self) -> &Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}
