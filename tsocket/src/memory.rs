//! Streams in memory: for tests, and as the smallest implementation to read.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::rc::Rc;

use tevent::{Context, Readiness};

use crate::ready::Ready;
use crate::stream::{Stream, StreamOps};
use crate::{Address, errors};

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
    let (there, back) = (Rc::new(Pipe::default()), Rc::new(Pipe::default()));
    let near = end(ctx, back.clone(), there.clone());
    let far = end(ctx, there, back);
    (near, far)
}

fn end(ctx: &Context, incoming: Rc<Pipe>, outgoing: Rc<Pipe>) -> Stream {
    let made = Stream::new(ctx, |ready| {
        incoming.reader.replace(Some(ready.clone()));
        outgoing.writer.replace(Some(ready));
        Ok(Box::new(End { incoming, outgoing }))
    });
    made.expect("making an end in memory cannot fail")
}

/// One direction of a pair.
#[derive(Default)]
struct Pipe {
    bytes: RefCell<VecDeque<u8>>,
    // Whoever is to be told that there is something to read, or room to write; gone with its end.
    reader: RefCell<Option<Ready>>,
    writer: RefCell<Option<Ready>>,
    is_reader_waiting: Cell<bool>,
    is_writer_waiting: Cell<bool>,
    // No more will be written.
    is_ended: Cell<bool>,
}

impl Pipe {
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
        if self.outgoing.is_ended.get() || self.outgoing.reader.borrow().is_none() {
            return Err(errors::broken_pipe());
        }
        let mut bytes = self.outgoing.bytes.borrow_mut();
        let mut room = CAPACITY - bytes.len();
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
        Ok(Address::unix_unnamed())
    }

    fn peer_address(&self) -> io::Result<Address> {
        Ok(Address::unix_unnamed())
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
        self.incoming.bytes.take();
        self.incoming.tell_writer();
    }
}
