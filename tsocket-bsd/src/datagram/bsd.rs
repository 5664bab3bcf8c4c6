//! [`BsdDatagram`], a datagram socket as [`DatagramOps`].

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SocketAddrAny, sockopt};
use tevent::{Context, FdError, Readiness, Timer};
use tsocket::{Address, Datagram, DatagramOps, Received};

use crate::address;
use crate::socket::{self, SEND_FLAGS};
use crate::unix_path::BoundPath;
use crate::watched::Watched;

/// How long an operation waits before it is tried again where the kernel cannot tell when.
///
/// Short beside the time in which a receiver empties its queue, long beside a system call: a receiver
/// that is stuck costs a thousand calls per second at most.
const RETRY_DELAY: Duration = Duration::from_millis(1);

/// How many datagrams are received for one look at the kernel's set, at most: waiting then is a small
/// part of the work, and a flood leaves room for others.
const BATCH_MAX: u32 = 16;

/// How many datagrams have to come in filled batches before the next may be larger: if no more have
/// come, that costs a call that finds nothing.
const FILLED_TO_GROW: u32 = 8;

/// A datagram socket.
struct BsdDatagram {
    // Before the descriptor: see `BoundPath`.
    _path: Option<BoundPath>,
    watched: Watched,
    retry: Timer,
    /// What `retry` is for.
    retried: Rc<Cell<Readiness>>,
    batch: Batch,
    room: Room,
}

/// How many receives are worth it without another look at the kernel's set.
///
/// What is left then is told again, so receiving until nothing is left would only cost a call more for
/// each datagram that comes alone. Batches are about as large as what was there lately.
struct Batch {
    left: u32,
    taken: u32,
    // Invariant: 1 to `BATCH_MAX`.
    size: u32,
    // Datagrams of the batches that were filled since the size was last another.
    filled: u32,
}

impl Batch {
    fn new() -> Self {
        Self {
            left: 0,
            taken: 0,
            size: 1,
            filled: 0,
        }
    }

    fn begin(&mut self) {
        self.left = self.size;
        self.taken = 0;
    }

    fn received(&mut self) {
        self.taken += 1;
        self.left -= 1;
        if self.left == 0 {
            self.filled += self.taken;
            if self.filled >= FILLED_TO_GROW {
                self.size = (self.size * 2).min(BATCH_MAX);
                self.filled = 0;
            }
        }
    }

    fn drained(&mut self) {
        self.size = self.taken.max(1);
        self.filled = 0;
        self.left = 0;
    }
}

/// What is known of the room for the next datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Nothing speaks against it.
    Likely,
    /// There was none, and nothing was told since.
    Awaited,
    /// There was none, and it was told that there is.
    Told,
}

/// Makes a datagram endpoint of `ctx`; `path` is the file that goes with it.
pub(super) fn new(
    ctx: &Context,
    fd: OwnedFd,
    path: Option<BoundPath>,
) -> Result<Datagram, FdError<OwnedFd>> {
    let mut refused = None;
    let made = Datagram::new(ctx, |ready| {
        let retried = Rc::new(Cell::new(Readiness::NONE));
        let retry = {
            let (ready, retried) = (ready.clone(), Rc::clone(&retried));
            Timer::new(ctx, move || ready.notify(retried.replace(Readiness::NONE)))
        };
        match Watched::new(ctx, fd, move |told| ready.notify(told)) {
            Ok(watched) => Ok(Box::new(BsdDatagram {
                _path: path,
                watched,
                retry,
                retried,
                batch: Batch::new(),
                room: Room::Likely,
            })),
            Err(FdError { error, fd }) => {
                refused = Some(fd);
                Err(error)
            }
        }
    });
    made.map_err(|error| FdError {
        error,
        fd: refused.expect("nothing else can fail"),
    })
}

impl BsdDatagram {
    /// Waits for room.
    ///
    /// The kernel tells of room in the sender's buffer. It does not tell of room in the queue of a
    /// unix receiver that the sender is not connected with: there it says "room" for ever, and only
    /// time helps.
    fn await_room<T>(&mut self) -> io::Result<T> {
        if self.room == Room::Told {
            return self.await_memory(Readiness::WRITE);
        }
        self.watched.ask_write()?;
        self.room = Room::Awaited;
        Err(Errno::WOULDBLOCK.into())
    }

    /// Waits until the system may have memory again, which it does not tell.
    fn await_memory<T>(&mut self, direction: Readiness) -> io::Result<T> {
        if direction == Readiness::WRITE {
            self.watched.forget_write();
            self.room = Room::Awaited;
        } else {
            self.watched.forget_read();
            self.batch.left = 0;
        }
        self.retried.set(self.retried.get() | direction);
        self.retry.arm_after(RETRY_DELAY);
        Err(Errno::WOULDBLOCK.into())
    }

