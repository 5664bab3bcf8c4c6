//! The frame of both packets: how long one is, and collecting it.

use zeroize::Zeroizing;

use super::CodecError;

/// What stands behind the length of every packet.
pub const MAGIC: [u8; 4] = *b"NPAM";

/// The largest packet there is, in bytes, its length included.
pub const MAX_PACKET_LEN: usize = 0x00ff_ffff + LENGTH_LEN;

const LENGTH_LEN: usize = 4;

/// How many bytes the packet has that begins with `head`, its length included; `None` while too little
/// has arrived to know.
///
/// `limit` is how many bytes are taken, at most [`MAX_PACKET_LEN`].
///
/// # Errors
/// - [`TooShort`](super::CodecErrorKind::TooShort), [`TooLong`](super::CodecErrorKind::TooLong) of the
///   length, as soon as it is there.
/// - [`Magic`](super::CodecErrorKind::Magic) as soon as that is there.
pub fn packet_len(head: &[u8], limit: usize) -> Result<Option<usize>, CodecError> {
    todo!("{} {limit}", head.len())
}

/// A packet on its way in: says where the next bytes go, and never asks for one behind the packet.
///
/// Its memory grows with what has arrived, not with what is claimed, and is wiped whenever it is given up.
#[derive(Debug)]
pub struct Incoming {
    buffer: Zeroizing<Vec<u8>>,
    limit: usize,
}

impl Incoming {
    /// A packet of at most `limit` bytes, its length included.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        todo!("{limit}")
    }

    /// Where the next bytes go; empty when the packet is complete.
    pub fn room(&mut self) -> &mut [u8] {
        todo!()
    }

    /// Takes note that the first `len` bytes of [`room`](Self::room) have arrived, and says whether the
    /// packet is complete.
    ///
    /// # Errors
    /// Those of [`packet_len`]; more bytes change nothing then.
    ///
    /// # Panics
    /// If there was less room.
    pub fn advance(&mut self, len: usize) -> Result<bool, CodecError> {
        todo!("{len}")
    }

    /// What has arrived.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        todo!()
    }
}
