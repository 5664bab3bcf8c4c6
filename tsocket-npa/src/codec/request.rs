//! [`Request`], what is sent to open a pipe.

use super::{CodecError, Level, Secret, SessionInfoTransport, Transport};

/// Who wants to open a pipe, and where the connection comes from.
///
/// A field that the level does not have is left out when encoding, and has its default after decoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The layout of the packet.
    pub level: Level,
    /// How the user reached the caller. Not in level 4.
    pub transport: Transport,
    /// Where the user sits.
    pub remote_client: Endpoint,
    /// Where the user's connection arrived.
    pub local_server: Endpoint,
    /// The user's session. Never send `None`.
    pub session_info: Option<SessionInfoTransport>,
    /// Whether a process of its own is wanted. Level 5 only; later levels say it with a SID
    /// ([`NpaFlags::NEED_IDLE`](super::NpaFlags::NEED_IDLE)).
    pub need_idle_server: bool,
}

/// One end of the user's connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// A name: from smbd, that of the server for both ends. Never send `None`.
    pub name: Option<String>,
    /// A numeric IPv4 or IPv6 address. Never send anything else.
    pub address: Option<String>,
    /// The port.
    pub port: u16,
}

impl Request {
    /// Reads a whole packet, its length included.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn decode(packet: &[u8]) -> Result<Self, CodecError> {
        todo!("{}", packet.len())
    }

    /// The whole packet, its length included. It has the session key.
    ///
    /// # Errors
    /// - [`EmbeddedNul`](super::CodecErrorKind::EmbeddedNul) if a text has one.
    /// - [`TooLong`](super::CodecErrorKind::TooLong) if it becomes larger than
    ///   [`MAX_PACKET_LEN`](super::MAX_PACKET_LEN).
    pub fn encode(&self) -> Result<Secret, CodecError> {
        todo!()
    }
}
