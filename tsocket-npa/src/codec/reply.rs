//! [`Reply`], the answer to a request.

use super::ndr::{Result, WIDE};
use super::packet::open;
use super::{FileType, Level, MAGIC, NtStatus};

/// What the side that listens says: yes or no, and how the bytes that follow are to be read.
///
/// smbd looks at the file type alone, other clients at the status: a refusal needs both.
///
/// # Examples
/// ```
/// use tsocket_npa::codec::{FileType, Level, NtStatus, Reply};
///
/// let reply = Reply::accept(Level::L7, FileType::MESSAGE_MODE);
/// let bytes = reply.encode();
/// assert_eq!(Reply::decode(&bytes)?, reply);
/// assert!(reply.is_accepted());
/// assert!(!Reply::refuse(Level::L7, NtStatus::ACCESS_DENIED).is_accepted());
/// # Ok::<(), tsocket_npa::codec::CodecError>(())
/// ```
///
/// # Source
/// `named_pipe_auth_rep` in Samba's interface definitions.
#[doc(alias = "named_pipe_auth_rep")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The level, which is that of the request.
    pub level: Level,
    /// How the bytes that follow are to be read.
    pub file_type: FileType,
    /// The state of the pipe as SMB clients see it.
    pub device_state: u16,
    /// How much room the pipe claims to have, in bytes.
    pub allocation_size: u64,
    /// Whether it went well.
    pub status: NtStatus,
}

impl Reply {
    /// How many bytes a reply has, at every level.
    pub const LEN: usize = 36;

    /// What its length says.
    const LENGTH: u32 = 32;

    /// The allocation size that Samba's services send.
    pub const ALLOCATION_SIZE: u64 = 4096;

    /// A reply that opens the pipe, with the numbers Samba's services send.
    #[must_use]
    pub fn accept(level: Level, file_type: FileType) -> Self {
        Self {
            level,
            file_type,
            device_state: if file_type == FileType::MESSAGE_MODE {
                0x05ff
            } else {
                0x00ff
            },
            allocation_size: Self::ALLOCATION_SIZE,
            status: NtStatus::OK,
        }
    }

    /// A reply that every client takes for a refusal, because of `status`.
    #[must_use]
    pub fn refuse(level: Level, status: NtStatus) -> Self {
        Self {
            level,
            file_type: FileType::REFUSED,
            device_state: 0,
            allocation_size: 0,
            status,
        }
    }

    /// Whether the pipe is open: the status is success, and the file type one that can be read.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.status == NtStatus::OK
            && matches!(self.file_type, FileType::BYTE_MODE | FileType::MESSAGE_MODE)
    }

    /// Reads a whole packet, its length included.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn decode(packet: &[u8]) -> Result<Self> {
        let (level, mut reader) = open(packet)?;
        reader.align(WIDE);
        let reply = Self {
            level,
            file_type: FileType(reader.u16("file_type")?),
            device_state: reader.u16("device_state")?,
            allocation_size: reader.hyper("allocation_size")?,
            status: NtStatus(reader.u32("status")?),
        };
        reader.end()?;
        Ok(reply)
    }

    /// The whole packet, its length included.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let level = self.level.number().to_le_bytes();
        let fields: [(usize, &[u8]); 8] = [
            (0, &Self::LENGTH.to_be_bytes()),
            (4, &MAGIC),
            (8, &level),
            (12, &level),
            (16, &self.file_type.0.to_le_bytes()),
            (18, &self.device_state.to_le_bytes()),
            (24, &self.allocation_size.to_le_bytes()),
            (32, &self.status.0.to_le_bytes()),
        ];
        let mut packet = [0; Self::LEN];
        for (at, bytes) in fields {
            packet[at..at + bytes.len()].copy_from_slice(bytes);
        }
        packet
    }
}
