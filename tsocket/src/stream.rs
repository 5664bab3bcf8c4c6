//! [`Stream`], a connection of bytes: the requests in front of an implementation.

mod core;
mod disconnect;
mod leave;
mod metered;
mod monitor;
mod ops;
mod pdu;
mod queued;
mod read;
mod source;
mod transport;
mod write;

use std::fmt;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use tevent::{Completer, Context, Request};

pub use disconnect::{DISCONNECT_BYTES, DISCONNECT_TIME};
pub use leave::Refused;
pub(crate) use metered::Meter;
pub use ops::StreamOps;
pub use pdu::{NextVector, VectorProgress};
pub use transport::Transport;

use self::core::{Core, Phase};
use self::read::{PendingRead, ReadFully, ReadSome};
use self::write::{Begun, Rest};
use crate::buffers::{MAX_BUFFER_COUNT, Parts, PartsMut, ReadBuffers, WriteBuffers};
use crate::chunk::{Chunk, Pool};
use crate::read_ahead::ReadAhead;
use crate::ready::Ready;
use crate::{Address, Credentials, Failed, errors};

/// A connection of bytes in both directions.
///
/// A stream belongs to the context it was made on. It is a handle: clones are the same stream, and when
/// the last one is gone the stream is [aborted](Self::abort). A request that is outstanding is no
/// handle, except that a [`disconnect`](Self::disconnect) goes on; the [queued](Self::writev_queued) operations, [`Steps`](tevent::Steps) and futures hold one
/// like any user.
///
/// One read and one write may be outstanding; a second one fails with `EBUSY`. To wait in line is what
/// a [`Queue`](tevent::Queue) is for.
///
/// # Ends and errors
/// The end of the stream belongs to the read side and is not sticky: [`read`](Self::read) gives no
/// bytes, [`readv`](Self::readv) fails with `EPIPE`, and writing goes on. The first error of the
/// connection is sticky: later operations fail with it. No error hides bytes that have arrived, unless
/// [`set_fail_first`](Self::set_fail_first) says so. Misuse (`EBUSY`, `EINVAL`, `EMSGSIZE`) disturbs
/// nothing.
///
/// | Condition | `raw_os_error()` |
/// |---|---|
/// | the buffers have no bytes | `EINVAL` |
/// | more than [`MAX_BUFFER_COUNT`] buffers, or their sum overflows | `EMSGSIZE` |
/// | a write of more than the largest message, where writes are messages | `EMSGSIZE` |
/// | the same kind of operation is outstanding | `EBUSY` |
/// | the peer has closed before the buffers were full | `EPIPE` |
/// | writing after a shutdown, or after a partial write was given up | `EPIPE` |
/// | a disconnect is going on, or the stream was aborted meanwhile | `ECONNABORTED` |
/// | a second disconnect while one is going on | `EALREADY` |
/// | the stream was closed before | `ENOTCONN` |
/// | the context is gone | `ESHUTDOWN` |
///
/// # Examples
/// ```
/// use tevent::Context;
/// use tsocket::memory;
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let (near, far) = memory::stream_pair(&ctx);
/// let echoed = ctx.block_on(async {
///     near.writev(b"hello".to_vec()).await?;
///     let chunk = far.read(100).await?;
///     far.writev(chunk).await?;
///     Ok::<_, std::io::Error>(near.readv(vec![0; 5]).await?)
/// })??;
/// assert_eq!(echoed, b"hello");
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `struct tstream_context`. Differs: operations take no context; the end of the stream is not an
/// error for writers; buffers are owned and come back.
#[doc(alias = "tstream_context")]
pub struct Stream {
    core: Rc<Core>,
}

impl Stream {
    /// A stream of `ctx` in front of what `make` makes.
    ///
    /// `make` is given the handle through which the implementation says that another attempt is worth
    /// it.
    ///
    /// # Errors
    /// Those of `make`.
    #[doc(alias = "tstream_context_create")]
    pub fn new(
        ctx: &Context,
        make: impl FnOnce(Ready) -> io::Result<Box<dyn StreamOps>>,
    ) -> io::Result<Self> {
        let ready = Ready::new(ctx);
        let ops = make(ready.clone())?;
        Ok(Self::in_front_of(ctx, ops, ready))
    }

