//! Connecting: from where, to names, and to listeners without room.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketType};
use tevent::{Context, Request, wakeup};
use tsocket::{Address, Stream};
use tsocket_bsd::{
    ConnectOptions, HostError, ListenOptions, SocketOptions, connect, connect_host, listen,
};

use common::{LIMIT, expect, expect_errno, has_ipv6, inet};

#[test]
fn the_peer_sees_the_local_address_that_was_asked_for() {
    let ctx = Context::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let unix = |name: &str| Address::unix(directory.path().join(name)).unwrap();
    for (at, local) in [
        (inet("127.0.0.1:0"), inet("127.0.0.1:0")),
        (unix("server"), unix("client")),
    ] {
        let listener = listen(&ctx, &at, &ListenOptions::default()).unwrap();
        let options = ConnectOptions::default().local_address(local.clone());
        let at = listener.local_address().unwrap();
        let client = expect(&ctx, connect(&ctx, &at, &options));
        let (_, peer) = expect(&ctx, listener.accept());
        assert_eq!(peer, client.local_address().unwrap());
        assert!(peer.is_unix() || peer.ip().unwrap() == local.ip().unwrap());
        assert!(!peer.is_unix() || peer == local);
    }
}

#[test]
fn a_local_address_of_another_family_is_refused() {
    let ctx = Context::new().unwrap();
    let unix = Address::unix("/tmp/nobody").unwrap();
    for (local, remote) in [
        (inet("127.0.0.1:0"), inet("[::1]:1")),
        (inet("127.0.0.1:0"), unix.clone()),
        (unix, inet("127.0.0.1:1")),
    ] {
        let options = ConnectOptions::default().local_address(local);
        expect_errno(&ctx, connect(&ctx, &remote, &options), Errno::INVAL);
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let ctx = Context::new().unwrap();
    let wrong = SocketOptions::default().broadcast(true);
    let at = inet("127.0.0.1:0");
    let options = ConnectOptions::default().socket(wrong.clone());
    expect_errno(&ctx, connect(&ctx, &at, &options), Errno::INVAL);
    let refused = listen(&ctx, &at, &ListenOptions::default().socket(wrong)).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(Errno::INVAL.raw_os_error()));
}

#[test]
fn two_listeners_share_a_port_if_both_say_so() {
    let ctx = Context::new().unwrap();
    let sharing = ListenOptions::default().socket(SocketOptions::default().reuse_port(true));
    let one = listen(&ctx, &inet("127.0.0.1:0"), &sharing).unwrap();
    let at = one.local_address().unwrap();
    let other = listen(&ctx, &at, &sharing).unwrap();
    assert_eq!(other.local_address().unwrap(), at);
    let refused = listen(&ctx, &at, &ListenOptions::default()).unwrap_err();
    assert_eq!(
        refused.raw_os_error(),
        Some(Errno::ADDRINUSE.raw_os_error())
    );
}

#[test]
fn an_ipv6_listener_takes_ipv4_too_if_told_so() {
    if !has_ipv6() {
        return;
    }
    let ctx = Context::new().unwrap();
    let both = ListenOptions::default().socket(SocketOptions::default().v6_only(false));
    let listener = listen(&ctx, &inet("[::]:0"), &both).unwrap();
    let port = listener.local_address().unwrap().port().unwrap();
    let at = inet("127.0.0.1:0").with_port(port).unwrap();
    let _client = expect(&ctx, connect(&ctx, &at, &ConnectOptions::default()));
    let (_, peer) = expect(&ctx, listener.accept());
    assert_eq!(peer.ip().unwrap().to_string(), "::ffff:127.0.0.1");
}

/// A unix listener with the smallest backlog, and connections until it is full.
fn full(ctx: &Context, path: &Path) -> (OwnedFd, Vec<Stream>, Request<Stream>) {
    let listener = net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    net::bind(&listener, &SocketAddrUnix::new(path).unwrap()).unwrap();
    net::listen(&listener, 0).unwrap();
    let (streams, request) = until_full(ctx, &Address::unix(path).unwrap());
    (listener, streams, request)
}

/// As many connections as the backlog takes, and one that waits.
fn until_full(ctx: &Context, at: &Address) -> (Vec<Stream>, Request<Stream>) {
    let mut streams = Vec::new();
    loop {
        let request = connect(ctx, at, &ConnectOptions::default());
        if !request.is_finished() {
            return (streams, request);
        }
        streams.push(expect(ctx, request));
        assert!(streams.len() < 20, "twenty connections wait");
    }
}

#[test]
fn as_many_connections_wait_as_the_backlog_says() {
    let ctx = Context::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    for backlog in [1, 9] {
        let at = Address::unix(directory.path().join("socket")).unwrap();
        let options = ListenOptions::default().backlog(backlog);
        let _listener = listen(&ctx, &at, &options).unwrap();
        let (streams, _waiting) = until_full(&ctx, &at);
        // The kernel takes one more than it is told.
        let taken = usize::try_from(backlog).unwrap()..=usize::try_from(backlog).unwrap() + 1;
        assert!(
            taken.contains(&streams.len()),
            "{} of {backlog}",
            streams.len()
        );
    }
}

