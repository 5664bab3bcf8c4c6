//! No descriptor outlives what it was opened for. One test, so that nobody else opens any meanwhile.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketType};
use tevent::{Context, Request};
use tsocket::{Address, Stream};
use tsocket_bsd::{
    ConnectOptions, DatagramOptions, ListenOptions, connect, connect_host, datagram, listen,
};

use common::{expect_errno, inet};

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A connection that stays unanswered: the backlog of its listener is full.
fn unanswered(ctx: &Context, at: &Address) -> (Vec<Request<Stream>>, Request<Stream>) {
    let mut answered = Vec::new();
    for _ in 0..20 {
        let request = connect(ctx, at, &ConnectOptions::default());
        let pause = tevent::wakeup(ctx, ctx.now() + Duration::from_millis(20));
        ctx.run_until(pause).unwrap().unwrap();
        if !request.is_finished() {
            return (answered, request);
        }
        answered.push(request);
    }
    panic!("a backlog of none takes 20 connections");
}

#[test]
fn ended_attempts_and_dropped_sockets_leave_no_descriptor() {
    let ctx = Context::new().unwrap();
    let full = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    net::bind(&full, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
    net::listen(&full, 0).unwrap();
    let at = SocketAddr::try_from(net::getsockname(&full).unwrap()).unwrap();
    let (host, at) = (at.to_string(), at.into());
    let before = open_descriptors();

    let (answered, request) = unanswered(&ctx, &at);
    assert_eq!(open_descriptors(), before + answered.len() + 1);
    drop(request);
    assert_eq!(open_descriptors(), before + answered.len());

    let request = connect(&ctx, &at, &ConnectOptions::default());
    request.set_timeout(Duration::from_millis(50));
    expect_errno(&ctx, request, Errno::TIMEDOUT);
    assert_eq!(open_descriptors(), before + answered.len());

    let request = connect(&ctx, &at, &ConnectOptions::default());
    request.cancel();
    expect_errno(&ctx, request, Errno::CANCELED);
    assert_eq!(open_descriptors(), before + answered.len());

    // Streams that nobody took.
    drop(answered);
    assert_eq!(open_descriptors(), before);

    let request = connect_host(&ctx, &host, &ConnectOptions::default());
    assert_eq!(open_descriptors(), before + 1);
    drop(request);
    assert_eq!(open_descriptors(), before);
    unix_listeners_without_room(&ctx);

    expect_errno(
        &ctx,
        connect(&ctx, &inet("127.0.0.1:1"), &nobody()),
        Errno::INVAL,
    );
    assert_eq!(open_descriptors(), before);

    let listener = listen(&ctx, &inet("127.0.0.1:0"), &ListenOptions::default()).unwrap();
    let socket = datagram(&ctx, &inet("127.0.0.1:0"), &DatagramOptions::default()).unwrap();
    let pending = listener.accept();
    let (near, far) = tsocket_bsd::socketpair(&ctx).unwrap();
    let read = near.read(1);
    drop((pending, listener, socket, near, far));
    assert_eq!(open_descriptors(), before);
    let ended = ctx.run_until(read).unwrap().unwrap_err();
    assert_eq!(
        ended.raw_os_error(),
        Some(Errno::CONNABORTED.raw_os_error())
    );
}

/// Connections that wait for room, given up in each way.
fn unix_listeners_without_room(ctx: &Context) {
    let before = open_descriptors();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let full = net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    net::bind(&full, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    net::listen(&full, 0).unwrap();
    let (answered, request) = unanswered(ctx, &Address::unix(&path).unwrap());
    let open = before + 1 + answered.len();
    assert_eq!(open_descriptors(), open + 1);
    drop(request);
    assert_eq!(open_descriptors(), open);
    for end in [Errno::CANCELED, Errno::TIMEDOUT] {
        let at = Address::unix(&path).unwrap();
        let request = connect(ctx, &at, &ConnectOptions::default());
        if end == Errno::CANCELED {
            request.cancel();
        } else {
            request.set_timeout(Duration::from_millis(10));
        }
        expect_errno(ctx, request, end);
        assert_eq!(open_descriptors(), open);
    }
    drop((full, answered));
    assert_eq!(open_descriptors(), before);
}

/// A local address that does not go with the remote.
fn nobody() -> ConnectOptions {
    ConnectOptions::default().local_address(Address::unix_unnamed())
}
