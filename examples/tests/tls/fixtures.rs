//! Daemons with a certificate, and clients that check it.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use crate::rig::counterpart::{self, Running};
use crate::rig::daemon::{Daemon, Kind, Program, temporary_directory};
use crate::rig::patience::LIMIT;

/// The options that have `openssl s_client` speak each version alone.
pub(super) const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/certificates");

/// The path of a certificate as PEM: `ca`, `server`, or `other`, which has nothing to do with them.
pub(super) fn certificate(name: &str) -> String {
    format!("{CERTIFICATES}/{name}.pem")
}

/// A file of the test, gone with its directory.
pub(super) struct Files(TempDir);

impl Files {
    /// A directory with the private keys `server.key` and `other.key`.
    pub(super) fn new() -> Self {
        let files = Self(temporary_directory());
        for name in ["server.key", "other.key"] {
            let key = fs::read(format!("{CERTIFICATES}/{name}")).expect("it is checked in");
            // The ones that are checked in are everybody's.
            files.write(name, &key, 0o600);
        }
        files
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Writes a file with these permissions, and returns its path.
    pub(super) fn write(&self, name: &str, content: &[u8], mode: u32) -> String {
        let path = self.path(name);
        fs::write(&path, content)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .expect("there is room for a file");
        path
    }
}

/// Starts a daemon that listens for TLS as `localhost`, and says a line for each connection.
#[track_caller]
pub(super) fn daemon(program: Program, options: &[&str]) -> Daemon {
    let (files, certificate) = (Files::new(), certificate("server"));
    let key = files.path("server.key");
    let all = [&["--cert", &certificate, "--key", &key, "-v"], options].concat();
    // It has read the files when it listens.
    Daemon::of(program, &[Kind::Tls], &all)
}

/// A TLS client of a daemon, over a socket of the standard library.
pub(super) struct Client(pub(super) StreamOwned<ClientConnection, TcpStream>);

impl Client {
    #[track_caller]
    pub(super) fn connect(daemon: &Daemon) -> Self {
        let authority = CertificateDer::from_pem_file(certificate("ca"));
        let mut roots = RootCertStore::empty();
        roots
            .add(authority.expect("it is checked in"))
            .expect("it is a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has suites for each version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("it is a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("it is consistent");
        let socket = TcpStream::connect(daemon.inet_address(Kind::Tls)).expect("it listens");
        socket
            .set_read_timeout(Some(LIMIT))
            .and_then(|()| socket.set_write_timeout(Some(LIMIT)))
            .expect("a socket takes timeouts");
        Self(StreamOwned::new(connection, socket))
    }

    #[track_caller]
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let sent = self.0.write_all(bytes).and_then(|()| self.0.flush());
        sent.unwrap_or_else(|error| panic!("cannot send {} bytes: {error}", bytes.len()));
    }

    #[track_caller]
    pub(super) fn expect_bytes(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        let read = self.0.read_exact(&mut got);
        read.unwrap_or_else(|error| panic!("{} bytes do not come: {error}", bytes.len()));
        assert!(got == bytes, "{} bytes came changed", bytes.len());
    }

    #[track_caller]
    pub(super) fn expect_echo(&mut self, bytes: &[u8]) {
        self.send(bytes);
        self.expect_bytes(bytes);
    }

    /// Ends its own side alone, as TLS has it.
    #[track_caller]
    pub(super) fn half_close(&mut self) {
        self.0.conn.send_close_notify();
        self.0.flush().expect("it is taken");
    }

    /// Takes an end in good order: rustls makes an error of any other.
    #[track_caller]
    pub(super) fn expect_end(&mut self) {
        let end = self.0.read(&mut [0; 64]);
        assert!(matches!(end, Ok(0)), "no good end: {end:?}");
    }
}

/// `openssl s_client` with a daemon that it has to know for `localhost`; nothing if it is not installed.
#[track_caller]
pub(super) fn s_client(daemon: &Daemon, authority: &str, version: &str) -> Option<Running> {
    let address = daemon.inet_address(Kind::Tls).to_string();
    let child = Command::new(counterpart::find("openssl")?)
        .args(["s_client", "-quiet", "-servername", "localhost", version])
        .args(["-connect", &address, "-CAfile", authority])
        .args(["-verify_return_error", "-verify_hostname", "localhost"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    Some(Running(child.expect("the program was found")))
}

/// Has `peer` send what `write` writes to it, and `read` read what comes back, both at once.
#[track_caller]
pub(super) fn converse(
    peer: &mut Running,
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()> + Send,
    read: impl FnOnce(&mut dyn io::Read),
) {
    let mut input = peer.0.stdin.take().expect("it is a pipe");
    let mut output = peer.0.stdout.take().expect("it is a pipe");
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || write(&mut input).map(|()| input));
        read(&mut output);
        let written = writing.join().expect("it does not panic");
        // Only now does its input end, and with that its connection.
        drop(written.expect("it takes what it is to send"));
    });
}
