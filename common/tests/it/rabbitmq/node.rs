//! A RabbitMQ of one's own for a test that raises alarms, freezes, kills or restarts it.
//!
//! The shared servers are other tests' too; this one is started on free ports, with a name service
//! of its own, and ends with the test. `scripts/services.sh node` knows where each generation is.

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use leveret_common::testkit::services::variable;

const UP: Duration = Duration::from_secs(120);
/// What the script answers where the generation is not installed.
const NOT_HERE: i32 = 3;

/// What stops publishers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alarm {
    Memory,
    Disk,
}

pub(super) struct Node {
    generation: u8,
    folder: tempfile::TempDir,
    ports: [u16; 3],
    names: Child,
    server: Child,
}

impl Node {
    /// Starts a broker of `generation`; nothing, said aloud, where it is not installed.
    pub(super) fn start(generation: u8) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let ports = free_ports();
        let asked = command(generation, &folder, ports, &["true"]).status().unwrap();
        if asked.code() == Some(NOT_HERE) {
            assert!(variable("CI").as_deref() != Some("true"), "RabbitMQ {generation} is missing");
            println!("SKIPPED: no RabbitMQ {generation} on this machine for a test's own node");
            return None;
        }
        let conf =
            format!("listeners.tcp.1 = 127.0.0.1:{}\ndisk_free_limit.absolute = 50MB\n", ports[0]);
        std::fs::write(folder.path().join("rabbitmq.conf"), conf).unwrap();
        std::fs::write(folder.path().join("plugins"), "[].").unwrap();
        let spawn = |words: &[&str]| command(generation, &folder, ports, words).spawn().unwrap();
        let names = spawn(&["epmd", "-port", &ports[2].to_string()]);
        let server = spawn(&["rabbitmq-server"]);
        let node = Self { generation, folder, ports, names, server };
        node.wait_until_up();
        Some(node)
    }

    pub(super) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.ports[0])
    }

    fn wait_until_up(&self) {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.ports[0])).is_err() {
            assert!(start.elapsed() < UP, "the broker did not start within {UP:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs `rabbitmqctl`; returns what it says.
    pub(super) fn control(&self, arguments: &[&str]) -> String {
        let words: Vec<&str> = [&["rabbitmqctl", "--quiet"], arguments].concat();
        let mut command = command(self.generation, &self.folder, self.ports, &words);
        let Output { status, stdout, stderr } =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        let (said, error) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "rabbitmqctl {arguments:?}: {status}: {said}{error}");
        said.into_owned()
    }

    /// Raises an alarm, or ends it.
    pub(super) fn set_alarm(&self, alarm: Alarm, raised: bool) {
        self.control(match (alarm, raised) {
            (Alarm::Memory, true) => &["set_vm_memory_high_watermark", "0.0001"],
            (Alarm::Memory, false) => &["set_vm_memory_high_watermark", "0.9"],
            (Alarm::Disk, true) => &["set_disk_free_limit", "900000GB"],
            (Alarm::Disk, false) => &["set_disk_free_limit", "50MB"],
        });
    }

    /// Sends a signal, such as `STOP`, to the broker.
    pub(super) fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).unwrap();
        let pid = pid.trim();
        // A number alone is never believed: the process may have ended and another have its id.
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mark = format!("-leveret_port\0{}\0", self.ports[0]);
        assert!(String::from_utf8_lossy(&line).contains(&mark), "{pid} is not the broker");
        send(signal, pid);
    }

    /// Returns the register of quorum queues as it is on disk, as text with the rest of the file.
    pub(super) fn written_queues(&self) -> String {
        let files = walkdir::WalkDir::new(self.folder.path()).into_iter().filter_map(Result::ok);
        let registers = files.filter(|file| file.file_name() == "names.dets");
        let read = |file: walkdir::DirEntry| std::fs::read(file.path()).unwrap_or_default();
        registers.map(|file| String::from_utf8_lossy(&read(file)).into_owned()).collect()
    }

    /// Ends the broker as a crash would.
    pub(super) fn crash(&mut self) {
        self.signal("KILL");
        self.server.wait().unwrap();
    }

    /// Starts it again on what it had on disk.
    pub(super) fn start_again(&mut self) {
        let words = ["rabbitmq-server"];
        self.server = command(self.generation, &self.folder, self.ports, &words).spawn().unwrap();
        self.wait_until_up();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if matches!(self.server.try_wait(), Ok(None)) && !std::thread::panicking() {
            self.signal("KILL");
        }
        for child in [&mut self.server, &mut self.names] {
            // Each is a group of its own: below the script may be a shell, and below that a server.
            send("KILL", &format!("-{}", child.id()));
            let _ = child.wait();
        }
        // In a root of another generation the files are root's.
        send_as_root("rm", &["-rf", "--one-file-system", &self.folder.path().to_string_lossy()]);
    }
}

/// Chosen below the ports of outgoing connections, so that a broker finds its own free again.
fn free_ports() -> [u16; 3] {
    let mut free = Vec::new();
    while free.len() < 3 {
        // Bound all at once, so that they differ; the server binds them a moment later.
        let port = fastrand::u16(26_000..31_000);
        free.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    [0, 1, 2].map(|at: usize| free[at].local_addr().unwrap().port())
}

fn command(
    generation: u8,
    folder: &tempfile::TempDir,
    [amqp, distribution, names]: [u16; 3],
    program: &[&str],
) -> Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/services.sh");
    let mut command = Command::new(script);
    command
        .args(["node", &generation.to_string()])
        .arg(folder.path())
        .args([amqp, distribution, names].map(|port| port.to_string()))
        .args(program)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn send(signal: &str, pid: &str) {
    let kill = |program: &str, before: &[&str]| {
        let mut kill = Command::new(program);
        kill.args(before).args(["-s", signal, "--", pid]).stderr(Stdio::null());
        kill.status().is_ok_and(|status| status.success())
    };
    // A broker in a root belongs to root.
    let _ended_already = kill("kill", &[]) || kill("sudo", &["-n", "kill"]);
}

fn send_as_root(program: &str, words: &[&str]) {
    let run = |mut command: Command| {
        command.args(words).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let mut as_root = Command::new("sudo");
    as_root.args(["-n", program]);
    let _nobody_to_tell = run(Command::new(program)) || run(as_root);
}
