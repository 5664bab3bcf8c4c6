//! [`FdPassing`], descriptors that travel with the bytes of a unix stream.

use std::cell::RefCell;
use std::fmt;
use std::io::{IoSlice, IoSliceMut};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::io::{self, Errno};
use rustix::net::{
    self, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage,
};
use tevent::{Context, FdError, Request, WeakContext};
use tsocket::{Failed, Stream, WriteBuffers};

use crate::socket::SEND_FLAGS;
use crate::{existing, stream};

/// The most descriptors that travel with one write, and that wait to be taken.
///
/// Enough for what services hand to each other, and far from the 1,024 that a process may usually have
/// open: what a peer sends is open here before anybody has looked at it.
pub const FDS_MAX: usize = 64;

/// A unix stream whose bytes descriptors can travel with.
///
/// A descriptor arrives with the first byte of the write that it was sent with, so a protocol says in
/// its bytes what came with them, and [`take_fds`](Self::take_fds) follows the read. Received ones are
/// closed on exec from birth. Nothing is received ahead; more than [`FDS_MAX`] with one read, or waiting
/// to be taken, end the read with `EMSGSIZE`, which is an error of the connection, and close what came
/// with it. A [`monitor`](Stream::monitor) learns of the peer's end when it is read.
///
/// # Examples
/// ```
/// use std::os::unix::net::UnixStream;
/// use tsocket_bsd::FdPassing;
///
/// let ctx = tevent::Context::new()?;
/// let (near, far) = UnixStream::pair()?;
/// let (near, far) = (FdPassing::new(&ctx, near.into())?, FdPassing::new(&ctx, far.into())?);
/// let file = std::fs::File::open("/dev/null")?;
/// let sent = near.writev(&b"a file"[..], vec![file.into()]);
/// assert_eq!(ctx.run_until(far.stream().readv(vec![0; 6]))??, b"a file");
/// assert_eq!(far.take_fds().len(), 1);
/// # drop(sent);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
/// `SCM_RIGHTS` in `unix(7)`; C tsocket has none.
#[doc(alias = "SCM_RIGHTS")]
pub struct FdPassing {
    ctx: WeakContext,
    stream: Stream,
    fds: Rc<Fds>,
}

/// The descriptors of a stream that are on their way.
#[derive(Default)]
struct Fds {
    // Go with the next byte that is written.
    outgoing: RefCell<Vec<OwnedFd>>,
    incoming: RefCell<Vec<OwnedFd>>,
}

impl FdPassing {
    /// Makes one of `ctx` from a connected unix stream socket, such as
    /// [`into_parts`](Stream::into_parts) gives.
    ///
    /// Descriptors that came with bytes which were received before are gone.
    ///
    /// # Errors
    /// As [`stream_from_fd`](crate::stream_from_fd); also `EAFNOSUPPORT` for a socket that is no unix
    /// socket.
    pub fn new(ctx: &Context, fd: OwnedFd) -> Result<Self, FdError<OwnedFd>> {
        let fd = existing::adopt(fd, &[net::AddressFamily::UNIX])?;
        let fds = Rc::<Fds>::default();
        let passing = Passing { fds: fds.clone() };
        Ok(Self {
            ctx: ctx.downgrade(),
            stream: stream::with_passing(ctx, fd, None, Some(passing))?,
            fds,
        })
    }

    /// The stream, for everything else.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// As [`Stream::writev`]; `fds` go with the first byte, and are closed here then.
    ///
    /// # Cancellation
    /// A write that is given up while it waits ends the write side, also before its first byte:
    /// descriptors never go with the bytes of another write.
    ///
    /// # Errors
    /// With the buffers, as [`Stream::writev`]; `EMSGSIZE` for more than [`FDS_MAX`];
    /// `ETOOMANYREFS` if too many of this user are on their way. The descriptors are closed.
    #[track_caller]
    pub fn writev<B: WriteBuffers>(&self, buffers: B, fds: Vec<OwnedFd>) -> Request<B, Failed<B>> {
        if fds.len() > FDS_MAX {
            let refused = Failed {
                error: Errno::MSGSIZE.into(),
                buffers,
                transferred: 0,
            };
            return Request::finished(&self.ctx, "writev", Err(refused));
        }
        if !self.fds.outgoing.borrow().is_empty() {
            // The write that they belong to is in the way, and this one is refused for that.
            return self.stream.writev(buffers);
        }
        self.fds.outgoing.replace(fds);
        let request = self.stream.writev(buffers);
        if request.is_finished() {
            // Gone by now, unless the write was refused.
            let refused = self.fds.outgoing.take();
            drop(refused);
        }
        request
    }

    /// Takes the descriptors that came with what was read so far, in the order in which they were sent.
    #[must_use = "descriptors that are dropped are closed"]
    pub fn take_fds(&self) -> Vec<OwnedFd> {
        self.fds.incoming.take()
    }
}

impl fmt::Debug for FdPassing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FdPassing")
            .field("stream", &self.stream)
            .field("outgoing", &self.fds.outgoing.borrow().len())
            .field("incoming", &self.fds.incoming.borrow().len())
            .finish_non_exhaustive()
    }
}

/// What the implementation of the stream has of it.
pub(crate) struct Passing {
    fds: Rc<Fds>,
}

impl Passing {
    pub(crate) fn has_outgoing(&self) -> bool {
        !self.fds.outgoing.borrow().is_empty()
    }

    pub(crate) fn send(
        &self,
        socket: BorrowedFd<'_>,
        buffers: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let mut outgoing = self.fds.outgoing.borrow_mut();
        let sent = {
            let lent: Vec<BorrowedFd<'_>> = outgoing.iter().map(|fd| fd.as_fd()).collect();
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !lent.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&lent)) {
                return Err(Errno::MSGSIZE);
            }
            net::sendmsg(socket, buffers, &mut control, SEND_FLAGS)?
        };
        let gone = mem::take(&mut *outgoing);
        drop(gone);
        Ok(sent)
    }

    pub(crate) fn receive(
        &self,
        socket: BorrowedFd<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = net::recvmsg(socket, buffers, &mut control, RECEIVE_FLAGS)?;
        let mut came = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                came.extend(fds);
            }
        }
        #[cfg(target_vendor = "apple")]
        came.iter().try_for_each(io::ioctl_fioclex)?;
        let mut incoming = self.fds.incoming.borrow_mut();
        let is_too_much = incoming.len() + came.len() > FDS_MAX;
        if is_too_much || received.flags.contains(ReturnFlags::CTRUNC) {
            // Dropped, and so closed.
            return Err(Errno::MSGSIZE);
        }
        incoming.append(&mut came);
        Ok(received.bytes)
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // Nothing will be written any more.
        let left = self.fds.outgoing.take();
        drop(left);
    }
}

#[cfg(not(target_vendor = "apple"))]
const RECEIVE_FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(target_vendor = "apple")]
const RECEIVE_FLAGS: RecvFlags = RecvFlags::empty();
