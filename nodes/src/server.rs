//! One server process below `scripts/services.sh`: its folder, its ports, its signals and its end.
//!
//! Guards that nothing is left: the script is a group of its own, and below it may be a shell, a
//! `sudo`, and below that the server.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::Generation;
use crate::error::{Error, while_doing};

/// How long a server may take to start or to end on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How often something is looked at that nobody signals.
pub(crate) const LOOK: Duration = Duration::from_millis(20);
/// What the script answers where a generation is not installed.
const NOT_HERE: i32 = 3;
/// Below the ports of outgoing connections, so that a server finds its own free when it starts
/// again; above those of the servers that tests share.
const PORTS: std::ops::Range<u16> = 26_000..31_000;

/// Returns that many ports that are free now.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N], Error> {
    let mut bound = Vec::new();
    // Bound all at once, so that they differ; the servers bind them a moment later.
    for _ in 0..1_000 {
        if bound.len() < N {
            bound.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, fastrand::u16(PORTS))));
        }
    }
    let ports: Vec<u16> =
        bound.iter().filter_map(|port| Some(port.local_addr().ok()?.port())).collect();
    ports.try_into().map_err(|_| Error::unexpected("this machine", "has no free port for a server"))
}

/// Returns a port that is free now, such as for the bus of a cluster's node.
///
/// # Errors
/// Where none is.
pub fn free_port() -> Result<u16, Error> {
    free_ports().map(|[port]| port)
}

/// Makes the folder of a server.
pub(crate) fn folder() -> Result<TempDir, Error> {
    // Short: the path of a socket in it may have 107 bytes.
    tempfile::Builder::new().prefix("lv-node-").tempdir().map_err(while_doing("make a folder"))
}

/// Returns a command of `scripts/services.sh` that says nothing, in a process group of its own.
pub(crate) fn script(verb: &str, generation: Generation, folder: &Path) -> Command {
    use std::os::unix::process::CommandExt;

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services.sh");
    let mut command = Command::new(script);
    command
        .args([verb, &generation.number().to_string()])
        .arg(folder)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A process that was started by the script.
pub(crate) struct Server {
    /// What it is called in errors.
    name: &'static str,
    generation: Generation,
    child: Child,
    pid_file: PathBuf,
    /// What the command line of the process in that file has to hold.
    mark: String,
}

impl Server {
    /// Starts it; it may not answer yet.
    pub(crate) fn start(
        name: &'static str,
        generation: Generation,
        mut command: Command,
        pid_file: PathBuf,
        mark: String,
    ) -> Result<Self, Error> {
        // What an earlier life of it left there.
        remove(&pid_file);
        let child = command.spawn().map_err(while_doing(format!("start {name}")))?;
        Ok(Self { name, generation, child, pid_file, mark })
    }

    /// Returns the id of the server itself, below whatever started it.
    pub(crate) fn pid(&self) -> Result<u32, Error> {
        let text = fs::read_to_string(&self.pid_file)
            .map_err(while_doing(format!("read the process id of {}", self.name)))?;
        // A number alone is never believed: it may have ended and another have its id.
        let pid = text.trim().parse().ok();
        let is_it = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&self.mark)
        };
        pid.filter(is_it).ok_or_else(|| self.unexpected("does not run"))
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Error> {
        let pid = self.pid()?.to_string();
        if send(signal, &pid) {
            return Ok(());
        }
        Err(self.unexpected(format!("could not be sent {signal}")))
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus, Error> {
        let began = Instant::now();
        loop {
            let asked = self.child.try_wait();
            match asked.map_err(while_doing(format!("wait for {}", self.name)))? {
                Some(status) => return Ok(status),
                None if began.elapsed() > PATIENCE => {
                    return Err(self.unexpected("does not end"));
                }
                None => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Waits until it takes connections.
    ///
    /// # Errors
    /// [`Error::NotHere`] where its generation is not on this machine; else when it ends, or the
    /// time is up.
    pub(crate) async fn takes_connections(&mut self, port: u16) -> Result<(), Error> {
        let began = Instant::now();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        while tokio::net::TcpStream::connect(address).await.is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                if status.code() == Some(NOT_HERE) {
                    return Err(Error::NotHere(self.generation));
                }
                return Err(self.unexpected(format!("ended as it started, with {status}")));
            }
            if began.elapsed() > PATIENCE {
                return Err(self.unexpected(format!("takes no connection within {PATIENCE:?}")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn unexpected(&self, what: impl Into<String>) -> Error {
        Error::unexpected(self.name, what.into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // Ended a moment ago, or never up: then there is nothing to signal.
        let _ended_already = self.signal(Signal::SIGKILL);
        let _ended_already = send(Signal::SIGKILL, &format!("-{}", self.child.id()));
        let _ended = self.child.wait();
    }
}

/// Removes a file or folder of a server. In a root of another generation they are root's.
pub(crate) fn remove(path: &Path) {
    let remove = |mut command: Command, words: &[&str]| {
        command
            .args(words)
            .arg(path)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|done| done.success())
    };
    if path.exists() {
        let words = ["-rf", "--one-file-system", "--"];
        let _nobody_to_tell = remove(Command::new("rm"), &words)
            || remove(Command::new("sudo"), &[&["-n", "rm"][..], &words].concat());
    }
}

/// Sends a signal to a process, or to a group where it begins with `-`.
fn send(signal: Signal, pid: &str) -> bool {
    let send = |program: &str, before: &[&str]| {
        let mut kill = Command::new(program);
        let name = signal.as_str().trim_start_matches("SIG");
        kill.args(before).args(["-s", name, "--", pid]).stderr(Stdio::null());
        kill.status().is_ok_and(|status| status.success())
    };
    // A server in a root belongs to root.
    send("kill", &[]) || send("sudo", &["-n", "kill"])
}
