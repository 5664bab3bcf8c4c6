//! [`Wake`], what ends the wait of a context from another thread or from a signal.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[cfg(all(test, loom))]
use loom::sync::atomic::{AtomicBool, Ordering};
use std::sync::atomic::AtomicU32;
#[cfg(not(all(test, loom)))]
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use crate::sys;

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
    // The process that these belong to; in a child they are the parent's until they are renewed.
    forks: AtomicU32,
}

impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = ends()?;
        Ok(Self {
            flag: Flag::new(),
            reader,
            writer,
            forks: AtomicU32::new(sys::forks()),
        })
    }

    /// Puts a descriptor of this process in the place of the parent's, under the same number.
    pub(crate) fn renew(&self) -> io::Result<()> {
        let (reader, writer) = ends()?;
        sys::replace(self.reader.as_fd(), reader.as_fd())?;
        if let (Some(old), Some(new)) = (&self.writer, &writer) {
            sys::replace(old.as_fd(), new.as_fd())?;
        }
        self.forks.store(sys::forks(), Ordering::Release);
        // Who has called since the fork did not ring; and the loop is to notice the fork.
        self.flag.raise(|| {});
        self.ring();
        Ok(())
    }

    fn is_inherited(&self) -> bool {
        self.forks.load(Ordering::Acquire) != sys::forks()
    }

    fn ring(&self) {
        let writer = self.writer.as_ref().unwrap_or(&self.reader);
        // A full pipe or counter is as readable as one can be; a signal may interrupt the write.
        while rustix::io::write(writer, &1_u64.to_ne_bytes()) == Err(Errno::INTR) {}
    }

    /// Ends the present wait of the context, or its next one. Safe in a signal handler.
    pub(crate) fn wake(&self) {
        self.flag.raise(|| {
            // What is inherited is the parent's bell; renewing it rings the new one.
            if !self.is_inherited() {
                self.ring();
            }
        });
    }

    /// Whether somebody has called since the last [`clear`](Self::clear).
    pub(crate) fn is_pending(&self) -> bool {
        self.flag.is_raised()
    }

    /// Takes the wake-up; what it was about is looked for after this, never before.
    pub(crate) fn clear(&self) {
        self.flag.lower(|| {
            if !self.is_inherited() {
                let mut count = [0; 8];
                while rustix::io::read(&self.reader, &mut count) == Err(Errno::INTR) {}
            }
        });
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// What is read, and what is written if that is another descriptor.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn ends() -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    use rustix::event::{EventfdFlags, eventfd};
    let both = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    Ok((both, None))
}

/// What is read, and what is written if that is another descriptor.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn ends() -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    let (reader, writer) = rustix::pipe::pipe()?;
    for end in [&reader, &writer] {
        rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(end, true)?;
    }
    Ok((reader, Some(writer)))
}

#[cfg(loom)]
#[cfg(test)]
mod tests;
