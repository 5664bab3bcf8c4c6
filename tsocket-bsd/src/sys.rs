//! All that is unsafe in this crate: who a peer is, and descriptors that come as numbers.
#![expect(
    unsafe_code,
    reason = "no crate below asks so that a process out of sight, with the number 0, is sound; and \
              an announced descriptor is a number"
)]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use tsocket::Credentials;

/// Who the peer of the unix socket `fd` is.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<Credentials> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut len = libc::socklen_t::try_from(size_of::<libc::ucred>())
        .expect("a structure of twelve bytes has a length");
    let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
    let value = (&raw mut peer).cast();
    // SAFETY: the kernel writes at most `len` bytes to `value`, which are all those of `peer`, and any
    // numbers are a `ucred`.
    let status = unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, value, &raw mut len) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Credentials {
        uid: peer.uid,
        gid: peer.gid,
        pid: u32::try_from(peer.pid).ok().filter(|pid| *pid != 0),
    })
}

/// Who the peer of the unix socket `fd` is; these systems do not say which process.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<Credentials> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: the function writes one number to each of the two, and any number is one.
    let status = unsafe { libc::getpeereid(fd.as_raw_fd(), &raw mut uid, &raw mut gid) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Credentials {
        uid,
        gid,
        pid: None,
    })
}

/// Takes the open descriptor `fd`, which nobody else in the process owns, and has it closed on exec.
///
/// # Errors
/// `EBADF` if it is not open.
pub(crate) fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers, and touches nothing but a flag of the descriptor, if it is open.
    let status = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, as the call above has shown, and whoever has passed it to the process says
    // that it is meant for whoever reads the announcement, which our only caller does once.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
