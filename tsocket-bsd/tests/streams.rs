//! Stream sockets, from connecting and accepting to the end of the stream.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{Read as _, Write as _};
use std::rc::Rc;

use rustix::io::Errno;
use tevent::Context;
use tsocket::{Address, Listener, Stream};
use tsocket_bsd::{ConnectOptions, ListenOptions, connect, listen, socketpair};

use common::{LIMIT, expect, expect_errno, has_ipv6, inet, scale};

/// Larger than any socket buffer, so that writing has to wait for reading.
const LARGE: usize = 16 << 20;

/// A connection to `listener`: the client's end, then the server's.
fn connected(ctx: &Context, listener: &Listener) -> (Stream, Stream) {
    let accepted = listener.accept();
    let at = listener.local_address().unwrap();
    let client = expect(ctx, connect(ctx, &at, &ConnectOptions::default()));
    let (server, peer) = expect(ctx, accepted);
    assert_eq!(peer, client.local_address().unwrap());
    assert_eq!(at, client.peer_address().unwrap());
    assert_eq!(at, server.local_address().unwrap());
    (client, server)
}

fn listening(ctx: &Context, at: &Address) -> Listener {
    listen(ctx, at, &ListenOptions::default()).unwrap()
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count)
        .map(|index| u8::try_from(index * 31 % 251).unwrap())
        .collect()
}

/// What arrives until the end of the stream.
fn read_to_end(ctx: &Context, stream: &Stream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let chunk = expect(ctx, stream.read(1 << 16));
        if chunk.is_empty() {
            return all;
        }
        all.extend_from_slice(&chunk);
    }
}

/// Both directions, more than the buffers hold, and a reply after the other side has ended.
fn expect_a_conversation(ctx: &Context, client: &Stream, server: &Stream) {
    expect(ctx, client.writev(b"hello".to_vec()));
    let chunk = expect(ctx, server.read(100));
    assert_eq!(&*chunk, b"hello");
    expect(ctx, server.writev(b"hello yourself".to_vec()));
    let read = expect(ctx, client.readv(vec![0; 14]));
    assert_eq!(read, b"hello yourself");

    let sent = bytes(LARGE);
    let written = client.writev(sent.clone());
    written.set_timeout(LIMIT);
    assert!(!written.is_finished(), "a socket takes no 16 MiB at once");
    let read = expect(ctx, server.readv(vec![0; LARGE]));
    assert!(read == sent, "what arrives is what was sent");
    expect(ctx, written);

    expect(ctx, client.shutdown());
    assert!(
        expect(ctx, server.read(1)).is_empty(),
        "the end of the stream"
    );
    assert!(expect(ctx, server.read(1)).is_empty(), "it stays there");
    let written = server.writev(sent.clone());
    written.set_timeout(LIMIT);
    expect(ctx, client.readv(vec![0; LARGE]));
    expect(ctx, written);
    expect(ctx, server.shutdown());
    assert_eq!(read_to_end(ctx, client), b"");
}

#[test]
fn tcp_over_ipv4_holds_a_conversation() {
    let ctx = Context::new().unwrap();
    let listener = listening(&ctx, &inet("127.0.0.1:0"));
    assert_ne!(listener.local_address().unwrap().port().unwrap(), 0);
    let (client, server) = connected(&ctx, &listener);
    expect_a_conversation(&ctx, &client, &server);
}

#[test]
fn tcp_over_ipv6_holds_a_conversation_and_leaves_ipv4_alone() {
    if !has_ipv6() {
        return;
    }
    let ctx = Context::new().unwrap();
    // Somebody else may have one of the ports on IPv4, but hardly all of them.
    let is_left_alone = (0..20).any(|_| {
        let listener = listening(&ctx, &inet("[::]:0"));
        let port = listener.local_address().unwrap().port().unwrap();
        let beside = inet("0.0.0.0:0").with_port(port).unwrap();
        listen(&ctx, &beside, &ListenOptions::default()).is_ok()
    });
    assert!(is_left_alone);
    let listener = listening(&ctx, &inet("[::1]:0"));
    let (client, server) = connected(&ctx, &listener);
    expect_a_conversation(&ctx, &client, &server);
}

