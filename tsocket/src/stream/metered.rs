//! [`Meter`], which sees when a transport moves bytes.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use tevent::{Context, Readiness, WeakContext};

use super::{Stream, StreamOps};
use crate::{Address, Credentials};

/// What a server knows of the transport of a connection, whatever is layered on it.
pub(crate) struct Meter {
    ctx: RefCell<WeakContext>,
    moved: Cell<Instant>,
    has_received: Cell<bool>,
    awaits_peer: Cell<bool>,
    stalled: Cell<Option<Instant>>,
    is_blind: Cell<bool>,
}

impl Meter {
    /// Begins to see what the transport of `stream` does, which nobody else has touched yet.
    pub(crate) fn attach(ctx: WeakContext, now: Instant, stream: &Stream) -> Rc<Self> {
        let meter = Rc::new(Self {
            ctx: RefCell::new(ctx),
            moved: Cell::new(now),
            has_received: Cell::new(false),
            awaits_peer: Cell::new(false),
            stalled: Cell::new(None),
            is_blind: Cell::new(false),
        });
        let mut place = stream.core.ops.borrow_mut();
        *place = place.take().map(|ops| {
            let meter = meter.clone();
            Box::new(Metered { ops, meter }) as Box<dyn StreamOps>
        });
        drop(place);
        meter
    }

    /// When bytes have last moved, in whichever direction.
    pub(crate) fn moved(&self) -> Instant {
        self.moved.get()
    }

    /// Whether any bytes have come from the peer.
    pub(crate) fn has_received(&self) -> bool {
        self.has_received.get()
    }

    /// Whether the last attempt to read has found nothing.
    pub(crate) fn awaits_peer(&self) -> bool {
        self.awaits_peer.get()
    }

    /// Since when bytes wait that the transport takes none of.
    pub(crate) fn stalled(&self) -> Option<Instant> {
        self.stalled.get()
    }

    /// Whether the descriptor was taken out, so that nothing is seen of it any more.
    pub(crate) fn is_blind(&self) -> bool {
        self.is_blind.get()
    }

    fn now(&self) -> Option<Instant> {
        let ctx = self.ctx.borrow().upgrade();
        ctx.map(|ctx| ctx.round_now())
    }

    fn note_moved(&self) -> Option<Instant> {
        let now = self.now()?;
        self.moved.set(now);
        Some(now)
    }

    #[cold]
    fn note_unread(&self, error: &io::Error) {
        self.awaits_peer.set(error.kind() == ErrorKind::WouldBlock);
    }

    #[cold]
    fn note_unwritten(&self, error: &io::Error) {
        let since = match self.stalled.get() {
            _ if error.kind() != ErrorKind::WouldBlock => None,
            None => self.now(),
            stalled => stalled,
        };
        self.stalled.set(since);
    }
}

/// The implementation of a stream that is metered.
struct Metered {
    ops: Box<dyn StreamOps>,
    meter: Rc<Meter>,
}

impl StreamOps for Metered {
    fn try_readv(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let read = self.ops.try_readv(buffers);
        match &read {
            Ok(1..) => {
                self.meter.note_moved();
                self.meter.has_received.set(true);
                self.meter.awaits_peer.set(false);
            }
            Ok(_) => self.meter.awaits_peer.set(false),
            Err(error) => self.meter.note_unread(error),
        }
        read
    }

    fn try_writev(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.ops.try_writev(buffers);
        match &written {
            Ok(len) => {
                let now = self.meter.note_moved();
                let offered = match buffers {
                    [buffer] => buffer.len(),
                    buffers => buffers.iter().map(|buffer| buffer.len()).sum(),
                };
                self.meter.stalled.set(now.filter(|_| *len < offered));
            }
            Err(error) => self.meter.note_unwritten(error),
        }
        written
    }

    fn pending_bytes(&mut self) -> io::Result<usize> {
        self.ops.pending_bytes()
    }

    fn try_shutdown(&mut self) -> io::Result<()> {
        self.ops.try_shutdown()
    }

    fn local_address(&self) -> io::Result<Address> {
        self.ops.local_address()
    }

    fn peer_address(&self) -> io::Result<Address> {
        self.ops.peer_address()
    }

    fn peer_credentials(&self) -> io::Result<Credentials> {
        self.ops.peer_credentials()
    }

    fn take_fd(&mut self) -> Option<OwnedFd> {
        let fd = self.ops.take_fd();
        if fd.is_some() {
            // It moves on out of sight.
            self.meter.is_blind.set(true);
        }
        fd
    }

    fn move_to(&mut self, ctx: &Context) -> io::Result<()> {
        self.ops.move_to(ctx)?;
        self.meter.ctx.replace(ctx.downgrade());
        Ok(())
    }

    fn told(&mut self, readiness: Readiness) -> Readiness {
        if readiness.intersects(Readiness::WRITE) {
            // The peer has taken something; a write that still waits is refused anew.
            self.meter.stalled.set(None);
        }
        self.ops.told(readiness)
    }

    fn unwanted(&mut self, readiness: Readiness) {
        self.ops.unwanted(readiness);
    }

    fn awaits_read(&mut self) -> bool {
        let awaits = self.ops.awaits_read();
        if awaits {
            self.meter.awaits_peer.set(true);
        }
        awaits
    }

    fn try_monitor(&mut self) -> io::Result<()> {
        self.ops.try_monitor()
    }

    fn reads_ahead(&self) -> bool {
        self.ops.reads_ahead()
    }

    fn max_write_len(&self) -> usize {
        self.ops.max_write_len()
    }

    fn is_mid_write(&self) -> bool {
        self.ops.is_mid_write()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// The names of the functions in the item that begins with `opening`.
    fn functions<'a>(source: &'a str, opening: &str) -> BTreeSet<&'a str> {
        let start = source.find(opening).expect("the source has such an item");
        let item = &source[start..];
        let item = &item[..item.find("\n}").expect("an item ends")];
        item.lines()
            .filter_map(|line| line.strip_prefix("    fn "))
            .filter_map(|line| line.split(['(', '<']).next())
            .collect()
    }

    #[test]
    fn a_metered_stream_passes_every_call_on() {
        // One with a default that was forgotten would compile, and answer for no transport.
        let wanted = functions(include_str!("ops.rs"), "pub trait StreamOps");
        let passed_on = functions(include_str!("metered.rs"), "impl StreamOps for Metered");
        assert_eq!(passed_on, wanted);
    }
}
