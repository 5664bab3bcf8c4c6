//! [`Wake`], what ends the wait of a context from another thread or from a signal.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[cfg(all(test, loom))]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(all(test, loom)))]
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

/// What makes one ring serve any number of calls.
///
/// A caller leaves its work and then [raises](Self::raise) the flag; the loop [lowers](Self::lower) it
/// and then looks for work. Whatever the loop did not see, it will be rung for.
// Invariant: set before the ring and cleared before the work is looked for, so that work added after
// the look always finds it clear and rings again. The swaps are on both sides what makes the work
// of those who did not ring visible.
#[derive(Debug)]
struct Flag(AtomicBool);

impl Flag {
    fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Calls `ring`, unless somebody has since the flag was last lowered.
    fn raise(&self, ring: impl FnOnce()) {
        if !self.0.swap(true, Ordering::AcqRel) {
            ring();
        }
    }

    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Calls `silence`, which ends the ringing so far, and then has the next call ring again.
    fn lower(&self, silence: impl FnOnce()) {
        silence();
        self.0.swap(false, Ordering::AcqRel);
    }
}

/// A descriptor that becomes readable, behind a flag that makes one write serve any number of calls.
#[derive(Debug)]
pub(crate) struct Wake {
    flag: Flag,
    reader: OwnedFd,
    /// Where an eventfd is not to be had, the other end of a pipe.
    writer: Option<OwnedFd>,
}

impl Wake {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let reader = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            flag: Flag::new(),
            reader,
            writer: None,
        })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = rustix::pipe::pipe()?;
        for end in [&reader, &writer] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(end, true)?;
        }
        Ok(Self {
            flag: Flag::new(),
            reader,
            writer: Some(writer),
        })
    }

    /// Ends the present wait of the context, or its next one. Safe in a signal handler.
    pub(crate) fn wake(&self) {
        self.flag.raise(|| {
            let writer = self.writer.as_ref().unwrap_or(&self.reader);
            // A full pipe or counter is as readable as one can be; a signal may interrupt the write.
            while rustix::io::write(writer, &1_u64.to_ne_bytes()) == Err(Errno::INTR) {}
        });
    }

    /// Whether somebody has called since the last [`clear`](Self::clear).
    pub(crate) fn is_pending(&self) -> bool {
        self.flag.is_raised()
    }

    /// Takes the wake-up; what it was about is looked for after this, never before.
    pub(crate) fn clear(&self) {
        self.flag.lower(|| {
            let mut count = [0; 8];
            while rustix::io::read(&self.reader, &mut count) == Err(Errno::INTR) {}
        });
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

#[cfg(loom)]
#[cfg(test)]
mod tests;
