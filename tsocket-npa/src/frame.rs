//! [`MessageHeader`], the length that travels in front of each message.

use std::error::Error;
use std::fmt;
use std::io;
use std::num::NonZeroU16;

use rustix::io::Errno;

/// The header of one message of message mode: the length of its payload in bytes, little-endian.
///
/// A payload has 1 to [`MAX_PAYLOAD_LEN`](Self::MAX_PAYLOAD_LEN) bytes; the header is not counted.
///
/// # Examples
/// ```
/// use tsocket_npa::{FrameError, MessageHeader};
///
/// let header = MessageHeader::for_payload(5)?;
/// assert_eq!(header.encode(), [5, 0]);
/// assert_eq!(MessageHeader::decode([7, 1])?.payload_len(), 0x107);
/// assert_eq!(MessageHeader::decode([0, 0]), Err(FrameError::EmptyMessage));
/// # Ok::<(), FrameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageHeader(NonZeroU16);

/// Why there is no header for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameError {
    /// The message has no bytes.
    EmptyMessage,
    /// The message has more bytes than a header can say.
    MessageTooLong {
        /// How many it has.
        len: usize,
    },
}

impl MessageHeader {
    /// How many bytes the header itself has.
    pub const LEN: usize = size_of::<u16>();

    /// The largest number of bytes in one message.
    pub const MAX_PAYLOAD_LEN: usize = 0xffff;

    /// The header of a message of `len` bytes.
    ///
    /// # Errors
    /// - [`EmptyMessage`](FrameError::EmptyMessage) if `len` is 0.
    /// - [`MessageTooLong`](FrameError::MessageTooLong) if it is more than
    ///   [`MAX_PAYLOAD_LEN`](Self::MAX_PAYLOAD_LEN).
    pub fn for_payload(len: usize) -> Result<Self, FrameError> {
        let short = u16::try_from(len).map_err(|_| FrameError::MessageTooLong { len })?;
        NonZeroU16::new(short)
            .map(Self)
            .ok_or(FrameError::EmptyMessage)
    }

    /// Reads a header.
    ///
    /// # Errors
    /// - [`EmptyMessage`](FrameError::EmptyMessage) if it says 0.
    pub fn decode(bytes: [u8; Self::LEN]) -> Result<Self, FrameError> {
        NonZeroU16::new(u16::from_le_bytes(bytes))
            .map(Self)
            .ok_or(FrameError::EmptyMessage)
    }

    /// The bytes of the header.
    #[must_use]
    pub fn encode(self) -> [u8; Self::LEN] {
        self.0.get().to_le_bytes()
    }

    /// How many bytes the message has.
    #[must_use]
    pub fn payload_len(self) -> usize {
        self.0.get().into()
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyMessage => f.write_str("a message has no bytes"),
            Self::MessageTooLong { len } => write!(
                f,
                "a message has {len} bytes, more than {}",
                MessageHeader::MAX_PAYLOAD_LEN
            ),
        }
    }
}

impl Error for FrameError {}

impl From<FrameError> for io::Error {
    /// `EIO` for what the peer must not send, `EMSGSIZE` for what cannot be sent.
    fn from(error: FrameError) -> Self {
        Self::from(match error {
            FrameError::EmptyMessage => Errno::IO,
            FrameError::MessageTooLong { .. } => Errno::MSGSIZE,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_but_zero_survives_the_wire() {
        for len in 1..=MessageHeader::MAX_PAYLOAD_LEN {
            let header = MessageHeader::for_payload(len).unwrap();
            assert_eq!(header.payload_len(), len);
            assert_eq!(MessageHeader::decode(header.encode()), Ok(header));
        }
    }

    #[test]
    fn the_length_is_little_endian() {
        assert_eq!(
            MessageHeader::for_payload(0x1234).unwrap().encode(),
            [0x34, 0x12]
        );
    }

    #[test]
    fn a_message_has_at_least_one_byte_and_fits_its_header() {
        assert_eq!(MessageHeader::for_payload(0), Err(FrameError::EmptyMessage));
        assert_eq!(
            MessageHeader::for_payload(0x1_0000),
            Err(FrameError::MessageTooLong { len: 0x1_0000 })
        );
        assert_eq!(MessageHeader::decode([0, 0]), Err(FrameError::EmptyMessage));
    }
}