    fn send(&self, bytes: &[u8], to: Option<&SocketAddrAny>) -> rustix::io::Result<usize> {
        socket::uninterrupted(|| {
            self.watched.counters.send();
            match to {
                None => net::send(self.watched.fd(), bytes, SEND_FLAGS),
                Some(to) => net::sendto(self.watched.fd(), bytes, SEND_FLAGS, to),
            }
        })
    }

    /// Has the send buffer of a unix socket grow until a datagram of `len` fits; that of UDP is not what
    /// limits it.
    fn make_room_for(&self, len: usize) -> bool {
        let fd = self.watched.fd();
        let is_unix = self.local_address().is_ok_and(|local| local.is_unix());
        let is_small = sockopt::socket_send_buffer_size(fd).is_ok_and(|size| size / 2 < len);
        is_unix && is_small && sockopt::set_socket_send_buffer_size(fd, len).is_ok()
    }
}

impl DatagramOps for BsdDatagram {
    fn try_recv_from(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        if self.batch.left == 0 {
            if self.retried.get().intersects(Readiness::READ) {
                return Err(Errno::WOULDBLOCK.into());
            }
            return self.watched.await_read();
        }
        let room = buffer.len();
        match socket::uninterrupted(|| {
            self.watched.counters.receive();
            receive(&self.watched, buffer)
        }) {
            Ok((full_len, from)) => {
                self.batch.received();
                Ok(Received {
                    len: full_len.min(room),
                    full_len,
                    from: address::from_system(from)?,
                })
            }
            Err(Errno::AGAIN) => {
                self.batch.drained();
                self.watched.await_read()
            }
            Err(Errno::NOBUFS | Errno::NOMEM) => self.await_memory(Readiness::READ),
            Err(errno) => {
                // Whatever it is: it is not met again before the kernel has told of it again.
                self.batch.left = 0;
                Err(errno.into())
            }
        }
    }

    fn try_send_to(&mut self, bytes: &[u8], to: Option<&Address>) -> io::Result<()> {
        if self.room == Room::Awaited {
            return Err(Errno::WOULDBLOCK.into());
        }
        let to = to.map(address::to_system).transpose()?;
        let mut sent = self.send(bytes, to.as_ref());
        if sent == Err(Errno::MSGSIZE) && self.make_room_for(bytes.len()) {
            sent = self.send(bytes, to.as_ref());
        }
        match sent {
            Err(Errno::AGAIN) => self.await_room(),
            Err(Errno::NOBUFS | Errno::NOMEM) => self.await_memory(Readiness::WRITE),
            sent => {
                self.room = Room::Likely;
                sent?;
                Ok(())
            }
        }
    }

    fn local_address(&self) -> io::Result<Address> {
        self.watched.local_address()
    }

    fn peer_address(&self) -> io::Result<Address> {
        self.watched.peer_address()
    }

    fn told(&mut self, readiness: Readiness) -> Readiness {
        if readiness.intersects(Readiness::READ | Readiness::ERROR) {
            self.batch.begin();
        }
        if readiness.intersects(Readiness::WRITE | Readiness::ERROR) {
            match self.room {
                Room::Awaited => self.room = Room::Told,
                // The send that waited is done: until here, the next one could have waited in turn.
                Room::Likely | Room::Told => self.watched.forget_write(),
            }
        }
        readiness
    }

    fn unwanted(&mut self, readiness: Readiness) {
        if readiness.intersects(Readiness::READ) {
            self.watched.forget_read();
        }
    }
}

/// One datagram: its whole length, however much of it fits into `buffer`, and its sender.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn receive(
    watched: &Watched,
    buffer: &mut [u8],
) -> rustix::io::Result<(usize, Option<SocketAddrAny>)> {
    let (_, full_len, from) = net::recvfrom(watched.fd(), buffer, RecvFlags::TRUNC)?;
    Ok((full_len, from))
}

/// One datagram: its length, one byte more than `buffer` if it was truncated, and its sender.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn receive(
    watched: &Watched,
    buffer: &mut [u8],
) -> rustix::io::Result<(usize, Option<SocketAddrAny>)> {
    let room = buffer.len();
    let mut nothing = net::RecvAncillaryBuffer::default();
    let parts = &mut [io::IoSliceMut::new(buffer)];
    let message = net::recvmsg(watched.fd(), parts, &mut nothing, RecvFlags::empty())?;
    let truncated = message.flags.contains(net::ReturnFlags::TRUNC);
    Ok((
        if truncated { room + 1 } else { message.bytes },
        message.address,
    ))
}