#[test]
fn unix_streams_hold_a_conversation() {
    let ctx = Context::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = Address::unix(directory.path().join("socket")).unwrap();
    let listener = listening(&ctx, &path);
    let (client, server) = connected(&ctx, &listener);
    assert_eq!(client.local_address().unwrap(), Address::unix_unnamed());
    expect_a_conversation(&ctx, &client, &server);
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_names_hold_a_conversation() {
    let ctx = Context::new().unwrap();
    let name = format!("tsocket-bsd streams {}", std::process::id());
    let listener = listening(&ctx, &Address::unix_abstract(name).unwrap());
    let (client, server) = connected(&ctx, &listener);
    expect_a_conversation(&ctx, &client, &server);
}

#[test]
fn a_pair_holds_a_conversation() {
    let ctx = Context::new().unwrap();
    let (near, far) = socketpair(&ctx).unwrap();
    assert_eq!(near.local_address().unwrap(), Address::unix_unnamed());
    assert_eq!(near.peer_address().unwrap(), Address::unix_unnamed());
    expect_a_conversation(&ctx, &near, &far);
}

#[test]
fn data_and_the_end_in_one_segment_are_both_reported() {
    let ctx = Context::new().unwrap();
    let listener = listening(&ctx, &inet("127.0.0.1:0"));
    let at = std::net::SocketAddr::try_from(&listener.local_address().unwrap()).unwrap();
    for _ in 0..20 {
        let accepted = listener.accept();
        let mut client = std::net::TcpStream::connect(at).unwrap();
        client.write_all(b"last words").unwrap();
        drop(client);
        let (server, _) = expect(&ctx, accepted);
        assert_eq!(&*expect(&ctx, server.read(100)), b"last words");
        assert!(expect(&ctx, server.read(100)).is_empty());
    }
}

#[test]
fn pending_bytes_are_what_a_read_would_return() {
    let ctx = Context::new().unwrap();
    let (near, far) = socketpair(&ctx).unwrap();
    assert_eq!(far.pending_bytes().unwrap(), 0);
    expect(&ctx, near.writev(b"12345".to_vec()));
    assert_eq!(far.pending_bytes().unwrap(), 5);
    expect(&ctx, far.readv(vec![0; 2]));
    assert_eq!(far.pending_bytes().unwrap(), 3);
    expect(&ctx, far.readv(vec![0; 3]));
    assert_eq!(far.pending_bytes().unwrap(), 0);
}

#[test]
fn writing_to_a_peer_that_has_gone_is_an_error_and_no_signal() {
    let ctx = Context::new().unwrap();
    let (near, far) = socketpair(&ctx).unwrap();
    drop(far);
    expect_errno(&ctx, near.writev(b"anybody?".to_vec()), Errno::PIPE);
}

#[test]
fn a_reset_is_an_error_of_the_reader() {
    let ctx = Context::new().unwrap();
    let listener = listening(&ctx, &inet("127.0.0.1:0"));
    let (client, server) = connected(&ctx, &listener);
    expect(&ctx, server.writev(b"unread".to_vec()));
    // Closing with something unread in the buffer resets the connection.
    assert!(client.pending_bytes().unwrap() > 0);
    drop(client);
    expect_errno(&ctx, server.readv(vec![0; 1]), Errno::CONNRESET);
}

#[test]
fn a_blocked_writer_learns_that_its_peer_has_gone() {
    let ctx = Context::new().unwrap();
    let (near, far) = socketpair(&ctx).unwrap();
    let written = near.writev(bytes(LARGE));
    written.set_timeout(LIMIT);
    expect(&ctx, far.readv(vec![0; 1]));
    drop(far);
    let errno = ctx
        .run_until(written)
        .unwrap()
        .map_err(std::io::Error::from)
        .unwrap_err();
    assert!(
        [Errno::PIPE, Errno::CONNRESET]
            .map(|e| Some(e.raw_os_error()))
            .contains(&errno.raw_os_error())
    );
}

#[test]
fn a_writer_that_is_blocked_by_a_half_closed_peer_does_not_spin() {
    let ctx = Context::new().unwrap();
    let listener = listening(&ctx, &inet("127.0.0.1:0"));
    let (client, server) = connected(&ctx, &listener);
    expect(&ctx, client.shutdown());
    assert!(expect(&ctx, server.read(1)).is_empty());
    let written = server.writev(bytes(LARGE));
    written.set_timeout(std::time::Duration::from_millis(200));
    let before = ctx.stats();
    expect_errno(&ctx, written, Errno::TIMEDOUT);
    let spent = ctx.stats().since(&before);
    assert!(spent.waits < 20 && spent.sends < 20, "{spent:?}");
    drop(client);
}

#[test]
fn unread_data_does_not_spin_beside_a_blocked_write() {
    let ctx = Context::new().unwrap();
    let (near, far) = socketpair(&ctx).unwrap();
    // One read, so that reading was asked for and data is told from then on.
    let read = near.readv(vec![0; 1]);
    expect(&ctx, far.writev(vec![0; 128]));
    expect(&ctx, read);
    let written = near.writev(bytes(LARGE));
    written.set_timeout(std::time::Duration::from_millis(200));
    expect(&ctx, far.writev(vec![0; 1 << 15]));
    let before = ctx.stats();
    expect_errno(&ctx, written, Errno::TIMEDOUT);
    let spent = ctx.stats().since(&before);
    assert!(spent.waits < 10, "{spent:?}");
}

#[test]
fn an_echo_costs_one_wait_one_receive_and_one_send() {
    let ctx = Context::new().unwrap();
    let listener = listening(&ctx, &inet("127.0.0.1:0"));
    let at = std::net::SocketAddr::try_from(&listener.local_address().unwrap()).unwrap();
    let accepted = listener.accept();
    let mut client = std::net::TcpStream::connect(at).unwrap();
    let (server, _) = expect(&ctx, accepted);
    let echo = |client: &mut std::net::TcpStream| {
        let read = server.read(1024);
        client.write_all(b"ping").unwrap();
        let chunk = expect(&ctx, read);
        expect(&ctx, server.writev(chunk));
        let mut reply = [0; 4];
        client.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"ping");
    };
    echo(&mut client);
    // The listener was told to be quiet by now, too.
    echo(&mut client);
    let before = ctx.stats();
    let count = 100 * scale();
    for _ in 0..count {
        echo(&mut client);
    }
    let spent = ctx.stats().since(&before);
    let calls = (
        spent.waits,
        spent.receives,
        spent.sends,
        spent.registrations,
        spent.accepts,
    );
    assert_eq!(calls, (count, count, count, 0, 0));
}

