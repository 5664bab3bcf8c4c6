//! Streams, datagrams and listeners in memory: for tests, and as the smallest implementation to read.

mod datagram;
mod listener;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::rc::Rc;

use tevent::{Context, Readiness};

use crate::ready::Ready;
use crate::stream::{Stream, StreamOps};
use crate::{Address, errors};

pub use datagram::{datagram_pair, datagram_pair_holding};
pub use listener::{BACKLOG, Name, connect, listen};

/// How many bytes each direction of a pair holds before writes wait: what a unix socket holds, roughly.
pub const CAPACITY: usize = 64 * 1024;

/// Two connected streams of `ctx`: what is written to one is read from the other.
///
/// They behave like a pair of sockets: each direction holds [`CAPACITY`] bytes, and has a half-close.
/// When one is gone, what it had written can still be read from the other, then the end of the stream;
/// writing to the other fails with `EPIPE`. Their addresses are unnamed unix addresses.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let ctx = tevent::Context::new()?;
/// let (near, far) = tsocket::memory::stream_pair(&ctx);
/// let written = near.writev(&b"hi"[..]);
/// assert_eq!(ctx.run_until(far.readv(vec![0; 2]))??, b"hi");
/// # drop(written);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn stream_pair(ctx: &Context) -> (Stream, Stream) {
    stream_pair_holding(ctx, CAPACITY)
}

/// As [`stream_pair`], with `capacity` bytes in each direction before writes wait; at least one.
///
/// A small one has programs meet short writes and reads where they are not used to them.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let ctx = tevent::Context::new()?;
/// let (near, far) = tsocket::memory::stream_pair_holding(&ctx, 1);
/// let written = near.writev(&b"byte by byte"[..]);
/// assert_eq!(&*ctx.run_until(far.read(100))??, b"b");
/// # drop(written);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn stream_pair_holding(ctx: &Context, capacity: usize) -> (Stream, Stream) {
    let unnamed = Address::unix_unnamed();
    let (near, far) = connected(capacity, &unnamed, &unnamed);
    (near.into_stream(ctx), far.into_stream(ctx))
}

/// Two ends that are connected with each other, and their addresses.
fn connected(capacity: usize, near: &Address, far: &Address) -> (End, End) {
    let (there, back) = (
        Rc::new(Pipe::holding(capacity)),
        Rc::new(Pipe::holding(capacity)),
    );
    let end = |incoming: &Rc<Pipe>, outgoing: &Rc<Pipe>, local: &Address, peer: &Address| End {
        incoming: incoming.clone(),
        outgoing: outgoing.clone(),
        local: local.clone(),
        peer: peer.clone(),
    };
    (end(&back, &there, near, far), end(&there, &back, far, near))
}

/// One direction of a pair.
struct Pipe {
    capacity: usize,
    bytes: RefCell<VecDeque<u8>>,
    // Whoever is to be told that there is something to read, or room to write; gone with its end.
    reader: RefCell<Option<Ready>>,
    writer: RefCell<Option<Ready>>,
    is_reader_waiting: Cell<bool>,
    is_writer_waiting: Cell<bool>,
    // No more will be written.
    is_ended: Cell<bool>,
    // No more will be read.
    is_unread: Cell<bool>,
}

impl Pipe {
    fn holding(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            bytes: RefCell::default(),
            reader: RefCell::default(),
            writer: RefCell::default(),
            is_reader_waiting: Cell::new(false),
            is_writer_waiting: Cell::new(false),
            is_ended: Cell::new(false),
            is_unread: Cell::new(false),
        }
    }

    fn tell_reader(&self) {
        if self.is_reader_waiting.replace(false) {
            if let Some(reader) = &*self.reader.borrow() {
                reader.schedule(Readiness::READ);
            }
        }
    }

    fn tell_writer(&self) {
        if self.is_writer_waiting.replace(false) {
            if let Some(writer) = &*self.writer.borrow() {
                writer.schedule(Readiness::WRITE);
            }
        }
    }
}

/// One end of a pair.
struct End {
    incoming: Rc<Pipe>,
    outgoing: Rc<Pipe>,
    local: Address,
    peer: Address,
}

impl End {
    fn into_stream(self, ctx: &Context) -> Stream {
        let made = Stream::new(ctx, |ready| {
            self.incoming.reader.replace(Some(ready.clone()));
            self.outgoing.writer.replace(Some(ready));
            Ok(Box::new(self))
        });
        made.expect("making an end in memory cannot fail")
    }
}

impl StreamOps for End {
    fn try_readv(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut bytes = self.incoming.bytes.borrow_mut();
        if bytes.is_empty() {
            if self.incoming.is_ended.get() {
                return Ok(0);
            }
            self.incoming.is_reader_waiting.set(true);
            return Err(errors::would_block());
        }
        let mut read = 0;
        for buffer in buffers {
            let mut filled = 0;
            // A deque is read in up to two pieces: to its end, then from where it wraps round.
            while filled < buffer.len() && !bytes.is_empty() {
                filled += io::Read::read(&mut *bytes, &mut buffer[filled..])?;
            }
            read += filled;
        }
        self.incoming.tell_writer();
        Ok(read)
    }

    fn try_writev(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.outgoing.is_ended.get() || self.outgoing.is_unread.get() {
            return Err(errors::broken_pipe());
        }
        let mut bytes = self.outgoing.bytes.borrow_mut();
        let mut room = self.outgoing.capacity - bytes.len();
        if room == 0 {
            self.outgoing.is_writer_waiting.set(true);
            return Err(errors::would_block());
        }
        let before = bytes.len();
        for buffer in buffers {
            let len = buffer.len().min(room);
            bytes.extend(&buffer[..len]);
            room -= len;
        }
        let written = bytes.len() - before;
        self.outgoing.tell_reader();
        Ok(written)
    }

    fn pending_bytes(&mut self) -> io::Result<usize> {
        Ok(self.incoming.bytes.borrow().len())
    }

    fn try_shutdown(&mut self) -> io::Result<()> {
        self.outgoing.is_ended.set(true);
        self.outgoing.tell_reader();
        Ok(())
    }

    fn local_address(&self) -> io::Result<Address> {
        Ok(self.local.clone())
    }

    fn peer_address(&self) -> io::Result<Address> {
        Ok(self.peer.clone())
    }

    fn try_monitor(&mut self) -> io::Result<()> {
        if self.incoming.is_ended.get() {
            return Ok(());
        }
        self.incoming.is_reader_waiting.set(true);
        Err(errors::would_block())
    }

    fn move_to(&mut self, _ctx: &Context) -> io::Result<()> {
        Ok(())
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
        self.outgoing.is_ended.set(true);
        self.outgoing.writer.take();
        self.outgoing.tell_reader();
        self.incoming.reader.take();
        self.incoming.is_unread.set(true);
        self.incoming.bytes.take();
        self.incoming.tell_writer();
    }
}
