//! Numbers of the protocol that have names.

use std::fmt;

/// How the user reached the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transport(
    /// The number on the wire.
    pub u8,
);

impl Transport {
    /// A named pipe over SMB. What levels without this field mean.
    #[doc(alias = "NCACN_NP")]
    pub const NAMED_PIPE: Self = Self(1);

    /// A local program. The services of Samba believe in a SYSTEM user only with this one.
    #[doc(alias = "NCALRPC")]
    pub const LOCAL: Self = Self(8);
}

impl Default for Transport {
    fn default() -> Self {
        Self::NAMED_PIPE
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NAMED_PIPE => f.write_str("smb"),
            Self::LOCAL => f.write_str("local"),
            Self(number) => write!(f, "transport {number}"),
        }
    }
}

/// What kind of Kerberos ticket the user came with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TicketType(
    /// The number on the wire.
    pub u16,
);

impl TicketType {
    /// Nobody knows, or none.
    pub const UNKNOWN: Self = Self(0);

    /// A ticket-granting ticket.
    pub const TGT: Self = Self(1);

    /// Any other ticket.
    pub const NON_TGT: Self = Self(2);
}

impl fmt::Display for TicketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UNKNOWN => f.write_str("unknown"),
            Self::TGT => f.write_str("TGT"),
            Self::NON_TGT => f.write_str("not a TGT"),
            Self(number) => write!(f, "ticket type {number}"),
        }
    }
}

/// Whether the claims of a token count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EvaluateClaims(
    /// The number on the wire.
    pub u16,
);

impl EvaluateClaims {
    /// Nobody has decided. Anonymous and SYSTEM tokens have it.
    pub const INVALID: Self = Self(0);

    /// They do not.
    pub const NEVER: Self = Self(1);

    /// They do.
    pub const ALWAYS: Self = Self(2);
}

impl Default for EvaluateClaims {
    fn default() -> Self {
        Self::NEVER
    }
}

impl fmt::Display for EvaluateClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::INVALID => f.write_str("invalid"),
            Self::NEVER => f.write_str("never"),
            Self::ALWAYS => f.write_str("always"),
            Self(number) => write!(f, "evaluate claims {number}"),
        }
    }
}

/// How the bytes after the handshake are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileType(
    /// The number on the wire.
    pub u16,
);

impl FileType {
    /// Not at all: smbd fails the open with it. A refusal.
    pub const REFUSED: Self = Self(0);

    /// As a stream of bytes.
    #[doc(alias = "FILE_TYPE_BYTE_MODE_PIPE")]
    pub const BYTE_MODE: Self = Self(1);

    /// As messages, each behind its length.
    #[doc(alias = "FILE_TYPE_MESSAGE_MODE_PIPE")]
    pub const MESSAGE_MODE: Self = Self(2);
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::REFUSED => f.write_str("refused"),
            Self::BYTE_MODE => f.write_str("byte mode"),
            Self::MESSAGE_MODE => f.write_str("message mode"),
            Self(number) => write!(f, "file type {number}"),
        }
    }
}

/// An NTSTATUS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NtStatus(
    /// The number on the wire.
    pub u32,
);

impl NtStatus {
    /// Success.
    pub const OK: Self = Self(0);

    /// The user may not open this pipe.
    pub const ACCESS_DENIED: Self = Self(0xc000_0022);

    /// The request makes no sense.
    pub const INVALID_PARAMETER: Self = Self(0xc000_000d);

    /// One of the addresses of the request is none.
    pub const INVALID_ADDRESS: Self = Self(0xc000_0141);
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OK => f.write_str("NT_STATUS_OK"),
            Self::ACCESS_DENIED => f.write_str("NT_STATUS_ACCESS_DENIED"),
            Self::INVALID_PARAMETER => f.write_str("NT_STATUS_INVALID_PARAMETER"),
            Self::INVALID_ADDRESS => f.write_str("NT_STATUS_INVALID_ADDRESS"),
            Self(number) => write!(f, "NT_STATUS {number:#010x}"),
        }
    }
}
