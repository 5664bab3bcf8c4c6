//! Sockets that somebody else has made.

use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{self, Errno, FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::net::{self, AddressFamily, SocketType, sockopt};
use tevent::{Context, FdError};
use tsocket::Stream;

use crate::stream;

/// Those that addresses can name.
const FAMILIES: [AddressFamily; 3] = [
    AddressFamily::INET,
    AddressFamily::INET6,
    AddressFamily::UNIX,
];

/// Makes a stream of `ctx` from a connected TCP or unix stream socket, which becomes non-blocking and
/// closed on exec.
///
/// Nothing else about it changes: options that were set stay set, and a socket file that it is bound to
/// stays when it is closed. Non-blocking is what all descriptors for the same socket then are, those in
/// other processes too.
///
/// # Errors
/// The descriptor comes back with
/// - `ENOTSOCK` if it is no socket; `EAFNOSUPPORT` if it is of another family than IPv4, IPv6 and unix;
///   `EPROTOTYPE` if it is no stream socket.
/// - `ENOTCONN` if it is not connected, or was reset since.
/// - `EBADF` and whatever else the system says of the descriptor.
///
/// # Examples
/// ```
/// use std::io::Write as _;
/// use std::os::unix::net::UnixStream;
///
/// let ctx = tevent::Context::new()?;
/// let (near, mut far) = UnixStream::pair()?;
/// let stream = tsocket_bsd::stream_from_fd(&ctx, near.into())?;
/// far.write_all(b"from outside")?;
/// assert_eq!(&*ctx.run_until(stream.read(100))??, b"from outside");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
/// `tstream_bsd_existing_socket()` in `lib/tsocket/tsocket.h`. Differs: the descriptor is checked, made
/// non-blocking, and given back with the error.
#[doc(alias = "tstream_bsd_existing_socket")]
pub fn stream_from_fd(ctx: &Context, fd: OwnedFd) -> Result<Stream, FdError<OwnedFd>> {
    stream::new(ctx, adopt(fd, &FAMILIES)?, None)
}

/// Checks that `fd` is a connected stream socket of one of `families`, and gives it what sockets of our
/// own are born with.
pub(crate) fn adopt(fd: OwnedFd, families: &[AddressFamily]) -> Result<OwnedFd, FdError<OwnedFd>> {
    match check_stream(&fd, families).and_then(|()| prepare(&fd)) {
        Ok(()) => Ok(fd),
        Err(errno) => Err(FdError {
            error: errno.into(),
            fd,
        }),
    }
}

fn check_stream(fd: &OwnedFd, families: &[AddressFamily]) -> io::Result<()> {
    check_kind(fd, families, SocketType::STREAM)?;
    net::getpeername(fd).map(drop)
}

/// Refuses what does not listen for streams of a family that addresses can name.
pub(crate) fn check_listens(fd: &OwnedFd) -> io::Result<()> {
    check_kind(fd, &FAMILIES, SocketType::STREAM)?;
    if is_listening(fd)? {
        Ok(())
    } else {
        Err(Errno::INVAL)
    }
}

#[cfg(not(target_vendor = "apple"))]
fn is_listening(fd: &OwnedFd) -> io::Result<bool> {
    sockopt::socket_acceptconn(fd)
}

/// These systems do not say; accepting does.
#[cfg(target_vendor = "apple")]
fn is_listening(_: &OwnedFd) -> io::Result<bool> {
    Ok(true)
}

/// Refuses what is no datagram socket of a family that addresses can name.
pub(crate) fn check_datagram(fd: &OwnedFd) -> io::Result<()> {
    check_kind(fd, &FAMILIES, SocketType::DGRAM)
}

fn check_kind(fd: &OwnedFd, families: &[AddressFamily], socket_type: SocketType) -> io::Result<()> {
    if !families.contains(&net::getsockname(fd)?.address_family()) {
        return Err(Errno::AFNOSUPPORT);
    }
    if sockopt::socket_type(fd)? != socket_type {
        return Err(Errno::PROTOTYPE);
    }
    Ok(())
}

/// Does what sockets of our own are born with.
pub(crate) fn prepare(fd: &OwnedFd) -> io::Result<()> {
    fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
    fcntl_setfd(fd, fcntl_getfd(fd)? | FdFlags::CLOEXEC)?;
    #[cfg(target_vendor = "apple")]
    sockopt::set_socket_nosigpipe(fd, true)?;
    Ok(())
}
