//! What kills a worker's programs when the worker itself was killed.
//!
//! One small process beside the worker, a shell with a script of its own (`guard.sh`), which learns
//! of each process group through a pipe. The system closes the pipe when the worker ends, however
//! it ends, and the script kills what is still in its list then. It is out of the worker's process
//! group, so that it outlives what kills that. Guards the time between a `kill -9` and the next run
//! of the task elsewhere: without it the old program would run on beside the new one. Between the
//! start of a program and the line that tells of it lies a moment in which a kill goes unnoticed;
//! until then the program has not got its args.
//!
//! Guards, too, that a guard which is stopped or starved holds up no task: what it is told is written without
//! waiting, and one that reads nothing is replaced.
//!
//! Not the system's own signal for the death of a parent: that one reaches the program alone and
//! none of those it started, and goes by the thread that started it.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use leveret_common::telemetry::names::field;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tracing::warn;

/// A process that kills the groups it holds when this process ends; it is started with the first
/// group.
///
/// Dropped, it ends, and kills nobody: each attempt has killed its own group by then.
#[derive(Default)]
pub struct Guard(Mutex<State>);

/// Reads `+` and `-` with a group's id, one a line, and at the end kills whom it was not told to
/// forget.
const SCRIPT: &str = include_str!("guard.sh");

#[derive(Default)]
struct State {
    child: Option<Child>,
    groups: BTreeSet<i32>,
    /// Whether somebody was told that there is no guard.
    is_told: bool,
}

impl Guard {
    /// Has it running before the program is.
    pub(super) fn stand_by(&self) {
        let mut state = self.state();
        if state.child.is_none() {
            begin(&mut state);
        }
    }

    /// Adds a group to what is killed.
    pub(super) fn hold(&self, group: i32) {
        let mut state = self.state();
        state.groups.insert(group);
        if tell(&mut state, &format!("+{group}\n")).is_err() {
            // Not there any more: the next one learns of all groups.
            begin(&mut state);
        }
    }

    /// Takes a group off the list: it was killed, and its id may become another's.
    pub(super) fn release(&self, group: i32) {
        let mut state = self.state();
        state.groups.remove(&group);
        if tell(&mut state, &format!("-{group}\n")).is_err() && state.child.is_some() {
            // One that only reads too late would go by a list that is not true any more.
            begin(&mut state);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole by itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        end(self.state().child.take());
    }
}

/// Starts a guard in the place of one that may have been there.
fn begin(state: &mut State) {
    end(state.child.take());
    let Err(error) = start(state) else { return };
    if !state.is_told {
        warn!({ field::ERROR } = %error,
            "programs are not guarded: they live on where this worker is killed");
    }
    state.is_told = true;
}

fn start(state: &mut State) -> std::io::Result<()> {
    let child = Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    if let Some(pipe) = &child.stdin {
        fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    state.child = Some(child);
    let all = state.groups.iter().map(|group| format!("+{group}\n")).collect::<String>();
    tell(state, &all)
}

/// Writes to the guard: a few bytes that it reads at once. Where the pipe is full, it does not.
fn tell(state: &mut State, lines: &str) -> std::io::Result<()> {
    let pipe = state.child.as_mut().and_then(|child| child.stdin.as_mut());
    pipe.ok_or(std::io::ErrorKind::NotConnected)?.write_all(lines.as_bytes())
}

/// Ends a guard and waits for it.
fn end(child: Option<Child>) {
    let Some(mut child) = child else { return };
    // Killed, and not only left without its pipe: it would kill what it still has in its list.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::*;

    #[test]
    fn a_guard_that_is_stopped_holds_up_nobody_and_is_replaced() {
        let guard = Arc::new(Guard::default());
        guard.stand_by();
        let pid = |guard: &Guard| guard.state().child.as_ref().map(Child::id);
        let first = pid(&guard).unwrap();
        kill(Pid::from_raw(i32::try_from(first).unwrap()), Signal::SIGSTOP).unwrap();
        let (ended, end) = sync_channel(1);
        let told = Arc::clone(&guard);
        std::thread::spawn(move || {
            // Far more than a pipe holds. No system gives such ids.
            for _ in 0..10_000 {
                told.hold(i32::MAX);
                told.release(i32::MAX);
            }
            ended.send(())
        });
        end.recv_timeout(Duration::from_secs(60)).expect("nobody waits for it");
        assert_ne!(pid(&guard), Some(first));
    }
}
