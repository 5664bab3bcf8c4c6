//! Peers of named pipes that run as somebody else.
#![cfg(target_os = "linux")] // Elsewhere a thread cannot be another user.

use std::cell::RefCell;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;

use rustix::fs::Uid;
use rustix::io::Errno;
use rustix::thread::set_thread_res_uid;
use tevent::Context;
use tevent_tests::contract::{done, end_of};
use tevent_tests::run_to;
use tsocket::Address;
use tsocket_bsd::{ListenOptions, stream_from_fd};
use tsocket_npa::codec::Level;
use tsocket_npa::{
    AcceptOptions, DirectoryError, HandshakeError, Identity, Listener, NpDirectory, PeerPolicy,
    PipeName, accept, connect_over, listen,
};

/// Nobody.
const STRANGER: u32 = 65_534;

/// Runs `action` on a thread that is somebody else; leaves it out, with a line, where that cannot be.
fn as_stranger<T: Send + 'static>(action: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if !rustix::process::geteuid().is_root() {
        writeln!(io::stderr(), "left out: only root can be somebody else").ok();
        return None;
    }
    let stranger = thread::spawn(move || {
        let uid = Uid::from_raw(STRANGER);
        // Of this thread alone, which ends with it.
        set_thread_res_uid(uid, uid, uid).expect("root can be anybody");
        action()
    });
    Some(stranger.join().expect("it says so itself if it fails"))
}

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("the system has socket pairs")
}

#[test]
fn a_stranger_is_turned_away_before_a_byte_is_read() {
    let Some((near, far)) = as_stranger(pair) else {
        return;
    };
    let ctx = Context::new().unwrap();
    let request = Identity::system().request(Level::L8).encode().unwrap();
    (&near).write_all(request.expose()).unwrap();
    let far = stream_from_fd(&ctx, far.into()).unwrap();
    let before = ctx.stats();
    let error = end_of(&ctx, accept(&ctx, far, &AcceptOptions::default())).unwrap_err();
    assert!(
        matches!(error, HandshakeError::Peer { uid: STRANGER }),
        "{error}"
    );
    assert_eq!(ctx.stats().since(&before).receives, 0);
    let errno = io::Error::from(error).raw_os_error();
    assert_eq!(errno, Some(Errno::ACCESS.raw_os_error()));
}

#[test]
fn a_stranger_who_is_allowed_or_trusted_is_believed() {
    for peers in [PeerPolicy::AlsoAllow(vec![STRANGER]), PeerPolicy::Trusted] {
        let Some((near, far)) = as_stranger(pair) else {
            return;
        };
        let ctx = Context::new().unwrap();
        let far = stream_from_fd(&ctx, far.into()).unwrap();
        let server = accept(&ctx, far, &AcceptOptions::default().peers(peers));
        let near = stream_from_fd(&ctx, near.into()).unwrap();
        done(
            &ctx,
            connect_over(&ctx, near, &Identity::anonymous(), Level::L8),
        );
        done(&ctx, server);
    }
}

#[test]
fn a_stranger_who_does_reach_the_socket_gets_no_further() {
    let ctx = Context::new().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("open");
    let address = Address::unix(&path).unwrap();
    let socket = tsocket_bsd::listen(&ctx, &address, &ListenOptions::default());
    // As nobody should have it: the directory and the socket are open to all.
    fs::set_permissions(temporary.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
    let request = Identity::system().request(Level::L8).encode().unwrap();
    let request = request.expose().to_vec();
    let stranger = as_stranger(move || {
        let stranger = UnixStream::connect(path).expect("everybody can");
        // It may have been closed by then.
        (&stranger).write_all(&request).ok();
        stranger
    });
    let Some(stranger) = stranger else {
        return;
    };
    let uids: Rc<RefCell<Vec<u32>>> = Rc::default();
    let told = uids.clone();
    let listener = Listener::new(&ctx, socket.unwrap(), AcceptOptions::default());
    let listener = listener.on_failure(move |error| match error {
        HandshakeError::Peer { uid } => told.borrow_mut().push(*uid),
        other => panic!("{other}"),
    });
    let accepting = listener.accept();
    run_to(&ctx, || !uids.borrow().is_empty());
    assert_eq!(*uids.borrow(), [STRANGER]);
    assert!(!accepting.is_finished());
    assert_eq!(ctx.stats().receives, 0);
    let end = (&stranger).read(&mut [0]);
    assert!(end.map_or_else(
        |error| error.kind() == ErrorKind::ConnectionReset,
        |len| len == 0
    ));
}

#[test]
fn a_stranger_cannot_even_reach_the_socket() {
    let ctx = Context::new().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let directory = NpDirectory::create_or_verify(temporary.path().join("np")).unwrap();
    let name = PipeName::new("pipe").unwrap();
    let _listener = listen(&ctx, &directory, &name).unwrap();
    let socket = directory.socket_path(&name);
    UnixStream::connect(&socket).expect("we can");
    let kind = as_stranger(move || UnixStream::connect(socket).map_err(|error| error.kind()));
    if let Some(connected) = kind {
        assert_eq!(connected.unwrap_err(), ErrorKind::PermissionDenied);
    }
}

#[test]
fn a_directory_that_belongs_to_somebody_else_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("np");
    NpDirectory::create_or_verify(&path).unwrap();
    // The stranger itself may run this, and gives nothing away.
    let is_root = rustix::process::geteuid().is_root();
    if !is_root || chown(&path, Some(STRANGER), None).is_err() {
        writeln!(
            io::stderr(),
            "left out: only root can give a directory away"
        )
        .ok();
        return;
    }
    let error = NpDirectory::create_or_verify(&path).unwrap_err();
    assert!(matches!(error, DirectoryError::Owner { uid: STRANGER, .. }));
    let text = format!(
        "{} belongs to uid 65534, it has to belong to uid 0",
        path.display()
    );
    assert_eq!(error.to_string(), text);
    let errno = io::Error::from(error).raw_os_error();
    assert_eq!(errno, Some(Errno::PERM.raw_os_error()));
}
