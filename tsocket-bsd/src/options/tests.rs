//! Each option as the kernel has it afterwards, and each that makes no sense.

use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::net::{AddressFamily, SocketType};

use super::*;
use crate::connect::{ConnectOptions, Socket};
use crate::socket;

fn inet(text: &str) -> Address {
    Address::from_hostport(Family::Ip, Some(text), 0).unwrap()
}

/// A TCP socket that connects with `options`.
fn connected(options: SocketOptions) -> OwnedFd {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap().into();
    let options = ConnectOptions::default().socket(options);
    let (socket, _) = Socket::open(&remote, &options).unwrap();
    socket.fd
}

fn applied(options: &SocketOptions, purpose: SocketUse, at: &Address) -> OwnedFd {
    let (family, kind) = match purpose {
        SocketUse::Datagram => (AddressFamily::INET, SocketType::DGRAM),
        _ if at.is_inet(Family::Ipv6) => (AddressFamily::INET6, SocketType::STREAM),
        _ => (AddressFamily::INET, SocketType::STREAM),
    };
    let fd = socket::new(family, kind).unwrap();
    options.apply(fd.as_fd(), purpose, at).unwrap();
    fd
}

#[test]
fn the_default_sends_at_once_and_leaves_the_rest_to_the_system() {
    let fd = connected(SocketOptions::default());
    assert!(sockopt::tcp_nodelay(&fd).unwrap());
    assert!(!sockopt::socket_keepalive(&fd).unwrap());
    assert!(!sockopt::socket_reuseport(&fd).unwrap());
}

