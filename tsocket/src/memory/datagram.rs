//! A pair of datagram endpoints in memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use tevent::{Context, Readiness};

use super::CAPACITY;
use crate::datagram::{Datagram, DatagramOps, Received};
use crate::ready::Ready;
use crate::{Address, errors};

/// What a datagram takes of the capacity beside its bytes, so that empty ones are bounded too.
const OVERHEAD: usize = 64;

/// Two connected datagram endpoints of `ctx`: what is sent to one is received from the other.
///
/// They behave like a pair of unix sockets: nothing is lost or reordered, a send waits while the other direction
/// is full, and one of more than [`CAPACITY`] bytes fails with `EMSGSIZE`. When one is gone, what it had
/// sent can still be received; sending to it fails with `ECONNREFUSED`. Giving an address
/// fails with `EISCONN`; their own are unnamed unix addresses.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let ctx = tevent::Context::new()?;
/// let (near, far) = tsocket::memory::datagram_pair(&ctx);
/// ctx.run_until(near.send_to(&b"hi"[..], None))??;
/// let (bytes, _) = ctx.run_until(far.recv_from())??;
/// assert_eq!(&*bytes, b"hi");
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn datagram_pair(ctx: &Context) -> (Datagram, Datagram) {
    datagram_pair_holding(ctx, CAPACITY)
}

/// As [`datagram_pair`], with `capacity` bytes in each direction before sends wait; a datagram also takes some bytes
/// for itself, and there is always room for one.
#[must_use]
pub fn datagram_pair_holding(ctx: &Context, capacity: usize) -> (Datagram, Datagram) {
    let line = || {
        Rc::new(Line {
            capacity,
            datagrams: RefCell::default(),
            len: Cell::new(0),
            receiver: RefCell::default(),
            sender: RefCell::default(),
            is_unread: Cell::new(false),
        })
    };
    let (there, back) = (line(), line());
    let near = end(ctx, back.clone(), there.clone());
    let far = end(ctx, there, back);
    (near, far)
}

fn end(ctx: &Context, incoming: Rc<Line>, outgoing: Rc<Line>) -> Datagram {
    let made = Datagram::new(ctx, |ready| {
        incoming.receiver.replace(Some(ready.clone()));
        outgoing.sender.replace(Some(ready));
        Ok(Box::new(End { incoming, outgoing }))
    });
    made.expect("making an end in memory cannot fail")
}

/// One direction of a pair.
struct Line {
    capacity: usize,
    datagrams: RefCell<VecDeque<Vec<u8>>>,
    // What they take of the capacity.
    len: Cell<usize>,
    receiver: RefCell<Option<Ready>>,
    sender: RefCell<Option<Ready>>,
    is_unread: Cell<bool>,
}

/// Tells whoever is there; once too often is harmless.
fn tell(end: &RefCell<Option<Ready>>, what: Readiness) {
    if let Some(ready) = &*end.borrow() {
        ready.schedule(what);
    }
}

struct End {
    incoming: Rc<Line>,
    outgoing: Rc<Line>,
}

impl DatagramOps for End {
    fn try_recv_from(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let next = self.incoming.datagrams.borrow_mut().pop_front();
        let datagram = next.ok_or_else(errors::would_block)?;
        let left = self.incoming.len.get() - (datagram.len() + OVERHEAD);
        self.incoming.len.set(left);
        tell(&self.incoming.sender, Readiness::WRITE);
        let len = datagram.len().min(buffer.len());
        buffer[..len].copy_from_slice(&datagram[..len]);
        Ok(Received {
            len,
            full_len: datagram.len(),
            from: Address::unix_unnamed(),
        })
    }

    fn try_send_to(&mut self, bytes: &[u8], to: Option<&Address>) -> io::Result<()> {
        let line = &self.outgoing;
        if to.is_some() {
            return Err(errors::is_connected());
        }
        if line.is_unread.get() {
            return Err(errors::refused());
        }
        if bytes.len() > line.capacity {
            return Err(errors::too_large());
        }
        let len = line.len.get() + bytes.len() + OVERHEAD;
        if len > line.capacity && line.len.get() > 0 {
            return Err(errors::would_block());
        }
        line.len.set(len);
        line.datagrams.borrow_mut().push_back(bytes.to_vec());
        tell(&line.receiver, Readiness::READ);
        Ok(())
    }

    fn local_address(&self) -> io::Result<Address> {
        Ok(Address::unix_unnamed())
    }

    fn peer_address(&self) -> io::Result<Address> {
        Ok(Address::unix_unnamed())
    }

    fn told(&mut self, readiness: Readiness) -> Readiness {
        readiness
    }

    fn unwanted(&mut self, _: Readiness) {
        // Each change is told once, so there is nothing to take back.
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.outgoing.sender.take();
        self.incoming.receiver.take();
        self.incoming.is_unread.set(true);
        self.incoming.datagrams.take();
        tell(&self.incoming.sender, Readiness::WRITE);
    }
}
