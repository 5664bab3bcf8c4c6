//! [`inherited`], the sockets that a service manager has opened for us.

use std::env;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use crate::sys;

/// The first descriptor that is passed: those before it are the standard ones.
const FIRST: RawFd = 3;

/// More than a process can have open by default; whoever claims more is mistaken.
const COUNT_MAX: RawFd = 1024;

/// A descriptor that a service manager has passed.
#[derive(Debug)]
pub struct Inherited {
    /// What it is called in the manager's configuration, if that says.
    pub name: Option<String>,
    /// The descriptor, closed on exec from now on.
    pub fd: OwnedFd,
}

/// Takes the descriptors that a service manager has passed to this process, in their order; none if it
/// was started otherwise.
///
/// They are announced in the environment, `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES`, which is read
/// and not changed: children of this process are not meant by it. The first call takes the
/// descriptors, later ones find none. What they are is for the caller to check, as
/// [`ListenSocket::from_fd`](crate::ListenSocket::from_fd) does.
///
/// Call it early, and let nobody else in the process take what `LISTEN_FDS` announces.
///
/// # Errors
/// - `EINVAL` if the announcement is no such thing: not numbers, or more than 1,024 descriptors.
/// - `EBADF` if a descriptor that was announced is not open. The others are closed.
///
/// # Examples
/// ```
/// use tsocket_bsd::{ListenSocket, inherited};
/// for socket in inherited()? {
///     println!("{:?}", socket.name);
///     let socket = ListenSocket::from_fd(socket.fd)?;
/// #   drop(socket);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
/// `sd_listen_fds(3)`. Differs: the environment stays as it is, and a second call finds nothing.
#[doc(alias = "sd_listen_fds")]
#[doc(alias = "LISTEN_FDS")]
pub fn inherited() -> io::Result<Vec<Inherited>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let count = announced(
        number("LISTEN_PID")?,
        number("LISTEN_FDS")?,
        process::id().into(),
    )?;
    if count == 0 || TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').filter(|_| !names.is_empty());
    // All of them, before the first that is missing ends this: none stays open out of reach.
    let adopted: Vec<io::Result<Inherited>> = (FIRST..FIRST + count)
        .map(|fd| {
            Ok(Inherited {
                name: names.next().map(str::to_owned),
                fd: sys::adopt(fd)?,
            })
        })
        .collect();
    adopted.into_iter().collect()
}

/// The number in an environment variable, if there is one.
fn number(name: &str) -> io::Result<Option<u64>> {
    let Some(text) = env::var_os(name) else {
        return Ok(None);
    };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| Errno::INVAL.into())
}

/// How many descriptors are meant for the process `us`.
fn announced(pid: Option<u64>, count: Option<u64>, us: u64) -> io::Result<RawFd> {
    let (Some(pid), Some(count)) = (pid, count) else {
        return Ok(0);
    };
    if pid != us {
        return Ok(0);
    }
    RawFd::try_from(count)
        .ok()
        .filter(|count| *count <= COUNT_MAX)
        .ok_or_else(|| Errno::INVAL.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_announcement_for_this_process_counts() {
        assert_eq!(announced(Some(7), Some(2), 7).unwrap(), 2);
        assert_eq!(announced(Some(8), Some(2), 7).unwrap(), 0);
        assert_eq!(announced(None, Some(2), 7).unwrap(), 0);
        assert_eq!(announced(Some(7), None, 7).unwrap(), 0);
        assert!(announced(Some(7), Some(1025), 7).is_err());
        assert!(announced(Some(7), Some(u64::MAX), 7).is_err());
    }
}
