//! [`CodecError`], what is wrong with a packet.

use std::error::Error;
use std::fmt;
use std::io;

use rustix::io::Errno;

use super::{Level, MAX_PACKET_LEN};

/// What is wrong with a packet, in which field and at which byte.
///
/// Says nothing of what a secret field holds.
///
/// # Examples
/// ```
/// use tsocket_npa::codec::{CodecErrorKind, Request};
///
/// let error = Request::decode(b"\0\0\0\x0cNPAM\x09\0\0\0\x09\0\0\0").unwrap_err();
/// assert_eq!(*error.kind(), CodecErrorKind::UnknownLevel(9));
/// assert_eq!(error.to_string(), "at byte 8, level: level 9 is none of 4, 5, 7, 8");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecError {
    kind: CodecErrorKind,
    field: &'static str,
    offset: usize,
}

/// What is wrong: one variant for each cause. New ones may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecErrorKind {
    /// The length in front of the packet is too small for what every packet has.
    TooShort {
        /// The length it says.
        len: u32,
    },
    /// The packet is larger than allowed, [`MAX_PACKET_LEN`] or the caller's limit.
    TooLong {
        /// How many bytes the whole packet has.
        len: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The length in front of the packet is not that of the bytes that follow.
    LengthDiffers {
        /// The length it says.
        said: usize,
        /// How many bytes follow.
        present: usize,
    },
    /// The packet does not begin like one.
    Magic([u8; 4]),
    /// The packet is of a level that this crate does not speak; [`Level::ALL`] are those it does.
    UnknownLevel(u32),
    /// The two words that say the level are not equal.
    LevelsDiffer {
        /// The first.
        first: u32,
        /// The second.
        second: u32,
    },
    /// The packet ends inside the field, or before it.
    Truncated {
        /// How many bytes the field needs.
        needed: usize,
        /// How many are left.
        left: usize,
    },
    /// The structure has ended before the packet.
    TrailingBytes {
        /// How many bytes are left.
        count: usize,
    },
    /// The number of elements in front of an array is not the one in its structure.
    CountsDiffer {
        /// The number in the structure.
        count: u32,
        /// The number in front of the array.
        conformance: u32,
    },
    /// A string has more bytes than it has room for.
    LengthOverSize {
        /// The bytes it has.
        length: u32,
        /// The bytes it has room for.
        size: u32,
    },
    /// A string does not begin at the beginning of its room.
    StringOffset(u32),
    /// A string has no byte, not even its final NUL.
    StringWithoutNul,
    /// The last byte of a string is not NUL.
    Unterminated,
    /// A string is not UTF-8.
    InvalidUtf8,
    /// A string to be encoded has a NUL inside, where its reader would cut it.
    EmbeddedNul,
    /// A SID is of a revision other than 1.
    SidRevision(u8),
    /// A SID has more than 15 sub-authorities.
    SidTooLong(u8),
    /// The number of a user or a group has more than 32 bits.
    IdTooLarge(u64),
    /// A pointer that is always null is not.
    NotNull,
    /// There are claims, which no implementation can read back.
    Claims(u32),
}

impl CodecError {
    pub(super) fn new(kind: CodecErrorKind, field: &'static str, offset: usize) -> Self {
        Self {
            kind,
            field,
            offset,
        }
    }

    pub(super) fn too_long(len: usize, field: &'static str, offset: usize) -> Self {
        let limit = MAX_PACKET_LEN;
        Self::new(CodecErrorKind::TooLong { len, limit }, field, offset)
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &CodecErrorKind {
        &self.kind
    }

    /// The name of the field that is wrong.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// Where in the packet it is, in bytes from its beginning, the length included.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}, {}: {}", self.offset, self.field, self.kind)
    }
}

impl fmt::Display for CodecErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { len } => write!(f, "a packet of length {len} is too short"),
            Self::TooLong { len, limit } => {
                write!(f, "a packet of {len} bytes, at most {limit} are taken")
            }
            Self::LengthDiffers { said, present } => {
                write!(f, "the length says {said}, but {present} bytes follow")
            }
            Self::Magic(magic) => {
                write!(f, "\"{}\" is not \"NPAM\"", magic.escape_ascii())
            }
            Self::UnknownLevel(number) => {
                write!(f, "level {number} is none of ")?;
                for (index, level) in Level::ALL.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", level.number())?;
                }
                Ok(())
            }
            Self::LevelsDiffer { first, second } => {
                write!(f, "it is level {first}, and then level {second}")
            }
            Self::Truncated { needed, left } => {
                write!(f, "it needs {needed} bytes, {left} are left")
            }
            Self::TrailingBytes { count } => {
                write!(f, "the structure has ended, bytes left: {count}")
            }
            Self::CountsDiffer { count, conformance } => {
                write!(f, "the structure counts {count}, the array {conformance}")
            }
            Self::LengthOverSize { length, size } => {
                write!(f, "the length {length} is larger than the size {size}")
            }
            Self::StringOffset(offset) => write!(f, "the string begins at {offset} instead of 0"),
            Self::StringWithoutNul => f.write_str("the string has no bytes, not even a NUL"),
            Self::Unterminated => f.write_str("the string does not end with a NUL"),
            Self::InvalidUtf8 => f.write_str("the string is not UTF-8"),
            Self::EmbeddedNul => f.write_str("the string has a NUL inside"),
            Self::SidRevision(revision) => write!(f, "a SID of revision {revision}"),
            Self::SidTooLong(count) => write!(f, "a SID of {count} sub-authorities, at most 15"),
            Self::IdTooLarge(id) => write!(f, "{id} is no user or group, it has more than 32 bits"),
            Self::NotNull => f.write_str("the pointer must be null"),
            Self::Claims(count) => write!(f, "{count} claims, which nobody can decode"),
        }
    }
}

impl Error for CodecError {}

impl From<CodecError> for io::Error {
    /// `EPROTO` for another protocol or level, `EMSGSIZE` for too many bytes, `EINVAL` for what cannot be
    /// encoded, `EBADMSG` for everything else that a peer must not send.
    fn from(error: CodecError) -> Self {
        Self::from(match error.kind {
            CodecErrorKind::Magic(_) | CodecErrorKind::UnknownLevel(_) => Errno::PROTO,
            CodecErrorKind::TooLong { .. } => Errno::MSGSIZE,
            CodecErrorKind::EmbeddedNul => Errno::INVAL,
            _ => Errno::BADMSG,
        })
    }
}
