//! Datagram sockets: UDP and unix.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::io::Errno;
use tevent::Context;
use tsocket::{Address, Datagram};
use tsocket_bsd::{DatagramOptions, datagram};

use common::{LIMIT, expect, expect_errno, has_ipv6, inet, scale};

fn bound(ctx: &Context, local: &Address) -> Datagram {
    datagram(ctx, local, &DatagramOptions::default()).unwrap()
}

fn connected(ctx: &Context, local: &Address, remote: &Address) -> Datagram {
    let options = DatagramOptions::default().remote(remote.clone());
    datagram(ctx, local, &options).unwrap()
}

/// A question and its answer, `count` times, with lengths from 1 to 1,400 bytes.
fn expect_a_conversation(ctx: &Context, client: &Datagram, server: &Datagram, count: u64) {
    let at = server.local_address().unwrap();
    for index in 0..count {
        let len = usize::try_from(index * 37 % 1400).unwrap() + 1;
        let sent = vec![b'x'; len];
        let back = expect(ctx, client.send_to(sent.clone(), Some(&at)));
        assert_eq!(back, sent);
        let (chunk, from) = expect(ctx, server.recv_from());
        assert_eq!(&*chunk, sent);
        assert_eq!(from, client.local_address().unwrap());
        expect(ctx, server.send_to(chunk, Some(&from)));
        let (chunk, from) = expect(ctx, client.recv_from());
        assert_eq!(&*chunk, sent);
        assert_eq!(from, at);
    }
}

#[test]
fn udp_over_ipv4_holds_a_conversation() {
    let ctx = Context::new().unwrap();
    let (client, server) = (
        bound(&ctx, &inet("127.0.0.1:0")),
        bound(&ctx, &inet("127.0.0.1:0")),
    );
    expect_a_conversation(&ctx, &client, &server, 100 * scale());
    assert_eq!(
        client.peer_address().unwrap_err().raw_os_error(),
        Some(Errno::NOTCONN.raw_os_error())
    );
}

#[test]
fn udp_over_ipv6_holds_a_conversation() {
    if !has_ipv6() {
        return;
    }
    let ctx = Context::new().unwrap();
    let (client, server) = (bound(&ctx, &inet("[::1]:0")), bound(&ctx, &inet("[::1]:0")));
    expect_a_conversation(&ctx, &client, &server, 10);
}

#[test]
fn unix_datagrams_hold_a_conversation() {
    let ctx = Context::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| Address::unix(directory.path().join(name)).unwrap();
    let (client, server) = (bound(&ctx, &at("client")), bound(&ctx, &at("server")));
    expect_a_conversation(&ctx, &client, &server, 100 * scale());
}

#[test]
fn a_connected_socket_needs_no_destination() {
    let ctx = Context::new().unwrap();
    let server = bound(&ctx, &inet("127.0.0.1:0"));
    let at = server.local_address().unwrap();
    for local in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let client = connected(&ctx, &inet(local), &at);
        assert_eq!(client.peer_address().unwrap(), at);
        expect(&ctx, client.send_to(b"ping".to_vec(), None));
        let (chunk, from) = expect(&ctx, server.recv_from());
        assert_eq!(&*chunk, b"ping");
        assert_eq!(from, client.local_address().unwrap());
    }
    let directory = tempfile::tempdir().unwrap();
    let at = Address::unix(directory.path().join("server")).unwrap();
    let server = bound(&ctx, &at);
    let client = connected(&ctx, &Address::unix_unnamed(), &at);
    expect(&ctx, client.send_to(b"ping".to_vec(), None));
    let (chunk, from) = expect(&ctx, server.recv_from());
    assert_eq!((&*chunk, from), (&b"ping"[..], Address::unix_unnamed()));
}

#[test]
fn families_do_not_mix() {
    let ctx = Context::new().unwrap();
    let unix = Address::unix("/tmp/nobody").unwrap();
    for (local, remote) in [
        (inet("127.0.0.1:0"), inet("[::1]:1")),
        (inet("127.0.0.1:0"), unix.clone()),
        (Address::unix_unnamed(), inet("127.0.0.1:1")),
        (unix, inet("127.0.0.1:1")),
    ] {
        let options = DatagramOptions::default().remote(remote);
        let refused = datagram(&ctx, &local, &options).unwrap_err();
        assert_eq!(
            refused.raw_os_error(),
            Some(Errno::INVAL.raw_os_error()),
            "{local}"
        );
    }
}

#[test]
fn without_a_destination_the_system_says_so() {
    let ctx = Context::new().unwrap();
    let socket = bound(&ctx, &inet("127.0.0.1:0"));
    expect_errno(
        &ctx,
        socket.send_to(b"?".to_vec(), None),
        Errno::DESTADDRREQ,
    );
    let socket = bound(&ctx, &Address::unix_unnamed());
    expect_errno(&ctx, socket.send_to(b"?".to_vec(), None), Errno::NOTCONN);
}

