//! [`Unsent`], what a session has sent and the transport has not taken.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem;

use crate::MAX_BUFFER_COUNT;

/// Pieces that are smaller than this together become one: a thousand small sends are not a thousand
/// buffers.
const MERGED_LEN: usize = 4096;

/// How many buffers one attempt offers.
const OFFERED_COUNT: usize = 16;

/// Bytes in the order in which they were sent.
#[derive(Default)]
pub(super) struct Unsent {
    pieces: VecDeque<Vec<u8>>,
    // How far the first piece was taken.
    start: usize,
    // Of the pieces, without what was taken.
    len: usize,
    // Given to a write that is going on.
    in_flight: usize,
}

impl Unsent {
    /// How many bytes have not been taken, those of a write that is going on included.
    pub(super) fn len(&self) -> usize {
        self.len + self.in_flight
    }

    /// Whether there is something that no write has been given.
    pub(super) fn has_waiting(&self) -> bool {
        self.len > 0
    }

    pub(super) fn push(&mut self, piece: Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        self.len += piece.len();
        match self.pieces.back_mut() {
            Some(last) if last.len() + piece.len() <= MERGED_LEN => last.extend_from_slice(&piece),
            _ => self.pieces.push_back(piece),
        }
    }

    /// Takes the next pieces for one write, of `max` bytes at most.
    pub(super) fn take_batch(&mut self, max: usize) -> Vec<Vec<u8>> {
        let mut batch = Vec::new();
        let mut room = max;
        while batch.len() < MAX_BUFFER_COUNT && room > 0 {
            let Some(mut piece) = self.pieces.pop_front() else {
                break;
            };
            piece.drain(..mem::take(&mut self.start));
            if piece.len() > room {
                self.pieces.push_front(piece.split_off(room));
            }
            room -= piece.len();
            batch.push(piece);
        }
        self.in_flight = max - room;
        self.len -= self.in_flight;
        batch
    }

    /// Notes that the write of the last batch is done.
    pub(super) fn batch_done(&mut self) {
        self.in_flight = 0;
    }

    /// Takes everything, as one piece.
    pub(super) fn take_all(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len);
        for piece in self.pieces.drain(..) {
            all.extend_from_slice(&piece[mem::take(&mut self.start)..]);
        }
        self.len = 0;
        all
    }

    /// Lends the first bytes, at most `max`, to one attempt.
    pub(super) fn with_slices<R>(
        &self,
        max: usize,
        attempt: impl FnOnce(&[IoSlice<'_>]) -> R,
    ) -> R {
        let mut slices = [IoSlice::new(&[]); OFFERED_COUNT];
        let mut count = 0;
        let mut left = max;
        let mut start = self.start;
        for (slot, piece) in slices.iter_mut().zip(&self.pieces) {
            let bytes = &piece[mem::take(&mut start)..];
            let bytes = &bytes[..bytes.len().min(left)];
            if bytes.is_empty() {
                break;
            }
            *slot = IoSlice::new(bytes);
            left -= bytes.len();
            count += 1;
        }
        attempt(&slices[..count])
    }

    /// Notes that the first `len` bytes were taken.
    pub(super) fn taken(&mut self, len: usize) {
        self.len -= len;
        self.start += len;
        while let Some(first) = self.pieces.front() {
            if self.start < first.len() {
                break;
            }
            self.start -= first.len();
            self.pieces.pop_front();
        }
    }
}
