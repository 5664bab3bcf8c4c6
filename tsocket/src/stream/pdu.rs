//! Reading a PDU whose length is learnt on the way.

mod vector;

use std::io::{self, ErrorKind};
use std::rc::Rc;

use tevent::{Completer, Queue, Request, Work};

pub use vector::{NextVector, VectorProgress};

use super::Stream;
use super::read::{PendingRead, Read};
use super::source::Source;
use crate::chunk::{Chunk, Pool};
use crate::{errors, queued};

impl Stream {
    /// Reads one PDU: `next` sees what has arrived of it and says how many more bytes are needed, until
    /// it says 0.
    ///
    /// `next` is first called with nothing. What has arrived beyond the PDU stays for the next read, so
    /// header and body usually cost one receive. Memory grows with what has arrived, not with what
    /// `next` asks for. No bytes are the end of the stream between two PDUs.
    ///
    /// # Cancellation
    /// A request that is dropped or ended from outside loses what had arrived of its PDU, and reads no
    /// more; `next` itself may be what drops it.
    ///
    /// # Errors
    /// Whatever `next` fails with; `EINVAL` if it wants nothing at first; `EMSGSIZE` if the sum of what
    /// it wants overflows; `EPIPE` if the peer closes inside the PDU; else as [`Stream`] lists them.
    ///
    /// # Examples
    /// ```
    /// use tevent::Context;
    /// use tsocket::{memory, pdu};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let (near, far) = memory::stream_pair(&ctx);
    /// let pdus = ctx.block_on(async {
    ///     near.writev(&b"\0\0\0\x05hello\0\0\0\x01!"[..]).await?;
    ///     let first = far.read_pdu(pdu::u32_be(1000)).await?;
    ///     let second = far.read_pdu(pdu::u32_be(1000)).await?;
    ///     Ok::<_, std::io::Error>((first, second))
    /// })??;
    /// assert_eq!((&pdus.0[4..], &pdus.1[4..]), (&b"hello"[..], &b"!"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Source
    /// `tstream_readv_pdu_send()`. Differs: the PDU is one piece of memory; an error is an error.
    #[doc(alias = "tstream_readv_pdu_send")]
    #[doc(alias = "tstream_readv_pdu_recv")]
    #[track_caller]
    pub fn read_pdu(
        &self,
        next: impl FnMut(&[u8]) -> io::Result<usize> + 'static,
    ) -> Request<Chunk> {
        let (request, completer) = Request::pair(&self.core.ctx, "read pdu");
        self.read_pdu_with(next, completer);
        request
    }

    /// As [`read_pdu`](Self::read_pdu), when it is its turn in `queue`, which it holds until it is done.
    #[doc(alias = "tstream_readv_pdu_queue_send")]
    #[doc(alias = "tstream_readv_pdu_queue_recv")]
    #[track_caller]
    pub fn read_pdu_queued(
        &self,
        queue: &Queue,
        next: impl FnMut(&[u8]) -> io::Result<usize> + 'static,
    ) -> Request<Chunk> {
        let (request, completer) = Request::pair(&self.core.ctx, "read pdu queued");
        let stream = self.clone();
        queued::wait_for_turn(queue, completer, move |turn, completer| match turn {
            Ok(turn) => {
                queued::hold(&completer, (turn, stream.clone()));
                stream.read_pdu_with(next, completer);
            }
            Err(error) => completer.error(error),
        });
        request
    }

    fn read_pdu_with(
        &self,
        next: impl FnMut(&[u8]) -> io::Result<usize> + 'static,
        completer: Completer<Chunk>,
    ) {
        match self.core.check_read() {
            Ok(()) => {
                let read = ReadPdu {
                    next,
                    pdu: Chunk::default(),
                    arrived: 0,
                    needed: 0,
                    completer,
                };
                self.core.begin_read(PendingRead::Other(Box::new(read)));
            }
            Err(error) => completer.error(error),
        }
    }
}

struct ReadPdu<N> {
    next: N,
    // Invariant: `arrived` bytes of the PDU, and room that is not used yet.
    pdu: Chunk,
    arrived: usize,
    needed: usize,
    completer: Completer<Chunk>,
}

impl<N: FnMut(&[u8]) -> io::Result<usize>> ReadPdu<N> {
    fn fill(&mut self, source: &mut Source<'_>) -> io::Result<()> {
        loop {
            if self.arrived == self.needed && self.ask_next(source)? {
                return Ok(());
            }
            self.make_room(source.pool());
            let room = self.pdu.len().min(self.needed);
            match source.try_read(&mut self.pdu[self.arrived..room])? {
                0 if self.arrived == 0 => return Ok(()),
                0 => return Err(errors::broken_pipe()),
                filled => self.arrived += filled,
            }
        }
    }

    /// Returns whether the PDU is complete.
    fn ask_next(&mut self, source: &Source<'_>) -> io::Result<bool> {
        let more = source.unless_it_unwinds(|| (self.next)(&self.pdu[..self.arrived]))?;
        if self.completer.is_moot() {
            // `next` has dropped its own request: the bytes behind are the next read's.
            return Err(errors::would_block());
        }
        self.needed = self
            .arrived
            .checked_add(more)
            .ok_or_else(errors::too_large)?;
        if self.needed == 0 {
            return Err(errors::empty());
        }
        Ok(more == 0)
    }

    /// Makes room for what may arrive at once: up to a pooled buffer, then as much again as is there.
    fn make_room(&mut self, pool: &Rc<Pool>) {
        if self.pdu.len() > self.arrived {
            return;
        }
        let room = self.needed.min((2 * self.arrived).max(Pool::MAX));
        if !self.pdu.grow(room) {
            self.move_to(pool.chunk(room));
        }
    }

    fn move_to(&mut self, mut chunk: Chunk) {
        chunk[..self.arrived].copy_from_slice(&self.pdu[..self.arrived]);
        self.pdu = chunk;
    }
}

impl<N: FnMut(&[u8]) -> io::Result<usize>> Read for ReadPdu<N> {
    fn begin(&mut self, source: &mut Source<'_>) -> io::Result<()> {
        self.ask_next(source).map(drop)
    }

    fn attempt(&mut self, source: &mut Source<'_>) -> io::Result<()> {
        let filled = self.fill(source);
        if matches!(&filled, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            // While it waits it owns little more than what has arrived.
            if self.pdu.len() > 2 * self.arrived {
                self.move_to(source.pool().chunk(self.arrived));
            }
        }
        filled
    }

    fn finish(self: Box<Self>, result: io::Result<()>) {
        let Self {
            mut pdu,
            arrived,
            completer,
            ..
        } = *self;
        pdu.truncate(arrived);
        completer.finish(result.map(|()| pdu));
    }

    fn is_moot(&self) -> bool {
        self.completer.is_moot()
    }

    fn set_work(&self, work: Rc<dyn Work>, slot: usize) {
        self.completer.set_work(work, slot);
    }
}
