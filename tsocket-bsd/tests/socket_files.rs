//! The files of unix sockets, as others see them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use rustix::io::Errno;
use tevent::Context;
use tsocket::{Address, Listener};
use tsocket_bsd::{ConnectOptions, ListenOptions, connect, listen};

use common::{expect, scale};

fn listening(ctx: &Context, at: &Address) -> Listener {
    listen(ctx, at, &ListenOptions::default()).unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o7777
}

#[test]
fn the_file_of_a_client_goes_with_its_stream() {
    let ctx = Context::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let listener = listening(
        &ctx,
        &Address::unix(directory.path().join("server")).unwrap(),
    );
    let path = directory.path().join("client");
    let local = Address::unix(&path).unwrap();
    let options = ConnectOptions::default().local_address(local.clone());
    let accepted = listener.accept();
    let client = expect(
        &ctx,
        connect(&ctx, &listener.local_address().unwrap(), &options),
    );
    let (_server, peer) = expect(&ctx, accepted);
    assert_eq!(peer, local);
    assert_eq!(mode(&path), 0o600);
    drop(client);
    assert!(!path.exists());
}

#[test]
fn a_socket_file_is_private_and_removed_with_its_listener() {
    let ctx = Context::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    let listener = listening(&ctx, &Address::unix(&path).unwrap());
    assert_eq!(mode(&path), 0o600);
    let accepted = listener.accept();
    let at = Address::unix(&path).unwrap();
    let _client = expect(&ctx, connect(&ctx, &at, &ConnectOptions::default()));
    expect(&ctx, accepted);
    drop(listener);
    assert!(!path.exists());

    let missing = Address::unix(directory.path().join("missing/socket")).unwrap();
    let refused = listen(&ctx, &missing, &ListenOptions::default()).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(Errno::NOENT.raw_os_error()));
}

/// Starts a server, keeps it until everybody has started one, and looks at its file.
fn compete(path: &Path, start: &Barrier, stop: &Barrier) -> io::Result<()> {
    let ctx = Context::new()?;
    let at = Address::unix(path)?;
    start.wait();
    let listener = listen(&ctx, &at, &ListenOptions::default());
    stop.wait();
    let connected = listener.is_ok().then(|| UnixStream::connect(path));
    stop.wait();
    drop(listener?);
    connected.transpose().map(drop)
}

#[test]
fn of_servers_that_start_at_once_over_a_stale_file_one_wins() {
    const SERVERS: usize = 4;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    for _ in 0..50 * scale() {
        drop(UnixListener::bind(&path).unwrap());
        let (start, stop) = (Barrier::new(SERVERS), Barrier::new(SERVERS));
        let results: Vec<_> = thread::scope(|scope| {
            let servers: Vec<_> = (0..SERVERS)
                .map(|_| scope.spawn(|| compete(&path, &start, &stop)))
                .collect();
            servers
                .into_iter()
                .map(|server| server.join().unwrap())
                .collect()
        });
        let mut winners = 0;
        for result in results {
            match result {
                Ok(()) => winners += 1,
                Err(err) => {
                    assert_eq!(
                        err.raw_os_error(),
                        Some(Errno::ADDRINUSE.raw_os_error()),
                        "{err}"
                    );
                }
            }
        }
        assert_eq!(winners, 1);
        assert!(!path.exists(), "the winner's file goes with it");
    }
}