#[test]
fn a_disconnect_does_not_spin_after_a_write_that_waited() {
    let ctx = Context::new().unwrap();
    let (near, far) = socketpair(&ctx).unwrap();
    let written = near.writev(bytes(LARGE));
    expect(&ctx, far.readv(vec![0; LARGE]));
    expect(&ctx, written);
    // Room is still asked for, and there is some.
    let disconnected = near.disconnect();
    let before = ctx.stats();
    let pause = std::time::Duration::from_millis(100);
    expect(&ctx, tevent::wakeup(&ctx, ctx.now() + pause));
    let spent = ctx.stats().since(&before);
    assert!(spent.waits < 10, "{spent:?}");
    assert!(!disconnected.is_finished(), "the peer has not closed yet");
    drop(far);
    expect(&ctx, disconnected);
}

#[test]
fn nobody_listening_is_connection_refused() {
    let ctx = Context::new().unwrap();
    let at = {
        let listener = listening(&ctx, &inet("127.0.0.1:0"));
        listener.local_address().unwrap()
    };
    expect_errno(
        &ctx,
        connect(&ctx, &at, &ConnectOptions::default()),
        Errno::CONNREFUSED,
    );

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let at = Address::unix(&path).unwrap();
    expect_errno(
        &ctx,
        connect(&ctx, &at, &ConnectOptions::default()),
        Errno::NOENT,
    );
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    expect_errno(
        &ctx,
        connect(&ctx, &at, &ConnectOptions::default()),
        Errno::CONNREFUSED,
    );
}

#[test]
fn addresses_that_lead_nowhere_are_invalid() {
    let ctx = Context::new().unwrap();
    let unnamed = Address::unix_unnamed();
    expect_errno(
        &ctx,
        connect(&ctx, &unnamed, &ConnectOptions::default()),
        Errno::INVAL,
    );
    let refused = listen(&ctx, &unnamed, &ListenOptions::default()).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(Errno::INVAL.raw_os_error()));
}

