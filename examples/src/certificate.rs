//! [`CertificateFiles`], what a daemon that serves TLS is told on its command line.

use std::path::PathBuf;

use lexopt::Parser;

use crate::{Kind, ListenAddress, TlsServer, value};

/// The files that a daemon shows its TLS clients a certificate from.
#[derive(Clone, Debug, Default)]
pub struct CertificateFiles {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl CertificateFiles {
    /// The lines of a `--help` text for these options.
    pub const HELP: &str = "
  --cert FILE            the certificate for tls:, PEM, with what leads to its authority behind
  --key FILE             its private key, PEM, which not everybody may read";

    /// The lines of a `--help` text that show how to make such files.
    pub const EXAMPLE: &str = "
A certificate for tests, which is its own authority:
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \\
    -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \\
    -addext basicConstraints=critical,CA:FALSE -days 30 -keyout key.pem -out cert.pem
";

    /// Takes the long option `name` if it is one of these, and returns whether.
    ///
    /// # Errors
    /// A line that says what is wrong with its value.
    pub fn take(&mut self, name: &str, parser: &mut Parser) -> Result<bool, String> {
        let place = match name {
            "cert" => &mut self.certificate,
            "key" => &mut self.key,
            _ => return Ok(false),
        };
        *place = Some(value(parser, name)?.into());
        Ok(true)
    }

    /// What serves TLS on those of `listen` that ask for it; nothing if none does.
    ///
    /// # Errors
    /// A line that says what is missing, what is wrong with a file, or that the build is without TLS.
    pub fn server(&self, listen: &[ListenAddress]) -> Result<Option<TlsServer>, String> {
        let files = (self.certificate.as_deref(), self.key.as_deref());
        match (files, listen.iter().find(|at| at.kind == Kind::Tls)) {
            ((None, None), None) => Ok(None),
            (_, None) => Err("--cert and --key are of no use without --listen tls:…".to_owned()),
            ((certificate, key), Some(_)) => TlsServer::new(certificate, key).map(Some),
        }
    }
}
