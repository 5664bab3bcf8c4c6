//! [`Transport`], a stream without its front: what a layered stream owns.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::rc::Rc;

use tevent::{Context, Readiness};

use super::StreamOps;
use crate::buffers::PartsMut;
use crate::chunk::Pool;
use crate::read_ahead::ReadAhead;
use crate::ready::Ready;
use crate::{Address, Credentials};

/// A stream without its front: its attempts, and what it had read ahead.
///
/// Taken out of a [`Stream`](crate::Stream) with
/// [`into_transport`](crate::Stream::into_transport), and given to a layered stream with
/// [`Stream::layered`](crate::Stream::layered). It has neither requests nor handlers of its own: the
/// front of the layered stream is told what this one's would have been.
pub struct Transport {
    pub(super) ops: Box<dyn StreamOps>,
    pub(super) ahead: ReadAhead,
    pub(super) pool: Rc<Pool>,
    pub(super) ready: Ready,
}

impl Transport {
    /// The handle that tells the front of the layered stream.
    #[must_use]
    pub fn ready(&self) -> Ready {
        self.ready.clone()
    }

    /// Panics unless it is of a stream of `ctx`.
    #[track_caller]
    pub(crate) fn assert_on(&self, ctx: &Context) {
        assert!(
            Rc::ptr_eq(&ctx.local::<Pool>(), &self.pool),
            "the transport of a layered stream belongs to the same context"
        );
    }

    /// As [`StreamOps::try_readv`], with small reads served from what was read ahead.
    ///
    /// # Errors
    /// As [`StreamOps::try_readv`].
    pub fn try_readv(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut parts = PartsMut::skipping(0);
        for buffer in buffers {
            parts.push(buffer);
        }
        self.ahead
            .try_fill(&mut *self.ops, &self.pool, parts, wanted)
    }

    /// As [`StreamOps::try_monitor`].
    ///
    /// # Errors
    /// As [`StreamOps::try_monitor`].
    pub fn try_monitor(&mut self) -> io::Result<()> {
        self.ahead.try_monitor(&mut *self.ops, &self.pool)
    }

    /// As [`StreamOps::awaits_read`]; never while something was read ahead.
    pub fn awaits_read(&mut self) -> bool {
        self.ahead.len() == 0 && self.ops.awaits_read()
    }

    /// As [`StreamOps::try_writev`].
    ///
    /// # Errors
    /// As [`StreamOps::try_writev`].
    pub fn try_writev(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.ops.try_writev(buffers)
    }

    /// As [`StreamOps::pending_bytes`], what was read ahead included.
    ///
    /// # Errors
    /// As [`StreamOps::pending_bytes`].
    pub fn pending_bytes(&mut self) -> io::Result<usize> {
        Ok(self.ahead.len() + self.ops.pending_bytes()?)
    }

    /// As [`StreamOps::try_shutdown`].
    ///
    /// # Errors
    /// As [`StreamOps::try_shutdown`].
    pub fn try_shutdown(&mut self) -> io::Result<()> {
        self.ops.try_shutdown()
    }

    /// As [`StreamOps::local_address`].
    ///
    /// # Errors
    /// As [`StreamOps::local_address`].
    pub fn local_address(&self) -> io::Result<Address> {
        self.ops.local_address()
    }

    /// As [`StreamOps::peer_address`].
    ///
    /// # Errors
    /// As [`StreamOps::peer_address`].
    pub fn peer_address(&self) -> io::Result<Address> {
        self.ops.peer_address()
    }

    /// As [`StreamOps::peer_credentials`].
    ///
    /// # Errors
    /// As [`StreamOps::peer_credentials`].
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        self.ops.peer_credentials()
    }

    /// As [`StreamOps::move_to`].
    ///
    /// # Errors
    /// As [`StreamOps::move_to`].
    pub fn move_to(&mut self, ctx: &Context) -> io::Result<()> {
        self.ops.move_to(ctx)?;
        self.arrive(ctx);
        Ok(())
    }

    /// Belongs to `ctx` from now on, as the implementation does already.
    pub(super) fn arrive(&mut self, ctx: &Context) {
        self.pool = ctx.local::<Pool>();
        self.ready.move_to(ctx);
    }

    /// As [`StreamOps::told`].
    pub fn told(&mut self, readiness: Readiness) -> Readiness {
        self.ops.told(readiness)
    }

    /// As [`StreamOps::unwanted`].
    pub fn unwanted(&mut self, readiness: Readiness) {
        self.ops.unwanted(readiness);
    }

    /// As [`StreamOps::max_write_len`]: whoever owns the transport has to keep to it.
    #[must_use]
    pub fn max_write_len(&self) -> usize {
        self.ops.max_write_len()
    }

    /// As [`StreamOps::is_mid_write`].
    #[must_use]
    pub fn is_mid_write(&self) -> bool {
        self.ops.is_mid_write()
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("read_ahead", &self.ahead.len())
            .finish_non_exhaustive()
    }
}
