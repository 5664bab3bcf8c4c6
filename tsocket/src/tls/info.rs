//! [`TlsInfo`], what two sides have agreed on.

use std::fmt;
use std::io;

use rustls::pki_types::CertificateDer;
use rustls::{ProtocolVersion, SupportedCipherSuite};

use super::end_point;
use super::record::Tls;
use crate::errors;

/// What ties an authentication inside a connection to the connection itself (RFC 5056).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelBinding {
    /// `tls-server-end-point` (RFC 5929): a hash of the server's certificate, the same for all of its
    /// connections.
    ServerEndPoint,
    /// `tls-exporter` (RFC 9266): 32 bytes of key material, of this connection alone.
    Exporter,
}

impl ChannelBinding {
    /// The name it is registered under, as SASL and GSSAPI put it in front.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ServerEndPoint => "tls-server-end-point",
            Self::Exporter => "tls-exporter",
        }
    }
}

/// What the two sides of a TLS stream have agreed on.
#[derive(Clone)]
pub struct TlsInfo {
    version: Option<ProtocolVersion>,
    cipher_suite: Option<SupportedCipherSuite>,
    alpn_protocol: Option<Vec<u8>>,
    server_name: Option<String>,
    peer_certificates: Vec<CertificateDer<'static>>,
    end_point: Option<Vec<u8>>,
    exporter: Option<[u8; EXPORTER_LEN]>,
}

const EXPORTER_LEN: usize = 32;

impl TlsInfo {
    pub(super) fn of(tls: &mut Tls) -> Self {
        let connection = tls.connection();
        let peer_certificates = connection
            .and_then(|connection| connection.peer_certificates())
            .unwrap_or_default()
            .to_vec();
        let version = connection.and_then(|connection| connection.protocol_version());
        let server_certificate = match connection {
            Some(rustls::Connection::Client(_)) => peer_certificates.first(),
            _ => tls.shown.as_ref(),
        };
        Self {
            version,
            cipher_suite: connection.and_then(|connection| connection.negotiated_cipher_suite()),
            alpn_protocol: connection
                .and_then(|connection| connection.alpn_protocol())
                .map(<[u8]>::to_vec),
            server_name: tls.server_name.clone(),
            end_point: server_certificate
                .and_then(|certificate| end_point::binding(certificate, &tls.provider)),
            // Before TLS 1.3 it is unique only with an extension that rustls does not tell of.
            exporter: connection
                .filter(|_| version == Some(ProtocolVersion::TLSv1_3))
                .and_then(|connection| {
                    let room = [0; EXPORTER_LEN];
                    connection
                        .export_keying_material(room, b"EXPORTER-Channel-Binding", Some(b""))
                        .ok()
                }),
            peer_certificates,
        }
    }

    /// The version of the protocol.
    #[must_use]
    pub fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.version
    }

    /// The cipher suite.
    #[must_use]
    pub fn cipher_suite(&self) -> Option<SupportedCipherSuite> {
        self.cipher_suite
    }

    /// The application protocol that both sides offer, if any (ALPN).
    #[must_use]
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.alpn_protocol.as_deref()
    }

    /// What the client calls the server, if it does (SNI).
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The certificates that the peer has shown, its own first; none if it had not to show any.
    #[must_use]
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        &self.peer_certificates
    }

    /// The bytes that tie an authentication inside the stream to it, without the name in front.
    ///
    /// A server takes the certificate that its configuration names for what the client said.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: for [`ServerEndPoint`](ChannelBinding::ServerEndPoint) if the certificate is signed with
    /// an algorithm without a hash of its own, or one that the cryptography provider does not bring; for
    /// [`Exporter`](ChannelBinding::Exporter) before TLS 1.3.
    #[doc(alias = "tstream_tls_channel_bindings")]
    pub fn channel_binding(&self, binding: ChannelBinding) -> io::Result<&[u8]> {
        let bytes = match binding {
            ChannelBinding::ServerEndPoint => self.end_point.as_deref(),
            ChannelBinding::Exporter => self.exporter.as_ref().map(<[u8; EXPORTER_LEN]>::as_slice),
        };
        bytes.ok_or_else(errors::not_supported)
    }
}

// Key material is nobody's business.
impl fmt::Debug for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsInfo")
            .field("version", &self.version)
            .field("alpn_protocol", &self.alpn_protocol)
            .field("server_name", &self.server_name)
            .field("peer_certificates", &self.peer_certificates.len())
            .finish_non_exhaustive()
    }
}
