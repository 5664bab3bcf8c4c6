//! System calls: an echo costs one wait, one receive and one send, and nothing else.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};

use tevent::{Context, Stats};
use tevent_tests::contract::done;
use tevent_tests::on_every_backend;
use tsocket::{Address, Family, Stream, pdu};
use tsocket_bsd::{ConnectOptions, connect, socketpair};
use tsocket_npa::message_mode;

const WARM_UP: usize = 10;
const ROUNDS: u64 = 1_000;

/// A peer that writes `ping`, waits for as many bytes back, compares, and so on to the last round.
fn play(mut socket: impl Read + Write + Send + 'static, ping: Vec<u8>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut pong = vec![0; ping.len()];
        for _ in 0..WARM_UP + usize::try_from(ROUNDS).expect("a small number") {
            socket.write_all(&ping).expect("there is somebody");
            socket.read_exact(&mut pong).expect("it comes back");
            assert!(ping == pong);
        }
    })
}

/// Echoes to the end, and returns what the rounds between the first and the last cost.
async fn count<F: Future<Output = io::Result<bool>>>(
    ctx: Context,
    mut echo: impl FnMut() -> F,
) -> io::Result<Stats> {
    for _ in 0..WARM_UP {
        echo().await?;
    }
    let before = ctx.stats();
    for _ in 0..ROUNDS {
        echo().await?;
    }
    let spent = ctx.stats().since(&before);
    assert!(!echo().await?, "the peer has closed");
    Ok(spent)
}

#[track_caller]
fn expect_one_of_each(spent: Stats) {
    assert_eq!(
        (spent.waits, spent.receives, spent.sends),
        (ROUNDS, ROUNDS, ROUNDS),
        "{spent:?}"
    );
    assert_eq!((spent.registrations, spent.wakeups), (0, 0), "{spent:?}");
}

fn over_tcp(ctx: &Context) -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a loopback");
    let port = listener.local_addr().expect("it is bound").port();
    let address = Address::from_strings(Family::Ipv4, Some("127.0.0.1"), port);
    let address = address.expect("that is an address");
    let stream = done(ctx, connect(ctx, &address, &ConnectOptions::default()));
    let (peer, _) = listener.accept().expect("it has connected");
    peer.set_nodelay(true).expect("TCP has that");
    (stream, peer)
}

fn over_unix(ctx: &Context) -> (Stream, UnixStream) {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).expect("a new path");
    let address = Address::unix(path).expect("a short path");
    let stream = done(ctx, connect(ctx, &address, &ConnectOptions::default()));
    let (peer, _) = listener.accept().expect("it has connected");
    (stream, peer)
}

#[test]
fn an_echo_over_tcp_is_one_wait_one_receive_and_one_send() {
    on_every_backend(|ctx| {
        let (stream, peer) = over_tcp(ctx);
        let peer = play(peer, vec![7; 64]);
        let echo = || async {
            let chunk = stream.read(64 * 1024).await?;
            let is_open = !chunk.is_empty();
            if is_open {
                stream.writev(chunk).await?;
            }
            Ok(is_open)
        };
        let spent = ctx.block_on(count(ctx.clone(), echo)).unwrap().unwrap();
        expect_one_of_each(spent);
        peer.join().unwrap();
    });
}

#[test]
fn an_echo_of_a_short_read_is_one_wait_one_receive_and_one_send() {
    on_every_backend(|ctx| {
        let (stream, peer) = over_tcp(ctx);
        let peer = play(peer, vec![7; 64]);
        // Less than is read ahead.
        let echo = || async {
            let chunk = stream.read(100).await?;
            let is_open = !chunk.is_empty();
            if is_open {
                stream.writev(chunk).await?;
            }
            Ok(is_open)
        };
        let spent = ctx.block_on(count(ctx.clone(), echo)).unwrap().unwrap();
        expect_one_of_each(spent);
        peer.join().unwrap();
    });
}

#[test]
fn an_echo_of_a_pdu_is_one_wait_one_receive_and_one_send() {
    on_every_backend(|ctx| {
        let (stream, peer) = over_unix(ctx);
        let peer = play(peer, [&b"\0\0\0\x64"[..], &[7; 100]].concat());
        let echo = || async {
            let pdu = stream.read_pdu(pdu::u32_be(1000)).await?;
            let is_open = !pdu.is_empty();
            if is_open {
                stream.writev(pdu).await?;
            }
            Ok(is_open)
        };
        let spent = ctx.block_on(count(ctx.clone(), echo)).unwrap().unwrap();
        expect_one_of_each(spent);
        peer.join().unwrap();
    });
}

#[test]
fn an_echo_of_a_message_is_one_wait_one_receive_and_one_send() {
    on_every_backend(|ctx| {
        let (stream, peer) = over_unix(ctx);
        let peer = play(peer, [&b"\x64\0"[..], &[7; 100]].concat());
        let pipe = message_mode(ctx, stream).unwrap();
        let echo = || async {
            let message = pipe.read(1000).await?;
            let is_open = !message.is_empty();
            if is_open {
                pipe.writev(message).await?;
            }
            Ok(is_open)
        };
        let spent = ctx.block_on(count(ctx.clone(), echo)).unwrap().unwrap();
        expect_one_of_each(spent);
        peer.join().unwrap();
    });
}

#[test]
fn a_stream_that_does_not_read_ahead_receives_what_it_is_asked_for() {
    on_every_backend(|ctx| {
        let (near, far) = socketpair(ctx).unwrap();
        for (is_on, second_receives) in [(true, 0), (false, 1), (true, 0)] {
            far.set_read_ahead(is_on);
            done(ctx, near.writev(&b"headerbody"[..]));
            assert_eq!(done(ctx, far.readv(vec![0; 6])), b"header");
            let before = ctx.stats();
            assert_eq!(done(ctx, far.readv(vec![0; 4])), b"body");
            let receives = ctx.stats().since(&before).receives;
            assert_eq!(receives, second_receives, "read-ahead is on: {is_on}");
        }
    });
}
