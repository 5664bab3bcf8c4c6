//! The frame of both packets: how long one is, and collecting it.

use std::fmt;

use zeroize::Zeroizing;

use super::ndr::{Reader, Result, Writer};
use super::secret::grow;
use super::{CodecError, CodecErrorKind, Level};

/// What stands behind the length of every packet.
pub const MAGIC: [u8; 4] = *b"NPAM";

/// The largest packet there is, in bytes, its length included.
pub const MAX_PACKET_LEN: usize = 0x00ff_ffff + LENGTH_LEN;

const LENGTH_LEN: usize = 4;

/// The length and the magic.
const HEAD_LEN: usize = LENGTH_LEN + MAGIC.len();

/// The magic and both words that say the level.
const LENGTH_MIN: u32 = 12;

/// How much room is made for a packet before any of it has arrived: real ones have 600 to 1,400 bytes.
const FIRST_STEP: usize = 1536;

/// How many bytes the packet has that begins with `head`, its length included; `None` while too little
/// has arrived to know.
///
/// `limit` is how many bytes are taken, at most [`MAX_PACKET_LEN`].
///
/// # Errors
/// - [`TooShort`](super::CodecErrorKind::TooShort), [`TooLong`](super::CodecErrorKind::TooLong) of the
///   length, as soon as it is there.
/// - [`Magic`](super::CodecErrorKind::Magic) as soon as that is there.
pub fn packet_len(head: &[u8], limit: usize) -> Result<Option<usize>> {
    let Some(length) = head.first_chunk() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length);
    if length < LENGTH_MIN {
        let kind = CodecErrorKind::TooShort { len: length };
        return Err(CodecError::new(kind, "length", 0));
    }
    let limit = limit.min(MAX_PACKET_LEN);
    let len = usize::try_from(length).unwrap_or(usize::MAX);
    let len = len.saturating_add(LENGTH_LEN);
    if len > limit {
        let kind = CodecErrorKind::TooLong { len, limit };
        return Err(CodecError::new(kind, "length", 0));
    }
    match head[LENGTH_LEN..].first_chunk() {
        Some(magic) if *magic != MAGIC => {
            let kind = CodecErrorKind::Magic(*magic);
            Err(CodecError::new(kind, "magic", LENGTH_LEN))
        }
        _ => Ok(Some(len)),
    }
}

/// A packet on its way in: says where the next bytes go, and never asks for one behind the packet.
///
/// Its memory grows with what has arrived, not with what is claimed, and is wiped whenever it is given up.
///
/// # Examples
/// ```
/// use std::io::Read;
/// use tsocket_npa::codec::{FileType, Incoming, Level, Reply};
///
/// # fn main() -> std::io::Result<()> {
/// let reply = Reply::accept(Level::L8, FileType::BYTE_MODE);
/// let arriving = [&reply.encode()[..], b"what follows"].concat();
/// let mut source = &arriving[..];
/// let mut incoming = Incoming::new(1000);
/// loop {
///     let len = source.read(incoming.room())?;
///     if incoming.advance(len)? {
///         break;
///     }
/// }
/// assert_eq!(Reply::decode(incoming.bytes())?, reply);
/// assert_eq!(source, b"what follows");
/// # Ok(())
/// # }
/// ```
pub struct Incoming {
    buffer: Zeroizing<Vec<u8>>,
    filled: usize,
    /// How many bytes there will be: those of the head, then of the packet, and no more after an error.
    target: usize,
    limit: usize,
}

impl Incoming {
    /// A packet of at most `limit` bytes, its length included; what is above [`MAX_PACKET_LEN`] is refused
    /// in any case.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: Zeroizing::default(),
            filled: 0,
            target: HEAD_LEN,
            limit,
        }
    }

    /// Where the next bytes go; empty when the packet is complete or cannot become one.
    pub fn room(&mut self) -> &mut [u8] {
        if self.filled == self.buffer.len() && self.filled < self.target {
            let len = self.target.min(FIRST_STEP.max(2 * self.filled));
            grow(&mut self.buffer, len);
            self.buffer.resize(len, 0);
        }
        &mut self.buffer[self.filled..]
    }

    /// Takes note that the first `len` bytes of [`room`](Self::room) have arrived, and says whether the
    /// packet is complete.
    ///
    /// # Errors
    /// Those of [`packet_len`]; there is no more room then.
    ///
    /// # Panics
    /// If there was less room.
    pub fn advance(&mut self, len: usize) -> Result<bool> {
        assert!(
            len <= self.buffer.len() - self.filled,
            "there was less room"
        );
        self.filled += len;
        match packet_len(self.bytes(), self.limit) {
            Ok(total) => {
                self.target = total.unwrap_or(HEAD_LEN);
                Ok(total == Some(self.filled))
            }
            Err(error) => {
                self.target = self.filled;
                self.buffer.truncate(self.filled);
                Err(error)
            }
        }
    }

    /// What has arrived.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({} bytes)", self.filled)
    }
}

/// Checks the frame of a whole packet, and says its level and where the structure begins.
pub(super) fn open(packet: &[u8]) -> Result<(Level, Reader<'_>)> {
    let mut reader = Reader::new(packet, 0);
    reader.u32("length")?;
    if let Some(len) = packet_len(packet, MAX_PACKET_LEN)? {
        if len != packet.len() {
            let (said, present) = (len - LENGTH_LEN, packet.len() - LENGTH_LEN);
            let kind = CodecErrorKind::LengthDiffers { said, present };
            return Err(CodecError::new(kind, "length", 0));
        }
    }
    let mut reader = Reader::new(packet, HEAD_LEN);
    let first = reader.u32("level")?;
    let unknown = CodecErrorKind::UnknownLevel(first);
    let level = Level::from_number(first).ok_or_else(|| reader.error_in_word(unknown, "level"))?;
    let second = reader.u32("level")?;
    if first != second {
        let kind = CodecErrorKind::LevelsDiffer { first, second };
        return Err(reader.error_in_word(kind, "level"));
    }
    Ok((level, reader))
}

/// A packet of `level` whose structure is still to be written.
pub(super) fn begin(level: Level) -> Writer {
    let mut writer = Writer::new();
    writer.raw(&[0; LENGTH_LEN]);
    writer.raw(&MAGIC);
    writer.u32(level.number());
    writer.u32(level.number());
    writer
}

/// The whole packet, now that its structure has been written.
pub(super) fn finish(writer: Writer) -> Result<Zeroizing<Vec<u8>>> {
    let mut packet = writer.into_bytes();
    let too_long = CodecError::too_long(packet.len(), "length", 0);
    if packet.len() > MAX_PACKET_LEN {
        return Err(too_long);
    }
    let length = u32::try_from(packet.len() - LENGTH_LEN).map_err(|_| too_long)?;
    packet[..LENGTH_LEN].copy_from_slice(&length.to_be_bytes());
    Ok(packet)
}
