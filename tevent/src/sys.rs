//! All that is unsafe in this crate: registering descriptors, and installing signal actions.
#![expect(
    unsafe_code,
    reason = "the crates below ask for promises that only we can check"
)]

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use libc::siginfo_t;
pub(crate) use libc::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use polling::{Event, PollMode, Poller};

use crate::signal::SignalInfo;

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
    action: impl Fn(SignalInfo) + Send + Sync + 'static,
) -> io::Result<signal_hook_registry::SigId> {
    let action = move |info: &siginfo_t| action(read_info(info));
    // SAFETY: the only caller passes an action that changes atomics and writes eight bytes to a
    // descriptor, and we read memory; all that is async-signal-safe, and the registry preserves
    // `errno`.
    unsafe { signal_hook_registry::register_sigaction(signum, action) }
}

/// The parts of `info` that apply to its code. Async-signal-safe.
fn read_info(info: &siginfo_t) -> SignalInfo {
    let code = info.si_code;
    let (mut pid, mut uid) = (None, None);
    if has_sender(info.si_signo, code) {
        // SAFETY: signals with this code carry a process.
        pid = Some(unsafe { info.si_pid() });
        // SAFETY: signals with this code carry a user.
        uid = Some(unsafe { info.si_uid() });
    }
    SignalInfo {
        code,
        pid,
        uid,
        value: read_value(info),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn has_sender(signum: i32, code: i32) -> bool {
    /// Sent with `tkill(2)` or `tgkill(2)`, as `raise(3)` does.
    const SI_TKILL: i32 = -6;
    let sent = [libc::SI_USER, libc::SI_QUEUE, SI_TKILL, libc::SI_MESGQ];
    let child = libc::CLD_EXITED..=libc::CLD_CONTINUED;
    sent.contains(&code) || (signum == libc::SIGCHLD && child.contains(&code))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn has_sender(signum: i32, code: i32) -> bool {
    /// Sent with `kill(2)`; systems differ in what else they call so.
    const SI_USER: i32 = 0x10001;
    [0, SI_USER].contains(&code) || signum == libc::SIGCHLD
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn read_value(info: &siginfo_t) -> Option<i32> {
    let has_value = [libc::SI_QUEUE, libc::SI_TIMER, libc::SI_MESGQ].contains(&info.si_code);
    has_value.then(|| {
        // SAFETY: signals with this code carry a value.
        let value = unsafe { info.si_value() };
        // SAFETY: a `sigval` is a union of a pointer, as which it was copied whole, and of this
        // number, which begins where the union does.
        unsafe { std::ptr::from_ref(&value).cast::<i32>().read() }
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn read_value(_: &siginfo_t) -> Option<i32> {
    None
}

/// Whether the registry would handle `signum`; numbers that are no signal the kernel refuses.
pub(crate) fn can_handle(signum: i32) -> bool {
    signum > 0 && !signal_hook_registry::FORBIDDEN.contains(&signum)
}
