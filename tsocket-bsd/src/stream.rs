//! [`BsdStream`], a connected stream socket as [`StreamOps`].

use std::io::{self, IoSlice, IoSliceMut};
use std::mem;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendAncillaryBuffer, Shutdown, sockopt};
use tevent::{Context, FdError, Readiness};
use tsocket::{Address, Credentials, Ready, Stream, StreamOps};

use crate::passing::Passing;
use crate::socket::{self, SEND_FLAGS};
use crate::sys;
use crate::unix_path::BoundPath;
use crate::watched::Watched;

/// What one call takes at most (`IOV_MAX`); the rest goes with the next.
const BUFFER_COUNT_MAX: usize = 1024;

/// How many bytes are read before the others have their turn: one wait per read of the greatest length
/// is lost beside the copying of its bytes, and a peer that sends without end would otherwise be read
/// for as long as the loop lets a chain of completions go on.
const SHARE: usize = 64 * 1024;

/// A connected stream socket.
///
/// Level-triggered: what a call has left in the kernel is told again, so a read that comes back short
/// needs no second call to see that nothing is left, and no end of the stream is missed.
struct BsdStream {
    // Before the descriptor: see `BoundPath`.
    _path: Option<BoundPath>,
    watched: Watched,
    ready: Ready,
    passing: Option<Passing>,
    /// Whether a read may find something: it was told so, and no read has come back short since.
    readable: bool,
    /// How many bytes were read since it was last told.
    taken: usize,
    ended: bool,
    /// Whether an error, or the end of both directions, was told.
    failed: bool,
    /// Whether a write has come back short, and nothing was told since.
    write_awaited: bool,
}

/// Makes a stream of `ctx` from a connected socket; `path` is the file that goes with it.
pub(crate) fn new(
    ctx: &Context,
    fd: OwnedFd,
    path: Option<BoundPath>,
) -> Result<Stream, FdError<OwnedFd>> {
    with_passing(ctx, fd, path, None)
}

/// As [`new`], and with `passing` descriptors travel with its bytes.
pub(crate) fn with_passing(
    ctx: &Context,
    fd: OwnedFd,
    path: Option<BoundPath>,
    passing: Option<Passing>,
) -> Result<Stream, FdError<OwnedFd>> {
    let mut back = None;
    let made = Stream::new(ctx, |ready| match Watched::new(ctx, fd, notifies(&ready)) {
        Ok(watched) => Ok(Box::new(BsdStream {
            _path: path,
            watched,
            ready,
            passing,
            readable: false,
            taken: 0,
            ended: false,
            failed: false,
            write_awaited: false,
        })),
        Err(refused) => {
            back = Some(refused.fd);
            Err(refused.error)
        }
    });
    made.map_err(|error| FdError {
        error,
        fd: back.expect("what fails leaves the descriptor"),
    })
}

/// What runs when the loop tells something.
fn notifies(ready: &Ready) -> impl FnMut(Readiness) + 'static {
    let ready = ready.clone();
    move |told| ready.notify(told)
}

