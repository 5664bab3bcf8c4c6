//! How a stream leaves its context: as a transport, as a descriptor, or to another context.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use tevent::Context;

use super::core::{Core, Phase};
use super::{Stream, Transport};
use crate::errors;
use crate::slot::holds;

/// A stream that could not be taken apart or moved, with the reason.
///
/// `?` turns it into the [`io::Error`] alone.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: io::Error,
    /// The stream, as it was given.
    pub stream: Stream,
}

impl Stream {
    /// Takes the implementation out, for a layered stream to own.
    ///
    /// # Errors
    /// The stream comes back: with `EBUSY` if there are other handles or operations outstanding, with
    /// `ENOTCONN` if it was closed, with the error of its write side if that has ended.
    pub fn into_transport(self) -> Result<Transport, Refused> {
        match self.core.check_whole() {
            Ok(()) => Ok(self.core.detach()),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Takes the descriptor out, with what was received and not read yet: for another thread, process or
    /// library.
    ///
    /// Whoever reads has to begin with those bytes ([`unread`](Self::unread)). The descriptor is
    /// non-blocking. The file of a unix socket that is bound to one is removed.
    ///
    /// # Errors
    /// The stream comes back: with `EOPNOTSUPP` if it has no descriptor that carries its bytes as they
    /// are (in memory, layered); with `EBUSY` if there are other handles or operations outstanding;
    /// with `ENOTCONN` if it was closed; with the error of its write side if that has ended.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = tevent::Context::new()?;
    /// let (stream, _) = tsocket::memory::stream_pair(&ctx);
    /// let refused = stream.into_parts().unwrap_err();
    /// // It can still be used.
    /// let stream = refused.stream;
    /// # drop(stream);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_parts(self) -> Result<(OwnedFd, Vec<u8>), Refused> {
        if let Err(error) = self.core.check_whole() {
            return Err(self.refused(error));
        }
        let taken = self
            .core
            .with_ops(|ops| ops.take_fd().ok_or_else(errors::not_supported));
        match taken {
            Ok(fd) => Ok((fd, self.core.detach().ahead.into_bytes())),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Puts `bytes` in front of what will be read next, as if they had just arrived.
    ///
    /// For a protocol that has looked at the first bytes to learn who should read them, and for those
    /// that came with a descriptor out of [`into_parts`](Self::into_parts). They take memory until they
    /// are read.
    ///
    /// # Errors
    /// `EBUSY` while a read is outstanding; else as [`Stream`] lists them.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = tevent::Context::new()?;
    /// let (near, far) = tsocket::memory::stream_pair(&ctx);
    /// let written = near.writev(&b"GET / HTTP/1.1"[..]);
    /// let first = ctx.run_until(far.readv(vec![0; 4]))??;
    /// assert_eq!(first, b"GET ");
    /// far.unread(first)?;
    /// assert_eq!(ctx.run_until(far.readv(vec![0; 14]))??, b"GET / HTTP/1.1");
    /// # drop(written);
    /// # Ok(())
    /// # }
    /// ```
    pub fn unread(&self, bytes: Vec<u8>) -> io::Result<()> {
        self.core.check_read()?;
        self.core.ahead.borrow_mut().put_back(bytes);
        Ok(())
    }

    /// Moves the stream to `ctx`, a context of the same thread, which may be the one it is on.
    ///
    /// What was received and not read, and whether either side has ended, go with it. To another thread
    /// it goes with [`into_parts`](Self::into_parts).
    ///
    /// # Errors
    /// The stream comes back: with `EBUSY` if there are other handles or operations outstanding; with
    /// `ENOTCONN` if it was closed; with `EOPNOTSUPP` if its kind cannot move.
    ///
    /// # Examples
    /// ```
    /// use tevent::Context;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (here, there) = (Context::new()?, Context::new()?);
    /// let (near, far) = tsocket::memory::stream_pair(&here);
    /// let far = far.move_to(&there)?;
    /// here.run_until(near.writev(&b"hello"[..]))?.map_err(std::io::Error::from)?;
    /// assert_eq!(&*there.run_until(far.read(100))??, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Source
    /// C tsocket has none: there each operation names its context, and idle streams may change it.
    pub fn move_to(self, ctx: &Context) -> Result<Self, Refused> {
        let moved = self
            .core
            .check_idle()
            .and_then(|()| self.core.with_ops(|ops| ops.move_to(ctx)));
        if let Err(error) = moved {
            return Err(self.refused(error));
        }
        let mut transport = self.core.detach();
        transport.arrive(ctx);
        let core = Core::new(ctx, transport);
        core.inherit(&self.core);
        Ok(Self { core })
    }

    fn refused(self, error: io::Error) -> Refused {
        Refused {
            error,
            stream: self,
        }
    }
}

impl Core {
    /// Refuses to take apart a stream that is in use.
    fn check_idle(&self) -> io::Result<()> {
        match self.phase() {
            Phase::Closed => Err(errors::closed()),
            Phase::Open if self.handles.get() == 1 && !self.is_busy() && !holds(&self.monitor) => {
                Ok(())
            }
            _ => Err(errors::busy()),
        }
    }

    /// As [`check_idle`](Self::check_idle), and refuses one whose write side has ended: others would
    /// write behind bytes that they know nothing of.
    fn check_whole(&self) -> io::Result<()> {
        self.check_idle()?;
        self.check_write_side()
    }

    /// Takes the implementation out of a stream that is idle.
    fn detach(&self) -> Transport {
        self.set_phase(Phase::Closed);
        Transport {
            ops: self.ops.take().expect("an idle stream is open"),
            ahead: self.ahead.take(),
            pool: self.pool.clone(),
            ready: self.ready.clone(),
        }
    }

    /// Takes over what `old`, which was taken apart, knew of its ends.
    fn inherit(&self, old: &Self) {
        self.read_error.swap(&old.read_error);
        self.write_error.swap(&old.write_error);
        self.gone.swap(&old.gone);
        self.fail_first.swap(&old.fail_first);
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stream stays as it is: {}", self.error)
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}
