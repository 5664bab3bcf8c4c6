//! The errors of the loop, each named where its errno is chosen.

use std::io;

use rustix::io::Errno;

/// A context was asked to run while it runs: `ELOOP`.
pub(crate) fn nested_run() -> io::Error {
    Errno::LOOP.into()
}

/// Nothing is ready, and the context must not wait: `EAGAIN`.
pub(crate) fn nothing_ready() -> io::Error {
    Errno::AGAIN.into()
}

/// Nothing is left on the context that could finish what is waited for: `EDEADLK`.
pub(crate) fn nothing_left() -> io::Error {
    Errno::DEADLK.into()
}

/// No back end has that name: `EINVAL`, with the name and the known ones in the text.
pub(crate) fn unknown_backend(name: &str, known: &[&str]) -> io::Error {
    let text = format!("unknown back end '{name}', known are: {}", known.join(", "));
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// The back end has no kernel that could watch a descriptor: `EOPNOTSUPP`.
pub(crate) fn watches_nothing() -> io::Error {
    Errno::OPNOTSUPP.into()
}

/// The signal number cannot be handled (`SIGKILL`, or no signal at all): `EINVAL`.
pub(crate) fn unusable_signal() -> io::Error {
    Errno::INVAL.into()
}

/// As many jobs wait for a thread as may: `ENOBUFS`.
pub(crate) fn too_many_jobs() -> io::Error {
    Errno::NOBUFS.into()
}

/// A job on another thread panicked, with `text`.
pub(crate) fn job_panicked(text: &str) -> io::Error {
    io::Error::other(format!("the offloaded job panicked: {text}"))
}

/// The queue would hold more bytes than it may: `ENOBUFS`.
pub(crate) fn queue_is_full() -> io::Error {
    Errno::NOBUFS.into()
}

/// The job is one of the parent, and its thread is not in this process: `ESRCH`.
pub(crate) fn job_not_in_child() -> io::Error {
    Errno::SRCH.into()
}

/// An interval without a period has no ticks: `EINVAL`.
pub(crate) fn no_period() -> io::Error {
    Errno::INVAL.into()
}

/// Somebody waits for the tick already: `EBUSY`.
pub(crate) fn tick_awaited() -> io::Error {
    Errno::BUSY.into()
}

/// Only the first entry of a stopped queue can give its turn back: `EINVAL`.
pub(crate) fn no_turn_to_give_back() -> io::Error {
    Errno::INVAL.into()
}

/// The context is gone, so nothing can be watched on it any more: `ESHUTDOWN`.
pub(crate) fn context_gone() -> io::Error {
    Errno::SHUTDOWN.into()
}

/// Whether the kernel does not watch a descriptor because it is always ready, as a regular file is:
/// the `EPERM` of `epoll_ctl(2)`.
pub(crate) fn is_always_ready(refused: &io::Error) -> bool {
    refused.raw_os_error() == Some(Errno::PERM.raw_os_error())
}
