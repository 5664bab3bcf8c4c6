//! [`BsdStream`], a connected stream socket as [`StreamOps`].

use std::io::{self, IoSlice, IoSliceMut};
use std::mem;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendAncillaryBuffer, Shutdown};
use tevent::{Context, FdError, Readiness};
use tsocket::{Address, Credentials, Stream, StreamOps};

use crate::socket::{self, SEND_FLAGS};
use crate::sys;
use crate::unix_path::BoundPath;
use crate::watched::Watched;

/// What one call takes at most (`IOV_MAX`); the rest goes with the next.
const BUFFER_COUNT_MAX: usize = 1024;

/// A connected stream socket.
///
/// Level-triggered: what a call has left in the kernel is told again, so a read that comes back short
/// needs no second call to see that nothing is left, and no end of the stream is missed.
struct BsdStream {
    // Before the descriptor: see `BoundPath`.
    _path: Option<BoundPath>,
    watched: Watched,
    /// Whether a read may find something: it was told so, and no read has come back short since.
    readable: bool,
    ended: bool,
    /// Whether a write has come back short, and nothing was told since.
    write_awaited: bool,
}

/// Makes a stream of `ctx` from a connected socket; `path` is the file that goes with it.
pub(crate) fn new(
    ctx: &Context,
    fd: OwnedFd,
    path: Option<BoundPath>,
) -> Result<Stream, FdError<OwnedFd>> {
    let mut back = None;
    let made = Stream::new(ctx, |ready| {
        match Watched::new(ctx, fd, move |told| ready.notify(told)) {
            Ok(watched) => Ok(Box::new(BsdStream {
                _path: path,
                watched,
                readable: false,
                ended: false,
                write_awaited: false,
            })),
            Err(refused) => {
                back = Some(refused.fd);
                Err(refused.error)
            }
        }
    });
    made.map_err(|error| FdError {
        error,
        fd: back.expect("what fails leaves the descriptor"),
    })
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
            receive(&self.watched, buffers)
        }) {
            Ok(len) => {
                self.ended = len == 0;
                self.readable = len == room;
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
            send(&self.watched, buffers)
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

    fn told(&mut self, readiness: Readiness) -> Readiness {
        if readiness.intersects(Readiness::READ | Readiness::ERROR) {
            self.readable = true;
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

    fn awaits_read(&mut self) -> bool {
        !self.readable && !self.ended && self.watched.ask_read().is_ok()
    }

    fn reads_ahead(&self) -> bool {
        true
    }
}

fn receive(watched: &Watched, buffers: &mut [IoSliceMut<'_>]) -> rustix::io::Result<usize> {
    match buffers {
        // The common case, and the kernel's shortest way.
        [buffer] => net::recv(watched.fd(), &mut **buffer, RecvFlags::empty()).map(|(len, _)| len),
        buffers => rustix::io::readv(watched.fd(), buffers),
    }
}

fn send(watched: &Watched, buffers: &[IoSlice<'_>]) -> rustix::io::Result<usize> {
    match buffers {
        [buffer] => net::send(watched.fd(), buffer, SEND_FLAGS),
        buffers => {
            let mut nothing = SendAncillaryBuffer::default();
            net::sendmsg(watched.fd(), buffers, &mut nothing, SEND_FLAGS)
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
