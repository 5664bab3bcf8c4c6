//! The scenarios of the C library's tests of streams: plain sockets for comparison, and writes that
//! cannot go on and must not spin.

use std::io::{ErrorKind, Read, Write};
use std::net::{self, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt;
use tevent::{Context, Request, wakeup};
use tevent_tests::contract::{done, end_of, gives_back};
use tevent_tests::{on_every_backend, scaled, settle};
use tsocket::{Failed, Stream};
use tsocket_bsd::stream_from_fd;

const MESSAGE: [u8; 128] = [7; 128];

/// How long the C scenario waits, and how long we do unless the full form is asked for.
fn patience() -> Duration {
    Duration::from_millis(u64::try_from(scaled(100, 5_000)).expect("a small number"))
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a loopback");
    let address = listener.local_addr().expect("it is bound");
    let client = TcpStream::connect(address).expect("somebody listens");
    let (server, _) = listener.accept().expect("somebody has connected");
    (client, server)
}

/// Writes until the socket takes no more, also after what the other end may have carried over.
fn fill<S: AsFd>(socket: &S)
where
    for<'a> &'a S: Write,
{
    let quiet = Timespec::try_from(Duration::from_millis(
        u64::try_from(scaled(30, 1_000)).expect("a small number"),
    ));
    let quiet = quiet.expect("a short time");
    let mut writer = socket;
    let mut refusals = 0;
    while refusals < 3 {
        match writer.write(&MESSAGE) {
            Ok(written) => {
                assert!(written > 0);
                refusals = 0;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                refusals += 1;
                // Room for a little is not told.
                let mut room = [PollFd::new(socket, PollFlags::OUT)];
                poll(&mut room, Some(&quiet)).expect("a socket can be polled");
            }
        }
    }
}

#[track_caller]
fn expect_write_errno(mut socket: impl Write, errno: Errno) {
    let error = socket.write(&MESSAGE).expect_err("it takes no more");
    assert_eq!(Errno::from_io_error(&error), Some(errno));
}

#[test]
fn what_was_written_can_be_read_after_the_writer_has_closed() {
    let (mut client, mut server) = tcp_pair();
    let mut read = [0; MESSAGE.len()];
    server.write_all(&MESSAGE).unwrap();
    client.read_exact(&mut read).unwrap();
    assert_eq!(read, MESSAGE);
    client.write_all(&MESSAGE).unwrap();
    drop(client);
    server.read_exact(&mut read).unwrap();
    assert_eq!(server.read(&mut read).unwrap(), 0);
    // The first one after the end still goes out; the answer to it is a reset.
    server.write_all(&MESSAGE).unwrap();
}

#[test]
fn a_socket_that_is_full_would_block_until_its_peer_closes() {
    let (client, server) = tcp_pair();
    server.set_nonblocking(true).unwrap();
    fill(&server);
    expect_write_errno(&server, Errno::WOULDBLOCK);
    client.shutdown(net::Shutdown::Write).unwrap();
    expect_write_errno(&server, Errno::WOULDBLOCK);
    client.shutdown(net::Shutdown::Read).unwrap();
    expect_write_errno(&server, Errno::WOULDBLOCK);

    let (client, server) = tcp_pair();
    server.set_nonblocking(true).unwrap();
    fill(&server);
    // With unread data in it, closing is a reset.
    drop(client);
    expect_write_errno(&server, Errno::CONNRESET);
}

/// A peer that never reads, and what it can do.
trait Peer: Into<OwnedFd> + AsFd + Write + 'static {
    fn pair() -> (Self, Self);
    fn end(&self);
    fn set_nonblocking(&self);
}

impl Peer for TcpStream {
    fn pair() -> (Self, Self) {
        tcp_pair()
    }

    fn end(&self) {
        self.shutdown(net::Shutdown::Write)
            .expect("it is connected");
    }

    fn set_nonblocking(&self) {
        Self::set_nonblocking(self, true).expect("a socket can do that");
    }
}

impl Peer for UnixStream {
    fn pair() -> (Self, Self) {
        Self::pair().expect("the system has a socket pair")
    }

    fn end(&self) {
        self.shutdown(net::Shutdown::Write)
            .expect("it is connected");
    }

    fn set_nonblocking(&self) {
        Self::set_nonblocking(self, true).expect("a socket can do that");
    }
}

