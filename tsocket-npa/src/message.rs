//! [`message_mode`], a pipe whose writes are messages.

mod incoming;
mod outgoing;

use std::io::{self, IoSlice, IoSliceMut};

use tevent::{Context, Readiness};
use tsocket::{Address, Credentials, Refused, Stream, StreamOps, Transport};

use self::incoming::Incoming;
use self::outgoing::Outgoing;
use crate::{MessageHeader, errors};

/// A pipe in message mode over `stream`, which it takes over; `ctx` is the context of `stream`.
///
/// - Each [`writev`](Stream::writev) is one message of 1 to [`MessageHeader::MAX_PAYLOAD_LEN`] bytes;
///   of more, none is written and the write fails with `EMSGSIZE`. The length that travels in front is
///   not counted anywhere.
/// - [`read(max)`](Stream::read) gives `max` bytes of the current message, or the rest of it if that is
///   less: never bytes of two messages, and never less than that because they arrive in pieces. So a
///   read of [`MessageHeader::MAX_PAYLOAD_LEN`] is one message.
/// - [`readv`](Stream::readv) fills its buffers across the borders of messages.
/// - [`pending_bytes`](Stream::pending_bytes) is the unread rest of a message that was read in part, and
///   0 between messages.
/// - A pipe has no half-close: [`shutdown`](Stream::shutdown) fails with `EOPNOTSUPP`, and
///   [`disconnect`](Stream::disconnect) closes at once, since everything that was written is with the
///   layer below. The addresses are those of `stream`.
///
/// A message without bytes fails reads with `EIO`. The end of `stream` between two messages is the end
/// of the pipe; inside a message or its length it fails reads with `EPIPE`, and what had arrived of the
/// message can only be had by asking for no more than that. Both are errors of the connection: writes
/// fail with them from then on.
///
/// While a message arrives in pieces, it is kept: at most [`MessageHeader::MAX_PAYLOAD_LEN`] bytes, and
/// only as many as have arrived.
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
/// let pipe = tsocket_npa::message_mode(&ctx, near)?;
/// let written = pipe.writev(&b"hello"[..]);
/// assert_eq!(&*ctx.run_until(far.read(100))??, b"\x05\0hello");
/// # drop(written);
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `tstream_npa_existing_stream()` with `FILE_TYPE_MESSAGE_MODE_PIPE`. Differs: the stream below is
/// owned; a read can stop at the end of a message; the end between two messages is no error.
#[doc(alias = "tstream_npa_existing_stream")]
pub fn message_mode(ctx: &Context, stream: Stream) -> Result<Stream, Refused> {
    let transport = stream.into_transport()?;
    Ok(Stream::layered(ctx, transport, |transport| {
        Box::new(MessagePipe {
            transport,
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
        })
    }))
}

struct MessagePipe {
    transport: Transport,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl StreamOps for MessagePipe {
    fn try_readv(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.incoming.try_readv(&mut self.transport, buffers)
    }

    fn try_writev(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.outgoing.try_writev(&mut self.transport, buffers)
    }

    fn pending_bytes(&mut self) -> io::Result<usize> {
        Ok(self.incoming.rest())
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
        !self.incoming.has_kept() && self.transport.awaits_read()
    }

    fn is_mid_write(&self) -> bool {
        self.outgoing.is_mid_message() || self.transport.is_mid_write()
    }

    fn max_write_len(&self) -> usize {
        let room = self.transport.max_write_len();
        MessageHeader::MAX_PAYLOAD_LEN.min(room.saturating_sub(MessageHeader::LEN))
    }
}
