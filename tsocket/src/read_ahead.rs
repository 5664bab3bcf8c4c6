//! [`ReadAhead`], what a receive brought beyond what was asked for.

use std::io::{self, IoSliceMut};

use tevent::Readiness;

use crate::buffers::PartsMut;
use crate::chunk::Pool;
use crate::stream::StreamOps;

/// The most that is read ahead, in bytes: a burst of small messages comes with one receive, and a
/// stream that nobody reads from holds no more than this.
pub(crate) const MAX_READ_AHEAD: usize = 16 * 1024;

/// Bytes that have been received and not been asked for yet; no memory while there are none.
#[derive(Debug, Default)]
pub(crate) struct ReadAhead {
    bytes: Vec<u8>,
    start: usize,
    is_off: bool,
}

impl ReadAhead {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether more is received from now on than was asked for.
    pub(crate) fn set_on(&mut self, on: bool) {
        self.is_off = !on;
    }

    fn is_worth_it(&self, ops: &dyn StreamOps, wanted: usize) -> bool {
        !self.is_off && wanted < MAX_READ_AHEAD && ops.reads_ahead()
    }

    /// Puts `bytes` in front of what there is.
    pub(crate) fn put_back(&mut self, mut bytes: Vec<u8>) {
        bytes.extend_from_slice(&self.bytes[self.start..]);
        self.bytes = bytes;
        self.start = 0;
    }

    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.drain(..self.start);
        self.bytes
    }

    /// Makes one attempt to fill `parts`, of `wanted` bytes: from what there is, or else from `ops`
    /// with the scratch buffer behind, whose share is kept. Returns how many bytes were filled.
    pub(crate) fn try_fill(
        &mut self,
        ops: &mut dyn StreamOps,
        pool: &Pool,
        mut parts: PartsMut<'_>,
        wanted: usize,
    ) -> io::Result<usize> {
        if self.len() > 0 {
            return Ok(self.take(&mut parts));
        }
        if !self.is_worth_it(ops, wanted) {
            return ops.try_readv(parts.slices());
        }
        self.receive(pool, wanted, |scratch| {
            let mut parts = parts;
            parts.push(scratch);
            ops.try_readv(parts.slices())
        })
    }

    /// Makes one attempt with the scratch buffer behind `wanted` bytes, and keeps what lands there.
    fn receive(
        &mut self,
        pool: &Pool,
        wanted: usize,
        attempt: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        pool.with_scratch(|scratch| {
            let scratch = &mut scratch[..MAX_READ_AHEAD];
            let received = attempt(scratch)?;
            let surplus = received.saturating_sub(wanted);
            // There was nothing left, so there is nothing to keep in front of it.
            self.bytes = scratch[..surplus].to_vec();
            Ok(received - surplus)
        })
    }

    /// As [`try_fill`](Self::try_fill), for one buffer.
    pub(crate) fn try_read(
        &mut self,
        ops: &mut dyn StreamOps,
        pool: &Pool,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let wanted = buffer.len();
        if self.len() > 0 {
            return Ok(self.copy_to(buffer));
        }
        if !self.is_worth_it(ops, wanted) {
            return ops.try_readv(&mut [IoSliceMut::new(buffer)]);
        }
        self.receive(pool, wanted, |scratch| {
            ops.try_readv(&mut [IoSliceMut::new(buffer), IoSliceMut::new(scratch)])
        })
    }

    /// Looks for the end of the peer: takes what has arrived before it out of the way, as far as there
    /// is room.
    pub(crate) fn try_monitor(&mut self, ops: &mut dyn StreamOps, pool: &Pool) -> io::Result<()> {
        if self.is_off || !ops.reads_ahead() {
            return ops.try_monitor();
        }
        // Keeps what has been read already from piling up in front.
        self.bytes.drain(..self.start);
        self.start = 0;
        while self.len() < MAX_READ_AHEAD {
            let received = pool.with_scratch(|scratch| {
                let scratch = &mut scratch[..MAX_READ_AHEAD - self.len()];
                let received = ops.try_readv(&mut [IoSliceMut::new(scratch)])?;
                self.bytes.extend_from_slice(&scratch[..received]);
                io::Result::Ok(received)
            })?;
            if received == 0 {
                return Ok(());
            }
        }
        ops.unwanted(Readiness::READ);
        ops.try_monitor()
    }

    fn take(&mut self, parts: &mut PartsMut<'_>) -> usize {
        parts
            .slices()
            .iter_mut()
            .map(|slice| self.copy_to(slice))
            .sum()
    }

    fn copy_to(&mut self, slice: &mut [u8]) -> usize {
        let len = slice.len().min(self.len());
        slice[..len].copy_from_slice(&self.bytes[self.start..self.start + len]);
        self.start += len;
        if self.len() == 0 {
            self.bytes = Vec::new();
            self.start = 0;
        }
        len
    }
}
