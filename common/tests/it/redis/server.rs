//! A Redis of one's own for a test, and a bare connection to any: no client library in between.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use leveret_common::testkit::services::variable;

/// A bare connection that speaks the protocol by hand.
pub(super) struct Bare(BufReader<TcpStream>);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Nil,
    Text(String),
    Number(i64),
    Error(String),
    List(Vec<Self>),
}

impl Reply {
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Nil => None,
            Self::Text(text) => Some(text),
            other => panic!("expected a text, got {other:?}"),
        }
    }

    pub(super) fn number(self) -> i64 {
        match self {
            Self::Number(number) => number,
            other => panic!("expected a number, got {other:?}"),
        }
    }
}

impl Bare {
    pub(super) fn connect(url: &str) -> Self {
        let address = url.strip_prefix("redis://").expect("a plain redis:// URL");
        let address = address.split('/').next().unwrap();
        Self::try_connect(address).expect("the server takes connections")
    }

    pub(super) fn try_connect(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(super) fn ask(&mut self, words: &[&str]) -> Reply {
        self.try_ask(words).expect("the server answers")
    }

    fn try_ask(&mut self, words: &[&str]) -> std::io::Result<Reply> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.0.get_mut().write_all(request.as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> std::io::Result<Reply> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let line = line.trim_end();
        let Some((sort, rest)) = line.split_at_checked(1) else {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        };
        let count = || rest.parse::<i64>().expect("a number");
        Ok(match sort {
            "+" => Reply::Text(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Number(count()),
            "$" if count() < 0 => Reply::Nil,
            "$" => {
                let mut bytes = vec![0; usize::try_from(count()).unwrap() + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Reply::Text(String::from_utf8(bytes).expect("our values are text"))
            }
            "*" if count() < 0 => Reply::Nil,
            "*" => Reply::List((0..count()).map(|_| self.reply()).collect::<Result<_, _>>()?),
            other => panic!("unknown sort of answer {other:?}"),
        })
    }

    /// The server's time in µs.
    pub(super) fn time(&mut self) -> u64 {
        let Reply::List(parts) = self.ask(&["TIME"]) else { panic!("TIME answers a list") };
        let part = |index: usize| parts[index].clone().text().unwrap().parse::<u64>().unwrap();
        part(0) * 1_000_000 + part(1)
    }
}

/// A server that only this test knows; it ends with the value.
pub(super) struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
    arguments: Vec<String>,
}

impl Server {
    /// Starts `redis-server` on a free port; nothing, said aloud, where it is not installed.
    pub(super) fn start(arguments: &[&str]) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        let Ok(child) = spawn(port, &folder, &arguments) else {
            assert!(variable("CI").as_deref() != Some("true"), "redis-server is not installed");
            println!("SKIPPED: redis-server is not installed; apt-get install redis-server");
            return None;
        };
        let server = Self { child, port, folder, arguments };
        server.wait_until_up();
        Some(server)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn bare(&self) -> Bare {
        Bare::connect(&self.url())
    }

    /// Ends it as a crash would.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(super) fn start_again(&mut self) {
        self.child = spawn(self.port, &self.folder, &self.arguments).unwrap();
        self.wait_until_up();
    }

    fn wait_until_up(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let answers = || {
            let mut bare = Bare::try_connect(&format!("127.0.0.1:{}", self.port))?;
            bare.try_ask(&["PING"])
        };
        while answers().is_err() {
            assert!(Instant::now() < deadline, "redis-server did not start");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended already, or ending with the test: there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, folder: &tempfile::TempDir, arguments: &[String]) -> std::io::Result<Child> {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .arg("--dir")
        .arg(folder.path())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}