#[test]
fn the_peer_sees_the_local_address() {
    let ctx = Context::new().unwrap();
    let listener = listening(&ctx, &inet("127.0.0.1:0"));
    let at = listener.local_address().unwrap();
    let from = |local: &str| ConnectOptions::default().local_address(inet(local));
    for local in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let accepted = listener.accept();
        let client = expect(&ctx, connect(&ctx, &at, &from(local)));
        let (_server, peer) = expect(&ctx, accepted);
        assert_eq!(client.local_address().unwrap(), peer, "{local}");
        assert_eq!(peer.ip().unwrap().to_string(), "127.0.0.1", "{local}");
    }
    for wrong in ["[::1]:0", "[::]:1"] {
        expect_errno(&ctx, connect(&ctx, &at, &from(wrong)), Errno::INVAL);
    }
    let unix = ConnectOptions::default().local_address(Address::unix_unnamed());
    expect_errno(&ctx, connect(&ctx, &at, &unix), Errno::INVAL);
}

#[test]
fn an_address_in_use_is_refused() {
    let ctx = Context::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = Address::unix(directory.path().join("socket")).unwrap();
    for at in [inet("127.0.0.1:0"), path] {
        let listener = listening(&ctx, &at);
        let at = listener.local_address().unwrap();
        let refused = listen(&ctx, &at, &ListenOptions::default()).unwrap_err();
        assert_eq!(
            refused.raw_os_error(),
            Some(Errno::ADDRINUSE.raw_os_error()),
            "{at}"
        );
        connected(&ctx, &listener);
        drop(listener);
        // The connection may linger, the address is free.
        connected(&ctx, &listening(&ctx, &at));
    }
}

#[test]
fn many_connections_are_accepted_with_one_call_each() {
    let ctx = Context::new().unwrap();
    let listener = listening(&ctx, &inet("127.0.0.1:0"));
    let at = std::net::SocketAddr::try_from(&listener.local_address().unwrap()).unwrap();
    let clients: Vec<_> = (0..50)
        .map(|_| std::net::TcpStream::connect(at).unwrap())
        .collect();
    let before = ctx.stats();
    for _ in &clients {
        let (server, peer) = expect(&ctx, listener.accept());
        assert_eq!(server.peer_address().unwrap(), peer);
        assert!(
            clients
                .iter()
                .any(|known| Address::from(known.local_addr().unwrap()) == peer)
        );
    }
    assert_eq!(ctx.stats().since(&before).accepts, 50);
}

#[test]
fn a_listener_that_nobody_accepts_from_is_quiet() {
    let ctx = Context::new().unwrap();
    let listener = listening(&ctx, &inet("127.0.0.1:0"));
    let at = std::net::SocketAddr::try_from(&listener.local_address().unwrap()).unwrap();
    let _first = std::net::TcpStream::connect(at).unwrap();
    let _server = expect(&ctx, listener.accept());
    let _second = std::net::TcpStream::connect(at).unwrap();
    let before = ctx.stats();
    let pause = std::time::Duration::from_millis(100);
    expect(&ctx, tevent::wakeup(&ctx, ctx.now() + pause));
    let spent = ctx.stats().since(&before);
    assert!(spent.waits < 5 && spent.accepts == 0, "{spent:?}");
    expect(&ctx, listener.accept());
}

#[test]
fn a_peer_whose_name_fills_the_address_is_shown_as_unnamed() {
    use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketType};

    let ctx = Context::new().unwrap();
    let directory = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    let listener = listening(
        &ctx,
        &Address::unix(directory.path().join("server")).unwrap(),
    );
    let prefix = format!("{}/", directory.path().display());
    let longest = prefix.clone() + &"x".repeat(108 - prefix.len());
    let peer = net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    net::bind(&peer, &SocketAddrUnix::new(longest.as_str()).unwrap()).unwrap();
    let server = SocketAddrUnix::new(directory.path().join("server")).unwrap();
    let accepted = listener.accept();
    net::connect(&peer, &server).unwrap();
    let (stream, from) = expect(&ctx, accepted);
    assert_eq!(from, Address::unix_unnamed());
    assert_eq!(stream.peer_address().unwrap(), Address::unix_unnamed());
}

#[test]
fn streams_outlive_their_listener_and_can_be_shared() {
    let ctx = Context::new().unwrap();
    let listener = listening(&ctx, &inet("127.0.0.1:0"));
    let (client, server) = connected(&ctx, &listener);
    drop(listener);
    let server = Rc::new(server);
    let again = Rc::clone(&server);
    expect(&ctx, client.writev(b"x".to_vec()));
    assert_eq!(&*expect(&ctx, again.read(1)), b"x");
}
