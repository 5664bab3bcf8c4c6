//! Listening sockets that are shared by threads, or that somebody else has made.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::net::{AddressFamily, SocketType, socket};
use tevent::{Completer, Context, Request};
use tsocket::{Address, Family, Limits, Stream};
use tsocket_bsd::{
    ConnectOptions, ListenOptions, ListenSocket, SocketOptions, connect, stream_from_fd,
};

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

#[test]
fn threads_have_a_tcp_socket_each_on_one_port() {
    let any_port = Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0).unwrap();
    let socket = SocketOptions::default().reuse_port(true);
    let options = ListenOptions::default().socket(socket);
    let first = ListenSocket::open(&any_port, &options).unwrap();
    let at = first.local_address().unwrap();
    let second = ListenSocket::open(&at, &options).unwrap();
    let alone = ListenSocket::open(&at, &ListenOptions::default());
    let errno = alone.unwrap_err().raw_os_error();
    assert_eq!(errno, Some(Errno::ADDRINUSE.raw_os_error()));
    let (sender, accepted) = mpsc::channel();
    let (stop, threads): (Vec<_>, Vec<_>) = [first, second]
        .into_iter()
        .enumerate()
        .map(|(index, socket)| {
            let sender = sender.clone();
            let (ready, remote) = mpsc::channel();
            let thread = thread::spawn(move || {
                let ctx = Context::new().unwrap();
                ready.send(ctx.remote()).unwrap();
                let listener = socket.into_listener(&ctx).unwrap();
                let weak = ctx.downgrade();
                let server = listener.serve(Limits::default(), move |stream, _| {
                    sender.send(index).unwrap();
                    drop(stream);
                    Request::<()>::finished(&weak, "connection", Ok(()))
                });
                let (stopped, completer) = Request::<()>::pair(&ctx, "stopped");
                ctx.local::<Stop>().0.set(Some(completer));
                ctx.run_until(stopped).unwrap().unwrap();
                drop(server);
            });
            (remote.recv().unwrap(), thread)
        })
        .unzip();
    let ctx = Context::new().unwrap();
    // By the port of the client, so that it takes a few until each thread has had one.
    let mut counts = [0; 2];
    while counts.contains(&0) {
        drop(connected(&ctx, &at));
        counts[accepted.recv().unwrap()] += 1;
        assert!(counts.iter().sum::<u32>() < 1000, "{counts:?}");
    }
    for remote in stop {
        let end = |ctx: &Context| ctx.local::<Stop>().0.take().unwrap().done(());
        remote.send(end).unwrap();
    }
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// What ends a thread of a test.
#[derive(Default)]
struct Stop(Cell<Option<Completer<()>>>);

#[test]
fn an_accepted_connection_moves_to_another_thread_with_what_it_has_read() {
    let any_port = Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0).unwrap();
    let (sender, other) = mpsc::channel();
    let thread = thread::spawn(move || {
        let ctx = Context::new().unwrap();
        let (over, completer) = Request::<()>::pair(&ctx, "over");
        ctx.local::<Stop>().0.set(Some(completer));
        // Without a time there is nothing that could end it, until the connection comes.
        over.set_timeout(Duration::from_secs(60));
        sender.send(ctx.remote()).unwrap();
        ctx.run_until(over).unwrap().unwrap();
    });
    let other = other.recv().unwrap();
    let ctx = Context::new().unwrap();
    let listener = ListenSocket::open(&any_port, &ListenOptions::default()).unwrap();
    let listener = listener.into_listener(&ctx).unwrap();
    let at = listener.local_address().unwrap();
    let weak = ctx.downgrade();
    let server = listener.serve(Limits::default(), move |stream, _| {
        let other = other.clone();
        weak.upgrade().unwrap().spawn(async move {
            // Its first byte says where it belongs; what came with it goes along.
            stream.readv(vec![0; 1]).await?;
            let (fd, ahead) = stream.into_parts()?;
            other.send(move |ctx| serve_moved(ctx, fd, ahead)).unwrap();
            io::Result::Ok(())
        })
    });
    let client = connected(&ctx, &at);
    ctx.run_until(client.writev(&b"2rest"[..]))
        .unwrap()
        .unwrap();
    let answer = ctx.run_until(client.readv(vec![0; 4])).unwrap().unwrap();
    assert_eq!(answer, b"rest");
    assert_eq!((server.counts().active, server.counts().done), (0, 1));
    thread.join().unwrap();
}

/// Echoes four bytes on the thread of `ctx`, and ends it.
fn serve_moved(ctx: &Context, fd: OwnedFd, ahead: Vec<u8>) {
    let stream = stream_from_fd(ctx, fd).unwrap();
    stream.unread(ahead).unwrap();
    let over = ctx.local::<Stop>();
    let served = async move {
        let bytes = stream.readv(vec![0; 4]).await.unwrap();
        stream.writev(bytes).await.unwrap();
        over.0.take().unwrap().done(());
    };
    ctx.spawn(served).detach();
}
