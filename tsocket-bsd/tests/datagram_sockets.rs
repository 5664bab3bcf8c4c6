//! Datagram sockets: options, existing descriptors, and sizes at the edges.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{Read as _, Seek as _};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixDatagram;

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{Errno, FdFlags, fcntl_getfd};
use rustix::net::{self, AddressFamily, SocketType};
use tevent::Context;
use tsocket::{Address, Datagram};
use tsocket_bsd::{DatagramOptions, SocketOptions, datagram, datagram_from_fd};

use common::{expect, expect_errno, has_ipv6, inet};

fn with(ctx: &Context, local: &Address, socket: SocketOptions) -> std::io::Result<Datagram> {
    datagram(ctx, local, &DatagramOptions::default().socket(socket))
}

fn bound(ctx: &Context, local: &Address) -> Datagram {
    with(ctx, local, SocketOptions::default()).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_broadcast_arrives_if_it_is_allowed() {
    let ctx = Context::new().unwrap();
    let everybody = inet("127.255.255.255:0");
    let receiver = bound(&ctx, &inet("0.0.0.0:0"));
    let port = receiver.local_address().unwrap().port().unwrap();
    let to = everybody.with_port(port).unwrap();
    let forbidden = bound(&ctx, &inet("127.0.0.1:0"));
    expect_errno(
        &ctx,
        forbidden.send_to(b"!".to_vec(), Some(&to)),
        Errno::ACCESS,
    );
    let options = SocketOptions::default().broadcast(true);
    let allowed = with(&ctx, &inet("127.0.0.1:0"), options).unwrap();
    expect(&ctx, allowed.send_to(b"all of you".to_vec(), Some(&to)));
    assert_eq!(&*expect(&ctx, receiver.recv_from()).0, b"all of you");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let ctx = Context::new().unwrap();
    let unix = Address::unix_unnamed();
    for options in [
        SocketOptions::default().broadcast(true),
        SocketOptions::default().reuse_port(true),
        SocketOptions::default().tcp_nodelay(true),
    ] {
        let refused = with(&ctx, &unix, options).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(Errno::INVAL.raw_os_error()));
    }
}

#[test]
fn two_sockets_share_a_port_if_both_say_so() {
    let ctx = Context::new().unwrap();
    let sharing = SocketOptions::default().reuse_port(true);
    let one = with(&ctx, &inet("127.0.0.1:0"), sharing.clone()).unwrap();
    let at = one.local_address().unwrap();
    let _other = with(&ctx, &at, sharing).unwrap();
    let refused = with(&ctx, &at, SocketOptions::default()).unwrap_err();
    assert_eq!(
        refused.raw_os_error(),
        Some(Errno::ADDRINUSE.raw_os_error())
    );
}

#[test]
fn an_ipv6_socket_takes_ipv4_too_if_told_so() {
    if !has_ipv6() {
        return;
    }
    let ctx = Context::new().unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (v6_only, takes) in [(false, true), (true, false)] {
        let options = SocketOptions::default().v6_only(v6_only);
        let socket = with(&ctx, &inet("[::]:0"), options).unwrap();
        let port = socket.local_address().unwrap().port().unwrap();
        stranger.send_to(b"v4", ("127.0.0.1", port)).unwrap();
        let receive = socket.recv_from();
        receive.set_timeout(std::time::Duration::from_millis(if takes {
            10_000
        } else {
            20
        }));
        match ctx.run_until(receive).unwrap() {
            Ok((_, from)) => {
                assert!(takes);
                assert_eq!(from.ip().unwrap().to_string(), "::ffff:127.0.0.1");
            }
            Err(error) => assert!(!takes, "{error}"),
        }
    }
}

#[test]
fn a_socket_that_is_there_already_is_made_fit() {
    let ctx = Context::new().unwrap();
    let (near, far) = UnixDatagram::pair().unwrap();
    let twin = near.try_clone().unwrap();
    rustix::io::fcntl_setfd(&near, FdFlags::empty()).unwrap();
    let socket = datagram_from_fd(&ctx, near.into()).unwrap();
    assert!(fcntl_getfl(&twin).unwrap().contains(OFlags::NONBLOCK));
    let receive = socket.recv_from();
    far.send(b"hello").unwrap();
    assert_eq!(&*expect(&ctx, receive).0, b"hello");
    expect(&ctx, socket.send_to(b"hello yourself".to_vec(), None));
    let mut buffer = [0; 100];
    assert_eq!(far.recv(&mut buffer).unwrap(), 14);

    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = udp.local_addr().unwrap();
    let socket = datagram_from_fd(&ctx, udp.into()).unwrap();
    assert_eq!(socket.local_address().unwrap(), at.into());
}

