//! A RabbitMQ of one's own for a test that raises alarms, freezes or kills it.
//!
//! The shared servers are other tests' too; this one is started on free ports, with a name service
//! of its own, and ends with the test.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use leveret_common::testkit::services::variable;

const BIN: &str = "/usr/lib/rabbitmq/bin";
const UP: Duration = Duration::from_secs(120);

pub(super) struct Node {
    folder: tempfile::TempDir,
    ports: [u16; 3],
    names: Child,
    server: Child,
}

impl Node {
    /// Starts a broker; nothing, said aloud, where RabbitMQ is not installed.
    pub(super) fn start() -> Option<Self> {
        if !PathBuf::from(BIN).join("rabbitmq-server").exists() {
            assert!(variable("CI").as_deref() != Some("true"), "rabbitmq-server is not installed");
            println!("SKIPPED: rabbitmq-server is not installed; apt-get install rabbitmq-server");
            return None;
        }
        // All three are bound at once, so that they differ; the server binds them a moment later.
        let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.each_ref().map(|listener| listener.local_addr().unwrap().port());
        drop(free);
        let folder = tempfile::tempdir().unwrap();
        let conf =
            format!("listeners.tcp.1 = 127.0.0.1:{}\ndisk_free_limit.absolute = 50MB\n", ports[0]);
        std::fs::write(folder.path().join("rabbitmq.conf"), conf).unwrap();
        std::fs::write(folder.path().join("plugins"), "[].").unwrap();
        let names = Command::new("epmd").args(["-port", &ports[2].to_string()]).spawn().unwrap();
        let server = Self::command(&folder, ports, "rabbitmq-server").spawn().unwrap();
        let node = Self { folder, ports, names, server };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", ports[0])).is_err() {
            assert!(start.elapsed() < UP, "the broker did not start within {UP:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(node)
    }

    fn command(folder: &tempfile::TempDir, ports: [u16; 3], program: &str) -> Command {
        let at = |name: &str| folder.path().join(name);
        let [amqp, distribution, names] = ports.map(|port| port.to_string());
        let mut command = Command::new(PathBuf::from(BIN).join(program));
        command
            .env("HOME", folder.path())
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_NODENAME", format!("own{amqp}@localhost"))
            .env("RABBITMQ_NODE_PORT", &amqp)
            .env("RABBITMQ_DIST_PORT", distribution)
            .env("ERL_EPMD_PORT", names)
            .env("RABBITMQ_MNESIA_BASE", at("db"))
            .env("RABBITMQ_LOG_BASE", at("log"))
            .env("RABBITMQ_PID_FILE", at("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins"))
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    pub(super) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.ports[0])
    }

    /// Raises the memory alarm, or clears it.
    pub(super) fn set_alarm(&self, raised: bool) {
        let mark = if raised { "0" } else { "0.9" };
        let mut control = Self::command(&self.folder, self.ports, "rabbitmqctl");
        let status = control.args(["set_vm_memory_high_watermark", mark]).status().unwrap();
        assert!(status.success(), "rabbitmqctl: {status}");
    }

    /// Sends a signal, such as `STOP`, to the broker.
    pub(super) fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).unwrap();
        let status = Command::new("kill").args(["-s", signal, pid.trim()]).status().unwrap();
        assert!(status.success(), "kill -s {signal}: {status}");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.signal("KILL");
        for child in [&mut self.server, &mut self.names] {
            // The server's script ends with its server; the name service has to be told.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
