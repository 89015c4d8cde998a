//! `exec` kinds: a program of any language performs the task.
//!
//! Args on stdin, result on stdout (JSON if it parses, else text), stderr's tail is kept with a
//! failure. Follow-ups go as lines of JSON into the file that `LEVERET_FOLLOW_UPS` names and count
//! only with a success. Exit 0 is done, 75 (`EX_TEMPFAIL`) retry, 65 (`EX_DATAERR`) dead, anything
//! else is by policy. No shell; a cleared environment but for what [`Program`] names; its own
//! process group, which is killed as a whole when the attempt is over, however it ends. Where the
//! worker itself is killed, [`guard`] does that.

mod group;
pub mod guard;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use self::group::Group;
pub use self::guard::Guard;
use super::outbox::{self, Outbox};
use super::output::{Head, Tail, result};
use super::{Execution, Handler, MAX_RESULT, Reply, TaskError};

pub use super::output::MAX_TOLD as MAX_STDERR;

/// How long to read on after the program's exit, where somebody it left behind has its pipes.
const LAST_OUTPUT: Duration = Duration::from_secs(1);
/// `EX_TEMPFAIL` of `sysexits.h`: try again.
const EXIT_RETRY: i32 = 75;
/// `EX_DATAERR` of `sysexits.h`: the input is wrong and will stay so.
const EXIT_DEAD: i32 = 65;
/// What a program finds in its environment beside its own `LEVERET_*` variables.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that performs a kind.
#[derive(Clone, Default)]
pub struct Program {
    /// Its name, looked for in `PATH`, or its path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What it finds in its environment beside `PATH`, which this may replace, and `LEVERET_*`.
    pub env: BTreeMap<String, String>,
    /// The folder it runs in; the worker's where absent.
    pub cwd: Option<PathBuf>,
    /// Who kills it when the worker is killed; nobody where absent.
    pub guard: Option<Arc<Guard>>,
}

/// Makes a handler of a program and its arguments.
#[must_use]
pub fn handler(program: &str, arguments: &[String]) -> Arc<dyn Handler> {
    let arguments = arguments.to_vec();
    Program { program: PathBuf::from(program), arguments, ..Program::default() }.handler()
}

impl Program {
    /// Makes a handler of it.
    #[must_use]
    pub fn handler(self) -> Arc<dyn Handler> {
        Arc::new(Exec(self))
    }
}

struct Exec(Program);

#[async_trait]
impl Handler for Exec {
    async fn perform(&self, execution: Execution) -> Result<Reply, TaskError> {
        // Removed last, when nobody is left who could write to it.
        let outbox = Outbox::create()?;
        if let Some(guard) = &self.0.guard {
            guard.stand_by();
        }
        let mut child = self.command(&execution, &outbox).spawn().map_err(|error| {
            TaskError::failed("exec", format!("failed to run {}: {error}", self.name()))
        })?;
        let group = Group::of(child.id(), self.0.guard.clone());
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
        let status = status.map_err(|error| {
            TaskError::failed("exec", format!("failed to wait for {}: {error}", self.name()))
        })?;
        let mut reply = self.judge(status, &out, &err.0)?;
        reply.follow_ups = outbox.read(&execution.enqueuer)?;
        Ok(reply)
    }
}

impl Exec {
    fn command(&self, execution: &Execution, outbox: &Outbox) -> Command {
        let Program { program, arguments, env, cwd, .. } = &self.0;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .envs(env)
            .envs(of_task(execution))
            .env(outbox::VARIABLE, outbox.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(folder) = cwd {
            command.current_dir(folder);
        }
        command
    }

    /// Returns how messages call it: with its folder, where it has one, because that may be what
    /// is missing.
    fn name(&self) -> String {
        match &self.0.cwd {
            Some(folder) => format!("{} in {}", self.0.program.display(), folder.display()),
            None => self.0.program.display().to_string(),
        }
    }

    fn judge(&self, status: ExitStatus, out: &Head, err: &[u8]) -> Result<Reply, TaskError> {
        let program = self.0.program.display();
        if status.success() {
            if out.size > MAX_RESULT {
                let size = out.size;
                let why =
                    format!("{program} wrote {size} bytes; a result has at most {MAX_RESULT}");
                return Err(TaskError::failed("result", why));
            }
            return Ok(Reply { result: result(&out.kept), ..Reply::default() });
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

/// Returns the variables that tell a program what it performs.
fn of_task(execution: &Execution) -> BTreeMap<&'static str, String> {
    let mut variables = BTreeMap::from([
        ("LEVERET_TASK_ID", execution.id.to_string()),
        ("LEVERET_KIND", execution.kind.to_string()),
        ("LEVERET_ATTEMPT", execution.order.attempt.to_string()),
        ("LEVERET_MAX_ATTEMPTS", execution.max_attempts.to_string()),
        ("LEVERET_FENCE", execution.fence.0.to_string()),
        ("LEVERET_CRASHES", execution.crashes.to_string()),
    ]);
    if let Some(occurrence) = &execution.occurrence {
        variables.insert("LEVERET_SCHEDULE", occurrence.schedule.clone());
        variables.insert("LEVERET_OCCURRENCE", occurrence.to_rfc3339());
    }
    // As OpenTelemetry hands a trace to child processes.
    for (variable, header) in [("TRACEPARENT", "traceparent"), ("TRACESTATE", "tracestate")] {
        if let Some(value) = execution.trace.get(header) {
            variables.insert(variable, value.clone());
        }
    }
    variables
}
