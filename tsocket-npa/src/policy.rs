//! [`PeerPolicy`], who may say who a user is.

use std::io;

use rustix::io::Errno;
use tsocket::Stream;

use crate::HandshakeError;

/// Which peers are believed when they say who the user is.
///
/// Nothing in the handshake is authenticated, so the peer itself is looked at, before a byte of it is
/// read: the system says which user it runs as.
///
/// # Examples
/// ```
/// use tsocket_npa::{AcceptOptions, PeerPolicy};
/// // A proxy under an account of its own may open pipes too.
/// let options = AcceptOptions::default().peers(PeerPolicy::AlsoAllow(vec![998]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PeerPolicy {
    /// Root, as which smbd connects, and the effective user of this process.
    #[default]
    RootOrSelf,
    /// These users besides.
    AlsoAllow(Vec<u32>),
    /// Whoever it is: the transport alone is trusted. The only choice over a transport whose peer
    /// nobody vouches for, such as memory or the network.
    Trusted,
}

impl PeerPolicy {
    /// Refuses the peer of `stream` if it is not to be believed.
    pub(crate) fn check(&self, stream: &Stream) -> Result<(), HandshakeError> {
        let also: &[u32] = match self {
            Self::Trusted => return Ok(()),
            Self::RootOrSelf => &[],
            Self::AlsoAllow(also) => also,
        };
        let uid = stream.peer_credentials().map_err(unknown)?.uid;
        let own = rustix::process::geteuid().as_raw();
        if uid == 0 || uid == own || also.contains(&uid) {
            Ok(())
        } else {
            Err(HandshakeError::Peer { uid })
        }
    }
}

fn unknown(error: io::Error) -> HandshakeError {
    if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) {
        HandshakeError::UnknownPeer
    } else {
        HandshakeError::Io(error)
    }
}
