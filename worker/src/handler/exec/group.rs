//! The process group of one program, which does not outlive the attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::guard::Guard;

/// Kills the process group when the attempt is over, however it ends.
pub(super) struct Group {
    /// The group's id, or 0 once it was reaped: the system may give the id to others then.
    id: AtomicI32,
    guard: Option<Arc<Guard>>,
}

impl Group {
    /// Takes the group that the child of this id leads, and has it guarded.
    pub(super) fn of(child: Option<u32>, guard: Option<Arc<Guard>>) -> Self {
        let id = child.and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
        if let Some(guard) = guard.as_ref().filter(|_| id > 0) {
            guard.hold(id);
        }
        Self { id: AtomicI32::new(id), guard }
    }

    /// Signals everybody in the group.
    pub(super) fn signal(&self, signal: Signal) {
        let id = self.id.load(Ordering::SeqCst);
        if id > 0 {
            // ESRCH only says that nobody is left to kill.
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }

    /// Kills whom the child has left behind in the group, and forgets it.
    pub(super) fn reaped(&self) {
        self.signal(Signal::SIGKILL);
        let id = self.id.swap(0, Ordering::SeqCst);
        if let Some(guard) = self.guard.as_ref().filter(|_| id > 0) {
            guard.release(id);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.reaped();
    }
}
