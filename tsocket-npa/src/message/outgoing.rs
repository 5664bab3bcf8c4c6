//! [`Outgoing`], the message that is being written.

use std::io::{self, IoSlice};

use tsocket::Transport;

use crate::MessageHeader;

/// How many buffers are written behind a header without allocating.
const INLINE: usize = 8;

/// How far the current message has been written.
// Invariant: between messages, and before the transport has taken anything of one, no byte of a header
// was sent.
#[derive(Default)]
pub(super) struct Outgoing {
    header: [u8; MessageHeader::LEN],
    header_sent: usize,
    rest: usize,
}

impl Outgoing {
    /// Whether the transport has taken a part of a message and waits for the rest.
    pub(super) fn is_mid_message(&self) -> bool {
        self.header_sent > 0
    }

    /// Writes as much of a message as the transport takes, and returns how many bytes of `buffers`;
    /// between messages `buffers` are all of the next one, otherwise the rest of the current one.
    pub(super) fn try_writev(
        &mut self,
        transport: &mut Transport,
        buffers: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        if !self.is_mid_message() {
            self.rest = buffers.iter().map(|buffer| buffer.len()).sum();
            self.header = MessageHeader::for_payload(self.rest)?.encode();
        }
        while self.header_sent < MessageHeader::LEN {
            let left = &self.header[self.header_sent..];
            let taken = write_behind(left, transport, buffers)?;
            if taken == 0 {
                return Ok(0);
            }
            let of_header = taken.min(left.len());
            self.header_sent += of_header;
            if taken > of_header {
                return Ok(self.took(taken - of_header));
            }
        }
        let taken = transport.try_writev(buffers)?;
        Ok(self.took(taken))
    }

    fn took(&mut self, len: usize) -> usize {
        self.rest = self
            .rest
            .checked_sub(len)
            .expect("a write that was taken in part continues with the rest of the same bytes");
        if self.rest == 0 {
            self.header_sent = 0;
        }
        len
    }
}

/// Makes one attempt to write `header` with `buffers` behind it.
fn write_behind(
    header: &[u8],
    transport: &mut Transport,
    buffers: &[IoSlice<'_>],
) -> io::Result<usize> {
    let header = IoSlice::new(header);
    if buffers.len() > INLINE {
        let all: Vec<IoSlice<'_>> = [header].iter().chain(buffers).copied().collect();
        return transport.try_writev(&all);
    }
    let mut all = [header; 1 + INLINE];
    all[1..=buffers.len()].copy_from_slice(buffers);
    transport.try_writev(&all[..=buffers.len()])
}