    /// A stream of `ctx` in front of what `make` makes of the `transport` below it.
    ///
    /// The implementation keeps the transport and calls its attempts from its own.
    ///
    /// # Panics
    /// If `transport` is of a stream of another context.
    pub fn layered(
        ctx: &Context,
        transport: Transport,
        make: impl FnOnce(Transport) -> Box<dyn StreamOps>,
    ) -> Self {
        transport.assert_on(ctx);
        let ready = transport.ready();
        let ops = make(transport);
        Self::in_front_of(ctx, ops, ready)
    }

    /// A stream of `ctx` in front of `ops`, which tells through `ready`.
    pub(crate) fn in_front_of(ctx: &Context, ops: Box<dyn StreamOps>, ready: Ready) -> Self {
        let transport = Transport {
            ops,
            ahead: ReadAhead::default(),
            pool: ctx.local::<Pool>(),
            ready,
        };
        Self {
            core: Core::new(ctx, transport),
        }
    }

    /// Reads what there is, at most `max` bytes, and waits while there is nothing; no bytes are the
    /// end of the stream.
    ///
    /// While it waits it owns no buffer; one read brings at most 64 KiB.
    ///
    /// # Cancellation
    /// Bytes that it has not got stay for the next read. A request that [is finished](Request::is_finished)
    /// has got its bytes, and takes them with it.
    ///
    /// # Errors
    /// `EINVAL` if `max` is 0; else as [`Stream`] lists them.
    #[doc(alias = "tstream_readv_send")]
    #[track_caller]
    pub fn read(&self, max: usize) -> Request<Chunk> {
        let (request, completer) = Request::pair(&self.core.ctx, "read");
        let check = if max == 0 {
            Err(errors::empty())
        } else {
            self.core.check_read()
        };
        match check {
            Ok(()) => {
                let read = ReadSome { max, completer };
                self.core.begin_read(PendingRead::Some(read));
            }
            Err(error) => completer.error(error),
        }
        request
    }

    /// Reads until `buffers` are full, in order; what is asked for is their length.
    ///
    /// # Cancellation
    /// A deadline or a cancel returns the buffers and how many bytes are in them. Dropping the request
    /// loses the bytes that it had read.
    ///
    /// # Errors
    /// With the buffers: `EPIPE` if the peer closes first; else as [`Stream`] lists them.
    ///
    /// # Source
    /// `tstream_readv_send()`; `readv(2)`. Differs: the request owns its buffers and returns them.
    #[doc(alias = "tstream_readv_send")]
    #[doc(alias = "tstream_readv_recv")]
    #[track_caller]
    pub fn readv<B: ReadBuffers>(&self, mut buffers: B) -> Request<B, Failed<B>> {
        let (request, completer) = Request::pair(&self.core.ctx, "readv");
        let mut parts = PartsMut::skipping(0);
        buffers.parts_mut(&mut parts);
        let wanted = check_extent(parts.extent()).and_then(|wanted| {
            self.core.check_read()?;
            Ok(wanted)
        });
        match wanted {
            Ok(wanted) => {
                let read = ReadFully {
                    buffers,
                    wanted,
                    read: 0,
                    completer,
                };
                self.core.begin_read(PendingRead::Other(Box::new(read)));
            }
            Err(error) => completer.error(Failed {
                error,
                buffers,
                transferred: 0,
            }),
        }
        request
    }

    /// Writes all of `buffers`, in order, and returns them.
    ///
    /// # Completion
    /// When the layer below has taken the last byte: the kernel, or for a layered stream the stream
    /// below.
    ///
    /// # Cancellation
    /// If a part was written already, nothing can be written any more: later writes fail with `EPIPE`,
    /// because the peer would take their bytes for the rest of this one.
    ///
    /// # Errors
    /// With the buffers, and how many bytes were written: as [`Stream`] lists them.
    ///
    /// # Source
    /// `tstream_writev_send()`; `writev(2)`. Differs: the request owns its buffers and returns them.
    #[doc(alias = "tstream_writev_send")]
    #[doc(alias = "tstream_writev_recv")]
    #[track_caller]
    pub fn writev<B: WriteBuffers>(&self, buffers: B) -> Request<B, Failed<B>> {
        match self.writev_now(buffers) {
            Ok(result) => Request::finished(&self.core.ctx, "writev", result),
            Err(request) => request,
        }
    }