#[test]
fn a_descriptor_that_is_no_datagram_socket_comes_back() {
    let ctx = Context::new().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, b"text").unwrap();
    let back = datagram_from_fd(&ctx, file.into()).unwrap_err();
    assert_eq!(
        back.error.raw_os_error(),
        Some(Errno::NOTSOCK.raw_os_error())
    );
    let mut file = std::fs::File::from(back.fd);
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "text");

    let tcp: OwnedFd = TcpListener::bind("127.0.0.1:0").unwrap().into();
    let flags = fcntl_getfl(&tcp).unwrap();
    let back = datagram_from_fd(&ctx, tcp).unwrap_err();
    assert_eq!(
        back.error.raw_os_error(),
        Some(Errno::PROTOTYPE.raw_os_error())
    );
    assert_eq!(fcntl_getfl(&back.fd).unwrap(), flags, "it is as it was");

    let sequenced = net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    let back = datagram_from_fd(&ctx, sequenced).unwrap_err();
    assert_eq!(
        back.error.raw_os_error(),
        Some(Errno::PROTOTYPE.raw_os_error())
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_netlink_socket_comes_back() {
    let ctx = Context::new().unwrap();
    let netlink = net::socket(AddressFamily::NETLINK, SocketType::RAW, None).unwrap();
    let back = datagram_from_fd(&ctx, netlink).unwrap_err();
    assert_eq!(
        back.error.raw_os_error(),
        Some(Errno::AFNOSUPPORT.raw_os_error())
    );
    assert!(fcntl_getfd(back.fd.as_fd()).is_ok());
}

#[test]
fn a_datagram_that_does_not_fit_is_an_error_and_the_next_arrives() {
    let ctx = Context::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let socket = bound(&ctx, &Address::unix(&path).unwrap());
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(&[1; (64 << 10) + 1], &path).unwrap();
    sender.send_to(&[2; 64 << 10], &path).unwrap();
    expect_errno(&ctx, socket.recv_from(), Errno::MSGSIZE);
    assert_eq!(*expect(&ctx, socket.recv_from()).0, [2; 64 << 10]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_send_buffer_grows_for_a_large_datagram() {
    let ctx = Context::new().unwrap();
    let (near, far) = UnixDatagram::pair().unwrap();
    net::sockopt::set_socket_send_buffer_size(&near, 10_000).unwrap();
    let socket = datagram_from_fd(&ctx, near.into()).unwrap();
    let bytes = vec![7; 100_000];
    assert_eq!(expect(&ctx, socket.send_to(bytes.clone(), None)), bytes);
    let mut buffer = vec![0; 200_000];
    assert_eq!(far.recv(&mut buffer).unwrap(), bytes.len());
    // Once, and as far as the system allows.
    expect_errno(
        &ctx,
        socket.send_to(vec![7; 64 << 20], None),
        Errno::MSGSIZE,
    );
}

#[test]
fn an_abstract_name_is_bound_and_seen() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let ctx = Context::new().unwrap();
    let name = |role: &str| {
        let name = format!("tsocket-bsd-{}-{role}", std::process::id());
        Address::unix_abstract(name).unwrap()
    };
    let (near, far) = (bound(&ctx, &name("near")), bound(&ctx, &name("far")));
    expect(&ctx, near.send_to(b"!".to_vec(), Some(&name("far"))));
    assert_eq!(expect(&ctx, far.recv_from()).1, name("near"));
}

/// Receives until a receive waits, as a server does that goes on after an error, and counts the errors.
fn errors_before_rest(ctx: &Context, socket: &Datagram) -> usize {
    let mut errors = 0;
    loop {
        let receive = socket.recv_from();
        receive.set_timeout(std::time::Duration::from_millis(20));
        let before = ctx.stats();
        let error = ctx.run_until(receive).unwrap().unwrap_err();
        let waits = ctx.stats().since(&before).waits;
        assert!(waits < 20, "{waits} waits for one receive");
        if error.kind() == std::io::ErrorKind::TimedOut {
            return errors;
        }
        errors += 1;
        assert!(errors < 10, "{error}, again and again");
    }
}

#[test]
fn a_server_that_goes_on_after_errors_does_not_spin() {
    let ctx = Context::new().unwrap();
    let gone = bound(&ctx, &inet("127.0.0.1:0")).local_address().unwrap();
    let options = DatagramOptions::default().remote(gone);
    let refused = datagram(&ctx, &inet("127.0.0.1:0"), &options).unwrap();
    for _ in 0..5 {
        // One of two says what came of the one before.
        ctx.run_until(refused.send_to(b"?".to_vec(), None))
            .unwrap()
            .ok();
    }
    assert!(errors_before_rest(&ctx, &refused) <= 1);

    let (near, far) = UnixDatagram::pair().unwrap();
    let left = datagram_from_fd(&ctx, near.into()).unwrap();
    expect(&ctx, left.send_to(b"unread".to_vec(), None));
    drop(far);
    assert!(errors_before_rest(&ctx, &left) <= 1);
}
