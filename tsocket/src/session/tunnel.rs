//! [`tunnel()`], a session whose other side is bytes, as a stream over a stream.

mod layer;
mod negotiate;

use std::io::{self, IoSlice, IoSliceMut};

use tevent::{Context, Readiness};

use self::layer::Layer;
use super::{Driver, Io, Limits, Session};
use crate::stream::{Refused, Stream};

pub use negotiate::negotiate;

/// A session whose other side is bytes again: what it receives sealed it gives out open, and what it is given it seals and sends.
///
/// Its [`receive`](Session::receive) keeps what it has opened until it is [read](Self::read), and
/// stops consuming when that is much: it is offered the rest when everything was read. Its
/// [`Io`] belongs to the stream: a tunnel does not [close](Io::close) it.
///
/// Its functions are called while the stream is at work: they may close or drop the stream, which is
/// then closed once they have returned, and must not use it otherwise.
pub trait Tunnel: Session {
    /// Moves opened bytes into `buffers`, in order, and returns how many; 0 if there are none.
    fn read(&mut self, buffers: &mut [IoSliceMut<'_>]) -> usize;

    /// How many opened bytes there are.
    fn pending(&self) -> usize;

    /// Whether and how the peer's side has ended, once everything opened was read: in good order, or broken off.
    ///
    /// Known after [`closed`](Session::closed) at the latest.
    ///
    /// # Errors
    /// That of a stream which was broken off; it becomes the stream's.
    fn end(&self) -> Option<io::Result<()>>;

    /// Seals the first bytes of `buffers`, as many as it likes, at least one, sends them through `io`, and returns how many.
    ///
    /// Called only when everything that was sent before has gone out.
    ///
    /// # Errors
    /// Whatever keeps it from sealing, and those of [`Io::send`]; it becomes the stream's.
    fn write(&mut self, buffers: &[IoSlice<'_>], io: &Io) -> io::Result<usize>;

    /// Ends the own side, once, behind everything that was written, and returns whether the peer is
    /// told; unless it is, the end of the stream below tells it.
    ///
    /// # Errors
    /// Those of [`Io::send`].
    fn finish(&mut self, io: &Io) -> io::Result<bool> {
        let _ = io;
        Ok(false)
    }

    /// Whether the two sides still negotiate, so that nothing can be written yet: see [`negotiate()`].
    fn is_negotiating(&self) -> bool {
        false
    }
}

/// A stream through the tunnel that `make` makes, over `stream`, which it takes over; `ctx` is the
/// context of `stream`.
///
/// - What the peer provokes (an answer to a change of keys, an alert) goes out by itself. For that, the
///   stream below is read from even while nobody reads from this one, until there is something for a reader.
/// - A [`writev`](Stream::writev) is done when the stream below has taken its last sealed byte. What was sealed
///   goes out: a write that is given up after that ends the write side.
/// - [`pending_bytes`](Stream::pending_bytes) are bytes that were opened.
/// - A [`shutdown`](Stream::shutdown) is as the tunnel has it, and ends the write side of the stream below.
///   A stream that is closed with nothing on its way tells the peer of its end as far as that can be done at once.
/// - The addresses are those of `stream`.
///
/// A whole one, a security layer, is among the examples of this crate (`examples/security_layer`).
///
/// An error of the tunnel, or a piece of more than [`Limits::unconsumed`] (`EMSGSIZE`), is one of the
/// connection.
///
/// # Errors
/// `stream` comes back, with `EBUSY` if it has other handles or operations outstanding; with
/// `ENOTCONN` if it was closed; with the error of its write side if that has failed.
///
/// # Panics
/// If `stream` is of another context.
pub fn tunnel<T: Tunnel>(
    ctx: &Context,
    stream: Stream,
    limits: Limits,
    make: impl FnOnce(&Io) -> T,
) -> Result<Stream, Refused> {
    let transport = stream.into_transport()?;
    // So that it tells of what the peer sends while nobody reads.
    transport.ready().schedule(Readiness::READ);
    Ok(Stream::layered(ctx, transport, |transport| {
        let driver = Driver::new(limits, make);
        Box::new(Layer::new(ctx, transport, driver))
    }))
}
