//! [`datagram`], UDP and unix datagram sockets.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SocketAddrAny, SocketType, sockopt};
use tevent::{Context, Readiness, Timer};
use tsocket::{Address, Datagram, DatagramOps, Received};

use crate::address;
use crate::socket::{self, SEND_FLAGS};
use crate::unix_path::{self, BoundPath};
use crate::watched::Watched;

/// How long a send waits before it is tried again where the kernel cannot tell when.
///
/// Short beside the time in which a receiver empties its queue, long beside a system call: a receiver
/// that is stuck costs a thousand calls per second at most.
const RETRY_DELAY: Duration = Duration::from_millis(1);

/// What a datagram socket is made with; the default is not connected.
///
/// # Examples
/// ```
/// use tsocket::Address;
/// use tsocket_bsd::DatagramOptions;
/// let to_the_log = DatagramOptions::default().remote(Address::unix("/dev/log")?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct DatagramOptions {
    remote: Option<Address>,
}

impl DatagramOptions {
    /// Connects the socket: sends go to `remote` unless they say otherwise, and only what `remote`
    /// sends is received.
    pub fn remote(mut self, remote: Address) -> Self {
        self.remote = Some(remote);
        self
    }
}

/// Makes a UDP or unix datagram socket on `local`.
///
/// Port 0 is resolved by the system, the unnamed unix address stays without a name: such a socket can
/// send but gets no answers. With a remote, `local` may be any address of any family.
///
/// A socket file is for its owner alone (mode 0600). If a file is in the way, it is replaced when it
/// is a socket of the same user that nobody has bound. The file is removed with the socket, unless
/// another has taken its place.
///
/// An IPv6 socket takes IPv6 alone. Two sockets cannot have the same UDP port.
///
/// Errors are not sticky: `ECONNREFUSED`, when a connected peer has no socket, is told once, by the
/// next operation.
///
/// # Errors
/// - `EADDRINUSE` if somebody has the address, or a file that is not ours to remove is in the way.
/// - `EADDRNOTAVAIL` if no interface has the address; `EACCES` for a port or a directory that is not
///   open to this user; `ENOENT` for a directory that is missing.
/// - `EINVAL` if the remote is of another family, and for kinds other than inet and unix.
/// - What connecting says of the remote: `ECONNREFUSED` or `ENOENT` for a unix socket that is not
///   there, `EACCES` for one that is not open to this user, `ENETUNREACH`.
/// - `EMFILE`, `ENFILE` when no descriptor is left; `EAFNOSUPPORT` on a machine without IPv6.
///
/// # Examples
/// ```
/// use tsocket::{Address, Family};
/// use tsocket_bsd::{DatagramOptions, datagram};
/// let ctx = tevent::Context::new()?;
/// let any_port = Address::from_hostport(Family::Ip, Some("127.0.0.1"), 0)?;
/// let server = datagram(&ctx, &any_port, &DatagramOptions::default())?;
/// let connected = DatagramOptions::default().remote(server.local_address()?);
/// let client = datagram(&ctx, &any_port, &connected)?;
///
/// ctx.run_until(client.send_to(b"ping".to_vec(), None))?.map_err(std::io::Error::from)?;
/// let (chunk, from) = ctx.run_until(server.recv_from())??;
/// assert_eq!((&*chunk, from), (&b"ping"[..], client.local_address()?));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
/// `tdgram_inet_udp_socket()` and `tdgram_unix_socket()` in `lib/tsocket/tsocket.h`; `udp(7)`,
/// `unix(7)`. Differs: a socket without a remote is always bound, abstract names are bound,
/// `SO_REUSEADDR` is not set because it would let two sockets have one UDP port, socket files are
/// looked after.
#[doc(alias = "tdgram_inet_udp_socket")]
#[doc(alias = "tdgram_unix_socket")]
pub fn datagram(ctx: &Context, local: &Address, options: &DatagramOptions) -> io::Result<Datagram> {
    let Some(remote) = &options.remote else {
        let fd = open(address::family(local)?)?;
        let path = bind(&fd, local)?;
        return new(ctx, fd, path);
    };
    let fd = open(address::family(remote)?)?;
    let path = if address::has_to_be_bound(local, remote)? {
        bind(&fd, local)?
    } else {
        None
    };
    net::connect(&fd, &address::to_system(remote)?)?;
    new(ctx, fd, path)
}

fn open(family: AddressFamily) -> io::Result<OwnedFd> {
    let fd = socket::new(family, SocketType::DGRAM)?;
    if family == AddressFamily::INET6 {
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    Ok(fd)
}

fn bind(fd: &OwnedFd, local: &Address) -> io::Result<Option<BoundPath>> {
    if *local == Address::unix_unnamed() {
        return Ok(None);
    }
    if local.is_unix() {
        // Bound is all that a datagram socket has to be.
        return unix_path::bind(fd.as_fd(), local, SocketType::DGRAM, || Ok(()));
    }
    net::bind(fd, &address::to_system(local)?)?;
    Ok(None)
}

/// A datagram socket.
struct BsdDatagram {
    // Before the descriptor: see `BoundPath`.
    _path: Option<BoundPath>,
    watched: Watched,
    retry: Timer,
    /// Whether a receive may find something: it was told so, and none has found nothing since.
    readable: bool,
    room: Room,
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

fn new(ctx: &Context, fd: OwnedFd, path: Option<BoundPath>) -> io::Result<Datagram> {
    Datagram::new(ctx, |ready| {
        let retry = {
            let ready = ready.clone();
            Timer::new(ctx, move || ready.notify(Readiness::WRITE))
        };
        let watched = Watched::new(ctx, fd, move |told| ready.notify(told))?;
        Ok(Box::new(BsdDatagram {
            _path: path,
            watched,
            retry,
            readable: false,
            room: Room::Likely,
        }))
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
            self.watched.forget_write();
            self.retry.arm_after(RETRY_DELAY);
        } else {
            self.watched.ask_write()?;
        }
        self.room = Room::Awaited;
        Err(Errno::WOULDBLOCK.into())
    }
}

impl DatagramOps for BsdDatagram {
    fn try_recv_from(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        if !self.readable {
            return self.watched.await_read();
        }
        let room = buffer.len();
        match socket::uninterrupted(|| {
            self.watched.counters.receive();
            receive(&self.watched, buffer)
        }) {
            Ok((full_len, from)) => Ok(Received {
                len: full_len.min(room),
                full_len,
                from: address::from_system(from)?,
            }),
            Err(Errno::AGAIN) => {
                self.readable = false;
                self.watched.await_read()
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn try_send_to(&mut self, bytes: &[u8], to: Option<&Address>) -> io::Result<()> {
        if self.room == Room::Awaited {
            return Err(Errno::WOULDBLOCK.into());
        }
        let to = to.map(address::to_system).transpose()?;
        let sent = socket::uninterrupted(|| {
            self.watched.counters.send();
            match &to {
                None => net::send(self.watched.fd(), bytes, SEND_FLAGS),
                Some(to) => net::sendto(self.watched.fd(), bytes, SEND_FLAGS, to),
            }
        });
        if sent == Err(Errno::AGAIN) {
            return self.await_room();
        }
        self.room = Room::Likely;
        sent?;
        Ok(())
    }

    fn local_address(&self) -> io::Result<Address> {
        self.watched.local_address()
    }

    fn peer_address(&self) -> io::Result<Address> {
        self.watched.peer_address()
    }

    fn told(&mut self, readiness: Readiness) -> Readiness {
        if readiness.intersects(Readiness::READ | Readiness::ERROR) {
            self.readable = true;
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