#[test]
fn a_full_backlog_is_waited_for() {
    let ctx = Context::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (listener, streams, request) = full(&ctx, &directory.path().join("socket"));
    let before = ctx.stats();
    expect(&ctx, wakeup(&ctx, ctx.now() + Duration::from_millis(100)));
    assert!(!request.is_finished());
    let waits = ctx.stats().since(&before).waits;
    assert!(waits < 40, "{waits} waits in a tenth of a second");
    let _accepted = net::accept(&listener).unwrap();
    let stream = expect(&ctx, request);
    assert!(stream.peer_address().unwrap().is_unix());
    drop(streams);
}

#[test]
fn a_full_backlog_is_waited_for_until_the_deadline() {
    let ctx = Context::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let (listener, _streams, request) = full(&ctx, &path);
    request.set_timeout(Duration::from_millis(20));
    expect_errno(&ctx, request, Errno::TIMEDOUT);
    let request = connect(
        &ctx,
        &Address::unix(&path).unwrap(),
        &ConnectOptions::default(),
    );
    drop(listener);
    expect_errno(&ctx, request, Errno::CONNREFUSED);
}

fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    (listener, at)
}

fn refused_host(ctx: &Context, host: &str) -> (ErrorKind, HostError) {
    let request = connect_host(ctx, host, &ConnectOptions::default());
    request.set_timeout(LIMIT);
    let error = ctx.run_until(request).unwrap().unwrap_err();
    (error.kind(), error.downcast().unwrap())
}

#[test]
fn a_name_is_looked_up_and_its_addresses_are_tried() {
    let ctx = Context::new().unwrap();
    let (_listener, at) = listening();
    // Where `localhost` is IPv6 first, that is refused first.
    let host = format!("localhost:{}", at.port());
    let request = connect_host(&ctx, &host, &ConnectOptions::default());
    let stream = expect(&ctx, request);
    assert_eq!(stream.peer_address().unwrap(), at.into());
}

#[test]
fn a_host_that_refuses_is_named_with_its_addresses() {
    let ctx = Context::new().unwrap();
    let (listener, at) = listening();
    drop(listener);
    let (kind, error) = refused_host(&ctx, &format!("localhost:{}", at.port()));
    assert_eq!(kind, ErrorKind::ConnectionRefused);
    assert!(!error.attempts().is_empty());
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("connecting to localhost:{}; ", at.port())),
        "{text}"
    );
    for (address, error) in error.attempts() {
        assert!(text.contains(&format!("{address}: {error}")), "{text}");
    }
}

#[test]
fn a_host_without_name_or_port_is_refused_at_once() {
    let ctx = Context::new().unwrap();
    for host in [
        "",
        ":80",
        "localhost",
        "localhost:",
        "localhost:http",
        "localhost:+80",
        "localhost:65536",
        "::1",
        "[localhost]:80",
        "a:b:80",
        "127.0.0.1",
        "nul\0:80",
    ] {
        let request = connect_host(&ctx, host, &ConnectOptions::default());
        assert!(request.is_finished(), "{host:?}");
        let error = ctx.run_until(request).unwrap().unwrap_err();
        let error: HostError = error.downcast().unwrap();
        let errno = error.cause().raw_os_error();
        assert_eq!(errno, Some(Errno::INVAL.raw_os_error()), "{host:?}");
        assert_eq!((error.host(), error.attempts().len()), (host, 0));
    }
}

#[test]
fn an_unknown_name_is_an_error_with_the_text_of_the_system() {
    let ctx = Context::new().unwrap();
    // Too long to be asked for: no name server hears of it.
    let name = format!("{}.invalid:80", "x".repeat(64));
    let (_, error) = refused_host(&ctx, &name);
    assert!(error.attempts().is_empty());
    assert!(error.to_string().contains(&error.cause().to_string()));
}

#[test]
fn numeric_addresses_do_not_wait_for_a_thread() {
    let ctx = Context::new().unwrap();
    let (release, gate) = mpsc::channel::<()>();
    let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
    let blocked: Vec<_> = (0..Context::OFFLOAD_THREADS)
        .map(|_| {
            let gate = gate.clone();
            ctx.offload(move || gate.lock().unwrap().recv().is_ok())
        })
        .collect();
    let (_listener, at) = listening();
    let named = connect_host(
        &ctx,
        &format!("localhost:{}", at.port()),
        &ConnectOptions::default(),
    );
    let numeric = connect_host(&ctx, &at.to_string(), &ConnectOptions::default());
    expect(&ctx, numeric);
    assert!(!named.is_finished());
    drop(release);
    for job in blocked {
        expect(&ctx, job);
    }
    expect(&ctx, named);
}

#[test]
fn a_deadline_names_the_host() {
    let ctx = Context::new().unwrap();
    let (release, gate) = mpsc::channel::<()>();
    let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
    let blocked: Vec<_> = (0..Context::OFFLOAD_THREADS)
        .map(|_| {
            let gate = gate.clone();
            ctx.offload(move || gate.lock().unwrap().recv().is_ok())
        })
        .collect();
    let request = connect_host(&ctx, "localhost:80", &ConnectOptions::default());
    request.set_timeout(Duration::from_millis(10));
    let error = ctx.run_until(request).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("localhost:80"), "{error}");
    let dropped = connect_host(&ctx, "localhost:80", &ConnectOptions::default());
    drop(dropped);
    drop((release, blocked));
    ctx.run().unwrap();
    assert!(ctx.dump().entries().is_empty());
}
