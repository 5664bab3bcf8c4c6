//! TLS for daemons, with certificates and keys from PEM files.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tevent::{Context, Request};
use tsocket::Stream;
use tsocket::tls::{self, TlsInfo};

/// The longest file that is read, in bytes: the authorities of a whole system are a fifth of it.
const FILE_MAX: u64 = 1 << 20;

/// Gives a stream through which everything is carried from then on, and what was agreed.
pub type Handshake = Request<(Stream, TlsInfo)>;

/// A server of TLS: its certificate and key.
#[derive(Clone, Debug)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
}

impl TlsServer {
    /// A server with a certificate and the chain behind it from one file, and the private key from
    /// another.
    ///
    /// # Errors
    /// A line that says which option or what in which file is missing, or that they do not fit together.
    pub fn new(certificate: Option<&Path>, key: Option<&Path>) -> Result<Self, String> {
        let certificate =
            certificate.ok_or("--cert FILE is missing: --help shows how to make it")?;
        let key = key.ok_or("--key FILE is missing: --help shows how to make it")?;
        let chain = certificates(certificate)
            .map_err(|error| format!("--cert {}: {error}", certificate.display()))?;
        let complaint = |error: &dyn fmt::Display| format!("--key {}: {error}", key.display());
        let private = private_key(key).map_err(|error| complaint(&error))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(chain, private)
            })
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    complaint(&format_args!("not the key of {}", certificate.display()))
                }
                error => complaint(&error),
            })?;
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// Agrees with the peer of `stream`: see [`tls::accept`].
    pub fn accept(&self, ctx: &Context, stream: Stream) -> Handshake {
        tls::accept(ctx, stream, self.config.clone())
    }
}

/// A client of TLS: whom it expects, and whom it trusts.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl TlsClient {
    /// A client of the server `host`, a name or a numeric address, that trusts the authorities of the
    /// file, or else those of the system.
    ///
    /// # Errors
    /// A line that says what is wrong with the name or the file, or that the system has no authorities.
    pub fn new(host: &str, authorities: Option<&Path>) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("'{host}' is no name that a certificate can have"))?;
        let roots = match authorities {
            Some(path) => {
                roots_of(path).map_err(|error| format!("--ca {}: {error}", path.display()))?
            }
            None => roots_of_system()?,
        };
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            config: Arc::new(config),
            name,
        })
    }

    /// Agrees with the server at the other end of `stream`: see [`tls::connect`].
    pub fn connect(&self, ctx: &Context, stream: Stream) -> Handshake {
        tls::connect(ctx, stream, self.config.clone(), self.name.clone())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots_of(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

fn roots_of_system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system may well have some that are too old for rustls.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    match found.errors.first() {
        _ if added > 0 => Ok(roots),
        Some(error) => Err(format!(
            "no authorities of the system, use --ca FILE: {error}"
        )),
        None => Err("this system has no authorities, use --ca FILE".to_owned()),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(path, false)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err("no certificate in it (PEM)".to_owned()),
        chain => chain.map_err(|error| error.to_string()),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read(path, true)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => "no private key in it (PEM, not encrypted)".to_owned(),
        error => error.to_string(),
    })
}

/// What is in a file, which has to be a regular one that is not too long; nobody but its owner and
/// group may read a secret one.
fn read(path: &Path, is_secret: bool) -> Result<Vec<u8>, String> {
    // A pipe must not hold us up.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let complaint = |error: io::Error| error.to_string();
    let file = open(path, flags, Mode::empty()).map_err(|error| complaint(error.into()))?;
    let stat = fstat(&file).map_err(|error| complaint(error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("not a regular file".to_owned());
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if is_secret && mode.intersects(Mode::RWXO) {
        return Err("everybody may read or write it: chmod o= first".to_owned());
    }
    let mut bytes = Vec::new();
    let read = File::from(file).take(FILE_MAX + 1).read_to_end(&mut bytes);
    let len = read.map_err(complaint)?;
    if u64::try_from(len).is_ok_and(|len| len > FILE_MAX) {
        return Err(format!("longer than {FILE_MAX} bytes"));
    }
    Ok(bytes)
}