#[test]
fn a_refused_datagram_is_told_once() {
    let ctx = Context::new().unwrap();
    let gone = bound(&ctx, &inet("127.0.0.1:0")).local_address().unwrap();
    let socket = connected(&ctx, &inet("127.0.0.1:0"), &gone);
    expect(&ctx, socket.send_to(b"anybody?".to_vec(), None));
    expect_errno(&ctx, socket.recv_from(), Errno::CONNREFUSED);
    // Somebody may be there now: errors are not sticky.
    let back = bound(&ctx, &gone);
    expect(&ctx, socket.send_to(b"and now?".to_vec(), None));
    assert_eq!(&*expect(&ctx, back.recv_from()).0, b"and now?");
}

#[test]
fn an_address_in_use_is_refused() {
    let ctx = Context::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = Address::unix(directory.path().join("socket")).unwrap();
    for at in [inet("127.0.0.1:0"), path] {
        let socket = bound(&ctx, &at);
        let at = socket.local_address().unwrap();
        let refused = datagram(&ctx, &at, &DatagramOptions::default()).unwrap_err();
        assert_eq!(
            refused.raw_os_error(),
            Some(Errno::ADDRINUSE.raw_os_error()),
            "{at}"
        );
        drop(socket);
        drop(bound(&ctx, &at));
    }
}

#[test]
fn a_socket_file_is_private_and_removed_with_its_socket() {
    let ctx = Context::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    drop(UnixDatagram::bind(&path).unwrap());
    let socket = bound(&ctx, &Address::unix(&path).unwrap());
    let mode = std::fs::symlink_metadata(&path)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    drop(socket);
    assert!(!path.exists());
}

#[test]
fn an_empty_datagram_is_skipped_and_does_not_spin() {
    let ctx = Context::new().unwrap();
    let server = bound(&ctx, &inet("127.0.0.1:0"));
    let at = std::net::SocketAddr::try_from(&server.local_address().unwrap()).unwrap();
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = ctx.stats();
    client.send_to(b"", at).unwrap();
    client.send_to(b"", at).unwrap();
    client.send_to(b"something", at).unwrap();
    let (chunk, _) = expect(&ctx, server.recv_from());
    assert_eq!(&*chunk, b"something");
    let spent = ctx.stats().since(&before);
    assert!(spent.receives <= 4 && spent.waits <= 4, "{spent:?}");
}

#[test]
fn a_full_receiver_is_waited_for_without_a_spin() {
    let ctx = Context::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("receiver");
    let receiver = UnixDatagram::bind(&path).unwrap();
    receiver.set_nonblocking(true).unwrap();
    let to = Address::unix(&path).unwrap();
    let sender = bound(&ctx, &Address::unix_unnamed());
    let mut sent = 0_u32;
    // Its queue holds some ten or some hundred, which is up to the system.
    let stuck = loop {
        let request = sender.send_to(sent.to_be_bytes().to_vec(), Some(&to));
        request.set_timeout(Duration::from_millis(100));
        sent += 1;
        let before = ctx.stats();
        match ctx.run_until(request).unwrap() {
            Ok(_) => assert!(sent < 100_000, "a queue without a limit"),
            Err(_) => break ctx.stats().since(&before),
        }
    };
    assert!(stuck.waits < 300 && stuck.sends < 300, "{stuck:?}");
    let request = sender.send_to(b"last".to_vec(), Some(&to));
    request.set_timeout(LIMIT);
    let mut buffer = [0; 100];
    for expected in 0..sent - 1 {
        let len = receiver.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..len], expected.to_be_bytes());
    }
    expect(&ctx, request);
    let len = receiver.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"last");
}

#[test]
fn a_sender_whose_name_fills_the_address_is_shown_as_unnamed() {
    use rustix::net::{self, AddressFamily, SendFlags, SocketAddrUnix, SocketType};

    let ctx = Context::new().unwrap();
    let directory = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    let path = directory.path().join("server");
    let server = bound(&ctx, &Address::unix(&path).unwrap());
    let prefix = format!("{}/", directory.path().display());
    let longest = prefix.clone() + &"x".repeat(108 - prefix.len());
    let peer = net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
    net::bind(&peer, &SocketAddrUnix::new(longest.as_str()).unwrap()).unwrap();
    let to = SocketAddrUnix::new(path.as_path()).unwrap();
    net::sendto(&peer, b"boo", SendFlags::empty(), &to).unwrap();
    let (chunk, from) = expect(&ctx, server.recv_from());
    assert_eq!((&*chunk, from), (&b"boo"[..], Address::unix_unnamed()));
}
