//! All that is unsafe in this crate: registering descriptors, and installing signal actions.
#![expect(
    unsafe_code,
    reason = "the crates below ask for promises that only we can check"
)]

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

pub(crate) use libc::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use polling::{Event, PollMode, Poller};

/// Starts watching `fd` for `event`, level-triggered.
///
/// The caller deletes the descriptor with [`delete`] before it closes it.
pub(crate) fn add(poller: &Poller, fd: RawFd, event: Event) -> io::Result<()> {
    // SAFETY: `add_with_mode` wants the descriptor to leave the poller before it is closed. An
    // `FdEvent` owns its descriptor, only ever lends it, and leaves the poller before it drops it.
    unsafe { poller.add_with_mode(fd, event, PollMode::Level) }
}

/// Changes what a watched `fd` is watched for.
pub(crate) fn modify(poller: &Poller, fd: RawFd, event: Event) -> io::Result<()> {
    poller.modify_with_mode(borrow(&fd), event, PollMode::Level)
}

/// Stops watching `fd`.
pub(crate) fn delete(poller: &Poller, fd: RawFd) -> io::Result<()> {
    poller.delete(borrow(&fd))
}

fn borrow(fd: &RawFd) -> BorrowedFd<'_> {
    // SAFETY: both callers are reached only for descriptors of a live `FdEvent`, which owns its
    // descriptor until after it has left the poller.
    unsafe { BorrowedFd::borrow_raw(*fd) }
}

/// Runs `action` whenever the signal `signum` is delivered to this process.
///
/// `action` must confine itself to what `signal-safety(7)` allows: here, atomics and `write(2)`.
pub(crate) fn on_signal(
    signum: i32,
    action: impl Fn() + Send + Sync + 'static,
) -> io::Result<signal_hook_registry::SigId> {
    // SAFETY: the only caller passes an action that adds to an atomic counter and writes eight bytes
    // to a descriptor; both are async-signal-safe, and the registry preserves `errno`.
    unsafe { signal_hook_registry::register(signum, action) }
}

/// Whether the registry would handle `signum`; numbers that are no signal the kernel refuses.
pub(crate) fn can_handle(signum: i32) -> bool {
    signum > 0 && !signal_hook_registry::FORBIDDEN.contains(&signum)
}
