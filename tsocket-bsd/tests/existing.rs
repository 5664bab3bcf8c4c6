//! Sockets that somebody else has made, and who is at their other end.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd};
use tevent::Context;
use tsocket::{Address, Stream};
use tsocket_bsd::{ConnectOptions, ListenOptions, connect, listen, socketpair, stream_from_fd};

use common::{expect, inet};

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

#[test]
fn a_connected_socket_becomes_a_stream_that_neither_blocks_nor_survives_exec() {
    let ctx = Context::new().unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    let seen = near.try_clone().unwrap();
    fcntl_setfd(&near, FdFlags::empty()).unwrap();
    let number = near.as_raw_fd();
    let stream = stream_from_fd(&ctx, near.into()).unwrap();
    assert!(fcntl_getfl(&seen).unwrap().contains(OFlags::NONBLOCK));
    #[cfg(target_os = "linux")]
    {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap();
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        assert_eq!(flags & OFlags::CLOEXEC.bits(), OFlags::CLOEXEC.bits());
    }
    far.write_all(b"there").unwrap();
    assert_eq!(expect(&ctx, stream.readv(vec![0; 5])), b"there");
    expect(&ctx, stream.writev(&b"back"[..]));
    drop((stream, seen));
    let mut back = String::new();
    far.read_to_string(&mut back).unwrap();
    assert_eq!(
        back, "back",
        "the stream owned the descriptor, and closed it"
    );

    let (near, mut far) = tcp_pair();
    let stream = stream_from_fd(&ctx, near.into()).unwrap();
    far.write_all(b"over TCP").unwrap();
    assert_eq!(&*expect(&ctx, stream.read(100)), b"over TCP");
}

#[track_caller]
fn expect_back(fd: impl Into<OwnedFd>, errno: Errno) {
    let ctx = Context::new().unwrap();
    let fd = fd.into();
    let number = fd.as_raw_fd();
    let flags = (fcntl_getfl(&fd).unwrap(), fcntl_getfd(&fd).unwrap());
    let refused = stream_from_fd(&ctx, fd).unwrap_err();
    assert_eq!(refused.error.raw_os_error(), Some(errno.raw_os_error()));
    assert_eq!(refused.fd.as_raw_fd(), number);
    let after = (
        fcntl_getfl(&refused.fd).unwrap(),
        fcntl_getfd(&refused.fd).unwrap(),
    );
    assert_eq!(after, flags, "it comes back as it was");
}

#[test]
fn what_is_no_connected_stream_socket_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    expect_back(tempfile::tempfile().unwrap(), Errno::NOTSOCK);
    expect_back(UdpSocket::bind("127.0.0.1:0").unwrap(), Errno::PROTOTYPE);
    expect_back(UnixDatagram::pair().unwrap().0, Errno::PROTOTYPE);
    expect_back(TcpListener::bind("127.0.0.1:0").unwrap(), Errno::NOTCONN);
    let path = directory.path().join("socket");
    expect_back(UnixListener::bind(path).unwrap(), Errno::NOTCONN);
    #[cfg(target_os = "linux")]
    {
        use rustix::net::{AddressFamily, SocketType, socket};
        let netlink = socket(AddressFamily::NETLINK, SocketType::RAW, None).unwrap();
        expect_back(netlink, Errno::AFNOSUPPORT);
    }
}

#[test]
fn what_arrived_before_and_the_end_are_found() {
    let ctx = Context::new().unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"early").unwrap();
    drop(far);
    let stream = stream_from_fd(&ctx, near.into()).unwrap();
    assert_eq!(&*expect(&ctx, stream.read(100)), b"early");
    assert!(expect(&ctx, stream.read(100)).is_empty());
}

#[track_caller]
fn expect_ourselves(stream: &Stream) {
    let peer = stream.peer_credentials().unwrap();
    assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
    assert_eq!(peer.gid, rustix::process::getegid().as_raw());
    #[cfg(target_os = "linux")]
    assert_eq!(peer.pid, Some(std::process::id()));
}

#[test]
fn unix_streams_know_who_their_peer_is() {
    let ctx = Context::new().unwrap();
    let (near, far) = socketpair(&ctx).unwrap();
    expect_ourselves(&near);
    expect_ourselves(&far);

    let directory = tempfile::tempdir().unwrap();
    let at = Address::unix(directory.path().join("socket")).unwrap();
    let listener = listen(&ctx, &at, &ListenOptions::default()).unwrap();
    let accepted = listener.accept();
    let client = expect(&ctx, connect(&ctx, &at, &ConnectOptions::default()));
    let (server, _) = expect(&ctx, accepted);
    expect_ourselves(&client);
    expect_ourselves(&server);
    drop(client);
    expect_ourselves(&server);
    server.abort();
    let closed = server.peer_credentials().unwrap_err();
    assert_eq!(closed.raw_os_error(), Some(Errno::NOTCONN.raw_os_error()));
}

#[test]
fn nobody_vouches_for_a_peer_over_the_network() {
    let ctx = Context::new().unwrap();
    let listener = listen(&ctx, &inet("127.0.0.1:0"), &ListenOptions::default()).unwrap();
    let accepted = listener.accept();
    let at = listener.local_address().unwrap();
    let client = expect(&ctx, connect(&ctx, &at, &ConnectOptions::default()));
    let (server, _) = expect(&ctx, accepted);
    for stream in [client, server] {
        let refused = stream.peer_credentials().unwrap_err();
        assert_eq!(
            refused.raw_os_error(),
            Some(Errno::OPNOTSUPP.raw_os_error())
        );
    }
}

#[test]
fn the_file_of_a_stream_goes_along_until_it_is_taken_apart() {
    let (here, there) = (Context::new().unwrap(), Context::new().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let at = Address::unix(directory.path().join("socket")).unwrap();
    let own = directory.path().join("own");
    let listener = listen(&here, &at, &ListenOptions::default()).unwrap();
    let accepted = listener.accept();
    let options = ConnectOptions::default().local_address(Address::unix(&own).unwrap());
    let client = expect(&here, connect(&here, &at, &options));
    let (server, _) = expect(&here, accepted);
    let client = client.move_to(&there).unwrap();
    assert!(own.exists());
    let (fd, ahead) = client.into_parts().unwrap();
    assert!(!own.exists() && ahead.is_empty());
    UnixStream::from(fd).write_all(b"still connected").unwrap();
    assert_eq!(&*expect(&here, server.read(100)), b"still connected");
}
