//! TLS between two ends that know each other: certificates, configurations, connected pairs.

use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tevent::Context;
use tsocket::Stream;
use tsocket::tls::{TlsInfo, accept, connect};

/// Where the certificates and keys are, as PEM files.
pub const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certificates");

/// TLS 1.2 and 1.3, each alone.
pub static VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

/// A connected pair with what each side has learned: the client's first.
pub type Pair = ((Stream, TlsInfo), (Stream, TlsInfo));

/// The certificate `name.pem`.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(format!("{DIRECTORY}/{name}.pem")).expect("it is checked in")
}

fn key(name: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(format!("{DIRECTORY}/{name}.key")).expect("it is checked in")
}

fn roots() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate("ca")).expect("it is a certificate");
    Arc::new(roots)
}

/// A server with the certificate `name.pem`, for these versions.
///
/// # Panics
/// If rustls does not like it.
#[must_use]
pub fn server_with(name: &str, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("ring has suites for each version")
        .with_no_client_auth()
        .with_single_cert(vec![certificate(name)], key(name))
        .expect("certificate and key belong together")
}

/// A server that asks for a client's certificate.
///
/// # Panics
/// If rustls does not like it.
#[must_use]
pub fn strict_server(versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(), provider.clone())
        .build()
        .expect("there is a root");
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("ring has suites for each version")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate("server")], key("server"))
        .expect("certificate and key belong together")
}

/// A client that trusts our authority, for these versions; with a certificate of its own if it has a `name`.
///
/// # Panics
/// If rustls does not like it.
#[must_use]
pub fn client_with(
    name: Option<&str>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("ring has suites for each version")
        .with_root_certificates(roots());
    match name {
        Some(name) => builder
            .with_client_auth_cert(vec![certificate(name)], key(name))
            .expect("certificate and key belong together"),
        None => builder.with_no_client_auth(),
    }
}

/// A server for every version.
#[must_use]
pub fn server() -> Arc<ServerConfig> {
    Arc::new(server_with("server", rustls::ALL_VERSIONS))
}

/// A client for every version.
#[must_use]
pub fn client() -> Arc<ClientConfig> {
    Arc::new(client_with(None, rustls::ALL_VERSIONS))
}

/// The name in the server's certificate.
///
/// # Panics
/// Never: it is one.
#[must_use]
pub fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("it is a name")
}

/// Runs both handshakes over a connected pair, the client over the first.
///
/// # Errors
/// That of the client, or else of the server.
pub fn handshake(
    ctx: &Context,
    (near, far): (Stream, Stream),
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
) -> io::Result<Pair> {
    let accepted = accept(ctx, far, server);
    let connected = connect(ctx, near, client, localhost());
    let near = ctx.run_until(connected)??;
    let far = ctx.run_until(accepted)??;
    Ok((near, far))
}

/// TLS over a connected pair, the client over the first.
///
/// # Errors
/// Those of the handshake.
pub fn over(ctx: &Context, pair: (Stream, Stream)) -> io::Result<(Stream, Stream)> {
    let ((near, _), (far, _)) = handshake(ctx, pair, client(), server())?;
    Ok((near, far))
}
