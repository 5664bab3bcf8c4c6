//! How connections end in practice: with a last segment, half-closed, reset, killed or silent.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;
use tevent::{Context, Group};
use tevent_tests::contract::{done, end_of, expect_nothing_left, fails, gives_back, pattern};
use tevent_tests::{descriptors, kernel_backends, scaled, settle, within_limit};
use tsocket::{Address, Family, Listener, Stream};
use tsocket_bsd::{ConnectOptions, ListenOptions, connect, listen};

/// A stream on `ctx`, and its peer, which blocks.
pub(crate) fn connected(ctx: &Context) -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a loopback");
    let port = listener.local_addr().expect("it is bound").port();
    let address = Address::from_strings(Family::Ipv4, Some("127.0.0.1"), port);
    let address = address.expect("that is an address");
    let stream = done(ctx, connect(ctx, &address, &ConnectOptions::default()));
    let (peer, _) = listener.accept().expect("it has connected");
    (stream, peer)
}

/// Closes so that the connection is reset.
pub(crate) fn reset(peer: TcpStream) {
    sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).expect("TCP has that");
    drop(peer);
}

/// Tells `story` on each back end, and expects that nothing is left behind.
#[track_caller]
fn on_every_backend(story: fn(&Context)) {
    tevent_tests::on_every_backend(move |ctx| {
        story(ctx);
        expect_nothing_left(ctx);
    });
}

#[test]
fn data_and_the_end_in_one_segment_are_both_reported() {
    on_every_backend(|ctx| {
        for max in [3, 9, 100, 100_000] {
            let (stream, mut peer) = connected(ctx);
            peer.write_all(b"farewell!").unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            let mut read = Vec::new();
            loop {
                let chunk = done(ctx, stream.read(max));
                if chunk.is_empty() {
                    break;
                }
                read.extend_from_slice(&chunk);
            }
            assert_eq!(read, b"farewell!");
            assert!(done(ctx, stream.read(max)).is_empty());
        }
    });
}

#[test]
fn data_and_the_end_reach_a_reader_that_waits() {
    on_every_backend(|ctx| {
        let (stream, mut peer) = connected(ctx);
        let waiting = stream.read(100);
        settle(ctx);
        peer.write_all(b"farewell!").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(&*done(ctx, waiting), b"farewell!");
        assert!(done(ctx, stream.read(100)).is_empty());

        let (stream, mut peer) = connected(ctx);
        peer.write_all(b"farewell!").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(done(ctx, stream.readv(vec![0; 9])), b"farewell!");
        let (_, transferred) = gives_back(ctx, stream.readv(vec![0; 9]), Errno::PIPE);
        assert_eq!(transferred, 0);
    });
}

const ANSWER_LEN: usize = 1 << 20;

#[test]
fn a_peer_that_half_closes_gets_everything_that_is_written_back() {
    on_every_backend(|ctx| {
        let (stream, mut peer) = connected(ctx);
        let peer = thread::spawn(move || {
            peer.write_all(b"question").expect("there is somebody");
            peer.shutdown(Shutdown::Write).expect("it is connected");
            let mut answer = Vec::new();
            peer.read_to_end(&mut answer).expect("it ends well");
            answer
        });
        let served = ctx.spawn(async move {
            while !stream.read(100).await?.is_empty() {}
            stream.writev(pattern(0, ANSWER_LEN)).await?;
            stream.disconnect().await
        });
        done(ctx, served).unwrap();
        assert!(peer.join().unwrap() == pattern(0, ANSWER_LEN));
    });
}

