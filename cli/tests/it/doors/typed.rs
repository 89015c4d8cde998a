//! The typed clients of `clients/`: their own tests against a gateway that runs, and the programs of
//! `docs/clients.md` with the packages installed as a reader installs them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use leveret_common::testkit::services::variable;
use serde_json::json;

use super::{DEADLINE, cache, clients, over, pages};
use crate::home::Home;
use crate::role::{Role, eventually};

const TOKEN: &str = "a-token-of-the-clients-tests";
const SECRET: &str = "a-secret-of-the-page";
/// What the clients' own tests ask for.
const SETTINGS: &str = r#"
worker.listen = "127.0.0.1:0"
gateway.token_file = "tokens"
[kinds."test.words"]
exec = ["sh", "-c", "tr -d '\"' | wc -w"]
[kinds."test.fails"]
exec = ["sh", "-c", "exit 65"]
[kinds."test.sleeps"]
exec = ["sleep", "60"]
"#;

/// Returns the folder of a client.
fn folder(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients").join(language)
}

/// Runs a command to its end and returns what it printed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{printed}\n{told}");
    printed
}

/// Starts everything for the clients' own tests.
fn dev(home: &Home) -> Role<'_> {
    home.write("leveret.toml", SETTINGS);
    home.write("tokens", TOKEN);
    let dev = Role::dev(home);
    eventually(DEADLINE, || dev.status_of("/readyz") == Some(200));
    dev
}

#[test]
fn the_python_client_is_strictly_typed_and_agrees_with_a_gateway_that_runs() {
    let Some(python) = clients::python() else { return };
    let python = |arguments: &[&str]| {
        let mut command = Command::new(&python.program);
        command.args(arguments).current_dir(folder("python"));
        // Nothing of a test stays in the source.
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", "src");
        command
    };
    run(python(&["-m", "mypy", "--cache-dir"]).arg(cache().join("mypy")));
    let home = Home::new();
    let dev = dev(&home);
    let mut tests = python(&["-m", "unittest", "discover", "-s", "tests"]);
    tests.env("LEVERET_GATEWAY_URL", &dev.url).env("LEVERET_GATEWAY_TOKEN", TOKEN);
    run(&mut tests);
}

#[test]
fn the_typescript_client_is_strictly_typed_and_agrees_with_a_gateway_that_runs() {
    let Some(node) = clients::node() else { return };
    let (home, modules) = (Home::new(), &node.variables["NODE_PATH"]);
    let built = home.path().join("built");
    let mut compile = Command::new(modules.join(".bin/tsc"));
    compile.args(["-p", "tests", "--outDir"]).arg(&built);
    compile.arg("--typeRoots").arg(modules.join("@types"));
    run(compile.current_dir(folder("typescript")));
    std::fs::write(built.join("package.json"), "{\"type\": \"module\"}").unwrap();
    let dev = dev(&home);
    let files = ["alone", "live", "agreement"].map(|name| format!("tests/{name}.test.js"));
    let mut tests = Command::new(&node.program);
    tests.arg("--test").args(files.map(|file| built.join(file)));
    tests.env("LEVERET_GATEWAY_URL", &dev.url).env("LEVERET_GATEWAY_TOKEN", TOKEN);
    run(tests.current_dir(folder("typescript")));
}

/// Programs in a language, in a folder where its client is installed.
struct Programs {
    home: Home,
    interpreter: clients::Interpreter,
    ending: &'static str,
    port: u16,
}

impl Programs {
    /// Installs the Python client.
    fn python() -> Option<Self> {
        let mut interpreter = clients::python()?;
        let home = Home::new();
        let site = home.path().join("site");
        let mut install = Command::new(&interpreter.program);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        // What it needs is there already, what builds it too.
        install.args(["--no-deps", "--no-build-isolation", "--target"]).arg(&site);
        run(install.arg(folder("python")));
        interpreter.variables.insert("PYTHONPATH", site);
        Some(Self { home, interpreter, ending: "py", port: free_port() })
    }