/// A stream on a socket that takes no more, and its peer.
fn filled<P: Peer>(ctx: &Context) -> (Stream, P)
where
    for<'a> &'a P: Write,
{
    let (client, server) = P::pair();
    server.set_nonblocking();
    fill(&server);
    let stream = stream_from_fd(ctx, server.into()).expect("a connected socket is a stream");
    (stream, client)
}

type Writing = Request<Vec<u8>, Failed<Vec<u8>>>;

/// Expects `write` to fail with `errno`, after at most `limit` waits.
#[track_caller]
fn expect_waits(ctx: &Context, write: Writing, errno: Errno, limit: u64) {
    let before = ctx.stats();
    let (buffer, transferred) = gives_back(ctx, write, errno);
    assert_eq!((buffer.len(), transferred), (MESSAGE.len(), 0));
    let waits = ctx.stats().since(&before).waits;
    assert!(waits <= limit, "{waits} waits, at most {limit} expected");
}

fn disconnected_client<P: Peer>(ctx: &Context)
where
    for<'a> &'a P: Write,
{
    let (stream, client) = filled::<P>(ctx);
    stream.set_fail_first(true);
    client.end();
    expect_waits(ctx, stream.writev(MESSAGE.to_vec()), Errno::CONNRESET, 2);

    // Without fail-first the peer may still read: the write goes on waiting, and does not spin.
    let (stream, client) = filled::<P>(ctx);
    client.end();
    let write = stream.writev(MESSAGE.to_vec());
    write.set_timeout(patience());
    expect_waits(ctx, write, Errno::TIMEDOUT, 10);
}

fn unread_data<P: Peer>(ctx: &Context, fail_first: bool)
where
    for<'a> &'a P: Write,
{
    let (stream, mut client) = filled::<P>(ctx);
    stream.set_fail_first(fail_first);
    let write = stream.writev(MESSAGE.to_vec());
    write.set_timeout(patience());
    client.write_all(&MESSAGE).expect("there is room this way");
    expect_waits(ctx, write, Errno::TIMEDOUT, 10);
    assert_eq!(stream.pending_bytes().ok(), Some(MESSAGE.len()));
}

fn unread_data_then_disconnect<P: Peer>(ctx: &Context)
where
    for<'a> &'a P: Write,
{
    let (stream, mut client) = filled::<P>(ctx);
    stream.set_fail_first(true);
    let write = stream.writev(MESSAGE.to_vec());
    write.set_timeout(2 * patience());
    client.write_all(&MESSAGE).expect("there is room this way");
    let before = ctx.stats();
    done(ctx, wakeup(ctx, ctx.now() + patience() / 2));
    let waits = ctx.stats().since(&before).waits;
    assert!(waits <= 10, "{waits} waits beside unread data");
    client.end();
    expect_waits(ctx, write, Errno::CONNRESET, 2);
}

#[test]
fn a_write_for_a_client_that_has_disconnected() {
    on_every_backend(|ctx| {
        disconnected_client::<TcpStream>(ctx);
        disconnected_client::<UnixStream>(ctx);
    });
}

#[test]
fn a_write_beside_unread_data() {
    on_every_backend(|ctx| {
        for fail_first in [false, true] {
            unread_data::<TcpStream>(ctx, fail_first);
            unread_data::<UnixStream>(ctx, fail_first);
        }
    });
}

#[test]
fn a_write_beside_unread_data_whose_client_disconnects() {
    on_every_backend(|ctx| {
        unread_data_then_disconnect::<TcpStream>(ctx);
        unread_data_then_disconnect::<UnixStream>(ctx);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_write_that_the_kernel_gives_up() {
    on_every_backend(|ctx| {
        for fail_first in [false, true] {
            let (mut client, server) = tcp_pair();
            server.set_nonblocking(true).unwrap();
            fill(&server);
            let socket = server.try_clone().unwrap();
            let stream = stream_from_fd(ctx, server.into()).unwrap();
            stream.set_fail_first(fail_first);
            let write = stream.writev(MESSAGE.to_vec());
            settle(ctx);
            client.write_all(&MESSAGE).unwrap();
            // Not before: the kernel looks at it whenever it asks the peer for room, and a machine may
            // take its time to fill a socket.
            let patience = u32::try_from(patience().as_millis()).expect("a small number");
            sockopt::set_tcp_user_timeout(&socket, patience).unwrap();
            expect_waits(ctx, write, Errno::TIMEDOUT, 30);
            let read = end_of(ctx, stream.readv(vec![0; MESSAGE.len()]));
            assert_eq!(read.is_ok(), !fail_first, "{read:?}");
        }
    });
}
