//! The rules of NDR, as far as the handshake needs them.
