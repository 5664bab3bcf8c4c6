//! What both sides of the handshake share: reading one packet, and all that can go wrong.

use std::error::Error;
use std::fmt;
use std::io;

use rustix::io::Errno;
use tevent::{Context, Ended, Request, Step, Steps};
use tsocket::{Buffers, Failed, PartsMut, ReadBuffers, Stream};

use crate::codec::{CodecError, FileType, Incoming, Level, MAX_PACKET_LEN, NotACaller, NtStatus};

/// How many bytes the length in front of a packet has.
const LENGTH_LEN: usize = 4;

/// Why a pipe was not opened.
///
/// The number that stands for it where an [`io::Error`] is wanted is in brackets.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer runs as a user who is not believed (`EACCES`).
    Peer {
        /// The user.
        uid: u32,
    },
    /// Nobody vouches for the peer, and the transport is not said to be trusted (`EOPNOTSUPP`).
    UnknownPeer,
    /// The peer closed before a whole packet had come (`EPIPE`). A service of Samba does so when it
    /// speaks another level.
    Closed,
    /// The packet is none, or not of a level that is known (as [`CodecError`] says).
    Packet(CodecError),
    /// The request does not say who the user is (`EPROTONOSUPPORT`); the peer was told.
    Nobody(NotACaller),
    /// The user may not enter, as the application decided (`EACCES`); the peer was told.
    Denied(NtStatus),
    /// The peer asked only whether there is such a pipe (`ECONNABORTED`), and was told.
    Probe,
    /// The peer refused the user (`EACCES`).
    Refused {
        /// Its reason; [`NtStatus::OK`] if it gave none.
        status: NtStatus,
        /// What it says of the pipe instead of a mode.
        file_type: FileType,
    },
    /// The peer answered at another level than it was asked (`EIO`).
    LevelDiffers {
        /// The level of the request.
        asked: Level,
        /// The level of the reply.
        answered: Level,
    },
    /// The transport failed, the deadline has passed (`ETIMEDOUT`), or the request was canceled.
    Io(io::Error),
}

/// Reads one packet of at most `limit` bytes from `stream`, and not a byte more.
pub(crate) fn read_packet(
    ctx: &Context,
    stream: Stream,
    limit: usize,
) -> Request<Incoming, HandshakeError> {
    let packet = Packet(Incoming::new(limit.min(MAX_PACKET_LEN)));
    Steps::start(ctx, "read packet", stream, |step| read_more(step, packet))
}

type Reading<'a> = Step<'a, Stream, Incoming, HandshakeError>;

fn read_more(step: &mut Reading<'_>, packet: Packet) -> Result<(), HandshakeError> {
    let read = step.state().readv(packet);
    step.then(read, arrived)
}

fn arrived(
    step: &mut Reading<'_>,
    read: Result<Packet, Failed<Packet>>,
) -> Result<(), HandshakeError> {
    let read = read.map_err(|failed| HandshakeError::from_transport(failed.error));
    let mut packet = read?;
    let len = packet.next().len();
    if packet.0.advance(len)? {
        step.done(packet.0)
    } else {
        read_more(step, packet)
    }
}

/// A packet on its way in as the buffer of a read: its memory is the only one that ever has it.
struct Packet(Incoming);

impl Packet {
    /// Where the next bytes go: the length alone at first, since a bad one may be all that ever comes.
    fn next(&mut self) -> &mut [u8] {
        let len = match self.0.bytes().len() {
            0 => LENGTH_LEN,
            _ => usize::MAX,
        };
        let room = self.0.room();
        let len = len.min(room.len());
        &mut room[..len]
    }
}

impl Buffers for Packet {
    fn empty() -> Self {
        Self(Incoming::new(0))
    }
}

impl ReadBuffers for Packet {
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
        parts.push(self.next());
    }
}

impl HandshakeError {
    /// What a read or write has failed with, of which some errors say that the peer has closed.
    pub(crate) fn from_transport(error: io::Error) -> Self {
        let closed = [Errno::PIPE, Errno::CONNRESET].map(|errno| Some(errno.raw_os_error()));
        if closed.contains(&error.raw_os_error()) {
            Self::Closed
        } else {
            Self::Io(error)
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer { uid } => write!(f, "the peer runs as uid {uid}, which is not allowed"),
            Self::UnknownPeer => f.write_str("nobody vouches for the peer of this transport"),
            Self::Closed => f.write_str("the peer closed inside the handshake"),
            Self::Packet(error) => write!(f, "a bad packet: {error}"),
            Self::Nobody(error) => write!(f, "the request says nothing of a user: {error}"),
            Self::Denied(status) => write!(f, "the user may not open this pipe: {status}"),
            Self::Probe => f.write_str("the peer asked only whether there is such a pipe"),
            Self::Refused { status, file_type } if *status == NtStatus::OK => {
                write!(f, "the peer refused the user with {file_type}")
            }
            Self::Refused { status, .. } => write!(f, "the peer refused the user: {status}"),
            Self::LevelDiffers { asked, answered } => {
                write!(
                    f,
                    "the peer was asked at {asked} and answered at {answered}"
                )
            }
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl Error for HandshakeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Packet(error) => Some(error),
            Self::Nobody(error) => Some(error),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<CodecError> for HandshakeError {
    fn from(error: CodecError) -> Self {
        Self::Packet(error)
    }
}

impl From<Ended> for HandshakeError {
    fn from(ended: Ended) -> Self {
        Self::Io(ended.into())
    }
}

impl<B> From<Failed<B>> for HandshakeError {
    fn from(failed: Failed<B>) -> Self {
        Self::Io(failed.error)
    }
}

impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> Self {
        let errno = match error {
            HandshakeError::Io(error) => return error,
            HandshakeError::Packet(error) => return error.into(),
            HandshakeError::Peer { .. }
            | HandshakeError::Denied(_)
            | HandshakeError::Refused { .. } => Errno::ACCESS,
            HandshakeError::UnknownPeer => Errno::OPNOTSUPP,
            HandshakeError::Closed => Errno::PIPE,
            HandshakeError::Nobody(_) => Errno::PROTONOSUPPORT,
            HandshakeError::Probe => Errno::CONNABORTED,
            HandshakeError::LevelDiffers { .. } => Errno::IO,
        };
        errno.into()
    }
}
