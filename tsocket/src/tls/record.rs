//! [`Tls`], a connection of rustls as a [`Tunnel`].

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read as _, Write};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::{Accepted, Acceptor};
use rustls::{Connection, Error, ServerConfig};

use crate::errors;
use crate::session::{Closed, Io, Session, Tunnel};

/// With more than this opened, rustls takes nothing until it is read, in bytes.
const OPENED_MAX: usize = 16 << 10;

pub(super) struct Tls {
    state: State,
    // How many opened bytes there are, in `rest` or with rustls.
    opened: usize,
    // What had been opened when the peer got something wrong.
    rest: io::Cursor<Vec<u8>>,
    // Whether the peer has said that it ends, once it has ended.
    ended: Option<bool>,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) server_name: Option<String>,
    /// The certificate that this end shows as a server.
    pub(super) shown: Option<CertificateDer<'static>>,
}

enum State {
    Accepting(Acceptor, Arc<ServerConfig>),
    Connected(Connection),
    Failed,
}

impl Tls {
    pub(super) fn connecting(
        connection: Connection,
        provider: Arc<CryptoProvider>,
        server_name: Option<String>,
    ) -> Self {
        Self {
            state: State::Connected(connection),
            opened: 0,
            rest: io::Cursor::default(),
            ended: None,
            provider,
            server_name,
            shown: None,
        }
    }

    pub(super) fn accepting(acceptor: Acceptor, config: Arc<ServerConfig>) -> Self {
        Self {
            provider: config.crypto_provider().clone(),
            state: State::Accepting(acceptor, config),
            opened: 0,
            rest: io::Cursor::default(),
            ended: None,
            server_name: None,
            shown: None,
        }
    }

    pub(super) fn connection(&self) -> Option<&Connection> {
        match &self.state {
            State::Connected(connection) => Some(connection),
            _ => None,
        }
    }

    /// Sends what rustls has to send.
    pub(super) fn send(&mut self, io: &Io) -> io::Result<()> {
        let State::Connected(connection) = &mut self.state else {
            return Ok(());
        };
        while connection.wants_write() {
            connection.write_tls(&mut Outgoing(io))?;
        }
        Ok(())
    }

    /// Has rustls take some of `bytes` and make of them what it can.
    fn take(&mut self, bytes: &mut &[u8], io: &Io) -> io::Result<()> {
        match &mut self.state {
            State::Accepting(acceptor, _) => {
                acceptor.read_tls(bytes)?;
                match acceptor.accept() {
                    Ok(None) => return Ok(()),
                    Ok(Some(accepted)) => self.accepted(accepted, io)?,
                    Err((error, mut alert)) => {
                        self.state = State::Failed;
                        alert.write_all(&mut Outgoing(io))?;
                        return Err(invalid(error));
                    }
                }
            }
            State::Connected(connection) => {
                connection.read_tls(bytes)?;
            }
            State::Failed => return Err(errors::closed()),
        }
        self.process()
    }

    fn accepted(&mut self, accepted: Accepted, io: &Io) -> io::Result<()> {
        let State::Accepting(_, config) = std::mem::replace(&mut self.state, State::Failed) else {
            return Ok(());
        };
        self.shown = config
            .cert_resolver
            .resolve(accepted.client_hello())
            .and_then(|key| Some(key.end_entity_cert().ok()?.clone().into_owned()));
        match accepted.into_connection(config) {
            Ok(connection) => {
                self.server_name = connection.server_name().map(str::to_owned);
                self.state = State::Connected(Connection::Server(connection));
                Ok(())
            }
            Err((error, mut alert)) => {
                alert.write_all(&mut Outgoing(io))?;
                Err(invalid(error))
            }
        }
    }

    fn process(&mut self) -> io::Result<()> {
        let State::Connected(connection) = &mut self.state else {
            return Ok(());
        };
        let state = match connection.process_new_packets() {
            Ok(state) => state,
            Err(error) => {
                // It ends where there is no more, with an error that says so.
                connection.reader().read_to_end(self.rest.get_mut()).ok();
                self.opened = self.rest.get_ref().len();
                return Err(invalid(error));
            }
        };
        self.opened = state.plaintext_bytes_to_read();
        if state.peer_has_closed() {
            self.ended = Some(true);
        }
        if !connection.is_handshaking() {
            // rustls keeps the answer to a change of keys until something is written, be it nothing.
            connection.writer().write(&[]).map(drop)?;
        }
        Ok(())
    }
}

impl Session for Tls {
    fn receive(&mut self, bytes: &mut [u8], io: &Io) -> io::Result<usize> {
        let mut rest = &*bytes;
        let mut received = Ok(());
        while received.is_ok() && !rest.is_empty() && self.opened <= OPENED_MAX {
            if self.ended.is_some() {
                // What follows the end means nothing.
                rest = &[];
                break;
            }
            received = self.take(&mut rest, io);
        }
        let consumed = bytes.len() - rest.len();
        // An alert that says what was wrong goes out as well.
        let sent = self.send(io);
        received.and(sent)?;
        Ok(consumed)
    }

    fn closed(&mut self, _: Closed<'_>) {
        self.ended.get_or_insert(false);
    }
}

impl Tunnel for Tls {
    fn read(&mut self, buffers: &mut [IoSliceMut<'_>]) -> usize {
        let State::Connected(connection) = &mut self.state else {
            return 0;
        };
        let mut read = 0;
        for buffer in buffers {
            let mut filled = 0;
            while filled < buffer.len() && read + filled < self.opened {
                let room = &mut buffer[filled..];
                let read = match self.rest.get_ref().is_empty() {
                    true => connection.reader().read(room),
                    false => self.rest.read(room),
                };
                match read {
                    Ok(len) if len > 0 => filled += len,
                    _ => break,
                }
            }
            read += filled;
        }
        self.opened -= read;
        read
    }

    fn pending(&self) -> usize {
        self.opened
    }

    fn end(&self) -> Option<io::Result<()>> {
        match self.ended? {
            true => Some(Ok(())),
            false => Some(Err(errors::reset())),
        }
    }

    fn write(&mut self, buffers: &[IoSlice<'_>], io: &Io) -> io::Result<usize> {
        let State::Connected(connection) = &mut self.state else {
            return Err(errors::closed());
        };
        let written = connection.writer().write_vectored(buffers)?;
        self.send(io)?;
        Ok(written)
    }

    fn finish(&mut self, io: &Io) -> io::Result<bool> {
        if let State::Connected(connection) = &mut self.state {
            connection.send_close_notify();
        }
        self.send(io)?;
        Ok(true)
    }

    fn is_negotiating(&self) -> bool {
        self.connection()
            .is_none_or(|connection| connection.is_handshaking())
    }
}

fn invalid(error: Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

/// Sends the records of one call as one piece.
struct Outgoing<'a>(&'a Io);

impl Write for Outgoing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)?;
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut bytes = Vec::with_capacity(buffers.iter().map(|buffer| buffer.len()).sum());
        for buffer in buffers {
            bytes.extend_from_slice(buffer);
        }
        let len = bytes.len();
        self.0.send(bytes)?;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
