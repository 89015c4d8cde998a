//! A copy of an example's folder, with addresses of its own, in which its README is played.

use std::fs::File;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use leveret_common::testkit::services::{fresh_namespace, variable};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use super::readme::{Step, is_as_said, steps};
use crate::doors::{BROKER, STORE, clients};
use crate::ground::Ground;
use crate::home::Home;
use crate::role::{eventually, get};

/// Longer than any block takes.
const DEADLINE: Duration = Duration::from_secs(90);

/// An example that is played.
pub(super) struct Stage {
    home: Home,
    name: &'static str,
    /// What stands in the texts, and what stands there here.
    here: Vec<(String, String)>,
    /// This example's own address: on it the ports are those of the README.
    address: String,
    namespace: Option<String>,
    terminals: Vec<Terminal>,
}

/// What runs on, by its script, with all that it started; killed when dropped.
struct Terminal(Child, String);

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = killpg(group(&self.0), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

impl Stage {
    /// Copies the example, for one process without servers; nothing where these commands cannot be had.
    pub(super) fn embedded(name: &'static str, commands: &[&str]) -> Option<Self> {
        commands.iter().all(|command| is_there(command)).then(|| Self::set(name, &[]))
    }

    /// Copies the example, for these servers.
    pub(super) fn on_servers(name: &'static str, ground: &Ground) -> Self {
        let Ground::Servers { broker, store } = ground else { panic!("{name} needs servers") };
        Self::set(name, &[(BROKER, &broker.url), (STORE, store)])
    }

    fn set(name: &'static str, servers: &[(&str, &str)]) -> Self {
        let (home, address) = (Home::new(), address());
        // A folder of data is the example's own, servers are shared.
        let namespace = (!servers.is_empty()).then(|| fresh_namespace().to_string());
        let mut here = Vec::new();
        if let Some(namespace) = &namespace {
            here.push(("leveret.enqueue".to_owned(), format!("{namespace}.enqueue")));
        }
        for port in [7878, 9000] {
            here.push((format!("127.0.0.1:{port}"), format!("{address}:{port}")));
        }
        // Python's servers take host and port apart.
        here.push(("(\"127.0.0.1\", ".to_owned(), format!("(\"{address}\", ")));
        here.extend(servers.iter().map(|(there, here)| ((*there).to_owned(), (*here).to_owned())));
        let stage = Self { home, name, here, address, namespace, terminals: Vec::new() };
        for entry in std::fs::read_dir(folder().join(name)).unwrap() {
            let path = entry.unwrap().path();
            // What a reader's own plays have left there is not part of it.
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            stage.home.write(path.file_name().unwrap().to_str().unwrap(), &stage.moved(&text));
        }
        stage
    }

    /// Makes the packages of Python that the example asks for; nothing where they cannot be had.
    pub(super) fn with_python(self) -> Option<Self> {
        let python = clients::python()?.program;
        for wanted in self.read("requirements.txt").lines() {
            assert!(clients::REQUIREMENTS.lines().any(|line| line == wanted), "{wanted}");
        }
        let venv = python.parent().and_then(Path::parent).unwrap();
        symlink(venv, self.home.path().join(".venv")).unwrap();
        Some(self)
    }

    /// Makes the packages of Node that the example asks for; nothing where they cannot be had.
    pub(super) fn with_node(self) -> Option<Self> {
        let node = clients::node()?;
        let packages =
            |text: &str| serde_json::from_str::<Value>(text).unwrap()["dependencies"].clone();
        let there = packages(clients::PACKAGE);
        for (name, wanted) in packages(&self.read("package.json")).as_object().unwrap() {
            assert_eq!(there.get(name), Some(wanted), "{name}");
        }
        symlink(&node.variables["NODE_PATH"], self.home.path().join("node_modules")).unwrap();
        Some(self)
    }

    /// Does what the README says, step by step.
    #[track_caller]
    pub(super) fn play(mut self) -> Self {
        let steps = steps(&self.read("README.md"));
        assert!(steps.iter().any(|step| matches!(step, Step::Typed { .. })), "nothing is typed");
        for step in steps {
            match step {
                Step::CtrlC(terminal) => self.stop(terminal),
                Step::Terminal { script, port } => self.open(&script, port),
                Step::Typed { script, succeeds, prints } => {
                    let (status, printed) = self.type_in(&script);
                    assert_eq!(
                        status.success(),
                        succeeds,
                        "{}: {script}{status}\n{}",
                        self.name,
                        self.told(),
                    );
                    let Some(said) = prints else { continue };
                    assert!(
                        is_as_said(&said, &printed),
                        "{}: {script}printed\n{printed}\nand not\n{said}\n{}",
                        self.name,
                        self.told(),
                    );
                }
            }
        }
        self
    }

    /// Returns the names of what is in a folder of the folder, sorted.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.home.path().join(folder)).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(|one| name(one).into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    /// Returns what a file of the folder says now.
    #[track_caller]
    pub(super) fn read(&self, name: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Opens a terminal and waits until what runs there answers.
    fn open(&mut self, script: &str, port: Option<u16>) {
        for earlier in self.terminals.iter_mut().filter(|earlier| earlier.1 == script) {
            // It was killed a moment ago, and holds port and data until it is gone.
            eventually(DEADLINE, || earlier.0.try_wait().unwrap().is_some());
        }
        let mut command = self.shell(script, &format!("terminal-{}", self.terminals.len()));
        let mut child = command.spawn().unwrap();
        if let Some(port) = port {
            eventually(DEADLINE, || {
                let ended = child.try_wait().unwrap();
                assert!(ended.is_none(), "{}: {script}{ended:?}\n{}", self.name, self.told());
                self.answers(port)
            });
        }
        self.terminals.push(Terminal(child, script.to_owned()));
    }

    /// Stops what runs in a terminal, and waits for its end.
    fn stop(&mut self, terminal: usize) {
        let mut ended = self.terminals.remove(terminal - 1);
        killpg(group(&ended.0), Signal::SIGINT).unwrap();
        eventually(DEADLINE, || ended.0.try_wait().unwrap().is_some());
    }

    /// Tells whether there is somebody at this port; the gateway's has to be ready.
    fn answers(&self, port: u16) -> bool {
        match port {
            7878 => {
                let answer = get(&format!("http://{}:{port}", self.address), "/readyz");
                answer.is_some_and(|(status, _)| status == 200)
            }
            _ => TcpStream::connect((self.address.as_str(), port)).is_ok(),
        }
    }

    /// Runs a block to its end, and returns how it ended with what it printed.
    fn type_in(&self, script: &str) -> (ExitStatus, String) {
        let mut typed = Terminal(self.shell(script, "typed").spawn().unwrap(), script.to_owned());
        let began = Instant::now();
        loop {
            if let Some(status) = typed.0.try_wait().unwrap() {
                return (status, self.read("typed.out"));
            }
            let waits = began.elapsed() < DEADLINE;
            assert!(waits, "{}: {script}does not end\n{}", self.name, self.told());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Prepares a shell in the folder, with the commands that a reader has built on its `PATH`.
    fn shell(&self, script: &str, output: &str) -> Command {
        let out = |kind| File::create(self.home.path().join(format!("{output}.{kind}"))).unwrap();
        let path = variable("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(self.home.path())
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin:{path}", built().display()))
            .env("HOME", self.home.path())
            .env("LEVERET_GATEWAY_LISTEN", format!("{}:7878", self.address))
            .envs(self.namespace.iter().map(|namespace| ("LEVERET_NAMESPACE", namespace)))
            .stdin(Stdio::null())
            .stdout(out("out"))
            .stderr(out("err"))
            .process_group(0);
        command
    }

    /// Returns a text of the example as it has to be here.
    fn moved(&self, text: &str) -> String {
        self.here.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
    }

    /// Returns all that was printed and told, for a test that fails.
    fn told(&self) -> String {
        let files = std::fs::read_dir(self.home.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_output =
            |path: &PathBuf| path.extension().is_some_and(|kind| kind == "err" || kind == "out");
        let text = |path: PathBuf| {
            format!("{}:\n{}", path.display(), std::fs::read_to_string(&path).unwrap())
        };
        files.filter(is_output).map(text).collect()
    }
}

/// Where the examples are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// Where cargo puts the commands. Those of the examples are there because their own test needs them.
fn built() -> &'static Path {
    let folder = Path::new(env!("CARGO_BIN_EXE_leveret")).parent().unwrap();
    let built = folder.join("quickstart").exists();
    assert!(built, "the examples are not built: cargo test -p leveret -p leveret-examples");
    folder
}

/// Tells whether a command of this machine is there, and says aloud where it is not.
fn is_there(command: &str) -> bool {
    let found = Command::new(command).arg("--version").output().is_ok();
    if !found {
        assert!(variable("CI").as_deref() != Some("true"), "there is no {command}");
        println!("SKIPPED: there is no {command}, which this example uses");
    }
    found
}

/// An address of this machine that nobody else uses: all of 127/8 leads to it.
fn address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mine = std::process::id() * 16 + NEXT.fetch_add(1, Ordering::Relaxed) % 16;
    let [_, a, b, c] = mine.to_be_bytes();
    format!("127.{}.{b}.{c}", 1 + a % 254)
}

fn group(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}
