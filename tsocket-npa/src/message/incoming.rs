//! [`Incoming`], the message that is being read.

use std::io::{self, IoSliceMut};

use tsocket::Transport;

use crate::{MessageHeader, errors};

/// How far the current message has been read.
#[derive(Default)]
pub(super) struct Incoming {
    header: [u8; MessageHeader::LEN],
    header_len: usize,
    // What is left to deliver of the current message; 0 between messages.
    rest: usize,
    // The first bytes of that, as far as an attempt that needed more has taken them from the transport.
    kept: Vec<u8>,
    kept_start: usize,
}

impl Incoming {
    /// How many bytes of the current message have not been delivered.
    pub(super) fn rest(&self) -> usize {
        self.rest
    }

    /// Whether a read that asks for little may not need the transport.
    pub(super) fn has_kept(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Fills `buffers` with as much of one message as fits them, all of it or nothing; 0 is the end.
    pub(super) fn try_readv(
        &mut self,
        transport: &mut Transport,
        buffers: &mut [IoSliceMut<'_>],
    ) -> io::Result<usize> {
        if self.rest == 0 && !self.read_header(transport)? {
            return Ok(0);
        }
        let room: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let wanted = room.min(self.rest);
        let (filled, result) = self.fill(transport, buffers, wanted);
        match result {
            Ok(()) => {
                self.delivered(wanted);
                Ok(wanted)
            }
            Err(error) => {
                self.keep(buffers, filled);
                Err(error)
            }
        }
    }

    /// Returns whether there is another message.
    fn read_header(&mut self, transport: &mut Transport) -> io::Result<bool> {
        while self.header_len < MessageHeader::LEN {
            let left = &mut self.header[self.header_len..];
            match transport.try_readv(&mut [IoSliceMut::new(left)])? {
                0 if self.header_len == 0 => return Ok(false),
                0 => return Err(errors::truncated()),
                read => self.header_len += read,
            }
        }
        // A bad one stays where it is, so that the next attempt says the same.
        self.rest = MessageHeader::decode(self.header)?.payload_len();
        self.header_len = 0;
        Ok(true)
    }

    /// Fills the first `wanted` bytes; returns how many there are now, and what went wrong.
    fn fill(
        &mut self,
        transport: &mut Transport,
        buffers: &mut [IoSliceMut<'_>],
        wanted: usize,
    ) -> (usize, io::Result<()>) {
        let mut filled = 0;
        for buffer in buffers {
            let end = buffer.len().min(wanted - filled);
            let mut start = 0;
            while start < end {
                let part = &mut buffer[start..end];
                let kept = self.kept.get(self.kept_start + filled..);
                let read = match kept {
                    Some(kept) if !kept.is_empty() => {
                        let len = kept.len().min(part.len());
                        part[..len].copy_from_slice(&kept[..len]);
                        len
                    }
                    _ => match transport.try_readv(&mut [IoSliceMut::new(part)]) {
                        Ok(0) => return (filled, Err(errors::truncated())),
                        Ok(read) => read,
                        Err(error) => return (filled, Err(error)),
                    },
                };
                start += read;
                filled += read;
            }
        }
        (filled, Ok(()))
    }

    /// Takes note that `len` bytes have been delivered, from what was kept first.
    fn delivered(&mut self, len: usize) {
        self.rest -= len;
        self.kept_start += len;
        if self.kept_start >= self.kept.len() {
            self.kept = Vec::new();
            self.kept_start = 0;
        }
    }

    /// Keeps the first `filled` bytes of `buffers`, without those that are kept already.
    fn keep(&mut self, buffers: &[IoSliceMut<'_>], filled: usize) {
        let mut skip = self.kept.len() - self.kept_start;
        let mut left = filled.saturating_sub(skip);
        for buffer in buffers {
            let start = skip.min(buffer.len());
            let end = buffer.len().min(start + left);
            self.kept.extend_from_slice(&buffer[start..end]);
            skip -= start;
            left -= end - start;
        }
    }
}
