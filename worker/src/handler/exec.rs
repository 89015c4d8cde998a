//! `exec` kinds: a program of any language performs the task.
//!
//! Args on stdin, result on stdout (JSON if it parses, else text), stderr's tail is kept with a
//! failure. Follow-ups go as lines of JSON into the file that `LEVERET_FOLLOW_UPS` names and count
//! only with a success. Exit 0 is done, 75 (`EX_TEMPFAIL`) retry, 65 (`EX_DATAERR`) dead, anything
//! else is by policy. No shell; a cleared environment; its own process group, which is killed as a
//! whole when the attempt is dropped at its hard limit, so nothing the program started stays
//! behind.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use super::outbox::{self, Outbox};
use super::{Execution, Handler, MAX_RESULT, Occurrence, Reply, TaskError};

/// How long to read on after the program's exit, where somebody it left behind has its pipes.
const LAST_OUTPUT: Duration = Duration::from_secs(1);
/// How much of stderr's end is kept with a failure, in bytes.
pub const MAX_STDERR: usize = 2 * 1024;
/// `EX_TEMPFAIL` of `sysexits.h`: try again.
const EXIT_RETRY: i32 = 75;
/// `EX_DATAERR` of `sysexits.h`: the input is wrong and will stay so.
const EXIT_DEAD: i32 = 65;
/// What a program finds in its environment beside its own `LEVERET_*` variables.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes a handler of a program and its arguments.
#[must_use]
pub fn handler(program: &str, arguments: &[String]) -> Arc<dyn Handler> {
    Arc::new(Exec { program: PathBuf::from(program), arguments: arguments.to_vec() })
}

struct Exec {
    program: PathBuf,
    arguments: Vec<String>,
}

/// Kills the process group when the attempt is over, however it ends.
/// Holds the group's id, or 0 once it was reaped: the system may give the id to others then.
struct Group(AtomicI32);

impl Group {
    fn signal(&self, signal: Signal) {
        let group = self.0.load(Ordering::SeqCst);
        if group > 0 {
            // ESRCH only says that nobody is left to kill.
            let _ = killpg(Pid::from_raw(group), signal);
        }
    }

    fn reaped(&self) {
        self.signal(Signal::SIGKILL);
        self.0.store(0, Ordering::SeqCst);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

#[async_trait]
impl Handler for Exec {
    async fn perform(&self, execution: Execution) -> Result<Reply, TaskError> {
        // Removed last, when nobody is left who could write to it.
        let outbox = Outbox::create()?;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("LEVERET_TASK_ID", execution.id.to_string())
            .env("LEVERET_KIND", execution.kind.as_str())
            .env("LEVERET_ATTEMPT", execution.order.attempt.to_string())
            .env("LEVERET_MAX_ATTEMPTS", execution.max_attempts.to_string())
            .env("LEVERET_FENCE", execution.fence.0.to_string())
            .env("LEVERET_CRASHES", execution.crashes.to_string())
            .env(outbox::VARIABLE, outbox.path())
            .envs(of_schedule(execution.occurrence.as_ref()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.not_started(&error))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
        let group = Group(AtomicI32::new(id));
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input is not to blame for the broken pipe.
                let _ = stdin.write_all(&execution.args).await;
            }
        };
        let (mut out, mut err) = (Head::default(), Tail::default());
        let status = {
            let talk = async { tokio::join!(feed, out.fill(stdout), err.fill(stderr)) };
            let (mut talk, mut is_talking) = (std::pin::pin!(talk), true);
            let mut is_asked = false;
            let status = loop {
                tokio::select! {
                    status = child.wait() => break status,
                    _ = &mut talk, if is_talking => is_talking = false,
                    () = execution.cancel.cancelled(), if !is_asked => {
                        is_asked = true;
                        group.signal(Signal::SIGTERM);
                    }
                }
            };
            group.reaped();
            // Exit ends the attempt, even where somebody it left behind keeps the pipes open.
            if is_talking {
                let _open = timeout(LAST_OUTPUT, talk).await;
            }
            status
        };
        let status = status.map_err(|error| self.not_started(&error))?;
        let mut reply = self.judge(status, &out, &err.0)?;
        reply.follow_ups = outbox.read(&execution.enqueuer)?;
        Ok(reply)
    }
}

/// Says which occurrence of which schedule the task is, where it is one.
fn of_schedule(occurrence: Option<&Occurrence>) -> Vec<(&'static str, String)> {
    let Some(Occurrence { schedule, due }) = occurrence else { return Vec::new() };
    let due = i64::try_from(due.0).ok().and_then(DateTime::from_timestamp_millis);
    let due = due.unwrap_or(DateTime::UNIX_EPOCH).to_rfc3339_opts(SecondsFormat::AutoSi, true);
    vec![("LEVERET_SCHEDULE", schedule.clone()), ("LEVERET_OCCURRENCE", due)]
}

impl Exec {
    fn not_started(&self, error: &std::io::Error) -> TaskError {
        let program = self.program.display();
        TaskError::failed("exec", format!("failed to run {program}: {error}"))
    }

    fn judge(&self, status: ExitStatus, out: &Head, err: &[u8]) -> Result<Reply, TaskError> {
        let program = self.program.display();
        if status.success() {
            if out.size > MAX_RESULT {
                let size = out.size;
                let why =
                    format!("{program} wrote {size} bytes; a result has at most {MAX_RESULT}");
                return Err(TaskError::failed("result", why));
            }
            return Ok(Reply { result: result(&out.kept), follow_ups: Vec::new() });
        }
        let mut message = format!("{program}: {status}");
        let said = String::from_utf8_lossy(err);
        if !said.trim().is_empty() {
            message = format!("{message}: {}", said.trim());
        }
        match status.code() {
            Some(EXIT_DEAD) => Err(TaskError::Dead { class: "exit-65".to_owned(), message }),
            Some(EXIT_RETRY) => Err(TaskError::failed("exit-75", message)),
            Some(code) => Err(TaskError::failed(format!("exit-{code}"), message)),
            None => Err(TaskError::failed("signal", message)),
        }
    }
}

/// Takes stdout for JSON where it is, else for text; nothing at all is no result.
fn result(out: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(out);
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    match serde_json::from_str::<&serde_json::value::RawValue>(text) {
        Ok(json) => Some(json.get().to_owned()),
        Err(_) => Some(serde_json::Value::from(text).to_string()),
    }
}

/// The beginning of an output: up to [`MAX_RESULT`] bytes; of more, only the size is counted, so
/// that the program can end.
#[derive(Default)]
struct Head {
    kept: Vec<u8>,
    size: usize,
}

impl Head {
    async fn fill(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut chunk = [0_u8; 8192];
        while let Ok(count @ 1..) = from.read(&mut chunk).await {
            self.size = self.size.saturating_add(count);
            if self.size <= MAX_RESULT {
                self.kept.extend_from_slice(&chunk[..count]);
            }
        }
    }
}

/// The last [`MAX_STDERR`] bytes of an output.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    async fn fill(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut chunk = [0_u8; 4096];
        while let Ok(count @ 1..) = from.read(&mut chunk).await {
            self.0.extend_from_slice(&chunk[..count]);
            let excess = self.0.len().saturating_sub(MAX_STDERR);
            self.0.drain(..excess);
        }
    }
}
