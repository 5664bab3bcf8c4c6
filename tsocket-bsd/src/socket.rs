//! Descriptors as they are born: non-blocking, closed on exec, without `SIGPIPE`.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::{self, Errno};
#[cfg(target_vendor = "apple")]
use rustix::net::sockopt;
use rustix::net::{self, AddressFamily, SendFlags, SocketAddrAny, SocketType};

/// What every send passes, so that a peer that has gone is an error and no signal.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
pub(crate) const SEND_FLAGS: SendFlags = SendFlags::empty();

/// A new socket.
pub(crate) fn new(family: AddressFamily, socket_type: SocketType) -> io::Result<OwnedFd> {
    #[cfg(not(target_vendor = "apple"))]
    return net::socket_with(family, socket_type, BIRTH_FLAGS, None);
    #[cfg(target_vendor = "apple")]
    return prepared(net::socket(family, socket_type, None)?);
}

/// Both ends of a unix stream.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (family, socket_type) = (AddressFamily::UNIX, SocketType::STREAM);
    #[cfg(not(target_vendor = "apple"))]
    return net::socketpair(family, socket_type, BIRTH_FLAGS, None);
    #[cfg(target_vendor = "apple")]
    {
        let flags = net::SocketFlags::empty();
        let (left, right) = net::socketpair(family, socket_type, flags, None)?;
        Ok((prepared(left)?, prepared(right)?))
    }
}

/// One connection that waits on `listener`, with the address of its peer.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    #[cfg(not(target_vendor = "apple"))]
    return net::acceptfrom_with(listener, BIRTH_FLAGS);
    #[cfg(target_vendor = "apple")]
    {
        let (fd, peer) = net::acceptfrom(listener)?;
        Ok((prepared(fd)?, peer))
    }
}

/// Repeats `call` for as long as a signal interrupts it.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

#[cfg(not(target_vendor = "apple"))]
const BIRTH_FLAGS: net::SocketFlags = net::SocketFlags::CLOEXEC.union(net::SocketFlags::NONBLOCK);

/// Does in steps what other systems do at birth.
#[cfg(target_vendor = "apple")]
fn prepared(fd: OwnedFd) -> io::Result<OwnedFd> {
    io::ioctl_fioclex(&fd)?;
    io::ioctl_fionbio(&fd, true)?;
    sockopt::set_socket_nosigpipe(&fd, true)?;
    Ok(fd)
}
