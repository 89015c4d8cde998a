//! A reader of a page: a folder, a shell in it, and `leveret dev`.
//!
//! The shell lives as long as the page, so that a later block has the variables and functions of an
//! earlier one. `dev` is started before the first block that is run, where a block says `leveret dev`,
//! and again where its files have changed since.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::home::Home;
use crate::role::{Role, eventually};

/// Longer than any block takes.
const DEADLINE: Duration = Duration::from_secs(90);
/// Where pages have the gateway.
const USUAL: &str = "127.0.0.1:7878";
/// How a page that is read in a clone of the repository calls the program.
const BUILT: &str = "cargo run -q -p leveret --";
/// Tells of every command that fails, also inside functions and pipes, and once: bash tells of the
/// function, too, whose last command failed.
const CODES: &str = r#"set -o pipefail -E; codes=() _depth=0 _told=
trap '_code=$?
[[ ${#FUNCNAME[@]} -lt $_depth && "$_code $BASH_COMMAND" == "$_told" ]] || codes+=($_code)
_depth=${#FUNCNAME[@]} _told="$_code $BASH_COMMAND"' ERR
"#;

/// What a block did.
#[derive(Debug)]
pub(super) struct Ran {
    /// What it printed on both ways, in order.
    pub(super) printed: String,
    /// The codes of the commands that did not end with 0.
    pub(super) codes: Vec<String>,
}

pub(super) struct Session<'h> {
    home: &'h Home,
    address: String,
    dev: Option<Role<'h>>,
    /// The files that the running `dev` read.
    read: Vec<Option<Vec<u8>>>,
    shell: Child,
    commands: ChildStdin,
    said: Receiver<String>,
}

impl<'h> Session<'h> {
    pub(super) fn new(home: &'h Home) -> Self {
        // Free a moment ago: taken by somebody else meanwhile, the test fails aloud.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let program = Path::new(env!("CARGO_BIN_EXE_leveret"));
        home.write(".curlrc", "silent\nshow-error\nfail-with-body\n");
        let mut shell = Command::new("bash")
            .args(["--norc", "--noprofile"])
            .current_dir(home.path())
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", program.parent().unwrap().display()))
            .env("HOME", home.path())
            .env("USER", "reader")
            .env("LEVERET_GATEWAY_URL", format!("http://{address}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut commands = shell.stdin.take().unwrap();
        let (sender, said) = channel();
        let from = BufReader::new(shell.stdout.take().unwrap());
        std::thread::spawn(move || {
            from.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        commands.write_all(CODES.as_bytes()).unwrap();
        Self { home, address, dev: None, read: Vec::new(), shell, commands, said }
    }

    /// Runs commands as a page has them.
    pub(super) fn run(&mut self, commands: &str) -> Ran {
        if commands.lines().any(is_dev) {
            self.dev = None;
        }
        self.keep_dev();
        let own: Vec<_> = commands.lines().filter(|line| !is_dev(line)).collect();
        let own = own.join("\n").replace(USUAL, &self.address).replace(BUILT, "command leveret");
        // The last line ends with 0, so that the trap tells of the block's own commands only.
        self.home.write(".block", &format!("{own}\n:\n"));
        writeln!(
            self.commands,
            "codes=(); . ./.block >.printed 2>&1 </dev/null; echo \"over ${{codes[*]}}\""
        )
        .unwrap();
        let over = self.said.recv_timeout(DEADLINE);
        let printed = std::fs::read(self.home.path().join(".printed")).unwrap_or_default();
        let printed = String::from_utf8_lossy(&printed).replace(&self.address, USUAL);
        let over = over.unwrap_or_else(|error| panic!("{error}: {commands}\nprinted {printed}"));
        let codes = over.split(' ').skip(1).filter(|code| !code.is_empty()).map(ToOwned::to_owned);
        Ran { printed, codes: codes.collect() }
    }

    /// Says that `dev` was told to end.
    pub(super) fn dev_ends(&mut self) {
        self.dev = None;
    }

    /// Starts `dev` where it is not there, or has not read what its files say by now.
    fn keep_dev(&mut self) {
        let path = |name| std::fs::read(self.home.path().join(name)).ok();
        let files: Vec<_> = ["leveret.toml", "schedules.toml"].map(path).into();
        if self.dev.is_some() && files == self.read {
            return;
        }
        self.dev = None;
        let dev = Role::start(self.home, &["dev", "--listen", &self.address, "-o", "jsonl"]);
        eventually(DEADLINE, || dev.status_of("/readyz") == Some(200));
        (self.dev, self.read) = (Some(dev), files);
    }
}

/// Tells whether a line of a page starts `dev`.
fn is_dev(line: &str) -> bool {
    let own = line.split('#').next().unwrap_or_default().trim();
    ["leveret dev", "cargo run -p leveret -- dev"].contains(&own)
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
