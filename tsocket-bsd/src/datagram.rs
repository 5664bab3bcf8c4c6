//! [`datagram`], UDP and unix datagram sockets.

mod bsd;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::net::{self, SocketType};
use tevent::{Context, FdError};
use tsocket::{Address, Datagram};

use crate::options::{SocketOptions, SocketUse};
use crate::unix_path::{self, BoundPath};
use crate::{address, existing, socket};

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
    socket: SocketOptions,
}

impl DatagramOptions {
    /// Connects the socket: sends go to `remote` unless they say otherwise, and only what `remote`
    /// sends is received.
    pub fn remote(mut self, remote: Address) -> Self {
        self.remote = Some(remote);
        self
    }

    /// What the system is asked to do with the socket.
    pub fn socket(mut self, options: SocketOptions) -> Self {
        self.socket = options;
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
/// An IPv6 socket takes IPv6 alone, and two sockets cannot have the same UDP port;
/// [`SocketOptions::v6_only`] and [`SocketOptions::reuse_port`] say otherwise.
///
/// Receiving costs one system call for each datagram, and one wait for each batch of up to 16, which are
/// as many as were there at once lately: three calls for an answer to a datagram that comes alone, little
/// more than two under load. `recvmmsg(2)` and `sendmmsg(2)` are not used: measured beside it, what they
/// save is no more than the noise.
///
/// Sending waits for room in the socket's buffer and in the queue of a unix receiver. Where the kernel
/// cannot tell when there is some (a unix receiver that the socket is not connected with, `ENOBUFS`,
/// `ENOMEM`), it is tried again after a millisecond, until the deadline if there is one. A datagram that
/// is larger than the send buffer (`EMSGSIZE`) is sent once that has grown, as far as the system allows.
///
/// Errors are not sticky: `ECONNREFUSED`, when a connected peer has no socket, is told once, by the
/// next operation.
///
/// # Errors
/// - `EADDRINUSE` if somebody has the address, or a file that is not ours to remove is in the way.
/// - `EADDRNOTAVAIL` if no interface has the address; `EACCES` for a port or a directory that is not
///   open to this user; `ENOENT` for a directory that is missing.
/// - `EINVAL` if the remote is of another family, for kinds other than inet and unix, and for options
///   that [`SocketOptions::check`] refuses.
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
    let at = options.remote.as_ref().unwrap_or(local);
    let is_bound = match &options.remote {
        Some(remote) => address::has_to_be_bound(local, remote)?,
        None => true,
    };
    let fd = socket::new(address::family(at)?, SocketType::DGRAM)?;
    options.socket.apply(fd.as_fd(), SocketUse::Datagram, at)?;
    let path = if is_bound { bind(&fd, local)? } else { None };
    if let Some(remote) = &options.remote {
        net::connect(&fd, &address::to_system(remote)?)?;
    }
    Ok(bsd::new(ctx, fd, path)?)
}

/// Makes a datagram endpoint of `ctx` from a UDP or unix datagram socket, connected or not, which becomes
/// non-blocking and closed on exec.
///
/// Nothing else about it changes: options that were set stay set, and a socket file that it is bound to
/// stays when it is closed. Non-blocking is what all descriptors for the same socket then are, those in
/// other processes too.
///
/// # Errors
/// The descriptor comes back with
/// - `ENOTSOCK` if it is no socket; `EAFNOSUPPORT` if it is of another family than IPv4, IPv6 and unix;
///   `EPROTOTYPE` if it is no datagram socket.
/// - `EBADF` and whatever else the system says of the descriptor.
///
/// # Examples
/// ```
/// use std::os::unix::net::UnixDatagram;
///
/// let ctx = tevent::Context::new()?;
/// let (near, far) = UnixDatagram::pair()?;
/// let datagram = tsocket_bsd::datagram_from_fd(&ctx, near.into())?;
/// far.send(b"from outside")?;
/// let (chunk, _) = ctx.run_until(datagram.recv_from())??;
/// assert_eq!(&*chunk, b"from outside");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
/// `tdgram_bsd_existing_socket()` in `lib/tsocket/tsocket.h`. Differs: the descriptor is checked, made
/// non-blocking, and given back with the error; netlink sockets are refused.
#[doc(alias = "tdgram_bsd_existing_socket")]
pub fn datagram_from_fd(ctx: &Context, fd: OwnedFd) -> Result<Datagram, FdError<OwnedFd>> {
    match existing::check_datagram(&fd).and_then(|()| existing::prepare(&fd)) {
        Ok(()) => bsd::new(ctx, fd, None),
        Err(errno) => Err(FdError {
            error: errno.into(),
            fd,
        }),
    }
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
