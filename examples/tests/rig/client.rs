//! A stream client that says what it expects.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};

use super::daemon::{Daemon, Kind};
use super::patience::LIMIT;

/// A connection to a daemon; every wait on it has a limit.
#[derive(Debug)]
pub(crate) enum Client {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Client {
    /// Connects to the daemon's address of this kind.
    #[track_caller]
    pub(crate) fn connect(daemon: &Daemon, kind: Kind) -> Self {
        let client = match kind {
            Kind::Tcp | Kind::Tls => {
                let address = daemon.inet_address(kind);
                let stream = TcpStream::connect_timeout(&address, LIMIT);
                let stream = stream.unwrap_or_else(|err| panic!("connect to {address}: {err}"));
                stream.set_nodelay(true).expect("TCP has TCP_NODELAY");
                Self::Tcp(stream)
            }
            Kind::Unix => Self::Unix(connect_unix(&daemon.path(kind))),
            Kind::Udp | Kind::UnixDatagram => panic!("{kind:?} has no connections"),
        };
        let timeout = |direction| sockopt::set_socket_timeout(&client, direction, Some(LIMIT));
        timeout(Timeout::Recv)
            .and(timeout(Timeout::Send))
            .expect("a socket takes timeouts");
        client
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if let Err(err) = self.write_all(bytes) {
            panic!("{self}: cannot send {} bytes: {err}", bytes.len());
        }
    }

    /// Sends `bytes` in one segment with the end of the stream behind them, as far as the kind can.
    #[track_caller]
    pub(crate) fn send_with_end(&mut self, bytes: &[u8]) {
        // A corked socket keeps a segment that is not full; the end of the stream goes along with it.
        #[cfg(target_os = "linux")]
        if let Self::Tcp(stream) = self {
            sockopt::set_tcp_cork(stream, true).expect("TCP has TCP_CORK");
        }
        self.send(bytes);
        self.half_close();
    }

    #[track_caller]
    pub(crate) fn half_close(&self) {
        let closed = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
        closed.expect("a connected stream can be half-closed");
    }

    /// Closes so that the peer sees a reset, not an end (TCP only; a unix stream just closes).
    #[track_caller]
    pub(crate) fn reset(self) {
        if let Self::Tcp(stream) = &self {
            sockopt::set_socket_linger(stream, Some(Duration::ZERO)).expect("TCP has SO_LINGER");
        }
    }

    /// Takes exactly `bytes`.
    #[track_caller]
    pub(crate) fn expect_bytes(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        if let Err(err) = self.read_exact(&mut got) {
            panic!("{self}: {} bytes do not come back: {err}", bytes.len());
        }
        let index = got
            .iter()
            .zip(bytes)
            .take_while(|(got, sent)| got == sent)
            .count();
        assert!(
            got == bytes,
            "{self}: byte {index} of {} came back changed",
            bytes.len()
        );
    }

    #[track_caller]
    pub(crate) fn expect_echo(&mut self, bytes: &[u8]) {
        self.send(bytes);
        self.expect_bytes(bytes);
    }

    /// Takes the end of the stream, and nothing before it.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        match self.read(&mut [0; 64]) {
            Ok(0) => {}
            Ok(count) => panic!("{self}: {count} bytes more where the stream should end"),
            Err(err) => panic!("{self}: the stream does not end: {err}"),
        }
    }

    /// Takes the end of the connection, be it a reset or the end of the stream.
    #[track_caller]
    pub(crate) fn expect_ended(&mut self) {
        match self.read(&mut [0; 64]) {
            Err(err) if err.kind() == ErrorKind::ConnectionReset => {}
            Ok(0) => {}
            Ok(count) => panic!("{self}: {count} bytes where the connection should end"),
            Err(err) => panic!("{self}: the connection does not end: {err}"),
        }
    }

    /// Whether something, an end included, can be read within `span`.
    #[track_caller]
    pub(crate) fn is_readable_within(&self, span: Duration) -> bool {
        wait(&mut [PollFd::new(self, PollFlags::IN)], span) > 0
    }

    #[track_caller]
    pub(crate) fn set_nonblocking(&self, on: bool) {
        rustix::io::ioctl_fionbio(self, on).expect("a socket can be made non-blocking");
    }

    /// Another handle of the same connection.
    #[track_caller]
    pub(crate) fn another(&self) -> Self {
        match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone().expect("a descriptor is left")),
            Self::Unix(stream) => Self::Unix(stream.try_clone().expect("a descriptor is left")),
        }
    }

    /// Writes up to `most` zeros without ever reading; stops earlier once nothing was taken for `span`.
    #[track_caller]
    pub(crate) fn stuff(&mut self, most: usize, span: Duration) -> usize {
        self.set_nonblocking(true);
        let mut written = 0;
        while written < most {
            match self.write(&vec![0; (most - written).min(64 << 10)]) {
                Ok(count) => written += count,
                Err(err) if err.kind() == ErrorKind::WouldBlock => {
                    if wait(&mut [PollFd::new(self, PollFlags::OUT)], span) == 0 {
                        break;
                    }
                }
                Err(err) => panic!("{self}: cannot send: {err}"),
            }
        }
        self.set_nonblocking(false);
        written
    }
}

/// Waits for one of `fds` for at most `span`; 0 if nothing happened.
#[track_caller]
pub(crate) fn wait(fds: &mut [PollFd<'_>], span: Duration) -> usize {
    let span = Timespec::try_from(span).expect("a limit is small");
    loop {
        match poll(fds, Some(&span)) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.expect("poll takes valid descriptors"),
        }
    }
}

#[track_caller]
fn connect_unix(path: &std::path::Path) -> UnixStream {
    let stream =
        socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a descriptor is left");
    // The limit for sending is also the one for connecting, when the backlog is full; see unix(7).
    sockopt::set_socket_timeout(&stream, Timeout::Send, Some(LIMIT))
        .expect("a socket takes timeouts");
    let address = SocketAddrUnix::new(path).expect("the path is short enough");
    connect(&stream, &address).unwrap_or_else(|err| panic!("connect to {}: {err}", path.display()));
    UnixStream::from(stream)
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(stream) => match stream.local_addr() {
                Ok(address) => write!(f, "tcp client {address}"),
                Err(err) => write!(f, "tcp client ({err})"),
            },
            Self::Unix(stream) => write!(f, "unix client (descriptor {:?})", stream.as_fd()),
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Client {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buf),
            Self::Unix(stream) => stream.read(buf),
        }
    }
}

impl Write for Client {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buf),
            Self::Unix(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