#[test]
fn a_reset_is_an_error_for_whoever_waits() {
    on_every_backend(|ctx| {
        let (stream, peer) = connected(ctx);
        let read = stream.read(100);
        settle(ctx);
        reset(peer);
        fails(ctx, read, Errno::CONNRESET);
        // It is the first error of the connection, and stays.
        fails(ctx, stream.read(100), Errno::CONNRESET);
        gives_back(ctx, stream.writev(vec![1]), Errno::CONNRESET);

        let (stream, peer) = connected(ctx);
        let write = stream.writev(vec![7; 64 << 20]);
        settle(ctx);
        reset(peer);
        let (buffer, transferred) = gives_back(ctx, write, Errno::CONNRESET);
        assert!(transferred > 0 && transferred < buffer.len());
    });
}

#[test]
fn a_reset_that_a_writer_meets_hides_nothing_that_had_arrived() {
    on_every_backend(|ctx| {
        let (stream, mut peer) = connected(ctx);
        peer.write_all(b"last words").unwrap();
        reset(peer);
        // The reset comes at once on a loopback, or with the answer to the first of these.
        let failed = loop {
            match end_of(ctx, stream.writev(&b"anybody?"[..])) {
                Ok(_) => settle(ctx),
                Err(failed) => break failed,
            }
        };
        let errno = Errno::from_io_error(&failed.error).unwrap();
        assert!([Errno::CONNRESET, Errno::PIPE].contains(&errno), "{errno}");
        assert_eq!(done(ctx, stream.readv(vec![0; 10])), b"last words");
        let after = end_of(ctx, stream.read(100));
        assert!(after.is_err() || after.is_ok_and(|end| end.is_empty()));
    });
}

#[test]
fn peers_that_are_killed_reset_or_silent_leave_nothing_behind() {
    tevent_tests::alone(
        "stream_ends::peers_that_are_killed_reset_or_silent_leave_nothing_behind",
        || {
            for backend in kernel_backends() {
                within_limit(|| count_what_is_left(backend));
            }
        },
    );
}

/// Echoes until the peer is done, or silent for too long.
async fn serve(stream: Stream) {
    loop {
        let read = stream.read(1000);
        read.set_timeout(Duration::from_millis(200));
        match read.await {
            Ok(chunk) if !chunk.is_empty() => {
                if stream.writev(chunk).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

async fn accept_all(ctx: Context, listener: Listener, count: usize, group: Rc<Group>) {
    for _ in 0..count {
        let (stream, _) = listener.accept().await.expect("somebody connects");
        group.add(ctx.spawn(serve(stream)));
    }
}

fn listening(ctx: &Context) -> (Listener, u16) {
    let address = Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0);
    let address = address.expect("that is an address");
    let listener = listen(ctx, &address, &ListenOptions::default()).expect("any port will do");
    let address = listener.local_address().expect("it is bound");
    (listener, address.port().expect("TCP has ports"))
}

fn count_what_is_left(backend: &str) {
    let count = scaled(60, 600);
    let ctx = Context::with_backend(backend).expect("it is listed");
    // The first of everything may open what stays.
    drop(connected(&ctx));
    let before = descriptors();
    let (listener, port) = listening(&ctx);
    let group = Rc::new(Group::new(&ctx));
    let accepted = ctx.spawn(accept_all(ctx.clone(), listener, count, group.clone()));
    let peers = thread::spawn(move || {
        let mut silent = Vec::new();
        for index in 0..count {
            let mut peer = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
            match index % 4 {
                0 => drop(peer),
                1 => {
                    peer.write_all(&[7; 100]).expect("it is connected");
                    reset(peer);
                }
                2 => {
                    // Closed with the echo unread, which resets it in the middle.
                    peer.write_all(&pattern(0, 50_000)).ok();
                    drop(peer);
                }
                _ => silent.push(peer),
            }
        }
        silent
    });
    done(&ctx, accepted);
    // Returns when the last deadline of the silent ones is over.
    expect_nothing_left(&ctx);
    assert!(group.is_empty());
    let silent = peers.join().expect("the peers have done their part");
    assert_eq!(silent.len(), count / 4);
    drop(silent);
    drop(group);
    assert_eq!(descriptors(), before, "descriptors were left behind");
}
