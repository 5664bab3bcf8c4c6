//! [`Reply`], the answer to a request.

use super::{CodecError, FileType, Level, NtStatus};

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
    pub fn decode(packet: &[u8]) -> Result<Self, CodecError> {
        todo!("{packet:?}")
    }

    /// The whole packet, its length included.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        todo!()
    }
}
