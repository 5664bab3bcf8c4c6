//! Socket files: private from birth, stale ones replaced, removed by the socket they belong to.

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process;
use std::thread;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketType};
use tsocket::Address;

use crate::{address, socket};

/// How often the lock is tried: others of our kind hold it for some ten microseconds, so this is enough
/// for a crowd of them, and some milliseconds if it cannot be had.
const LOCK_ATTEMPTS: u32 = 10_000;

/// A socket file and the promise to remove it.
///
/// Dropping it removes the file if it still is the one that was made here. Drop it before the socket:
/// while that is open no other file can have the same inode number.
#[derive(Debug)]
pub(crate) struct BoundPath {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// A forked child has a copy of this, and no right to the file.
    process: u32,
}

/// Binds `socket` to a unix address with a name and makes it `live` (listening, if it can).
///
/// The file is for its owner alone from the moment it appears. One that is in the way is removed if it
/// is a socket of the same user on which nobody listens.
///
/// # Errors
/// - `EADDRINUSE` if something else is in the way.
/// - `EINVAL` for the unnamed address.
pub(crate) fn bind(
    socket: BorrowedFd<'_>,
    address: &Address,
    socket_type: SocketType,
    live: impl FnOnce() -> io::Result<()>,
) -> io::Result<Option<BoundPath>> {
    let name = address::to_system(address)?;
    if address.abstract_name().is_ok() {
        net::bind(socket, &name)?;
        live()?;
        return Ok(None);
    }
    let path = address.unix_path()?;
    // Held until the socket is live: before that it would look stale to others of our kind.
    let lock = lock_directory(path);
    make_private_before(socket)?;
    match net::bind(socket, &name) {
        Err(Errno::ADDRINUSE) if lock.is_some() && is_stale(path, address, socket_type) => {
            fs::remove_file(path)?;
            net::bind(socket, &name)?;
        }
        bound => bound?,
    }
    let bound = BoundPath::new(path)?;
    make_private_after(path)?;
    live()?;
    Ok(Some(bound))
}

impl BoundPath {
    fn new(path: &Path) -> io::Result<Self> {
        let file = fs::symlink_metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            device: file.dev(),
            inode: file.ino(),
            process: process::id(),
        })
    }

    fn is_ours(&self, file: &Metadata) -> bool {
        file.dev() == self.device && file.ino() == self.inode && process::id() == self.process
    }
}

impl Drop for BoundPath {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| self.is_ours(&file)) {
            // Whoever could have removed it first may have, and nobody is left to be told.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Keeps others of our kind from binding in the same directory.
///
/// Without it nothing is removed: between the look at a stale file and its removal somebody else could
/// have replaced it, and a socket that is bound and not live yet looks stale itself. Nobody can be kept
/// waiting by somebody who holds the lock for other reasons.
fn lock_directory(path: &Path) -> Option<OwnedFd> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, Mode::empty()).ok()?;
    for _ in 0..LOCK_ATTEMPTS {
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK | Errno::INTR) => thread::yield_now(),
            locked => return locked.ok().map(|()| directory),
        }
    }
    None
}

/// Whether the file at `path` is a socket of our own that nobody listens on.
fn is_stale(path: &Path, address: &Address, socket_type: SocketType) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    let is_our_socket = fs::symlink_metadata(path)
        .is_ok_and(|file| file.file_type().is_socket() && file.uid() == ours);
    is_our_socket && is_refused(address, socket_type).unwrap_or(false)
}

fn is_refused(address: &Address, socket_type: SocketType) -> io::Result<bool> {
    let probe = socket::new(AddressFamily::UNIX, socket_type)?;
    let connected = net::connect(&probe, &address::to_system(address)?);
    Ok(connected == Err(Errno::CONNREFUSED))
}

/// On Linux a socket's own mode becomes its file's, less the umask, which is nobody's to change here:
/// it belongs to the whole process.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn make_private_before(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fchmod(socket, Mode::RUSR | Mode::WUSR)?)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn make_private_after(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn make_private_before(_socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

/// Elsewhere the file gets its mode before the socket is live: nobody can have connected, though a
/// datagram may have been sent.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn make_private_after(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    struct Bound {
        _path: Option<BoundPath>,
        _socket: OwnedFd,
    }

    fn bind_at(path: &Path, socket_type: SocketType) -> io::Result<Bound> {
        let socket = socket::new(AddressFamily::UNIX, socket_type)?;
        let address = Address::unix(path)?;
        let path = bind(socket.as_fd(), &address, socket_type, || {
            if socket_type == SocketType::STREAM {
                net::listen(&socket, 1)?;
            }
            Ok(())
        })?;
        Ok(Bound {
            _path: path,
            _socket: socket,
        })
    }

    #[track_caller]
    fn expect_in_use(path: &Path, socket_type: SocketType) {
        let errno = bind_at(path, socket_type)
            .err()
            .and_then(|err| err.raw_os_error());
        assert_eq!(errno, Some(Errno::ADDRINUSE.raw_os_error()));
    }

    const KINDS: [SocketType; 2] = [SocketType::STREAM, SocketType::DGRAM];

    #[test]
    fn a_file_is_private_and_goes_with_its_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        for kind in KINDS {
            let bound = bind_at(&path, kind).unwrap();
            let file = fs::symlink_metadata(&path).unwrap();
            assert!(file.file_type().is_socket());
            assert_eq!(file.permissions().mode() & 0o7777, 0o600);
            drop(bound);
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_stale_file_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        for (stale, kind) in KINDS.into_iter().flat_map(|a| KINDS.map(|b| (a, b))) {
            match stale {
                SocketType::STREAM => drop(UnixListener::bind(&path).unwrap()),
                _ => drop(UnixDatagram::bind(&path).unwrap()),
            }
            let bound = bind_at(&path, kind).expect("a stale file is no obstacle");
            for kind in KINDS {
                expect_in_use(&path, kind);
            }
            assert!(path.exists(), "the live one stays");
            drop(bound);
        }
    }

    #[test]
    fn what_is_no_socket_of_ours_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "text").unwrap();
        expect_in_use(&path, SocketType::STREAM);
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");

        let target = directory.path().join("stale");
        drop(UnixListener::bind(&target).unwrap());
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        expect_in_use(&link, SocketType::STREAM);
        assert!(target.exists() && link.exists());
    }

    #[test]
    fn a_file_that_took_the_place_of_ours_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let bound = bind_at(&path, SocketType::STREAM).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(bound);
        assert!(path.exists());
    }

    #[test]
    fn nothing_is_removed_while_another_holds_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        let lock = lock_directory(&path).expect("nobody else is here");
        expect_in_use(&path, SocketType::STREAM);
        drop(lock);
        assert!(bind_at(&path, SocketType::STREAM).is_ok());
    }

    #[test]
    fn a_socket_that_does_not_come_alive_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let socket = socket::new(AddressFamily::UNIX, SocketType::STREAM).unwrap();
        let address = Address::unix(&path).unwrap();
        let failed = bind(socket.as_fd(), &address, SocketType::STREAM, || {
            Err(Errno::OPNOTSUPP.into())
        });
        assert!(failed.is_err());
        assert!(!path.exists());
    }

    #[test]
    fn the_unnamed_address_cannot_be_bound_to() {
        let errno = bind_at(Path::new(""), SocketType::STREAM)
            .err()
            .map(|err| err.raw_os_error());
        assert_eq!(errno, Some(Some(Errno::INVAL.raw_os_error())));
    }
}