    /// As [`writev`](Self::writev), for whoever can go on at once: if the write is over at once, its
    /// result, without a request and its turn of the loop.
    ///
    /// Most writes are. Who writes one after the other would keep everybody else waiting with this as
    /// long as the peer takes it all; an answer to what was read does not, because the next read has its
    /// turn.
    ///
    /// # Errors
    /// The request, if the write has to wait.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = tevent::Context::new()?;
    /// let (near, far) = tsocket::memory::stream_pair(&ctx);
    /// match near.writev_now(b"hello".to_vec()) {
    ///     Ok(written) => drop(written?),
    ///     Err(request) => drop(ctx.run_until(request)??),
    /// }
    /// assert_eq!(&*ctx.run_until(far.read(100))??, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn writev_now<B: WriteBuffers>(
        &self,
        buffers: B,
    ) -> Result<Result<B, Failed<B>>, Request<B, Failed<B>>> {
        match self.begin_write(buffers) {
            Begun::Over(result) => Ok(result),
            Begun::Waits(rest) => {
                let (request, completer) = Request::pair(&self.core.ctx, "writev");
                self.core.park_write(rest, completer);
                Err(request)
            }
        }
    }

    fn writev_with<B: WriteBuffers>(&self, buffers: B, completer: Completer<B, Failed<B>>) {
        match self.begin_write(buffers) {
            Begun::Over(result) => completer.finish(result),
            Begun::Waits(rest) => self.core.park_write(rest, completer),
        }
    }

    /// Makes the first attempt at a write.
    fn begin_write<B: WriteBuffers>(&self, buffers: B) -> Begun<B> {
        let mut parts = Parts::skipping(0);
        buffers.parts(&mut parts);
        let attempted = check_extent(parts.extent()).and_then(|wanted| {
            self.core.check_write(wanted)?;
            match self.core.try_write(parts.slices()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok((wanted, 0)),
                written => Ok((wanted, written?)),
            }
        });
        match attempted {
            Ok((wanted, written)) if written == wanted => Begun::Over(Ok(buffers)),
            Ok((wanted, written)) => Begun::Waits(Rest {
                buffers,
                wanted,
                written,
            }),
            Err(error) => Begun::Over(Err(Failed {
                error,
                buffers,
                transferred: 0,
            })),
        }
    }

    /// How many bytes a read would return without waiting; 0 says nothing about the end of the stream.
    ///
    /// # Errors
    /// `ENOTCONN` if the stream was closed; whatever the system says of the descriptor.
    #[doc(alias = "tstream_pending_bytes")]
    pub fn pending_bytes(&self) -> io::Result<usize> {
        self.core.pending_bytes()
    }

    /// Whether a small read may receive more than it was asked for, to spare the next one its system
    /// call: on by default.
    ///
    /// Without it nothing that is read is anywhere but in the buffers of its reader, and nothing is
    /// taken from the system that nobody has asked for. What was read ahead before stays.
    pub fn set_read_ahead(&self, on: bool) {
        self.core.ahead.borrow_mut().set_on(on);
    }

    /// Ends the write side after everything that was written so far; reading goes on.
    ///
    /// The peer reads the end of the stream. Later writes fail with `EPIPE`.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where a stream has no half-close; `EALREADY` if a shutdown is outstanding; else as
    /// [`Stream`] lists them.
    ///
    /// # Source
    /// `shutdown(2)` with `SHUT_WR`; C tsocket has none.
    #[track_caller]
    pub fn shutdown(&self) -> Request<()> {
        let (request, completer) = Request::pair(&self.core.ctx, "shutdown");
        match self.core.check_shutdown() {
            Ok(()) => self.core.begin_shutdown(completer),
            Err(error) => completer.error(error),
        }
        request
    }

    /// The largest write, in bytes; 0 once the stream was closed.
    pub(crate) fn max_write_len(&self) -> usize {
        self.core
            .with_ops(|ops| Ok(ops.max_write_len()))
            .unwrap_or(0)
    }

    /// Whether nothing more can be written.
    pub(crate) fn has_shut_down(&self) -> bool {
        self.core.check_write_side().is_err()
    }

    /// Closes the stream so that nothing is lost: half-closes it, reads and drops what still comes
    /// until the peer has closed too, then closes.
    ///
    /// It waits for the peer at most [`DISCONNECT_TIME`] and reads at most [`DISCONNECT_BYTES`]. A stream
    /// that has no half-close drops what has arrived and closes without waiting.
    ///
    /// # Cancellation
    /// Dropping the request closes at once.
    ///
    /// # Errors
    /// `EBUSY` while a read, write or shutdown is outstanding; `EALREADY` while a disconnect is going
    /// on; `ENOTCONN` if the stream was closed.
    #[doc(alias = "tstream_disconnect_send")]
    #[doc(alias = "tstream_disconnect_recv")]
    #[track_caller]
    pub fn disconnect(&self) -> Request<()> {
        let (request, completer) = Request::pair(&self.core.ctx, "disconnect");
        let refused = match self.core.phase() {
            Phase::Disconnecting => Some(errors::already()),
            Phase::Closed => Some(errors::closed()),
            Phase::Open if self.core.is_busy() => Some(errors::busy()),
            Phase::Open => None,
        };
        match refused {
            None => self.core.begin_disconnect(completer),
            Some(error) => completer.error(error),
        }
        request
    }

    /// Closes the stream at once; what is outstanding ends with `ECONNABORTED` and its buffers.
    ///
    /// Does nothing if it was closed before.
    pub fn abort(&self) {
        self.core.abort();
    }

    /// The address of this end.
    ///
    /// # Errors
    /// `ENOTCONN` if the stream was closed; whatever the system says of the descriptor.
    pub fn local_address(&self) -> io::Result<Address> {
        self.core.with_ops(|ops| ops.local_address())
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// `ENOTCONN` if the stream was closed or the peer has gone; whatever the system says of the
    /// descriptor.
    pub fn peer_address(&self) -> io::Result<Address> {
        self.core.with_ops(|ops| ops.peer_address())
    }

    /// Who the peer is, as the system vouches for it; a layered stream says what the one below it says.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where nobody vouches for it: over the network, in memory, and on systems that do
    /// not say; `ENOTCONN` if the stream was closed; whatever the system says of the descriptor.
    ///
    /// # Source
    /// `SO_PEERCRED` in `unix(7)`; C tsocket has none.
    #[doc(alias = "SO_PEERCRED")]
    #[doc(alias = "getpeereid")]
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        self.core.with_ops(|ops| ops.peer_credentials())
    }
}

#[cfg(feature = "futures-io")]
impl Stream {
    /// A pooled buffer for a write of `len` bytes, or of as many as one write takes.
    pub(crate) fn room_for(&self, len: usize) -> io::Result<Chunk> {
        let most = self.core.with_ops(|ops| Ok(ops.max_write_len()))?;
        Ok(self.core.pool.chunk(len.min(most)))
    }
}

/// The sum of the bytes of some buffers, if one operation can take them.
fn check_extent((count, len): (usize, Option<usize>)) -> io::Result<usize> {
    match len {
        Some(0) => Err(errors::empty()),
        Some(len) if count <= MAX_BUFFER_COUNT => Ok(len),
        _ => Err(errors::too_large()),
    }
}

impl Clone for Stream {
    fn clone(&self) -> Self {
        self.core.handles.set(self.core.handles.get() + 1);
        Self {
            core: self.core.clone(),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let left = self.core.handles.get() - 1;
        self.core.handles.set(left);
        // An orderly end that has begun belongs to its request.
        if left == 0 && self.core.phase() != Phase::Disconnecting {
            self.core.abort();
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("phase", &self.core.phase())
            .field("is_busy", &self.core.is_busy())
            .finish_non_exhaustive()
    }
}