    /// Installs the TypeScript client; that compiles it.
    fn node() -> Option<Self> {
        let interpreter = clients::node()?;
        let home = Home::new();
        // In a copy: nothing of a test stays in the source.
        let mut copy = Command::new("cp");
        run(copy.arg("-R").arg(folder("typescript")).arg(home.path().join("leveret")));
        home.write("package.json", "{\"private\": true}");
        // Whatever the machine has, behind the compiler that is installed already.
        let compiler = interpreter.variables["NODE_PATH"].join(".bin");
        let path = format!("{}:{}", compiler.display(), variable("PATH").unwrap_or_default());
        let mut install = Command::new("npm");
        install.args(["install", "--offline", "--omit=dev", "--no-audit", "--no-fund"]);
        install.args(["--loglevel", "error", "./leveret"]).env("PATH", path);
        run(install.current_dir(home.path()));
        Some(Self { home, interpreter, ending: "mjs", port: free_port() })
    }

    /// Writes a file of a page into the folder.
    fn write(&self, page: &pages::Page, name: &str) {
        self.home.write(name, &page.program(name).replace("9000", &self.port.to_string()));
    }

    /// Prepares a program of a page.
    fn program(&self, page: &pages::Page, name: &str, gateway: &str) -> Command {
        let name = format!("{name}.{}", self.ending);
        self.write(page, &name);
        let mut command = Command::new(&self.interpreter.program);
        command.arg(name).current_dir(self.home.path()).envs(&self.interpreter.variables);
        command.env("LEVERET_GATEWAY_URL", gateway).env("HOOK_SECRET", SECRET);
        command
    }
}

/// Free a moment ago: taken by somebody else meanwhile, the test fails aloud.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A receiver of the page that runs; killed when dropped.
struct Receiver(Child);

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn the_programs_of_the_pages_do_what_they_say(programs: &Programs, readme: &pages::Page) {
    let page = &pages::CLIENTS;
    programs.write(page, "leveret.toml");
    let dev = Role::dev_with(&programs.home, &[("HOOK_SECRET", SECRET)]);
    eventually(DEADLINE, || dev.status_of("/readyz") == Some(200));
    let prints = |name: &str| run(&mut programs.program(page, name, &dev.url));
    let is_python = programs.ending == "py";
    let either = |python: &str, node: &str| if is_python { python } else { node }.to_owned();

    let hello = run(&mut programs.program(readme, "hello", &dev.url));
    assert_eq!(hello, either("{'hello': 'world'}\n", "{ hello: 'world' }\n"));
    assert_eq!(prints("words"), "3\n");
    if is_python {
        assert_eq!(prints("words_async"), "[1, 2, 3]\n");
    }
    assert_eq!(prints("many"), "0 refused\n");
    let flaws = either("['class', 'delay']", "[ 'class', 'delay' ]");
    let died = "sh: exit status: 65: no such text";
    let ends = format!("{flaws}\nhandler {died}\nkey-conflict\ncancelled\n");
    assert_eq!(prints("ends"), ends);
    assert_eq!(prints("letters"), format!("text.picky {died}\n1 replayed\nrelay down\n"));

    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, programs.port));
    let mut receiver = programs.program(page, "receiver", &dev.url);
    receiver.stdout(Stdio::null()).stderr(Stdio::null());
    let _receiver = Receiver(receiver.spawn().unwrap());
    eventually(DEADLINE, || TcpStream::connect(address).is_ok());
    dev.ask(&["task", "enqueue", "order.paid", "--id", "order", "--args", "{\"order\": 7}"])
        .succeeds();
    let task = over(&dev, "order");
    assert_eq!((&task["state"], &task["result"]), (&json!("done"), &json!({"paid": 7})), "{task}");
}

#[test]
fn the_programs_of_the_pages_do_what_they_say_in_python() {
    if let Some(programs) = Programs::python() {
        the_programs_of_the_pages_do_what_they_say(&programs, &pages::CLIENTS_PYTHON);
    }
}

#[test]
fn the_programs_of_the_pages_do_what_they_say_in_javascript() {
    if let Some(programs) = Programs::node() {
        the_programs_of_the_pages_do_what_they_say(&programs, &pages::CLIENTS_TYPESCRIPT);
    }
}
