//! All that is unsafe in the stories of forks: the fork.
#![expect(unsafe_code, reason = "no safe call forks")]

use std::panic::{self, AssertUnwindSafe};
use std::process;

use rustix::process::Pid;

/// Forks; the child does `action` and exits with what it returns.
pub(crate) fn fork(action: impl FnOnce() -> i32) -> Pid {
    // SAFETY: this program has one thread, so nothing is locked or half done in the child.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let status = panic::catch_unwind(AssertUnwindSafe(action));
        process::exit(status.unwrap_or(101));
    }
    Pid::from_raw(pid)
        .filter(|pid| pid.as_raw_nonzero().get() > 0)
        .expect("the system has room for a child")
}
