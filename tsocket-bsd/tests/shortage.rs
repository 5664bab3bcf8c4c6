//! What a server does when the process is out of descriptors; alone in its process.

use std::cell::{Cell, RefCell};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::{Errno, dup};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tevent::{Context, Request, wakeup};
use tsocket::{Address, Family, Limits, ServeError};
use tsocket_bsd::{ListenOptions, listen};

const SPAN: Duration = Duration::from_millis(500);

/// Takes every descriptor that is left.
fn take_all(like: &OwnedFd) -> Vec<OwnedFd> {
    std::iter::from_fn(|| dup(like).ok()).collect()
}

#[test]
fn a_server_without_descriptors_rests_and_goes_on() {
    let ctx = Context::new().unwrap();
    let any_port = Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0).unwrap();
    let listener = listen(&ctx, &any_port, &ListenOptions::default()).unwrap();
    let at = listener.local_address().unwrap();
    let at = SocketAddr::new(at.ip().unwrap(), at.port().unwrap());
    let weak = ctx.downgrade();
    let server = listener.serve(Limits::default(), move |stream, _| {
        let (request, completer) = Request::<()>::pair(&weak, "connection");
        completer.on_cleanup(move |_| drop(stream));
        completer.done(());
        request
    });
    let told = Rc::new(Cell::new(0));
    let said: Rc<RefCell<String>> = Rc::default();
    server.on_error({
        let (told, said) = (told.clone(), said.clone());
        move |error| {
            told.set(told.get() + 1);
            assert!(matches!(error, ServeError::Accept { is_over: false, .. }));
            said.replace(error.to_string());
        }
    });
    // Enough for the test, and little to fill.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(256),
            ..limit
        },
    )
    .unwrap();
    let _clients = [
        TcpStream::connect(at).unwrap(),
        TcpStream::connect(at).unwrap(),
    ];
    let like = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY, 0.into()).unwrap();
    let taken = take_all(&like);

    let before = ctx.stats();
    ctx.run_until(wakeup(&ctx, ctx.now() + SPAN))
        .unwrap()
        .unwrap();
    let calls = ctx.stats().since(&before);
    // Five attempts, each with a wait for its time and one for the kernel to tell.
    assert!(calls.accepts >= 2, "it is tried again: {calls:?}");
    assert!(calls.accepts <= 7 && calls.waits <= 16, "{calls:?}");
    assert_eq!(told.get(), 1, "a shortage is told once");
    let errno = std::io::Error::from(Errno::MFILE);
    assert_eq!(*said.borrow(), format!("accepting rests: {errno}"));

    drop(taken);
    let start = ctx.now();
    while server.counts().accepted < 2 {
        assert!(ctx.run_once().unwrap());
    }
    let span = ctx.now() - start;
    assert!(span <= Duration::from_millis(200), "it took {span:?}");
}