impl StreamOps for BsdStream {
    fn try_readv(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        if !self.readable {
            return self.watched.await_read();
        }
        let buffers = head_mut(buffers);
        let room = match &*buffers {
            [buffer] => buffer.len(),
            buffers => buffers.iter().map(|buffer| buffer.len()).sum(),
        };
        match socket::uninterrupted(|| {
            self.watched.counters.receive();
            self.receive(buffers)
        }) {
            Ok(len) => {
                self.ended = len == 0;
                self.taken = self.taken.saturating_add(len);
                self.readable = len == room && self.taken < SHARE;
                Ok(len)
            }
            Err(Errno::AGAIN) => {
                self.readable = false;
                self.watched.await_read()
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn try_writev(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.write_awaited {
            return Err(Errno::WOULDBLOCK.into());
        }
        let buffers = head(buffers);
        let offered = match buffers {
            [buffer] => buffer.len(),
            buffers => buffers.iter().map(|buffer| buffer.len()).sum(),
        };
        let sent = socket::uninterrupted(|| {
            self.watched.counters.send();
            self.send(buffers)
        });
        match sent {
            Ok(len) if len == offered => Ok(len),
            Ok(_) | Err(Errno::AGAIN) => {
                self.watched.ask_write()?;
                self.write_awaited = true;
                Ok(sent?)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn pending_bytes(&mut self) -> io::Result<usize> {
        let pending = rustix::io::ioctl_fionread(self.watched.fd())?;
        Ok(usize::try_from(pending).expect("a receive buffer fits into memory"))
    }

    fn try_shutdown(&mut self) -> io::Result<()> {
        Ok(net::shutdown(self.watched.fd(), Shutdown::Write)?)
    }

    fn local_address(&self) -> io::Result<Address> {
        self.watched.local_address()
    }

    fn peer_address(&self) -> io::Result<Address> {
        self.watched.peer_address()
    }

    fn peer_credentials(&self) -> io::Result<Credentials> {
        // Of other families the system says nothing, or that nobody is the peer.
        if !self.local_address()?.is_unix() {
            return Err(Errno::OPNOTSUPP.into());
        }
        sys::peer_credentials(self.watched.fd())
    }

    fn take_fd(&mut self) -> Option<OwnedFd> {
        self.watched.take()
    }

    fn move_to(&mut self, ctx: &Context) -> io::Result<()> {
        self.watched.move_to(ctx, notifies(&self.ready));
        self.readable = false;
        self.write_awaited = false;
        Ok(())
    }

    fn told(&mut self, readiness: Readiness) -> Readiness {
        self.failed |= readiness.intersects(Readiness::ERROR);
        if readiness.intersects(Readiness::READ | Readiness::ERROR) {
            self.readable = true;
            self.taken = 0;
        }
        if readiness.intersects(Readiness::WRITE | Readiness::ERROR)
            && !mem::take(&mut self.write_awaited)
        {
            // The write that waited is done: until here, the next one could have waited in turn.
            self.watched.forget_write();
        }
        readiness
    }

    fn unwanted(&mut self, readiness: Readiness) {
        if readiness.intersects(Readiness::READ) {
            self.watched.forget_read();
        }
    }

    fn try_monitor(&mut self) -> io::Result<()> {
        if self.failed {
            sockopt::socket_error(self.watched.fd())??;
        }
        if self.failed || self.ended {
            return Ok(());
        }
        if self.passing.is_some() {
            // Nothing takes what has arrived out of the way.
            return Err(Errno::OPNOTSUPP.into());
        }
        self.watched.ask_error()?;
        Err(Errno::WOULDBLOCK.into())
    }

    fn awaits_read(&mut self) -> bool {
        !self.readable && !self.ended && self.watched.ask_read().is_ok()
    }

    fn reads_ahead(&self) -> bool {
        // Descriptors that come with bytes belong to whoever reads those.
        self.passing.is_none()
    }

    fn is_mid_write(&self) -> bool {
        self.passing.as_ref().is_some_and(Passing::has_outgoing)
    }
}

impl BsdStream {
    fn receive(&self, buffers: &mut [IoSliceMut<'_>]) -> rustix::io::Result<usize> {
        let fd = self.watched.fd();
        match (&self.passing, buffers) {
            (Some(passing), buffers) => passing.receive(fd, buffers),
            // The common case, and the kernel's shortest way.
            (None, [buffer]) => {
                net::recv(fd, &mut **buffer, RecvFlags::empty()).map(|(len, _)| len)
            }
            (None, buffers) => rustix::io::readv(fd, buffers),
        }
    }

    fn send(&self, buffers: &[IoSlice<'_>]) -> rustix::io::Result<usize> {
        let fd = self.watched.fd();
        match (&self.passing, buffers) {
            (Some(passing), buffers) => passing.send(fd, buffers),
            (None, [buffer]) => net::send(fd, buffer, SEND_FLAGS),
            (None, buffers) => {
                let mut nothing = SendAncillaryBuffer::default();
                net::sendmsg(fd, buffers, &mut nothing, SEND_FLAGS)
            }
        }
    }
}

/// What one call can take, from the first buffer with room on: a read into none would look like the
/// end of the stream.
fn head_mut<'a, 'b>(buffers: &'a mut [IoSliceMut<'b>]) -> &'a mut [IoSliceMut<'b>] {
    if buffers.len() == 1 {
        return buffers;
    }
    let first = buffers
        .iter()
        .position(|buffer| !buffer.is_empty())
        .unwrap_or(0);
    let last = buffers.len().min(first + BUFFER_COUNT_MAX);
    &mut buffers[first..last]
}

/// What one call can take, from the first buffer with bytes on.
fn head<'a, 'b>(buffers: &'a [IoSlice<'b>]) -> &'a [IoSlice<'b>] {
    if buffers.len() == 1 {
        return buffers;
    }
    let first = buffers
        .iter()
        .position(|buffer| !buffer.is_empty())
        .unwrap_or(0);
    let last = buffers.len().min(first + BUFFER_COUNT_MAX);
    &buffers[first..last]
}
