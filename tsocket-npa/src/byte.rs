//! [`byte_mode`], a pipe whose bytes are those of its transport.

use std::io::{self, IoSlice, IoSliceMut};

use tevent::{Context, Readiness};
use tsocket::{Address, Credentials, Refused, Stream, StreamOps, Transport};

use crate::errors;

/// A pipe in byte mode over `stream`, which it takes over; `ctx` is the context of `stream`.
///
/// Bytes pass as they are. A pipe has no half-close: [`shutdown`](Stream::shutdown) fails with
/// `EOPNOTSUPP`, and [`disconnect`](Stream::disconnect) closes at once, since everything that was
/// written is with the layer below. The addresses are those of `stream`.
///
/// # Errors
/// `stream` comes back, with `EBUSY` if it has other handles or operations outstanding; with
/// `ENOTCONN` if it was closed; with the error of its write side if that has failed.
///
/// # Panics
/// If `stream` belongs to another context.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let ctx = tevent::Context::new()?;
/// let (near, far) = tsocket::memory::stream_pair(&ctx);
/// let pipe = tsocket_npa::byte_mode(&ctx, near)?;
/// let written = pipe.writev(&b"as they are"[..]);
/// assert_eq!(&*ctx.run_until(far.read(100))??, b"as they are");
/// # drop(written);
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `tstream_npa_existing_stream()` with `FILE_TYPE_BYTE_MODE_PIPE`. Differs: the stream below is
/// owned, so that nobody else can write into the middle.
#[doc(alias = "tstream_npa_existing_stream")]
pub fn byte_mode(ctx: &Context, stream: Stream) -> Result<Stream, Refused> {
    let transport = stream.into_transport()?;
    Ok(Stream::layered(ctx, transport, |transport| {
        Box::new(BytePipe { transport })
    }))
}

struct BytePipe {
    transport: Transport,
}

impl StreamOps for BytePipe {
    fn try_readv(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.transport.try_readv(buffers)
    }

    fn try_writev(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.transport.try_writev(buffers)
    }

    fn pending_bytes(&mut self) -> io::Result<usize> {
        self.transport.pending_bytes()
    }

    fn try_shutdown(&mut self) -> io::Result<()> {
        Err(errors::no_half_close())
    }

    fn local_address(&self) -> io::Result<Address> {
        self.transport.local_address()
    }

    fn peer_address(&self) -> io::Result<Address> {
        self.transport.peer_address()
    }

    fn peer_credentials(&self) -> io::Result<Credentials> {
        self.transport.peer_credentials()
    }

    fn move_to(&mut self, ctx: &Context) -> io::Result<()> {
        self.transport.move_to(ctx)
    }

    fn told(&mut self, readiness: Readiness) -> Readiness {
        self.transport.told(readiness)
    }

    fn unwanted(&mut self, readiness: Readiness) {
        self.transport.unwanted(readiness);
    }

    fn try_monitor(&mut self) -> io::Result<()> {
        self.transport.try_monitor()
    }

    fn awaits_read(&mut self) -> bool {
        self.transport.awaits_read()
    }

    fn is_mid_write(&self) -> bool {
        self.transport.is_mid_write()
    }

    fn max_write_len(&self) -> usize {
        self.transport.max_write_len()
    }
}
