//! [`StreamOps`], what an implementation of a stream owes the [`Stream`](crate::Stream) in front.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::OwnedFd;

use tevent::{Context, Readiness};

use crate::{Address, Credentials, errors};

/// What a kind of stream has to provide: attempts that answer at once.
///
/// Requests, buffers, partial progress, exclusivity, sticky errors, deadlines and cancellation exist
/// once, in [`Stream`](crate::Stream), which owns the implementation and calls it. The contract:
///
/// - An attempt never blocks and never calls a [`Stream`](crate::Stream). One that cannot make
///   progress fails with [`WouldBlock`](io::ErrorKind::WouldBlock), and by that promises that the
///   [`Ready`](crate::Ready) handle will be told once another attempt is worth it. Telling too often
///   is harmless, telling too seldom hangs.
/// - At most one read and one write are going on. Buffers handed in are never all empty.
/// - After a write that was taken in part, the next write continues with the rest of the same bytes.
/// - Dropping the implementation closes at once.
///
/// A layered stream owns the [`Transport`](crate::Transport) below it and calls its attempts from
/// its own.
#[doc(alias = "tstream_context_ops")]
pub trait StreamOps: 'static {
    /// Reads what there is into `buffers`, in order, and returns the number of bytes; 0 is the end of
    /// the stream.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has arrived; anything else is an error of the transport and sticky.
    fn try_readv(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;

    /// Writes as much of `buffers` as is taken at once, and returns the number of bytes.
    ///
    /// # Errors
    /// `WouldBlock` if nothing was taken; anything else is an error of the transport and sticky.
    fn try_writev(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize>;

    /// The number of bytes that a read would return without waiting.
    ///
    /// # Errors
    /// Whatever the system says of the descriptor.
    fn pending_bytes(&mut self) -> io::Result<usize>;

    /// Ends the write side; the peer reads what was written before, then the end of the stream.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where a stream has no half-close; `WouldBlock` if something must be flushed first.
    fn try_shutdown(&mut self) -> io::Result<()>;

    /// The address of this end.
    ///
    /// # Errors
    /// Whatever the system says of the descriptor.
    fn local_address(&self) -> io::Result<Address>;

    /// The address of the other end.
    ///
    /// # Errors
    /// `ENOTCONN` when the peer has gone, or whatever the system says of the descriptor.
    fn peer_address(&self) -> io::Result<Address>;

    /// Who the peer is.
    ///
    /// # Errors
    /// `EOPNOTSUPP`, which is the default, where nobody vouches for it; whatever the system says of
    /// the descriptor.
    fn peer_credentials(&self) -> io::Result<Credentials> {
        Err(errors::not_supported())
    }

    /// Takes the descriptor out; nothing but the drop follows.
    ///
    /// Nothing, which is the default, where there is none or it does not carry the bytes as they are.
    fn take_fd(&mut self) -> Option<OwnedFd> {
        None
    }

    /// Moves to `ctx`: whatever watches or is watched belongs to it from now on.
    ///
    /// The [`Ready`](crate::Ready) handle moves by itself, and what it promised to tell need not be told
    /// any more. A layered stream passes it on to its transport.
    ///
    /// # Errors
    /// `EOPNOTSUPP`, which is the default, if it cannot; it then stays where it is.
    fn move_to(&mut self, _ctx: &Context) -> io::Result<()> {
        Err(errors::not_supported())
    }

    /// Is told what the [`Ready`](crate::Ready) handle was told, before any attempt is made, and
    /// returns which attempts are worth it now.
    ///
    /// It is also told `READ` when the front looks for what may have arrived untold: after a failed
    /// write, and before it closes.
    ///
    /// A layered stream passes it on to its transport. One whose reads may unblock its writes adds
    /// the other direction.
    fn told(&mut self, readiness: Readiness) -> Readiness;

    /// Is told that nobody waits for `readiness`, so that it is not reported over and over.
    fn unwanted(&mut self, readiness: Readiness);

    /// Whether a read attempt would be in vain until the [`Ready`](crate::Ready) handle is told; if so,
    /// the implementation has made sure that it will be, as for `WouldBlock`.
    ///
    /// Spares the front the buffers of an attempt whose answer is known.
    fn awaits_read(&mut self) -> bool {
        false
    }

    /// Looks whether the peer has closed its side, without taking anything that a read would give.
    ///
    /// Asked while a [`monitor`](crate::Stream::monitor) is outstanding, before and after
    /// [`told`](Self::told). If [`reads_ahead`](Self::reads_ahead), the front looks by reading ahead, and
    /// asks only when it can take no more. A layered stream passes it on to its transport.
    ///
    /// # Errors
    /// `WouldBlock` if it has not; by that it promises to tell `READ` or `ERROR` when it may have.
    /// `EOPNOTSUPP`, which is the default, if it cannot know but by reading. Anything else is an error
    /// of the transport and sticky.
    fn try_monitor(&mut self) -> io::Result<()> {
        Err(errors::not_supported())
    }

    /// Whether one read with spare room is cheaper than two reads, as for a system call.
    ///
    /// The front then offers its scratch buffer behind the caller's buffers and keeps the surplus.
    fn reads_ahead(&self) -> bool {
        false
    }

    /// The largest write, for a stream whose writes are messages of a limited length.
    ///
    /// The front refuses a larger one with `EMSGSIZE` before any of it is written.
    fn max_write_len(&self) -> usize {
        usize::MAX
    }

    /// Whether bytes of a write that was refused for now are already on their way (a frame's header).
    ///
    /// If that write is given up, the write side is poisoned, as after a partial write.
    fn is_mid_write(&self) -> bool {
        false
    }
}
