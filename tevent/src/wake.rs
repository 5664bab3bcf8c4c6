//! [`Wake`], what ends the wait of a context from another thread or from a signal.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

/// A descriptor that becomes readable, behind a flag that makes one write serve any number of calls.
#[derive(Debug)]
pub(crate) struct Wake {
    // Invariant: set before the write and cleared before the work is looked for, so that work added
    // after the look always finds it clear and writes again.
    pending: AtomicBool,
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
            pending: AtomicBool::new(false),
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
            pending: AtomicBool::new(false),
            reader,
            writer: Some(writer),
        })
    }

    /// Ends the present wait of the context, or its next one. Safe in a signal handler.
    pub(crate) fn wake(&self) {
        if self.pending.swap(true, Ordering::AcqRel) {
            return;
        }
        let writer = self.writer.as_ref().unwrap_or(&self.reader);
        // A full pipe or counter is as readable as one can be; a signal may interrupt the write.
        while rustix::io::write(writer, &1_u64.to_ne_bytes()) == Err(Errno::INTR) {}
    }

    /// Whether somebody has called since the last [`clear`](Self::clear).
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Takes the wake-up; what it was about is looked for after this, never before.
    pub(crate) fn clear(&self) {
        let mut count = [0; 8];
        while rustix::io::read(&self.reader, &mut count) == Err(Errno::INTR) {}
        self.pending.swap(false, Ordering::AcqRel);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