#[test]
fn options_of_tcp_are_what_was_asked_for() {
    let keep_alive = KeepAlive {
        idle: Duration::from_millis(1500),
        interval: Duration::from_secs(3),
        count: 4,
    };
    let options = SocketOptions::default()
        .tcp_nodelay(false)
        .keep_alive(keep_alive)
        .reuse_port(true);
    let fd = connected(options);
    assert!(!sockopt::tcp_nodelay(&fd).unwrap());
    assert!(sockopt::socket_keepalive(&fd).unwrap());
    assert_eq!(sockopt::tcp_keepidle(&fd).unwrap(), Duration::from_secs(2));
    assert_eq!(sockopt::tcp_keepintvl(&fd).unwrap(), keep_alive.interval);
    assert_eq!(sockopt::tcp_keepcnt(&fd).unwrap(), 4);
    assert!(sockopt::socket_reuseport(&fd).unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn the_user_timeout_is_what_was_asked_for() {
    let options = SocketOptions::default().tcp_user_timeout(Duration::from_micros(5_000_001));
    assert_eq!(sockopt::tcp_user_timeout(connected(options)).unwrap(), 5001);
}

#[test]
fn buffers_have_at_least_the_length_that_was_asked_for() {
    let options = SocketOptions::default()
        .send_buffer(20_000)
        .receive_buffer(30_000);
    let fds = [
        connected(options.clone()),
        applied(&options, SocketUse::Datagram, &inet("127.0.0.1:0")),
    ];
    for fd in fds {
        let sending = sockopt::socket_send_buffer_size(&fd).unwrap();
        let receiving = sockopt::socket_recv_buffer_size(&fd).unwrap();
        assert!((20_000..=40_000).contains(&sending), "{sending}");
        assert!((30_000..=60_000).contains(&receiving), "{receiving}");
    }
}

#[test]
fn ipv6_sockets_take_ipv6_alone_unless_told_otherwise() {
    if socket::new(AddressFamily::INET6, SocketType::STREAM).is_err() {
        return;
    }
    for (options, expected) in [
        (SocketOptions::default(), true),
        (SocketOptions::default().v6_only(true), true),
        (SocketOptions::default().v6_only(false), false),
    ] {
        let fd = applied(&options, SocketUse::Listen, &inet("[::]:0"));
        assert_eq!(sockopt::ipv6_v6only(&fd).unwrap(), expected);
    }
}

#[test]
fn broadcasting_is_allowed_where_it_was_asked_for() {
    for on in [true, false] {
        let options = SocketOptions::default().broadcast(on);
        let fd = applied(&options, SocketUse::Datagram, &inet("0.0.0.0:0"));
        assert_eq!(sockopt::socket_broadcast(&fd).unwrap(), on);
    }
}

type Row<'a> = (SocketOptions, SocketUse, &'a Address, Option<&'a str>);

/// Expects the options of each row to be refused because of the one that is named, or not to be.
#[track_caller]
fn expect_checked<const N: usize>(rows: [Row<'_>; N]) {
    for (options, purpose, address, expected) in rows {
        let checked = options.check(purpose, address);
        let refused = checked.err().map(|wrong| wrong.option);
        assert_eq!(refused, expected, "{options:?} {purpose:?} {address}");
        if let Err(wrong) = checked {
            let error = io::Error::from(wrong);
            assert_eq!(error.raw_os_error(), Some(Errno::INVAL.raw_os_error()));
        }
    }
}

#[test]
fn options_of_tcp_are_refused_elsewhere_and_have_limits() {
    use SocketUse::{Connect, Datagram, Listen};
    let times = |idle, interval, count| {
        SocketOptions::default().keep_alive(KeepAlive {
            idle: Duration::from_secs(idle),
            interval: Duration::from_millis(interval),
            count,
        })
    };
    let nodelay = SocketOptions::default().tcp_nodelay(true);
    let timeout = |time| SocketOptions::default().tcp_user_timeout(time);
    let second = Duration::from_secs(1);
    let unix = Address::unix("/s").unwrap();
    let (v4, v6) = (inet("127.0.0.1:1"), inet("[::1]:1"));
    expect_checked([
        (nodelay.clone(), Connect, &unix, None),
        (nodelay, Datagram, &v4, Some("tcp_nodelay")),
        (times(1, 1, 1), Listen, &v6, None),
        (times(32767, 1000, 127), Listen, &v6, None),
        (times(1, 1, 1), Connect, &unix, Some("keep_alive")),
        (times(1, 1, 1), Datagram, &v4, Some("keep_alive")),
        (times(0, 1, 1), Connect, &v4, Some("keep_alive")),
        (times(1, 0, 1), Connect, &v4, Some("keep_alive")),
        (times(1, 1, 0), Connect, &v4, Some("keep_alive")),
        (times(32768, 1, 1), Connect, &v4, Some("keep_alive")),
        (times(u64::MAX, 1, 1), Connect, &v4, Some("keep_alive")),
        (times(1, 1, 128), Connect, &v4, Some("keep_alive")),
        (timeout(second), Connect, &unix, Some("tcp_user_timeout")),
        (timeout(second), Datagram, &v4, Some("tcp_user_timeout")),
        (
            timeout(Duration::ZERO),
            Connect,
            &v4,
            Some("tcp_user_timeout"),
        ),
        (
            timeout(Duration::MAX),
            Connect,
            &v4,
            Some("tcp_user_timeout"),
        ),
    ]);
}

#[test]
fn options_of_sockets_are_refused_where_they_make_no_sense() {
    use SocketUse::{Connect, Datagram, Listen};
    let none = SocketOptions::default;
    let too_long = usize::try_from(i32::MAX).unwrap() + 1;
    let unix = Address::unix("/s").unwrap();
    let (v4, v6) = (inet("127.0.0.1:1"), inet("[::1]:1"));
    expect_checked([
        (none(), Connect, &unix, None),
        (none().send_buffer(1), Connect, &unix, None),
        (none().send_buffer(0), Connect, &unix, Some("send_buffer")),
        (
            none().send_buffer(too_long),
            Listen,
            &v4,
            Some("send_buffer"),
        ),
        (
            none().receive_buffer(0),
            Connect,
            &unix,
            Some("receive_buffer"),
        ),
        (none().v6_only(true), Listen, &v4, None),
        (none().v6_only(false), Listen, &v6, None),
        (none().v6_only(false), Listen, &v4, Some("v6_only")),
        (none().v6_only(false), Datagram, &unix, Some("v6_only")),
        (none().reuse_port(true), Datagram, &v4, None),
        (none().reuse_port(true), Listen, &unix, Some("reuse_port")),
        (none().broadcast(true), Datagram, &v4, None),
        (none().broadcast(true), Datagram, &v6, Some("broadcast")),
        (none().broadcast(true), Listen, &v4, Some("broadcast")),
    ]);
}
