//! Listening sockets that are shared by threads, or that somebody else has made.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::thread;

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::net::{AddressFamily, SocketType, socket};
use tevent::Context;
use tsocket::{Address, Stream};
use tsocket_bsd::{ConnectOptions, ListenOptions, ListenSocket, connect};

fn connected(ctx: &Context, at: &Address) -> Stream {
    let connected = connect(ctx, at, &ConnectOptions::default());
    ctx.run_until(connected).unwrap().unwrap()
}

#[test]
fn threads_share_a_unix_socket_and_the_last_one_removes_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let address = Address::unix(&path).unwrap();
    let socket = ListenSocket::open(&address, &ListenOptions::default()).unwrap();
    assert_eq!(socket.local_address().unwrap(), address);
    let (sender, accepted) = mpsc::channel();
    let mut threads = Vec::new();
    for index in 0..3 {
        let (clone, sender) = (socket.try_clone().unwrap(), sender.clone());
        threads.push(thread::spawn(move || {
            let ctx = Context::new().unwrap();
            let listener = clone.into_listener(&ctx).unwrap();
            // One each: whoever has one takes no more, so that all have to take part.
            let (stream, _) = ctx.run_until(listener.accept()).unwrap().unwrap();
            sender.send(index).unwrap();
            drop((listener, stream));
        }));
    }
    drop(socket);
    let ctx = Context::new().unwrap();
    for left in (0..3).rev() {
        let client = connected(&ctx, &address);
        accepted.recv().unwrap();
        drop(client);
        if left > 0 {
            assert!(path.exists(), "{left} threads listen");
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(!path.exists(), "nobody listens");
}

#[test]
fn sockets_that_listen_already_are_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let tcp: OwnedFd = TcpListener::bind("127.0.0.1:0").unwrap().into();
    let unix: OwnedFd = UnixListener::bind(&path).unwrap().into();
    for fd in [tcp, unix] {
        fcntl_setfd(&fd, FdFlags::empty()).unwrap();
        let socket = ListenSocket::from_fd(fd).unwrap();
        assert!(fcntl_getfd(&socket).unwrap().contains(FdFlags::CLOEXEC));
        assert!(fcntl_getfl(&socket).unwrap().contains(OFlags::NONBLOCK));
        let ctx = Context::new().unwrap();
        let at = socket.local_address().unwrap();
        let listener = socket.into_listener(&ctx).unwrap();
        let client = connected(&ctx, &at);
        let (server, peer) = ctx.run_until(listener.accept()).unwrap().unwrap();
        assert_eq!(peer, client.local_address().unwrap());
        assert_eq!(server.local_address().unwrap(), at);
    }
    assert!(
        path.exists(),
        "a file that somebody else has made is left to him"
    );
}

#[test]
fn what_does_not_listen_for_streams_comes_back() {
    let stream = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let packets = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    let cases: [(OwnedFd, Errno); 4] = [
        (File::open("/dev/null").unwrap().into(), Errno::NOTSOCK),
        (
            UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            Errno::PROTOTYPE,
        ),
        (packets, Errno::PROTOTYPE),
        (stream, Errno::INVAL),
    ];
    for (fd, errno) in cases {
        let number = fd.as_raw_fd();
        let refused = ListenSocket::from_fd(fd).unwrap_err();
        assert_eq!(refused.error.raw_os_error(), Some(errno.raw_os_error()));
        assert_eq!(refused.fd.as_raw_fd(), number);
    }
}
