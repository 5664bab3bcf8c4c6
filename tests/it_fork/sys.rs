//! All that is unsafe in the stories of forks: the fork.
#![expect(unsafe_code, reason = "no safe call forks")]

use std::panic::{self, AssertUnwindSafe};
use std::process;

use rustix::process::Pid;

/// Forks; the child does `action` and exits with what it returns.
pub(crate) fn fork(action: impl FnOnce() -> i32) -> Pid {
    fork_here().unwrap_or_else(|| {
        let status = panic::catch_unwind(AssertUnwindSafe(action));
        process::exit(status.unwrap_or(101));
    })
}

/// Forks; returns in both processes, in the child nothing.
pub(crate) fn fork_here() -> Option<Pid> {
    // SAFETY: either this program has one thread, so that nothing is locked or half done in the child;
    // or the others do nothing but what a context of the child has to stand, and allocate, which the
    // system's allocator has ready in a child.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "the system has room for a child");
    Pid::from_raw(pid)
}
