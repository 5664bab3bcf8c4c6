//! The errors of the fronts, each condition with the errno of the contract.

use std::io;

use rustix::io::Errno;

/// Nothing to transfer: the buffers are empty, or a limit is zero.
pub(crate) fn empty() -> io::Error {
    Errno::INVAL.into()
}

/// More buffers or bytes than one operation can take, or a PDU above its limit.
pub(crate) fn too_large() -> io::Error {
    Errno::MSGSIZE.into()
}

/// The same kind of operation is outstanding.
pub(crate) fn busy() -> io::Error {
    Errno::BUSY.into()
}

/// A disconnect is going on, or the last handle is gone.
pub(crate) fn aborted() -> io::Error {
    Errno::CONNABORTED.into()
}

/// A disconnect is going on already.
pub(crate) fn already() -> io::Error {
    Errno::ALREADY.into()
}

/// The endpoint was closed.
pub(crate) fn closed() -> io::Error {
    Errno::NOTCONN.into()
}

/// The end of the stream before everything that was asked for, or a write side that has ended.
pub(crate) fn broken_pipe() -> io::Error {
    Errno::PIPE.into()
}

/// The connection was broken off, or its end is to be an error.
pub(crate) fn reset() -> io::Error {
    Errno::CONNRESET.into()
}

/// More than may wait already does.
pub(crate) fn no_room() -> io::Error {
    Errno::NOBUFS.into()
}

/// A session says to have used more bytes than it was offered.
pub(crate) fn took_too_much() -> io::Error {
    Errno::INVAL.into()
}

/// An address of another kind.
pub(crate) fn wrong_address() -> io::Error {
    Errno::AFNOSUPPORT.into()
}

/// Somebody has that address already.
pub(crate) fn in_use() -> io::Error {
    Errno::ADDRINUSE.into()
}

/// Nobody is at that address, or nobody any more.
pub(crate) fn refused() -> io::Error {
    Errno::CONNREFUSED.into()
}

/// The endpoint has its peer already, so no address can be given.
pub(crate) fn is_connected() -> io::Error {
    Errno::ISCONN.into()
}

/// An attempt could not make progress.
pub(crate) fn would_block() -> io::Error {
    Errno::WOULDBLOCK.into()
}

/// This kind of endpoint does not have the operation.
pub(crate) fn not_supported() -> io::Error {
    Errno::OPNOTSUPP.into()
}

/// Whether an operation is one that this kind of endpoint does not have.
pub(crate) fn is_not_supported(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error())
}

/// The context is gone, so nothing could ever finish the operation.
pub(crate) fn context_gone() -> io::Error {
    Errno::SHUTDOWN.into()
}

/// The same error again: its errno, or its kind and text.
pub(crate) fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
