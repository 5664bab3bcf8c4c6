//! The errors of named pipes, each condition with the errno of the contract.

use std::io;

use rustix::io::Errno;

/// A pipe has no half-close.
pub(crate) fn no_half_close() -> io::Error {
    Errno::OPNOTSUPP.into()
}

/// The transport has ended inside a message or its length.
pub(crate) fn truncated() -> io::Error {
    Errno::PIPE.into()
}

/// The context is gone, so nothing could ever finish the operation.
pub(crate) fn context_gone() -> io::Error {
    Errno::SHUTDOWN.into()
}

/// The same kind of operation is outstanding.
pub(crate) fn busy() -> io::Error {
    Errno::BUSY.into()
}

/// The listener is gone.
pub(crate) fn aborted() -> io::Error {
    Errno::CONNABORTED.into()
}

/// Whether a listener says that it was closed.
pub(crate) fn is_closed(error: &io::Error) -> bool {
    let closed = [Errno::CONNABORTED, Errno::NOTCONN, Errno::SHUTDOWN];
    closed
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
